/* cmd_upstream.c -- the server above this one: which it is, how it is reached, what is known of it.
 *
 * All of that are settings (upstream.*), so `config` shows them, too.  What `upstream set` adds: it makes an address out of
 * what people type, looks at files and asks the server before anything is stored, and stores everything at once. */
#include <fcntl.h>
#include <unistd.h>

#include "common/job.h"
#include "common/microsoft.h"
#include "common/text.h"
#include "ctl/cmd.h"
#include "ctl/health_cert.h"
#include "ctl/place.h"
#include "ctl/tool.h"
#include "store/parent.h"
#include "store/sync.h"

/* ================= what is to be set ================= */

#define OF_PARENT 1u /* belongs to that server: with another one it is dropped unless given anew */
#define IS_FILE 2u
#define HAS_CERTIFICATES 4u
#define IS_PRINT 8u

static const struct {
	const char *option, *setting;
	unsigned is;
} fields[] = {
	{"url", "upstream.url", 0},
	{"kind", "upstream.kind", 0},
	{"mode", "upstream.mode", 0},
	{"soap", "upstream.soap", OF_PARENT},
	{"ca", "upstream.ca", OF_PARENT | IS_FILE | HAS_CERTIFICATES},
	{"ca-fingerprint", "upstream.ca-fingerprint", OF_PARENT | IS_PRINT},
	{"pin", "upstream.pin", OF_PARENT},
	{"certificate", "upstream.certificate", OF_PARENT | IS_FILE | HAS_CERTIFICATES},
	{"key", "upstream.key", OF_PARENT | IS_FILE},
	{"login", "upstream.login", OF_PARENT | IS_FILE},
	{"content-url", "upstream.content-url", OF_PARENT},
	{"proxy", "upstream.proxy", 0},
	{"proxy-login", "upstream.proxy-login", IS_FILE},
};
enum { URL, KIND, MODE, SOAP, CA, CA_PRINT };
#define FIELDS COUNTOF(fields)

struct plan {
	struct ctl *c;
	struct slice was[FIELDS], is[FIELDS];
	bool microsoft, another; /* another server than before */
	bool knew;               /* something was learned of that */
	const char *how;         /* what was made of the address, for people */
};

static int no_memory(struct ctl *c)
{
	return err_set(&c->err, E_NOMEM, "out of memory");
}

static int was_met(struct ctl *c, bool *out)
{
	struct settings set;
	struct parent parent;
	int rc = settings_get(c->txn, &set, &c->err);
	if (rc == E_OK)
		rc = parent_get(c->txn, &set, &parent, &c->err);
	*out = rc == E_OK;
	if (rc != E_NOTFOUND)
		return rc;
	c->err = (struct err){0};
	return E_OK;
}

static int plan_begin(struct ctl *c, struct plan *p)
{
	*p = (struct plan){.c = c, .how = ""};
	for (unsigned i = 0; i < FIELDS; i++) {
		int rc = setting_get(c->txn, slice_of(fields[i].setting), &p->was[i], &c->err);
		if (rc != E_OK)
			return rc;
		p->was[i] = p->is[i] = arena_copy(&c->arena, p->was[i]);
		if (!p->is[i].p)
			return no_memory(c);
	}
	return was_met(c, &p->knew);
}

/* ---- the address ---- */

/* Where the port of HOST[:PORT] begins, behind the colon; 0: there is none; rest.n + 1: no host is written so. */
static size_t port_at(struct slice rest)
{
	const char *bracket = memchr(rest.p, ']', rest.n);
	size_t from = bracket ? (size_t)(bracket - rest.p) + 1 : 0;
	const char *colon = memchr(rest.p + from, ':', rest.n - from);
	if (!colon)
		return from < rest.n && from ? rest.n + 1 : 0;
	size_t at = (size_t)(colon - rest.p) + 1;
	return memchr(rest.p + at, ':', rest.n - at) ? rest.n + 1 : at;
}

