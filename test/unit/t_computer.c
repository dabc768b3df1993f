/* t_computer.c -- what computers tell us: contact, registration, batched times; nothing new writes nothing. */
#include "common/wusp_info.h"
#include "store/report_parts.h"
#include "store/scanned.h"
#include "test/unit/store_fixture.h"

static struct computer pc(const char *id)
{
	return (struct computer){.id = slice_of(id), .dns_name = SL("pc.example"), .requested_groups = SL("Lab;Hall"),
		.address = SL("192.0.2.7"), .last_seen = 1000};
}

static void contact(struct fixture *f, struct computer c)
{
	OK(computer_contact(fx_begin(f, TXN_FLEET), &c, &fx_err));
	fx_commit(f);
}

static struct computer get(struct fixture *f, const char *id)
{
	struct computer c;
	OK(computer_get(f->t ? f->t : fx_begin(f, TXN_READ), slice_of(id), &c));
	return c;
}

static uint64_t computers(struct fixture *f)
{
	uint64_t n;
	OK(db_count(f->t, DB_COMPUTER, &n, &fx_err));
	return n;
}

/* The bytes of the row, to see whether it was written. */
static uint64_t written(struct fixture *f)
{
	return txn_dirty(f->t);
}

/* holds: WUSP-AUTHCOOKIE-09 WUSP-AUTHCOOKIE-10 */
static void repeated_contacts_update_one_row(void **state)
{
	struct fixture *f = *state;
	contact(f, pc("PC-1"));
	struct computer c = get(f, "pc-1");
	assert_true(slice_eq(c.id, SL("pc-1")) && slice_eq(c.dns_name, SL("pc.example")));
	assert_true(slice_eq(c.requested_groups, SL("Lab;Hall")) && slice_eq(c.address, SL("192.0.2.7")));
	assert_true(c.first_seen == 1000 && c.last_seen == 1000 && !c.registered);
	txn_end(&f->t);
	struct computer later = pc("pc-1");
	later.dns_name = SL("other.example");
	later.requested_groups = SL("");
	later.last_seen = 2000;
	contact(f, later);
	c = get(f, "Pc-1");
	assert_true(slice_eq(c.dns_name, SL("other.example")) && c.requested_groups.n == 0);
	assert_true(c.first_seen == 1000 && c.last_seen == 2000);
	assert_int_equal(computers(f), 1);
	fx_assert_sound(f->t);
	txn_end(&f->t);
}

static struct computer from(const char *name, const char *address, tick_t at)
{
	struct computer c = pc("pc");
	c.dns_name = slice_of(name);
	c.address = slice_of(address);
	c.last_seen = at;
	return c;
}

/* Times of faces count from now. */
static tick_t at(unsigned n)
{
	return time_now() - TICKS_PER_SECOND * 1000 + n;
}

static struct faces faces(struct fixture *f)
{
	struct faces v;
	int rc = faces_get(fx_begin(f, TXN_READ), SL("PC"), &v);
	assert_true(rc == E_OK || rc == E_NOTFOUND);
	return v;
}

/* Ends the transaction of faces(), in which the names lie. */
static void assert_flag(struct fixture *f, enum identity_flag flag, unsigned alternations, const char *names)
{
	char all[256] = "";
	struct faces v = faces(f);
	for (unsigned i = 0; i < v.n; i++)
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%.*s", i ? " " : "", SLF(v.v[i].name));
	assert_string_equal(all, names);
	assert_int_equal(v.flag, flag);
	assert_int_equal(v.alternations, alternations);
	fx_assert_sound(f->t);
	txn_end(&f->t);
}

