/* documents.c -- the documents of many identities: asked for in batches, several at a time, staged as they come.
 *
 *   identities that are not here -> batches -> GetUpdateData, up to upstream.connections under way -> answer in a spool
 *   -> each document into the import, held -> committed -> what the answer lacked is asked for again
 *
 * What an answer lacks becomes a batch of its own (WSUSSS-UPDATEDATA-24); one that brings nothing, or cannot be read to its end, is
 * halved, so that a limit of bytes, or one identity that the server cannot give, costs the others nothing.  An identity
 * that is asked for alone and does not come ends the run, or is left out if it is optional.  One whose answer cannot be read
 * alone either is refused like a document that cannot; where that is so of many, the server is at fault and the run fails. */
#include <stdlib.h>

#include "common/limits.h"
#include "common/text.h"
#include "store/held.h"
#include "store/import.h"
#include "sync/sync.h"
#include "sync/updates.h"

#define BATCH LIMIT_SYNC_UPDATES
#define NOTES 20              /* lines about single documents in one phase; the rest is counted */
#define UNREADABLE_TRIES 3    /* of one document's answer: a connection that breaks without a word looks the same */
#define UNREADABLE_MOST 10    /* documents whose answers cannot be read, of one phase */
#define IMPORT_WAIT 600       /* seconds until another import has ended */
#define IMPORT_LOOK 500       /* milliseconds between looks */

struct batch {
	struct update_call call;
	struct GetUpdateData request;
	struct UpdateIdentity id[BATCH];
	bool came[BATCH];
	size_t n, got;
	unsigned tries; /* of a single one whose answer could not be read */
	bool under_way;
	struct Cookie cookie;
	struct batch *next;  /* those to be asked again, or free */
	struct batch *chain; /* all */
};

struct fetch_documents {
	struct run *run;
	struct import *import;
	struct updates *updates;
	struct identities ids; /* to be asked for; from `at` on not yet */
	size_t at, total, done;
	size_t max;            /* of one request */
	bool optional;
	struct batch *again, *spare, *all;
	struct batch *reading; /* whose answer is being read */
	/* A document of that answer that was refused: it is not yet clear that the fault was not the answer's. */
	struct {
		const struct UpdateIdentity *id; /* NULL: none */
		bool *came;
		struct import_report report;
		struct err why;
	} doubt;
	unsigned under_way, notes, unreadable;
};

/* ================= batches ================= */

static struct batch *new_batch(struct fetch_documents *f)
{
	struct batch *b = f->spare;
	if (b) {
		f->spare = b->next;
	} else {
		b = alloc_should_fail() ? NULL : malloc(sizeof(*b));
		if (!b)
			return NULL;
		b->chain = f->all;
		f->all = b;
	}
	b->n = b->got = 0;
	b->tries = 0;
	b->under_way = false;
	b->next = NULL;
	return b;
}

static void drop_batch(struct fetch_documents *f, struct batch *b)
{
	b->next = f->spare;
	f->spare = b;
}

static void add_id(struct batch *b, const struct UpdateIdentity *id)
{
	b->came[b->n] = false;
	b->id[b->n++] = *id;
}

/* Those to be asked again first, so that few wait. */
static struct batch *next_batch(struct fetch_documents *f)
{
	struct batch *b = f->again;
	if (b) {
		f->again = b->next;
		return b;
	}
	b = new_batch(f);
	for (; b && b->n < f->max && f->at < f->ids.n; f->at++)
		add_id(b, &f->ids.v[f->at]);
	return b;
}

/* At most n of the identities of b from *at on that did not come become a batch. */
static int ask_again(struct fetch_documents *f, const struct batch *b, size_t *at, size_t n, struct err *e)
{
	struct batch *more = new_batch(f);
	if (!more)
		return err_set(e, E_NOMEM, "updates: %s", err_name(E_NOMEM));
	for (; *at < b->n && more->n < n; ++*at)
		if (!b->came[*at])
			add_id(more, &b->id[*at]);
	more->tries = b->n == 1 ? b->tries + 1 : 0;
	more->next = f->again;
	f->again = more;
	return E_OK;
}

/* ================= one answer ================= */

