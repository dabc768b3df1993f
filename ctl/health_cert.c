/* health_cert.c -- what a certificate says of itself: when it ends and how it is signed. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <time.h>

#include "ctl/health_cert.h"

/* SHA-1 and what is older: no Windows of today takes them for a server.  A root is trusted by itself, not by its
 * signature. */
static bool is_weak(X509 *x)
{
	int digest = NID_undef;
	if (X509_NAME_cmp(X509_get_subject_name(x), X509_get_issuer_name(x)) == 0)
		return false;
	if (!OBJ_find_sigid_algs(X509_get_signature_nid(x), &digest, NULL))
		return false;
	return digest == NID_md5 || digest == NID_sha1 || digest == NID_md5_sha1;
}

static bool ends(X509 *x, tick_t *out)
{
	struct tm tm;
	if (ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm) != 1)
		return false;
	*out = (tick_t)timegm(&tm) * TICKS_PER_SECOND;
	return true;
}

void health_cert_read(struct cert_facts *k, struct slice pem)
{
	BIO *b = pem.n <= 1 << 20 ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
	X509 *x;
	for (unsigned i = 0; b && (x = PEM_read_bio_X509(b, NULL, NULL, NULL)) != NULL; i++) {
		if (i == 0 && ends(x, &k->ends))
			k->known = KNOWN;
		k->weak = k->weak || is_weak(x);
		X509_free(x);
	}
	BIO_free(b);
	ERR_clear_error();
}
