/* activity.c -- operating systems of computers, and installations by update, server and operating system (MS-WUSP feeds what
 * MS-WSUSSS 3.1.1 calls the Client Computer Activity Summary Table).
 *
 * An operating system has a number as long as a computer has it or an installation was counted for it. */
#include "common/digest.h"
#include "common/wusp_info.h"
#include "store/tally.h"

#define OS_RECORD ((size_t)4 << 10)

/* ================= operating systems ================= */

static int os_decode(uint32_t no, struct slice value, struct os_info *out)
{
	struct rec r = rec_of(value, 1);
	*out = (struct os_info){.no = no, .tuple = rec_str(&r)};
	out->computers = rec_u32(&r);
	return rec_end(&r);
}

static int os_put(struct txn *t, const struct os_info *os, struct err *e)
{
	struct buf b;
	struct key k = key_u32(os->no);
	rec_begin(&b, 1, OS_RECORD);
	rec_put_str(&b, os->tuple);
	rec_put_u32(&b, os->computers);
	return db_put_rec(t, DB_OS, key_bytes(&k), &b, e);
}

int os_get(struct txn *t, uint32_t no, struct os_info *out)
{
	struct key k = key_u32(no);
	struct slice v;
	*out = (struct os_info){.no = no, .tuple = SL("")};
	int rc = db_get(t, DB_OS, key_bytes(&k), &v);
	return rc == E_OK ? os_decode(no, v, out) : rc;
}

struct each_os {
	int (*fn)(const struct os_info *, void *);
	void *arg;
	struct err *e;
};

static int each_os_row(struct slice key, struct slice value, void *arg)
{
	struct each_os *w = arg;
	struct os_info os;
	if (key.n != 4 || os_decode(get_be32(key.p), value, &os) != E_OK)
		return err_set(w->e, E_CORRUPT, "the record of an operating system cannot be read");
	return w->fn(&os, w->arg);
}

int os_each(struct txn *t, int (*fn)(const struct os_info *, void *), void *arg, struct err *e)
{
	struct each_os w = {fn, arg, e};
	return db_each(t, DB_OS, SL(""), each_os_row, &w, e);
}

int os_fields(struct slice tuple, struct os_fields *out)
{
	return os_tuple_unpack(tuple, out);
}

static int tuple_key(struct slice tuple, struct sha256 *out, struct err *e)
{
	struct digest *d = digest_new(DIGEST_SHA256);
	if (!d)
		return err_set(e, E_NOMEM, "out of memory for a digest");
	digest_start(d);
	digest_add(d, tuple);
	bool good = digest_end(d, out->b);
	digest_free(&d);
	return good ? E_OK : err_set(e, E_IO, "a digest cannot be made");
}

static struct slice sha256_bytes(const struct sha256 *d)
{
	return (struct slice){(const char *)d->b, sizeof(d->b)};
}

/* Numbers are not used up: who has none of a full table goes without, as long as it is full. */
static int os_make(struct txn *t, struct slice tuple, const struct sha256 *digest, uint32_t *no, struct err *e)
{
	struct slice last;
	uint64_t n;
	*no = 0;
	int rc = db_count(t, DB_OS, &n, e);
	if (rc != E_OK || n >= LIMIT_OS)
		return rc;
	struct os_info os = {.no = 1, .tuple = tuple};
	if (db_last(t, DB_OS, &last) == E_OK && last.n == 4)
		os.no = get_be32(last.p) + 1;
	struct key k = key_u32(os.no);
	rc = os_put(t, &os, e);
	if (rc == E_OK)
		rc = db_put(t, DB_OS_OF, sha256_bytes(digest), key_bytes(&k), e);
	*no = rc == E_OK ? os.no : 0;
	return rc;
}

static int number_of(struct txn *t, struct slice tuple, uint32_t *no, struct err *e)
{
	struct sha256 digest;
	struct slice v;
	int rc = tuple_key(tuple, &digest, e);
	if (rc != E_OK)
		return rc;
	if (db_get(t, DB_OS_OF, sha256_bytes(&digest), &v) != E_OK || v.n != 4)
		return os_make(t, tuple, &digest, no, e);
	*no = get_be32(v.p);
	return E_OK;
}

int os_number(struct txn *t, struct slice info, uint32_t *no, struct err *e)
{
	struct ComputerInfo in;
	struct buf b;
	*no = 0;
	if (info.n == 0 || computer_info_unpack(info, &in) != E_OK)
		return E_OK;
	struct os_fields os = os_of_info(&in);
	buf_init(&b, OS_TUPLE);
	os_tuple_pack(&b, &os);
	int rc = b.rc == E_OK ? number_of(t, buf_bytes(&b), no, e) : err_set(e, E_NOMEM, "out of memory for an operating system");
	buf_free(&b);
	return rc == E_OK ? rc : txn_fail(t, rc, e);
}

/* ---- is it needed? ---- */

static int stop_at_first(struct slice key, struct slice value, void *arg)
{
	(void)value;
	struct slice *found = arg;
	*found = key;
	return 1;
}

/* false: there is none. */
static bool id_behind(uint8_t id[16])
{
	for (int i = 15; i >= 0; i--)
		if (++id[i] != 0)
			return true;
	return false;
}

static bool has_activity(struct txn *t, uint32_t os)
{
	struct key k = {.n = 20};
	for (struct slice found = SL0;; found = SL0) { /* from server to server */
		put_be32(k.b + 16, os);
		if (db_each_from(t, DB_ACTIVITY, key_bytes(&k), stop_at_first, &found, NULL) != 1 || found.n < 20)
			return false;
		if (memcmp(found.p, k.b, 20) == 0)
			return true;
		bool same = memcmp(found.p, k.b, 16) == 0;
		memcpy(k.b, found.p, 16);
		if (same && !id_behind(k.b))
			return false;
	}
}

