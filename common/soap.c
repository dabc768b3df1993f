/* soap.c -- two dialects by two versions, as a table of ready strings. */
#include "common/soap.h"

#include "common/arena.h"
#include "common/text.h"
#include "common/xml.h"

#define XSI_XSD \
	" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\""
#define XML_DECLARATION "<?xml version=\"1.0\" encoding=\"utf-8\"?>"

/* ---- reading ---- */

static int malformed(const struct xml *x, struct err *e, const char *what)
{
	return err_set(e, E_FORM, "byte %zu: %s", xml_offset(x), what);
}

/* Goes to the next XML_OPEN or XML_CLOSE; only white space may stand before it. */
static int next_tag(struct xml *x, bool *open, struct err *e)
{
	enum xml_tok t;
	while ((t = xml_next(x)) == XML_TEXT)
		if (text_trim(xml_text(x)).n)
			return malformed(x, e, "text between the elements of the envelope");
	if (t == XML_BAD)
		return xml_failed(x, e);
	*open = t == XML_OPEN;
	return t == XML_END ? malformed(x, e, "no SOAP envelope") : E_OK;
}

static bool is_element(const struct xml *x, struct slice ns, struct slice name)
{
	return slice_eq(xml_name(x), name) && slice_eq(xml_ns(x), ns);
}

static const struct slice soap_ns[] = {
	[SOAP_11] = {SOAP_NS11, sizeof(SOAP_NS11) - 1},
	[SOAP_12] = {SOAP_NS12, sizeof(SOAP_NS12) - 1},
};

static int open_envelope(struct xml *x, enum soap_version *v, struct err *e)
{
	bool open;
	int rc = next_tag(x, &open, e);
	if (rc != E_OK)
		return rc;
	*v = slice_eq(xml_ns(x), soap_ns[SOAP_12]) ? SOAP_12 : SOAP_11;
	return is_element(x, soap_ns[*v], SL("Envelope")) ? E_OK : malformed(x, e, "the root is no SOAP envelope");
}

/* Is this entry of a Header to be understood by whoever reads it?  SOAP 1.1 4.2.3, SOAP 1.2 part 1, 5.2.3. */
static bool insists(struct xml *x, enum soap_version v)
{
	const struct xml_attr *a = xml_find_attr(x, soap_ns[v], SL("mustUnderstand"));
	return a && (slice_eq(a->raw, SL("1")) || slice_eq(a->raw, SL("true")));
}

/* Headers are skipped: no operation of ours has one (TRANSPORT-12); but what has to be understood is not
 * (WSUSSS-TRANSPORT-09). */
static int skip_header(struct xml *x, enum soap_version v, struct err *e)
{
	for (;;) {
		bool open;
		int rc = next_tag(x, &open, e);
		if (rc != E_OK || !open)
			return rc;
		if (insists(x, v))
			return err_set(e, E_NOT_UNDERSTOOD, "an entry of the Header that must be understood");
		if (xml_skip(x) != E_OK)
			return xml_failed(x, e);
	}
}

static int open_body(struct xml *x, enum soap_version v, struct err *e)
{
	for (;;) {
		bool open;
		int rc = next_tag(x, &open, e);
		if (rc != E_OK)
			return rc;
		if (open && is_element(x, soap_ns[v], SL("Body")))
			return E_OK;
		if (!open || !is_element(x, soap_ns[v], SL("Header")))
			return malformed(x, e, "the envelope has no Body");
		rc = skip_header(x, v, e);
		if (rc != E_OK)
			return rc;
	}
}

int soap_open(struct xml *x, struct soap_in *out, struct arena *a, struct err *e)
{
	bool open = false;
	int rc = open_envelope(x, &out->version, e);
	if (rc == E_OK)
		rc = open_body(x, out->version, e);
	if (rc == E_OK)
		rc = next_tag(x, &open, e);
	if (rc != E_OK)
		return rc;
	if (!open)
		return malformed(x, e, "the Body is empty");
	out->ns = arena_copy(a, xml_ns(x));
	out->name = arena_copy(a, xml_name(x));
	return out->name.p ? E_OK : err_set(e, E_NOMEM, "no memory for the request");
}

