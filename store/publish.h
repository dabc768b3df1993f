/* publish.h -- the one way in which anything becomes visible.
 *
 * A publish runs inside the caller's TXN_CATALOG: it assigns the next epoch if anything is pending (staged
 * revisions, policy changes recorded since the last publish, deployments whose waiting state flipped),
 * shows the staged revisions, rewrites the arrays of the scan index that changed, and writes the change log
 * rows with that epoch.  Nothing pending: nothing is written and the report has the old epoch.
 *
 * The tick (go-live times reached, files complete, EULAs accepted) is the same function: it re-judges every
 * waiting deployment, so that workers never compare clocks with deployments. */
#ifndef STORE_PUBLISH_H
#define STORE_PUBLISH_H

#include "store/store.h"

struct publish_report {
	uint32_t epoch;
	uint32_t shown;   /* revisions that became visible */
	uint32_t changed; /* change log rows written */
	uint32_t flipped; /* deployments whose waiting state changed */
	uint32_t held;    /* bundles held back: a member is missing */
};
int publish(struct txn *t, tick_t now, struct publish_report *out, struct err *e) MUST_CHECK;
/* The same, and shows what was staged and held (REV_HELD): a synchronization is complete. */
int publish_held(struct txn *t, tick_t now, struct publish_report *out, struct err *e) MUST_CHECK;
/* Of what is held only categories and detectoids: their list is complete, that of the updates is not yet. */
int publish_held_config(struct txn *t, tick_t now, struct publish_report *out, struct err *e) MUST_CHECK;
/* What makes publish_held() small, to be called right before it and without a transaction: LMDB keeps what a transaction
 * wrote in memory, and the records of 100,000 revisions are 40 MB.  Writes the records of all that is held as they are once
 * shown, in transactions of some thousand, so that publish_held() has only the scan index left to write.  Nobody sees any
 * of it before that; a publish() that somebody else happens to make in between shows what is ready already, which is
 * consistent, too: bundles are held back until their members are there.  config: before publish_held_config(). */
int publish_ready(struct store *s, bool config, tick_t now, struct err *e) MUST_CHECK;

/* When a publish last showed software or a driver; 0: never. */
tick_t updates_shown(struct txn *t);
int shown_migrate(struct txn *t, struct err *e) MUST_CHECK; /* of format 4 */

/* Verbs of store/ call these when they change something that clients can see (group 0 = all computers). */
int publish_touch(struct txn *t, uint32_t group, int32_t revision, struct err *e) MUST_CHECK;
/* Something changed that no row-wise log can say (scan.scope ...): every point before counts as 0. */
int publish_touch_all(struct txn *t, struct err *e) MUST_CHECK;
/* More is known of a file of the revision: clients do not see that, downstream servers do. */
int publish_file(struct txn *t, int32_t revision, struct err *e) MUST_CHECK;
/* Something changed that nobody sees but those who count: facts of the revision's update (0: of all) are to be looked at. */
int publish_fact(struct txn *t, int32_t revision, struct err *e) MUST_CHECK;
/* The index must be recomputed (decline, removal). */
int publish_dirty(struct txn *t, struct err *e) MUST_CHECK;

#endif
