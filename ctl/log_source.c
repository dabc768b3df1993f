/* log_source.c -- a file read from its end, a packed file through gzip, the journal through journalctl.
 * See log_source.h. */
#include "ctl/log_source.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/text.h"

#define BLOCK ((size_t)256 << 10)
#define FILES_MAX 1000 /* rotated daily, nearly three years */

/* ================= from the end of a file ================= */

/* The bytes [at, at + n) of the file that are not given out yet, and their place in room. */
struct backward {
	int fd;
	off_t at;
	size_t n;
	char *room; /* BLOCK + LOG_LINE_MAX */
	bool skip;  /* the line that ends here is too long: what is left of it goes */
};

static int backward_open(struct backward *b, int fd, struct err *e)
{
	*b = (struct backward){.fd = fd, .at = lseek(fd, 0, SEEK_END), .room = malloc(BLOCK + LOG_LINE_MAX)};
	if (!b->room)
		return err_set(e, E_NOMEM, "out of memory");
	return b->at < 0 ? err_errno(e, "a log") : E_OK;
}

static void backward_close(struct backward *b)
{
	free(b->room);
	b->room = NULL;
}

/* Puts the block before what is there. */
static int backward_more(struct backward *b, struct err *e)
{
	size_t want = MIN((size_t)b->at, BLOCK), got = 0;
	if (b->n > LOG_LINE_MAX) {
		b->n = 0;
		b->skip = true;
	}
	memmove(b->room + want, b->room, b->n);
	while (got < want) {
		ssize_t r = pread(b->fd, b->room + got, want - got, b->at - (off_t)want + (off_t)got);
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0) /* cut short meanwhile: what is gone is gone */
			return r < 0 ? err_errno(e, "a log") : E_NOTFOUND;
		got += (size_t)r;
	}
	b->at -= (off_t)want;
	b->n += want;
	return E_OK;
}

/* The line before, without its newline; E_NOTFOUND at the beginning of the file. */
static int backward_next(struct backward *b, struct slice *line, struct err *e)
{
	for (;;) {
		size_t end = b->n && b->room[b->n - 1] == '\n' ? b->n - 1 : b->n;
		b->skip = b->skip && (b->n == 0 || end == b->n); /* else the long line began just here */
		const char *nl = end ? memrchr(b->room, '\n', end) : NULL;
		if (!nl && b->at > 0) {
			int rc = backward_more(b, e);
			if (rc != E_OK)
				return rc;
			continue;
		}
		size_t from = nl ? (size_t)(nl - b->room) + 1 : 0;
		if (b->n == 0)
			return E_NOTFOUND;
		*line = (struct slice){b->room + from, end - from};
		b->n = from;
		if (!b->skip)
			return E_OK;
		b->skip = false;
	}
}

/* ================= what a child says ================= */

struct child {
	pid_t pid;
	int fd;
	char *room; /* LOG_LINE_MAX */
	size_t at, n;
	bool skip, ended;
};

