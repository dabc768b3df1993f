/* cookie.h -- what our cookies say: fixed layouts, written and read byte by byte, never as objects.
 *
 * MS-WUSP 2.2.3.4 (authorization cookie) and 2.2.3.5 (cookie); rules AUTHCOOKIE-14, COOKIE-12.
 * A point is an epoch of the catalog: it says something only together with the generation, which stands beside it. */
#ifndef COMMON_COOKIE_H
#define COMMON_COOKIE_H

#include "common/base.h"
#include "common/err.h"
#include "common/limits.h"
#include "common/seal.h"

struct client_id {
	uint8_t n;
	char s[LIMIT_CLIENT_ID]; /* lower case */
};

struct auth_cookie {
	struct guid server;
	uint32_t generation;
	tick_t issued;
	struct client_id client;
};

enum sync_pass { PASS_SOFTWARE, PASS_DRIVER, PASS_PRINTER, PASS__N };

struct cookie {
	struct guid server;
	uint32_t generation;
	tick_t expires;
	tick_t last_change;       /* configuration the client knows */
	uint32_t major, minor;    /* client protocol version given to GetCookie */
	uint64_t groups;          /* hash of the client's groups when the points were made */
	uint32_t point[PASS__N];  /* epoch of the snapshot of the last answer, per pass; 0 = never */
	uint32_t parked;          /* COOKIE_PARKED: point since when ids were parked in DeployedOutOfScopeRevisionIds */
	uint32_t file_locations;  /* file-location version */
	uint32_t flags;           /* COOKIE_* */
	uint64_t installed;       /* COOKIE_PARKED: hash of the installed ids under which they were parked; 0 = several */
	struct client_id client;
};
#define COOKIE_SCAN_OPEN 1u /* the last call was not the end of its scan: later calls report from point */
#define COOKIE_PARKED 2u    /* parked holds, 0 being "since ever" */

/* What a downstream server holds: MS-WSUSSS 2.2.4.7 (authorization cookie) and 2.2.4.8 (cookie). */
struct dss_auth_cookie {
	struct guid server; /* this one */
	uint32_t generation;
	tick_t expires;
	uint32_t group;     /* GroupNo of its target group */
	struct guid dss;    /* its ServerID */
};
struct dss_cookie {
	struct guid server;
	uint32_t generation;
	tick_t expires;
	uint32_t major, minor; /* protocol version given to GetCookie */
	uint32_t group;
	struct guid dss;
};

/* An upper bound of any of them, sealed. */
#define COOKIE_MAX 512

size_t auth_cookie_seal(struct sealer *s, tick_t now, const struct auth_cookie *c, char to[COOKIE_MAX]);
/* E_INVALID_AUTH_COOKIE unless genuine. */
int auth_cookie_open(struct sealer *s, struct slice sealed, struct auth_cookie *out) MUST_CHECK;
size_t cookie_seal(struct sealer *s, tick_t now, const struct cookie *c, char to[COOKIE_MAX]);
/* E_INVALID_COOKIE unless genuine; identity and expiry are the caller's to check (A9, A10). */
int cookie_open(struct sealer *s, struct slice sealed, struct cookie *out) MUST_CHECK;
/* The same for downstream servers. */
size_t dss_auth_cookie_seal(struct sealer *s, tick_t now, const struct dss_auth_cookie *c, char to[COOKIE_MAX]);
int dss_auth_cookie_open(struct sealer *s, struct slice sealed, struct dss_auth_cookie *out) MUST_CHECK;
size_t dss_cookie_seal(struct sealer *s, tick_t now, const struct dss_cookie *c, char to[COOKIE_MAX]);
int dss_cookie_open(struct sealer *s, struct slice sealed, struct dss_cookie *out) MUST_CHECK;

#endif
