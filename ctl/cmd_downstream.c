/* cmd_downstream.c -- servers below this one: which there are, and which may come. */
#include <stdlib.h>

#include "common/text.h"
#include "ctl/cmd.h"
#include "ctl/place.h"
#include "store/downstream.h"

/* ================= naming one ================= */

/* What somebody can type without thinking of a shell; a server may call itself anything. */
static bool is_plain(struct slice name)
{
	for (size_t i = 0; i < name.n; i++) {
		char c = text_lower(name.p[i]);
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_'))
			return false;
	}
	return name.n > 0 && name.p[0] != '-';
}

struct search {
	struct slice name;
	struct guid id;
	struct buf list; /* of all that fit, for people */
	unsigned n;
};

static int match(const struct downstream *d, void *arg)
{
	struct search *s = arg;
	struct slice rest = d->name, first = text_cut(&rest, '.');
	char id[GUID_TEXT + 1];
	if (!text_ieq(d->name, s->name) && !text_ieq(first, s->name))
		return 0;
	s->n++;
	s->id = d->id;
	guid_text(&d->id, id);
	buf_printf(&s->list, "  %s  ", id);
	text_safe_add(&s->list, d->name);
	buf_char(&s->list, '\n');
	return 0;
}

/* An id, which need not have come, or the full name or first label of one that did. */
static int name_downstream(struct ctl *c, const char *name, struct guid *out)
{
	struct search s = {.name = slice_of(name)};
	if (text_guid(s.name, out))
		return E_OK;
	buf_init(&s.list, 1 << 20);
	int rc = downstream_each(c->txn, match, &s, &c->err);
	rc = name_found(c, rc, s.n, &s.list, "downstream servers", name);
	if (rc == E_NOTFOUND)
		return err_set(&c->err, E_NOTFOUND, "no downstream server \"%s\" has come yet; `wsusctl downstream list` shows those that did, "
			"and one that did not is approved by its id, with --name", name);
	if (rc == E_OK)
		*out = s.id;
	return rc;
}

static struct slice id_slice(struct ctl *c, const struct guid *id)
{
	char text[GUID_TEXT + 1];
	guid_text(id, text);
	return arena_copy(&c->arena, slice_of(text));
}

/* All that match() would take for a server, in lower case, sorted: its name, and its first label if that is shorter. */
struct words {
	struct arena *a;
	struct slice *v;
	size_t n, cap;
};

static int add_word(struct words *w, struct slice s)
{
	char *lower = arena_alloc(w->a, s.n + 1, 1);
	struct slice *v = lower ? ARENA_MORE(w->a, w->v, w->n, &w->cap) : NULL;
	if (!v)
		return E_NOMEM;
	text_lower_to(lower, s);
	w->v = v;
	w->v[w->n++] = (struct slice){lower, s.n};
	return E_OK;
}

static int add_words(const struct downstream *d, void *arg)
{
	struct slice rest = d->name, first = text_cut(&rest, '.');
	int rc = add_word(arg, d->name);
	return rc == E_OK && first.n < d->name.n ? add_word(arg, first) : rc;
}

static int by_word(const void *x, const void *y)
{
	return slice_cmp(*(const struct slice *)x, *(const struct slice *)y);
}

static int gather_words(struct ctl *c, struct words *w)
{
	*w = (struct words){.a = &c->arena};
	int rc = downstream_each(c->txn, add_words, w, &c->err);
	if (rc == E_OK && w->n)
		qsort(w->v, w->n, sizeof(*w->v), by_word);
	return rc == E_NOMEM ? err_set(&c->err, E_NOMEM, "out of memory") : rc;
}

static bool is_alone(const struct words *w, struct slice name)
{
	char lower[LIMIT_SERVER_NAME];
	struct slice key = {lower, name.n};
	if (name.n > sizeof(lower) || w->n == 0)
		return false;
	text_lower_to(lower, name);
	const struct slice *v = bsearch(&key, w->v, w->n, sizeof(*w->v), by_word);
	return v && (v == w->v || !slice_eq(v[-1], key)) && (v == w->v + w->n - 1 || !slice_eq(v[1], key));
}

