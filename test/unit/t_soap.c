/* t_soap.c -- envelopes and faults: what is read, and that what we write are the bytes real servers send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/arena.h"
#include "common/soap.h"
#include "common/text.h"
#include "common/wsusss.h"
#include "common/xml.h"
#include "test/unit/corpus.h"
#include "test/unit/message_fixture.h"

static const struct operation {
	const char *ns, *response_name;
	const struct wtype *request, *response;
} operations[] = {
#define ROW(NS, Req, Rsp) {NS, #Rsp, &Req##_wire, &Rsp##_wire},
	WUSP_OPERATIONS(ROW)
	WSUSSS_OPERATIONS(ROW)
#undef ROW
};

static const struct operation *find_operation(const struct soap_in *in, bool response)
{
	for (size_t i = 0; i < COUNTOF(operations); i++) {
		const char *name = response ? operations[i].response_name : operations[i].request->name;
		if (slice_eq(in->ns, slice_of(operations[i].ns)) && slice_eq(in->name, slice_of(name)))
			return &operations[i];
	}
	return NULL;
}

static void assert_slice(struct slice got, const char *want)
{
	if (!slice_eq(got, slice_of(want)))
		fail_msg("got  %.*s\nwant %s", SLF(got), want);
}

static const struct operation *read_whole_message(struct fixture *f, struct slice body, bool response, void **msg)
{
	struct soap_in in;
	arena_reset(&f->a);
	xml_init(f->x, body, &xml_message_limits, &f->e);
	int rc = soap_open(f->x, &in, &f->a, &f->e);
	const struct operation *op = rc == E_OK ? find_operation(&in, response) : NULL;
	if (!op)
		fail_msg("rc %d: %s", rc, f->e.text);
	const struct wtype *t = response ? op->response : op->request;
	*msg = arena_alloc(&f->a, 1, t->size);
	rc = wire_read(f->x, t, *msg, &f->a, &f->e);
	if (rc == E_OK)
		rc = soap_close(f->x, &f->e);
	if (rc != E_OK)
		fail_msg("%s: rc %d: %s", op->request->name, rc, f->e.text);
	return op;
}

/* ---- recorded traffic ---- */

static const char *const flows[] = {"native/flow", "native/scan", "serversync"};

/* Calls fn for each recorded NAME.body; returns how many there were. */
static size_t each_recorded(struct fixture *f, const char *name, void (*fn)(struct fixture *f, const char *path))
{
	size_t n = 0;
	for (size_t i = 0; i < COUNTOF(flows); i++)
		for (int k = 1; k < 40; k++) {
			char path[128];
			snprintf(path, sizeof(path), "%s/%06d/%s", flows[i], k, name);
			if (!read_whole(&f->file, corpus_dir(), path) || memmem(f->file.p, f->file.n, ":Fault>", 7))
				continue;
			fn(f, path);
			n++;
		}
	return n;
}

static void decode_request(struct fixture *f, const char *path)
{
	void *msg;
	(void)path;
	read_whole_message(f, buf_bytes(&f->file), false, &msg);
}

/* holds: WUSP-TRANSPORT-11 WUSP-TRANSPORT-22 */
static void every_recorded_request_is_read(void **state)
{
	SKIP_WITHOUT(corpus_dir());
	assert_true(each_recorded(*state, "request.body", decode_request) >= 34);
}

static void write_again(struct fixture *f, const char *path)
{
	void *msg;
	const struct operation *op = read_whole_message(f, buf_bytes(&f->file), true, &msg);
	bool asmx = text_starts(buf_bytes(&f->file), SL("<?xml"));
	rope_reset(&f->r);
	soap_write(&f->r, SOAP_11, asmx ? SOAP_ASMX : SOAP_CLIENT, slice_of(op->ns), op->response_name, op->response,
		msg);
	struct slice got = rope_text(&f->r, &f->a), want = buf_bytes(&f->file);
	size_t same = 0;
	while (same < MIN(got.n, want.n) && got.p[same] == want.p[same])
		same++;
	if (got.n != want.n || same != got.n)
		fail_msg("%s: differs at byte %zu: %.80s", path, same, got.p + MIN(same, got.n));
}

