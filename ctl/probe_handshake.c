/* probe_handshake.c -- configuration, authorization, cookie, registration, and the way back after a fault.
 *
 * MS-WUSP 3.2.4: the order is fixed; MS-WUSP 2.2.2.4: each ErrorCode has its recovery, a row below. */
#include "ctl/probe.h"

#include <stdlib.h>

#include "common/text.h"
#include "common/wusp.h"

#define PROTOCOL "2.90" /* what native clients of Windows 10 and 11 send */
#define RECOVERIES 8    /* in one run; a server that wants more never lets us in */

static bool keep(char **to, struct slice text)
{
	char *z = probe_strdup(text);
	if (z) {
		free(*to);
		*to = z;
	}
	return z != NULL;
}

static bool keep_time(char **to, tick_t t)
{
	char text[TIME_TEXT + 1];
	size_t n = time_text(t, text);
	return keep(to, (struct slice){text, n});
}

static bool keep_base64(char **to, struct slice bytes)
{
	struct buf b;
	buf_init(&b, 1 << 16);
	base64_add(&b, bytes);
	bool ok = b.rc == E_OK && keep(to, buf_bytes(&b));
	buf_free(&b);
	return ok;
}

/* ---- GetConfig ---- */
static bool is_absolute(struct slice url)
{
	return text_starts(url, SL("http://")) || text_starts(url, SL("https://"));
}

/* ServiceUrl is relative to the server's root on a real server. */
static int keep_auth(struct probe *p, const struct Config *c, struct err *e)
{
	if (c->AuthInfo.n == 0)
		return err_set(e, E_FORM, "GetConfig: the answer names no authorization plug-in");
	const struct AuthPlugInInfo *info = &c->AuthInfo.v[0];
	struct slice url = info->ServiceUrl.p ? info->ServiceUrl : SL("SimpleAuthWebService/SimpleAuth.asmx");
	struct buf b;
	buf_init(&b, 2048);
	if (!is_absolute(url))
		buf_printf(&b, "%s%s", p->o->url, url.n > 0 && url.p[0] == '/' ? "" : "/");
	buf_slice(&b, url);
	bool ok = b.rc == E_OK && keep(&p->auth_url, buf_bytes(&b)) &&
		keep(&p->state.plugin, info->PlugInID.p ? info->PlugInID : SL("SimpleTargeting"));
	buf_free(&b);
	return ok ? E_OK : err_set(e, E_LIMIT, "GetConfig: ServiceUrl is too long");
}

static void keep_properties(struct probe *p, const struct Config *c)
{
	int32_t n;
	p->state.per_request = LIMIT_EXTENDED_DEFAULT;
	for (size_t i = 0; i < c->Properties.n; i++)
		if (slice_eq(c->Properties.v[i].Name, SL("MaxExtendedUpdatesPerRequest")) &&
			text_i32(c->Properties.v[i].Value, &n) && n > 0)
			p->state.per_request = MIN(n, 1000);
}

static int get_config(struct probe *p, struct err *e)
{
	struct GetConfig in = {.protocolVersion = SL(PROTOCOL)};
	struct GetConfigResponse out;
	int rc = probe_call(p, PROBE_GET_CONFIG, &in, &out, e);
	if (rc == E_OK && !out.GetConfigResult)
		rc = err_set(e, E_FORM, "GetConfig: an answer without GetConfigResult");
	if (rc == E_OK) {
		const struct Config *c = out.GetConfigResult;
		p->registration = c->IsRegistrationRequired;
		keep_properties(p, c);
		probe_items(p, STEP_CONFIG, c->Properties.n);
		rc = keep_auth(p, c, e);
		if (rc == E_OK && !keep_time(&p->state.last_change, c->LastChange))
			rc = err_set(e, E_NOMEM, "out of memory");
	}
	probe_call_end(p);
	return rc;
}

/* ---- authorization and cookie ---- */
static int get_auth(struct probe *p, struct err *e)
{
	struct GetAuthorizationCookie in = {.clientId = slice_of(p->state.client),
		.targetGroupName = slice_of(p->o->group), .dnsName = slice_of(p->o->name)};
	struct GetAuthorizationCookieResponse out;
	int rc = probe_call(p, PROBE_GET_AUTH, &in, &out, e);
	if (rc == E_OK && (!out.GetAuthorizationCookieResult || out.GetAuthorizationCookieResult->CookieData.n == 0))
		rc = err_set(e, E_FORM, "GetAuthorizationCookie: an answer without CookieData");
	if (rc == E_OK && !keep_base64(&p->auth_cookie, out.GetAuthorizationCookieResult->CookieData))
		rc = err_set(e, E_NOMEM, "out of memory");
	if (rc == E_OK)
		probe_items(p, STEP_AUTH, 1);
	probe_call_end(p);
	return rc;
}

struct Cookie *probe_cookie(struct probe *p)
{
	struct Cookie *c = ARENA_NEW(&p->arena, struct Cookie);
	tick_t t;
	if (!c || !p->state.cookie || !p->state.expiration || !text_time(slice_of(p->state.expiration), &t) ||
		!text_base64(slice_of(p->state.cookie), &p->arena, &c->EncryptedData))
		return NULL;
	WIRE_SET(c, Cookie, Expiration, t);
	return c;
}

