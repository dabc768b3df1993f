/* downstream.c -- servers below this one, and the files that they want.  See downstream.h.
 *
 *  fleet/downstream  ServerID[16] -> v1 | name, address, first and last seen, protocol version, last list, last deployments,
 *                                    ServerID of the parent, last rollup, last sync, its version, 18 counters
 *  fleet/wanted      sha1[20]     -> v1 | ServerID of who asked first, when, how often
 *  catalog/admitted  ServerID[16] -> v1 | state, name, decided at, by
 *
 * What a server says and what was decided about it are rows of two environments, because a web service may write only one. */
#include "common/buf.h"
#include "common/text.h"
#include "store/db.h"
#include "store/downstream.h"

#define HOUR (3600 * TICKS_PER_SECOND)
#define DOWNSTREAM_RECORD ((size_t)4 << 10) /* three texts of 255 bytes and the figures */

const char *const downstream_state_names[] = {"pending", "approved", "blocked"};

/* ================= rows ================= */

static int downstream_decode(const struct guid *id, struct slice value, struct downstream *out)
{
	struct rec r = rec_of(value, 1);
	*out = (struct downstream){.id = *id, .came = true};
	out->name = rec_str(&r);
	out->address = rec_str(&r);
	out->first_seen = (tick_t)rec_u64(&r);
	out->last_seen = (tick_t)rec_u64(&r);
	out->major = rec_u32(&r);
	out->minor = rec_u32(&r);
	out->listed = (tick_t)rec_u64(&r);
	out->replicated = (tick_t)rec_u64(&r);
	rec_bytes(&r, out->parent.b, sizeof(out->parent.b));
	out->last_rollup = (tick_t)rec_u64(&r);
	out->last_sync = (tick_t)rec_u64(&r);
	out->version = rec_str(&r);
	for (size_t i = 0; i < COUNTOF(out->counter); i++)
		out->counter[i] = (int32_t)rec_u32(&r);
	return rec_end(&r);
}

static int row_put(struct txn *t, const struct downstream *d, struct err *e)
{
	struct key k = key_guid(&d->id);
	struct buf b;
	rec_begin(&b, 1, DOWNSTREAM_RECORD);
	rec_put_str(&b, d->name);
	rec_put_str(&b, d->address);
	rec_put_u64(&b, (uint64_t)d->first_seen);
	rec_put_u64(&b, (uint64_t)d->last_seen);
	rec_put_u32(&b, d->major);
	rec_put_u32(&b, d->minor);
	rec_put_u64(&b, (uint64_t)d->listed);
	rec_put_u64(&b, (uint64_t)d->replicated);
	buf_add(&b, d->parent.b, sizeof(d->parent.b));
	rec_put_u64(&b, (uint64_t)d->last_rollup);
	rec_put_u64(&b, (uint64_t)d->last_sync);
	rec_put_str(&b, d->version);
	for (size_t i = 0; i < COUNTOF(d->counter); i++)
		rec_put_u32(&b, (uint32_t)d->counter[i]);
	return db_put_rec(t, DB_DOWNSTREAM, key_bytes(&k), &b, e);
}

struct decision {
	enum downstream_state state;
	struct slice name, admin;
	tick_t at;
};

static int decision_decode(struct slice value, struct decision *out)
{
	struct rec r = rec_of(value, 1);
	uint8_t state = rec_u8(&r);
	*out = (struct decision){.state = state == DOWNSTREAM_APPROVED ? DOWNSTREAM_APPROVED : DOWNSTREAM_BLOCKED};
	out->name = rec_str(&r);
	out->at = (tick_t)rec_u64(&r);
	out->admin = rec_str(&r);
	return state != DOWNSTREAM_APPROVED && state != DOWNSTREAM_BLOCKED ? E_CORRUPT : rec_end(&r);
}

static int decision_get(struct txn *t, const struct guid *id, struct decision *out)
{
	struct key k = key_guid(id);
	struct slice v;
	*out = (struct decision){.state = DOWNSTREAM_PENDING, .name = SL(""), .admin = SL("")};
	int rc = db_get(t, DB_ADMITTED, key_bytes(&k), &v);
	return rc == E_OK ? decision_decode(v, out) : rc;
}

