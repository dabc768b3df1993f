/* t_log_read.c -- lines of services and of nginx are taken apart; what is not exactly of their form is none. */
#include "common/log_read.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/text.h"

#define HEAD "2026-11-22T03:59:49.742Z notice wsus-client[17907] "

static void equal(struct slice s, const char *want)
{
	assert_true(slice_eq(s, slice_of(want)));
}

static void a_line_of_nginx_is_read(void **state)
{
	(void)state;
	struct log_entry l;
	assert_true(log_read(SL("2026-11-22T05:59:49.087+02:00 notice nginx[1] req peer=2001:db8::1 status=503 in=69 out=10 rt=1.012 "
				"fault=ServerBusy:bbae1137-5277-9317-34d0-737c6504ffd8 why=\"busy now\" do=\"wait\" request=\"GET /a\\x22b HTTP/1.1\"\n"),
		&l));
	tick_t at;
	assert_true(text_time(SL("2026-11-22T03:59:49.087Z"), &at));
	assert_true(l.at == at && l.request);
	equal(l.program, "nginx");
	equal(l.peer, "2001:db8::1");
	equal(l.fault, "ServerBusy");
	equal(l.fault_id, "bbae1137-5277-9317-34d0-737c6504ffd8");
	equal(l.why, "busy now");
	equal(l.http, "GET /a\\x22b HTTP/1.1");
	assert_true(l.status == 503 && l.in == 69 && l.out == 10 && l.usec == 1012000);
	assert_false(log_is_ok(&l));
	assert_true(log_read(SL("2026-11-22T05:59:49+02:00 notice nginx[1] req peer=::1 status=206 in=1 out=2 rt=0.000 fault=- why=\"\" "
				"do=\"\" request=\"\""), &l));
	assert_false(l.fault.p || l.fault_id.p || l.why.p || l.remedy.p || l.http.p);
	assert_true(log_is_ok(&l));
}

static void other_lines_are_messages(void **state)
{
	(void)state;
	struct log_entry l;
	assert_true(log_read(SL(HEAD "worker 12 died of signal 11 req id=1 client=x"), &l));
	assert_false(l.request || l.id.p || l.client.p);
	equal(l.level, "notice");
	equal(l.program, "wsus-client");
	equal(l.text, "worker 12 died of signal 11 req id=1 client=x");
}

static void unknown_members_are_passed_over(void **state)
{
	(void)state;
	struct log_entry l;
	assert_true(log_read(SL(HEAD "req newer=\"a b\" rc=14 status=500 also=x"), &l));
	assert_true(l.rc == 14 && l.status == 500);
}

static void what_is_not_of_the_form_is_no_line(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"", "\n", " ", "req id=1", "2026-11-22T03:59:49.742Z", "2026-11-22T03:59:49.742Z notice", "2026-11-22T03:59:49.742Z notice wsus",
		"2026-11-22T03:59:49.742Z notice wsus[] x", "2026-11-22T03:59:49.742Z notice wsus[1 x", "2026-11-22T03:59:49.742Z notice [1] x",
		"2026-13-22T03:59:49.742Z notice wsus[1] x", "yesterday notice wsus[1] x",
		HEAD "req ", HEAD "req rc", HEAD "req rc=", HEAD "req rc=x", HEAD "req rc=1 ", HEAD "req rc=1  status=2", HEAD "req =1",
		HEAD "req rc=1 Why=x", HEAD "req why=\"x", HEAD "req why=\"x\"y", HEAD "req in=-1", HEAD "req in=99999999999999999999",
		HEAD "req rt=1", HEAD "req rt=1.2", HEAD "req rt=.123", HEAD "req rt=99999999999.123", HEAD "req fault=ServerBusy",
		HEAD "req fault=:x",
	};
	struct log_entry l;
	for (size_t i = 0; i < COUNTOF(bad); i++)
		if (log_read(slice_of(bad[i]), &l) && l.request)
			fail_msg("taken for a request: %s", bad[i]);
	assert_false(log_read(slice_of(bad[8]), &l));
	assert_true(log_read(SL(HEAD "req"), &l) && !l.request);
}

static void escapes_are_undone_once(void **state)
{
	(void)state;
	struct buf b;
	buf_init(&b, 100);
	log_plain(&b, SL("a\\x22b\\x5cx41\\xzz\\x4\\"));
	equal(buf_bytes(&b), "a\"b\\x41\\xzz\\x4\\");
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_of_nginx_is_read),
		cmocka_unit_test(other_lines_are_messages),
		cmocka_unit_test(unknown_members_are_passed_over),
		cmocka_unit_test(what_is_not_of_the_form_is_no_line),
		cmocka_unit_test(escapes_are_undone_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
