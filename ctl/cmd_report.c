/* cmd_report.c -- reports of the whole server and of groups: all from counts that are kept, see report_data.h. */
#include "ctl/cmd_report.h"

#include "common/text.h"
#include "ctl/computer_filter.h"

/* ---- shared ---- */

int report_number(struct ctl *c, const char *option, size_t usual, size_t *out)
{
	const char *word = ctl_option(c, option);
	int32_t n = 0;
	*out = usual;
	if (!word)
		return E_OK;
	if (!text_i32(slice_of(word), &n) || n < 0)
		return err_set(&c->err, E_USAGE, "--%s wants a number, not %s", option, word);
	*out = (size_t)n;
	return E_OK;
}

int report_word(struct ctl *c, const char *option, const char *const *words, unsigned n, unsigned usual, unsigned *out)
{
	const char *word = ctl_option(c, option);
	struct buf b;
	*out = usual;
	for (unsigned i = 0; word && i < n; i++) {
		if (strcmp(words[i], word) != 0)
			continue;
		*out = i;
		return E_OK;
	}
	if (!word)
		return E_OK;
	buf_init(&b, 1024);
	for (unsigned i = 0; i < n; i++)
		buf_printf(&b, "%s%s", i == 0 ? "" : i + 1 == n ? " or " : ", ", words[i]);
	int rc = err_set(&c->err, E_USAGE, "--%s %s: one of %.*s", option, word, SLF(buf_bytes(&b)));
	buf_free(&b);
	return rc;
}

void report_behind(struct ctl *c)
{
	if (membership_behind(c->txn))
		ctl_warn(c, "computers changed groups, and the counts of groups do not have all of it yet; within a minute they do, or "
			"with `wsusctl store tick`");
}

int report_groups(struct ctl *c, const struct settings *s, struct slice computer, struct slice *out)
{
	struct client_groups g;
	int rc = client_groups_get(c->txn, s, computer, &g, &c->err);
	return rc == E_OK ? computer_group_names(c, &g, out) : rc;
}

struct slice report_guid(struct ctl *c, const struct guid *g)
{
	char text[GUID_TEXT + 1];
	guid_text(g, text);
	return arena_copy(&c->arena, slice_of(text));
}

const char *report_title(struct ctl *c, const char *title, const char *option, size_t n, size_t fit)
{
	struct slice s = arena_printf(&c->arena, "%s (%zu of %zu; --%s 0 has all)", title, n, fit, option);
	return n < fit && s.p ? s.p : title;
}

void report_tally_cells(struct ctl *c, const struct tally *t)
{
	for (unsigned i = STATUS_NEEDED; i < STATUS__N; i++)
		out_number(&c->out, t->by[i]);
	out_number(&c->out, t->by[STATUS_NOT_APPLICABLE]);
	out_number(&c->out, t->by[STATUS_UNKNOWN]);
}

void report_tally_fields(struct ctl *c, const struct tally *t)
{
	static const struct {
		const char *key, *title;
		enum update_status status;
	} rows[] = {
		{"needed", "Needed on", STATUS_NEEDED},
		{"downloaded", "Downloaded on", STATUS_DOWNLOADED},
		{"installed", "Installed on", STATUS_INSTALLED},
		{"failed", "Failed on", STATUS_FAILED},
		{"pending_restart", "Waits for a restart on", STATUS_PENDING_REBOOT},
		{"not_applicable", "Not applicable to", STATUS_NOT_APPLICABLE},
		{"unknown", "Unknown on", STATUS_UNKNOWN},
	};
	for (unsigned i = 0; i < COUNTOF(rows); i++)
		out_field_number(&c->out, rows[i].key, rows[i].title, CELL_NUMBER, t->by[rows[i].status]);
}

const struct column report_update_columns[REPORT_UPDATE_COLUMNS] = {
	{"kb", "KB", CELL_TEXT, FIT_WHOLE},
	{"title", "TITLE", CELL_TEXT, FIT_CUT},
	{"classification", "CLASSIFICATION", CELL_TEXT, FIT_DROP},
	{"severity", "SEVERITY", CELL_TEXT, FIT_DROP},
	REPORT_TALLY_COLUMNS,
	{"approved", "APPROVED", CELL_BOOL, FIT_WHOLE},
	{"approved_for", "FOR", CELL_TEXT, FIT_DROP},
	{"declined", "DECLINED", CELL_BOOL, FIT_DROP},
	{"created", "CREATED", CELL_TIME, FIT_DROP},
	{"id", "UPDATE", CELL_TEXT, FIT_DROP},
};

