/* t_spool.c -- what goes into a spool comes out of it, from memory and from the file; its bounds and the disk's end are errors. */
#include "sync/spool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/arena.h"

static char dir[] = "/tmp/t_spool.XXXXXX";

static char byte_at(uint64_t at)
{
	return (char)((at * 2654435761u) >> 13);
}

static void add_bytes(struct spool *s, size_t n, size_t piece)
{
	char *bytes = malloc(piece);
	struct err e;
	while (n > 0) {
		size_t part = MIN(n, piece);
		for (size_t i = 0; i < part; i++)
			bytes[i] = byte_at(spool_size(s) + i);
		assert_int_equal(spool_add(s, bytes, part, &e), E_OK);
		n -= part;
	}
	free(bytes);
}

static void assert_bytes(struct spool *s, size_t n, size_t piece)
{
	char *bytes = malloc(piece);
	struct spool_reader r = {s, 0, n};
	struct err e;
	uint64_t at = 0;
	ptrdiff_t got;
	assert_int_equal(spool_size(s), n);
	while ((got = spool_refill(&r, bytes, piece, &e)) > 0)
		for (ptrdiff_t i = 0; i < got; i++, at++)
			if (bytes[i] != byte_at(at))
				fail_msg("byte %ju differs", (uintmax_t)at);
	assert_int_equal(got, 0);
	assert_int_equal(at, n);
	free(bytes);
}

static void bytes_come_back(void **state)
{
	static const size_t size[] = {0, 1, 4095, 4096, 4097, SPOOL_MEMORY - 1, SPOOL_MEMORY, SPOOL_MEMORY + 1,
		2 * SPOOL_MEMORY, 2 * SPOOL_MEMORY + 1, 5 * SPOOL_MEMORY + 12345};
	static const size_t piece[] = {1000, 16384, 3 * SPOOL_MEMORY + 7};
	struct spool *s;
	struct err e;
	(void)state;
	assert_int_equal(spool_new(&s, dir, UINT64_MAX, &e), E_OK);
	for (size_t i = 0; i < COUNTOF(size); i++)
		for (size_t k = 0; k < COUNTOF(piece); k++) {
			add_bytes(s, size[i], piece[k]);
			assert_bytes(s, size[i], piece[(k + 1) % COUNTOF(piece)]);
			spool_reset(s);
			assert_int_equal(spool_size(s), 0);
		}
	spool_free(&s);
	assert_null(s);
}

static void anywhere(void **state)
{
	struct spool *s;
	struct err e;
	char b[7];
	(void)state;
	assert_int_equal(spool_new(&s, dir, UINT64_MAX, &e), E_OK);
	add_bytes(s, 2 * SPOOL_MEMORY + 100, 60000);
	static const uint64_t at[] = {0, 5, SPOOL_MEMORY - 3, SPOOL_MEMORY, 2 * SPOOL_MEMORY - 1, 2 * SPOOL_MEMORY + 93};
	for (size_t i = 0; i < COUNTOF(at); i++) {
		uint64_t done = 0;
		while (done < sizeof(b)) {
			ptrdiff_t n = spool_read(s, at[i] + done, b + done, sizeof(b) - done, &e);
			assert_true(n > 0);
			done += (uint64_t)n;
		}
		for (size_t k = 0; k < sizeof(b); k++)
			assert_int_equal(b[k], byte_at(at[i] + k));
	}
	assert_int_equal(spool_read(s, 2 * SPOOL_MEMORY + 100, b, sizeof(b), &e), 0);
	assert_int_equal(spool_read(s, UINT64_MAX, b, sizeof(b), &e), 0);
	spool_free(&s);
}

/* A part, as of one document in an answer. */
static void a_part(void **state)
{
	struct spool *s;
	struct err e;
	char b[64];
	(void)state;
	assert_int_equal(spool_new(&s, dir, 100, &e), E_OK);
	assert_int_equal(spool_add(s, "0123456789", 10, &e), E_OK);
	struct spool_reader r = {s, 3, 7};
	assert_int_equal(spool_refill(&r, b, sizeof(b), &e), 4);
	assert_memory_equal(b, "3456", 4);
	assert_int_equal(spool_refill(&r, b, sizeof(b), &e), 0);
	spool_free(&s);
}

