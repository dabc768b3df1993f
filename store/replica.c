/* replica.c -- the parent's policy becomes ours; see replica.h.
 *
 *  mirror   MIRROR_DEPLOYMENT, DeploymentGuid[16]           -> v1 | GroupNo be32, RevisionID be32
 *           MIRROR_PLACE, GroupNo be32, RevisionID be32     -> v1 | DeploymentGuid[16]
 *           MIRROR_LACKING, DeploymentGuid[16]              -> v1 | the deployment, whose revision is not here
 *
 * A deployment is the parent's by its DeploymentGuid, ours by group and revision.  The second row says which of the parent's
 * a place holds by now: one that died does not take along another that came to the same place.  Several revisions of an
 * update in one group, which approve() does not make, are mirrored as they are. */
#include "store/replica.h"

#include <stdlib.h>

#include "common/text.h"
#include "store/env.h"
#include "store/publish.h"

enum { MIRROR_DEPLOYMENT = 1, MIRROR_PLACE, MIRROR_LACKING };
#define REPLICA_MEMORY ((size_t)128 << 20) /* 500,000 ids and a row of a list for each; ends a runaway */
#define LACKING_RECORD 512
#define DAY (86400 * TICKS_PER_SECOND)

int policy_is_local(struct txn *t, const char *to_do, struct err *e)
{
	struct settings set;
	if (t->policy_free)
		return E_OK;
	int rc = settings_get(t, &set, e);
	if (rc != E_OK || set.upstream_url.n == 0 || set.upstream_mode != UPSTREAM_REPLICA)
		return rc;
	return err_set(e, E_REFUSED, "this server is a replica of %.*s: %s, do it there, and the next synchronization brings it; "
		"`wsusctl config set upstream.mode autonomous` makes this server decide for itself", SLF(set.upstream_url), to_do);
}

/* ================= rows ================= */

static struct key mirror_key(uint8_t kind, const struct guid *id)
{
	struct key k = {.n = 1 + sizeof(id->b)};
	k.b[0] = kind;
	memcpy(k.b + 1, id->b, sizeof(id->b));
	return k;
}

static struct key place_key(uint32_t group, int32_t revision)
{
	struct key k = {.n = 9};
	k.b[0] = MIRROR_PLACE;
	put_be32(k.b + 1, group);
	put_be32(k.b + 5, (uint32_t)revision);
	return k;
}

static int place_of(struct txn *t, const struct guid *id, uint32_t *group, int32_t *revision)
{
	struct key k = mirror_key(MIRROR_DEPLOYMENT, id);
	struct slice v;
	int rc = db_get(t, DB_MIRROR, key_bytes(&k), &v);
	if (rc != E_OK)
		return rc;
	struct rec r = rec_of(v, 1);
	*group = rec_u32(&r);
	*revision = (int32_t)rec_u32(&r);
	return rec_end(&r);
}

static int owner_of(struct txn *t, uint32_t group, int32_t revision, struct guid *out)
{
	struct key k = place_key(group, revision);
	struct slice v;
	int rc = db_get(t, DB_MIRROR, key_bytes(&k), &v);
	if (rc != E_OK)
		return rc;
	struct rec r = rec_of(v, 1);
	rec_bytes(&r, out->b, sizeof(out->b));
	return rec_end(&r);
}

bool mirror_has(struct txn *t, uint32_t group, int32_t revision)
{
	struct guid owner;
	return owner_of(t, group, revision, &owner) == E_OK;
}

static int mirror_put(struct txn *t, const struct guid *id, uint32_t group, int32_t revision, struct err *e)
{
	struct key k = mirror_key(MIRROR_DEPLOYMENT, id), place = place_key(group, revision);
	char v[1 + sizeof(id->b)] = {1};
	put_be32(v + 1, group);
	put_be32(v + 5, (uint32_t)revision);
	int rc = db_put(t, DB_MIRROR, key_bytes(&k), (struct slice){v, 9}, e);
	memcpy(v + 1, id->b, sizeof(id->b));
	return rc == E_OK ? db_put(t, DB_MIRROR, key_bytes(&place), (struct slice){v, sizeof(v)}, e) : rc;
}

