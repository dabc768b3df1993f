/* parent.c -- the server above this one: its state, choices, history, files to be fetched.  See parent.h.
 *
 *  meta "parent"                  -> v1 | url, what it said of itself, our cookie with it, anchors, languages
 *  choice   kind u8, UpdateID[16] -> v1 | wanted, covered, and what counting said
 *  history  began be64            -> v1 | struct sync_run
 *  fetch    sha1[20]              -> v1 | state, attempts, times, the last failure */
#include "common/text.h"
#include "store/db.h"
#include "store/fact.h"
#include "store/parent.h"
#include "store/publish.h"

#define PARENT SL("parent")
#define PARENT_RECORD ((size_t)256 << 10) /* its cookie and anchors are as long as it likes; 63 languages of 50 bytes */
#define PARENT_LANGUAGES 1000             /* 63 are known; what a message may list is bounded already */
#define RUN_RECORD ((size_t)4 << 10)
#define RUN_TEXT 500
#define RUN_SERVER 512
#define FETCH_RECORD ((size_t)1 << 10)
#define FETCH_TEXT 300

const char *const choice_kind_names[] = {[CHOICE_PRODUCT] = "product", [CHOICE_CLASSIFICATION] = "classification"};
const char *const run_result_names[RUN__RESULTS] = {
	[RUN_RUNNING] = "running", [RUN_DONE] = "done", [RUN_FAILED] = "failed", [RUN_CANCELLED] = "cancelled",
	[RUN_INTERRUPTED] = "interrupted",
};
const char *const sync_phase_names[SYNC__PHASES] = {
	[SYNC_AUTHORIZATION] = "authorization", [SYNC_CONFIGURATION] = "configuration", [SYNC_CATEGORIES] = "categories",
	[SYNC_UPDATES] = "updates", [SYNC_DEPLOYMENTS] = "deployments",
};

/* Texts for people are cut, between characters. */
static struct slice cut_text(struct slice s, size_t most)
{
	if (!s.p)
		return SL("");
	size_t n = MIN(s.n, most);
	while (n > 0 && n < s.n && ((unsigned char)s.p[n] & 0xC0) == 0x80)
		n--;
	return (struct slice){s.p, n};
}

/* ================= its state ================= */

static int languages_decode(struct txn *t, struct rec *r, struct parent *out)
{
	uint32_t n = rec_u32(r);
	if (n > PARENT_LANGUAGES || r->bad)
		return E_CORRUPT;
	struct parent_language *v = ARENA_ARRAY(txn_arena(t), struct parent_language, n);
	if (!v)
		return E_NOMEM;
	for (uint32_t i = 0; i < n; i++) {
		v[i].id = (int32_t)rec_u32(r);
		v[i].enabled = rec_u8(r) != 0;
		v[i].code = rec_str(r);
	}
	out->language = v;
	out->nlanguages = n;
	return E_OK;
}

static int parent_decode(struct txn *t, struct slice value, struct parent *out)
{
	struct rec r = rec_of(value, 1);
	struct slice *const texts[] = {&out->url, &out->service_url, &out->expiration, &out->cookie, &out->config_anchor,
		&out->category_anchor, &out->sync_anchor, &out->deployment_anchor, &out->version};
	*out = (struct parent){0};
	for (size_t i = 0; i < COUNTOF(texts); i++)
		*texts[i] = rec_str(&r);
	out->expires = (tick_t)rec_u64(&r);
	out->catalog_only = rec_u8(&r) != 0;
	out->lazy = rec_u8(&r) != 0;
	out->hosts_psf = rec_u8(&r) != 0;
	out->max_updates = (int32_t)rec_u32(&r);
	out->max_decryption = (int32_t)rec_u32(&r);
	out->met = (tick_t)rec_u64(&r);
	int rc = languages_decode(t, &r, out);
	return rc == E_OK ? rec_end(&r) : rc;
}

static int row_get(struct txn *t, struct parent *out, struct err *e)
{
	struct slice v;
	int rc = db_get(t, DB_META, PARENT, &v);
	if (rc == E_OK)
		rc = parent_decode(t, v, out);
	if (rc == E_NOTFOUND)
		return err_set(e, rc, "nothing is known of a server above this one");
	return rc == E_OK ? rc : err_set(e, (enum errcode)rc, "what is known of the server above this one cannot be read; "
			"`wsusctl upstream set` with its address begins anew");
}