static void become(const char *const *argv, int in, int to)
{
	if (in >= 0)
		dup2(in, STDIN_FILENO);
	dup2(to, STDOUT_FILENO);
	signal(SIGPIPE, SIG_DFL);
	execvp(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

int log_spawn(const char *const *argv, int in, pid_t *pid, int *fd, struct err *e)
{
	int wire[2];
	if (pipe2(wire, O_CLOEXEC) != 0)
		return err_errno(e, "a pipe");
	fflush(NULL);
	*pid = fork();
	if (*pid == 0)
		become(argv, in, wire[1]);
	close(wire[1]);
	*fd = wire[0];
	return *pid < 0 ? err_errno(e, "%s", argv[0]) : E_OK;
}

static int child_open(struct child *c, const char *const *argv, int in, struct err *e)
{
	*c = (struct child){.pid = -1, .fd = -1, .room = malloc(LOG_LINE_MAX)};
	return c->room ? log_spawn(argv, in, &c->pid, &c->fd, e) : err_set(e, E_NOMEM, "out of memory");
}

/* Its exit status; that of one that was still at it, and ended by this, is 0. */
static int child_close(struct child *c)
{
	int st = 0;
	if (c->fd >= 0)
		close(c->fd);
	free(c->room);
	c->room = NULL;
	c->fd = -1;
	if (c->pid <= 0)
		return 0;
	if (!c->ended)
		kill(c->pid, SIGTERM);
	while (waitpid(c->pid, &st, 0) < 0 && errno == EINTR)
		;
	c->pid = -1;
	return !c->ended ? 0 : WIFEXITED(st) ? WEXITSTATUS(st) : 128 + WTERMSIG(st);
}

static bool child_more(struct child *c)
{
	ssize_t r;
	memmove(c->room, c->room + c->at, c->n);
	c->at = 0;
	if (c->n == LOG_LINE_MAX) {
		c->n = 0;
		c->skip = true;
	}
	do
		r = read(c->fd, c->room + c->n, LOG_LINE_MAX - c->n);
	while (r < 0 && errno == EINTR);
	c->n += r > 0 ? (size_t)r : 0;
	c->ended = r <= 0;
	return r > 0;
}

static bool child_next(struct child *c, struct slice *line)
{
	for (;;) {
		const char *from = c->room + c->at, *nl = c->n ? memchr(from, '\n', c->n) : NULL;
		if (!nl && !c->ended && child_more(c))
			continue;
		if (!nl && c->n == 0)
			return false;
		from = c->room + c->at;
		size_t size = nl ? (size_t)(nl - from) : c->n;
		*line = (struct slice){from, size};
		c->at += size + (nl != NULL);
		c->n -= size + (nl != NULL);
		if (!c->skip)
			return true;
		c->skip = false;
	}
}

/* ================= the last lines of a packed file ================= */

struct ring {
	struct slice *line; /* each of its own memory */
	size_t cap, n, next;
};

static int ring_put(struct ring *r, struct slice line, struct err *e)
{
	char *copy = malloc(line.n + 1);
	if (!r->line)
		r->line = calloc(r->cap, sizeof(*r->line));
	if (!copy || !r->line) {
		free(copy);
		return err_set(e, E_NOMEM, "out of memory");
	}
	memcpy(copy, line.p, line.n);
	free((void *)(uintptr_t)r->line[r->next].p);
	r->line[r->next] = (struct slice){copy, line.n};
	r->next = (r->next + 1) % r->cap;
	r->n = MIN(r->n + 1, r->cap);
	return E_OK;
}

static bool ring_take(struct ring *r, struct slice *line)
{
	if (r->n == 0)
		return false;
	r->n--;
	r->next = (r->next + r->cap - 1) % r->cap;
	*line = r->line[r->next];
	return true;
}

static void ring_free(struct ring *r)
{
	for (size_t i = 0; r->line && i < r->cap; i++)
		free((void *)(uintptr_t)r->line[i].p);
	free(r->line);
	r->line = NULL;
	r->n = r->next = 0;
}

/* ================= a source ================= */

struct file {
	char name[256];
	int fd;
	struct timespec changed;
	bool current, packed;
};

struct log_source {
	const struct log_filter *f;
	size_t keep;
	struct file *file; /* newest first */
	size_t nfile, at;
	bool open, journal;
	struct backward back; /* of file[at], or */
	struct ring ring;     /* of file[at] if it is packed */
	struct child child;   /* journalctl */
};

static bool ends_with(const char *name, const char *end)
{
	size_t n = strlen(name), k = strlen(end);
	return n >= k && strcmp(name + n - k, end) == 0;
}

/* BASE.log, BASE.log.1, BASE.log-20261122, BASE.log.2.gz */
static bool is_file_of(const char *name, const char *base)
{
	size_t n = strlen(base);
	return strncmp(name, base, n) == 0 && strncmp(name + n, ".log", 4) == 0 && strchr(".-", name[n + 4] ? name[n + 4] : '.');
}

static int open_file(struct file *to, int dir, const char *dir_name, const char *name, const char *base, struct err *e)
{
	struct stat st;
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT)
		return E_NOTFOUND; /* rotated this moment */
	if (fd < 0 && errno == EACCES)
		return err_set(e, E_REFUSED, "%s/%s: you may not read it; use sudo, or join the group that it belongs to (ls -l)",
			dir_name, name);
	if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		int rc = fd < 0 ? err_errno(e, "%s/%s", dir_name, name) : E_NOTFOUND;
		if (fd >= 0)
			close(fd);
		return rc;
	}
	*to = (struct file){.fd = fd, .changed = st.st_mtim, .packed = ends_with(name, ".gz")};
	snprintf(to->name, sizeof(to->name), "%s", name);
	to->current = strlen(name) == strlen(base) + 4;
	return E_OK;
}