int soap_close(struct xml *x, struct err *e)
{
	for (int closes = 0; closes < 2; closes++) {
		bool open;
		int rc = next_tag(x, &open, e);
		if (rc != E_OK)
			return rc;
		if (open)
			return malformed(x, e, "a second element in the envelope");
	}
	return xml_next(x) == XML_END ? E_OK : xml_failed(x, e);
}

/* ---- writing ---- */

/* Every piece of an envelope that depends on dialect and version. */
struct words {
	const char *begin; /* up to the Body's content */
	const char *begin_fault;
	const char *end;
	const char *p;     /* the prefix, with its colon */
	struct slice empty;
};

#define CLIENT_BEGIN(NS, ON_BODY) "<s:Envelope xmlns:s=\"" NS "\"><s:Body" ON_BODY ">"
#define ASMX_BEGIN(NS) XML_DECLARATION "<soap:Envelope xmlns:soap=\"" NS "\"" XSI_XSD "><soap:Body>"
#define CLIENT_WORDS(NS) \
	{ \
		CLIENT_BEGIN(NS, XSI_XSD), CLIENT_BEGIN(NS, ""), "</s:Body></s:Envelope>", "s:", {"/>", 2} \
	}
#define ASMX_WORDS(NS) \
	{ \
		ASMX_BEGIN(NS), ASMX_BEGIN(NS), "</soap:Body></soap:Envelope>", "soap:", {" />", 3} \
	}
static const struct words words[2][2] = {
	[SOAP_CLIENT] = {[SOAP_11] = CLIENT_WORDS(SOAP_NS11), [SOAP_12] = CLIENT_WORDS(SOAP_NS12)},
	[SOAP_ASMX] = {[SOAP_11] = ASMX_WORDS(SOAP_NS11), [SOAP_12] = ASMX_WORDS(SOAP_NS12)},
};

#define NS_ATTRIBUTE 256

/* ` xmlns="NS"`; namespaces of operations are constants of ours. */
static struct slice xmlns(struct slice ns, char to[NS_ATTRIBUTE])
{
	int n = snprintf(to, NS_ATTRIBUTE, " xmlns=\"%.*s\"", SLF(ns));
	ASSERT(n > 0 && n < NS_ATTRIBUTE);
	return (struct slice){to, (size_t)n};
}

void soap_write(struct rope *r, enum soap_version v, enum soap_dialect d, struct slice ns, const char *name,
	const struct wtype *t, const void *msg)
{
	char attribute[NS_ATTRIBUTE];
	buf_str(rope_buf(r), words[d][v].begin);
	wire_write_element(r, slice_of(name), xmlns(ns, attribute), t, msg, words[d][v].empty);
	buf_str(rope_buf(r), words[d][v].end);
}

/* ---- faults ---- */

static void element(struct buf *b, const char *prefix, const char *name, struct slice text)
{
	buf_str(b, "<");
	buf_str(b, prefix);
	buf_str(b, name);
	buf_str(b, ">");
	xml_escape_add(b, text);
	buf_str(b, "</");
	buf_str(b, prefix);
	buf_str(b, name);
	buf_str(b, ">");
}

/* The four children, in no namespace (SOAPFAULT-01, -02). */
static void detail(struct buf *b, const char *prefix, const char *name, const struct soap_fault *f)
{
	char id[GUID_TEXT + 1];
	guid_text(&f->id, id);
	buf_printf(b, "<%s%s>", prefix, name);
	element(b, "", "ErrorCode", slice_of(f->code));
	element(b, "", "Message", f->message);
	element(b, "", "ID", slice_of(id));
	element(b, "", "Method", f->method);
	buf_printf(b, "</%s%s>", prefix, name);
}

static struct slice reason(const struct soap_fault *f)
{
	return f->code || f->message.n == 0 ? SL("Fault occurred") : f->message;
}

static const char *fault_code(const struct soap_fault *f, const char *ours, const char *theirs)
{
	return f->not_understood ? "MustUnderstand" : f->ours ? ours : theirs;
}

static void fault_11(struct buf *b, const char *p, const struct soap_fault *f)
{
	buf_printf(b, "<%sFault><faultcode>%s%s</faultcode>", p, p, fault_code(f, "Server", "Client"));
	element(b, "", "faultstring", reason(f));
	if (f->actor.p)
		element(b, "", "faultactor", f->actor);
	if (f->code)
		detail(b, "", "detail", f);
	buf_printf(b, "</%sFault>", p);
}

