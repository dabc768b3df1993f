/* event.c -- the events of computers, in a ring of databases.
 *
 *  fmeta    segments -> v1 | number of the oldest segment be32, when each began be64 ...
 *  event_N  mark of the computer[16], EventInstanceID[16]
 *                    -> v1 | flags, id be16, received be64, the rest as the flags say, texts
 *
 * Segment n lies in database n % EVENT_SEGMENTS; what comes goes to the youngest, and the oldest is dropped whole.  LMDB then
 * reads the pages above the rows and no others, but only while no row has pages of its own: KEPT_TEXT sees to that.  All rows of a
 * computer in a segment stand together, so that a batch touches a page or two of each, however many events there are. */
#include <stdlib.h>

#include <mbedtls/md.h>

#include "common/event.h"
#include "common/text.h"
#include "store/report_parts.h"

#define DAY (86400 * TICKS_PER_SECOND)
#define SPANS 14 /* of report.event-days: with the one that begins and the one that ends they are EVENT_SEGMENTS */
#define SHARE 4  /* events take at most this part of fleet/'s map: the other half of its room is for computers */
#define PARTS 8  /* a segment takes at most this part of that: so much goes at once where room is short */
#define KEPT_TEXT ((size_t)1800) /* of an event; with key and figures below half of LMDB's page of 4 KB */

static_assert(SPANS + 2 <= EVENT_SEGMENTS && DB_EVENT_LAST - DB_EVENT + 1 == EVENT_SEGMENTS, "the ring has room for all segments");

/* ================= the ring ================= */

struct ring {
	uint32_t oldest; /* its number */
	unsigned n;
	tick_t from[EVENT_SEGMENTS];
};

static enum db database(uint32_t no)
{
	return (enum db)(DB_EVENT + no % EVENT_SEGMENTS);
}

static int ring_get(struct txn *t, struct ring *g)
{
	struct slice v;
	*g = (struct ring){0};
	int rc = db_get(t, DB_FMETA, SL("segments"), &v);
	if (rc != E_OK)
		return rc == E_NOTFOUND ? E_OK : rc;
	struct rec r = rec_of(v, 1);
	g->oldest = rec_u32(&r);
	for (; rec_left(&r) > 0 && g->n < EVENT_SEGMENTS; g->n++) {
		g->from[g->n] = (tick_t)rec_u64(&r);
		r.bad = r.bad || g->from[g->n] < 0;
	}
	rc = rec_end(&r);
	if (rc != E_OK)
		*g = (struct ring){0};
	return rc;
}

static int ring_put(struct txn *t, const struct ring *g, struct err *e)
{
	struct buf b;
	rec_begin(&b, 1, LIMIT_RECORD);
	rec_put_u32(&b, g->oldest);
	for (unsigned i = 0; i < g->n; i++)
		rec_put_u64(&b, (uint64_t)g->from[i]);
	return db_put_rec(t, DB_FMETA, SL("segments"), &b, e);
}

static int drop_oldest(struct txn *t, struct ring *g, struct err *e)
{
	int rc = db_empty(t, database(g->oldest), e);
	memmove(g->from, g->from + 1, --g->n * sizeof(g->from[0]));
	g->oldest++;
	return rc;
}

static int begin_segment(struct txn *t, struct ring *g, tick_t now, struct err *e)
{
	int rc = g->n == EVENT_SEGMENTS ? drop_oldest(t, g, e) : E_OK;
	if (rc == E_OK)
		rc = db_empty(t, database(g->oldest + g->n), e); /* of a ring whose row was lost */
	g->from[g->n++] = now;
	return rc;
}

/* ---- what there is to do ---- */

static size_t bytes_of_all(const struct txn *t)
{
	size_t sum = 0;
	for (unsigned i = 0; i < EVENT_SEGMENTS; i++)
		sum += db_bytes(t, database(i));
	return sum;
}

/* The clock was set back: what lies ahead of it would never be old enough. */
static bool is_ahead(const struct ring *g, tick_t now)
{
	for (unsigned i = 0; i < g->n; i++)
		if (g->from[i] > now)
			return true;
	return false;
}

static bool last_is_full(const struct txn *t, const struct ring *g, tick_t now, tick_t kept)
{
	return now - g->from[g->n - 1] >= kept / SPANS ||
	       db_bytes(t, database(g->oldest + g->n - 1)) >= txn_fleet_map(t) / SHARE / PARTS;
}

