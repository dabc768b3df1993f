/* log.h -- one line a time, to stderr (which the supervisor or systemd collects).
 *
 * Format: TIME LEVEL PROGRAM[PID] text, UTC; bytes that are not printable UTF-8 are escaped, so that a line
 * is a line whatever a client sent; errno is kept.  log_request() writes the one line of a request:
 *   req id=... peer=... op=... rc=... status=... in=... out=... us=... [client=...] [name=...] [fault=...] [why="..."] [do="..."]
 * common/log_read.h reads it back; doc/wsus-log.5 says what the members are. */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include "common/base.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_NOTICE, LOG_DEBUG };

void log_init(const char *program, enum log_level max);
void log_line(enum log_level level, const char *fmt, ...) PRINTF(2, 3);

struct log_request {
	uint64_t id;
	struct slice peer, op; /* present */
	struct slice client, name, fault, why, remedy; /* left out if absent */
	int rc, status;
	uint64_t in, out, usec;
};
void log_request(const struct log_request *r);

#endif
