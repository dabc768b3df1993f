/* place.c -- where the things of the server that a command is for are. */
#include "ctl/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/text.h"
#include "ctl/health_cert.h"

#define PEM_MAX ((size_t)64 << 10) /* a certificate takes 1 to 4 KB, a chain has at most ten */

static int no_memory(struct ctl *c)
{
	return err_set(&c->err, E_NOMEM, "out of memory");
}

static int take_path(struct ctl *c, struct slice v, const char **out)
{
	*out = arena_copy(&c->arena, v).p;
	return *out ? E_OK : no_memory(c);
}

int place_conf(struct ctl *c, struct conf *out)
{
	return site_conf(out, &c->arena, &c->err);
}

bool place_is_installed(const struct ctl *c)
{
	return site_is_installed(c->store_dir, &c->conf);
}

const char *place_beside(struct ctl *c, const char *name)
{
	return site_beside(c->store_dir, name, &c->arena);
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
	struct site s;
	int rc = site_find(&s, ctl_option(c, "store"), &c->arena, &c->err);
	c->store_dir = s.store;
	c->store_found = s.found;
	c->content_dir = s.content;
	c->conf = s.conf;
	return rc;
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
