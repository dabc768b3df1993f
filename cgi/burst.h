/* burst.h -- the same refusal again and again has some lines in the log, then one for all the others.
 *
 * A program that repeats what is refused, or a computer that cannot be helped, would write the log full.  Refusals of a worker
 * are the same if peer, computer, operation, result and reason are.  Of these BURST_LINES in BURST_SECONDS have lines;
 * then they are counted, and the last of them has a line with more=, the number of the others.  Each keeps an ID of its
 * own, the first half of which is that of the first line: `wsusctl log --id` finds both lines by it. */
#ifndef CGI_BURST_H
#define CGI_BURST_H

#include "common/base.h"
#include "common/log.h"

#define BURST_LINES 10
#define BURST_SECONDS 60
#define BURST_ROWS 16 /* different ones at a time, of one worker; the oldest gives way */
#define BURST_TEXT 1024

struct burst_row {
	uint64_t key; /* 0: free */
	tick_t since; /* of the first */
	uint64_t n;   /* so far */
	uint8_t prefix[8];
	struct log_request last; /* of those that wait; its slices lie in text */
	char text[BURST_TEXT];
	bool waits;
};

struct burst {
	struct burst_row row[BURST_ROWS];
};

/* Counts this refusal: peer, op, client, rc and why count.  NULL: it has a line.  Else its row, in which burst_keep() puts it
 * instead, and the first half of *id is that of the burst; id may be NULL. */
struct burst_row *burst_count(struct burst *b, const struct log_request *r, tick_t now, struct guid *id);
void burst_keep(struct burst_row *row, const struct log_request *r);
/* Writes the lines of bursts that have ended; of all with now == INT64_MAX. */
void burst_tell(struct burst *b, tick_t now);

#endif
