/* fetching.h -- inside the content job: its state, and what its files do for each other.
 *
 *   content.c -> plan.c: the list of a round;  fetching.c: works through it -> outcome.c: what became of an item */
#ifndef SYNC_FETCHING_H
#define SYNC_FETCHING_H


#include "common/text.h"
#include "store/content.h"
#include "store/need.h"
#include "sync/content.h"
#include "sync/download.h"

#define SLOTS 16               /* of setting upstream.connections */
#define NONE UINT32_MAX
#define LEVELS 6               /* 2 s ... 64 s */
#define CHANGES 128            /* rows that wait to be written */

struct item { /* a file of the round's list; others name it by its place there */
	struct needed need;
	int64_t due;   /* by time_monotonic_ms() */
	uint32_t next; /* in its queue */
	uint8_t tries, level;
	uint8_t from; /* enum download_from */
	bool asked;
};

struct queue { /* of items, linked by next */
	uint32_t first, last;
	uint32_t n;
};

struct change { /* a row that waits to be written */
	struct sha1 digest;
	enum fetch_state state;
	bool failed; /* one more attempt that did */
	char why[300];
};

struct job {
	struct run r;
	const struct job_options *o;
	bool direct;           /* the parent has no content: the vendor's addresses alone */
	bool retry;            /* what is not due, too */
	/* ---- the round ---- */
	struct arena plan;
	struct item *v;
	uint32_t n, fresh;     /* v[fresh] is the next that was not tried */
	struct queue wait[LEVELS], ask;
	int64_t ask_since;
	struct ask_spent spent;
	struct download *slot[SLOTS];
	unsigned busy, limit;
	struct source {
		unsigned silent, pauses;
		int64_t until; /* it has a pause */
		bool dead;
	} source[2];           /* by enum download_from */
	uint64_t total, done, left_out, left_out_bytes;
	/* ---- all of them ---- */
	struct content_marks marks;
	bool folder[256], touched;
	struct change change[CHANGES];
	unsigned nchange;
	int64_t flushed, base;
	uint64_t placed, placed_bytes, found, failed, asked, wrong, received;
	int64_t busy_ms, busy_since;
	struct err first, last; /* what failed first, and what went wrong last, for the last line */
	char room[400];        /* why not all of it fits */
	bool warned;           /* of that */
};

/* ---- plan.c ---- */
/* The list of a new round: what is needed, due, and fits.  Parts of what nobody needs any more go. */
int plan_round(struct job *j, struct err *e) MUST_CHECK;

/* ---- fetching.c ---- */
/* Works through the list until each item has its outcome, but those whose server is dead: they are left for the next run. */
int fetching_work(struct job *j, struct err *e) MUST_CHECK;
/* Ends what is under way; what came of it stays. */
void fetching_stop(struct job *j);

/* ---- outcome.c: queues ---- */
uint32_t queue_take(struct job *j, struct queue *q); /* its head; there is one */
/* The queue whose head is due first; NULL: all are empty. */
struct queue *queue_first_due(struct job *j);
/* Items in all queues, that of questions to the parent included. */
uint32_t queue_waiting(const struct job *j);

/* ---- outcome.c: rows ---- */
/* A row for the file, written with the next group.  why: of no meaning to FETCH_LOADING. */
int rows_note(struct job *j, const struct sha1 *digest, enum fetch_state state, bool failed, const char *why,
	struct err *e) MUST_CHECK;
/* Marks what is placed and writes the rows that wait. */
int rows_flush(struct job *j, struct err *e) MUST_CHECK;

/* ---- outcome.c: items.  Not E_OK: a failure of this machine, or E_CANCELLED ---- */
/* The record of its file, which lies in *t; the caller ends that, whatever comes.  E_NOTFOUND: no update has it any more. */
int item_file(struct job *j, uint32_t i, struct txn **t, struct file *f, struct err *e) MUST_CHECK;
int outcome_failed(struct job *j, uint32_t i, const struct err *why, struct err *e) MUST_CHECK; /* for this round */
int outcome_stored(struct job *j, uint32_t i, struct err *e) MUST_CHECK;
/* The parent was asked to fetch it; why: its words, unless it accepted. */
int outcome_asked(struct job *j, uint32_t i, enum asked what, struct err *why, struct err *e) MUST_CHECK;
/* Of a download that came to its end: it is finished, and its item goes where it belongs. */
int outcome_of(struct job *j, struct download *d, struct err *e) MUST_CHECK;

#endif
