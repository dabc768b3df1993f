/* content.c -- hashing, verifying and placing content files. */
#include "store/content.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/digest.h"
#include "common/text.h"
#include "store/downstream.h"
#include "store/parent.h"

#define PIECE ((size_t)1 << 20)
#define INCOMING ".incoming-"

bool content_path(const char *dir, const struct sha1 *digest, char out[CONTENT_PATH])
{
	char hex[2 * sizeof(digest->b) + 1];
	hex_text(digest->b, sizeof(digest->b), true, hex);
	int n = snprintf(out, CONTENT_PATH, "%s/%s/%s", dir, hex + 38, hex);
	return n > 0 && n < CONTENT_PATH;
}

static int write_all(int fd, const uint8_t *p, size_t n)
{
	while (n) {
		ssize_t put = write(fd, p, n);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -1;
		p += put;
		n -= (size_t)put;
	}
	return 0;
}

struct pump {
	struct digest *sha1, *sha256;
	uint8_t *piece;
};

/* Reads `from` to its end, hashing, and writing each piece to `to` unless that is -1. */
static int pump(struct pump *p, int from, int to, struct digests *out, struct err *e)
{
	int rc = E_OK;
	ssize_t n = 0;
	out->size = 0;
	digest_start(p->sha1);
	digest_start(p->sha256);
	while (rc == E_OK && (n = read(from, p->piece, PIECE)) != 0) {
		if (n < 0) {
			rc = errno == EINTR ? E_OK : err_errno(e, "reading failed");
			continue;
		}
		struct slice s = {(const char *)p->piece, (size_t)n};
		out->size += s.n;
		digest_add(p->sha1, s);
		digest_add(p->sha256, s);
		if (to >= 0 && write_all(to, p->piece, s.n) != 0)
			rc = err_errno(e, "writing failed");
	}
	bool good = digest_end(p->sha1, out->sha1.b) && digest_end(p->sha256, out->sha256.b);
	return rc == E_OK && !good ? err_set(e, E_IO, "the digest library failed") : rc;
}

static int copy_hashing(int from, int to, struct digests *out, struct err *e)
{
	struct pump p = {digest_new(DIGEST_SHA1), digest_new(DIGEST_SHA256), malloc(PIECE)};
	bool all = p.sha1 && p.sha256 && p.piece;
	int rc = all ? pump(&p, from, to, out, e) : err_set(e, E_NOMEM, "out of memory");
	digest_free(&p.sha1);
	digest_free(&p.sha256);
	free(p.piece);
	return rc;
}

int content_digest(const char *path, struct digests *out, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, "%s", path);
	int rc = copy_hashing(fd, -1, out, e);
	close(fd);
	return err_at(e, rc, "%s: ", path);
}

int content_check(const struct digests *have, const struct file *want, struct err *e)
{
	if (have->size != want->size)
		return err_set(e, E_CORRUPT, "%llu bytes, the metadata says %llu", (unsigned long long)have->size,
			(unsigned long long)want->size);
	if (memcmp(have->sha1.b, want->digest.b, sizeof(want->digest.b)) != 0)
		return err_set(e, E_CORRUPT, "its SHA-1 is not the metadata's");
	if (want->has_sha256 && memcmp(have->sha256.b, want->sha256.b, sizeof(want->sha256.b)) != 0)
		return err_set(e, E_CORRUPT, "its SHA-1 is right but its SHA-256 is not the metadata's: not trusted");
	return E_OK;
}

int content_make_folder(int at, const char *name)
{
	if (mkdirat(at, name, 0755) == 0)
		return fchmodat(at, name, 0755, 0);
	return errno == EEXIST ? 0 : -1;
}

/* The content directory and its folder XX, made if missing, readable by the web server. */
static int make_folders(const char *dir, const char *path, struct err *e)
{
	char folder[CONTENT_PATH];
	if (content_make_folder(AT_FDCWD, dir) != 0)
		return err_errno(e, "%s", dir);
	snprintf(folder, sizeof(folder), "%s", path);
	*strrchr(folder, '/') = 0;
	if (content_make_folder(AT_FDCWD, folder) != 0)
		return err_errno(e, "%s", folder);
	return E_OK;
}

