/* probe_call.c -- one SOAP call: request out, answer or fault in, everything counted. */
#include "ctl/probe.h"

#include <sys/uio.h>
#include <time.h>

#include "common/limits.h"
#include "common/rope.h"
#include "common/soap.h"
#include "common/text.h"
#include "common/wusp.h"
#include "common/xml.h"

#define BUSY_TRIES 4 /* waits of 1, 2 and 4 seconds between them */

enum where { AT_CLIENT, AT_AUTH, AT_REPORTING };
static const struct {
	const char *path; /* NULL: where GetConfig said */
	const char *ns;
} service[] = {
	[AT_CLIENT] = {"/ClientWebService/client.asmx", WUSP_NS_CLIENT},
	[AT_AUTH] = {NULL, WUSP_NS_SIMPLEAUTH},
	[AT_REPORTING] = {"/ReportingWebService/ReportingWebService.asmx", WUSP_NS_REPORTING},
};

struct op_row {
	const char *name;
	enum where where;
	enum probe_step step;
	const struct wtype *in, *out;
};
#define OP(Name, where, step) {#Name, where, step, &Name##_wire, &Name##Response_wire}
static const struct op_row ops[] = {
	[PROBE_GET_CONFIG] = OP(GetConfig, AT_CLIENT, STEP_CONFIG),
	[PROBE_GET_AUTH] = OP(GetAuthorizationCookie, AT_AUTH, STEP_AUTH),
	[PROBE_GET_COOKIE] = OP(GetCookie, AT_CLIENT, STEP_COOKIE),
	[PROBE_REGISTER] = OP(RegisterComputer, AT_CLIENT, STEP_REGISTER),
	[PROBE_START_CATEGORY] = OP(StartCategoryScan, AT_CLIENT, STEP_CATEGORIES),
	[PROBE_REFRESH_CACHE] = OP(RefreshCache, AT_CLIENT, STEP_REFRESH),
	[PROBE_SYNC] = OP(SyncUpdates, AT_CLIENT, STEP_SOFTWARE),
	[PROBE_SYNC_DRIVERS] = OP(SyncUpdates, AT_CLIENT, STEP_DRIVERS),
	[PROBE_EXTENDED] = OP(GetExtendedUpdateInfo, AT_CLIENT, STEP_EXTENDED),
	[PROBE_FILE_LOCATIONS] = OP(GetFileLocations, AT_CLIENT, STEP_LOCATIONS),
	[PROBE_REPORT_EVENTS] = OP(ReportEventBatch, AT_REPORTING, STEP_REPORT),
};
static_assert(COUNTOF(ops) == PROBE_OP__MAX, "one row per operation");

