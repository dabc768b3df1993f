/* scanned.c -- what scans and registrations say of a computer: installed prerequisites, hardware ids, faces (fleet/).
 *
 * A computer says the same at each scan: what it says is compared with what is kept, and rows are written where that differs.
 *
 *  scanned  lower-case id               -> v1 | at be64, n be32, gaps between ids (7 bits a byte, the low ones first)
 *  device   lower-case id, 0, chunk be16 -> v1 | at be64, plain bytes be32, Xpress blocks; further chunks: v1 | more of them.
 *           Plain: n be16; each: ids be16, first compatible be16, each id be16 length and bytes
 *  face     lower-case id               -> v1 | alternations be32, last be64, n u8; each: name, bios, address, first, last be64,
 *           returns be32 */
#include "store/scanned.h"

#include "common/buf.h"
#include "common/text.h"
#include "common/xpress.h"
#include "store/report_parts.h"

/* Nothing is kept of an id that no row of computers has, so that all of it goes with the row. */
static bool is_there(struct txn *t, const struct computer_key *k)
{
	struct slice v;
	return db_get(t, DB_COMPUTER, k->s, &v) == E_OK;
}

/* A row that becomes no longer can always be written; whoever makes up computers must not take all of fleet/ by them. */
static bool fits(struct txn *t, enum db db, struct slice key, size_t n)
{
	struct slice old;
	return txn_fleet_has_room(t) || (db_get(t, db, key, &old) == E_OK && old.n >= n);
}

static struct slice cut(struct slice s, size_t most)
{
	return (struct slice){s.p ? s.p : "", MIN(s.n, most)};
}

/* ================= installed prerequisites ================= */

#define SCANNED_IDS 50000u /* natives have some hundreds */
#define SCANNED_RECORD ((size_t)5 * SCANNED_IDS + 64)

static uint32_t take_gap(struct rec *r)
{
	uint64_t v = rec_number(r);
	r->bad = r->bad || v > UINT32_MAX;
	return r->bad ? 0 : (uint32_t)v;
}

struct scanned_rec {
	tick_t at;
	uint32_t n;
	struct rec ids;
};

static int scanned_open(struct txn *t, struct slice key, struct scanned_rec *out)
{
	struct slice v;
	int rc = db_get(t, DB_SCANNED, key, &v);
	if (rc != E_OK)
		return rc;
	out->ids = rec_of(v, 1);
	out->at = (tick_t)rec_u64(&out->ids);
	out->n = rec_u32(&out->ids);
	return out->ids.bad || out->n > rec_left(&out->ids) ? E_CORRUPT : E_OK;
}