/* What it said, without the decision; E_NOTFOUND leaves an empty row. */
static int row_get(struct txn *t, const struct guid *id, struct downstream *out)
{
	struct key k = key_guid(id);
	struct slice v;
	*out = (struct downstream){.id = *id, .name = SL(""), .address = SL(""), .version = SL("")};
	int rc = db_get(t, DB_DOWNSTREAM, key_bytes(&k), &v);
	return rc == E_OK ? downstream_decode(id, v, out) : rc;
}

static void add_decision(struct downstream *d, const struct decision *v)
{
	d->state = v->state;
	d->decided = v->at;
	d->admin = v->admin;
	if (d->name.n == 0)
		d->name = v->name;
}

int downstream_get(struct txn *t, const struct guid *id, struct downstream *out, struct err *e)
{
	struct decision v;
	char text[GUID_TEXT + 1];
	guid_text(id, text);
	int said = row_get(t, id, out), decided = decision_get(t, id, &v);
	if (said == E_NOTFOUND && decided == E_NOTFOUND)
		return err_set(e, E_NOTFOUND, "no downstream server has the id %s", text);
	if (said != E_OK && said != E_NOTFOUND)
		return err_set(e, (enum errcode)said, "the record of downstream server %s cannot be read", text);
	if (decided != E_OK && decided != E_NOTFOUND)
		return err_set(e, (enum errcode)decided, "the decision about downstream server %s cannot be read", text);
	add_decision(out, &v);
	return E_OK;
}

/* ---- all of them: two ascending lists become one ---- */

struct merge {
	struct txn *t;
	int (*fn)(const struct downstream *, void *);
	void *arg;
	struct err *e;
	struct guid from;    /* decisions before this one are told */
	struct slice before; /* ... and a pass ends at this key; absent: at the end */
	bool ended, done;    /* the pass did; no decision is left */
};

static int tell(struct merge *w, struct slice key)
{
	struct guid id;
	struct downstream d;
	if (key.n != sizeof(id.b))
		return err_set(w->e, E_CORRUPT, "a downstream server's key has %zu bytes", key.n);
	memcpy(id.b, key.p, sizeof(id.b));
	int rc = downstream_get(w->t, &id, &d, w->e);
	return rc == E_OK ? w->fn(&d, w->arg) : rc;
}

/* To the key behind this one; false: there is none. */
static bool next_key(struct guid *g, struct slice key)
{
	memcpy(g->b, key.p, MIN(key.n, sizeof(g->b)));
	for (size_t i = sizeof(g->b); i-- > 0;)
		if (++g->b[i] != 0)
			return true;
	return false;
}

static int decided_row(struct slice key, struct slice value, void *arg)
{
	struct merge *w = arg;
	(void)value;
	w->ended = w->before.p && slice_cmp(key, w->before) >= 0;
	return w->ended ? 1 : tell(w, key);
}

static int decided_until(struct merge *w, struct slice key)
{
	struct key from = key_guid(&w->from);
	w->before = key;
	w->ended = false;
	int rc = w->done ? E_OK : db_each_from(w->t, DB_ADMITTED, key_bytes(&from), decided_row, w, w->e);
	if (key.p)
		w->done |= !next_key(&w->from, key);
	return w->ended ? E_OK : rc;
}

static int said_row(struct slice key, struct slice value, void *arg)
{
	struct merge *w = arg;
	(void)value;
	int rc = decided_until(w, key);
	return rc == E_OK ? tell(w, key) : rc;
}

int downstream_each(struct txn *t, int (*fn)(const struct downstream *, void *), void *arg, struct err *e)
{
	struct merge w = {.t = t, .fn = fn, .arg = arg, .e = e};
	int rc = db_each(t, DB_DOWNSTREAM, SL(""), said_row, &w, e);
	return rc == E_OK ? decided_until(&w, SL0) : rc;
}

