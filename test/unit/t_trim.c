/* t_trim.c -- what a first synchronization declines again: which updates, by which word, and that it can be taken back. */
#include "store/replica.h"
#include "store/trim.h"
#include "test/unit/store_fixture.h"

struct doc {
	unsigned update;
	const char *title;
	unsigned flags; /* beside REV_EXPLICIT */
	bool part;      /* cannot be approved by itself */
	unsigned superseded[4];
	struct fx_member members[4];
	unsigned prereq[4];
	int32_t number;
	enum update_type type;
};

static int32_t stage(struct txn *t, struct doc d)
{
	struct fx_revision r = {.update = d.update, .number = d.number};
	struct revision v;
	struct relations rel;
	struct relation superseded[4];
	memcpy(r.members, d.members, sizeof(r.members));
	memcpy(r.prereq, d.prereq, sizeof(r.prereq));
	int32_t id = fx_stage(t, r);
	OK(revision_get(t, id, &v, &fx_err));
	OK(relations_get(t, id, &rel, &fx_err));
	v.title = slice_of(d.title ? d.title : "An update");
	v.kb = v.severity = SL("");
	v.language = SL("en");
	v.flags |= d.flags;
	v.type = d.type;
	if (d.part || d.type > TYPE_DRIVER)
		v.flags &= ~REV_EXPLICIT;
	OK(revision_put(t, &v, &fx_err));
	rel.superseded = superseded;
	for (; rel.nsuperseded < 4 && d.superseded[rel.nsuperseded]; rel.nsuperseded++) {
		struct guid g = fx_guid(d.superseded[rel.nsuperseded]);
		superseded[rel.nsuperseded] = (struct relation){0};
		OK(update_number(t, &g, &superseded[rel.nsuperseded].update_no, &fx_err));
	}
	OK(relations_put(t, id, &rel, &fx_err));
	return id;
}

#define STAGE(f, ...) \
	do { \
		const struct doc docs[] = {__VA_ARGS__}; \
		struct txn *t_ = fx_begin((f), TXN_CATALOG); \
		for (size_t i_ = 0; i_ < COUNTOF(docs); i_++) \
			stage(t_, docs[i_]); \
		fx_publish(f); \
	} while (0)

static struct update update(struct txn *t, unsigned n)
{
	struct guid g = fx_guid(n);
	struct update u;
	uint32_t no;
	OK(update_find(t, &g, &no));
	OK(update_get(t, no, &u, &fx_err));
	return u;
}

/* "2:superseded 5:preview": what is declined, and by which word. */
static const char *declined(struct fixture *f)
{
	static char text[256];
	size_t n = 0;
	struct txn *t = fx_begin(f, TXN_READ);
	text[0] = 0;
	for (unsigned i = 1; i < 20; i++) {
		struct guid g = fx_guid(i);
		struct update u;
		uint32_t no;
		if (update_find(t, &g, &no) != E_OK)
			continue;
		OK(update_get(t, no, &u, &fx_err));
		struct slice by = u.declined_by;
		if (text_starts(by, SL("trim:")))
			by = (struct slice){by.p + 5, by.n - 5};
		if (u.declined)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%u:%.*s", n ? " " : "", i, SLF(by));
	}
	fx_assert_sound(t);
	txn_end(&f->t);
	return text;
}

static struct trim_report trim(struct fixture *f, const char *text, bool dry)
{
	struct trim_report r;
	unsigned words;
	assert_true(trim_read(slice_of(text), &words));
	OK(trim_apply(fx_begin(f, TXN_CATALOG), words, dry, &r, &fx_err));
	fx_publish(f);
	return r;
}

static struct trim_report undo(struct fixture *f, const char *text, bool dry)
{
	struct trim_report r;
	unsigned words;
	assert_true(trim_read(slice_of(text), &words));
	OK(trim_undo(fx_begin(f, TXN_CATALOG), words, dry, &r, &fx_err));
	fx_publish(f);
	return r;
}

static void decline(struct fixture *f, unsigned n, bool on, const char *by)
{
	struct txn *t = fx_begin(f, TXN_CATALOG);
	OK(update_decline(t, update(t, n).no, on, slice_of(by), &fx_err));
	fx_publish(f);
}

static void install(struct fixture *f, unsigned n, int32_t number)
{
	struct txn *t = fx_begin(f, TXN_CATALOG);
	struct guid g = fx_guid(n);
	struct approval a = {.group = GROUP_ALL_COMPUTERS, .action = ACT_INSTALL, .assigned = true, .admin = ADMIN};
	OK(revision_find(t, &g, number, &a.revision));
	OK(approve(t, &a, &fx_err));
	fx_publish(f);
}