int parent_get(struct txn *t, const struct settings *set, struct parent *out, struct err *e)
{
	int rc = row_get(t, out, e);
	if (rc == E_OK && (set->upstream_url.n == 0 || !slice_eq(out->url, set->upstream_url)))
		rc = err_set(e, E_NOTFOUND, "nothing is known of %.*s yet", SLF(set->upstream_url));
	return rc;
}

int parent_put(struct txn *t, const struct parent *p, struct err *e)
{
	struct buf b;
	const struct slice texts[] = {p->url, p->service_url, p->expiration, p->cookie, p->config_anchor, p->category_anchor,
		p->sync_anchor, p->deployment_anchor, p->version};
	if (p->nlanguages > PARENT_LANGUAGES)
		return txn_fail(t, err_set(e, E_LIMIT, "a server has at most %d languages", PARENT_LANGUAGES), e);
	rec_begin(&b, 1, PARENT_RECORD);
	for (size_t i = 0; i < COUNTOF(texts); i++)
		rec_put_str(&b, texts[i]);
	rec_put_u64(&b, (uint64_t)p->expires);
	buf_char(&b, p->catalog_only);
	buf_char(&b, p->lazy);
	buf_char(&b, p->hosts_psf);
	rec_put_u32(&b, (uint32_t)p->max_updates);
	rec_put_u32(&b, (uint32_t)p->max_decryption);
	rec_put_u64(&b, (uint64_t)p->met);
	rec_put_u32(&b, (uint32_t)p->nlanguages);
	for (size_t i = 0; i < p->nlanguages; i++) {
		rec_put_u32(&b, (uint32_t)p->language[i].id);
		buf_char(&b, p->language[i].enabled);
		rec_put_str(&b, p->language[i].code);
	}
	return db_put_rec(t, DB_META, PARENT, &b, e);
}

int parent_policy_lost(struct txn *t, struct err *e)
{
	struct parent p;
	if (row_get(t, &p, NULL) != E_OK || p.deployment_anchor.n == 0)
		return E_OK;
	p.deployment_anchor = SL("");
	return parent_put(t, &p, e);
}

int parent_list_lost(struct txn *t, struct err *e)
{
	struct parent p;
	if (row_get(t, &p, NULL) != E_OK || p.sync_anchor.n == 0)
		return E_OK;
	p.sync_anchor = SL("");
	return parent_put(t, &p, e);
}

bool parent_row_readable(struct txn *t)
{
	struct parent p;
	int rc = row_get(t, &p, NULL);
	return rc == E_OK || rc == E_NOTFOUND;
}

/* ---- back to nothing ---- */

struct held {
	struct arena *a;
	int32_t *v;
	size_t n, cap;
};

static int note_held(const struct revision *r, void *arg)
{
	struct held *h = arg;
	if (!(r->flags & REV_HELD))
		return E_OK;
	int32_t *v = ARENA_MORE(h->a, h->v, h->n, &h->cap);
	if (!v)
		return E_NOMEM;
	h->v = v;
	v[h->n++] = r->id;
	return E_OK;
}

/* They become what an import by hand stages: the next publish shows them, and holds back bundles whose members never came. */
static int let_go(struct txn *t, struct err *e)
{
	struct held h = {.a = txn_arena(t)};
	int rc = revision_each(t, 1, 0, note_held, &h, e);
	if (rc == E_NOMEM)
		return err_set(e, E_NOMEM, "out of memory for what a synchronization has begun");
	for (size_t i = 0; rc == E_OK && i < h.n; i++) {
		struct revision r;
		rc = revision_get(t, h.v[i], &r, e);
		r.flags &= ~REV_HELD;
		if (rc == E_OK)
			rc = revision_put(t, &r, e);
	}
	return rc;
}

static int cover(struct txn *t, bool wanted, struct err *e);

int parent_forget(struct txn *t, struct err *e)
{
	int rc = db_del(t, DB_META, PARENT, e);
	if (rc == E_OK)
		rc = cover(t, false, e);
	if (rc == E_OK)
		rc = db_del_prefix(t, DB_FETCH, SL(""), NULL, e);
	if (rc == E_OK)
		rc = publish_fact(t, 0, e);
	if (rc == E_OK)
		rc = db_del_prefix(t, DB_MIRROR, SL(""), NULL, e);
	if (rc == E_OK)
		rc = let_go(t, e);
	return rc == E_OK ? rc : txn_fail(t, rc, e);
}

