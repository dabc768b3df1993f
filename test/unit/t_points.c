/* t_points.c -- no client ever misses a change: random histories against the client service.
 *
 * A client keeps what answers told it (revision -> deployment, leaf), parks what it is told to park, lists all
 * it keeps at the start of a scan and what is not parked afterwards.  Policy, groups and catalog change between
 * and within scans; scans are by category or not, complete or broken off.  Whenever an unrestricted scan ends,
 * what the client keeps of the revisions in its scope must be what the store says now. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <stdlib.h>
#include <unistd.h>

#include "cgi/dispatch.h"
#include "common/log.h"
#include "common/seal.h"
#include "common/text.h"
#include "store/import.h"
#include "store/publish.h"

#define UPDATES 30
#define REVISIONS (2 + UPDATES)
#define SCANS 400

static char dir[256];
static struct store *store;
static struct sealer *sealer;
static struct worker *worker;
static struct arena arena;
static uint64_t seed = 88172645463325252u;

static unsigned pick(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed >> 33) % n;
}

struct kept {
	bool have, parked, leaf;
	int32_t deployment;
	char action[24];
};
static struct kept client[REVISIONS + 1];
static char cookie[1024];

/* ---- the store ---- */

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

/* Revisions 1 and 2 are a category and a detectoid; of the others a third needs each, a third nothing. */
static struct slice document(unsigned id)
{
	static const char category[] = "<u:AtLeastOne IsCategory='true'><u:UpdateIdentity UpdateID="
				       "'00000000-0000-4000-8000-000000000001' /></u:AtLeastOne>",
			  detectoid[] = "<u:UpdateIdentity UpdateID='00000000-0000-4000-8000-000000000002' />";
	return arena_printf(&arena,
		"<u:Update xmlns:u='http://schemas.microsoft.com/msus/2002/12/Update'><u:UpdateIdentity "
		"UpdateID='00000000-0000-4000-8000-%012u' RevisionNumber='1' /><u:Properties UpdateType='%s' %s "
		"DefaultPropertiesLanguage='en' /><u:LocalizedPropertiesCollection><u:LocalizedProperties>"
		"<u:Language>en</u:Language><u:Title>t</u:Title></u:LocalizedProperties>"
		"</u:LocalizedPropertiesCollection><u:Relationships><u:Prerequisites>%s%s</u:Prerequisites>"
		"</u:Relationships>%s</u:Update>",
		id, id == 1 ? "Category" : id == 2 ? "Detectoid" : "Software",
		id > 2 ? "ExplicitlyDeployable='true'" : "", id > 2 && id % 3 != 0 ? category : "",
		id > 2 && id % 3 == 1 ? detectoid : "",
		id == 1 ? "<u:HandlerSpecificData><CategoryInformation CategoryType='Product' /></u:HandlerSpecificData>" : "");
}

static void import_some(unsigned from, unsigned to)
{
	struct import *i;
	struct import_report rep;
	struct err e = {0};
	assert_int_equal(import_begin(&i, store, time_now(), &e), E_OK);
	for (unsigned id = from; id <= to; id++) {
		struct slice d = document(id);
		struct text t = {d.p, d.n};
		assert_int_equal(import_document(i, refill_text, &t, &rep, &e), E_OK);
		if (rep.outcome != IMPORT_NEW || rep.revision != (int32_t)id)
			fail_msg("document %u: %s", id, e.text);
	}
	assert_int_equal(import_end(&i, false, &e), E_OK);
	arena_reset(&arena);
}

static unsigned imported;

