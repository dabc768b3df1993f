/* t_dispatch.c -- what surrounds the operations: fault ids, batched last contacts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgi/dispatch.h"
#include "store/db.h"
#include "common/log.h"
#include "common/seal.h"
#include "common/text.h"

static char dir[256];
static struct store *store;
static struct sealer *sealer;
static struct worker *worker;
static struct arena arena;

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static int setup(void **state)
{
	static const uint8_t secret[SEAL_MASTER] = {7};
	const char *tmp = getenv("TMPDIR");
	struct err e;
	(void)state;
	log_init("t_dispatch", LOG_ERROR);
	arena_init(&arena, LIMIT_REQUEST_MEMORY);
	snprintf(dir, sizeof(dir), "%s/t_dispatch.XXXXXX", tmp ? tmp : "/tmp");
	bool ok = mkdtemp(dir) && store_create(dir, &e) == E_OK && store_open(&store, dir, STORE_ADMIN, &e) == E_OK &&
		seal_open_secret(&sealer, secret, &e) == E_OK &&
		worker_new(&worker, &client_service, store, sealer, &e) == E_OK;
	return ok ? 0 : 1;
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

static void fault_id(char to[GUID_TEXT + 1])
{
	static const char body[] = "<s:Envelope xmlns:s=\"" SOAP_NS11 "\"><s:Body><GetConfig xmlns=\"" WUSP_NS_CLIENT
				   "\"/></s:Body></s:Envelope>";
	struct request r = {.method = SL("POST"), .body = SL(body), .a = &arena};
	struct answer a;
	struct guid g;
	service_answer(worker, &r, &a);
	assert_int_equal(a.status, 500);
	const char *id = memmem(a.iov[0].iov_base, a.iov[0].iov_len, "<ID>", 4);
	assert_non_null(id);
	assert_true(text_guid((struct slice){id + 4, GUID_TEXT}, &g));
	assert_false(guid_is_zero(&g));
	guid_text(&g, to);
	worker_sent(worker);
	arena_reset(&arena);
}

/* partly: WUSP-SOAPFAULT-07 (that the log line names the id is seen end to end) */
/* holds: WSUSSS-FAULT-07 */
static void every_fault_has_an_id_of_its_own(void **state)
{
	char a[GUID_TEXT + 1], b[GUID_TEXT + 1];
	(void)state;
	fault_id(a);
	fault_id(b);
	assert_string_not_equal(a, b);
}

static struct client_id named(unsigned i)
{
	struct client_id id = {0};
	char text[16];
	id.n = (uint8_t)snprintf(text, sizeof(text), "pc%u", i);
	memcpy(id.s, text, id.n);
	return id;
}

static struct computer stored(struct slice id)
{
	struct txn *t;
	struct err e;
	struct computer c = {0};
	assert_int_equal(txn_begin(store, TXN_READ, &t, &e), E_OK);
	assert_int_equal(computer_get(t, id, &c), E_OK);
	txn_end(&t);
	return c; /* numbers only: the texts are gone */
}

static void contact(struct slice id)
{
	struct txn *t;
	struct err e;
	struct computer c = {.id = id, .dns_name = SL("a"), .requested_groups = SL(""), .address = SL(""), .last_seen = 1};
	assert_int_equal(txn_begin(store, TXN_FLEET, &t, &e), E_OK);
	assert_int_equal(computer_contact(t, &c, &e), E_OK);
	assert_int_equal(txn_commit(&t, &e), E_OK);
}

/* One write for many, the last word of each; what waits is written when the batch is full or the worker idle. */
static void last_contacts_are_written_together(void **state)
{
	(void)state;
	contact(SL("pc0"));
	contact(SL("pc255"));
	for (unsigned i = 0; i < SEEN_BATCH - 1; i++) {
		struct client_id id = named(i);
		worker_seen(worker, &id, 1, 8);
		worker_seen(worker, &id, 2, i);
	}
	assert_int_equal(worker->nseen, SEEN_BATCH - 1);
	worker_sent(worker);
	assert_int_equal(stored(SL("pc0")).major, 0);
	struct client_id last = named(255), beyond = named(256);
	worker_seen(worker, &last, 2, 90);
	worker_seen(worker, &beyond, 2, 90);
	worker_sent(worker);
	assert_int_equal(worker->nseen, 0);
	assert_int_equal(stored(SL("pc0")).major, 2);
	assert_int_equal(stored(SL("pc255")).minor, 90);
	assert_true(stored(SL("pc255")).last_seen > 1);
	worker_seen(worker, &last, 3, 1);
	worker_flush(worker);
	assert_int_equal(stored(SL("pc255")).major, 3);
}

