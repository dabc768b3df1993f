/* cmd_store.c -- making, checking, copying the store. */
#include <errno.h>
#include <sys/stat.h>

#include "common/seal.h"
#include "common/text.h"
#include "ctl/cmd.h"

static void number_field(struct ctl *c, const char *key, const char *title, enum cell kind, uint64_t v)
{
	out_field(&c->out, key, title, kind);
	out_number(&c->out, (int64_t)v);
}

/* ---- create ---- */

static int run_create(struct ctl *c)
{
	const char *dir = c->npos ? c->pos[0] : c->store_dir;
	if (mkdir(dir, 0755) != 0 && errno != EEXIST)
		return err_errno(&c->err, "%s", dir);
	int rc = store_create(dir, &c->err);
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
		{"document_bytes", "Documents held", s->doc_bytes},
	};
	for (unsigned i = 0; i < COUNTOF(sizes); i++)
		number_field(c, sizes[i].key, sizes[i].title, CELL_BYTES, sizes[i].v);
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
		{"generation", "Generation", s->state.generation},
	};
	for (unsigned i = 0; i < COUNTOF(counts); i++)
		number_field(c, counts[i].key, counts[i].title, CELL_NUMBER, counts[i].v);
}

static int run_stat(struct ctl *c)
{
	struct store_stat s;
	char id[GUID_TEXT + 1];
	int rc = store_stat(c->txn, &s, &c->err);
	if (rc != E_OK)
		return rc;
	guid_text(&s.state.server_id, id);
	out_object_begin(&c->out);
	out_field(&c->out, "server_id", "ServerID", CELL_TEXT);
	out_str(&c->out, id);
	show_counts(c, &s);
	show_sizes(c, &s);
	number_field(c, "last_change", "Configuration changed", CELL_TIME, (uint64_t)s.state.last_change);
	number_field(c, "created", "Made", CELL_TIME, (uint64_t)s.state.created);
	out_object_end(&c->out);
	return E_OK;
}

/* ---- audit ---- */

static const struct column audit_columns[] = {{"violation", "VIOLATION", CELL_TEXT, false}};

static void found(const char *text, void *arg)
{
	struct ctl *c = arg;
	out_str(&c->out, text);
}

static int run_audit(struct ctl *c)
{
	unsigned n = 0;
	out_list_begin(&c->out, audit_columns, COUNTOF(audit_columns));
	int rc = store_audit(c->txn, found, c, &n, &c->err);
	if (rc != E_OK)
		return rc;
	if (c->json || n)
		out_list_end(&c->out);
	else
		ctl_say(c, "the store is consistent");
	c->failed = n > 0;
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
	out_object_begin(&c->out);
	number_field(c, "epoch", "Epoch", CELL_NUMBER, c->published.epoch);
	number_field(c, "shown", "Revisions published", CELL_NUMBER, c->published.shown);
	number_field(c, "flipped", "Approvals that took or lost effect", CELL_NUMBER, c->published.flipped);
	number_field(c, "held", "Bundles held back", CELL_NUMBER, c->published.held);
	out_object_end(&c->out);
	return E_OK;
}

/* ---- generation ---- */

static int run_adopt(struct ctl *c)
{
	int rc = server_new_generation(c->txn, &c->err);
	return rc == E_OK ? audit_note(c->txn, c->admin, "store adopt") : rc;
}

/* ---- copies ---- */

static int run_backup(struct ctl *c)
{
	if (mkdir(c->pos[0], 0700) != 0 && errno != EEXIST)
		return err_errno(&c->err, "%s", c->pos[0]);
	int rc = store_copy(c->store, c->pos[0], &c->err);
	if (rc == E_OK)
		ctl_say(c, "%s: holds a consistent copy; `wsusctl restore %s` brings it back", c->pos[0], c->pos[0]);
	return rc;
}

static bool exists(struct ctl *c, const char *dir, const char *name)
{
	struct stat st;
	struct slice path = arena_printf(&c->arena, "%s/%s", dir, name);
	return path.p && stat(path.p, &st) == 0;
}

/* Opens the copy itself, so that a damaged one is refused before anything is touched; the new generation is
 * written into what was restored: clients renumber, old cookies get ServerChanged. */
static int run_restore(struct ctl *c)
{
	const char *from = c->pos[0];
	if (exists(c, c->store_dir, "catalog") || exists(c, c->store_dir, "fleet"))
		return err_set(&c->err, E_REFUSED,
			"%s: there is a store; stop the services, move its catalog/ and fleet/ away, then restore", c->store_dir);
	if (mkdir(c->store_dir, 0755) != 0 && errno != EEXIST)
		return err_errno(&c->err, "%s", c->store_dir);
	struct store *copy;
	int rc = store_open(&copy, from, STORE_ADMIN, &c->err);
	if (rc != E_OK)
		return err_at(&c->err, "%s: ", from);
	rc = store_copy(copy, c->store_dir, &c->err);
	store_close(&copy);
	if (rc == E_OK)
		rc = store_open(&c->store, c->store_dir, STORE_ADMIN, &c->err);
	if (rc == E_OK)
		rc = txn_begin(c->store, TXN_CATALOG, &c->txn, &c->err);
	if (rc == E_OK)
		rc = run_adopt(c);
	if (rc == E_OK)
		rc = publish(c->txn, c->now, &c->published, &c->err);
	if (rc == E_OK)
		rc = txn_commit(&c->txn, &c->err);
	if (rc == E_OK)
		ctl_say(c, "%s: restored as a new generation; start the services, clients renumber by themselves", c->store_dir);
	return rc;
}

/* ---- the record of changes ---- */

static const struct column history_columns[] = {
	{"time", "WHEN", CELL_TIME, false},
	{"admin", "WHO", CELL_TEXT, false},
	{"what", "WHAT", CELL_TEXT, true},
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

const struct command store_commands[] = {
	{"store", "create", "[DIR]", "make an empty store", 0, 1, NEED_PLACE, NULL, run_create, NULL, NULL},
	{"store", "key", "FILE", "make the master secret that seals cookies", 1, 1, NEED_NOTHING, NULL, run_key, NULL,
		NULL},
	{"store", "stat", "", "sizes and counts", 0, 0, NEED_READ, NULL, run_stat, NULL, NULL},
	{"store", "audit", "", "check the store's consistency; exit status 1 if it contradicts itself", 0, 0, NEED_READ,
		NULL, run_audit, NULL, NULL},
	{"store", "tick", "", "let what is due take effect: go-live times, files that came; for cron", 0, 0, NEED_WRITE,
		NULL, run_tick, report_tick, NULL},
	{"store", "adopt", "", "start a new generation after moving a store to another machine", 0, 0, NEED_WRITE, NULL,
		run_adopt, report_tick, "Every client renumbers its cache at its next scan."},
	{"store", "history", "", "the record of administrative changes", 0, 0, NEED_READ, NULL, run_history, NULL, NULL},
	{"backup", NULL, "DIR", "write a consistent copy of the store while it is in use", 1, 1, NEED_STORE, NULL,
		run_backup, NULL, "Content files are not part of it: they are verified by digest and can be added again."},
	{"restore", NULL, "DIR", "bring a backup back as a new generation", 1, 1, NEED_PLACE, NULL, run_restore, NULL,
		NULL},
	{0},
};
