/* t_parent.c -- what is known of the server above: its state, choices, history, fetch rows; kept, forgotten, audited. */
#include "store/env.h"
#include "store/parent.h"
#include "test/unit/store_fixture.h"

static void set(struct fixture *f, const char *name, const char *value)
{
	OK(setting_set(f->t, slice_of(name), slice_of(value), &fx_err));
}

static void at_server(struct fixture *f, const char *url)
{
	fx_begin(f, TXN_CATALOG);
	set(f, "upstream.url", url);
	fx_commit(f);
}

static struct parent some_parent(const char *url)
{
	static const struct parent_language languages[] = {{1033, {"en", 2}, true}, {1031, {"de", 2}, false}};
	return (struct parent){.url = slice_of(url), .service_url = SL("DssAuthWebService/DssAuthWebService.asmx"),
		.expiration = SL("2026-11-22T11:00:00.1234567Z"), .expires = 42, .cookie = SL("\0\1\2"), .config_anchor = SL("c"),
		.category_anchor = SL("1,2008-11-16 02:27:07.230"), .sync_anchor = SL("s"), .deployment_anchor = SL("d"),
		.version = SL("1.20"), .catalog_only = true, .lazy = false, .hosts_psf = true, .max_updates = 100,
		.max_decryption = 7, .language = languages, .nlanguages = COUNTOF(languages), .met = 99};
}

static void put(struct fixture *f, const char *url)
{
	struct parent p = some_parent(url);
	OK(parent_put(fx_begin(f, TXN_CATALOG), &p, &fx_err));
	fx_commit(f);
}

static int get(struct fixture *f, struct parent *out)
{
	struct settings s;
	OK(settings_get(f->t, &s, &fx_err));
	return parent_get(f->t, &s, out, &fx_err);
}

static void assert_same_text(struct slice a, struct slice b)
{
	assert_true(slice_eq(a, b));
}

/* holds: WSUSSS-ADM-03 WSUSSS-ADM-09 */
static void its_state_is_nothing_at_first_and_then_what_was_learned(void **state)
{
	struct fixture *f = *state;
	struct parent p, was = some_parent("http://parent.example.net:8530");
	at_server(f, "http://parent.example.net:8530");
	fx_begin(f, TXN_READ);
	IS(E_NOTFOUND, get(f, &p));
	txn_end(&f->t);
	put(f, "http://parent.example.net:8530");
	fx_begin(f, TXN_READ);
	OK(get(f, &p));
	const struct slice texts[][2] = {{p.url, was.url}, {p.service_url, was.service_url}, {p.expiration, was.expiration},
		{p.cookie, was.cookie}, {p.config_anchor, was.config_anchor}, {p.category_anchor, was.category_anchor},
		{p.sync_anchor, was.sync_anchor}, {p.deployment_anchor, was.deployment_anchor}, {p.version, was.version}};
	for (size_t i = 0; i < COUNTOF(texts); i++)
		assert_same_text(texts[i][0], texts[i][1]);
	assert_int_equal(p.expires, 42);
	assert_int_equal(p.met, 99);
	assert_true(p.catalog_only && !p.lazy && p.hosts_psf);
	assert_int_equal(p.max_updates, 100);
	assert_int_equal(p.max_decryption, 7);
	assert_int_equal(p.nlanguages, 2);
	assert_int_equal(p.language[1].id, 1031);
	assert_same_text(p.language[1].code, SL("de"));
	assert_true(p.language[0].enabled && !p.language[1].enabled);
	txn_end(&f->t);
}

static void under_another_address_nothing_of_it_counts(void **state)
{
	struct fixture *f = *state;
	struct parent p;
	at_server(f, "http://parent.example.net:8530");
	put(f, "http://parent.example.net:8530");
	for (int i = 0; i < 2; i++) {
		at_server(f, i ? "" : "http://other.example.net:8530");
		fx_begin(f, TXN_READ);
		IS(E_NOTFOUND, get(f, &p));
		txn_end(&f->t);
	}
}

/* Whoever may have made policy of his own in between asks for all of the parent's. */
static void its_deployments_are_asked_for_anew_once_mode_or_address_changed(void **state)
{
	struct fixture *f = *state;
	const char *const changes[][3] = {{"upstream.mode", "replica", "autonomous"},
		{"upstream.url", "http://other.example.net", "http://parent.example.net:8530"}};
	struct parent p;
	at_server(f, "http://parent.example.net:8530");
	for (size_t i = 0; i < COUNTOF(changes); i++) {
		put(f, "http://parent.example.net:8530");
		fx_begin(f, TXN_CATALOG);
		set(f, "upstream.rate", "100");
		OK(get(f, &p));
		assert_same_text(p.deployment_anchor, SL("d"));
		set(f, changes[i][0], changes[i][1]);
		set(f, changes[i][0], changes[i][2]);
		fx_commit(f);
		fx_begin(f, TXN_READ);
		OK(get(f, &p));
		assert_same_text(p.deployment_anchor, SL(""));
		assert_same_text(p.sync_anchor, i == 0 ? SL("") : SL("s")); /* a replica lists everything */
		txn_end(&f->t);
	}
}

