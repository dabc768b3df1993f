/* run.c -- one synchronization: lock, store, phases in their order, what faults mean, and the row in the history.
 *
 *   store opened -> due? -> lock -> what a killed run left is noted -> row "running" -> phases, begun anew by some faults
 *   -> row with the result -> first trim, files fetched by a job of their own
 *
 * The upstream server only answers: everything begins here (WSUSSS-DSS-INIT-01). */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/job.h"
#include "common/text.h"
#include "store/need.h"
#include "store/schedule.h"
#include "store/trim.h"
#include "sync/confine.h"
#include "sync/sync.h"

#define RUN_MEMORY ((size_t)24 << 20) /* filters of 5,000 names, cookies and anchors as long as limits.h lets them be */
#define COOKIE_SPARE (5 * 60 * TICKS_PER_SECOND)
#define ADMIN SL("wsus-sync")

/* ================= words ================= */

/* What to do about a run that ended so; what is known better stands in the error's own words. */
static const char *remedy_of(int rc)
{
	static const struct {
		int rc;
		const char *remedy;
	} table[] = {
		{E_IO, "`wsusctl upstream check` tries each step on the way there; the next run tries again"},
		{E_REFUSED, "`wsusctl upstream check` tries each step and shows what the server says"},
		{E_FORM, "`wsusctl upstream check` shows who answers there: a proxy, or a server of another kind"},
		{E_LIMIT, "`wsusctl upstream check` shows who answers there; what a server sends is bounded here"},
		{E_FULL, "make room on the disk of the store, then run it again: it goes on where it stopped"},
		{E_NOMEM, "give the machine more memory, then run it again: it goes on where it stopped"},
		{E_BUSY, "run it again"},
		{E_CORRUPT, STORE_MENDS ", and the next run brings everything again"},
		{E_DAMAGED, STORE_MENDS ", and the next run brings everything again"},
		{E_SERVER_BUSY, "nothing, if it is so for a while: the next run tries again; else look at the upstream server"},
		{E_SERVER_CHANGED, "look whether two servers answer under the upstream server's name; then run it again"},
		{E_INVALID_COOKIE, "look whether two servers answer under the upstream server's name, and at its clock; then run it again"},
		{E_INVALID_AUTH_COOKIE, "look whether the upstream server lets this one in, and at its clock; then run it again"},
		{E_INCOMPATIBLE_VERSION, "the upstream server speaks another version of the protocol: update it, or this server"},
		{E_INVALID_PARAMETERS, "look at the upstream server's log; if it is a server of this kind, report it as a fault of either"},
		{E_CANCELLED, "run it again when you like: it goes on where it stopped"},
	};
	for (size_t i = 0; i < COUNTOF(table); i++)
		if (table[i].rc == rc)
			return table[i].remedy;
	return "run it again; if it fails again, `wsusctl upstream check` tries each step";
}

/* ================= what phases share ================= */

struct slice run_keep(struct run *r, struct slice text)
{
	return text.p ? arena_copy(&r->a, text) : SL0;
}

int run_save(struct run *r, struct err *e)
{
	struct txn *t;
	if (r->visits)
		return E_OK;
	int rc = txn_begin(r->store, TXN_CATALOG, &t, e);
	if (rc == E_OK)
		rc = parent_put(t, &r->parent, e);
	if (rc == E_OK)
		rc = txn_commit(&t, e);
	txn_end(&t);
	return rc;
}

static int authorize(struct run *r, struct err *e)
{
	int rc = phase_authorize(r, e);
	r->authorized = time_now();
	return rc;
}

/* It ends at an instant (WSUSSS-TIMERS-04).  One that never had ten minutes is not renewed with each request. */
static bool cookie_lasts(const struct run *r)
{
	tick_t whole = r->parent.expires - r->authorized;
	return r->parent.cookie.n && r->parent.expires - time_now() > MIN(COOKIE_SPARE, whole / 2);
}

int run_cookie(struct run *r, struct Cookie *out, struct err *e)
{
	if (!cookie_lasts(r)) {
		int rc = authorize(r, e);
		if (rc != E_OK)
			return rc;
	}
	*out = (struct Cookie){.Expiration = r->parent.expires, .EncryptedData = r->parent.cookie};
	return E_OK;
}

