/* place.c -- where the store and its content are, and which configuration file is for them. */
#include "ctl/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/text.h"
#include "ctl/health_cert.h"

#define PEM_MAX ((size_t)64 << 10) /* a certificate takes 1 to 4 KB, a chain has at most ten */

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

bool place_same(const char *a, const char *b)
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
	return take_path(c, v, &dir) == E_OK && settle(c, dir, &dir) == E_OK && place_same(dir, c->store_dir);
}

bool place_is_installed(const struct ctl *c)
{
	struct conf none = {0};
	struct slice v;
	struct err e;
	return c->conf.text.p || (conf_get(&none, "store", &v, NULL, &e) == E_OK && place_same(v.p, c->store_dir));
}

/* The directory above a link is not the one that stands before it. */
static bool is_link(const char *path)
{
	struct stat st;
	return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
}

const char *place_beside(struct ctl *c, const char *name)
{
	size_t n = strlen(c->store_dir);
	while (n > 1 && c->store_dir[n - 1] == '/')
		n--;
	const char *dir = arena_printf(&c->arena, "%.*s", (int)n, c->store_dir).p;
	if (!dir)
		return NULL;
	const char *cut = strrchr(dir, '/'), *last = cut ? cut + 1 : dir;
	if (!last[0] || strcmp(last, ".") == 0 || strcmp(last, "..") == 0 || is_link(dir))
		return arena_printf(&c->arena, "%s/../%s", dir, name).p;
	return arena_printf(&c->arena, "%.*s%s", (int)(last - dir), dir, name).p;
}

int place_dir(struct ctl *c, const char *name, const char *beside, const char **out)
{
	struct slice v;
	if (!place_is_installed(c)) {
		*out = place_beside(c, beside);
		return *out ? E_OK : no_memory(c);
	}
	int rc = conf_get(&c->conf, name, &v, NULL, &c->err);
	return rc == E_OK ? take_path(c, v, out) : rc;
}

int place_tls(struct ctl *c, const char **out)
{
	return place_dir(c, "tls", "keys", out);
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
	return place_dir(c, "content", "content", &c->content_dir);
}

/* ================= the address ================= */

int place_read_pem(const char *path, struct arena *a, struct slice *out, struct err *e)
{
	char *text = arena_alloc(a, PEM_MAX + 1, 1);
	size_t n = 0;
	ssize_t got = 1;
	if (!text)
		return err_set(e, E_NOMEM, "out of memory");
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return err_set(e, E_NOTFOUND, "%s: there is no such file", path);
	while (fd >= 0 && n <= PEM_MAX && (got = read(fd, text + n, PEM_MAX + 1 - n)) > 0)
		n += (size_t)got;
	int rc = fd < 0 || got < 0 ? err_errno(e, "%s", path) : E_OK;
	if (fd >= 0)
		close(fd);
	*out = (struct slice){text, n};
	return rc != E_OK || n <= PEM_MAX ? rc : err_set(e, E_FORM, "%s: more than %zu bytes: this is no certificate", path, PEM_MAX);
}

/* What scripts/run.sh told nginx of its instance: "listen ADDRESS:PORT ..." in the first line.  Absent: nothing. */
static struct slice told_nginx(struct ctl *c)
{
	const char *path = place_beside(c, "nginx/listen-tls.conf");
	struct slice text = SL0;
	struct err e;
	if (!path || place_is_installed(c) || place_read_pem(path, &c->arena, &text, &e) != E_OK)
		return SL0;
	struct slice first = text_word(&text), address = text_word(&text);
	return slice_eq(first, SL("listen")) ? address : SL0;
}

/* Whom only this machine reaches has to be called so. */
static void take_told(struct slice at, struct slice *host, struct slice *port)
{
	const char *colon = at.n ? memrchr(at.p, ':', at.n) : NULL;
	if (!colon)
		return;
	struct slice address = {at.p, (size_t)(colon - at.p)};
	*port = (struct slice){colon + 1, at.n - address.n - 1};
	if (text_starts(address, SL("127.")) || slice_eq(address, SL("[::1]")))
		*host = SL("localhost");
}

int place_make_url(struct ctl *c, struct slice host, const char **out)
{
	struct slice port;
	int rc = conf_get(&c->conf, "https.port", &port, NULL, &c->err);
	if (rc != E_OK)
		return rc;
	take_told(told_nginx(c), &host, &port);
	bool v6 = memchr(host.p, ':', host.n);
	*out = arena_printf(&c->arena, "https://%s%.*s%s:%.*s", v6 ? "[" : "", SLF(host), v6 ? "]" : "", SLF(port)).p;
	return *out ? E_OK : no_memory(c);
}

static int certificate_name(struct ctl *c, struct slice *name)
{
	const char *tls;
	struct slice path, pem;
	int rc = place_tls(c, &tls);
	if (rc != E_OK)
		return rc;
	path = arena_printf(&c->arena, "%s/server.crt", tls);
	rc = path.p ? place_read_pem(path.p, &c->arena, &pem, &c->err) : no_memory(c);
	if (rc != E_OK)
		return rc == E_NOMEM ? rc : E_NOTFOUND;
	return health_cert_name(pem, &c->arena, name) ? E_OK : err_set(&c->err, E_NOTFOUND, "%s names no host", path.p);
}

int place_url(struct ctl *c, const char **out)
{
	struct slice url, names, name;
	int rc = conf_get(&c->conf, "url", &url, NULL, &c->err);
	if (rc == E_OK && url.n)
		return take_path(c, url, out);
	if (rc == E_OK)
		rc = conf_get(&c->conf, "names", &names, NULL, &c->err);
	name = rc == E_OK ? text_word(&names) : SL0;
	if (rc == E_OK && name.p)
		return place_make_url(c, name, out);
	if (rc == E_OK)
		rc = certificate_name(c, &name);
	return rc == E_OK ? place_make_url(c, name, out) : rc;
}