static int tell_decision(struct slice key, struct slice value, void *arg)
{
	struct merge *w = arg;
	struct downstream d = {.name = SL(""), .address = SL(""), .version = SL("")};
	struct decision v;
	if (key.n != sizeof(d.id.b) || decision_decode(value, &v) != E_OK)
		return err_set(w->e, E_CORRUPT, "a decision about a downstream server cannot be read");
	memcpy(d.id.b, key.p, sizeof(d.id.b));
	add_decision(&d, &v);
	return w->fn(&d, w->arg);
}

int downstream_each_decided(struct txn *t, int (*fn)(const struct downstream *, void *), void *arg, struct err *e)
{
	struct merge w = {.t = t, .fn = fn, .arg = arg, .e = e};
	return db_each(t, DB_ADMITTED, SL(""), tell_decision, &w, e);
}

/* A decision that cannot be read admits nobody. */
enum downstream_state downstream_state(struct txn *t, const struct guid *id, const struct settings *set)
{
	struct decision v;
	int rc = decision_get(t, id, &v);
	if (rc == E_OK)
		return v.state;
	return rc == E_NOTFOUND && set->downstream_admission == DOWNSTREAM_OPEN ? DOWNSTREAM_APPROVED : DOWNSTREAM_PENDING;
}

/* ================= contact ================= */

/* Names are compared without regard to case: a name in other letters is no news. */
static bool same_contact(const struct downstream *old, const struct downstream *d)
{
	return text_ieq(old->name, d->name) && slice_eq(old->address, d->address) && d->last_seen - old->last_seen < HOUR;
}

bool downstream_contact_differs(struct txn *t, const struct downstream *d)
{
	struct downstream old;
	return row_get(t, &d->id, &old) != E_OK || !same_contact(&old, d);
}

struct undecided {
	struct txn *t;
	unsigned n;
};

static int count_undecided(struct slice key, struct slice value, void *arg)
{
	struct undecided *w = arg;
	struct slice decision;
	(void)value;
	w->n += db_get(w->t, DB_ADMITTED, key, &decision) == E_NOTFOUND;
	return w->n >= LIMIT_DOWNSTREAM_PENDING;
}

/* Rows of those that were decided upon are as many as the administrator wanted: they always have room. */
static int room_for(struct txn *t, const struct guid *id, struct err *e)
{
	struct decision v;
	struct undecided w = {t, 0};
	uint64_t rows;
	if (decision_get(t, id, &v) != E_NOTFOUND)
		return E_OK;
	if (!txn_fleet_has_room(t))
		return err_set(e, E_FULL, "half of fleet/ is full: no new downstream server is noted; `wsusctl computer delete` those "
			"that are no more, or set WSUS_FLEET_MAP_MB to more");
	int rc = db_count(t, DB_DOWNSTREAM, &rows, e);
	if (rc != E_OK || rows < LIMIT_DOWNSTREAM_PENDING)
		return rc;
	rc = db_each(t, DB_DOWNSTREAM, SL(""), count_undecided, &w, e);
	if (w.n < LIMIT_DOWNSTREAM_PENDING)
		return rc;
	return err_set(e, E_FULL, "%d downstream servers wait for a decision, more are not noted: `wsusctl downstream delete "
		"--pending` forgets them, and one of yours is approved by its id", LIMIT_DOWNSTREAM_PENDING);
}

static int bounded(const struct downstream *d, struct err *e)
{
	if (guid_is_zero(&d->id))
		return err_set(e, E_LIMIT, "a downstream server's id is zero");
	if (d->name.n > LIMIT_SERVER_NAME || d->address.n > LIMIT_SERVER_NAME)
		return err_set(e, E_LIMIT, "a downstream server's name and address have at most %d bytes", LIMIT_SERVER_NAME);
	return E_OK;
}

/* WSUSSS-AUTHCOOKIE-07, -08: figures are 0, the parent is this server. */
static int new_row(struct txn *t, const struct downstream *d, struct downstream *v, struct err *e)
{
	struct server_state st;
	int rc = room_for(t, &d->id, e);
	if (rc == E_OK)
		rc = server_state_get(t, &st, e);
	if (rc != E_OK)
		return rc;
	v->first_seen = MAX(d->last_seen, 1);
	v->parent = st.server_id;
	return E_OK;
}

