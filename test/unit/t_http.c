/* t_http.c -- jobs of HTTP against a small server of the test's own: how many at a time, where bytes begin, what ends a job, how all
 * of it is cancelled; and calls that are tried again. */
#include "sync/call.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>

#include "common/text.h"

/* What the server's processes and the test see alike. */
static struct {
	int now, most;     /* requests under way */
	int requests;      /* since the last reset */
	int busy;          /* so many more are answered with ServerBusy, */
	int broken;        /* or by closing the connection */
} *seen;
static int port;
static pid_t server;
static char base[64];

/* ================= the server ================= */

static void send_all(int fd, const void *p, size_t n)
{
	for (const char *at = p; n > 0;) {
		ssize_t sent = write(fd, at, n);
		if (sent <= 0)
			_exit(0);
		at += sent;
		n -= (size_t)sent;
	}
}

static void answer(int fd, const char *head, const void *body, size_t n)
{
	char text[600];
	snprintf(text, sizeof(text), "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n", head, n);
	send_all(fd, text, strlen(text));
	send_all(fd, body, n);
}

static char letter(size_t at)
{
	return (char)('a' + at % 23);
}

static void letters(int fd, const char *head, size_t from, size_t to)
{
	char *body = malloc(to - from + 1);
	for (size_t i = from; i < to; i++)
		body[i - from] = letter(i);
	answer(fd, head, body, to - from);
	free(body);
}

static void bomb(int fd)
{
	size_t n = (size_t)32 << 20, room = 100000;
	char *plain = calloc(1, n), *packed = malloc(room);
	z_stream z = {.next_in = (Bytef *)plain, .avail_in = (uInt)n, .next_out = (Bytef *)packed, .avail_out = (uInt)room};
	if (deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK || deflate(&z, Z_FINISH) != Z_STREAM_END)
		_exit(1);
	answer(fd, "200 OK\r\nContent-Encoding: gzip", packed, z.total_out);
	deflateEnd(&z);
	free(plain);
	free(packed);
}

#define ENVELOPE(inner) "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body>" inner "</s:Body></s:Envelope>"

static bool take_one(int *n)
{
	return __atomic_fetch_sub(n, 1, __ATOMIC_SEQ_CST) > 0;
}

/* GetUpdateData is answered with the number of the first revision that it asks for. */
static void soap(int fd, const char *request)
{
	static const char busy[] = ENVELOPE("<s:Fault><faultcode>s:Server</faultcode><faultstring>Fault occurred</faultstring><detail><ErrorCode>ServerBusy"
		"</ErrorCode><Message/></detail></s:Fault>");
	char text[1000];
	const char *number = strstr(request, "<RevisionNumber>");
	if (take_one(&seen->busy)) {
		answer(fd, "500 Internal Server Error\r\nContent-Type: text/xml\r\nRetry-After: 0", busy, sizeof(busy) - 1);
		return;
	}
	if (take_one(&seen->broken))
		_exit(0);
	if (number)
		snprintf(text, sizeof(text), ENVELOPE("<GetUpdateDataResponse xmlns=\"" WSUSSS_NS_SYNC "\"><GetUpdateDataResult><Asked>%d</Asked>"
			"</GetUpdateDataResult></GetUpdateDataResponse>"), (int)strtol(number + 16, NULL, 10));
	else
		snprintf(text, sizeof(text), ENVELOPE("<GetAuthConfigResponse xmlns=\"" WSUSSS_NS_SYNC "\"><GetAuthConfigResult><LastChange>"
			"2026-01-01T00:00:00Z</LastChange></GetAuthConfigResult></GetAuthConfigResponse>"));
	answer(fd, "200 OK\r\nContent-Type: text/xml", text, strlen(text));
}

