/* db.c -- raw access to the databases, records, keys, counters, the server's state, arrays of the scan index. */
#include <sys/random.h>

#include "common/buf.h"
#include "store/env.h"

/* ================= raw access ================= */

static MDB_val val(struct slice s)
{
	return (MDB_val){s.n, (void *)(uintptr_t)s.p};
}

static struct slice from_val(MDB_val v)
{
	return (struct slice){v.mv_size ? v.mv_data : "", v.mv_size};
}

static MDB_txn *mdb_of(const struct txn *t, enum db db)
{
	return t->mdb[env_of(db)];
}

/* A store of an older format, which is only read, lacks what came later. */
static bool absent(const struct txn *t, enum db db)
{
	return mdb_of(t, db) && t->store->dbi[db] == DBI_NONE;
}

/* LMDB hides the damage that it meets on its way to a root: the transaction is bad for no reason that we gave. */
static int judge(const struct txn *t, enum db db, int rc, struct err *e)
{
	bool hidden = rc == MDB_BAD_TXN && t->failed.code == E_OK;
	return env_error(&t->store->env[env_of(db)], hidden ? MDB_CORRUPTED : rc, e);
}

static int result(struct txn *t, enum db db, int rc, struct err *e)
{
	struct err mine;
	if (rc == 0)
		return E_OK;
	rc = judge(t, db, rc, &mine);
	return err_set(e, (enum errcode)rc, "%s, database `%s`", mine.text, db_table[db].name);
}

/* Of a write: a failure spoils the transaction. */
static int written(struct txn *t, enum db db, int rc, size_t bytes, struct err *e)
{
	struct err mine;
	t->bytes[db] += bytes;
	t->rows[db]++;
	if (rc == 0)
		return E_OK;
	rc = judge(t, db, rc, &mine);
	txn_fail(t, rc, &mine);
	return err_set(e, (enum errcode)rc, "%s", mine.text);
}

int db_get(struct txn *t, enum db db, struct slice key, struct slice *value)
{
	MDB_val k = val(key), v;
	if (key.n == 0 || absent(t, db))
		return E_NOTFOUND;
	int rc = mdb_get(mdb_of(t, db), t->store->dbi[db], &k, &v);
	if (rc == MDB_BAD_VALSIZE)
		return E_NOTFOUND; /* no such key can be stored */
	if (rc != 0)
		return judge(t, db, rc, NULL);
	*value = from_val(v);
	return E_OK;
}

/* ---- how LMDB 0.9 lays rows onto pages; to be wrong about it would waste some space and nothing else ---- */
enum { PAGE_HEADER = 16, NODE_HEADER = 8, NODE_INDEX = 2, PAGE_NUMBER = 8, ROWS_OF_PAGE = 2 };
#define PART_MIN ((size_t)256) /* a row for less is mostly key and headers */

static size_t page_of(const struct txn *t, enum db db)
{
	return t->store->env[env_of(db)].page - PAGE_HEADER;
}

/* The largest value behind a key that shares a page with other rows. */
static size_t shared_max(const struct txn *t, enum db db, size_t key)
{
	return (page_of(t, db) / ROWS_OF_PAGE & ~(size_t)1) - NODE_INDEX - NODE_HEADER - key;
}

/* Rows that are appended fill a page until one does not fit. */
static void appended(struct txn *t, enum db db, size_t key, size_t value)
{
	if (value > shared_max(t, db, key))
		value = PAGE_NUMBER;
	size_t row = ((NODE_HEADER + key + value + 1) & ~(size_t)1) + NODE_INDEX;
	t->left[db] = (row <= t->left[db] ? t->left[db] : page_of(t, db)) - row;
}