/* An anchor of a list of chosen products says nothing of the others. */
static void everything_is_listed_anew_once_sync_filter_changed(void **state)
{
	struct fixture *f = *state;
	struct parent p;
	at_server(f, "http://parent.example.net:8530");
	put(f, "http://parent.example.net:8530");
	fx_begin(f, TXN_CATALOG);
	set(f, "sync.filter", "chosen");
	OK(get(f, &p));
	assert_same_text(p.sync_anchor, SL("s"));
	set(f, "sync.filter", "all");
	OK(get(f, &p));
	assert_same_text(p.sync_anchor, SL(""));
	assert_same_text(p.category_anchor, SL("1,2008-11-16 02:27:07.230"));
	assert_same_text(p.deployment_anchor, SL("d"));
	txn_end(&f->t);
}

/* ---- choices ---- */

static void choose(struct fixture *f, enum choice_kind kind, unsigned id, bool wanted)
{
	struct guid g = fx_guid(id);
	struct choice c;
	if (choice_get(f->t, kind, &g, &c) != E_OK)
		c = (struct choice){.kind = kind, .id = g};
	c.wanted = wanted;
	OK(choice_put(f->t, &c, &fx_err));
}

struct texts {
	char text[256];
};

static int note_choice(const struct choice *c, void *arg)
{
	struct texts *s = arg;
	size_t n = strlen(s->text);
	snprintf(s->text + n, sizeof(s->text) - n, "%s%u%s%s ", choice_kind_names[c->kind], get_be32(c->id.b + 12), c->wanted ? "+" : "-",
		c->covered ? "c" : "");
	return E_OK;
}

static void assert_choices(struct fixture *f, const char *text)
{
	struct texts s = {""};
	OK(choice_each(f->t, 0, note_choice, &s, &fx_err));
	assert_string_equal(s.text, text);
}

static void choices_are_covered_by_the_list_that_they_were_part_of(void **state)
{
	struct fixture *f = *state;
	fx_begin(f, TXN_CATALOG);
	choose(f, CHOICE_CLASSIFICATION, 3, true);
	choose(f, CHOICE_PRODUCT, 2, true);
	choose(f, CHOICE_PRODUCT, 1, true);
	assert_choices(f, "product1+ product2+ classification3+ ");
	OK(choices_cover(f->t, &fx_err));
	assert_choices(f, "product1+c product2+c classification3+c ");
	choose(f, CHOICE_PRODUCT, 2, false);
	choose(f, CHOICE_PRODUCT, 4, true);
	assert_choices(f, "product1+c product2-c product4+ classification3+c ");
	OK(choices_cover(f->t, &fx_err));
	assert_choices(f, "product1+c product4+c classification3+c "); /* one that says nothing has no row */
	fx_commit(f);
}

static void what_counting_said_stays_with_a_choice(void **state)
{
	struct fixture *f = *state;
	struct choice in = {.kind = CHOICE_PRODUCT, .id = fx_guid(1), .counted = 7, .updates = 1234, .bytes = UINT64_C(1) << 40, .sampled = 20}, c;
	OK(choice_put(fx_begin(f, TXN_CATALOG), &in, &fx_err));
	OK(choice_get(f->t, CHOICE_PRODUCT, &in.id, &c));
	assert_int_equal(c.counted, 7);
	assert_int_equal(c.updates, 1234);
	assert_int_equal(c.bytes, UINT64_C(1) << 40);
	assert_int_equal(c.sampled, 20);
	IS(E_NOTFOUND, choice_get(f->t, CHOICE_CLASSIFICATION, &in.id, &c));
	txn_end(&f->t);
}

/* ---- history ---- */

static int note_run(const struct sync_run *r, void *arg)
{
	struct texts *s = arg;
	size_t n = strlen(s->text);
	snprintf(s->text + n, sizeof(s->text) - n, "%d:%s/%s ", (int)r->began, run_result_names[r->result], sync_phase_names[r->phase]);
	return E_OK;
}

