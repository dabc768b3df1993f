/* walk.h -- the files below the paths an administrator names. */
#ifndef CTL_WALK_H
#define CTL_WALK_H

#include "ctl/cmd.h"

/* Calls fn for every regular file named or below a directory named, in the order of names, following no
 * symbolic links below the named paths; suffix NULL = all.  Unreadable places are complained about and
 * skipped; a result of fn other than E_OK ends the walk. */
int walk_files(struct ctl *c, const char *path, const char *suffix,
	int (*fn)(struct ctl *, const char *path, uint64_t size, void *arg), void *arg);
/* How many files walk_files() would call fn for; says nothing of what it cannot read. */
uint64_t walk_count(const char *path, const char *suffix);
/* Removes a directory with all that is in it; what is not there is fine. */
int walk_remove(const char *path, struct err *e);

#endif
