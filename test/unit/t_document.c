/* t_document.c -- update documents: fragments byte for byte, facts, refusals with their words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/arena.h"
#include "common/limits.h"
#include "test/unit/corpus.h"
#include "test/unit/update_doc.h"

static struct document *doc;
static struct got *got;

static int setup(void **state)
{
	(void)state;
	doc = document_new();
	got = got_new();
	return doc && got ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	document_free(&doc);
	got_free(got);
	return 0;
}

static void read_ok(struct slice s)
{
	struct err e = {.code = E_OK};
	got_free(got);
	got = got_new();
	int rc = got_read(got, doc, s, 0, &e);
	if (rc != E_OK)
		fail_msg("refused: %s", e.text);
}

static struct slice fragment(enum fragment_type type, const char *locale, const char *geo)
{
	struct got_fragment *f = got_find(got, type, locale, geo);
	if (!f)
		fail_msg("no fragment %d %s %s", type, locale, geo);
	return buf_bytes(&f->text);
}

static void assert_text(struct slice s, const char *want)
{
	if (!slice_eq(s, slice_of(want)))
		fail_msg("got  %.*s\nwant %s", SLF(s), want);
}

#define CORE() fragment(FRAG_CORE, "", "")
#define EXTENDED() fragment(FRAG_EXTENDED, "", "")
#define HEAD "<UpdateIdentity UpdateID=\"" ID_A "\" RevisionNumber=\"7\" /><Properties UpdateType=\"Software\" />"

/* ================= the corpus ================= */

static const char *const corpus[] = {
	"1f9bd9bb-7390-4aa3-bbdb-ded99fac2583-r200", "266f6222-c89d-43f2-9f8a-69340271e677-r200",
	"56309036-4c77-4dd9-951a-99ee9c246a94-r101", "ccb78947-6453-4ecc-9de8-bc0305c98f2d-r200",
	"ff36f0b5-dded-4780-8664-cd78af8b62c1-r200",
};

static void same_as_file(const char *name, const char *kind, struct slice s)
{
	char path[128];
	struct buf want;
	buf_init(&want, (size_t)1 << 20);
	snprintf(path, sizeof(path), "fragments/%s.%s.xml", name, kind);
	if (!read_whole(&want, corpus_dir(), path))
		fail_msg("%s is missing beside its document", path);
	buf_char(&want, '\0');
	assert_text(s, want.p);
	buf_free(&want);
}

/* holds: WUSP-POPULATE-21 WUSP-POPULATE-25 WUSP-POPULATE-27 WUSP-POPULATE-29 */
static void test_fragments_are_those_of_a_real_server(void **state)
{
	(void)state;
	SKIP_WITHOUT(corpus_dir());
	for (size_t i = 0; i < COUNTOF(corpus); i++) {
		char path[128];
		struct buf b;
		buf_init(&b, (size_t)1 << 20);
		snprintf(path, sizeof(path), "updates/%s.xml", corpus[i]);
		assert_true(read_whole(&b, corpus_dir(), path));
		read_ok(buf_bytes(&b));
		same_as_file(corpus[i], "core", CORE());
		same_as_file(corpus[i], "extended", EXTENDED());
		same_as_file(corpus[i], "localized-en", fragment(FRAG_LOCALIZED, "en", ""));
		assert_true(slice_eq(fragment(FRAG_ORIGINAL, "", ""), buf_bytes(&b)));
		assert_int_equal(got->facts.rev.doc_bytes, b.n);
		buf_free(&b);
	}
}

static void test_facts_of_a_real_bundle(void **state)
{
	(void)state;
	SKIP_WITHOUT(corpus_dir());
	struct buf b;
	buf_init(&b, (size_t)1 << 20);
	assert_true(read_whole(&b, corpus_dir(), "updates/a2fef9b0-7951-4c2c-a42b-9e351dd1c1fe-r200.xml"));
	read_ok(buf_bytes(&b));
	const struct document_facts *f = &got->facts;
	assert_int_equal(f->rel[REL_SUPERSEDED].n, 10);
	assert_int_equal(f->rel[REL_PREREQ].n, 4);
	assert_false(f->rel[REL_PREREQ].v[1].is_category);
	assert_true(f->rel[REL_PREREQ].v[2].is_category);
	assert_int_equal(f->rel[REL_BUNDLE].n, 124);
	assert_int_equal(f->rel[REL_BUNDLE].v[123].clause, 3);
	assert_int_equal(f->rel[REL_BUNDLE].v[123].number, 200);
	assert_int_equal(f->rev.flags, REV_BUNDLE | REV_EXPLICIT);
	assert_text(f->rev.kb, "2267602");
	assert_text(f->rev.title, "Security Intelligence Update for Microsoft Defender Antivirus - KB2267602 "
				  "(Version 1.459.547.0) - Current Channel (Broad)");
	size_t languages = 0;
	for (size_t i = 0; i < got->n; i++)
		languages += got->v[i].type == FRAG_LOCALIZED;
	assert_int_equal(languages, 35);
	assert_non_null(got_find(got, FRAG_LOCALIZED, "pt-br", ""));
	buf_free(&b);
}

/* ================= names ================= */

#define RULES(s) "<ApplicabilityRules><IsInstalled>" s "</IsInstalled></ApplicabilityRules>"

/* holds: WUSP-POPULATE-01 WUSP-POPULATE-24 WSUSSS-POPULATE-02 */
static void test_names_go_by_namespace_whatever_the_prefix(void **state)
{
	(void)state;
	read_ok(SL("<q:Update xmlns:q=\"" NS_UPD "\" xmlns:z=\"" NS_BAR "\"><q:UpdateIdentity UpdateID=\"" ID_A
		   "\" RevisionNumber=\"7\"/><q:Properties UpdateType=\"Software\"/><q:LocalizedPropertiesCollection>"
		   "<q:LocalizedProperties><q:Language>EN</q:Language><q:Title>x</q:Title></q:LocalizedProperties>"
		   "</q:LocalizedPropertiesCollection><q:ApplicabilityRules><q:IsInstalled><And xmlns=\"" NS_LAR "\">"
		   "<z:RegDword Key='k'/><a:RegSz xmlns:a=\"" NS_BAR "\" a:Odd=\"1\"/><X xmlns=\"" NS_MAR "\"><Y/></X>"
		   "</And></q:IsInstalled></q:ApplicabilityRules></q:Update>"));
	assert_text(CORE(), HEAD "<ApplicabilityRules><IsInstalled><And><b.RegDword Key=\"k\" /><b.RegSz Odd=\"1\" />"
				 "<m.X><m.Y /></m.X></And></IsInstalled></ApplicabilityRules>");
	assert_text(fragment(FRAG_LOCALIZED, "en", ""),
		"<LocalizedProperties><Language>EN</Language><Title>x</Title></LocalizedProperties>");
}