size_t db_fit(const struct txn *t, enum db db, size_t key, size_t n)
{
	size_t page = t->store->env[env_of(db)].page, around = NODE_HEADER + key + NODE_INDEX;
	size_t most = shared_max(t, db, key);
	if (n >= page_of(t, db))
		return (n + PAGE_HEADER) / page * page - PAGE_HEADER;
	if (n > t->left[db] - MIN(t->left[db], around) && t->left[db] >= around + PART_MIN)
		most = MIN(most, t->left[db] - around);
	return MIN(n, most);
}

static int put(struct txn *t, enum db db, struct slice key, MDB_val *v, unsigned flags, struct err *e)
{
	MDB_val k = val(key);
	size_t n = v->mv_size;
	int rc = mdb_put(mdb_of(t, db), t->store->dbi[db], &k, v, flags);
	if (rc == 0 && (flags & MDB_APPEND))
		appended(t, db, key.n, n);
	if (rc == MDB_KEYEXIST && (flags & MDB_APPEND))
		rc = mdb_put(mdb_of(t, db), t->store->dbi[db], &k, v, flags & ~(unsigned)MDB_APPEND);
	return written(t, db, rc, key.n + n, e);
}

int db_put(struct txn *t, enum db db, struct slice key, struct slice value, struct err *e)
{
	MDB_val v = val(value);
	return put(t, db, key, &v, 0, e);
}

int db_append(struct txn *t, enum db db, struct slice key, struct slice value, struct err *e)
{
	MDB_val v = val(value);
	return put(t, db, key, &v, MDB_APPEND, e);
}

int db_reserve(struct txn *t, enum db db, struct slice key, size_t n, void **to, struct err *e)
{
	MDB_val v = {n, NULL};
	/* behind the last key LMDB then fills its pages instead of halving them */
	int rc = put(t, db, key, &v, MDB_RESERVE | MDB_APPEND, e);
	*to = rc == E_OK ? v.mv_data : NULL;
	return rc;
}

static int del(struct txn *t, enum db db, struct slice key, MDB_val *v, struct err *e)
{
	MDB_val k = val(key);
	int rc = mdb_del(mdb_of(t, db), t->store->dbi[db], &k, v);
	return rc == MDB_NOTFOUND ? E_OK : written(t, db, rc, key.n, e);
}

int db_del(struct txn *t, enum db db, struct slice key, struct err *e)
{
	return del(t, db, key, NULL, e);
}

/* LMDB frees the pages by the pages above them: those of the rows are not even read. */
int db_empty(struct txn *t, enum db db, struct err *e)
{
	return written(t, db, mdb_drop(mdb_of(t, db), t->store->dbi[db], 0), 0, e);
}

int db_del_dup(struct txn *t, enum db db, struct slice key, struct slice value, struct err *e)
{
	MDB_val v = val(value);
	return del(t, db, key, &v, e);
}

static bool below(MDB_val k, struct slice prefix)
{
	return k.mv_size >= prefix.n && (prefix.n == 0 || memcmp(k.mv_data, prefix.p, prefix.n) == 0);
}

static int walk(struct txn *t, enum db db, struct slice from, struct slice prefix, db_row_fn *fn, void *arg,
	struct err *e)
{
	MDB_cursor *c;
	MDB_val k = val(from), v;
	if (absent(t, db))
		return E_OK;
	int rc = mdb_cursor_open(mdb_of(t, db), t->store->dbi[db], &c);
	if (rc != 0)
		return result(t, db, rc, e);
	int stop = 0;
	rc = mdb_cursor_get(c, &k, &v, from.n ? MDB_SET_RANGE : MDB_FIRST);
	while (rc == 0 && stop == 0 && below(k, prefix)) {
		stop = fn(from_val(k), from_val(v), arg);
		if (stop == 0)
			rc = mdb_cursor_get(c, &k, &v, MDB_NEXT);
	}
	mdb_cursor_close(c);
	return stop != 0 ? stop : rc == MDB_NOTFOUND ? E_OK : result(t, db, rc, e);
}

int db_each(struct txn *t, enum db db, struct slice prefix, db_row_fn *fn, void *arg, struct err *e)
{
	return walk(t, db, prefix, prefix, fn, arg, e);
}

