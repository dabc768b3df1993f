/* walk.c -- fts(3) with our manners. */
#include "ctl/walk.h"

#include <errno.h>
#include <fts.h>
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

static int visit(struct ctl *c, const FTSENT *f, const char *suffix,
	int (*fn)(struct ctl *, const char *, uint64_t, void *), void *arg)
{
	switch (f->fts_info) {
	case FTS_F:
		/* a file that is named itself is meant, whatever it is called */
		if (f->fts_level > 0 && !ends_with(f->fts_name, suffix))
			return E_OK;
		return fn(c, f->fts_path, (uint64_t)f->fts_statp->st_size, arg);
	case FTS_DNR:
	case FTS_ERR:
	case FTS_NS:
		ctl_complain(c, "%s: %s", f->fts_path, strerror(f->fts_errno));
		return E_OK;
	default:
		return E_OK;
	}
}

int walk_files(struct ctl *c, const char *path, const char *suffix,
	int (*fn)(struct ctl *, const char *, uint64_t, void *), void *arg)
{
	char *const roots[] = {(char *)(uintptr_t)path, NULL};
	FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, by_name);
	if (!fts)
		return err_errno(&c->err, "%s", path);
	int rc = E_OK;
	FTSENT *f;
	while (rc == E_OK && (f = fts_read(fts)) != NULL)
		rc = visit(c, f, suffix, fn, arg);
	fts_close(fts);
	return rc;
}