/* A segment ends where the next one begins. */
static bool oldest_must_go(const struct txn *t, const struct ring *g, tick_t now, tick_t kept)
{
	return g->n > 1 && (g->from[1] <= now - kept || bytes_of_all(t) >= txn_fleet_map(t) / SHARE);
}

static bool is_due(const struct txn *t, const struct ring *g, tick_t now, tick_t kept)
{
	return g->n > 0 && (is_ahead(g, now) || last_is_full(t, g, now, kept) || oldest_must_go(t, g, now, kept));
}

/* A ring without events stays as small as it is; an empty segment behind others is where the one before it ends. */
static int renew_last(struct txn *t, struct ring *g, tick_t now, struct err *e)
{
	uint64_t rows;
	int rc = db_count(t, database(g->oldest + g->n - 1), &rows, e);
	if (rc == E_OK && (rows > 0 || g->n > 1))
		return begin_segment(t, g, now, e);
	g->from[g->n - 1] = now;
	return rc;
}

/* Does what is due; the row of the ring is written only then. */
static int tend(struct txn *t, struct ring *g, tick_t now, tick_t kept, struct err *e)
{
	int rc = E_OK;
	for (unsigned i = 0; i < g->n; i++)
		g->from[i] = MIN(g->from[i], now);
	if (g->n == 0)
		rc = begin_segment(t, g, now, e);
	else if (last_is_full(t, g, now, kept))
		rc = renew_last(t, g, now, e);
	while (rc == E_OK && oldest_must_go(t, g, now, kept))
		rc = drop_oldest(t, g, e);
	return rc == E_OK ? ring_put(t, g, e) : rc;
}

static int kept_for(struct txn *t, tick_t *kept, struct err *e)
{
	struct settings set;
	int rc = settings_get(t, &set, e);
	*kept = set.event_days * DAY;
	return rc;
}

static int ring_ready(struct txn *t, struct ring *g, tick_t now, struct err *e)
{
	tick_t kept;
	int rc = kept_for(t, &kept, e);
	if (rc != E_OK)
		return rc;
	rc = ring_get(t, g);
	if (rc == E_CORRUPT)
		rc = E_OK; /* begins anew; the audit told */
	if (rc != E_OK)
		return err_set(e, (enum errcode)rc, "the row of the segments of events cannot be read");
	return g->n == 0 || is_due(t, g, now, kept) ? tend(t, g, now, kept, e) : E_OK;
}

static int expire(struct txn *t, tick_t now, struct err *e)
{
	struct ring g;
	tick_t kept;
	int rc = kept_for(t, &kept, e);
	if (rc == E_OK && ring_get(t, &g) == E_OK && is_due(t, &g, now, kept))
		rc = tend(t, &g, now, kept, e);
	return rc;
}

/* Most of the times there is nothing to do: that is found without the lock of writers. */
static int look_due(struct store *s, tick_t now, bool *due, struct err *e)
{
	struct txn *t;
	struct ring g;
	tick_t kept;
	*due = false;
	int rc = txn_begin(s, TXN_READ, &t, e);
	if (rc == E_OK)
		rc = kept_for(t, &kept, e);
	if (rc == E_OK)
		*due = ring_get(t, &g) == E_OK && is_due(t, &g, now, kept);
	txn_end(&t);
	return rc;
}

int events_tend(struct store *s, tick_t now, struct err *e)
{
	struct txn *t;
	bool due;
	if (!store_has(s, STORE_FLEET))
		return E_OK;
	int rc = look_due(s, now, &due, e);
	if (rc != E_OK || !due)
		return rc;
	rc = txn_begin(s, TXN_FLEET, &t, e);
	if (rc == E_OK)
		rc = expire(t, now, e);
	if (rc == E_OK)
		rc = txn_commit(&t, e);
	txn_end(&t);
	return rc;
}

/* ================= keys ================= */

/* Ids are guids by nature; others are told apart by their digest. */
static bool mark_of(struct slice computer, struct guid *mark)
{
	struct computer_key k;
	uint8_t digest[32];
	if (!computer_key(&k, computer))
		return false;
	if (text_guid(k.s, mark))
		return true;
	int rc = mbedtls_md(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), (const unsigned char *)k.s.p, k.s.n, digest);
	ASSERT(rc == 0);
	memcpy(mark->b, digest, sizeof(mark->b));
	return true;
}

