/* buf.c -- growable bytes with a cap and a sticky result. */
#include "common/buf.h"

#include <stdarg.h>
#include <stdlib.h>

#include "common/arena.h"
#include "common/err.h"

void buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){.max = max};
}

void buf_free(struct buf *b)
{
	free(b->p);
	*b = (struct buf){.max = b->max};
}

void buf_reset(struct buf *b)
{
	b->n = 0;
	b->rc = E_OK;
}

static char *failed(struct buf *b, int rc)
{
	b->rc = rc;
	return NULL;
}

char *buf_grow(struct buf *b, size_t n)
{
	if (b->rc != E_OK)
		return NULL;
	if (n > b->max - b->n)
		return failed(b, E_LIMIT);
	size_t cap = MIN(MAX(MAX(b->cap * 2, b->n + n), (size_t)256), b->max);
	char *p = alloc_should_fail() ? NULL : realloc(b->p, cap);
	if (!p)
		return failed(b, E_NOMEM);
	b->p = p;
	b->cap = cap;
	return p + b->n;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
	if (n == 0)
		return;
	char *to = buf_room(b, n);
	if (!to)
		return;
	memcpy(to, p, n);
	b->n += n;
}

void buf_slice(struct buf *b, struct slice s)
{
	buf_add(b, s.p, s.n);
}

void buf_str(struct buf *b, const char *z)
{
	buf_add(b, z, strlen(z));
}

void buf_char(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	char *to = n < 0 ? NULL : buf_room(b, (size_t)n + 1);
	if (to) {
		vsnprintf(to, (size_t)n + 1, fmt, again);
		b->n += (size_t)n;
	}
	va_end(again);
}
