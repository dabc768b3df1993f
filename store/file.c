/* file.c -- content files by SHA-1, and which revision names which. */
#include "common/buf.h"
#include "store/db.h"
#include "store/fact.h"
#include "store/publish.h"

#define FILE_SHA256 1u
#define FILE_STORED 2u
#define FILE_EULA 4u
#define FILE_EXPRESS 8u
#define FILE_ENCRYPTED 16u
#define FILE_RECORD (16 << 10) /* a name, a URL and a key of up to LIMIT_STRING each */
enum { FILE_V1 = 1, FILE_V2 };

static int file_decode(const struct sha1 *digest, struct slice value, struct file *out)
{
	bool keyless = value.n && value.p[0] == FILE_V1; /* as stores of before format 3 have them */
	struct rec r = rec_of(value, keyless ? FILE_V1 : FILE_V2);
	*out = (struct file){.digest = *digest};
	rec_bytes(&r, &out->sha256, sizeof(out->sha256));
	uint8_t flags = rec_u8(&r);
	out->has_sha256 = flags & FILE_SHA256;
	out->stored = flags & FILE_STORED;
	out->eula = flags & FILE_EULA;
	out->express = flags & FILE_EXPRESS;
	out->encrypted = flags & FILE_ENCRYPTED;
	out->size = rec_u64(&r);
	out->modified = (tick_t)rec_u64(&r);
	out->name = rec_str(&r);
	out->mu_url = rec_str(&r);
	out->key = keyless ? SL("") : rec_str(&r);
	return rec_end(&r);
}

int file_put(struct txn *t, const struct file *f, struct err *e)
{
	struct buf b;
	rec_begin(&b, FILE_V2, FILE_RECORD);
	buf_add(&b, &f->sha256, sizeof(f->sha256));
	buf_char(&b, (char)((f->has_sha256 ? FILE_SHA256 : 0) | (f->stored ? FILE_STORED : 0) |
			    (f->eula ? FILE_EULA : 0) | (f->express ? FILE_EXPRESS : 0) |
			    (f->encrypted ? FILE_ENCRYPTED : 0)));
	rec_put_u64(&b, f->size);
	rec_put_u64(&b, (uint64_t)f->modified);
	rec_put_str(&b, f->name);
	rec_put_str(&b, f->mu_url);
	rec_put_str(&b, f->key);
	struct key k = key_sha1(&f->digest);
	return db_put_rec(t, DB_FILE, key_bytes(&k), &b, e);
}

int file_get(struct txn *t, const struct sha1 *digest, struct file *out, struct err *e)
{
	struct key k = key_sha1(digest);
	struct slice v;
	int rc = db_get(t, DB_FILE, key_bytes(&k), &v);
	if (rc != E_OK)
		return err_set(e, (enum errcode)rc, "no file of the catalog has this digest");
	rc = file_decode(digest, v, out);
	return rc == E_OK ? rc : err_set(e, E_CORRUPT, "the record of a file cannot be read");
}

struct each_file {
	int (*fn)(const struct file *, void *);
	void *arg;
	struct err *e;
};

static int each_file_row(struct slice key, struct slice value, void *arg)
{
	struct each_file *w = arg;
	struct sha1 digest;
	struct file f;
	if (key.n != sizeof(digest))
		return err_set(w->e, E_CORRUPT, "a file's key has %zu bytes", key.n);
	memcpy(&digest, key.p, sizeof(digest));
	if (file_decode(&digest, value, &f) != E_OK)
		return err_set(w->e, E_CORRUPT, "the record of a file cannot be read");
	return w->fn(&f, w->arg);
}

int file_each(struct txn *t, int (*fn)(const struct file *, void *), void *arg, struct err *e)
{
	struct each_file w = {fn, arg, e};
	return db_each(t, DB_FILE, SL(""), each_file_row, &w, e);
}

struct naming {
	struct txn *t;
	struct err *e;
};

int file_set_stored(struct txn *t, const struct sha1 *digest, bool stored, struct err *e)
{
	struct file f;
	int rc = file_get(t, digest, &f, e);
	if (rc != E_OK || f.stored == stored)
		return rc;
	f.stored = stored;
	rc = file_put(t, &f, e);
	if (rc == E_OK)
		rc = fact_file_stored(t, digest, e);
	if (rc == E_OK && !stored)
		rc = deployments_rejudge(t, e);
	return rc == E_OK ? rc : txn_fail(t, rc, e);
}

