/* t_anchor.c -- anchors are written in the product's form, and nothing else is read as one. */
#include "common/anchor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/text.h"

#define MS (TICKS_PER_SECOND / 1000)

static tick_t at(const char *text)
{
	tick_t t;
	assert_true(text_time(slice_of(text), &t));
	return t;
}

/* holds: WSUSSS-CONFIGDATA-17 */
static void an_anchor_is_written_as_the_product_writes_it(void **state)
{
	(void)state;
	static const struct {
		uint32_t point;
		const char *began, *want;
	} good[] = {
		{9438, "2026-10-04T16:33:26.668Z", "9438,2026-10-04 16:33:26.668"},
		{1, "2026-01-02T03:04:05Z", "1,2026-01-02 03:04:05.000"},
		{0, "2026-01-02T03:04:05Z", "0,2026-01-02 03:04:05.000"},
		{10, "2000-02-29T23:59:59.999Z", "10,2000-02-29 23:59:59.999"},
		{2147483647, "9999-12-31T23:59:59.999Z", "2147483647,9999-12-31 23:59:59.999"},
		{7, "1970-01-01T00:00:00Z", "7,1970-01-01 00:00:00.000"},
		{7, "1969-12-31T23:59:59.999Z", "7,1969-12-31 23:59:59.999"},
		{7, "0001-01-01T00:00:00Z", "7,0001-01-01 00:00:00.000"},
	};
	for (size_t i = 0; i < COUNTOF(good); i++) {
		struct anchor in = {good[i].point, at(good[i].began)}, out = {0};
		char text[ANCHOR_MAX];
		size_t n = anchor_text(&in, text);
		assert_string_equal(text, good[i].want);
		assert_int_equal(n, strlen(good[i].want));
		assert_true(anchor_read(slice_of(text), &out));
		assert_int_equal(out.point, in.point);
		assert_true(out.began == in.began);
	}
}

static void what_is_not_of_the_form_is_no_anchor(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"", ",", "garbage", "1", "1,", ",2026-01-02 03:04:05.000", "00,2026-01-02 03:04:05.000", "-1,2026-01-02 03:04:05.000",
		"+1,2026-01-02 03:04:05.000", "01,2026-01-02 03:04:05.000", " 1,2026-01-02 03:04:05.000",
		"1,2026-01-02 03:04:05.000 ", "1, 2026-01-02 03:04:05.000", "1 ,2026-01-02 03:04:05.000",
		"2147483648,2026-01-02 03:04:05.000", "99999999999999999999,2026-01-02 03:04:05.000",
		"1,2026-01-02T03:04:05.000", "1,2026-01-02 03:04:05.00Z", "1,2026-01-02 03:04:05,000", "1,2026-01-02 03:04:05.00",
		"1,2026-01-02 03:04:05.0000", "1,2026-01-02 03:04:05", "1,2026-13-02 03:04:05.000", "1,2026-02-29 03:04:05.000",
		"1,2026-01-00 03:04:05.000", "1,2026-01-02 24:00:00.000", "1,2026-01-02 03:60:05.000", "1,2026-01-02 03:04:60.000",
		"1,0000-01-02 03:04:05.000", "1,2026-01-02 03:04-05:00", "1,2026-01-02 03:04:05+01", "1,2026-1-02 03:04:005.000",
		"1,1,2026-01-02 03:04:05.000", "2026-10-05 17:27:44.393", "x,2026-01-02 03:04:05.000", "1;2026-01-02 03:04:05.000",
		"1,2026-01-02 03:04:05.0x0", "1,\xff\xff\xff\xff-01-02 03:04:05.000",
	};
	struct anchor out;
	for (size_t i = 0; i < COUNTOF(bad); i++)
		if (anchor_read(slice_of(bad[i]), &out))
			fail_msg("read as an anchor: %s", bad[i]);
	assert_false(anchor_read(SL0, &out));
	assert_false(anchor_read(SL("1,2026-01-02 03:04:05.000\0"), &out));
	assert_true(anchor_read(SL("1,2026-01-02 03:04:05.000"), &out));
}

/* Every byte counts: none can be another without the anchor being another, or none. */
static void each_byte_says_something(void **state)
{
	(void)state;
	struct anchor in = {2147483647, at("2026-11-28T12:34:56.789Z")}, out;
	char text[ANCHOR_MAX];
	size_t n = anchor_text(&in, text);
	assert_int_equal(n, 34);
	for (size_t i = 0; i < n; i++)
		for (int x = 1; x < 256; x++) {
			text[i] ^= (char)x;
			if (anchor_read((struct slice){text, n}, &out))
				assert_true(out.point != in.point || out.began != in.began);
			text[i] ^= (char)x;
		}
	for (size_t k = 0; k < n; k++)
		assert_false(anchor_read((struct slice){text, k}, &out));
}

/* Below the millisecond nothing is written: whoever compares cuts first. */
static void a_time_is_cut_to_the_millisecond(void **state)
{
	(void)state;
	struct anchor in = {3, at("2026-11-28T12:34:56.7899999Z")}, out;
	char text[ANCHOR_MAX];
	anchor_text(&in, text);
	assert_string_equal(text, "3,2026-11-28 12:34:56.789");
	assert_true(anchor_read(slice_of(text), &out));
	assert_true(out.began == in.began / MS * MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_anchor_is_written_as_the_product_writes_it),
		cmocka_unit_test(what_is_not_of_the_form_is_no_anchor),
		cmocka_unit_test(each_byte_says_something),
		cmocka_unit_test(a_time_is_cut_to_the_millisecond),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
