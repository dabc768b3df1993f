/* t_part.c -- files on their way: parts that go on where they stopped, digests before names; addresses that are asked and those that
 * are not. */
#include <fcntl.h>

#include "common/digest.h"
#include "store/content.h"
#include "sync/download.h"
#include "test/unit/store_fixture.h"

static char dir[256];
static char bytes[100000];

static int setup(void **state)
{
	(void)state;
	fx_dir(dir);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 2654435761u >> 13);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fx_remove(dir);
	return 0;
}

/* The record of the first n bytes. */
static struct file file_of(size_t n)
{
	struct file f = {.size = n, .has_sha256 = true, .modified = FIXTURE_NOW};
	struct digest *one = digest_new(DIGEST_SHA1), *two = digest_new(DIGEST_SHA256);
	const struct slice all = {bytes, n};
	digest_start(one);
	digest_add(one, all);
	assert_true(digest_end(one, f.digest.b));
	digest_start(two);
	digest_add(two, all);
	assert_true(digest_end(two, f.sha256.b));
	digest_free(&one);
	digest_free(&two);
	return f;
}

static struct content_part *part_of(const struct file *f)
{
	struct content_part *p = NULL;
	OK(content_part_open(&p, dir, f, &fx_err));
	return p;
}

static void add(struct content_part *p, size_t from, size_t n)
{
	OK(content_part_add(p, (struct slice){bytes + from, n}, &fx_err));
}

static void path_of(const struct file *f, bool partial, char out[CONTENT_PATH])
{
	char hex[41];
	hex_text(f->digest.b, sizeof(f->digest.b), true, hex);
	if (partial)
		snprintf(out, CONTENT_PATH, "%s/" CONTENT_PARTIAL "/%s", dir, hex);
	else
		assert_true(content_path(dir, &f->digest, out));
}

static bool there(const struct file *f, bool partial, struct stat *st)
{
	char path[CONTENT_PATH];
	path_of(f, partial, path);
	return lstat(path, st) == 0;
}

/* holds: WSUSSS-DSS-CONTENT-11 WSUSSS-DOWNLOADFILES-10 */
static void a_part_gets_its_name_when_both_digests_agree(void **state)
{
	struct file f = file_of(70000);
	struct stat st;
	(void)state;
	IS(E_NOTFOUND, content_look(dir, &f, &fx_err));
	struct content_part *p = part_of(&f);
	add(p, 0, 30000);
	assert_true(there(&f, true, &st));
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_false(there(&f, false, &st));
	add(p, 30000, 40000);
	OK(content_part_place(p, &fx_err));
	content_part_close(&p);
	assert_false(there(&f, true, &st));
	assert_true(there(&f, false, &st));
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(st.st_size, 70000);
	OK(content_look(dir, &f, &fx_err));
}

static void a_part_goes_on_behind_what_is_there(void **state)
{
	struct file f = file_of(70000);
	(void)state;
	for (size_t at = 0; at < 70000; at += 10000) {
		struct content_part *p = part_of(&f);
		assert_true(content_part_have(p) == at);
		add(p, at, 10000);
		content_part_close(&p);
		assert_true(content_part_size(dir, &f.digest) == at + 10000);
	}
	struct content_part *p = part_of(&f);
	OK(content_part_place(p, &fx_err));
	content_part_close(&p);
	OK(content_look(dir, &f, &fx_err));
}

/* Wrong in the first half, which another run left, or in the second: nothing of it stays. */
static void what_is_wrong_is_discarded(void **state)
{
	struct file f = file_of(70000);
	struct stat st;
	(void)state;
	for (int half = 0; half < 2; half++) {
		struct content_part *p = part_of(&f);
		add(p, half == 0 ? 1 : 0, 35000);
		content_part_close(&p);
		p = part_of(&f);
		add(p, half == 1 ? 35001 : 35000, 35000);
		IS(E_CORRUPT, content_part_place(p, &fx_err));
		assert_true(content_part_have(p) == 0);
		content_part_close(&p);
		assert_false(there(&f, false, &st));
		assert_true(content_part_size(dir, &f.digest) == 0);
	}
	f.sha256.b[7] ^= 1; /* the right SHA-1 alone is not enough */
	struct content_part *p = part_of(&f);
	add(p, 0, 70000);
	IS(E_CORRUPT, content_part_place(p, &fx_err));
	content_part_close(&p);
	assert_false(there(&f, false, &st));
}

static void nothing_beyond_the_size_is_taken(void **state)
{
	struct file f = file_of(1000), longer = file_of(2000);
	(void)state;
	struct content_part *p = part_of(&f);
	add(p, 0, 900);
	IS(E_CORRUPT, content_part_add(p, (struct slice){bytes, 101}, &fx_err));
	assert_true(content_part_have(p) == 900);
	add(p, 900, 100);
	OK(content_part_place(p, &fx_err));
	content_part_close(&p);
	/* one that is there and too long begins anew */
	p = part_of(&longer);
	add(p, 0, 2000);
	content_part_close(&p);
	longer.size = 1500;
	p = part_of(&longer);
	assert_true(content_part_have(p) == 0);
	content_part_close(&p);
}

