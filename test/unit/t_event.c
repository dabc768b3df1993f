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
#include "store/report_parts.h"
#include "test/unit/corpus.h"
#include "test/unit/store_fixture.h"

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

/* holds: WUSP-REPORT-24, WUSP-REPORT-26, WUSP-REPORT-30, WUSP-REPORT-31, WUSP-REPORT-32, WUSP-REPORT-33, WUSP-REPORT-34,
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

/* holds: WUSP-REPORT-16 */
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

/* holds: WUSP-REPORT-24 */
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

/* holds: WUSP-REPORT-25 */
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

/* holds: WUSP-REPORT-21 */
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

/* holds: WUSP-REPORT-21, WUSP-REPORT-40 */
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

/* holds: WUSP-REPORT-21, WUSP-REPORT-22 */
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

/* holds: WUSP-REPORT-23 */
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

/* holds: WUSP-REPORT-27 */
static void one_status_is_stronger_than_another(void **state)
{
	static const uint8_t order[] = {6, 4, 5, 3, 2, 1, 0};
	(void)state;
	for (size_t a = 0; a < COUNTOF(order); a++)
		for (size_t b = 0; b < COUNTOF(order); b++)
			assert_int_equal(event_status_stronger(order[a], order[b]), a < b);
}

/* ================= the ring that keeps them ================= */

#define DAY (86400 * TICKS_PER_SECOND)
#define NOW FIXTURE_NOW
#define PC SL("0a1b2c3d-0000-4000-8000-00000000000A")

static struct report_event an_event(unsigned n, tick_t at)
{
	return (struct report_event){.instance = fx_guid(n), .at = at, .name_space = 1, .id = 167, .source = 101};
}

static bool keep(struct fixture *f, struct slice computer, struct report_event r, tick_t now)
{
	bool repeated = true;
	OK(event_keep(f->t, computer, &r, now, &repeated, &fx_err));
	return !repeated;
}

/* One event in a transaction of its own. */
static bool kept_at(struct fixture *f, unsigned n, tick_t now)
{
	fx_begin(f, TXN_FLEET);
	bool fresh = keep(f, PC, an_event(n, now), now);
	fx_commit(f);
	return fresh;
}

static size_t kept_of(struct fixture *f, struct slice computer, struct event **v)
{
	size_t n;
	OK(events_of(f->t, computer, 0, v, &n, &fx_err));
	return n;
}

static size_t segments(struct fixture *f, struct event_segment **v)
{
	size_t n;
	OK(event_segments(f->t, v, &n, &fx_err));
	return n;
}

static void set_days(struct fixture *f, const char *days)
{
	fx_begin(f, TXN_CATALOG);
	OK(setting_set(f->t, SL("report.event-days"), slice_of(days), &fx_err));
	fx_commit(f);
}

/* holds: WUSP-REPORT-16, WUSP-REPORT-18, WUSP-REPORT-20, WUSP-REPORT-22 */
static void an_event_is_kept_with_all_that_it_says(void **state)
{
	struct fixture *f = *state;
	const struct slice strings[] = {SL("0x80070643"), SL0, SL("KB5030219")};
	const struct slice misc[] = {SL("A=1"), SL("B=4711"), SL("U=0a1b2c3d-0000-4000-8000-00000000000a"), SL("words"), SL("c=1"), SL("Long=x"),
		SL("=1"), SL("G=10.0.1"), SL("h="), SL("C=1")};
	struct report_event r = {.instance = fx_guid(1), .at = NOW - 12345678, .name_space = -2, .id = -141, .source = 104, .update = fx_guid(7),
		.revision = -200, .hresult = -2145107943, .app = SL("Windows Update"), .device = SL("PCI\\VEN_8086"), .strings = strings, .nstrings = 3,
		.misc = misc, .nmisc = COUNTOF(misc)};
	struct event *v;
	fx_begin(f, TXN_FLEET);
	assert_true(keep(f, PC, r, NOW));
	fx_commit(f);
	fx_begin(f, TXN_READ);
	assert_int_equal(kept_of(f, PC, &v), 1);
	assert_memory_equal(&v->instance, &r.instance, sizeof(r.instance));
	assert_memory_equal(&v->update, &r.update, sizeof(r.update));
	assert_true(v->at == r.at && v->received == NOW && v->id == -141 && v->source == 104 && v->name_space == -2);
	assert_true(v->revision == -200 && v->hresult == -2145107943 && (uint32_t)v->hresult == 0x80244019);
	assert_true(slice_eq(v->app, r.app) && slice_eq(v->device, r.device));
	assert_int_equal(v->nstrings, 3);
	for (size_t i = 0; i < 3; i++)
		assert_true(slice_eq(v->strings[i], strings[i]));
	assert_int_equal(v->nmisc, 5);
	assert_true(slice_eq(v->misc[0], SL("B=4711")) && slice_eq(v->misc[1], SL("words")) && slice_eq(v->misc[2], SL("Long=x")));
	assert_true(slice_eq(v->misc[3], SL("=1")) && slice_eq(v->misc[4], SL("C=1")));
	fx_assert_sound(f->t);
	txn_end(&f->t);
}