bool file_is_named(struct txn *t, const struct sha1 *digest)
{
	struct key k = key_sha1(digest);
	struct slice revision;
	return db_get(t, DB_FILE_REV, key_bytes(&k), &revision) == E_OK;
}

static int withdraw(struct txn *t, const struct sha1 *digest, struct err *e)
{
	struct key k = key_sha1(digest);
	struct file f;
	if (file_get(t, digest, &f, NULL) != E_OK)
		return E_OK;
	if (!file_is_named(t, digest))
		return db_del(t, DB_FILE, key_bytes(&k), e);
	if (!f.stored)
		return E_OK;
	f.stored = false;
	int rc = file_put(t, &f, e);
	return rc == E_OK ? fact_file_stored(t, digest, e) : rc;
}

int files_withdraw(struct txn *t, const struct sha1 *digest, size_t n, struct err *e)
{
	int rc = E_OK;
	for (size_t i = 0; rc == E_OK && i < n; i++)
		rc = withdraw(t, &digest[i], e);
	if (rc == E_OK && n)
		rc = deployments_rejudge(t, e);
	return rc == E_OK ? rc : txn_fail(t, rc, e);
}

static int touch_revision(struct slice key, struct slice value, void *arg)
{
	struct naming *w = arg;
	struct revision r;
	(void)key;
	if (value.n != 4)
		return E_CORRUPT;
	int rc = revision_get(w->t, (int32_t)get_be32(value.p), &r, w->e);
	return rc == E_OK && r.flags & REV_PUBLISHED ? publish_file(w->t, r.id, w->e) : rc;
}

/* Peers that have such a revision are told of it anew (WSUSSS-POPULATE-05); of one that is staged nobody was told yet. */
static int changed(struct txn *t, const struct file *f, struct err *e)
{
	struct key k = key_sha1(&f->digest);
	struct naming w = {t, e};
	int rc = file_put(t, f, e);
	if (rc == E_OK)
		rc = db_each(t, DB_FILE_REV, key_bytes(&k), touch_revision, &w, e);
	return rc == E_OK ? rc : txn_fail(t, rc, e);
}

int file_set_url(struct txn *t, const struct sha1 *digest, struct slice url, struct err *e)
{
	struct file f;
	int rc = file_get(t, digest, &f, e);
	if (rc != E_OK || slice_eq(f.mu_url, url))
		return rc;
	f.mu_url = url;
	return changed(t, &f, e);
}

int file_set_key(struct txn *t, const struct sha1 *digest, struct slice key, struct err *e)
{
	struct file f;
	int rc = file_get(t, digest, &f, e);
	if (rc == E_OK && key.n > LIMIT_STRING)
		rc = err_set(e, E_LIMIT, "a decryption key is longer than %zu bytes", (size_t)LIMIT_STRING);
	if (rc != E_OK || slice_eq(f.key, key))
		return rc;
	f.key = key;
	return changed(t, &f, e);
}

/* ================= which revision names which file ================= */

static int revision_file_decode(struct slice value, struct revision_file *out)
{
	struct rec r = rec_of(value, 1);
	rec_bytes(&r, &out->digest, sizeof(out->digest));
	out->eula = rec_u8(&r) != 0;
	out->name = rec_str(&r);
	out->locale = rec_str(&r);
	out->geo = rec_str(&r);
	return rec_end(&r);
}

/* Adds to a known file what only now became known; *same tells that this is nothing. */
static struct file completed(const struct file *old, const struct file *f, bool *same)
{
	struct file v = *old;
	if (!v.has_sha256 && f->has_sha256) {
		v.sha256 = f->sha256;
		v.has_sha256 = true;
	}
	if (v.mu_url.n == 0)
		v.mu_url = f->mu_url;
	if (v.key.n == 0)
		v.key = f->key;
	v.eula |= f->eula;
	v.stored |= f->stored;
	v.express |= f->express;
	v.encrypted |= f->encrypted;
	*same = v.has_sha256 == old->has_sha256 && v.mu_url.n == old->mu_url.n && v.key.n == old->key.n &&
		v.eula == old->eula && v.stored == old->stored && v.express == old->express && v.encrypted == old->encrypted;
	return v;
}

