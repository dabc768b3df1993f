/* cmd_computer.c -- computers and where they belong. */
#include <signal.h>
#include <time.h>

#include "common/text.h"
#include "common/wusp_info.h"
#include "ctl/computer_filter.h"
#include "ctl/report_data.h"

static const struct column columns[] = {
	{"name", "NAME", CELL_TEXT, FIT_CUT},           {"id", "ID", CELL_TEXT, FIT_WHOLE},
	{"groups", "GROUPS", CELL_TEXT, FIT_CUT},       {"os", "SYSTEM", CELL_TEXT, FIT_DROP},
	{"address", "ADDRESS", CELL_TEXT, FIT_DROP},    {"registered", "REGISTERED", CELL_BOOL, FIT_DROP},
	{"first_seen", "FIRST SEEN", CELL_TIME, FIT_DROP}, {"last_seen", "LAST SEEN", CELL_TIME, FIT_WHOLE},
	{"needed", "NEEDS", CELL_NUMBER, FIT_WHOLE},    {"failed", "FAILED", CELL_NUMBER, FIT_WHOLE},
	{"last_sync", "SCAN", CELL_TEXT, FIT_WHOLE},    {"last_report", "LAST REPORT", CELL_TIME, FIT_DROP},
	{"flags", "FLAGS", CELL_TEXT, FIT_WHOLE},
};

struct listing {
	struct ctl *c;
	struct computer_filter filter;
};

/* As column and field: absent before it told. */
static struct slice sync_word(const struct standing *s)
{
	static const struct slice words[] = {[SYNC_NEVER] = {NULL, 0}, [SYNC_SUCCEEDED] = {"succeeded", 9}, [SYNC_FAILED] = {"failed", 6}};
	return words[s->sync_result];
}

static int put_computer(struct listing *l, const struct listed_computer *k)
{
	struct ctl *c = l->c;
	const struct standing *s = &k->s;
	struct slice groups, flags = computer_flags(c->out.a, k);
	int rc = computer_group_names(c, &k->groups, &groups);
	if (rc != E_OK)
		return rc;
	out_text(&c->out, k->k.dns_name);
	out_text(&c->out, k->k.id);
	out_text(&c->out, groups);
	out_text(&c->out, k->os);
	out_text(&c->out, k->k.address.n ? k->k.address : SL0);
	out_number(&c->out, k->k.registered);
	out_number(&c->out, k->k.first_seen);
	out_number(&c->out, k->k.last_seen);
	out_counted(&c->out, s->status_at != 0, s->count[STATUS_NEEDED] + s->count[STATUS_DOWNLOADED]);
	out_counted(&c->out, s->status_at != 0, s->count[STATUS_FAILED]);
	out_text(&c->out, sync_word(s));
	out_number(&c->out, s->reported_at);
	out_text(&c->out, flags.n ? flags : SL0);
	return E_OK;
}

static int list_one(const struct listed_computer *k, void *arg)
{
	return put_computer(arg, k);
}

/* ---- computer list --watch: the list, then a line for each computer that comes, registers or is seen again ---- */

#define WATCH_SECONDS 1 /* services note contacts within 5 seconds; a look that finds nothing new reads no row */

struct known {
	struct slice id;
	tick_t last_seen;
	bool registered;
};

/* What a look at all computers found, in the order of their ids; two of them take turns. */
struct look {
	struct arena arena;
	struct known *v;
	size_t n, cap;
};

struct watch {
	struct listing l;
	struct look look[2], *now, *before;
	size_t at;    /* in `before`: the first that may have the next id */
	bool first;   /* nothing is new yet */
	uint64_t version;
	struct arena lines;
};

