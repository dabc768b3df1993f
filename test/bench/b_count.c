/* b_count.c -- pieces of work whose instructions scripts/counts.sh counts: a page of SyncUpdates, a scan that finds
 * little new, the same right after an approval, an import; what a downstream server asks.
 *
 *	make build/test/b_count
 *	build/test/b_count prepare CATALOG DIR       a store in DIR, of all documents below CATALOG but the last 50
 *	build/test/b_count measure CATALOG DIR       under callgrind: the work, each piece in a function count_*
 *	build/test/b_count prepare-sync CATALOG DIR  a store in DIR, of all documents below CATALOG
 *	build/test/b_count measure-sync CATALOG DIR  under callgrind: a list of all revisions, 100 documents, 1,000 deployments
 *
 * The work is the same in each run: time stands still, and the requests are made from the store alone.  The worker
 * has answered the page before it is counted, like one that has been serving for a while. */
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <unistd.h>

#include "cgi/dispatch.h"
#include "common/anchor.h"
#include "common/log.h"
#include "common/text.h"
#include "common/wsusss.h"
#include "store/downstream.h"
#include "store/import.h"
#include "store/publish.h"
#include "store/sync.h"
#include "test/bench/begin.h"

#define LAST 50       /* documents that are imported while it is counted */
#define APPROVED 60   /* updates approved for all computers, and half of them for a group */
#define CHANGED 5     /* of them, since the last scan of the client */
#define REPLICATED 500 /* updates approved for each of two groups, that a replica takes over */
#define BATCH 100     /* documents that it asks for at once */
#define DOCUMENTS 6000
#define CLIENT SL("pc")
#define GROUP SL("Pilot")
#define NOW INT64_C(133500096000000000) /* 2024-01-18; any will do */

static struct store *store;
static struct sealer *sealer;
static struct worker *worker;
static struct txn *t;

static void need(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "b_count: %s\n", what);
	exit(1);
}

static tick_t now(void)
{
	return NOW;
}

/* ---- documents, in the order of their names ---- */

struct documents {
	char *path[DOCUMENTS];
	size_t n;
};
static struct documents documents;

