/* t_scan.c -- the set algebra of SyncUpdates, a rule at a time; all rules together are test/model/m_scan.c. */
#include "test/unit/small.h"

#define INSTALLED(...) .installed = (const int32_t[]){__VA_ARGS__}, .ninstalled = COUNTOF(((const int32_t[]){__VA_ARGS__}))
#define OTHER(...) .other = (const int32_t[]){__VA_ARGS__}, .nother = COUNTOF(((const int32_t[]){__VA_ARGS__}))

static struct scan_result run(struct scan_request q)
{
	struct client_groups g = all_computers();
	struct scan_result r;
	if (!q.groups)
		q.groups = &g;
	OK(scan_bind(S.scan, S.t, &S.set, &S.e));
	OK(scan_run(S.scan, &q, &r, &S.e));
	return r;
}
#define RUN(...) run((struct scan_request){.pass = PASS_SOFTWARE, __VA_ARGS__})

static void are(const int32_t *is, size_t n, const int32_t *want, size_t m)
{
	assert_int_equal(n, m);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(is[i], want[i]);
}
#define ARE(is, n, ...) are((is), (n), (const int32_t[]){__VA_ARGS__}, COUNTOF(((const int32_t[]){__VA_ARGS__})))

static void updates_are(const struct scan_update *is, size_t n, const int32_t *want, size_t m)
{
	assert_int_equal(n, m);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(is[i].revision, want[i]);
}
#define NEW(r, ...)                                                                                                \
	updates_are((r).fresh, (r).nfresh, (const int32_t[]){__VA_ARGS__}, COUNTOF(((const int32_t[]){__VA_ARGS__})))
#define CHANGED(r, ...)                                                                                            \
	updates_are((r).changed, (r).nchanged, (const int32_t[]){__VA_ARGS__}, COUNTOF(((const int32_t[]){__VA_ARGS__})))

/* holds: WUSP-SYNC-29 WUSP-SYNC-30 WUSP-SYNC-43 WUSP-SYNC-60 */
static void a_chain_arrives_one_level_a_call(void **state)
{
	(void)state;
	int32_t family = CATEGORY(1), product = CATEGORY(2, .prereq = {IN(1, 0)});
	int32_t update = STAGE(.update = 3, .prereq = {IN(2, 0)});
	show();
	struct scan_result r = RUN(.point = 0);
	NEW(r, family);
	assert_false(r.fresh[0].leaf);
	r = RUN(INSTALLED(family));
	NEW(r, product);
	r = RUN(INSTALLED(family, product));
	NEW(r, update);
	assert_true(r.fresh[0].leaf);
	r = RUN(INSTALLED(family, product), OTHER(update));
	assert_int_equal(r.nfresh, 0);
	assert_int_equal(r.ngone, 0);
}

/* holds: WUSP-SYNC-29 WUSP-SYNC-21 */
static void every_clause_needs_one_of_its_alternatives(void **state)
{
	(void)state;
	int32_t a = CATEGORY(1), b = CATEGORY(2), c = CATEGORY(3);
	int32_t update = STAGE(.update = 4, .prereq = {NEEDS(1, 0), NEEDS(2, 0), IN(3, 1)});
	show();
	struct scan_result r = RUN(.point = 0);
	NEW(r, a, b, c);
	r = RUN(INSTALLED(a, b));
	NEW(r, c);
	r = RUN(INSTALLED(b, c));
	NEW(r, a, update);
}

/* holds: WUSP-SYNC-31 WUSP-SYNC-22 WUSP-SYNC-45 */
static void an_older_installed_revision_satisfies(void **state)
{
	(void)state;
	int32_t old = CATEGORY(1), update = STAGE(.update = 2, .prereq = {NEEDS(1, 0)});
	show();
	int32_t newer = CATEGORY(1, .number = 2);
	show();
	struct scan_result r = RUN(INSTALLED(old), OTHER(update));
	NEW(r, newer);
	ARE(r.gone, r.ngone, old);
}

/* holds: WUSP-SYNC-32 WUSP-SYNC-41 WUSP-SYNC-44 */
static void other_cached_ids_satisfy_nothing(void **state)
{
	(void)state;
	int32_t a = CATEGORY(1), update = STAGE(.update = 2, .prereq = {NEEDS(1, 0)});
	show();
	struct scan_result r = RUN(OTHER(a, update));
	assert_int_equal(r.nfresh, 0);
	ARE(r.gone, r.ngone, update);
}

