/* t_out.c -- tables for people and JSON for programs say the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/err.h"
#include "ctl/out.h"

static struct arena arena;
static struct out out;

static const struct column columns[] = {
	{"name", "NAME", CELL_TEXT, FIT_CUT},
	{"size", "SIZE", CELL_BYTES, FIT_WHOLE},
	{"here", "HERE", CELL_BOOL, FIT_WHOLE},
	{"seen", "SEEN", CELL_TIME, FIT_WHOLE},
};

static void begin(enum out_form form, unsigned width)
{
	arena_init(&arena, 1 << 20);
	out_init(&out, form, &arena);
	out.width = width;
}

static void expect(const char *text)
{
	assert_int_equal(out.b.rc, E_OK);
	buf_char(&out.b, 0);
	assert_string_equal(out.b.p, text);
	out_free(&out);
	arena_free(&arena);
}

static void two_rows(void)
{
	out_list_begin(&out, columns, COUNTOF(columns));
	out_str(&out, "a rather long name\t\"quoted\"");
	out_number(&out, 312000000);
	out_number(&out, 1);
	out_number(&out, INT64_C(17637627300000000));
	out_text(&out, SL0);
	out_number(&out, 999);
	out_number(&out, 0);
	out_number(&out, 0);
	out_list_end(&out);
}

static void a_table_aligns_and_keeps_control_bytes_out(void **state)
{
	(void)state;
	begin(OUT_TEXT, 0);
	two_rows();
	expect("NAME                              SIZE  HERE  SEEN\n"
	       "a rather long name\\x09\"quoted\"  312 MB  yes   2025-11-21 22:05\n"
	       "-                                999 B  no    never\n");
}

static void a_narrow_terminal_cuts_only_what_may_shrink(void **state)
{
	(void)state;
	begin(OUT_TEXT, 45);
	two_rows();
	expect("NAME             SIZE  HERE  SEEN\n"
	       "a rather lon\xE2\x80\xA6  312 MB  yes   2025-11-21 22:05\n"
	       "-               999 B  no    never\n");
}

static const struct column droppable[] = {
	{"id", "ID", CELL_TEXT, FIT_WHOLE},
	{"type", "TYPE", CELL_TEXT, FIT_DROP},
	{"made", "MADE", CELL_TEXT, FIT_DROP},
	{"title", "TITLE", CELL_TEXT, FIT_CUT},
};

static void droppable_row(unsigned width)
{
	begin(OUT_TEXT, width);
	out_list_begin(&out, droppable, COUNTOF(droppable));
	out_str(&out, "1");
	out_str(&out, "Software");
	out_str(&out, "2026-11-21");
	out_str(&out, "a title of thirty-two characters");
	out_list_end(&out);
}

static void columns_are_left_out_the_last_first_before_a_title_gets_too_short(void **state)
{
	(void)state;
	droppable_row(58);
	expect("ID  TYPE      MADE        TITLE\n"
	       "1   Software  2026-11-21  a title of thirty-two characters\n");
	droppable_row(50);
	expect("ID  TYPE      MADE        TITLE\n"
	       "1   Software  2026-11-21  a title of thirty-two c\xE2\x80\xA6\n");
	droppable_row(49);
	expect("ID  TYPE      TITLE\n"
	       "1   Software  a title of thirty-two characters\n");
	droppable_row(37);
	expect("ID  TITLE\n"
	       "1   a title of thirty-two characters\n");
	droppable_row(0);
	expect("ID  TYPE      MADE        TITLE\n"
	       "1   Software  2026-11-21  a title of thirty-two characters\n");
}

static void what_goes_below_a_row_is_broken_between_words_and_never_cut(void **state)
{
	static const struct column below[] = {
		{"name", "NAME", CELL_TEXT, FIT_WHOLE}, {"why", "WHY", CELL_TEXT, FIT_BELOW}};
	(void)state;
	for (unsigned width = 20; width <= 80; width += 60) {
		begin(OUT_TEXT, width);
		out_list_begin(&out, below, COUNTOF(below));
		out_str(&out, "targeting");
		out_str(&out, "who puts them into unpronounceably-named groups");
		out_list_end(&out);
		expect(width == 80 ? "NAME       WHY\ntargeting  who puts them into unpronounceably-named groups\n"
				   : "NAME\ntargeting\n    who puts them\n    into\n    unpronounceably-\n    named groups\n");
	}
}

static void json_has_every_column_with_its_type(void **state)
{
	(void)state;
	begin(OUT_JSON, 0);
	two_rows();
	expect("[\n{\"name\": \"a rather long name\\t\\\"quoted\\\"\", \"size\": 312000000, \"here\": true, "
	       "\"seen\": \"2025-11-21T22:05:30Z\"},\n"
	       "{\"name\": null, \"size\": 999, \"here\": false, \"seen\": null}\n]\n");
}

static void csv_has_every_column_with_its_value_as_json_has_it(void **state)
{
	(void)state;
	begin(OUT_CSV, 0);
	two_rows();
	expect("name,size,here,seen\r\n"
	       "\"a rather long name\\x09\"\"quoted\"\"\",312000000,true,2025-11-21T22:05:30Z\r\n"
	       ",999,false,\r\n");
}

static void csv_quotes_what_needs_it_and_defuses_formulas(void **state)
{
	static const struct {
		struct slice text;
		const char *want;
	} cases[] = {
		{{"plain", 5}, "plain"},
		{{"", 0}, ""},
		{{"a,b", 3}, "\"a,b\""},
		{{"\"", 1}, "\"\"\"\""},
		{{"\"\"x", 3}, "\"\"\"\"\"x\""},
		{{"a; b", 4}, "a; b"},
		{{" a", 2}, "\" a\""},
		{{"a ", 2}, "\"a \""},
		{{"=1+1", 4}, "'=1+1"},
		{{"+1", 2}, "'+1"},
		{{"-1", 2}, "'-1"},
		{{"@SUM(A1)", 8}, "'@SUM(A1)"},
		{{"  =cmd|' /C calc'!A0", 20}, "\"'  =cmd|' /C calc'!A0\""},
		{{"=HYPERLINK(\"http://x\",1)", 24}, "\"'=HYPERLINK(\"\"http://x\"\",1)\""},
		{{"a=1", 3}, "a=1"},
		{{"\t=1", 3}, "\\x09=1"},
		{{"a\r\nb", 4}, "a\\x0d\\x0ab"},
		{{"\xff\0z", 3}, "\\xff\\x00z"},
		{{"\xC3\xA9", 2}, "\xC3\xA9"},
	};
	static const struct column one[] = {{"text", "TEXT", CELL_TEXT, FIT_WHOLE}};
	(void)state;
	for (size_t i = 0; i < COUNTOF(cases); i++) {
		char want[100];
		begin(OUT_CSV, 0);
		out_list_begin(&out, one, 1);
		out_text(&out, cases[i].text);
		out_list_end(&out);
		snprintf(want, sizeof(want), "text\r\n%s\r\n", cases[i].want);
		expect(want);
	}
}

static void csv_of_an_empty_list_is_its_head(void **state)
{
	(void)state;
	begin(OUT_CSV, 0);
	out_list_begin(&out, columns, COUNTOF(columns));
	out_list_end(&out);
	expect("name,size,here,seen\r\n");
}

static void numbers_are_no_formulas(void **state)
{
	static const struct column one[] = {{"n", "N", CELL_NUMBER, FIT_WHOLE}};
	(void)state;
	begin(OUT_CSV, 0);
	out_list_begin(&out, one, 1);
	out_number(&out, -2145107943);
	out_list_end(&out);
	expect("n\r\n-2145107943\r\n");
}

static void object(void)
{
	static const struct column sub[] = {{"file", "FILE", CELL_TEXT, FIT_WHOLE}};
	out_object_begin(&out);
	out_field(&out, "title", "Title", CELL_TEXT);
	out_str(&out, "T");
	out_field(&out, "declined", "Declined", CELL_BOOL);
	out_number(&out, 0);
	out_sub_begin(&out, "files", "Files", sub, 1);
	out_str(&out, "x.cab");
	out_sub_end(&out);
	out_sub_begin(&out, "none", "Nothing", sub, 1);
	out_sub_end(&out);
	out_object_end(&out);
}

static void out_list_of_object(void)
{
	static const struct column sub[] = {{"file", "FILE", CELL_TEXT, FIT_WHOLE}}, other[] = {{"x", "X", CELL_TEXT, FIT_WHOLE}};
	out_object_begin(&out);
	out_object_main(&out, "files");
	out_field_text(&out, "title", "Title", SL("T"));
	out_sub_begin(&out, "others", "Others", other, 1);
	out_str(&out, "y");
	out_sub_end(&out);
	out_sub_begin(&out, "files", "Files", sub, 1);
	out_str(&out, "x.cab");
	out_sub_end(&out);
	out_object_end(&out);
}

static void an_object_is_lines_and_lists(void **state)
{
	(void)state;
	begin(OUT_TEXT, 0);
	object();
	expect("Title     T\nDeclined  no\n\nFiles\nFILE\nx.cab\n\nNothing\nnone\n");
}

static void an_object_is_json_with_arrays(void **state)
{
	(void)state;
	begin(OUT_JSON, 0);
	object();
	expect("{\n\"title\": \"T\",\n\"declined\": false,\n\"files\": [\n{\"file\": \"x.cab\"}\n],\n\"none\": []\n}\n");
}

static void an_object_is_a_row_of_csv_or_its_main_list(void **state)
{
	(void)state;
	begin(OUT_CSV, 0);
	object();
	expect("title,declined\r\nT,false\r\n");
	begin(OUT_CSV, 0);
	out_list_of_object();
	expect("file\r\nx.cab\r\n");
}

static void sizes_are_decimal_and_short(void **state)
{
	static const struct {
		uint64_t n;
		const char *text;
	} cases[] = {{0, "0 B"}, {999, "999 B"}, {1000, "1 KB"}, {312345678, "312 MB"}, {1450000000, "1.4 GB"},
		{9999999, "9.9 MB"}, {UINT64_MAX, "18 EB"}};
	(void)state;
	begin(OUT_TEXT, 0);
	for (size_t i = 0; i < COUNTOF(cases); i++)
		assert_string_equal(bytes_text(&arena, cases[i].n).p, cases[i].text);
	expect("");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_aligns_and_keeps_control_bytes_out),
		cmocka_unit_test(a_narrow_terminal_cuts_only_what_may_shrink),
		cmocka_unit_test(columns_are_left_out_the_last_first_before_a_title_gets_too_short),
		cmocka_unit_test(what_goes_below_a_row_is_broken_between_words_and_never_cut),
		cmocka_unit_test(json_has_every_column_with_its_type),
		cmocka_unit_test(csv_has_every_column_with_its_value_as_json_has_it),
		cmocka_unit_test(csv_quotes_what_needs_it_and_defuses_formulas),
		cmocka_unit_test(csv_of_an_empty_list_is_its_head),
		cmocka_unit_test(numbers_are_no_formulas),
		cmocka_unit_test(an_object_is_a_row_of_csv_or_its_main_list),
		cmocka_unit_test(an_object_is_lines_and_lists),
		cmocka_unit_test(an_object_is_json_with_arrays),
		cmocka_unit_test(sizes_are_decimal_and_short),
	};
	return cmocka_run_group_tests_name("out", tests, NULL, NULL);
}
