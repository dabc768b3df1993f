/* t_downstream.c -- servers below this one: rows, decisions, limits, and the files that they want. */
#include "ctl/cmd.h"
#include "ctl/content.h"
#include "store/downstream.h"
#include "test/unit/store_fixture.h"

#define HOUR (3600 * TICKS_PER_SECOND)

static struct downstream server(unsigned n, const char *name)
{
	return (struct downstream){.id = fx_guid(n), .name = slice_of(name), .address = SL("192.0.2.7"), .last_seen = 1000};
}

static void contact(struct fixture *f, struct downstream d)
{
	OK(downstream_contact(fx_begin(f, TXN_FLEET), &d, &fx_err));
	fx_commit(f);
}

static void decide(struct fixture *f, unsigned n, const char *name, enum downstream_state state)
{
	struct guid id = fx_guid(n);
	OK(downstream_decide(fx_begin(f, TXN_CATALOG), &id, slice_of(name), state, ADMIN, &fx_err));
	fx_commit(f);
}

static struct downstream get(struct fixture *f, unsigned n)
{
	struct downstream d;
	struct guid id = fx_guid(n);
	OK(downstream_get(f->t ? f->t : fx_begin(f, TXN_READ), &id, &d, &fx_err));
	return d;
}

static enum downstream_state state_of(struct fixture *f, unsigned n)
{
	struct settings set;
	struct guid id = fx_guid(n);
	struct txn *t = fx_begin(f, TXN_READ);
	OK(settings_get(t, &set, &fx_err));
	enum downstream_state s = downstream_state(t, &id, &set);
	txn_end(&f->t);
	return s;
}

static void assert_sound(struct fixture *f)
{
	fx_assert_sound(fx_begin(f, TXN_READ));
	txn_end(&f->t);
}

/* holds: WSUSSS-AUTHCOOKIE-06 WSUSSS-AUTHCOOKIE-07 WSUSSS-AUTHCOOKIE-08
 * partly: WSUSSS-ADM-11 (what rollups fill stays nothing) WSUSSS-ADM-12 (rollups make no rows yet) */
static void the_first_contact_makes_a_row_of_this_server_whose_figures_are_nothing(void **state)
{
	struct fixture *f = *state;
	struct server_state st;
	struct downstream d;
	struct guid id = fx_guid(1);
	IS(E_NOTFOUND, downstream_get(fx_begin(f, TXN_READ), &id, &d, &fx_err));
	txn_end(&f->t);
	contact(f, server(1, "dss.example"));
	d = get(f, 1);
	OK(server_state_get(f->t, &st, &fx_err));
	assert_true(d.came && slice_eq(d.name, SL("dss.example")) && slice_eq(d.address, SL("192.0.2.7")));
	assert_true(d.first_seen == 1000 && d.last_seen == 1000 && d.state == DOWNSTREAM_PENDING && d.decided == 0);
	assert_memory_equal(&d.parent, &st.server_id, sizeof(d.parent));
	assert_true(d.last_rollup == 0 && d.last_sync == 0 && d.version.n == 0 && d.listed == 0 && d.replicated == 0);
	assert_true(d.major == 0 && d.minor == 0);
	for (size_t i = 0; i < COUNTOF(d.counter); i++)
		assert_int_equal(d.counter[i], 0);
	txn_end(&f->t);
	assert_sound(f);
}

static uint64_t rows(struct fixture *f)
{
	uint64_t n;
	OK(db_count(fx_begin(f, TXN_READ), DB_DOWNSTREAM, &n, &fx_err));
	txn_end(&f->t);
	return n;
}

/* holds: WSUSSS-AUTHCOOKIE-09 */
static void another_name_is_taken_into_the_same_row(void **state)
{
	struct fixture *f = *state;
	struct downstream d = server(1, "dss.example");
	contact(f, d);
	OK(downstreams_seen(fx_begin(f, TXN_FLEET), &(struct downstream_seen){d.id, 2000, 1, 8, DOWNSTREAM_LISTED}, 1, &fx_err));
	fx_commit(f);
	d = server(1, "a-much-longer-name.example");
	d.address = SL("2001:db8::1");
	d.last_seen = 3000;
	contact(f, d);
	d = get(f, 1);
	assert_true(slice_eq(d.name, SL("a-much-longer-name.example")) && slice_eq(d.address, SL("2001:db8::1")));
	assert_true(d.first_seen == 1000 && d.last_seen == 3000 && d.listed == 2000 && d.major == 1 && d.minor == 8);
	txn_end(&f->t);
	assert_int_equal(rows(f), 1);
}

