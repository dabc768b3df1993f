/* t_cookie.c -- the cookies of computers and of downstream servers keep every field, and nothing but a genuine one opens. */
#include "common/cookie.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOW (INT64_C(1700000000) * TICKS_PER_SECOND)

static const uint8_t secret[SEAL_MASTER] = "another secret of 32 bytes .....";
static struct sealer *s;

static struct client_id client(size_t n)
{
	struct client_id c = {.n = (uint8_t)n};
	for (size_t i = 0; i < n; i++)
		c.s[i] = "0123456789abcdef-"[i % 17];
	return c;
}

static const struct guid server = {{0xde, 0xad, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}};

static struct cookie sample(size_t n)
{
	return (struct cookie){server, 0x01020304, 0x1112131415161718, 0x2122232425262728, 1, 90, 0x3132333435363738,
		{0x41424344, 0x51525354, 0x61626364}, 0x71727374, 0x01828384, COOKIE_SCAN_OPEN,
		UINT64_C(0x9192939495969798), client(n)};
}

/* holds: WUSP-AUTHCOOKIE-13 WUSP-AUTHCOOKIE-15 */
/* partly: WUSP-AUTHCOOKIE-14 (the client id; groups are read from the store at each call) */
static void an_authorization_cookie_keeps_its_fields(void **state)
{
	(void)state;
	for (size_t n = 0; n <= LIMIT_CLIENT_ID; n++) {
		struct auth_cookie in = {server, 0x01020304, NOW, client(n)}, out;
		char sealed[COOKIE_MAX];
		size_t size = auth_cookie_seal(s, NOW, &in, sealed);
		assert_int_equal(size, 30 + n + SEAL_OVERHEAD);
		assert_int_equal(auth_cookie_open(s, (struct slice){sealed, size}, &out), E_OK);
		assert_int_equal(guid_cmp(&out.server, &in.server), 0);
		assert_int_equal(out.generation, in.generation);
		assert_true(out.issued == in.issued);
		assert_int_equal(out.client.n, n);
		assert_memory_equal(out.client.s, in.client.s, n);
		if (n > 8) /* opaque: nothing of it can be read */
			assert_null(memmem(sealed, size, in.client.s, n));
	}
}

/* holds: WUSP-COOKIE-10 WUSP-COOKIE-11 WUSP-COOKIE-12 */
static void a_cookie_keeps_its_fields(void **state)
{
	(void)state;
	for (size_t n = 0; n <= LIMIT_CLIENT_ID; n++) {
		struct cookie in = sample(n), out;
		char sealed[COOKIE_MAX];
		size_t size = cookie_seal(s, NOW, &in, sealed);
		assert_int_equal(size, 86 + n + SEAL_OVERHEAD);
		assert_int_equal(cookie_open(s, (struct slice){sealed, size}, &out), E_OK);
		assert_int_equal(guid_cmp(&out.server, &in.server), 0);
		assert_int_equal(out.generation, in.generation);
		assert_true(out.expires == in.expires && out.last_change == in.last_change);
		assert_int_equal(out.major, 1);
		assert_int_equal(out.minor, 90);
		assert_true(out.groups == in.groups);
		assert_memory_equal(out.point, in.point, sizeof(in.point));
		assert_int_equal(out.parked, in.parked);
		assert_int_equal(out.file_locations, in.file_locations);
		assert_int_equal(out.flags, in.flags);
		assert_true(out.installed == in.installed);
		assert_int_equal(out.client.n, n);
		assert_memory_equal(out.client.s, in.client.s, n);
	}
}

static void the_layout_is_as_documented(void **state)
{
	(void)state;
	static const char want[] = "\1" "\xde\xad\2\3\4\5\6\7\10\11\12\13\14\15\16\17" "\1\2\3\4"
		"\x11\x12\x13\x14\x15\x16\x17\x18" "\x21\x22\x23\x24\x25\x26\x27\x28" "\0\0\0\1" "\0\0\0\x5a"
		"\x31\x32\x33\x34\x35\x36\x37\x38" "\x41\x42\x43\x44" "\x51\x52\x53\x54" "\x61\x62\x63\x64" "\x71\x72\x73\x74"
		"\x01\x82\x83\x84" "\0\0\0\1" "\x91\x92\x93\x94\x95\x96\x97\x98" "\3" "012";
	char sealed[COOKIE_MAX], plain[COOKIE_MAX];
	struct cookie in = sample(3);
	size_t n, size = cookie_seal(s, NOW, &in, sealed);
	assert_int_equal(unseal(s, SEAL_CLIENT, (struct slice){sealed, size}, plain, &n), E_OK);
	assert_int_equal(n, sizeof(want) - 1);
	assert_memory_equal(plain, want, n);
}

