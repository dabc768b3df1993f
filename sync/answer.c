/* answer.c -- see answer.h. */
#include "sync/answer.h"

#include <stdlib.h>

#include "common/limits.h"
#include "common/text.h"
#include "common/wsusss.h"

const struct xml_limits answer_limits = {LIMIT_ANSWER, LIMIT_DEPTH, LIMIT_DOC_TAG, LIMIT_DOC_ATTRIBUTES, LIMIT_DOC_NAMESPACES,
	LIMIT_ANSWER_ELEMENTS};

/* ---- what faults and statuses mean ---- */

static const struct {
	const char *code, *message; /* NULL: any */
	enum errcode rc;
	const char *remedy;
} faults[] = {
	/* as a server like this one says it */
	{"InvalidParameters", WSUSSS_NOT_APPROVED, E_NOT_ADMITTED, "it has to be approved there"},
	{"InvalidParameters", WSUSSS_BLOCKED, E_NOT_ADMITTED, "it was blocked there"},
	{"InvalidParameters", NULL, E_INVALID_PARAMETERS, "the server above does not take what Message names; nothing that is asked again "
		"would be different"},
	{"InvalidCookie", NULL, E_INVALID_COOKIE, "authorizing anew helps"},
	{"InvalidAuthorizationCookie", NULL, E_INVALID_AUTH_COOKIE, "authorizing anew helps"},
	{"ServerChanged", NULL, E_SERVER_CHANGED, "it was restored or replaced: everything is listed anew"},
	{"ServerBusy", NULL, E_SERVER_BUSY, "it has too much to do: later"},
	{"IncompatibleProtocolVersion", NULL, E_INCOMPATIBLE_VERSION, "it speaks no version of the protocol that is known here"},
	{"FileDigestsMissing", NULL, E_FILE_DIGESTS_MISSING, "it knows no such files: its updates are not those that are here"},
	{"InternalServerError", NULL, E_REFUSED, "it failed: its own log says why"},
};

static const struct {
	int status;
	bool passing;
	const char *text;
} statuses[] = {
	{301, false, "it redirects, which is not followed: give upstream.url the address that it names"},
	{302, false, "it redirects, which is not followed: give upstream.url the address that it names"},
	{307, false, "it redirects, which is not followed: give upstream.url the address that it names"},
	{308, false, "it redirects, which is not followed: give upstream.url the address that it names"},
	{400, false, "it does not take the request's form: does it want a certificate (upstream.certificate), or https?"},
	{401, false, "it wants a login, or another one: the file that upstream.login names has USER:PASSWORD"},
	{403, false, "it refuses this machine: look at its access rules, and whether it wants a certificate (upstream.certificate)"},
	{404, false, "nothing at this path: is this an update server, and its port for downstream servers?"},
	{405, false, "the path takes no POST: is the service behind it configured?"},
	{407, false, "the proxy wants a login, or another one: the file that upstream.proxy-login names has USER:PASSWORD"},
	{413, false, "the request is too large for it"},
	{415, false, "it does not take this version of SOAP: try upstream.soap = 1.2, or 1.1"},
	{429, true, "it wants to be asked less often"},
	{500, false, "it failed: its own log says why"},
	{502, true, "its front does not reach the service: is that running?"},
	{503, true, "it is overloaded or stopped"},
	{504, true, "the service behind its front took too long"},
};

const char *answer_status_hint(int status)
{
	for (size_t i = 0; i < COUNTOF(statuses); i++)
		if (statuses[i].status == status)
			return statuses[i].text;
	return "no update server answers so: is upstream.url right?";
}

static bool status_passes(int status)
{
	for (size_t i = 0; i < COUNTOF(statuses); i++)
		if (statuses[i].status == status)
			return statuses[i].passing;
	return false;
}

/* ---- faults ---- */

static int fault_failed(struct answer *w, struct slice code, struct slice message, struct err *e)
{
	char text[300];
	snprintf(text, sizeof(text), "%.*s", (int)MIN(message.n, sizeof(text) - 1), message.p ? message.p : "");
	if (!code.p)
		return err_set(e, E_REFUSED, "a fault without ErrorCode (%s); the server's own log says more", text);
	for (size_t i = 0; i < COUNTOF(faults); i++) {
		if (!slice_eq(code, slice_of(faults[i].code)) || (faults[i].message && strcmp(text, faults[i].message) != 0))
			continue;
		w->passing = faults[i].rc == E_SERVER_BUSY;
		return err_set(e, faults[i].rc, "%s%s%s%s; %s", faults[i].code, text[0] ? " (" : "", text, text[0] ? ")" : "", faults[i].remedy);
	}
	return err_set(e, E_REFUSED, "the fault %.*s (%s), which is none of this protocol", (int)MIN(code.n, 60), code.p, text);
}