/* holds: WUSP-POPULATE-07 WUSP-POPULATE-12 */
static void test_driver_metadata_keeps_its_children(void **state)
{
	(void)state;
	read_ok(SL(UPDATE(IDENTITY(ID_A, "7") PROPERTIES("UpdateType=\"Driver\"", "") ENGLISH
		"<ApplicabilityRules><Metadata><d:WindowsDriverMetaData xmlns:d=\"" NS_DRV "\" HardwareID=\"pci\\v\">"
		"<d:FeatureScore OperatingSystem=\"x\" FeatureScore=\"18\"/><d:TargetComputerHardwareId>" ID_B
		"</d:TargetComputerHardwareId></d:WindowsDriverMetaData></Metadata></ApplicabilityRules>"
		"<HandlerSpecificData xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"d:WindowsDriver\">"
		"<WindowsDriver xmlns=\"" NS_DRV "\"/></HandlerSpecificData>")));
	assert_text(CORE(), "<UpdateIdentity UpdateID=\"" ID_A "\" RevisionNumber=\"7\" /><Properties UpdateType=\"Driver\" />"
		"<ApplicabilityRules><Metadata><d.WindowsDriverMetaData HardwareID=\"pci\\v\"><d.FeatureScore "
		"OperatingSystem=\"x\" FeatureScore=\"18\" /><d.TargetComputerHardwareId>" ID_B
		"</d.TargetComputerHardwareId></d.WindowsDriverMetaData></Metadata></ApplicabilityRules>");
	assert_text(EXTENDED(), "<ExtendedProperties /><HandlerSpecificData type=\"d:WindowsDriver\"><WindowsDriver />"
				"</HandlerSpecificData>");
	assert_int_equal(got->facts.rev.type, TYPE_DRIVER);
}

static void test_msi_patch_keeps_its_namespace(void **state)
{
	(void)state;
#define MSI(decl, inner) \
	PLAIN("<ApplicabilityRules><Metadata><mar:MsiPatchMetadata xmlns:mar=\"" NS_MAR "\"" decl ">" inner \
	      "</mar:MsiPatchMetadata></Metadata></ApplicabilityRules>")
#define WANT HEAD "<ApplicabilityRules><Metadata><m.MsiPatchMetadata><MsiPatch xmlns=\"" NS_MSP \
		  "\" SchemaVersion=\"1\"><TargetProduct /></MsiPatch></m.MsiPatchMetadata></Metadata></ApplicabilityRules>"
	read_ok(SL(MSI("", "<MsiPatch xmlns=\"" NS_MSP "\" SchemaVersion=\"1\"><TargetProduct/></MsiPatch>")));
	assert_text(CORE(), WANT);
	read_ok(SL(MSI(" xmlns:p=\"" NS_MSP "\"", "<p:MsiPatch SchemaVersion=\"1\"><p:TargetProduct/></p:MsiPatch>")));
	assert_text(CORE(), WANT);
}

static void test_handlers_lose_their_prefix(void **state)
{
	(void)state;
	read_ok(SL(PLAIN("<HandlerSpecificData i:type=\"cbs:Cbs\" xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\">"
			 "<cbs:CbsData xmlns:cbs=\"" NS_CBS "\" PackageIdentity=\"P~1\"/></HandlerSpecificData>")));
	assert_text(EXTENDED(), "<ExtendedProperties DefaultPropertiesLanguage=\"en\" /><HandlerSpecificData type=\"cbs:Cbs\">"
				"<CbsData PackageIdentity=\"P~1\" /></HandlerSpecificData>");
}

/* ================= Properties ================= */

/* holds: WUSP-POPULATE-22 WUSP-POPULATE-23 WUSP-POPULATE-28 */
static void test_properties_are_split_between_core_and_extended(void **state)
{
	(void)state;
	read_ok(SL(UPDATE(IDENTITY(ID_A, "7") PROPERTIES(
		"EulaID=\"" ID_B "\" OSUpgrade=\"swap\" AutoSelectOnWebSites=\"true\" ExplicitlyDeployable=\"true\" "
		"LegacyName=\"l\" DetectoidType=\"d\" IsPublic=\"true\" PublisherID=\"" ID_C "\" PerUser=\"false\" "
		"CreationDate=\"2026-10-04T12:00:58.381Z\" PublicationState=\"Expired\" UpdateType=\"Software\" "
		"MsrcSeverity=\"Critical\" DefaultPropertiesLanguage=\"de\" Handler=\"h\" MaxDownloadSize=\"12\" "
		"MinDownloadSize=\"0\"", "<InstallationBehavior Impact=\"Minor\"/><KBArticleID>1</KBArticleID>"
		"<KBArticleID>22</KBArticleID>") COLLECTION(LOCALIZED("fr", "F") LOCALIZED("de", "D&amp;") LOCALIZED("en", "E")))));
	assert_text(CORE(), "<UpdateIdentity UpdateID=\"" ID_A "\" RevisionNumber=\"7\" /><Properties UpdateType=\"Software\" "
		"ExplicitlyDeployable=\"true\" AutoSelectOnWebSites=\"true\" OSUpgrade=\"swap\" EulaID=\"" ID_B "\" />");
	assert_text(EXTENDED(), "<ExtendedProperties MsrcSeverity=\"Critical\" DefaultPropertiesLanguage=\"de\" Handler=\"h\" "
		"MaxDownloadSize=\"12\" MinDownloadSize=\"0\"><InstallationBehavior Impact=\"Minor\" /><KBArticleID>1"
		"</KBArticleID><KBArticleID>22</KBArticleID></ExtendedProperties>");
	const struct revision *r = &got->facts.rev;
	assert_int_equal(r->flags, REV_EXPLICIT | REV_EXPIRED | REV_OSUPGRADE);
	char when[TIME_TEXT + 1];
	time_text(r->created, when);
	assert_string_equal(when, "2026-10-04T12:00:58.381Z");
	assert_text(r->title, "D&");
	assert_text(r->kb, "1 22");
	assert_text(r->severity, "Critical");
	assert_text(r->language, "de");
	assert_int_equal(r->max_download, 12);
	char eula[GUID_TEXT + 1];
	guid_text(&r->eula, eula);
	assert_string_equal(eula, ID_B);
}

/* partly: WUSP-POPULATE-22 (values at their default, which the rule does not speak of, are left out) */
static void test_defaults_are_left_out(void **state)
{
	(void)state;
	read_ok(SL(UPDATE(IDENTITY(ID_A, "7") PROPERTIES("ExplicitlyDeployable=\"false\" AutoSelectOnWebSites=\"false\" "
		"OSUpgrade=\"none\" UpdateType=\"Software\" PerUser=\"true\"", "") ENGLISH)));
	assert_text(CORE(), HEAD);
	assert_text(EXTENDED(), "<ExtendedProperties PerUser=\"true\" />");
	assert_int_equal(got->facts.rev.flags, 0);
	assert_text(got->facts.rev.language, "en");
}

