/* json.h -- takes single members out of a small JSON object that a program of ours wrote. */
#ifndef CTL_JSON_H
#define CTL_JSON_H

#include "common/arena.h"
#include "common/base.h"

/* The value of a member of the outermost object as it stands in text; absent if there is none or text is no object. */
struct slice json_member(struct slice text, const char *key);
/* The first element of an array, absent if it has none. */
struct slice json_first(struct slice array);
/* A string's characters, in the arena; \u of other than ASCII becomes a question mark.  Absent: no string. */
struct slice json_string(struct slice value, struct arena *a);

#endif
