/* t_group.c -- groups, the tree, assignments, and the set of a computer's groups. */
#include "test/unit/store_fixture.h"

static uint32_t make(struct txn *t, const char *name, uint32_t parent)
{
	uint32_t no;
	OK(group_create(t, slice_of(name), parent, &no, &fx_err));
	return no;
}

static void assign(struct txn *t, const char *computer, uint32_t a, uint32_t b)
{
	const uint32_t v[] = {a, b};
	OK(assign_set(t, slice_of(computer), v, b ? 2 : a ? 1 : 0, &fx_err));
}

static struct client_groups groups_of(struct txn *t, enum targeting targeting, const char *computer)
{
	struct settings set;
	struct client_groups g;
	OK(settings_get(t, &set, &fx_err));
	set.targeting = targeting;
	OK(client_groups_get(t, &set, slice_of(computer), &g, &fx_err));
	return g;
}

/* "no@distance ..." */
static void assert_groups(const struct client_groups *g, const char *expected)
{
	char text[256] = "";
	size_t at = 0;
	for (unsigned i = 0; i < g->n; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%u@%u", i ? " " : "", (unsigned)g->no[i],
			(unsigned)g->distance[i]);
	assert_string_equal(text, expected);
}

static void wish(struct fixture *f, const char *computer, const char *groups)
{
	struct computer c = {.id = slice_of(computer), .dns_name = SL("pc"), .requested_groups = slice_of(groups),
		.address = SL(""), .last_seen = 9};
	OK(computer_contact(fx_begin(f, TXN_FLEET), &c, &fx_err));
	fx_commit(f);
}

/* ---- groups ---- */

static void the_built_in_groups_are_there_with_their_known_ids(void **state)
{
	struct fixture *f = *state;
	static const struct {
		uint32_t no, parent;
		const char *name, *id;
	} known[] = {
		{1, 0, "All Computers", "a0a08746-4dbe-4a37-9adf-9e7652c0b421"},
		{2, 1, "Unassigned Computers", "b73ca6ed-5727-47f3-84de-015e03f6a88a"},
		{3, 0, "Downstream Servers", "d374f42a-9be2-4163-a0fa-3c86a401b7a7"},
	};
	struct txn *t = fx_begin(f, TXN_READ);
	for (size_t i = 0; i < COUNTOF(known); i++) {
		struct group g;
		char id[GUID_TEXT + 1];
		OK(group_get(t, known[i].no, &g, &fx_err));
		guid_text(&g.id, id);
		assert_string_equal(id, known[i].id);
		assert_true(slice_eq(g.name, slice_of(known[i].name)));
		assert_int_equal(g.parent, known[i].parent);
		assert_true(g.builtin);
	}
	txn_end(&f->t);
}

/* holds: WUSP-ADM-11 */
static void names_are_unique_without_regard_to_case(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	uint32_t no, again = make(t, "Lab", 0);
	IS(E_EXISTS, group_create(t, SL("LAB"), 0, &no, &fx_err));
	IS(E_EXISTS, group_create(t, SL("all computers"), 0, &no, &fx_err));
	OK(group_find(t, SL("lAb"), &no));
	assert_int_equal(no, again);
	IS(E_NOTFOUND, group_find(t, SL("La"), &no));
	fx_commit(f);
}

static void names_that_could_not_be_asked_for_are_refused(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	static const char *const bad[] = {"", "a;b", "a\nb", "a\tb", "\x7F", " a", "a ", "\xFF", "a\xC2\x85"};
	char longest[257];
	uint32_t no;
	memset(longest, 'x', sizeof(longest));
	for (size_t i = 0; i < COUNTOF(bad); i++)
		assert_int_not_equal(E_OK, group_create(t, slice_of(bad[i]), 0, &no, &fx_err));
	IS(E_LIMIT, group_create(t, (struct slice){longest, 256}, 0, &no, &fx_err));
	OK(group_create(t, (struct slice){longest, 255}, 0, &no, &fx_err));
	make(t, "B\xC3\xBCro & <Co>", 0);
	fx_assert_sound(t);
	fx_commit(f);
}

