/* t_event.c -- what computers report: the table of events against the catalogue of rules, events in words, tags and their lists,
 * and the ring that keeps them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/event.h"
#include "common/text.h"
#include "test/unit/corpus.h"

#define ARENA ((size_t)16 << 20)

/* ---- the table as the catalogue of rules has it (Appendix C) ---- */

enum { ID, NAME, GROUP, PLACEHOLDERS, EFFECT, COLUMNS };

static bool split(struct slice line, struct slice cell[COLUMNS])
{
	if (!text_starts(line, SL("| ")))
		return false;
	text_cut(&line, '|');
	for (int i = 0; i < COLUMNS; i++)
		cell[i] = line.p ? text_trim(text_cut(&line, '|')) : SL0;
	return cell[EFFECT].n > 0 && cell[ID].p[0] >= '0' && cell[ID].p[0] <= '9';
}

static bool has(struct slice s, const char *word)
{
	return memmem(s.p, s.n, word, strlen(word)) != NULL;
}

static unsigned does_of(struct slice effect)
{
	static const struct {
		const char *word;
		unsigned does;
	} words[] = {{"LastSyncResult=Succeeded", EVENT_SYNC_GOOD}, {"LastSyncResult=Failed", EVENT_SYNC_BAD}, {"full status", EVENT_LISTS},
		{"success +1", EVENT_COUNT_GOOD}, {"failure +1", EVENT_COUNT_BAD}, {"LastReportedRebootTime", EVENT_REBOOTED},
		{"hidden mark set", EVENT_HIDE}, {"hidden mark cleared", EVENT_UNHIDE}, {"status 3", EVENT_UNLESS_DONE}};
	unsigned does = has(effect, "reboot pending") && !has(effect, "cleared") ? EVENT_REBOOT_PENDING : 0;
	for (size_t i = 0; i < COUNTOF(words); i++)
		does |= has(effect, words[i].word) ? words[i].does : 0;
	return does;
}

static int status_of(struct slice effect)
{
	const char *at = memmem(effect.p, effect.n, "status ", 7);
	return at && at[7] >= '0' && at[7] <= '9' ? at[7] - '0' : 0;
}

static enum event_group group_of(struct slice s)
{
	static const char *const names[] = {"Detection", "Status", "Download", "Install", "Commit", "Revert", "Update Hidden/Unhidden", "Misc"};
	for (int g = 0; g < EVENT_GROUP__N; g++)
		if (slice_eq(s, slice_of(names[g])))
			return (enum event_group)g;
	fail_msg("group %.*s", SLF(s));
	return EVENT_GROUP__N;
}

static void assert_row(const struct slice cell[COLUMNS])
{
	int32_t id;
	struct slice name = cell[NAME];
	char mark[3] = "%1";
	assert_true(text_i32(cell[ID], &id));
	const struct event_info *i = event_find(id);
	assert_non_null(i);
	assert_int_equal(i->id, id);
	name = text_trim(text_cut(&name, '('));
	assert_true(slice_eq(name, slice_of(i->name)));
	assert_int_equal(i->group, group_of(cell[GROUP]));
	assert_int_equal(i->status, status_of(cell[EFFECT]));
	assert_int_equal(i->does, does_of(cell[EFFECT]));
	for (; mark[1] <= '9'; mark[1]++)
		assert_int_equal(has(cell[PLACEHOLDERS], mark), strstr(i->text, mark) != NULL);
}

/* will hold: WUSP-REPORT-24, WUSP-REPORT-26, WUSP-REPORT-30, WUSP-REPORT-31, WUSP-REPORT-32, WUSP-REPORT-33, WUSP-REPORT-34,
 * WUSP-REPORT-35, WUSP-REPORT-36, WUSP-REPORT-37 */
static void the_table_is_that_of_the_catalogue(void **state)
{
	struct buf b;
	unsigned rows = 0;
	(void)state;
	SKIP_WITHOUT(spec_dir());
	buf_init(&b, (size_t)1 << 20);
	assert_true(read_whole(&b, spec_dir(), "wusp-rules.md"));
	char *from = memmem(b.p, b.n, "\n# Appendix C", 13), *to = memmem(b.p, b.n, "\nNotes: 150", 11);
	assert_true(from && to && from < to);
	for (struct slice text = {from, (size_t)(to - from)}; text.n > 0;) {
		struct slice cell[COLUMNS];
		if (split(text_cut(&text, '\n'), cell)) {
			assert_row(cell);
			rows++;
		}
	}
	assert_int_equal(rows, 62);
	assert_int_equal(rows, EVENT_IDS);
	buf_free(&b);
}

