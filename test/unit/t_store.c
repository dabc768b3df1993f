/* t_store.c -- making and opening a store, transactions, modes, growth, dead processes, full maps. */
#include <signal.h>
#include <sys/wait.h>

#include "test/unit/store_fixture.h"

static unsigned mode_of(const struct fixture *f, const char *name)
{
	char path[512];
	struct stat st;
	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void put(struct txn *t, const char *key, const char *value)
{
	OK(db_put(t, DB_META, slice_of(key), slice_of(value), &fx_err));
}

static bool has(struct txn *t, const char *key, const char *value)
{
	struct slice v;
	return db_get(t, DB_META, slice_of(key), &v) == E_OK && slice_eq(v, slice_of(value));
}

/* ---- making and opening ---- */

static void a_new_store_is_sound_and_has_its_own_id(void **state)
{
	struct fixture *f = *state;
	struct server_state st;
	struct txn *t = fx_begin(f, TXN_READ);
	OK(server_state_get(t, &st, &fx_err));
	assert_false(guid_is_zero(&st.server_id));
	assert_int_equal(st.server_id.b[6] >> 4, 4);
	assert_int_equal(st.generation, 1);
	assert_int_equal(st.epoch, 0);
	assert_true(st.created > 0 && st.last_change == st.created);
	fx_assert_sound(t);
	txn_end(&f->t);
}

static void two_stores_have_different_ids(void **state)
{
	struct fixture *f = *state;
	void *other;
	fx_setup(&other);
	struct server_state a, b;
	OK(server_state_get(fx_begin(f, TXN_READ), &a, &fx_err));
	OK(server_state_get(fx_begin(other, TXN_READ), &b, &fx_err));
	assert_int_not_equal(guid_cmp(&a.server_id, &b.server_id), 0);
	txn_end(&f->t);
	fx_teardown(&other);
}

static void creating_twice_is_refused_and_harms_nothing(void **state)
{
	struct fixture *f = *state;
	put(fx_begin(f, TXN_CATALOG), "mark", "kept");
	fx_commit(f);
	store_close(&f->store);
	IS(E_EXISTS, store_create(f->dir, &fx_err));
	fx_open(f, STORE_ADMIN);
	assert_true(has(fx_begin(f, TXN_READ), "mark", "kept"));
	txn_end(&f->t);
}

static void opening_where_nothing_is_says_so(void **state)
{
	(void)state;
	char dir[256];
	struct store *s;
	fx_dir(dir);
	IS(E_NOTFOUND, store_open(&s, dir, STORE_ADMIN, &fx_err));
	assert_null(s);
	assert_non_null(strstr(fx_err.text, "wsusctl store create"));
	fx_remove(dir);
}

static void a_newer_format_is_refused_in_words(void **state)
{
	struct fixture *f = *state;
	const char newer[] = {1, 0, 0, 0, 99};
	OK(db_put(fx_begin(f, TXN_CATALOG), DB_META, SL("format"), (struct slice){newer, sizeof(newer)}, &fx_err));
	fx_commit(f);
	store_close(&f->store);
	IS(E_VERSION, store_open(&f->store, f->dir, STORE_ADMIN, &fx_err));
	assert_non_null(strstr(fx_err.text, "99"));
	IS(E_VERSION, store_open(&f->store, f->dir, STORE_SERVICE, &fx_err));
}

static void modes_do_not_hang_on_the_umask(void **state)
{
	(void)state;
	void *made;
	mode_t old = umask(0777 & ~0700);
	fx_setup(&made);
	umask(old);
	struct fixture *f = made;
	assert_int_equal(mode_of(f, "catalog"), 02750);
	assert_int_equal(mode_of(f, "catalog/data.mdb"), 0640);
	assert_int_equal(mode_of(f, "catalog/lock.mdb"), 0660);
	assert_int_equal(mode_of(f, "fleet"), 02770);
	assert_int_equal(mode_of(f, "fleet/data.mdb"), 0660);
	assert_int_equal(mode_of(f, "fleet/lock.mdb"), 0660);
	fx_teardown(&made);
}

/* ---- persistence ---- */

/* holds: WUSP-ADM-02 */
/* partly: WUSP-ADM-18 (drivers come with their service) */
static void what_was_committed_is_there_after_reopening(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	int32_t id = fx_stage(t, (struct fx_revision){.update = 1, .files = {3}});
	struct approval a = {.revision = id, .group = GROUP_ALL_COMPUTERS, .admin = ADMIN};
	OK(approve(t, &a, &fx_err));
	OK(setting_set(t, SL("scan.scope"), SL("approved"), &fx_err));
	fx_publish(f);
	t = fx_begin(f, TXN_FLEET);
	struct computer c = {.id = SL("pc"), .dns_name = SL("pc.x"), .requested_groups = SL("Lab"), .address = SL(""),
		.last_seen = FIXTURE_NOW};
	OK(computer_contact(t, &c, &fx_err));
	fx_commit(f);
	store_close(&f->store);

	fx_open(f, STORE_SERVICE);
	t = fx_begin(f, TXN_READ);
	struct revision r;
	struct deployment d;
	struct settings set;
	struct frag frag;
	OK(revision_get(t, id, &r, &fx_err));
	assert_true(slice_eq(r.title, SL("A title")));
	OK(fragment_get(t, id, FRAG_LOCALIZED, SL("en"), SL(""), &frag, &fx_err));
	assert_true(frag.n == 1 && slice_eq(frag.v[0].bytes, SL("english")));
	OK(deployment_get(t, GROUP_ALL_COMPUTERS, id, &d));
	OK(settings_get(t, &set, &fx_err));
	assert_int_equal(set.scan_scope, SCOPE_APPROVED);
	OK(computer_get(t, SL("PC"), &c));
	assert_true(slice_eq(c.requested_groups, SL("Lab")));
	txn_end(&f->t);
}

static void an_aborted_transaction_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	put(fx_begin(f, TXN_CATALOG), "mark", "lost");
	txn_end(&f->t);
	assert_false(has(fx_begin(f, TXN_READ), "mark", "lost"));
	txn_end(&f->t);
}