int probe_cookie_keep(struct probe *p, const struct Cookie *c, struct err *e)
{
	if (!c || c->EncryptedData.n == 0)
		return err_set(e, E_FORM, "an answer without a cookie");
	bool ok = keep_time(&p->state.expiration, c->Expiration) && keep_base64(&p->state.cookie, c->EncryptedData);
	return ok ? E_OK : err_set(e, E_NOMEM, "out of memory");
}

/* Native clients send the old cookie's expiration alone when they have none: the current time. */
static struct Cookie *old_cookie(struct probe *p, tick_t now)
{
	struct Cookie *c = probe_cookie(p);
	if (!c && (c = ARENA_NEW(&p->arena, struct Cookie)) != NULL)
		WIRE_SET(c, Cookie, Expiration, now);
	return c;
}

static int get_cookie(struct probe *p, struct err *e)
{
	tick_t now = time_now() / TICKS_PER_SECOND * TICKS_PER_SECOND, last_change;
	struct AuthorizationCookie auth = {.PlugInId = slice_of(p->state.plugin)};
	struct GetCookie in = {.protocolVersion = SL(PROTOCOL)};
	struct GetCookieResponse out;
	if (!text_base64(slice_of(p->auth_cookie), &p->arena, &auth.CookieData) ||
		!text_time(slice_of(p->state.last_change), &last_change))
		return err_set(e, E_FORM, "GetCookie: no configuration to build on");
	in.authCookies.v = &auth;
	in.authCookies.n = 1;
	in.oldCookie = old_cookie(p, now);
	WIRE_SET(&in, GetCookie, lastChange, last_change);
	WIRE_SET(&in, GetCookie, currentTime, now);
	int rc = probe_call(p, PROBE_GET_COOKIE, &in, &out, e);
	if (rc == E_OK)
		rc = probe_cookie_keep(p, out.GetCookieResult, e);
	if (rc == E_OK)
		probe_items(p, STEP_COOKIE, 1);
	probe_call_end(p);
	return rc;
}

/* ---- registration ---- */
static int register_computer(struct probe *p, struct err *e)
{
	tick_t bios = 0;
	bool ok = text_time(SL("2022-02-02T00:00:00Z"), &bios);
	struct ComputerInfo info = {.DnsName = slice_of(p->o->name), .OSMajorVersion = 10, .OSBuildNumber = 26200,
		.OSLocale = SL("en-US"), .ComputerManufacturer = SL("wsus-probe"), .ComputerModel = SL("probe " PROBE_VERSION),
		.BiosVersion = SL("unknown"), .BiosName = SL("none"), .BiosReleaseDate = bios,
		.ProcessorArchitecture = SL("AMD64"), .SuiteMask = 256, .OldProductType = 1, .NewProductType = 48,
		.ClientVersionMajorNumber = 1507, .ClientVersionMinorNumber = 2601, .ClientVersionBuildNumber = 30012,
		.OSDescription = SL("Windows 10 Pro"), .OEM = SL("wsus-probe"), .DeviceType = SL("Not Present"),
		.FirmwareVersion = SL("unknown"), .MobileOperator = SL("Not Present")};
	struct RegisterComputer in = {.cookie = probe_cookie(p), .computerInfo = &info};
	struct RegisterComputerResponse out;
	ASSERT(ok);
	int rc = probe_call(p, PROBE_REGISTER, &in, &out, e);
	if (rc == E_OK)
		probe_items(p, STEP_REGISTER, 1);
	probe_call_end(p);
	return rc;
}

static int authorize(struct probe *p, struct err *e)
{
	int rc = get_auth(p, e);
	return rc == E_OK ? get_cookie(p, e) : rc;
}

int probe_handshake(struct probe *p, struct err *e)
{
	int rc = get_config(p, e);
	if (rc == E_OK)
		rc = authorize(p, e);
	if (rc == E_OK && p->registration)
		rc = register_computer(p, e);
	return rc;
}

/* A cookie that has not expired is used without any handshake, as native clients do: another server will
 * refuse it.  An expired one tells nothing of whose numbers the cache has, so the address decides. */
int probe_resume(struct probe *p, struct err *e)
{
	tick_t expiration;
	if (p->state.cookie && p->state.expiration && text_time(slice_of(p->state.expiration), &expiration) &&
		expiration > time_now())
		return E_OK;
	int rc = probe_handshake(p, e);
	return rc == E_OK && p->moved && p->state.cache.n > 0 ? probe_refresh(p, e) : rc;
}

