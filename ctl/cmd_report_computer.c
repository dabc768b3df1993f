/* cmd_report_computer.c -- one computer: what it said of itself, where it stands, and what it did last. */
#include <stdlib.h>

#include "common/event.h"
#include "common/text.h"
#include "ctl/cmd_report.h"
#include "ctl/computer_filter.h"

/* ---- who it is ---- */

/* What is there of two texts. */
static struct slice joined(struct ctl *c, struct slice a, const char *between, struct slice b)
{
	if (!a.n || !b.n)
		return a.n ? a : b;
	return arena_printf(&c->arena, "%.*s%s%.*s", SLF(a), between, SLF(b));
}

static void machine(struct ctl *c, const struct standing *s)
{
	const struct reported_machine *m = &s->machine;
	struct slice os = arena_printf(&c->arena, "%d.%d.%d.%d", m->os[0], m->os[1], m->os[2], m->os[3]);
	out_field_text(&c->out, "model", "Model", joined(c, m->brand, " ", m->model));
	out_field_text(&c->out, "bios", "BIOS", joined(c, joined(c, s->bios_name, " ", m->bios), ", ", s->bios_date));
	out_field_text(&c->out, "os_version", "System's version", m->os[0] ? os : SL0);
	out_field_text(&c->out, "client_version", "Update agent", s->client_version);
}

static int identity(struct ctl *c, const struct listed_computer *l)
{
	const struct computer *k = &l->k;
	struct slice groups, flags = computer_flags(&c->arena, l);
	int rc = computer_group_names(c, &l->groups, &groups);
	if (rc != E_OK)
		return rc;
	out_field_text(&c->out, "name", "Name", k->dns_name);
	out_field_text(&c->out, "id", "Id", k->id);
	out_field_text(&c->out, "os", "System", l->os);
	out_field_text(&c->out, "groups", "Groups", groups);
	out_field_text(&c->out, "address", "Address", k->address);
	if (flags.n || c->json)
		out_field_text(&c->out, "flags", "Flags", flags);
	machine(c, &l->s);
	return E_OK;
}

/* A clock that is off by minutes explains times that make no sense. */
static struct slice clock_words(struct ctl *c, tick_t skew)
{
	char text[SPAN_TEXT + 1];
	tick_t by = skew < 0 ? -skew : skew;
	if (by < 60 * TICKS_PER_SECOND)
		return SL0;
	span_text(by, text);
	return arena_printf(&c->arena, "%s %s", text, skew < 0 ? "behind" : "ahead");
}

static void times(struct ctl *c, const struct computer *k, const struct standing *s)
{
	const struct {
		const char *key, *title;
		tick_t at;
	} rows[] = {
		{"first_contact", "First contact", k->first_seen},
		{"last_contact", "Last contact", k->last_seen},
		{"inventory", "Registered or inventoried", s->inventory_at},
		{"last_report", "Last report", s->reported_at},
		{"last_status", "Last full status", s->status_at},
		{"last_detection", "Last effective detection", s->effective_at},
		{"last_sync_at", "Last scan", s->sync_at},
		{"last_sync_good", "Last good scan", s->sync_good_at},
		{"last_restart", "Last restart", s->rebooted_at},
	};
	for (unsigned i = 0; i < COUNTOF(rows); i++)
		out_field_number(&c->out, rows[i].key, rows[i].title, CELL_TIME, rows[i].at);
	if (s->reboot_since || c->json)
		out_field_number(&c->out, "waits_for_restart", "Waits for a restart since", CELL_TIME, s->reboot_since);
}

