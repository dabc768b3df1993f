/* t_seal.c -- sealed bytes open only as they were sealed. */
#include "common/seal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/limits.h"

#define MONTH (31 * 86400 * TICKS_PER_SECOND)
#define NOW (INT64_C(1700000000) * TICKS_PER_SECOND) /* November 2023: month 646 */

static const uint8_t secret[SEAL_MASTER] = "a secret of thirty-two bytes ...";
static char dir[64], path[96];

static struct sealer *sealer(void)
{
	struct sealer *s;
	assert_int_equal(seal_open_secret(&s, secret, NULL), E_OK);
	return s;
}

static void what_is_sealed_opens(void **state)
{
	(void)state;
	struct sealer *s = sealer();
	char plain[LIMIT_COOKIE], sealed[LIMIT_COOKIE], back[LIMIT_COOKIE];
	size_t n;
	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = (char)(i * 31);
	for (size_t size = 0; size + SEAL_OVERHEAD <= LIMIT_COOKIE; size += 1 + size / 5) {
		assert_int_equal(seal(s, SEAL_CLIENT, NOW, plain, size, sealed), E_OK);
		assert_int_equal(unseal(s, SEAL_CLIENT, (struct slice){sealed, size + SEAL_OVERHEAD}, back, &n), E_OK);
		assert_int_equal(n, size);
		assert_memory_equal(back, plain, size);
	}
	seal_close(&s);
	assert_null(s);
	seal_close(&s);
}

static void the_head_is_as_documented(void **state)
{
	(void)state;
	struct sealer *s = sealer();
	char sealed[64];
	assert_int_equal(seal(s, SEAL_DSS, NOW, "plain", 5, sealed), E_OK);
	assert_memory_equal(sealed, "\1\4\x02\x86", 4);
	assert_null(memmem(sealed, 5 + SEAL_OVERHEAD, "plain", 5));
	seal_close(&s);
}

static void no_nonce_comes_twice(void **state)
{
	(void)state;
	struct sealer *s = sealer();
	char v[200][40];
	for (size_t i = 0; i < COUNTOF(v); i++)
		assert_int_equal(seal(s, SEAL_CLIENT, NOW, "12345678", 8, v[i]), E_OK);
	for (size_t i = 0; i < COUNTOF(v); i++)
		for (size_t k = 0; k < i; k++)
			assert_memory_not_equal(v[i] + 4, v[k] + 4, 12);
	seal_close(&s);
}

static void another_purpose_or_secret_does_not_open(void **state)
{
	(void)state;
	struct sealer *s = sealer(), *other;
	char sealed[64], back[64];
	size_t n;
	struct slice all = {sealed, 5 + SEAL_OVERHEAD};
	assert_int_equal(seal(s, SEAL_CLIENT, NOW, "plain", 5, sealed), E_OK);
	for (int p = 0; p < 256; p++)
		assert_int_equal(unseal(s, (enum seal_purpose)p, all, back, &n), p == SEAL_CLIENT ? E_OK : E_FORM);
	sealed[1] = SEAL_DSS; /* the purpose is authenticated, not only compared */
	assert_int_equal(unseal(s, SEAL_DSS, all, back, &n), E_FORM);
	sealed[1] = SEAL_CLIENT;
	uint8_t different[SEAL_MASTER];
	memcpy(different, secret, sizeof(secret));
	different[31] ^= 1;
	assert_int_equal(seal_open_secret(&other, different, NULL), E_OK);
	assert_int_equal(unseal(other, SEAL_CLIENT, all, back, &n), E_FORM);
	seal_close(&other);
	seal_close(&s);
}

static void any_altered_byte_or_length_is_refused(void **state)
{
	(void)state;
	struct sealer *s = sealer();
	char sealed[64], back[64];
	size_t n, size = 9 + SEAL_OVERHEAD;
	assert_int_equal(seal(s, SEAL_CLIENT, NOW, "plaintext", 9, sealed), E_OK);
	for (size_t i = 0; i < size; i++)
		for (int bit = 0; bit < 8; bit++) {
			sealed[i] ^= (char)(1 << bit);
			assert_int_equal(unseal(s, SEAL_CLIENT, (struct slice){sealed, size}, back, &n), E_FORM);
			sealed[i] ^= (char)(1 << bit);
		}
	for (size_t k = 0; k < size; k++)
		assert_int_equal(unseal(s, SEAL_CLIENT, (struct slice){sealed, k}, back, &n), E_FORM);
	sealed[size] = 0;
	assert_int_equal(unseal(s, SEAL_CLIENT, (struct slice){sealed, size + 1}, back, &n), E_FORM);
	assert_int_equal(unseal(s, SEAL_CLIENT, (struct slice){sealed, size}, back, &n), E_OK);
	seal_close(&s);
}