/* holds: WUSP-POPULATE-05 WUSP-POPULATE-06 */
static void test_types(void **state)
{
	(void)state;
	static const struct {
		const char *type;
		enum category_type want;
	} t[] = {{"Company", CAT_COMPANY}, {"ProductFamily", CAT_PRODUCT_FAMILY}, {"Product", CAT_PRODUCT},
		{"UpdateClassification", CAT_CLASSIFICATION}, {"Else", CAT_OTHER}};
	for (size_t i = 0; i < COUNTOF(t); i++) {
		char s[2048];
		snprintf(s, sizeof(s), "%s%s%s", "<Update xmlns=\"" NS_UPD "\">" IDENTITY(ID_A, "7")
			PROPERTIES("UpdateType=\"Category\"", "") ENGLISH "<HandlerSpecificData><c:CategoryInformation "
			"xmlns:c=\"urn:c\" CategoryType=\"", t[i].type, "\"/></HandlerSpecificData></Update>");
		read_ok(slice_of(s));
		assert_int_equal(got->facts.rev.type, TYPE_CATEGORY);
		assert_int_equal(got->facts.rev.category_type, t[i].want);
	}
	read_ok(SL(UPDATE(IDENTITY(ID_A, "7") PROPERTIES("UpdateType=\"Detectoid\"", "") ENGLISH)));
	assert_int_equal(got->facts.rev.type, TYPE_DETECTOID);
	assert_int_equal(got->facts.rev.category_type, CAT_NONE);
}

/* holds: WSUSSS-POPULATE-13 */
static void test_expired_is_a_publication_state(void **state)
{
	(void)state;
	read_ok(SL(UPDATE(IDENTITY(ID_A, "7") PROPERTIES("UpdateType=\"Software\" PublicationState=\"Expired\"", "") ENGLISH)));
	assert_true(got->facts.rev.flags & REV_EXPIRED);
	read_ok(SL(UPDATE(IDENTITY(ID_A, "7") PROPERTIES("UpdateType=\"Software\" PublicationState=\"Published\"", "") ENGLISH)));
	assert_false(got->facts.rev.flags & REV_EXPIRED);
	read_ok(SL(UPDATE(IDENTITY(ID_A, "7") PROPERTIES("UpdateType=\"Software\"", "") ENGLISH)));
	assert_false(got->facts.rev.flags & REV_EXPIRED);
}

/* holds: WSUSSS-POPULATE-02 */
static void test_secured_fragments_and_kinds_of_files(void **state)
{
	(void)state;
	static const struct {
		const char *in;
		unsigned flags;
	} secured[] = {
		{"", 0},
		{"<SecuredFragment>FileURL</SecuredFragment>", REV_SECURE_URL},
		{"<SecuredFragment> FileUrl\n</SecuredFragment>", REV_SECURE_URL},
		{"<u:SecuredFragment xmlns:u=\"urn:u\">FileDecryption</u:SecuredFragment>", REV_SECURE_KEY},
		{"<SecuredFragment>FileURL</SecuredFragment><SecuredFragment>FileDecryption</SecuredFragment>",
			REV_SECURE_URL | REV_SECURE_KEY},
		{"<SecuredFragment FragmentType=\"FileDecryption\"/>", REV_SECURE_KEY},
		{"<SecuredFragment><FragmentType>FileURL</FragmentType></SecuredFragment>", REV_SECURE_URL},
		{"<SecuredFragment/>", 0},
		{"<SecuredFragment>Other</SecuredFragment>", 0},
		{"<Other><SecuredFragment>FileURL</SecuredFragment></Other>", 0},
	};
	for (size_t i = 0; i < COUNTOF(secured); i++) {
		char doc_text[2048];
		snprintf(doc_text, sizeof(doc_text), UPDATE(IDENTITY(ID_A, "7") PROPERTIES("UpdateType=\"Software\"", "%s") ENGLISH),
			secured[i].in);
		read_ok(slice_of(doc_text));
		assert_int_equal(got->facts.rev.flags & (REV_SECURE_URL | REV_SECURE_KEY), secured[i].flags);
		assert_true(!*secured[i].in || strstr(EXTENDED().p, "SecuredFragment"));
	}
#define KIND(attrs) "<File Digest=\"" DIGEST_1 "\" FileName=\"a.cab\" Size=\"5\" " attrs "/>"
	read_ok(SL(PLAIN("<Files>" KIND("PatchingType=\"Express\"") KIND("PatchingType=\"SelfContained\" IsEncrypted=\"true\"")
		KIND("PatchingType=\"express\" IsEncrypted=\"1\"") KIND("IsEncrypted=\"false\"") KIND("IsEncrypted=\"maybe\"")
		"</Files>")));
	static const bool express[] = {true, false, true, false, false}, encrypted[] = {false, true, true, false, false};
	assert_int_equal(got->facts.nfiles, COUNTOF(express));
	for (size_t i = 0; i < COUNTOF(express); i++) {
		assert_int_equal(got->facts.files[i].file.express, express[i]);
		assert_int_equal(got->facts.files[i].file.encrypted, encrypted[i]);
		assert_int_equal(got->facts.files[i].file.key.n, 0);
	}
}

/* ================= text ================= */

/* holds: WUSP-POPULATE-37 */
static void test_references_keep_their_spelling_and_are_escaped_once(void **state)
{
	(void)state;
	read_ok(SL(UPDATE(IDENTITY(ID_A, "7") SOFTWARE COLLECTION(LOCALIZED("en", "a &amp; &#233; &lt;b&gt; > it's \"q\""))
		RULES("<X V=\"1 &lt; 2 &amp;&amp; &quot;q&quot; > 'r'\" W='say \"hi\"'/>"))));
	assert_text(fragment(FRAG_LOCALIZED, "en", ""), "<LocalizedProperties><Language>en</Language><Title>a &amp; &#233; "
		"&lt;b&gt; > it's \"q\"</Title></LocalizedProperties>");
	assert_text(CORE(), HEAD RULES("<X V=\"1 &lt; 2 &amp;&amp; &quot;q&quot; > 'r'\" W=\"say &quot;hi&quot;\" />"));
	assert_text(got->facts.rev.title, "a & \xC3\xA9 <b> > it's \"q\"");
	struct slice wire = buf_bytes(&got_find(got, FRAG_LOCALIZED, "en", "")->wire);
	assert_text(wire, "&lt;LocalizedProperties&gt;&lt;Language&gt;en&lt;/Language&gt;&lt;Title&gt;a &amp;amp; "
		"&amp;#233; &amp;lt;b&amp;gt; &gt; it's \"q\"&lt;/Title&gt;&lt;/LocalizedProperties&gt;");
}

static void test_cdata_becomes_text_and_comments_go(void **state)
{
	(void)state;
	read_ok(SL(UPDATE(IDENTITY(ID_A, "7") SOFTWARE COLLECTION(LOCALIZED("en",
		"<![CDATA[a <b> & c]]>d<!-- no -->e<?p i?>f")) RULES("<!-- c --><X><![CDATA[]]></X><Y>]]<!-- -->&gt;</Y>"
		"<Z>]]<!-- -->></Z><W><![CDATA[]]]]><![CDATA[>]]></W><V>]<!-- -->]<?x?>>]]</V>"))));
	assert_text(fragment(FRAG_LOCALIZED, "en", ""), "<LocalizedProperties><Language>en</Language><Title>a &lt;b&gt; "
		"&amp; cdef</Title></LocalizedProperties>");
	assert_text(got->facts.rev.title, "a <b> & cdef");
	assert_text(CORE(), HEAD RULES("<X /><Y>]]&gt;</Y><Z>]]&gt;</Z><W>]]&gt;</W><V>]]&gt;]]</V>"));
}

