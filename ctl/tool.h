/* tool.h -- wsus-sync, the program that speaks to other servers: wsusctl never does, it starts that one.
 *
 * It is found beside wsusctl, where make puts both, or in ../lib/wsus-fcgi, where it is installed.  It gets the same store and
 * content directory. */
#ifndef CTL_TOOL_H
#define CTL_TOOL_H

#include "ctl/cmd.h"

/* wsus-sync JOB (run, content ...) with these arguments (ended by NULL; NULL: none) takes the place of this process, with terminal, signals and --json.
 * Comes back only if that fails.  No transaction is open, nothing is waiting to be printed. */
int tool_exec(struct ctl *c, const char *job, const char *const *args) MUST_CHECK;
/* The same as a child, waited for.  What it says goes where ours goes, but to standard error with --json, as the object is ours.
 * *status: its exit status. */
int tool_sync(struct ctl *c, const char *job, const char *const *args, int *status) MUST_CHECK;
/* Starts it in the background and waits until it has its lock (JOB_SYNC, JOB_CONTENT).  *pid is 0 if it ended before that
 * with nothing wrong: there was nothing to do.  E_BUSY: it runs already; E_REFUSED with its words: it failed. */
int tool_detach(struct ctl *c, const char *job, const char *lock, const char *const *args, long *pid) MUST_CHECK;

#endif
