/* t_serve.c -- a small service, forked, on a socket of its own; the test is its web server. */
#include "common/serve.h"

#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <malloc.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "common/limits.h"
#include "common/text.h"
#include "test/unit/fcgi_client.h"

/* ---- the service ---- */

static struct {
	int started[2]; /* a byte from each start() */
	int entered[2]; /* a byte from each /wait, which then reads one from go */
	int go[2];
	int sent[2]; /* 'y' or 'n' after each /big */
	int idle[2]; /* a byte from each idle() */
} wires;

static char chunk[1 << 20];
static struct iovec iov[2048];
static bool tell_sent;

static int svc_start(void **worker, struct err *e)
{
	(void)e;
	*worker = chunk;
	return write(wires.started[1], "s", 1) == 1 ? E_OK : E_IO;
}

static void text_answer(struct answer *a, struct slice s)
{
	iov[0] = (struct iovec){(void *)(uintptr_t)s.p, s.n};
	*a = (struct answer){200, SL("Content-Type: text/plain\r\n"), iov, 1, s.n, false, false};
}

static void do_echo(const struct request *r, struct answer *a)
{
	text_answer(a, arena_printf(r->a, "method=%.*s path=%.*s query=%.*s type=%.*s action=%.*s accept=%.*s host=%.*s "
		"scheme=%.*s server=%.*s:%.*s peer=%.*s too_large=%d short=%d size=%zu body=%.*s", SLF(r->method),
		SLF(r->path), SLF(r->query), SLF(r->content_type), SLF(r->soap_action), SLF(r->accept_encoding), SLF(r->host),
		SLF(r->scheme), SLF(r->server_name), SLF(r->server_port), SLF(r->peer), r->body_too_large, r->body_short,
		r->body.n, (int)MIN(r->body.n, (size_t)1000), r->body.n ? r->body.p : ""));
}

/* ?N: N bytes in pieces of 1 MB, each holding its number; ?nN: pieces of 999 bytes. */
static void do_big(const struct request *r, struct answer *a)
{
	uint64_t n = 0;
	struct slice query = r->query;
	size_t piece = sizeof(chunk), i = 0;
	if (text_starts(query, SL("n"))) {
		query = (struct slice){query.p + 1, query.n - 1};
		piece = 999;
	}
	ASSERT(text_u64(query, &n));
	a->length = n;
	for (; n > 0; n -= iov[i++].iov_len)
		iov[i] = (struct iovec){chunk, (size_t)MIN(n, (uint64_t)piece)};
	a->status = 200;
	a->headers = SL("Content-Type: application/octet-stream\r\n");
	a->iov = iov;
	a->niov = i;
	tell_sent = true;
}

static void do_crash(const struct request *r, struct answer *a)
{
	(void)r;
	(void)a;
	abort();
}

static void do_wait(const struct request *r, struct answer *a)
{
	char c;
	(void)r;
	ASSERT(write(wires.entered[1], "e", 1) == 1);
	ASSERT(read(wires.go[0], &c, 1) == 1);
	text_answer(a, SL("waited"));
}

static void do_pid(const struct request *r, struct answer *a)
{
	text_answer(a, arena_printf(r->a, "%d %016" PRIx64, (int)getpid(), r->id));
}

static void do_user(const struct request *r, struct answer *a)
{
	text_answer(a, arena_printf(r->a, "uid=%d gid=%d groups=%d root=%d new=%d", (int)getuid(), (int)getegid(),
		getgroups(0, NULL), setuid(0) == 0, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)));
}

static void do_heap(const struct request *r, struct answer *a)
{
	struct mallinfo2 m = mallinfo2();
	text_answer(a, arena_printf(r->a, "%zu", m.arena + m.hblkhd));
}

static void do_redirect(const struct request *r, struct answer *a)
{
	(void)r;
	*a = (struct answer){200, SL("X-Accel-Redirect: /file\r\n"), NULL, 0, 0, true, false};
}

