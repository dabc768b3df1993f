/* f_ops.c -- any bytes as a request: every row of every op table, and whole bodies.
 *
 * First byte: '@' and above choose a row ('A' is the first) whose element the rest becomes the content of;
 * anything below sends the rest as the body.  Second byte: bit 0 a valid cookie first, bit 1 Xpress, bit 2
 * SOAP 1.2, bit 3 a valid authorization cookie first, bit 4 both of a server that was blocked since.  Cookies are those
 * of the row's service: of a computer or of a downstream server.  In a row's content a byte that XML does not have stands
 * for what this server alone knows, or for a part of a report: see words[].
 *
 * Invariants: an answer is 200 or a fault with 500; its length is its parts'; decoded it is well-formed XML;
 * the catalog never changes; a fault leaves the fleet as it was, but that a downstream server was here and that the known ones
 * of its files are wanted; rows of servers that nobody approved have their limit. */
#include <ftw.h>
#include <stdlib.h>
#include <unistd.h>

#include "cgi/dispatch.h"
#include "common/anchor.h"
#include "common/log.h"
#include "common/seal.h"
#include "common/text.h"
#include "common/xpress.h"
#include "store/downstream.h"
#include "store/import.h"
#include "store/publish.h"
#include "store/report.h"
#include "store/sync.h"

static const struct service *const services[] = {&auth_service, &client_service, &serversync_service, &reporting_service};

enum who { COMPUTER, SERVER, BLOCKED, WHO__N };
static const struct guid server_id[WHO__N] = {[SERVER] = {{0xd1}}, [BLOCKED] = {{0xd2}}};
static char dir[256], cookie_text[WHO__N][1024], auth_text[WHO__N][1024], anchor_now[ANCHOR_MAX];
#define EVENT(number, id, update, misc) \
	"<ReportingEvent><BasicData><TargetID><Sid>PC</Sid></TargetID><TimeAtTarget>2026-01-01T00:00:0" number "</TimeAtTarget><EventInstanceID>e" \
	number "000000-0000-4000-8000-000000000001</EventInstanceID><NamespaceID>1</NamespaceID><EventID>" id "</EventID><UpdateID><UpdateID>" \
	update "-0000-4000-8000-000000000001</UpdateID><RevisionNumber>1</RevisionNumber></UpdateID></BasicData><ExtendedData><MiscData>" misc \
	"</MiscData></ExtendedData></ReportingEvent>"
