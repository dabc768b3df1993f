/* cmd_report_html.c -- `wsusctl report html`: gathers what is on the page, and puts it where it is wanted. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/text.h"
#include "ctl/cmd_report.h"
#include "ctl/report_html.h"

#define PAGE_UPDATES 15
#define PAGE_FAILED 10
#define PAGE_GROUPS 60
#define PAGE_COMPUTERS 25
#define DAY (86400 * TICKS_PER_SECOND)

/* ---- computers ---- */

struct pass {
	struct ctl *c;
	struct page *p;
	struct names *names;
};

/* A computer is in the first that fits: failed ones may need other updates, too. */
static struct page_state state_of(const struct cohort *k)
{
	struct page_state s = {.good = k->up_to_date, .failed = k->failed, .silent = k->computers - MIN(k->computers, k->reported)};
	s.needing = k->reported - MIN(k->reported, k->up_to_date + k->failed);
	return s;
}

static unsigned age_of(tick_t now, tick_t seen)
{
	static const tick_t end[] = {DAY, 7 * DAY, 30 * DAY};
	for (unsigned i = 0; i < COUNTOF(end); i++)
		if (now - seen <= end[i])
			return i;
	return AGE_OLDER;
}

static int pass_one(const struct computer *k, const struct standing *s, void *arg)
{
	struct pass *w = arg;
	w->p->age[age_of(w->c->now, k->last_seen)]++;
	if (s->count[STATUS_FAILED] == 0 && s->sync_result != SYNC_FAILED)
		return E_OK;
	struct computer_row row = computer_row_of(k, s);
	return computer_rows_add(&w->c->arena, &w->p->trouble, &row, &w->c->err);
}

static int gather_computers(struct pass *w)
{
	struct page *p = w->p;
	struct settings s;
	int rc = settings_get(w->c->txn, &s, &w->c->err);
	if (rc == E_OK)
		rc = standing_each(w->c->txn, pass_one, w, &w->c->err);
	computer_rows_sort(&p->trouble, BY_FAILURES);
	p->trouble_left = p->trouble.n - MIN(p->trouble.n, (size_t)PAGE_COMPUTERS);
	p->trouble.n -= p->trouble_left;
	for (size_t i = 0; rc == E_OK && i < p->trouble.n; i++)
		rc = report_groups(w->c, &s, p->trouble.v[i].id, &p->trouble.v[i].groups);
	return rc;
}

/* ---- groups, parents before children ---- */

struct tree {
	struct ctl *c;
	struct group *v;
	size_t n, cap;
};

static int tree_one(const struct group *g, void *arg)
{
	struct tree *w = arg;
	struct group *v = ARENA_MORE(&w->c->arena, w->v, w->n, &w->cap);
	if (!v)
		return err_set(&w->c->err, E_NOMEM, "out of memory");
	w->v = v;
	v[w->n++] = *g;
	return E_OK;
}

static int by_name(const void *a, const void *b)
{
	const struct group *x = a, *y = b;
	return text_icmp(x->name, y->name);
}

static int add_group(struct tree *w, struct page *p, const struct group *g, unsigned depth)
{
	struct scope s;
	if (p->ngroups == PAGE_GROUPS) {
		p->groups_left++;
		return E_OK;
	}
	int rc = scope_get(w->c->txn, &w->c->arena, g->no, SCOPE_BELOW, &s, &w->c->err);
	if (rc == E_OK)
		p->group[p->ngroups++] = (struct page_group){g->name, depth, state_of(&s.sum), s.sum.computers};
	return rc;
}

/* Groups are at most LIMIT_CLIENT_GROUPS deep: more have no computer. */
static int add_below(struct tree *w, struct page *p, uint32_t parent, unsigned depth)
{
	int rc = E_OK;
	for (size_t i = 0; rc == E_OK && depth < LIMIT_CLIENT_GROUPS && i < w->n; i++) {
		if (w->v[i].parent != parent || w->v[i].no == GROUP_DOWNSTREAM)
			continue;
		rc = add_group(w, p, &w->v[i], depth);
		if (rc == E_OK)
			rc = add_below(w, p, w->v[i].no, depth + 1);
	}
	return rc;
}

