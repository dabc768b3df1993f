/* count.c -- `wsus-sync count`: what a choice would bring, before it is made.
 *
 *   for each choice: the parent's list for it, without an anchor -> its length, which is exact
 *                    -> up to 40 documents, spread evenly over it -> the size of their files -> an estimate of all
 *
 * Nothing is kept but the numbers, in the rows of choices: run.store is NULL, so that cookie and configuration of this
 * conversation are forgotten.  Lists are sorted by identity first, so that two counts of the same list read the same documents. */
#include <stdlib.h>

#include "common/job.h"
#include "common/text.h"
#include "store/document.h"
#include "store/held.h"
#include "sync/confine.h"
#include "sync/sync.h"
#include "sync/updates.h"

#define JOB_COUNT "count"
#define RUN_MEMORY ((size_t)24 << 20)
#define LIST_MEMORY ((size_t)64 << 20) /* a list of LIMIT_SYNC_IDS identities, while it grows */
#define TRIES 2        /* of a call: somebody waits for it */
#define SAMPLES 40     /* an estimate from 40 is mostly within a third; the documents of 40 come in one answer */
#define SEEN_SLOTS 65536 /* of digests, to count a shared file once; beyond half of them, some count twice */
#define KINDS (CHOICE_CLASSIFICATION + 1)

struct wish {
	enum choice_kind kind;
	struct guid id; /* zero: everything */
	bool everything;
};

struct ids {
	struct guid *v;
	size_t n, cap;
};

struct sample {
	struct UpdateIdentity id;
	bool read;
};

struct counting {
	struct run r;
	struct store *store;
	const char *dir;
	struct wish *wish;
	size_t nwish;
	struct ids wanted[KINDS], known[KINDS]; /* in r.a */
	struct updates *reader;
	struct document *document;
	struct arena list;                      /* of one wish */
	struct sample sample[SAMPLES];
	size_t nsample, nread;
	struct sha1 *seen;                      /* SEEN_SLOTS of them, open addressing */
	bool *used;
	size_t nseen;
	uint64_t bytes;
	bool express;
};

/* ================= what is asked for, and what is known ================= */

static int no_memory(struct err *e)
{
	return err_set(e, E_NOMEM, "out of memory");
}

static int read_wish(struct counting *w, const char *text, struct wish *out, struct err *e)
{
	struct slice id = slice_of(text), kind = text_cut(&id, '=');
	if (!id.p && slice_eq(kind, SL("all"))) {
		*out = (struct wish){.kind = CHOICE_PRODUCT, .everything = true};
		return E_OK;
	}
	for (int k = CHOICE_PRODUCT; k < KINDS; k++)
		if (slice_eq(kind, slice_of(choice_kind_names[k])) && text_guid(id, &out->id)) {
			out->kind = (enum choice_kind)k;
			return E_OK;
		}
	(void)w;
	return err_set(e, E_USAGE, "%.100s: what is counted is named product=ID or classification=ID, or all", text);
}

static int read_wishes(struct counting *w, const struct job_options *o, struct err *e)
{
	w->wish = ARENA_ARRAY(&w->r.a, struct wish, o->nargs);
	if (!w->wish)
		return no_memory(e);
	int rc = o->nargs ? E_OK : err_set(e, E_USAGE, "say what to count: product=ID, classification=ID, or all");
	for (unsigned i = 0; rc == E_OK && i < o->nargs; i++)
		rc = read_wish(w, o->args[i], &w->wish[w->nwish++], e);
	return rc;
}

static int add_id(struct counting *w, struct ids *l, const struct guid *id)
{
	for (size_t i = 0; i < l->n; i++)
		if (guid_cmp(&l->v[i], id) == 0)
			return E_OK;
	struct guid *v = ARENA_MORE(&w->r.a, l->v, l->n, &l->cap);
	if (!v)
		return E_NOMEM;
	l->v = v;
	l->v[l->n++] = *id;
	return l->n > LIMIT_SYNC_FILTER ? E_LIMIT : E_OK;
}

static int add_wanted(const struct choice *c, void *arg)
{
	struct counting *w = arg;
	return c->wanted ? add_id(w, &w->wanted[c->kind], &c->id) : E_OK;
}

static int add_known(const struct revision *v, void *arg)
{
	struct counting *w = arg;
	enum choice_kind kind = choice_kind_of(v);
	return kind ? add_id(w, &w->known[kind], &v->update) : E_OK;
}

