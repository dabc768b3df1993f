/* language.h -- inside store/ only: the setting sync.languages, and what changes of it mean to downstream servers. */
#ifndef STORE_LANGUAGE_H
#define STORE_LANGUAGE_H

#include "store/sync.h"

/* "all", or short names with commas between; false: it is neither.  With all, every one is on (WSUSSS-CONFIGDATA-12). */
bool languages_read(struct slice text, bool on[SYNC_LANGUAGES]);
/* The same as text, ascending by id; returns its bytes, of at most LANGUAGES_TEXT. */
#define LANGUAGES_TEXT 256
size_t languages_write(const bool on[SYNC_LANGUAGES], char *to, size_t size);
/* Notes a change of what GetConfigData answers: of these languages, or (was and is alike) of something else. */
int languages_changed(struct txn *t, const bool was[SYNC_LANGUAGES], const bool is[SYNC_LANGUAGES], struct err *e)
	MUST_CHECK;

#endif
