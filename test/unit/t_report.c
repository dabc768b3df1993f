/* t_report.c -- what reports make of a computer: statuses of updates and the standing, by the rules of REPORT.
 *
 * Times are minutes after FIXTURE_NOW, when the six updates were published; a batch comes at minute 1000 unless it says otherwise. */
#include "store/report_parts.h"
#include "store/update_status.h"
#include "test/unit/store_fixture.h"

#define UPDATES 6
#define MINUTE (60 * TICKS_PER_SECOND)
#define NOW 1000

static tick_t at(int minute)
{
	return FIXTURE_NOW + minute * MINUTE;
}

static int minute(tick_t t)
{
	return t == 0 ? -1 : (int)((t - FIXTURE_NOW) / MINUTE);
}

/* ================= a batch ================= */

static char pool[1 << 20];
static size_t pooled;
static unsigned instances;

static struct slice text(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(pool + pooled, sizeof(pool) - pooled, fmt, ap);
	va_end(ap);
	assert_true(n >= 0 && (size_t)n < sizeof(pool) - pooled);
	pooled += (size_t)n + 1;
	return (struct slice){pool + pooled - (size_t)n - 1, (size_t)n};
}

/* "U=13" names the updates 1 and 3. */
static struct slice list_of(const char *spec)
{
	char id[GUID_TEXT + 1], all[4096] = "";
	size_t n = 0;
	for (const char *p = spec + 2; *p; p++) {
		struct guid g = fx_guid((unsigned)(*p - '0'));
		guid_text(&g, id);
		n += (size_t)snprintf(all + n, sizeof(all) - n, "%s%s", n ? ";" : "", id);
	}
	return text("%.2s%s", spec, all);
}

struct said {
	int id, minute;
	unsigned update;
	int32_t hresult;
	const char *list[6];
	struct slice misc; /* one more string of MiscData, as it is */
	int name_space;    /* 0: 1 */
	bool foreign;
	unsigned instance; /* 0: one of its own */
};

static struct report_event event_of(const struct said *s, struct slice misc[8])
{
	struct report_event v = {.instance = fx_guid(1000000 + (s->instance ? s->instance : 5000 + ++instances)), .at = at(s->minute),
		.name_space = s->name_space ? s->name_space : 1, .id = (int16_t)s->id, .source = 101, .hresult = s->hresult, .misc = misc,
		.app = SL("app"), .device = SL(""), .foreign = s->foreign};
	if (s->update) {
		v.update = fx_guid(s->update);
		v.revision = 1;
	}
	for (size_t i = 0; i < COUNTOF(s->list) && s->list[i]; i++)
		misc[v.nmisc++] = list_of(s->list[i]);
	if (s->misc.p)
		misc[v.nmisc++] = s->misc;
	return v;
}

static int now = NOW, clock_off;
#define MOST 8

static int take(struct fixture *f, const char *id, const struct said *s, size_t n, struct report_outcome *out)
{
	struct slice misc[MOST][8];
	struct report_event v[MOST];
	struct report r = {.computer = slice_of(id), .now = at(now), .client_time = at(now + clock_off), .event = v, .n = n};
	assert_true(n <= MOST);
	pooled = 0;
	for (size_t i = 0; i < n; i++)
		v[i] = event_of(&s[i], misc[i]);
	return report_take(f->t, &r, out, &fx_err);
}

static struct report_outcome send_n(struct fixture *f, const struct said *s, size_t n)
{
	struct report_outcome out;
	fx_begin(f, TXN_FLEET);
	OK(take(f, "PC", s, n, &out));
	fx_commit(f);
	return out;
}
#define SEND(f, ...) send_n((f), (const struct said[]){__VA_ARGS__}, sizeof((const struct said[]){__VA_ARGS__}) / sizeof(struct said))

/* ================= what came of it ================= */

static unsigned update_of(struct txn *t, uint32_t no)
{
	struct update u;
	OK(update_get(t, no, &u, &fx_err));
	return get_be32(u.id.b + 12);
}

struct told {
	struct txn *t;
	size_t n;
	char text[2048];
};

static int tell(const struct status_row *r, void *arg)
{
	struct told *w = arg;
	struct status_row one;
	w->n += (size_t)snprintf(w->text + w->n, sizeof(w->text) - w->n, "%s%u %s %d%s", w->n ? ", " : "", update_of(w->t, r->update_no),
		update_status_names[r->status], minute(r->at), r->hidden ? " hidden" : "");
	OK(status_get(w->t, SL("pc"), r->update_no, &one));
	assert_true(one.status == r->status && one.at == r->at && one.hidden == r->hidden && one.failed_at == r->failed_at &&
		    one.hresult == r->hresult && one.event == r->event);
	return 0;
}

/* All rows of the computer, "1 needed 5, 2 failed 7 hidden"; they and the sums in the standing agree. */
static void expect_at(struct fixture *f, const char *want, int line)
{
	struct told w = {.t = fx_begin(f, TXN_READ)};
	OK(status_each(f->t, SL("pc"), tell, &w, &fx_err));
	if (strcmp(w.text, want) != 0)
		fail_msg("line %d: \"%s\"\n  is not   \"%s\"", line, w.text, want);
	fx_assert_sound(f->t);
	txn_end(&f->t);
}
#define EXPECT(f, want) expect_at((f), (want), __LINE__)

static struct standing standing(struct fixture *f)
{
	static char text_of[4096];
	struct standing s;
	OK(standing_get(fx_begin(f, TXN_READ), SL("pc"), &s));
	struct slice *v[] = {&s.client_version, &s.bios_name, &s.bios_date, &s.machine.brand, &s.machine.model, &s.machine.bios,
		&s.machine.architecture};
	size_t n = 0;
	for (size_t i = 0; i < COUNTOF(v); i++) {
		memcpy(text_of + n, v[i]->p, v[i]->n);
		v[i]->p = text_of + n;
		n += v[i]->n;
	}
	txn_end(&f->t);
	return s;
}