/* holds: WUSP-SYNC-33 WUSP-SYNC-42 WUSP-SYNC-85 */
static void drivers_are_counted_but_not_in_the_software_pass(void **state)
{
	(void)state;
	int32_t soft = STAGE(.update = 1), driver = STAGE(.update = 2, .type = TYPE_DRIVER, .prereq = {IN(3, 0)});
	int32_t category = CATEGORY(3);
	show();
	struct scan_result r = RUN(INSTALLED(category));
	NEW(r, soft);
	assert_true(r.drivers);
	r = run((struct scan_request){.pass = PASS_DRIVER, INSTALLED(category), OTHER(driver)});
	assert_int_equal(r.nfresh, 0);
	ARE(r.gone, r.ngone, driver);
	OK(update_decline(S.t, small_no(2), true, SL("test"), &S.e));
	show();
	assert_false(RUN(.point = 0).drivers);
}

/* holds: WUSP-SYNC-35 WUSP-SYNC-36 */
static void the_highest_revision_is_offered_unless_an_older_is_deployed(void **state)
{
	(void)state;
	int32_t high = STAGE(.update = 1, .number = 7), low = STAGE(.update = 1, .number = 3);
	show();
	NEW(RUN(.point = 0), high);
	deploy(low, GROUP_ALL_COMPUTERS, ACT_INSTALL, 0);
	show();
	NEW(RUN(.point = 0), low);
}

/* holds: WUSP-SYNC-23 WUSP-SYNC-40 WUSP-SYNC-21 */
static void members_flow_by_exact_revision_and_on_their_own(void **state)
{
	(void)state;
	int32_t category = CATEGORY(9);
	int32_t child = stage((struct spec){.update = 1, .number = 1, .prereq = {NEEDS(9, 0)}});
	int32_t bundle = STAGE(.update = 3, .bundle = {HAS(1, 1)});
	show();
	int32_t newer = stage((struct spec){.update = 1, .number = 2});
	show();
	NEW(RUN(.point = 0), category, bundle);
	NEW(RUN(INSTALLED(category)), child, bundle);
	/* the newer child is nobody's member and no root */
	NEW(RUN(INSTALLED(category), OTHER(child, newer)), bundle);
}

/* holds: WUSP-SYNC-24 WUSP-SYNC-25 */
static void missing_and_cyclic_prerequisites_end(void **state)
{
	(void)state;
	STAGE(.update = 1, .prereq = {NEEDS(2, 0), NEEDS(77, 1)});
	STAGE(.update = 2, .prereq = {NEEDS(1, 0)});
	int32_t either = STAGE(.update = 3, .prereq = {NEEDS(77, 0), NEEDS(4, 0)}), met = CATEGORY(4);
	show();
	NEW(RUN(.point = 0), met);
	NEW(RUN(INSTALLED(met)), either);
}

/* holds: WUSP-SYNC-26 WUSP-SYNC-27 WUSP-SYNC-28 */
static void a_filter_keeps_what_is_below_its_category(void **state)
{
	(void)state;
	int32_t family = CATEGORY(1), product = CATEGORY(2, .prereq = {IN(1, 0)}), alien = CATEGORY(3);
	int32_t detectoid = stage((struct spec){.update = 4, .number = 1, .type = TYPE_DETECTOID});
	int32_t update = STAGE(.update = 5, .prereq = {IN(2, 0), NEEDS(4, 1)}), other = STAGE(.update = 6, .prereq = {IN(3, 0)});
	int32_t looks_like = STAGE(.update = 7, .prereq = {NEEDS(2, 0)});
	show();
	struct guid g = small_guid(1), nobody = small_guid(1000);
	struct scan_result r = RUN(INSTALLED(family, product, alien, detectoid), .filter = &g, .nfilter = 1);
	NEW(r, update);
	ARE(r.gone, r.ngone, alien);
	NEW(RUN(INSTALLED(family, product, alien, detectoid)), update, other, looks_like);
	assert_int_equal(RUN(.filter = &nobody, .nfilter = 1).nfresh, 0);
}