static void figures_at_their_ends_come_back(void **state)
{
	struct fixture *f = *state;
	static const tick_t at[] = {INT64_MIN, -1, 0, NOW, INT64_MAX};
	struct event *v;
	fx_begin(f, TXN_FLEET);
	for (unsigned i = 0; i < COUNTOF(at); i++) {
		struct report_event r = an_event(i + 1, at[i]);
		r.revision = i % 2 ? INT32_MIN : INT32_MAX;
		r.hresult = r.name_space = i % 2 ? INT32_MAX : INT32_MIN;
		r.id = r.source = i % 2 ? INT16_MAX : INT16_MIN;
		assert_true(keep(f, PC, r, NOW));
	}
	assert_int_equal(kept_of(f, PC, &v), COUNTOF(at));
	for (unsigned k = 0; k < COUNTOF(at); k++) {
		unsigned i = COUNTOF(at) - 1 - k; /* newest first */
		assert_true(v[k].at == at[i] && v[k].received == NOW);
		assert_int_equal(v[k].revision, i % 2 ? INT32_MIN : INT32_MAX);
		assert_int_equal(v[k].hresult, i % 2 ? INT32_MAX : INT32_MIN);
		assert_int_equal(v[k].name_space, v[k].hresult);
		assert_int_equal(v[k].id, i % 2 ? INT16_MAX : INT16_MIN);
		assert_int_equal(v[k].source, v[k].id);
	}
	txn_end(&f->t);
}

/* holds: WUSP-REPORT-13 */
static void a_repeated_event_is_kept_once(void **state)
{
	struct fixture *f = *state;
	struct event *v;
	assert_true(kept_at(f, 1, NOW));
	assert_false(kept_at(f, 1, NOW));
	fx_begin(f, TXN_FLEET);
	assert_true(keep(f, PC, an_event(2, NOW), NOW));
	assert_false(keep(f, PC, an_event(2, NOW - 1), NOW));
	fx_commit(f);
	for (tick_t day = 1; day < 25; day++)
		assert_true(kept_at(f, 2 + (unsigned)day, NOW + day * DAY)); /* other segments begin */
	assert_false(kept_at(f, 1, NOW + 25 * DAY));
	assert_false(kept_at(f, 2, NOW + 25 * DAY));
	fx_begin(f, TXN_READ);
	assert_int_equal(kept_of(f, PC, &v), 26);
	txn_end(&f->t);
}

static void computers_are_told_apart_by_their_ids(void **state)
{
	struct fixture *f = *state;
	struct event *v;
	char id[LIMIT_CLIENT_ID + 1];
	bool repeated;
	struct report_event r = an_event(1, NOW);
	memset(id, 'x', sizeof(id));
	fx_begin(f, TXN_FLEET);
	assert_true(keep(f, PC, r, NOW));
	assert_false(keep(f, SL("0A1B2C3D-0000-4000-8000-00000000000a"), r, NOW));
	assert_true(keep(f, SL("pc-7"), r, NOW));
	assert_false(keep(f, SL("PC-7"), r, NOW));
	assert_true(keep(f, SL("pc-77"), r, NOW));
	assert_true(keep(f, (struct slice){id, LIMIT_CLIENT_ID}, r, NOW));
	IS(E_NOTFOUND, event_keep(f->t, (struct slice){id, sizeof(id)}, &r, NOW, &repeated, &fx_err));
	IS(E_NOTFOUND, event_keep(f->t, SL(""), &r, NOW, &repeated, &fx_err));
	assert_int_equal(kept_of(f, SL("pc-7"), &v), 1);
	assert_int_equal(kept_of(f, SL("pc-8"), &v), 0);
	txn_end(&f->t);
}