static void note(struct fetch_documents *f, const char *what, const struct UpdateIdentity *id, const char *why)
{
	char text[GUID_TEXT + 1];
	guid_text(&id->UpdateID, text);
	f->notes++;
	if (f->notes <= NOTES)
		report_note(f->run->report, "%s %s:%d: %s", what, text, (int)id->RevisionNumber, why);
	else if (f->notes == NOTES + 1)
		report_note(f->run->report, "more of this kind are counted, not listed");
}

/* A document that is refused stays away until its update changes or all is listed anew: were the anchor held back for it, every
 * later run would fail at it, and nothing else ever get here.  The history counts it. */
static void count(struct fetch_documents *f, const struct UpdateIdentity *id, const struct import_report *r, const struct err *why)
{
	struct sync_run *log = &f->run->log;
	log->fetched++;
	switch (r->outcome) {
	case IMPORT_NEW:
		log->added++;
		break;
	case IMPORT_KNOWN:
		log->known++;
		break;
	case IMPORT_DIFFERENT:
		log->different++;
		note(f, "kept as it is:", id, "the upstream server has it with other content");
		break;
	case IMPORT_REFUSED:
		log->refused++;
		note(f, "refused:", id, why->text);
		break;
	default:
		break;
	}
}

/* Somebody imports by hand: that ends. */
static int wait_for_import(struct fetch_documents *f, unsigned *waited, struct err *e)
{
	if (*waited == 0)
		report_note(f->run->report, "another import is running; waiting for its end");
	if (*waited >= IMPORT_WAIT * 1000 / IMPORT_LOOK)
		return err_set(e, E_BUSY, "another import has been running for %d minutes", IMPORT_WAIT / 60);
	++*waited;
	return http_sleep(IMPORT_LOOK) == E_OK ? E_OK : err_set(e, E_CANCELLED, "it was cancelled");
}

static const struct UpdateIdentity *find(struct batch *b, const struct UpdateIdentity *id, bool **came)
{
	for (size_t i = 0; i < b->n; i++)
		if (identity_cmp(&b->id[i], id) == 0) {
			*came = &b->came[i];
			return &b->id[i];
		}
	return NULL;
}

/* The identity is done with. */
static void settle(struct fetch_documents *f, const struct UpdateIdentity *id, bool *came, const struct import_report *r, const struct err *why)
{
	*came = true;
	f->reading->got++;
	f->done++;
	count(f, id, r, why);
	report_progress(f->run->report, UNIT_DOCUMENTS, f->done, f->total, http_received(f->run->http));
}

/* The answer went on behind a document that was refused: that was the document's fault. */
static void settle_doubt(struct fetch_documents *f)
{
	if (f->doubt.id)
		settle(f, f->doubt.id, f->doubt.came, &f->doubt.report, &f->doubt.why);
	f->doubt.id = NULL;
}

static int take_document(void *arg, const struct UpdateIdentity *id, xml_refill_fn *refill, void *from, struct err *e)
{
	struct fetch_documents *f = arg;
	struct import_report r;
	struct err why = {.code = E_OK};
	bool *came;
	unsigned waited = 0;
	int rc;
	settle_doubt(f);
	const struct UpdateIdentity *mine = find(f->reading, id, &came);
	if (!mine || *came)
		return E_OK; /* nobody asked for it */
	import_expect(f->import, &id->UpdateID, id->RevisionNumber);
	while ((rc = import_document(f->import, refill, from, &r, &why)) == E_BUSY)
		if ((rc = wait_for_import(f, &waited, e)) != E_OK)
			return rc;
	if (rc != E_OK)
		return err_set(e, (enum errcode)rc, "%s", why.text);
	if (r.outcome != IMPORT_REFUSED) {
		settle(f, mine, came, &r, &why);
		return E_OK;
	}
	f->doubt.id = mine;
	f->doubt.came = came;
	f->doubt.report = r;
	f->doubt.why = why;
	return E_OK;
}

static int take_file(void *arg, const struct sha1 *digest, struct slice url, struct slice key, struct err *e)
{
	struct fetch_documents *f = arg;
	unsigned waited = 0;
	int rc;
	while ((rc = import_file_says(f->import, digest, url, key, e)) == E_BUSY)
		if ((rc = wait_for_import(f, &waited, e)) != E_OK)
			return rc;
	return rc;
}