static void words_are_those_of_the_setting_and_of_the_record(void **state)
{
	unsigned words;
	(void)state;
	assert_true(trim_read(SL(""), &words) && words == 0);
	assert_true(trim_read(SL("expired superseded preview x86 x64 arm64 itanium"), &words) && words == TRIM_EVERY);
	assert_true(trim_read(SL("itanium  expired"), &words) && words == (TRIM_ITANIUM | TRIM_EXPIRED));
	assert_false(trim_read(SL("Expired"), &words));
	assert_false(trim_read(SL("expired,preview"), &words));
}

static void an_empty_store_has_nothing_to_decline(void **state)
{
	struct fixture *f = *state;
	struct trim_report r = trim(f, "expired superseded preview x86 x64 arm64 itanium", false);
	assert_int_equal(r.updates, 0);
	assert_string_equal(declined(f), "");
}

static void each_word_declines_what_fits_and_the_first_one_is_noted(void **state)
{
	struct fixture *f = *state;
	STAGE(f, {.update = 1, .title = "2026-10 Cumulative Update for Windows 11 for x64-based Systems", .superseded = {2}},
		{.update = 2, .title = "2026-09 Cumulative Update Preview for Windows 11 for x64-based Systems"},
		{.update = 3, .title = "An old driver", .flags = REV_EXPIRED, .type = TYPE_DRIVER, .superseded = {1}},
		{.update = 4, .title = "2026-10 Preview of Quality Rollup for x86-based Systems"},
		{.update = 5, .title = "Security Update for Windows 7 (x86)"}, {.update = 6, .title = "Update for ARM64-based Systems"},
		{.update = 7, .title = "Security Update for Itanium-based 64-bit Systems"},
		{.update = 8, .title = "Office 2016 32-Bit Edition"}, {.update = 9, .title = "Previewer for fix64 and armx86"},
		{.update = 10, .type = TYPE_CATEGORY, .title = "Windows Preview x86"},
		{.update = 11, .type = TYPE_DETECTOID, .title = "Is x86", .flags = REV_EXPIRED},
		{.update = 12, .title = "Part for x86", .part = true});
	struct trim_report r = trim(f, "expired superseded preview x86 arm64 itanium", true);
	assert_string_equal(declined(f), "");
	assert_int_equal(r.updates, 9);
	const uint32_t expected[TRIM_WORDS] = {1, 1, 1, 2, 0, 1, 1};
	assert_memory_equal(r.trimmed, expected, sizeof(expected));
	r = trim(f, "expired superseded preview x86 arm64 itanium", false);
	assert_memory_equal(r.trimmed, expected, sizeof(expected));
	assert_string_equal(declined(f), "2:superseded 3:expired 4:preview 5:x86 6:arm64 7:itanium 8:x86");
	struct revision v;
	OK(revision_get(fx_begin(f, TXN_READ), r.example[3][1], &v, &fx_err));
	assert_true(slice_eq(v.title, SL("Office 2016 32-Bit Edition")));
	txn_end(&f->t);
}

static void a_title_with_several_architectures_needs_them_all(void **state)
{
	struct fixture *f = *state;
	STAGE(f, {.update = 1, .title = "Update for x86 and x64"}, {.update = 2, .title = "Office 64-Bit Edition"},
		{.update = 3, .title = "Update for AMD64"}, {.update = 4, .title = "Update for IA64 (64-bit)"});
	trim(f, "x86", false);
	assert_string_equal(declined(f), "");
	trim(f, "x64", false);
	assert_string_equal(declined(f), "2:x64 3:x64");
	trim(f, "x86 x64", false);
	assert_string_equal(declined(f), "1:x86 2:x64 3:x64");
}

static void superseded_goes_down_a_chain_whose_end_stays(void **state)
{
	struct fixture *f = *state;
	STAGE(f, {.update = 1}, {.update = 2, .superseded = {1}}, {.update = 3, .superseded = {2}}, {.update = 4, .superseded = {3, 3, 4}},
		{.update = 5}, {.update = 6, .superseded = {5}, .flags = REV_EXPIRED}, {.update = 7, .superseded = {6}});
	trim(f, "superseded", false);
	assert_string_equal(declined(f), "1:superseded 2:superseded 3:superseded 6:superseded");
	/* again, with one more below what was declined, changes nothing but that one */
	STAGE(f, {.update = 8}, {.update = 2, .number = 2, .superseded = {1, 8}});
	struct trim_report r = trim(f, "superseded", false);
	assert_int_equal(r.trimmed[1], 1);
	assert_string_equal(declined(f), "1:superseded 2:superseded 3:superseded 6:superseded 8:superseded");
}

