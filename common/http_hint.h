/* http_hint.h -- what to look at when HTTP or TLS fails, as far as it is the same for every client of ours. */
#ifndef COMMON_HTTP_HINT_H
#define COMMON_HTTP_HINT_H

/* Why the server's certificate is refused: verdict as of X509_verify_cert(3), 1 if it is for another name.  NULL: no words
 * for it, or the authority is unknown, which is for the caller to say where to name. */
const char *certificate_hint(long verdict);

#endif
