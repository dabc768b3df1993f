/* serve.c -- a parent that keeps workers alive, workers that serve one request at a time.
 *
 * Start, in this order: directory, log, socket (root may be needed for all), drop, verify that root is gone, no new
 * privileges, no core dumps (keys are in memory), fork.  The parent drops too: it needs nothing of root later.
 *
 * Signals only set flags.  They are blocked everywhere but in the two waits, so that none is lost between a
 * look at the flags and the wait, and no running request is ever cut short by one. */
#include "common/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <malloc.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/channel.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/text.h"

#ifndef WSUS_VERSION
#define WSUS_VERSION "0.1"
#endif

enum {
	BACKLOG = 1024,    /* a full backlog is a bare 502 to clients */
	WORKERS_MIN = 8,   /* some wait for the disk */
	/* Pages of 425 KB to 256 connections: with 2 a core 0.7 times the rate of 4, with 8 or 16 as slow at 1.25 and 1.43
	 * times the CPU time.  More let short requests pass (a handshake beside 64 pages: 2 times the rate), at the same
	 * p99, and take 1 MB each. */
	WORKERS_PER_CPU = 4,
	WORKERS_MAX = 1024,
	IDLE_MS = 5000,
	STOP_MS = 10000,   /* what running requests get before they are killed */
	SHORT_LIFE_MS = 5000, /* a worker that dies sooner is started again later and later */
	BACKOFF_MS = 100,
	BACKOFF_MAX_MS = 30000,
};

/* What the command line says. */
struct settings {
	const char *socket, *user, *directory, *socket_group, *log;
	int workers, ready_fd;
	bool verbose;
};

static int enter(const struct settings *set, struct err *e)
{
	if (set->directory && chdir(set->directory) != 0)
		return err_errno(e, "%s", set->directory);
	return set->log ? log_to_file(set->log, e) : E_OK;
}

/* ---- signals ---- */

static volatile sig_atomic_t got_stop, got_reload;

static void on_signal(int number)
{
	if (number == SIGHUP)
		got_reload = 1;
	else if (number != SIGCHLD)
		got_stop = 1;
}

static const int handled[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};

/* Blocks them; *waiting is the mask for the waits. */
static void take_signals(sigset_t *waiting)
{
	struct sigaction act = {.sa_handler = on_signal};
	sigset_t blocked;
	sigemptyset(&act.sa_mask);
	sigemptyset(&blocked);
	for (size_t i = 0; i < COUNTOF(handled); i++) {
		sigaddset(&blocked, handled[i]);
		sigaction(handled[i], &act, NULL);
	}
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_BLOCK, &blocked, waiting);
	for (size_t i = 0; i < COUNTOF(handled); i++)
		sigdelset(waiting, handled[i]);
}

/* ---- socket ---- */

static bool is_listening(int fd)
{
	int on = 0;
	socklen_t n = sizeof(on);
	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &n) == 0 && on != 0;
}

