/* t_updates.c -- answers of GetUpdateData: real ones, every form and order, documents in pieces, what is hostile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/arena.h"
#include "common/limits.h"
#include "common/text.h"
#include "sync/updates.h"
#include "test/unit/cabinet.h"
#include "test/unit/corpus.h"

#define MOST ((size_t)1 << 30)
#define ID_1 "11111111-2222-4333-8444-000000000001"
#define ID_2 "11111111-2222-4333-8444-000000000002"
#define DIGEST_1 "AQIDBAUGBwgJCgsMDQ4PEBESExQ=" /* bytes 1 .. 20 */

#define ENVELOPE(s) \
	"<soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Header><x/></soap:Header><soap:Body>" \
	"<GetUpdateDataResponse xmlns=\"http://www.microsoft.com/SoftwareDistribution\"><GetUpdateDataResult>" s \
	"</GetUpdateDataResult></GetUpdateDataResponse></soap:Body></soap:Envelope>"
#define UPDATES(s) ENVELOPE("<updates>" s "</updates><fileUrls />")
#define ID(id, n) "<Id><UpdateID>" id "</UpdateID><RevisionNumber>" n "</RevisionNumber></Id>"
#define ITEM(s) "<ServerSyncUpdateData>" s "</ServerSyncUpdateData>"
#define PLAIN(s) "<XmlUpdateBlob>" s "</XmlUpdateBlob>"

/* ---- what came: a line each, "ID:N|the document|" or "!words", "file HEX url key" ---- */

struct got {
	struct buf log;
	size_t step;     /* bytes at a time */
	size_t stop;     /* documents are read up to here */
	int answer;      /* of the sink */
	unsigned documents;
};

static int on_document(void *arg, const struct UpdateIdentity *id, xml_refill_fn *refill, void *from, struct err *e)
{
	struct got *g = arg;
	char text[GUID_TEXT + 1], piece[4096];
	ptrdiff_t n = 0;
	size_t read = 0;
	(void)e;
	guid_text(&id->UpdateID, text);
	buf_printf(&g->log, "%s:%d|", text + 24, (int)id->RevisionNumber);
	struct err why = {.code = E_OK};
	while (read < g->stop && (n = refill(from, piece, MIN(g->step, sizeof(piece)), &why)) > 0) {
		buf_add(&g->log, piece, (size_t)n);
		read += (size_t)n;
	}
	if (n < 0)
		buf_printf(&g->log, "!%s", why.text);
	buf_char(&g->log, '|');
	g->documents++;
	return g->answer;
}

static int on_file(void *arg, const struct sha1 *digest, struct slice url, struct slice key, struct err *e)
{
	struct got *g = arg;
	char hex[5];
	(void)e;
	hex_text(digest->b, 2, true, hex);
	buf_printf(&g->log, "file %s %.*s %.*s\n", hex, SLF(url), SLF(key));
	return E_OK;
}

static int read_answer(struct slice answer, struct got *g, struct err *e)
{
	const struct updates_sink sink = {on_document, on_file, g};
	struct updates *u;
	struct spool *s;
	*e = (struct err){.code = E_OK};
	buf_reset(&g->log);
	g->documents = 0;
	assert_int_equal(spool_new(&s, "/tmp", MOST, e), E_OK);
	assert_int_equal(spool_add(s, answer.p, answer.n, e), E_OK);
	assert_int_equal(updates_new(&u, "/tmp", e), E_OK);
	int rc = updates_read(u, s, &sink, e);
	updates_free(&u);
	spool_free(&s);
	buf_char(&g->log, 0);
	g->log.n--;
	return rc;
}

static void got_begin(struct got *g)
{
	*g = (struct got){.step = 4096, .stop = SIZE_MAX};
	buf_init(&g->log, MOST);
}

static void reads_as(const char *answer, const char *ought)
{
	struct got g;
	struct err e;
	got_begin(&g);
	for (g.step = 1; g.step <= 4096; g.step *= 64) {
		if (read_answer(slice_of(answer), &g, &e) != E_OK)
			fail_msg("%s: %s", answer, e.text);
		assert_string_equal(g.log.p, ought);
	}
	buf_free(&g.log);
}