int db_each_from(struct txn *t, enum db db, struct slice from, db_row_fn *fn, void *arg, struct err *e)
{
	return walk(t, db, from, SL0, fn, arg, e);
}

bool db_has_pair(struct txn *t, enum db db, struct slice key, struct slice value)
{
	MDB_cursor *c;
	MDB_val k = val(key), v = val(value);
	if (absent(t, db) || mdb_cursor_open(mdb_of(t, db), t->store->dbi[db], &c) != 0)
		return false;
	int rc = mdb_cursor_get(c, &k, &v, MDB_GET_BOTH);
	mdb_cursor_close(c);
	return rc == 0;
}

int db_last(struct txn *t, enum db db, struct slice *key)
{
	MDB_cursor *c;
	MDB_val k, v;
	if (absent(t, db))
		return E_NOTFOUND;
	int rc = mdb_cursor_open(mdb_of(t, db), t->store->dbi[db], &c);
	if (rc != 0)
		return result(t, db, rc, NULL);
	rc = mdb_cursor_get(c, &k, &v, MDB_LAST);
	mdb_cursor_close(c);
	if (rc == 0)
		*key = from_val(k);
	return result(t, db, rc, NULL);
}

/* Asks anew after each row: a deletion may have merged the cursor's page away. */
int db_del_prefix(struct txn *t, enum db db, struct slice prefix, uint64_t *n, struct err *e)
{
	MDB_cursor *c;
	uint64_t gone = 0;
	int rc = mdb_cursor_open(mdb_of(t, db), t->store->dbi[db], &c);
	if (rc != 0)
		return result(t, db, rc, e);
	unsigned all = db_table[db].flags & MDB_DUPSORT ? MDB_NODUPDATA : 0;
	int done = E_OK;
	while (done == E_OK) {
		MDB_val k = val(prefix), v;
		rc = mdb_cursor_get(c, &k, &v, prefix.n ? MDB_SET_RANGE : MDB_FIRST);
		if (rc != 0 || !below(k, prefix))
			break;
		done = written(t, db, mdb_cursor_del(c, all), k.mv_size, e);
		gone++;
	}
	mdb_cursor_close(c);
	if (n)
		*n = gone;
	return done != E_OK || rc == MDB_NOTFOUND ? done : result(t, db, rc, e);
}

int db_count(struct txn *t, enum db db, uint64_t *n, struct err *e)
{
	MDB_stat st = {0};
	int rc = absent(t, db) ? 0 : mdb_stat(mdb_of(t, db), t->store->dbi[db], &st);
	*n = rc == 0 ? st.ms_entries : 0;
	return result(t, db, rc, e);
}

size_t db_bytes(const struct txn *t, enum db db)
{
	MDB_stat st;
	if (absent(t, db) || mdb_stat(mdb_of(t, db), t->store->dbi[db], &st) != 0)
		return 0;
	return (st.ms_branch_pages + st.ms_leaf_pages + st.ms_overflow_pages) * st.ms_psize;
}

/* ================= records ================= */

struct rec rec_of(struct slice value, uint8_t version)
{
	struct rec r = {(const uint8_t *)value.p, (const uint8_t *)value.p + value.n, false};
	if (value.n == 0 || rec_u8(&r) != version)
		r.bad = true;
	return r;
}

size_t rec_left(const struct rec *r)
{
	return r->bad ? 0 : (size_t)(r->end - r->p);
}

static const uint8_t *take(struct rec *r, size_t n)
{
	if (rec_left(r) < n || r->bad) {
		r->bad = true;
		return NULL;
	}
	const uint8_t *p = r->p;
	r->p += n;
	return p;
}

uint8_t rec_u8(struct rec *r)
{
	const uint8_t *p = take(r, 1);
	return p ? *p : 0;
}

