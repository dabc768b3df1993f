/* report_data.c -- counts of cohorts added up, and the names that belong to numbers. */
#include "ctl/report_data.h"

#include <stdlib.h>

#include "common/buf.h"
#include "common/os_name.h"
#include "common/text.h"
#include "common/wusp_info.h"
#include "ctl/client_error.h"

static int no_memory(struct err *e)
{
	return err_set(e, E_NOMEM, "out of memory");
}

/* ---- whose counts ---- */

struct finding {
	struct scope *s;
	struct arena *a;
	uint32_t group;
	size_t cap;
	struct err *e;
};

static int find_direct(const struct cohort *c, void *arg)
{
	struct finding *f = arg;
	bool in = false;
	for (unsigned i = 0; i < c->ngroups && !in; i++)
		in = c->group[i] == f->group;
	if (!in)
		return E_OK;
	struct cohort *v = ARENA_MORE(f->a, f->s->v, f->s->n, &f->cap);
	if (!v)
		return no_memory(f->e);
	f->s->v = v;
	v[f->s->n++] = *c;
	return E_OK;
}

static int whole_server(struct txn *t, struct arena *a, struct scope *out, struct err *e)
{
	out->v = ARENA_NEW(a, struct cohort);
	if (!out->v)
		return no_memory(e);
	out->n = 1;
	int rc = cohort_get(t, COHORT_ALL, out->v);
	return rc == E_NOTFOUND ? E_OK : rc;
}

static void add_cohort(struct cohort *to, const struct cohort *c)
{
	to->computers += c->computers;
	to->reported += c->reported;
	to->needing += c->needing;
	to->failed += c->failed;
	to->up_to_date += c->up_to_date;
	to->pending += c->pending;
	to->sync_failed += c->sync_failed;
}

static int cohorts_below(struct txn *t, struct arena *a, uint32_t group, struct scope *out, struct err *e)
{
	struct cohort *v = NULL;
	int rc = group_cohorts(t, group, &v, &out->n, e);
	if (rc != E_OK)
		return rc;
	out->v = ARENA_ARRAY(a, struct cohort, out->n);
	if (!out->v)
		return no_memory(e);
	if (out->n)
		memcpy(out->v, v, out->n * sizeof(*v));
	return E_OK;
}

/* What a look at one thing leaves in the transaction's arena, which is for one request, is dropped behind it. */
static void scratch_begin(struct txn *t, struct arena *lent)
{
	*lent = *txn_arena(t);
	arena_init(txn_arena(t), lent->cap);
}

static void scratch_end(struct txn *t, const struct arena *lent)
{
	arena_free(txn_arena(t));
	*txn_arena(t) = *lent;
}

int scope_get(struct txn *t, struct arena *a, uint32_t group, enum scope_reach reach, struct scope *out, struct err *e)
{
	int rc;
	struct arena lent;
	*out = (struct scope){0};
	scratch_begin(t, &lent);
	if (reach == SCOPE_DIRECT) {
		struct finding f = {.s = out, .a = a, .group = group, .e = e};
		rc = cohort_each(t, find_direct, &f, e);
	} else if (group == 0 || group == GROUP_ALL_COMPUTERS) {
		rc = whole_server(t, a, out, e);
	} else {
		rc = cohorts_below(t, a, group, out, e);
	}
	scratch_end(t, &lent);
	for (size_t i = 0; rc == E_OK && i < out->n; i++)
		add_cohort(&out->sum, &out->v[i]);
	return rc;
}

static void add_tally(struct tally *to, const struct tally *c)
{
	for (unsigned i = STATUS_NEEDED; i < STATUS__N; i++)
		to->by[i] += c->by[i];
}

/* What is not counted by update: those that sent a list without it, and those that sent none. */
static void complete(struct tally *c, const struct cohort *sum)
{
	uint32_t listed = 0;
	for (unsigned i = STATUS_NEEDED; i < STATUS__N; i++)
		listed += c->by[i];
	c->by[STATUS_NOT_APPLICABLE] = sum->reported > listed ? sum->reported - listed : 0;
	c->by[STATUS_UNKNOWN] = sum->computers - MIN(sum->computers, MAX(sum->reported, listed));
}