static bool scanned_same(struct scanned_rec *s, const int32_t *v, size_t n)
{
	uint32_t last = 0;
	if (s->n != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if ((last += take_gap(&s->ids)) != (uint32_t)v[i])
			return false;
	return rec_end(&s->ids) == E_OK; /* one that cannot be read is written anew */
}

/* The row of these ids. */
static void scanned_encode(struct buf *b, tick_t at, const int32_t *v, size_t n)
{
	uint32_t last = 0;
	rec_begin(b, 1, SCANNED_RECORD);
	rec_put_u64(b, (uint64_t)at);
	rec_put_u32(b, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		rec_put_number(b, (uint32_t)v[i] - last);
		last = (uint32_t)v[i];
	}
}

/* Where there is no room for what differs, nothing can be written: then it does not. */
bool last_scan_differs(struct txn *t, struct slice computer, const int32_t *installed, size_t n)
{
	struct computer_key k;
	struct scanned_rec s;
	struct buf b;
	if (n > SCANNED_IDS || !computer_key(&k, computer))
		return false;
	if ((scanned_open(t, k.s, &s) == E_OK && scanned_same(&s, installed, n)) || !is_there(t, &k))
		return false;
	scanned_encode(&b, 0, installed, n);
	bool room = fits(t, DB_SCANNED, k.s, b.n);
	buf_free(&b);
	return room;
}

int last_scan_put(struct txn *t, struct slice computer, tick_t at, const int32_t *installed, size_t n, struct err *e)
{
	struct computer_key k;
	struct buf b;
	if (!computer_key(&k, computer) || !last_scan_differs(t, computer, installed, n))
		return E_OK;
	scanned_encode(&b, at, installed, n);
	return db_put_rec(t, DB_SCANNED, k.s, &b, e);
}

int last_scan_get(struct txn *t, struct slice computer, struct last_scan *out, struct err *e)
{
	struct computer_key k;
	struct scanned_rec s;
	uint32_t last = 0;
	*out = (struct last_scan){0};
	int rc = computer_key(&k, computer) ? scanned_open(t, k.s, &s) : E_NOTFOUND;
	if (rc == E_NOTFOUND)
		return rc;
	if (rc != E_OK)
		return err_set(e, (enum errcode)rc, "the last scan of computer %.*s cannot be read", SLF(computer));
	int32_t *v = ARENA_ARRAY(txn_arena(t), int32_t, s.n);
	if (!v)
		return err_set(e, E_NOMEM, "out of memory");
	for (uint32_t i = 0; i < s.n; i++)
		v[i] = (int32_t)(last += take_gap(&s.ids));
	*out = (struct last_scan){s.at, v, s.n};
	return rec_end(&s.ids) == E_OK ? E_OK : err_set(e, E_CORRUPT, "the last scan of computer %.*s cannot be read", SLF(computer));
}

/* ================= hardware ids ================= */

#define DEVICE_BLOCK 32768
#define DEVICE_CHUNK ((size_t)32 << 10) /* natives pack into one */
#define DEVICE_HEAD 13                  /* of the first chunk */
#define DEVICE_CHUNKS 16

struct device_key {
	char b[LIMIT_CLIENT_ID + 3];
	struct slice s, prefix;
};

static bool device_key(struct device_key *d, struct slice computer, uint16_t chunk)
{
	struct computer_key k;
	if (!computer_key(&k, computer))
		return false;
	memcpy(d->b, k.s.p, k.s.n);
	d->b[k.s.n] = 0;
	put_be16(d->b + k.s.n + 1, chunk);
	d->s = (struct slice){d->b, k.s.n + 3};
	d->prefix = (struct slice){d->b, k.s.n + 1};
	return true;
}

static void device_encode(struct buf *b, const struct device *v)
{
	rec_put_u16(b, (uint16_t)v->n);
	rec_put_u16(b, (uint16_t)v->compatible_from);
	for (size_t i = 0; i < v->n; i++) {
		struct slice id = cut(v->id[i], LIMIT_STRING);
		rec_put_u16(b, (uint16_t)id.n);
		buf_slice(b, id);
	}
}

/* Fails with E_LIMIT where a computer's ids are too many to be kept. */
static void devices_encode(struct buf *b, const struct devices *d)
{
	buf_init(b, LIMIT_DEVICES_RECORD);
	rec_put_u16(b, (uint16_t)d->n);
	for (size_t i = 0; i < d->n; i++)
		device_encode(b, &d->v[i]);
}

struct device_rows {
	struct buf packed;
	tick_t at;
	uint32_t plain;
	unsigned n;
};

static int device_row(struct slice key, struct slice value, void *arg)
{
	struct device_rows *w = arg;
	struct rec r = rec_of(value, 1);
	if (key.n < 2 || get_be16(key.p + key.n - 2) != w->n)
		return E_CORRUPT;
	if (w->n++ == 0) {
		w->at = (tick_t)rec_u64(&r);
		w->plain = rec_u32(&r);
	}
	buf_add(&w->packed, r.p, rec_left(&r));
	return r.bad ? E_CORRUPT : w->packed.rc;
}

/* Plain bytes of what is kept, in *b, which is the caller's to free in any case. */
static int devices_plain(struct txn *t, const struct device_key *k, struct buf *b, tick_t *at, struct err *e)
{
	struct device_rows w = {.n = 0};
	buf_init(b, LIMIT_DEVICES_RECORD);
	buf_init(&w.packed, DEVICE_CHUNKS * DEVICE_CHUNK);
	int rc = db_each(t, DB_DEVICE, k->prefix, device_row, &w, e);
	if (rc == E_OK && w.n == 0)
		rc = E_NOTFOUND;
	if (rc == E_OK)
		rc = xpress_unpack(buf_bytes(&w.packed), b);
	if (rc == E_OK && b->n != w.plain)
		rc = E_CORRUPT;
	*at = w.at;
	buf_free(&w.packed);
	return rc;
}

static bool same_devices(struct txn *t, const struct device_key *k, const struct buf *is)
{
	struct buf was;
	tick_t at;
	bool same = devices_plain(t, k, &was, &at, NULL) == E_OK && slice_eq(buf_bytes(&was), buf_bytes(is));
	buf_free(&was);
	return same;
}

/* *b is what to keep, if true. */
static bool devices_news(struct txn *t, struct slice computer, const struct devices *d, struct device_key *k, struct buf *b)
{
	struct computer_key c;
	devices_encode(b, d);
	return b->rc == E_OK && device_key(k, computer, 0) && !same_devices(t, k, b) && computer_key(&c, computer) && is_there(t, &c) &&
	       txn_fleet_has_room(t);
}

bool devices_differ(struct txn *t, struct slice computer, const struct devices *d)
{
	struct device_key k;
	struct buf b;
	bool differ = devices_news(t, computer, d, &k, &b);
	buf_free(&b);
	return differ;
}

static int put_chunk(struct txn *t, struct slice computer, uint16_t chunk, const struct devices *d, uint32_t plain, struct slice bytes,
	struct err *e)
{
	struct device_key k;
	struct buf b;
	if (!device_key(&k, computer, chunk))
		return E_OK;
	rec_begin(&b, 1, DEVICE_CHUNK + DEVICE_HEAD);
	if (chunk == 0) {
		rec_put_u64(&b, (uint64_t)d->at);
		rec_put_u32(&b, plain);
	}
	buf_slice(&b, bytes);
	return db_put_rec(t, DB_DEVICE, k.s, &b, e);
}

static int put_chunks(struct txn *t, struct slice computer, const struct devices *d, const struct buf *plain, struct err *e)
{
	struct buf packed;
	int rc = E_OK;
	buf_init(&packed, DEVICE_CHUNKS * DEVICE_CHUNK);
	xpress_add_kept(&packed, buf_bytes(plain), DEVICE_BLOCK);
	if (packed.rc != E_OK)
		rc = err_set(e, (enum errcode)packed.rc, "no memory for devices");
	for (size_t at = 0; rc == E_OK && at < packed.n; at += DEVICE_CHUNK)
		rc = put_chunk(t, computer, (uint16_t)(at / DEVICE_CHUNK), d, (uint32_t)plain->n,
			(struct slice){packed.p + at, MIN(DEVICE_CHUNK, packed.n - at)}, e);
	buf_free(&packed);
	return rc;
}

int devices_put(struct txn *t, struct slice computer, const struct devices *d, struct err *e)
{
	struct device_key k;
	struct buf plain;
	int rc = E_OK;
	bool news = devices_news(t, computer, d, &k, &plain);
	if (news)
		rc = db_del_prefix(t, DB_DEVICE, k.prefix, NULL, e);
	if (news && rc == E_OK)
		rc = put_chunks(t, computer, d, &plain, e);
	buf_free(&plain);
	return rc;
}

static int device_decode(struct txn *t, struct rec *r, struct device *out)
{
	size_t n = rec_u16(r);
	out->compatible_from = rec_u16(r);
	if (r->bad || n > 2 * LIMIT_DEVICE_IDS || out->compatible_from > n || 2 * n > rec_left(r))
		return E_CORRUPT;
	struct slice *id = ARENA_ARRAY(txn_arena(t), struct slice, n);
	if (!id)
		return E_NOMEM;
	for (size_t i = 0; i < n; i++) {
		size_t bytes = rec_u16(r);
		if (r->bad || bytes > rec_left(r))
			return E_CORRUPT;
		id[i] = (struct slice){(const char *)r->p, bytes};
		r->p += bytes;
	}
	out->id = id;
	out->n = n;
	return E_OK;
}

static int devices_decode(struct txn *t, struct slice plain, struct devices *out)
{
	struct rec r = {.p = (const uint8_t *)plain.p, .end = (const uint8_t *)plain.p + plain.n};
	size_t n = rec_u16(&r);
	if (r.bad || n > LIMIT_DEVICES || 4 * n > rec_left(&r))
		return E_CORRUPT;
	struct device *v = ARENA_ARRAY(txn_arena(t), struct device, n);
	int rc = v ? E_OK : E_NOMEM;
	for (size_t i = 0; rc == E_OK && i < n; i++)
		rc = device_decode(t, &r, &v[i]);
	out->v = v;
	out->n = n;
	return rc == E_OK ? rec_end(&r) : rc;
}

int devices_get(struct txn *t, struct slice computer, struct devices *out, struct err *e)
{
	struct device_key k;
	struct buf b;
	*out = (struct devices){0};
	if (!device_key(&k, computer, 0))
		return E_NOTFOUND;
	int rc = devices_plain(t, &k, &b, &out->at, e);
	struct slice plain = rc == E_OK ? arena_copy(txn_arena(t), buf_bytes(&b)) : SL0;
	buf_free(&b);
	if (rc == E_OK)
		rc = plain.p ? devices_decode(t, plain, out) : E_NOMEM;
	return rc == E_OK || rc == E_NOTFOUND ? rc :
		err_set(e, (enum errcode)rc, "the hardware ids of computer %.*s cannot be read", SLF(computer));
}

/* ================= faces ================= */

#define FACE_NAME 255
#define FACE_BIOS 1024
#define FACE_ADDRESS 64
#define FACE_RECORD ((size_t)8 << 10)
static_assert(FACES * (FACE_NAME + FACE_BIOS + FACE_ADDRESS + 32) + 16 < FACE_RECORD, "faces fit their record");
#define FACE_DAYS 30 /* for so long a sign is one: who got a new id, or a name for good, is a plain computer again */

const char *const identity_flag_names[] = {[IDENTITY_PLAIN] = "", [IDENTITY_RENAMED] = "renamed", [IDENTITY_CLONED] = "cloned"};

static int faces_decode(struct slice value, struct faces *out)
{
	struct rec r = rec_of(value, 1);
	*out = (struct faces){0};
	out->alternations = rec_u32(&r);
	out->alternated_at = (tick_t)rec_u64(&r);
	unsigned n = rec_u8(&r);
	if (r.bad || n > FACES)
		return E_CORRUPT;
	for (; out->n < n; out->n++) {
		struct face *f = &out->v[out->n];
		f->name = rec_str(&r);
		f->bios = rec_str(&r);
		f->address = rec_str(&r);
		f->first = (tick_t)rec_u64(&r);
		f->last = (tick_t)rec_u64(&r);
		f->returns = rec_u32(&r);
	}
	return rec_end(&r);
}

static void faces_encode(struct buf *b, const struct faces *v)
{
	rec_begin(b, 1, FACE_RECORD);
	rec_put_u32(b, v->alternations);
	rec_put_u64(b, (uint64_t)v->alternated_at);
	buf_char(b, (char)v->n);
	for (unsigned i = 0; i < v->n; i++) {
		const struct face *f = &v->v[i];
		rec_put_str(b, f->name);
		rec_put_str(b, f->bios);
		rec_put_str(b, f->address);
		rec_put_u64(b, (uint64_t)f->first);
		rec_put_u64(b, (uint64_t)f->last);
		rec_put_u32(b, f->returns);
	}
}

/* What is not known (a contact has no BIOS data, a registration that has none) is like anything. */
static bool alike(struct slice a, struct slice b)
{
	return a.n == 0 || b.n == 0 || text_ieq(a, b);
}

/* The face that this is: FACES if none.  The present one first; so a name with nothing else is the latest that had it. */
static unsigned find_face(const struct faces *v, const struct face *f)
{
	for (unsigned i = 0; i < v->n; i++)
		if (alike(v->v[i].name, f->name) && alike(v->v[i].bios, f->bios))
			return i;
	return FACES;
}

/* The face at i comes to the front; it has been there before another one. */
static void bring_back(struct faces *v, unsigned i, const struct face *f)
{
	struct face back = v->v[i];
	back.returns++;
	back.address = f->address.n ? f->address : back.address;
	memmove(&v->v[1], &v->v[0], i * sizeof(back));
	v->v[0] = back;
	v->alternations++;
	v->alternated_at = f->last;
}

static void add_face(struct faces *v, const struct face *f)
{
	v->n = MIN(v->n + 1, (unsigned)FACES);
	memmove(&v->v[1], &v->v[0], (v->n - 1) * sizeof(v->v[0]));
	v->v[0] = *f;
	if (f->name.n == 0)
		v->v[0].name = v->n > 1 ? v->v[1].name : SL("");
}

/* A face whose BIOS data are known now may turn out to be one that was here before: two clones of one name, say. */
static bool learn(struct faces *v, const struct face *f)
{
	struct face *now = &v->v[0];
	bool news = (now->bios.n == 0 && f->bios.n > 0) || (now->name.n == 0 && f->name.n > 0);
	now->bios = now->bios.n ? now->bios : f->bios;
	now->name = now->name.n ? now->name : f->name;
	return news;
}

/* false: nothing is to be written. */
static bool faces_meet(struct faces *v, const struct face *f)
{
	unsigned i = find_face(v, f);
	if (i == 0)
		return learn(v, f);
	if (v->n > 0)
		v->v[0].last = f->last;
	if (i < FACES)
		bring_back(v, i, f);
	else
		add_face(v, f);
	if (i < FACES)
		learn(v, f);
	v->v[0].last = f->last;
	return true;
}

int face_note(struct txn *t, struct slice computer, struct slice name, struct slice bios, struct slice address, tick_t now, struct err *e)
{
	struct computer_key k;
	struct faces v = {0};
	struct slice old;
	struct buf b;
	struct face f = {cut(name, FACE_NAME), cut(bios, FACE_BIOS), cut(address, FACE_ADDRESS), now, now, 0};
	if (f.name.n + f.bios.n == 0 || !computer_key(&k, computer))
		return E_OK;
	int rc = db_get(t, DB_FACE, k.s, &old);
	if (rc == E_OK && faces_decode(old, &v) != E_OK)
		v = (struct faces){0}; /* it begins anew */
	if ((rc != E_OK && rc != E_NOTFOUND) || !faces_meet(&v, &f))
		return rc == E_NOTFOUND ? E_OK : rc;
	faces_encode(&b, &v);
	if (fits(t, DB_FACE, k.s, b.n))
		return db_put_rec(t, DB_FACE, k.s, &b, e);
	buf_free(&b);
	return E_OK; /* the computer's row is what matters */
}

static bool recent(tick_t at)
{
	return at > time_now() - FACE_DAYS * 24 * 3600 * TICKS_PER_SECOND;
}

/* Firmware is updated: other BIOS data alone, that stay, are nothing. */
static enum identity_flag flag_of(const struct faces *v)
{
	if (v->alternations > 0 && recent(v->alternated_at))
		return IDENTITY_CLONED;
	return v->n > 1 && !text_ieq(v->v[0].name, v->v[1].name) && recent(v->v[0].first) ? IDENTITY_RENAMED : IDENTITY_PLAIN;
}

int faces_get(struct txn *t, struct slice computer, struct faces *out)
{
	struct computer_key k;
	struct slice v;
	*out = (struct faces){0};
	int rc = computer_key(&k, computer) ? db_get(t, DB_FACE, k.s, &v) : E_NOTFOUND;
	if (rc == E_OK)
		rc = faces_decode(v, out);
	if (rc == E_OK)
		out->flag = flag_of(out);
	return rc == E_OK && out->n < 2 ? E_NOTFOUND : rc;
}

/* ---- of format 4: rows elsewhere/ID in fmeta, v1 | name, address of before, at be64, times be32, returns be32 ---- */

#define ELSEWHERE "elsewhere/"

static int move_elsewhere(struct slice key, struct slice value, void *arg)
{
	struct txn *t = arg;
	struct rec r = rec_of(value, 1);
	struct faces v = {.n = 2};
	struct computer c;
	struct buf b;
	struct slice name = rec_str(&r), address = rec_str(&r);
	tick_t at = (tick_t)rec_u64(&r);
	rec_u32(&r);
	v.alternations = rec_u32(&r);
	v.alternated_at = at;
	key = (struct slice){key.p + strlen(ELSEWHERE), key.n - strlen(ELSEWHERE)};
	if (rec_end(&r) != E_OK || computer_get(t, key, &c) != E_OK)
		return E_OK;
	v.v[0] = (struct face){cut(c.dns_name, FACE_NAME), SL(""), cut(c.address, FACE_ADDRESS), at, at, 0};
	v.v[1] = (struct face){cut(name, FACE_NAME), SL(""), cut(address, FACE_ADDRESS), at, at, v.alternations};
	faces_encode(&b, &v);
	return db_put_rec(t, DB_FACE, c.id, &b, NULL);
}

int scanned_migrate(struct txn *t, struct err *e)
{
	int rc = db_each(t, DB_FMETA, SL(ELSEWHERE), move_elsewhere, t, e);
	return rc == E_OK ? db_del_prefix(t, DB_FMETA, SL(ELSEWHERE), NULL, e) : rc;
}

/* ================= all of it ================= */

int scanned_forget(struct txn *t, struct slice computer, struct err *e)
{
	struct device_key k;
	struct computer_key c;
	if (!computer_key(&c, computer) || !device_key(&k, computer, 0))
		return E_OK;
	int rc = db_del(t, DB_SCANNED, c.s, e);
	if (rc == E_OK)
		rc = db_del_prefix(t, DB_DEVICE, k.prefix, NULL, e);
	return rc == E_OK ? db_del(t, DB_FACE, c.s, e) : rc;
}

static bool is_computer(struct txn *t, struct slice key)
{
	struct computer_key k;
	return computer_key(&k, key) && slice_eq(k.s, key) && is_there(t, &k);
}

static bool scanned_good(struct txn *t, struct slice key)
{
	struct last_scan s;
	return last_scan_get(t, key, &s, NULL) == E_OK;
}

static bool devices_good(struct txn *t, struct slice key)
{
	struct devices d;
	return devices_get(t, key, &d, NULL) == E_OK;
}

static bool faces_good(struct slice value)
{
	struct faces v;
	return faces_decode(value, &v) == E_OK && v.n > 0;
}

bool scanned_row_good(struct txn *t, enum db db, struct slice key, struct slice value)
{
	if (db == DB_DEVICE) {
		if (key.n < 4 || key.p[key.n - 3] != 0)
			return false;
		key.n -= 3;
	}
	if (!is_computer(t, key))
		return false;
	return db == DB_SCANNED ? scanned_good(t, key) : db == DB_DEVICE ? devices_good(t, key) : faces_good(value);
}