/* ================= what is known at the beginning ================= */

static int keep_languages(struct run *r, const struct parent *p, struct err *e)
{
	struct parent_language *v = ARENA_ARRAY(&r->a, struct parent_language, p->nlanguages);
	if (!v)
		return err_set(e, E_NOMEM, "out of memory");
	for (size_t i = 0; i < p->nlanguages; i++) {
		v[i] = p->language[i];
		v[i].code = run_keep(r, p->language[i].code);
	}
	r->parent.language = v;
	return E_OK;
}

static int keep_parent(struct run *r, const struct parent *p, struct err *e)
{
	struct slice *const texts[] = {&r->parent.service_url, &r->parent.expiration, &r->parent.cookie, &r->parent.config_anchor,
		&r->parent.category_anchor, &r->parent.sync_anchor, &r->parent.deployment_anchor, &r->parent.version};
	r->parent = *p;
	r->parent.url = r->set.upstream_url;
	for (size_t i = 0; i < COUNTOF(texts); i++)
		*texts[i] = run_keep(r, *texts[i]);
	return keep_languages(r, p, e);
}

static int load_parent(struct run *r, struct txn *t, struct err *e)
{
	struct parent p;
	int rc = parent_get(t, &r->set, &p, e);
	if (rc == E_NOTFOUND) { /* WSUSSS-ADM-03 */
		r->parent = (struct parent){.url = r->set.upstream_url};
		return E_OK;
	}
	return rc == E_OK ? keep_parent(r, &p, e) : rc;
}

/* The full name of this machine, as others would find it. */
static struct slice machine_name(struct arena *a)
{
	char host[256] = "";
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_flags = AI_CANONNAME, .ai_socktype = SOCK_STREAM}, *found = NULL;
	if (gethostname(host, sizeof(host) - 1) != 0 || !host[0])
		return SL("localhost");
	if (!strchr(host, '.') && getaddrinfo(host, NULL, &hints, &found) == 0 && found->ai_canonname &&
		strchr(found->ai_canonname, '.'))
		snprintf(host, sizeof(host), "%s", found->ai_canonname);
	if (found)
		freeaddrinfo(found);
	return arena_copy(a, slice_of(host));
}

int run_read(struct run *r, struct txn *t, struct err *e)
{
	struct server_state st;
	struct settings set;
	int rc = settings_get(t, &set, e);
	if (rc == E_OK)
		rc = settings_copy(&set, &r->a, &r->set, e);
	if (rc == E_OK)
		rc = server_state_get(t, &st, e);
	if (rc != E_OK)
		return rc;
	r->server_id = st.server_id;
	r->name = r->set.server_name.n ? r->set.server_name.p : machine_name(&r->a).p;
	if (!r->name)
		return err_set(e, E_NOMEM, "out of memory");
	return load_parent(r, t, e);
}

int run_load(struct run *r, struct err *e)
{
	struct txn *t;
	int rc = txn_begin(r->store, TXN_READ, &t, e);
	if (rc == E_OK)
		rc = run_read(r, t, e);
	txn_end(&t);
	return rc;
}

/* ================= the history (WSUSSS-ADM-08, -DSS-META-25) ================= */

static int put_row(struct run *r, const struct sync_run *row, struct err *e)
{
	struct txn *t;
	int rc = txn_begin(r->store, TXN_CATALOG, &t, e);
	if (rc == E_OK)
		rc = sync_run_put(t, row, e);
	if (rc == E_OK)
		rc = txn_commit(&t, e);
	txn_end(&t);
	return rc;
}

/* Whoever holds the lock knows that nobody else runs. */
static int find_left(const struct sync_run *row, void *arg)
{
	struct sync_run *left = arg;
	if (row->result != RUN_RUNNING)
		return E_OK;
	*left = *row;
	return E_EXISTS;
}

static int note_one_left(struct run *r, struct err *e)
{
	struct txn *t;
	struct sync_run left = {0};
	int rc = txn_begin(r->store, TXN_READ, &t, e);
	if (rc == E_OK)
		rc = sync_run_each(t, find_left, &left, e);
	left.server = run_keep(r, left.server);
	txn_end(&t);
	if (rc != E_EXISTS)
		return rc == E_OK ? E_NOTFOUND : rc;
	left.result = RUN_INTERRUPTED;
	left.ended = left.began; /* nobody knows */
	left.why = SL("it ended without a word: killed, or the machine went down");
	left.remedy = SL("nothing: the next run goes on where it stopped");
	return put_row(r, &left, e);
}

