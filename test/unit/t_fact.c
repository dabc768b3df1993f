/* t_fact.c -- what policy makes of updates, and the counters of the server: each with a case that only it sees. */
#include "store/fact.h"
#include "store/parent.h"
#include "store/report.h"
#include "test/unit/store_fixture.h"

static int32_t add_with(struct fixture *f, struct fx_revision r, uint32_t flags, enum update_type type)
{
	struct revision v;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	int32_t id = fx_stage(t, r);
	OK(revision_get(t, id, &v, &fx_err));
	v.flags |= flags;
	v.type = type;
	OK(revision_put(t, &v, &fx_err));
	fx_publish(f);
	return id;
}

static int32_t add(struct fixture *f, struct fx_revision r)
{
	return add_with(f, r, 0, TYPE_SOFTWARE);
}

static void approve_as(struct fixture *f, int32_t revision, enum action action)
{
	struct approval a = {.revision = revision, .group = GROUP_ALL_COMPUTERS, .action = action, .admin = ADMIN};
	OK(approve(fx_begin(f, TXN_CATALOG), &a, &fx_err));
	fx_publish(f);
}

static void unapprove_it(struct fixture *f, unsigned update)
{
	struct txn *t = fx_begin(f, TXN_CATALOG);
	OK(unapprove(t, fx_update_no(t, update), GROUP_ALL_COMPUTERS, ADMIN, &fx_err));
	fx_publish(f);
}

static void decline(struct fixture *f, unsigned update, bool on)
{
	struct txn *t = fx_begin(f, TXN_CATALOG);
	OK(update_decline(t, fx_update_no(t, update), on, ADMIN, &fx_err));
	fx_publish(f);
}

static void set(struct fixture *f, const char *name, const char *value)
{
	OK(setting_set(fx_begin(f, TXN_CATALOG), slice_of(name), slice_of(value), &fx_err));
	fx_publish(f);
}

static void here(struct fixture *f, unsigned file, bool stored)
{
	struct sha1 d = fx_sha1(file);
	OK(file_set_stored(fx_begin(f, TXN_CATALOG), &d, stored, &fx_err));
	fx_publish(f);
}

static void fetched(struct fixture *f, unsigned file, enum fetch_state state)
{
	struct fetch v = {.digest = fx_sha1(file), .state = state, .tries = 1, .at = FIXTURE_NOW, .next = FIXTURE_NOW, .why = SL("no")};
	OK(fetch_put(fx_begin(f, TXN_CATALOG), &v, &fx_err));
	fx_publish(f);
}

/* The counters that are not 0, in order, as "UpdateCount 2, DeclinedUpdateCount 1"; and the audit agrees. */
static void assert_counts(struct fixture *f, const char *want)
{
	uint32_t n[SERVER_COUNT__N];
	char text[1024] = "";
	struct txn *t = fx_begin(f, TXN_READ);
	OK(server_counts(t, n, &fx_err));
	for (int c = 0; c < SERVER_COUNT__N; c++)
		if (n[c])
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s %u", text[0] ? ", " : "", server_count_names[c], n[c]);
	assert_string_equal(text, want);
	fx_assert_sound(t);
	txn_end(&f->t);
}

#define ONE_NOT_APPROVED "UpdateCount 1, NotApprovedUpdateCount 1, UpdatesUpToDateCount 1"
#define ONE_APPROVED "UpdateCount 1, ApprovedUpdateCount 1, UpdatesUpToDateCount 1"

/* holds: WSUSSS-DSS-ROLLUP-08 */
static void what_can_be_approved_counts_once_whatever_its_revisions(void **state)
{
	struct fixture *f = *state;
	struct txn *t;
	assert_counts(f, "");
	add(f, (struct fx_revision){.update = 1});
	add(f, (struct fx_revision){.update = 1, .number = 2});
	assert_counts(f, ONE_NOT_APPROVED);
	add_with(f, (struct fx_revision){.update = 2}, 0, TYPE_CATEGORY);
	add_with(f, (struct fx_revision){.update = 3}, 0, TYPE_DETECTOID);
	assert_counts(f, ONE_NOT_APPROVED);
	add_with(f, (struct fx_revision){.update = 4}, 0, TYPE_DRIVER);
	assert_counts(f, "UpdateCount 2, NotApprovedUpdateCount 2, UpdatesUpToDateCount 2");
	uint32_t facts;
	t = fx_begin(f, TXN_READ);
	IS(E_OK, fact_get(t, fx_update_no(t, 1), &facts));
	assert_int_equal(facts, FACT_UPDATE);
	IS(E_OK, fact_get(t, fx_update_no(t, 2), &facts));
	assert_int_equal(facts, 0);
	IS(E_NOTFOUND, fact_get(t, 0, &facts));
	IS(E_NOTFOUND, fact_get(t, 1000, &facts));
	txn_end(&f->t);
}

