/* t_schedule.c -- when the next synchronization is due: local time, days on which clocks are put forward or back, spread, history.
 * will partly hold: WSUSSS-TIMERS-02, -06, -08, WSUSSS-DSS-INIT-04 (when; test_sync_run has the programs) */
#include "store/schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "common/text.h"

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
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