/* holds: WUSP-TRANSPORT-12 WUSP-TRANSPORT-13 WUSP-TRANSPORT-14 WUSP-TRANSPORT-18 WUSP-TRANSPORT-24 WUSP-TRANSPORT-26 */
static void recorded_answers_are_written_again_byte_for_byte(void **state)
{
	SKIP_WITHOUT(corpus_dir());
	assert_true(each_recorded(*state, "response.body", write_again) >= 26);
}

/* ---- faults ---- */

static const struct soap_fault list_too_long = {
	.code = "InvalidParameters",
	.message = {"parameters.InstalledNonLeafUpdateIDs", 36},
	.method = {"\"" WUSP_NS_CLIENT "/SyncUpdates\"", sizeof(WUSP_NS_CLIENT) - 1 + 14},
	.id = {{0x6e, 0xa6, 0x93, 0xbc, 0xa6, 0x6e, 0x43, 0x34, 0xa7, 0x97, 0x04, 0x37, 0x28, 0x56, 0x1c, 0x7d}},
};

/* holds: WUSP-SOAPFAULT-01 WUSP-SOAPFAULT-02 WUSP-SOAPFAULT-06 WUSP-SOAPFAULT-08 WUSP-SOAPFAULT-10 */
static void the_client_service_s_fault_is_what_real_servers_send(void **state)
{
	struct fixture *f = *state;
	soap_write_fault(&f->r, SOAP_11, SOAP_CLIENT, &list_too_long);
	struct slice got = rope_text(&f->r, &f->a);
	assert_int_equal(got.n, 442); /* as recorded for this very fault */
	assert_slice(got, "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><s:Fault>"
			  "<faultcode>s:Client</faultcode><faultstring>Fault occurred</faultstring><detail>"
			  "<ErrorCode>InvalidParameters</ErrorCode>"
			  "<Message>parameters.InstalledNonLeafUpdateIDs</Message>"
			  "<ID>6ea693bc-a66e-4334-a797-043728561c7d</ID>"
			  "<Method>\"http://www.microsoft.com/SoftwareDistribution/Server/ClientWebService/SyncUpdates\""
			  "</Method></detail></s:Fault></s:Body></s:Envelope>");
}

/* The text between two marks of the body. */
static struct slice between(struct slice body, const char *from, const char *to)
{
	const char *a = memmem(body.p, body.n, from, strlen(from));
	assert_non_null(a);
	a += strlen(from);
	const char *b = memmem(a, (size_t)(body.p + body.n - a), to, strlen(to));
	assert_non_null(b);
	return (struct slice){a, (size_t)(b - a)};
}

/* holds: WUSP-SOAPFAULT-05 WUSP-SOAPFAULT-07 WUSP-SOAPFAULT-09 */
static void recorded_faults_are_written_again_byte_for_byte(void **state)
{
	struct fixture *f = *state;
	size_t n = 0;
	SKIP_WITHOUT(corpus_dir());
	for (int k = 1; k < 40; k++) {
		char path[64];
		struct slice code, message;
		snprintf(path, sizeof(path), "serversync/%06d/response.body", k);
		if (!read_whole(&f->file, corpus_dir(), path) || !memmem(f->file.p, f->file.n, ":Fault>", 7))
			continue;
		struct slice body = buf_bytes(&f->file);
		assert_int_equal(soap_read_fault(body, &f->a, &code, &message, &f->e), E_OK);
		struct soap_fault again = {
			.code = code.p,
			.message = between(body, "<Message>", "</Message>"),
			.method = between(body, "<Method>", "</Method>"),
			.actor = between(body, "<faultactor>", "</faultactor>"),
			.ours = slice_eq(between(body, "<faultcode>", "</faultcode>"), SL("soap:Server")),
		};
		assert_true(text_guid(between(body, "<ID>", "</ID>"), &again.id));
		rope_reset(&f->r);
		soap_write_fault(&f->r, SOAP_11, SOAP_ASMX, &again);
		assert_true(slice_eq(rope_text(&f->r, &f->a), body));
		n++;
	}
	assert_true(n >= 3);
}