static bool cut_scheme(struct slice *s, struct slice *scheme)
{
	static const char *const schemes[] = {"http://", "https://"};
	for (unsigned i = 0; i < COUNTOF(schemes); i++) {
		struct slice z = slice_of(schemes[i]);
		if (s->n < z.n || !text_ieq((struct slice){s->p, z.n}, z))
			continue;
		*scheme = (struct slice){z.p, z.n - 3};
		*s = (struct slice){s->p + z.n, s->n - z.n};
		return true;
	}
	return false;
}

static bool is_plain_port(struct slice port)
{
	return slice_eq(port, SL("80")) || slice_eq(port, SL("8530"));
}

/* TLS unless somebody says otherwise, by the scheme or by the port of a server without. */
static int read_address(struct plan *p, struct slice text)
{
	struct ctl *c = p->c;
	struct slice scheme = SL0, rest = text_trim(text), port = SL0;
	bool said = cut_scheme(&rest, &scheme);
	while (rest.n && rest.p[rest.n - 1] == '/')
		rest.n--;
	if (rest.n == 0 || memchr(rest.p, '/', rest.n))
		return err_set(&c->err, E_USAGE, "%.*s: the address of a server is written HOST, HOST:PORT, http://HOST or https://HOST:PORT; "
			"what lies below it is known", (int)MIN(text.n, 200u), text.p);
	size_t at = port_at(rest);
	if (at > rest.n)
		return err_set(&c->err, E_USAGE, "%.*s: an IPv6 address stands in brackets: https://[2001:db8::1]:8531", (int)MIN(text.n, 200u),
			text.p);
	int32_t number;
	if (at)
		port = (struct slice){rest.p + at, rest.n - at};
	if (at && (!text_i32(port, &number) || number < 1 || number > 65535))
		return err_set(&c->err, E_USAGE, "%.*s: \"%.*s\" is no port", (int)MIN(text.n, 200u), text.p, SLF(port));
	if (!said)
		scheme = is_plain_port(port) ? SL("http") : SL("https");
	const char *usual = p->microsoft ? "" : slice_eq(scheme, SL("http")) ? ":8530" : ":8531";
	p->is[URL] = arena_printf(&c->arena, "%.*s://%.*s%s", SLF(scheme), SLF(rest), at ? "" : usual);
	if (!said)
		p->how = slice_eq(scheme, SL("http")) ? "without TLS, as its port says" : at ? "with TLS; http:// before it for plain HTTP"
			: "with TLS, and the port that servers of Windows have for it; http:// before it for plain HTTP";
	else if (!at && usual[0])
		p->how = "the port that servers of Windows have for it";
	return p->is[URL].p ? E_OK : no_memory(c);
}

/* ---- files ---- */

static int absolute(struct ctl *c, const char *path, struct slice *out)
{
	char cwd[4096];
	if (path[0] == '/' || path[0] == 0)
		return E_OK;
	if (!getcwd(cwd, sizeof(cwd)))
		return err_errno(&c->err, "%s: where that is", path);
	*out = arena_printf(&c->arena, "%s/%s", cwd, strncmp(path, "./", 2) == 0 ? path + 2 : path);
	return out->p ? E_OK : no_memory(c);
}

/* A certificate as Windows and Microsoft hand it out: a SEQUENCE, of more than 255 bytes. */
static bool is_der(struct slice text)
{
	return text.n > 4 && (uint8_t)text.p[0] == 0x30 && (uint8_t)text.p[1] == 0x82;
}

static int look_at_certificates(struct plan *p, unsigned i, struct slice text)
{
	struct ctl *c = p->c;
	char print[65];
	unsigned n = health_cert_print(text, print);
	if (n == 0 && is_der(text))
		return err_set(&c->err, E_FORM, "%s is in the binary form (DER), which is not converted behind your back: openssl x509 -inform der "
			"-in %s -out %s.pem makes a PEM file of it, to be named with --%s", p->is[i].p, p->is[i].p, p->is[i].p, fields[i].option);
	if (n == 0)
		return err_set(&c->err, E_FORM, "%s: no certificate in it; --%s names a PEM file, with -----BEGIN CERTIFICATE-----", p->is[i].p,
			fields[i].option);
	if (i != CA || p->is[CA_PRINT].n == 0)
		return E_OK;
	if (n > 1)
		return err_set(&c->err, E_REFUSED, "%s holds %u certificates, and the one with the fingerprint %s must be alone there", p->is[i].p, n,
			p->is[CA_PRINT].p);
	return text_ieq(slice_of(print), p->is[CA_PRINT]) ? E_OK : err_set(&c->err, E_REFUSED, "%s is another certificate than it should be: "
		"its SHA-256 is %s, not %s; get it anew, and if that is the same, do not trust it", p->is[i].p, print, p->is[CA_PRINT].p);
}

