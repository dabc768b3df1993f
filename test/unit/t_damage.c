/* t_damage.c -- files of a store that are cut, spoilt, missing or noted as damaged. */
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "store/env.h"
#include "test/unit/store_fixture.h"

enum { PAGE = 4096 };

static const char *data_of(const struct fixture *f, const char *part)
{
	static char path[600];
	snprintf(path, sizeof(path), "%s/%s/data.mdb", f->dir, part);
	return path;
}

static off_t size_of(const char *path)
{
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

/* The caller frees it. */
static char *read_file(const char *path)
{
	size_t n = (size_t)size_of(path);
	char *copy = malloc(n);
	FILE *file = fopen(path, "rb");
	assert_true(copy && file);
	assert_int_equal(fread(copy, 1, n, file), n);
	fclose(file);
	return copy;
}

static void write_file(const char *path, const void *content, size_t n)
{
	FILE *file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(content, 1, n, file), n);
	assert_int_equal(fclose(file), 0);
}

/* Rows enough for inner pages in both parts. */
static void fill(struct fixture *f)
{
	char value[900];
	memset(value, 'v', sizeof(value));
	struct txn *t = fx_begin(f, TXN_CATALOG);
	for (uint32_t i = 1; i <= 400; i++) {
		struct key k = key_u32(i);
		OK(db_put(t, DB_AUDIT, key_bytes(&k), (struct slice){value, sizeof(value)}, &fx_err));
	}
	fx_commit(f);
	t = fx_begin(f, TXN_FLEET);
	for (uint32_t i = 1; i <= 400; i++) {
		struct key k = key_u32(i);
		OK(db_put(t, DB_SEEN, key_bytes(&k), (struct slice){value, sizeof(value)}, &fx_err));
	}
	fx_commit(f);
}

static int opens(struct fixture *f, enum store_role role)
{
	store_close(&f->store);
	return store_open(&f->store, f->dir, role, &fx_err);
}

/* In a child: what cannot be read may end who reads. */
static int in_child(int (*fn)(const struct fixture *), const struct fixture *f)
{
	int status;
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0)
		_exit(fn(f));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

static void die_with(enum store_part part, const char *what)
{
	_exit(what[0] ? 100 + (int)part : 99);
}

static int read_both(const struct fixture *f)
{
	struct store *s;
	struct err e = {0};
	store_on_damage(die_with);
	int rc = store_open(&s, f->dir, STORE_READER, &e);
	for (enum store_part p = 0; rc == E_OK && p < STORE__PARTS; p++)
		rc = store_read_all(s, p, &e);
	return rc;
}

static void a_sound_store_is_read_to_the_end(void **state)
{
	struct fixture *f = *state;
	fill(f);
	for (enum store_part p = 0; p < STORE__PARTS; p++) {
		OK(store_read_all(f->store, p, &fx_err));
		assert_null(store_trouble(f->store, p));
		assert_true(store_has(f->store, p));
		assert_true(store_file_mark(f->dir, p) != 0);
	}
	assert_null(store_reading());
	assert_false(store_moved(f->store));
	assert_int_equal(in_child(read_both, f), E_OK);
}

static void every_length_that_is_too_short_is_damage(void **state)
{
	struct fixture *f = *state;
	fill(f);
	store_close(&f->store);
	for (unsigned p = 0; p < STORE__PARTS; p++) {
		const char *data = data_of(f, store_part_names[p]);
		off_t whole = size_of(data);
		char *copy = read_file(data);
		for (off_t n = whole / PAGE - 1; n >= 0; n -= 7) {
			assert_int_equal(truncate(data, n * PAGE), 0);
			int rc = in_child(read_both, f);
			assert_true(rc == E_DAMAGED || rc == E_CORRUPT || rc == 100 + (int)p);
		}
		write_file(data, copy, (size_t)whole);
		free(copy);
	}
	assert_int_equal(in_child(read_both, f), E_OK);
	OK(store_open(&f->store, f->dir, STORE_ADMIN, &fx_err));
}

