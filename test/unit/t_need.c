/* t_need.c -- which files have to be fetched, of small catalogs whose answer is plain. */
#include <fcntl.h>

#include "store/content.h"
#include "store/downstream.h"
#include "store/need.h"
#include "test/unit/store_fixture.h"

static void set(struct fixture *f, const char *name, const char *value)
{
	OK(setting_set(fx_begin(f, TXN_CATALOG), slice_of(name), slice_of(value), &fx_err));
	fx_publish(f);
}

static void approve_for(struct fixture *f, int32_t revision, uint32_t group, enum action action)
{
	struct approval a = {.revision = revision, .group = group, .action = action, .admin = ADMIN};
	OK(approve(fx_begin(f, TXN_CATALOG), &a, &fx_err));
	fx_publish(f);
}

static void here(struct fixture *f, unsigned file, bool stored)
{
	struct sha1 d = fx_sha1(file);
	OK(file_set_stored(fx_begin(f, TXN_CATALOG), &d, stored, &fx_err));
	fx_publish(f);
}

static void want(struct fixture *f, unsigned file)
{
	struct sha1 d = fx_sha1(file);
	struct guid by = fx_guid(99);
	OK(wanted_add(fx_begin(f, TXN_FLEET), &d, &by, FIXTURE_NOW, &fx_err));
	fx_commit(f);
}

static void make_kind(struct fixture *f, unsigned file, bool express, bool eula)
{
	struct file v;
	struct sha1 d = fx_sha1(file);
	struct txn *t = fx_begin(f, TXN_CATALOG);
	OK(file_get(t, &d, &v, &fx_err));
	v.express = express;
	v.eula = eula;
	OK(file_put(t, &v, &fx_err));
	fx_publish(f);
}

/* The list as "1:a 2:w": files by number, in order, with the letters of why. */
static void assert_needs(struct fixture *f, const char *want_text)
{
	struct arena a;
	struct needs n;
	char text[1024] = "";
	uint64_t bytes = 0;
	arena_init(&a, 1 << 20);
	OK(needs_get(fx_begin(f, TXN_READ), &a, &n, &fx_err));
	for (size_t i = 0; i < n.n; i++) {
		const struct needed *v = &n.v[i];
		struct sha1 d = fx_sha1((unsigned)(v->size / 1000));
		assert_memory_equal(&v->digest, &d, sizeof(d)); /* its size is of that digest */
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%u:%s%s%s", i ? " " : "", (unsigned)(v->size / 1000),
			v->why & NEED_APPROVED ? "a" : "", v->why & NEED_WANTED ? "w" : "", v->why & NEED_ALL ? "*" : "");
		bytes += v->size;
	}
	assert_string_equal(text, want_text);
	assert_true(bytes == n.bytes);
	txn_end(&f->t);
	arena_free(&a);
}

static int32_t add(struct fixture *f, struct fx_revision r)
{
	int32_t id = fx_stage(fx_begin(f, TXN_CATALOG), r);
	fx_publish(f);
	return id;
}

/* holds: WSUSSS-DSS-CONTENT-02 */
static void what_installs_is_needed_and_nothing_else_is(void **state)
{
	struct fixture *f = *state;
	static const enum action actions[] = {ACT_UNINSTALL, ACT_PREDEPLOYMENT_CHECK, ACT_BLOCK};
	int32_t id = add(f, (struct fx_revision){.update = 1, .files = {3, 1, 2}});
	add(f, (struct fx_revision){.update = 2, .files = {4}});
	assert_needs(f, "");
	for (size_t i = 0; i < COUNTOF(actions); i++) {
		approve_for(f, id, GROUP_ALL_COMPUTERS, actions[i]);
		assert_needs(f, "");
	}
	approve_for(f, id, GROUP_UNASSIGNED, ACT_OPTIONAL_INSTALL);
	assert_needs(f, "1:a 2:a 3:a");
	here(f, 2, true);
	assert_needs(f, "1:a 3:a");
	here(f, 2, false); /* withdrawn: to be fetched again */
	assert_needs(f, "1:a 2:a 3:a");
	struct txn *t = fx_begin(f, TXN_CATALOG);
	OK(unapprove(t, fx_update_no(t, 1), GROUP_UNASSIGNED, ADMIN, &fx_err));
	fx_publish(f);
	assert_needs(f, "");
	approve_for(f, id, GROUP_ALL_COMPUTERS, ACT_INSTALL);
	assert_needs(f, "1:a 2:a 3:a");
}

