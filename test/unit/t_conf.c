/* t_conf.c -- the configuration file: what its lines are, what values the table takes, which file is read. */
#include "common/conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/limits.h"

static struct conf of(const char *text)
{
	return (struct conf){.file = "f", .text = slice_of(text)};
}

static void assert_slice(struct slice s, const char *expected)
{
	if (!s.p || !slice_eq(s, slice_of(expected)))
		fail_msg("\"%.*s\", not \"%s\"", SLF(s), expected);
}

static void lines_are_names_and_values(void **state)
{
	(void)state;
	struct conf f = of("\xEF\xBB\xBFstore = /a\n\n  # keys = /no\n\tcontent=/b=c # d\t\r\nnames =\nworkers = 1");
	static const struct {
		unsigned no;
		const char *name, *value;
	} expected[] = {{1, "store", "/a"}, {4, "content", "/b=c # d"}, {5, "names", ""}, {6, "workers", "1"}};
	struct conf_line l = {0};
	for (size_t i = 0; i < COUNTOF(expected); i++) {
		assert_true(conf_next(&f, &l));
		assert_int_equal(l.no, expected[i].no);
		assert_slice(l.name, expected[i].name);
		assert_slice(l.value, expected[i].value);
		assert_null(l.wrong);
	}
	assert_false(conf_next(&f, &l));
	assert_false(conf_next(&f, &l));
	f = of("");
	l = (struct conf_line){0};
	assert_false(conf_next(&f, &l));
	f = (struct conf){0};
	assert_false(conf_next(&f, &l));
}

static void what_is_no_setting_is_told_with_its_line(void **state)
{
	(void)state;
	static char long_line[LIMIT_CONF_LINE + 10] = "keys = /";
	memset(long_line + 8, 'x', sizeof(long_line) - 9);
	static const struct {
		const char *text, *says;
	} bad[] = {
		{"keys\n", "no \"=\""},
		{"= /a\n", "no name"},
		{"Keys = /a\n", "no name"},
		{"my keys = /a\n", "no name"},
		{".keys = /a\n", "no name"},
		{"keys = /a\x01\n", "control character"},
		{"keys = /\xff\n", "not UTF-8"},
		{long_line, "longer than 4,096"},
	};
	for (size_t i = 0; i < COUNTOF(bad); i++) {
		struct conf f = of(bad[i].text);
		struct conf_line l = {0};
		assert_true(conf_next(&f, &l));
		assert_int_equal(l.no, 1);
		if (!l.wrong || !strstr(l.wrong, bad[i].says))
			fail_msg("%zu: %s", i, l.wrong ? l.wrong : "taken");
		assert_false(conf_next(&f, &l));
		assert_false(conf_find(&f, SL("keys"), &l)); /* a line that is not understood sets nothing */
	}
	long_line[LIMIT_CONF_LINE] = 0;
	struct conf f = of(long_line);
	struct conf_line l = {0};
	assert_true(conf_next(&f, &l));
	assert_null(l.wrong);
	f.text = SL("keys = /a\0b\n");
	l = (struct conf_line){0};
	assert_true(conf_next(&f, &l));
	assert_non_null(l.wrong);
}

static void every_row_has_words_and_takes_its_default(void **state)
{
	(void)state;
	struct err e;
	struct slice v;
	struct conf none = {0};
	unsigned at;
	size_t n = 0;
	for (const struct conf_info *i = conf_table(); i->name; i++, n++) {
		assert_true(i->values && i->values[0] && i->unit && strlen(i->why) > 20);
		assert_int_equal(conf_check(slice_of(i->name), slice_of(i->dflt), &e), E_OK);
		assert_int_equal(conf_get(&none, i->name, &v, &at, &e), E_OK);
		assert_slice(v, i->dflt);
		assert_int_equal(at, 0);
		for (const struct conf_info *other = conf_table(); other != i; other++)
			assert_string_not_equal(other->name, i->name);
	}
	assert_true(n >= 11);
}