static void fails_with(const char *answer, int rc, const char *words)
{
	struct got g;
	struct err e;
	got_begin(&g);
	int is = read_answer(slice_of(answer), &g, &e);
	if (is != rc || !strstr(e.text, words))
		fail_msg("%.200s: %s: %s", answer, err_name(is), e.text);
	buf_free(&g.log);
}

/* ---- real answers ---- */

static const struct {
	const char *answer, *document;
} real[] = {
	{"serversync/000013/response.body", "cab/000013-a2fef9b0-7951-4c2c-a42b-9e351dd1c1fe-r200.xml"},
	{"serversync/000014/response.body", "cab/000014-266f6222-c89d-43f2-9f8a-69340271e677-r200.xml"},
	{"serversync/000016/response.body", "cab/000016-56309036-4c77-4dd9-951a-99ee9c246a94-r101.xml"},
};

/* holds: WSUSSS-UPDATEDATA-12 WSUSSS-UPDATEDATA-13 WSUSSS-UPDATEDATA-14 WSUSSS-DSS-META-08 */
static void answers_of_a_real_server(void **state)
{
	(void)state;
	struct got g;
	struct err e;
	struct buf answer, ought;
	SKIP_WITHOUT(corpus_dir());
	got_begin(&g);
	buf_init(&answer, MOST);
	buf_init(&ought, MOST);
	for (size_t i = 0; i < COUNTOF(real); i++) {
		assert_true(read_whole(&answer, corpus_dir(), real[i].answer));
		assert_true(read_whole(&ought, corpus_dir(), real[i].document));
		if (read_answer(buf_bytes(&answer), &g, &e) != E_OK)
			fail_msg("%s: %s", real[i].answer, e.text);
		assert_int_equal(g.documents, 1);
		char *document = strchr(g.log.p, '|') + 1;
		assert_memory_equal(document, ought.p, ought.n);
		assert_int_equal(document[ought.n], '|');
	}
	/* 14 has a file with its address, 15 a document that is not packed */
	assert_true(read_whole(&answer, corpus_dir(), real[1].answer));
	assert_int_equal(read_answer(buf_bytes(&answer), &g, &e), E_OK);
	assert_non_null(strstr(g.log.p, "http://download.windowsupdate.com/c/msdownload/update/software/"));
	assert_true(read_whole(&answer, corpus_dir(), "serversync/000015/response.body"));
	assert_int_equal(read_answer(buf_bytes(&answer), &g, &e), E_OK);
	assert_non_null(strstr(g.log.p, "|<upd:Update "));
	assert_non_null(strstr(g.log.p, "</upd:Update>|"));
	buf_free(&answer);
	buf_free(&ought);
	buf_free(&g.log);
}

/* ---- forms ---- */

/* holds: WSUSSS-UPDATEDATA-11 */
static void a_document_as_text(void **state)
{
	(void)state;
	reads_as(UPDATES(ITEM(ID(ID_1, "7") PLAIN("&lt;a b=\"&amp;amp;\"&gt;x &#233; \xC3\xA9&lt;/a&gt;"))),
		"000000000001:7|<a b=\"&amp;\">x \xC3\xA9 \xC3\xA9</a>|");
	reads_as(UPDATES(ITEM(ID(ID_1, "7") PLAIN("<![CDATA[<a>]]>x<!-- no -->&lt;/a&gt;"))), "000000000001:7|<a>x</a>|");
	reads_as(UPDATES(ITEM(ID(ID_1, "7") PLAIN("\r\n  &lt;a/&gt;"))), "000000000001:7|\r\n  <a/>|");
}

/* holds: WSUSSS-UPDATEDATA-11 */
static void a_document_as_elements(void **state)
{
	(void)state;
	reads_as(UPDATES(ITEM(ID(ID_1, "7") PLAIN("<u:a xmlns:u=\"urn:u\" b='1'>x<u:c/>&amp;</u:a>"))),
		"000000000001:7|<u:a xmlns:u=\"urn:u\" b='1'>x<u:c/>&amp;</u:a>|");
	reads_as(UPDATES(ITEM(ID(ID_1, "7") PLAIN("\n\t<a/>\n"))), "000000000001:7|<a/>|");
	fails_with(UPDATES(ITEM(ID(ID_1, "7") PLAIN("<a/><b/>"))), E_FORM, "a second document");
}

