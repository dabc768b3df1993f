/* cohort.c -- cohorts: computers that are directly in the same groups, and their counts; how policy moves computers between them.
 *
 * catalog/ and fleet/ commit apart, so fleet/ knows up to which change of policy it has followed (fmeta `followed`), and of which
 * catalog: UpdateNos and GroupNos of another one mean nothing, and all that is counted by them begins anew.  Cohort numbers are
 * never used again: a computer whose cohort is not there is not counted, and enters with its next report, or when membership_follow()
 * comes to it.  So a recount only has to empty the counts. */
#include <stdlib.h>

#include "common/text.h"
#include "store/env.h"
#include "store/scanned.h"
#include "store/tally.h"

#define COHORT_RECORD 512

/* ================= records ================= */

static const size_t counts[] = {
	offsetof(struct cohort, computers),   offsetof(struct cohort, reported),       offsetof(struct cohort, needing),
	offsetof(struct cohort, failed),      offsetof(struct cohort, up_to_date),     offsetof(struct cohort, pending),
	offsetof(struct cohort, sync_failed), offsetof(struct cohort, updates_needed), offsetof(struct cohort, updates_failed),
};
#define OF_COMPUTERS (COUNTOF(counts) - 2) /* the last two are of updates */

static uint32_t *count_at(struct cohort *c, size_t i)
{
	return (uint32_t *)((char *)c + counts[i]);
}

int cohort_decode(uint32_t no, struct slice value, struct cohort *out)
{
	struct rec r = rec_of(value, 1);
	*out = (struct cohort){.no = no, .ngroups = rec_u8(&r)};
	if (out->ngroups > LIMIT_CLIENT_GROUPS)
		return E_CORRUPT;
	for (unsigned i = 0; i < out->ngroups; i++)
		out->group[i] = rec_u32(&r);
	for (size_t i = 0; i < COUNTOF(counts); i++)
		*count_at(out, i) = rec_u32(&r);
	return rec_end(&r);
}

int cohort_put(struct txn *t, const struct cohort *c, struct err *e)
{
	struct buf b;
	struct key k = key_u32(c->no);
	struct cohort v = *c;
	rec_begin(&b, 1, COHORT_RECORD);
	buf_char(&b, (char)v.ngroups);
	for (unsigned i = 0; i < v.ngroups; i++)
		rec_put_u32(&b, v.group[i]);
	for (size_t i = 0; i < COUNTOF(counts); i++)
		rec_put_u32(&b, *count_at(&v, i));
	return db_put_rec(t, DB_COHORT, key_bytes(&k), &b, e);
}

int cohort_get(struct txn *t, uint32_t no, struct cohort *out)
{
	struct key k = key_u32(no);
	struct slice v;
	*out = (struct cohort){.no = no};
	int rc = db_get(t, DB_COHORT, key_bytes(&k), &v);
	if (rc == E_NOTFOUND && no == COHORT_ALL)
		return E_OK; /* before the first computer */
	return rc == E_OK ? cohort_decode(no, v, out) : rc;
}

bool cohort_is_there(struct txn *t, uint32_t no)
{
	struct key k = key_u32(no);
	struct slice v;
	return no != COHORT_ALL && db_get(t, DB_COHORT, key_bytes(&k), &v) == E_OK;
}

struct each_cohort {
	int (*fn)(const struct cohort *, void *);
	void *arg;
	struct err *e;
};

static int each_cohort_row(struct slice key, struct slice value, void *arg)
{
	struct each_cohort *w = arg;
	struct cohort c;
	if (key.n != 4 || cohort_decode(get_be32(key.p), value, &c) != E_OK)
		return err_set(w->e, E_CORRUPT, "the counts of a cohort cannot be read");
	return c.no == COHORT_ALL ? E_OK : w->fn(&c, w->arg);
}

int cohort_each(struct txn *t, int (*fn)(const struct cohort *, void *), void *arg, struct err *e)
{
	struct each_cohort w = {fn, arg, e};
	return db_each(t, DB_COHORT, SL(""), each_cohort_row, &w, e);
}