static struct key event_key(const struct guid *mark, const struct guid *instance)
{
	struct key k = key_guid(mark);
	memcpy(k.b + k.n, instance->b, sizeof(instance->b));
	k.n += sizeof(instance->b);
	return k;
}

/* ================= rows ================= */

enum { HAS_UPDATE = 1, HAS_RESULT = 2, HAS_SPACE = 4, HAS_SOURCE = 8, HAS_POSITION = 16, HAS__ALL = 31 };
#define USUAL_SPACE 1
#define USUAL_SOURCE 101

/* Signed numbers have their sign in the lowest bit. */
static void put_signed(struct buf *b, int64_t v)
{
	rec_put_number(b, (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0));
}

static int64_t get_signed(struct rec *r)
{
	uint64_t v = rec_number(r);
	return (int64_t)(v >> 1 ^ (v & 1 ? UINT64_MAX : 0));
}

/* ---- texts: each with its kind and length in one number, up to the end of the row ---- */

enum kind { KIND_DEVICE, KIND_APP, KIND_STRING, KIND_MISC };

/* At most so many bytes of s, and no half of a character. */
static struct slice cut(struct slice s, size_t most)
{
	if (s.n <= most)
		return s;
	while (most > 0 && ((unsigned char)s.p[most] & 0xC0) == 0x80)
		most--;
	return (struct slice){s.p, most};
}

static void put_text(struct buf *b, enum kind kind, struct slice s, size_t *left)
{
	enum { HEAD = 2 };
	if (*left < HEAD)
		return;
	s = cut(s, *left - HEAD);
	rec_put_number(b, (uint64_t)s.n << 2 | kind);
	buf_slice(b, s);
	*left -= HEAD + s.n;
}

static bool get_text(struct rec *r, enum kind *kind, struct slice *s)
{
	if (rec_left(r) == 0)
		return false;
	uint64_t head = rec_number(r);
	*kind = (enum kind)(head & 3);
	if (head >> 2 > rec_left(r)) {
		r->bad = true;
		return false;
	}
	*s = (struct slice){(const char *)r->p, (size_t)(head >> 2)};
	r->p += s->n;
	return true;
}

/* Lists are the state of the computer, and what is the same in all its events stands there, too. */
static bool is_kept(struct slice misc)
{
	struct slice tag, value;
	const struct event_tag *known = event_tag_split(misc, &tag, &value) && tag.n == 1 ? event_tag_find(tag.p[0]) : NULL;
	return !known || (known->status == 0 && !known->machine);
}

static void put_texts(struct buf *b, const struct report_event *r)
{
	size_t left = KEPT_TEXT;
	if (r->device.n)
		put_text(b, KIND_DEVICE, r->device, &left);
	if (r->app.n)
		put_text(b, KIND_APP, r->app, &left);
	for (size_t i = 0; i < r->nstrings; i++)
		put_text(b, KIND_STRING, r->strings[i], &left);
	for (size_t i = 0; i < r->nmisc; i++)
		if (is_kept(r->misc[i]))
			put_text(b, KIND_MISC, r->misc[i], &left);
}

static void put_event(struct buf *b, const struct report_event *r, tick_t now)
{
	unsigned has = (guid_is_zero(&r->update) && r->revision == 0 ? 0 : HAS_UPDATE) | (r->hresult ? HAS_RESULT : 0) |
		       (r->name_space != USUAL_SPACE ? HAS_SPACE : 0) | (r->source != USUAL_SOURCE ? HAS_SOURCE : 0) | (r->position ? HAS_POSITION : 0);
	buf_char(b, (char)has);
	rec_put_u16(b, (uint16_t)r->id);
	rec_put_u64(b, (uint64_t)now);
	put_signed(b, (int64_t)((uint64_t)now - (uint64_t)r->at));
	if (has & HAS_UPDATE) {
		buf_add(b, r->update.b, sizeof(r->update.b));
		put_signed(b, r->revision);
	}
	if (has & HAS_RESULT)
		rec_put_u32(b, (uint32_t)r->hresult);
	if (has & HAS_SPACE)
		rec_put_u32(b, (uint32_t)r->name_space);
	if (has & HAS_SOURCE)
		rec_put_u16(b, (uint16_t)r->source);
	if (has & HAS_POSITION)
		rec_put_number(b, r->position);
	put_texts(b, r);
}

