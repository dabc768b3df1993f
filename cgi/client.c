/* client.c -- ClientWebService of MS-WUSP: one block per operation, one row each at the end.
 *
 * Field order and presence follow what real servers send (Appendix A of the rule catalogue says where the
 * specification leaves a choice). */
#include "cgi/dispatch.h"

#include <stdlib.h>

#include "common/text.h"
#include "common/wusp_info.h"
#include "store/content.h"
#include "store/scanned.h"

/* ================= GetConfig, 3.1.5.2 ================= */

CHECK(GetConfig)
{
	uint32_t major, minor;
	if (!text_version(in->protocolVersion, &major, &minor))
		return call_bad(c, "protocolVersion");
	return E_OK;
}

/* The repair source; without one of our own, the name that the product would give it. */
static struct slice package_share(struct call *c)
{
	if (c->set.package_share.n > 0)
		return c->set.package_share;
	return arena_printf(c->a, "\\\\%.*s\\UpdateServicesPackages", SLF(call_host(c)));
}

HANDLER(GetConfig)
{
	(void)in; /* every version gets the same answer */
	struct Config *k = ARENA_NEW(c->a, struct Config);
	struct AuthPlugInInfo *plug = ARENA_NEW(c->a, struct AuthPlugInInfo);
	struct ConfigurationProperty props[] = {
		{.Name = SL("MaxExtendedUpdatesPerRequest"), .Value = arena_printf(c->a, "%d", c->set.max_extended)},
		{.Name = SL("PackageServerShare"), .Value = package_share(c)},
		{.Name = SL("ProtocolVersion"), .Value = SL("3.2")},
		{.Name = SL("IsInventoryRequired"), .Value = SL("0")},
		{.Name = SL("ClientReportingLevel"), .Value = SL("2")},
	};
	struct ConfigurationProperty *v = ARENA_ARRAY(c->a, struct ConfigurationProperty, COUNTOF(props));
	if (c->a->failed)
		return call_fail(c, E_NOMEM, "no memory for Config");
	memcpy(v, props, sizeof(props));
	*plug = (struct AuthPlugInInfo){
		.PlugInID = SL("SimpleTargeting"),
		.ServiceUrl = SL("SimpleAuthWebService/SimpleAuth.asmx"),
		.Parameter = SL(""),
	};
	k->LastChange = c->state.last_change;
	k->IsRegistrationRequired = c->set.registration_required;
	k->AuthInfo.v = plug;
	k->AuthInfo.n = 1;
	k->Properties.v = v;
	k->Properties.n = COUNTOF(props);
	out->GetConfigResult = k;
	return E_OK;
}

/* ================= GetCookie, 3.1.5.4 ================= */

CHECK(GetCookie)
{
	uint32_t major, minor;
	if (!text_version(in->protocolVersion, &major, &minor))
		return call_bad(c, "protocolVersion");
	return E_OK;
}

/* Exactly one, made by this server for this generation (COOKIE-01, -02). */
static int open_auth(struct call *c, const struct GetCookie *in, struct auth_cookie *k)
{
	if (in->authCookies.n != 1 || in->authCookies.v[0].CookieData.n == 0)
		return call_fail(c, E_INVALID_AUTH_COOKIE, "%zu authorization cookies", in->authCookies.n);
	if (auth_cookie_open(c->w->sealer, in->authCookies.v[0].CookieData, k) != E_OK)
		return call_fail(c, E_INVALID_AUTH_COOKIE, "not an authorization cookie of ours");
	call_client(c, &k->client);
	if (guid_cmp(&k->server, &c->state.server_id) != 0 || k->generation != c->state.generation)
		return call_fail(c, E_INVALID_AUTH_COOKIE, "authorization cookie of another server or generation");
	return E_OK;
}

/* An expired one will do; one without data is none at all (COOKIE-03, -04). */
static int open_old(struct call *c, const struct GetCookie *in, struct cookie *old, bool *has)
{
	*has = in->oldCookie && in->oldCookie->EncryptedData.n > 0;
	if (!*has)
		return E_OK;
	if (cookie_open(c->w->sealer, in->oldCookie->EncryptedData, old) != E_OK)
		return call_fail(c, E_INVALID_COOKIE, "oldCookie is not a cookie of ours");
	if (guid_cmp(&old->server, &c->state.server_id) != 0 || old->generation != c->state.generation)
		return call_fail(c, E_SERVER_CHANGED, "oldCookie of generation %u", old->generation);
	return E_OK;
}

static void forget_points(struct cookie *k, uint64_t groups)
{
	memset(k->point, 0, sizeof(k->point));
	k->parked = 0;
	k->installed = 0;
	k->groups = groups;
}

/* What the client knew goes on holding, unless it is another client or in other groups (COOKIE-13, -15, -16). */
static void inherit(struct cookie *k, const struct cookie *old)
{
	k->flags = old->flags & COOKIE_PARKED;
	k->file_locations = old->file_locations;
	if (old->groups != k->groups || old->client.n != k->client.n ||
		memcmp(old->client.s, k->client.s, k->client.n) != 0)
		return;
	memcpy(k->point, old->point, sizeof(k->point));
	k->parked = old->parked;
	k->installed = old->installed;
}

HANDLER(GetCookie)
{
	struct auth_cookie auth;
	struct cookie old;
	struct client_groups g;
	bool has_old;
	int rc = open_auth(c, in, &auth);
	if (rc == E_OK)
		rc = open_old(c, in, &old, &has_old);
	if (rc == E_OK && (!WIRE_HAS(in, GetCookie, lastChange) || in->lastChange != c->state.last_change))
		rc = call_fail(c, E_CONFIG_CHANGED, "lastChange is not the configuration's");
	if (rc == E_OK)
		rc = client_groups_get(c->txn, &c->set, (struct slice){c->client.s, c->client.n}, &g, &c->err);
	if (rc != E_OK)
		return rc;
	struct cookie k = {
		.server = c->state.server_id,
		.generation = c->state.generation,
		.expires = c->now + c->set.cookie_minutes * 60 * TICKS_PER_SECOND,
		.last_change = c->state.last_change,
		.file_locations = c->state.file_locations,
		.groups = g.hash,
		.client = c->client,
	};
	if (!text_version(in->protocolVersion, &k.major, &k.minor))
		return call_bad(c, "protocolVersion");
	if (has_old)
		inherit(&k, &old);
	worker_seen(c->w, &k.client, k.major, k.minor);
	out->GetCookieResult = call_cookie(c, &k);
	return out->GetCookieResult ? E_OK : (int)c->err.code;
}

