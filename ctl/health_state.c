/* health_state.c -- what the last `health --notify` found: a text file beside the store.
 *
 * A line each: "level CHECK LEVEL SINCE" and "growth TIME DISK CATALOG FLEET", times in ticks.  It is replaced at once. */
#include "ctl/health.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/text.h"

#define HEAD "wsus-fcgi health 1\n"
#define STATE_MAX (16 << 10) /* 16 levels and 60 points at 100 bytes */
#define GROWTH_STEP (20 * 3600 * TICKS_PER_SECOND) /* a daily job is never exactly a day apart */

static bool number(struct slice *rest, uint64_t *out)
{
	return text_u64(text_cut(rest, ' '), out);
}

static bool is_check(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!(s.p[i] >= 'a' && s.p[i] <= 'z') && s.p[i] != '-')
			return false;
	return s.n > 0 && s.n < sizeof(((struct health_state *)0)->was[0].check);
}

static bool take_level(struct health_state *s, struct slice rest)
{
	struct slice check = text_cut(&rest, ' '), level = text_cut(&rest, ' ');
	uint64_t since;
	if (s->n == HEALTH_CHECKS_MAX || !is_check(check) || !number(&rest, &since))
		return false;
	for (unsigned l = 0; l < LEVEL__N; l++) {
		if (!slice_eq(level, slice_of(level_names[l])))
			continue;
		snprintf(s->was[s->n].check, sizeof(s->was[0].check), "%.*s", SLF(check));
		s->was[s->n].level = (enum level)l;
		s->was[s->n++].since = (tick_t)(since & INT64_MAX);
		return true;
	}
	return false;
}

static bool take_growth(struct health_state *s, struct slice rest)
{
	uint64_t at;
	struct growth g;
	if (s->ngrowth == HEALTH_POINTS || !number(&rest, &at) || !number(&rest, &g.disk) || !number(&rest, &g.catalog) ||
		!number(&rest, &g.fleet))
		return false;
	g.at = (tick_t)(at & INT64_MAX);
	s->growth[s->ngrowth++] = g;
	return true;
}

void health_state_read(struct health_state *s, struct slice text)
{
	*s = (struct health_state){0};
	if (!text_starts(text, SL(HEAD)))
		return;
	while (text.p) {
		struct slice line = text_cut(&text, '\n'), word = text_cut(&line, ' ');
		if (slice_eq(word, SL("level")))
			(void)take_level(s, line); /* a line that makes no sense is as one that is not there */
		else if (slice_eq(word, SL("growth")))
			(void)take_growth(s, line);
	}
}

int health_state_load(struct health_state *s, const char *path, struct err *e)
{
	char text[STATE_MAX];
	*s = (struct health_state){0};
	FILE *f = fopen(path, "re");
	if (!f)
		return errno == ENOENT ? E_OK : err_errno(e, "%s", path);
	size_t n = fread(text, 1, sizeof(text), f);
	int rc = ferror(f) ? err_errno(e, "%s", path) : E_OK;
	fclose(f);
	if (rc == E_OK)
		health_state_read(s, (struct slice){text, n});
	return rc;
}

static int write_all(int fd, struct slice text, mode_t mode, struct err *e, const char *path)
{
	bool ok = fchmod(fd, mode) == 0;
	while (ok && text.n > 0) {
		ssize_t n = write(fd, text.p, text.n);
		ok = n > 0 || (n < 0 && errno == EINTR);
		if (n > 0)
			text = (struct slice){text.p + n, text.n - (size_t)n};
	}
	return ok && fsync(fd) == 0 ? E_OK : err_errno(e, "%s", path);
}

int health_replace(const char *path, struct slice text, mode_t mode, struct err *e)
{
	char work[4096];
	if (snprintf(work, sizeof(work), "%s.new", path) >= (int)sizeof(work))
		return err_set(e, E_LIMIT, "the path of a file to write is too long");
	int fd = open(work, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(e, "%s", work);
	int rc = write_all(fd, text, mode, e, work);
	close(fd);
	if (rc == E_OK && rename(work, path) != 0)
		rc = err_errno(e, "%s", path);
	if (rc != E_OK)
		unlink(work);
	return rc;
}

void health_state_add(struct buf *b, const struct health_state *s)
{
	buf_str(b, HEAD);
	for (unsigned i = 0; i < s->n; i++)
		buf_printf(b, "level %s %s %jd\n", s->was[i].check, level_names[s->was[i].level], (intmax_t)s->was[i].since);
	for (unsigned i = 0; i < s->ngrowth; i++)
		buf_printf(b, "growth %jd %ju %ju %ju\n", (intmax_t)s->growth[i].at, (uintmax_t)s->growth[i].disk,
			(uintmax_t)s->growth[i].catalog, (uintmax_t)s->growth[i].fleet);
}

int health_state_save(const struct health_state *s, const char *path, struct err *e)
{
	struct buf b;
	buf_init(&b, STATE_MAX);
	health_state_add(&b, s);
	int rc = b.rc == E_OK ? health_replace(path, buf_bytes(&b), 0640, e) : err_set(e, (enum errcode)b.rc, "out of memory");
	buf_free(&b);
	return rc;
}

void health_state_grow(struct health_state *s, const struct growth *g)
{
	if (s->ngrowth > 0 && g->at - s->growth[s->ngrowth - 1].at < GROWTH_STEP)
		return;
	if (s->ngrowth == HEALTH_POINTS)
		memmove(s->growth, s->growth + 1, --s->ngrowth * sizeof(s->growth[0]));
	s->growth[s->ngrowth++] = *g;
}

/* What was noted of a check; -1: nothing, which is as OK. */
static int find(const struct health_state *s, const char *check)
{
	for (unsigned i = 0; i < s->n; i++)
		if (strcmp(s->was[i].check, check) == 0)
			return (int)i;
	return -1;
}

static int note(struct health_state *s, const struct finding *f, tick_t now)
{
	int i = find(s, f->check);
	if (i < 0 && s->n == HEALTH_CHECKS_MAX)
		return E_LIMIT;
	if (i < 0)
		i = (int)s->n++;
	snprintf(s->was[i].check, sizeof(s->was[i].check), "%s", f->check);
	s->was[i].level = f->level;
	s->was[i].since = now;
	return E_OK;
}

int health_notify(struct health_state *s, const struct finding *v, unsigned n, tick_t now, health_tell *tell, void *arg,
	struct err *e)
{
	int first = E_OK;
	for (unsigned k = 0; k < n; k++) {
		int i = find(s, v[k].check), rc = E_OK;
		enum level before = i < 0 ? LEVEL_OK : s->was[i].level;
		struct err mine = {0};
		if (v[k].level == before)
			continue;
		const struct transition t = {v[k].check, v[k].level == LEVEL_OK ? "left" : "entered", v[k].level, before,
			i < 0 ? 0 : s->was[i].since, v[k].what, v[k].remedy};
		rc = tell(&t, arg, &mine);
		if (rc == E_OK)
			rc = note(s, &v[k], now);
		if (rc != E_OK && first == E_OK)
			first = err_set(e, (enum errcode)rc, "%s", mine.text);
	}
	return first;
}