static const struct column watch_columns[] = {
	{"event", "", CELL_TEXT, FIT_WHOLE},
	{"name", "", CELL_TEXT, FIT_WHOLE},
	{"id", "", CELL_TEXT, FIT_WHOLE},
	{"groups", "", CELL_TEXT, FIT_WHOLE},
	{"os", "", CELL_TEXT, FIT_WHOLE},
	{"address", "", CELL_TEXT, FIT_WHOLE},
	{"registered", "", CELL_BOOL, FIT_WHOLE},
	{"first_seen", "", CELL_TIME, FIT_WHOLE},
	{"last_seen", "", CELL_TIME, FIT_WHOLE},
	{"needed", "", CELL_NUMBER, FIT_WHOLE},
	{"failed", "", CELL_NUMBER, FIT_WHOLE},
	{"last_sync", "", CELL_TEXT, FIT_WHOLE},
	{"last_report", "", CELL_TIME, FIT_WHOLE},
	{"flags", "", CELL_TEXT, FIT_WHOLE},
};

static const char *event_of(const struct known *was, const struct computer *k)
{
	if (!was)
		return "new";
	if (k->registered && !was->registered)
		return "registered";
	return k->last_seen != was->last_seen ? "seen" : NULL;
}

static const struct known *before(struct watch *w, struct slice id)
{
	const struct look *b = w->before;
	while (w->at < b->n && slice_cmp(b->v[w->at].id, id) < 0)
		w->at++;
	return w->at < b->n && slice_eq(b->v[w->at].id, id) ? &b->v[w->at] : NULL;
}

static int put_event(struct watch *w, const char *event, const struct computer *k)
{
	struct listed_computer l;
	int rc = computer_listed(w->l.c, &w->l.filter, k, &l);
	if (rc != E_OK || !computer_filter_passes(&w->l.filter, &l))
		return rc;
	out_str(&w->l.c->out, event);
	return put_computer(&w->l, &l);
}

static int watch_one(const struct computer *k, void *arg)
{
	struct watch *w = arg;
	struct ctl *c = w->l.c;
	struct look *now = w->now;
	struct known *v = ARENA_MORE(&now->arena, now->v, now->n, &now->cap);
	struct slice id = arena_copy(&now->arena, k->id);
	if (!v || !id.p)
		return err_set(&c->err, E_NOMEM, "out of memory");
	now->v = v;
	v[now->n++] = (struct known){id, k->last_seen, k->registered};
	const char *event = w->first ? "listed" : event_of(before(w, k->id), k);
	return event && (!w->first || c->json) ? put_event(w, event, k) : E_OK;
}

static int look_again(struct watch *w)
{
	struct ctl *c = w->l.c;
	struct look *now = w->before;
	w->before = w->now;
	w->now = now;
	w->at = 0;
	arena_reset(&now->arena);
	now->v = NULL;
	now->n = now->cap = 0;
	out_list_begin(&c->out, watch_columns, COUNTOF(watch_columns));
	int rc = computer_filter_again(c, &w->l.filter);
	if (rc == E_OK)
		rc = computer_each(c->txn, watch_one, w, &c->err);
	if (rc != E_OK)
		return rc;
	out_lines_end(&c->out);
	w->first = false;
	return out_flush(&c->out) ? E_OK : err_set(&c->err, E_IO, "standard output takes no more");
}

/* One look in a transaction of its own: who waits must not hold old pages. */
static int watch_once(struct watch *w)
{
	struct ctl *c = w->l.c;
	int rc = c->txn ? E_OK : txn_begin(c->store, TXN_READ, &c->txn, &c->err);
	if (rc == E_OK && (w->first || txn_fleet_version(c->txn) != w->version))
		rc = look_again(w);
	if (rc == E_OK)
		w->version = txn_fleet_version(c->txn);
	txn_end(&c->txn);
	arena_reset(&w->lines);
	return rc;
}

/* Until the terminal's or the supervisor's signal, which is no failure. */
static int watch_loop(struct watch *w)
{
	static const struct timespec pause = {.tv_sec = WATCH_SECONDS};
	sigset_t ends;
	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	int rc;
	do
		rc = watch_once(w);
	while (rc == E_OK && sigtimedwait(&ends, NULL, &pause) < 0);
	return rc;
}

#define WATCH_ARENA ((size_t)1 << 30)

