/* metadata.c -- phase 2 of a synchronization, MS-WSUSSS 3.2.4.2: categories and detectoids, then updates.
 *
 *   list of identities -> documents of those that are not here, staged and held -> what bundles name and nobody has ->
 *   keys -> one transaction: shown, anchor, choices
 *
 * The two lists have anchors of their own (WSUSSS-DSS-META-06).  An anchor is kept in the transaction that shows what it covers
 * and not before: a run that ends early lists again, and skips what is stored by then (WSUSSS-DSS-META-14, -16).  Refused
 * documents do not hold it back: nothing would ever come behind them.  They are counted in the history and named in the log, and come
 * again when their update gets a new revision, when a bundle names them (each run asks for what bundles lack), or when
 * the whole list is asked for. */
#include <stdlib.h>

#include "common/limits.h"
#include "common/text.h"
#include "store/held.h"
#include "sync/sync.h"

#define PHASE_MEMORY ((size_t)64 << 20) /* a list of LIMIT_SYNC_IDS identities, while it grows */
#define FEW_LANGUAGES 63                /* MS-WSUSSS 1.7 */

/* ================= lists ================= */

/* At most 63 languages wanted?  Whoever wants all may want more (WSUSSS-REVLIST-09, -DSS-META-04).  No Languages go along: what they would
 * leave out is not said, and documents have all languages anyway (WSUSSS-VERSION-06). */
static bool few_languages(const struct run *r)
{
	struct slice left = r->set.languages;
	size_t n = 0;
	if (left.n == 0 || text_ieq(left, SL("all")))
		return false;
	while (left.p) {
		text_cut(&left, ',');
		n++;
	}
	return n <= FEW_LANGUAGES;
}

int list_get(struct run *r, struct ServerSyncFilter *filter, struct slice anchor, struct arena *a, struct RevisionIdList **out,
	struct err *e)
{
	struct Cookie cookie;
	struct GetRevisionIdListResponse answer = {0};
	struct GetRevisionIdList ask = {.cookie = &cookie, .filter = filter};
	filter->Anchor = anchor.n ? anchor : SL0;
	filter->Get63LanguageOnly = few_languages(r);
	int rc = run_cookie(r, &cookie, e);
	if (rc == E_OK)
		rc = call(r->caller, CALL_GET_REVISION_ID_LIST, &ask, &answer, a, e);
	if (rc != E_OK)
		return rc;
	*out = answer.GetRevisionIdListResult;
	if (!*out || !(*out)->Anchor.n)
		return err_set(e, E_FORM, "GetRevisionIdList: the answer holds no list with an anchor");
	r->log.listed += (uint32_t)(*out)->NewRevisions.n;
	return E_OK;
}

/* ================= the filter (WSUSSS-DSS-META-12, -REVLIST-18) ================= */

struct ids {
	struct arena *a;
	struct IdAndDelta *v;
	size_t n, cap;
};

struct choosing {
	struct ids of[CHOICE_CLASSIFICATION + 1]; /* by kind */
	bool anchored; /* there was a list before */
};

static int add_id(struct ids *l, const struct guid *id, bool delta)
{
	struct IdAndDelta *v = ARENA_MORE(l->a, l->v, l->n, &l->cap);
	if (!v)
		return E_NOMEM;
	l->v = v;
	l->v[l->n++] = (struct IdAndDelta){.Id = *id, .Delta = delta};
	return l->n > LIMIT_SYNC_FILTER ? E_LIMIT : E_OK;
}

static int one_choice(const struct choice *c, void *arg)
{
	struct choosing *w = arg;
	return c->wanted ? add_id(&w->of[c->kind], &c->id, c->covered && w->anchored) : E_OK;
}

struct all_of {
	struct txn *t;
	struct ids *list;
	enum choice_kind kind;
	bool anchored;
};

static int one_known(const struct revision *v, void *arg)
{
	struct all_of *w = arg;
	struct ids *l = w->list;
	struct choice c;
	if (choice_kind_of(v) != w->kind)
		return E_OK;
	for (size_t i = 0; i < l->n; i++) /* several revisions of one category are usual */
		if (guid_cmp(&l->v[i].Id, &v->update) == 0)
			return E_OK;
	return add_id(l, &v->update, w->anchored && choice_get(w->t, w->kind, &v->update, &c) == E_OK && c.covered);
}

