/* t_serversync.c -- the services for downstream servers beside what cases show: recorded exchanges of a real server, what is
 * inside the cookies, what the log tells an administrator. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <unistd.h>

#include "cgi/sync.h"
#include "common/log.h"
#include "common/seal.h"
#include "common/text.h"
#include "store/db.h"
#include "store/publish.h"
#include "test/unit/corpus.h"

#define ONE "6f1c2f6e-3f0b-4d3a-9b1e-0d2f6a1c5e12" /* the server of the recorded exchanges */
#define TWO "bbbbbbbb-0000-4000-8000-000000000002"
#define PAGES ((size_t)16 << 20)

static char dir[200], log_path[256];
static struct store *store;
static struct sealer *sealer;
static struct worker *auth, *sync_;
static struct arena arena, kept;
static struct err e;
static tick_t now;

static tick_t frozen(void)
{
	return now;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st, (void)kind, (void)ftw;
	return remove(path);
}

static void open_workers(void)
{
	static const uint8_t secret[SEAL_MASTER] = {7};
	assert_int_equal(seal_open_secret(&sealer, secret, &e), E_OK);
	assert_int_equal(worker_new(&auth, &auth_service, store, sealer, &e), E_OK);
	assert_int_equal(worker_new(&sync_, &serversync_service, store, sealer, &e), E_OK);
	auth->now = sync_->now = frozen;
}

static void close_workers(void)
{
	worker_close(&auth);
	worker_close(&sync_);
	seal_close(&sealer);
}