static int run_watch(struct ctl *c, const struct computer_filter *f)
{
	struct watch w = {.l = {c, *f}, .first = true};
	struct arena *usual = c->out.a;
	for (unsigned i = 0; i < COUNTOF(w.look); i++)
		arena_init(&w.look[i].arena, WATCH_ARENA);
	arena_init(&w.lines, WATCH_ARENA);
	w.now = &w.look[0];
	w.before = &w.look[1];
	c->out.a = &w.lines;
	int rc = watch_loop(&w);
	c->out.a = usual;
	for (unsigned i = 0; i < COUNTOF(w.look); i++)
		arena_free(&w.look[i].arena);
	arena_free(&w.lines);
	return rc;
}

static int run_list(struct ctl *c)
{
	struct listing l = {.c = c};
	bool watch = ctl_option(c, "watch");
	int rc = computer_filter_read(c, &l.filter);
	if (rc != E_OK)
		return rc;
	if (watch && c->out.form == OUT_CSV)
		return err_set(&c->err, E_USAGE, "what goes on has no CSV; --watch --json has a line for each event");
	if (watch && c->json)
		return run_watch(c, &l.filter);
	out_list_begin(&c->out, columns, COUNTOF(columns));
	rc = computer_filter_each(c, &l.filter, list_one, &l);
	if (rc == E_OK)
		out_list_end(&c->out);
	return rc == E_OK && watch ? run_watch(c, &l.filter) : rc; /* in the same transaction: nobody is missed in between */
}

static int note_assignment(struct ctl *c, struct slice id)
{
	struct buf b;
	const char *name;
	buf_init(&b, 64 << 10);
	for (unsigned i = 0; (name = ctl_option_nth(c, "group", i)) != NULL; i++)
		buf_printf(&b, "%s\"%s\"", i ? ", " : "", name);
	buf_str(&b, b.n ? "" : "no group");
	int rc = b.rc == E_OK ? audit_note(c->txn, c->admin, "computer assign %.*s to %.*s", SLF(id), SLF(buf_bytes(&b)))
			      : err_set(&c->err, b.rc, "out of memory");
	buf_free(&b);
	return rc;
}

/* A computer may be given its groups before it comes: then by its id, which its registry tells (SusClientId). */
static int name_or_new_id(struct ctl *c, const char *name, struct slice *id)
{
	struct guid g;
	int rc = name_computer(c, name, id);
	if (rc != E_NOTFOUND || !text_guid(slice_of(name), &g))
		return rc;
	char text[GUID_TEXT + 1];
	guid_text(&g, text);
	*id = arena_copy(&c->arena, slice_of(text));
	return id->p ? E_OK : err_set(&c->err, E_NOMEM, "out of memory");
}

static int run_assign(struct ctl *c)
{
	uint32_t groups[LIMIT_CLIENT_GROUPS];
	struct settings s;
	struct slice id;
	unsigned n = 0;
	const char *name;
	int rc = settings_get(c->txn, &s, &c->err);
	if (rc == E_OK && s.targeting == TARGETING_CLIENT)
		return err_set(&c->err, E_REFUSED,
			"computers choose their groups themselves here; `wsusctl config set targeting server` changes that");
	if (rc == E_OK)
		rc = name_or_new_id(c, c->pos[0], &id);
	while (rc == E_OK && (name = ctl_option_nth(c, "group", n)) != NULL) {
		if (n == COUNTOF(groups))
			return err_set(&c->err, E_LIMIT, "a computer can be in at most %d groups", LIMIT_CLIENT_GROUPS);
		rc = name_group(c, name, &groups[n++]);
	}
	if (rc == E_OK)
		rc = assign_set(c->txn, id, groups, n, &c->err);
	return rc == E_OK ? note_assignment(c, id) : rc;
}

static int run_delete(struct ctl *c)
{
	struct slice id = SL0;
	int rc = txn_begin(c->store, TXN_FLEET, &c->txn, &c->err);
	if (rc == E_OK)
		rc = name_computer(c, c->pos[0], &id);
	if (rc == E_OK)
		rc = computer_delete(c->txn, id, &c->err);
	if (rc == E_OK)
		rc = txn_commit(&c->txn, &c->err);
	txn_end(&c->txn);
	return rc == E_OK ? ctl_note(c, "computer delete %.*s", SLF(id)) : rc;
}