static bool differs(struct fixture *f, struct downstream d)
{
	bool yes = downstream_contact_differs(fx_begin(f, TXN_READ), &d);
	txn_end(&f->t);
	OK(downstream_contact(fx_begin(f, TXN_FLEET), &d, &fx_err));
	assert_int_equal(txn_dirty(f->t) > 0, yes); /* the same judgement */
	txn_end(&f->t);
	return yes;
}

static void a_contact_that_says_nothing_new_writes_nothing(void **state)
{
	struct fixture *f = *state;
	struct downstream d = server(1, "dss.example");
	assert_true(differs(f, d));
	contact(f, d);
	assert_false(differs(f, d));
	d.name = SL("DSS.Example"); /* names are the same in any letter case */
	d.last_seen += HOUR - 1;
	assert_false(differs(f, d));
	d.last_seen++;
	assert_true(differs(f, d));
	contact(f, d);
	d = get(f, 1);
	assert_true(slice_eq(d.name, SL("dss.example")) && d.last_seen == 1000 + HOUR);
	txn_end(&f->t);
	d = server(1, "dss.example");
	d.address = SL("192.0.2.8");
	assert_true(differs(f, d));
	d = server(1, "dss2.example");
	assert_true(differs(f, d));
}

static size_t seen(struct fixture *f, struct downstream_seen s)
{
	OK(downstreams_seen(fx_begin(f, TXN_FLEET), &s, 1, &fx_err));
	size_t n = txn_dirty(f->t);
	fx_commit(f);
	return n;
}

static void what_servers_do_is_noted_and_idle_repetition_is_not(void **state)
{
	struct fixture *f = *state;
	struct guid id = fx_guid(1);
	contact(f, server(1, "dss.example"));
	assert_true(seen(f, (struct downstream_seen){id, 1100, 1, 20, 0}) > 0);
	assert_int_equal(seen(f, (struct downstream_seen){id, 1200, 1, 20, 0}), 0);
	assert_int_equal(seen(f, (struct downstream_seen){id, 1200, 0, 0, 0}), 0); /* no version known: the old one stays */
	assert_true(seen(f, (struct downstream_seen){id, 1300, 1, 20, DOWNSTREAM_LISTED}) > 0);
	assert_true(seen(f, (struct downstream_seen){id, 1400, 1, 20, DOWNSTREAM_REPLICATED}) > 0);
	assert_true(seen(f, (struct downstream_seen){id, 1300 + HOUR, 1, 20, 0}) == 0);
	assert_true(seen(f, (struct downstream_seen){id, 1400 + HOUR, 1, 20, 0}) > 0);
	assert_int_equal(seen(f, (struct downstream_seen){fx_guid(9), 5000, 1, 20, DOWNSTREAM_LISTED}), 0);
	struct downstream d = get(f, 1);
	assert_true(d.major == 1 && d.minor == 20 && d.listed == 1300 && d.replicated == 1400 && d.last_seen == 1400 + HOUR);
	assert_true(slice_eq(d.name, SL("dss.example")) && slice_eq(d.address, SL("192.0.2.7")) && d.first_seen == 1000);
	txn_end(&f->t);
	assert_int_equal(rows(f), 1);
	assert_sound(f);
}

/* ================= decisions ================= */

