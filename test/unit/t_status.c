/* t_status.c -- /health and /metrics: what is shown, to whom it applies, and when it is called stale. */
#include "test/unit/store_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "cgi/status.h"
#include "common/limits.h"

#define WRITTEN INT64_C(1700000000) /* seconds: when the files were written */

static char dir[256];
static struct arena arena;
static struct status_reply room;

static int setup(void **state)
{
	(void)state;
	fx_dir(dir);
	arena_init(&arena, (size_t)1 << 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	fx_remove(dir);
	return 0;
}

static void leave(const char *name, const char *text)
{
	char path[300];
	const struct timespec t[2] = {{.tv_sec = WRITTEN}, {.tv_sec = WRITTEN}};
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(0, utimensat(AT_FDCWD, path, t, 0));
}

static struct slice body(const struct answer *a)
{
	if (a->niov == 0)
		return SL("");
	assert_int_equal(1, a->niov);
	assert_int_equal(a->length, a->iov->iov_len);
	return (struct slice){a->iov->iov_base, a->iov->iov_len};
}

/* The answer `seconds` after the files were written. */
static struct answer ask(const char *method, const char *path, int64_t seconds)
{
	struct answer a = {0};
	const struct request req = {.method = slice_of(method), .path = slice_of(path), .a = &arena};
	status_answer(&req, dir, (WRITTEN + seconds) * TICKS_PER_SECOND, &room, &a);
	assert_false(a.no_body);
	return a;
}

static void expect(const char *path, int64_t seconds, int status, const char *words)
{
	struct answer a = ask("GET", path, seconds);
	struct slice text = body(&a);
	assert_int_equal(status, a.status);
	if (!memmem(text.p, text.n, words, strlen(words)))
		fail_msg("\"%.*s\" does not say \"%s\"", SLF(text), words);
}

static void test_its_paths(void **state)
{
	(void)state;
	assert_true(status_is_for(SL("/health")));
	assert_true(status_is_for(SL("/metrics")));
	assert_false(status_is_for(SL("/health/")));
	assert_false(status_is_for(SL("/Content/health")));
	assert_false(status_is_for(SL("/health.txt")));
}

static void test_levels(void **state)
{
	static const struct {
		const char *text;
		int status;
	} rows[] = {{"WSUS OK - 14 checks\nOK x: y\n", 200}, {"WSUS WARNING - disk: 9 %\n", 200}, {"WSUS CRITICAL - scan: no\n", 503},
		{"WSUS UNKNOWN - x\n", 503}, {"", 503}, {"something else", 503}};
	(void)state;
	for (unsigned i = 0; i < COUNTOF(rows); i++) {
		leave("health.txt", rows[i].text);
		struct answer a = ask("GET", "/health", 1);
		assert_int_equal(rows[i].status, a.status);
		assert_true(slice_eq(body(&a), slice_of(rows[i].text)));
	}
}

static void test_numbers_are_shown_whatever_they_say(void **state)
{
	(void)state;
	leave("metrics.prom", "wsus_health_level{check=\"scan\"} 2\n");
	struct answer a = ask("HEAD", "/metrics", 1);
	assert_int_equal(200, a.status);
	assert_true(slice_eq(body(&a), SL("wsus_health_level{check=\"scan\"} 2\n")));
	assert_true(memmem(a.headers.p, a.headers.n, SL("text/plain; version=0.0.4").p, 25) != NULL);
}

static void test_old_is_stale(void **state)
{
	(void)state;
	leave("health.txt", "WSUS OK - 14 checks\n");
	leave("metrics.prom", "wsus_epoch 1\n");
	expect("/health", LIMIT_STATUS_AGE, 200, "WSUS OK");
	expect("/health", LIMIT_STATUS_AGE + 1, 503, "WSUS UNKNOWN - stale: the server was looked at 15 minutes ago");
	expect("/metrics", LIMIT_STATUS_AGE, 200, "wsus_epoch 1");
	expect("/metrics", LIMIT_STATUS_AGE + 1, 503, "stale");
	expect("/metrics", -3600, 200, "wsus_epoch 1"); /* the clock was set back */
}

static void test_none_yet(void **state)
{
	(void)state;
	expect("/health", 0, 503, "was not looked at yet");
	expect("/metrics", 0, 503, "was not looked at yet");
}

static void test_other_methods_and_servers_without_jobs(void **state)
{
	struct answer a = ask("POST", "/health", 0);
	const struct request req = {.method = SL("GET"), .path = SL("/health"), .a = &arena};
	(void)state;
	assert_int_equal(405, a.status);
	status_answer(&req, NULL, 0, &room, &a);
	assert_int_equal(404, a.status);
}

static void test_a_file_is_cut_at_its_limit(void **state)
{
	char path[300];
	(void)state;
	leave("metrics.prom", "");
	snprintf(path, sizeof(path), "%s/metrics.prom", dir);
	assert_int_equal(0, truncate(path, (off_t)LIMIT_STATUS + 1000));
	const struct timespec t[2] = {{.tv_sec = WRITTEN}, {.tv_sec = WRITTEN}};
	assert_int_equal(0, utimensat(AT_FDCWD, path, t, 0));
	struct answer a = ask("GET", "/metrics", 0);
	assert_int_equal(LIMIT_STATUS, a.length);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_its_paths, setup, teardown),
		cmocka_unit_test_setup_teardown(test_levels, setup, teardown),
		cmocka_unit_test_setup_teardown(test_numbers_are_shown_whatever_they_say, setup, teardown),
		cmocka_unit_test_setup_teardown(test_old_is_stale, setup, teardown),
		cmocka_unit_test_setup_teardown(test_none_yet, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_methods_and_servers_without_jobs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_file_is_cut_at_its_limit, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