static void a_server_has_so_many_groups_and_no_more(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	uint32_t no = 0;
	char name[16];
	int rc = E_OK;
	while (rc == E_OK && no < LIMIT_GROUPS) { /* the built-in ones are counted */
		snprintf(name, sizeof(name), "g%u", no);
		rc = group_create(t, slice_of(name), 0, &no, &fx_err);
	}
	assert_int_equal(rc, E_OK);
	IS(E_LIMIT, group_create(t, SL("one more"), 0, &no, &fx_err));
	assert_non_null(strstr(fx_err.text, "1000 groups"));
	fx_commit(f);
}

static void built_in_groups_stay_where_they_are(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	uint32_t lab = make(t, "Lab", 0), no;
	for (uint32_t i = 1; i <= 3; i++) {
		IS(E_REFUSED, group_delete(t, i, &fx_err));
		IS(E_REFUSED, group_move(t, i, lab, &fx_err));
	}
	IS(E_REFUSED, group_create(t, SL("under"), GROUP_UNASSIGNED, &no, &fx_err));
	IS(E_REFUSED, group_create(t, SL("under"), GROUP_DOWNSTREAM, &no, &fx_err));
	IS(E_NOTFOUND, group_create(t, SL("under"), 99, &no, &fx_err));
	IS(E_NOTFOUND, group_move(t, 99, 1, &fx_err));
	fx_commit(f);
}

static void numbers_are_never_given_twice(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	uint32_t first = make(t, "one", 0);
	OK(group_delete(t, first, &fx_err));
	assert_int_equal(make(t, "one", 0), first + 1);
	fx_publish(f);
	fx_assert_sound(fx_begin(f, TXN_READ));
	txn_end(&f->t);
}

/* ---- the tree ---- */

static void circles_and_too_deep_nesting_are_refused(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	uint32_t v[LIMIT_CLIENT_GROUPS], no, twig = make(t, "twig", 0), leaf = make(t, "leaf", twig);
	v[0] = GROUP_ALL_COMPUTERS;
	for (unsigned i = 1; i < LIMIT_CLIENT_GROUPS; i++) {
		char name[16];
		snprintf(name, sizeof(name), "g%u", i);
		v[i] = make(t, name, v[i - 1]);
	}
	IS(E_LIMIT, group_create(t, SL("deeper"), v[LIMIT_CLIENT_GROUPS - 1], &no, &fx_err));
	IS(E_REFUSED, group_move(t, v[1], v[5], &fx_err));
	IS(E_REFUSED, group_move(t, v[1], v[1], &fx_err));
	IS(E_LIMIT, group_move(t, twig, v[LIMIT_CLIENT_GROUPS - 2], &fx_err));
	OK(group_move(t, twig, v[LIMIT_CLIENT_GROUPS - 3], &fx_err));
	assign(t, "pc", leaf, 0);
	fx_publish(f);
	t = fx_begin(f, TXN_READ);
	assert_int_equal(groups_of(t, TARGETING_SERVER, "pc").n, LIMIT_CLIENT_GROUPS);
	fx_assert_sound(t);
	txn_end(&f->t);
}

static void a_move_that_would_give_a_computer_too_many_groups_is_refused(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	uint32_t a = 0, b = 0;
	for (unsigned i = 0; i < 9; i++) {
		char name[16];
		snprintf(name, sizeof(name), "a%u", i);
		a = make(t, name, a);
	}
	for (unsigned i = 0; i < 6; i++) {
		char name[16];
		snprintf(name, sizeof(name), "b%u", i);
		b = make(t, name, b);
	}
	assign(t, "pc", a, b); /* 9 + 6 + All Computers */
	uint32_t c = make(t, "c", 0), first_b;
	OK(group_find(t, SL("b0"), &first_b));
	IS(E_LIMIT, group_move(t, first_b, c, &fx_err));
	assert_non_null(strstr(fx_err.text, "pc"));
	const uint32_t three[] = {a, b, c};
	IS(E_LIMIT, assign_set(t, SL("pc"), three, 3, &fx_err));
	fx_commit(f);
	fx_assert_sound(fx_begin(f, TXN_READ));
	txn_end(&f->t);
}