static int gather_groups(struct ctl *c, struct page *p)
{
	struct tree w = {.c = c};
	p->group = ARENA_ARRAY(&c->arena, struct page_group, PAGE_GROUPS);
	int rc = p->group ? group_each(c->txn, tree_one, &w, &c->err) : err_set(&c->err, E_NOMEM, "out of memory");
	if (rc != E_OK)
		return rc;
	qsort(w.v, w.n, sizeof(*w.v), by_name);
	return add_below(&w, p, 0, 0);
}

static int gather(struct ctl *c, struct page *p)
{
	struct pass w = {.c = c, .p = p};
	struct update_filter needed = {.needed = true, .limit = PAGE_UPDATES};
	struct update_filter failed = {.failed = true, .sort = BY_FAILED, .limit = PAGE_FAILED};
	int rc = summary_gather(c->txn, &c->arena, c->now, &p->summary, &c->err);
	if (rc == E_OK)
		rc = names_begin(&w.names, c->txn, &c->arena, &c->err);
	if (rc == E_OK)
		rc = updates_gather(w.names, &needed, &p->needed, &c->err);
	if (rc == E_OK)
		rc = updates_gather(w.names, &failed, &p->failed, &c->err);
	if (rc == E_OK)
		rc = gather_groups(c, p);
	p->state = state_of(&p->summary.all);
	return rc == E_OK ? gather_computers(&w) : rc;
}

/* ---- where it goes ---- */

static int write_all(struct ctl *c, int fd, const char *path, struct slice s)
{
	while (s.n) {
		ssize_t n = write(fd, s.p, s.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_errno(&c->err, "%s", path);
		s.p += n;
		s.n -= (size_t)n;
	}
	return E_OK;
}

/* Whoever reads the file, a web server or a person, never sees half of it. */
static int replace(struct ctl *c, const char *path, struct slice page)
{
	char made[PATH_MAX];
	int n = snprintf(made, sizeof(made), "%s.%ld", path, (long)getpid());
	if (n < 0 || (size_t)n >= sizeof(made))
		return err_set(&c->err, E_LIMIT, "%s: the path is too long", path);
	int fd = open(made, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_errno(&c->err, "%s", made);
	int rc = write_all(c, fd, made, page);
	if (rc == E_OK && fsync(fd) != 0)
		rc = err_errno(&c->err, "%s", made);
	if (close(fd) != 0 && rc == E_OK)
		rc = err_errno(&c->err, "%s", made);
	if (rc == E_OK && rename(made, path) != 0)
		rc = err_errno(&c->err, "%s", path);
	if (rc != E_OK)
		unlink(made);
	return rc;
}

static void tell(struct ctl *c, const char *path, size_t bytes)
{
	ctl_say(c, "%s: %zu KB, for any browser", path, (bytes + 1023) / 1024);
	out_object_begin(&c->out);
	if (c->json) {
		out_field_text(&c->out, "file", "File", slice_of(path));
		out_field_number(&c->out, "bytes", "Bytes", CELL_BYTES, (int64_t)bytes);
	}
	out_object_end(&c->out);
}

int report_html(struct ctl *c)
{
	struct page p = {0};
	struct buf b;
	const char *path = c->pos[0];
	int rc = gather(c, &p);
	if (rc != E_OK)
		return rc;
	buf_init(&b, PAGE_BYTES);
	page_write(&b, &c->arena, &p);
	if (b.rc != E_OK)
		rc = err_set(&c->err, b.rc, "the page would be larger than %zu MB", PAGE_BYTES >> 20);
	else if (strcmp(path, "-") == 0)
		rc = write_all(c, STDOUT_FILENO, "standard output", buf_bytes(&b));
	else
		rc = replace(c, path, buf_bytes(&b));
	if (rc == E_OK && strcmp(path, "-") != 0)
		tell(c, path, b.n);
	buf_free(&b);
	return rc;
}