static int note_interrupted(struct run *r, struct err *e)
{
	int rc;
	do
		rc = note_one_left(r, e);
	while (rc == E_OK);
	return rc == E_NOTFOUND ? E_OK : rc;
}

static int history_begin(struct run *r, const struct job_options *o, struct err *e)
{
	int rc = note_interrupted(r, e);
	r->log = (struct sync_run){
		.began = r->began,
		.result = RUN_RUNNING,
		.scheduled = o->scheduled,
		.replica = r->set.upstream_mode == UPSTREAM_REPLICA,
		.categories_only = o->categories_only,
		.server = r->set.upstream_url,
	};
	return rc == E_OK ? put_row(r, &r->log, e) : rc;
}

/* The row as it stays; rows that are too old go (WSUSSS-TIMERS-05); what a run changed is an administrative change, too. */
static int history_end(struct run *r, struct err *e)
{
	struct txn *t;
	uint32_t dropped;
	char words[SYNC_RUN_WORDS];
	sync_run_words(&r->log, words);
	int rc = txn_begin(r->store, TXN_CATALOG, &t, e);
	if (rc == E_OK)
		rc = sync_run_put(t, &r->log, e);
	if (rc == E_OK)
		rc = sync_run_prune(t, r->began - (tick_t)r->set.history_days * 86400 * TICKS_PER_SECOND, &dropped, e);
	if (rc == E_OK && strcmp(words, "nothing new") != 0)
		rc = audit_note(t, ADMIN, "synchronized with %.*s: %s", SLF(r->log.server), words);
	if (rc == E_OK)
		rc = txn_commit(&t, e);
	txn_end(&t);
	return rc;
}

/* ================= phases ================= */

static int any_wanted(const struct choice *c, void *arg)
{
	(void)arg;
	return c->wanted ? E_EXISTS : E_OK;
}

/* Something has to be chosen, or everything: 0 updates of 0 products is what nobody means. */
static int chooses(struct run *r, bool *out, struct err *e)
{
	struct txn *t;
	*out = r->set.upstream_mode == UPSTREAM_REPLICA || r->set.sync_filter == SYNC_ALL;
	if (*out)
		return E_OK;
	int rc = txn_begin(r->store, TXN_READ, &t, e);
	if (rc == E_OK)
		rc = choice_each(t, 0, any_wanted, NULL, e);
	txn_end(&t);
	*out = rc == E_EXISTS;
	return rc == E_EXISTS ? E_OK : rc;
}

static int updates(struct run *r, struct err *e)
{
	bool chosen;
	int rc = chooses(r, &chosen, e);
	if (rc != E_OK)
		return rc;
	if (chosen)
		return phase_updates(r, e);
	r->categories_only = r->log.categories_only = true;
	report_result(r->report, "none: no product and no classification is chosen");
	report_note(r->report, "`wsusctl product list` and `wsusctl classification list` show what there is, `wsusctl product select` "
			       "and `wsusctl classification select` choose; the next run brings their updates");
	return E_OK;
}

static bool always(const struct run *r)
{
	(void)r;
	return true;
}

static bool wants_updates(const struct run *r)
{
	return !r->categories_only;
}

static bool wants_deployments(const struct run *r)
{
	return !r->categories_only && r->set.upstream_mode == UPSTREAM_REPLICA; /* WSUSSS-DSS-META-24 */
}

/* In the order of WSUSSS-DSS-AUTH-01. */
static const struct {
	int (*run)(struct run *r, struct err *e);
	bool (*wanted)(const struct run *r);
} phases[SYNC__PHASES] = {
	[SYNC_AUTHORIZATION] = {authorize, always},
	[SYNC_CONFIGURATION] = {phase_configure, always},
	[SYNC_CATEGORIES] = {phase_categories, always},
	[SYNC_UPDATES] = {updates, wants_updates},
	[SYNC_DEPLOYMENTS] = {phase_deployments, wants_deployments},
};

