/* report_html.h -- the report as one page for a browser: to be mailed, opened without a network, and printed.
 *
 * It has no script and fetches nothing; a policy in its head makes browsers keep to that.  Charts are SVG, colours follow the
 * reader's light or dark.  Whatever comes from computers or documents is escaped and isolated, so that no name changes what
 * stands around it. */
#ifndef CTL_REPORT_HTML_H
#define CTL_REPORT_HTML_H

#include "common/buf.h"
#include "ctl/report_data.h"

/* Computers by what is to be done about them; each is in one. */
struct page_state {
	uint32_t good, needing, failed, silent; /* silent: never sent a status */
};
struct page_group {
	struct slice name;
	unsigned depth; /* below All Computers */
	struct page_state state;
	uint32_t computers;
};
enum { AGE_DAY, AGE_WEEK, AGE_MONTH, AGE_OLDER, AGE__N };
struct page {
	struct summary summary;
	struct page_state state;
	struct update_rows needed, failed; /* most first */
	struct page_group *group;          /* in the order of the tree */
	size_t ngroups, groups_left;       /* groups_left: not on the page */
	uint32_t age[AGE__N];              /* computers by their last contact */
	struct computer_rows trouble;      /* most failed first */
	size_t trouble_left;
};
#define PAGE_BYTES ((size_t)4 << 20)
/* Appends the page; b->rc says if it fitted. */
void page_write(struct buf *b, struct arena *a, const struct page *p);

#endif
