/* t_log_source.c -- a log and what it was rotated to, read from the end; packed files and the journal by children of which
 * the journal's is a script of ours in PATH. */
#include "ctl/log_follow.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/text.h"
#include "ctl/walk.h"

static char dir[64];

static const char *path(const char *name)
{
	static char to[128];
	snprintf(to, sizeof(to), "%s/%s", dir, name);
	return to;
}

static FILE *create(const char *name)
{
	FILE *f = fopen(path(name), "w");
	assert_non_null(f);
	return f;
}

/* Line n of a service: minute and second are its number. */
static void put_line(FILE *f, const char *program, unsigned n)
{
	fprintf(f, "2026-11-22T%02u:%02u:%02u.000Z notice %s[1] req id=%016x peer=192.0.2.%u op=Op%u rc=%d status=%d in=1 out=2 us=3 "
		"client=id-%u name=PC%u.example.net", n / 3600, n / 60 % 60, n % 60, program, n, n % 7, n, n % 10 ? 0 : 14, n % 10 ? 200 : 500, n % 7, n % 7);
	if (n % 10 == 0)
		fprintf(f, " fault=InvalidCookie:%08x-0000-0000-0000-000000000000 why=\"no cookie\"", n);
	fputc('\n', f);
}

static void fill(const char *name, const char *program, unsigned from, unsigned to)
{
	FILE *f = create(name);
	for (unsigned n = from; n < to; n++)
		put_line(f, program, n);
	fclose(f);
}

static void set_time(const char *name, time_t at)
{
	const struct timespec t[2] = {{.tv_sec = at}, {.tv_sec = at}};
	assert_int_equal(utimensat(AT_FDCWD, path(name), t, 0), 0);
}

static void run(const char *program, const char *arg)
{
	int st;
	pid_t pid = fork();
	if (pid == 0) {
		execlp(program, program, arg, (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &st, 0), pid);
	assert_int_equal(st, 0);
}

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/t_log_source.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	struct err e;
	(void)state;
	return walk_remove(dir, &e);
}

/* The numbers of the lines that are wanted, newest first. */
static size_t take(const struct log_places *p, const struct log_filter *f, unsigned *number, size_t cap)
{
	struct log_merge *m;
	struct log_entry entry;
	struct slice line;
	struct err e = {0};
	size_t n = 0;
	int rc = log_merge_open(&m, p, f, &e);
	if (rc != E_OK)
		fail_msg("%s", e.text);
	while ((rc = log_merge_next(m, &line, &entry, &e)) == E_OK && n < cap)
		number[n++] = (unsigned)(entry.at / TICKS_PER_SECOND % 86400);
	if (rc != E_OK && rc != E_NOTFOUND)
		fail_msg("%s", e.text);
	log_merge_close(&m);
	return n;
}

static void descending(const unsigned *number, size_t n, unsigned first, unsigned last)
{
	assert_int_equal(n, first - last + 1);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(number[i], first - i);
}

#define UNITS "--unit=wsus-auth.service --unit=wsus-client.service --unit=wsus-content.service " \
	"--unit=wsus-reporting.service --unit=wsus-serversync.service\n"

static unsigned got[30000];

/* 20,000 lines are several blocks of the reader. */
static void rotated_and_packed_files_are_one_log(void **state)
{
	struct log_places p = {.dir = dir, .keep = 30000};
	struct log_filter f = {0};
	(void)state;
	fill("client.log", "wsus-client", 15000, 20000);
	fill("client.log.1", "wsus-client", 5000, 15000);
	fill("client.log-20261121", "wsus-client", 3000, 5000);
	fill("client.log.3", "wsus-client", 1000, 3000);
	fill("client.logs", "wsus-client", 90, 95);
	fill("client.log.2x", "wsus-client", 0, 1000);
	set_time("client.log.1", 9000);
	set_time("client.log-20261121", 8000);
	set_time("client.log.3", 7000);
	set_time("client.log.2x", 6000);
	run("gzip", path("client.log.3"));
	descending(got, take(&p, &f, got, COUNTOF(got)), 19999, 0);
	p.keep = 500; /* of a packed file the newest are held */
	f.until = 0;
	size_t n = take(&p, &f, got, 17500);
	descending(got, n, 19999, 2500);
}