static void the_table_ascends_and_its_braces_hold_what_is_replaced(void **state)
{
	(void)state;
	for (size_t i = 0; i < EVENT_IDS; i++) {
		bool inside = false;
		assert_true(i == 0 || event_table[i - 1].id < event_table[i].id);
		assert_true(event_table[i].group < EVENT_GROUP__N && event_table[i].status != 1 && event_table[i].status <= 6);
		for (const char *p = event_table[i].text; *p; p++) {
			inside = *p == '{' || (inside && *p != '}');
			assert_true(inside || *p != '%');
		}
		assert_false(inside);
	}
}

/* will hold: WUSP-REPORT-16 */
static void other_ids_and_sources_are_not_known(void **state)
{
	static const int other[] = {INT16_MIN, -141, 0, 140, 142, 151, 155, 226, 271, 520, 547, INT16_MAX};
	static const char *const sources[] = {"agent", "AU", "talker", "inventory", "handler", "CBS", "DPX"};
	(void)state;
	for (size_t i = 0; i < COUNTOF(other); i++)
		assert_null(event_find(other[i]));
	for (size_t i = 0; i < COUNTOF(sources); i++)
		assert_string_equal(event_source_name(101 + (int)i), sources[i]);
	assert_null(event_source_name(100));
	assert_null(event_source_name(108));
	assert_null(event_source_name(INT16_MIN));
}

/* ---- in words ---- */

static void assert_text(int id, const struct slice *strings, size_t n, const char *want)
{
	struct arena a;
	arena_init(&a, ARENA);
	struct slice got = event_text(&a, event_find(id), strings, n);
	if (!slice_eq(got, slice_of(want)))
		fail_msg("%d: \"%.*s\" instead of \"%s\"", id, SLF(got), want);
	arena_free(&a);
}

/* will hold: WUSP-REPORT-24 */
static void placeholders_are_replaced_once(void **state)
{
	const struct slice found[] = {SL("12")}, failed[] = {SL("0x80070643"), SL("KB5030219")};
	const struct slice hostile[] = {SL("%2 {%1} %%"), SL("}{%1")};
	const struct slice ready[] = {SL("5 March"), SL("3:00"), SL("KB1, KB2")};
	(void)state;
	assert_text(147, found, 1, "Looked for updates, found 12");
	assert_text(182, failed, 2, "Could not be installed (0x80070643): KB5030219");
	assert_text(187, failed, 2, "The installation took too long and was ended: KB5030219");
	assert_text(188, ready, 3, "Downloaded, to be installed later: 5 March, 3:00: KB1, KB2");
	assert_text(182, hostile, 2, "Could not be installed (%2 {%1} %%): }{%1");
	assert_text(184, found, 1, "Installed 12, a restart is due");
}

/* will hold: WUSP-REPORT-25 */
static void too_few_or_too_many_strings_break_nothing(void **state)
{
	const struct slice one[] = {SL("KB1")}, three[] = {SL("1"), SL("2"), SL("3")}, none[] = {SL0};
	(void)state;
	assert_text(182, one, 1, "Could not be installed (KB1): KB1"); /* %2 only: the last there is */
	assert_text(187, one, 1, "The installation took too long and was ended: KB1");
	assert_text(183, three, 3, "Installed 1");
	assert_text(167, three, 3, "The download began");
	assert_text(183, none, 1, "Installed ");
	assert_text(147, NULL, 0, "Looked for updates");
	assert_text(182, NULL, 0, "Could not be installed");
	assert_text(184, NULL, 0, "Installed, a restart is due");
	assert_text(194, NULL, 0, "The computer is about to restart");
}

static void words_without_memory_are_absent(void **state)
{
	struct arena a;
	const struct slice one[] = {SL("KB1")};
	(void)state;
	arena_init(&a, ARENA);
	alloc_fail_at = 1;
	assert_null(event_text(&a, event_find(183), one, 1).p);
	alloc_fail_at = 0;
	arena_free(&a);
}

/* ---- tags ---- */

/* will hold: WUSP-REPORT-21 */
static void tags_are_those_of_the_catalogue(void **state)
{
	struct buf b;
	unsigned rows = 0;
	(void)state;
	SKIP_WITHOUT(spec_dir());
	buf_init(&b, (size_t)1 << 20);
	assert_true(read_whole(&b, spec_dir(), "wusp-rules.md"));
	char *from = memmem(b.p, b.n, "\n# Appendix D", 13), *to = memmem(b.p, b.n, "\nG is listed", 12);
	assert_true(from && to && from < to);
	for (struct slice text = {from, (size_t)(to - from)}; text.n > 0;) {
		struct slice line = text_cut(&text, '\n'), tag, name, type, with;
		text_cut(&line, '|');
		tag = text_trim(text_cut(&line, '|'));
		name = text_trim(text_cut(&line, '|'));
		type = text_trim(text_cut(&line, '|'));
		with = text_trim(text_cut(&line, '|'));
		if (tag.n != 1)
			continue;
		const struct event_tag *t = event_tag_find(tag.p[0]);
		assert_non_null(t);
		assert_true(slice_eq(name, slice_of(t->name)));
		assert_int_equal(t->status != 0, has(type, "List"));
		assert_int_equal(t->machine, has(with, "All events") && tag.p[0] != 'Q'); /* Q is of the update */
		rows++;
	}
	assert_int_equal(rows, 22);
	buf_free(&b);
}

