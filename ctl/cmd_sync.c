/* cmd_sync.c -- synchronizing with the upstream server: begun, looked at, ended, and when the next one is. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "common/job.h"
#include "common/text.h"
#include "ctl/cmd.h"
#include "ctl/tool.h"
#include "store/parent.h"
#include "store/schedule.h"

#define HISTORY_ROWS 20
#define CANCEL_MS 120000 /* a commit of a large answer is waited for */
#define LOOK_MS 50

/* ================= run ================= */

static const struct option_row run_options[] = {
	{"categories", NULL, "only which products and classifications there are"},
	{"no-content", NULL, "do not begin to fetch files when it is done"},
	{"detach", NULL, "begin it in the background and return"},
	{0},
};

static int run_detached(struct ctl *c, const char *const *args)
{
	long pid;
	int rc = tool_detach(c, "run", JOB_SYNC, args, &pid);
	if (rc != E_OK)
		return rc;
	ctl_say(c, pid ? "begun as process %ld; `wsusctl sync status` shows how far it is" : "it ended at once; `wsusctl sync status` shows "
											    "what came of it", pid);
	if (!c->json)
		return E_OK;
	out_object_begin(&c->out);
	out_field_number(&c->out, "pid", "process", CELL_NUMBER, pid);
	out_object_end(&c->out);
	return E_OK;
}

static int run_run(struct ctl *c)
{
	const char *args[3] = {NULL};
	unsigned n = 0;
	if (ctl_option(c, "categories"))
		args[n++] = "--categories";
	if (ctl_option(c, "no-content"))
		args[n++] = "--no-content";
	return ctl_option(c, "detach") ? run_detached(c, args) : tool_exec(c, "run", args);
}

/* ================= status ================= */

struct found {
	struct ctl *c;
	struct sync_run *row; /* NULL: columns */
	unsigned n, most;
	bool held;            /* somebody runs it */
};

/* Of a row "running" and a lock that nobody holds. */
static enum run_result result_now(const struct sync_run *r, bool held)
{
	return r->result == RUN_RUNNING && !held ? RUN_INTERRUPTED : r->result;
}

static int take_last(const struct sync_run *r, void *arg)
{
	struct found *f = arg;
	if (r->result == RUN_RUNNING && f->held)
		return E_OK;
	*f->row = *r;
	f->n = 1;
	return E_EXISTS;
}

static int find_last(struct ctl *c, bool held, struct sync_run *row, bool *any)
{
	struct found f = {.c = c, .row = row, .held = held};
	int rc = sync_run_each(c->txn, take_last, &f, &c->err);
	*any = f.n > 0;
	return rc == E_EXISTS ? E_OK : rc;
}

static struct slice took(struct ctl *c, const struct sync_run *r)
{
	char text[SPAN_TEXT + 1];
	if (r->ended <= r->began)
		return SL0;
	span_text(r->ended - r->began, text);
	return arena_copy(&c->arena, slice_of(text));
}

static int64_t number_of(struct slice status, const char *name)
{
	struct slice v;
	int64_t n;
	return job_status_value(status, name, &v) && text_i64(v, &n) && n >= 0 ? n : -1;
}

/* "1200 of 5000 documents, 31.5/s, 12 MB received, 2 min left" */
static struct slice progress_text(struct ctl *c, struct slice status)
{
	struct buf b;
	char span[SPAN_TEXT + 1];
	struct slice unit = SL(""), rate;
	int64_t left = number_of(status, "left");
	int64_t done = number_of(status, "done"), total = number_of(status, "total"), bytes = number_of(status, "bytes");
	if (done < 0 || !job_status_value(status, "unit", &unit))
		return SL0;
	buf_init(&b, 1000);
	buf_printf(&b, "%lld", (long long)done);
	if (total > 0)
		buf_printf(&b, " of %lld", (long long)total);
	buf_printf(&b, " %.*s", SLF(unit));
	if (job_status_value(status, "rate", &rate))
		buf_printf(&b, ", %.*s/s", SLF(rate));
	if (bytes > 0)
		buf_printf(&b, ", %.*s received", SLF(bytes_text(&c->arena, (uint64_t)bytes)));
	if (left >= 0) {
		span_text(left * TICKS_PER_SECOND, span);
		buf_printf(&b, ", %s left", span);
	}
	struct slice text = arena_copy(&c->arena, buf_bytes(&b));
	buf_free(&b);
	return text;
}