static int read_answer(struct fetch_documents *f, struct batch *b, struct err *e)
{
	const struct updates_sink sink = {take_document, take_file, f};
	f->reading = b;
	f->doubt.id = NULL;
	int rc = updates_read(f->updates, b->call.answer, &sink, e);
	if (rc == E_OK)
		settle_doubt(f);
	int rested = import_rest(f->import, rc == E_OK ? e : NULL);
	return err_at(e, rc == E_OK ? rested : rc, "GetUpdateData: ");
}

/* ================= what became of a call ================= */

/* Whoever asks for it alone gets nothing. */
static int does_not_come(struct fetch_documents *f, const struct UpdateIdentity *id, int rc, struct err *e)
{
	char text[GUID_TEXT + 1];
	guid_text(&id->UpdateID, text);
	if (f->optional) {
		f->total--;
		note(f, "not there:", id, rc == E_OK ? "the upstream server does not send it" : e->text);
		return E_OK;
	}
	return rc != E_OK ? rc : err_set(e, E_REFUSED, "GetUpdateData: the server lists update %s:%d, but does not send it", text,
		(int)id->RevisionNumber);
}

/* Those of b that did not come, in so many parts. */
static int ask_for_missing(struct fetch_documents *f, const struct batch *b, size_t parts, struct err *e)
{
	size_t missing = b->n - b->got, at = 0;
	int rc = E_OK;
	for (size_t left = missing; rc == E_OK && left > 0; left -= MIN(left, (missing + parts - 1) / parts))
		rc = ask_again(f, b, &at, MIN(left, (missing + parts - 1) / parts), e);
	return rc;
}

/* A fault of a whole call may be the fault of one identity (WSUSSS-UPDATEDATA-08). */
static bool may_be_one(const struct fetch_documents *f, int rc)
{
	return rc == E_LIMIT || (f->optional && rc == E_REFUSED);
}

static int call_failed(struct fetch_documents *f, const struct batch *b, struct err *e)
{
	int rc = err_set(e, (enum errcode)b->call.rc, "%s", b->call.err.text);
	if (!may_be_one(f, rc))
		return rc;
	return b->n == 1 ? does_not_come(f, b->id, rc, e) : ask_for_missing(f, b, 2, e);
}

/* What came of it may lack what the answer said behind it, of files. */
static int unreadable(struct fetch_documents *f, struct batch *b, struct err *e)
{
	const struct import_report refused = {.outcome = IMPORT_REFUSED};
	f->done -= b->got;
	b->got = 0;
	memset(b->came, 0, sizeof(b->came));
	if (b->n > 1)
		return ask_for_missing(f, b, 2, e);
	if (b->tries < UNREADABLE_TRIES)
		return ask_for_missing(f, b, 1, e);
	if (++f->unreadable > UNREADABLE_MOST)
		return (int)e->code;
	f->done++;
	count(f, b->id, &refused, e);
	return E_OK;
}

static int ended(struct fetch_documents *f, struct batch *b, struct err *e)
{
	if (b->call.rc != E_OK)
		return call_failed(f, b, e);
	int rc = read_answer(f, b, e);
	if (rc == E_FORM || rc == E_LIMIT)
		return unreadable(f, b, e);
	if (rc != E_OK || b->got == b->n)
		return rc;
	if (b->n == 1)
		return does_not_come(f, b->id, E_OK, e);
	return ask_for_missing(f, b, b->got ? 1 : 2, e);
}

/* ================= all of them ================= */

static int start(struct fetch_documents *f, struct batch *b, struct err *e)
{
	int rc = run_cookie(f->run, &b->cookie, e);
	b->request = (struct GetUpdateData){.cookie = &b->cookie};
	b->request.updateIds.v = b->id;
	b->request.updateIds.n = b->n;
	b->call = (struct update_call){.request = &b->request, .arg = b};
	if (rc == E_OK)
		rc = call_update_start(f->run->caller, &b->call, e);
	b->under_way = rc == E_OK;
	f->under_way += b->under_way;
	return rc;
}

