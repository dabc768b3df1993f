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
/* The commands `content status` (content_status.c). */
int content_run_status(struct ctl *c);

#endif