/* ---- by their groups ---- */

struct groups_key {
	uint8_t b[4 * LIMIT_CLIENT_GROUPS];
	struct slice s;
};

static void groups_key(struct groups_key *k, const uint32_t *group, unsigned n)
{
	ASSERT(n > 0 && n <= LIMIT_CLIENT_GROUPS);
	for (unsigned i = 0; i < n; i++)
		put_be32(k->b + (size_t)4 * i, group[i]);
	k->s = (struct slice){(const char *)k->b, (size_t)4 * n};
}

/* 0: there is none yet. */
static uint32_t cohort_find(struct txn *t, const uint32_t *group, unsigned n)
{
	struct groups_key k;
	struct slice v;
	groups_key(&k, group, n);
	return db_get(t, DB_COHORT_OF, k.s, &v) == E_OK && v.n == 4 ? get_be32(v.p) : 0;
}

static int number_next(struct txn *t, uint32_t *no, struct err *e)
{
	struct slice v;
	char b[5] = {1};
	*no = 1;
	if (db_get(t, DB_FMETA, SL("cohorts"), &v) == E_OK && v.n == sizeof(b))
		*no = get_be32(v.p + 1) + 1;
	if (*no == 0)
		return txn_fail(t, err_set(e, E_LIMIT, "all numbers of cohorts are used up"), e);
	put_be32(b + 1, *no);
	return db_put(t, DB_FMETA, SL("cohorts"), (struct slice){b, sizeof(b)}, e);
}

int cohort_number(struct txn *t, const uint32_t *group, unsigned n, uint32_t *no, struct err *e)
{
	struct groups_key k;
	struct key id;
	*no = cohort_find(t, group, n);
	if (*no)
		return E_OK;
	int rc = number_next(t, no, e);
	struct cohort c = {.no = *no, .ngroups = n};
	memcpy(c.group, group, n * sizeof(*group));
	groups_key(&k, group, n);
	id = key_u32(*no);
	if (rc == E_OK)
		rc = cohort_put(t, &c, e);
	return rc == E_OK ? db_put(t, DB_COHORT_OF, k.s, key_bytes(&id), e) : rc;
}

/* Without computers it has no counts: clients that make up sets of groups leave none behind. */
static int cohort_sweep(struct txn *t, uint32_t no, struct err *e)
{
	struct cohort c;
	struct groups_key k;
	struct key id = key_u32(no);
	if (no == COHORT_ALL || cohort_get(t, no, &c) != E_OK || c.computers > 0 || c.ngroups == 0)
		return E_OK;
	groups_key(&k, c.group, c.ngroups);
	int rc = db_del_prefix(t, DB_TALLY, key_bytes(&id), NULL, e);
	if (rc == E_OK)
		rc = db_del(t, DB_COHORT_OF, k.s, e);
	return rc == E_OK ? db_del(t, DB_COHORT, key_bytes(&id), e) : rc;
}

/* ================= below a group ================= */

struct below {
	struct txn *t;
	uint32_t group;
	uint32_t *parent; /* by GroupNo */
	uint32_t groups;
	struct cohort *v;
	size_t n, cap;
};

static int note_parent(const struct group *g, void *arg)
{
	struct below *w = arg;
	if (g->no <= w->groups)
		w->parent[g->no] = g->parent;
	return E_OK;
}

/* A group that is gone stands under All Computers until its computers have followed. */
static bool is_below(const struct below *w, uint32_t no)
{
	for (unsigned steps = 0; steps <= LIMIT_CLIENT_GROUPS && no != 0 && no <= w->groups; steps++, no = w->parent[no])
		if (no == w->group)
			return true;
	return w->group == GROUP_ALL_COMPUTERS;
}

