/* name.c -- how people name updates, groups, computers and times. */
#include "common/text.h"
#include "ctl/cmd.h"

#define CANDIDATES 12

struct search {
	struct slice needle;
	bool kb, roots_only;
	struct revision hit[CANDIDATES];
	unsigned n, total;
};

static bool contains(struct slice s, struct slice part)
{
	for (size_t i = 0; part.n <= s.n && i <= s.n - part.n; i++)
		if (text_ieq((struct slice){s.p + i, part.n}, part))
			return true;
	return false;
}

static bool names_kb(struct slice kbs, struct slice kb)
{
	while (kbs.p)
		if (slice_eq(text_cut(&kbs, ' '), kb))
			return true;
	return false;
}

/* Of one update: the highest, but for what a synchronization under way holds back. */
static bool better(const struct revision *r, const struct revision *than)
{
	bool held = r->flags & REV_HELD, other = than->flags & REV_HELD;
	return held != other ? other : r->number > than->number;
}

/* One candidate per update. */
static void keep(struct search *s, const struct revision *r)
{
	for (unsigned i = 0; i < s->n; i++) {
		if (s->hit[i].update_no != r->update_no)
			continue;
		if (better(r, &s->hit[i]))
			s->hit[i] = *r;
		return;
	}
	s->total++;
	if (s->n < CANDIDATES)
		s->hit[s->n++] = *r;
}

static int match(const struct revision *r, void *arg)
{
	struct search *s = arg;
	if (r->flags & REV_REMOVED || (s->roots_only && !(r->flags & REV_EXPLICIT)))
		return 0;
	if (s->kb ? names_kb(r->kb, s->needle) : contains(r->title, s->needle))
		keep(s, r);
	return 0;
}

static int ambiguous(struct ctl *c, const struct search *s, const char *id)
{
	struct buf b;
	char guid[GUID_TEXT + 1];
	buf_init(&b, 64 << 10);
	for (unsigned i = 0; i < s->n; i++) {
		guid_text(&s->hit[i].update, guid);
		buf_printf(&b, "  %s  ", guid);
		text_safe_add(&b, s->hit[i].title);
		buf_char(&b, '\n');
	}
	bool more = s->total > s->n;
	buf_str(&b, more ? "  ...\n" : "");
	c->candidates = arena_copy(&c->arena, buf_bytes(&b));
	buf_free(&b);
	return err_set(&c->err, E_AMBIGUOUS, "\"%.100s\" fits %s%u updates; name one by its id:", id,
		more ? "more than " : "", s->n);
}

/* First among what can be approved: a title is often shared with the parts of a bundle. */
static int search_updates(struct ctl *c, const char *id, struct slice needle, bool kb, struct revision *out)
{
	for (int all = 0; all < 2; all++) {
		struct search *s = ARENA_NEW(&c->arena, struct search);
		if (!s)
			return err_set(&c->err, E_NOMEM, "out of memory");
		*s = (struct search){.needle = needle, .kb = kb, .roots_only = !all};
		int rc = revision_each(c->txn, 1, 0, match, s, &c->err);
		if (rc != E_OK)
			return rc;
		if (s->total > 1)
			return ambiguous(c, s, id);
		if (s->total == 1) {
			*out = s->hit[0];
			return E_OK;
		}
	}
	return err_set(&c->err, E_NOTFOUND, "no update fits \"%s\"; see `wsusctl update list`", id);
}

static int by_guid(struct ctl *c, const char *id, const struct guid *g, int32_t number, struct revision *out)
{
	int32_t rev;
	int rc = revision_find(c->txn, g, number, &rev);
	if (rc == E_NOTFOUND)
		return err_set(&c->err, rc, "no update %s here; see `wsusctl update list`", id);
	return rc == E_OK ? revision_get(c->txn, rev, out, &c->err) : rc;
}

int name_revision(struct ctl *c, const char *id, struct revision *out)
{
	struct slice rest = slice_of(id), whole = rest, head = text_cut(&rest, ':');
	struct guid g;
	int32_t number = 0;
	if (text_guid(head, &g)) {
		if (rest.p && (!text_i32(rest, &number) || number < 0))
			return err_set(&c->err, E_USAGE, "%s: what stands behind the colon is no revision number", id);
		return by_guid(c, id, &g, number, out);
	}
	struct slice digits = whole;
	if (whole.n > 2 && text_ieq((struct slice){id, 2}, SL("KB")))
		digits = (struct slice){id + 2, whole.n - 2};
	uint64_t kb;
	if (digits.n >= 5 && text_u64(digits, &kb))
		return search_updates(c, id, digits, true, out);
	if (whole.n < 3)
		return err_set(&c->err, E_USAGE, "\"%s\" is too short to name an update", id);
	return search_updates(c, id, whole, false, out);
}

