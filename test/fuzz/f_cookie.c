/* f_cookie.c -- no bytes but genuine ones open as a cookie; a genuine plaintext of any form is taken apart
 * within its bounds and, when accepted, seals to the same plaintext again. */
#include "common/cookie.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t secret[SEAL_MASTER] = "the secret of a fuzz target ....";

/* The input as the plaintext of a genuine seal: what a bug of ours, or an older version, could have sealed. */
static void reopen(struct sealer *s, const uint8_t *data, size_t size)
{
	char sealed[LIMIT_COOKIE], again[COOKIE_MAX], plain[LIMIT_COOKIE];
	struct cookie c;
	size_t n;
	if (size + SEAL_OVERHEAD > sizeof(sealed))
		return;
	ASSERT(seal(s, SEAL_CLIENT, 0, data, size, sealed) == E_OK);
	if (cookie_open(s, (struct slice){sealed, size + SEAL_OVERHEAD}, &c) != E_OK)
		return;
	n = cookie_seal(s, 0, &c, again);
	ASSERT(n == size + SEAL_OVERHEAD);
	ASSERT(unseal(s, SEAL_CLIENT, (struct slice){again, n}, plain, &n) == E_OK);
	ASSERT(n == size && memcmp(plain, data, size) == 0);
}

/* The same of both of a downstream server. */
static void reopen_dss(struct sealer *s, const uint8_t *data, size_t size)
{
	char sealed[LIMIT_COOKIE], again[COOKIE_MAX], plain[LIMIT_COOKIE];
	struct dss_cookie c;
	struct dss_auth_cookie a;
	size_t n;
	if (size + SEAL_OVERHEAD > sizeof(sealed))
		return;
	struct slice all = {sealed, size + SEAL_OVERHEAD};
	ASSERT(seal(s, SEAL_DSS, 0, data, size, sealed) == E_OK);
	if (dss_cookie_open(s, all, &c) == E_OK) {
		n = dss_cookie_seal(s, 0, &c, again);
		ASSERT(unseal(s, SEAL_DSS, (struct slice){again, n}, plain, &n) == E_OK && n == size && memcmp(plain, data, n) == 0);
	}
	ASSERT(seal(s, SEAL_DSS_AUTH, 0, data, size, sealed) == E_OK);
	if (dss_auth_cookie_open(s, all, &a) == E_OK) {
		n = dss_auth_cookie_seal(s, 0, &a, again);
		ASSERT(unseal(s, SEAL_DSS_AUTH, (struct slice){again, n}, plain, &n) == E_OK && n == size && memcmp(plain, data, n) == 0);
	}
}

static bool lay_over(char *sealed, size_t n, const uint8_t *data, size_t size)
{
	bool changed = false;
	for (size_t i = 0; i < n && i < size; i++) {
		changed |= data[i] != 0;
		sealed[i] ^= (char)data[i];
	}
	return changed;
}

/* A genuine cookie with the input laid over it, wherever it differs. */
static void overlay(struct sealer *s, const uint8_t *data, size_t size)
{
	char sealed[COOKIE_MAX];
	struct cookie c = {.generation = 1, .client = {4, "abcd"}}, out;
	struct dss_cookie d = {.generation = 1, .major = 1, .minor = 20}, dout;
	size_t n = cookie_seal(s, 0, &c, sealed);
	bool changed = lay_over(sealed, n, data, size);
	ASSERT(cookie_open(s, (struct slice){sealed, n}, &out) == (changed ? E_INVALID_COOKIE : E_OK));
	n = dss_cookie_seal(s, 0, &d, sealed);
	changed = lay_over(sealed, n, data, size);
	ASSERT(dss_cookie_open(s, (struct slice){sealed, n}, &dout) == (changed ? E_INVALID_COOKIE : E_OK));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sealer *s;
	struct cookie c;
	struct auth_cookie a;
	struct dss_cookie d;
	struct dss_auth_cookie da;
	struct slice all = {(const char *)data, size};
	if (!s)
		ASSERT(seal_open_secret(&s, secret, NULL) == E_OK);
	ASSERT(cookie_open(s, all, &c) == E_INVALID_COOKIE);
	ASSERT(auth_cookie_open(s, all, &a) == E_INVALID_AUTH_COOKIE);
	ASSERT(dss_cookie_open(s, all, &d) == E_INVALID_COOKIE);
	ASSERT(dss_auth_cookie_open(s, all, &da) == E_INVALID_AUTH_COOKIE);
	reopen(s, data, size);
	reopen_dss(s, data, size);
	overlay(s, data, size);
	return 0;
}
