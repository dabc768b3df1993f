/* buf.h -- growable bytes with a maximum given at birth.
 *
 * Sticky: the first failure (E_LIMIT at the maximum, E_NOMEM) is kept in rc and refuses all later writes, so
 * that a series is checked once.  The bytes belong to the buffer; slices of it die with the next write. */
#ifndef COMMON_BUF_H
#define COMMON_BUF_H

#include "common/base.h"

struct buf {
	char *p;
	size_t n, cap, max;
	int rc; /* E_OK (0), E_LIMIT, E_NOMEM */
};

void buf_init(struct buf *b, size_t max);
void buf_free(struct buf *b);
/* Empties, keeps the memory, clears rc. */
void buf_reset(struct buf *b);

/* Makes room for n more bytes; NULL on failure.  For buf_room() alone. */
char *buf_grow(struct buf *b, size_t n);
/* Room for n more bytes at b->p + b->n, or NULL; the caller adds to b->n what it wrote. */
static inline char *buf_room(struct buf *b, size_t n)
{
	return b->rc == 0 && n <= b->cap - b->n ? b->p + b->n : buf_grow(b, n);
}
void buf_add(struct buf *b, const void *p, size_t n);
void buf_slice(struct buf *b, struct slice s);
void buf_str(struct buf *b, const char *z);
void buf_char(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);

static inline struct slice buf_bytes(const struct buf *b)
{
	return (struct slice){b->p ? b->p : "", b->n};
}

#endif