/* A socket nobody listens on is left over from a crash and may go; a living one may not. */
static int clear_stale(const struct sockaddr_un *at, struct err *e)
{
	struct stat st;
	if (lstat(at->sun_path, &st) != 0)
		return errno == ENOENT ? E_OK : err_errno(e, "%s", at->sun_path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(e, E_REFUSED, "%s is there and is no socket", at->sun_path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_errno(e, "socket");
	bool dead = connect(fd, (const struct sockaddr *)at, sizeof(*at)) != 0 && errno == ECONNREFUSED;
	close(fd);
	if (!dead)
		return err_set(e, E_REFUSED, "%s is in use: another service listens on it", at->sun_path);
	return unlink(at->sun_path) == 0 ? E_OK : err_errno(e, "%s", at->sun_path);
}

static int socket_group(const char *name, gid_t *out, struct err *e)
{
	*out = (gid_t)-1;
	if (!name)
		return E_OK;
	struct group *g = getgrnam(name);
	if (!g)
		return err_set(e, E_USAGE, "no group %s", name);
	*out = g->gr_gid;
	return E_OK;
}

static int bind_socket(int fd, const struct sockaddr_un *at, gid_t group, struct err *e)
{
	mode_t old = umask(0117); /* 0660 from the first moment */
	int rc = bind(fd, (const struct sockaddr *)at, sizeof(*at));
	umask(old);
	if (rc != 0 || chmod(at->sun_path, 0660) != 0)
		return err_errno(e, "%s", at->sun_path);
	if (group != (gid_t)-1 && lchown(at->sun_path, (uid_t)-1, group) != 0)
		return err_errno(e, "%s: cannot give it to the group", at->sun_path);
	return listen(fd, BACKLOG) == 0 ? E_OK : err_errno(e, "%s", at->sun_path);
}

static int open_socket(int *out, const struct settings *set, struct err *e)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	gid_t group;
	if (strlen(set->socket) >= sizeof(at.sun_path))
		return err_set(e, E_USAGE, "socket path longer than %zu bytes: %s", sizeof(at.sun_path) - 1, set->socket);
	memcpy(at.sun_path, set->socket, strlen(set->socket));
	int rc = socket_group(set->socket_group, &group, e);
	if (rc == E_OK)
		rc = clear_stale(&at, e);
	if (rc != E_OK)
		return rc;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_errno(e, "socket");
	rc = bind_socket(fd, &at, group, e);
	if (rc != E_OK)
		close(fd);
	else
		*out = fd;
	return rc;
}

/* Its own socket by -s, else the one that systemd or spawn-fcgi put on fd 0. */
static int get_socket(int *out, const struct settings *set, struct err *e)
{
	if (set->socket)
		return open_socket(out, set, e);
	if (!is_listening(STDIN_FILENO))
		return err_set(e, E_USAGE, "no -s SOCKET, and stdin is no listening socket");
	*out = STDIN_FILENO;
	int flags = fcntl(STDIN_FILENO, F_GETFL);
	if (flags < 0 || fcntl(STDIN_FILENO, F_SETFL, flags | O_NONBLOCK) != 0)
		return err_errno(e, "stdin");
	return E_OK;
}

/* ---- privileges ---- */

static int find_user(const char *spec, struct passwd **user, gid_t *group, struct err *e)
{
	struct slice rest = slice_of(spec), name = text_cut(&rest, ':');
	char z[64];
	snprintf(z, sizeof(z), "%.*s", SLF(name));
	*user = getpwnam(z);
	if (!*user || name.n >= sizeof(z))
		return err_set(e, E_USAGE, "no user %s", z);
	*group = (*user)->pw_gid;
	return rest.p ? socket_group(rest.p, group, e) : E_OK;
}

/* The log goes along: its owner may open the one that comes after it. */
static int drop(const char *spec, const char *log, struct err *e)
{
	struct passwd *user;
	gid_t group;
	if (geteuid() != 0 || !spec)
		return E_OK;
	int rc = find_user(spec, &user, &group, e);
	if (rc != E_OK)
		return rc;
	if (user->pw_uid == 0)
		return err_set(e, E_USAGE, "-u names root");
	if (log && fchown(STDERR_FILENO, user->pw_uid, group) != 0)
		return err_errno(e, "%s: cannot give it to %s", log, spec);
	if (initgroups(user->pw_name, group) != 0 || setgid(group) != 0 || setuid(user->pw_uid) != 0)
		return err_errno(e, "cannot become %s", spec);
	if (setuid(0) == 0 || geteuid() != user->pw_uid || getegid() != group)
		return err_set(e, E_REFUSED, "root came back after the change to %s", spec);
	return E_OK;
}

static int harden(struct err *e)
{
	struct rlimit none = {0, 0};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return err_errno(e, "no_new_privs");
	if (setrlimit(RLIMIT_CORE, &none) != 0)
		return err_errno(e, "core limit");
#ifndef ARENA_DEBUG /* the leak checker of sanitizer builds traces its own process */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return err_errno(e, "dumpable");
#endif
	return E_OK;
}

/* ---- worker ---- */

struct worker {
	const struct serve_ops *ops;
	struct channel *channel;
	struct arena arena;
	struct buf body;
	void *own; /* what start() made */
	bool started, spoilt;
	uint64_t served, served_before; /* requests; as of the last time between them */
	int64_t last_idle;
};

static const struct {
	const char *name;
	uint16_t at;
} params[] = { /* a later name of the same field counts if the earlier is absent */
	{"REQUEST_METHOD", offsetof(struct request, method)},
	{"SCRIPT_NAME", offsetof(struct request, path)},
	{"DOCUMENT_URI", offsetof(struct request, path)},
	{"QUERY_STRING", offsetof(struct request, query)},
	{"CONTENT_TYPE", offsetof(struct request, content_type)},
	{"HTTP_SOAPACTION", offsetof(struct request, soap_action)},
	{"HTTP_ACCEPT_ENCODING", offsetof(struct request, accept_encoding)},
	{"HTTP_HOST", offsetof(struct request, host)},
	{"REQUEST_SCHEME", offsetof(struct request, scheme)},
	{"SERVER_NAME", offsetof(struct request, server_name)},
	{"SERVER_PORT", offsetof(struct request, server_port)},
	{"REMOTE_ADDR", offsetof(struct request, peer)},
};

static void read_params(struct request *r, const struct channel *c)
{
	for (size_t i = 0; i < COUNTOF(params); i++) {
		struct slice *field = (void *)((char *)r + params[i].at);
		if (field->n == 0)
			*field = channel_param(c, params[i].name);
	}
	if (!r->scheme.p && text_ieq(channel_param(c, "HTTPS"), SL("on")))
		r->scheme = SL("https");
}

static void read_sized(struct request *r, struct worker *w, size_t want)
{
	char *to = buf_room(&w->body, want);
	r->body_too_large = !to;
	if (!to)
		return;
	w->body.n = channel_read(w->channel, to, want);
	r->body_short = w->body.n < want;
}

/* No length: until the peer ends it. */
static void read_unsized(struct request *r, struct worker *w)
{
	char part[8192];
	size_t n;
	do {
		n = channel_read(w->channel, part, sizeof(part));
		buf_add(&w->body, part, n);
	} while (n == sizeof(part) && w->body.rc == E_OK);
	r->body_too_large = w->body.rc != E_OK;
}

static void read_body(struct request *r, struct worker *w)
{
	struct slice length = channel_param(w->channel, "CONTENT_LENGTH");
	uint64_t want;
	if (length.n == 0) {
		if (r->method.n > 0 && !text_ieq(r->method, SL("GET")) && !text_ieq(r->method, SL("HEAD")))
			read_unsized(r, w);
	} else if (!text_u64(length, &want)) {
		r->body_short = true;
	} else if (want > w->body.max) {
		r->body_too_large = true; /* not read at all: nothing would look at it */
	} else if (want > 0) {
		read_sized(r, w, (size_t)want);
	}
	r->body = buf_bytes(&w->body);
}

static void release(struct worker *w)
{
	if (w->body.cap > LIMIT_BODY_KEPT)
		buf_free(&w->body);
	buf_reset(&w->body);
	arena_reset(&w->arena);
}

/* The request whose parameters the channel has. */
static bool serve_one(struct worker *w)
{
	struct request r = {.a = &w->arena, .id = (uint64_t)getpid() << 32 | (uint32_t)++w->served};
	struct answer a = {.status = 500};
	read_params(&r, w->channel);
	read_body(&r, w);
	w->ops->handle(w->own, &r, &a);
	bool ok = channel_send(w->channel, &a);
	if (!ok)
		log_line(LOG_WARN, "request %016llx: the peer went away before %llu bytes were sent", (unsigned long long)r.id,
			(unsigned long long)a.length);
	w->spoilt = a.last;
	if (w->ops->sent && !w->spoilt)
		w->ops->sent(w->own, ok);
	release(w);
	channel_finish(w->channel);
	return ok;
}

/* A freed body or reply goes back to the kernel instead of staying in this worker for life. */
static void bound_heap(void)
{
#ifdef M_MMAP_THRESHOLD
	mallopt(M_MMAP_THRESHOLD, (int)ARENA_KEEP / 2);
	mallopt(M_TRIM_THRESHOLD, (int)ARENA_KEEP);
#endif
}

static int worker_start(struct worker *w, const struct serve_ops *ops, struct err *e)
{
	*w = (struct worker){.ops = ops, .last_idle = time_monotonic_ms()};
	bound_heap();
	arena_init(&w->arena, LIMIT_REQUEST_MEMORY);
	buf_init(&w->body, ops->body ? ops->body : LIMIT_BODY);
	int rc = ops->start ? ops->start(&w->own, e) : E_OK;
	w->started = rc == E_OK;
	return rc;
}

static void worker_stop(struct worker *w)
{
	if (w->started && w->ops->stop)
		w->ops->stop(&w->own);
	channel_close(&w->channel);
	arena_free(&w->arena);
	buf_free(&w->body);
}

/* Between requests: housekeeping, when it is time for it. */
static void maybe_idle(struct worker *w)
{
	if (time_monotonic_ms() - w->last_idle < IDLE_MS)
		return;
	if (w->body.cap > ARENA_KEEP && w->served == w->served_before)
		buf_free(&w->body);
	w->served_before = w->served;
	if (w->ops->idle)
		w->ops->idle(w->own);
	w->last_idle = time_monotonic_ms();
}

/* Exclusive: a connection wakes one of the waiting workers, not all of them. */
static int watch(int listen_fd, struct err *e)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLEXCLUSIVE};
	int fd = epoll_create1(EPOLL_CLOEXEC);
	if (fd < 0 || epoll_ctl(fd, EPOLL_CTL_ADD, listen_fd, &ev) != 0)
		return (void)err_errno(e, "epoll"), -1;
	return fd;
}