static int run_phases(struct run *r, struct err *e)
{
	int rc = E_OK;
	for (unsigned i = 0; i < SYNC__PHASES && rc == E_OK; i++) {
		if (!phases[i].wanted(r))
			continue;
		if (http_cancelled())
			return err_set(e, E_CANCELLED, "it was cancelled");
		r->log.phase = (enum sync_phase)i;
		report_phase(r->report, sync_phase_names[i]);
		rc = phases[i].run(r, e);
	}
	return rc;
}

/* ---- faults: what they drop, and that the run begins anew (WSUSSS-FAULT-14, -16, -18) ---- */

static const struct {
	int rc;
	unsigned times; /* at most so often in a run */
	bool anchors;
} restarts[] = {
	{E_INVALID_COOKIE, RESTARTS, false},
	{E_INVALID_AUTH_COOKIE, RESTARTS, false},
	{E_FILE_DIGESTS_MISSING, RESTARTS, false},
	{E_SERVER_CHANGED, 1, true},
};

static int drop(struct run *r, bool anchors, struct err *e)
{
	struct parent *p = &r->parent;
	p->expiration = p->cookie = SL0;
	p->expires = 0;
	if (anchors)
		p->config_anchor = p->category_anchor = p->sync_anchor = p->deployment_anchor = SL0;
	return run_save(r, e);
}

/* Whether the run begins anew after rc; if so, what has to go is gone. */
static bool begins_anew(struct run *r, unsigned *had, int *rc, struct err *e)
{
	unsigned i = 0;
	while (i < COUNTOF(restarts) && restarts[i].rc != *rc)
		i++;
	if (i == COUNTOF(restarts))
		return false;
	if (had[i] >= restarts[i].times || r->log.restarts >= RESTARTS) {
		*rc = err_at(e, *rc, "begun anew %u times, and still: ", (unsigned)r->log.restarts);
		return false;
	}
	had[i]++;
	r->log.restarts++;
	report_note(r->report, "the server answers %s: %sbegun anew (%u of at most %d)", err_fault(*rc),
		restarts[i].anchors ? "it lost what it knew of us, all is listed again; " : "", (unsigned)r->log.restarts, RESTARTS);
	*rc = drop(r, restarts[i].anchors, e);
	return *rc == E_OK;
}

static int run_until_done(struct run *r, struct err *e)
{
	unsigned had[COUNTOF(restarts)] = {0};
	int rc;
	do
		rc = run_phases(r, e);
	while (begins_anew(r, had, &rc, e));
	return rc;
}

static void tell_wait(void *arg, const char *text)
{
	const struct run *r = arg;
	report_note(r->report, "%s", text);
}

int run_connect(struct run *r, struct err *e)
{
	int rc = http_open(&r->http, &r->set, e);
	if (rc == E_OK)
		rc = caller_open(&r->caller, r->http, &r->set, store_dir(r->store), e);
	if (rc == E_OK)
		caller_on_wait(r->caller, tell_wait, r);
	return rc;
}

static int synchronize(struct run *r, struct err *e)
{
	int rc = run_connect(r, e);
	if (rc == E_OK)
		rc = run_until_done(r, e);
	if (rc == E_OK)
		report_phase_end(r->report);
	if (rc == E_OK && r->a.failed)
		rc = err_set(e, E_NOMEM, "out of memory");
	return http_cancelled() && rc != E_OK ? err_set(e, E_CANCELLED, "%s", REPORT_CANCELLED) : rc;
}

/* ================= behind it ================= */

static int is_full(const struct sync_run *row, void *arg)
{
	const struct run *r = arg;
	return row->began != r->began && row->result == RUN_DONE && !row->categories_only ? E_EXISTS : E_OK;
}

static int trim_now(struct run *r, struct txn *t, unsigned words, struct err *e)
{
	struct trim_report done;
	struct publish_report published;
	uint32_t n = 0;
	int rc = sync_run_each(t, is_full, r, e);
	if (rc != E_OK)
		return rc == E_EXISTS ? E_OK : rc;
	rc = trim_apply(t, words, false, &done, e);
	for (size_t i = 0; rc == E_OK && i < COUNTOF(done.trimmed); i++)
		n += done.trimmed[i];
	if (rc == E_OK && n)
		rc = audit_note(t, ADMIN, "declined %u of %u updates by sync.trim (%.*s)", (unsigned)n, (unsigned)done.updates,
			SLF(r->set.sync_trim));
	if (rc == E_OK)
		rc = publish(t, time_now(), &published, e);
	if (rc == E_OK)
		rc = txn_commit(&t, e);
	if (rc == E_OK && n)
		report_note(r->report, "%u of %u updates were declined by the setting sync.trim (%.*s); `wsusctl trim` shows and undoes it",
			(unsigned)n, (unsigned)done.updates, SLF(r->set.sync_trim));
	return rc;
}

