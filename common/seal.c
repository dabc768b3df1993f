/* seal.c -- AES-256-GCM under keys of a month, each derived from the master secret.
 *
 * The purpose and the month stand in the associated data: a cookie of one service is not one of another, and
 * a moved month selects another key, so either change fails the tag. */
#include "common/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/gcm.h>
#include <mbedtls/hkdf.h>
#include <mbedtls/platform_util.h>

#include "common/limits.h"

enum { VERSION = 1, HEAD = 4, NONCE = 12, TAG = 16, KEY = 32, KEYS = 4 };
static_assert(HEAD + NONCE + TAG == SEAL_OVERHEAD, "the header's figure");

struct month_key {
	bool ready;
	uint16_t month;
	mbedtls_gcm_context gcm;
};

struct sealer {
	uint8_t secret[SEAL_MASTER];
	struct month_key key[KEYS];
	unsigned next; /* the slot to be replaced */
};

/* ---- random bytes ---- */

static struct {
	pid_t owner; /* a forked worker must not go on with its parent's state */
	mbedtls_entropy_context entropy;
	mbedtls_ctr_drbg_context drbg;
} rng;

static int rng_ready(void)
{
	pid_t pid = getpid();
	if (rng.owner == pid)
		return E_OK;
	mbedtls_entropy_init(&rng.entropy);
	mbedtls_ctr_drbg_init(&rng.drbg);
	int rc = mbedtls_ctr_drbg_seed(&rng.drbg, mbedtls_entropy_func, &rng.entropy, (const uint8_t *)&pid, sizeof(pid));
	if (rc == 0) {
		rng.owner = pid;
		return E_OK;
	}
	mbedtls_ctr_drbg_free(&rng.drbg);
	mbedtls_entropy_free(&rng.entropy);
	return E_IO;
}

int random_bytes(void *to, size_t n)
{
	if (rng_ready() != E_OK)
		return E_IO;
	for (uint8_t *p = to; n > 0;) {
		size_t part = MIN(n, (size_t)MBEDTLS_CTR_DRBG_MAX_REQUEST);
		if (mbedtls_ctr_drbg_random(&rng.drbg, p, part) != 0)
			return E_IO;
		p += part;
		n -= part;
	}
	return E_OK;
}

int random_guid(struct guid *out)
{
	int rc = random_bytes(out->b, sizeof(out->b));
	out->b[6] = (uint8_t)((out->b[6] & 0x0f) | 0x40);
	out->b[8] = (uint8_t)((out->b[8] & 0x3f) | 0x80);
	return rc;
}

/* ---- the master secret ---- */

static bool write_secret(int fd)
{
	uint8_t secret[SEAL_MASTER];
	errno = EIO;
	bool ok = random_bytes(secret, sizeof(secret)) == E_OK && fchmod(fd, 0600) == 0 &&
		write(fd, secret, sizeof(secret)) == (ssize_t)sizeof(secret) && fsync(fd) == 0;
	mbedtls_platform_zeroize(secret, sizeof(secret));
	return ok;
}

int seal_create(const char *path, struct err *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 && errno == EEXIST)
		return err_set(e, E_EXISTS, "%s exists: replacing it would make every cookie invalid", path);
	if (fd < 0)
		return err_errno(e, "%s", path);
	int rc = write_secret(fd) ? E_OK : err_errno(e, "%s", path);
	if (close(fd) != 0 && rc == E_OK)
		rc = err_errno(e, "%s", path);
	if (rc != E_OK)
		unlink(path);
	return rc;
}

int seal_open_secret(struct sealer **out, const uint8_t secret[SEAL_MASTER], struct err *e)
{
	struct sealer *s = calloc(1, sizeof(*s));
	*out = s;
	if (!s)
		return err_set(e, E_NOMEM, "no memory for keys");
	memcpy(s->secret, secret, SEAL_MASTER);
	for (size_t i = 0; i < KEYS; i++)
		mbedtls_gcm_init(&s->key[i].gcm);
	return E_OK;
}

/* One byte more than there should be is asked for, so that a longer file is seen. */
static int read_secret(int fd, uint8_t secret[SEAL_MASTER + 1], const char *path, struct err *e)
{
	struct stat st;
	if (fstat(fd, &st) != 0)
		return err_errno(e, "%s", path);
	if (!S_ISREG(st.st_mode) || (st.st_mode & 077) != 0)
		return err_set(e, E_REFUSED, "%s can be read by others: chmod 600 it", path);
	ssize_t n = read(fd, secret, SEAL_MASTER + 1);
	if (n < 0)
		return err_errno(e, "%s", path);
	if (n != SEAL_MASTER)
		return err_set(e, E_CORRUPT, "%s: a master secret has %d bytes", path, SEAL_MASTER);
	return E_OK;
}

