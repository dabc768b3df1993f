/* t_digest.c -- digests of FIPS 180-4's examples, in portions, one after the other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/arena.h"
#include "common/digest.h"
#include "common/text.h"

static const char *hex_of(struct digest *d, struct slice a, struct slice b, size_t size)
{
	static char hex[65];
	uint8_t out[32];
	digest_start(d);
	digest_add(d, a);
	digest_add(d, b);
	assert_true(digest_end(d, out));
	hex_text(out, size, false, hex);
	hex[2 * size] = 0;
	return hex;
}

static void test_examples(void **state)
{
	(void)state;
	struct digest *one = digest_new(DIGEST_SHA1), *two = digest_new(DIGEST_SHA256);
	assert_string_equal(hex_of(one, SL("a"), SL("bc"), 20), "a9993e364706816aba3e25717850c26c9cd0d89d");
	assert_string_equal(hex_of(two, SL("ab"), SL("c"), 32),
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_string_equal(hex_of(one, SL(""), SL(""), 20), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
	assert_string_equal(hex_of(two, SL(""), SL(""), 32),
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	digest_free(&one);
	digest_free(&two);
	assert_null(one);
}

/* What was added to a digest that nobody started must not pass for one. */
static void test_not_started(void **state)
{
	(void)state;
	uint8_t out[32];
	struct digest *d = digest_new(DIGEST_SHA256);
	digest_add(d, SL("abc"));
	assert_false(digest_end(d, out));
	digest_free(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples),
		cmocka_unit_test(test_not_started),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
