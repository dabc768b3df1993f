/* t_schedule.c -- when the next synchronization is due: local time, days on which clocks are put forward or back, spread, history.
 * Of rules WSUSSS-TIMERS-02, -06, -08 and DSS-INIT-04; test_jobs and test_sync_run have the programs. */
#include "store/schedule.h"

#include <time.h>

#include "common/job.h"
#include "store/parent.h"
#include "test/unit/store_fixture.h"

static tick_t at(const char *text)
{
	tick_t t;
	assert_true(text_time(slice_of(text), &t));
	return t;
}

static void zone(const char *tz)
{
	setenv("TZ", tz, 1);
	tzset();
}

static void due(const char *schedule, const char *last, uint32_t spread, const char *expected)
{
	struct schedule s;
	char text[TIME_TEXT + 1];
	assert_true(schedule_read(slice_of(schedule), &s));
	time_text(schedule_next(&s, at(last), spread), text);
	if (strcmp(text, expected) != 0)
		fail_msg("%s after %s with %u: %s, not %s", schedule, last, (unsigned)spread, text, expected);
}

#define BERLIN "CET-1CEST,M3.5.0,M10.5.0/3"

static void words_are_read(void **state)
{
	(void)state;
	struct schedule s;
	assert_true(schedule_read(SL("every 6h"), &s) && s.kind == SCHEDULE_EVERY && s.hours == 6);
	assert_true(schedule_read(SL("daily 03:05"), &s) && s.kind == SCHEDULE_DAILY && s.hour == 3 && s.minute == 5);
	assert_true(schedule_read(SL("off"), &s) && s.kind == SCHEDULE_OFF);
	static const char *const wrong[] = {"", "every 0h", "every 25h", "every 6", "every h", "daily 24:00", "daily 3:00", "daily 03:60",
		"daily 03:00 ", "Off", "hourly"};
	for (size_t i = 0; i < COUNTOF(wrong); i++)
		assert_false(schedule_read(slice_of(wrong[i]), &s));
	assert_true(schedule_read(SL("off"), &s));
	assert_int_equal(schedule_next(&s, time_now(), 5), 0);
}

static void daily_is_once_a_day_in_local_time(void **state)
{
	(void)state;
	zone(BERLIN);
	due("daily 03:00", "2026-01-10T01:59:59Z", 0, "2026-01-10T02:00:00Z");
	due("daily 03:00", "2026-01-10T02:00:00Z", 0, "2026-01-11T02:00:00Z"); /* later than the last, never the same */
	due("daily 03:00", "2026-07-10T02:00:00Z", 0, "2026-07-11T01:00:00Z");
	due("daily 03:00", "2026-12-31T23:30:00Z", 0, "2027-01-01T02:00:00Z"); /* the local day counts */
	due("daily 00:00", "2026-01-10T22:59:00Z", 0, "2026-01-10T23:00:00Z");
	zone("UTC0");
	due("daily 23:59", "2026-02-28T23:59:00Z", 0, "2026-03-01T23:59:00Z");
	zone("NZST-12NZDT,M9.5.0,M4.1.0/3");
	due("daily 03:00", "2026-01-10T13:00:00Z", 0, "2026-01-10T14:00:00Z");
	due("daily 03:00", "2026-01-10T14:00:00Z", 0, "2026-01-11T14:00:00Z");
	zone("<-11>11");
	due("daily 03:00", "2026-01-10T13:59:59Z", 0, "2026-01-10T14:00:00Z");
}

static void clocks_are_put_forward(void **state)
{
	(void)state;
	zone(BERLIN); /* 2026-03-29: 02:00 is 03:00 */
	due("daily 02:30", "2026-03-28T01:30:00Z", 0, "2026-03-29T01:30:00Z"); /* 03:30: there is no 02:30 */
	due("daily 02:30", "2026-03-29T01:30:00Z", 0, "2026-03-30T00:30:00Z");
	due("daily 03:00", "2026-03-28T02:00:00Z", 0, "2026-03-29T01:00:00Z");
	due("daily 03:00", "2026-03-29T01:00:00Z", 0, "2026-03-30T01:00:00Z");
	zone("LHST-10:30LHDT-11,M10.1.0,M4.1.0"); /* half an hour */
	due("daily 02:15", "2026-10-03T10:00:00Z", 0, "2026-10-03T15:45:00Z");
	due("daily 02:15", "2026-10-03T15:45:00Z", 0, "2026-10-04T15:15:00Z");
}

