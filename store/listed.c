/* listed.c -- the two arrays of the scan index that only downstream servers need, as publish() keeps them.
 *
 * A revision is listed if it is published, neither removed nor a bundle that lacks a member, and
 * - its row says so (ROW_LISTED, see build.c), or
 * - a live deployment names it: a replica would have to ask for it anyway (WSUSSS-REVLIST-13, A-11).
 * LISTED says since which epoch; that stays while it is listed, unless more becomes known of one of its files
 * (WSUSSS-POPULATE-05).  Only deployments that changed, and rows that changed, are looked at. */
#include "store/index.h"
#include "store/publish.h"

static int names_it(const struct deployment *d, void *arg)
{
	(void)arg;
	return d->dead ? 0 : -1;
}

int listed_is(struct txn *t, const struct index_row *r, uint32_t id, bool *out, struct err *e)
{
	*out = row_may_be_listed(r) && (r->flags & ROW_LISTED);
	if (*out || !row_may_be_listed(r))
		return E_OK;
	int rc = deployment_each(t, (int32_t)id, names_it, NULL, e);
	*out = rc == -1;
	return rc == -1 ? E_OK : rc;
}

/* ================= LISTED ================= */

struct listing {
	struct txn *t;
	const struct listed_change *c;
	const struct index *ix; /* as it becomes */
	struct view was;
	uint32_t *now; /* of ix->rows; NULL until something differs */
	struct arena *a;
	struct err *e;
};

static uint32_t was_listed(const struct listing *l, uint32_t id)
{
	return id < l->was.bytes / sizeof(uint32_t) ? view_u32(&l->was, id) : 0;
}

static int begin_change(struct listing *l)
{
	if (l->now)
		return E_OK;
	l->now = ARENA_ARRAY(l->a, uint32_t, l->ix->rows);
	if (!l->now)
		return err_set(l->e, E_NOMEM, "scan index");
	for (uint32_t id = 0; id < l->ix->rows; id++)
		l->now[id] = was_listed(l, id);
	return E_OK;
}

static int put(struct listing *l, uint32_t id, bool on, bool anew)
{
	uint32_t was = l->now ? l->now[id] : was_listed(l, id);
	uint32_t is = !on ? 0 : was != 0 && !anew ? was : l->c->epoch;
	if (is == was)
		return E_OK;
	int rc = begin_change(l);
	if (rc == E_OK)
		l->now[id] = is;
	return rc;
}

/* A category has no files that anybody fetches, and since when its parents hold is read from its epoch (sync.c). */
static int judge(struct listing *l, uint32_t id, bool anew)
{
	bool on;
	struct index_row r = index_row(l->ix, id);
	if (id >= l->ix->rows)
		return E_OK;
	int rc = listed_is(l->t, &r, id, &on, l->e);
	return rc == E_OK ? put(l, id, on, anew && row_type(&r) != TYPE_CATEGORY) : rc;
}

/* Deployments are asked only for a revision that may have got or lost its place by them: one that was listed, and one that
 * was not to be seen before. */
static int judge_rows(struct listing *l)
{
	int rc = E_OK;
	for (uint32_t id = 1; rc == E_OK && id < l->ix->rows; id++) {
		struct index_row is = index_row(l->ix, id), was = index_row(l->c->old, id);
		bool on = row_may_be_listed(&is) && (is.flags & ROW_LISTED);
		if (on || !row_may_be_listed(&is))
			rc = put(l, id, on, false);
		else if (was_listed(l, id) != 0 || !row_may_be_listed(&was))
			rc = judge(l, id, false);
	}
	return rc;
}

static int list_revisions(struct listing *l)
{
	const struct listed_change *c = l->c;
	int rc = view_load(l->t, ARRAY_LISTED, 0, l->a, &l->was, l->e);
	if (rc == E_OK && c->made)
		rc = judge_rows(l);
	for (size_t i = 0; rc == E_OK && i < c->ndeployed; i++)
		rc = judge(l, c->deployed[i], false);
	for (size_t i = 0; rc == E_OK && i < c->nfile; i++)
		rc = judge(l, c->file[i], true);
	if (rc != E_OK || !l->now)
		return rc;
	return array_put(l->t, ARRAY_LISTED, 0, l->now, l->ix->rows * sizeof(*l->now), NULL, l->e);
}

/* ================= UPDATE_ID: grows, and never changes ================= */

static int list_updates(struct listing *l)
{
	struct view was;
	int rc = view_load(l->t, ARRAY_UPDATE_ID, 0, l->a, &was, l->e);
	if (rc != E_OK)
		return rc;
	uint32_t n = l->ix->updates, from = (uint32_t)(was.bytes / sizeof(struct guid));
	if (n <= from)
		return E_OK;
	struct guid *v = ARENA_ARRAY(l->a, struct guid, n);
	if (!v)
		return err_set(l->e, E_NOMEM, "scan index");
	for (uint32_t i = 0; i < from; i++)
		memcpy(&v[i], view_at(&was, i * sizeof(*v)), sizeof(*v));
	for (uint32_t no = MAX(from, 1); rc == E_OK && no < n; no++) {
		struct update u;
		rc = update_get(l->t, no, &u, l->e);
		v[no] = u.id;
	}
	return rc == E_OK ? array_put(l->t, ARRAY_UPDATE_ID, 0, v, n * sizeof(*v), NULL, l->e) : rc;
}

int listed_publish(struct txn *t, const struct listed_change *c, struct arena *a, struct err *e)
{
	struct listing l = {.t = t, .c = c, .ix = c->made ? c->made : c->old, .a = a, .e = e};
	int rc = list_revisions(&l);
	return rc == E_OK && c->made ? list_updates(&l) : rc;
}

/* ================= stores of before ================= */

#define MIGRATE_MEMORY ((size_t)2 << 30)

/* All that is published becomes listed, as of the last epoch: no server was told of anything yet. */
static int migrate(struct txn *t, struct arena *a, struct err *e)
{
	const struct index none = {0};
	struct index old, made;
	struct index_change change;
	struct server_state state;
	int rc = server_state_get(t, &state, e);
	if (rc == E_OK)
		rc = index_load(t, a, &old, e);
	if (rc != E_OK || old.rows == 0)
		return rc;
	rc = index_make(t, &old, NULL, 0, false, 0, a, &made, &change, e);
	struct listed_change c = {.old = &none, .made = &made, .epoch = state.epoch};
	if (rc == E_OK)
		rc = listed_publish(t, &c, a, e);
	return rc == E_OK ? index_store(t, &made, e) : rc;
}

int sync_migrate(struct txn *t, struct err *e)
{
	struct arena a;
	arena_init(&a, MIGRATE_MEMORY);
	int rc = original_migrate(t, e);
	if (rc == E_OK)
		rc = migrate(t, &a, e);
	arena_free(&a);
	return rc;
}
