/* report.h -- what a run tells: progress on a terminal, a line for each phase in the log, or events as JSON, one a line.
 *
 * Three audiences, one set of calls.  REPORT_TERMINAL: on standard output a line for each phase, on standard error one line of progress
 * that overwrites itself (rate, time left); REPORT_LOG: a line a phase with its time; REPORT_JSON: {"event": ...} objects.
 * What report_status() writes beside the store (sync.status, content.status: replaced at once, a few lines `name value`)
 * is what `wsusctl sync status` and `content status` show of a run under way. */
#ifndef SYNC_REPORT_H
#define SYNC_REPORT_H

#include "common/base.h"
#include "common/err.h"

enum report_form { REPORT_QUIET, REPORT_TERMINAL, REPORT_LOG, REPORT_JSON };
struct report;
/* job: "sync" or "content"; dir: the store's, for the status file.  Only who holds the job's lock begins a phase. */
int report_open(struct report **out, enum report_form form, const char *job, const char *dir, struct err *e) MUST_CHECK;
void report_close(struct report **r); /* removes the status file */

enum report_unit { UNIT_DOCUMENTS, UNIT_IDS, UNIT_FILES, UNIT_BYTES, UNIT_DEPLOYMENTS };
/* A phase begins ("categories"); the one before ends. */
void report_phase(struct report *r, const char *phase);
/* The one under way ends; for what is told behind the last. */
void report_phase_end(struct report *r);
/* done of total (0: unknown) units, bytes received so far; at most some ten times a second reach anybody. */
void report_progress(struct report *r, enum report_unit unit, uint64_t done, uint64_t total, uint64_t bytes);
/* What the phase came to, for its line. */
void report_result(struct report *r, const char *fmt, ...) PRINTF(2, 3);
/* Something was skipped or put right: a line of its own, "note" or "warning". */
void report_note(struct report *r, const char *fmt, ...) PRINTF(2, 3);
void report_warn(struct report *r, const char *fmt, ...) PRINTF(2, 3);
/* The end: what failed and what to do about it (both NULL: done).  why REPORT_CANCELLED: somebody said stop, nothing failed.  What
 * failed goes to standard error even with REPORT_QUIET. */
extern const char REPORT_CANCELLED[];
void report_end(struct report *r, const char *why, const char *remedy, const char *summary);

#endif