int scope_tally(struct txn *t, const struct scope *s, uint32_t update_no, struct tally *out, struct err *e)
{
	*out = (struct tally){0};
	for (size_t i = 0; i < s->n; i++) {
		struct tally one = {0};
		int rc = tally_get(t, s->v[i].no, update_no, &one);
		if (rc != E_OK && rc != E_NOTFOUND)
			return err_set(e, (enum errcode)rc, "the counts cannot be read; run `wsusctl store audit`");
		add_tally(out, &one);
	}
	complete(out, &s->sum);
	return E_OK;
}

/* ---- names ---- */

struct names {
	struct txn *t;
	struct arena *a;
	uint32_t updates;    /* the highest UpdateNo */
	struct slice *class; /* by UpdateNo of a category: its title if it is a classification, "" if not; absent: not looked yet */
};

int names_begin(struct names **out, struct txn *t, struct arena *a, struct err *e)
{
	struct server_state s;
	int rc = server_state_get(t, &s, e);
	if (rc != E_OK)
		return rc;
	struct names *n = ARENA_NEW(a, struct names);
	if (!n)
		return no_memory(e);
	*n = (struct names){.t = t, .a = a, .updates = s.updates};
	n->class = ARENA_ARRAY(n->a, struct slice, (size_t)s.updates + 1);
	*out = n;
	return n->class ? E_OK : no_memory(e);
}

/* The highest revision of an update; E_NOTFOUND: others name it, but it is not here. */
static int highest(struct names *n, uint32_t update_no, struct revision *out, int32_t **ids, size_t *nids, struct err *e)
{
	int rc = revisions_of(n->t, update_no, ids, nids, e);
	if (rc == E_OK && *nids == 0)
		return E_NOTFOUND;
	return rc == E_OK ? revision_get(n->t, (*ids)[0], out, e) : rc;
}

static int class_of(struct names *n, uint32_t category, struct slice *out, struct err *e)
{
	struct revision r;
	int32_t *ids;
	size_t nids;
	if (category > n->updates)
		return E_OK;
	if (!n->class[category].p) {
		int rc = highest(n, category, &r, &ids, &nids, e);
		if (rc != E_OK && rc != E_NOTFOUND)
			return rc;
		n->class[category] = rc == E_OK && r.category_type == CAT_CLASSIFICATION ? r.title : SL("");
	}
	*out = n->class[category];
	return E_OK;
}

static int classification(struct names *n, int32_t revision, struct slice *out, struct err *e)
{
	struct relations v;
	int rc = relations_get(n->t, revision, &v, e);
	*out = SL("");
	for (size_t i = 0; rc == E_OK && i < v.nprereq && !out->n; i++)
		if (v.prereq[i].is_category)
			rc = class_of(n, v.prereq[i].update_no, out, e);
	if (!out->n)
		*out = SL0;
	return rc;
}

struct slice error_text(struct arena *a, int32_t hresult)
{
	const struct client_error *k = client_error_find((uint32_t)hresult);
	if (hresult == 0)
		return SL0;
	return arena_printf(a, "0x%08X%s%s", (unsigned)hresult, k ? ": " : "", k ? k->means : "");
}

struct slice sync_text(struct arena *a, enum sync_result result, int32_t hresult)
{
	struct slice why = error_text(a, hresult);
	if (result != SYNC_FAILED)
		return result == SYNC_SUCCEEDED ? SL("succeeded") : SL("never");
	return arena_printf(a, "failed%s%.*s", why.n ? ", " : "", SLF(why));
}

bool status_is_open(enum update_status s)
{
	return s == STATUS_NEEDED || s == STATUS_DOWNLOADED || s == STATUS_FAILED || s == STATUS_PENDING_REBOOT;
}

/* ---- updates ---- */

static const char *const action_words[ACT__N] = {
	[ACT_INSTALL] = "", [ACT_UNINSTALL] = " (uninstall)", [ACT_PREDEPLOYMENT_CHECK] = " (detect)", [ACT_BLOCK] = " (block)",
	[ACT_OPTIONAL_INSTALL] = " (optional)",
};

