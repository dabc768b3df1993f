/* cmd_client.c -- what Windows computers need to use this server. */
#include "common/text.h"
#include "ctl/admission.h"
#include "ctl/client_error.h"
#include "ctl/place.h"
#include "ctl/setup.h"

static int take_authority(struct ctl *c, const char *path, const char *file, struct setup *s)
{
	struct err why = {0};
	struct slice pem;
	int rc = place_read_pem(path, &c->arena, &pem, &c->err);
	if (rc != E_OK)
		return rc;
	rc = setup_add_authority(s, file, pem, &c->arena, &why);
	return rc == E_OK ? rc : err_set(&c->err, (enum errcode)rc, "%s %s", path, why.text);
}

/* Ours, if we made one, and its successor, which computers have to know before it signs.  Who undoes forgets the one
 * before, too. */
static int find_authorities(struct ctl *c, struct setup *s)
{
	static const char *const files[SETUP_AUTHORITIES] = {"ca.crt", "ca-next.crt", "ca-old.crt"};
	const char *tls;
	int rc = place_tls(c, &tls);
	for (unsigned i = 0; rc == E_OK && i < (s->undo ? 3 : 2); i++) {
		struct slice path = arena_printf(&c->arena, "%s/%s", tls, files[i]);
		rc = path.p ? take_authority(c, path.p, files[i], s) : err_set(&c->err, E_NOMEM, "out of memory");
		if (rc == E_NOTFOUND) {
			c->err = (struct err){0};
			rc = E_OK;
		}
	}
	return rc;
}

static int settle_authority(struct ctl *c, struct setup *s)
{
	const char *file = ctl_option(c, "ca");
	if (file)
		return strcmp(file, "none") == 0 ? E_OK : take_authority(c, file, "ca.crt", s);
	return s->undo || text_starts(s->url, SL("https://")) ? find_authorities(c, s) : E_OK;
}

static int settle_url(struct ctl *c, struct setup *s)
{
	const char *url = ctl_option(c, "url");
	int rc = url ? E_OK : place_url(c, &url);
	if (rc == E_NOTFOUND)
		return err_set(&c->err, E_USAGE, "the address of this server is not known: give --url https://NAME:8531, "
			"or set url in %s", c->conf.file);
	if (rc != E_OK)
		return rc;
	s->url = slice_of(url);
	if (s->url.n > 8 && s->url.p[s->url.n - 1] == '/')
		s->url.n--;
	return conf_is_url(s->url) ? E_OK
				   : err_set(&c->err, E_USAGE, "--url is https://HOST[:PORT], with nothing behind it, not \"%s\"", url);
}

/* A computer can be given nothing but an address: the token is a part of it. */
static int settle_admission(struct ctl *c, struct setup *s)
{
	struct tokens t;
	enum admission how;
	int rc = admission_of(&c->conf, &how, &c->err);
	s->token = rc == E_OK && how == ADMIT_TOKEN;
	s->networks = rc == E_OK && how == ADMIT_NETWORKS;
	if (!s->token)
		return rc;
	rc = admission_tokens(c, &t);
	if (rc == E_OK && t.n == 0)
		return err_set(&c->err, E_REFUSED, "computers need a token (clients.admission), and there is none; "
			"`wsusctl client token --new` makes one");
	if (rc == E_OK)
		s->url = arena_printf(&c->arena, "%.*s/%s", SLF(s->url), t.v[0].text);
	return rc == E_OK && !s->url.p ? err_set(&c->err, E_NOMEM, "out of memory") : rc;
}

static int settle_group(struct ctl *c, struct setup *s)
{
	const char *name = ctl_option(c, "group");
	struct group g;
	uint32_t no;
	if (!name)
		return err_set(&c->err, E_USAGE, "give the computers' group: --group NAME; `wsusctl group list` shows them");
	int rc = name_group(c, name, &no);
	if (rc == E_OK)
		rc = group_get(c->txn, no, &g, &c->err);
	if (rc == E_OK && g.builtin)
		return err_set(&c->err, E_REFUSED,
			"computers are in \"%.*s\" without being told; name a group of your own, `wsusctl group create` makes one",
			SLF(g.name));
	s->group = g.name;
	return rc;
}

static int settle_hours(struct ctl *c, struct setup *s)
{
	const char *text = ctl_option(c, "frequency");
	int32_t hours = SETUP_HOURS_DEFAULT;
	if (text && (!text_i32(slice_of(text), &hours) || hours < 1 || hours > SETUP_HOURS_MAX))
		return err_set(&c->err, E_USAGE, "--frequency is 1 to %d hours, not \"%s\"", SETUP_HOURS_MAX, text);
	s->hours = (unsigned)hours;
	return E_OK;
}