static int lacking_decode(struct slice key, struct slice value, struct ServerSyncDeployment *out)
{
	struct rec r = rec_of(value, 1);
	*out = (struct ServerSyncDeployment){0};
	rec_bytes(&r, out->UpdateId.b, sizeof(out->UpdateId.b));
	out->RevisionNumber = (int32_t)rec_u32(&r);
	rec_bytes(&r, out->TargetGroupId.b, sizeof(out->TargetGroupId.b));
	out->Action = rec_u8(&r);
	out->IsAssigned = rec_u8(&r) != 0;
	out->DownloadPriority = rec_u8(&r);
	out->Deadline = (tick_t)rec_u64(&r);
	out->GoLiveTime = (tick_t)rec_u64(&r);
	out->AdminName = rec_str(&r);
	if (key.n != 1 + sizeof(out->DeploymentGuid.b))
		return E_CORRUPT;
	memcpy(out->DeploymentGuid.b, key.p + 1, sizeof(out->DeploymentGuid.b));
	return rec_end(&r);
}

static struct slice admin_of(const struct ServerSyncDeployment *d)
{
	return (struct slice){d->AdminName.p ? d->AdminName.p : "", MIN(d->AdminName.n, (size_t)LIMIT_SERVER_NAME)};
}

static int lacking_put(struct txn *t, const struct ServerSyncDeployment *d, struct err *e)
{
	struct key k = mirror_key(MIRROR_LACKING, &d->DeploymentGuid);
	struct buf b;
	rec_begin(&b, 1, LACKING_RECORD);
	buf_add(&b, d->UpdateId.b, sizeof(d->UpdateId.b));
	rec_put_u32(&b, (uint32_t)d->RevisionNumber);
	buf_add(&b, d->TargetGroupId.b, sizeof(d->TargetGroupId.b));
	buf_char(&b, (char)d->Action);
	buf_char(&b, d->IsAssigned);
	buf_char(&b, (char)d->DownloadPriority);
	rec_put_u64(&b, (uint64_t)d->Deadline);
	rec_put_u64(&b, (uint64_t)d->GoLiveTime);
	rec_put_str(&b, admin_of(d));
	return db_put_rec(t, DB_MIRROR, key_bytes(&k), &b, e);
}

bool mirror_row_good(struct slice key, struct slice value)
{
	struct ServerSyncDeployment d;
	uint8_t kind = key.n ? (uint8_t)key.p[0] : 0;
	bool one = value.n > 0 && value.p[0] == 1;
	if (kind == MIRROR_DEPLOYMENT)
		return key.n == 17 && value.n == 9 && one;
	if (kind == MIRROR_PLACE)
		return key.n == 9 && value.n == 17 && one;
	return kind == MIRROR_LACKING && lacking_decode(key, value, &d) == E_OK;
}

/* ================= what is applied ================= */

struct known { /* a group that came, and which it is here */
	struct guid id;
	uint32_t no;
};

struct apply {
	struct txn *t;
	const struct ServerSyncDeploymentResult *p;
	bool full;
	tick_t now;
	struct replica_report *out;
	struct err *e;
	struct arena arena;
	struct slice from; /* the parent's address: who declines and accepts */
	struct known *known;
	size_t nknown;
	struct guid *hidden; /* ascending */
	size_t nhidden;
};

static int no_memory(struct apply *w)
{
	return err_set(w->e, E_NOMEM, "out of memory for the policy of %.*s", SLF(w->from));
}

static int guid_order(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct guid)); /* the id comes first in what is sorted */
}

static uint32_t group_of(const struct apply *w, const struct guid *id)
{
	const struct known *g = w->nknown ? bsearch(id, w->known, w->nknown, sizeof(*w->known), guid_order) : NULL;
	return g ? g->no : 0;
}

static bool is_hidden(const struct apply *w, const struct guid *update)
{
	return w->nhidden && bsearch(update, w->hidden, w->nhidden, sizeof(*w->hidden), guid_order);
}

/* ================= groups: step 3 ================= */

/* A group as it is to be.  All numbers are known before a row is written, so that the order in which groups come is of no
 * importance (WSUSSS-DSS-DEPLOY-14). */
struct planned {
	struct guid id;
	struct slice name;
	const struct group *old; /* NULL: new */
	uint32_t no, parent;
	struct guid above;       /* parent's id as it came, zero: none */
	struct planned *up;      /* parent, unless it is built in */
	bool builtin, moved;
};

struct plan {
	struct apply *w;
	struct group *old; /* what is here, by number */
	size_t nold, cap;
	struct planned *v; /* by id */
	size_t n;
};

static int old_group(const struct group *g, void *arg)
{
	struct plan *p = arg;
	struct group *v = ARENA_MORE(&p->w->arena, p->old, p->nold, &p->cap);
	if (!v)
		return E_NOMEM;
	p->old = v;
	v[p->nold] = *g;
	v[p->nold].name = arena_copy(&p->w->arena, g->name); /* rows are rewritten while the plan lives */
	return v[p->nold++].name.p ? E_OK : E_NOMEM;
}