/* Rows that had some would have to be read to be dropped. */
static void no_own_pages(const struct table_stat *s, void *arg)
{
	(void)arg;
	assert_true(strncmp(s->name, "event_", 6) != 0 || s->own == 0);
}

/* holds: WUSP-REPORT-41 */
static void long_strings_are_cut_between_characters(void **state)
{
	struct fixture *f = *state;
	static char text[40000];
	struct slice strings[2] = {{text, sizeof(text)}, SL("behind")};
	struct report_event r = an_event(1, NOW);
	struct event *v;
	size_t n;
	memset(text, 'a', sizeof(text));
	for (size_t i = 1; i + 1 < sizeof(text); i += 2)
		memcpy(text + i, "\xC3\xA4", 2);
	r.strings = strings;
	r.nstrings = 2;
	r.hresult = r.name_space = r.source = -1;
	r.update = fx_guid(1);
	fx_begin(f, TXN_FLEET);
	for (unsigned i = 0; i < 200; i++) {
		r.instance = fx_guid(i);
		strings[0].n = i < 100 ? sizeof(text) : 1700 + i;
		assert_true(keep(f, PC, r, NOW));
	}
	fx_commit(f);
	fx_begin(f, TXN_READ);
	OK(events_of(f->t, PC, 0, &v, &n, &fx_err));
	assert_int_equal(n, 200);
	for (size_t i = 0; i < n; i++) {
		assert_true(v[i].nstrings >= 1 && v[i].strings[0].n > 1600 && v[i].strings[0].n <= 1800);
		assert_int_equal(text_utf8_bad(v[i].strings[0]), v[i].strings[0].n);
	}
	OK(store_tables(f->t, no_own_pages, NULL, &fx_err));
	txn_end(&f->t);
}

static void the_newest_come_first(void **state)
{
	struct fixture *f = *state;
	struct event *v;
	size_t n;
	fx_begin(f, TXN_FLEET);
	for (unsigned i = 0; i < 10000; i++)
		assert_true(keep(f, PC, an_event(i, NOW - (tick_t)(i * 7919 % 10000)), NOW));
	OK(events_of(f->t, PC, 3, &v, &n, &fx_err));
	assert_int_equal(n, 3);
	assert_true(v[0].at == NOW && v[1].at == NOW - 1 && v[2].at == NOW - 2);
	OK(events_of(f->t, PC, 9999, &v, &n, &fx_err));
	assert_int_equal(n, 9999);
	for (size_t i = 0; i < n; i++)
		assert_true(v[i].at == NOW - (tick_t)i);
	assert_int_equal(kept_of(f, PC, &v), 10000);
	txn_end(&f->t);
}

/* Natives give all events of a batch one time. */
static void of_one_time_the_later_in_the_batch_comes_first(void **state)
{
	struct fixture *f = *state;
	struct event *v;
	size_t n;
	fx_begin(f, TXN_FLEET);
	for (unsigned i = 0; i < 300; i++) {
		struct report_event r = an_event(i * 7919 % 300, NOW);
		r.position = i;
		assert_true(keep(f, PC, r, NOW));
	}
	OK(events_of(f->t, PC, 0, &v, &n, &fx_err));
	assert_int_equal(n, 300);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(v[i].position, 299 - i);
	txn_end(&f->t);
}

/* ---- what goes ---- */