static void a_spoilt_transaction_cannot_be_committed(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	put(t, "mark", "half");
	IS(E_LIMIT, db_put(t, DB_META, SL(""), SL("an empty key"), &fx_err));
	IS(E_LIMIT, txn_commit(&f->t, &fx_err));
	assert_null(f->t);
	assert_false(has(fx_begin(f, TXN_READ), "mark", "half"));
	txn_end(&f->t);
}

static void a_snapshot_stays_while_others_write(void **state)
{
	struct fixture *f = *state;
	uint64_t version;
	struct txn *t = fx_begin(f, TXN_READ);
	version = txn_catalog_version(t);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct fixture other = {.store = NULL};
		struct err e;
		snprintf(other.dir, sizeof(other.dir), "%s", f->dir);
		int rc = store_open(&other.store, other.dir, STORE_ADMIN, &e);
		if (rc == E_OK)
			rc = txn_begin(other.store, TXN_CATALOG, &other.t, &e);
		if (rc == E_OK)
			rc = db_put(other.t, DB_META, SL("mark"), SL("new"), &e);
		if (rc == E_OK)
			rc = txn_commit(&other.t, &e);
		_exit(rc);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_false(has(t, "mark", "new"));
	assert_int_equal(txn_catalog_version(t), version);
	txn_end(&f->t);
	t = fx_begin(f, TXN_READ);
	assert_true(has(t, "mark", "new"));
	assert_int_not_equal(txn_catalog_version(t), version);
	txn_end(&f->t);
}

/* ---- full ---- */

static int fill(struct fixture *f, enum txn_mode mode, enum db db)
{
	static char big[64 << 10];
	struct txn *t = fx_begin(f, mode);
	int rc = E_OK;
	for (unsigned i = 0; rc == E_OK && i < 1000; i++) {
		char key[16];
		snprintf(key, sizeof(key), "%u", i);
		rc = db_put(t, db, slice_of(key), (struct slice){big, sizeof(big)}, &fx_err);
	}
	return rc;
}