static void services_are_merged_by_time(void **state)
{
	struct log_places p = {.dir = dir, .keep = 100};
	struct log_filter f = {0};
	(void)state;
	FILE *a = create("auth.log"), *b = create("client.log"), *c = create("access.log"), *of[] = {a, b, c};
	for (unsigned n = 0; n < 3000; n++)
		put_line(of[n * 7 % 11 % 3], "wsus-x", n);
	for (unsigned i = 0; i < COUNTOF(of); i++)
		fclose(of[i]);
	descending(got, take(&p, &f, got, COUNTOF(got)), 2999, 0);
	p.service = "nginx";
	size_t n = take(&p, &f, got, COUNTOF(got));
	assert_true(n > 100 && n < 2000);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(got[i] * 7 % 11 % 3, 2);
}

static void the_filter_takes_what_it_says(void **state)
{
	struct log_places p = {.dir = dir, .keep = 100};
	tick_t day;
	(void)state;
	fill("client.log", "wsus-client", 0, 5000);
	assert_true(text_time(SL("2026-11-22T00:00:00Z"), &day));
	struct log_filter f = {.since = day + 4990 * TICKS_PER_SECOND, .until = day + 4996 * TICKS_PER_SECOND};
	descending(got, take(&p, &f, got, COUNTOF(got)), 4995, 4990);
	f = (struct log_filter){.fault_id = SL("00000014-0000-0000-ffff-ffffffffffff")};
	descending(got, take(&p, &f, got, COUNTOF(got)), 20, 20);
	f = (struct log_filter){.fault_id = SL("00000014-0000-0001-ffff-ffffffffffff")};
	assert_int_equal(take(&p, &f, got, COUNTOF(got)), 0);
	f = (struct log_filter){.faults = true};
	assert_int_equal(take(&p, &f, got, COUNTOF(got)), 500);
	assert_int_equal(got[0], 4990);
	f = (struct log_filter){.address = SL("192.0.2.3")};
	assert_int_equal(take(&p, &f, got, COUNTOF(got)), 714);
	f = (struct log_filter){.address = SL("192.0.2")};
	assert_int_equal(take(&p, &f, got, COUNTOF(got)), 0);
	f = (struct log_filter){.client = SL("id-3")};
	assert_int_equal(take(&p, &f, got, COUNTOF(got)), 714);
	f = (struct log_filter){.client = SL("pc3"), .name = SL("pc3")};
	assert_int_equal(take(&p, &f, got, COUNTOF(got)), 714);
	f = (struct log_filter){.client = SL("pc"), .name = SL("pc")};
	assert_int_equal(take(&p, &f, got, COUNTOF(got)), 0);
}

/* A line that is endless, one that is being written, and bytes that are none. */
static void rubbish_costs_no_other_line(void **state)
{
	struct log_places p = {.dir = dir, .keep = 100};
	struct log_filter f = {0};
	(void)state;
	static const size_t sizes[] = {0, 1, 65535, 65536, 65537, 262144, 327680, 400000, 1000000};
	for (size_t i = 0; i < COUNTOF(sizes); i++) {
		FILE *o = create("client.log");
		for (unsigned n = 0; n < 100; n++)
			put_line(o, "wsus-client", n);
		for (size_t k = 0; k < sizes[i]; k++)
			fputc(i % 2 ? 'x' : 0, o);
		fputc('\n', o);
		for (unsigned n = 100; n < 200; n++)
			put_line(o, "wsus-client", n);
		fputs("2026-11-22T23:00:00.000Z notice wsus-client[1] req id=1 why=\"half", o);
		fclose(o);
		descending(got, take(&p, &f, got, COUNTOF(got)), 199, 0);
		run("gzip", path("client.log"));
		p.keep = 1000;
		fclose(create("client.log"));
		descending(got, take(&p, &f, got, COUNTOF(got)), 199, 0);
		unlink(path("client.log.gz"));
	}
}

