/* upstream.h -- asking the server above, which wsus-sync does: wsusctl speaks no HTTP. */
#ifndef CTL_UPSTREAM_H
#define CTL_UPSTREAM_H

#include "ctl/cmd.h"

/* Runs `wsus-sync JOB ARGUMENT...` (ended by NULL) on this store; what it says goes where ours goes, but to standard error with --json.
 * *status: its exit status.  No transaction may be open. */
int upstream_ask(struct ctl *c, const char *job, const char *const *args, int *status) MUST_CHECK;

#endif