/* holds: WUSP-SYNC-54 WUSP-SYNC-55 WUSP-SYNC-56 WUSP-SYNC-52 */
static void what_is_deployed_but_out_of_scope_is_parked(void **state)
{
	(void)state;
	int32_t in = CATEGORY(1), out = CATEGORY(2), update = STAGE(.update = 3, .prereq = {IN(2, 0)});
	STAGE(.update = 4, .prereq = {IN(1, 0)});
	show();
	struct guid g = small_guid(1);
	struct scan_result r = RUN(INSTALLED(in, out), OTHER(update, update, 99, -5), .filter = &g, .nfilter = 1, .two_groups = true);
	ARE(r.parked, r.nparked, out, update);
	ARE(r.gone, r.ngone, -5, 99);
	r = RUN(INSTALLED(in, out), OTHER(update, update, 99, -5), .filter = &g, .nfilter = 1);
	assert_int_equal(r.nparked, 0);
	ARE(r.gone, r.ngone, -5, out, update, 99);
}

/* holds: WUSP-SYNC-75 WUSP-SYNC-76 WUSP-SYNC-77 WUSP-SYNC-78 */
static void a_page_is_cut_and_goes_on(void **state)
{
	(void)state;
	int32_t leaf = STAGE(.update = 1, .bytes = 3000), big = STAGE(.update = 2, .bytes = 8000);
	int32_t first = CATEGORY(3, .bytes = 500);
	int32_t gone = STAGE(.update = 4, .prereq = {NEEDS(3, 0)});
	show();
	S.set.page_bytes = 3600;
	struct scan_result r = RUN(OTHER(gone));
	NEW(r, first, leaf);
	assert_true(r.truncated);
	assert_int_equal(r.remaining, 1);
	ARE(r.gone, r.ngone, gone);
	r = RUN(OTHER(first, leaf));
	NEW(r, big); /* larger than the page, and alone in it */
	assert_false(r.truncated);
	S.set.page_updates = 1;
	NEW(RUN(.point = 0), first);
}

/* holds: WUSP-SYNC-46 WUSP-SYNC-47 WUSP-SYNC-49 */
static void changes_are_told_since_the_point_and_once(void **state)
{
	(void)state;
	int32_t a = STAGE(.update = 1), b = STAGE(.update = 2);
	uint32_t before = show().epoch;
	deploy(a, GROUP_ALL_COMPUTERS, ACT_INSTALL, 0);
	deploy(b, GROUP_UNASSIGNED, ACT_INSTALL, 0);
	uint32_t after = show().epoch;
	CHANGED(RUN(OTHER(a, b), .point = before), a);
	assert_int_equal(RUN(OTHER(a, b), .point = after).nchanged, 0);
	CHANGED(RUN(OTHER(a, b), .point = 0), a, b);
	OK(unapprove(S.t, small_no(1), GROUP_ALL_COMPUTERS, SL("test"), &S.e));
	show();
	CHANGED(RUN(OTHER(a, b), .point = after), a);
	struct client_groups moved = all_computers();
	moved.moved_epoch = after + 2;
	CHANGED(RUN(OTHER(a, b), .point = after + 1, .groups = &moved), a, b);
}

/* holds: WUSP-SYNC-48 WUSP-SYNC-60 WUSP-POPULATE-20 */
static void a_flip_of_leaf_is_a_change(void **state)
{
	(void)state;
	int32_t a = STAGE(.update = 1), member = STAGE(.update = 2);
	uint32_t point = show().epoch;
	int32_t bundle = STAGE(.update = 3, .prereq = {NEEDS(1, 0)}, .bundle = {HAS(2, 1)});
	show();
	struct scan_result r = RUN(INSTALLED(a), OTHER(member), .point = point);
	CHANGED(r, a, member); /* the second became a member of a bundle */
	assert_false(r.changed[0].leaf);
	assert_true(r.changed[1].leaf);
	NEW(r, bundle);
	assert_false(scan_is_leaf(S.scan, a));
	assert_true(scan_is_leaf(S.scan, member));
}

static struct effective effective(const struct client_groups *g, int32_t revision)
{
	struct effective f;
	OK(scan_bind(S.scan, S.t, &S.set, &S.e));
	OK(scan_effective(S.scan, g, revision, &f, &S.e));
	return f;
}

