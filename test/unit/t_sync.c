/* t_sync.c -- what downstream servers are told: lists, choices, points, languages, deployments, and stores of before. */
#include "test/unit/small.h"
#include "test/unit/update_doc.h"

#include "store/import.h"
#include "store/sync.h"

/* ---- asking ---- */

static struct sync_choice chosen[8];

/* Choices: categories, then classifications; a negative update is one with Delta TRUE. */
static struct sync_filter filter(uint32_t after, int category, int classification)
{
	struct sync_filter f = {.after = after, .category = chosen, .classification = chosen + 4,
		.ncategory = category != 0, .nclassification = classification != 0};
	chosen[0] = (struct sync_choice){small_guid((uint32_t)abs(category)), category < 0};
	chosen[4] = (struct sync_choice){small_guid((uint32_t)abs(classification)), classification < 0};
	return f;
}

static const char *answer(const struct sync_filter *f)
{
	static char text[512];
	struct sync *s;
	int32_t *ids;
	size_t n, at = 0;
	OK(sync_open(S.t, txn_arena(S.t), &s, &S.e));
	OK(sync_list(s, f, &ids, &n, &S.e));
	text[0] = 0;
	for (size_t i = 0; i < n; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%d", i ? " " : "", (int)ids[i]);
	return text;
}

static void is_told(uint32_t after, const char *want)
{
	struct sync_filter f = filter(after, 0, 0);
	assert_string_equal(answer(&f), want);
}

static void is_told_of(uint32_t after, int category, int classification, const char *want)
{
	struct sync_filter f = filter(after, category, classification);
	assert_string_equal(answer(&f), want);
}

static void config_is(uint32_t after, const char *want)
{
	struct sync_filter f = {.config = true, .after = after, .ncategory = 1, .category = chosen};
	assert_string_equal(answer(&f), want);
}

static void withdraw(uint32_t update, uint32_t group)
{
	OK(unapprove(S.t, small_no(update), group, SL("test"), &S.e));
}

static uint32_t later(void)
{
	uint32_t epoch = show().epoch;
	assert_int_equal(audit_findings(), 0);
	return epoch;
}

/* ================= lists ================= */

/* holds: WSUSSS-REVLIST-11 WSUSSS-REVLIST-12 WSUSSS-REVLIST-16 WSUSSS-ADM-21 */
static void categories_and_updates_are_two_lists(void **state)
{
	(void)state;
	CATEGORY(1);
	CATEGORY(1, .number = 2);
	stage((struct spec){.update = 2, .number = 1, .type = TYPE_DETECTOID});
	STAGE(.update = 3, .prereq = {IN(1, 0)});
	STAGE(.update = 4, .type = TYPE_DRIVER);
	stage((struct spec){.update = 5, .number = 1}); /* nobody reaches it */
	is_told(0, "");
	config_is(0, "");
	uint32_t epoch = later();
	config_is(0, "1 2 3"); /* every revision, as a real server */
	is_told(0, "4 5 6");
	is_told(epoch, "");
	config_is(epoch, "");
	CATEGORY(1, .number = 3);
	STAGE(.update = 5, .number = 2);
	later();
	config_is(epoch, "7");
	is_told(epoch, "8");
}

/* holds: WSUSSS-REVLIST-13 WSUSSS-REVLIST-14 WSUSSS-REVLIST-15 WSUSSS-REVLIST-24 WSUSSS-REVLIST-25 */
static void an_older_revision_is_listed_if_something_needs_it(void **state)
{
	(void)state;
	int32_t old = STAGE(.update = 1);
	STAGE(.update = 1, .number = 3, .flags = REV_EXPIRED);
	uint32_t epoch = later();
	is_told(0, "2");
	STAGE(.update = 1, .number = 2); /* comes late, and is not the highest */
	later();
	is_told(0, "2");
	STAGE(.update = 2, .bundle = {HAS(1, 1)});
	uint32_t bundled = later();
	is_told(epoch, "1 4");
	deploy(3, GROUP_ALL_COMPUTERS, ACT_INSTALL, 0);
	uint32_t deployed = later();
	is_told(bundled, "3");
	deploy(3, GROUP_UNASSIGNED, ACT_INSTALL, 0);
	deploy(old, GROUP_DOWNSTREAM, ACT_BLOCK, 0);
	later();
	is_told(deployed, ""); /* it is listed already */
	withdraw(1, GROUP_ALL_COMPUTERS);
	later();
	is_told(0, "1 2 3 4");
	withdraw(1, GROUP_UNASSIGNED);
	withdraw(1, GROUP_DOWNSTREAM);
	later();
	is_told(0, "1 2 4");
	deploy(3, GROUP_UNASSIGNED, ACT_INSTALL, 0);
	uint32_t again = later();
	is_told(again - 1, "3");
}

/* holds: WSUSSS-REVLIST-24 */
static void declined_ones_are_listed_like_others(void **state)
{
	(void)state;
	STAGE(.update = 1);
	uint32_t epoch = later();
	OK(update_decline(S.t, small_no(1), true, SL("test"), &S.e));
	later();
	is_told(0, "1");
	is_told(epoch, "");
	STAGE(.update = 1, .number = 2);
	later();
	is_told(0, "2");
	is_told(epoch, "2");
}

static void a_bundle_is_listed_when_it_is_complete(void **state)
{
	(void)state;
	STAGE(.update = 1);
	STAGE(.update = 2);
	uint32_t first = later();
	STAGE(.update = 2, .number = 2, .bundle = {HAS(1, 1), HAS(3, 1)});
	later();
	is_told(0, "1 2"); /* the one before it stands in for it */
	STAGE(.update = 3);
	uint32_t complete = later();
	is_told(0, "1 3 4");
	is_told(first, "3 4");
	is_told(complete, "");
}

static void remove_revision(int32_t id)
{
	struct revision r;
	OK(revision_get(S.t, id, &r, &S.e));
	r.flags |= REV_REMOVED;
	OK(revision_put(S.t, &r, &S.e));
	OK(publish_dirty(S.t, &S.e));
}

static void identities_are_those_that_a_peer_may_have(void **state)
{
	(void)state;
	struct guid g = small_guid(1), other = small_guid(9), is;
	int32_t id, number;
	struct sync *s;
	stage((struct spec){.update = 1, .number = 0}); /* a number like any other */
	STAGE(.update = 1, .number = 7);
	assert_int_equal(sync_find(S.t, &g, 7, &id), E_NOTFOUND); /* not published yet */
	later();
	OK(sync_find(S.t, &g, 7, &id));
	assert_int_equal(id, 2);
	OK(sync_find(S.t, &g, 0, &id));
	assert_int_equal(id, 1);
	assert_int_equal(sync_find(S.t, &g, 3, &id), E_NOTFOUND);
	assert_int_equal(sync_find(S.t, &other, 7, &id), E_NOTFOUND);
	OK(sync_open(S.t, txn_arena(S.t), &s, &S.e));
	sync_identity(s, 2, &is, &number);
	assert_int_equal(number, 7);
	assert_int_equal(guid_cmp(&is, &g), 0);
	remove_revision(2);
	later();
	assert_int_equal(sync_find(S.t, &g, 7, &id), E_NOTFOUND);
	is_told(0, "1");
}

/* ================= choices ================= */

enum { FAMILY = 1, PRODUCT, OTHER, SECURITY, DRIVERS };

static uint32_t fill(void)
{
	CATEGORY(FAMILY, .category = CAT_PRODUCT_FAMILY);
	CATEGORY(PRODUCT, .prereq = {IN(FAMILY, 0)});
	CATEGORY(OTHER);
	CATEGORY(SECURITY, .category = CAT_CLASSIFICATION);
	CATEGORY(DRIVERS, .category = CAT_CLASSIFICATION);
	STAGE(.update = 10, .prereq = {IN(PRODUCT, 0), IN(SECURITY, 1)});                /* 6 */
	STAGE(.update = 11, .prereq = {IN(OTHER, 0), IN(SECURITY, 1)});                  /* 7 */
	STAGE(.update = 12, .prereq = {IN(PRODUCT, 0), IN(OTHER, 0), IN(DRIVERS, 1)});   /* 8 */
	STAGE(.update = 13, .prereq = {NEEDS(PRODUCT, 0), NEEDS(SECURITY, 1)});          /* 9: these are no categories of it */
	return later();
}

/* holds: WSUSSS-REVLIST-17 WSUSSS-REVLIST-19 WSUSSS-POPULATE-07 */
static void a_choice_needs_a_category_and_a_classification(void **state)
{
	(void)state;
	fill();
	is_told_of(0, 0, 0, "6 7 8 9");
	is_told_of(0, PRODUCT, SECURITY, "6");
	is_told_of(0, PRODUCT, DRIVERS, "8");
	is_told_of(0, OTHER, DRIVERS, "8");
	is_told_of(0, FAMILY, SECURITY, "6"); /* a product counts for its family */
	is_told_of(0, PRODUCT, 0, "");
	is_told_of(0, 0, SECURITY, "");
	is_told_of(0, 77, SECURITY, ""); /* nobody knows it */
	struct sync_filter f = filter(0, PRODUCT, SECURITY);
	chosen[1] = (struct sync_choice){small_guid(OTHER), false};
	chosen[5] = (struct sync_choice){small_guid(77), false};
	f.ncategory = f.nclassification = 2;
	assert_string_equal(answer(&f), "6 7");
	/* what a declined category names is there like before */
	OK(update_decline(S.t, small_no(PRODUCT), true, SL("test"), &S.e));
	later();
	is_told_of(0, FAMILY, SECURITY, "6");
}

/* holds: WSUSSS-REVLIST-20
 * partly: WSUSSS-REVLIST-21 (an entry without Delta in one of the lists is enough) */
static void delta_is_of_each_id(void **state)
{
	(void)state;
	uint32_t epoch = fill();
	is_told_of(epoch, -PRODUCT, -SECURITY, "");
	is_told_of(epoch, PRODUCT, SECURITY, "6");
	is_told_of(epoch, PRODUCT, -SECURITY, "6"); /* one list is enough */
	is_told_of(epoch, -PRODUCT, SECURITY, "6");
	is_told_of(0, -PRODUCT, -SECURITY, "6"); /* no anchor: all is new */
	struct sync_filter f = filter(epoch, -PRODUCT, -SECURITY);
	chosen[1] = (struct sync_choice){small_guid(OTHER), false};
	chosen[5] = (struct sync_choice){small_guid(DRIVERS), false};
	f.ncategory = f.nclassification = 2;
	assert_string_equal(answer(&f), "7 8"); /* not 6: neither of its own is without Delta */
	STAGE(.update = 10, .number = 2, .prereq = {IN(PRODUCT, 0), IN(SECURITY, 1)});
	later();
	is_told_of(epoch, -PRODUCT, -SECURITY, "10");
	is_told_of(epoch, PRODUCT, -SECURITY, "10");
}

/* Nothing of the updates changes when a category comes late, or another revision of it has other parents. */
static void what_comes_to_belong_is_news(void **state)
{
	(void)state;
	fill();
	STAGE(.update = 14, .prereq = {IN(30, 0), IN(SECURITY, 1)});      /* 10, of a product that comes later */
	STAGE(.update = 15, .number = 3, .bundle = {HAS(14, 1)}, .prereq = {IN(OTHER, 0), IN(DRIVERS, 1)}); /* 11 */
	uint32_t before = later();
	is_told_of(0, FAMILY, SECURITY, "6");
	is_told_of(0, 30, SECURITY, "10");
	CATEGORY(30, .prereq = {IN(FAMILY, 0)}); /* 12 */
	uint32_t came = later();
	is_told_of(before, -FAMILY, -SECURITY, "10");
	is_told_of(before, -30, -SECURITY, ""); /* who chose it by name has been told */
	is_told_of(came, -FAMILY, -SECURITY, "");
	CATEGORY(30, .number = 2, .prereq = {IN(FAMILY, 0)}); /* 13, another title */
	CATEGORY(OTHER, .number = 2, .prereq = {IN(FAMILY, 0)}); /* 14, moved */
	uint32_t moved = later();
	is_told_of(came, -FAMILY, -SECURITY, "7");
	is_told_of(came, -FAMILY, -DRIVERS, "10 11"); /* a bundle brings its members */
	is_told_of(moved, -FAMILY, -SECURITY, "");
	is_told_of(0, FAMILY, SECURITY, "6 7 10");
}

/* Only the bundle at the top says where it belongs. */
static void members_belong_with_their_bundle(void **state)
{
	(void)state;
	uint32_t epoch = fill();
	STAGE(.update = 20);                                                   /* 10 */
	STAGE(.update = 20, .number = 2);                                      /* 11 */
	stage((struct spec){.update = 21, .number = 1, .bundle = {HAS(20, 1)}}); /* 12 */
	uint32_t before = later();
	is_told_of(0, PRODUCT, SECURITY, "6");
	STAGE(.update = 22, .bundle = {HAS(21, 1), HAS(11, 1)}, .prereq = {IN(PRODUCT, 0), IN(SECURITY, 1)}); /* 13 */
	uint32_t bundled = later();
	is_told_of(0, PRODUCT, SECURITY, "6 7 10 12 13");
	is_told_of(before, -PRODUCT, -SECURITY, "7 10 12 13"); /* with it come those that were there before */
	is_told(before, "13");
	is_told_of(epoch, -OTHER, -SECURITY, "");
	is_told_of(0, OTHER, SECURITY, "7");
	is_told_of(bundled, -PRODUCT, -SECURITY, "");
	is_told_of(bundled, PRODUCT, SECURITY, "6 7 10 12 13");
}

/* ================= files ================= */

static struct sha1 name_file(int32_t id)
{
	struct file f = {.digest = {{7, 7, 7}}, .size = 5, .name = SL("a.cab")};
	struct revision_file rf = {.digest = f.digest, .name = f.name, .locale = SL(""), .geo = SL("")};
	OK(revision_file_put(S.t, id, 0, &rf, &f, &S.e));
	return f.digest;
}

/* holds: WSUSSS-POPULATE-05 */
static void who_has_a_file_hears_of_its_address_and_key(void **state)
{
	(void)state;
	struct file f;
	struct sha1 d = name_file(STAGE(.update = 1));
	STAGE(.update = 2);
	uint32_t epoch = later();
	OK(file_set_url(S.t, &d, SL("http://example/a.cab"), &S.e));
	is_told(epoch, ""); /* not before it is published */
	uint32_t url = later();
	assert_int_equal(url, epoch + 1);
	is_told(epoch, "1");
	OK(file_set_url(S.t, &d, SL("http://example/a.cab"), &S.e));
	OK(file_set_key(S.t, &d, SL(""), &S.e));
	assert_int_equal(later(), url);
	OK(file_set_key(S.t, &d, SL("c2VjcmV0"), &S.e));
	later();
	is_told(url, "1");
	OK(file_get(S.t, &d, &f, &S.e));
	assert_true(slice_eq(f.key, SL("c2VjcmV0")) && slice_eq(f.mu_url, SL("http://example/a.cab")));
	char longest[LIMIT_STRING + 1];
	memset(longest, 'x', sizeof(longest));
	assert_int_equal(file_set_key(S.t, &d, (struct slice){longest, sizeof(longest)}, &S.e), E_LIMIT);
	OK(file_set_key(S.t, &d, (struct slice){longest, sizeof(longest) - 1}, &S.e));
	OK(file_set_url(S.t, &d, (struct slice){longest, sizeof(longest) - 1}, &S.e));
	OK(file_get(S.t, &d, &f, &S.e));
	assert_int_equal(f.key.n + f.mu_url.n, 2 * LIMIT_STRING);
}

/* ================= deployments ================= */

static const char *window(uint32_t after, uint32_t until)
{
	static char text[256];
	struct sync_deployments o;
	size_t at = 0;
	OK(sync_deployments(S.t, after, until, txn_arena(S.t), &o, &S.e));
	text[0] = 0;
	for (size_t i = 0; i < o.nlive; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%u:%d ", (unsigned)o.live[i].d.group, (int)o.live[i].d.revision);
	snprintf(text + at, sizeof(text) - at, "-%zu", o.ndead);
	return text;
}

/* holds: WSUSSS-DEPLOYMENTS-11 WSUSSS-DEPLOYMENTS-12 WSUSSS-DEPLOYMENTS-13 WSUSSS-DEPLOYMENTS-14 WSUSSS-DEPLOYMENTS-23 WSUSSS-ADM-25 */
static void deployments_between_two_points(void **state)
{
	(void)state;
	uint32_t group;
	int32_t a = STAGE(.update = 1), b = STAGE(.update = 2);
	OK(group_create(S.t, SL("Lab"), 0, &group, &S.e));
	uint32_t e1 = later();
	deploy(b, GROUP_ALL_COMPUTERS, ACT_INSTALL, 0);
	deploy(a, GROUP_ALL_COMPUTERS, ACT_INSTALL, 0);
	assert_string_equal(window(0, UINT32_MAX), "-0"); /* not published */
	uint32_t e2 = later();
	deploy(a, group, ACT_UNINSTALL, 0);
	uint32_t e3 = later();
	assert_string_equal(window(0, e3), "1:1 1:2 4:1 -0");
	assert_string_equal(window(e1, e2), "1:1 1:2 -0");
	assert_string_equal(window(e2, e3), "4:1 -0");
	assert_string_equal(window(e3, e3), "-0");
	assert_string_equal(window(e3, e1), "-0");
	deploy(a, GROUP_ALL_COMPUTERS, ACT_INSTALL, S.now);
	OK(group_delete(S.t, group, &S.e));
	uint32_t e4 = later();
	assert_string_equal(window(e1, e3), "1:2 -0"); /* what changed since waits */
	assert_string_equal(window(e1, e4), "1:1 1:2 -1");
	assert_string_equal(window(e3, e4), "1:1 -1");
	assert_string_equal(window(0, e4), "1:1 1:2 -0");
	/* the log says no more what happened before */
	OK(setting_set(S.t, SL("scan.scope"), SL("approved"), &S.e));
	uint32_t e5 = later();
	assert_true(e5 > e4);
	assert_string_equal(window(e1, e4), "1:1 1:2 -1");
	assert_string_equal(window(e3, e5), "1:1 -1");
	deploy(a, GROUP_ALL_COMPUTERS, ACT_INSTALL, 0);
	assert_string_equal(window(e5, later()), "1:1 -0");
}

static void a_deployment_has_one_guid_for_life(void **state)
{
	(void)state;
	struct server_state st;
	struct sync_deployments o, dead;
	struct guid want;
	int32_t a = STAGE(.update = 1);
	deploy(a, GROUP_ALL_COMPUTERS, ACT_INSTALL, 0);
	uint32_t epoch = later();
	OK(server_state_get(S.t, &st, &S.e));
	OK(sync_deployments(S.t, 0, epoch, txn_arena(S.t), &o, &S.e));
	assert_int_equal(o.nlive, 1);
	want = st.server_id;
	uint32_t last = get_be32(want.b + 12) ^ o.live[0].d.id;
	put_be32(want.b + 12, last);
	assert_int_equal(guid_cmp(&o.live[0].guid, &want), 0);
	assert_int_equal(o.live[0].number, 1);
	withdraw(1, GROUP_ALL_COMPUTERS);
	uint32_t gone = later();
	OK(sync_deployments(S.t, epoch, gone, txn_arena(S.t), &dead, &S.e));
	assert_int_equal(dead.ndead, 1);
	assert_int_equal(guid_cmp(&dead.dead[0], &want), 0);
	deploy(a, GROUP_ALL_COMPUTERS, ACT_INSTALL, 0);
	OK(sync_deployments(S.t, gone, later(), txn_arena(S.t), &o, &S.e));
	assert_int_equal(guid_cmp(&o.live[0].guid, &want), 0);
}

/* ================= configuration ================= */

static struct sync_language languages[SYNC_LANGUAGES];

static uint32_t point(void)
{
	uint32_t p;
	OK(sync_config(S.t, languages, &p, &S.e));
	return p;
}

static const char *enabled_since(uint32_t since)
{
	static char text[512];
	size_t at = 0;
	text[0] = 0;
	for (int i = 0; i < SYNC_LANGUAGES; i++)
		if (languages[i].changed > since)
			at += (size_t)snprintf(text + at, sizeof(text) - at, "%c%s ", languages[i].enabled ? '+' : '-', languages[i].code);
	return text;
}

static void set(const char *name, const char *value)
{
	OK(setting_set(S.t, slice_of(name), slice_of(value), &S.e));
}

/* holds: WSUSSS-CONFIGDATA-12 WSUSSS-ADM-06 WSUSSS-ADM-07 */
static void a_change_of_the_configuration_raises_its_point(void **state)
{
	(void)state;
	struct slice v;
	assert_int_equal(point(), 1);
	assert_int_equal(languages[0].id, 0);
	assert_string_equal(languages[0].code, "all");
	assert_int_equal(languages[38].id, 66577);
	for (int i = 0; i < SYNC_LANGUAGES; i++)
		assert_true(languages[i].enabled && languages[i].changed == 1 && (i == 0 || languages[i].id > languages[i - 1].id));
	set("sync.languages", "ALL");
	set("content.store", "local");
	set("xpress", "off");
	assert_int_equal(point(), 1); /* nothing that it shows */
	set("sync.languages", " De , en,de");
	OK(setting_get(S.t, SL("sync.languages"), &v, &S.e));
	assert_true(slice_eq(v, SL("de,en")));
	assert_int_equal(point(), 2);
	for (int i = 0; i < SYNC_LANGUAGES; i++)
		assert_true(languages[i].enabled == (languages[i].id == 1031 || languages[i].id == 1033));
	set("content.store", "microsoft");
	assert_int_equal(point(), 3);
	assert_string_equal(enabled_since(2), "");
	set("sync.languages", "en,fr,pt-br");
	assert_int_equal(point(), 4);
	assert_string_equal(enabled_since(3), "-de +fr +pt-br ");
	set("sync.languages", "pt-br,fr,EN");
	assert_int_equal(point(), 4);
}

static void what_is_no_list_of_languages_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {"", ",", "en,", ",en", "en;de", "xx", "all,en", "en,all", "english", "en de"};
	for (size_t i = 0; i < COUNTOF(bad); i++)
		assert_int_equal(setting_set(S.t, SL("sync.languages"), slice_of(bad[i]), &S.e), E_FORM);
	assert_int_equal(point(), 1);
	set("sync.languages", "ar,bg,cs,da,de,el,en,es,et,fi,fr,he,hi,hr,hu,it,ja,ja-nec,ko,lt,lv,nl,no,pl,pt,pt-br,ro,ru,sk,sl,sr,"
		"sv,th,tr,uk,zh-cn,zh-hk,zh-tw");
	assert_int_equal(point(), 2);
	assert_string_equal(enabled_since(1), "-all ");
}

static void a_generation_began_at_its_own_time(void **state)
{
	(void)state;
	struct server_state s = {.created = INT64_C(17911152000004321), .generation = 3};
	assert_int_equal(sync_began(&s), INT64_C(17911152000030000));
	s.generation = 4;
	assert_int_equal(sync_began(&s), INT64_C(17911152000040000));
}

/* ================= what it costs ================= */

/* Approvals change no chunk of the list, unless they name what nobody was told of. */
static void an_approval_leaves_the_list_alone(void **state)
{
	(void)state;
	struct slice was, is;
	int32_t id = 0;
	for (uint32_t n = 1; n <= 1500; n++) /* more than shares a page with other rows, which is copied for those */
		id = STAGE(.update = n, .bytes = 1);
	later();
	OK(txn_commit(&S.t, &S.e));
	OK(txn_begin(S.store, TXN_CATALOG, &S.t, &S.e));
	OK(array_chunk(S.t, ARRAY_LISTED, 0, 0, &was));
	deploy(id, GROUP_ALL_COMPUTERS, ACT_INSTALL, 0);
	later();
	OK(array_chunk(S.t, ARRAY_LISTED, 0, 0, &is));
	assert_ptr_equal(was.p, is.p);
}

/* Each allocation fails in turn, and the next try is as if nothing had been. */
static void a_list_without_memory_is_an_error(void **state)
{
	(void)state;
	struct sync_filter f = filter(fill() - 1, PRODUCT, SECURITY);
	int failed = 0;
	for (long n = 1;; n++) {
		struct sync *s;
		struct arena a;
		int32_t *ids;
		size_t k;
		arena_init(&a, 1 << 20);
		alloc_fail_at = n;
		int rc = sync_open(S.t, &a, &s, &S.e);
		if (rc == E_OK)
			rc = sync_list(s, &f, &ids, &k, &S.e);
		bool done = alloc_fail_at > 0;
		alloc_fail_at = 0;
		assert_true(rc == (done ? E_OK : E_NOMEM));
		failed += !done;
		arena_free(&a);
		if (done)
			break;
	}
	assert_true(failed > 0);
}

/* ================= what a document leaves ================= */

static void import(const char *text)
{
	struct mem_source m = {slice_of(text), 0};
	struct import_report r;
	struct import *i;
	OK(import_begin(&i, S.store, S.now, &S.e));
	OK(import_document(i, mem_refill, &m, &r, &S.e));
	assert_int_equal(r.outcome, IMPORT_NEW);
	OK(import_end(&i, false, &S.e));
}

static void close_and_open(enum store_role role)
{
	txn_end(&S.t);
	store_close(&S.store);
	OK(store_open(&S.store, S.dir, role, &S.e));
	OK(txn_begin(S.store, role == STORE_ADMIN ? TXN_CATALOG : TXN_READ, &S.t, &S.e));
}

#define WITH_FILE(id, n, more) \
	UPDATE(IDENTITY(id, n) PROPERTIES("UpdateType=\"Software\" EulaID=\"" ID_D "\"", more) ENGLISH \
		"<Files><File Digest=\"" DIGEST_1 "\" FileName=\"a.psf\" Size=\"5\" PatchingType=\"Express\" IsEncrypted=\"true\">" \
		"<AdditionalDigest Algorithm=\"SHA256\">" DIGEST_256 "</AdditionalDigest></File></Files>")

static struct file first_file(int32_t id)
{
	struct revision_file *rf;
	struct file f;
	size_t n;
	OK(revision_files(S.t, id, &rf, &n, &S.e));
	assert_int_equal(n, 1);
	assert_true(slice_eq(rf->name, SL("a.psf")));
	OK(file_get(S.t, &rf->digest, &f, &S.e));
	return f;
}

/* All columns of the Revision Table, and again after a start. */
/* holds: WSUSSS-ADM-22 WSUSSS-POPULATE-04 */
/* partly: WSUSSS-ADM-02 (catalog and policy; what servers tell is t_downstream.c) */
static void a_revision_has_its_columns(void **state)
{
	(void)state;
	struct revision r;
	struct guid *hidden;
	size_t n;
	OK(txn_commit(&S.t, &S.e));
	import(WITH_FILE(ID_A, "7", "<SecuredFragment>FileURL</SecuredFragment>"));
	OK(txn_begin(S.store, TXN_CATALOG, &S.t, &S.e));
	struct sha1 d = first_file(1).digest;
	assert_int_equal(first_file(1).mu_url.n + first_file(1).key.n, 0);
	OK(file_set_url(S.t, &d, SL("http://example/a.psf"), &S.e));
	OK(file_set_key(S.t, &d, SL("c2VjcmV0"), &S.e));
	OK(update_decline(S.t, 1, true, SL("test"), &S.e));
	uint32_t epoch = later();
	OK(txn_commit(&S.t, &S.e));
	close_and_open(STORE_SERVICE);
	struct file f = first_file(1);
	assert_true(f.express && f.encrypted && f.has_sha256 && f.sha256.b[31] == 32);
	assert_true(slice_eq(f.mu_url, SL("http://example/a.psf")) && slice_eq(f.key, SL("c2VjcmV0")));
	OK(revision_get(S.t, 1, &r, &S.e));
	assert_int_equal(r.flags & (REV_SECURE_URL | REV_SECURE_KEY), REV_SECURE_URL);
	is_told(epoch - 1, "1");
	OK(sync_hidden(S.t, txn_arena(S.t), &hidden, &n, &S.e));
	assert_true(n == 1 && guid_cmp(hidden, &r.update) == 0);
}

/* holds: WSUSSS-POPULATE-06 WSUSSS-ADM-24 WSUSSS-DEPLOYMENTS-16 */
static void a_eula_is_one_whoever_names_it(void **state)
{
	(void)state;
	struct revision a, b;
	struct guid *eulas;
	size_t n;
	OK(txn_commit(&S.t, &S.e));
	import(WITH_FILE(ID_A, "7", ""));
	import(WITH_FILE(ID_B, "7", ""));
	OK(txn_begin(S.store, TXN_CATALOG, &S.t, &S.e));
	OK(revision_get(S.t, 1, &a, &S.e));
	struct guid eula = a.eula;
	OK(revision_get(S.t, 2, &b, &S.e));
	assert_int_equal(guid_cmp(&eula, &b.eula), 0);
	OK(sync_eulas(S.t, txn_arena(S.t), &eulas, &n, &S.e));
	assert_int_equal(n, 0);
	OK(eula_accept(S.t, &eula, SL("test"), &S.e));
	OK(eula_accept(S.t, &eula, SL("other"), &S.e));
	OK(sync_eulas(S.t, txn_arena(S.t), &eulas, &n, &S.e));
	assert_true(n == 1 && guid_cmp(eulas, &eula) == 0);
}

/* ================= stores of before ================= */

/* As a program of format 2 would have left it. */
static void age(void)
{
	struct index ix;
	OK(txn_begin(S.store, TXN_CATALOG, &S.t, &S.e));
	for (int32_t id = 1; id <= 3; id++) {
		struct revision r;
		OK(revision_get(S.t, id, &r, &S.e));
		r.flags &= ~(REV_SECURE_URL | REV_SECURE_KEY);
		OK(revision_put(S.t, &r, &S.e));
	}
	struct sha1 d;
	assert_true(text_base64_fixed(SL(DIGEST_1), d.b, sizeof(d.b)));
	struct file f;
	OK(file_get(S.t, &d, &f, &S.e));
	f.express = f.encrypted = false;
	OK(file_put(S.t, &f, &S.e));
	OK(index_load(S.t, txn_arena(S.t), &ix, &S.e));
	struct index_row *row = ARENA_ARRAY(txn_arena(S.t), struct index_row, ix.rows);
	for (uint32_t id = 0; id < ix.rows; id++) {
		row[id] = index_row(&ix, id);
		row[id].flags &= (uint16_t)~ROW_LISTED;
	}
	OK(array_put(S.t, ARRAY_ROW, 0, row, ix.rows * sizeof(*row), NULL, &S.e));
	OK(array_put(S.t, ARRAY_LISTED, 0, NULL, 0, NULL, &S.e));
	OK(array_put(S.t, ARRAY_UPDATE_ID, 0, NULL, 0, NULL, &S.e));
	OK(db_put(S.t, DB_META, SL("format"), SL("\1\0\0\0\2"), &S.e));
	OK(txn_commit(&S.t, &S.e));
}

static unsigned secured(int32_t id)
{
	struct revision r;
	OK(revision_get(S.t, id, &r, &S.e));
	return r.flags & (REV_SECURE_URL | REV_SECURE_KEY);
}

/* Longer than a block of its original, whose end cuts the word that is looked for and a reference. */
static const char *long_document(void)
{
	static const char before[] = "<Update xmlns=\"" NS_UPD "\">" IDENTITY(ID_C, "1") "<!--",
		behind[] = "--><Properties UpdateType=\"Software\"><";
	static char text[250000];
	struct buf b;
	buf_init(&b, 4096);
	xml_escape_add(&b, slice_of(before));
	xml_escape_add(&b, slice_of(behind));
	assert_true(b.n < 65535 - 7);
	int pad = (int)(65535 - 7 - b.n);
	buf_free(&b);
	int at = snprintf(text, sizeof(text), "%s%0*d%sSecuredFragment FragmentType=\"FileURL\"/></Properties>" ENGLISH
		"<ApplicabilityRules><IsInstalled>", before, pad, 1, behind);
	for (int i = 0; i < 8000; i++)
		at += snprintf(text + at, sizeof(text) - (size_t)at, "<X a=\"&amp;\"/>");
	snprintf(text + at, sizeof(text) - (size_t)at, "</IsInstalled></ApplicabilityRules></Update>");
	return text;
}

/* holds: WSUSSS-POPULATE-03 */
static void an_older_store_learns_what_it_did_not_keep(void **state)
{
	(void)state;
	struct file f;
	struct sha1 d;
	OK(txn_commit(&S.t, &S.e));
	import(UPDATE(IDENTITY(ID_A, "7") PROPERTIES("UpdateType=\"Software\"", "<SecuredFragment>FileDecryption</SecuredFragment>")
		ENGLISH "<Files><File Digest=\"" DIGEST_1 "\" FileName=\"a.psf\" Size=\"5\" PatchingType=\"Express\" IsEncrypted=\"true\"/>"
		"</Files>"));
	import(UPDATE(IDENTITY(ID_B, "7") SOFTWARE ENGLISH));
	import(long_document());
	age();
	store_close(&S.store);
	OK(store_open(&S.store, S.dir, STORE_READER, &S.e)); /* who only reads it is told of nothing, and gets on */
	OK(txn_begin(S.store, TXN_READ, &S.t, &S.e));
	OK(sync_eulas(S.t, txn_arena(S.t), &(struct guid *){NULL}, &(size_t){0}, &S.e));
	txn_end(&S.t);
	store_close(&S.store);
	OK(store_open(&S.store, S.dir, STORE_ADMIN, &S.e));
	OK(txn_begin(S.store, TXN_CATALOG, &S.t, &S.e));
	assert_int_equal(secured(1), REV_SECURE_KEY);
	assert_int_equal(secured(2), 0);
	assert_int_equal(secured(3), REV_SECURE_URL);
	assert_true(text_base64_fixed(SL(DIGEST_1), d.b, sizeof(d.b)));
	OK(file_get(S.t, &d, &f, &S.e));
	assert_true(f.express && f.encrypted);
	assert_int_equal(audit_findings(), 0);
	is_told(0, "1 2 3");
	is_told(2, "1 2 3"); /* as of the last epoch */
	is_told(3, "");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, small_open, small_close)
	const struct CMUnitTest tests[] = {
		TEST(categories_and_updates_are_two_lists),
		TEST(an_older_revision_is_listed_if_something_needs_it),
		TEST(declined_ones_are_listed_like_others),
		TEST(a_bundle_is_listed_when_it_is_complete),
		TEST(identities_are_those_that_a_peer_may_have),
		TEST(a_choice_needs_a_category_and_a_classification),
		TEST(delta_is_of_each_id),
		TEST(what_comes_to_belong_is_news),
		TEST(members_belong_with_their_bundle),
		TEST(who_has_a_file_hears_of_its_address_and_key),
		TEST(deployments_between_two_points),
		TEST(a_deployment_has_one_guid_for_life),
		TEST(a_change_of_the_configuration_raises_its_point),
		TEST(what_is_no_list_of_languages_is_refused),
		TEST(a_generation_began_at_its_own_time),
		TEST(an_approval_leaves_the_list_alone),
		TEST(a_list_without_memory_is_an_error),
		TEST(a_revision_has_its_columns),
		TEST(a_eula_is_one_whoever_names_it),
		TEST(an_older_store_learns_what_it_did_not_keep),
	};
	return cmocka_run_group_tests_name("sync", tests, NULL, NULL);
}
