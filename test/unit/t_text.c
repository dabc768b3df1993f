/* t_text.c -- values as text: what is read, what is refused, what is written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/arena.h"
#include "common/err.h"
#include "common/text.h"

static void assert_bytes(struct slice got, const char *want)
{
	assert_int_equal(got.n, strlen(want));
	assert_memory_equal(got.p, want, got.n);
}

static void integers_have_a_sign_white_space_and_a_range(void **state)
{
	(void)state;
	int32_t i;
	int64_t l;
	uint64_t u;
	assert_true(text_i32(SL(" \t\r\n2147483647 "), &i) && i == INT32_MAX);
	assert_true(text_i32(SL("-2147483648"), &i) && i == INT32_MIN);
	assert_true(text_i32(SL("+007"), &i) && i == 7);
	assert_false(text_i32(SL("2147483648"), &i));
	assert_false(text_i32(SL("-2147483649"), &i));
	assert_true(text_i64(SL("-9223372036854775808"), &l) && l == INT64_MIN);
	assert_true(text_i64(SL("9223372036854775807"), &l) && l == INT64_MAX);
	assert_false(text_i64(SL("9223372036854775808"), &l));
	assert_true(text_u64(SL("18446744073709551615"), &u) && u == UINT64_MAX);
	assert_false(text_u64(SL("18446744073709551616"), &u));
	assert_false(text_u64(SL("99999999999999999999"), &u));
	assert_true(text_u64(SL("-0"), &u) && u == 0);
	assert_false(text_u64(SL("-1"), &u));
	static const char *const bad[] = {"", " ", "-", "+-1", "1 2", "0x1", "1.0", "1e3", "--1", "\xC2\xB2"};
	for (size_t k = 0; k < COUNTOF(bad); k++)
		assert_false(text_i64(slice_of(bad[k]), &l));
	assert_false(text_i64(SL0, &l));
}

/* partly: WUSP-TRANSPORT-26 (reading; writing is tested with the messages) */
static void booleans_are_words_or_digits(void **state)
{
	(void)state;
	bool b = false;
	assert_true(text_bool(SL("true"), &b) && b);
	assert_true(text_bool(SL("false"), &b) && !b);
	assert_true(text_bool(SL(" 1\n"), &b) && b);
	assert_true(text_bool(SL("0"), &b) && !b);
	assert_false(text_bool(SL("True"), &b));
	assert_false(text_bool(SL("yes"), &b));
	assert_false(text_bool(SL(""), &b));
}

/* partly: WUSP-TRANSPORT-41 (the two integers; comparing them is the caller's) */
static void a_version_is_two_integers_and_no_decimal(void **state)
{
	(void)state;
	uint32_t major, minor;
	assert_true(text_version(SL("2.90"), &major, &minor) && major == 2 && minor == 90);
	assert_true(text_version(SL(" 1.8 "), &major, &minor) && major == 1 && minor == 8);
	static const char *const bad[] = {"", "2", "2.", ".2", "2.3.4", "2,3", "-1.0", "4294967296.0"};
	for (size_t k = 0; k < COUNTOF(bad); k++)
		assert_false(text_version(slice_of(bad[k]), &major, &minor));
}

/* holds: WUSP-TRANSPORT-16 */
static void guids_are_read_in_both_cases_and_compared_by_value(void **state)
{
	(void)state;
	struct guid a, b;
	char out[GUID_TEXT + 1];
	assert_true(text_guid(SL("0123abcd-4567-89ef-FEDC-ba9876543210"), &a));
	assert_true(text_guid(SL(" 0123ABCD-4567-89EF-fedc-BA9876543210\n"), &b));
	assert_int_equal(guid_cmp(&a, &b), 0);
	guid_text(&a, out);
	assert_string_equal(out, "0123abcd-4567-89ef-fedc-ba9876543210");
	static const char *const bad[] = {
		"", "{0123abcd-4567-89ef-fedc-ba9876543210}", "0123abcd-4567-89ef-fedc-ba987654321",
		"0123abcd-4567-89ef-fedc-ba98765432100", "0123abcd-456789ef--fedc-ba9876543210",
		"0123abcg-4567-89ef-fedc-ba9876543210", "0123abcd-4567-89ef-fedc-ba987654321G",
		"0123abcd-4567-89ef-fedc-ba98765 3210", "0123abcd4567-89ef-fedc-ba9876543210-",
	};
	for (size_t k = 0; k < COUNTOF(bad); k++)
		assert_false(text_guid(slice_of(bad[k]), &b));
	assert_int_equal(guid_cmp(&a, &b), 0);
}