/* holds: WUSP-SYNC-20 */
static void the_nearest_group_decides_and_then_the_stronger_action(void **state)
{
	(void)state;
	uint32_t near, near2;
	int32_t r = STAGE(.update = 1);
	OK(group_create(S.t, SL("near"), GROUP_ALL_COMPUTERS, &near, &S.e));
	OK(group_create(S.t, SL("near too"), GROUP_ALL_COMPUTERS, &near2, &S.e));
	struct client_groups g = {.no = {near, near2, GROUP_ALL_COMPUTERS}, .distance = {0, 0, 1}, .n = 3, .hash = 5};
	show();
	assert_true(effective(&g, r).implied);
	deploy(r, GROUP_ALL_COMPUTERS, ACT_INSTALL, 0);
	show();
	assert_string_equal(effective(&g, r).action, "Install");
	deploy(r, near, ACT_UNINSTALL, 0);
	show();
	assert_string_equal(effective(&g, r).action, "Uninstall");
	deploy(r, near2, ACT_OPTIONAL_INSTALL, 0);
	show();
	assert_string_equal(effective(&g, r).action, "OptionalInstall");
	deploy(r, near, ACT_OPTIONAL_INSTALL, S.now);
	show();
	assert_int_equal(effective(&g, r).d.group, near); /* the earlier deadline */
}

/* holds: WUSP-SYNC-38 */
static void a_block_of_the_nearest_group_takes_the_revision_away(void **state)
{
	(void)state;
	uint32_t near;
	int32_t r = STAGE(.update = 1), needs = STAGE(.update = 2, .prereq = {NEEDS(1, 0)});
	OK(group_create(S.t, SL("near"), GROUP_ALL_COMPUTERS, &near, &S.e));
	struct client_groups g = {.no = {near, GROUP_ALL_COMPUTERS}, .distance = {0, 1}, .n = 2, .hash = 5};
	deploy(r, GROUP_ALL_COMPUTERS, ACT_INSTALL, 0);
	deploy(r, near, ACT_BLOCK, 0);
	show();
	struct scan_result s = RUN(.groups = &g, INSTALLED(r));
	ARE(s.gone, s.ngone, r);
	NEW(s, needs);
	assert_string_equal(effective(&g, r).action, "PreDeploymentCheck");
	NEW(RUN(.point = 0), r);
}

/* holds: WUSP-SYNC-19 WUSP-SYNC-39 */
static void scope_approved_offers_approved_updates_and_what_they_need(void **state)
{
	(void)state;
	int32_t category = CATEGORY(1), a = STAGE(.update = 2, .prereq = {IN(1, 0)}), b = STAGE(.update = 3);
	int32_t hidden = stage((struct spec){.update = 4, .number = 1});
	show();
	NEW(RUN(.point = 0), category, b);
	S.set.scan_scope = SCOPE_APPROVED;
	assert_int_equal(RUN(.point = 0).nfresh, 0);
	deploy(a, GROUP_ALL_COMPUTERS, ACT_INSTALL, 0);
	deploy(hidden, GROUP_ALL_COMPUTERS, ACT_INSTALL, 0);
	show();
	NEW(RUN(.point = 0), category, hidden);
	struct client_groups g = all_computers();
	assert_string_equal(effective(&g, category).action, "Evaluate");
	assert_string_equal(effective(&g, b).action, "Evaluate");
	S.set.scan_scope = SCOPE_ALL;
	assert_string_equal(effective(&g, b).action, "PreDeploymentCheck");
}

/* holds: WUSP-REFRESH-05 WUSP-REFRESH-07 */
static void deployed_is_the_closure_whatever_is_installed(void **state)
{
	(void)state;
	int32_t category = CATEGORY(1), a = STAGE(.update = 2, .prereq = {IN(1, 0)}, .bundle = {HAS(3, 1)});
	int32_t member = stage((struct spec){.update = 3, .number = 1}), alone = stage((struct spec){.update = 4, .number = 1});
	struct client_groups g = all_computers();
	show();
	int32_t ids[] = {category, a, member, alone, 0, -3, INT32_MAX};
	bool out[COUNTOF(ids)];
	OK(scan_bind(S.scan, S.t, &S.set, &S.e));
	OK(scan_deployed(S.scan, &g, ids, COUNTOF(ids), out, &S.e));
	for (size_t i = 0; i < COUNTOF(ids); i++)
		assert_int_equal(out[i], i < 3);
}

/* holds: WUSP-CATSCAN-07 */
static void categories_are_known_by_their_guid(void **state)
{
	(void)state;
	CATEGORY(1);
	CATEGORY(2, .category = CAT_CLASSIFICATION);
	STAGE(.update = 3);
	CATEGORY(4);
	OK(update_decline(S.t, small_no(4), true, SL("test"), &S.e));
	show();
	OK(scan_bind(S.scan, S.t, &S.set, &S.e));
	static const enum category_type want[] = {CAT_NONE, CAT_PRODUCT, CAT_CLASSIFICATION, CAT_NONE, CAT_NONE, CAT_NONE};
	for (uint32_t u = 0; u < COUNTOF(want); u++) {
		struct guid g = small_guid(u);
		assert_int_equal(scan_category(S.scan, &g), want[u]);
	}
}

