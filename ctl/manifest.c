/* manifest.c -- see manifest.h. */
#include "ctl/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/digest.h"
#include "common/text.h"
#include "ctl/content.h"
#include "ctl/walk.h"

#define HEAD "wsus-fcgi backup "
#define HEX_SHA256 (2 * sizeof(struct sha256))

const char *ctl_path(struct ctl *c, const char *dir, const char *path)
{
	struct slice s = arena_printf(&c->arena, "%s/%s", dir, path);
	if (!s.p)
		err_set(&c->err, E_NOMEM, "out of memory");
	return s.p;
}

/* ---- writing ---- */

struct writing {
	struct manifest *m;
	size_t root; /* length of the backup's name and its slash */
	struct buf text;
};

/* LMDB makes its lock files itself, and changes them while one looks at the store. */
static bool is_left_out(const char *path)
{
	const char *name = strrchr(path, '/');
	name = name ? name + 1 : path;
	return strcmp(path, MANIFEST) == 0 || strcmp(name, "lock.mdb") == 0 || strcmp(name, "import.lock") == 0;
}

static void add_owner(struct buf *b, const struct stat *st)
{
	const struct passwd *pw = getpwuid(st->st_uid);
	char number[24];
	snprintf(number, sizeof(number), "%u", (unsigned)st->st_uid);
	buf_str(b, pw ? pw->pw_name : number);
}

static int add_file(struct ctl *c, const char *path, uint64_t size, void *arg)
{
	struct writing *w = arg;
	struct digests d;
	struct stat st;
	char line[HEX_SHA256 + 64];
	if (is_left_out(path + w->root))
		return E_OK;
	if (w->m->n == LIMIT_BACKUP_FILES)
		return err_set(&c->err, E_LIMIT, "more than %d files of keys and configuration", LIMIT_BACKUP_FILES);
	if (strchr(path + w->root, '\n'))
		return err_set(&c->err, E_FORM, "%s: a name with a line break cannot be in a backup", path);
	int rc = stat(path, &st) == 0 ? content_digest(path, &d, &c->err) : err_errno(&c->err, "%s", path);
	if (rc != E_OK)
		return rc;
	hex_text(d.sha256.b, sizeof(d.sha256.b), false, line);
	snprintf(line + HEX_SHA256, sizeof(line) - HEX_SHA256, " %llu %04o ", (unsigned long long)size,
		(unsigned)st.st_mode & 07777);
	buf_str(&w->text, line);
	add_owner(&w->text, &st);
	buf_char(&w->text, ' ');
	buf_str(&w->text, path + w->root);
	buf_char(&w->text, '\n');
	w->m->n++;
	w->m->bytes += size;
	return E_OK;
}

static void add_head(struct buf *b, const struct manifest *m)
{
	char id[GUID_TEXT + 1], when[TIME_TEXT + 1], line[160];
	guid_text(&m->server, id);
	time_text(m->made, when);
	snprintf(line, sizeof(line), HEAD "%u\nserver %s\ngeneration %u\nmade %s\n", MANIFEST_FORMAT, id,
		(unsigned)m->generation, when);
	buf_str(b, line);
}

static bool digest_text(struct slice s, char hex[HEX_SHA256 + 1])
{
	struct sha256 sum;
	struct digest *d = digest_new(DIGEST_SHA256);
	if (!d)
		return false;
	digest_start(d);
	digest_add(d, s);
	bool good = digest_end(d, sum.b);
	digest_free(&d);
	hex_text(sum.b, sizeof(sum.b), false, hex);
	return good;
}

static int put_file(struct ctl *c, const char *path, struct slice s)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(&c->err, "%s", path);
	errno = ENOSPC; /* for a write that was cut short */
	int rc = write(fd, s.p, s.n) == (ssize_t)s.n && fsync(fd) == 0 ? E_OK : err_errno(&c->err, "%s", path);
	close(fd);
	return rc;
}

int manifest_write(struct ctl *c, struct manifest *m, const char *dir)
{
	struct writing w = {.m = m, .root = strlen(dir) + 1};
	char hex[HEX_SHA256 + 1];
	const char *path = ctl_path(c, dir, MANIFEST);
	buf_init(&w.text, LIMIT_MANIFEST);
	add_head(&w.text, m);
	m->n = 0;
	m->bytes = 0;
	int rc = path ? walk_files(c, dir, NULL, add_file, &w) : E_NOMEM;
	if (rc == E_OK && (w.text.rc != E_OK || !digest_text(buf_bytes(&w.text), hex)))
		rc = err_set(&c->err, E_NOMEM, "out of memory");
	if (rc == E_OK) {
		buf_str(&w.text, "end ");
		buf_str(&w.text, hex);
		buf_char(&w.text, '\n');
		rc = w.text.rc == E_OK ? put_file(c, path, buf_bytes(&w.text)) : err_set(&c->err, E_NOMEM, "out of memory");
	}
	buf_free(&w.text);
	return rc;
}

/* ---- reading ---- */

static int read_whole(struct ctl *c, const char *dir, struct slice *out)
{
	const char *path = ctl_path(c, dir, MANIFEST);
	struct stat st;
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (!path)
		return E_NOMEM;
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return err_set(&c->err, E_NOTFOUND, "%s: not a backup: it has no file `" MANIFEST "`", dir);
	if (fd < 0 || fstat(fd, &st) != 0) {
		int rc = err_errno(&c->err, "%s", path);
		if (fd >= 0)
			close(fd);
		return rc;
	}
	size_t n = (size_t)MIN((uint64_t)st.st_size, (uint64_t)LIMIT_MANIFEST);
	char *to = arena_alloc(&c->arena, n + 1, 1);
	int rc = to ? E_OK : err_set(&c->err, E_NOMEM, "out of memory");
	if (rc == E_OK && read(fd, to, n) != (ssize_t)n)
		rc = err_errno(&c->err, "%s", path);
	close(fd);
	*out = (struct slice){to, n};
	return rc;
}