static void packed(struct buf *b, const char *document)
{
	struct buf wide, cab;
	buf_init(&wide, MOST);
	buf_init(&cab, MOST);
	cab_wide(&wide, slice_of(document));
	cab_make(&cab, CAB_LZX, buf_bytes(&wide));
	base64_add(b, buf_bytes(&cab));
	buf_free(&wide);
	buf_free(&cab);
}

/* holds: WSUSSS-DSS-META-08 WSUSSS-UPDATEDATA-15 */
static void a_document_in_a_cabinet(void **state)
{
	(void)state;
	struct buf b;
	buf_init(&b, MOST);
	buf_str(&b, "<r><Body><GetUpdateDataResponse><GetUpdateDataResult><updates>" ITEM(ID(ID_1, "7") "<XmlUpdateBlob/>"
		"<XmlUpdateBlobCompressed>\r\n"));
	size_t at = b.n;
	packed(&b, "<a>x</a>");
	size_t middle = at + (b.n - at) / 2;
	buf_str(&b, " </XmlUpdateBlobCompressed></ServerSyncUpdateData></updates></GetUpdateDataResult></GetUpdateDataResponse></Body></r>");
	buf_char(&b, 0);
	b.n--;
	/* the item was closed too early by ITEM(): put it right */
	char *end = strstr(b.p, "</ServerSyncUpdateData>");
	memset(end, ' ', strlen("</ServerSyncUpdateData>"));
	reads_as(b.p, "000000000001:7|<a>x</a>|");
	/* what is no base64, and what is no cabinet, is one document that cannot be read */
	b.p[middle] = '!';
	reads_as(b.p, "000000000001:7|!XmlUpdateBlobCompressed is not base64|");
	memset(b.p + at, 'A', 8);
	b.p[middle] = 'A';
	reads_as(b.p, "000000000001:7|!what should be a cabinet is none|");
	buf_free(&b);
}

static void base64_of_every_length(void **state)
{
	(void)state;
#define PACKED(s) UPDATES(ITEM(ID(ID_1, "7") "<XmlUpdateBlobCompressed>" s "</XmlUpdateBlobCompressed>"))
	static const char *const bad[] = {PACKED("TVNDR"), PACKED("TVNDRg"), PACKED("TVNDRg="), PACKED("TVNDRg==="), PACKED("TV=DRg=="),
		PACKED("TVND===="), PACKED("T==="), PACKED("TVNDRg==TVND")};
	static const char *const good[] = {PACKED("TVNDRg=="), PACKED("T V\nN\tD\r\nRkY="), PACKED("TVNDRkZG")};
	for (size_t i = 0; i < COUNTOF(bad); i++)
		reads_as(bad[i], "000000000001:7|!XmlUpdateBlobCompressed is not base64|");
	for (size_t i = 0; i < COUNTOF(good); i++)
		reads_as(good[i], "000000000001:7|!what should be a cabinet is none|");
	reads_as(PACKED(""), "000000000001:7|!the document is empty|");
	reads_as(PACKED("  \n"), "000000000001:7|!the document is empty|");
	reads_as(UPDATES(ITEM(ID(ID_1, "7") PLAIN("") PLAIN("&lt;a/&gt;"))), "000000000001:7|<a/>|");
	fails_with(PACKED("<x/>"), E_FORM, "where base64 should be");
}

/* partly: WSUSSS-TRANSPORT-08 (here of GetUpdateData alone) */
static void any_order_and_unknown_elements(void **state)
{
	(void)state;
	const char *const files = "<fileUrls><ServerSyncUrlData><UssUrl>http://no</UssUrl><MUUrl> http://mu/x </MUUrl><new/>"
		"<FileDigest>" DIGEST_1 "</FileDigest></ServerSyncUrlData></fileUrls>";
	struct buf b;
	buf_init(&b, MOST);
	/* the document before its Id; fileUrls before updates; items of a kind that nobody knows */
	buf_printf(&b, "%s", "<s:E xmlns:s=\"urn:s\"><s:Body><GetUpdateDataResponse><More/><GetUpdateDataResult>");
	buf_str(&b, files);
	buf_str(&b, "<updates><Other><Id/></Other>" ITEM(PLAIN("&lt;a/&gt;") "<x><y/></x>" ID(ID_1, "1"))
		ITEM("<FileDigestList><base64Binary>AA==</base64Binary></FileDigestList>" ID(ID_2, "2") PLAIN("&lt;b/&gt;"))
		"</updates></GetUpdateDataResult></GetUpdateDataResponse></s:Body></s:E>");
	buf_char(&b, 0);
	reads_as(b.p, "000000000002:2|<b/>|000000000001:1|<a/>|file 0102 http://mu/x \n");
	buf_free(&b);
	/* an update without an Id, one without a document, one with both forms */
	reads_as(UPDATES(ITEM(PLAIN("&lt;a/&gt;")) ITEM(ID(ID_1, "1")) ITEM("") ITEM(ID(ID_2, "1") PLAIN("&lt;b/&gt;") PLAIN("&lt;c/&gt;"))),
		"000000000002:1|<b/>|");
}

