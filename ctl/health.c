/* health.c -- the table of checks: from facts and thresholds to findings.  Neither clock nor disk is asked here. */
#include "ctl/health.h"

#include <inttypes.h>
#include <stdarg.h>

#include "common/text.h"

#define DAY (86400 * TICKS_PER_SECOND)
#define HOUR (3600 * TICKS_PER_SECOND)
#define MINUTE (60 * TICKS_PER_SECOND)
#define FORECAST_MIN_SPAN DAY /* less says more about one import than about growth */

const char *const level_names[LEVEL__N] = {"OK", "WARNING", "CRITICAL", "UNKNOWN"};

enum level level_worse(enum level a, enum level b)
{
	static const int rank[LEVEL__N] = {[LEVEL_OK] = 0, [LEVEL_WARNING] = 1, [LEVEL_UNKNOWN] = 2, [LEVEL_CRITICAL] = 3};
	return rank[a] >= rank[b] ? a : b;
}

const struct limit_info health_limits[LIM__N] = {
	[LIM_DISK_WARN] = {"disk-warn", 10, "percent free", "a month's cumulative updates of one product are 1 to 2 % of 1 TB"},
	[LIM_DISK_CRITICAL] = {"disk-critical", 3, "percent free", "a store that cannot grow notes no new computer"},
	[LIM_DAYS_WARN] = {"days-warn", 14, "days until full", "time to order and add a disk"},
	[LIM_DAYS_CRITICAL] = {"days-critical", 3, "days until full", "a weekend"},
	[LIM_MAP_WARN] = {"map-warn", 40, "percent full", "from half on fleet/ takes no new computers"},
	[LIM_MAP_CRITICAL] = {"map-critical", 80, "percent full", "an import may copy many pages before it frees them"},
	[LIM_CERT_WARN] = {"certificate-warn", 21, "days left", "renewal begins at 30: at 21 it has failed for nine days"},
	[LIM_CERT_CRITICAL] = {"certificate-critical", 7, "days left", "a week is what a holiday takes"},
	[LIM_CA_WARN] = {"authority-warn", 90, "days left", "every computer must get the new one first"},
	[LIM_CA_CRITICAL] = {"authority-critical", 30, "days left", "a server certificate cannot be longer than its authority"},
	[LIM_SILENT_WARN] = {"silent-warn", 7, "days", "computers look once in 22 hours: a week is no weekend"},
	[LIM_TROUBLED_WARN] = {"troubled-warn", 10, "percent of computers", "a few always are: more have a common cause"},
	[LIM_TICK_WARN] = {"tick-warn", 5, "minutes", "the job runs every minute"},
	[LIM_TICK_CRITICAL] = {"tick-critical", 60, "minutes", "administrators expect an approval to take effect in time"},
	[LIM_FAULTS_WARN] = {"faults-warn", 5, "percent of requests", "the server's own failures are rare: overload at worst"},
	[LIM_BACKUP_WARN] = {"backup-warn", 2, "days", "it is made each night: at two days one is missing"},
	[LIM_BACKUP_CRITICAL] = {"backup-critical", 7, "days", "more work than that is hard to do again"},
	[LIM_SYNC_WARN] = {"sync-warn", 2, "intervals of its schedule", "one that failed is tried again before the next"},
	[LIM_SYNC_CRITICAL] = {"sync-critical", 7, "days", "updates come once a month, those that cannot wait on any day"},
	[LIM_FAULTS_CRITICAL] = {"faults-critical", 50, "percent of requests", "most computers get nothing"},
};

int health_limit_set(int64_t *v, const char *text, struct err *e)
{
	struct slice rest = slice_of(text), name = text_cut(&rest, '=');
	for (unsigned i = 0; i < LIM__N; i++)
		if (slice_eq(name, slice_of(health_limits[i].name)))
			return rest.p && text_i64(rest, &v[i]) ? E_OK
				: err_set(e, E_USAGE, "--limit %s wants a whole number of %s", health_limits[i].name, health_limits[i].unit);
	return err_set(e, E_USAGE, "--limit knows no \"%.*s\"; wsusctl(8) lists the names", SLF(name));
}

/* ---- words ---- */

static void PRINTF(2, 3) what(struct finding *o, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(o->what, sizeof(o->what), fmt, ap);
	va_end(ap);
}

/* Behind what stands there. */
static void PRINTF(2, 3) what_more(struct finding *o, const char *fmt, ...)
{
	size_t n = strlen(o->what);
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(o->what + n, sizeof(o->what) - n, fmt, ap);
	va_end(ap);
}