static void old_segments_are_dropped_whole(void **state)
{
	struct fixture *f = *state;
	struct event_segment *g;
	struct event *v;
	set_days(f, "14"); /* a segment is a day long */
	for (unsigned hour = 0; hour < 24 * 40; hour += 6)
		assert_true(kept_at(f, hour, NOW + (tick_t)hour * DAY / 24));
	fx_begin(f, TXN_READ);
	assert_int_equal(segments(f, &g), 15);
	for (size_t i = 0; i < 15; i++) {
		assert_int_equal(g[i].no, 25 + i);
		assert_true(g[i].from == NOW + (tick_t)(25 + i) * DAY && (i == 14 || g[i].to == g[i + 1].from));
		assert_int_equal(g[i].events, 4);
		assert_true(g[i].bytes > 0);
	}
	assert_int_equal(kept_of(f, PC, &v), 60);
	assert_true(v[59].received == NOW + 25 * DAY);
	fx_assert_sound(f->t);
	txn_end(&f->t);
	assert_true(kept_at(f, 0, NOW + 40 * DAY)); /* forgotten: counts as new */
}

static void a_server_without_reports_forgets_too(void **state)
{
	struct fixture *f = *state;
	struct event_segment *g;
	struct event *v;
	set_days(f, "14");
	OK(events_tend(f->store, NOW, &fx_err));
	fx_begin(f, TXN_READ);
	assert_int_equal(segments(f, &g), 0);
	txn_end(&f->t);
	assert_true(kept_at(f, 1, NOW));
	fx_begin(f, TXN_READ);
	uint64_t before = txn_fleet_version(f->t);
	txn_end(&f->t);
	OK(events_tend(f->store, NOW + DAY - 1, &fx_err));
	fx_begin(f, TXN_READ);
	assert_true(txn_fleet_version(f->t) == before); /* nothing is due: nothing is written */
	txn_end(&f->t);
	OK(events_tend(f->store, NOW + DAY, &fx_err));
	OK(events_tend(f->store, NOW + 15 * DAY - 1, &fx_err));
	fx_begin(f, TXN_READ);
	assert_int_equal(kept_of(f, PC, &v), 1);
	txn_end(&f->t);
	OK(events_tend(f->store, NOW + 16 * DAY, &fx_err));
	OK(events_tend(f->store, NOW + 100 * DAY, &fx_err));
	fx_begin(f, TXN_READ);
	assert_int_equal(kept_of(f, PC, &v), 0);
	assert_int_equal(segments(f, &g), 2);
	assert_true(g[1].from == NOW + 100 * DAY && g[0].events == 0 && g[1].events == 0);
	fx_assert_sound(f->t);
	txn_end(&f->t);
}

static void a_clock_that_is_set_back_makes_nothing_eternal(void **state)
{
	struct fixture *f = *state;
	struct event_segment *g;
	set_days(f, "14");
	assert_true(kept_at(f, 1, NOW + 3650 * DAY));
	assert_true(kept_at(f, 2, NOW + 3652 * DAY));
	assert_true(kept_at(f, 3, NOW));
	fx_begin(f, TXN_READ);
	assert_int_equal(segments(f, &g), 2);
	assert_true(g[0].from == NOW && g[1].from == NOW);
	txn_end(&f->t);
	for (unsigned day = 1; day <= 16; day++)
		assert_true(kept_at(f, 3 + day, NOW + day * DAY));
	fx_begin(f, TXN_READ);
	assert_true(segments(f, &g) <= EVENT_SEGMENTS && g[0].from > NOW);
	txn_end(&f->t);
}

static void the_setting_may_change(void **state)
{
	struct fixture *f = *state;
	struct event_segment *g;
	struct event *v;
	set_days(f, "1");
	for (unsigned i = 0; i < 28; i++)
		assert_true(kept_at(f, i, NOW + i * DAY / 14));
	set_days(f, "400"); /* the short ones leave no room in the ring */
	for (unsigned i = 0; i < 14; i++)
		assert_true(kept_at(f, 100 + i, NOW + (2 + i * 29) * DAY));
	fx_begin(f, TXN_READ);
	assert_int_equal(segments(f, &g), EVENT_SEGMENTS);
	assert_true(kept_of(f, PC, &v) >= 14);
	fx_assert_sound(f->t);
	txn_end(&f->t);
	set_days(f, "30");
	OK(events_tend(f->store, NOW + 400 * DAY, &fx_err));
	fx_begin(f, TXN_READ);
	assert_int_equal(segments(f, &g), 3); /* of 29 days: the one that reaches into the 30 days, the next, and one that began */
	txn_end(&f->t);
}

