/* cmd_config.c -- the settings by their tables: those in the store, and the configuration file. */
#include "common/text.h"
#include "ctl/cmd.h"
#include "ctl/known.h"
#include "ctl/place.h"

static const struct column columns[] = {
	{"name", "SETTING", CELL_TEXT, FIT_WHOLE},
	{"value", "VALUE", CELL_TEXT, FIT_CUT},
	{"default", "DEFAULT", CELL_TEXT, FIT_CUT},
	{"values", "ALLOWED", CELL_TEXT, FIT_CUT},
	{"unit", "UNIT", CELL_TEXT, FIT_WHOLE},
	{"set_in", "SET IN", CELL_TEXT, FIT_DROP},
	{"why", "WHAT FOR", CELL_TEXT, FIT_BELOW},
};

/* FILE:LINE of the configuration file that is for this store; absent if it does not set the name. */
static struct slice set_in(struct ctl *c, struct slice name)
{
	struct conf_line l;
	if (!conf_find(&c->conf, name, &l))
		return SL0;
	return arena_printf(&c->arena, "%s:%u", c->conf.file, l.no);
}

static int run_show(struct ctl *c)
{
	out_list_begin(&c->out, columns, COUNTOF(columns));
	for (const struct setting_info *s = setting_table(); s->name; s++) {
		struct slice value;
		int rc = setting_get(c->txn, slice_of(s->name), &value, &c->err);
		if (rc != E_OK)
			return rc;
		const char *texts[] = {s->dflt, s->values, s->unit};
		out_str(&c->out, s->name);
		out_text(&c->out, value);
		for (unsigned i = 0; i < COUNTOF(texts); i++)
			out_str(&c->out, texts[i]);
		out_text(&c->out, set_in(c, slice_of(s->name)));
		out_str(&c->out, s->why);
	}
	out_list_end(&c->out);
	return E_OK;
}

/* A server's setting needs no store. */
static int get_server(struct ctl *c, struct slice *out)
{
	struct conf f;
	int rc = place_conf(c, &f);
	return rc == E_OK ? conf_get(&f, c->pos[0], out, NULL, &c->err) : rc;
}

static int get_store(struct ctl *c, struct slice *out)
{
	int rc = E_OK;
	if (!c->store) {
		rc = places_find(c);
		if (rc == E_OK)
			rc = ctl_open_store(c);
		if (rc == E_OK)
			rc = txn_begin(c->store, TXN_READ, &c->txn, &c->err);
	}
	return rc == E_OK ? setting_get(c->txn, slice_of(c->pos[0]), out, &c->err) : rc;
}

static int unknown_setting(struct ctl *c)
{
	return err_set(&c->err, E_NOTFOUND,
		"no setting \"%s\"; `wsusctl config show` lists them, `wsusctl config template` those of the file, too", c->pos[0]);
}

static int run_get(struct ctl *c)
{
	struct slice value;
	struct known k;
	if (!known_find(slice_of(c->pos[0]), &k))
		return unknown_setting(c);
	int rc = k.in_store ? get_store(c, &value) : get_server(c, &value);
	if (rc != E_OK)
		return rc;
	if (c->json)
		json_string_add(&c->out.b, value);
	else
		buf_slice(&c->out.b, value);
	buf_char(&c->out.b, '\n');
	return E_OK;
}

/* What the configuration file says is changed there: else the next `config apply` would take it back. */
static int run_set(struct ctl *c)
{
	struct known k;
	if (!known_find(slice_of(c->pos[0]), &k))
		return unknown_setting(c);
	if (!k.in_store)
		return err_set(&c->err, E_REFUSED, "%s is a setting of the configuration file; write it there: %s", c->pos[0],
			c->conf.file);
	struct slice place = set_in(c, slice_of(c->pos[0]));
	if (place.p)
		return err_set(&c->err, E_REFUSED, "%s is set in %s; change it there, then `wsusctl config apply`", c->pos[0],
			place.p);
	int rc = setting_set(c->txn, slice_of(c->pos[0]), slice_of(c->pos[1]), &c->err);
	return rc == E_OK ? audit_note(c->txn, c->admin, "config set %s = \"%s\"", c->pos[0], c->pos[1]) : rc;
}

