/* t_health.c -- the checks of `wsusctl health` over made-up facts, and what is told when, under a frozen clock. */
#include "store/report.h"
#include "test/unit/store_fixture.h"

#include <fcntl.h>
#include <sys/file.h>

#include "common/buf.h"
#include "common/text.h"
#include "ctl/health.h"
#include "ctl/health_store.h"
#include "ctl/json.h"

#define NOW FIXTURE_NOW
#define DAY (86400 * TICKS_PER_SECOND)
#define HOUR (3600 * TICKS_PER_SECOND)
#define MINUTE (60 * TICKS_PER_SECOND)
#define GB UINT64_C(1000000000)

/* A server that is well in every respect. */
static struct health_facts well(void)
{
	struct health_facts f = {.now = NOW};
	for (unsigned i = 0; i < LIM__N; i++)
		f.limit[i] = health_limits[i].value;
	f.scan.known = KNOWN;
	f.scan.held = true;
	f.server = (struct cert_facts){.known = KNOWN, .ends = NOW + 400 * DAY};
	f.tls = "/tls";
	f.authority = (struct cert_facts){.known = KNOWN, .ends = NOW + 4000 * DAY};
	for (unsigned i = 0; i < HEALTH_SERVICES; i++) {
		f.service[i].name = "client";
		f.service[i].known = KNOWN;
		f.service[i].answers = true;
	}
	f.store.known = KNOWN;
	f.store.stat.catalog_map = f.store.stat.fleet_map = 100 * GB;
	f.disk.known = KNOWN;
	f.disk.total = 100 * GB;
	f.disk.free = 50 * GB;
	f.up = 30 * DAY;
	static const char *const jobs[HEALTH_JOBS] = {"tick", "health", "backup", "certificate", "sync", "fetch", "cleanup"};
	for (unsigned i = 0; i < HEALTH_JOBS; i++)
		f.job[i] = (struct job_facts){.name = jobs[i], .known = KNOWN, .since = NOW - 30 * DAY, .started = NOW - MINUTE,
			.ended = NOW, .succeeded = NOW};
	f.backup.known = KNOWN;
	f.backup.dir = "/b";
	f.backup.n = 7;
	f.backup.newest = NOW - 20 * HOUR;
	return f;
}

static struct finding judged(const struct health_facts *f, const char *check)
{
	struct finding v[HEALTH_CHECKS_MAX];
	enum level worst;
	unsigned n = health_judge(f, v, &worst);
	for (unsigned i = 0; i < n; i++) {
		assert_true(v[i].what[0] != '\0');
		assert_true((v[i].level == LEVEL_OK) == (v[i].remedy[0] == '\0')); /* what is wrong has a remedy */
		if (strcmp(v[i].check, check) == 0)
			return v[i];
	}
	fail_msg("no check %s", check);
	return v[0];
}

static void expect(const struct health_facts *f, const char *check, enum level level, const char *words)
{
	struct finding k = judged(f, check);
	assert_string_equal(level_names[k.level], level_names[level]);
	if (!strstr(k.what, words))
		fail_msg("\"%s\" does not say \"%s\"", k.what, words);
}

static void test_a_well_server(void **state)
{
	struct finding v[HEALTH_CHECKS_MAX];
	enum level worst;
	struct health_facts f = well();
	(void)state;
	assert_int_equal(15, health_judge(&f, v, &worst));
	assert_int_equal(LEVEL_OK, worst);
	expect(&f, "sync", LEVEL_OK, "no server above is set");
}

static void test_the_worst(void **state)
{
	(void)state;
	assert_int_equal(LEVEL_CRITICAL, level_worse(LEVEL_UNKNOWN, LEVEL_CRITICAL));
	assert_int_equal(LEVEL_CRITICAL, level_worse(LEVEL_CRITICAL, LEVEL_UNKNOWN));
	assert_int_equal(LEVEL_UNKNOWN, level_worse(LEVEL_WARNING, LEVEL_UNKNOWN));
	assert_int_equal(LEVEL_WARNING, level_worse(LEVEL_OK, LEVEL_WARNING));
}