static void decisions_hold_at_once_and_blocked_goes_before_open(void **state)
{
	struct fixture *f = *state;
	contact(f, server(1, "one.example"));
	contact(f, server(2, "two.example"));
	IS(DOWNSTREAM_PENDING, state_of(f, 1));
	decide(f, 1, "", DOWNSTREAM_APPROVED);
	IS(DOWNSTREAM_APPROVED, state_of(f, 1));
	IS(DOWNSTREAM_PENDING, state_of(f, 2));
	decide(f, 2, "", DOWNSTREAM_BLOCKED);
	OK(setting_set(fx_begin(f, TXN_CATALOG), SL("downstream.admission"), SL("open"), &fx_err));
	fx_commit(f);
	IS(DOWNSTREAM_BLOCKED, state_of(f, 2));
	IS(DOWNSTREAM_APPROVED, state_of(f, 3)); /* never seen, never decided upon */
	decide(f, 2, "", DOWNSTREAM_PENDING);
	IS(DOWNSTREAM_APPROVED, state_of(f, 2));
	OK(setting_set(fx_begin(f, TXN_CATALOG), SL("downstream.admission"), SL("approval"), &fx_err));
	fx_commit(f);
	IS(DOWNSTREAM_PENDING, state_of(f, 2));
	IS(DOWNSTREAM_APPROVED, state_of(f, 1));
	assert_sound(f);
}

static void a_decision_comes_before_the_server_and_keeps_its_name(void **state)
{
	struct fixture *f = *state;
	decide(f, 5, "later.example", DOWNSTREAM_APPROVED);
	struct downstream d = get(f, 5);
	assert_true(!d.came && slice_eq(d.name, SL("later.example")) && d.state == DOWNSTREAM_APPROVED);
	assert_true(slice_eq(d.admin, ADMIN) && d.decided > 0 && d.last_seen == 0);
	txn_end(&f->t);
	decide(f, 5, "", DOWNSTREAM_BLOCKED);
	d = get(f, 5);
	assert_true(slice_eq(d.name, SL("later.example")) && d.state == DOWNSTREAM_BLOCKED);
	txn_end(&f->t);
	contact(f, server(5, "said.example"));
	d = get(f, 5);
	assert_true(d.came && slice_eq(d.name, SL("said.example")) && d.state == DOWNSTREAM_BLOCKED);
	txn_end(&f->t);
	struct guid id = fx_guid(5);
	OK(downstream_decide(fx_begin(f, TXN_CATALOG), &id, SL("LATER.example"), DOWNSTREAM_BLOCKED, SL("other"), &fx_err));
	assert_int_equal(txn_dirty(f->t), 0);
	txn_end(&f->t);
}

/* partly: WSUSSS-ADM-12 (there are no computers below it yet) */
static void what_is_forgotten_is_gone_and_may_come_again(void **state)
{
	struct fixture *f = *state;
	struct downstream d;
	struct guid id = fx_guid(1);
	contact(f, server(1, "dss.example"));
	decide(f, 1, "", DOWNSTREAM_APPROVED);
	OK(downstream_forget(fx_begin(f, TXN_FLEET), &id, &fx_err));
	fx_commit(f);
	IS(DOWNSTREAM_APPROVED, state_of(f, 1)); /* the decision is policy and goes by itself */
	assert_false(get(f, 1).came);
	txn_end(&f->t);
	decide(f, 1, "", DOWNSTREAM_PENDING);
	IS(E_NOTFOUND, downstream_get(fx_begin(f, TXN_READ), &id, &d, &fx_err));
	txn_end(&f->t);
	IS(E_NOTFOUND, downstream_forget(fx_begin(f, TXN_FLEET), &id, &fx_err));
	txn_end(&f->t);
	contact(f, server(1, "dss.example"));
	assert_true(get(f, 1).came);
	txn_end(&f->t);
	IS(DOWNSTREAM_PENDING, state_of(f, 1));
}

struct walk {
	unsigned n, stop;
	char text[512];
};

static int add_name(const struct downstream *d, void *arg)
{
	struct walk *w = arg;
	size_t at = strlen(w->text);
	snprintf(w->text + at, sizeof(w->text) - at, "%u:%.*s:%s%s ", (unsigned)get_be32(d->id.b + 12), SLF(d->name),
		downstream_state_names[d->state], d->came ? "" : ":never");
	return ++w->n == w->stop ? 77 : 0;
}

