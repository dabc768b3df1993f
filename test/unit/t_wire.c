/* t_wire.c -- messages: the tables against the WSDLs, what readers accept and refuse, what writers leave out. */
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

/* ---- the tables against the schemas ---- */

/* An element of a schema's sequence. */
struct part {
	char name[64], type[64];
	int min;
	bool many;
};
/* A global element or a type, with what its sequence holds. */
struct shape {
	char name[64];
	bool simple;
	struct part part[40];
	size_t n;
};
struct schema {
	struct shape shape[120];
	size_t n;
};

static void copy_attr(const struct xml *x, const char *name, char to[64])
{
	const struct xml_attr *a = xml_find_attr(x, SL(""), slice_of(name));
	snprintf(to, 64, "%.*s", a ? (int)a->raw.n : 0, a ? a->raw.p : "");
}

static void add_part(const struct xml *x, struct shape *s)
{
	assert_true(s->n < COUNTOF(s->part));
	struct part *p = &s->part[s->n++];
	char occurs[64];
	copy_attr(x, "name", p->name);
	copy_attr(x, "type", p->type);
	copy_attr(x, "minOccurs", occurs);
	p->min = occurs[0] == '1';
	copy_attr(x, "maxOccurs", occurs);
	p->many = strcmp(occurs, "unbounded") == 0;
	char *colon = strchr(p->type, ':');
	if (colon)
		memmove(p->type, colon + 1, strlen(colon));
}

static void read_schema(struct fixture *f, const char *name, struct schema *s)
{
	char path[128];
	enum xml_tok t;
	snprintf(path, sizeof(path), "wsdl/xsd/%s.xsd", name);
	assert_true(read_whole(&f->file, spec_dir(), path));
	xml_init(f->x, buf_bytes(&f->file), &xml_document_limits, &f->e);
	s->n = 0;
	while ((t = xml_next(f->x)) > XML_END) {
		struct slice tag = xml_name(f->x);
		bool element = slice_eq(tag, SL("element")), simple = slice_eq(tag, SL("simpleType"));
		if (t != XML_OPEN || (!element && !simple && !slice_eq(tag, SL("complexType"))))
			continue;
		if (xml_depth(f->x) == 2) {
			assert_true(s->n < COUNTOF(s->shape));
			struct shape *one = &s->shape[s->n++];
			one->n = 0;
			one->simple = simple;
			copy_attr(f->x, "name", one->name);
		} else if (element) {
			add_part(f->x, &s->shape[s->n - 1]);
		}
	}
	assert_int_equal(xml_rc(f->x), E_OK);
}

static const struct shape *find_shape(const struct schema *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->shape[i].name, name) == 0)
			return &s->shape[i];
	return NULL;
}

static const struct {
	const char *type;
	enum wkind one, many;
} kinds[] = {
	{"string", W_STR, W_STRS}, {"int", W_INT, W_INTS}, {"short", W_SHORT, W__MAX}, {"unsignedByte", W_UBYTE, W__MAX},
	{"long", W_LONG, W__MAX}, {"dateTime", W_TIME, W__MAX}, {"boolean", W_BOOL, W__MAX}, {"guid", W_GUID, W_GUIDS},
	{"base64Binary", W_B64, W_B64S},
};

/* The kind that a type of the schema must have in a row. */
static enum wkind kind_of(const struct schema *s, const char *type, bool many)
{
	const struct shape *shape = find_shape(s, type);
	if (shape && shape->simple)
		type = "string";
	else if (shape)
		return many ? W_LIST : W_MSG;
	for (size_t i = 0; i < COUNTOF(kinds); i++)
		if (strcmp(kinds[i].type, type) == 0)
			return many ? kinds[i].many : kinds[i].one;
	return W__MAX;
}

static void check_type(const struct schema *s, const struct wtype *t);

static void check_field(const struct schema *s, const struct wtype *t, const struct wfield *f, const struct part *p)
{
	const struct shape *shape = find_shape(s, p->type);
	bool list = shape && shape->n == 1 && shape->part[0].many;
	const struct part *item = list ? &shape->part[0] : p;
	enum wkind want = kind_of(s, item->type, list);
	bool same = f->kind == want || (want == W_STR && f->kind == W_FRAG);
	if (!slice_eq(f->name, slice_of(p->name)) || !same || f->always != (p->min == 1))
		fail_msg("%s.%s: row %.*s kind %d always %d, schema type %s kind %d min %d", t->name, p->name, SLF(f->name),
			f->kind, f->always, p->type, want, p->min);
	if (list && strcmp(f->item, item->name) != 0)
		fail_msg("%s.%s: items are called %s, in the schema %s", t->name, p->name, f->item, item->name);
	if (!f->sub)
		return;
	assert_string_equal(f->sub->name, item->type);
	check_type(s, f->sub);
}