/* What people type to name it: its name if that is plain, no id (of another, perhaps), and leads to it alone. */
static struct slice handle(struct ctl *c, const struct words *w, const struct downstream *d)
{
	struct guid other;
	bool name = is_plain(d->name) && !text_guid(d->name, &other) && is_alone(w, d->name);
	return name ? arena_copy(&c->arena, d->name) : id_slice(c, &d->id);
}

/* ================= list ================= */

static const struct column columns[] = {
	{"name", "NAME", CELL_TEXT, FIT_CUT},
	{"state", "STATE", CELL_TEXT, FIT_WHOLE},
	{"last_seen", "LAST CONTACT", CELL_TIME, FIT_WHOLE},
	{"listed", "LAST LIST", CELL_TIME, FIT_DROP},
	{"mode", "MODE", CELL_TEXT, FIT_DROP},
	{"protocol", "VERSION", CELL_TEXT, FIT_DROP},
	{"address", "ADDRESS", CELL_TEXT, FIT_DROP},
	{"id", "ID", CELL_TEXT, FIT_DROP},
	{"do", "WHAT TO DO", CELL_TEXT, FIT_BELOW},
};

struct listing {
	struct ctl *c;
	struct settings settings;
	struct words words;
	unsigned n, pending;
};

static int listing_begin(struct listing *l, struct ctl *c)
{
	*l = (struct listing){.c = c};
	int rc = settings_get(c->txn, &l->settings, &c->err);
	return rc == E_OK ? gather_words(c, &l->words) : rc;
}

/* Nobody decided upon it, and it may come all the same. */
static bool is_open(const struct listing *l, const struct downstream *d)
{
	return d->state == DOWNSTREAM_PENDING && l->settings.downstream_admission == DOWNSTREAM_OPEN;
}

static const char *state_word(const struct listing *l, const struct downstream *d)
{
	return is_open(l, d) ? "open" : downstream_state_names[d->state];
}

/* A replica asks for deployments, an autonomous server never does. */
static struct slice mode_of(const struct downstream *d)
{
	return d->replicated ? SL("replica") : d->listed ? SL("autonomous") : SL0;
}

static struct slice protocol_of(struct ctl *c, const struct downstream *d)
{
	return d->major ? arena_printf(&c->arena, "%u.%u", (unsigned)d->major, (unsigned)d->minor) : SL0;
}

static struct slice what_to_do(const struct listing *l, const struct downstream *d)
{
	if (d->state != DOWNSTREAM_PENDING || is_open(l, d))
		return l->c->json ? SL0 : SL("");
	return arena_printf(&l->c->arena, "wsusctl downstream approve %.*s", SLF(handle(l->c, &l->words, d)));
}

static int count_one(const struct downstream *d, void *arg)
{
	struct listing *l = arg;
	l->n++;
	l->pending += d->state == DOWNSTREAM_PENDING && !is_open(l, d);
	return 0;
}

static int list_one(const struct downstream *d, void *arg)
{
	struct listing *l = arg;
	struct out *o = &l->c->out;
	out_text(o, d->name.n ? d->name : SL0);
	out_str(o, state_word(l, d));
	out_number(o, d->last_seen);
	out_number(o, d->listed);
	out_text(o, mode_of(d));
	out_text(o, protocol_of(l->c, d));
	out_text(o, d->address.n ? d->address : SL0);
	out_text(o, id_slice(l->c, &d->id));
	if (l->c->json || l->pending)
		out_text(o, what_to_do(l, d));
	return E_OK;
}