uint16_t rec_u16(struct rec *r)
{
	const uint8_t *p = take(r, 2);
	return p ? get_be16(p) : 0;
}

uint32_t rec_u32(struct rec *r)
{
	const uint8_t *p = take(r, 4);
	return p ? get_be32(p) : 0;
}

uint64_t rec_u64(struct rec *r)
{
	const uint8_t *p = take(r, 8);
	return p ? get_be64(p) : 0;
}

uint64_t rec_number(struct rec *r)
{
	uint64_t v = 0;
	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t c = rec_u8(r);
		v |= (uint64_t)(c & 0x7F) << shift;
		if (c < 0x80)
			return v;
	}
	r->bad = true;
	return 0;
}

void rec_bytes(struct rec *r, void *to, size_t n)
{
	const uint8_t *p = take(r, n);
	if (p)
		memcpy(to, p, n);
	else
		memset(to, 0, n);
}

struct slice rec_str(struct rec *r)
{
	size_t n = rec_u32(r);
	const uint8_t *p = take(r, n);
	return (struct slice){p ? (const char *)p : "", p ? n : 0};
}

int rec_end(const struct rec *r)
{
	return r->bad || r->p != r->end ? E_CORRUPT : E_OK;
}

void rec_begin(struct buf *b, uint8_t version, size_t max)
{
	buf_init(b, max);
	buf_char(b, (char)version);
}

void rec_put_u16(struct buf *b, uint16_t v)
{
	uint8_t be[2];
	put_be16(be, v);
	buf_add(b, be, sizeof(be));
}

void rec_put_u32(struct buf *b, uint32_t v)
{
	uint8_t be[4];
	put_be32(be, v);
	buf_add(b, be, sizeof(be));
}

void rec_put_u64(struct buf *b, uint64_t v)
{
	uint8_t be[8];
	put_be64(be, v);
	buf_add(b, be, sizeof(be));
}

void rec_put_number(struct buf *b, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		buf_char(b, (char)(v | 0x80));
	buf_char(b, (char)v);
}

void rec_put_str(struct buf *b, struct slice s)
{
	if (s.n > LIMIT_RECORD) {
		b->rc = E_LIMIT;
		return;
	}
	rec_put_u32(b, (uint32_t)s.n);
	buf_slice(b, s);
}

int db_put_rec(struct txn *t, enum db db, struct slice key, struct buf *b, struct err *e)
{
	int rc = b->rc;
	if (rc == E_OK)
		rc = db_put(t, db, key, buf_bytes(b), e);
	else
		rc = txn_fail(t, err_set(e, (enum errcode)rc, "a record of `%s`: %s", db_table[db].name, err_name(rc)), e);
	buf_free(b);
	return rc;
}

/* ================= keys ================= */

struct key key_u32(uint32_t a)
{
	struct key k = {.n = 4};
	put_be32(k.b, a);
	return k;
}

struct key key_u32_u32(uint32_t a, uint32_t b)
{
	struct key k = {.n = 8};
	put_be32(k.b, a);
	put_be32(k.b + 4, b);
	return k;
}

struct key key_pending(uint8_t kind, uint32_t group, int32_t revision)
{
	struct key k = {.n = 9};
	k.b[0] = kind;
	put_be32(k.b + 1, group);
	put_be32(k.b + 5, (uint32_t)revision);
	return k;
}

struct key key_log(uint32_t epoch, uint32_t group, int32_t revision)
{
	struct key k = {.n = 12};
	put_be32(k.b, epoch);
	put_be32(k.b + 4, group);
	put_be32(k.b + 8, (uint32_t)revision);
	return k;
}

struct key key_guid(const struct guid *g)
{
	struct key k = {.n = sizeof(g->b)};
	memcpy(k.b, g->b, sizeof(g->b));
	return k;
}

struct key key_identity(const struct guid *g, int32_t number)
{
	struct key k = key_guid(g);
	put_be32(k.b + k.n, (uint32_t)number);
	k.n += 4;
	return k;
}