void report_update_rows(struct ctl *c, const struct update_rows *rows)
{
	for (size_t i = 0; i < rows->n; i++) {
		const struct update_row *u = &rows->v[i];
		out_text(&c->out, u->kb);
		out_text(&c->out, u->title);
		out_text(&c->out, u->classification);
		out_text(&c->out, u->severity);
		report_tally_cells(c, &u->count);
		out_number(&c->out, u->approved);
		out_text(&c->out, u->approvals);
		out_number(&c->out, u->declined);
		out_number(&c->out, u->created);
		out_text(&c->out, report_guid(c, &u->id));
	}
}

/* ---- summary ---- */

static void put_counts(struct ctl *c, const struct summary *s, enum server_count from, enum server_count to)
{
	for (unsigned i = from; i <= to; i++)
		out_field_number(&c->out, count_names[i].key, count_names[i].title, CELL_NUMBER, s->count[i]);
}

static void summary_fields(struct ctl *c, const struct summary *s)
{
	struct out *o = &c->out;
	struct slice stale = arena_printf(&c->arena, "  without contact for %d days", s->settings.stale_days);
	out_field_text(o, "server", "Server", report_guid(c, &s->server.server_id));
	out_field_text(o, "server_name", "Name", s->settings.server_name);
	out_field_number(o, "at", "At", CELL_TIME, s->at);
	put_counts(c, s, COUNT_COMPUTERS, COUNT_COMPUTERS_UP_TO_DATE);
	out_field_number(o, "computers_reported", "  that sent their status", CELL_NUMBER, s->all.reported);
	out_field_number(o, "computers_never_reported", "  that never reported", CELL_NUMBER, s->never_reported);
	out_field_number(o, "computers_pending_restart", "  waiting for a restart", CELL_NUMBER, s->all.pending);
	out_field_number(o, "computers_sync_failed", "  whose last scan failed", CELL_NUMBER, s->all.sync_failed);
	out_field_number(o, "computers_stale", stale.p, CELL_NUMBER, s->stale);
	put_counts(c, s, COUNT_CUSTOM_GROUPS, COUNT_CUSTOM_GROUPS);
	put_counts(c, s, COUNT_UPDATES, COUNT_UP_TO_DATE);
}

static void named_counts(struct ctl *c, const char *key, const char *title, const struct column *col, const struct named_count *v, size_t n,
	size_t limit)
{
	size_t shown = limit ? MIN(limit, n) : n;
	if (n == 0 && !c->json)
		return;
	out_sub_begin(&c->out, key, report_title(c, title, "limit", shown, n), col, 2);
	for (size_t i = 0; i < shown; i++) {
		out_text(&c->out, v[i].name);
		out_number(&c->out, v[i].n);
	}
	out_sub_end(&c->out);
}

static const struct column system_columns[] = {{"os", "SYSTEM", CELL_TEXT, FIT_CUT}, {"computers", "COMPUTERS", CELL_NUMBER, FIT_WHOLE}};
static const struct column error_columns[] = {{"error", "ERROR", CELL_TEXT, FIT_CUT}, {"computers", "COMPUTERS", CELL_NUMBER, FIT_WHOLE}};

/* What nobody decided about yet, and most computers wait for. */
static int summary_lists(struct ctl *c, const struct summary *s, size_t limit)
{
	struct names *n;
	struct update_rows rows;
	struct update_filter f = {.needed = true, .unapproved = true, .limit = limit};
	int rc = names_begin(&n, c->txn, &c->arena, &c->err);
	if (rc == E_OK)
		rc = updates_gather(n, &f, &rows, &c->err);
	if (rc != E_OK)
		return rc;
	named_counts(c, "systems", "Computers by system", system_columns, s->system, s->nsystem, limit);
	named_counts(c, "sync_errors", "Why scans failed", error_columns, s->error, s->nerror, limit);
	out_sub_begin(&c->out, "unapproved", report_title(c, "Needed and not approved", "limit", rows.n, rows.fit), report_update_columns,
		REPORT_UPDATE_COLUMNS);
	report_update_rows(c, &rows);
	out_sub_end(&c->out);
	return E_OK;
}