static const struct group *old_by_id(const struct plan *p, const struct guid *id)
{
	for (size_t i = 0; i < p->nold; i++)
		if (memcmp(p->old[i].id.b, id->b, sizeof(id->b)) == 0)
			return &p->old[i];
	return NULL;
}

static struct planned *planned_by_id(const struct plan *p, const struct guid *id)
{
	return p->n ? bsearch(id, p->v, p->n, sizeof(*p->v), guid_order) : NULL;
}

static int bad_group(const struct plan *p, const struct planned *g, const char *why)
{
	return err_set(p->w->e, E_REFUSED, "%.*s has a group \"%.*s\" that cannot be mirrored: %s; change it there", SLF(p->w->from),
		SLF(g->name), why);
}

static int plan_list(struct plan *p)
{
	const struct ServerSyncDeploymentResult *r = p->w->p;
	p->v = ARENA_ARRAY(&p->w->arena, struct planned, r->Groups.n);
	if (!p->v)
		return no_memory(p->w);
	for (size_t i = 0; i < r->Groups.n; i++) {
		const struct ServerSyncTargetGroup *g = &r->Groups.v[i];
		p->v[p->n++] = (struct planned){.id = g->TargetGroupID, .name = text_trim(g->Name), .above = g->ParentGroupId};
	}
	if (p->n)
		qsort(p->v, p->n, sizeof(*p->v), guid_order);
	for (size_t i = 0; i < p->n; i++) {
		struct planned *g = &p->v[i];
		if (guid_is_zero(&g->id) || (i > 0 && guid_order(g, g - 1) == 0))
			return bad_group(p, g, "two have the same id, or it has none");
		g->old = old_by_id(p, &g->id);
		g->no = g->old ? g->old->no : 0;
		g->builtin = g->old && g->old->builtin;
	}
	return E_OK;
}

static int name_order(const void *pa, const void *pb)
{
	const struct planned *const *a = pa, *const *b = pb;
	size_t n = MIN((*a)->name.n, (*b)->name.n);
	for (size_t i = 0; i < n; i++) {
		unsigned char x = (unsigned char)text_lower((*a)->name.p[i]), y = (unsigned char)text_lower((*b)->name.p[i]);
		if (x != y)
			return x < y ? -1 : 1;
	}
	return ((*a)->name.n > (*b)->name.n) - ((*a)->name.n < (*b)->name.n);
}

/* Built-in groups keep their names here; others may not have these. */
static int plan_names(struct plan *p)
{
	const struct planned **by = ARENA_ARRAY(&p->w->arena, const struct planned *, p->n);
	if (!by)
		return no_memory(p->w);
	for (size_t i = 0; i < p->n; i++) {
		struct planned *g = &p->v[i];
		struct err why = {E_OK, ""};
		if (g->builtin)
			g->name = g->old->name;
		else if (group_check_name(g->name, &why) != E_OK)
			return bad_group(p, g, why.text);
		for (size_t k = 0; !g->builtin && k < p->nold; k++)
			if (p->old[k].builtin && text_ieq(p->old[k].name, g->name))
				return bad_group(p, g, "a group that is built in has its name");
		by[i] = g;
	}
	if (p->n)
		qsort(by, p->n, sizeof(*by), name_order);
	for (size_t i = 1; i < p->n; i++)
		if (name_order(&by[i - 1], &by[i]) == 0)
			return bad_group(p, by[i], "another one has its name");
	return E_OK;
}

static int plan_parent(struct plan *p, struct planned *g)
{
	if (g->builtin) {
		g->parent = g->old->parent;
		return E_OK;
	}
	struct planned *up = planned_by_id(p, &g->above);
	g->parent = GROUP_ALL_COMPUTERS;
	if (guid_is_zero(&g->above)) /* missing in a published example (WSUSSS-DEPLOYMENTS-24) */
		return E_OK;
	if (!up)
		return bad_group(p, g, "it stands under one that did not come");
	if (up->builtin && up->no != GROUP_ALL_COMPUTERS)
		return bad_group(p, g, "nothing stands under Unassigned Computers or Downstream Servers here");
	g->up = up->builtin ? NULL : up;
	return E_OK;
}

static int plan_depth(const struct plan *p, const struct planned *g)
{
	unsigned depth = 2; /* All Computers, and it */
	for (const struct planned *up = g->up; up && depth <= LIMIT_CLIENT_GROUPS; up = up->up)
		depth++;
	return g->builtin || depth <= LIMIT_CLIENT_GROUPS ? E_OK : bad_group(p, g, "groups are nested too deep, or in a circle");
}