static void PRINTF(3, 4) bad(struct finding *o, enum level l, const char *fmt, ...)
{
	va_list ap;
	o->level = l;
	va_start(ap, fmt);
	vsnprintf(o->remedy, sizeof(o->remedy), fmt, ap);
	va_end(ap);
}

/* Less is worse. */
static enum level below(int64_t v, int64_t warn, int64_t critical)
{
	return v < critical ? LEVEL_CRITICAL : v < warn ? LEVEL_WARNING : LEVEL_OK;
}

static enum level above(int64_t v, int64_t warn, int64_t critical)
{
	return v > critical ? LEVEL_CRITICAL : v > warn ? LEVEL_WARNING : LEVEL_OK;
}

static int64_t percent(uint64_t part, uint64_t of)
{
	return of ? (int64_t)((double)part * 100 / (double)of) : 0;
}

/* ---- the checks ---- */

/* What may not be looked at is neither well nor ill. */
#define AS_ROOT "run this as root: you may not look at it"

static void check_scan(const struct health_facts *f, struct finding *o)
{
	if (f->scan.known == FORBIDDEN) {
		what(o, "no scan could be made: %s", f->scan.words);
		bad(o, LEVEL_UNKNOWN, AS_ROOT);
	} else if (f->scan.known == FAILED_TO_KNOW) {
		what(o, "no scan could be made: %s", f->scan.words);
		bad(o, LEVEL_UNKNOWN, "wsus-probe has to stand beside wsusctl, and the file of --ca has to be there");
	} else if (f->scan.known == NOT_KNOWN) {
		what(o, "not asked for: no URL");
	} else {
		what(o, "%s: %s", f->scan.url, f->scan.words);
		if (!f->scan.held)
			bad(o, LEVEL_CRITICAL, "what computers see is the same; `wsus-probe %.150s%s%.150s` shows more", f->scan.url,
				f->scan.ca ? " --ca " : "", f->scan.ca ? f->scan.ca : "");
	}
}

static void judge_certificate(const struct cert_facts *k, const struct health_facts *f, enum health_limit warn,
	enum health_limit critical, const char *remedy, struct finding *o)
{
	int64_t days = (k->ends - f->now) / DAY;
	if (k->known != KNOWN) {
		what(o, "%s", k->words[0] ? k->words : "none");
		if (k->known != NOT_KNOWN)
			bad(o, LEVEL_UNKNOWN, "%s", k->known == FORBIDDEN ? AS_ROOT : remedy);
		return;
	}
	if (k->ends <= f->now)
		what(o, "it has ended");
	else
		what(o, "%" PRId64 " days left%s", days, k->weak ? "; signed with less than SHA-256, which Windows refuses" : "");
	enum level l = k->weak || k->ends <= f->now ? LEVEL_CRITICAL : below(days, f->limit[warn], f->limit[critical]);
	if (l != LEVEL_OK)
		bad(o, l, "%s", remedy);
}

static void check_certificate(const struct health_facts *f, struct finding *o)
{
	char remedy[HEALTH_WORDS];
	snprintf(remedy, sizeof(remedy), "renew it: `tls.sh --renew %.300s` (certbot does, for one of your own)", f->tls);
	judge_certificate(&f->server, f, LIM_CERT_WARN, LIM_CERT_CRITICAL, remedy, o);
	if (!f->unserved[0])
		return;
	what_more(o, "; %.250s is another one, which is not served", f->unserved);
	bad(o, level_worse(o->level, LEVEL_WARNING), "nginx did not take up the new one: `nginx -t` says what it refuses; then reload "
		"it, or start it again");
}

/* The authority signs nothing in its last month (scripts/tls.sh). */
#define LAST_MONTH (30 * DAY)

static void check_authority(const struct health_facts *f, struct finding *o)
{
	bool next = f->successor.known == KNOWN;
	char remedy[HEALTH_WORDS], by[DATE_TEXT + 1];
	if (next)
		snprintf(remedy, sizeof(remedy), "when every computer has both: `tls.sh --switch %.300s`", f->tls);
	else
		snprintf(remedy, sizeof(remedy), "`tls.sh --renew %.300s` makes the next one, which every computer must get first", f->tls);
	judge_certificate(&f->authority, f, LIM_CA_WARN, LIM_CA_CRITICAL, remedy, o);
	if (!next || f->authority.known != KNOWN)
		return;
	date_text(f->authority.ends - LAST_MONTH, by);
	what_more(o, "; the next one is made: `wsusctl client setup` hands out both, and `tls.sh --switch` lets it sign once every "
		"computer has it, by %s at the latest", by);
}