static void hex_has_exactly_the_digits_asked_for(void **state)
{
	(void)state;
	uint8_t b[3];
	char out[7];
	assert_true(text_hex(SL("00fFa5"), b, 3));
	assert_memory_equal(b, "\x00\xff\xa5", 3);
	hex_text(b, 3, true, out);
	assert_string_equal(out, "00FFA5");
	hex_text(b, 3, false, out);
	assert_string_equal(out, "00ffa5");
	assert_false(text_hex(SL("00ffa"), b, 3));
	assert_false(text_hex(SL("00ffa5a"), b, 3));
	assert_false(text_hex(SL("00ffag"), b, 3));
}

/* holds: WUSP-TRANSPORT-25 */
static void base64_may_hold_white_space_anywhere(void **state)
{
	(void)state;
	struct arena a;
	struct slice got;
	arena_init(&a, 1 << 20);
	static const char *const spelled[] = {
		"aGVsbG8gd29ybGQ=", " aG\r\nVs bG8\tgd29ybG Q = \n", "a G V s b G 8 g d 2 9 y b G Q ="};
	for (size_t k = 0; k < COUNTOF(spelled); k++) {
		assert_true(text_base64(slice_of(spelled[k]), &a, &got));
		assert_bytes(got, "hello world");
	}
	assert_true(text_base64(SL(""), &a, &got) && got.n == 0 && got.p);
	assert_true(text_base64(SL(" \n"), &a, &got) && got.n == 0);
	assert_true(text_base64(SL("QQ=="), &a, &got));
	assert_bytes(got, "A");
	static const char *const bad[] = {"Q", "QQ", "QQ=", "QUE", "QQ=A", "Q===", "====", "QQ==QQ==", "QUE=QUE=", "QU E?",
		"QUFB\xC3", "-_-_", "QQ== x"};
	for (size_t k = 0; k < COUNTOF(bad); k++)
		assert_false(text_base64(slice_of(bad[k]), &a, &got));
	arena_free(&a);
}

static void base64_of_every_length_comes_back(void **state)
{
	(void)state;
	struct arena a;
	struct buf b;
	char bytes[70], back[70];
	struct slice got;
	arena_init(&a, 1 << 20);
	buf_init(&b, 1000);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 37 + 200);
	for (size_t n = 0; n <= sizeof(bytes); n++) {
		buf_reset(&b);
		base64_add(&b, (struct slice){bytes, n});
		assert_int_equal(b.n, (n + 2) / 3 * 4);
		assert_true(text_base64(buf_bytes(&b), &a, &got) && got.n == n);
		assert_memory_equal(got.p, bytes, n);
		assert_true(text_base64_fixed(buf_bytes(&b), back, n));
		assert_memory_equal(back, bytes, n);
		assert_false(n < sizeof(back) && text_base64_fixed(buf_bytes(&b), back, n + 1));
		assert_false(n > 0 && text_base64_fixed(buf_bytes(&b), back, n - 1));
	}
	buf_free(&b);
	arena_free(&a);
}

static void assert_time(const char *in, const char *out)
{
	tick_t t;
	char z[TIME_TEXT + 1];
	if (!text_time(slice_of(in), &t))
		fail_msg("%s is not read", in);
	size_t n = time_text(t, z);
	assert_int_equal(n, strlen(z));
	assert_string_equal(z, out);
}

