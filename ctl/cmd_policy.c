/* cmd_policy.c -- approvals, declines, EULAs: what is offered to whom. */
#include "common/text.h"
#include "ctl/cmd.h"
#include "ctl/content.h"
#include "ctl/policy.h"

/* The words people use, and what they mean to the protocol. */
static const struct {
	const char *word, *also; /* beside these, the protocol's own word is understood */
	enum action action;
	bool assigned;
} actions[] = {
	{"install", "install", ACT_INSTALL, true},
	{"optional", "optional-install", ACT_OPTIONAL_INSTALL, false},
	{"uninstall", "remove", ACT_UNINSTALL, true},
	{"detect", "detect-only", ACT_PREDEPLOYMENT_CHECK, true},
	{"block", "block", ACT_BLOCK, true},
};

static const struct {
	const char *word;
	enum priority priority;
} priorities[] = {{"normal", PRIO_NORMAL}, {"high", PRIO_HIGH}, {"low", PRIO_LOW}};

static const char *action_word(enum action a)
{
	for (unsigned i = 0; i < COUNTOF(actions); i++)
		if (actions[i].action == a)
			return actions[i].word;
	return "unknown";
}

static const char *priority_word(enum priority p)
{
	for (unsigned i = 0; i < COUNTOF(priorities); i++)
		if (priorities[i].priority == p)
			return priorities[i].word;
	return "unknown";
}

/* "approved", "approved, waiting for 2 files, 312 MB", "removed"; the text lies in a. */
static struct slice deployment_state(struct arena *a, const struct deployment *d)
{
	if (d->dead)
		return SL("removed");
	if (!d->waiting)
		return SL("approved");
	struct slice files = SL(""), when = d->waiting & WAIT_GOLIVE ? when_text(a, d->go_live) : SL("");
	if (d->waiting & WAIT_FILES)
		files = arena_printf(a, ", waiting for %u file%s, %.*s", d->missing_files, d->missing_files == 1 ? "" : "s",
			SLF(bytes_text(a, d->missing_bytes)));
	return arena_printf(a, "approved%.*s%s%s%.*s", SLF(files),
		d->waiting & WAIT_EULA ? ", waiting for its EULA to be accepted" : "",
		d->waiting & WAIT_GOLIVE ? ", waiting until " : "", SLF(when));
}

/* ---- approve ---- */

static int read_action(struct ctl *c, struct approval *a)
{
	const char *word = ctl_option(c, "action");
	a->action = ACT_INSTALL;
	a->assigned = true;
	if (!word)
		return E_OK;
	for (unsigned i = 0; i < COUNTOF(actions); i++) {
		const char *names[] = {actions[i].word, actions[i].also, action_names[actions[i].action]};
		bool is = false;
		for (unsigned k = 0; k < COUNTOF(names); k++)
			is |= text_ieq(slice_of(word), slice_of(names[k]));
		if (!is)
			continue;
		a->action = actions[i].action;
		a->assigned = actions[i].assigned;
		return E_OK;
	}
	return err_set(&c->err, E_USAGE, "--action %s: one of install, optional, uninstall, detect, block", word);
}

static int read_priority(struct ctl *c, struct approval *a)
{
	const char *word = ctl_option(c, "priority");
	a->priority = PRIO_NORMAL;
	if (!word)
		return E_OK;
	for (unsigned i = 0; i < COUNTOF(priorities); i++) {
		if (strcmp(priorities[i].word, word) != 0)
			continue;
		a->priority = priorities[i].priority;
		return E_OK;
	}
	return err_set(&c->err, E_USAGE, "--priority %s: one of high, normal, low", word);
}

static int read_approval(struct ctl *c, struct approval *a)
{
	const char *deadline = ctl_option(c, "deadline"), *live = ctl_option(c, "go-live");
	a->admin = c->admin;
	int rc = read_action(c, a);
	if (rc == E_OK)
		rc = read_priority(c, a);
	if (rc == E_OK && deadline)
		rc = name_time(c, deadline, &a->deadline);
	if (rc == E_OK && live)
		rc = name_time(c, live, &a->go_live);
	return rc;
}