static void clocks_are_put_back(void **state)
{
	(void)state;
	zone(BERLIN); /* 2026-10-25: 03:00 is 02:00 */
	due("daily 02:30", "2026-10-24T00:30:00Z", 0, "2026-10-25T00:30:00Z"); /* the first 02:30 */
	due("daily 02:30", "2026-10-25T00:30:00Z", 0, "2026-10-26T01:30:00Z"); /* not the second one */
	due("daily 02:30", "2026-10-25T01:00:00Z", 0, "2026-10-26T01:30:00Z");
	due("daily 02:30", "2026-10-25T01:45:00Z", 0, "2026-10-26T01:30:00Z");
}

static void a_year_has_a_run_each_day(void **state)
{
	(void)state;
	static const char *const zones[] = {"UTC0", BERLIN, "EST5EDT,M3.2.0,M11.1.0", "LHST-10:30LHDT-11,M10.1.0,M4.1.0", "<+14>-14",
		"<-1130>11:30"};
	for (size_t z = 0; z < COUNTOF(zones); z++) {
		zone(zones[z]);
		for (unsigned minute = 0; minute < 24 * 60; minute += 45) {
			struct schedule s = {.kind = SCHEDULE_DAILY, .hour = minute / 60, .minute = minute % 60};
			tick_t t = at("2026-01-01T00:00:00Z");
			unsigned runs = 0;
			for (; t < at("2027-01-01T00:00:00Z"); runs++) {
				tick_t next = schedule_next(&s, t, minute * 7);
				assert_true(next > t && (runs == 0 || next - t >= 22 * 3600 * TICKS_PER_SECOND));
				assert_true(next - t <= 26 * 3600 * TICKS_PER_SECOND);
				t = next;
			}
			assert_true(runs >= 365 && runs <= 366);
		}
	}
}

static void hours_do_not_drift(void **state)
{
	(void)state;
	zone(BERLIN);
	due("every 6h", "2026-01-10T12:00:00Z", 0, "2026-01-10T18:00:00Z");
	due("every 6h", "2026-01-10T12:09:00Z", 0, "2026-01-10T18:00:00Z"); /* somebody looked late */
	due("every 6h", "2026-01-10T12:00:00Z", 420, "2026-01-10T17:52:00Z");
	due("every 1h", "2026-10-25T00:30:00Z", 0, "2026-10-25T01:30:00Z"); /* clocks do not matter */
	struct schedule s = {.kind = SCHEDULE_EVERY, .hours = 6};
	for (uint32_t spread = 0; spread < 2000; spread += 111) {
		tick_t t = at("2026-01-10T12:34:56Z"), first = schedule_next(&s, t, spread);
		t = first;
		for (unsigned i = 1; i <= 100; i++) {
			tick_t next = schedule_next(&s, t + (tick_t)(i * 97 % 900) * TICKS_PER_SECOND, spread);
			assert_int_equal(next - first, (tick_t)i * 6 * 3600 * TICKS_PER_SECOND);
			t = next;
		}
	}
}

static void servers_do_not_come_at_once(void **state)
{
	(void)state;
	zone("UTC0");
	due("daily 03:00", "2026-01-10T00:00:00Z", 0, "2026-01-10T03:00:00Z");
	due("daily 03:00", "2026-01-10T00:00:00Z", 600, "2026-01-10T03:10:00Z");
	due("daily 03:00", "2026-01-10T03:10:00Z", 600, "2026-01-11T03:10:00Z");
	due("daily 03:00", "2026-01-10T03:05:00Z", 600, "2026-01-10T03:10:00Z"); /* the run before was by hand */
	due("daily 03:00", "2026-01-10T00:00:00Z", UINT32_MAX, "2026-01-10T03:13:15Z");
	due("daily 23:55", "2026-01-10T23:56:00Z", 600, "2026-01-11T00:05:00Z");
	due("daily 23:55", "2026-01-11T00:05:00Z", 600, "2026-01-12T00:05:00Z");
}

static void who_never_ran_is_due(void **state)
{
	(void)state;
	zone(BERLIN);
	struct schedule s = {.kind = SCHEDULE_DAILY, .hour = 3}, h = {.kind = SCHEDULE_EVERY, .hours = 24};
	assert_true(schedule_next(&s, 0, 899) > 0 && schedule_next(&s, 0, 899) < at("1970-01-03T00:00:00Z"));
	assert_true(schedule_next(&h, 0, 899) > 0 && schedule_next(&h, 0, 899) < at("1970-01-03T00:00:00Z"));
}