static void values_are_judged_by_their_kind(void **state)
{
	(void)state;
	static const struct {
		const char *name, *value;
		bool good;
	} all[] = {
		{"store", "/srv/wsus-fcgi/store", true}, {"store", "", false}, {"store", "var/store", false},
		{"store", "/a b", false}, {"store", "/a;rm", false}, {"store", "/$HOME", false}, {"store", "\"/a\"", false},
		{"store", "/d\xC3\xA4ten", true},
		{"http.port", "1", true}, {"http.port", "65535", true}, {"http.port", "0", false},
		{"http.port", "65536", false}, {"http.port", "", false}, {"http.port", "http", false},
		{"http.port", "8530 8531", false}, {"http.port", "99999999999999999999", false},
		{"workers", "", true}, {"workers", "1024", true}, {"workers", "1025", false}, {"workers", "-1", false},
		{"plain-http", "true", true}, {"plain-http", "0", true}, {"plain-http", "yes", false}, {"plain-http", "", false},
		{"listen", "127.0.0.1", true}, {"listen", "127.0.0.1 ::1", true}, {"listen", "::\t0.0.0.0", true},
		{"listen", "", false}, {"listen", "localhost", false}, {"listen", "127.0.0.1,::1", false},
		{"listen", "[::1]", false}, {"listen", "1.2.3", false}, {"listen", "127.0.0.1 x", false},
		{"names", "", true}, {"names", "wsus.example.net wsus 192.0.2.1 2001:db8::1", true}, {"names", "a_b", false},
		{"names", "-a", false}, {"names", "a-", false}, {"names", "a..b", false}, {"names", "a-.b", false},
		{"names", "a.", false}, {"names", "*.a", false},
		{"names", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", true},
		{"names", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
		{"url", "", true}, {"url", "https://wsus.example.net", true}, {"url", "http://wsus:8530", true},
		{"url", "https://192.0.2.1:65535", true}, {"url", "https://[2001:db8::1]", true},
		{"url", "https://[2001:db8::1]:8531", true}, {"url", "wsus.example.net", false}, {"url", "ftp://a", false},
		{"url", "https://", false}, {"url", "https://:8531", false}, {"url", "https://a:", false},
		{"url", "https://a:0", false}, {"url", "https://a:65536", false}, {"url", "https://a:+1", false},
		{"url", "https://a: 1", false}, {"url", "https://a:99999999999999999999", false}, {"url", "https://a/", false},
		{"url", "https://a/path", false}, {"url", "https://a?b", false}, {"url", "https://u@a", false},
		{"url", "https://a b", false}, {"url", "https://a';calc", false}, {"url", "https://[192.0.2.1]", false},
		{"url", "https://[2001:db8::1", false}, {"url", "https://[2001:db8::1]x", false}, {"url", "https://2001:db8::1", false},
		{"url", "https://[]", false}, {"url", "https://[:]:1", false},
		{"notify.command", "", true}, {"notify.command", "/usr/local/bin/tell", true},
		{"notify.command", "/usr/bin/tell --to\troot@example.net  %x", true}, {"notify.command", "tell", false},
		{"notify.command", "/usr/bin/tell \"a b\"", false}, {"notify.command", "/bin/tell; rm", false},
		{"notify.command", "/bin/tell $X", false}, {"notify.command", "/bin/tell >/x", false},
	};
	struct err e;
	for (size_t i = 0; i < COUNTOF(all); i++) {
		int rc = conf_check(slice_of(all[i].name), slice_of(all[i].value), &e);
		if (rc != (all[i].good ? E_OK : E_FORM))
			fail_msg("%s = \"%s\": %s", all[i].name, all[i].value, err_name(rc));
		if (rc != E_OK)
			assert_non_null(strstr(e.text, " takes "));
	}
	assert_int_equal(conf_check(SL("no.such"), SL("1"), &e), E_NOTFOUND);
}

static void a_wrong_value_is_named_with_file_and_line(void **state)
{
	(void)state;
	struct conf f = of("# x\nhttp.port = 1\nhttps.port = many\n");
	struct err e;
	struct slice v;
	unsigned at;
	assert_int_equal(conf_get(&f, "http.port", &v, &at, &e), E_OK);
	assert_slice(v, "1");
	assert_int_equal(at, 2);
	assert_int_equal(conf_get(&f, "https.port", &v, NULL, &e), E_FORM);
	assert_string_equal(e.text, "f:3: https.port takes 1..65535, not \"many\"");
	assert_int_equal(conf_get(&f, "no.such", &v, NULL, &e), E_NOTFOUND);
}

/* ---- files ---- */

static char dir[256], path[300];

static int make_dir(void **state)
{
	const char *tmp = getenv("TMPDIR");
	(void)state;
	snprintf(dir, sizeof(dir), "%s/conf.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/wsus.conf", dir);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

static void write_file(size_t n)
{
	static char text[LIMIT_CONF + 2];
	memset(text, '#', sizeof(text));
	memcpy(text, "keys = /k\n", 10);
	FILE *to = fopen(path, "w");
	assert_non_null(to);
	assert_int_equal(fwrite(text, 1, n, to), n);
	assert_int_equal(fclose(to), 0);
}

static void a_file_is_read_whole_or_refused(void **state)
{
	(void)state;
	struct conf f;
	struct err e;
	struct arena a;
	struct slice v;
	arena_init(&a, 1 << 20);
	assert_int_equal(conf_load(&f, path, &a, &e), E_NOTFOUND);
	assert_false(f.text.p);
	write_file(LIMIT_CONF);
	assert_int_equal(conf_load(&f, path, &a, &e), E_OK);
	assert_int_equal(f.text.n, LIMIT_CONF);
	assert_string_equal(f.file, path);
	assert_int_equal(conf_get(&f, "keys", &v, NULL, &e), E_OK);
	assert_slice(v, "/k");
	write_file(LIMIT_CONF + 1);
	assert_int_equal(conf_load(&f, path, &a, &e), E_LIMIT);
	assert_false(f.text.p);
	assert_int_equal(conf_load(&f, dir, &a, &e), E_FORM);
	assert_int_equal(conf_load(&f, "/dev/null", &a, &e), E_OK);
	assert_int_equal(f.text.n, 0);
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0); /* nobody writes into it: it is not waited for */
	assert_int_equal(conf_load(&f, path, &a, &e), E_FORM);
	arena_free(&a);
	unlink(path);
}

static void a_file_that_others_may_write_is_not_trusted(void **state)
{
	(void)state;
	static const struct {
		mode_t mode;
		bool trusted;
	} all[] = {{0644, true}, {0600, true}, {0664, false}, {0646, false}, {0666, false}};
	struct conf f;
	struct err e;
	struct arena a;
	arena_init(&a, 1 << 20);
	write_file(10);
	for (size_t i = 0; i < COUNTOF(all); i++) {
		assert_int_equal(chmod(path, all[i].mode), 0);
		assert_int_equal(conf_load(&f, path, &a, &e), E_OK);
		assert_int_equal(f.trusted, all[i].trusted);
	}
	if (geteuid() == 0 && chown(path, 65534, 65534) == 0) {
		assert_int_equal(chmod(path, 0644), 0);
		assert_int_equal(conf_load(&f, path, &a, &e), E_OK);
		assert_false(f.trusted);
	}
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_names_and_values),
		cmocka_unit_test(what_is_no_setting_is_told_with_its_line),
		cmocka_unit_test(every_row_has_words_and_takes_its_default),
		cmocka_unit_test(values_are_judged_by_their_kind),
		cmocka_unit_test(a_wrong_value_is_named_with_file_and_line),
		cmocka_unit_test(a_file_is_read_whole_or_refused),
		cmocka_unit_test(a_file_that_others_may_write_is_not_trusted),
	};
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
