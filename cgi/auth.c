/* auth.c -- SimpleAuth: who is calling, as far as the protocol lets us know.  MS-WUSP 2.2.2.1, 3.1.5.3.
 *
 * Anybody may claim any id; the cookie only proves that the claim was made to this server. */
#include "cgi/dispatch.h"
#include "common/log.h"
#include "common/text.h"

#define PLUGIN SL("SimpleTargeting")

static bool only(struct slice s, const char *set)
{
	for (size_t i = 0; i < s.n; i++)
		if (!s.p[i] || !strchr(set, s.p[i]))
			return false;
	return s.n >= 1 && s.n <= 255;
}

/* ClientIdString of MS-WUSP 1.1, upper case tolerated; names as DNS has them, underscore tolerated (A32). */
CHECK(GetAuthorizationCookie)
{
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
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

HANDLER(GetAuthorizationCookie)
{
	struct auth_cookie k = {c->state.server_id, c->state.generation, c->now, {0}};
	k.client.n = (uint8_t)in->clientId.n;
	text_lower_to(k.client.s, in->clientId);
	c->client = k.client;
	snprintf(c->name, sizeof(c->name), "%.*s", SLF(in->dnsName));

	char sealed[COOKIE_MAX];
	size_t n = auth_cookie_seal(c->w->sealer, c->now, &k, sealed);
	struct AuthorizationCookie *a = ARENA_NEW(c->a, struct AuthorizationCookie);
	if (n == 0 || !a)
		return call_fail(c, n == 0 ? E_IO : E_NOMEM, "cannot seal a cookie");
	a->PlugInId = PLUGIN;
	a->CookieData = arena_copy(c->a, (struct slice){sealed, n});
	out->GetAuthorizationCookieResult = a;
	if (!a->CookieData.p)
		return call_fail(c, E_NOMEM, "no memory for the cookie");

	struct computer pc = contact(c, in);
	c->wants_store = computer_contact_differs(c->txn, &pc);
	return c->wants_store ? computer_may_begin(c->txn, pc.id, c->now, &c->err) : E_OK;
}

/* Only if it changed with this very contact. */
static void log_elsewhere(struct call *c, const struct computer *pc)
{
	struct elsewhere w;
	if (computer_elsewhere(c->txn, pc->id, &w) != E_OK || w.at != c->now)
		return;
	log_line(LOG_WARN, "computer %.*s was %.*s at %.*s and is now %.*s at %.*s (so %u times, %u of them back): unless it was renamed "
		"and moved, two computers have this id; delete the value SusClientId in the registry of one and restart its wuauserv",
		SLF(pc->id), SLF(w.dns_name), SLF(w.address), SLF(pc->dns_name), SLF(pc->address), (unsigned)w.times, (unsigned)w.returns);
}

STORE(GetAuthorizationCookie)
{
	struct computer pc = contact(c, in);
	int rc = computer_contact(c->txn, &pc, &c->err);
	if (rc == E_OK)
		log_elsewhere(c, &pc);
	return rc;
}

/* A computer that cannot be noted is still served: what it may have hangs on policy, not on this row. */
static const struct op auth_ops[] = {OP_FULL(GetAuthorizationCookie, OP_SPARE)};

const struct service auth_service = {
	.name = "auth",
	.ns = WUSP_NS_SIMPLEAUTH,
	.paths = {"/SimpleAuthWebService/SimpleAuth.asmx"},
	.cache_control = "private, max-age=0",
	.dialect = SOAP_ASMX,
	.op = auth_ops,
	.nops = COUNTOF(auth_ops),
};
