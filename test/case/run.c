/* run.c -- the case runner: a case is a folder of data, and a new case needs no code.
 *
 *	case-run [--update] [--torture] [-v] test/case [NAME ...]
 *
 * A folder holds steps, executed in the order of their names:
 *	before, NN-do      lines of verbs (the table `verbs` below): catalog, policy, clock, what must be in the store;
 *	                   "meanwhile LINE" lets another process do the line in the middle of the next request
 *	NN-req.xml         a request; without an Envelope it is wrapped as native clients do.  @NS@ and @NSA@ are
 *	                   the namespaces of the two services for computers, @NSR@, @NSS@, @NSD@ and @NSP@ those of
 *	                   Reporting, ServerSync, DssAuth and Ping; @COOKIE@, @AUTHCOOKIE@, @EXPIRATION@, @LASTCHANGE@, @ANCHOR@, @CONFIGANCHOR@
 *	                   the last values that were answered, @NAME@ what `keep NAME` kept; @BEGAN@ what stands behind
 *	                   the comma of all anchors of this generation
 *	NN-req.headers     optional: Method, Host, Scheme, Path, Accept-Encoding, SOAPAction, Service (auth, client,
 *	                   reporting, serversync; otherwise the request's namespace or operation says it), Peer, Too-Large, Short
 *	NN-rows            what the store holds of reports at that moment (rows.h), compared as a whole
 *	NN-rsp.txt         the answer: status, headers, empty line, body, with line breaks between tags.  What differs
 *	                   from run to run stands there as @COOKIE@ and the like
 *	rules              which rules the case would catch if broken
 * --update writes NN-rsp.txt and NN-rows.  --torture repeats each request with the 1st, 2nd ... allocation failing: the
 * answer must be a fault or the right one, and a fault must leave the store as it was. */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgi/dispatch.h"
#include "common/anchor.h"
#include "common/log.h"
#include "common/seal.h"
#include "common/text.h"
#include "common/wusp_info.h"
#include "common/wsusss.h"
#include "common/xpress.h"
#include "store/downstream.h"
#include "store/import.h"
#include "store/env.h"
#include "store/publish.h"
#include "store/sync.h"
#include "test/case/rows.h"

#define MAX_WORDS 16
#define MAX_TOKENS 48
#define CLOCK_START INT64_C(17673278456789012) /* 2026-01-02T04:24:05.6789012Z */

static tick_t clock_now;

struct token {
	struct slice name, value;
};
struct stage {
	const char *root, *name; /* test/case, the case */
	char dir[256];           /* of its store */
	struct store *store;
	struct sealer *sealer;
	struct worker *worker;
	struct arena a;   /* as long as the case */
	struct arena req; /* as long as a request */
	struct token token[MAX_TOKENS];
	size_t ntoken;
	struct slice meanwhile; /* what another process does in the next request, as lines of verbs */
	char why[8192]; /* the first thing that went wrong */
};
static bool opt_update, opt_torture, opt_verbose;
static struct stage *the_stage; /* for frozen_now(), which a worker calls without argument */
static bool alloc_failed; /* the failure ordered for the last request came */

PRINTF(2, 3) static bool wrong(struct stage *s, const char *fmt, ...)
{
	va_list ap;
	if (s->why[0])
		return false;
	va_start(ap, fmt);
	vsnprintf(s->why, sizeof(s->why), fmt, ap);
	va_end(ap);
	return false;
}

static void do_meanwhile(struct stage *s);
static void know_server(struct stage *s);
/* The first call in a request comes before its transaction, a call in its course after it has begun. */
static tick_t frozen_now(void)
{
	if (the_stage->worker && the_stage->worker->txn)
		do_meanwhile(the_stage);
	return clock_now;
}

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "case-run: %s\n", what);
	exit(2);
}

static struct slice copy(struct arena *a, struct slice s)
{
	struct slice c = arena_copy(a, s);
	must(c.p != NULL, "out of memory");
	return c;
}

/* ---- files ---- */

static struct slice read_file(struct arena *a, const char *path)
{
	struct slice all = SL0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	if (fd < 0)
		return all;
	must(fstat(fd, &st) == 0, path);
	char *p = arena_alloc(a, (size_t)st.st_size + 1, 1);
	must(p && read(fd, p, (size_t)st.st_size) == st.st_size, path);
	close(fd);
	return (struct slice){p, (size_t)st.st_size};
}

static struct slice case_file(struct stage *s, const char *step, const char *kind)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/%s/%.2s-%s", s->root, s->name, step, kind);
	return read_file(&s->a, path);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

/* ---- tokens ---- */

static void set_token(struct stage *s, struct slice name, struct slice value)
{
	size_t i = 0;
	while (i < s->ntoken && !slice_eq(s->token[i].name, name))
		i++;
	must(i < MAX_TOKENS, "too many tokens");
	s->ntoken = MAX(s->ntoken, i + 1);
	s->token[i] = (struct token){copy(&s->a, name), copy(&s->a, value)};
}

static struct slice get_token(struct stage *s, struct slice name)
{
	for (size_t i = 0; i < s->ntoken; i++)
		if (slice_eq(s->token[i].name, name))
			return s->token[i].value;
	return SL0;
}

/* Appends from with each @NAME@ that is known replaced. */
static void substitute(struct stage *s, struct buf *to, struct slice from)
{
	while (from.p) {
		buf_slice(to, text_cut(&from, '@'));
		if (!from.p)
			return;
		const char *end = from.n ? memchr(from.p, '@', from.n) : NULL;
		struct slice name = {from.p, end ? (size_t)(end - from.p) : 0}, value = SL0;
		if (end)
			value = get_token(s, name);
		if (!value.p) {
			buf_char(to, '@');
			continue;
		}
		buf_slice(to, value);
		from = (struct slice){end + 1, from.n - name.n - 1};
	}
}

/* ---- the answer as text that is the same in every run ---- */

/* The text of the first <name> at or behind *at; *at moves behind it. */
static bool element_text(struct slice body, const char *name, size_t *at, struct slice *text)
{
	char open[64], close[64];
	int n = snprintf(open, sizeof(open), "<%s>", name), m = snprintf(close, sizeof(close), "</%s>", name);
	const char *p = *at < body.n ? memmem(body.p + *at, body.n - *at, open, (size_t)n) : NULL;
	const char *q = p ? memmem(p, body.n - (size_t)(p - body.p), close, (size_t)m) : NULL;
	if (!q)
		return false;
	*text = (struct slice){p + n, (size_t)(q - p) - (size_t)n};
	*at = (size_t)(q - body.p) + (size_t)m;
	return true;
}

static const struct {
	const char *element, *token;
} volatile_texts[] = {
	{"EncryptedData", "COOKIE"},
	{"CookieData", "AUTHCOOKIE"},
	{"LastChange", "LASTCHANGE"},
	{"Expiration", "EXPIRATION"},
	{"Anchor", "ANCHOR"},
	{"NewConfigAnchor", "CONFIGANCHOR"},
	{"ID", NULL}, /* of a fault: a GUID; shown as @ID@ */
};

static void remember_tokens(struct stage *s, struct slice body)
{
	for (size_t i = 0; i < COUNTOF(volatile_texts); i++) {
		struct slice text;
		size_t at = 0;
		if (volatile_texts[i].token && element_text(body, volatile_texts[i].element, &at, &text))
			set_token(s, slice_of(volatile_texts[i].token), text);
	}
}

