/* place.c -- where the store and its content are, and which configuration file is for them. */
#include "ctl/place.h"

#include <stdlib.h>
#include <sys/stat.h>

static bool is_directory(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int no_memory(struct ctl *c)
{
	return err_set(&c->err, E_NOMEM, "out of memory");
}

int place_conf(struct ctl *c, struct conf *out)
{
	const char *file = getenv("WSUS_CONF");
	bool named = file && file[0];
	int rc = conf_load(out, named ? file : CONF_FILE, &c->arena, &c->err);
	return rc == E_NOTFOUND && !named ? E_OK : rc;
}

/* Accepts the state directory too: DIR/store is meant where DIR has no catalog of its own. */
static int settle(struct ctl *c, const char *dir, const char **out)
{
	struct slice inner = arena_printf(&c->arena, "%s/store", dir);
	struct slice catalog = arena_printf(&c->arena, "%s/catalog", dir);
	if (!inner.p || !catalog.p)
		return no_memory(c);
	*out = !is_directory(catalog.p) && is_directory(inner.p) ? inner.p : dir;
	return E_OK;
}

static int take_path(struct ctl *c, struct slice v, const char **out)
{
	*out = arena_copy(&c->arena, v).p;
	return *out ? E_OK : no_memory(c);
}

/* What the file says; only if it is silent a clone is looked for, so that no working directory hides an installed store. */
static int choose_by_conf(struct ctl *c, const struct conf *f, const char **dir)
{
	struct slice v;
	unsigned at;
	int rc = conf_get(f, "store", &v, &at, &c->err);
	if (rc != E_OK)
		return rc;
	if (at) {
		c->store_found = arena_printf(&c->arena, "%s:%u", f->file, at).p;
		return c->store_found ? take_path(c, v, dir) : no_memory(c);
	}
	if (is_directory("var/store/catalog")) {
		c->store_found = "./var/store";
		*dir = "var/store";
		return E_OK;
	}
	c->store_found = "the default";
	return take_path(c, v, dir);
}

static int choose(struct ctl *c, const struct conf *f, const char **dir)
{
	*dir = ctl_option(c, "store");
	c->store_found = "--store";
	if (*dir)
		return E_OK;
	*dir = getenv("WSUS_STORE");
	c->store_found = "WSUS_STORE";
	return *dir && (*dir)[0] ? E_OK : choose_by_conf(c, f, dir);
}

static bool same_place(const char *a, const char *b)
{
	struct stat x, y;
	if (stat(a, &x) != 0 || stat(b, &y) != 0)
		return strcmp(a, b) == 0;
	return x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* A file says something about one store only: the one that it names, or that of its default. */
static bool is_for_this_store(struct ctl *c, const struct conf *f)
{
	struct slice v;
	struct err e;
	const char *dir;
	if (!f->text.p || conf_get(f, "store", &v, NULL, &e) != E_OK)
		return false;
	return take_path(c, v, &dir) == E_OK && settle(c, dir, &dir) == E_OK && same_place(dir, c->store_dir);
}

static int place_content(struct ctl *c)
{
	struct slice v;
	if (!c->conf.text.p) {
		c->content_dir = arena_printf(&c->arena, "%s/../content", c->store_dir).p;
		return c->content_dir ? E_OK : no_memory(c);
	}
	int rc = conf_get(&c->conf, "content", &v, NULL, &c->err);
	return rc == E_OK ? take_path(c, v, &c->content_dir) : rc;
}

int places_find(struct ctl *c)
{
	struct conf f;
	const char *dir;
	int rc = place_conf(c, &f);
	if (rc == E_OK)
		rc = choose(c, &f, &dir);
	if (rc == E_OK)
		rc = settle(c, dir, &c->store_dir);
	if (rc != E_OK)
		return rc;
	c->conf = is_for_this_store(c, &f) ? f : (struct conf){.file = f.file};
	return place_content(c);
}