static void a_move_marks_all_below_with_the_epoch_that_shows_it(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	uint32_t a = make(t, "a", 0), b = make(t, "b", a), c = make(t, "c", b), other = make(t, "other", 0);
	fx_publish(f);
	t = fx_begin(f, TXN_CATALOG);
	OK(group_move(t, b, other, &fx_err));
	uint32_t epoch = fx_publish(f).epoch;
	assert_true(epoch > 0);
	t = fx_begin(f, TXN_READ);
	const struct {
		uint32_t no, moved;
	} expected[] = {{a, 0}, {b, epoch}, {c, epoch}, {other, 0}};
	for (size_t i = 0; i < COUNTOF(expected); i++) {
		struct group g;
		OK(group_get(t, expected[i].no, &g, &fx_err));
		assert_int_equal(g.moved_epoch, expected[i].moved);
	}
	txn_end(&f->t);
	t = fx_begin(f, TXN_CATALOG);
	OK(group_move(t, b, other, &fx_err)); /* it stands there */
	assert_int_equal(fx_publish(f).epoch, epoch);
}

static void deleting_lifts_children_and_ends_approvals_and_assignments(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	uint32_t top = make(t, "top", 0), mid = make(t, "mid", top), low = make(t, "low", mid);
	int32_t id = fx_stage(t, (struct fx_revision){.update = 1});
	struct approval a = {.revision = id, .group = mid, .admin = SL("alice")};
	OK(approve(t, &a, &fx_err));
	assign(t, "one", mid, 0);
	assign(t, "two", mid, low);
	fx_publish(f);
	t = fx_begin(f, TXN_CATALOG);
	OK(group_delete(t, mid, &fx_err));
	uint32_t epoch = fx_publish(f).epoch;
	t = fx_begin(f, TXN_READ);
	struct group g;
	struct deployment d;
	uint32_t *v, no;
	size_t n;
	IS(E_NOTFOUND, group_get(t, mid, &g, &fx_err));
	IS(E_NOTFOUND, group_find(t, SL("mid"), &no));
	OK(group_get(t, low, &g, &fx_err));
	assert_int_equal(g.parent, top);
	assert_int_equal(g.moved_epoch, epoch);
	OK(deployment_get(t, mid, id, &d));
	assert_true(d.dead && slice_eq(d.admin, SL("alice")));
	assert_int_equal(d.epoch, epoch);
	OK(assign_get(t, SL("one"), &v, &n, &fx_err));
	assert_int_equal(n, 0);
	OK(assign_get(t, SL("two"), &v, &n, &fx_err));
	assert_true(n == 1 && v[0] == low);
	fx_assert_sound(t);
	txn_end(&f->t);
}

/* ---- assignments and a computer's groups ---- */

static void an_assignment_is_exactly_the_groups_named(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	uint32_t a = make(t, "a", 0), b = make(t, "b", 0), *v;
	size_t n;
	const uint32_t twice[] = {b, a, b};
	OK(assign_set(t, SL("PC-1"), twice, 3, &fx_err));
	OK(assign_get(t, SL("pc-1"), &v, &n, &fx_err));
	assert_true(n == 2 && v[0] == a && v[1] == b);
	assign(t, "pc-1", b, 0);
	OK(assign_get(t, SL("pc-1"), &v, &n, &fx_err));
	assert_true(n == 1 && v[0] == b);
	const uint32_t wrong[] = {99}, servers[] = {GROUP_DOWNSTREAM};
	IS(E_NOTFOUND, assign_set(t, SL("pc-1"), wrong, 1, &fx_err));
	IS(E_REFUSED, assign_set(t, SL("pc-1"), servers, 1, &fx_err));
	IS(E_LIMIT, assign_set(t, SL(""), wrong, 0, &fx_err));
	assign(t, "pc-1", 0, 0);
	OK(assign_get(t, SL("pc-1"), &v, &n, &fx_err));
	assert_int_equal(n, 0);
	fx_commit(f);
}