static void check_services(const struct health_facts *f, struct finding *o)
{
	unsigned n[FORBIDDEN + 1] = {0}, answer = 0;
	const char *first = "", *words = "";
	for (unsigned i = HEALTH_SERVICES; i-- > 0;) {
		bool answers = f->service[i].known == KNOWN && f->service[i].answers;
		n[f->service[i].known]++;
		answer += answers;
		if (f->service[i].known != NOT_KNOWN && !answers) {
			first = f->service[i].name;
			words = f->service[i].words;
		}
	}
	if (n[NOT_KNOWN] == HEALTH_SERVICES) {
		what(o, "no sockets of services here");
	} else if (n[FORBIDDEN]) {
		what(o, "%u of %u may not be asked; %s: %s", n[FORBIDDEN], HEALTH_SERVICES, first, words);
		bad(o, LEVEL_UNKNOWN, AS_ROOT);
	} else if (answer == n[KNOWN]) {
		what(o, "%u of %u answer", answer, n[KNOWN]);
	} else {
		what(o, "%u of %u do not answer; %s: %s", n[KNOWN] - answer, n[KNOWN], first, words);
		bad(o, LEVEL_CRITICAL, "start wsus-%s again and look at its log", first);
	}
}

static void check_store(const struct health_facts *f, struct finding *o)
{
	if (f->store.known == FORBIDDEN) {
		what(o, "%s", f->store.words);
		bad(o, LEVEL_UNKNOWN, AS_ROOT);
	} else if (f->store.known != KNOWN) {
		what(o, "%s", f->store.words);
		bad(o, f->store.known == NOT_KNOWN ? LEVEL_UNKNOWN : LEVEL_CRITICAL, "%s",
			f->store.known == NOT_KNOWN ? "name its place with --store" : "`wsusctl store audit`; `wsusctl restore` brings a "
				"backup back, `wsusctl store reset` begins anew");
	} else if (f->store.bad > 0) {
		what(o, "%u of %u revisions looked at cannot be read: %s", f->store.bad, f->store.checked, f->store.words);
		bad(o, LEVEL_CRITICAL, "`wsusctl store audit` says what else; `wsusctl restore` brings a backup back");
	} else {
		what(o, "opens; %u revisions looked at can be read", f->store.checked);
	}
}

/* Days until `left` more is taken at the pace from the oldest point to the newest; false: nothing can be said. */
static bool forecast(const struct health_facts *f, size_t field, uint64_t left, int64_t *days)
{
	if (f->ngrowth < 2)
		return false;
	const struct growth *a = &f->growth[0], *b = &f->growth[f->ngrowth - 1];
	uint64_t was, is;
	memcpy(&was, (const char *)a + field, sizeof(was));
	memcpy(&is, (const char *)b + field, sizeof(is));
	if (b->at - a->at < FORECAST_MIN_SPAN)
		return false;
	double span = (double)(b->at - a->at) / (double)DAY, pace = is > was ? (double)(is - was) / span : 0;
	double d = pace > 0 ? (double)left / pace : 36500;
	*days = d > 36500 ? 36500 : (int64_t)d;
	return true;
}

static enum level judge_forecast(const struct health_facts *f, size_t field, uint64_t left, struct finding *o)
{
	int64_t days;
	if (!forecast(f, field, left, &days)) {
		what_more(o, "; no forecast: growth over a day is not noted yet");
		return LEVEL_OK;
	}
	if (days >= 36500)
		what_more(o, "; does not grow");
	else
		what_more(o, "; full in %" PRId64 " days at the pace so far", days);
	return below(days, f->limit[LIM_DAYS_WARN], f->limit[LIM_DAYS_CRITICAL]);
}

static void check_disk(const struct health_facts *f, struct finding *o)
{
	if (f->disk.known != KNOWN) {
		what(o, "the disk of the store cannot be asked");
		bad(o, LEVEL_UNKNOWN, "is the store there, and may you enter it?");
		return;
	}
	int64_t free = percent(f->disk.free, f->disk.total);
	what(o, "%" PRId64 " %% (%.1f GB) free", free, (double)f->disk.free / 1e9);
	enum level l = below(free, f->limit[LIM_DISK_WARN], f->limit[LIM_DISK_CRITICAL]);
	l = level_worse(l, judge_forecast(f, offsetof(struct growth, disk), f->disk.free, o));
	if (l != LEVEL_OK)
		bad(o, l, "enlarge the disk, or remove files of updates that nobody needs (decline, then delete from content/)");
}