static const struct {
	const char *path;
	void (*run)(const struct request *, struct answer *);
} pages[] = {{"/echo", do_echo}, {"/big", do_big}, {"/crash", do_crash}, {"/wait", do_wait}, {"/pid", do_pid},
	{"/user", do_user}, {"/heap", do_heap}, {"/redirect", do_redirect}};

static void svc_handle(void *worker, const struct request *r, struct answer *a)
{
	ASSERT(worker == chunk);
	tell_sent = false;
	for (size_t i = 0; i < COUNTOF(pages); i++)
		if (slice_eq(r->path, slice_of(pages[i].path)))
			pages[i].run(r, a);
}

static void svc_sent(void *worker, bool ok)
{
	(void)worker;
	if (tell_sent)
		ASSERT(write(wires.sent[1], ok ? "y" : "n", 1) == 1);
}

static void svc_idle(void *worker)
{
	(void)worker;
	ASSERT(write(wires.idle[1], "i", 1) == 1);
}

static int svc_option(int c, const char *arg, struct err *e)
{
	return c == 'X' && strcmp(arg, "good") == 0 ? E_OK : err_set(e, E_USAGE, "-X takes good");
}

static struct serve_ops ops = {.name = "t_serve", .usage = "  -X good  an option of its own\n", .options = "X:",
	.option = svc_option, .start = svc_start, .handle = svc_handle, .sent = svc_sent, .idle = svc_idle};

/* ---- the test's side ---- */

static char dir[64], sock[96];
static pid_t service;