static int small_setup(void **state)
{
	setenv("WSUS_FLEET_MAP_MB", "16", 1);
	return fx_setup(state);
}

static int small_teardown(void **state)
{
	unsetenv("WSUS_FLEET_MAP_MB");
	return fx_teardown(state);
}

static uint64_t bytes_of(const struct event_segment *g, size_t n)
{
	uint64_t sum = 0;
	while (n > 0)
		sum += g[--n].bytes;
	return sum;
}

/* Until 40 MB of texts went through a quarter of 16 MB. */
static void events_leave_room_for_computers(void **state)
{
	struct fixture *f = *state;
	static char text[1000];
	const struct slice strings[] = {{text, sizeof(text)}};
	struct event_segment *g;
	struct event *v;
	size_t n;
	memset(text, 'a', sizeof(text));
	for (unsigned batch = 0; batch < 400; batch++) {
		fx_begin(f, TXN_FLEET);
		for (unsigned i = 0; i < 100; i++) {
			struct report_event r = an_event((batch * 100 + i) * 2654435761u, NOW + batch);
			r.strings = strings;
			r.nstrings = 1;
			assert_true(keep(f, PC, r, NOW + batch));
		}
		assert_true(txn_fleet_has_room(f->t));
		n = segments(f, &g);
		assert_true(bytes_of(g, n) <= (16 << 20) / 4);
		fx_commit(f);
	}
	fx_begin(f, TXN_READ);
	n = segments(f, &g);
	assert_true(n >= 7 && n <= 10 && bytes_of(g, n) > (16 << 20) / 4 * 3 / 4);
	OK(events_of(f->t, PC, 100, &v, &n, &fx_err));
	assert_int_equal(n, 100);
	assert_true(v[0].at == NOW + 399 && v[99].at == NOW + 399);
	fx_assert_sound(f->t);
	txn_end(&f->t);
}

/* ---- what is damaged, copied or fails ---- */

static void a_lost_row_begins_the_ring_anew(void **state)
{
	struct fixture *f = *state;
	struct event_segment *g;
	struct event *v;
	struct store_stat s;
	size_t n;
	assert_true(kept_at(f, 1, NOW));
	fx_begin(f, TXN_FLEET);
	OK(db_put(f->t, DB_FMETA, SL("segments"), SL("\1words"), &fx_err));
	fx_commit(f);
	fx_begin(f, TXN_READ);
	IS(E_CORRUPT, events_of(f->t, PC, 0, &v, &n, &fx_err));
	IS(E_CORRUPT, event_segments(f->t, &g, &n, &fx_err));
	OK(store_stat(f->t, &s, &fx_err));
	assert_true(s.events == 0 && s.events_since == 0);
	assert_non_null(strstr(fx_audit(f->t).text, "segments of events"));
	txn_end(&f->t);
	OK(events_tend(f->store, NOW, &fx_err));
	assert_true(kept_at(f, 1, NOW));
	fx_begin(f, TXN_READ);
	assert_int_equal(kept_of(f, PC, &v), 1);
	fx_assert_sound(f->t);
	txn_end(&f->t);
}

