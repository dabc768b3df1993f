/* scan.h -- the set algebra of SyncUpdates over bitmaps; no XML here.
 *
 * MS-WUSP 3.1.5.7 with the decisions of the design: selection of one revision per update from the roots
 * down, implied deployments, change log instead of times.  All sets are bitmaps of one bit per RevisionID.
 * Definitions (a plain re-computation of them is test/model/):
 *
 *  alive(r)     published, not removed, its update not declined, and not held; a bundle is held while a member
 *               identity is not a published revision or is itself held (bundles that hold only each other are not).
 *  root(r)      alive, and explicitly deployed (any action but Block) to a group of the client, or
 *               (scope all) ExplicitlyDeployable and not expired.
 *  select(G)    picks at most one revision per update, in this order; an update that has one keeps it:
 *                 1. explicit deployments of G: nearest group first, then higher RevisionNumber, then higher
 *                    RevisionID; each with its bundle members, by exact revision, depth first in document order;
 *                 2. then the prerequisites of all picked so far, in the order of picking and of the document, each
 *                    by the highest alive revision of the update, with members and prerequisites in turn, until
 *                    none is new;
 *                 3. (scope all) the other roots: of each update the highest alive non-expired explicitly
 *                    deployable revision, in ascending RevisionID, each with its members (as 1);
 *                 4. as 2 for what 3 picked.
 *               A revision whose effective deployment for G is Block is never picked, nor is one not alive; no
 *               other revision of its update is picked in its place.
 *  filter       with FilterCategoryIds: roots are only those related to a listed category (an IsCategory
 *               prerequisite names it, directly or through parents of category updates, as the highest alive
 *               revision of each has them), plus (step 3, in either scope) the highest alive revision of each
 *               listed category itself.  Categories that nobody knows relate to nothing.
 *  effective(r) the explicit deployment of the nearest group (equal distance: Install > OptionalInstall >
 *               Uninstall > PreDeploymentCheck > Block, then the earlier deadline, then the lower GroupNo); else
 *               implied: Bundle for members of alive bundles, Evaluate for categories and detectoids, else
 *               PreDeploymentCheck (scope all) or Evaluate (scope approved).
 *  leaf(r)      no published revision that is not removed, declined or not, names r's update as prerequisite.
 *  Sat(r)       every clause of r's prerequisites names an update of which a listed installed id is (or was, if
 *               removed) a published revision.
 *  N            selected, Sat, and not driver (software pass).  Driver pass: nothing, until drivers are served.
 *  new          N - cached: non-leaf first, then ascending, cut to the page.
 *  gone         cached - N, and the unknown ids.
 *  changed      N & cached with a change log row in (point, now] for a group of the client or for all. */
#ifndef STORE_SCAN_H
#define STORE_SCAN_H

#include "common/cookie.h"
#include "store/store.h"

struct scan; /* per worker: the index of the current snapshot and the last selections (store/selcache.h) */

struct scan *scan_new(void); /* NULL: out of memory */
/* Selections made so far, those from the cache not counted: what a test of the cache looks at. */
uint64_t scan_selections_made(const struct scan *s);
void scan_free(struct scan **s);
/* Binds the scanner to the transaction's snapshot; keeps what is still true if the catalog did not change. */
int scan_bind(struct scan *s, struct txn *t, const struct settings *set, struct err *e) MUST_CHECK;

struct scan_request {
	const struct client_groups *groups;
	enum sync_pass pass;
	const int32_t *installed, *other; /* InstalledNonLeafUpdateIDs, OtherCachedUpdateIDs (or CachedDriverIDs) */
	size_t ninstalled, nother;
	const struct guid *filter; /* FilterCategoryIds */
	size_t nfilter;
	uint32_t point;   /* effective epoch to report changes since; 0 = report all */
	bool two_groups;  /* split the out-of-scope ids */
	bool deployed_only_ids; /* the page is left empty; `remaining` counts what is new */
};

struct scan_update {
	int32_t revision;
	bool leaf;
	uint32_t plain, packed; /* core fragment */
};

struct scan_result {           /* all lists lie in the transaction's arena */
	struct scan_update *fresh; /* the page of NewUpdates */
	size_t nfresh;
	struct scan_update *changed;
	size_t nchanged;
	int32_t *gone;             /* OutOfScopeRevisionIDs: no longer deployed, and unknown */
	size_t ngone;
	int32_t *parked;           /* DeployedOutOfScopeRevisionIds: still deployed, outside the present scope */
	size_t nparked;
	size_t remaining;          /* new revisions beyond the page */
	bool truncated;
	bool drivers;              /* the (filtered) selection holds a driver revision */
	uint32_t epoch;            /* of the snapshot */
};
int scan_run(struct scan *s, const struct scan_request *q, struct scan_result *out, struct err *e) MUST_CHECK;

/* Is the revision in the client's unfiltered selection (deployed closure)?  For RefreshCache and
 * GetExtendedUpdateInfo.  Unknown ids: false. */
int scan_deployed(struct scan *s, const struct client_groups *g, const int32_t *ids, size_t n, bool *out,
	struct err *e) MUST_CHECK;
bool scan_is_leaf(struct scan *s, int32_t revision);

/* Of one revision, for these groups and with this installed: what scan_run() makes of it. */
struct scan_verdict {
	bool alive;     /* see above */
	bool selected, satisfied, driver;
	bool offered;   /* in N of the software pass: the computer has it, or gets it with its next scan */
	bool root;      /* scope all would take it as one */
	int32_t chosen; /* the revision of its update that is selected, 0: none */
};
int scan_judge(struct scan *s, const struct client_groups *g, const int32_t *installed, size_t n, int32_t revision,
	struct scan_verdict *out, struct err *e) MUST_CHECK;

struct effective {
	uint32_t id;      /* DeploymentID */
	const char *action; /* the wire's word */
	bool implied;
	struct deployment d; /* if explicit */
	tick_t changed;   /* LastChangeTime: of the deployment, or when the revision was published */
};
/* The effective deployment of a revision for these groups. */
int scan_effective(struct scan *s, const struct client_groups *g, int32_t revision, struct effective *out,
	struct err *e) MUST_CHECK;

/* Categories for StartCategoryScan: CAT_NONE if the guid is no alive Category update of this server. */
enum category_type scan_category(struct scan *s, const struct guid *id);

#endif