static void test_white_space_between_elements_goes_and_in_leaves_stays(void **state)
{
	(void)state;
	read_ok(SL("\xEF\xBB\xBF<?xml version=\"1.0\"?>\r\n<Update xmlns=\"" NS_UPD "\">\n\t" IDENTITY(ID_A, "7")
		"\n  <Properties UpdateType=\"Software\">\n  </Properties>\n <LocalizedPropertiesCollection>\n"
		"<LocalizedProperties>\n\t<Language> en </Language>\n<Title>  two\n lines </Title><Description> </Description>\n"
		"</LocalizedProperties>\n</LocalizedPropertiesCollection>\n<ApplicabilityRules>\n <IsInstalled>\n\t<A>\n<B></B>"
		"\n</A> \n mixed <C/>\n</IsInstalled>\n</ApplicabilityRules>\n</Update>\n"));
	assert_text(CORE(), HEAD RULES("<A><B /></A> \n mixed <C />"));
	assert_text(fragment(FRAG_LOCALIZED, "en", ""), "<LocalizedProperties><Language> en </Language><Title>  two\n lines "
		"</Title><Description> </Description></LocalizedProperties>");
	assert_text(got->facts.rev.title, "two\n lines");
	assert_true(text_starts(fragment(FRAG_ORIGINAL, "", ""), SL("<?xml version=\"1.0\"?>\r\n<Update")));
	assert_int_equal(got->facts.rev.doc_bytes, fragment(FRAG_ORIGINAL, "", "").n);
}

/* ================= relations and files ================= */

/* holds: WUSP-POPULATE-13 WUSP-POPULATE-14 WUSP-POPULATE-15 WSUSSS-POPULATE-07 */
static void test_prerequisite_clauses(void **state)
{
	(void)state;
	read_ok(SL(PLAIN("<Relationships><Prerequisites><UpdateIdentity UpdateID=\"" ID_B "\"/><AtLeastOne IsCategory=\"true\">"
		"<UpdateIdentity UpdateID=\"" ID_C "\"/><UpdateIdentity UpdateID=\"" ID_D "\"/></AtLeastOne>"
		"<UpdateIdentity UpdateID=\"" ID_C "\"/><AtLeastOne><UpdateIdentity UpdateID=\"" ID_D "\"/></AtLeastOne>"
		"</Prerequisites></Relationships>")));
	static const struct {
		uint16_t clause;
		bool category;
		uint8_t first;
	} want[] = {{0, false, 0x22}, {1, true, 0x33}, {1, true, 0x44}, {2, false, 0x33}, {3, false, 0x44}};
	const struct document_relations *p = &got->facts.rel[REL_PREREQ];
	assert_int_equal(p->n, COUNTOF(want));
	for (size_t i = 0; i < p->n; i++) {
		assert_int_equal(p->v[i].clause, want[i].clause);
		assert_int_equal(p->v[i].is_category, want[i].category);
		assert_int_equal(p->v[i].update.b[0], want[i].first);
		assert_int_equal(p->v[i].number, 0);
	}
	assert_int_equal(got->facts.rev.flags & REV_BUNDLE, 0);
}

/* holds: WUSP-POPULATE-16 WUSP-POPULATE-17 WUSP-POPULATE-18 */
static void test_bundle_clauses(void **state)
{
	(void)state;
	read_ok(SL(PLAIN("<Relationships><SupersededUpdates><UpdateIdentity UpdateID=\"" ID_D "\"/></SupersededUpdates>"
		"<BundledUpdates>" IDENTITY(ID_B, "1") "<AtLeastOne>" IDENTITY(ID_C, "2") IDENTITY(ID_D, "3")
		"</AtLeastOne>" IDENTITY(ID_D, "4") "</BundledUpdates></Relationships>")));
	const struct document_relations *b = &got->facts.rel[REL_BUNDLE];
	assert_int_equal(b->n, 4);
	assert_int_equal(b->v[0].clause, 0);
	assert_int_equal(b->v[1].clause, 1);
	assert_int_equal(b->v[2].clause, 1);
	assert_int_equal(b->v[3].clause, 2);
	assert_int_equal(b->v[3].number, 4);
	assert_int_equal(got->facts.rel[REL_SUPERSEDED].n, 1);
	assert_true(got->facts.rev.flags & REV_BUNDLE);
}

/* holds: WUSP-POPULATE-31 WUSP-POPULATE-32 WUSP-POPULATE-33 WUSP-POPULATE-35 WUSP-POPULATE-36
 * holds: WSUSSS-POPULATE-03 WSUSSS-POPULATE-04 */
static void test_files_and_eulas(void **state)
{
	(void)state;
#define EULA(more) "<EulaFile Digest=\"" DIGEST_1 "\" DigestAlgorithm=\"SHA1\" FileName=\"e.txt\" Size=\"9\" Language=\"EN\"" more
	read_ok(SL(UPDATE(IDENTITY(ID_A, "7") SOFTWARE COLLECTION(LOCALIZED("en", "T") EULA("/>") EULA(" GeoId=\"usa\">")
		"<AdditionalDigest Algorithm=\"SHA256\">" DIGEST_256 "</AdditionalDigest></EulaFile>") "<Files><File Digest=\""
		DIGEST_1 "\" DigestAlgorithm=\"SHA1\" FileName=\"a&amp;b.cab\" Size=\"5000000000\" Modified=\"2026-10-04T09:39:26Z\" "
		"PatchingType=\"SelfContained\"><AdditionalDigest Algorithm=\"SHA256\">\n" DIGEST_256 "\n</AdditionalDigest>"
		"<AdditionalDigest Algorithm=\"SHA512\">?</AdditionalDigest></File></Files>")));
	assert_text(fragment(FRAG_EULA, "en", ""), EULA(" />"));
	assert_text(fragment(FRAG_EULA, "en", "USA"), EULA(" GeoId=\"usa\">") "<AdditionalDigest Algorithm=\"SHA256\">" DIGEST_256
		"</AdditionalDigest></EulaFile>");
	assert_non_null(memmem(EXTENDED().p, EXTENDED().n, " PatchingType=\"SelfContained\"><AdditionalDigest Algorithm=\"SHA256\">\n"
		DIGEST_256 "\n</AdditionalDigest><AdditionalDigest Algorithm=\"SHA512\">?</AdditionalDigest></File></Files>", 60));
	const struct document_file *f = got->facts.files;
	assert_int_equal(got->facts.nfiles, 3);
	assert_true(f[0].file.eula && f[1].file.eula && !f[2].file.eula);
	assert_false(f[0].file.has_sha256);
	assert_true(f[1].file.has_sha256 && f[2].file.has_sha256);
	assert_int_equal(f[2].file.sha256.b[31], 32);
	assert_int_equal(f[2].file.digest.b[19], 20);
	assert_int_equal(f[2].file.size, 5000000000);
	assert_text(f[2].file.name, "a&b.cab");
	assert_text(f[1].geo, "USA");
	assert_text(f[0].geo, "");
	assert_text(f[1].locale, "en");
	char when[TIME_TEXT + 1];
	time_text(f[2].file.modified, when);
	assert_string_equal(when, "2026-10-04T09:39:26Z");
}