static int make_dir(void **state)
{
	(void)state;
	const char *tmp = getenv("TMPDIR");
	snprintf(dir, sizeof(dir), "%.40s/wsus-serve-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(dir))
		return -1;
	snprintf(sock, sizeof(sock), "%s/s", dir);
	for (int (*w)[2] = &wires.started; w <= &wires.idle; w++)
		if (pipe2(*w, O_CLOEXEC) != 0)
			return -1;
	for (size_t i = 0; i < sizeof(chunk); i++)
		chunk[i] = (char)(i * 7 >> 3);
	return 0;
}

/* A failed test must not leave its service to the next one. */
static int end_service(void **state)
{
	(void)state;
	if (service <= 0)
		return 0;
	kill(service, SIGTERM);
	waitpid(service, NULL, 0);
	service = 0;
	unlink(sock);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	char log[96];
	snprintf(log, sizeof(log), "%s/log", dir);
	unlink(log);
	unlink(sock);
	return rmdir(dir);
}

static int ours_alone = -1; /* an fd that the next child must not hold: the end of a pipe would not be seen */

/* Runs serve_main in a child whose stderr is a file. */
static pid_t run(char **argv, int in, int out)
{
	int argc = 0;
	while (argv[argc])
		argc++;
	fflush(NULL);
	pid_t pid = fork();
	if (pid != 0)
		return pid;
	char log[96];
	prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
	snprintf(log, sizeof(log), "%s/log", dir);
	if (ours_alone >= 0)
		close(ours_alone);
	int err = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	dup2(err, STDERR_FILENO);
	if (in >= 0)
		dup2(in, STDIN_FILENO);
	if (out >= 0)
		dup2(out, STDOUT_FILENO);
	exit(serve_main(argc, argv, &ops));
}

static int status_of(pid_t pid)
{
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (pid == service)
		service = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static char take(const int wire[2])
{
	char c = 0;
	assert_int_equal(read(wire[0], &c, 1), 1);
	return c;
}

/* Starts the service with these options behind -s, and waits until `workers` of them serve. */
static void start(const char *workers, char *const *more)
{
	int ready[2];
	char fd[16], *argv[16] = {(char[]){"t_serve"}, (char[]){"-s"}, sock, (char[]){"-w"}, (char *)(uintptr_t)workers,
		(char[]){"-R"}, fd};
	assert_int_equal(pipe2(ready, 0), 0);
	snprintf(fd, sizeof(fd), "%d", ready[1]);
	for (int i = 7; more && *more; i++)
		argv[i] = *more++;
	service = run(argv, -1, -1);
	close(ready[1]);
	for (long i = strtol(workers, NULL, 10); i > 0; i--) {
		assert_int_equal(take(wires.started), 's');
		assert_int_equal(take(ready), '1');
	}
	close(ready[0]);
}

static void stop(void)
{
	kill(service, SIGTERM);
	assert_int_equal(status_of(service), 0);
	assert_int_equal(access(sock, F_OK), -1);
}

static int request(const char *path, const char *query)
{
	char script[64], args[64];
	snprintf(script, sizeof(script), "SCRIPT_NAME=%s", path);
	snprintf(args, sizeof(args), "QUERY_STRING=%s", query);
	int fd = fc_connect(sock);
	assert_true(fd >= 0);
	assert_true(fc_begin(fd, false));
	assert_true(fc_params(fd, (const char *const[]){"REQUEST_METHOD=GET", script, args, NULL}));
	/* A worker runs as soon as its parameters end: one that crashes may be gone before the end of its body is sent. */
	assert_true(fc_stdin(fd, SL("")) || strcmp(path, "/crash") == 0);
	return fd;
}

static void get(const char *path, const char *query, struct fc_reply *r)
{
	int fd = request(path, query);
	fc_receive(fd, r);
	close(fd);
}

static void post(const char *length, struct slice body, struct fc_reply *r)
{
	char text[64];
	int fd = fc_connect(sock);
	snprintf(text, sizeof(text), "CONTENT_LENGTH=%s", length);
	assert_true(fd >= 0 && fc_begin(fd, false));
	assert_true(fc_params(fd, (const char *const[]){"REQUEST_METHOD=POST", "SCRIPT_NAME=/echo", text, NULL}));
	assert_true(fc_stdin(fd, body));
	fc_receive(fd, r);
	close(fd);
	assert_true(r->ended);
}

static long get_pid(void)
{
	struct fc_reply r;
	get("/pid", "", &r);
	assert_true(r.ended);
	long pid = strtol(fc_body(&r).p, NULL, 10);
	buf_free(&r.out);
	return pid;
}

/* ---- tests ---- */

static void parameters_and_body_arrive(void **state)
{
	(void)state;
	struct fc_reply r;
	start("1", NULL);
	int fd = fc_connect(sock);
	assert_true(fc_begin(fd, false));
	assert_true(fc_params(fd, (const char *const[]){"REQUEST_METHOD=POST", "DOCUMENT_URI=/echo", "QUERY_STRING=a=b",
		"CONTENT_TYPE=text/xml", "CONTENT_LENGTH=5", "HTTP_SOAPACTION=\"x/y\"", "HTTP_ACCEPT_ENCODING=xpress",
		"HTTP_HOST=h:8530", "HTTPS=on", "SERVER_NAME=n", "SERVER_PORT=8531", "REMOTE_ADDR=192.0.2.7", NULL}));
	assert_true(fc_stdin(fd, SL("hello")));
	fc_receive(fd, &r);
	close(fd);
	assert_true(r.ended);
	assert_true(fc_has(&r, "Status: 200 OK\r\nContent-Type: text/plain\r\nContent-Length: "));
	assert_true(slice_eq(fc_body(&r), SL("method=POST path=/echo query=a=b type=text/xml action=\"x/y\" accept=xpress "
		"host=h:8530 scheme=https server=n:8531 peer=192.0.2.7 too_large=0 short=0 size=5 body=hello")));
	buf_free(&r.out);
	stop();
}

static void each_request_has_an_id(void **state)
{
	(void)state;
	struct fc_reply r;
	start("1", NULL);
	for (int i = 1; i < 4; i++) {
		char want[64];
		get("/pid", "", &r);
		int pid = (int)strtol(fc_body(&r).p, NULL, 10);
		snprintf(want, sizeof(want), "%d %08x%08x", pid, (unsigned)pid, (unsigned)i);
		assert_true(fc_has(&r, want));
		buf_free(&r.out);
	}
	stop();
}

static void large_replies_leave_in_large_records(void **state)
{
	(void)state;
	static const struct {
		const char *query;
		size_t n, piece;
	} sizes[] = {{"0", 0, 1}, {"1", 1, 1 << 20}, {"7000", 7000, 1 << 20}, {"8192", 8192, 1 << 20}, {"65400", 65400, 1 << 20},
		{"65528", 65528, 1 << 20}, {"70000", 70000, 1 << 20}, {"5000000", 5000000, 1 << 20}, {"n1500000", 1500000, 999}};
	struct fc_reply r;
	start("2", NULL);
	for (size_t i = 0; i < COUNTOF(sizes); i++) {
		char length[64];
		get("/big", sizes[i].query, &r);
		assert_true(r.ended);
		assert_int_equal(take(wires.sent), 'y');
		snprintf(length, sizeof(length), "Content-Length: %zu\r\n\r\n", sizes[i].n);
		assert_true(fc_has(&r, length));
		struct slice body = fc_body(&r);
		assert_int_equal(body.n, sizes[i].n);
		for (size_t at = 0; at < body.n; at += sizes[i].piece)
			assert_memory_equal(body.p + at, chunk, MIN(sizes[i].piece, body.n - at));
		assert_true(r.largest <= 65528);
		assert_true(r.records <= r.out.n / 65528 + 1);
		buf_free(&r.out);
	}
	stop();
}

static void an_answer_without_body_has_no_length(void **state)
{
	(void)state;
	struct fc_reply r;
	start("1", NULL);
	get("/redirect", "", &r);
	assert_true(slice_eq(buf_bytes(&r.out), SL("Status: 200 OK\r\nX-Accel-Redirect: /file\r\n\r\n")));
	buf_free(&r.out);
	get("/nowhere", "", &r);
	assert_true(slice_eq(buf_bytes(&r.out), SL("Status: 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n")));
	buf_free(&r.out);
	stop();
}

static void bound_bodies(size_t limit)
{
	struct fc_reply r;
	char length[32], whole[80];
	start("1", NULL); /* before the test's own megabytes, which a fork would count as the worker's */
	char *body = malloc(limit);
	assert_non_null(body);
	memset(body, 'b', limit);

	snprintf(length, sizeof(length), "%zu", limit);
	snprintf(whole, sizeof(whole), "too_large=0 short=0 size=%zu body=bbb", limit);
	post(length, (struct slice){body, limit}, &r);
	assert_true(fc_has(&r, whole));
	buf_free(&r.out);
	get("/heap", "", &r);
	assert_true(strtoul(fc_body(&r).p, NULL, 10) < 4 << 20);
	buf_free(&r.out);

	snprintf(length, sizeof(length), "%zu", limit + 1);
	post(length, SL("only this much"), &r);
	assert_true(fc_has(&r, "too_large=1 short=0 size=0"));
	buf_free(&r.out);
	post("", (struct slice){body, 100000}, &r); /* no length: up to the end of the stream */
	assert_true(fc_has(&r, "too_large=0 short=0 size=100000"));
	buf_free(&r.out);
	post("100", SL("fifty"), &r);
	assert_true(fc_has(&r, "too_large=0 short=1 size=5 body=fifty"));
	buf_free(&r.out);
	post("-1", SL("x"), &r);
	assert_true(fc_has(&r, "short=1 size=0"));
	buf_free(&r.out);
	post("0", SL(""), &r);
	assert_true(fc_has(&r, "too_large=0 short=0 size=0"));
	buf_free(&r.out);
	stop();
	free(body);
}

static void bodies_are_bounded_and_memory_is_given_back(void **state)
{
	(void)state;
	bound_bodies(LIMIT_BODY);
	ops.body = LIMIT_BODY_REPORT; /* a service with a limit of its own */
	bound_bodies(LIMIT_BODY_REPORT);
	ops.body = 0;
}

static void a_crashed_worker_is_replaced(void **state)
{
	(void)state;
	struct fc_reply r;
	start("1", NULL);
	long before = get_pid();
	for (int i = 0; i < 3; i++) {
		get("/crash", "", &r);
		assert_int_equal(r.out.n, 0);
		assert_false(r.ended);
		buf_free(&r.out);
		assert_int_equal(take(wires.started), 's');
		assert_int_not_equal(get_pid(), before);
	}
	stop();
}

static void a_running_request_ends_before_the_stop(void **state)
{
	(void)state;
	struct fc_reply r;
	start("2", NULL);
	int fd = request("/wait", "");
	assert_int_equal(take(wires.entered), 'e');
	kill(service, SIGTERM);
	assert_int_equal(write(wires.go[1], "g", 1), 1);
	fc_receive(fd, &r);
	close(fd);
	assert_true(r.ended);
	assert_true(slice_eq(fc_body(&r), SL("waited")));
	buf_free(&r.out);
	assert_int_equal(status_of(service), 0);
	assert_int_equal(access(sock, F_OK), -1);
}

static void a_request_that_does_not_end_is_killed_at_the_stop(void **state)
{
	(void)state;
	struct fc_reply r;
	start("1", NULL);
	int fd = request("/wait", "");
	assert_int_equal(take(wires.entered), 'e');
	stop();
	fc_receive(fd, &r);
	assert_false(r.ended);
	buf_free(&r.out);
	close(fd);
}

static void hangup_replaces_every_worker(void **state)
{
	(void)state;
	start("2", NULL);
	long a = get_pid();
	kill(service, SIGHUP);
	take(wires.started);
	take(wires.started);
	for (int i = 0; i < 20; i++)
		assert_int_not_equal(get_pid(), a);
	stop();
}

static void aborting_clients_cost_no_worker(void **state)
{
	(void)state;
	struct fc_reply r;
	char some[1000];
	start("1", NULL);
	for (int i = 0; i < 3; i++) {
		int fd = request("/big", "50000000");
		assert_true(fc_read(fd, some, sizeof(some)));
		close(fd);
		assert_int_equal(take(wires.sent), 'n');
	}
	int fd = fc_connect(sock); /* gone before a word */
	close(fd);
	fd = fc_connect(sock); /* gone in the middle of the parameters */
	assert_true(fc_begin(fd, false) && fc_write(fd, "\1\4\0\1\0\x20", 6));
	close(fd);
	fd = fc_connect(sock); /* speaks something else */
	assert_true(fc_write(fd, "GET / HTTP/1.0\r\n\r\n", 18));
	close(fd);
	get("/echo", "", &r);
	assert_true(r.ended);
	buf_free(&r.out);
	stop();
}

/* With one worker, the second client is served only because the silent one was given up. */
static void a_silent_client_holds_no_worker(void **state)
{
	(void)state;
	start("1", NULL);
	int silent = fc_connect(sock), half = fc_connect(sock);
	assert_true(fc_begin(half, false));
	assert_true(get_pid() > 0);
	close(silent);
	close(half);
	stop();
}

static void a_kept_connection_is_not_kept(void **state)
{
	(void)state;
	struct fc_reply r;
	char c;
	start("1", NULL);
	int fd = fc_connect(sock);
	assert_true(fc_begin(fd, true));
	assert_true(fc_params(fd, (const char *const[]){"REQUEST_METHOD=GET", "SCRIPT_NAME=/echo", NULL}));
	assert_true(fc_stdin(fd, SL("")));
	fc_receive(fd, &r);
	assert_true(r.ended);
	assert_int_equal(recv(fd, &c, 1, 0), 0);
	close(fd);
	buf_free(&r.out);
	stop();
}

static void idle_is_called_while_nothing_happens(void **state)
{
	(void)state;
	start("1", NULL);
	assert_int_equal(take(wires.idle), 'i');
	stop();
}

static void the_socket_is_for_owner_and_group(void **state)
{
	(void)state;
	struct stat st;
	mode_t old = umask(0);
	char group[32];
	snprintf(group, sizeof(group), "%s", getgrgid(getegid())->gr_name);
	start("1", (char *[]){(char[]){"-g"}, group, NULL});
	umask(old);
	assert_int_equal(stat(sock, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	assert_int_equal(st.st_gid, getegid());

	/* A second service on the same socket is refused and leaves the first alone. */
	char *argv[] = {(char[]){"t_serve"}, (char[]){"-s"}, sock, NULL};
	assert_int_equal(status_of(run(argv, -1, -1)), 1);
	assert_true(get_pid() > 0);

	/* What a killed one leaves behind is replaced. */
	kill(service, SIGKILL);
	assert_int_equal(status_of(service), 128 + SIGKILL);
	assert_int_equal(access(sock, F_OK), 0);
	int fd;
	while ((fd = fc_connect(sock)) >= 0) /* its workers end with it, in their own time */
		close(fd);
	start("1", NULL);
	assert_true(get_pid() > 0);
	stop();
}

static void root_is_dropped_for_good(void **state)
{
	(void)state;
	struct passwd *nobody = getpwnam("nobody");
	struct fc_reply r;
	char want[80];
	if (geteuid() != 0 || !nobody) {
		fprintf(stderr, "SKIP: needs root and a user nobody\n");
		skip();
	}
	snprintf(want, sizeof(want), "uid=%d gid=%d ", (int)nobody->pw_uid, (int)nobody->pw_gid);
	assert_int_equal(chmod(dir, 0700), 0); /* nobody may not even enter it: the socket is there before the drop */
	start("1", (char *[]){(char[]){"-u"}, (char[]){"nobody"}, NULL});
	get("/user", "", &r);
	assert_true(fc_has(&r, want));
	assert_true(fc_has(&r, "root=0 new=1"));
	buf_free(&r.out);
	kill(service, SIGTERM);
	assert_int_equal(status_of(service), 0);
	unlink(sock);
}

static void paths_are_relative_to_the_directory(void **state)
{
	(void)state;
	char *argv[] = {(char[]){"t_serve"}, (char[]){"-C"}, dir, (char[]){"-s"}, (char[]){"s"}, (char[]){"-w"}, (char[]){"1"},
		(char[]){"-X"}, (char[]){"good"}, NULL};
	service = run(argv, -1, -1);
	take(wires.started);
	assert_true(get_pid() > 0);
	stop();
}

static void a_socket_on_stdin_is_inherited(void **state)
{
	(void)state;
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", sock);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 10), 0);
	char *argv[] = {(char[]){"t_serve"}, (char[]){"-w"}, (char[]){"2"}, NULL};
	service = run(argv, fd, -1);
	close(fd);
	take(wires.started);
	take(wires.started);
	assert_true(get_pid() > 0);
	kill(service, SIGTERM);
	assert_int_equal(status_of(service), 0);
	unlink(sock); /* not the service's to remove */
}

static void cgi(const char *length, struct slice body, struct buf *out)
{
	int in[2], reply[2];
	char part[8192];
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(reply, O_CLOEXEC), 0);
	setenv("REQUEST_METHOD", "POST", 1);
	setenv("SCRIPT_NAME", body.n ? "/echo" : "/big", 1);
	setenv("QUERY_STRING", "3000000", 1);
	setenv("CONTENT_LENGTH", length, 1);
	char *argv[] = {(char[]){"t_serve"}, NULL};
	ours_alone = in[1];
	pid_t pid = run(argv, in[0], reply[1]);
	ours_alone = -1;
	unsetenv("REQUEST_METHOD");
	close(in[0]);
	close(reply[1]);
	assert_int_equal(write(in[1], body.p, body.n), body.n);
	close(in[1]);
	for (ssize_t n; (n = read(reply[0], part, sizeof(part))) > 0;)
		buf_add(out, part, (size_t)n);
	close(reply[0]);
	assert_int_equal(status_of(pid), 0);
	take(wires.started);
}

static void one_request_as_cgi(void **state)
{
	(void)state;
	struct buf out;
	buf_init(&out, 1 << 24);
	cgi("4", SL("ping"), &out);
	assert_true(text_starts(buf_bytes(&out), SL("Status: 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ")));
	buf_char(&out, 0);
	assert_non_null(strstr(out.p, "method=POST path=/echo"));
	assert_non_null(strstr(out.p, "short=0 size=4 body=ping"));
	buf_reset(&out);
	cgi("9", SL("ping"), &out);
	buf_char(&out, 0);
	assert_non_null(strstr(out.p, "short=1 size=4 body=ping"));
	buf_reset(&out);
	cgi("0", SL(""), &out);
	assert_int_equal(take(wires.sent), 'y');
	struct slice head = SL("Status: 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 3000000\r\n\r\n");
	assert_true(text_starts(buf_bytes(&out), head));
	assert_int_equal(out.n, head.n + 3000000);
	assert_memory_equal(out.p + head.n, chunk, sizeof(chunk));
	buf_free(&out);
}

static void wrong_command_lines_are_refused(void **state)
{
	(void)state;
	char *lines[][6] = {
		{(char[]){"t_serve"}, NULL},
		{(char[]){"t_serve"}, (char[]){"-s"}, sock, (char[]){"-w"}, (char[]){"0"}, NULL},
		{(char[]){"t_serve"}, (char[]){"-s"}, sock, (char[]){"-w"}, (char[]){"x"}, NULL},
		{(char[]){"t_serve"}, (char[]){"-s"}, sock, (char[]){"-g"}, (char[]){"no-such-group"}, NULL},
		{(char[]){"t_serve"}, (char[]){"-s"}, sock, (char[]){"-X"}, (char[]){"bad"}, NULL},
		{(char[]){"t_serve"}, (char[]){"-s"}, sock, (char[]){"extra"}, NULL},
		{(char[]){"t_serve"}, (char[]){"-Z"}, NULL},
	};
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (size_t i = 0; i < COUNTOF(lines); i++)
		assert_int_equal(status_of(run(lines[i], null, -1)), 2);
	char *help[] = {(char[]){"t_serve"}, (char[]){"-h"}, NULL}, *version[] = {(char[]){"t_serve"}, (char[]){"-V"}, NULL};
	assert_int_equal(status_of(run(help, null, null)), 0);
	assert_int_equal(status_of(run(version, null, null)), 0);
	close(null);
}

#define TEST(name) cmocka_unit_test_teardown(name, end_service)

int main(void)
{
	alarm(120); /* a hang becomes a failure */
	const struct CMUnitTest tests[] = {
		TEST(parameters_and_body_arrive),
		TEST(each_request_has_an_id),
		TEST(large_replies_leave_in_large_records),
		TEST(an_answer_without_body_has_no_length),
		TEST(bodies_are_bounded_and_memory_is_given_back),
		TEST(a_crashed_worker_is_replaced),
		TEST(a_running_request_ends_before_the_stop),
		TEST(a_request_that_does_not_end_is_killed_at_the_stop),
		TEST(hangup_replaces_every_worker),
		TEST(aborting_clients_cost_no_worker),
		TEST(a_silent_client_holds_no_worker),
		TEST(a_kept_connection_is_not_kept),
		TEST(idle_is_called_while_nothing_happens),
		TEST(the_socket_is_for_owner_and_group),
		TEST(root_is_dropped_for_good),
		TEST(paths_are_relative_to_the_directory),
		TEST(a_socket_on_stdin_is_inherited),
		TEST(one_request_as_cgi),
		TEST(wrong_command_lines_are_refused),
	};
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
