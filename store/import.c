/* import.c -- batches of update documents: identity, staging, commits.
 *
 * Chunks of fragments are put under the RevisionID that comes next while the document is still being read;
 * a large document commits them in pieces.  Everything else is put when the document has been accepted, the
 * revision and its identity last: until then nothing of it counts, and what a refused document or a killed
 * import left is wiped. */
#include "store/import.h"

#include <stdlib.h>

#include "common/text.h"
#include "store/db.h"
#include "store/document.h"
#include "store/langpack.h"
#include "store/publish.h"

/* Chunks beyond these bytes go to the store as they come. */
#define HOLD_MAX ((size_t)1 << 20)

struct held {
	struct chunk chunk; /* its bytes once they all are there */
	size_t at;          /* of its bytes */
	struct slice locale, geo; /* in the document's memory */
};
#define HELD_MAX (2 * LIMIT_DOC_LANGUAGES + 64)

struct import {
	struct store *store;
	struct txn *txn; /* TXN_CATALOG; NULL after a failure and while it rests */
	tick_t now;
	struct document *doc;
	struct buf relations[REL__N]; /* struct relation */
	unsigned uncommitted;         /* documents */
	int failed;                   /* what ended the batch, E_OK: nothing yet */
	bool hold;                    /* what is staged gets REV_HELD */
	bool expects;                 /* the next document is to have this identity */
	struct guid expected;
	int32_t expected_number;

	/* Chunks of a document of usual size wait for its end, to be put in the order of their keys: appended
	 * rows fill the pages of the store, and a refused document has put nothing. */
	struct buf held;       /* struct held */
	struct buf held_bytes;
	struct langpack languages; /* of those chunks */
	bool holding;

	/* ---- of the document being read ---- */
	int32_t id;     /* it will get, if it is new */
	bool staged;    /* rows of id were put */
	bool broken;    /* the store failed while the document was read: that is no refusal */
	int32_t known;  /* revision that has this identity, 0: none */
	struct guid update;
	int32_t number;
};

/* ================= transactions of a batch ================= */

static int commit(struct import *i, struct err *e)
{
	int rc = txn_commit(&i->txn, e);
	i->uncommitted = 0;
	return rc == E_OK ? txn_begin(i->store, TXN_CATALOG, &i->txn, e) : rc;
}

/* LMDB holds what a transaction wrote in the heap. */
static int commit_if_large(struct import *i, struct err *e)
{
	return txn_dirty(i->txn) >= LIMIT_DIRTY ? commit(i, e) : E_OK;
}

static void let_go(struct import *i)
{
	txn_end(&i->txn);
	store_import_unlock(i->store);
}

/* Takes the import lock and a transaction; where that fails, neither. */
static int take(struct import *i, struct err *e)
{
	int rc = store_import_lock(i->store, e);
	if (rc != E_OK)
		return rc;
	rc = txn_begin(i->store, TXN_CATALOG, &i->txn, e);
	if (rc == E_OK)
		rc = revisions_sweep(i->txn, e);
	if (rc != E_OK)
		let_go(i);
	return rc;
}

static int begin(struct import *i, struct err *e)
{
	i->doc = document_new();
	return i->doc ? take(i, e) : err_set(e, E_NOMEM, "import: %s", err_name(E_NOMEM));
}

static void import_free(struct import **out)
{
	struct import *i = *out;
	let_go(i);
	document_free(&i->doc);
	for (int k = 0; k < REL__N; k++)
		buf_free(&i->relations[k]);
	buf_free(&i->held);
	buf_free(&i->held_bytes);
	langpack_free(&i->languages);
	free(i);
	*out = NULL;
}

int import_begin(struct import **out, struct store *s, tick_t now, struct err *e)
{
	struct import *i = alloc_should_fail() ? NULL : calloc(1, sizeof(*i));
	*out = i;
	if (!i)
		return err_set(e, E_NOMEM, "import: %s", err_name(E_NOMEM));
	i->store = s;
	i->now = now;
	for (int k = 0; k < REL__N; k++)
		buf_init(&i->relations[k], LIMIT_DOC_PREREQUISITES * sizeof(struct relation));
	buf_init(&i->held, HELD_MAX * sizeof(struct held));
	buf_init(&i->held_bytes, HOLD_MAX);
	langpack_init(&i->languages);
	int rc = begin(i, e);
	if (rc != E_OK)
		import_free(out);
	return rc;
}

void import_hold(struct import *i)
{
	i->hold = true;
}