/* POINT,@BEGAN@ for an anchor of this generation. */
static struct slice mask_anchor(struct slice text)
{
	struct slice rest = text, point = text_cut(&rest, ',');
	if (!rest.p || !slice_eq(rest, get_token(the_stage, SL("BEGAN"))))
		return SL0;
	return arena_printf(&the_stage->a, "%.*s,@BEGAN@", SLF(point));
}

/* GUIDs that are others in every run, in the order in which a case meets them: @GROUP1@, @GROUP2@ ... */
static struct slice mask_numbered(const char *what, struct slice text)
{
	for (unsigned n = 1; n < MAX_TOKENS; n++) {
		char name[32];
		snprintf(name, sizeof(name), "%s%u", what, n);
		struct slice known = get_token(the_stage, slice_of(name));
		if (!known.p)
			set_token(the_stage, slice_of(name), text);
		if (!known.p || slice_eq(known, text))
			return arena_printf(&the_stage->a, "@%s@", name);
	}
	return SL0;
}

static bool is_builtin_group(struct slice text)
{
	static const char *const ids[] = {"00000000-0000-0000-0000-000000000000", "a0a08746-4dbe-4a37-9adf-9e7652c0b421",
		"b73ca6ed-5727-47f3-84de-015e03f6a88a", "d374f42a-9be2-4163-a0fa-3c86a401b7a7"};
	for (size_t i = 0; i < COUNTOF(ids); i++)
		if (slice_eq(text, slice_of(ids[i])))
			return true;
	return false;
}

/* Groups, and deployments, whose GUIDs hang on the ServerID.  outer: of a guid, the list that it stands in. */
static struct slice mask_policy(struct slice element, struct slice outer, struct slice text)
{
	bool group = text_ieq(element, SL("TargetGroupID")) || slice_eq(element, SL("ParentGroupId"));
	if (group && !is_builtin_group(text))
		return mask_numbered("GROUP", text);
	if (slice_eq(element, SL("DeploymentGuid")) || (slice_eq(element, SL("guid")) && slice_eq(outer, SL("DeadDeployments"))))
		return mask_numbered("DEPLOYMENT", text);
	return SL0;
}

/* What stands for this element's text in an expected answer; absent: the text itself. */
static struct slice mask_of(struct slice element, struct slice text)
{
	struct guid g;
	char today[DATE_TEXT + 1];
	date_text(time_now(), today);
	if (slice_eq(element, SL("EncryptedData")))
		return SL("@COOKIE@");
	if (slice_eq(element, SL("CookieData")))
		return SL("@AUTHCOOKIE@");
	if (slice_eq(element, SL("LastChange")) || slice_eq(element, SL("ConfigFileLastModifiedTime")))
		return SL("@LASTCHANGE@");
	if (slice_eq(element, SL("Anchor")) || slice_eq(element, SL("NewConfigAnchor")))
		return mask_anchor(text);
	if (slice_eq(element, SL("ID")) && text_guid(text, &g))
		return SL("@ID@");
	if (slice_eq(element, SL("LastChangeTime")) && slice_eq(text, slice_of(today)))
		return SL("@TODAY@");
	if (slice_eq(element, SL("GoLiveTime")) && text.n > DATE_TEXT && slice_eq((struct slice){text.p, DATE_TEXT}, slice_of(today)))
		return SL("@NOW@");
	return SL0;
}

/* Line breaks between tags, masks for texts. */
static void show_body(struct buf *to, struct slice body)
{
	struct slice element = SL0, outer = SL0;
	for (size_t i = 0; i < body.n;) {
		const char *lt = memchr(body.p + i, '<', body.n - i);
		struct slice text = {body.p + i, lt ? (size_t)(lt - body.p) - i : body.n - i};
		struct slice mask = text.n ? mask_of(element, text) : SL0;
		if (text.n && !mask.p)
			mask = mask_policy(element, outer, text);
		buf_slice(to, mask.p ? mask : text);
		if (!lt)
			return;
		i += text.n;
		if (text.n == 0 && i > 0)
			buf_char(to, '\n');
		const char *gt = memchr(lt, '>', body.n - i);
		size_t n = gt ? (size_t)(gt - lt) + 1 : body.n - i;
		buf_add(to, lt, n);
		element = (struct slice){lt + 1, n - 2};
		if (!slice_eq(element, SL("guid")) && !slice_eq(element, SL("/guid")))
			outer = element;
		i += n;
	}
	buf_char(to, '\n');
}

static void show_answer(struct stage *s, struct buf *to, const struct answer *a, struct slice body)
{
	buf_printf(to, "%d\n", a->status);
	for (struct slice h = a->headers; h.n > 0;) {
		struct slice line = text_cut(&h, '\n');
		buf_printf(to, "%.*s\n", SLF(text_trim(line)));
	}
	buf_char(to, '\n');
	show_body(to, body);
	must(to->rc == E_OK, "out of memory");
	(void)s;
}

/* ---- one request ---- */

static const struct service *const services[] = {&auth_service, &client_service, &reporting_service, &serversync_service};

static const struct service *service_named(struct slice name)
{
	for (size_t i = 0; i < COUNTOF(services); i++)
		if (slice_eq(name, slice_of(services[i]->name)))
			return services[i];
	must(false, "Service: auth, client, reporting or serversync");
	return NULL;
}

/* Reporting and ServerSync have one namespace. */
static bool is_report(struct slice body)
{
	for (size_t i = 0; i < reporting_service.nops; i++) {
		const struct op *op = &reporting_service.op[i];
		if (!op->ns && memmem(body.p, body.n, op->in->name, strlen(op->in->name)))
			return true;
	}
	return false;
}

/* The one that has an operation in a namespace that the body declares; Ping, which more than one has, is ServerSync's. */
static const struct service *service_of(struct slice body)
{
	static const struct {
		const char *ns;
		const struct service *service;
	} table[] = {
		{WUSP_NS_SIMPLEAUTH, &auth_service},
		{WSUSSS_NS_AUTH, &auth_service},
		{WSUSSS_NS_SYNC, &serversync_service},
		{WSUSSS_NS_PING, &serversync_service},
	};
	for (size_t i = 0; i < COUNTOF(table); i++)
		for (const char *quote = "\"'"; *quote; quote++) {
			char declared[128];
			int n = snprintf(declared, sizeof(declared), "=%c%s%c", *quote, table[i].ns, *quote);
			if (memmem(body.p, body.n, declared, (size_t)n))
				return table[i].service == &serversync_service && is_report(body) ? &reporting_service : table[i].service;
		}
	return &client_service;
}

