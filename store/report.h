/* report.h -- what computers report (MS-WUSP 3.1.5.11): events, the status of each update on each computer, and the counts of it.
 *
 * All of it lies in fleet/.  Events are rows of their own in a ring of databases, oldest dropped whole (event.c).  The status of
 * all updates of a computer is one record, its standing another (status.c).  Counts are kept per cohort (tally.c): the computers
 * that are directly in the same groups, so that a group that moves moves no count, and every computer is in one cohort. */
#ifndef STORE_REPORT_H
#define STORE_REPORT_H

#include "common/os_tuple.h"
#include "store/store.h"

/* MS-WSUSSS 3.1.1, Update Status Table; WSUSSS-ADM-18. */
enum update_status { STATUS_UNKNOWN, STATUS_NOT_APPLICABLE, STATUS_NEEDED, STATUS_DOWNLOADED, STATUS_INSTALLED, STATUS_FAILED,
	STATUS_PENDING_REBOOT, STATUS__N };
extern const char *const update_status_names[STATUS__N]; /* "unknown", "not-applicable", "needed", "downloaded", "installed", "failed", "pending-reboot" */

enum sync_result { SYNC_NEVER, SYNC_SUCCEEDED, SYNC_FAILED };

/* ================= a batch comes ================= */

struct reported_machine { /* of ExtendedData */
	struct slice brand, model, bios, architecture;
	int32_t os[6]; /* Major, Minor, Build, Revision, ServicePackMajor, ServicePackMinor */
	int32_t locale;
};
struct report_event {
	struct guid instance;  /* EventInstanceID */
	tick_t at;             /* TimeAtTarget as sent */
	int32_t name_space;    /* NamespaceID: other than 1, it is kept without effect (REPORT-12) */
	int16_t id, source;
	struct guid update;    /* zero: none (REPORT-14) */
	int32_t revision;
	int32_t hresult;
	struct slice app, device;
	const struct slice *strings; /* ReplacementStrings */
	size_t nstrings;
	const struct slice *misc;    /* MiscData, whole */
	size_t nmisc;
	struct reported_machine machine;
	uint32_t position;     /* in its batch, which natives send with one time for all: report_take() sets it */
	bool foreign;          /* names another computer: acknowledged and forgotten (REPORT-09) */
};
struct report {
	struct slice computer; /* of the cookie */
	tick_t client_time;    /* clientTime */
	tick_t now;
	struct report_event *event;
	size_t n;
};
struct report_outcome {
	uint32_t kept, repeated, foreign, unknown_updates;
	bool changed; /* of the state; false: events alone */
};
/* Takes a batch, all or nothing; needs TXN_FLEET, the commit is the caller's.  Events are applied by time, ties by position
 * (REPORT-39); a repeated EventInstanceID counts once (-13), within the batch, too.  A time is shifted by clientTime's distance
 * from now where that is more than a minute, and is never later than now (-38).  E_NOTFOUND: no such computer;
 * E_FULL: fleet/ has no room for more. */
int report_take(struct txn *t, const struct report *r, struct report_outcome *out, struct err *e) MUST_CHECK;
/* ReportInventory: LastInventoryTime, as RegisterComputer sets it. */
int report_inventory(struct txn *t, struct slice computer, tick_t at, struct err *e) MUST_CHECK;

/* ================= one computer ================= */

struct standing {
	enum sync_result sync_result; /* LastSyncResult: of the last 147, 148, 157, 158 */
	tick_t sync_at;               /* when that was */
	tick_t sync_good_at;          /* LastSyncTime: the last 147 */
	int32_t sync_hresult;
	int16_t sync_event;
	tick_t reported_at;           /* LastReportedStatusTime: server's time of the last batch; 0: never */
	tick_t status_at;             /* of the last 153 or 156, its own time; 0: never, so that nothing is known */
	tick_t rebooted_at;           /* LastReportedRebootTime */
	tick_t reboot_since;          /* waits for a restart since; 0: does not */
	tick_t inventory_at;          /* LastInventoryTime: registration or ReportInventory */
	tick_t effective_at;          /* EffectiveLastDetectionTime */
	tick_t skew;                  /* of the last batch: clientTime minus ours */
	uint32_t count[STATUS__N];    /* of its updates by status; UNKNOWN unused, NOT_APPLICABLE those once listed */
	uint32_t hidden;
	uint32_t good, bad;           /* installations that succeeded and failed, all in all */
	uint32_t cohort;              /* in whose counts it is; 0: in none yet */
	uint32_t os;                  /* of os_get(): 0 until it registers */
	struct slice client_version;  /* MiscData G */
	struct slice bios_name, bios_date; /* K, L */
	struct reported_machine machine; /* as last reported; texts empty before */
};
/* Of a computer that is known and never reported: zeros.  E_NOTFOUND: no such computer. */
int standing_get(struct txn *t, struct slice computer, struct standing *out) MUST_CHECK;
/* All computers in order of id, with their standings: for lists.  Cheap: no status is read. */
int standing_each(struct txn *t, int (*fn)(const struct computer *, const struct standing *, void *), void *arg, struct err *e)
	MUST_CHECK;

struct status_row {
	uint32_t update_no;
	enum update_status status; /* NOT_APPLICABLE: was listed before and is no more */
	bool hidden;               /* by the user of the computer, REPORT-36 */
	tick_t at;                 /* LastChangeTime, in the server's time */
	/* The last failure, also where a later list says needed; 0: none. */
	tick_t failed_at;
	int32_t hresult;
	int16_t event;
};
#define LIMIT_STATUS_ROWS 40000u /* of a computer; a record of 250 KB.  What is beyond is not kept, the weakest status first */
/* Ascending by UpdateNo; fn returns non-zero to stop. */
int status_each(struct txn *t, struct slice computer, int (*fn)(const struct status_row *, void *), void *arg, struct err *e)
	MUST_CHECK;