static void a_name_that_alternates_is_a_clone_and_one_that_stays_a_new_name(void **state)
{
	struct fixture *f = *state;
	contact(f, from("a", "192.0.2.1", at(1)));
	assert_flag(f, IDENTITY_PLAIN, 0, "a");
	contact(f, from("b", "192.0.2.1", at(2)));
	assert_flag(f, IDENTITY_RENAMED, 0, "b a");
	contact(f, from("c", "192.0.2.4", at(3))); /* on and on, but not back */
	assert_flag(f, IDENTITY_RENAMED, 0, "c b a");
	contact(f, from("b", "192.0.2.1", at(4)));
	assert_flag(f, IDENTITY_CLONED, 1, "b c a");
	contact(f, from("c", "192.0.2.4", at(5)));
	contact(f, from("b", "192.0.2.1", at(6)));
	assert_flag(f, IDENTITY_CLONED, 3, "b c a");
	struct faces v = faces(f);
	assert_true(v.v[0].returns == 2 && slice_eq(v.v[0].address, SL("192.0.2.1")));
	assert_true(v.v[1].returns == 1 && slice_eq(v.v[1].address, SL("192.0.2.4")) && v.v[2].returns == 0);
	txn_end(&f->t);
}

static void an_address_that_changes_is_no_sign(void **state)
{
	struct fixture *f = *state;
	static const char *const addresses[] = {"192.0.2.1", "192.0.2.2", "198.51.100.3", "192.0.2.1", "192.0.2.2", "2001:db8::1", "192.0.2.1"};
	for (unsigned i = 0; i < COUNTOF(addresses); i++) {
		contact(f, from(i & 1 ? "PC.Example" : "pc.example", addresses[i], at(i)));
		assert_flag(f, IDENTITY_PLAIN, 0, "pc.example");
	}
}

static void what_alternated_long_ago_is_no_sign_any_more(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = {"a", "b", "a"};
	tick_t month = 31 * INT64_C(24) * 3600 * TICKS_PER_SECOND;
	for (unsigned i = 0; i < COUNTOF(names); i++)
		contact(f, from(names[i], "192.0.2.1", at(i) - month));
	assert_flag(f, IDENTITY_PLAIN, 1, "a b");
	contact(f, from("b", "192.0.2.1", at(9)));
	assert_flag(f, IDENTITY_CLONED, 2, "b a");
}

static void registration(struct fixture *f, const char *model, const char *version)
{
	struct ComputerInfo info = {.ComputerManufacturer = SL("Contoso"), .ComputerModel = slice_of(model), .BiosName = SL("Phoenix"),
		.BiosVersion = slice_of(version)};
	struct buf b;
	buf_init(&b, 1 << 16);
	info.has = UINT64_C(1) << ComputerInfo__ComputerManufacturer | UINT64_C(1) << ComputerInfo__ComputerModel |
		   UINT64_C(1) << ComputerInfo__BiosName | UINT64_C(1) << ComputerInfo__BiosVersion;
	computer_info_pack(&b, &info);
	OK(computer_register(fx_begin(f, TXN_FLEET), SL("pc"), buf_bytes(&b), &fx_err));
	fx_commit(f);
	buf_free(&b);
}

/* Images of one disk on two machines keep their name. */
static void bios_data_that_alternate_are_a_clone_and_those_that_stay_an_update(void **state)
{
	struct fixture *f = *state;
	contact(f, from("a", "192.0.2.1", at(1)));
	registration(f, "One", "1.0");
	struct faces v = faces(f);
	assert_true(v.n == 1 && slice_eq(v.v[0].bios, SL("Contoso, One, Phoenix, 1.0")));
	txn_end(&f->t);
	registration(f, "One", "1.1");
	assert_flag(f, IDENTITY_PLAIN, 0, "a a");
	registration(f, "Two", "7");
	registration(f, "One", "1.1");
	assert_flag(f, IDENTITY_CLONED, 1, "a a a");
}