/* ================= RegisterComputer, 3.1.5.5 ================= */

CHECK(RegisterComputer)
{
	return in->computerInfo ? E_OK : call_bad(c, "computerInfo");
}

static int pack_info(struct call *c, const struct RegisterComputer *in, struct slice *out)
{
	struct buf b;
	buf_init(&b, (size_t)64 << 10); /* 26 texts of LIMIT_STRING and some numbers */
	computer_info_pack(&b, in->computerInfo);
	*out = b.rc == E_OK ? arena_copy(c->a, buf_bytes(&b)) : SL0;
	buf_free(&b);
	return out->p ? E_OK : call_fail(c, E_NOMEM, "no memory for computerInfo");
}

HANDLER(RegisterComputer)
{
	struct slice info, id = {c->client.s, c->client.n};
	(void)out; /* the answer is empty (REGISTER-09) */
	int rc = pack_info(c, in, &info);
	if (rc == E_OK)
		c->wants_store = computer_registration_differs(c->txn, id, info);
	return rc;
}

STORE(RegisterComputer)
{
	struct slice info;
	int rc = pack_info(c, in, &info);
	if (rc == E_OK)
		rc = computer_register(c->txn, (struct slice){c->client.s, c->client.n}, info, &c->err);
	return rc;
}

/* ================= deployments, as SyncUpdates and RefreshCache show them ================= */

static struct slice date_slice(struct call *c, tick_t t)
{
	char text[DATE_TEXT + 1];
	date_text(t, text);
	return arena_copy(c->a, (struct slice){text, DATE_TEXT});
}

static struct slice time_slice(struct call *c, tick_t t)
{
	char text[TIME_TEXT + 1];
	return arena_copy(c->a, (struct slice){text, time_text(t, text)});
}

static void explicit_fields(struct call *c, const struct deployment *d, struct Deployment *out)
{
	static const struct slice words[] = {
		[PRIO_NORMAL] = {NULL, 0}, [PRIO_HIGH] = {"High", 4}, [PRIO_LOW] = {"Low", 3}};
	out->IsAssigned = d->assigned;
	out->DownloadPriority = words[d->priority];
	if (d->deadline)
		out->Deadline = time_slice(c, d->deadline);
	/* older clients do not know the word (SYNC-66) */
	if (slice_eq(out->Action, SL("OptionalInstall")) && !call_client_at_least(c, 2, 0)) {
		out->Action = SL("Install");
		out->IsAssigned = false;
	}
}

static int deployment_of(struct call *c, int32_t revision, struct Deployment **to)
{
	struct effective e;
	int rc = scan_effective(c->w->scan, &c->groups, revision, &e, &c->err);
	if (rc != E_OK)
		return rc;
	struct Deployment *d = ARENA_NEW(c->a, struct Deployment);
	if (!d)
		return call_fail(c, E_NOMEM, "no memory for a deployment");
	d->ID = (int32_t)e.id;
	d->Action = slice_of(e.action);
	d->IsAssigned = true;
	d->LastChangeTime = date_slice(c, e.changed);
	if (!e.implied)
		explicit_fields(c, &e.d, d);
	if (call_client_at_least(c, 1, 8)) /* SYNC-73 */
		d->AutoSelect = d->AutoDownload = d->SupersedenceBehavior = SL("0");
	*to = d;
	return c->a->failed ? call_fail(c, E_NOMEM, "no memory for a deployment") : E_OK;
}

static int cmp_id(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
	return x < y ? -1 : x > y;
}

/* Sorts ids[0..*n) in place and drops repetitions. */
static void sort_unique(int32_t *ids, size_t *n)
{
	size_t kept = 0;
	qsort(ids, *n, sizeof(*ids), cmp_id);
	for (size_t i = 0; i < *n; i++)
		if (kept == 0 || ids[kept - 1] != ids[i])
			ids[kept++] = ids[i];
	*n = kept;
}

/* ================= SyncUpdates, 3.1.5.7, and SyncPrinterCatalog, 3.1.5.12 ================= */

CHECK(SyncUpdates)
{
	if (!in->parameters)
		return call_bad(c, "parameters");
	if (in->parameters->SystemSpec.v && !in->parameters->SkipSoftwareSync)
		return call_bad(c, "parameters.SystemSpec");
	return E_OK;
}

/* Tells sets of installed ids apart, whatever their order; never 0. */
static uint64_t installed_hash(const struct scan_request *q)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < q->ninstalled; i++) {
		uint64_t h = (uint64_t)(uint32_t)q->installed[i] * UINT64_C(0x9e3779b97f4a7c15);
		h = (h ^ h >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
		sum += h ^ h >> 32;
	}
	return sum + (sum == 0);
}