void import_expect(struct import *i, const struct guid *update, int32_t number)
{
	i->expects = true;
	i->expected = *update;
	i->expected_number = number;
}

int import_rest(struct import *i, struct err *e)
{
	int rc = E_OK;
	if (i->failed != E_OK)
		rc = err_set(e, (enum errcode)i->failed, "the batch has ended: %s", err_name(i->failed));
	else if (i->txn)
		i->failed = rc = txn_commit(&i->txn, e);
	i->uncommitted = 0;
	let_go(i);
	return rc;
}

int import_end(struct import **pi, bool abort, struct err *e)
{
	struct import *i = *pi;
	int rc = E_OK;
	if (i->failed != E_OK) /* what was committed before stays, and is to be seen */
		let_go(i);
	if (!abort && !i->txn)
		rc = take(i, e);
	if (rc == E_OK && !abort) {
		struct publish_report report;
		rc = publish(i->txn, i->now, &report, e);
		if (rc == E_OK)
			rc = txn_commit(&i->txn, e);
	}
	import_free(pi);
	return rc;
}

/* ================= while the document is read ================= */

static int unexpected(const struct import *i, struct err *e)
{
	char is[GUID_TEXT + 1], ought[GUID_TEXT + 1];
	guid_text(&i->update, is);
	guid_text(&i->expected, ought);
	return err_set(e, E_FORM, "the document says that it is %s:%d; asked for was %s:%d", is, (int)i->number, ought,
		(int)i->expected_number);
}

static int on_identity(void *arg, const struct guid *update, int32_t number, bool *wanted, struct err *e)
{
	struct import *i = arg;
	struct slice v;
	struct key k = key_identity(update, number);
	i->update = *update;
	i->number = number;
	if (i->expects && (guid_cmp(update, &i->expected) != 0 || number != i->expected_number))
		return unexpected(i, e);
	int rc = db_get(i->txn, DB_IDENTITY, key_bytes(&k), &v);
	if (rc != E_OK && rc != E_NOTFOUND)
		return err_set(e, (enum errcode)rc, "looking up an identity: %s", err_name(rc));
	if (rc == E_OK && v.n != 4)
		return err_set(e, E_CORRUPT, "an identity row has %zu bytes", v.n);
	i->known = rc == E_OK ? (int32_t)get_be32(v.p) : 0;
	*wanted = rc == E_NOTFOUND;
	return E_OK;
}

static int put_chunk(struct import *i, const struct chunk *c, struct slice locale, struct slice geo, struct err *e)
{
	i->staged = true;
	int rc = fragment_put(i->txn, i->id, c->type, locale, geo, c->n, c->packed, c->plain, c->bytes, e);
	if (rc == E_OK)
		rc = commit_if_large(i, e);
	i->broken = rc != E_OK;
	return rc;
}

static int by_key(const void *pa, const void *pb)
{
	const struct held *a = pa, *b = pb;
	if (a->chunk.type != b->chunk.type)
		return a->chunk.type < b->chunk.type ? -1 : 1;
	int d = slice_cmp(a->locale, b->locale);
	if (d == 0)
		d = slice_cmp(a->geo, b->geo);
	return d ? d : (int)a->chunk.n - (int)b->chunk.n;
}

/* Every client asks for English: it stays as it goes on the wire (EXTINFO-17). */
static bool shares_a_row(struct import *i, const struct held *h)
{
	return h->chunk.type == FRAG_LOCALIZED && h->chunk.n == 0 && !slice_eq(h->locale, SL("en")) &&
		langpack_add(&i->languages, h->locale, h->chunk.bytes);
}

/* The localized chunks, sorted, that can share a row become one row behind all others. */
static int pack_languages(struct import *i, struct held *h, size_t *n, struct err *e)
{
	size_t left = 0;
	langpack_reset(&i->languages);
	for (size_t k = 0; k < *n; k++)
		if (!shares_a_row(i, &h[k]))
			h[left++] = h[k];
	if (left == *n)
		return E_OK;
	struct held *row = &h[left++];
	*row = (struct held){.chunk = {.type = FRAG_LOCALIZED, .packed = true, .plain = i->languages.plain},
		.locale = SL(""), .geo = SL("")};
	*n = left;
	int rc = langpack_end(&i->languages, &row->chunk.bytes);
	return rc == E_OK ? E_OK : err_set(e, (enum errcode)rc, "packing languages: %s", err_name(rc));
}

