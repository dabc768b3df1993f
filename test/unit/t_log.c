/* t_log.c -- lines are read back from the pipe that stderr is made of. */
#include "common/log.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/arena.h"
#include "common/log_read.h"

static char line[65536];

/* Lends stderr to `wire`, and takes it back with what was written. */
static int wire[2], kept_stderr;

static void listen_in(void)
{
	assert_int_equal(pipe(wire), 0);
	kept_stderr = dup(STDERR_FILENO);
	dup2(wire[1], STDERR_FILENO);
}

static size_t heard(void)
{
	dup2(kept_stderr, STDERR_FILENO);
	close(kept_stderr);
	close(wire[1]);
	size_t n = 0;
	for (ssize_t got; (got = read(wire[0], line + n, sizeof(line) - 1 - n)) > 0;)
		n += (size_t)got;
	close(wire[0]);
	line[n] = 0;
	return n;
}

/* The text behind the head, after checking the head. */
static const char *text(const char *level)
{
	struct tm tm;
	char want[64];
	int size = snprintf(want, sizeof(want), "Z %s t_log[%d] ", level, (int)getpid());
	const char *ms = strptime(line, "%Y-%m-%dT%H:%M:%S.", &tm);
	assert_non_null(ms);
	assert_true(tm.tm_year >= 120 && strspn(ms, "0123456789") == 3);
	assert_int_equal(strncmp(ms + 3, want, (size_t)size), 0);
	size_t n = strlen(line);
	assert_int_equal(line[n - 1], '\n');
	assert_ptr_equal(strchr(line, '\n'), line + n - 1);
	line[n - 1] = 0;
	return ms + 3 + size;
}

/* The value of a member with its escapes undone; false if it is not there. */
static bool value(const struct log_entry *l, size_t member, char *to)
{
	const struct slice *v = (const void *)((const char *)l + member);
	struct buf b;
	if (!v->p)
		return false;
	buf_init(&b, 4096);
	log_plain(&b, *v);
	memcpy(to, buf_bytes(&b).p, b.n);
	to[b.n] = 0;
	buf_free(&b);
	return true;
}

static void a_line_has_its_head_and_keeps_errno(void **state)
{
	(void)state;
	listen_in();
	errno = ENOTTY;
	log_line(LOG_WARN, "disk %s at %d%%", "full", 99);
	assert_int_equal(errno, ENOTTY);
	heard();
	assert_string_equal(text("warn"), "disk full at 99%");
}

static void foreign_bytes_cannot_make_a_line(void **state)
{
	(void)state;
	listen_in();
	log_line(LOG_ERROR, "from %s", "a\r\n2026 fake\x1b[2J \xff\xc3\xa4");
	heard();
	const char *t = text("error");
	assert_null(strpbrk(t, "\r\n\x1b"));
	assert_non_null(strstr(t, "\xc3\xa4")); /* what is UTF-8 stays readable */
	assert_null(strchr(t, '\xff'));
	assert_non_null(strstr(t, "2026 fake"));
}

static void levels_above_the_maximum_are_silent(void **state)
{
	(void)state;
	struct log_request r = {.id = 1};
	listen_in();
	log_line(LOG_DEBUG, "no");
	log_init("t_log", LOG_ERROR);
	log_line(LOG_NOTICE, "no");
	log_request(&r);
	log_init("t_log", LOG_NOTICE);
	assert_int_equal(heard(), 0);
}

static void long_lines_are_cut_and_say_so(void **state)
{
	(void)state;
	static char big[10000];
	memset(big, '\1', sizeof(big) - 1); /* each byte grows to four */
	listen_in();
	log_line(LOG_NOTICE, "%s", big);
	heard();
	const char *t = text("notice");
	assert_true(strlen(t) > 4000 * 4 && strlen(t) < 4096 * 4 + 8);
	assert_string_equal(t + strlen(t) - 3, "...");
}

static void a_request_is_read_back(void **state)
{
	(void)state;
	static const char awkward[] = "say \"no\" \\ to\r\nlines = \\x41 \xff \xe2\x82\xac";
	struct log_request r = {.id = UINT64_C(0x00001234000000ff), .peer = SL("192.0.2.7"), .op = SL("Sync Updates=\"x\""),
		.client = SL("c0ffee-1"), .name = SL("pc 1 rc=9"), .events = SL("9 kept, 1 repeated"), .fault = SL("ServerChanged:0a-1"), .why = SL(awkward),
		.remedy = SL("wait"), .rc = 7, .status = 500, .in = 26000, .out = UINT64_C(5000000000), .usec = 321};
	struct log_entry l;
	char v[2048];
	listen_in();
	errno = EPERM;
	log_request(&r);
	assert_int_equal(errno, EPERM);
	heard();
	assert_true(log_read(slice_of(line), &l));
	assert_int_equal(strncmp(text("notice"), "req id=00001234000000ff peer=192.0.2.7 op=Sync\\x20Updates=\\x22x\\x22 rc=7 ", 72), 0);
	assert_true(l.request);
	assert_true(l.rc == 7 && l.status == 500 && l.in == 26000 && l.out == UINT64_C(5000000000) && l.usec == 321);
	static const struct {
		size_t member;
		const char *want;
	} fields[] = {{offsetof(struct log_entry, id), "00001234000000ff"}, {offsetof(struct log_entry, peer), "192.0.2.7"},
		{offsetof(struct log_entry, op), "Sync Updates=\"x\""}, {offsetof(struct log_entry, client), "c0ffee-1"},
		{offsetof(struct log_entry, name), "pc 1 rc=9"}, {offsetof(struct log_entry, events), "9 kept, 1 repeated"},
		{offsetof(struct log_entry, fault), "ServerChanged"},
		{offsetof(struct log_entry, fault_id), "0a-1"}, {offsetof(struct log_entry, why), awkward},
		{offsetof(struct log_entry, remedy), "wait"}};
	for (size_t i = 0; i < COUNTOF(fields); i++) {
		assert_true(value(&l, fields[i].member, v));
		assert_string_equal(v, fields[i].want);
	}
}