static void judge_map(const struct health_facts *f, uint64_t used, uint64_t map, size_t field, const char *variable,
	struct finding *o)
{
	if (f->store.known != KNOWN) {
		what(o, "not looked at: the store does not open");
		return;
	}
	int64_t full = percent(used, map);
	what(o, "%" PRId64 " %% of %.1f GB taken", full, (double)map / 1e9);
	enum level l = above(full, f->limit[LIM_MAP_WARN], f->limit[LIM_MAP_CRITICAL]);
	l = level_worse(l, judge_forecast(f, field, map > used ? map - used : 0, o));
	if (l != LEVEL_OK)
		bad(o, l, "set %s to more for services and jobs, and start them again", variable);
}

static void check_catalog(const struct health_facts *f, struct finding *o)
{
	judge_map(f, f->store.stat.catalog_used, f->store.stat.catalog_map, offsetof(struct growth, catalog),
		"WSUS_CATALOG_MAP_MB", o);
}

static void check_fleet(const struct health_facts *f, struct finding *o)
{
	judge_map(f, f->store.stat.fleet_used, f->store.stat.fleet_map, offsetof(struct growth, fleet), "WSUS_FLEET_MAP_MB", o);
}

#define TROUBLED_LEAST 5u

/* Whether many of those that come cannot scan, or report no more; of few computers each is its own case. */
static void judge_troubled(const struct health_facts *f, struct finding *o)
{
	const struct store_facts *s = &f->store;
	if (s->troubled < TROUBLED_LEAST || (int64_t)s->troubled * 100 <= f->limit[LIM_TROUBLED_WARN] * s->week)
		return;
	what(o, "%u; of %u that came in the last week, scans of %u fail and %u have ceased to report", s->stat.computers, s->week, s->unscanned,
		s->troubled - s->unscanned);
	bad(o, LEVEL_WARNING, "`wsusctl report summary` has what they say of failed scans, `wsusctl log --faults` what they were told");
}

static void check_computers(const struct health_facts *f, struct finding *o)
{
	if (f->store.known != KNOWN) {
		what(o, "not looked at: the store does not open");
		return;
	}
	if (f->store.stat.computers == 0) {
		what(o, "none has come yet");
		return;
	}
	what(o, "%u; %u came in the last day, %u in the last week", f->store.stat.computers, f->store.day, f->store.week);
	if (f->now - f->store.newest > f->limit[LIM_SILENT_WARN] * DAY)
		bad(o, LEVEL_WARNING, "can computers reach the server, and does their policy (WUServer) still name it?");
	else
		judge_troubled(f, o);
}

static void check_tick(const struct health_facts *f, struct finding *o)
{
	int64_t minutes = (f->now - f->store.overdue_since) / MINUTE;
	if (f->store.known != KNOWN)
		what(o, "not looked at: the store does not open");
	else if (f->store.overdue == 0)
		what(o, "nothing is overdue");
	else {
		what(o, "%u approvals wait though their go-live time has passed, the first for %" PRId64 " min", f->store.overdue,
			minutes);
		enum level l = above(minutes, f->limit[LIM_TICK_WARN] - 1, f->limit[LIM_TICK_CRITICAL] - 1);
		if (l != LEVEL_OK)
			bad(o, l, "`wsusctl store tick` does it now; the job that runs it every minute has stopped");
	}
}

static void check_faults(const struct health_facts *f, struct finding *o)
{
	if (f->log.known != KNOWN) {
		what(o, "not known: %s", f->log.last);
		return;
	}
	int64_t share = percent(f->log.faults, f->log.requests);
	what(o, "%ju of %ju requests in the last hour failed by the server's fault%s%s", (uintmax_t)f->log.faults,
		(uintmax_t)f->log.requests, f->log.last[0] ? "; the last: " : "", f->log.last);
	enum level l = above(share, f->limit[LIM_FAULTS_WARN], f->limit[LIM_FAULTS_CRITICAL]);
	if (l != LEVEL_OK)
		bad(o, l, "`wsusctl log --faults` has a line for each that says why");
}