static struct status_row row(struct fixture *f, unsigned update)
{
	struct status_row r;
	fx_begin(f, TXN_READ);
	OK(status_get(f->t, SL("Pc"), fx_update_no(f->t, update), &r));
	txn_end(&f->t);
	return r;
}

static uint64_t events_kept(struct fixture *f)
{
	struct event *v;
	size_t n;
	OK(events_of(fx_begin(f, TXN_READ), SL("pc"), 0, &v, &n, &fx_err));
	txn_end(&f->t);
	return n;
}

static void contact(struct fixture *f, const char *id)
{
	struct computer c = {.id = slice_of(id), .dns_name = SL("pc.example"), .requested_groups = SL(""), .address = SL("192.0.2.7"),
		.last_seen = at(0)};
	fx_begin(f, TXN_FLEET);
	OK(computer_contact(f->t, &c, &fx_err));
	fx_commit(f);
}

static int setup(void **state)
{
	fx_setup(state);
	struct fixture *f = *state;
	now = NOW;
	clock_off = 0;
	fx_begin(f, TXN_CATALOG);
	for (unsigned i = 1; i <= UPDATES; i++)
		fx_stage(f->t, (struct fx_revision){.update = i});
	fx_publish(f);
	contact(f, "pc");
	return 0;
}

/* ================= lists ================= */

static void nothing_is_known_before_the_first_report(void **state)
{
	struct fixture *f = *state;
	struct standing s = standing(f);
	assert_true(s.status_at == 0 && s.reported_at == 0 && s.sync_result == SYNC_NEVER && s.client_version.n == 0);
	assert_int_equal(row(f, 1).status, STATUS_UNKNOWN);
	SEND(f, {.id = 147, 5});
	assert_int_equal(row(f, 1).status, STATUS_UNKNOWN);
	SEND(f, {.id = 156, 6});
	assert_int_equal(row(f, 1).status, STATUS_NOT_APPLICABLE);
	EXPECT(f, "");
}

/* holds: WUSP-REPORT-23 WUSP-REPORT-26 WSUSSS-ADM-18 */
static void lists_are_the_state_of_all_updates(void **state)
{
	struct fixture *f = *state;
	SEND(f, {.id = 156, 5, .list = {"U=1", "h=2", "V=34", "W=5", "g=6"}});
	EXPECT(f, "1 needed 5, 2 downloaded 5, 3 installed 5, 4 installed 5, 5 pending-reboot 5, 6 failed 5");
	SEND(f, {.id = 153, 9, .list = {"U=12", "V=3"}});
	EXPECT(f, "1 needed 5, 2 needed 9, 3 installed 5, 4 not-applicable 9, 5 not-applicable 9, 6 not-applicable 9");
	struct standing s = standing(f);
	assert_true(s.status_at == at(9) && s.reported_at == at(NOW));
	assert_true(s.count[STATUS_NEEDED] == 2 && s.count[STATUS_INSTALLED] == 1 && s.count[STATUS_NOT_APPLICABLE] == 3);
	assert_int_equal(s.count[STATUS_UNKNOWN] + s.count[STATUS_FAILED] + s.count[STATUS_DOWNLOADED] + s.count[STATUS_PENDING_REBOOT], 0);
}

/* holds: WUSP-REPORT-27 */
static void of_several_lists_the_strongest_counts(void **state)
{
	struct fixture *f = *state;
	SEND(f, {.id = 156, 5, .list = {"U=12345", "h=1234", "g=123", "V=12", "W=1"}});
	EXPECT(f, "1 pending-reboot 5, 2 installed 5, 3 failed 5, 4 downloaded 5, 5 needed 5");
	SEND(f, {.id = 156, 6, .list = {"W=1", "V=12", "g=123", "h=1234", "U=12345"}});
	EXPECT(f, "1 pending-reboot 5, 2 installed 5, 3 failed 5, 4 downloaded 5, 5 needed 5");
}

/* holds: WUSP-REPORT-28 */
static void a_list_that_is_absent_is_empty(void **state)
{
	struct fixture *f = *state;
	SEND(f, {.id = 156, 5, .list = {"U=1", "V=2"}});
	SEND(f, {.id = 156, 6, .list = {"V=2"}});
	EXPECT(f, "1 not-applicable 6, 2 installed 5");
	SEND(f, {.id = 156, 7});
	EXPECT(f, "1 not-applicable 6, 2 not-applicable 7");
	SEND(f, {.id = 156, 8, .list = {"U=1"}});
	EXPECT(f, "1 needed 8, 2 not-applicable 7");
}

/* holds: WUSP-REPORT-21 WUSP-REPORT-22 */
static void tags_have_one_letter_of_one_case_and_others_are_kept(void **state)
{
	struct fixture *f = *state;
	SEND(f, {.id = 156, 5, .list = {"u=1", "H=2", "v=3", "w=4", "G=5"}, .misc = SL("UU=")}, {.id = 156, 6, .misc = SL("nothing")},
		{.id = 156, 7, .misc = SL("=x")}, {.id = 156, 8, .misc = SL("U=")}, {.id = 156, 9, .misc = SL("")});
	EXPECT(f, "");
	char id[GUID_TEXT + 1];
	struct guid g = fx_guid(2);
	guid_text(&g, id);
	SEND(f, {.id = 156, 10, .misc = text("U=;no guid;%s=;%s;", id, id)}); /* what is no GUID is passed over */
	EXPECT(f, "2 needed 10");
}

/* holds: WUSP-REPORT-14 WUSP-REPORT-15 */
static void what_the_catalog_does_not_know_has_no_status(void **state)
{
	struct fixture *f = *state;
	struct report_outcome r = SEND(f, {.id = 156, 5, .list = {"U=189"}}, {.id = 182, 6, .update = 9}, {.id = 183, 7}, {.id = 182, 8});
	assert_int_equal(r.unknown_updates, 3);
	assert_int_equal(r.kept, 4);
	EXPECT(f, "1 needed 5");
	struct standing s = standing(f);
	assert_true(s.good == 1 && s.bad == 2); /* they happened all the same */
	assert_int_equal(events_kept(f), 4);
}

