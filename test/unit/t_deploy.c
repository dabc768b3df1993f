/* t_deploy.c -- approvals, their ids and times, what they wait for, declining, EULAs; revisions and files. */
#include "test/unit/store_fixture.h"

static int try_approve(struct txn *t, int32_t revision, uint32_t group, enum action action)
{
	struct approval a = {.revision = revision, .group = group, .action = action, .assigned = true, .admin = ADMIN};
	return approve(t, &a, &fx_err);
}

static void install(struct txn *t, int32_t revision)
{
	OK(try_approve(t, revision, GROUP_ALL_COMPUTERS, ACT_INSTALL));
}

static struct deployment of(struct txn *t, int32_t revision)
{
	struct deployment d;
	OK(deployment_get(t, GROUP_ALL_COMPUTERS, revision, &d));
	return d;
}

static uint64_t rows(struct txn *t, enum db db)
{
	uint64_t n;
	OK(db_count(t, db, &n, &fx_err));
	return n;
}

/* ---- rows ---- */

/* holds: WUSP-ADM-13 */
static void an_approval_keeps_every_field(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	int32_t id = fx_stage(t, (struct fx_revision){.update = 1});
	struct approval a = {.revision = id, .group = GROUP_UNASSIGNED, .action = ACT_OPTIONAL_INSTALL,
		.priority = PRIO_HIGH, .assigned = true, .deadline = FIXTURE_NOW + 5, .go_live = FIXTURE_NOW - 5,
		.admin = SL("alice")};
	OK(approve(t, &a, &fx_err));
	fx_publish(f);
	struct deployment d;
	OK(deployment_get(fx_begin(f, TXN_READ), GROUP_UNASSIGNED, id, &d));
	assert_true(d.id > 0 && d.group == GROUP_UNASSIGNED && d.revision == id && d.action == ACT_OPTIONAL_INSTALL);
	assert_true(d.priority == PRIO_HIGH && d.assigned && !d.dead);
	assert_true(d.deadline == FIXTURE_NOW + 5 && d.go_live == FIXTURE_NOW - 5 && d.changed > 0);
	assert_true(slice_eq(d.admin, SL("alice")));
	assert_true(d.epoch > 0);
	fx_assert_sound(f->t);
	txn_end(&f->t);
}

/* holds: WUSP-ADM-16 */
static void another_action_replaces_the_one_deployment_of_revision_and_group(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	int32_t id = fx_stage(t, (struct fx_revision){.update = 1});
	install(t, id);
	struct deployment before = of(t, id);
	OK(try_approve(t, id, GROUP_ALL_COMPUTERS, ACT_UNINSTALL));
	struct deployment after = of(t, id);
	assert_int_equal(after.id, before.id);
	assert_int_equal(after.action, ACT_UNINSTALL);
	assert_int_equal(rows(t, DB_DEPLOY), 1);
	txn_end(&f->t);
}

/* holds: WUSP-ADM-14 */
static void the_time_of_last_change_moves_with_each_change_only(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	int32_t id = fx_stage(t, (struct fx_revision){.update = 1});
	install(t, id);
	tick_t at = of(t, id).changed;
	OK(db_del_prefix(t, DB_PENDING, SL(""), NULL, &fx_err));
	install(t, id);
	assert_true(of(t, id).changed == at);
	assert_int_equal(rows(t, DB_PENDING), 0); /* nothing changed: nothing to publish */
	OK(try_approve(t, id, GROUP_ALL_COMPUTERS, ACT_BLOCK));
	assert_true(of(t, id).changed > at);
	assert_int_equal(rows(t, DB_PENDING), 1);
	at = of(t, id).changed;
	OK(unapprove(t, fx_update_no(t, 1), GROUP_ALL_COMPUTERS, ADMIN, &fx_err));
	assert_true(of(t, id).changed > at);
	txn_end(&f->t);
}