static int put_held(struct import *i, struct err *e)
{
	struct held *h = (struct held *)(void *)i->held.p;
	size_t n = i->held.n / sizeof(*h);
	i->holding = false;
	if (n == 0)
		return E_OK;
	for (size_t k = 0; k < n; k++)
		h[k].chunk.bytes.p = i->held_bytes.p + h[k].at;
	qsort(h, n, sizeof(*h), by_key);
	int rc = pack_languages(i, h, &n, e);
	qsort(h, n, sizeof(*h), by_key); /* the shared row is of no language, thus before the others */
	for (size_t k = 0; k < n && rc == E_OK; k++)
		rc = put_chunk(i, &h[k].chunk, h[k].locale, h[k].geo, e);
	return rc;
}

static int on_chunk(void *arg, const struct chunk *c, struct slice locale, struct slice geo, struct err *e)
{
	struct import *i = arg;
	if (i->holding && (i->held_bytes.n + c->bytes.n > HOLD_MAX || i->held.n == i->held.max)) {
		int rc = put_held(i, e);
		if (rc != E_OK)
			return rc;
	}
	if (!i->holding)
		return put_chunk(i, c, locale, geo, e);
	struct held h = {.chunk = *c, .at = i->held_bytes.n, .locale = locale, .geo = geo};
	buf_slice(&i->held_bytes, c->bytes);
	buf_add(&i->held, &h, sizeof(h));
	int rc = i->held.rc == E_OK ? i->held_bytes.rc : i->held.rc;
	return rc == E_OK ? E_OK : err_set(e, (enum errcode)rc, "import: %s", err_name(rc));
}

/* ================= when it has been accepted ================= */

static int put_files(struct import *i, const struct document_facts *f, struct err *e)
{
	int rc = E_OK;
	for (size_t n = 0; n < f->nfiles && rc == E_OK; n++) {
		const struct document_file *d = &f->files[n];
		struct revision_file rf = {
			.digest = d->file.digest,
			.name = d->file.name,
			.eula = d->file.eula,
			.locale = d->locale,
			.geo = d->geo,
		};
		i->staged = true;
		rc = revision_file_put(i->txn, i->id, (uint16_t)n, &rf, &d->file, e);
		if (rc == E_OK)
			rc = commit_if_large(i, e);
	}
	return rc;
}

/* Identities become UpdateNos only now, so that a refused document leaves no numbers behind. */
static int resolve(struct import *i, const struct document_relations *from, struct buf *to, struct err *e)
{
	buf_reset(to);
	for (size_t n = 0; n < from->n; n++) {
		const struct document_relation *d = &from->v[n];
		struct relation r = {.number = d->number, .clause = d->clause, .is_category = d->is_category};
		int rc = update_number(i->txn, &d->update, &r.update_no, e);
		if (rc != E_OK)
			return rc;
		buf_add(to, &r, sizeof(r));
	}
	return to->rc == E_OK ? E_OK : err_set(e, (enum errcode)to->rc, "import: %s", err_name(to->rc));
}

static const struct relation *rows(const struct buf *b, size_t *n)
{
	*n = b->n / sizeof(struct relation);
	return (const struct relation *)(const void *)b->p;
}

static int put_relations(struct import *i, const struct document_facts *f, struct err *e)
{
	int rc = E_OK;
	for (int k = 0; k < REL__N && rc == E_OK; k++)
		rc = resolve(i, &f->rel[k], &i->relations[k], e);
	if (rc != E_OK)
		return rc;
	struct relations r;
	r.prereq = rows(&i->relations[REL_PREREQ], &r.nprereq);
	r.bundle = rows(&i->relations[REL_BUNDLE], &r.nbundle);
	r.superseded = rows(&i->relations[REL_SUPERSEDED], &r.nsuperseded);
	return relations_put(i->txn, i->id, &r, e);
}

static int put_revision(struct import *i, const struct document_facts *f, struct err *e)
{
	struct revision rev = f->rev;
	uint32_t id;
	rev.imported = i->now;
	rev.flags |= i->hold ? REV_HELD : 0;
	int rc = update_number(i->txn, &rev.update, &rev.update_no, e);
	if (rc == E_OK)
		rc = put_relations(i, f, e);
	if (rc == E_OK)
		rc = counter_next(i->txn, COUNT_DEPLOYMENT, &rev.deployment_id, e);
	if (rc == E_OK)
		rc = counter_next(i->txn, COUNT_REVISION, &id, e);
	if (rc != E_OK)
		return rc;
	ASSERT((int32_t)id == i->id);
	rev.id = i->id;
	return revision_put(i->txn, &rev, e);
}