static void worker_loop(struct worker *w, int epoll_fd, int listen_fd, const sigset_t *waiting)
{
	while (!got_stop && !w->spoilt) {
		struct epoll_event ev;
		int64_t left = w->last_idle + IDLE_MS - time_monotonic_ms();
		int n = epoll_pwait(epoll_fd, &ev, 1, (int)MAX(left, (int64_t)0), waiting);
		if (n > 0 && !got_stop && channel_accept(w->channel, listen_fd))
			serve_one(w);
		if (!w->spoilt)
			maybe_idle(w);
	}
}

/* The reader may be content with another worker's byte and gone. */
static void say_ready(int fd)
{
	if (fd >= 0 && write(fd, "1", 1) != 1)
		log_line(LOG_DEBUG, "nobody waits for this worker");
	if (fd >= 0)
		close(fd);
}

static int worker_main(const struct serve_ops *ops, int listen_fd, int ready_fd, const sigset_t *waiting)
{
	struct worker w;
	struct err e = {0};
	signal(SIGHUP, SIG_IGN); /* the parent replaces us */
	int rc = worker_start(&w, ops, &e), epoll_fd = -1;
	if (rc == E_OK)
		rc = channel_open(&w.channel, &e);
	if (rc == E_OK && (epoll_fd = watch(listen_fd, &e)) < 0)
		rc = E_IO;
	if (rc == E_OK) {
		say_ready(ready_fd);
		worker_loop(&w, epoll_fd, listen_fd, waiting);
	} else {
		log_line(LOG_ERROR, "worker does not start: %s", e.text);
	}
	if (w.spoilt)
		_exit(SERVE_AGAIN);
	worker_stop(&w);
	return rc == E_OK ? 0 : 1;
}

