/* walk.h -- the files below the paths an administrator names. */
#ifndef CTL_WALK_H
#define CTL_WALK_H

#include "ctl/cmd.h"

typedef int walk_fn(struct ctl *c, const char *path, uint64_t size, void *arg);
/* Calls fn for every regular file named or below a directory named, in the order of names, following no
 * symbolic links below the named paths; suffix NULL = all.  Unreadable places are complained about and
 * skipped; a result of fn other than E_OK ends the walk. */
int walk_files(struct ctl *c, const char *path, const char *suffix, walk_fn *fn, void *arg);
/* All, and fn is called for symbolic links to files, too, with the size of these.  One that leads to nothing is complained
 * about; one to a directory is not gone into, which is said if that is elsewhere.  Names that begin with a dot are left out:
 * those of work that others are at. */
int walk_with_links(struct ctl *c, const char *path, walk_fn *fn, void *arg);
/* How many files walk_files() would call fn for; says nothing of what it cannot read. */
uint64_t walk_count(const char *path, const char *suffix);
/* Removes a directory with all that is in it; what is not there is fine. */
int walk_remove(const char *path, struct err *e);

#endif