static void all_are_told_by_id_whether_they_came_or_were_decided_upon(void **state)
{
	struct fixture *f = *state;
	struct walk w = {0}, two = {.stop = 2}, none = {0};
	OK(downstream_each(fx_begin(f, TXN_READ), add_name, &none, &fx_err));
	txn_end(&f->t);
	assert_int_equal(none.n, 0);
	decide(f, 1, "a", DOWNSTREAM_APPROVED);
	decide(f, 2, "b", DOWNSTREAM_BLOCKED);
	contact(f, server(3, "c"));
	contact(f, server(4, "d"));
	decide(f, 4, "", DOWNSTREAM_APPROVED);
	decide(f, 6, "f", DOWNSTREAM_APPROVED);
	decide(f, 7, "g", DOWNSTREAM_APPROVED);
	OK(downstream_each(fx_begin(f, TXN_READ), add_name, &w, &fx_err));
	assert_string_equal(w.text, "1:a:approved:never 2:b:blocked:never 3:c:pending 4:d:approved 6:f:approved:never "
		"7:g:approved:never ");
	IS(77, downstream_each(f->t, add_name, &two, &fx_err));
	assert_int_equal(two.n, 2);
	txn_end(&f->t);
}

/* ================= strings and numbers of strangers ================= */

/* partly: WSUSSS-TRANSPORT-29 (what people see and the log holds is test_downstream_ctl.py and t_log.c) */
static void names_that_are_too_long_are_refused_and_hostile_ones_kept_as_bytes(void **state)
{
	struct fixture *f = *state;
	char longest[LIMIT_SERVER_NAME + 2];
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = 0;
	struct downstream d = server(1, longest), zero = server(2, "a");
	zero.id = (struct guid){{0}};
	IS(E_LIMIT, downstream_contact(fx_begin(f, TXN_FLEET), &d, &fx_err));
	IS(E_LIMIT, downstream_contact(f->t, &zero, &fx_err));
	d.name.n--;
	OK(downstream_contact(f->t, &d, &fx_err));
	d = server(3, "a");
	d.address = (struct slice){longest, LIMIT_SERVER_NAME + 1};
	IS(E_LIMIT, downstream_contact(f->t, &d, &fx_err));
	d = server(4, "\x1b[2J\n\"<&x");
	OK(downstream_contact(f->t, &d, &fx_err));
	fx_commit(f);
	assert_true(slice_eq(get(f, 4).name, SL("\x1b[2J\n\"<&x")));
	assert_int_equal(get(f, 1).name.n, LIMIT_SERVER_NAME);
	txn_end(&f->t);
	IS(E_LIMIT, downstream_decide(fx_begin(f, TXN_CATALOG), &d.id, slice_of(longest), DOWNSTREAM_APPROVED, ADMIN, &fx_err));
	OK(downstream_decide(f->t, &d.id, SL("a"), DOWNSTREAM_APPROVED, slice_of(longest), &fx_err));
	fx_commit(f);
	assert_int_equal(get(f, 4).admin.n, LIMIT_SERVER_NAME);
	txn_end(&f->t);
	assert_sound(f);
}

static void ids_that_somebody_makes_up_are_noted_so_many_and_others_always(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_FLEET);
	struct downstream d = server(1, "dss.example");
	for (unsigned i = 1; i <= LIMIT_DOWNSTREAM_PENDING; i++) {
		d.id = fx_guid(i);
		OK(downstream_contact(t, &d, &fx_err));
	}
	d.id = fx_guid(5000);
	IS(E_FULL, downstream_contact(t, &d, &fx_err));
	assert_non_null(strstr(fx_err.text, "`wsusctl downstream delete --pending`"));
	d.id = fx_guid(7);
	d.address = SL("198.51.100.200"); /* longer than before: a known one is written */
	OK(downstream_contact(t, &d, &fx_err));
	fx_commit(f);
	assert_int_equal(rows(f), LIMIT_DOWNSTREAM_PENDING);
	decide(f, 5000, "mine.example", DOWNSTREAM_APPROVED); /* approved by its id: it has its row */
	contact(f, server(5000, "mine.example"));
	assert_true(get(f, 5000).came);
	txn_end(&f->t);
	decide(f, 1, "", DOWNSTREAM_BLOCKED); /* one fewer waits */
	contact(f, server(6000, "new.example"));
	d = server(6001, "new.example");
	IS(E_FULL, downstream_contact(fx_begin(f, TXN_FLEET), &d, &fx_err));
	txn_end(&f->t);
	assert_sound(f);
}

