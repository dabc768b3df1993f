/* log_follow.c -- looks at each file four times a second; another one under its name is read after the rest of the old one.
 * See log_follow.h. */
#include "ctl/log_follow.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOOK_NS 250000000
#define LOOKS_BEHIND 8 /* 2 s */
#define BATCH 256
#define TAILS (LOG_UNITS + 2) /* a file of each service, nginx's, and the journal */

struct tail {
	char *path; /* NULL: the journal */
	int fd;
	char *room; /* LOG_LINE_MAX: a line that has begun */
	size_t n;
	bool skip;        /* it is too long */
	unsigned leaving; /* so many looks ago another file had the name */
};

struct follower {
	const struct log_filter *f;
	int (*fn)(const struct slice *, size_t, void *);
	void *arg;
	struct err *e;
	struct tail tail[TAILS];
	size_t ntail;
	pid_t journal;
	char *given[BATCH]; /* copies of lines that are wanted */
	struct slice line[BATCH];
	size_t n;
};

static int give(struct follower *w)
{
	int rc = w->n ? w->fn(w->line, w->n, w->arg) : E_OK;
	while (w->n)
		free(w->given[--w->n]);
	return rc;
}

static int take(struct follower *w, struct slice line)
{
	struct log_entry entry;
	if (log_judge(w->f, line, &entry) != LOG_WANTED)
		return E_OK;
	w->given[w->n] = malloc(line.n + 1);
	if (!w->given[w->n])
		return err_set(w->e, E_NOMEM, "out of memory");
	memcpy(w->given[w->n], line.p, line.n);
	w->line[w->n] = (struct slice){w->given[w->n], line.n};
	return ++w->n < BATCH ? E_OK : give(w);
}

/* The whole lines in room go, what has begun moves to its start. */
static int split(struct follower *w, struct tail *t)
{
	const char *from = t->room, *end = t->room + t->n, *nl;
	int rc = E_OK;
	for (; rc == E_OK && (nl = memchr(from, '\n', (size_t)(end - from))) != NULL; from = nl + 1) {
		if (!t->skip)
			rc = take(w, (struct slice){from, (size_t)(nl - from)});
		t->skip = false;
	}
	t->n = (size_t)(end - from);
	memmove(t->room, from, t->n);
	if (t->n == LOG_LINE_MAX) {
		t->n = 0;
		t->skip = true;
	}
	return rc;
}

/* *ended: there is nothing more, and of a child never will be. */
static int read_all(struct follower *w, struct tail *t, bool *ended)
{
	*ended = t->fd < 0;
	while (t->fd >= 0) {
		ssize_t r = read(t->fd, t->room + t->n, LOG_LINE_MAX - t->n);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return errno == EAGAIN ? E_OK : err_errno(w->e, "%s", t->path ? t->path : "the journal");
		*ended = r == 0;
		if (r == 0)
			return E_OK;
		t->n += (size_t)r;
		int rc = split(w, t);
		if (rc != E_OK)
			return rc;
	}
	return E_OK;
}

static bool is_replaced(const struct tail *t)
{
	struct stat have, now;
	if (stat(t->path, &now) != 0)
		return false;
	return t->fd < 0 || fstat(t->fd, &have) != 0 || have.st_ino != now.st_ino || have.st_dev != now.st_dev;
}

