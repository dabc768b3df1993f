/* probe_state.c -- what wsus-probe keeps between runs: a text file of lines.
 *
 *	wsus-probe-state 1
 *	url URL | client ID | plugin NAME | last-change TIME | expiration TIME | cookie BASE64 | per-request N
 *	update ID GUID REVISION FLAGS ACTION [GUID:REVISION:CLAUSE ...]     FLAGS: - l(eaf) i(nstalled) d(river) r(eported as installed)
 *	end NUMBER-OF-UPDATES
 *
 * The end line proves that the file is whole. */
#include "ctl/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/text.h"

#define STATE_MAGIC "wsus-probe-state "
#define STATE_VERSION 1
#define STATE_MAX ((size_t)1 << 30)
#define STATE_MEMBERS 100000

char *probe_strdup(struct slice s)
{
	char *z = s.n < SIZE_MAX ? malloc(s.n + 1) : NULL;
	if (!z)
		return NULL;
	if (s.n > 0)
		memcpy(z, s.p, s.n);
	z[s.n] = '\0';
	return z;
}

void probe_state_free(struct probe_state *s)
{
	free(s->url);
	free(s->client);
	free(s->plugin);
	free(s->last_change);
	free(s->expiration);
	free(s->cookie);
	probe_cache_free(&s->cache);
	*s = (struct probe_state){0};
}

/* The lines that are a word and a text. */
static const struct {
	const char *word;
	size_t offset;
} texts[] = {
	{"url", offsetof(struct probe_state, url)},
	{"client", offsetof(struct probe_state, client)},
	{"plugin", offsetof(struct probe_state, plugin)},
	{"last-change", offsetof(struct probe_state, last_change)},
	{"expiration", offsetof(struct probe_state, expiration)},
	{"cookie", offsetof(struct probe_state, cookie)},
};

static char **text_at(const struct probe_state *s, size_t k)
{
	return (char **)((char *)(uintptr_t)s + texts[k].offset);
}

/* ---- reading ---- */
static bool read_flags(struct slice s, struct probe_update *u)
{
	for (size_t i = 0; i < s.n; i++) {
		u->leaf = u->leaf || s.p[i] == 'l';
		u->installed = u->installed || s.p[i] == 'i';
		u->driver = u->driver || s.p[i] == 'd';
		u->done = u->done || s.p[i] == 'r';
		if (!memchr("-lidr", s.p[i], 5))
			return false;
	}
	return s.n > 0;
}

static bool read_member(struct slice s, struct probe_ref *out)
{
	int32_t clause;
	struct slice guid = text_cut(&s, ':'), revision = text_cut(&s, ':');
	if (!text_guid(guid, &out->update) || !text_i32(revision, &out->revision) || !text_i32(s, &clause))
		return false;
	out->clause = (uint32_t)clause;
	return true;
}

static bool read_members(struct slice rest, struct probe_update *u)
{
	size_t n = rest.n > 0;
	for (size_t i = 0; i < rest.n; i++)
		n += rest.p[i] == ' ';
	if (n == 0)
		return true;
	u->member = n <= STATE_MEMBERS ? calloc(n, sizeof(*u->member)) : NULL;
	if (!u->member)
		return false;
	while (u->members < n)
		if (!read_member(text_cut(&rest, ' '), &u->member[u->members++]))
			return false;
	return true;
}

static bool read_update(struct slice line, struct probe_cache *c)
{
	struct probe_update u = {.id = 0};
	struct slice id = text_cut(&line, ' '), guid = text_cut(&line, ' '), revision = text_cut(&line, ' ');
	struct slice flags = text_cut(&line, ' ');
	enum probe_action action = probe_action_of(text_cut(&line, ' '));
	u.action = (uint8_t)action;
	bool ok = text_i32(id, &u.id) && text_guid(guid, &u.update) && text_i32(revision, &u.revision) &&
		read_flags(flags, &u) && action < PROBE_ACTION__MAX && !probe_cache_by_id(c, u.id) &&
		read_members(line, &u) && probe_cache_add(c, &u);
	if (!ok)
		free(u.member);
	return ok;
}

static bool read_text(struct probe_state *s, struct slice word, struct slice rest)
{
	for (size_t k = 0; k < COUNTOF(texts); k++)
		if (slice_eq(word, slice_of(texts[k].word))) {
			char **to = text_at(s, k);
			return *to == NULL && (*to = probe_strdup(rest)) != NULL;
		}
	return false;
}