/* The epoch since which changes are reported in this call.
 *
 * A client must never keep a deployment that has changed, so a point may only move past a change that the
 * client was told of or will be told of.  Three things can go between:
 *  - its groups are others, or one moved in the tree: what is effective changed without a log row; the log
 *    was cut above the point: rows are missing.  Then everything cached is reported (SYNC-49, A40).
 *  - a pass is restricted by FilterCategoryIds: what lies outside is not looked at, so the point stays, unless
 *    the client had nothing that could lie there.
 *  - ids are parked in DeployedOutOfScopeRevisionIds: the client keeps them, yet changes of theirs are not
 *    reported while they are parked.  SYNC-81 would hold the point back; we let it move and remember in
 *    `parked` what it was, and report from there when some of them may be needed again, until a scan's first
 *    call, which lists the whole cache, parks nothing any more.  In an unfiltered pass they wait for
 *    prerequisites: as long as the same ids are installed as when they were parked, they go on waiting, so
 *    that a computer with ids parked for good is not told the same again at each scan.
 * Sending too much is harmless: the entry is the same. */
static uint32_t point_of(const struct call *c, const struct scan_request *q)
{
	const struct cookie *k = &c->cookie;
	uint32_t p = k->point[q->pass];
	bool parked = q->pass == PASS_SOFTWARE && (k->flags & COOKIE_PARKED);
	if (parked && (q->nfilter > 0 || k->installed != installed_hash(q)))
		p = MIN(p, k->parked);
	bool usable = k->groups == c->groups.hash && p >= c->groups.moved_epoch && p >= c->state.log_floor;
	return usable ? p : 0;
}

/* What an unfiltered software pass leaves parked.  Only a scan's first call lists what was parked before: a
 * later one under other installed ids says nothing about those. */
static void park(struct cookie *k, const struct scan_request *q, const struct scan_result *r)
{
	bool first = !(k->flags & COOKIE_SCAN_OPEN), was = k->flags & COOKIE_PARKED;
	uint64_t installed = installed_hash(q);
	if (r->nparked > 0) {
		k->parked = was ? MIN(k->parked, q->point) : q->point;
		k->flags |= COOKIE_PARKED;
	} else if (first) {
		k->parked = 0;
		k->flags &= ~COOKIE_PARKED;
	}
	if (first)
		k->installed = installed;
	else if (k->installed != installed)
		k->installed = 0;
}

/* NewCookie: the one presented with the point of this pass moved on (SYNC-79 to -82). */
static struct cookie next_cookie(const struct call *c, const struct scan_request *q, const struct scan_result *r)
{
	struct cookie k = c->cookie;
	if (k.groups != c->groups.hash)
		forget_points(&k, c->groups.hash);
	/* a client that holds nothing yet learns all it knows from this snapshot on, whatever the filter */
	bool fresh = k.point[q->pass] == 0 && !(k.flags & COOKIE_PARKED) && q->ninstalled + q->nother == 0;
	if (q->nfilter == 0 || fresh)
		k.point[q->pass] = r->epoch;
	if (q->nfilter > 0 || q->pass != PASS_SOFTWARE)
		return k;
	park(&k, q, r);
	/* a client asks again for as long as it gets something new (SYNC-18) */
	k.flags = r->nfresh > 0 ? k.flags | COOKIE_SCAN_OPEN : k.flags & ~COOKIE_SCAN_OPEN;
	return k;
}

static int fill_updates(struct call *c, const struct scan_update *from, size_t n, bool xml, struct SyncInfo *s)
{
	struct UpdateInfo *v = ARENA_ARRAY(c->a, struct UpdateInfo, n);
	if (!v)
		return call_fail(c, E_NOMEM, "no memory for %zu updates", n);
	for (size_t i = 0; i < n; i++) {
		v[i].ID = from[i].revision;
		v[i].IsLeaf = from[i].leaf;
		int rc = deployment_of(c, from[i].revision, &v[i].Deployment);
		if (rc == E_OK && xml)
			rc = fragment_get(c->txn, from[i].revision, FRAG_CORE, SL0, SL0, &v[i].Xml, &c->err);
		if (rc != E_OK)
			return call_fail(c, rc, "revision %d: %s", from[i].revision, err_name(rc));
	}
	if (xml) {
		s->NewUpdates.v = v;
		s->NewUpdates.n = n;
	} else {
		s->ChangedUpdates.v = v;
		s->ChangedUpdates.n = n;
	}
	return E_OK;
}

/* The text that lets a client skip its driver pass (SYNC-83 to -85); clients below 1.7 do not know it. */
static struct slice driver_sync_not_needed(const struct call *c, const struct scan_request *q,
	const struct scan_result *r)
{
	if (q->pass == PASS_PRINTER || !call_client_at_least(c, 1, 7))
		return SL0;
	return r->drivers && q->pass == PASS_SOFTWARE ? SL("false") : SL("true");
}

static int run_scan(struct call *c, struct scan_request *q, struct SyncInfo **to)
{
	struct scan_result r = {0};
	struct SyncInfo *s = ARENA_NEW(c->a, struct SyncInfo);
	if (!s)
		return call_fail(c, E_NOMEM, "no memory for SyncInfo");
	q->groups = &c->groups;
	q->point = point_of(c, q);
	int rc = scan_run(c->w->scan, q, &r, &c->err);
	if (rc == E_OK && r.nfresh > 0) /* empty lists are left out, as real servers do */
		rc = fill_updates(c, r.fresh, r.nfresh, true, s);
	if (rc == E_OK && r.nchanged > 0)
		rc = fill_updates(c, r.changed, r.nchanged, false, s);
	if (rc != E_OK)
		return rc;
	if (r.ngone > 0)
		s->OutOfScopeRevisionIDs = (struct wints){r.gone, r.ngone};
	if (r.nparked > 0)
		s->DeployedOutOfScopeRevisionIds = (struct wints){r.parked, r.nparked};
	s->Truncated = r.truncated;
	s->DriverSyncNotNeeded = driver_sync_not_needed(c, q, &r);
	struct cookie next = next_cookie(c, q, &r);
	s->NewCookie = call_cookie(c, &next);
	*to = s;
	return s->NewCookie ? E_OK : (int)c->err.code;
}