uint64_t probe_usec(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

void probe_items(struct probe *p, enum probe_step step, uint64_t n)
{
	p->count[step].items += n;
}

void probe_call_end(struct probe *p)
{
	arena_reset(&p->arena);
}

/* ---- out ---- */
/* What native clients send beyond the published schema; the texts stand where they stand there. */
static const struct {
	enum probe_op op;
	const char *before, *text;
} beyond[] = {
	{PROBE_SYNC, "<ComputerSpec", "<AlsoPerformRegularSync>true</AlsoPerformRegularSync>"},
	{PROBE_SYNC_DRIVERS, "<ComputerSpec", "<AlsoPerformRegularSync>true</AlsoPerformRegularSync>"},
#define PRODUCTS \
	"<ProductsParameters><SyncCurrentVersionOnly>false</SyncCurrentVersionOnly><DeviceAttributes>OSArchitecture=AMD64;" \
	"OSVersion=10.0.26200.8037;InstallLanguage=en-US;App=WU;ProcessorModel=wsus-probe (none) \\ ;FlightRing=;" \
	"</DeviceAttributes><CallerAttributes>Interactive=1;Id=&lt;&lt;PROCESS&gt;&gt;: wsus-probe;</CallerAttributes>" \
	"<Products>PN=Client.OS.rs2.amd64&amp;V=10.0.26200.8037;</Products></ProductsParameters>"
	{PROBE_SYNC, "</parameters>", PRODUCTS},
	{PROBE_SYNC_DRIVERS, "</parameters>", PRODUCTS},
	{PROBE_EXTENDED, "<GeoId>", "<deviceAttributes>OSArchitecture=AMD64;OSVersion=10.0.26200.8037;</deviceAttributes>"},
};

static void add_beyond(enum probe_op op, struct slice message, struct buf *out)
{
	for (size_t i = 0; i < COUNTOF(beyond); i++) {
		const char *at = beyond[i].op == op ? memmem(message.p, message.n, beyond[i].before, strlen(beyond[i].before)) : NULL;
		if (!at)
			continue;
		size_t head = (size_t)(at - message.p);
		buf_add(out, message.p, head);
		buf_str(out, beyond[i].text);
		message = (struct slice){at, message.n - head};
	}
	buf_slice(out, message);
}

static int encode(struct probe *p, enum probe_op op, const void *in, struct buf *out)
{
	const struct op_row *row = &ops[op];
	struct rope r;
	struct buf packed, message;
	struct iovec *iov;
	size_t n;
	uint64_t total;
	rope_init(&r);
	buf_init(&packed, LIMIT_REPLY);
	buf_init(&message, LIMIT_REPLY);
	soap_write(&r, p->o->soap12 ? SOAP_12 : SOAP_11, SOAP_CLIENT, slice_of(service[row->where].ns), row->name, row->in, in);
	int rc = rope_render(&r, CODING_PLAIN, &p->arena, &packed, &iov, &n, &total);
	for (size_t i = 0; rc == E_OK && i < n; i++)
		buf_add(&message, iov[i].iov_base, iov[i].iov_len);
	if (rc == E_OK && message.rc == E_OK)
		add_beyond(op, buf_bytes(&message), out);
	rc = rc != E_OK ? rc : message.rc != E_OK ? message.rc : out->rc;
	buf_free(&message);
	buf_free(&packed);
	rope_free(&r);
	return rc;
}

static void make_url(const struct probe *p, const struct op_row *op, char *url, size_t room)
{
	if (service[op->where].path)
		snprintf(url, room, "%s%s", p->o->url, service[op->where].path);
	else
		snprintf(url, room, "%s", p->auth_url ? p->auth_url : "");
}

/* SOAP 1.2 has the action as a parameter of the content type. */
static int post(struct probe *p, const struct op_row *op, const char *url, struct slice body, struct err *e)
{
	char action[256], type[512];
	snprintf(action, sizeof(action), "%s/%s", service[op->where].ns, op->name);
	if (p->o->soap12)
		snprintf(type, sizeof(type), "%s; action=\"%s\"", soap_content_type(SOAP_12), action);
	else
		snprintf(type, sizeof(type), "%s", soap_content_type(SOAP_11));
	return probe_http_post(p->http, url, type, p->o->soap12 ? "" : action, body, &p->reply, e);
}

/* ---- in ---- */
static int read_answer(struct probe *p, const struct op_row *op, void *out, struct err *e)
{
	struct xml_limits lim = xml_message_limits;
	struct xml *x = xml_new();
	struct soap_in in;
	char want[64];
	lim.bytes = LIMIT_REPLY;
	if (!x)
		return err_set(e, E_NOMEM, "out of memory");
	xml_init(x, buf_bytes(&p->reply.body), &lim, e);
	int rc = soap_open(x, &in, &p->arena, e);
	snprintf(want, sizeof(want), "%sResponse", op->name);
	if (rc == E_OK && (!slice_eq(in.name, slice_of(want)) || !slice_eq(in.ns, slice_of(service[op->where].ns))))
		rc = err_set(e, E_FORM, "the answer is <%.*s xmlns=\"%.*s\">, not %s", SLF(in.name), SLF(in.ns), want);
	if (rc == E_OK)
		rc = wire_read(x, op->out, out, &p->arena, e);
	if (rc == E_OK)
		rc = soap_close(x, e);
	xml_free(&x);
	return rc == E_INVALID_PARAMETERS ? E_FORM : rc; /* a limit of ours, not the server's fault */
}

static int code_of_fault(struct slice code)
{
	for (int k = E_INVALID_COOKIE; k < E__MAX; k++)
		if (err_fault(k) && slice_eq(code, slice_of(err_fault(k))))
			return k;
	return E_REFUSED;
}

static int read_fault(struct probe *p, struct err *e)
{
	struct slice code = SL0, message = SL0;
	int status = p->reply.status;
	if (soap_read_fault(buf_bytes(&p->reply.body), &p->arena, &code, &message, NULL) != E_OK)
		return err_set(e, E_IO, "HTTP %d without a SOAP fault; %s", status, probe_http_hint(status));
	if (!code.p)
		return err_set(e, E_REFUSED, "HTTP %d, a fault without ErrorCode: %.*s", status, (int)MIN(message.n, 200),
			message.p ? message.p : "");
	return err_set(e, (enum errcode)code_of_fault(code), "HTTP %d, ErrorCode %.*s: %.*s", status,
		(int)MIN(code.n, 60), code.p, (int)MIN(message.n, 200), message.p ? message.p : "");
}

/* A fragment stands escaped in its message, and is kept so by wire_read(). */
int probe_fragment(struct probe *p, const struct frag *f, struct slice *out, struct err *e)
{
	buf_reset(&p->text);
	*out = SL("");
	for (size_t i = 0; i < f->n; i++)
		if (!xml_unescape_add(&p->text, f->v[i].bytes) && p->text.rc == E_OK)
			return err_set(e, E_FORM, "the fragment's escaping is wrong");
	if (p->text.rc != E_OK)
		return err_set(e, (enum errcode)p->text.rc, "the fragment: %s", err_name(p->text.rc));
	*out = buf_bytes(&p->text);
	return E_OK;
}

static void count_call(struct probe *p, const struct op_row *op, size_t sent, uint64_t start)
{
	struct probe_count *c = &p->count[op->step];
	c->calls++;
	c->sent += sent;
	c->wire += p->reply.wire;
	c->plain += p->reply.body.n;
	c->usec += probe_usec() - start;
}

static int once(struct probe *p, const struct op_row *op, const char *url, struct slice body, void *out, struct err *e)
{
	uint64_t start = probe_usec();
	int rc = post(p, op, url, body, e);
	if (rc != E_OK)
		return rc;
	count_call(p, op, body.n, start);
	rc = p->reply.status == 200 ? read_answer(p, op, out, e) : read_fault(p, e);
	return err_at(e, rc, "%s: ", url);
}

int probe_call(struct probe *p, enum probe_op op, const void *in, void *out, struct err *e)
{
	const struct op_row *row = &ops[op];
	char url[2048];
	struct buf body;
	make_url(p, row, url, sizeof(url));
	buf_init(&body, LIMIT_REPLY);
	int rc = encode(p, op, in, &body);
	for (unsigned k = 0; rc == E_OK && k < BUSY_TRIES; k++) {
		rc = once(p, row, url, buf_bytes(&body), out, e);
		if (rc != E_SERVER_BUSY || k + 1 == BUSY_TRIES)
			break;
		fprintf(stderr, "wsus-probe: %s: ServerBusy, waiting %u s\n", row->name, 1u << k);
		struct timespec wait = {.tv_sec = 1 << k};
		nanosleep(&wait, NULL);
		rc = E_OK;
	}
	if (rc == E_SERVER_BUSY)
		rc = err_at(e, rc, "still busy after %d tries (does the front server reach the service?): ", BUSY_TRIES);
	if (p->o->verbose)
		fprintf(stderr, "%s: %zu bytes sent, %ju received, %zu decoded: %s\n", row->name, body.n,
			(uintmax_t)p->reply.wire, p->reply.body.n, rc == E_OK ? "ok" : e->text);
	buf_free(&body);
	return err_at(e, rc, "%s: ", row->name);
}
