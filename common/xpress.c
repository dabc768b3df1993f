/* xpress.c -- the plain LZ77 coder: one hash probe per position, and fewer where nothing matches, going in
 * while a client waits, chains of candidates for what is packed once; whole literal runs both ways.
 *
 * A block is masks and elements: 32 bits say for the next 32 elements, highest bit first, whether each is
 * a literal byte or a match; a 1 bit with nothing behind it is the end (MS-XCA 2.3.4).  A match word holds
 * distance - 1 above three bits of length; longer lengths go on in a half byte shared by two matches, then
 * in one byte, then in two.
 *
 * No input takes more than its literals alone (XPRESS_WORST), since a match is never longer than what it
 * stands for; but n bytes take n + 4 * (n / 32 + 1) then, so a block of 65,535 could grow past what its header may
 * say (XPRESS-04).  That never arises: what does not shrink is stored raw, at its own size. */
#include "common/xpress.h"

#include <endian.h>

#include "common/err.h"
#include "common/limits.h"

enum {
	MATCH_MIN = 3,
	WINDOW = 8192,
	LITERALS_AT_ONCE = 16,
	/* The fast matcher; see the decisions in doc/ARCHITECTURE.md for what was measured. */
	HASH_BITS_MAX = 13,
	HASH_BITS_MIN = 8,
	HASHED = 6,     /* bytes: shorter matches save little and cost a branch each */
	PROBED = 8,     /* bytes read to hash; none begins behind the last place where they are there */
	SKIP_AFTER = 2, /* after 2^2 misses each second place is tried, after 2^2 more each third; ARCHITECTURE.md, decisions */
	/* Length above MATCH_MIN at which each continuation begins. */
	LENGTH_NIBBLE = 7,
	LENGTH_BYTE = LENGTH_NIBBLE + 15,
	LENGTH_WORD = LENGTH_BYTE + 255,
};

