/* serversync.c -- ServerSync: downstream servers learn here what is published.  MS-WSUSSS 3.1.4.
 *
 * Handshake and configuration are here; metadata stands in sync_data.c, deployments and content in sync_policy.c.
 * Where a real server differs from the specification, its way is taken: an empty Parameter, an empty list of languages. */
#include "cgi/sync.h"
#include "common/text.h"

/* ================= who is calling ================= */

void call_downstream(struct call *c, const struct guid *id)
{
	char text[GUID_TEXT + 1];
	struct downstream d;
	guid_text(id, text);
	c->client.n = GUID_TEXT;
	memcpy(c->client.s, text, GUID_TEXT);
	if (downstream_get(c->txn, id, &d, NULL) == E_OK)
		snprintf(c->name, sizeof(c->name), "%.*s", SLF(d.name));
}

int call_admitted(struct call *c, const struct guid *id, int rc)
{
	enum downstream_state state = downstream_state(c->txn, id, &c->set);
	if (state == DOWNSTREAM_APPROVED)
		return E_OK;
	snprintf(c->remedy, sizeof(c->remedy), "wsusctl downstream approve %.*s", (int)c->client.n, c->client.s);
	return call_fail(c, rc, "downstream server %s", state == DOWNSTREAM_BLOCKED ? "blocked" : "not approved any more");
}

/* The common checks, in the order of MS-WSUSSS 3.1.4.4 (WSUSSS-COOKIE-21 to -24, WSUSSS-FAULT-21 to -23).  Whether a server may come
 * is asked anew each time: one that was blocked goes back to GetAuthorizationCookie, which tells it why. */
static int check_cookie(struct call *c, const struct Cookie *in)
{
	struct dss_cookie *k = &c->dss;
	if (!in || in->EncryptedData.n == 0)
		return call_fail(c, E_INVALID_COOKIE, "no cookie");
	if (dss_cookie_open(c->w->sealer, in->EncryptedData, k) != E_OK)
		return call_fail(c, E_INVALID_COOKIE, "not a cookie of ours");
	call_downstream(c, &k->dss);
	if (guid_cmp(&k->server, &c->state.server_id) != 0 || k->generation != c->state.generation)
		return call_fail(c, E_SERVER_CHANGED, "cookie of generation %u", k->generation);
	if (k->expires <= c->now)
		return call_fail(c, E_INVALID_COOKIE, "cookie expired");
	if (k->major != 1)
		return call_fail(c, E_INCOMPATIBLE_VERSION, "cookie of protocol version %u.%u", k->major, k->minor);
	int rc = call_admitted(c, &k->dss, E_INVALID_COOKIE);
	if (rc == E_OK)
		worker_seen(c->w, &c->client, k->major, k->minor);
	return rc;
}

static int write_seen(struct txn *t, const struct seen_row *rows, size_t n, struct err *e)
{
	struct downstream_seen v[SEEN_BATCH];
	size_t m = 0;
	for (size_t i = 0; i < n; i++) {
		const struct seen_row *s = &rows[i];
		v[m] = (struct downstream_seen){.at = s->at, .major = s->major, .minor = s->minor, .did = s->did};
		m += text_guid((struct slice){s->id.s, s->id.n}, &v[m].id);
	}
	return downstreams_seen(t, v, m, e);
}

/* ================= anchors ================= */

static bool is_ours(const struct call *c, const struct anchor *a, uint32_t reached)
{
	return a->began == sync_began(&c->state) && a->point <= reached;
}

int call_anchor(struct call *c, struct slice text, const char *parameter, uint32_t reached, uint32_t *point)
{
	struct anchor a;
	*point = 0;
	if (text.n == 0)
		return E_OK;
	if (!anchor_read(text, &a))
		return call_bad(c, parameter);
	if (!is_ours(c, &a, reached))
		return call_fail(c, E_SERVER_CHANGED, "%s: an anchor that this server did not give", parameter);
	*point = a.point;
	return E_OK;
}