static const struct part *find_part(const struct shape *shape, const struct wfield *f)
{
	for (size_t i = 0; i < shape->n; i++)
		if (slice_eq(f->name, slice_of(shape->part[i].name)))
			return &shape->part[i];
	fail_msg("%.*s is not in %s", SLF(f->name), shape->name);
	return NULL;
}

/* Real servers have one type in another order than its schema; t_soap compares that with their bytes. */
static void check_type(const struct schema *s, const struct wtype *t)
{
	const struct shape *shape = find_shape(s, t->name);
	if (!shape)
		fail_msg("%s is not in the schema", t->name);
	if (shape->n != t->n)
		fail_msg("%s has %u fields, in the schema %zu", t->name, t->n, shape->n);
	for (unsigned i = 0; i < t->n; i++)
		check_field(s, t, &t->field[i], t == &ServerSyncConfigData_wire ? find_part(shape, &t->field[i]) : &shape->part[i]);
}

static const struct operation {
	const char *ns;
	const struct wtype *request, *response;
} operations[] = {
#define ROW(NS, Req, Rsp) {NS, &Req##_wire, &Rsp##_wire},
	WUSP_OPERATIONS(ROW)
#undef ROW
};
static const struct operation sync_operations[] = {
#define ROW(NS, Req, Rsp) {NS, &Req##_wire, &Rsp##_wire},
	WSUSSS_OPERATIONS(ROW)
#undef ROW
};

static const struct {
	const char *file, *schema, *ns;
	bool whole; /* all its operations are ours */
} services[] = {
	{"SimpleAuth", "SimpleAuth.0", WUSP_NS_SIMPLEAUTH, true}, {"Client", "Client.0", WUSP_NS_CLIENT, true},
	{"Reporting", "Reporting.0", WUSP_NS_REPORTING, false},
};
static const struct {
	const char *schema, *ns;
} sync_schemas[] = {{"DssAuth.0", WSUSSS_NS_AUTH}, {"ServerSync.0", WSUSSS_NS_SYNC}, {"ServerSync.2", WSUSSS_NS_PING}};

/* How many of the operations are in that namespace; each is compared with the schema. */
static size_t check_operations(const struct schema *s, const char *ns, const struct operation *op, size_t n)
{
	size_t checked = 0;
	for (size_t k = 0; k < n; k++) {
		if (strcmp(op[k].ns, ns) != 0)
			continue;
		check_type(s, op[k].request);
		check_type(s, op[k].response);
		checked++;
	}
	return checked;
}

/* holds: WUSP-TRANSPORT-18 WUSP-EXTINFO2-13 WUSP-DRIVERSYNC-02 */
static void rows_equal_the_schemas_in_name_order_kind_and_optionality(void **state)
{
	static struct schema s;
	SKIP_WITHOUT(spec_dir());
	size_t checked = 0;
	for (size_t i = 0; i < COUNTOF(services); i++) {
		read_schema(*state, services[i].schema, &s);
		checked += check_operations(&s, services[i].ns, operations, COUNTOF(operations));
	}
	assert_int_equal(checked, COUNTOF(operations));
}

/* holds: WSUSSS-TRANSPORT-18 WSUSSS-TRANSPORT-19 WSUSSS-TRANSPORT-20 WSUSSS-TRANSPORT-21 */
static void rows_of_the_server_protocol_equal_its_schemas(void **state)
{
	static struct schema s;
	SKIP_WITHOUT(spec_dir());
	size_t checked = 0;
	for (size_t i = 0; i < COUNTOF(sync_schemas); i++) {
		read_schema(*state, sync_schemas[i].schema, &s);
		checked += check_operations(&s, sync_schemas[i].ns, sync_operations, COUNTOF(sync_operations));
	}
	assert_int_equal(checked, COUNTOF(sync_operations));
}

static bool is_ours(const char *ns, struct slice action, const struct operation *op, size_t n)
{
	for (size_t k = 0; k < n; k++) {
		char ours[256];
		snprintf(ours, sizeof(ours), "%s/%s", op[k].ns, op[k].request->name);
		if ((!ns || strcmp(op[k].ns, ns) == 0) && slice_eq(action, slice_of(ours)))
			return true;
	}
	return false;
}