static void pages_of_zeros_are_found_wherever_a_database_has_them(void **state)
{
	struct fixture *f = *state;
	fill(f);
	store_close(&f->store);
	const char *data = data_of(f, "catalog");
	off_t whole = size_of(data);
	char *copy = read_file(data), zeros[PAGE] = {0};
	unsigned found = 0, inside = 0;
	for (off_t spoilt_at = 2; spoilt_at < whole / PAGE; spoilt_at++) {
		bool leaf = get_be16(copy + spoilt_at * PAGE + 10) == 0x0200;
		FILE *file = fopen(data, "r+b");
		assert_non_null(file);
		assert_int_equal(fseek(file, (long)spoilt_at * PAGE, SEEK_SET), 0);
		assert_int_equal(fwrite(zeros, PAGE, 1, file), 1);
		assert_int_equal(fclose(file), 0);
		int rc = in_child(read_both, f);
		assert_true(rc == E_OK || rc == E_DAMAGED || rc == E_CORRUPT || rc == E_NOTFOUND || rc == 100);
		found += rc != E_OK;
		inside += leaf;
		write_file(data, copy, (size_t)whole);
	}
	assert_true(found > inside / 2 && found > 50); /* the others lie in the free list */
	free(copy);
	OK(store_open(&f->store, f->dir, STORE_ADMIN, &fx_err));
}

static void the_database_is_named(void **state)
{
	struct fixture *f = *state;
	fill(f);
	store_close(&f->store);
	const char *data = data_of(f, "catalog");
	off_t whole = size_of(data);
	char *copy = read_file(data);
	for (off_t at = 2 * PAGE; at < whole; at += PAGE)
		if (get_be16(copy + at + 10) == 0x0200 && memcmp(copy + at + PAGE - 8, "vvvvvvvv", 8) == 0)
			memset(copy + at, 0, PAGE);
	write_file(data, copy, (size_t)whole);
	free(copy);
	OK(store_open(&f->store, f->dir, STORE_ADMIN, &fx_err));
	IS(E_DAMAGED, store_read_all(f->store, STORE_CATALOG, &fx_err));
	assert_non_null(strstr(fx_err.text, "database `audit` of "));
	assert_non_null(strstr(fx_err.text, "catalog/data.mdb: "));
	assert_non_null(strstr(fx_err.text, "wsusctl store reset"));
	assert_non_null(store_trouble(f->store, STORE_CATALOG));
	assert_null(store_trouble(f->store, STORE_FLEET));
	OK(store_read_all(f->store, STORE_FLEET, &fx_err));
}

/* ---- one part without the other ---- */

static void without_fleet_there_is_still_a_store(void **state)
{
	struct fixture *f = *state;
	struct computer c = {.id = SL("pc"), .dns_name = SL("pc"), .requested_groups = SL(""), .address = SL("")};
	store_close(&f->store);
	write_file(data_of(f, "fleet"), "words", 5);
	for (enum store_role role = STORE_SERVICE; role <= STORE_ADMIN; role++) {
		OK(opens(f, role));
		assert_false(store_has(f->store, STORE_FLEET));
		assert_non_null(strstr(store_trouble(f->store, STORE_FLEET), "fleet"));
		struct server_state st;
		struct store_stat stat;
		struct computer out;
		struct txn *t = fx_begin(f, TXN_READ);
		OK(server_state_get(t, &st, &fx_err));
		OK(store_stat(t, &stat, &fx_err));
		assert_int_equal(computer_get(t, SL("pc"), &out), E_DAMAGED);
		assert_true(computer_contact_differs(t, &c));
		assert_int_equal(txn_fleet_version(t), 0);
		txn_end(&f->t);
		IS(E_DAMAGED, txn_begin(f->store, TXN_FLEET, &f->t, &fx_err));
		assert_null(f->t);
	}
	uint32_t no;
	OK(group_create(fx_begin(f, TXN_CATALOG), SL("Pilot"), 0, &no, &fx_err));
	fx_commit(f);
	IS(E_DAMAGED, store_copy(f->store, f->dir, &fx_err));
	IS(E_DAMAGED, opens(f, STORE_READER));
	assert_null(f->store);
}

static void a_part_may_be_left_out(void **state)
{
	struct fixture *f = *state;
	const char *skip[STORE__PARTS] = {[STORE_FLEET] = "it was bad"};
	store_close(&f->store);
	OK(store_open_but(&f->store, f->dir, STORE_SERVICE, skip, &fx_err));
	assert_string_equal(store_trouble(f->store, STORE_FLEET), "it was bad");
	store_close(&f->store);
	skip[STORE_CATALOG] = "so was this";
	IS(E_DAMAGED, store_open_but(&f->store, f->dir, STORE_SERVICE, skip, &fx_err));
	assert_string_equal(fx_err.text, "so was this");
	OK(opens(f, STORE_ADMIN));
}

/* ---- what an audit found ---- */

