/* sync_deploy.c -- see sync.h: deployments that changed between two points.
 *
 * The change log names them for every point from its floor on; below that all rows are looked at, each of which knows the
 * epoch of its last change.  Both find the same. */
#include <stdlib.h>

#include "store/db.h"
#include "store/sync.h"

struct place {
	uint32_t group;
	int32_t revision;
};

struct window {
	struct txn *t;
	struct arena *a;
	struct err *e;
	uint32_t after, until;
	struct place *place; /* what the log names */
	size_t nplace, place_cap;
	struct sync_deployments *out;
	size_t live_cap, dead_cap;
	struct guid server;
	struct group group; /* of the last one */
};

static int no_memory(struct window *w)
{
	return err_set(w->e, E_NOMEM, "out of memory for the deployments of a downstream server");
}

/* Known even when group and revision are gone; DeploymentIDs are never used twice. */
static struct guid guid_of(const struct window *w, uint32_t deployment_id)
{
	struct guid g = w->server;
	uint8_t be[4];
	put_be32(be, deployment_id);
	for (size_t i = 0; i < sizeof(be); i++)
		g.b[sizeof(g.b) - sizeof(be) + i] ^= be[i];
	return g;
}

static int add_dead(struct window *w, const struct deployment *d)
{
	struct sync_deployments *o = w->out;
	if (w->after == 0) /* who knows none needs none (WSUSSS-DEPLOYMENTS-14) */
		return E_OK;
	struct guid *v = ARENA_MORE(w->a, o->dead, o->ndead, &w->dead_cap);
	if (!v)
		return no_memory(w);
	o->dead = v;
	v[o->ndead++] = guid_of(w, d->id);
	return E_OK;
}

static int add_live(struct window *w, const struct deployment *d)
{
	struct sync_deployments *o = w->out;
	struct revision r;
	int rc = revision_get(w->t, d->revision, &r, w->e);
	if (rc == E_OK && w->group.no != d->group)
		rc = group_get(w->t, d->group, &w->group, w->e);
	if (rc != E_OK)
		return rc;
	struct sync_deployment *v = ARENA_MORE(w->a, o->live, o->nlive, &w->live_cap);
	if (!v)
		return no_memory(w);
	o->live = v;
	v[o->nlive++] = (struct sync_deployment){
		.guid = guid_of(w, d->id), .update = r.update, .group = w->group.id, .number = r.number, .d = *d};
	return E_OK;
}

static int consider(const struct deployment *d, void *arg)
{
	struct window *w = arg;
	if (d->epoch <= w->after || d->epoch > w->until)
		return E_OK;
	return d->dead ? add_dead(w, d) : add_live(w, d);
}

static int log_row(struct slice key, struct slice value, void *arg)
{
	struct window *w = arg;
	(void)value;
	if (key.n != 12)
		return E_CORRUPT;
	if (get_be32(key.p) > w->until)
		return E_EXISTS; /* the end */
	if (get_be32(key.p + 4) == 0)
		return E_OK;
	struct place *v = ARENA_MORE(w->a, w->place, w->nplace, &w->place_cap);
	if (!v)
		return E_NOMEM;
	w->place = v;
	v[w->nplace++] = (struct place){get_be32(key.p + 4), (int32_t)get_be32(key.p + 8)};
	return E_OK;
}

static int place_cmp(const void *pa, const void *pb)
{
	const struct place *a = pa, *b = pb;
	if (a->group != b->group)
		return a->group < b->group ? -1 : 1;
	return (a->revision > b->revision) - (a->revision < b->revision);
}

static int by_log(struct window *w)
{
	struct key from = key_log(w->after + 1, 0, 0);
	int rc = db_each_from(w->t, DB_LOG, key_bytes(&from), log_row, w, w->e);
	if (rc == E_NOMEM)
		return no_memory(w);
	if (rc == E_CORRUPT)
		return err_set(w->e, E_CORRUPT, "a row of the change log cannot be read");
	if (rc != E_OK && rc != E_EXISTS)
		return rc;
	if (w->nplace)
		qsort(w->place, w->nplace, sizeof(*w->place), place_cmp);
	rc = E_OK;
	for (size_t i = 0; rc == E_OK && i < w->nplace; i++) {
		const struct place *p = &w->place[i];
		struct deployment d;
		if (i > 0 && place_cmp(p - 1, p) == 0)
			continue;
		int got = deployment_get(w->t, p->group, p->revision, &d);
		if (got == E_OK)
			rc = consider(&d, w);
		else if (got != E_NOTFOUND)
			rc = err_set(w->e, (enum errcode)got, "the record of a deployment cannot be read");
	}
	return rc;
}

int sync_deployments(struct txn *t, uint32_t after, uint32_t until, struct arena *a, struct sync_deployments *out,
	struct err *e)
{
	struct window w = {.t = t, .a = a, .e = e, .after = after, .until = until, .out = out};
	struct server_state state;
	*out = (struct sync_deployments){0};
	int rc = server_state_get(t, &state, e);
	if (rc != E_OK || until <= after)
		return rc;
	w.server = state.server_id;
	if (after > 0 && after >= state.log_floor)
		return by_log(&w);
	return deployment_each_of_group(t, 0, consider, &w, e);
}
