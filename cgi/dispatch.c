/* dispatch.c -- one request: find the operation, decode, check, run, encode, log.  See dispatch.h. */
#include "cgi/dispatch.h"

#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include "common/log.h"
#include "common/seal.h"
#include "common/text.h"
#include "store/content.h"

/* ---- for handlers ---- */

int call_fail(struct call *c, int rc, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(c->err.text, sizeof(c->err.text), fmt, ap);
	va_end(ap);
	c->err.code = (enum errcode)rc;
	return rc;
}

int call_fault_after(struct call *c, int rc)
{
	c->late = rc;
	c->wants_store = true;
	return E_OK;
}

bool call_client_at_least(const struct call *c, uint32_t major, uint32_t minor)
{
	return c->cookie.major > major || (c->cookie.major == major && c->cookie.minor >= minor);
}

/* host, host:port or [IPv6]:port, and nothing that could end a URL or an attribute.  *host is the part
 * before the port. */
static bool harmless_host(struct slice s, struct slice *host)
{
	size_t n = 0;
	bool v6 = s.n > 0 && s.p[0] == '[';
	static const char name[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
	static const char six[] = "[0123456789abcdefABCDEF:.";
	while (n < s.n && s.p[n] && strchr(v6 ? six : name, s.p[n]))
		n++;
	if (v6 && (n >= s.n || s.p[n++] != ']'))
		return false;
	if (n == 0 || n > 255)
		return false;
	*host = (struct slice){s.p, n};
	if (n == s.n)
		return true;
	uint64_t port;
	struct slice digits = {s.p + n + 1, s.n - n - 1};
	return s.p[n] == ':' && digits.n > 0 && digits.n <= 5 && digits.p[0] >= '0' && digits.p[0] <= '9' &&
		text_u64(digits, &port) && port >= 1 && port <= 65535;
}

static bool is_default_port(struct slice scheme, struct slice port)
{
	return port.n == 0 || slice_eq(port, slice_eq(scheme, SL("https")) ? SL("443") : SL("80"));
}

/* Host and port as the client wrote them, or ours.  *authority may need the arena: p == NULL then. */
static void find_host(struct call *c, struct slice scheme, struct slice *authority, struct slice *host)
{
	const struct request *r = c->req;
	if (harmless_host(r->host, host)) {
		*authority = r->host;
		return;
	}
	struct slice ours = c->set.server_name;
	if (!harmless_host(ours, host) && !harmless_host(ours = r->server_name, host))
		harmless_host(ours = SL("localhost"), host);
	uint64_t port;
	if (host->n < ours.n || is_default_port(scheme, r->server_port) || !text_u64(r->server_port, &port))
		*authority = ours;
	else
		*authority = arena_printf(c->a, "%.*s:%u", SLF(ours), (unsigned)(port & 0xffff));
}

struct slice call_base_url(struct call *c)
{
	if (c->set.content_url.n > 0) {
		struct slice u = c->set.content_url;
		while (u.n > 0 && u.p[u.n - 1] == '/')
			u.n--;
		return u;
	}
	struct slice scheme = text_ieq(c->req->scheme, SL("https")) ? SL("https") : SL("http");
	struct slice authority, host;
	find_host(c, scheme, &authority, &host);
	return authority.p ? arena_printf(c->a, "%.*s://%.*s", SLF(scheme), SLF(authority)) : SL0;
}

struct slice call_host(struct call *c)
{
	struct slice authority, host;
	find_host(c, SL("http"), &authority, &host);
	return host;
}

void call_client(struct call *c, const struct client_id *id)
{
	struct computer pc;
	c->client = *id;
	if (computer_get(c->txn, (struct slice){id->s, id->n}, &pc) == E_OK)
		snprintf(c->name, sizeof(c->name), "%.*s", SLF(pc.dns_name));
}

struct Cookie *call_cookie(struct call *c, const struct cookie *k)
{
	char sealed[COOKIE_MAX];
	return call_sealed(c, sealed, cookie_seal(c->w->sealer, c->now, k, sealed), k->expires);
}

struct Cookie *call_sealed(struct call *c, const char *sealed, size_t n, tick_t expires)
{
	struct Cookie *out = ARENA_NEW(c->a, struct Cookie);
	struct slice data = arena_copy(c->a, (struct slice){sealed, n});
	if (n == 0 || !out || !data.p) {
		call_fail(c, n == 0 ? E_IO : E_NOMEM, "cannot seal a cookie");
		return NULL;
	}
	WIRE_SET(out, Cookie, Expiration, expires);
	out->EncryptedData = data;
	return out;
}

/* ---- reading the request ---- */

static const struct op *find_op(const struct service *s, const struct soap_in *in)
{
	for (size_t i = 0; i < s->nops; i++)
		if (slice_eq(in->name, slice_of(s->op[i].in->name)) && slice_eq(in->ns, slice_of(op_ns(s, &s->op[i]))))
			return &s->op[i];
	return NULL;
}

/* A message over the reader's limits is refused like one over nginx's (TRANSPORT-38). */
static int too_large(struct call *c, int rc)
{
	return rc == E_LIMIT ? call_bad(c, "body") : rc;
}

static size_t service_body(const struct service *s)
{
	return s->body ? s->body : LIMIT_BODY;
}

/* Finds c->op and decodes into *in.  *in is set as soon as there is an operation: the cookie of a request
 * with a bad parameter behind it is still judged first. */
static int decode(struct call *c, void **in)
{
	struct xml *x = c->w->xml;
	struct xml_limits limits = xml_message_limits;
	limits.bytes = service_body(c->w->service);
	struct soap_in env = {.version = SOAP_11};
	if (c->req->body_too_large)
		return call_bad(c, "body");
	if (c->req->body_short)
		return call_fail(c, E_FORM, "the body ends before its Content-Length");
	xml_init(x, c->req->body, &limits, &c->err);
	int rc = soap_open(x, &env, c->a, &c->err);
	c->version = env.version; /* also of an envelope without an operation */
	if (rc != E_OK)
		return too_large(c, rc);
	const struct op *op = find_op(c->w->service, &env);
	if (!op)
		return call_fail(c, E_UNKNOWN_OPERATION, "{%.*s}%.*s", SLF(env.ns), SLF(env.name));
	void *to = arena_alloc(c->a, 1, op->in->size);
	if (!to)
		return call_fail(c, E_NOMEM, "no memory for %s", op->in->name);
	*in = to;
	c->op = op;
	rc = wire_read(x, op->in, to, c->a, &c->err);
	if (rc == E_OK)
		rc = soap_close(x, &c->err);
	return too_large(c, rc);
}

/* ---- transaction and gates ---- */

static int begin(struct call *c, enum txn_mode mode)
{
	int rc = txn_begin(c->w->store, mode, &c->w->txn, &c->err);
	c->txn = c->w->txn;
	if (rc == E_OK)
		rc = server_state_get(c->txn, &c->state, &c->err);
	if (rc == E_OK)
		rc = settings_get(c->txn, &c->set, &c->err);
	return rc;
}

/* The member named cookie of any message that has one. */
static const struct Cookie *cookie_of(const struct wtype *t, const void *in)
{
	for (unsigned i = 0; i < t->n; i++)
		if (t->field[i].kind == W_MSG && slice_eq(t->field[i].name, SL("cookie")))
			return *(struct Cookie *const *)(const void *)((const char *)in + t->field[i].offset);
	ASSERT(!"an operation with OP_COOKIE has a member cookie");
}

/* Readable, identity, expiry: COOKIE-20 to -23, A9. */
int call_check_client(struct call *c, const struct Cookie *in)
{
	if (!in || in->EncryptedData.n == 0)
		return call_fail(c, E_INVALID_COOKIE, "no cookie");
	int rc = cookie_open(c->w->sealer, in->EncryptedData, &c->cookie);
	if (rc != E_OK)
		return call_fail(c, E_INVALID_COOKIE, "not a cookie of ours");
	call_client(c, &c->cookie.client);
	if (guid_cmp(&c->cookie.server, &c->state.server_id) != 0 || c->cookie.generation != c->state.generation)
		return call_fail(c, E_SERVER_CHANGED, "cookie of generation %u", c->cookie.generation);
	if (c->cookie.expires <= c->now)
		return call_fail(c, E_COOKIE_EXPIRED, "cookie expired");
	worker_seen(c->w, &c->client, c->cookie.major, c->cookie.minor);
	return E_OK;
}

/* Configuration, then registration (COOKIE-24, -26; the Client table decides, COOKIE-32). */
static int check_gates(struct call *c)
{
	struct computer pc;
	if ((c->op->flags & OP_CONFIG) && c->cookie.last_change != c->state.last_change)
		return call_fail(c, E_CONFIG_CHANGED, "configuration changed since GetConfig");
	if (!(c->op->flags & OP_REGISTERED) || !c->set.registration_required)
		return E_OK;
	struct slice id = {c->client.s, c->client.n};
	int rc = computer_get(c->txn, id, &pc);
	if (rc == E_NOTFOUND && computer_is_health(id))
		return E_OK;
	if (rc == E_DAMAGED && store_trouble(c->w->store, STORE_FLEET))
		return E_OK; /* nobody can register now, and what it may have hangs on policy */
	if (rc != E_OK && rc != E_NOTFOUND)
		return call_fail(c, rc, "computer row");
	if (rc == E_NOTFOUND || !pc.registered)
		return call_fail(c, E_REGISTRATION_REQUIRED, "not registered");
	return E_OK;
}

/* A client that is told so asks GetFileLocations, whose cookie knows the present ones (FILELOC-09). */
static int check_locations(struct call *c)
{
	if (!(c->op->flags & OP_LOCATIONS) || !c->set.file_location_fault ||
		c->cookie.file_locations == c->state.file_locations)
		return E_OK;
	return call_fail(c, E_FILE_LOCATION_CHANGED, "file locations changed since the cookie was made");
}

static int bind_scan(struct call *c)
{
	if (!(c->op->flags & OP_SCAN))
		return E_OK;
	int rc = scan_bind(c->w->scan, c->txn, &c->set, &c->err);
	if (rc == E_OK && (c->op->flags & OP_COOKIE))
		rc = client_groups_get(c->txn, &c->set, (struct slice){c->client.s, c->client.n}, &c->groups, &c->err);
	return rc;
}

/* What a handler or the store reports beyond the protocol's own codes is our failure, not the client's: no
 * code that would start a wrong recovery. */
static int as_ours(int rc)
{
	if (rc == E_OK || rc >= E_INVALID_COOKIE || err_is_ours(rc))
		return rc;
	return E_CORRUPT;
}

/* The result of writing.  The writer's lock is let go at once: the answer may be slow to leave.  What cannot be noted
 * because fleet/ is damaged is noted when the computer comes again. */
static int stored(struct call *c, int rc)
{
	bool no_fleet = rc == E_DAMAGED && !(c->op->flags & OP_KEEPS) && !store_trouble(c->w->store, STORE_CATALOG);
	if (!no_fleet && (rc != E_FULL || !(c->op->flags & OP_SPARE)))
		return as_ours(rc);
	txn_end(&c->w->txn);
	c->wants_store = false;
	c->spared = true;
	return E_OK;
}

static int run_store(struct call *c, const void *in)
{
	txn_end(&c->w->txn);
	int rc = begin(c, TXN_FLEET);
	return stored(c, rc == E_OK ? c->op->store(c, in) : rc);
}

static int run_op(struct call *c, const void *in, void **out)
{
	int rc = c->op->check ? c->op->check(c, in) : E_OK;
	if (rc == E_OK)
		rc = check_gates(c);
	if (rc == E_OK)
		rc = check_locations(c);
	if (rc == E_OK)
		rc = bind_scan(c);
	if (rc != E_OK)
		return as_ours(rc);
	*out = arena_alloc(c->a, 1, c->op->out->size);
	if (!*out)
		return call_fail(c, E_NOMEM, "no memory for the answer");
	rc = c->op->run(c, in, *out);
	if (rc == E_OK && c->wants_store)
		rc = run_store(c, in);
	return as_ours(rc);
}

/* ---- the answer ---- */

/* Accept-Encoding lists xpress, and not with q=0 (TRANSPORT-29, -32). */
static bool lists_xpress(struct slice list)
{
	while (list.p) {
		struct slice item = text_cut(&list, ',');
		struct slice name = text_trim(text_cut(&item, ';'));
		if (!text_ieq(name, SL("xpress")))
			continue;
		struct slice q = item.p ? text_trim(item) : SL0;
		if (q.n < 3 || !text_ieq((struct slice){q.p, 2}, SL("q=")))
			return true;
		for (size_t i = 2; i < q.n; i++)
			if (q.p[i] >= '1' && q.p[i] <= '9')
				return true;
		return false;
	}
	return false;
}

static enum coding choose_coding(const struct call *c)
{
	static const enum coding by_setting[] = {
		[XPRESS_MIXED] = CODING_XPRESS_MIXED,
		[XPRESS_STREAM] = CODING_XPRESS_STREAM,
		[XPRESS_OFF] = CODING_PLAIN,
	};
	return lists_xpress(c->req->accept_encoding) ? by_setting[c->set.xpress] : CODING_PLAIN;
}

static void set_headers(struct call *c, struct answer *out, int status, bool xpress)
{
	const struct service *s = c->w->service;
	int n = snprintf(c->w->headers, sizeof(c->w->headers),
		"Cache-Control: %s\r\nContent-Type: %s\r\nVary: Accept-Encoding\r\n%s", status == 200 ? s->cache_control : "private",
		soap_content_type(c->version), xpress ? "Content-Encoding: xpress\r\n" : "");
	ASSERT(n > 0 && (size_t)n < sizeof(c->w->headers));
	*out = (struct answer){.status = status, .headers = {c->w->headers, (size_t)n}};
}

static int encode(struct call *c, const void *msg, struct answer *out)
{
	struct worker *w = c->w;
	struct slice ns = slice_of(op_ns(w->service, c->op));
	soap_write(&w->rope, c->version, w->service->dialect, ns, c->op->out->name, c->op->out, msg);
	enum coding coding = choose_coding(c);
	set_headers(c, out, 200, coding != CODING_PLAIN);
	int rc = rope_render(&w->rope, coding, c->a, &w->packed, &out->iov, &out->niov, &out->length);
	return rc == E_OK ? E_OK : call_fail(c, as_ours(rc), "cannot render the answer");
}

static void answer_bytes(struct call *c, struct answer *out, struct slice body)
{
	c->w->single = (struct iovec){(void *)(uintptr_t)body.p, body.n};
	out->iov = &c->w->single;
	out->niov = 1;
	out->length = body.n;
}

/* The last resort, when there is no memory even for a fault. */
static const char busy_fault[] =
	"<s:Envelope xmlns:s=\"" SOAP_NS11 "\"><s:Body><s:Fault><faultcode>s:Server</faultcode>"
	"<faultstring>Fault occurred</faultstring><detail><ErrorCode>ServerBusy</ErrorCode><Message></Message>"
	"<ID>00000000-0000-0000-0000-000000000000</ID><Method></Method></detail></s:Fault></s:Body></s:Envelope>";

/* A client's SOAPAction goes back as it came, if it can stand in XML. */
static struct slice fault_method(const struct call *c)
{
	struct slice a = c->req->soap_action;
	return a.n > 0 && a.n <= LIMIT_STRING && text_utf8_bad(a) == a.n ? a : SL0;
}

static struct slice fault_actor(struct call *c)
{
	const struct service *s = c->w->service;
	if (s->dialect != SOAP_ASMX || !c->req->host.p)
		return SL0;
	const char *path = s->paths[0];
	for (size_t i = 1; i < COUNTOF(s->paths) && s->paths[i]; i++)
		if (text_ieq(c->req->path, slice_of(s->paths[i])))
			path = s->paths[i];
	c->set.content_url = SL0; /* of this service, not of the content */
	struct slice base = call_base_url(c);
	return base.p ? arena_printf(c->a, "%.*s%s", SLF(base), path) : SL0;
}

/* What is known before the answer. */
static struct log_request line_of(const struct call *c, int rc)
{
	return (struct log_request){
		.id = c->req->id,
		.peer = c->req->peer,
		.op = c->op ? slice_of(c->op->in->name) : SL("-"),
		.client = c->client.n ? (struct slice){c->client.s, c->client.n} : SL0,
		.name = c->name[0] ? slice_of(c->name) : SL0,
		.events = rc == E_OK && c->events[0] ? slice_of(c->events) : SL0,
		.why = (rc != E_OK || c->spared) && c->err.text[0] ? slice_of(c->err.text) : SL0,
		.remedy = rc != E_OK && c->remedy[0] ? slice_of(c->remedy) : slice_of(err_remedy(c->spared ? E_FULL : rc)),
		.rc = rc,
		.in = c->req->body.n,
	};
}

static void count_refusal(struct call *c, int rc, struct guid *id)
{
	struct log_request l = line_of(c, rc);
	c->held = burst_count(&c->w->burst, &l, c->now, id);
}

/* Faults go out plain, whatever was asked for: no real server was seen to pack one.  id_text names the
 * incident in the log (SOAPFAULT-07).  Returns what was answered: no memory for a whole fault is ServerBusy. */
static int answer_fault(struct call *c, int rc, struct answer *out, char id_text[GUID_TEXT + 1])
{
	struct rope *r = &c->w->rope;
	bool had_memory = !c->a->failed;
	struct slice actor = fault_actor(c);
	if (had_memory && c->a->failed)
		rc = E_NOMEM; /* not a fault with something missing */
	struct soap_fault f = {.code = err_fault(rc), .ours = err_is_ours(rc), .not_understood = rc == E_NOT_UNDERSTOOD,
		.method = fault_method(c), .actor = actor};
	if (!f.code)
		f.message = slice_of(err_name(rc));
	else if (err_is_message(rc))
		f.message = c->message.p ? c->message : slice_of(c->err.text);
	else
		f.message = SL("");
	if (random_guid(&f.id) != E_OK)
		f.id = (struct guid){{0}};
	count_refusal(c, rc, &f.id);
	guid_text(&f.id, id_text);
	rope_reset(r);
	soap_write_fault(r, c->version, c->w->service->dialect, &f);
	bool whole = r->rc == E_OK && rope_buf(r)->rc == E_OK;
	if (!whole)
		c->version = SOAP_11;
	set_headers(c, out, 500, false);
	answer_bytes(c, out, whole ? buf_bytes(rope_buf(r)) : SL(busy_fault));
	return whole ? rc : E_NOMEM;
}

/* `wsusctl health` asks at the socket itself whether a worker is there; what comes by nginx has an address. */
static bool is_roll_call(const struct request *req)
{
	return req->peer.n == 0 && slice_eq(req->method, SL("HEAD"));
}

static int answer_method(struct call *c, struct answer *out)
{
	static const char headers[] = "Allow: POST\r\nContent-Type: text/plain; charset=utf-8\r\n";
	*out = (struct answer){.status = 405, .headers = SL(headers)};
	answer_bytes(c, out, SL("This address takes SOAP messages by POST.\n"));
	if (is_roll_call(c->req))
		return E_OK;
	int rc = call_fail(c, E_FORM, "method %.*s", (int)MIN(c->req->method.n, 32u), c->req->method.p ? c->req->method.p : "");
	count_refusal(c, rc, NULL);
	return rc;
}

/* The store for this request, or the time between two: ServerBusy while there is none. */
static int use_store(struct worker *w, bool idle, struct err *e)
{
	bool other = false;
	if (w->keeper)
		w->store = keeper_store(w->keeper, idle, &other, e);
	if (other)
		scan_free(&w->scan); /* what it keeps is of the one before */
	if (!w->scan)
		w->scan = scan_new();
	if (!w->scan)
		return err_set(e, E_NOMEM, "no memory for a scan");
	return w->store ? E_OK : E_DAMAGED;
}

/* A cookie that cannot even be read is none of ours, and no bad parameter. */
static int judge_malformed(struct call *c, bool cookie)
{
	struct slice path = slice_of(c->err.text);
	if (text_starts(path, SL("authCookies.")))
		return call_fail(c, E_INVALID_AUTH_COOKIE, "malformed authorization cookie");
	if (cookie && text_starts(path, SL("cookie")))
		return call_fail(c, E_INVALID_COOKIE, "malformed cookie");
	return E_INVALID_PARAMETERS;
}

static int answer_soap(struct call *c, struct answer *out)
{
	void *in = NULL, *msg = NULL;
	int rc = decode(c, &in);
	bool cookie = c->op && (c->op->flags & OP_COOKIE);
	if (rc == E_INVALID_PARAMETERS)
		rc = judge_malformed(c, cookie);
	if (rc != E_OK && !(rc == E_INVALID_PARAMETERS && cookie))
		return rc;
	struct err first = c->err;
	int rc2 = use_store(c->w, false, &c->err);
	if (rc2 == E_OK)
		rc2 = begin(c, TXN_READ);
	if (rc2 == E_OK && cookie)
		rc2 = c->w->service->check_cookie(c, cookie_of(c->op->in, in));
	if (rc2 != E_OK)
		return as_ours(rc2);
	c->err = first;
	if (rc == E_OK)
		rc = run_op(c, in, &msg);
	if (rc == E_OK && !c->late)
		rc = encode(c, msg, out);
	if (rc == E_OK && c->wants_store) /* last: a request that ends in a fault changes nothing (SOAPFAULT-22) ... */
		rc = stored(c, txn_commit(&c->w->txn, &c->err));
	if (rc == E_OK && c->wants_store && c->rings)
		content_bell_ring(store_dir(c->w->store));
	return rc == E_OK ? c->late : rc; /* ... unless the fault is what it asked for */
}

/* Reads a byte of each page that the answer lies in: what cannot be read is found now, and not when half of it is on
 * its way. */
static void touch(const struct answer *out)
{
	for (size_t i = 0; i < out->niov; i++) {
		const volatile char *p = out->iov[i].iov_base;
		size_t n = out->iov[i].iov_len;
		for (size_t at = 0; at < n; at += 4096)
			(void)p[at];
		if (n)
			(void)p[n - 1];
	}
}

/* What a damaged file does in the midst of it comes back here, once. */
static int answer_guarded(struct call *c, struct answer *out)
{
	struct worker *w = c->w;
	if (!w->keeper)
		return answer_soap(c, out);
	if (sigsetjmp(*keeper_guard(w->keeper), 1) != 0) {
		keeper_unguard(w->keeper);
		w->spoilt = true;
		w->txn = NULL; /* not to be ended: it is as damaged as its file */
		return call_fail(c, E_DAMAGED, "a file of the store is damaged");
	}
	int rc = answer_soap(c, out);
	if (rc == E_OK)
		touch(out);
	keeper_unguard(w->keeper);
	return rc;
}

/* ---- the log line ---- */

static uint64_t clock_usec(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void log_call(const struct call *c, int rc, const struct answer *a, const char *id, uint64_t start)
{
	char fault[96] = "";
	struct log_request l = line_of(c, rc);
	if (id[0])
		snprintf(fault, sizeof(fault), "%s:%s", err_fault(rc) ? err_fault(rc) : "plain", id);
	l.fault = fault[0] ? slice_of(fault) : SL0;
	l.status = a->status;
	l.out = a->length;
	l.usec = clock_usec() - start;
	if (c->held)
		burst_keep(c->held, &l);
	else
		log_request(&l);
}

void service_answer(struct worker *w, const struct request *req, struct answer *out)
{
	uint64_t start = clock_usec();
	struct call c = {.w = w, .req = req, .a = req->a, .now = w->now()};
	char id[GUID_TEXT + 1] = "";
	int rc = E_OK;
	if (!slice_eq(req->method, SL("POST"))) {
		rc = answer_method(&c, out);
	} else {
		rc = answer_guarded(&c, out);
		if (rc != E_OK) {
			rc = answer_fault(&c, rc, out, id);
			txn_end(&w->txn); /* a fault borrows nothing: no writer waits until it is read */
		}
	}
	out->last = w->spoilt;
	if (!is_roll_call(req))
		log_call(&c, rc, out, id, start);
}

/* What a large answer took goes back; a usual one's memory waits for the next. */
static void release(struct worker *w)
{
	rope_reset(&w->rope);
	buf_reset(&w->packed);
	if (w->packed.cap > ARENA_KEEP)
		buf_free(&w->packed);
}

void worker_sent(struct worker *w)
{
	txn_end(&w->txn);
	release(w);
	if (w->keeper)
		keeper_look(w->keeper);
	if (w->nseen == SEEN_BATCH)
		worker_flush(w);
}

/* ---- last contact ---- */

/* Its row among those that wait, or the end of them. */
static struct seen_row *find_seen(struct worker *w, const struct client_id *id)
{
	struct seen_row *s = w->seen;
	while (s < w->seen + w->nseen && (s->id.n != id->n || memcmp(s->id.s, id->s, id->n) != 0))
		s++;
	return s;
}

void worker_seen(struct worker *w, const struct client_id *id, uint32_t major, uint32_t minor)
{
	struct seen_row *s = find_seen(w, id);
	if (s == w->seen + SEEN_BATCH)
		return; /* worker_sent() makes room; the computer's next call counts */
	bool fresh = s == w->seen + w->nseen;
	w->nseen += fresh;
	*s = (struct seen_row){*id, w->now(), major, minor, fresh ? 0 : s->did};
}

void worker_saw(struct worker *w, const struct client_id *id, unsigned did)
{
	struct seen_row *s = find_seen(w, id);
	if (s < w->seen + w->nseen)
		s->did |= did;
}

static int write_computers_seen(struct txn *t, const struct seen_row *rows, size_t n, struct err *e)
{
	struct seen v[SEEN_BATCH];
	for (size_t i = 0; i < n; i++) {
		const struct seen_row *s = &rows[i];
		v[i] = (struct seen){{s->id.s, s->id.n}, s->at, s->major, s->minor};
	}
	return computers_seen(t, v, n, e);
}

void worker_flush(struct worker *w)
{
	struct err e;
	if (w->nseen == 0 || w->txn)
		return;
	if (!w->store || store_trouble(w->store, STORE_FLEET)) {
		w->nseen = 0; /* they come again */
		return;
	}
	int (*write)(struct txn *, const struct seen_row *, size_t, struct err *) =
		w->service->write_seen ? w->service->write_seen : write_computers_seen;
	int rc = txn_begin(w->store, TXN_FLEET, &w->txn, &e);
	if (rc == E_OK)
		rc = write(w->txn, w->seen, w->nseen, &e);
	if (rc == E_OK)
		rc = txn_commit(&w->txn, &e);
	if (rc != E_OK)
		log_line(LOG_WARN, "last contacts of %zu computers are lost: %s", w->nseen, e.text);
	txn_end(&w->txn);
	w->nseen = 0;
}

/* ---- life of a worker ---- */

int worker_new(struct worker **out, const struct service *s, struct store *store, struct sealer *sealer,
	struct err *e)
{
	struct worker *w = calloc(1, sizeof(*w));
	*out = w;
	if (!w)
		return err_set(e, E_NOMEM, "no memory for a worker");
	w->service = s;
	w->store = store;
	w->sealer = sealer;
	w->now = time_now;
	rope_init(&w->rope);
	buf_init(&w->packed, LIMIT_REPLY);
	w->scan = scan_new();
	w->xml = xml_new();
	if (w->scan && w->xml)
		return E_OK;
	worker_close(out);
	return err_set(e, E_NOMEM, "no memory for a worker");
}

int worker_open(struct worker **out, const struct service *s, struct keeper *keeper, const char *key_file,
	struct err *e)
{
	struct sealer *sealer = NULL;
	*out = NULL;
	int rc = seal_open_file(&sealer, key_file, e);
	if (rc == E_OK)
		rc = worker_new(out, s, NULL, sealer, e);
	if (rc != E_OK) {
		seal_close(&sealer);
		return rc;
	}
	(*out)->keeper = keeper;
	keeper_begin(keeper);
	(void)use_store(*out, true, NULL); /* without one it says so to each client, and looks again */
	return E_OK;
}

void worker_close(struct worker **wp)
{
	struct worker *w = *wp;
	if (!w)
		return;
	txn_end(&w->txn);
	worker_flush(w);
	burst_tell(&w->burst, INT64_MAX);
	scan_free(&w->scan);
	xml_free(&w->xml);
	if (w->keeper) {
		seal_close(&w->sealer);
		keeper_close(w->keeper);
	}
	rope_free(&w->rope);
	buf_free(&w->packed);
	free(w);
	*wp = NULL;
}

/* ---- the program ---- */

static const struct service *the_service; /* of this program */
static struct keeper *the_keeper;         /* of all its workers */
static const char *opt_key;

static int main_option(int ch, const char *arg, struct err *e)
{
	if (ch == 'S' && !(the_keeper = keeper_new(arg)))
		return err_set(e, E_NOMEM, "no memory for what workers share");
	if (ch == 'S')
		return E_OK;
	if (ch == 'K')
		opt_key = arg;
	else
		return err_set(e, E_USAGE, "unknown option -%c", ch);
	return E_OK;
}

static int main_start(void **worker, struct err *e)
{
	if (!the_keeper || !opt_key)
		return err_set(e, E_USAGE, "-S STOREDIR and -K KEYFILE are needed");
	struct worker *w;
	int rc = worker_open(&w, the_service, the_keeper, opt_key, e);
	*worker = w;
	return rc;
}

static void main_handle(void *worker, const struct request *req, struct answer *out)
{
	service_answer(worker, req, out);
}

static void main_sent(void *worker, bool ok)
{
	(void)ok; /* a lost reply changes nothing: the client asks again */
	worker_sent(worker);
}

/* A tool that was killed while it read would pin old pages until the next start of anything. */
static void main_idle(void *worker)
{
	struct worker *w = worker;
	if (use_store(w, true, NULL) != E_OK)
		return;
	worker_flush(w);
	burst_tell(&w->burst, w->now());
	store_tidy(w->store);
}

static void main_stop(void **worker)
{
	struct worker *w = *worker;
	worker_close(&w);
	*worker = NULL;
}

int service_main(int argc, char **argv, const struct service *s)
{
	char name[64];
	snprintf(name, sizeof(name), "wsus-%s", s->name);
	struct serve_ops ops = {
		.name = name,
		.usage = "  -S STOREDIR  the store (catalog/ and fleet/ below it)\n"
			 "  -K KEYFILE   the master secret that cookies are sealed with\n",
		.options = "S:K:",
		.body = service_body(s),
		.option = main_option,
		.start = main_start,
		.handle = main_handle,
		.sent = main_sent,
		.idle = main_idle,
		.stop = main_stop,
	};
	the_service = s;
	return serve_main(argc, argv, &ops);
}