static int setup(void **state)
{
	const char *tmp = getenv("TMPDIR");
	(void)state;
	now = time_now();
	arena_init(&arena, LIMIT_REQUEST_MEMORY);
	arena_init(&kept, PAGES);
	snprintf(dir, sizeof(dir), "%s/t_serversync.XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(dir));
	snprintf(log_path, sizeof(log_path), "%s/log", dir);
	log_init("t_serversync", LOG_NOTICE);
	assert_int_equal(store_create(dir, &e), E_OK);
	assert_int_equal(store_open(&store, dir, STORE_ADMIN, &e), E_OK);
	open_workers();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close_workers();
	store_close(&store);
	arena_free(&arena);
	arena_free(&kept);
	return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- asking ---- */

static int status;

/* Log lines of a request go to a file; what a failing test says does not. */
static int log_begin(void)
{
	int was = dup(STDERR_FILENO), fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	assert_true(was >= 0 && fd >= 0);
	dup2(fd, STDERR_FILENO);
	close(fd);
	return was;
}

static void log_end(int was)
{
	dup2(was, STDERR_FILENO);
	close(was);
}

/* The body of the answer, kept. */
static struct slice ask_as(struct worker *w, struct slice body, struct slice action)
{
	struct request r = {
		.method = SL("POST"),
		.path = slice_of(w->service->paths[w == auth ? 1 : 0]),
		.host = SL("127.0.0.1:8530"),
		.scheme = SL("http"),
		.peer = SL("192.0.2.9"),
		.soap_action = action,
		.body = body,
		.a = &arena,
	};
	struct answer a;
	struct buf b;
	buf_init(&b, PAGES);
	int was = log_begin();
	service_answer(w, &r, &a);
	log_end(was);
	for (size_t i = 0; i < a.niov; i++)
		buf_add(&b, a.iov[i].iov_base, a.iov[i].iov_len);
	status = a.status;
	worker_sent(w);
	arena_reset(&arena);
	struct slice out = arena_copy(&kept, buf_bytes(&b));
	assert_non_null(out.p);
	buf_free(&b);
	return out;
}

static PRINTF(2, 3) struct slice ask(struct worker *w, const char *fmt, ...)
{
	char body[8192];
	int n = snprintf(body, sizeof(body), "<s:Envelope xmlns:s=\"" SOAP_NS11 "\"><s:Body>");
	va_list ap;
	va_start(ap, fmt);
	n += vsnprintf(body + n, sizeof(body) - (size_t)n, fmt, ap);
	va_end(ap);
	n += snprintf(body + n, sizeof(body) - (size_t)n, "</s:Body></s:Envelope>");
	return ask_as(w, (struct slice){body, (size_t)n}, SL0);
}

static struct slice authorize(const char *name, const char *guid)
{
	return ask(auth, "<GetAuthorizationCookie xmlns=\"" WSUSSS_NS_AUTH "\"><accountName>%s</accountName><accountGuid>%s</accountGuid>"
		"</GetAuthorizationCookie>", name, guid);
}

/* The text of the first <name>; fails without one. */
static struct slice text_of(struct slice body, const char *name)
{
	char open[64];
	int n = snprintf(open, sizeof(open), "<%s>", name);
	const char *p = memmem(body.p, body.n, open, (size_t)n);
	const char *q = p ? memchr(p + n, '<', body.n - (size_t)(p + n - body.p)) : NULL;
	if (!q)
		fail_msg("no <%s> in %.*s", name, SLF(body));
	return (struct slice){p + n, (size_t)(q - p) - (size_t)n};
}

static bool has(struct slice s, const char *what)
{
	return memmem(s.p, s.n, what, strlen(what)) != NULL;
}

static void decide(const char *guid, enum downstream_state state)
{
	struct txn *t;
	struct guid id;
	assert_true(text_guid(slice_of(guid), &id));
	assert_int_equal(txn_begin(store, TXN_CATALOG, &t, &e), E_OK);
	assert_int_equal(downstream_decide(t, &id, SL(""), state, SL("test"), &e), E_OK);
	assert_int_equal(txn_commit(&t, &e), E_OK);
}

static void set(const char *name, const char *value)
{
	struct txn *t;
	struct publish_report rep;
	assert_int_equal(txn_begin(store, TXN_CATALOG, &t, &e), E_OK);
	assert_int_equal(setting_set(t, slice_of(name), slice_of(value), &e), E_OK);
	assert_int_equal(publish(t, now, &rep, &e), E_OK);
	assert_int_equal(txn_commit(&t, &e), E_OK);
}

/* ---- recorded exchanges ---- */

static void read_recorded(struct buf *b, const char *number, const char *file)
{
	char name[64];
	snprintf(name, sizeof(name), "serversync/%s/%s", number, file);
	if (!read_whole(b, corpus_dir(), name))
		fail_msg("cannot read %s", name);
}

/* Every run of 'A', which stands for a cookie, becomes ours; so does the text of configAnchor. */
static void put_ours(struct buf *to, struct slice from, struct slice cookie, struct slice anchor)
{
	static const char open[] = "<configAnchor>";
	for (size_t i = 0; i < from.n;) {
		size_t n = 0;
		while (i + n < from.n && from.p[i + n] == 'A')
			n++;
		if (n > 100) {
			buf_slice(to, cookie);
			for (i += n; from.p[i] == '='; i++)
				;
		} else if (i + sizeof(open) < from.n && memcmp(from.p + i, open, sizeof(open) - 1) == 0) {
			buf_str(to, open);
			buf_slice(to, anchor);
			i = (size_t)((const char *)memmem(from.p + i, from.n - i, "</", 2) - from.p);
		} else {
			buf_char(to, from.p[i++]);
		}
	}
	assert_int_equal(to->rc, E_OK);
}

/* What every server has of its own, or differently from run to run, as "?". */
static void mask(struct buf *to, struct slice from)
{
	static const char *const own[] = {"LastChange", "CookieData", "EncryptedData", "Expiration", "NewConfigAnchor", "ID"};
	buf_reset(to);
	for (size_t i = 0; i < from.n;) {
		const char *gt = memchr(from.p + i, '>', from.n - i);
		size_t n = gt ? (size_t)(gt - (from.p + i)) + 1 : from.n - i;
		buf_add(to, from.p + i, n);
		for (size_t k = 0; gt && k < COUNTOF(own); k++) {
			size_t m = strlen(own[k]);
			if (n < m + 2 || memcmp(gt - m - 1, "<", 1) != 0 || memcmp(gt - m, own[k], m) != 0)
				continue;
			const char *lt = memchr(gt, '<', from.n - i - n);
			assert_non_null(lt);
			buf_char(to, '?');
			n = (size_t)(lt - (from.p + i));
		}
		i += n;
	}
	assert_int_equal(to->rc, E_OK);
}

/* Sends the recorded request, compares the answer with the recorded one in every byte that is not a server's own. */
static struct slice replay(struct worker *w, const char *number, int want, struct slice cookie, struct slice anchor)
{
	struct buf file, body, a, b;
	buf_init(&file, PAGES);
	buf_init(&body, PAGES);
	buf_init(&a, PAGES);
	buf_init(&b, PAGES);
	read_recorded(&file, number, "request.headers");
	const char *action = memmem(file.p, file.n, "Soapaction: ", 12);
	assert_non_null(action);
	action += 12;
	struct slice soap_action = arena_copy(&kept, (struct slice){action, strcspn(action, "\r\n")});
	read_recorded(&file, number, "request.body");
	put_ours(&body, buf_bytes(&file), cookie, anchor);
	struct slice got = ask_as(w, buf_bytes(&body), soap_action);
	assert_int_equal(status, want);
	mask(&a, got);
	read_recorded(&file, number, "response.body");
	mask(&b, buf_bytes(&file));
	if (!slice_eq(buf_bytes(&a), buf_bytes(&b)))
		fail_msg("%s:\n%.*s\nis not as recorded:\n%.*s", number, SLF(buf_bytes(&a)), SLF(buf_bytes(&b)));
	buf_free(&file);
	buf_free(&body);
	buf_free(&a);
	buf_free(&b);
	return got;
}

/* holds: WSUSSS-TRANSPORT-10 WSUSSS-AUTHCONFIG-03 WSUSSS-AUTHCOOKIE-10 WSUSSS-COOKIE-13 WSUSSS-CONFIGDATA-10 WSUSSS-CONFIGDATA-11
 * WSUSSS-CONFIGDATA-14 WSUSSS-REVLIST-04 WSUSSS-FAULT-02 WSUSSS-FAULT-03 WSUSSS-FAULT-08 WSUSSS-FAULT-09 */
static void recorded_exchanges_come_out_as_a_real_server_s(void **state)
{
	(void)state;
	SKIP_WITHOUT(corpus_dir());
	decide(ONE, DOWNSTREAM_APPROVED);
	set("sync.languages", "en"); /* as that server had it */
	replay(sync_, "000001", 200, SL0, SL0);
	struct slice got = replay(auth, "000002", 200, SL0, SL0);
	got = replay(sync_, "000003", 200, text_of(got, "CookieData"), SL0);
	struct slice cookie = text_of(got, "EncryptedData");
	tick_t expires;
	assert_true(text_time(text_of(got, "Expiration"), &expires));
	assert_true(expires == now + 240 * 60 * TICKS_PER_SECOND);
	got = replay(sync_, "000005", 200, cookie, SL0);
	replay(sync_, "000004", 200, cookie, text_of(got, "NewConfigAnchor"));
	replay(sync_, "000018", 500, cookie, SL0);
	replay(sync_, "000019", 500, SL0, SL0);
}

/* ---- inside the cookies ---- */

static struct slice sealed_in(struct slice answer, const char *element)
{
	struct slice raw;
	assert_true(text_base64(text_of(answer, element), &kept, &raw));
	return raw;
}

static struct slice get_cookie(struct slice auth_cookie, const char *version)
{
	return ask(sync_, "<GetCookie xmlns=\"" WSUSSS_NS_SYNC "\"><authCookies><AuthorizationCookie><CookieData>%.*s</CookieData>"
		"</AuthorizationCookie></authCookies><protocolVersion>%s</protocolVersion></GetCookie>", SLF(auth_cookie), version);
}

/* holds: WSUSSS-AUTHCOOKIE-11 WSUSSS-COOKIE-12 WSUSSS-COOKIE-14 WSUSSS-VERSION-02 */
static void cookies_say_who_it_is_and_until_when(void **state)
{
	struct dss_auth_cookie a;
	struct dss_cookie k;
	struct guid one;
	struct txn *t;
	struct server_state st;
	(void)state;
	decide(ONE, DOWNSTREAM_APPROVED);
	struct slice got = authorize("dss.example.com", ONE);
	assert_int_equal(dss_auth_cookie_open(sealer, sealed_in(got, "CookieData"), &a), E_OK);
	got = get_cookie(text_of(got, "CookieData"), "1.20");
	assert_int_equal(dss_cookie_open(sealer, sealed_in(got, "EncryptedData"), &k), E_OK);
	assert_int_equal(txn_begin(store, TXN_READ, &t, &e), E_OK);
	assert_int_equal(server_state_get(t, &st, &e), E_OK);
	txn_end(&t);
	assert_true(text_guid(SL(ONE), &one));
	assert_int_equal(guid_cmp(&a.dss, &one) | guid_cmp(&k.dss, &one), 0);
	assert_int_equal(guid_cmp(&a.server, &st.server_id) | guid_cmp(&k.server, &st.server_id), 0);
	assert_int_equal(a.group, GROUP_DOWNSTREAM);
	assert_int_equal(k.group, GROUP_DOWNSTREAM);
	assert_true(a.expires == now + 240 * 60 * TICKS_PER_SECOND && k.expires == a.expires);
	assert_int_equal(k.major, 1);
	assert_int_equal(k.minor, 20); /* and not 2: two integers */
}

/* holds: WSUSSS-COOKIE-16 WSUSSS-AUTHCOOKIE-12 */
static void cookies_hold_in_every_process_with_the_same_secret(void **state)
{
	(void)state;
	decide(ONE, DOWNSTREAM_APPROVED);
	struct slice cookie_data = text_of(authorize("dss.example.com", ONE), "CookieData");
	close_workers();
	open_workers();
	struct slice cookie = text_of(get_cookie(cookie_data, "1.20"), "EncryptedData");
	close_workers();
	open_workers();
	ask(sync_, "<GetConfigData xmlns=\"" WSUSSS_NS_SYNC "\"><cookie><EncryptedData>%.*s</EncryptedData></cookie></GetConfigData>", SLF(cookie));
	assert_int_equal(status, 200);
}

/* ---- what the log tells ---- */

static struct slice log_since(long *at)
{
	struct buf b;
	buf_init(&b, PAGES);
	FILE *f = fopen(log_path, "r");
	assert_non_null(f);
	assert_int_equal(fseek(f, *at, SEEK_SET), 0);
	for (int c = getc(f); c != EOF; c = getc(f))
		buf_char(&b, (char)c);
	*at = ftell(f);
	fclose(f);
	struct slice out = arena_copy(&kept, buf_bytes(&b));
	buf_free(&b);
	return out;
}

static void expect_log(long *at, const char *const *words)
{
	struct slice line = log_since(at);
	for (; *words; words++)
		if (!has(line, *words))
			fail_msg("not in the log: %s\n%.*s", *words, SLF(line));
}

#define WORDS(...) (const char *const[]){__VA_ARGS__, NULL}

static void the_log_holds_the_command_that_admits(void **state)
{
	long at = 0;
	(void)state;
	authorize("dss.example.com", ONE);
	assert_int_equal(status, 500);
	expect_log(&at, WORDS("op=GetAuthorizationCookie", "client=" ONE, "name=dss.example.com", "not approved",
				"wsusctl downstream approve dss.example.com"));
	authorize("dss.example.com", ONE); /* nothing to note, and the same line */
	expect_log(&at, WORDS("client=" ONE, "wsusctl downstream approve dss.example.com"));
	decide(ONE, DOWNSTREAM_BLOCKED);
	authorize("dss.example.com", ONE);
	expect_log(&at, WORDS("client=" ONE, "blocked", "wsusctl downstream approve dss.example.com"));
	decide(ONE, DOWNSTREAM_APPROVED);
	struct slice authorized = authorize("dss.example.com", ONE);
	struct slice cookie = text_of(get_cookie(text_of(authorized, "CookieData"), "1.20"), "EncryptedData");
	(void)log_since(&at);
	ask(sync_, "<GetConfigData xmlns=\"" WSUSSS_NS_SYNC "\"><cookie><EncryptedData>%.*s</EncryptedData></cookie></GetConfigData>", SLF(cookie));
	expect_log(&at, WORDS("op=GetConfigData", "client=" ONE, "name=dss.example.com"));
	decide(ONE, DOWNSTREAM_BLOCKED);
	ask(sync_, "<GetConfigData xmlns=\"" WSUSSS_NS_SYNC "\"><cookie><EncryptedData>%.*s</EncryptedData></cookie></GetConfigData>", SLF(cookie));
	expect_log(&at, WORDS("op=GetConfigData", "client=" ONE, "name=dss.example.com", "blocked", "wsusctl downstream approve " ONE));
	get_cookie(text_of(authorized, "CookieData"), "1.20");
	expect_log(&at, WORDS("op=GetCookie", "client=" ONE, "blocked", "wsusctl downstream approve " ONE));
}

/* A stranger's choice of a name must not make the administrator approve another. */
static void a_name_that_could_mean_another_gives_way_to_the_id(void **state)
{
	long at = 0;
	(void)state;
	authorize("dss.example.com", ONE);
	(void)log_since(&at);
	authorize("DSS.example.com", TWO);
	expect_log(&at, WORDS("client=" TWO, "wsusctl downstream approve " TWO));
	authorize("dss.example.com", ONE);
	expect_log(&at, WORDS("client=" ONE, "wsusctl downstream approve " ONE));
	authorize(ONE, TWO);
	expect_log(&at, WORDS("client=" TWO, "wsusctl downstream approve " TWO));
	authorize("-x", TWO);
	expect_log(&at, WORDS("wsusctl downstream approve " TWO));
	authorize("two.example.com", TWO);
	expect_log(&at, WORDS("wsusctl downstream approve two.example.com"));
}

/* Of a server for which there was no room only its id is known. */
static void one_that_could_not_be_noted_is_approved_by_its_id(void **state)
{
	struct txn *t;
	long at = 0;
	(void)state;
	assert_int_equal(txn_begin(store, TXN_FLEET, &t, &e), E_OK);
	for (unsigned i = 1; i <= LIMIT_DOWNSTREAM_PENDING; i++) {
		struct downstream d = {.name = SL("stranger"), .address = SL(""), .came = true, .last_seen = now};
		put_be32(d.id.b, i);
		assert_int_equal(downstream_contact(t, &d, &e), E_OK);
	}
	assert_int_equal(txn_commit(&t, &e), E_OK);
	struct slice got = authorize("dss.example.com", ONE);
	assert_int_equal(status, 500);
	assert_true(has(text_of(got, "Message"), "accountGuid: "));
	expect_log(&at, WORDS("client=" ONE, "wsusctl downstream approve " ONE));
	decide(ONE, DOWNSTREAM_APPROVED);
	authorize("dss.example.com", ONE);
	assert_int_equal(status, 200);
}

/* What a server may have hangs on the decision, which is in catalog/; only its row is in fleet/. */
static void without_a_fleet_approved_servers_are_served(void **state)
{
	static const char *const skip[STORE__PARTS] = {[STORE_FLEET] = "a test"};
	long at = 0;
	(void)state;
	decide(ONE, DOWNSTREAM_APPROVED);
	close_workers();
	store_close(&store);
	assert_int_equal(store_open_but(&store, dir, STORE_ADMIN, skip, &e), E_OK);
	open_workers();
	struct slice got = authorize("dss.example.com", ONE);
	assert_int_equal(status, 200);
	got = get_cookie(text_of(got, "CookieData"), "1.20");
	ask(sync_, "<GetConfigData xmlns=\"" WSUSSS_NS_SYNC "\"><cookie><EncryptedData>%.*s</EncryptedData></cookie></GetConfigData>",
		SLF(text_of(got, "EncryptedData")));
	assert_int_equal(status, 200);
	(void)log_since(&at);
	authorize("two.example.com", TWO);
	assert_int_equal(status, 500);
	expect_log(&at, WORDS("client=" TWO, "InvalidParameters", "wsusctl downstream approve " TWO));
}

/* ---- anchors ---- */

static struct call a_call(struct txn **t)
{
	struct call c = {.w = sync_, .a = &arena, .now = now};
	assert_int_equal(txn_begin(store, TXN_READ, t, &e), E_OK);
	assert_int_equal(server_state_get(*t, &c.state, &e), E_OK);
	c.txn = *t;
	return c;
}

/* holds: WSUSSS-FAULT-23
 * partly: WSUSSS-REVLIST-04 (what an anchor is; that the list asks is a case) */
static void an_anchor_is_of_this_server_and_not_of_the_future(void **state)
{
	struct txn *t;
	uint32_t point;
	char text[ANCHOR_MAX];
	(void)state;
	struct call c = a_call(&t);
	const tick_t ms = TICKS_PER_SECOND / 1000, began = sync_began(&c.state);
	static const struct {
		uint32_t point;
		int later; /* milliseconds */
		int want;
	} table[] = {{7, 0, E_OK}, {1, 0, E_OK}, {8, 0, E_SERVER_CHANGED}, {2147483647, 0, E_SERVER_CHANGED}, {7, 1, E_SERVER_CHANGED},
		{7, -1, E_SERVER_CHANGED}};
	for (size_t i = 0; i < COUNTOF(table); i++) {
		size_t n = anchor_text(&(struct anchor){table[i].point, began + table[i].later * ms}, text);
		assert_int_equal(call_anchor(&c, (struct slice){text, n}, "filter", 7, &point), table[i].want);
		assert_int_equal(point, table[i].want == E_OK ? table[i].point : 0);
	}
	assert_int_equal(call_anchor(&c, SL0, "filter", 7, &point), E_OK);
	assert_int_equal(point, 0);
	assert_int_equal(call_anchor(&c, SL(""), "filter", 7, &point), E_OK);
	assert_int_equal(call_anchor(&c, SL("garbage"), "syncAnchor", 7, &point), E_INVALID_PARAMETERS);
	assert_string_equal(c.err.text, "syncAnchor");
	struct slice given = call_new_anchor(&c, 7);
	assert_int_equal(call_anchor(&c, given, "filter", 7, &point), E_OK);
	assert_int_equal(point, 7);
	given = call_new_anchor(&c, 0); /* nothing was published: an anchor like the others */
	assert_true(given.n > 2 && memcmp(given.p, "0,", 2) == 0);
	assert_int_equal(call_anchor(&c, given, "filter", 7, &point), E_OK);
	assert_int_equal(point, 0);
	txn_end(&t);
	arena_reset(&arena);
}

static void a_new_generation_has_other_anchors(void **state)
{
	struct txn *t;
	uint32_t point;
	(void)state;
	struct call c = a_call(&t);
	struct slice text = call_new_anchor(&c, 3);
	txn_end(&t);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(txn_begin(store, TXN_CATALOG, &t, &e), E_OK);
		assert_int_equal(server_new_generation(t, &e), E_OK);
		assert_int_equal(txn_commit(&t, &e), E_OK);
		c = a_call(&t);
		assert_int_equal(call_anchor(&c, text, "filter", 9, &point), E_SERVER_CHANGED);
		txn_end(&t);
	}
	arena_reset(&arena);
}

/* ---- our own failures ---- */

/* holds: WSUSSS-AUTHCONFIG-07 WSUSSS-FAULT-03 */
static void a_store_that_contradicts_itself_is_our_failure(void **state)
{
	struct txn *t;
	(void)state;
	assert_int_equal(txn_begin(store, TXN_CATALOG, &t, &e), E_OK);
	assert_int_equal(db_put(t, DB_META, SL("state"), SL("\1"), &e), E_OK);
	assert_int_equal(txn_commit(&t, &e), E_OK);
	struct slice got = ask(sync_, "<GetAuthConfig xmlns=\"" WSUSSS_NS_SYNC "\"/>");
	assert_int_equal(status, 500);
	assert_true(slice_eq(text_of(got, "ErrorCode"), SL("InternalServerError")));
	assert_true(slice_eq(text_of(got, "faultcode"), SL("soap:Server")));
	assert_true(has(got, "<Message></Message>"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(recorded_exchanges_come_out_as_a_real_server_s),
		TEST(cookies_say_who_it_is_and_until_when),
		TEST(cookies_hold_in_every_process_with_the_same_secret),
		TEST(the_log_holds_the_command_that_admits),
		TEST(a_name_that_could_mean_another_gives_way_to_the_id),
		TEST(one_that_could_not_be_noted_is_approved_by_its_id),
		TEST(without_a_fleet_approved_servers_are_served),
		TEST(an_anchor_is_of_this_server_and_not_of_the_future),
		TEST(a_new_generation_has_other_anchors),
		TEST(a_store_that_contradicts_itself_is_our_failure),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
