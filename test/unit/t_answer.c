/* t_answer.c -- what the server above answers, read: messages in any form, faults of every code in every form, statuses of HTTP, and
 * answers that are cut. */
#include "sync/answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/limits.h"
#include "common/text.h"
#include "common/wsusss.h"

#define MEMORY ((size_t)64 << 20)

static struct arena a;

static struct spool *spool_of(struct slice text)
{
	struct spool *s;
	assert_int_equal(spool_new(&s, "/tmp", LIMIT_ANSWER, NULL), E_OK);
	assert_int_equal(spool_add(s, text.p, text.n, NULL), E_OK);
	return s;
}

static int read_text(int status, struct slice text, const char *name, const struct wtype *t, void *out, bool *passing, struct err *e)
{
	struct answer w = {.status = status, .bytes = spool_of(text), .ns = SL(WSUSSS_NS_SYNC), .name = name};
	arena_reset(&a);
	*e = (struct err){0};
	int rc = answer_read(&w, t, out, &a, e);
	assert_true(rc == E_OK || (rc == (int)e->code && e->text[0]));
	if (passing)
		*passing = w.passing;
	spool_free(&w.bytes);
	return rc;
}

/* ---- faults ---- */

/* %s: ErrorCode, Message */
static const char *const fault_forms[] = {
	/* as a Windows server sends it */
	"<?xml version=\"1.0\" encoding=\"utf-8\"?><soap:Envelope xmlns:soap=\"" SOAP_NS11 "\" xmlns:xsi=\"http://www.w3.org/2001/"
	"XMLSchema-instance\"><soap:Body><soap:Fault><faultcode>soap:Client</faultcode><faultstring>Fault occurred</faultstring><faultactor>"
	"http://h/x</faultactor><detail><ErrorCode>%s</ErrorCode><Message>%s</Message><ID>73f4a0b5-0c9e-4f0e-9d5c-3a1f0a1f0a1f</ID><Method>"
	"\"http://www.microsoft.com/SoftwareDistribution/GetCookie\"</Method></detail></soap:Fault></soap:Body></soap:Envelope>",
	/* with another prefix, children in another order, and Detail */
	"<s:Envelope xmlns:s=\"" SOAP_NS11 "\"><s:Body>\n <s:Fault><Detail><!-- x --><ID/><Message>%2$s</Message>\n<ErrorCode> %1$s\n</ErrorCode></Detail>"
	"<faultcode>s:Server</faultcode></s:Fault></s:Body></s:Envelope>",
	/* deeper */
	"<s:Envelope xmlns:s=\"" SOAP_NS11 "\"><s:Body><s:Fault><detail><wrapped xmlns=\"urn:x\"><ErrorCode xmlns=\"\">%s</ErrorCode><Message "
	"xmlns=\"\">%s</Message></wrapped></detail></s:Fault></s:Body></s:Envelope>",
	/* SOAP 1.2: its own Detail, and the one of the specification */
	"<env:Envelope xmlns:env=\"" SOAP_NS12 "\"><env:Body><env:Fault><env:Code><env:Value>env:Sender</env:Value></env:Code><env:Reason><env:Text "
	"xml:lang=\"en\">Fault occurred</env:Text></env:Reason><env:Detail><ErrorCode>%s</ErrorCode><Message>%s</Message></env:Detail></env:Fault>"
	"</env:Body></env:Envelope>",
	"<env:Envelope xmlns:env=\"" SOAP_NS12 "\"><env:Body><env:Fault><env:Code><env:Value>env:Sender</env:Value></env:Code><env:Reason><env:Text "
	"xml:lang=\"en\">Fault occurred</env:Text></env:Reason><Detail><ErrorCode>%s</ErrorCode><Message>%s</Message></Detail></env:Fault>"
	"</env:Body></env:Envelope>",
	/* one in somebody's namespace before it does not count */
	"<s:Envelope xmlns:s=\"" SOAP_NS11 "\"><s:Body><s:Fault><detail><x:ErrorCode xmlns:x=\"urn:x\">InvalidCookie</x:ErrorCode><x:Message xmlns:x="
	"\"urn:x\">no</x:Message><ErrorCode>%s</ErrorCode><Message>%s</Message></detail></s:Fault></s:Body></s:Envelope>",
};