static int run_setup(struct ctl *c)
{
	const char *format = ctl_option(c, "format");
	setup_format *write = setup_format_named(format ? format : "text");
	struct setup s = {.undo = ctl_option(c, "undo") != NULL};
	struct settings set;
	if (!write)
		return err_set(&c->err, E_USAGE, "--format is " SETUP_FORMATS ", not \"%s\"", format);
	int rc = settings_get(c->txn, &set, &c->err);
	s.server_targeting = rc == E_OK && set.targeting == TARGETING_SERVER;
	if (rc == E_OK)
		rc = settle_hours(c, &s);
	if (rc == E_OK && !s.undo)
		rc = settle_group(c, &s);
	if (rc == E_OK && !s.undo)
		rc = settle_url(c, &s);
	if (rc == E_OK && !s.undo)
		rc = settle_admission(c, &s);
	if (rc == E_OK)
		rc = settle_authority(c, &s);
	if (rc != E_OK)
		return rc;
	if (c->json)
		setup_list(&s, &c->out);
	else
		write(&s, &c->out.b);
	return E_OK;
}

static const struct option_row setup_options[] = {
	{"group", "NAME", "the group the computers shall be in"},
	{"format", "FORMAT", "reg (a file for regedit), ps1 (a script), gpo (Group Policy), text (for people; the default)"},
	{"url", "URL", "how computers reach this server (default: url of wsus.conf, else made of the certificate's name)"},
	{"ca", "FILE", "the authority to trust, PEM; none: no import (default: that of this server, if it made one)"},
	{"frequency", "HOURS", "how often computers scan, 1 to 22 (default: 22, as Windows does by itself)"},
	{"undo", NULL, "print what takes it back"},
	{0},
};

/* ---- client error ---- */

static const struct column error_columns[] = {
	{"code", "CODE", CELL_TEXT, FIT_WHOLE},       {"name", "NAME", CELL_TEXT, FIT_WHOLE},
	{"means", "WHAT IT MEANS", CELL_TEXT, FIT_BELOW}, {"cause", "USUAL CAUSE HERE", CELL_TEXT, FIT_DROP},
	{"todo", "WHAT TO DO", CELL_TEXT, FIT_DROP},   {"shows", "SHOWN BY", CELL_TEXT, FIT_DROP},
};

static struct slice code_text(struct ctl *c, const struct client_error *e)
{
	return arena_printf(&c->arena, "0x%08x", (unsigned)e->code);
}

/* People get the first three columns: the others are for one code. */
static int list_errors(struct ctl *c)
{
	out_list_begin(&c->out, error_columns, c->json ? COUNTOF(error_columns) : 3);
	for (const struct client_error *e = client_errors; e->name; e++) {
		out_text(&c->out, code_text(c, e));
		out_str(&c->out, e->name);
		out_str(&c->out, e->means);
		for (unsigned i = 0; c->json && i < 3; i++)
			out_str(&c->out, i == 0 ? e->cause : i == 1 ? e->todo : e->shows);
	}
	out_list_end(&c->out);
	return E_OK;
}

static int run_error(struct ctl *c)
{
	const struct client_error *e;
	uint32_t code;
	if (c->npos == 0)
		return list_errors(c);
	if (!client_error_code(slice_of(c->pos[0]), &code))
		return err_set(&c->err, E_USAGE, "\"%s\" is no code of Windows: they look like 0x80244019 or -2145107943", c->pos[0]);
	e = client_error_find(code);
	if (!e)
		return err_set(&c->err, E_NOTFOUND,
			"0x%08x is not in our table; `wsusctl client error` lists what is, and Get-WindowsUpdateLog on the computer "
			"shows what went before it", (unsigned)code);
	out_object_begin(&c->out);
	out_field_text(&c->out, "code", "Code", code_text(c, e));
	out_field_text(&c->out, "name", "Name", slice_of(e->name));
	out_field_text(&c->out, "means", "Means", slice_of(e->means));
	out_field_text(&c->out, "cause", "Usual cause here", slice_of(e->cause));
	out_field_text(&c->out, "todo", "What to do", slice_of(e->todo));
	out_field_text(&c->out, "shows", "Shown by", slice_of(e->shows));
	out_object_end(&c->out);
	return E_OK;
}

const struct command client_commands[] = {
	{"client", "setup", "", "print what a Windows computer needs to use this server", 0, 0, NEED_READ, setup_options,
		run_setup, NULL,
		"Changes nothing here.  Write it to a file: wsusctl client setup --group NAME --format reg > updates.reg"},
	{"client", "error", "[CODE]", "explain an error code that a Windows computer shows, or list those that are known", 0, 1,
		NEED_NOTHING, NULL, run_error, NULL, NULL},
	{0},
};
