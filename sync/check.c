/* check.c -- `wsus-sync check`: the way to the parent, step by step, with what each step showed; nothing is stored.
 *
 * Settings may be tried that are not set yet (--set). */
#include <stdarg.h>
#include <time.h>

#include "common/limits.h"
#include "common/text.h"
#include "sync/authorize.h"
#include "sync/confine.h"

#define CHECK_MEMORY ((size_t)24 << 20)
#define CHECK_TEXT ((size_t)1 << 20)
#define LINE 1024

struct check {
	struct run r;
	struct http_look look;
	bool json, quiet, looked;
	struct buf out;     /* JSON: the steps so far */
	const char *failed; /* the step, NULL: none */
	unsigned steps;
};

static double now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1000 + (double)t.tv_nsec / 1e6;
}

/* ================= what is told ================= */

static void add_safe(struct buf *b, struct slice s)
{
	text_safe_add(b, s);
}

/* A step that went well, or, with why, one that did not; ms < 0: it took no time of its own. */
static void step(struct check *c, const char *name, double ms, const char *why, const char *text)
{
	struct buf line;
	if (why)
		c->failed = name;
	if (c->json) {
		buf_printf(&c->out, "%s{\"step\":\"%s\",\"ok\":%s,\"ms\":", c->steps++ ? "," : "", name, why ? "false" : "true");
		buf_printf(&c->out, ms < 0 ? "null" : "%.1f", ms);
		buf_str(&c->out, ",\"what\":");
		json_string_add(&c->out, slice_of(why ? why : text));
		buf_char(&c->out, '}');
		return;
	}
	if (c->quiet && !why)
		return;
	buf_init(&line, CHECK_TEXT);
	buf_printf(&line, "%-22s %-6s ", name, why ? "FAILED" : "ok");
	add_safe(&line, slice_of(why ? why : text));
	if (ms >= 0 && !why)
		buf_printf(&line, " (%.1f ms)", ms);
	buf_char(&line, '\n');
	fwrite(line.p, 1, line.n, c->quiet ? stderr : stdout);
	fflush(stdout);
	buf_free(&line);
}

static void PRINTF(4, 5) stepf(struct check *c, const char *name, double ms, const char *fmt, ...)
{
	char text[LINE];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	step(c, name, ms, NULL, text);
}

/* More about the step before; for programs it stands in a member of its own. */
static void PRINTF(2, 3) more(struct check *c, const char *fmt, ...)
{
	char text[LINE];
	struct buf line;
	va_list ap;
	if (c->json || c->quiet)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	buf_init(&line, CHECK_TEXT);
	buf_printf(&line, "%29s ", "");
	add_safe(&line, slice_of(text));
	buf_char(&line, '\n');
	fwrite(line.p, 1, line.n, stdout);
	buf_free(&line);
}

/* ================= what connections showed ================= */

static bool is_https(const struct check *c)
{
	return text_starts(c->r.set.upstream_url, SL("https://"));
}

static void tell_chain(struct check *c)
{
	for (unsigned i = 0; i < c->look.certificates; i++) {
		const struct http_certificate *k = &c->look.chain[i];
		more(c, "%u: %s", i + 1, k->subject);
		more(c, "   by %s, until %s", k->issuer, k->end);
		more(c, "   SHA-256 %s%s%s", k->print, i == 0 && k->pin[0] ? ", upstream.pin " : "", i == 0 ? k->pin : "");
	}
}

static void tell_name(struct check *c)
{
	if (c->r.set.upstream_proxy.n)
		stepf(c, "name", -1, "is for the proxy to find");
	else
		stepf(c, "name", c->look.name_ms, "%s", c->look.address[0] ? c->look.address : "found");
}

static void tell_proxy(struct check *c)
{
	if (c->r.set.upstream_proxy.n)
		stepf(c, "proxy", -1, "%.*s%s", SLF(c->r.set.upstream_proxy), c->r.set.upstream_proxy_login.n ? ", with a login" : "");
}