/* ---- computer show ---- */

static void show_counts(struct ctl *c, const struct standing *s)
{
	static const struct {
		enum update_status status;
		const char *key, *title;
	} rows[] = {
		{STATUS_NEEDED, "needed", "Needed"}, {STATUS_DOWNLOADED, "downloaded", "Downloaded"}, {STATUS_FAILED, "failed", "Failed"},
		{STATUS_PENDING_REBOOT, "pending_reboot", "Waiting for restart"}, {STATUS_INSTALLED, "installed", "Installed"},
	};
	for (unsigned i = 0; i < COUNTOF(rows) && s->status_at; i++)
		out_field_number(&c->out, rows[i].key, rows[i].title, CELL_NUMBER, s->count[rows[i].status]);
}

/* Of the order of a minute is what a network and a clock that is set once a day make. */
static void show_skew(struct ctl *c, tick_t skew)
{
	char span[SPAN_TEXT + 1];
	tick_t by = skew < 0 ? -skew : skew;
	if (by <= 60 * TICKS_PER_SECOND)
		return;
	span_text(by, span);
	out_field_text(&c->out, "clock", "Clock", arena_printf(&c->arena, "%s %s", span, skew < 0 ? "slow" : "fast"));
}

static void show_standing(struct ctl *c, const struct standing *s)
{
	struct out *o = &c->out;
	out_field_text(o, "last_sync", "Last scan", sync_word(s));
	if (s->sync_result != SYNC_NEVER)
		out_field_number(o, "last_sync_at", "Scanned at", CELL_TIME, s->sync_at);
	if (s->sync_result == SYNC_FAILED) {
		out_field_text(o, "last_sync_error", "Scan failed with", error_text(&c->arena, s->sync_hresult));
		out_field_number(o, "last_good_sync", "Last good scan", CELL_TIME, s->sync_good_at);
	}
	out_field_number(o, "last_report", "Last report", CELL_TIME, s->reported_at);
	out_field_number(o, "status_at", "Status as of", CELL_TIME, s->status_at);
	show_counts(c, s);
	if (s->rebooted_at)
		out_field_number(o, "last_restart", "Last restart", CELL_TIME, s->rebooted_at);
	if (s->reboot_since)
		out_field_number(o, "restart_since", "Waits for restart since", CELL_TIME, s->reboot_since);
	out_field_number(o, "inventory_at", "Inventory", CELL_TIME, s->inventory_at);
	out_field_number(o, "detected_at", "Effective detection", CELL_TIME, s->effective_at);
	show_skew(c, s->skew);
}

static void show_machine(struct ctl *c, const struct standing *s)
{
	const struct {
		const char *key, *title;
		struct slice text;
	} texts[] = {
		{"brand", "Brand", s->machine.brand}, {"model", "Model", s->machine.model}, {"bios", "BIOS", s->machine.bios},
		{"bios_name", "BIOS name", s->bios_name}, {"bios_date", "BIOS date", s->bios_date},
		{"architecture", "Processor", s->machine.architecture}, {"agent", "Update agent", s->client_version},
	};
	for (unsigned i = 0; i < COUNTOF(texts); i++)
		if (texts[i].text.n)
			out_field_text(&c->out, texts[i].key, texts[i].title, texts[i].text);
}

/* Two computers with one id take each other's updates away: the remedy stands with it. */
static void show_flags(struct ctl *c, const struct listed_computer *l)
{
	static const char *const means[] = {
		[IDENTITY_RENAMED] = "it has another name than before; should that change back, two computers have this id",
		[IDENTITY_CLONED] = "two computers have this id: delete the value SusClientId (and SusClientIdValidation) in the registry of one and "
			"restart its wuauserv; it then gets an id of its own",
	};
	struct slice flags = computer_flags(&c->arena, l);
	if (flags.n == 0)
		return;
	out_field_text(&c->out, "flags", "Flags", flags);
	if (l->flag != IDENTITY_PLAIN)
		out_field_text(&c->out, "flags_mean", "Which means", slice_of(means[l->flag]));
	if (l->duplicate)
		out_field_text(&c->out, "duplicate_means", "Same name", SL("another id has this full name, too: usually what is left of it from "
			"before it was installed anew; `wsusctl computer delete` the one that is seen no more"));
}