struct slice call_new_anchor(struct call *c, uint32_t point)
{
	char text[ANCHOR_MAX];
	size_t n = anchor_text(&(struct anchor){point, sync_began(&c->state)}, text);
	return arena_copy(c->a, (struct slice){text, n});
}

/* ================= GetAuthConfig, 3.1.4.1 ================= */

HANDLER(GetAuthConfig)
{
	(void)in;
	struct ServerAuthConfig *k = ARENA_NEW(c->a, struct ServerAuthConfig);
	struct AuthPlugInInfo *plug = ARENA_NEW(c->a, struct AuthPlugInInfo);
	if (!k || !plug)
		return call_fail(c, E_NOMEM, "no memory for the answer");
	*plug = (struct AuthPlugInInfo){
		.PlugInID = DSS_PLUGIN,
		.ServiceUrl = SL("DssAuthWebService/DssAuthWebService.asmx"),
		.Parameter = SL(""),
	};
	k->LastChange = c->state.last_change;
	k->AuthInfo.v = plug;
	k->AuthInfo.n = 1;
	out->GetAuthConfigResult = k;
	return E_OK;
}

/* ================= GetCookie, 3.1.4.3 ================= */

/* Exactly one, whatever its plug-in is called (WSUSSS-COOKIE-06 to -08). */
static int open_auth(struct call *c, const struct DssGetCookie *in, struct dss_auth_cookie *k)
{
	if (in->authCookies.n != 1)
		return call_bad(c, "authCookies");
	if (dss_auth_cookie_open(c->w->sealer, in->authCookies.v[0].CookieData, k) != E_OK)
		return call_fail(c, E_INVALID_AUTH_COOKIE, "not an authorization cookie of ours");
	call_downstream(c, &k->dss);
	if (guid_cmp(&k->server, &c->state.server_id) != 0 || k->generation != c->state.generation)
		return call_fail(c, E_INVALID_AUTH_COOKIE, "authorization cookie of another server or generation");
	if (k->expires <= c->now)
		return call_fail(c, E_INVALID_AUTH_COOKIE, "authorization cookie expired");
	return call_admitted(c, &k->dss, E_INVALID_AUTH_COOKIE);
}

/* oldCookie decides nothing (WSUSSS-COOKIE-11). */
HANDLER_AS(DssGetCookie, GetCookieResponse)
{
	struct dss_auth_cookie auth;
	int rc = open_auth(c, in, &auth);
	if (rc != E_OK)
		return rc;
	struct dss_cookie k = {
		.server = auth.server,
		.generation = auth.generation,
		.expires = MIN(auth.expires, c->now + DSS_COOKIE_MINUTES * 60 * TICKS_PER_SECOND),
		.group = auth.group,
		.dss = auth.dss,
	};
	if (!text_version(in->protocolVersion, &k.major, &k.minor))
		return call_bad(c, "protocolVersion");
	if (k.major != 1)
		return call_fail(c, E_INCOMPATIBLE_VERSION, "protocol version %u.%u", k.major, k.minor);
	worker_seen(c->w, &c->client, k.major, k.minor);
	char sealed[COOKIE_MAX];
	out->GetCookieResult = call_sealed(c, sealed, dss_cookie_seal(c->w->sealer, c->now, &k, sealed), k.expires);
	return out->GetCookieResult ? E_OK : (int)c->err.code;
}

/* ================= GetConfigData, 3.1.4.4 ================= */

/* What the peer knows already; what is no anchor of ours counts as none (WSUSSS-CONFIGDATA-05). */
static uint32_t known_config(const struct call *c, struct slice text, uint32_t reached)
{
	struct anchor a;
	return anchor_read(text, &a) && is_ours(c, &a, reached) ? a.point : 0;
}

