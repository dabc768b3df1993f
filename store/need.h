/* need.h -- which files have to be fetched: MS-WSUSSS 3.2.4.4 (WSUSSS-DSS-CONTENT-02, -03). */
#ifndef STORE_NEED_H
#define STORE_NEED_H

#include "store/store.h"

struct needed {
	struct sha1 digest;
	uint8_t why; /* NEED_* */
	uint64_t size;
};
#define NEED_APPROVED 1u /* a live deployment with Install or OptionalInstall needs it, of itself or through a bundle */
#define NEED_WANTED 2u   /* a downstream server asked for it */
#define NEED_ALL 4u      /* content.download = all */
struct needs {
	struct needed *v; /* in a, 32 bytes each; approved ones first, then wanted ones, each by size */
	size_t n;
	uint64_t bytes;
};
#define NEEDS_MEMORY ((size_t)64 << 20) /* for the revisions of approvals: 12 million */
/* Of a snapshot, without files of PatchingType Express unless content.express is set; empty with content.store = microsoft (catalog only). */
int needs_get(struct txn *t, struct arena *a, struct needs *out, struct err *e) MUST_CHECK;
/* The same of the files that are here: what must not be removed. */
int needs_held(struct txn *t, struct arena *a, struct needs *out, struct err *e) MUST_CHECK;

#endif
