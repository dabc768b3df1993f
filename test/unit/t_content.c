/* t_content.c -- the resolver: which names mean which file, and that none leads out of the directories. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgi/content.h"

#define HEX "826420E65EC10F9C0CDF82FAA8CED6390832F50A"

static char dir[256];
static int fd;
static char names[300];

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static void touch(const char *name)
{
	int f = openat(fd, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(f >= 0);
	close(f);
}

static void link_name(const char *name, const char *text)
{
	assert_int_equal(symlinkat(text, fd, name), 0);
}

#define LONG_64 "0123456789-123456789-123456789-123456789-123456789-123456789-abc"
#define LONG_255 LONG_64 LONG_64 LONG_64 "0123456789-123456789-123456789-123456789-123456789-123456789-ab"

static void make_names(void)
{
	mkdirat(fd, "names", 0700);
	mkdirat(fd, "names/0A", 0700);
	mkdirat(fd, "names/0B", 0700);
	link_name("names/0A/windows10.0-kb5000001-x64.cab", HEX);
	link_name("names/0A/a b+c%41#\xc3\xa9.exe", HEX);
	link_name("names/0A/" LONG_255, HEX);
	link_name("names/0A/lower.cab", "826420e65ec10f9c0cdf82faa8ced6390832f50a");
	link_name("names/0B/elsewhere.cab", HEX);
	link_name("names/0A/short.cab", "826420E65EC10F9C0CDF82FAA8CED6390832F50");
	link_name("names/0A/longer.cab", HEX "0");
	link_name("names/0A/path.cab", "../0A/" HEX);
	link_name("names/0A/root.cab", "/etc/passwd");
	link_name("names/0A/hex.cab", "G26420E65EC10F9C0CDF82FAA8CED6390832F50A");
	link_name("names/0A/.hidden.cab", HEX);
	link_name("names/0A/0000000000000000000000000000000000000000.cab", HEX);
	touch("names/0A/file.cab");
	mkdirat(fd, "names/0A/folder.cab", 0700);
	link_name("names/0A/folder.cab/inner.cab", HEX);
}

static int setup(void **state)
{
	const char *tmp = getenv("TMPDIR");
	(void)state;
	snprintf(dir, sizeof(dir), "%s/t_content.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(dir) || (fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return 1;
	mkdirat(fd, "WSUS3", 0700);
	mkdirat(fd, "WSUS3/x86", 0700);
	touch("wuident.cab");
	touch("Both");
	touch("BOTH");
	touch(".hidden");
	touch("WSUS3/x86/WuSetup Handler%.cab");
	snprintf(names, sizeof(names), "%s/names", dir);
	make_names();
	return symlinkat("/", fd, "out");
}

static int teardown(void **state)
{
	(void)state;
	close(fd);
	return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void goes_to(const char *path, const char *target)
{
	char to[CONTENT_TARGET];
	struct content_places in = {fd, names};
	if (!content_resolve(slice_of(path), &in, to))
		fail_msg("%s leads nowhere", path);
	assert_string_equal(to, target);
}

static void goes_nowhere(const char *path)
{
	char to[CONTENT_TARGET];
	struct content_places in = {fd, names};
	if (content_resolve(slice_of(path), &in, to))
		fail_msg("%s leads to %s", path, to);
}

/* holds: WUSP-CONTENT-08 WUSP-CONTENT-09 */
static void any_case_extension_and_folder_spelling_names_the_file(void **state)
{
	static const char target[] = "/_content/0A/" HEX;
	(void)state;
	goes_to("/Content/0A/" HEX ".exe", target);
	goes_to("/Content/0a/826420e65ec10f9c0cdf82faa8ced6390832f50a.EXE", target);
	goes_to("/content/0A/" HEX, target);
	goes_to("/CONTENT/a/" HEX ".cab", target);
	goes_to("/Content/" HEX ".tar.gz", target);
	goes_to("/Content/0A/" HEX ".", target);
}

/* holds: WUSP-CONTENT-12 */
static void other_names_are_no_files(void **state)
{
	(void)state;
	goes_nowhere("/Content/0B/" HEX ".exe");
	goes_nowhere("/Content/00A/" HEX ".exe");
	goes_nowhere("/Content/0A/" HEX "0.exe");
	goes_nowhere("/Content/0A/826420E65EC10F9C0CDF82FAA8CED6390832F50");
	goes_nowhere("/Content/0A/G26420E65EC10F9C0CDF82FAA8CED6390832F50A");
	goes_nowhere("/Content/0A/" HEX "/x");
	goes_nowhere("/Content/0A/" HEX ".exe/../x");
	goes_nowhere("/Content/../Content/0A/" HEX);
	goes_nowhere("/Content/0A//" HEX);
	goes_nowhere("/Content/0A/");
	goes_nowhere("/Content/");
	goes_nowhere("/Content");
	goes_nowhere("/Contents/0A/" HEX);
	goes_nowhere("");
}

/* holds: WSUSSS-CONTENT-01 WSUSSS-CONTENT-02 WSUSSS-CONTENT-03 WSUSSS-CONTENT-04 */
static void the_name_of_a_file_in_its_folder_names_it(void **state)
{
	static const char target[] = "/_content/0A/" HEX;
	(void)state;
	goes_to("/Content/0A/Windows10.0-KB5000001-x64.cab", target);
	goes_to("/content/0a/WINDOWS10.0-kb5000001-X64.CAB", target);
	goes_to("/CONTENT/a/windows10.0-kb5000001-x64.cab", target);
	goes_to("/Content/0A/A B+c%41#\xc3\xa9.EXE", target);
	goes_to("/Content/0A/" LONG_255, target);
	goes_to("/Content/0A/lower.cab", target);
	goes_to("/Content/0A/0000000000000000000000000000000000000000.cab", target); /* a digest of another folder is a name */
}