/* Whatever somebody put under a part's name, it is not written through. */
static void links_are_not_followed(void **state)
{
	struct file f = file_of(1000);
	char path[CONTENT_PATH], victim[512];
	struct stat st;
	(void)state;
	struct content_part *p = part_of(&f);
	content_part_close(&p);
	path_of(&f, true, path);
	assert_int_equal(unlink(path), 0);
	snprintf(victim, sizeof(victim), "%s/victim", dir);
	int fd = open(victim, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	for (int hard = 0; hard < 2; hard++) {
		assert_int_equal(hard ? link(victim, path) : symlink(victim, path), 0);
		p = part_of(&f);
		add(p, 0, 1000);
		content_part_close(&p);
		assert_int_equal(stat(victim, &st), 0);
		assert_int_equal(st.st_size, 0);
		content_part_drop(dir, &f.digest);
	}
}

static int count_part(const struct sha1 *digest, uint64_t size, void *arg)
{
	uint64_t *sum = arg;
	(void)digest;
	*sum += size;
	return E_OK;
}

static void parts_are_listed_and_dropped(void **state)
{
	uint64_t sum = 0;
	(void)state;
	OK(content_parts_each(dir, count_part, &sum, &fx_err));
	assert_true(sum == 0);
	for (size_t n = 1000; n <= 3000; n += 1000) {
		struct file f = file_of(n);
		struct content_part *p = part_of(&f);
		add(p, 0, 10);
		content_part_close(&p);
	}
	OK(content_parts_each(dir, count_part, &sum, &fx_err));
	assert_true(sum == 30);
	struct file f = file_of(1000);
	content_part_drop(dir, &f.digest);
	assert_true(content_part_size(dir, &f.digest) == 0);
}

/* ---- addresses ---- */

static void extensions_are_letters_and_digits(void **state)
{
	static const struct {
		const char *name, *ext;
	} rows[] = {
		{"a.cab", "cab"}, {"a.b.PSF", "PSF"}, {"a", ""}, {"", ""}, {"a.", ""}, {".cab", "cab"}, {"a.c/b", ""}, {"a.c%b", ""}, {"a.c b", ""},
		{"a.0123456789abcdef", "0123456789abcdef"}, {"a.0123456789abcdefg", ""}, {"a.c\r\nX: y", ""}, {"../../x.ex\xc3\xa9", ""},
	};
	(void)state;
	for (size_t i = 0; i < COUNTOF(rows); i++)
		assert_true(slice_eq(content_extension(slice_of(rows[i].name)), slice_of(rows[i].ext)));
}

/* holds: WSUSSS-DSS-CONTENT-05 */
static void the_parents_address_is_made_of_the_digest(void **state)
{
	struct file f = {.name = SL("Some Name.CAB")};
	char url[DOWNLOAD_URL], base[DOWNLOAD_URL];
	(void)state;
	for (unsigned i = 0; i < sizeof(f.digest.b); i++)
		f.digest.b[i] = (uint8_t)(0xA0 + i);
	f.digest.b[19] = 0x0F; /* two digits always */
	assert_true(download_parent_url(SL("http://up:8530/"), &f, url));
	assert_string_equal(url, "http://up:8530/Content/0F/A0A1A2A3A4A5A6A7A8A9AAABACADAEAFB0B1B20F.CAB");
	f.name = SL("x\" onerror=/..");
	assert_true(download_parent_url(SL("https://[::1]:8531/under"), &f, url));
	assert_string_equal(url, "https://[::1]:8531/under/Content/0F/A0A1A2A3A4A5A6A7A8A9AAABACADAEAFB0B1B20F");
	memset(base, 'a', sizeof(base));
	assert_false(download_parent_url((struct slice){base, sizeof(base)}, &f, url));
	assert_false(download_parent_url(SL(""), &f, url));
	assert_false(download_parent_url(SL("///"), &f, url));
}

static void a_vendors_address_is_http_or_it_is_none(void **state)
{
	static const char *const good[] = {"http://download.example.com/c/a_0.cab", "https://h/x", "HTTP://h/x?y=1&z=%20#f", "http://[::1]:80/x",
		"http://h", "https://h:8443/a@b"};
	static const char *const bad[] = {"", "http://", "http:///x", "http://?x", "http://:80/x", "ftp://h/x", "file:///etc/passwd", "httpx://h/x",
		"http:/h/x", "http://user@h/x", "http://user:word@h/x", "https://h\r\nX: y/", "http://h/a b", "http://h/\xc3\xa9", "http://h/\"", "//h/x",
		"\\\\h\\x", "http://h/\x7f", "gopher://h/", "http:\\\\h\\x", " http://h/x"};
	char url[DOWNLOAD_URL], large[DOWNLOAD_URL + 1];
	(void)state;
	for (size_t i = 0; i < COUNTOF(good); i++) {
		assert_true(download_vendor_url(slice_of(good[i]), url));
		assert_string_equal(url, good[i]);
	}
	for (size_t i = 0; i < COUNTOF(bad); i++)
		if (download_vendor_url(slice_of(bad[i]), url))
			fail_msg("%s passes for an address", bad[i]);
	memset(large, 'a', sizeof(large));
	memcpy(large, "http://", 7);
	assert_false(download_vendor_url((struct slice){large, DOWNLOAD_URL}, url));
	assert_true(download_vendor_url((struct slice){large, DOWNLOAD_URL - 1}, url));
	assert_false(download_vendor_url(SL0, url));
	assert_false(download_vendor_url((struct slice){"http://h/\0x", 10}, url));
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_part_gets_its_name_when_both_digests_agree), T(a_part_goes_on_behind_what_is_there), T(what_is_wrong_is_discarded),
		T(nothing_beyond_the_size_is_taken), T(links_are_not_followed), T(parts_are_listed_and_dropped),
		T(extensions_are_letters_and_digits), T(the_parents_address_is_made_of_the_digest),
		T(a_vendors_address_is_http_or_it_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