static void show_fields(struct ctl *c, const struct listed_computer *l, struct slice groups)
{
	const struct computer *k = &l->k;
	const struct {
		const char *key, *title;
		struct slice text;
	} texts[] = {
		{"name", "Name", k->dns_name},
		{"id", "Id", k->id},
		{"groups", "Groups", groups},
		{"os", "System", l->os},
		{"asked_for", "Asks for", k->requested_groups.n ? k->requested_groups : SL0},
		{"address", "Address", k->address.n ? k->address : SL0},
	};
	for (unsigned i = 0; i < COUNTOF(texts); i++) {
		out_field(&c->out, texts[i].key, texts[i].title, CELL_TEXT);
		out_text(&c->out, texts[i].text);
	}
	out_field(&c->out, "protocol", "Protocol", CELL_TEXT);
	out_text(&c->out, k->major ? arena_printf(&c->arena, "%u.%u", k->major, k->minor) : SL0);
	out_field_number(&c->out, "first_seen", "First seen", CELL_TIME, k->first_seen);
	out_field_number(&c->out, "last_seen", "Last seen", CELL_TIME, k->last_seen);
	out_field_number(&c->out, "registered", "Registered", CELL_BOOL, k->registered);
	show_flags(c, l);
	show_standing(c, &l->s);
	show_machine(c, &l->s);
}

static const struct column face_columns[] = {
	{"name", "NAME", CELL_TEXT, FIT_WHOLE},      {"address", "ADDRESS", CELL_TEXT, FIT_WHOLE},
	{"first", "FIRST", CELL_TIME, FIT_WHOLE},    {"last", "LAST CHANGE", CELL_TIME, FIT_WHOLE},
	{"returns", "CAME BACK", CELL_NUMBER, FIT_WHOLE}, {"bios", "MACHINE", CELL_TEXT, FIT_CUT},
};

/* Names and machines under which the id came; nothing if it was always the same. */
static void show_faces(struct ctl *c, struct slice id)
{
	struct faces v;
	if (faces_get(c->txn, id, &v) != E_OK)
		return;
	out_sub_begin(&c->out, "faces", "Came as", face_columns, COUNTOF(face_columns));
	for (unsigned i = 0; i < v.n; i++) {
		out_text(&c->out, v.v[i].name);
		out_text(&c->out, v.v[i].address.n ? v.v[i].address : SL0);
		out_number(&c->out, v.v[i].first);
		out_number(&c->out, v.v[i].last);
		out_number(&c->out, v.v[i].returns);
		out_text(&c->out, v.v[i].bios.n ? v.v[i].bios : SL0);
	}
	out_sub_end(&c->out);
}

static const struct column device_columns[] = {
	{"device", "DEVICE", CELL_NUMBER, FIT_WHOLE},
	{"kind", "KIND", CELL_TEXT, FIT_WHOLE},
	{"id", "ID", CELL_TEXT, FIT_WHOLE},
};

static void put_device(struct ctl *c, size_t no, const struct device *d)
{
	for (size_t i = 0; i < d->n; i++) {
		out_number(&c->out, (int64_t)no);
		out_str(&c->out, i < d->compatible_from ? "hardware" : "compatible");
		out_text(&c->out, d->id[i]);
	}
}

static int show_devices(struct ctl *c, struct slice id)
{
	struct devices d;
	int rc = devices_get(c->txn, id, &d, &c->err);
	if (rc != E_OK && rc != E_NOTFOUND)
		return rc;
	out_field_number(&c->out, "devices", "Devices", CELL_NUMBER, (int64_t)d.n);
	out_field_number(&c->out, "devices_at", "Devices changed", CELL_TIME, d.at);
	if (!ctl_option(c, "devices"))
		return E_OK;
	out_sub_begin(&c->out, "hardware_ids", "Hardware ids", device_columns, COUNTOF(device_columns));
	for (size_t i = 0; i < d.n; i++)
		put_device(c, i + 1, &d.v[i]);
	out_sub_end(&c->out);
	return E_OK;
}