/* Nothing chosen of this kind: all of it. */
static int all_known(struct txn *t, struct choosing *w, enum choice_kind kind, struct err *e)
{
	struct all_of all = {t, &w->of[kind], kind, w->anchored};
	return w->of[kind].n ? E_OK : revision_each(t, 1, 0, one_known, &all, e);
}

static int choose(struct txn *t, struct choosing *w, struct err *e)
{
	int rc = choice_each(t, 0, one_choice, w, e);
	bool any = w->of[CHOICE_PRODUCT].n || w->of[CHOICE_CLASSIFICATION].n;
	if (rc == E_OK && !any)
		return err_set(e, E_NOTFOUND, "no product and no classification is chosen");
	for (int kind = CHOICE_PRODUCT; rc == E_OK && kind <= CHOICE_CLASSIFICATION; kind++) {
		rc = all_known(t, w, (enum choice_kind)kind, e);
		if (rc == E_OK && w->of[kind].n == 0)
			return err_set(e, E_NOTFOUND, "no %s is known yet", choice_kind_names[kind]);
	}
	if (rc == E_LIMIT)
		return err_set(e, E_LIMIT, "more than %d products or classifications are chosen; `wsusctl config set sync.filter all` asks "
			"for everything", LIMIT_SYNC_FILTER);
	return rc == E_NOMEM ? err_set(e, E_NOMEM, "the filter: %s", err_name(E_NOMEM)) : rc;
}

/* Replicas and sync.filter = all take everything: their filter has no lists. */
static bool takes_all(const struct run *r)
{
	return r->set.upstream_mode == UPSTREAM_REPLICA || r->set.sync_filter == SYNC_ALL;
}

int updates_filter(struct run *r, struct ServerSyncFilter *out, struct arena *a, struct err *e)
{
	struct txn *t;
	struct choosing w = {.anchored = r->parent.sync_anchor.n != 0};
	*out = (struct ServerSyncFilter){.GetConfig = false};
	if (takes_all(r))
		return E_OK;
	w.of[CHOICE_PRODUCT].a = w.of[CHOICE_CLASSIFICATION].a = a;
	int rc = txn_begin(r->store, TXN_READ, &t, e);
	if (rc != E_OK)
		return rc;
	rc = choose(t, &w, e);
	txn_end(&t);
	out->Categories.v = w.of[CHOICE_PRODUCT].v;
	out->Categories.n = w.of[CHOICE_PRODUCT].n;
	out->Classifications.v = w.of[CHOICE_CLASSIFICATION].v;
	out->Classifications.n = w.of[CHOICE_CLASSIFICATION].n;
	return rc;
}

/* ---- is that still what is wanted? ---- */

struct wish {
	uint64_t hash;
};

static void mix(struct wish *w, struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		w->hash = (w->hash ^ (uint8_t)s.p[i]) * UINT64_C(0x100000001b3);
	w->hash = (w->hash ^ s.n) * UINT64_C(0x100000001b3);
}

static int mix_choice(const struct choice *c, void *arg)
{
	if (c->wanted)
		mix(arg, (struct slice){(const char *)c->id.b, sizeof(c->id.b)});
	return E_OK;
}

/* What the list was asked for by: whoever changes it meanwhile wants a list that this one is not. */
static int wish_of(struct txn *t, struct wish *out, struct err *e)
{
	struct settings set;
	*out = (struct wish){UINT64_C(0xcbf29ce484222325)};
	int rc = settings_get(t, &set, e);
	if (rc != E_OK)
		return rc;
	mix(out, set.upstream_url);
	out->hash ^= (uint64_t)set.upstream_mode << 1 | (uint64_t)set.sync_filter;
	return choice_each(t, 0, mix_choice, out, e);
}

static int wish_now(struct run *r, struct wish *out, struct err *e)
{
	struct txn *t;
	int rc = txn_begin(r->store, TXN_READ, &t, e);
	if (rc != E_OK)
		return rc;
	rc = wish_of(t, out, e);
	txn_end(&t);
	return rc;
}