static int sync_folder(const char *path)
{
	char folder[CONTENT_PATH];
	snprintf(folder, sizeof(folder), "%s", path);
	*strrchr(folder, '/') = 0;
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 ? -1 : fsync(fd);
	if (fd >= 0)
		close(fd);
	return rc;
}

static void set_modified(int fd, tick_t t)
{
	const struct timespec at = {t / TICKS_PER_SECOND, (long)(t % TICKS_PER_SECOND) * 100};
	const struct timespec both[2] = {at, at};
	/* a wrong mtime costs a client nothing but a validator; not worth failing for */
	if (t > 0 && futimens(fd, both) != 0)
		errno = 0;
}

/* Fills the temporary file and gives it its name. */
static int fill(int from, int to, const char *temporary, const char *path, const struct file *f, struct err *e)
{
	struct digests d;
	int rc = copy_hashing(from, to, &d, e);
	if (rc == E_OK)
		rc = content_check(&d, f, e);
	if (rc != E_OK)
		return rc;
	set_modified(to, f->modified);
	if (fchmod(to, 0644) != 0 || fsync(to) != 0 || rename(temporary, path) != 0 || sync_folder(path) != 0)
		return err_errno(e, "%s", path);
	return E_OK;
}

static bool is_there(const char *path, const struct file *f)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == f->size;
}

/* A temporary file that nobody holds locked is what a killed run left. */
void content_sweep(const char *dir)
{
	DIR *d = opendir(dir);
	for (const struct dirent *f; d && (f = readdir(d)) != NULL;) {
		if (strncmp(f->d_name, INCOMING, strlen(INCOMING)) != 0)
			continue;
		int fd = openat(dirfd(d), f->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
			unlinkat(dirfd(d), f->d_name, 0);
		if (fd >= 0)
			close(fd);
	}
	if (d)
		closedir(d);
}

int content_place(const char *dir, const char *path, const struct file *f, struct err *e)
{
	char target[CONTENT_PATH], temporary[CONTENT_PATH];
	if (!content_path(dir, &f->digest, target) ||
		snprintf(temporary, sizeof(temporary), "%s/" INCOMING "XXXXXX", dir) >= (int)sizeof(temporary))
		return err_set(e, E_LIMIT, "%s: the path is too long", dir);
	if (is_there(target, f) && f->stored)
		return E_EXISTS;
	int rc = make_folders(dir, target, e);
	if (rc != E_OK)
		return rc;
	int from = open(path, O_RDONLY | O_CLOEXEC);
	if (from < 0)
		return err_errno(e, "%s", path);
	int to = mkostemp(temporary, O_CLOEXEC);
	if (to >= 0 && flock(to, LOCK_EX | LOCK_NB) != 0)
		errno = 0; /* without locks it may be swept by a run beside this one, which then says so */
	rc = to < 0 ? err_errno(e, "%s", temporary) : fill(from, to, temporary, target, f, e);
	if (to >= 0)
		close(to);
	if (to >= 0 && rc != E_OK)
		unlink(temporary);
	close(from);
	return rc;
}

int content_look(const char *dir, const struct file *f, struct err *e)
{
	char path[CONTENT_PATH];
	struct digests d;
	struct stat st;
	if (!content_path(dir, &f->digest, path))
		return err_set(e, E_LIMIT, "%s: the path is too long", dir);
	if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode))
		return E_NOTFOUND;
	if ((uint64_t)st.st_size != f->size)
		return err_set(e, E_CORRUPT, "%s: it has another size than the metadata says", path);
	int rc = content_digest(path, &d, e);
	return rc == E_OK ? err_at(e, content_check(&d, f, e), "%s: ", path) : rc;
}