/* The SOAPActions of a WSDL, and how many of them are operations of ours. */
static size_t actions(struct fixture *f, const char *file, const char *ns, const struct operation *op, size_t n, size_t *ours)
{
	char path[64];
	size_t found = 0;
	enum xml_tok t;
	*ours = 0;
	snprintf(path, sizeof(path), "wsdl/%s.wsdl", file);
	assert_true(read_whole(&f->file, spec_dir(), path));
	xml_init(f->x, buf_bytes(&f->file), &xml_document_limits, &f->e);
	while ((t = xml_next(f->x)) > XML_END) {
		const struct xml_attr *a = t == XML_OPEN ? xml_find_attr(f->x, SL(""), SL("soapAction")) : NULL;
		found += a != NULL;
		*ours += a && is_ours(ns, a->raw, op, n);
	}
	assert_int_equal(xml_rc(f->x), E_OK);
	return found;
}

/* holds: WUSP-EXTINFO2-01
 * partly: WUSP-TRANSPORT-10 (the names; the HTTP header is the dispatcher's) */
static void every_soapaction_of_the_wsdls_is_an_operation(void **state)
{
	SKIP_WITHOUT(spec_dir());
	for (size_t i = 0; i < COUNTOF(services); i++) {
		size_t ours, found = actions(*state, services[i].file, services[i].ns, operations, COUNTOF(operations), &ours);
		assert_true(found > 0 && ours > 0);
		if (services[i].whole)
			assert_int_equal(found, ours);
	}
}

static void every_soapaction_of_the_server_protocol_is_an_operation(void **state)
{
	static const char *const files[] = {"DssAuth", "ServerSync"};
	SKIP_WITHOUT(spec_dir());
	for (size_t i = 0; i < COUNTOF(files); i++) {
		size_t ours, found = actions(*state, files[i], NULL, sync_operations, COUNTOF(sync_operations), &ours);
		assert_true(found > 0);
		assert_int_equal(found, ours);
	}
}

/* ---- reading ---- */

static int read_it(struct fixture *f, const char *in, const struct wtype *t, void *out)
{
	arena_reset(&f->a);
	f->e = (struct err){.code = E_OK};
	xml_init(f->x, slice_of(in), &xml_message_limits, &f->e);
	assert_int_equal(xml_next(f->x), XML_OPEN);
	return wire_read(f->x, t, out, &f->a, &f->e);
}

static void assert_slice(struct slice got, const char *want)
{
	if (!slice_eq(got, slice_of(want)))
		fail_msg("got  %.*s\nwant %s", SLF(got), want);
}

#define XSI "xmlns:i='http://www.w3.org/2001/XMLSchema-instance' "

/* holds: WUSP-TRANSPORT-15 WUSP-TRANSPORT-22 */
static void fields_come_in_any_order_and_namespace_and_unknown_ones_are_skipped(void **state)
{
	struct fixture *f = *state;
	struct SyncUpdates m;
	assert_int_equal(
		read_it(f,
			"<SyncUpdates xmlns='urn:a'> <new><cookie/>x</new> <b:parameters xmlns:b='urn:b'><b:SkipSoftwareSync>1</b:SkipSoftwareSync>"
			"<AlsoPerformRegularSync>false</AlsoPerformRegularSync><c:ExpressQuery xmlns:c='urn:c'> true </c:ExpressQuery>"
			"</b:parameters> stray <cookie xmlns=''><EncryptedData>AAEC</EncryptedData><Expiration>2026-10-04T16:03:35Z</Expiration>"
			"</cookie></SyncUpdates>",
			&SyncUpdates_wire, &m),
		E_OK);
	assert_true(WIRE_HAS(&m, SyncUpdates, cookie) && WIRE_HAS(&m, SyncUpdates, parameters));
	assert_true(m.parameters->SkipSoftwareSync && m.parameters->ExpressQuery);
	assert_int_equal(m.cookie->EncryptedData.n, 3);
	assert_memory_equal(m.cookie->EncryptedData.p, "\0\1\2", 3);
	assert_int_equal(m.cookie->Expiration % (60 * TICKS_PER_SECOND), 35 * TICKS_PER_SECOND);
}

/* holds: WUSP-TRANSPORT-19 */
static void nil_counts_as_absent(void **state)
{
	struct fixture *f = *state;
	struct SyncUpdateParameters m;
	assert_int_equal(read_it(f, "<p " XSI "><SystemSpec i:nil='true'/><CachedDriverIDs i:nil='1'></CachedDriverIDs>"
				    "<FeatureScoreMatchingKey i:nil=\"1\">x</FeatureScoreMatchingKey><ExpressQuery i:nil='true'>nonsense"
				    "</ExpressQuery><OtherCachedUpdateIDs i:nil='false'><int>1</int><int i:nil='1'/><int>2</int>"
				    "</OtherCachedUpdateIDs></p>", &SyncUpdateParameters_wire, &m), E_OK);
	assert_null(m.SystemSpec.v);
	assert_null(m.CachedDriverIDs.v);
	assert_null(m.FeatureScoreMatchingKey.p);
	assert_false(WIRE_HAS(&m, SyncUpdateParameters, ExpressQuery));
	assert_true(m.has == UINT64_C(1) << SyncUpdateParameters__OtherCachedUpdateIDs);
	assert_int_equal(m.OtherCachedUpdateIDs.n, 2);
	assert_int_equal(m.OtherCachedUpdateIDs.v[1], 2);
}

