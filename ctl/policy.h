/* policy.h -- how approvals are shown, shared by the commands that show them. */
#ifndef CTL_POLICY_H
#define CTL_POLICY_H

#include "ctl/cmd.h"

#define APPROVAL_COLUMNS 10
extern const struct column approval_columns[APPROVAL_COLUMNS];
/* Rows of the open list: the live approvals of all revisions of an update. */
int approvals_of(struct ctl *c, uint32_t update_no);

#endif