/* will hold: WUSP-REPORT-21, WUSP-REPORT-40 */
static void the_case_of_a_tag_counts(void **state)
{
	(void)state;
	assert_string_equal(event_tag_find('A')->name, "OSServicePackBuildNumber");
	assert_string_equal(event_tag_find('a')->name, "SelfUpdatePackageName");
	assert_int_equal(event_tag_find('g')->status, 5);
	assert_int_equal(event_tag_find('G')->status, 0);
	assert_int_equal(event_tag_find('U')->status, 2);
	assert_int_equal(event_tag_find('V')->status, 4);
	assert_int_equal(event_tag_find('W')->status, 6);
	assert_int_equal(event_tag_find('h')->status, 3);
	assert_string_equal(event_tag_find('Q')->name, "EventType");
	assert_null(event_tag_find('u'));
	assert_null(event_tag_find('\0'));
	assert_null(event_tag_find((char)0xFF));
}

/* will hold: WUSP-REPORT-21, WUSP-REPORT-22 */
static void a_tag_ends_at_the_first_equals_sign(void **state)
{
	struct slice tag, value;
	(void)state;
	assert_true(event_tag_split(SL("K=A=B=="), &tag, &value));
	assert_true(slice_eq(tag, SL("K")) && slice_eq(value, SL("A=B==")));
	assert_true(event_tag_split(SL("U="), &tag, &value));
	assert_true(slice_eq(tag, SL("U")) && value.n == 0 && value.p);
	assert_true(event_tag_split(SL("Long=1"), &tag, &value));
	assert_true(slice_eq(tag, SL("Long")) && slice_eq(value, SL("1")));
	assert_false(event_tag_split(SL("=1"), &tag, &value));
	assert_false(event_tag_split(SL("="), &tag, &value));
	assert_false(event_tag_split(SL("words"), &tag, &value));
	assert_false(event_tag_split(SL(""), &tag, &value));
	assert_false(event_tag_split(SL0, &tag, &value));
}

/* will hold: WUSP-REPORT-23 */
static void guids_of_a_list_come_one_by_one(void **state)
{
	struct slice list = SL("D67661EB-2423-451D-BF5D-13199E37DF28;words;;{d67661eb-2423-451d-bf5d-13199e37df28};"
		" 00000000-0000-0000-0000-000000000001 ;d67661eb-2423-451d-bf5d-13199e37df2;");
	struct guid g, want;
	size_t bad = 0;
	(void)state;
	assert_true(text_guid(SL("d67661eb-2423-451d-bf5d-13199e37df28"), &want));
	assert_true(event_next_guid(&list, &g, &bad));
	assert_int_equal(guid_cmp(&g, &want), 0);
	assert_true(event_next_guid(&list, &g, &bad));
	assert_int_equal(g.b[15], 1);
	assert_false(event_next_guid(&list, &g, &bad));
	assert_false(event_next_guid(&list, &g, &bad));
	assert_int_equal(bad, 3);
	list = SL("");
	assert_false(event_next_guid(&list, &g, &bad));
	list = SL(";;;");
	assert_false(event_next_guid(&list, &g, &bad));
	list = SL0;
	assert_false(event_next_guid(&list, &g, &bad));
	assert_int_equal(bad, 3);
}

/* will hold: WUSP-REPORT-27 */
static void one_status_is_stronger_than_another(void **state)
{
	static const uint8_t order[] = {6, 4, 5, 3, 2, 1, 0};
	(void)state;
	for (size_t a = 0; a < COUNTOF(order); a++)
		for (size_t b = 0; b < COUNTOF(order); b++)
			assert_int_equal(event_status_stronger(order[a], order[b]), a < b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_is_that_of_the_catalogue),
		cmocka_unit_test(the_table_ascends_and_its_braces_hold_what_is_replaced),
		cmocka_unit_test(other_ids_and_sources_are_not_known),
		cmocka_unit_test(placeholders_are_replaced_once),
		cmocka_unit_test(too_few_or_too_many_strings_break_nothing),
		cmocka_unit_test(words_without_memory_are_absent),
		cmocka_unit_test(tags_are_those_of_the_catalogue),
		cmocka_unit_test(the_case_of_a_tag_counts),
		cmocka_unit_test(a_tag_ends_at_the_first_equals_sign),
		cmocka_unit_test(guids_of_a_list_come_one_by_one),
		cmocka_unit_test(one_status_is_stronger_than_another),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