static int add_if_below(const struct cohort *c, void *arg)
{
	struct below *w = arg;
	bool hit = false;
	for (unsigned i = 0; !hit && i < c->ngroups; i++)
		hit = is_below(w, c->group[i]);
	if (!hit)
		return E_OK;
	struct cohort *v = ARENA_MORE(txn_arena(w->t), w->v, w->n, &w->cap);
	if (!v)
		return E_NOMEM;
	w->v = v;
	w->v[w->n++] = *c;
	return E_OK;
}

int group_cohorts(struct txn *t, uint32_t group, struct cohort **out, size_t *n, struct err *e)
{
	struct below w = {.t = t, .group = group, .groups = counter_last(t, COUNT_GROUP)};
	*out = NULL;
	*n = 0;
	w.parent = ARENA_ARRAY(txn_arena(t), uint32_t, (size_t)w.groups + 1);
	int rc = w.parent ? group_each(t, note_parent, &w, e) : E_NOMEM;
	if (rc == E_OK)
		rc = cohort_each(t, add_if_below, &w, e);
	if (rc == E_NOMEM)
		return err_set(e, E_NOMEM, "out of memory for the cohorts of a group");
	*out = w.v;
	*n = w.n;
	return rc;
}

/* ================= counts of computers ================= */

/* Whoever counts less than nothing has lost count. */
static int count_doubted(struct txn *t, struct err *e)
{
	return db_put(t, DB_FMETA, SL("recount"), SL("\1"), e);
}

int count_add(struct txn *t, uint32_t *v, int64_t by, struct err *e)
{
	int64_t sum = (int64_t)*v + by;
	*v = (uint32_t)MIN(MAX(sum, 0), (int64_t)UINT32_MAX);
	return sum == (int64_t)*v ? E_OK : count_doubted(t, e);
}

struct cohort cohort_of_one(const struct standing *s)
{
	struct cohort c = {.computers = 1};
	c.reported = s->status_at != 0;
	c.needing = s->count[STATUS_NEEDED] + s->count[STATUS_DOWNLOADED] > 0;
	c.failed = s->count[STATUS_FAILED] > 0;
	c.up_to_date = c.reported && !c.needing && !c.failed;
	c.pending = s->reboot_since != 0;
	c.sync_failed = s->sync_result == SYNC_FAILED;
	return c;
}

static int cohort_add(struct txn *t, uint32_t no, const int64_t by[OF_COMPUTERS], struct err *e)
{
	struct cohort c;
	bool any = false;
	for (size_t i = 0; i < OF_COMPUTERS; i++)
		any = any || by[i] != 0;
	if (!any)
		return E_OK;
	int rc = cohort_get(t, no, &c);
	if (rc != E_OK)
		return txn_fail(t, err_set(e, (enum errcode)rc, "the counts of cohort %u cannot be read", (unsigned)no), e);
	for (size_t i = 0; rc == E_OK && i < OF_COMPUTERS; i++)
		rc = count_add(t, count_at(&c, i), by[i], e);
	return rc == E_OK ? cohort_put(t, &c, e) : rc;
}

static void add_one(int64_t to[OF_COMPUTERS], const struct standing *s, int sign)
{
	struct cohort one = cohort_of_one(s);
	for (size_t i = 0; i < OF_COMPUTERS; i++)
		to[i] += (int64_t)*count_at(&one, i) * sign;
}

int cohort_change(struct txn *t, const struct standing *was, const struct standing *is, struct err *e)
{
	int64_t of_was[OF_COMPUTERS] = {0}, of_is[OF_COMPUTERS] = {0}, of_all[OF_COMPUTERS] = {0};
	bool left = was && cohort_is_there(t, was->cohort), entered = is && cohort_is_there(t, is->cohort);
	bool stays = left && entered && was->cohort == is->cohort;
	if (left)
		add_one(of_was, was, -1), add_one(of_all, was, -1);
	if (entered)
		add_one(stays ? of_was : of_is, is, 1), add_one(of_all, is, 1);
	int rc = left ? cohort_add(t, was->cohort, of_was, e) : E_OK;
	if (rc == E_OK && entered && !stays)
		rc = cohort_add(t, is->cohort, of_is, e);
	return rc == E_OK ? cohort_add(t, COHORT_ALL, of_all, e) : rc;
}

