/* log_read.h -- reads back the lines that common/log.h and nginx/maps.conf write; doc/wsus-log.5 is their description.
 *
 * Lines come from files that computers' words stand in: a line that is not exactly of the form is none.  Nothing is
 * allocated; slices lie in the line, values as they are escaped there (log_plain() undoes it). */
#ifndef COMMON_LOG_READ_H
#define COMMON_LOG_READ_H

#include "common/base.h"
#include "common/buf.h"

struct log_entry {
	tick_t at;
	struct slice level, program; /* "notice", "wsus-client" */
	struct slice text;           /* all behind the head */
	bool request;                /* the line of a request; else text is a message for people and all below is absent */
	struct slice id, peer, op, client, name, events, why, remedy, http; /* absent if not in the line */
	struct slice fault, fault_id; /* of fault=CODE:ID */
	int64_t rc, status;          /* rc is 0 in nginx's lines */
	uint64_t in, out, usec, more; /* more: so many like this one have no line of their own */
};

/* false: no line of ours.  *line may have its newline or not. */
bool log_read(struct slice line, struct log_entry *out) MUST_CHECK;
/* The time at the start of a line alone, for whoever looks for a time. */
bool log_read_time(struct slice line, tick_t *out) MUST_CHECK;
/* Appends a value with its \xNN undone. */
void log_plain(struct buf *b, struct slice value);
/* Did the request end well? */
bool log_is_ok(const struct log_entry *l);

#endif