static void what_only_bundles_bring_does_not_count(void **state)
{
	struct fixture *f = *state;
	struct revision v;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	int32_t id = fx_stage(t, (struct fx_revision){.update = 2});
	OK(revision_get(t, id, &v, &fx_err));
	v.flags &= ~REV_EXPLICIT;
	OK(revision_put(t, &v, &fx_err));
	fx_stage(t, (struct fx_revision){.update = 1, .members = {{2, 1}}});
	fx_publish(f);
	assert_counts(f, ONE_NOT_APPROVED);
}

/* holds: WSUSSS-DSS-ROLLUP-09 */
static void declined_updates_are_counted_as_such_alone(void **state)
{
	struct fixture *f = *state;
	approve_as(f, add(f, (struct fx_revision){.update = 1}), ACT_INSTALL);
	decline(f, 1, true);
	assert_counts(f, "UpdateCount 1, DeclinedUpdateCount 1");
	add(f, (struct fx_revision){.update = 1, .number = 2}); /* those to come, too */
	assert_counts(f, "UpdateCount 1, DeclinedUpdateCount 1");
	decline(f, 1, false);
	assert_counts(f, ONE_NOT_APPROVED);
}

/* holds: WSUSSS-DSS-ROLLUP-10 WSUSSS-DSS-ROLLUP-11 */
static void installing_and_uninstalling_are_approvals_and_nothing_else_is(void **state)
{
	struct fixture *f = *state;
	static const struct {
		enum action action;
		const char *counts;
	} table[] = {{ACT_BLOCK, ONE_NOT_APPROVED}, {ACT_INSTALL, ONE_APPROVED}, {ACT_PREDEPLOYMENT_CHECK, ONE_NOT_APPROVED},
		{ACT_UNINSTALL, ONE_APPROVED}, {ACT_OPTIONAL_INSTALL, ONE_APPROVED}};
	int32_t id = add(f, (struct fx_revision){.update = 1});
	for (size_t i = 0; i < COUNTOF(table); i++) {
		approve_as(f, id, table[i].action);
		assert_counts(f, table[i].counts);
	}
	unapprove_it(f, 1);
	assert_counts(f, ONE_NOT_APPROVED);
}

/* An approval is one though it waits for its files: that is what UpdatesNeedingFilesCount says. */
static void an_approval_that_waits_is_an_approval(void **state)
{
	struct fixture *f = *state;
	int32_t id = add(f, (struct fx_revision){.update = 1, .files = {1}});
	assert_counts(f, ONE_NOT_APPROVED);
	approve_as(f, id, ACT_INSTALL);
	assert_counts(f, "UpdateCount 1, ApprovedUpdateCount 1, UpdatesNeedingFilesCount 1, UpdatesUpToDateCount 1");
	here(f, 1, true);
	assert_counts(f, ONE_APPROVED);
	here(f, 1, false);
	assert_counts(f, "UpdateCount 1, ApprovedUpdateCount 1, UpdatesNeedingFilesCount 1, UpdatesUpToDateCount 1");
	set(f, "content.store", "microsoft");
	assert_counts(f, ONE_APPROVED);
}

/* holds: WSUSSS-DSS-ROLLUP-12 */
static void an_approval_of_an_older_revision_is_stale(void **state)
{
	struct fixture *f = *state;
	approve_as(f, add(f, (struct fx_revision){.update = 1}), ACT_INSTALL);
	int32_t newer = add(f, (struct fx_revision){.update = 1, .number = 2});
	assert_counts(f, "UpdateCount 1, ApprovedUpdateCount 1, UpdatesWithStaleUpdateApprovalsCount 1, UpdatesUpToDateCount 1");
	approve_as(f, newer, ACT_INSTALL);
	assert_counts(f, ONE_APPROVED);
}

/* holds: WSUSSS-DSS-ROLLUP-15 */
static void what_has_expired_counts_unless_it_is_deployed(void **state)
{
	struct fixture *f = *state;
	add(f, (struct fx_revision){.update = 1});
	int32_t id = add_with(f, (struct fx_revision){.update = 1, .number = 2}, REV_EXPIRED, TYPE_SOFTWARE);
	assert_counts(f, "UpdateCount 1, NotApprovedUpdateCount 1, ExpiredUpdateCount 1, UpdatesUpToDateCount 1");
	approve_as(f, id, ACT_BLOCK);
	assert_counts(f, ONE_NOT_APPROVED);
	unapprove_it(f, 1);
	add(f, (struct fx_revision){.update = 1, .number = 3}); /* the highest one decides */
	assert_counts(f, ONE_NOT_APPROVED);
}