/* ---- RefreshCache: the same updates, other numbers ---- */
static void renumber(struct probe *p, const struct RefreshCacheResult *r)
{
	struct probe_update *u =
		r->GlobalID ? probe_cache_by_identity(&p->state.cache, &r->GlobalID->UpdateID, r->GlobalID->RevisionNumber) : NULL;
	if (!u) {
		probe_problem(p, "RefreshCache: revision %d was answered, but not asked for", r->RevisionID);
		return;
	}
	u->id = r->RevisionID;
	u->leaf = r->IsLeaf;
	u->installed = u->installed && !u->leaf;
	u->gone = false;
	enum probe_action a = r->Deployment ? probe_action_of(r->Deployment->Action) : PROBE_ACTION__MAX;
	if (a == PROBE_ACTION__MAX)
		probe_problem(p, "RefreshCache: revision %d has no proper Deployment", r->RevisionID);
	else
		u->action = (uint8_t)a;
}

static int refresh_some(struct probe *p, size_t from, size_t n, struct err *e)
{
	struct RefreshCache in = {.cookie = probe_cookie(p)};
	struct RefreshCacheResponse out;
	in.globalIDs.v = ARENA_ARRAY(&p->arena, struct UpdateIdentity, n);
	in.globalIDs.n = n;
	if (!in.globalIDs.v)
		return err_set(e, E_NOMEM, "out of memory");
	for (size_t i = 0; i < n; i++) {
		in.globalIDs.v[i].UpdateID = p->state.cache.v[from + i].update;
		in.globalIDs.v[i].RevisionNumber = p->state.cache.v[from + i].revision;
		in.globalIDs.v[i].has = UINT64_MAX;
	}
	int rc = probe_call(p, PROBE_REFRESH_CACHE, &in, &out, e);
	for (size_t i = 0; rc == E_OK && i < out.RefreshCacheResult.n; i++)
		renumber(p, &out.RefreshCacheResult.v[i]);
	if (rc == E_OK)
		probe_items(p, STEP_REFRESH, out.RefreshCacheResult.n);
	probe_call_end(p);
	return rc;
}

/* What is not answered is not known there: forgotten. */
int probe_refresh(struct probe *p, struct err *e)
{
	struct probe_cache *c = &p->state.cache;
	int rc = E_OK;
	for (size_t i = 0; i < c->n; i++)
		c->v[i].gone = true;
	for (size_t i = 0; rc == E_OK && i < c->n; i += PROBE_REFRESH)
		rc = refresh_some(p, i, MIN(c->n - i, (size_t)PROBE_REFRESH), e);
	if (rc != E_OK)
		return rc;
	p->stale = false;
	return probe_cache_sweep(c) == E_OK ? E_OK : err_set(e, E_NOMEM, "out of memory");
}

/* ---- recovery ---- */
enum { DO_CONFIG = 1, DO_AUTHORIZE = 2, DO_REGISTER = 4, DO_REFRESH = 8, DO_FORGET = 16, DO_LOCATIONS = 32 };
static const struct {
	int code;
	unsigned what;
} recovery[] = {
	{E_INVALID_COOKIE, DO_FORGET | DO_CONFIG | DO_AUTHORIZE | DO_REFRESH},
	{E_SERVER_CHANGED, DO_FORGET | DO_CONFIG | DO_AUTHORIZE | DO_REFRESH},
	{E_CONFIG_CHANGED, DO_CONFIG | DO_AUTHORIZE},
	{E_COOKIE_EXPIRED, DO_AUTHORIZE},
	{E_INVALID_AUTH_COOKIE, DO_FORGET | DO_CONFIG | DO_AUTHORIZE},
	{E_REGISTRATION_REQUIRED, DO_REGISTER},
	{E_FILE_LOCATION_CHANGED, DO_LOCATIONS},
};

static unsigned recovery_of(int rc)
{
	for (size_t i = 0; i < COUNTOF(recovery); i++)
		if (recovery[i].code == rc)
			return recovery[i].what;
	return 0;
}

static void forget_cookie(struct probe *p)
{
	free(p->state.cookie);
	p->state.cookie = NULL;
}

static int recover(struct probe *p, unsigned what, struct err *e)
{
	int rc = E_OK;
	p->stale = p->stale || (what & DO_REFRESH) != 0;
	if (what & DO_FORGET)
		forget_cookie(p);
	if (what & DO_CONFIG || ((what & DO_AUTHORIZE) && !p->auth_url))
		rc = get_config(p, e);
	if (rc == E_OK && what & DO_AUTHORIZE)
		rc = authorize(p, e);
	/* a server that has forgotten us wants a registration before anything else */
	if (rc == E_OK && (what & DO_REGISTER || (what & DO_REFRESH && p->registration)))
		rc = register_computer(p, e);
	if (rc == E_OK && p->stale)
		rc = probe_refresh(p, e);
	if (rc == E_OK && what & DO_LOCATIONS)
		rc = probe_locations(p, e);
	return rc;
}

int probe_with_recovery(struct probe *p, probe_part *part, void *arg, struct err *e)
{
	int rc = part(p, arg, e);
	while (rc != E_OK && recovery_of(rc) != 0) {
		unsigned what = recovery_of(rc);
		if (p->recoveries++ == RECOVERIES)
			return err_at(e, rc, "gave up after %d recoveries: ", RECOVERIES);
		fprintf(stderr, "wsus-probe: %s; recovering\n", e->text);
		rc = recover(p, what, e);
		if (rc == E_OK)
			rc = part(p, arg, e);
	}
	return rc;
}
