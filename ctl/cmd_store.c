/* cmd_store.c -- making and checking the store. */
#include <errno.h>
#include <setjmp.h>
#include <sys/stat.h>

#include "common/seal.h"
#include "common/text.h"
#include "ctl/cmd.h"
#include "ctl/content.h"
#include "store/report.h"

/* ---- create ---- */

/* E_OK where there is none, or one whose making was cut short. */
static int expect_no_store(struct ctl *c, const char *dir)
{
	struct store *s;
	struct err e = {0};
	int rc = store_open(&s, dir, STORE_ADMIN, &e);
	store_close(&s);
	if (rc == E_NOTFOUND || rc == E_CORRUPT)
		return E_OK;
	return rc == E_OK ? E_EXISTS : err_set(&c->err, e.code, "%s", e.text);
}

static int run_create(struct ctl *c)
{
	const char *dir = c->npos ? c->pos[0] : c->store_dir;
	if (mkdir(dir, 0755) != 0 && errno != EEXIST)
		return err_errno(&c->err, "%s", dir);
	int rc = expect_no_store(c, dir);
	if (rc == E_OK)
		rc = store_create(dir, &c->err);
	if (rc == E_EXISTS)
		return err_set(&c->err, rc, "%s: there is a store already; nothing was changed", dir);
	if (rc == E_OK)
		ctl_say(c, "%s: made a store; load updates with `wsusctl update import`", dir);
	return rc;
}

/* ---- stat ---- */

static void show_sizes(struct ctl *c, const struct store_stat *s)
{
	const struct {
		const char *key, *title;
		uint64_t v;
	} sizes[] = {
		{"catalog_bytes", "Catalog on disk", s->catalog_bytes}, {"catalog_used", "Catalog in use", s->catalog_used},
		{"catalog_map", "Catalog may grow to", s->catalog_map}, {"fleet_bytes", "Fleet on disk", s->fleet_bytes},
		{"fleet_used", "Fleet in use", s->fleet_used},          {"fleet_map", "Fleet may grow to", s->fleet_map},
		{"document_bytes", "Documents held", s->doc_bytes}, {"event_bytes", "Events in use", s->event_bytes},
	};
	for (unsigned i = 0; i < COUNTOF(sizes); i++)
		out_field_number(&c->out, sizes[i].key, sizes[i].title, CELL_BYTES, sizes[i].v);
}

static void show_counts(struct ctl *c, const struct store_stat *s)
{
	const struct {
		const char *key, *title;
		uint64_t v;
	} counts[] = {
		{"updates", "Updates", s->updates},           {"revisions", "Revisions", s->revisions},
		{"published", "Revisions published", s->published}, {"declined", "Updates declined", s->declined},
		{"files", "Files named", s->files},           {"files_stored", "Files here", s->files_stored},
		{"groups", "Groups", s->groups},              {"deployments", "Approvals", s->deployments},
		{"computers", "Computers", s->computers},     {"epoch", "Epoch", s->state.epoch},
		{"generation", "Generation", s->state.generation}, {"events", "Events kept", s->events},
	};
	for (unsigned i = 0; i < COUNTOF(counts); i++)
		out_field_number(&c->out, counts[i].key, counts[i].title, CELL_NUMBER, counts[i].v);
}

static const struct column table_columns[] = {
	{"table", "TABLE", CELL_TEXT, FIT_WHOLE},      {"rows", "ROWS", CELL_NUMBER, FIT_WHOLE},
	{"shared", "SHARED PAGES", CELL_BYTES, FIT_WHOLE}, {"own", "OWN PAGES", CELL_BYTES, FIT_WHOLE},
	{"inner", "INNER PAGES", CELL_BYTES, FIT_WHOLE},
};

static void table_row(const struct table_stat *s, void *arg)
{
	struct ctl *c = arg;
	out_str(&c->out, s->name);
	out_number(&c->out, (int64_t)s->rows);
	out_number(&c->out, (int64_t)s->shared);
	out_number(&c->out, (int64_t)s->own);
	out_number(&c->out, (int64_t)s->inner);
}

static int show_tables(struct ctl *c)
{
	out_list_begin(&c->out, table_columns, COUNTOF(table_columns));
	int rc = store_tables(c->txn, table_row, c, &c->err);
	if (rc == E_OK)
		out_list_end(&c->out);
	return rc;
}