static int take_filter(struct call *c, const struct SyncUpdateParameters *p, struct scan_request *q)
{
	struct guid *v = ARENA_ARRAY(c->a, struct guid, p->FilterCategoryIds.n);
	if (!v)
		return call_fail(c, E_NOMEM, "no memory for the filter");
	for (size_t i = 0; i < p->FilterCategoryIds.n; i++)
		v[i] = p->FilterCategoryIds.v[i].Id;
	q->filter = v;
	q->nfilter = p->FilterCategoryIds.n;
	return E_OK;
}

/* ---- what a scan tells of the computer: noted where it differs from what it told before ---- */

static bool is_ascending(const struct wints *v)
{
	for (size_t i = 1; i < v->n; i++)
		if (v->v[i - 1] >= v->v[i])
			return false;
	return true;
}

/* InstalledNonLeafUpdateIDs, ascending, each once. */
static int take_installed(struct call *c, const struct SyncUpdateParameters *p, struct wints *out)
{
	*out = p->InstalledNonLeafUpdateIDs;
	if (is_ascending(out))
		return E_OK;
	out->v = ARENA_ARRAY(c->a, int32_t, out->n);
	if (!out->v)
		return call_fail(c, E_NOMEM, "no memory for installed ids");
	memcpy(out->v, p->InstalledNonLeafUpdateIDs.v, out->n * sizeof(*out->v));
	sort_unique(out->v, &out->n);
	return E_OK;
}

static bool take_device(struct call *c, const struct Device *from, struct device *to)
{
	size_t hardware = from->HardwareIDs.n, n = hardware + from->CompatibleIDs.n;
	struct slice *id = ARENA_ARRAY(c->a, struct slice, n);
	for (size_t i = 0; id && i < n; i++)
		id[i] = i < hardware ? from->HardwareIDs.v[i] : from->CompatibleIDs.v[i - hardware];
	*to = (struct device){id, n, hardware};
	return id != NULL;
}

static int take_devices(struct call *c, const struct SyncUpdateParameters *p, struct devices *out)
{
	struct device *v = ARENA_ARRAY(c->a, struct device, p->SystemSpec.n);
	bool all = v != NULL;
	for (size_t i = 0; all && i < p->SystemSpec.n; i++)
		all = take_device(c, &p->SystemSpec.v[i], &v[i]);
	out->v = v;
	out->n = p->SystemSpec.n;
	return all ? E_OK : call_fail(c, E_NOMEM, "no memory for devices");
}

static int scan_is_news(struct call *c, const struct SyncUpdateParameters *p, bool *news)
{
	struct slice id = {c->client.s, c->client.n};
	struct devices d = {.at = c->now};
	struct wints installed;
	int rc = take_installed(c, p, &installed);
	if (rc == E_OK && p->SkipSoftwareSync)
		rc = take_devices(c, p, &d);
	*news = rc == E_OK && (last_scan_differs(c->txn, id, installed.v, installed.n) ||
		(p->SkipSoftwareSync && devices_differ(c->txn, id, &d)));
	return rc;
}

static int keep_ints(struct call *c, struct wints *v)
{
	if (v->n == 0)
		return E_OK;
	struct slice copy = arena_copy(c->a, (struct slice){(const char *)v->v, v->n * sizeof(*v->v)});
	v->v = (int32_t *)(void *)(uintptr_t)copy.p;
	return copy.p ? E_OK : call_fail(c, E_NOMEM, "no memory for ids");
}

/* At the end of a pass over all there is: installed ids of a part of it, or of its midst, are no basis for anything.  A client that
 * gets leaves alone does not ask for more; but its driver pass, which comes behind that, has the same ids. */
static int note_scan(struct call *c, const struct SyncUpdateParameters *p, struct SyncInfo *s)
{
	bool driver = p->SkipSoftwareSync, news = false;
	if (s->NewUpdates.n > 0 || s->Truncated || p->FilterCategoryIds.n > 0 || (driver && p->SystemSpec.n == 0))
		return E_OK;
	int rc = scan_is_news(c, p, &news);
	if (rc != E_OK || !news)
		return rc;
	c->wants_store = true;
	rc = keep_ints(c, &s->OutOfScopeRevisionIDs); /* the transaction ends before this is sent */
	return rc == E_OK ? keep_ints(c, &s->DeployedOutOfScopeRevisionIds) : rc;
}

HANDLER(SyncUpdates)
{
	const struct SyncUpdateParameters *p = in->parameters;
	const struct wints *other = p->SkipSoftwareSync ? &p->CachedDriverIDs : &p->OtherCachedUpdateIDs;
	struct SyncInfo **s = &out->SyncUpdatesResult;
	struct scan_request q = {
		.pass = p->SkipSoftwareSync ? PASS_DRIVER : PASS_SOFTWARE,
		.installed = p->InstalledNonLeafUpdateIDs.v,
		.ninstalled = p->InstalledNonLeafUpdateIDs.n,
		.other = other->v,
		.nother = other->n,
		/* never from a client that does not know the second list (SYNC-53, A38) */
		.two_groups = p->NeedTwoGroupOutOfScopeUpdates && call_client_at_least(c, 1, 7),
	};
	int rc = take_filter(c, p, &q);
	if (rc == E_OK)
		rc = run_scan(c, &q, s);
	return rc == E_OK ? note_scan(c, p, *s) : rc;
}

STORE(SyncUpdates)
{
	struct slice id = {c->client.s, c->client.n};
	const struct SyncUpdateParameters *p = in->parameters;
	struct devices d = {.at = c->now};
	struct wints installed;
	int rc = take_installed(c, p, &installed);
	if (rc == E_OK)
		rc = last_scan_put(c->txn, id, c->now, installed.v, installed.n, &c->err);
	if (rc != E_OK || !p->SkipSoftwareSync)
		return rc;
	rc = take_devices(c, p, &d);
	return rc == E_OK ? devices_put(c->txn, id, &d, &c->err) : rc;
}

CHECK(SyncPrinterCatalog)
{
	(void)c;
	(void)in;
	return E_OK;
}

