/* sync.h -- the operations for downstream servers: what their handlers share, and those whose row stands in serversync.c
 * while their handlers are elsewhere. */
#ifndef CGI_SYNC_H
#define CGI_SYNC_H

#include "cgi/dispatch.h"
#include "common/anchor.h"
#include "common/wsusss.h"
#include "store/downstream.h"
#include "store/sync.h"

#define DSS_PLUGIN SL("DssTargeting")
/* Life of both cookies: what the product gives (WSUSSS-COOKIE-13). */
#define DSS_COOKIE_MINUTES 240

/* Which downstream server is calling: sets c->client to its ServerID as text, and c->name as its row has it.  Needs c->txn. */
void call_downstream(struct call *c, const struct guid *id);

/* Whether it may come, by the decision as it is now: else sets c->remedy and returns rc with words for the log. */
int call_admitted(struct call *c, const struct guid *id, int rc) MUST_CHECK;

/* The point of an anchor that a downstream server brings back; 0, since ever, if it brings none.  reached: the point that this
 * snapshot is at.  E_INVALID_PARAMETERS with the parameter's name if it has not the form of an anchor; E_SERVER_CHANGED if this
 * server cannot have given it: that of another one or another generation, or of a point yet to come (WSUSSS-FAULT-23). */
int call_anchor(struct call *c, struct slice text, const char *parameter, uint32_t reached, uint32_t *point) MUST_CHECK;
/* The anchor of an answer, in c->a; p == NULL: out of memory.  That of point 0, where nothing was ever published, is one like
 * the others: a replica has to bring it to GetDeployments, and an empty one would be refused there. */
struct slice call_new_anchor(struct call *c, uint32_t point);

/* ---- sync_data.c ---- */
OP_DECLARE(GetRevisionIdList)
OP_DECLARE(GetUpdateData)
OP_DECLARE(GetUpdateDecryptionData)
OP_DECLARE(GetDriverIdList)
OP_DECLARE(GetDriverSetData)
/* ---- sync_policy.c ---- */
OP_DECLARE(GetDeployments)
OP_DECLARE(DownloadFiles)
/* ---- ping.c: of all services ---- */
OP_DECLARE(Ping)
/* Its row is that of the services' own namespaces but for this one. */
#define OP_PING OP_AS(Ping, PingResponse, WSUSSS_NS_PING, 0, NULL, NULL)

#endif