static int look_at_file(struct plan *p, unsigned i)
{
	struct ctl *c = p->c;
	struct slice text;
	int rc = place_read_pem(p->is[i].p, &c->arena, &text, &c->err);
	if (rc != E_OK)
		return err_at(&c->err, rc, "--%s ", fields[i].option);
	return fields[i].is & HAS_CERTIFICATES ? look_at_certificates(p, i, text) : E_OK;
}

static int look_at_files(struct plan *p)
{
	int rc = E_OK;
	for (unsigned i = 0; rc == E_OK && i < FIELDS; i++)
		if (fields[i].is & IS_FILE && p->is[i].n)
			rc = look_at_file(p, i);
	return rc;
}

/* ---- the rest ---- */

/* "AB:CD:..." of openssl, and what it writes before it. */
static struct slice print_of(struct ctl *c, struct slice text)
{
	struct buf b;
	const char *eq = memrchr(text.p, '=', text.n);
	buf_init(&b, 1 << 10);
	for (const char *q = eq ? eq + 1 : text.p; q < text.p + text.n; q++)
		if (*q != ':' && *q != ' ')
			buf_char(&b, *q >= 'a' && *q <= 'f' ? (char)(*q - 'a' + 'A') : *q);
	struct slice out = arena_copy(&c->arena, buf_bytes(&b));
	buf_free(&b);
	return out;
}

static int take_option(struct plan *p, unsigned i)
{
	struct ctl *c = p->c;
	const char *value = ctl_option(c, fields[i].option);
	int rc = E_OK;
	if (!value) {
		if (p->another && fields[i].is & OF_PARENT)
			p->is[i] = slice_of(i == SOAP ? "1.1" : "");
		return E_OK;
	}
	p->is[i] = slice_of(value);
	if (fields[i].is & IS_FILE)
		rc = absolute(c, value, &p->is[i]);
	else if (fields[i].is & IS_PRINT)
		p->is[i] = print_of(c, p->is[i]);
	if (rc == E_OK && !p->is[i].p)
		rc = no_memory(c);
	if (rc == E_OK)
		rc = setting_check(slice_of(fields[i].setting), p->is[i], &c->err);
	return rc == E_OK ? rc : err_at(&c->err, rc, "--%s: ", fields[i].option);
}

static int microsoft_rules(struct plan *p)
{
	struct ctl *c = p->c;
	if (slice_eq(p->is[MODE], SL("replica")))
		return err_set(&c->err, E_REFUSED, "Microsoft's server has no groups and no approvals, so there is nothing to be a replica of; "
			"give --mode autonomous, and approve here");
	if (!text_starts(p->is[URL], SL("https://")))
		return err_set(&c->err, E_REFUSED, "%s: what comes from Microsoft is taken over TLS alone; give an address with https://", p->is[URL].p);
	if (p->is[CA].n)
		return E_OK;
	c->candidates = SL("  " MICROSOFT_CA_COMMAND(MICROSOFT_CA_FILE) "\n  wsusctl upstream set microsoft --ca " MICROSOFT_CA_FILE "\n");
	return err_set(&c->err, E_REFUSED, "--ca FILE is missing: the chain of Microsoft's server ends at the %s, which Debian does not have.  It is to "
		"be fetched once; that it is the right one is verified, by its SHA-256 %s:", MICROSOFT_CA_NAME, MICROSOFT_CA_PRINT);
}

static int pairs(struct plan *p)
{
	bool certificate = p->is[7].n, key = p->is[8].n;
	if (certificate != key)
		return err_set(&p->c->err, E_USAGE, "--certificate and --key belong together: give both, or both as \"\" for neither");
	return E_OK;
}