#define SUMMARY_ROWS 5

static int run_summary(struct ctl *c)
{
	struct summary s;
	size_t limit;
	int rc = report_number(c, "limit", SUMMARY_ROWS, &limit);
	if (rc == E_OK)
		rc = summary_gather(c->txn, &c->arena, c->now, &s, &c->err);
	if (rc != E_OK)
		return rc;
	out_object_begin(&c->out);
	summary_fields(c, &s);
	rc = summary_lists(c, &s, limit);
	out_object_end(&c->out);
	return rc;
}

/* ---- updates ---- */

static int read_update_filter(struct ctl *c, struct update_filter *f)
{
	const char *group = ctl_option(c, "group");
	unsigned sort;
	*f = (struct update_filter){.needed = ctl_option(c, "needed"), .failed = ctl_option(c, "failed"),
		.unapproved = ctl_option(c, "unapproved"), .declined = ctl_option(c, "declined")};
	int rc = report_word(c, "sort", update_sort_names, UPDATE_SORT__N, BY_NEEDED, &sort);
	f->sort = sort;
	if (rc == E_OK)
		rc = report_number(c, "limit", 0, &f->limit);
	return rc == E_OK && group ? name_group(c, group, &f->group) : rc;
}

static int run_updates(struct ctl *c)
{
	struct names *n;
	struct update_filter f;
	struct update_rows rows;
	int rc = read_update_filter(c, &f);
	if (rc == E_OK)
		rc = names_begin(&n, c->txn, &c->arena, &c->err);
	if (rc == E_OK)
		rc = updates_gather(n, &f, &rows, &c->err);
	if (rc != E_OK)
		return rc;
	if (f.group)
		report_behind(c);
	out_list_begin(&c->out, report_update_columns, REPORT_UPDATE_COLUMNS);
	report_update_rows(c, &rows);
	out_list_end(&c->out);
	return E_OK;
}

/* ---- computers ---- */

static const struct column computer_columns[] = {
	{"name", "NAME", CELL_TEXT, FIT_CUT},
	{"os", "SYSTEM", CELL_TEXT, FIT_DROP},
	{"groups", "GROUPS", CELL_TEXT, FIT_DROP},
	{"last_contact", "LAST CONTACT", CELL_TIME, FIT_WHOLE},
	{"last_report", "LAST REPORT", CELL_TIME, FIT_DROP},
	{"needed", "NEEDED", CELL_NUMBER, FIT_WHOLE},
	{"downloaded", "LOADED", CELL_NUMBER, FIT_DROP},
	{"installed", "DONE", CELL_NUMBER, FIT_WHOLE},
	{"failed", "FAILED", CELL_NUMBER, FIT_WHOLE},
	{"pending_restart", "RESTART", CELL_BOOL, FIT_WHOLE},
	{"last_sync", "LAST SCAN", CELL_TEXT, FIT_CUT},
	{"last_sync_at", "AT", CELL_TIME, FIT_DROP},
	{"flags", "FLAGS", CELL_TEXT, FIT_DROP},
	{"id", "ID", CELL_TEXT, FIT_DROP},
};

/* Counts are not known before it sent its status. */
static void computer_cells(struct ctl *c, const struct computer_row *r)
{
	static const enum update_status counts[] = {STATUS_NEEDED, STATUS_DOWNLOADED, STATUS_INSTALLED, STATUS_FAILED};
	struct out *o = &c->out;
	out_text(o, r->name);
	out_text(o, r->system);
	out_text(o, r->groups);
	out_number(o, r->last_seen);
	out_number(o, r->reported_at);
	for (unsigned i = 0; i < COUNTOF(counts); i++)
		out_counted(o, r->status_at != 0, r->count[counts[i]]);
	out_number(o, r->reboot_since != 0);
	out_text(o, sync_text(&c->arena, r->sync_result, r->sync_hresult));
	out_number(o, r->sync_at);
	out_text(o, r->flags);
	out_text(o, r->id);
}

struct gathering {
	struct ctl *c;
	struct computer_rows rows;
};