static int cgi_main(const struct serve_ops *ops, const struct settings *set)
{
	struct worker w = {.ops = ops};
	struct err e = {0};
	bool ok = false;
	signal(SIGPIPE, SIG_IGN);
	int rc = enter(set, &e);
	if (rc == E_OK)
		rc = harden(&e);
	if (rc == E_OK)
		rc = worker_start(&w, ops, &e);
	if (rc == E_OK)
		rc = channel_open_cgi(&w.channel, &e);
	if (rc == E_OK)
		ok = serve_one(&w);
	if (w.spoilt)
		_exit(ok ? 0 : 1);
	worker_stop(&w);
	if (rc != E_OK)
		log_line(LOG_ERROR, "%s", e.text);
	return ok ? 0 : 1;
}

/* ---- parent ---- */

struct slot {
	pid_t pid;        /* 0: none runs */
	int64_t started;  /* ms, monotonic */
	int64_t due;      /* when to start the next, if none runs */
	unsigned deaths;  /* in a row, each after a short life */
	bool old, leaving; /* to be replaced; told to go */
};

struct parent {
	const struct serve_ops *ops;
	struct slot *slot;
	int nslot;
	int listen_fd, ready_fd;
	sigset_t waiting;
};

static void spawn(struct parent *p, struct slot *s)
{
	pid_t parent = getpid(), pid = fork();
	if (pid == 0) {
		/* A worker must not outlive its parent: it would hold the socket. */
		prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
		got_reload = 0;
		if (getppid() != parent)
			got_stop = 1;
		exit(worker_main(p->ops, p->listen_fd, p->ready_fd, &p->waiting));
	}
	if (pid < 0) {
		log_line(LOG_ERROR, "cannot fork: %s", strerror(errno));
		s->due = time_monotonic_ms() + BACKOFF_MAX_MS / 10;
		return;
	}
	*s = (struct slot){.pid = pid, .started = time_monotonic_ms(), .deaths = s->deaths};
}