/* holds: WUSP-TRANSPORT-20 */
static void claimed_array_types_are_ignored(void **state)
{
	struct SyncUpdateParameters m;
	assert_int_equal(
		read_it(*state,
			"<p><OtherCachedUpdateIDs xmlns:q='urn:enc' q:arrayType='x:int[99]' nil='1'><int>1</int>"
			"</OtherCachedUpdateIDs></p>",
			&SyncUpdateParameters_wire, &m),
		E_OK);
	assert_int_equal(m.OtherCachedUpdateIDs.n, 1);
}

static void empty_lists_are_there_and_absent_ones_are_not(void **state)
{
	struct SyncUpdateParameters m;
	assert_int_equal(read_it(*state, "<p><OtherCachedUpdateIDs/><SystemSpec></SystemSpec></p>",
				 &SyncUpdateParameters_wire, &m),
		E_OK);
	assert_non_null(m.OtherCachedUpdateIDs.v);
	assert_int_equal(m.OtherCachedUpdateIDs.n, 0);
	assert_non_null(m.SystemSpec.v);
	assert_null(m.CachedDriverIDs.v);
}

static void the_last_of_a_repeated_field_counts(void **state)
{
	struct GetConfig m;
	assert_int_equal(
		read_it(*state,
			"<g><protocolVersion>1.8</protocolVersion><protocolVersion>2.&#x39;0<![CDATA[<]]></protocolVersion></g>",
			&GetConfig_wire, &m),
		E_OK);
	assert_slice(m.protocolVersion, "2.90<");
}

static void long_lists_keep_every_number_in_order(void **state)
{
	struct fixture *f = *state;
	struct SyncUpdateParameters m;
	buf_reset(&f->file);
	buf_str(&f->file, "<p><OtherCachedUpdateIDs>\n");
	for (int i = 0; i < 5000; i++)
		buf_printf(&f->file,
			i % 7 == 6     ? "  <int> %d </int><x/>\n"
			: i % 11 == 10 ? "<int>%d<!-- --></int>"
				       : "<int>%d</int>",
			i % 13 == 12 ? -i : i * 997);
	buf_str(&f->file, "</OtherCachedUpdateIDs></p>");
	buf_char(&f->file, 0);
	assert_int_equal(read_it(f, f->file.p, &SyncUpdateParameters_wire, &m), E_OK);
	assert_int_equal(m.OtherCachedUpdateIDs.n, 5000);
	for (int i = 0; i < 5000; i++)
		assert_int_equal(m.OtherCachedUpdateIDs.v[i], i % 13 == 12 ? -i : i * 997);
}

/* Items of ever shorter names and runs that break off: room for all that can follow was made too small, or too large. */
static void lists_of_mixed_spelling_keep_every_number(void **state)
{
	struct fixture *f = *state;
	struct SyncUpdateParameters m;
	enum { MANY = 3000 };
	buf_reset(&f->file);
	buf_str(&f->file, "<p xmlns:aaaaaaaa='urn:t' xmlns:b='urn:t'><OtherCachedUpdateIDs>");
	for (int i = 0; i < MANY; i++) {
		const char *prefix = i < 3 ? "aaaaaaaa:" : i < 6 || i % 500 == 0 ? "b:" : "";
		buf_printf(&f->file, "<%sint>%d</%sint>", prefix, i % 300 == 299 ? -i : i, prefix);
	}
	buf_str(&f->file, "</OtherCachedUpdateIDs><InstalledNonLeafUpdateIDs><int>1</int><int>2</int></InstalledNonLeafUpdateIDs></p>");
	buf_char(&f->file, 0);
	assert_int_equal(read_it(f, f->file.p, &SyncUpdateParameters_wire, &m), E_OK);
	assert_int_equal(m.OtherCachedUpdateIDs.n, MANY);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(m.OtherCachedUpdateIDs.v[i], i % 300 == 299 ? -i : i);
	assert_int_equal(m.InstalledNonLeafUpdateIDs.n, 2);
	assert_true(m.InstalledNonLeafUpdateIDs.v[0] == 1 && m.InstalledNonLeafUpdateIDs.v[1] == 2);
	/* two lists with room for all that could follow, or one that grew step by step, would have taken more */
	assert_true(f->a.used < MANY * sizeof(int32_t) * 3);
}

