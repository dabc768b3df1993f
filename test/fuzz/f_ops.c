/* f_ops.c -- any bytes as a request: every row of every op table, and whole bodies.
 *
 * First byte: '@' and above choose a row ('A' is the first) whose element the rest becomes the content of;
 * anything below sends the rest as the body.  Second byte: bit 0 a valid cookie first, bit 1 Xpress, bit 2
 * SOAP 1.2.
 *
 * Invariants: an answer is 200 or a fault with 500; its length is its parts'; decoded it is well-formed XML;
 * the catalog never changes, and a fault leaves the fleet as it was. */
#include <ftw.h>
#include <stdlib.h>
#include <unistd.h>

#include "cgi/dispatch.h"
#include "common/log.h"
#include "common/seal.h"
#include "common/text.h"
#include "common/xpress.h"
#include "store/import.h"
#include "store/publish.h"

static const struct service *const services[] = {&auth_service, &client_service};

static char dir[256], cookie_text[1024];
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

/* A detectoid and a leaf that needs it, so that there is something to answer with. */
static void fill_catalog(void)
{
	static const char *const docs[] = {
		"<u:Update xmlns:u='http://schemas.microsoft.com/msus/2002/12/Update'><u:UpdateIdentity "
		"UpdateID='d0000000-0000-4000-8000-000000000001' RevisionNumber='1' /><u:Properties "
		"UpdateType='Detectoid' DefaultPropertiesLanguage='en' /><u:LocalizedPropertiesCollection>"
		"<u:LocalizedProperties><u:Language>en</u:Language><u:Title>d</u:Title></u:LocalizedProperties>"
		"</u:LocalizedPropertiesCollection></u:Update>",
		"<u:Update xmlns:u='http://schemas.microsoft.com/msus/2002/12/Update'><u:UpdateIdentity "
		"UpdateID='a0000000-0000-4000-8000-000000000001' RevisionNumber='1' /><u:Properties "
		"UpdateType='Software' ExplicitlyDeployable='true' DefaultPropertiesLanguage='en' />"
		"<u:LocalizedPropertiesCollection><u:LocalizedProperties><u:Language>en</u:Language><u:Title>s</u:Title>"
		"</u:LocalizedProperties></u:LocalizedPropertiesCollection><u:Relationships><u:Prerequisites>"
		"<u:UpdateIdentity UpdateID='d0000000-0000-4000-8000-000000000001' /></u:Prerequisites></u:Relationships>"
		"<u:Files><u:File Digest='gmQg5l7BD5wM34L6qM7WOQgy9eY=' DigestAlgorithm='SHA1' FileName='setup.exe' "
		"Size='9' Modified='2025-11-10T09:00:00Z' /></u:Files></u:Update>",
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

/* A registered computer and its cookie. */
static void make_cookie(void)
{
	struct err e;
	struct txn *t;
	struct server_state st;
	struct cookie k = {.major = 2, .minor = 90, .client = {2, "pc"}};
	struct computer c = {.id = SL("pc"), .dns_name = SL("pc"), .requested_groups = SL(""), .address = SL("")};
	char sealed[COOKIE_MAX];
	struct buf b;
	ASSERT(txn_begin(store, TXN_FLEET, &t, &e) == E_OK && server_state_get(t, &st, &e) == E_OK);
	ASSERT(computer_contact(t, &c, &e) == E_OK && computer_register(t, SL("pc"), SL("\1"), &e) == E_OK);
	catalog = txn_catalog_version(t);
	ASSERT(txn_commit(&t, &e) == E_OK);
	k.server = st.server_id;
	k.generation = st.generation;
	k.last_change = st.last_change;
	k.expires = TICK_MAX_YEAR9999;
	buf_init(&b, sizeof(cookie_text));
	base64_add(&b, (struct slice){sealed, cookie_seal(sealer, time_now(), &k, sealed)});
	snprintf(cookie_text, sizeof(cookie_text),
		"<cookie><Expiration>2030-01-01T00:00:00Z</Expiration><EncryptedData>%.*s</EncryptedData></cookie>",
		SLF(buf_bytes(&b)));
	buf_free(&b);
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
	make_cookie();
}

/* What a fault must not change. */
static int mix_computer(const struct computer *c, void *arg)
{
	uint64_t *h = arg;
	const struct slice parts[] = {c->id, c->dns_name, c->requested_groups, c->info};
	for (size_t i = 0; i < COUNTOF(parts); i++)
		for (size_t k = 0; k < parts[i].n; k++)
			*h = *h * 31 + (uint8_t)parts[i].p[k];
	return 0;
}

static uint64_t fleet_hash(void)
{
	struct txn *t;
	struct err e;
	uint64_t h = 1;
	ASSERT(txn_begin(store, TXN_READ, &t, &e) == E_OK && computer_each(t, mix_computer, &h, &e) == E_OK);
	ASSERT(txn_catalog_version(t) == catalog);
	txn_end(&t);
	return h;
}

static void add_body(struct buf *b, uint8_t select, uint8_t flags, struct slice rest)
{
	size_t row = select >= 'A' ? (size_t)(select - 'A') : SIZE_MAX;
	worker->service = services[select & 1];
	for (size_t s = 0; row != SIZE_MAX && s < COUNTOF(services); row -= services[s++]->nops) {
		if (row >= services[s]->nops)
			continue;
		const struct service *v = worker->service = services[s];
		buf_printf(b, "<e:Envelope xmlns:e=\"%s\"><e:Body><%s xmlns=\"%s\">%s", flags & 4 ? SOAP_NS12 : SOAP_NS11,
			v->op[row].in->name, op_ns(v, &v->op[row]), flags & 1 ? cookie_text : "");
		buf_slice(b, rest);
		buf_printf(b, "</%s></e:Body></e:Envelope>", v->op[row].in->name);
		return;
	}
	buf_slice(b, rest);
}

static void check_answer(const struct answer *a)
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
	xml_init(reader, buf_bytes(packed ? &plain : &raw), &xml_message_limits, &e);
	do
		tok = xml_next(reader);
	while (tok > XML_END);
	ASSERT(tok == XML_END);
	buf_free(&raw);
	buf_free(&plain);
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
	buf_init(&body, LIMIT_BODY);
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
	check_answer(&a);
	worker_sent(worker);
	arena_reset(&arena);
	uint64_t after = fleet_hash();
	ASSERT(a.status == 200 || before == after);
	buf_free(&body);
	return 0;
}
