/* t_held.c -- what a synchronization lacks: of a list, of bundles, of keys, of addresses. */
#include "test/unit/store_fixture.h"

#include "store/held.h"

static struct UpdateIdentity id_of(unsigned update, int32_t number)
{
	return (struct UpdateIdentity){.UpdateID = fx_guid(update), .RevisionNumber = number};
}

/* Stages it with these flags besides. */
static int32_t stage(struct txn *t, struct fx_revision r, unsigned flags, tick_t imported)
{
	struct revision v;
	int32_t id = fx_stage(t, r);
	OK(revision_get(t, id, &v, &fx_err));
	v.flags |= flags;
	v.imported = imported;
	OK(revision_put(t, &v, &fx_err));
	return id;
}

static void assert_is(const struct identities *is, size_t n, const struct UpdateIdentity *ought)
{
	assert_int_equal(is->n, n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(identity_cmp(&is->v[i], &ought[i]), 0);
}
#define IS_LIST(is, ...) assert_is((is), COUNTOF(((struct UpdateIdentity[]){__VA_ARGS__})), (struct UpdateIdentity[]){__VA_ARGS__})

/* holds: WSUSSS-DSS-META-16 WSUSSS-REVLIST-28 */
static void of_a_list_what_is_not_here_once(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	struct identities out;
	stage(t, (struct fx_revision){.update = 1}, 0, FIXTURE_NOW);
	stage(t, (struct fx_revision){.update = 2}, REV_HELD, FIXTURE_NOW);
	stage(t, (struct fx_revision){.update = 3}, REV_REMOVED, FIXTURE_NOW);
	const struct UpdateIdentity list[] = {id_of(9, 1), id_of(1, 1), id_of(1, 2), id_of(2, 1), id_of(9, 1), id_of(3, 1), id_of(4, 7), id_of(1, 2)};
	OK(identities_lacking(t, list, COUNTOF(list), txn_arena(t), &out, &fx_err));
	IS_LIST(&out, id_of(9, 1), id_of(1, 2), id_of(4, 7));
	OK(identities_lacking(t, NULL, 0, txn_arena(t), &out, &fx_err));
	assert_int_equal(out.n, 0);
	txn_end(&f->t);
}

/* holds: WSUSSS-DSS-META-26 */
static void members_of_bundles(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	struct identities out;
	stage(t, (struct fx_revision){.update = 1, .number = 5}, REV_HELD, FIXTURE_NOW);
	stage(t, (struct fx_revision){.update = 2, .members = {{1, 5}, {1, 4}, {8, 1}}}, REV_HELD, FIXTURE_NOW);
	stage(t, (struct fx_revision){.update = 3, .members = {{8, 1}, {2, 1}, {7, 3}}}, 0, FIXTURE_NOW);
	stage(t, (struct fx_revision){.update = 4, .members = {{6, 1}}}, REV_REMOVED, FIXTURE_NOW);
	OK(members_lacking(t, txn_arena(t), &out, &fx_err));
	IS_LIST(&out, id_of(1, 4), id_of(7, 3), id_of(8, 1));
	txn_end(&f->t);
}

/* holds: WSUSSS-DSS-META-21 */
static void keys_of_what_is_held(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	struct identities out;
	struct sha1 digest = fx_sha1(1);
	stage(t, (struct fx_revision){.update = 1, .files = {1}}, REV_HELD | REV_SECURE_KEY, FIXTURE_NOW);
	stage(t, (struct fx_revision){.update = 2, .files = {1, 2}}, REV_HELD | REV_SECURE_KEY, FIXTURE_NOW);
	stage(t, (struct fx_revision){.update = 3, .files = {2}}, REV_HELD | REV_SECURE_URL, FIXTURE_NOW);
	stage(t, (struct fx_revision){.update = 4, .files = {2}}, REV_SECURE_KEY, FIXTURE_NOW);
	stage(t, (struct fx_revision){.update = 5}, REV_HELD | REV_SECURE_KEY, FIXTURE_NOW);
	OK(keys_lacking(t, txn_arena(t), &out, &fx_err));
	IS_LIST(&out, id_of(1, 1), id_of(2, 1));
	OK(file_set_key(t, &digest, SL("key"), &fx_err));
	OK(keys_lacking(t, txn_arena(t), &out, &fx_err));
	IS_LIST(&out, id_of(2, 1));
	txn_end(&f->t);
}

static void addresses_of_what_an_earlier_run_held(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	struct identities out;
	struct sha1 one = fx_sha1(1);
	tick_t before = FIXTURE_NOW, began = before + 1;
	stage(t, (struct fx_revision){.update = 1, .files = {1}}, REV_HELD, before);
	stage(t, (struct fx_revision){.update = 2, .files = {2}}, REV_HELD, before);
	stage(t, (struct fx_revision){.update = 3, .files = {3}}, REV_HELD, began);
	stage(t, (struct fx_revision){.update = 4, .files = {4}}, 0, before);
	stage(t, (struct fx_revision){.update = 5}, REV_HELD, before);
	OK(addresses_lacking(t, began, txn_arena(t), &out, &fx_err));
	assert_int_equal(out.n, 0); /* a server that gives none */
	OK(file_set_url(t, &one, SL("http://a/b"), &fx_err));
	OK(addresses_lacking(t, began, txn_arena(t), &out, &fx_err));
	IS_LIST(&out, id_of(2, 1));
	txn_end(&f->t);
}

static int count(const struct revision *r, void *arg)
{
	unsigned *n = arg;
	*n += (r->flags & REV_PUBLISHED) != 0;
	return 0;
}

static unsigned published(struct txn *t)
{
	unsigned n = 0;
	OK(revision_each(t, 1, 0, count, &n, &fx_err));
	return n;
}

/* The list of categories is complete before that of the updates is. */
static void categories_are_shown_before_updates(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	struct publish_report p;
	struct revision v;
	int32_t category = stage(t, (struct fx_revision){.update = 1}, REV_HELD, FIXTURE_NOW);
	OK(revision_get(t, category, &v, &fx_err));
	v.type = TYPE_CATEGORY;
	OK(revision_put(t, &v, &fx_err));
	int32_t update = stage(t, (struct fx_revision){.update = 2}, REV_HELD, FIXTURE_NOW);
	fx_commit(f);
	OK(publish_ready(f->store, true, FIXTURE_NOW, &fx_err));
	t = fx_begin(f, TXN_CATALOG);
	OK(publish_held_config(t, FIXTURE_NOW, &p, &fx_err));
	assert_int_equal(p.shown, 1);
	assert_int_equal(published(t), 1);
	OK(revision_get(t, update, &v, &fx_err));
	assert_true(v.flags & REV_HELD);
	OK(publish(t, FIXTURE_NOW, &p, &fx_err));
	assert_int_equal(p.shown, 0);
	OK(publish_held(t, FIXTURE_NOW, &p, &fx_err));
	assert_int_equal(p.shown, 1);
	assert_int_equal(published(t), 2);
	txn_end(&f->t);
}

/* An approval by name or KB number in the midst of a synchronization is of what can be seen. */
static void a_name_means_what_is_not_held(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	struct guid one = fx_guid(1), two = fx_guid(2);
	int32_t seen = stage(t, (struct fx_revision){.update = 1, .number = 1}, 0, FIXTURE_NOW), id;
	int32_t held = stage(t, (struct fx_revision){.update = 1, .number = 2}, REV_HELD, FIXTURE_NOW);
	stage(t, (struct fx_revision){.update = 2, .number = 1}, REV_HELD, FIXTURE_NOW);
	int32_t last = stage(t, (struct fx_revision){.update = 2, .number = 2}, REV_HELD, FIXTURE_NOW);
	OK(revision_find(t, &one, 0, &id));
	assert_int_equal(id, seen);
	OK(revision_find(t, &one, 2, &id));
	assert_int_equal(id, held);
	OK(revision_find(t, &two, 0, &id));
	assert_int_equal(id, last);
	txn_end(&f->t);
}

/* Whoever was told of a revision is told anew of its file; of one that is staged nobody was told. */
static void what_is_said_of_a_file_of_a_staged_revision_waits_for_nobody(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	struct sha1 one = fx_sha1(1), two = fx_sha1(2);
	uint64_t pending;
	stage(t, (struct fx_revision){.update = 1, .files = {1}}, 0, FIXTURE_NOW);
	fx_publish(f);
	t = fx_begin(f, TXN_CATALOG);
	stage(t, (struct fx_revision){.update = 2, .files = {2}}, REV_HELD, FIXTURE_NOW);
	OK(file_set_url(t, &two, SL("http://a/2"), &fx_err));
	OK(db_count(t, DB_PENDING, &pending, &fx_err));
	assert_int_equal(pending, 0);
	OK(file_set_url(t, &one, SL("http://a/1"), &fx_err));
	OK(db_count(t, DB_PENDING, &pending, &fx_err));
	assert_int_equal(pending, 1);
	txn_end(&f->t);
}

static void every_allocation_may_fail(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	const struct UpdateIdentity list[] = {id_of(9, 1), id_of(1, 2)};
	struct identities out;
	stage(t, (struct fx_revision){.update = 2, .members = {{1, 5}}}, REV_HELD, FIXTURE_NOW);
	int rc = E_NOMEM;
	for (long n = 1; rc != E_OK && n < 100; n++) {
		alloc_fail_at = n;
		rc = identities_lacking(t, list, COUNTOF(list), txn_arena(t), &out, &fx_err);
		if (rc == E_OK)
			rc = members_lacking(t, txn_arena(t), &out, &fx_err);
		alloc_fail_at = 0;
		assert_true(rc == E_OK || rc == E_NOMEM);
		if (rc != E_OK)
			arena_reset(txn_arena(t));
	}
	assert_int_equal(rc, E_OK);
	txn_end(&f->t);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fx_setup, fx_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(of_a_list_what_is_not_here_once),
		T(members_of_bundles),
		T(keys_of_what_is_held),
		T(addresses_of_what_an_earlier_run_held),
		T(categories_are_shown_before_updates),
		T(a_name_means_what_is_not_held),
		T(what_is_said_of_a_file_of_a_staged_revision_waits_for_nobody),
		T(every_allocation_may_fail),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
