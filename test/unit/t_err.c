/* t_err.c -- results keep their code and gather their words on the way up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "common/err.h"

static void a_place_goes_before_the_words(void **state)
{
	struct err e = {0};
	int rc = err_set(&e, E_LIMIT, "more than %d", 7);
	(void)state;
	assert_int_equal(err_at(&e, rc, "line %d: ", 3), E_LIMIT);
	assert_int_equal(err_at(&e, rc, "%s: ", "file"), E_LIMIT);
	assert_string_equal(e.text, "file: line 3: more than 7");
	assert_int_equal(e.code, E_LIMIT);
}

/* Words of an earlier failure are not taken for this one's, and success says nothing. */
static void a_result_without_words_gets_its_name(void **state)
{
	struct err e = {0};
	(void)state;
	err_set(&e, E_EXISTS, "old words");
	assert_int_equal(err_at(&e, E_CORRUPT, "row 1: "), E_CORRUPT);
	assert_string_equal(e.text, "row 1: the store contradicts itself");
	assert_int_equal(e.code, E_CORRUPT);
	assert_int_equal(err_at(&e, E_OK, "row 2: "), E_OK);
	assert_string_equal(e.text, "row 1: the store contradicts itself");
}

static void nobody_needs_to_listen(void **state)
{
	(void)state;
	errno = ENOSPC;
	assert_int_equal(err_errno(NULL, "x"), E_FULL);
	assert_int_equal(err_set(NULL, E_BUSY, "x"), E_BUSY);
	assert_int_equal(err_at(NULL, E_BUSY, "x"), E_BUSY);
	assert_int_equal(err_at(NULL, E_OK, "x"), E_OK);
}

static void long_words_are_cut(void **state)
{
	struct err e;
	(void)state;
	err_set(&e, E_IO, "%0600d", 1);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	err_at(&e, E_IO, "%0300d", 1);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
}

static void every_code_has_words_and_unknown_ones_are_our_fault(void **state)
{
	(void)state;
	for (int rc = 0; rc < E__MAX; rc++)
		assert_true(err_name(rc)[0]);
	assert_string_equal(err_fault(E_INVALID_COOKIE), "InvalidCookie");
	assert_null(err_fault(E_FORM));
	assert_string_equal(err_fault(E__MAX), "InternalServerError");
	assert_string_equal(err_name(-1), "unknown result");
	assert_true(err_is_ours(-1) && err_is_ours(E__MAX) && !err_is_ours(E_INVALID_COOKIE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_place_goes_before_the_words),
		cmocka_unit_test(a_result_without_words_gets_its_name),
		cmocka_unit_test(nobody_needs_to_listen),
		cmocka_unit_test(long_words_are_cut),
		cmocka_unit_test(every_code_has_words_and_unknown_ones_are_our_fault),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