static void standing_fields(struct ctl *c, const struct standing *s)
{
	const struct {
		const char *key, *title;
		uint32_t n;
	} rows[] = {
		{"needed", "Updates needed", s->count[STATUS_NEEDED]},
		{"downloaded", "  downloaded", s->count[STATUS_DOWNLOADED]},
		{"failed", "  failed", s->count[STATUS_FAILED]},
		{"pending_restart", "  waiting for a restart", s->count[STATUS_PENDING_REBOOT]},
		{"installed", "  installed", s->count[STATUS_INSTALLED]},
		{"hidden", "  hidden by its user", s->hidden},
		{"installations_good", "Installations that succeeded", s->good},
		{"installations_bad", "Installations that failed", s->bad},
	};
	struct slice clock = clock_words(c, s->skew);
	out_field_text(&c->out, "last_sync", "Result of the last scan", sync_text(&c->arena, s->sync_result, s->sync_hresult));
	if (clock.p || c->json)
		out_field_text(&c->out, "clock", "Its clock is", clock);
	for (unsigned i = 0; i < COUNTOF(rows); i++)
		out_field_number(&c->out, rows[i].key, rows[i].title, CELL_NUMBER, rows[i].n);
}

/* ---- its updates ---- */

static const struct column update_columns[] = {
	{"status", "STATUS", CELL_TEXT, FIT_WHOLE},
	{"since", "SINCE", CELL_TIME, FIT_WHOLE},
	{"kb", "KB", CELL_TEXT, FIT_WHOLE},
	{"title", "TITLE", CELL_TEXT, FIT_CUT},
	{"classification", "CLASSIFICATION", CELL_TEXT, FIT_DROP},
	{"approved_for", "APPROVED FOR", CELL_TEXT, FIT_DROP},
	{"hidden", "HIDDEN", CELL_BOOL, FIT_DROP},
	{"error", "LAST ERROR", CELL_TEXT, FIT_CUT},
	{"failed_at", "FAILED", CELL_TIME, FIT_DROP},
	{"id", "UPDATE", CELL_TEXT, FIT_DROP},
};

struct listed {
	struct status_row s;
	struct update_row u;
};
struct listing {
	struct ctl *c;
	struct names *names;
	bool all;
	struct listed *v;
	size_t n, cap;
};

static int update_one(const struct status_row *r, void *arg)
{
	struct listing *l = arg;
	struct ctl *c = l->c;
	if (!l->all && !status_is_open(r->status))
		return E_OK;
	struct listed *v = ARENA_MORE(&c->arena, l->v, l->n, &l->cap);
	if (!v)
		return err_set(&c->err, E_NOMEM, "out of memory");
	l->v = v;
	v[l->n].s = *r;
	return update_row_get(l->names, r->update_no, &v[l->n++].u, &c->err);
}

/* What failed stands first, then what a restart completes, then what is to be done. */
static int by_urgency(const void *a, const void *b)
{
	static const int rank[STATUS__N] = {[STATUS_FAILED] = 0, [STATUS_PENDING_REBOOT] = 1, [STATUS_DOWNLOADED] = 2, [STATUS_NEEDED] = 3,
		[STATUS_INSTALLED] = 4, [STATUS_NOT_APPLICABLE] = 5, [STATUS_UNKNOWN] = 6};
	const struct listed *x = a, *y = b;
	int d = rank[x->s.status] - rank[y->s.status];
	d = d ? d : text_icmp(x->u.title, y->u.title);
	return d ? d : guid_cmp(&x->u.id, &y->u.id);
}

static void update_cells(struct ctl *c, const struct listed *l)
{
	out_str(&c->out, update_status_names[l->s.status]);
	out_number(&c->out, l->s.at);
	out_text(&c->out, l->u.kb);
	out_text(&c->out, l->u.title);
	out_text(&c->out, l->u.classification);
	out_text(&c->out, l->u.approvals);
	out_number(&c->out, l->s.hidden);
	out_text(&c->out, error_text(&c->arena, l->s.hresult));
	out_number(&c->out, l->s.failed_at);
	out_text(&c->out, report_guid(c, &l->u.id));
}

static int show_updates(struct ctl *c, const struct computer *k, struct names *n)
{
	struct listing l = {.c = c, .names = n, .all = ctl_option(c, "all") != NULL};
	int rc = status_each(c->txn, k->id, update_one, &l, &c->err);
	if (rc != E_OK)
		return rc;
	if (l.n)
		qsort(l.v, l.n, sizeof(*l.v), by_urgency);
	out_sub_begin(&c->out, "updates", l.all ? "Updates" : "Updates that it needs", update_columns, COUNTOF(update_columns));
	for (size_t i = 0; i < l.n; i++)
		update_cells(c, &l.v[i]);
	out_sub_end(&c->out);
	return E_OK;
}

