/* site.c -- where the store and its content are, and which configuration file is for them. */
#include "common/site.h"

#include <stdlib.h>
#include <sys/stat.h>

static bool is_directory(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int no_memory(struct err *e)
{
	return err_set(e, E_NOMEM, "out of memory");
}

int site_conf(struct conf *out, struct arena *a, struct err *e)
{
	const char *file = getenv("WSUS_CONF");
	bool named = file && file[0];
	int rc = conf_load(out, named ? file : CONF_FILE, a, e);
	return rc == E_NOTFOUND && !named ? E_OK : rc;
}

/* Accepts the state directory too: DIR/store is meant where DIR has no catalog of its own. */
static int settle(const char *dir, struct arena *a, const char **out, struct err *e)
{
	struct slice inner = arena_printf(a, "%s/store", dir);
	struct slice catalog = arena_printf(a, "%s/catalog", dir);
	if (!inner.p || !catalog.p)
		return no_memory(e);
	*out = !is_directory(catalog.p) && is_directory(inner.p) ? inner.p : dir;
	return E_OK;
}

static int take_path(struct arena *a, struct slice v, const char **out, struct err *e)
{
	*out = arena_copy(a, v).p;
	return *out ? E_OK : no_memory(e);
}

/* What the file says; only if it is silent a clone is looked for, so that no working directory hides an installed store. */
static int choose_by_conf(struct site *s, const struct conf *f, struct arena *a, const char **dir, struct err *e)
{
	struct slice v;
	unsigned at;
	int rc = conf_get(f, "store", &v, &at, e);
	if (rc != E_OK)
		return rc;
	if (at) {
		s->found = arena_printf(a, "%s:%u", f->file, at).p;
		return s->found ? take_path(a, v, dir, e) : no_memory(e);
	}
	if (is_directory("var/store/catalog")) {
		s->found = "./var/store";
		*dir = "var/store";
		return E_OK;
	}
	s->found = "the default";
	return take_path(a, v, dir, e);
}

static int choose(struct site *s, const char *given, const struct conf *f, struct arena *a, const char **dir, struct err *e)
{
	*dir = given;
	s->found = "--store";
	if (*dir)
		return E_OK;
	*dir = getenv("WSUS_STORE");
	s->found = "WSUS_STORE";
	return *dir && (*dir)[0] ? E_OK : choose_by_conf(s, f, a, dir, e);
}

bool site_same(const char *x, const char *y)
{
	struct stat a, b;
	if (stat(x, &a) != 0 || stat(y, &b) != 0)
		return strcmp(x, y) == 0;
	return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* A file says something about one store only: the one that it names, or that of its default. */
static bool is_for(const struct conf *f, const char *store, struct arena *a)
{
	struct slice v;
	struct err e;
	const char *dir;
	if (!f->text.p || conf_get(f, "store", &v, NULL, &e) != E_OK)
		return false;
	return take_path(a, v, &dir, &e) == E_OK && settle(dir, a, &dir, &e) == E_OK && site_same(dir, store);
}

bool site_is_installed(const char *store, const struct conf *conf)
{
	struct conf none = {0};
	struct slice v;
	struct err e;
	return conf->text.p || (conf_get(&none, "store", &v, NULL, &e) == E_OK && site_same(v.p, store));
}

/* The directory above a link is not the one that stands before it. */
static bool is_link(const char *path)
{
	struct stat st;
	return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
}

const char *site_beside(const char *store, const char *name, struct arena *a)
{
	size_t n = strlen(store);
	while (n > 1 && store[n - 1] == '/')
		n--;
	const char *dir = arena_printf(a, "%.*s", (int)n, store).p;
	if (!dir)
		return NULL;
	const char *cut = strrchr(dir, '/'), *last = cut ? cut + 1 : dir;
	if (!last[0] || strcmp(last, ".") == 0 || strcmp(last, "..") == 0 || is_link(dir))
		return arena_printf(a, "%s/../%s", dir, name).p;
	return arena_printf(a, "%.*s%s", (int)(last - dir), dir, name).p;
}

static int find_content(struct site *s, struct arena *a, struct err *e)
{
	struct slice v;
	if (!site_is_installed(s->store, &s->conf)) {
		s->content = site_beside(s->store, "content", a);
		return s->content ? E_OK : no_memory(e);
	}
	int rc = conf_get(&s->conf, "content", &v, NULL, e);
	return rc == E_OK ? take_path(a, v, &s->content, e) : rc;
}

int site_find(struct site *out, const char *given, struct arena *a, struct err *e)
{
	struct conf f;
	const char *dir;
	*out = (struct site){0};
	int rc = site_conf(&f, a, e);
	if (rc == E_OK)
		rc = choose(out, given, &f, a, &dir, e);
	if (rc == E_OK)
		rc = settle(dir, a, &out->store, e);
	if (rc != E_OK)
		return rc;
	out->conf = is_for(&f, out->store, a) ? f : (struct conf){.file = f.file};
	return find_content(out, a, e);
}