static bool is_one_of(const char *const *codes, size_t n, const char *sent)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(sent, codes[i]) == 0)
			return true;
	return false;
}

/* Two more are of the server-server protocol alone, for results that no service for computers has. */
/* holds: WUSP-SOAPFAULT-03 WUSP-SOAPFAULT-04 */
/* holds: WSUSSS-FAULT-06 */
static void every_errorcode_is_one_of_the_eleven(void **state)
{
	static const char *const codes[] = {"InvalidCookie", "ConfigChanged", "RegistrationRequired",
		"ServerChanged", "InternalServerError", "CookieExpired", "InvalidParameters",
		"InvalidAuthorizationCookie", "RegistrationNotRequired", "ServerBusy", "FileLocationChanged"};
	static const char *const servers[] = {"IncompatibleProtocolVersion", "FileDigestsMissing"};
	(void)state;
	for (int code = -1; code <= E__MAX; code++) {
		const char *sent = err_fault(code);
		bool between_servers = code == E_INCOMPATIBLE_VERSION || code == E_FILE_DIGESTS_MISSING;
		assert_true(!sent || (between_servers ? is_one_of(servers, COUNTOF(servers), sent) : is_one_of(codes, COUNTOF(codes), sent)));
	}
	assert_string_equal(err_fault(E_INVALID_PARAMETERS), "InvalidParameters");
	assert_string_equal(err_fault(E_FILE_LOCATION_CHANGED), "FileLocationChanged");
	assert_string_equal(err_fault(E_NOT_ADMITTED), "InvalidParameters");
	assert_string_equal(err_fault(E_INCOMPATIBLE_VERSION), "IncompatibleProtocolVersion");
}

/* partly: WUSP-SOAPFAULT-21 (the fault's form; when it is sent is the dispatcher's) */
static void a_fault_without_code_has_no_detail(void **state)
{
	struct fixture *f = *state;
	struct soap_fault plain = {.message = SL("unknown operation <x>")};
	struct slice code, message;
	soap_write_fault(&f->r, SOAP_11, SOAP_CLIENT, &plain);
	struct slice got = rope_text(&f->r, &f->a);
	assert_slice(got, "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><s:Fault>"
			  "<faultcode>s:Client</faultcode><faultstring>unknown operation &lt;x&gt;</faultstring>"
			  "</s:Fault></s:Body></s:Envelope>");
	assert_int_equal(soap_read_fault(got, &f->a, &code, &message, &f->e), E_OK);
	assert_null(code.p);
	assert_slice(message, "unknown operation <x>");
}

/* partly: WUSP-TRANSPORT-28 (the envelope and fault of SOAP 1.2) */
static void soap_12_faults_carry_both_details(void **state)
{
	struct fixture *f = *state;
	struct slice code, message;
	struct soap_fault ours = list_too_long;
	ours.ours = true;
	ours.actor = SL("http://h/x.asmx");
	soap_write_fault(&f->r, SOAP_12, SOAP_ASMX, &ours);
	struct slice got = rope_text(&f->r, &f->a);
	assert_slice(between(got, "<soap:Fault>", "<soap:Detail>"),
		"<soap:Code><soap:Value>soap:Receiver</soap:Value></soap:Code><soap:Reason><soap:Text xml:lang=\"en\">"
		"Fault occurred</soap:Text></soap:Reason><soap:Role>http://h/x.asmx</soap:Role>");
	struct slice one = between(got, "<soap:Detail>", "</soap:Detail>");
	assert_true(slice_eq(one, between(got, "<Detail>", "</Detail>")));
	assert_true(text_starts(one, SL("<ErrorCode>InvalidParameters</ErrorCode><Message>")));
	assert_int_equal(soap_read_fault(got, &f->a, &code, &message, &f->e), E_OK);
	assert_slice(code, "InvalidParameters");
	assert_slice(message, "parameters.InstalledNonLeafUpdateIDs");
	assert_string_equal(soap_content_type(SOAP_12), "application/soap+xml; charset=utf-8");
	assert_string_equal(soap_content_type(SOAP_11), "text/xml; charset=utf-8");
}

