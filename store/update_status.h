/* update_status.h -- inside store/ only: the statuses of a computer's updates while a batch is applied to them. */
#ifndef STORE_UPDATE_STATUS_H
#define STORE_UPDATE_STATUS_H

#include "store/report_parts.h"

/* UpdateNos lie above four bits of a row. */
#define UPDATE_NO_MAX 0x0FFFFFFFu

struct status_item {
	struct status_row row; /* status STATUS_UNKNOWN: not in the record */
	uint8_t was;           /* the status as it was */
	uint8_t wanted;        /* by the list that is being applied, */
	uint32_t stamp;        /* which has this number */
};

/* The rows of the record, and one for each of the UpdateNos (ascending, no two the same) that it lacks; in the arena, ascending. */
int status_load(struct txn *t, struct slice key, const uint32_t *no, size_t n, struct status_item **out, size_t *nout, struct err *e)
	MUST_CHECK;
/* Writes the record: at most LIMIT_STATUS_ROWS rows, and LIMIT_FAILURES of their failures; what is left out has STATUS_UNKNOWN then, or
 * failed_at 0.  E_FULL: it would grow, and there is no room. */
#define LIMIT_FAILURES 256u
int status_store(struct txn *t, struct slice key, struct status_item *v, size_t n, struct err *e) MUST_CHECK;
/* Rows by status, hidden ones: what a standing says of a record. */
void status_sum(const struct status_item *v, size_t n, uint32_t count[STATUS__N], uint32_t *hidden);

/* Can the rows be read that they are made of?  For the audit. */
bool standing_row_good(struct slice key, struct slice value);
bool status_row_good(struct slice key, struct slice value);
/* What the record of a computer sums up to, and its highest UpdateNo; zeros if it has none. */
int status_figures(struct txn *t, struct slice key, uint32_t count[STATUS__N], uint32_t *hidden, uint32_t *highest) MUST_CHECK;

#endif
