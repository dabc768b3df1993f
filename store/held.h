/* held.h -- what a synchronization lacks, of a snapshot: all of it is worked out from what is stored, so that one that was
 * interrupted goes on where it stopped. */
#ifndef STORE_HELD_H
#define STORE_HELD_H

#include "common/wsusss.h"
#include "store/store.h"

struct identities {
	struct UpdateIdentity *v;
	size_t n, cap;
};

/* Of n identities those that are not here (tombstones are), each once, in their order; in a (WSUSSS-DSS-META-16). */
int identities_lacking(struct txn *t, const struct UpdateIdentity *ids, size_t n, struct arena *a, struct identities *out,
	struct err *e) MUST_CHECK;
/* What bundles name and is not here, ascending, each once; in a (WSUSSS-DSS-META-26). */
int members_lacking(struct txn *t, struct arena *a, struct identities *out, struct err *e) MUST_CHECK;
/* Held revisions that say FileDecryption (REV_SECURE_KEY) and have a file without a key; in a (WSUSSS-DSS-META-21). */
int keys_lacking(struct txn *t, struct arena *a, struct identities *out, struct err *e) MUST_CHECK;
/* Held revisions from before `began` with files of which no address is known, where some file has one: a run that was killed
 * between documents and addresses of one answer; in a (WSUSSS-DSS-META-17). */
int addresses_lacking(struct txn *t, tick_t began, struct arena *a, struct identities *out, struct err *e) MUST_CHECK;

int identity_cmp(const void *a, const void *b); /* of struct UpdateIdentity, by id, then by number */

#endif