static void test_scan_and_services(void **state)
{
	struct health_facts f = well();
	(void)state;
	f.scan.held = false;
	expect(&f, "scan", LEVEL_CRITICAL, "");
	f.scan.known = FAILED_TO_KNOW;
	expect(&f, "scan", LEVEL_UNKNOWN, "no scan could be made");
	f.service[1].answers = false;
	expect(&f, "services", LEVEL_CRITICAL, "1 of 5 do not answer");
	for (unsigned i = 0; i < HEALTH_SERVICES; i++)
		f.service[i].known = NOT_KNOWN;
	expect(&f, "services", LEVEL_OK, "no sockets");
}

static void test_certificates(void **state)
{
	static const struct {
		int64_t days;
		enum level level;
	} rows[] = {{400, LEVEL_OK}, {21, LEVEL_OK}, {20, LEVEL_WARNING}, {7, LEVEL_WARNING}, {6, LEVEL_CRITICAL},
		{0, LEVEL_CRITICAL}, {-1, LEVEL_CRITICAL}};
	struct health_facts f = well();
	(void)state;
	for (unsigned i = 0; i < COUNTOF(rows); i++) {
		f.server.ends = NOW + rows[i].days * DAY;
		expect(&f, "certificate", rows[i].level, rows[i].days > 0 ? "days left" : "ended");
	}
	f.server = (struct cert_facts){.known = KNOWN, .ends = NOW + 400 * DAY, .weak = true};
	expect(&f, "certificate", LEVEL_CRITICAL, "SHA-256");
	f.authority.ends = NOW + 89 * DAY;
	expect(&f, "authority", LEVEL_WARNING, "89 days");
	f.authority = (struct cert_facts){.known = NOT_KNOWN, .words = "none of ours"};
	expect(&f, "authority", LEVEL_OK, "none of ours");
}

static void test_a_certificate_that_is_not_served(void **state)
{
	struct health_facts f = well();
	(void)state;
	snprintf(f.unserved, sizeof(f.unserved), "/tls/server.crt");
	expect(&f, "certificate", LEVEL_WARNING, "400 days left; /tls/server.crt is another one, which is not served");
	assert_non_null(strstr(judged(&f, "certificate").remedy, "reload it"));
	f.server.ends = NOW - 1;
	expect(&f, "certificate", LEVEL_CRITICAL, "it has ended; /tls/server.crt is another one");
	assert_non_null(strstr(judged(&f, "certificate").remedy, "reload it")); /* renewing would not help */
}

static void test_the_next_authority(void **state)
{
	struct health_facts f = well();
	(void)state;
	assert_null(strstr(judged(&f, "authority").what, "next"));
	f.authority.ends = NOW + 80 * DAY;
	expect(&f, "authority", LEVEL_WARNING, "80 days left");
	assert_non_null(strstr(judged(&f, "authority").remedy, "`tls.sh --renew /tls` makes the next one"));
	f.successor = f.authority;
	char by[DATE_TEXT + 1], words[80];
	date_text(NOW + 50 * DAY, by);
	snprintf(words, sizeof(words), "by %s at the latest", by);
	expect(&f, "authority", LEVEL_WARNING, words);
	assert_non_null(strstr(judged(&f, "authority").remedy, "`tls.sh --switch /tls`"));
	f.authority.ends = NOW + 700 * DAY;
	expect(&f, "authority", LEVEL_OK, "700 days left; the next one is made: `wsusctl client setup` hands out both");
}

static void test_disk(void **state)
{
	struct health_facts f = well();
	(void)state;
	expect(&f, "disk", LEVEL_OK, "no forecast");
	f.disk.free = 9 * GB;
	expect(&f, "disk", LEVEL_WARNING, "9 %");
	f.disk.free = 2 * GB;
	expect(&f, "disk", LEVEL_CRITICAL, "2 %");
	f.disk.free = 50 * GB;
	f.limit[LIM_DISK_CRITICAL] = 60;
	expect(&f, "disk", LEVEL_CRITICAL, "50 %");
	f.disk.known = NOT_KNOWN;
	expect(&f, "disk", LEVEL_UNKNOWN, "cannot be asked");
}

static void test_forecast(void **state)
{
	struct health_facts f = well();
	(void)state;
	f.growth[0] = (struct growth){NOW - 10 * DAY, 10 * GB, GB, GB};
	f.ngrowth = 1;
	expect(&f, "disk", LEVEL_OK, "no forecast"); /* one point says nothing */
	f.growth[1] = (struct growth){NOW, 50 * GB, GB, GB};
	f.ngrowth = 2;
	expect(&f, "disk", LEVEL_WARNING, "full in 12 days"); /* 4 GB a day, 50 left */
	expect(&f, "catalog", LEVEL_OK, "does not grow");
	f.growth[0].disk = 30 * GB;
	expect(&f, "disk", LEVEL_OK, "full in 25 days");
	f.growth[0].disk = 0;
	f.growth[0].at = NOW - 2 * DAY;
	expect(&f, "disk", LEVEL_CRITICAL, "full in 2 days");
	f.growth[0].at = NOW - HOUR;
	expect(&f, "disk", LEVEL_OK, "no forecast"); /* an hour tells of one import */
}

