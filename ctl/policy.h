/* policy.h -- how approvals are shown, shared by the commands that show them. */
#ifndef CTL_POLICY_H
#define CTL_POLICY_H

#include "ctl/cmd.h"

const char *action_word(enum action a);     /* "install" */
const char *priority_word(enum priority p); /* "normal" */
/* "approved", "approved, waiting for 2 files, 312 MB", "removed"; the text lies in a. */
struct slice deployment_state(struct arena *a, const struct deployment *d);

#define APPROVAL_COLUMNS 10
extern const struct column approval_columns[APPROVAL_COLUMNS];
/* Rows of the open list: the live approvals of all revisions of an update. */
int approvals_of(struct ctl *c, uint32_t update_no);

#endif
