/* t_admission.c -- who may come: the file of the tokens, and what nginx is told. */
#include "ctl/admission.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/text.h"

static char dir[256], path[300];

static int make_dir(void **state)
{
	const char *tmp = getenv("TMPDIR");
	(void)state;
	snprintf(dir, sizeof(dir), "%s/admission.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/client-tokens", dir);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

static void write_file(const char *text)
{
	FILE *to = fopen(path, "w");
	assert_non_null(to);
	assert_int_equal(fputs(text, to) < 0, 0);
	assert_int_equal(fclose(to), 0);
}

static void two_tokens_are_good_and_only_the_owner_reads_them(void **state)
{
	(void)state;
	struct tokens t, back;
	struct err e;
	struct stat st;
	unlink(path);
	assert_int_equal(tokens_load(path, &t, &e), E_OK);
	assert_int_equal(t.n, 0);
	char seen[3][TOKEN_TEXT + 1];
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(tokens_add(&t, (tick_t)(i + 1) * TICKS_PER_SECOND, &e), E_OK);
		assert_int_equal(strspn(t.v[0].text, "0123456789abcdef"), TOKEN_TEXT);
		memcpy(seen[i], t.v[0].text, sizeof(seen[i]));
	}
	assert_string_not_equal(seen[1], seen[2]);
	assert_int_equal(tokens_save(path, &t, &e), E_OK);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(tokens_load(path, &back, &e), E_OK);
	assert_int_equal(back.n, 2);
	assert_string_equal(back.v[0].text, seen[2]);
	assert_string_equal(back.v[1].text, seen[1]);
	assert_true(back.v[0].since == 3 * TICKS_PER_SECOND && back.v[1].since == 2 * TICKS_PER_SECOND);
}

static void a_file_that_is_none_is_named_with_its_line(void **state)
{
	(void)state;
#define GOOD "0123456789abcdef0123456789abcdef 1\n"
	static const char *const bad[] = {"short 1\n", "0123456789abcdef0123456789abcdef\n", "0123456789abcdef0123456789abcdef x\n",
		"0123456789abcdef0123456789abcdeg 1\n", "0123456789abcdef0123456789abcdef 99999999999999999999\n", GOOD GOOD GOOD,
		"0123456789abcdef0123456789abcdef0 1\n", "} map x {\n"};
	struct tokens t;
	struct err e;
	for (size_t i = 0; i < COUNTOF(bad); i++) {
		write_file(bad[i]);
		assert_int_equal(tokens_load(path, &t, &e), E_FORM);
		assert_non_null(strstr(e.text, i == 5 ? "client-tokens:3: " : "client-tokens:1: "));
	}
	write_file("\n" GOOD "\n");
	assert_int_equal(tokens_load(path, &t, &e), E_OK);
	assert_int_equal(t.n, 1);
}

static int render(const char *conf, const struct tokens *t, char text[4096], struct err *e)
{
	struct conf f = {.file = "f", .text = slice_of(conf)};
	struct buf b;
	buf_init(&b, 1 << 20);
	int rc = admission_http(&f, t, &b, e);
	snprintf(text, 4096, "%.*s", SLF(buf_bytes(&b)));
	buf_free(&b);
	return rc;
}

static void nginx_is_told_who_may_come(void **state)
{
	(void)state;
	struct tokens none = {0}, two = {.n = 2, .v = {{"aa", 1}, {"bb", 1}}};
	struct err e;
	char text[4096];
	assert_int_equal(render("", &none, text, &e), E_OK);
	assert_non_null(strstr(text, "\t10.0.0.0/8 1;\n"));
	assert_non_null(strstr(text, "\tdefault network;\n"));
	assert_null(strstr(text, "content"));
	assert_int_equal(render("clients.networks = 192.0.2.0/24 2001:db8::/32\nclients.rate = 7\n", &none, text, &e), E_OK);
	assert_non_null(strstr(text, "geo $wsus_network {\n\tdefault 0;\n\t192.0.2.0/24 1;\n\t2001:db8::/32 1;\n}\n"));
	assert_non_null(strstr(text, " zone=wsus_rate:8m rate=7r/s;\n"));
	assert_int_equal(render("clients.networks =\n", &none, text, &e), E_OK); /* the machine alone */
	assert_non_null(strstr(text, "geo $wsus_network {\n\tdefault 0;\n}\n"));
	assert_int_equal(render("clients.admission = open\n", &none, text, &e), E_OK);
	assert_non_null(strstr(text, "map 1 $wsus_stranger {\n\tdefault \"\";\n}\n"));
	assert_null(strstr(text, "geo"));
	assert_int_equal(render("clients.admission = token\n", &two, text, &e), E_OK);
	assert_non_null(strstr(text, "\taa \"\";\n\tbb \"\";\n"));
	assert_non_null(strstr(text, "\tdefault token;\n"));
	assert_int_equal(render("clients.admission = token\n", &none, text, &e), E_NOTFOUND);
	assert_non_null(strstr(e.text, "wsusctl client token --new"));
}

static void nothing_of_a_value_means_something_else_to_nginx(void **state)
{
	(void)state;
	static const char *const bad[] = {"clients.networks = 10.0.0.0/8;\n", "clients.networks = 10.0.0.0/8 1; } map x y {\n",
		"clients.networks = $remote_addr\n", "clients.networks = include /etc/passwd\n", "clients.networks = all\n",
		"clients.admission = Open\n", "clients.admission =\n", "clients.admission = open|networks\n", "clients.rate = 1r/s; #\n",
		"clients.rate = 0\n", "clients.rate-reports = -1\n", "clients.rate-registrations = 100001\n"};
	struct tokens none = {0};
	struct err e;
	char text[4096];
	for (size_t i = 0; i < COUNTOF(bad); i++) {
		assert_int_equal(render(bad[i], &none, text, &e), E_FORM);
		assert_non_null(strstr(e.text, "f:1: "));
	}
}

static void errors_with_addresses_are_kept_only_where_these_hold_no_token(void **state)
{
	(void)state;
	struct conf f = {.file = "f", .text = SL("clients.admission = token\n")};
	struct buf b;
	struct err e;
	buf_init(&b, 4096);
	assert_int_equal(admission_server(&f, &b, &e), E_OK);
	assert_non_null(memmem(b.p, b.n, "\nerror_log /dev/null emerg;\n", 28));
	buf_reset(&b);
	f.text = SL("");
	assert_int_equal(admission_server(&f, &b, &e), E_OK);
	assert_null(memmem(b.p, b.n, "error_log", 9));
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_tokens_are_good_and_only_the_owner_reads_them),
		cmocka_unit_test(a_file_that_is_none_is_named_with_its_line),
		cmocka_unit_test(nginx_is_told_who_may_come),
		cmocka_unit_test(nothing_of_a_value_means_something_else_to_nginx),
		cmocka_unit_test(errors_with_addresses_are_kept_only_where_these_hold_no_token),
	};
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
