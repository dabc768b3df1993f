/* spool.c -- the file has the bytes up to `filed`, memory those behind: what is large is written a megabyte at a time. */
#include "sync/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/arena.h"

#define FIRST ((size_t)4 << 10) /* most answers are smaller */

struct spool {
	const char *dir;
	uint64_t max, filed;
	char *p;
	size_t n, cap;
	int fd; /* -1: no file */
};

int spool_new(struct spool **out, const char *dir, uint64_t max, struct err *e)
{
	struct spool *s = alloc_should_fail() ? NULL : calloc(1, sizeof(*s));
	*out = s;
	if (!s)
		return err_set(e, E_NOMEM, "no memory for an answer");
	s->dir = dir;
	s->max = max;
	s->fd = -1;
	return E_OK;
}

void spool_reset(struct spool *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	s->n = 0;
	s->filed = 0;
}

void spool_free(struct spool **s)
{
	if (!*s)
		return;
	spool_reset(*s);
	free((*s)->p);
	free(*s);
	*s = NULL;
}

uint64_t spool_size(const struct spool *s)
{
	return s->filed + s->n;
}

/* ---- the file: without a name from its first moment, or, where the file system cannot do that, from its second ---- */

static int open_named(const char *dir)
{
	char name[4096];
	int n = snprintf(name, sizeof(name), "%s/.spool.XXXXXX", dir);
	int fd = n > 0 && (size_t)n < sizeof(name) ? mkostemp(name, O_CLOEXEC) : -1;
	if (fd >= 0)
		unlink(name);
	return fd;
}

static int open_file(struct spool *s, struct err *e)
{
	s->fd = open(s->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (s->fd < 0)
		s->fd = open_named(s->dir);
	return s->fd >= 0 ? E_OK : err_errno(e, "%s: a file for a large answer", s->dir);
}

static int write_out(struct spool *s, struct err *e)
{
	int rc = s->fd >= 0 ? E_OK : open_file(s, e);
	for (size_t done = 0; rc == E_OK && done < s->n;) {
		ssize_t n = pwrite(s->fd, s->p + done, s->n - done, (off_t)(s->filed + done));
		if (n > 0)
			done += (size_t)n;
		else if (n == 0 || errno != EINTR)
			rc = err_errno(e, "%s: a large answer (%ju bytes so far)", s->dir, (uintmax_t)spool_size(s));
	}
	if (rc != E_OK)
		return rc;
	s->filed += s->n;
	s->n = 0;
	return E_OK;
}

/* ---- memory ---- */

static int grow(struct spool *s, size_t more, struct err *e)
{
	size_t cap = MAX(s->cap, FIRST);
	while (cap < SPOOL_MEMORY && cap < s->n + more)
		cap *= 2;
	if (cap == s->cap)
		return E_OK;
	char *p = alloc_should_fail() ? NULL : realloc(s->p, cap);
	if (!p)
		return err_set(e, E_NOMEM, "no memory for an answer");
	s->p = p;
	s->cap = cap;
	return E_OK;
}

int spool_add(struct spool *s, const void *p, size_t n, struct err *e)
{
	const char *from = p;
	if (n > s->max - spool_size(s))
		return err_set(e, E_LIMIT, "more than %ju bytes", (uintmax_t)s->max);
	while (n > 0) {
		int rc = grow(s, MIN(n, SPOOL_MEMORY), e);
		if (rc == E_OK && s->n == s->cap)
			rc = write_out(s, e);
		if (rc != E_OK)
			return rc;
		size_t part = MIN(n, s->cap - s->n);
		memcpy(s->p + s->n, from, part);
		s->n += part;
		from += part;
		n -= part;
	}
	return E_OK;
}

/* ---- reading ---- */

static ptrdiff_t read_file(struct spool *s, uint64_t at, char *to, size_t n, struct err *e)
{
	ssize_t got;
	do
		got = pread(s->fd, to, (size_t)MIN((uint64_t)n, s->filed - at), (off_t)at);
	while (got < 0 && errno == EINTR);
	if (got > 0)
		return got;
	if (got == 0)
		errno = EIO; /* it was longer */
	err_errno(e, "%s: reading a large answer", s->dir);
	return -1;
}

ptrdiff_t spool_read(struct spool *s, uint64_t at, char *to, size_t n, struct err *e)
{
	if (at >= spool_size(s) || n == 0)
		return 0;
	if (at < s->filed)
		return read_file(s, at, to, n, e);
	size_t part = MIN(n, s->n - (size_t)(at - s->filed));
	memcpy(to, s->p + (at - s->filed), part);
	return (ptrdiff_t)part;
}

ptrdiff_t spool_refill(void *reader, char *to, size_t n, struct err *e)
{
	struct spool_reader *r = reader;
	uint64_t left = r->at < r->end ? r->end - r->at : 0;
	ptrdiff_t got = spool_read(r->s, r->at, to, (size_t)MIN((uint64_t)n, left), e);
	if (got > 0)
		r->at += (uint64_t)got;
	return got;
}
