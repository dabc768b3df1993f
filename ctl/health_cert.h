/* health_cert.h -- reads certificates for the checks of ctl/health.h. */
#ifndef CTL_HEALTH_CERT_H
#define CTL_HEALTH_CERT_H

#include "ctl/health.h"

/* PEM: the end of the first, and whether any is signed weakly.  Leaves k as it is if there is none. */
void health_cert_read(struct cert_facts *k, struct slice pem);
/* PEM: the name of the first certificate that stands for its server best: a host name with a domain, else any host name but
 * localhost, else an address but that of loopback; no wildcard.  False: there is none. */
bool health_cert_name(struct slice pem, struct arena *a, struct slice *out) MUST_CHECK;
/* Is the certificate in `file` one for this host or address, and another than the first of `served`?  Both PEM. */
bool health_cert_is_unserved(struct slice file, struct slice served, const char *host) MUST_CHECK;
/* PEM: how many certificates there are, and the SHA-256 of the first as 64 upper-case digits. */
unsigned health_cert_print(struct slice pem, char out[65]);

#endif
