/* t_run.c -- the cookie that a run hands to its calls. */
#include "sync/sync.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "common/text.h"

#define MINUTE (60 * TICKS_PER_SECOND)
#define NOBODY "http://127.0.0.1:1" /* so that an authorization is seen by its failure */

static struct run r;

/* A run with a cookie of so long a life, so much of which is left. */
static void begin(tick_t whole, tick_t left)
{
	struct err e;
	r = (struct run){.name = "branch.example.net"};
	arena_init(&r.a, 1 << 20);
	r.set.upstream_url = SL(NOBODY);
	r.set.upstream_timeout = 5;
	r.parent.expires = time_now() + left;
	r.parent.cookie = SL("sealed");
	r.authorized = r.parent.expires - whole;
	assert_int_equal(http_open(&r.http, &r.set, &e), E_OK);
	assert_int_equal(caller_open(&r.caller, r.http, &r.set, "/tmp", &e), E_OK);
	caller_set_tries(r.caller, 1);
}

static void end(void)
{
	caller_close(&r.caller);
	http_close(&r.http);
	arena_free(&r.a);
}

static int cookie_of(tick_t whole, tick_t left)
{
	struct Cookie c = {0};
	struct err e;
	begin(whole, left);
	tick_t expires = r.parent.expires;
	int rc = run_cookie(&r, &c, &e);
	if (rc == E_OK) {
		assert_true(slice_eq(c.EncryptedData, SL("sealed")));
		assert_true(c.Expiration == expires);
	} else {
		assert_non_null(strstr(e.text, "GetAuthConfig"));
	}
	end();
	return rc;
}

/* holds: WSUSSS-COOKIE-18 WSUSSS-COOKIE-19 WSUSSS-TIMERS-04 */
static void a_cookie_is_renewed_before_it_ends_and_never_used_past_that(void **state)
{
	(void)state;
	assert_int_equal(cookie_of(240 * MINUTE, 239 * MINUTE), E_OK);
	assert_int_equal(cookie_of(240 * MINUTE, 6 * MINUTE), E_OK);
	assert_int_equal(cookie_of(240 * MINUTE, 4 * MINUTE), E_IO);
	assert_int_equal(cookie_of(240 * MINUTE, -MINUTE), E_IO);
}

/* One that is short from the beginning is good for half of its life, not for no call at all. */
static void a_short_cookie_is_not_renewed_with_each_call(void **state)
{
	(void)state;
	assert_int_equal(cookie_of(4 * MINUTE, 3 * MINUTE), E_OK);
	assert_int_equal(cookie_of(4 * MINUTE, MINUTE), E_IO);
	assert_int_equal(cookie_of(4 * MINUTE, -MINUTE), E_IO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cookie_is_renewed_before_it_ends_and_never_used_past_that),
		cmocka_unit_test(a_short_cookie_is_not_renewed_with_each_call),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