static void take_header(struct stage *s, struct request *r, struct slice line)
{
	struct slice value = line, name = text_cut(&value, ':');
	static const struct {
		const char *name;
		size_t at;
	} texts[] = {
		{"Method", offsetof(struct request, method)},
		{"Host", offsetof(struct request, host)},
		{"Scheme", offsetof(struct request, scheme)},
		{"Path", offsetof(struct request, path)},
		{"Accept-Encoding", offsetof(struct request, accept_encoding)},
		{"SOAPAction", offsetof(struct request, soap_action)},
		{"Server-Name", offsetof(struct request, server_name)},
		{"Server-Port", offsetof(struct request, server_port)},
		{"Peer", offsetof(struct request, peer)},
	};
	value = text_trim(value);
	for (size_t i = 0; i < COUNTOF(texts); i++)
		if (text_ieq(name, slice_of(texts[i].name)))
			*(struct slice *)(void *)((char *)r + texts[i].at) = value;
	if (text_ieq(name, SL("Too-Large")))
		r->body_too_large = true;
	if (text_ieq(name, SL("Short")))
		r->body_short = true;
	if (text_ieq(name, SL("Service")))
		s->worker->service = service_named(value);
}

static void make_request(struct stage *s, struct request *r, struct slice body, struct slice headers)
{
	s->worker->service = service_of(body);
	bool dss = memmem(body.p, body.n, WSUSSS_NS_AUTH, sizeof(WSUSSS_NS_AUTH) - 1) != NULL;
	*r = (struct request){
		.method = SL("POST"),
		.path = slice_of(s->worker->service->paths[dss ? 1 : 0]),
		.content_type = SL("text/xml; charset=utf-8"),
		.host = SL("wsus.example.com:8530"),
		.scheme = SL("http"),
		.server_name = SL("192.0.2.1"),
		.server_port = SL("8530"),
		.peer = SL("198.51.100.7"),
		.body = body,
		.a = &s->req,
		.id = 1,
	};
	while (headers.n > 0) {
		struct slice line = text_trim(text_cut(&headers, '\n'));
		if (line.n > 0)
			take_header(s, r, line);
	}
}

static struct slice expand(struct stage *s, struct slice text)
{
	static const char open[] = "<s:Envelope xmlns:s=\"" SOAP_NS11 "\"><s:Body>", close[] = "</s:Body></s:Envelope>";
	bool bare = text.n > 0 && text.p[0] == '<' && !memmem(text.p, text.n, "Envelope", 8);
	struct buf b;
	buf_init(&b, (size_t)16 << 20);
	if (bare)
		buf_str(&b, open);
	substitute(s, &b, bare ? text_trim(text) : text);
	if (bare)
		buf_str(&b, close);
	must(b.rc == E_OK, "out of memory");
	struct slice out = copy(&s->a, buf_bytes(&b));
	buf_free(&b);
	return out;
}

/* Sends; appends the answer as text to *shown and remembers its tokens. */
static int send_request(struct stage *s, const struct request *r, struct buf *shown)
{
	struct answer a;
	struct buf body, plain;
	buf_init(&body, LIMIT_REPLY);
	buf_init(&plain, LIMIT_REPLY);
	long ordered = alloc_fail_at;
	service_answer(s->worker, r, &a);
	alloc_failed = ordered > 0 && alloc_fail_at == 0;
	alloc_fail_at = 0;
	for (size_t i = 0; i < a.niov; i++)
		buf_add(&body, a.iov[i].iov_base, a.iov[i].iov_len);
	must(body.n == a.length, "an answer's length is not the sum of its parts");
	bool packed = memmem(a.headers.p, a.headers.n, "xpress", 6) != NULL;
	must(!packed || xpress_unpack(buf_bytes(&body), &plain) == E_OK, "an answer does not unpack");
	struct slice text = buf_bytes(packed ? &plain : &body);
	show_answer(s, shown, &a, text);
	if (a.status == 200)
		remember_tokens(s, text);
	worker_sent(s->worker);
	arena_reset(&s->req);
	buf_free(&body);
	buf_free(&plain);
	return a.status;
}

/* ---- torture ---- */

static int hash_computer(const struct computer *c, void *arg)
{
	uint64_t *h = arg;
	const struct slice parts[] = {c->id, c->dns_name, c->requested_groups, c->address, c->info};
	for (size_t i = 0; i < COUNTOF(parts); i++)
		for (size_t k = 0; k < parts[i].n; k++)
			*h = (*h ^ (uint8_t)parts[i].p[k]) * UINT64_C(1099511628211);
	*h = *h * 31 + c->registered;
	return 0;
}

static int hash_downstream(const struct downstream *d, void *arg)
{
	uint64_t *h = arg;
	const struct slice parts[] = {{(const char *)d->id.b, sizeof(d->id.b)}, d->name, d->address};
	for (size_t i = 0; i < COUNTOF(parts); i++)
		for (size_t k = 0; k < parts[i].n; k++)
			*h = (*h ^ (uint8_t)parts[i].p[k]) * UINT64_C(1099511628211);
	*h = *h * 31 + (uint64_t)d->last_seen + d->came;
	return 0;
}

static int hash_wanted(const struct wanted *w, void *arg)
{
	uint64_t *h = arg;
	for (size_t k = 0; k < sizeof(w->digest.b); k++)
		*h = (*h ^ w->digest.b[k]) * UINT64_C(1099511628211);
	*h = *h * 31 + w->times;
	return 0;
}

/* What reports left, as lines; they live as long as a request. */
static struct slice rows_now(struct stage *s, struct txn *t)
{
	struct err e = {0};
	struct buf b;
	buf_init(&b, (size_t)16 << 20);
	must(rows_show(t, &s->req, &b, &e) == E_OK, e.text);
	must(b.rc == E_OK, "out of memory");
	struct slice rows = copy(&s->req, buf_bytes(&b));
	buf_free(&b);
	return rows;
}

static uint64_t hash_store(struct stage *s)
{
	struct err e;
	struct txn *t;
	uint64_t h = UINT64_C(14695981039346656037);
	must(txn_begin(s->store, TXN_READ, &t, &e) == E_OK, "no transaction");
	must(computer_each(t, hash_computer, &h, &e) == E_OK, "computers");
	must(downstream_each(t, hash_downstream, &h, &e) == E_OK, "downstream servers");
	must(wanted_each(t, hash_wanted, &h, &e) == E_OK, "wanted files");
	struct slice rows = rows_now(s, t);
	for (size_t i = 0; i < rows.n; i++)
		h = (h ^ (uint8_t)rows.p[i]) * UINT64_C(1099511628211);
	txn_end(&t);
	arena_reset(&s->req);
	return h;
}

/* As before its first request: what a worker keeps from one to the next must be allocated anew. */
static void worker_cold(struct worker *w)
{
	rope_free(&w->rope);
	rope_init(&w->rope);
	buf_free(&w->packed);
	buf_init(&w->packed, LIMIT_REPLY);
}

/* The two faults that are meant to follow what was written: some files are known, a server waits to be approved. */
static bool follows_writing(struct slice expected)
{
	return memmem(expected.p, expected.n, SL("FileDigestsMissing").p, 18) || memmem(expected.p, expected.n, SL("accountGuid: ").p, 13);
}

