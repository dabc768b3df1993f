/* authorize.c -- phase 1, and the configuration that opens phase 2: MS-WSUSSS 3.2.4.1, and 3.2.4.2 steps 1 and 2. */
#include "common/limits.h"
#include "common/text.h"
#include "sync/authorize.h"

#define PROTOCOL_VERSION "1.20" /* what this server implements (WSUSSS-VERSION-01) */
#define PLUG_IN "DssTargeting"
#define COOKIE_SECONDS 30          /* a cookie that ends sooner is of no use */

/* ---- phase 1 ---- */

static int find_service(const struct GetAuthConfigResponse *got, struct slice *url, struct err *e)
{
	const struct ServerAuthConfig *config = got->GetAuthConfigResult;
	for (size_t i = 0; config && i < config->AuthInfo.n; i++)
		if (slice_eq(config->AuthInfo.v[i].PlugInID, SL(PLUG_IN)) && config->AuthInfo.v[i].ServiceUrl.n) {
			*url = config->AuthInfo.v[i].ServiceUrl;
			return E_OK;
		}
	return err_set(e, E_REFUSED, "%s: the server offers no authorization by " PLUG_IN ": is it one that other servers may synchronize from?",
		call_names[CALL_GET_AUTH_CONFIG]);
}

static int get_service(struct run *r, struct arena *a, struct AuthorizationCookie **out, struct err *e)
{
	struct GetAuthConfigResponse got;
	struct slice url;
	(void)out;
	int rc = call(r->caller, CALL_GET_AUTH_CONFIG, &(struct GetAuthConfig){0}, &got, a, e);
	if (rc == E_OK)
		rc = find_service(&got, &url, e);
	if (rc == E_OK)
		rc = caller_set_service(r->caller, url, e);
	if (rc == E_OK)
		r->parent.service_url = run_keep(r, url);
	return rc;
}

/* A parent like this one says what keeps it from going on, and here is where to end that. */
static int explain_refusal(const struct run *r, int rc, struct err *e)
{
	char id[GUID_TEXT + 1];
	if (rc != E_NOT_ADMITTED)
		return rc;
	bool blocked = e && strstr(e->text, "blocked") != NULL;
	guid_text(&r->server_id, id);
	return err_set(e, E_NOT_ADMITTED, "%.*s %s; there, type: wsusctl downstream approve %s (this server: %s, id %s)", SLF(r->set.upstream_url),
		blocked ? "has blocked this server" : "has not approved this server yet", r->name, r->name, id);
}

static int get_authorization(struct run *r, struct arena *a, struct AuthorizationCookie **out, struct err *e)
{
	char id[GUID_TEXT + 1];
	struct GetAuthorizationCookieResponse got;
	guid_text(&r->server_id, id);
	struct DssGetAuthorizationCookie ask = {.accountName = slice_of(r->name), .accountGuid = slice_of(id)};
	int rc = call(r->caller, CALL_GET_AUTHORIZATION_COOKIE, &ask, &got, a, e);
	if (rc != E_OK)
		return explain_refusal(r, rc, e);
	*out = got.GetAuthorizationCookieResult;
	return *out && (*out)->CookieData.p ? E_OK : err_set(e, E_FORM, "%s: no cookie in the answer", call_names[CALL_GET_AUTHORIZATION_COOKIE]);
}

/* Its time is of their clock, ours decides when it is renewed. */
static int check_time(tick_t expires, struct err *e)
{
	char text[TIME_TEXT + 1];
	if (expires > time_now() + COOKIE_SECONDS * TICKS_PER_SECOND)
		return E_OK;
	time_text(expires, text);
	return err_set(e, E_REFUSED, "%s: the cookie ends at %s, which is over here: one of the two clocks is wrong", call_names[CALL_GET_COOKIE], text);
}

static int keep_cookie(struct run *r, const struct Cookie *c, struct err *e)
{
	if (!c || !c->EncryptedData.p || !WIRE_HAS(c, Cookie, Expiration))
		return err_set(e, E_FORM, "%s: no cookie in the answer", call_names[CALL_GET_COOKIE]);
	int rc = check_time(c->Expiration, e);
	if (rc != E_OK)
		return rc;
	r->parent.expires = c->Expiration;
	r->parent.expiration = run_keep(r, caller_expiration(r->caller));
	r->parent.cookie = run_keep(r, c->EncryptedData);
	return E_OK;
}

/* The authorization cookie goes through as bytes, in the other service's namespace; the old cookie as it was. */
static int get_cookie(struct run *r, struct arena *a, struct AuthorizationCookie **authorization, struct err *e)
{
	struct Cookie old = {.Expiration = r->parent.expires, .EncryptedData = r->parent.cookie};
	struct DssGetCookie ask = {.protocolVersion = SL(PROTOCOL_VERSION), .oldCookie = old.EncryptedData.n ? &old : NULL};
	struct GetCookieResponse got;
	ask.authCookies.v = *authorization;
	ask.authCookies.n = 1;
	if (ask.oldCookie && caller_set_expiration(r->caller, r->parent.expiration, NULL) != E_OK)
		ask.oldCookie = NULL;
	int rc = call(r->caller, CALL_GET_COOKIE, &ask, &got, a, e);
	return rc == E_OK ? keep_cookie(r, got.GetCookieResult, e) : rc;
}

static int save(struct run *r, struct err *e)
{
	if (r->a.failed)
		return err_set(e, E_NOMEM, "no memory for what the server above said");
	return r->store ? run_save(r, e) : E_OK; /* `upstream check` has none */
}