/* Only the first one that was complete: later ones are the administrator's. */
static int trim_first(struct run *r, struct err *e)
{
	struct txn *t;
	unsigned words = 0;
	if (r->categories_only || r->set.upstream_mode == UPSTREAM_REPLICA || !trim_read(r->set.sync_trim, &words) || !words)
		return E_OK;
	int rc = txn_begin(r->store, TXN_CATALOG, &t, e);
	if (rc == E_OK)
		rc = trim_now(r, t, words, e);
	txn_end(&t);
	return rc;
}

static int count_needs(struct run *r, struct needs *out, struct err *e)
{
	struct txn *t;
	int rc = txn_begin(r->store, TXN_READ, &t, e);
	if (rc == E_OK)
		rc = needs_get(t, txn_arena(t), out, e);
	txn_end(&t);
	return rc;
}

/* A process of its own, which outlives this one. */
static bool start_content(const struct job_options *o)
{
	const char *const argv[] = {"wsus-sync", "content", "--store", o->store_dir, "--content", o->content_dir, "--quiet", NULL};
	pid_t pid = fork();
	if (pid != 0)
		return pid > 0;
	int null = open("/dev/null", O_RDWR);
	setsid();
	for (int fd = 0; null >= 0 && fd <= 2; fd++)
		dup2(null, fd);
	execv("/proc/self/exe", (char *const *)(uintptr_t)argv);
	_exit(EXIT_FAILED);
}

static void fetch_content(struct run *r, const struct job_options *o)
{
	struct needs n = {0};
	struct err e;
	char size[SIZE_TEXT + 1];
	if (o->no_content || r->categories_only)
		return;
	if (count_needs(r, &n, &e) != E_OK) {
		report_warn(r->report, "which files are needed could not be found out: %s", e.text);
	} else if (n.n) {
		size_text(n.bytes, size);
		bool started = start_content(o), one = n.n == 1;
		report_note(r->report, "%zu file%s (%s) %s %s", n.n, one ? "" : "s", size, one ? "is" : "are",
			started ? "being fetched; `wsusctl content status` shows how far it is" : "missing; `wsusctl content fetch` begins to fetch");
	}
}

/* ================= the job ================= */

static int open_store(struct run *r, const char *dir, struct err *e)
{
	int rc = store_open(&r->store, dir, STORE_ADMIN, e);
	if (rc == E_NOTFOUND)
		return err_set(e, rc, "%s: no store here; give its place with --store DIR, or make one: wsusctl store create", dir);
	return rc;
}

/* Is there anything to do?  *due is true for who does not come by the clock. */
static int look(struct run *r, bool scheduled, bool *due, struct err *e)
{
	struct txn *t;
	tick_t next = 0;
	int rc = txn_begin(r->store, TXN_READ, &t, e);
	if (rc == E_OK)
		rc = run_read(r, t, e);
	if (rc == E_OK && scheduled)
		rc = schedule_due(t, &r->set, &next, e);
	txn_end(&t);
	*due = !scheduled || (next && next <= time_now());
	if (rc == E_OK && !scheduled && r->set.upstream_url.n == 0)
		rc = err_set(e, E_USAGE, "no upstream server is set, so there is nobody to synchronize with");
	return rc;
}

static int result_of(int rc)
{
	return rc == E_OK ? EXIT_DONE : rc == E_CANCELLED ? EXIT_CANCELLED : EXIT_FAILED;
}

static enum run_result history_result(int rc)
{
	return rc == E_OK ? RUN_DONE : rc == E_CANCELLED ? RUN_CANCELLED : RUN_FAILED;
}