static bool torture(struct stage *s, const struct request *r, struct slice expected, const char *step)
{
	struct buf shown;
	struct slice meanwhile = s->meanwhile;
	buf_init(&shown, LIMIT_REPLY);
	bool good = true;
	s->meanwhile = SL0; /* only the request that counts is disturbed */
	for (long n = 1; good && n < 100000; n++) {
		uint64_t before = hash_store(s);
		buf_reset(&shown);
		worker_cold(s->worker);
		alloc_fail_at = n;
		int status = send_request(s, r, &shown);
		if (!alloc_failed)
			break;
		bool noted = follows_writing(expected);
		if (status == 500 && !noted && hash_store(s) != before)
			good = wrong(s, "%s: a fault at allocation %ld changed the store", step, n);
		else if (slice_eq(buf_bytes(&shown), expected))
			continue; /* what was not to be had was not needed: what a worker keeps for the next time */
		else if (status != 500)
			good = wrong(s, "%s: a wrong answer at allocation %ld:\n%.*s", step, n, SLF(buf_bytes(&shown)));
		else if (!memmem(shown.p, shown.n, "<ErrorCode>ServerBusy<", 22))
			good = wrong(s, "%s: another fault than ServerBusy at allocation %ld:\n%.*s", step, n, SLF(buf_bytes(&shown)));
	}
	s->meanwhile = meanwhile;
	buf_free(&shown);
	return good;
}

/* ---- verbs ---- */

struct words {
	struct slice v[MAX_WORDS];
	size_t n;
};

static struct words split(struct slice line)
{
	struct words w = {.n = 0};
	line = text_trim(line);
	while (line.n > 0 && w.n < MAX_WORDS) {
		bool quoted = line.p[0] == '"';
		if (quoted)
			line = (struct slice){line.p + 1, line.n - 1};
		w.v[w.n++] = text_cut(&line, quoted ? '"' : ' ');
		line = line.p ? text_trim(line) : SL0;
	}
	return w;
}

/* key=value among the words; absent if it is not there. */
static struct slice option(const struct words *w, const char *key)
{
	for (size_t i = 0; i < w->n; i++) {
		struct slice value = w->v[i], name = text_cut(&value, '=');
		if (value.p && slice_eq(name, slice_of(key)))
			return value;
	}
	return SL0;
}

static uint32_t group_named(struct txn *t, struct slice name)
{
	uint32_t no = 0;
	must(group_find(t, name, &no) == E_OK, "no such group");
	return no;
}

static int32_t revision_named(struct txn *t, struct slice id)
{
	struct guid g;
	int32_t rev = 0;
	int64_t number = 0;
	struct slice rest = id, text = text_cut(&rest, ':');
	must(text_guid(text, &g) && (!rest.p || text_i64(rest, &number)), "not an UpdateID[:REVISION]");
	must(revision_find(t, &g, (int32_t)number, &rev) == E_OK, "no such revision");
	return rev;
}

static uint32_t update_named(struct txn *t, struct slice id)
{
	struct guid g;
	uint32_t no = 0;
	must(text_guid(id, &g) && update_find(t, &g, &no) == E_OK, "no such update");
	return no;
}

static int do_group(struct txn *t, const struct words *w, struct err *e)
{
	uint32_t no;
	return group_create(t, w->v[1], w->n > 2 ? group_named(t, w->v[2]) : GROUP_ALL_COMPUTERS, &no, e);
}

static int do_move(struct txn *t, const struct words *w, struct err *e)
{
	return group_move(t, group_named(t, w->v[1]), group_named(t, w->v[2]), e);
}

static int do_approve(struct txn *t, const struct words *w, struct err *e)
{
	struct approval a = {.assigned = true, .admin = SL("case")};
	a.revision = revision_named(t, w->v[1]);
	a.group = group_named(t, w->v[2]);
	while (a.action < ACT__N && !slice_eq(w->v[3], slice_of(action_names[a.action])))
		a.action++;
	must(a.action < ACT__N, "no such action");
	struct slice deadline = option(w, "deadline"), golive = option(w, "golive"), prio = option(w, "priority");
	must(!deadline.p || text_time(deadline, &a.deadline), "deadline");
	must(!golive.p || text_time(golive, &a.go_live), "golive");
	if (prio.p)
		a.priority = slice_eq(prio, SL("high")) ? PRIO_HIGH : PRIO_LOW;
	return approve(t, &a, e);
}

static int do_unapprove(struct txn *t, const struct words *w, struct err *e)
{
	return unapprove(t, update_named(t, w->v[1]), group_named(t, w->v[2]), SL("case"), e);
}

static int do_decline(struct txn *t, const struct words *w, struct err *e)
{
	return update_decline(t, update_named(t, w->v[1]), true, SL("case"), e);
}

static int do_undecline(struct txn *t, const struct words *w, struct err *e)
{
	return update_decline(t, update_named(t, w->v[1]), false, SL("case"), e);
}

static int do_setting(struct txn *t, const struct words *w, struct err *e)
{
	return setting_set(t, w->v[1], w->v[2], e);
}

static int do_assign(struct txn *t, const struct words *w, struct err *e)
{
	uint32_t no[MAX_WORDS];
	for (size_t i = 2; i < w->n; i++)
		no[i - 2] = group_named(t, w->v[i]);
	return assign_set(t, w->v[1], no, w->n - 2, e);
}

static struct sha1 digest_named(struct slice hex)
{
	struct sha1 d;
	must(text_hex(hex, d.b, sizeof(d.b)), "not a SHA-1");
	return d;
}

static int do_stored(struct txn *t, const struct words *w, struct err *e)
{
	struct sha1 d = digest_named(w->v[1]);
	return file_set_stored(t, &d, true, e);
}

static int do_eula(struct txn *t, const struct words *w, struct err *e)
{
	struct guid g;
	must(text_guid(w->v[1], &g), "not a GUID");
	return eula_accept(t, &g, SL("case"), e);
}

static int do_url(struct txn *t, const struct words *w, struct err *e)
{
	struct sha1 d = digest_named(w->v[1]);
	return file_set_url(t, &d, w->v[2], e);
}

static int do_key(struct txn *t, const struct words *w, struct err *e)
{
	struct sha1 d = digest_named(w->v[1]);
	return file_set_key(t, &d, w->v[2], e);
}

static int do_generation(struct txn *t, const struct words *w, struct err *e)
{
	(void)w;
	return server_new_generation(t, e);
}

static ptrdiff_t refill_file(void *arg, char *to, size_t n, struct err *e)
{
	ptrdiff_t got = read(*(int *)arg, to, n);
	return got < 0 ? (err_errno(e, "read"), -1) : got;
}

/* ---- verbs that need no catalog transaction ---- */

static bool do_import(struct stage *s, const struct words *w)
{
	struct err e = {0};
	struct import *i;
	int rc = import_begin(&i, s->store, clock_now, &e);
	for (size_t k = 1; rc == E_OK && k < w->n; k++) {
		char path[512];
		snprintf(path, sizeof(path), "%s/data/%.*s.xml", s->root, SLF(w->v[k]));
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		struct import_report rep;
		must(fd >= 0, path);
		rc = import_document(i, refill_file, &fd, &rep, &e);
		close(fd);
		if (rc == E_OK && rep.outcome != IMPORT_NEW)
			rc = err_set(&e, E_FORM, "%s: %s", path, e.text);
	}
	int end = import_end(&i, rc != E_OK, rc == E_OK ? &e : NULL);
	return (rc == E_OK && end == E_OK) || wrong(s, "import: %s", e.text);
}

static bool do_clock(struct stage *s, const struct words *w)
{
	int64_t seconds;
	if (!text_i64(w->v[1], &seconds))
		return wrong(s, "clock SECONDS");
	clock_now += seconds * TICKS_PER_SECOND;
	return true;
}