/* The clock may stand or go back: the time still changes. */
static void the_time_of_last_change_does_not_hang_on_the_clock(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	int32_t id = fx_stage(t, (struct fx_revision){.update = 1});
	install(t, id);
	struct deployment d = of(t, id);
	d.changed = TICK_MAX_YEAR9999 - 5;
	OK(deployment_put(t, &d, &fx_err));
	OK(try_approve(t, id, GROUP_ALL_COMPUTERS, ACT_BLOCK));
	assert_true(of(t, id).changed == TICK_MAX_YEAR9999 - 4);
	txn_end(&f->t);
}

static void an_id_is_kept_through_removal_and_renewal(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	int32_t id = fx_stage(t, (struct fx_revision){.update = 1});
	uint32_t no = fx_update_no(t, 1);
	install(t, id);
	uint32_t first = of(t, id).id;
	OK(unapprove(t, no, GROUP_ALL_COMPUTERS, ADMIN, &fx_err));
	assert_true(of(t, id).dead);
	IS(E_NOTFOUND, unapprove(t, no, GROUP_ALL_COMPUTERS, ADMIN, &fx_err));
	install(t, id);
	assert_true(!of(t, id).dead && of(t, id).id == first);
	fx_publish(f);
	fx_assert_sound(fx_begin(f, TXN_READ));
	txn_end(&f->t);
}

static void approving_another_revision_moves_the_approval(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	int32_t old = fx_stage(t, (struct fx_revision){.update = 1, .number = 1});
	int32_t new = fx_stage(t, (struct fx_revision){.update = 1, .number = 2});
	install(t, old);
	OK(try_approve(t, old, GROUP_UNASSIGNED, ACT_INSTALL));
	install(t, new);
	assert_true(of(t, old).dead && !of(t, new).dead);
	assert_int_not_equal(of(t, old).id, of(t, new).id);
	struct deployment d;
	OK(deployment_get(t, GROUP_UNASSIGNED, old, &d));
	assert_false(d.dead); /* of another group */
	fx_publish(f);
	fx_assert_sound(fx_begin(f, TXN_READ));
	txn_end(&f->t);
}

static void nonsense_is_refused(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	int32_t id = fx_stage(t, (struct fx_revision){.update = 1});
	IS(E_NOTFOUND, try_approve(t, id + 1, 1, ACT_INSTALL));
	IS(E_NOTFOUND, try_approve(t, id, 99, ACT_INSTALL));
	IS(E_FORM, try_approve(t, id, 1, ACT__N));
	struct approval late = {.revision = id, .group = 1, .deadline = TICK_MAX_YEAR9999 + 1, .admin = ADMIN};
	IS(E_FORM, approve(t, &late, &fx_err));
	IS(E_NOTFOUND, unapprove(t, 99, 1, ADMIN, &fx_err));
	assert_int_equal(rows(t, DB_DEPLOY), 0);
	assert_int_equal(rows(t, DB_PENDING), 0);
	fx_commit(f); /* a refusal spoils nothing */
}

/* ---- waiting ---- */

static void an_install_waits_for_each_missing_file_once(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	fx_stage(t, (struct fx_revision){.update = 2, .files = {5, 6}});
	int32_t id = fx_stage(t, (struct fx_revision){.update = 1, .files = {5, 7}, .members = {{2, 1}, {1, 1}}});
	install(t, id);
	struct deployment d = of(t, id);
	assert_int_equal(d.waiting, WAIT_FILES);
	assert_int_equal(d.missing_files, 3);
	assert_int_equal(d.missing_bytes, 18000);
	assert_int_equal(rows(t, DB_WAITING), 1);
	fx_publish(f);
	for (unsigned n = 5; n <= 7; n++) {
		struct sha1 digest = fx_sha1(n);
		OK(file_set_stored(fx_begin(f, TXN_CATALOG), &digest, true, &fx_err));
		assert_int_equal(fx_publish(f).flipped, n == 7);
	}
	d = of(fx_begin(f, TXN_READ), id);
	assert_true(d.waiting == 0 && d.missing_files == 0 && d.missing_bytes == 0);
	assert_int_equal(rows(f->t, DB_WAITING), 0);
	fx_assert_sound(f->t);
	txn_end(&f->t);
}