static void open_new(struct tail *t)
{
	int fd = open(t->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return; /* gone again: the next look */
	if (t->fd >= 0)
		close(t->fd);
	*t = (struct tail){.path = t->path, .fd = fd, .room = t->room};
}

/* A service looks once a second whether its file was renamed, nginx writes to the old one until it is told. */
static int look_at(struct follower *w, struct tail *t)
{
	bool ended;
	int rc = read_all(w, t, &ended);
	if (rc == E_OK && !t->path && ended)
		return err_set(w->e, E_REFUSED, "journalctl ended; if you may not read the journal use sudo");
	if (rc != E_OK || !t->path || !is_replaced(t))
		return rc;
	if (t->fd >= 0 && t->leaving++ < LOOKS_BEHIND)
		return E_OK;
	open_new(t);
	return read_all(w, t, &ended);
}

/* ---- begin and end ---- */

static int add(struct follower *w, struct tail **out, struct err *e)
{
	ASSERT(w->ntail < TAILS);
	struct tail *t = &w->tail[w->ntail++];
	*t = (struct tail){.fd = -1, .room = malloc(LOG_LINE_MAX)};
	*out = t;
	return t->room ? E_OK : err_set(e, E_NOMEM, "out of memory");
}

/* May be absent as yet. */
static int add_file(struct follower *w, char *path, struct err *e)
{
	struct tail *t = NULL;
	int rc = path ? add(w, &t, e) : err_set(e, E_NOMEM, "out of memory");
	if (rc != E_OK) {
		free(path);
		return rc;
	}
	t->path = path;
	t->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (t->fd < 0 && errno == EACCES)
		return err_set(e, E_REFUSED, "%s: you may not read it; use sudo, or join the group that it belongs to (ls -l)", path);
	return t->fd < 0 || lseek(t->fd, 0, SEEK_END) >= 0 ? E_OK : err_errno(e, "%s", path);
}

static int add_journal(struct follower *w, const char *service, struct err *e)
{
	const char *argv[5 + LOG_UNITS + 1] = {"journalctl", "--no-pager", "--output=cat", "--follow", "--lines=0"};
	struct tail *t;
	log_units(argv, service);
	int rc = add(w, &t, e);
	if (rc == E_OK)
		rc = log_spawn(argv, -1, &w->journal, &t->fd, e);
	return rc != E_OK || fcntl(t->fd, F_SETFL, O_NONBLOCK) == 0 ? rc : err_errno(e, "a pipe");
}

static char *path_of(const char *dir, const char *service)
{
	char *path;
	return asprintf(&path, "%s/%s.log", dir, log_service_base(service)) < 0 ? NULL : path;
}

static bool is_wanted(const struct log_places *p, const char *service)
{
	return !p->service || strcmp(p->service, service) == 0;
}

/* Services that are wanted and have no file speak to the journal. */
static bool is_journal(const struct log_places *p)
{
	bool wanted = false;
	for (const char *const *s = log_services; *s; s++) {
		if (!log_service_unit(*s) || !is_wanted(p, *s))
			continue;
		char *path = path_of(p->dir, *s);
		bool there = !path || access(path, F_OK) == 0 || errno == EACCES;
		free(path);
		if (there)
			return false;
		wanted = true;
	}
	return wanted;
}

static int begin(struct follower *w, const struct log_places *p, struct err *e)
{
	bool journal = is_journal(p);
	int rc = E_OK;
	for (const char *const *s = log_services; rc == E_OK && *s; s++)
		if (is_wanted(p, *s) && !(journal && log_service_unit(*s)))
			rc = add_file(w, path_of(p->dir, *s), e);
	return rc == E_OK && journal ? add_journal(w, p->service, e) : rc;
}

static void end(struct follower *w)
{
	for (size_t i = 0; i < w->ntail; i++) {
		if (w->tail[i].fd >= 0)
			close(w->tail[i].fd);
		free(w->tail[i].room);
		free(w->tail[i].path);
	}
	if (w->journal > 0) {
		kill(w->journal, SIGTERM);
		while (waitpid(w->journal, NULL, 0) < 0 && errno == EINTR)
			;
	}
	while (w->n)
		free(w->given[--w->n]);
}

static int loop(struct follower *w)
{
	static const struct timespec pause = {.tv_nsec = LOOK_NS};
	sigset_t ends;
	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	int rc = E_OK;
	do {
		for (size_t i = 0; rc == E_OK && i < w->ntail; i++)
			rc = look_at(w, &w->tail[i]);
		if (rc == E_OK)
			rc = give(w);
	} while (rc == E_OK && sigtimedwait(&ends, NULL, &pause) < 0);
	return rc;
}

int log_follow(const struct log_places *p, const struct log_filter *f, int (*fn)(const struct slice *line, size_t n, void *arg), void *arg,
	struct err *e)
{
	struct follower *w = calloc(1, sizeof(*w));
	if (!w)
		return err_set(e, E_NOMEM, "out of memory");
	*w = (struct follower){.f = f, .fn = fn, .arg = arg, .e = e};
	int rc = begin(w, p, e);
	if (rc == E_OK)
		rc = loop(w);
	end(w);
	free(w);
	return rc;
}