/* Takes half of fleet/, in which 1 MB is mapped. */
static void fill_fleet(struct fixture *f)
{
	char bytes[1000] = {0};
	struct txn *t = fx_begin(f, TXN_FLEET);
	for (uint32_t i = 0; txn_fleet_has_room(t); i++) {
		struct key k = key_u32(i);
		OK(db_put(t, DB_SEEN, key_bytes(&k), (struct slice){bytes, sizeof(bytes)}, &fx_err));
	}
	fx_commit(f);
}

static void a_full_fleet_takes_no_new_ones_and_still_writes_those_that_are_known(void **state)
{
	struct fixture *f = *state;
	store_close(&f->store);
	setenv("WSUS_FLEET_MAP_MB", "1", 1);
	fx_open(f, STORE_ADMIN);
	fx_stage(fx_begin(f, TXN_CATALOG), (struct fx_revision){.update = 1, .files = {1, 2}});
	fx_publish(f);
	contact(f, server(1, "one.example"));
	decide(f, 3, "mine.example", DOWNSTREAM_APPROVED);
	struct sha1 first = fx_sha1(1), second = fx_sha1(2);
	struct guid by = fx_guid(1);
	OK(wanted_add(fx_begin(f, TXN_FLEET), &first, &by, 1000, &fx_err));
	fx_commit(f);
	fill_fleet(f);
	struct downstream d = server(2, "two.example");
	struct txn *t = fx_begin(f, TXN_FLEET);
	IS(E_FULL, downstream_contact(t, &d, &fx_err));
	assert_non_null(strstr(fx_err.text, "WSUS_FLEET_MAP_MB"));
	IS(E_FULL, wanted_add(t, &second, &by, 1000, &fx_err));
	OK(wanted_add(t, &first, &by, 2000, &fx_err));
	d = server(1, "a-new-and-longer-name.example");
	OK(downstream_contact(t, &d, &fx_err));
	d = server(3, "mine.example");
	OK(downstream_contact(t, &d, &fx_err));
	OK(downstreams_seen(t, &(struct downstream_seen){by, 9000, 1, 20, DOWNSTREAM_LISTED}, 1, &fx_err));
	fx_commit(f);
	assert_true(get(f, 1).listed == 9000 && get(f, 3).came);
	txn_end(&f->t);
	unsetenv("WSUS_FLEET_MAP_MB");
}

/* ================= wanted files ================= */

static int add_wanted(const struct wanted *v, void *arg)
{
	struct walk *w = arg;
	size_t at = strlen(w->text);
	for (unsigned n = 1; n < 10; n++) {
		struct sha1 d = fx_sha1(n);
		if (memcmp(&d, &v->digest, sizeof(d)) == 0)
			snprintf(w->text + at, sizeof(w->text) - at, "%u by %u at %d times %u\n", n, (unsigned)get_be32(v->by.b + 12),
				(int)v->at, (unsigned)v->times);
	}
	return w->n++, 0;
}

static void assert_wanted(struct fixture *f, const char *text)
{
	struct walk w = {0};
	OK(wanted_each(fx_begin(f, TXN_READ), add_wanted, &w, &fx_err));
	txn_end(&f->t);
	assert_string_equal(w.text, text);
}

static void want(struct fixture *f, unsigned file, unsigned by, tick_t at)
{
	struct sha1 d = fx_sha1(file);
	struct guid id = fx_guid(by);
	OK(wanted_add(fx_begin(f, TXN_FLEET), &d, &id, at, &fx_err));
	fx_commit(f);
}

static uint64_t sweep(struct fixture *f)
{
	uint64_t n;
	OK(wanted_sweep(fx_begin(f, TXN_FLEET), &n, &fx_err));
	assert_int_equal(txn_dirty(f->t) > 0, n > 0);
	fx_commit(f);
	return n;
}

static void store_file(struct fixture *f, unsigned file, bool stored)
{
	struct sha1 d = fx_sha1(file);
	OK(file_set_stored(fx_begin(f, TXN_CATALOG), &d, stored, &fx_err));
	fx_publish(f);
}