static void name_category(struct fixture *f, int32_t id, const char *category)
{
	struct guid g;
	struct relation r = {.is_category = true};
	struct relations v = {.prereq = &r, .nprereq = 1};
	assert_true(text_guid(slice_of(category), &g));
	OK(update_number(f->t, &g, &r.update_no, &fx_err));
	OK(relations_put(f->t, id, &v, &fx_err));
}

/* holds: WSUSSS-DSS-ROLLUP-13 */
static void critical_and_security_updates_count_until_they_are_to_be_installed(void **state)
{
	struct fixture *f = *state;
	static const char *const classification[] = {"e6cf1350-c01b-414d-a61f-263d14d133b4", "0fa1201d-4330-4fa8-8ae9-b877473b6441",
		"cd5ffd1e-e932-4e3a-bf74-18bf0b1bbd83"};
	int32_t id[3];
	for (unsigned i = 0; i < 3; i++) {
		id[i] = fx_stage(fx_begin(f, TXN_CATALOG), (struct fx_revision){.update = i + 1});
		name_category(f, id[i], classification[i]);
		fx_publish(f);
	}
	assert_counts(f, "UpdateCount 3, NotApprovedUpdateCount 3, CriticalOrSecurityUpdatesNotApprovedForInstallCount 2, "
		"UpdatesUpToDateCount 3");
	approve_as(f, id[0], ACT_UNINSTALL);
	assert_counts(f, "UpdateCount 3, ApprovedUpdateCount 1, NotApprovedUpdateCount 2, "
		"CriticalOrSecurityUpdatesNotApprovedForInstallCount 2, UpdatesUpToDateCount 3");
	approve_as(f, id[0], ACT_INSTALL);
	decline(f, 2, true);
	assert_counts(f, "UpdateCount 3, DeclinedUpdateCount 1, ApprovedUpdateCount 1, NotApprovedUpdateCount 1, UpdatesUpToDateCount 2");
}

/* holds: WSUSSS-DSS-ROLLUP-14 */
static void what_computers_need_for_updates_counts_until_it_is_to_be_installed(void **state)
{
	struct fixture *f = *state;
	int32_t id = add_with(f, (struct fx_revision){.update = 1}, REV_INFRASTRUCTURE, TYPE_SOFTWARE);
	assert_counts(f, "UpdateCount 1, NotApprovedUpdateCount 1, WsusInfrastructureUpdatesNotApprovedForInstallCount 1, "
		"UpdatesUpToDateCount 1");
	approve_as(f, id, ACT_OPTIONAL_INSTALL);
	assert_counts(f, ONE_APPROVED);
}

/* holds: WSUSSS-DSS-ROLLUP-18 */
static void files_that_cannot_be_fetched_count_for_the_bundles_above_them(void **state)
{
	struct fixture *f = *state;
	add_with(f, (struct fx_revision){.update = 3, .files = {5}}, 0, TYPE_DETECTOID);
	add_with(f, (struct fx_revision){.update = 2, .members = {{3, 1}}}, 0, TYPE_DETECTOID);
	add(f, (struct fx_revision){.update = 1, .members = {{2, 1}}});
	fetched(f, 5, FETCH_LOADING);
	assert_counts(f, ONE_NOT_APPROVED);
	fetched(f, 5, FETCH_FAILED);
	assert_counts(f, "UpdateCount 1, NotApprovedUpdateCount 1, UpdatesWithServerErrorsCount 1, UpdatesUpToDateCount 1");
	here(f, 5, true);
	assert_counts(f, ONE_NOT_APPROVED);
	here(f, 5, false);
	struct sha1 d = fx_sha1(5);
	OK(fetch_del(fx_begin(f, TXN_CATALOG), &d, &fx_err));
	fx_publish(f);
	assert_counts(f, ONE_NOT_APPROVED);
	fetched(f, 5, FETCH_FAILED);
	OK(parent_forget(fx_begin(f, TXN_CATALOG), &fx_err));
	fx_publish(f);
	assert_counts(f, ONE_NOT_APPROVED);
}