/* What is borrowed from the row ends with the write: version alone is. */
static int keep_version(struct txn *t, struct downstream *v, struct err *e)
{
	v->version = arena_copy(txn_arena(t), v->version);
	return v->version.p ? E_OK : err_set(e, E_NOMEM, "out of memory");
}

int downstream_contact(struct txn *t, const struct downstream *d, struct err *e)
{
	struct downstream v;
	int rc = bounded(d, e);
	if (rc != E_OK)
		return rc;
	rc = row_get(t, &d->id, &v);
	if (rc == E_OK && same_contact(&v, d))
		return E_OK;
	if (rc == E_NOTFOUND)
		rc = new_row(t, d, &v, e);
	else if (rc != E_OK)
		return err_set(e, (enum errcode)rc, "the record of a downstream server cannot be read");
	if (rc == E_OK)
		rc = keep_version(t, &v, e);
	if (rc != E_OK)
		return rc;
	if (!text_ieq(v.name, d->name))
		v.name = d->name;
	else if ((v.name = arena_copy(txn_arena(t), v.name)).p == NULL)
		return err_set(e, E_NOMEM, "out of memory");
	v.address = d->address;
	v.last_seen = MAX(v.last_seen, d->last_seen);
	return row_put(t, &v, e);
}

/* ================= what they did since ================= */

/* true if the row says something new by it. */
static bool add_seen(struct downstream *v, const struct downstream_seen *s)
{
	struct downstream old = *v;
	if (s->major != 0) {
		v->major = s->major;
		v->minor = s->minor;
	}
	if (s->did & DOWNSTREAM_LISTED)
		v->listed = MAX(v->listed, s->at);
	if (s->did & DOWNSTREAM_REPLICATED)
		v->replicated = MAX(v->replicated, s->at);
	bool did = v->major != old.major || v->minor != old.minor || v->listed != old.listed || v->replicated != old.replicated;
	if (did || s->at - old.last_seen >= HOUR)
		v->last_seen = MAX(old.last_seen, s->at);
	return did || v->last_seen != old.last_seen;
}

static int seen_one(struct txn *t, const struct downstream_seen *s, struct err *e)
{
	struct downstream v;
	int rc = row_get(t, &s->id, &v);
	if (rc == E_NOTFOUND)
		return E_OK;
	if (rc != E_OK)
		return err_set(e, (enum errcode)rc, "the record of a downstream server cannot be read");
	if (!add_seen(&v, s))
		return E_OK;
	struct slice name = arena_copy(txn_arena(t), v.name), address = arena_copy(txn_arena(t), v.address);
	rc = keep_version(t, &v, e);
	if (rc != E_OK || !name.p || !address.p)
		return err_set(e, E_NOMEM, "out of memory");
	v.name = name;
	v.address = address;
	return row_put(t, &v, e);
}

int downstreams_seen(struct txn *t, const struct downstream_seen *v, size_t n, struct err *e)
{
	int rc = E_OK;
	for (size_t i = 0; rc == E_OK && i < n; i++)
		rc = seen_one(t, &v[i], e);
	return rc;
}

/* ================= decisions ================= */

static int decision_put(struct txn *t, const struct guid *id, const struct decision *v, struct err *e)
{
	struct key k = key_guid(id);
	struct buf b;
	rec_begin(&b, 1, DOWNSTREAM_RECORD);
	buf_char(&b, (char)v->state);
	rec_put_str(&b, v->name);
	rec_put_u64(&b, (uint64_t)v->at);
	rec_put_str(&b, v->admin);
	return db_put_rec(t, DB_ADMITTED, key_bytes(&k), &b, e);
}

static int take_back(struct txn *t, const struct guid *id, struct err *e)
{
	struct key k = key_guid(id);
	return db_del(t, DB_ADMITTED, key_bytes(&k), e);
}

