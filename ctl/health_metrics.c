/* health_metrics.c -- facts and findings in the text format of Prometheus, version 0.0.4.
 *
 * A family is its HELP and TYPE lines and then its samples, all together, each name once; what is not known is left out.
 * Everything is a gauge: what is shown was found out at one moment.  Times are in seconds since 1970. */
#include "common/buf.h"
#include "ctl/health.h"

static void family(struct buf *b, const char *name, const char *help)
{
	buf_printf(b, "# HELP wsus_%s %s\n# TYPE wsus_%s gauge\n", name, help, name);
}

static void sample(struct buf *b, const char *name, const char *label, const char *value, int64_t v)
{
	if (label)
		buf_printf(b, "wsus_%s{%s=\"%s\"} %jd\n", name, label, value, (intmax_t)v);
	else
		buf_printf(b, "wsus_%s %jd\n", name, (intmax_t)v);
}

static int64_t seconds(tick_t t)
{
	return t > 0 ? t / TICKS_PER_SECOND : 0;
}

/* In seconds, to the microsecond. */
static void duration(struct buf *b, const char *name, const char *label, const char *value, tick_t t)
{
	uint64_t us = t > 0 ? (uint64_t)t / (TICKS_PER_SECOND / 1000000) : 0;
	buf_printf(b, "wsus_%s", name);
	if (label)
		buf_printf(b, "{%s=\"%s\"}", label, value);
	buf_printf(b, " %ju.%06u\n", (uintmax_t)(us / 1000000), (unsigned)(us % 1000000));
}

static void add_levels(struct buf *b, const struct finding *v, unsigned n)
{
	family(b, "health_level", "What wsusctl health found: 0 OK, 1 warning, 2 critical, 3 unknown.");
	for (unsigned i = 0; i < n; i++)
		sample(b, "health_level", "check", v[i].check, v[i].level);
}

static void add_scan(struct buf *b, const struct health_facts *f)
{
	if (f->scan.known != KNOWN)
		return;
	family(b, "scan_success", "1 if a scan through the public address held.");
	sample(b, "scan_success", NULL, NULL, f->scan.held);
	if (!f->scan.held)
		return;
	family(b, "scan_calls", "Requests of that scan.");
	sample(b, "scan_calls", NULL, NULL, f->scan.calls);
	family(b, "scan_duration_seconds", "How long that scan took.");
	duration(b, "scan_duration_seconds", NULL, NULL, f->scan.ms * (TICKS_PER_SECOND / 1000));
}

static void add_services(struct buf *b, const struct health_facts *f)
{
	bool any = false;
	for (unsigned i = 0; i < HEALTH_SERVICES; i++)
		any |= f->service[i].known == KNOWN;
	if (!any)
		return;
	family(b, "service_up", "1 if a worker of the service answered.");
	for (unsigned i = 0; i < HEALTH_SERVICES; i++)
		sample(b, "service_up", "service", f->service[i].name, f->service[i].answers);
	family(b, "service_answer_seconds", "How long the smallest request took.");
	for (unsigned i = 0; i < HEALTH_SERVICES; i++)
		duration(b, "service_answer_seconds", "service", f->service[i].name, f->service[i].took);
}

static void add_certificates(struct buf *b, const struct health_facts *f)
{
	static const char name[] = "certificate_end_timestamp_seconds";
	if (f->server.known != KNOWN && f->authority.known != KNOWN)
		return;
	family(b, name, "When the certificate of the server, and that of its authority, ends.");
	if (f->server.known == KNOWN)
		sample(b, name, "certificate", "server", seconds(f->server.ends));
	if (f->authority.known == KNOWN)
		sample(b, name, "certificate", "authority", seconds(f->authority.ends));
}

static void add_store(struct buf *b, const struct health_facts *f)
{
	const struct store_stat *s = &f->store.stat;
	family(b, "store_used_bytes", "Pages in use of each environment of the store.");
	sample(b, "store_used_bytes", "environment", "catalog", (int64_t)s->catalog_used);
	sample(b, "store_used_bytes", "environment", "fleet", (int64_t)s->fleet_used);
	family(b, "store_limit_bytes", "To which it may grow.");
	sample(b, "store_limit_bytes", "environment", "catalog", (int64_t)s->catalog_map);
	sample(b, "store_limit_bytes", "environment", "fleet", (int64_t)s->fleet_map);
	family(b, "computers_seen", "Computers that came within the time.");
	sample(b, "computers_seen", "within", "1h", f->store.hour);
	sample(b, "computers_seen", "within", "24h", f->store.day);
	sample(b, "computers_seen", "within", "7d", f->store.week);
	sample(b, "computers_seen", "within", "30d", f->store.month);
}

static void add_faults(struct buf *b, const struct health_facts *f)
{
	if (f->log.known != KNOWN || f->log.ncode == 0)
		return;
	family(b, "fault_answers_last_hour", "Answers of the last hour that were faults, by the code that clients were told.");
	for (unsigned i = 0; i < f->log.ncode; i++)
		sample(b, "fault_answers_last_hour", "code", f->log.code[i].code, (int64_t)f->log.code[i].n);
}

static bool any_job(const struct health_facts *f)
{
	for (unsigned i = 0; i < HEALTH_JOBS; i++)
		if (f->job[i].known == KNOWN)
			return true;
	return false;
}