/* holds: WUSP-POPULATE-30 WSUSSS-POPULATE-09 */
static void test_many_languages_and_the_neutral_one(void **state)
{
	(void)state;
	struct buf b;
	buf_init(&b, (size_t)1 << 20);
	buf_str(&b, "<Update xmlns=\"" NS_UPD "\">" IDENTITY(ID_A, "7") SOFTWARE "<LocalizedPropertiesCollection>");
	for (int i = 0; i < 35; i++)
		buf_printf(&b, LOCALIZED("x-%d", "Title %d"), i, i);
	buf_str(&b, LOCALIZED("all", "All") "</LocalizedPropertiesCollection></Update>");
	read_ok(buf_bytes(&b));
	buf_free(&b);
	assert_text(fragment(FRAG_LOCALIZED, "x-34", ""),
		"<LocalizedProperties><Language>x-34</Language><Title>Title 34</Title></LocalizedProperties>");
	assert_text(fragment(FRAG_LOCALIZED, "all", ""), LOCALIZED("all", "All"));
	assert_text(got->facts.rev.title, "Title 0");
}

/* ================= size ================= */

static void large(struct buf *b, size_t rules, const char *fill)
{
	buf_str(b, "<Update xmlns=\"" NS_UPD "\" xmlns:b=\"" NS_BAR "\">" IDENTITY(ID_A, "7") SOFTWARE ENGLISH
		"<ApplicabilityRules><IsInstalled>");
	for (size_t i = 0; i < rules; i++)
		buf_printf(b, "<b:RegSz Key=\"HKEY_LOCAL_MACHINE\" Subkey=\"SOFTWARE\\%s\\%zx\" Data=\"&lt;%zu&gt;\" />", fill,
			i * 2654435761u, i);
	buf_str(b, "</IsInstalled></ApplicabilityRules><HandlerSpecificData><P>");
	for (size_t i = 0; i < rules; i++)
		buf_printf(b, "%s %zu &amp; ", fill, i);
	buf_str(b, "</P></HandlerSpecificData></Update>");
}

/* holds: WUSP-POPULATE-38 */
static void test_fragments_do_not_depend_on_how_the_bytes_arrive(void **state)
{
	(void)state;
	struct buf b;
	buf_init(&b, (size_t)4 << 20);
	large(&b, 6000, "gr\xC3\xBC\xC3\x9F");
	read_ok(buf_bytes(&b));
	assert_true(got_find(got, FRAG_CORE, "", "")->packed);
	assert_true(got_find(got, FRAG_ORIGINAL, "", "")->packed);
	assert_int_equal(got_find(got, FRAG_EXTENDED, "", "")->chunks, 1);
	assert_true(slice_eq(fragment(FRAG_ORIGINAL, "", ""), buf_bytes(&b)));
	static const size_t steps[] = {1, 7, 4096, 65521};
	for (size_t i = 0; i < COUNTOF(steps); i++) {
		struct got *other = got_new();
		struct err e;
		assert_int_equal(got_read(other, doc, buf_bytes(&b), steps[i], &e), E_OK);
		assert_int_equal(other->n, got->n);
		for (size_t k = 0; k < got->n; k++) {
			struct got_fragment *o = got_find(other, got->v[k].type, got->v[k].locale, "");
			assert_int_equal(o->chunks, got->v[k].chunks);
			assert_true(slice_eq(buf_bytes(&o->wire), buf_bytes(&got->v[k].wire)));
		}
		assert_memory_equal(&other->facts.rev.doc_digest, &got->facts.rev.doc_digest, 32);
		got_free(other);
	}
	buf_free(&b);
}

static void test_plain_chunks_split_no_character_and_no_entity(void **state)
{
	(void)state;
	static const char *const fill[] = {"\xF0\x9F\x98\x80", "&amp;", "x\xE2\x82\xAC", "&#233;\xC3\xA9"};
	for (size_t k = 0; k < COUNTOF(fill); k++) {
		struct buf b;
		buf_init(&b, (size_t)8 << 20);
		buf_str(&b, "<Update xmlns=\"" NS_UPD "\">" IDENTITY(ID_A, "7") SOFTWARE ENGLISH "<HandlerSpecificData><P>");
		for (size_t i = 0; i < 300000; i++)
			buf_str(&b, fill[k]);
		buf_str(&b, "</P></HandlerSpecificData></Update>");
		read_ok(buf_bytes(&b));
		struct got_fragment *f = got_find(got, FRAG_EXTENDED, "", "");
		assert_true(f->chunks > 2 && !f->packed);
		assert_true(got->chunk_max <= LIMIT_CHUNK);
		assert_int_equal(text_utf8_bad(buf_bytes(&f->wire)), f->wire.n);
		buf_free(&b);
	}
}

static int check_plain_chunk(void *arg, const struct chunk *c, struct slice locale, struct slice geo, struct err *e)
{
	(void)locale;
	(void)geo;
	(void)e;
	if (c->type != FRAG_EXTENDED)
		return E_OK;
	struct buf b;
	buf_init(&b, (size_t)1 << 20);
	assert_int_equal(text_utf8_bad(c->bytes), c->bytes.n);
	assert_true(xml_unescape_add(&b, c->bytes)); /* a cut entity would be a bare & */
	buf_free(&b);
	++*(unsigned *)arg;
	return E_OK;
}

static int any_identity(void *arg, const struct guid *id, int32_t number, bool *wanted, struct err *e)
{
	(void)arg;
	(void)id;
	(void)number;
	(void)e;
	*wanted = true;
	return E_OK;
}

static void test_each_plain_chunk_stands_alone(void **state)
{
	(void)state;
	for (unsigned pad = 0; pad < 12; pad++) {
		struct buf b;
		unsigned chunks = 0;
		buf_init(&b, (size_t)4 << 20);
		buf_str(&b, "<Update xmlns=\"" NS_UPD "\">" IDENTITY(ID_A, "7") SOFTWARE ENGLISH "<HandlerSpecificData><P>");
		buf_printf(&b, "%.*s", (int)pad, "xxxxxxxxxxxxxxx");
		for (size_t i = 0; i < 45000; i++)
			buf_str(&b, "&amp;\xF0\x9F\x98\x80");
		buf_str(&b, "</P></HandlerSpecificData></Update>");
		struct mem_source m = {buf_bytes(&b), 0};
		struct document_sink sink = {any_identity, check_plain_chunk, &chunks};
		struct document_facts f;
		assert_int_equal(document_read(doc, mem_refill, &m, &sink, &f, NULL), E_OK);
		assert_int_equal(chunks, 3);
		buf_free(&b);
	}
}

