/* t_report_html.c -- the page of `wsusctl report html`: figures where they belong, and nothing that a name could do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/text.h"
#include "ctl/report_html.h"

static struct arena arena;

static const char *draw(const struct page *p)
{
	struct buf b;
	buf_init(&b, PAGE_BYTES);
	page_write(&b, &arena, p);
	assert_int_equal(b.rc, E_OK);
	struct slice s = arena_copy(&arena, buf_bytes(&b));
	char *z = arena_alloc(&arena, 1, s.n + 1);
	memcpy(z, s.p, s.n);
	z[s.n] = '\0';
	buf_free(&b);
	return z;
}

static void has(const char *page, const char *part)
{
	if (!strstr(page, part))
		fail_msg("the page lacks %s", part);
}

static void has_not(const char *page, const char *part)
{
	const char *at = strstr(page, part);
	if (at)
		fail_msg("the page has %.80s", at);
}

static int begin(void **state)
{
	(void)state;
	arena_init(&arena, 64 << 20);
	return 0;
}

static int end(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

static struct update_row a_row(const char *title)
{
	struct update_row r = {.title = slice_of(title), .kb = SL("5046613"), .severity = SL("Critical")};
	r.count.by[STATUS_INSTALLED] = 30;
	r.count.by[STATUS_NEEDED] = 8;
	r.count.by[STATUS_DOWNLOADED] = 1;
	r.count.by[STATUS_FAILED] = 1;
	return r;
}

static void figures_stand_where_they_belong(void **state)
{
	struct update_row row = a_row("Update for Thing");
	struct page_group group = {SL("Pilot"), 1, {3, 2, 1, 4}, 10};
	struct page p = {.state = {1200, 300, 45, 7}, .age = {5, 6, 7, 8}, .group = &group, .ngroups = 1, .groups_left = 2};
	(void)state;
	p.summary.all.computers = 40;
	p.summary.count[COUNT_DECLINED] = 1234;
	p.needed = (struct update_rows){&row, 1, 1};
	const char *page = draw(&p);
	has(page, "1200 up to date, 300 need updates, 45 with failed updates, 7 sent no status yet");
	has(page, "77%</text>"); /* 1200 of 1552 */
	has(page, "5 within a day, 6 within a week, 7 within 30 days, 8 longer ago");
	has(page, "30 have it, 0 wait for a restart, 9 need it, 1 failed");
	has(page, "<rect class=\"good\" x=\"0\" y=\"0\" width=\"750\"");
	has(page, "<rect class=\"need\" x=\"750\" y=\"0\" width=\"225\"");
	has(page, "<rect class=\"bad\" x=\"975\" y=\"0\" width=\"25\"");
	has(page, "<bdi>Pilot</bdi></th>");
	has(page, "3 up to date, 2 need updates, 1 with failed updates, 4 sent no status yet");
	has(page, "and 2 more groups");
	has(page, "declined</th><td class=\"n\">1&#8239;234</td>");
	has(page, "<h2>Updates that failed</h2>\n<p class=\"dim\">None.</p>");
}

/* One of a hundred thousand is to be seen, too; nobody at all divides by nothing. */
static void small_shares_and_none_at_all_are_drawn(void **state)
{
	struct update_row row = a_row("Rare");
	struct page p = {.needed = {&row, 1, 1}};
	(void)state;
	p.summary.all.computers = 100000;
	has(draw(&p), "<rect class=\"bad\" x=\"0\" y=\"0\" width=\"1\"");
	p = (struct page){0};
	has(draw(&p), "0%</text>");
}

static void a_name_stays_a_name(void **state)
{
	static const char evil[] = "</title><script>alert(1)</script>\"'<img src=x onerror=y>&amp;";
	struct update_row row = a_row(evil);
	struct page_group group = {slice_of(evil), 0, {0}, 0};
	struct computer_row computer = {.id = SL("id"), .name = slice_of(evil), .groups = slice_of(evil), .system = slice_of(evil)};
	struct named_count named = {slice_of(evil), 1};
	struct page p = {.needed = {&row, 1, 1}, .failed = {&row, 1, 1}, .group = &group, .ngroups = 1, .trouble = {&computer, 1, 1}};
	(void)state;
	p.summary.settings.server_name = slice_of(evil);
	p.summary.system = p.summary.error = &named;
	p.summary.nsystem = p.summary.nerror = 1;
	const char *page = draw(&p);
	has_not(page, "<script");
	has_not(page, "<img");
	has_not(page, "http://");
	has_not(page, "https://");
	has(page, "<bdi>&lt;/title&gt;&lt;script&gt;");
	has(page, "&amp;amp;</bdi>");
	has(page, "default-src 'none'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(figures_stand_where_they_belong, begin, end),
		cmocka_unit_test_setup_teardown(small_shares_and_none_at_all_are_drawn, begin, end),
		cmocka_unit_test_setup_teardown(a_name_stays_a_name, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