int os_count(struct txn *t, uint32_t no, int by, struct err *e)
{
	struct os_info os;
	struct sha256 digest;
	if (no == 0)
		return E_OK;
	int rc = os_get(t, no, &os);
	if (rc != E_OK)
		return txn_fail(t, err_set(e, (enum errcode)rc, "the record of operating system %u cannot be read", (unsigned)no), e);
	os.tuple = arena_copy(txn_arena(t), os.tuple);
	if (!os.tuple.p)
		return txn_fail(t, err_set(e, E_NOMEM, "out of memory for an operating system"), e);
	rc = count_add(t, &os.computers, by, e);
	if (rc != E_OK || os.computers > 0 || has_activity(t, no))
		return rc == E_OK ? os_put(t, &os, e) : rc;
	struct key k = key_u32(no);
	rc = tuple_key(os.tuple, &digest, e);
	if (rc == E_OK)
		rc = db_del(t, DB_OS_OF, sha256_bytes(&digest), e);
	return rc == E_OK ? db_del(t, DB_OS, key_bytes(&k), e) : txn_fail(t, rc, e);
}

struct numbers {
	struct txn *t;
	uint32_t *v;
	size_t n, cap;
};

static int note_number(const struct os_info *os, void *arg)
{
	struct numbers *w = arg;
	uint32_t *v = ARENA_MORE(txn_arena(w->t), w->v, w->n, &w->cap);
	if (!v)
		return E_NOMEM;
	w->v = v;
	w->v[w->n++] = os->no;
	return E_OK;
}

int os_uncount(struct txn *t, struct err *e)
{
	struct numbers w = {.t = t};
	int rc = os_each(t, note_number, &w, e);
	if (rc == E_NOMEM)
		rc = err_set(e, E_NOMEM, "out of memory for the operating systems");
	for (size_t i = 0; rc == E_OK && i < w.n; i++) {
		struct os_info os;
		rc = os_get(t, w.v[i], &os);
		os.computers = 0;
		os.tuple = arena_copy(txn_arena(t), os.tuple);
		if (rc == E_OK)
			rc = os.tuple.p ? os_put(t, &os, e) : err_set(e, E_NOMEM, "out of memory for the operating systems");
	}
	return rc;
}

/* ================= activity ================= */

static int activity_decode(struct slice key, struct slice value, struct activity *out)
{
	struct rec r = rec_of(value, 1);
	*out = (struct activity){.good = rec_u32(&r)};
	out->bad = rec_u32(&r);
	if (key.n != 40)
		return E_CORRUPT;
	memcpy(out->server.b, key.p, 16);
	out->os = get_be32(key.p + 16);
	memcpy(out->update.b, key.p + 20, 16);
	out->revision = (int32_t)get_be32(key.p + 36);
	return rec_end(&r);
}

static struct key activity_key(const struct guid *server, uint32_t os, const struct guid *update, int32_t revision)
{
	struct key k = {.n = 40};
	memcpy(k.b, server->b, 16);
	put_be32(k.b + 16, os);
	memcpy(k.b + 20, update->b, 16);
	put_be32(k.b + 36, (uint32_t)revision);
	return k;
}

static uint32_t add_up(uint32_t v, uint32_t by)
{
	return by > UINT32_MAX - v ? UINT32_MAX : v + by;
}

int activity_add(struct txn *t, uint32_t os, const struct guid *update, int32_t revision, uint32_t good, uint32_t bad, struct err *e)
{
	struct server_state st;
	struct slice v;
	struct activity a = {.good = 0};
	int rc = good || bad ? server_state_get(t, &st, e) : E_OK;
	if (rc != E_OK || !(good || bad))
		return rc;
	struct key k = activity_key(&st.server_id, os, update, revision);
	rc = db_get(t, DB_ACTIVITY, key_bytes(&k), &v);
	if (rc == E_NOTFOUND && !txn_fleet_has_room(t))
		return txn_fail(t, err_set(e, E_FULL, "half of fleet/ is full: installations of another update are not counted; "
			"`wsusctl computer delete` those that are no more, or set WSUS_FLEET_MAP_MB to more"), e);
	if (rc == E_OK)
		rc = activity_decode(key_bytes(&k), v, &a);
	if (rc != E_OK && rc != E_NOTFOUND)
		return txn_fail(t, err_set(e, (enum errcode)rc, "counted installations of an update cannot be read"), e);
	char b[9] = {1};
	put_be32(b + 1, add_up(a.good, good));
	put_be32(b + 5, add_up(a.bad, bad));
	return db_put(t, DB_ACTIVITY, key_bytes(&k), (struct slice){b, sizeof(b)}, e);
}

struct each_activity {
	int (*fn)(const struct activity *, void *);
	void *arg;
	struct err *e;
};

static int each_activity_row(struct slice key, struct slice value, void *arg)
{
	struct each_activity *w = arg;
	struct activity a;
	if (activity_decode(key, value, &a) != E_OK)
		return err_set(w->e, E_CORRUPT, "counted installations of an update cannot be read");
	return w->fn(&a, w->arg);
}

int activity_each(struct txn *t, int (*fn)(const struct activity *, void *), void *arg, struct err *e)
{
	struct each_activity w = {fn, arg, e};
	return db_each(t, DB_ACTIVITY, SL(""), each_activity_row, &w, e);
}