static int plan_tree(struct plan *p)
{
	size_t missing = 0;
	int rc = E_OK;
	for (size_t i = 0; rc == E_OK && i < p->n; i++)
		rc = plan_parent(p, &p->v[i]);
	for (size_t i = 0; rc == E_OK && i < p->n; i++)
		rc = plan_depth(p, &p->v[i]);
	for (size_t i = 0; i < p->nold; i++)
		missing += p->old[i].builtin && !planned_by_id(p, &p->old[i].id);
	if (rc == E_OK && p->n + missing > LIMIT_GROUPS)
		rc = err_set(p->w->e, E_LIMIT, "%.*s has %zu groups, %d are the most here", SLF(p->w->from), p->n, LIMIT_GROUPS);
	return rc;
}

/* Deployments that were mirrored for a group. */
struct owners {
	struct apply *w;
	struct guid *v;
	size_t n, cap;
};

static int note_owner(struct slice key, struct slice value, void *arg)
{
	struct owners *o = arg;
	(void)key;
	struct guid *v = ARENA_MORE(&o->w->arena, o->v, o->n, &o->cap);
	struct rec r = rec_of(value, 1);
	if (!v)
		return no_memory(o->w);
	o->v = v;
	rec_bytes(&r, v[o->n++].b, sizeof(v->b));
	return E_OK;
}

static int mirror_drop_group(struct apply *w, uint32_t group)
{
	struct key k = place_key(group, 0);
	struct slice prefix = {(const char *)k.b, 5};
	struct owners o = {.w = w};
	int rc = db_each(w->t, DB_MIRROR, prefix, note_owner, &o, w->e);
	if (rc == E_OK)
		rc = db_del_prefix(w->t, DB_MIRROR, prefix, NULL, w->e);
	for (size_t i = 0; rc == E_OK && i < o.n; i++) {
		struct key id = mirror_key(MIRROR_DEPLOYMENT, &o.v[i]);
		rc = db_del(w->t, DB_MIRROR, key_bytes(&id), w->e);
	}
	return rc;
}

/* A group that is built in stays without its deployments. */
static int drop_groups(struct plan *p)
{
	struct apply *w = p->w;
	int rc = E_OK;
	for (size_t i = 0; rc == E_OK && i < p->nold; i++) {
		const struct group *g = &p->old[i];
		if (planned_by_id(p, &g->id))
			continue;
		rc = g->builtin ? deployments_end_of_group(w->t, g->no, w->e) : group_remove(w->t, g, w->e);
		if (rc == E_OK)
			rc = mirror_drop_group(w, g->no);
		w->out->groups += !g->builtin;
	}
	return rc;
}

static bool renamed(const struct planned *g)
{
	return g->old && !g->builtin && !slice_eq(g->old->name, g->name);
}

/* New ones get numbers; names that two exchange are free before either is taken. */
static int prepare_groups(struct plan *p)
{
	struct apply *w = p->w;
	int rc = E_OK;
	for (size_t i = 0; rc == E_OK && i < p->n; i++) {
		struct planned *g = &p->v[i];
		if (!g->old)
			rc = counter_next(w->t, COUNT_GROUP, &g->no, w->e);
		else if (renamed(g))
			rc = group_name_del(w->t, g->old->name, w->e);
	}
	for (size_t i = 0; rc == E_OK && i < p->n; i++) {
		struct planned *g = &p->v[i];
		if (g->up)
			g->parent = g->up->no;
		g->moved = g->old && g->old->parent != g->parent;
	}
	return rc;
}

/* The computers of a group below one that moved must be told everything anew, too. */
static bool moved_with(const struct planned *g)
{
	for (; g; g = g->up)
		if (g->moved)
			return true;
	return false;
}

static int write_groups(struct plan *p, uint32_t epoch)
{
	struct apply *w = p->w;
	bool moved = false;
	int rc = E_OK;
	for (size_t i = 0; rc == E_OK && i < p->n; i++) {
		const struct planned *s = &p->v[i];
		bool moves = s->old && !s->builtin && moved_with(s);
		if (s->builtin || (s->old && !moves && !renamed(s)))
			continue;
		struct group g = {.no = s->no, .id = s->id, .name = s->name, .parent = s->parent, .created = w->now};
		if (s->old) {
			g.created = s->old->created;
			g.moved_epoch = moves ? epoch + 1 : s->old->moved_epoch;
		}
		rc = group_put(w->t, &g, w->e);
		w->out->groups += !s->old || s->moved || renamed(s);
		moved |= moves;
	}
	return rc == E_OK && moved ? publish_dirty(w->t, w->e) : rc;
}