/* What a large answer took does not stay with the worker for life. */
static void memory_of_a_large_answer_is_given_back(void **state)
{
	(void)state;
	assert_non_null(buf_room(&worker->packed, (size_t)5 << 20));
	assert_non_null(buf_room(rope_buf(&worker->rope), (size_t)5 << 20));
	worker_sent(worker);
	assert_true(worker->packed.cap <= ARENA_KEEP);
	assert_true(worker->rope.glue.cap <= ARENA_KEEP);
	assert_non_null(buf_room(&worker->packed, 1000));
	worker_sent(worker);
	assert_true(worker->packed.cap >= 1000);
}

/* ---- a full fleet/ ---- */

/* GetAuthorizationCookie of pcN with a name of `size` letters; true: answered without fault. */
static bool authorize(struct worker *w, unsigned n, unsigned size)
{
	static char group[LIMIT_ATTRIBUTES_TEXT + 1];
	struct answer a;
	memset(group, 'g', size);
	struct slice body = arena_printf(&arena,
		"<s:Envelope xmlns:s=\"" SOAP_NS11 "\"><s:Body><GetAuthorizationCookie xmlns=\"" WUSP_NS_SIMPLEAUTH
		"\"><clientId>pc%u</clientId><targetGroupName>%.*s</targetGroupName><dnsName>pc</dnsName>"
		"</GetAuthorizationCookie></s:Body></s:Envelope>", n, (int)size, group);
	struct request r = {.method = SL("POST"), .body = body, .a = &arena};
	service_answer(w, &r, &a);
	assert_null(w->txn); /* no writer waits for this answer to leave */
	worker_sent(w);
	arena_reset(&arena);
	return a.status == 200;
}

static bool is_noted(struct store *s, unsigned n, size_t *size)
{
	struct txn *t;
	struct err e;
	struct computer c = {0};
	struct client_id id = named(n);
	assert_int_equal(txn_begin(s, TXN_READ, &t, &e), E_OK);
	int rc = computer_get(t, (struct slice){id.s, id.n}, &c);
	*size = rc == E_OK ? c.requested_groups.n : 0;
	txn_end(&t);
	return rc == E_OK;
}

/* One more row of a computer takes several pages: who is refused may leave room for less than that. */
static void take_the_rest(struct store *s)
{
	static char junk[2000] = "\1";
	struct txn *t;
	struct err e;
	assert_int_equal(txn_begin(s, TXN_FLEET, &t, &e), E_OK);
	for (uint32_t i = 0; txn_fleet_has_room(t); i++) {
		struct key k = key_u32(i);
		assert_int_equal(db_put(t, DB_FMETA, key_bytes(&k), (struct slice){junk, sizeof(junk)}, &e), E_OK);
	}
	assert_int_equal(txn_commit(&t, &e), E_OK);
}

/* Ids that somebody makes up leave room for those that exist, and nobody goes without an answer. */
static void a_full_fleet_is_served_and_keeps_room_for_known_computers(void **state)
{
	char other[300];
	struct store *full;
	struct worker *w;
	struct err e;
	size_t size;
	unsigned n = 0;
	(void)state;
	snprintf(other, sizeof(other), "%s/full", dir);
	setenv("WSUS_FLEET_MAP_MB", "1", 1);
	assert_int_equal(mkdir(other, 0700), 0);
	assert_int_equal(store_create(other, &e), E_OK);
	assert_int_equal(store_open(&full, other, STORE_ADMIN, &e), E_OK);
	unsetenv("WSUS_FLEET_MAP_MB");
	assert_int_equal(worker_new(&w, &auth_service, full, sealer, &e), E_OK);
	do
		assert_true(authorize(w, ++n, 10000));
	while (is_noted(full, n, &size));
	assert_in_range(n, 10, 100); /* 1 MB holds about a hundred of them */
	take_the_rest(full);
	assert_true(authorize(w, 1, 10001)); /* grows: not noted */
	assert_true(is_noted(full, 1, &size) && size == 10000);
	assert_true(authorize(w, 1, 9999)); /* is known: noted */
	assert_true(is_noted(full, 1, &size) && size == 9999);
	worker_close(&w);
	store_close(&full);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_fault_has_an_id_of_its_own),
		cmocka_unit_test(last_contacts_are_written_together),
		cmocka_unit_test(memory_of_a_large_answer_is_given_back),
		cmocka_unit_test(a_full_fleet_is_served_and_keeps_room_for_known_computers),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
