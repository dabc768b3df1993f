/* schedule.c -- sync.schedule: words to times. */
#include "store/schedule.h"

#include <time.h>

#include "common/job.h"
#include "common/text.h"
#include "store/db.h"
#include "store/parent.h"

static bool two_digits(struct slice *v, unsigned most, unsigned *out)
{
	unsigned n = 0, digits = 0;
	for (; v->n && v->p[0] >= '0' && v->p[0] <= '9' && digits < 2; digits++) {
		n = n * 10 + (unsigned)(v->p[0] - '0');
		v->p++;
		v->n--;
	}
	*out = n;
	return digits > 0 && n <= most;
}

static bool word(struct slice *v, const char *w)
{
	size_t n = strlen(w);
	if (v->n < n || memcmp(v->p, w, n) != 0)
		return false;
	v->p += n;
	v->n -= n;
	return true;
}

bool schedule_read(struct slice v, struct schedule *out)
{
	*out = (struct schedule){0};
	if (slice_eq(v, SL("off")))
		return true;
	if (word(&v, "every ")) {
		out->kind = SCHEDULE_EVERY;
		return two_digits(&v, 24, &out->hours) && out->hours > 0 && slice_eq(v, SL("h"));
	}
	out->kind = SCHEDULE_DAILY;
	return word(&v, "daily ") && v.n == 5 && two_digits(&v, 23, &out->hour) && word(&v, ":") && v.n == 2 &&
		two_digits(&v, 59, &out->minute) && v.n == 0;
}

/* ================= the next time ================= */

#define SPREAD (15 * 60)

/* The first of the points 15 minutes apart, `shift` behind the quarters, that is not before t. */
static int64_t point_from(int64_t t, uint32_t shift)
{
	int64_t past = (t - (int64_t)shift) % SPREAD;
	return past == 0 ? t : t - past + (past > 0 ? SPREAD : 0);
}

static int64_t after_hours(int64_t last, unsigned hours, uint32_t shift)
{
	return point_from(last + (int64_t)hours * 3600 - SPREAD + 1, shift);
}

static bool shows(int64_t t, const struct tm *day, const struct schedule *s)
{
	time_t at = t;
	struct tm tm;
	return localtime_r(&at, &tm) && tm.tm_hour == (int)s->hour && tm.tm_min == (int)s->minute && tm.tm_mday == day->tm_mday;
}

/* The time on that day; the first where the clock shows it twice, and where it never does that of a clock which was not put
 * forward. */
static int64_t on_day(const struct tm *day, const struct schedule *s)
{
	struct tm tm = {.tm_year = day->tm_year, .tm_mon = day->tm_mon, .tm_mday = day->tm_mday, .tm_hour = (int)s->hour,
		.tm_min = (int)s->minute};
	struct tm same = tm;
	int64_t t = mktime(&same); /* as standard time */
	for (int64_t back = 7200; back > 0; back -= 1800)
		if (shows(t - back, &tm, s))
			return t - back;
	return t;
}

static int64_t daily(const struct schedule *s, int64_t last, uint32_t shift)
{
	time_t from = last - (time_t)shift;
	struct tm day;
	int64_t next = 0;
	if (!localtime_r(&from, &day))
		return last + 86400;
	day.tm_mday--; /* time zones: the day of standard time may be another */
	for (int i = 0; i < 4 && next <= last; i++, day.tm_mday++) {
		struct tm noon = {.tm_year = day.tm_year, .tm_mon = day.tm_mon, .tm_mday = day.tm_mday, .tm_hour = 12, .tm_isdst = -1};
		if (mktime(&noon) == -1)
			continue;
		next = on_day(&noon, s) + shift;
	}
	return next > last ? next : last + 86400;
}

tick_t schedule_next(const struct schedule *s, tick_t last, uint32_t spread)
{
	uint32_t shift = spread % SPREAD;
	int64_t at = last / TICKS_PER_SECOND;
	if (s->kind == SCHEDULE_OFF)
		return 0;
	int64_t next = s->kind == SCHEDULE_EVERY ? after_hours(at, s->hours, shift) : daily(s, at, shift);
	return MAX(next * TICKS_PER_SECOND, last + 1);
}

/* ================= by the history ================= */

#define RETRY_FIRST (30 * 60 * TICKS_PER_SECOND)
#define RETRY_DOUBLED 6 /* times: a day and a half, which no schedule reaches */

struct past {
	tick_t last, ended;
	unsigned failures; /* one after the other, the last ones */
	bool held;         /* somebody runs it: the newest row is of that run, else of one that was killed */
};

static int take_run(const struct sync_run *r, void *arg)
{
	struct past *p = arg;
	if (p->last == 0) {
		p->last = r->began;
		p->ended = MAX(r->ended, r->began);
	}
	bool failed = r->result == RUN_FAILED || r->result == RUN_INTERRUPTED || (r->result == RUN_RUNNING && !p->held);
	p->failures += failed;
	return failed && p->failures <= RETRY_DOUBLED ? E_OK : E_EXISTS; /* the rest is of no interest */
}

int schedule_due(struct txn *t, const struct settings *set, tick_t *next, struct err *e)
{
	struct schedule s;
	struct past p = {0};
	struct server_state st;
	*next = 0;
	if (set->upstream_url.n == 0 || !schedule_read(set->sync_schedule, &s) || s.kind == SCHEDULE_OFF)
		return E_OK;
	struct job_holder h;
	int rc = server_state_get(t, &st, e);
	if (rc == E_OK)
		rc = job_who(store_dir(txn_store(t)), JOB_SYNC, &h, e);
	if (rc != E_OK)
		return rc;
	p.held = h.pid != 0;
	rc = sync_run_each(t, take_run, &p, e);
	if (rc != E_OK && rc != E_EXISTS)
		return rc;
	*next = schedule_next(&s, p.last, get_be32(st.server_id.b + sizeof(st.server_id.b) - 4));
	if (p.failures)
		*next = MIN(*next, p.ended + (RETRY_FIRST << MIN(p.failures - 1, RETRY_DOUBLED)));
	return E_OK;
}