static void add_jobs(struct buf *b, const struct health_facts *f)
{
	static const char *const rows[][2] = {
		{"job_start_timestamp_seconds", "When the job began last, 0: never."},
		{"job_success_timestamp_seconds", "When the job ended well last, 0: never."},
		{"job_failed", "1 if its last run failed."},
		{"job_duration_seconds", "How long its last run took."},
	};
	for (unsigned r = 0; any_job(f) && r < COUNTOF(rows); r++) {
		family(b, rows[r][0], rows[r][1]);
		for (unsigned i = 0; i < HEALTH_JOBS; i++) {
			const struct job_facts *j = &f->job[i];
			const int64_t v[] = {seconds(j->started), seconds(j->succeeded), j->failed, seconds(j->ended) - seconds(j->started)};
			if (j->known == KNOWN)
				sample(b, rows[r][0], "job", j->name, v[r]);
		}
	}
}

struct single {
	enum known known;
	const char *name, *help;
	int64_t v;
};

static void add_rows(struct buf *b, const struct single *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (rows[i].known != KNOWN)
			continue;
		family(b, rows[i].name, rows[i].help);
		sample(b, rows[i].name, NULL, NULL, rows[i].v);
	}
}

static void add_single(struct buf *b, const struct health_facts *f)
{
	const struct store_stat *s = &f->store.stat;
	const struct single rows[] = {
		{KNOWN, "check_timestamp_seconds", "When all this was found out.", seconds(f->now)},
		{f->disk.known, "disk_size_bytes", "Of the disk with the store.", (int64_t)f->disk.total},
		{f->disk.known, "disk_free_bytes", "Of the disk with the store.", (int64_t)f->disk.free},
		{f->store.known, "updates", "Updates known.", s->updates},
		{f->store.known, "updates_declined", "Updates that are declined.", s->declined},
		{f->store.known, "files", "Files that updates name.", s->files},
		{f->store.known, "files_stored", "Those of them that are here.", s->files_stored},
		{f->store.known, "files_wanted", "Files that downstream servers asked for and that are not here.", (int64_t)f->store.wanted.files},
		{f->store.known, "files_wanted_bytes", "Their size.", (int64_t)f->store.wanted.bytes},
		{f->store.known, "downstream_servers", "Downstream servers that are approved.", f->store.downstream_approved},
		{f->store.known, "downstream_servers_pending", "Downstream servers that nobody decided upon.", f->store.downstream_pending},
		{f->store.known, "revisions", "Revisions held.", s->revisions},
		{f->store.known, "approvals", "Approvals, of all groups.", s->deployments},
		{f->store.known, "approvals_overdue", "Approvals whose go-live time has passed without effect.", f->store.overdue},
		{f->store.known, "groups", "Target groups.", s->groups},
		{f->store.known, "computers", "Computers known.", s->computers},
		{f->store.known, "contact_timestamp_seconds", "When a computer came last, 0: never.", seconds(f->store.newest)},
		{f->store.known, "epoch", "Counts every change that clients can see.", s->state.epoch},
		{f->store.known, "generation", "Counts restores and moves of the store.", s->state.generation},
		{f->log.known, "requests_last_hour", "Requests of the last hour.", (int64_t)f->log.requests},
		{f->log.known, "failures_last_hour", "Requests of the last hour that failed by the server's fault.",
			(int64_t)f->log.faults},
		{f->backup.known, "backups", "Backups in the directory of the nightly ones.", f->backup.n},
		{f->backup.known, "backup_timestamp_seconds", "When the newest of them was made, 0: there is none.",
			seconds(f->backup.newest)},
	};
	const struct sync_facts *y = &f->store.sync;
	enum known above = f->store.known == KNOWN && y->wanted ? KNOWN : NOT_KNOWN;
	const struct single of_sync[] = {
		{above, "sync_end_timestamp_seconds", "When the last synchronization with the server above ended, 0: none did.", seconds(y->last)},
		{above, "sync_success_timestamp_seconds", "When one ended well last, 0: none did.", seconds(y->good)},
		{above, "sync_failed", "1 if the last one failed.", y->failed},
		{above, "sync_seconds", "How long the last one took.", seconds(y->took)},
		{above, "sync_new_revisions", "New revisions that the last good one brought.", y->documents},
		{f->store.known, "files_needed", "Files that are to be fetched.", (int64_t)y->needed_files},
		{f->store.known, "files_needed_bytes", "Their size.", (int64_t)y->needed_bytes},
		{f->store.known, "files_failed", "Those of them that could not be fetched so far.", y->failed_files},
	};
	const struct single of_reports[] = {
		{f->store.known, "computers_reported", "Computers that have told their updates.", f->store.counts.reported},
		{f->store.known, "computers_needing", "Computers that need an update.", f->store.counts.needing},
		{f->store.known, "computers_failed", "Computers on which an update failed.", f->store.counts.failed},
		{f->store.known, "computers_up_to_date", "Computers that need no update.", f->store.counts.up_to_date},
		{f->store.known, "computers_pending_restart", "Computers that wait for a restart.", f->store.counts.pending},
		{f->store.known, "computers_sync_failed", "Computers whose last scan failed.", f->store.counts.sync_failed},
		{f->store.known, "computers_stale", "Computers that have not come for report.stale-days.", f->store.stale},
		{f->store.known, "updates_needed", "Updates that a computer needs.", f->store.counts.updates_needed},
		{f->store.known, "updates_failed", "Updates that failed on a computer.", f->store.counts.updates_failed},
	};
	add_rows(b, rows, COUNTOF(rows));
	add_rows(b, of_reports, COUNTOF(of_reports));
	add_rows(b, of_sync, COUNTOF(of_sync));
}

void health_metrics_add(struct buf *b, const struct health_facts *f, const struct finding *v, unsigned n)
{
	add_levels(b, v, n);
	add_single(b, f);
	add_scan(b, f);
	add_services(b, f);
	add_certificates(b, f);
	if (f->store.known == KNOWN)
		add_store(b, f);
	add_faults(b, f);
	add_jobs(b, f);
}
