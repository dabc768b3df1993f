/* content.h -- inside the content job: DownloadFiles (ask.c).  The rest is fetching.h. */
#ifndef SYNC_CONTENT_H
#define SYNC_CONTENT_H

#include "sync/sync.h"

#define ASK_MOST 100 /* digests of one DownloadFiles: WSUSSS-DOWNLOADFILES-02 */

/* What came of asking for one file. */
enum asked { ASKED_ACCEPTED, ASKED_UNKNOWN /* FileDigestsMissing, and again after authorizing anew */, ASKED_FAILED };
/* What a job has spent of new beginnings: WSUSSS-FAULT-20. */
struct ask_spent {
	unsigned restarts;
	bool renewed; /* for FileDigestsMissing */
};
/* Asks the parent for n files, at most ASK_MOST (WSUSSS-DSS-CONTENT-07): out[i] says what came of v[i], why has the words of the
 * last that it did not accept.  Not E_OK: E_CANCELLED, E_NOMEM. */
int ask_parent(struct run *r, const struct sha1 *v, size_t n, enum asked *out, struct ask_spent *spent,
	struct err *why) MUST_CHECK;

#endif