struct key key_sha1(const struct sha1 *d)
{
	struct key k = {.n = sizeof(d->b)};
	memcpy(k.b, d->b, sizeof(d->b));
	return k;
}

int guid_make(struct guid *out, struct err *e)
{
	if (getrandom(out, sizeof(*out), 0) != (ssize_t)sizeof(*out))
		return err_errno(e, "random bytes for a guid");
	out->b[6] = (uint8_t)((out->b[6] & 0x0F) | 0x40); /* RFC 4122, 4.4 */
	out->b[8] = (uint8_t)((out->b[8] & 0x3F) | 0x80);
	return E_OK;
}

/* ================= counters and the server's state ================= */

static const struct {
	const char *key;
	uint32_t skip; /* by a new generation: more than a backup can be behind */
} counters[COUNT__N] = {
	[COUNT_REVISION] = {"count.revision", 10000},
	[COUNT_UPDATE] = {"count.update", 0}, /* these two never leave the server */
	[COUNT_GROUP] = {"count.group", 0},
	[COUNT_DEPLOYMENT] = {"count.deployment", 10000},
};

uint32_t counter_last(struct txn *t, enum counter c)
{
	struct slice v;
	if (db_get(t, DB_META, slice_of(counters[c].key), &v) != E_OK)
		return 0;
	struct rec r = rec_of(v, 1);
	return rec_u32(&r);
}

static int counter_advance(struct txn *t, enum counter c, uint32_t by, uint32_t *out, struct err *e)
{
	uint32_t last = counter_last(t, c);
	if (by > (uint32_t)INT32_MAX - last)
		return txn_fail(t, err_set(e, E_LIMIT, "%s: all numbers are used up", counters[c].key), e);
	char v[5] = {1};
	put_be32(v + 1, *out = last + by);
	return db_put(t, DB_META, slice_of(counters[c].key), (struct slice){v, sizeof(v)}, e);
}

int counter_next(struct txn *t, enum counter c, uint32_t *out, struct err *e)
{
	return counter_advance(t, c, 1, out, e);
}

int server_state_get(struct txn *t, struct server_state *out, struct err *e)
{
	struct slice v;
	*out = (struct server_state){0};
	if (db_get(t, DB_META, SL("state"), &v) != E_OK)
		return err_set(e, E_CORRUPT, "the store has no state record");
	struct rec r = rec_of(v, 1);
	rec_bytes(&r, &out->server_id, sizeof(out->server_id));
	out->generation = rec_u32(&r);
	out->epoch = rec_u32(&r);
	out->log_floor = rec_u32(&r);
	out->file_locations = rec_u32(&r);
	out->last_change = (tick_t)rec_u64(&r);
	out->created = (tick_t)rec_u64(&r);
	out->revisions = counter_last(t, COUNT_REVISION);
	out->updates = counter_last(t, COUNT_UPDATE);
	int rc = rec_end(&r);
	return rc == E_OK ? rc : err_set(e, E_CORRUPT, "the state record of the store cannot be read");
}

int server_state_put(struct txn *t, const struct server_state *s, struct err *e)
{
	struct buf b;
	rec_begin(&b, 1, LIMIT_RECORD);
	buf_add(&b, &s->server_id, sizeof(s->server_id));
	rec_put_u32(&b, s->generation);
	rec_put_u32(&b, s->epoch);
	rec_put_u32(&b, s->log_floor);
	rec_put_u32(&b, s->file_locations);
	rec_put_u64(&b, (uint64_t)s->last_change);
	rec_put_u64(&b, (uint64_t)s->created);
	return db_put_rec(t, DB_META, SL("state"), &b, e);
}