/* Calls fn for every --group. */
static int each_group(struct ctl *c, int (*fn)(struct ctl *, uint32_t, const char *, void *), void *arg)
{
	const char *name = ctl_option_nth(c, "group", 0);
	if (!name)
		return err_set(&c->err, E_USAGE, "say for whom: --group NAME (--group all for every computer)");
	for (unsigned i = 0; (name = ctl_option_nth(c, "group", i)) != NULL; i++) {
		uint32_t group;
		int rc = name_group(c, name, &group);
		if (rc == E_OK)
			rc = fn(c, group, name, arg);
		if (rc != E_OK)
			return rc;
	}
	return E_OK;
}

struct approving {
	struct approval a;
	const struct revision *r;
};

static int approve_for(struct ctl *c, uint32_t group, const char *name, void *arg)
{
	const struct approving *w = arg;
	struct approval a = w->a;
	char id[GUID_TEXT + 1];
	a.group = group;
	int rc = approve(c->txn, &a, &c->err);
	if (rc != E_OK)
		return rc;
	guid_text(&w->r->update, id);
	return audit_note(c->txn, c->admin, "approve %s:%d for \"%s\": %s", id, w->r->number, name, action_word(a.action));
}

static int refuse_dependency(struct ctl *c, const struct revision *r)
{
	if (r->type == TYPE_SOFTWARE || r->type == TYPE_DRIVER)
		return E_OK;
	return err_set(&c->err, E_REFUSED, "%.*s is a %s: it reaches computers by itself, only updates are approved",
		(int)MIN(r->title.n, 80u), r->title.p ? r->title.p : "", update_type_names[r->type]);
}

static int remember(struct ctl *c, int32_t revision)
{
	int32_t *id = ARENA_NEW(&c->arena, int32_t);
	if (!id)
		return err_set(&c->err, E_NOMEM, "out of memory");
	*id = revision;
	c->state = id;
	return E_OK;
}

static int run_approve(struct ctl *c)
{
	struct revision r;
	struct approving w = {.r = &r};
	int rc = read_approval(c, &w.a);
	if (rc == E_OK)
		rc = name_revision(c, c->pos[0], &r);
	if (rc == E_OK)
		rc = refuse_dependency(c, &r);
	if (rc != E_OK)
		return rc;
	w.a.revision = r.id;
	rc = each_group(c, approve_for, &w);
	return rc == E_OK ? remember(c, r.id) : rc;
}

static int unapprove_for(struct ctl *c, uint32_t group, const char *name, void *arg)
{
	const struct revision *r = arg;
	char id[GUID_TEXT + 1];
	int rc = unapprove(c->txn, r->update_no, group, c->admin, &c->err);
	if (rc == E_NOTFOUND)
		return err_set(&c->err, rc, "it is not approved for \"%s\"; `wsusctl update show` lists its approvals", name);
	guid_text(&r->update, id);
	return rc == E_OK ? audit_note(c->txn, c->admin, "unapprove %s for \"%s\"", id, name) : rc;
}

static int run_unapprove(struct ctl *c)
{
	struct revision r;
	int rc = name_revision(c, c->pos[0], &r);
	if (rc == E_OK)
		rc = each_group(c, unapprove_for, &r);
	return rc == E_OK ? remember(c, r.id) : rc;
}

/* ---- what came of it ---- */

const struct column approval_columns[APPROVAL_COLUMNS] = {
	{"group", "GROUP", CELL_TEXT, FIT_CUT},         {"action", "ACTION", CELL_TEXT, FIT_WHOLE},
	{"state", "STATE", CELL_TEXT, FIT_WHOLE},        {"missing_files", "MISSING", CELL_NUMBER, FIT_DROP},
	{"missing_bytes", "TO FETCH", CELL_BYTES, FIT_DROP}, {"deadline", "DEADLINE", CELL_TIME, FIT_WHOLE},
	{"priority", "PRIORITY", CELL_TEXT, FIT_DROP},  {"changed", "SINCE", CELL_TIME, FIT_DROP},
	{"by", "BY", CELL_TEXT, FIT_DROP},               {"revision", "REVISION", CELL_NUMBER, FIT_DROP},
};