static const struct {
	const char *in, *path;
	const struct wtype *t;
} invalid[] = {
	{"<s><parameters><OtherCachedUpdateIDs><int>1</int><int>x</int></OtherCachedUpdateIDs></parameters></s>",
		"parameters.OtherCachedUpdateIDs", &SyncUpdates_wire},
	{"<s><parameters><OtherCachedUpdateIDs><int>2147483648</int></OtherCachedUpdateIDs></parameters></s>",
		"parameters.OtherCachedUpdateIDs", &SyncUpdates_wire},
	{"<s><parameters><SystemSpec><Device><installedDriver><DriverRank>y</DriverRank></installedDriver></Device></SystemSpec>"
	 "</parameters></s>",
		"parameters.SystemSpec.installedDriver.DriverRank", &SyncUpdates_wire},
	{"<s><parameters><FilterCategoryIds><CategoryIdentifier><Id>{0}</Id></CategoryIdentifier></FilterCategoryIds></parameters></s>",
		"parameters.FilterCategoryIds.Id", &SyncUpdates_wire},
	{"<s><parameters><ExpressQuery/></parameters></s>", "parameters.ExpressQuery", &SyncUpdates_wire},
	{"<s><cookie><Expiration>today</Expiration></cookie></s>", "cookie.Expiration", &SyncUpdates_wire},
	{"<s><cookie><EncryptedData>QQ</EncryptedData></cookie></s>", "cookie.EncryptedData", &SyncUpdates_wire},
	{"<r><computerInfo><SuiteMask>32768</SuiteMask></computerInfo></r>", "computerInfo.SuiteMask",
		&RegisterComputer_wire},
	{"<r><computerInfo><SuiteMask>-32769</SuiteMask></computerInfo></r>", "computerInfo.SuiteMask",
		&RegisterComputer_wire},
	{"<r><computerInfo><OldProductType>256</OldProductType></computerInfo></r>", "computerInfo.OldProductType",
		&RegisterComputer_wire},
	{"<r><computerInfo><OldProductType>-1</OldProductType></computerInfo></r>", "computerInfo.OldProductType",
		&RegisterComputer_wire},
	{"<s><fileDigests><base64Binary>?</base64Binary></fileDigests></s>", "fileDigests", &GetFileLocations_wire},
	{"<s><preferredCategoryIds><guid>1</guid></preferredCategoryIds></s>", "preferredCategoryIds",
		&StartCategoryScanResponse_wire},
	{"<s><Xml>a<b/></Xml></s>", "Xml", &UpdateData_wire},
};

/* holds: WUSP-TRANSPORT-17 WUSP-SOAPFAULT-06 */
static void a_bad_value_is_an_invalid_parameter_with_its_path(void **state)
{
	struct fixture *f = *state;
	for (size_t i = 0; i < COUNTOF(invalid); i++) {
		char m[512];
		assert_true(invalid[i].t->size <= sizeof(m));
		int rc = read_it(f, invalid[i].in, invalid[i].t, m);
		if (rc != E_INVALID_PARAMETERS || strcmp(f->e.text, invalid[i].path) != 0)
			fail_msg("%s: rc %d: %s", invalid[i].in, rc, f->e.text);
		xml_init(f->x, slice_of(invalid[i].in), &xml_message_limits, NULL);
		assert_int_equal(xml_next(f->x), XML_OPEN);
		assert_int_equal(wire_read(f->x, invalid[i].t, m, &f->a, NULL), E_INVALID_PARAMETERS);
	}
}

static int read_many(struct fixture *f, size_t n, const char *item)
{
	struct SyncUpdateParameters m;
	buf_reset(&f->file);
	buf_str(&f->file, item[1] == 'i' ? "<p><CachedDriverIDs>" : "<p><SystemSpec>");
	for (size_t i = 0; i < n; i++)
		buf_str(&f->file, item);
	buf_str(&f->file, item[1] == 'i' ? "</CachedDriverIDs></p>" : "</SystemSpec></p>");
	buf_char(&f->file, 0);
	return read_it(f, f->file.p, &SyncUpdateParameters_wire, &m);
}

