/* auth.c -- who is calling, as far as the protocols let us know: SimpleAuth for computers (MS-WUSP 2.2.2.1, 3.1.5.3), DssAuth for
 * downstream servers (MS-WSUSSS 3.1.4.2).
 *
 * Anybody may claim any id; the cookie only proves that the claim was made to this server.  A downstream server, which is
 * given everything, gets one only if an administrator said so. */
#include "cgi/sync.h"
#include "common/log.h"
#include "common/text.h"
#include "store/scanned.h"

#define PLUGIN SL("SimpleTargeting")

/* ================= computers ================= */

static bool only(struct slice s, const char *set)
{
	for (size_t i = 0; i < s.n; i++)
		if (!s.p[i] || !strchr(set, s.p[i]))
			return false;
	return s.n >= 1 && s.n <= 255;
}

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* ClientIdString of MS-WUSP 1.1, upper case tolerated; names as DNS has them, underscore tolerated (A32). */
CHECK(GetAuthorizationCookie)
{
	if (!only(in->clientId, LETTERS "0123456789-"))
		return call_bad(c, "clientId");
	if (!only(in->dnsName, LETTERS "0123456789-._"))
		return call_bad(c, "dnsName");
	return E_OK;
}

static struct computer contact(const struct call *c, const struct GetAuthorizationCookie *in)
{
	return (struct computer){
		.id = {c->client.s, c->client.n},
		.dns_name = in->dnsName,
		.requested_groups = in->targetGroupName.p ? in->targetGroupName : SL(""),
		.address = c->req->peer.p ? c->req->peer : SL(""),
		.first_seen = c->now,
		.last_seen = c->now,
	};
}

/* n sealed bytes, 0 for a failure, as an answer's cookie; NULL after call_fail(). */
static struct AuthorizationCookie *sealed_cookie(struct call *c, struct slice plugin, const char *sealed, size_t n)
{
	struct AuthorizationCookie *a = ARENA_NEW(c->a, struct AuthorizationCookie);
	struct slice data = arena_copy(c->a, (struct slice){sealed, n});
	if (n == 0 || !a || !data.p) {
		call_fail(c, n == 0 ? E_IO : E_NOMEM, "cannot seal a cookie");
		return NULL;
	}
	a->PlugInId = plugin;
	a->CookieData = data;
	return a;
}

HANDLER(GetAuthorizationCookie)
{
	struct auth_cookie k = {c->state.server_id, c->state.generation, c->now, {0}};
	k.client.n = (uint8_t)in->clientId.n;
	text_lower_to(k.client.s, in->clientId);
	c->client = k.client;
	snprintf(c->name, sizeof(c->name), "%.*s", SLF(in->dnsName));

	char sealed[COOKIE_MAX];
	size_t n = auth_cookie_seal(c->w->sealer, c->now, &k, sealed);
	out->GetAuthorizationCookieResult = sealed_cookie(c, PLUGIN, sealed, n);
	if (!out->GetAuthorizationCookieResult)
		return (int)c->err.code;

	struct computer pc = contact(c, in);
	c->wants_store = computer_contact_differs(c->txn, &pc);
	return c->wants_store ? computer_may_begin(c->txn, pc.id, c->now, &c->err) : E_OK;
}

/* Only if it changed with this very contact. */
static void log_face(struct call *c, const struct computer *pc)
{
	struct faces v;
	if (faces_get(c->txn, pc->id, &v) != E_OK || v.v[0].last != c->now)
		return;
	const struct face *was = &v.v[1];
	if (v.flag == IDENTITY_CLONED)
		log_line(LOG_WARN, "computer %.*s was %.*s at %.*s and is %.*s at %.*s again (%u times so): two computers have this id; "
			"delete the value SusClientId in the registry of one and restart its wuauserv", SLF(pc->id), SLF(was->name),
			SLF(was->address), SLF(pc->dns_name), SLF(pc->address), (unsigned)v.alternations);
	else
		log_line(LOG_NOTICE, "computer %.*s was %.*s at %.*s and is now %.*s at %.*s: it was renamed, unless it changes back",
			SLF(pc->id), SLF(was->name), SLF(was->address), SLF(pc->dns_name), SLF(pc->address));
}

STORE(GetAuthorizationCookie)
{
	struct computer pc = contact(c, in);
	int rc = computer_contact(c->txn, &pc, &c->err);
	if (rc == E_OK)
		log_face(c, &pc);
	return rc;
}

/* ================= downstream servers ================= */

/* Labels of letters, digits, hyphens and underscores, 1 to 63 each; one is enough, none is empty. */
static bool is_dns_name(struct slice s)
{
	if (s.n == 0 || s.n > 255)
		return false;
	while (s.p) {
		struct slice label = text_cut(&s, '.');
		if (!only(label, LETTERS "0123456789-_") || label.n > 63)
			return false;
	}
	return true;
}