static void a_file_that_goes_holds_the_update_again(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	struct sha1 digest = fx_sha1(5);
	fx_stage(t, (struct fx_revision){.update = 2, .files = {5}});
	int32_t id = fx_stage(t, (struct fx_revision){.update = 1, .members = {{2, 1}}});
	OK(file_set_stored(t, &digest, true, &fx_err));
	install(t, id);
	assert_int_equal(of(t, id).waiting, 0);
	uint32_t epoch = fx_publish(f).epoch;
	OK(file_set_stored(fx_begin(f, TXN_CATALOG), &digest, false, &fx_err));
	assert_true(fx_publish(f).epoch > epoch);
	assert_int_equal(of(fx_begin(f, TXN_READ), id).waiting, WAIT_FILES);
	fx_assert_sound(f->t);
	txn_end(&f->t);
}

static void only_installs_wait_for_files(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	int32_t id = fx_stage(t, (struct fx_revision){.update = 1, .eula = 77, .files = {5}});
	static const unsigned expected[ACT__N] = {[ACT_INSTALL] = WAIT_FILES | WAIT_EULA,
		[ACT_OPTIONAL_INSTALL] = WAIT_FILES | WAIT_EULA};
	for (enum action action = 0; action < ACT__N; action++) {
		OK(try_approve(t, id, GROUP_ALL_COMPUTERS, action));
		assert_int_equal(of(t, id).waiting, expected[action]);
		assert_int_equal(rows(t, DB_WAITING), expected[action] != 0);
	}
	txn_end(&f->t);
}

static void nothing_waits_for_content_at_the_vendor(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	int32_t id = fx_stage(t, (struct fx_revision){.update = 1, .files = {5, 6}, .members = {{2, 3}}});
	install(t, id);
	assert_int_equal(of(t, id).waiting, WAIT_FILES);
	OK(setting_set(t, SL("content.store"), SL("microsoft"), &fx_err));
	fx_publish(f);
	t = fx_begin(f, TXN_CATALOG);
	assert_int_equal(of(t, id).waiting, 0);
	OK(setting_set(t, SL("content.store"), SL("local"), &fx_err));
	struct deployment d = of(t, id);
	assert_true(d.waiting == WAIT_FILES && d.missing_files == 2 && d.missing_bytes == 11000);
	fx_publish(f);
	fx_assert_sound(fx_begin(f, TXN_READ));
	txn_end(&f->t);
}

static void a_missing_member_holds_until_it_and_its_files_are_there(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	struct sha1 digest = fx_sha1(5);
	int32_t id = fx_stage(t, (struct fx_revision){.update = 1, .members = {{2, 3}}});
	install(t, id);
	assert_int_equal(of(t, id).waiting, WAIT_FILES);
	assert_int_equal(of(t, id).missing_files, 0);
	fx_publish(f);
	t = fx_begin(f, TXN_CATALOG);
	fx_stage(t, (struct fx_revision){.update = 2, .number = 3, .files = {5}});
	fx_publish(f);
	assert_int_equal(of(fx_begin(f, TXN_READ), id).missing_files, 1);
	txn_end(&f->t);
	OK(file_set_stored(fx_begin(f, TXN_CATALOG), &digest, true, &fx_err));
	fx_publish(f);
	assert_int_equal(of(fx_begin(f, TXN_READ), id).waiting, 0);
	txn_end(&f->t);
}

/* holds: WUSP-POPULATE-34 */
static void an_install_waits_for_the_eula_of_a_member(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	struct guid eula = fx_guid(77), none = {{0}};
	fx_stage(t, (struct fx_revision){.update = 2, .eula = 77});
	int32_t id = fx_stage(t, (struct fx_revision){.update = 1, .members = {{2, 1}}});
	install(t, id);
	assert_int_equal(of(t, id).waiting, WAIT_EULA);
	fx_publish(f);
	t = fx_begin(f, TXN_CATALOG);
	assert_false(eula_accepted(t, &eula));
	OK(eula_accept(t, &eula, ADMIN, &fx_err));
	assert_true(eula_accepted(t, &eula));
	IS(E_FORM, eula_accept(t, &none, ADMIN, &fx_err));
	assert_int_equal(fx_publish(f).flipped, 1);
	assert_int_equal(of(fx_begin(f, TXN_READ), id).waiting, 0);
	fx_assert_sound(f->t);
	txn_end(&f->t);
}