static unsigned names_in(const char *path)
{
	DIR *d = opendir(path);
	unsigned n = 0;
	struct dirent *entry;
	while ((entry = readdir(d)))
		n += entry->d_name[0] != '.' || strlen(entry->d_name) > 2;
	closedir(d);
	return n;
}

static void the_file_has_no_name(void **state)
{
	struct spool *s;
	struct err e;
	(void)state;
	assert_int_equal(spool_new(&s, dir, UINT64_MAX, &e), E_OK);
	add_bytes(s, 3 * SPOOL_MEMORY, 65536);
	assert_int_equal(names_in(dir), 0);
	spool_free(&s);
	assert_int_equal(names_in(dir), 0);
}

static void bounds(void **state)
{
	struct spool *s;
	struct err e;
	(void)state;
	assert_int_equal(spool_new(&s, dir, 10, &e), E_OK);
	assert_int_equal(spool_add(s, "0123456789", 10, &e), E_OK);
	assert_int_equal(spool_add(s, "x", 1, &e), E_LIMIT);
	assert_string_equal(e.text, "more than 10 bytes");
	assert_int_equal(spool_add(s, "x", SIZE_MAX, &e), E_LIMIT);
	assert_int_equal(spool_size(s), 10);
	spool_free(&s);
	assert_int_equal(spool_new(&s, "/nowhere/at/all", UINT64_MAX, &e), E_OK);
	char *bytes = calloc(1, 2 * SPOOL_MEMORY);
	assert_int_equal(spool_add(s, bytes, SPOOL_MEMORY, &e), E_OK);
	assert_int_equal(spool_add(s, bytes, 1, &e), E_IO);
	assert_non_null(strstr(e.text, "/nowhere/at/all"));
	spool_free(&s);
	free(bytes);
}

/* A limit of the process on the size of files stands for a disk that has no more room: first less is written than asked for, then
 * nothing. */
static void a_full_disk(void **state)
{
	struct rlimit was, small;
	struct spool *s;
	struct err e = {0};
	char *bytes = calloc(1, SPOOL_MEMORY);
	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	small = was;
	small.rlim_cur = SPOOL_MEMORY + 1000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(spool_new(&s, dir, UINT64_MAX, &e), E_OK);
	int rc = E_OK;
	for (unsigned i = 0; i < 5 && rc == E_OK; i++)
		rc = spool_add(s, bytes, SPOOL_MEMORY, &e);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	assert_int_equal(rc, E_IO); /* EFBIG */
	assert_non_null(strstr(e.text, dir));
	spool_free(&s);
	int full = open("/dev/full", O_WRONLY);
	if (full >= 0) { /* what ENOSPC is called is err_errno's */
		assert_int_equal(write(full, "x", 1), -1);
		assert_int_equal(err_errno(&e, "disk"), E_FULL);
		close(full);
	}
	free(bytes);
}

static void no_memory(void **state)
{
	struct spool *s;
	struct err e;
	char bytes[10000] = {0};
	(void)state;
	alloc_fail_at = 1;
	assert_int_equal(spool_new(&s, dir, 100000, &e), E_NOMEM);
	assert_int_equal(spool_new(&s, dir, 100000, &e), E_OK);
	alloc_fail_at = 2;
	assert_int_equal(spool_add(s, bytes, 4096, &e), E_OK);
	assert_int_equal(spool_add(s, bytes, sizeof(bytes), &e), E_NOMEM);
	assert_int_equal(spool_size(s), 4096);
	alloc_fail_at = 0;
	assert_int_equal(spool_add(s, bytes, sizeof(bytes), &e), E_OK);
	spool_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_come_back),
		cmocka_unit_test(anywhere),
		cmocka_unit_test(a_part),
		cmocka_unit_test(the_file_has_no_name),
		cmocka_unit_test(bounds),
		cmocka_unit_test(a_full_disk),
		cmocka_unit_test(no_memory),
	};
	if (!mkdtemp(dir))
		return 1;
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return failed;
}