struct approvals {
	struct names *n;
	struct buf b;
	bool any; /* that lets computers have it */
	struct err *e;
};

static int add_approval(const struct deployment *d, void *arg)
{
	struct approvals *p = arg;
	struct group g;
	if (d->dead)
		return E_OK;
	int rc = group_get(p->n->t, d->group, &g, p->e);
	if (rc != E_OK)
		return rc;
	p->any |= d->action == ACT_INSTALL || d->action == ACT_UNINSTALL || d->action == ACT_OPTIONAL_INSTALL;
	buf_str(&p->b, p->b.n ? ", " : "");
	buf_slice(&p->b, g.name);
	buf_str(&p->b, d->action < ACT__N ? action_words[d->action] : "");
	return E_OK;
}

static int approvals_get(struct names *n, const int32_t *ids, size_t nids, struct update_row *out, struct err *e)
{
	struct approvals p = {.n = n, .e = e};
	int rc = E_OK;
	buf_init(&p.b, (size_t)1 << 20);
	for (size_t i = 0; rc == E_OK && i < nids; i++)
		rc = deployment_each(n->t, ids[i], add_approval, &p, e);
	if (rc == E_OK && p.b.n) {
		out->approvals = arena_copy(n->a, buf_bytes(&p.b));
		rc = out->approvals.p && p.b.rc == E_OK ? E_OK : no_memory(e);
	}
	out->approved = p.any;
	buf_free(&p.b);
	return rc;
}

static struct slice or_absent(struct slice s)
{
	return s.n ? s : SL0;
}

static int fill_row(struct names *n, const struct revision *r, struct update_row *out, struct err *e)
{
	out->revision = r->id;
	out->number = r->number;
	out->title = or_absent(r->title);
	out->kb = or_absent(r->kb);
	out->severity = or_absent(r->severity);
	out->type = r->type;
	out->created = r->created;
	out->expired = r->flags & REV_EXPIRED;
	return classification(n, r->id, &out->classification, e);
}

static int row_get(struct names *n, uint32_t update_no, struct update_row *out, struct err *e)
{
	struct revision r;
	struct update u;
	int32_t *ids;
	size_t nids;
	int rc = update_get(n->t, update_no, &u, e);
	if (rc != E_OK)
		return rc;
	*out = (struct update_row){.no = update_no, .id = u.id, .declined = u.declined};
	rc = highest(n, update_no, &r, &ids, &nids, e);
	if (rc == E_NOTFOUND)
		return E_OK;
	if (rc == E_OK)
		rc = fill_row(n, &r, out, e);
	return rc == E_OK ? approvals_get(n, ids, nids, out, e) : rc;
}

int update_row_get(struct names *n, uint32_t update_no, struct update_row *out, struct err *e)
{
	struct arena lent;
	scratch_begin(n->t, &lent);
	int rc = row_get(n, update_no, out, e);
	scratch_end(n->t, &lent);
	return rc;
}

const char *const update_sort_names[UPDATE_SORT__N] = {
	[BY_NEEDED] = "needed", [BY_FAILED] = "failed", [BY_TITLE] = "title", [BY_DATE] = "date"};

static uint32_t needed(const struct tally *c)
{
	return c->by[STATUS_NEEDED] + c->by[STATUS_DOWNLOADED];
}

static int more_first(int64_t a, int64_t b)
{
	return (a < b) - (a > b);
}

static int by_title(const void *a, const void *b)
{
	const struct update_row *x = a, *y = b;
	int d = text_icmp(x->title, y->title);
	return d ? d : guid_cmp(&x->id, &y->id);
}

static int by_needed(const void *a, const void *b)
{
	const struct update_row *x = a, *y = b;
	int d = more_first(needed(&x->count), needed(&y->count));
	d = d ? d : more_first(x->count.by[STATUS_FAILED], y->count.by[STATUS_FAILED]);
	return d ? d : by_title(a, b);
}

