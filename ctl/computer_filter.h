/* computer_filter.h -- which computers a list is of: options that `computer list` and `report computers` have in common.
 *
 * All that are given must hold. */
#ifndef CTL_COMPUTER_FILTER_H
#define CTL_COMPUTER_FILTER_H

#include "ctl/cmd.h"
#include "store/report.h"
#include "store/scanned.h"

/* Rows of an option table. */
#define COMPUTER_FILTER_OPTIONS \
	{"group", "NAME", "only those of this group and of the groups below it"}, \
	{"os", "TEXT", "only those whose system has this in its name"}, \
	{"needing", "UPDATE", "only those that need this update: it is needed, downloaded or failed there"}, \
	{"needing-any", NULL, "only those that need any update"}, \
	{"failed", NULL, "only those on which an installation failed"}, \
	{"pending-restart", NULL, "only those that wait for a restart"}, \
	{"sync-failed", NULL, "only those whose last scan failed"}, \
	{"stale", "[=DAYS]", "only those without contact for so many days; alone: as report.stale-days says"}, \
	{"never-reported", NULL, "only those that never reported"}, \
	{"renamed", NULL, "only those that came under another name before, in the last 30 days"}, \
	{"cloned", NULL, "only ids that several computers share: names or BIOS data alternate"}, \
	{"duplicate", NULL, "only those whose full name another id has, too"}

struct computer_filter {
	struct settings settings;
	unsigned on;          /* the tests that were asked for, by row of computer_filter.c */
	tick_t stale_before;  /* last contact */
	uint32_t group;
	uint32_t update_no;
	struct slice os;
	uint64_t *name;       /* hashes of the full names that several ids have, ascending */
	size_t names;
};
/* From the options of the command, with a transaction in c->txn; lies in the command's arena. */
int computer_filter_read(struct ctl *c, struct computer_filter *f);
/* The same options in a later transaction; what the filter finds out lies in c->out.a. */
int computer_filter_again(struct ctl *c, struct computer_filter *f);

/* A computer as lists show it. */
struct listed_computer {
	struct computer k;
	struct standing s;         /* zeros if it never reported */
	struct client_groups groups;
	struct slice os;           /* name of its system; absent if it has not registered */
	enum identity_flag flag;
	bool duplicate;            /* another id has its full name */
	struct status_row status;  /* of the filter's update, if there is one */
	unsigned parts;            /* what of it was read, computer_filter.c's own */
};
/* All that pass, by id; fn returns non-zero to stop.  What it is given lies in the transaction. */
int computer_filter_each(struct ctl *c, const struct computer_filter *f, int (*fn)(const struct listed_computer *, void *), void *arg);
/* One computer in the same form, and whether it passes. */
int computer_listed(struct ctl *c, const struct computer_filter *f, const struct computer *k, struct listed_computer *out);
bool computer_filter_passes(const struct computer_filter *f, const struct listed_computer *l);
/* "cloned, duplicate"; empty for most. */
struct slice computer_flags(struct arena *a, const struct listed_computer *l);
/* Names of its groups, nearest first, without All Computers, joined by ", ". */
int computer_group_names(struct ctl *c, const struct client_groups *g, struct slice *out);
/* A sub-list: what it said of itself at RegisterComputer, field by field (cmd_computer.c). */
int computer_registration(struct ctl *c, struct slice packed);

#endif
