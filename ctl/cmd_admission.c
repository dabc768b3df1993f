/* cmd_admission.c -- who may come: the tokens, and nginx's part of the settings clients.*. */
#include "common/text.h"
#include "ctl/admission.h"
#include "ctl/place.h"

/* Beside the master secret. */
static int tokens_file(struct ctl *c, const char **out)
{
	const char *keys;
	int rc = place_dir(c, "keys", "keys", &keys);
	if (rc != E_OK)
		return rc;
	*out = arena_printf(&c->arena, "%s/" TOKENS_FILE, keys).p;
	return *out ? E_OK : err_set(&c->err, E_NOMEM, "out of memory");
}

int admission_tokens(struct ctl *c, struct tokens *out)
{
	const char *file;
	int rc = tokens_file(c, &file);
	return rc == E_OK ? tokens_load(file, out, &c->err) : rc;
}

/* ---- client token ---- */

static const struct column columns[] = {
	{"token", "TOKEN", CELL_TEXT, FIT_WHOLE},
	{"state", "STATE", CELL_TEXT, FIT_WHOLE},
	{"since", "SINCE", CELL_TIME, FIT_WHOLE},
};

static int list_tokens(struct ctl *c, const struct tokens *t)
{
	if (t->n == 0 && !c->json) {
		ctl_say(c, "there is no token; `wsusctl client token --new` makes one");
		return E_OK;
	}
	out_list_begin(&c->out, columns, COUNTOF(columns));
	for (unsigned i = 0; i < t->n; i++) {
		out_text(&c->out, arena_copy(&c->arena, slice_of(t->v[i].text)));
		out_str(&c->out, i ? "old" : "current");
		out_number(&c->out, t->v[i].since);
	}
	out_list_end(&c->out);
	return E_OK;
}

static int drop_old(struct ctl *c, struct tokens *t)
{
	if (t->n < 2)
		return err_set(&c->err, E_REFUSED, "there is no old token; `wsusctl client token` shows what there is");
	t->n = 1;
	return E_OK;
}

/* What is to be done now, for people: nginx reads tokens when it is told to. */
static void say_next(struct ctl *c, bool made, const struct tokens *t)
{
	struct err unused;
	enum admission how;
	if (made && t->n > 1)
		ctl_say(c, "the old one is good until `wsusctl client token --drop-old`; until then give computers the new one: "
			"`wsusctl client setup` has it");
	if (admission_of(&c->conf, &how, &unused) == E_OK && how == ADMIT_TOKEN)
		ctl_say(c, "now run wsus-setup, so that nginx knows");
	else
		ctl_say(c, "nobody is asked for it: set clients.admission = token in %s, then run wsus-setup", c->conf.file);
}

static int change_tokens(struct ctl *c, struct tokens *t, bool made)
{
	const char *file;
	int rc = tokens_file(c, &file);
	if (rc == E_OK)
		rc = made ? tokens_add(t, c->now, &c->err) : drop_old(c, t);
	if (rc == E_OK)
		rc = ctl_open_store(c);
	if (rc == E_OK)
		rc = tokens_save(file, t, &c->err);
	if (rc == E_OK)
		rc = ctl_note(c, made ? "client token --new" : "client token --drop-old");
	return rc;
}

static int run_token(struct ctl *c)
{
	bool made = ctl_option(c, "new"), dropped = ctl_option(c, "drop-old");
	struct tokens t;
	if (made && dropped)
		return err_set(&c->err, E_USAGE, "--new or --drop-old, not both: computers need time to learn the new one");
	int rc = admission_tokens(c, &t);
	if (rc == E_OK && (made || dropped))
		rc = change_tokens(c, &t, made);
	if (rc == E_OK)
		rc = list_tokens(c, &t);
	if (rc == E_OK && (made || dropped))
		say_next(c, made, &t);
	return rc;
}

static const struct option_row token_options[] = {
	{"new", NULL, "make a new token; the one before it stays good, older ones do not"},
	{"drop-old", NULL, "end the one before the newest"},
	{0},
};

/* ---- config nginx ---- */

static int run_nginx(struct ctl *c)
{
	struct tokens t = {0};
	struct conf named;
	enum admission how;
	bool http = strcmp(c->pos[0], "http") == 0;
	if (!http && strcmp(c->pos[0], "server") != 0)
		return err_set(&c->err, E_USAGE, "PART is http or server, not \"%s\"", c->pos[0]);
	int rc = place_conf(c, &named);
	if (rc == E_OK && named.text.n > 0 && !c->conf.text.p)
		return err_set(&c->err, E_REFUSED, "%s is for another store than %s: let its line `store` name that", named.file,
			c->store_dir);
	if (rc == E_OK)
		rc = admission_of(&c->conf, &how, &c->err);
	if (rc == E_OK && http && how == ADMIT_TOKEN)
		rc = admission_tokens(c, &t);
	if (rc != E_OK)
		return rc;
	return http ? admission_http(&c->conf, &t, &c->out.b, &c->err) : admission_server(&c->conf, &c->out.b, &c->err);
}

const struct command admission_commands[] = {
	{"client", "token", "", "show or change the token that computers need with clients.admission = token", 0, 0, NEED_PLACE,
		token_options, run_token, NULL,
		"It is a part of WUServer: who has it may come.  Two are good at a time, so that computers can change from one to the next."},
	{"config", "nginx", "PART", "print what nginx must know of the settings clients.*, for its http block or each server", 1, 1,
		NEED_PLACE, NULL, run_nginx, NULL, "PART is http or server.  `wsus-setup` puts it where nginx finds it."},
	{0},
};