static void test_small_core_is_plain_and_larger_packed(void **state)
{
	(void)state;
	read_ok(SL(PLAIN()));
	assert_false(got_find(got, FRAG_CORE, "", "")->packed);
	assert_true(got_find(got, FRAG_ORIGINAL, "", "")->packed);
	for (size_t n = 1500; n < 2200; n += 7) {
		struct buf b;
		buf_init(&b, 8192);
		buf_printf(&b, PLAIN(RULES("<X A=\"%0*d\"/>")), (int)n, 7);
		read_ok(buf_bytes(&b));
		struct got_fragment *c = got_find(got, FRAG_CORE, "", "");
		assert_int_equal(c->packed, c->wire.n >= XPRESS_PACK_MIN);
		assert_false(got_find(got, FRAG_EXTENDED, "", "")->packed);
		buf_free(&b);
	}
}

static void test_an_unwanted_document_is_read_to_its_end_without_chunks(void **state)
{
	(void)state;
	struct buf b;
	struct err e;
	buf_init(&b, (size_t)4 << 20);
	large(&b, 3000, "x");
	got->refuse_identity = true;
	assert_int_equal(got_read(got, doc, buf_bytes(&b), 0, &e), E_OK);
	assert_int_equal(got->n, 0);
	assert_int_equal(got->facts.rev.doc_bytes, b.n);
	buf_free(&b);
}

/* ================= refusals ================= */

#define FILE_(attrs) PLAIN("<Files><File " attrs "/></Files>")
#define PRE(s) PLAIN("<Relationships><Prerequisites>" s "</Prerequisites></Relationships>")
#define SIXTEEN "abcdefghijklmnop"
#define WITH(props) UPDATE(IDENTITY(ID_A, "7") PROPERTIES(props, "") ENGLISH)

static const struct {
	const char *doc;
	int code;
	const char *why; /* a part of the message */
} refusals[] = {
	{"", E_FORM, "byte 0: "},
	{"hello", E_FORM, "byte 0: "},
	{"<Update", E_FORM, "byte "},
	{"<a/>", E_FORM, "byte 0: the root is not {" NS_UPD "}Update"},
	{"<Update/>", E_FORM, "byte 0: the root is not {" NS_UPD "}Update"},
	{"<Update xmlns=\"" NS_BAR "\"/>", E_FORM, "the root is not {" NS_UPD "}Update"},
	{"<!DOCTYPE x><Update xmlns=\"" NS_UPD "\"/>", E_FORM, "document type"},
	{"<Update xmlns=\"" NS_UPD "\">" IDENTITY(ID_A, "7"), E_FORM, "byte "},
	{"<Update xmlns=\"" NS_UPD "\">\x80</Update>", E_FORM, "byte 65: "},
	{"\xFF\xFE<", E_FORM, "byte 0: "},
	{UPDATE(""), E_FORM, "no UpdateIdentity"},
	{UPDATE(SOFTWARE), E_FORM, "byte 65: no UpdateIdentity before Properties"},
	{UPDATE(IDENTITY(ID_A, "7") ENGLISH), E_FORM, "no Properties before LocalizedPropertiesCollection"},
	{UPDATE(IDENTITY(ID_A, "7") SOFTWARE), E_FORM, "no LocalizedProperties"},
	{UPDATE(IDENTITY(ID_A, "7") SOFTWARE COLLECTION("")), E_FORM, "no LocalizedProperties"},
	{UPDATE(IDENTITY(ID_A, "7") IDENTITY(ID_A, "7")), E_FORM, "a second UpdateIdentity"},
	{PLAIN(ENGLISH), E_FORM, "a second LocalizedPropertiesCollection"},
	{PLAIN("<Files/><Relationships/>"), E_FORM, "Relationships is out of order"},
	{PLAIN("<Files/><Files/>"), E_FORM, "a second Files"},
	{UPDATE("<UpdateIdentity RevisionNumber=\"1\"/>"), E_FORM, "UpdateIdentity has no UpdateID"},
	{UPDATE("<UpdateIdentity UpdateID=\"" ID_A "\"/>"), E_FORM, "UpdateIdentity has no RevisionNumber"},
	{UPDATE(IDENTITY("{" ID_A "}", "7")), E_FORM, "UpdateIdentity: UpdateID \"{" ID_A "}\" is not a GUID"},
	{UPDATE(IDENTITY(ID_A, "-1")), E_FORM, "RevisionNumber \"-1\" is not a number from 0"},
	{UPDATE(IDENTITY(ID_A, "x")), E_FORM, "RevisionNumber \"x\" is not a number"},
	{UPDATE(IDENTITY(ID_A, "2147483648")), E_FORM, "RevisionNumber \"2147483648\" is not a number"},
	{WITH("A=\"b\""), E_FORM, "Properties has no UpdateType"},
	{WITH("UpdateType=\"software\""), E_FORM, "UpdateType \"software\" is not Software, Driver"},
	{WITH("UpdateType=\"Software\" ExplicitlyDeployable=\"yes\""), E_FORM, "\"yes\" is not true or false"},
	{WITH("UpdateType=\"Software\" CreationDate=\"today\""), E_FORM, "CreationDate \"today\" is not a date"},
	{WITH("UpdateType=\"Software\" MaxDownloadSize=\"-5\""), E_FORM, "MaxDownloadSize \"-5\" is not a size"},
	{WITH("UpdateType=\"Software\" EulaID=\"1\""), E_FORM, "EulaID \"1\" is not a GUID"},
	{WITH("UpdateType=\"Software\" DefaultPropertiesLanguage=\"a b\""), E_FORM, "\"a b\" is not a language"},
	{WITH("UpdateType=\"Driver\""), E_FORM, "a driver without WindowsDriverMetaData"},
	{UPDATE(IDENTITY(ID_A, "7") SOFTWARE COLLECTION("<LocalizedProperties><Title>x</Title></LocalizedProperties>")),
		E_FORM, "LocalizedProperties has no Language"},
	{UPDATE(IDENTITY(ID_A, "7") SOFTWARE COLLECTION(LOCALIZED("", "x"))), E_FORM, "\"\" is not a language"},
	{UPDATE(IDENTITY(ID_A, "7") SOFTWARE COLLECTION(LOCALIZED("en", "x") LOCALIZED("EN", "y"))), E_FORM, "language en twice"},
	{UPDATE(IDENTITY(ID_A, "7") SOFTWARE COLLECTION(EULA("/>") LOCALIZED("en", "T") EULA(" GeoId=\"\"/>"))), E_FORM,
		"language en twice"},
	{UPDATE(IDENTITY(ID_A, "7") SOFTWARE COLLECTION(EULA(" GeoId=\"U A\"/>"))), E_FORM, "\"U A\" is not a region"},
	{UPDATE(IDENTITY(ID_A, "7") SOFTWARE COLLECTION("<EulaFile/>")), E_FORM, "EulaFile has no Language"},
	{UPDATE(IDENTITY(ID_A, "7") SOFTWARE COLLECTION(LOCALIZED(SIXTEEN SIXTEEN SIXTEEN SIXTEEN "x", "x"))), E_FORM,
		"is not a language"},
	{UPDATE(IDENTITY(ID_A, "7") SOFTWARE COLLECTION(EULA(" GeoId=\"" SIXTEEN "x\"/>"))), E_LIMIT,
		"EulaFile: GeoId is longer than 16 bytes"},
	{WITH("UpdateType=\"Software\" MsrcSeverity=\"" SIXTEEN SIXTEEN SIXTEEN SIXTEEN "x\""), E_LIMIT,
		"MsrcSeverity is longer than 64 bytes"},
	{FILE_("FileName=\"f\" Size=\"1\""), E_FORM, "File has no Digest"},
	{FILE_("Digest=\"AAAA\" FileName=\"f\" Size=\"1\""), E_FORM, "Digest \"AAAA\" is not the base64 of a SHA-1"},
	{FILE_("Digest=\"" DIGEST_1 "\" DigestAlgorithm=\"MD5\" FileName=\"f\" Size=\"1\""), E_FORM, "\"MD5\" is not SHA1"},
	{FILE_("Digest=\"" DIGEST_1 "\" Size=\"1\""), E_FORM, "File has no FileName"},
	{FILE_("Digest=\"" DIGEST_1 "\" FileName=\"f\""), E_FORM, "File has no Size"},
	{FILE_("Digest=\"" DIGEST_1 "\" FileName=\"f\" Size=\"1x\""), E_FORM, "Size \"1x\" is not a size"},
	{FILE_("Digest=\"" DIGEST_1 "\" FileName=\"f\" Size=\"1\" Modified=\"x\""), E_FORM, "Modified \"x\" is not a date"},
	{PLAIN("<Files><File Digest=\"" DIGEST_1 "\" FileName=\"f\" Size=\"1\"><AdditionalDigest Algorithm=\"SHA256\">AAAA"
		"</AdditionalDigest></File></Files>"), E_FORM, "AdditionalDigest is not the base64 of a SHA-256"},
	{PRE("<UpdateIdentity/>"), E_FORM, "UpdateIdentity has no UpdateID"},
	{PRE("<AtLeastOne/>"), E_FORM, "AtLeastOne names no update"},
	{PRE("<AtLeastOne IsCategory=\"x\"/>"), E_FORM, "IsCategory \"x\" is not true or false"},
	{PLAIN("<Relationships><BundledUpdates><UpdateIdentity UpdateID=\"" ID_B "\"/></BundledUpdates></Relationships>"), E_FORM,
		"UpdateIdentity has no RevisionNumber"},
	{PLAIN("<Relationships><BundledUpdates>" IDENTITY(ID_A, "9") "</BundledUpdates></Relationships>"), E_FORM,
		"the update bundles itself"},
	{PLAIN(RULES("<X a=\"1\" p:a=\"2\" xmlns:p=\"urn:p\"/>")), E_FORM, "two attributes a that differ by prefix only"},
};