/* ================= choices ================= */

static struct key choice_key(enum choice_kind kind, const struct guid *id)
{
	struct key k = {.n = 1 + sizeof(id->b)};
	k.b[0] = (uint8_t)kind;
	memcpy(k.b + 1, id->b, sizeof(id->b));
	return k;
}

static int choice_decode(struct slice key, struct slice value, struct choice *out)
{
	struct rec r = rec_of(value, 1);
	*out = (struct choice){0};
	if (key.n != 1 + sizeof(out->id.b) || key.p[0] < CHOICE_PRODUCT || key.p[0] > CHOICE_CLASSIFICATION)
		return E_CORRUPT;
	out->kind = (enum choice_kind)key.p[0];
	memcpy(out->id.b, key.p + 1, sizeof(out->id.b));
	out->wanted = rec_u8(&r) != 0;
	out->covered = rec_u8(&r) != 0;
	out->counted = (tick_t)rec_u64(&r);
	out->updates = rec_u32(&r);
	out->bytes = rec_u64(&r);
	out->sampled = rec_u32(&r);
	return rec_end(&r);
}

enum choice_kind choice_kind_of(const struct revision *v)
{
	static const enum choice_kind kind[] = {[CAT_COMPANY] = CHOICE_PRODUCT, [CAT_PRODUCT_FAMILY] = CHOICE_PRODUCT,
		[CAT_PRODUCT] = CHOICE_PRODUCT, [CAT_CLASSIFICATION] = CHOICE_CLASSIFICATION, [CAT_OTHER] = 0};
	return v->type == TYPE_CATEGORY && !(v->flags & REV_REMOVED) ? kind[v->category_type] : (enum choice_kind)0;
}

int choice_get(struct txn *t, enum choice_kind kind, const struct guid *id, struct choice *out)
{
	struct key k = choice_key(kind, id);
	struct slice v;
	int rc = db_get(t, DB_CHOICE, key_bytes(&k), &v);
	return rc == E_OK ? choice_decode(key_bytes(&k), v, out) : rc;
}

struct each_choice {
	int (*fn)(const struct choice *, void *);
	void *arg;
	struct err *e;
};

static int choice_row(struct slice key, struct slice value, void *arg)
{
	struct each_choice *w = arg;
	struct choice c;
	if (choice_decode(key, value, &c) != E_OK)
		return err_set(w->e, E_CORRUPT, "the record of a choice cannot be read");
	return w->fn(&c, w->arg);
}

int choice_each(struct txn *t, enum choice_kind kind, int (*fn)(const struct choice *, void *), void *arg, struct err *e)
{
	struct each_choice w = {fn, arg, e};
	const char first = (char)kind;
	return db_each(t, DB_CHOICE, kind ? (struct slice){&first, 1} : SL(""), choice_row, &w, e);
}

int choice_put(struct txn *t, const struct choice *c, struct err *e)
{
	struct key k = choice_key(c->kind, &c->id);
	struct buf b;
	ASSERT(c->kind == CHOICE_PRODUCT || c->kind == CHOICE_CLASSIFICATION);
	if (!c->wanted && !c->covered && c->counted == 0)
		return db_del(t, DB_CHOICE, key_bytes(&k), e);
	rec_begin(&b, 1, 64);
	buf_char(&b, c->wanted);
	buf_char(&b, c->covered);
	rec_put_u64(&b, (uint64_t)c->counted);
	rec_put_u32(&b, c->updates);
	rec_put_u64(&b, c->bytes);
	rec_put_u32(&b, c->sampled);
	return db_put_rec(t, DB_CHOICE, key_bytes(&k), &b, e);
}

struct choices {
	struct arena *a;
	bool wanted; /* those that are wanted are to be covered; else none, and what was counted is forgotten, too */
	struct choice *v;
	size_t n, cap;
};

static int note_other(const struct choice *c, void *arg)
{
	struct choices *w = arg;
	if (w->wanted ? c->covered == c->wanted : !c->covered && !c->counted)
		return E_OK;
	struct choice *v = ARENA_MORE(w->a, w->v, w->n, &w->cap);
	if (!v)
		return E_NOMEM;
	w->v = v;
	v[w->n++] = *c;
	return E_OK;
}