/* Each comes, and registers, in turn: one change of machine is one change, not two. */
static void clones_of_other_names_and_machines_are_told_apart(void **state)
{
	struct fixture *f = *state;
	for (unsigned i = 0; i < 4; i++) {
		contact(f, from(i & 1 ? "b" : "a", "192.0.2.1", at(i)));
		registration(f, i & 1 ? "Two" : "One", "1.0");
	}
	assert_flag(f, IDENTITY_CLONED, 2, "b a");
	struct faces v = faces(f);
	assert_true(slice_eq(v.v[0].bios, SL("Contoso, Two, Phoenix, 1.0")) && slice_eq(v.v[1].bios, SL("Contoso, One, Phoenix, 1.0")));
	txn_end(&f->t);
}

/* It came before faces were noted. */
static void the_first_change_of_an_old_row_is_seen(void **state)
{
	struct fixture *f = *state;
	contact(f, from("a", "192.0.2.1", at(1)));
	OK(db_del(fx_begin(f, TXN_FLEET), DB_FACE, SL("pc"), &fx_err));
	fx_commit(f);
	contact(f, from("b", "192.0.2.2", at(2)));
	assert_flag(f, IDENTITY_RENAMED, 0, "b a");
	OK(computer_delete(fx_begin(f, TXN_FLEET), SL("pc"), &fx_err));
	fx_commit(f);
	assert_flag(f, IDENTITY_PLAIN, 0, "");
}

/* What format 4 knew of an id under two names. */
static void what_came_from_elsewhere_becomes_faces(void **state)
{
	struct fixture *f = *state;
	struct buf b;
	uint64_t left;
	contact(f, from("now", "192.0.2.2", at(1)));
	rec_begin(&b, 1, 4096);
	rec_put_str(&b, SL("before"));
	rec_put_str(&b, SL("192.0.2.1"));
	rec_put_u64(&b, (uint64_t)at(1));
	rec_put_u32(&b, 3);
	rec_put_u32(&b, 2);
	OK(db_put_rec(fx_begin(f, TXN_FLEET), DB_FMETA, SL("elsewhere/pc"), &b, &fx_err));
	OK(db_put(f->t, DB_FMETA, SL("elsewhere/gone"), SL("\1"), &fx_err));
	OK(scanned_migrate(f->t, &fx_err));
	OK(db_del_prefix(f->t, DB_FMETA, SL("elsewhere/"), &left, &fx_err));
	assert_int_equal(left, 0);
	fx_commit(f);
	assert_flag(f, IDENTITY_CLONED, 2, "now before");
}

/* The registration stays what it was, whatever is written beside it. */
static void another_name_keeps_the_registration(void **state)
{
	struct fixture *f = *state;
	contact(f, from("a", "192.0.2.1", 1));
	OK(computer_register(fx_begin(f, TXN_FLEET), SL("pc"), SL("\x01info"), &fx_err));
	fx_commit(f);
	contact(f, from("b", "192.0.2.2", 2));
	struct computer c = get(f, "pc");
	assert_true(c.registered && slice_eq(c.info, SL("\x01info")) && slice_eq(c.dns_name, SL("b")));
	txn_end(&f->t);
}

static void new_ids_are_let_in_so_many_an_hour_and_known_ones_always(void **state)
{
	struct fixture *f = *state;
	const tick_t hour = 3600 * TICKS_PER_SECOND;
	struct computer known = pc("known"), c = pc("x");
	OK(setting_set(fx_begin(f, TXN_CATALOG), SL("client.new-per-hour"), SL("3"), &fx_err));
	fx_commit(f);
	contact(f, known);
	const char *const more[] = {"x1", "x2"};
	for (size_t i = 0; i < COUNTOF(more); i++)
		contact(f, pc(more[i]));
	IS(E_SERVER_BUSY, computer_contact(fx_begin(f, TXN_FLEET), &c, &fx_err));
	assert_non_null(strstr(fx_err.text, "client.new-per-hour"));
	txn_end(&f->t);
	IS(E_SERVER_BUSY, computer_may_begin(fx_begin(f, TXN_READ), c.id, 1000, &fx_err));
	OK(computer_may_begin(f->t, known.id, 1000, &fx_err));
	OK(computer_may_begin(f->t, c.id, hour, &fx_err));
	assert_int_equal(computers(f), 3);
	txn_end(&f->t);
	known.dns_name = SL("a-longer-name.example"); /* its row is written anew */
	contact(f, known);
	c.last_seen = hour;
	contact(f, c);
	fx_assert_sound(fx_begin(f, TXN_READ));
	assert_int_equal(computers(f), 4);
	txn_end(&f->t);
}

