/* content_names.c -- see content_names.h. */
#include "store/content_names.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/arena.h"
#include "common/text.h"
#include "store/content.h"

#define NAMES_MEMORY ((size_t)4 << 30)
#define TEMPORARY ".new" /* no name begins with a dot */
enum { DIGITS = 40 };

/* ================= what should be there ================= */

struct name {
	struct sha1 digest;
	struct slice name; /* lower case */
	bool found;        /* the link is there */
};

struct names {
	struct arena arena;
	const bool *folder;
	struct name *v; /* by folder, name, digest; then only those that get a link */
	size_t n, cap;
	struct err *e;
};

static uint8_t folder_of(const struct sha1 *d)
{
	return d->b[sizeof(d->b) - 1];
}

static int add_name(const struct revision_file *rf, void *arg)
{
	struct names *w = arg;
	if ((w->folder && !w->folder[folder_of(&rf->digest)]) || !text_file_name(rf->name))
		return E_OK;
	char *lower = arena_alloc(&w->arena, rf->name.n, 1);
	struct name *v = lower ? ARENA_MORE(&w->arena, w->v, w->n, &w->cap) : NULL;
	if (!v)
		return err_set(w->e, E_NOMEM, "out of memory for the names of files");
	text_lower_to(lower, rf->name);
	w->v = v;
	w->v[w->n++] = (struct name){rf->digest, {lower, rf->name.n}, false};
	return E_OK;
}

static int compare(const void *x, const void *y)
{
	const struct name *a = x, *b = y;
	int by = (int)folder_of(&a->digest) - (int)folder_of(&b->digest);
	if (by == 0)
		by = slice_cmp(a->name, b->name);
	return by ? by : memcmp(&a->digest, &b->digest, sizeof(a->digest));
}

static bool same_place(const struct name *a, const struct name *b)
{
	return folder_of(&a->digest) == folder_of(&b->digest) && slice_eq(a->name, b->name);
}

/* One of each name that one file alone has and that is stored. */
static void choose(struct names *w, struct txn *t, struct name_report *out)
{
	size_t kept = 0;
	for (size_t i = 0, next; i < w->n; i = next) {
		struct name one = w->v[i];
		struct file f;
		bool ambiguous = false;
		for (next = i + 1; next < w->n && same_place(&one, &w->v[next]); next++)
			ambiguous |= memcmp(&one.digest, &w->v[next].digest, sizeof(one.digest)) != 0;
		out->ambiguous += ambiguous;
		if (!ambiguous && file_get(t, &one.digest, &f, NULL) == E_OK && f.stored)
			w->v[kept++] = one;
	}
	w->n = kept;
}

static int gather(struct names *w, struct store *s, struct name_report *out)
{
	struct txn *t;
	int rc = txn_begin(s, TXN_READ, &t, w->e);
	if (rc == E_OK)
		rc = file_names_each(t, add_name, w, w->e);
	if (rc == E_OK && w->n)
		qsort(w->v, w->n, sizeof(*w->v), compare);
	if (rc == E_OK)
		choose(w, t, out);
	txn_end(&t);
	return rc;
}

/* ================= what is there ================= */

static void digits_of(const struct name *v, char out[DIGITS + 1])
{
	hex_text(v->digest.b, sizeof(v->digest.b), true, out);
}