static int run_stat(struct ctl *c)
{
	if (ctl_option(c, "tables"))
		return show_tables(c);
	struct store_stat s;
	char id[GUID_TEXT + 1];
	int rc = store_stat(c->txn, &s, &c->err);
	if (rc != E_OK)
		return rc;
	guid_text(&s.state.server_id, id);
	out_object_begin(&c->out);
	out_field(&c->out, "server_id", "ServerID", CELL_TEXT);
	out_str(&c->out, id);
	out_field_text(&c->out, "store", "Store", slice_of(c->store_dir));
	out_field_text(&c->out, "found_by", "Found by", slice_of(c->store_found));
	show_counts(c, &s);
	out_field_number(&c->out, "events_since", "Events since", CELL_TIME, s.events_since);
	show_sizes(c, &s);
	out_field_number(&c->out, "last_change", "Configuration changed", CELL_TIME, s.state.last_change);
	out_field_number(&c->out, "created", "Made", CELL_TIME, s.state.created);
	out_object_end(&c->out);
	return E_OK;
}

/* ---- audit ---- */

static const struct column audit_columns[] = {{"violation", "VIOLATION", CELL_TEXT, FIT_WHOLE}};

static void found(const char *text, void *arg)
{
	struct ctl *c = arg;
	out_str(&c->out, text);
}

static struct { /* what damage comes back to, and with what */
	sigjmp_buf back;
	enum store_part part;
	char what[300];
	bool any;
} met;

/* Noted beside the file, so that the services stop using it. */
static void found_damage(struct ctl *c, enum store_part part, const char *what)
{
	struct err e = {0};
	found(what, c);
	met.any = c->failed = true;
	if (store_file_mark(c->store_dir, part) && store_note_damage(c->store_dir, part, what, &e) != E_OK)
		ctl_complain(c, "the services do not learn of it: %s", e.text);
}

static void meet_damage(enum store_part part, const char *what)
{
	const char *at = store_reading();
	met.part = part;
	snprintf(met.what, sizeof(met.what), "%s/data.mdb: %s%s%s%s", store_part_names[part], what,
		at ? "; while the database `" : "", at ? at : "", at ? "` was read" : "");
	siglongjmp(met.back, 1);
}

static int read_part(struct ctl *c, enum store_part part)
{
	struct err e = {0};
	int rc = store_read_all(c->store, part, &e);
	if (rc == E_DAMAGED)
		found_damage(c, part, e.text);
	else if (rc != E_OK)
		c->err = e;
	return rc;
}

/* All pages first, then what they mean. */
static int audit_parts(struct ctl *c)
{
	unsigned n = 0;
	int rc = ctl_open_store(c);
	if (rc == E_DAMAGED)
		found_damage(c, STORE_CATALOG, c->err.text);
	if (rc == E_OK)
		rc = read_part(c, STORE_CATALOG);
	int fleet = rc == E_OK ? read_part(c, STORE_FLEET) : E_OK;
	if (rc == E_OK && fleet != E_OK && fleet != E_DAMAGED)
		rc = fleet;
	if (rc == E_OK)
		rc = txn_begin(c->store, TXN_READ, &c->txn, &c->err);
	if (rc == E_OK)
		rc = store_audit(c->txn, found, c, &n, &c->err);
	c->failed = c->failed || n > 0;
	if (rc == E_OK && fleet == E_OK)
		store_forget_damage(c->store_dir);
	return rc == E_DAMAGED && c->failed ? E_OK : rc;
}

/* After damage in the midst of it nothing of the store is touched any more, not even to close it. */
static int audit_guarded(struct ctl *c)
{
	if (sigsetjmp(met.back, 1) == 0) {
		ctl_on_damage(meet_damage);
		return audit_parts(c);
	}
	c->store = NULL;
	c->txn = NULL;
	found_damage(c, met.part, met.what);
	return E_OK;
}

static int run_audit(struct ctl *c)
{
	out_list_begin(&c->out, audit_columns, COUNTOF(audit_columns));
	int rc = audit_guarded(c);
	if (rc != E_OK)
		return rc;
	if (c->json || c->failed)
		out_list_end(&c->out);
	else
		ctl_say(c, "the store is consistent");
	if (met.any)
		ctl_warn(c, "the services stop using it; `wsusctl restore` brings a backup back, `wsusctl store reset --keep-policy` "
			"begins anew and keeps what can be read");
	return E_OK;
}

/* ---- tick ---- */

static int run_tick(struct ctl *c)
{
	(void)c;
	return E_OK; /* what follows every NEED_WRITE is the work: publish() */
}

static int report_tick(struct ctl *c)
{
	txn_end(&c->txn);
	content_sweep_wanted(c);
	int rc = events_tend(c->store, c->now, &c->err);
	if (rc != E_OK)
		return rc;
	if (ctl_option(c, "quiet") && c->published.shown + c->published.flipped + c->published.changed == 0)
		return E_OK;
	out_object_begin(&c->out);
	out_field_number(&c->out, "epoch", "Epoch", CELL_NUMBER, c->published.epoch);
	out_field_number(&c->out, "shown", "Revisions published", CELL_NUMBER, c->published.shown);
	out_field_number(&c->out, "flipped", "Approvals that took or lost effect", CELL_NUMBER, c->published.flipped);
	out_field_number(&c->out, "held", "Bundles held back", CELL_NUMBER, c->published.held);
	out_object_end(&c->out);
	return E_OK;
}