/* ================= what policy changed ================= */

#define LISTED 64 /* computers whose assignments changed last: to follow those is cheaper than to look at all */
#define MEMBERSHIP_RECORD ((size_t)32 << 10)

struct membership {
	tick_t created;  /* of the catalog: tells it from any other */
	uint64_t number; /* of the last change */
	uint64_t floor;  /* changes behind this one are listed */
	struct listed {
		uint64_t number;
		struct slice computer;
	} v[LISTED];
	size_t n;
};

static int membership_get(struct txn *t, struct membership *out, struct err *e)
{
	struct server_state st;
	struct slice v;
	*out = (struct membership){.n = 0};
	int rc = server_state_get(t, &st, e);
	out->created = st.created;
	if (rc != E_OK || db_get(t, DB_META, SL("membership"), &v) != E_OK)
		return rc;
	struct rec r = rec_of(v, 1);
	out->number = rec_u64(&r);
	out->floor = rec_u64(&r);
	while (rec_left(&r) > 0 && out->n < LISTED) {
		out->v[out->n].number = rec_u64(&r);
		out->v[out->n++].computer = rec_str(&r);
	}
	return rec_end(&r) == E_OK ? E_OK : err_set(e, E_CORRUPT, "the record of changed memberships cannot be read");
}

static int membership_put(struct txn *t, const struct membership *m, struct err *e)
{
	struct buf b;
	rec_begin(&b, 1, MEMBERSHIP_RECORD);
	rec_put_u64(&b, m->number);
	rec_put_u64(&b, m->floor);
	for (size_t i = 0; i < m->n; i++) {
		rec_put_u64(&b, m->v[i].number);
		rec_put_str(&b, m->v[i].computer);
	}
	return db_put_rec(t, DB_META, SL("membership"), &b, e);
}

int membership_changed(struct txn *t, struct err *e)
{
	struct membership m;
	int rc = membership_get(t, &m, e);
	m.floor = ++m.number;
	m.n = 0;
	return rc == E_OK ? membership_put(t, &m, e) : rc;
}

static void drop_listed(struct membership *m, size_t at)
{
	m->n--;
	memmove(m->v + at, m->v + at + 1, (m->n - at) * sizeof(*m->v));
}

int membership_changed_of(struct txn *t, struct slice computer, struct err *e)
{
	struct membership m;
	int rc = membership_get(t, &m, e);
	for (size_t i = 0; i < m.n; i++)
		if (slice_eq(m.v[i].computer, computer))
			drop_listed(&m, i--);
	if (m.n == LISTED) {
		m.floor = m.v[0].number;
		drop_listed(&m, 0);
	}
	m.v[m.n++] = (struct listed){++m.number, computer};
	return rc == E_OK ? membership_put(t, &m, e) : rc;
}

int membership_names_changed(struct txn *t, struct err *e)
{
	struct settings set;
	int rc = settings_get(t, &set, e);
	return rc == E_OK && set.targeting == TARGETING_CLIENT ? membership_changed(t, e) : rc;
}

/* ================= how far fleet/ is ================= */

enum walking {
	STANDING_STILL,
	WALKING, /* all computers are being looked at, as they are at `number` or later */
	VOIDING, /* ... whose statuses are gone: those that are not yet counted have none */
	WALKING__N
};
struct followed {
	tick_t created; /* of which catalog; 0: nothing was ever counted */
	uint64_t number;
	enum walking walking;
	struct slice cursor; /* ... from this one on */
};

