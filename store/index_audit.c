/* index_audit.c -- is the scan index what its rows say?  It is computed once more from nothing and compared. */
#include <stdio.h>

#include "store/index.h"

struct audit {
	struct txn *t;
	struct auditor *to;
	struct arena arena;
	struct index is, ought;
	uint32_t *shown;
	size_t nshown, cap;
};

/* Two places in lists of the two indexes that should hold the same n words. */
static bool same_words(const struct view *x, size_t i, const struct view *y, size_t j, size_t n)
{
	for (; n > 0; n--)
		if (view_u32(x, i++) != view_u32(y, j++))
			return false;
	return true;
}

static bool same_list(const struct audit *a, enum array at, enum array list, uint32_t x, uint32_t y)
{
	uint32_t i, iend, j, jend;
	index_list(&a->is, at, x, &i, &iend);
	index_list(&a->ought, at, y, &j, &jend);
	return iend - i == jend - j && same_words(&a->is.v[list], i, &a->ought.v[list], j, iend - i);
}

/* A member counts as missing until it is shown, whether its id is known already or not. */
static uint32_t member_at(const struct audit *a, const struct view *v, size_t i)
{
	uint32_t id = view_u32(v, i);
	return index_row(&a->ought, id).update_no ? id : 0;
}

static bool same_bundle(const struct audit *a, uint32_t x, uint32_t y)
{
	if (x == 0 || y == 0)
		return x == y;
	const struct view *v = &a->is.v[ARRAY_BUNDLE], *w = &a->ought.v[ARRAY_BUNDLE];
	uint32_t n = view_u32(v, x);
	bool same = n == view_u32(w, y);
	for (uint32_t i = 1; same && i <= n; i++)
		same = member_at(a, v, (size_t)x + i) == member_at(a, w, (size_t)y + i);
	return same;
}

static void check_row(struct audit *a, uint32_t id)
{
	struct index_row x = index_row(&a->is, id), y = index_row(&a->ought, id);
	static const enum array bits[] = {ARRAY_ALIVE, ARRAY_BASE, ARRAY_NONLEAF, ARRAY_DRIVER};
	if (x.flags & ROW_REMOVED)
		x = (struct index_row){0};
	if (x.update_no != y.update_no || x.number != y.number || x.implied != y.implied || x.plain != y.plain ||
		x.packed != y.packed || x.flags != y.flags || x.day != y.day)
		audit_say(a->to, "scan index: the row of revision %u is not what its records say", id);
	else if (x.update_no != 0 && !same_list(a, ARRAY_CSET_AT, ARRAY_CSET, x.cset, y.cset))
		audit_say(a->to, "scan index: the prerequisites of revision %u are not its own", id);
	else if (!same_bundle(a, x.bundle, y.bundle))
		audit_say(a->to, "scan index: the members of revision %u are not its own", id);
	for (size_t i = 0; i < COUNTOF(bits); i++) {
		bool old = view_bit(&a->is.v[bits[i]], id) && !(bits[i] == ARRAY_NONLEAF && x.update_no == 0);
		if (old != view_bit(&a->ought.v[bits[i]], id))
			audit_say(a->to, "scan index: bit %u of bitmap %d is wrong", id, (int)bits[i]);
	}
}

/* MEMBERS holds each alive revision once, under its clause set. */
static void check_members(struct audit *a)
{
	const struct index *ix = &a->is;
	size_t alive = 0;
	for (uint32_t c = 0; c < ix->csets; c++) {
		uint32_t at, end, last = 0;
		for (index_list(ix, ARRAY_MEMBERS_AT, c, &at, &end); at < end; at++) {
			uint32_t id = view_u32(&ix->v[ARRAY_MEMBERS], at);
			if (id <= last || !view_bit(&ix->v[ARRAY_ALIVE], id) || index_row(ix, id).cset != c)
				audit_say(a->to, "scan index: revision %u is no member of clause set %u", id, c);
			last = id;
			alive++;
		}
	}
	for (size_t i = 0; i < ix->words; i++)
		alive -= (size_t)__builtin_popcountll(view_word(&ix->v[ARRAY_ALIVE], i));
	if (alive != 0)
		audit_say(a->to, "scan index: not every alive revision is a member of its clause set");
}

