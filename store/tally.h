/* tally.h -- inside store/ only: counts in memory before they are written, and the records of cohorts.
 *
 * A move of a computer changes thousands of counts, and the next computer's move the same ones: changes are summed up by cohort and
 * chunk of updates, and each chunk is written once. */
#ifndef STORE_TALLY_H
#define STORE_TALLY_H

#include "store/report_parts.h"

#define TALLY_CHUNK 64u /* updates of one row: 1,289 bytes at most, so that it shares a page */
enum { TALLY_FIRST = STATUS_NEEDED, TALLY_KEPT = STATUS__N - STATUS_NEEDED };

struct tally_block {
	uint32_t cohort, chunk;
	int32_t by[TALLY_CHUNK][TALLY_KEPT];
};
struct tally_sums {
	struct arena arena;
	struct tally_block **slot; /* a hash table, half empty */
	size_t slots, n;
	struct tally_block *last;  /* changes come in order of updates */
};
void tally_sums_init(struct tally_sums *s, size_t cap);
void tally_sums_free(struct tally_sums *s);
/* A status that is not kept changes nothing.  false: no memory. */
bool tally_sums_add(struct tally_sums *s, uint32_t cohort, uint32_t update_no, unsigned status, int32_t by) MUST_CHECK;
/* The sums of a chunk; NULL: none. */
const struct tally_block *tally_sums_find(const struct tally_sums *s, uint32_t cohort, uint32_t chunk);
/* Adds them to what is stored and empties them.  Those of a cohort that is not there are dropped. */
int tally_sums_write(struct txn *t, struct tally_sums *s, struct err *e) MUST_CHECK;
/* Between the two, tally_apply() adds to s instead of writing; NULL: no more. */
void tally_gather(struct txn *t, struct tally_sums *s);

struct tally_counts {
	uint32_t by[TALLY_CHUNK][TALLY_KEPT];
};
/* E_CORRUPT: cannot be read, or has a row of zeros. */
int tally_decode(struct slice value, struct tally_counts *out) MUST_CHECK;
static inline bool tally_needed(const uint32_t by[TALLY_KEPT])
{
	return (by[STATUS_NEEDED - TALLY_FIRST] | by[STATUS_DOWNLOADED - TALLY_FIRST] | by[STATUS_FAILED - TALLY_FIRST]) != 0;
}
static inline bool tally_failed(const uint32_t by[TALLY_KEPT])
{
	return by[STATUS_FAILED - TALLY_FIRST] != 0;
}

/* ---- cohort.c ---- */
int cohort_put(struct txn *t, const struct cohort *c, struct err *e) MUST_CHECK;
int cohort_decode(uint32_t no, struct slice value, struct cohort *out) MUST_CHECK;
bool cohort_is_there(struct txn *t, uint32_t no);
/* In which counts of computers is one with this standing?  1 or 0 in computers to sync_failed. */
struct cohort cohort_of_one(const struct standing *s);
/* v + by; a count below 0 says that counts are wrong: they are counted anew with the next membership_follow(). */
int count_add(struct txn *t, uint32_t *v, int64_t by, struct err *e) MUST_CHECK;

/* ---- activity.c ---- */
/* Nobody is counted by operating system, before all are counted anew. */
int os_uncount(struct txn *t, struct err *e) MUST_CHECK;

#endif