static void get_figures(struct rec *r, struct event *out)
{
	unsigned has = rec_u8(r);
	r->bad = r->bad || (has & ~(unsigned)HAS__ALL) != 0;
	*out = (struct event){.name_space = USUAL_SPACE, .source = USUAL_SOURCE, .device = SL(""), .app = SL("")};
	out->id = (int16_t)rec_u16(r);
	out->received = (tick_t)rec_u64(r);
	out->at = (tick_t)((uint64_t)out->received - (uint64_t)get_signed(r));
	if (has & HAS_UPDATE) {
		rec_bytes(r, out->update.b, sizeof(out->update.b));
		out->revision = (int32_t)get_signed(r);
	}
	if (has & HAS_RESULT)
		out->hresult = (int32_t)rec_u32(r);
	if (has & HAS_SPACE)
		out->name_space = (int32_t)rec_u32(r);
	if (has & HAS_SOURCE)
		out->source = (int16_t)rec_u16(r);
	if (has & HAS_POSITION)
		out->position = (uint32_t)rec_number(r);
}

/* Twice over the texts: how many there are, and where they are. */
static void count_texts(struct rec r, struct event *out)
{
	enum kind kind;
	struct slice s;
	while (get_text(&r, &kind, &s)) {
		out->nstrings += kind == KIND_STRING;
		out->nmisc += kind == KIND_MISC;
	}
}

static void get_texts(struct rec *r, struct event *out)
{
	size_t strings = 0, misc = 0;
	enum kind kind;
	struct slice s;
	while (get_text(r, &kind, &s)) {
		if (kind == KIND_DEVICE)
			out->device = s;
		else if (kind == KIND_APP)
			out->app = s;
		else if (kind == KIND_STRING)
			out->strings[strings++] = s;
		else
			out->misc[misc++] = s;
	}
}

static int event_decode(struct slice key, struct slice value, struct arena *a, struct event *out)
{
	struct rec r = rec_of(value, 1);
	get_figures(&r, out);
	if (r.bad || key.n != 2 * sizeof(struct guid))
		return E_CORRUPT;
	memcpy(out->instance.b, key.p + sizeof(struct guid), sizeof(out->instance.b));
	count_texts(r, out);
	out->strings = ARENA_ARRAY(a, struct slice, out->nstrings);
	out->misc = ARENA_ARRAY(a, struct slice, out->nmisc);
	if (!out->strings || !out->misc)
		return E_NOMEM;
	get_texts(&r, out);
	return rec_end(&r);
}

bool event_row_good(struct slice key, struct slice value)
{
	struct rec r = rec_of(value, 1);
	struct event v;
	enum kind kind;
	struct slice s;
	get_figures(&r, &v);
	while (!r.bad && get_text(&r, &kind, &s))
		;
	return key.n == 2 * sizeof(struct guid) && rec_end(&r) == E_OK;
}

bool event_ring_good(struct txn *t)
{
	struct ring g;
	uint64_t rows = 0;
	int rc = ring_get(t, &g);
	for (unsigned i = g.n; rc == E_OK && rows == 0 && i < EVENT_SEGMENTS; i++)
		rc = db_count(t, database(g.oldest + i), &rows, NULL);
	return rc == E_OK && rows == 0; /* outside the ring nobody finds them */
}

/* ================= one comes ================= */

static int look_for(struct txn *t, const struct ring *g, struct slice key, bool *there, struct err *e)
{
	struct slice v;
	*there = false;
	for (unsigned i = g->n; i-- > 0 && !*there;) {
		int rc = db_get(t, database(g->oldest + i), key, &v);
		if (rc != E_OK && rc != E_NOTFOUND)
			return err_set(e, (enum errcode)rc, "the events that are kept cannot be read");
		*there = rc == E_OK;
	}
	return E_OK;
}

int event_keep(struct txn *t, struct slice computer, const struct report_event *r, tick_t now, bool *repeated, struct err *e)
{
	struct ring g;
	struct guid mark;
	struct buf b;
	*repeated = false;
	if (!mark_of(computer, &mark))
		return err_set(e, E_NOTFOUND, "no such computer");
	struct key k = event_key(&mark, &r->instance);
	int rc = ring_ready(t, &g, now, e);
	if (rc == E_OK)
		rc = look_for(t, &g, key_bytes(&k), repeated, e);
	if (rc != E_OK || *repeated)
		return rc == E_OK ? rc : txn_fail(t, rc, e);
	rec_begin(&b, 1, LIMIT_RECORD);
	put_event(&b, r, now);
	return db_put_rec(t, database(g.oldest + g.n - 1), key_bytes(&k), &b, e);
}

