/* log_follow.h -- the lines of all services as they come, through rotations. */
#ifndef CTL_LOG_FOLLOW_H
#define CTL_LOG_FOLLOW_H

#include "ctl/log_merge.h"

/* Gives fn the lines that are wanted, some at a time, each service's in order; they live until it returns.  Ends with E_OK at
 * SIGINT or SIGTERM, else with the first result of fn that is none, or E_REFUSED or E_IO. */
int log_follow(const struct log_places *p, const struct log_filter *f, int (*fn)(const struct slice *line, size_t n, void *arg), void *arg,
	struct err *e) MUST_CHECK;

#endif
