/* need.c -- see need.h.
 *
 * Approvals are walked, not files: what is approved is a small part of a catalog, and most of it is here already.  Twice: the
 * first pass counts, so that the list takes what it needs and no more.  A file that several revisions name is in it several times
 * until the end. */
#include "store/need.h"

#include <stdlib.h>

#include "store/db.h"
#include "store/downstream.h"

struct gather {
	struct txn *t;
	struct needs *out; /* out->v NULL: the pass that counts */
	size_t n, room;
	bool held;         /* what is here, else what is missing */
	bool express;
	uint8_t why;       /* of what is found now */
	/* the revisions of approvals and of all bundles below them */
	uint8_t *seen;     /* a bit for each RevisionID */
	int32_t *queue, last;
	size_t nqueue;
	struct err *e;
};

static int add(struct gather *g, const struct file *f)
{
	if (f->stored != g->held || (f->express && !g->express))
		return E_OK;
	if (g->out->v && g->n < g->room)
		g->out->v[g->n] = (struct needed){f->digest, g->why, f->size};
	g->n++;
	return E_OK;
}

static int add_file(const struct file *f, void *arg)
{
	return add(arg, f);
}

static int add_named(struct gather *g, const struct sha1 *digest)
{
	struct file f;
	int rc = file_get(g->t, digest, &f, g->e);
	return rc == E_OK ? add(g, &f) : rc;
}

/* EULA files hold no approval back, but a computer may be shown one. */
static int add_of_revision(const struct revision_file *rf, void *arg)
{
	return add_named(arg, &rf->digest);
}

static int add_wanted(const struct wanted *w, void *arg)
{
	return add_named(arg, &w->digest);
}

/* ---- approvals: what deployment_judge() finds missing ---- */

static void enter(struct gather *g, int32_t id)
{
	if (id < 1 || id > g->last || (g->seen[id / 8] & 1u << id % 8))
		return;
	g->seen[id / 8] |= (uint8_t)(1u << id % 8);
	g->queue[g->nqueue++] = id;
}

static int enter_approved(const struct deployment *d, void *arg)
{
	if (!d->dead && (d->action == ACT_INSTALL || d->action == ACT_OPTIONAL_INSTALL))
		enter(arg, d->revision);
	return E_OK;
}

/* One that is not here brings its files when it comes. */
static int enter_member(const struct relation *m, void *arg)
{
	struct gather *g = arg;
	int32_t id;
	if (member_find(g->t, m, &id) == E_OK)
		enter(g, id);
	return E_OK;
}

static int find_approved(struct gather *g, struct arena *a)
{
	g->last = (int32_t)counter_last(g->t, COUNT_REVISION);
	g->seen = ARENA_ARRAY(a, uint8_t, (size_t)g->last / 8 + 1);
	g->queue = ARENA_ARRAY(a, int32_t, (size_t)g->last);
	if (!g->seen || !g->queue)
		return err_set(g->e, E_NOMEM, "out of memory for the approved revisions");
	int rc = deployment_each_of_group(g->t, 0, enter_approved, g, g->e);
	for (size_t i = 0; rc == E_OK && i < g->nqueue; i++)
		rc = members_each(g->t, g->queue[i], enter_member, g, g->e);
	return rc;
}

/* ---- one pass ---- */

static int pass(struct gather *g, const struct settings *set)
{
	int rc = E_OK;
	g->n = 0;
	g->why = NEED_APPROVED;
	for (size_t i = 0; rc == E_OK && i < g->nqueue; i++)
		rc = revision_files_each(g->t, g->queue[i], add_of_revision, g, g->e);
	g->why = NEED_WANTED;
	if (rc == E_OK && !store_trouble(txn_store(g->t), STORE_FLEET))
		rc = wanted_each(g->t, add_wanted, g, g->e);
	g->why = NEED_ALL;
	if (rc == E_OK && set->content_download == DOWNLOAD_ALL)
		rc = file_each(g->t, add_file, g, g->e);
	return rc;
}

static int by_digest(const void *x, const void *y)
{
	const struct needed *a = x, *b = y;
	return memcmp(&a->digest, &b->digest, sizeof(a->digest));
}

static int rank(const struct needed *n)
{
	return n->why & NEED_APPROVED ? 0 : n->why & NEED_WANTED ? 1 : 2;
}

/* What somebody waits for, then what is soon here; digests make it one order. */
static int by_urgency(const void *x, const void *y)
{
	const struct needed *a = x, *b = y;
	int by = rank(a) - rank(b);
	if (by == 0)
		by = (a->size > b->size) - (a->size < b->size);
	return by ? by : by_digest(x, y);
}

static void unite(struct needs *out)
{
	size_t kept = 0;
	if (out->n)
		qsort(out->v, out->n, sizeof(*out->v), by_digest);
	for (size_t i = 0; i < out->n; i++) {
		if (kept && by_digest(&out->v[kept - 1], &out->v[i]) == 0) {
			out->v[kept - 1].why |= out->v[i].why;
			continue;
		}
		out->bytes += out->v[i].size;
		out->v[kept++] = out->v[i];
	}
	out->n = kept;
	if (kept)
		qsort(out->v, kept, sizeof(*out->v), by_urgency);
}

static int get(struct txn *t, bool held, struct arena *a, struct needs *out, struct err *e)
{
	struct settings set;
	struct gather g = {.t = t, .out = out, .held = held, .e = e};
	struct arena scratch;
	*out = (struct needs){0};
	int rc = settings_get(t, &set, e);
	if (rc != E_OK || set.content_store == CONTENT_MICROSOFT)
		return rc;
	g.express = set.content_express;
	arena_init(&scratch, NEEDS_MEMORY);
	rc = find_approved(&g, &scratch);
	if (rc == E_OK)
		rc = pass(&g, &set);
	g.room = g.n;
	if (rc == E_OK && !(out->v = ARENA_ARRAY(a, struct needed, g.room)))
		rc = err_set(e, E_NOMEM, "out of memory for the list of %zu files", g.room);
	if (rc == E_OK)
		rc = pass(&g, &set);
	out->n = MIN(g.n, g.room);
	if (rc == E_OK)
		unite(out);
	arena_free(&scratch);
	return rc;
}

int needs_get(struct txn *t, struct arena *a, struct needs *out, struct err *e)
{
	return get(t, false, a, out, e);
}

int needs_held(struct txn *t, struct arena *a, struct needs *out, struct err *e)
{
	return get(t, true, a, out, e);
}