static int start_calls(struct fetch_documents *f, struct err *e)
{
	int rc = E_OK;
	while (rc == E_OK && f->under_way < (unsigned)MAX(f->run->set.upstream_connections, 1) && (f->again || f->at < f->ids.n)) {
		struct batch *b = next_batch(f);
		rc = b ? start(f, b, e) : err_set(e, E_NOMEM, "updates: %s", err_name(E_NOMEM));
	}
	return rc;
}

/* The next answer; before it is read the next call begins, so that the server works meanwhile. */
static int one_answer(struct fetch_documents *f, struct err *e)
{
	struct update_call *u;
	int rc = call_update_wait(f->run->caller, &u, e);
	if (rc != E_OK || !u)
		return rc != E_OK ? rc : err_set(e, E_IO, "GetUpdateData: no call is under way that should be");
	struct batch *b = u->arg;
	f->under_way--;
	rc = start_calls(f, e);
	if (rc == E_OK)
		rc = ended(f, b, e);
	call_update_done(f->run->caller, &b->call);
	b->under_way = false;
	drop_batch(f, b);
	return rc;
}

static int fetch_all(struct fetch_documents *f, struct err *e)
{
	int rc = start_calls(f, e);
	while (rc == E_OK && f->under_way > 0) {
		rc = one_answer(f, e);
		if (rc == E_OK)
			rc = start_calls(f, e);
	}
	return rc;
}

/* ---- what is needed for it ---- */

static int lacking(struct run *r, const struct UpdateIdentity *ids, size_t n, struct arena *a, struct identities *out, struct err *e)
{
	struct txn *t;
	int rc = txn_begin(r->store, TXN_READ, &t, e);
	if (rc != E_OK)
		return rc;
	rc = identities_lacking(t, ids, n, a, out, e);
	txn_end(&t);
	return rc;
}

static int begin_import(struct fetch_documents *f, struct err *e)
{
	unsigned waited = 0;
	int rc;
	while ((rc = import_begin(&f->import, f->run->store, time_now(), e)) == E_BUSY)
		if ((rc = wait_for_import(f, &waited, e)) != E_OK)
			return rc;
	if (rc != E_OK)
		return rc;
	import_hold(f->import);
	return import_rest(f->import, e);
}

static int prepare(struct fetch_documents *f, struct err *e)
{
	int rc = updates_new(&f->updates, store_dir(f->run->store), e);
	return rc == E_OK ? begin_import(f, e) : rc;
}

/* Calls that are under way after a failure are ended. */
static int clean_up(struct fetch_documents *f, int rc, struct err *e)
{
	int ended = f->import ? import_end(&f->import, true, rc == E_OK ? e : NULL) : E_OK;
	updates_free(&f->updates);
	for (struct batch *b = f->all, *next; b; b = next) {
		next = b->chain;
		if (b->under_way)
			call_update_done(f->run->caller, &b->call);
		free(b);
	}
	return rc == E_OK ? ended : rc;
}

static int fetch(struct run *r, struct identities ids, bool optional, struct err *e)
{
	struct fetch_documents f = {.run = r, .ids = ids, .total = ids.n, .optional = optional};
	int32_t max = MIN(r->parent.max_updates, BATCH);
	f.max = max > 0 ? (size_t)max : 1;
	if (ids.n == 0)
		return E_OK;
	report_progress(r->report, UNIT_DOCUMENTS, 0, f.total, http_received(r->http));
	int rc = prepare(&f, e);
	if (rc == E_OK)
		rc = fetch_all(&f, e);
	return clean_up(&f, rc, e);
}

int documents_fetch(struct run *r, const struct UpdateIdentity *ids, size_t n, bool optional, struct err *e)
{
	struct arena a;
	struct identities lack = {0};
	arena_init(&a, SIZE_MAX / 2); /* the lists are bounded by LIMIT_SYNC_IDS, or come from the store */
	int rc = lacking(r, ids, n, &a, &lack, e);
	if (rc == E_OK)
		rc = fetch(r, lack, optional, e);
	arena_free(&a);
	return rc;
}

int documents_fetch_again(struct run *r, struct UpdateIdentity *ids, size_t n, struct err *e)
{
	return fetch(r, (struct identities){.v = ids, .n = n}, true, e);
}