/* journalctl is a script that says with which arguments it was called and prints a file, newest line first. */
static void without_files_the_journal_is_asked(void **state)
{
	struct log_places p = {.dir = dir, .keep = 100};
	struct log_filter f = {.since = 1000 * TICKS_PER_SECOND};
	char args[512] = "", old[4096];
	(void)state;
	fill("lines", "wsus-client", 0, 50);
	FILE *s = create("journalctl");
	fprintf(s, "#!/bin/sh\necho \"$@\" >%s/args\nexec tac %s/lines\n", dir, dir);
	fclose(s);
	assert_int_equal(chmod(path("journalctl"), 0755), 0);
	snprintf(old, sizeof(old), "%s", getenv("PATH"));
	char now[4200];
	snprintf(now, sizeof(now), "%s:%s", dir, old);
	setenv("PATH", now, 1);
	descending(got, take(&p, &f, got, COUNTOF(got)), 49, 0);
	fill("access.log", "nginx", 45, 60); /* is a file wherever services log */
	assert_int_equal(take(&p, &f, got, COUNTOF(got)), 65);
	assert_true(got[0] == 59 && got[9] == 50 && got[10] == 49 && got[11] == 49 && got[64] == 0);
	unlink(path("access.log"));
	s = fopen(path("args"), "r");
	assert_non_null(s);
	assert_non_null(fgets(args, sizeof(args), s));
	fclose(s);
	assert_string_equal(args, "--no-pager --output=cat --reverse --since=@1000 --until=now " UNITS);
	/* one that is stopped in the middle of what it says, and one that fails */
	assert_int_equal(take(&p, &f, got, 5), 5);
	s = create("journalctl");
	fputs("#!/bin/sh\nexit 1\n", s);
	fclose(s);
	struct log_merge *m;
	struct err e;
	assert_int_equal(log_merge_open(&m, &p, &f, &e), E_REFUSED);
	assert_non_null(strstr(e.text, "journalctl ended with status 1"));
	setenv("PATH", "/nonexistent", 1);
	assert_int_equal(log_merge_open(&m, &p, &f, &e), E_REFUSED);
	assert_non_null(strstr(e.text, "no journalctl"));
	setenv("PATH", old, 1);
	p.service = "nginx";
	assert_int_equal(log_merge_open(&m, &p, &f, &e), E_NOTFOUND);
}

static int count_lines(const struct slice *line, size_t n, void *arg)
{
	unsigned *sum = arg;
	for (size_t i = 0; i < n; i++)
		*sum += memmem(line[i].p, line[i].n, " req ", 5) != NULL;
	return *sum < 50 ? E_OK : E_BUSY;
}

/* Its child would go on for ever: it is ended. */
static void the_journal_is_followed(void **state)
{
	struct log_places p = {.dir = dir};
	struct log_filter f = {0};
	struct err e;
	char args[512] = "", old[4096], now[4200];
	unsigned n = 0;
	(void)state;
	fill("lines", "wsus-client", 0, 50);
	FILE *s = create("journalctl");
	fprintf(s, "#!/bin/sh\necho \"$@\" >%s/args\ncat %s/lines\nexec sleep 1000\n", dir, dir);
	fclose(s);
	assert_int_equal(chmod(path("journalctl"), 0755), 0);
	snprintf(old, sizeof(old), "%s", getenv("PATH"));
	snprintf(now, sizeof(now), "%s:%s", dir, old);
	setenv("PATH", now, 1);
	assert_int_equal(log_follow(&p, &f, count_lines, &n, &e), E_BUSY);
	setenv("PATH", old, 1);
	assert_int_equal(n, 50);
	s = fopen(path("args"), "r");
	assert_non_null(s);
	assert_non_null(fgets(args, sizeof(args), s));
	fclose(s);
	assert_string_equal(args, "--no-pager --output=cat --follow --lines=0 " UNITS);
}

static void who_may_not_read_is_told_what_to_do(void **state)
{
	struct log_places p = {.dir = dir, .keep = 100};
	struct log_filter f = {0};
	struct log_merge *m;
	struct err e;
	int st = 0;
	(void)state;
	fill("client.log", "wsus-client", 0, 5);
	assert_int_equal(chmod(path("client.log"), 0), 0);
	assert_int_equal(chmod(dir, 0755), 0);
	pid_t pid = fork();
	if (pid == 0) {
		bool dropped = geteuid() != 0 || setuid(65534) == 0;
		_exit(dropped && log_merge_open(&m, &p, &f, &e) == E_REFUSED && strstr(e.text, "you may not read it; use sudo") ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &st, 0), pid);
	assert_int_equal(st, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(rotated_and_packed_files_are_one_log),
		TEST(services_are_merged_by_time),
		TEST(the_filter_takes_what_it_says),
		TEST(rubbish_costs_no_other_line),
		TEST(without_files_the_journal_is_asked),
		TEST(the_journal_is_followed),
		TEST(who_may_not_read_is_told_what_to_do),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