/* holds: WUSP-POPULATE-42 WUSP-TRANSPORT-43 WSUSSS-POPULATE-01 */
static void test_refusals_say_where_and_why(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNTOF(refusals); i++) {
		struct err e = {.code = E_OK};
		got_free(got);
		got = got_new();
		int rc = got_read(got, doc, slice_of(refusals[i].doc), i % 2, &e);
		if (rc != refusals[i].code || !strstr(e.text, refusals[i].why) || strncmp(e.text, "byte ", 5) != 0)
			fail_msg("%zu: rc %d, \"%s\"\nwant %d, \"%s\"\n%s", i, rc, e.text, refusals[i].code, refusals[i].why,
				refusals[i].doc);
		assert_int_equal(e.code, refusals[i].code);
	}
}

/* A document that repeats a part: prefix, n times the part (a printf format of its number), suffix. */
static int repeated(const char *before, const char *part, size_t n, const char *after, struct err *e)
{
	struct buf b;
	buf_init(&b, (size_t)16 << 20);
	buf_str(&b, before);
	for (size_t i = 0; i < n; i++) {
		const char *hole = strstr(part, "%zu");
		buf_add(&b, part, hole ? (size_t)(hole - part) : strlen(part));
		if (hole)
			buf_printf(&b, "%zu%s", i, hole + 3);
	}
	buf_str(&b, after);
	got_free(got);
	got = got_new();
	int rc = got_read(got, doc, buf_bytes(&b), 0, e);
	buf_free(&b);
	return rc;
}

static void test_limits_have_words(void **state)
{
	(void)state;
#define HEADER "<Update xmlns=\"" NS_UPD "\">" IDENTITY(ID_A, "7") SOFTWARE
	static const struct {
		const char *before, *part, *after;
		size_t fits, over; /* 0 fits: not tried */
		const char *why;
	} t[] = {
		{HEADER ENGLISH "<Relationships><Prerequisites>", "<UpdateIdentity UpdateID=\"" ID_B "\"/>",
			"</Prerequisites></Relationships></Update>", LIMIT_DOC_CLAUSES, LIMIT_DOC_CLAUSES + 1,
			"more than 64 clauses of prerequisites"},
		{HEADER ENGLISH "<Relationships><Prerequisites><AtLeastOne>", "<UpdateIdentity UpdateID=\"" ID_B "\"/>",
			"</AtLeastOne></Prerequisites></Relationships></Update>", LIMIT_DOC_PREREQUISITES,
			LIMIT_DOC_PREREQUISITES + 1, "more than 10000 prerequisites"},
		{HEADER ENGLISH "<Relationships><BundledUpdates>", IDENTITY(ID_B, "1"),
			"</BundledUpdates></Relationships></Update>", LIMIT_DOC_PREREQUISITES, LIMIT_DOC_PREREQUISITES + 1,
			"more than 10000 bundled updates"},
		{HEADER ENGLISH "<Files>", "<File Digest=\"" DIGEST_1 "\" FileName=\"%zu\" Size=\"1\"/>", "</Files></Update>",
			LIMIT_DOC_FILES, LIMIT_DOC_FILES + 1, "more than 20000 files"},
		{HEADER "<LocalizedPropertiesCollection>", LOCALIZED("l%zu", "T"), "</LocalizedPropertiesCollection></Update>",
			LIMIT_DOC_LANGUAGES, LIMIT_DOC_LANGUAGES + 1, "more than 256 languages"},
		{HEADER "<LocalizedPropertiesCollection><LocalizedProperties><Language>en</Language><Title>", "x",
			"</Title></LocalizedProperties></LocalizedPropertiesCollection></Update>", LIMIT_DOC_TEXT, LIMIT_DOC_TEXT + 1,
			"Title is longer than 65536 bytes"},
		{HEADER ENGLISH "<ApplicabilityRules>", " ", "<X/></ApplicabilityRules></Update>", LIMIT_DOC_WHITE,
			LIMIT_DOC_WHITE + 1,
			"more than 65536 bytes of white space"},
		{HEADER "<LocalizedPropertiesCollection><LocalizedProperties><Description>", "xxxxxxxxxxxxxxxx",
			"</Description><Language>en</Language></LocalizedProperties></LocalizedPropertiesCollection></Update>", 16000,
			16384, "LocalizedProperties: no Language in its first 262144 bytes"},
		{HEADER ENGLISH "<ApplicabilityRules><X", " a%zu=\"\"", "/></ApplicabilityRules></Update>",
			LIMIT_DOC_ATTRIBUTES, LIMIT_DOC_ATTRIBUTES + 1, "attributes"},
		{HEADER ENGLISH "<ApplicabilityRules><X a=\"", "x", "\"/></ApplicabilityRules></Update>", LIMIT_DOC_TAG - 9,
			LIMIT_DOC_TAG - 8, "tag"},
		{HEADER ENGLISH "<ApplicabilityRules>", "<X>", "", 0, LIMIT_DOC_DEPTH, "nested deeper than 256"},
	};
	for (size_t i = 0; i < COUNTOF(t); i++) {
		struct err e = {.code = E_OK};
		if (t[i].fits && repeated(t[i].before, t[i].part, t[i].fits, t[i].after, &e) != E_OK)
			fail_msg("%zu: %zu should fit: %s", i, t[i].fits, e.text);
		assert_int_equal(repeated(t[i].before, t[i].part, t[i].over, t[i].after, &e), E_LIMIT);
		if (!strstr(e.text, t[i].why))
			fail_msg("%s, want %s", e.text, t[i].why);
	}
}

