/* import.h -- full update documents in: parsed once, cut into fragments, staged.
 *
 * MS-WUSP 3.1.1.1, rules POPULATE of both catalogues, and the byte-exact rules of facts about fragments.
 * Documents are streamed: memory stays bounded whatever their size.  Fragments are stored as they go on the
 * wire.  A document that is refused leaves nothing behind; the refusal names offset and reason. */
#ifndef STORE_IMPORT_H
#define STORE_IMPORT_H

#include "common/xml.h"
#include "store/store.h"

struct import; /* one batch: owns the TXN_CATALOG it works in, commits by LIMIT_DIRTY and LIMIT_BATCH_DOCS */

int import_begin(struct import **out, struct store *s, tick_t now, struct err *e) MUST_CHECK;

/* For a synchronization, which brings its documents in batches with waits between them:
 * - what is staged from now on is held until publish_held() (or until somebody imports the same document by hand); */
void import_hold(struct import *i);
/* - the next document must have this identity, else it is refused (WSUSSS-POPULATE-10); */
void import_expect(struct import *i, const struct guid *update, int32_t number);
/* - commits what is staged and lets go of the store and of the import lock; the next document takes them again, and
 *   fails with E_BUSY, nothing of it read and the batch not ended, while another import has them. */
int import_rest(struct import *i, struct err *e) MUST_CHECK;

enum import_outcome {
	IMPORT_NEW,       /* staged under a new RevisionID */
	IMPORT_KNOWN,     /* the same document is here already: nothing changed */
	IMPORT_DIFFERENT, /* the identity is here with other content: nothing changed, E_EXISTS in e */
	IMPORT_REFUSED,   /* not an update document we can hold: e says where and why */
};
struct import_report {
	enum import_outcome outcome;
	int32_t revision;
	struct guid update;
	int32_t number;
	uint64_t bytes;
};
/* One document.  The return value is E_OK for every outcome above; anything else (disk full, no memory) ends
 * the batch: what was committed before stays, import_end() must still be called. */
int import_document(struct import *i, xml_refill_fn *refill, void *arg, struct import_report *out, struct err *e)
	MUST_CHECK;
/* More is known of a file, in the same batch: the vendor's address, the key; empty: nothing new of that.  A file that no
 * document named is left out. */
int import_file_says(struct import *i, const struct sha1 *digest, struct slice url, struct slice key, struct err *e) MUST_CHECK;
/* Publishes what is staged and commits; *i becomes NULL. abort: gives up the uncommitted tail. */
int import_end(struct import **i, bool abort, struct err *e) MUST_CHECK;

#endif