static void print_numbers(struct ctl *c, struct slice status)
{
	static const struct {
		const char *name, *key;
	} numbers[] = {{"done", "done"}, {"total", "total"}, {"bytes", "bytes"}, {"left", "seconds_left"}};
	struct slice unit = SL0;
	if (!c->json)
		return;
	if (job_status_value(status, "unit", &unit))
		out_field_text(&c->out, "unit", "", unit);
	for (size_t i = 0; i < COUNTOF(numbers); i++) {
		int64_t n = number_of(status, numbers[i].name);
		if (n > 0 || (n == 0 && i == 0))
			out_field_number(&c->out, numbers[i].key, "", CELL_NUMBER, n);
	}
}

static void print_running(struct ctl *c, const struct job_holder *h)
{
	struct slice status = SL0, phase = SL0;
	struct err e;
	out_field_number(&c->out, "running", "running", CELL_BOOL, h->pid != 0);
	if (!h->pid)
		return;
	if (job_status_read(c->store_dir, JOB_SYNC, &c->arena, &status, &e) == E_OK)
		job_status_value(status, "phase", &phase);
	if (h->pid > 0)
		out_field_number(&c->out, "pid", "process", CELL_NUMBER, h->pid);
	out_field_number(&c->out, "since", "since", CELL_TIME, h->began);
	out_field_text(&c->out, "phase", "phase", phase);
	out_field_text(&c->out, "progress", "progress", progress_text(c, status));
	print_numbers(c, status);
}

static void print_last(struct ctl *c, const struct sync_run *r, bool any, bool held)
{
	char words[SYNC_RUN_WORDS];
	out_field_number(&c->out, "last", "last run", CELL_TIME, any ? r->began : 0);
	if (!any)
		return;
	sync_run_words(r, words);
	enum run_result result = result_now(r, held);
	out_field_text(&c->out, "result", "result", slice_of(run_result_names[result]));
	if (result == RUN_FAILED || result == RUN_CANCELLED) /* of others nobody knows */
		out_field_text(&c->out, "ended_in", "ended in phase", slice_of(sync_phase_names[r->phase]));
	out_field_text(&c->out, "took", "took", took(c, r));
	out_field_text(&c->out, "changed", "changed", slice_of(words));
	out_field_number(&c->out, "received", "received", CELL_BYTES, (int64_t)r->received);
	if (r->why.n)
		out_field_text(&c->out, "why", "why", r->why);
	if (r->remedy.n)
		out_field_text(&c->out, "remedy", "what to do", r->remedy);
}

static void print_next(struct ctl *c, const struct settings *set, tick_t next)
{
	out_field_text(&c->out, "schedule", "schedule", set->sync_schedule);
	out_field_number(&c->out, "next", "next run", CELL_TIME, next);
	if (next && next <= c->now && !c->json)
		out_field_text(&c->out, "", "", SL("(due: it begins when the timer looks next)"));
}

static int run_status(struct ctl *c)
{
	struct job_holder h;
	struct settings set;
	struct sync_run last;
	tick_t next;
	bool any;
	int rc = job_who(c->store_dir, JOB_SYNC, &h, &c->err);
	if (rc == E_OK)
		rc = settings_get(c->txn, &set, &c->err);
	if (rc == E_OK)
		rc = find_last(c, h.pid != 0, &last, &any);
	if (rc == E_OK)
		rc = schedule_due(c->txn, &set, &next, &c->err);
	if (rc != E_OK)
		return rc;
	out_object_begin(&c->out);
	out_field_text(&c->out, "upstream", "upstream server", set.upstream_url.n ? set.upstream_url : SL("none; `wsusctl upstream set` names one"));
	print_running(c, &h);
	print_last(c, &last, any, h.pid != 0);
	print_next(c, &set, next);
	out_object_end(&c->out);
	return E_OK;
}

/* ================= history ================= */

static const struct option_row history_options[] = {
	{"limit", "N", "the last N (default 20); 0: all"},
	OPTION_CSV,
	{0},
};
static const struct column people_columns[] = {
	{"began", "BEGAN", CELL_TIME, FIT_WHOLE},
	{"took", "TOOK", CELL_TEXT, FIT_WHOLE},
	{"result", "RESULT", CELL_TEXT, FIT_WHOLE},
	{"received", "RECEIVED", CELL_BYTES, FIT_DROP},
	{"changed", "CHANGED", CELL_TEXT, FIT_CUT},
	{"why", "WHY", CELL_TEXT, FIT_BELOW},
};

#define NUMBERS(X) \
	X(listed) X(fetched) X(added) X(known) X(different) X(refused) X(related) X(groups) X(deployments) X(ended_deployments) X(hidden) \
	X(eulas) X(restarts)