/* ---- counting anew ---- */

static int run_recount(struct ctl *c)
{
	struct txn *t;
	struct cohort all;
	int rc = txn_begin(c->store, TXN_FLEET, &t, &c->err);
	if (rc == E_OK)
		rc = report_recount(t, &c->err);
	if (rc == E_OK)
		rc = txn_commit(&t, &c->err);
	txn_end(&t);
	if (rc == E_OK)
		rc = membership_catch_up(c->store, &c->err);
	if (rc == E_OK)
		rc = txn_begin(c->store, TXN_READ, &t, &c->err);
	if (rc == E_OK)
		rc = cohort_get(t, COHORT_ALL, &all);
	txn_end(&t);
	if (rc != E_OK)
		return rc;
	out_object_begin(&c->out);
	out_field_number(&c->out, "computers", "Computers", CELL_NUMBER, all.computers);
	out_field_number(&c->out, "reported", "Computers that reported", CELL_NUMBER, all.reported);
	out_field_number(&c->out, "updates_needed", "Updates that are needed or failed", CELL_NUMBER, all.updates_needed);
	out_object_end(&c->out);
	return ctl_note(c, "store recount");
}

/* ---- generation ---- */

static int run_adopt(struct ctl *c)
{
	struct server_marks m;
	int rc = server_new_generation(c->txn, &c->err);
	if (rc == E_OK)
		rc = server_marks_get(c->txn, &m, &c->err);
	if (rc == E_OK) /* before the commit: a number too high does no harm */
		rc = server_identity_write(c->store_dir, &m, &c->err);
	return rc == E_OK ? audit_note(c->txn, c->admin, "store adopt") : rc;
}

/* ---- the record of changes ---- */

static const struct column history_columns[] = {
	{"time", "WHEN", CELL_TIME, FIT_WHOLE},
	{"admin", "WHO", CELL_TEXT, FIT_WHOLE},
	{"what", "WHAT", CELL_TEXT, FIT_CUT},
};

static int history_row(tick_t at, struct slice admin, struct slice text, void *arg)
{
	struct ctl *c = arg;
	out_number(&c->out, at);
	out_text(&c->out, admin);
	out_text(&c->out, text);
	return E_OK;
}

static int run_history(struct ctl *c)
{
	out_list_begin(&c->out, history_columns, COUNTOF(history_columns));
	int rc = audit_each(c->txn, history_row, c, &c->err);
	if (rc == E_OK)
		out_list_end(&c->out);
	return rc;
}

static int run_key(struct ctl *c)
{
	int rc = seal_create(c->pos[0], &c->err);
	if (rc == E_OK)
		ctl_say(c, "%s: made a master secret for cookies; only the services' user may read it", c->pos[0]);
	return rc;
}

static const struct option_row tick_options[] = {
	{"quiet", NULL, "say nothing where nothing took effect"},
	{0},
};

static const struct option_row stat_options[] = {
	{"tables", NULL, "instead: rows and bytes of each table, by kind of page"},
	{0},
};

const struct command store_commands[] = {
	{"store", "create", "[DIR]", "make an empty store", 0, 1, NEED_PLACE, NULL, run_create, NULL, NULL},
	{"store", "key", "FILE", "make the master secret that seals cookies", 1, 1, NEED_NOTHING, NULL, run_key, NULL,
		NULL},
	{"store", "stat", "", "sizes and counts", 0, 0, NEED_READ, stat_options, run_stat, NULL, NULL},
	{"store", "audit", "", "check the store's consistency; exit status 1 if it contradicts itself", 0, 0, NEED_PLACE,
		NULL, run_audit, NULL, NULL},
	{"store", "tick", "", "let what is due take effect: go-live times, files that came", 0, 0, NEED_WRITE, tick_options,
		run_tick, report_tick, "To be run every minute, as scripts/jobs.sh does."},
	{"store", "recount", "", "count anew what computers reported", 0, 0, NEED_STORE, NULL, run_recount, NULL,
		"Nobody needs it as long as `wsusctl store audit` finds no wrong count.  Services go on meanwhile; reports are incomplete."},
	{"store", "adopt", "", "start a new generation after moving a store to another machine", 0, 0, NEED_WRITE, NULL,
		run_adopt, report_tick, "Every client renumbers its cache at its next scan."},
	{"store", "history", "", "the record of administrative changes", 0, 0, NEED_READ, csv_options, run_history, NULL, NULL},
	{0},
};
