/* rope.c -- segments of glue and stored bytes, rendered at the end.
 *
 * Glue moves when its buffer grows, so a glue segment is an offset until the rope is rendered.  Rendering
 * reserves the packed buffer for its worst case first: no slice of it moves afterwards. */
#include "common/rope.h"

#include <stdlib.h>
#include <sys/uio.h>

#include "common/arena.h"
#include "common/err.h"
#include "common/limits.h"
#include "common/xpress.h"

struct rope_seg {
	const char *p; /* NULL: glue */
	size_t at;     /* offset of glue */
	size_t n;
	uint32_t plain; /* decoded size of a packed one */
	bool packed;
};

void rope_init(struct rope *r)
{
	*r = (struct rope){0};
	buf_init(&r->glue, LIMIT_REPLY);
}

void rope_free(struct rope *r)
{
	buf_free(&r->glue);
	free(r->seg);
	rope_init(r);
}

void rope_reset(struct rope *r)
{
	if (r->glue.cap > ARENA_KEEP || r->seg_cap * sizeof(*r->seg) > ARENA_KEEP) {
		rope_free(r);
		return;
	}
	buf_reset(&r->glue);
	r->nseg = 0;
	r->glue_mark = 0;
	r->plain = 0;
	r->rc = E_OK;
}

static bool grow(struct rope *r)
{
	size_t cap = MAX(r->seg_cap * 2, (size_t)64);
	struct rope_seg *seg = alloc_should_fail() ? NULL : reallocarray(r->seg, cap, sizeof(*seg));
	if (!seg) {
		r->rc = E_NOMEM;
		return false;
	}
	r->seg = seg;
	r->seg_cap = cap;
	return true;
}

static void add_seg(struct rope *r, struct rope_seg seg, uint64_t plain)
{
	if (r->rc != E_OK || (r->nseg == r->seg_cap && !grow(r)))
		return;
	if (plain > LIMIT_REPLY - r->plain) {
		r->rc = E_LIMIT;
		return;
	}
	r->plain += plain;
	r->seg[r->nseg++] = seg;
}

/* Glue written since the last segment becomes one. */
static void close_glue(struct rope *r)
{
	size_t n = r->glue.n - r->glue_mark;
	if (r->rc == E_OK)
		r->rc = r->glue.rc;
	if (n == 0)
		return;
	add_seg(r, (struct rope_seg){.at = r->glue_mark, .n = n}, n);
	r->glue_mark = r->glue.n;
}

static void add_piece(struct rope *r, const struct piece *p)
{
	uint64_t plain = p->bytes.n;
	if (p->packed && (!xpress_plain_size(p->bytes, &plain) || plain != p->plain)) {
		if (r->rc == E_OK)
			r->rc = E_CORRUPT;
		return;
	}
	if (p->bytes.n > 0)
		add_seg(r, (struct rope_seg){p->bytes.p, 0, p->bytes.n, p->plain, p->packed}, plain);
}

void rope_splice(struct rope *r, const struct frag *f)
{
	close_glue(r);
	for (size_t i = 0; i < f->n; i++)
		add_piece(r, &f->v[i]);
}

uint64_t rope_plain_size(const struct rope *r)
{
	return r->plain + (r->glue.n - r->glue_mark);
}

/* ---- rendering ---- */

struct render {
	const struct rope *r;
	struct buf *packed;
	size_t done; /* bytes of packed that iov has already */
	struct iovec *iov;
	size_t niov;
	uint64_t total;
	int rc;
	size_t block;             /* cut size */
	size_t held;              /* bytes of hold that wait to be packed */
	char *hold;               /* XPRESS_BLOCK bytes */
	struct buf plain;         /* a packed piece decoded, when all is re-cut */
};

static struct slice seg_bytes(const struct rope *r, const struct rope_seg *s)
{
	return (struct slice){s->p ? s->p : r->glue.p + s->at, s->n};
}

static void emit(struct render *d, const char *p, size_t n)
{
	struct iovec *last = d->niov ? &d->iov[d->niov - 1] : NULL;
	d->total += n;
	if (last && (const char *)last->iov_base + last->iov_len == p)
		last->iov_len += n;
	else
		d->iov[d->niov++] = (struct iovec){(void *)(uintptr_t)p, n};
}

/* What was appended to the packed buffer since the last time. */
static void emit_packed(struct render *d)
{
	if (d->packed->n > d->done)
		emit(d, d->packed->p + d->done, d->packed->n - d->done);
	d->done = d->packed->n;
}