static struct followed followed_get(struct txn *t)
{
	struct followed f = {.cursor = SL("")};
	struct slice v;
	if (db_get(t, DB_FMETA, SL("followed"), &v) != E_OK)
		return f;
	struct rec r = rec_of(v, 1);
	f.created = (tick_t)rec_u64(&r);
	f.number = rec_u64(&r);
	f.walking = rec_u8(&r);
	f.cursor = rec_str(&r);
	return rec_end(&r) == E_OK && f.walking < WALKING__N ? f : (struct followed){.cursor = SL("")};
}

static int followed_put(struct txn *t, const struct followed *f, struct err *e)
{
	struct buf b;
	rec_begin(&b, 1, COHORT_RECORD);
	rec_put_u64(&b, (uint64_t)f->created);
	rec_put_u64(&b, f->number);
	buf_char(&b, (char)f->walking);
	rec_put_str(&b, f->cursor);
	return db_put_rec(t, DB_FMETA, SL("followed"), &b, e);
}

static bool is_doubted(struct txn *t)
{
	struct slice v;
	return db_get(t, DB_FMETA, SL("recount"), &v) == E_OK;
}

bool membership_behind(struct txn *t)
{
	struct membership m;
	uint64_t computers = 0;
	if (!t->mdb[CATALOG] || !t->mdb[FLEET] || membership_get(t, &m, NULL) != E_OK)
		return false;
	struct followed f = followed_get(t);
	if (f.created == m.created && f.number == m.number && !f.walking && !is_doubted(t))
		return false;
	return db_count(t, DB_COMPUTER, &computers, NULL) == E_OK && computers > 0;
}

static int count_anew(struct txn *t, enum walking how, struct err *e)
{
	static const enum db emptied[] = {DB_TALLY, DB_COHORT, DB_COHORT_OF};
	struct membership m;
	int rc = membership_get(t, &m, e);
	for (size_t i = 0; rc == E_OK && i < COUNTOF(emptied); i++)
		rc = db_empty(t, emptied[i], e);
	if (rc == E_OK)
		rc = os_uncount(t, e);
	if (rc == E_OK)
		rc = db_del(t, DB_FMETA, SL("recount"), e);
	struct followed f = {.created = m.created, .number = m.number, .walking = how, .cursor = SL("")};
	return rc == E_OK ? followed_put(t, &f, e) : rc;
}

int report_recount(struct txn *t, struct err *e)
{
	int rc = count_anew(t, MAX(followed_get(t).walking, WALKING), e);
	return rc == E_OK ? rc : txn_fail(t, rc, e);
}

/* By the numbers of another catalog, or of a later state of this one. */
static bool is_foreign(const struct followed *f, const struct membership *m)
{
	return f->created != m->created || f->number > m->number;
}

/* What was counted by such numbers is forgotten.  Computers report anew. */
static int belong_to_catalog(struct txn *t, struct err *e)
{
	struct membership m;
	int rc = membership_get(t, &m, e);
	struct followed f = followed_get(t);
	if (rc != E_OK || !is_foreign(&f, &m))
		return rc == E_OK && is_doubted(t) ? report_recount(t, e) : rc;
	rc = db_empty(t, DB_STATUS, e);
	return rc == E_OK ? count_anew(t, VOIDING, e) : rc;
}

/* ================= a computer follows ================= */

/* Borrowed texts end with the first write. */
static bool keep_texts(struct arena *a, struct standing *s)
{
	struct slice *const text[] = {&s->client_version, &s->bios_name, &s->bios_date, &s->machine.brand, &s->machine.model,
		&s->machine.bios, &s->machine.architecture};
	for (size_t i = 0; i < COUNTOF(text); i++) {
		*text[i] = arena_copy(a, text[i]->p ? *text[i] : SL(""));
		if (!text[i]->p)
			return false;
	}
	return true;
}

static int read_standing(struct txn *t, struct slice key, struct standing *out, struct err *e)
{
	int rc = standing_get(t, key, out);
	if (rc == E_OK && !keep_texts(txn_arena(t), out))
		return txn_fail(t, err_set(e, E_NOMEM, "out of memory for a computer"), e);
	if (rc == E_OK || rc == E_NOTFOUND)
		return rc;
	return txn_fail(t, err_set(e, (enum errcode)rc, "what computer %.*s reported cannot be read", SLF(key)), e);
}