static void test_maps(void **state)
{
	struct health_facts f = well();
	(void)state;
	f.store.stat.fleet_used = 41 * GB;
	expect(&f, "fleet", LEVEL_WARNING, "41 %");
	expect(&f, "catalog", LEVEL_OK, "0 %");
	f.store.stat.catalog_used = 90 * GB;
	expect(&f, "catalog", LEVEL_CRITICAL, "90 %");
}

static void test_a_store_that_is_bad(void **state)
{
	struct health_facts f = well();
	(void)state;
	f.store.checked = 500;
	f.store.bad = 3;
	expect(&f, "store", LEVEL_CRITICAL, "3 of 500");
	f.store.known = FAILED_TO_KNOW;
	snprintf(f.store.words, sizeof(f.store.words), "cut short");
	expect(&f, "store", LEVEL_CRITICAL, "cut short");
	expect(&f, "computers", LEVEL_OK, "not looked at");
	expect(&f, "tick", LEVEL_OK, "not looked at");
	f.store.known = NOT_KNOWN;
	expect(&f, "store", LEVEL_UNKNOWN, "");
}

static void test_computers_ticks_faults(void **state)
{
	struct health_facts f = well();
	(void)state;
	expect(&f, "computers", LEVEL_OK, "none has come yet");
	f.store.stat.computers = 5;
	f.store.newest = NOW - 6 * DAY;
	expect(&f, "computers", LEVEL_OK, "5;");
	f.store.newest = NOW - 8 * DAY;
	expect(&f, "computers", LEVEL_WARNING, "0 in the last week");
	f.store.newest = NOW;
	f.store.stat.computers = 60;
	f.store.troubled = f.store.unscanned = 4;
	f.store.week = 30;
	expect(&f, "computers", LEVEL_OK, "60;"); /* many of 30, but each is its own case */
	f.store.troubled = 5;
	expect(&f, "computers", LEVEL_WARNING, "of 30 that came in the last week, scans of 4 fail and 1 have ceased to report");
	f.store.week = 50;
	expect(&f, "computers", LEVEL_OK, "60;"); /* a tenth is not more than a tenth */
	f.store.overdue = 2;
	f.store.overdue_since = NOW - 4 * MINUTE;
	expect(&f, "tick", LEVEL_OK, "2 approvals");
	f.store.overdue_since = NOW - 5 * MINUTE;
	expect(&f, "tick", LEVEL_WARNING, "5 min");
	f.store.overdue_since = NOW - HOUR;
	expect(&f, "tick", LEVEL_CRITICAL, "60 min");
	snprintf(f.log.last, sizeof(f.log.last), "journalctl is not here");
	expect(&f, "faults", LEVEL_OK, "not known: journalctl is not here");
	f.log.last[0] = '\0';
	f.log.known = KNOWN;
	f.log.requests = 100;
	f.log.faults = 5;
	expect(&f, "faults", LEVEL_OK, "5 of 100");
	f.log.faults = 6;
	expect(&f, "faults", LEVEL_WARNING, "6 of 100");
	f.log.faults = 51;
	expect(&f, "faults", LEVEL_CRITICAL, "51 of 100");
}