static int by_failed(const void *a, const void *b)
{
	const struct update_row *x = a, *y = b;
	int d = more_first(x->count.by[STATUS_FAILED], y->count.by[STATUS_FAILED]);
	return d ? d : by_needed(a, b);
}

static int by_date(const void *a, const void *b)
{
	const struct update_row *x = a, *y = b;
	int d = more_first(x->created, y->created);
	return d ? d : by_title(a, b);
}

static int (*const update_sorts[UPDATE_SORT__N])(const void *, const void *) = {
	[BY_NEEDED] = by_needed, [BY_FAILED] = by_failed, [BY_TITLE] = by_title, [BY_DATE] = by_date};

struct adding {
	struct tally *v;
	uint32_t n;
};

static int add_one(uint32_t update_no, const struct tally *c, void *arg)
{
	struct adding *to = arg;
	if (update_no <= to->n)
		add_tally(&to->v[update_no], c);
	return E_OK;
}

static bool counts_wanted(const struct update_filter *f, const struct tally *c)
{
	uint32_t open = 0;
	for (unsigned i = STATUS_NEEDED; i < STATUS__N; i++)
		open += status_is_open(i) ? c->by[i] : 0;
	return open && (!f->needed || needed(c)) && (!f->failed || c->by[STATUS_FAILED]);
}

static int take_update(struct names *n, const struct update_filter *f, uint32_t no, const struct tally *c, struct update_rows *out,
	size_t *cap, struct err *e)
{
	struct update_row row;
	int rc = update_row_get(n, no, &row, e);
	if (rc != E_OK || (row.declined && !f->declined) || (row.approved && f->unapproved))
		return rc;
	struct update_row *v = ARENA_MORE(n->a, out->v, out->n, cap);
	if (!v)
		return no_memory(e);
	row.count = *c;
	out->v = v;
	v[out->n++] = row;
	return E_OK;
}

/* Parts of bundles are approved with them: as rows of their own they would be counted twice and could be decided by nobody. */
static bool is_decided(struct names *n, uint32_t no)
{
	uint32_t facts;
	return fact_get(n->t, no, &facts) == E_OK && facts & FACT_UPDATE;
}

int updates_gather(struct names *n, const struct update_filter *f, struct update_rows *out, struct err *e)
{
	struct scope s;
	struct adding all = {.n = n->updates};
	size_t cap = 0;
	*out = (struct update_rows){0};
	int rc = scope_get(n->t, n->a, f->group, SCOPE_BELOW, &s, e);
	all.v = rc == E_OK ? ARENA_ARRAY(n->a, struct tally, (size_t)all.n + 1) : NULL;
	if (!all.v)
		return rc == E_OK ? no_memory(e) : rc;
	for (size_t i = 0; rc == E_OK && i < s.n; i++)
		rc = tally_each(n->t, s.v[i].no, add_one, &all, e);
	for (uint32_t no = 1; rc == E_OK && no <= all.n; no++) {
		if (!counts_wanted(f, &all.v[no]) || !is_decided(n, no))
			continue;
		complete(&all.v[no], &s.sum);
		rc = take_update(n, f, no, &all.v[no], out, &cap, e);
	}
	if (out->n)
		qsort(out->v, out->n, sizeof(*out->v), update_sorts[f->sort]);
	out->fit = out->n;
	out->n = f->limit ? MIN(f->limit, out->n) : out->n;
	return rc;
}

/* ---- computers ---- */

struct slice registered_system(const struct computer *k)
{
	struct ComputerInfo info;
	if (k->info.n == 0 || computer_info_unpack(k->info, &info) != E_OK)
		return SL0;
	return or_absent(os_name(&info));
}

const char *const computer_sort_names[COMPUTER_SORT__N] = {
	[BY_NAME] = "name", [BY_OPEN] = "needed", [BY_FAILURES] = "failed", [BY_CONTACT] = "contact", [BY_REPORT] = "report"};

