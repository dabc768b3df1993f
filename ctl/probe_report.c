/* probe_report.c -- what a native client reports after a scan (MS-WUSP 2.2.2.3.1): what it found, its status lists, downloads and
 * the beginning of installations in one post, and in a second how those ended.
 *
 * The cookie of the scan goes with both, without a handshake in between.  Events keep their ids when a post is sent again, so that
 * the server counts them once. */
#include "ctl/probe.h"

#include <sys/random.h>

#include "common/text.h"
#include "common/wusp.h"

enum { EVENT_DETECTED = 147, EVENT_STATUS = 156, EVENT_DOWNLOAD_FAILED = 161, EVENT_DOWNLOADED = 162, EVENT_DOWNLOADING = 167,
	EVENT_INSTALLING = 181, EVENT_INSTALL_FAILED = 182 };
#define POST_EVENTS 100 /* of one post; natives send about ten, and more where there is more */
#define STATUS_IDS 2000 /* update ids in one status list */
#define NESTING 16      /* bundles in bundles */
#define MISC_MAX 24     /* strings of MiscData */
#define DOWNLOAD_ERROR ((int32_t)0x80246007) /* the files of the update were not all downloaded */
#define INSTALL_ERROR ((int32_t)0x80070643)  /* the installer failed */

/* What --install-result says. */
static const struct {
	const char *name;
	int16_t event;
	int32_t hresult;
} results[PROBE_RESULT__MAX] = {
	[PROBE_RESULT_OK] = {"ok", 183, 0},
	[PROBE_RESULT_FAILED] = {"failed", EVENT_INSTALL_FAILED, INSTALL_ERROR},
	[PROBE_RESULT_REBOOT] = {"reboot", 184, 0},
	[PROBE_RESULT_PENDING] = {"pending", 201, 0x00240005},
};

enum probe_result probe_result_of(const char *name)
{
	enum probe_result r = PROBE_RESULT_OK;
	while (r < PROBE_RESULT__MAX && strcmp(results[r].name, name) != 0)
		r++;
	return r;
}

struct report {
	struct probe *p;
	struct arena a; /* as long as a post, whatever recoveries it takes */
	struct ReportingEvent *event;
	size_t n;
	tick_t now;
	int rc; /* the first failure, after which nothing is added */
	struct err *e;
};

/* ---- posts ---- */

static int send_events(struct probe *p, void *arg, struct err *e)
{
	struct report *r = arg;
	struct ReportEventBatchResponse out;
	struct ReportEventBatch in = {.cookie = probe_cookie(p)};
	WIRE_SET(&in, ReportEventBatch, clientTime, r->now);
	in.eventBatch.v = r->event;
	in.eventBatch.n = r->n;
	int rc = probe_call(p, PROBE_REPORT_EVENTS, &in, &out, e);
	if (rc == E_OK && !out.ReportEventBatchResult)
		probe_problem(p, "ReportEventBatch: the server answers false");
	probe_call_end(p);
	return rc;
}

static void begin_post(struct report *r)
{
	arena_reset(&r->a);
	r->n = 0;
	r->now = time_now() / (TICKS_PER_SECOND / 1000) * (TICKS_PER_SECOND / 1000); /* natives write milliseconds */
	r->event = ARENA_ARRAY(&r->a, struct ReportingEvent, POST_EVENTS);
	if (!r->event && r->rc == E_OK)
		r->rc = err_set(r->e, E_NOMEM, "out of memory");
}

static void post(struct report *r)
{
	if (r->rc != E_OK || r->n == 0)
		return;
	r->rc = probe_with_recovery(r->p, send_events, r, r->e);
	if (r->rc == E_OK)
		probe_items(r->p, STEP_REPORT, r->n);
	begin_post(r);
}

/* ---- an event ---- */

static void out_of_memory(struct report *r)
{
	if (r->rc == E_OK)
		r->rc = err_set(r->e, E_NOMEM, "out of memory");
}