static int gather_one(const struct listed_computer *l, void *arg)
{
	struct gathering *g = arg;
	struct computer_row row = computer_row_of(&l->k, &l->s);
	struct slice flags = computer_flags(&g->c->arena, l);
	row.flags = flags.n ? flags : SL0;
	int rc = computer_group_names(g->c, &l->groups, &row.groups);
	return rc == E_OK ? computer_rows_add(&g->c->arena, &g->rows, &row, &g->c->err) : rc;
}

static int run_computers(struct ctl *c)
{
	struct gathering g = {.c = c};
	struct computer_filter f;
	unsigned sort;
	size_t limit;
	int rc = report_word(c, "sort", computer_sort_names, COMPUTER_SORT__N, BY_NAME, &sort);
	if (rc == E_OK)
		rc = report_number(c, "limit", 0, &limit);
	if (rc == E_OK)
		rc = computer_filter_read(c, &f);
	if (rc == E_OK)
		rc = computer_filter_each(c, &f, gather_one, &g);
	if (rc != E_OK)
		return rc;
	computer_rows_sort(&g.rows, sort);
	out_list_begin(&c->out, computer_columns, COUNTOF(computer_columns));
	for (size_t i = 0; i < g.rows.n && (limit == 0 || i < limit); i++)
		computer_cells(c, &g.rows.v[i]);
	out_list_end(&c->out);
	return E_OK;
}

/* ---- group ---- */

#define GROUP_ROWS 20

static void cohort_fields(struct ctl *c, const struct cohort *k)
{
	const struct {
		const char *key, *title;
		uint32_t n;
	} rows[] = {
		{"computers", "Computers", k->computers},
		{"computers_reported", "  that sent their status", k->reported},
		{"computers_needing", "  that need updates", k->needing},
		{"computers_failed", "  with failed updates", k->failed},
		{"computers_up_to_date", "  up to date", k->up_to_date},
		{"computers_pending_restart", "  waiting for a restart", k->pending},
		{"computers_sync_failed", "  whose last scan failed", k->sync_failed},
	};
	for (unsigned i = 0; i < COUNTOF(rows); i++)
		out_field_number(&c->out, rows[i].key, rows[i].title, CELL_NUMBER, rows[i].n);
}

static int group_fields(struct ctl *c, uint32_t no)
{
	struct group g, parent = {0};
	struct scope below, direct;
	int rc = group_get(c->txn, no, &g, &c->err);
	if (rc == E_OK && g.parent)
		rc = group_get(c->txn, g.parent, &parent, &c->err);
	if (rc == E_OK)
		rc = scope_get(c->txn, &c->arena, no, SCOPE_BELOW, &below, &c->err);
	if (rc == E_OK)
		rc = scope_get(c->txn, &c->arena, no, SCOPE_DIRECT, &direct, &c->err);
	if (rc != E_OK)
		return rc;
	out_field_text(&c->out, "group", "Group", g.name);
	out_field_text(&c->out, "id", "Id", report_guid(c, &g.id));
	out_field_text(&c->out, "parent", "Below", parent.name);
	cohort_fields(c, &below.sum);
	out_field_number(&c->out, "computers_direct", "  in this group itself", CELL_NUMBER, direct.sum.computers);
	return E_OK;
}

static const struct column below_columns[] = {
	{"group", "GROUP", CELL_TEXT, FIT_CUT},
	{"computers", "COMPUTERS", CELL_NUMBER, FIT_WHOLE},
	{"reported", "REPORTED", CELL_NUMBER, FIT_DROP},
	{"needing", "NEEDING", CELL_NUMBER, FIT_WHOLE},
	{"failed", "FAILED", CELL_NUMBER, FIT_WHOLE},
	{"up_to_date", "UP TO DATE", CELL_NUMBER, FIT_WHOLE},
	{"pending_restart", "RESTART", CELL_NUMBER, FIT_DROP},
	{"sync_failed", "SCAN FAILED", CELL_NUMBER, FIT_DROP},
};

struct below {
	struct ctl *c;
	uint32_t group;
};

static int below_one(const struct group *g, void *arg)
{
	struct below *b = arg;
	struct ctl *c = b->c;
	struct scope s;
	if (g->parent != b->group)
		return E_OK;
	int rc = scope_get(c->txn, &c->arena, g->no, SCOPE_BELOW, &s, &c->err);
	if (rc != E_OK)
		return rc;
	const uint32_t v[] = {s.sum.computers, s.sum.reported, s.sum.needing, s.sum.failed, s.sum.up_to_date, s.sum.pending, s.sum.sync_failed};
	static_assert(COUNTOF(v) + 1 == COUNTOF(below_columns), "a column without a value");
	out_text(&c->out, g->name);
	for (unsigned i = 0; i < COUNTOF(v); i++)
		out_number(&c->out, v[i]);
	return E_OK;
}