/* Every fault's id is text of the message, written as given: all of it is escaped. */
static void text_in_faults_is_escaped(void **state)
{
	struct fixture *f = *state;
	struct slice code, message;
	struct soap_fault bad = {.code = "InvalidParameters", .message = SL("<&>"), .method = SL("a&b")};
	soap_write_fault(&f->r, SOAP_11, SOAP_CLIENT, &bad);
	assert_int_equal(soap_read_fault(rope_text(&f->r, &f->a), &f->a, &code, &message, &f->e), E_OK);
	assert_slice(message, "<&>");
}

static void what_is_no_fault_is_refused(void **state)
{
	struct fixture *f = *state;
	struct slice code, message;
	static const char *const no_fault[] = {"", "<html/>", "<a",
		"<s:Envelope xmlns:s='" SOAP_NS11 "'><s:Body/></s:Envelope>",
		"<s:Envelope xmlns:s='" SOAP_NS11 "'><s:Body><Fault/></s:Body></s:Envelope>"};
	for (size_t i = 0; i < COUNTOF(no_fault); i++) {
		assert_int_equal(soap_read_fault(slice_of(no_fault[i]), &f->a, &code, &message, &f->e), E_FORM);
		assert_null(code.p);
	}
}

/* ---- envelopes ---- */

static int open_only(struct fixture *f, const char *body, struct soap_in *in)
{
	xml_init(f->x, slice_of(body), &xml_message_limits, &f->e);
	return soap_open(f->x, in, &f->a, &f->e);
}

/* holds: WUSP-TRANSPORT-11 */
static void the_operation_is_found_whatever_the_prefixes(void **state)
{
	struct fixture *f = *state;
	struct soap_in in;
	static const struct {
		enum soap_version v;
		const char *body;
	} good[] = {
		{SOAP_11, "<Envelope xmlns='" SOAP_NS11 "'><Body><n:Op xmlns:n='urn:x'/></Body></Envelope>"},
		{SOAP_11, "<?xml version='1.0'?>\n<e:Envelope xmlns:e='" SOAP_NS11 "'>\n <e:Header><a><e:Body/></a></e:Header>"
			  "\n <e:Body>\n <!-- x --> <Op xmlns='urn:x'/> </e:Body> </e:Envelope>\n"},
		{SOAP_12, "<s:Envelope xmlns:s='" SOAP_NS12 "' xmlns:b='urn:x'><s:Body><b:Op/></s:Body></s:Envelope>"},
	};
	for (size_t i = 0; i < COUNTOF(good); i++) {
		assert_int_equal(open_only(f, good[i].body, &in), E_OK);
		assert_int_equal(in.version, good[i].v);
		assert_slice(in.ns, "urn:x");
		assert_slice(in.name, "Op");
		assert_int_equal(xml_skip(f->x), E_OK);
		assert_int_equal(soap_close(f->x, &f->e), E_OK);
	}
}

