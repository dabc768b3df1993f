/* walk.c -- fts(3) with our manners. */
#include "ctl/walk.h"

#include <errno.h>
#include <fts.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

static int by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

static bool ends_with(const char *name, const char *suffix)
{
	size_t n = strlen(name), m = suffix ? strlen(suffix) : 0;
	return m == 0 || (n >= m && strcasecmp(name + n - m, suffix) == 0);
}

/* A file that is named itself is meant, whatever it is called. */
static bool is_meant(const FTSENT *f, const char *suffix)
{
	return f->fts_info == FTS_F && (f->fts_level == 0 || ends_with(f->fts_name, suffix));
}

struct walk {
	const char *root;
	const char *suffix; /* of files that are meant; NULL: all */
	bool links;         /* those to files are meant, too */
	walk_fn *fn;
	void *arg;
};

static bool is_hidden(const FTSENT *f)
{
	return f->fts_level > 0 && f->fts_name[0] == '.';
}

static bool leads_out(const char *link, const char *root)
{
	char to[PATH_MAX], from[PATH_MAX];
	if (!realpath(link, to) || !realpath(root, from))
		return true;
	size_t n = strlen(from);
	return strncmp(to, from, n) != 0 || (to[n] && to[n] != '/');
}

static int visit_link(struct ctl *c, const FTSENT *f, const struct walk *w)
{
	struct stat st;
	if (stat(f->fts_path, &st) != 0)
		ctl_complain(c, "%s: a symbolic link to what cannot be read: %s", f->fts_path, strerror(errno));
	else if (S_ISREG(st.st_mode))
		return w->fn(c, f->fts_path, (uint64_t)st.st_size, w->arg);
	else if (leads_out(f->fts_path, w->root))
		ctl_say(c, "%s: a symbolic link to a directory elsewhere; what is there was left out", f->fts_path);
	return E_OK;
}

static int visit(struct ctl *c, const FTSENT *f, const struct walk *w)
{
	switch (f->fts_info) {
	case FTS_F:
		return is_meant(f, w->suffix) ? w->fn(c, f->fts_path, (uint64_t)f->fts_statp->st_size, w->arg) : E_OK;
	case FTS_SL:
	case FTS_SLNONE:
		return w->links ? visit_link(c, f, w) : E_OK;
	case FTS_DNR:
	case FTS_ERR:
	case FTS_NS:
		ctl_complain(c, "%s: %s", f->fts_path, strerror(f->fts_errno));
		return E_OK;
	default:
		return E_OK;
	}
}

static FTS *open_tree(const char *path, int options)
{
	char *const roots[] = {(char *)(uintptr_t)path, NULL};
	return fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | options, by_name);
}

static int walk(struct ctl *c, const struct walk *w)
{
	FTS *fts = open_tree(w->root, FTS_COMFOLLOW);
	if (!fts)
		return err_errno(&c->err, "%s", w->root);
	int rc = E_OK;
	FTSENT *f;
	while (rc == E_OK && (f = fts_read(fts)) != NULL)
		rc = w->links && is_hidden(f) ? fts_set(fts, f, FTS_SKIP) : visit(c, f, w);
	fts_close(fts);
	return rc;
}

int walk_files(struct ctl *c, const char *path, const char *suffix, walk_fn *fn, void *arg)
{
	const struct walk w = {.root = path, .suffix = suffix, .fn = fn, .arg = arg};
	return walk(c, &w);
}

int walk_with_links(struct ctl *c, const char *path, walk_fn *fn, void *arg)
{
	const struct walk w = {.root = path, .links = true, .fn = fn, .arg = arg};
	return walk(c, &w);
}

uint64_t walk_count(const char *path, const char *suffix)
{
	uint64_t n = 0;
	FTS *fts = open_tree(path, FTS_COMFOLLOW);
	for (FTSENT *f; fts && (f = fts_read(fts)) != NULL;)
		n += is_meant(f, suffix);
	if (fts)
		fts_close(fts);
	return n;
}

int walk_remove(const char *path, struct err *e)
{
	int rc = E_OK;
	FTS *fts = open_tree(path, 0);
	if (!fts)
		return err_errno(e, "%s", path);
	for (FTSENT *f; rc == E_OK && (f = fts_read(fts)) != NULL;) {
		bool gone = f->fts_info == FTS_NS && f->fts_errno == ENOENT;
		if (f->fts_info != FTS_D && !gone && remove(f->fts_accpath) != 0 && errno != ENOENT)
			rc = err_errno(e, "%s", f->fts_path);
	}
	fts_close(fts);
	return rc;
}