static int stage(struct import *i, const struct document_facts *f, struct err *e)
{
	int rc = i->holding ? put_held(i, e) : E_OK;
	if (rc == E_OK)
		rc = put_files(i, f, e);
	if (rc == E_OK)
		rc = put_revision(i, f, e);
	if (rc == E_OK && (++i->uncommitted >= LIMIT_BATCH_DOCS || txn_dirty(i->txn) >= LIMIT_DIRTY))
		rc = commit(i, e);
	return rc;
}

/* What a synchronization left held back and somebody brings by hand, he wants to be seen. */
static int release(struct import *i, struct revision *r, struct err *e)
{
	if (i->hold || !(r->flags & REV_HELD))
		return E_OK;
	r->flags &= ~REV_HELD;
	return revision_put(i->txn, r, e);
}

static int compare(struct import *i, const struct document_facts *f, struct import_report *out, struct err *e)
{
	struct revision rev;
	int rc = revision_get(i->txn, i->known, &rev, e);
	if (rc != E_OK)
		return rc;
	out->revision = i->known;
	if (memcmp(&rev.doc_digest, &f->rev.doc_digest, sizeof(rev.doc_digest)) == 0) {
		out->outcome = IMPORT_KNOWN;
		return release(i, &rev, e);
	}
	char id[GUID_TEXT + 1];
	guid_text(&i->update, id);
	out->outcome = IMPORT_DIFFERENT;
	err_set(e, E_EXISTS, "byte %zu: %s:%d is here already with other content; a revision never changes", f->identity_at,
		id, (int)i->number);
	return E_OK;
}

/* Drops what was put for a document that is not to be held after all. */
static int unstage(struct import *i, struct err *e)
{
	if (!i->staged)
		return E_OK;
	int rc = revision_wipe(i->txn, i->id, e);
	return rc == E_OK ? commit_if_large(i, e) : rc;
}

static void start_document(struct import *i)
{
	i->id = (int32_t)counter_last(i->txn, COUNT_REVISION) + 1;
	buf_reset(&i->held);
	buf_reset(&i->held_bytes);
	i->holding = true;
	i->staged = i->broken = false;
	i->known = 0;
	i->update = (struct guid){{0}};
	i->number = 0;
}

static int document(struct import *i, xml_refill_fn *refill, void *arg, struct import_report *out, struct err *e)
{
	struct document_sink sink = {on_identity, on_chunk, i};
	struct document_facts f;
	struct err wipe;
	start_document(i);
	int rc = document_read(i->doc, refill, arg, &sink, &f, e);
	out->update = i->update;
	out->number = i->number;
	if (!i->broken && (rc == E_FORM || rc == E_LIMIT)) {
		out->outcome = IMPORT_REFUSED;
		rc = unstage(i, &wipe);
		return rc == E_OK ? E_OK : err_set(e, (enum errcode)rc, "%s", wipe.text);
	}
	if (rc != E_OK)
		return rc;
	out->bytes = f.rev.doc_bytes;
	if (i->known) {
		rc = compare(i, &f, out, e);
		return rc == E_OK ? unstage(i, e) : rc;
	}
	out->outcome = IMPORT_NEW;
	out->revision = i->id;
	return stage(i, &f, e);
}

static int usable(struct import *i, struct err *e)
{
	if (i->failed != E_OK)
		return err_set(e, (enum errcode)i->failed, "the batch has ended: %s", err_name(i->failed));
	return i->txn ? E_OK : take(i, e);
}

int import_file_says(struct import *i, const struct sha1 *digest, struct slice url, struct slice key, struct err *e)
{
	struct file f;
	int rc = usable(i, e);
	if (rc != E_OK)
		return rc;
	rc = file_get(i->txn, digest, &f, e);
	if (rc == E_NOTFOUND)
		return E_OK;
	if (rc == E_OK && url.n)
		rc = file_set_url(i->txn, digest, url, e);
	if (rc == E_OK && key.n)
		rc = file_set_key(i->txn, digest, key, e);
	if (rc == E_OK)
		rc = commit_if_large(i, e);
	return i->failed = rc;
}

int import_document(struct import *i, xml_refill_fn *refill, void *arg, struct import_report *out, struct err *e)
{
	struct err own;
	*out = (struct import_report){.outcome = IMPORT_REFUSED};
	if (!e)
		e = &own;
	int rc = usable(i, e);
	if (rc != E_OK)
		return rc;
	i->failed = document(i, refill, arg, out, e);
	i->expects = false;
	return i->failed;
}
