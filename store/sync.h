/* sync.h -- what a downstream server may have: lists of revisions, their documents, policy between two points, languages.
 * MS-WSUSSS 3.1.4.4 to 3.1.4.11; the data model is its 3.1.1.
 *
 * A point is an epoch (publish.h): what became so in a later one is new to whoever holds it; 0 is "since ever".  All of an
 * answer is read in one snapshot, whose epoch is the point that goes out with it (WSUSSS-ADM-28). */
#ifndef STORE_SYNC_H
#define STORE_SYNC_H

#include "store/store.h"

/* ---- revisions ---- */

/* The index of a snapshot, as lists need it; lies in the arena and is valid until txn_end(). */
struct sync;
int sync_open(struct txn *t, struct arena *a, struct sync **out, struct err *e) MUST_CHECK;

/* A category or classification that was asked for; delta: only what is later than the point (WSUSSS-REVLIST-20). */
struct sync_choice {
	struct guid id;
	bool delta;
};
struct sync_filter {
	bool config;    /* categories, classifications and detectoids; else software and drivers */
	uint32_t after; /* point of the last list, 0: none */
	/* Of updates only: at least one of each, both lists empty for no choice; one of them empty leaves nothing
	 * (WSUSSS-REVLIST-17, -19). */
	const struct sync_choice *category, *classification;
	size_t ncategory, nclassification;
};
/* RevisionIDs that a peer is told of, ascending, in a:
 * - config: every published revision of a category or detectoid;
 * - else: of each update the highest published revision, and those that a published bundle or a live deployment names;
 *   declined and expired ones like all others, bundles that lack a member not before they have it.
 * What became so later than `after` (WSUSSS-REVLIST-14), and older ones of a choice without delta (-20).  With a choice a revision belongs to the categories
 * that its IsCategory clauses name and to their parents, and the members of a bundle belong with it (facts 5); a bundle that is
 * listed brings its members, old or new; what belongs to the choice only since `after`, because a category came or got other
 * parents, is news, too.  Time: O(rows of the index), no record is read. */
int sync_list(struct sync *s, const struct sync_filter *f, int32_t **ids, size_t *n, struct err *e) MUST_CHECK;
/* The identity of a listed revision. */
void sync_identity(const struct sync *s, int32_t id, struct guid *update, int32_t *number);
/* A revision that a peer may have: published and not removed, whether listed or not.  E_NOTFOUND. */
int sync_find(struct txn *t, const struct guid *update, int32_t number, int32_t *id) MUST_CHECK;

/* ---- policy: WSUSSS-DEPLOYMENTS ---- */

struct sync_deployment {
	struct guid guid; /* DeploymentGuid: of this server and DeploymentID, the same for life */
	struct guid update, group;
	int32_t number;
	struct deployment d;
};
struct sync_deployments {
	struct sync_deployment *live; /* new or changed with after < epoch <= until; by GroupNo, then RevisionID */
	struct guid *dead;            /* removed in that time; none if after is 0 */
	size_t nlive, ndead;
};
int sync_deployments(struct txn *t, uint32_t after, uint32_t until, struct arena *a, struct sync_deployments *out,
	struct err *e) MUST_CHECK;
/* The complete lists of all declined updates with a published revision, and of all accepted EULAs; ascending, in a. */
int sync_hidden(struct txn *t, struct arena *a, struct guid **out, size_t *n, struct err *e) MUST_CHECK;
int sync_eulas(struct txn *t, struct arena *a, struct guid **out, size_t *n, struct err *e) MUST_CHECK;

/* ---- configuration: WSUSSS-CONFIGDATA ---- */

#define SYNC_LANGUAGES 39 /* "all", which is number 0 and comes first, and 38 of their own */
struct sync_language {
	int32_t id;              /* LCID */
	const char *code, *name; /* "en", "English" */
	bool enabled;
	uint32_t changed;        /* configuration point at which enabled last changed */
};
/* All languages ascending by id, as the setting sync.languages has them; *point: the configuration point, 1 and more, which
 * each change of what GetConfigData answers raises by one (WSUSSS-ADM-07). */
int sync_config(struct txn *t, struct sync_language out[SYNC_LANGUAGES], uint32_t *point, struct err *e) MUST_CHECK;

/* ---- anchors ---- */

/* When this generation of this server began, to the millisecond: anchors carry it, so that those of another server, or of
 * before a restore, are known for that. */
tick_t sync_began(const struct server_state *s);

#endif
