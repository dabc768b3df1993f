/* cmd_group.c -- target groups. */
#include "common/text.h"
#include "ctl/cmd.h"

static const struct column columns[] = {
	{"name", "GROUP", CELL_TEXT, FIT_CUT},       {"parent", "PARENT", CELL_TEXT, FIT_CUT},
	{"builtin", "BUILT IN", CELL_BOOL, FIT_DROP}, {"approvals", "APPROVALS", CELL_NUMBER, FIT_WHOLE},
	{"id", "ID", CELL_TEXT, FIT_DROP},
};

struct count {
	int64_t n;
};

static int count_live(const struct deployment *d, void *arg)
{
	struct count *n = arg;
	n->n += !d->dead;
	return 0;
}

static int list_one(const struct group *g, void *arg)
{
	struct ctl *c = arg;
	struct group parent = {0};
	struct count live = {0};
	char id[GUID_TEXT + 1];
	if (g->parent && group_get(c->txn, g->parent, &parent, &c->err) != E_OK)
		return (int)c->err.code;
	int rc = deployment_each_of_group(c->txn, g->no, count_live, &live, &c->err);
	if (rc != E_OK)
		return rc;
	guid_text(&g->id, id);
	out_text(&c->out, g->name);
	out_text(&c->out, parent.name);
	out_number(&c->out, g->builtin);
	out_number(&c->out, live.n);
	out_text(&c->out, arena_copy(&c->arena, slice_of(id)));
	return E_OK;
}

static int group_list(struct ctl *c)
{
	out_list_begin(&c->out, columns, COUNTOF(columns));
	int rc = group_each(c->txn, list_one, c, &c->err);
	if (rc == E_OK)
		out_list_end(&c->out);
	return rc;
}

static int parent_option(struct ctl *c, uint32_t *parent)
{
	const char *name = ctl_option(c, "parent");
	*parent = GROUP_ALL_COMPUTERS;
	return name ? name_group(c, name, parent) : E_OK;
}

static int run_create(struct ctl *c)
{
	uint32_t parent, no;
	int rc = parent_option(c, &parent);
	if (rc == E_OK)
		rc = group_create(c->txn, slice_of(c->pos[0]), parent, &no, &c->err);
	return rc == E_OK ? audit_note(c->txn, c->admin, "group create \"%s\"", c->pos[0]) : rc;
}

static int run_move(struct ctl *c)
{
	uint32_t no, parent;
	int rc = name_group(c, c->pos[0], &no);
	if (rc == E_OK)
		rc = parent_option(c, &parent);
	if (rc == E_OK)
		rc = group_move(c->txn, no, parent, &c->err);
	return rc == E_OK ? audit_note(c->txn, c->admin, "group move \"%s\"", c->pos[0]) : rc;
}

static int run_delete(struct ctl *c)
{
	uint32_t no;
	int rc = name_group(c, c->pos[0], &no);
	if (rc == E_OK)
		rc = group_delete(c->txn, no, &c->err);
	return rc == E_OK ? audit_note(c->txn, c->admin, "group delete \"%s\"", c->pos[0]) : rc;
}

static int report_list(struct ctl *c)
{
	return group_list(c);
}

static const struct option_row parent_options[] = {
	{"parent", "GROUP", "the group above it (default: All Computers)"},
	{0},
};

const struct command group_commands[] = {
	{"group", "list", "", "show the groups and how many approvals each has", 0, 0, NEED_READ, csv_options, group_list, NULL,
		NULL},
	{"group", "create", "NAME", "make a group", 1, 1, NEED_WRITE, parent_options, run_create, report_list, NULL},
	{"group", "move", "NAME", "put a group below another", 1, 1, NEED_WRITE, parent_options, run_move, report_list,
		"Its computers see what the new place gives them at their next scan."},
	{"group", "delete", "NAME", "remove a group with its approvals", 1, 1, NEED_WRITE, NULL, run_delete, report_list,
		"Groups below it move up; computers assigned to it fall back to Unassigned Computers."},
	{0},
};