/* The Detail of the specification has no namespace, which SOAP 1.2 does not know: readers of either find
 * theirs (WUSP A31, WSUSSS A-50). */
static void fault_12(struct buf *b, const char *p, const struct soap_fault *f)
{
	buf_printf(b, "<%sFault><%sCode><%sValue>%s%s</%sValue></%sCode><%sReason><%sText xml:lang=\"en\">", p, p, p, p,
		fault_code(f, "Receiver", "Sender"), p, p, p, p);
	xml_escape_add(b, reason(f));
	buf_printf(b, "</%sText></%sReason>", p, p);
	if (f->actor.p)
		element(b, p, "Role", f->actor);
	if (f->code) {
		detail(b, p, "Detail", f);
		detail(b, "", "Detail", f);
	}
	buf_printf(b, "</%sFault>", p);
}

void soap_write_fault(struct rope *r, enum soap_version v, enum soap_dialect d, const struct soap_fault *f)
{
	struct buf *b = rope_buf(r);
	const struct words *w = &words[d][v];
	buf_str(b, w->begin_fault);
	if (v == SOAP_11)
		fault_11(b, w->p, f);
	else
		fault_12(b, w->p, f);
	buf_str(b, w->end);
}

/* What a client looks for in a fault, by local name; the first of each counts, and one without a namespace, as it has to be
 * (WSUSSS-FAULT-05), before any other. */
struct fault_reader {
	struct slice code, message, reason;
	struct slice code_ns, message_ns; /* of another namespace */
	struct buf text;
	struct arena *a;
};

static struct slice *wanted(struct fault_reader *r, struct slice ns, struct slice name)
{
	const struct {
		struct slice name, *to;
	} want[] = {
		{SL("ErrorCode"), ns.n ? &r->code_ns : &r->code},
		{SL("Message"), ns.n ? &r->message_ns : &r->message},
		{SL("faultstring"), &r->reason},
		{SL("Text"), &r->reason},
	};
	for (size_t i = 0; i < COUNTOF(want); i++)
		if (slice_eq(want[i].name, name) && !want[i].to->p)
			return want[i].to;
	return NULL;
}

static int read_fault(struct xml *x, struct fault_reader *r, struct err *e)
{
	enum xml_tok t;
	while ((t = xml_next(x)) > XML_END) {
		struct slice *to = t == XML_OPEN ? wanted(r, xml_ns(x), xml_name(x)) : NULL;
		if (!to)
			continue;
		buf_reset(&r->text);
		if (xml_read_text(x, &r->text) != E_OK)
			return r->text.rc != E_OK ? err_set(e, (enum errcode)r->text.rc, "the fault is too long")
						  : xml_failed(x, e);
		*to = arena_copy(r->a, text_trim(buf_bytes(&r->text)));
	}
	if (t == XML_BAD)
		return xml_failed(x, e);
	return r->a->failed ? err_set(e, E_NOMEM, "no memory for the fault") : E_OK;
}

static int open_fault(struct xml *x, struct err *e)
{
	enum soap_version v;
	bool open = false;
	int rc = open_envelope(x, &v, e);
	if (rc == E_OK)
		rc = open_body(x, v, e);
	if (rc == E_OK)
		rc = next_tag(x, &open, e);
	if (rc == E_OK && (!open || !is_element(x, soap_ns[v], SL("Fault"))))
		rc = malformed(x, e, "no SOAP fault");
	return rc;
}

int soap_read_fault(struct slice body, struct arena *a, struct slice *code, struct slice *message, struct err *e)
{
	struct xml *x = xml_new();
	struct fault_reader r = {.a = a};
	if (!x)
		return err_set(e, E_NOMEM, "no memory for the fault");
	buf_init(&r.text, 64 << 10);
	xml_init(x, body, &xml_message_limits, e);
	int rc = open_fault(x, e);
	if (rc == E_OK)
		rc = read_fault(x, &r, e);
	*code = r.code.p ? r.code : r.code_ns;
	*message = r.message.n ? r.message : r.message_ns.n ? r.message_ns : r.reason;
	buf_free(&r.text);
	xml_free(&x);
	return rc;
}

const char *soap_content_type(enum soap_version v)
{
	return v == SOAP_11 ? "text/xml; charset=utf-8" : "application/soap+xml; charset=utf-8";
}
