/* serversync.c -- ServerSync: downstream servers learn here what is published.  MS-WSUSSS 3.1.4.
 *
 * Handshake and configuration are here; metadata stands in sync_data.c, deployments and content in sync_policy.c.
 * Where a real server differs from the specification, its way is taken: an empty Parameter, an empty list of languages. */
#include "cgi/sync.h"
#include "common/text.h"

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
};