int server_new_generation(struct txn *t, struct err *e)
{
	struct server_state st;
	int rc = server_state_get(t, &st, e);
	if (rc == E_OK && st.generation >= INT32_MAX)
		rc = err_set(e, E_LIMIT, "all generations are used up");
	st.generation++;
	if (rc == E_OK)
		rc = server_state_put(t, &st, e);
	for (enum counter c = 0; rc == E_OK && c < COUNT__N; c++) {
		uint32_t last;
		if (counters[c].skip)
			rc = counter_advance(t, c, counters[c].skip, &last, e);
	}
	return rc;
}

static_assert(COUNTOF(counters) == COUNTOF(((struct server_marks *)0)->count), "marks have all counters");

int server_marks_get(struct txn *t, struct server_marks *out, struct err *e)
{
	struct server_state st;
	int rc = server_state_get(t, &st, e);
	*out = (struct server_marks){.server_id = st.server_id, .generation = st.generation};
	for (enum counter c = 0; c < COUNT__N; c++)
		out->count[c] = counter_last(t, c);
	return rc;
}

int server_new_generation_after(struct txn *t, const struct server_marks *past, struct err *e)
{
	struct server_state st;
	int rc = server_state_get(t, &st, e);
	st.generation = MAX(st.generation, past->generation);
	if (rc == E_OK)
		rc = server_state_put(t, &st, e);
	for (enum counter c = 0; rc == E_OK && c < COUNT__N; c++) {
		uint32_t last = counter_last(t, c);
		/* UpdateNo and GroupNo never leave the server, and lists are as long as they are high */
		if (counters[c].skip && past->count[c] > last)
			rc = counter_advance(t, c, past->count[c] - last, &last, e);
	}
	return rc == E_OK ? server_new_generation(t, e) : rc;
}

int server_take_id(struct txn *t, const struct guid *id, struct err *e)
{
	struct server_state st;
	int rc = server_state_get(t, &st, e);
	st.server_id = *id;
	return rc == E_OK ? server_state_put(t, &st, e) : rc;
}

/* ================= arrays of the scan index ================= */

static struct key array_key(enum array a, uint32_t sub, size_t chunk)
{
	struct key k = {.n = 7};
	k.b[0] = (uint8_t)a;
	put_be32(k.b + 1, sub);
	put_be16(k.b + 5, (uint16_t)chunk);
	return k;
}

int array_chunk(struct txn *t, enum array a, uint32_t sub, uint16_t chunk, struct slice *out)
{
	struct key k = array_key(a, sub, chunk);
	return db_get(t, DB_ARRAY, key_bytes(&k), out);
}

static int array_put_chunk(struct txn *t, struct key k, struct slice bytes, unsigned *changed, struct err *e)
{
	struct slice old;
	if (db_get(t, DB_ARRAY, key_bytes(&k), &old) == E_OK && slice_eq(old, bytes))
		return E_OK;
	++*changed;
	return db_put(t, DB_ARRAY, key_bytes(&k), bytes, e);
}

int array_put(struct txn *t, enum array a, uint32_t sub, const void *p, size_t bytes, unsigned *changed,
	struct err *e)
{
	unsigned ignored, *count = changed ? changed : &ignored;
	size_t chunk = 0;
	struct slice old;
	*count = 0;
	if (bytes / LIMIT_CHUNK > UINT16_MAX)
		return txn_fail(t, err_set(e, E_LIMIT, "an array of the scan index is too large"), e);
	for (size_t at = 0; at < bytes; at += LIMIT_CHUNK, chunk++) {
		struct slice part = {(const char *)p + at, MIN(bytes - at, LIMIT_CHUNK)};
		int rc = array_put_chunk(t, array_key(a, sub, chunk), part, count, e);
		if (rc != E_OK)
			return rc;
	}
	for (; chunk <= UINT16_MAX && array_chunk(t, a, sub, (uint16_t)chunk, &old) == E_OK; chunk++) {
		struct key k = array_key(a, sub, chunk);
		++*count;
		int rc = db_del(t, DB_ARRAY, key_bytes(&k), e);
		if (rc != E_OK)
			return rc;
	}
	return E_OK;
}