/* ================= single events ================= */

/* What an event makes of an update in a status, and of the computer: Appendix C once more. */
static const struct {
	int id;
	int status;       /* 0: as it was */
	bool unless_done;
	int good, bad, reboot; /* reboot -1: it was; sync 1: good, 2: bad */
	int hide, sync;
} effects[] = {
	{.id = 141}, {.id = 145}, {.id = 146}, {.id = 147, .sync = 1}, {.id = 148, .sync = 2}, {.id = 149}, {.id = 150}, {.id = 154}, {.id = 157, .sync = 2}, {.id = 158, .sync = 2},
	{.id = 161, 5}, {.id = 162, 3, true}, {.id = 163}, {.id = 164, 3, true}, {.id = 165}, {.id = 166}, {.id = 167}, {.id = 168}, {.id = 169}, {.id = 170}, {.id = 181}, {.id = 182, 5, .bad = 1}, {.id = 183, 4, .good = 1},
	{.id = 184, 6, .good = 1, .reboot = 1}, {.id = 185, .hide = 1}, {.id = 186}, {.id = 187, 5, .bad = 1}, {.id = 188}, {.id = 189}, {.id = 190, 4, .good = 1},
	{.id = 191, 6, .good = 1, .reboot = 1}, {.id = 192, 5, .bad = 1}, {.id = 193, .reboot = 1}, {.id = 194, .reboot = 1}, {.id = 195, 5, .bad = 1}, {.id = 196, .hide = -1},
	{.id = 197, 4, .good = 1}, {.id = 198, 5, .bad = 1}, {.id = 199, 6, .good = 1, .reboot = 1}, {.id = 200, 5, .bad = 1}, {.id = 201}, {.id = 202, .reboot = -1},
	{.id = 203, 5, .bad = 1}, {.id = 204, 5, .bad = 1}, {.id = 221, 5}, {.id = 222, 2}, {.id = 223}, {.id = 224, .reboot = 1}, {.id = 225, 5}, {.id = 521}, {.id = 522, 5, .bad = 1}, {.id = 523}, {.id = 524},
	{.id = 525, 5, .bad = 1}, {.id = 541, 5}, {.id = 542, 2}, {.id = 543}, {.id = 544, .reboot = 1}, {.id = 545, 5}, {.id = 546}, {.id = 140}, {.id = 999}, {.id = -1}, {.id = 32767},
};

static void begin_again(struct fixture *f, int minute_of)
{
	SEND(f, {.id = 156, minute_of, .list = {"U=1", "h=2", "V=3", "g=4", "W=5"}}, {.id = 184, minute_of + 1, .update = 6});
	SEND(f, {.id = 185, minute_of + 1, .update = 2});
}

static void check_effect(struct fixture *f, size_t i, int m)
{
	static const int was[] = {0, STATUS_NEEDED, STATUS_DOWNLOADED, STATUS_INSTALLED, STATUS_FAILED, STATUS_PENDING_REBOOT};
	begin_again(f, m);
	struct standing before = standing(f);
	for (unsigned u = 1; u <= 5; u++)
		SEND(f, {.id = effects[i].id, m + 2, .update = u, .hresult = -7});
	struct standing s = standing(f);
	for (unsigned u = 1; u <= 5; u++) {
		struct status_row r = row(f, u);
		bool done = was[u] == STATUS_INSTALLED || was[u] == STATUS_PENDING_REBOOT;
		int want = effects[i].status && !(effects[i].unless_done && done) ? effects[i].status : was[u];
		if ((int)r.status != want || minute(r.at) != (want == was[u] ? m : m + 2))
			fail_msg("event %d, update %u: %s since %d", effects[i].id, u, update_status_names[r.status], minute(r.at));
		assert_true(effects[i].status != 5 || (r.failed_at == at(m + 2) && r.hresult == -7 && r.event == effects[i].id));
		assert_int_equal(r.hidden, effects[i].hide ? effects[i].hide > 0 : u == 2);
	}
	assert_int_equal(s.good - before.good, 5 * effects[i].good);
	assert_int_equal(s.bad - before.bad, 5 * effects[i].bad);
	assert_int_equal(minute(s.reboot_since), effects[i].reboot == -1 ? -1 : m + 1);
	assert_int_equal(minute(s.sync_at), effects[i].sync ? m + 2 : minute(before.sync_at));
	assert_true(effects[i].sync == 0 || (s.sync_event == effects[i].id && s.sync_hresult == -7 && (int)s.sync_result == effects[i].sync));
	assert_int_equal(minute(s.sync_good_at), effects[i].sync == 1 ? m + 2 : minute(before.sync_good_at));
	SEND(f, {.id = 202, m + 3}, {.id = 156, m + 4});
	for (unsigned u = 1; u <= 5; u++)
		SEND(f, {.id = 196, m + 4, .update = u});
}

/* holds: WUSP-REPORT-16 WUSP-REPORT-31 WUSP-REPORT-32 WUSP-REPORT-33 WUSP-REPORT-34 WUSP-REPORT-35 */
static void each_event_does_what_the_table_says(void **state)
{
	struct fixture *f = *state;
	for (size_t i = 0; i < COUNTOF(effects); i++)
		check_effect(f, i, 10 + 10 * (int)i);
}

/* holds: WUSP-REPORT-30 */
static void the_last_synchronization_is_the_latest_by_its_own_time(void **state)
{
	struct fixture *f = *state;
	SEND(f, {.id = 147, 5});
	SEND(f, {.id = 148, 7, .hresult = -2145107943});
	struct standing s = standing(f);
	assert_true(s.sync_result == SYNC_FAILED && s.sync_event == 148 && s.sync_hresult == -2145107943);
	assert_true(s.sync_at == at(7) && s.sync_good_at == at(5));
	SEND(f, {.id = 147, 6}); /* late */
	s = standing(f);
	assert_true(s.sync_result == SYNC_FAILED && s.sync_at == at(7) && s.sync_good_at == at(6));
	SEND(f, {.id = 147, 8});
	s = standing(f);
	assert_true(s.sync_result == SYNC_SUCCEEDED && s.sync_at == at(8) && s.sync_good_at == at(8) && s.sync_hresult == 0);
}

