/* confine.h -- what a job gives up before it reads the first byte that is not ours.
 *
 * Cabinets, documents and answers are parsed here, possibly by root: no privilege comes back (no_new_privs), no core is dumped, of root's
 * capabilities those stay that owners and modes of our files need, and Landlock lets nothing be written, made or removed
 * but below the store and the content directory, and /dev/null.  Reading stays free: certificates, logins and what finds names
 * lie anywhere. */
#ifndef SYNC_CONFINE_H
#define SYNC_CONFINE_H

#include "common/base.h"

/* Best effort: a kernel without Landlock 2 (5.19) does the rest.  content is made if it is not there, NULL: none.
 * false: writing is not confined; *why, static, says why. */
bool confine(const char *store, const char *content, const char **why);

#endif
