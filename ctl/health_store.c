/* health_store.c -- what the store says of itself.  A child looks: what a damaged file or disk does to who reads the
 * map (SIGBUS) ends the child, and is a fact for the parent. */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/health_store.h"
#include "store/need.h"
#include "store/parent.h"
#include "store/report.h"
#include "store/schedule.h"

#define DAY (86400 * TICKS_PER_SECOND)
#define SLICE_PERIOD (300 * TICKS_PER_SECOND) /* the next slice at the next run of a job that runs every 5 minutes */

struct look {
	struct store_facts *f;
	struct txn *t;
	tick_t now, stale; /* from how long on */
};

static int look_at_revision(const struct revision *v, void *arg)
{
	struct look *l = arg;
	struct frag core;
	struct relations rel;
	struct err e = {0};
	if (v->flags & REV_REMOVED)
		return E_OK;
	int rc = fragment_get(l->t, v->id, FRAG_CORE, SL0, SL0, &core, &e);
	if (rc == E_OK)
		rc = relations_get(l->t, v->id, &rel, &e);
	l->f->checked++;
	if (rc != E_OK && l->f->bad++ == 0)
		snprintf(l->f->words, sizeof(l->f->words), "revision %d: %.300s", v->id, e.text[0] ? e.text : err_name(rc));
	return E_OK;
}

/* Another slice each time, so that in a day every one was looked at. */
static int look_at_slice(struct look *l, struct err *e)
{
	uint32_t n = l->f->stat.state.revisions;
	if (n == 0)
		return E_OK;
	uint64_t slices = (n + HEALTH_SLICE - 1) / HEALTH_SLICE, which = (uint64_t)(l->now / SLICE_PERIOD) % slices;
	int32_t from = (int32_t)(which * HEALTH_SLICE) + 1;
	return revision_each(l->t, from, from + HEALTH_SLICE - 1, look_at_revision, l, e);
}

/* A scan is followed by a report within the day. */
static bool has_ceased_to_report(const struct computer *c, const struct standing *s)
{
	return s->reported_at != 0 && c->last_seen - s->reported_at > 3 * DAY;
}

static int look_at_computer(const struct computer *c, const struct standing *s, void *arg)
{
	struct look *l = arg;
	tick_t age = l->now - c->last_seen;
	bool unscanned = s->sync_result == SYNC_FAILED;
	l->f->stale += age > l->stale;
	l->f->unscanned += age < 7 * DAY && unscanned;
	l->f->troubled += age < 7 * DAY && (unscanned || has_ceased_to_report(c, s));
	l->f->hour += age < DAY / 24;
	l->f->day += age < DAY;
	l->f->week += age < 7 * DAY;
	l->f->month += age < 30 * DAY;
	l->f->newest = MAX(l->f->newest, c->last_seen);
	return E_OK;
}

static int look_at_counts(struct look *l, struct err *e)
{
	struct cohort all;
	int rc = cohort_get(l->t, COHORT_ALL, &all);
	if (rc != E_OK)
		return rc == E_NOTFOUND ? E_OK : err_set(e, (enum errcode)rc, "the counts of computers: %s", err_name(rc));
	l->f->counts.reported = all.reported;
	l->f->counts.needing = all.needing;
	l->f->counts.failed = all.failed;
	l->f->counts.up_to_date = all.up_to_date;
	l->f->counts.pending = all.pending;
	l->f->counts.sync_failed = all.sync_failed;
	l->f->counts.updates_needed = all.updates_needed;
	l->f->counts.updates_failed = all.updates_failed;
	return E_OK;
}

static int look_at_computers(struct look *l, struct err *e)
{
	struct settings set;
	int rc = settings_get(l->t, &set, e);
	l->stale = set.stale_days * DAY;
	if (rc == E_OK)
		rc = standing_each(l->t, look_at_computer, l, e);
	return rc == E_OK ? look_at_counts(l, e) : rc;
}

static int look_at_downstream(const struct downstream *d, void *arg)
{
	struct look *l = arg;
	l->f->downstream_approved += d->state == DOWNSTREAM_APPROVED;
	l->f->downstream_pending += d->state == DOWNSTREAM_PENDING;
	return E_OK;
}

static int look_at_deployment(const struct deployment *d, void *arg)
{
	struct look *l = arg;
	if (d->dead || !(d->waiting & WAIT_GOLIVE) || d->go_live > l->now)
		return E_OK;
	if (l->f->overdue++ == 0 || d->go_live < l->f->overdue_since)
		l->f->overdue_since = d->go_live;
	return E_OK;
}

/* ---- the server above this one ---- */

static void keep_words(char to[HEALTH_WORDS / 2], struct slice words)
{
	snprintf(to, HEALTH_WORDS / 2, "%.*s", (int)MIN(words.n, (size_t)HEALTH_WORDS / 2 - 1), words.p ? words.p : "");
}

/* Newest first: whether the newest failed, how many before it did, and the last that did not. */
static int look_at_run(const struct sync_run *r, void *arg)
{
	struct sync_facts *s = &((struct look *)arg)->f->sync;
	bool failed = r->result == RUN_FAILED || r->result == RUN_INTERRUPTED;
	s->since = r->began;
	if (r->result == RUN_RUNNING)
		return E_OK;
	if (s->last == 0) {
		s->last = r->ended;
		s->took = r->ended - r->began;
		s->failed = failed;
		keep_words(s->why, r->result == RUN_INTERRUPTED ? SL("it was killed, or the machine went off") : r->why);
		keep_words(s->remedy, r->remedy);
	}
	s->failures += failed && s->good == 0;
	if (r->result == RUN_DONE && s->good == 0) {
		s->good = r->ended;
		s->documents = r->added;
	}
	return E_OK;
}

