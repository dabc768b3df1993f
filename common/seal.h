/* seal.h -- authenticated encryption of cookies: AES-256-GCM under monthly keys.
 *
 * Sealed form: version u8 = 1 | purpose u8 | month be16 (months since 1970-01) | nonce 12 | ciphertext |
 * tag 16.  The first four bytes are the associated data.  The key of a month is HKDF-SHA-256 of one random
 * master secret (32 bytes, keys/master, mode 0600), so a client absent for years still gets its cookie
 * read.  Nothing of the plaintext is looked at before the tag is verified. */
#ifndef COMMON_SEAL_H
#define COMMON_SEAL_H

#include "common/base.h"
#include "common/err.h"

enum seal_purpose { SEAL_CLIENT_AUTH = 1, SEAL_CLIENT = 2, SEAL_DSS_AUTH = 3, SEAL_DSS = 4 };

struct sealer; /* holds the master secret and the last few derived keys */

#define SEAL_MASTER 32
#define SEAL_OVERHEAD 32

/* Makes a new master secret file (0600, refuses to replace one). */
int seal_create(const char *path, struct err *e) MUST_CHECK;
int seal_open_file(struct sealer **out, const char *path, struct err *e) MUST_CHECK;
int seal_open_secret(struct sealer **out, const uint8_t secret[SEAL_MASTER], struct err *e) MUST_CHECK;
void seal_close(struct sealer **s);

/* to has room for n + SEAL_OVERHEAD bytes; the nonce is random. */
int seal(struct sealer *s, enum seal_purpose purpose, tick_t now, const void *plain, size_t n, void *to);
/* to has room for sealed.n bytes; *n becomes the plaintext's size.  E_FORM if anything is off. */
int unseal(struct sealer *s, enum seal_purpose purpose, struct slice sealed, void *to, size_t *n) MUST_CHECK;

int random_bytes(void *to, size_t n) MUST_CHECK;
int random_guid(struct guid *out) MUST_CHECK; /* version 4 */

#endif