/* holds: WUSP-REPORT-36 */
static void an_update_is_hidden_until_it_is_shown_again(void **state)
{
	struct fixture *f = *state;
	SEND(f, {.id = 185, 5, .update = 1});
	EXPECT(f, "1 unknown -1 hidden");
	assert_int_equal(standing(f).hidden, 1);
	SEND(f, {.id = 156, 6, .list = {"U=2"}});
	EXPECT(f, "1 not-applicable -1 hidden, 2 needed 6");
	SEND(f, {.id = 156, 7, .list = {"U=12"}}, {.id = 185, 8, .update = 2});
	EXPECT(f, "1 needed 7 hidden, 2 needed 6 hidden");
	SEND(f, {.id = 196, 9, .update = 1}, {.id = 196, 9, .update = 3});
	EXPECT(f, "1 needed 7, 2 needed 6 hidden");
	assert_int_equal(standing(f).hidden, 1);
}

/* holds: WUSP-REPORT-37 */
static void a_restart_ends_what_waited_for_it(void **state)
{
	struct fixture *f = *state;
	SEND(f, {.id = 184, 5, .update = 1}, {.id = 193, 7});
	assert_true(standing(f).reboot_since == at(5) && standing(f).rebooted_at == 0);
	SEND(f, {.id = 194, 4}); /* late: it waits since then */
	assert_true(standing(f).reboot_since == at(4));
	SEND(f, {.id = 202, 3}); /* before that */
	assert_true(standing(f).reboot_since == at(4) && standing(f).rebooted_at == at(3));
	SEND(f, {.id = 202, 9});
	assert_true(standing(f).reboot_since == 0 && standing(f).rebooted_at == at(9));
	SEND(f, {.id = 193, 8});
	assert_true(standing(f).reboot_since == 0);
	SEND(f, {.id = 193, 10}, {.id = 202, 10}); /* of the same moment: as they stand */
	assert_true(standing(f).reboot_since == 0);
	SEND(f, {.id = 202, 11}, {.id = 193, 11});
	assert_true(standing(f).reboot_since == at(11));
	EXPECT(f, "1 pending-reboot 5"); /* what the update itself is, the next list says */
}

/* ================= which events count ================= */

/* holds: WUSP-REPORT-13 */
static void an_event_counts_once(void **state)
{
	struct fixture *f = *state;
	struct report_outcome r = SEND(f, {.id = 183, 5, .update = 1, .instance = 1}, {.id = 183, 5, .update = 1, .instance = 1}, {.id = 182, 6, .update = 2, .instance = 2});
	assert_true(r.kept == 2 && r.repeated == 1 && r.changed);
	r = SEND(f, {.id = 183, 5, .update = 1, .instance = 1}, {.id = 182, 6, .update = 2, .instance = 2});
	assert_true(r.kept == 0 && r.repeated == 2 && !r.changed);
	assert_true(standing(f).good == 1 && standing(f).bad == 1);
	assert_int_equal(events_kept(f), 2);
	EXPECT(f, "1 installed 5, 2 failed 6");
}

/* holds: WUSP-REPORT-09 WUSP-REPORT-12 */
static void events_of_others_are_forgotten_and_of_other_kinds_kept(void **state)
{
	struct fixture *f = *state;
	struct report_outcome r = SEND(f, {.id = 183, 5, .update = 1, .foreign = true}, {.id = 182, 6, .update = 2, .name_space = 2}, {.id = 147, 7, .name_space = -1});
	assert_true(r.foreign == 1 && r.kept == 2 && !r.changed);
	assert_true(standing(f).good + standing(f).bad == 0 && standing(f).sync_at == 0 && standing(f).reported_at == at(NOW));
	assert_int_equal(events_kept(f), 2);
	EXPECT(f, "");
}

/* holds: WUSP-REPORT-29 */
static void each_batch_is_a_contact_even_an_empty_one(void **state)
{
	struct fixture *f = *state;
	struct report_outcome r = send_n(f, NULL, 0);
	assert_true(r.kept == 0 && !r.changed && standing(f).reported_at == at(NOW));
	now = NOW + 5;
	SEND(f, {.id = 141, 3});
	assert_true(standing(f).reported_at == at(NOW + 5));
	now = NOW - 5; /* a clock that was set back */
	SEND(f, {.id = 141, 4});
	assert_true(standing(f).reported_at == at(NOW + 5));
}

/* holds: WUSP-REPORT-39 */
static void events_are_applied_by_time_and_ties_by_position(void **state)
{
	struct fixture *f = *state;
	SEND(f, {.id = 183, 9, .update = 1}, {.id = 182, 8, .update = 1}, {.id = 156, 7, .list = {"U=1"}}, {.id = 182, 5, .update = 2}, {.id = 183, 5, .update = 2},
		{.id = 183, 6, .update = 3}, {.id = 182, 6, .update = 3});
	EXPECT(f, "1 installed 9, 2 not-applicable 7, 3 not-applicable 7");
	SEND(f, {.id = 183, 10, .update = 2}, {.id = 182, 10, .update = 2}, {.id = 182, 10, .update = 3}, {.id = 183, 10, .update = 3});
	EXPECT(f, "1 installed 9, 2 failed 10, 3 installed 10");
	SEND(f, {.id = 182, 11, .update = 2, .hresult = 1}, {.id = 156, 11, .list = {"U=2"}}, {.id = 182, 11, .update = 3, .hresult = 2});
	EXPECT(f, "1 not-applicable 11, 2 needed 11, 3 failed 11");
}

