/* cmd_report_update.c -- one update: its counts by group, and the computers that have to do with it. */
#include "common/os_name.h"
#include "common/text.h"
#include "ctl/cmd_report.h"

/* ---- head ---- */

static void head(struct ctl *c, const struct update_row *u)
{
	struct out *o = &c->out;
	out_field_text(o, "title", "Title", u->title);
	out_field_text(o, "kb", "KB", u->kb);
	out_field_text(o, "id", "Update", report_guid(c, &u->id));
	out_field_number(o, "revision", "Revision", CELL_NUMBER, u->number);
	out_field_text(o, "classification", "Classification", u->classification);
	out_field_text(o, "severity", "Severity", u->severity);
	out_field_number(o, "created", "Created", CELL_TIME, u->created);
	out_field_number(o, "declined", "Declined", CELL_BOOL, u->declined);
	out_field_number(o, "expired", "Expired", CELL_BOOL, u->expired);
	out_field_number(o, "approved", "Approved", CELL_BOOL, u->approved);
	out_field_text(o, "approved_for", "Approved for", u->approvals);
	report_tally_fields(c, &u->count);
}

/* ---- groups ---- */

static const struct column group_columns[] = {
	{"group", "GROUP", CELL_TEXT, FIT_CUT},
	{"approval", "APPROVAL", CELL_TEXT, FIT_WHOLE},
	{"computers", "COMPUTERS", CELL_NUMBER, FIT_WHOLE},
	REPORT_TALLY_COLUMNS,
};

struct groups {
	struct ctl *c;
	const int32_t *ids; /* revisions of the update */
	size_t nids;
	uint32_t update_no;
	enum scope_reach reach;
};

/* Of the group itself, whatever is approved above it. */
static struct slice approval_of(const struct groups *g, uint32_t group)
{
	static const char *const words[ACT__N] = {[ACT_INSTALL] = "install", [ACT_UNINSTALL] = "uninstall",
		[ACT_PREDEPLOYMENT_CHECK] = "detect", [ACT_BLOCK] = "block", [ACT_OPTIONAL_INSTALL] = "optional"};
	struct deployment d;
	for (size_t i = 0; i < g->nids; i++)
		if (deployment_get(g->c->txn, group, g->ids[i], &d) == E_OK && !d.dead && d.action < ACT__N)
			return slice_of(words[d.action]);
	return SL0;
}

static int group_one(const struct group *g, void *arg)
{
	const struct groups *v = arg;
	struct ctl *c = v->c;
	struct scope s;
	struct tally t;
	struct slice approval = approval_of(v, g->no);
	int rc = scope_get(c->txn, &c->arena, g->no, v->reach, &s, &c->err);
	if (rc == E_OK)
		rc = scope_tally(c->txn, &s, v->update_no, &t, &c->err);
	if (rc != E_OK || (s.sum.computers == 0 && (!approval.p || v->reach == SCOPE_DIRECT)))
		return rc;
	out_text(&c->out, g->name);
	out_text(&c->out, approval);
	out_number(&c->out, s.sum.computers);
	report_tally_cells(c, &t);
	return E_OK;
}

static int show_groups(struct ctl *c, uint32_t update_no)
{
	static const struct {
		const char *key, *title;
		enum scope_reach reach;
	} lists[] = {
		{"groups", "Groups, with the groups below them", SCOPE_BELOW},
		{"groups_direct", "Groups, their own computers alone", SCOPE_DIRECT},
	};
	struct groups g = {.c = c, .update_no = update_no};
	int32_t *ids;
	int rc = revisions_of(c->txn, update_no, &ids, &g.nids, &c->err);
	g.ids = ids;
	for (unsigned i = 0; rc == E_OK && i < COUNTOF(lists); i++) {
		g.reach = lists[i].reach;
		out_sub_begin(&c->out, lists[i].key, lists[i].title, group_columns, COUNTOF(group_columns));
		rc = group_each(c->txn, group_one, &g, &c->err);
		if (rc == E_OK)
			out_sub_end(&c->out);
	}
	return rc;
}