static bool inverse_has(const struct index *ix, uint32_t update, uint32_t what)
{
	uint32_t at, end;
	for (index_list(ix, ARRAY_INV_AT, update, &at, &end); at < end; at++)
		if (view_u32(&ix->v[ARRAY_INV], at) == what)
			return true;
	return false;
}

static void check_inverse(struct audit *a)
{
	const struct index *ix = &a->is;
	const struct view *v = &ix->v[ARRAY_CSET];
	size_t named = 0;
	for (uint32_t c = 0; c < ix->csets; c++) {
		size_t at = view_u32(&ix->v[ARRAY_CSET_AT], c);
		uint32_t clauses = view_u32(v, at++);
		for (uint32_t clause = 0; clause < clauses; clause++)
			for (uint32_t n = view_u32(v, at++) & ~CSET_CATEGORY; n > 0; n--, named++)
				if (!inverse_has(ix, view_u32(v, at++), c << CLAUSE_BITS | clause))
					audit_say(a->to, "scan index: clause set %u is missing in the inverse", c);
	}
	if (named != ix->v[ARRAY_INV].bytes / sizeof(uint32_t))
		audit_say(a->to, "scan index: the inverse has entries of no clause set");
}

static void check_updates(struct audit *a)
{
	for (uint32_t u = 0; u < MIN(a->is.updates, a->ought.updates); u++)
		if (!same_list(a, ARRAY_BYUPDATE_AT, ARRAY_BYUPDATE, u, u))
			audit_say(a->to, "scan index: the revisions of update %u are not its own", u);
	const struct view *x = &a->is.v[ARRAY_CATEGORY], *y = &a->ought.v[ARRAY_CATEGORY];
	if (x->bytes != y->bytes || !same_words(x, 0, y, 0, x->bytes / sizeof(uint32_t)))
		audit_say(a->to, "scan index: its categories are not those of the catalog");
}

/* ---- what downstream servers are told of ---- */

static int check_listed(struct audit *a, struct err *e)
{
	struct server_state state;
	struct view v;
	int rc = server_state_get(a->t, &state, e);
	if (rc == E_OK)
		rc = view_load(a->t, ARRAY_LISTED, 0, &a->arena, &v, e);
	uint32_t n = rc == E_OK ? (uint32_t)(v.bytes / sizeof(uint32_t)) : 0;
	if (rc == E_OK && n > a->is.rows)
		audit_say(a->to, "scan index: its list of revisions for downstream servers is longer than its rows");
	for (uint32_t id = 1; rc == E_OK && id < MAX(n, a->ought.rows); id++) {
		struct index_row r = index_row(&a->ought, id);
		uint32_t epoch = id < n ? view_u32(&v, id) : 0;
		bool ought;
		rc = listed_is(a->t, &r, id, &ought, e);
		if (rc == E_OK && ought != (epoch != 0))
			audit_say(a->to, "scan index: downstream servers are%s told of revision %u", ought ? " not" : "", id);
		else if (rc == E_OK && epoch > state.epoch)
			audit_say(a->to, "scan index: revision %u is listed since epoch %u, the server stands at %u", id, epoch, state.epoch);
	}
	return rc;
}