struct computer_row computer_row_of(const struct computer *k, const struct standing *s)
{
	struct computer_row row = {.id = k->id, .name = or_absent(k->dns_name), .system = registered_system(k), .last_seen = k->last_seen,
		.reported_at = s->reported_at, .status_at = s->status_at, .sync_at = s->sync_at, .reboot_since = s->reboot_since, .sync_result = s->sync_result,
		.sync_hresult = s->sync_hresult};
	memcpy(row.count, s->count, sizeof(row.count));
	return row;
}

int computer_rows_add(struct arena *a, struct computer_rows *rows, const struct computer_row *row, struct err *e)
{
	struct computer_row *v = ARENA_MORE(a, rows->v, rows->n, &rows->cap);
	if (!v)
		return no_memory(e);
	rows->v = v;
	v[rows->n++] = *row;
	return E_OK;
}

static int by_name(const void *a, const void *b)
{
	const struct computer_row *x = a, *y = b;
	int d = text_icmp(x->name, y->name);
	return d ? d : slice_cmp(x->id, y->id);
}

static int by_open(const void *a, const void *b)
{
	const struct computer_row *x = a, *y = b;
	int d = more_first((int64_t)x->count[STATUS_NEEDED] + x->count[STATUS_DOWNLOADED],
		(int64_t)y->count[STATUS_NEEDED] + y->count[STATUS_DOWNLOADED]);
	return d ? d : by_name(a, b);
}

static int by_failures(const void *a, const void *b)
{
	const struct computer_row *x = a, *y = b;
	int d = more_first(x->count[STATUS_FAILED], y->count[STATUS_FAILED]);
	return d ? d : by_open(a, b);
}

static int by_contact(const void *a, const void *b)
{
	const struct computer_row *x = a, *y = b;
	int d = more_first(y->last_seen, x->last_seen);
	return d ? d : by_name(a, b);
}

static int by_report(const void *a, const void *b)
{
	const struct computer_row *x = a, *y = b;
	int d = more_first(y->reported_at, x->reported_at);
	return d ? d : by_name(a, b);
}

void computer_rows_sort(struct computer_rows *rows, enum computer_sort by)
{
	static int (*const sorts[COMPUTER_SORT__N])(const void *, const void *) = {
		[BY_NAME] = by_name, [BY_OPEN] = by_open, [BY_FAILURES] = by_failures, [BY_CONTACT] = by_contact, [BY_REPORT] = by_report};
	if (rows->n)
		qsort(rows->v, rows->n, sizeof(*rows->v), sorts[by]);
}

/* ---- the whole ---- */

const struct count_name count_names[SERVER_COUNT__N] = {
	[COUNT_UPDATES] = {"updates", "Updates"},
	[COUNT_DECLINED] = {"updates_declined", "  declined"},
	[COUNT_APPROVED] = {"updates_approved", "  approved"},
	[COUNT_NOT_APPROVED] = {"updates_not_approved", "  not approved"},
	[COUNT_STALE_APPROVALS] = {"updates_approved_stale", "  approved, and there is a newer revision"},
	[COUNT_EXPIRED] = {"updates_expired", "  expired"},
	[COUNT_CRITICAL_NOT_APPROVED] = {"updates_critical_not_approved", "  critical or security, not approved"},
	[COUNT_INFRASTRUCTURE_NOT_APPROVED] = {"updates_infrastructure_not_approved", "  needed by the update agent, not approved"},
	[COUNT_CLIENT_ERRORS] = {"updates_failed", "  failed on some computer"},
	[COUNT_SERVER_ERRORS] = {"updates_not_fetched", "  whose files could not be fetched"},
	[COUNT_NEEDING_FILES] = {"updates_needing_files", "  approved, with files missing"},
	[COUNT_NEEDED] = {"updates_needed", "  needed by some computer"},
	[COUNT_UP_TO_DATE] = {"updates_up_to_date", "  needed by no computer"},
	[COUNT_CUSTOM_GROUPS] = {"groups", "Groups made here"},
	[COUNT_COMPUTERS] = {"computers", "Computers"},
	[COUNT_COMPUTERS_NEEDING] = {"computers_needing", "  that need updates"},
	[COUNT_COMPUTERS_FAILED] = {"computers_failed", "  with failed updates"},
	[COUNT_COMPUTERS_UP_TO_DATE] = {"computers_up_to_date", "  up to date"},
};