/* At once after a long life, else after 100, 200, 400 ... ms. */
static void plan_next(struct slot *s)
{
	int64_t now = time_monotonic_ms();
	s->pid = 0;
	s->deaths = now - s->started < SHORT_LIFE_MS ? s->deaths + 1 : 0;
	s->due = now + (s->deaths ? MIN((int64_t)BACKOFF_MS << MIN(s->deaths - 1, 16u), (int64_t)BACKOFF_MAX_MS) : 0);
}

static void bury(struct parent *p, pid_t pid, int status)
{
	for (int i = 0; i < p->nslot; i++) {
		struct slot *s = &p->slot[i];
		if (s->pid != pid)
			continue;
		if (s->leaving) {
			*s = (struct slot){0};
			return;
		}
		if (WIFEXITED(status) && WEXITSTATUS(status) == SERVE_AGAIN) {
			*s = (struct slot){0};
			return;
		}
		plan_next(s);
		if (WIFSIGNALED(status))
			log_line(LOG_ERROR, "worker %d died of signal %d", (int)pid, WTERMSIG(status));
		else
			log_line(LOG_ERROR, "worker %d ended with status %d", (int)pid, WEXITSTATUS(status));
	}
}

static void reap(struct parent *p)
{
	int status;
	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
		bury(p, pid, status);
}

static void start_due(struct parent *p)
{
	int64_t now = time_monotonic_ms();
	for (int i = 0; i < p->nslot; i++)
		if (p->slot[i].pid == 0 && p->slot[i].due <= now)
			spawn(p, &p->slot[i]);
}

/* One at a time, so that the others go on serving. */
static void replace_one(struct parent *p)
{
	struct slot *next = NULL;
	for (int i = 0; i < p->nslot; i++) {
		if (p->slot[i].leaving)
			return;
		if (!next && p->slot[i].old && p->slot[i].pid)
			next = &p->slot[i];
	}
	if (!next)
		return;
	next->leaving = true;
	kill(next->pid, SIGTERM);
}

