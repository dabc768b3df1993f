/* cmd_config.c -- the settings by their tables: those in the store, and the configuration file. */
#include <stdlib.h>

#include "common/text.h"
#include "ctl/cmd.h"
#include "ctl/known.h"

static const struct column columns[] = {
	{"name", "SETTING", CELL_TEXT, FIT_WHOLE},
	{"value", "VALUE", CELL_TEXT, FIT_CUT},
	{"default", "DEFAULT", CELL_TEXT, FIT_CUT},
	{"values", "ALLOWED", CELL_TEXT, FIT_CUT},
	{"unit", "UNIT", CELL_TEXT, FIT_WHOLE},
	{"why", "WHAT FOR", CELL_TEXT, FIT_BELOW},
};

static int run_show(struct ctl *c)
{
	out_list_begin(&c->out, columns, COUNTOF(columns));
	for (const struct setting_info *s = setting_table(); s->name; s++) {
		struct slice value;
		int rc = setting_get(c->txn, slice_of(s->name), &value, &c->err);
		if (rc != E_OK)
			return rc;
		const char *texts[] = {s->dflt, s->values, s->unit, s->why};
		out_str(&c->out, s->name);
		out_text(&c->out, value);
		for (unsigned i = 0; i < COUNTOF(texts); i++)
			out_str(&c->out, texts[i]);
	}
	out_list_end(&c->out);
	return E_OK;
}

static int run_get(struct ctl *c)
{
	struct slice value;
	int rc = setting_get(c->txn, slice_of(c->pos[0]), &value, &c->err);
	if (rc == E_NOTFOUND)
		return err_set(&c->err, rc, "no setting \"%s\"; `wsusctl config show` lists them", c->pos[0]);
	if (rc != E_OK)
		return rc;
	if (c->json)
		json_string_add(&c->out.b, value);
	else
		buf_slice(&c->out.b, value);
	buf_char(&c->out.b, '\n');
	return E_OK;
}

static int run_set(struct ctl *c)
{
	int rc = setting_set(c->txn, slice_of(c->pos[0]), slice_of(c->pos[1]), &c->err);
	if (rc == E_NOTFOUND)
		return err_set(&c->err, rc, "no setting \"%s\"; `wsusctl config show` lists them", c->pos[0]);
	return rc == E_OK ? audit_note(c->txn, c->admin, "config set %s = \"%s\"", c->pos[0], c->pos[1]) : rc;
}

/* ---- config check: the configuration file, every finding with its line ---- */

static const struct column finding_columns[] = {
	{"file", "FILE", CELL_TEXT, FIT_WHOLE},
	{"line", "LINE", CELL_NUMBER, FIT_WHOLE},
	{"setting", "SETTING", CELL_TEXT, FIT_WHOLE},
	{"finding", "FINDING", CELL_TEXT, FIT_WHOLE},
};

static const char *conf_place(void)
{
	const char *file = getenv("WSUS_CONF");
	return file && file[0] ? file : CONF_FILE;
}

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
static bool ports_collide(const struct conf *f, struct conf_line *l)
{
	static const char *const names[] = {"http.port", "https.port"};
	int32_t port[2];
	for (unsigned i = 0; i < 2; i++) {
		struct slice v;
		struct err e;
		unsigned at;
		if (conf_get(f, names[i], &v, &at, &e) != E_OK || !text_i32(v, &port[i]))
			return false;
		if (at >= l->no)
			*l = (struct conf_line){.no = at, .name = slice_of(names[i])};
	}
	return port[0] == port[1];
}

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
	if (ports_collide(f, &both))
		found(c, f, &both, "http.port and https.port are the same; change one of them");
	return n;
}

static int run_check(struct ctl *c)
{
	struct conf f;
	int rc = conf_load(&f, c->npos ? c->pos[0] : conf_place(), &c->arena, &c->err);
	if (rc != E_OK)
		return rc;
	out_list_begin(&c->out, finding_columns, COUNTOF(finding_columns));
	unsigned n = judge_all(c, &f, finding);
	if (c->json)
		out_list_end(&c->out);
	else if (!c->failed)
		ctl_say(c, "%s: %u setting%s, all understood", f.file, n, n == 1 ? "" : "s");
	return E_OK;
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
	{"config", "get", "NAME", "print one setting", 1, 1, NEED_READ, NULL, run_get, NULL, NULL},
	{"config", "set", "NAME VALUE", "change one setting; it takes effect at the next request", 2, 2, NEED_WRITE, NULL,
		run_set, run_get, NULL},
	{"config", "check", "[FILE]", "judge the configuration file: every finding with file, line and remedy", 0, 1,
		NEED_NOTHING, NULL, run_check, NULL, "Without FILE that of $WSUS_CONF, else /etc/wsus-fcgi/wsus.conf."},
	{"config", "template", "", "print a configuration file with every setting at its default", 0, 0, NEED_NOTHING, NULL,
		run_template, NULL, NULL},
	{0},
};