/* damage TABLE HEXKEY: the row's version byte becomes another; once more, and it is whole again. */
static int do_damage(struct txn *t, const struct words *w, struct err *e)
{
	uint8_t key[64];
	char row[4096];
	struct slice was, k = {(const char *)key, w->v[2].n / 2};
	unsigned db = 0;
	while (db < DB__CATALOG && !slice_eq(w->v[1], slice_of(db_table[db].name)))
		db++;
	must(db < DB__CATALOG && k.n <= sizeof(key) && text_hex(w->v[2], key, k.n), "damage TABLE HEXKEY");
	must(db_get(t, (enum db)db, k, &was) == E_OK && was.n <= sizeof(row), "no such row to damage");
	memcpy(row, was.p, was.n);
	row[0] ^= 0x40;
	return db_put(t, (enum db)db, k, (struct slice){row, was.n}, e);
}

/* downstream STATE GUID [NAME]: the administrator's decision.  Nothing of it is published. */
static bool do_downstream(struct stage *s, const struct words *w)
{
	struct err e = {0};
	struct txn *t;
	struct guid id;
	unsigned state = DOWNSTREAM_PENDING;
	while (state <= DOWNSTREAM_BLOCKED && !slice_eq(w->v[1], slice_of(downstream_state_names[state])))
		state++;
	must(state <= DOWNSTREAM_BLOCKED && text_guid(w->v[2], &id), "downstream pending|approved|blocked GUID [NAME]");
	int rc = txn_begin(s->store, TXN_CATALOG, &t, &e);
	if (rc == E_OK)
		rc = downstream_decide(t, &id, w->n > 3 ? w->v[3] : SL(""), (enum downstream_state)state, SL("case"), &e);
	if (rc == E_OK)
		rc = txn_commit(&t, &e);
	txn_end(&t);
	return rc == E_OK || wrong(s, "downstream: %s", e.text);
}

/* strangers N: as many downstream servers that nobody decided upon came by. */
static bool do_strangers(struct stage *s, const struct words *w)
{
	struct err e = {0};
	struct txn *t;
	int64_t n = 0;
	must(text_i64(w->v[1], &n), "strangers N");
	int rc = txn_begin(s->store, TXN_FLEET, &t, &e);
	for (int64_t i = 1; rc == E_OK && i <= n; i++) {
		struct downstream d = {.name = SL("stranger"), .address = SL(""), .came = true, .last_seen = clock_now};
		put_be64(d.id.b, (uint64_t)i);
		rc = downstream_contact(t, &d, &e);
	}
	if (rc == E_OK)
		rc = txn_commit(&t, &e);
	txn_end(&t);
	return rc == E_OK || wrong(s, "strangers: %s", e.text);
}

/* forget ID: as an administrator deletes a computer. */
static bool do_forget(struct stage *s, const struct words *w)
{
	struct err e = {0};
	struct txn *t;
	int rc = txn_begin(s->store, TXN_FLEET, &t, &e);
	if (rc == E_OK)
		rc = computer_delete(t, w->v[1], &e);
	if (rc == E_OK)
		rc = txn_commit(&t, &e);
	txn_end(&t);
	return rc == E_OK || wrong(s, "forget: %s", e.text);
}

/* meanwhile LINE */
static bool put_off(struct stage *s, const struct words *w)
{
	struct slice first = w->v[1], last = w->v[w->n - 1];
	bool quoted = last.p[last.n] == '"';
	s->meanwhile = (struct slice){first.p, (size_t)(last.p - first.p) + last.n + quoted};
	return true;
}

/* keep NAME [TOKEN]: @NAME@ is from now on what @TOKEN@ is now, @COOKIE@ unless another is named. */
static bool do_keep(struct stage *s, const struct words *w)
{
	set_token(s, w->v[1], get_token(s, w->n > 2 ? w->v[2] : SL("COOKIE")));
	return true;
}

static void set_cookie_token(struct stage *s, struct slice name, const char *sealed, size_t n)
{
	struct buf b;
	buf_init(&b, 4 * COOKIE_MAX);
	base64_add(&b, (struct slice){sealed, n});
	set_token(s, name, buf_bytes(&b));
	buf_free(&b);
}

/* The present cookie, opened. */
static bool present_cookie(struct stage *s, struct cookie *k)
{
	struct slice raw;
	return (text_base64(get_token(s, SL("COOKIE")), &s->a, &raw) && cookie_open(s->sealer, raw, k) == E_OK) ||
		wrong(s, "no cookie yet");
}

/* One bit of the cookie changed: @TAMPERED@. */
static bool do_tamper(struct stage *s, const struct words *w)
{
	struct slice raw;
	int64_t at = 0;
	must(text_base64(get_token(s, SL("COOKIE")), &s->a, &raw) && text_i64(w->v[1], &at), "tamper BYTE");
	char bytes[COOKIE_MAX];
	must(raw.n <= sizeof(bytes) && (size_t)at < raw.n, "tamper BYTE");
	memcpy(bytes, raw.p, raw.n);
	bytes[at] ^= 1;
	set_cookie_token(s, SL("TAMPERED"), bytes, raw.n);
	return true;
}

/* As another server with the same key would make them: @FOREIGN@, @FOREIGNAUTH@; under another key: @OTHERKEY@. */
static bool do_foreign(struct stage *s, const struct words *w)
{
	static const uint8_t secret[SEAL_MASTER] = {99};
	struct sealer *other = NULL;
	struct cookie k;
	char to[COOKIE_MAX];
	(void)w;
	if (!present_cookie(s, &k))
		return false;
	must(seal_open_secret(&other, secret, NULL) == E_OK, "sealer");
	set_cookie_token(s, SL("OTHERKEY"), to, cookie_seal(other, clock_now, &k, to));
	seal_close(&other);
	k.server.b[0] ^= 1;
	set_cookie_token(s, SL("FOREIGN"), to, cookie_seal(s->sealer, clock_now, &k, to));
	struct auth_cookie a = {.server = k.server, .generation = k.generation, .issued = clock_now, .client = k.client};
	set_cookie_token(s, SL("FOREIGNAUTH"), to, auth_cookie_seal(s->sealer, clock_now, &a, to));
	return true;
}

/* forge FIELD=VALUE ...: what we could have sealed, but for these: @FORGED@ and @FORGEDAUTH@.  Of the present cookie of a
 * downstream server; key=other: not even that. */
static bool do_forge(struct stage *s, const struct words *w)
{
	static const uint8_t secret[SEAL_MASTER] = {99};
	struct slice raw;
	struct sealer *other = NULL;
	struct dss_cookie k;
	char to[COOKIE_MAX];
	int64_t n;
	if (!text_base64(get_token(s, SL("COOKIE")), &s->a, &raw) || dss_cookie_open(s->sealer, raw, &k) != E_OK)
		return wrong(s, "no cookie of a downstream server yet");
	if (text_i64(option(w, "major"), &n))
		k.major = (uint32_t)n;
	if (text_i64(option(w, "generation"), &n))
		k.generation = (uint32_t)n;
	if (text_i64(option(w, "expires"), &n)) /* seconds from now */
		k.expires = clock_now + n * TICKS_PER_SECOND;
	if (option(w, "server").p)
		must(text_guid(option(w, "server"), &k.server), "server=GUID");
	if (option(w, "dss").p)
		must(text_guid(option(w, "dss"), &k.dss), "dss=GUID");
	must(seal_open_secret(&other, secret, NULL) == E_OK, "sealer");
	struct sealer *with = option(w, "key").p ? other : s->sealer;
	struct dss_auth_cookie a = {k.server, k.generation, k.expires, k.group, k.dss};
	set_cookie_token(s, SL("FORGED"), to, dss_cookie_seal(with, clock_now, &k, to));
	set_cookie_token(s, SL("FORGEDAUTH"), to, dss_auth_cookie_seal(with, clock_now, &a, to));
	seal_close(&other);
	return true;
}

