/* t_publish.c -- publish: epochs, what waits, what is held back, the change log and its floor. */
#include "test/unit/small.h"

static uint32_t epoch(void)
{
	struct server_state st;
	OK(server_state_get(S.t, &st, &S.e));
	return st.epoch;
}

static struct scan_result kept(const int32_t *cached, size_t n, uint32_t point)
{
	struct client_groups g = all_computers();
	struct scan_request q = {.groups = &g, .other = cached, .nother = n, .point = point};
	struct scan_result r;
	OK(scan_bind(S.scan, S.t, &S.set, &S.e));
	OK(scan_run(S.scan, &q, &r, &S.e));
	return r;
}

/* holds: WUSP-ADM-15 */
static void nothing_pending_is_no_epoch(void **state)
{
	(void)state;
	show(); /* what making the store left */
	uint32_t before = epoch();
	struct publish_report p = show();
	assert_int_equal(p.epoch, before);
	assert_int_equal(p.shown + p.changed + p.flipped, 0);
	STAGE(.update = 1);
	p = show();
	assert_int_equal(p.epoch, before + 1);
	assert_int_equal(p.shown, 1);
	assert_int_equal(p.changed, 0); /* nobody can have it cached yet */
	assert_int_equal(epoch(), before + 1);
}

static void a_staged_revision_is_invisible_until_published(void **state)
{
	(void)state;
	int32_t first = STAGE(.update = 1);
	struct revision v;
	show();
	int32_t second = STAGE(.update = 2);
	assert_int_equal(kept(NULL, 0, 0).nfresh, 1);
	OK(revision_get(S.t, second, &v, &S.e));
	assert_false(v.flags & REV_PUBLISHED);
	show();
	assert_int_equal(kept(NULL, 0, 0).nfresh, 2);
	OK(revision_get(S.t, first, &v, &S.e));
	assert_true(v.flags & REV_PUBLISHED);
	assert_int_equal(v.published, S.now);
}

static struct publish_report show_held(void)
{
	struct publish_report p;
	OK(publish_held(S.t, S.now, &p, &S.e));
	return p;
}

static void what_is_held_is_shown_by_publish_held_alone(void **state)
{
	(void)state;
	struct revision v;
	int32_t held = STAGE(.update = 1, .flags = REV_HELD), by_hand = STAGE(.update = 2), late = STAGE(.update = 3, .flags = REV_HELD);
	assert_int_equal(show().shown, 1);
	assert_int_equal(kept(NULL, 0, 0).nfresh, 1);
	assert_int_equal(kept(NULL, 0, 0).fresh[0].revision, by_hand);
	assert_int_equal(show().shown, 0); /* nor does a tick */
	assert_int_equal(audit_findings(), 0);
	struct publish_report p = show_held();
	assert_int_equal(p.shown, 2);
	assert_int_equal(kept(NULL, 0, 0).nfresh, 3);
	OK(revision_get(S.t, held, &v, &S.e));
	assert_int_equal(v.flags & (REV_HELD | REV_PUBLISHED), REV_PUBLISHED);
	OK(revision_get(S.t, late, &v, &S.e));
	assert_int_equal(v.flags & (REV_HELD | REV_PUBLISHED), REV_PUBLISHED);
	assert_int_equal(show_held().epoch, p.epoch);
	assert_int_equal(audit_findings(), 0);
}

static void a_bundle_by_hand_waits_for_a_member_that_is_held(void **state)
{
	(void)state;
	int32_t inner = stage((struct spec){.update = 2, .number = 1, .flags = REV_HELD});
	STAGE(.update = 1, .bundle = {HAS(2, 1), HAS(3, 1)});
	stage((struct spec){.update = 3, .number = 1, .flags = REV_HELD}); /* its id is behind all that is shown */
	assert_int_equal(show().held, 1);
	assert_int_equal(kept(NULL, 0, 0).nfresh, 0);
	assert_int_equal(audit_findings(), 0);
	assert_int_equal(show_held().held, 0);
	assert_int_equal(kept(NULL, 0, 0).nfresh, 3);
	assert_int_equal(kept(&inner, 1, 0).nfresh, 2);
	assert_int_equal(audit_findings(), 0);
}

static void begin_again(void)
{
	OK(txn_commit(&S.t, &S.e));
	OK(publish_ready(S.store, false, S.now, &S.e));
	OK(txn_begin(S.store, TXN_CATALOG, &S.t, &S.e));
}

