/* base.h -- what every file of the project shares: slices, small fixed identifiers, assertions.
 *
 * Includes nothing of ours.  A slice borrows its bytes: it is valid while its arena, transaction or buffer
 * lives, and it is never NUL-terminated by contract.  p == NULL means "absent"; an empty present slice has
 * p != NULL and n == 0. */
#ifndef COMMON_BASE_H
#define COMMON_BASE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct slice {
	const char *p;
	size_t n;
};

#define SL(lit) ((struct slice){(lit), sizeof(lit) - 1})
#define SL0 ((struct slice){NULL, 0})
/* for printf("%.*s", SLF(s)) */
#define SLF(s) (int)(s).n, (s).p ? (s).p : ""

#define COUNTOF(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define MUST_CHECK __attribute__((warn_unused_result))

/* Our own bugs only; stays on in production.  The supervisor starts a new worker. */
#define ASSERT(x) ((x) ? (void)0 : assert_failed(__FILE__, __LINE__, #x))
_Noreturn void assert_failed(const char *file, int line, const char *what);

/* 16 bytes in the order of the text form, so that memcmp orders as the text does. */
struct guid {
	uint8_t b[16];
};

/* SHA-1 of a content file: its name everywhere in both protocols. */
struct sha1 {
	uint8_t b[20];
};

struct sha256 {
	uint8_t b[32];
};

/* Times are 100 ns ticks since 1970-01-01T00:00:00Z: what xs:dateTime of .NET peers can express exactly. */
typedef int64_t tick_t;
#define TICKS_PER_SECOND INT64_C(10000000)

static inline bool slice_eq(struct slice a, struct slice b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* By bytes; a beginning stands before what it begins. */
static inline int slice_cmp(struct slice a, struct slice b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int d = n ? memcmp(a.p, b.p, n) : 0;
	return d ? d : (a.n > b.n) - (a.n < b.n);
}

static inline struct slice slice_of(const char *z)
{
	return (struct slice){z, z ? strlen(z) : 0};
}

static inline int guid_cmp(const struct guid *a, const struct guid *b)
{
	return memcmp(a->b, b->b, sizeof(a->b));
}

static inline bool guid_is_zero(const struct guid *g)
{
	static const struct guid zero;
	return guid_cmp(g, &zero) == 0;
}

static inline void put_be16(void *to, uint16_t v)
{
	uint8_t *b = to;
	b[0] = (uint8_t)(v >> 8);
	b[1] = (uint8_t)v;
}

static inline void put_be32(void *to, uint32_t v)
{
	uint8_t *b = to;
	put_be16(b, (uint16_t)(v >> 16));
	put_be16(b + 2, (uint16_t)v);
}

static inline void put_be64(void *to, uint64_t v)
{
	uint8_t *b = to;
	put_be32(b, (uint32_t)(v >> 32));
	put_be32(b + 4, (uint32_t)v);
}

static inline uint16_t get_be16(const void *from)
{
	const uint8_t *b = from;
	return (uint16_t)(b[0] << 8 | b[1]);
}

static inline uint32_t get_be32(const void *from)
{
	const uint8_t *b = from;
	return (uint32_t)get_be16(b) << 16 | get_be16(b + 2);
}

static inline uint64_t get_be64(const void *from)
{
	const uint8_t *b = from;
	return (uint64_t)get_be32(b) << 32 | get_be32(b + 4);
}

#endif