static int plan_make(struct plan *p)
{
	struct ctl *c = p->c;
	const char *url = ctl_option(c, "url");
	p->microsoft = strcmp(c->pos[0], "microsoft") == 0;
	if (url && !p->microsoft)
		return err_set(&c->err, E_USAGE, "--url belongs to `upstream set microsoft`, for a copy of it; else the address stands by itself");
	int rc = read_address(p, slice_of(url ? url : p->microsoft ? MICROSOFT_URL : c->pos[0]));
	if (rc == E_OK)
		rc = setting_check(SL("upstream.url"), p->is[URL], &c->err);
	p->is[KIND] = p->microsoft ? SL("microsoft") : SL("server");
	p->another = !slice_eq(p->is[URL], p->was[URL]) || !slice_eq(p->is[KIND], p->was[KIND]);
	for (unsigned i = MODE; rc == E_OK && i < FIELDS; i++)
		rc = take_option(p, i);
	if (rc == E_OK && p->microsoft && !ctl_option(c, "ca-fingerprint"))
		p->is[CA_PRINT] = SL(MICROSOFT_CA_PRINT);
	if (rc == E_OK && p->microsoft && !ctl_option(c, "mode") && p->another)
		p->is[MODE] = SL("autonomous");
	if (rc == E_OK && p->microsoft)
		rc = microsoft_rules(p);
	return rc == E_OK ? pairs(p) : rc;
}

static bool changes(const struct plan *p, unsigned i)
{
	return !slice_eq(p->is[i], p->was[i]);
}

/* The next `config apply` would take it back. */
static int check_file_is_silent(struct plan *p)
{
	struct ctl *c = p->c;
	for (unsigned i = 0; i < FIELDS; i++) {
		struct conf_line l;
		if (changes(p, i) && conf_find(&c->conf, slice_of(fields[i].setting), &l))
			return err_set(&c->err, E_REFUSED, "%s is set in %s:%u; change it there, then `wsusctl config apply`, or take the line out",
				fields[i].setting, c->conf.file, l.no);
	}
	return E_OK;
}

/* ---- what another mode means ---- */

struct policy_here {
	unsigned groups, approvals, declines;
};

static int count_group(const struct group *g, void *arg)
{
	((struct policy_here *)arg)->groups += !g->builtin;
	return E_OK;
}

static int count_approval(const struct deployment *d, void *arg)
{
	((struct policy_here *)arg)->approvals += !d->dead;
	return E_OK;
}

static int policy_here(struct ctl *c, struct policy_here *n)
{
	struct server_state st;
	*n = (struct policy_here){0};
	int rc = group_each(c->txn, count_group, n, &c->err);
	if (rc == E_OK)
		rc = deployment_each_of_group(c->txn, 0, count_approval, n, &c->err);
	if (rc == E_OK)
		rc = server_state_get(c->txn, &st, &c->err);
	for (uint32_t no = 1; rc == E_OK && no <= st.updates; no++) {
		struct update u;
		rc = update_get(c->txn, no, &u, &c->err);
		n->declines += rc == E_OK && u.declined;
	}
	return rc;
}

/* To become a replica may cost what was decided here: that wants a second word. */
static int explain_mode(struct plan *p)
{
	struct ctl *c = p->c;
	struct policy_here n;
	bool was = p->was[URL].n && slice_eq(p->was[MODE], SL("replica")), is = slice_eq(p->is[MODE], SL("replica"));
	if (was && !is)
		ctl_say(c, "this server was a replica: the groups and approvals that it has from %s stay and are its own from now on", p->was[URL].p);
	if (was || !is)
		return E_OK;
	int rc = policy_here(c, &n);
	if (rc != E_OK)
		return rc;
	ctl_say(c, "a replica has the groups, approvals and declines of the server above, and none of its own: those are made there; computers "
		"are put into the groups here");
	if (n.groups + n.approvals + n.declines == 0 || ctl_option(c, "yes"))
		return E_OK;
	return err_set(&c->err, E_REFUSED, "the next synchronization would replace what was decided here by what the server above says: %u group%s, "
		"%u approval%s, %u declined update%s; `wsusctl backup` keeps them, and --yes says that this is meant", n.groups, n.groups == 1 ? "" : "s",
		n.approvals, n.approvals == 1 ? "" : "s", n.declines, n.declines == 1 ? "" : "s");
}

