/* log_source.h -- the lines of one log, newest first: FILE, then what it was rotated to; or of the journal.
 *
 * Files are read from their ends in blocks, so that the last lines of a log of gigabytes are there at once and memory is
 * bounded.  A packed file (.gz) and the journal come from a child with fixed arguments, gzip and journalctl, found by PATH;
 * of a packed file the last `keep` lines that are wanted are held.  A line above LOG_LINE_MAX is passed over.
 *
 * Who may not read gets E_REFUSED with the remedy. */
#ifndef CTL_LOG_SOURCE_H
#define CTL_LOG_SOURCE_H

#include <sys/types.h>

#include "common/base.h"
#include "common/err.h"
#include "common/log_read.h"

#define LOG_LINE_MAX ((size_t)64 << 10)

/* What of a log is wanted; absent members and zeros want everything. */
struct log_filter {
	tick_t since, until;    /* until: before that */
	struct slice client, name; /* of the computer: its id; its name or the first label of it; either will do */
	struct slice address;   /* of the peer */
	struct slice fault_id;  /* lower case; LOG_FAULT_PREFIX of it count */
	bool faults;            /* what did not end well */
	bool messages;          /* what services say besides requests, too */
};
/* Faults of a burst share the beginning of their ids with the line that counts them. */
#define LOG_FAULT_PREFIX 18

enum log_verdict { LOG_PASS, LOG_WANTED, LOG_TOO_OLD };
/* Judges a line and, if it is wanted, reads it.  LOG_TOO_OLD: neither is anything before it. */
enum log_verdict log_judge(const struct log_filter *f, struct slice line, struct log_entry *out);

/* Starts a program of PATH; *fd is what it says.  in: its standard input, -1: ours. */
int log_spawn(const char *const *argv, int in, pid_t *pid, int *fd, struct err *e) MUST_CHECK;

struct log_source;
/* DIR/BASE.log with what it was rotated to, newest first; E_NOTFOUND: there is none. */
int log_source_files(struct log_source **out, const char *dir, const char *base, const struct log_filter *f, size_t keep,
	struct err *e) MUST_CHECK;
/* Appends --unit=... of this service's unit, or of those of all (NULL), and a NULL to argv, which has room for LOG_UNITS + 1
 * more: journalctl fails for a pattern that fits nothing. */
#define LOG_UNITS 5
void log_units(const char **argv, const char *service);
/* What the service's unit said, service NULL: all of ours. */
int log_source_journal(struct log_source **out, const char *service, const struct log_filter *f, struct err *e) MUST_CHECK;
/* The next older line that is wanted; line and entry live until the next call.  E_NOTFOUND: there is none. */
int log_source_next(struct log_source *s, struct slice *line, struct log_entry *entry, struct err *e) MUST_CHECK;
void log_source_close(struct log_source **s);

#endif