/* holds: WUSP-ADM-12 */
static void server_side_groups_come_with_parents_nearest_first_and_all_computers_last(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	uint32_t a = make(t, "a", 0), b = make(t, "b", a), c = make(t, "c", b), d = make(t, "d", 0);
	(void)a;
	assign(t, "deep", c, 0);
	assign(t, "both", c, d);
	assign(t, "across", b, c);
	assign(t, "root", GROUP_ALL_COMPUTERS, 0);
	fx_commit(f);
	t = fx_begin(f, TXN_READ);
	static const struct {
		const char *computer, *groups;
	} expected[] = {
		{"deep", "6@0 5@1 4@2 1@3"},
		{"both", "6@0 7@0 5@1 4@2 1@3"}, /* All Computers is farther than all, though d stands under it */
		{"across", "5@0 6@0 4@1 1@2"},
		{"root", "1@0"},
		{"unknown", "2@0 1@1"},
	};
	for (size_t i = 0; i < COUNTOF(expected); i++) {
		struct client_groups g = groups_of(t, TARGETING_SERVER, expected[i].computer);
		assert_groups(&g, expected[i].groups);
	}
	assert_true(groups_of(t, TARGETING_SERVER, "deep").hash != groups_of(t, TARGETING_SERVER, "both").hash);
	assert_true(groups_of(t, TARGETING_SERVER, "x").hash == groups_of(t, TARGETING_SERVER, "y").hash);
	txn_end(&f->t);
}

/* holds: WUSP-AUTHCOOKIE-05 WUSP-AUTHCOOKIE-06 WUSP-AUTHCOOKIE-07 */
static void client_side_groups_are_the_known_names_it_asked_for(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	make(t, "Lab", 0);
	make(t, "Hall 2", 0);
	uint64_t groups, now;
	OK(db_count(t, DB_GROUP, &groups, &fx_err));
	fx_commit(f);
	static const struct {
		const char *computer, *wish, *groups;
	} expected[] = {
		{"one", "lab", "4@0 1@1"},
		{"two", "Lab;hall 2", "4@0 5@0 1@1"},
		{"blanks", " Hall 2 ; LAB ;", "4@0 5@0 1@1"},
		{"some", "Nobody;Lab", "4@0 1@1"},
		{"none", "Nobody", "2@0 1@1"},
		{"empty", "", "2@0 1@1"},
		{"server", "Downstream Servers", "2@0 1@1"},
	};
	for (size_t i = 0; i < COUNTOF(expected); i++) {
		wish(f, expected[i].computer, expected[i].wish);
		struct client_groups g = groups_of(fx_begin(f, TXN_READ), TARGETING_CLIENT, expected[i].computer);
		assert_groups(&g, expected[i].groups);
		OK(db_count(f->t, DB_GROUP, &now, &fx_err));
		assert_int_equal(now, groups); /* a wish makes no group */
		txn_end(&f->t);
	}
}

/* holds: WUSP-AUTHCOOKIE-08 */
static void server_side_targeting_ignores_the_wish(void **state)
{
	struct fixture *f = *state;
	make(fx_begin(f, TXN_CATALOG), "Lab", 0);
	fx_commit(f);
	wish(f, "pc", "Lab");
	struct client_groups g = groups_of(fx_begin(f, TXN_READ), TARGETING_SERVER, "pc");
	assert_groups(&g, "2@0 1@1");
	txn_end(&f->t);
}