static void test_jobs(void **state)
{
	enum { TICK, HEALTH, BACKUP, CERTIFICATE, SYNC, FETCH };
	struct health_facts f = well();
	(void)state;
	expect(&f, "jobs", LEVEL_OK, "7 run as they should");
	f.job[TICK].started = NOW - HOUR - 2 * MINUTE; /* two periods and an hour */
	expect(&f, "jobs", LEVEL_OK, "");
	f.job[TICK].started -= MINUTE;
	expect(&f, "jobs", LEVEL_WARNING, "tick has not run for 1 h");
	f.up = 3 * HOUR; /* the machine has only started */
	expect(&f, "jobs", LEVEL_OK, "");
	f = well();
	f.job[CERTIFICATE].started = NOW - 49 * HOUR;
	expect(&f, "jobs", LEVEL_OK, "");
	f.job[CERTIFICATE].started -= MINUTE;
	f.job[BACKUP].failed = true;
	snprintf(f.job[BACKUP].words, sizeof(f.job[BACKUP].words), "no space");
	expect(&f, "jobs", LEVEL_WARNING, "backup failed: no space; certificate has not run for 49 h");
	assert_non_null(strstr(judged(&f, "jobs").remedy, "systemctl start wsus-backup"));
	f = well();
	f.job[HEALTH].failed = true; /* what it found is what is being said */
	expect(&f, "jobs", LEVEL_OK, "");
	f.job[TICK] = (struct job_facts){.name = "tick", .known = KNOWN, .since = NOW - 2 * DAY};
	expect(&f, "jobs", LEVEL_WARNING, "tick has not run for 48 h"); /* never */
	f = well();
	f.job[SYNC].failed = f.job[FETCH].failed = true; /* they have checks of their own */
	f.job[FETCH].started = NOW - 50 * HOUR;
	f.job[FETCH].running = true; /* hundreds of gigabytes */
	expect(&f, "jobs", LEVEL_OK, "");
	f.job[FETCH].running = false;
	expect(&f, "jobs", LEVEL_WARNING, "fetch has not run for 50 h");
	for (unsigned i = 0; i < HEALTH_JOBS; i++)
		f.job[i].known = NOT_KNOWN;
	expect(&f, "jobs", LEVEL_OK, "none are set up");
}

static void test_backups(void **state)
{
	struct health_facts f = well();
	(void)state;
	expect(&f, "backup", LEVEL_OK, "7 in /b, the newest 20 h old");
	f.backup.newest = NOW - 2 * DAY + 1;
	expect(&f, "backup", LEVEL_OK, "");
	f.backup.newest = NOW - 2 * DAY;
	expect(&f, "backup", LEVEL_WARNING, "48 h old");
	f.backup.newest = NOW - 7 * DAY;
	expect(&f, "backup", LEVEL_CRITICAL, "168 h old");
	f.up = 3 * HOUR;
	expect(&f, "backup", LEVEL_OK, "168 h old");
	f = well();
	f.backup.newest = 0;
	expect(&f, "backup", LEVEL_CRITICAL, "none in /b yet"); /* for 30 days */
	f.job[2].since = NOW - DAY;
	expect(&f, "backup", LEVEL_OK, "none in /b yet");
	f.backup.known = NOT_KNOWN;
	expect(&f, "backup", LEVEL_OK, "none is made each night");
	f.backup.known = FAILED_TO_KNOW;
	snprintf(f.backup.words, sizeof(f.backup.words), "/b: Permission denied");
	expect(&f, "backup", LEVEL_OK, "/b: Permission denied");
}

static void test_synchronizations(void **state)
{
	struct health_facts f = well();
	struct sync_facts *s = &f.store.sync;
	(void)state;
	expect(&f, "sync", LEVEL_OK, "no server above is set");
	s->wanted = true;
	snprintf(s->server, sizeof(s->server), "https://up:8531");
	expect(&f, "sync", LEVEL_OK, "none was made yet with https://up:8531; no schedule");
	s->period = DAY;
	s->since = NOW - 40 * DAY;
	s->last = s->good = NOW - 49 * HOUR; /* two nights, and an hour for what takes long */
	expect(&f, "sync", LEVEL_OK, "https://up:8531, the last 49 h ago");
	s->good -= MINUTE;
	expect(&f, "sync", LEVEL_WARNING, "");
	assert_non_null(strstr(judged(&f, "sync").remedy, "wsusctl sync run"));
	s->period = HOUR;
	s->good = NOW - 3 * HOUR - MINUTE;
	expect(&f, "sync", LEVEL_WARNING, "");
	f.up = HOUR;
	expect(&f, "sync", LEVEL_OK, "");
	f.up = 30 * DAY;
	s->good = NOW - 7 * DAY - 1;
	expect(&f, "sync", LEVEL_CRITICAL, "");
	s->good = 0;
	expect(&f, "sync", LEVEL_CRITICAL, "none succeeded yet");
	s->period = 0; /* by hand */
	expect(&f, "sync", LEVEL_OK, "");
	s->failed = true;
	s->failures = 3;
	snprintf(s->why, sizeof(s->why), "the name up is not known");
	snprintf(s->remedy, sizeof(s->remedy), "is the address right?");
	expect(&f, "sync", LEVEL_WARNING, "3 in a row failed: the name up is not known");
	assert_string_equal("is the address right?", judged(&f, "sync").remedy);
	s->failed = false;
	s->good = s->last = NOW - HOUR;
	f.job[4].failed = true; /* with no line in the history */
	snprintf(f.job[4].words, sizeof(f.job[4].words), "no such file");
	expect(&f, "sync", LEVEL_WARNING, "it could not begin: no such file");
	f.job[4].started = NOW - 2 * HOUR;
	expect(&f, "sync", LEVEL_OK, "");
	f.store.known = NOT_KNOWN;
	snprintf(f.store.words, sizeof(f.store.words), "none");
	expect(&f, "sync", LEVEL_OK, "not looked at");
}