/* A bundle brings the files of its members, of all levels, once; a member that comes later, when it comes. */
static void members_of_approved_bundles_are_needed(void **state)
{
	struct fixture *f = *state;
	add(f, (struct fx_revision){.update = 3, .files = {5, 6}});
	add(f, (struct fx_revision){.update = 2, .files = {6, 7}, .members = {{3, 1}}});
	int32_t top = add(f, (struct fx_revision){.update = 1, .members = {{2, 1}, {3, 1}}});
	approve_for(f, top, GROUP_ALL_COMPUTERS, ACT_INSTALL);
	assert_needs(f, "5:a 6:a 7:a");
	int32_t more = fx_stage(fx_begin(f, TXN_CATALOG), (struct fx_revision){.update = 4, .members = {{5, 1}}});
	struct approval a = {.revision = more, .group = GROUP_ALL_COMPUTERS, .action = ACT_INSTALL, .admin = ADMIN};
	OK(approve(f->t, &a, &fx_err));
	fx_publish(f);
	assert_needs(f, "5:a 6:a 7:a");
	add(f, (struct fx_revision){.update = 5, .files = {8}});
	assert_needs(f, "5:a 6:a 7:a 8:a");
}

/* holds: WSUSSS-DSS-CONTENT-01 WSUSSS-DSS-CONTENT-04 */
static void settings_decide_about_all_of_them(void **state)
{
	struct fixture *f = *state;
	int32_t id = add(f, (struct fx_revision){.update = 1, .files = {4, 2}});
	add(f, (struct fx_revision){.update = 2, .files = {3, 1}});
	approve_for(f, id, GROUP_ALL_COMPUTERS, ACT_INSTALL);
	set(f, "content.download", "all");
	assert_needs(f, "2:a* 4:a* 1:* 3:*");
	add(f, (struct fx_revision){.update = 3, .files = {9}});
	assert_needs(f, "2:a* 4:a* 1:* 3:* 9:*");
	set(f, "content.store", "microsoft");
	assert_needs(f, "");
	set(f, "content.store", "local");
	set(f, "content.download", "approved");
	assert_needs(f, "2:a 4:a");
}

/* holds: WSUSSS-DSS-CONTENT-02 WSUSSS-DOWNLOADFILES-13 */
static void what_a_downstream_server_asked_for_is_needed(void **state)
{
	struct fixture *f = *state;
	int32_t id = add(f, (struct fx_revision){.update = 1, .files = {4, 2}});
	add(f, (struct fx_revision){.update = 2, .files = {3, 1}});
	want(f, 3);
	want(f, 4);
	assert_needs(f, "3:w 4:w");
	approve_for(f, id, GROUP_ALL_COMPUTERS, ACT_INSTALL);
	assert_needs(f, "2:a 4:aw 3:w");
	here(f, 3, true);
	assert_needs(f, "2:a 4:aw");
}

/* holds: WSUSSS-DSS-CONTENT-03 */
static void express_files_are_needed_only_if_they_are_hosted(void **state)
{
	struct fixture *f = *state;
	int32_t id = add(f, (struct fx_revision){.update = 1, .files = {1, 2, 3}});
	make_kind(f, 2, true, false);
	want(f, 2);
	approve_for(f, id, GROUP_ALL_COMPUTERS, ACT_INSTALL);
	assert_needs(f, "1:a 3:a");
	set(f, "content.express", "true");
	assert_needs(f, "1:a 2:aw 3:a");
}

static void assert_waiting(struct fixture *f, int32_t id, bool waiting)
{
	struct deployment d;
	OK(deployment_get(fx_begin(f, TXN_READ), GROUP_ALL_COMPUTERS, id, &d));
	assert_int_equal(d.waiting != 0, waiting);
	fx_assert_sound(f->t);
	txn_end(&f->t);
}