HANDLER(SyncPrinterCatalog)
{
	struct scan_request q = {
		.pass = PASS_PRINTER,
		.installed = in->installedNonLeafUpdateIDs.v,
		.ninstalled = in->installedNonLeafUpdateIDs.n,
		.other = in->printerUpdateIDs.v,
		.nother = in->printerUpdateIDs.n,
	};
	return run_scan(c, &q, &out->SyncPrinterCatalogResult);
}

/* ================= what is deployed to a client ================= */

/* A category that no offered update names is no part of the selection, but a scan restricted to it offers it
 * and its parents; the client then asks about them like about anything else it was offered. */
static int offered_by_filter(struct call *c, int32_t id, bool *is)
{
	struct revision r;
	int rc = revision_get(c->txn, id, &r, &c->err);
	*is = rc == E_OK && r.type == TYPE_CATEGORY && (r.flags & REV_PUBLISHED) &&
		scan_category(c->w->scan, &r.update) != CAT_NONE;
	return rc == E_NOTFOUND ? E_OK : rc;
}

/* is[i]: could a scan of this client offer ids[i]? */
static int deployed(struct call *c, const int32_t *ids, size_t n, bool *is)
{
	int rc = scan_deployed(c->w->scan, &c->groups, ids, n, is, &c->err);
	for (size_t i = 0; rc == E_OK && i < n; i++)
		if (!is[i])
			rc = offered_by_filter(c, ids[i], &is[i]);
	return rc;
}

/* ================= RefreshCache, 3.1.5.8 ================= */

CHECK(RefreshCache)
{
	return in->globalIDs.v ? E_OK : call_bad(c, "globalIDs");
}

/* RevisionIDs of the identities that are here, each once, in request order (REFRESH-06, -14); *from tells
 * which identity each came from. */
static int find_identities(struct call *c, const struct UpdateIdentity *v, size_t n, int32_t **ids, size_t **from,
	size_t *found)
{
	uint8_t *met = ARENA_ARRAY(c->a, uint8_t, (size_t)c->state.revisions / 8 + 1);
	*ids = ARENA_ARRAY(c->a, int32_t, n);
	*from = ARENA_ARRAY(c->a, size_t, n);
	*found = 0;
	if (!met || !*ids || !*from)
		return call_fail(c, E_NOMEM, "no memory for %zu identities", n);
	for (size_t i = 0; i < n; i++) {
		int32_t id;
		int rc = v[i].RevisionNumber > 0 ? revision_find(c->txn, &v[i].UpdateID, v[i].RevisionNumber, &id) :
						   E_NOTFOUND;
		if (rc == E_NOTFOUND)
			continue;
		if (rc != E_OK)
			return call_fail(c, rc, "identity %zu", i);
		if (id < 1 || (uint32_t)id > c->state.revisions)
			return call_fail(c, E_CORRUPT, "identity %zu has RevisionID %d", i, id);
		uint8_t bit = (uint8_t)(1u << (id & 7));
		if (met[id >> 3] & bit)
			continue;
		met[id >> 3] |= bit;
		(*from)[*found] = i;
		(*ids)[(*found)++] = id;
	}
	return E_OK;
}

HANDLER(RefreshCache)
{
	const struct UpdateIdentity *v = in->globalIDs.v;
	int32_t *ids;
	size_t *from, n;
	int rc = find_identities(c, v, in->globalIDs.n, &ids, &from, &n);
	if (rc != E_OK)
		return rc;
	bool *is = ARENA_ARRAY(c->a, bool, n);
	struct RefreshCacheResult *res = ARENA_ARRAY(c->a, struct RefreshCacheResult, n);
	if (!is || !res)
		return call_fail(c, E_NOMEM, "no memory for %zu results", n);
	rc = deployed(c, ids, n, is);
	size_t nres = 0;
	for (size_t i = 0; rc == E_OK && i < n; i++) {
		if (!is[i])
			continue;
		struct RefreshCacheResult *r = &res[nres++];
		r->RevisionID = ids[i];
		r->GlobalID = (struct UpdateIdentity *)(uintptr_t)&v[from[i]];
		r->IsLeaf = scan_is_leaf(c->w->scan, ids[i]);
		rc = deployment_of(c, ids[i], &r->Deployment);
	}
	out->RefreshCacheResult.v = res;
	out->RefreshCacheResult.n = nres;
	return rc;
}

/* ================= file locations ================= */

/* Where this client gets the file from: the vendor's address if the content stays there and is known, else
 * ours: /Content/XX/HEX.ext in upper case, XX being the last byte of the digest. */
static struct slice file_url(struct call *c, struct slice base, const struct file *f)
{
	char hex[2 * sizeof(f->digest.b) + 1];
	if (c->set.content_store == CONTENT_MICROSOFT && f->mu_url.n > 0)
		return f->mu_url;
	struct slice ext = content_extension(f->name);
	hex_text(f->digest.b, sizeof(f->digest.b), true, hex);
	return arena_printf(c->a, "%.*s/Content/%s/%s%s%.*s", SLF(base), hex + 38, hex, ext.n ? "." : "", SLF(ext));
}

/* Appends where *digest lies; unknown digests are left out (FILELOC-06). */
static int add_location(struct call *c, struct slice base, const struct sha1 *digest, struct FileLocation *v,
	size_t *n)
{
	struct file f;
	int rc = file_get(c->txn, digest, &f, &c->err);
	if (rc == E_NOTFOUND)
		return E_OK;
	if (rc != E_OK)
		return rc;
	v[*n].FileDigest = arena_copy(c->a, (struct slice){(const char *)digest->b, sizeof(digest->b)});
	v[*n].Url = file_url(c, base, &f);
	if (!v[*n].FileDigest.p || !v[*n].Url.p)
		return call_fail(c, E_NOMEM, "no memory for a location");
	(*n)++;
	return E_OK;
}

/* ================= GetFileLocations, 3.1.5.10 ================= */