/* ---- config check: the configuration file, every finding with its line ---- */

static const struct column finding_columns[] = {
	{"file", "FILE", CELL_TEXT, FIT_WHOLE},
	{"line", "LINE", CELL_NUMBER, FIT_WHOLE},
	{"setting", "SETTING", CELL_TEXT, FIT_WHOLE},
	{"finding", "FINDING", CELL_TEXT, FIT_WHOLE},
};

static void finding(struct ctl *c, const struct conf *f, const struct conf_line *l, const char *what)
{
	c->failed = true;
	if (!c->json) {
		ctl_say(c, "%s:%u: %s", f->file, l->no, what);
		return;
	}
	out_str(&c->out, f->file);
	out_number(&c->out, l->no);
	out_text(&c->out, l->wrong ? SL0 : l->name);
	out_str(&c->out, what);
}

/* What to do about a value that is not allowed. */
static const char *remedy(struct slice v)
{
	if (v.n && (v.p[0] == '"' || v.p[0] == '\''))
		return "values stand without quotes";
	if (v.n && memchr(v.p, '#', v.n))
		return "a comment has a line of its own";
	return "correct it, or put # before the line for the default";
}

/* What is wrong with a line, in words with the remedy; absent if nothing is. */
static struct slice judge(struct ctl *c, const struct conf *f, const struct conf_line *l)
{
	struct known k;
	struct conf_line first;
	struct err e;
	if (l->wrong)
		return slice_of(l->wrong);
	if (!known_find(l->name, &k)) {
		const char *near = known_near(l->name);
		return arena_printf(&c->arena, "there is no setting \"%.*s\"; %s%s%s", (int)MIN(l->name.n, 64u), l->name.p,
			near ? "perhaps " : "`wsusctl config template` shows them all", near ? near : "", near ? " is meant" : "");
	}
	if (conf_find(f, l->name, &first) && first.no != l->no)
		return arena_printf(&c->arena, "%s is set in line %u already; keep one of the two", k.info.name, first.no);
	if (known_check(&k, l->value, &e) != E_OK)
		return arena_printf(&c->arena, "%s; %s", e.text, remedy(l->value));
	return SL0;
}

/* Two servers cannot have one port. */
static bool ports_collide(const struct conf *f, const char *const names[2], struct conf_line *l)
{
	struct conf_line at[2] = {{0}};
	int32_t port[2];
	for (unsigned i = 0; i < 2; i++) {
		struct slice v;
		struct err e;
		at[i].name = slice_of(names[i]);
		if (conf_get(f, names[i], &v, &at[i].no, &e) != E_OK || !text_i32(v, &port[i]))
			return false;
	}
	*l = at[at[1].no >= at[0].no];
	return port[0] == port[1];
}

static const char *const port_pairs[][2] = {{"http.port", "https.port"}, {"http.port", "downstream.port"}, {"https.port", "downstream.port"}};

/* Every finding of a file, to `found`; returns how many lines are settings. */
static unsigned judge_all(struct ctl *c, const struct conf *f,
	void (*found)(struct ctl *, const struct conf *, const struct conf_line *, const char *))
{
	struct conf_line both = {0};
	unsigned n = 0;
	for (struct conf_line l = {0}; conf_next(f, &l); n++) {
		struct slice what = judge(c, f, &l);
		if (what.p)
			found(c, f, &l, what.p);
	}
	for (unsigned i = 0; i < COUNTOF(port_pairs); i++)
		if (ports_collide(f, port_pairs[i], &both)) {
			struct slice what = arena_printf(&c->arena, "%s and %s are the same; change one of them", port_pairs[i][0], port_pairs[i][1]);
			found(c, f, &both, what.p ? what.p : "two ports are the same");
		}
	return n;
}

static int run_check(struct ctl *c)
{
	struct conf f;
	int rc = c->npos ? conf_load(&f, c->pos[0], &c->arena, &c->err) : place_conf(c, &f);
	if (rc != E_OK)
		return rc;
	if (!f.text.p)
		return err_set(&c->err, E_NOTFOUND, "%s: there is no such file", f.file);
	out_list_begin(&c->out, finding_columns, COUNTOF(finding_columns));
	unsigned n = judge_all(c, &f, finding);
	if (c->json)
		out_list_end(&c->out);
	else if (!c->failed)
		ctl_say(c, "%s: %u setting%s, all understood", f.file, n, n == 1 ? "" : "s");
	return E_OK;
}

