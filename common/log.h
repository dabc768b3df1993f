/* log.h -- one line a time, to stderr (which the supervisor or systemd collects, or a file is).
 *
 * Format: TIME LEVEL PROGRAM[PID] text, UTC; bytes that are not printable UTF-8 are escaped, so that a line
 * is a line whatever a client sent; errno is kept.  log_request() writes the one line of a request:
 *   req id=... peer=... op=... rc=... status=... in=... out=... us=... [client=...] [name=...] [events="..."] [fault=...] [why="..."]
 *       [do="..."] [more=...]
 * common/log_read.h reads it back; doc/wsus-log.5 says what the members are. */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include "common/base.h"
#include "common/err.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_NOTICE, LOG_DEBUG };

void log_init(const char *program, enum log_level max);
/* Standard error becomes this file, made if it is not there (mode 0640), and is opened anew within a second when the name
 * leads to another one: whoever rotates it renames it and needs to tell nobody.  If the new one cannot be opened the old one goes on.
 * The path must stay.  E_IO. */
int log_to_file(const char *path, struct err *e) MUST_CHECK;
void log_line(enum log_level level, const char *fmt, ...) PRINTF(2, 3);

struct log_request {
	uint64_t id;
	struct slice peer, op; /* present */
	struct slice client, name, events, fault, why, remedy; /* left out if absent */
	int rc, status;
	uint64_t in, out, usec;
	uint64_t more; /* like this one, that have no line */
};
void log_request(const struct log_request *r);

#endif