/* holds: WUSP-COOKIE-18 WUSP-COOKIE-21 */
static void any_altered_byte_is_refused(void **state)
{
	(void)state;
	char sealed[COOKIE_MAX], auth[COOKIE_MAX];
	struct cookie in = sample(36), out;
	struct auth_cookie ain = {server, 1, NOW, client(36)}, aout;
	size_t n = cookie_seal(s, NOW, &in, sealed), m = auth_cookie_seal(s, NOW, &ain, auth);
	for (size_t i = 0; i < n; i++)
		for (int x = 1; x < 256; x++) {
			sealed[i] ^= (char)x;
			assert_int_equal(cookie_open(s, (struct slice){sealed, n}, &out), E_INVALID_COOKIE);
			sealed[i] ^= (char)x;
		}
	for (size_t i = 0; i < m; i++)
		for (int x = 1; x < 256; x++) {
			auth[i] ^= (char)x;
			assert_int_equal(auth_cookie_open(s, (struct slice){auth, m}, &aout), E_INVALID_AUTH_COOKIE);
			auth[i] ^= (char)x;
		}
	for (size_t k = 0; k < n; k++)
		assert_int_equal(cookie_open(s, (struct slice){sealed, k}, &out), E_INVALID_COOKIE);
	assert_int_equal(cookie_open(s, SL0, &out), E_INVALID_COOKIE);
	assert_int_equal(cookie_open(s, (struct slice){sealed, n}, &out), E_OK);
}

static void one_cookie_is_not_the_other(void **state)
{
	(void)state;
	char sealed[COOKIE_MAX];
	struct cookie in = sample(48), out;
	struct auth_cookie ain = {server, 1, NOW, client(96)}, aout;
	size_t n = cookie_seal(s, NOW, &in, sealed);
	assert_int_equal(auth_cookie_open(s, (struct slice){sealed, n}, &aout), E_INVALID_AUTH_COOKIE);
	n = auth_cookie_seal(s, NOW, &ain, sealed);
	assert_int_equal(cookie_open(s, (struct slice){sealed, n}, &out), E_INVALID_COOKIE);
}

/* Genuinely sealed, but not what this version writes. */
static void other_layouts_are_refused(void **state)
{
	(void)state;
	char sealed[COOKIE_MAX], plain[COOKIE_MAX];
	struct cookie in = sample(5), out;
	size_t n, size = cookie_seal(s, NOW, &in, sealed);
	assert_int_equal(unseal(s, SEAL_CLIENT, (struct slice){sealed, size}, plain, &n), E_OK);
	static const struct {
		size_t at;
		char value;
		int more;
	} bad[] = {{0, 2, 0}, {0, 0, 0}, {85, 4, 0}, {85, 6, 0}, {85, (char)255, 0}, {0, 1, 1}, {0, 1, -1}, {0, 1, -6}, {0, 1, -91}};
	for (size_t i = 0; i < COUNTOF(bad); i++) {
		char kept = plain[bad[i].at];
		plain[bad[i].at] = bad[i].value;
		size_t m = (size_t)((int)n + bad[i].more);
		assert_int_equal(seal(s, SEAL_CLIENT, NOW, plain, m, sealed), E_OK);
		assert_int_equal(cookie_open(s, (struct slice){sealed, m + SEAL_OVERHEAD}, &out), E_INVALID_COOKIE);
		plain[bad[i].at] = kept;
	}
}

/* ---- downstream servers ---- */

static const struct guid dss = {{0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf}};

static struct dss_auth_cookie dss_auth_sample(void)
{
	return (struct dss_auth_cookie){server, 0x01020304, 0x1112131415161718, 0x21222324, dss};
}

static struct dss_cookie dss_sample(void)
{
	return (struct dss_cookie){server, 0x01020304, 0x1112131415161718, 1, 20, 0x21222324, dss};
}

/* holds: WSUSSS-AUTHCOOKIE-11 WSUSSS-AUTHCOOKIE-12 */
static void a_downstream_server_s_authorization_cookie_keeps_its_fields(void **state)
{
	(void)state;
	struct dss_auth_cookie in = dss_auth_sample(), out;
	char sealed[COOKIE_MAX];
	size_t n = dss_auth_cookie_seal(s, NOW, &in, sealed);
	assert_int_equal(n, 49 + SEAL_OVERHEAD);
	assert_int_equal(dss_auth_cookie_open(s, (struct slice){sealed, n}, &out), E_OK);
	assert_int_equal(guid_cmp(&out.server, &in.server), 0);
	assert_int_equal(out.generation, in.generation);
	assert_true(out.expires == in.expires);
	assert_int_equal(out.group, in.group);
	assert_int_equal(guid_cmp(&out.dss, &in.dss), 0);
	assert_null(memmem(sealed, n, dss.b, sizeof(dss.b))); /* opaque */
}

