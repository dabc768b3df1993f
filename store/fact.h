/* fact.h -- what policy makes of each update, kept current: the counters of the DSS table (MS-WSUSSS 3.1.4.14.3.3, 3.2.4.5) that do
 * not hang on computers, and the whole of the 18 once those do come in (report.h). */
#ifndef STORE_FACT_H
#define STORE_FACT_H

#include "store/report.h"

/* Of an update of UpdateType Software or Driver with a published revision that can be approved (ExplicitlyDeployable).  Categories,
 * detectoids and what only bundles bring have no facts: they would stand among those not approved for ever. */
#define FACT_UPDATE 1u        /* counts at all */
#define FACT_DECLINED 2u
#define FACT_APPROVED 4u      /* a deployment for Install, OptionalInstall or Uninstall, though it may wait; DSS-ROLLUP-10, A-34 */
#define FACT_STALE 8u         /* one of the first two on a revision that is not the highest; -12 */
#define FACT_EXPIRED 16u      /* the highest revision has expired and nothing is deployed; -15 */
#define FACT_CRITICAL 32u     /* classification Critical Updates or Security Updates; -13 */
#define FACT_INFRASTRUCTURE 64u /* clients need it to go on working with the server (IsMandatory); -14 */
/* Files are those of its revisions and of all bundles below them. */
#define FACT_NEEDS_FILES 128u /* an approval waits for files, or content.download is all and one is not stored; -18 */
#define FACT_SERVER_ERROR 256u /* a file of it could not be fetched; -18 */
#define FACT_INSTALL 512u     /* a deployment for Install or OptionalInstall: what -13 and -14 mean by approved */
int fact_get(struct txn *t, uint32_t update_no, uint32_t *facts) MUST_CHECK; /* E_NOTFOUND: no such update */
int fact_each(struct txn *t, int (*fn)(uint32_t update_no, uint32_t facts, void *), void *arg, struct err *e) MUST_CHECK;

enum server_count { /* in the order of ServerSummary */
	COUNT_UPDATES, COUNT_DECLINED, COUNT_APPROVED, COUNT_NOT_APPROVED, COUNT_STALE_APPROVALS, COUNT_EXPIRED,
	COUNT_CRITICAL_NOT_APPROVED, COUNT_INFRASTRUCTURE_NOT_APPROVED, COUNT_CLIENT_ERRORS, COUNT_SERVER_ERRORS, COUNT_NEEDING_FILES,
	COUNT_NEEDED, COUNT_UP_TO_DATE, COUNT_CUSTOM_GROUPS, COUNT_COMPUTERS, COUNT_COMPUTERS_NEEDING, COUNT_COMPUTERS_FAILED,
	COUNT_COMPUTERS_UP_TO_DATE, SERVER_COUNT__N };
extern const char *const server_count_names[SERVER_COUNT__N]; /* "UpdateCount" ... */
/* All 18; 100,000 updates cost below a millisecond. */
int server_counts(struct txn *t, uint32_t out[SERVER_COUNT__N], struct err *e) MUST_CHECK;

/* What publish() touched, by RevisionID; it calls fact_publish() behind the new scan index, in its transaction. */
struct fact_change {
	const uint32_t *deployed; /* a deployment came, went or waits for something else */
	const uint32_t *changed;  /* shown, declined, removed, or noted by publish_fact(): bundles above them change, too */
	size_t ndeployed, nchanged;
	bool all;                 /* every update */
};
int fact_publish(struct txn *t, const struct fact_change *c, struct err *e) MUST_CHECK;
/* Notes for the next publish() that something is different about a file: what came of fetching it; whether it is stored. */
int fact_file(struct txn *t, const struct sha1 *digest, struct err *e) MUST_CHECK;
int fact_file_stored(struct txn *t, const struct sha1 *digest, struct err *e) MUST_CHECK;
/* Facts against a computation from the rows. */
int fact_audit(struct txn *t, struct auditor *to, struct err *e) MUST_CHECK;

#endif