static void add_string(struct report *r, struct wstrs *to, size_t max, struct slice s)
{
	if (!to->v)
		to->v = ARENA_ARRAY(&r->a, struct slice, max);
	if (!to->v || !s.p)
		out_of_memory(r);
	else if (to->n < max)
		to->v[to->n++] = s;
}

/* In the order of natives, the values ours: what is the same in all events around what the event has of its own. */
static void add_misc(struct report *r, struct wstrs *to, bool bundle, struct slice own)
{
	static const char *const before[] = {"G=1507.2601.30012.0", "J=500", "K=none", "L=2022-02-02T00:00:00"};
	static const char *const behind[] = {"T=wsus-probe", "AppName=wsus-probe", "CsiErrorType=0", "c=48", "m=0", "n=1", "o=0", "x=1",
		"dd=0", "ff=0", "WUfBOn=0"};
	for (size_t i = 0; i < COUNTOF(before); i++)
		add_string(r, to, MISC_MAX, slice_of(before[i]));
	if (own.n > 0)
		add_string(r, to, MISC_MAX, own);
	add_string(r, to, MISC_MAX, bundle ? SL("Q=2") : SL("Q=1"));
	for (size_t i = 0; i < COUNTOF(behind); i++)
		add_string(r, to, MISC_MAX, slice_of(behind[i]));
}

static void fill_machine(struct ExtendedData *x)
{
	x->ComputerBrand = SL("wsus-probe");
	x->ComputerModel = SL("probe " PROBE_VERSION);
	x->BiosRevision = SL("unknown");
	x->ProcessorArchitecture = SL("Amd64Compatible");
	*x->OSVersion = (struct DetailedVersion){.Major = 10, .Build = 26200, .Revision = 65792};
	x->OSLocaleID = 1033;
}

static bool make_parts(struct report *r, struct ReportingEvent *ev)
{
	ev->BasicData = ARENA_NEW(&r->a, struct BasicData);
	ev->ExtendedData = ARENA_NEW(&r->a, struct ExtendedData);
	ev->PrivateData = ARENA_NEW(&r->a, struct PrivateData);
	if (!ev->BasicData || !ev->ExtendedData || !ev->PrivateData)
		return false;
	struct BasicData *b = ev->BasicData;
	b->TargetID = ARENA_NEW(&r->a, struct ComputerTargetIdentifier);
	b->UpdateID = ARENA_NEW(&r->a, struct UpdateRevisionIdentifier);
	ev->ExtendedData->OSVersion = ARENA_NEW(&r->a, struct DetailedVersion);
	return b->TargetID && b->UpdateID && ev->ExtendedData->OSVersion &&
		getrandom(b->EventInstanceID.b, sizeof(b->EventInstanceID.b), 0) == (ssize_t)sizeof(b->EventInstanceID.b);
}

/* About an update, or none; own: the string of MiscData that only this event has.  NULL once something failed. */
static struct ReportingEvent *add_event(struct report *r, int16_t id, const struct probe_update *about, int32_t hresult, struct slice own)
{
	if (r->n == POST_EVENTS)
		post(r);
	if (r->rc != E_OK)
		return NULL;
	struct ReportingEvent *ev = &r->event[r->n++];
	if (!make_parts(r, ev)) {
		out_of_memory(r);
		return NULL;
	}
	struct BasicData *b = ev->BasicData;
	b->UpdateID->has = UINT64_MAX; /* zero where there is none */
	if (about) {
		b->UpdateID->UpdateID = about->update;
		b->UpdateID->RevisionNumber = about->revision;
	}
	b->TargetID->Sid = slice_of(r->p->state.client);
	b->TimeAtTarget = r->now;
	b->NamespaceID = 1;
	b->EventID = id;
	b->SourceID = 101;
	b->Win32HResult = hresult;
	b->AppName = SL("wsus-probe");
	fill_machine(ev->ExtendedData);
	add_misc(r, &ev->ExtendedData->MiscData, about && about->members > 0, own);
	return ev;
}