static void serve_request(int fd, const char *request)
{
	const char *path = strchr(request, ' '), *range = strcasestr(request, "\r\nRange: bytes=");
	size_t n = path ? strtoul(path + 2, NULL, 10) : 0, from = range ? strtoul(range + 15, NULL, 10) : 0;
	char head[200];
	if (strncmp(request, "POST", 4) == 0) {
		soap(fd, request);
	} else if (strncmp(path, " /range", 7) == 0) {
		snprintf(head, sizeof(head), "206 Partial Content\r\nETag: \"x\"\r\nContent-Range: bytes %zu-999/1000", from);
		letters(fd, head, from, 1000);
	} else if (strncmp(path, " /badrange", 10) == 0) {
		letters(fd, "206 Partial Content\r\nContent-Range: bytes 5", 0, 10);
	} else if (strncmp(path, " /gone", 6) == 0) {
		answer(fd, "404 Not Found\r\nContent-Type: text/html", "<p>no</p>", 9);
	} else if (strncmp(path, " /bomb", 6) == 0) {
		bomb(fd);
	} else if (strncmp(path, " /hang", 6) == 0) {
		for (;;)
			pause();
	} else if (strncmp(path, " /redirect", 10) == 0) {
		snprintf(head, sizeof(head), "302 Found\r\nLocation: http://127.0.0.1:%d/10", port);
		answer(fd, head, "", 0);
	} else {
		letters(fd, "200 OK\r\nContent-Type: text/plain; x=y\r\nETag: \"abc\"\r\nRetry-After: 7", 0, n);
	}
}

static void serve_connection(int fd)
{
	static char text[100000];
	size_t n = 0;
	for (;;) {
		ssize_t got = read(fd, text + n, sizeof(text) - 1 - n);
		if (got <= 0)
			_exit(0);
		text[n += (size_t)got] = '\0';
		const char *end = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "\r\nContent-Length: ");
		if (!end || n < (size_t)(end + 4 - text) + (length && length < end ? strtoul(length + 18, NULL, 10) : 0))
			continue;
		int now = __atomic_add_fetch(&seen->now, 1, __ATOMIC_SEQ_CST);
		if (now > seen->most)
			seen->most = now;
		__atomic_add_fetch(&seen->requests, 1, __ATOMIC_SEQ_CST);
		if (strstr(text, "/slowly"))
			usleep(20000);
		serve_request(fd, strncmp(text, "GET /slowly", 11) == 0 ? "GET /100 " : text);
		__atomic_sub_fetch(&seen->now, 1, __ATOMIC_SEQ_CST);
		n = 0;
	}
}

static void serve(int listening)
{
	signal(SIGCHLD, SIG_IGN);
	signal(SIGPIPE, SIG_DFL);
	for (;;) {
		int fd = accept(listening, NULL, NULL);
		if (fd < 0)
			_exit(1);
		if (fork() == 0)
			serve_connection(fd);
		close(fd);
	}
}

static int start_server(void **state)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	(void)state;
	seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (fd < 0 || seen == MAP_FAILED || bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 64) || getsockname(fd, (struct sockaddr *)&a, &size))
		return -1;
	port = ntohs(a.sin_port);
	snprintf(base, sizeof(base), "http://127.0.0.1:%d", port);
	server = fork();
	if (server == 0) {
		setpgid(0, 0);
		serve(fd);
	}
	setpgid(server, server);
	close(fd);
	return 0;
}

static int stop_server(void **state)
{
	(void)state;
	kill(-server, SIGKILL);
	waitpid(server, NULL, 0);
	return 0;
}

/* ================= the tests ================= */

static struct http *open_http(int connections)
{
	struct http *h;
	struct err e;
	struct settings set = {.upstream_url = slice_of(base), .upstream_timeout = 60, .upstream_connections = connections};
	assert_int_equal(http_open(&h, &set, &e), E_OK);
	memset(seen, 0, sizeof(*seen));
	return h;
}

/* Not spool_new() and so on: what a caller may do itself. */
struct taken {
	int begun, status, stop_with;
	uint64_t at;
	int64_t total;
	size_t n;
	bool right;
};

static int take_head(struct http_job *j, int status, uint64_t at, int64_t total, struct err *e)
{
	struct taken *t = j->arg;
	(void)e;
	t->begun++;
	t->status = status;
	t->at = at;
	t->total = total;
	t->right = true;
	return E_OK;
}

static int take_body(struct http_job *j, struct slice bytes, struct err *e)
{
	struct taken *t = j->arg;
	assert_int_equal(t->begun, 1);
	for (size_t i = 0; i < bytes.n; i++)
		t->right &= bytes.p[i] == letter(t->at + t->n + i);
	t->n += bytes.n;
	return t->stop_with ? err_set(e, (enum errcode)t->stop_with, "that will do") : E_OK;
}

static int get(struct http *h, const char *path, uint64_t from, struct taken *t, struct http_job *j)
{
	static char url[100];
	struct err e = {0};
	snprintf(url, sizeof(url), "%s%s", base, path);
	*j = (struct http_job){.url = url, .from = from, .begin = take_head, .take = take_body, .arg = t, .max = 1 << 20};
	int rc = http_do(h, j, &e);
	assert_int_equal(rc, j->rc);
	assert_true(rc == E_OK || strcmp(e.text, j->err.text) == 0);
	return rc;
}