#define NUMBER_COLUMN(m) {#m, #m, CELL_NUMBER, FIT_WHOLE},
static const struct column program_columns[] = {
	{"began", "BEGAN", CELL_TIME, FIT_WHOLE},
	{"ended", "ENDED", CELL_TIME, FIT_WHOLE},
	{"result", "RESULT", CELL_TEXT, FIT_WHOLE},
	{"phase", "PHASE", CELL_TEXT, FIT_WHOLE},
	{"server", "SERVER", CELL_TEXT, FIT_WHOLE},
	{"scheduled", "SCHEDULED", CELL_BOOL, FIT_WHOLE},
	{"replica", "REPLICA", CELL_BOOL, FIT_WHOLE},
	{"categories_only", "CATEGORIES ONLY", CELL_BOOL, FIT_WHOLE},
	NUMBERS(NUMBER_COLUMN)
	{"received", "RECEIVED", CELL_BYTES, FIT_WHOLE},
	{"changed", "CHANGED", CELL_TEXT, FIT_WHOLE},
	{"why", "WHY", CELL_TEXT, FIT_WHOLE},
	{"remedy", "REMEDY", CELL_TEXT, FIT_WHOLE},
};

static struct slice or_absent(struct slice s)
{
	return s.n ? s : SL0;
}

static void row_for_programs(struct out *o, const struct sync_run *r, bool held)
{
	char words[SYNC_RUN_WORDS];
	sync_run_words(r, words);
	out_number(o, r->began);
	out_number(o, r->ended);
	out_str(o, run_result_names[result_now(r, held)]);
	out_text(o, r->result == RUN_INTERRUPTED || r->result == RUN_RUNNING ? SL0 : slice_of(sync_phase_names[r->phase]));
	out_text(o, r->server);
	out_number(o, r->scheduled);
	out_number(o, r->replica);
	out_number(o, r->categories_only);
#define PUT_NUMBER(m) out_number(o, r->m);
	NUMBERS(PUT_NUMBER)
	out_number(o, (int64_t)r->received);
	out_str(o, words);
	out_text(o, or_absent(r->why));
	out_text(o, or_absent(r->remedy));
}

static void row_for_people(struct ctl *c, const struct sync_run *r, bool held)
{
	char words[SYNC_RUN_WORDS];
	struct out *o = &c->out;
	sync_run_words(r, words);
	out_number(o, r->began);
	out_text(o, took(c, r));
	out_text(o, arena_printf(&c->arena, "%s%s", run_result_names[result_now(r, held)], r->categories_only ? ", categories only" : ""));
	out_number(o, (int64_t)r->received);
	out_str(o, words);
	bool known = r->result == RUN_FAILED || r->result == RUN_CANCELLED;
	out_text(o, r->why.n ? arena_printf(&c->arena, "%s%s%.*s", known ? sync_phase_names[r->phase] : "", known ? ": " : "", SLF(r->why)) : SL0);
}

static int take_row(const struct sync_run *r, void *arg)
{
	struct found *f = arg;
	if (f->c->json)
		row_for_programs(&f->c->out, r, f->held);
	else
		row_for_people(f->c, r, f->held);
	f->held = false; /* the newest alone is under way */
	return ++f->n == f->most ? E_EXISTS : E_OK;
}

static int run_history(struct ctl *c)
{
	struct job_holder h;
	const char *limit = ctl_option(c, "limit");
	int32_t most = HISTORY_ROWS;
	if (limit && (!text_i32(slice_of(limit), &most) || most < 0))
		return err_set(&c->err, E_USAGE, "--limit wants a number of runs, not %s", limit);
	int rc = job_who(c->store_dir, JOB_SYNC, &h, &c->err);
	if (rc != E_OK)
		return rc;
	struct found f = {.c = c, .most = (unsigned)most, .held = h.pid != 0};
	out_list_begin(&c->out, c->json ? program_columns : people_columns, c->json ? COUNTOF(program_columns) : COUNTOF(people_columns));
	rc = sync_run_each(c->txn, take_row, &f, &c->err);
	out_list_end(&c->out);
	return rc == E_EXISTS ? E_OK : rc;
}

/* ================= cancel ================= */

/* Until the lock is another's, or nobody's. */
static int wait_for_end(struct ctl *c, long pid)
{
	for (unsigned ms = 0; ms < CANCEL_MS; ms += LOOK_MS) {
		struct job_holder h;
		int rc = job_who(c->store_dir, JOB_SYNC, &h, &c->err);
		if (rc != E_OK || h.pid != pid)
			return rc;
		ctl_progress(c, "waiting for process %ld to end ...", pid);
		poll(NULL, 0, LOOK_MS);
	}
	return err_set(&c->err, E_BUSY, "process %ld was told to stop and still runs: it ends when what it is writing is written", pid);
}

