/* content_names.h -- content files by the names that revisions give them, which is how downstream servers may ask
 * (MS-WSUSSS 2.1: /Content/XX/FileName; WSUSSS-CONTENT-03).
 *
 * CONTENT/names/XX/<FileName in ASCII lower case> is a symbolic link whose text is the 40 digits of the file's SHA-1, in
 * upper case; XX are the last two.  It leads nowhere: who serves files reads the text.  What should be there follows from
 * the catalog alone, so a link that is missing, stale or wrong is mended by looking again:
 * - a stored file has one for each of its names;
 * - none if two files of a folder, stored or not, have that name: nobody could tell which is meant;
 * - none for a name that is no name: empty, over 255 bytes, with a leading dot, a slash, a backslash or a control character. */
#ifndef STORE_CONTENT_NAMES_H
#define STORE_CONTENT_NAMES_H

#include "common/err.h"
#include "store/store.h"

#define CONTENT_NAMES "names"

struct name_report {
	uint64_t made, removed; /* a link that said something else counts as both */
	uint64_t ambiguous;     /* names that have no link for that */
};
/* Makes the links of these folders what they should be; folder[i]: that of digests that end with byte i, NULL: all.  No
 * transaction may be open.  Work beside it waits (a lock on CONTENT/names).  E_IO: the rest is as it was. */
int content_names_mend(const char *dir, struct store *s, const bool folder[256], struct name_report *out, struct err *e) MUST_CHECK;

#endif