static void where_bytes_begin(void **state)
{
	struct http *h = open_http(2);
	struct http_job j;
	(void)state;
	struct taken whole = {0}, part = {0}, all = {0}, none = {0}, gone = {0}, bad = {0}, redirect = {0};
	assert_int_equal(get(h, "/70000", 0, &whole, &j), E_OK);
	assert_true(whole.right && whole.n == 70000 && whole.total == 70000 && whole.at == 0);
	assert_string_equal(j.type, "text/plain; x=y");
	assert_string_equal(j.etag, "\"abc\"");
	assert_int_equal(j.retry_after, 7);
	assert_int_equal(j.wire, 70000);
	assert_int_equal(get(h, "/range", 400, &part, &j), E_OK);
	assert_true(part.right && part.n == 600 && part.total == 1000 && part.at == 400 && part.status == 206);
	assert_int_equal(get(h, "/500", 400, &all, &j), E_OK); /* no ranges there */
	assert_true(all.right && all.n == 500 && all.total == 500 && all.at == 0 && all.status == 200);
	assert_int_equal(get(h, "/0", 0, &none, &j), E_OK);
	assert_true(none.begun == 1 && none.n == 0 && none.total == 0);
	assert_int_equal(get(h, "/gone", 0, &gone, &j), E_OK);
	assert_true(j.status == 404 && gone.begun == 0 && gone.n == 0 && j.retry_after == -1 && !j.etag[0]);
	assert_int_equal(get(h, "/badrange", 3, &bad, &j), E_FORM);
	assert_int_equal(bad.begun, 0);
	assert_int_equal(get(h, "/redirect", 0, &redirect, &j), E_OK);
	assert_true(j.status == 302 && redirect.begun == 0);
	assert_int_equal(http_received(h), 70000 + 600 + 500 + 9 + 10);
	assert_int_equal(seen->requests, 7);
	http_close(&h);
	assert_null(h);
}

static void what_ends_a_job(void **state)
{
	struct http *h = open_http(2);
	struct http_job j;
	struct err e;
	char url[100];
	struct spool *s;
	(void)state;
	struct taken t = {.stop_with = E_FULL}, large = {0};
	assert_int_equal(get(h, "/70000", 0, &t, &j), E_FULL);
	assert_string_equal(j.err.text, "that will do");
	assert_int_equal(get(h, "/2000000", 0, &large, &j), E_LIMIT);
	assert_true(large.n <= 1 << 20);
	assert_non_null(strstr(j.err.text, "more than 1048576 bytes"));
	/* a bomb ends at its limit, too */
	assert_int_equal(spool_new(&s, "/tmp", UINT64_MAX, &e), E_OK);
	snprintf(url, sizeof(url), "%s/bomb", base);
	j = (struct http_job){.url = url, .packed = true, .to = s, .max = 3000000};
	assert_int_equal(http_do(h, &j, &e), E_LIMIT);
	assert_true(spool_size(s) <= 3000000);
	/* who did not ask for it does not take it */
	spool_reset(s);
	j.packed = false;
	assert_int_equal(http_do(h, &j, &e), E_FORM);
	assert_int_equal(spool_size(s), 0);
	spool_free(&s);
	http_close(&h);
}

static void as_many_at_a_time_as_are_set(void **state)
{
	struct http *h = open_http(3);
	struct http_job jobs[20], *done;
	struct taken taken[20] = {0};
	struct err e;
	char url[100];
	unsigned n = 0;
	(void)state;
	snprintf(url, sizeof(url), "%s/slowly", base);
	for (size_t i = 0; i < COUNTOF(jobs); i++) {
		jobs[i] = (struct http_job){.url = url, .begin = take_head, .take = take_body, .arg = &taken[i], .max = 1000};
		assert_int_equal(http_start(h, &jobs[i], &e), E_OK);
	}
	assert_int_equal(http_wait(h, 0, &done, &e), E_BUSY);
	while (http_wait(h, -1, &done, &e) == E_OK && done) {
		const struct taken *t = done->arg;
		assert_int_equal(done->rc, E_OK);
		assert_true(t->right && t->n == 100);
		n++;
	}
	assert_null(done);
	assert_int_equal(n, COUNTOF(jobs));
	assert_int_equal(seen->requests, COUNTOF(jobs));
	assert_true(seen->most > 1 && seen->most <= 3);
	http_close(&h);
}