static bool exchange(struct stage *s, const char *body, int want)
{
	struct request r;
	struct buf shown;
	buf_init(&shown, LIMIT_REPLY);
	make_request(s, &r, expand(s, slice_of(body)), SL0);
	int status = send_request(s, &r, &shown);
	if (status != want)
		wrong(s, "handshake: %.*s", SLF(buf_bytes(&shown)));
	buf_free(&shown);
	return status == want;
}

/* handshake [client=ID] [version=V] [group=NAMES] [register=no] [os=BUILD]: up to a cookie in @COOKIE@. */
static bool do_handshake(struct stage *s, const struct words *w)
{
	struct slice client = option(w, "client"), version = option(w, "version"), group = option(w, "group"), os = option(w, "os");
	set_token(s, SL("OS"), os.p ? os : SL("0"));
	set_token(s, SL("CLIENT"), client.p ? client : SL("11111111-2222-3333-4444-555555555555"));
	set_token(s, SL("VERSION"), version.p ? version : SL("2.90"));
	set_token(s, SL("GROUP"), group.p ? group : SL(""));
	bool ok = exchange(s, "<GetConfig xmlns='@NS@'><protocolVersion>@VERSION@</protocolVersion></GetConfig>", 200) &&
		exchange(s,
			"<GetAuthorizationCookie xmlns='@NSA@'><clientId>@CLIENT@</clientId>"
			"<targetGroupName>@GROUP@</targetGroupName><dnsName>pc.example.com</dnsName></GetAuthorizationCookie>",
			200) &&
		exchange(s,
			"<GetCookie xmlns='@NS@'><authCookies><AuthorizationCookie><PlugInId>SimpleTargeting</PlugInId>"
			"<CookieData>@AUTHCOOKIE@</CookieData></AuthorizationCookie></authCookies>"
			"<lastChange>@LASTCHANGE@</lastChange><currentTime>2026-01-02T03:04:05Z</currentTime>"
			"<protocolVersion>@VERSION@</protocolVersion></GetCookie>",
			200);
	if (!ok || slice_eq(option(w, "register"), SL("no")))
		return ok;
	return exchange(s,
		"<RegisterComputer xmlns='@NS@'><cookie><Expiration>@EXPIRATION@</Expiration><EncryptedData>@COOKIE@"
		"</EncryptedData></cookie><computerInfo><DnsName>pc.example.com</DnsName><OSMajorVersion>10</OSMajorVersion><OSBuildNumber>@OS@</OSBuildNumber>"
		"</computerInfo></RegisterComputer>",
		200);
}

/* server-handshake [id=GUID] [name=FQDN] [version=V] [decide=STATE|no]: a downstream server, approved before unless decide=
 * says otherwise, up to a cookie in @COOKIE@. */
static bool do_server_handshake(struct stage *s, const struct words *w)
{
	struct slice id = option(w, "id"), name = option(w, "name"), version = option(w, "version"), decide = option(w, "decide");
	set_token(s, SL("SERVER"), id.p ? id : SL("aaaaaaaa-0000-4000-8000-000000000001"));
	set_token(s, SL("SERVERNAME"), name.p ? name : SL("dss.example.com"));
	set_token(s, SL("VERSION"), version.p ? version : SL("1.20"));
	struct words d = {.v = {SL("downstream"), decide.p ? decide : SL("approved"), get_token(s, SL("SERVER"))}, .n = 3};
	return (slice_eq(decide, SL("no")) || do_downstream(s, &d)) &&
		exchange(s,
			"<GetAuthorizationCookie xmlns='@NSD@'><accountName>@SERVERNAME@</accountName><accountGuid>@SERVER@"
			"</accountGuid></GetAuthorizationCookie>",
			200) &&
		exchange(s,
			"<GetCookie xmlns='@NSS@'><authCookies><AuthorizationCookie><PlugInId>DssTargeting</PlugInId>"
			"<CookieData>@AUTHCOOKIE@</CookieData></AuthorizationCookie></authCookies>"
			"<protocolVersion>@VERSION@</protocolVersion></GetCookie>",
			200);
}

static int count_computer(const struct computer *c, void *arg)
{
	(void)c;
	++*(unsigned *)arg;
	return 0;
}

static int count_downstream(const struct downstream *d, void *arg)
{
	*(unsigned *)arg += d->came;
	return 0;
}

static int count_wanted(const struct wanted *v, void *arg)
{
	(void)v;
	++*(unsigned *)arg;
	return 0;
}

/* expect downstream GUID WHAT VALUE */
static bool expect_downstream(struct stage *s, struct txn *t, const struct words *w)
{
	struct guid id;
	struct downstream d;
	struct slice what = w->v[3], want = w->v[w->n - 1], got = SL("?");
	char parent[GUID_TEXT + 1];
	must(w->n == 5 && text_guid(w->v[2], &id), "expect downstream GUID WHAT VALUE");
	if (downstream_get(t, &id, &d, NULL) != E_OK)
		return wrong(s, "no downstream server %.*s", SLF(w->v[2]));
	guid_text(&d.parent, parent);
	const struct {
		const char *what;
		struct slice got;
	} table[] = {
		{"name", d.name},
		{"address", d.address},
		{"state", slice_of(downstream_state_names[d.state])},
		{"version", arena_printf(&s->a, "%u.%u", (unsigned)d.major, (unsigned)d.minor)},
		{"came", d.came ? SL("yes") : SL("no")},
		{"listed", d.listed ? SL("yes") : SL("no")},
		{"replicated", d.replicated ? SL("yes") : SL("no")},
		{"rolled-up", d.last_rollup || d.last_sync ? SL("yes") : SL("no")},
		{"parent", slice_eq(slice_of(parent), get_token(s, SL("SERVERID"))) ? SL("us") : slice_of(parent)},
	};
	for (size_t i = 0; i < COUNTOF(table); i++)
		if (slice_eq(what, slice_of(table[i].what)))
			got = table[i].got;
	return slice_eq(got, want) ||
		wrong(s, "expected %.*s %.*s, found %.*s", SLF(what), SLF(want), SLF(got));
}

/* Do a line's words hold these, in this order, the first of them at its beginning? */
static bool line_has(struct slice line, const struct slice *v, size_t n)
{
	if (n == 0 || line.n < v[0].n || memcmp(line.p, v[0].p, v[0].n) != 0)
		return false;
	for (size_t i = 0; i < n; i++) {
		const char *p = memmem(line.p, line.n, v[i].p, v[i].n);
		if (!p)
			return false;
		line = (struct slice){p + v[i].n, line.n - (size_t)(p - line.p) - v[i].n};
	}
	return true;
}