static int know_groups(struct plan *p)
{
	struct apply *w = p->w;
	w->known = ARENA_ARRAY(&w->arena, struct known, p->n);
	if (!w->known)
		return no_memory(w);
	for (size_t i = 0; i < p->n; i++)
		w->known[w->nknown++] = (struct known){p->v[i].id, p->v[i].no};
	return E_OK;
}

static int apply_groups(struct apply *w)
{
	struct plan p = {.w = w};
	struct server_state st;
	if (w->p->Groups.n == 0) /* all of them come each time, and none is without the ones that are built in */
		return err_set(w->e, E_REFUSED, "%.*s sent no groups at all: nothing of its policy was taken", SLF(w->from));
	int rc = server_state_get(w->t, &st, w->e);
	if (rc == E_OK)
		rc = group_each(w->t, old_group, &p, w->e);
	if (rc == E_NOMEM)
		return no_memory(w);
	if (rc == E_OK)
		rc = plan_list(&p);
	if (rc == E_OK)
		rc = plan_names(&p);
	if (rc == E_OK)
		rc = plan_tree(&p);
	if (rc == E_OK)
		rc = drop_groups(&p);
	if (rc == E_OK)
		rc = prepare_groups(&p);
	if (rc == E_OK)
		rc = write_groups(&p, st.epoch);
	return rc == E_OK ? know_groups(&p) : rc;
}

/* ================= deployments: steps 4 and 5 ================= */

static int unreadable(struct apply *w)
{
	return err_set(w->e, E_CORRUPT, "the record of a deployment cannot be read");
}

/* What the place held ends, unless another of the parent's deployments holds it by now. */
static int leave_place(struct apply *w, const struct guid *id, uint32_t group, int32_t revision)
{
	struct key k = place_key(group, revision);
	struct deployment d;
	struct guid owner;
	int rc = owner_of(w->t, group, revision, &owner);
	if (rc == E_NOTFOUND || (rc == E_OK && memcmp(&owner, id, sizeof(owner)) != 0))
		return E_OK;
	if (rc == E_OK)
		rc = deployment_get(w->t, group, revision, &d);
	if (rc == E_OK && !d.dead) {
		rc = deployment_end(w->t, &d, w->now, w->e);
		w->out->ended++;
	}
	if (rc == E_OK || rc == E_NOTFOUND)
		return db_del(w->t, DB_MIRROR, key_bytes(&k), w->e);
	return unreadable(w);
}

/* Unknown ones are nobody's business (WSUSSS-DSS-DEPLOY-06). */
static int end_one(struct apply *w, const struct guid *id)
{
	struct key k = mirror_key(MIRROR_DEPLOYMENT, id), lacking = mirror_key(MIRROR_LACKING, id);
	uint32_t group;
	int32_t revision;
	int rc = place_of(w->t, id, &group, &revision);
	if (rc == E_NOTFOUND)
		return db_del(w->t, DB_MIRROR, key_bytes(&lacking), w->e);
	if (rc != E_OK)
		return unreadable(w);
	rc = leave_place(w, id, group, revision);
	return rc == E_OK ? db_del(w->t, DB_MIRROR, key_bytes(&k), w->e) : rc;
}

/* The numbers of the wire (WSUSSS-DEPLOYMENTS-20) as ours; what is installed but not assigned is offered. */
static const struct {
	enum action assigned, offered;
} actions[] = {
	{ACT_INSTALL, ACT_OPTIONAL_INSTALL},
	{ACT_UNINSTALL, ACT_UNINSTALL},
	{ACT_PREDEPLOYMENT_CHECK, ACT_PREDEPLOYMENT_CHECK},
	{ACT_BLOCK, ACT_BLOCK},
};
static const enum priority priorities[] = {PRIO_NORMAL /* none */, PRIO_LOW, PRIO_NORMAL, PRIO_HIGH};

static bool sensible(const struct ServerSyncDeployment *s)
{
	return s->Action >= 0 && (size_t)s->Action < COUNTOF(actions) && s->DownloadPriority > 0 &&
	       (size_t)s->DownloadPriority < COUNTOF(priorities) && !guid_is_zero(&s->DeploymentGuid) && s->RevisionNumber > 0;
}

static void read_deployment(const struct ServerSyncDeployment *s, struct deployment *d)
{
	enum action offered = actions[s->Action].offered;
	d->action = s->IsAssigned ? actions[s->Action].assigned : offered;
	d->assigned = s->IsAssigned;
	d->priority = priorities[s->DownloadPriority];
	d->dead = false;
	/* written in some time zone, the last moment of all may be a day off */
	d->deadline = s->Deadline >= TICK_MAX_YEAR9999 - DAY ? 0 : MAX(s->Deadline, 1);
	d->go_live = s->GoLiveTime >= TICK_MAX_YEAR9999 ? TICK_MAX_YEAR9999 : MAX(s->GoLiveTime, 0);
	d->admin = admin_of(s);
}