/* holds: WSUSSS-COOKIE-14 */
static void a_downstream_server_s_cookie_keeps_its_fields(void **state)
{
	(void)state;
	struct dss_cookie in = dss_sample(), out;
	char sealed[COOKIE_MAX];
	size_t n = dss_cookie_seal(s, NOW, &in, sealed);
	assert_int_equal(n, 57 + SEAL_OVERHEAD);
	assert_int_equal(dss_cookie_open(s, (struct slice){sealed, n}, &out), E_OK);
	assert_int_equal(guid_cmp(&out.server, &in.server), 0);
	assert_int_equal(out.generation, in.generation);
	assert_true(out.expires == in.expires);
	assert_int_equal(out.major, 1);
	assert_int_equal(out.minor, 20);
	assert_int_equal(out.group, in.group);
	assert_int_equal(guid_cmp(&out.dss, &in.dss), 0);
	assert_null(memmem(sealed, n, dss.b, sizeof(dss.b)));
}

static void the_layouts_for_downstream_servers_are_as_documented(void **state)
{
	(void)state;
#define HEAD "\1" "\xde\xad\2\3\4\5\6\7\10\11\12\13\14\15\16\17" "\1\2\3\4" "\x11\x12\x13\x14\x15\x16\x17\x18"
#define TAIL "\x21\x22\x23\x24" "\xa0\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8\xa9\xaa\xab\xac\xad\xae\xaf"
	static const char auth[] = HEAD TAIL, cookie[] = HEAD "\0\0\0\1" "\0\0\0\x14" TAIL;
	char sealed[COOKIE_MAX], plain[COOKIE_MAX];
	struct dss_auth_cookie a = dss_auth_sample();
	struct dss_cookie k = dss_sample();
	size_t n, size = dss_auth_cookie_seal(s, NOW, &a, sealed);
	assert_int_equal(unseal(s, SEAL_DSS_AUTH, (struct slice){sealed, size}, plain, &n), E_OK);
	assert_int_equal(n, sizeof(auth) - 1);
	assert_memory_equal(plain, auth, n);
	size = dss_cookie_seal(s, NOW, &k, sealed);
	assert_int_equal(unseal(s, SEAL_DSS, (struct slice){sealed, size}, plain, &n), E_OK);
	assert_int_equal(n, sizeof(cookie) - 1);
	assert_memory_equal(plain, cookie, n);
}

/* holds: WSUSSS-COOKIE-22 WSUSSS-COOKIE-07 */
static void any_altered_byte_of_a_downstream_server_is_refused(void **state)
{
	(void)state;
	char sealed[COOKIE_MAX], auth[COOKIE_MAX];
	struct dss_cookie in = dss_sample(), out;
	struct dss_auth_cookie ain = dss_auth_sample(), aout;
	size_t n = dss_cookie_seal(s, NOW, &in, sealed), m = dss_auth_cookie_seal(s, NOW, &ain, auth);
	for (size_t i = 0; i < n; i++)
		for (int x = 1; x < 256; x++) {
			sealed[i] ^= (char)x;
			assert_int_equal(dss_cookie_open(s, (struct slice){sealed, n}, &out), E_INVALID_COOKIE);
			sealed[i] ^= (char)x;
		}
	for (size_t i = 0; i < m; i++)
		for (int x = 1; x < 256; x++) {
			auth[i] ^= (char)x;
			assert_int_equal(dss_auth_cookie_open(s, (struct slice){auth, m}, &aout), E_INVALID_AUTH_COOKIE);
			auth[i] ^= (char)x;
		}
	for (size_t k = 0; k < n; k++)
		assert_int_equal(dss_cookie_open(s, (struct slice){sealed, k}, &out), E_INVALID_COOKIE);
	for (size_t k = 0; k < m; k++)
		assert_int_equal(dss_auth_cookie_open(s, (struct slice){auth, k}, &aout), E_INVALID_AUTH_COOKIE);
	assert_int_equal(dss_cookie_open(s, (struct slice){sealed, n}, &out), E_OK);
	assert_int_equal(dss_auth_cookie_open(s, (struct slice){auth, m}, &aout), E_OK);
}

/* Does any reader but that of `purpose` (0: none) take these bytes? */
static void only_its_own_reader_opens(enum seal_purpose purpose, const char *sealed, size_t n)
{
	struct slice all = {sealed, n};
	struct auth_cookie a;
	struct cookie k;
	struct dss_auth_cookie da;
	struct dss_cookie dk;
	assert_int_equal(auth_cookie_open(s, all, &a), purpose == SEAL_CLIENT_AUTH ? E_OK : E_INVALID_AUTH_COOKIE);
	assert_int_equal(cookie_open(s, all, &k), purpose == SEAL_CLIENT ? E_OK : E_INVALID_COOKIE);
	assert_int_equal(dss_auth_cookie_open(s, all, &da), purpose == SEAL_DSS_AUTH ? E_OK : E_INVALID_AUTH_COOKIE);
	assert_int_equal(dss_cookie_open(s, all, &dk), purpose == SEAL_DSS ? E_OK : E_INVALID_COOKIE);
}

