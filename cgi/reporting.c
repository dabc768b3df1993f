/* reporting.c -- what computers report: MS-WUSP 3.1.5.11, and what else the service's WSDL has.
 *
 * A client forgets what was answered with true, and keeps what was not: true is said after the commit, and nothing but true
 * unless all of a batch was taken.  So what cannot be written is ServerBusy, where other services answer all the same.
 *
 * A report asks for no present configuration and no registration: what happened on a computer did happen, and a client that has
 * to go back first tells it later or not at all. */
#include "cgi/sync.h"
#include "common/text.h"
#include "store/report.h"

/* ================= a batch as the store takes it ================= */

/* Of an event all else may be absent, and is then 0 or empty. */
static const char *missing(const struct ReportingEvent *e)
{
	const struct BasicData *b = e->BasicData;
	if (!b)
		return "eventBatch.BasicData";
	if (!WIRE_HAS(b, BasicData, TimeAtTarget))
		return "eventBatch.BasicData.TimeAtTarget";
	if (!WIRE_HAS(b, BasicData, EventInstanceID))
		return "eventBatch.BasicData.EventInstanceID";
	return WIRE_HAS(b, BasicData, EventID) ? NULL : "eventBatch.BasicData.EventID";
}

/* REPORT-03, -04: without one of the two there is no report. */
static int check_batch(struct call *c, bool timed, const struct ReportingEvent *v, size_t n)
{
	if (!timed)
		return call_bad(c, "clientTime");
	if (!v)
		return call_bad(c, "eventBatch");
	for (size_t i = 0; i < n; i++) {
		const char *what = missing(&v[i]);
		if (what)
			return call_bad(c, what);
	}
	return E_OK;
}

/* One of four words (REPORT-19); what is none of them says as much as Unknown and costs nobody a report. */
static struct slice architecture(struct slice word)
{
	static const struct slice known[] = {{"X86Compatible", 13}, {"IA64Compatible", 14}, {"Amd64Compatible", 15}};
	for (size_t i = 0; i < COUNTOF(known); i++)
		if (slice_eq(word, known[i]))
			return known[i];
	return word.p ? SL("Unknown") : SL0;
}

static void take_basic(struct report_event *to, const struct BasicData *b, struct slice computer)
{
	to->instance = b->EventInstanceID;
	to->at = b->TimeAtTarget;
	to->name_space = b->NamespaceID;
	to->id = (int16_t)b->EventID;
	to->source = (int16_t)b->SourceID;
	to->hresult = b->Win32HResult;
	to->app = b->AppName;
	if (b->UpdateID) {
		to->update = b->UpdateID->UpdateID;
		to->revision = b->UpdateID->RevisionNumber;
	}
	to->foreign = b->TargetID && b->TargetID->Sid.p && !text_ieq(b->TargetID->Sid, computer);
}

static void take_extended(struct report_event *to, const struct ExtendedData *x)
{
	struct reported_machine *m = &to->machine;
	to->strings = x->ReplacementStrings.v;
	to->nstrings = x->ReplacementStrings.n;
	to->misc = x->MiscData.v;
	to->nmisc = x->MiscData.n;
	to->device = x->DeviceID;
	*m = (struct reported_machine){x->ComputerBrand, x->ComputerModel, x->BiosRevision, architecture(x->ProcessorArchitecture),
		{0}, x->OSLocaleID};
	const struct DetailedVersion *v = x->OSVersion;
	if (v)
		memcpy(m->os, (int32_t[]){v->Major, v->Minor, v->Build, v->Revision, v->ServicePackMajor, v->ServicePackMinor},
			sizeof(m->os));
}

/* How it went, for the log. */
static void note_outcome(struct call *c, const struct report_outcome *o)
{
	const struct {
		uint32_t n;
		const char *words;
	} part[] = {{o->repeated, "repeated"}, {o->foreign, "of another computer"}, {o->unknown_updates, "of unknown updates"}};
	int n = snprintf(c->events, sizeof(c->events), "%u kept", (unsigned)o->kept);
	for (size_t i = 0; i < COUNTOF(part); i++)
		if (part[i].n > 0)
			n += snprintf(c->events + n, sizeof(c->events) - (size_t)n, ", %u %s", (unsigned)part[i].n, part[i].words);
}