/* holds: WSUSSS-ADM-08 (with t_replica) */
static void runs_are_told_newest_first_and_dropped_by_age(void **state)
{
	struct fixture *f = *state;
	uint32_t dropped;
	fx_begin(f, TXN_CATALOG);
	for (int i = 1; i <= 4; i++) {
		struct sync_run r = {.began = i * 10, .result = (enum run_result)i, .phase = SYNC_UPDATES, .server = SL("http://p")};
		OK(sync_run_put(f->t, &r, &fx_err));
	}
	struct texts s = {""};
	OK(sync_run_each(f->t, note_run, &s, &fx_err));
	assert_string_equal(s.text, "40:interrupted/updates 30:cancelled/updates 20:failed/updates 10:done/updates ");
	OK(sync_run_prune(f->t, 30, &dropped, &fx_err));
	assert_int_equal(dropped, 2);
	s = (struct texts){""};
	OK(sync_run_each(f->t, note_run, &s, &fx_err));
	assert_string_equal(s.text, "40:interrupted/updates 30:cancelled/updates ");
	txn_end(&f->t);
}

static int keep_run(const struct sync_run *r, void *arg)
{
	*(struct sync_run *)arg = *r;
	return E_OK;
}

static void a_run_comes_back_as_it_went_and_its_words_are_cut_between_characters(void **state)
{
	struct fixture *f = *state;
	char why[600];
	memset(why, 'x', sizeof(why));
	memcpy(why + 499, "\xC3\xA9", 2); /* the second byte would be the 501st */
	struct sync_run in = {.began = 5, .ended = 6, .result = RUN_FAILED, .phase = SYNC_DEPLOYMENTS, .scheduled = true, .replica = true,
		.listed = 1, .fetched = 2, .added = 3, .known = 4, .different = 5, .refused = 6, .related = 7, .groups = 8, .deployments = 9,
		.ended_deployments = 10, .hidden = 11, .eulas = 12, .restarts = 13, .received = UINT64_C(1) << 33,
		.server = SL("http://p"), .why = {why, sizeof(why)}, .remedy = SL("do this")}, r;
	OK(sync_run_put(fx_begin(f, TXN_CATALOG), &in, &fx_err));
	OK(sync_run_each(f->t, keep_run, &r, &fx_err));
	assert_int_equal(r.why.n, 499);
	const uint32_t *a = &in.listed, *b = &r.listed;
	for (size_t i = 0; i < 13; i++)
		assert_int_equal(a[i], b[i]);
	assert_true(r.scheduled && r.replica && !r.categories_only && r.began == 5 && r.ended == 6 && r.received == in.received);
	assert_same_text(r.remedy, in.remedy);
	assert_same_text(r.server, in.server);
	txn_end(&f->t);
}

/* ---- fetch rows ---- */

static int count_fetch(const struct fetch *v, void *arg)
{
	(void)v;
	++*(unsigned *)arg;
	return E_OK;
}

static void attempts_to_fetch_a_file_are_remembered(void **state)
{
	struct fixture *f = *state;
	struct fetch in = {.digest = fx_sha1(1), .state = FETCH_FAILED, .tries = 3, .at = 10, .next = 20, .why = SL("404")}, v;
	unsigned n = 0;
	fx_begin(f, TXN_CATALOG);
	IS(E_NOTFOUND, fetch_get(f->t, &in.digest, &v));
	OK(fetch_put(f->t, &in, &fx_err));
	OK(fetch_get(f->t, &in.digest, &v));
	assert_true(v.state == FETCH_FAILED && v.tries == 3 && v.at == 10 && v.next == 20);
	assert_same_text(v.why, SL("404"));
	OK(fetch_each(f->t, count_fetch, &n, &fx_err));
	assert_int_equal(n, 1);
	OK(fetch_del(f->t, &in.digest, &fx_err));
	IS(E_NOTFOUND, fetch_get(f->t, &in.digest, &v));
	txn_end(&f->t);
}

/* ---- forgetting and keeping ---- */

static void to_forget_it_leaves_choices_and_history_and_lets_go_what_was_held(void **state)
{
	struct fixture *f = *state;
	struct parent p;
	struct revision r;
	struct fetch in = {.digest = fx_sha1(1), .state = FETCH_ASKED}, v;
	struct sync_run run = {.began = 5, .result = RUN_DONE};
	struct texts s = {""};
	at_server(f, "http://parent.example.net");
	put(f, "http://parent.example.net");
	fx_begin(f, TXN_CATALOG);
	int32_t id = fx_stage(f->t, (struct fx_revision){.update = 1});
	OK(revision_get(f->t, id, &r, &fx_err));
	r.flags |= REV_HELD;
	OK(revision_put(f->t, &r, &fx_err));
	choose(f, CHOICE_PRODUCT, 1, true);
	OK(choices_cover(f->t, &fx_err));
	for (unsigned i = 1; i <= 2; i++) {
		struct choice c = {.kind = CHOICE_PRODUCT, .id = fx_guid(i), .wanted = i == 1, .covered = i == 1, .counted = 7, .updates = 3,
			.bytes = 5, .sampled = 3};
		OK(choice_put(f->t, &c, &fx_err));
	}
	OK(fetch_put(f->t, &in, &fx_err));
	OK(sync_run_put(f->t, &run, &fx_err));
	fx_commit(f);
	OK(parent_forget(fx_begin(f, TXN_CATALOG), &fx_err));
	fx_commit(f);
	fx_begin(f, TXN_CATALOG);
	IS(E_NOTFOUND, get(f, &p));
	assert_choices(f, "product1+ ");
	struct choice c;
	struct guid one = fx_guid(1);
	OK(choice_get(f->t, CHOICE_PRODUCT, &one, &c));
	assert_true(c.counted == 0 && c.updates == 0 && c.bytes == 0 && c.sampled == 0);
	IS(E_NOTFOUND, fetch_get(f->t, &in.digest, &v));
	OK(sync_run_each(f->t, note_run, &s, &fx_err));
	assert_string_equal(s.text, "5:done/authorization ");
	OK(revision_get(f->t, id, &r, &fx_err));
	assert_false(r.flags & REV_HELD);
	assert_int_equal(fx_publish(f).shown, 1);
}