/* MS-WSUSSS 2.2.9.3, and what a server like this one adds. */
static const struct {
	const char *code, *message;
	int rc;
	bool passing;
} faults[] = {
	{"InvalidParameters", "filter", E_INVALID_PARAMETERS, false},
	{"InvalidCookie", "", E_INVALID_COOKIE, false},
	{"InternalServerError", "", E_REFUSED, false},
	{"IncompatibleProtocolVersion", "", E_INCOMPATIBLE_VERSION, false},
	{"InvalidAuthorizationCookie", "", E_INVALID_AUTH_COOKIE, false},
	{"FileDigestsMissing", "AAAA|BBBB", E_FILE_DIGESTS_MISSING, false},
	{"ServerChanged", "", E_SERVER_CHANGED, false},
	{"ServerBusy", "", E_SERVER_BUSY, true},
	{"InvalidParameters", WSUSSS_NOT_APPROVED, E_NOT_ADMITTED, false},
	{"InvalidParameters", WSUSSS_BLOCKED, E_NOT_ADMITTED, false},
	/* none of this protocol: of computers' services, of nobody, in another case */
	{"ConfigChanged", "", E_REFUSED, false},
	{"RegistrationRequired", "", E_REFUSED, false},
	{"invalidcookie", "", E_REFUSED, false},
	{"FutureError", "what now", E_REFUSED, false},
};

/* holds: WSUSSS-FAULT-05 WSUSSS-FAULT-12 WSUSSS-FAULT-13 WSUSSS-FAULT-15 WSUSSS-FAULT-19 (that E_REFUSED and E_INVALID_PARAMETERS end a run is run.c's) */
static void faults_of_every_code(void **state)
{
	char text[2000];
	struct err e;
	(void)state;
	for (size_t f = 0; f < COUNTOF(fault_forms); f++)
		for (size_t i = 0; i < COUNTOF(faults); i++) {
			struct GetCookieResponse got;
			bool passing;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
			int n = snprintf(text, sizeof(text), fault_forms[f], faults[i].code, faults[i].message);
#pragma GCC diagnostic pop
			static const int statuses[] = {500, 400, 200, 503};
			for (size_t k = 0; k < COUNTOF(statuses); k++) {
				int rc = read_text(statuses[k], (struct slice){text, (size_t)n}, "GetCookie", k == 1 ? NULL : &GetCookieResponse_wire,
					k == 1 ? NULL : &got, &passing, &e);
				if (rc != faults[i].rc)
					fail_msg("form %zu, %s: %s", f, faults[i].code, e.text);
				assert_int_equal(passing, faults[i].passing);
				assert_non_null(strstr(e.text, faults[i].code));
				assert_non_null(strstr(e.text, faults[i].message));
			}
		}
}

static void faults_without_a_code(void **state)
{
	static const char *const forms[] = {
		"<s:Envelope xmlns:s=\"" SOAP_NS11 "\"><s:Body><s:Fault><faultcode>s:Server</faultcode><faultstring>Server was unable to process request."
		"</faultstring><detail /></s:Fault></s:Body></s:Envelope>",
		"<s:Envelope xmlns:s=\"" SOAP_NS12 "\"><s:Body><s:Fault><s:Code><s:Value>s:Receiver</s:Value></s:Code><s:Reason><s:Text xml:lang=\"en\">"
		"Server was unable to process request.</s:Text></s:Reason></s:Fault></s:Body></s:Envelope>",
	};
	struct GetCookieResponse got;
	struct err e;
	bool passing;
	(void)state;
	for (size_t i = 0; i < COUNTOF(forms); i++) {
		assert_int_equal(read_text(500, slice_of(forms[i]), "GetCookie", &GetCookieResponse_wire, &got, &passing, &e), E_REFUSED);
		assert_non_null(strstr(e.text, "without ErrorCode (Server was unable to process request.)"));
		assert_false(passing);
	}
}

/* ---- what HTTP says by itself ---- */

static void statuses(void **state)
{
	static const struct {
		int status, rc;
		const char *words;
	} rows[] = {
		{301, E_REFUSED, "redirects"},
		{302, E_REFUSED, "redirects"},
		{308, E_REFUSED, "redirects"},
		{401, E_REFUSED, "upstream.login"},
		{403, E_REFUSED, "access rules"},
		{404, E_REFUSED, "update server"},
		{407, E_REFUSED, "upstream.proxy-login"},
		{415, E_REFUSED, "upstream.soap"},
		{418, E_REFUSED, "upstream.url"},
		{429, E_SERVER_BUSY, "less often"},
		{500, E_REFUSED, "its own log"},
		{502, E_SERVER_BUSY, "front"},
		{503, E_SERVER_BUSY, "overloaded"},
		{504, E_SERVER_BUSY, "too long"},
	};
	static const struct slice bodies[] = {{"", 0}, {"<html><body>no</body></html>", 28}, {"\0\1\2", 3}};
	(void)state;
	for (size_t i = 0; i < COUNTOF(rows); i++)
		for (size_t b = 0; b < COUNTOF(bodies); b++) {
			struct err e;
			bool passing;
			char want[20];
			assert_int_equal(read_text(rows[i].status, bodies[b], "GetCookie", NULL, NULL, &passing, &e), rows[i].rc);
			assert_int_equal(passing, rows[i].rc == E_SERVER_BUSY);
			snprintf(want, sizeof(want), "HTTP %d;", rows[i].status);
			assert_non_null(strstr(e.text, want));
			assert_non_null(strstr(e.text, rows[i].words));
		}
}