int seal_open_file(struct sealer **out, const char *path, struct err *e)
{
	uint8_t secret[SEAL_MASTER + 1];
	*out = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return err_errno(e, "%s", path);
	int rc = read_secret(fd, secret, path, e);
	if (rc == E_OK)
		rc = seal_open_secret(out, secret, e);
	mbedtls_platform_zeroize(secret, sizeof(secret));
	close(fd);
	return rc;
}

void seal_close(struct sealer **s)
{
	if (!*s)
		return;
	for (size_t i = 0; i < KEYS; i++)
		mbedtls_gcm_free(&(*s)->key[i].gcm);
	mbedtls_platform_zeroize(*s, sizeof(**s));
	free(*s);
	*s = NULL;
}

/* ---- keys of months ---- */

static uint16_t month_of(tick_t t)
{
	time_t seconds = (time_t)(t / TICKS_PER_SECOND);
	struct tm tm;
	if (t < 0 || !gmtime_r(&seconds, &tm))
		return 0;
	return (uint16_t)MIN((tm.tm_year - 70) * 12 + tm.tm_mon, UINT16_MAX);
}

static bool derive(struct sealer *s, struct month_key *k, uint16_t month)
{
	static const char purpose[] = "wsus-fcgi cookie month ";
	uint8_t info[sizeof(purpose) + 1], key[KEY];
	memcpy(info, purpose, sizeof(purpose) - 1);
	put_be16(info + sizeof(purpose) - 1, month);
	mbedtls_gcm_free(&k->gcm);
	mbedtls_gcm_init(&k->gcm);
	k->month = month;
	k->ready = mbedtls_hkdf(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), NULL, 0, s->secret, SEAL_MASTER, info,
			   sizeof(info), key, sizeof(key)) == 0 &&
		mbedtls_gcm_setkey(&k->gcm, MBEDTLS_CIPHER_ID_AES, key, KEY * 8) == 0;
	mbedtls_platform_zeroize(key, sizeof(key));
	return k->ready;
}

static struct month_key *month_key(struct sealer *s, uint16_t month)
{
	for (size_t i = 0; i < KEYS; i++)
		if (s->key[i].ready && s->key[i].month == month)
			return &s->key[i];
	struct month_key *k = &s->key[s->next++ % KEYS];
	return derive(s, k, month) ? k : NULL;
}

/* ---- sealing ---- */

int seal(struct sealer *s, enum seal_purpose purpose, tick_t now, const void *plain, size_t n, void *to)
{
	uint8_t *head = to, *nonce = head + HEAD, *text = nonce + NONCE, *tag = text + n;
	uint16_t month = month_of(now);
	head[0] = VERSION;
	head[1] = (uint8_t)purpose;
	put_be16(head + 2, month);
	struct month_key *k = month_key(s, month);
	if (!k)
		return E_NOMEM;
	if (random_bytes(nonce, NONCE) != E_OK)
		return E_IO;
	if (mbedtls_gcm_crypt_and_tag(&k->gcm, MBEDTLS_GCM_ENCRYPT, n, nonce, NONCE, head, HEAD, plain, text, TAG, tag) != 0)
		return E_IO;
	return E_OK;
}

int unseal(struct sealer *s, enum seal_purpose purpose, struct slice sealed, void *to, size_t *n)
{
	const uint8_t *head = (const uint8_t *)sealed.p;
	*n = 0;
	if (sealed.n < SEAL_OVERHEAD || sealed.n > LIMIT_COOKIE || head[0] != VERSION || head[1] != purpose)
		return E_FORM;
	const uint8_t *nonce = head + HEAD, *text = nonce + NONCE; /* not before it is known that they are there */
	size_t size = sealed.n - SEAL_OVERHEAD;
	struct month_key *k = month_key(s, get_be16(head + 2));
	if (!k)
		return E_NOMEM;
	if (mbedtls_gcm_auth_decrypt(&k->gcm, size, nonce, NONCE, head, HEAD, text + size, TAG, text, to) != 0)
		return E_FORM;
	*n = size;
	return E_OK;
}