/* Of what reports left: is there a line of rows.h with these words?  `no` before them: is there none? */
static bool expect_rows(struct stage *s, struct txn *t, const struct words *w)
{
	size_t no = slice_eq(w->v[1], SL("no"));
	struct slice rows = rows_now(s, t);
	bool found = false;
	for (struct slice rest = rows; rest.n > 0 && !found;)
		found = line_has(text_cut(&rest, '\n'), w->v + 1 + no, w->n - 1 - no);
	bool ok = found != (bool)no || wrong(s, "expected %s line %.*s %.*s %.*s ..., the rows are\n%.*s", no ? "no" : "a",
		SLF(w->v[1 + no]), SLF(w->v[2 + no]), SLF(w->n > 3 + no ? w->v[3 + no] : SL("")), SLF(rows));
	arena_reset(&s->req);
	return ok;
}

static bool is_of_rows(struct slice what)
{
	static const char *const words[] = {"no", "status", "standing", "event", "events", "tally", "cohort", "activity"};
	for (size_t i = 0; i < COUNTOF(words); i++)
		if (slice_eq(what, slice_of(words[i])))
			return true;
	return false;
}

/* expect standing|status|event|events|tally|cohort|activity WORDS, expect WHAT ID VALUE, expect computers|groups|approvals|downstreams|wanted N: what the store holds now. */
static bool expect_of(struct stage *s, struct txn *t, const struct words *w)
{
	struct computer c;
	struct ComputerInfo info;
	struct store_stat stat;
	struct err e;
	unsigned n = 0;
	struct slice what = w->v[1], want = w->v[w->n - 1], got = SL("?");
	if (slice_eq(what, SL("computers"))) {
		must(computer_each(t, count_computer, &n, &e) == E_OK, "computers");
		got = arena_printf(&s->a, "%u", n);
	} else if (slice_eq(what, SL("downstreams"))) {
		must(downstream_each(t, count_downstream, &n, &e) == E_OK, "downstream servers");
		got = arena_printf(&s->a, "%u", n);
	} else if (slice_eq(what, SL("wanted"))) {
		must(wanted_each(t, count_wanted, &n, &e) == E_OK, "wanted files");
		got = arena_printf(&s->a, "%u", n);
	} else if (slice_eq(what, SL("downstream"))) {
		return expect_downstream(s, t, w);
	} else if (slice_eq(what, SL("groups")) && w->n == 3) {
		must(store_stat(t, &stat, &e) == E_OK, "figures");
		got = arena_printf(&s->a, "%u", stat.groups);
	} else if (slice_eq(what, SL("approvals"))) {
		must(store_stat(t, &stat, &e) == E_OK, "figures");
		got = arena_printf(&s->a, "%u", stat.deployments);
	} else if (computer_get(t, w->v[2], &c) != E_OK) {
		return wrong(s, "no computer %.*s", SLF(w->v[2]));
	} else if (slice_eq(what, SL("registered"))) {
		got = c.registered ? SL("yes") : SL("no");
	} else if (slice_eq(what, SL("dns"))) {
		got = c.dns_name;
	} else if (slice_eq(what, SL("groups"))) {
		got = c.requested_groups;
	} else if (slice_eq(what, SL("version"))) {
		got = arena_printf(&s->a, "%u.%u", c.major, c.minor);
	} else if (slice_eq(what, SL("os")) && computer_info_unpack(c.info, &info) == E_OK) {
		got = info.OSDescription;
	}
	return slice_eq(got, want) ||
		wrong(s, "expected %.*s %.*s, found %.*s", SLF(what), SLF(want), SLF(got));
}

static bool do_expect(struct stage *s, const struct words *w)
{
	struct txn *t;
	struct err e;
	worker_flush(s->worker);
	must(txn_begin(s->store, TXN_READ, &t, &e) == E_OK, "no transaction");
	bool ok = is_of_rows(w->v[1]) ? expect_rows(s, t, w) : expect_of(s, t, w);
	txn_end(&t);
	return ok;
}

static const struct {
	const char *name;
	size_t least; /* words, itself included */
	int (*policy)(struct txn *, const struct words *, struct err *);
	bool (*other)(struct stage *, const struct words *);
} verbs[] = {
	{"import", 2, NULL, do_import},
	{"group", 2, do_group, NULL},
	{"move", 3, do_move, NULL},
	{"approve", 4, do_approve, NULL},
	{"unapprove", 3, do_unapprove, NULL},
	{"decline", 2, do_decline, NULL},
	{"undecline", 2, do_undecline, NULL},
	{"setting", 3, do_setting, NULL},
	{"assign", 2, do_assign, NULL},
	{"stored", 2, do_stored, NULL},
	{"eula", 2, do_eula, NULL},
	{"url", 3, do_url, NULL},
	{"key", 3, do_key, NULL},
	{"generation", 1, do_generation, NULL},
	{"damage", 3, do_damage, NULL},
	{"meanwhile", 2, NULL, put_off},
	{"clock", 2, NULL, do_clock},
	{"keep", 2, NULL, do_keep},
	{"tamper", 2, NULL, do_tamper},
	{"foreign", 1, NULL, do_foreign},
	{"handshake", 1, NULL, do_handshake},
	{"downstream", 3, NULL, do_downstream},
	{"strangers", 2, NULL, do_strangers},
	{"forget", 2, NULL, do_forget},
	{"server-handshake", 1, NULL, do_server_handshake},
	{"forge", 2, NULL, do_forge},
	{"expect", 3, NULL, do_expect},
};

static bool do_policy(struct stage *s, size_t verb, const struct words *w)
{
	struct err e = {0};
	struct txn *t;
	struct publish_report rep;
	int rc = txn_begin(s->store, TXN_CATALOG, &t, &e);
	if (rc == E_OK)
		rc = verbs[verb].policy(t, w, &e);
	if (rc == E_OK)
		rc = publish(t, clock_now, &rep, &e);
	if (rc == E_OK)
		rc = txn_commit(&t, &e);
	txn_end(&t);
	return rc == E_OK || wrong(s, "%s: %s", verbs[verb].name, e.text);
}

static bool do_lines(struct stage *s, struct slice text)
{
	while (text.n > 0) {
		struct words w = split(text_cut(&text, '\n'));
		if (w.n == 0 || w.v[0].p[0] == '#')
			continue;
		size_t i = 0;
		while (i < COUNTOF(verbs) && !slice_eq(w.v[0], slice_of(verbs[i].name)))
			i++;
		if (i == COUNTOF(verbs) || w.n < verbs[i].least)
			return wrong(s, "bad line: %.*s", SLF(w.v[0]));
		if (!(verbs[i].policy ? do_policy(s, i, &w) : verbs[i].other(s, &w)))
			return false;
		know_server(s);
	}
	return true;
}

/* A process of its own, as wsusctl is: it opens the store anew and never returns. */
_Noreturn static void be_another(struct stage *s, struct slice lines)
{
	struct err e;
	struct stage other = {.root = s->root, .name = s->name};
	arena_init(&other.a, (size_t)16 << 20);
	bool ok = store_open(&other.store, s->dir, STORE_ADMIN, &e) == E_OK && do_lines(&other, lines);
	store_close(&other.store);
	_exit(ok ? 0 : 1);
}

static void do_meanwhile(struct stage *s)
{
	struct slice lines = s->meanwhile;
	int status = 1;
	s->meanwhile = SL0;
	if (lines.n == 0)
		return;
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0)
		be_another(s, lines);
	must(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0, "what was to be done meanwhile failed");
}