static void go_live_is_judged_by_the_clock_given(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	struct deployment d = {.id = 1, .group = 1, .revision = fx_stage(t, (struct fx_revision){.update = 1}),
		.action = ACT_UNINSTALL, .go_live = 1000, .admin = SL("")};
	OK(deployment_judge(t, &d, 999, &fx_err));
	assert_int_equal(d.waiting, WAIT_GOLIVE);
	OK(deployment_judge(t, &d, 1000, &fx_err));
	assert_int_equal(d.waiting, 0);
	txn_end(&f->t);
}

/* ---- declining ---- */

static void declining_ends_all_approvals_for_good(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	int32_t one = fx_stage(t, (struct fx_revision){.update = 1, .number = 1});
	int32_t two = fx_stage(t, (struct fx_revision){.update = 1, .number = 2});
	int32_t other = fx_stage(t, (struct fx_revision){.update = 2});
	uint32_t no = fx_update_no(t, 1);
	struct update u;
	install(t, one);
	install(t, other);
	OK(try_approve(t, two, GROUP_UNASSIGNED, ACT_INSTALL));
	fx_publish(f);
	t = fx_begin(f, TXN_CATALOG);
	OK(update_decline(t, no, true, SL("bob"), &fx_err));
	struct deployment d;
	OK(deployment_get(t, GROUP_UNASSIGNED, two, &d));
	assert_true(d.dead && slice_eq(d.admin, SL("bob")) && of(t, one).dead && !of(t, other).dead);
	OK(update_get(t, no, &u, &fx_err));
	assert_true(u.declined && u.declined_at > 0 && slice_eq(u.declined_by, SL("bob")));
	IS(E_REFUSED, try_approve(t, two, 1, ACT_INSTALL));
	assert_non_null(strstr(fx_err.text, "undecline"));
	/* those to come, too */
	int32_t three = fx_stage(t, (struct fx_revision){.update = 1, .number = 3});
	IS(E_REFUSED, try_approve(t, three, 1, ACT_INSTALL));
	fx_publish(f);
	t = fx_begin(f, TXN_CATALOG);
	OK(update_decline(t, no, false, SL("bob"), &fx_err));
	assert_true(of(t, one).dead);
	install(t, three);
	fx_publish(f);
	fx_assert_sound(fx_begin(f, TXN_READ));
	txn_end(&f->t);
}

static void declining_what_is_declined_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	fx_stage(t, (struct fx_revision){.update = 1});
	OK(update_decline(t, fx_update_no(t, 1), true, SL("bob"), &fx_err));
	uint32_t epoch = fx_publish(f).epoch;
	t = fx_begin(f, TXN_CATALOG);
	OK(update_decline(t, fx_update_no(t, 1), true, SL("eve"), &fx_err));
	assert_int_equal(rows(t, DB_PENDING), 0);
	assert_int_equal(fx_publish(f).epoch, epoch);
	IS(E_NOTFOUND, update_decline(fx_begin(f, TXN_CATALOG), 99, true, ADMIN, &fx_err));
	txn_end(&f->t);
}

/* ---- revisions ---- */

