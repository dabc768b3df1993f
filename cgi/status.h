/* status.h -- /health and /metrics: what the health job found last (scripts/job.sh), or that it finds nothing any more.
 *
 * The job leaves health.txt and metrics.prom in one directory, each replaced at once.  Who may see them is nginx's
 * matter (nginx/status.conf). */
#ifndef CGI_STATUS_H
#define CGI_STATUS_H

#include "common/base.h"
#include "common/serve.h"

struct status_reply {
	char headers[160];
	struct iovec iov;
};

/* Is it one of the two paths? */
bool status_is_for(struct slice path);

/* Answers 200, or 503 with the reason for people: level CRITICAL or UNKNOWN (/health alone), a file that is older than
 * LIMIT_STATUS_AGE at `now`, or none.  dir NULL: 404.  The body lies in the request's arena. */
void status_answer(const struct request *req, const char *dir, tick_t now, struct status_reply *room, struct answer *out);

#endif
