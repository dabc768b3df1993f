/* t_selcache.c -- what is kept comes back as it was; what was not used for longest goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/arena.h"
#include "store/selcache.h"

enum { WORDS = 3000 };
static struct selcache *c;
static struct arena a;
static uint64_t base[WORDS];

static int setup(void **state)
{
	(void)state;
	arena_init(&a, 1 << 20);
	for (uint64_t i = 0; i < WORDS; i++)
		base[i] = i * UINT64_C(0x9e3779b97f4a7c15);
	c = calloc(1, sizeof(*c));
	return c ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	selcache_drop(c);
	free(c);
	arena_free(&a);
	return 0;
}

static struct selection_key group(uint32_t no)
{
	return (struct selection_key){.groups = {.no = {no}, .n = 1, .hash = no % 7}}; /* hashes may meet */
}

static bool kept(const struct selection_key *k, const uint64_t *want)
{
	const uint64_t *got;
	int rc = selcache_get(c, k, base, WORDS, &a, &got);
	if (rc == E_OK)
		assert_memory_equal(got, want, sizeof(base));
	arena_reset(&a);
	return rc == E_OK;
}

static void selections_come_back_as_they_were(void **state)
{
	(void)state;
	static uint64_t near[WORDS], far[WORDS], none[WORDS];
	struct selection_key k[] = {group(1), group(8), group(15), group(22)};
	const uint64_t *bits[] = {base, near, far, none}, *got;
	memcpy(near, base, sizeof(base));
	near[0] ^= 5;
	near[WORDS - 1] ^= UINT64_C(1) << 63;
	far[17] = 3;
	for (size_t i = 0; i < COUNTOF(k); i++)
		selcache_add(c, &k[i], bits[i], base, WORDS);
	for (size_t i = 0; i < COUNTOF(k); i++)
		assert_true(kept(&k[i], bits[i]));
	assert_int_equal(selcache_get(c, &k[0], base, WORDS, &a, &got), E_OK);
	assert_ptr_equal(got, base);
	assert_true(c->part[0].bytes < 4096);
	selcache_drop(c);
	assert_false(kept(&k[0], base));
	assert_int_equal(c->part[0].bytes, 0);
}

static void each_part_of_a_key_counts(void **state)
{
	(void)state;
	static uint64_t bits[WORDS];
	static const uint32_t filter[] = {3, 4};
	struct selection_key k = {.groups = {.no = {5, 1}, .distance = {0, 1}, .n = 2}, .filtered = true, .filter = filter, .nfilter = 2};
	struct selection_key other[] = {k, k, k, k, k};
	other[0].groups.distance[1] = 2;
	other[1].groups.no[0] = 6;
	other[2].scope = SCOPE_APPROVED;
	other[3].nfilter = 1;
	other[4].filtered = false;
	other[4].nfilter = 0;
	bits[1] = 9;
	selcache_add(c, &k, bits, base, WORDS);
	for (size_t i = 0; i < COUNTOF(other); i++)
		assert_false(kept(&other[i], bits));
	assert_true(kept(&k, bits));
}

/* Selections as far from both as can be: bytes run out before places do. */
static void the_bytes_are_bounded_and_the_longest_unused_goes(void **state)
{
	(void)state;
	static uint64_t bits[WORDS];
	enum { MANY = 100 };
	struct selection_key first = group(1000), filtered = {.filtered = true};
	for (size_t i = 0; i < WORDS; i++)
		bits[i] = ~base[i];
	selcache_add(c, &filtered, bits, base, WORDS);
	selcache_add(c, &first, bits, base, WORDS);
	size_t one = c->part[0].bytes;
	for (uint32_t i = 0; i < MANY; i++) {
		struct selection_key k = group(i);
		bits[0] = i;
		selcache_add(c, &k, bits, base, WORDS);
		assert_true(kept(&k, bits));
		bits[0] = ~base[0];
		assert_true(kept(&first, bits));
		assert_true(c->part[0].bytes <= LIMIT_SELECTION_BYTES);
	}
	assert_true(c->part[0].bytes > LIMIT_SELECTION_BYTES - one);
	struct selection_key gone = group(0), here = group(MANY - 1);
	assert_false(kept(&gone, bits));
	bits[0] = MANY - 1;
	assert_true(kept(&here, bits));
	bits[0] = ~base[0];
	assert_true(kept(&filtered, bits));
}

static void without_memory_nothing_is_kept(void **state)
{
	(void)state;
	struct selection_key k = group(1);
	alloc_fail_at = 1;
	selcache_add(c, &k, base, base, WORDS);
	alloc_fail_at = 0;
	assert_false(kept(&k, base));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(selections_come_back_as_they_were),
		T(each_part_of_a_key_counts),
		T(the_bytes_are_bounded_and_the_longest_unused_goes),
		T(without_memory_nothing_is_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