struct slice content_extension(struct slice name)
{
	size_t dot = name.n;
	while (dot > 0 && name.p[dot - 1] != '.')
		dot--;
	struct slice ext = {name.p + dot, name.n - dot};
	if (dot == 0 || ext.n == 0 || ext.n > 16)
		return SL("");
	for (size_t i = 0; i < ext.n; i++) {
		char l = text_lower(ext.p[i]);
		if (!(l >= 'a' && l <= 'z') && !(l >= '0' && l <= '9'))
			return SL("");
	}
	return ext;
}

/* ================= a file on its way ================= */

struct content_part {
	int fd;
	struct file file; /* without texts */
	struct digest *sha1, *sha256;
	uint64_t have;
	char path[CONTENT_PATH], target[CONTENT_PATH], dir[CONTENT_PATH];
};

static bool part_path(const char *dir, const struct sha1 *digest, char out[CONTENT_PATH])
{
	char hex[2 * sizeof(digest->b) + 1];
	hex_text(digest->b, sizeof(digest->b), true, hex);
	int n = snprintf(out, CONTENT_PATH, "%s/" CONTENT_PARTIAL "/%s", dir, hex);
	return n > 0 && n < CONTENT_PATH;
}

static int make_partial_folder(const char *dir, struct err *e)
{
	char folder[CONTENT_PATH];
	snprintf(folder, sizeof(folder), "%s/" CONTENT_PARTIAL, dir);
	if (content_make_folder(AT_FDCWD, dir) != 0)
		return err_errno(e, "%s", dir);
	if (mkdir(folder, 0700) != 0 && errno != EEXIST)
		return err_errno(e, "%s", folder);
	return E_OK;
}

static void hash_begin(struct content_part *p)
{
	digest_start(p->sha1);
	digest_start(p->sha256);
	p->have = 0;
}

static void hash_more(struct content_part *p, struct slice s)
{
	digest_add(p->sha1, s);
	digest_add(p->sha256, s);
	p->have += s.n;
}

int content_part_restart(struct content_part *p, struct err *e)
{
	hash_begin(p);
	if (ftruncate(p->fd, 0) != 0 || lseek(p->fd, 0, SEEK_SET) != 0)
		return err_errno(e, "%s", p->path);
	return E_OK;
}

/* What a run before this one left of it. */
static int read_again(struct content_part *p, struct err *e)
{
	uint8_t *piece = malloc(PIECE);
	ssize_t n = piece ? 1 : -1;
	hash_begin(p);
	while (piece && p->have <= p->file.size && (n = read(p->fd, piece, PIECE)) != 0) {
		if (n < 0 && errno != EINTR)
			break;
		if (n > 0)
			hash_more(p, (struct slice){(const char *)piece, (size_t)n});
	}
	int rc = !piece ? err_set(e, E_NOMEM, "out of memory") : n < 0 ? err_errno(e, "%s", p->path) : E_OK;
	free(piece);
	return rc == E_OK && p->have > p->file.size ? content_part_restart(p, e) : rc;
}