static bool same(const struct deployment *a, const struct deployment *b)
{
	return a->dead == b->dead && a->action == b->action && a->assigned == b->assigned && a->priority == b->priority &&
	       a->deadline == b->deadline && a->go_live == b->go_live && slice_eq(a->admin, b->admin);
}

static int put_deployment(struct apply *w, const struct ServerSyncDeployment *s, uint32_t group, int32_t revision)
{
	struct deployment d, was;
	int rc = deployment_get(w->t, group, revision, &was);
	if (rc != E_OK && rc != E_NOTFOUND)
		return unreadable(w);
	d = rc == E_OK ? was : (struct deployment){.group = group, .revision = revision, .dead = true};
	read_deployment(s, &d);
	if (rc == E_OK && same(&d, &was))
		return E_OK;
	rc = d.id ? E_OK : counter_next(w->t, COUNT_DEPLOYMENT, &d.id, w->e);
	d.changed = MAX(w->now, d.changed + 1); /* differs after every change, whatever the clock does */
	if (rc == E_OK)
		rc = deployment_judge(w->t, &d, w->now, w->e);
	if (rc == E_OK)
		rc = deployment_put(w->t, &d, w->e);
	w->out->deployments++;
	return rc == E_OK ? publish_touch(w->t, group, revision, w->e) : rc;
}

static int find_revision(struct txn *t, const struct guid *update, int32_t number, int32_t *id, struct err *e)
{
	struct revision r;
	int rc = number > 0 ? revision_find(t, update, number, id) : E_NOTFOUND;
	if (rc == E_OK)
		rc = revision_get(t, *id, &r, e);
	else if (rc != E_NOTFOUND)
		return err_set(e, (enum errcode)rc, "an identity cannot be read");
	return rc == E_OK && r.flags & REV_REMOVED ? E_NOTFOUND : rc;
}

static int take(struct apply *w, const struct ServerSyncDeployment *s)
{
	struct key lacking = mirror_key(MIRROR_LACKING, &s->DeploymentGuid);
	uint32_t group = sensible(s) ? group_of(w, &s->TargetGroupId) : 0, old_group;
	int32_t revision, old_revision;
	if (group == 0) {
		w->out->skipped++;
		return end_one(w, &s->DeploymentGuid);
	}
	if (is_hidden(w, &s->UpdateId)) /* a declined update has no approvals here */
		return end_one(w, &s->DeploymentGuid);
	int rc = find_revision(w->t, &s->UpdateId, s->RevisionNumber, &revision, w->e);
	if (rc == E_NOTFOUND) {
		w->out->lacking++;
		rc = end_one(w, &s->DeploymentGuid);
		return rc == E_OK ? lacking_put(w->t, s, w->e) : rc;
	}
	if (rc == E_OK)
		rc = db_del(w->t, DB_MIRROR, key_bytes(&lacking), w->e);
	if (rc != E_OK)
		return rc;
	bool known = place_of(w->t, &s->DeploymentGuid, &old_group, &old_revision) == E_OK;
	if (known && (old_group != group || old_revision != revision))
		rc = leave_place(w, &s->DeploymentGuid, old_group, old_revision);
	if (rc == E_OK)
		rc = put_deployment(w, s, group, revision);
	return rc == E_OK ? mirror_put(w->t, &s->DeploymentGuid, group, revision, w->e) : rc;
}

struct lacking {
	struct apply *w;
	struct ServerSyncDeployment *v;
	size_t n, cap;
};

static int note_lacking(struct slice key, struct slice value, void *arg)
{
	struct lacking *l = arg;
	struct ServerSyncDeployment *v = ARENA_MORE(&l->w->arena, l->v, l->n, &l->cap);
	if (!v)
		return no_memory(l->w);
	l->v = v;
	if (lacking_decode(key, value, &v[l->n]) != E_OK)
		return unreadable(l->w);
	v[l->n].AdminName = arena_copy(&l->w->arena, v[l->n].AdminName);
	return v[l->n++].AdminName.p ? E_OK : no_memory(l->w);
}

/* Those of before whose revision may have come since. */
static int take_lacking(struct apply *w)
{
	struct lacking l = {.w = w};
	const char kind = MIRROR_LACKING;
	int rc = db_each(w->t, DB_MIRROR, (struct slice){&kind, 1}, note_lacking, &l, w->e);
	for (size_t i = 0; rc == E_OK && i < l.n; i++)
		rc = take(w, &l.v[i]);
	return rc;
}

