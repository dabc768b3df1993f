/* content.h -- what commands do for content files besides their own work; the files themselves: store/content.h. */
#ifndef CTL_CONTENT_H
#define CTL_CONTENT_H

#include "store/content.h"

struct ctl;
/* Drops the marks of wanted files that are here by now (cmd_content.c); no transaction may be open.  What fails is warned of. */
void content_sweep_wanted(struct ctl *c);
struct name_report;
/* content_names_mend() as a part of a command (cmd_content.c): without a content directory there is nothing to do, and what
 * fails is warned of. */
void content_mend_names(struct ctl *c, const bool folder[256], struct name_report *out);
/* The command `content status` (content_status.c). */
int content_run_status(struct ctl *c);
/* and `content fetch` (content_fetch.c). */
int content_run_fetch(struct ctl *c);
/* After an approval of the update, with a read transaction: if files of it are missing and there is a server above, says how much is to
 * be fetched and begins that in the background, unless --no-content is given. */
int content_begin(struct ctl *c, uint32_t update_no);

#endif