static void a_full_map_is_told_with_its_remedy_and_changes_nothing(void **state)
{
	struct fixture *f = *state;
	static const struct {
		enum txn_mode mode;
		enum db db;
		const char *variable;
	} envs[] = {{TXN_CATALOG, DB_EULA, "WSUS_CATALOG_MAP_MB"}, {TXN_FLEET, DB_SEEN, "WSUS_FLEET_MAP_MB"}};
	for (size_t i = 0; i < COUNTOF(envs); i++) {
		uint64_t n;
		store_close(&f->store);
		setenv(envs[i].variable, "4", 1);
		fx_open(f, STORE_ADMIN);
		IS(E_FULL, fill(f, envs[i].mode, envs[i].db));
		assert_non_null(strstr(fx_err.text, envs[i].variable));
		IS(E_FULL, txn_commit(&f->t, &fx_err));
		unsetenv(envs[i].variable);
		OK(db_count(fx_begin(f, TXN_READ), envs[i].db, &n, &fx_err));
		assert_int_equal(n, 0);
		txn_end(&f->t);
		/* the store works on */
		struct txn *t = fx_begin(f, envs[i].mode);
		OK(db_put(t, envs[i].db, SL("small"), SL("value"), &fx_err));
		txn_end(&f->t);
	}
}

static void a_map_that_another_process_outgrew_is_adopted(void **state)
{
	struct fixture *f = *state;
	store_close(&f->store);
	setenv("WSUS_CATALOG_MAP_MB", "4", 1);
	fx_open(f, STORE_ADMIN);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct fixture other = {.store = NULL};
		struct err e;
		snprintf(other.dir, sizeof(other.dir), "%s", f->dir);
		unsetenv("WSUS_CATALOG_MAP_MB");
		static char big[6 << 20];
		int rc = store_open(&other.store, other.dir, STORE_ADMIN, &e);
		if (rc == E_OK)
			rc = txn_begin(other.store, TXN_CATALOG, &other.t, &e);
		if (rc == E_OK)
			rc = db_put(other.t, DB_META, SL("big"), (struct slice){big, sizeof(big)}, &e);
		if (rc == E_OK)
			rc = txn_commit(&other.t, &e);
		_exit(rc);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	unsetenv("WSUS_CATALOG_MAP_MB");
	struct slice v;
	OK(db_get(fx_begin(f, TXN_READ), DB_META, SL("big"), &v));
	assert_int_equal(v.n, 6 << 20);
	txn_end(&f->t);
}

/* ---- processes that die ---- */