/* ---- messages ---- */

static const char config_wsus[] =
	"<?xml version=\"1.0\" encoding=\"utf-8\"?><soap:Envelope xmlns:soap=\"" SOAP_NS11 "\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" "
	"xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\"><soap:Body><GetConfigDataResponse xmlns=\"" WSUSSS_NS_SYNC "\"><GetConfigDataResult>"
	"<CatalogOnlySync>true</CatalogOnlySync><LazySync>1</LazySync><ServerHostsPsfFiles>false</ServerHostsPsfFiles><MaxNumberOfUpdatesPerRequest>"
	"100</MaxNumberOfUpdatesPerRequest><NewConfigAnchor>9438,2026-10-05 17:27:44.393</NewConfigAnchor><ProtocolVersion>1.20</ProtocolVersion>"
	"<LanguageUpdateList><ServerSyncLanguageData><LanguageID>1033</LanguageID><ShortLanguage>en</ShortLanguage><Enabled>true</Enabled>"
	"</ServerSyncLanguageData></LanguageUpdateList></GetConfigDataResult></GetConfigDataResponse></soap:Body></soap:Envelope>";
/* The same from one who writes another order, other prefixes, a Header, and elements that nobody knows. */
static const char config_other[] =
	"<s:Envelope xmlns:s=\"" SOAP_NS12 "\"><s:Header><x:y xmlns:x=\"urn:x\"/></s:Header><s:Body xmlns:w=\"" WSUSSS_NS_SYNC "\">\n<w:GetConfigDataResponse>"
	"<w:GetConfigDataResult><w:New><w:Deeper>1</w:Deeper></w:New><w:LanguageUpdateList><w:ServerSyncLanguageData><w:Enabled>1</w:Enabled><w:LanguageID> "
	"1033 </w:LanguageID><w:ShortLanguage>en</w:ShortLanguage></w:ServerSyncLanguageData></w:LanguageUpdateList><w:ProtocolVersion>1.20"
	"</w:ProtocolVersion><w:NewConfigAnchor>9438,2026-10-05 17:27:44.393</w:NewConfigAnchor><w:MaxNumberOfUpdatesPerRequest>100"
	"</w:MaxNumberOfUpdatesPerRequest><w:ServerHostsPsfFiles>0</w:ServerHostsPsfFiles><w:LazySync>true</w:LazySync><w:CatalogOnlySync>true"
	"</w:CatalogOnlySync></w:GetConfigDataResult></w:GetConfigDataResponse></s:Body></s:Envelope>\n";

static void assert_config(struct slice text)
{
	struct GetConfigDataResponse got;
	struct err e;
	assert_int_equal(read_text(200, text, "GetConfigData", &GetConfigDataResponse_wire, &got, NULL, &e), E_OK);
	const struct ServerSyncConfigData *c = got.GetConfigDataResult;
	assert_non_null(c);
	assert_true(c->CatalogOnlySync && c->LazySync && !c->ServerHostsPsfFiles);
	assert_int_equal(c->MaxNumberOfUpdatesPerRequest, 100);
	assert_true(slice_eq(c->NewConfigAnchor, SL("9438,2026-10-05 17:27:44.393")));
	assert_true(slice_eq(c->ProtocolVersion, SL("1.20")));
	assert_int_equal(c->LanguageUpdateList.n, 1);
	assert_int_equal(c->LanguageUpdateList.v[0].LanguageID, 1033);
	assert_true(c->LanguageUpdateList.v[0].Enabled);
}

static void messages_by_name(void **state)
{
	(void)state;
	assert_config(slice_of(config_wsus));
	assert_config(slice_of(config_other));
}

/* At every byte: nothing of it is taken for an answer, and it is tried again. */
static void cut_anywhere(void **state)
{
	(void)state;
	for (size_t n = 0; n < sizeof(config_wsus) - 1; n++)
		for (unsigned k = 0; k < 2; k++) {
			struct GetConfigDataResponse got;
			struct err e;
			bool passing;
			int rc = read_text(200, (struct slice){config_wsus, n}, "GetConfigData", k ? &GetConfigDataResponse_wire : NULL, k ? &got : NULL,
				&passing, &e);
			if (rc != E_IO || !passing)
				fail_msg("cut at %zu: %d %s", n, rc, e.text);
			assert_non_null(strstr(e.text, "cut off"));
		}
}

