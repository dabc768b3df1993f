/* publish.c -- one write transaction, one epoch: what was staged or changed becomes visible. */
#include "store/publish.h"

#include <stdlib.h>

#include "store/fact.h"
#include "store/index.h"

#define LOG_ROWS 200000u /* kept; clients older than the floor are told everything */
#define PUBLISH_MEMORY ((size_t)2 << 30) /* 100 bytes a revision and its relations: ends a runaway */

/* (group, revision): what the log will say, and what pending and waiting say. */
struct touch {
	uint32_t group, id;
};

struct touches {
	struct touch *v;
	size_t n, cap;
	bool dirty, all; /* pending kinds that name no revision */
	bool failed;
};

struct work {
	struct txn *t;
	tick_t now;
	struct err *e;
	struct publish_report *out;
	struct arena arena;
	struct server_state state;
	struct index old, made;
	struct touches touched, waiting;
	struct touches files; /* revisions with a file of which more is known */
	struct touches judged, changed; /* of what facts hang on, see fact.h */
	bool noted, facts_of_all;
	uint32_t *staged;
	size_t nstaged;
	enum held held; /* which of the revisions that are held are shown, too */
};

/* ================= what is to be done ================= */

static void touch_add(struct touches *l, uint32_t group, uint32_t id)
{
	if (l->n == l->cap) {
		size_t cap = MAX(l->cap * 2, 1024);
		struct touch *v = cap > SIZE_MAX / sizeof(*v) ? NULL : realloc(l->v, cap * sizeof(*v));
		if (!v) {
			l->failed = true;
			return;
		}
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = (struct touch){group, id};
}

static int pending_row(struct slice key, struct slice value, void *arg)
{
	struct work *w = arg;
	struct touches *l = &w->touched;
	(void)value;
	if (key.n != 9)
		return E_CORRUPT;
	if (key.p[0] == PENDING_FILE)
		touch_add(&w->files, 0, get_be32(key.p + 5));
	if (key.p[0] == PENDING_TOUCH)
		touch_add(l, get_be32(key.p + 1), get_be32(key.p + 5));
	if (key.p[0] == PENDING_FACT) {
		touch_add(&w->changed, 0, get_be32(key.p + 5));
		w->facts_of_all |= get_be32(key.p + 5) == 0;
		w->noted = true;
	}
	l->dirty |= key.p[0] == PENDING_DIRTY;
	l->all |= key.p[0] == PENDING_TOUCH_ALL;
	return l->failed || w->files.failed || w->changed.failed ? E_NOMEM : E_OK;
}

static int waiting_row(struct slice key, struct slice value, void *arg)
{
	struct touches *l = arg;
	(void)value;
	if (key.n != 8)
		return E_CORRUPT;
	touch_add(l, get_be32(key.p), get_be32(key.p + 4));
	return l->failed ? E_NOMEM : E_OK;
}

/* Whether it waits at all is what goes on the wire; the reasons are for people. */
static int judge(struct work *w, struct touch at)
{
	struct deployment d;
	int rc = deployment_get(w->t, at.group, (int32_t)at.id, &d);
	if (rc == E_NOTFOUND)
		return E_OK;
	struct deployment was = d;
	if (rc == E_OK)
		rc = deployment_judge(w->t, &d, w->now, w->e);
	if (rc != E_OK || (d.waiting == was.waiting && d.missing_files == was.missing_files &&
		d.missing_bytes == was.missing_bytes))
		return rc;
	if (d.waiting != was.waiting)
		touch_add(&w->judged, at.group, at.id);
	if ((d.waiting == 0) != (was.waiting == 0)) {
		d.changed = MAX(w->now, was.changed + 1); /* differs after every change, whatever the clock does */
		w->out->flipped++;
		touch_add(&w->touched, at.group, at.id);
	}
	return deployment_put(w->t, &d, w->e);
}

static int collect(struct work *w)
{
	int rc = policy_make_ready(w->t, w->e);
	if (rc == E_OK)
		rc = server_state_get(w->t, &w->state, w->e);
	if (rc == E_OK)
		rc = index_load(w->t, &w->arena, &w->old, w->e);
	if (rc == E_OK)
		rc = index_staged(w->t, &w->old, w->held, &w->arena, &w->staged, &w->nstaged, w->e);
	if (rc == E_OK)
		rc = db_each(w->t, DB_PENDING, SL(""), pending_row, w, w->e);
	if (rc == E_OK)
		rc = db_each(w->t, DB_WAITING, SL(""), waiting_row, &w->waiting, w->e);
	for (size_t i = 0; rc == E_OK && i < w->waiting.n; i++)
		rc = judge(w, w->waiting.v[i]);
	if (rc == E_OK && w->touched.failed)
		rc = E_NOMEM;
	return rc == E_NOMEM ? err_set(w->e, E_NOMEM, "publish") : rc;
}

static bool nothing(const struct work *w)
{
	return w->touched.n == 0 && !w->touched.dirty && !w->touched.all && w->files.n == 0 && w->nstaged == 0;
}

/* ================= facts ================= */

/* What was declined or removed, and what no longer is. */
static void note_flags(struct work *w)
{
	for (uint32_t id = 1; id < w->old.rows; id++) {
		struct index_row was = index_row(&w->old, id), is = index_row(&w->made, id);
		if ((was.flags ^ is.flags) & (ROW_DECLINED | ROW_REMOVED))
			touch_add(&w->changed, 0, id);
	}
}

/* The revisions of touches, those for a group alone. */
static const uint32_t *ids_of(struct work *w, const struct touches *l, bool grouped, size_t *n)
{
	uint32_t *v = ARENA_ARRAY(&w->arena, uint32_t, l->n);
	*n = 0;
	for (size_t i = 0; v && i < l->n; i++)
		if (!grouped || l->v[i].group != 0)
			v[(*n)++] = l->v[i].id;
	return v;
}

static int keep_facts(struct work *w)
{
	static const char kind = PENDING_FACT;
	struct fact_change c = {.all = w->facts_of_all};
	for (size_t i = 0; i < w->touched.n; i++)
		if (w->touched.v[i].group != 0)
			touch_add(&w->judged, w->touched.v[i].group, w->touched.v[i].id);
	if (w->judged.failed || w->changed.failed)
		return err_set(w->e, E_NOMEM, "publish");
	if (w->judged.n == 0 && w->changed.n == 0)
		return E_OK;
	c.deployed = ids_of(w, &w->judged, false, &c.ndeployed);
	c.changed = ids_of(w, &w->changed, false, &c.nchanged);
	if (!c.deployed || !c.changed)
		return err_set(w->e, E_NOMEM, "publish");
	int rc = fact_publish(w->t, &c, w->e);
	return rc == E_OK && w->noted ? db_del_prefix(w->t, DB_PENDING, (struct slice){&kind, 1}, NULL, w->e) : rc;
}

/* ================= doing it ================= */

static int show_row(struct txn *t, struct revision *r, tick_t now, struct err *e)
{
	r->flags = (r->flags | REV_PUBLISHED) & ~REV_HELD;
	r->published = now;
	return revision_rewrite(t, r, e);
}

#define SHOWN SL("shown") /* when a publish last showed something that computers report a status of */

static int shown_put(struct txn *t, tick_t at, struct err *e)
{
	char v[9] = {1};
	put_be64(v + 1, (uint64_t)at);
	return db_put(t, DB_META, SHOWN, (struct slice){v, sizeof(v)}, e);
}

tick_t updates_shown(struct txn *t)
{
	struct slice v;
	if (db_get(t, DB_META, SHOWN, &v) != E_OK)
		return 0;
	struct rec r = rec_of(v, 1);
	return (tick_t)rec_u64(&r);
}

static bool is_reported(const struct revision *r)
{
	return r->type == TYPE_SOFTWARE || r->type == TYPE_DRIVER;
}

static int show(struct work *w)
{
	bool any = false;
	int rc = E_OK;
	for (size_t i = 0; rc == E_OK && i < w->nstaged; i++) {
		struct revision r;
		rc = revision_get(w->t, (int32_t)w->staged[i], &r, w->e);
		any = any || (rc == E_OK && is_reported(&r));
		if (rc == E_OK && !(r.flags & REV_PUBLISHED))
			rc = show_row(w->t, &r, w->now, w->e);
	}
	w->out->shown = (uint32_t)w->nstaged;
	return rc == E_OK && any ? shown_put(w->t, MAX(w->now, updates_shown(w->t)), w->e) : rc;
}

static int later_of(const struct revision *r, void *arg)
{
	tick_t *at = arg;
	if (r->flags & REV_PUBLISHED && is_reported(r))
		*at = MAX(*at, r->published);
	return E_OK;
}

int shown_migrate(struct txn *t, struct err *e)
{
	tick_t at = 0;
	int rc = revision_each(t, 1, 0, later_of, &at, e);
	return rc == E_OK && at ? shown_put(t, at, e) : rc;
}

static int list(struct work *w, const struct index *made)
{
	struct listed_change c = {.old = &w->old, .made = made, .epoch = w->state.epoch};
	c.deployed = ids_of(w, &w->touched, true, &c.ndeployed);
	c.file = ids_of(w, &w->files, false, &c.nfile);
	if (!c.deployed || !c.file)
		return err_set(w->e, E_NOMEM, "publish");
	return listed_publish(w->t, &c, &w->arena, w->e);
}

static int rebuild(struct work *w)
{
	struct index_change change;
	if (w->nstaged == 0 && !w->touched.dirty)
		return list(w, NULL);
	int rc = index_make(w->t, &w->old, w->staged, w->nstaged, w->touched.dirty, w->now, &w->arena, &w->made,
		&change, w->e);
	for (size_t i = 0; rc == E_OK && i < change.n; i++)
		touch_add(&w->touched, 0, change.id[i]);
	for (size_t i = 0; rc == E_OK && i < w->nstaged; i++)
		touch_add(&w->changed, 0, w->staged[i]);
	if (rc == E_OK && w->touched.dirty)
		note_flags(w);
	if (rc == E_OK && w->touched.failed)
		rc = err_set(w->e, E_NOMEM, "publish");
	if (rc == E_OK)
		rc = list(w, &w->made);
	if (rc == E_OK)
		rc = index_store(w->t, &w->made, w->e);
	if (rc != E_OK)
		return rc;
	w->out->held = change.held;
	return show(w);
}

static int touch_cmp(const void *a, const void *b)
{
	const struct touch *x = a, *y = b;
	if (x->group != y->group)
		return x->group < y->group ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

static void sort_touches(struct touches *l)
{
	size_t kept = 0;
	if (l->n)
		qsort(l->v, l->n, sizeof(*l->v), touch_cmp);
	for (size_t i = 0; i < l->n; i++)
		if (kept == 0 || touch_cmp(&l->v[kept - 1], &l->v[i]) != 0)
			l->v[kept++] = l->v[i];
	l->n = kept;
}

static int write_log(struct work *w)
{
	int rc = E_OK;
	for (size_t i = 0; rc == E_OK && i < w->touched.n; i++) {
		struct key key = key_log(w->state.epoch, w->touched.v[i].group, (int32_t)w->touched.v[i].id);
		rc = db_append(w->t, DB_LOG, key_bytes(&key), SL(""), w->e);
	}
	w->out->changed = (uint32_t)w->touched.n;
	return rc;
}

/* The bitmaps of one group, and the epoch on its deployments. */
static int group_deployments(struct work *w, const struct touch *v, size_t n)
{
	int32_t *ids = ARENA_ARRAY(&w->arena, int32_t, n);
	if (!ids)
		return err_set(w->e, E_NOMEM, "publish");
	for (size_t i = 0; i < n; i++) {
		struct deployment d;
		ids[i] = (int32_t)v[i].id;
		int rc = deployment_get(w->t, v[i].group, ids[i], &d);
		if (rc == E_NOTFOUND)
			continue;
		d.epoch = w->state.epoch;
		if (rc == E_OK)
			rc = deployment_put(w->t, &d, w->e);
		if (rc != E_OK)
			return rc;
	}
	return index_deployments(w->t, v->group, ids, n, &w->arena, w->e);
}

static int write_deployments(struct work *w)
{
	const struct touches *l = &w->touched;
	int rc = E_OK;
	for (size_t i = 0, end; rc == E_OK && i < l->n; i = end) {
		for (end = i + 1; end < l->n && l->v[end].group == l->v[i].group; end++)
			;
		if (l->v[i].group != 0)
			rc = group_deployments(w, l->v + i, end - i);
	}
	return rc;
}

struct oldest {
	size_t left;    /* rows still to be collected */
	uint32_t epoch; /* of the last one */
	char (*key)[12];
	size_t n;
};

/* Whole epochs: a point within one could not be told from its end. */
static int oldest_row(struct slice key, struct slice value, void *arg)
{
	struct oldest *o = arg;
	(void)value;
	if (key.n != 12)
		return E_CORRUPT;
	if (o->n >= o->left && get_be32(key.p) != o->epoch)
		return E_EXISTS; /* enough */
	o->epoch = get_be32(key.p);
	memcpy(o->key[o->n++], key.p, 12);
	return E_OK;
}

static int prune_log(struct work *w)
{
	uint64_t rows;
	int rc = db_count(w->t, DB_LOG, &rows, w->e);
	if (rc != E_OK || rows <= LOG_ROWS)
		return rc;
	/* an eighth more, so that this is not done each time */
	struct oldest o = {.left = (size_t)(rows - LOG_ROWS + LOG_ROWS / 8),
		.key = (char (*)[12])ARENA_ARRAY(&w->arena, char, (size_t)rows * 12)};
	if (!o.key)
		return err_set(w->e, E_NOMEM, "publish");
	rc = db_each(w->t, DB_LOG, SL(""), oldest_row, &o, w->e);
	if (rc != E_OK && rc != E_EXISTS)
		return rc;
	rc = E_OK;
	for (size_t i = 0; rc == E_OK && i < o.n; i++)
		rc = db_del(w->t, DB_LOG, (struct slice){o.key[i], 12}, w->e);
	w->state.log_floor = MAX(w->state.log_floor, o.epoch);
	return rc;
}

static int advance(struct work *w)
{
	if (w->state.epoch == UINT32_MAX)
		return err_set(w->e, E_LIMIT, "all epochs are used up");
	w->state.epoch++;
	int rc = rebuild(w);
	sort_touches(&w->touched);
	if (rc == E_OK)
		rc = write_log(w);
	if (rc == E_OK)
		rc = write_deployments(w);
	if (w->touched.all)
		w->state.log_floor = w->state.epoch;
	if (rc == E_OK)
		rc = prune_log(w);
	if (rc == E_OK)
		rc = db_del_prefix(w->t, DB_PENDING, SL(""), NULL, w->e);
	return rc == E_OK ? server_state_put(w->t, &w->state, w->e) : rc;
}

static int publish_with(struct txn *t, tick_t now, enum held held, struct publish_report *out, struct err *e)
{
	struct work w = {.t = t, .now = now, .e = e, .out = out, .held = held};
	*out = (struct publish_report){0};
	arena_init(&w.arena, PUBLISH_MEMORY);
	int rc = collect(&w);
	if (rc == E_OK && !nothing(&w))
		rc = advance(&w);
	if (rc == E_OK)
		rc = keep_facts(&w);
	out->epoch = w.state.epoch;
	arena_free(&w.arena);
	free(w.touched.v);
	free(w.waiting.v);
	free(w.files.v);
	free(w.judged.v);
	free(w.changed.v);
	return rc == E_OK ? rc : txn_fail(t, rc, e); /* half a publish is never committed */
}

int publish(struct txn *t, tick_t now, struct publish_report *out, struct err *e)
{
	return publish_with(t, now, HELD_NONE, out, e);
}

int publish_held(struct txn *t, tick_t now, struct publish_report *out, struct err *e)
{
	return publish_with(t, now, HELD_ALL, out, e);
}

int publish_held_config(struct txn *t, tick_t now, struct publish_report *out, struct err *e)
{
	return publish_with(t, now, HELD_CONFIG, out, e);
}

/* ================= beforehand ================= */

/* Rows written in one transaction: 4 to 8 MB of pages. */
#define READY_ROWS 10000

struct ready {
	struct txn *t;
	enum held held;
	int32_t id[READY_ROWS];
	size_t n;
};

static int held_row(const struct revision *r, void *arg)
{
	struct ready *w = arg;
	if (!(r->flags & REV_HELD) || r->flags & REV_REMOVED || !held_counts(w->held, r))
		return E_OK;
	w->id[w->n++] = r->id;
	return w->n == READY_ROWS ? -1 : E_OK;
}

/* The pending row tells store_audit() that the index does not have them yet. */
static int ready_rows(struct ready *w, tick_t now, struct err *e)
{
	struct key k = key_pending(PENDING_READY, 0, 0);
	int rc = db_put(w->t, DB_PENDING, key_bytes(&k), SL(""), e);
	for (size_t i = 0; rc == E_OK && i < w->n; i++) {
		struct revision r;
		rc = revision_get(w->t, w->id[i], &r, e);
		if (rc == E_OK)
			rc = show_row(w->t, &r, now, e);
	}
	return rc;
}

static int ready_from(struct store *s, int32_t from, struct ready *w, tick_t now, struct err *e)
{
	w->n = 0;
	int rc = txn_begin(s, TXN_CATALOG, &w->t, e);
	if (rc == E_OK)
		rc = revision_each(w->t, from, 0, held_row, w, e);
	if (rc == -1)
		rc = E_OK;
	if (rc == E_OK && w->n)
		rc = ready_rows(w, now, e);
	if (rc == E_OK && w->n)
		rc = txn_commit(&w->t, e);
	txn_end(&w->t);
	return rc;
}

int publish_ready(struct store *s, bool config, tick_t now, struct err *e)
{
	struct ready *w = alloc_should_fail() ? NULL : calloc(1, sizeof(*w));
	if (!w)
		return err_set(e, E_NOMEM, "publish");
	w->held = config ? HELD_CONFIG : HELD_ALL;
	int rc = E_OK;
	for (int32_t from = 1; rc == E_OK && from > 0; from = w->n == READY_ROWS ? w->id[w->n - 1] + 1 : 0)
		rc = ready_from(s, from, w, now, e);
	free(w);
	return rc;
}
