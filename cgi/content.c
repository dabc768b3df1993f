/* content.c -- /Content and /SelfUpdate misses to X-Accel-Redirect, and /health and /metrics.  See content.h. */
#include "cgi/content.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "cgi/status.h"
#include "common/log.h"
#include "common/text.h"

#define MAX_PARTS 8        /* self-update trees are five folders deep */
#define MAX_ENTRIES 20000  /* of one folder */

/* ---- /Content ---- */

/* Cuts 1 or 2 hexadecimal digits and a slash; some servers name folder 0A "A". */
static bool cut_folder(struct slice *rest, uint8_t *folder)
{
	struct slice s = *rest, part = text_cut(&s, '/');
	char two[2] = {'0', '0'};
	if (!s.p || part.n < 1 || part.n > 2)
		return false;
	memcpy(two + 2 - part.n, part.p, part.n);
	*rest = s;
	return text_hex((struct slice){two, 2}, folder, 1);
}

static void redirect_to(const struct sha1 *d, char to[CONTENT_TARGET])
{
	char hex[41];
	hex_text(d->b, sizeof(d->b), true, hex);
	snprintf(to, CONTENT_TARGET, "/_content/%s/%s", hex + 38, hex);
}

/* HEX[.ext]; folder: NULL if there was none. */
static bool is_digest(struct slice rest, const uint8_t *folder, struct sha1 *out)
{
	struct sha1 d;
	if (rest.n < 40 || !text_hex((struct slice){rest.p, 40}, d.b, sizeof(d.b)))
		return false;
	struct slice tail = {rest.p + 40, rest.n - 40};
	if ((tail.n > 0 && tail.p[0] != '.') || (tail.n > 0 && memchr(tail.p, '/', tail.n)))
		return false;
	*out = d;
	return !folder || *folder == d.b[19];
}

/* What the link says, which must fit the folder that it is in. */
static bool find_name(const char *names, uint8_t folder, struct slice name, struct sha1 *out)
{
	char lower[NAME_MAX + 1], path[PATH_MAX], text[41];
	if (!names || !text_file_name(name))
		return false;
	text_lower_to(lower, name);
	int n = snprintf(path, sizeof(path), "%s/%02X/%.*s", names, folder, (int)name.n, lower);
	return n > 0 && (size_t)n < sizeof(path) && readlink(path, text, sizeof(text)) == 40 &&
		text_hex((struct slice){text, 40}, out->b, sizeof(out->b)) && out->b[19] == folder;
}

/* [XX/]HEX[.ext] or XX/NAME */
static bool resolve_content(struct slice rest, const char *names, char to[CONTENT_TARGET])
{
	struct sha1 d;
	uint8_t folder;
	bool has_folder = cut_folder(&rest, &folder);
	if (!is_digest(rest, has_folder ? &folder : NULL, &d) && !(has_folder && find_name(names, folder, rest, &d)))
		return false;
	redirect_to(&d, to);
	return true;
}

/* ---- /SelfUpdate ---- */

/* The name that a folder has for `part` in any letter case; the exact one if it is there. */
static bool find_entry(int dir, struct slice part, char name[256])
{
	int fd = dup(dir);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	bool found = false, exact = false;
	if (!d) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	rewinddir(d);
	struct dirent *e;
	for (unsigned i = 0; !exact && i < MAX_ENTRIES && (e = readdir(d)); i++) {
		struct slice n = slice_of(e->d_name);
		if (n.n > 255 || !text_ieq(n, part))
			continue;
		exact = slice_eq(n, part);
		if (!found || exact)
			memcpy(name, n.p, n.n + 1);
		found = true;
	}
	closedir(d);
	return found;
}

static bool append_escaped(char to[CONTENT_TARGET], size_t *n, const char *name)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
	if (*n + 2 >= CONTENT_TARGET)
		return false;
	to[(*n)++] = '/';
	for (; *name; name++) {
		if (*n + 4 >= CONTENT_TARGET)
			return false;
		if (strchr(plain, *name))
			to[(*n)++] = *name;
		else
			*n += (size_t)snprintf(to + *n, CONTENT_TARGET - *n, "%%%02X", (unsigned char)*name);
	}
	to[*n] = '\0';
	return true;
}