struct leftover {
	struct apply *w;
	struct deployment *v;
	size_t n, cap;
};

static int note_leftover(const struct deployment *d, void *arg)
{
	struct leftover *l = arg;
	if (d->dead || mirror_has(l->w->t, d->group, d->revision))
		return E_OK;
	struct deployment *v = ARENA_MORE(&l->w->arena, l->v, l->n, &l->cap);
	if (!v)
		return no_memory(l->w);
	l->v = v;
	v[l->n] = *d;
	v[l->n].admin = arena_copy(&l->w->arena, d->admin);
	return v[l->n++].admin.p ? E_OK : no_memory(l->w);
}

/* A full list: what it does not name is not the parent's. */
static int end_leftovers(struct apply *w)
{
	struct leftover l = {.w = w};
	int rc = deployment_each_of_group(w->t, 0, note_leftover, &l, w->e);
	for (size_t i = 0; rc == E_OK && i < l.n; i++) {
		rc = deployment_end(w->t, &l.v[i], w->now, w->e);
		w->out->ended++;
	}
	return rc;
}

static int apply_deployments(struct apply *w)
{
	const struct ServerSyncDeploymentResult *p = w->p;
	int rc = w->full ? db_del_prefix(w->t, DB_MIRROR, SL(""), NULL, w->e) : take_lacking(w);
	for (size_t i = 0; rc == E_OK && !w->full && i < p->DeadDeployments.n; i++)
		rc = end_one(w, &p->DeadDeployments.v[i]);
	for (size_t i = 0; rc == E_OK && i < p->Deployments.n; i++)
		rc = take(w, &p->Deployments.v[i]);
	return rc == E_OK && w->full ? end_leftovers(w) : rc;
}

/* ================= hidden updates and licences: steps 6 and 7 ================= */

struct shown { /* declined here, not there */
	struct apply *w;
	uint32_t *v;
	size_t n, cap;
};

static int note_shown(struct slice key, struct slice value, void *arg)
{
	struct shown *s = arg;
	struct update u;
	(void)value;
	int rc = key.n == 4 ? update_get(s->w->t, get_be32(key.p), &u, s->w->e) : err_set(s->w->e, E_CORRUPT, "an update's key");
	if (rc != E_OK || !u.declined || is_hidden(s->w, &u.id))
		return rc;
	uint32_t *v = ARENA_MORE(&s->w->arena, s->v, s->n, &s->cap);
	if (!v)
		return no_memory(s->w);
	s->v = v;
	v[s->n++] = u.no;
	return E_OK;
}

static int sort_hidden(struct apply *w)
{
	const struct ServerSyncDeploymentResult *p = w->p;
	w->hidden = ARENA_ARRAY(&w->arena, struct guid, p->HiddenUpdates.n);
	if (!w->hidden)
		return no_memory(w);
	w->nhidden = p->HiddenUpdates.n;
	if (w->nhidden == 0)
		return E_OK;
	memcpy(w->hidden, p->HiddenUpdates.v, w->nhidden * sizeof(*w->hidden));
	qsort(w->hidden, w->nhidden, sizeof(*w->hidden), guid_order);
	return E_OK;
}

/* The list is complete: what is not in it is hidden no more (WSUSSS-DSS-DEPLOY-11).  Of updates that are not here it says
 * nothing that the next list would not say again. */
static int apply_hidden(struct apply *w)
{
	struct shown s = {.w = w};
	int rc = db_each(w->t, DB_UPDATE, SL(""), note_shown, &s, w->e);
	for (size_t i = 0; rc == E_OK && i < s.n; i++) {
		rc = update_decline(w->t, s.v[i], false, w->from, w->e);
		w->out->hidden++;
	}
	for (size_t i = 0; rc == E_OK && i < w->nhidden; i++) {
		struct update u;
		uint32_t no;
		int got = update_find(w->t, &w->hidden[i], &no);
		if (got == E_NOTFOUND)
			continue;
		rc = got == E_OK ? update_get(w->t, no, &u, w->e) : err_set(w->e, (enum errcode)got, "the number of an update cannot be read");
		if (rc != E_OK || u.declined)
			continue;
		rc = update_decline(w->t, no, true, w->from, w->e);
		w->out->hidden++;
	}
	return rc;
}