static void tell_connection(struct check *c)
{
	stepf(c, "connection", c->look.connect_ms, "to %s", c->look.address);
}

static void tell_certificate(struct check *c)
{
	const struct settings *set = &c->r.set;
	if (!is_https(c)) {
		stepf(c, "certificate", -1, "none: plain http, which who sits between can read and change");
		return;
	}
	stepf(c, "certificate", c->look.tls_ms, "%s, judged by %.*s%s%s", c->look.tls, set->upstream_ca.n ? (int)set->upstream_ca.n : 24,
		set->upstream_ca.n ? set->upstream_ca.p : "the system's authorities", set->upstream_pin.n ? " and upstream.pin" : "",
		set->upstream_certificate.n ? "; ours is upstream.certificate" : "");
	tell_chain(c);
}

static void tell_login(struct check *c)
{
	bool have = c->r.set.upstream_login.n > 0;
	if (!c->look.asked[0])
		stepf(c, "login", -1, "the server wants none%s", have ? ", upstream.login is not used" : "");
	else
		stepf(c, "login", -1, "by %s%s", c->look.asked,
			strcmp(c->look.asked, "basic") == 0 && !is_https(c) ? ", which plain http lets everybody between read" : "");
}

static const struct {
	const char *name;
	void (*tell)(struct check *c);
} stages[HTTP__STAGES] = {
	[HTTP_NAME] = {"name", tell_name},
	[HTTP_PROXY] = {"proxy", tell_proxy},
	[HTTP_CONNECTION] = {"connection", tell_connection},
	[HTTP_CERTIFICATE] = {"certificate", tell_certificate},
	[HTTP_LOGIN] = {"login", tell_login},
};

static void tell_refused_chain(struct check *c)
{
	char url[600];
	snprintf(url, sizeof(url), "%.*s/", SLF(c->r.set.upstream_url));
	http_look_at_refused(c->r.http, url, &c->look);
	if (c->look.certificates == 0)
		return;
	more(c, "it shows:");
	tell_chain(c);
}

/* The first call makes the connection, which has steps of its own.  false: one of these failed, and so has been told. */
static bool tell_connection_steps(struct check *c, int rc, const struct err *e)
{
	http_look_at_last(c->r.http, &c->look);
	c->looked = true;
	for (unsigned i = 0; i < HTTP_ANSWER; i++) {
		if (rc != E_OK && c->look.stage == i) {
			step(c, stages[i].name, -1, e->text, NULL);
			if (i == HTTP_CERTIFICATE)
				tell_refused_chain(c);
			return false;
		}
		stages[i].tell(c);
	}
	return true;
}

/* ================= the steps ================= */

static void tell_authorization(struct check *c, enum call_op op, double ms)
{
	char time[TIME_TEXT + 1];
	const struct parent *p = &c->r.parent;
	time_text(p->expires, time);
	if (op == CALL_GET_AUTH_CONFIG)
		stepf(c, call_names[op], ms, "authorization at %.*s", SLF(p->service_url));
	else if (op == CALL_GET_AUTHORIZATION_COOKIE)
		stepf(c, call_names[op], ms, "it lets this server in, as %s", c->r.name);
	else
		stepf(c, call_names[op], ms, "good until %s", time);
}

static int authorize(struct check *c, struct arena *a, struct err *e)
{
	struct AuthorizationCookie *cookie = NULL;
	int rc = E_OK;
	for (size_t i = 0; i < AUTHORIZE_STEPS && rc == E_OK; i++) {
		enum call_op op = authorize_steps[i].op;
		double began = now_ms();
		rc = authorize_steps[i].run(&c->r, a, &cookie, e);
		double took = i == 0 ? c->look.answer_ms : now_ms() - began;
		if (rc == E_CANCELLED || (i == 0 && !tell_connection_steps(c, rc, e)))
			return rc;
		took = i == 0 ? c->look.answer_ms : took;
		if (rc == E_OK)
			tell_authorization(c, op, took);
		else
			step(c, call_names[op], took, e->text, NULL);
	}
	return rc;
}

