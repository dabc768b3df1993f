/* digest.c -- see digest.h. */
#include "common/digest.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "common/arena.h"

struct digest {
	EVP_MD_CTX *ctx;
	const EVP_MD *md;
	bool bad;
};

struct digest *digest_new(enum digest_kind kind)
{
	struct digest *d = alloc_should_fail() ? NULL : calloc(1, sizeof(*d));
	if (!d)
		return NULL;
	d->md = kind == DIGEST_SHA1 ? EVP_sha1() : EVP_sha256();
	d->ctx = EVP_MD_CTX_new();
	d->bad = true; /* until it is started */
	if (!d->ctx)
		digest_free(&d);
	return d;
}

void digest_free(struct digest **d)
{
	if (*d)
		EVP_MD_CTX_free((*d)->ctx);
	free(*d);
	*d = NULL;
}

void digest_start(struct digest *d)
{
	d->bad = EVP_DigestInit_ex(d->ctx, d->md, NULL) != 1;
}

void digest_add(struct digest *d, struct slice s)
{
	if (!d->bad)
		d->bad = EVP_DigestUpdate(d->ctx, s.p, s.n) != 1;
}

bool digest_end(struct digest *d, void *out)
{
	return !d->bad && EVP_DigestFinal_ex(d->ctx, out, NULL) == 1;
}