int file_complete(struct txn *t, const struct file *f, struct err *e)
{
	struct file old;
	bool same;
	int rc = file_get(t, &f->digest, &old, NULL);
	if (rc == E_NOTFOUND)
		return file_put(t, f, e);
	if (rc != E_OK)
		return err_set(e, (enum errcode)rc, "the record of file %.*s cannot be read", SLF(f->name));
	struct file v = completed(&old, f, &same);
	bool was_stored = old.stored;
	rc = same ? E_OK : file_put(t, &v, e);
	return rc == E_OK && v.stored != was_stored ? fact_file_stored(t, &f->digest, e) : rc;
}

int revision_file_put(struct txn *t, int32_t id, uint16_t n, const struct revision_file *rf, const struct file *f,
	struct err *e)
{
	ASSERT(memcmp(&rf->digest, &f->digest, sizeof(f->digest)) == 0);
	struct buf b;
	rec_begin(&b, 1, FILE_RECORD);
	buf_add(&b, &rf->digest, sizeof(rf->digest));
	buf_char(&b, rf->eula);
	rec_put_str(&b, rf->name);
	rec_put_str(&b, rf->locale);
	rec_put_str(&b, rf->geo);
	struct key k = key_u32((uint32_t)id), revision = k, digest = key_sha1(&f->digest);
	put_be16(k.b + k.n, n);
	k.n += 2;
	int rc = db_put_rec(t, DB_REV_FILE, key_bytes(&k), &b, e);
	if (rc == E_OK)
		rc = db_put(t, DB_FILE_REV, key_bytes(&digest), key_bytes(&revision), e);
	return rc == E_OK ? file_complete(t, f, e) : rc;
}

struct each_revision_file {
	int (*fn)(const struct revision_file *, void *);
	void *arg;
	struct err *e;
};

static int each_revision_file_row(struct slice key, struct slice value, void *arg)
{
	struct each_revision_file *w = arg;
	struct revision_file rf;
	if (key.n != 6 || revision_file_decode(value, &rf) != E_OK)
		return err_set(w->e, E_CORRUPT, "a row of a revision's files cannot be read");
	return w->fn(&rf, w->arg);
}

int revision_files_each(struct txn *t, int32_t id, int (*fn)(const struct revision_file *, void *), void *arg,
	struct err *e)
{
	struct each_revision_file w = {fn, arg, e};
	struct key k = key_u32((uint32_t)id);
	return db_each(t, DB_REV_FILE, key_bytes(&k), each_revision_file_row, &w, e);
}

int file_names_each(struct txn *t, int (*fn)(const struct revision_file *, void *), void *arg, struct err *e)
{
	struct each_revision_file w = {fn, arg, e};
	return db_each(t, DB_REV_FILE, SL(""), each_revision_file_row, &w, e);
}

struct file_list {
	struct arena *a;
	struct revision_file *v;
	size_t n, cap;
};

static int add_file(const struct revision_file *rf, void *arg)
{
	struct file_list *w = arg;
	struct revision_file *v = ARENA_MORE(w->a, w->v, w->n, &w->cap);
	if (!v)
		return E_NOMEM;
	w->v = v;
	w->v[w->n++] = *rf;
	return E_OK;
}

int revision_files(struct txn *t, int32_t id, struct revision_file **out, size_t *n, struct err *e)
{
	struct file_list w = {.a = txn_arena(t)};
	int rc = revision_files_each(t, id, add_file, &w, e);
	*out = w.v;
	*n = w.n;
	return rc == E_NOMEM ? err_set(e, E_NOMEM, "out of memory for the files of revision %d", (int)id) : rc;
}

struct wipe {
	struct txn *t;
	struct key revision;
	struct err *e;
};

static int unname_file(const struct revision_file *rf, void *arg)
{
	struct wipe *w = arg;
	struct key k = key_sha1(&rf->digest); /* copied: what follows writes */
	struct sha1 digest = rf->digest;
	struct slice other;
	struct file f;
	int rc = db_del_dup(w->t, DB_FILE_REV, key_bytes(&k), key_bytes(&w->revision), w->e);
	if (rc != E_OK || db_get(w->t, DB_FILE_REV, key_bytes(&k), &other) == E_OK)
		return rc;
	if (file_get(w->t, &digest, &f, NULL) == E_OK && f.stored)
		return E_OK;
	return db_del(w->t, DB_FILE, key_bytes(&k), w->e);
}

int revision_files_wipe(struct txn *t, int32_t id, struct err *e)
{
	struct wipe w = {t, key_u32((uint32_t)id), e};
	int rc = revision_files_each(t, id, unname_file, &w, e);
	return rc == E_OK ? db_del_prefix(t, DB_REV_FILE, key_bytes(&w.revision), NULL, e) : rc;
}