static int find_holder(struct ctl *c, struct job_holder *h)
{
	int rc = E_OK;
	h->pid = JOB_UNKNOWN;
	for (unsigned ms = 0; rc == E_OK && h->pid == JOB_UNKNOWN && ms < 1000; ms += LOOK_MS) {
		rc = job_who(c->store_dir, JOB_SYNC, h, &c->err);
		if (h->pid == JOB_UNKNOWN)
			poll(NULL, 0, LOOK_MS);
	}
	if (rc == E_OK && h->pid == JOB_UNKNOWN)
		rc = err_set(&c->err, E_CORRUPT, "%s/sync.lock is held, but does not say by whom; `fuser` tells", c->store_dir);
	return rc;
}

static int run_cancel(struct ctl *c)
{
	struct job_holder h;
	int rc = find_holder(c, &h);
	if (rc == E_OK && h.pid && kill((pid_t)h.pid, SIGTERM) != 0 && errno != ESRCH)
		return err_errno(&c->err, "process %ld", h.pid);
	if (rc == E_OK && h.pid)
		rc = wait_for_end(c, h.pid);
	if (rc != E_OK)
		return rc;
	ctl_say(c, h.pid ? "process %ld has ended; the next run goes on where it stopped" : "no synchronization runs", h.pid);
	if (!c->json)
		return E_OK;
	out_object_begin(&c->out);
	out_field_number(&c->out, "cancelled", "cancelled", CELL_BOOL, h.pid != 0);
	out_object_end(&c->out);
	return E_OK;
}

/* ================= schedule ================= */

static int print_schedule(struct ctl *c)
{
	struct settings set;
	tick_t next;
	int rc = txn_begin(c->store, TXN_READ, &c->txn, &c->err);
	if (rc == E_OK)
		rc = settings_get(c->txn, &set, &c->err);
	if (rc == E_OK)
		rc = schedule_due(c->txn, &set, &next, &c->err);
	if (rc != E_OK)
		return rc;
	out_object_begin(&c->out);
	print_next(c, &set, next);
	if (!set.upstream_url.n && !c->json)
		out_field_text(&c->out, "", "", SL("(no upstream server is set)"));
	out_object_end(&c->out);
	return E_OK;
}

static int set_schedule(struct ctl *c)
{
	struct conf_line l;
	struct slice value = arena_printf(&c->arena, "%s%s%s", c->pos[0], c->npos > 1 ? " " : "", c->npos > 1 ? c->pos[1] : "");
	if (!value.p)
		return err_set(&c->err, E_NOMEM, "out of memory");
	if (conf_find(&c->conf, SL("sync.schedule"), &l))
		return err_set(&c->err, E_REFUSED, "sync.schedule is set in %s:%u; change it there, then `wsusctl config apply`", c->conf.file, l.no);
	int rc = txn_begin(c->store, TXN_CATALOG, &c->txn, &c->err);
	if (rc == E_OK)
		rc = setting_set(c->txn, SL("sync.schedule"), value, &c->err);
	if (rc == E_OK)
		rc = audit_note(c->txn, c->admin, "sync schedule %.*s", SLF(value));
	if (rc == E_OK)
		rc = publish(c->txn, c->now, &c->published, &c->err);
	if (rc == E_OK)
		rc = txn_commit(&c->txn, &c->err);
	txn_end(&c->txn);
	return rc;
}

static int run_schedule(struct ctl *c)
{
	int rc = c->npos ? set_schedule(c) : E_OK;
	return rc == E_OK ? print_schedule(c) : rc;
}

const struct command sync_commands[] = {
	{"sync", "run", "", "synchronize with the upstream server now", 0, 0, NEED_PLACE, run_options, run_run, NULL,
		"What ended early is taken up where it stopped.  Exit status: 0 done, 1 failed, 4 cancelled (Ctrl-C), 75 it runs already; "
		"wsus-sync(8) has more."},
	{"sync", "status", "", "is one under way, and how far; else what came of the last, and when the next is", 0, 0, NEED_READ, NULL,
		run_status, NULL, NULL},
	{"sync", "history", "", "list the last synchronizations: when, how long, what changed, why they failed", 0, 0, NEED_READ,
		history_options, run_history, NULL, "The setting sync.history-days says how long they are kept."},
	{"sync", "cancel", "", "end the one under way; what it brought stays, the next goes on from there", 0, 0, NEED_PLACE, NULL, run_cancel,
		NULL, NULL},
	{"sync", "schedule", "[every Nh | daily HH:MM | off]", "show or set when synchronizations begin by themselves", 0, 2, NEED_STORE, NULL,
		run_schedule, NULL,
		"Hours: 1 to 24.  Daily: local time.  Each server adds up to 15 minutes of its own.  A run that failed is tried again after "
		"half an hour, then an hour, and so on, never later than the schedule says."},
	{0},
};