static int cover(struct txn *t, bool wanted, struct err *e)
{
	struct choices w = {.a = txn_arena(t), .wanted = wanted};
	int rc = choice_each(t, 0, note_other, &w, e);
	if (rc == E_NOMEM)
		return err_set(e, E_NOMEM, "out of memory for the choices");
	for (size_t i = 0; rc == E_OK && i < w.n; i++) {
		struct choice c = {.kind = w.v[i].kind, .id = w.v[i].id, .wanted = w.v[i].wanted};
		if (wanted) {
			c = w.v[i];
			c.covered = !c.covered;
		}
		rc = choice_put(t, &c, e);
	}
	return rc;
}

int choices_cover(struct txn *t, struct err *e)
{
	return cover(t, true, e);
}

/* ================= history ================= */

static struct key run_key(tick_t began)
{
	struct key k = {.n = 8};
	put_be64(k.b, (uint64_t)began);
	return k;
}

/* The numbers of a run in the order in which they are kept. */
#define RUN_NUMBERS(X) \
	X(listed) X(fetched) X(added) X(known) X(different) X(refused) X(related) X(groups) X(deployments) X(ended_deployments) \
	X(hidden) X(eulas) X(restarts)

static int run_decode(struct slice key, struct slice value, struct sync_run *out)
{
	struct rec r = rec_of(value, 1);
	*out = (struct sync_run){0};
	if (key.n != 8)
		return E_CORRUPT;
	out->began = (tick_t)get_be64(key.p);
	out->ended = (tick_t)rec_u64(&r);
	uint8_t result = rec_u8(&r), phase = rec_u8(&r);
	out->scheduled = rec_u8(&r) != 0;
	out->replica = rec_u8(&r) != 0;
	out->categories_only = rec_u8(&r) != 0;
#define GET(m) out->m = rec_u32(&r);
	RUN_NUMBERS(GET)
#undef GET
	out->received = rec_u64(&r);
	out->server = rec_str(&r);
	out->why = rec_str(&r);
	out->remedy = rec_str(&r);
	if (result >= RUN__RESULTS || phase >= SYNC__PHASES)
		return E_CORRUPT;
	out->result = (enum run_result)result;
	out->phase = (enum sync_phase)phase;
	return rec_end(&r);
}

int sync_run_put(struct txn *t, const struct sync_run *r, struct err *e)
{
	struct key k = run_key(r->began);
	struct buf b;
	rec_begin(&b, 1, RUN_RECORD);
	rec_put_u64(&b, (uint64_t)r->ended);
	buf_char(&b, (char)r->result);
	buf_char(&b, (char)r->phase);
	buf_char(&b, r->scheduled);
	buf_char(&b, r->replica);
	buf_char(&b, r->categories_only);
#define PUT(m) rec_put_u32(&b, r->m);
	RUN_NUMBERS(PUT)
#undef PUT
	rec_put_u64(&b, r->received);
	rec_put_str(&b, cut_text(r->server, RUN_SERVER));
	rec_put_str(&b, cut_text(r->why, RUN_TEXT));
	rec_put_str(&b, cut_text(r->remedy, RUN_TEXT));
	return db_put_rec(t, DB_HISTORY, key_bytes(&k), &b, e);
}

/* Keys, ascending. */
struct runs {
	struct arena *a;
	tick_t before;
	tick_t *v;
	size_t n, cap;
};

static int note_run(struct slice key, struct slice value, void *arg)
{
	struct runs *w = arg;
	(void)value;
	if (key.n != 8)
		return E_CORRUPT;
	tick_t began = (tick_t)get_be64(key.p);
	if (began >= w->before)
		return E_EXISTS;
	tick_t *v = ARENA_MORE(w->a, w->v, w->n, &w->cap);
	if (!v)
		return E_NOMEM;
	w->v = v;
	v[w->n++] = began;
	return E_OK;
}

static int runs_before(struct txn *t, tick_t before, struct runs *out, struct err *e)
{
	*out = (struct runs){.a = txn_arena(t), .before = before};
	int rc = db_each(t, DB_HISTORY, SL(""), note_run, out, e);
	if (rc == E_NOMEM)
		return err_set(e, E_NOMEM, "out of memory for the history");
	if (rc == E_CORRUPT)
		return err_set(e, E_CORRUPT, "a row of the history cannot be read");
	return rc == E_EXISTS ? E_OK : rc;
}