static void a_file_name_is_one_component_of_a_path(void **state)
{
	(void)state;
	char name[257];
	static const char *const good[] = {"a", "setup.exe", "a b.cab", "\303\244.msu", "-x", "a..b"};
	static const char *const bad[] = {"", ".", "..", ".new", "a/b", "/", "a\\b", "a\nb", "\177", "\001"};
	for (size_t i = 0; i < COUNTOF(good); i++)
		assert_true(text_file_name(slice_of(good[i])));
	for (size_t i = 0; i < COUNTOF(bad); i++)
		assert_false(text_file_name(slice_of(bad[i])));
	assert_false(text_file_name((struct slice){"a\0b", 3}));
	assert_false(text_file_name(SL0));
	memset(name, 'n', sizeof(name));
	assert_true(text_file_name((struct slice){name, 255}));
	assert_false(text_file_name((struct slice){name, 256}));
}

/* holds: WUSP-TRANSPORT-23 WUSP-TRANSPORT-24 WSUSSS-TRANSPORT-32 */
static void times_have_fractions_and_zones_and_leave_in_utc(void **state)
{
	(void)state;
	assert_time("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z");
	assert_time("2026-10-05T17:27:44.393", "2026-10-05T17:27:44.393Z");
	assert_time("2026-10-05T17:27:44.1234567Z", "2026-10-05T17:27:44.1234567Z");
	assert_time("2026-10-05T17:27:44.12345678999Z", "2026-10-05T17:27:44.1234567Z");
	assert_time("2026-10-05T17:27:44.10+02:00", "2026-10-05T15:27:44.1Z");
	assert_time("2000-02-29T23:30:00-00:30", "2000-03-01T00:00:00Z");
	assert_time(" 1969-12-31T23:59:59.9Z\n", "1969-12-31T23:59:59.9Z");
	assert_time("0001-01-01T00:00:00", "0001-01-01T00:00:00Z");
	assert_time("0001-01-01T00:00:00+01:00", "0001-01-01T00:00:00Z");
	assert_time("9999-12-31T23:59:59.9999999-08:00", "9999-12-31T23:59:59.9999999Z");
	tick_t t;
	assert_true(text_time(SL("9999-12-31T23:59:59.9999999Z"), &t) && t == TICK_MAX_YEAR9999);
	assert_true(text_time(SL("1970-01-02T00:00:01Z"), &t) && t == 86401 * TICKS_PER_SECOND);
	static const char *const bad[] = {"", "2026-10-05", "2026-13-05T00:00:00Z", "2026-00-05T00:00:00Z",
		"2026-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2026-04-31T00:00:00Z", "2026-01-00T00:00:00Z",
		"0000-01-01T00:00:00Z", "12026-01-01T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z",
		"2026-01-01T00:00:60Z", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00z", "2026-01-01T00:00:00+14:01",
		"2026-01-01T00:00:00+1:00", "2026-01-01T00:00:00Zx", "2026-01-01 00:00:00Z", "-026-01-01T00:00:00Z"};
	for (size_t k = 0; k < COUNTOF(bad); k++)
		if (text_time(slice_of(bad[k]), &t))
			fail_msg("%s is read", bad[k]);
}

static void every_day_of_800_years_is_written_in_order(void **state)
{
	(void)state;
	char before[DATE_TEXT + 1] = "", now[DATE_TEXT + 1];
	for (int64_t day = -200000; day < 92000; day++) {
		tick_t t = day * 86400 * TICKS_PER_SECOND + 5, back;
		char z[TIME_TEXT + 1];
		date_text(t, now);
		assert_true(strcmp(before, now) < 0);
		memcpy(before, now, sizeof(now));
		time_text(t, z);
		assert_memory_equal(z, now, DATE_TEXT);
		assert_true(text_time(slice_of(z), &back) && back == t);
	}
}

static void slices_are_cut_trimmed_and_compared(void **state)
{
	(void)state;
	struct slice s = SL("a,,b");
	assert_bytes(text_cut(&s, ','), "a");
	assert_bytes(text_cut(&s, ','), "");
	assert_bytes(text_cut(&s, ','), "b");
	assert_null(s.p);
	assert_bytes(text_trim(SL(" \t x y\r\n")), "x y");
	assert_int_equal(text_trim(SL("  ")).n, 0);
	assert_true(text_ieq(SL("AbC"), SL("aBc")));
	assert_false(text_ieq(SL("AbC"), SL("aBcd")));
	assert_true(text_icmp(SL("abc"), SL("ABD")) < 0);
	assert_true(text_icmp(SL("ab"), SL("ABD")) < 0);
	assert_true(text_starts(SL("abc"), SL("ab")) && !text_starts(SL("a"), SL("ab")));
	char low[3];
	text_lower_to(low, SL("A[Z"));
	assert_memory_equal(low, "a[z", 3);
}