/* ================= what is kept ================= */

struct found {
	tick_t at, received;
	uint32_t position;
	struct slice key, value;
};
#define SLACK 4096 /* found ones beyond those that are wanted: then the oldest are put out */

struct search {
	struct arena *a;
	struct found *v;
	size_t n, cap, most;
	struct err *e;
};

static int newest_first(const void *x, const void *y)
{
	const struct found *a = x, *b = y;
	if (a->at != b->at)
		return a->at > b->at ? -1 : 1;
	if (a->received != b->received)
		return a->received > b->received ? -1 : 1;
	if (a->position != b->position)
		return a->position > b->position ? -1 : 1;
	return slice_cmp(a->key, b->key);
}

static void put_out_oldest(struct search *w)
{
	if (w->n > 1)
		qsort(w->v, w->n, sizeof(*w->v), newest_first);
	w->n = w->most ? MIN(w->n, w->most) : w->n;
}

static int find_one(struct slice key, struct slice value, void *arg)
{
	struct search *w = arg;
	struct rec r = rec_of(value, 1);
	struct event v;
	get_figures(&r, &v);
	if (r.bad)
		return err_set(w->e, E_CORRUPT, "an event cannot be read");
	if (w->most && w->n >= w->most && w->n - w->most >= SLACK)
		put_out_oldest(w);
	struct found *more = ARENA_MORE(w->a, w->v, w->n, &w->cap);
	if (!more)
		return err_set(w->e, E_NOMEM, "out of memory: the computer has more than %zu events; ask for the last ones", w->n);
	w->v = more;
	w->v[w->n++] = (struct found){v.at, v.received, v.position, key, value};
	return E_OK;
}

static int find_all(struct txn *t, struct slice computer, struct search *w)
{
	struct ring g;
	struct guid mark;
	int rc = mark_of(computer, &mark) ? ring_get(t, &g) : E_NOTFOUND;
	if (rc != E_OK)
		return err_set(w->e, (enum errcode)rc, rc == E_NOTFOUND ? "no such computer" : "the row of the segments of events cannot be read");
	struct key k = key_guid(&mark);
	for (unsigned i = 0; rc == E_OK && i < g.n; i++)
		rc = db_each(t, database(g.oldest + i), key_bytes(&k), find_one, w, w->e);
	put_out_oldest(w);
	return rc;
}

int events_of(struct txn *t, struct slice computer, size_t most, struct event **out, size_t *n, struct err *e)
{
	struct search w = {.a = txn_arena(t), .most = most, .e = e};
	int rc = find_all(t, computer, &w);
	*n = 0;
	*out = ARENA_ARRAY(w.a, struct event, w.n);
	if (rc == E_OK && !*out)
		rc = err_set(e, E_NOMEM, "out of memory");
	for (size_t i = 0; rc == E_OK && i < w.n; i++) {
		rc = event_decode(w.v[i].key, w.v[i].value, w.a, &(*out)[i]);
		if (rc != E_OK)
			err_set(e, (enum errcode)rc, "an event cannot be read: %s", err_name(rc));
	}
	*n = rc == E_OK ? w.n : 0;
	return rc;
}

int event_segments(struct txn *t, struct event_segment **out, size_t *n, struct err *e)
{
	struct ring g;
	int rc = ring_get(t, &g);
	*n = 0;
	if (rc != E_OK)
		return err_set(e, (enum errcode)rc, "the row of the segments of events cannot be read");
	struct event_segment *v = *out = ARENA_ARRAY(txn_arena(t), struct event_segment, g.n);
	if (!v)
		return err_set(e, E_NOMEM, "out of memory");
	for (unsigned i = 0; rc == E_OK && i < g.n; i++) {
		enum db db = database(g.oldest + i);
		v[i] = (struct event_segment){.no = g.oldest + i, .from = g.from[i], .bytes = db_bytes(t, db)};
		v[i].to = i + 1 < g.n ? g.from[i + 1] : time_now();
		rc = db_count(t, db, &v[i].events, e);
	}
	*n = rc == E_OK ? g.n : 0;
	return rc;
}
