/* sync.h -- the downstream role: one synchronization with the parent, MS-WSUSSS 3.2.4.
 *
 * run.c is the state machine: it takes the lock, opens everything, runs the phases in order and reacts to faults; each phase
 * is one function.  A phase that ends well has committed what it did together with the anchor that covers it; one that fails
 * has left nothing that the next run does not take up: documents that came are staged and held (import_hold), so that clients
 * see the last good state until the list is complete. */
#ifndef SYNC_SYNC_H
#define SYNC_SYNC_H

#include "common/arena.h"
#include "store/parent.h"
#include "store/publish.h"
#include "store/store.h"
#include "sync/call.h"
#include "sync/report.h"

#define RESTARTS 3 /* of one run, or of the questions of a content job: WSUSSS-FAULT-20 */

struct run {
	struct store *store;
	const char *content;      /* the content directory */
	struct settings set;      /* as at the beginning; texts lie in a */
	struct guid server_id;    /* our own */
	const char *name;         /* our FQDN: accountName */
	struct parent parent;     /* what we know of it; texts lie in a.  Written by run_save() and the phases' last commits */
	struct http *http;
	struct caller *caller;
	struct report *report;
	struct sync_run log;      /* counts for the history */
	struct arena a;           /* of the run */
	bool categories_only;
	bool visits;              /* a job beside the synchronization: what it learns of the parent, run_save() does not write */
	tick_t began;
	tick_t authorized;        /* when the cookie came, 0: not in this run */
};

/* Settings, identity, name and what is known of the parent, from r->store, or as a transaction of it sees them; texts lie in r->a. */
int run_load(struct run *r, struct err *e) MUST_CHECK;
int run_read(struct run *r, struct txn *t, struct err *e) MUST_CHECK;
/* For jobs beside job_sync(): opens report and store and reads what is known; then the way to the parent; then the end of all, however
 * far it came. */
struct job_options;
int run_open(struct run *r, const struct job_options *o, const char *job, struct err *e) MUST_CHECK;
int run_connect(struct run *r, struct err *e) MUST_CHECK;
void run_close(struct run *r);

/* A copy of text in the run's arena (absent if memory ran out, which the next allocation reports). */
struct slice run_keep(struct run *r, struct slice text);
/* Commits r->parent by itself: cookies and limits, which cover nothing. */
int run_save(struct run *r, struct err *e) MUST_CHECK;
/* The cookie for the next request; authorizes anew if it ends within minutes. */
int run_cookie(struct run *r, struct Cookie *out, struct err *e) MUST_CHECK;

/* ---- the phases ---- */
int phase_authorize(struct run *r, struct err *e) MUST_CHECK;   /* authorize.c: 3.2.4.1 */
int phase_configure(struct run *r, struct err *e) MUST_CHECK;   /* authorize.c: 3.2.4.2 steps 1, 2 */
int phase_categories(struct run *r, struct err *e) MUST_CHECK;  /* metadata.c: steps 3 to 7 */
int phase_updates(struct run *r, struct err *e) MUST_CHECK;     /* metadata.c: steps 8 to 16 */
int phase_deployments(struct run *r, struct err *e) MUST_CHECK; /* policy.c: 3.2.4.3; replicas only */

/* ---- pieces that more than one of them uses (metadata.c) ---- */
/* The filter of a list of updates as choices have it (WSUSSS-DSS-META-12); lists in a.  Neither list: everything. */
int updates_filter(struct run *r, struct ServerSyncFilter *out, struct arena *a, struct err *e) MUST_CHECK;
/* GetRevisionIdList; anchor: of the last one, empty for none (WSUSSS-REVLIST-07).  The list lies in a and has an anchor. */
int list_get(struct run *r, struct ServerSyncFilter *filter, struct slice anchor, struct arena *a, struct RevisionIdList **out,
	struct err *e) MUST_CHECK;
/* Brings the documents of these identities, those that are here left out, in batches, short answers asked for again, staged and
 * held.  optional: identities that the parent does not have are left out and noted (an InternalServerError is bisected);
 * else its fault is the result. */
int documents_fetch(struct run *r, const struct UpdateIdentity *ids, size_t n, bool optional, struct err *e) MUST_CHECK;
/* The same of documents that are here: for what an answer says besides them. */
int documents_fetch_again(struct run *r, struct UpdateIdentity *ids, size_t n, struct err *e) MUST_CHECK;

/* ---- jobs: what main_wsus-sync.c runs; each returns the exit status ---- */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_CANCELLED = 4, EXIT_RUNS_ALREADY = 75 };
struct job_options {
	const char *store_dir, *content_dir;
	enum report_form form;
	bool scheduled;        /* only if the schedule says so; else nothing is said and nothing done */
	bool categories_only;
	bool no_content;       /* sync: do not start the content job behind it */
	bool retry;            /* content: those whose next attempt is not due, too */
	const char *const *args; /* of count: "product=GUID" "classification=GUID" ... */
	unsigned nargs;
	const char *const *set; /* of check: "NAME=VALUE", for settings_override() */
	unsigned nset;
};
int job_sync(const struct job_options *o);    /* run.c */
int job_content(const struct job_options *o); /* content.c */
int job_check(const struct job_options *o);   /* check.c: `upstream check`; stores nothing */
int job_count(const struct job_options *o);   /* count.c: what choices would bring; stores counts alone */

#endif
