/* held.c -- what a synchronization still lacks. */
#include "store/held.h"

#include <stdlib.h>

#include "store/db.h"

int identity_cmp(const void *pa, const void *pb)
{
	const struct UpdateIdentity *a = pa, *b = pb;
	int d = guid_cmp(&a->UpdateID, &b->UpdateID);
	return d ? d : (a->RevisionNumber > b->RevisionNumber) - (a->RevisionNumber < b->RevisionNumber);
}

static int add(struct arena *a, struct identities *l, const struct guid *id, int32_t number)
{
	struct UpdateIdentity *v = ARENA_MORE(a, l->v, l->n, &l->cap);
	if (!v)
		return E_NOMEM;
	l->v = v;
	l->v[l->n++] = (struct UpdateIdentity){.UpdateID = *id, .RevisionNumber = number};
	return E_OK;
}

static int no_memory(int rc, struct err *e)
{
	return rc == E_NOMEM ? err_set(e, E_NOMEM, "a list of updates: %s", err_name(E_NOMEM)) : rc;
}

/* ---- of a list ---- */

static int by_identity(const void *pa, const void *pb)
{
	const struct UpdateIdentity *const *a = pa, *const *b = pb;
	int d = identity_cmp(*a, *b);
	return d ? d : (*a > *b) - (*a < *b);
}

/* Marks in `again` what stood before. */
static bool find_repeats(const struct UpdateIdentity *ids, size_t n, struct arena *a, bool **again)
{
	const struct UpdateIdentity **order = ARENA_ARRAY(a, const struct UpdateIdentity *, n);
	*again = ARENA_ARRAY(a, bool, n);
	if (!order || !*again)
		return false;
	for (size_t i = 0; i < n; i++)
		order[i] = &ids[i];
	if (n)
		qsort(order, n, sizeof(*order), by_identity);
	for (size_t i = 1; i < n; i++)
		(*again)[order[i] - ids] = identity_cmp(order[i - 1], order[i]) == 0;
	return true;
}

static int list_lacking(struct txn *t, const struct UpdateIdentity *ids, size_t n, const bool *again, struct arena *a,
	struct identities *out)
{
	int rc = E_OK;
	for (size_t i = 0; rc == E_OK && i < n; i++) {
		struct slice v;
		struct key k = key_identity(&ids[i].UpdateID, ids[i].RevisionNumber);
		if (!again[i])
			rc = db_get(t, DB_IDENTITY, key_bytes(&k), &v);
		if (rc == E_NOTFOUND)
			rc = add(a, out, &ids[i].UpdateID, ids[i].RevisionNumber);
	}
	return rc;
}

int identities_lacking(struct txn *t, const struct UpdateIdentity *ids, size_t n, struct arena *a, struct identities *out,
	struct err *e)
{
	struct arena scratch;
	bool *again;
	arena_init(&scratch, SIZE_MAX / 2);
	*out = (struct identities){0};
	int rc = find_repeats(ids, n, &scratch, &again) ? list_lacking(t, ids, n, again, a, out) : E_NOMEM;
	arena_free(&scratch);
	if (rc == E_OK || rc == E_NOMEM)
		return no_memory(rc, e);
	return err_set(e, (enum errcode)rc, "looking up identities: %s", err_name(rc));
}

/* ---- of bundles ---- */

struct lack {
	struct txn *t;
	struct arena *a;
	struct identities *out;
	struct err *e;
};

static int member(const struct relation *m, void *arg)
{
	struct lack *w = arg;
	struct update u;
	int32_t id;
	int rc = update_get(w->t, m->update_no, &u, w->e);
	if (rc != E_OK)
		return rc;
	rc = revision_find(w->t, &u.id, m->number, &id);
	return rc == E_NOTFOUND ? add(w->a, w->out, &u.id, m->number) : rc;
}

static int bundle(const struct revision *r, void *arg)
{
	struct lack *w = arg;
	if (!(r->flags & REV_BUNDLE) || r->flags & REV_REMOVED)
		return E_OK;
	return members_each(w->t, r->id, member, w, w->e);
}

/* Sorts, and drops repeats. */
static void set_of(struct identities *l)
{
	size_t kept = 0;
	if (l->n)
		qsort(l->v, l->n, sizeof(*l->v), identity_cmp);
	for (size_t i = 0; i < l->n; i++)
		if (kept == 0 || identity_cmp(&l->v[kept - 1], &l->v[i]) != 0)
			l->v[kept++] = l->v[i];
	l->n = kept;
}

int members_lacking(struct txn *t, struct arena *a, struct identities *out, struct err *e)
{
	struct lack w = {t, a, out, e};
	*out = (struct identities){0};
	int rc = revision_each(t, 1, 0, bundle, &w, e);
	set_of(out);
	return no_memory(rc, e);
}

/* ---- of keys ---- */

static int without_key(const struct revision_file *rf, void *arg)
{
	struct lack *w = arg;
	struct file f;
	int rc = file_get(w->t, &rf->digest, &f, w->e);
	return rc != E_OK ? rc : !rf->eula && f.key.n == 0 ? -1 : E_OK;
}

static int secured(const struct revision *r, void *arg)
{
	struct lack *w = arg;
	if ((r->flags & (REV_HELD | REV_SECURE_KEY | REV_REMOVED)) != (REV_HELD | REV_SECURE_KEY))
		return E_OK;
	int rc = revision_files_each(w->t, r->id, without_key, w, w->e);
	return rc == -1 ? add(w->a, w->out, &r->update, r->number) : rc;
}

int keys_lacking(struct txn *t, struct arena *a, struct identities *out, struct err *e)
{
	struct lack w = {t, a, out, e};
	*out = (struct identities){0};
	return no_memory(revision_each(t, 1, 0, secured, &w, e), e);
}

/* ---- of addresses ---- */

struct addresses {
	struct lack lack;
	tick_t began;
};

/* -1: a content file without an address; -2: one with */
static int address_of(const struct revision_file *rf, void *arg)
{
	struct addresses *w = arg;
	struct file f;
	int rc = rf->eula ? E_OK : file_get(w->lack.t, &rf->digest, &f, w->lack.e);
	if (rc != E_OK || rf->eula)
		return rc;
	return f.mu_url.n ? -2 : -1;
}

static int unaddressed(const struct revision *r, void *arg)
{
	struct addresses *w = arg;
	if (!(r->flags & REV_HELD) || r->flags & REV_REMOVED || r->imported >= w->began)
		return E_OK;
	int rc = revision_files_each(w->lack.t, r->id, address_of, w, w->lack.e);
	if (rc == -1)
		return add(w->lack.a, w->lack.out, &r->update, r->number);
	return rc == -2 ? E_OK : rc;
}

static int has_address(const struct file *f, void *arg)
{
	(void)arg;
	return f->mu_url.n ? -1 : E_OK;
}

int addresses_lacking(struct txn *t, tick_t began, struct arena *a, struct identities *out, struct err *e)
{
	struct addresses w = {.lack = {t, a, out, e}, .began = began};
	*out = (struct identities){0};
	int rc = revision_each(t, 1, 0, unaddressed, &w, e);
	if (rc == E_OK && out->n > 0) {
		rc = file_each(t, has_address, NULL, e);
		out->n = rc == -1 ? out->n : 0;
		rc = rc == -1 ? E_OK : rc;
	}
	return no_memory(rc, e);
}