static int approval_row(const struct deployment *d, void *arg)
{
	struct ctl *c = arg;
	struct group g;
	struct revision r;
	if (d->dead)
		return E_OK;
	int rc = group_get(c->txn, d->group, &g, &c->err);
	if (rc == E_OK)
		rc = revision_get(c->txn, d->revision, &r, &c->err);
	if (rc != E_OK)
		return rc;
	out_text(&c->out, g.name);
	out_str(&c->out, action_word(d->action));
	out_text(&c->out, deployment_state(&c->arena, d));
	out_number(&c->out, d->missing_files);
	out_number(&c->out, (int64_t)d->missing_bytes);
	out_number(&c->out, d->deadline);
	out_str(&c->out, priority_word(d->priority));
	out_number(&c->out, d->changed);
	out_text(&c->out, d->admin);
	out_number(&c->out, r.number);
	return E_OK;
}

int approvals_of(struct ctl *c, uint32_t update_no)
{
	int32_t *ids;
	size_t n;
	int rc = revisions_of(c->txn, update_no, &ids, &n, &c->err);
	for (size_t i = 0; rc == E_OK && i < n; i++)
		rc = deployment_each(c->txn, ids[i], approval_row, c, &c->err);
	return rc;
}

static int report_approvals(struct ctl *c)
{
	struct revision r;
	int rc = revision_get(c->txn, *(int32_t *)c->state, &r, &c->err);
	if (rc != E_OK)
		return rc;
	ctl_say(c, "%.*s", SLF(r.title));
	out_list_begin(&c->out, approval_columns, APPROVAL_COLUMNS);
	rc = approvals_of(c, r.update_no);
	if (rc == E_OK)
		out_list_end(&c->out);
	return rc;
}

/* Fetching what is missing begins at once. */
static int report_approved(struct ctl *c)
{
	struct revision r;
	int rc = report_approvals(c);
	if (rc == E_OK)
		rc = revision_get(c->txn, *(int32_t *)c->state, &r, &c->err);
	return rc == E_OK ? content_begin(c, r.update_no) : rc;
}

/* ---- decline ---- */

static int set_one_declined(struct ctl *c, const struct revision *r, bool declined)
{
	char id[GUID_TEXT + 1];
	int rc = update_decline(c->txn, r->update_no, declined, c->admin, &c->err);
	guid_text(&r->update, id);
	return rc == E_OK ? audit_note(c->txn, c->admin, "%s %s", declined ? "decline" : "undecline", id) : rc;
}

static int set_declined(struct ctl *c, bool declined)
{
	int32_t *ids = ARENA_ARRAY(&c->arena, int32_t, c->npos);
	if (!ids)
		return err_set(&c->err, E_NOMEM, "out of memory");
	for (unsigned i = 0; i < c->npos; i++) {
		struct revision r;
		int rc = name_revision(c, c->pos[i], &r);
		if (rc == E_OK)
			rc = set_one_declined(c, &r, declined);
		if (rc != E_OK)
			return rc;
		ids[i] = r.id;
	}
	c->state = ids;
	return E_OK;
}

/* Only what was committed is told. */
static int report_declined(struct ctl *c)
{
	const int32_t *ids = c->state;
	for (unsigned i = 0; i < c->npos; i++) {
		struct revision r;
		struct update u;
		int rc = revision_get(c->txn, ids[i], &r, &c->err);
		if (rc == E_OK)
			rc = update_get(c->txn, r.update_no, &u, &c->err);
		if (rc != E_OK)
			return rc;
		ctl_say(c, "%s: %.*s", u.declined ? "declined" : "offered again", SLF(r.title));
	}
	return E_OK;
}

static int run_decline(struct ctl *c)
{
	return set_declined(c, true);
}

static int run_undecline(struct ctl *c)
{
	return set_declined(c, false);
}