static void all_files_are_needed_where_all_are_kept(void **state)
{
	struct fixture *f = *state;
	add(f, (struct fx_revision){.update = 1, .files = {1, 2}});
	set(f, "content.download", "all");
	assert_counts(f, "UpdateCount 1, NotApprovedUpdateCount 1, UpdatesNeedingFilesCount 1, UpdatesUpToDateCount 1");
	here(f, 1, true);
	assert_counts(f, "UpdateCount 1, NotApprovedUpdateCount 1, UpdatesNeedingFilesCount 1, UpdatesUpToDateCount 1");
	here(f, 2, true);
	assert_counts(f, ONE_NOT_APPROVED);
	struct sha1 gone = fx_sha1(2);
	OK(files_withdraw(fx_begin(f, TXN_CATALOG), &gone, 1, &fx_err));
	fx_publish(f);
	assert_counts(f, "UpdateCount 1, NotApprovedUpdateCount 1, UpdatesNeedingFilesCount 1, UpdatesUpToDateCount 1");
	set(f, "content.download", "approved");
	assert_counts(f, ONE_NOT_APPROVED);
}

/* holds: WSUSSS-DSS-ROLLUP-16 */
static void groups_that_somebody_made_count(void **state)
{
	struct fixture *f = *state;
	uint32_t no;
	OK(group_create(fx_begin(f, TXN_CATALOG), SL("Office"), 0, &no, &fx_err));
	fx_publish(f);
	assert_counts(f, "CustomComputerTargetGroupCount 1");
	OK(group_delete(fx_begin(f, TXN_CATALOG), no, &fx_err));
	fx_publish(f);
	assert_counts(f, "");
}

/* ---- with computers ---- */

static void come(struct fixture *f, const char *id)
{
	struct computer c = {.id = slice_of(id), .dns_name = slice_of(id), .requested_groups = SL(""), .address = SL("10.0.0.1"),
		.last_seen = FIXTURE_NOW, .major = 1, .minor = 8};
	OK(computer_contact(fx_begin(f, TXN_FLEET), &c, &fx_err));
	fx_commit(f);
}

/* 156 with these updates needed and installed, and 182 of one. */
static void report(struct fixture *f, const char *id, unsigned need, unsigned have, unsigned failed)
{
	static uint32_t serial;
	char text[2][2 + GUID_TEXT + 1], guid[GUID_TEXT + 1];
	struct slice list[2];
	size_t n = 0;
	const unsigned which[2] = {need, have};
	for (size_t i = 0; i < 2; i++) {
		if (!which[i])
			continue;
		struct guid g = fx_guid(which[i]);
		guid_text(&g, guid);
		list[n++] = (struct slice){text[i], (size_t)snprintf(text[i], sizeof(text[i]), "%c=%s", "UV"[i], guid)};
	}
	struct report_event event[2] = {
		{.instance = fx_guid(5000 + serial), .at = FIXTURE_NOW, .name_space = 1, .id = 156, .source = 101, .misc = list, .nmisc = n},
		{.instance = fx_guid(6000 + serial), .at = FIXTURE_NOW + 1, .name_space = 1, .id = 182, .source = 101, .update = fx_guid(failed),
			.revision = 1, .hresult = -1}};
	struct report r = {.computer = slice_of(id), .client_time = FIXTURE_NOW + serial, .now = FIXTURE_NOW + serial, .event = event,
		.n = failed ? 2 : 1};
	struct report_outcome out;
	event[0].at += serial;
	event[1].at += serial;
	serial++;
	OK(report_take(fx_begin(f, TXN_FLEET), &r, &out, &fx_err));
	fx_commit(f);
}

/* holds: WSUSSS-DSS-ROLLUP-17 WSUSSS-DSS-ROLLUP-19 WSUSSS-DSS-ROLLUP-20 WSUSSS-DSS-ROLLUP-21 WSUSSS-DSS-ROLLUP-22
 * WSUSSS-DSS-ROLLUP-23 */
static void computers_count_by_what_they_reported(void **state)
{
	struct fixture *f = *state;
	for (unsigned i = 1; i <= 3; i++)
		add(f, (struct fx_revision){.update = i});
	come(f, "a");
	assert_counts(f, "UpdateCount 3, NotApprovedUpdateCount 3, UpdatesUpToDateCount 3, ComputerTargetCount 1");
	report(f, "a", 0, 1, 0);
	assert_counts(f, "UpdateCount 3, NotApprovedUpdateCount 3, UpdatesUpToDateCount 3, ComputerTargetCount 1, ComputersUpToDateCount 1");
	report(f, "a", 2, 1, 0);
	assert_counts(f, "UpdateCount 3, NotApprovedUpdateCount 3, UpdatesNeededByComputersCount 1, UpdatesUpToDateCount 2, "
		"ComputerTargetCount 1, ComputerTargetsNeedingUpdatesCount 1");
	report(f, "a", 2, 1, 2);
	assert_counts(f, "UpdateCount 3, NotApprovedUpdateCount 3, UpdatesWithClientErrorsCount 1, UpdatesNeededByComputersCount 1, "
		"UpdatesUpToDateCount 2, ComputerTargetCount 1, ComputerTargetsWithUpdateErrorsCount 1");
	decline(f, 2, true); /* nobody waits for it any more, and the computers say so with their next reports */
	assert_counts(f, "UpdateCount 3, DeclinedUpdateCount 1, NotApprovedUpdateCount 2, UpdatesUpToDateCount 2, ComputerTargetCount 1, "
		"ComputerTargetsWithUpdateErrorsCount 1");
}

