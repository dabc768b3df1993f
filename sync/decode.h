/* decode.h -- Content-Encoding taken off an answer that comes in portions, cut anywhere: xpress (MS-WUSP 2.1.1) and gzip.
 *
 * Memory is constant, some 200 KB, whatever comes out: who takes the bytes counts them, and so ends a bomb. */
#ifndef SYNC_DECODE_H
#define SYNC_DECODE_H

#include "common/base.h"
#include "common/err.h"

struct decoder;
typedef int decoded_fn(void *arg, struct slice bytes, struct err *e); /* non-zero ends it */

/* coding: the header's value, empty or identity: bytes pass through.  E_FORM: neither of these, so that it was not asked for. */
int decoder_new(struct decoder **out, struct slice coding, decoded_fn *fn, void *arg, struct err *e) MUST_CHECK;
void decoder_free(struct decoder **d);
/* The next portion.  E_FORM: it is not of that coding. */
int decoder_add(struct decoder *d, struct slice bytes, struct err *e) MUST_CHECK;
/* Nothing follows.  E_IO: it ends in the middle of a block. */
int decoder_end(struct decoder *d, struct err *e) MUST_CHECK;

#endif
