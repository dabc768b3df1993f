/* storm_talk.c -- what the computers of b_storm say, in the form of native clients, and what they learn from it. */
#include <stdlib.h>
#include <unistd.h>

#include "common/limits.h"
#include "common/soap.h"
#include "common/text.h"
#include "common/wusp.h"
#include "common/xml.h"
#include "test/bench/storm.h"

#define CLIENT_PATH "/ClientWebService/client.asmx"
#define LOCATIONS_MAX 100

struct profile profile[MAX_PROFILES];
const char *group[MAX_GROUPS];
uint64_t base_seed = 1;
long drop_change;

static const char *const action_name[] = {"none", "Install", "Uninstall", "PreDeploymentCheck", "Block", "Evaluate",
	"Bundle", "OptionalInstall"};
enum { ACTION_INSTALL = 1, ACTION_BUNDLE = 6 };

/* ---- who a computer is ---- */
static uint64_t mix(uint64_t h)
{
	h = (h ^ h >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	h = (h ^ h >> 27) * UINT64_C(0x94d049bb133111eb);
	return h ^ h >> 31;
}

static uint64_t trait(const struct computer *c, unsigned which)
{
	return mix(base_seed * UINT64_C(0x9e3779b97f4a7c15) + ((uint64_t)c->number << 8 | which));
}

static void client_id(const struct computer *c, char out[GUID_TEXT + 1])
{
	struct guid g;
	put_be64(g.b, trait(c, 0));
	put_be64(g.b + 8, trait(c, 1));
	guid_text(&g, out);
}

static void dns_name(const struct computer *c, struct buf *b)
{
	buf_printf(b, "storm-%05u.example.net", c->number);
}

/* ---- requests ---- */
static void ask_config(struct visit *v, struct buf *b)
{
	(void)v;
	buf_str(b, "<protocolVersion>2.90</protocolVersion>");
}

static void ask_auth(struct visit *v, struct buf *b)
{
	char id[GUID_TEXT + 1];
	client_id(v->c, id);
	buf_printf(b, "<clientId>%s</clientId>", id);
	if (group[v->c->group][0])
		buf_printf(b, "<targetGroupName>%s</targetGroupName>", group[v->c->group]);
	buf_str(b, "<dnsName>");
	dns_name(v->c, b);
	buf_str(b, "</dnsName>");
}

static void ask_cookie(struct visit *v, struct buf *b)
{
	char now[TIME_TEXT + 1];
	time_text(time_now() / TICKS_PER_SECOND * TICKS_PER_SECOND, now);
	buf_printf(b, "<authCookies><AuthorizationCookie><PlugInId>SimpleTargeting</PlugInId><CookieData>%s</CookieData>"
		"</AuthorizationCookie></authCookies><oldCookie>", v->auth);
	if (v->c->cookie)
		buf_str(b, v->c->cookie);
	else
		buf_printf(b, "<Expiration>%s</Expiration>", now);
	buf_printf(b, "</oldCookie><lastChange>%s</lastChange><currentTime>%s</currentTime>"
		"<protocolVersion>2.90</protocolVersion>", v->last_change, now);
}

static void add_cookie(const struct visit *v, struct buf *b)
{
	buf_printf(b, "<cookie>%s</cookie>", v->c->cookie ? v->c->cookie : "");
}

static void ask_register(struct visit *v, struct buf *b)
{
	static const char *const maker[] = {"Harbour Computers", "Example Works", "Northwind Devices", "Contoso"};
	static const char *const locale[] = {"en-US", "de-DE", "fr-FR", "ja-JP", "pt-BR"};
	static const unsigned build[] = {19045, 22631, 26100, 26200};
	uint64_t t = trait(v->c, 2);
	add_cookie(v, b);
	buf_str(b, "<computerInfo><DnsName>");
	dns_name(v->c, b);
	buf_printf(b, "</DnsName><OSMajorVersion>10</OSMajorVersion><OSMinorVersion>0</OSMinorVersion>"
		"<OSBuildNumber>%u</OSBuildNumber><OSServicePackMajorNumber>0</OSServicePackMajorNumber>"
		"<OSServicePackMinorNumber>0</OSServicePackMinorNumber><OSLocale>%s</OSLocale>"
		"<ComputerManufacturer>%s</ComputerManufacturer><ComputerModel>Model %u</ComputerModel>"
		"<BiosVersion>1.%u</BiosVersion><BiosName>BIOS %u</BiosName>"
		"<BiosReleaseDate>20%02u-02-02T00:00:00Z</BiosReleaseDate><ProcessorArchitecture>AMD64</ProcessorArchitecture>"
		"<SuiteMask>256</SuiteMask><OldProductType>1</OldProductType><NewProductType>48</NewProductType>"
		"<SystemMetrics>0</SystemMetrics><ClientVersionMajorNumber>1507</ClientVersionMajorNumber>"
		"<ClientVersionMinorNumber>2601</ClientVersionMinorNumber><ClientVersionBuildNumber>30012</ClientVersionBuildNumber>"
		"<ClientVersionQfeNumber>0</ClientVersionQfeNumber><OSDescription>Windows 10 Pro</OSDescription>"
		"<OEM>Example</OEM><DeviceType>Not Present</DeviceType><FirmwareVersion>%u</FirmwareVersion>"
		"<MobileOperator>Not Present</MobileOperator></computerInfo>",
		build[t % COUNTOF(build)], locale[t / 8 % COUNTOF(locale)], maker[t / 64 % COUNTOF(maker)],
		(unsigned)(t >> 20 & 63), (unsigned)(t >> 26 & 15), (unsigned)(t >> 30 & 7), (unsigned)(t >> 33) % 16 + 10,
		(unsigned)(t >> 40 & 255));
}

static void add_int(struct buf *b, int32_t id)
{
	char text[32], *at = text + sizeof(text);
	memcpy(at -= 6, "</int>", 6);
	do
		*--at = (char)('0' + id % 10);
	while ((id /= 10) > 0);
	memcpy(at -= 5, "<int>", 5);
	buf_add(b, at, (size_t)(text + sizeof(text) - at));
}

static bool installed(const struct held *h)
{
	return h->takes && !h->leaf && !h->parked;
}

static void add_ids(const struct computer *c, struct buf *b, const char *name, bool which)
{
	bool any = false;
	for (uint32_t i = 0; i < c->n; i++) {
		if (installed(&c->v[i]) != which)
			continue;
		if (!any)
			buf_printf(b, "<%s>", name);
		any = true;
		add_int(b, c->v[i].id);
	}
	if (any)
		buf_printf(b, "</%s>", name);
}

#define DEVICE \
	"<Device><HardwareIDs><string>%s</string></HardwareIDs><installedDriver><DriverVerDate>0001-01-01T00:00:00Z" \
	"</DriverVerDate><DriverVerVersion>0</DriverVerVersion><DriverRank>-1</DriverRank></installedDriver></Device>"

static void add_devices(struct buf *b)
{
	char id[64];
	buf_str(b, "<SystemSpec>");
	for (unsigned i = 0; i < 70; i++) { /* so many a native client named */
		snprintf(id, sizeof(id), "PCI\\VEN_1D0F&amp;DEV_%04X", i);
		buf_printf(b, DEVICE, id);
	}
	buf_str(b, "</SystemSpec>");
}

static void ask_sync(struct visit *v, struct buf *b)
{
	bool drivers = *v->walk == OP_DRIVERS;
	add_cookie(v, b);
	buf_str(b, "<parameters><ExpressQuery>false</ExpressQuery>");
	add_ids(v->c, b, "InstalledNonLeafUpdateIDs", true);
	if (drivers)
		add_devices(b);
	else
		add_ids(v->c, b, "OtherCachedUpdateIDs", false);
	buf_printf(b, "<SkipSoftwareSync>%s</SkipSoftwareSync><NeedTwoGroupOutOfScopeUpdates>true"
		"</NeedTwoGroupOutOfScopeUpdates><AlsoPerformRegularSync>true</AlsoPerformRegularSync><ComputerSpec/>%s"
		"<ProductsParameters><SyncCurrentVersionOnly>false</SyncCurrentVersionOnly><DeviceAttributes>OSArchitecture=AMD64;"
		"OSVersion=10.0.26200.8037;InstallLanguage=en-US;App=WU;ProcessorModel=storm (none) \\ ;FlightRing=;"
		"</DeviceAttributes><CallerAttributes>Interactive=0;Id=&lt;&lt;PROCESS&gt;&gt;: b_storm;</CallerAttributes>"
		"<Products>PN=Client.OS.rs2.amd64&amp;V=10.0.26200.8037;</Products></ProductsParameters></parameters>",
		drivers ? "true" : "false", drivers ? "<FeatureScoreMatchingKey>AMD64.10.0</FeatureScoreMatchingKey>" : "");
}

static int by_value(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
	return (x > y) - (x < y);
}

/* Files hang on members of bundles, which only the documents name: any that are held take their places. */
static void add_members(struct visit *v)
{
	size_t n = 0;
	for (uint32_t i = 0; i < v->c->n && v->nwanted < MAX_WANTED; i++)
		if (v->c->v[i].action == ACTION_BUNDLE)
			v->wanted[v->nwanted++] = v->c->v[i].id;
	qsort(v->wanted, v->nwanted, sizeof(v->wanted[0]), by_value);
	for (size_t i = 0; i < v->nwanted; i++)
		if (n == 0 || v->wanted[i] != v->wanted[n - 1])
			v->wanted[n++] = v->wanted[i];
	v->nwanted = n;
}

static void ask_extended(struct visit *v, struct buf *b)
{
	add_members(v);
	add_cookie(v, b);
	buf_str(b, "<revisionIDs>");
	for (size_t i = 0; i < v->nwanted; i++)
		add_int(b, v->wanted[i]);
	buf_str(b, "</revisionIDs><infoTypes><XmlUpdateFragmentType>Extended</XmlUpdateFragmentType><XmlUpdateFragmentType>"
		"LocalizedProperties</XmlUpdateFragmentType></infoTypes><locales><string>en-US</string><string>en</string></locales>"
		"<deviceAttributes>OSArchitecture=AMD64;OSVersion=10.0.26200.8037;</deviceAttributes><GeoId>USA</GeoId>");
}

static void ask_locations(struct visit *v, struct buf *b)
{
	add_cookie(v, b);
	buf_printf(b, "<fileDigests>%s</fileDigests>", v->digests);
}

/* ---- requests that no client sends; each has the one status that is right ---- */
static const struct {
	const char *path, *body;
	int status;
} bad_request[] = {
	{CLIENT_PATH, "<s:Envelope xmlns:s=\"" SOAP_NS11 "\"><s:Body><GetConfig", 500},
	{CLIENT_PATH, "<s:Envelope xmlns:s=\"" SOAP_NS11 "\"><s:Body><Nothing xmlns=\"" WUSP_NS_CLIENT "\"/></s:Body></s:Envelope>",
		500},
	{CLIENT_PATH, "<s:Envelope xmlns:s=\"" SOAP_NS11 "\"><s:Body><SyncUpdates xmlns=\"" WUSP_NS_CLIENT "\"><cookie><Expiration>"
		"2026-10-04T16:03:35Z</Expiration><EncryptedData>QUFBQUFBQUFBQUFBQUFBQQ==</EncryptedData></cookie><parameters/>"
		"</SyncUpdates></s:Body></s:Envelope>", 500},
	{CLIENT_PATH, "\xff\xfe<\0a\0", 500},
	{CLIENT_PATH, "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>", 500},
	{"/ClientWebService/none.asmx", "", 404},
};

/* ---- answers ---- */
/* What stands between the marks; absent if they are not there. */
static struct slice between(struct slice s, const char *from, const char *to)
{
	const char *a = memmem(s.p, s.n, from, strlen(from));
	if (!a)
		return SL0;
	a += strlen(from);
	const char *b = memmem(a, (size_t)(s.p + s.n - a), to, strlen(to));
	return b ? (struct slice){a, (size_t)(b - a)} : SL0;
}

static bool keep(char **to, struct slice s)
{
	char *z = s.p ? malloc(s.n + 1) : NULL;
	if (!z)
		return false;
	memcpy(z, s.p, s.n);
	z[s.n] = '\0';
	free(*to);
	*to = z;
	return true;
}

static bool keep_cookie(struct computer *c, struct slice text, const char *from, const char *to)
{
	struct slice s = between(text, from, to);
	c->cookie_at = now_us();
	return s.p && between(s, "<EncryptedData>", "</EncryptedData>").n > 0 && keep(&c->cookie, s);
}

static const char *take_config(struct visit *v, const void *out, struct slice text)
{
	(void)out;
	return keep(&v->last_change, between(text, "<LastChange>", "</LastChange>")) ? NULL : "no LastChange";
}

static const char *take_auth(struct visit *v, const void *out, struct slice text)
{
	(void)out;
	return keep(&v->auth, between(text, "<CookieData>", "</CookieData>")) ? NULL : "no CookieData";
}

static const char *take_cookie(struct visit *v, const void *out, struct slice text)
{
	(void)out;
	return keep_cookie(v->c, text, "<GetCookieResult>", "</GetCookieResult>") ? NULL : "no cookie";
}

static const char *take_nothing(struct visit *v, const void *out, struct slice text)
{
	(void)v, (void)out, (void)text;
	return NULL;
}

/* ---- the set ---- */
static uint8_t action_of(const struct Deployment *d)
{
	uint8_t a = COUNTOF(action_name);
	while (d && --a > 0)
		if (slice_eq(d->Action, slice_of(action_name[a])))
			return a;
	return 0;
}

static struct held *find(const struct computer *c, int32_t id)
{
	uint32_t lo = 0, hi = c->n;
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;
		if (c->v[mid].id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < c->n && c->v[lo].id == id ? &c->v[lo] : NULL;
}

/* As wsus-probe chooses: the same share for the same update in every computer of the profile. */
static bool takes(const struct profile *p, const struct guid *update)
{
	uint64_t h = get_be64(update->b) ^ get_be64(update->b + 8) ^ p->seed * UINT64_C(0x9e3779b97f4a7c15);
	h = (h ^ h >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
	return (h >> 33) % 100 < p->share;
}

static bool update_id(const struct frag *f, struct guid *out)
{
	struct slice core = f->n > 0 ? f->v[0].bytes : SL0;
	struct slice tag = core.p ? between(core, "&lt;UpdateIdentity ", "&gt;") : SL0;
	struct slice id = tag.p ? between(tag, "UpdateID=\"", "\"") : SL0;
	return id.p && text_guid(id, out);
}

static bool room(struct computer *c, size_t more)
{
	if (c->n + more <= c->cap)
		return true;
	size_t cap = c->n + more + c->n / 4;
	struct held *v = realloc(c->v, cap * sizeof(*v));
	if (!v)
		return false;
	c->v = v;
	c->cap = (uint32_t)cap;
	return true;
}

static int by_id(const void *a, const void *b)
{
	int32_t x = ((const struct held *)a)->id, y = ((const struct held *)b)->id;
	return (x > y) - (x < y);
}

static void want(struct visit *v, const struct held *h)
{
	if (h->action == ACTION_INSTALL && v->nwanted < MAX_WANTED)
		v->wanted[v->nwanted++] = h->id;
}

static const char *take_new(struct visit *v, const struct SyncInfo *s)
{
	struct computer *c = v->c;
	if (!room(c, s->NewUpdates.n))
		return "out of memory";
	for (size_t i = 0; i < s->NewUpdates.n; i++) {
		const struct UpdateInfo *u = &s->NewUpdates.v[i];
		struct held h = {.id = u->ID, .leaf = u->IsLeaf, .action = action_of(u->Deployment)};
		struct guid id;
		if (!h.action || !update_id(&u->Xml, &id))
			return "a new update without a proper Deployment or UpdateID";
		h.takes = takes(&profile[c->profile], &id);
		v->again = v->again || installed(&h);
		want(v, &h);
		c->v[c->n + i] = h;
	}
	c->n += (uint32_t)s->NewUpdates.n;
	qsort(c->v, c->n, sizeof(*c->v), by_id);
	for (uint32_t i = 1; s->NewUpdates.n > 0 && i < c->n; i++)
		if (c->v[i].id == c->v[i - 1].id)
			return "an update that is held came as new";
	return NULL;
}

static bool is_dropped(void)
{
	return drop_change > 0 && --drop_change == 0;
}

static const char *take_changed(struct visit *v, const struct SyncInfo *s)
{
	for (size_t i = 0; i < s->ChangedUpdates.n; i++) {
		const struct UpdateInfo *u = &s->ChangedUpdates.v[i];
		struct held *h = find(v->c, u->ID), old;
		if (!h || !action_of(u->Deployment))
			return "a changed update that is not held, or without a proper Deployment";
		old = *h;
		h->action = action_of(u->Deployment);
		h->leaf = u->IsLeaf;
		v->again = v->again || installed(h) != installed(&old);
		if (h->action != old.action && is_dropped())
			*h = old;
		want(v, h);
	}
	return NULL;
}

/* What a gone update let in is asked about anew: the scan goes on while what is installed changes. */
static const char *take_gone(struct visit *v, const struct wints *ids)
{
	struct computer *c = v->c;
	for (size_t i = 0; i < ids->n; i++) {
		struct held *h = find(c, ids->v[i]);
		if (!h)
			return "an update out of scope that is not held";
		v->again = v->again || installed(h);
		memmove(h, h + 1, (size_t)(c->v + c->n - (h + 1)) * sizeof(*h));
		c->n--;
	}
	return NULL;
}

/* A number of which ids they are: one may go and another come in the same answer. */
static uint64_t all_installed(const struct computer *c)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < c->n; i++)
		sum += installed(&c->v[i]) ? mix((uint64_t)c->v[i].id) : 0;
	return sum;
}

/* Deployed, but not in scope now: kept in the cache, as native clients do, and in scope again as soon as an answer does
 * not name it.  What has changed by then must have been told (WUSP-SYNC-81). */
static const char *take_parked(struct visit *v, const struct wints *ids)
{
	struct computer *c = v->c;
	uint64_t before = all_installed(c);
	for (uint32_t i = 0; i < c->n; i++)
		c->v[i].parked = false;
	for (size_t i = 0; i < ids->n; i++) {
		struct held *h = find(c, ids->v[i]);
		if (!h)
			return "a parked update that is not held";
		h->parked = true;
	}
	v->again = v->again || before != all_installed(c);
	return NULL;
}

static const char *take_sync(struct visit *v, const void *out, struct slice text)
{
	const struct SyncInfo *s = ((const struct SyncUpdatesResponse *)out)->SyncUpdatesResult;
	if (!s || !keep_cookie(v->c, text, "<NewCookie>", "</NewCookie>"))
		return "no SyncUpdatesResult, or no NewCookie";
	v->again = s->Truncated;
	if (s->Truncated && s->NewUpdates.n == 0)
		return "truncated, but nothing new";
	const char *bad = take_changed(v, s);
	bad = bad ? bad : take_gone(v, &s->OutOfScopeRevisionIDs);
	bad = bad ? bad : take_parked(v, &s->DeployedOutOfScopeRevisionIds);
	bad = bad ? bad : take_new(v, s);
	if (!bad && v->again && ++v->syncs > MAX_SYNCS)
		return "a scan without end";
	return bad;
}

/* Drivers are not kept: a native client does not name them either. */
static const char *take_drivers(struct visit *v, const void *out, struct slice text)
{
	const struct SyncInfo *s = ((const struct SyncUpdatesResponse *)out)->SyncUpdatesResult;
	return s && keep_cookie(v->c, text, "<NewCookie>", "</NewCookie>") ? NULL : "no SyncUpdatesResult, or no NewCookie";
}

static bool add_digest(struct buf *b, struct slice location)
{
	struct slice digest = between(location, "<FileDigest>", "</FileDigest>");
	if (digest.p)
		buf_printf(b, "<base64Binary>%.*s</base64Binary>", SLF(digest));
	return digest.p != NULL;
}

/* The digests for GetFileLocations. */
static const char *take_extended(struct visit *v, const void *out, struct slice text)
{
	const struct ExtendedUpdateInfo *x = ((const struct GetExtendedUpdateInfoResponse *)out)->GetExtendedUpdateInfoResult;
	struct buf b;
	bool ok = x && x->Updates.n + x->OutOfScopeRevisionIDs.n >= v->nwanted;
	buf_init(&b, 1 << 20);
	for (unsigned n = 0; ok && n < LOCATIONS_MAX && text.p; n++) {
		struct slice location = between(text, "<FileLocation>", "</FileLocation>");
		if (!location.p)
			break;
		ok = add_digest(&b, location);
		text = (struct slice){location.p + location.n, (size_t)(text.p + text.n - location.p) - location.n};
	}
	if (ok && b.n > 0)
		ok = keep(&v->digests, buf_bytes(&b));
	buf_free(&b);
	return ok ? NULL : "not all that was asked for";
}

static size_t count(struct slice s, const char *what)
{
	size_t n = 0, len = strlen(what);
	for (const char *at; (at = memmem(s.p, s.n, what, len)) != NULL; n++)
		s = (struct slice){at + len, (size_t)(s.p + s.n - at) - len};
	return n;
}

static const char *take_locations(struct visit *v, const void *out, struct slice text)
{
	const struct GetFileLocationsResults *r = ((const struct GetFileLocationsResponse *)out)->GetFileLocationsResult;
	struct slice url = between(text, "<Url>", "</Url>");
	const char *path = url.p ? memmem(url.p, url.n, "/Content/", 9) : NULL;
	if (!r || !path || r->FileLocations.n < count(slice_of(v->digests), "<base64Binary>"))
		return "a file without a location";
	return keep(&v->url, (struct slice){path, (size_t)(url.p + url.n - path)}) ? NULL : "out of memory";
}

static const char *take_bad(struct visit *v, const void *out, struct slice text)
{
	(void)out, (void)text;
	return v->status == bad_request[v->bad % COUNTOF(bad_request)].status ? NULL : "another status than a bad request has";
}

/* ---- the operations ---- */
static const struct op_row {
	const char *name, *path, *ns;
	const struct wtype *out;
	void (*ask)(struct visit *v, struct buf *b);
	const char *(*take)(struct visit *v, const void *out, struct slice text);
} ops[] = {
#define ROW(Name, path, ns, ask, take) {#Name, path, ns, &Name##Response_wire, ask, take}
#define CLIENT_ROW(Name, ask, take) ROW(Name, CLIENT_PATH, WUSP_NS_CLIENT, ask, take)
	[OP_CONFIG] = CLIENT_ROW(GetConfig, ask_config, take_config),
	[OP_AUTH] = ROW(GetAuthorizationCookie, "/SimpleAuthWebService/SimpleAuth.asmx", WUSP_NS_SIMPLEAUTH, ask_auth, take_auth),
	[OP_COOKIE] = CLIENT_ROW(GetCookie, ask_cookie, take_cookie),
	[OP_REGISTER] = CLIENT_ROW(RegisterComputer, ask_register, take_nothing),
	[OP_SYNC] = CLIENT_ROW(SyncUpdates, ask_sync, take_sync),
	[OP_DRIVERS] = CLIENT_ROW(SyncUpdates, ask_sync, take_drivers),
	[OP_EXTENDED] = CLIENT_ROW(GetExtendedUpdateInfo, ask_extended, take_extended),
	[OP_LOCATIONS] = CLIENT_ROW(GetFileLocations, ask_locations, take_locations),
	[OP_CONTENT] = {"content", NULL, NULL, NULL, NULL, take_nothing},
	[OP_BAD] = {"bad request", NULL, NULL, NULL, NULL, take_bad},
};
static_assert(COUNTOF(ops) == OP__MAX, "one row per operation");

const enum op walk_fresh[] = {OP_CONFIG, OP_AUTH, OP_COOKIE, OP_REGISTER, OP_SYNC, OP_DRIVERS, OP_EXTENDED, OP_LOCATIONS,
	OP_SYNC, OP__MAX};
const enum op walk_scan[] = {OP_SYNC, OP__MAX};
const enum op walk_day[] = {OP_CONFIG, OP_AUTH, OP_COOKIE, OP_REGISTER, OP_SYNC, OP_DRIVERS, OP_EXTENDED, OP_LOCATIONS,
	OP__MAX};
const enum op walk_content[] = {OP_SYNC, OP_EXTENDED, OP_LOCATIONS, OP_CONTENT, OP__MAX};
const enum op walk_bad[] = {OP_BAD, OP__MAX};

const char *op_name(enum op op)
{
	return op == OP_DRIVERS ? "driver pass" : ops[op].name;
}

static bool is_due(const struct visit *v, enum op op)
{
	return op == OP_EXTENDED ? v->nwanted > 0 : op == OP_LOCATIONS ? v->digests != NULL : op == OP_CONTENT ? v->url != NULL : true;
}

static void post(struct visit *v, const char *path, const char *action, struct slice body)
{
	buf_printf(&v->out, "POST %s HTTP/1.1\r\nCache-Control: no-cache\r\nConnection: Keep-Alive\r\nPragma: no-cache\r\n"
		"Content-Type: text/xml; charset=utf-8\r\nAccept-Encoding: xpress\r\nUser-Agent: Windows-Update-Agent/"
		"1507.2601.30012.0 Client-Protocol/2.90\r\nSOAPAction: \"%s\"\r\nContent-Length: %zu\r\nHost: %s\r\n\r\n",
		path, action, body.n, peer_name);
	buf_slice(&v->out, body);
}

static void ask_soap(struct visit *v, const struct op_row *row)
{
	static struct buf body;
	char action[200];
	body.max = LIMIT_BODY;
	buf_reset(&body);
	buf_printf(&body, "<s:Envelope xmlns:s=\"" SOAP_NS11 "\"><s:Body><%s xmlns=\"%s\">", row->name, row->ns);
	row->ask(v, &body);
	buf_printf(&body, "</%s></s:Body></s:Envelope>", row->name);
	snprintf(action, sizeof(action), "%s/%s", row->ns, row->name);
	if (body.rc != E_OK)
		quit("a request does not fit", row->name);
	post(v, row->path, action, buf_bytes(&body));
}

/* Half a KB from anywhere in the file's first KB: every file of the sample has that. */
static void ask_content(struct visit *v)
{
	unsigned from = (unsigned)(trait(v->c, 4) % 90);
	buf_printf(&v->out, "GET %s HTTP/1.1\r\nConnection: Keep-Alive\r\nAccept: */*\r\nRange: bytes=%u-%u\r\n"
		"User-Agent: Microsoft-Delivery-Optimization/10.1\r\nContent-Length: 0\r\nHost: %s\r\n\r\n",
		v->url, from, from + 511, peer_name);
}

static void ask_bad(struct visit *v)
{
	size_t k = v->bad % COUNTOF(bad_request);
	post(v, bad_request[k].path, WUSP_NS_CLIENT "/GetConfig", slice_of(bad_request[k].body));
}

bool talk_ask(struct visit *v)
{
	while (*v->walk != OP__MAX && !is_due(v, *v->walk))
		v->walk++;
	if (v->out.cap > LIMIT_COOKIE * 32)
		buf_free(&v->out);
	buf_reset(&v->out);
	if (*v->walk == OP__MAX)
		return false;
	if (*v->walk == OP_CONTENT)
		ask_content(v);
	else if (*v->walk == OP_BAD)
		ask_bad(v);
	else
		ask_soap(v, &ops[*v->walk]);
	return true;
}

static const char *read_soap(struct xml *x, const struct op_row *row, void *out, struct arena *a, struct err *e)
{
	struct soap_in in;
	char wanted[64];
	snprintf(wanted, sizeof(wanted), "%sResponse", row->name);
	if (soap_open(x, &in, a, e) != E_OK || !slice_eq(in.name, slice_of(wanted)))
		return "another answer than the operation's";
	return wire_read(x, row->out, out, a, e) == E_OK && soap_close(x, e) == E_OK ? NULL : "an answer that cannot be read";
}

const char *talk_take(struct visit *v, struct slice plain)
{
	static struct xml *x;
	static struct arena arena;
	const struct op_row *row = &ops[*v->walk];
	struct xml_limits lim = xml_message_limits;
	struct err e;
	lim.bytes = LIMIT_REPLY;
	if (!x && !(x = xml_new()))
		quit("out of memory", "");
	arena.cap = LIMIT_REPLY;
	v->again = false;
	void *out = row->out ? arena_alloc(&arena, 1, row->out->size) : NULL;
	const char *bad = NULL;
	if (row->out) {
		xml_init(x, plain, &lim, &e);
		bad = out ? read_soap(x, row, out, &arena, &e) : "out of memory";
	}
	if (!bad)
		bad = row->take(v, out, plain);
	arena_reset(&arena);
	v->walk += !bad && !v->again;
	return bad;
}

void talk_want_offered(struct visit *v)
{
	v->nwanted = 0;
	for (uint32_t i = 0; i < v->c->n; i++)
		want(v, &v->c->v[i]);
}

void computer_print(const struct computer *c, struct buf *out)
{
	for (uint32_t i = 0; i < c->n; i++)
		if (!c->v[i].parked)
			buf_printf(out, "%d -%s%s %s\n", c->v[i].id, c->v[i].leaf ? "l" : "", installed(&c->v[i]) ? "i" : "",
				action_name[c->v[i].action]);
}

void computer_forget(struct computer *c)
{
	free(c->v);
	free(c->cookie);
	*c = (struct computer){.number = c->number, .profile = c->profile, .group = c->group};
}