/* One that is not counted may have lost its statuses, see belong_to_catalog(), and may come from a store that counted nothing. */
static int enter(struct txn *t, struct slice key, struct standing *s, struct err *e)
{
	struct slice v;
	struct computer c;
	int rc = E_OK;
	if (followed_get(t).walking == VOIDING && db_get(t, DB_STATUS, key, &v) != E_OK) {
		s->status_at = 0;
		s->hidden = 0;
		memset(s->count, 0, sizeof(s->count));
	}
	if (s->os == 0 && computer_get(t, key, &c) == E_OK && c.registered)
		rc = os_number(t, c.info, &s->os, e);
	return rc == E_OK ? os_count(t, s->os, 1, e) : rc;
}

static int move(struct txn *t, struct slice key, const struct standing *was, uint32_t to, struct err *e)
{
	bool counted = cohort_is_there(t, was->cohort);
	struct standing is = *was;
	is.cohort = to;
	int rc = counted ? status_count(t, key, was->cohort, false, e) : enter(t, key, &is, e);
	if (rc == E_OK)
		rc = status_count(t, key, to, true, e);
	if (rc == E_OK)
		rc = cohort_change(t, counted ? was : NULL, &is, e);
	if (rc == E_OK)
		rc = standing_put(t, key, &is, e);
	return rc == E_OK && counted ? cohort_sweep(t, was->cohort, e) : rc;
}

static int follow_one(struct txn *t, const struct settings *set, struct slice key, bool *moved, struct err *e)
{
	uint32_t group[LIMIT_CLIENT_GROUPS], to;
	unsigned n = 0;
	struct standing s;
	*moved = false;
	int rc = read_standing(t, key, &s, e);
	if (rc != E_OK)
		return rc == E_NOTFOUND ? E_OK : rc;
	rc = direct_groups_get(t, set, key, group, &n, e);
	if (rc != E_OK)
		return txn_fail(t, rc, e);
	to = cohort_find(t, group, n);
	if (to && to == s.cohort)
		return E_OK;
	rc = cohort_number(t, group, n, &to, e);
	if (rc == E_OK)
		rc = move(t, key, &s, to, e);
	*moved = rc == E_OK;
	return rc == E_OK ? rc : txn_fail(t, rc, e);
}

int standing_follow(struct txn *t, struct slice computer, struct err *e)
{
	struct computer_key k;
	struct settings set;
	bool moved;
	if (!computer_key(&k, computer))
		return E_OK;
	int rc = belong_to_catalog(t, e);
	if (rc == E_OK)
		rc = settings_get(t, &set, e);
	return rc == E_OK ? follow_one(t, &set, k.s, &moved, e) : txn_fail(t, rc, e);
}

int standing_registered(struct txn *t, struct slice computer, struct slice info, tick_t now, struct err *e)
{
	struct computer_key k;
	struct standing s;
	uint32_t was;
	if (!computer_key(&k, computer))
		return E_OK;
	int rc = standing_follow(t, computer, e);
	if (rc == E_OK)
		rc = read_standing(t, k.s, &s, e);
	if (rc != E_OK)
		return rc == E_NOTFOUND ? E_OK : rc;
	was = s.os;
	rc = os_number(t, info, &s.os, e);
	if (rc == E_OK && s.os != was)
		rc = os_count(t, s.os, 1, e);
	if (rc == E_OK && s.os != was)
		rc = os_count(t, was, -1, e);
	s.inventory_at = now;
	return rc == E_OK ? standing_put(t, k.s, &s, e) : txn_fail(t, rc, e);
}