/* ---- EULAs ---- */

static int run_eula_accept(struct ctl *c)
{
	struct revision r;
	int rc = name_revision(c, c->pos[0], &r);
	if (rc != E_OK)
		return rc;
	if (guid_is_zero(&r.eula))
		return err_set(&c->err, E_NOTFOUND, "%.*s has no EULA", (int)MIN(r.title.n, 80u), r.title.p ? r.title.p : "");
	rc = eula_accept(c->txn, &r.eula, c->admin, &c->err);
	char id[GUID_TEXT + 1], update[GUID_TEXT + 1];
	guid_text(&r.eula, id);
	guid_text(&r.update, update);
	return rc == E_OK ? audit_note(c->txn, c->admin, "eula accept %s of %s", id, update) : rc;
}

static const struct column eula_columns[] = {
	{"eula", "EULA", CELL_TEXT, FIT_DROP},
	{"accepted", "ACCEPTED", CELL_BOOL, FIT_WHOLE},
	{"update", "UPDATE", CELL_TEXT, FIT_WHOLE},
	{"title", "TITLE", CELL_TEXT, FIT_CUT},
};

static struct slice guid_slice(struct ctl *c, const struct guid *g)
{
	char text[GUID_TEXT + 1];
	guid_text(g, text);
	return arena_copy(&c->arena, slice_of(text));
}

static int eula_row(const struct revision *r, void *arg)
{
	struct ctl *c = arg;
	if (guid_is_zero(&r->eula) || r->flags & REV_REMOVED)
		return 0;
	out_text(&c->out, guid_slice(c, &r->eula));
	out_number(&c->out, eula_accepted(c->txn, &r->eula));
	out_text(&c->out, guid_slice(c, &r->update));
	out_text(&c->out, r->title);
	return 0;
}

static int run_eula_list(struct ctl *c)
{
	out_list_begin(&c->out, eula_columns, COUNTOF(eula_columns));
	int rc = revision_each(c->txn, 1, 0, eula_row, c, &c->err);
	if (rc == E_OK)
		out_list_end(&c->out);
	return rc;
}

static const struct option_row approve_options[] = {
	{"group", "NAME", "for this group; may be repeated; `all` is every computer"},
	{"action", "WORD", "install (default), optional, uninstall, detect, block"},
	{"deadline", "TIME", "install by then even against the user's wish: 2026-12-24T18:00 or +7d"},
	{"go-live", "TIME", "takes effect then"},
	{"priority", "WORD", "of the download: high, normal, low"},
	{"no-content", NULL, "do not begin to fetch its files"},
	{0},
};
static const struct option_row group_options[] = {
	{"group", "NAME", "for this group; may be repeated; `all` is every computer"},
	{0},
};

const struct command policy_commands[] = {
	{"approve", NULL, "ID", "offer an update to a group", 1, 1, NEED_WRITE, approve_options, run_approve,
		report_approved,
		"One approval per update and group: approving another revision or action replaces it. Computers see it at their "
		"next scan; until its files are here and its EULA is accepted it is only evaluated. If there is a server above, "
		"fetching what is missing begins at once, in the background."},
	{"unapprove", NULL, "ID", "take an approval back", 1, 1, NEED_WRITE, group_options, run_unapprove,
		report_approvals, NULL},
	{"decline", NULL, "ID...", "never offer an update, nor revisions of it to come", 1, 10000, NEED_WRITE, NULL,
		run_decline, report_declined, "Removes its approvals; `undecline` offers it again without them."},
	{"undecline", NULL, "ID...", "offer a declined update again", 1, 10000, NEED_WRITE, NULL, run_undecline,
		report_declined, NULL},
	{"eula", "list", "", "show the licence terms of updates and which are accepted", 0, 0, NEED_READ, csv_options,
		run_eula_list, NULL, NULL},
	{"eula", "accept", "ID", "accept the licence terms of an update for all computers", 1, 1, NEED_WRITE, NULL,
		run_eula_accept, run_eula_list, NULL},
	{0},
};
