/* t_setting.c -- the table of settings: defaults, bounds, words, what a change changes. */
#include "test/unit/store_fixture.h"

static void assert_value(struct txn *t, const char *name, const char *value)
{
	struct slice v;
	OK(setting_get(t, slice_of(name), &v, &fx_err));
	if (!slice_eq(v, slice_of(value)))
		fail_msg("%s is \"%.*s\", not \"%s\"", name, SLF(v), value);
}

static void set(struct txn *t, const char *name, const char *value)
{
	OK(setting_set(t, slice_of(name), slice_of(value), &fx_err));
}

static struct server_state state_of(struct txn *t)
{
	struct server_state st;
	OK(server_state_get(t, &st, &fx_err));
	return st;
}

static void every_row_has_words_and_a_default_that_it_accepts(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	size_t n = 0;
	for (const struct setting_info *i = setting_table(); i->name; i++, n++) {
		assert_true(i->values && i->dflt && i->unit && strlen(i->why) > 20);
		assert_value(t, i->name, i->dflt);
		set(t, i->name, i->dflt);
		for (const struct setting_info *other = setting_table(); other != i; other++)
			assert_string_not_equal(other->name, i->name);
	}
	assert_true(n >= 15);
	assert_int_equal(state_of(t).file_locations, 1); /* setting what holds changes nothing */
	txn_end(&f->t);
}

static void defaults_are_those_of_the_header(void **state)
{
	struct fixture *f = *state;
	struct settings s;
	OK(settings_get(fx_begin(f, TXN_READ), &s, &fx_err));
	assert_true(s.scan_scope == SCOPE_ALL && s.targeting == TARGETING_SERVER && s.content_store == CONTENT_LOCAL);
	assert_true(s.xpress == XPRESS_MIXED && s.max_extended == LIMIT_EXTENDED_DEFAULT && s.cookie_minutes == 60);
	assert_true(s.event_days == 30 && s.stale_days == 30);
	assert_true(s.page_updates == 200 && s.page_bytes == 2 << 20 && s.registration_required && !s.file_location_fault);
	assert_int_equal(s.downstream_admission, DOWNSTREAM_APPROVAL);
	assert_true(s.content_url.n == 0 && s.package_share.n == 0 && s.server_name.n == 0);
	txn_end(&f->t);
}

static void values_arrive_typed(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	struct settings s;
	set(t, "scan.scope", "approved");
	set(t, "targeting", "Client");
	set(t, "content.store", "microsoft");
	set(t, "xpress", "off");
	set(t, "content.url", "https://files.example:8443");
	set(t, "client.package-share", "\\\\server\\share");
	set(t, "server.name", "wsus.example");
	set(t, "client.max-extended", " 075 ");
	set(t, "client.cookie-minutes", "5");
	set(t, "scan.page-updates", "5000");
	set(t, "scan.page-bytes", "65536");
	set(t, "client.registration", "0");
	assert_value(t, "targeting", "client");
	assert_value(t, "client.max-extended", "75");
	assert_value(t, "client.registration", "false");
	fx_commit(f);
	for (int again = 0; again < 2; again++) { /* read, then remembered */
		OK(settings_get(fx_begin(f, TXN_READ), &s, &fx_err));
		assert_true(s.scan_scope == SCOPE_APPROVED && s.targeting == TARGETING_CLIENT && s.xpress == XPRESS_OFF);
		assert_true(s.content_store == CONTENT_MICROSOFT && s.max_extended == 75 && s.cookie_minutes == 5);
		assert_true(s.page_updates == 5000 && s.page_bytes == 65536 && !s.registration_required);
		assert_true(slice_eq(s.content_url, SL("https://files.example:8443")));
		assert_true(slice_eq(s.package_share, SL("\\\\server\\share")));
		assert_true(slice_eq(s.server_name, SL("wsus.example")));
		txn_end(&f->t);
	}
	fx_assert_sound(fx_begin(f, TXN_READ));
	txn_end(&f->t);
}