static void a_note_keeps_services_from_that_file_alone(void **state)
{
	struct fixture *f = *state;
	OK(store_note_damage(f->dir, STORE_FLEET, "its third page; do this", &fx_err));
	OK(store_note_damage(f->dir, STORE_FLEET, "once more", &fx_err));
	assert_true(store_noted(f->store));
	OK(opens(f, STORE_SERVICE));
	assert_string_equal(store_trouble(f->store, STORE_FLEET), "its third page; do this");
	assert_false(store_noted(f->store)); /* of what is open */
	OK(opens(f, STORE_ADMIN));
	assert_null(store_trouble(f->store, STORE_FLEET));
	OK(store_note_damage(f->dir, STORE_CATALOG, "its root", &fx_err));
	IS(E_DAMAGED, opens(f, STORE_SERVICE));
	assert_string_equal(fx_err.text, "its root");
	/* another file of that name is another file */
	char *copy = read_file(data_of(f, "catalog")), made[700];
	off_t size = size_of(data_of(f, "catalog"));
	snprintf(made, sizeof(made), "%s/made", f->dir);
	write_file(made, copy, (size_t)size);
	free(copy);
	assert_int_equal(rename(made, data_of(f, "catalog")), 0);
	OK(opens(f, STORE_SERVICE));
	store_forget_damage(f->dir);
	OK(opens(f, STORE_SERVICE));
	assert_null(store_trouble(f->store, STORE_FLEET));
}

static void a_replaced_file_is_noticed(void **state)
{
	struct fixture *f = *state;
	char lock[700];
	snprintf(lock, sizeof(lock), "%s/fleet/lock.mdb", f->dir);
	uint64_t mark = store_file_mark(f->dir, STORE_FLEET);
	assert_int_equal(unlink(lock), 0);
	assert_true(store_moved(f->store));
	OK(opens(f, STORE_ADMIN));
	assert_false(store_moved(f->store));
	assert_true(store_file_mark(f->dir, STORE_FLEET) == mark);
	assert_int_equal(unlink(data_of(f, "fleet")), 0);
	assert_true(store_moved(f->store));
	assert_int_equal(store_file_mark(f->dir, STORE_FLEET), 0);
}

/* ---- signals ---- */

static sigjmp_buf back;
static enum store_part met;

static void jump(enum store_part part, const char *what)
{
	(void)what;
	met = part;
	siglongjmp(back, 1);
}

static enum store_part cut;

/* In a child: what was being read when it came is lost. */
static int read_a_cut_one(const struct fixture *f)
{
	struct store *s;
	if (store_open(&s, f->dir, STORE_READER, &fx_err) != E_OK)
		return 1;
	store_on_damage(jump);
	if (truncate(data_of(f, store_part_names[cut]), 2 * PAGE) != 0)
		return 2;
	if (sigsetjmp(back, 1) == 0)
		return store_read_all(s, cut, &fx_err) == E_OK ? 3 : 4;
	return met == cut ? 0 : 5;
}

static void a_page_that_cannot_be_read_comes_back_to_who_waits_for_it(void **state)
{
	struct fixture *f = *state;
	fill(f);
	store_close(&f->store);
	for (cut = 0; cut < STORE__PARTS; cut++) {
		const char *data = data_of(f, store_part_names[cut]);
		off_t size = size_of(data);
		char *copy = read_file(data);
		assert_int_equal(in_child(read_a_cut_one, f), 0);
		write_file(data, copy, (size_t)size);
		free(copy);
	}
}

#ifndef ARENA_DEBUG /* a sanitizer ends the process in its own way */
static int touch_other_memory(const struct fixture *f)
{
	(void)f;
	store_on_damage(die_with);
	volatile char *p = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return *p;
}

/* A fault of ours is not the store's. */
static void other_memory_is_not_the_stores(void **state)
{
	assert_int_equal(in_child(touch_other_memory, *state), 256 + SIGSEGV);
}
#endif

#define T(test) cmocka_unit_test_setup_teardown(test, fx_setup, fx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_sound_store_is_read_to_the_end),
		T(every_length_that_is_too_short_is_damage),
		T(pages_of_zeros_are_found_wherever_a_database_has_them),
		T(the_database_is_named),
		T(without_fleet_there_is_still_a_store),
		T(a_part_may_be_left_out),
		T(a_note_keeps_services_from_that_file_alone),
		T(a_replaced_file_is_noticed),
		T(a_page_that_cannot_be_read_comes_back_to_who_waits_for_it),
#ifndef ARENA_DEBUG
		T(other_memory_is_not_the_stores),
#endif
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