static void no_sense(void **state)
{
	static const struct {
		const char *text, *words;
	} rows[] = {
		{"<s:Envelope xmlns:s=\"" SOAP_NS11 "\"><s:Body><GetCookieResponse xmlns=\"" WSUSSS_NS_SYNC "\"/></s:Body></s:Envelope>",
			"<GetCookieResponse xmlns=\"" WSUSSS_NS_SYNC "\">, not GetConfigDataResponse"},
		{"<s:Envelope xmlns:s=\"" SOAP_NS11 "\"><s:Body><GetConfigDataResponse xmlns=\"urn:x\"/></s:Body></s:Envelope>", "not GetConfigDataResponse"},
		{"<s:Envelope xmlns:s=\"" SOAP_NS11 "\"><s:Body><GetConfigDataResponse xmlns=\"" WSUSSS_NS_SYNC "\"><GetConfigDataResult>"
			"<MaxNumberOfUpdatesPerRequest>many</MaxNumberOfUpdatesPerRequest></GetConfigDataResult></GetConfigDataResponse></s:Body></s:Envelope>",
			"GetConfigDataResult.MaxNumberOfUpdatesPerRequest"},
		{"<s:Envelope xmlns:s=\"urn:soap\"><s:Body/></s:Envelope>", "no SOAP envelope"},
		{"<!DOCTYPE x [<!ENTITY y \"z\">]><s:Envelope></s:Envelope>", "makes no sense"},
	};
	(void)state;
	for (size_t i = 0; i < COUNTOF(rows); i++) {
		struct GetConfigDataResponse got;
		struct err e;
		bool passing;
		assert_int_equal(read_text(200, slice_of(rows[i].text), "GetConfigData", &GetConfigDataResponse_wire, &got, &passing, &e), E_FORM);
		if (!strstr(e.text, rows[i].words))
			fail_msg("%s", e.text);
		assert_false(passing);
	}
}

/* A list of a catalog as large as any that is designed for: more elements than a request may have. */
static void a_long_list(void **state)
{
	struct buf b;
	struct GetRevisionIdListResponse got;
	struct err e;
	size_t n = 400000;
	(void)state;
	buf_init(&b, (size_t)128 << 20);
	buf_str(&b, "<s:Envelope xmlns:s=\"" SOAP_NS11 "\"><s:Body><GetRevisionIdListResponse xmlns=\"" WSUSSS_NS_SYNC "\"><GetRevisionIdListResult>"
		"<NewRevisions>");
	for (size_t i = 0; i < n; i++)
		buf_printf(&b, "<UpdateIdentity><UpdateID>%08zx-0000-4000-8000-000000000000</UpdateID><RevisionNumber>%zu</RevisionNumber></UpdateIdentity>", i,
			i % 300);
	buf_str(&b, "</NewRevisions><Anchor>a</Anchor></GetRevisionIdListResult></GetRevisionIdListResponse></s:Body></s:Envelope>");
	assert_int_equal(b.rc, E_OK);
	assert_int_equal(read_text(200, buf_bytes(&b), "GetRevisionIdList", &GetRevisionIdListResponse_wire, &got, NULL, &e), E_OK);
	assert_int_equal(got.GetRevisionIdListResult->NewRevisions.n, n);
	assert_int_equal(got.GetRevisionIdListResult->NewRevisions.v[n - 1].RevisionNumber, (n - 1) % 300);
	assert_true(slice_eq(got.GetRevisionIdListResult->Anchor, SL("a")));
	buf_free(&b);
}

static void text_of_an_element(void **state)
{
	struct spool *s = spool_of(SL("<a><b x=\"1\"/><x:Expiration xmlns:x=\"urn:x\"> 2026-01-02T03:04:05.60000Z </x:Expiration><Expiration>2</Expiration></a>"));
	(void)state;
	arena_reset(&a);
	assert_true(slice_eq(answer_text(s, SL("Expiration"), &a), SL("2026-01-02T03:04:05.60000Z")));
	assert_null(answer_text(s, SL("Nothing"), &a).p);
	spool_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(faults_of_every_code),
		cmocka_unit_test(faults_without_a_code),
		cmocka_unit_test(statuses),
		cmocka_unit_test(messages_by_name),
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(no_sense),
		cmocka_unit_test(a_long_list),
		cmocka_unit_test(text_of_an_element),
	};
	arena_init(&a, MEMORY);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	arena_free(&a);
	return failed;
}