static void an_empty_store_answers(void **state)
{
	(void)state;
	struct scan_result r = RUN(INSTALLED(1, 2, 0, -1), OTHER(7));
	assert_int_equal(r.nfresh, 0);
	ARE(r.gone, r.ngone, -1, 0, 1, 2, 7);
	struct effective f;
	struct client_groups g = all_computers();
	assert_int_equal(scan_effective(S.scan, &g, 1, &f, &S.e), E_NOTFOUND);
	assert_true(scan_is_leaf(S.scan, 1));
}

/* More selections than are kept: the same answers in any order. */
static void selections_beyond_the_cache_are_made_again(void **state)
{
	(void)state;
	enum { MANY = LIMIT_SELECTIONS + 9 };
	static int32_t category[MANY], update[MANY];
	for (uint32_t i = 0; i < MANY; i++) {
		category[i] = CATEGORY(i + 1);
		update[i] = STAGE(.update = 1000 + i, .prereq = {IN(i + 1, 0)});
	}
	show();
	OK(txn_commit(&S.t, &S.e));
	OK(txn_begin(S.store, TXN_READ, &S.t, &S.e));
	for (uint32_t i = 0; i < MANY * 2; i++) {
		uint32_t k = i * 7 % MANY;
		struct guid g = small_guid(k + 1);
		NEW(RUN(INSTALLED(category[k]), .filter = &g, .nfilter = 1), update[k]);
	}
}

/* Whatever filters clients think of, the selections that others share stay. */
static void filters_do_not_push_out_what_groups_share(void **state)
{
	(void)state;
	enum { MANY = LIMIT_SELECTIONS };
	for (uint32_t i = 1; i <= MANY; i++)
		CATEGORY(i);
	show();
	OK(txn_commit(&S.t, &S.e));
	OK(txn_begin(S.store, TXN_READ, &S.t, &S.e));
	RUN(.point = 0);
	for (uint32_t i = 1; i <= MANY; i++) {
		struct guid g = small_guid(i);
		RUN(.filter = &g, .nfilter = 1);
	}
	uint64_t made = scan_selections_made(S.scan);
	assert_int_equal(made, MANY + 1);
	RUN(.point = 0);
	struct guid last = small_guid(MANY);
	RUN(.filter = &last, .nfilter = 1);
	assert_int_equal(scan_selections_made(S.scan), made);
}

/* Two hundred groups, each with its own answer, in rotation: each selection is made once. */
static void every_group_has_its_selection_kept(void **state)
{
	(void)state;
	enum { MANY = 200 };
	int32_t update[MANY];
	uint32_t group[MANY];
	for (uint32_t i = 0; i < MANY; i++) {
		char name[16];
		snprintf(name, sizeof(name), "G%u", (unsigned)i);
		OK(group_create(S.t, slice_of(name), GROUP_ALL_COMPUTERS, &group[i], &S.e));
		update[i] = STAGE(.update = 1 + i);
	}
	for (uint32_t i = 0; i < MANY; i++)
		deploy(update[i], group[i], ACT_BLOCK, 0);
	show();
	OK(txn_commit(&S.t, &S.e));
	OK(txn_begin(S.store, TXN_READ, &S.t, &S.e));
	for (uint32_t i = 0; i < MANY * 3; i++) {
		struct client_groups g = {.no = {group[i % MANY], GROUP_ALL_COMPUTERS}, .distance = {0, 1}, .n = 2};
		struct scan_request q = {.groups = &g};
		struct scan_result r;
		OK(scan_bind(S.scan, S.t, &S.set, &S.e));
		OK(scan_run(S.scan, &q, &r, &S.e));
		assert_int_equal(r.nfresh, MANY - 1);
		for (size_t k = 0; k < r.nfresh; k++)
			assert_int_equal(r.fresh[k].revision, update[k + (k >= i % MANY)]);
	}
	assert_int_equal(scan_selections_made(S.scan), MANY);
}