/* ---- config apply: the lines for the store go there ---- */

static const struct column applied_columns[] = {
	{"name", "SETTING", CELL_TEXT, FIT_WHOLE},
	{"before", "WAS", CELL_TEXT, FIT_CUT},
	{"value", "IS", CELL_TEXT, FIT_CUT},
	{"set_in", "SET IN", CELL_TEXT, FIT_CUT},
};

static void complain(struct ctl *c, const struct conf *f, const struct conf_line *l, const char *what)
{
	ctl_complain(c, "%s:%u: %s", f->file, l->no, what);
}

/* The next line whose value the store does not hold; *rc says if that could be found out. */
static bool next_change(struct ctl *c, struct conf_line *l, int *rc)
{
	while (conf_next(&c->conf, l)) {
		struct known k;
		bool holds;
		if (!known_find(l->name, &k) || !k.in_store)
			continue;
		*rc = setting_holds(c->txn, l->name, l->value, &holds, &c->err);
		if (*rc != E_OK || !holds)
			return *rc == E_OK;
	}
	return false;
}

static int apply_line(struct ctl *c, const struct conf_line *l)
{
	struct slice before, value;
	int rc = setting_get(c->txn, l->name, &before, &c->err);
	if (rc != E_OK)
		return rc;
	before = arena_copy(&c->arena, before);
	rc = setting_set(c->txn, l->name, l->value, &c->err);
	if (rc == E_OK)
		rc = setting_get(c->txn, l->name, &value, &c->err);
	if (rc != E_OK)
		return rc;
	out_text(&c->out, l->name);
	out_text(&c->out, before);
	out_text(&c->out, value);
	out_text(&c->out, arena_printf(&c->arena, "%s:%u", c->conf.file, l->no));
	return audit_note(c->txn, c->admin, "config apply %.*s = \"%.*s\"", SLF(l->name), SLF(value));
}

static int apply_all(struct ctl *c)
{
	int rc = txn_begin(c->store, TXN_CATALOG, &c->txn, &c->err);
	struct conf_line l = {0};
	while (rc == E_OK && next_change(c, &l, &rc))
		rc = apply_line(c, &l);
	if (rc == E_OK)
		rc = publish(c->txn, c->now, &c->published, &c->err);
	return rc == E_OK ? txn_commit(&c->txn, &c->err) : rc;
}

/* Looked at with a reader first: services that start do not wait for an import that has nothing to do with them. */
static int changes_anything(struct ctl *c, bool *out)
{
	struct conf_line l = {0};
	int rc = txn_begin(c->store, TXN_READ, &c->txn, &c->err);
	*out = rc == E_OK && next_change(c, &l, &rc);
	txn_end(&c->txn);
	return rc;
}

/* Is there a file that may be applied here? */
static int check_conf(struct ctl *c)
{
	struct conf f;
	int rc = c->conf.text.p ? E_OK : place_conf(c, &f);
	if (rc == E_OK && !c->conf.text.p)
		return err_set(&c->err, E_REFUSED, "%s %s %s; name the file with WSUS_CONF", c->conf.file,
			f.text.p ? "is for another store than" : "does not exist: nothing is to be applied to", c->store_dir);
	if (rc == E_OK)
		judge_all(c, &c->conf, complain);
	if (c->failed)
		return err_set(&c->err, E_REFUSED, "%s has errors: nothing was applied", c->conf.file);
	return rc;
}

static int run_apply(struct ctl *c)
{
	bool any = false;
	int rc = check_conf(c);
	if (rc == E_OK)
		rc = changes_anything(c, &any);
	if (rc != E_OK)
		return rc;
	if (!any && !c->json) {
		ctl_say(c, "the store holds what %s says: nothing to change", c->conf.file);
		return E_OK;
	}
	out_list_begin(&c->out, applied_columns, COUNTOF(applied_columns));
	rc = any ? apply_all(c) : E_OK;
	if (rc == E_OK)
		out_list_end(&c->out);
	return rc;
}