static void what_an_administrator_declined_or_what_goes_itself_supersedes_nothing(void **state)
{
	struct fixture *f = *state;
	STAGE(f, {.update = 1}, {.update = 2, .superseded = {1}}, {.update = 3}, {.update = 4, .superseded = {3}, .title = "A Preview"},
		{.update = 5}, {.update = 6, .superseded = {5}, .part = true}, {.update = 7}, {.update = 8, .superseded = {7}, .members = {{19, 1}}});
	decline(f, 2, true, "eva");
	trim(f, "superseded preview", false);
	assert_string_equal(declined(f), "2:eva 4:preview");
	/* the member that 8 lacked comes: now it is offered */
	STAGE(f, {.update = 19, .part = true});
	trim(f, "superseded preview", false);
	assert_string_equal(declined(f), "2:eva 4:preview 7:superseded");
	trim(f, "superseded", false);
	assert_string_equal(declined(f), "2:eva 4:preview 7:superseded");
}

static void updates_that_supersede_each_other_stay_unless_another_covers_them(void **state)
{
	struct fixture *f = *state;
	STAGE(f, {.update = 1, .superseded = {2}}, {.update = 2, .superseded = {3}}, {.update = 3, .superseded = {1}},
		{.update = 4, .superseded = {5, 6}}, {.update = 5, .superseded = {4}}, {.update = 6}, {.update = 7, .superseded = {5}});
	trim(f, "superseded", false);
	assert_string_equal(declined(f), "4:superseded 5:superseded 6:superseded");
}

static void only_the_highest_revision_that_is_shown_counts(void **state)
{
	struct fixture *f = *state;
	STAGE(f, {.update = 1}, {.update = 2, .superseded = {1}}, {.update = 2, .number = 2},
		{.update = 3, .flags = REV_EXPIRED}, {.update = 3, .number = 2}, {.update = 4, .title = "Preview", .number = 2},
		{.update = 4, .number = 3, .title = "Preview no more than", .members = {{18, 1}}});
	trim(f, "superseded expired preview", false);
	assert_string_equal(declined(f), "4:preview");
}

static void approved_updates_and_what_they_contain_or_require_stay(void **state)
{
	struct fixture *f = *state;
	STAGE(f, {.update = 1, .flags = REV_EXPIRED}, {.update = 2, .title = "Preview", .members = {{3, 1}}, .prereq = {4}},
		{.update = 3, .flags = REV_EXPIRED, .prereq = {5}}, {.update = 4, .flags = REV_EXPIRED}, {.update = 5, .flags = REV_EXPIRED},
		{.update = 6, .flags = REV_EXPIRED}, {.update = 7, .flags = REV_EXPIRED, .prereq = {6}}, {.update = 8, .prereq = {9}},
		{.update = 9, .flags = REV_EXPIRED}, {.update = 10, .flags = REV_EXPIRED, .number = 2}, {.update = 10, .flags = REV_EXPIRED, .number = 3});
	install(f, 1, 1);
	install(f, 2, 1);
	install(f, 10, 2);
	struct trim_report r = trim(f, "expired preview", false);
	assert_string_equal(declined(f), "6:expired 7:expired");
	assert_int_equal(r.needed, 4); /* 3, 4, 5 of the approved one, 9 of one that stays */
	struct txn *t = fx_begin(f, TXN_CATALOG);
	OK(unapprove(t, update(t, 2).no, GROUP_ALL_COMPUTERS, ADMIN, &fx_err));
	fx_publish(f);
	trim(f, "expired preview", false);
	assert_string_equal(declined(f), "2:preview 3:expired 4:expired 5:expired 6:expired 7:expired");
}

static void an_approved_update_covers_what_it_supersedes(void **state)
{
	struct fixture *f = *state;
	STAGE(f, {.update = 1}, {.update = 2, .superseded = {1}, .title = "Preview"});
	install(f, 2, 1);
	trim(f, "superseded preview", false);
	assert_string_equal(declined(f), "1:superseded");
}