static void utf8_faults_are_found_wherever_they_stand(void **state)
{
	(void)state;
	static const struct {
		const char *z;
		size_t n;
	} bad[] = {
		{"\x80", 1}, {"\xC0\x80", 2}, {"\xC1\xBF", 2}, {"\xC3", 1}, {"\xE0\x9F\xBF", 3}, {"\xED\xA0\x80", 3},
		{"\xED\xBF\xBF", 3}, {"\xEF\xBF\xBE", 3}, {"\xEF\xBF\xBF", 3}, {"\xE2\x82", 2}, {"\xF0\x8F\xBF\xBF", 4},
		{"\xF4\x90\x80\x80", 4}, {"\xF5\x80\x80\x80", 4}, {"\xF0\x90\x80", 3}, {"\xFF", 1}, {"\xF8\x88\x80\x80\x80", 5},
		{"\0", 1}, {"\x01", 1}, {"\x0B", 1}, {"\x1F", 1}, {"\xC3(", 2}, {"\xE2\x82(", 3},
	};
	static const char good[] =
		"\t\n\r \x7F\xC2\x80\xDF\xBF\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBD\xF0\x90\x80\x80\xF4\x8F\xBF\xBF";
	char text[200]; /* behind and inside the strides of the search */
	assert_int_equal(text_utf8_bad(slice_of(good)), strlen(good));
	for (size_t k = 0; k < COUNTOF(bad); k++)
		for (size_t at = 0; at < 160; at++) {
			memset(text, 'x', sizeof(text));
			memcpy(text + at, bad[k].z, bad[k].n);
			assert_int_equal(text_utf8_bad((struct slice){text, sizeof(text)}), at);
			assert_int_equal(text_utf8_bad((struct slice){text, at + bad[k].n}), at);
		}
}

static void text_is_escaped_once_and_comes_back(void **state)
{
	(void)state;
	struct buf b, c;
	buf_init(&b, 1000);
	buf_init(&c, 1000);
	xml_escape_add(&b, SL("a<b>&amp;\"'"));
	assert_bytes(buf_bytes(&b), "a&lt;b&gt;&amp;amp;\"'");
	assert_true(xml_unescape_add(&c, buf_bytes(&b)));
	assert_bytes(buf_bytes(&c), "a<b>&amp;\"'");
	buf_reset(&c);
	assert_true(xml_unescape_add(
		&c, SL("&quot;&apos;&#65;&#x1F600;&#0000000000000000000000000000000000000000000000009;")));
	assert_bytes(buf_bytes(&c), "\"'A\xF0\x9F\x98\x80\t");
	static const char *const bad[] = {"&", "&;", "&x;", "&amp", "&#;", "&#x;", "&#0;", "&#1;", "&#xD800;", "&#xFFFE;",
		"&#x110000;", "&#99999999999;", "&#-1;", "&#12a;", "& amp;", "&AMP;"};
	for (size_t k = 0; k < COUNTOF(bad); k++)
		assert_false(xml_unescape_add(&c, slice_of(bad[k])));
	buf_free(&b);
	buf_free(&c);
}

/* Each byte at each place of texts of up to three words, among bytes that differ from the escaped ones in a bit. */
static void every_byte_is_escaped_or_kept_wherever_it_stands(void **state)
{
	(void)state;
	struct buf b;
	buf_init(&b, 1000);
	for (unsigned c = 0; c < 256; c++)
		for (size_t n = 1; n <= 24; n++)
			for (size_t at = 0; at < n; at++) {
				char text[24], expected[64];
				for (size_t i = 0; i < n; i++)
					text[i] = "\xbc=\xa6?'%:\x7f\x01\x0c\x8d"[i % 11];
				text[at] = (char)c;
				const char *as = c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '\r' ? "&#13;" : NULL;
				size_t width = as ? strlen(as) : 1;
				memcpy(expected, text, n);
				memcpy(expected + at, as ? as : text + at, width);
				memcpy(expected + at + width, text + at + 1, n - at - 1);
				buf_reset(&b);
				xml_escape_add(&b, (struct slice){text, n});
				assert_int_equal(b.n, n + width - 1);
				assert_memory_equal(b.p, expected, b.n);
			}
	buf_free(&b);
}

