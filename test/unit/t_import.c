/* t_import.c -- documents into the store: what is staged, what a refusal or a kill leaves, what is known. */
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/limits.h"
#include "store/db.h"
#include "store/import.h"
#include "store/publish.h"
#include "test/unit/corpus.h"
#include "test/unit/update_doc.h"

#define NOW ((tick_t)INT64_C(17911152000000000))

static char dir[256];
static struct store *store;

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static void make_dir(char to[256])
{
	const char *tmp = getenv("TMPDIR");
	snprintf(to, 256, "%s/t_import.XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(to));
}

static struct store *open_store(const char *path)
{
	struct store *s = NULL;
	struct err e;
	if (store_open(&s, path, STORE_ADMIN, &e) != E_OK)
		fail_msg("store_open: %s", e.text);
	return s;
}

static int setup(void **state)
{
	(void)state;
	struct err e;
	make_dir(dir);
	if (store_create(dir, &e) != E_OK) {
		fprintf(stderr, "store_create: %s\n", e.text);
		return -1;
	}
	store = open_store(dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	store_close(&store);
	return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- doing it ---- */

static struct import *begin(void)
{
	struct import *i = NULL;
	struct err e;
	if (import_begin(&i, store, NOW, &e) != E_OK)
		fail_msg("import_begin: %s", e.text);
	return i;
}

static void finish(struct import **i)
{
	struct err e;
	if (import_end(i, false, &e) != E_OK)
		fail_msg("import_end: %s", e.text);
	assert_null(*i);
}

static struct import_report put(struct import *i, struct slice doc, size_t step, struct err *e)
{
	struct mem_source m = {doc, step};
	struct import_report r;
	if (import_document(i, mem_refill, &m, &r, e) != E_OK)
		fail_msg("import_document: %s", e->text);
	return r;
}

static struct import_report put_alone(struct slice doc, size_t step)
{
	struct err e = {.code = E_OK};
	struct import *i = begin();
	struct import_report r = put(i, doc, step, &e);
	finish(&i);
	return r;
}

static void found(const char *text, void *arg)
{
	(void)arg;
	fprintf(stderr, "audit: %s\n", text);
}

static void audit_is_clean(void)
{
	struct txn *t;
	struct err e;
	unsigned n = 0;
	assert_int_equal(txn_begin(store, TXN_READ, &t, &e), E_OK);
	if (store_audit(t, found, NULL, &n, &e) != E_OK)
		fail_msg("store_audit: %s", e.text);
	assert_int_equal(n, 0);
	txn_end(&t);
}

static struct txn *reading(void)
{
	struct txn *t;
	struct err e;
	if (txn_begin(store, TXN_READ, &t, &e) != E_OK)
		fail_msg("txn_begin: %s", e.text);
	return t;
}

static uint64_t rows(struct txn *t, enum db db)
{
	uint64_t n;
	assert_int_equal(db_count(t, db, &n, NULL), E_OK);
	return n;
}

/* Rows that a document makes. */
static const enum db document_dbs[] = {DB_UPDATE, DB_UPDATE_ID, DB_IDENTITY, DB_REVISION, DB_RELATION, DB_FRAGMENT, DB_FILE,
	DB_REV_FILE, DB_FILE_REV, DB_META};

static uint64_t all_rows(void)
{
	struct txn *t = reading();
	uint64_t n = 0;
	for (size_t i = 0; i < COUNTOF(document_dbs); i++)
		n += rows(t, document_dbs[i]);
	txn_end(&t);
	return n;
}

/* The text of a stored fragment, unescaped. */
static void stored(struct txn *t, int32_t id, enum fragment_type type, const char *locale, struct buf *out)
{
	struct frag f;
	struct err e;
	struct buf wire;
	buf_init(&wire, (size_t)256 << 20);
	if (fragment_get(t, id, type, slice_of(locale), SL(""), &f, &e) != E_OK)
		fail_msg("fragment_get: %s", e.text);
	for (size_t i = 0; i < f.n; i++) {
		size_t before = wire.n;
		if (f.v[i].packed)
			assert_int_equal(xpress_unpack(f.v[i].bytes, &wire), E_OK);
		else
			buf_slice(&wire, f.v[i].bytes);
		assert_int_equal(wire.n - before, f.v[i].plain);
	}
	buf_reset(out);
	assert_true(xml_unescape_add(out, buf_bytes(&wire)));
	buf_free(&wire);
}

static void big_document(struct buf *b, size_t bytes, bool whole)
{
	buf_str(b, "<Update xmlns=\"" NS_UPD "\" xmlns:b=\"" NS_BAR "\">" IDENTITY(ID_A, "7") SOFTWARE ENGLISH
		"<ApplicabilityRules><IsInstalled>");
	for (size_t i = 0; b->n < bytes; i++)
		buf_printf(b, "<b:RegSz Key=\"%zx\" Subkey=\"%zx\" Data=\"%zx\" />", i * 2654435761u, i * 40503u, i ^ (i << 7));
	if (whole)
		buf_str(b, "</IsInstalled></ApplicabilityRules></Update>");
}

/* ---- tests ---- */

static void same(struct buf *got, const char *path)
{
	struct buf want;
	buf_init(&want, (size_t)1 << 20);
	assert_true(read_whole(&want, corpus_dir(), path));
	assert_true(slice_eq(buf_bytes(got), buf_bytes(&want)));
	buf_free(&want);
}

/* holds: WUSP-POPULATE-26 WUSP-POPULATE-38 */
static void test_real_documents_come_back_byte_for_byte(void **state)
{
	(void)state;
	static const char *const names[] = {"1f9bd9bb-7390-4aa3-bbdb-ded99fac2583-r200",
		"266f6222-c89d-43f2-9f8a-69340271e677-r200", "56309036-4c77-4dd9-951a-99ee9c246a94-r101",
		"ccb78947-6453-4ecc-9de8-bc0305c98f2d-r200", "ff36f0b5-dded-4780-8664-cd78af8b62c1-r200"};
	SKIP_WITHOUT(corpus_dir());
	struct buf b;
	char path[256];
	buf_init(&b, (size_t)1 << 20);
	for (size_t i = 0; i < COUNTOF(names); i++) {
		snprintf(path, sizeof(path), "updates/%s.xml", names[i]);
		assert_true(read_whole(&b, corpus_dir(), path));
		struct import_report r = put_alone(buf_bytes(&b), 0);
		assert_int_equal(r.outcome, IMPORT_NEW);
		assert_int_equal(r.revision, i + 1);
		assert_int_equal(r.bytes, b.n);
	}
	struct txn *t = reading();
	for (size_t i = 0; i < COUNTOF(names); i++) {
		static const struct {
			enum fragment_type type;
			const char *locale, *path;
		} f[] = {{FRAG_CORE, "", "fragments/%s.core.xml"}, {FRAG_EXTENDED, "", "fragments/%s.extended.xml"},
			{FRAG_LOCALIZED, "en", "fragments/%s.localized-en.xml"}};
		for (size_t k = 0; k < COUNTOF(f); k++) {
			stored(t, (int32_t)i + 1, f[k].type, f[k].locale, &b);
			const char *kind = strrchr(f[k].path, '%') + 2;
			snprintf(path, sizeof(path), "fragments/%s%s", names[i], kind);
			same(&b, path);
		}
		stored(t, (int32_t)i + 1, FRAG_ORIGINAL, "", &b);
		snprintf(path, sizeof(path), "updates/%s.xml", names[i]);
		same(&b, path);
	}
	txn_end(&t);
	buf_free(&b);
	audit_is_clean();
}

#define FULL UPDATE(IDENTITY(ID_A, "7") PROPERTIES("UpdateType=\"Software\" EulaID=\"" ID_D "\" MaxDownloadSize=\"77\"", \
	"<KBArticleID>5</KBArticleID>") COLLECTION(LOCALIZED("en", "Title") "<EulaFile Digest=\"" DIGEST_1 \
	"\" FileName=\"e.txt\" Size=\"9\" Language=\"en\" GeoId=\"USA\" />") "<Relationships><Prerequisites><AtLeastOne " \
	"IsCategory=\"true\"><UpdateIdentity UpdateID=\"" ID_B "\" /></AtLeastOne></Prerequisites><BundledUpdates>" \
	IDENTITY(ID_C, "3") "</BundledUpdates></Relationships><Files><File Digest=\"" DIGEST_1 "\" FileName=\"f.cab\" " \
	"Size=\"9\"><AdditionalDigest Algorithm=\"SHA256\">" DIGEST_256 "</AdditionalDigest></File></Files>")

/* holds: WUSP-POPULATE-02 WUSP-POPULATE-03 WUSP-POPULATE-19 WSUSSS-POPULATE-08
 * partly: WUSP-POPULATE-16 (the revision is found by identity when it is asked for) */
static void test_rows_of_a_document(void **state)
{
	(void)state;
	struct import_report r = put_alone(SL(FULL), 0);
	assert_int_equal(r.outcome, IMPORT_NEW);
	struct err e;
	struct txn *t = reading();
	struct revision v;
	assert_int_equal(revision_get(t, r.revision, &v, &e), E_OK);
	assert_int_equal(v.number, 7);
	assert_int_equal(v.imported, NOW);
	assert_int_equal(v.doc_bytes, sizeof(FULL) - 1);
	assert_int_equal(v.max_download, 77);
	assert_true(v.deployment_id > 0);
	assert_true(slice_eq(v.title, SL("Title")) && slice_eq(v.kb, SL("5")) && slice_eq(v.language, SL("en")));
	assert_int_equal(v.eula.b[0], 0x44);
	int32_t id;
	assert_int_equal(revision_find(t, &v.update, 7, &id), E_OK);
	assert_int_equal(id, r.revision);
	struct update u;
	assert_int_equal(update_get(t, v.update_no, &u, &e), E_OK);
	assert_true(u.known);
	struct relations rel;
	assert_int_equal(relations_get(t, r.revision, &rel, &e), E_OK);
	assert_int_equal(rel.nprereq, 1);
	assert_true(rel.prereq[0].is_category);
	assert_int_equal(rel.nbundle, 1);
	assert_int_equal(rel.bundle[0].number, 3);
	assert_int_equal(update_get(t, rel.bundle[0].update_no, &u, &e), E_OK);
	assert_false(u.known); /* named, not held: it may come later */
	assert_int_equal(u.id.b[0], 0x33);
	struct revision_file *f;
	size_t n;
	assert_int_equal(revision_files(t, r.revision, &f, &n, &e), E_OK);
	assert_int_equal(n, 2);
	assert_true(f[0].eula && slice_eq(f[0].locale, SL("en")) && slice_eq(f[0].geo, SL("USA")));
	assert_true(!f[1].eula && slice_eq(f[1].name, SL("f.cab")));
	struct file file;
	assert_int_equal(file_get(t, &f[1].digest, &file, &e), E_OK);
	assert_int_equal(file.size, 9);
	assert_true(file.has_sha256 && file.eula);
	struct fragment_key *keys;
	assert_int_equal(fragment_keys(t, r.revision, FRAG_EULA, &keys, &n, &e), E_OK);
	assert_int_equal(n, 1);
	assert_true(slice_eq(keys[0].geo, SL("USA")));
	uint32_t member = rel.bundle[0].update_no;
	txn_end(&t);
	audit_is_clean();

	r = put_alone(SL(UPDATE(IDENTITY(ID_C, "3") SOFTWARE ENGLISH)), 0);
	assert_int_equal(r.outcome, IMPORT_NEW);
	t = reading();
	assert_int_equal(revision_get(t, r.revision, &v, &e), E_OK);
	assert_int_equal(v.update_no, member);
	txn_end(&t);
	audit_is_clean();
}

/* holds: WUSP-POPULATE-04 */
static void test_known_and_different(void **state)
{
	(void)state;
	struct err e = {.code = E_OK};
	struct import *i = begin();
	int32_t id = put(i, SL(FULL), 0, &e).revision;
	struct import_report r = put(i, SL(FULL), 0, &e); /* in the same batch */
	assert_int_equal(r.outcome, IMPORT_KNOWN);
	assert_int_equal(r.revision, id);
	finish(&i);
	uint64_t before = all_rows();
	i = begin();
	r = put(i, SL("\xEF\xBB\xBF" FULL), 1, &e); /* a byte order mark is no part of the document */
	assert_int_equal(r.outcome, IMPORT_KNOWN);
	assert_int_equal(r.revision, id);
	assert_int_equal(r.number, 7);
	r = put(i, SL(FULL "\n"), 0, &e);
	assert_int_equal(r.outcome, IMPORT_DIFFERENT);
	assert_int_equal(r.revision, id);
	assert_int_equal(e.code, E_EXISTS);
	struct slice whole = SL(FULL), identity = SL("<UpdateIdentity");
	char text[160];
	const char *at = memmem(whole.p, whole.n, identity.p, identity.n);
	assert_non_null(at);
	snprintf(text, sizeof(text), "byte %zu: " ID_A ":7 is here already with other content; a revision never changes",
		(size_t)(at - whole.p));
	assert_string_equal(e.text, text);
	r = put(i, SL(UPDATE(IDENTITY(ID_A, "7"))), 0, &e);
	assert_int_equal(r.outcome, IMPORT_REFUSED);
	finish(&i);
	assert_int_equal(all_rows(), before);
	r = put_alone(SL(UPDATE(IDENTITY(ID_A, "8") SOFTWARE ENGLISH)), 0);
	assert_int_equal(r.outcome, IMPORT_NEW);
	assert_int_equal(r.revision, id + 1);
	audit_is_clean();
}

static void test_a_refused_document_leaves_nothing(void **state)
{
	(void)state;
	put_alone(SL(UPDATE(IDENTITY(ID_B, "1") SOFTWARE ENGLISH)), 0);
	uint64_t before = all_rows();
	static const char *const bad[] = {
		UPDATE(IDENTITY(ID_A, "7") SOFTWARE ENGLISH "<Relationships><Prerequisites>" IDENTITY(ID_D, "1")
			"</Prerequisites></Relationships><Files><File Digest=\"" DIGEST_1 "\" FileName=\"f\" Size=\"1\"/></Files>"
			"<Files/>"),
		"<Update xmlns=\"" NS_UPD "\">" IDENTITY(ID_A, "7") SOFTWARE ENGLISH,
		"no xml",
	};
	struct err e;
	struct import *i = begin();
	for (size_t k = 0; k < COUNTOF(bad); k++) {
		struct import_report r = put(i, slice_of(bad[k]), 0, &e);
		assert_int_equal(r.outcome, IMPORT_REFUSED);
		assert_int_equal(r.revision, 0);
		assert_int_equal(e.code, E_FORM);
		assert_int_equal(strncmp(e.text, "byte ", 5), 0);
	}
	struct buf b;
	buf_init(&b, (size_t)32 << 20);
	big_document(&b, (size_t)24 << 20, false); /* truncated: pieces were committed by then */
	assert_int_equal(put(i, buf_bytes(&b), 0, &e).outcome, IMPORT_REFUSED);
	buf_free(&b);
	struct import_report r = put(i, SL(UPDATE(IDENTITY(ID_C, "1") SOFTWARE ENGLISH)), 0, &e);
	assert_int_equal(r.revision, 2); /* no number was used up */
	finish(&i);
	assert_int_equal(put_alone(SL("x"), 0).outcome, IMPORT_REFUSED);
	struct txn *t = reading();
	assert_int_equal(rows(t, DB_REVISION), 2);
	assert_int_equal(rows(t, DB_FRAGMENT), 2 * 4);
	assert_int_equal(rows(t, DB_FILE), 0);
	txn_end(&t);
	/* of the good one: 4 fragments, update, its id, identity, revision, perhaps an empty relation */
	assert_in_range(all_rows() - before, 8, 9);
	audit_is_clean();
}

/* The texts of one language with a description of n bytes. */
static void language(struct buf *b, const char *locale, size_t n)
{
	buf_printf(b, "<LocalizedProperties><Language>%s</Language><Title>T</Title><Description>", locale);
	for (size_t i = 0; i < n; i++)
		buf_char(b, (char)('a' + (i * 2654435761u >> 7) % 26));
	buf_str(b, "</Description></LocalizedProperties>");
}

static const struct {
	const char *locale;
	size_t n;
} languages[] = {{"zh-tw", 10}, {"en", 40}, {"de", 5000}, {"de-at", 5000}, {"fr", 20000}, {"xx", 400000}, {"en-gb", 1}};

static void many_languages(struct buf *b)
{
	buf_str(b, "<Update xmlns=\"" NS_UPD "\">" IDENTITY(ID_A, "7") SOFTWARE "<LocalizedPropertiesCollection>");
	for (size_t i = 0; i < COUNTOF(languages); i++)
		language(b, languages[i].locale, languages[i].n);
	buf_str(b, "</LocalizedPropertiesCollection></Update>");
}

static int count_row(struct slice key, struct slice value, void *arg)
{
	(void)key;
	(void)value;
	++*(int *)arg;
	return E_OK;
}

static int localized_rows(struct txn *t, int32_t id)
{
	int n = 0;
	char prefix[5] = {0, 0, 0, 0, FRAG_LOCALIZED};
	put_be32(prefix, (uint32_t)id);
	assert_int_equal(db_each(t, DB_FRAGMENT, (struct slice){prefix, sizeof(prefix)}, count_row, &n, NULL), E_OK);
	return n;
}

/* Short ones share a row, English and long ones have their own: nobody who asks can tell. */
static void test_languages_share_a_row(void **state)
{
	(void)state;
	struct buf doc, got, want;
	buf_init(&doc, (size_t)1 << 20);
	buf_init(&got, (size_t)1 << 20);
	buf_init(&want, (size_t)1 << 20);
	many_languages(&doc);
	struct import_report r = put_alone(buf_bytes(&doc), 0);
	assert_int_equal(r.outcome, IMPORT_NEW);
	struct txn *t = reading();
	assert_int_equal(localized_rows(t, r.revision), 1 /* shared */ + 2 /* en, fr */ + 2 /* xx */);
	for (size_t i = 0; i < COUNTOF(languages); i++) {
		buf_reset(&want);
		language(&want, languages[i].locale, languages[i].n);
		stored(t, r.revision, FRAG_LOCALIZED, languages[i].locale, &got);
		assert_true(slice_eq(buf_bytes(&got), buf_bytes(&want)));
	}
	static const char *const sorted[] = {"de", "de-at", "en", "en-gb", "fr", "xx", "zh-tw"};
	struct fragment_key *keys;
	struct frag f;
	size_t n;
	assert_int_equal(fragment_keys(t, r.revision, FRAG_LOCALIZED, &keys, &n, NULL), E_OK);
	assert_int_equal(n, COUNTOF(sorted));
	for (size_t i = 0; i < n; i++)
		assert_true(slice_eq(keys[i].locale, slice_of(sorted[i])));
	static const char *const none[] = {"", "d", "de-", "it"};
	for (size_t i = 0; i < COUNTOF(none); i++)
		assert_int_equal(fragment_get(t, r.revision, FRAG_LOCALIZED, slice_of(none[i]), SL(""), &f, NULL), E_NOTFOUND);
	txn_end(&t);
	buf_free(&doc);
	buf_free(&got);
	buf_free(&want);
	audit_is_clean();
}

/* The longest locale and region that the reader lets through have room in the store's keys. */
static void test_the_longest_locale_fits(void **state)
{
	(void)state;
#define SIXTEEN "abcdefghijklmnop"
	static const char doc[] = UPDATE(IDENTITY(ID_A, "7") SOFTWARE COLLECTION(LOCALIZED(SIXTEEN SIXTEEN SIXTEEN SIXTEEN, "T")
		"<EulaFile Digest=\"" DIGEST_1 "\" FileName=\"e\" Size=\"9\" Language=\"" SIXTEEN SIXTEEN SIXTEEN SIXTEEN
		"\" GeoId=\"" SIXTEEN "\" />"));
	struct import_report r = put_alone(SL(doc), 0);
	assert_int_equal(r.outcome, IMPORT_NEW);
	struct buf b;
	buf_init(&b, 4096);
	struct txn *t = reading();
	stored(t, r.revision, FRAG_LOCALIZED, SIXTEEN SIXTEEN SIXTEEN SIXTEEN, &b);
	assert_true(b.n > 64);
	txn_end(&t);
	buf_free(&b);
	audit_is_clean();
}

static void numbered(struct buf *b, unsigned n)
{
	buf_reset(b);
	buf_printf(b, "<Update xmlns=\"" NS_UPD "\"><UpdateIdentity UpdateID=\"%08x-0000-4000-8000-000000000000\" "
		"RevisionNumber=\"1\"/>" SOFTWARE ENGLISH "</Update>", n);
}

static void test_a_batch_commits_by_documents_and_an_aborted_tail_is_given_up(void **state)
{
	(void)state;
	struct err e;
	struct buf b;
	buf_init(&b, 4096);
	struct import *i = begin();
	for (unsigned n = 1; n <= LIMIT_BATCH_DOCS + 20; n++) {
		numbered(&b, n);
		assert_int_equal(put(i, buf_bytes(&b), 0, &e).outcome, IMPORT_NEW);
	}
	assert_int_equal(import_end(&i, true, &e), E_OK);
	struct txn *t = reading();
	assert_int_equal(rows(t, DB_REVISION), LIMIT_BATCH_DOCS);
	struct revision v;
	assert_int_equal(revision_get(t, 1, &v, &e), E_OK);
	assert_false(v.flags & REV_PUBLISHED);
	txn_end(&t);
	audit_is_clean();
	numbered(&b, LIMIT_BATCH_DOCS + 20);
	struct import_report r = put_alone(buf_bytes(&b), 0);
	assert_int_equal(r.revision, LIMIT_BATCH_DOCS + 1);
	t = reading();
	assert_int_equal(revision_get(t, 1, &v, &e), E_OK);
	assert_true(v.flags & REV_PUBLISHED);
	assert_int_equal(revision_get(t, r.revision, &v, &e), E_OK);
	assert_true(v.flags & REV_PUBLISHED);
	txn_end(&t);
	buf_free(&b);
	audit_is_clean();
}

/* ---- as a synchronization does it ---- */

static bool shown(int32_t id, unsigned *flags)
{
	struct txn *t = reading();
	struct revision v;
	struct err e;
	int rc = revision_get(t, id, &v, &e);
	txn_end(&t);
	*flags = rc == E_OK ? v.flags : 0;
	return rc == E_OK && v.flags & REV_PUBLISHED;
}

/* holds: WSUSSS-DSS-META-16 */
static void test_what_is_held_waits_for_the_end_of_the_synchronization(void **state)
{
	(void)state;
	struct err e;
	struct buf b;
	struct txn *t;
	struct publish_report p;
	unsigned flags;
	buf_init(&b, 4096);
	struct import *i = begin();
	import_hold(i);
	numbered(&b, 1);
	assert_int_equal(put(i, buf_bytes(&b), 0, &e).outcome, IMPORT_NEW);
	assert_int_equal(import_rest(i, &e), E_OK);
	assert_int_equal(import_rest(i, &e), E_OK); /* rests already */
	/* meanwhile somebody else imports, reads and publishes */
	numbered(&b, 2);
	assert_int_equal(put_alone(buf_bytes(&b), 0).revision, 2);
	assert_true(shown(2, &flags));
	assert_false(shown(1, &flags));
	assert_true(flags & REV_HELD);
	audit_is_clean();
	numbered(&b, 3);
	assert_int_equal(put(i, buf_bytes(&b), 0, &e).revision, 3);
	numbered(&b, 1);
	assert_int_equal(put(i, buf_bytes(&b), 0, &e).outcome, IMPORT_KNOWN);
	assert_int_equal(import_end(&i, false, &e), E_OK); /* a plain publish */
	assert_false(shown(1, &flags) || shown(3, &flags));
	audit_is_clean();
	/* what is brought by hand is wanted now */
	numbered(&b, 3);
	assert_int_equal(put_alone(buf_bytes(&b), 0).outcome, IMPORT_KNOWN);
	assert_true(shown(3, &flags));
	assert_false(flags & REV_HELD);
	assert_int_equal(publish_ready(store, false, NOW, &e), E_OK);
	audit_is_clean();
	assert_int_equal(txn_begin(store, TXN_CATALOG, &t, &e), E_OK);
	assert_int_equal(publish_held(t, NOW, &p, &e), E_OK);
	assert_int_equal(p.shown, 1);
	assert_int_equal(txn_commit(&t, &e), E_OK);
	assert_true(shown(1, &flags));
	buf_free(&b);
	audit_is_clean();
}

static void test_another_import_while_one_rests(void **state)
{
	(void)state;
	struct err e;
	struct buf b;
	char path[300];
	buf_init(&b, 4096);
	numbered(&b, 1);
	struct import *i = begin();
	assert_int_equal(import_rest(i, &e), E_OK);
	snprintf(path, sizeof(path), "%s/catalog/import.lock", dir);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	struct mem_source m = {buf_bytes(&b), 0};
	struct import_report r;
	assert_int_equal(import_document(i, mem_refill, &m, &r, &e), E_BUSY);
	assert_int_equal(m.left.n, b.n);
	close(fd);
	assert_int_equal(import_document(i, mem_refill, &m, &r, &e), E_OK);
	assert_int_equal(r.outcome, IMPORT_NEW);
	finish(&i);
	buf_free(&b);
	audit_is_clean();
}

/* holds: WSUSSS-POPULATE-10 */
static void test_another_identity_than_asked_for_is_refused(void **state)
{
	(void)state;
	struct err e;
	struct buf b;
	struct guid one = {{0, 0, 0, 1, 0, 0, 0x40, 0, 0x80}}, two = {{0, 0, 0, 2, 0, 0, 0x40, 0, 0x80}};
	buf_init(&b, 4096);
	numbered(&b, 1);
	struct import *i = begin();
	import_expect(i, &two, 1);
	assert_int_equal(put(i, buf_bytes(&b), 0, &e).outcome, IMPORT_REFUSED);
	assert_non_null(strstr(e.text, "00000001-0000-4000-8000-000000000000:1; asked for was "
		"00000002-0000-4000-8000-000000000000:1"));
	import_expect(i, &one, 2);
	assert_int_equal(put(i, buf_bytes(&b), 0, &e).outcome, IMPORT_REFUSED);
	import_expect(i, &one, 1);
	assert_int_equal(put(i, buf_bytes(&b), 0, &e).outcome, IMPORT_NEW);
	numbered(&b, 3); /* expected was the next one alone */
	assert_int_equal(put(i, buf_bytes(&b), 0, &e).outcome, IMPORT_NEW);
	finish(&i);
	buf_free(&b);
	audit_is_clean();
}

static bool file_has(const struct sha1 *digest, struct slice url, struct slice key)
{
	struct txn *t = reading();
	struct file f;
	struct err e;
	bool has = file_get(t, digest, &f, &e) == E_OK && slice_eq(f.mu_url, url) && slice_eq(f.key, key);
	txn_end(&t);
	return has;
}

/* partly: WSUSSS-DSS-META-17 (here of what the store keeps) */
static void test_what_is_said_of_files_besides(void **state)
{
	(void)state;
	struct err e;
	struct sha1 digest, none = {{9}};
	assert_true(text_base64_fixed(SL(DIGEST_1), &digest, sizeof(digest)));
	struct import *i = begin();
	import_hold(i);
	assert_int_equal(put(i, SL(FULL), 0, &e).outcome, IMPORT_NEW);
	assert_int_equal(import_rest(i, &e), E_OK);
	assert_int_equal(import_file_says(i, &digest, SL("http://a/b"), SL(""), &e), E_OK);
	assert_int_equal(import_file_says(i, &digest, SL(""), SL("key"), &e), E_OK);
	assert_int_equal(import_file_says(i, &none, SL("http://no"), SL(""), &e), E_OK);
	assert_int_equal(import_rest(i, &e), E_OK);
	assert_int_equal(import_end(&i, true, &e), E_OK);
	assert_true(file_has(&digest, SL("http://a/b"), SL("key")));
	audit_is_clean();
}

/* ---- identical rows however the bytes arrive ---- */

static int add_row(struct slice key, struct slice value, void *arg)
{
	struct buf *b = arg;
	rec_put_str(b, key);
	buf_slice(b, value);
	return b->rc;
}

static void dump(struct buf *b)
{
	struct txn *t = reading();
	for (size_t i = 0; i < COUNTOF(document_dbs); i++)
		if (document_dbs[i] != DB_META) /* the server's id */
			assert_int_equal(db_each(t, document_dbs[i], SL0, add_row, b, NULL), E_OK);
	txn_end(&t);
}

static void test_rows_are_the_same_however_the_bytes_arrive(void **state)
{
	struct buf doc, first, other;
	buf_init(&doc, (size_t)4 << 20);
	buf_init(&first, (size_t)16 << 20);
	buf_init(&other, (size_t)16 << 20);
	big_document(&doc, (size_t)2 << 20, true);
	static const size_t steps[] = {0, 1, 977};
	for (size_t k = 0; k < COUNTOF(steps); k++) {
		struct err e;
		struct import *i = begin();
		put(i, buf_bytes(&doc), steps[k], &e);
		put(i, SL(FULL), steps[k], &e); /* known identity, other content */
		finish(&i);
		buf_reset(&other);
		dump(k ? &other : &first);
		if (k)
			assert_true(slice_eq(buf_bytes(&first), buf_bytes(&other)));
		assert_true(first.n > 100000);
		teardown(state);
		assert_int_equal(setup(state), 0);
	}
	buf_free(&doc);
	buf_free(&first);
	buf_free(&other);
}

/* ---- a kill in the middle ---- */

struct deadly {
	struct mem_source m;
	size_t left; /* bytes until the end */
};

static ptrdiff_t deadly_refill(void *arg, char *to, size_t n, struct err *e)
{
	struct deadly *d = arg;
	ptrdiff_t got = mem_refill(&d->m, to, n, e);
	if ((size_t)got >= d->left)
		raise(SIGKILL);
	d->left -= (size_t)got;
	return got;
}

static void die_at(struct slice doc, size_t at)
{
	pid_t pid = fork();
	if (pid == 0) { /* its own environment: never across fork */
		struct deadly d = {{doc, 0}, at};
		struct import_report r;
		struct err e;
		store = open_store(dir);
		struct import *i = begin();
		struct mem_source first = {SL(UPDATE(IDENTITY(ID_B, "1") SOFTWARE ENGLISH)), 0};
		int rc = import_document(i, mem_refill, &first, &r, &e);
		if (rc == E_OK)
			rc = import_document(i, deadly_refill, &d, &r, &e);
		_exit(rc == E_OK ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void test_a_killed_import_leaves_nothing_and_can_be_done_again(void **state)
{
	(void)state;
	struct buf b;
	buf_init(&b, (size_t)64 << 20);
	big_document(&b, (size_t)24 << 20, true);
	static const size_t at[] = {1, (size_t)4 << 20, (size_t)13 << 20, (size_t)23 << 20};
	for (size_t k = 0; k < COUNTOF(at); k++) {
		store_close(&store);
		die_at(buf_bytes(&b), at[k]);
		store = open_store(dir);
		audit_is_clean();
		struct txn *t = reading();
		assert_int_equal(rows(t, DB_FRAGMENT), rows(t, DB_REVISION) * 4);
		assert_true(rows(t, DB_REVISION) <= 1);
		txn_end(&t);
	}
	struct import_report r = put_alone(buf_bytes(&b), 0);
	assert_int_equal(r.outcome, IMPORT_NEW);
	assert_int_equal(put_alone(buf_bytes(&b), 0).outcome, IMPORT_KNOWN);
	audit_is_clean();
	struct txn *t = reading();
	struct buf back;
	buf_init(&back, (size_t)64 << 20);
	stored(t, r.revision, FRAG_ORIGINAL, "", &back);
	assert_true(slice_eq(buf_bytes(&back), buf_bytes(&b)));
	txn_end(&t);
	buf_free(&back);
	buf_free(&b);
}

/* ---- failures ---- */

static ptrdiff_t broken_refill(void *arg, char *to, size_t n, struct err *e)
{
	struct mem_source *m = arg;
	if (m->left.n)
		return mem_refill(m, to, n, e);
	err_set(e, E_IO, "the disk is gone");
	return -1;
}

static void test_a_failure_ends_the_batch_and_the_rest_is_published(void **state)
{
	(void)state;
	struct err e;
	struct buf b;
	buf_init(&b, (size_t)32 << 20);
	big_document(&b, (size_t)24 << 20, true);
	struct import *i = begin();
	assert_int_equal(put(i, SL(FULL), 0, &e).outcome, IMPORT_NEW);
	struct mem_source m = {{b.p, b.n / 2}, 0};
	struct import_report r;
	assert_int_equal(put(i, SL(UPDATE(IDENTITY(ID_C, "3") SOFTWARE ENGLISH)), 0, &e).outcome, IMPORT_NEW);
	assert_int_equal(import_document(i, broken_refill, &m, &r, &e), E_IO);
	assert_string_equal(e.text, "the disk is gone");
	struct mem_source again = {SL(FULL), 0};
	assert_int_equal(import_document(i, mem_refill, &again, &r, &e), E_IO);
	assert_non_null(strstr(e.text, "the batch has ended"));
	finish(&i);
	struct txn *t = reading();
	assert_int_equal(rows(t, DB_FRAGMENT), rows(t, DB_REVISION) * 4 + (rows(t, DB_REVISION) ? 1 : 0) /* the EULA */);
	txn_end(&t);
	audit_is_clean();
	i = begin();
	r = put(i, SL(FULL), 0, &e);
	assert_true(r.outcome == IMPORT_NEW || r.outcome == IMPORT_KNOWN);
	finish(&i);
	audit_is_clean();
	buf_free(&b);
}

/* One import with the nth allocation failing; returns whether it was reached. */
static bool import_with_failure(long n, struct slice doc)
{
	struct err e = {.code = E_OK};
	struct import *i;
	struct import_report r = {.outcome = IMPORT_REFUSED};
	struct mem_source m = {doc, 0};
	alloc_fail_at = n;
	int rc = import_begin(&i, store, NOW, &e);
	if (rc == E_OK) {
		rc = import_document(i, mem_refill, &m, &r, &e);
		if (rc == E_OK && r.outcome == IMPORT_REFUSED)
			fail_msg("allocation %ld failed and the document was called bad: %s", n, e.text);
		int end = import_end(&i, rc != E_OK, &e);
		rc = rc == E_OK ? end : rc;
	}
	bool reached = alloc_fail_at <= 0;
	alloc_fail_at = 0;
	if (reached ? rc != E_OK && rc != E_NOMEM : rc != E_OK)
		fail_msg("allocation %ld: rc %d, %s", n, rc, e.text);
	return reached;
}

static void test_every_allocation_may_fail(void **state)
{
	(void)state;
	for (long n = 1; import_with_failure(n, SL(FULL)); n++)
		if (n % 8 == 0)
			audit_is_clean();
	assert_int_equal(put_alone(SL(FULL), 0).outcome, IMPORT_KNOWN);
	struct txn *t = reading();
	assert_int_equal(rows(t, DB_REVISION), 1);
	txn_end(&t);
	audit_is_clean();
}

static void test_one_import_at_a_time(void **state)
{
	(void)state;
	struct import *i = begin();
	pid_t pid = fork();
	if (pid == 0) {
		struct err e = {.code = E_OK};
		struct store *mine = NULL;
		struct import *other = NULL;
		int rc = store_open(&mine, dir, STORE_ADMIN, &e);
		if (rc == E_OK)
			rc = import_begin(&other, mine, NOW, &e);
		_exit(rc == E_BUSY && !other && strstr(e.text, "another import") ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	finish(&i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_real_documents_come_back_byte_for_byte, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rows_of_a_document, setup, teardown),
		cmocka_unit_test_setup_teardown(test_known_and_different, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_refused_document_leaves_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_longest_locale_fits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_languages_share_a_row, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_batch_commits_by_documents_and_an_aborted_tail_is_given_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rows_are_the_same_however_the_bytes_arrive, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_killed_import_leaves_nothing_and_can_be_done_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_failure_ends_the_batch_and_the_rest_is_published, setup, teardown),
		cmocka_unit_test_setup_teardown(test_every_allocation_may_fail, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_import_at_a_time, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_held_waits_for_the_end_of_the_synchronization, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_said_of_files_besides, setup, teardown),
		cmocka_unit_test_setup_teardown(test_another_import_while_one_rests, setup, teardown),
		cmocka_unit_test_setup_teardown(test_another_identity_than_asked_for_is_refused, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