/* ---- by the history ---- */

#define MINUTES (60 * TICKS_PER_SECOND)
#define BEGUN INT64_C(17911152000000000)

static void put_run(struct fixture *f, tick_t began, tick_t ended, enum run_result result)
{
	struct sync_run r = {.began = began, .ended = ended, .result = result};
	OK(sync_run_put(fx_begin(f, TXN_CATALOG), &r, &fx_err));
	fx_commit(f);
}

static void set(struct fixture *f, struct slice name, struct slice value)
{
	OK(setting_set(fx_begin(f, TXN_CATALOG), name, value, &fx_err));
	fx_publish(f);
}

static tick_t next_of(struct fixture *f)
{
	struct settings s;
	tick_t next;
	OK(settings_get(fx_begin(f, TXN_READ), &s, &fx_err));
	OK(schedule_due(f->t, &s, &next, &fx_err));
	txn_end(&f->t);
	return next;
}

static void failed_runs_are_tried_again_but_no_later_than_the_schedule(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(next_of(f), 0); /* no server is set */
	set(f, SL("upstream.url"), SL("http://parent.example.net:8530"));
	set(f, SL("sync.schedule"), SL("off"));
	assert_int_equal(next_of(f), 0);
	set(f, SL("sync.schedule"), SL("every 24h"));
	assert_true(next_of(f) > 0 && next_of(f) < BEGUN); /* it never ran: due */
	put_run(f, BEGUN, BEGUN + 5 * MINUTES, RUN_DONE);
	tick_t regular = next_of(f);
	assert_true(regular > BEGUN + (24 * 60 - 15) * MINUTES && regular <= BEGUN + 24 * 60 * MINUTES);
	static const enum run_result bad[] = {RUN_FAILED, RUN_INTERRUPTED, RUN_FAILED, RUN_FAILED, RUN_FAILED};
	for (unsigned i = 0; i < COUNTOF(bad); i++) {
		tick_t began = BEGUN + (tick_t)(i + 1) * 10 * MINUTES, ended = bad[i] == RUN_FAILED ? began + MINUTES : began;
		put_run(f, began, ended, bad[i]);
		assert_int_equal(next_of(f), ended + (30 * MINUTES << i));
	}
	for (unsigned i = 5; i < 12; i++) {
		tick_t began = BEGUN + (tick_t)(i + 1) * 10 * MINUTES;
		put_run(f, began, began, RUN_FAILED);
		assert_true(next_of(f) > began + 15 * 60 * MINUTES && next_of(f) <= began + 24 * 60 * MINUTES);
	}
	put_run(f, BEGUN + 500 * MINUTES, BEGUN + 501 * MINUTES, RUN_CANCELLED); /* by somebody who wants none now */
	assert_true(next_of(f) > BEGUN + (500 + 24 * 60 - 15) * MINUTES);
	put_run(f, BEGUN + 600 * MINUTES, BEGUN + 601 * MINUTES, RUN_DONE);
	put_run(f, BEGUN + 700 * MINUTES, BEGUN + 701 * MINUTES, RUN_FAILED);
	assert_int_equal(next_of(f), BEGUN + (701 + 30) * MINUTES); /* counted from the last good one */
}

static void a_run_under_way_is_no_failure(void **state)
{
	struct fixture *f = *state;
	struct job_lock l;
	set(f, SL("upstream.url"), SL("http://parent.example.net:8530"));
	set(f, SL("sync.schedule"), SL("every 6h"));
	put_run(f, BEGUN, 0, RUN_RUNNING);
	assert_int_equal(next_of(f), BEGUN + 30 * MINUTES); /* it was killed, and nobody noted that yet */
	OK(job_lock(&l, f->dir, JOB_SYNC, &fx_err));
	assert_true(next_of(f) > BEGUN + (6 * 60 - 15) * MINUTES);
	job_unlock(&l);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_read),
		cmocka_unit_test(daily_is_once_a_day_in_local_time),
		cmocka_unit_test(clocks_are_put_forward),
		cmocka_unit_test(clocks_are_put_back),
		cmocka_unit_test(a_year_has_a_run_each_day),
		cmocka_unit_test(hours_do_not_drift),
		cmocka_unit_test(servers_do_not_come_at_once),
		cmocka_unit_test(who_never_ran_is_due),
		cmocka_unit_test_setup_teardown(failed_runs_are_tried_again_but_no_later_than_the_schedule, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(a_run_under_way_is_no_failure, fx_setup, fx_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