int standing_forget(struct txn *t, struct slice computer, struct err *e)
{
	struct computer_key k;
	struct standing s;
	if (!computer_key(&k, computer))
		return E_OK;
	int rc = read_standing(t, k.s, &s, e);
	if (rc != E_OK)
		return rc == E_NOTFOUND ? E_OK : rc;
	if (cohort_is_there(t, s.cohort)) {
		rc = status_count(t, k.s, s.cohort, false, e);
		if (rc == E_OK)
			rc = cohort_change(t, &s, NULL, e);
		if (rc == E_OK)
			rc = os_count(t, s.os, -1, e);
		if (rc == E_OK)
			rc = cohort_sweep(t, s.cohort, e);
	}
	if (rc == E_OK)
		rc = status_forget(t, k.s, e);
	if (rc == E_OK)
		rc = db_del(t, DB_STANDING, k.s, e);
	if (rc == E_OK)
		rc = scanned_forget(t, k.s, e);
	return rc == E_OK ? rc : txn_fail(t, rc, e);
}

/* ================= all of them follow ================= */

#define WALK 256                         /* computers that are read at once: nothing is written below the walk */
#define GATHERED ((size_t)48 << 20)      /* of sums, before they are written */
#define LOOKS_PER_MOVE 50u               /* one that stays where it is costs that much less */
#define FOLLOW_MEMORY ((size_t)256 << 20)

struct walk {
	struct txn *t;
	struct settings set;
	struct tally_sums sums;
	struct computer_key v[WALK];
	size_t n;
	uint32_t moved, looked, most;
	struct err *e;
};

static bool enough(const struct walk *w)
{
	return w->most != 0 && (w->moved >= w->most || w->looked / LOOKS_PER_MOVE >= w->most);
}

static int note_key(struct slice key, struct slice value, void *arg)
{
	(void)value;
	struct walk *w = arg;
	if (w->n == WALK)
		return 1;
	return computer_key(&w->v[w->n], key) ? (w->n++, 0) : err_set(w->e, E_CORRUPT, "a computer without an id");
}

/* The transaction's arena is emptied after each, and is not the caller's while this runs. */
static int follow_in_walk(struct walk *w, struct slice key)
{
	bool moved;
	int rc = follow_one(w->t, &w->set, key, &moved, w->e);
	arena_reset(txn_arena(w->t));
	w->moved += rc == E_OK && moved;
	w->looked++;
	if (rc == E_OK && w->sums.arena.used > GATHERED)
		rc = tally_sums_write(w->t, &w->sums, w->e);
	return rc;
}

/* One stretch; *end: there are no more behind it. */
static int walk_some(struct walk *w, struct followed *f, struct computer_key *cursor, bool *end)
{
	w->n = 0;
	int rc = db_each_from(w->t, DB_COMPUTER, f->cursor, note_key, w, w->e);
	if (rc != 0 && rc != 1)
		return rc;
	*end = rc == 0;
	rc = E_OK;
	size_t i = 0;
	for (; rc == E_OK && i < w->n && !enough(w); i++)
		rc = follow_in_walk(w, w->v[i].s);
	*end = *end && i == w->n;
	if (i == 0)
		return rc;
	/* the next one begins behind the last: its key and a byte, which no computer's id goes on with that is shorter */
	*cursor = w->v[i - 1];
	cursor->s.p = cursor->b;
	if (cursor->s.n < sizeof(cursor->b))
		cursor->b[cursor->s.n++] = 0;
	f->cursor = cursor->s;
	return rc;
}

static int walk_all(struct walk *w, struct followed *f)
{
	struct computer_key cursor;
	bool end = false;
	int rc = E_OK;
	if (computer_key(&cursor, f->cursor))
		f->cursor = cursor.s; /* what is borrowed ends with the first write */
	while (rc == E_OK && !end && !enough(w))
		rc = walk_some(w, f, &cursor, &end);
	if (end) {
		f->walking = STANDING_STILL;
		f->cursor = SL("");
	}
	return rc == E_OK ? followed_put(w->t, f, w->e) : rc;
}

