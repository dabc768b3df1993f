/* arena.h -- memory that lives as long as one request (or one document, one command).
 *
 * Nothing is freed piece by piece; arena_reset() after the reply drops everything and gives memory above
 * ARENA_KEEP back to the kernel.  Allocation returns NULL when the cap given at birth is reached or malloc
 * fails, and the arena stays failed until it is reset, so that a series may be checked once.
 * With -DARENA_DEBUG each allocation is a malloc of its own, so that sanitizers see every overrun. */
#ifndef COMMON_ARENA_H
#define COMMON_ARENA_H

#include "common/base.h"

struct arena_chunk;
struct arena {
	struct arena_chunk *head;
	size_t used, cap; /* bytes handed out since the last reset, and their maximum */
	bool failed;
};

#define ARENA_KEEP ((size_t)1 << 20)

void arena_init(struct arena *a, size_t cap);
void arena_reset(struct arena *a);
void arena_free(struct arena *a);

/* Zeroed, aligned for any type; n == 0 gives a unique non-NULL pointer.  NULL on failure. */
void *arena_alloc(struct arena *a, size_t count, size_t size);
#define ARENA_NEW(a, type) ((type *)arena_alloc((a), 1, sizeof(type)))
#define ARENA_ARRAY(a, type, n) ((type *)arena_alloc((a), (n), sizeof(type)))

/* Of the latest allocation, n bytes at p, all but the first `keep` are given back; they were never written to. */
void arena_trim(struct arena *a, void *p, size_t n, size_t keep);

/* For lists that grow: v, if it has room for one more behind its n items, else a copy with twice the room; *cap says
 * how many fit.  NULL on failure: v is as it was. */
void *arena_more(struct arena *a, void *v, size_t n, size_t *cap, size_t size);
#define ARENA_MORE(a, v, n, cap) arena_more((a), (v), (n), (cap), sizeof(*(v)))

/* Copies; a NUL is put behind the copy so that it may be given to C libraries.  p == NULL on failure. */
struct slice arena_copy(struct arena *a, struct slice s);
/* printf into the arena; p == NULL on failure. */
struct slice arena_printf(struct arena *a, const char *fmt, ...) PRINTF(2, 3);

/* For tests: the nth allocation from now (1 = next) fails, once; 0 turns that off.  Also heeded by buf.c. */
extern long alloc_fail_at;
bool alloc_should_fail(void);

#endif
