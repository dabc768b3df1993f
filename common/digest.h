/* digest.h -- SHA-1 and SHA-256 of bytes that come in portions.
 *
 * Only the tools digest anything, documents and content files.  libcrypto does it, with the processor's own SHA
 * instructions, and a program that calls nothing of this header is not linked to it. */
#ifndef COMMON_DIGEST_H
#define COMMON_DIGEST_H

#include "common/base.h"
#include "common/err.h"

enum digest_kind { DIGEST_SHA1, DIGEST_SHA256 };

struct digest; /* one at a time, any number one after the other */

struct digest *digest_new(enum digest_kind kind); /* NULL: out of memory */
void digest_free(struct digest **d);

/* A failure stays until the next start: it is enough to look at the end's result. */
void digest_start(struct digest *d);
void digest_add(struct digest *d, struct slice s);
bool digest_end(struct digest *d, void *out) MUST_CHECK; /* 20 or 32 bytes */

#endif