static int newest_first(const void *a, const void *b)
{
	const struct file *x = a, *y = b;
	if (x->current != y->current)
		return x->current ? -1 : 1;
	if (x->changed.tv_sec != y->changed.tv_sec)
		return x->changed.tv_sec > y->changed.tv_sec ? -1 : 1;
	if (x->changed.tv_nsec != y->changed.tv_nsec)
		return x->changed.tv_nsec > y->changed.tv_nsec ? -1 : 1;
	return strcmp(x->name, y->name);
}

static int list_files(struct log_source *s, DIR *d, const char *dir, const char *base, struct err *e)
{
	const struct dirent *entry;
	while ((entry = readdir(d)) != NULL && s->nfile < FILES_MAX) {
		if (!is_file_of(entry->d_name, base))
			continue;
		struct file *more = realloc(s->file, (s->nfile + 1) * sizeof(*more));
		if (!more)
			return err_set(e, E_NOMEM, "out of memory");
		s->file = more;
		int rc = open_file(&more[s->nfile], dirfd(d), dir, entry->d_name, base, e);
		if (rc != E_OK && rc != E_NOTFOUND)
			return rc;
		s->nfile += rc == E_OK;
	}
	return E_OK;
}

static int refuse_directory(const char *dir, struct err *e)
{
	if (errno == EACCES)
		return err_set(e, E_REFUSED, "%s: you may not look into it; use sudo, or join the group that it belongs to (ls -ld)", dir);
	return errno == ENOENT ? E_NOTFOUND : err_errno(e, "%s", dir);
}

int log_source_files(struct log_source **out, const char *dir, const char *base, const struct log_filter *f, size_t keep,
	struct err *e)
{
	DIR *d = opendir(dir);
	*out = NULL;
	if (!d)
		return refuse_directory(dir, e);
	struct log_source *s = calloc(1, sizeof(*s));
	int rc = s ? E_OK : err_set(e, E_NOMEM, "out of memory");
	if (rc == E_OK) {
		*s = (struct log_source){.f = f, .keep = keep, .child = {.pid = -1, .fd = -1}};
		rc = list_files(s, d, dir, base, e);
	}
	closedir(d);
	if (rc == E_OK && s->nfile == 0)
		rc = E_NOTFOUND;
	if (rc == E_OK)
		qsort(s->file, s->nfile, sizeof(*s->file), newest_first);
	*out = s;
	if (rc != E_OK)
		log_source_close(out);
	return rc;
}

void log_units(const char **argv, const char *service)
{
	static const struct {
		const char *service, *option;
	} units[LOG_UNITS] = {{"auth", "--unit=wsus-auth.service"}, {"client", "--unit=wsus-client.service"},
		{"content", "--unit=wsus-content.service"}, {"reporting", "--unit=wsus-reporting.service"},
		{"serversync", "--unit=wsus-serversync.service"}};
	while (*argv)
		argv++;
	for (size_t i = 0; i < LOG_UNITS; i++)
		if (!service || strcmp(service, units[i].service) == 0)
			*argv++ = units[i].option;
	*argv = NULL;
}