static void test_a_long_title_is_cut_between_characters(void **state)
{
	(void)state;
	struct err e;
	assert_int_equal(repeated(HEADER "<LocalizedPropertiesCollection><LocalizedProperties><Language>en</Language><Title>",
		"\xE2\x82\xAC", 1000, "</Title></LocalizedProperties></LocalizedPropertiesCollection></Update>", &e), E_OK);
	assert_int_equal(got->facts.rev.title.n, 510);
	assert_int_equal(text_utf8_bad(got->facts.rev.title), 510);
}

/* ================= failures around it ================= */

static ptrdiff_t broken_refill(void *arg, char *to, size_t n, struct err *e)
{
	(void)arg;
	(void)to;
	(void)n;
	err_set(e, E_IO, "the disk is gone");
	return -1;
}

static int full_chunk(void *arg, const struct chunk *c, struct slice locale, struct slice geo, struct err *e)
{
	(void)arg;
	(void)c;
	(void)locale;
	(void)geo;
	return err_set(e, E_FULL, "no room");
}

static void test_failures_of_source_and_sink_pass_through(void **state)
{
	(void)state;
	struct err e;
	struct document_facts f;
	struct document_sink sink = {any_identity, full_chunk, NULL};
	assert_int_equal(document_read(doc, broken_refill, NULL, &sink, &f, &e), E_IO);
	assert_string_equal(e.text, "the disk is gone");
	struct buf b;
	buf_init(&b, (size_t)8 << 20);
	large(&b, 20000, "x");
	struct mem_source m = {buf_bytes(&b), 0};
	assert_int_equal(document_read(doc, mem_refill, &m, &sink, &f, &e), E_FULL);
	assert_string_equal(e.text, "no room");
	assert_int_not_equal(m.left.n, 0); /* stopped at the first chunk */
	buf_free(&b);
}

static void test_every_allocation_may_fail(void **state)
{
	(void)state;
	static const char whole[] = UPDATE(IDENTITY(ID_A, "7") PROPERTIES("UpdateType=\"Software\" MsrcSeverity=\"&lt;\"",
		"<KBArticleID>1</KBArticleID>") COLLECTION(LOCALIZED("en", "<![CDATA[x]]>") EULA("/>"))
		"<Relationships><Prerequisites>" IDENTITY(ID_B, "1") "</Prerequisites></Relationships><ApplicabilityRules> <X/>"
		"</ApplicabilityRules><Files><File Digest=\"" DIGEST_1 "\" FileName=\"f\" Size=\"1\"/></Files>");
	unsigned failed = 0;
	for (long n = 1;; n++) {
		struct got *g = got_new();
		struct err e = {.code = E_OK};
		alloc_fail_at = n;
		struct document *d = document_new();
		int rc = d ? got_read(g, d, SL(whole), 0, &e) : E_NOMEM;
		bool done = alloc_fail_at > 0;
		alloc_fail_at = 0;
		document_free(&d);
		got_free(g);
		if (done) {
			assert_int_equal(rc, E_OK);
			break;
		}
		if (rc != E_NOMEM)
			fail_msg("allocation %ld failed, but rc = %d: %s", n, rc, e.text);
		failed++;
	}
	assert_true(failed > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_fragments_are_those_of_a_real_server, setup, teardown),
		cmocka_unit_test_setup_teardown(test_facts_of_a_real_bundle, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names_go_by_namespace_whatever_the_prefix, setup, teardown),
		cmocka_unit_test_setup_teardown(test_driver_metadata_keeps_its_children, setup, teardown),
		cmocka_unit_test_setup_teardown(test_msi_patch_keeps_its_namespace, setup, teardown),
		cmocka_unit_test_setup_teardown(test_handlers_lose_their_prefix, setup, teardown),
		cmocka_unit_test_setup_teardown(test_properties_are_split_between_core_and_extended, setup, teardown),
		cmocka_unit_test_setup_teardown(test_defaults_are_left_out, setup, teardown),
		cmocka_unit_test_setup_teardown(test_types, setup, teardown),
		cmocka_unit_test_setup_teardown(test_expired_is_a_publication_state, setup, teardown),
		cmocka_unit_test_setup_teardown(test_secured_fragments_and_kinds_of_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_references_keep_their_spelling_and_are_escaped_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cdata_becomes_text_and_comments_go, setup, teardown),
		cmocka_unit_test_setup_teardown(test_white_space_between_elements_goes_and_in_leaves_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(test_prerequisite_clauses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bundle_clauses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_files_and_eulas, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_languages_and_the_neutral_one, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fragments_do_not_depend_on_how_the_bytes_arrive, setup, teardown),
		cmocka_unit_test_setup_teardown(test_plain_chunks_split_no_character_and_no_entity, setup, teardown),
		cmocka_unit_test_setup_teardown(test_each_plain_chunk_stands_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_small_core_is_plain_and_larger_packed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_an_unwanted_document_is_read_to_its_end_without_chunks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusals_say_where_and_why, setup, teardown),
		cmocka_unit_test_setup_teardown(test_limits_have_words, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_long_title_is_cut_between_characters, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failures_of_source_and_sink_pass_through, setup, teardown),
		cmocka_unit_test_setup_teardown(test_every_allocation_may_fail, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