/* In cuts of 10,000; nobody sees any of them before the publish, and nothing is amiss if that never comes. */
static void what_is_held_may_be_made_ready_beforehand(void **state)
{
	(void)state;
	enum { MANY = 25000 };
	STAGE(.update = 1, .bytes = 1);
	show();
	for (uint32_t u = 2; u <= MANY; u++)
		STAGE(.update = u, .bytes = 1, .flags = REV_HELD);
	begin_again();
	assert_int_equal(kept(NULL, 0, 0).nfresh + kept(NULL, 0, 0).remaining, 1);
	assert_int_equal(audit_findings(), 0);
	assert_int_equal(show_held().shown, MANY - 1);
	assert_int_equal(kept(NULL, 0, 0).nfresh + kept(NULL, 0, 0).remaining, MANY);
	assert_int_equal(audit_findings(), 0);
	begin_again(); /* nothing to do */
	assert_int_equal(show_held().shown, 0);
}

/* holds: WUSP-POPULATE-19 */
static void a_bundle_waits_for_members_that_come_later(void **state)
{
	(void)state;
	int32_t outer = STAGE(.update = 1, .bundle = {HAS(2, 1)});
	int32_t inner = stage((struct spec){.update = 2, .number = 1, .bundle = {HAS(3, 5), HAS(4, 1)}});
	stage((struct spec){.update = 4, .number = 1});
	stage((struct spec){.update = 3, .number = 4}); /* another revision of it does not do */
	struct publish_report p = show();
	assert_int_equal(p.held, 2);
	assert_int_equal(kept(NULL, 0, 0).nfresh, 0);
	int32_t late = stage((struct spec){.update = 3, .number = 5});
	p = show();
	assert_int_equal(p.held, 0);
	struct scan_result r = kept(NULL, 0, 0);
	assert_int_equal(r.nfresh, 4);
	assert_int_equal(r.fresh[0].revision, outer);
	assert_int_equal(r.fresh[1].revision, inner);
	assert_int_equal(r.fresh[3].revision, late);
	assert_int_equal(audit_findings(), 0);
}

static void bundles_that_hold_only_each_other_are_not_held(void **state)
{
	(void)state;
	STAGE(.update = 1, .bundle = {HAS(2, 1)});
	STAGE(.update = 2, .bundle = {HAS(1, 1), HAS(2, 1)});
	assert_int_equal(show().held, 0);
	assert_int_equal(kept(NULL, 0, 0).nfresh, 2);
}

/* 20,000 bundles, each in the next: the walk neither recurses nor loses one. */
static void bundles_nest_as_deep_as_they_like(void **state)
{
	(void)state;
	enum { DEEP = 20000 };
	for (uint32_t n = 1; n < DEEP; n++)
		stage((struct spec){.update = n, .number = 1, .bytes = 1, .bundle = {HAS(n + 1, 1)}});
	stage((struct spec){.update = DEEP, .number = 1, .bytes = 1});
	STAGE(.update = DEEP + 1, .bytes = 1, .bundle = {HAS(1, 1)});
	assert_int_equal(show().held, 0);
	struct scan_result r = kept(NULL, 0, 0);
	assert_int_equal(r.nfresh + r.remaining, DEEP + 1);
}

static struct effective effective(int32_t revision)
{
	struct client_groups g = all_computers();
	struct effective f;
	OK(scan_bind(S.scan, S.t, &S.set, &S.e));
	OK(scan_effective(S.scan, &g, revision, &f, &S.e));
	return f;
}

static void go_live_is_flipped_by_a_tick_and_logged(void **state)
{
	(void)state;
	int32_t r = STAGE(.update = 1);
	struct approval a = {.revision = r, .group = GROUP_ALL_COMPUTERS, .action = ACT_INSTALL,
		.go_live = S.now + 3600 * TICKS_PER_SECOND, .admin = SL("test")};
	OK(approve(S.t, &a, &S.e));
	uint32_t before = show().epoch;
	struct effective f = effective(r), live;
	assert_string_equal(f.action, "PreDeploymentCheck");
	assert_false(f.implied);
	S.now = a.go_live - 1;
	assert_int_equal(show().epoch, before);
	S.now = a.go_live;
	struct publish_report p = show();
	assert_int_equal(p.flipped, 1);
	assert_int_equal(p.epoch, before + 1);
	live = effective(r);
	assert_string_equal(live.action, "Install");
	assert_int_equal(live.id, f.id);
	assert_true(live.changed > f.changed);
	assert_int_equal(live.d.epoch, p.epoch);
	assert_int_equal(kept(&r, 1, before).nchanged, 1);
	assert_int_equal(kept(&r, 1, p.epoch).nchanged, 0);
}