static void test_files_that_are_missing(void **state)
{
	struct health_facts f = well();
	struct sync_facts *s = &f.store.sync;
	(void)state;
	expect(&f, "content", LEVEL_OK, "no file is missing");
	s->needed_files = 3;
	s->needed_bytes = 20 * GB;
	expect(&f, "content", LEVEL_OK, "3 files of 20.0 GB are missing: they come by `wsusctl content add`");
	s->wanted = true;
	expect(&f, "content", LEVEL_OK, "3 files of 20.0 GB are missing");
	s->failed_files = 1;
	snprintf(s->file_why, sizeof(s->file_why), "404");
	expect(&f, "content", LEVEL_WARNING, "1 could not be fetched: 404");
	s->failed_files = 0;
	f.content_disk = (struct disk_facts){KNOWN, 100 * GB, 21 * GB};
	s->spare = GB;
	expect(&f, "content", LEVEL_OK, "");
	s->spare++;
	expect(&f, "content", LEVEL_WARNING, "the disk has 21.0 GB, of which 1.0 GB stay free");
	f.content_disk.known = NOT_KNOWN;
	s->quota = 50 * GB;
	s->stored_bytes = 30 * GB;
	expect(&f, "content", LEVEL_OK, "");
	s->stored_bytes++;
	expect(&f, "content", LEVEL_WARNING, "content.quota is 50.0 GB");
}