/* No such computer: it was deleted since it got its cookie.  It begins anew, and then reports. */
static int take(struct call *c, tick_t client_time, const struct ReportingEvent *v, size_t n)
{
	struct report r = {.computer = {c->client.s, c->client.n}, .client_time = client_time, .now = c->now, .n = n};
	struct report_outcome o = {0};
	r.event = ARENA_ARRAY(c->a, struct report_event, n);
	if (!r.event)
		return call_fail(c, E_NOMEM, "no memory for %zu events", n);
	for (size_t i = 0; i < n; i++) {
		take_basic(&r.event[i], v[i].BasicData, r.computer);
		if (v[i].ExtendedData)
			take_extended(&r.event[i], v[i].ExtendedData);
	}
	int rc = report_take(c->txn, &r, &o, &c->err);
	if (rc == E_OK)
		note_outcome(c, &o);
	return rc == E_NOTFOUND ? call_fail(c, E_INVALID_COOKIE, "this computer was deleted") : rc;
}

/* ================= ReportEventBatch ================= */

CHECK(ReportEventBatch)
{
	return check_batch(c, WIRE_HAS(in, ReportEventBatch, clientTime), in->eventBatch.v, in->eventBatch.n);
}

HANDLER(ReportEventBatch)
{
	(void)in;
	c->wants_store = out->ReportEventBatchResult = true;
	return E_OK;
}

STORE(ReportEventBatch)
{
	return take(c, in->clientTime, in->eventBatch.v, in->eventBatch.n);
}

/* ================= ReportEventBatch2 ================= */

/* Without a cookie, an id is all that says who it is: anybody may claim any id, but none may be made up here. */
static int find_reporter(struct call *c, struct slice id)
{
	struct client_id who = {0};
	struct computer pc;
	if (id.n == 0 || id.n > sizeof(who.s))
		return call_bad(c, "computerId");
	who.n = (uint8_t)id.n;
	text_lower_to(who.s, id);
	int rc = computer_get(c->txn, (struct slice){who.s, who.n}, &pc);
	if (rc != E_OK && rc != E_NOTFOUND)
		return call_fail(c, rc, "computer row");
	if (rc == E_NOTFOUND || !pc.registered)
		return call_bad(c, "computerId");
	call_client(c, &who);
	return E_OK;
}

CHECK(ReportEventBatch2)
{
	int rc = find_reporter(c, in->computerId);
	return rc == E_OK ? check_batch(c, WIRE_HAS(in, ReportEventBatch2, clientTime), in->eventBatch.v, in->eventBatch.n) : rc;
}

HANDLER(ReportEventBatch2)
{
	(void)in;
	c->wants_store = out->ReportEventBatch2Result = true;
	return E_OK;
}

STORE(ReportEventBatch2)
{
	int rc = take(c, in->clientTime, in->eventBatch.v, in->eventBatch.n);
	return rc == E_INVALID_COOKIE ? call_bad(c, "computerId") : rc;
}

/* ================= inventory ================= */

/* None is asked for: GetConfig says so, too. */
HANDLER(GetRequiredInventoryType)
{
	(void)c;
	(void)in;
	out->GetRequiredInventoryTypeResult = 0;
	return E_OK;
}

CHECK(ReportInventory)
{
	if (!WIRE_HAS(in, ReportInventory, clientTime))
		return call_bad(c, "clientTime");
	return in->inventory ? E_OK : call_bad(c, "inventory");
}

HANDLER(ReportInventory)
{
	(void)in;
	c->wants_store = out->ReportInventoryResult = true;
	return E_OK;
}

/* That there was one is kept, and nothing of what it says. */
STORE(ReportInventory)
{
	(void)in;
	int rc = report_inventory(c->txn, (struct slice){c->client.s, c->client.n}, c->now, &c->err);
	return rc == E_NOTFOUND ? call_fail(c, E_INVALID_COOKIE, "this computer was deleted") : rc;
}

/* ================= the table ================= */

static const struct op reporting_ops[] = {
	OP_FULL(ReportEventBatch, OP_COOKIE | OP_KEEPS),
	OP_FULL(ReportEventBatch2, OP_KEEPS),
	OP_BARE(GetRequiredInventoryType, OP_COOKIE),
	OP_FULL(ReportInventory, OP_COOKIE | OP_KEEPS),
	OP_PING,
};

/* Two paths are in use: that of real servers, which the specification names, and that of its WSDL. */
const struct service reporting_service = {
	.name = "reporting",
	.ns = WUSP_NS_REPORTING,
	.paths = {"/ReportingWebService/ReportingWebService.asmx", "/ReportingWebService/WebService.asmx"},
	.cache_control = "private, max-age=0",
	.dialect = SOAP_ASMX,
	.body = LIMIT_BODY_REPORT,
	.op = reporting_ops,
	.nops = COUNTOF(reporting_ops),
	.check_cookie = call_check_client,
};