/* holds: WUSP-TRANSPORT-38 */
static void lists_and_texts_are_bounded(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(read_many(f, LIMIT_IDS, "<int>5</int>"), E_OK);
	assert_int_equal(read_many(f, LIMIT_IDS + 1, "<int>5</int>"), E_INVALID_PARAMETERS);
	assert_string_equal(f->e.text, "CachedDriverIDs");
	assert_int_equal(read_many(f, LIMIT_DEVICES, "<Device/>"), E_OK);
	assert_int_equal(read_many(f, LIMIT_DEVICES + 1, "<Device/>"), E_INVALID_PARAMETERS);
	assert_string_equal(f->e.text, "SystemSpec");
	for (size_t over = 0; over < 2; over++) {
		struct GetConfig m;
		buf_reset(&f->file);
		buf_str(&f->file, "<g><protocolVersion>");
		for (size_t i = 0; i < LIMIT_STRING + over; i++)
			buf_char(&f->file, 'x');
		buf_str(&f->file, "</protocolVersion></g>");
		buf_char(&f->file, 0);
		assert_int_equal(read_it(f, f->file.p, &GetConfig_wire, &m), over ? E_INVALID_PARAMETERS : E_OK);
	}
	for (size_t n = LIMIT_COOKIE; n <= LIMIT_COOKIE + 3; n += 3) {
		struct Cookie c;
		buf_reset(&f->file);
		buf_str(&f->file, "<c><EncryptedData>");
		for (size_t i = 0; i < n / 3; i++)
			buf_str(&f->file, "QUJD ");
		buf_str(&f->file, n == LIMIT_COOKIE ? "QUI=</EncryptedData></c>" : "</EncryptedData></c>");
		buf_char(&f->file, 0);
		assert_int_equal(read_it(f, f->file.p, &Cookie_wire, &c), n == LIMIT_COOKIE ? E_OK : E_INVALID_PARAMETERS);
	}
}

/* holds: WUSP-REPORT-18 */
static void a_result_is_read_by_both_names(void **state)
{
	struct BasicData m;
	static const char *const name[] = {"Win32HResult", "Win32Hresult"};
	for (size_t i = 0; i < COUNTOF(name); i++) {
		char text[200];
		snprintf(text, sizeof(text), "<b><%s>-2145107943</%s><SourceID>101</SourceID></b>", name[i], name[i]);
		assert_int_equal(read_it(*state, text, &BasicData_wire, &m), E_OK);
		assert_true(WIRE_HAS(&m, BasicData, Win32HResult) && m.Win32HResult == (int32_t)0x80244019 && m.SourceID == 101);
	}
	assert_int_equal(read_it(*state, "<b><Win32Hresult>x</Win32Hresult></b>", &BasicData_wire, &m), E_INVALID_PARAMETERS);
	assert_string_equal(((struct fixture *)*state)->e.text, "Win32HResult");
	assert_int_equal(read_it(*state, "<b><win32hresult>x</win32hresult></b>", &BasicData_wire, &m), E_OK); /* none of the two */
	assert_false(WIRE_HAS(&m, BasicData, Win32HResult));
}

/* A list of updates in a status event is one string. */
static void a_string_of_an_event_may_be_as_long_as_the_request(void **state)
{
	struct fixture *f = *state;
	struct ExtendedData m;
	enum { UPDATES = 100000 };
	buf_reset(&f->file);
	buf_str(&f->file, "<e><MiscData><string>U=");
	for (int i = 0; i < UPDATES; i++)
		buf_printf(&f->file, "%08X-0000-4000-8000-000000000000;", (unsigned)i);
	buf_str(&f->file, "</string><string>Q=1</string></MiscData></e>");
	buf_char(&f->file, 0);
	assert_int_equal(read_it(f, f->file.p, &ExtendedData_wire, &m), E_OK);
	assert_int_equal(m.MiscData.n, 2);
	assert_int_equal(m.MiscData.v[0].n, 2 + UPDATES * 37);
	assert_slice(m.MiscData.v[1], "Q=1");
}

/* ---- each limit of each request, by its row ---- */

/* A value of n letters or bytes. */
static void put_value(struct buf *b, enum wkind kind, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_str(b, kind == W_STR ? "x" : i % 3 == 0 ? "AA" : "A");
	if (kind == W_B64 && n % 3 != 0)
		buf_str(b, n % 3 == 1 ? "==" : "=");
}

static void put_items(struct buf *b, const struct wfield *f, size_t n)
{
	static const char *const text[W__MAX] = {
		[W_LIST] = "", [W_INTS] = "7", [W_STRS] = "", [W_B64S] = "QQ==",
		[W_GUIDS] = "00000000-0000-4000-8000-000000000001",
	};
	for (size_t i = 0; i < n; i++)
		buf_printf(b, "<%s>%s</%s>", f->item, text[f->kind], f->item);
}