/* holds: WUSP-REPORT-38 */
static void what_is_older_than_what_is_known_changes_no_status(void **state)
{
	struct fixture *f = *state;
	SEND(f, {.id = 156, 10, .list = {"U=123"}}, {.id = 183, 20, .update = 1});
	SEND(f, {.id = 182, 15, .update = 1, .hresult = 3}, {.id = 182, 9, .update = 2, .hresult = 4});
	EXPECT(f, "1 installed 20, 2 needed 10, 3 needed 10");
	assert_true(row(f, 1).failed_at == at(15) && row(f, 1).hresult == 3 && row(f, 2).failed_at == at(9)); /* but it is known */
	SEND(f, {.id = 156, 15, .list = {"h=12"}}); /* the newer entry stays */
	EXPECT(f, "1 installed 20, 2 downloaded 15, 3 not-applicable 15");
	SEND(f, {.id = 156, 14, .list = {"g=123456"}}); /* an older list says nothing */
	EXPECT(f, "1 installed 20, 2 downloaded 15, 3 not-applicable 15");
	SEND(f, {.id = 156, 30, .list = {"U=3", "V=1"}});
	SEND(f, {.id = 182, 29, .update = 1}, {.id = 182, 29, .update = 4}); /* the list knew that */
	EXPECT(f, "1 installed 20, 2 not-applicable 30, 3 needed 30, 4 not-applicable -1");
}

/* A failure stays readable when the next list says that it is needed again. */
static void the_last_failure_outlives_a_list(void **state)
{
	struct fixture *f = *state;
	SEND(f, {.id = 156, 5, .list = {"U=1"}});
	SEND(f, {.id = 182, 6, .update = 1, .hresult = -2145124329});
	EXPECT(f, "1 failed 6");
	SEND(f, {.id = 156, 7, .list = {"U=1"}});
	EXPECT(f, "1 needed 7");
	struct status_row r = row(f, 1);
	assert_true(r.failed_at == at(6) && r.hresult == -2145124329 && r.event == 182);
	SEND(f, {.id = 161, 8, .update = 1, .hresult = 5});
	r = row(f, 1);
	assert_true(r.status == STATUS_FAILED && r.failed_at == at(8) && r.hresult == 5 && r.event == 161);
}

/* holds: WUSP-REPORT-38 */
static void times_are_the_servers(void **state)
{
	struct fixture *f = *state;
	clock_off = 5000000; /* nine years ahead */
	SEND(f, {.id = 156, 5000000 + 7, .list = {"U=1"}});
	EXPECT(f, "1 needed 7");
	assert_true(standing(f).skew == 5000000 * MINUTE);
	clock_off = -30000000; /* 57 years behind */
	SEND(f, {.id = 183, -30000000 + 9, .update = 1});
	EXPECT(f, "1 installed 9");
	clock_off = 1; /* the time that a batch may take */
	SEND(f, {.id = 182, 10, .update = 1});
	EXPECT(f, "1 failed 10");
	clock_off = 2;
	SEND(f, {.id = 183, 13, .update = 1});
	EXPECT(f, "1 installed 11");
	clock_off = 0;
	SEND(f, {.id = 182, NOW + 50, .update = 1}); /* nothing was in the future */
	EXPECT(f, "1 failed 1000");
	SEND(f, {.id = 183, -100000000, .update = 2}); /* nor before 1970 */
	assert_int_equal(row(f, 2).at, 0);
	assert_int_equal(row(f, 2).status, STATUS_NOT_APPLICABLE);
}

static void a_client_without_a_clock_is_believed(void **state)
{
	struct fixture *f = *state;
	struct report_event v = {.instance = fx_guid(1), .at = at(5), .name_space = 1, .id = 147};
	struct report r = {.computer = SL("pc"), .now = at(NOW), .client_time = 0, .event = &v, .n = 1};
	struct report_outcome out;
	OK(report_take(fx_begin(f, TXN_FLEET), &r, &out, &fx_err));
	fx_commit(f);
	assert_true(standing(f).sync_at == at(5) && standing(f).skew == 0);
	assert_true(v.at == at(5)); /* the batch is as it was: it may be taken again */
}

/* ================= the computer ================= */

static void the_newest_update_that_it_looked_at_is_noted(void **state)
{
	struct fixture *f = *state;
	struct publish_report p;
	SEND(f, {.id = 156, -5});
	assert_true(standing(f).effective_at == 0); /* it cannot have seen them */
	SEND(f, {.id = 156, 0});
	assert_true(standing(f).effective_at == at(0));
	fx_begin(f, TXN_CATALOG);
	fx_stage(f->t, (struct fx_revision){.update = 7});
	OK(publish(f->t, at(50), &p, &fx_err));
	fx_commit(f);
	SEND(f, {.id = 156, 49});
	assert_true(standing(f).effective_at == at(0));
	SEND(f, {.id = 147, 60});
	assert_true(standing(f).effective_at == at(0));
	SEND(f, {.id = 156, 61});
	assert_true(standing(f).effective_at == at(50));
	fx_begin(f, TXN_CATALOG);
	OK(approve(f->t, &(struct approval){.revision = 1, .group = GROUP_ALL_COMPUTERS, .admin = ADMIN}, &fx_err));
	OK(publish(f->t, at(70), &p, &fx_err)); /* shows nothing new */
	OK(db_del(f->t, DB_META, SL("shown"), &fx_err));
	assert_true(updates_shown(f->t) == 0);
	OK(shown_migrate(f->t, &fx_err));
	assert_true(updates_shown(f->t) == at(50));
	fx_commit(f);
}