/* ---- computers ---- */

static const struct column computer_columns[] = {
	{"name", "NAME", CELL_TEXT, FIT_CUT},
	{"status", "STATUS", CELL_TEXT, FIT_WHOLE},
	{"since", "SINCE", CELL_TIME, FIT_WHOLE},
	{"error", "LAST ERROR", CELL_TEXT, FIT_CUT},
	{"failed_at", "FAILED", CELL_TIME, FIT_DROP},
	{"groups", "GROUPS", CELL_TEXT, FIT_DROP},
	{"os", "SYSTEM", CELL_TEXT, FIT_DROP},
	{"last_contact", "LAST CONTACT", CELL_TIME, FIT_DROP},
	{"id", "ID", CELL_TEXT, FIT_DROP},
};

struct wanted {
	struct computer k;
	struct status_row row;
};
struct finding {
	struct ctl *c;
	uint32_t update_no;
	bool by_status;
	enum update_status status;
	size_t limit;
	struct wanted *v;
	size_t n, cap, fit;
};

static int find_one(const struct computer *k, const struct standing *s, void *arg)
{
	struct finding *f = arg;
	struct status_row row;
	(void)s;
	int rc = status_get(f->c->txn, k->id, f->update_no, &row);
	if (rc != E_OK)
		return err_set(&f->c->err, (enum errcode)rc, "the status of %.*s cannot be read; run `wsusctl store audit`", SLF(k->id));
	if (f->by_status ? row.status != f->status : !status_is_open(row.status))
		return E_OK;
	if (f->fit++ >= f->limit && f->limit)
		return E_OK;
	struct wanted *v = ARENA_MORE(&f->c->arena, f->v, f->n, &f->cap);
	if (!v)
		return err_set(&f->c->err, E_NOMEM, "out of memory");
	f->v = v;
	v[f->n++] = (struct wanted){*k, row};
	return E_OK;
}

static int computer_cells(struct ctl *c, const struct settings *s, const struct wanted *w)
{
	struct slice groups;
	int rc = report_groups(c, s, w->k.id, &groups);
	if (rc != E_OK)
		return rc;
	out_text(&c->out, w->k.dns_name.n ? w->k.dns_name : SL0);
	out_str(&c->out, update_status_names[w->row.status]);
	out_number(&c->out, w->row.at);
	out_text(&c->out, error_text(&c->arena, w->row.hresult));
	out_number(&c->out, w->row.failed_at);
	out_text(&c->out, groups);
	out_text(&c->out, registered_system(&w->k));
	out_number(&c->out, w->k.last_seen);
	out_text(&c->out, w->k.id);
	return E_OK;
}

static int show_computers(struct ctl *c, struct finding *f)
{
	struct settings s;
	int rc = settings_get(c->txn, &s, &c->err);
	if (rc == E_OK)
		rc = standing_each(c->txn, find_one, f, &c->err);
	if (rc != E_OK)
		return rc;
	out_sub_begin(&c->out, "computers", report_title(c, f->by_status ? "Computers" : "Computers that need it", "limit", f->n, f->fit),
		computer_columns, COUNTOF(computer_columns));
	for (size_t i = 0; rc == E_OK && i < f->n; i++)
		rc = computer_cells(c, &s, &f->v[i]);
	if (rc == E_OK)
		out_sub_end(&c->out);
	return rc;
}

/* ---- installations by operating system ---- */

static const struct column activity_columns[] = {
	{"os", "SYSTEM", CELL_TEXT, FIT_CUT},
	{"revision", "REVISION", CELL_NUMBER, FIT_WHOLE},
	{"succeeded", "SUCCEEDED", CELL_NUMBER, FIT_WHOLE},
	{"failed", "FAILED", CELL_NUMBER, FIT_WHOLE},
	{"server", "SERVER", CELL_TEXT, FIT_DROP},
};