/* holds: WSUSSS-DSS-META-17 WSUSSS-UPDATEDATA-20 WSUSSS-UPDATEDATA-21 */
static void what_is_said_of_files(void **state)
{
	(void)state;
#define FILES(s) ENVELOPE("<updates/><fileUrls>" s "</fileUrls>")
#define FILE_ITEM(s) "<ServerSyncUrlData>" s "</ServerSyncUrlData>"
#define DIGEST "<FileDigest>" DIGEST_1 "</FileDigest>"
	reads_as(FILES(FILE_ITEM(DIGEST "<MUUrl>http://a/b?c&amp;d</MUUrl><UssUrl>http://x</UssUrl>")
			FILE_ITEM(DIGEST "<MUUrl/><DecryptionKey>a2V5</DecryptionKey>") FILE_ITEM(DIGEST "<MUUrl>https://a</MUUrl>")),
		"file 0102 http://a/b?c&d \nfile 0102  key\nfile 0102 https://a \n");
	/* nothing said, no digest, no address of the web */
	reads_as(FILES(FILE_ITEM(DIGEST) FILE_ITEM("<MUUrl>http://a</MUUrl>") FILE_ITEM(DIGEST "<MUUrl>file:///etc/passwd</MUUrl>")
			FILE_ITEM("<FileDigest>AAAA</FileDigest><MUUrl>http://a</MUUrl>")
			FILE_ITEM(DIGEST "<DecryptionKey>?</DecryptionKey>")), "");
}

/* ---- documents in pieces ---- */

static void a_long_document_and_one_that_is_not_read_to_its_end(void **state)
{
	(void)state;
	struct buf b, ought;
	struct got g;
	struct err e;
	got_begin(&g);
	buf_init(&b, MOST);
	buf_init(&ought, MOST);
	buf_str(&b, "<r><Body><GetUpdateDataResponse><GetUpdateDataResult><updates><ServerSyncUpdateData>" ID(ID_1, "1") "<XmlUpdateBlob>");
	buf_str(&ought, "000000000001:1|");
	for (int i = 0; i < 300000; i++) {
		buf_printf(&b, "&lt;t%d&gt;\xE2\x82\xAC", i);
		buf_printf(&ought, "<t%d>\xE2\x82\xAC", i);
	}
	buf_str(&b, "</XmlUpdateBlob></ServerSyncUpdateData>" ITEM(ID(ID_2, "1") PLAIN("&lt;b/&gt;"))
		"</updates></GetUpdateDataResult></GetUpdateDataResponse></Body></r>");
	buf_str(&ought, "|000000000002:1|<b/>|");
	buf_char(&ought, 0);
	assert_int_equal(read_answer(buf_bytes(&b), &g, &e), E_OK);
	assert_string_equal(g.log.p, ought.p);
	for (g.stop = 0; g.stop < 9000; g.stop += 3000) {
		assert_int_equal(read_answer(buf_bytes(&b), &g, &e), E_OK);
		assert_int_equal(g.documents, 2);
	}
	buf_free(&b);
	buf_free(&ought);
	buf_free(&g.log);
}

static void what_the_sink_says_ends_it(void **state)
{
	(void)state;
	struct got g;
	struct err e;
	got_begin(&g);
	g.answer = E_FULL;
	assert_int_equal(read_answer(slice_of(UPDATES(ITEM(ID(ID_1, "1") PLAIN("a")) ITEM(ID(ID_2, "1") PLAIN("b")))), &g, &e), E_FULL);
	assert_int_equal(g.documents, 1);
	buf_free(&g.log);
}

/* ---- hostile ---- */

