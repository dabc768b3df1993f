/* keeper.h -- the store of a service: opened, given up when it is damaged, opened again when it was repaired.
 *
 * A service never ends because its store cannot be used: it answers ServerBusy and looks again.  What one worker finds
 * the others learn from a board in memory that they share, so that a damaged file costs one worker and one log line,
 * not each of them at each request.  The board is looked at anew when the file changes, and after a while in any case.
 *
 * Where the catalog cannot be used nothing can be answered, and all workers let go of both files, so that
 * `wsusctl restore` and `wsusctl store reset` find a store that nobody has open.  Where fleet/ cannot be used, scans by
 * server-side targeting go on; what needs a computer's row is ServerBusy. */
#ifndef CGI_KEEPER_H
#define CGI_KEEPER_H

#include <setjmp.h>

#include "store/store.h"

struct keeper;

/* In the parent, before the fork; lives as long as the process.  NULL: out of memory. */
struct keeper *keeper_new(const char *store_dir);
/* In a worker: takes over what damage means to the process. */
void keeper_begin(struct keeper *k);
/* The store as it can be used now, for the next request or the time between two: NULL after err was set to E_DAMAGED.
 * *other: it is not the one of the last call.  idle: also looks for what needs a system call. */
struct store *keeper_store(struct keeper *k, bool idle, bool *other, struct err *e);
/* After each request: gives up what turned out to be damaged. */
void keeper_look(struct keeper *k);
/* A request between these two that meets damage comes back from sigsetjmp(*keeper_guard()) with non-zero: the process is
 * spoilt, and ends after its answer.  Without, it ends at once. */
sigjmp_buf *keeper_guard(struct keeper *k);
void keeper_unguard(struct keeper *k);
void keeper_close(struct keeper *k);

#endif