/* holds: WSUSSS-DOWNLOADFILES-13
 * partly: WSUSSS-DOWNLOADFILES-12 (the empty list is the service's) */
static void a_wanted_file_stays_marked_until_it_is_stored(void **state)
{
	struct fixture *f = *state;
	struct sha1 unknown = fx_sha1(99), stored = fx_sha1(3);
	struct guid by = fx_guid(7);
	struct wanted v;
	fx_stage(fx_begin(f, TXN_CATALOG), (struct fx_revision){.update = 1, .files = {1, 2, 3}});
	fx_publish(f);
	store_file(f, 3, true);
	want(f, 1, 7, 1000);
	want(f, 1, 8, 2000); /* who asked first is kept */
	want(f, 3, 7, 1000); /* stored: nothing to do */
	IS(E_NOTFOUND, wanted_add(fx_begin(f, TXN_FLEET), &unknown, &by, 1000, &fx_err));
	IS(E_NOTFOUND, wanted_get(f->t, &stored, &v));
	txn_end(&f->t);
	assert_wanted(f, "1 by 7 at 1000 times 2\n");
	assert_int_equal(sweep(f), 0);
	store_close(&f->store); /* a restart loses nothing */
	fx_open(f, STORE_ADMIN);
	assert_wanted(f, "1 by 7 at 1000 times 2\n");
	assert_sound(f);
	store_file(f, 1, true);
	assert_wanted(f, ""); /* before the sweep, too */
	assert_int_equal(sweep(f), 1);
	struct sha1 first = fx_sha1(1);
	IS(E_NOTFOUND, wanted_get(fx_begin(f, TXN_READ), &first, &v));
	txn_end(&f->t);
	store_file(f, 1, false); /* withdrawn: whoever misses it asks anew */
	assert_wanted(f, "");
}

/* What a command does after it stored files, and the tick, whoever stored them. */
static void commands_sweep_what_is_stored_by_now(void **state)
{
	struct fixture *f = *state;
	struct ctl c = {.store = f->store};
	struct sha1 first = fx_sha1(1);
	struct wanted v;
	fx_stage(fx_begin(f, TXN_CATALOG), (struct fx_revision){.update = 1, .files = {1, 2}});
	fx_publish(f);
	want(f, 1, 7, 1000);
	want(f, 2, 7, 1000);
	content_sweep_wanted(&c);
	assert_wanted(f, "2 by 7 at 1000 times 1\n1 by 7 at 1000 times 1\n");
	store_file(f, 1, true);
	content_sweep_wanted(&c);
	assert_wanted(f, "2 by 7 at 1000 times 1\n");
	IS(E_NOTFOUND, wanted_get(fx_begin(f, TXN_READ), &first, &v));
	txn_end(&f->t);
	assert_int_equal(c.err.code, E_OK);
}

static void the_sweep_takes_what_no_revision_names_and_thousands_of_them(void **state)
{
	struct fixture *f = *state;
	uint64_t n;
	fx_stage(fx_begin(f, TXN_CATALOG), (struct fx_revision){.update = 1, .files = {1}});
	fx_publish(f);
	want(f, 1, 7, 1000);
	struct txn *t = fx_begin(f, TXN_FLEET);
	char row[29] = {1};
	for (unsigned i = 100; i < 2600; i++) {
		struct sha1 d = fx_sha1(i);
		struct key k = key_sha1(&d);
		OK(db_put(t, DB_WANTED, key_bytes(&k), (struct slice){row, sizeof(row)}, &fx_err));
	}
	fx_commit(f);
	assert_wanted(f, "1 by 7 at 1000 times 1\n");
	assert_int_equal(sweep(f), 2500);
	OK(db_count(fx_begin(f, TXN_READ), DB_WANTED, &n, &fx_err));
	assert_int_equal(n, 1);
	txn_end(&f->t);
	assert_wanted(f, "1 by 7 at 1000 times 1\n");
}

/* ================= damage, and no memory ================= */