CHECK(GetFileLocations)
{
	if (!in->fileDigests.v)
		return call_bad(c, "fileDigests");
	for (size_t i = 0; i < in->fileDigests.n; i++)
		if (in->fileDigests.v[i].n != sizeof(struct sha1))
			return call_bad(c, "fileDigests");
	return E_OK;
}

HANDLER(GetFileLocations)
{
	struct GetFileLocationsResults *r = ARENA_NEW(c->a, struct GetFileLocationsResults);
	struct FileLocation *v = ARENA_ARRAY(c->a, struct FileLocation, in->fileDigests.n);
	struct slice base = call_base_url(c);
	size_t n = 0;
	if (!r || !v || !base.p)
		return call_fail(c, E_NOMEM, "no memory for locations");
	for (size_t i = 0; i < in->fileDigests.n; i++) {
		struct sha1 d;
		memcpy(d.b, in->fileDigests.v[i].p, sizeof(d.b));
		int rc = add_location(c, base, &d, v, &n);
		if (rc != E_OK)
			return rc;
	}
	if (n > 0) {
		r->FileLocations.v = v;
		r->FileLocations.n = n;
	}
	struct cookie k = c->cookie; /* points unchanged (FILELOC-08), locations known (-09) */
	k.file_locations = c->state.file_locations;
	r->NewCookie = call_cookie(c, &k);
	out->GetFileLocationsResult = r;
	return r->NewCookie ? E_OK : (int)c->err.code;
}

/* ================= GetExtendedUpdateInfo, 3.1.5.9, and GetExtendedUpdateInfo2, 2.2.2.2.10 ================= */

enum { INFO_CORE = 1, INFO_EXTENDED = 2, INFO_LOCALIZED = 4, INFO_EULA = 8, INFO_FILE_URL = 16 };

/* Published and VerificationRule have no fragments, FileDecryption no keys here: legal, and nothing comes. */
static const struct {
	const char *name;
	unsigned info;
} info_types[] = {
	{"Core", INFO_CORE},
	{"Extended", INFO_EXTENDED},
	{"LocalizedProperties", INFO_LOCALIZED},
	{"Eula", INFO_EULA},
	{"FileUrl", INFO_FILE_URL},
	{"Published", 0},
	{"VerificationRule", 0},
	{"FileDecryption", 0},
};

static bool read_info_types(const struct wstrs *types, unsigned *info)
{
	*info = 0;
	for (size_t i = 0; i < types->n; i++) {
		size_t k = 0;
		while (k < COUNTOF(info_types) && !slice_eq(text_trim(types->v[i]), slice_of(info_types[k].name)))
			k++;
		if (k == COUNTOF(info_types))
			return false;
		*info |= info_types[k].info;
	}
	return types->v != NULL;
}

/* EXTINFO-02 to -07, the same for both operations. */
static int check_extended(struct call *c, const char *ids, const void *v, size_t n, const struct wstrs *types,
	const struct wstrs *locales)
{
	unsigned info;
	if (!v || n > (size_t)MAX(c->set.max_extended, 0))
		return call_bad(c, ids);
	if (!read_info_types(types, &info))
		return call_bad(c, "infoTypes");
	if ((info & (INFO_LOCALIZED | INFO_EULA)) && !locales->v)
		return call_bad(c, "locales");
	return E_OK;
}

CHECK(GetExtendedUpdateInfo)
{
	return check_extended(c, "revisionIDs", in->revisionIDs.v, in->revisionIDs.n, &in->infoTypes, &in->locales);
}

CHECK(GetExtendedUpdateInfo2)
{
	return check_extended(c, "updateIDs", in->updateIDs.v, in->updateIDs.n, &in->infoTypes, &in->locales);
}

/* One answer under construction. */
struct extended {
	struct call *c;
	unsigned info;
	const int32_t *id; /* deployed, ascending, each once */
	size_t nid;
	struct slice *locale; /* lower case, each once, "en" among them (EXTINFO-16, -17) */
	size_t nlocale;
	struct slice geo;
	struct UpdateData *update;
	size_t nupdate, cap;
};

/* A place for one more entry; NULL: out of memory. */
static struct UpdateData *add_entry(struct extended *x)
{
	struct UpdateData *v = ARENA_MORE(x->c->a, x->update, x->nupdate, &x->cap);
	if (!v)
		return NULL;
	x->update = v;
	return &x->update[x->nupdate++];
}

static int add_fragment(struct extended *x, int32_t id, enum fragment_type type, struct slice locale,
	struct slice geo)
{
	struct frag f;
	int rc = fragment_get(x->c->txn, id, type, locale, geo, &f, &x->c->err);
	if (rc != E_OK)
		return rc == E_NOTFOUND ? E_OK : rc;
	struct UpdateData *u = add_entry(x);
	if (!u)
		return call_fail(x->c, E_NOMEM, "no memory for an entry");
	u->ID = id;
	u->Xml = f;
	return E_OK;
}

static int add_localized(struct extended *x, int32_t id)
{
	int rc = E_OK;
	for (size_t i = 0; rc == E_OK && i < x->nlocale; i++)
		rc = add_fragment(x, id, FRAG_LOCALIZED, x->locale[i], SL0);
	return rc;
}

/* The licence for the client's region, else the one for no region (EXTINFO-18). */
static int add_eula(struct extended *x, int32_t id, struct slice locale, const struct fragment_key *k, size_t n)
{
	const struct fragment_key *best = NULL;
	for (size_t i = 0; i < n; i++) {
		bool regional = k[i].geo.n > 0 && text_ieq(k[i].geo, x->geo);
		if (text_ieq(k[i].locale, locale) && (regional || (k[i].geo.n == 0 && !best)))
			best = &k[i];
	}
	return best ? add_fragment(x, id, FRAG_EULA, best->locale, best->geo) : E_OK;
}