/* More months than the cache has keys, old ones in between, in a sealer that never sealed them. */
static void old_months_stay_readable(void **state)
{
	(void)state;
	struct sealer *s = sealer(), *later = sealer();
	char sealed[40][40], back[40];
	size_t n;
	for (int i = 0; i < 40; i++)
		assert_int_equal(seal(s, SEAL_CLIENT, NOW - i * MONTH, &i, sizeof(i), sealed[i]), E_OK);
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 40; i++) {
			int k = i * 7 % 40;
			assert_int_equal(
				unseal(later, SEAL_CLIENT, (struct slice){sealed[k], sizeof(k) + SEAL_OVERHEAD}, back, &n), E_OK);
			assert_memory_equal(back, &k, sizeof(k));
		}
	assert_memory_not_equal(sealed[0] + 2, sealed[1] + 2, 2);
	seal_close(&s);
	seal_close(&later);
}

static void a_secret_file_is_made_once_and_kept_private(void **state)
{
	(void)state;
	struct sealer *a, *b;
	struct err e;
	struct stat st;
	char sealed[64], back[64];
	size_t n;
	assert_int_equal(seal_open_file(&a, path, &e), E_IO);
	assert_null(a);
	mode_t old = umask(0);
	assert_int_equal(seal_create(path, &e), E_OK);
	umask(old);
	assert_int_equal(seal_create(path, &e), E_EXISTS);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, SEAL_MASTER);
	assert_int_equal(seal_open_file(&a, path, &e), E_OK);
	assert_int_equal(seal_open_file(&b, path, &e), E_OK);
	assert_int_equal(seal(a, SEAL_CLIENT, NOW, "x", 1, sealed), E_OK);
	assert_int_equal(unseal(b, SEAL_CLIENT, (struct slice){sealed, 1 + SEAL_OVERHEAD}, back, &n), E_OK);
	seal_close(&a);
	seal_close(&b);

	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(seal_open_file(&a, path, &e), E_REFUSED);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(truncate(path, SEAL_MASTER - 1), 0);
	assert_int_equal(seal_open_file(&a, path, &e), E_CORRUPT);
	assert_int_equal(truncate(path, SEAL_MASTER + 1), 0);
	assert_int_equal(seal_open_file(&a, path, &e), E_CORRUPT);
	unlink(path);
}

static void a_forked_worker_has_other_random_bytes(void **state)
{
	(void)state;
	uint8_t mine[32], theirs[32];
	int wire[2];
	assert_int_equal(pipe(wire), 0);
	assert_int_equal(random_bytes(mine, sizeof(mine)), E_OK); /* seeded before the fork */
	pid_t pid = fork();
	if (pid == 0) {
		if (random_bytes(theirs, sizeof(theirs)) != E_OK || write(wire[1], theirs, sizeof(theirs)) != sizeof(theirs))
			_exit(1);
		_exit(0);
	}
	assert_int_equal(read(wire[0], theirs, sizeof(theirs)), sizeof(theirs));
	assert_int_equal(random_bytes(mine, sizeof(mine)), E_OK);
	assert_memory_not_equal(mine, theirs, sizeof(mine));
	waitpid(pid, NULL, 0);
	close(wire[0]);
	close(wire[1]);
}

static void random_guids_are_version_4_and_differ(void **state)
{
	(void)state;
	struct guid v[100];
	static uint8_t many[5000], zero[5000];
	for (size_t i = 0; i < COUNTOF(v); i++) {
		assert_int_equal(random_guid(&v[i]), E_OK);
		assert_int_equal(v[i].b[6] >> 4, 4);
		assert_int_equal(v[i].b[8] >> 6, 2);
		for (size_t k = 0; k < i; k++)
			assert_int_not_equal(guid_cmp(&v[i], &v[k]), 0);
	}
	assert_int_equal(random_bytes(many, sizeof(many)), E_OK); /* more than one draw of the generator */
	assert_memory_not_equal(many, zero, sizeof(many) / 5);
	assert_memory_not_equal(many + 4000, zero, 1000);
}

static int make_dir(void **state)
{
	(void)state;
	const char *tmp = getenv("TMPDIR");
	snprintf(dir, sizeof(dir), "%.40s/wsus-seal-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/master", dir);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_sealed_opens),
		cmocka_unit_test(the_head_is_as_documented),
		cmocka_unit_test(no_nonce_comes_twice),
		cmocka_unit_test(another_purpose_or_secret_does_not_open),
		cmocka_unit_test(any_altered_byte_or_length_is_refused),
		cmocka_unit_test(old_months_stay_readable),
		cmocka_unit_test(a_secret_file_is_made_once_and_kept_private),
		cmocka_unit_test(a_forked_worker_has_other_random_bytes),
		cmocka_unit_test(random_guids_are_version_4_and_differ),
	};
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