static int no_answer(struct answer *w, struct err *e)
{
	w->passing = status_passes(w->status);
	return err_set(e, w->passing ? E_SERVER_BUSY : E_REFUSED, "HTTP %d; %s", w->status, answer_status_hint(w->status));
}

/* Faults are short: its beginning is brought into memory. */
static int read_fault(struct answer *w, struct arena *a, struct err *e)
{
	struct slice code = SL0, message = SL0;
	size_t size = (size_t)MIN(spool_size(w->bytes), (uint64_t)LIMIT_FAULT), n = 0;
	char *p = malloc(size + 1);
	if (!p)
		return err_set(e, E_NOMEM, "no memory for a fault");
	for (ptrdiff_t got = 1; n < size && got > 0; n += got > 0 ? (size_t)got : 0)
		got = spool_read(w->bytes, n, p + n, size - n, NULL);
	int rc = soap_read_fault((struct slice){p, n}, a, &code, &message, NULL);
	free(p);
	return rc == E_OK ? fault_failed(w, code, message, e) : no_answer(w, e);
}

/* ---- messages ---- */

/* Does it end as an envelope does?  A connection that was closed without a word of how much was to come leaves less. */
static bool is_whole(struct spool *s)
{
	char tail[512];
	uint64_t size = spool_size(s), at = size > sizeof(tail) ? size - sizeof(tail) : 0;
	size_t n = 0;
	for (ptrdiff_t got; at + n < size; n += (size_t)got)
		if ((got = spool_read(s, at + n, tail + n, sizeof(tail) - n, NULL)) <= 0)
			return false;
	struct slice end = text_trim((struct slice){tail, n});
	return end.n > 9 && memcmp(end.p + end.n - 9, "Envelope>", 9) == 0;
}

static int read_message(struct answer *w, struct xml *x, const struct wtype *t, void *out, struct arena *a, bool *fault, struct err *e)
{
	struct soap_in in;
	char want[80];
	int rc = soap_open(x, &in, a, e);
	if (rc != E_OK)
		return rc;
	*fault = slice_eq(in.name, SL("Fault"));
	snprintf(want, sizeof(want), "%sResponse", w->name);
	if (*fault)
		return E_REFUSED;
	if (!slice_eq(in.name, slice_of(want)) || !slice_eq(in.ns, w->ns))
		return err_set(e, E_FORM, "the answer is <%.*s xmlns=\"%.*s\">, not %s", (int)MIN(in.name.n, 60), in.name.p,
			(int)MIN(in.ns.n, 100), in.ns.p ? in.ns.p : "", want);
	if (!t)
		return E_OK;
	struct err field = {0};
	rc = wire_read(x, t, out, a, &field);
	if (rc == E_INVALID_PARAMETERS) /* that is what a reader of requests calls it */
		return err_set(e, E_FORM, "%s is no such value, or too long", field.text);
	return rc == E_OK ? soap_close(x, e) : err_set(e, (enum errcode)rc, "%s", field.text[0] ? field.text : err_name(rc));
}

static int read_success(struct answer *w, const struct wtype *t, void *out, struct arena *a, struct err *e)
{
	struct spool_reader r = {w->bytes, 0, spool_size(w->bytes)};
	struct xml *x = xml_new();
	struct err mine = {0};
	bool fault = false;
	if (!x)
		return err_set(e, E_NOMEM, "no memory for an answer");
	xml_init_stream(x, spool_refill, &r, &answer_limits, &mine);
	int rc = read_message(w, x, t, out, a, &fault, &mine);
	xml_free(&x);
	if (fault)
		return read_fault(w, a, e);
	if ((rc == E_FORM || (rc == E_OK && !t)) && !is_whole(w->bytes)) {
		w->passing = true;
		return err_set(e, E_IO, "the answer is cut off (%ju bytes of it came)", (uintmax_t)spool_size(w->bytes));
	}
	return rc == E_OK ? E_OK : err_set(e, (enum errcode)rc, "the answer makes no sense: %s", mine.text);
}

int answer_read(struct answer *w, const struct wtype *t, void *out, struct arena *a, struct err *e)
{
	w->passing = false;
	return w->status == 200 ? read_success(w, t, out, a, e) : read_fault(w, a, e);
}

struct slice answer_text(struct spool *s, struct slice name, struct arena *a)
{
	struct spool_reader r = {s, 0, spool_size(s)};
	struct xml *x = xml_new();
	struct slice found = SL0;
	struct buf text;
	enum xml_tok t;
	buf_init(&text, LIMIT_STRING);
	if (x)
		xml_init_stream(x, spool_refill, &r, &answer_limits, NULL);
	while (x && !found.p && (t = xml_next(x)) > XML_END)
		if (t == XML_OPEN && slice_eq(xml_name(x), name)) {
			if (xml_read_text(x, &text) == E_OK)
				found = arena_copy(a, text_trim(buf_bytes(&text)));
			break;
		}
	buf_free(&text);
	xml_free(&x);
	return found;
}
