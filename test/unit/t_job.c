/* t_job.c -- the lock of a job, who holds it, and its status file, whatever is in either.
 * Of rule WSUSSS-DSS-INIT-07; test_sync_run has the programs. */
#include "common/job.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/text.h"

static char dir[] = "/tmp/t_job.XXXXXX";

static void put(const char *name, const char *bytes, size_t n)
{
	char path[64];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	fclose(f);
}

static struct job_holder who(void)
{
	struct job_holder h;
	struct err e;
	assert_int_equal(job_who(dir, JOB_SYNC, &h, &e), E_OK);
	return h;
}

/* A process that takes the lock, says so, and holds it until it is killed. */
static pid_t holder(const char *status)
{
	int ready[2];
	char byte;
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct job_lock l;
		if (job_lock(&l, dir, JOB_SYNC, NULL) != E_OK || (status && job_status_write(dir, JOB_SYNC, slice_of(status), NULL) != E_OK))
			_exit(1);
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void one_at_a_time(void **state)
{
	(void)state;
	struct job_lock l, other, content;
	struct err e;
	assert_int_equal(who().pid, 0);
	tick_t before = time_now();
	assert_int_equal(job_lock(&l, dir, JOB_SYNC, &e), E_OK);
	struct job_holder h = who();
	assert_int_equal(h.pid, getpid());
	assert_true(h.began >= before && h.began <= time_now());
	assert_int_equal(job_lock(&content, dir, JOB_CONTENT, &e), E_OK); /* another job is another lock */
	assert_int_equal(job_lock(&other, dir, JOB_SYNC, &e), E_BUSY);
	char says[64], when[TIME_TEXT + 1];
	time_text(h.began, when);
	snprintf(says, sizeof(says), "process %ld, since %.10s %.5s UTC", (long)getpid(), when, when + 11);
	assert_non_null(strstr(e.text, says));
	assert_int_equal(who().pid, getpid()); /* to ask takes nothing away */
	job_unlock(&l);
	assert_int_equal(who().pid, 0);
	assert_int_equal(job_lock(&other, dir, JOB_SYNC, &e), E_OK);
	job_unlock(&other);
	job_unlock(&other); /* again is nothing */
	job_unlock(&content);
}

static void a_killed_holder_lets_go(void **state)
{
	(void)state;
	struct job_lock l;
	struct err e;
	struct arena a;
	struct slice text;
	arena_init(&a, 1 << 20);
	pid_t pid = holder("phase updates\n");
	assert_int_equal(who().pid, pid);
	assert_int_equal(job_lock(&l, dir, JOB_SYNC, &e), E_BUSY);
	assert_int_equal(job_status_read(dir, JOB_SYNC, &a, &text, &e), E_OK);
	end(pid);
	assert_int_equal(who().pid, 0);
	assert_int_equal(job_status_read(dir, JOB_SYNC, &a, &text, &e), E_NOTFOUND); /* it is still there, of nobody */
	assert_int_equal(job_lock(&l, dir, JOB_SYNC, &e), E_OK);
	assert_int_equal(job_status_read(dir, JOB_SYNC, &a, &text, &e), E_NOTFOUND); /* nor is it ours */
	assert_int_equal(job_status_write(dir, JOB_SYNC, SL("phase categories\ndone 5\n"), &e), E_OK);
	assert_int_equal(job_status_read(dir, JOB_SYNC, &a, &text, &e), E_OK);
	struct slice v;
	assert_true(job_status_value(text, "phase", &v) && slice_eq(v, SL("categories")));
	job_status_remove(dir, JOB_SYNC);
	assert_int_equal(job_status_read(dir, JOB_SYNC, &a, &text, &e), E_NOTFOUND);
	job_unlock(&l);
	arena_free(&a);
}

static void garbage_in_the_lock_file_is_an_unknown_holder(void **state)
{
	(void)state;
	const struct slice garbage[] = {SL(""), SL("pid"), SL("pid \n"), SL("pid -5\nbegan x\n"), SL("pid 1\n"), SL("\0\0\0"),
		SL("pid 99999999999999999999\n"), SL("pid 4294967297\n"), SL("began 7\n\n\n"), SL("\xFF\xFE pid 7")};
	pid_t pid = holder(NULL);
	for (size_t i = 0; i < COUNTOF(garbage); i++) {
		struct job_lock l;
		struct err e;
		put("sync.lock", garbage[i].p, garbage[i].n);
		assert_int_equal(who().pid, JOB_UNKNOWN);
		assert_int_equal(job_lock(&l, dir, JOB_SYNC, &e), E_BUSY);
		assert_non_null(strstr(e.text, "has just begun"));
	}
	char *large = calloc(1, 1 << 20);
	assert_non_null(large);
	put("sync.lock", large, 1 << 20);
	free(large);
	assert_int_equal(who().pid, JOB_UNKNOWN);
	end(pid);
}

static void garbage_in_the_status_file_is_no_status(void **state)
{
	(void)state;
	const struct slice garbage[] = {SL(""), SL("pid"), SL("pid 1\nphase x\n"), SL("phase x\n"), SL("\0\0\xFF")};
	struct job_lock l;
	struct err e;
	struct arena a;
	struct slice text;
	arena_init(&a, 1 << 20);
	assert_int_equal(job_lock(&l, dir, JOB_SYNC, &e), E_OK);
	for (size_t i = 0; i < COUNTOF(garbage); i++) {
		put("sync.status", garbage[i].p, garbage[i].n);
		assert_int_equal(job_status_read(dir, JOB_SYNC, &a, &text, &e), E_NOTFOUND);
	}
	char long_text[20000];
	memset(long_text, 'x', sizeof(long_text));
	assert_int_equal(job_status_write(dir, JOB_SYNC, (struct slice){long_text, sizeof(long_text)}, &e), E_OK);
	assert_int_equal(job_status_read(dir, JOB_SYNC, &a, &text, &e), E_OK);
	assert_int_equal(text.n, 8192);
	job_status_remove(dir, JOB_SYNC);
	job_unlock(&l);
	arena_free(&a);
}

static void values_are_found_by_whole_names(void **state)
{
	(void)state;
	struct slice v, text = SL("phase up dates\ndone 5\nempty \nlast 7");
	assert_true(job_status_value(text, "phase", &v) && slice_eq(v, SL("up dates")));
	assert_true(job_status_value(text, "done", &v) && slice_eq(v, SL("5")));
	assert_true(job_status_value(text, "empty", &v) && v.n == 0);
	assert_true(job_status_value(text, "last", &v) && slice_eq(v, SL("7")));
	assert_false(job_status_value(text, "don", &v));
	assert_false(job_status_value(text, "dates", &v));
	assert_false(job_status_value(SL("done"), "done", &v));
	assert_false(job_status_value(SL0, "done", &v));
}

static void what_cannot_be_made_is_said(void **state)
{
	(void)state;
	struct job_lock l;
	struct err e;
	assert_int_equal(job_lock(&l, "/nowhere/at/all", JOB_SYNC, &e), E_IO);
	assert_non_null(strstr(e.text, "/nowhere/at/all/sync.lock"));
	assert_int_equal(job_status_write("/nowhere/at/all", JOB_SYNC, SL(""), &e), E_IO);
	char path[64];
	snprintf(path, sizeof(path), "%s/sync.lock", dir);
	unlink(path);
	assert_int_equal(symlink("/etc/passwd", path), 0); /* nobody is led to write elsewhere */
	assert_int_equal(job_lock(&l, dir, JOB_SYNC, &e), E_IO);
	unlink(path);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_at_a_time),
		cmocka_unit_test(a_killed_holder_lets_go),
		cmocka_unit_test(garbage_in_the_lock_file_is_an_unknown_holder),
		cmocka_unit_test(garbage_in_the_status_file_is_no_status),
		cmocka_unit_test(values_are_found_by_whole_names),
		cmocka_unit_test(what_cannot_be_made_is_said),
	};
	if (!mkdtemp(dir))
		return 1;
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	static const char *const left[] = {"sync.lock", "content.lock"};
	for (size_t i = 0; i < COUNTOF(left); i++) {
		char path[64];
		snprintf(path, sizeof(path), "%s/%s", dir, left[i]);
		unlink(path);
	}
	return rmdir(dir) == 0 ? failed : 1;
}