/* ================= what the list does not name (WSUSSS-DSS-META-26) ================= */

typedef int lacking_fn(struct txn *t, struct arena *a, struct identities *out, struct err *e);

static int look(struct run *r, lacking_fn *lacking, struct arena *a, struct identities *out, struct err *e)
{
	struct txn *t;
	int rc = txn_begin(r->store, TXN_READ, &t, e);
	if (rc != E_OK)
		return rc;
	rc = lacking(t, a, out, e);
	txn_end(&t);
	return rc;
}

/* Of two ascending lists, what is in the first alone stays there. */
static void subtract(struct identities *from, const struct identities *those)
{
	size_t kept = 0, k = 0;
	for (size_t i = 0; i < from->n; i++) {
		while (k < those->n && identity_cmp(&those->v[k], &from->v[i]) < 0)
			k++;
		if (k == those->n || identity_cmp(&those->v[k], &from->v[i]) != 0)
			from->v[kept++] = from->v[i];
	}
	from->n = kept;
}

/* Members of bundles, which may be bundles: until a round finds nothing that the one before did not ask for. */
static int fetch_members(struct run *r, struct arena *a, struct err *e)
{
	struct identities asked = {0}, lack;
	int rc = look(r, members_lacking, a, &lack, e);
	while (rc == E_OK && lack.n > 0) {
		struct identities now = {.v = ARENA_ARRAY(a, struct UpdateIdentity, lack.n), .n = lack.n};
		uint32_t before = r->log.fetched;
		if (!now.v)
			return err_set(e, E_NOMEM, "members of bundles: %s", err_name(E_NOMEM));
		memcpy(now.v, lack.v, lack.n * sizeof(*lack.v));
		subtract(&lack, &asked);
		if (lack.n == 0)
			break;
		rc = documents_fetch(r, lack.v, lack.n, true, e);
		r->log.related += r->log.fetched - before;
		asked = now;
		if (rc == E_OK)
			rc = look(r, members_lacking, a, &lack, e);
	}
	if (rc == E_OK && lack.n == 0 && asked.n > 0)
		rc = look(r, members_lacking, a, &lack, e);
	if (rc == E_OK && lack.n > 0)
		report_note(r->report, "%zu revisions that bundles name are not to be had; these bundles are not offered until they are",
			lack.n);
	return rc;
}

/* ================= what a killed run lost (WSUSSS-DSS-META-17) ================= */

static int fetch_addresses(struct run *r, struct arena *a, struct err *e)
{
	struct txn *t;
	struct identities lack;
	int rc = txn_begin(r->store, TXN_READ, &t, e);
	if (rc != E_OK)
		return rc;
	rc = addresses_lacking(t, r->began, a, &lack, e);
	txn_end(&t);
	return rc == E_OK ? documents_fetch_again(r, lack.v, lack.n, e) : rc;
}

/* ================= keys (steps 15, 16) ================= */

static int put_keys(struct run *r, const struct ServerDecryptionData *d, uint32_t *keys, struct err *e)
{
	struct txn *t;
	int rc = txn_begin(r->store, TXN_CATALOG, &t, e);
	for (size_t i = 0; rc == E_OK && i < d->UpdateFileDecryptionData.n; i++) {
		const struct ServerSyncUpdateFileDecryption *u = &d->UpdateFileDecryptionData.v[i];
		for (size_t k = 0; rc == E_OK && k < u->FileDecryptionData.n; k++) {
			const struct ServerSyncFileDecryption *f = &u->FileDecryptionData.v[k];
			struct sha1 digest;
			if (f->FileDigest.n != sizeof(digest) || f->DecryptionKey.n == 0)
				continue;
			memcpy(&digest, f->FileDigest.p, sizeof(digest));
			rc = file_set_key(t, &digest, f->DecryptionKey, e);
			*keys += rc == E_OK;
			rc = rc == E_NOTFOUND ? E_OK : rc;
		}
	}
	if (rc == E_OK)
		rc = txn_commit(&t, e);
	txn_end(&t);
	return rc;
}