static void a_wrong_value_is_told_what_is_allowed(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *name, *value, *says;
	} bad[] = {
		{"scan.scope", "some", "all|approved"},
		{"scan.scope", "", "all|approved"},
		{"report.event-days", "0", "1..400"},
		{"report.event-days", "401", "1..400"},
		{"report.stale-days", "0", "1..3650"},
		{"report.stale-days", "3651", "1..3650"},
		{"client.max-extended", "0", "1..1000"},
		{"client.max-extended", "1001", "1..1000"},
		{"client.max-extended", "99999999999", "1..1000"},
		{"client.max-extended", "ten", "1..1000"},
		{"client.cookie-minutes", "-5", "5..1440"},
		{"client.registration", "yes", "true|false"},
		{"content.url", "ftp://x", "http[s]://"},
		{"content.url", "http://", "http[s]://"},
		{"content.url", "http://host/path", "http[s]://"},
		{"content.url", "http://a b", "http[s]://"},
		{"content.url", "http://user@host", "http[s]://"},
		{"content.url", "http://h\"><x", "http[s]://"},
		{"client.package-share", "C:\\share", "SERVER"},
		{"server.name", "a_b", "host name"},
		{"server.name", "a/b", "host name"},
	};
	struct txn *t = fx_begin(f, TXN_CATALOG);
	for (size_t i = 0; i < COUNTOF(bad); i++) {
		IS(E_FORM, setting_set(t, slice_of(bad[i].name), slice_of(bad[i].value), &fx_err));
		assert_non_null(strstr(fx_err.text, bad[i].says));
	}
	struct slice v;
	IS(E_NOTFOUND, setting_set(t, SL("no.such"), SL("1"), &fx_err));
	IS(E_NOTFOUND, setting_get(t, SL("no.such"), &v, &fx_err));
	uint64_t n;
	OK(db_count(t, DB_SETTING, &n, &fx_err));
	assert_int_equal(n, 0);
	fx_commit(f);
}

static void a_value_is_held_in_whatever_form_it_is_written(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	static const struct {
		const char *name, *value;
		bool holds;
	} all[] = {
		{"scan.scope", "ALL", true}, {"scan.scope", "approved", false}, {"client.max-extended", " 050 ", true},
		{"client.max-extended", "51", false}, {"client.registration", "1", true}, {"server.name", "", true},
		{"server.name", "a", false},
	};
	bool holds;
	for (size_t i = 0; i < COUNTOF(all); i++) {
		OK(setting_check(slice_of(all[i].name), slice_of(all[i].value), &fx_err));
		OK(setting_holds(t, slice_of(all[i].name), slice_of(all[i].value), &holds, &fx_err));
		assert_int_equal(holds, all[i].holds);
		set(t, all[i].name, all[i].value);
		OK(setting_holds(t, slice_of(all[i].name), slice_of(all[i].value), &holds, &fx_err));
		assert_true(holds);
	}
	IS(E_FORM, setting_check(SL("scan.scope"), SL("some"), &fx_err));
	IS(E_NOTFOUND, setting_check(SL("no.such"), SL("1"), &fx_err));
	IS(E_FORM, setting_holds(t, SL("scan.scope"), SL("some"), &holds, &fx_err));
	IS(E_NOTFOUND, setting_holds(t, SL("no.such"), SL("1"), &holds, &fx_err));
	txn_end(&f->t);
}

/* holds: WUSP-CONFIG-07 WUSP-CONFIG-08 */
static void last_change_moves_strictly_with_the_settings_that_clients_see(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *name, *value;
	} changes[] = {{"client.max-extended", "51"}, {"client.registration", "false"}, {"client.package-share", "\\\\a\\b"}};
	for (size_t i = 0; i < COUNTOF(changes); i++) {
		struct txn *t = fx_begin(f, TXN_CATALOG);
		tick_t before = state_of(t).last_change;
		set(t, changes[i].name, changes[i].value);
		tick_t after = state_of(t).last_change;
		assert_true(after > before);
		set(t, changes[i].name, changes[i].value);
		assert_true(state_of(t).last_change == after);
		set(t, "scan.page-updates", i % 2 ? "100" : "101");
		assert_true(state_of(t).last_change == after);
		fx_commit(f);
		store_close(&f->store);
		fx_open(f, STORE_ADMIN);
		assert_true(state_of(fx_begin(f, TXN_READ)).last_change == after);
		txn_end(&f->t);
	}
	/* a clock that went back */
	struct txn *t = fx_begin(f, TXN_CATALOG);
	struct server_state st = state_of(t);
	st.last_change = TICK_MAX_YEAR9999 - 9;
	OK(server_state_put(t, &st, &fx_err));
	set(t, "client.max-extended", "52");
	assert_true(state_of(t).last_change == TICK_MAX_YEAR9999 - 8);
	txn_end(&f->t);
}