static void tell_languages(struct check *c)
{
	const struct parent *p = &c->r.parent;
	char text[LINE];
	size_t n = 0;
	for (size_t i = 0; i < p->nlanguages; i++)
		if (p->language[i].enabled && n < sizeof(text) - 64)
			n += (size_t)snprintf(text + n, sizeof(text) - n, " %.*s", (int)MIN(p->language[i].code.n, 20), p->language[i].code.p);
	more(c, "languages: %zu, of which it has%s", p->nlanguages, n ? text : " none");
}

static void tell_configuration(struct check *c, double ms)
{
	const struct parent *p = &c->r.parent;
	stepf(c, call_names[CALL_GET_CONFIG_DATA], ms, "protocol %.*s", p->version.n ? (int)p->version.n : 14, p->version.n ? p->version.p : "older than 1.3");
	if (p->max_decryption)
		more(c, "%d updates a request, keys of encrypted files of %d", p->max_updates, p->max_decryption);
	else
		more(c, "%d updates a request, no keys of encrypted files", p->max_updates);
	more(c, p->catalog_only ? "it has no files: they come from where updates say" : p->lazy ? "it has the files of what is approved there"
												: "it has the files of all updates");
	more(c, p->hosts_psf ? "express files, too" : "no express files");
	tell_languages(c);
}

static int configure(struct check *c, struct err *e)
{
	double began = now_ms();
	int rc = phase_configure(&c->r, e);
	if (rc == E_OK)
		tell_configuration(c, now_ms() - began);
	else if (rc != E_CANCELLED)
		step(c, call_names[CALL_GET_CONFIG_DATA], -1, e->text, NULL);
	return rc;
}

/* ================= settings ================= */

static int load(struct check *c, const struct job_options *o, struct err *e)
{
	int rc = store_open(&c->r.store, o->store_dir, STORE_ADMIN, e);
	if (rc == E_OK)
		rc = run_load(&c->r, e);
	store_close(&c->r.store); /* who has none stores nothing */
	for (unsigned i = 0; i < o->nset && rc == E_OK; i++)
		rc = settings_override(&c->r.set, o->set[i], e);
	if (rc == E_OK && c->r.set.server_name.n)
		c->r.name = c->r.set.server_name.p;
	if (rc == E_OK && c->r.set.upstream_url.n == 0)
		rc = err_set(e, E_USAGE, "no server above is set (upstream.url): wsusctl upstream set URL");
	return rc;
}

static int open_all(struct check *c, const struct job_options *o, struct err *e)
{
	const char *unconfined;
	int rc = load(c, o, e);
	if (rc != E_OK)
		return rc;
	confine(o->store_dir, NULL, &unconfined);
	rc = http_open(&c->r.http, &c->r.set, e);
	if (rc != E_OK)
		return rc;
	http_look_closely(c->r.http);
	rc = caller_open(&c->r.caller, c->r.http, &c->r.set, o->store_dir, e);
	if (rc == E_OK)
		caller_set_tries(c->r.caller, 1);
	return rc;
}

static void tell_settings(struct check *c)
{
	const struct settings *set = &c->r.set;
	stepf(c, "settings", -1, "%.*s, %s, %s", SLF(set->upstream_url), set->upstream_kind == UPSTREAM_MICROSOFT ? "Microsoft's own" : "a server",
		set->upstream_mode == UPSTREAM_REPLICA ? "of which this is a replica" : "under which this one decides for itself");
}

/* ================= the end ================= */

static void add_member(struct buf *b, const char *name, struct slice text)
{
	buf_printf(b, "\"%s\":", name);
	json_string_add(b, text);
	buf_char(b, ',');
}