/* ---- which updates ---- */

static bool is_offered(const struct probe_update *u)
{
	return u->action == PROBE_INSTALL || u->action == PROBE_OPTIONAL;
}

static bool is_there(const struct probe_update *u)
{
	return u->installed || u->done;
}

/* Reported in the lists: what is offered, and what the server only wants to know about. */
static bool is_listed(const struct probe_update *u)
{
	return is_offered(u) || (u->action == PROBE_PRE_DEPLOYMENT && u->leaf);
}

/* Does a file of it still miss? */
static bool lacks_files(const struct probe *p, const struct probe_update *u)
{
	for (size_t i = 0; i < p->files; i++)
		if (p->file[i].owner == u->id && !p->file[i].done)
			return true;
	return false;
}

static const struct probe_update *member_of(const struct probe *p, const struct probe_update *u, uint32_t k)
{
	return probe_cache_by_identity(&p->state.cache, &u->member[k].update, u->member[k].revision);
}

/* The fewest updates have members, and their members seldom: three deep is the deepest seen. */
static bool lacks_any(const struct probe *p, const struct probe_update *u, unsigned depth)
{
	bool lacks = lacks_files(p, u);
	for (uint32_t k = 0; !lacks && k < u->members && depth < NESTING; k++)
		lacks = member_of(p, u, k) && lacks_any(p, member_of(p, u, k), depth + 1);
	return lacks;
}

static bool download_failed(const struct probe *p, const struct probe_update *u)
{
	return p->o->download && lacks_any(p, u, 0);
}

static bool to_install(const struct probe_update *u)
{
	return is_offered(u) && !is_there(u);
}

/* ---- the first post ---- */

static void add_detected(struct report *r)
{
	uint64_t n = 0;
	for (size_t i = 0; i < r->p->state.cache.n; i++)
		n += to_install(&r->p->state.cache.v[i]);
	struct ReportingEvent *ev = add_event(r, EVENT_DETECTED, NULL, 0, SL(""));
	if (ev)
		add_string(r, &ev->ExtendedData->ReplacementStrings, 1, arena_printf(&r->a, "%ju", (uintmax_t)n));
}

static void upper_guid(const struct guid *g, char text[GUID_TEXT + 1])
{
	guid_text(g, text);
	for (char *c = text; *c; c++)
		*c = (char)(*c >= 'a' && *c <= 'f' ? *c - 'a' + 'A' : *c);
}

/* The tag and the ids of what is listed and there, or not, in upper case; empty when there is none. */
static struct slice status_list(struct report *r, const char *tag, bool there)
{
	struct buf b;
	size_t n = 0;
	buf_init(&b, 1 << 20);
	for (size_t i = 0; i < r->p->state.cache.n && n < STATUS_IDS; i++) {
		const struct probe_update *u = &r->p->state.cache.v[i];
		char text[GUID_TEXT + 1];
		if (!is_listed(u) || is_there(u) != there)
			continue;
		upper_guid(&u->update, text);
		buf_printf(&b, "%s%s", n++ ? ";" : tag, text);
	}
	struct slice s = b.rc == E_OK ? arena_copy(&r->a, buf_bytes(&b)) : SL0;
	buf_free(&b);
	if (!s.p)
		out_of_memory(r);
	return s;
}

static void add_status(struct report *r)
{
	struct slice missing = status_list(r, "U=", false), there = status_list(r, "V=", true);
	struct ReportingEvent *ev = add_event(r, EVENT_STATUS, NULL, 0, missing);
	if (ev && there.n > 0)
		add_string(r, &ev->ExtendedData->MiscData, MISC_MAX, there);
}

/* What a bundle contains names the bundle. */
static struct slice part_of(struct report *r, const struct probe_update *bundle)
{
	char text[GUID_TEXT + 1];
	upper_guid(&bundle->update, text);
	struct slice s = arena_printf(&r->a, "M=%s;%d", text, bundle->revision);
	if (!s.p)
		out_of_memory(r);
	return s;
}