int name_group(struct ctl *c, const char *name, uint32_t *out)
{
	int rc = group_find(c->txn, slice_of(name), out);
	if (rc == E_NOTFOUND && text_ieq(slice_of(name), SL("all"))) {
		*out = GROUP_ALL_COMPUTERS;
		return E_OK;
	}
	if (rc == E_NOTFOUND)
		return err_set(&c->err, rc,
			"no group \"%s\"; `wsusctl group list` shows them, `wsusctl group create` makes one", name);
	return rc;
}

struct computer_search {
	struct slice name, id;
	struct arena *a;
	struct buf list; /* of all that fit, for people */
	unsigned n;
};

static int match_computer(const struct computer *k, void *arg)
{
	struct computer_search *s = arg;
	struct slice full = k->dns_name, first = text_cut(&full, '.');
	if (text_ieq(k->dns_name, s->name) || text_ieq(first, s->name)) {
		s->n++;
		s->id = arena_copy(s->a, k->id);
		buf_str(&s->list, "  ");
		text_safe_add(&s->list, k->id);
		buf_str(&s->list, "  ");
		text_safe_add(&s->list, k->dns_name);
		buf_char(&s->list, '\n');
	}
	return 0;
}

int name_found(struct ctl *c, int rc, unsigned n, struct buf *list, const char *many, const char *name)
{
	if (n > 1)
		c->candidates = arena_copy(&c->arena, buf_bytes(list));
	buf_free(list);
	if (rc == E_OK && n > 1)
		return err_set(&c->err, E_AMBIGUOUS, "%u %s are called \"%s\"; give the id:", n, many, name);
	return rc == E_OK && n == 0 ? E_NOTFOUND : rc;
}

int name_computer(struct ctl *c, const char *name, struct slice *out)
{
	struct slice id = slice_of(name);
	struct computer k;
	char *lower = arena_alloc(&c->arena, id.n + 1, 1);
	if (!lower)
		return err_set(&c->err, E_NOMEM, "out of memory");
	text_lower_to(lower, id);
	*out = (struct slice){lower, id.n};
	if (computer_get(c->txn, *out, &k) == E_OK)
		return E_OK;
	struct computer_search s = {.name = id, .a = &c->arena};
	buf_init(&s.list, 1 << 20);
	int rc = computer_each(c->txn, match_computer, &s, &c->err);
	rc = name_found(c, rc, s.n, &s.list, "computers", name);
	if (rc == E_NOTFOUND)
		return err_set(&c->err, E_NOTFOUND, "no computer \"%s\" has contacted this server yet", name);
	if (rc == E_OK)
		*out = s.id;
	return rc;
}

static const struct {
	char unit;
	int64_t seconds;
} spans[] = {{'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};

/* 30m, 12h, 7d, 2w */
static bool read_span(struct slice s, tick_t *out)
{
	int64_t v;
	for (unsigned i = 0; i < COUNTOF(spans) && s.n > 1; i++) {
		if (s.p[s.n - 1] != spans[i].unit || !text_i64((struct slice){s.p, s.n - 1}, &v) || v < 0 || v > 100000)
			continue;
		*out = v * spans[i].seconds * TICKS_PER_SECOND;
		return true;
	}
	return false;
}

static int span_time(struct ctl *c, const char *text, tick_t *out)
{
	tick_t span;
	if (!read_span(slice_of(text + 1), &span))
		return err_set(&c->err, E_USAGE, "%s: a time from now is written +30m, +12h, +7d or +2w", text);
	*out = c->now + span;
	return E_OK;
}

static bool point_time(struct ctl *c, const char *text, tick_t *out)
{
	size_t n = strlen(text);
	const char *tail = n == 10 ? "T00:00:00Z" : n == 16 ? ":00Z" : "";
	struct slice full = arena_printf(&c->arena, "%s%s", text, tail);
	return full.p && text_time(full, out);
}

int name_time(struct ctl *c, const char *text, tick_t *out)
{
	if (text[0] == '+')
		return span_time(c, text, out);
	if (point_time(c, text, out))
		return E_OK;
	return err_set(&c->err, E_USAGE, "%s: a time is written 2026-12-24, 2026-12-24T18:00 (UTC) or +7d", text);
}

int name_past(struct ctl *c, const char *text, tick_t *out)
{
	tick_t span;
	if (read_span(slice_of(text), &span)) {
		*out = c->now - span;
		return E_OK;
	}
	if (point_time(c, text, out))
		return E_OK;
	return err_set(&c->err, E_USAGE, "%s: a time is written 2026-11-22, 2026-11-22T18:00 (UTC), or ago: 30m, 12h, 7d, 2w", text);
}