static void undo_offers_again_what_was_trimmed_and_nothing_else(void **state)
{
	struct fixture *f = *state;
	STAGE(f, {.update = 1, .flags = REV_EXPIRED}, {.update = 2, .title = "Preview"}, {.update = 3, .flags = REV_EXPIRED},
		{.update = 4, .title = "Preview 2"}, {.update = 5});
	decline(f, 3, true, "eva");
	trim(f, "expired preview", false);
	decline(f, 4, false, "eva");
	decline(f, 4, true, "eva");
	assert_string_equal(declined(f), "1:expired 2:preview 3:eva 4:eva");
	struct trim_report r = undo(f, "preview superseded", true);
	assert_int_equal(r.updates, 1);
	assert_int_equal(r.trimmed[2], 1);
	assert_string_equal(declined(f), "1:expired 2:preview 3:eva 4:eva");
	undo(f, "preview superseded", false);
	assert_string_equal(declined(f), "1:expired 3:eva 4:eva");
	r = undo(f, "expired superseded preview x86 x64 arm64 itanium", false);
	assert_int_equal(r.updates, 1);
	assert_string_equal(declined(f), "3:eva 4:eva");
	r = undo(f, "expired superseded preview x86 x64 arm64 itanium", false);
	assert_int_equal(r.updates, 0);
}

/* Half of it is never committed. */
static void without_memory_nothing_is_declined(void **state)
{
	struct fixture *f = *state;
	struct trim_report r;
	struct publish_report shown;
	unsigned failures = 0;
	STAGE(f, {.update = 1, .flags = REV_EXPIRED}, {.update = 2, .title = "Preview"}, {.update = 3}, {.update = 4, .superseded = {3}});
	install(f, 4, 1);
	for (long at = 1;; at++) {
		assert_true(at < 10000);
		struct txn *t = fx_begin(f, TXN_CATALOG);
		alloc_fail_at = at;
		int rc = trim_apply(t, TRIM_EVERY, false, &r, &fx_err);
		if (rc == E_OK)
			rc = publish(t, FIXTURE_NOW, &shown, &fx_err);
		if (rc == E_OK)
			rc = txn_commit(&f->t, &fx_err);
		bool met = alloc_fail_at == 0;
		alloc_fail_at = 0;
		txn_end(&f->t);
		if (rc == E_OK && !met)
			break;
		if (rc == E_OK) /* what failed was not needed */
			undo(f, "expired superseded preview", false);
		else
			assert_string_equal(declined(f), "");
		failures += rc != E_OK;
	}
	assert_true(failures > 5);
	assert_string_equal(declined(f), "1:expired 2:preview 3:superseded");
}

static void a_replica_declines_nothing_of_its_own(void **state)
{
	struct fixture *f = *state;
	struct trim_report r;
	STAGE(f, {.update = 1, .flags = REV_EXPIRED});
	trim(f, "expired", false);
	struct txn *t = fx_begin(f, TXN_CATALOG);
	OK(setting_set(t, SL("upstream.url"), SL("https://above.example:8531"), &fx_err));
	OK(setting_set(t, SL("upstream.mode"), SL("replica"), &fx_err));
	fx_commit(f);
	IS(E_REFUSED, trim_undo(fx_begin(f, TXN_READ), TRIM_EVERY, true, &r, &fx_err));
	assert_non_null(strstr(fx_err.text, "https://above.example:8531"));
	txn_end(&f->t);
	IS(E_REFUSED, trim_apply(fx_begin(f, TXN_CATALOG), TRIM_EVERY, false, &r, &fx_err));
	txn_end(&f->t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_those_of_the_setting_and_of_the_record),
		cmocka_unit_test_setup_teardown(an_empty_store_has_nothing_to_decline, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(each_word_declines_what_fits_and_the_first_one_is_noted, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(a_title_with_several_architectures_needs_them_all, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(superseded_goes_down_a_chain_whose_end_stays, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(what_an_administrator_declined_or_what_goes_itself_supersedes_nothing, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(updates_that_supersede_each_other_stay_unless_another_covers_them, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(only_the_highest_revision_that_is_shown_counts, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(approved_updates_and_what_they_contain_or_require_stay, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(an_approved_update_covers_what_it_supersedes, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(without_memory_nothing_is_declined, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(a_replica_declines_nothing_of_its_own, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(undo_offers_again_what_was_trimmed_and_nothing_else, fx_setup, fx_teardown),
	};
	return cmocka_run_group_tests_name("trim", tests, NULL, NULL);
}