static int read_store(struct counting *w, struct err *e)
{
	struct txn *t;
	int rc = txn_begin(w->store, TXN_READ, &t, e);
	if (rc == E_OK)
		rc = run_read(&w->r, t, e);
	if (rc == E_OK)
		rc = choice_each(t, 0, add_wanted, w, e);
	if (rc == E_OK)
		rc = revision_each(t, 1, 0, add_known, w, e);
	txn_end(&t);
	if (rc == E_NOMEM || rc == E_LIMIT)
		return err_set(e, (enum errcode)rc, "the products and classifications: %s", err_name(rc));
	if (rc == E_OK && w->r.set.upstream_url.n == 0)
		return err_set(e, E_USAGE, "no upstream server is set, so there is nobody to ask");
	return rc;
}

/* ================= its list ================= */

static int fill(struct counting *w, const struct guid *v, size_t n, struct IdAndDelta **out, struct err *e)
{
	*out = ARENA_ARRAY(&w->list, struct IdAndDelta, n);
	for (size_t i = 0; *out && i < n; i++)
		(*out)[i] = (struct IdAndDelta){.Id = v[i], .Delta = false};
	return *out ? E_OK : no_memory(e);
}

/* The wish alone of its kind, and of the other one what is wanted, or all (both lists or neither: WSUSSS-REVLIST-18). */
static int make_filter(struct counting *w, const struct wish *wish, struct ServerSyncFilter *f, struct err *e)
{
	enum choice_kind other = wish->kind == CHOICE_PRODUCT ? CHOICE_CLASSIFICATION : CHOICE_PRODUCT;
	const struct ids *l = w->wanted[other].n ? &w->wanted[other] : &w->known[other];
	*f = (struct ServerSyncFilter){0};
	if (wish->everything)
		return E_OK;
	if (l->n == 0)
		return err_set(e, E_NOTFOUND, "no %s is known yet: a synchronization brings their list first", choice_kind_names[other]);
	struct IdAndDelta *own, *rest;
	int rc = fill(w, &wish->id, 1, &own, e);
	if (rc == E_OK)
		rc = fill(w, l->v, l->n, &rest, e);
	if (rc != E_OK)
		return rc;
	bool product = wish->kind == CHOICE_PRODUCT;
	f->Categories.v = product ? own : rest;
	f->Categories.n = product ? 1 : l->n;
	f->Classifications.v = product ? rest : own;
	f->Classifications.n = product ? l->n : 1;
	return E_OK;
}

static int get_list(struct counting *w, const struct wish *wish, struct RevisionIdList **out, struct err *e)
{
	struct ServerSyncFilter filter;
	int rc = make_filter(w, wish, &filter, e);
	return rc == E_OK ? list_get(&w->r, &filter, SL0, &w->list, out, e) : rc;
}

static void take_samples(struct counting *w, struct UpdateIdentity *v, size_t n)
{
	w->nsample = MIN(n, (size_t)SAMPLES);
	w->nread = w->nseen = 0;
	w->bytes = 0;
	memset(w->used, 0, SEEN_SLOTS * sizeof(*w->used));
	if (n)
		qsort(v, n, sizeof(*v), identity_cmp);
	for (size_t i = 0; i < w->nsample; i++)
		w->sample[i] = (struct sample){.id = v[(2 * i + 1) * n / (2 * w->nsample)]};
}

/* ================= its documents ================= */

static int nothing_wanted(void *arg, const struct guid *update, int32_t number, bool *wanted, struct err *e)
{
	(void)arg;
	(void)update;
	(void)number;
	(void)e;
	*wanted = false;
	return E_OK;
}

static int no_chunk(void *arg, const struct chunk *c, struct slice locale, struct slice geo, struct err *e)
{
	(void)arg;
	(void)c;
	(void)locale;
	(void)geo;
	(void)e;
	return E_OK;
}

static bool is_seen(struct counting *w, const struct sha1 *digest)
{
	size_t at = (size_t)(digest->b[0] | digest->b[1] << 8);
	for (; w->used[at]; at = (at + 1) % SEEN_SLOTS)
		if (memcmp(&w->seen[at], digest, sizeof(*digest)) == 0)
			return true;
	if (w->nseen < SEEN_SLOTS / 2) {
		w->seen[at] = *digest;
		w->used[at] = true;
		w->nseen++;
	}
	return false;
}

/* What would be fetched: express files only where that is set. */
static void add_files(struct counting *w, const struct document_facts *facts)
{
	for (size_t i = 0; i < facts->nfiles; i++) {
		const struct file *f = &facts->files[i].file;
		if ((w->express || !f->express) && !is_seen(w, &f->digest))
			w->bytes += f->size;
	}
}

/* One that cannot be read is no sample; the synchronization will say why. */
static int one_document(void *arg, const struct UpdateIdentity *id, xml_refill_fn *refill, void *from, struct err *e)
{
	struct counting *w = arg;
	struct document_facts facts;
	const struct document_sink sink = {nothing_wanted, no_chunk, w};
	for (size_t i = 0; i < w->nsample; i++) {
		if (w->sample[i].read || identity_cmp(&w->sample[i].id, id) != 0)
			continue;
		w->sample[i].read = true;
		int rc = document_read(w->document, refill, from, &sink, &facts, e);
		if (rc == E_FORM || rc == E_LIMIT)
			return E_OK;
		if (rc != E_OK)
			return rc;
		w->nread++;
		add_files(w, &facts);
		return E_OK;
	}
	return E_OK;
}