static int follow_listed(struct walk *w, const struct membership *m, struct followed *f)
{
	struct computer_key keys[LISTED];
	size_t n = 0;
	int rc = E_OK;
	for (size_t i = 0; i < m->n; i++) /* they lie in the map or the arena, which come and go */
		if (m->v[i].number > f->number && computer_key(&keys[n], m->v[i].computer))
			n++;
	for (size_t i = 0; rc == E_OK && i < n; i++)
		rc = follow_in_walk(w, keys[i].s);
	f->number = m->number;
	return rc == E_OK ? followed_put(w->t, f, w->e) : rc;
}

static int follow_step(struct walk *w, bool *more)
{
	struct membership m;
	int rc = membership_get(w->t, &m, w->e);
	struct followed f = followed_get(w->t);
	*more = false;
	if (rc != E_OK || (!f.walking && f.number == m.number))
		return rc;
	if (!f.walking && f.number >= m.floor) {
		rc = follow_listed(w, &m, &f);
	} else {
		if (!f.walking)
			f = (struct followed){f.created, m.number, WALKING, SL("")};
		rc = walk_all(w, &f);
	}
	*more = f.walking != STANDING_STILL || f.number != m.number;
	return rc;
}

static int follow(struct walk *w, bool *more)
{
	int rc = belong_to_catalog(w->t, w->e);
	if (rc == E_OK)
		rc = settings_get(w->t, &w->set, w->e);
	*more = rc == E_OK;
	tally_gather(w->t, &w->sums);
	while (rc == E_OK && *more && !enough(w))
		rc = follow_step(w, more);
	tally_gather(w->t, NULL);
	if (rc == E_OK)
		rc = tally_sums_write(w->t, &w->sums, w->e);
	return rc == E_OK ? rc : txn_fail(w->t, rc, w->e);
}

int membership_follow(struct txn *t, uint32_t most, bool *more, struct err *e)
{
	struct walk *w = malloc(sizeof(*w));
	struct arena lent = *txn_arena(t);
	*more = false;
	if (!w || alloc_should_fail()) {
		free(w);
		return txn_fail(t, err_set(e, E_NOMEM, "out of memory to follow policy"), e);
	}
	*w = (struct walk){.t = t, .most = most, .e = e};
	tally_sums_init(&w->sums, FOLLOW_MEMORY);
	arena_init(txn_arena(t), LIMIT_REQUEST_MEMORY);
	int rc = follow(w, more);
	arena_free(txn_arena(t));
	*txn_arena(t) = lent;
	tally_sums_free(&w->sums);
	free(w);
	return rc;
}

#define MOVES_AT_ONCE 2000u /* services wait for their turn to write in between */

int membership_catch_up(struct store *s, struct err *e)
{
	struct txn *t;
	bool more = false;
	if (!s->env[CATALOG].mdb || !s->env[FLEET].mdb)
		return E_OK;
	int rc = txn_begin(s, TXN_READ, &t, e);
	if (rc == E_OK)
		more = membership_behind(t);
	txn_end(&t);
	while (rc == E_OK && more) {
		rc = txn_begin(s, TXN_FLEET, &t, e);
		if (rc == E_OK)
			rc = membership_follow(t, MOVES_AT_ONCE, &more, e);
		if (rc == E_OK)
			rc = txn_commit(&t, e);
		txn_end(&t);
	}
	return rc;
}

int membership_adopt(struct store *s, struct err *e)
{
	struct membership m;
	struct txn *t;
	bool foreign = false;
	if (!s->env[CATALOG].mdb || !s->env[FLEET].mdb || txn_begin(s, TXN_READ, &t, NULL) != E_OK)
		return E_OK;
	if (membership_get(t, &m, NULL) == E_OK) {
		struct followed f = followed_get(t);
		foreign = is_foreign(&f, &m) && membership_behind(t);
	}
	txn_end(&t);
	if (foreign && membership_catch_up(s, e) != E_OK)
		err_set(e, E_OK, "%s", ""); /* the job of every minute tries again, and says so */
	return E_OK;
}