/* One update of one computer: UNKNOWN if it never sent a list, NOT_APPLICABLE if its lists do not have it.  By binary search:
 * 100,000 computers in a tenth of a second. */
int status_get(struct txn *t, struct slice computer, uint32_t update_no, struct status_row *out) MUST_CHECK;

/* ================= counts ================= */

struct tally { /* of one update */
	uint32_t by[STATUS__N]; /* NEEDED to PENDING_REBOOT are kept; the first two follow from the computers of the cohorts */
};
struct cohort {
	uint32_t no;
	uint32_t group[LIMIT_CLIENT_GROUPS]; /* direct ones, ascending; Unassigned Computers if there is none */
	unsigned ngroups;
	uint32_t computers;   /* all of them */
	uint32_t reported;    /* that sent a list */
	uint32_t needing;     /* with an update in status 2 or 3 */
	uint32_t failed;      /* ... 5 */
	uint32_t up_to_date;  /* reported, none of 2, 3, 5 */
	uint32_t pending;     /* that wait for a restart */
	uint32_t sync_failed; /* whose last sync failed */
	uint32_t updates_needed, updates_failed; /* updates that some computer has in 2, 3 or 5; in 5 */
};
#define COHORT_ALL 0u /* the server: the sum of all */
int cohort_get(struct txn *t, uint32_t no, struct cohort *out) MUST_CHECK;
int cohort_each(struct txn *t, int (*fn)(const struct cohort *, void *), void *arg, struct err *e) MUST_CHECK; /* without COHORT_ALL */
/* Counts of one update in one cohort; zeros where there are none. */
int tally_get(struct txn *t, uint32_t cohort, uint32_t update_no, struct tally *out) MUST_CHECK;
/* Updates of a cohort of which any count is not zero, ascending. */
int tally_each(struct txn *t, uint32_t cohort, int (*fn)(uint32_t update_no, const struct tally *, void *), void *arg, struct err *e)
	MUST_CHECK;

/* The cohorts below a group, itself included: whose computers are in it or in a group under it.  In the arena. */
int group_cohorts(struct txn *t, uint32_t group, struct cohort **out, size_t *n, struct err *e) MUST_CHECK;

/* Policy moves computers between cohorts: an assignment, a group that comes or goes, the setting targeting.  Each such change
 * raises a number in catalog/ (membership); fleet/ knows up to which it has followed.  wsusctl follows behind a commit, the job of every minute what
 * wsusctl could not, and a report of a computer moves that computer by itself. */
bool membership_behind(struct txn *t);
/* Needs TXN_FLEET: moves what is to be moved, at most `most` computers (0: all); *more says whether some are left. */
int membership_follow(struct txn *t, uint32_t most, bool *more, struct err *e) MUST_CHECK;
/* All of it, in as many transactions as it takes; nothing where fleet/ cannot be used.  No transaction is open. */
int membership_catch_up(struct store *s, struct err *e) MUST_CHECK;
/* Counts begin anew: they are empty from here on, and membership_follow() fills them.  It does so by itself where fleet/ belongs to
 * another catalog, where nothing was ever counted (format 4), and where a count would have gone below 0.  Needs TXN_FLEET. */
int report_recount(struct txn *t, struct err *e) MUST_CHECK;

/* Activity: installations by update, server and operating system; WSUSSS-ADM-19, -20. */
struct os_info {
	uint32_t no;
	struct slice tuple;   /* the ten OS fields and ProcessorArchitecture, as common/os_tuple packs them */
	uint32_t computers;   /* of this server that have it */
};
int os_get(struct txn *t, uint32_t no, struct os_info *out) MUST_CHECK;
int os_each(struct txn *t, int (*fn)(const struct os_info *, void *), void *arg, struct err *e) MUST_CHECK;
int os_fields(struct slice tuple, struct os_fields *out) MUST_CHECK;
struct activity {
	struct guid server;   /* this one's own ServerID for its own computers */
	uint32_t os;
	struct guid update;
	int32_t revision;
	uint32_t good, bad;
};
int activity_each(struct txn *t, int (*fn)(const struct activity *, void *), void *arg, struct err *e) MUST_CHECK;

/* Counts against a computation from all records. */
int report_audit(struct txn *t, struct auditor *to, struct err *e) MUST_CHECK;

/* ================= events ================= */

struct event {
	struct guid instance;
	tick_t at, received;  /* in the server's time; when it came */
	uint32_t position;    /* in its batch: of equal times the later one has the higher */
	int16_t id, source;
	int32_t name_space, hresult;
	struct guid update;
	int32_t revision;
	struct slice app, device;
	struct slice *strings; /* ReplacementStrings; in the arena */
	size_t nstrings;
	struct slice *misc;    /* without the lists and what is the same in all events of the computer */
	size_t nmisc;
};
/* Events of a computer that are kept, newest first (by `at`, then as they came), at most `most` (0: all); in the arena. */
int events_of(struct txn *t, struct slice computer, size_t most, struct event **out, size_t *n, struct err *e) MUST_CHECK;
/* Begins and drops segments where report.event-days asks for it; for the job of every minute, so that a server without reports
 * forgets, too. */
int events_tend(struct store *s, tick_t now, struct err *e) MUST_CHECK;
struct event_segment {
	uint32_t no;            /* ascending */
	tick_t from, to;        /* received; `to` of the last one is now */
	uint64_t events, bytes; /* bytes: of its pages */
};
int event_segments(struct txn *t, struct event_segment **out, size_t *n, struct err *e) MUST_CHECK;

#endif