int sync_run_each(struct txn *t, int (*fn)(const struct sync_run *, void *), void *arg, struct err *e)
{
	struct runs all;
	int rc = runs_before(t, INT64_MAX, &all, e);
	for (size_t i = all.n; rc == E_OK && i-- > 0;) {
		struct key k = run_key(all.v[i]);
		struct slice v;
		struct sync_run r;
		rc = db_get(t, DB_HISTORY, key_bytes(&k), &v);
		if (rc == E_OK)
			rc = run_decode(key_bytes(&k), v, &r);
		if (rc != E_OK)
			return err_set(e, (enum errcode)rc, "a row of the history cannot be read");
		rc = fn(&r, arg);
	}
	return rc;
}

int sync_run_prune(struct txn *t, tick_t before, uint32_t *dropped, struct err *e)
{
	struct runs old;
	*dropped = 0;
	int rc = runs_before(t, before, &old, e);
	for (size_t i = 0; rc == E_OK && i < old.n; i++) {
		struct key k = run_key(old.v[i]);
		rc = db_del(t, DB_HISTORY, key_bytes(&k), e);
		*dropped += rc == E_OK;
	}
	return rc;
}

/* ================= files to be fetched ================= */

static int fetch_decode(struct slice key, struct slice value, struct fetch *out)
{
	struct rec r = rec_of(value, 1);
	*out = (struct fetch){0};
	uint8_t state = rec_u8(&r);
	out->tries = rec_u32(&r);
	out->at = (tick_t)rec_u64(&r);
	out->next = (tick_t)rec_u64(&r);
	out->why = rec_str(&r);
	if (key.n != sizeof(out->digest.b) || state < FETCH_LOADING || state > FETCH_FAILED)
		return E_CORRUPT;
	memcpy(out->digest.b, key.p, sizeof(out->digest.b));
	out->state = (enum fetch_state)state;
	return rec_end(&r);
}

int fetch_get(struct txn *t, const struct sha1 *digest, struct fetch *out)
{
	struct key k = key_sha1(digest);
	struct slice v;
	int rc = db_get(t, DB_FETCH, key_bytes(&k), &v);
	return rc == E_OK ? fetch_decode(key_bytes(&k), v, out) : rc;
}

struct each_fetch {
	int (*fn)(const struct fetch *, void *);
	void *arg;
	struct err *e;
};

static int fetch_row(struct slice key, struct slice value, void *arg)
{
	struct each_fetch *w = arg;
	struct fetch f;
	if (fetch_decode(key, value, &f) != E_OK)
		return err_set(w->e, E_CORRUPT, "the record of a file to be fetched cannot be read");
	return w->fn(&f, w->arg);
}

int fetch_each(struct txn *t, int (*fn)(const struct fetch *, void *), void *arg, struct err *e)
{
	struct each_fetch w = {fn, arg, e};
	return db_each(t, DB_FETCH, SL(""), fetch_row, &w, e);
}

static bool has_failed(struct txn *t, const struct sha1 *digest)
{
	struct fetch f;
	return fetch_get(t, digest, &f) == E_OK && f.state == FETCH_FAILED;
}

int fetch_put(struct txn *t, const struct fetch *f, struct err *e)
{
	struct key k = key_sha1(&f->digest);
	struct buf b;
	rec_begin(&b, 1, FETCH_RECORD);
	buf_char(&b, (char)f->state);
	rec_put_u32(&b, f->tries);
	rec_put_u64(&b, (uint64_t)f->at);
	rec_put_u64(&b, (uint64_t)f->next);
	rec_put_str(&b, cut_text(f->why, FETCH_TEXT));
	bool differs = has_failed(t, &f->digest) != (f->state == FETCH_FAILED);
	int rc = db_put_rec(t, DB_FETCH, key_bytes(&k), &b, e);
	return rc == E_OK && differs ? fact_file(t, &f->digest, e) : rc;
}

int fetch_del(struct txn *t, const struct sha1 *digest, struct err *e)
{
	struct key k = key_sha1(digest);
	bool differs = has_failed(t, digest);
	int rc = db_del(t, DB_FETCH, key_bytes(&k), e);
	return rc == E_OK && differs ? fact_file(t, digest, e) : rc;
}

bool parent_row_good(enum db db, struct slice key, struct slice value)
{
	union {
		struct choice choice;
		struct sync_run run;
		struct fetch fetch;
	} v;
	if (db == DB_CHOICE)
		return choice_decode(key, value, &v.choice) == E_OK;
	if (db == DB_HISTORY)
		return run_decode(key, value, &v.run) == E_OK;
	return fetch_decode(key, value, &v.fetch) == E_OK;
}