/* What bytes of a row's content stand for. */
static const char *const words[] = {
	[1] = anchor_now,
	[2] = "<UpdateIdentity><UpdateID>a0000000-0000-4000-8000-000000000001</UpdateID><RevisionNumber>1</RevisionNumber></UpdateIdentity>",
	[3] = "<UpdateIdentity><UpdateID>d0000000-0000-4000-8000-000000000001</UpdateID><RevisionNumber>1</RevisionNumber></UpdateIdentity>",
	[4] = "<UpdateIdentity><UpdateID>b0000000-0000-4000-8000-000000000001</UpdateID><RevisionNumber>1</RevisionNumber></UpdateIdentity>",
	[5] = "<IdAndDelta><Id>c0000000-0000-4000-8000-000000000001</Id><Delta>false</Delta></IdAndDelta>",
	[6] = "<IdAndDelta><Id>c1000000-0000-4000-8000-000000000001</Id><Delta>true</Delta></IdAndDelta>",
	[7] = "<base64Binary>gmQg5l7BD5wM34L6qM7WOQgy9eY=</base64Binary>",
	[8] = "<Delta>true</Delta>",
	[11] = "<computerId>pc</computerId>",
	[12] = "<clientTime>2026-01-01T00:00:00Z</clientTime>",
	[14] = EVENT("1", "156", "00000000", "<string>U=A0000000-0000-4000-8000-000000000001;B0000000-0000-4000-8000-000000000001</string>"),
	[15] = EVENT("2", "182", "a0000000", "<string>F=1</string>"),
	[16] = EVENT("3", "184", "b0000000", "<string>=</string>"),
};
static struct store *store;
static struct sealer *sealer;
static struct worker *worker;
static struct arena arena;
static struct xml *reader;
static uint64_t catalog;

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static void clean_up(void)
{
	worker_close(&worker);
	seal_close(&sealer);
	store_close(&store);
	xml_free(&reader);
	arena_free(&arena);
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

struct text {
	const char *p;
	size_t n;
};

static ptrdiff_t refill_text(void *arg, char *to, size_t n, struct err *e)
{
	struct text *t = arg;
	(void)e;
	n = MIN(n, t->n);
	memcpy(to, t->p, n);
	t->p += n;
	t->n -= n;
	return (ptrdiff_t)n;
}

#define DOC(id, properties, relationships, more) \
	"<u:Update xmlns:u='http://schemas.microsoft.com/msus/2002/12/Update'><u:UpdateIdentity UpdateID='" id \
	"-0000-4000-8000-000000000001' RevisionNumber='1' /><u:Properties " properties " DefaultPropertiesLanguage='en' />" \
	"<u:LocalizedPropertiesCollection><u:LocalizedProperties><u:Language>en</u:Language><u:Title>t</u:Title>" \
	"</u:LocalizedProperties></u:LocalizedPropertiesCollection><u:Relationships>" relationships "</u:Relationships>" more "</u:Update>"
#define CATEGORY(kind) "<u:HandlerSpecificData xmlns:c='http://schemas.microsoft.com/msus/2002/12/UpdateHandlers/Category' " \
	"xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' xsi:type='c:Category'><c:CategoryInformation CategoryType='" kind \
	"' ProhibitsSubcategories='true' ProhibitsUpdates='false' /></u:HandlerSpecificData>"
#define ONE_OF(id) "<u:AtLeastOne IsCategory='true'><u:UpdateIdentity UpdateID='" id "-0000-4000-8000-000000000001' /></u:AtLeastOne>"

/* A detectoid, a product and a classification, a leaf that needs them, a bundle of it: so that there is something to answer
 * with, to all kinds of servers and computers. */
static void fill_catalog(void)
{
	static const char *const docs[] = {
		DOC("d0000000", "UpdateType='Detectoid'", "", ""),
		DOC("c0000000", "UpdateType='Category'", "", CATEGORY("Product")),
		DOC("c1000000", "UpdateType='Category'", "", CATEGORY("UpdateClassification")),
		DOC("a0000000", "UpdateType='Software' ExplicitlyDeployable='true'",
			"<u:Prerequisites><u:UpdateIdentity UpdateID='d0000000-0000-4000-8000-000000000001' />" ONE_OF("c0000000")
			ONE_OF("c1000000") "</u:Prerequisites>",
			"<u:Files><u:File Digest='gmQg5l7BD5wM34L6qM7WOQgy9eY=' DigestAlgorithm='SHA1' FileName='setup.exe' "
			"Size='9' Modified='2025-11-10T09:00:00Z' /></u:Files>"),
		DOC("b0000000", "UpdateType='Software' ExplicitlyDeployable='true'",
			"<u:Prerequisites>" ONE_OF("c0000000") ONE_OF("c1000000") "</u:Prerequisites><u:BundledUpdates><u:UpdateIdentity "
			"UpdateID='a0000000-0000-4000-8000-000000000001' RevisionNumber='1' /></u:BundledUpdates>", ""),
	};
	struct import *i;
	struct import_report rep;
	struct err e;
	ASSERT(import_begin(&i, store, time_now(), &e) == E_OK);
	for (size_t k = 0; k < COUNTOF(docs); k++) {
		struct text t = {docs[k], strlen(docs[k])};
		ASSERT(import_document(i, refill_text, &t, &rep, &e) == E_OK && rep.outcome == IMPORT_NEW);
	}
	ASSERT(import_end(&i, false, &e) == E_OK);
}

/* An approval, one that was taken back, a declined update; a downstream server that may come and one that may not. */
static void make_policy(void)
{
	static const struct guid bundle = {{0xb0, [6] = 0x40, [8] = 0x80, [15] = 1}}, leaf = {{0xa0, [6] = 0x40, [8] = 0x80, [15] = 1}};
	struct txn *t;
	struct err e;
	struct publish_report p;
	struct revision r;
	int32_t id;
	ASSERT(txn_begin(store, TXN_CATALOG, &t, &e) == E_OK);
	ASSERT(downstream_decide(t, &server_id[SERVER], SL("peer"), DOWNSTREAM_APPROVED, SL("fuzz"), &e) == E_OK);
	ASSERT(downstream_decide(t, &server_id[BLOCKED], SL("other"), DOWNSTREAM_BLOCKED, SL("fuzz"), &e) == E_OK);
	for (int round = 0; round < 2; round++) {
		ASSERT(revision_find(t, round ? &leaf : &bundle, 0, &id) == E_OK && revision_get(t, id, &r, &e) == E_OK);
		struct approval a = {.revision = id, .group = GROUP_ALL_COMPUTERS, .action = ACT_INSTALL, .assigned = true, .admin = SL("fuzz")};
		ASSERT(approve(t, &a, &e) == E_OK && publish(t, time_now(), &p, &e) == E_OK);
	}
	ASSERT(unapprove(t, r.update_no, GROUP_ALL_COMPUTERS, SL("fuzz"), &e) == E_OK && publish(t, time_now(), &p, &e) == E_OK);
	ASSERT(txn_commit(&t, &e) == E_OK);
}

/* The sealed bytes as a request has them. */
static void write_cookie(char to[1024], const char *head, const char *sealed, size_t n, const char *tail)
{
	struct buf b;
	ASSERT(n > 0);
	buf_init(&b, 1024);
	base64_add(&b, (struct slice){sealed, n});
	int length = snprintf(to, 1024, "%s%.*s%s", head, SLF(buf_bytes(&b)), tail);
	ASSERT(length > 0 && length < 1024);
	buf_free(&b);
}

static void write_cookies(enum who who, const char *plug_in, const char *auth, size_t nauth, const char *cookie, size_t n)
{
	char head[200];
	snprintf(head, sizeof(head), "<authCookies><AuthorizationCookie><PlugInId>%s</PlugInId><CookieData>", plug_in);
	write_cookie(auth_text[who], head, auth, nauth, "</CookieData></AuthorizationCookie></authCookies>");
	write_cookie(cookie_text[who], "<cookie><Expiration>2030-01-01T00:00:00Z</Expiration><EncryptedData>", cookie, n,
		"</EncryptedData></cookie>");
}

static void computer_cookies(const struct server_state *st)
{
	char auth[COOKIE_MAX], cookie[COOKIE_MAX];
	struct auth_cookie a = {.server = st->server_id, .generation = st->generation, .issued = time_now(), .client = {2, "pc"}};
	struct cookie k = {.server = st->server_id, .generation = st->generation, .last_change = st->last_change,
		.expires = TICK_MAX_YEAR9999, .major = 2, .minor = 90, .client = {2, "pc"}};
	size_t nauth = auth_cookie_seal(sealer, time_now(), &a, auth);
	write_cookies(COMPUTER, "SimpleTargeting", auth, nauth, cookie, cookie_seal(sealer, time_now(), &k, cookie));
}

static void server_cookies(const struct server_state *st, enum who who)
{
	char auth[COOKIE_MAX], cookie[COOKIE_MAX];
	struct dss_auth_cookie a = {.server = st->server_id, .generation = st->generation, .expires = TICK_MAX_YEAR9999,
		.group = GROUP_DOWNSTREAM, .dss = server_id[who]};
	struct dss_cookie k = {.server = st->server_id, .generation = st->generation, .expires = TICK_MAX_YEAR9999,
		.major = 1, .minor = 20, .group = GROUP_DOWNSTREAM, .dss = server_id[who]};
	size_t nauth = dss_auth_cookie_seal(sealer, time_now(), &a, auth);
	write_cookies(who, "DssTargeting", auth, nauth, cookie, dss_cookie_seal(sealer, time_now(), &k, cookie));
}

/* A registered computer, and what all have in their hands. */
static void make_cookies(void)
{
	struct err e;
	struct txn *t;
	struct server_state st;
	struct computer c = {.id = SL("pc"), .dns_name = SL("pc"), .requested_groups = SL(""), .address = SL("")};
	ASSERT(txn_begin(store, TXN_FLEET, &t, &e) == E_OK && server_state_get(t, &st, &e) == E_OK);
	ASSERT(computer_contact(t, &c, &e) == E_OK && computer_register(t, SL("pc"), SL("\1"), &e) == E_OK);
	catalog = txn_catalog_version(t);
	ASSERT(txn_commit(&t, &e) == E_OK);
	computer_cookies(&st);
	server_cookies(&st, SERVER);
	server_cookies(&st, BLOCKED);
	anchor_text(&(struct anchor){st.epoch, sync_began(&st)}, anchor_now);
}

static void set_up(void)
{
	static const uint8_t secret[SEAL_MASTER] = {7};
	const char *tmp = getenv("TMPDIR");
	struct err e;
	log_init("f_ops", LOG_ERROR);
	snprintf(dir, sizeof(dir), "%s/f_ops.XXXXXX", tmp ? tmp : "/tmp");
	ASSERT(mkdtemp(dir) && store_create(dir, &e) == E_OK);
	ASSERT(store_open(&store, dir, STORE_ADMIN, &e) == E_OK);
	ASSERT(seal_open_secret(&sealer, secret, &e) == E_OK);
	ASSERT(worker_new(&worker, &client_service, store, sealer, &e) == E_OK);
	ASSERT((reader = xml_new()) != NULL);
	arena_init(&arena, LIMIT_REQUEST_MEMORY);
	atexit(clean_up);
	fill_catalog();
	make_policy();
	make_cookies();
}

/* What a fault must not change. */
static void mix(uint64_t *h, const void *p, size_t n)
{
	for (size_t k = 0; k < n; k++)
		*h = *h * 31 + ((const uint8_t *)p)[k];
}

static int mix_computer(const struct computer *c, void *arg)
{
	const struct slice parts[] = {c->id, c->dns_name, c->requested_groups, c->info};
	for (size_t i = 0; i < COUNTOF(parts); i++)
		mix(arg, parts[i].p, parts[i].n);
	return 0;
}

static int mix_wanted(const struct wanted *w, void *arg)
{
	mix(arg, w->digest.b, sizeof(w->digest.b));
	mix(arg, &w->times, sizeof(w->times));
	return 0;
}

static int mix_standing(const struct computer *c, const struct standing *s, void *arg)
{
	const tick_t times[] = {s->reported_at, s->status_at, s->sync_at, s->rebooted_at, s->reboot_since, s->inventory_at};
	(void)c;
	mix(arg, times, sizeof(times));
	mix(arg, s->count, sizeof(s->count));
	return 0;
}

static int count_pending(const struct downstream *d, void *arg)
{
	*(size_t *)arg += d->state == DOWNSTREAM_PENDING;
	return 0;
}

static uint64_t fleet_hash(void)
{
	struct txn *t;
	struct err e;
	uint64_t h = 1;
	size_t pending = 0;
	ASSERT(txn_begin(store, TXN_READ, &t, &e) == E_OK && computer_each(t, mix_computer, &h, &e) == E_OK);
	ASSERT(wanted_each(t, mix_wanted, &h, &e) == E_OK && downstream_each(t, count_pending, &pending, &e) == E_OK);
	ASSERT(standing_each(t, mix_standing, &h, &e) == E_OK);
	ASSERT(pending <= LIMIT_DOWNSTREAM_PENDING);
	ASSERT(txn_catalog_version(t) == catalog);
	txn_end(&t);
	return h;
}

/* Computers and downstream servers talk to the same authorization service; its rows say by their namespace to which. */
static enum who caller(const struct service *s, const struct op *op, uint8_t flags)
{
	if (s == &client_service || s == &reporting_service || (s == &auth_service && !op->ns))
		return COMPUTER;
	return flags & 16 ? BLOCKED : SERVER;
}

static void add_content(struct buf *b, struct slice rest)
{
	for (size_t i = 0; i < rest.n; i++) {
		uint8_t c = (uint8_t)rest.p[i];
		if (c < COUNTOF(words) && words[c])
			buf_str(b, words[c]);
		else
			buf_add(b, &rest.p[i], 1);
	}
}

static void add_row(struct buf *b, const struct service *s, const struct op *op, uint8_t flags, struct slice rest)
{
	enum who who = caller(s, op, flags);
	buf_printf(b, "<e:Envelope xmlns:e=\"%s\"><e:Body><%s xmlns=\"%s\">%s%s", flags & 4 ? SOAP_NS12 : SOAP_NS11,
		op->in->name, op_ns(s, op), flags & 1 ? cookie_text[who] : "", flags & 8 ? auth_text[who] : "");
	add_content(b, rest);
	buf_printf(b, "</%s></e:Body></e:Envelope>", op->in->name);
}

static void add_body(struct buf *b, uint8_t select, uint8_t flags, struct slice rest)
{
	size_t row = select >= 'A' ? (size_t)(select - 'A') : SIZE_MAX;
	worker->service = services[select % COUNTOF(services)];
	for (size_t s = 0; row != SIZE_MAX && s < COUNTOF(services); row -= services[s++]->nops) {
		if (row >= services[s]->nops)
			continue;
		worker->service = services[s];
		add_row(b, services[s], &services[s]->op[row], flags, rest);
		return;
	}
	buf_slice(b, rest);
}

/* May it have written something? */
static bool check_answer(const struct answer *a)
{
	struct buf raw, plain;
	struct err e;
	enum xml_tok tok;
	buf_init(&raw, LIMIT_REPLY);
	buf_init(&plain, LIMIT_REPLY);
	for (size_t i = 0; i < a->niov; i++)
		buf_add(&raw, a->iov[i].iov_base, a->iov[i].iov_len);
	ASSERT(raw.n == a->length && (a->status == 200 || a->status == 500));
	bool packed = memmem(a->headers.p, a->headers.n, "xpress", 6) != NULL;
	ASSERT(!packed || xpress_unpack(buf_bytes(&raw), &plain) == E_OK);
	struct slice text = buf_bytes(packed ? &plain : &raw);
	xml_init(reader, text, &xml_message_limits, &e);
	do
		tok = xml_next(reader);
	while (tok > XML_END);
	ASSERT(tok == XML_END);
	bool may = a->status == 200 || memmem(text.p, text.n, "<ErrorCode>FileDigestsMissing<", 30);
	buf_free(&raw);
	buf_free(&plain);
	return may;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf body;
	struct answer a;
	if (!store)
		set_up();
	if (size < 2)
		return 0;
	buf_init(&body, LIMIT_BODY_REPORT);
	add_body(&body, data[0], data[1], (struct slice){(const char *)data + 2, size - 2});
	struct request r = {
		.method = SL("POST"),
		.body = buf_bytes(&body),
		.host = SL("h"),
		.accept_encoding = data[1] & 2 ? SL("xpress") : SL0,
		.a = &arena,
	};
	uint64_t before = fleet_hash();
	service_answer(worker, &r, &a);
	bool may_write = check_answer(&a);
	worker_sent(worker);
	arena_reset(&arena);
	uint64_t after = fleet_hash();
	ASSERT(may_write || before == after);
	buf_free(&body);
	return 0;
}