static int get_keys(struct run *r, struct UpdateIdentity *ids, size_t n, uint32_t *keys, struct err *e)
{
	struct arena a;
	struct Cookie cookie;
	struct GetUpdateDecryptionDataResponse answer = {0};
	struct GetUpdateDecryptionData ask = {.cookie = &cookie};
	ask.updateIds.v = ids;
	ask.updateIds.n = n;
	arena_init(&a, PHASE_MEMORY);
	int rc = run_cookie(r, &cookie, e);
	if (rc == E_OK)
		rc = call(r->caller, CALL_GET_UPDATE_DECRYPTION_DATA, &ask, &answer, &a, e);
	if (rc == E_OK && answer.GetUpdateDecryptionDataResult)
		rc = put_keys(r, answer.GetUpdateDecryptionDataResult, keys, e);
	arena_free(&a);
	return rc;
}

static int fetch_keys(struct run *r, struct arena *a, struct err *e)
{
	struct identities ids;
	uint32_t keys = 0;
	int rc = look(r, keys_lacking, a, &ids, e);
	if (rc != E_OK || ids.n == 0)
		return rc;
	if (r->parent.max_decryption <= 0) { /* WSUSSS-DSS-META-23 */
		report_note(r->report, "%zu updates have encrypted files, and the upstream server gives no keys: it is older than that", ids.n);
		return E_OK;
	}
	size_t most = (size_t)MIN(r->parent.max_decryption, LIMIT_SYNC_UPDATES);
	for (size_t at = 0, n; rc == E_OK && at < ids.n; at += n) {
		n = MIN(ids.n - at, most);
		rc = get_keys(r, ids.v + at, n, &keys, e);
	}
	if (rc == E_OK)
		report_note(r->report, "%u keys of encrypted files of %zu updates", (unsigned)keys, ids.n);
	return rc;
}

/* ================= the end of a phase ================= */

struct ending {
	bool config;
	struct slice anchor; /* what was shown is covered by it */
	struct wish wish;    /* of the list of updates, */
	struct ServerSyncFilter filter; /* and how it was asked for */
	bool moved;          /* false: something else is wanted by now, so the anchor stayed */
	struct publish_report shown;
};

/* Ids that were sent although nobody chose them: the next list is of what is new of them, too. */
static int cover_ids(struct txn *t, enum choice_kind kind, const struct IdAndDelta *v, size_t n, struct err *e)
{
	int rc = E_OK;
	for (size_t i = 0; rc == E_OK && i < n; i++) {
		struct choice c;
		if (choice_get(t, kind, &v[i].Id, &c) != E_OK)
			c = (struct choice){.kind = kind, .id = v[i].Id};
		if (c.covered)
			continue;
		c.covered = true;
		rc = choice_put(t, &c, e);
	}
	return rc;
}

static int cover(struct txn *t, const struct ServerSyncFilter *f, struct err *e)
{
	int rc = choices_cover(t, e);
	if (rc == E_OK)
		rc = cover_ids(t, CHOICE_PRODUCT, f->Categories.v, f->Categories.n, e);
	return rc == E_OK ? cover_ids(t, CHOICE_CLASSIFICATION, f->Classifications.v, f->Classifications.n, e) : rc;
}

static int keep_anchor(struct run *r, struct txn *t, struct ending *end, struct err *e)
{
	struct slice *const where = end->config ? &r->parent.category_anchor : &r->parent.sync_anchor;
	struct slice was = *where;
	struct wish wish = end->wish;
	int rc = end->config ? E_OK : wish_of(t, &wish, e);
	end->moved = rc == E_OK && wish.hash == end->wish.hash;
	if (!end->moved)
		return rc;
	*where = run_keep(r, end->anchor);
	rc = where->p ? parent_put(t, &r->parent, e) : err_set(e, E_NOMEM, "an anchor: %s", err_name(E_NOMEM));
	if (rc == E_OK && !end->config)
		rc = cover(t, &end->filter, e);
	if (rc != E_OK)
		*where = was;
	return rc;
}