static void touching_all_makes_every_older_point_zero(void **state)
{
	(void)state;
	int32_t r[2] = {STAGE(.update = 1), STAGE(.update = 2)};
	uint32_t before = show().epoch;
	assert_int_equal(kept(r, 2, before).nchanged, 0);
	OK(publish_touch_all(S.t, &S.e));
	uint32_t after = show().epoch;
	assert_int_equal(kept(r, 2, before).nchanged, 2);
	assert_int_equal(kept(r, 2, after).nchanged, 0);
}

/* The log is cut by whole epochs; who is older than what is left is told everything. */
static void the_log_stays_below_its_limit(void **state)
{
	(void)state;
	int32_t r = STAGE(.update = 1), other = STAGE(.update = 2);
	struct server_state st;
	uint64_t rows = 0;
	uint32_t first = show().epoch;
	for (int round = 0; round < 5; round++) {
		for (int32_t id = 1000; id < 51000; id++)
			OK(publish_touch(S.t, GROUP_DOWNSTREAM, id, &S.e));
		OK(publish_touch(S.t, 0, other, &S.e));
		show();
	}
	OK(db_count(S.t, DB_LOG, &rows, &S.e));
	OK(server_state_get(S.t, &st, &S.e));
	assert_true(rows > 0 && rows <= 200000);
	assert_true(st.log_floor > first && st.log_floor < st.epoch);
	int32_t both[] = {r, other};
	assert_int_equal(kept(both, 2, first).nchanged, 2);
	assert_int_equal(kept(both, 2, st.log_floor).nchanged, 1);
	assert_int_equal(kept(both, 2, st.epoch).nchanged, 0);
}

static void declining_takes_away_and_undeclining_brings_back_without_approvals(void **state)
{
	(void)state;
	int32_t r = STAGE(.update = 1), later;
	deploy(r, GROUP_ALL_COMPUTERS, ACT_INSTALL, 0);
	show();
	OK(update_decline(S.t, small_no(1), true, SL("test"), &S.e));
	later = STAGE(.update = 1, .number = 2); /* declining is about revisions to come, too */
	uint32_t declined = show().epoch;
	assert_int_equal(kept(&r, 1, 0).ngone, 1);
	assert_int_equal(kept(&r, 1, 0).nfresh, 0);
	OK(update_decline(S.t, small_no(1), false, SL("test"), &S.e));
	show();
	struct scan_result s = kept(&later, 1, declined);
	assert_int_equal(s.ngone, 0);
	assert_int_equal(s.nchanged, 1);
	assert_true(effective(later).implied);
	assert_int_equal(audit_findings(), 0);
}

static void a_removed_revision_is_gone_and_holds_its_bundle(void **state)
{
	(void)state;
	int32_t member = stage((struct spec){.update = 1, .number = 1}), bundle = STAGE(.update = 2, .bundle = {HAS(1, 1)});
	struct revision v;
	show();
	OK(revision_get(S.t, member, &v, &S.e));
	v.flags |= REV_REMOVED;
	OK(revision_put(S.t, &v, &S.e));
	OK(publish_dirty(S.t, &S.e));
	assert_int_equal(show().held, 1);
	int32_t both[] = {member, bundle};
	assert_int_equal(kept(both, 2, 0).ngone, 2);
	assert_int_equal(audit_findings(), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, small_open, small_close)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(nothing_pending_is_no_epoch),
		T(a_staged_revision_is_invisible_until_published),
		T(what_is_held_is_shown_by_publish_held_alone),
		T(a_bundle_by_hand_waits_for_a_member_that_is_held),
		T(what_is_held_may_be_made_ready_beforehand),
		T(a_bundle_waits_for_members_that_come_later),
		T(bundles_that_hold_only_each_other_are_not_held),
		T(bundles_nest_as_deep_as_they_like),
		T(go_live_is_flipped_by_a_tick_and_logged),
		T(touching_all_makes_every_older_point_zero),
		T(the_log_stays_below_its_limit),
		T(declining_takes_away_and_undeclining_brings_back_without_approvals),
		T(a_removed_revision_is_gone_and_holds_its_bundle),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