static void the_machine_is_as_last_reported(void **state)
{
	struct fixture *f = *state;
	struct slice misc[] = {SL("G=7.6"), SL("K=BIOS = 1"), SL("L=2012-12-31"), SL("A=1")}, other[] = {SL("G=10.0"), SL("K=")};
	char long_text[1000];
	memset(long_text, 'x', sizeof(long_text));
	memcpy(long_text + 254, "\xC3\xA4", 2); /* would be cut in two */
	struct report_event v[] = {
		{.instance = fx_guid(1), .at = at(6), .name_space = 1, .id = 141, .misc = other, .nmisc = 2, .machine = {.brand = SL("Later"), .os = {10, 0, 19045},
			.model = {long_text, sizeof(long_text)}}},
		{.instance = fx_guid(2), .at = at(5), .name_space = 1, .id = 141, .misc = misc, .nmisc = 4,
			.machine = {.brand = SL("Brand"), .model = SL("Model"), .bios = SL("Rev"), .architecture = SL("Amd64Compatible"),
				.os = {6, 1, 7601, 0, 1, 0}, .locale = 1033}}};
	struct report r = {.computer = SL("pc"), .now = at(NOW), .client_time = at(NOW), .event = v + 1, .n = 1};
	struct report_outcome out;
	OK(report_take(fx_begin(f, TXN_FLEET), &r, &out, &fx_err));
	fx_commit(f);
	struct standing s = standing(f);
	assert_true(slice_eq(s.client_version, SL("7.6")) && slice_eq(s.bios_name, SL("BIOS = 1")) && slice_eq(s.bios_date, SL("2012-12-31")));
	assert_true(slice_eq(s.machine.brand, SL("Brand")) && slice_eq(s.machine.model, SL("Model")) && slice_eq(s.machine.bios, SL("Rev")));
	assert_true(slice_eq(s.machine.architecture, SL("Amd64Compatible")) && s.machine.os[2] == 7601 && s.machine.locale == 1033);
	v[1].instance = fx_guid(3);
	r.event = v;
	r.n = 2;
	OK(report_take(fx_begin(f, TXN_FLEET), &r, &out, &fx_err));
	fx_commit(f);
	s = standing(f);
	assert_true(slice_eq(s.client_version, SL("10.0")) && slice_eq(s.bios_name, SL("BIOS = 1")) && slice_eq(s.machine.brand, SL("Later")));
	assert_true(s.machine.os[0] == 10 && s.machine.os[1] == 0 && s.machine.os[4] == 0 && s.machine.locale == 1033);
	assert_true(s.machine.model.n == 254 && s.machine.model.p[253] == 'x');
}

static void an_inventory_is_noted(void **state)
{
	struct fixture *f = *state;
	fx_begin(f, TXN_FLEET);
	OK(report_inventory(f->t, SL("PC"), at(20), &fx_err));
	OK(report_inventory(f->t, SL("pc"), at(10), &fx_err));
	IS(E_NOTFOUND, report_inventory(f->t, SL("nobody"), at(10), &fx_err));
	IS(E_NOTFOUND, report_inventory(f->t, SL(""), at(10), &fx_err));
	fx_commit(f);
	assert_true(standing(f).inventory_at == at(20));
}

static int count_one(const struct computer *c, const struct standing *s, void *arg)
{
	char *text_of = arg;
	size_t n = strlen(text_of);
	snprintf(text_of + n, 100 - n, "%.*s %d;", SLF(c->id), minute(s->status_at));
	return strcmp(text_of, "a -1;pc 5;z 6;") == 0 ? 7 : 0;
}

static void all_computers_have_a_standing(void **state)
{
	struct fixture *f = *state;
	char seen[100] = "";
	struct report_outcome out;
	struct said s = {.id = 156, 6};
	struct standing none;
	struct status_row r;
	contact(f, "z");
	contact(f, "a");
	SEND(f, {.id = 156, 5});
	fx_begin(f, TXN_FLEET);
	OK(take(f, "Z", &s, 1, &out));
	IS(E_NOTFOUND, take(f, "nobody", &s, 1, &out));
	fx_commit(f); /* nothing of the latter */
	fx_begin(f, TXN_READ);
	IS(7, standing_each(f->t, count_one, seen, &fx_err));
	IS(E_NOTFOUND, standing_get(f->t, SL("nobody"), &none));
	IS(E_OK, status_get(f->t, SL("nobody"), 1, &r));
	assert_int_equal(r.status, STATUS_UNKNOWN);
	txn_end(&f->t);
}

/* ================= bounds, failures ================= */

/* Updates without revisions, which pass for held, or not, before the store is looked at as a whole. */
static uint32_t many_updates(struct fixture *f, unsigned n, bool held)
{
	uint32_t no = 0;
	fx_begin(f, TXN_CATALOG);
	for (unsigned i = 0; i < n; i++) {
		struct guid g = fx_guid(100 + i);
		OK(update_number(f->t, &g, &no, &fx_err));
		OK(update_put(f->t, &(struct update){.no = no, .id = g, .known = held, .declined_by = SL("")}, &fx_err));
	}
	fx_commit(f);
	return no - n + 1;
}

static void assert_sound(struct fixture *f, unsigned n)
{
	many_updates(f, n, false);
	fx_assert_sound(fx_begin(f, TXN_READ));
	txn_end(&f->t);
}

/* One event with lists of many updates: U of [from, to), h of those behind until `end`. */
static void send_many(struct fixture *f, int m, unsigned from, unsigned to, unsigned end)
{
	struct buf u, h;
	struct report_outcome out;
	buf_init(&u, 8 << 20);
	buf_init(&h, 8 << 20);
	buf_str(&u, "U=");
	buf_str(&h, "h=");
	for (unsigned i = from; i < end; i++) {
		char id[GUID_TEXT + 1];
		struct guid g = fx_guid(100 + i);
		guid_text(&g, id);
		buf_printf(i < to ? &u : &h, "%s;", id);
	}
	struct slice misc[] = {buf_bytes(&u), buf_bytes(&h)};
	struct report_event v = {.instance = fx_guid(3000000 + (unsigned)m), .at = at(m), .name_space = 1, .id = 156, .misc = misc, .nmisc = 2};
	struct report r = {.computer = SL("pc"), .now = at(NOW), .client_time = at(NOW), .event = &v, .n = 1};
	OK(report_take(fx_begin(f, TXN_FLEET), &r, &out, &fx_err));
	fx_commit(f);
	buf_free(&u);
	buf_free(&h);
}