/* ---- asking it before anything is stored ---- */

static int ask_it(struct plan *p)
{
	struct ctl *c = p->c;
	const char *args[2 * FIELDS + 1];
	unsigned n = 0;
	for (unsigned i = 0; i < FIELDS; i++) {
		if (!changes(p, i))
			continue;
		struct slice s = arena_printf(&c->arena, "%s=%.*s", fields[i].setting, SLF(p->is[i]));
		if (!s.p)
			return no_memory(c);
		args[n++] = "--set";
		args[n++] = s.p;
	}
	args[n] = NULL;
	int status;
	int rc = tool_sync(c, "check", args, &status);
	if (rc == E_OK && status != 0)
		rc = err_set(&c->err, E_REFUSED, "nothing was stored; correct what is said above%s, or give --no-check to store it all the same",
			p->how[0] && text_starts(p->is[URL], SL("https://")) ? " (a server without TLS is named with http:// before it)" : "");
	return rc;
}

/* ---- storing it ---- */

static int store_settings(struct plan *p)
{
	struct ctl *c = p->c;
	struct publish_report published;
	int rc = txn_begin(c->store, TXN_CATALOG, &c->txn, &c->err);
	for (unsigned i = 0; rc == E_OK && i < FIELDS; i++)
		rc = setting_set(c->txn, slice_of(fields[i].setting), p->is[i], &c->err);
	if (rc == E_OK && p->another)
		rc = parent_forget(c->txn, &c->err);
	if (rc == E_OK)
		rc = audit_note(c->txn, c->admin, p->is[URL].n ? "upstream set %.*s --mode %.*s" : "upstream none", SLF(p->is[URL]), SLF(p->is[MODE]));
	if (rc == E_OK)
		rc = publish(c->txn, c->now, &published, &c->err);
	if (rc == E_OK)
		rc = txn_commit(&c->txn, &c->err);
	txn_end(&c->txn);
	return rc;
}

/* What a synchronization brings while its server is exchanged would count as the other one's. */
static int store_plan(struct plan *p)
{
	struct ctl *c = p->c;
	struct job_lock lock;
	if (!p->another && !changes(p, MODE))
		return store_settings(p);
	int rc = job_lock(&lock, c->store_dir, JOB_SYNC, &c->err);
	if (rc == E_BUSY)
		return err_set(&c->err, rc, "a synchronization is under way, with the server as it was; `wsusctl sync cancel` ends it, then again");
	if (rc != E_OK)
		return rc;
	rc = store_settings(p);
	job_unlock(&lock);
	return rc;
}

static int run_show(struct ctl *c);

static int show_stored(struct ctl *c)
{
	int rc = txn_begin(c->store, TXN_READ, &c->txn, &c->err);
	return rc == E_OK ? run_show(c) : rc;
}

static void say_set(const struct plan *p)
{
	struct ctl *c = p->c;
	bool replica = slice_eq(p->is[MODE], SL("replica"));
	ctl_say(c, "upstream: %s, %s%s%s%s", p->is[URL].p, p->is[MODE].p, p->how[0] ? " (" : "", p->how, p->how[0] ? ")" : "");
	for (unsigned i = 0; i < FIELDS; i++)
		if (fields[i].is & OF_PARENT && changes(p, i) && p->was[i].n && !ctl_option(c, fields[i].option) && i != SOAP && p->is[i].n == 0)
			ctl_say(c, "%s belonged to the server before and is empty now: it was %s", fields[i].setting, p->was[i].p);
	if (p->another && p->knew)
		ctl_say(c, "what was learned of %s is forgotten: the next synchronization asks this one for everything, and takes what is not here",
			p->was[URL].p);
	ctl_say(c, replica ? "next: `wsusctl sync run`" : "next: `wsusctl sync run`, which brings the lists of products and classifications as long as nothing is chosen; `wsusctl "
		"product select`; `wsusctl sync run` again");
}