static void what_is_no_envelope_is_malformed(void **state)
{
	struct fixture *f = *state;
	struct soap_in in;
	static const char *const bad[] = {
		"", "<a/>", "<Envelope/>", "<s:Envelope xmlns:s='urn:no'/>", "<s:Envelope xmlns:s='" SOAP_NS11 "'/>",
		"<s:Envelope xmlns:s='" SOAP_NS11 "'><s:Body/></s:Envelope>",
		"<s:Envelope xmlns:s='" SOAP_NS11 "'><Body><a/></Body></s:Envelope>",
		"<s:Envelope xmlns:s='" SOAP_NS11 "'><s:Header/></s:Envelope>",
		"<s:Envelope xmlns:s='" SOAP_NS11 "'>x<s:Body><a/></s:Body></s:Envelope>",
		"<s:Envelope xmlns:s='" SOAP_NS11 "' xmlns:t='" SOAP_NS12 "'><t:Body><a/></t:Body></s:Envelope>",
		"<s:Envelope xmlns:s='" SOAP_NS11 "'><s:Body>x<a/></s:Body></s:Envelope>",
	};
	for (size_t i = 0; i < COUNTOF(bad); i++)
		assert_int_equal(open_only(f, bad[i], &in), E_FORM);
}

/* holds: WUSP-TRANSPORT-13 */
static void one_operation_and_nothing_behind_it(void **state)
{
	struct fixture *f = *state;
	struct soap_in in;
	static const char *const bad[] = {
		"<s:Envelope xmlns:s='" SOAP_NS11 "'><s:Body><a/><b/></s:Body></s:Envelope>",
		"<s:Envelope xmlns:s='" SOAP_NS11 "'><s:Body><a/></s:Body><s:Body/></s:Envelope>",
		"<s:Envelope xmlns:s='" SOAP_NS11 "'><s:Body><a/>x</s:Body></s:Envelope>",
		"<s:Envelope xmlns:s='" SOAP_NS11 "'><s:Body><a/></s:Body></s:Envelope>x",
		"<s:Envelope xmlns:s='" SOAP_NS11 "'><s:Body><a/></s:Body></s:Envelope><b/>",
		"<s:Envelope xmlns:s='" SOAP_NS11 "'><s:Body><a/></s:Body>",
	};
	for (size_t i = 0; i < COUNTOF(bad); i++) {
		assert_int_equal(open_only(f, bad[i], &in), E_OK);
		assert_int_equal(xml_skip(f->x), E_OK);
		assert_int_equal(soap_close(f->x, &f->e), E_FORM);
	}
}

static void a_reply_without_fields_is_an_empty_element(void **state)
{
	struct fixture *f = *state;
	struct RegisterComputerResponse none = {.has = 0};
	soap_write(&f->r, SOAP_12, SOAP_ASMX, SL("urn:x"), "Empty", &RegisterComputerResponse_wire, &none);
	assert_slice(rope_text(&f->r, &f->a),
		"<?xml version=\"1.0\" encoding=\"utf-8\"?><soap:Envelope xmlns:soap=\"" SOAP_NS12
		"\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\""
		" xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\"><soap:Body><Empty xmlns=\"urn:x\" />"
		"</soap:Body></soap:Envelope>");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_recorded_request_is_read, setup, teardown),
		cmocka_unit_test_setup_teardown(recorded_answers_are_written_again_byte_for_byte, setup, teardown),
		cmocka_unit_test_setup_teardown(the_client_service_s_fault_is_what_real_servers_send, setup, teardown),
		cmocka_unit_test_setup_teardown(recorded_faults_are_written_again_byte_for_byte, setup, teardown),
		cmocka_unit_test(every_errorcode_is_one_of_the_eleven),
		cmocka_unit_test_setup_teardown(a_fault_without_code_has_no_detail, setup, teardown),
		cmocka_unit_test_setup_teardown(soap_12_faults_carry_both_details, setup, teardown),
		cmocka_unit_test_setup_teardown(text_in_faults_is_escaped, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_no_fault_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(the_operation_is_found_whatever_the_prefixes, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_no_envelope_is_malformed, setup, teardown),
		cmocka_unit_test_setup_teardown(one_operation_and_nothing_behind_it, setup, teardown),
		cmocka_unit_test_setup_teardown(a_reply_without_fields_is_an_empty_element, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