static void begin_reload(struct parent *p)
{
	got_reload = 0;
	log_line(LOG_NOTICE, "replacing the workers");
	for (int i = 0; i < p->nslot; i++)
		p->slot[i].old = p->slot[i].pid != 0;
}

/* Until a signal, or `ms` have passed. */
static void wait_ms(struct parent *p, int64_t ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	(void)ppoll(NULL, 0, &t, &p->waiting);
}

static int64_t next_due(const struct parent *p)
{
	int64_t due = INT64_MAX;
	for (int i = 0; i < p->nslot; i++)
		if (p->slot[i].pid == 0)
			due = MIN(due, p->slot[i].due);
	return due == INT64_MAX ? 60000 : MAX(due - time_monotonic_ms(), (int64_t)1);
}

static int signal_workers(struct parent *p, int number)
{
	int n = 0;
	for (int i = 0; i < p->nslot; i++)
		if (p->slot[i].pid) {
			p->slot[i].leaving = true;
			kill(p->slot[i].pid, number);
			n++;
		}
	return n;
}

static int running(const struct parent *p)
{
	int n = 0;
	for (int i = 0; i < p->nslot; i++)
		n += p->slot[i].pid != 0;
	return n;
}

static void stop_all(struct parent *p)
{
	int64_t end = time_monotonic_ms() + STOP_MS;
	signal_workers(p, SIGTERM);
	for (reap(p); running(p) > 0 && time_monotonic_ms() < end; reap(p))
		wait_ms(p, end - time_monotonic_ms());
	int left = signal_workers(p, SIGKILL);
	if (left > 0)
		log_line(LOG_WARN, "killed %d workers whose requests did not end", left);
	while (running(p) > 0) {
		int status;
		pid_t pid = waitpid(-1, &status, 0);
		if (pid < 0 && errno != EINTR)
			break;
		bury(p, pid, status);
	}
}

static int parent_main(struct parent *p)
{
	start_due(p);
	if (p->ready_fd >= 0)
		close(p->ready_fd); /* the workers' copies say it; if they all fail the reader sees the end */
	p->ready_fd = -1;
	while (!got_stop) {
		wait_ms(p, next_due(p));
		reap(p);
		if (got_reload)
			begin_reload(p);
		if (!got_stop)
			start_due(p);
		replace_one(p);
	}
	stop_all(p);
	return 0;
}

/* ---- command line ---- */

#define OPTIONS "s:w:u:C:g:l:R:fvVh"

static int default_workers(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	return (int)MIN(MAX(cpus * WORKERS_PER_CPU, (long)WORKERS_MIN), (long)WORKERS_MAX);
}

static void print_help(const struct serve_ops *ops)
{
	printf("usage: %s -s SOCKET [options]\n"
	       "  -s SOCKET        listen there (mode 0660); default: the socket on stdin\n"
	       "  -g GROUP         group of the socket\n"
	       "  -w N             workers, 1 to %d; default %d here\n"
	       "  -u USER[:GROUP]  become this user after the socket is open (when started as root)\n"
	       "  -C DIR           go there first; all paths, -s too, are relative to it\n"
	       "  -l FILE          log there instead of to standard error; FILE may be renamed away at any time\n"
	       "  -R FD            each worker writes a byte to FD when it serves\n"
	       "  -f               stay in the foreground: always so\n"
	       "  -v               log more\n"
	       "  -V, -h           version, this help\n"
	       "SIGTERM stops after the running requests, SIGHUP replaces the workers.\n"
	       "Without -s and with REQUEST_METHOD in the environment: one request as CGI.\n",
		ops->name, WORKERS_MAX, default_workers());
	if (ops->usage)
		printf("%s", ops->usage);
}

static int number(const char *arg, int low, int high, int *out, char option, struct err *e)
{
	int32_t v;
	if (!text_i32(slice_of(arg), &v) || v < low || v > high)
		return err_set(e, E_USAGE, "-%c takes a number from %d to %d", option, low, high);
	*out = v;
	return E_OK;
}