/* Host and port under which a downstream server reaches this one. */
static void say_how(struct ctl *c)
{
	struct err unused;
	struct slice host = SL0, port = SL0, own;
	const char *url;
	if (place_url(c, &url) == E_OK && text_starts(slice_of(url), SL("https://"))) {
		struct slice rest = slice_of(url + strlen("https://"));
		size_t at = rest.n;
		while (at > 0 && rest.p[at - 1] != ':' && rest.p[at - 1] != ']')
			at--;
		bool has_port = at > 0 && rest.p[at - 1] == ':';
		host = has_port ? (struct slice){rest.p, at - 1} : rest;
		port = has_port ? (struct slice){rest.p + at, rest.n - at} : SL("443");
	}
	c->err = (struct err){0};
	if (conf_get(&c->conf, "downstream.port", &own, NULL, &unused) == E_OK && own.n)
		port = own;
	ctl_say(c, "no downstream server has come yet.  One is set up with this server as its upstream: host %.*s, port %.*s, with TLS; in the "
		"console of a Windows WSUS that is Options, Update Source and Proxy Server, Synchronize from another Windows Server Update "
		"Services server, Use SSL.  It then appears here and waits for `wsusctl downstream approve`; MIGRATE.md tells the rest",
		SLF(host.p ? host : SL("this one's name")), SLF(port.p ? port : SL("8531")));
}

static int run_list(struct ctl *c)
{
	struct listing l;
	int rc = listing_begin(&l, c);
	if (rc == E_OK)
		rc = downstream_each(c->txn, count_one, &l, &c->err);
	if (rc != E_OK)
		return rc;
	if (l.n == 0 && !c->json) {
		say_how(c);
		return E_OK;
	}
	out_list_begin(&c->out, columns, COUNTOF(columns) - (c->json || l.pending ? 0 : 1));
	rc = downstream_each(c->txn, list_one, &l, &c->err);
	if (rc == E_OK)
		out_list_end(&c->out);
	return rc;
}

/* ================= show ================= */

struct tally {
	struct guid by;
	int64_t n;
};

static int tally_one(const struct wanted *w, void *arg)
{
	struct tally *t = arg;
	t->n += memcmp(&w->by, &t->by, sizeof(w->by)) == 0;
	return 0;
}

/* Files that it asked for first and that are not here. */
static int count_wanted(struct ctl *c, const struct guid *id, int64_t *out)
{
	struct tally t = {.by = *id};
	int rc = wanted_each(c->txn, tally_one, &t, &c->err);
	*out = t.n;
	return rc;
}

static void show_fields(const struct listing *l, const struct downstream *d, int64_t wanted)
{
	struct ctl *c = l->c;
	struct out *o = &c->out;
	out_object_begin(o);
	out_field_text(o, "name", "Name", d->name);
	out_field_text(o, "id", "Id", id_slice(c, &d->id));
	out_field_text(o, "state", "State", slice_of(state_word(l, d)));
	out_field_number(o, "decided", "Decided", CELL_TIME, d->decided);
	out_field_text(o, "by", "By", d->admin);
	out_field_text(o, "address", "Address", d->address);
	out_field_number(o, "first_seen", "First contact", CELL_TIME, d->first_seen);
	out_field_number(o, "last_seen", "Last contact", CELL_TIME, d->last_seen);
	out_field_text(o, "protocol", "Protocol version", protocol_of(c, d));
	out_field_number(o, "listed", "Last asked for updates", CELL_TIME, d->listed);
	out_field_number(o, "replicated", "Last asked for approvals", CELL_TIME, d->replicated);
	out_field_text(o, "mode", "Mode", mode_of(d));
	out_field_number(o, "wanted_files", "Files it waits for", CELL_NUMBER, wanted);
	if (what_to_do(l, d).n)
		out_field_text(o, "do", "What to do", what_to_do(l, d));
	out_object_end(o);
}

static int show_id(struct ctl *c, const struct guid *id)
{
	struct listing l;
	struct downstream d;
	int64_t wanted = 0;
	int rc = listing_begin(&l, c);
	if (rc == E_OK)
		rc = downstream_get(c->txn, id, &d, &c->err);
	if (rc == E_OK)
		rc = count_wanted(c, id, &wanted);
	if (rc == E_OK)
		show_fields(&l, &d, wanted);
	return rc;
}

static int run_show(struct ctl *c)
{
	struct guid id;
	int rc = name_downstream(c, c->pos[0], &id);
	return rc == E_OK ? show_id(c, &id) : rc;
}

/* ================= decisions ================= */

struct decided {
	struct guid id;
	enum downstream_state state;
};