/* Runs fn in a child that says when it is inside its transaction, and kills it there. */
static void kill_inside(struct fixture *f, enum txn_mode mode)
{
	int tell[2];
	char c;
	assert_int_equal(pipe(tell), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct store *s;
		struct txn *t;
		struct err e;
		if (store_open(&s, f->dir, STORE_ADMIN, &e) == E_OK && txn_begin(s, mode, &t, &e) == E_OK &&
			(mode == TXN_READ || db_put(t, DB_META, SL("mark"), SL("dead"), &e) == E_OK) &&
			write(tell[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(tell[0], &c, 1), 1);
	kill(pid, SIGKILL);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	close(tell[0]);
	close(tell[1]);
}

static void a_killed_writer_leaves_no_lock_and_no_data(void **state)
{
	struct fixture *f = *state;
	kill_inside(f, TXN_CATALOG);
	struct txn *t = fx_begin(f, TXN_CATALOG);
	assert_false(has(t, "mark", "dead"));
	put(t, "mark", "alive");
	fx_commit(f);
	assert_true(has(fx_begin(f, TXN_READ), "mark", "alive"));
	fx_assert_sound(f->t);
	txn_end(&f->t);
}

static void a_killed_readers_slot_is_cleared(void **state)
{
	struct fixture *f = *state;
	static char big[256 << 10];
	kill_inside(f, TXN_READ);
	store_tidy(f->store);
	struct store_stat before, after;
	for (unsigned round = 0; round < 60; round++) {
		big[0] = (char)round;
		OK(db_put(fx_begin(f, TXN_CATALOG), DB_META, SL("big"), (struct slice){big, sizeof(big)}, &fx_err));
		fx_commit(f);
		if (round == 20) {
			OK(store_stat(fx_begin(f, TXN_READ), &before, &fx_err));
			txn_end(&f->t);
		}
	}
	OK(store_stat(fx_begin(f, TXN_READ), &after, &fx_err));
	txn_end(&f->t);
	assert_int_equal(after.catalog_bytes, before.catalog_bytes); /* old pages are used again */
}

/* ---- the service's role ---- */

static int as_service(const char *dir)
{
	struct store *s;
	struct txn *t;
	struct err e;
	int rc = store_open(&s, dir, STORE_SERVICE, &e);
	if (rc != E_OK) {
		fprintf(stderr, "service: %s\n", e.text);
		return 10;
	}
	if (txn_begin(s, TXN_CATALOG, &t, &e) != E_REFUSED)
		return 11;
	if (txn_begin(s, TXN_FLEET, &t, &e) != E_OK)
		return 12;
	struct computer c = {.id = SL("pc"), .dns_name = SL("pc"), .requested_groups = SL(""), .address = SL(""),
		.last_seen = 5};
	struct group g;
	if (group_get(t, GROUP_UNASSIGNED, &g, &e) != E_OK || computer_contact(t, &c, &e) != E_OK)
		return 13;
	if (txn_commit(&t, &e) != E_OK)
		return 14;
	store_close(&s);
	return 0;
}

static void a_service_needs_no_write_access_to_the_catalog(void **state)
{
	struct fixture *f = *state;
	if (geteuid() != 0) {
		print_message("SKIPPED: only root can become the service's user\n");
		skip();
	}
	const gid_t group = 54321;
	const uid_t user = 54322;
	char dir[512];
	snprintf(dir, sizeof(dir), "%s/with-group", f->dir);
	assert_int_equal(mkdir(dir, 0750), 0);
	assert_int_equal(chown(dir, 0, group), 0);
	assert_int_equal(chmod(dir, 0750), 0);
	assert_int_equal(chmod(f->dir, 0755), 0);
	OK(store_create(dir, &fx_err));
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char data[600];
		snprintf(data, sizeof(data), "%s/catalog/data.mdb", dir);
		if (setgid(group) != 0 || setuid(user) != 0)
			_exit(20);
		_exit(access(data, W_OK) == 0 ? 21 : as_service(dir));
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	struct store *s;
	struct computer c;
	OK(store_open(&s, dir, STORE_ADMIN, &fx_err));
	struct txn *t;
	OK(txn_begin(s, TXN_READ, &t, &fx_err));
	OK(computer_get(t, SL("pc"), &c));
	store_close(&s);
}

/* ---- rows and walks ---- */

static int collect(struct slice key, struct slice value, void *arg)
{
	(void)value;
	struct buf *b = arg;
	buf_slice(b, key);
	buf_char(b, ' ');
	return slice_eq(key, SL("stop")) ? E_BUSY : E_OK;
}

static void walks_go_in_order_below_a_prefix_and_stop_when_told(void **state)
{
	struct fixture *f = *state;
	static const char *const keys[] = {"b2", "a", "b1", "c", "b", "stop", "t"};
	struct txn *t = fx_begin(f, TXN_CATALOG);
	struct buf b;
	uint64_t n;
	buf_init(&b, 1000);
	for (size_t i = 0; i < COUNTOF(keys); i++)
		OK(db_put(t, DB_ASSIGN, slice_of(keys[i]), SL("v"), &fx_err));
	OK(db_each(t, DB_ASSIGN, SL("b"), collect, &b, &fx_err));
	assert_true(slice_eq(buf_bytes(&b), SL("b b1 b2 ")));
	buf_reset(&b);
	IS(E_BUSY, db_each_from(t, DB_ASSIGN, SL("b2"), collect, &b, &fx_err));
	assert_true(slice_eq(buf_bytes(&b), SL("b2 c stop ")));
	OK(db_del_prefix(t, DB_ASSIGN, SL("b"), &n, &fx_err));
	assert_int_equal(n, 3);
	buf_reset(&b);
	IS(E_BUSY, db_each(t, DB_ASSIGN, SL(""), collect, &b, &fx_err));
	assert_true(slice_eq(buf_bytes(&b), SL("a c stop ")));
	buf_free(&b);
	txn_end(&f->t);
}

static void arrays_rewrite_only_the_chunks_that_changed(void **state)
{
	struct fixture *f = *state;
	size_t size = 2 * LIMIT_CHUNK + 100;
	char *p = calloc(1, size);
	unsigned changed;
	struct slice v;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	OK(array_put(t, ARRAY_ROW, 7, p, size, &changed, &fx_err));
	assert_int_equal(changed, 3);
	p[LIMIT_CHUNK] = 1;
	OK(array_put(t, ARRAY_ROW, 7, p, size, &changed, &fx_err));
	assert_int_equal(changed, 1);
	OK(array_chunk(t, ARRAY_ROW, 7, 1, &v));
	assert_true(v.n == LIMIT_CHUNK && v.p[0] == 1);
	OK(array_put(t, ARRAY_ROW, 7, p, 10, &changed, &fx_err));
	assert_int_equal(changed, 3);
	OK(array_chunk(t, ARRAY_ROW, 7, 0, &v));
	assert_int_equal(v.n, 10);
	IS(E_NOTFOUND, array_chunk(t, ARRAY_ROW, 7, 1, &v));
	IS(E_NOTFOUND, array_chunk(t, ARRAY_ROW, 8, 0, &v));
	free(p);
	txn_end(&f->t);
}

static void dirty_bytes_grow_with_what_is_written(void **state)
{
	struct fixture *f = *state;
	static char big[100000];
	struct txn *t = fx_begin(f, TXN_CATALOG);
	assert_int_equal(txn_dirty(t), 0);
	OK(db_put(t, DB_META, SL("big"), (struct slice){big, sizeof(big)}, &fx_err));
	assert_in_range(txn_dirty(t), sizeof(big), sizeof(big) + 100);
	txn_end(&f->t);
}

static void a_new_generation_skips_ids_ahead(void **state)
{
	struct fixture *f = *state;
	struct server_state before, after;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	fx_stage(t, (struct fx_revision){.update = 1});
	uint32_t deployments = counter_last(t, COUNT_DEPLOYMENT);
	OK(server_state_get(t, &before, &fx_err));
	OK(server_new_generation(t, &fx_err));
	OK(server_state_get(t, &after, &fx_err));
	assert_int_equal(after.generation, before.generation + 1);
	assert_true(after.revisions > before.revisions + 1000);
	assert_true(counter_last(t, COUNT_DEPLOYMENT) > deployments + 1000);
	assert_int_equal(fx_stage(t, (struct fx_revision){.update = 2}), (int)after.revisions + 1);
	fx_publish(f);
	fx_assert_sound(fx_begin(f, TXN_READ));
	txn_end(&f->t);
}

/* ---- copies ---- */

static void a_copy_is_a_store_with_the_same_rows(void **state)
{
	struct fixture *f = *state;
	char dir[256];
	struct txn *t = fx_begin(f, TXN_CATALOG);
	int32_t id = fx_stage(t, (struct fx_revision){.update = 1, .files = {1, 2}});
	fx_publish(f);
	struct computer c = {.id = SL("pc"), .dns_name = SL("pc"), .requested_groups = SL(""), .address = SL(""),
		.last_seen = 5};
	OK(computer_contact(fx_begin(f, TXN_FLEET), &c, &fx_err));
	fx_commit(f);
	fx_dir(dir);
	OK(store_copy(f->store, dir, &fx_err));
	IS(E_EXISTS, store_copy(f->store, dir, &fx_err));
	store_close(&f->store);
	fx_remove(f->dir);
	snprintf(f->dir, sizeof(f->dir), "%s", dir);
	assert_int_equal(mode_of(f, "catalog/data.mdb"), 0640);
	assert_int_equal(mode_of(f, "catalog/lock.mdb"), 0660);
	fx_open(f, STORE_ADMIN);
	struct revision r;
	t = fx_begin(f, TXN_READ);
	OK(revision_get(t, id, &r, &fx_err));
	OK(computer_get(t, SL("pc"), &c));
	fx_assert_sound(t);
	txn_end(&f->t);
}

/* ---- imports that died ---- */

static void rows_of_an_unfinished_revision_are_swept_by_the_next_administrator(void **state)
{
	struct fixture *f = *state;
	struct txn *t = fx_begin(f, TXN_CATALOG);
	int32_t kept = fx_stage(t, (struct fx_revision){.update = 1, .files = {1}});
	fx_publish(f);
	t = fx_begin(f, TXN_CATALOG);
	uint32_t id;
	OK(counter_next(t, COUNT_REVISION, &id, &fx_err));
	fx_fragments(t, (int32_t)id);
	struct fx_revision r = {.update = 2, .files = {1, 2}};
	fx_relations(t, (int32_t)id, &r);
	fx_files(t, (int32_t)id, &r);
	fx_commit(f);
	store_close(&f->store);

	fx_open(f, STORE_SERVICE); /* changes nothing */
	struct frag frag;
	OK(fragment_get(fx_begin(f, TXN_READ), (int32_t)id, FRAG_CORE, SL(""), SL(""), &frag, &fx_err));
	txn_end(&f->t);
	store_close(&f->store);

	fx_open(f, STORE_ADMIN);
	t = fx_begin(f, TXN_READ);
	IS(E_NOTFOUND, fragment_get(t, (int32_t)id, FRAG_CORE, SL(""), SL(""), &frag, &fx_err));
	OK(fragment_get(t, kept, FRAG_CORE, SL(""), SL(""), &frag, &fx_err));
	struct file file;
	struct sha1 shared = fx_sha1(1), lonely = fx_sha1(2);
	OK(file_get(t, &shared, &file, &fx_err));
	IS(E_NOTFOUND, file_get(t, &lonely, &file, &fx_err));
	fx_assert_sound(t);
	txn_end(&f->t);
}

static void one_import_at_a_time(void **state)
{
	struct fixture *f = *state;
	OK(store_import_lock(f->store, &fx_err));
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct store *s;
		struct err e;
		if (store_open(&s, f->dir, STORE_ADMIN, &e) != E_OK)
			_exit(50);
		_exit(store_import_lock(s, &e));
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), E_BUSY);
	store_import_unlock(f->store);
	OK(store_import_lock(f->store, &fx_err));
}

#define T(test) cmocka_unit_test_setup_teardown(test, fx_setup, fx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_new_store_is_sound_and_has_its_own_id),
		T(two_stores_have_different_ids),
		T(creating_twice_is_refused_and_harms_nothing),
		cmocka_unit_test(opening_where_nothing_is_says_so),
		T(a_newer_format_is_refused_in_words),
		cmocka_unit_test(modes_do_not_hang_on_the_umask),
		T(what_was_committed_is_there_after_reopening),
		T(an_aborted_transaction_leaves_nothing),
		T(a_spoilt_transaction_cannot_be_committed),
		T(a_snapshot_stays_while_others_write),
		T(a_full_map_is_told_with_its_remedy_and_changes_nothing),
		T(a_map_that_another_process_outgrew_is_adopted),
		T(a_killed_writer_leaves_no_lock_and_no_data),
		T(a_killed_readers_slot_is_cleared),
		T(a_service_needs_no_write_access_to_the_catalog),
		T(walks_go_in_order_below_a_prefix_and_stop_when_told),
		T(arrays_rewrite_only_the_chunks_that_changed),
		T(dirty_bytes_grow_with_what_is_written),
		T(a_new_generation_skips_ids_ahead),
		T(a_copy_is_a_store_with_the_same_rows),
		T(rows_of_an_unfinished_revision_are_swept_by_the_next_administrator),
		T(one_import_at_a_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