struct passing {
	struct summary *s;
	struct arena *a;
	struct slice *system;
	int32_t *error;
	size_t n, nerror, cap, error_cap;
	tick_t stale_before;
	struct err *e;
};

static int pass_one(const struct computer *k, const struct standing *s, void *arg)
{
	struct passing *p = arg;
	struct slice *system = ARENA_MORE(p->a, p->system, p->n, &p->cap);
	if (!system)
		return no_memory(p->e);
	p->system = system;
	system[p->n++] = registered_system(k);
	p->s->never_reported += s->reported_at == 0;
	p->s->stale += k->last_seen < p->stale_before;
	if (s->sync_result != SYNC_FAILED)
		return E_OK;
	int32_t *error = ARENA_MORE(p->a, p->error, p->nerror, &p->error_cap);
	if (!error)
		return no_memory(p->e);
	p->error = error;
	error[p->nerror++] = s->sync_hresult;
	return E_OK;
}

static int by_text(const void *a, const void *b)
{
	return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

static int by_code(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
	return (x > y) - (x < y);
}

static int by_count(const void *a, const void *b)
{
	const struct named_count *x = a, *y = b;
	int d = more_first(x->n, y->n);
	return d ? d : slice_cmp(x->name, y->name);
}

/* Sorted texts become names with how often they were there, most first. */
static int count_texts(struct arena *a, const struct slice *text, size_t n, struct named_count **out, size_t *nout, struct err *e)
{
	size_t cap = 0;
	*out = NULL;
	*nout = 0;
	for (size_t i = 0; i < n; i++) {
		if (i && slice_eq(text[i], text[i - 1])) {
			(*out)[*nout - 1].n++;
			continue;
		}
		struct named_count *v = ARENA_MORE(a, *out, *nout, &cap);
		if (!v)
			return no_memory(e);
		*out = v;
		v[(*nout)++] = (struct named_count){or_absent(text[i]), 1};
	}
	if (*nout)
		qsort(*out, *nout, sizeof(**out), by_count);
	return E_OK;
}

static int count_errors(struct passing *p)
{
	struct slice *text = ARENA_ARRAY(p->a, struct slice, p->nerror);
	if (!text)
		return no_memory(p->e);
	if (p->nerror)
		qsort(p->error, p->nerror, sizeof(*p->error), by_code);
	for (size_t i = 0; i < p->nerror; i++)
		text[i] = i && p->error[i] == p->error[i - 1] ? text[i - 1] : error_text(p->a, p->error[i]);
	return count_texts(p->a, text, p->nerror, &p->s->error, &p->s->nerror, p->e);
}

static int pass_computers(struct txn *t, struct arena *a, struct summary *s, struct err *e)
{
	struct passing p = {.s = s, .a = a, .e = e};
	p.stale_before = s->at - s->settings.stale_days * 86400 * TICKS_PER_SECOND;
	int rc = standing_each(t, pass_one, &p, e);
	if (rc == E_OK)
		rc = count_errors(&p);
	if (rc == E_OK && p.n)
		qsort(p.system, p.n, sizeof(*p.system), by_text);
	return rc == E_OK ? count_texts(p.a, p.system, p.n, &s->system, &s->nsystem, e) : rc;
}

int summary_gather(struct txn *t, struct arena *a, tick_t now, struct summary *out, struct err *e)
{
	struct scope all;
	*out = (struct summary){.at = now, .behind = membership_behind(t)};
	int rc = server_state_get(t, &out->server, e);
	if (rc == E_OK)
		rc = settings_get(t, &out->settings, e);
	if (rc == E_OK)
		rc = server_counts(t, out->count, e);
	if (rc == E_OK)
		rc = scope_get(t, a, 0, SCOPE_BELOW, &all, e);
	if (rc != E_OK)
		return rc;
	out->all = all.v[0];
	return pass_computers(t, a, out, e);
}