const struct authorize_step authorize_steps[AUTHORIZE_STEPS] = {
	{CALL_GET_AUTH_CONFIG, get_service},
	{CALL_GET_AUTHORIZATION_COOKIE, get_authorization},
	{CALL_GET_COOKIE, get_cookie},
};

int phase_authorize(struct run *r, struct err *e)
{
	struct AuthorizationCookie *authorization = NULL;
	struct arena a;
	int rc = E_OK;
	arena_init(&a, AUTHORIZE_MEMORY);
	for (size_t i = 0; i < AUTHORIZE_STEPS && rc == E_OK; i++)
		rc = authorize_steps[i].run(r, &a, &authorization, e);
	arena_free(&a);
	return rc == E_OK ? save(r, e) : rc;
}

/* ---- configuration ---- */

/* What every known server publishes; a larger number would be asked for in requests that nobody has seen. */
static int32_t sane_limit(int32_t v, int32_t absent, int32_t max)
{
	return v <= 0 ? absent : MIN(v, max);
}

static struct parent_language *language_at(struct parent_language *v, size_t n, int32_t id)
{
	for (size_t i = 0; i < n; i++)
		if (v[i].id == id)
			return &v[i];
	return NULL;
}

/* By id, into what is known: with an anchor only what changed comes, mostly nothing (WSUSSS-CONFIGDATA-19). */
static int merge_languages(struct run *r, const struct ServerSyncConfigData *got, struct err *e)
{
	struct parent *p = &r->parent;
	size_t known = p->config_anchor.n ? p->nlanguages : 0;
	if (got->LanguageUpdateList.n == 0)
		return E_OK;
	struct parent_language *v = ARENA_ARRAY(&r->a, struct parent_language, known + got->LanguageUpdateList.n);
	if (!v)
		return err_set(e, E_NOMEM, "no memory for the list of languages");
	if (known)
		memcpy(v, p->language, known * sizeof(*v));
	for (size_t i = 0; i < got->LanguageUpdateList.n; i++) {
		const struct ServerSyncLanguageData *l = &got->LanguageUpdateList.v[i];
		struct parent_language *to = language_at(v, known, l->LanguageID);
		if (!to && known >= LIMIT_DOC_LANGUAGES)
			return err_set(e, E_LIMIT, "%s: more than %d languages", call_names[CALL_GET_CONFIG_DATA], LIMIT_DOC_LANGUAGES);
		to = to ? to : &v[known++];
		*to = (struct parent_language){l->LanguageID, run_keep(r, l->ShortLanguage), l->Enabled};
	}
	p->language = v;
	p->nlanguages = known;
	return E_OK;
}

/* A server older than 1.3 has no such field (WSUSSS-VERSION-05). */
static struct slice version_of(const struct ServerSyncConfigData *got)
{
	uint32_t major, minor;
	return text_version(got->ProtocolVersion, &major, &minor) ? text_trim(got->ProtocolVersion) : SL("");
}

static int keep_configuration(struct run *r, const struct ServerSyncConfigData *got, struct err *e)
{
	struct parent *p = &r->parent;
	bool microsoft = r->set.upstream_kind == UPSTREAM_MICROSOFT;
	if (!got)
		return err_set(e, E_FORM, "%s: no configuration in the answer", call_names[CALL_GET_CONFIG_DATA]);
	int rc = merge_languages(r, got, e);
	if (rc != E_OK)
		return rc;
	p->catalog_only = got->CatalogOnlySync;
	p->lazy = got->LazySync;
	p->hosts_psf = got->ServerHostsPsfFiles;
	p->max_updates = sane_limit(got->MaxNumberOfUpdatesPerRequest, LIMIT_SYNC_UPDATES, LIMIT_SYNC_UPDATES);
	p->max_decryption = sane_limit(got->MaxUpdatesPerRequestInGetUpdateDecryptionData, 0, microsoft ? LIMIT_SYNC_UPDATES : LIMIT_SYNC_REQUEST);
	p->version = run_keep(r, version_of(got));
	if (got->NewConfigAnchor.n)
		p->config_anchor = run_keep(r, got->NewConfigAnchor);
	p->met = time_now();
	return E_OK;
}

static void tell(struct run *r)
{
	const struct parent *p = &r->parent;
	unsigned enabled = 0;
	for (size_t i = 0; i < p->nlanguages; i++)
		enabled += p->language[i].enabled;
	if (r->report)
		report_result(r->report, "version %.*s, %d updates a request, %u of %zu languages%s%s", p->version.n ? (int)p->version.n : 7,
			p->version.n ? p->version.p : "unknown", p->max_updates, enabled, p->nlanguages, p->catalog_only ? ", catalog only" : "",
			p->lazy ? ", files of what is approved" : "");
}

int phase_configure(struct run *r, struct err *e)
{
	struct Cookie cookie;
	struct GetConfigData ask = {.cookie = &cookie, .configAnchor = r->parent.config_anchor.n ? r->parent.config_anchor : SL0};
	struct GetConfigDataResponse got;
	struct arena a;
	arena_init(&a, AUTHORIZE_MEMORY);
	int rc = run_cookie(r, &cookie, e);
	if (rc == E_OK)
		rc = call(r->caller, CALL_GET_CONFIG_DATA, &ask, &got, &a, e);
	if (rc == E_OK)
		rc = keep_configuration(r, got.GetConfigDataResult, e);
	arena_free(&a);
	if (rc == E_OK)
		rc = save(r, e);
	if (rc == E_OK)
		tell(r);
	return rc;
}
