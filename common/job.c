/* job.c -- the lock of a job and the file in which it tells how far it is.
 *
 * The lock is of the open file (F_OFD_SETLK): it goes with its last descriptor, so with the process however that ends, and who
 * asks (F_OFD_GETLK) takes no lock that could be in a beginner's way.  pid and beginning are words inside the file: of a
 * holder that has not written them yet, and of one that wrote garbage, nothing is known but that there is one. */
#include "common/job.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/text.h"

#define LOCK_TEXT 256
#define STATUS_MAX 8192

static int path_of(char out[PATH_MAX], const char *dir, const char *job, const char *kind, struct err *e)
{
	int n = snprintf(out, PATH_MAX, "%s/%s.%s", dir, job, kind);
	return n > 0 && n < PATH_MAX ? E_OK : err_set(e, E_LIMIT, "%s: the path is too long", dir);
}

static ssize_t read_some(int fd, char *to, size_t n)
{
	size_t have = 0;
	ssize_t got = 1;
	while (have < n && got > 0) {
		got = pread(fd, to + have, n - have, (off_t)have);
		have += got > 0 ? (size_t)got : 0;
	}
	return got < 0 ? -1 : (ssize_t)have;
}

static bool write_all(int fd, struct slice s)
{
	while (s.n) {
		ssize_t n = write(fd, s.p, s.n);
		if (n < 0 && errno != EINTR)
			return false;
		s.p += n > 0 ? n : 0;
		s.n -= n > 0 ? (size_t)n : 0;
	}
	return true;
}

bool job_status_value(struct slice text, const char *name, struct slice *out)
{
	while (text.n) {
		struct slice line = text_cut(&text, '\n');
		if (slice_eq(text_cut(&line, ' '), slice_of(name)) && line.p) {
			*out = line;
			return true;
		}
	}
	return false;
}

static int64_t number_in(struct slice text, const char *name)
{
	struct slice v;
	int64_t n;
	return job_status_value(text, name, &v) && text_i64(v, &n) && n > 0 ? n : 0;
}

/* ---- the lock ---- */

static void read_holder(int fd, struct job_holder *out)
{
	char text[LOCK_TEXT];
	ssize_t n = read_some(fd, text, sizeof(text));
	struct slice s = {text, n > 0 ? (size_t)n : 0};
	int64_t pid = number_in(s, "pid");
	*out = (struct job_holder){.pid = pid > 1 && pid <= INT32_MAX ? (long)pid : JOB_UNKNOWN, .began = number_in(s, "began")};
}

static int is_held(const char *dir, const char *job, struct err *e)
{
	struct job_holder h;
	char when[TIME_TEXT + 1] = "";
	int rc = job_who(dir, job, &h, e);
	if (rc != E_OK)
		return rc;
	if (h.pid <= 0)
		return err_set(e, E_BUSY, "another %s job has just begun", job);
	time_text(h.began, when);
	return err_set(e, E_BUSY, "the %s job runs already, as process %ld, since %.10s %.5s UTC", job, h.pid, when, when + 11);
}

static bool say_who(int fd)
{
	char text[LOCK_TEXT];
	int n = snprintf(text, sizeof(text), "pid %ld\nbegan %lld\n", (long)getpid(), (long long)time_now());
	return ftruncate(fd, 0) == 0 && write_all(fd, (struct slice){text, (size_t)n});
}

int job_lock(struct job_lock *l, const char *dir, const char *job, struct err *e)
{
	char path[PATH_MAX];
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	l->fd = -1;
	int rc = path_of(path, dir, job, "lock", e);
	if (rc != E_OK)
		return rc;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return err_errno(e, "%s", path);
	if (fcntl(fd, F_OFD_SETLK, &lock) == 0 && say_who(fd)) {
		l->fd = fd;
		return E_OK;
	}
	rc = errno == EAGAIN || errno == EACCES ? is_held(dir, job, e) : err_errno(e, "%s", path);
	close(fd);
	return rc;
}

void job_unlock(struct job_lock *l)
{
	if (l->fd < 0)
		return;
	if (ftruncate(l->fd, 0) != 0) /* the next holder writes it anyway */
		errno = 0;
	close(l->fd);
	l->fd = -1;
}

int job_who(const char *dir, const char *job, struct job_holder *out, struct err *e)
{
	char path[PATH_MAX];
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	*out = (struct job_holder){0};
	int rc = path_of(path, dir, job, "lock", e);
	if (rc != E_OK)
		return rc;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ? E_OK : err_errno(e, "%s", path);
	rc = fcntl(fd, F_OFD_GETLK, &lock) == 0 ? E_OK : err_errno(e, "%s", path);
	if (rc == E_OK && lock.l_type != F_UNLCK)
		read_holder(fd, out);
	close(fd);
	return rc;
}

/* ---- the status file ---- */

static int write_new(const char *new, struct slice text, struct err *e)
{
	char first[64];
	int n = snprintf(first, sizeof(first), "pid %ld\n", (long)getpid());
	int fd = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return err_errno(e, "%s", new);
	int rc = write_all(fd, (struct slice){first, (size_t)n}) && write_all(fd, text) ? E_OK : err_errno(e, "%s", new);
	close(fd);
	return rc;
}

/* Only the holder of the lock writes, so one name for what is not whole yet is enough.  Nothing is synced to the disk: after a
 * crash of the machine nobody holds the lock, and then nobody reads it. */
int job_status_write(const char *dir, const char *job, struct slice text, struct err *e)
{
	char path[PATH_MAX], new[PATH_MAX];
	int rc = path_of(path, dir, job, "status", e);
	if (rc == E_OK)
		rc = path_of(new, dir, job, "status.new", e);
	if (rc == E_OK)
		rc = write_new(new, text, e);
	if (rc == E_OK && rename(new, path) != 0)
		rc = err_errno(e, "%s", path);
	return rc;
}

void job_status_remove(const char *dir, const char *job)
{
	char path[PATH_MAX];
	if (path_of(path, dir, job, "status", NULL) == E_OK)
		unlink(path);
	if (path_of(path, dir, job, "status.new", NULL) == E_OK)
		unlink(path);
}

static int read_status(const char *path, struct arena *a, struct slice *text, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ? err_set(e, E_NOTFOUND, "%s: there is none", path) : err_errno(e, "%s", path);
	char *p = arena_alloc(a, STATUS_MAX, 1);
	ssize_t n = p ? read_some(fd, p, STATUS_MAX) : -1;
	int rc = !p ? err_set(e, E_NOMEM, "out of memory") : n < 0 ? err_errno(e, "%s", path) : E_OK;
	close(fd);
	if (rc == E_OK)
		*text = (struct slice){p, (size_t)n};
	return rc;
}

int job_status_read(const char *dir, const char *job, struct arena *a, struct slice *text, struct err *e)
{
	char path[PATH_MAX];
	struct job_holder h;
	int rc = job_who(dir, job, &h, e);
	if (rc == E_OK && h.pid == 0)
		return err_set(e, E_NOTFOUND, "nobody runs the %s job", job);
	if (rc == E_OK)
		rc = path_of(path, dir, job, "status", e);
	if (rc == E_OK)
		rc = read_status(path, a, text, e);
	if (rc == E_OK && number_in(*text, "pid") != h.pid)
		return err_set(e, E_NOTFOUND, "%s: left by a job that was killed", path);
	return rc;
}
