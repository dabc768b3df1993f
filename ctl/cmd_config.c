/* cmd_config.c -- the server's settings, by their table. */
#include "common/text.h"
#include "ctl/cmd.h"

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

const struct command config_commands[] = {
	{"config", "show", "", "show every setting with its default and what it is for", 0, 0, NEED_READ, NULL, run_show,
		NULL, NULL},
	{"config", "get", "NAME", "print one setting", 1, 1, NEED_READ, NULL, run_get, NULL, NULL},
	{"config", "set", "NAME VALUE", "change one setting; it takes effect at the next request", 2, 2, NEED_WRITE, NULL,
		run_set, run_get, NULL},
	{0},
};