static int group_lists(struct ctl *c, uint32_t no, size_t limit)
{
	struct below b = {c, no};
	struct names *n;
	struct update_rows rows;
	struct update_filter f = {.group = no, .limit = limit};
	int rc = names_begin(&n, c->txn, &c->arena, &c->err);
	if (rc == E_OK)
		rc = updates_gather(n, &f, &rows, &c->err);
	if (rc != E_OK)
		return rc;
	out_sub_begin(&c->out, "groups", "Groups below it", below_columns, COUNTOF(below_columns));
	rc = group_each(c->txn, below_one, &b, &c->err);
	if (rc != E_OK)
		return rc;
	out_sub_end(&c->out);
	out_sub_begin(&c->out, "updates", report_title(c, "Most needed", "limit", rows.n, rows.fit), report_update_columns, REPORT_UPDATE_COLUMNS);
	report_update_rows(c, &rows);
	out_sub_end(&c->out);
	return E_OK;
}

static int run_group(struct ctl *c)
{
	uint32_t no = 0;
	size_t limit;
	int rc = report_number(c, "limit", GROUP_ROWS, &limit);
	if (rc == E_OK)
		rc = name_group(c, c->pos[0], &no);
	if (rc != E_OK)
		return rc;
	report_behind(c);
	out_object_begin(&c->out);
	out_object_main(&c->out, "updates");
	rc = group_fields(c, no);
	if (rc == E_OK)
		rc = group_lists(c, no, limit);
	out_object_end(&c->out);
	return rc;
}

/* ---- the table ---- */

static const struct option_row summary_options[] = {
	{"limit", "N", "rows of each list (default 5); 0: all"},
	OPTION_CSV,
	{0},
};
static const struct option_row updates_options[] = {
	{"needed", NULL, "only what some computer needs and has not installed"},
	{"failed", NULL, "only what failed on some computer"},
	{"unapproved", NULL, "only what is approved for no group"},
	{"group", "NAME", "counts of the computers of this group and of the groups below it"},
	{"declined", NULL, "declined ones, too"},
	{"sort", "WORD", "needed (default), failed, title or date: the most, or the newest, first"},
	{"limit", "N", "the first N"},
	OPTION_CSV,
	{0},
};
static const struct option_row computers_options[] = {
	COMPUTER_FILTER_OPTIONS,
	{"sort", "WORD", "name (default); needed or failed: the most first; contact or report: the longest ago first"},
	{"limit", "N", "the first N"},
	OPTION_CSV,
	{0},
};
static const struct option_row group_options[] = {
	{"limit", "N", "of the most needed updates (default 20); 0: all"},
	OPTION_CSV,
	{0},
};

const struct command report_commands[] = {
	{"report", "summary", "", "how server and computers stand, on a screen", 0, 0, NEED_READ, summary_options, run_summary, NULL,
		"Declined updates count as declined alone.  CSV is one row of the counts."},
	{"report", "updates", "", "updates that computers need, or that failed, with the number of computers", 0, 0, NEED_READ, updates_options,
		run_updates, NULL, NULL},
	{"report", "computers", "", "how far each computer is", 0, 0, NEED_READ, computers_options, run_computers, NULL, NULL},
	{"report", "computer", "COMPUTER", "everything about one computer, with its updates and its last events", 1, 1, NEED_READ,
		report_computer_options, report_computer, NULL, "CSV is the list of its updates."},
	{"report", "update", "ID", "how far an update is: groups, computers, operating systems", 1, 1, NEED_READ, report_update_options,
		report_update, NULL, "CSV is the list of computers."},
	{"report", "group", "NAME", "how far the computers of a group are, and what they need most", 1, 1, NEED_READ, group_options, run_group,
		NULL, "CSV is the list of updates."},
	{"report", "html", "FILE", "one page with charts, to be mailed or opened in a browser", 1, 1, NEED_READ, NULL, report_html, NULL,
		"FILE - is standard output.  The page has no script and fetches nothing.  A file that is there is replaced at once."},
	{0},
};