/* Reads the message with the field at the end of `path` holding `n` letters or items. */
static int read_filled(struct fixture *f, const struct wtype *t, const struct wfield *const *path, unsigned depth,
	size_t n)
{
	static union {
		max_align_t align;
		char m[4096];
	} out;
	const struct wfield *last = path[depth];
	struct buf *b = &f->file;
	assert_true(t->size <= sizeof(out));
	buf_reset(b);
	buf_str(b, "<m>");
	for (unsigned i = 0; i <= depth; i++) {
		buf_printf(b, "<%.*s>", SLF(path[i]->name));
		if (i < depth && path[i]->kind == W_LIST)
			buf_printf(b, "<%s>", path[i]->item);
	}
	if (last->kind == W_STR || last->kind == W_B64)
		put_value(b, last->kind, n);
	else
		put_items(b, last, n);
	for (unsigned i = depth + 1; i-- > 0;) {
		if (i < depth && path[i]->kind == W_LIST)
			buf_printf(b, "</%s>", path[i]->item);
		buf_printf(b, "</%.*s>", SLF(path[i]->name));
	}
	buf_str(b, "</m>");
	buf_char(b, 0);
	assert_int_equal(b->rc, E_OK);
	return read_it(f, b->p, t, &out);
}

static unsigned walk_limits(struct fixture *f, const struct wtype *top, const struct wtype *t,
	const struct wfield **path, unsigned depth)
{
	unsigned tried = 0;
	for (unsigned i = 0; i < t->n; i++) {
		const struct wfield *l = path[depth] = &t->field[i];
		assert_true(depth < 7);
		if (l->sub)
			tried += walk_limits(f, top, l->sub, path, depth + 1);
		/* a limit of LIMIT_BODY is that of the request itself */
		bool bounded = l->kind == W_STR || l->kind == W_B64 || (l->kind >= W_LIST && l->kind <= W_B64S);
		if (!bounded || l->max >= LIMIT_BODY)
			continue;
		if (read_filled(f, top, path, depth, l->max) != E_OK)
			fail_msg("%s: %u of %.*s should fit: %s", top->name, l->max, SLF(l->name), f->e.text);
		if (read_filled(f, top, path, depth, (size_t)l->max + 1) != E_INVALID_PARAMETERS ||
			!memmem(f->e.text, strlen(f->e.text), l->name.p, l->name.n))
			fail_msg("%s: %u of %.*s are too many: %s", top->name, l->max + 1, SLF(l->name), f->e.text);
		tried++;
	}
	return tried;
}

/* holds: WUSP-TRANSPORT-38 */
static void every_list_and_text_of_every_request_holds_its_limit_exactly(void **state)
{
	const struct wfield *path[8];
	unsigned tried = 0;
	for (size_t i = 0; i < COUNTOF(operations); i++)
		tried += walk_limits(*state, operations[i].request, operations[i].request, path, 0);
	assert_true(tried > 60);
}

static void bad_xml_inside_a_message_is_malformed(void **state)
{
	struct fixture *f = *state;
	struct SyncUpdates m;
	static const char *const bad[] = {"<s><cookie></s>", "<s><cookie>", "<s><cookie><Expiration>2026",
		"<s><new><x></new></s>",
		"<s><parameters><OtherCachedUpdateIDs><int>1</int><int>2</OtherCachedUpdateIDs></parameters></s>",
		"<s><parameters><FeatureScoreMatchingKey>a<b/></FeatureScoreMatchingKey></parameters></s>"};
	for (size_t i = 0; i < COUNTOF(bad); i++) {
		assert_int_equal(read_it(f, bad[i], &SyncUpdates_wire, &m), E_FORM);
		assert_memory_equal(f->e.text, "byte ", 5);
	}
}

/* ---- writing ---- */

static struct slice written(struct fixture *f, const struct wtype *t, const void *m, struct slice empty)
{
	rope_reset(&f->r);
	wire_write_element(&f->r, SL("M"), SL(""), t, m, empty);
	return rope_text(&f->r, &f->a);
}

/* holds: WUSP-TRANSPORT-14 WUSP-TRANSPORT-24 WUSP-TRANSPORT-26 */
static void absent_fields_are_left_out_and_required_ones_are_not(void **state)
{
	struct fixture *f = *state;
	struct SyncInfo none = {.has = 0};
	assert_slice(written(f, &SyncInfo_wire, &none, SL("/>")), "<M><Truncated>false</Truncated></M>");
	struct InstalledDriver d = {.MatchingID = SL(""),
		.DriverVerVersion = INT64_MIN,
		.DriverRank = INT32_MIN,
		.Class = SL("a<b>&\"")};
	WIRE_SET(&d, InstalledDriver, MatchingComputerHWID, (struct guid){{1}});
	assert_slice(written(f, &InstalledDriver_wire, &d, SL("/>")),
		"<M><MatchingID/><DriverVerDate>1970-01-01T00:00:00Z</DriverVerDate><DriverVerVersion>-9223372036854775808</DriverVerVersion>"
		"<Class>a&lt;b&gt;&amp;\"</Class><MatchingComputerHWID>01000000-0000-0000-0000-000000000000</MatchingComputerHWID>"
		"<DriverRank>-2147483648</DriverRank></M>");
	struct ReportingEvent ev = {.PrivateData = &(struct PrivateData){.has = 0}};
	assert_slice(written(f, &ReportingEvent_wire, &ev, SL(" />")), "<M><PrivateData /></M>");
	struct ExtendedData x = {.ReplacementStrings = {&(struct slice){"", 0}, 1}, .MiscData = {&(struct slice){"", 0}, 0}};
	assert_slice(written(f, &ExtendedData_wire, &x, SL("/>")),
		"<M><ReplacementStrings><string/></ReplacementStrings><MiscData/><ProcessorArchitecture/>"
		"<OSLocaleID>0</OSLocaleID></M>");
}

