/* arena.c -- chunks of doubling size, newest first. */
#include "common/arena.h"

#include <stdarg.h>
#include <stdlib.h>

struct arena_chunk {
	struct arena_chunk *next;
	size_t size, used;
	_Alignas(max_align_t) char data[];
};

#define FIRST_CHUNK ((size_t)64 << 10)
#define ALIGN sizeof(max_align_t)

long alloc_fail_at;

bool alloc_should_fail(void)
{
	return alloc_fail_at > 0 && --alloc_fail_at == 0;
}

void arena_init(struct arena *a, size_t cap)
{
	*a = (struct arena){.cap = cap};
}

void arena_free(struct arena *a)
{
	while (a->head) {
		struct arena_chunk *c = a->head;
		a->head = c->next;
		free(c);
	}
	a->used = 0;
	a->failed = false;
}

void arena_reset(struct arena *a)
{
	struct arena_chunk *keep = NULL;
#ifndef ARENA_DEBUG
	if (a->head && a->head->size <= ARENA_KEEP) {
		keep = a->head;
		a->head = keep->next;
		keep->next = NULL;
		memset(keep->data, 0, keep->used);
		keep->used = 0;
	}
#endif
	arena_free(a);
	a->head = keep;
}

static struct arena_chunk *grow(struct arena *a, size_t need)
{
	size_t size = a->head ? MIN(a->head->size * 2, ARENA_KEEP) : FIRST_CHUNK;
#ifdef ARENA_DEBUG
	size = 0;
#endif
	size = MAX(size, need);
	struct arena_chunk *c = alloc_should_fail() ? NULL : calloc(1, sizeof(*c) + size);
	if (!c)
		return NULL;
	c->size = size;
	c->next = a->head;
	a->head = c;
	return c;
}

/* What n bytes take of a chunk: never nothing. */
static size_t room_for(size_t n)
{
	return (n + !n + ALIGN - 1) & ~(ALIGN - 1);
}

void *arena_alloc(struct arena *a, size_t count, size_t size)
{
	size_t n;
	if (a->failed || __builtin_mul_overflow(count, size, &n) || n > a->cap - a->used) {
		a->failed = true;
		return NULL;
	}
	size_t need = room_for(n);
	struct arena_chunk *c = a->head;
	if (!c || c->size - c->used < need)
		c = grow(a, need);
	if (!c) {
		a->failed = true;
		return NULL;
	}
	void *p = c->data + c->used;
	c->used += need;
	a->used += MIN(need, a->cap - a->used);
	return p;
}

void arena_trim(struct arena *a, void *p, size_t n, size_t keep)
{
	struct arena_chunk *c = a->head;
	size_t back = room_for(n) - room_for(keep);
	ASSERT(c && (char *)p + room_for(n) == c->data + c->used);
#ifndef ARENA_DEBUG /* where the next allocation must have a chunk of its own */
	c->used -= back;
	a->used -= MIN(back, a->used);
#endif
	(void)back;
}

#define FIRST_ITEMS 16

void *arena_more(struct arena *a, void *v, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return v;
	size_t more = *cap ? *cap * 2 : FIRST_ITEMS;
	void *to = arena_alloc(a, more, size);
	if (!to)
		return NULL;
	if (n)
		memcpy(to, v, n * size);
	*cap = more;
	return to;
}

struct slice arena_copy(struct arena *a, struct slice s)
{
	char *p = arena_alloc(a, s.n + 1, 1);
	if (!p)
		return SL0;
	if (s.n)
		memcpy(p, s.p, s.n);
	return (struct slice){p, s.n};
}

struct slice arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	char *p = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1, 1);
	if (p)
		vsnprintf(p, (size_t)n + 1, fmt, again);
	va_end(again);
	return p ? (struct slice){p, (size_t)n} : SL0;
}
