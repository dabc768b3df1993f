/* computer_filter.c -- which computers a list is of, and what lists show of each. */
#include "ctl/computer_filter.h"

#include <stdlib.h>

#include "common/text.h"
#include "ctl/report_data.h"

/* ================= one computer ================= */

int computer_group_names(struct ctl *c, const struct client_groups *g, struct slice *out)
{
	struct buf b;
	int rc = E_OK;
	buf_init(&b, 8192);
	for (unsigned i = 0; i < g->n && rc == E_OK; i++) {
		struct group row;
		if (g->no[i] == GROUP_ALL_COMPUTERS)
			continue;
		rc = group_get(c->txn, g->no[i], &row, &c->err);
		if (rc != E_OK)
			break;
		buf_str(&b, b.n ? ", " : "");
		buf_slice(&b, row.name);
	}
	*out = arena_copy(c->out.a, buf_bytes(&b));
	buf_free(&b);
	return rc;
}

struct slice computer_flags(struct arena *a, const struct listed_computer *l)
{
	const char *flag = identity_flag_names[l->flag];
	return arena_printf(a, "%s%s%s", flag, flag[0] && l->duplicate ? ", " : "", l->duplicate ? "duplicate" : "");
}

/* ================= names that several ids have ================= */

/* FNV-1a over the lower-case name; 64 bits tell 100,000 names apart. */
static uint64_t name_hash(struct slice name)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < name.n; i++)
		h = (h ^ (uint8_t)text_lower(name.p[i])) * UINT64_C(0x100000001b3);
	return h;
}

struct hashes {
	struct arena *a;
	uint64_t *v;
	size_t n, cap;
};

static int note_name(const struct computer *k, void *arg)
{
	struct hashes *w = arg;
	if (k->dns_name.n == 0)
		return E_OK;
	uint64_t *v = ARENA_MORE(w->a, w->v, w->n, &w->cap);
	if (!v)
		return E_NOMEM;
	w->v = v;
	w->v[w->n++] = name_hash(k->dns_name);
	return E_OK;
}