/* holds: WSUSSS-CONTENT-11 */
static void a_name_that_is_none_or_a_link_that_says_something_else_is_no_file(void **state)
{
	char to[CONTENT_TARGET];
	struct content_places none = {-1, NULL}, missing = {-1, "/nonexistent/names"};
	static char long_name[5000] = "/Content/0A/";
	(void)state;
	goes_nowhere("/Content/0A/windows10.0-kb5000002-x64.cab");
	goes_nowhere("/Content/0B/windows10.0-kb5000001-x64.cab");
	goes_nowhere("/Content/windows10.0-kb5000001-x64.cab");
	goes_nowhere("/Content/0B/elsewhere.cab"); /* the digest's folder is another */
	goes_nowhere("/Content/0A/short.cab");
	goes_nowhere("/Content/0A/longer.cab");
	goes_nowhere("/Content/0A/path.cab");
	goes_nowhere("/Content/0A/root.cab");
	goes_nowhere("/Content/0A/hex.cab");
	goes_nowhere("/Content/0A/.hidden.cab");
	goes_nowhere("/Content/0A/file.cab");
	goes_nowhere("/Content/0A/folder.cab");
	goes_nowhere("/Content/0A/folder.cab/inner.cab");
	goes_nowhere("/Content/0A/../0A/lower.cab");
	goes_nowhere("/Content/0A/..");
	goes_nowhere("/Content/0A/.");
	goes_nowhere("/Content/0A/0B\\lower.cab");
	goes_nowhere("/Content/0A/lower.cab\n");
	goes_nowhere("/Content/0A/lower.cab/");
	goes_nowhere("/Content/0A/" LONG_255 "x");
	goes_nowhere("/Content/.0/lower.cab");
	goes_nowhere("/Content/names/0A/lower.cab");
	memset(long_name + 12, 'a', sizeof(long_name) - 13);
	goes_nowhere(long_name);
	assert_false(content_resolve(SL("/Content/0A/lower.cab"), &none, to));
	assert_false(content_resolve(SL("/Content/0A/lower.cab"), &missing, to));
	struct content_places in = {fd, names};
	assert_false(content_resolve((struct slice){"/Content/0A/lower.cab\0x", 23}, &in, to));
	assert_false(content_resolve((struct slice){"/Content/0A/lower.cab", 20}, &in, to));
}

/* holds: WUSP-SELFUPDATE-08 */
static void self_update_names_are_found_in_any_case(void **state)
{
	(void)state;
	goes_to("/SelfUpdate/WUIDENT.CAB", "/_selfupdate/wuident.cab");
	goes_to("/selfupdate/wsus3/X86/wusetup handler%.CAB", "/_selfupdate/WSUS3/x86/WuSetup%20Handler%25.cab");
	goes_to("/SelfUpdate/BOTH", "/_selfupdate/BOTH");
	goes_to("/SelfUpdate/Both", "/_selfupdate/Both");
}

/* holds: WUSP-SELFUPDATE-07 WUSP-CONTENT-12 */
static void self_update_misses_are_misses(void **state)
{
	char to[CONTENT_TARGET];
	(void)state;
	goes_nowhere("/SelfUpdate/nothing.cab");
	goes_nowhere("/SelfUpdate/");
	goes_nowhere("/SelfUpdate/.hidden");
	goes_nowhere("/SelfUpdate/../x");
	goes_nowhere("/SelfUpdate/wsus3/../wuident.cab");
	goes_nowhere("/SelfUpdate//wuident.cab");
	goes_nowhere("/SelfUpdate/wuident.cab/x");
	goes_nowhere("/SelfUpdate/out/etc");
	goes_nowhere("/SelfUpdate/a/b/c/d/e/f/g/h/i/j");
	struct content_places none = {-1, NULL};
	assert_false(content_resolve(SL("/SelfUpdate/wuident.cab"), &none, to));
}

static void an_answer_redirects_or_says_why_not(void **state)
{
	char headers[CONTENT_TARGET + 64];
	struct answer a;
	struct request r = {.method = SL("HEAD"), .path = SL("/content/0a/" HEX ".exe")};
	struct content_places none = {-1, NULL};
	(void)state;
	content_answer(&r, &none, headers, &a);
	assert_int_equal(a.status, 200);
	assert_true(a.no_body);
	assert_true(slice_eq(a.headers, SL("X-Accel-Redirect: /_content/0A/" HEX "\r\n")));
	r.path = SL("/Content/x");
	content_answer(&r, &none, headers, &a);
	assert_int_equal(a.status, 404);
	r.method = SL("POST");
	content_answer(&r, &none, headers, &a);
	assert_int_equal(a.status, 405);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_case_extension_and_folder_spelling_names_the_file),
		cmocka_unit_test(other_names_are_no_files),
		cmocka_unit_test(the_name_of_a_file_in_its_folder_names_it),
		cmocka_unit_test(a_name_that_is_none_or_a_link_that_says_something_else_is_no_file),
		cmocka_unit_test(self_update_names_are_found_in_any_case),
		cmocka_unit_test(self_update_misses_are_misses),
		cmocka_unit_test(an_answer_redirects_or_says_why_not),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