static void absent_parts_are_left_out(void **state)
{
	(void)state;
	struct log_request r = {.id = 1, .peer = SL("p"), .op = SL("o")};
	struct log_entry l;
	listen_in();
	log_request(&r);
	heard();
	assert_true(log_read(slice_of(line), &l));
	assert_string_equal(text("notice"), "req id=0000000000000001 peer=p op=o rc=0 status=0 in=0 out=0 us=0");
	assert_false(l.client.p || l.name.p || l.fault.p || l.why.p || l.remedy.p);
}

static void the_longest_request_line_fits(void **state)
{
	(void)state;
	static char big[5000];
	memset(big, '\\', sizeof(big));
	struct slice s = {big, sizeof(big)};
	struct log_request r = {.id = UINT64_MAX, .peer = s, .op = s, .client = s, .name = s, .fault = SL("a:b"), .why = s, .remedy = s,
		.rc = -1, .in = UINT64_MAX, .out = UINT64_MAX, .usec = UINT64_MAX};
	struct log_entry l;
	listen_in();
	log_request(&r);
	heard();
	assert_true(log_read(slice_of(line), &l));
	const char *t = text("notice");
	assert_int_equal(t[strlen(t) - 1], '"');
	char v[2048];
	assert_true(value(&l, offsetof(struct log_entry, remedy), v));
	assert_int_equal(strlen(v), 300);
}

static void a_line_needs_no_memory(void **state)
{
	(void)state;
	struct log_request r = {.id = 1, .why = SL("E_NOMEM")};
	log_init("t_log", LOG_NOTICE);
	listen_in();
	alloc_fail_at = 1;
	log_request(&r);
	assert_int_equal(alloc_fail_at, 1);
	alloc_fail_at = 0;
	heard();
	assert_non_null(strstr(text("notice"), "why=\"E_NOMEM\""));
}

static size_t lines_of(const char *path)
{
	FILE *f = fopen(path, "r");
	size_t n = 0;
	assert_non_null(f);
	for (int c; (c = getc(f)) != EOF;)
		n += c == '\n';
	fclose(f);
	return n;
}

/* Lines until the file has one: it is looked for once a second.  How many. */
static size_t lines_until(const char *path)
{
	struct stat st;
	size_t n = 0;
	do {
		log_line(LOG_NOTICE, "line");
		n++;
		nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	} while (stat(path, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size == 0);
	return n;
}

/* Renamed away, and replaced by what cannot be opened: each line is in the new file or in the last that could be. */
static void a_file_that_is_renamed_away_is_left(void **state)
{
	char dir[] = "/tmp/t_log.XXXXXX", path[64], old[64];
	struct stat st;
	struct err e;
	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/x.log", dir);
	snprintf(old, sizeof(old), "%s/x.log.1", dir);
	int kept = dup(STDERR_FILENO);
	assert_int_equal(log_to_file("/nonexistent/x.log", &e), E_IO);
	assert_int_equal(log_to_file(path, &e), E_OK);
	log_line(LOG_NOTICE, "1");
	log_line(LOG_NOTICE, "2");
	assert_int_equal(rename(path, old), 0);
	size_t n = lines_until(path);
	assert_int_equal(lines_of(path), 1);
	assert_int_equal(lines_of(old), 2 + n - 1);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_int_equal(rename(path, old), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	log_line(LOG_NOTICE, "in the old one");
	assert_int_equal(rmdir(path), 0);
	n = 1 + lines_until(path);
	assert_int_equal(lines_of(path), 1);
	assert_int_equal(lines_of(old), 1 + n - 1);
	dup2(kept, STDERR_FILENO);
	close(kept);
	unlink(path);
	unlink(old);
	rmdir(dir);
}

int main(void)
{
	log_init("t_log", LOG_NOTICE);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_has_its_head_and_keeps_errno),
		cmocka_unit_test(foreign_bytes_cannot_make_a_line),
		cmocka_unit_test(levels_above_the_maximum_are_silent),
		cmocka_unit_test(long_lines_are_cut_and_say_so),
		cmocka_unit_test(a_request_is_read_back),
		cmocka_unit_test(absent_parts_are_left_out),
		cmocka_unit_test(the_longest_request_line_fits),
		cmocka_unit_test(a_line_needs_no_memory),
		cmocka_unit_test(a_file_that_is_renamed_away_is_left), /* the last: stderr has a name from then on */
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