/* Titles are not kept from the scan; the id says as much. */
static void add_title(struct report *r, struct ReportingEvent *ev, const struct probe_update *u)
{
	char text[GUID_TEXT + 1];
	guid_text(&u->update, text);
	if (ev)
		add_string(r, &ev->ExtendedData->ReplacementStrings, 2, arena_copy(&r->a, slice_of(text)));
}

static void add_one_download(struct report *r, const struct probe_update *u, struct slice own)
{
	bool bad = download_failed(r->p, u);
	struct ReportingEvent *ev = add_event(r, bad ? EVENT_DOWNLOAD_FAILED : EVENT_DOWNLOADED, u, bad ? DOWNLOAD_ERROR : 0, own);
	add_title(r, ev, u);
	if (ev && u->driver)
		ev->ExtendedData->DeviceID = SL("1");
}

/* Of a bundle whose download failed, natives name the parts that failed, too; else it stands for all of them. */
static void add_download(struct report *r, const struct probe_update *u)
{
	add_event(r, EVENT_DOWNLOADING, u, 0, SL(""));
	for (uint32_t k = 0; k < u->members; k++)
		if (member_of(r->p, u, k) && download_failed(r->p, member_of(r->p, u, k)))
			add_one_download(r, member_of(r->p, u, k), part_of(r, u));
	add_one_download(r, u, SL(""));
}

static void report_scan(struct report *r)
{
	const struct probe_options *o = r->p->o;
	add_detected(r);
	add_status(r);
	for (size_t i = 0; i < r->p->state.cache.n; i++) {
		const struct probe_update *u = &r->p->state.cache.v[i];
		if (!to_install(u) || !u->asked)
			continue;
		if (o->download)
			add_download(r, u);
		if (o->download || o->install)
			add_title(r, add_event(r, EVENT_INSTALLING, u, 0, SL("")), u);
	}
	post(r);
}

/* ---- the second post ---- */

static void add_result(struct report *r, const struct probe_update *u, const struct probe_update *bundle, bool bad)
{
	int32_t hresult = download_failed(r->p, u) ? DOWNLOAD_ERROR : bad ? INSTALL_ERROR : results[r->p->o->result].hresult;
	struct slice own = bundle ? part_of(r, bundle) : bad ? SL("C=1") : SL("");
	struct ReportingEvent *ev = add_event(r, bad ? EVENT_INSTALL_FAILED : results[r->p->o->result].event, u, hresult, own);
	if (!ev || bundle)
		return;
	if (bad)
		add_string(r, &ev->ExtendedData->ReplacementStrings, 2, arena_printf(&r->a, "0x%08x", (unsigned)hresult));
	add_title(r, ev, u);
	if (u->driver)
		ev->ExtendedData->DeviceID = SL("ROOT\\PROBE\\0000");
}

static void report_results(struct report *r)
{
	for (size_t i = 0; i < r->p->state.cache.n; i++) {
		struct probe_update *u = &r->p->state.cache.v[i];
		if (!to_install(u) || !u->asked)
			continue;
		bool bad = download_failed(r->p, u) || r->p->o->result == PROBE_RESULT_FAILED;
		for (uint32_t k = 0; bad && k < u->members; k++)
			if (member_of(r->p, u, k))
				add_result(r, member_of(r->p, u, k), u, bad);
		add_result(r, u, NULL, bad);
		u->done = !bad && r->rc == E_OK;
	}
	post(r);
}

int probe_report(struct probe *p, struct err *e)
{
	struct report r = {.p = p, .e = e};
	arena_init(&r.a, (size_t)1 << 30);
	begin_post(&r);
	report_scan(&r);
	if (p->o->install)
		report_results(&r);
	arena_free(&r.a);
	return r.rc;
}