static int change_all(struct txn *t, bool fleet)
{
	const struct guid id = fx_guid(1);
	struct downstream d = server(1, "renamed.example");
	int rc = fleet ? downstream_contact(t, &d, &fx_err)
		       : downstream_decide(t, &id, SL("dss.example"), DOWNSTREAM_BLOCKED, ADMIN, &fx_err);
	if (rc == E_OK && fleet)
		rc = downstreams_seen(t, &(struct downstream_seen){id, 9000, 1, 20, DOWNSTREAM_LISTED}, 1, &fx_err);
	return rc;
}

static void without_memory_each_change_fails_and_says_so(void **state)
{
	struct fixture *f = *state;
	contact(f, server(1, "dss.example"));
	for (int fleet = 0; fleet < 2; fleet++) {
		long n = 0;
		for (int rc = E_NOMEM; rc != E_OK;) {
			fx_begin(f, fleet ? TXN_FLEET : TXN_CATALOG);
			alloc_fail_at = ++n;
			rc = change_all(f->t, fleet);
			alloc_fail_at = 0;
			assert_true(rc == E_OK || rc == E_NOMEM);
			assert_true(n < 100);
			txn_end(&f->t);
		}
		assert_true(n > 1);
	}
	assert_true(slice_eq(get(f, 1).name, SL("dss.example")) && get(f, 1).state == DOWNSTREAM_PENDING);
	txn_end(&f->t);
}

static void rows_that_cannot_be_read_are_found_and_admit_nobody(void **state)
{
	struct fixture *f = *state;
	const struct key id = key_guid(&(struct guid){{9}});
	struct sha1 d = fx_sha1(1);
	struct key digest = key_sha1(&d);
	struct downstream v;
	OK(setting_set(fx_begin(f, TXN_CATALOG), SL("downstream.admission"), SL("open"), &fx_err));
	OK(db_put(f->t, DB_ADMITTED, key_bytes(&id), SL("\x01\x09"), &fx_err));
	fx_commit(f);
	OK(db_put(fx_begin(f, TXN_FLEET), DB_DOWNSTREAM, key_bytes(&id), SL("\x01xx"), &fx_err));
	OK(db_put(f->t, DB_WANTED, key_bytes(&digest), SL("\x02"), &fx_err));
	fx_commit(f);
	struct fx_findings found = fx_audit(fx_begin(f, TXN_READ));
	assert_int_equal(found.n, 3);
	assert_non_null(strstr(found.text, "the decision about downstream server 0900000000"));
	assert_non_null(strstr(found.text, "the record of downstream server 0900000000"));
	assert_non_null(strstr(found.text, "the mark of wanted file "));
	struct settings set;
	OK(settings_get(f->t, &set, &fx_err));
	struct guid nine = {{9}};
	IS(DOWNSTREAM_PENDING, downstream_state(f->t, &nine, &set));
	IS(E_CORRUPT, downstream_get(f->t, &nine, &v, &fx_err));
	txn_end(&f->t);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fx_setup, fx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_first_contact_makes_a_row_of_this_server_whose_figures_are_nothing),
		TEST(another_name_is_taken_into_the_same_row),
		TEST(a_contact_that_says_nothing_new_writes_nothing),
		TEST(what_servers_do_is_noted_and_idle_repetition_is_not),
		TEST(decisions_hold_at_once_and_blocked_goes_before_open),
		TEST(a_decision_comes_before_the_server_and_keeps_its_name),
		TEST(what_is_forgotten_is_gone_and_may_come_again),
		TEST(all_are_told_by_id_whether_they_came_or_were_decided_upon),
		TEST(names_that_are_too_long_are_refused_and_hostile_ones_kept_as_bytes),
		TEST(ids_that_somebody_makes_up_are_noted_so_many_and_others_always),
		TEST(a_full_fleet_takes_no_new_ones_and_still_writes_those_that_are_known),
		TEST(a_wanted_file_stays_marked_until_it_is_stored),
		TEST(commands_sweep_what_is_stored_by_now),
		TEST(the_sweep_takes_what_no_revision_names_and_thousands_of_them),
		TEST(without_memory_each_change_fails_and_says_so),
		TEST(rows_that_cannot_be_read_are_found_and_admit_nobody),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
