/* t_sync_data.c -- what the cases cannot show of lists and documents for downstream servers: bytes as they lie in the store,
 * answers that stop at their size, a whole catalog in one list, and recorded exchanges with a real server. */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cgi/sync.h"
#include "common/log.h"
#include "common/seal.h"
#include "store/db.h"
#include "store/import.h"
#include "store/publish.h"
#include "test/unit/corpus.h"
#include "test/unit/update_doc.h"

#define NOW ((tick_t)INT64_C(17911152000000000))

static struct {
	char dir[256];
	struct store *store;
	struct sealer *sealer;
	struct worker *worker;
	struct arena a;
	char cookie[4 * COOKIE_MAX];  /* base64 */
	char anchor[ANCHOR_MAX];      /* that of the present state */
	struct buf wire, body, asked; /* the last answer as it left and as text; the last request */
	int status;
} s;

static void ok(int rc, const struct err *e, int line)
{
	if (rc != E_OK)
		fail_msg("line %d: %s (%s)", line, err_name(rc), e->text);
}
#define OK(call) ok((call), &e, __LINE__)

static tick_t frozen(void)
{
	return NOW;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

/* ---- a downstream server that was approved ---- */

static void seal_cookie(const struct server_state *state, const struct guid *dss)
{
	char sealed[COOKIE_MAX];
	struct buf b;
	struct dss_cookie k = {
		.server = state->server_id,
		.generation = state->generation,
		.expires = NOW + 3600 * TICKS_PER_SECOND,
		.major = 1,
		.minor = 20,
		.group = GROUP_DOWNSTREAM,
		.dss = *dss,
	};
	buf_init(&b, sizeof(s.cookie) - 1);
	base64_add(&b, (struct slice){sealed, dss_cookie_seal(s.sealer, NOW, &k, sealed)});
	assert_int_equal(b.rc, E_OK);
	snprintf(s.cookie, sizeof(s.cookie), "%.*s", SLF(buf_bytes(&b)));
	buf_free(&b);
}

static void read_anchor(const struct server_state *state)
{
	struct anchor a = {state->epoch, sync_began(state)};
	anchor_text(&a, s.anchor);
}

static void admit(void)
{
	struct txn *t;
	struct err e;
	struct server_state state;
	struct guid dss = {{0xD5, 0x50, 1}};
	OK(txn_begin(s.store, TXN_CATALOG, &t, &e));
	OK(downstream_decide(t, &dss, SL("branch.example.com"), DOWNSTREAM_APPROVED, SL("test"), &e));
	OK(txn_commit(&t, &e));
	OK(txn_begin(s.store, TXN_READ, &t, &e));
	OK(server_state_get(t, &state, &e));
	txn_end(&t);
	seal_cookie(&state, &dss);
}

static int setup(void **unused)
{
	static const uint8_t secret[SEAL_MASTER] = {3};
	const char *tmp = getenv("TMPDIR");
	struct err e;
	(void)unused;
	log_init("t_sync_data", LOG_ERROR);
	arena_init(&s.a, LIMIT_REQUEST_MEMORY);
	buf_init(&s.wire, LIMIT_REPLY);
	buf_init(&s.body, LIMIT_REPLY);
	buf_init(&s.asked, LIMIT_BODY);
	snprintf(s.dir, sizeof(s.dir), "%s/t_sync_data.XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(s.dir));
	OK(store_create(s.dir, &e));
	OK(store_open(&s.store, s.dir, STORE_ADMIN, &e));
	OK(seal_open_secret(&s.sealer, secret, &e));
	OK(worker_new(&s.worker, &serversync_service, s.store, s.sealer, &e));
	s.worker->now = frozen;
	admit();
	return 0;
}

static int teardown(void **unused)
{
	(void)unused;
	worker_close(&s.worker);
	seal_close(&s.sealer);
	store_close(&s.store);
	arena_free(&s.a);
	buf_free(&s.wire);
	buf_free(&s.body);
	buf_free(&s.asked);
	return nftw(s.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- requests ---- */

/* Sends s.asked; the memory of the answer is given back before this returns. */
static void send_asked(bool xpress)
{
	struct answer out;
	struct request r = {
		.method = SL("POST"),
		.body = buf_bytes(&s.asked),
		.host = SL("127.0.0.1:8530"),
		.scheme = SL("http"),
		.path = SL("/ServerSyncWebService/ServerSyncWebService.asmx"),
		.accept_encoding = xpress ? SL("xpress") : SL0,
		.a = &s.a,
	};
	buf_reset(&s.wire);
	buf_reset(&s.body);
	service_answer(s.worker, &r, &out);
	for (size_t i = 0; i < out.niov; i++)
		buf_add(&s.wire, out.iov[i].iov_base, out.iov[i].iov_len);
	s.status = out.status;
	assert_int_equal(s.wire.n, out.length);
	if (memmem(out.headers.p, out.headers.n, "Content-Encoding: xpress", 24))
		assert_int_equal(xpress_unpack(buf_bytes(&s.wire), &s.body), E_OK);
	else
		buf_slice(&s.body, buf_bytes(&s.wire));
	worker_sent(s.worker);
	arena_reset(&s.a);
}

static void ask(bool xpress, const char *op, const char *more)
{
	buf_reset(&s.asked);
	buf_printf(&s.asked,
		"<s:Envelope xmlns:s=\"" SOAP_NS11 "\"><s:Body><%s xmlns=\"" WSUSSS_NS_SYNC "\"><cookie><Expiration>2030-01-01T00:00:00Z</Expiration>"
		"<EncryptedData>%s</EncryptedData></cookie>%s</%s></s:Body></s:Envelope>",
		op, s.cookie, more, op);
	send_asked(xpress);
}

static unsigned count(const char *what)
{
	unsigned n = 0;
	for (const char *p = s.body.p, *end = p + s.body.n; (p = memmem(p, (size_t)(end - p), what, strlen(what))); n++)
		p++;
	return n;
}

static bool holds(const char *what)
{
	return count(what) > 0;
}

/* ---- documents ---- */

static int32_t put(struct slice doc)
{
	struct err e;
	struct import *i;
	struct import_report r;
	struct mem_source m = {doc, 0};
	OK(import_begin(&i, s.store, NOW, &e));
	OK(import_document(i, mem_refill, &m, &r, &e));
	assert_int_equal(r.outcome, IMPORT_NEW);
	OK(import_end(&i, false, &e));
	return r.revision;
}

#define BIG_ID "b1900000-0000-4000-8000-0000000000%02u"
/* A document of some `kb` KB with one file of its own and one that all of them name. */
static struct slice big_doc(struct buf *b, unsigned n, unsigned kb)
{
	buf_reset(b);
	buf_printf(b, "<Update xmlns=\"" NS_UPD "\"><UpdateIdentity UpdateID=\"" BIG_ID "\" RevisionNumber=\"1\" />" SOFTWARE ENGLISH
		"<Files><File Digest=\"%02uIDBAUGBwgJCgsMDQ4PEBESExQ=\" DigestAlgorithm=\"SHA1\" FileName=\"a.cab\" Size=\"1\" />"
		"<File Digest=\"" DIGEST_1 "\" DigestAlgorithm=\"SHA1\" FileName=\"b.cab\" Size=\"1\" /></Files>"
		"<HandlerSpecificData>", n, n);
	for (unsigned i = 0; i < kb * 16; i++) /* 64 bytes each */
		buf_printf(b, "<part number=\"%08u\" of=\"%08u\" mark=\"%014u\" /> ", i * 2654435761u % 100000000u, i, i ^ n);
	buf_str(b, "</HandlerSpecificData></Update>");
	assert_int_equal(b->rc, E_OK);
	return buf_bytes(b);
}

static void ask_big(bool xpress, const unsigned *n, size_t count_of)
{
	struct buf b;
	buf_init(&b, LIMIT_BODY);
	buf_str(&b, "<updateIds>");
	for (size_t i = 0; i < count_of; i++)
		buf_printf(&b, "<UpdateIdentity><UpdateID>" BIG_ID "</UpdateID><RevisionNumber>1</RevisionNumber></UpdateIdentity>", n[i]);
	buf_str(&b, "</updateIds>");
	buf_char(&b, 0);
	ask(xpress, "GetUpdateData", b.p);
	buf_free(&b);
}

/* The stored pieces of a document, joined: plain text, and how many of them are in the last answer as they lie there. */
static void read_stored(int32_t id, struct buf *text, unsigned *packed, unsigned *found)
{
	struct txn *t;
	struct err e;
	struct frag f;
	OK(txn_begin(s.store, TXN_READ, &t, &e));
	OK(fragment_get(t, id, FRAG_ORIGINAL, SL0, SL0, &f, &e));
	*packed = *found = 0;
	for (size_t i = 0; i < f.n; i++) {
		const struct piece *p = &f.v[i];
		*packed += p->packed;
		*found += p->packed && memmem(s.wire.p, s.wire.n, p->bytes.p, p->bytes.n) != NULL;
		if (!p->packed)
			buf_slice(text, p->bytes);
		else
			assert_int_equal(xpress_unpack(p->bytes, text), E_OK);
	}
	txn_end(&t);
	assert_int_equal(text->rc, E_OK);
}

/* holds: WSUSSS-UPDATEDATA-22 WSUSSS-UPDATEDATA-11 WSUSSS-UPDATEDATA-09
 * partly: WSUSSS-TRANSPORT-23 WSUSSS-TRANSPORT-24 (of one operation) */
static void documents_leave_as_they_are_stored(void **unused)
{
	struct buf doc, text, plain;
	unsigned packed, found;
	(void)unused;
	buf_init(&doc, LIMIT_REPLY);
	buf_init(&text, LIMIT_REPLY);
	buf_init(&plain, LIMIT_REPLY);
	int32_t id = put(big_doc(&doc, 1, 2000));
	ask_big(true, (const unsigned[]){1}, 1);
	assert_int_equal(s.status, 200);
	assert_true(s.wire.n < s.body.n / 2);
	read_stored(id, &text, &packed, &found);
	assert_true(packed > 1);
	assert_int_equal(found, packed); /* not one of them was packed anew */
	xml_escape_add(&plain, buf_bytes(&doc));
	assert_true(slice_eq(buf_bytes(&plain), buf_bytes(&text)));
	assert_non_null(memmem(s.body.p, s.body.n, text.p, text.n));
	assert_false(holds("XmlUpdateBlobCompressed"));

	buf_reset(&plain);
	buf_slice(&plain, buf_bytes(&s.body));
	ask_big(false, (const unsigned[]){1}, 1);
	assert_int_equal(s.wire.n, s.body.n);
	assert_true(slice_eq(buf_bytes(&plain), buf_bytes(&s.body)));
	buf_free(&doc);
	buf_free(&text);
	buf_free(&plain);
}

/* Where the nth item stands; the items come in the order of the request. */
static size_t item_at(unsigned n)
{
	char id[64];
	snprintf(id, sizeof(id), "<Id><UpdateID>" BIG_ID "<", n);
	const char *p = memmem(s.body.p, s.body.n, id, strlen(id));
	return p ? (size_t)(p - s.body.p) : SIZE_MAX;
}

/* holds: WSUSSS-UPDATEDATA-23 WSUSSS-UPDATEDATA-07 */
static void answers_stop_at_their_size(void **unused)
{
	struct buf doc;
	(void)unused;
	buf_init(&doc, LIMIT_REPLY);
	put(big_doc(&doc, 11, 700));
	put(big_doc(&doc, 12, 700));
	put(big_doc(&doc, 13, 700));
	put(big_doc(&doc, 14, 2300));
	ask_big(false, (const unsigned[]){12, 11, 13}, 3); /* some 860 KB each when escaped */
	assert_int_equal(s.status, 200);
	assert_int_equal(count("<ServerSyncUpdateData>"), 2);
	assert_true(item_at(12) < item_at(11) && item_at(11) < SIZE_MAX && item_at(13) == SIZE_MAX);
	assert_true(s.wire.n < LIMIT_SYNC_BYTES + 4096);
	/* no address of the files of the one that was left out, and each once */
	assert_int_equal(count("<ServerSyncUrlData>"), 3);
	assert_false(holds("<FileDigest>13ID"));
	ask_big(false, (const unsigned[]){13}, 1);
	assert_int_equal(count("<ServerSyncUpdateData>"), 1);
	/* the first goes out whatever its size */
	ask_big(true, (const unsigned[]){14, 11}, 2);
	assert_int_equal(count("<ServerSyncUpdateData>"), 1);
	assert_true(item_at(14) < SIZE_MAX && s.body.n > LIMIT_SYNC_BYTES);
	/* as often as they are asked for, up to the same size */
	ask_big(true, (const unsigned[]){11, 11, 11}, 3);
	assert_int_equal(count("<ServerSyncUpdateData>"), 2);
	buf_free(&doc);
}

/* ---- a whole catalog ---- */

#define MANY 24509 /* what a real server had for one product and one classification */

static void fill_catalog(void)
{
	struct txn *t;
	struct err e;
	struct publish_report rep;
	struct relations none = {0};
	OK(txn_begin(s.store, TXN_CATALOG, &t, &e));
	for (uint32_t i = 0; i < MANY; i++) {
		uint32_t id;
		struct revision v = {.update = {{0x24, 0x50, 9}}, .number = 200, .flags = REV_EXPLICIT, .title = SL("T"), .kb = SL(""),
			.severity = SL(""), .language = SL("en"), .imported = NOW};
		put_be32(v.update.b + 12, i);
		OK(counter_next(t, COUNT_REVISION, &id, &e));
		OK(counter_next(t, COUNT_DEPLOYMENT, &v.deployment_id, &e));
		OK(update_number(t, &v.update, &v.update_no, &e));
		v.id = (int32_t)id;
		OK(relations_put(t, v.id, &none, &e));
		OK(revision_put(t, &v, &e));
	}
	OK(publish(t, NOW, &rep, &e));
	OK(txn_commit(&t, &e));
	assert_true(rep.shown >= MANY);
}

/* holds: WSUSSS-REVLIST-27 */
static void a_list_is_one_answer(void **unused)
{
	(void)unused;
	fill_catalog();
	ask(false, "GetRevisionIdList", "<filter><GetConfig>false</GetConfig></filter>");
	assert_int_equal(s.status, 200);
	assert_true(count("<UpdateIdentity>") >= MANY);
	assert_true(s.wire.n > 2500000);
	/* what that took went back, though it was more than is kept */
	assert_true(s.worker->rope.glue.cap <= ARENA_KEEP && s.worker->packed.cap <= ARENA_KEEP);
	size_t plain = s.wire.n;
	ask(true, "GetRevisionIdList", "<filter><GetConfig>false</GetConfig></filter>");
	assert_int_equal(s.body.n, plain);
	assert_true(s.wire.n < plain / 2);
}

/* ---- lists that nobody sends ---- */

static void repeat(struct buf *b, const char *open, const char *item, const char *close, size_t n)
{
	buf_reset(b);
	buf_str(b, open);
	for (size_t i = 0; i < n; i++)
		buf_str(b, item);
	buf_str(b, close);
	buf_char(b, 0);
	assert_int_equal(b->rc, E_OK);
}

/* partly: WSUSSS-TRANSPORT-28 (of lists) */
static void lists_are_bounded(void **unused)
{
	static const char id[] = "<IdAndDelta><Id>" ID_A "</Id><Delta>false</Delta></IdAndDelta>";
	static const char chosen[] = "</Categories><Classifications><IdAndDelta><Id>" ID_B
				     "</Id><Delta>true</Delta></IdAndDelta></Classifications></filter>";
	static const char identity[] = "<UpdateIdentity><UpdateID>" ID_A "</UpdateID><RevisionNumber>7</RevisionNumber></UpdateIdentity>";
	struct buf b;
	(void)unused;
	buf_init(&b, LIMIT_BODY);
	put(SL(PLAIN("")));
	repeat(&b, "<filter><GetConfig>false</GetConfig><Categories>", id, chosen, LIMIT_SYNC_FILTER);
	ask(false, "GetRevisionIdList", b.p);
	assert_int_equal(s.status, 200);
	repeat(&b, "<filter><GetConfig>false</GetConfig><Categories>", id, chosen, LIMIT_SYNC_FILTER + 1);
	ask(false, "GetRevisionIdList", b.p);
	assert_true(s.status == 500 && holds("<ErrorCode>InvalidParameters</ErrorCode><Message>filter.Categories</Message>"));
	repeat(&b, "<updateIds>", identity, "</updateIds>", LIMIT_SYNC_UPDATES);
	ask(true, "GetUpdateData", b.p);
	assert_int_equal(count("<ServerSyncUpdateData>"), LIMIT_SYNC_UPDATES);
	repeat(&b, "<updateIds>", identity, "</updateIds>", 50000);
	ask(true, "GetUpdateData", b.p);
	assert_true(s.status == 500 && holds("<ErrorCode>InvalidParameters</ErrorCode><Message>updateIds</Message>"));
	repeat(&b, "<fileDigestList><base64Binary>", "AAAA", "</base64Binary></fileDigestList>", 1000000);
	ask(false, "DownloadFiles", b.p);
	assert_true(s.status == 500 && s.wire.n < 2000 && holds("<Message>fileDigestList</Message>"));
	buf_free(&b);
}

/* ---- recorded exchanges: WSUSSS areas REVLIST and UPDATEDATA against a real server's bytes ---- */

static const char *const documents[] = {
	"1f9bd9bb-7390-4aa3-bbdb-ded99fac2583-r200", "266f6222-c89d-43f2-9f8a-69340271e677-r200",
	"56309036-4c77-4dd9-951a-99ee9c246a94-r101", "6964aab4-c5b5-43bd-a17d-ffb4346a8e1d-r100",
	"7366a74a-ef29-44e1-b738-570b516aca1f-r200", "a2fef9b0-7951-4c2c-a42b-9e351dd1c1fe-r200",
	"ccb78947-6453-4ecc-9de8-bc0305c98f2d-r200", "dd78b8a1-0b20-45c1-add6-4da72e9364cf-r202",
	"ff36f0b5-dded-4780-8664-cd78af8b62c1-r200",
};

static void import_one(struct import *i, struct slice doc)
{
	struct err e;
	struct import_report r;
	struct mem_source m = {doc, 0};
	OK(import_document(i, mem_refill, &m, &r, &e));
	if (r.outcome == IMPORT_REFUSED)
		fail_msg("refused: %s", e.text);
}

/* A bundle is published with its members, so that something stands for those that were not recorded. */
static void put_members(struct import *i, struct slice doc)
{
	static const char name[] = "UpdateIdentity UpdateID=\"";
	const char *p = memmem(doc.p, doc.n, "BundledUpdates>", 15), *end = doc.p + doc.n;
	for (; p && (p = memmem(p, (size_t)(end - p), name, sizeof(name) - 1)) != NULL; p++) {
		char text[512];
		const char *close = memchr(p, '/', (size_t)(end - p));
		assert_non_null(close);
		snprintf(text, sizeof(text), "<Update xmlns=\"" NS_UPD "\"><%.*s/>" SOFTWARE ENGLISH "</Update>", (int)(close - p), p);
		import_one(i, slice_of(text));
	}
}

static void put_documents(struct import *i, void (*put_one)(struct import *, struct slice))
{
	struct buf b;
	buf_init(&b, LIMIT_DOC);
	for (size_t k = 0; k < COUNTOF(documents); k++) {
		char path[128];
		snprintf(path, sizeof(path), "updates/%s.xml", documents[k]);
		assert_true(read_whole(&b, corpus_dir(), path));
		put_one(i, buf_bytes(&b));
	}
	buf_free(&b);
}

static void put_corpus(void)
{
	struct txn *t;
	struct err e;
	struct import *i;
	struct server_state state;
	OK(import_begin(&i, s.store, NOW, &e));
	put_documents(i, import_one);
	put_documents(i, put_members);
	OK(import_end(&i, false, &e));
	OK(txn_begin(s.store, TXN_READ, &t, &e));
	OK(server_state_get(t, &state, &e));
	txn_end(&t);
	read_anchor(&state);
}

/* Copies from, what stands between the first open and close behind it exchanged. */
static void exchange(struct buf *to, struct slice from, const char *open, const char *close, const char *with)
{
	const char *p = memmem(from.p, from.n, open, strlen(open));
	const char *q = p ? memmem(p, (size_t)(from.p + from.n - p), close, strlen(close)) : NULL;
	buf_reset(to);
	if (!q) {
		buf_slice(to, from);
		return;
	}
	buf_add(to, from.p, (size_t)(p - from.p) + strlen(open));
	buf_str(to, with);
	buf_add(to, q, (size_t)(from.p + from.n - q));
}

struct recorded {
	struct buf want, ours, other;
};

/* Sends recorded request n with our cookie, and our anchor in place of that server's if it had one of its form. */
static void replay(struct recorded *x, unsigned n)
{
	char path[64];
	snprintf(path, sizeof(path), "serversync/%06u/request.body", n);
	assert_true(read_whole(&x->other, corpus_dir(), path));
	exchange(&s.asked, buf_bytes(&x->other), "<EncryptedData>", "</EncryptedData>", s.cookie);
	buf_reset(&x->other);
	buf_slice(&x->other, buf_bytes(&s.asked));
	exchange(&s.asked, buf_bytes(&x->other), "<Anchor>9438", "</Anchor>", "@");
	if (memmem(s.asked.p, s.asked.n, "<Anchor>9438@", 13))
		exchange(&s.asked, buf_bytes(&x->other), "<Anchor>", "</Anchor>", s.anchor);
	send_asked(false);
	snprintf(path, sizeof(path), "serversync/%06u/response.body", n);
	assert_true(read_whole(&x->want, corpus_dir(), path));
}

/* Both answers, but for what stands between open and close, are the same bytes. */
static void same_but(struct recorded *x, const char *open, const char *close)
{
	exchange(&x->other, buf_bytes(&x->want), open, close, "*");
	exchange(&x->ours, buf_bytes(&s.body), open, close, "*");
	if (!slice_eq(buf_bytes(&x->other), buf_bytes(&x->ours)))
		fail_msg("recorded:\n%.*s\nours:\n%.*s", SLF(buf_bytes(&x->other)), SLF(buf_bytes(&x->ours)));
}

/* The product and the classification that were asked for are those of the bundle a2fef9b0, whose members come with it. */
static void lists(struct recorded *x)
{
	static const unsigned empty[] = {7, 8, 11, 12};
	for (size_t i = 0; i < COUNTOF(empty); i++) {
		replay(x, empty[i]);
		same_but(x, "<Anchor>", "</Anchor>");
	}
	replay(x, 6);
	assert_int_equal(count("<UpdateIdentity>"), 3);
	assert_true(holds("<UpdateIdentity><UpdateID>56309036-4c77-4dd9-951a-99ee9c246a94</UpdateID><RevisionNumber>101</RevisionNumber>"));
	replay(x, 9);
	unsigned n = count("<UpdateIdentity>");
	exchange(&x->other, buf_bytes(&s.body), "<NewRevisions>", "</NewRevisions>", "*");
	exchange(&x->ours, buf_bytes(&x->other), "<Anchor>", "</Anchor>", "*");
	exchange(&s.body, buf_bytes(&x->want), "<NewRevisions>", "</NewRevisions>", "*");
	exchange(&x->other, buf_bytes(&s.body), "<Anchor>", "</Anchor>", "*");
	assert_true(slice_eq(buf_bytes(&x->ours), buf_bytes(&x->other)));
	assert_true(n > 0);
	replay(x, 10); /* Delta false: the same again in spite of the anchor */
	assert_int_equal(count("<UpdateIdentity>"), n);
}

/* The document of the cabinet that the real server sent, as text in ours; all else is the same. */
static void document(struct recorded *x, unsigned n, const char *cab)
{
	replay(x, n);
	assert_int_equal(s.status, 200);
	struct buf *text = &x->ours;
	assert_true(read_whole(&x->other, corpus_dir(), cab));
	buf_reset(text);
	xml_escape_add(text, buf_bytes(&x->other));
	const char *p = memmem(s.body.p, s.body.n, "<XmlUpdateBlob>", 15);
	assert_non_null(p);
	assert_true((size_t)(s.body.p + s.body.n - p) > text->n + 15 && memcmp(p + 15, text->p, text->n) == 0);
}

static bool both_hold(struct recorded *x, const char *what)
{
	return holds(what) && memmem(x->want.p, x->want.n, what, strlen(what)) != NULL;
}

static void data(struct recorded *x)
{
	replay(x, 15); /* plain there, too */
	same_but(x, "<none>", "</none>");
	document(x, 13, "cab/000013-a2fef9b0-7951-4c2c-a42b-9e351dd1c1fe-r200.xml");
	assert_true(both_hold(x, "<Id><UpdateID>a2fef9b0-7951-4c2c-a42b-9e351dd1c1fe</UpdateID><RevisionNumber>200</RevisionNumber></Id><XmlUpdateBlob"));
	assert_true(both_hold(x, "</ServerSyncUpdateData></updates><fileUrls /></GetUpdateDataResult></GetUpdateDataResponse></soap:Body></soap:Envelope>"));
	document(x, 14, "cab/000014-266f6222-c89d-43f2-9f8a-69340271e677-r200.xml");
	assert_true(both_hold(x, "<FileDigestList><base64Binary>h/W9BGlYUAaqXTp30cZi/SiV3c0=</base64Binary></FileDigestList>"));
	assert_true(both_hold(x, "<ServerSyncUrlData><FileDigest>h/W9BGlYUAaqXTp30cZi/SiV3c0=</FileDigest>"));
	assert_true(both_hold(x, "<UssUrl /></ServerSyncUrlData></fileUrls></GetUpdateDataResult>"));
	document(x, 16, "cab/000016-56309036-4c77-4dd9-951a-99ee9c246a94-r101.xml");
	assert_true(both_hold(x, "</ServerSyncUpdateData></updates><fileUrls />"));
}

static void faults(struct recorded *x)
{
	for (unsigned n = 17; n <= 18; n++) {
		replay(x, n);
		assert_int_equal(s.status, 500);
		exchange(&x->ours, buf_bytes(&x->want), "<Method>", "</Method>", ""); /* no SOAPAction here */
		buf_reset(&x->want);
		buf_slice(&x->want, buf_bytes(&x->ours));
		exchange(&x->ours, buf_bytes(&s.body), "<Method>", "</Method>", "");
		buf_reset(&s.body);
		buf_slice(&s.body, buf_bytes(&x->ours));
		same_but(x, "<ID>", "</ID>");
	}
}

/* partly: WSUSSS-REVLIST-04 WSUSSS-REVLIST-17 WSUSSS-REVLIST-19 WSUSSS-REVLIST-20 WSUSSS-UPDATEDATA-08 (one request of each) */
static void recorded_exchanges(void **unused)
{
	struct recorded x;
	(void)unused;
	SKIP_WITHOUT(corpus_dir());
	buf_init(&x.want, LIMIT_REPLY);
	buf_init(&x.ours, LIMIT_REPLY);
	buf_init(&x.other, LIMIT_REPLY);
	put_corpus();
	lists(&x);
	data(&x);
	faults(&x);
	buf_free(&x.want);
	buf_free(&x.ours);
	buf_free(&x.other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(documents_leave_as_they_are_stored, setup, teardown),
		cmocka_unit_test_setup_teardown(answers_stop_at_their_size, setup, teardown),
		cmocka_unit_test_setup_teardown(a_list_is_one_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(lists_are_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(recorded_exchanges, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