static int count_rows(const struct status_row *r, void *arg)
{
	unsigned *n = arg;
	n[r->status]++;
	n[STATUS__N] = r->update_no;
	return 0;
}

static void what_says_least_goes_first_when_there_is_too_much(void **state)
{
	struct fixture *f = *state;
	enum { EXTRA = 100 };
	unsigned n[STATUS__N + 1] = {0};
	uint32_t first = many_updates(f, LIMIT_STATUS_ROWS + EXTRA, true);
	struct status_row r;
	send_many(f, 5, 0, EXTRA, EXTRA); /* these are the first to go: not applicable any more, then */
	send_many(f, 6, EXTRA, LIMIT_STATUS_ROWS, LIMIT_STATUS_ROWS + EXTRA);
	OK(status_each(fx_begin(f, TXN_READ), SL("pc"), count_rows, n, &fx_err));
	assert_true(n[STATUS_NOT_APPLICABLE] == 0 && n[STATUS_NEEDED] == LIMIT_STATUS_ROWS - EXTRA && n[STATUS_DOWNLOADED] == EXTRA);
	txn_end(&f->t);
	memset(n, 0, sizeof(n));
	send_many(f, 7, 0, LIMIT_STATUS_ROWS, LIMIT_STATUS_ROWS + EXTRA);
	OK(status_each(fx_begin(f, TXN_READ), SL("pc"), count_rows, n, &fx_err));
	assert_true(n[STATUS_NEEDED] == LIMIT_STATUS_ROWS - EXTRA && n[STATUS_DOWNLOADED] == EXTRA);
	assert_int_equal(n[STATUS__N], first + LIMIT_STATUS_ROWS + EXTRA - 1);
	OK(status_get(f->t, SL("pc"), first + EXTRA - 1, &r));
	assert_int_equal(r.status, STATUS_NOT_APPLICABLE); /* of the needed ones the first to be known */
	OK(status_get(f->t, SL("pc"), first + EXTRA, &r));
	assert_int_equal(r.status, STATUS_NEEDED);
	txn_end(&f->t);
	assert_int_equal(standing(f).count[STATUS_NEEDED], LIMIT_STATUS_ROWS - EXTRA);
	assert_sound(f, LIMIT_STATUS_ROWS + EXTRA);
}

static void failures_are_kept_of_the_latest(void **state)
{
	struct fixture *f = *state;
	uint32_t first = many_updates(f, 300, true);
	struct report_event v[300];
	struct report_outcome out;
	struct status_row r;
	for (unsigned i = 0; i < COUNTOF(v); i++)
		v[i] = (struct report_event){.instance = fx_guid(2000 + i), .at = at((int)(i * 7 % 300)), .name_space = 1, .id = 182,
			.update = fx_guid(100 + i), .hresult = (int32_t)i};
	struct report b = {.computer = SL("pc"), .now = at(NOW), .client_time = at(NOW), .event = v, .n = COUNTOF(v)};
	OK(report_take(fx_begin(f, TXN_FLEET), &b, &out, &fx_err));
	fx_commit(f);
	fx_begin(f, TXN_READ);
	for (unsigned i = 0; i < COUNTOF(v); i++) {
		int m = (int)(i * 7 % 300);
		OK(status_get(f->t, SL("pc"), first + i, &r));
		assert_true(r.status == STATUS_FAILED && r.at == at(m));
		assert_true(m >= 300 - 256 ? r.failed_at == at(m) && r.hresult == (int32_t)i && r.event == 182 : r.failed_at == 0 && r.event == 0);
	}
	txn_end(&f->t);
	assert_sound(f, COUNTOF(v));
}

/* holds: WUSP-REPORT-15 */
static void what_others_only_name_has_no_status(void **state)
{
	struct fixture *f = *state;
	many_updates(f, 2, false);
	send_many(f, 5, 0, 1, 2);
	EXPECT(f, "");
	many_updates(f, 2, true);
	send_many(f, 6, 0, 1, 2);
	assert_int_equal(standing(f).count[STATUS_NEEDED], 1);
}

/* Whatever fails: nothing of the batch is there, and it can be taken again. */
static void a_batch_is_all_or_nothing(void **state)
{
	struct fixture *f = *state;
	static const struct said s[] = {{.id = 156, 5, .list = {"U=12"}}, {.id = 182, 6, .update = 1, .instance = 77}, {.id = 184, 7, .update = 3, .instance = 78}};
	struct report_outcome out;
	int rc = E_NOMEM;
	for (long i = 1; rc != E_OK && i < 1000; i++) {
		fx_begin(f, TXN_FLEET);
		alloc_fail_at = i;
		rc = take(f, "pc", s, COUNTOF(s), &out);
		alloc_fail_at = 0;
		if (rc == E_OK)
			break;
		assert_int_equal(rc, E_NOMEM);
		assert_int_not_equal(txn_commit(&f->t, &fx_err), E_OK);
		EXPECT(f, "");
	}
	fx_commit(f);
	assert_int_equal(out.kept, 3);
	EXPECT(f, "1 failed 6, 2 needed 5, 3 pending-reboot 7");
}

static int with_small_map(void **state)
{
	setenv("WSUS_FLEET_MAP_MB", "1", 1);
	int rc = setup(state);
	unsetenv("WSUS_FLEET_MAP_MB");
	return rc;
}

/* Half of fleet/ is taken: what is there can change, but not grow. */
static void without_room_nothing_grows(void **state)
{
	struct fixture *f = *state;
	static char filler[4000];
	struct report_outcome out;
	struct said grows = {.id = 156, 6, .list = {"U=1234"}}, changes = {.id = 156, 7, .list = {"V=12"}};
	SEND(f, {.id = 156, 5, .list = {"U=12"}});
	fx_begin(f, TXN_FLEET);
	for (uint32_t i = 0; txn_fleet_has_room(f->t); i++) {
		struct key k = key_u32(i);
		OK(db_put(f->t, DB_FMETA, key_bytes(&k), (struct slice){filler, sizeof(filler)}, &fx_err));
	}
	fx_commit(f);
	fx_begin(f, TXN_FLEET);
	IS(E_FULL, take(f, "pc", &grows, 1, &out));
	IS(E_FULL, txn_commit(&f->t, &fx_err));
	SEND(f, changes);
	EXPECT(f, "1 installed 7, 2 installed 7");
}

