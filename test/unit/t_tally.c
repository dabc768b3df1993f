/* t_tally.c -- counts by cohort: they follow events, computers that come and go, and policy; the audit adds them up again. */
#include "common/os_tuple.h"
#include "common/wusp_info.h"
#include "store/tally.h"
#include "test/unit/store_fixture.h"

#define UPDATES 200u /* in four rows */

/* ================= computers and what they report ================= */

static void note_contact(struct txn *t, const char *id, const char *groups)
{
	struct computer c = {.id = slice_of(id), .dns_name = SL("pc.example"), .requested_groups = slice_of(groups), .address = SL("192.0.2.7"),
		.last_seen = FIXTURE_NOW};
	OK(computer_contact(t, &c, &fx_err));
}

static void contact_as(struct fixture *f, const char *id, const char *groups)
{
	note_contact(fx_begin(f, TXN_FLEET), id, groups);
	fx_commit(f);
}

static void contact(struct fixture *f, const char *id)
{
	contact_as(f, id, "");
}

static struct slice registration(struct buf *b, int build, const char *locale)
{
	struct ComputerInfo in = {.OSMajorVersion = 10, .OSBuildNumber = build, .OSLocale = slice_of(locale),
		.ProcessorArchitecture = SL("AMD64"), .SuiteMask = 272, .OldProductType = 1, .NewProductType = 48,
		.has = (UINT64_C(1) << ComputerInfo_wire.n) - 1};
	buf_init(b, 4096);
	computer_info_pack(b, &in);
	return buf_bytes(b);
}

static void enlist(struct fixture *f, const char *id, int build)
{
	struct buf b;
	struct slice info = registration(&b, build, "en-US");
	OK(computer_register(fx_begin(f, TXN_FLEET), slice_of(id), info, &fx_err));
	fx_commit(f);
	buf_free(&b);
}

/* A 156 with these lists of updates, numbers joined by blanks. */
static struct slice list_tag(char to[8192], char tag, const char *numbers)
{
	size_t n = (size_t)snprintf(to, 8192, "%c=", tag);
	for (const char *at = numbers; *at;) {
		char *end, text[GUID_TEXT + 1];
		struct guid g = fx_guid((unsigned)strtoul(at, &end, 10));
		guid_text(&g, text);
		n += (size_t)snprintf(to + n, 8192 - n, "%s;", text);
		at = end + strspn(end, " ");
	}
	return (struct slice){to, n};
}

static unsigned instances;

static void reports_at(struct fixture *f, const char *id, tick_t at, const char *needed, const char *failed, const char *installed)
{
	static char text[3][8192];
	struct slice misc[] = {list_tag(text[0], 'U', needed), list_tag(text[1], 'g', failed), list_tag(text[2], 'V', installed)};
	struct report_event v = {.instance = fx_guid(900000 + ++instances), .at = at, .name_space = 1, .id = 156, .source = 101,
		.app = SL(""), .device = SL(""), .misc = misc, .nmisc = COUNTOF(misc)};
	struct report r = {.computer = slice_of(id), .client_time = at, .now = at, .event = &v, .n = 1};
	struct report_outcome out;
	OK(report_take(fx_begin(f, TXN_FLEET), &r, &out, &fx_err));
	assert_int_equal(out.unknown_updates, 0);
	fx_commit(f);
}

static void reports(struct fixture *f, const char *id, const char *needed, const char *failed, const char *installed)
{
	reports_at(f, id, FIXTURE_NOW + (tick_t)instances * TICKS_PER_SECOND, needed, failed, installed);
}

static int setup(void **state)
{
	int rc = fx_setup(state);
	struct fixture *f = *state;
	fx_begin(f, TXN_CATALOG);
	for (unsigned i = 1; i <= UPDATES; i++)
		fx_stage(f->t, (struct fx_revision){.update = i});
	fx_publish(f);
	instances = 0;
	return rc;
}

/* ================= policy ================= */

static uint32_t make_group(struct fixture *f, const char *name, uint32_t parent)
{
	uint32_t no;
	OK(group_create(fx_begin(f, TXN_CATALOG), slice_of(name), parent, &no, &fx_err));
	fx_commit(f);
	return no;
}

static void assign(struct fixture *f, const char *id, uint32_t group)
{
	OK(assign_set(fx_begin(f, TXN_CATALOG), slice_of(id), &group, 1, &fx_err));
	fx_commit(f);
}

static void set(struct fixture *f, const char *name, const char *value)
{
	OK(setting_set(fx_begin(f, TXN_CATALOG), slice_of(name), slice_of(value), &fx_err));
	fx_commit(f);
}

static bool behind(struct fixture *f)
{
	bool is = membership_behind(fx_begin(f, TXN_READ));
	txn_end(&f->t);
	return is;
}

static void follow(struct fixture *f)
{
	OK(membership_catch_up(f->store, &fx_err));
	assert_false(behind(f));
	fx_assert_sound(fx_begin(f, TXN_READ));
	txn_end(&f->t);
}

/* ================= what is counted ================= */

static struct cohort cohort_with(struct fixture *f, uint32_t group)
{
	struct cohort *v, out = {.no = UINT32_MAX};
	size_t n;
	fx_begin(f, TXN_READ);
	OK(group_cohorts(f->t, GROUP_ALL_COMPUTERS, &v, &n, &fx_err));
	for (size_t i = 0; i < n; i++)
		if (v[i].ngroups == 1 && v[i].group[0] == group)
			out = v[i];
	txn_end(&f->t);
	return out;
}

static struct cohort server(struct fixture *f)
{
	struct cohort c;
	IS(E_OK, cohort_get(fx_begin(f, TXN_READ), COHORT_ALL, &c));
	txn_end(&f->t);
	return c;
}