static int run_set(struct ctl *c)
{
	struct plan p;
	int rc = txn_begin(c->store, TXN_READ, &c->txn, &c->err);
	if (rc == E_OK)
		rc = plan_begin(c, &p);
	if (rc == E_OK)
		rc = plan_make(&p);
	if (rc == E_OK)
		rc = check_file_is_silent(&p);
	if (rc == E_OK)
		rc = look_at_files(&p);
	if (rc == E_OK)
		rc = explain_mode(&p);
	txn_end(&c->txn);
	if (rc == E_OK && !ctl_option(c, "no-check"))
		rc = ask_it(&p);
	if (rc == E_OK)
		rc = store_plan(&p);
	if (rc == E_OK && c->json)
		return show_stored(c);
	if (rc == E_OK)
		say_set(&p);
	return rc;
}

/* ================= none ================= */

static int run_none(struct ctl *c)
{
	struct plan p;
	int rc = txn_begin(c->store, TXN_READ, &c->txn, &c->err);
	if (rc == E_OK)
		rc = plan_begin(c, &p);
	txn_end(&c->txn);
	if (rc != E_OK)
		return rc;
	bool replica = p.was[URL].n && slice_eq(p.was[MODE], SL("replica"));
	for (unsigned i = 0; i < FIELDS; i++)
		if (i == URL || fields[i].is & OF_PARENT)
			p.is[i] = slice_of(i == SOAP ? "1.1" : "");
	p.is[KIND] = SL("server");
	p.is[MODE] = SL("autonomous");
	p.another = true;
	rc = check_file_is_silent(&p);
	if (rc == E_OK)
		rc = store_plan(&p);
	if (rc != E_OK)
		return rc;
	if (c->json)
		return show_stored(c);
	if (p.was[URL].n == 0)
		ctl_say(c, "there was no server above this one");
	else
		ctl_say(c, "no server above this one any more, and what was learned of %s is forgotten; all updates stay%s", p.was[URL].p,
			replica ? ", and so do groups and approvals, which are this server's own from now on" : "");
	return E_OK;
}

/* ================= check ================= */

static int run_check(struct ctl *c)
{
	return tool_exec(c, "check", NULL);
}

/* ================= show ================= */

static const struct column language_columns[] = {
	{"id", "ID", CELL_NUMBER, FIT_WHOLE},
	{"language", "LANGUAGE", CELL_TEXT, FIT_WHOLE},
	{"enabled", "ENABLED", CELL_BOOL, FIT_WHOLE},
};

/* A field for each setting, under the option's name. */
static int show_settings(struct ctl *c)
{
	for (unsigned i = 0; i < FIELDS; i++) {
		struct slice v;
		int rc = setting_get(c->txn, slice_of(fields[i].setting), &v, &c->err);
		if (rc != E_OK)
			return rc;
		if (!v.n && !c->json)
			continue;
		char *key = arena_alloc(&c->arena, strlen(fields[i].option) + 1, 1);
		if (!key)
			return no_memory(c);
		for (size_t k = 0; fields[i].option[k]; k++)
			key[k] = fields[i].option[k] == '-' ? '_' : fields[i].option[k];
		out_field_text(&c->out, key, fields[i].setting, v);
	}
	return E_OK;
}

static struct slice anchor_text(struct slice anchor)
{
	return anchor.n ? anchor : SL0;
}

