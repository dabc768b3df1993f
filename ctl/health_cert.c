/* health_cert.c -- what a certificate says of itself: when it ends, how it is signed, and for whom it is. */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <time.h>

#include "common/text.h"
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

static BIO *open_pem(struct slice pem)
{
	return pem.n <= 1 << 20 ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
}

static X509 *read_first(struct slice pem)
{
	BIO *b = open_pem(pem);
	X509 *x = b ? PEM_read_bio_X509(b, NULL, NULL, NULL) : NULL;
	BIO_free(b);
	ERR_clear_error();
	return x;
}

void health_cert_read(struct cert_facts *k, struct slice pem)
{
	BIO *b = open_pem(pem);
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

unsigned health_cert_print(struct slice pem, char out[65])
{
	BIO *b = open_pem(pem);
	unsigned n = 0, bytes = 0;
	unsigned char digest[EVP_MAX_MD_SIZE];
	X509 *x;
	out[0] = 0;
	for (; b && (x = PEM_read_bio_X509(b, NULL, NULL, NULL)) != NULL; n++) {
		if (n == 0 && X509_digest(x, EVP_sha256(), digest, &bytes) == 1 && bytes == 32)
			hex_text(digest, bytes, true, out);
		X509_free(x);
	}
	BIO_free(b);
	ERR_clear_error();
	return n;
}

/* ---- for whom it is ---- */

/* 0: for nobody else; more: better for others. */
static int rank_name(struct slice name)
{
	if (name.n == 0 || name.p[0] == '*' || text_starts(name, SL("localhost")))
		return 0;
	return memchr(name.p, '.', name.n) ? 3 : 2;
}

/* An address as text; 0 for those of loopback. */
static int rank_address(const unsigned char *p, int n, char text[INET6_ADDRSTRLEN])
{
	static const unsigned char loopback[16] = {[15] = 1};
	if ((n != 4 && n != 16) || !inet_ntop(n == 4 ? AF_INET : AF_INET6, p, text, INET6_ADDRSTRLEN))
		return 0;
	return (n == 4 && p[0] == 127) || (n == 16 && memcmp(p, loopback, 16) == 0) ? 0 : 1;
}

static int take_name(const GENERAL_NAME *g, char address[INET6_ADDRSTRLEN], struct slice *name)
{
	int type, rank = 0;
	const ASN1_STRING *v = GENERAL_NAME_get0_value(g, &type);
	if (type == GEN_DNS) {
		*name = (struct slice){(const char *)ASN1_STRING_get0_data(v), (size_t)ASN1_STRING_length(v)};
		rank = rank_name(*name);
	} else if (type == GEN_IPADD) {
		rank = rank_address(ASN1_STRING_get0_data(v), ASN1_STRING_length(v), address);
		*name = slice_of(address);
	}
	return rank;
}

static bool best_name(const GENERAL_NAMES *all, struct arena *a, struct slice *out)
{
	int best = 0;
	for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
		char address[INET6_ADDRSTRLEN] = "";
		struct slice name = SL0;
		int rank = take_name(sk_GENERAL_NAME_value(all, i), address, &name);
		if (rank > best) {
			best = rank;
			*out = arena_copy(a, name);
		}
	}
	return best > 0 && out->p;
}

bool health_cert_name(struct slice pem, struct arena *a, struct slice *out)
{
	X509 *x = read_first(pem);
	GENERAL_NAMES *all = x ? X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL) : NULL;
	bool found = all && best_name(all, a, out);
	GENERAL_NAMES_free(all);
	X509_free(x);
	return found;
}

bool health_cert_is_unserved(struct slice file, struct slice served, const char *host)
{
	X509 *mine = read_first(file), *seen = read_first(served);
	bool differs = mine && seen && X509_cmp(mine, seen) != 0 &&
		(X509_check_host(mine, host, 0, 0, NULL) == 1 || X509_check_ip_asc(mine, host, 0) == 1);
	X509_free(mine);
	X509_free(seen);
	ERR_clear_error();
	return differs;
}
