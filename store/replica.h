/* replica.h -- the policy of a replica: its parent's, mirrored; MS-WSUSSS 3.2.4.3.
 *
 * While upstream.mode is replica, the verbs of policy (approve, unapprove, update_decline, eula_accept, group_create, _move,
 * _delete) refuse with E_REFUSED and say at which server to do it (WSUSSS-ADM-26); assignments of computers stay local.
 * replica_apply() passes them by.
 *
 * What our own replicas are told of a mirrored deployment carries a DeploymentGuid of ours, as of all of them: one for the life of
 * group and revision, whatever the parent calls it from time to time. */
#ifndef STORE_REPLICA_H
#define STORE_REPLICA_H

#include "common/wsusss.h"
#include "store/store.h"

/* E_REFUSED, with the parent's address as the remedy, on a replica; "to approve" goes into the words. */
int policy_is_local(struct txn *t, const char *to_do, struct err *e) MUST_CHECK;

struct replica_report {
	uint32_t groups, deployments, ended, hidden, eulas; /* rows that changed; hidden: either way */
	uint32_t skipped; /* deployments that cannot be: of a group that does not come with them, an unknown action */
	uint32_t lacking; /* deployments of revisions that are not here: they wait, and the next apply looks again */
};
/* Steps 3 to 7: groups inserted, moved and deleted with their deployments (parents before children, whatever their order),
 * dead deployments ended, the others upserted by DeploymentGuid, declines set and cleared by the complete list, EULAs
 * accepted.  full: asked for without an anchor, so deployments that are not named end (WSUSSS-DSS-DEPLOY-05).  Built-in groups are
 * matched by id.  What is the same changes nothing; publish() makes it visible.  Needs TXN_CATALOG. */
int replica_apply(struct txn *t, const struct ServerSyncDeploymentResult *p, bool full, tick_t now, struct replica_report *out,
	struct err *e) MUST_CHECK;
/* Policy of this server's own: none once anything is mirrored.  What the first apply ends. */
struct replica_local {
	uint32_t groups, approvals, declines; /* but the groups that are built in */
};
int replica_local(struct txn *t, struct replica_local *out, struct err *e) MUST_CHECK;
/* The identities that p's deployments name and that are not stored; in a. */
int replica_lacks(struct txn *t, const struct ServerSyncDeploymentResult *p, struct arena *a, struct UpdateIdentity **out,
	size_t *n, struct err *e) MUST_CHECK;

#endif