/* WSUSSS-AUTHCOOKIE-03, -04; programKeys are nobody's business (-05). */
CHECK(DssGetAuthorizationCookie)
{
	struct guid id;
	if (!is_dns_name(in->accountName))
		return call_bad(c, "accountName");
	if (!text_guid(in->accountGuid, &id) || guid_is_zero(&id))
		return call_bad(c, "accountGuid");
	return E_OK;
}

/* Its row, as this call would have it; counters and the rest are what rollups fill (WSUSSS-AUTHCOOKIE-07 to -09). */
static struct downstream server_contact(const struct call *c, const struct DssGetAuthorizationCookie *in)
{
	struct downstream d = {
		.name = in->accountName,
		.address = c->req->peer.p ? c->req->peer : SL(""),
		.came = true,
		.first_seen = c->now,
		.last_seen = c->now,
		.parent = c->state.server_id,
		.version = SL(""),
	};
	ASSERT(text_guid(in->accountGuid, &d.id)); /* CHECK() saw to it */
	return d;
}

struct namesake {
	const struct downstream *of;
	bool found;
};
static int find_namesake(const struct downstream *d, void *arg)
{
	struct namesake *n = arg;
	n->found = guid_cmp(&d->id, &n->of->id) != 0 && text_ieq(d->name, n->of->name);
	return n->found;
}

/* Can the command that admits this server call it by its name?  Not if another one has that name, or it could be taken for
 * an option or an id: what a stranger calls itself must not become the approval of another. */
static bool name_will_do(struct call *c, const struct downstream *d)
{
	struct namesake n = {.of = d};
	struct guid id;
	return d->name.p[0] != '-' && !text_guid(d->name, &id) &&
		downstream_each(c->txn, find_namesake, &n, NULL) == E_OK && !n.found;
}

static void set_remedy(struct call *c, struct slice name)
{
	snprintf(c->remedy, sizeof(c->remedy), "wsusctl downstream approve %.*s", SLF(name));
}

/* The fault, after the row is noted: an administrator sees who asked. */
static int refuse(struct call *c, const struct downstream *d, enum downstream_state state)
{
	bool blocked = state == DOWNSTREAM_BLOCKED;
	c->message = blocked ? SL(WSUSSS_BLOCKED) : SL(WSUSSS_NOT_APPROVED);
	call_fail(c, E_NOT_ADMITTED, "downstream server %s", blocked ? "blocked" : "not approved");
	set_remedy(c, name_will_do(c, d) ? d->name : (struct slice){c->client.s, c->client.n});
	return downstream_contact_differs(c->txn, d) ? call_fault_after(c, E_NOT_ADMITTED) : E_NOT_ADMITTED;
}

static struct AuthorizationCookie *admit(struct call *c, const struct downstream *d)
{
	char sealed[COOKIE_MAX];
	struct dss_auth_cookie k = {
		.server = c->state.server_id,
		.generation = c->state.generation,
		.expires = c->now + DSS_COOKIE_MINUTES * 60 * TICKS_PER_SECOND,
		.group = GROUP_DOWNSTREAM,
		.dss = d->id,
	};
	return sealed_cookie(c, DSS_PLUGIN, sealed, dss_auth_cookie_seal(c->w->sealer, c->now, &k, sealed));
}

HANDLER_AS(DssGetAuthorizationCookie, GetAuthorizationCookieResponse)
{
	struct downstream d = server_contact(c, in);
	call_downstream(c, &d.id);
	snprintf(c->name, sizeof(c->name), "%.*s", SLF(d.name));
	enum downstream_state state = downstream_state(c->txn, &d.id, &c->set);
	if (state != DOWNSTREAM_APPROVED)
		return refuse(c, &d, state);
	out->GetAuthorizationCookieResult = admit(c, &d);
	if (!out->GetAuthorizationCookieResult)
		return (int)c->err.code;
	c->wants_store = downstream_contact_differs(c->txn, &d);
	return E_OK;
}

STORE(DssGetAuthorizationCookie)
{
	struct downstream d = server_contact(c, in);
	int rc = downstream_contact(c->txn, &d, &c->err);
	if (rc != E_OK && c->late) /* its name will not be known */
		set_remedy(c, (struct slice){c->client.s, c->client.n});
	return rc;
}

/* ================= the table ================= */

/* Who cannot be noted is still served: what it may have hangs on policy, not on this row. */
static const struct op auth_ops[] = {
	OP_FULL(GetAuthorizationCookie, OP_SPARE),
	OP_AS(DssGetAuthorizationCookie, GetAuthorizationCookieResponse, WSUSSS_NS_AUTH, OP_SPARE, DssGetAuthorizationCookie_check,
		DssGetAuthorizationCookie_store),
	OP_PING,
};

const struct service auth_service = {
	.name = "auth",
	.ns = WUSP_NS_SIMPLEAUTH,
	.paths = {"/SimpleAuthWebService/SimpleAuth.asmx", "/DssAuthWebService/DssAuthWebService.asmx"},
	.cache_control = "private, max-age=0",
	.dialect = SOAP_ASMX,
	.op = auth_ops,
	.nops = COUNTOF(auth_ops),
};