static int cmp_hash(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

/* Keeps, ascending, what is there more than once. */
static size_t keep_repeated(uint64_t *v, size_t n)
{
	size_t kept = 0;
	for (size_t i = 1; i < n; i++)
		if (v[i] == v[i - 1] && (kept == 0 || v[kept - 1] != v[i]))
			v[kept++] = v[i];
	return kept;
}

static int read_names(struct ctl *c, struct computer_filter *f)
{
	struct hashes w = {.a = c->out.a};
	int rc = computer_each(c->txn, note_name, &w, &c->err);
	if (rc == E_NOMEM)
		return err_set(&c->err, E_NOMEM, "out of memory");
	if (rc != E_OK)
		return rc;
	if (w.n > 0)
		qsort(w.v, w.n, sizeof(*w.v), cmp_hash);
	f->name = w.v;
	f->names = keep_repeated(w.v, w.n);
	return E_OK;
}

static bool is_duplicate(const struct computer_filter *f, struct slice name)
{
	uint64_t h = name_hash(name);
	return name.n > 0 && f->names > 0 && bsearch(&h, f->name, f->names, sizeof(h), cmp_hash) != NULL;
}

/* ================= the tests ================= */

struct test {
	const struct computer_filter *f;
	const struct listed_computer *l;
};

static bool in_group(const struct test *t)
{
	const struct client_groups *g = &t->l->groups;
	for (unsigned i = 0; i < g->n; i++)
		if (g->no[i] == t->f->group)
			return true;
	return false;
}

static bool has_os(const struct test *t)
{
	struct slice s = t->l->os, part = t->f->os;
	for (size_t i = 0; s.p && part.n <= s.n && i <= s.n - part.n; i++)
		if (text_ieq((struct slice){s.p + i, part.n}, part))
			return true;
	return false;
}

static bool needs(enum update_status s)
{
	return s == STATUS_NEEDED || s == STATUS_DOWNLOADED || s == STATUS_FAILED;
}

static bool needs_update(const struct test *t)
{
	return needs(t->l->status.status);
}

static bool needs_any(const struct test *t)
{
	const uint32_t *n = t->l->s.count;
	return n[STATUS_NEEDED] + n[STATUS_DOWNLOADED] + n[STATUS_FAILED] > 0;
}

static bool has_failed(const struct test *t)
{
	return t->l->s.count[STATUS_FAILED] > 0;
}

static bool waits_for_restart(const struct test *t)
{
	return t->l->s.reboot_since != 0;
}

static bool sync_failed(const struct test *t)
{
	return t->l->s.sync_result == SYNC_FAILED;
}

static bool is_stale(const struct test *t)
{
	return t->l->k.last_seen < t->f->stale_before;
}

static bool never_reported(const struct test *t)
{
	return t->l->s.reported_at == 0;
}

static bool is_renamed(const struct test *t)
{
	return t->l->flag == IDENTITY_RENAMED;
}

static bool is_cloned(const struct test *t)
{
	return t->l->flag == IDENTITY_CLONED;
}

static bool has_same_name(const struct test *t)
{
	return t->l->duplicate;
}

static int take_group(struct ctl *c, struct computer_filter *f, const char *value)
{
	return name_group(c, value, &f->group);
}

static int take_os(struct ctl *c, struct computer_filter *f, const char *value)
{
	f->os = slice_of(value);
	return f->os.n ? E_OK : err_set(&c->err, E_USAGE, "--os needs a part of a system's name");
}

static int take_update(struct ctl *c, struct computer_filter *f, const char *value)
{
	struct revision r;
	int rc = name_revision(c, value, &r);
	f->update_no = r.update_no;
	return rc;
}

static int take_days(struct ctl *c, struct computer_filter *f, const char *value)
{
	int32_t days = f->settings.stale_days;
	if (value[0] && (!text_i32(slice_of(value), &days) || days < 0 || days > 36500))
		return err_set(&c->err, E_USAGE, "--stale=%s: a number of days is wanted", value);
	f->stale_before = c->now - days * INT64_C(24) * 3600 * TICKS_PER_SECOND;
	return E_OK;
}

/* What is read of a computer when the first test asks for it, and of all that pass. */
enum { PART_GROUPS = 1u << 0, PART_SYSTEM = 1u << 1, PART_FLAG = 1u << 2, PART_STATUS = 1u << 3, PARTS = (1u << 4) - 1 };

/* Cheap ones first. */
static const struct {
	const char *option;
	int (*take)(struct ctl *c, struct computer_filter *f, const char *value);
	bool (*holds)(const struct test *t);
	unsigned parts; /* that it looks at */
} tests[] = {
	{"failed", NULL, has_failed, 0},
	{"needing-any", NULL, needs_any, 0},
	{"pending-restart", NULL, waits_for_restart, 0},
	{"sync-failed", NULL, sync_failed, 0},
	{"stale", take_days, is_stale, 0},
	{"never-reported", NULL, never_reported, 0},
	{"duplicate", NULL, has_same_name, 0},
	{"renamed", NULL, is_renamed, PART_FLAG},
	{"cloned", NULL, is_cloned, PART_FLAG},
	{"os", take_os, has_os, PART_SYSTEM},
	{"group", take_group, in_group, PART_GROUPS},
	{"needing", take_update, needs_update, PART_STATUS},
};

int computer_filter_read(struct ctl *c, struct computer_filter *f)
{
	*f = (struct computer_filter){0};
	int rc = settings_get(c->txn, &f->settings, &c->err);
	for (unsigned i = 0; rc == E_OK && i < COUNTOF(tests); i++) {
		const char *value = ctl_option(c, tests[i].option);
		if (!value)
			continue;
		f->on |= 1u << i;
		rc = tests[i].take ? tests[i].take(c, f, value) : E_OK;
	}
	return rc == E_OK ? read_names(c, f) : rc;
}

int computer_filter_again(struct ctl *c, struct computer_filter *f)
{
	int rc = settings_get(c->txn, &f->settings, &c->err);
	return rc == E_OK ? read_names(c, f) : rc;
}

bool computer_filter_passes(const struct computer_filter *f, const struct listed_computer *l)
{
	const struct test t = {f, l};
	for (unsigned i = 0; i < COUNTOF(tests); i++)
		if ((f->on >> i & 1) && !tests[i].holds(&t))
			return false;
	return true;
}

/* ================= all that pass ================= */

static int read_parts(struct ctl *c, const struct computer_filter *f, struct listed_computer *l, unsigned parts)
{
	struct faces faces;
	int rc = E_OK;
	parts &= ~l->parts;
	l->parts |= parts;
	if (parts & PART_SYSTEM)
		l->os = registered_system(&l->k);
	if ((parts & PART_FLAG) && faces_get(c->txn, l->k.id, &faces) == E_OK)
		l->flag = faces.flag;
	if ((parts & PART_STATUS) && f->update_no)
		rc = status_get(c->txn, l->k.id, f->update_no, &l->status);
	if (rc != E_OK && rc != E_NOTFOUND)
		return err_set(&c->err, (enum errcode)rc, "what computer %.*s reported cannot be read", SLF(l->k.id));
	return parts & PART_GROUPS ? client_groups_get(c->txn, &f->settings, l->k.id, &l->groups, &c->err) : E_OK;
}

int computer_listed(struct ctl *c, const struct computer_filter *f, const struct computer *k, struct listed_computer *out)
{
	*out = (struct listed_computer){.k = *k, .duplicate = is_duplicate(f, k->dns_name)};
	int rc = standing_get(c->txn, k->id, &out->s);
	if (rc != E_OK && rc != E_NOTFOUND)
		return err_set(&c->err, (enum errcode)rc, "what computer %.*s reported cannot be read", SLF(k->id));
	return read_parts(c, f, out, PARTS);
}

struct walk {
	struct ctl *c;
	const struct computer_filter *f;
	int (*fn)(const struct listed_computer *, void *);
	void *arg;
};

/* Of 100,000 computers a filter leaves few: of the others no more is read than it takes to see that. */
static int one_computer(const struct computer *k, const struct standing *s, void *arg)
{
	struct walk *w = arg;
	struct listed_computer l = {.k = *k, .s = *s, .duplicate = is_duplicate(w->f, k->dns_name)};
	const struct test t = {w->f, &l};
	int rc = E_OK;
	for (unsigned i = 0; i < COUNTOF(tests); i++) {
		if (!(w->f->on >> i & 1))
			continue;
		rc = read_parts(w->c, w->f, &l, tests[i].parts);
		if (rc != E_OK || !tests[i].holds(&t))
			return rc;
	}
	rc = read_parts(w->c, w->f, &l, PARTS);
	return rc == E_OK ? w->fn(&l, w->arg) : rc;
}

int computer_filter_each(struct ctl *c, const struct computer_filter *f, int (*fn)(const struct listed_computer *, void *), void *arg)
{
	struct walk w = {c, f, fn, arg};
	return standing_each(c->txn, one_computer, &w, &c->err);
}