/* ---- its events ---- */

static const struct column event_columns[] = {
	{"at", "AT", CELL_TIME, FIT_WHOLE},
	{"event", "EVENT", CELL_NUMBER, FIT_WHOLE},
	{"name", "NAME", CELL_TEXT, FIT_DROP},
	{"kb", "KB", CELL_TEXT, FIT_WHOLE},
	{"text", "WHAT", CELL_TEXT, FIT_CUT},
	{"error", "ERROR", CELL_TEXT, FIT_CUT},
	{"application", "BY", CELL_TEXT, FIT_DROP},
	{"received", "RECEIVED", CELL_TIME, FIT_DROP},
	{"update", "UPDATE", CELL_TEXT, FIT_DROP},
};

static int event_cells(struct ctl *c, struct names *n, const struct event *v)
{
	const struct event_info *info = event_find(v->id);
	struct update_row u = {0};
	uint32_t no;
	bool named = !guid_is_zero(&v->update);
	int rc = named && update_find(c->txn, &v->update, &no) == E_OK ? update_row_get(n, no, &u, &c->err) : E_OK;
	if (rc != E_OK)
		return rc;
	struct slice text = info ? event_text(&c->arena, info, v->strings, v->nstrings) : SL0;
	out_number(&c->out, v->at);
	out_number(&c->out, v->id);
	out_text(&c->out, info ? slice_of(info->name) : SL0);
	out_text(&c->out, u.kb);
	out_text(&c->out, text.n ? text : SL0);
	out_text(&c->out, error_text(&c->arena, v->hresult));
	out_text(&c->out, v->app.n ? v->app : SL0);
	out_number(&c->out, v->received);
	out_text(&c->out, named ? report_guid(c, &v->update) : SL0);
	return E_OK;
}

static int show_events(struct ctl *c, const struct computer *k, struct names *n, size_t most)
{
	struct event *v = NULL;
	size_t got = 0;
	int rc = events_of(c->txn, k->id, most, &v, &got, &c->err);
	if (rc != E_OK)
		return rc;
	out_sub_begin(&c->out, "events", "Last events", event_columns, COUNTOF(event_columns));
	for (size_t i = 0; rc == E_OK && i < got; i++)
		rc = event_cells(c, n, &v[i]);
	if (rc == E_OK)
		out_sub_end(&c->out);
	return rc;
}

/* ---- all of it ---- */

const struct option_row report_computer_options[] = {
	{"all", NULL, "its installed updates, and those that were listed once, too"},
	{"events", "N", "its last N events (default 10); 0: all that are kept"},
	OPTION_CSV,
	{0},
};

#define EVENT_ROWS 10

static int show(struct ctl *c, const struct listed_computer *l, size_t events)
{
	struct names *n;
	int rc = names_begin(&n, c->txn, &c->arena, &c->err);
	if (rc == E_OK)
		rc = identity(c, l);
	if (rc != E_OK)
		return rc;
	times(c, &l->k, &l->s);
	standing_fields(c, &l->s);
	rc = show_updates(c, &l->k, n);
	if (rc == E_OK)
		rc = show_events(c, &l->k, n, events);
	return rc == E_OK ? computer_registration(c, l->k.info) : rc;
}

int report_computer(struct ctl *c)
{
	struct computer_filter f;
	struct listed_computer l;
	struct computer k;
	struct slice id;
	size_t events;
	int rc = report_number(c, "events", EVENT_ROWS, &events);
	if (rc == E_OK)
		rc = name_computer(c, c->pos[0], &id);
	if (rc == E_OK)
		rc = computer_get(c->txn, id, &k);
	if (rc == E_OK)
		rc = computer_filter_read(c, &f);
	if (rc == E_OK)
		rc = computer_listed(c, &f, &k, &l);
	if (rc != E_OK)
		return rc;
	out_object_begin(&c->out);
	out_object_main(&c->out, "updates");
	rc = show(c, &l, events);
	out_object_end(&c->out);
	return rc;
}