static bool resolve_selfupdate(struct slice rest, int dir, char to[CONTENT_TARGET])
{
	char name[256];
	size_t n = (size_t)snprintf(to, CONTENT_TARGET, "/_selfupdate");
	int at = dup(dir);
	bool ok = at >= 0;
	for (unsigned i = 0; ok && rest.p; i++) {
		struct slice part = text_cut(&rest, '/');
		ok = i < MAX_PARTS && part.n > 0 && part.p[0] != '.' && find_entry(at, part, name) &&
			append_escaped(to, &n, name);
		if (!ok || !rest.p)
			break;
		int next = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		close(at);
		at = next;
		ok = at >= 0;
	}
	if (at >= 0)
		close(at);
	return ok;
}

/* Cuts "/name/" in any letter case. */
static bool cut_prefix(struct slice *s, struct slice prefix)
{
	if (s->n <= prefix.n || !text_ieq((struct slice){s->p, prefix.n}, prefix))
		return false;
	*s = (struct slice){s->p + prefix.n, s->n - prefix.n};
	return true;
}

bool content_resolve(struct slice path, const struct content_places *in, char to[CONTENT_TARGET])
{
	if (cut_prefix(&path, SL("/Content/")))
		return resolve_content(path, in->names, to);
	if (in->selfupdate >= 0 && cut_prefix(&path, SL("/SelfUpdate/")))
		return resolve_selfupdate(path, in->selfupdate, to);
	return false;
}

/* ---- the program ---- */

void content_answer(const struct request *req, const struct content_places *in, char headers[CONTENT_TARGET + 64],
	struct answer *out)
{
	char target[CONTENT_TARGET];
	bool get = slice_eq(req->method, SL("GET")) || slice_eq(req->method, SL("HEAD"));
	bool found = get && content_resolve(req->path, in, target);
	int n;
	if (found)
		n = snprintf(headers, CONTENT_TARGET + 64, "X-Accel-Redirect: %s\r\n", target);
	else
		n = snprintf(headers, CONTENT_TARGET + 64, "%sContent-Type: text/plain\r\n", get ? "" : "Allow: GET, HEAD\r\n");
	*out = (struct answer){.status = found ? 200 : get ? 404 : 405, .headers = {headers, (size_t)n}, .no_body = true};
}

struct content_worker {
	struct content_places places;
	char headers[CONTENT_TARGET + 64];
	struct status_reply status;
};
static const char *opt_selfupdate, *opt_names, *opt_jobs;

static int content_option(int ch, const char *arg, struct err *e)
{
	if (ch == 'U')
		opt_selfupdate = arg;
	else if (ch == 'N')
		opt_names = arg;
	else if (ch == 'J')
		opt_jobs = arg;
	else
		return err_set(e, E_USAGE, "unknown option -%c", ch);
	return E_OK;
}

static int content_start(void **worker, struct err *e)
{
	struct content_worker *w = calloc(1, sizeof(*w));
	if (!w)
		return err_set(e, E_NOMEM, "no memory for a worker");
	w->places = (struct content_places){-1, opt_names};
	if (opt_selfupdate)
		w->places.selfupdate = open(opt_selfupdate, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (opt_selfupdate && w->places.selfupdate < 0) {
		free(w);
		return err_errno(e, "%s", opt_selfupdate);
	}
	*worker = w;
	return E_OK;
}

static void content_handle(void *worker, const struct request *req, struct answer *out)
{
	struct content_worker *w = worker;
	if (status_is_for(req->path)) {
		status_answer(req, opt_jobs, time_now(), &w->status, out);
		return; /* nginx logs those that are no 200; the others, four a minute, would hide the rest */
	}
	content_answer(req, &w->places, w->headers, out);
	/* nginx logs each download; another line would say the same. */
	log_line(LOG_DEBUG, "%.*s: %d %s", SLF(req->path), out->status, w->headers);
}

static void content_sent(void *worker, bool ok)
{
	(void)worker;
	(void)ok;
}

static void content_idle(void *worker)
{
	(void)worker;
}

static void content_stop(void **worker)
{
	struct content_worker *w = *worker;
	if (w && w->places.selfupdate >= 0)
		close(w->places.selfupdate);
	free(w);
	*worker = NULL;
}

int content_main(int argc, char **argv)
{
	static const struct serve_ops ops = {
		.name = "wsus-content",
		.usage = "  -U DIR       the self-update files\n"
			 "  -N DIR       content files by their names, for downstream servers\n"
			 "  -J DIR       what the jobs leave, for /health and /metrics\n",
		.options = "U:N:J:",
		.option = content_option,
		.start = content_start,
		.handle = content_handle,
		.sent = content_sent,
		.idle = content_idle,
		.stop = content_stop,
	};
	return serve_main(argc, argv, &ops);
}