static void keep_line(const char *line, void *arg)
{
	struct texts *s = arg;
	size_t n = strlen(s->text);
	snprintf(s->text + n, sizeof(s->text) - n, "%s\n", line);
}

static void what_is_wanted_outlives_the_store(void **state)
{
	struct fixture *f = *state;
	struct texts s = {""};
	unsigned count[POLICY__N];
	fx_begin(f, TXN_CATALOG);
	choose(f, CHOICE_PRODUCT, 1, true);
	choose(f, CHOICE_CLASSIFICATION, 2, true);
	OK(choices_cover(f->t, &fx_err));
	choose(f, CHOICE_CLASSIFICATION, 2, false);
	OK(policy_lines(f->t, POLICY_CHOICES, keep_line, &s, &fx_err));
	txn_end(&f->t);
	assert_string_equal(s.text, "choice product 11223344-5566-4788-99aa-000000000001\n");
	fx_begin(f, TXN_CATALOG);
	OK(policy_lay(f->t, slice_of(s.text), count, &fx_err));
	assert_int_equal(count[POLICY_CHOICES], 1);
	assert_choices(f, "product1+ ");
	OK(policy_lay(f->t, SL("choice product nonsense\nchoice thing 11223344-5566-4788-99aa-000000000001\n"), count, &fx_err));
	assert_int_equal(count[POLICY_CHOICES], 0);
	txn_end(&f->t);
}

/* ---- damage ---- */

static void found(const char *text, void *arg)
{
	keep_line(text, arg);
}

static void the_audit_names_rows_that_cannot_be_read(void **state)
{
	struct fixture *f = *state;
	static const struct {
		enum db db;
		const char *says;
	} rows[] = {{DB_CHOICE, "choice"}, {DB_HISTORY, "history"}, {DB_FETCH, "file to be fetched"}};
	for (size_t i = 0; i < COUNTOF(rows); i++) {
		struct texts s = {""};
		unsigned n;
		OK(db_put(fx_begin(f, TXN_CATALOG), rows[i].db, SL("12345678"), SL("\1nonsense"), &fx_err));
		OK(store_audit(f->t, found, &s, &n, &fx_err));
		assert_int_equal(n, 1);
		assert_non_null(strstr(s.text, rows[i].says));
		txn_end(&f->t);
	}
	struct texts s = {""};
	struct parent p;
	unsigned n;
	at_server(f, "http://p");
	OK(db_put(fx_begin(f, TXN_CATALOG), DB_META, SL("parent"), SL("\1nonsense"), &fx_err));
	IS(E_CORRUPT, get(f, &p));
	OK(store_audit(f->t, found, &s, &n, &fx_err));
	assert_string_equal(s.text, "what is known of the server above this one cannot be read\n");
	OK(parent_forget(f->t, &fx_err));
	IS(E_NOTFOUND, get(f, &p));
	txn_end(&f->t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fx_setup, fx_teardown)
		TEST(its_state_is_nothing_at_first_and_then_what_was_learned),
		TEST(under_another_address_nothing_of_it_counts),
		TEST(its_deployments_are_asked_for_anew_once_mode_or_address_changed),
		TEST(everything_is_listed_anew_once_sync_filter_changed),
		TEST(choices_are_covered_by_the_list_that_they_were_part_of),
		TEST(what_counting_said_stays_with_a_choice),
		TEST(runs_are_told_newest_first_and_dropped_by_age),
		TEST(a_run_comes_back_as_it_went_and_its_words_are_cut_between_characters),
		TEST(attempts_to_fetch_a_file_are_remembered),
		TEST(to_forget_it_leaves_choices_and_history_and_lets_go_what_was_held),
		TEST(what_is_wanted_outlives_the_store),
		TEST(the_audit_names_rows_that_cannot_be_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