/* holds: WUSP-ADM-03 */
static void a_revision_is_found_by_id_and_by_identity(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	int32_t ids[3], found, *all;
	size_t n;
	for (int i = 0; i < 3; i++)
		ids[i] = fx_stage(t, (struct fx_revision){.update = 1, .number = 100 + i});
	int32_t other = fx_stage(t, (struct fx_revision){.update = 2});
	assert_true(ids[0] == 1 && ids[1] == 2 && ids[2] == 3 && other == 4);
	struct guid g = fx_guid(1), unknown = fx_guid(9);
	OK(revision_find(t, &g, 101, &found));
	assert_int_equal(found, ids[1]);
	OK(revision_find(t, &g, 0, &found));
	assert_int_equal(found, ids[2]);
	IS(E_NOTFOUND, revision_find(t, &g, 103, &found));
	IS(E_NOTFOUND, revision_find(t, &unknown, 0, &found));
	OK(revisions_of(t, fx_update_no(t, 1), &all, &n, &fx_err));
	assert_true(n == 3 && all[0] == ids[2] && all[1] == ids[1] && all[2] == ids[0]);
	struct revision r;
	OK(revision_get(t, ids[1], &r, &fx_err));
	assert_true(r.id == ids[1] && r.number == 101 && guid_cmp(&r.update, &g) == 0 && r.type == TYPE_SOFTWARE);
	IS(E_NOTFOUND, revision_get(t, 5, &r, &fx_err));
	txn_end(&f->t);
}

/* holds: WUSP-ADM-08 WUSP-ADM-09 WUSP-ADM-10 */
static void relations_come_back_in_document_order_with_clauses(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	const struct relation prereq[] = {{7, 0, 0, true}, {8, 0, 0, true}, {7, 0, 1, false}};
	const struct relation bundle[] = {{9, 200, 0, false}, {6, 1, 1, false}}, superseded[] = {{5, 0, 0, false}};
	const struct relations v = {prereq, bundle, superseded, 3, 2, 1};
	struct relations back;
	OK(relations_put(t, 1, &v, &fx_err));
	OK(relations_get(t, 1, &back, &fx_err));
	assert_true(back.nprereq == 3 && back.nbundle == 2 && back.nsuperseded == 1);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(back.prereq[i].update_no, prereq[i].update_no);
		assert_int_equal(back.prereq[i].clause, prereq[i].clause);
		assert_int_equal(back.prereq[i].is_category, prereq[i].is_category);
	}
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(back.bundle[i].update_no, bundle[i].update_no);
		assert_int_equal(back.bundle[i].number, bundle[i].number);
		assert_int_equal(back.bundle[i].clause, bundle[i].clause);
	}
	assert_int_equal(back.superseded[0].update_no, 5);
	/* an update that is only named is known by its guid, not by a number of the client's */
	struct guid g = fx_guid(50);
	struct update u;
	uint32_t no, again;
	OK(update_number(t, &g, &no, &fx_err));
	OK(update_number(t, &g, &again, &fx_err));
	assert_int_equal(no, again);
	OK(update_get(t, no, &u, &fx_err));
	assert_true(!u.known && guid_cmp(&u.id, &g) == 0);
	txn_end(&f->t);
}

/* holds: WUSP-ADM-07 */
static void fragments_are_told_apart_by_type_locale_and_region(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	struct frag v;
	struct fragment_key *k;
	size_t n;
	OK(fragment_put(t, 1, FRAG_EULA, SL("en"), SL(""), 0, false, 5, SL("world"), &fx_err));
	OK(fragment_put(t, 1, FRAG_EULA, SL("en"), SL("fra"), 0, false, 6, SL("france"), &fx_err));
	OK(fragment_put(t, 1, FRAG_LOCALIZED, SL("en"), SL(""), 0, false, 4, SL("text"), &fx_err));
	OK(fragment_put(t, 1, FRAG_LOCALIZED, SL("en-gb"), SL(""), 0, false, 3, SL("tea"), &fx_err));
	OK(fragment_get(t, 1, FRAG_EULA, SL("en"), SL("fra"), &v, &fx_err));
	assert_true(v.n == 1 && slice_eq(v.v[0].bytes, SL("france")) && !v.v[0].packed);
	OK(fragment_get(t, 1, FRAG_EULA, SL("en"), SL(""), &v, &fx_err));
	assert_true(slice_eq(v.v[0].bytes, SL("world")));
	OK(fragment_get(t, 1, FRAG_LOCALIZED, SL("en"), SL(""), &v, &fx_err));
	assert_true(slice_eq(v.v[0].bytes, SL("text")));
	IS(E_NOTFOUND, fragment_get(t, 1, FRAG_LOCALIZED, SL("de"), SL(""), &v, &fx_err));
	IS(E_NOTFOUND, fragment_get(t, 2, FRAG_LOCALIZED, SL("en"), SL(""), &v, &fx_err));
	OK(fragment_keys(t, 1, FRAG_EULA, &k, &n, &fx_err));
	assert_true(n == 2 && slice_eq(k[0].geo, SL("")) && slice_eq(k[1].geo, SL("fra")));
	OK(fragment_keys(t, 1, FRAG_LOCALIZED, &k, &n, &fx_err));
	assert_true(n == 2 && slice_eq(k[0].locale, SL("en")) && slice_eq(k[1].locale, SL("en-gb")));
	txn_end(&f->t);
}