/* Shows what came and keeps the anchor that covers it, at once. */
static int show(struct run *r, struct ending *end, struct err *e)
{
	struct slice category = r->parent.category_anchor, sync = r->parent.sync_anchor;
	struct txn *t;
	tick_t now = time_now();
	int rc = publish_ready(r->store, end->config, now, e);
	if (rc == E_OK)
		rc = txn_begin(r->store, TXN_CATALOG, &t, e);
	if (rc != E_OK)
		return rc;
	rc = (end->config ? publish_held_config : publish_held)(t, now, &end->shown, e);
	if (rc == E_OK)
		rc = keep_anchor(r, t, end, e);
	if (rc == E_OK)
		rc = txn_commit(&t, e);
	txn_end(&t);
	if (rc != E_OK) {
		r->parent.category_anchor = category;
		r->parent.sync_anchor = sync;
	}
	return rc;
}

static void say_what_came(struct run *r, const struct sync_run *before, const struct publish_report *shown)
{
	const struct sync_run *now = &r->log;
	char more[200] = "";
	size_t n = 0;
	const struct {
		uint32_t count;
		const char *what;
	} odd[] = {
		{now->related - before->related, "not listed but named"},
		{now->different - before->different, "kept though they differ"},
		{now->refused - before->refused, "refused"},
		{shown->held, "bundles held back"},
	};
	for (size_t i = 0; i < COUNTOF(odd); i++)
		if (odd[i].count && n < sizeof(more))
			n += (size_t)snprintf(more + n, sizeof(more) - n, ", %u %s", (unsigned)odd[i].count, odd[i].what);
	report_result(r->report, "%u listed, %u documents, %u new%s", (unsigned)(now->listed - before->listed),
		(unsigned)(now->fetched - before->fetched), (unsigned)shown->shown, more);
}

/* ================= the phases ================= */

static int categories(struct run *r, struct arena *a, struct err *e)
{
	struct sync_run before = r->log;
	struct RevisionIdList *list;
	struct ServerSyncFilter filter = {.GetConfig = true};
	int rc = list_get(r, &filter, r->parent.category_anchor, a, &list, e);
	if (rc == E_OK)
		rc = documents_fetch(r, list->NewRevisions.v, list->NewRevisions.n, false, e);
	if (rc != E_OK)
		return rc;
	struct ending end = {.config = true, .anchor = list->Anchor};
	rc = show(r, &end, e);
	if (rc == E_OK)
		say_what_came(r, &before, &end.shown);
	return rc;
}

static int fetch_updates(struct run *r, struct arena *a, struct ending *end, struct err *e)
{
	struct RevisionIdList *list;
	int rc = updates_filter(r, &end->filter, a, e);
	if (rc == E_OK)
		rc = list_get(r, &end->filter, r->parent.sync_anchor, a, &list, e);
	if (rc != E_OK)
		return rc;
	end->anchor = list->Anchor;
	rc = documents_fetch(r, list->NewRevisions.v, list->NewRevisions.n, false, e);
	if (rc == E_OK)
		rc = fetch_members(r, a, e);
	if (rc == E_OK)
		rc = fetch_addresses(r, a, e);
	return rc == E_OK ? fetch_keys(r, a, e) : rc;
}

static int updates(struct run *r, struct arena *a, struct err *e)
{
	struct sync_run before = r->log;
	struct ending end = {.config = false};
	int rc = wish_now(r, &end.wish, e);
	if (rc == E_OK)
		rc = fetch_updates(r, a, &end, e);
	if (rc == E_OK)
		rc = show(r, &end, e);
	if (rc != E_OK)
		return rc;
	say_what_came(r, &before, &end.shown);
	if (!end.moved)
		report_note(r->report, "what is wanted was changed meanwhile: the next run asks for that");
	return E_OK;
}

static int with_memory(struct run *r, int (*phase)(struct run *r, struct arena *a, struct err *e), struct err *e)
{
	struct arena a;
	arena_init(&a, PHASE_MEMORY);
	int rc = phase(r, &a, e);
	arena_free(&a);
	return rc;
}

int phase_categories(struct run *r, struct err *e)
{
	return with_memory(r, categories, e);
}

int phase_updates(struct run *r, struct err *e)
{
	return with_memory(r, updates, e);
}