static int add_eulas(struct extended *x, int32_t id)
{
	struct fragment_key *k;
	size_t n;
	int rc = fragment_keys(x->c->txn, id, FRAG_EULA, &k, &n, &x->c->err);
	if (rc == E_NOTFOUND)
		return E_OK;
	for (size_t i = 0; rc == E_OK && i < x->nlocale; i++)
		rc = add_eula(x, id, x->locale[i], k, n);
	return rc;
}

/* All entries of one type by ascending id, then the next type, as real servers do. */
static int add_updates(struct extended *x)
{
	int rc = E_OK;
	for (size_t i = 0; rc == E_OK && (x->info & INFO_CORE) && i < x->nid; i++)
		rc = add_fragment(x, x->id[i], FRAG_CORE, SL0, SL0);
	for (size_t i = 0; rc == E_OK && (x->info & INFO_EXTENDED) && i < x->nid; i++)
		rc = add_fragment(x, x->id[i], FRAG_EXTENDED, SL0, SL0);
	for (size_t i = 0; rc == E_OK && (x->info & INFO_LOCALIZED) && i < x->nid; i++)
		rc = add_localized(x, x->id[i]);
	for (size_t i = 0; rc == E_OK && (x->info & INFO_EULA) && i < x->nid; i++)
		rc = add_eulas(x, x->id[i]);
	return rc;
}

static int take_locales(struct extended *x, const struct wstrs *want)
{
	x->locale = ARENA_ARRAY(x->c->a, struct slice, want->n + 1);
	if (!x->locale)
		return call_fail(x->c, E_NOMEM, "no memory for locales");
	for (size_t i = 0; i <= want->n; i++) {
		struct slice s = i < want->n ? text_trim(want->v[i]) : SL("en");
		char *low = ARENA_ARRAY(x->c->a, char, s.n);
		if (!low)
			return call_fail(x->c, E_NOMEM, "no memory for locales");
		text_lower_to(low, s);
		size_t k = 0;
		while (k < x->nlocale && !slice_eq(x->locale[k], (struct slice){low, s.n}))
			k++;
		if (k == x->nlocale && s.n > 0)
			x->locale[x->nlocale++] = (struct slice){low, s.n};
	}
	return E_OK;
}

static int cmp_sha1(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct sha1));
}

/* The digests of all files of the revisions, ascending, each once (EXTINFO-21, -22). */
static int collect_digests(struct extended *x, struct sha1 **to, size_t *n)
{
	struct call *c = x->c;
	struct revision_file **rf = ARENA_ARRAY(c->a, struct revision_file *, x->nid);
	size_t *count = ARENA_ARRAY(c->a, size_t, x->nid), total = 0;
	if (!rf || !count)
		return call_fail(c, E_NOMEM, "no memory for files");
	for (size_t i = 0; i < x->nid; i++) {
		int rc = revision_files(c->txn, x->id[i], &rf[i], &count[i], &c->err);
		if (rc != E_OK && rc != E_NOTFOUND)
			return rc;
		if (rc == E_NOTFOUND)
			count[i] = 0;
		total += count[i];
	}
	struct sha1 *v = ARENA_ARRAY(c->a, struct sha1, total);
	if (!v)
		return call_fail(c, E_NOMEM, "no memory for %zu files", total);
	*n = 0;
	for (size_t i = 0; i < x->nid; i++)
		for (size_t k = 0; k < count[i]; k++)
			if (!rf[i][k].eula || (x->info & INFO_EULA))
				v[(*n)++] = rf[i][k].digest;
	qsort(v, *n, sizeof(*v), cmp_sha1);
	size_t kept = 0;
	for (size_t i = 0; i < *n; i++)
		if (i == 0 || cmp_sha1(&v[i], &v[i - 1]) != 0)
			v[kept++] = v[i];
	*n = kept;
	*to = v;
	return E_OK;
}

static int add_locations(struct extended *x, struct FileLocation **to, size_t *n)
{
	struct sha1 *digest = NULL;
	size_t nd = 0;
	int rc = collect_digests(x, &digest, &nd);
	if (rc != E_OK || nd == 0)
		return rc;
	struct slice base = call_base_url(x->c);
	*to = ARENA_ARRAY(x->c->a, struct FileLocation, nd);
	*n = 0;
	if (!*to || !base.p)
		return call_fail(x->c, E_NOMEM, "no memory for %zu locations", nd);
	for (size_t i = 0; rc == E_OK && i < nd; i++)
		rc = add_location(x->c, base, &digest[i], *to, n);
	return rc;
}

/* Splits ids (sorted, unique) into what is deployed to the client and what is not. */
static int split_deployed(struct call *c, int32_t *ids, size_t n, size_t *ndeployed, struct wints *rest)
{
	bool *is = ARENA_ARRAY(c->a, bool, n);
	rest->v = ARENA_ARRAY(c->a, int32_t, n);
	if (!is || !rest->v)
		return call_fail(c, E_NOMEM, "no memory for %zu ids", n);
	int rc = deployed(c, ids, n, is);
	*ndeployed = rest->n = 0;
	for (size_t i = 0; rc == E_OK && i < n; i++)
		if (is[i])
			ids[(*ndeployed)++] = ids[i];
		else
			rest->v[rest->n++] = ids[i];
	if (rest->n == 0)
		rest->v = NULL;
	return rc;
}

static int run_extended(struct extended *x, int32_t *ids, size_t n, const struct wstrs *types,
	const struct wstrs *locales, struct wints *rest)
{
	read_info_types(types, &x->info);
	sort_unique(ids, &n);
	int rc = split_deployed(x->c, ids, n, &x->nid, rest);
	x->id = ids;
	if (rc == E_OK)
		rc = take_locales(x, locales);
	return rc == E_OK ? add_updates(x) : rc;
}