static const struct column info_columns[] = {
	{"field", "TOLD US", CELL_TEXT, FIT_WHOLE},
	{"value", "", CELL_TEXT, FIT_CUT},
};

static struct slice info_value(struct ctl *c, enum wkind kind, const void *at)
{
	char text[TIME_TEXT + 1];
	if (kind == W_STR)
		return *(const struct slice *)at;
	if (kind != W_TIME)
		return arena_printf(&c->arena, "%d", *(const int32_t *)at);
	time_text(*(const tick_t *)at, text);
	return arena_copy(&c->arena, slice_of(text));
}

int computer_registration(struct ctl *c, struct slice packed)
{
	struct ComputerInfo info = {0};
	int rc = packed.n ? computer_info_unpack(packed, &info) : E_OK;
	if (rc != E_OK)
		return err_set(&c->err, (enum errcode)rc, "its registration cannot be read; run `wsusctl store audit`");
	out_sub_begin(&c->out, "registration", "Registration", info_columns, COUNTOF(info_columns));
	for (unsigned i = 0; i < ComputerInfo_wire.n; i++) {
		const struct wfield *f = &ComputerInfo_wire.field[i];
		if (!(info.has >> i & 1))
			continue;
		out_text(&c->out, f->name);
		out_text(&c->out, info_value(c, f->kind, (const char *)&info + f->offset));
	}
	out_sub_end(&c->out);
	return E_OK;
}

static int show(struct ctl *c)
{
	struct computer_filter f;
	struct listed_computer l;
	struct computer k;
	struct slice id, groups;
	int rc = name_computer(c, c->pos[0], &id);
	if (rc == E_OK)
		rc = computer_get(c->txn, id, &k);
	if (rc == E_OK)
		rc = computer_filter_read(c, &f);
	if (rc == E_OK)
		rc = computer_listed(c, &f, &k, &l);
	if (rc == E_OK)
		rc = computer_group_names(c, &l.groups, &groups);
	if (rc != E_OK)
		return rc;
	out_object_begin(&c->out);
	show_fields(c, &l, groups);
	rc = show_devices(c, id);
	show_faces(c, id);
	if (rc == E_OK)
		rc = computer_registration(c, k.info);
	out_object_end(&c->out);
	return rc;
}

static int report_assign(struct ctl *c)
{
	struct slice id;
	struct computer k;
	int rc = name_or_new_id(c, c->pos[0], &id);
	if (rc == E_OK && computer_get(c->txn, id, &k) == E_NOTFOUND) {
		ctl_say(c, "%.*s: assigned; it has not contacted this server yet", SLF(id));
		return E_OK;
	}
	return rc == E_OK ? show(c) : rc;
}

static const struct option_row list_options[] = {
	{"watch", NULL, "go on with a line for each computer that comes, registers or is seen again, until interrupted"},
	COMPUTER_FILTER_OPTIONS,
	OPTION_CSV,
	{0},
};

static const struct option_row show_options[] = {
	{"devices", NULL, "the hardware ids of its devices, too"},
	{0},
};

static const struct option_row assign_options[] = {
	{"group", "NAME", "a group it shall be in; may be repeated; none: Unassigned Computers"},
	{0},
};

const struct command computer_commands[] = {
	{"computer", "list", "", "list the computers that have contacted this server", 0, 0, NEED_READ, list_options,
		run_list, NULL, NULL},
	{"computer", "show", "COMPUTER", "show what is known of a computer (by name or id)", 1, 1, NEED_READ, show_options,
		show, NULL, NULL},
	{"computer", "assign", "COMPUTER", "put a computer into exactly these groups", 1, 1, NEED_WRITE, assign_options,
		run_assign, report_assign,
		"Holds from its next call on.  A computer that has not come yet is named by its id."},
	{"computer", "delete", "COMPUTER", "forget a computer; it comes back if it contacts us again", 1, 1, NEED_STORE,
		NULL, run_delete, NULL, NULL},
	{0},
};