int downstream_decide(struct txn *t, const struct guid *id, struct slice name, enum downstream_state state,
	struct slice admin, struct err *e)
{
	struct downstream given = {.id = *id, .name = name};
	struct decision old;
	int rc = bounded(&given, e);
	if (rc != E_OK)
		return rc;
	if (state == DOWNSTREAM_PENDING)
		return take_back(t, id, e);
	rc = decision_get(t, id, &old);
	if (rc == E_OK && old.state == state && (name.n == 0 || text_ieq(old.name, name)))
		return E_OK;
	struct decision v = {.state = state, .at = time_now()};
	v.name = name.n ? name : arena_copy(txn_arena(t), rc == E_OK ? old.name : SL(""));
	v.admin = (struct slice){admin.p ? admin.p : "", MIN(admin.n, (size_t)LIMIT_SERVER_NAME)};
	return v.name.p ? decision_put(t, id, &v, e) : err_set(e, E_NOMEM, "out of memory");
}

int downstream_forget(struct txn *t, const struct guid *id, struct err *e)
{
	struct key k = key_guid(id);
	struct slice v;
	int rc = db_get(t, DB_DOWNSTREAM, key_bytes(&k), &v);
	if (rc == E_NOTFOUND)
		return err_set(e, rc, "this downstream server never came");
	return rc == E_OK ? db_del(t, DB_DOWNSTREAM, key_bytes(&k), e)
			  : err_set(e, (enum errcode)rc, "the record of a downstream server cannot be read");
}

/* ================= files that are wanted ================= */

static int wanted_decode(const struct sha1 *digest, struct slice value, struct wanted *out)
{
	struct rec r = rec_of(value, 1);
	*out = (struct wanted){.digest = *digest};
	rec_bytes(&r, out->by.b, sizeof(out->by.b));
	out->at = (tick_t)rec_u64(&r);
	out->times = rec_u32(&r);
	return rec_end(&r);
}

static int wanted_put(struct txn *t, const struct wanted *v, struct err *e)
{
	struct key k = key_sha1(&v->digest);
	char b[1 + 16 + 8 + 4] = {1};
	memcpy(b + 1, v->by.b, sizeof(v->by.b));
	put_be64(b + 17, (uint64_t)v->at);
	put_be32(b + 25, v->times);
	return db_put(t, DB_WANTED, key_bytes(&k), (struct slice){b, sizeof(b)}, e);
}

int wanted_get(struct txn *t, const struct sha1 *digest, struct wanted *out)
{
	struct key k = key_sha1(digest);
	struct slice v;
	int rc = db_get(t, DB_WANTED, key_bytes(&k), &v);
	return rc == E_OK ? wanted_decode(digest, v, out) : rc;
}

int wanted_add(struct txn *t, const struct sha1 *digest, const struct guid *by, tick_t now, struct err *e)
{
	struct file f;
	struct wanted v;
	int rc = file_get(t, digest, &f, e);
	if (rc != E_OK)
		return rc;
	rc = wanted_get(t, digest, &v);
	if (rc != E_OK && rc != E_NOTFOUND)
		return err_set(e, (enum errcode)rc, "the mark of a wanted file cannot be read");
	if (rc == E_NOTFOUND && f.stored)
		return E_OK;
	if (rc == E_NOTFOUND && !txn_fleet_has_room(t))
		return err_set(e, E_FULL, "half of fleet/ is full: no more files are marked as wanted; `wsusctl computer delete` those "
			"that are no more, or set WSUS_FLEET_MAP_MB to more");
	if (rc == E_NOTFOUND)
		v = (struct wanted){.digest = *digest, .by = *by, .at = now};
	v.times += v.times < UINT32_MAX;
	return wanted_put(t, &v, e);
}

/* Is it named by a revision and not stored? */
static int still_wanted(struct txn *t, const struct sha1 *digest, bool *out)
{
	struct key k = key_sha1(digest);
	struct slice revision;
	struct file f;
	*out = false;
	int rc = file_get(t, digest, &f, NULL);
	if (rc == E_OK && !f.stored)
		rc = db_get(t, DB_FILE_REV, key_bytes(&k), &revision);
	*out = rc == E_OK && !f.stored;
	return rc == E_NOTFOUND ? E_OK : rc;
}