static int damaged(struct ctl *c, const char *dir)
{
	return err_set(&c->err, E_CORRUPT, "%s/" MANIFEST ": damaged; take another backup", dir);
}

/* The last line is the digest of all before it. */
static bool check_end(struct slice *text)
{
	const size_t n = 4 + HEX_SHA256 + 1;
	char hex[HEX_SHA256 + 1];
	if (text->n < n)
		return false;
	struct slice end = {text->p + text->n - n, n};
	text->n -= n;
	return text_starts(end, SL("end ")) && digest_text(*text, hex) && memcmp(end.p + 4, hex, HEX_SHA256) == 0;
}

static int check_format(struct ctl *c, struct slice text, const char *dir)
{
	uint64_t format;
	struct slice line = text_cut(&text, '\n');
	if (!text_starts(line, SL(HEAD)) || !text_u64((struct slice){line.p + sizeof(HEAD) - 1, line.n - sizeof(HEAD) + 1},
						 &format))
		return err_set(&c->err, E_FORM, "%s: not a backup of wsus-fcgi: its `" MANIFEST "` is something else", dir);
	if (format == MANIFEST_FORMAT)
		return E_OK;
	return err_set(&c->err, E_VERSION, "%s: a backup of format %llu, this program knows %u; use the program that made it", dir,
		(unsigned long long)format, MANIFEST_FORMAT);
}

static bool field(struct slice *text, const char *name, struct slice *value)
{
	*value = text_cut(text, '\n');
	struct slice key = text_cut(value, ' ');
	return slice_eq(key, slice_of(name)) && value->n > 0;
}

static bool read_head(struct manifest *m, struct slice *text)
{
	struct slice id, generation, made;
	uint64_t n;
	text_cut(text, '\n');
	if (!field(text, "server", &id) || !field(text, "generation", &generation) || !field(text, "made", &made))
		return false;
	if (!text_u64(generation, &n) || n > INT32_MAX)
		return false;
	m->generation = (uint32_t)n;
	return text_guid(id, &m->server) && text_time(made, &m->made);
}

/* What stands in a manifest is joined to names of directories. */
static bool is_inside(struct slice path)
{
	if (path.n == 0 || path.p[0] == '/')
		return false;
	while (path.p) {
		struct slice part = text_cut(&path, '/');
		if (part.n == 0 || slice_eq(part, SL(".")) || slice_eq(part, SL("..")))
			return false;
	}
	return true;
}

static const char *kept(struct ctl *c, struct slice s)
{
	return arena_printf(&c->arena, "%.*s", SLF(s)).p;
}

static bool read_mode(struct slice s, unsigned *out)
{
	*out = 0;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '7')
			return false;
		*out = *out * 8 + (unsigned)(s.p[i] - '0');
	}
	return s.n == 4;
}

static bool read_file_line(struct ctl *c, struct slice line, struct manifest_file *f)
{
	struct slice hex = text_cut(&line, ' '), size = text_cut(&line, ' '), mode = text_cut(&line, ' ');
	struct slice user = text_cut(&line, ' ');
	if (!text_hex(hex, f->digest.b, sizeof(f->digest.b)) || !text_u64(size, &f->size) || !read_mode(mode, &f->mode))
		return false;
	f->user = kept(c, user);
	f->path = kept(c, line);
	return is_inside(line) && f->user && f->path;
}

int manifest_read(struct ctl *c, struct manifest *m, const char *dir)
{
	struct slice text;
	*m = (struct manifest){0};
	int rc = read_whole(c, dir, &text);
	if (rc == E_OK)
		rc = check_format(c, text, dir);
	if (rc != E_OK)
		return rc;
	if (!check_end(&text) || !read_head(m, &text))
		return damaged(c, dir);
	m->file = ARENA_ARRAY(&c->arena, struct manifest_file, LIMIT_BACKUP_FILES);
	if (!m->file)
		return err_set(&c->err, E_NOMEM, "out of memory");
	while (text.n) {
		if (m->n == LIMIT_BACKUP_FILES || !read_file_line(c, text_cut(&text, '\n'), &m->file[m->n]))
			return damaged(c, dir);
		m->bytes += m->file[m->n++].size;
	}
	return E_OK;
}

static int check_file(struct ctl *c, const struct manifest_file *f, const char *dir)
{
	struct digests d;
	const char *path = ctl_path(c, dir, f->path);
	if (!path)
		return E_NOMEM;
	ctl_progress(c, "verifying %s", path);
	if (access(path, F_OK) != 0)
		return err_set(&c->err, E_CORRUPT, "%s: missing; take another backup", path);
	int rc = content_digest(path, &d, &c->err);
	if (rc == E_OK && (d.size != f->size || memcmp(d.sha256.b, f->digest.b, sizeof(d.sha256.b)) != 0))
		return err_set(&c->err, E_CORRUPT, "%s: not as it was written (size or SHA-256); take another backup", path);
	return rc;
}

int manifest_check(struct ctl *c, const struct manifest *m, const char *dir)
{
	static const char *const needed[] = {"catalog/data.mdb", "fleet/data.mdb"};
	unsigned seen = 0;
	int rc = E_OK;
	for (unsigned i = 0; rc == E_OK && i < m->n; i++) {
		for (unsigned k = 0; k < COUNTOF(needed); k++)
			seen += strcmp(m->file[i].path, needed[k]) == 0;
		rc = check_file(c, &m->file[i], dir);
	}
	return rc == E_OK && seen != COUNTOF(needed) ? damaged(c, dir) : rc;
}
