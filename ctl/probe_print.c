/* probe_print.c -- the result of a run: a table for people, or one JSON object (documented in wsus-probe(8)). */
#include "ctl/probe.h"

#include <stdarg.h>
#include <stdlib.h>

#include "common/text.h"

const char *const probe_step_name[STEP__MAX] = {
	[STEP_CONFIG] = "config",
	[STEP_AUTH] = "auth",
	[STEP_COOKIE] = "cookie",
	[STEP_REGISTER] = "register",
	[STEP_REFRESH] = "refresh",
	[STEP_CATEGORIES] = "categories",
	[STEP_SOFTWARE] = "software",
	[STEP_DRIVERS] = "drivers",
	[STEP_EXTENDED] = "extended",
	[STEP_LOCATIONS] = "locations",
	[STEP_DOWNLOAD] = "download",
	[STEP_REPORT] = "report",
};

void probe_problem(struct probe *p, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	if (p->problems++ < PROBE_PROBLEMS && vasprintf(&p->problem[p->problems - 1], fmt, ap) < 0)
		p->problem[p->problems - 1] = NULL;
	va_end(ap);
}

static struct probe_count total_of(const struct probe *p)
{
	struct probe_count sum = {0};
	for (unsigned s = 0; s < STEP__MAX; s++) {
		sum.calls += p->count[s].calls;
		sum.items += p->count[s].items;
		sum.sent += p->count[s].sent;
		sum.wire += p->count[s].wire;
		sum.plain += p->count[s].plain;
		sum.usec += p->count[s].usec;
	}
	return sum;
}

static size_t problems_kept(const struct probe *p)
{
	return (size_t)MIN(p->problems, (uint64_t)PROBE_PROBLEMS);
}

/* ---- for people ---- */
static void add_row(struct buf *b, const char *name, const struct probe_count *c)
{
	buf_printf(b, "%-11s %6ju %8ju %10.1f %10.1f %10.1f %10.1f\n", name, (uintmax_t)c->calls, (uintmax_t)c->items,
		(double)c->sent / 1024, (double)c->wire / 1024, (double)c->plain / 1024, (double)c->usec / 1000);
}

static void add_table(struct buf *b, const struct probe *p)
{
	struct probe_count sum = total_of(p);
	buf_printf(b, "%-11s %6s %8s %10s %10s %10s %10s\n", "step", "calls", "items", "KB sent", "KB wire", "KB decoded",
		"ms");
	for (unsigned s = 0; s < STEP__MAX; s++)
		if (p->count[s].calls > 0)
			add_row(b, probe_step_name[s], &p->count[s]);
	add_row(b, "total", &sum);
}

static void add_safe_line(struct buf *b, const char *lead, const char *text)
{
	buf_str(b, lead);
	text_safe_add(b, slice_of(text));
	buf_char(b, '\n');
}

static void add_people(struct buf *b, const struct probe *p, int rc)
{
	add_table(b, p);
	buf_printf(b, "\n%s scan: %ju new, %ju changed, %ju gone, %ju drivers; %zu known now, %ju called installed, %ju offered\n",
		p->was_differential ? "differential" : "full", (uintmax_t)p->got_new, (uintmax_t)p->got_changed,
		(uintmax_t)p->got_gone, (uintmax_t)p->got_drivers, p->state.cache.n, (uintmax_t)p->installed,
		(uintmax_t)p->offered);
	buf_printf(b, "%zu files listed, %ju downloaded; %u recoveries\n", p->files, (uintmax_t)p->downloaded, p->recoveries);
	for (size_t k = 0; k < problems_kept(p); k++)
		add_safe_line(b, "PROBLEM ", p->problem[k] ? p->problem[k] : "(out of memory)");
	if (p->problems > PROBE_PROBLEMS)
		buf_printf(b, "... and %ju more problems\n", (uintmax_t)(p->problems - PROBE_PROBLEMS));
	if (rc != E_OK)
		buf_str(b, "the walk ended early\n");
	else
		buf_str(b, p->problems ? "the walk reached its end, but not all of it held\n" : "all of it held\n");
}

/* ---- for programs ---- */
static void add_string(struct buf *b, const char *key, const char *value)
{
	buf_printf(b, "\"%s\":", key);
	if (value)
		json_string_add(b, slice_of(value));
	else
		buf_str(b, "null");
}

static void add_counts(struct buf *b, const char *name, const struct probe_count *c)
{
	buf_printf(b, "{\"name\":\"%s\",\"calls\":%ju,\"items\":%ju,\"sent\":%ju,\"wire\":%ju,\"decoded\":%ju,\"ms\":%.3f}", name,
		(uintmax_t)c->calls, (uintmax_t)c->items, (uintmax_t)c->sent, (uintmax_t)c->wire, (uintmax_t)c->plain,
		(double)c->usec / 1000);
}

static void add_json_steps(struct buf *b, const struct probe *p)
{
	struct probe_count sum = total_of(p);
	bool first = true;
	buf_str(b, ",\"steps\":[");
	for (unsigned s = 0; s < STEP__MAX; s++)
		if (p->count[s].calls > 0) {
			buf_str(b, first ? "" : ",");
			add_counts(b, probe_step_name[s], &p->count[s]);
			first = false;
		}
	buf_str(b, "],\"total\":");
	add_counts(b, "total", &sum);
}

static void add_json(struct buf *b, const struct probe *p, int rc)
{
	buf_char(b, '{');
	add_string(b, "url", p->o->url);
	buf_char(b, ',');
	add_string(b, "client", p->state.client);
	buf_printf(b, ",\"ok\":%s,", rc == E_OK && p->problems == 0 ? "true" : "false");
	add_string(b, "error", rc == E_OK ? NULL : p->err.text[0] ? p->err.text : err_name(rc));
	buf_printf(b, ",\"differential\":%s,\"recoveries\":%u", p->was_differential ? "true" : "false", p->recoveries);
	add_json_steps(b, p);
	buf_printf(b,
		",\"updates\":{\"new\":%ju,\"changed\":%ju,\"gone\":%ju,\"drivers\":%ju,\"known\":%zu,\"installed\":%ju,\"offered\":%ju}",
		(uintmax_t)p->got_new, (uintmax_t)p->got_changed, (uintmax_t)p->got_gone, (uintmax_t)p->got_drivers,
		p->state.cache.n, (uintmax_t)p->installed, (uintmax_t)p->offered);
	buf_printf(b, ",\"files\":{\"listed\":%zu,\"downloaded\":%ju}", p->files, (uintmax_t)p->downloaded);
	if (p->http) {
		buf_str(b, ",\"certificates\":");
		json_string_add(b, probe_http_certificates(p->http));
	}
	buf_printf(b, ",\"problem_count\":%ju,\"problems\":[", (uintmax_t)p->problems);
	for (size_t k = 0; k < problems_kept(p); k++) {
		buf_str(b, k ? "," : "");
		json_string_add(b, slice_of(p->problem[k] ? p->problem[k] : "out of memory"));
	}
	buf_str(b, "]}\n");
}

int probe_print(const struct probe *p, int rc)
{
	struct buf b;
	buf_init(&b, (size_t)1 << 20);
	if (p->o->json)
		add_json(&b, p, rc);
	else
		add_people(&b, p, rc);
	int done = b.rc;
	if (rc != E_OK)
		fprintf(stderr, "wsus-probe: %s\n", p->err.text[0] ? p->err.text : err_name(rc));
	if (done == E_OK && (fwrite(b.p, 1, b.n, stdout) != b.n || fflush(stdout) != 0))
		done = E_IO;
	buf_free(&b);
	return done;
}