static void a_contact_that_tells_nothing_new_writes_nothing(void **state)
{
	struct fixture *f = *state;
	struct computer c = pc("pc");
	fx_begin(f, TXN_READ);
	assert_true(computer_contact_differs(f->t, &c));
	txn_end(&f->t);
	contact(f, c);
	c.last_seen = 5000;
	fx_begin(f, TXN_FLEET);
	assert_false(computer_contact_differs(f->t, &c));
	OK(computer_contact(f->t, &c, &fx_err));
	assert_int_equal(written(f), 0);
	c.address = SL("192.0.2.8");
	assert_true(computer_contact_differs(f->t, &c));
	txn_end(&f->t);
}

/* holds: WUSP-REGISTER-06 */
/* partly: WUSP-REGISTER-05 (that all members are in the packed form is t_info.c) */
static void a_registration_is_kept_whole_and_replaced_by_a_later_one(void **state)
{
	struct fixture *f = *state;
	struct ComputerInfo info = {0}, out;
	struct buf b;
	buf_init(&b, 1 << 16);
	contact(f, pc("pc"));
	WIRE_SET(&info, ComputerInfo, DnsName, SL("first"));
	WIRE_SET(&info, ComputerInfo, OSBuildNumber, 26200);
	computer_info_pack(&b, &info);
	fx_begin(f, TXN_FLEET);
	assert_true(computer_registration_differs(f->t, SL("pc"), buf_bytes(&b)));
	OK(computer_register(f->t, SL("PC"), buf_bytes(&b), &fx_err));
	fx_commit(f);
	struct computer c = get(f, "pc");
	assert_true(c.registered && slice_eq(c.dns_name, SL("pc.example")) && slice_eq(c.info, buf_bytes(&b)));
	fx_assert_sound(f->t);
	txn_end(&f->t);

	fx_begin(f, TXN_FLEET);
	assert_false(computer_registration_differs(f->t, SL("pc"), buf_bytes(&b)));
	OK(computer_register(f->t, SL("pc"), buf_bytes(&b), &fx_err));
	assert_int_equal(written(f), 0);
	WIRE_SET(&info, ComputerInfo, DnsName, SL("renamed"));
	buf_reset(&b);
	computer_info_pack(&b, &info);
	assert_true(computer_registration_differs(f->t, SL("pc"), buf_bytes(&b)));
	OK(computer_register(f->t, SL("pc"), buf_bytes(&b), &fx_err));
	IS(E_OK, computer_info_unpack(get(f, "pc").info, &out));
	assert_true(slice_eq(out.DnsName, SL("renamed")) && out.OSBuildNumber == 26200);
	assert_int_equal(computers(f), 1);
	txn_end(&f->t);
	buf_free(&b);
}

static void a_contact_keeps_the_registration(void **state)
{
	struct fixture *f = *state;
	OK(computer_register(fx_begin(f, TXN_FLEET), SL("pc"), SL("\x01"), &fx_err));
	fx_commit(f);
	contact(f, pc("pc"));
	struct computer c = get(f, "pc");
	assert_true(c.registered && slice_eq(c.info, SL("\x01")) && slice_eq(c.dns_name, SL("pc.example")));
	txn_end(&f->t);
}

