/* downstream.h -- servers below this one: what they said of themselves (fleet/), whether they may come (catalog/, policy), and
 * the files that they asked for (fleet/).  The DSS Table of MS-WSUSSS 3.1.1; DownloadFiles, 3.1.4.11. */
#ifndef STORE_DOWNSTREAM_H
#define STORE_DOWNSTREAM_H

#include "store/store.h"

enum downstream_state { DOWNSTREAM_PENDING, DOWNSTREAM_APPROVED, DOWNSTREAM_BLOCKED };
extern const char *const downstream_state_names[]; /* "pending", "approved", "blocked" */

struct downstream {
	struct guid id;        /* its ServerID, the accountGuid that it gives */
	struct slice name;     /* FQDN as it last said */
	struct slice address;
	bool came;             /* false: only decided upon, never seen */
	tick_t first_seen, last_seen;
	uint32_t major, minor; /* protocol version, 0.0 until GetCookie */
	tick_t listed;         /* last GetRevisionIdList of updates, 0: never */
	tick_t replicated;     /* last GetDeployments, 0: never, so no replica */
	/* What rollups fill: WSUSSS-ADM-11, -AUTHCOOKIE-07, -08. */
	struct guid parent;    /* this server's own id for those that come here themselves */
	tick_t last_rollup, last_sync;
	struct slice version;
	int32_t counter[18];
	/* Policy. */
	enum downstream_state state;
	tick_t decided;
	struct slice admin;
};
int downstream_get(struct txn *t, const struct guid *id, struct downstream *out, struct err *e) MUST_CHECK; /* E_NOTFOUND */
/* Those that came and those that were decided upon, by id; fn returns non-zero to stop. */
int downstream_each(struct txn *t, int (*fn)(const struct downstream *, void *), void *arg, struct err *e) MUST_CHECK;
/* Those that were decided upon, as the decision tells: catalog/ alone is read. */
int downstream_each_decided(struct txn *t, int (*fn)(const struct downstream *, void *), void *arg, struct err *e) MUST_CHECK;
/* May it come?  By decision, else by the setting downstream.admission; blocked goes before open. */
enum downstream_state downstream_state(struct txn *t, const struct guid *id, const struct settings *set);

/* GetAuthorizationCookie, step 2: makes or refreshes the row (name, address, last_seen).  Needs TXN_FLEET, only if it would
 * change anything (downstream_contact_differs: last_seen counts once an hour).  E_FULL: it is new and there is no room, or
 * LIMIT_DOWNSTREAM_PENDING rows of servers that nobody approved are there; anybody may make up ids. */
bool downstream_contact_differs(struct txn *t, const struct downstream *d);
int downstream_contact(struct txn *t, const struct downstream *d, struct err *e) MUST_CHECK;
/* Batched: what they did since.  Unknown ids are skipped. */
#define DOWNSTREAM_LISTED 1u
#define DOWNSTREAM_REPLICATED 2u
struct downstream_seen {
	struct guid id;
	tick_t at;
	uint32_t major, minor;
	unsigned did; /* DOWNSTREAM_* */
};
int downstreams_seen(struct txn *t, const struct downstream_seen *v, size_t n, struct err *e) MUST_CHECK;

/* Policy; needs TXN_CATALOG and takes effect with the commit: nothing of it is published.  The name is kept with the
 * decision, for a server that has not come yet.  DOWNSTREAM_PENDING takes a decision back. */
int downstream_decide(struct txn *t, const struct guid *id, struct slice name, enum downstream_state state,
	struct slice admin, struct err *e) MUST_CHECK;
/* Forgets what it said of itself; needs TXN_FLEET.  The decision goes by downstream_decide(). */
int downstream_forget(struct txn *t, const struct guid *id, struct err *e) MUST_CHECK;

/* ---- files that are wanted ---- */

struct wanted {
	struct sha1 digest;
	struct guid by; /* the downstream server that asked first */
	tick_t at;      /* when it did */
	uint32_t times; /* how often it was asked for */
};
/* Marks a file as wanted until it is stored; a file that is stored already, or marked, changes nothing but `times`.
 * Needs TXN_FLEET. */
int wanted_add(struct txn *t, const struct sha1 *digest, const struct guid *by, tick_t now, struct err *e) MUST_CHECK;
int wanted_get(struct txn *t, const struct sha1 *digest, struct wanted *out) MUST_CHECK; /* E_NOTFOUND */
/* By digest; those that are stored by now are left out. */
int wanted_each(struct txn *t, int (*fn)(const struct wanted *, void *), void *arg, struct err *e) MUST_CHECK;
struct wanted_totals {
	uint64_t files, bytes; /* that are not stored yet */
	uint64_t stale;        /* marks that wanted_sweep() would drop */
};
int wanted_total(struct txn *t, struct wanted_totals *out, struct err *e) MUST_CHECK;
/* Drops the marks of files that are stored or that no revision names any more; needs TXN_FLEET. */
int wanted_sweep(struct txn *t, uint64_t *dropped, struct err *e) MUST_CHECK;

#endif