static int no_file(void *arg, const struct sha1 *digest, struct slice url, struct slice key, struct err *e)
{
	(void)arg;
	(void)digest;
	(void)url;
	(void)key;
	(void)e;
	return E_OK;
}

/* Those that have not come: an answer may end early (facts 6). */
static size_t missing(const struct counting *w, struct UpdateIdentity to[SAMPLES])
{
	size_t n = 0;
	for (size_t i = 0; i < w->nsample; i++)
		if (!w->sample[i].read)
			to[n++] = w->sample[i].id;
	return n;
}

static int get_documents(struct counting *w, struct UpdateIdentity *v, size_t n, struct err *e)
{
	const struct updates_sink sink = {one_document, no_file, w};
	struct Cookie cookie;
	struct GetUpdateData ask = {.cookie = &cookie};
	struct update_call u = {.request = &ask}, *done;
	ask.updateIds.v = v;
	ask.updateIds.n = n;
	int rc = run_cookie(&w->r, &cookie, e);
	if (rc == E_OK)
		rc = call_update_start(w->r.caller, &u, e);
	if (rc != E_OK)
		return rc;
	rc = call_update_wait(w->r.caller, &done, e);
	if (rc == E_OK && u.rc != E_OK) {
		rc = u.rc;
		if (e)
			*e = u.err;
	}
	if (rc == E_OK)
		rc = updates_read(w->reader, u.answer, &sink, e);
	call_update_done(w->r.caller, &u);
	return rc;
}

/* A server that refuses one of them refuses all: then there is no estimate, and the number stands alone. */
static int read_samples(struct counting *w, struct err *e)
{
	struct UpdateIdentity v[SAMPLES];
	size_t max = (size_t)MAX(1, MIN(w->r.parent.max_updates, LIMIT_SYNC_UPDATES));
	for (size_t n = missing(w, v), left; n > 0; n = left) {
		int rc = get_documents(w, v, MIN(n, max), e);
		if (rc == E_REFUSED || rc == E_FORM || rc == E_LIMIT) {
			report_warn(w->r.report, "no documents for an estimate: %s", e->text);
			return E_OK;
		}
		if (rc != E_OK)
			return rc;
		report_progress(w->r.report, UNIT_DOCUMENTS, w->nread, w->nsample, http_received(w->r.http));
		left = missing(w, v);
		if (left == n) /* none came: nor will they */
			break;
	}
	return E_OK;
}

/* ================= the numbers ================= */

static int put_count(struct counting *w, const struct wish *wish, size_t n, struct choice *c, struct err *e)
{
	struct txn *t;
	int rc = txn_begin(w->store, TXN_CATALOG, &t, e);
	if (rc == E_OK) {
		rc = choice_get(t, wish->kind, &wish->id, c);
		if (rc == E_NOTFOUND)
			*c = (struct choice){0};
		rc = rc == E_NOTFOUND ? E_OK : err_at(e, rc, "the row of a choice: ");
	}
	c->kind = wish->kind;
	c->id = wish->id;
	c->counted = time_now();
	c->updates = (uint32_t)n;
	c->sampled = (uint32_t)w->nread;
	c->bytes = w->nread == n ? w->bytes : w->nread ? (uint64_t)((double)w->bytes / (double)w->nread * (double)n) : 0;
	if (rc == E_OK)
		rc = choice_put(t, c, e);
	if (rc == E_OK)
		rc = txn_commit(&t, e);
	txn_end(&t);
	return rc;
}

static void tell(struct counting *w, const struct wish *wish, const struct choice *c)
{
	char id[GUID_TEXT + 1];
	guid_text(&wish->id, id);
	const char *what = wish->everything ? "everything" : wish->kind == CHOICE_PRODUCT ? "product " : "classification ";
	if (c->sampled == 0 && c->updates)
		report_note(w->r.report, "%s%s: %u updates", what, wish->everything ? "" : id, (unsigned)c->updates);
	else
		report_note(w->r.report, "%s%s: %u updates, %s%.1f MB of files (%u documents read)", what, wish->everything ? "" : id,
			(unsigned)c->updates, c->sampled < c->updates ? "about " : "", (double)c->bytes / 1e6, (unsigned)c->sampled);
}

