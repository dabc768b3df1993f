/* probe_report.c -- one ReportEventBatch as a native client sends it after a scan: what was detected, the
 * status lists, and what was downloaded (facts of the native client; MS-WUSP 2.2.2.3.1). */
#include "ctl/probe.h"

#include <sys/random.h>

#include "common/text.h"
#include "common/wusp.h"

enum { EVENT_DETECTED = 147, EVENT_STATUS = 156, EVENT_DOWNLOADED = 162 };
#define EVENTS 12       /* of one batch, as natives send about ten */
#define STATUS_IDS 2000 /* update ids in one status list */

struct report {
	struct ReportingEvent event[EVENTS];
	size_t n;
	tick_t now;
	bool failed;
};

static const struct UpdateRevisionIdentifier nobody = {.has = UINT64_MAX};

/* A new event with the parts that all have in common; NULL when full or out of memory. */
static struct ReportingEvent *add_event(struct probe *p, struct report *r, int32_t id, const struct probe_update *about)
{
	if (r->n == EVENTS)
		return NULL;
	struct ReportingEvent *ev = &r->event[r->n++];
	struct BasicData *b = ev->BasicData = ARENA_NEW(&p->arena, struct BasicData);
	struct ExtendedData *x = ev->ExtendedData = ARENA_NEW(&p->arena, struct ExtendedData);
	ev->PrivateData = ARENA_NEW(&p->arena, struct PrivateData);
	if (!b || !x || !ev->PrivateData || !(b->TargetID = ARENA_NEW(&p->arena, struct ComputerTargetIdentifier)) ||
		!(b->UpdateID = ARENA_NEW(&p->arena, struct UpdateRevisionIdentifier)) ||
		!(x->OSVersion = ARENA_NEW(&p->arena, struct DetailedVersion)) ||
		getrandom(b->EventInstanceID.b, sizeof(b->EventInstanceID.b), 0) != (ssize_t)sizeof(b->EventInstanceID.b)) {
		r->failed = true;
		return NULL;
	}
	*b->UpdateID = nobody;
	if (about) {
		b->UpdateID->UpdateID = about->update;
		b->UpdateID->RevisionNumber = about->revision;
	}
	b->TargetID->Sid = slice_of(p->state.client);
	b->TimeAtTarget = r->now;
	b->NamespaceID = 1;
	b->EventID = id;
	b->SourceID = 101;
	b->AppName = SL("wsus-probe");
	x->ComputerBrand = x->ComputerModel = SL("wsus-probe");
	x->BiosRevision = SL("unknown");
	x->ProcessorArchitecture = SL("Amd64Compatible");
	*x->OSVersion = (struct DetailedVersion){.Major = 10, .Build = 26200, .Revision = 65792};
	x->OSLocaleID = 1033;
	return ev;
}

static bool one_string(struct probe *p, struct wstrs *to, struct slice s)
{
	to->v = ARENA_NEW(&p->arena, struct slice);
	if (!to->v || !s.p)
		return false;
	to->v[0] = s;
	to->n = 1;
	return true;
}

static bool is_offered(const struct probe_update *u)
{
	return u->action == PROBE_INSTALL || u->action == PROBE_OPTIONAL;
}

static void add_detected(struct probe *p, struct report *r)
{
	struct ReportingEvent *ev = add_event(p, r, EVENT_DETECTED, NULL);
	r->failed = r->failed || !ev ||
		!one_string(p, &ev->ExtendedData->ReplacementStrings, arena_printf(&p->arena, "%ju", (uintmax_t)p->offered));
}

/* "U=" and the ids of what is offered and so missing here, in upper case; absent when there is none. */
static struct slice missing_list(struct probe *p)
{
	struct buf b;
	size_t n = 0;
	buf_init(&b, 1 << 20);
	for (size_t i = 0; i < p->state.cache.n && n < STATUS_IDS; i++) {
		char text[GUID_TEXT + 1];
		if (!is_offered(&p->state.cache.v[i]))
			continue;
		guid_text(&p->state.cache.v[i].update, text);
		for (char *c = text; *c; c++)
			*c = (char)(*c >= 'a' && *c <= 'f' ? *c - 'a' + 'A' : *c);
		buf_printf(&b, "%s%s", n++ ? ";" : "U=", text);
	}
	struct slice s = n > 0 && b.rc == E_OK ? arena_copy(&p->arena, buf_bytes(&b)) : SL0;
	buf_free(&b);
	return s;
}

static void add_status(struct probe *p, struct report *r)
{
	struct ReportingEvent *ev = add_event(p, r, EVENT_STATUS, NULL);
	struct slice list = missing_list(p);
	r->failed = r->failed || !ev || (list.p && !one_string(p, &ev->ExtendedData->MiscData, list));
}

static void add_downloaded(struct probe *p, struct report *r)
{
	for (size_t i = 0; p->downloaded > 0 && i < p->state.cache.n && r->n < EVENTS; i++)
		if (is_offered(&p->state.cache.v[i]))
			add_event(p, r, EVENT_DOWNLOADED, &p->state.cache.v[i]);
}

static int send_report(struct probe *p, void *arg, struct err *e)
{
	struct report r = {.now = time_now()};
	struct ReportEventBatchResponse out;
	(void)arg;
	add_detected(p, &r);
	add_status(p, &r);
	add_downloaded(p, &r);
	struct ReportEventBatch in = {.cookie = probe_cookie(p), .clientTime = r.now};
	in.eventBatch.v = r.event;
	in.eventBatch.n = r.n;
	int rc = r.failed ? err_set(e, E_NOMEM, "out of memory") : probe_call(p, PROBE_REPORT_EVENTS, &in, &out, e);
	if (rc == E_OK)
		probe_items(p, STEP_REPORT, r.n);
	if (rc == E_OK && !out.ReportEventBatchResult)
		probe_problem(p, "ReportEventBatch: the server answers false");
	probe_call_end(p);
	return rc;
}

int probe_report(struct probe *p, struct err *e)
{
	return probe_with_recovery(p, send_report, NULL, e);
}
