/* job.h -- a job that runs at most once at a time, and what it says of itself meanwhile.
 *
 * DIR/NAME.lock is locked by who runs, with pid and beginning inside; a killed holder lets go.  DIR/NAME.status is replaced at
 * once, a few times a second at most: lines `name value`.  DIR is the store's. */
#ifndef COMMON_JOB_H
#define COMMON_JOB_H

#include "common/arena.h"
#include "common/base.h"
#include "common/err.h"

#define JOB_SYNC "sync"
#define JOB_CONTENT "content"

struct job_lock {
	int fd;
};
/* E_BUSY: words say who runs it since when. */
int job_lock(struct job_lock *l, const char *dir, const char *job, struct err *e) MUST_CHECK;
void job_unlock(struct job_lock *l);

#define JOB_UNKNOWN (-1)
struct job_holder {
	long pid;     /* 0: nobody runs it; JOB_UNKNOWN: somebody who has not said so yet */
	tick_t began; /* 0: unknown */
};
int job_who(const char *dir, const char *job, struct job_holder *out, struct err *e) MUST_CHECK;

/* The status file: of who holds the lock.  text: its lines; a line "pid N" is put before them. */
int job_status_write(const char *dir, const char *job, struct slice text, struct err *e) MUST_CHECK;
void job_status_remove(const char *dir, const char *job);
/* E_NOTFOUND: none, or left by one that was killed.  At most 8 KB; text lies in a. */
int job_status_read(const char *dir, const char *job, struct arena *a, struct slice *text, struct err *e) MUST_CHECK;
/* The value of a line; false if there is none. */
bool job_status_value(struct slice text, const char *name, struct slice *out);

#endif