/* The period of each job and what to do; in twice the time and an hour it has run whatever its random wait is. */
static const struct {
	const char *name;
	tick_t period;
} job_periods[HEALTH_JOBS] = {{"tick", MINUTE}, {"health", 5 * MINUTE}, {"backup", DAY}, {"certificate", DAY}, {"sync", 10 * MINUTE},
	{"fetch", 10 * MINUTE}, {"cleanup", DAY}};

#define SETTLED (3 * HOUR) /* after a start of the machine a daily job may wait for two hours, others come in minutes */

static tick_t job_period(const char *name)
{
	for (unsigned i = 0; i < HEALTH_JOBS; i++)
		if (strcmp(job_periods[i].name, name) == 0)
			return job_periods[i].period;
	return DAY;
}

static bool is_late(const struct health_facts *f, const struct job_facts *j)
{
	tick_t last = MAX(j->since, j->started);
	return f->up > SETTLED && !j->running && f->now - last > 2 * job_period(j->name) + HOUR;
}

/* Of some only that they come: what they found is what is being said, or has a check of its own. */
static bool is_bad_run(const struct job_facts *j)
{
	static const char *const told[] = {"health", "sync", "fetch"};
	for (unsigned i = 0; i < COUNTOF(told); i++)
		if (strcmp(j->name, told[i]) == 0)
			return false;
	return j->failed;
}

static void judge_job(const struct health_facts *f, const struct job_facts *j, struct finding *o)
{
	size_t n = strlen(o->what);
	tick_t last = MAX(j->since, j->started);
	const char *between = n ? "; " : "";
	if (is_late(f, j))
		snprintf(o->what + n, sizeof(o->what) - n, "%s%s has not run for %" PRId64 " h", between, j->name, (f->now - last) / HOUR);
	else if (is_bad_run(j))
		snprintf(o->what + n, sizeof(o->what) - n, "%s%s failed: %.200s", between, j->name, j->words);
	else
		return;
	if (o->level == LEVEL_OK)
		bad(o, LEVEL_WARNING, "its log says more; `systemctl start wsus-%s` runs it now, job.sh where there is no systemd: see wsus-jobs(8)",
			j->name);
}

static void check_jobs(const struct health_facts *f, struct finding *o)
{
	unsigned known = 0;
	for (unsigned i = 0; i < HEALTH_JOBS; i++) {
		known += f->job[i].known == KNOWN;
		if (f->job[i].known == KNOWN)
			judge_job(f, &f->job[i], o);
	}
	if (known == 0)
		what(o, "none are set up here");
	else if (o->level == LEVEL_OK)
		what(o, "%u run as they should", known);
}

static const struct job_facts *find_job(const struct health_facts *f, const char *name)
{
	for (unsigned i = 0; i < HEALTH_JOBS; i++)
		if (f->job[i].known == KNOWN && strcmp(f->job[i].name, name) == 0)
			return &f->job[i];
	return NULL;
}

static void check_backup(const struct health_facts *f, struct finding *o)
{
	const struct job_facts *j = find_job(f, "backup");
	if (f->backup.known != KNOWN || !j) {
		what(o, "%s", f->backup.known == FAILED_TO_KNOW ? f->backup.words : "none is made each night here");
		return;
	}
	tick_t last = MAX(f->backup.newest, j->since);
	int64_t days = (f->now - last) / DAY;
	if (f->backup.newest)
		what(o, "%u in %.200s, the newest %" PRId64 " h old", f->backup.n, f->backup.dir, (f->now - f->backup.newest) / HOUR);
	else
		what(o, "none in %.200s yet", f->backup.dir);
	enum level l = above(days, f->limit[LIM_BACKUP_WARN] - 1, f->limit[LIM_BACKUP_CRITICAL] - 1);
	if (l != LEVEL_OK && f->up > SETTLED)
		bad(o, l, "`systemctl start wsus-backup` makes one now, job.sh where there is no systemd, and its log says what is in its way: see "
			"wsus-jobs(8); backup.to of wsus.conf is where it goes");
}

/* ---- the server above this one ---- */

static void describe_sync(const struct health_facts *f, const struct sync_facts *s, struct finding *o)
{
	if (s->last == 0)
		what(o, "none was made yet with %.150s", s->server);
	else if (s->good == 0)
		what(o, "none succeeded yet with %.150s", s->server);
	else
		what(o, "%.150s, the last %" PRId64 " h ago", s->server, (f->now - s->good) / HOUR);
	if (s->period == 0)
		what_more(o, "; no schedule");
}