/* ================= records ================= */

static unsigned findings_with(struct fixture *f, enum db db, const char *id, struct slice value)
{
	fx_begin(f, TXN_FLEET);
	OK(db_put(f->t, db, slice_of(id), value, &fx_err));
	unsigned n = fx_audit(f->t).n;
	txn_end(&f->t);
	return n;
}

static void the_audit_finds_records_that_are_wrong(void **state)
{
	struct fixture *f = *state;
	char good[2000], bad[2000];
	struct slice v;
	SEND(f, {.id = 156, 5, .list = {"U=12"}}, {.id = 182, 6, .update = 1}, {.id = 185, 7, .update = 2});
	OK(db_get(fx_begin(f, TXN_READ), DB_STATUS, SL("pc"), &v));
	memcpy(good, v.p, v.n);
	size_t n = v.n;
	txn_end(&f->t);
	EXPECT(f, "1 failed 6, 2 needed 5 hidden");
	assert_int_equal(n, 9 + 2 * 6 + 2 * 8 + 18);
	static const struct {
		size_t byte;
		char by;
	} wrong[] = {
		{0, 1},   /* a version of later */
		{4, 1},   /* more rows than there are */
		{12, 7},  /* no status */
		{12, 1},  /* another status than the sums say */
		{12, 8},  /* hidden, other than they say */
		{12, 64}, /* rows out of order */
		{13, 1},  /* an update that the catalog never had */
		{18, 64}, /* a time that is not there */
		{40, 16}, /* a failure of an update that has no row */
	};
	for (size_t i = 0; i < COUNTOF(wrong); i++) {
		memcpy(bad, good, n);
		bad[wrong[i].byte] ^= wrong[i].by;
		if (findings_with(f, DB_STATUS, "pc", (struct slice){bad, n}) == 0)
			fail_msg("byte %zu: nothing found", wrong[i].byte);
	}
	assert_true(findings_with(f, DB_STATUS, "pc", (struct slice){good, n - 1}) > 0);
	assert_true(findings_with(f, DB_STATUS, "nobody", (struct slice){good, n}) > 0);
	assert_true(findings_with(f, DB_STANDING, "pc", SL("\x01")) > 0);
	assert_true(findings_with(f, DB_STANDING, "nobody", SL("\x01")) > 0);
	assert_int_equal(findings_with(f, DB_STATUS, "pc", (struct slice){good, n}), 0);
}

static void what_cannot_be_read_is_no_status(void **state)
{
	struct fixture *f = *state;
	struct status_row r;
	struct standing s;
	struct report_outcome out;
	struct said list = {.id = 156, 5, .list = {"U=1"}};
	SEND(f, list);
	fx_begin(f, TXN_FLEET);
	OK(db_put(f->t, DB_STATUS, SL("pc"), SL("\x01junk"), &fx_err));
	IS(E_CORRUPT, status_get(f->t, SL("pc"), 1, &r));
	IS(E_CORRUPT, status_each(f->t, SL("pc"), count_rows, NULL, &fx_err));
	IS(E_CORRUPT, status_count(f->t, SL("pc"), 1, true, &fx_err));
	IS(E_CORRUPT, take(f, "pc", &list, 1, &out));
	txn_end(&f->t);
	fx_begin(f, TXN_FLEET);
	OK(db_put(f->t, DB_STANDING, SL("pc"), SL("\x02"), &fx_err));
	IS(E_CORRUPT, standing_get(f->t, SL("pc"), &s));
	IS(E_CORRUPT, standing_each(f->t, count_one, NULL, &fx_err));
	IS(E_CORRUPT, report_inventory(f->t, SL("pc"), 1, &fx_err));
	IS(E_CORRUPT, take(f, "pc", &list, 1, &out));
	txn_end(&f->t);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fx_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_is_known_before_the_first_report),
		TEST(lists_are_the_state_of_all_updates),
		TEST(of_several_lists_the_strongest_counts),
		TEST(a_list_that_is_absent_is_empty),
		TEST(tags_have_one_letter_of_one_case_and_others_are_kept),
		TEST(what_the_catalog_does_not_know_has_no_status),
		TEST(each_event_does_what_the_table_says),
		TEST(the_last_synchronization_is_the_latest_by_its_own_time),
		TEST(an_update_is_hidden_until_it_is_shown_again),
		TEST(a_restart_ends_what_waited_for_it),
		TEST(an_event_counts_once),
		TEST(events_of_others_are_forgotten_and_of_other_kinds_kept),
		TEST(each_batch_is_a_contact_even_an_empty_one),
		TEST(events_are_applied_by_time_and_ties_by_position),
		TEST(what_is_older_than_what_is_known_changes_no_status),
		TEST(the_last_failure_outlives_a_list),
		TEST(times_are_the_servers),
		TEST(a_client_without_a_clock_is_believed),
		TEST(the_newest_update_that_it_looked_at_is_noted),
		TEST(the_machine_is_as_last_reported),
		TEST(an_inventory_is_noted),
		TEST(all_computers_have_a_standing),
		TEST(what_says_least_goes_first_when_there_is_too_much),
		TEST(failures_are_kept_of_the_latest),
		TEST(what_others_only_name_has_no_status),
		TEST(a_batch_is_all_or_nothing),
		cmocka_unit_test_setup_teardown(without_room_nothing_grows, with_small_map, fx_teardown),
		TEST(the_audit_finds_records_that_are_wrong),
		TEST(what_cannot_be_read_is_no_status),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