static void assert_tally(struct fixture *f, uint32_t cohort, unsigned update, const char *expected)
{
	struct tally c;
	char text[128] = "";
	fx_begin(f, TXN_READ);
	OK(tally_get(f->t, cohort, fx_update_no(f->t, update), &c));
	txn_end(&f->t);
	for (unsigned i = 0; i < STATUS__N; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%u", i ? " " : "", (unsigned)c.by[i]);
	assert_string_equal(text, expected);
}

static uint64_t rows(struct fixture *f, enum db db)
{
	uint64_t n;
	OK(db_count(fx_begin(f, TXN_READ), db, &n, &fx_err));
	txn_end(&f->t);
	return n;
}

static struct standing standing(struct fixture *f, const char *id)
{
	struct standing s;
	OK(standing_get(fx_begin(f, TXN_READ), slice_of(id), &s));
	txn_end(&f->t);
	return s;
}

/* ================= computers come, register and go ================= */

static void a_computer_is_counted_from_its_first_contact_until_it_goes(void **state)
{
	struct fixture *f = *state;
	assert_false(behind(f));
	assert_int_equal(server(f).computers, 0);
	contact(f, "pc-1");
	contact(f, "pc-2");
	assert_int_equal(server(f).computers, 2);
	struct cohort c = cohort_with(f, GROUP_UNASSIGNED);
	assert_int_equal(c.computers, 2);
	assert_int_equal(c.reported + c.needing + c.failed + c.up_to_date + c.pending + c.sync_failed, 0);
	follow(f);
	reports(f, "pc-1", "1 2 70", "3", "4");
	reports(f, "pc-2", "", "", "4");
	c = cohort_with(f, GROUP_UNASSIGNED);
	assert_int_equal(c.reported, 2);
	assert_int_equal(c.needing, 1);
	assert_int_equal(c.failed, 1);
	assert_int_equal(c.up_to_date, 1);
	assert_int_equal(c.updates_needed, 4);
	assert_int_equal(c.updates_failed, 1);
	OK(computer_delete(fx_begin(f, TXN_FLEET), SL("PC-1"), &fx_err));
	fx_commit(f);
	follow(f);
	assert_int_equal(server(f).computers, 1);
	assert_int_equal(server(f).updates_needed, 0);
	assert_tally(f, COHORT_ALL, 4, "0 0 0 0 1 0 0");
	OK(computer_delete(fx_begin(f, TXN_FLEET), SL("pc-2"), &fx_err));
	fx_commit(f);
	static const enum db empty[] = {DB_TALLY, DB_STANDING, DB_STATUS, DB_COHORT_OF};
	for (size_t i = 0; i < COUNTOF(empty); i++)
		assert_int_equal(rows(f, empty[i]), 0);
	assert_int_equal(rows(f, DB_COHORT), 1); /* of the server */
	follow(f);
}

/* holds: WSUSSS-ADM-15 */
static void computers_of_one_operating_system_share_its_number(void **state)
{
	struct fixture *f = *state;
	struct os_info os;
	struct os_fields v;
	contact(f, "pc-1");
	contact(f, "pc-2");
	enlist(f, "pc-1", 19045);
	enlist(f, "pc-2", 19045);
	uint32_t no = standing(f, "pc-1").os;
	assert_true(no != 0 && no == standing(f, "pc-2").os);
	assert_true(standing(f, "pc-1").inventory_at > 0);
	fx_begin(f, TXN_READ);
	OK(os_get(f->t, no, &os));
	OK(os_fields(os.tuple, &v));
	assert_int_equal(os.computers, 2);
	assert_true(v.major == 10 && v.build == 19045 && v.suite == 272 && v.old_product_type == 1 && v.new_product_type == 48);
	assert_true(slice_eq(v.locale, SL("en-US")) && slice_eq(v.architecture, SL("AMD64")));
	txn_end(&f->t);
	enlist(f, "pc-2", 22631);
	assert_true(standing(f, "pc-2").os != no);
	follow(f);
	OK(computer_delete(fx_begin(f, TXN_FLEET), SL("pc-1"), &fx_err));
	fx_commit(f);
	assert_int_equal(rows(f, DB_OS), 1);
	follow(f);
}

/* holds: WSUSSS-ADM-19 WSUSSS-ADM-20 */
static void installations_are_counted_by_update_server_and_operating_system(void **state)
{
	struct fixture *f = *state;
	struct guid update = fx_guid(7);
	contact(f, "pc-1");
	enlist(f, "pc-1", 19045);
	uint32_t os = standing(f, "pc-1").os;
	fx_begin(f, TXN_FLEET);
	OK(activity_add(f->t, os, &update, 1, 1, 0, &fx_err));
	OK(activity_add(f->t, os, &update, 1, 0, 2, &fx_err));
	OK(activity_add(f->t, os, &update, 2, 1, 0, &fx_err));
	OK(activity_add(f->t, 0, &update, 1, 1, 0, &fx_err));
	OK(activity_add(f->t, 0, &update, 3, 0, 0, &fx_err));
	fx_commit(f);
	assert_int_equal(rows(f, DB_ACTIVITY), 3);
	OK(computer_delete(fx_begin(f, TXN_FLEET), SL("pc-1"), &fx_err));
	fx_commit(f);
	assert_int_equal(rows(f, DB_OS), 1); /* its installations are still told by it */
	follow(f);
}

static int take_activity(const struct activity *a, void *arg)
{
	struct activity *to = arg;
	if (a->revision == 1 && a->os != 0)
		*to = *a;
	return E_OK;
}

static void installations_come_from_events(void **state)
{
	struct fixture *f = *state;
	struct activity a = {.good = 0};
	struct server_state st;
	contact(f, "pc-1");
	enlist(f, "pc-1", 19045);
	static const int16_t ids[] = {183, 182, 184};
	for (size_t i = 0; i < COUNTOF(ids); i++) {
		struct report_event v = {.instance = fx_guid(700 + (unsigned)i), .at = FIXTURE_NOW + (tick_t)i, .name_space = 1, .id = ids[i],
			.source = 101, .update = fx_guid(5), .revision = 1, .app = SL(""), .device = SL("")};
		struct report r = {.computer = SL("pc-1"), .now = FIXTURE_NOW + 100, .event = &v, .n = 1};
		struct report_outcome out;
		OK(report_take(fx_begin(f, TXN_FLEET), &r, &out, &fx_err));
		fx_commit(f);
	}
	fx_begin(f, TXN_READ);
	OK(activity_each(f->t, take_activity, &a, &fx_err));
	OK(server_state_get(f->t, &st, &fx_err));
	struct guid update = fx_guid(5);
	assert_true(guid_cmp(&a.server, &st.server_id) == 0 && guid_cmp(&a.update, &update) == 0);
	assert_int_equal(a.good, 2);
	assert_int_equal(a.bad, 1);
	txn_end(&f->t);
	assert_int_equal(a.os, standing(f, "pc-1").os);
	follow(f);
}

static void no_more_operating_systems_than_fit_are_told_apart(void **state)
{
	struct fixture *f = *state;
	struct buf b;
	uint32_t no, first;
	fx_begin(f, TXN_FLEET);
	for (int i = 0; i <= (int)LIMIT_OS; i++) {
		OK(os_number(f->t, registration(&b, i, "de-DE"), &no, &fx_err));
		buf_free(&b);
		assert_true(i < (int)LIMIT_OS ? no != 0 : no == 0);
	}
	OK(os_number(f->t, registration(&b, 0, "de-DE"), &first, &fx_err));
	assert_true(first != 0); /* those that are known stay */
	buf_free(&b);
	OK(os_number(f->t, SL(""), &no, &fx_err));
	assert_int_equal(no, 0);
	OK(os_number(f->t, SL("\x01\xFF"), &no, &fx_err)); /* cannot be read */
	assert_int_equal(no, 0);
	txn_end(&f->t);
}

/* ================= counts of updates ================= */

static int note_tally(uint32_t update_no, const struct tally *c, void *arg)
{
	char *text = arg;
	snprintf(text + strlen(text), 256 - strlen(text), "%u:%u/%u/%u ", (unsigned)update_no, (unsigned)c->by[STATUS_NEEDED],
		(unsigned)c->by[STATUS_FAILED], (unsigned)c->by[STATUS_NOT_APPLICABLE]);
	return E_OK;
}

static void counts_of_updates_follow_each_report(void **state)
{
	struct fixture *f = *state;
	char text[256] = "";
	contact(f, "pc-1");
	contact(f, "pc-2");
	contact(f, "pc-3");
	assert_tally(f, COHORT_ALL, 1, "3 0 0 0 0 0 0");
	reports(f, "pc-1", "1 2 130", "", "3");
	assert_tally(f, COHORT_ALL, 1, "2 0 1 0 0 0 0");
	assert_tally(f, COHORT_ALL, 9, "2 1 0 0 0 0 0");
	reports(f, "pc-2", "1", "2", "3");
	assert_tally(f, COHORT_ALL, 1, "1 0 2 0 0 0 0");
	assert_tally(f, COHORT_ALL, 2, "1 0 1 0 0 1 0");
	assert_tally(f, COHORT_ALL, 3, "1 0 0 0 2 0 0");
	assert_int_equal(server(f).updates_needed, 3);
	assert_int_equal(server(f).updates_failed, 1);
	reports(f, "pc-2", "", "", "1 2 3");
	assert_tally(f, COHORT_ALL, 1, "1 0 1 0 1 0 0");
	reports(f, "pc-1", "130", "", "1");
	assert_tally(f, COHORT_ALL, 2, "1 1 0 0 1 0 0");
	assert_int_equal(server(f).updates_needed, 1);
	assert_int_equal(server(f).updates_failed, 0);
	fx_begin(f, TXN_READ);
	OK(tally_each(f->t, COHORT_ALL, note_tally, text, &fx_err));
	uint32_t no[] = {fx_update_no(f->t, 1), fx_update_no(f->t, 2), fx_update_no(f->t, 3), fx_update_no(f->t, 130)};
	char expected[256];
	snprintf(expected, sizeof(expected), "%u:0/0/0 %u:0/0/1 %u:0/0/1 %u:1/0/1 ", no[0], no[1], no[2], no[3]);
	assert_string_equal(text, expected);
	txn_end(&f->t);
	follow(f);
}

static void rows_share_pages_however_many_computers_there_are(void **state)
{
	struct fixture *f = *state;
	struct tally_change v[2000];
	struct slice row;
	uint32_t no, group = GROUP_UNASSIGNED;
	fx_begin(f, TXN_FLEET);
	OK(cohort_number(f->t, &group, 1, &no, &fx_err));
	for (unsigned i = 0; i < COUNTOF(v); i++) /* not in order, and one of them twice */
		v[i] = (struct tally_change){1 + (i * 7) % 1999, STATUS_NOT_APPLICABLE, (uint8_t)(STATUS_NEEDED + i % TALLY_KEPT)};
	for (unsigned times = 0; times < 5; times++) {
		for (unsigned i = 0; i < COUNTOF(v); i++)
			v[i].to = (uint8_t)(STATUS_NEEDED + (i + times) % TALLY_KEPT);
		OK(tally_apply(f->t, no, v, COUNTOF(v), &fx_err));
	}
	assert_int_equal(32, (1999 + TALLY_CHUNK) / TALLY_CHUNK);
	for (uint32_t chunk = 0; chunk < 32; chunk++) {
		struct key k = key_u32_u32(no, chunk);
		OK(db_get(f->t, DB_TALLY, key_bytes(&k), &row));
		assert_true(row.n < 2000);
	}
	for (unsigned i = 0; i < COUNTOF(v); i++)
		for (unsigned times = 0; times < 5; times++) {
			struct tally_change back = {v[i].update_no, (uint8_t)(STATUS_NEEDED + times), STATUS_NOT_APPLICABLE};
			OK(tally_apply(f->t, no, &back, 1, &fx_err));
		}
	uint64_t n;
	OK(db_count(f->t, DB_TALLY, &n, &fx_err));
	assert_int_equal(n, 0);
	txn_end(&f->t);
}

/* ================= policy moves computers ================= */

static void an_assignment_moves_what_its_computer_reported(void **state)
{
	struct fixture *f = *state;
	uint32_t lab = make_group(f, "Lab", 0);
	contact(f, "pc-1");
	contact(f, "pc-2");
	reports(f, "pc-1", "1 70", "2", "3");
	reports(f, "pc-2", "1", "", "");
	follow(f);
	assign(f, "pc-1", lab);
	assert_true(behind(f));
	follow(f);
	struct cohort here = cohort_with(f, lab), left = cohort_with(f, GROUP_UNASSIGNED);
	assert_int_equal(here.computers, 1);
	assert_int_equal(here.updates_needed, 3);
	assert_int_equal(here.updates_failed, 1);
	assert_int_equal(left.computers, 1);
	assert_int_equal(left.updates_needed, 1);
	assert_tally(f, here.no, 1, "0 0 1 0 0 0 0");
	assert_tally(f, left.no, 70, "0 1 0 0 0 0 0");
	assert_tally(f, COHORT_ALL, 1, "0 0 2 0 0 0 0");
	/* an assignment that is what it was is no change */
	assign(f, "pc-1", lab);
	assert_false(behind(f));
	/* a cohort that nobody is in any more is no more */
	assign(f, "pc-2", lab);
	follow(f);
	assert_int_equal(cohort_with(f, GROUP_UNASSIGNED).no, UINT32_MAX);
	assert_int_equal(rows(f, DB_COHORT), 2);
	/* its report moves a computer, too */
	uint32_t hall = make_group(f, "Hall", 0);
	assign(f, "pc-2", hall);
	reports(f, "pc-2", "5", "", "");
	assert_int_equal(cohort_with(f, hall).computers, 1);
	assert_int_equal(cohort_with(f, lab).computers, 1);
	follow(f);
}

/* The first n of them. */
static void assign_many(struct fixture *f, unsigned n, uint32_t group)
{
	fx_begin(f, TXN_CATALOG);
	for (unsigned i = 0; i < n; i++) {
		char id[16];
		snprintf(id, sizeof(id), "pc-%03u", i);
		OK(assign_set(f->t, slice_of(id), &group, 1, &fx_err));
	}
	fx_commit(f);
	OK(membership_catch_up(f->store, &fx_err));
	assert_false(behind(f));
}

/* Into a cohort where it does not belong: it stays there until somebody looks. */
static uint32_t misplace(struct fixture *f, const char *id, uint32_t group)
{
	struct standing was, is;
	fx_begin(f, TXN_FLEET);
	OK(standing_get(f->t, slice_of(id), &was));
	is = was;
	OK(cohort_number(f->t, (uint32_t[]){group, 99}, 2, &is.cohort, &fx_err));
	OK(cohort_change(f->t, &was, &is, &fx_err));
	OK(standing_get(f->t, slice_of(id), &was));
	was.cohort = is.cohort;
	OK(standing_put(f->t, slice_of(id), &was, &fx_err));
	fx_commit(f);
	return is.cohort;
}

static void only_who_was_assigned_is_looked_at(void **state)
{
	struct fixture *f = *state;
	uint32_t lab = make_group(f, "Lab", 0);
	fx_begin(f, TXN_FLEET);
	for (unsigned i = 0; i < 70; i++) {
		char id[16];
		snprintf(id, sizeof(id), "pc-%03u", i);
		note_contact(f->t, id, "");
	}
	fx_commit(f);
	follow(f);
	uint32_t wrong = misplace(f, "pc-013", lab), right = standing(f, "pc-014").cohort;
	assert_int_equal(misplace(f, "pc-069", lab), wrong);
	assign_many(f, 64, lab);
	assert_int_equal(cohort_with(f, lab).computers, 64);
	assert_int_equal(standing(f, "pc-069").cohort, wrong);
	/* more than are listed: everybody */
	assign_many(f, 65, GROUP_ALL_COMPUTERS);
	assert_int_equal(standing(f, "pc-069").cohort, right);
	assert_int_equal(cohort_with(f, GROUP_ALL_COMPUTERS).computers, 65);
	follow(f);
}

static void a_change_for_all_is_followed_in_stretches(void **state)
{
	struct fixture *f = *state;
	bool more = true;
	unsigned stretches = 0;
	fx_begin(f, TXN_FLEET);
	for (unsigned i = 0; i < 600; i++) {
		char id[16];
		snprintf(id, sizeof(id), "pc-%03u", i);
		note_contact(f->t, id, i % 2 ? "Lab" : "Hall;Lab");
	}
	fx_commit(f);
	for (unsigned i = 0; i < 600; i += 100) {
		char id[16];
		snprintf(id, sizeof(id), "pc-%03u", i);
		reports(f, id, "1 2", "", "150");
	}
	follow(f);
	make_group(f, "Lab", 0);
	assert_false(behind(f)); /* names count for nothing yet */
	set(f, "targeting", "client");
	assert_true(behind(f));
	for (; more; stretches++) {
		OK(membership_follow(fx_begin(f, TXN_FLEET), 100, &more, &fx_err));
		fx_commit(f);
		fx_assert_sound(fx_begin(f, TXN_READ)); /* in the midst of it, too */
		txn_end(&f->t);
	}
	assert_true(stretches >= 6 && stretches <= 8);
	follow(f);
	uint32_t lab = 4, hall;
	assert_int_equal(cohort_with(f, lab).computers, 600);
	hall = make_group(f, "Hall", 0);
	assert_true(behind(f));
	follow(f);
	assert_int_equal(cohort_with(f, lab).computers, 300);
	assert_tally(f, cohort_with(f, lab).no, 1, "300 0 0 0 0 0 0");
	OK(group_delete(fx_begin(f, TXN_CATALOG), lab, &fx_err));
	fx_publish(f);
	follow(f);
	assert_int_equal(cohort_with(f, hall).computers, 300);
	assert_int_equal(cohort_with(f, GROUP_UNASSIGNED).computers, 300);
	assert_tally(f, cohort_with(f, hall).no, 1, "294 0 6 0 0 0 0");
	assert_int_equal(server(f).computers, 600);
}

static void a_computer_that_asks_for_other_groups_moves_at_once(void **state)
{
	struct fixture *f = *state;
	uint32_t lab = make_group(f, "Lab", 0);
	set(f, "targeting", "client");
	contact_as(f, "pc-1", "lab");
	reports(f, "pc-1", "1", "", "");
	assert_int_equal(cohort_with(f, lab).computers, 1);
	contact_as(f, "pc-1", "nowhere");
	assert_int_equal(cohort_with(f, lab).no, UINT32_MAX);
	assert_tally(f, cohort_with(f, GROUP_UNASSIGNED).no, 1, "0 0 1 0 0 0 0");
	follow(f);
}

static void a_group_counts_what_stands_below_it(void **state)
{
	struct fixture *f = *state;
	struct cohort *v;
	size_t n;
	uint32_t top = make_group(f, "Top", 0), mid = make_group(f, "Mid", top), side = make_group(f, "Side", 0);
	uint32_t both[] = {mid, side};
	OK(assign_set(fx_begin(f, TXN_CATALOG), SL("pc-2"), both, 2, &fx_err));
	fx_commit(f);
	assign(f, "pc-1", mid);
	assign(f, "pc-3", side);
	contact(f, "pc-1");
	contact(f, "pc-2");
	contact(f, "pc-3");
	contact(f, "pc-4");
	follow(f);
	const struct {
		uint32_t group;
		size_t cohorts;
	} expected[] = {{GROUP_ALL_COMPUTERS, 4}, {GROUP_UNASSIGNED, 1}, {top, 2}, {mid, 2}, {side, 2}, {77, 0}};
	for (size_t i = 0; i < COUNTOF(expected); i++) {
		OK(group_cohorts(fx_begin(f, TXN_READ), expected[i].group, &v, &n, &fx_err));
		assert_int_equal(n, expected[i].cohorts);
		txn_end(&f->t);
	}
	/* a group that moves moves no count */
	OK(group_move(fx_begin(f, TXN_CATALOG), mid, side, &fx_err));
	fx_publish(f);
	assert_false(behind(f));
	OK(group_cohorts(fx_begin(f, TXN_READ), side, &v, &n, &fx_err));
	assert_int_equal(n, 3);
	txn_end(&f->t);
}

/* ================= counting anew ================= */

static void small_fleet(struct fixture *f)
{
	uint32_t lab = make_group(f, "Lab", 0);
	contact(f, "pc-1");
	contact(f, "pc-2");
	contact(f, "pc-3");
	enlist(f, "pc-1", 19045);
	assign(f, "pc-1", lab);
	reports(f, "pc-1", "1 70", "2", "3");
	reports(f, "pc-2", "1", "", "");
	follow(f);
}

static void counts_can_begin_anew(void **state)
{
	struct fixture *f = *state;
	small_fleet(f);
	struct cohort was = server(f);
	OK(report_recount(fx_begin(f, TXN_FLEET), &fx_err));
	fx_commit(f);
	assert_true(behind(f));
	fx_assert_sound(fx_begin(f, TXN_READ)); /* nothing is counted twice, or where nobody is */
	txn_end(&f->t);
	reports(f, "pc-2", "1 9", "", ""); /* it enters by itself */
	assert_int_equal(server(f).computers, 1);
	follow(f);
	struct cohort is = server(f);
	was.updates_needed++;
	assert_memory_equal(&was, &is, sizeof(is));
	assert_tally(f, COHORT_ALL, 1, "1 0 2 0 0 0 0");
}

static void another_catalog(struct fixture *f, tick_t created)
{
	struct server_state st;
	fx_begin(f, TXN_CATALOG);
	OK(server_state_get(f->t, &st, &fx_err));
	st.created = created;
	OK(server_state_put(f->t, &st, &fx_err));
	fx_commit(f);
}

static void numbers_of_another_catalog_mean_nothing(void **state)
{
	struct fixture *f = *state;
	small_fleet(f);
	another_catalog(f, 12345);
	assert_true(behind(f));
	reports(f, "pc-2", "8", "", "");
	assert_tally(f, COHORT_ALL, 8, "0 0 1 0 0 0 0");
	fx_assert_sound(fx_begin(f, TXN_READ));
	txn_end(&f->t);
	follow(f);
	assert_int_equal(server(f).computers, 3);
	assert_int_equal(server(f).reported, 1);
	assert_int_equal(standing(f, "pc-1").count[STATUS_NEEDED], 0);
	assert_true(standing(f, "pc-1").status_at == 0);
	assert_tally(f, COHORT_ALL, 1, "2 1 0 0 0 0 0");
	/* whoever opens the store finds it out */
	another_catalog(f, 54321);
	store_close(&f->store);
	fx_open(f, STORE_ADMIN);
	assert_false(behind(f));
	assert_int_equal(server(f).reported, 0);
	follow(f);
}

static void a_fleet_of_a_later_time_is_counted_anew(void **state)
{
	struct fixture *f = *state;
	small_fleet(f);
	OK(db_del(fx_begin(f, TXN_CATALOG), DB_META, SL("membership"), &fx_err));
	fx_commit(f);
	assert_true(behind(f));
	follow(f);
	assert_int_equal(server(f).computers, 3);
	assert_int_equal(server(f).reported, 0);
}

static void less_than_nothing_is_counted_anew(void **state)
{
	struct fixture *f = *state;
	struct cohort c;
	small_fleet(f);
	fx_begin(f, TXN_FLEET);
	OK(cohort_get(f->t, COHORT_ALL, &c));
	c.reported = 0;
	OK(cohort_put(f->t, &c, &fx_err));
	fx_commit(f);
	OK(computer_delete(fx_begin(f, TXN_FLEET), SL("pc-2"), &fx_err));
	fx_commit(f);
	assert_true(behind(f));
	follow(f);
	assert_int_equal(server(f).reported, 1);
}

/* ================= the audit ================= */

static void wrong_cohort(struct txn *t, uint32_t no, size_t at)
{
	struct cohort c;
	OK(cohort_get(t, no, &c));
	++*(uint32_t *)((char *)&c + at);
	OK(cohort_put(t, &c, &fx_err));
}

static void put_row(struct txn *t, enum db db, struct slice key, struct slice value)
{
	OK(db_put(t, db, key, value, &fx_err));
}

static void wrong_computers(struct txn *t, uint32_t no)
{
	wrong_cohort(t, no, offsetof(struct cohort, computers));
}

static void wrong_reported(struct txn *t, uint32_t no)
{
	wrong_cohort(t, no, offsetof(struct cohort, reported));
}

static void wrong_needing(struct txn *t, uint32_t no)
{
	wrong_cohort(t, no, offsetof(struct cohort, needing));
}

static void wrong_failed(struct txn *t, uint32_t no)
{
	wrong_cohort(t, no, offsetof(struct cohort, failed));
}

static void wrong_up_to_date(struct txn *t, uint32_t no)
{
	wrong_cohort(t, no, offsetof(struct cohort, up_to_date));
}

static void wrong_pending(struct txn *t, uint32_t no)
{
	wrong_cohort(t, no, offsetof(struct cohort, pending));
}

static void wrong_sync_failed(struct txn *t, uint32_t no)
{
	wrong_cohort(t, no, offsetof(struct cohort, sync_failed));
}

static void wrong_updates_needed(struct txn *t, uint32_t no)
{
	wrong_cohort(t, no, offsetof(struct cohort, updates_needed));
}

static void wrong_updates_failed(struct txn *t, uint32_t no)
{
	wrong_cohort(t, no, offsetof(struct cohort, updates_failed));
}

static void lose_tally(struct txn *t, uint32_t no)
{
	struct key k = key_u32_u32(no, fx_update_no(t, 70) / TALLY_CHUNK);
	OK(db_del(t, DB_TALLY, key_bytes(&k), &fx_err));
}

static void invent_tally(struct txn *t, uint32_t no)
{
	struct key k = key_u32_u32(no, 3);
	char b[1 + 8 + 20] = {1};
	b[8] = 1;
	b[12] = 5;
	put_row(t, DB_TALLY, key_bytes(&k), (struct slice){b, sizeof(b)});
}

static void spoil_tally(struct txn *t, uint32_t no)
{
	struct key k = key_u32_u32(no, 3);
	put_row(t, DB_TALLY, key_bytes(&k), SL("\1\0"));
}

static void orphan_tally(struct txn *t, uint32_t no)
{
	(void)no;
	invent_tally(t, 4711);
}

static void change_tally(struct txn *t, uint32_t no)
{
	struct key k = key_u32_u32(no, fx_update_no(t, 70) / TALLY_CHUNK);
	struct slice v;
	char b[2000];
	OK(db_get(t, DB_TALLY, key_bytes(&k), &v));
	memcpy(b, v.p, v.n);
	b[12]++;
	put_row(t, DB_TALLY, key_bytes(&k), (struct slice){b, v.n});
}

static void wrong_os(struct txn *t, uint32_t no)
{
	struct standing s;
	(void)no;
	OK(standing_get(t, SL("pc-1"), &s));
	OK(os_count(t, s.os, 1, &fx_err));
}

static void lose_os(struct txn *t, uint32_t no)
{
	struct standing s;
	(void)no;
	OK(standing_get(t, SL("pc-1"), &s));
	struct key k = key_u32(s.os);
	OK(db_del(t, DB_OS, key_bytes(&k), &fx_err));
	OK(db_empty(t, DB_OS_OF, &fx_err));
}

static void mislead_os(struct txn *t, uint32_t no)
{
	(void)no;
	put_row(t, DB_OS_OF, SL("01234567890123456789012345678901"), SL("\0\0\1\1"));
}

static void spoil_os(struct txn *t, uint32_t no)
{
	(void)no;
	put_row(t, DB_OS, SL("\0\0\0\x9"), SL("\2"));
}

static void wrong_standing(struct txn *t, uint32_t no)
{
	struct standing s;
	(void)no;
	OK(standing_get(t, SL("pc-2"), &s));
	s.count[STATUS_INSTALLED]++;
	OK(standing_put(t, SL("pc-2"), &s, &fx_err));
}

static void wrong_place(struct txn *t, uint32_t no)
{
	struct standing s;
	OK(standing_get(t, SL("pc-3"), &s));
	s.cohort = no;
	OK(standing_put(t, SL("pc-3"), &s, &fx_err));
}

static void nowhere(struct txn *t, uint32_t no)
{
	(void)no;
	wrong_place(t, 0);
}

static void lose_server(struct txn *t, uint32_t no)
{
	struct key k = key_u32(COHORT_ALL);
	(void)no;
	OK(db_del(t, DB_COHORT, key_bytes(&k), &fx_err));
	OK(db_del_prefix(t, DB_TALLY, key_bytes(&k), NULL, &fx_err));
}

static void spoil_cohort(struct txn *t, uint32_t no)
{
	struct key k = key_u32(no);
	put_row(t, DB_COHORT, key_bytes(&k), SL("\1\xFF"));
}

static void mislead_groups(struct txn *t, uint32_t no)
{
	struct key k = key_u32(no);
	put_row(t, DB_COHORT_OF, SL("\0\0\0\1\0\0\0\2"), key_bytes(&k));
}

static void lose_groups(struct txn *t, uint32_t no)
{
	struct cohort c;
	OK(cohort_get(t, no, &c));
	struct key k = key_u32(c.group[0]);
	OK(db_del(t, DB_COHORT_OF, key_bytes(&k), &fx_err));
}

static void spoil_activity(struct txn *t, uint32_t no)
{
	(void)no;
	put_row(t, DB_ACTIVITY, SL("0123456789012345678901234567890123456789"), SL("\1"));
}

static void orphan_activity(struct txn *t, uint32_t no)
{
	struct guid g = fx_guid(1);
	(void)no;
	OK(activity_add(t, 99, &g, 1, 1, 0, &fx_err));
}

static void orphan_standing(struct txn *t, uint32_t no)
{
	struct standing s;
	(void)no;
	OK(standing_get(t, SL("pc-2"), &s));
	OK(standing_put(t, SL("pc-9"), &s, &fx_err));
}

static void orphan_status(struct txn *t, uint32_t no)
{
	struct slice v;
	char b[2000];
	(void)no;
	OK(db_get(t, DB_STATUS, SL("pc-2"), &v));
	memcpy(b, v.p, v.n);
	put_row(t, DB_STATUS, SL("pc-9"), (struct slice){b, v.n});
}

static void spoil_standing(struct txn *t, uint32_t no)
{
	(void)no;
	put_row(t, DB_STANDING, SL("pc-2"), SL("\1\1"));
}

static void spoil_status(struct txn *t, uint32_t no)
{
	(void)no;
	put_row(t, DB_STATUS, SL("pc-2"), SL("\1\1"));
}

static const struct {
	void (*spoil)(struct txn *, uint32_t cohort);
	const char *words;
} faults[] = {
	{wrong_computers, "counts 2 computers, there are 1"},
	{wrong_reported, "computers that reported"},
	{wrong_needing, "computers that need updates"},
	{wrong_failed, "computers with failures"},
	{wrong_up_to_date, "computers that are up to date"},
	{wrong_pending, "computers that wait for a restart"},
	{wrong_sync_failed, "computers that could not synchronize"},
	{wrong_updates_needed, "updates that are needed"},
	{wrong_updates_failed, "updates that failed"},
	{lose_tally, "counts 0 computers that have update 70 needed, there are 1"},
	{invent_tally, "counts 5 computers that have update 192 needed, there are 0"},
	{spoil_tally, "a row of the counts of updates cannot be read"},
	{orphan_tally, "counts of updates of cohort 4711, which is not there"},
	{change_tally, "there are 1"},
	{wrong_os, "counts 2 computers, there are 1"},
	{lose_os, "has operating system 1, which is not there"},
	{mislead_os, "a digest leads to an operating system that is not there"},
	{spoil_os, "the record of an operating system cannot be read"},
	{wrong_standing, "computer pc-2 has other updates than its standing counts"},
	{wrong_place, "computer pc-3 is counted in other groups than it is in"},
	{nowhere, "computer pc-3 is not counted"},
	{lose_server, "nothing is counted for the server as a whole"},
	{spoil_cohort, "the counts of a cohort cannot be read"},
	{mislead_groups, "a set of groups leads to a cohort that is not its own"},
	{lose_groups, "do not lead to it"},
	{spoil_activity, "counted installations of an update cannot be read"},
	{orphan_activity, "installations are counted for operating system 99, which is not there"},
	{orphan_standing, "there is a standing of computer pc-9, which is not there"},
	{orphan_status, "there are statuses of computer pc-9, which is not there"},
	{spoil_standing, "how computer pc-2 stands cannot be read"},
	{spoil_status, "the statuses of computer pc-2 cannot be read"},
};

static void the_audit_finds_each_wrong_count(void **state)
{
	struct fixture *f = *state;
	small_fleet(f);
	uint32_t lab = standing(f, "pc-1").cohort;
	for (size_t i = 0; i < COUNTOF(faults); i++) {
		struct fx_findings all = {.n = 0};
		struct auditor to = {.found = fx_found, .arg = &all};
		faults[i].spoil(fx_begin(f, TXN_FLEET), lab);
		OK(report_audit(f->t, &to, &fx_err));
		assert_int_equal(to.n, all.n);
		if (to.n == 0 || !strstr(all.text, faults[i].words))
			fail_msg("fault %zu should be \"%s\", the audit found: %s", i, faults[i].words, all.text);
		txn_end(&f->t);
	}
	fx_assert_sound(fx_begin(f, TXN_READ));
	txn_end(&f->t);
}

/* ================= failures ================= */

static int follow_once(struct fixture *f)
{
	bool more;
	int rc = membership_follow(f->t, 0, &more, &fx_err);
	return rc == E_OK ? txn_commit(&f->t, &fx_err) : rc;
}

static int delete_once(struct fixture *f)
{
	int rc = computer_delete(f->t, SL("pc-1"), &fx_err);
	return rc == E_OK ? txn_commit(&f->t, &fx_err) : rc;
}

static int recount_once(struct fixture *f)
{
	int rc = report_recount(f->t, &fx_err);
	return rc == E_OK ? follow_once(f) : rc;
}

static int register_once(struct fixture *f)
{
	struct buf b;
	long at = alloc_fail_at;
	alloc_fail_at = 0;
	struct slice info = registration(&b, 20348, "fr-FR");
	alloc_fail_at = at;
	int rc = computer_register(f->t, SL("pc-2"), info, &fx_err);
	buf_free(&b);
	return rc == E_OK ? txn_commit(&f->t, &fx_err) : rc;
}

static void no_allocation_is_taken_for_granted(void **state)
{
	struct fixture *f = *state;
	int (*const steps[])(struct fixture *) = {register_once, follow_once, recount_once, delete_once};
	small_fleet(f);
	assign(f, "pc-1", GROUP_UNASSIGNED);
	assign(f, "pc-3", 4);
	for (size_t i = 0; i < COUNTOF(steps); i++) {
		int rc = E_NOMEM;
		long n = 1;
		for (; rc != E_OK && n < 400; n++) {
			fx_begin(f, TXN_FLEET);
			alloc_fail_at = n;
			rc = steps[i](f);
			alloc_fail_at = 0;
			if (rc != E_OK) {
				assert_int_equal(rc, E_NOMEM);
				assert_int_equal(txn_commit(&f->t, &fx_err), E_NOMEM); /* half of it is never committed */
			}
		}
		assert_true(rc == E_OK && n > 2);
	}
	follow(f);
	assert_int_equal(server(f).computers, 2);
}

static void installations_of_more_updates_need_room(void **state)
{
	struct fixture *f = *state;
	int rc = E_OK;
	unsigned i = 0;
	store_close(&f->store);
	setenv("WSUS_FLEET_MAP_MB", "1", 1);
	fx_open(f, STORE_ADMIN);
	while (rc == E_OK && i < 20000) {
		fx_begin(f, TXN_FLEET);
		for (unsigned n = 0; rc == E_OK && n < 100; n++) {
			struct guid g = fx_guid(i++);
			rc = activity_add(f->t, 0, &g, 1, 1, 0, &fx_err);
		}
		if (rc == E_OK)
			fx_commit(f);
	}
	assert_int_equal(rc, E_FULL);
	assert_int_equal(txn_commit(&f->t, &fx_err), E_FULL);
	struct guid first = fx_guid(0);
	OK(activity_add(fx_begin(f, TXN_FLEET), 0, &first, 1, 1, 0, &fx_err)); /* those that are there go on */
	fx_commit(f);
	unsetenv("WSUS_FLEET_MAP_MB");
}

/* ================= packed ================= */

static void operating_systems_are_packed_and_unpacked(void **state)
{
	(void)state;
	struct os_fields in = {.major = 10, .minor = -1, .build = 26100, .sp_major = 1, .sp_minor = 2, .locale = SL("en-US"),
		.architecture = SL("AMD64"), .suite = 256, .old_product_type = 3, .new_product_type = 8, .system_metrics = INT32_MIN}, out;
	struct buf a, b;
	buf_init(&a, OS_TUPLE);
	os_tuple_pack(&a, &in);
	OK(os_tuple_unpack(buf_bytes(&a), &out));
	assert_true(out.major == 10 && out.minor == -1 && out.build == 26100 && out.sp_major == 1 && out.sp_minor == 2 && out.suite == 256);
	assert_true(out.old_product_type == 3 && out.new_product_type == 8 && out.system_metrics == INT32_MIN);
	assert_true(slice_eq(out.locale, in.locale) && slice_eq(out.architecture, in.architecture));
	for (size_t n = 0; n < a.n; n++)
		IS(E_CORRUPT, os_tuple_unpack((struct slice){a.p, n}, &out));
	char text[2 * LIMIT_STRING];
	memset(text, 'x', sizeof(text));
	in.locale = in.architecture = (struct slice){text, sizeof(text)};
	buf_init(&b, OS_TUPLE);
	os_tuple_pack(&b, &in);
	assert_true(b.rc == E_OK && b.n == OS_TUPLE);
	OK(os_tuple_unpack(buf_bytes(&b), &out));
	assert_int_equal(out.architecture.n, LIMIT_STRING);
	buf_char(&b, 0);
	buf_free(&a);
	buf_free(&b);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, fx_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_computer_is_counted_from_its_first_contact_until_it_goes),
		T(computers_of_one_operating_system_share_its_number),
		T(installations_are_counted_by_update_server_and_operating_system),
		T(installations_come_from_events),
		T(no_more_operating_systems_than_fit_are_told_apart),
		T(counts_of_updates_follow_each_report),
		T(rows_share_pages_however_many_computers_there_are),
		T(an_assignment_moves_what_its_computer_reported),
		T(only_who_was_assigned_is_looked_at),
		T(a_change_for_all_is_followed_in_stretches),
		T(a_computer_that_asks_for_other_groups_moves_at_once),
		T(a_group_counts_what_stands_below_it),
		T(counts_can_begin_anew),
		T(numbers_of_another_catalog_mean_nothing),
		T(a_fleet_of_a_later_time_is_counted_anew),
		T(less_than_nothing_is_counted_anew),
		T(the_audit_finds_each_wrong_count),
		T(no_allocation_is_taken_for_granted),
		T(installations_of_more_updates_need_room),
		cmocka_unit_test(operating_systems_are_packed_and_unpacked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