static int look_at_fetch(const struct fetch *x, void *arg)
{
	struct sync_facts *s = &((struct look *)arg)->f->sync;
	if (x->state == FETCH_FAILED && s->failed_files++ == 0)
		keep_words(s->file_why, x->why);
	return E_OK;
}

static int add_stored(const struct file *file, void *arg)
{
	((struct look *)arg)->f->sync.stored_bytes += file->stored ? file->size : 0;
	return E_OK;
}

static tick_t period_of(struct slice schedule)
{
	struct schedule s;
	if (!schedule_read(schedule, &s) || s.kind == SCHEDULE_OFF)
		return 0;
	return s.kind == SCHEDULE_EVERY ? (tick_t)s.hours * DAY / 24 : DAY;
}

static int look_at_sync(struct look *l, struct err *e)
{
	struct sync_facts *s = &l->f->sync;
	struct settings set;
	struct needs needs;
	int rc = settings_get(l->t, &set, e);
	if (rc != E_OK)
		return rc;
	s->wanted = set.upstream_url.n > 0;
	keep_words(s->server, set.upstream_url);
	s->period = period_of(set.sync_schedule);
	s->quota = (uint64_t)set.content_quota * 1000000;
	s->spare = (uint64_t)set.content_spare * 1000000;
	rc = needs_get(l->t, txn_arena(l->t), &needs, e);
	s->needed_files = needs.n;
	s->needed_bytes = needs.bytes;
	if (rc == E_OK)
		rc = sync_run_each(l->t, look_at_run, l, e);
	if (rc == E_OK)
		rc = fetch_each(l->t, look_at_fetch, l, e);
	return rc == E_OK && s->quota ? file_each(l->t, add_stored, l, e) : rc;
}

static int look(struct look *l, struct err *e)
{
	int rc = store_stat(l->t, &l->f->stat, e);
	if (rc == E_OK)
		rc = look_at_slice(l, e);
	if (rc == E_OK)
		rc = look_at_computers(l, e);
	if (rc == E_OK)
		rc = downstream_each(l->t, look_at_downstream, l, e);
	if (rc == E_OK)
		rc = wanted_total(l->t, &l->f->wanted, e);
	if (rc == E_OK)
		rc = look_at_sync(l, e);
	return rc == E_OK ? deployment_each_of_group(l->t, 0, look_at_deployment, l, e) : rc;
}

/* Is it that we may not?  Those of a service are needed, who writes into fleet/ and both lock files. */
static bool is_forbidden(const char *dir)
{
	static const struct {
		const char *file;
		int mode;
	} needed[] = {{"catalog/data.mdb", R_OK}, {"catalog/lock.mdb", W_OK}, {"fleet/data.mdb", W_OK}, {"fleet/lock.mdb", W_OK}};
	char path[4096];
	for (unsigned i = 0; i < COUNTOF(needed); i++)
		if (snprintf(path, sizeof(path), "%s/%s", dir, needed[i].file) < (int)sizeof(path) && access(path, needed[i].mode) != 0 &&
			errno == EACCES)
			return true;
	return false;
}

/* As a service does: it takes no writer's lock and cleans nothing. */
static void fill(struct store_facts *f, const char *dir, tick_t now)
{
	struct store *s;
	struct err e = {0};
	struct look l = {.f = f, .now = now};
	int rc = store_open(&s, dir, STORE_SERVICE, &e);
	if (rc == E_OK && store_trouble(s, STORE_FLEET))
		rc = err_set(&e, E_DAMAGED, "%s", store_trouble(s, STORE_FLEET));
	if (rc == E_OK)
		rc = txn_begin(s, TXN_READ, &l.t, &e);
	if (rc == E_OK)
		rc = look(&l, &e);
	f->known = rc == E_OK ? KNOWN : rc == E_NOTFOUND ? NOT_KNOWN : is_forbidden(dir) ? FORBIDDEN : FAILED_TO_KNOW;
	if (rc != E_OK)
		snprintf(f->words, sizeof(f->words), "%.*s", HEALTH_WORDS - 1, e.text[0] ? e.text : err_name(rc));
	txn_end(&l.t);
	store_close(&s);
}

static bool move_all(int fd, void *p, size_t n, bool out)
{
	for (size_t at = 0; at < n;) {
		ssize_t k = out ? write(fd, (char *)p + at, n - at) : read(fd, (char *)p + at, n - at);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return false;
		at += (size_t)k;
	}
	return true;
}

static void child(int fd, const char *dir, tick_t now)
{
	struct store_facts f = {.known = NOT_KNOWN};
	store_on_damage(NULL);
	alarm(60); /* a disk that does not answer is no reason to hang: 100,000 revisions take 0.3 s */
	fill(&f, dir, now);
	_exit(move_all(fd, &f, sizeof(f), true) ? 0 : 1);
}

void health_store_look(struct store_facts *f, const char *dir, tick_t now)
{
	int fd[2], st;
	struct store_facts got;
	*f = (struct store_facts){.known = FAILED_TO_KNOW, .words = "a file of the store cannot be read: cut short, or the disk is damaged"};
	if (pipe(fd) != 0)
		return;
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0)
		child(fd[1], dir, now);
	close(fd[1]);
	if (pid > 0 && move_all(fd[0], &got, sizeof(got), false))
		*f = got;
	close(fd[0]);
	while (pid > 0 && waitpid(pid, &st, 0) < 0 && errno == EINTR)
		;
}