static void what_is_no_such_answer(void **state)
{
	(void)state;
	fails_with("", E_FORM, "");
	fails_with("no", E_FORM, "byte 0");
	fails_with("<a/>", E_FORM, "no GetUpdateDataResult");
	fails_with("<s:E xmlns:s=\"urn:s\"><s:Body><s:Fault/></s:Body></s:E>", E_FORM, "no GetUpdateDataResult");
	fails_with(ENVELOPE(""), E_FORM, "no GetUpdateDataResult");
	fails_with(UPDATES(ITEM(ID("1", "1"))), E_FORM, "UpdateID is no id");
	fails_with(UPDATES(ITEM(ID(ID_1, "x"))), E_FORM, "RevisionNumber is no number");
	fails_with(UPDATES(ITEM(ID(ID_1, "<x/>"))), E_FORM, "only text may stand");
	fails_with(UPDATES(ITEM(ID(ID_1, "1") PLAIN("a<x/>"))), E_FORM, "in the midst of a document");
	fails_with("<r><Body>", E_FORM, "");
}

static void cut_anywhere(void **state)
{
	(void)state;
	static const char answer[] = UPDATES(ITEM(ID(ID_1, "1") PLAIN("&lt;a/&gt;")) ITEM(ID(ID_2, "1")
		"<XmlUpdateBlobCompressed>TVND</XmlUpdateBlobCompressed>"));
	struct got g;
	struct err e;
	got_begin(&g);
	for (size_t n = 0; n + 1 < sizeof(answer); n++) {
		int rc = read_answer((struct slice){answer, n}, &g, &e);
		if (rc != E_FORM || !e.text[0])
			fail_msg("cut at %zu: %s: %s", n, err_name(rc), e.text);
	}
	buf_free(&g.log);
}

static void too_many(void **state)
{
	(void)state;
	struct buf b;
	struct got g;
	struct err e;
	got_begin(&g);
	buf_init(&b, MOST);
	buf_str(&b, "<r><Body><GetUpdateDataResponse><GetUpdateDataResult><updates>");
	for (int i = 0; i <= LIMIT_SYNC_REQUEST; i++)
		buf_str(&b, ITEM(ID(ID_1, "1") PLAIN("&lt;b/&gt;")));
	buf_str(&b, "</updates></GetUpdateDataResult></GetUpdateDataResponse></Body></r>");
	assert_int_equal(read_answer(buf_bytes(&b), &g, &e), E_LIMIT);
	buf_free(&b);
	buf_free(&g.log);
}

static void every_allocation_may_fail(void **state)
{
	(void)state;
	static const char answer[] = UPDATES(ITEM(ID(ID_1, "1") PLAIN("&lt;a/&gt;"))
		ITEM(ID(ID_2, "1") "<XmlUpdateBlobCompressed>TVND</XmlUpdateBlobCompressed>"));
	struct got g;
	struct err e;
	struct spool *s;
	int rc = E_NOMEM;
	got_begin(&g);
	assert_int_equal(spool_new(&s, "/tmp", MOST, &e), E_OK);
	assert_int_equal(spool_add(s, answer, sizeof(answer) - 1, &e), E_OK);
	buf_str(&g.log, "so that the log itself allocates nothing below");
	for (long n = 1; rc == E_NOMEM && n < 200; n++) {
		const struct updates_sink sink = {on_document, on_file, &g};
		struct updates *u;
		buf_reset(&g.log);
		alloc_fail_at = n;
		rc = updates_new(&u, "/tmp", &e);
		if (rc == E_OK) {
			rc = updates_read(u, s, &sink, &e);
			updates_free(&u);
		}
		alloc_fail_at = 0;
	}
	assert_int_equal(rc, E_OK);
	spool_free(&s);
	buf_free(&g.log);
}

#define T(name) cmocka_unit_test(name)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(answers_of_a_real_server),
		T(a_document_as_text),
		T(a_document_as_elements),
		T(a_document_in_a_cabinet),
		T(base64_of_every_length),
		T(any_order_and_unknown_elements),
		T(what_is_said_of_files),
		T(a_long_document_and_one_that_is_not_read_to_its_end),
		T(what_the_sink_says_ends_it),
		T(what_is_no_such_answer),
		T(cut_anywhere),
		T(too_many),
		T(every_allocation_may_fail),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