/* The four purposes are worlds apart, also where plaintexts have the same length and form. */
static void none_of_the_four_is_another(void **state)
{
	(void)state;
	char sealed[COOKIE_MAX], plain[COOKIE_MAX];
	struct auth_cookie a = {server, 1, NOW, client(19)}; /* 49 bytes, as a downstream server's */
	struct cookie k = sample(36);
	struct dss_auth_cookie da = dss_auth_sample();
	struct dss_cookie dk = dss_sample();
	only_its_own_reader_opens(SEAL_CLIENT_AUTH, sealed, auth_cookie_seal(s, NOW, &a, sealed));
	only_its_own_reader_opens(SEAL_CLIENT, sealed, cookie_seal(s, NOW, &k, sealed));
	only_its_own_reader_opens(SEAL_DSS_AUTH, sealed, dss_auth_cookie_seal(s, NOW, &da, sealed));
	size_t n, size = dss_cookie_seal(s, NOW, &dk, sealed);
	only_its_own_reader_opens(SEAL_DSS, sealed, size);
	assert_int_equal(unseal(s, SEAL_DSS, (struct slice){sealed, size}, plain, &n), E_OK);
	assert_int_equal(seal(s, SEAL_DSS_AUTH, NOW, plain, n, sealed), E_OK);
	only_its_own_reader_opens((enum seal_purpose)0, sealed, n + SEAL_OVERHEAD);
}

/* Genuinely sealed, but of another version or length. */
static void other_layouts_for_downstream_servers_are_refused(void **state)
{
	(void)state;
	char sealed[COOKIE_MAX], plain[COOKIE_MAX] = {1};
	struct dss_auth_cookie a;
	struct dss_cookie k;
	for (size_t n = 0; n < 80; n++) {
		assert_int_equal(seal(s, SEAL_DSS, NOW, plain, n, sealed), E_OK);
		assert_int_equal(dss_cookie_open(s, (struct slice){sealed, n + SEAL_OVERHEAD}, &k), n == 57 ? E_OK : E_INVALID_COOKIE);
		assert_int_equal(seal(s, SEAL_DSS_AUTH, NOW, plain, n, sealed), E_OK);
		assert_int_equal(dss_auth_cookie_open(s, (struct slice){sealed, n + SEAL_OVERHEAD}, &a),
			n == 49 ? E_OK : E_INVALID_AUTH_COOKIE);
	}
	for (int version = 0; version < 256; version++) {
		plain[0] = (char)version;
		assert_int_equal(seal(s, SEAL_DSS, NOW, plain, 57, sealed), E_OK);
		assert_int_equal(dss_cookie_open(s, (struct slice){sealed, 57 + SEAL_OVERHEAD}, &k), version == 1 ? E_OK : E_INVALID_COOKIE);
		assert_int_equal(seal(s, SEAL_DSS_AUTH, NOW, plain, 49, sealed), E_OK);
		assert_int_equal(dss_auth_cookie_open(s, (struct slice){sealed, 49 + SEAL_OVERHEAD}, &a),
			version == 1 ? E_OK : E_INVALID_AUTH_COOKIE);
	}
}

static int open_sealer(void **state)
{
	(void)state;
	return seal_open_secret(&s, secret, NULL);
}

static int close_sealer(void **state)
{
	(void)state;
	seal_close(&s);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_authorization_cookie_keeps_its_fields),
		cmocka_unit_test(a_cookie_keeps_its_fields),
		cmocka_unit_test(the_layout_is_as_documented),
		cmocka_unit_test(any_altered_byte_is_refused),
		cmocka_unit_test(one_cookie_is_not_the_other),
		cmocka_unit_test(other_layouts_are_refused),
		cmocka_unit_test(a_downstream_server_s_authorization_cookie_keeps_its_fields),
		cmocka_unit_test(a_downstream_server_s_cookie_keeps_its_fields),
		cmocka_unit_test(the_layouts_for_downstream_servers_are_as_documented),
		cmocka_unit_test(any_altered_byte_of_a_downstream_server_is_refused),
		cmocka_unit_test(none_of_the_four_is_another),
		cmocka_unit_test(other_layouts_for_downstream_servers_are_refused),
	};
	return cmocka_run_group_tests(tests, open_sealer, close_sealer);
}
