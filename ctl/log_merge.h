/* log_merge.h -- the logs of all services as one, newest line first. */
#ifndef CTL_LOG_MERGE_H
#define CTL_LOG_MERGE_H

#include "ctl/log_source.h"

struct log_places {
	const char *dir;     /* of the files */
	const char *service; /* of log_service(): only this one; NULL: all */
	size_t keep;         /* so many lines will be asked for */
};

/* The file's name without .log for what --service calls a service; NULL: there is no such service. */
const char *log_service_base(const char *service);
/* Is it a unit of systemd, which may speak to the journal? */
bool log_service_unit(const char *service);
/* All names that --service takes, ended by NULL. */
extern const char *const log_services[];

struct log_merge;
/* Services without files, where some have none, are looked for in the journal.  E_NOTFOUND: there is nothing to read;
 * E_REFUSED: it may not be read; the text names the remedy. */
int log_merge_open(struct log_merge **out, const struct log_places *p, const struct log_filter *f, struct err *e) MUST_CHECK;
/* As log_source_next(). */
int log_merge_next(struct log_merge *m, struct slice *line, struct log_entry *entry, struct err *e) MUST_CHECK;
void log_merge_close(struct log_merge **m);

#endif
