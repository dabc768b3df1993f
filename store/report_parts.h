/* report_parts.h -- inside store/ only: what the parts of report.h ask of each other. */
#ifndef STORE_REPORT_PARTS_H
#define STORE_REPORT_PARTS_H

#include "store/db.h"
#include "store/report.h"

/* ---- event.c: the ring ---- */
#define EVENT_SEGMENTS 16
/* Keeps one event of a computer; *repeated: it is there already, nothing is written.  r->at is in the server's time by now.
 * Begins a new segment, and drops the oldest whole, where report.event-days or the events' share of fleet/ asks for it. */
int event_keep(struct txn *t, struct slice computer, const struct report_event *r, tick_t now, bool *repeated, struct err *e) MUST_CHECK;

/* ---- tally.c: counts ---- */
/* The cohort of the computers that are directly in these groups (ascending), made if new. */
int cohort_number(struct txn *t, const uint32_t *group, unsigned n, uint32_t *no, struct err *e) MUST_CHECK;
/* One update of one computer goes from a status to another, in the computer's cohort and in COHORT_ALL.  Changes of a batch are
 * gathered and written together. */
struct tally_change {
	uint32_t update_no;
	uint8_t from, to;
};
int tally_apply(struct txn *t, uint32_t cohort, const struct tally_change *v, size_t n, struct err *e) MUST_CHECK;
/* A computer's standing goes from `was` to `is` (NULL: it is not there): the counts of computers of their cohorts and of
 * COHORT_ALL follow.  Its tallies are the caller's. */
int cohort_change(struct txn *t, const struct standing *was, const struct standing *is, struct err *e) MUST_CHECK;
/* An installation of this server's computers; the update is one that the server holds. */
int activity_add(struct txn *t, uint32_t os, const struct guid *update, int32_t revision, uint32_t good, uint32_t bad, struct err *e)
	MUST_CHECK;
/* The operating system of a registration, made if new; info empty: 0.  At most LIMIT_OS different ones are told apart, more are 0:
 * anybody may make them up. */
#define LIMIT_OS 4096u
int os_number(struct txn *t, struct slice info, uint32_t *no, struct err *e) MUST_CHECK;
int os_count(struct txn *t, uint32_t no, int by, struct err *e) MUST_CHECK;

/* ---- status.c ---- */
int standing_put(struct txn *t, struct slice key, const struct standing *s, struct err *e) MUST_CHECK;
/* Adds to, or takes from, the counts of a cohort what the record of this computer says: when it moves or goes. */
int status_count(struct txn *t, struct slice key, uint32_t cohort, bool add, struct err *e) MUST_CHECK;
int status_forget(struct txn *t, struct slice key, struct err *e) MUST_CHECK;

/* ---- hooks in computer.c: the counts follow ---- */
/* A computer is new, registers, asks for other groups (targeting by client), or goes. */
int standing_follow(struct txn *t, struct slice computer, struct err *e) MUST_CHECK;
int standing_registered(struct txn *t, struct slice computer, struct slice info, tick_t now, struct err *e) MUST_CHECK;
int standing_forget(struct txn *t, struct slice computer, struct err *e) MUST_CHECK;
/* group.c: direct groups of a computer, ascending, by targeting mode; Unassigned Computers if there is none. */
int direct_groups_get(struct txn *t, const struct settings *s, struct slice computer, uint32_t group[LIMIT_CLIENT_GROUPS], unsigned *n,
	struct err *e) MUST_CHECK;
/* Counts what was never counted with this catalog; store_open() calls it for STORE_ADMIN. */
int membership_adopt(struct store *s, struct err *e) MUST_CHECK;

/* Migration of fleet/ of format 4: what was known of ids under several names. */
int scanned_migrate(struct txn *t, struct err *e) MUST_CHECK;
/* ... of catalog/: facts of all updates, see fact.h.  In fleet/ nothing is counted until the first
 * membership_catch_up(): the one has not the other at hand. */
int fact_migrate(struct txn *t, struct err *e) MUST_CHECK;

/* Audit hooks: can this row be read? */
bool event_row_good(struct slice key, struct slice value);
bool event_ring_good(struct txn *t);
bool scanned_row_good(struct txn *t, enum db db, struct slice key, struct slice value); /* and is its computer there? */

#endif