static void add_certificates(struct check *c, struct buf *b)
{
	buf_str(b, "\"certificates\":[");
	for (unsigned i = 0; i < c->look.certificates; i++) {
		const struct http_certificate *k = &c->look.chain[i];
		buf_str(b, i ? ",{" : "{");
		add_member(b, "subject", slice_of(k->subject));
		add_member(b, "issuer", slice_of(k->issuer));
		add_member(b, "until", slice_of(k->end));
		add_member(b, "pin", slice_of(k->pin));
		buf_printf(b, "\"sha256\":\"%s\"}", k->print);
	}
	buf_str(b, "],");
}

static const char *boolean(bool v)
{
	return v ? "true" : "false";
}

static void add_configuration(struct check *c, struct buf *b)
{
	const struct parent *p = &c->r.parent;
	buf_str(b, "\"configuration\":{");
	add_member(b, "version", p->version);
	buf_printf(b, "\"max_updates\":%d,\"max_decryption\":%d,\"catalog_only\":%s,\"lazy\":%s,\"hosts_psf\":%s,\"languages\":[", p->max_updates,
		p->max_decryption, boolean(p->catalog_only), boolean(p->lazy), boolean(p->hosts_psf));
	for (size_t i = 0; i < p->nlanguages; i++) {
		buf_str(b, i ? ",{" : "{");
		add_member(b, "code", p->language[i].code);
		buf_printf(b, "\"id\":%d,\"enabled\":%s}", p->language[i].id, boolean(p->language[i].enabled));
	}
	buf_str(b, "]},");
}

static void tell_json(struct check *c, int rc, const struct err *e)
{
	struct buf b;
	buf_init(&b, CHECK_TEXT);
	buf_char(&b, '{');
	add_member(&b, "url", c->r.set.upstream_url);
	if (c->looked)
		add_certificates(c, &b);
	if (rc == E_OK)
		add_configuration(c, &b);
	buf_printf(&b, "\"steps\":[%.*s],\"ok\":%s,\"failed\":", SLF(buf_bytes(&c->out)), boolean(rc == E_OK));
	if (c->failed)
		json_string_add(&b, slice_of(c->failed));
	else
		buf_str(&b, "null");
	buf_str(&b, ",\"why\":");
	if (rc == E_OK)
		buf_str(&b, "null");
	else
		json_string_add(&b, slice_of(e->text));
	buf_str(&b, "}\n");
	fwrite(b.p, 1, b.n, stdout);
	buf_free(&b);
}

static void tell_end(struct check *c, int rc, const struct err *e)
{
	if (rc != E_OK && !c->failed) /* before there was anybody to ask */
		step(c, rc == E_CANCELLED ? "cancelled" : "settings", -1, e->text, NULL);
	if (c->json)
		tell_json(c, rc, e);
	else if (rc == E_OK)
		stepf(c, "done", -1, "this server can synchronize from it; nothing was stored");
}

int job_check(const struct job_options *o)
{
	struct check c = {.json = o->form == REPORT_JSON, .quiet = o->form == REPORT_QUIET};
	struct err e = {0};
	struct arena a;
	arena_init(&c.r.a, CHECK_MEMORY);
	arena_init(&a, AUTHORIZE_MEMORY);
	buf_init(&c.out, CHECK_TEXT);
	int rc = open_all(&c, o, &e);
	if (rc == E_OK) {
		tell_settings(&c);
		c.r.parent = (struct parent){.url = c.r.set.upstream_url}; /* as if it were met for the first time */
		rc = authorize(&c, &a, &e);
	}
	if (rc == E_OK)
		rc = configure(&c, &e);
	tell_end(&c, rc, &e);
	caller_close(&c.r.caller);
	http_close(&c.r.http);
	arena_free(&a);
	arena_free(&c.r.a);
	buf_free(&c.out);
	return rc == E_OK ? EXIT_DONE : rc == E_CANCELLED ? EXIT_CANCELLED : rc == E_USAGE ? EXIT_USAGE : EXIT_FAILED;
}
