/* t_langpack.c -- languages that share a value: each comes back whole, and no damage is believed. */
#include "store/langpack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/err.h"

static struct langpack pack;
static struct arena arena;

static int setup(void **state)
{
	(void)state;
	langpack_init(&pack);
	arena_init(&arena, (size_t)64 << 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	langpack_free(&pack);
	arena_free(&arena);
	return 0;
}

static char noise[LANGPACK_BLOCK + 1]; /* does not shrink */

static struct slice text_of(unsigned i, size_t n)
{
	return (struct slice){noise + i % (sizeof(noise) - n + 1), n};
}

static void fill_noise(void)
{
	unsigned seed = 7;
	for (size_t i = 0; i < sizeof(noise); i++) {
		seed = seed * 1103515245u + 12345u;
		noise[i] = (char)(seed >> 16);
	}
}

static struct slice name_of(unsigned i, char name[8])
{
	int n = snprintf(name, 8, "l%03u", i);
	return (struct slice){name, (size_t)n};
}

static void every_language_comes_back(void **state)
{
	(void)state;
	static const size_t sizes[] = {1, 100, 700, 3000, LANGPACK_BLOCK / 2, LANGPACK_BLOCK};
	char name[8];
	fill_noise();
	for (size_t s = 0; s < COUNTOF(sizes); s++) {
		unsigned n = 0;
		struct slice value, got;
		langpack_reset(&pack);
		while (langpack_add(&pack, name_of(n, name), text_of(n, sizes[s])))
			n++;
		assert_true(n >= LIMIT_DOC_LANGUAGES || (n + 1) * sizes[s] > LANGPACK_PLAIN);
		assert_int_equal(langpack_end(&pack, &value), E_OK);
		assert_true(value.n <= LIMIT_CHUNK);
		for (unsigned i = 0; i < n; i++) {
			assert_int_equal(langpack_find(value, name_of(i, name), &arena, &got), E_OK);
			assert_true(slice_eq(got, text_of(i, sizes[s])));
		}
		assert_int_equal(langpack_find(value, SL("l"), &arena, &got), E_NOTFOUND);
	}
}

static void what_is_too_long_is_refused(void **state)
{
	(void)state;
	static const char name[LIMIT_LOCALE + 1];
	assert_false(langpack_add(&pack, SL("de"), text_of(0, LANGPACK_BLOCK + 1)));
	assert_false(langpack_add(&pack, SL("de"), SL("")));
	assert_false(langpack_add(&pack, (struct slice){name, sizeof(name)}, SL("x")));
	assert_true(langpack_add(&pack, (struct slice){name, LIMIT_LOCALE}, SL("x")));
}

static int ignore(const struct language *l, void *arg)
{
	(void)l;
	(void)arg;
	return E_OK;
}

/* The value in memory of its own, so that sanitizers see a step beyond it. */
static int read_copy(const char *p, size_t n, struct slice locale)
{
	struct slice text, value = {malloc(n + !n), n};
	assert_non_null(value.p);
	memcpy((char *)(uintptr_t)value.p, p, n);
	int each = langpack_each(value, ignore, NULL), rc = langpack_find(value, locale, &arena, &text);
	if (each == E_OK)
		assert_true(rc == E_OK || rc == E_NOTFOUND || rc == E_CORRUPT);
	free((char *)(uintptr_t)value.p);
	arena_reset(&arena);
	return each;
}

static void damage_is_noticed(void **state)
{
	(void)state;
	struct slice value;
	char copy[512];
	assert_true(langpack_add(&pack, SL("de"), SL("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")));
	assert_true(langpack_add(&pack, SL("fr"), SL("bbbbbbbbbbbbbbbbbbbbbbbb")));
	assert_int_equal(langpack_end(&pack, &value), E_OK);
	assert_true(value.n < sizeof(copy));
	memcpy(copy, value.p, value.n);
	assert_int_equal(read_copy(copy, value.n, SL("fr")), E_OK);
	for (size_t n = 0; n < value.n; n++)
		assert_int_equal(read_copy(copy, n, SL("fr")), E_CORRUPT);
	copy[value.n] = 0;
	assert_int_equal(read_copy(copy, value.n + 1, SL("fr")), E_CORRUPT);
	for (size_t at = 0; at < value.n; at++)
		for (unsigned bit = 0; bit < 8; bit++) {
			copy[at] = (char)(copy[at] ^ 1 << bit);
			(void)read_copy(copy, value.n, SL("fr"));
			copy[at] = value.p[at];
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_language_comes_back, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_too_long_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(damage_is_noticed, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