/* ---- config values: for scripts ---- */

static const struct column value_columns[] = {
	{"name", "SETTING", CELL_TEXT, FIT_WHOLE},
	{"value", "VALUE", CELL_TEXT, FIT_WHOLE},
	{"set_in", "SET IN", CELL_TEXT, FIT_WHOLE},
};

static void put_value(struct ctl *c, const struct conf *f, const char *name, struct slice value, unsigned at)
{
	if (!c->json) {
		buf_printf(&c->out.b, "%s =%s%.*s\n", name, value.n ? " " : "", SLF(value));
		return;
	}
	out_str(&c->out, name);
	out_text(&c->out, value);
	out_text(&c->out, at ? arena_printf(&c->arena, "%s:%u", f->file, at) : SL0);
}

static int run_values(struct ctl *c)
{
	struct conf f;
	size_t before = c->out.b.n;
	int rc = place_conf(c, &f);
	if (c->json)
		out_list_begin(&c->out, value_columns, COUNTOF(value_columns));
	for (const struct conf_info *s = conf_table(); rc == E_OK && s->name; s++) {
		struct slice value;
		unsigned at;
		rc = conf_get(&f, s->name, &value, &at, &c->err);
		if (rc == E_OK)
			put_value(c, &f, s->name, value, at);
	}
	if (rc != E_OK)
		c->out.b.n = before; /* all or none */
	else if (c->json)
		out_list_end(&c->out);
	return rc;
}

/* ---- config template ---- */

static const struct column template_columns[] = {
	{"name", "SETTING", CELL_TEXT, FIT_WHOLE},
	{"default", "DEFAULT", CELL_TEXT, FIT_CUT},
	{"values", "ALLOWED", CELL_TEXT, FIT_CUT},
	{"unit", "UNIT", CELL_TEXT, FIT_WHOLE},
	{"why", "WHAT FOR", CELL_TEXT, FIT_BELOW},
	{"in_store", "IN THE STORE", CELL_BOOL, FIT_WHOLE},
};

static int run_template(struct ctl *c)
{
	struct known k;
	if (!c->json) {
		known_template(&c->out.b);
		return E_OK;
	}
	out_list_begin(&c->out, template_columns, COUNTOF(template_columns));
	for (unsigned i = 0; known_nth(i, &k); i++) {
		const char *texts[] = {k.info.name, k.info.dflt, k.info.values, k.info.unit, k.info.why};
		for (unsigned t = 0; t < COUNTOF(texts); t++)
			out_str(&c->out, texts[t]);
		out_number(&c->out, k.in_store);
	}
	out_list_end(&c->out);
	return E_OK;
}

const struct command config_commands[] = {
	{"config", "show", "", "show every setting with its default and what it is for", 0, 0, NEED_READ, NULL, run_show,
		NULL, NULL},
	{"config", "get", "NAME", "print one setting, of the store or of the configuration file", 1, 1, NEED_NOTHING, NULL, run_get, NULL, NULL},
	{"config", "set", "NAME VALUE", "change one setting; it takes effect at the next request", 2, 2, NEED_WRITE, NULL,
		run_set, run_get, NULL},
	{"config", "check", "[FILE]", "judge the configuration file: every finding with file, line and remedy", 0, 1,
		NEED_NOTHING, NULL, run_check, NULL, "Without FILE that of $WSUS_CONF, else /etc/wsus-fcgi/wsus.conf."},
	{"config", "apply", "", "carry the store's settings of the configuration file into the store", 0, 0, NEED_STORE, NULL,
		run_apply, NULL, "All or none: nothing of a file that `wsusctl config check` does not find good.  `wsus-setup` does this too, and "
		"puts the settings of the server in force."},
	{"config", "values", "", "print the server's settings as they are in force, NAME = VALUE", 0, 0, NEED_NOTHING, NULL, run_values,
		NULL, "Those of the configuration file that are not kept in the store, as `wsus-setup` puts them in force."},
	{"config", "template", "", "print a configuration file with every setting at its default", 0, 0, NEED_NOTHING, NULL,
		run_template, NULL, NULL},
	{0},
};