/* All, or those that changed since: a real server sends not even entry 0 if nothing did (WSUSSS-CONFIGDATA-08 to -12). */
static int add_languages(struct call *c, struct slice anchor, struct ServerSyncConfigData *d)
{
	struct sync_language language[SYNC_LANGUAGES];
	struct ServerSyncLanguageData *v = ARENA_ARRAY(c->a, struct ServerSyncLanguageData, SYNC_LANGUAGES);
	uint32_t point;
	int rc = sync_config(c->txn, language, &point, &c->err);
	if (rc != E_OK)
		return rc;
	d->NewConfigAnchor = call_new_anchor(c, point);
	if (!v || !d->NewConfigAnchor.p)
		return call_fail(c, E_NOMEM, "no memory for the languages");
	uint32_t known = known_config(c, anchor, point);
	d->LanguageUpdateList.v = v;
	for (size_t i = 0; i < COUNTOF(language); i++) {
		const struct sync_language *l = &language[i];
		if (known == 0 || l->changed > known)
			v[d->LanguageUpdateList.n++] = (struct ServerSyncLanguageData){
				.LanguageID = l->id,
				.ShortLanguage = slice_of(l->code),
				.LongLanguage = slice_of(l->name),
				.Enabled = l->enabled,
			};
	}
	return E_OK;
}

/* The driver operations are not offered: their limits are 0, as those of ordinary servers (WSUSSS-CONFIGDATA-15). */
HANDLER(GetConfigData)
{
	struct ServerSyncConfigData *d = ARENA_NEW(c->a, struct ServerSyncConfigData);
	if (!d)
		return call_fail(c, E_NOMEM, "no memory for the answer");
	d->CatalogOnlySync = c->set.content_store == CONTENT_MICROSOFT;
	d->LazySync = c->set.content_download == DOWNLOAD_APPROVED;
	d->ServerHostsPsfFiles = c->set.content_express;
	d->MaxNumberOfUpdatesPerRequest = LIMIT_SYNC_UPDATES;
	d->MaxUpdatesPerRequestInGetUpdateDecryptionData = LIMIT_SYNC_UPDATES;
	d->ProtocolVersion = SL("1.20");
	out->GetConfigDataResult = d;
	return add_languages(c, in->configAnchor, d);
}

/* ================= GetRelatedRevisionsForUpdates, 3.1.4.9 ================= */

/* Unused, and without a check of its cookie; nothing is asked of the store (WSUSSS-RELATED-01, -02). */
HANDLER(GetRelatedRevisionsForUpdates)
{
	(void)in;
	out->GetRelatedRevisionsForUpdatesResult.v = ARENA_NEW(c->a, struct UpdateIdentity);
	return out->GetRelatedRevisionsForUpdatesResult.v ? E_OK : call_fail(c, E_NOMEM, "no memory for the answer");
}

/* ================= the table ================= */

static const struct op serversync_ops[] = {
	OP_BARE(GetAuthConfig, 0),
	OP_AS(DssGetCookie, GetCookieResponse, NULL, 0, NULL, NULL),
	OP_BARE(GetConfigData, OP_COOKIE),
	OP(GetRevisionIdList, OP_COOKIE),
	OP(GetUpdateData, OP_COOKIE),
	OP(GetUpdateDecryptionData, OP_COOKIE),
	OP(GetDriverIdList, OP_COOKIE),
	OP(GetDriverSetData, OP_COOKIE),
	OP_BARE(GetDeployments, OP_COOKIE),
	OP_FULL(DownloadFiles, OP_COOKIE),
	OP_BARE(GetRelatedRevisionsForUpdates, 0),
	OP_PING,
};

const struct service serversync_service = {
	.name = "serversync",
	.ns = WSUSSS_NS_SYNC,
	.paths = {"/ServerSyncWebService/ServerSyncWebService.asmx"},
	.cache_control = "private, max-age=0",
	.dialect = SOAP_ASMX,
	.op = serversync_ops,
	.nops = COUNTOF(serversync_ops),
	.check_cookie = check_cookie,
	.write_seen = write_seen,
};