static void a_long_fragment_is_the_chain_of_its_chunks(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	static char big[LIMIT_CHUNK];
	struct frag v;
	for (uint16_t i = 0; i < 5; i++) {
		memset(big, 'a' + i, sizeof(big));
		OK(fragment_put(t, 1, FRAG_ORIGINAL, SL(""), SL(""), i, false, sizeof(big), (struct slice){big, sizeof(big)},
			&fx_err));
	}
	OK(fragment_put(t, 1, FRAG_ORIGINAL, SL(""), SL(""), 5, false, 3, SL("end"), &fx_err));
	OK(fragment_get(t, 1, FRAG_ORIGINAL, SL(""), SL(""), &v, &fx_err));
	assert_int_equal(v.n, 6);
	for (size_t i = 0; i < 5; i++)
		assert_true(v.v[i].bytes.n == LIMIT_CHUNK && v.v[i].bytes.p[7] == 'a' + (int)i);
	assert_true(slice_eq(v.v[5].bytes, SL("end")));
	IS(E_LIMIT, fragment_put(t, 1, FRAG_ORIGINAL, SL(""), SL(""), 6, false, 1, SL("x"), &fx_err));
	IS(E_LIMIT, txn_commit(&f->t, &fx_err));
}

/* Text of n bytes that is another for each n. */
static struct slice text_of(char *to, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] = (char)('a' + (n * 7 + i * i / 5) % 26);
	return (struct slice){to, n};
}

/* Sizes about those at which a row fills a page, half of one, or none. */
static void originals_of_all_sizes_come_back_and_fill_their_pages(void **state)
{
	struct fixture *f = *state;
	static char text[FRAGMENT_FULL + 1];
	struct store_stat before, after;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	OK(store_stat(t, &before, &fx_err));
	size_t sizes[600], n = 0, sum = 0;
	for (size_t page = 0; page <= FRAGMENT_FULL; page += 2048)
		for (size_t off = 0; off < 64; off += 4)
			if (page + off >= 32 && page + off - 32 <= FRAGMENT_FULL)
				sizes[n++] = page + off - 32;
	for (size_t i = 0; i < n; i++, sum += sizes[i - 1])
		OK(fragment_put(t, (int32_t)i + 1, FRAG_ORIGINAL, SL(""), SL(""), 0, false, (uint32_t)sizes[i],
			text_of(text, sizes[i]), &fx_err));
	for (size_t i = 0; i < n; i++) {
		struct frag v;
		OK(fragment_get(t, (int32_t)i + 1, FRAG_ORIGINAL, SL(""), SL(""), &v, &fx_err));
		assert_int_equal(v.n, 1);
		assert_true(v.v[0].plain == sizes[i] && slice_eq(v.v[0].bytes, text_of(text, sizes[i])));
	}
	OK(store_stat(t, &after, &fx_err));
	uint64_t used = after.catalog_used - before.catalog_used;
	if (used > sum * 103 / 100)
		fail_msg("%llu bytes of pages for %zu of originals", (unsigned long long)used, sum);
	txn_end(&f->t);
}