static int collect(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	size_t n = strlen(path);
	(void)st, (void)ftw;
	if (kind != FTW_F || n < 4 || strcmp(path + n - 4, ".xml") != 0)
		return 0;
	need(documents.n < DOCUMENTS, "too many documents");
	documents.path[documents.n] = strdup(path);
	need(documents.path[documents.n++] != NULL, "no memory");
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void find_documents(const char *dir)
{
	need(nftw(dir, collect, 16, FTW_PHYS) == 0 && documents.n > LAST, "no catalog there");
	qsort(documents.path, documents.n, sizeof(documents.path[0]), by_name);
}

static ptrdiff_t read_more(void *arg, char *to, size_t n, struct err *e)
{
	ssize_t got = read(*(int *)arg, to, n);
	if (got < 0)
		err_errno(e, "reading failed");
	return got;
}

static void import_documents(char *const *path, size_t n)
{
	struct import *i;
	OK(import_begin(&i, store, NOW, &err));
	for (size_t k = 0; k < n; k++) {
		struct import_report r;
		int fd = open(path[k], O_RDONLY | O_CLOEXEC);
		need(fd >= 0, path[k]);
		OK(import_document(i, read_more, &fd, &r, &err));
		need(r.outcome == IMPORT_NEW, path[k]);
		close(fd);
	}
	OK(import_end(&i, false, &err));
}

/* ---- policy ---- */

struct choice {
	int32_t id[REPLICATED];
	size_t n;
};

static int choose(const struct revision *r, void *arg)
{
	struct choice *c = arg;
	if ((r->flags & REV_EXPLICIT) && r->type == TYPE_SOFTWARE && c->n < REPLICATED)
		c->id[c->n++] = r->id;
	return 0;
}

/* The first n updates that can be. */
static void approve_some(uint32_t group, size_t n, tick_t deadline)
{
	struct choice c = {.n = 0};
	struct publish_report p;
	OK(txn_begin(store, TXN_CATALOG, &t, &err));
	OK(revision_each(t, 1, 0, choose, &c, &err));
	need(c.n >= n, "too few updates to approve");
	for (size_t i = 0; i < n; i++) {
		struct approval a = {.revision = c.id[i], .group = group, .assigned = true, .deadline = deadline, .admin = SL("count")};
		OK(approve(t, &a, &err));
	}
	OK(publish(t, NOW, &p, &err));
	OK(txn_commit(&t, &err));
}

static uint32_t make_group(void)
{
	uint32_t group;
	OK(txn_begin(store, TXN_CATALOG, &t, &err));
	OK(group_create(t, GROUP, GROUP_ALL_COMPUTERS, &group, &err));
	OK(assign_set(t, CLIENT, &group, 1, &err));
	OK(setting_set(t, SL("client.registration"), SL("false"), &err));
	OK(txn_commit(&t, &err));
	return group;
}

/* ---- a client, as far as its requests go ---- */

struct client {
	int32_t installed[DOCUMENTS], other[DOCUMENTS];
	size_t ninstalled, nother;
	uint32_t point;
};
static struct client client;

static void add_list(struct buf *b, const char *name, const int32_t *v, size_t n)
{
	buf_printf(b, "<%s>", name);
	for (size_t i = 0; i < n; i++)
		buf_printf(b, "<int>%d</int>", v[i]);
	buf_printf(b, "</%s>", name);
}

/* The cookie of a client that has applied everything up to its point; a fresh one has none. */
static void add_cookie(struct buf *b, const struct client_groups *g)
{
	struct server_state st;
	char sealed[COOKIE_MAX];
	OK(server_state_get(t, &st, &err));
	struct cookie k = {.server = st.server_id, .generation = st.generation, .last_change = st.last_change,
		.expires = TICK_MAX_YEAR9999, .major = 2, .minor = 90, .groups = g->hash, .point = {client.point}};
	k.client.n = (uint8_t)CLIENT.n;
	memcpy(k.client.s, CLIENT.p, CLIENT.n);
	base64_add(b, (struct slice){sealed, cookie_seal(sealer, NOW, &k, sealed)});
}

static struct slice request_text(struct buf *b, const struct client_groups *g)
{
	buf_init(b, LIMIT_BODY);
	buf_printf(b, "<?xml version=\"1.0\" encoding=\"utf-8\"?><soap:Envelope xmlns:soap=\"" SOAP_NS11 "\"><soap:Body>"
		"<SyncUpdates xmlns=\"" WUSP_NS_CLIENT "\"><cookie><Expiration>2030-01-01T00:00:00Z</Expiration><EncryptedData>");
	add_cookie(b, g);
	buf_printf(b, "</EncryptedData></cookie><parameters><ExpressQuery>false</ExpressQuery>");
	add_list(b, "InstalledNonLeafUpdateIDs", client.installed, client.ninstalled);
	add_list(b, "OtherCachedUpdateIDs", client.other, client.nother);
	buf_printf(b, "<SkipSoftwareSync>false</SkipSoftwareSync><NeedTwoGroupOutOfScopeUpdates>true"
		"</NeedTwoGroupOutOfScopeUpdates></parameters></SyncUpdates></soap:Body></soap:Envelope>");
	need(!b->rc, "no memory");
	return buf_bytes(b);
}

/* The page as the store sees it; all that is not a leaf counts as installed. */
static struct scan_result next_page(struct client_groups *g)
{
	struct settings set;
	struct scan_result r;
	OK(settings_get(t, &set, &err));
	OK(client_groups_get(t, &set, CLIENT, g, &err));
	OK(scan_bind(worker->scan, t, &set, &err));
	struct scan_request q = {.groups = g, .installed = client.installed, .ninstalled = client.ninstalled,
		.other = client.other, .nother = client.nother, .point = client.point};
	OK(scan_run(worker->scan, &q, &r, &err));
	return r;
}

static void take(const struct scan_result *r)
{
	for (size_t i = 0; i < r->nfresh; i++) {
		if (r->fresh[i].leaf)
			client.other[client.nother++] = r->fresh[i].revision;
		else
			client.installed[client.ninstalled++] = r->fresh[i].revision;
	}
	client.point = r->epoch;
}

/* The request whose answer is the first page with nothing but leaves (the bulk of a catalog), or, if `all`, the
 * one of a client that has everything. */
static struct slice make_request(struct buf *b, bool all)
{
	struct client_groups g;
	OK(txn_begin(store, TXN_READ, &t, &err));
	for (;;) {
		struct scan_result r = next_page(&g);
		if (r.nfresh == 0 || (!all && r.fresh[0].leaf)) {
			need(all == (r.nfresh == 0), "the catalog has no page of leaves");
			break;
		}
		take(&r);
	}
	struct slice text = request_text(b, &g);
	txn_end(&t);
	return text;
}

/* ---- a downstream server, as far as its requests go ---- */

static const struct guid peer = {{0xd0, [6] = 0x40, [8] = 0x80, [15] = 1}};

static void add_dss_cookie(struct buf *b, const struct server_state *st)
{
	char sealed[COOKIE_MAX];
	struct dss_cookie k = {.server = st->server_id, .generation = st->generation, .expires = TICK_MAX_YEAR9999,
		.major = 1, .minor = 20, .group = GROUP_DOWNSTREAM, .dss = peer};
	buf_printf(b, "<cookie><Expiration>2030-01-01T00:00:00Z</Expiration><EncryptedData>");
	base64_add(b, (struct slice){sealed, dss_cookie_seal(sealer, NOW, &k, sealed)});
	buf_printf(b, "</EncryptedData></cookie>");
}

/* BATCH of all revisions, evenly spread. */
static void add_identities(struct buf *b)
{
	struct arena a;
	struct sync *s;
	int32_t *id;
	size_t n;
	arena_init(&a, LIMIT_REQUEST_MEMORY);
	OK(sync_open(t, &a, &s, &err));
	OK(sync_list(s, &(struct sync_filter){.config = false}, &id, &n, &err));
	need(n >= BATCH, "too few revisions");
	for (size_t i = 0; i < BATCH; i++) {
		struct guid update;
		char text[GUID_TEXT + 1];
		int32_t number;
		sync_identity(s, id[i * n / BATCH], &update, &number);
		guid_text(&update, text);
		buf_printf(b, "<UpdateIdentity><UpdateID>%s</UpdateID><RevisionNumber>%d</RevisionNumber></UpdateIdentity>", text, number);
	}
	arena_free(&a);
}

static void add_list_filter(struct buf *b, const struct server_state *st)
{
	(void)st;
	buf_printf(b, "<filter><GetConfig>false</GetConfig></filter>");
}

static void add_update_ids(struct buf *b, const struct server_state *st)
{
	(void)st;
	buf_printf(b, "<updateIds>");
	add_identities(b);
	buf_printf(b, "</updateIds>");
}

static void add_sync_anchor(struct buf *b, const struct server_state *st)
{
	char text[ANCHOR_MAX];
	struct anchor now_is = {st->epoch, sync_began(st)};
	buf_printf(b, "<syncAnchor>%.*s</syncAnchor>", (int)anchor_text(&now_is, text), text);
}

static const struct {
	const char *operation;
	void (*add)(struct buf *b, const struct server_state *st);
} asked[] = {
	{"GetRevisionIdList", add_list_filter},
	{"GetUpdateData", add_update_ids},
	{"GetDeployments", add_sync_anchor},
};

static struct slice sync_request(struct buf *b, size_t what)
{
	struct server_state st;
	const char *name = asked[what].operation;
	OK(txn_begin(store, TXN_READ, &t, &err));
	OK(server_state_get(t, &st, &err));
	buf_init(b, LIMIT_BODY);
	buf_printf(b, "<?xml version=\"1.0\" encoding=\"utf-8\"?><soap:Envelope xmlns:soap=\"" SOAP_NS11 "\"><soap:Body>"
		"<%s xmlns=\"" WSUSSS_NS_SYNC "\">", name);
	add_dss_cookie(b, &st);
	asked[what].add(b, &st);
	buf_printf(b, "</%s></soap:Body></soap:Envelope>", name);
	txn_end(&t);
	need(!b->rc, "no memory");
	return buf_bytes(b);
}

/* ---- what is counted ---- */

static void answer(struct slice body, struct arena *a)
{
	struct request r = {.method = SL("POST"), .content_type = SL("text/xml; charset=utf-8"),
		.accept_encoding = SL("xpress"), .host = SL("127.0.0.1:8530"), .peer = SL("127.0.0.1"), .body = body, .a = a};
	struct answer out;
	service_answer(worker, &r, &out);
	need(out.status == 200, "the answer is a fault");
	worker_sent(worker);
	arena_reset(a);
}

/* Not in tail position, or callgrind would not see these functions return. */
static volatile unsigned counted;

void count_answer(struct slice body, struct arena *a);
void count_import(char *const *path, size_t n);

__attribute__((noinline)) void count_answer(struct slice body, struct arena *a)
{
	answer(body, a);
	counted++;
}

__attribute__((noinline)) void count_import(char *const *path, size_t n)
{
	import_documents(path, n);
	counted++;
}

/* ---- the modes ---- */

static void open_all(const char *dir, const struct service *service)
{
	static const uint8_t secret[SEAL_MASTER] = {7};
	log_init("b_count", LOG_WARN);
	OK(store_open(&store, dir, STORE_ADMIN, &err));
	OK(seal_open_secret(&sealer, secret, &err));
	OK(worker_new(&worker, service, store, sealer, &err));
	worker->now = now;
}

static void close_all(void)
{
	worker_close(&worker);
	seal_close(&sealer);
	store_close(&store);
	for (size_t i = 0; i < documents.n; i++)
		free(documents.path[i]);
}

static void prepare(const char *catalog, const char *dir)
{
	OK(store_create(dir, &err));
	open_all(dir, &client_service);
	find_documents(catalog);
	import_documents(documents.path, documents.n - LAST);
	uint32_t group = make_group();
	approve_some(GROUP_ALL_COMPUTERS, APPROVED, 0);
	approve_some(group, APPROVED / 2, 0);
	close_all();
}

static uint32_t find_group(void)
{
	uint32_t group;
	OK(txn_begin(store, TXN_READ, &t, &err));
	OK(group_find(t, GROUP, &group));
	txn_end(&t);
	return group;
}

/* In the order of test/bench/counts.tsv.  Some approvals change before the differential scan, so that it has
 * something to say; the first one after that pays for the new snapshot. */
static void measure(const char *catalog, const char *dir)
{
	struct arena a;
	struct buf page, rest;
	open_all(dir, &client_service);
	find_documents(catalog);
	arena_init(&a, LIMIT_REQUEST_MEMORY);
	struct slice body = make_request(&page, false);
	answer(body, &a);
	count_answer(body, &a);
	body = make_request(&rest, true);
	approve_some(find_group(), CHANGED, NOW + TICKS_PER_SECOND);
	count_answer(body, &a);
	count_answer(body, &a);
	count_import(documents.path + documents.n - LAST, LAST);
	buf_free(&page);
	buf_free(&rest);
	arena_free(&a);
	close_all();
}

static void prepare_sync(const char *catalog, const char *dir)
{
	OK(store_create(dir, &err));
	open_all(dir, &serversync_service);
	find_documents(catalog);
	import_documents(documents.path, documents.n);
	uint32_t group = make_group();
	OK(txn_begin(store, TXN_CATALOG, &t, &err));
	OK(downstream_decide(t, &peer, SL("peer"), DOWNSTREAM_APPROVED, SL("count"), &err));
	OK(txn_commit(&t, &err));
	approve_some(GROUP_ALL_COMPUTERS, REPLICATED, 0);
	approve_some(group, REPLICATED, 0);
	close_all();
}

/* Each of them twice, as of a worker that has been serving for a while. */
static void measure_sync(const char *catalog, const char *dir)
{
	struct arena a;
	(void)catalog;
	open_all(dir, &serversync_service);
	arena_init(&a, LIMIT_REQUEST_MEMORY);
	for (size_t i = 0; i < COUNTOF(asked); i++) {
		struct buf b;
		struct slice body = sync_request(&b, i);
		answer(body, &a);
		count_answer(body, &a);
		buf_free(&b);
	}
	arena_free(&a);
	close_all();
}

static const struct {
	const char *name;
	void (*run)(const char *catalog, const char *dir);
} modes[] = {{"prepare", prepare}, {"measure", measure}, {"prepare-sync", prepare_sync}, {"measure-sync", measure_sync}};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 4 && i < COUNTOF(modes); i++) {
		if (strcmp(argv[1], modes[i].name) == 0) {
			modes[i].run(argv[2], argv[3]);
			return 0;
		}
	}
	need(false, "usage: b_count prepare|measure|prepare-sync|measure-sync CATALOG DIR");
	return 1;
}