/* Never taken back (WSUSSS-DSS-DEPLOY-12). */
static int apply_eulas(struct apply *w)
{
	const struct wguids *l = &w->p->AcceptedEulas;
	int rc = E_OK;
	for (size_t i = 0; rc == E_OK && i < l->n; i++) {
		if (guid_is_zero(&l->v[i]) || eula_accepted(w->t, &l->v[i]))
			continue;
		rc = eula_accept(w->t, &l->v[i], w->from, w->e);
		w->out->eulas++;
	}
	return rc;
}

/* ================= all of it ================= */

static int apply(struct apply *w)
{
	int rc = sort_hidden(w);
	if (rc == E_OK)
		rc = apply_groups(w);
	if (rc == E_OK && w->full)
		rc = policy_drop_waiting(w->t, w->e);
	if (rc == E_OK)
		rc = apply_eulas(w); /* before what would wait for them */
	if (rc == E_OK)
		rc = apply_hidden(w);
	return rc == E_OK ? apply_deployments(w) : rc;
}

int replica_apply(struct txn *t, const struct ServerSyncDeploymentResult *p, bool full, tick_t now, struct replica_report *out,
	struct err *e)
{
	struct apply w = {.t = t, .p = p, .full = full, .now = now, .out = out, .e = e};
	struct settings set;
	*out = (struct replica_report){0};
	arena_init(&w.arena, REPLICA_MEMORY);
	int rc = settings_get(t, &set, e);
	if (rc == E_OK) {
		w.from = arena_copy(&w.arena, set.upstream_url.n ? set.upstream_url : SL("the server above"));
		rc = w.from.p ? E_OK : err_set(e, E_NOMEM, "out of memory");
	}
	bool was = txn_policy_free(t, true);
	if (rc == E_OK)
		rc = apply(&w);
	txn_policy_free(t, was);
	arena_free(&w.arena);
	return rc == E_OK ? rc : txn_fail(t, rc, e);
}

static int identity_order(const void *pa, const void *pb)
{
	const struct UpdateIdentity *a = pa, *b = pb;
	int order = memcmp(&a->UpdateID, &b->UpdateID, sizeof(a->UpdateID));
	return order ? order : (a->RevisionNumber > b->RevisionNumber) - (a->RevisionNumber < b->RevisionNumber);
}

int replica_lacks(struct txn *t, const struct ServerSyncDeploymentResult *p, struct arena *a, struct UpdateIdentity **out,
	size_t *n, struct err *e)
{
	struct UpdateIdentity *v = ARENA_ARRAY(a, struct UpdateIdentity, p->Deployments.n);
	size_t found = 0, kept = 0;
	if (!v)
		return err_set(e, E_NOMEM, "out of memory for %zu deployments", p->Deployments.n);
	for (size_t i = 0; i < p->Deployments.n; i++) {
		const struct ServerSyncDeployment *s = &p->Deployments.v[i];
		int32_t id;
		if (!sensible(s))
			continue;
		int rc = find_revision(t, &s->UpdateId, s->RevisionNumber, &id, e);
		if (rc == E_NOTFOUND)
			v[found++] = (struct UpdateIdentity){.UpdateID = s->UpdateId, .RevisionNumber = s->RevisionNumber};
		else if (rc != E_OK)
			return rc;
	}
	if (found)
		qsort(v, found, sizeof(*v), identity_order);
	for (size_t i = 0; i < found; i++)
		if (kept == 0 || identity_order(&v[kept - 1], &v[i]) != 0)
			v[kept++] = v[i];
	*out = v;
	*n = kept;
	return E_OK;
}

/* ================= before there was a parent ================= */

static int count_group(const struct group *g, void *arg)
{
	((struct replica_local *)arg)->groups += !g->builtin;
	return E_OK;
}

static int count_approval(const struct deployment *d, void *arg)
{
	((struct replica_local *)arg)->approvals += !d->dead;
	return E_OK;
}

struct declines {
	struct txn *t;
	struct replica_local *out;
};

static int count_decline(struct slice key, struct slice value, void *arg)
{
	struct declines *w = arg;
	struct update u;
	(void)value;
	w->out->declines += key.n == 4 && update_get(w->t, get_be32(key.p), &u, NULL) == E_OK && u.declined;
	return E_OK;
}

int replica_local(struct txn *t, struct replica_local *out, struct err *e)
{
	struct declines w = {t, out};
	uint64_t mirrored;
	*out = (struct replica_local){0};
	int rc = db_count(t, DB_MIRROR, &mirrored, e);
	if (rc != E_OK || mirrored > 0)
		return rc;
	rc = group_each(t, count_group, out, e);
	if (rc == E_OK)
		rc = deployment_each_of_group(t, 0, count_approval, out, e);
	return rc == E_OK ? db_each(t, DB_UPDATE, SL(""), count_decline, &w, e) : rc;
}