static struct name *find(struct name *v, size_t n, struct slice name)
{
	size_t lo = 0, hi = n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int by = slice_cmp(name, v[mid].name);
		if (by == 0)
			return &v[mid];
		if (by < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

/* A link is right, or it goes.  What is no link is nobody's of ours. */
static int judge_entry(int fd, const char *entry, struct name *v, size_t n, struct name_report *out, struct err *e)
{
	char text[DIGITS + 1], want[DIGITS + 1];
	ssize_t got = readlinkat(fd, entry, text, sizeof(text));
	if (got < 0)
		return errno == EINVAL || errno == ENOENT ? E_OK : err_errno(e, "%s", entry);
	struct name *one = find(v, n, slice_of(entry));
	if (one) {
		digits_of(one, want);
		one->found = got == DIGITS && memcmp(text, want, DIGITS) == 0;
	}
	if (one && one->found)
		return E_OK;
	if (unlinkat(fd, entry, 0) != 0 && errno != ENOENT)
		return err_errno(e, "%s", entry);
	out->removed += strcmp(entry, TEMPORARY) != 0;
	return E_OK;
}

static int judge_folder(int fd, struct name *v, size_t n, struct name_report *out, struct err *e)
{
	int copy = dup(fd), rc = E_OK;
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	if (!d) {
		rc = err_errno(e, "reading a folder of names");
		if (copy >= 0)
			close(copy);
		return rc;
	}
	for (const struct dirent *f; rc == E_OK && (f = readdir(d)) != NULL;)
		if (strcmp(f->d_name, ".") != 0 && strcmp(f->d_name, "..") != 0)
			rc = judge_entry(fd, f->d_name, v, n, out, e);
	closedir(d);
	return rc;
}

/* By rename, so that a name never has half a link. */
static int make_link(int fd, const struct name *v, struct err *e)
{
	char digits[DIGITS + 1], name[NAME_MAX + 1];
	digits_of(v, digits);
	snprintf(name, sizeof(name), "%.*s", SLF(v->name));
	if (symlinkat(digits, fd, TEMPORARY) != 0 || renameat(fd, TEMPORARY, fd, name) != 0) {
		int rc = err_errno(e, "%s", name);
		unlinkat(fd, TEMPORARY, 0);
		return rc;
	}
	return E_OK;
}

/* names/XX; -1 with errno: none is there and none is needed (ENOENT), or it failed. */
static int open_folder(int names, unsigned i, bool make)
{
	const uint8_t byte = (uint8_t)i;
	char xx[3];
	hex_text(&byte, 1, true, xx);
	if (make && content_make_folder(names, xx) != 0)
		return -1;
	return openat(names, xx, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int mend_folder(int names, unsigned i, struct name *v, size_t n, struct name_report *out, struct err *e)
{
	int fd = open_folder(names, i, n > 0);
	if (fd < 0)
		return n == 0 && errno == ENOENT ? E_OK : err_errno(e, "folder %02X", i);
	int rc = judge_folder(fd, v, n, out, e);
	for (size_t k = 0; rc == E_OK && k < n; k++) {
		if (v[k].found)
			continue;
		rc = make_link(fd, &v[k], e);
		out->made += rc == E_OK;
	}
	close(fd);
	return rc;
}

static int mend_all(int names, const struct names *w, struct name_report *out, struct err *e)
{
	int rc = E_OK;
	size_t at = 0;
	for (unsigned i = 0; rc == E_OK && i < 256; i++) {
		size_t from = at;
		while (at < w->n && folder_of(&w->v[at].digest) == i)
			at++;
		if (!w->folder || w->folder[i])
			rc = mend_folder(names, i, w->v + from, at - from, out, e);
	}
	return rc;
}

/* CONTENT/names, locked, before the catalog is read: whoever comes later sees what we did and more.  E_NOTFOUND: it is not
 * there and is not to be made. */
static int open_names(const char *dir, bool make, int *out, struct err *e)
{
	char path[PATH_MAX];
	if (snprintf(path, sizeof(path), "%s/" CONTENT_NAMES, dir) >= (int)sizeof(path))
		return err_set(e, E_LIMIT, "%s: the path is too long", dir);
	if (make && content_make_folder(AT_FDCWD, path) != 0)
		return err_errno(e, "%s", path);
	*out = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*out < 0 && errno == ENOENT && !make)
		return E_NOTFOUND;
	if (*out < 0)
		return err_errno(e, "%s", path);
	while (flock(*out, LOCK_EX) != 0)
		if (errno != EINTR)
			return E_OK; /* a file system without locks */
	return E_OK;
}

/* With fd -1 it only looks whether there is anything to link. */
static int mend(const char *dir, struct store *s, int fd, const bool *folder, bool *needed, struct name_report *out, struct err *e)
{
	struct names w = {.folder = folder, .e = e};
	arena_init(&w.arena, NAMES_MEMORY);
	*out = (struct name_report){0};
	int rc = gather(&w, s, out);
	*needed = w.n > 0;
	if (rc == E_OK && fd >= 0)
		rc = err_at(e, mend_all(fd, &w, out, e), "%s/" CONTENT_NAMES ": ", dir);
	arena_free(&w.arena);
	return rc;
}

int content_names_mend(const char *dir, struct store *s, const bool folder[256], struct name_report *out, struct err *e)
{
	bool needed = true;
	int fd = -1, rc = open_names(dir, false, &fd, e);
	if (rc == E_NOTFOUND) {
		rc = mend(dir, s, -1, folder, &needed, out, e);
		if (rc != E_OK || !needed)
			return rc;
		rc = open_names(dir, true, &fd, e);
	}
	if (rc == E_OK)
		rc = mend(dir, s, fd, folder, &needed, out, e);
	if (fd >= 0)
		close(fd);
	return rc;
}