HANDLER(GetExtendedUpdateInfo)
{
	struct extended x = {.c = c, .geo = in->GeoId};
	struct ExtendedUpdateInfo *r = ARENA_NEW(c->a, struct ExtendedUpdateInfo);
	int32_t *ids = ARENA_ARRAY(c->a, int32_t, in->revisionIDs.n);
	if (!r || !ids)
		return call_fail(c, E_NOMEM, "no memory for the result");
	if (in->revisionIDs.n > 0)
		memcpy(ids, in->revisionIDs.v, in->revisionIDs.n * sizeof(*ids));
	int rc = run_extended(&x, ids, in->revisionIDs.n, &in->infoTypes, &in->locales, &r->OutOfScopeRevisionIDs);
	if (rc == E_OK)
		rc = add_locations(&x, &r->FileLocations.v, &r->FileLocations.n);
	r->Updates.v = x.update;
	r->Updates.n = x.nupdate;
	out->GetExtendedUpdateInfoResult = r;
	return rc;
}

/* No processing rules in the specification: mirrors the first by identity, without an out-of-scope list
 * (A26).  We hold no encrypted files, so there are no keys to give. */
HANDLER(GetExtendedUpdateInfo2)
{
	struct extended x = {.c = c};
	struct wints rest;
	struct ExtendedUpdateInfo2 *r = ARENA_NEW(c->a, struct ExtendedUpdateInfo2);
	int32_t *ids;
	size_t *from, n;
	if (!r)
		return call_fail(c, E_NOMEM, "no memory for the result");
	int rc = find_identities(c, in->updateIDs.v, in->updateIDs.n, &ids, &from, &n);
	if (rc == E_OK)
		rc = run_extended(&x, ids, n, &in->infoTypes, &in->locales, &rest);
	if (rc == E_OK && (x.info & INFO_FILE_URL))
		rc = add_locations(&x, &r->FileLocations.v, &r->FileLocations.n);
	for (size_t i = 0; rc == E_OK && i < r->FileLocations.n; i++)
		r->FileLocations.v[i].FileDigestAlgorithm = SL("SHA1");
	r->Updates.v = x.update;
	r->Updates.n = x.nupdate;
	out->GetExtendedUpdateInfo2Result = r;
	return rc;
}

/* ================= StartCategoryScan, 3.1.5.6 ================= */

CHECK(StartCategoryScan)
{
	return in->requestedCategories.v ? E_OK : call_bad(c, "requestedCategories");
}

static void add_guid(struct wguids *to, const struct guid *g)
{
	for (size_t i = 0; i < to->n; i++)
		if (guid_cmp(&to->v[i], g) == 0)
			return;
	to->v[to->n++] = *g;
}

/* One AND group: a product, or a product with a classification, is what can be preferred; false for any
 * other group, which ends processing (CATSCAN-08 to -10).  A group with an unknown category adds nothing. */
static bool judge_group(const struct CategoryRelationship *v, const enum category_type *type, size_t n, int32_t group,
	struct wguids *preferred)
{
	const struct guid *product = NULL;
	unsigned products = 0, classes = 0;
	for (size_t i = 0; i < n; i++) {
		if (v[i].IndexOfAndGroup != group)
			continue;
		if (type[i] == CAT_NONE)
			return true;
		if (type[i] == CAT_CLASSIFICATION) {
			classes++;
		} else {
			products++;
			product = &v[i].CategoryId;
		}
	}
	if (products != 1 || classes > 1)
		return false;
	add_guid(preferred, product);
	return true;
}

static bool group_met(const struct CategoryRelationship *v, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (v[k].IndexOfAndGroup == v[i].IndexOfAndGroup)
			return true;
	return false;
}

HANDLER(StartCategoryScan)
{
	const struct CategoryRelationship *v = in->requestedCategories.v;
	size_t n = in->requestedCategories.n;
	enum category_type *type = ARENA_ARRAY(c->a, enum category_type, n);
	struct wguids good = {ARENA_ARRAY(c->a, struct guid, n), 0}, bad = {ARENA_ARRAY(c->a, struct guid, n), 0};
	if (!type || !good.v || !bad.v)
		return call_fail(c, E_NOMEM, "no memory for %zu categories", n);
	for (size_t i = 0; i < n; i++) {
		type[i] = scan_category(c->w->scan, &v[i].CategoryId);
		if (type[i] == CAT_NONE)
			add_guid(&bad, &v[i].CategoryId);
	}
	for (size_t i = 0; i < n; i++) {
		if (group_met(v, i) || judge_group(v, type, n, v[i].IndexOfAndGroup, &good))
			continue;
		good.n = 0;
		break;
	}
	if (good.n > 0)
		out->preferredCategoryIds = good;
	if (bad.n > 0)
		out->requestedCategoryIdsInError = bad;
	return E_OK;
}

/* ================= the table ================= */

static const struct op client_ops[] = {
	OP(GetConfig, 0),
	OP(GetCookie, 0),
	OP_FULL(RegisterComputer, OP_COOKIE),
	OP(StartCategoryScan, OP_SCAN),
	OP_FULL(SyncUpdates, OP_COOKIE | OP_CONFIG | OP_REGISTERED | OP_LOCATIONS | OP_SCAN | OP_SPARE),
	OP(SyncPrinterCatalog, OP_COOKIE | OP_CONFIG | OP_REGISTERED | OP_SCAN),
	OP(RefreshCache, OP_COOKIE | OP_SCAN),
	OP(GetExtendedUpdateInfo, OP_COOKIE | OP_LOCATIONS | OP_SCAN),
	OP(GetExtendedUpdateInfo2, OP_COOKIE | OP_SCAN),
	OP(GetFileLocations, OP_COOKIE),
};

const struct service client_service = {
	.name = "client",
	.ns = WUSP_NS_CLIENT,
	.paths = {"/ClientWebService/Client.asmx"},
	.cache_control = "private",
	.dialect = SOAP_CLIENT,
	.op = client_ops,
	.nops = COUNTOF(client_ops),
	.check_cookie = call_check_client,
};