/* One that was started and is no longer wanted, running or waiting; another goes on, and one asked for in between does not take its
 * place. */
static void stopped_and_in_between(void **state)
{
	struct http *h = open_http(2);
	struct err e;
	char hang[100], slowly[100];
	struct http_job j, running = {.url = hang, .max = 10}, waiting, other = {.url = slowly, .max = 1000}, *done;
	struct taken t = {0};
	(void)state;
	snprintf(hang, sizeof(hang), "%s/hang", base);
	snprintf(slowly, sizeof(slowly), "%s/slowly", base);
	waiting = running;
	assert_int_equal(http_start(h, &running, &e), E_OK);
	assert_int_equal(http_start(h, &other, &e), E_OK);
	assert_int_equal(http_start(h, &waiting, &e), E_OK);
	assert_int_equal(http_wait(h, -1, &done, &e), E_OK);
	assert_ptr_equal(done, &other);
	http_stop(h, &waiting);
	assert_int_equal(http_start(h, &other, &e), E_OK);
	assert_int_equal(get(h, "/10", 0, &t, &j), E_OK);
	assert_int_equal(t.n, 10);
	assert_int_equal(http_wait(h, -1, &done, &e), E_OK);
	assert_ptr_equal(done, &other);
	http_stop(h, &running);
	assert_int_equal(running.rc, E_CANCELLED);
	assert_int_equal(waiting.rc, E_CANCELLED);
	assert_int_equal(http_wait(h, -1, &done, &e), E_OK);
	assert_null(done);
	http_close(&h);
}

static double seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The rate is that of all together: 900 KB at 300 KB/s take three seconds. */
static void not_faster_than_the_rate(void **state)
{
	struct http *h = open_http(4);
	struct err e;
	char url[100];
	struct http_job jobs[3], *done;
	double began = seconds();
	(void)state;
	http_set_rate(h, 300000);
	snprintf(url, sizeof(url), "%s/300000", base);
	for (size_t i = 0; i < COUNTOF(jobs); i++) {
		jobs[i] = (struct http_job){.url = url, .max = 1000000};
		assert_int_equal(http_start(h, &jobs[i], &e), E_OK);
	}
	while (http_wait(h, -1, &done, &e) == E_OK && done)
		assert_int_equal(done->wire, 300000);
	assert_true(seconds() - began > 2.5);
	http_close(&h);
}

/* ---- calls ---- */

static struct caller *open_caller(struct http *h)
{
	struct caller *c;
	struct err e;
	struct settings set = {.upstream_url = slice_of(base)};
	setenv("WSUS_SYNC_DELAY_MS", "1", 1);
	assert_int_equal(caller_open(&c, h, &set, "/tmp", &e), E_OK);
	return c;
}

static unsigned notices;

static void take_notice(void *arg, const char *text)
{
	assert_null(arg);
	assert_true(strstr(text, "; again in ") != NULL);
	notices++;
}

static int ask(struct caller *c, struct err *e)
{
	struct GetAuthConfigResponse got;
	struct arena a;
	arena_init(&a, 1 << 20);
	int rc = call(c, CALL_GET_AUTH_CONFIG, &(struct GetAuthConfig){0}, &got, &a, e);
	assert_true(rc != E_OK || got.GetAuthConfigResult);
	arena_free(&a);
	return rc;
}

/* holds: WSUSSS-FAULT-17 */
static void busy_servers_and_broken_connections_are_asked_again(void **state)
{
	struct http *h = open_http(4);
	struct caller *c = open_caller(h);
	struct err e = {0};
	(void)state;
	caller_on_wait(c, take_notice, NULL);
	seen->busy = 3;
	assert_int_equal(ask(c, &e), E_OK);
	assert_int_equal(seen->requests, 4);
	assert_int_equal(notices, 3);
	seen->broken = 1;
	assert_int_equal(ask(c, &e), E_OK);
	seen->requests = 0;
	seen->busy = 100;
	assert_int_equal(ask(c, &e), E_SERVER_BUSY);
	assert_int_equal(seen->requests, CALL_TRIES);
	assert_non_null(strstr(e.text, "tried 6 times: GetAuthConfig: "));
	caller_set_tries(c, 1);
	seen->requests = 0;
	assert_int_equal(ask(c, &e), E_SERVER_BUSY);
	assert_int_equal(seen->requests, 1);
	assert_null(strstr(e.text, "tried"));
	caller_close(&c);
	http_close(&h);
}