static void flush(struct render *d)
{
	struct slice run = {d->hold, d->held};
	if (run.n < XPRESS_RUN_MIN)
		xpress_add_stored(d->packed, run);
	else
		xpress_add(d->packed, run, d->block);
	d->held = 0;
	emit_packed(d);
}

/* Collects bytes to whole blocks. */
static void hold(struct render *d, struct slice s)
{
	while (s.n > 0) {
		size_t n = MIN(s.n, d->block - d->held);
		memcpy(d->hold + d->held, s.p, n);
		d->held += n;
		s.p += n;
		s.n -= n;
		if (d->held == d->block)
			flush(d);
	}
}

static void render_plain(struct render *d, const struct rope_seg *s, struct slice bytes)
{
	if (!s->packed) {
		emit(d, bytes.p, bytes.n);
		return;
	}
	if (xpress_unpack(bytes, d->packed) != E_OK)
		d->rc = d->packed->rc != E_OK ? d->packed->rc : E_CORRUPT;
	emit_packed(d);
}

static void render_mixed(struct render *d, const struct rope_seg *s, struct slice bytes)
{
	if (!s->packed) {
		hold(d, bytes);
		return;
	}
	flush(d);
	emit(d, bytes.p, bytes.n);
}

static void render_stream(struct render *d, const struct rope_seg *s, struct slice bytes)
{
	if (!s->packed) {
		hold(d, bytes);
		return;
	}
	buf_reset(&d->plain);
	if (xpress_unpack(bytes, &d->plain) != E_OK)
		d->rc = d->plain.rc != E_OK ? d->plain.rc : E_CORRUPT;
	else
		hold(d, buf_bytes(&d->plain));
}

static const struct {
	void (*segment)(struct render *, const struct rope_seg *, struct slice bytes);
	size_t block;
} codings[] = {
	[CODING_PLAIN] = {render_plain, XPRESS_BLOCK}, /* holds nothing */
	[CODING_XPRESS_MIXED] = {render_mixed, XPRESS_BLOCK},
	[CODING_XPRESS_STREAM] = {render_stream, XPRESS_STREAM_BLOCK},
};
static_assert(COUNTOF(codings) == CODING_XPRESS_STREAM + 1, "a row per coding");

/* The most that will be appended to the packed buffer: decoded pieces in a plain reply; else everything
 * raw, with a header per block, runs between finished pieces being cut on their own, and what the coder wants beyond
 * its result. */
static size_t reserve_size(const struct rope *r, enum coding coding)
{
	size_t sum = 0;
	for (size_t i = 0; i < r->nseg; i++) {
		const struct rope_seg *s = &r->seg[i];
		size_t n = s->packed ? s->plain : s->n;
		bool goes = coding == CODING_XPRESS_STREAM || s->packed == (coding == CODING_PLAIN);
		sum += goes ? n + XPRESS_HEADER * (n / codings[coding].block + 1) : 0;
	}
	return sum > 0 ? sum + XPRESS_WORST(XPRESS_BLOCK) - XPRESS_BLOCK : 0;
}

static int render_all(struct render *d, enum coding coding)
{
	for (size_t i = 0; i < d->r->nseg && d->rc == E_OK; i++) {
		const struct rope_seg *s = &d->r->seg[i];
		codings[coding].segment(d, s, seg_bytes(d->r, s));
	}
	flush(d);
	return d->rc != E_OK ? d->rc : d->packed->rc;
}

int rope_render(struct rope *r, enum coding coding, struct arena *a, struct buf *packed, struct iovec **iov,
	size_t *niov, uint64_t *total)
{
	close_glue(r);
	if (r->rc != E_OK)
		return r->rc;
	size_t room = reserve_size(r, coding);
	if (room > 0 && !buf_room(packed, room))
		return r->rc = packed->rc;

	/* Between two segments at most one run of packed bytes, and one at the end. */
	char held[XPRESS_BLOCK];
	struct render d = {.r = r, .packed = packed, .done = packed->n, .hold = held, .block = codings[coding].block};
	d.iov = ARENA_ARRAY(a, struct iovec, r->nseg + 1);
	if (!d.iov)
		return r->rc = E_NOMEM;
	buf_init(&d.plain, LIMIT_REPLY);
	r->rc = render_all(&d, coding);
	buf_free(&d.plain);
	*iov = d.iov;
	*niov = d.niov;
	*total = d.total;
	return r->rc;
}