static void write_file(const char *dir, const char *name, const char *text)
{
	char path[300];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void test_what_jobs_left_is_read(void **state)
{
	char dir[256], path[300];
	struct health_facts f = {.now = NOW};
	(void)state;
	fx_dir(dir);
	write_file(dir, "tick.since", "");
	write_file(dir, "tick.last", "started 1700000000\nended 1700000004\nstatus 1\nsucceeded 1699999990\nsaid no store here; make one\n");
	write_file(dir, "certificate.last", "started 5\n"); /* not expected here */
	write_file(dir, "backup.since", "");
	snprintf(path, sizeof(path), "%s/wsus-20231114T221320Z", dir);
	mkdir(path, 0700);
	write_file(path, "manifest", "");
	snprintf(path, sizeof(path), "%s/wsus-20241114T221320Z", dir); /* not finished: without a manifest */
	mkdir(path, 0700);
	write_file(dir, "sync.since", "");
	write_file(dir, "sync.lock", "process 4711 since then\n");
	write_file(dir, "fetch.since", "");
	write_file(dir, "fetch.lock", "process 4711 since then\n"); /* it has ended */
	snprintf(path, sizeof(path), "%s/sync.lock", dir);
	int lock = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(0, flock(lock, LOCK_EX | LOCK_NB));
	health_jobs_look(&f, &(struct health_places){.jobs = dir, .backups = dir});
	close(lock);
	assert_string_equal("tick", f.job[0].name);
	assert_int_equal(KNOWN, f.job[0].known);
	assert_true(f.job[0].failed);
	assert_int_equal(INT64_C(1700000000) * TICKS_PER_SECOND, f.job[0].started);
	assert_int_equal(INT64_C(1700000004) * TICKS_PER_SECOND, f.job[0].ended);
	assert_int_equal(INT64_C(1699999990) * TICKS_PER_SECOND, f.job[0].succeeded);
	assert_string_equal("no store here; make one", f.job[0].words);
	assert_int_equal(NOT_KNOWN, f.job[3].known);
	assert_true(f.job[4].running);
	assert_false(f.job[5].running);
	assert_int_equal(1, f.backup.n);
	assert_int_equal(INT64_C(1700000000) * TICKS_PER_SECOND, f.backup.newest);
	assert_true(f.up > 0);
	struct health_facts off = {.now = NOW};
	health_jobs_look(&off, &(struct health_places){.jobs = dir, .backups = ""});
	assert_int_equal(NOT_KNOWN, off.backup.known);
	fx_remove(dir);
}

static void test_limits_by_name(void **state)
{
	int64_t v[LIM__N] = {0};
	(void)state;
	OK(health_limit_set(v, "disk-warn=99", &fx_err));
	assert_int_equal(99, v[LIM_DISK_WARN]);
	IS(E_USAGE, health_limit_set(v, "disk-warn", &fx_err));
	IS(E_USAGE, health_limit_set(v, "disk-warn=much", &fx_err));
	IS(E_USAGE, health_limit_set(v, "disk=1", &fx_err));
}

/* ---- what is told ---- */

struct told {
	struct buf b;
	int rc;
};

static int tell(const struct transition *t, void *arg, struct err *e)
{
	struct told *l = arg;
	if (l->rc != E_OK)
		return err_set(e, l->rc, "no mail today");
	buf_printf(&l->b, "%s %s %s<%s %s/%s %jd;", t->event, t->check, level_names[t->level], level_names[t->before], t->cause,
		t->remedy, (intmax_t)(t->since ? (NOW - t->since) / MINUTE : -1));
	return E_OK;
}

static int run(struct health_state *s, struct told *l, enum level level, tick_t now)
{
	struct finding v[2] = {{.check = "disk", .level = level, .what = "full", .remedy = "buy"}, {.check = "scan", .what = "fine"}};
	int rc = health_notify(s, v, 2, now, tell, l, &fx_err);
	return rc;
}

static void expect_told(struct told *l, const char *words)
{
	assert_true(slice_eq(buf_bytes(&l->b), slice_of(words)));
	buf_reset(&l->b);
}

static void test_once_when_entered_and_once_when_left(void **state)
{
	struct health_state s = {0};
	struct told l = {.rc = E_OK};
	static const struct {
		enum level level;
		int minute;
		const char *told;
	} rows[] = {
		{LEVEL_OK, 0, ""}, /* well from the first: nothing to say */
		{LEVEL_WARNING, -60, "entered disk WARNING<OK full/buy -1;"},
		{LEVEL_WARNING, -50, ""},
		{LEVEL_CRITICAL, -40, "entered disk CRITICAL<WARNING full/buy 60;"},
		{LEVEL_CRITICAL, -30, ""},
		{LEVEL_OK, -20, "left disk OK<CRITICAL full/buy 40;"},
		{LEVEL_OK, -10, ""},
	};
	(void)state;
	buf_init(&l.b, 4096);
	for (unsigned i = 0; i < COUNTOF(rows); i++) {
		OK(run(&s, &l, rows[i].level, NOW + rows[i].minute * MINUTE));
		expect_told(&l, rows[i].told);
	}
	buf_free(&l.b);
}

static void test_what_could_not_be_told_is_told_next_time(void **state)
{
	struct health_state s = {0};
	struct told l = {.rc = E_IO};
	(void)state;
	buf_init(&l.b, 4096);
	IS(E_IO, run(&s, &l, LEVEL_CRITICAL, NOW));
	assert_string_equal("no mail today", fx_err.text);
	l.rc = E_OK;
	OK(run(&s, &l, LEVEL_CRITICAL, NOW));
	expect_told(&l, "entered disk CRITICAL<OK full/buy -1;");
	buf_free(&l.b);
}

static void test_the_state_is_kept(void **state)
{
	char dir[256], path[300];
	struct health_state s = {0}, back;
	struct told l = {.rc = E_OK};
	(void)state;
	buf_init(&l.b, 4096);
	fx_dir(dir);
	snprintf(path, sizeof(path), "%s/health.state", dir);
	OK(health_state_load(&back, path, &fx_err)); /* none yet */
	assert_int_equal(0, back.n);
	OK(run(&s, &l, LEVEL_UNKNOWN, NOW));
	for (unsigned i = 0; i < HEALTH_POINTS + 5; i++) {
		health_state_grow(&s, &(struct growth){NOW + i * DAY, i, 2, 3});
		health_state_grow(&s, &(struct growth){NOW + i * DAY + HOUR, 999, 2, 3}); /* too soon */
	}
	OK(health_state_save(&s, path, &fx_err));
	OK(health_state_load(&back, path, &fx_err));
	assert_memory_equal(&s, &back, sizeof(s));
	assert_int_equal(HEALTH_POINTS, back.ngrowth);
	assert_int_equal(5, back.growth[0].disk);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs("wsus-fcgi health 1\nlevel disk NEVER 5\nlevel\ngrowth 1 2\nlevel scan WARNING 7\n", f);
	fclose(f);
	OK(health_state_load(&back, path, &fx_err));
	assert_int_equal(1, back.n);
	assert_string_equal("scan", back.was[0].check);
	assert_int_equal(0, back.ngrowth);
	fx_remove(dir);
	buf_free(&l.b);
}

static void test_numbers_for_prometheus(void **state)
{
	struct health_facts f = well();
	struct finding v[] = {{.check = "disk", .level = LEVEL_WARNING}, {.check = "scan"}};
	struct buf b;
	(void)state;
	f.store.stat.computers = 7;
	f.store.counts.needing = 3;
	f.store.stale = 2;
	f.authority.known = NOT_KNOWN;
	buf_init(&b, 1 << 16);
	health_metrics_add(&b, &f, v, 2);
	buf_char(&b, '\0');
	assert_non_null(strstr(b.p, "\nwsus_health_level{check=\"disk\"} 1\nwsus_health_level{check=\"scan\"} 0\n"));
	assert_non_null(strstr(b.p, "# TYPE wsus_computers gauge\nwsus_computers 7\n"));
	assert_non_null(strstr(b.p, "# TYPE wsus_computers_needing gauge\nwsus_computers_needing 3\n"));
	assert_non_null(strstr(b.p, "\nwsus_computers_stale 2\n"));
	assert_non_null(strstr(b.p, "\nwsus_disk_free_bytes 50000000000\n"));
	assert_null(strstr(b.p, "certificate=\"authority\"")); /* not known */
	assert_null(strstr(b.p, "requests_last_hour"));
	buf_free(&b);
}

/* ---- the store, children, JSON ---- */

static void test_a_store_is_looked_at(void **state)
{
	char dir[256], path[300];
	struct store_facts f;
	(void)state;
	fx_dir(dir);
	health_store_look(&f, dir, NOW);
	assert_int_equal(NOT_KNOWN, f.known);
	OK(store_create(dir, &fx_err));
	health_store_look(&f, dir, NOW);
	assert_int_equal(KNOWN, f.known);
	assert_int_equal(3, f.stat.groups);
	snprintf(path, sizeof(path), "%s/catalog/data.mdb", dir);
	assert_int_equal(0, truncate(path, 8192)); /* the two meta pages: whatever is read next is not there */
	health_store_look(&f, dir, NOW);
	assert_int_equal(FAILED_TO_KNOW, f.known);
	fx_remove(dir);
}

static void come(struct txn *t, const char *id, tick_t at)
{
	struct computer c = {.id = slice_of(id), .dns_name = SL("pc"), .requested_groups = SL(""), .address = SL("10.0.0.1"), .last_seen = at};
	OK(computer_contact(t, &c, &fx_err));
}

static void report_event(struct txn *t, const char *id, int16_t event_id, tick_t at)
{
	struct report_event event = {.instance = {{1}}, .at = at, .name_space = 1, .id = event_id, .source = 101, .hresult = -1};
	struct report r = {.computer = slice_of(id), .client_time = at, .now = at, .event = &event, .n = 1};
	struct report_outcome out;
	OK(report_take(t, &r, &out, &fx_err));
}

static void test_what_computers_report_is_looked_at(void **state)
{
	char dir[256];
	struct store_facts s;
	struct fixture f;
	(void)state;
	fx_dir(dir);
	OK(store_create(dir, &fx_err));
	OK(store_open(&f.store, dir, STORE_ADMIN, &fx_err));
	struct txn *t = fx_begin(&f, TXN_FLEET);
	come(t, "good", NOW - HOUR);
	come(t, "ceased", NOW - HOUR);
	report_event(t, "ceased", 147, NOW - 5 * DAY);
	come(t, "failing", NOW - HOUR);
	report_event(t, "failing", 148, NOW - HOUR);
	come(t, "stale", NOW - 31 * DAY);
	report_event(t, "stale", 148, NOW - 31 * DAY);
	fx_commit(&f);
	store_close(&f.store);
	health_store_look(&s, dir, NOW);
	assert_int_equal(KNOWN, s.known);
	assert_int_equal(4, s.stat.computers);
	assert_int_equal(1, s.stale);
	assert_int_equal(1, s.unscanned);
	assert_int_equal(2, s.troubled);
	assert_int_equal(2, s.counts.sync_failed);
	fx_remove(dir);
}

static void test_the_health_computer_is_noted_nowhere(void **state)
{
	struct fixture *f = *state;
	struct computer c = {.id = SL(COMPUTER_HEALTH_ID), .dns_name = SL("x")}, other = {.id = SL("a-b"), .dns_name = SL("x")};
	OK(txn_begin(f->store, TXN_READ, &f->t, &fx_err));
	assert_false(computer_contact_differs(f->t, &c));
	assert_true(computer_contact_differs(f->t, &other));
	assert_false(computer_registration_differs(f->t, c.id, SL("info")));
	assert_true(computer_registration_differs(f->t, other.id, SL("info")));
	txn_end(&f->t);
}

static void test_children_are_bounded(void **state)
{
	const char *const says[] = {"/bin/echo", "well", NULL}, *const hangs[] = {"/bin/sleep", "60", NULL},
			 *const fails[] = {"/bin/false", NULL}, *const none[] = {"/nonexistent", NULL};
	struct buf b;
	int status;
	(void)state;
	buf_init(&b, 100);
	OK(health_run(says, 30, &b, &status, &fx_err));
	assert_int_equal(0, status);
	assert_int_equal(5, b.n);
	OK(health_run(fails, 30, NULL, &status, &fx_err));
	assert_int_equal(1, status);
	OK(health_run(none, 30, NULL, &status, &fx_err));
	assert_int_equal(127, status);
	OK(health_run(hangs, 1, &b, &status, &fx_err));
	assert_int_equal(137, status);
	buf_free(&b);
}

static void test_json_members(void **state)
{
	struct slice text = SL("{\"a\":\"x\\\"},\\n\\u0041\\u20ac\",\"ok\":true, \"list\":[ \"one\",\"two\"],\"o\":{\"ok\":false},\"none\":[]}\n");
	struct arena a;
	(void)state;
	arena_init(&a, 1 << 16);
	assert_true(slice_eq(SL("true"), json_member(text, "ok")));
	assert_true(slice_eq(SL("x\"},\nA?"), json_string(json_member(text, "a"), &a)));
	assert_true(slice_eq(SL("one"), json_string(json_first(json_member(text, "list")), &a)));
	assert_true(slice_eq(SL("false"), json_member(json_member(text, "o"), "ok")));
	assert_null(json_first(json_member(text, "none")).p);
	assert_null(json_member(text, "b").p);
	assert_null(json_member(SL("[]"), "a").p);
	assert_null(json_member(SL("{\"a"), "a").p);
	assert_null(json_string(SL("\"a"), &a).p);
	assert_null(json_string(SL("5"), &a).p);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_well_server),
		cmocka_unit_test(test_the_worst),
		cmocka_unit_test(test_scan_and_services),
		cmocka_unit_test(test_certificates),
		cmocka_unit_test(test_a_certificate_that_is_not_served),
		cmocka_unit_test(test_the_next_authority),
		cmocka_unit_test(test_disk),
		cmocka_unit_test(test_forecast),
		cmocka_unit_test(test_maps),
		cmocka_unit_test(test_a_store_that_is_bad),
		cmocka_unit_test(test_computers_ticks_faults),
		cmocka_unit_test(test_jobs),
		cmocka_unit_test(test_backups), cmocka_unit_test(test_synchronizations), cmocka_unit_test(test_files_that_are_missing),
		cmocka_unit_test(test_what_jobs_left_is_read),
		cmocka_unit_test(test_limits_by_name),
		cmocka_unit_test(test_once_when_entered_and_once_when_left),
		cmocka_unit_test(test_what_could_not_be_told_is_told_next_time),
		cmocka_unit_test(test_the_state_is_kept),
		cmocka_unit_test(test_numbers_for_prometheus),
		cmocka_unit_test(test_a_store_is_looked_at),
		cmocka_unit_test(test_what_computers_report_is_looked_at),
		cmocka_unit_test_setup_teardown(test_the_health_computer_is_noted_nowhere, fx_setup, fx_teardown),
		cmocka_unit_test(test_children_are_bounded),
		cmocka_unit_test(test_json_members),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