/* Nothing but a plain file of ours is gone on with: what else has its name goes. */
static int open_part(struct content_part *p, struct err *e)
{
	struct stat st;
	if (lstat(p->path, &st) == 0 && (!S_ISREG(st.st_mode) || st.st_nlink != 1) && unlink(p->path) != 0)
		return err_errno(e, "%s", p->path);
	p->fd = open(p->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (p->fd < 0)
		return err_errno(e, "%s", p->path);
	return read_again(p, e);
}

int content_part_open(struct content_part **out, const char *dir, const struct file *f, struct err *e)
{
	struct content_part *p = calloc(1, sizeof(*p));
	*out = p;
	if (!p)
		return err_set(e, E_NOMEM, "out of memory");
	p->fd = -1;
	p->file = *f;
	p->file.name = p->file.mu_url = p->file.key = SL0;
	p->sha1 = digest_new(DIGEST_SHA1);
	p->sha256 = digest_new(DIGEST_SHA256);
	int rc = p->sha1 && p->sha256 ? E_OK : err_set(e, E_NOMEM, "out of memory");
	if (rc == E_OK && (!part_path(dir, &f->digest, p->path) || !content_path(dir, &f->digest, p->target)))
		rc = err_set(e, E_LIMIT, "%s: the path is too long", dir);
	snprintf(p->dir, sizeof(p->dir), "%s", dir);
	if (rc == E_OK)
		rc = make_partial_folder(dir, e);
	if (rc == E_OK)
		rc = open_part(p, e);
	if (rc != E_OK)
		content_part_close(out);
	return rc;
}

uint64_t content_part_have(const struct content_part *p)
{
	return p->have;
}

int content_part_add(struct content_part *p, struct slice bytes, struct err *e)
{
	if (bytes.n > p->file.size - p->have)
		return err_set(e, E_CORRUPT, "more bytes than the %llu that the metadata says", (unsigned long long)p->file.size);
	if (write_all(p->fd, (const uint8_t *)bytes.p, bytes.n) != 0) {
		int rc = err_errno(e, "%s", p->path);
		/* what was written of it is not hashed: the part ends where the digests do */
		if (ftruncate(p->fd, (off_t)p->have) != 0 || lseek(p->fd, (off_t)p->have, SEEK_SET) < 0)
			unlink(p->path);
		return rc;
	}
	hash_more(p, bytes);
	return E_OK;
}

static int part_check(struct content_part *p, struct err *e)
{
	struct digests d = {.size = p->have};
	if (!digest_end(p->sha1, d.sha1.b) || !digest_end(p->sha256, d.sha256.b))
		return err_set(e, E_IO, "the digest library failed");
	return content_check(&d, &p->file, e);
}

int content_part_place(struct content_part *p, struct err *e)
{
	struct err unused;
	int rc = part_check(p, e);
	if (rc != E_OK) {
		if (content_part_restart(p, &unused) != E_OK)
			unlink(p->path);
		return rc;
	}
	rc = make_folders(p->dir, p->target, e);
	if (rc != E_OK)
		return rc;
	set_modified(p->fd, p->file.modified);
	if (fchmod(p->fd, 0644) != 0 || fsync(p->fd) != 0 || rename(p->path, p->target) != 0 || sync_folder(p->target) != 0)
		return err_errno(e, "%s", p->target);
	return E_OK;
}

void content_part_close(struct content_part **p)
{
	if (!*p)
		return;
	digest_free(&(*p)->sha1);
	digest_free(&(*p)->sha256);
	if ((*p)->fd >= 0)
		close((*p)->fd);
	free(*p);
	*p = NULL;
}

uint64_t content_part_size(const char *dir, const struct sha1 *digest)
{
	char path[CONTENT_PATH];
	struct stat st;
	return part_path(dir, digest, path) && lstat(path, &st) == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
}

void content_part_drop(const char *dir, const struct sha1 *digest)
{
	char path[CONTENT_PATH];
	if (part_path(dir, digest, path))
		unlink(path);
}

int content_parts_each(const char *dir, int (*fn)(const struct sha1 *, uint64_t, void *), void *arg, struct err *e)
{
	char path[CONTENT_PATH];
	struct sha1 digest;
	int rc = E_OK;
	snprintf(path, sizeof(path), "%s/" CONTENT_PARTIAL, dir);
	DIR *d = opendir(path);
	if (!d)
		return errno == ENOENT ? E_OK : err_errno(e, "%s", path);
	for (const struct dirent *f; rc == E_OK && (f = readdir(d)) != NULL;)
		if (text_hex(slice_of(f->d_name), digest.b, sizeof(digest.b)))
			rc = fn(&digest, content_part_size(dir, &digest), arg);
	closedir(d);
	return rc;
}

/* ================= what is here ================= */

static int write_marks(struct txn *t, struct content_marks *m, struct err *e)
{
	int rc = E_OK;
	for (unsigned i = 0; rc == E_OK && i < m->n; i++) {
		rc = file_set_stored(t, &m->digest[i], m->stored, e);
		if (rc == E_NOTFOUND)
			rc = E_OK; /* the last revision that named it went while it came */
		if (rc == E_OK && m->stored)
			rc = fetch_del(t, &m->digest[i], e);
	}
	return rc == E_OK ? publish(t, time_now(), &m->published, e) : rc;
}

int content_mark_rest(struct content_marks *m, struct err *e)
{
	struct txn *t;
	if (m->n == 0)
		return E_OK;
	int rc = txn_begin(m->store, TXN_CATALOG, &t, e);
	if (rc == E_OK)
		rc = write_marks(t, m, e);
	if (rc == E_OK)
		rc = txn_commit(&t, e);
	txn_end(&t);
	m->n = 0;
	m->bytes = 0;
	return rc;
}

int content_mark(struct content_marks *m, const struct file *f, struct err *e)
{
	if (m->n == 0)
		m->since = time_now();
	m->digest[m->n++] = f->digest;
	m->bytes += f->size;
	return m->n == CONTENT_GROUP || m->bytes >= CONTENT_GROUP_BYTES ? content_mark_rest(m, e) : E_OK;
}

static int count_stale(struct store *s, uint64_t *n, struct err *e)
{
	struct wanted_totals w = {0};
	struct txn *t;
	int rc = txn_begin(s, TXN_READ, &t, e);
	if (rc == E_OK)
		rc = wanted_total(t, &w, e);
	txn_end(&t);
	*n = w.stale;
	return rc;
}

int content_unwant(struct store *s, struct err *e)
{
	struct txn *t;
	uint64_t n = 0;
	if (store_trouble(s, STORE_FLEET))
		return E_OK;
	int rc = count_stale(s, &n, e);
	if (rc != E_OK || n == 0)
		return rc;
	rc = txn_begin(s, TXN_FLEET, &t, e);
	if (rc == E_OK)
		rc = wanted_sweep(t, &n, e);
	if (rc == E_OK)
		rc = txn_commit(&t, e);
	txn_end(&t);
	return rc;
}

/* ================= how fast ================= */

#define RATE_ENOUGH 1000000u /* bytes: less says nothing of a link */

static bool rate_path(const char *store_dir, char out[CONTENT_PATH])
{
	int n = snprintf(out, CONTENT_PATH, "%s/content.rate", store_dir);
	return n > 0 && n < CONTENT_PATH;
}

void content_rate_note(const char *store_dir, uint64_t bytes_per_second, uint64_t bytes)
{
	char path[CONTENT_PATH], fresh[CONTENT_PATH + 8];
	if (bytes < RATE_ENOUGH || bytes_per_second == 0 || !rate_path(store_dir, path))
		return;
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	FILE *f = fopen(fresh, "we");
	if (!f)
		return;
	bool good = fprintf(f, "%llu\n", (unsigned long long)bytes_per_second) > 0;
	good = fclose(f) == 0 && good;
	if (!good || rename(fresh, path) != 0)
		unlink(fresh);
}

uint64_t content_rate_last(const char *store_dir)
{
	char path[CONTENT_PATH], text[32] = "";
	uint64_t rate = 0;
	FILE *f = rate_path(store_dir, path) ? fopen(path, "re") : NULL;
	if (f && (!fgets(text, sizeof(text), f) || !text_u64(text_trim(slice_of(text)), &rate)))
		rate = 0;
	if (f)
		fclose(f);
	return rate;
}

/* ================= the bell ================= */

bool content_bell_path(const char *store_dir, char out[CONTENT_PATH])
{
	int n = snprintf(out, CONTENT_PATH, "%s/" CONTENT_BELL, store_dir);
	return n > 0 && n < CONTENT_PATH;
}

/* Written to, and not only touched: who watches a file for changes may not look at its times. */
void content_bell_ring(const char *store_dir)
{
	char path[CONTENT_PATH];
	int before = errno;
	int fd = content_bell_path(store_dir, path) ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0660) : -1;
	if (fd >= 0) {
		if (fchmod(fd, 0660) != 0 || write_all(fd, (const uint8_t *)"\n", 1) != 0)
			errno = before;
		close(fd);
	}
	errno = before;
}