static void an_original_with_a_row_missing_is_corrupt(void **state)
{
	struct fixture *f = *state;
	static char text[5000];
	struct frag v;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	OK(fragment_put(t, 1, FRAG_ORIGINAL, SL(""), SL(""), 0, false, sizeof(text), text_of(text, sizeof(text)), &fx_err));
	struct key second = key_u32(1);
	memcpy(second.b + 4, "\5\0\0\0\1", 5);
	second.n = 9;
	OK(db_del(t, DB_FRAGMENT, key_bytes(&second), &fx_err));
	IS(E_CORRUPT, fragment_get(t, 1, FRAG_ORIGINAL, SL(""), SL(""), &v, &fx_err));
	OK(db_put(t, DB_FRAGMENT, key_bytes(&second), SL("far too little"), &fx_err));
	IS(E_CORRUPT, fragment_get(t, 1, FRAG_ORIGINAL, SL(""), SL(""), &v, &fx_err));
	txn_end(&f->t);
}

static void a_wiped_revision_leaves_nothing_but_numbers(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	int32_t kept = fx_stage(t, (struct fx_revision){.update = 1, .files = {1}});
	fx_publish(f);
	t = fx_begin(f, TXN_CATALOG);
	int32_t gone = fx_stage(t, (struct fx_revision){.update = 2, .files = {1, 2}, .prereq = {1}});
	IS(E_REFUSED, revision_wipe(t, kept, &fx_err));
	OK(revision_wipe(t, gone, &fx_err));
	struct guid g = fx_guid(2);
	struct update u;
	int32_t id;
	IS(E_NOTFOUND, revision_find(t, &g, 1, &id));
	OK(update_get(t, fx_update_no(t, 2), &u, &fx_err));
	assert_false(u.known);
	assert_int_equal(rows(t, DB_FILE), 1);
	assert_int_equal(rows(t, DB_FILE_REV), 1);
	fx_publish(f);
	fx_assert_sound(fx_begin(f, TXN_READ));
	txn_end(&f->t);
}

static void a_title_is_cut_between_characters(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	static char title[3000], kb[3000];
	struct revision r, back;
	for (size_t i = 0; i + 2 < sizeof(title); i += 3)
		memcpy(title + i, "\xE2\x82\xAC", 3);
	memset(kb, '1', sizeof(kb));
	OK(revision_get(t, fx_stage(t, (struct fx_revision){.update = 1}), &r, &fx_err));
	r.title = (struct slice){title, sizeof(title)};
	r.kb = (struct slice){kb, sizeof(kb)};
	OK(revision_put(t, &r, &fx_err));
	OK(revision_get(t, r.id, &back, &fx_err));
	assert_in_range(back.title.n, 900, 1000);
	assert_int_equal(back.title.n % 3, 0);
	struct slice v;
	struct key k = key_u32((uint32_t)r.id);
	OK(db_get(t, DB_REVISION, key_bytes(&k), &v));
	assert_true(v.n < 2000);
	txn_end(&f->t);
}

#define T(test) cmocka_unit_test_setup_teardown(test, fx_setup, fx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_approval_keeps_every_field),
		T(another_action_replaces_the_one_deployment_of_revision_and_group),
		T(the_time_of_last_change_moves_with_each_change_only),
		T(the_time_of_last_change_does_not_hang_on_the_clock),
		T(an_id_is_kept_through_removal_and_renewal),
		T(approving_another_revision_moves_the_approval),
		T(nonsense_is_refused),
		T(an_install_waits_for_each_missing_file_once),
		T(a_file_that_goes_holds_the_update_again),
		T(only_installs_wait_for_files),
		T(nothing_waits_for_content_at_the_vendor),
		T(a_missing_member_holds_until_it_and_its_files_are_there),
		T(an_install_waits_for_the_eula_of_a_member),
		T(go_live_is_judged_by_the_clock_given),
		T(declining_ends_all_approvals_for_good),
		T(declining_what_is_declined_changes_nothing),
		T(a_revision_is_found_by_id_and_by_identity),
		T(relations_come_back_in_document_order_with_clauses),
		T(fragments_are_told_apart_by_type_locale_and_region),
		T(a_long_fragment_is_the_chain_of_its_chunks),
		T(originals_of_all_sizes_come_back_and_fill_their_pages),
		T(an_original_with_a_row_missing_is_corrupt),
		T(a_wiped_revision_leaves_nothing_but_numbers),
		T(a_title_is_cut_between_characters),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