static int count_one(struct counting *w, const struct wish *wish, struct err *e)
{
	struct RevisionIdList *list;
	struct choice c;
	size_t n = 0;
	arena_reset(&w->list);
	int rc = get_list(w, wish, &list, e);
	if (rc == E_OK) {
		n = list->NewRevisions.n;
		take_samples(w, list->NewRevisions.v, n);
		arena_reset(&w->list);
		rc = read_samples(w, e);
	}
	if (rc == E_OK)
		rc = put_count(w, wish, n, &c, e);
	if (rc == E_OK)
		tell(w, wish, &c);
	return rc;
}

/* A cookie that the server does not take any more: authorize once, and ask again. */
static int count_anyhow(struct counting *w, const struct wish *wish, struct err *e)
{
	int rc = count_one(w, wish, e);
	if (rc != E_INVALID_COOKIE && rc != E_INVALID_AUTH_COOKIE && rc != E_SERVER_CHANGED)
		return rc;
	w->r.parent.cookie = w->r.parent.expiration = SL0;
	return count_one(w, wish, e);
}

static int count_all(struct counting *w, struct err *e)
{
	int rc = http_open(&w->r.http, &w->r.set, e);
	if (rc == E_OK)
		rc = caller_open(&w->r.caller, w->r.http, &w->r.set, w->dir, e);
	if (rc == E_OK)
		caller_set_tries(w->r.caller, TRIES);
	if (rc == E_OK && w->r.parent.cookie.n && caller_set_expiration(w->r.caller, w->r.parent.expiration, e) != E_OK)
		w->r.parent.cookie = SL0; /* it cannot be sent back as it came: another one is asked for */
	report_phase(w->r.report, "count");
	if (rc == E_OK && w->r.parent.met == 0) {
		rc = phase_authorize(&w->r, e);
		if (rc == E_OK)
			rc = phase_configure(&w->r, e);
	}
	for (size_t i = 0; rc == E_OK && i < w->nwish; i++) {
		if (http_cancelled())
			return err_set(e, E_CANCELLED, "%s", REPORT_CANCELLED);
		rc = count_anyhow(w, &w->wish[i], e);
	}
	report_result(w->r.report, "%zu counted", w->nwish);
	return rc;
}

/* ================= the job ================= */

static int make_readers(struct counting *w, struct err *e)
{
	w->document = document_new();
	w->seen = ARENA_ARRAY(&w->r.a, struct sha1, SEEN_SLOTS);
	w->used = ARENA_ARRAY(&w->r.a, bool, SEEN_SLOTS);
	w->express = w->r.set.content_express;
	return w->document && w->seen && w->used ? updates_new(&w->reader, w->dir, e) : no_memory(e);
}

static int begin(struct counting *w, const struct job_options *o, struct job_lock *lock, struct err *e)
{
	const char *unconfined;
	w->dir = o->store_dir;
	int rc = read_wishes(w, o, e);
	if (rc == E_OK)
		rc = store_open(&w->store, o->store_dir, STORE_ADMIN, e);
	if (rc == E_OK)
		rc = job_lock(lock, o->store_dir, JOB_COUNT, e);
	if (rc == E_OK)
		rc = read_store(w, e);
	if (rc == E_OK)
		rc = make_readers(w, e);
	if (rc == E_OK)
		confine(o->store_dir, NULL, &unconfined);
	return rc;
}

static void finish(struct counting *w)
{
	caller_close(&w->r.caller);
	http_close(&w->r.http);
	updates_free(&w->reader);
	document_free(&w->document);
	store_close(&w->store);
	report_close(&w->r.report);
	arena_free(&w->list);
	arena_free(&w->r.a);
}

static int status_of(int rc, bool locked)
{
	if (rc == E_BUSY && !locked)
		return EXIT_RUNS_ALREADY;
	return rc == E_OK ? EXIT_DONE : rc == E_USAGE ? EXIT_USAGE : rc == E_CANCELLED ? EXIT_CANCELLED : EXIT_FAILED;
}

int job_count(const struct job_options *o)
{
	struct counting *w = calloc(1, sizeof(*w));
	struct job_lock lock = {.fd = -1};
	struct err e = {0};
	if (!w)
		return EXIT_FAILED;
	arena_init(&w->r.a, RUN_MEMORY);
	arena_init(&w->list, LIST_MEMORY);
	int rc = report_open(&w->r.report, o->form, JOB_COUNT, o->store_dir, &e);
	if (rc == E_OK)
		rc = begin(w, o, &lock, &e);
	bool locked = lock.fd >= 0;
	if (rc == E_OK)
		rc = count_all(w, &e);
	if (w->r.report)
		report_end(w->r.report, rc == E_OK ? NULL : rc == E_CANCELLED ? REPORT_CANCELLED : e.text,
			rc == E_OK || rc == E_USAGE || rc == E_CANCELLED ? NULL : "`wsusctl upstream check` tries each step", NULL);
	finish(w);
	job_unlock(&lock);
	free(w);
	return status_of(rc, locked);
}