static void tell_end(struct run *r, int rc, const struct err *e)
{
	char words[SYNC_RUN_WORDS], size[SIZE_TEXT + 1], span[SPAN_TEXT + 1], text[SYNC_RUN_WORDS + 100];
	sync_run_words(&r->log, words);
	size_text(r->log.received, size);
	span_text(r->log.ended - r->log.began, span);
	snprintf(text, sizeof(text), "%s; %s received in %s", words, size, span);
	report_end(r->report, rc == E_OK ? NULL : rc == E_CANCELLED ? REPORT_CANCELLED : e->text, rc == E_OK ? NULL : remedy_of(rc), text);
}

/* With the lock held. */
static int run_locked(struct run *r, const struct job_options *o, struct err *e)
{
	const char *unconfined;
	struct err late;
	r->began = time_now();
	r->categories_only = o->categories_only;
	confine(o->store_dir, o->content_dir, &unconfined);
	int rc = history_begin(r, o, e);
	if (rc != E_OK)
		return rc;
	rc = synchronize(r, e);
	if (rc == E_OK && trim_first(r, &late) != E_OK)
		report_warn(r->report, "sync.trim could not be applied: %s; `wsusctl trim` does it by hand", late.text);
	r->log.ended = time_now();
	r->log.result = history_result(rc);
	r->log.received = r->http ? http_received(r->http) : 0;
	if (rc != E_OK) {
		r->log.why = slice_of(e->text);
		r->log.remedy = slice_of(remedy_of(rc));
	}
	if (history_end(r, &late) != E_OK)
		report_warn(r->report, "the history of synchronizations could not be written: %s", late.text);
	if (rc == E_OK)
		fetch_content(r, o);
	tell_end(r, rc, e);
	return rc;
}

static void damage(enum store_part part, const char *what)
{
	dprintf(STDERR_FILENO, "wsus-sync: %s/data.mdb: %s; " STORE_MENDS "\n", store_part_names[part], what);
	_exit(EXIT_FAILED);
}

int run_open(struct run *r, const struct job_options *o, const char *job, struct err *e)
{
	arena_init(&r->a, RUN_MEMORY);
	store_on_damage(damage);
	r->content = o->content_dir;
	int rc = report_open(&r->report, o->form, job, o->store_dir, e);
	if (rc == E_OK)
		rc = open_store(r, o->store_dir, e);
	return rc == E_OK ? run_load(r, e) : rc;
}

void run_close(struct run *r)
{
	caller_close(&r->caller);
	http_close(&r->http);
	store_close(&r->store);
	report_close(&r->report);
	arena_free(&r->a);
}

/* Up to where the lock is held; *due false: nothing is to be done. */
static int begin(struct run *r, const struct job_options *o, struct job_lock *lock, bool *due, struct err *e)
{
	int rc = open_store(r, o->store_dir, e);
	if (rc == E_OK)
		rc = look(r, o->scheduled, due, e);
	if (rc != E_OK || !*due)
		return rc;
	rc = job_lock(lock, o->store_dir, JOB_SYNC, e);
	return rc == E_OK ? look(r, o->scheduled, due, e) : rc; /* somebody may have ended just now */
}

int job_sync(const struct job_options *o)
{
	struct run r = {0};
	struct job_lock lock = {.fd = -1};
	struct err e = {0};
	bool due = true;
	arena_init(&r.a, RUN_MEMORY);
	store_on_damage(damage);
	if (report_open(&r.report, o->form, JOB_SYNC, o->store_dir, &e) != E_OK) {
		fprintf(stderr, "wsus-sync: %s\n", e.text);
		return EXIT_FAILED;
	}
	int rc = begin(&r, o, &lock, &due, &e), status;
	if (rc == E_BUSY && lock.fd < 0) {
		report_end(r.report, e.text, "wait until it has ended; `wsusctl sync status` shows how far it is, `wsusctl sync cancel` ends it", NULL);
		status = EXIT_RUNS_ALREADY;
	} else if (rc != E_OK) {
		report_end(r.report, e.text, rc == E_USAGE ? "wsusctl upstream set URL" : remedy_of(rc), NULL);
		status = EXIT_FAILED;
	} else {
		status = due ? result_of(run_locked(&r, o, &e)) : EXIT_DONE;
	}
	run_close(&r);
	job_unlock(&lock);
	return status;
}