/* Each name costs a lookup: a long list of made-up ones is cut. */
static void so_many_names_of_a_wish_are_looked_at(void **state)
{
	struct fixture *f = *state;
	char names[2 * 128 + 8] = "";
	make(fx_begin(f, TXN_CATALOG), "Lab", 0);
	fx_commit(f);
	for (unsigned i = 0; i < 127; i++)
		memcpy(names + 2 * i, "x;", 3);
	memcpy(names + 2 * 127, "Lab", 4);
	wish(f, "last", names);
	memcpy(names + 2 * 127, "x;Lab", 6);
	wish(f, "behind", names);
	struct client_groups g = groups_of(fx_begin(f, TXN_READ), TARGETING_CLIENT, "last");
	assert_groups(&g, "4@0 1@1");
	g = groups_of(f->t, TARGETING_CLIENT, "behind");
	assert_groups(&g, "2@0 1@1");
	txn_end(&f->t);
}

/* A row that cannot be read makes no computer one without a group. */
static void damaged_rows_of_a_computer_are_errors(void **state)
{
	struct fixture *f = *state;
	struct settings set = {.targeting = TARGETING_SERVER};
	struct client_groups g;
	OK(db_put(fx_begin(f, TXN_CATALOG), DB_ASSIGN, SL("pc"), SL("\1\0\0"), &fx_err));
	IS(E_CORRUPT, client_groups_get(f->t, &set, SL("pc"), &g, &fx_err));
	fx_commit(f);
	set.targeting = TARGETING_CLIENT;
	OK(db_put(fx_begin(f, TXN_FLEET), DB_COMPUTER, SL("pc"), SL("\1\0\0"), &fx_err));
	IS(E_CORRUPT, client_groups_get(f->t, &set, SL("pc"), &g, &fx_err));
	assert_non_null(strstr(fx_err.text, "pc"));
	fx_commit(f);
}

static void a_computer_that_asks_for_everything_gets_the_nearest_sixteen(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	char names[400] = "";
	size_t at = 0;
	for (unsigned i = 0; i < 30; i++) {
		char name[8];
		snprintf(name, sizeof(name), "n%02u", i);
		make(t, name, 0);
		at += (size_t)snprintf(names + at, sizeof(names) - at, "%s;", name);
	}
	fx_commit(f);
	wish(f, "pc", names);
	struct client_groups g = groups_of(fx_begin(f, TXN_READ), TARGETING_CLIENT, "pc");
	assert_int_equal(g.n, LIMIT_CLIENT_GROUPS);
	assert_int_equal(g.no[0], 4);
	assert_int_equal(g.no[14], 18);
	assert_int_equal(g.no[15], GROUP_ALL_COMPUTERS);
	txn_end(&f->t);
}

#define T(test) cmocka_unit_test_setup_teardown(test, fx_setup, fx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_built_in_groups_are_there_with_their_known_ids),
		T(names_are_unique_without_regard_to_case),
		T(names_that_could_not_be_asked_for_are_refused),
		T(a_server_has_so_many_groups_and_no_more),
		T(built_in_groups_stay_where_they_are),
		T(numbers_are_never_given_twice),
		T(circles_and_too_deep_nesting_are_refused),
		T(a_move_that_would_give_a_computer_too_many_groups_is_refused),
		T(a_move_marks_all_below_with_the_epoch_that_shows_it),
		T(deleting_lifts_children_and_ends_approvals_and_assignments),
		T(an_assignment_is_exactly_the_groups_named),
		T(server_side_groups_come_with_parents_nearest_first_and_all_computers_last),
		T(client_side_groups_are_the_known_names_it_asked_for),
		T(server_side_targeting_ignores_the_wish),
		T(so_many_names_of_a_wish_are_looked_at),
		T(damaged_rows_of_a_computer_are_errors),
		T(a_computer_that_asks_for_everything_gets_the_nearest_sixteen),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