/* A job that did not come so far as to write history. */
static bool could_not_begin(const struct health_facts *f, const struct sync_facts *s, const struct job_facts **job)
{
	*job = find_job(f, "sync");
	return *job && (*job)->failed && (*job)->started > s->last;
}

static void check_sync(const struct health_facts *f, struct finding *o)
{
	const struct sync_facts *s = &f->store.sync;
	const struct job_facts *job;
	if (f->store.known != KNOWN) {
		what(o, "not looked at: the store does not open");
		return;
	}
	if (!s->wanted) {
		what(o, "no server above is set: updates come by `wsusctl update import`");
		return;
	}
	describe_sync(f, s, o);
	tick_t from = s->good ? s->good : s->since, age = f->now - from;
	enum level l = from && s->period ? above(age, f->limit[LIM_SYNC_WARN] * s->period + HOUR, f->limit[LIM_SYNC_CRITICAL] * DAY)
		: LEVEL_OK;
	if (l != LEVEL_OK && f->up > SETTLED)
		bad(o, l, "`wsusctl sync history` says what was in the way, `wsusctl sync run` tries now");
	if (s->failed) {
		what_more(o, "; %u in a row failed: %s", s->failures, s->why);
		bad(o, level_worse(o->level, LEVEL_WARNING), "%s", s->remedy[0] ? s->remedy : "`wsusctl sync history` says more");
	} else if (could_not_begin(f, s, &job)) {
		what_more(o, "; it could not begin: %.200s", job->words);
		bad(o, level_worse(o->level, LEVEL_WARNING), "`wsusctl sync run` shows it; see wsus-sync.sh(8)");
	}
}

static void check_room(const struct health_facts *f, const struct sync_facts *s, struct finding *o)
{
	if (s->quota && s->stored_bytes + s->needed_bytes > s->quota) {
		what_more(o, "; with what is here that is %.1f GB, content.quota is %.1f GB", (double)(s->stored_bytes + s->needed_bytes) / 1e9,
			(double)s->quota / 1e9);
		bad(o, LEVEL_WARNING, "`wsusctl config set content.quota` to more, or unapprove what nobody wants: wsus-cleanup.sh(8) then makes room");
	}
	if (f->content_disk.known == KNOWN && s->needed_bytes + s->spare > f->content_disk.free) {
		what_more(o, "; the disk has %.1f GB, of which %.1f GB stay free", (double)f->content_disk.free / 1e9, (double)s->spare / 1e9);
		bad(o, LEVEL_WARNING, "enlarge the disk of the content directory, or unapprove what nobody wants");
	}
}

static void check_content(const struct health_facts *f, struct finding *o)
{
	const struct sync_facts *s = &f->store.sync;
	if (f->store.known != KNOWN) {
		what(o, "not looked at: the store does not open");
		return;
	}
	if (s->needed_files == 0) {
		what(o, "no file is missing");
		return;
	}
	what(o, "%ju files of %.1f GB are missing", (uintmax_t)s->needed_files, (double)s->needed_bytes / 1e9);
	if (!s->wanted) {
		what_more(o, ": they come by `wsusctl content add`");
		return;
	}
	if (s->failed_files) {
		what_more(o, "; %u could not be fetched: %s", s->failed_files, s->file_why);
		bad(o, LEVEL_WARNING, "`wsusctl content status` says which; they are tried again, at once by `wsusctl content fetch`");
	}
	check_room(f, s, o);
}

static const struct {
	const char *name;
	void (*run)(const struct health_facts *f, struct finding *o);
} checks[] = {
	{"scan", check_scan},       {"certificate", check_certificate}, {"authority", check_authority},
	{"services", check_services}, {"store", check_store},           {"disk", check_disk},
	{"catalog", check_catalog}, {"fleet", check_fleet},             {"computers", check_computers},
	{"tick", check_tick},       {"faults", check_faults},           {"sync", check_sync},
	{"content", check_content},
	{"jobs", check_jobs},       {"backup", check_backup},
};
static_assert(COUNTOF(checks) + 2 <= HEALTH_CHECKS_MAX, "room for every check, and for what notifying and writing have to say");

unsigned health_judge(const struct health_facts *f, struct finding out[HEALTH_CHECKS_MAX], enum level *worst)
{
	*worst = LEVEL_OK;
	for (unsigned i = 0; i < COUNTOF(checks); i++) {
		out[i] = (struct finding){.check = checks[i].name};
		checks[i].run(f, &out[i]);
		*worst = level_worse(*worst, out[i].level);
	}
	return COUNTOF(checks);
}
