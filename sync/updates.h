/* updates.h -- an answer of GetUpdateData, read from its spool: documents leave one after the other through a sink.
 *
 * Elements are known by local name, in any order; unknown ones are skipped (WSUSSS-TRANSPORT-08 and the form of Microsoft Update).
 * Memory is bounded whatever the size of answer and documents: text is unescaped a piece at a time, a cabinet is
 * unpacked into a spool.  The answer is read once where Ids come before their documents and documents before fileUrls, as
 * every known server writes it; else again for what was met too early. */
#ifndef SYNC_UPDATES_H
#define SYNC_UPDATES_H

#include "common/wsusss.h"
#include "sync/spool.h"

struct updates_sink {
	/* One document, through refill(from, ...); it need not be read to its end.  A blob that cannot be unpacked is a document whose
	 * first byte cannot be read: E_FORM or E_LIMIT with words. */
	int (*document)(void *arg, const struct UpdateIdentity *id, xml_refill_fn *refill, void *from, struct err *e);
	/* What fileUrls says of a file, behind all documents; url and key may be empty. */
	int (*file)(void *arg, const struct sha1 *digest, struct slice url, struct slice key, struct err *e);
	void *arg;
};
struct updates; /* the reader: about 400 KB, for any number of answers */

/* dir: for spools, kept by reference. */
int updates_new(struct updates **out, const char *dir, struct err *e) MUST_CHECK;
void updates_free(struct updates **u);
/* E_FORM, E_LIMIT: no such answer; other codes come from the sink or the spools.  Documents may have left before. */
int updates_read(struct updates *u, struct spool *answer, const struct updates_sink *sink, struct err *e) MUST_CHECK;

#endif