static int number_of(struct spool *s)
{
	char text[2000] = "";
	assert_true(spool_read(s, 0, text, sizeof(text) - 1, NULL) > 0);
	const char *at = strstr(text, "<Asked>");
	assert_non_null(at);
	return (int)strtol(at + 7, NULL, 10);
}

static void parallel_calls(void **state)
{
	struct http *h = open_http(4);
	struct caller *c = open_caller(h);
	struct update_call u[12] = {0}, *done;
	struct UpdateIdentity id[12];
	struct GetUpdateData request[12];
	struct Cookie cookie = {.EncryptedData = SL("abc")};
	struct err e;
	unsigned n = 0;
	(void)state;
	seen->busy = 5;
	seen->broken = 2;
	for (int i = 0; i < 12; i++) {
		id[i] = (struct UpdateIdentity){.RevisionNumber = 100 + i};
		request[i] = (struct GetUpdateData){.cookie = &cookie};
		request[i].updateIds.v = &id[i];
		request[i].updateIds.n = 1;
		u[i].request = &request[i];
		u[i].arg = &id[i];
		assert_int_equal(call_update_start(c, &u[i], &e), E_OK);
	}
	while (call_update_wait(c, &done, &e) == E_OK && done) {
		const struct UpdateIdentity *asked = done->arg;
		if (done->rc != E_OK)
			fail_msg("%s", done->err.text);
		assert_int_equal(number_of(done->answer), asked->RevisionNumber);
		call_update_done(c, done);
		assert_null(done->answer);
		n++;
	}
	assert_int_equal(n, 12);
	assert_true(seen->most <= 4);
	/* what nobody waits for any more */
	for (int i = 0; i < 3; i++)
		assert_int_equal(call_update_start(c, &u[i], &e), E_OK);
	call_update_done(c, &u[1]);
	assert_int_equal(call_update_wait(c, &done, &e), E_OK);
	assert_true(done == &u[0] || done == &u[2]);
	caller_close(&c);
	http_close(&h);
}

static void a_time_goes_back_as_it_came(void **state)
{
	struct http *h = open_http(1);
	struct caller *c = open_caller(h);
	struct err e;
	(void)state;
	assert_int_equal(caller_set_expiration(c, SL(" 2026-01-02T03:04:05.60000Z "), &e), E_OK);
	assert_true(slice_eq(caller_expiration(c), SL("2026-01-02T03:04:05.60000Z")));
	assert_int_equal(caller_set_expiration(c, SL("tomorrow"), &e), E_FORM);
	assert_true(slice_eq(caller_expiration(c), SL("2026-01-02T03:04:05.60000Z")));
	caller_close(&c);
	http_close(&h);
}

/* ---- cancel: of the whole process, so in one of its own ---- */

static void on_alarm(int signal_no)
{
	(void)signal_no;
	http_cancel();
}

static int cancelled_child(void)
{
	struct http *h = open_http(1);
	struct err e;
	char url[100];
	struct http_job one = {.url = url, .max = 10}, two = one, *done;
	snprintf(url, sizeof(url), "%s/hang", base);
	signal(SIGALRM, on_alarm);
	if (http_start(h, &one, &e) != E_OK || http_start(h, &two, &e) != E_OK || http_cancelled())
		return 1;
	ualarm(100000, 0);
	double began = seconds();
	if (http_wait(h, -1, &done, &e) != E_CANCELLED || !http_cancelled() || one.rc != E_CANCELLED || two.rc != E_CANCELLED)
		return 2;
	if (http_sleep(100000) != E_CANCELLED || http_start(h, &one, &e) != E_CANCELLED || http_wait(h, -1, &done, &e) != E_CANCELLED)
		return 3;
	http_close(&h);
	return seconds() - began < 30 ? 0 : 4; /* not the time-outs ended it */
}

static void cancelled_at_once(void **state)
{
	int status;
	(void)state;
	pid_t pid = fork();
	if (pid == 0)
		_exit(cancelled_child());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(where_bytes_begin),
		cmocka_unit_test(what_ends_a_job),
		cmocka_unit_test(as_many_at_a_time_as_are_set),
		cmocka_unit_test(stopped_and_in_between),
		cmocka_unit_test(not_faster_than_the_rate),
		cmocka_unit_test(busy_servers_and_broken_connections_are_asked_again),
		cmocka_unit_test(parallel_calls),
		cmocka_unit_test(a_time_goes_back_as_it_came),
		cmocka_unit_test(cancelled_at_once),
	};
	return cmocka_run_group_tests(tests, start_server, stop_server);
}