static void times_and_versions_come_in_batches(void **state)
{
	struct fixture *f = *state;
	contact(f, pc("one"));
	contact(f, pc("two"));
	const struct seen v[] = {{SL("ONE"), 3000, 2, 90}, {SL("two"), 900, 1, 8}, {SL("unknown"), 3000, 2, 90},
		{SL("one"), 2500, 0, 0}, {SL(""), 1, 1, 1}};
	OK(computers_seen(fx_begin(f, TXN_FLEET), v, COUNTOF(v), &fx_err));
	fx_commit(f);
	struct computer c = get(f, "one");
	assert_true(c.last_seen == 3000 && c.major == 2 && c.minor == 90 && c.first_seen == 1000);
	c = get(f, "two");
	assert_true(c.last_seen == 1000 && c.major == 1 && c.minor == 8); /* never backwards */
	assert_int_equal(computers(f), 2);
	fx_assert_sound(f->t);
	txn_end(&f->t);
}

static int count(const struct computer *c, void *arg)
{
	struct buf *b = arg;
	buf_slice(b, c->id);
	buf_printf(b, "@%d ", (int)c->last_seen);
	return E_OK;
}

static void a_deleted_computer_is_gone_with_its_times(void **state)
{
	struct fixture *f = *state;
	struct buf b;
	struct computer c;
	buf_init(&b, 1000);
	contact(f, pc("one"));
	contact(f, pc("two"));
	const struct seen v[] = {{SL("one"), 3000, 2, 0}, {SL("two"), 4000, 2, 0}};
	OK(computers_seen(fx_begin(f, TXN_FLEET), v, 2, &fx_err));
	OK(computer_each(f->t, count, &b, &fx_err));
	assert_true(slice_eq(buf_bytes(&b), SL("one@3000 two@4000 ")));
	OK(computer_delete(f->t, SL("ONE"), &fx_err));
	IS(E_NOTFOUND, computer_delete(f->t, SL("one"), &fx_err));
	fx_commit(f);
	IS(E_NOTFOUND, computer_get(fx_begin(f, TXN_READ), SL("one"), &c));
	fx_assert_sound(f->t);
	txn_end(&f->t);
	buf_free(&b);
}

static void ids_out_of_bounds_name_no_computer(void **state)
{
	struct fixture *f = *state;
	char longest[300];
	struct computer c = pc("x");
	memset(longest, 'A', sizeof(longest));
	fx_begin(f, TXN_FLEET);
	c.id = (struct slice){longest, LIMIT_CLIENT_ID + 1};
	IS(E_LIMIT, computer_contact(f->t, &c, &fx_err));
	IS(E_NOTFOUND, computer_get(f->t, c.id, &c));
	c.id = (struct slice){longest, LIMIT_CLIENT_ID};
	OK(computer_contact(f->t, &c, &fx_err));
	OK(computer_get(f->t, c.id, &c));
	assert_true(c.id.n == LIMIT_CLIENT_ID && c.id.p[254] == 'a');
	IS(E_NOTFOUND, computer_get(f->t, SL(""), &c));
	txn_end(&f->t);
}

#define T(test) cmocka_unit_test_setup_teardown(test, fx_setup, fx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(repeated_contacts_update_one_row),
		T(a_name_that_alternates_is_a_clone_and_one_that_stays_a_new_name),
		T(an_address_that_changes_is_no_sign),
		T(what_alternated_long_ago_is_no_sign_any_more),
		T(bios_data_that_alternate_are_a_clone_and_those_that_stay_an_update),
		T(clones_of_other_names_and_machines_are_told_apart),
		T(the_first_change_of_an_old_row_is_seen),
		T(what_came_from_elsewhere_becomes_faces),
		T(another_name_keeps_the_registration),
		T(new_ids_are_let_in_so_many_an_hour_and_known_ones_always),
		T(a_contact_that_tells_nothing_new_writes_nothing),
		T(a_registration_is_kept_whole_and_replaced_by_a_later_one),
		T(a_contact_keeps_the_registration),
		T(times_and_versions_come_in_batches),
		T(a_deleted_computer_is_gone_with_its_times),
		T(ids_out_of_bounds_name_no_computer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