/* After the first line; true once the end line was met and fits. */
static bool read_lines(struct probe_state *s, struct slice all, unsigned *line)
{
	while (all.n > 0) {
		struct slice rest = text_cut(&all, '\n'), word = text_cut(&rest, ' ');
		uint64_t n;
		++*line;
		if (slice_eq(word, SL("end")))
			return text_u64(rest, &n) && n == s->cache.n && all.n == 0;
		bool ok = slice_eq(word, SL("update")) ? read_update(rest, &s->cache)
			: slice_eq(word, SL("per-request")) ? text_i32(rest, &s->per_request)
			: read_text(s, word, rest);
		if (!ok)
			return false;
	}
	return false;
}

static int state_parse(struct probe_state *s, struct slice all, const char *path, struct err *e)
{
	int32_t version;
	unsigned line = 1;
	struct slice first = text_cut(&all, '\n');
	if (!text_starts(first, SL(STATE_MAGIC)))
		return err_set(e, E_FORM, "%s: not a state file of wsus-probe; name another file, or remove it", path);
	first.p += strlen(STATE_MAGIC);
	first.n -= strlen(STATE_MAGIC);
	if (text_i32(first, &version) && version > STATE_VERSION)
		return err_set(e, E_VERSION, "%s: written by a newer wsus-probe (format %d)", path, version);
	if (!text_i32(first, &version) || version != STATE_VERSION || !read_lines(s, all, &line))
		return err_set(e, E_FORM, "%s:%u: the state file is damaged; remove it to start anew", path, line);
	return E_OK;
}

static int read_whole(const char *path, struct buf *b, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? err_set(e, E_NOTFOUND, "%s: no such file", path) : err_errno(e, "%s", path);
	ssize_t got = 0;
	for (char *to; (to = buf_room(b, 1 << 16)) != NULL && (got = read(fd, to, 1 << 16)) > 0;)
		b->n += (size_t)got;
	int rc = got < 0 ? err_errno(e, "%s", path) : b->rc != E_OK ? err_set(e, b->rc, "%s: too large", path) : E_OK;
	close(fd);
	return rc;
}

int probe_state_load(struct probe_state *s, const char *path, struct err *e)
{
	struct buf b;
	*s = (struct probe_state){0};
	buf_init(&b, STATE_MAX);
	int rc = read_whole(path, &b, e);
	if (rc == E_OK)
		rc = state_parse(s, buf_bytes(&b), path, e);
	buf_free(&b);
	if (rc != E_OK)
		probe_state_free(s);
	return rc;
}

/* ---- writing ---- */
static void add_update(struct buf *b, const struct probe_update *u)
{
	char guid[GUID_TEXT + 1];
	guid_text(&u->update, guid);
	buf_printf(b, "update %d %s %d -%s%s%s%s %s", u->id, guid, u->revision, u->leaf ? "l" : "", u->installed ? "i" : "",
		u->driver ? "d" : "", u->done ? "r" : "", probe_action_name[u->action]);
	for (uint32_t k = 0; k < u->members; k++) {
		guid_text(&u->member[k].update, guid);
		buf_printf(b, " %s:%d:%u", guid, u->member[k].revision, u->member[k].clause);
	}
	buf_char(b, '\n');
}

static void state_print(struct buf *b, const struct probe_state *s)
{
	buf_printf(b, STATE_MAGIC "%d\n", STATE_VERSION);
	for (size_t k = 0; k < COUNTOF(texts); k++)
		if (*text_at(s, k))
			buf_printf(b, "%s %s\n", texts[k].word, *text_at(s, k));
	buf_printf(b, "per-request %d\n", s->per_request);
	for (size_t i = 0; i < s->cache.n; i++)
		add_update(b, &s->cache.v[i]);
	buf_printf(b, "end %zu\n", s->cache.n);
}

static bool write_all(int fd, struct slice s)
{
	while (s.n > 0) {
		ssize_t done = write(fd, s.p, s.n);
		if (done < 0 && errno != EINTR)
			return false;
		s.p += done > 0 ? done : 0;
		s.n -= done > 0 ? (size_t)done : 0;
	}
	return true;
}

int probe_state_save(const struct probe_state *s, const char *path, struct err *e)
{
	char temp[4096];
	struct buf b;
	int fd = -1, rc = E_OK;
	if (snprintf(temp, sizeof(temp), "%s.XXXXXX", path) >= (int)sizeof(temp))
		return err_set(e, E_USAGE, "%s: the name is too long", path);
	buf_init(&b, STATE_MAX);
	state_print(&b, s);
	if (b.rc != E_OK)
		rc = err_set(e, b.rc, "%s: %s", path, err_name(b.rc));
	else if ((fd = mkstemp(temp)) < 0)
		rc = err_errno(e, "%s", temp);
	else if (!write_all(fd, buf_bytes(&b)) || fsync(fd) != 0 || rename(temp, path) != 0)
		rc = err_errno(e, "%s", path);
	if (fd >= 0)
		close(fd);
	if (fd >= 0 && rc != E_OK)
		unlink(temp);
	buf_free(&b);
	return rc;
}
