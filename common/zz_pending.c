/* zz_pending.c -- until its owner has landed: weak. */
#include "common/job.h"
#define WEAK __attribute__((weak))
#define NOT_YET return err_set(e, E_REFUSED, "%s: not there yet", __func__)
WEAK int job_lock(struct job_lock *l, const char *dir, const char *job, struct err *e) { (void)l; (void)dir; (void)job; NOT_YET; }
WEAK void job_unlock(struct job_lock *l) { (void)l; }
WEAK int job_who(const char *dir, const char *job, struct job_holder *out, struct err *e) { (void)dir; (void)job; (void)out; NOT_YET; }
WEAK int job_status_write(const char *dir, const char *job, struct slice text, struct err *e) { (void)dir; (void)job; (void)text; NOT_YET; }
WEAK void job_status_remove(const char *dir, const char *job) { (void)dir; (void)job; }
WEAK int job_status_read(const char *dir, const char *job, struct arena *a, struct slice *text, struct err *e) { (void)dir; (void)job; (void)a; (void)text; NOT_YET; }
WEAK bool job_status_value(struct slice text, const char *name, struct slice *out) { (void)text; (void)name; (void)out; return false; }