static void file_locations_move_when_urls_do(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	set(t, "content.url", "http://files.example");
	assert_int_equal(state_of(t).file_locations, 2);
	set(t, "content.store", "microsoft");
	assert_int_equal(state_of(t).file_locations, 3);
	set(t, "content.store", "microsoft");
	set(t, "client.max-extended", "51");
	assert_int_equal(state_of(t).file_locations, 3);
	txn_end(&f->t);
}

static void a_new_scope_raises_the_log_floor_with_the_next_publish(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	fx_stage(t, (struct fx_revision){.update = 1});
	uint32_t epoch = fx_publish(f).epoch;
	t = fx_begin(f, TXN_CATALOG);
	set(t, "scan.scope", "approved");
	assert_int_equal(fx_publish(f).epoch, epoch + 1);
	assert_int_equal(state_of(fx_begin(f, TXN_READ)).log_floor, epoch + 1);
	txn_end(&f->t);
}

static void a_reader_sees_the_settings_of_its_own_snapshot(void **state)
{
	struct fixture *f = *state;
	struct settings s;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	set(t, "xpress", "off");
	OK(settings_get(t, &s, &fx_err));
	assert_int_equal(s.xpress, XPRESS_OFF);
	txn_end(&f->t); /* given up: nobody may remember it */
	OK(settings_get(fx_begin(f, TXN_READ), &s, &fx_err));
	assert_int_equal(s.xpress, XPRESS_MIXED);
	txn_end(&f->t);
	set(fx_begin(f, TXN_CATALOG), "xpress", "stream");
	fx_commit(f);
	OK(settings_get(fx_begin(f, TXN_READ), &s, &fx_err));
	assert_int_equal(s.xpress, XPRESS_STREAM);
	txn_end(&f->t);
}

static void settings_in_memory_are_overridden_one_by_one(void **state)
{
	struct fixture *f = *state;
	struct settings s;
	OK(settings_get(fx_begin(f, TXN_READ), &s, &fx_err));
	OK(settings_override(&s, "upstream.url=https://a.example:8531", &fx_err));
	OK(settings_override(&s, "upstream.mode=replica", &fx_err));
	OK(settings_override(&s, "upstream.login=/a=b", &fx_err));
	OK(settings_override(&s, "content.express=true", &fx_err));
	assert_true(slice_eq(s.upstream_url, SL("https://a.example:8531")) && slice_eq(s.upstream_login, SL("/a=b")));
	assert_true(s.upstream_mode == UPSTREAM_REPLICA && s.content_express);
	IS(E_FORM, settings_override(&s, "upstream.mode=both", &fx_err));
	assert_string_equal(fx_err.text, "upstream.mode takes autonomous|replica, not \"both\"");
	IS(E_USAGE, settings_override(&s, "upstream.mode", &fx_err));
	IS(E_USAGE, settings_override(&s, "no.such=1", &fx_err));
	OK(settings_override(&s, "upstream.url=", &fx_err));
	assert_int_equal(s.upstream_url.n, 0);
	txn_end(&f->t);
	OK(settings_get(fx_begin(f, TXN_READ), &s, &fx_err));
	assert_true(s.upstream_mode == UPSTREAM_AUTONOMOUS && s.upstream_url.n == 0);
	txn_end(&f->t);
}

#define T(test) cmocka_unit_test_setup_teardown(test, fx_setup, fx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_row_has_words_and_a_default_that_it_accepts),
		T(defaults_are_those_of_the_header),
		T(values_arrive_typed),
		T(a_wrong_value_is_told_what_is_allowed),
		T(a_value_is_held_in_whatever_form_it_is_written),
		T(last_change_moves_strictly_with_the_settings_that_clients_see),
		T(file_locations_move_when_urls_do),
		T(a_new_scope_raises_the_log_floor_with_the_next_publish),
		T(a_reader_sees_the_settings_of_its_own_snapshot),
		T(settings_in_memory_are_overridden_one_by_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