static void show_learned(struct ctl *c, const struct parent *p)
{
	struct out *o = &c->out;
	out_field_number(o, "met", "Last met", CELL_TIME, p->met);
	if (!p->met && !c->json)
		return;
	out_field_text(o, "protocol", "Protocol version", p->version);
	out_field_number(o, "max_updates", "Updates a request", CELL_NUMBER, p->max_updates);
	out_field_number(o, "max_decryption", "Keys a request", CELL_NUMBER, p->max_decryption);
	out_field_number(o, "catalog_only", "Has no files", CELL_BOOL, p->catalog_only);
	out_field_number(o, "lazy", "Has files of approved updates only", CELL_BOOL, p->lazy);
	out_field_number(o, "express", "Has express files", CELL_BOOL, p->hosts_psf);
	out_field_text(o, "service_url", "Authorization at", p->service_url);
	out_field_number(o, "cookie_expires", "Cookie good until", CELL_TIME, p->expires);
	out_field_text(o, "configuration_anchor", "Configuration known as of", anchor_text(p->config_anchor));
	out_field_text(o, "category_anchor", "Categories known as of", anchor_text(p->category_anchor));
	out_field_text(o, "update_anchor", "Updates known as of", anchor_text(p->sync_anchor));
	out_field_text(o, "deployment_anchor", "Approvals known as of", anchor_text(p->deployment_anchor));
	out_sub_begin(o, "languages", "Languages that it has", language_columns, COUNTOF(language_columns));
	for (size_t i = 0; i < p->nlanguages; i++) {
		if (!p->language[i].enabled && !c->json)
			continue;
		out_number(o, p->language[i].id);
		out_text(o, p->language[i].code);
		out_number(o, p->language[i].enabled);
	}
	out_sub_end(o);
}

static int run_show(struct ctl *c)
{
	struct settings set;
	struct parent p = {0};
	int rc = settings_get(c->txn, &set, &c->err);
	if (rc == E_OK && set.upstream_url.n == 0 && !c->json) {
		ctl_say(c, "no server above this one: updates come by `wsusctl update import`.  `wsusctl upstream set HOST` names one, "
			"`wsusctl upstream set microsoft` Microsoft's");
		return E_OK;
	}
	if (rc == E_OK)
		rc = parent_get(c->txn, &set, &p, &c->err);
	if (rc == E_NOTFOUND) {
		c->err = (struct err){0};
		rc = E_OK;
	}
	if (rc != E_OK)
		return rc;
	out_object_begin(&c->out);
	rc = show_settings(c);
	if (rc == E_OK)
		show_learned(c, &p);
	out_object_end(&c->out);
	return rc;
}

/* ================= the table ================= */

static const struct option_row set_options[] = {
	{"mode", "MODE", "autonomous: groups and approvals are made here; replica: they are the other server's"},
	{"ca", "FILE", "PEM file of the authorities that its certificate is judged by (default: the system's)"},
	{"ca-fingerprint", "SHA256", "of the one certificate that this file must hold"},
	{"pin", "sha256//BASE64", "the public key that it must have, whoever signed its certificate"},
	{"certificate", "FILE", "PEM file of the certificate that is shown to it"},
	{"key", "FILE", "PEM file of that certificate's key"},
	{"login", "FILE", "file with one line USER:PASSWORD, if it wants a login"},
	{"proxy", "URL", "proxy on the way to it, http://HOST:PORT"},
	{"proxy-login", "FILE", "file with one line USER:PASSWORD, if the proxy wants a login"},
	{"content-url", "URL", "where its files are, if not there: plain http spares TLS, files are verified by digest"},
	{"soap", "1.1|1.2", "the version of SOAP"},
	{"url", "URL", "with `microsoft`: a copy of Microsoft's server, for tests"},
	{"no-check", NULL, "store without asking the server"},
	{"yes", NULL, "to become a replica although something was decided here"},
	{0},
};

const struct command upstream_commands[] = {
	{"upstream", "show", "", "show the server above this one, and what is known of it", 0, 0, NEED_READ, NULL, run_show, NULL, NULL},
	{"upstream", "set", "URL|microsoft", "take updates from another server, or from Microsoft", 1, 1, NEED_STORE, set_options, run_set, NULL,
		"It is asked first, and nothing is stored if that fails. An address without scheme is one with TLS; without port it is 8531 with "
		"TLS, 8530 without. An option that is not given stays as it is while the server is the same; \"\" empties it."},
	{"upstream", "check", "", "ask the server above: name, certificate chain, proxy, login, configuration", 0, 0, NEED_PLACE, NULL, run_check, NULL,
		"Stores nothing."},
	{"upstream", "none", "", "have no server above this one any more", 0, 0, NEED_STORE, NULL, run_none, NULL,
		"Updates, groups and approvals stay."},
	{0},
};