/* One random change of policy, of the client's groups, or of the catalog. */
static void change(void)
{
	struct err e = {0};
	struct txn *t;
	struct publish_report rep;
	struct approval a = {.admin = SL("t"), .assigned = true};
	uint32_t groups[2] = {4 + pick(2), 4 + pick(3)};
	if (pick(8) == 0 && imported < REVISIONS) {
		imported++;
		import_some(imported, imported);
		return;
	}
	assert_int_equal(txn_begin(store, TXN_CATALOG, &t, &e), E_OK);
	uint32_t update = 3 + pick(imported - 2);
	a.revision = (int32_t)update;
	a.group = pick(4) == 0 ? GROUP_ALL_COMPUTERS : 4 + pick(3);
	static const enum action actions[] = {ACT_INSTALL, ACT_UNINSTALL, ACT_OPTIONAL_INSTALL, ACT_BLOCK};
	a.action = actions[pick(4)];
	int rc = E_OK;
	switch (pick(12)) {
	case 0: rc = assign_set(t, SL("pc"), groups, groups[0] == groups[1] ? 1 : 2, &e); break;
	case 1: rc = update_decline(t, update, pick(2), SL("t"), &e); break;
	case 2: rc = group_move(t, 6, pick(2) ? 4 : 5, &e); break;
	case 3:
	case 4:
	case 5: rc = unapprove(t, update, a.group, SL("t"), &e); break;
	default: rc = approve(t, &a, &e); break;
	}
	if (rc == E_OK || rc == E_NOTFOUND || rc == E_REFUSED)
		rc = publish(t, time_now(), &rep, &e);
	if (rc != E_OK)
		fail_msg("%s", e.text);
	assert_int_equal(txn_commit(&t, &e), E_OK);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static void seal_first_cookie(struct server_state *st)
{
	struct cookie k = {.server = st->server_id, .generation = st->generation, .last_change = st->last_change};
	char sealed[COOKIE_MAX];
	struct buf b;
	k.expires = TICK_MAX_YEAR9999;
	k.major = 2;
	k.client.n = 2;
	memcpy(k.client.s, "pc", 2);
	buf_init(&b, sizeof(cookie));
	base64_add(&b, (struct slice){sealed, cookie_seal(sealer, time_now(), &k, sealed)});
	snprintf(cookie, sizeof(cookie), "%.*s", SLF(buf_bytes(&b)));
	buf_free(&b);
}

static int setup(void **state)
{
	static const uint8_t secret[SEAL_MASTER] = {7};
	const char *tmp = getenv("TMPDIR");
	struct err e;
	struct txn *t;
	struct server_state st;
	uint32_t no;
	(void)state;
	log_init("t_points", LOG_ERROR);
	arena_init(&arena, LIMIT_REQUEST_MEMORY);
	snprintf(dir, sizeof(dir), "%s/t_points.XXXXXX", tmp ? tmp : "/tmp");
	bool ok = mkdtemp(dir) && store_create(dir, &e) == E_OK && store_open(&store, dir, STORE_ADMIN, &e) == E_OK &&
		seal_open_secret(&sealer, secret, &e) == E_OK &&
		worker_new(&worker, &client_service, store, sealer, &e) == E_OK &&
		txn_begin(store, TXN_CATALOG, &t, &e) == E_OK && group_create(t, SL("A"), 1, &no, &e) == E_OK && no == 4 &&
		group_create(t, SL("B"), 1, &no, &e) == E_OK && group_create(t, SL("C"), 4, &no, &e) == E_OK &&
		setting_set(t, SL("client.registration"), SL("false"), &e) == E_OK &&
		setting_set(t, SL("scan.page-updates"), SL("10"), &e) == E_OK && server_state_get(t, &st, &e) == E_OK &&
		txn_commit(&t, &e) == E_OK;
	if (!ok)
		return 1;
	imported = REVISIONS - 6;
	import_some(1, imported);
	assert_int_equal(txn_begin(store, TXN_READ, &t, &e), E_OK);
	assert_int_equal(server_state_get(t, &st, &e), E_OK);
	txn_end(&t);
	seal_first_cookie(&st);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	worker_close(&worker);
	seal_close(&sealer);
	store_close(&store);
	arena_free(&arena);
	return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- the client ---- */

struct scan_kind {
	bool filtered, installed1, installed2; /* which of 1 and 2 evaluate as installed in this scan */
};

static void add_list(struct buf *b, const char *name, const struct scan_kind *k, bool installed)
{
	buf_printf(b, "<%s>", name);
	for (int i = 1; i <= REVISIONS; i++) {
		bool is = (i == 1 && k->installed1) || (i == 2 && k->installed2);
		if (client[i].have && !client[i].parked && is == installed)
			buf_printf(b, "<int>%d</int>", i);
	}
	buf_printf(b, "</%s>", name);
}

static void keep(const struct UpdateInfo *u)
{
	struct kept *k = &client[u->ID];
	assert_in_range(u->ID, 1, REVISIONS);
	*k = (struct kept){.have = true, .leaf = u->IsLeaf, .deployment = u->Deployment->ID};
	snprintf(k->action, sizeof(k->action), "%.*s", SLF(u->Deployment->Action));
}

static void apply(const struct SyncInfo *s)
{
	for (size_t i = 0; i < s->NewUpdates.n; i++)
		keep(&s->NewUpdates.v[i]);
	for (size_t i = 0; i < s->ChangedUpdates.n; i++)
		keep(&s->ChangedUpdates.v[i]);
	for (size_t i = 0; i < s->OutOfScopeRevisionIDs.n; i++)
		client[s->OutOfScopeRevisionIDs.v[i]].have = false;
	for (size_t i = 0; i < s->DeployedOutOfScopeRevisionIds.n; i++)
		client[s->DeployedOutOfScopeRevisionIds.v[i]].parked = true;
}

/* One call; returns the number of new updates. */
static size_t call(const struct scan_kind *k)
{
	struct buf b;
	struct answer a;
	struct err e;
	struct soap_in in;
	struct SyncUpdatesResponse res;
	buf_init(&b, LIMIT_REPLY);
	buf_printf(&b, "<s:Envelope xmlns:s=\"" SOAP_NS11 "\"><s:Body><SyncUpdates xmlns=\"" WUSP_NS_CLIENT "\"><cookie>"
		"<Expiration>2030-01-01T00:00:00Z</Expiration><EncryptedData>%s</EncryptedData></cookie><parameters>", cookie);
	add_list(&b, "InstalledNonLeafUpdateIDs", k, true);
	add_list(&b, "OtherCachedUpdateIDs", k, false);
	buf_printf(&b, "%s<NeedTwoGroupOutOfScopeUpdates>true</NeedTwoGroupOutOfScopeUpdates></parameters></SyncUpdates>"
		"</s:Body></s:Envelope>", k->filtered ? "<FilterCategoryIds><CategoryIdentifier><Id>"
		"00000000-0000-4000-8000-000000000001</Id></CategoryIdentifier></FilterCategoryIds>" : "");
	struct request r = {.method = SL("POST"), .body = buf_bytes(&b), .a = &arena};
	service_answer(worker, &r, &a);
	assert_int_equal(a.status, 200);
	buf_reset(&b);
	for (size_t i = 0; i < a.niov; i++)
		buf_add(&b, a.iov[i].iov_base, a.iov[i].iov_len);
	xml_init(worker->xml, buf_bytes(&b), &xml_message_limits, &e);
	assert_int_equal(soap_open(worker->xml, &in, &arena, &e), E_OK);
	assert_int_equal(wire_read(worker->xml, &SyncUpdatesResponse_wire, &res, &arena, &e), E_OK);
	apply(res.SyncUpdatesResult);
	size_t n = res.SyncUpdatesResult->NewUpdates.n;
	struct buf text;
	buf_init(&text, sizeof(cookie));
	base64_add(&text, res.SyncUpdatesResult->NewCookie->EncryptedData);
	snprintf(cookie, sizeof(cookie), "%.*s", SLF(buf_bytes(&text)));
	buf_free(&text);
	buf_free(&b);
	worker_sent(worker);
	arena_reset(&arena);
	return n;
}

/* What the client keeps and does not park is what the store says. */
static void compare(unsigned scan)
{
	struct err e = {0};
	struct txn *t;
	struct settings set;
	struct client_groups g;
	assert_int_equal(txn_begin(store, TXN_READ, &t, &e), E_OK);
	assert_int_equal(settings_get(t, &set, &e), E_OK);
	assert_int_equal(client_groups_get(t, &set, SL("pc"), &g, &e), E_OK);
	assert_int_equal(scan_bind(worker->scan, t, &set, &e), E_OK);
	for (int32_t i = 1; i <= REVISIONS; i++) {
		struct effective f;
		if (!client[i].have || client[i].parked)
			continue;
		assert_int_equal(scan_effective(worker->scan, &g, i, &f, &e), E_OK);
		if (client[i].deployment != (int32_t)f.id || strcmp(client[i].action, f.action) != 0 ||
			client[i].leaf != scan_is_leaf(worker->scan, i))
			fail_msg("scan %u: revision %d is kept as deployment %d %s leaf %d, but is %u %s leaf %d", scan, i,
				client[i].deployment, client[i].action, client[i].leaf, f.id, f.action,
				scan_is_leaf(worker->scan, i));
	}
	txn_end(&t);
}

/* holds: WUSP-SYNC-46 WUSP-SYNC-48 WUSP-SYNC-49 WUSP-SYNC-80 WUSP-SYNC-81 WUSP-SYNC-82 */
static void a_client_that_applies_answers_misses_no_change(void **state)
{
	(void)state;
	for (unsigned scan = 0; scan < SCANS; scan++) {
		struct scan_kind k = {pick(3) == 0, pick(3) != 0, pick(3) != 0};
		bool end = false;
		for (int i = 1; i <= REVISIONS; i++)
			client[i].parked = false;
		for (unsigned n = pick(4); n > 0; n--)
			change();
		unsigned calls = pick(6) == 0 ? 1 : 50; /* some break off */
		while (!end && calls-- > 0) {
			end = call(&k) == 0;
			if (!end && pick(4) == 0)
				change();
		}
		if (end && !k.filtered)
			compare(scan);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_client_that_applies_answers_misses_no_change),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