/* ---- steps ---- */

static bool write_file(const char *path, struct slice text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	bool ok = fd >= 0 && write(fd, text.p, text.n) == (ptrdiff_t)text.n;
	if (fd >= 0)
		close(fd);
	return ok;
}

static bool compare(struct stage *s, const char *step, const char *kind, struct slice got)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/%s/%.2s-%s", s->root, s->name, step, kind);
	struct slice want = read_file(&s->a, path);
	if (slice_eq(got, want))
		return true;
	if (opt_update)
		return write_file(path, got) || wrong(s, "cannot write %s", path);
	return wrong(s, "%.2s-%s is not the expected one:\n%.*s", step, kind, SLF(got));
}

static bool do_request(struct stage *s, const char *step, struct slice text)
{
	struct request r;
	struct buf shown;
	buf_init(&shown, LIMIT_REPLY);
	struct slice body = expand(s, text), headers = case_file(s, step, "req.headers");
	make_request(s, &r, body, headers);
	if (opt_torture) {
		char path[512];
		snprintf(path, sizeof(path), "%s/%s/%.2s-rsp.txt", s->root, s->name, step);
		torture(s, &r, read_file(&s->a, path), step);
	}
	send_request(s, &r, &shown);
	bool ok = compare(s, step, "rsp.txt", buf_bytes(&shown)) && !s->why[0];
	buf_free(&shown);
	return ok;
}

static bool do_rows(struct stage *s, const char *step)
{
	struct txn *t;
	struct err e;
	worker_flush(s->worker);
	must(txn_begin(s->store, TXN_READ, &t, &e) == E_OK, "no transaction");
	bool ok = compare(s, step, "rows", rows_now(s, t));
	txn_end(&t);
	arena_reset(&s->req);
	return ok;
}

static bool do_step(struct stage *s, const char *step)
{
	char path[512];
	size_t n = strlen(step);
	snprintf(path, sizeof(path), "%s/%s/%s", s->root, s->name, step);
	if (n > 8 && strcmp(step + n - 8, "-req.xml") == 0)
		return do_request(s, step, read_file(&s->a, path));
	if (n > 5 && strcmp(step + n - 5, "-rows") == 0)
		return do_rows(s, step);
	if (strcmp(step, "before") == 0 || (n > 3 && strcmp(step + n - 3, "-do") == 0))
		return do_lines(s, read_file(&s->a, path));
	return true;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	/* "before" stands before every number */
	bool x = (*a)->d_name[0] == 'b', y = (*b)->d_name[0] == 'b';
	return x != y ? y - x : strcmp((*a)->d_name, (*b)->d_name);
}

static int is_step(const struct dirent *d)
{
	return strcmp(d->d_name, "before") == 0 || (d->d_name[0] >= '0' && d->d_name[0] <= '9');
}

static bool run_steps(struct stage *s)
{
	char path[512];
	struct dirent **step;
	snprintf(path, sizeof(path), "%s/%s", s->root, s->name);
	int n = scandir(path, &step, is_step, by_name);
	bool ok = n > 0 || wrong(s, "no steps");
	for (int i = 0; i < n; i++) {
		ok = ok && do_step(s, step[i]->d_name);
		free(step[i]);
	}
	if (n >= 0)
		free(step);
	return ok;
}

/* Tokens of this server and its generation. */
static void know_server(struct stage *s)
{
	struct server_state st;
	struct txn *t;
	struct err e;
	char text[ANCHOR_MAX], id[GUID_TEXT + 1];
	must(txn_begin(s->store, TXN_READ, &t, &e) == E_OK && server_state_get(t, &st, &e) == E_OK, "server state");
	txn_end(&t);
	size_t n = anchor_text(&(struct anchor){1, sync_began(&st)}, text);
	set_token(s, SL("BEGAN"), (struct slice){text + 2, n - 2});
	guid_text(&st.server_id, id);
	set_token(s, SL("SERVERID"), slice_of(id));
}

static void open_stage(struct stage *s)
{
	static const uint8_t secret[SEAL_MASTER] = {1, 2, 3};
	struct err e = {0};
	const char *tmp = getenv("TMPDIR");
	snprintf(s->dir, sizeof(s->dir), "%s/wsus-case-XXXXXX", tmp ? tmp : "/tmp");
	must(mkdtemp(s->dir) != NULL, "no temporary directory");
	arena_init(&s->a, (size_t)256 << 20);
	arena_init(&s->req, LIMIT_REQUEST_MEMORY);
	must(store_create(s->dir, &e) == E_OK && store_open(&s->store, s->dir, STORE_ADMIN, &e) == E_OK, e.text);
	must(seal_open_secret(&s->sealer, secret, &e) == E_OK, "sealer");
	must(worker_new(&s->worker, &client_service, s->store, s->sealer, &e) == E_OK, "worker");
	s->worker->now = frozen_now;
	clock_now = CLOCK_START;
	set_token(s, SL("NS"), SL(WUSP_NS_CLIENT));
	set_token(s, SL("NSA"), SL(WUSP_NS_SIMPLEAUTH));
	set_token(s, SL("NSR"), SL(WUSP_NS_REPORTING));
	set_token(s, SL("NSS"), SL(WSUSSS_NS_SYNC));
	set_token(s, SL("NSD"), SL(WSUSSS_NS_AUTH));
	set_token(s, SL("NSP"), SL(WSUSSS_NS_PING));
	know_server(s);
}

static void close_stage(struct stage *s)
{
	worker_close(&s->worker);
	seal_close(&s->sealer);
	store_close(&s->store);
	arena_free(&s->a);
	arena_free(&s->req);
	nftw(s->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static bool run_case(const char *root, const char *name)
{
	struct stage s = {.root = root, .name = name};
	the_stage = &s;
	open_stage(&s);
	bool ok = run_steps(&s);
	close_stage(&s);
	if (!ok)
		printf("FAILED %s: %s\n", name, s.why);
	else if (opt_verbose)
		printf("ok     %s\n", name);
	return ok;
}

static int is_case(const struct dirent *d)
{
	return d->d_name[0] != '.' && d->d_type == DT_DIR && strcmp(d->d_name, "data") != 0;
}

static bool chosen(const char *name, char **names, int n)
{
	for (int i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return n == 0;
}

int main(int argc, char **argv)
{
	unsigned passed = 0, failed = 0;
	struct dirent **d;
	int at = 1;
	for (; at < argc && argv[at][0] == '-'; at++) {
		opt_update |= strcmp(argv[at], "--update") == 0;
		opt_torture |= strcmp(argv[at], "--torture") == 0;
		opt_verbose |= strcmp(argv[at], "-v") == 0;
	}
	const char *root = at < argc ? argv[at++] : "test/case";
	log_init("case-run", LOG_ERROR);
	int n = scandir(root, &d, is_case, alphasort);
	must(n >= 0, root);
	for (int i = 0; i < n; i++) {
		if (chosen(d[i]->d_name, argv + at, argc - at))
			*(run_case(root, d[i]->d_name) ? &passed : &failed) += 1;
		free(d[i]);
	}
	free(d);
	printf("%u passed, %u failed\n", passed, failed);
	return failed ? 1 : 0;
}
