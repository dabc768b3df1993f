/* tool.c -- wsus-sync: found, and run in our place, as our child, or in the background. */
#include "ctl/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/job.h"
#include "common/text.h"

#define ARGS_MAX 80
#define PATH_ROOM 4096
#define BEGIN_MS 10000 /* until it has opened the store and taken the lock: a migration of a large store is at work then */
#define LOOK_MS 20
#define RUNS_ALREADY 75

static int find(char to[PATH_ROOM], struct err *e)
{
	static const char *const places[] = {"wsus-sync", "../lib/wsus-fcgi/wsus-sync", "../libexec/wsus-fcgi/wsus-sync"};
	ssize_t n = readlink("/proc/self/exe", to, PATH_ROOM - 64);
	char *base = n > 0 ? memrchr(to, '/', (size_t)n) : NULL;
	for (size_t i = 0; base && i < COUNTOF(places); i++) {
		snprintf(base + 1, 64, "%s", places[i]);
		if (access(to, X_OK) == 0)
			return E_OK;
	}
	return err_set(e, E_NOTFOUND, "wsus-sync is neither beside wsusctl nor in ../lib/wsus-fcgi; install it, or build it with `make`");
}

struct line {
	char path[PATH_ROOM];
	const char *argv[ARGS_MAX];
};

static int make_line(struct ctl *c, const char *job, const char *const *args, const char *form, struct line *l)
{
	unsigned n = 0;
	l->argv[n++] = "wsus-sync";
	l->argv[n++] = job;
	l->argv[n++] = "--store";
	l->argv[n++] = c->store_dir;
	l->argv[n++] = "--content";
	l->argv[n++] = c->content_dir;
	if (form)
		l->argv[n++] = form;
	for (; args && *args; args++) {
		if (n + 1 == ARGS_MAX)
			return err_set(&c->err, E_USAGE, "too many arguments for wsus-sync %s", job);
		l->argv[n++] = *args;
	}
	l->argv[n] = NULL;
	return find(l->path, &c->err);
}

int tool_exec(struct ctl *c, const char *job, const char *const *args)
{
	struct line l;
	int rc = make_line(c, job, args, c->json ? "--json" : NULL, &l);
	if (rc != E_OK)
		return rc;
	fflush(stdout);
	execv(l.path, (char *const *)(uintptr_t)l.argv);
	return err_errno(&c->err, "%s", l.path);
}

static int wait_for(pid_t pid, int *status)
{
	int how;
	while (waitpid(pid, &how, 0) < 0)
		if (errno != EINTR)
			return -1;
	*status = WIFEXITED(how) ? WEXITSTATUS(how) : 128 + WTERMSIG(how);
	return 0;
}

/* Ctrl-C reaches both: the child says what came of it, so we stay. */
int tool_sync(struct ctl *c, const char *job, const char *const *args, int *status)
{
	struct line l;
	struct sigaction ignore = {.sa_handler = SIG_IGN}, was;
	int rc = make_line(c, job, args, NULL, &l);
	if (rc != E_OK)
		return rc;
	ctl_progress_end(c);
	fflush(stdout);
	sigaction(SIGINT, &ignore, &was);
	pid_t pid = fork();
	if (pid == 0) {
		sigaction(SIGINT, &was, NULL);
		if (c->json)
			dup2(STDERR_FILENO, STDOUT_FILENO);
		execv(l.path, (char *const *)(uintptr_t)l.argv);
		_exit(127);
	}
	rc = pid > 0 && wait_for(pid, status) == 0 ? E_OK : err_errno(&c->err, "%s", l.path);
	sigaction(SIGINT, &was, NULL);
	return rc;
}

/* ================= in the background ================= */

/* What it says until it has begun is for whoever started it; afterwards nobody listens. */
static void become(const struct line *l, int words)
{
	int null = open("/dev/null", O_RDWR);
	setsid();
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(words, STDERR_FILENO);
	execv(l->path, (char *const *)(uintptr_t)l->argv);
	_exit(127);
}

#define SAYS "wsus-sync: " /* before each line */

/* The words of one that ended, in one line. */
static void read_words(int fd, char *to, size_t n)
{
	size_t have = 0;
	ssize_t got = 1;
	while (have + 1 < n && got > 0) {
		got = read(fd, to + have, n - 1 - have);
		have += got > 0 ? (size_t)got : 0;
	}
	while (have && to[have - 1] == '\n')
		have--;
	to[have] = '\0';
	for (char *p; (p = strstr(to, SAYS));)
		memmove(p, p + strlen(SAYS), strlen(p + strlen(SAYS)) + 1);
	for (char *p = to; (p = strchr(p, '\n')); p++)
		*p = ';';
}

static int ended_early(struct ctl *c, int words, int how)
{
	char text[400];
	read_words(words, text, sizeof(text));
	if (WIFEXITED(how) && WEXITSTATUS(how) == 0)
		return E_OK;
	return err_set(&c->err, WIFEXITED(how) && WEXITSTATUS(how) == RUNS_ALREADY ? E_BUSY : E_REFUSED, "%s",
		text[0] ? text : "wsus-sync ended without a word");
}

/* Until the lock is its own, or it is gone. */
static int wait_for_begin(struct ctl *c, const char *lock, pid_t pid, int words, long *out)
{
	for (unsigned ms = 0; ms < BEGIN_MS; ms += LOOK_MS) {
		struct job_holder h;
		int how, rc = job_who(c->store_dir, lock, &h, &c->err);
		if (rc != E_OK)
			return rc;
		if (h.pid == (long)pid) {
			*out = pid;
			return E_OK;
		}
		if (waitpid(pid, &how, WNOHANG) == pid)
			return ended_early(c, words, how);
		poll(NULL, 0, LOOK_MS);
	}
	return err_set(&c->err, E_BUSY, "process %ld was started and has not begun yet; `wsusctl %s status` shows it", (long)pid, lock);
}

int tool_detach(struct ctl *c, const char *job, const char *lock, const char *const *args, long *pid)
{
	struct line l;
	int words[2];
	*pid = 0;
	int rc = make_line(c, job, args, "--quiet", &l);
	if (rc != E_OK)
		return rc;
	if (pipe2(words, O_CLOEXEC) != 0)
		return err_errno(&c->err, "a pipe");
	pid_t child = fork();
	if (child == 0)
		become(&l, words[1]);
	close(words[1]);
	rc = child > 0 ? wait_for_begin(c, lock, child, words[0], pid) : err_errno(&c->err, "%s", l.path);
	close(words[0]);
	return rc;
}