struct each_wanted {
	struct txn *t;
	int (*fn)(const struct wanted *, void *);
	void *arg;
	struct err *e;
	bool dropped; /* only those that nobody needs any more; else only those that are */
};

static int wanted_row(struct slice key, struct slice value, void *arg)
{
	struct each_wanted *w = arg;
	struct sha1 digest;
	struct wanted v;
	bool needed;
	if (key.n != sizeof(digest.b))
		return err_set(w->e, E_CORRUPT, "a wanted file's key has %zu bytes", key.n);
	memcpy(digest.b, key.p, sizeof(digest.b));
	if (wanted_decode(&digest, value, &v) != E_OK)
		return err_set(w->e, E_CORRUPT, "the mark of a wanted file cannot be read");
	int rc = still_wanted(w->t, &digest, &needed);
	if (rc != E_OK)
		return err_set(w->e, (enum errcode)rc, "the record of a wanted file cannot be read");
	return needed == w->dropped ? E_OK : w->fn(&v, w->arg);
}

int wanted_each(struct txn *t, int (*fn)(const struct wanted *, void *), void *arg, struct err *e)
{
	struct each_wanted w = {t, fn, arg, e, false};
	return db_each(t, DB_WANTED, SL(""), wanted_row, &w, e);
}

bool downstream_row_good(enum db db, struct slice key, struct slice value)
{
	struct guid id = {{0}};
	struct sha1 digest = {{0}};
	union {
		struct downstream said;
		struct decision decision;
		struct wanted wanted;
	} v;
	if (db == DB_WANTED)
		return key.n == sizeof(digest.b) && wanted_decode(&digest, value, &v.wanted) == E_OK;
	if (key.n != sizeof(id.b))
		return false;
	return db == DB_ADMITTED ? decision_decode(value, &v.decision) == E_OK : downstream_decode(&id, value, &v.said) == E_OK;
}

struct totalling {
	struct txn *t;
	struct wanted_totals *out;
};

static int add_to_total(const struct wanted *v, void *arg)
{
	struct totalling *w = arg;
	struct file f;
	w->out->files++;
	w->out->bytes += file_get(w->t, &v->digest, &f, NULL) == E_OK ? f.size : 0;
	return 0;
}

int wanted_total(struct txn *t, struct wanted_totals *out, struct err *e)
{
	struct totalling w = {t, out};
	uint64_t all;
	*out = (struct wanted_totals){0};
	int rc = db_count(t, DB_WANTED, &all, e);
	if (rc == E_OK && all > 0)
		rc = wanted_each(t, add_to_total, &w, e);
	out->stale = rc == E_OK ? all - out->files : 0;
	return rc;
}

struct sweep {
	struct sha1 digest[1000];
	size_t n;
};

static int note_dropped(const struct wanted *v, void *arg)
{
	struct sweep *s = arg;
	s->digest[s->n++] = v->digest;
	return s->n == COUNTOF(s->digest);
}

/* In pieces: what is walked may not be written. */
int wanted_sweep(struct txn *t, uint64_t *dropped, struct err *e)
{
	struct sweep s = {.n = COUNTOF(s.digest)};
	int rc = E_OK;
	*dropped = 0;
	while (rc == E_OK && s.n == COUNTOF(s.digest)) {
		struct each_wanted w = {t, note_dropped, &s, e, true};
		s.n = 0;
		rc = db_each(t, DB_WANTED, SL(""), wanted_row, &w, e);
		rc = s.n == COUNTOF(s.digest) ? E_OK : rc;
		for (size_t i = 0; rc == E_OK && i < s.n; i++) {
			struct key k = key_sha1(&s.digest[i]);
			rc = db_del(t, DB_WANTED, key_bytes(&k), e);
		}
		*dropped += rc == E_OK ? s.n : 0;
	}
	return rc;
}