static int check_update_ids(struct audit *a, struct err *e)
{
	struct view v;
	int rc = view_load(a->t, ARRAY_UPDATE_ID, 0, &a->arena, &v, e);
	if (rc == E_OK && v.bytes != a->is.updates * sizeof(struct guid))
		audit_say(a->to, "scan index: it has not as many guids as updates");
	for (uint32_t no = 1; rc == E_OK && no < v.bytes / sizeof(struct guid); no++) {
		struct update u;
		struct err why;
		if (update_get(a->t, no, &u, &why) != E_OK || memcmp(&u.id, view_at(&v, no * sizeof(u.id)), sizeof(u.id)) != 0)
			audit_say(a->to, "scan index: the guid of update %u is not its own", no);
	}
	return rc;
}

/* ---- explicit deployments ---- */

struct group_check {
	struct audit *a;
	struct view active, block;
	size_t n, blocks;
};

static int check_deployment(const struct deployment *d, void *arg)
{
	struct group_check *g = arg;
	if (d->dead)
		return 0;
	bool block = d->action == ACT_BLOCK;
	g->n++;
	g->blocks += block;
	if (!view_bit(&g->active, (uint32_t)d->revision) || view_bit(&g->block, (uint32_t)d->revision) != block)
		audit_say(g->a->to, "scan index: the deployment of %d for group %u is not in its bitmap", (int)d->revision, d->group);
	return 0;
}

static size_t view_count(const struct view *v)
{
	size_t n = 0;
	for (size_t i = 0; i < v->bytes / sizeof(uint64_t); i++)
		n += (size_t)__builtin_popcountll(view_word(v, i));
	return n;
}

static int check_group(const struct group *gr, void *arg)
{
	struct group_check g = {.a = arg};
	struct arena *a = &g.a->arena;
	int rc = view_load(g.a->t, ARRAY_EXPLICIT, gr->no, a, &g.active, NULL);
	if (rc == E_OK)
		rc = view_load(g.a->t, ARRAY_EXPLICIT, gr->no | EXPLICIT_BLOCK, a, &g.block, NULL);
	if (rc == E_OK)
		rc = deployment_each_of_group(g.a->t, gr->no, check_deployment, &g, NULL);
	if (rc == E_OK && (view_count(&g.active) != g.n || view_count(&g.block) != g.blocks))
		audit_say(g.a->to, "scan index: group %u has bits of no deployment", gr->no);
	return rc;
}

/* ---- the whole ---- */

static int shown_row(const struct revision *r, void *arg)
{
	struct audit *a = arg;
	if (!(r->flags & REV_PUBLISHED) || (r->flags & REV_REMOVED))
		return 0;
	uint32_t *v = ARENA_MORE(&a->arena, a->shown, a->nshown, &a->cap);
	if (!v)
		return E_NOMEM;
	a->shown = v;
	a->shown[a->nshown++] = (uint32_t)r->id;
	return 0;
}

static int audit(struct audit *a, struct err *e)
{
	struct index_change change;
	const struct index none = {0};
	int rc = index_load(a->t, &a->arena, &a->is, e);
	if (rc == E_OK)
		rc = revision_each(a->t, 1, 0, shown_row, a, e);
	if (rc == E_OK)
		rc = index_make(a->t, &none, a->shown, a->nshown, false, 0, &a->arena, &a->ought, &change, e);
	if (rc != E_OK)
		return rc;
	for (uint32_t id = 1; id < MAX(a->is.rows, a->ought.rows); id++)
		check_row(a, id);
	check_members(a);
	check_inverse(a);
	check_updates(a);
	rc = check_listed(a, e);
	if (rc == E_OK)
		rc = check_update_ids(a, e);
	if (rc != E_OK)
		return rc;
	return group_each(a->t, check_group, a, e);
}

int index_audit(struct txn *t, struct auditor *to, struct err *e)
{
	struct audit a = {.t = t, .to = to};
	uint64_t pending;
	/* what waits for a publish is rightly not in the index */
	int rc = db_count(t, DB_PENDING, &pending, e);
	if (rc != E_OK || pending > 0)
		return rc;
	arena_init(&a.arena, (size_t)2 << 30);
	rc = audit(&a, e);
	arena_free(&a.arena);
	return rc;
}