int log_source_journal(struct log_source **out, const char *service, const struct log_filter *f, struct err *e)
{
	char since[32] = "--since=@0", until[32] = "--until=now";
	const char *argv[6 + LOG_UNITS + 1] = {"journalctl", "--no-pager", "--output=cat", "--reverse", since, until};
	log_units(argv, service);
	if (f->since)
		snprintf(since, sizeof(since), "--since=@%lld", (long long)(f->since / TICKS_PER_SECOND));
	if (f->until)
		snprintf(until, sizeof(until), "--until=@%lld", (long long)(f->until / TICKS_PER_SECOND + 1));
	struct log_source *s = calloc(1, sizeof(*s));
	*out = s;
	if (!s)
		return err_set(e, E_NOMEM, "out of memory");
	*s = (struct log_source){.f = f, .journal = true, .open = true};
	int rc = child_open(&s->child, argv, -1, e);
	if (rc != E_OK)
		log_source_close(out);
	return rc;
}

/* All of a packed file is read, the last lines that are wanted are kept. */
static int unpack(struct log_source *s, const struct file *file, struct err *e)
{
	static const char *const argv[] = {"gzip", "-dc", NULL};
	struct log_entry entry;
	struct slice line;
	s->ring = (struct ring){.cap = s->keep};
	int rc = child_open(&s->child, argv, file->fd, e);
	while (rc == E_OK && child_next(&s->child, &line))
		if (log_judge(s->f, line, &entry) == LOG_WANTED)
			rc = ring_put(&s->ring, line, e);
	int status = child_close(&s->child);
	if (rc == E_OK && status != 0)
		rc = err_set(e, E_IO, "%s: gzip -dc ended with status %d; the file is damaged, or gzip is not installed", file->name, status);
	return rc;
}

static int open_next(struct log_source *s, struct err *e)
{
	const struct file *file = &s->file[s->at];
	/* Nothing was written to it since: all of it is too old. */
	if (s->f->since && !file->current && file->changed.tv_sec < s->f->since / TICKS_PER_SECOND - 60)
		return E_NOTFOUND;
	s->open = true;
	return file->packed ? unpack(s, file, e) : backward_open(&s->back, file->fd, e);
}

static void close_this(struct log_source *s)
{
	backward_close(&s->back);
	ring_free(&s->ring);
	s->open = false;
	s->at++;
}

static int journal_ended(struct log_source *s, struct err *e)
{
	int status = child_close(&s->child);
	s->open = false;
	if (status == 127)
		return err_set(e, E_REFUSED, "there are no log files of services, and no journalctl; name their directory with --dir");
	if (status != 0)
		return err_set(e, E_REFUSED, "journalctl ended with status %d; if you may not read the journal use sudo", status);
	return E_NOTFOUND;
}

static int raw_next(struct log_source *s, struct slice *line, struct err *e)
{
	if (s->journal)
		return s->open && child_next(&s->child, line) ? E_OK : s->open ? journal_ended(s, e) : E_NOTFOUND;
	while (s->at < s->nfile) {
		int rc = s->open ? E_OK : open_next(s, e);
		if (rc != E_OK)
			return rc;
		if (s->file[s->at].packed)
			rc = ring_take(&s->ring, line) ? E_OK : E_NOTFOUND;
		else
			rc = backward_next(&s->back, line, e);
		if (rc != E_NOTFOUND)
			return rc;
		close_this(s);
	}
	return E_NOTFOUND;
}

int log_source_next(struct log_source *s, struct slice *line, struct log_entry *entry, struct err *e)
{
	int rc;
	while ((rc = raw_next(s, line, e)) == E_OK) {
		enum log_verdict v = log_judge(s->f, *line, entry);
		if (v == LOG_WANTED)
			return E_OK;
		if (v == LOG_TOO_OLD)
			return E_NOTFOUND;
	}
	return rc;
}

void log_source_close(struct log_source **sp)
{
	struct log_source *s = *sp;
	if (!s)
		return;
	backward_close(&s->back);
	ring_free(&s->ring);
	child_close(&s->child);
	for (size_t i = 0; i < s->nfile; i++)
		close(s->file[i].fd);
	free(s->file);
	free(s);
	*sp = NULL;
}