/* What is never fetched holds nothing back; once it is fetched, it does.  holds: WSUSSS-DSS-CONTENT-12 */
static void an_approval_waits_for_what_is_needed(void **state)
{
	struct fixture *f = *state;
	int32_t id = add(f, (struct fx_revision){.update = 1, .files = {1, 2}});
	make_kind(f, 2, true, false);
	approve_for(f, id, GROUP_ALL_COMPUTERS, ACT_INSTALL);
	assert_waiting(f, id, true);
	here(f, 1, true);
	assert_waiting(f, id, false);
	set(f, "content.express", "true");
	assert_waiting(f, id, true);
	set(f, "content.express", "false");
	assert_waiting(f, id, false);
	set(f, "content.express", "true");
	here(f, 2, true);
	assert_waiting(f, id, false);
}

static void an_empty_store_needs_nothing(void **state)
{
	struct fixture *f = *state;
	assert_needs(f, "");
	set(f, "content.download", "all");
	assert_needs(f, "");
}

static void without_memory_it_says_so(void **state)
{
	struct fixture *f = *state;
	struct arena a;
	struct needs n;
	int32_t id = add(f, (struct fx_revision){.update = 1, .files = {1, 2}});
	approve_for(f, id, GROUP_ALL_COMPUTERS, ACT_INSTALL);
	arena_init(&a, 40);
	IS(E_NOMEM, needs_get(fx_begin(f, TXN_READ), &a, &n, &fx_err));
	txn_end(&f->t);
	arena_free(&a);
}

/* ---- what is here, in groups ---- */

/* An approval takes effect with the group that brings its last file, and what was wanted is wanted no more. */
static void groups_are_published_and_marks_swept(void **state)
{
	struct fixture *f = *state;
	int32_t id = add(f, (struct fx_revision){.update = 1, .files = {1, 2}});
	approve_for(f, id, GROUP_ALL_COMPUTERS, ACT_INSTALL);
	want(f, 1);
	struct content_marks m = {.store = f->store, .stored = true};
	for (unsigned i = 1; i <= 2; i++) {
		struct file v = {.digest = fx_sha1(i), .size = i * 1000};
		assert_waiting(f, id, true);
		OK(content_mark(&m, &v, &fx_err));
	}
	struct file gone = {.digest = fx_sha1(77), .size = 1};
	OK(content_mark(&m, &gone, &fx_err)); /* nobody names it any more: no reason to fail */
	assert_needs(f, "1:aw 2:a");
	OK(content_mark_rest(&m, &fx_err));
	assert_waiting(f, id, false);
	assert_needs(f, "");
	OK(content_unwant(f->store, &fx_err));
	struct sha1 d = fx_sha1(1);
	struct wanted w;
	IS(E_NOTFOUND, wanted_get(fx_begin(f, TXN_READ), &d, &w));
	txn_end(&f->t);
}

static void a_large_file_ends_a_group(void **state)
{
	struct fixture *f = *state;
	add(f, (struct fx_revision){.update = 1, .files = {1}});
	struct content_marks m = {.store = f->store, .stored = true};
	struct file v = {.digest = fx_sha1(1), .size = CONTENT_GROUP_BYTES};
	OK(content_mark(&m, &v, &fx_err));
	assert_int_equal(m.n, 0);
	OK(file_get(fx_begin(f, TXN_READ), &v.digest, &v, &fx_err));
	assert_true(v.stored);
	txn_end(&f->t);
}

/* ---- the bell ---- */

static void the_bell_is_a_file_that_the_group_may_write(void **state)
{
	struct fixture *f = *state;
	char path[CONTENT_PATH];
	struct stat st;
	assert_true(content_bell_path(f->dir, path));
	assert_int_not_equal(stat(path, &st), 0);
	content_bell_ring(f->dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	struct timespec old[2] = {{1, 0}, {1, 0}};
	assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
	content_bell_ring(f->dir);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_mtime > 1);
	content_bell_ring("/nowhere/at/all"); /* nothing happens */
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, fx_setup, fx_teardown)
	const struct CMUnitTest tests[] = {
		T(what_installs_is_needed_and_nothing_else_is), T(members_of_approved_bundles_are_needed),
		T(settings_decide_about_all_of_them), T(what_a_downstream_server_asked_for_is_needed),
		T(express_files_are_needed_only_if_they_are_hosted), T(an_approval_waits_for_what_is_needed),
		T(an_empty_store_needs_nothing), T(without_memory_it_says_so), T(groups_are_published_and_marks_swept),
		T(a_large_file_ends_a_group), T(the_bell_is_a_file_that_the_group_may_write),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
