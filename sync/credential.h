/* credential.h -- the small files that settings upstream.* name: authorities, keys, logins.  Each failure names the setting,
 * the file, and what to do. */
#ifndef SYNC_CREDENTIAL_H
#define SYNC_CREDENTIAL_H

#include "common/buf.h"
#include "common/err.h"

#define CREDENTIAL_FILE ((size_t)1 << 20) /* a bundle of authorities: Debian's has 220 KB */

struct login {
	char *user, *password; /* NULL: none */
};

/* Authorities as PEM.  print: 64 hexadecimal digits, the SHA-256 of the one certificate that the file may then hold; or empty.
 * E_IO: it cannot be read; E_FORM: no certificates in it; E_REFUSED: not that one. */
int credential_ca(struct slice path, struct slice print, struct buf *out, struct err *e) MUST_CHECK;
/* SHA-256 of a certificate as PEM, in upper case, and of its public key as upstream.pin has it ("sha256//..."; empty: not found).
 * false: it is none. */
#define CREDENTIAL_PIN 64
bool credential_print(struct slice pem, char out[65], char pin[CREDENTIAL_PIN]);
/* Can it be read, and by nobody else (others; a group may)?  The same of a login's file, of which the first line is USER:PASSWORD. */
int credential_key(const char *setting, struct slice path, struct err *e) MUST_CHECK;
int credential_login(const char *setting, struct slice path, struct login *out, struct err *e) MUST_CHECK;
void credential_login_free(struct login *l);

#endif