/* One that never came has no name but what it is given. */
static int given_name(struct ctl *c, const struct guid *id, struct slice *out)
{
	const char *name = ctl_option(c, "name");
	struct downstream d;
	struct err unused;
	*out = name ? slice_of(name) : SL("");
	struct guid other;
	if (name && (!is_plain(*out) || out->n > LIMIT_SERVER_NAME || text_guid(*out, &other)))
		return err_set(&c->err, E_USAGE, "--name is the server's name, of letters, digits, dots and hyphens");
	int rc = downstream_get(c->txn, id, &d, &unused);
	if (rc == E_NOTFOUND && !name)
		return err_set(&c->err, E_NOTFOUND, "no downstream server %s has come yet; to decide before it comes give --name NAME, too",
			c->pos[0]);
	if (rc == E_OK && !name)
		*out = arena_copy(&c->arena, d.name);
	return out->p ? E_OK : err_set(&c->err, E_NOMEM, "out of memory");
}

static int decide(struct ctl *c, enum downstream_state state)
{
	struct decided *v = ARENA_NEW(&c->arena, struct decided);
	struct slice name;
	if (!v)
		return err_set(&c->err, E_NOMEM, "out of memory");
	v->state = state;
	c->state = v;
	int rc = name_downstream(c, c->pos[0], &v->id);
	if (rc == E_OK)
		rc = given_name(c, &v->id, &name);
	if (rc == E_OK)
		rc = downstream_decide(c->txn, &v->id, name, state, c->admin, &c->err);
	return rc == E_OK ? audit_note(c->txn, c->admin, "downstream %s %.*s \"%.*s\"",
			state == DOWNSTREAM_APPROVED ? "approve" : "block", SLF(id_slice(c, &v->id)), SLF(name)) : rc;
}

static int run_approve(struct ctl *c)
{
	return decide(c, DOWNSTREAM_APPROVED);
}

static int run_block(struct ctl *c)
{
	return decide(c, DOWNSTREAM_BLOCKED);
}

static int report_decision(struct ctl *c)
{
	const struct decided *v = c->state;
	struct downstream d;
	struct words words;
	struct err unused;
	if (c->json)
		return show_id(c, &v->id);
	int rc = gather_words(c, &words);
	if (rc != E_OK)
		return rc;
	if (downstream_get(c->txn, &v->id, &d, &unused) != E_OK)
		d = (struct downstream){.id = v->id, .name = SL("?"), .came = true};
	struct slice id = id_slice(c, &v->id);
	if (v->state == DOWNSTREAM_BLOCKED)
		ctl_say(c, "blocked: %.*s (%.*s); its next call is refused, and `wsusctl downstream approve %.*s` lets it come again", SLF(d.name),
			SLF(id), SLF(handle(c, &words, &d)));
	else
		ctl_say(c, "approved: %.*s (%.*s)%s", SLF(d.name), SLF(id), d.came ? "; it may synchronize from now on"
			: "; it has not come yet, and may synchronize when it does");
	return E_OK;
}

/* ---- delete ---- */

/* The decision first: whoever is deleted in part is admitted no more.
 * WSUSSS-ADM-12: the computers below it go in the same transaction as its row, once rollups bring them. */
static int forget(struct ctl *c, const struct guid *id)
{
	struct txn *t;
	int rc = txn_begin(c->store, TXN_CATALOG, &t, &c->err);
	if (rc == E_OK)
		rc = downstream_decide(t, id, SL(""), DOWNSTREAM_PENDING, c->admin, &c->err);
	if (rc == E_OK)
		rc = audit_note(t, c->admin, "downstream delete %.*s", SLF(id_slice(c, id)));
	if (rc == E_OK)
		rc = txn_commit(&t, &c->err);
	txn_end(&t);
	if (rc == E_OK)
		rc = txn_begin(c->store, TXN_FLEET, &t, &c->err);
	if (rc == E_OK)
		rc = downstream_forget(t, id, &c->err);
	if (rc == E_OK)
		rc = txn_commit(&t, &c->err);
	txn_end(&t);
	return rc == E_NOTFOUND ? E_OK : rc; /* it was decided upon and never came */
}