enum { DONE = -1 }; /* an option that ends the program */

static int take_option(struct settings *set, const struct serve_ops *ops, int c, struct err *e)
{
	switch (c) {
	case 's': set->socket = optarg; return E_OK;
	case 'g': set->socket_group = optarg; return E_OK;
	case 'u': set->user = optarg; return E_OK;
	case 'C': set->directory = optarg; return E_OK;
	case 'l': set->log = optarg; return E_OK;
	case 'w': return number(optarg, 1, WORKERS_MAX, &set->workers, 'w', e);
	case 'R': return number(optarg, 0, 1 << 20, &set->ready_fd, 'R', e);
	case 'f': return E_OK;
	case 'v': set->verbose = true; return E_OK;
	case 'V': printf("%s %s\n", ops->name, WSUS_VERSION); return DONE;
	case 'h': print_help(ops); return DONE;
	case '?': return err_set(e, E_USAGE, "see %s -h", ops->name);
	default: return ops->option ? ops->option(c, optarg, e) : err_set(e, E_USAGE, "see %s -h", ops->name);
	}
}

static int read_options(struct settings *set, int argc, char **argv, const struct serve_ops *ops, struct err *e)
{
	char all[128];
	snprintf(all, sizeof(all), OPTIONS "%s", ops->options ? ops->options : "");
	*set = (struct settings){.workers = default_workers(), .ready_fd = -1};
	optind = 1;
	for (int c; (c = getopt(argc, argv, all)) != -1;) {
		int rc = take_option(set, ops, c, e);
		if (rc != E_OK)
			return rc;
	}
	return optind == argc ? E_OK : err_set(e, E_USAGE, "what is %s?", argv[optind]);
}

/* Directory, log, socket, drop: see the head of this file. */
static int prepare(struct parent *p, const struct settings *set, struct err *e)
{
	int rc = enter(set, e);
	if (rc == E_OK)
		rc = get_socket(&p->listen_fd, set, e);
	if (rc == E_OK)
		rc = drop(set->user, set->log, e);
	if (rc == E_OK)
		rc = harden(e);
	if (rc != E_OK)
		return rc;
	p->nslot = set->workers;
	p->ready_fd = set->ready_fd;
	p->slot = calloc((size_t)p->nslot, sizeof(*p->slot));
	return p->slot ? E_OK : err_set(e, E_NOMEM, "no memory for %d workers", p->nslot);
}

static int serve_fastcgi(const struct serve_ops *ops, const struct settings *set, struct err *e)
{
	struct parent p = {.ops = ops, .listen_fd = -1};
	take_signals(&p.waiting);
	int rc = prepare(&p, set, e);
	if (rc == E_OK) {
		log_line(LOG_NOTICE, "%d workers on %s", p.nslot, set->socket ? set->socket : "stdin");
		parent_main(&p);
		log_line(LOG_NOTICE, "stopped");
	}
	/* May fail after the drop; the next start clears what is left. */
	if (set->socket && p.listen_fd >= 0)
		(void)unlink(set->socket);
	free(p.slot);
	return rc;
}

int serve_main(int argc, char **argv, const struct serve_ops *ops)
{
	struct settings set;
	struct err e = {0};
	log_init(ops->name, LOG_NOTICE);
	int rc = read_options(&set, argc, argv, ops, &e);
	if (rc == DONE)
		return 0;
	if (rc == E_OK) {
		log_init(ops->name, set.verbose ? LOG_DEBUG : LOG_NOTICE);
		if (!set.socket && !is_listening(STDIN_FILENO) && getenv("REQUEST_METHOD"))
			return cgi_main(ops, &set);
		rc = serve_fastcgi(ops, &set, &e);
	}
	if (rc == E_OK)
		return 0;
	log_line(LOG_ERROR, "%s", e.text[0] ? e.text : err_name(rc));
	return rc == E_USAGE ? 2 : 1;
}