/* ---- the audit, old stores, memory ---- */

static void what_is_wrong_is_found(void **state)
{
	struct fixture *f = *state;
	add(f, (struct fx_revision){.update = 1});
	uint16_t block[1000] = {0};
	struct txn *t = fx_begin(f, TXN_CATALOG);
	OK(array_put(t, ARRAY_FACT, 0, block, sizeof(block), NULL, &fx_err));
	fx_commit(f);
	struct fx_findings found = fx_audit(fx_begin(f, TXN_READ));
	assert_string_equal(found.text, "update 1: its facts are 0, not 0x1\n");
	txn_end(&f->t);
	t = fx_begin(f, TXN_CATALOG);
	OK(array_put(t, ARRAY_FACT, 0, block, 7, NULL, &fx_err));
	fx_commit(f);
	found = fx_audit(fx_begin(f, TXN_READ));
	assert_string_equal(found.text, "the facts of updates 0 to 1 cannot be read\nupdate 1: its facts are 0, not 0x1\n");
	uint32_t facts;
	IS(E_CORRUPT, fact_get(f->t, 1, &facts));
	txn_end(&f->t);
	t = fx_begin(f, TXN_CATALOG);
	OK(array_put(t, ARRAY_FACT, 0, "", 0, NULL, &fx_err));
	OK(db_put(t, DB_META, SL("facts"), SL("\1too short"), &fx_err));
	uint32_t n[SERVER_COUNT__N];
	IS(E_CORRUPT, server_counts(t, n, &fx_err));
	OK(db_del(t, DB_META, SL("facts"), &fx_err));
	OK(publish_fact(t, 0, &fx_err)); /* and all of it is made anew */
	fx_publish(f);
	assert_counts(f, ONE_NOT_APPROVED);
}

static int note_fact(uint32_t no, uint32_t facts, void *arg)
{
	uint32_t *sum = arg;
	sum[0] += 1;
	sum[1] += no;
	return facts == FACT_UPDATE ? 0 : E_CORRUPT;
}

static void thousands_of_updates_lie_in_several_blocks(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	for (unsigned i = 1; i <= 2500; i++)
		fx_stage(t, (struct fx_revision){.update = i});
	fx_publish(f);
	assert_counts(f, "UpdateCount 2500, NotApprovedUpdateCount 2500, UpdatesUpToDateCount 2500");
	uint32_t sum[2] = {0};
	OK(fact_each(fx_begin(f, TXN_READ), note_fact, sum, &fx_err));
	assert_int_equal(sum[0], 2500);
	assert_int_equal(sum[1], 2500 * 2501 / 2);
	txn_end(&f->t);
	decline(f, 1700, true);
	assert_counts(f, "UpdateCount 2500, DeclinedUpdateCount 1, NotApprovedUpdateCount 2499, UpdatesUpToDateCount 2499");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fx_setup, fx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_can_be_approved_counts_once_whatever_its_revisions),
		TEST(what_only_bundles_bring_does_not_count),
		TEST(declined_updates_are_counted_as_such_alone),
		TEST(installing_and_uninstalling_are_approvals_and_nothing_else_is),
		TEST(an_approval_that_waits_is_an_approval),
		TEST(an_approval_of_an_older_revision_is_stale),
		TEST(what_has_expired_counts_unless_it_is_deployed),
		TEST(critical_and_security_updates_count_until_they_are_to_be_installed),
		TEST(what_computers_need_for_updates_counts_until_it_is_to_be_installed),
		TEST(files_that_cannot_be_fetched_count_for_the_bundles_above_them),
		TEST(all_files_are_needed_where_all_are_kept),
		TEST(groups_that_somebody_made_count),
		TEST(computers_count_by_what_they_reported),
		TEST(what_is_wrong_is_found),
		TEST(thousands_of_updates_lie_in_several_blocks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
