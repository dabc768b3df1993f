/* report_data.h -- what reports say, gathered from the counts of the store: for `wsusctl report` and for the page in HTML.
 *
 * No status record is read, but those of the one computer, or the one update of each computer, that is asked about: at
 * 100,000 computers everything here takes a fraction of a second.  Rows and what is put together lie in the arena that is given, as there
 * may be many; texts out of the store are borrowed from the transaction. */
#ifndef CTL_REPORT_DATA_H
#define CTL_REPORT_DATA_H

#include "store/fact.h"
#include "store/report.h"

/* ---- whose counts ---- */

enum scope_reach { SCOPE_BELOW, SCOPE_DIRECT }; /* of a group with the groups below it; of its own computers alone */
/* group 0 or All Computers: all of the server.  Cohorts that the scope consists of, and the counts of their computers. */
struct scope {
	struct cohort *v;
	size_t n;
	struct cohort sum; /* without updates_needed and updates_failed, which do not add up */
};
int scope_get(struct txn *t, struct arena *a, uint32_t group, enum scope_reach reach, struct scope *out, struct err *e) MUST_CHECK;
/* Counts of one update there, of all seven statuses. */
int scope_tally(struct txn *t, const struct scope *s, uint32_t update_no, struct tally *out, struct err *e) MUST_CHECK;

/* ---- names ---- */

struct names; /* what is looked up again and again: classifications */
int names_begin(struct names **out, struct txn *t, struct arena *a, struct err *e) MUST_CHECK;
/* "0x80244022: HTTP 503: overloaded or not there."  Absent for 0. */
struct slice error_text(struct arena *a, int32_t hresult);
/* The name of its operating system; absent: it did not register, or with words of no known one. */
struct slice registered_system(const struct computer *k);
/* "succeeded", "failed, 0x80244022: ...", "never". */
struct slice sync_text(struct arena *a, enum sync_result result, int32_t hresult);
/* Is this status what an administrator has to do with: needed, downloaded, failed or waiting for a restart? */
bool status_is_open(enum update_status s);

/* ---- updates ---- */

struct update_row {
	uint32_t no;
	struct guid id;
	int32_t revision, number; /* the highest one's id and RevisionNumber */
	struct slice title, kb, severity, classification; /* absent if there is none */
	enum update_type type;
	tick_t created;
	bool declined, expired;
	bool approved;         /* install, uninstall or optional install, for some group */
	struct slice approvals; /* "Pilot, Servers (uninstall)"; absent: none */
	struct tally count;
};
int update_row_get(struct names *n, uint32_t update_no, struct update_row *out, struct err *e) MUST_CHECK; /* but its counts */

enum update_sort { BY_NEEDED, BY_FAILED, BY_TITLE, BY_DATE, UPDATE_SORT__N };
extern const char *const update_sort_names[UPDATE_SORT__N]; /* "needed" ... */
struct update_filter {
	uint32_t group; /* 0: all */
	bool needed, failed, unapproved; /* all of them */
	bool declined;  /* declined ones, too */
	enum update_sort sort;
	size_t limit;   /* 0: all */
};
struct update_rows {
	struct update_row *v;
	size_t n;
	size_t fit; /* before the limit */
};
/* Updates that can be approved, with an open status on some computer of the scope. */
int updates_gather(struct names *n, const struct update_filter *f, struct update_rows *out, struct err *e) MUST_CHECK;

/* ---- computers ---- */

struct computer_row {
	struct slice id, name, system, groups, flags; /* absent if not known */
	tick_t last_seen, reported_at, status_at, sync_at, reboot_since; /* as in struct standing, like what follows */
	enum sync_result sync_result;
	int32_t sync_hresult;
	uint32_t count[STATUS__N];
};
/* But groups and flags. */
struct computer_row computer_row_of(const struct computer *k, const struct standing *s);
enum computer_sort { BY_NAME, BY_OPEN, BY_FAILURES, BY_CONTACT, BY_REPORT, COMPUTER_SORT__N };
extern const char *const computer_sort_names[COMPUTER_SORT__N]; /* "name", "needed", "failed", "contact", "report" */
struct computer_rows {
	struct computer_row *v;
	size_t n, cap;
};
/* A row's texts stay the caller's. */
int computer_rows_add(struct arena *a, struct computer_rows *rows, const struct computer_row *row, struct err *e) MUST_CHECK;
/* Most needed or failed first; for contact and report the longest ago first. */
void computer_rows_sort(struct computer_rows *rows, enum computer_sort by);

/* ---- the whole ---- */

struct named_count {
	struct slice name;
	uint32_t n;
};
struct summary {
	struct server_state server;
	struct settings settings;
	tick_t at;
	uint32_t count[SERVER_COUNT__N];
	struct cohort all;
	uint32_t never_reported, stale;
	struct named_count *system, *error; /* computers by operating system; those whose last synchronization failed by its error */
	size_t nsystem, nerror;             /* most first */
	bool behind;                        /* computers changed groups and the counts of groups do not have it yet */
};
int summary_gather(struct txn *t, struct arena *a, tick_t now, struct summary *out, struct err *e) MUST_CHECK;
extern const struct count_name { /* of the 18, for people */
	const char *key, *title;
} count_names[SERVER_COUNT__N];

#endif
