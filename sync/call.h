/* call.h -- the operations of MS-WSUSSS that a downstream server calls: messages out, answers and faults in.
 *
 * One table has name, SOAPAction, service and messages of each (WSUSSS-TRANSPORT-12).  ServerBusy (the fault, HTTP 503, and
 * connections that break) is tried again here, with growing, jittered delays (WSUSSS-FAULT-17, limits CALL_*); every other fault
 * comes back as its E_ code: E_INVALID_COOKIE, E_INVALID_AUTH_COOKIE, E_SERVER_CHANGED, E_INCOMPATIBLE_VERSION, E_FILE_DIGESTS_MISSING,
 * E_INVALID_PARAMETERS, E_SERVER_BUSY, E_NOT_ADMITTED (a parent like this one that has not approved us); E_REFUSED for InternalServerError, a code that is none, a plain fault, and what HTTP refuses (401,
 * 403, 404 ...), with words that name operation, server, Message and remedy. */
#ifndef SYNC_CALL_H
#define SYNC_CALL_H

#include "common/wsusss.h"
#include "sync/http.h"

enum call_op {
	CALL_GET_AUTH_CONFIG,
	CALL_GET_AUTHORIZATION_COOKIE, /* of the service at ServiceUrl */
	CALL_GET_COOKIE,
	CALL_GET_CONFIG_DATA,
	CALL_GET_REVISION_ID_LIST,
	CALL_GET_UPDATE_DATA,
	CALL_GET_UPDATE_DECRYPTION_DATA,
	CALL_GET_RELATED_REVISIONS,
	CALL_GET_DEPLOYMENTS,
	CALL_DOWNLOAD_FILES,
	CALL__N
};
extern const char *const call_names[CALL__N]; /* "GetAuthConfig" ... */

#define CALL_TRIES 6          /* of one call, the first included */
#define CALL_DELAY 2000       /* milliseconds before the second; doubles, times 0.5 to 1.5, at most CALL_DELAY_MAX */
#define CALL_DELAY_MAX 120000 /* or what Retry-After says, if that is less than 10 minutes */

struct caller;
/* Calls to the server of set->upstream_url; dir: for spools.  h stays the caller's. */
int caller_open(struct caller **out, struct http *h, const struct settings *set, const char *dir, struct err *e) MUST_CHECK;
void caller_close(struct caller **c);
/* How often a call is tried, instead of CALL_TRIES; and who hears of it when one is tried again. */
void caller_set_tries(struct caller *c, unsigned tries);
void caller_on_wait(struct caller *c, void (*fn)(void *arg, const char *text), void *arg);
/* Expiration of the cookie that GetCookie answered last, as the server wrote it; cookies with that time are sent back so
 * (facts 3).  For one that was stored: E_FORM, no time. */
struct slice caller_expiration(const struct caller *c);
int caller_set_expiration(struct caller *c, struct slice text, struct err *e) MUST_CHECK;
/* Where GetAuthorizationCookie goes: relative to the server's root unless absolute (facts 3). */
int caller_set_service(struct caller *c, struct slice service_url, struct err *e) MUST_CHECK;

/* One call; the response message (its own type, as rows of the table say) lies in a. */
int call(struct caller *c, enum call_op op, const void *request, void *response, struct arena *a, struct err *e) MUST_CHECK;

/* Several GetUpdateData at a time.  The answer is left in a spool: its documents may be larger than memory. */
struct update_call {
	const struct GetUpdateData *request; /* not needed once it is started */
	void *arg;                           /* the caller's */
	struct spool *answer;                /* whole and no fault: positions in it count from the envelope's first byte */
	int rc;
	struct err err;
	void *running;                       /* call.c's */
};
int call_update_start(struct caller *c, struct update_call *u, struct err *e) MUST_CHECK;
/* The next that is done, NULL: none is under way.  Its spool is the caller's until call_update_done(), which also ends one that
 * is not done. */
int call_update_wait(struct caller *c, struct update_call **out, struct err *e) MUST_CHECK;
void call_update_done(struct caller *c, struct update_call *u);

#endif