/* holds: WUSP-TRANSPORT-39 */
static void terminals_and_json_get_no_control_bytes(void **state)
{
	(void)state;
	struct buf b;
	buf_init(&b, 1000);
	text_safe_add(&b, SL("a\x1b[1m\n\xC3\xA9\xC2\x9B\x80"));
	assert_bytes(buf_bytes(&b), "a\\x1b[1m\\x0a\xC3\xA9\\xc2\\x9b\\x80");
	buf_reset(&b);
	json_string_add(&b, SL("\"\\\n\x01\xC3\xA9\xFFz"));
	assert_bytes(buf_bytes(&b), "\"\\\"\\\\\\n\\u0001\xC3\xA9\xEF\xBF\xBDz\"");
	buf_free(&b);
}

static void a_full_arena_is_no_base64(void **state)
{
	(void)state;
	struct arena a;
	struct slice got;
	arena_init(&a, 4);
	assert_false(text_base64(SL("aGVsbG8gd29ybGQ="), &a, &got));
	assert_true(a.failed);
	arena_free(&a);
}

static void sizes_and_durations_are_for_people(void **state)
{
	(void)state;
	static const struct {
		uint64_t n;
		const char *text;
	} size[] = {{0, "0 B"}, {999, "999 B"}, {1000, "1 KB"}, {1400000, "1.4 MB"}, {312456789, "312 MB"}, {UINT64_MAX, "18 EB"}};
	static const struct {
		tick_t span;
		const char *text;
	} span[] = {{-5, "0 s"}, {0, "0 s"}, {4000000, "0.4 s"}, {95000000, "9.5 s"}, {12 * TICKS_PER_SECOND, "12 s"},
		{60 * TICKS_PER_SECOND, "1 min"}, {250 * TICKS_PER_SECOND, "4 min 10 s"}, {7500 * TICKS_PER_SECOND, "2 h 5 min"},
		{(3 * 86400 + 4 * 3600) * TICKS_PER_SECOND, "3 d 4 h"}, {INT64_MAX, "10675199 d 2 h"}};
	for (size_t i = 0; i < COUNTOF(size); i++) {
		char text[SIZE_TEXT + 1];
		size_text(size[i].n, text);
		assert_string_equal(text, size[i].text);
	}
	for (size_t i = 0; i < COUNTOF(span); i++) {
		char text[SPAN_TEXT + 1];
		span_text(span[i].span, text);
		assert_string_equal(text, span[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers_have_a_sign_white_space_and_a_range),
		cmocka_unit_test(booleans_are_words_or_digits),
		cmocka_unit_test(a_version_is_two_integers_and_no_decimal),
		cmocka_unit_test(guids_are_read_in_both_cases_and_compared_by_value),
		cmocka_unit_test(hex_has_exactly_the_digits_asked_for),
		cmocka_unit_test(base64_may_hold_white_space_anywhere),
		cmocka_unit_test(base64_of_every_length_comes_back),
		cmocka_unit_test(a_file_name_is_one_component_of_a_path),
		cmocka_unit_test(times_have_fractions_and_zones_and_leave_in_utc),
		cmocka_unit_test(every_day_of_800_years_is_written_in_order),
		cmocka_unit_test(slices_are_cut_trimmed_and_compared),
		cmocka_unit_test(utf8_faults_are_found_wherever_they_stand),
		cmocka_unit_test(text_is_escaped_once_and_comes_back),
		cmocka_unit_test(every_byte_is_escaped_or_kept_wherever_it_stands),
		cmocka_unit_test(terminals_and_json_get_no_control_bytes),
		cmocka_unit_test(a_full_arena_is_no_base64),
		cmocka_unit_test(sizes_and_durations_are_for_people),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