static void fragments_are_spliced_and_come_back_as_they_are(void **state)
{
	struct fixture *f = *state;
	struct ExtendedUpdateInfo m;
	const char *same =
		"<M><Updates><Update><ID>7</ID><Xml>&lt;a b=\"&amp;amp;\"/&gt;</Xml></Update><Update><ID>-8</ID></Update></Updates>"
		"<OutOfScopeRevisionIDs/></M>";
	assert_int_equal(read_it(f, same, &ExtendedUpdateInfo_wire, &m), E_OK);
	assert_int_equal(m.Updates.n, 2);
	assert_slice(m.Updates.v[0].Xml.v[0].bytes, "&lt;a b=\"&amp;amp;\"/&gt;");
	assert_slice(written(f, &ExtendedUpdateInfo_wire, &m, SL("/>")), same);
	struct UpdateData one;
	assert_int_equal(read_it(f, "<u><Xml>&lt;<![CDATA[<&]]></Xml></u>", &UpdateData_wire, &one), E_OK);
	assert_slice(one.Xml.v[0].bytes, "&lt;&lt;&amp;");
}

static void a_full_reply_stays_failed(void **state)
{
	struct fixture *f = *state;
	struct GetConfig m = {.protocolVersion = SL("2.90")};
	f->r.glue.max = 10;
	wire_write_element(&f->r, SL("m"), SL(""), &GetConfig_wire, &m, SL("/>"));
	assert_int_equal(f->r.glue.rc, E_LIMIT);
}

/* Whatever allocation fails, reading says E_NOMEM and nothing else. */
static void every_failing_allocation_is_reported(void **state)
{
	struct fixture *f = *state;
	const char *in =
		"<s><cookie><EncryptedData>AAEC</EncryptedData></cookie><parameters><CachedDriverIDs><int>1</int><int>2</int>"
		"</CachedDriverIDs><SystemSpec><Device><HardwareIDs><string>a</string></HardwareIDs></Device></SystemSpec>"
		"<FeatureScoreMatchingKey>k</FeatureScoreMatchingKey></parameters></s>";
	struct SyncUpdates m;
	long failed = 0;
	for (int rc = E_NOMEM; rc != E_OK; failed++) {
		arena_free(&f->a);
		alloc_fail_at = failed + 1;
		rc = read_it(f, in, &SyncUpdates_wire, &m);
		assert_true(rc == E_OK || rc == E_NOMEM);
	}
	alloc_fail_at = 0;
	assert_true(failed > 1);
	arena_free(&f->a);
	arena_init(&f->a, 100);
	assert_int_equal(read_it(f, in, &SyncUpdates_wire, &m), E_NOMEM);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(rows_equal_the_schemas_in_name_order_kind_and_optionality),
		T(every_soapaction_of_the_wsdls_is_an_operation),
		T(rows_of_the_server_protocol_equal_its_schemas),
		T(every_soapaction_of_the_server_protocol_is_an_operation),
		T(fields_come_in_any_order_and_namespace_and_unknown_ones_are_skipped),
		T(nil_counts_as_absent),
		T(claimed_array_types_are_ignored),
		T(empty_lists_are_there_and_absent_ones_are_not),
		T(the_last_of_a_repeated_field_counts),
		T(long_lists_keep_every_number_in_order),
		T(lists_of_mixed_spelling_keep_every_number),
		T(a_bad_value_is_an_invalid_parameter_with_its_path),
		T(lists_and_texts_are_bounded),
		T(a_result_is_read_by_both_names),
		T(a_string_of_an_event_may_be_as_long_as_the_request),
		T(every_list_and_text_of_every_request_holds_its_limit_exactly),
		T(bad_xml_inside_a_message_is_malformed),
		T(absent_fields_are_left_out_and_required_ones_are_not),
		T(fragments_are_spliced_and_come_back_as_they_are),
		T(a_full_reply_stays_failed),
		T(every_failing_allocation_is_reported),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