/* Many rows of other groups, before, between and behind those of the client's: all of its own are found. */
static void changes_are_found_between_those_of_other_groups(void **state)
{
	(void)state;
	enum { MANY = 3 * LOG_FOREIGN_ROWS };
	int32_t id[MANY];
	uint32_t low, ours, high;
	OK(group_create(S.t, SL("low"), GROUP_ALL_COMPUTERS, &low, &S.e));
	OK(group_create(S.t, SL("ours"), GROUP_ALL_COMPUTERS, &ours, &S.e));
	OK(group_create(S.t, SL("high"), GROUP_ALL_COMPUTERS, &high, &S.e));
	for (int i = 0; i < MANY; i++)
		id[i] = STAGE(.update = (uint32_t)i + 1);
	show();
	struct server_state st;
	OK(server_state_get(S.t, &st, &S.e));
	for (int n = 0; n < 4; n++) {
		for (int i = 0; i < MANY; i++) {
			OK(publish_touch(S.t, low, id[i], &S.e));
			OK(publish_touch(S.t, high, id[i], &S.e));
		}
		OK(publish_touch(S.t, ours, id[n], &S.e));
		if (n % 2)
			OK(publish_touch(S.t, GROUP_ALL_COMPUTERS, id[10 + n], &S.e));
		show();
	}
	struct client_groups g = {.no = {ours, GROUP_ALL_COMPUTERS}, .distance = {0, 1}, .n = 2};
	struct scan_request q = {.groups = &g, .other = id, .nother = MANY, .point = st.epoch};
	struct scan_result r;
	OK(scan_bind(S.scan, S.t, &S.set, &S.e));
	OK(scan_run(S.scan, &q, &r, &S.e));
	static const int want[] = {0, 1, 2, 3, 11, 13};
	assert_int_equal(r.nchanged, COUNTOF(want));
	for (size_t i = 0; i < COUNTOF(want); i++)
		assert_int_equal(r.changed[i].revision, id[want[i]]);
}

/* A failed allocation is an error, never a wrong answer, and the next call works. */
static void no_allocation_is_taken_for_granted(void **state)
{
	(void)state;
	int32_t a = CATEGORY(1), b = STAGE(.update = 2, .prereq = {IN(1, 0)});
	deploy(b, GROUP_ALL_COMPUTERS, ACT_INSTALL, 0);
	show();
	struct client_groups g = all_computers();
	struct guid filter = small_guid(1);
	struct scan_request q = {.groups = &g, INSTALLED(a), OTHER(77), .filter = &filter, .nfilter = 1, .two_groups = true};
	struct scan_result r;
	int rc = E_NOMEM;
	for (long n = 1; rc == E_NOMEM; n++) {
		struct scan *s = scan_new();
		assert_non_null(s);
		arena_free(txn_arena(S.t));
		alloc_fail_at = n;
		rc = scan_bind(s, S.t, &S.set, &S.e);
		if (rc == E_OK)
			rc = scan_run(s, &q, &r, &S.e);
		alloc_fail_at = 0;
		scan_free(&s);
		assert_true(n < 1000);
	}
	assert_int_equal(rc, E_OK);
	NEW(r, b);
}

#define T(name) cmocka_unit_test_setup_teardown(name, small_open, small_close)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_chain_arrives_one_level_a_call),
		T(every_clause_needs_one_of_its_alternatives),
		T(an_older_installed_revision_satisfies),
		T(other_cached_ids_satisfy_nothing),
		T(drivers_are_counted_but_not_in_the_software_pass),
		T(the_highest_revision_is_offered_unless_an_older_is_deployed),
		T(members_flow_by_exact_revision_and_on_their_own),
		T(missing_and_cyclic_prerequisites_end),
		T(a_filter_keeps_what_is_below_its_category),
		T(what_is_deployed_but_out_of_scope_is_parked),
		T(a_page_is_cut_and_goes_on),
		T(changes_are_told_since_the_point_and_once),
		T(a_flip_of_leaf_is_a_change),
		T(the_nearest_group_decides_and_then_the_stronger_action),
		T(a_block_of_the_nearest_group_takes_the_revision_away),
		T(scope_approved_offers_approved_updates_and_what_they_need),
		T(deployed_is_the_closure_whatever_is_installed),
		T(categories_are_known_by_their_guid),
		T(an_empty_store_answers),
		T(selections_beyond_the_cache_are_made_again),
		T(filters_do_not_push_out_what_groups_share),
		T(every_group_has_its_selection_kept),
		T(changes_are_found_between_those_of_other_groups),
		T(no_allocation_is_taken_for_granted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