static int delete_one(struct ctl *c)
{
	struct downstream d;
	struct settings set;
	struct guid id;
	int rc = txn_begin(c->store, TXN_READ, &c->txn, &c->err);
	if (rc == E_OK)
		rc = name_downstream(c, c->pos[0], &id);
	if (rc == E_OK)
		rc = downstream_get(c->txn, &id, &d, &c->err);
	if (rc == E_OK)
		rc = settings_get(c->txn, &set, &c->err);
	struct slice name = rc == E_OK ? arena_copy(&c->arena, d.name) : SL("");
	txn_end(&c->txn);
	if (rc == E_OK)
		rc = forget(c, &id);
	if (rc == E_OK)
		ctl_say(c, "deleted: %.*s (%.*s); %s", SLF(name), SLF(id_slice(c, &id)), set.downstream_admission == DOWNSTREAM_OPEN
			? "it may come again, as downstream.admission is open" : "if it comes again, it waits for `wsusctl downstream approve`");
	return rc;
}

struct pending {
	struct ctl *c;
	struct guid *v;
	size_t n, cap;
};

static int note_pending(const struct downstream *d, void *arg)
{
	struct pending *p = arg;
	if (d->state != DOWNSTREAM_PENDING)
		return E_OK;
	struct guid *v = ARENA_MORE(&p->c->arena, p->v, p->n, &p->cap);
	if (!v)
		return err_set(&p->c->err, E_NOMEM, "out of memory");
	p->v = v;
	p->v[p->n++] = d->id;
	return E_OK;
}

static int delete_pending(struct ctl *c)
{
	struct pending p = {.c = c};
	int rc = txn_begin(c->store, TXN_FLEET, &c->txn, &c->err);
	if (rc == E_OK)
		rc = downstream_each(c->txn, note_pending, &p, &c->err);
	for (size_t i = 0; rc == E_OK && i < p.n; i++)
		rc = downstream_forget(c->txn, &p.v[i], &c->err);
	if (rc == E_OK)
		rc = txn_commit(&c->txn, &c->err);
	txn_end(&c->txn);
	if (rc == E_OK)
		rc = ctl_note(c, "downstream delete --pending: %zu", p.n);
	if (rc == E_OK)
		ctl_say(c, "deleted: %zu downstream server%s that nobody decided upon", p.n, p.n == 1 ? "" : "s");
	return rc;
}

static int run_delete(struct ctl *c)
{
	bool pending = ctl_option(c, "pending");
	if (pending == (c->npos == 1))
		return err_set(&c->err, E_USAGE, "give a downstream server, or --pending for all that nobody decided upon");
	return pending ? delete_pending(c) : delete_one(c);
}

static const struct option_row decide_options[] = {
	{"name", "NAME", "what it is called, for a server that has not come yet and is named by its id"},
	{0},
};
static const struct option_row delete_options[] = {
	{"pending", NULL, "all that wait and that nobody decided upon"},
	{0},
};

const struct command downstream_commands[] = {
	{"downstream", "list", "", "list the servers that synchronize from this one, or want to", 0, 0, NEED_READ, csv_options, run_list, NULL, NULL},
	{"downstream", "show", "SERVER", "show what is known of a downstream server (by name or id)", 1, 1, NEED_READ, NULL, run_show, NULL,
		NULL},
	{"downstream", "approve", "SERVER", "let a server synchronize from this one", 1, 1, NEED_WRITE, decide_options, run_approve,
		report_decision, "Holds from its next call on.  A server that has not come yet is named by its id, with --name."},
	{"downstream", "block", "SERVER", "refuse a server, even where downstream.admission is open", 1, 1, NEED_WRITE, decide_options,
		run_block, report_decision, "Holds from its next call on; `downstream approve` lets it come again."},
	{"downstream", "delete", "[SERVER]", "forget a downstream server and what was decided about it", 0, 1, NEED_STORE, delete_options,
		run_delete, NULL, "If it comes again, it waits to be approved."},
	{0},
};
