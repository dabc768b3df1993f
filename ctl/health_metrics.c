/* health_metrics.c -- facts and findings as Prometheus reads them: one gauge a line.
 *
 * It goes into a file, which a web server or the collector of a node exporter shows: no service learns to do more. */
#include "common/buf.h"
#include "ctl/health.h"

static void gauge(struct buf *b, const char *name, const char *help, uint64_t v)
{
	buf_printf(b, "# HELP wsus_%s %s\n# TYPE wsus_%s gauge\nwsus_%s %ju\n", name, help, name, name, (uintmax_t)v);
}

static void add_levels(struct buf *b, const struct finding *v, unsigned n)
{
	buf_str(b, "# HELP wsus_health_level 0 OK, 1 warning, 2 critical, 3 unknown\n# TYPE wsus_health_level gauge\n");
	for (unsigned i = 0; i < n; i++)
		buf_printf(b, "wsus_health_level{check=\"%s\"} %d\n", v[i].check, (int)v[i].level);
}

static uint64_t seconds(tick_t t)
{
	return t > 0 ? (uint64_t)(t / TICKS_PER_SECOND) : 0;
}

void health_metrics_add(struct buf *b, const struct health_facts *f, const struct finding *v, unsigned n)
{
	const struct store_stat *s = &f->store.stat;
	const struct {
		enum known known;
		const char *name, *help;
		uint64_t v;
	} rows[] = {
		{KNOWN, "checked_seconds", "when this was found out", seconds(f->now)},
		{f->server.known, "certificate_ends_seconds", "when the server's certificate ends", seconds(f->server.ends)},
		{f->authority.known, "authority_ends_seconds", "when the authority ends", seconds(f->authority.ends)},
		{f->disk.known, "disk_bytes", "of the store's disk", f->disk.total},
		{f->disk.known, "disk_free_bytes", "of the store's disk", f->disk.free},
		{f->store.known, "catalog_used_bytes", "pages in use", s->catalog_used},
		{f->store.known, "catalog_limit_bytes", "to which it may grow", s->catalog_map},
		{f->store.known, "fleet_used_bytes", "pages in use", s->fleet_used},
		{f->store.known, "fleet_limit_bytes", "to which it may grow", s->fleet_map},
		{f->store.known, "updates", "known", s->updates},
		{f->store.known, "revisions", "held", s->revisions},
		{f->store.known, "approvals", "of all groups", s->deployments},
		{f->store.known, "files", "named by updates", s->files},
		{f->store.known, "files_stored", "that are here", s->files_stored},
		{f->store.known, "computers", "known", s->computers},
		{f->store.known, "computers_day", "that came in the last day", f->store.day},
		{f->store.known, "computers_week", "that came in the last week", f->store.week},
		{f->store.known, "approvals_overdue", "whose go-live time has passed without effect", f->store.overdue},
		{f->log.known, "requests_hour", "in the last hour", f->log.requests},
		{f->log.known, "faults_hour", "requests of the last hour that failed by the server's fault", f->log.faults},
	};
	add_levels(b, v, n);
	for (unsigned i = 0; i < COUNTOF(rows); i++)
		if (rows[i].known == KNOWN)
			gauge(b, rows[i].name, rows[i].help, rows[i].v);
}