static void the_audit_finds_what_cannot_be_read(void **state)
{
	struct fixture *f = *state;
	static const char *const bad[] = {"", "\1", "\2\0\0\1........x", "\1\20\0\1........\0", "\1\0\0\1........\0\20a",
		"\1\0\0\1........\0\xFF"};
	static const size_t size[] = {0, 1, 14, 13, 15, 14};
	char key[32] = "mark of the id..EventInstanceID";
	struct event_segment *g;
	assert_true(kept_at(f, 1, NOW));
	for (size_t i = 0; i < COUNTOF(bad); i++) {
		fx_begin(f, TXN_FLEET);
		OK(db_put(f->t, DB_EVENT, (struct slice){key, sizeof(key)}, (struct slice){bad[i], size[i]}, &fx_err));
		if (fx_audit(f->t).n != 1)
			fail_msg("row %zu", i);
		txn_end(&f->t);
	}
	fx_begin(f, TXN_FLEET);
	OK(db_put(f->t, DB_EVENT, (struct slice){key, 31}, (struct slice){"\1\0\0\1........\0", 13}, &fx_err));
	assert_int_equal(fx_audit(f->t).n, 1); /* a key of 31 bytes */
	txn_end(&f->t);
	fx_begin(f, TXN_FLEET);
	OK(db_put(f->t, DB_EVENT, (struct slice){key, 32}, (struct slice){"\1\0\0\1........\0", 13}, &fx_err));
	fx_assert_sound(f->t);
	OK(db_put(f->t, DB_EVENT_LAST, (struct slice){key, 32}, (struct slice){"\1\0\0\1........\0", 13}, &fx_err));
	assert_int_equal(fx_audit(f->t).n, 1); /* outside of the ring */
	assert_int_equal(segments(f, &g), 1);
	txn_end(&f->t);
}

static void a_copy_has_them_and_figures_count_them(void **state)
{
	struct fixture *f = *state;
	struct fixture to = {.store = NULL};
	struct store_stat s;
	struct event *v;
	for (unsigned day = 0; day < 20; day++)
		assert_true(kept_at(f, day, NOW + day * DAY));
	fx_dir(to.dir);
	OK(store_copy(f->store, to.dir, &fx_err));
	fx_open(&to, STORE_ADMIN);
	OK(store_read_all(to.store, STORE_FLEET, &fx_err));
	fx_begin(&to, TXN_READ);
	assert_int_equal(kept_of(&to, PC, &v), 20);
	OK(store_stat(to.t, &s, &fx_err));
	assert_true(s.events == 20 && s.event_bytes >= 4096 && s.events_since == NOW);
	fx_assert_sound(to.t);
	txn_end(&to.t);
	store_close(&to.store);
	fx_remove(to.dir);
}

static void without_memory_nothing_is_kept(void **state)
{
	struct fixture *f = *state;
	struct event *v;
	size_t n;
	bool repeated;
	struct report_event r = an_event(1, NOW);
	assert_true(kept_at(f, 2, NOW));
	for (long at = 1; at < 3; at++) {
		fx_begin(f, TXN_FLEET);
		alloc_fail_at = at;
		int rc = event_keep(f->t, PC, &r, NOW, &repeated, &fx_err);
		alloc_fail_at = 0;
		assert_true(rc == E_NOMEM || (at > 1 && rc == E_OK));
		if (rc == E_NOMEM)
			IS(E_NOMEM, txn_commit(&f->t, &fx_err));
		txn_end(&f->t);
	}
	for (long at = 1; at < 6; at++) {
		arena_free(txn_arena(fx_begin(f, TXN_READ)));
		alloc_fail_at = at;
		int rc = events_of(f->t, PC, 0, &v, &n, &fx_err);
		alloc_fail_at = 0;
		assert_true(rc == E_NOMEM || (at > 1 && rc == E_OK));
		assert_int_equal(n, rc == E_OK ? 1 : 0);
		txn_end(&f->t);
	}
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
		cmocka_unit_test_setup_teardown(an_event_is_kept_with_all_that_it_says, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(figures_at_their_ends_come_back, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(a_repeated_event_is_kept_once, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(computers_are_told_apart_by_their_ids, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(long_strings_are_cut_between_characters, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(the_newest_come_first, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(of_one_time_the_later_in_the_batch_comes_first, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(old_segments_are_dropped_whole, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(a_server_without_reports_forgets_too, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(a_clock_that_is_set_back_makes_nothing_eternal, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(the_setting_may_change, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(events_leave_room_for_computers, small_setup, small_teardown),
		cmocka_unit_test_setup_teardown(a_lost_row_begins_the_ring_anew, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(the_audit_finds_what_cannot_be_read, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(a_copy_has_them_and_figures_count_them, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(without_memory_nothing_is_kept, fx_setup, fx_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