struct activities {
	struct ctl *c;
	const struct guid *update;
};

static struct slice os_words(struct ctl *c, uint32_t no)
{
	struct os_info o;
	struct os_fields f;
	if (no == 0 || os_get(c->txn, no, &o) != E_OK || os_fields(o.tuple, &f) != E_OK)
		return SL0;
	struct ComputerInfo info = {.OSMajorVersion = f.major, .OSMinorVersion = f.minor, .OSBuildNumber = f.build,
		.OSServicePackMajorNumber = f.sp_major, .OSServicePackMinorNumber = f.sp_minor, .OSLocale = f.locale,
		.ProcessorArchitecture = f.architecture, .SuiteMask = (int16_t)f.suite, .OldProductType = f.old_product_type,
		.NewProductType = f.new_product_type, .SystemMetrics = f.system_metrics};
	struct slice name = os_name(&info);
	return arena_printf(&c->arena, "%.*s%s%d.%d.%d %.*s", SLF(name), name.n ? " " : "", f.major, f.minor, f.build, SLF(f.architecture));
}

static int activity_one(const struct activity *a, void *arg)
{
	struct activities *v = arg;
	if (guid_cmp(&a->update, v->update) != 0)
		return E_OK;
	out_text(&v->c->out, os_words(v->c, a->os));
	out_number(&v->c->out, a->revision);
	out_number(&v->c->out, a->good);
	out_number(&v->c->out, a->bad);
	out_text(&v->c->out, report_guid(v->c, &a->server));
	return E_OK;
}

static int show_activity(struct ctl *c, const struct update_row *u)
{
	struct activities v = {c, &u->id};
	out_sub_begin(&c->out, "activity", "Installations by system", activity_columns, COUNTOF(activity_columns));
	int rc = activity_each(c->txn, activity_one, &v, &c->err);
	if (rc == E_OK)
		out_sub_end(&c->out);
	return rc;
}

/* ---- all of it ---- */

const struct option_row report_update_options[] = {
	{"status", "WORD", "computers where it is unknown, not-applicable, needed, downloaded, installed, failed or pending-reboot (default: "
		"where something is left to be done)"},
	{"limit", "N", "at most N computers (default 100); 0: all"},
	OPTION_CSV,
	{0},
};

#define COMPUTER_ROWS 100

static int show(struct ctl *c, struct names *n, struct finding *f)
{
	struct scope all;
	struct update_row u;
	int rc = update_row_get(n, f->update_no, &u, &c->err);
	if (rc == E_OK)
		rc = scope_get(c->txn, &c->arena, 0, SCOPE_BELOW, &all, &c->err);
	if (rc == E_OK)
		rc = scope_tally(c->txn, &all, f->update_no, &u.count, &c->err);
	if (rc != E_OK)
		return rc;
	head(c, &u);
	rc = show_groups(c, f->update_no);
	if (rc == E_OK)
		rc = show_computers(c, f);
	return rc == E_OK ? show_activity(c, &u) : rc;
}

int report_update(struct ctl *c)
{
	struct finding f = {.c = c, .by_status = ctl_option(c, "status") != NULL};
	struct revision r;
	struct names *n;
	unsigned status;
	int rc = report_word(c, "status", update_status_names, STATUS__N, STATUS_NEEDED, &status);
	f.status = status;
	if (rc == E_OK)
		rc = report_number(c, "limit", COMPUTER_ROWS, &f.limit);
	if (rc == E_OK)
		rc = name_revision(c, c->pos[0], &r);
	if (rc == E_OK)
		rc = names_begin(&n, c->txn, &c->arena, &c->err);
	if (rc != E_OK)
		return rc;
	f.update_no = r.update_no;
	report_behind(c);
	out_object_begin(&c->out);
	out_object_main(&c->out, "computers");
	rc = show(c, n, &f);
	out_object_end(&c->out);
	return rc;
}
