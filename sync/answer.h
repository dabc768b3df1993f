/* answer.h -- an answer of the parent, as bytes in a spool: a message, a fault, or neither.  Pure: no connection is asked.
 *
 * Which fault means what stands in one table here (MS-WSUSSS 2.2.9.3). */
#ifndef SYNC_ANSWER_H
#define SYNC_ANSWER_H

#include "common/arena.h"
#include "common/soap.h"
#include "sync/spool.h"

/* A message of an answer may be larger than any request. */
extern const struct xml_limits answer_limits;

struct answer {
	int status;             /* of HTTP */
	struct spool *bytes;
	struct slice ns;        /* of the operation */
	const char *name;       /* of the operation: NameResponse is expected */
	/* ---- what came of it ---- */
	bool passing;           /* it may pass by itself: cut, or the server is busy */
};
/* Reads the message into *out; t NULL: only looks that it begins so and is whole.  A fault is its E_ code, E_REFUSED for one that
 * has none that is known (WSUSSS-FAULT-12, -19); e has ErrorCode and Message.  E_IO: an answer that is cut, or of somebody who is
 * no update server, with HTTP's status and what to look at.  E_FORM: an answer that makes no sense. */
int answer_read(struct answer *w, const struct wtype *t, void *out, struct arena *a, struct err *e) MUST_CHECK;
/* The text of the first element of that local name, trimmed; absent if there is none. */
struct slice answer_text(struct spool *s, struct slice name, struct arena *a);
/* What to look at when HTTP itself says no; never NULL. */
const char *answer_status_hint(int status);

#endif