static uint32_t load32(const uint8_t *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static uint64_t load64(const uint8_t *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

static void store16(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static void store32(uint8_t *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof(v));
}

/* ---- encoder: what every matcher writes with ---- */

struct packer {
	uint8_t *o;
	uint8_t *mask;   /* where the current mask goes once it is full */
	uint8_t *nibble; /* a byte whose high half is free, or NULL */
	uint32_t flags;  /* of the current mask, so far */
	unsigned left;   /* flags that it still takes, 1 to 32 */
};

static inline void next_mask(struct packer *p)
{
	p->mask = p->o;
	p->o += 4;
	p->left = 32;
}

/* A full mask is followed at once by the next one (XPRESS-13, -15). */
static inline void end_mask(struct packer *p)
{
	store32(p->mask, p->flags);
	next_mask(p);
}

/* The rest of a length (above MATCH_MIN) that filled its three bits. */
static inline void put_long(struct packer *p, size_t over)
{
	unsigned half = over < LENGTH_BYTE ? (unsigned)(over - LENGTH_NIBBLE) : 15;
	if (p->nibble) {
		*p->nibble |= (uint8_t)(half << 4);
		p->nibble = NULL;
	} else {
		p->nibble = p->o;
		*p->o++ = (uint8_t)half;
	}
	if (half < 15)
		return;
	*p->o++ = over < LENGTH_WORD ? (uint8_t)(over - LENGTH_BYTE) : 255;
	if (over < LENGTH_WORD)
		return;
	store16(p->o, over);
	p->o += 2;
}

static inline void put_match(struct packer *p, size_t distance, size_t length)
{
	size_t over = length - MATCH_MIN;
	store16(p->o, (distance - 1) << 3 | MIN(over, (size_t)LENGTH_NIBBLE));
	p->o += 2;
	if (over >= LENGTH_NIBBLE)
		put_long(p, over);
	p->flags = p->flags << 1 | 1;
	if (--p->left == 0)
		end_mask(p);
}

/* Most runs are short: LITERALS_AT_ONCE bytes are copied whatever n is, if the input has them; the output has, since its
 * worst case leaves room for all that is not yet read. */
static inline void put_literals(struct packer *p, const uint8_t *from, size_t n, const uint8_t *end)
{
	while (n >= p->left) {
		size_t some = p->left;
		memcpy(p->o, from, some);
		p->o += some;
		p->flags = (uint32_t)((uint64_t)p->flags << some);
		end_mask(p);
		from += some;
		n -= some;
	}
	memcpy(p->o, from, n <= LITERALS_AT_ONCE && end - from >= LITERALS_AT_ONCE ? LITERALS_AT_ONCE : n);
	p->o += n;
	p->flags <<= n;
	p->left -= (unsigned)n;
}

/* The end is a 1 bit; the bits below it are 1 too (XPRESS-14). */
static void finish(struct packer *p)
{
	store32(p->mask, (uint32_t)(((uint64_t)p->flags + 1) << p->left) - 1);
}

/* How many bytes at a and b agree, b ending at end; the two may overlap. */
static inline size_t common_length(const uint8_t *a, const uint8_t *b, const uint8_t *end)
{
	const uint8_t *start = b;
	for (; end - b >= 8; a += 8, b += 8) {
		uint64_t diff = load64(a) ^ load64(b);
		if (diff)
			return (size_t)(b - start) + (size_t)__builtin_ctzll(diff) / 8;
	}
	while (b < end && *a == *b)
		a++, b++;
	return (size_t)(b - start);
}

/* ---- encoder: the fast matcher ---- */

static inline uint32_t hash(uint64_t v, unsigned bits)
{
	return (uint32_t)((v << (64 - 8 * HASHED)) * UINT64_C(0x9e3779b97f4a7c15) >> (64 - bits));
}

/* A table of half the input's size: small blocks are many, and clearing 16 KB for each would show. */
static unsigned hash_bits(size_t n)
{
	unsigned bits = HASH_BITS_MIN;
	while (bits < HASH_BITS_MAX && (size_t)2 << bits < n)
		bits++;
	return bits;
}

/* One probe where a match may begin; after misses it may not begin everywhere. */
size_t xpress_encode(const char *from, size_t n, char *to)
{
	uint16_t seen[1 << HASH_BITS_MAX]; /* latest position of a hash; 0 is a fair guess for "none" */
	const uint8_t *base = (const uint8_t *)from, *end = base + n, *p = base, *literals = base;
	struct packer out = {.o = (uint8_t *)to};
	unsigned bits = hash_bits(n), step = 1 << SKIP_AFTER;

	ASSERT(n <= XPRESS_BLOCK);
	memset(seen, 0, sizeof(seen[0]) << bits);
	next_mask(&out);
	while (end - p >= PROBED) {
		uint64_t v = load64(p);
		uint16_t *slot = &seen[hash(v, bits)];
		const uint8_t *at = base + *slot;
		*slot = (uint16_t)(p - base);
		if ((size_t)(p - at) - 1 >= WINDOW || load32(at) != (uint32_t)v) {
			p += step++ >> SKIP_AFTER;
			continue;
		}
		for (; p > literals && at > base && p[-1] == at[-1]; p--)
			at--;
		put_literals(&out, literals, (size_t)(p - literals), end);
		size_t length = common_length(at, p, end);
		put_match(&out, (size_t)(p - at), length);
		literals = p += length;
		step = 1 << SKIP_AFTER;
	}
	put_literals(&out, literals, (size_t)(end - literals), end);
	finish(&out);
	return (size_t)(out.o - (uint8_t *)to);
}

/* ---- encoder: the thorough matcher ----
 *
 * Positions whose four bytes hash alike are chained, latest first; a table of its own finds matches of three bytes.  A
 * short match waits for a longer one at the next position. */

enum {
	CHAIN_BITS = 13,
	SHORT_BITS = 12,
	GOOD = 64, /* long enough to stop looking */
	ENDS = 16, /* of a match longer than two of these only so many positions at either end are entered */
	TAIL = 8,  /* bytes at the end at which no match begins: positions are read by four bytes */
};

/* For what is kept and hardly read; for what is sent often.  See the decisions in doc/ARCHITECTURE.md for what was measured. */
enum { KEPT, SENT };
static const struct effort {
	int depth;      /* candidates looked at */
	int depth_lazy; /* for something better than a match that is there */
	size_t lazy;    /* a match of so many bytes is not waited with */
	bool three;     /* matches of three bytes, too */
} efforts[] = {
	[KEPT] = {8, 4, 16, false},
	[SENT] = {16, 8, 32, true},
};

struct chains {
	const struct effort *effort;
	uint16_t last[1 << CHAIN_BITS], last3[1 << SHORT_BITS]; /* position of a hash; 0 is a fair guess for "none" */
	uint16_t before[WINDOW];                                /* of an entered position: the one before it */
	const uint8_t *base, *end;
};

struct match {
	size_t length, distance;
};

static inline uint32_t hash32(uint32_t v, unsigned bits)
{
	return v * UINT32_C(2654435761) >> (32 - bits);
}

static inline void enter(struct chains *c, size_t at)
{
	uint32_t v = load32(c->base + at);
	uint16_t *last = &c->last[hash32(v, CHAIN_BITS)];
	c->before[at % WINDOW] = *last;
	*last = (uint16_t)at;
	if (c->effort->three)
		c->last3[hash32(v << 8, SHORT_BITS)] = (uint16_t)at;
}

static void enter_match(struct chains *c, size_t from, size_t to)
{
	size_t early = to - from > 2 * ENDS ? from + ENDS : to;
	for (size_t at = from; at < early; at++)
		enter(c, at);
	for (size_t at = MAX(early, to - MIN(to, (size_t)ENDS)); at < to; at++)
		enter(c, at);
}

/* Three bytes, the least that a match has. */
static inline struct match short_match(const struct chains *c, size_t at)
{
	uint32_t v = load32(c->base + at);
	size_t from = c->last3[hash32(v << 8, SHORT_BITS)];
	bool good = from < at && at - from <= WINDOW && !((load32(c->base + from) ^ v) << 8);
	return good ? (struct match){MATCH_MIN, at - from} : (struct match){0, 0};
}

/* The longest match at `at` of those looked at, if it is longer than `than`; else of length 0. */
static inline struct match longest(const struct chains *c, size_t at, size_t than, int depth)
{
	const uint8_t *p = c->base + at;
	uint32_t v = load32(p);
	struct match m = {0, 0};
	size_t from = c->last[hash32(v, CHAIN_BITS)], previous = at;
	for (; depth > 0 && from < previous && at - from <= WINDOW && p + than < c->end; depth--) {
		const uint8_t *q = c->base + from;
		if (load32(q) == v && q[than] == p[than]) {
			size_t n = 4 + common_length(q + 4, p + 4, c->end);
			if (n > than)
				m = (struct match){than = n, at - from};
			if (than >= GOOD)
				break;
		}
		previous = from;
		from = c->before[from % WINDOW];
	}
	return m;
}

/* The match to take at or behind *at, which moves over what becomes literals; none: length 0. */
static inline struct match best_match(struct chains *c, size_t *at, size_t limit)
{
	struct match m = longest(c, *at, MATCH_MIN, c->effort->depth), next;
	if (m.length == 0 && c->effort->three)
		m = short_match(c, *at);
	enter(c, *at);
	while (m.length > 0 && m.length < c->effort->lazy && *at + 1 < limit) {
		next = longest(c, *at + 1, m.length, c->effort->depth_lazy);
		if (next.length == 0)
			break;
		m = next;
		enter(c, ++*at);
	}
	return m;
}

static size_t encode_well(const char *from, size_t n, char *to, const struct effort *effort)
{
	struct chains c; /* before[] is read only where something was entered */
	struct packer out = {.o = (uint8_t *)to};
	size_t at = 0, literals = 0, limit = n > TAIL ? n - TAIL : 0;

	ASSERT(n <= XPRESS_BLOCK);
	c.effort = effort;
	c.base = (const uint8_t *)from;
	c.end = c.base + n;
	memset(c.last, 0, sizeof(c.last));
	memset(c.last3, 0, sizeof(c.last3));
	next_mask(&out);
	while (at < limit) {
		struct match m = best_match(&c, &at, limit);
		if (m.length == 0) {
			at++;
			continue;
		}
		put_literals(&out, c.base + literals, at - literals, c.end);
		put_match(&out, m.distance, m.length);
		enter_match(&c, at + 1, MIN(at + m.length, limit));
		literals = at += m.length;
	}
	put_literals(&out, c.base + literals, n - literals, c.end);
	finish(&out);
	return (size_t)(out.o - (uint8_t *)to);
}

size_t xpress_encode_kept(const char *from, size_t n, char *to)
{
	return encode_well(from, n, to, &efforts[KEPT]);
}

size_t xpress_encode_sent(const char *from, size_t n, char *to)
{
	return encode_well(from, n, to, &efforts[SENT]);
}

/* ---- blocks ---- */

typedef size_t encode_fn(const char *from, size_t n, char *to);

size_t xpress_pack_block(const char *from, size_t n, char *to, size_t room)
{
	char packed[XPRESS_WORST(XPRESS_BLOCK)];
	size_t size = xpress_encode(from, n, packed);
	if (size >= n || size > room)
		return 0;
	memcpy(to, packed, size);
	return size;
}

void xpress_add_stored(struct buf *out, struct slice s)
{
	char *to = s.n ? buf_room(out, XPRESS_HEADER + s.n) : NULL;
	if (!to)
		return;
	ASSERT(s.n <= XPRESS_BLOCK);
	store32((uint8_t *)to, (uint32_t)s.n);
	store32((uint8_t *)to + 4, (uint32_t)s.n);
	memcpy(to + XPRESS_HEADER, s.p, s.n);
	out->n += XPRESS_HEADER + s.n;
}

/* Packed where it will lie. */
static void add_block(struct buf *out, struct slice s, encode_fn *encode)
{
	char *to = buf_room(out, XPRESS_HEADER + XPRESS_WORST(s.n));
	if (!to)
		return;
	size_t size = encode(s.p, s.n, to + XPRESS_HEADER);
	if (size >= s.n) {
		xpress_add_stored(out, s);
		return;
	}
	store32((uint8_t *)to, (uint32_t)s.n);
	store32((uint8_t *)to + 4, (uint32_t)size);
	out->n += XPRESS_HEADER + size;
}

static void add_blocks(struct buf *out, struct slice s, size_t block, encode_fn *encode)
{
	ASSERT(block >= 1 && block <= XPRESS_BLOCK);
	while (s.n > 0 && out->rc == E_OK) {
		size_t n = MIN(s.n, block);
		add_block(out, (struct slice){s.p, n}, encode);
		s.p += n;
		s.n -= n;
	}
}

void xpress_add(struct buf *out, struct slice s, size_t block)
{
	add_blocks(out, s, block, xpress_encode);
}

void xpress_add_kept(struct buf *out, struct slice s, size_t block)
{
	add_blocks(out, s, block, xpress_encode_kept);
}

void xpress_add_sent(struct buf *out, struct slice s, size_t block)
{
	add_blocks(out, s, block, xpress_encode_sent);
}

/* ---- decoder: never trusts a length, a distance or an end ---- */

struct unpacker {
	const uint8_t *p, *end;
	uint8_t *start, *o, *o_end;
	const uint8_t *nibble; /* a byte whose high half is still to be read, or NULL */
};

/* A run of up to 31 literals; copied as 32 bytes where both sides have them. */
static inline bool take_literals(struct unpacker *u, size_t n)
{
	size_t in = (size_t)(u->end - u->p), room = (size_t)(u->o_end - u->o);
	if (n > in || n > room)
		return false;
	if (in >= 32 && room >= 32)
		memcpy(u->o, u->p, 32);
	else
		memcpy(u->o, u->p, n);
	u->p += n;
	u->o += n;
	return true;
}

static bool take_nibble(struct unpacker *u, size_t *out)
{
	if (u->nibble) {
		*out = *u->nibble >> 4;
		u->nibble = NULL;
		return true;
	}
	if (u->p == u->end)
		return false;
	u->nibble = u->p;
	*out = *u->p++ & 15;
	return true;
}

/* A length that filled its three bits.  The two-byte form stands alone and nothing follows it (XPRESS-20,
 * -21): its value 0 is length 3 here, not the escape to 32 bits that MS-XCA has for larger blocks. */
static bool take_long(struct unpacker *u, size_t *length)
{
	size_t more;
	if (!take_nibble(u, &more))
		return false;
	*length += more;
	if (more < 15)
		return true;
	if (u->p == u->end)
		return false;
	more = *u->p++;
	*length += more;
	if (more < 255)
		return true;
	if (u->end - u->p < 2)
		return false;
	*length = MATCH_MIN + (u->p[0] | (size_t)u->p[1] << 8);
	u->p += 2;
	return true;
}

/* Far enough apart, 16 bytes at once where they do not run over the end; else byte by byte, which is what
 * makes an overlapping match repeat itself (XPRESS-10). */
static inline void copy_match(uint8_t *to, const uint8_t *o_end, size_t distance, size_t n)
{
	const uint8_t *from = to - distance;
	if (distance >= 16 && (size_t)(o_end - to) >= n + 16) {
		for (size_t i = 0; i < n; i += 16)
			memcpy(to + i, from + i, 16);
		return;
	}
	for (size_t i = 0; i < n; i++)
		to[i] = from[i];
}

static inline bool take_match(struct unpacker *u)
{
	if (u->end - u->p < 2)
		return false;
	size_t word = u->p[0] | (size_t)u->p[1] << 8;
	size_t distance = (word >> 3) + 1, length = MATCH_MIN + (word & 7);
	u->p += 2;
	if ((word & 7) == LENGTH_NIBBLE && !take_long(u, &length))
		return false;
	if (distance > (size_t)(u->o - u->start) || length > (size_t)(u->o_end - u->o))
		return false;
	copy_match(u->o, u->o_end, distance, length);
	u->o += length;
	return true;
}

/* One mask with its elements; *ended at a 1 bit that has nothing behind it. */
static bool take_mask(struct unpacker *u, bool *ended)
{
	if (u->end - u->p < 4)
		return false;
	/* A 1 below the 32 flags stops the last run of zeros. */
	uint64_t flags = (uint64_t)load32(u->p) << 32 | UINT64_C(1) << 31;
	u->p += 4;
	for (unsigned left = 32; left > 0;) {
		unsigned run = (unsigned)__builtin_clzll(flags);
		if (run > 0 && !take_literals(u, run))
			return false;
		left -= run;
		if (left == 0)
			break;
		*ended = u->p == u->end;
		if (*ended)
			break;
		if (!take_match(u))
			return false;
		flags <<= run + 1;
		left--;
	}
	return true;
}

bool xpress_unpack_block(const char *from, size_t n, char *to, size_t plain)
{
	const uint8_t *in = (const uint8_t *)from;
	uint8_t *out = (uint8_t *)to;
	struct unpacker u = {.p = in, .end = in + n, .start = out, .o = out, .o_end = out + plain};
	for (bool ended = false; !ended;)
		if (!take_mask(&u, &ended))
			return false;
	return u.o == u.o_end;
}

struct block {
	const char *p;
	size_t plain, packed;
};

/* Cuts the next block off *s; false if its header or size is impossible. */
static bool next_block(struct slice *s, struct block *out)
{
	if (s->n < XPRESS_HEADER)
		return false;
	const uint8_t *h = (const uint8_t *)s->p;
	*out = (struct block){s->p + XPRESS_HEADER, load32(h), load32(h + 4)};
	if (out->plain == 0 || out->plain > XPRESS_BLOCK)
		return false;
	if (out->packed == 0 || out->packed > XPRESS_BLOCK || out->packed > s->n - XPRESS_HEADER)
		return false;
	s->p += XPRESS_HEADER + out->packed;
	s->n -= XPRESS_HEADER + out->packed;
	return true;
}

int xpress_unpack(struct slice stream, struct buf *out)
{
	struct block b;
	while (stream.n > 0) {
		if (!next_block(&stream, &b))
			return E_FORM;
		char *to = buf_room(out, b.plain);
		if (!to)
			return out->rc;
		if (b.packed == b.plain)
			memcpy(to, b.p, b.plain);
		else if (!xpress_unpack_block(b.p, b.packed, to, b.plain))
			return E_FORM;
		out->n += b.plain;
	}
	return E_OK;
}

bool xpress_plain_size(struct slice stream, uint64_t *out)
{
	struct block b;
	for (*out = 0; stream.n > 0; *out += b.plain)
		if (!next_block(&stream, &b))
			return false;
	return true;
}
