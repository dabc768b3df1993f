/* scan.c -- what a client needs: bitmaps of the published index against the ids it sent.
 *
 * A selection (one revision per update, scan.h) depends on the client's groups, its filter and the scope, not
 * on what it has installed: the last of them are kept until the next publish.  Without a filter,
 * and at scope all, most group sets share BASE: if all that their deployments pull in is in BASE anyway,
 * picking it first changes no other pick, since what is pulled in is closed under members and prerequisites. */
#include "store/scan.h"

#include <stdlib.h>

#include "store/index.h"
#include "store/selcache.h"

struct group_view {
	uint32_t no;
	struct view active, block;
};

struct scan {
	struct txn *t;
	enum scan_scope scope;
	size_t page_updates, page_bytes;
	bool bound, uncommitted; /* what was read may never have become a version */
	uint64_t version;
	struct server_state state;
	/* of this version, in arena */
	struct arena arena;
	struct index ix;
	uint64_t *base, *nonleaf, *driver;
	uint64_t *met;     /* by clause set: its satisfied clauses; all zero between calls */
	uint32_t *touched; /* clause sets with some */
	struct group_view *group; /* hashed by number */
	/* of this epoch */
	struct selcache cache;
	uint64_t made;
};

/* Chunk tables and copies of four bitmaps: 1 MB at 1,000,000 revisions, and 12 bytes a clause set. */
#define SCAN_MEMORY ((size_t)64 << 20)
#define GROUP_SLOTS 2048 /* a power of two, above the groups that a snapshot can have */
static_assert(GROUP_SLOTS > LIMIT_GROUPS, "there is always a free slot");

struct scan *scan_new(void)
{
	struct scan *s = calloc(1, sizeof(*s));
	if (s)
		arena_init(&s->arena, SCAN_MEMORY);
	return s;
}

uint64_t scan_selections_made(const struct scan *s)
{
	return s->made;
}

void scan_free(struct scan **s)
{
	if (!*s)
		return;
	selcache_drop(&(*s)->cache);
	arena_free(&(*s)->arena);
	free(*s);
	*s = NULL;
}

/* ================= binding ================= */

static uint64_t *copy_bits(struct scan *s, enum array a)
{
	uint64_t *w = ARENA_ARRAY(&s->arena, uint64_t, s->ix.words);
	for (size_t i = 0; w && i < s->ix.words; i++)
		w[i] = view_word(&s->ix.v[a], i);
	return w;
}

static int load(struct scan *s, struct err *e)
{
	arena_reset(&s->arena);
	int rc = index_load(s->t, &s->arena, &s->ix, e);
	if (rc != E_OK)
		return rc;
	s->base = copy_bits(s, ARRAY_BASE);
	s->nonleaf = copy_bits(s, ARRAY_NONLEAF);
	s->driver = copy_bits(s, ARRAY_DRIVER);
	s->met = ARENA_ARRAY(&s->arena, uint64_t, s->ix.csets);
	s->touched = ARENA_ARRAY(&s->arena, uint32_t, s->ix.csets);
	s->group = ARENA_ARRAY(&s->arena, struct group_view, GROUP_SLOTS);
	return s->arena.failed ? err_set(e, E_NOMEM, "scan index") : E_OK;
}

int scan_bind(struct scan *s, struct txn *t, const struct settings *set, struct err *e)
{
	s->t = t;
	s->scope = set->scan_scope;
	s->page_updates = set->page_updates > 0 ? (size_t)set->page_updates : 1;
	s->page_bytes = set->page_bytes > 0 ? (size_t)set->page_bytes : 1;
	if (s->bound && !s->uncommitted && !txn_writes_catalog(t) && s->version == txn_catalog_version(t))
		return E_OK;
	bool trusted = s->bound && !s->uncommitted && !txn_writes_catalog(t);
	struct server_state old = s->state;
	s->bound = false;
	int rc = server_state_get(t, &s->state, e);
	if (rc != E_OK)
		return rc;
	if (!trusted || old.epoch != s->state.epoch || old.generation != s->state.generation)
		selcache_drop(&s->cache);
	if ((rc = load(s, e)) != E_OK)
		return rc;
	s->version = txn_catalog_version(t);
	s->uncommitted = txn_writes_catalog(t);
	s->bound = true;
	return E_OK;
}

/* The slot of a group, or a free one. */
static struct group_view *group_slot(struct scan *s, uint32_t no)
{
	size_t i = no & (GROUP_SLOTS - 1);
	for (size_t tried = 1; s->group[i].no != 0 && s->group[i].no != no; tried++) {
		ASSERT(tried < GROUP_SLOTS);
		i = (i + 1) & (GROUP_SLOTS - 1);
	}
	return &s->group[i];
}

static int group_view(struct scan *s, uint32_t no, struct group_view **out, struct err *e)
{
	struct group_view *g = *out = group_slot(s, no);
	if (g->no == no)
		return E_OK;
	int rc = view_load(s->t, ARRAY_EXPLICIT, no, &s->arena, &g->active, e);
	if (rc == E_OK)
		rc = view_load(s->t, ARRAY_EXPLICIT, no | EXPLICIT_BLOCK, &s->arena, &g->block, e);
	if (rc == E_OK)
		g->no = no;
	else
		s->bound = false; /* an arena that has failed once gives nothing until load() */
	return rc;
}

/* ================= selection ================= */

/* The groups of one distance, merged: bitmaps of deployments other than Block, and of all. */
struct level {
	uint64_t *open, *any;
};

static int level_read(struct scan *s, const struct client_groups *g, unsigned *at, struct level *l, struct err *e)
{
	struct arena *a = txn_arena(s->t);
	uint8_t distance = g->distance[*at];
	*l = (struct level){ARENA_ARRAY(a, uint64_t, s->ix.words), ARENA_ARRAY(a, uint64_t, s->ix.words)};
	if (!l->open || !l->any)
		return err_set(e, E_NOMEM, "scan");
	for (; *at < g->n && g->distance[*at] == distance; ++*at) {
		struct group_view *v;
		int rc = group_view(s, g->no[*at], &v, e);
		if (rc != E_OK)
			return rc;
		for (size_t i = 0; i < s->ix.words; i++) {
			uint64_t x = view_word(&v->active, i);
			l->any[i] |= x;
			l->open[i] |= x & ~view_word(&v->block, i);
		}
	}
	return E_OK;
}

struct plan { /* the explicit deployments of a client, nearest first */
	struct level level[LIMIT_CLIENT_GROUPS];
	unsigned n;
	uint64_t *blocked; /* effectively: the nearest level that has any has only Block */
	bool blocks;
};

static int plan_read(struct scan *s, const struct client_groups *g, struct plan *p, struct err *e)
{
	struct arena *a = txn_arena(s->t);
	*p = (struct plan){.blocked = ARENA_ARRAY(a, uint64_t, s->ix.words)};
	uint64_t *decided = ARENA_ARRAY(a, uint64_t, s->ix.words);
	if (!p->blocked || !decided)
		return err_set(e, E_NOMEM, "scan");
	for (unsigned at = 0; at < g->n; p->n++) {
		struct level *l = &p->level[p->n];
		int rc = level_read(s, g, &at, l, e);
		if (rc != E_OK)
			return rc;
		for (size_t i = 0; i < s->ix.words; i++) {
			uint64_t x = l->any[i] & ~l->open[i] & ~decided[i];
			p->blocked[i] |= x;
			decided[i] |= l->any[i];
			p->blocks |= x != 0;
		}
	}
	return E_OK;
}

struct candidate {
	int32_t number;
	uint32_t id;
};

static int candidate_cmp(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	if (x->number != y->number)
		return x->number < y->number ? 1 : -1;
	return x->id < y->id ? 1 : -1;
}

static size_t count_bits(const uint64_t *w, size_t words)
{
	size_t n = 0;
	for (size_t i = 0; i < words; i++)
		n += (size_t)__builtin_popcountll(w[i]);
	return n;
}

/* Of bits that are not in `other`. */
static size_t count_without(const uint64_t *w, const uint64_t *other, size_t words)
{
	size_t n = 0;
	for (size_t i = 0; i < words; i++)
		n += (size_t)__builtin_popcountll(w[i] & ~other[i]);
	return n;
}

#define EACH_BIT(word, i, id)                                                                                      \
	for (uint64_t x_ = (word); x_ && ((id) = (uint32_t)((i) << 6) + (uint32_t)__builtin_ctzll(x_), true); x_ &= x_ - 1)

static int walk_level(struct scan *s, struct walk *w, const struct level *l, struct err *e)
{
	size_t n = 0;
	uint32_t id;
	struct candidate *c =
		ARENA_ARRAY(txn_arena(s->t), struct candidate, count_bits(l->open, s->ix.words));
	if (!c)
		return err_set(e, E_NOMEM, "scan");
	for (size_t i = 0; i < s->ix.words; i++)
		EACH_BIT(l->open[i], i, id) {
			struct index_row r = index_row(&s->ix, id);
			if (!w->related || bit_test(w->related, r.cset))
				c[n++] = (struct candidate){r.number, id};
		}
	qsort(c, n, sizeof(*c), candidate_cmp);
	for (size_t i = 0; i < n; i++)
		walk_visit(w, c[i].id);
	return E_OK;
}

/* ---- filter ---- */

/* Marks what lies below the marked categories; a cycle of parents ends when nothing new is marked. */
static void mark_children(const struct index *ix, uint64_t *mark)
{
	const struct view *v = &ix->v[ARRAY_CATEGORY];
	for (bool more = true; more;) {
		more = false;
		for (size_t at = 0; at < v->bytes / sizeof(uint32_t);) {
			uint32_t update = view_u32(v, at++);
			for (uint32_t n = view_u32(v, at++); n > 0; n--, at++)
				if (bit_test(mark, view_u32(v, at)) && !bit_test(mark, update)) {
					bit_set(mark, update);
					more = true;
				}
		}
	}
}

static bool cset_names(const struct index *ix, uint32_t cset, const uint64_t *mark)
{
	const struct view *v = &ix->v[ARRAY_CSET];
	size_t at = view_u32(&ix->v[ARRAY_CSET_AT], cset);
	for (uint32_t clauses = view_u32(v, at++); clauses > 0; clauses--) {
		uint32_t head = view_u32(v, at++);
		for (uint32_t n = head & ~CSET_CATEGORY; n > 0; n--, at++)
			if ((head & CSET_CATEGORY) && bit_test(mark, view_u32(v, at)))
				return true;
	}
	return false;
}

/* By clause set: does it name one of the categories, or one below them? */
static uint64_t *related_csets(struct scan *s, const struct selection_key *key)
{
	struct arena *a = txn_arena(s->t);
	uint64_t *mark = ARENA_ARRAY(a, uint64_t, bit_words(s->ix.updates));
	uint64_t *related = ARENA_ARRAY(a, uint64_t, bit_words(s->ix.csets));
	if (!mark || !related)
		return NULL;
	for (size_t i = 0; i < key->nfilter; i++)
		if (key->filter[i] < s->ix.updates)
			bit_set(mark, key->filter[i]);
	mark_children(&s->ix, mark);
	for (uint32_t c = 0; c < s->ix.csets; c++)
		if (cset_names(&s->ix, c, mark))
			bit_set(related, c);
	return related;
}

static int u32_cmp(const void *a, const void *b)
{
	uint32_t x, y;
	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

/* The highest alive revisions of the listed categories, ascending. */
static uint32_t *listed_categories(struct scan *s, const struct selection_key *key, size_t *n)
{
	uint32_t *ids = ARENA_ARRAY(txn_arena(s->t), uint32_t, key->nfilter);
	*n = 0;
	for (size_t i = 0; ids && i < key->nfilter; i++) {
		uint32_t id = index_highest(&s->ix, key->filter[i]);
		struct index_row r = index_row(&s->ix, id);
		if (id != 0 && row_type(&r) == TYPE_CATEGORY)
			ids[(*n)++] = id;
	}
	if (ids)
		qsort(ids, *n, sizeof(*ids), u32_cmp);
	return ids;
}

/* ---- the walk and its cache ---- */

static bool within(const uint64_t *part, const uint64_t *whole, size_t words)
{
	for (size_t i = 0; i < words; i++)
		if (part[i] & ~whole[i])
			return false;
	return true;
}

/* Steps 1 to 4; *bits is BASE itself, or in the transaction's arena. */
static int select_walk(struct scan *s, const struct selection_key *key, const uint64_t **bits, struct err *e)
{
	struct arena *a = txn_arena(s->t);
	struct plan plan;
	struct walk w;
	uint32_t *extra = NULL;
	size_t nextra = 0;
	int rc = plan_read(s, &key->groups, &plan, e);
	if (rc != E_OK)
		return rc;
	if (!walk_init(&w, &s->ix, a) || (key->filtered && (!(w.related = related_csets(s, key)) ||
		!(extra = listed_categories(s, key, &nextra)))))
		return err_set(e, E_NOMEM, "scan");
	if (plan.blocks)
		w.blocked = plan.blocked;
	for (unsigned i = 0; i < plan.n; i++)
		if ((rc = walk_level(s, &w, &plan.level[i], e)) != E_OK)
			return rc;
	walk_prerequisites(&w);
	bool all = key->scope == SCOPE_ALL;
	*bits = s->base;
	if (all && !key->filtered && !plan.blocks && within(w.selected, s->base, s->ix.words))
		return E_OK;
	walk_roots(&w, all, extra, nextra);
	walk_prerequisites(&w);
	*bits = w.selected;
	return E_OK;
}

/* The selection of a key, for as long as the transaction. */
static int selection_of(struct scan *s, const struct selection_key *key, const uint64_t **bits, struct err *e)
{
	int rc = selcache_get(&s->cache, key, s->base, s->ix.words, txn_arena(s->t), bits);
	if (rc == E_NOMEM)
		return err_set(e, E_NOMEM, "scan");
	if (rc == E_OK)
		return E_OK;
	s->made++;
	rc = select_walk(s, key, bits, e);
	if (rc == E_OK)
		selcache_add(&s->cache, key, *bits, s->base, s->ix.words);
	return rc;
}

static struct selection_key unfiltered(const struct scan *s, const struct client_groups *g)
{
	return (struct selection_key){.scope = s->scope, .groups = *g};
}

/* The filter as UpdateNos, ascending, once each; categories that nobody ever named fall away. */
static int filter_numbers(struct scan *s, const struct scan_request *q, struct selection_key *key, struct err *e)
{
	uint32_t *no = ARENA_ARRAY(txn_arena(s->t), uint32_t, q->nfilter);
	if (!no)
		return err_set(e, E_NOMEM, "scan");
	size_t n = 0, kept = 0;
	for (size_t i = 0; i < q->nfilter; i++)
		n += update_find(s->t, &q->filter[i], &no[n]) == E_OK;
	qsort(no, n, sizeof(*no), u32_cmp);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || no[kept - 1] != no[i])
			no[kept++] = no[i];
	key->filtered = q->nfilter > 0;
	key->filter = no;
	key->nfilter = kept;
	return E_OK;
}

/* ================= one call ================= */

struct call {
	const struct scan_request *q;
	const uint64_t *selected;
	uint64_t *cached, *needed;
	int32_t *unknown; /* cached ids that no row has, ascending */
	size_t nunknown;
};

static bool known(const struct scan *s, int32_t id)
{
	return id > 0 && (uint32_t)id < s->ix.rows;
}

static int i32_cmp(const void *a, const void *b)
{
	int32_t x, y;
	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

/* Ids come mostly in order: the bits of a word are gathered before it is touched. */
static void cache_ids(const struct scan *s, struct call *c, const int32_t *ids, size_t n)
{
	uint64_t bits = 0, *at = c->cached;
	uint32_t most = s->ix.rows ? s->ix.rows - 1 : 0;
	for (size_t i = 0; i < n; i++) {
		uint32_t id = (uint32_t)ids[i];
		if (id - 1 >= most) { /* not known() */
			c->nunknown++;
			continue;
		}
		if (at != c->cached + (id >> 6)) {
			*at |= bits;
			bits = 0;
			at = c->cached + (id >> 6);
		}
		bits |= UINT64_C(1) << (id & 63);
	}
	if (bits)
		*at |= bits;
}

static size_t keep_unknown(const struct scan *s, int32_t *to, const int32_t *ids, size_t n)
{
	size_t kept = 0;
	for (size_t i = 0; i < n; i++)
		if (!known(s, ids[i]))
			to[kept++] = ids[i];
	return kept;
}

/* Ascending, each once; usually there is none. */
static int list_unknown(const struct scan *s, struct call *c, struct err *e)
{
	const struct scan_request *q = c->q;
	int32_t *v = c->unknown = ARENA_ARRAY(txn_arena(s->t), int32_t, c->nunknown);
	size_t n = 0, kept = 0;
	if (!v)
		return err_set(e, E_NOMEM, "scan");
	if (c->nunknown > 0 && q->pass == PASS_SOFTWARE)
		n = keep_unknown(s, v, q->installed, q->ninstalled);
	if (c->nunknown > 0)
		n += keep_unknown(s, v + n, q->other, q->nother);
	qsort(v, n, sizeof(*v), i32_cmp);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || v[kept - 1] != v[i])
			v[kept++] = v[i];
	c->nunknown = kept;
	return E_OK;
}

/* CachedRevisions: of the software pass both lists, of a driver pass CachedDriverIDs alone. */
static int read_cached(const struct scan *s, struct call *c, struct err *e)
{
	const struct scan_request *q = c->q;
	struct arena *a = txn_arena(s->t);
	c->cached = ARENA_ARRAY(a, uint64_t, s->ix.words);
	c->needed = ARENA_ARRAY(a, uint64_t, s->ix.words);
	if (!c->cached || !c->needed)
		return err_set(e, E_NOMEM, "scan");
	if (q->pass == PASS_SOFTWARE)
		cache_ids(s, c, q->installed, q->ninstalled);
	cache_ids(s, c, q->other, q->nother);
	return list_unknown(s, c, e);
}

static void add_members(const struct scan *s, uint32_t cset, uint64_t *needed)
{
	uint32_t at, end;
	index_list(&s->ix, ARRAY_MEMBERS_AT, cset, &at, &end);
	while (at < end) {
		uint32_t n;
		const char *p = view_run(&s->ix.v[ARRAY_MEMBERS], at, end, &n);
		for (uint32_t i = 0; i < n; i++) {
			uint32_t id;
			memcpy(&id, p + i * sizeof(id), sizeof(id));
			bit_set(needed, id);
		}
		at += n;
	}
}

/* Notes that an update is installed in every clause that names it. */
static size_t meet_clauses(struct scan *s, uint32_t update, size_t touched)
{
	uint32_t at, end;
	for (index_list(&s->ix, ARRAY_INV_AT, update, &at, &end); at < end; at++) {
		uint32_t x = view_u32(&s->ix.v[ARRAY_INV], at), cset = x >> CLAUSE_BITS;
		if (s->met[cset] == 0)
			s->touched[touched++] = cset;
		s->met[cset] |= UINT64_C(1) << (x & ((1u << CLAUSE_BITS) - 1));
	}
	return touched;
}

static uint64_t all_clauses(const struct scan *s, uint32_t cset)
{
	uint32_t n = view_u32(&s->ix.v[ARRAY_CSET], view_u32(&s->ix.v[ARRAY_CSET_AT], cset));
	return n >= 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
}

/* Sat: members of the clause sets that the installed updates complete, and of the empty set. */
static int satisfied(struct scan *s, struct call *c, struct err *e)
{
	uint64_t *seen = ARENA_ARRAY(txn_arena(s->t), uint64_t, bit_words(s->ix.updates));
	size_t touched = 0;
	if (!seen)
		return err_set(e, E_NOMEM, "scan");
	if (s->ix.csets == 0)
		return E_OK;
	for (size_t i = 0; i < c->q->ninstalled; i++) {
		if (!known(s, c->q->installed[i]))
			continue;
		uint32_t update = index_row(&s->ix, (uint32_t)c->q->installed[i]).update_no;
		if (update == 0 || bit_test(seen, update))
			continue;
		bit_set(seen, update);
		touched = meet_clauses(s, update, touched);
	}
	add_members(s, 0, c->needed);
	while (touched > 0) {
		uint32_t cset = s->touched[--touched];
		if (s->met[cset] == all_clauses(s, cset))
			add_members(s, cset, c->needed);
		s->met[cset] = 0;
	}
	return E_OK;
}

static int read_needed(struct scan *s, struct call *c, struct err *e)
{
	if (c->q->pass != PASS_SOFTWARE)
		return E_OK;
	int rc = satisfied(s, c, e);
	for (size_t i = 0; i < s->ix.words; i++)
		c->needed[i] &= c->selected[i] & ~s->driver[i];
	return rc;
}

/* ---- NewUpdates ---- */

static struct scan_update update_of(const struct scan *s, uint32_t id)
{
	struct index_row r = index_row(&s->ix, id);
	return (struct scan_update){(int32_t)id, !bit_test(s->nonleaf, id), r.plain, r.packed};
}

struct page {
	size_t most, bytes, used; /* limits, and bytes so far */
	bool full;
};

/* Appends the new revisions that are leaves (or not), until the page is full. */
static void page_add(const struct scan *s, const struct call *c, bool leaves, struct page *p,
	struct scan_result *out)
{
	uint32_t id;
	for (size_t i = 0; i < s->ix.words && !p->full; i++)
		EACH_BIT(c->needed[i] & ~c->cached[i] & (leaves ? ~s->nonleaf[i] : s->nonleaf[i]), i, id) {
			struct scan_update u = update_of(s, id);
			p->full = out->nfresh > 0 && (out->nfresh == p->most || u.plain > p->bytes - p->used);
			if (p->full)
				return;
			out->fresh[out->nfresh++] = u;
			p->used += MIN(u.plain, p->bytes - p->used);
		}
}

static size_t new_count(const struct scan *s, const struct call *c, uint64_t *bytes)
{
	size_t n = 0;
	uint32_t id;
	for (size_t i = 0; i < s->ix.words; i++)
		EACH_BIT(c->needed[i] & ~c->cached[i], i, id) {
			*bytes += index_row(&s->ix, id).plain;
			n++;
		}
	return n;
}

static int page_new(const struct scan *s, const struct call *c, struct scan_result *out, struct err *e)
{
	uint64_t bytes = 0;
	size_t n = new_count(s, c, &bytes);
	struct page p = {.most = MAX(s->page_updates, n / 50), .bytes = MAX(s->page_bytes, bytes / 30)};
	out->fresh = ARENA_ARRAY(txn_arena(s->t), struct scan_update, MIN(n, p.most));
	if (!out->fresh)
		return err_set(e, E_NOMEM, "scan");
	if (!c->q->deployed_only_ids) {
		page_add(s, c, false, &p, out);
		page_add(s, c, true, &p, out);
	}
	out->remaining = n - out->nfresh;
	out->truncated = out->remaining > 0;
	return E_OK;
}

/* ---- what to forget ---- */

static int list_gone(struct scan *s, const struct call *c, struct scan_result *out, struct err *e)
{
	struct arena *a = txn_arena(s->t);
	const uint64_t *deployed = NULL;
	size_t n = count_without(c->cached, c->needed, s->ix.words), u = 0;
	uint32_t id;
	if (c->q->two_groups && c->q->nfilter == 0)
		deployed = c->selected;
	else if (c->q->two_groups) {
		struct selection_key key = unfiltered(s, c->q->groups);
		int rc = selection_of(s, &key, &deployed, e);
		if (rc != E_OK)
			return rc;
	}
	out->gone = ARENA_ARRAY(a, int32_t, n + c->nunknown);
	out->parked = ARENA_ARRAY(a, int32_t, deployed ? n : 0);
	if (!out->gone || !out->parked)
		return err_set(e, E_NOMEM, "scan");
	while (u < c->nunknown && c->unknown[u] <= 0)
		out->gone[out->ngone++] = c->unknown[u++];
	for (size_t i = 0; i < s->ix.words; i++)
		EACH_BIT(c->cached[i] & ~c->needed[i], i, id) {
			if (deployed && bit_test(deployed, id))
				out->parked[out->nparked++] = (int32_t)id;
			else
				out->gone[out->ngone++] = (int32_t)id;
		}
	while (u < c->nunknown)
		out->gone[out->ngone++] = c->unknown[u++];
	return E_OK;
}

/* ---- ChangedUpdates ---- */

struct log_scan {
	const struct scan *s;
	const struct client_groups *groups;
	uint64_t *hit;
	unsigned foreign; /* rows of other groups in a row */
	char next[8];     /* behind them: where the log goes on for this client */
};

static bool in_groups(const struct client_groups *g, uint32_t no)
{
	for (unsigned i = 0; i < g->n; i++)
		if (g->no[i] == no)
			return true;
	return no == 0;
}

/* The client's next group of this epoch, or the begin of the next epoch. */
static void next_of_ours(struct log_scan *l, uint32_t epoch, uint32_t group)
{
	uint32_t next = UINT32_MAX;
	for (unsigned i = 0; i < l->groups->n; i++)
		if (l->groups->no[i] > group)
			next = MIN(next, l->groups->no[i]);
	put_be32(l->next, next == UINT32_MAX ? epoch + 1 : epoch);
	put_be32(l->next + 4, next == UINT32_MAX ? 0 : next);
}

/* E_EXISTS: enough rows of others to look for ours further on. */
static int log_row(struct slice key, struct slice value, void *arg)
{
	struct log_scan *l = arg;
	(void)value;
	if (key.n != 12)
		return E_CORRUPT;
	uint32_t group = get_be32(key.p + 4), id = get_be32(key.p + 8);
	if (in_groups(l->groups, group)) {
		if (id < l->s->ix.rows)
			bit_set(l->hit, id);
		l->foreign = 0;
	} else if (++l->foreign == LOG_FOREIGN_ROWS) {
		next_of_ours(l, get_be32(key.p), group);
		return E_EXISTS;
	}
	return E_OK;
}

/* Revisions with a log row later than the point, for the client's groups or all computers. */
static int logged(const struct scan *s, const struct scan_request *q, uint64_t *hit, struct err *e)
{
	struct log_scan l = {.s = s, .groups = q->groups, .hit = hit};
	if (q->point >= s->state.epoch)
		return E_OK;
	put_be32(l.next, q->point + 1);
	put_be32(l.next + 4, 0);
	int rc;
	do {
		l.foreign = 0;
		rc = db_each_from(s->t, DB_LOG, (struct slice){l.next, sizeof(l.next)}, log_row, &l, e);
	} while (rc == E_EXISTS);
	return rc;
}

static int list_changed(const struct scan *s, const struct call *c, struct scan_result *out, struct err *e)
{
	const struct scan_request *q = c->q;
	uint64_t *hit = ARENA_ARRAY(txn_arena(s->t), uint64_t, s->ix.words);
	uint32_t id;
	if (!hit)
		return err_set(e, E_NOMEM, "scan");
	int rc = E_OK;
	if (q->point == 0 || q->point < s->state.log_floor || q->point < q->groups->moved_epoch)
		memset(hit, 0xff, s->ix.words * sizeof(*hit));
	else
		rc = logged(s, q, hit, e);
	for (size_t i = 0; i < s->ix.words; i++)
		hit[i] &= c->needed[i] & c->cached[i];
	out->changed = ARENA_ARRAY(txn_arena(s->t), struct scan_update, count_bits(hit, s->ix.words));
	if (rc == E_OK && !out->changed)
		rc = err_set(e, E_NOMEM, "scan");
	for (size_t i = 0; rc == E_OK && i < s->ix.words; i++)
		EACH_BIT(hit[i], i, id)
			out->changed[out->nchanged++] = update_of(s, id);
	return rc;
}

int scan_run(struct scan *s, const struct scan_request *q, struct scan_result *out, struct err *e)
{
	ASSERT(s->bound);
	struct call c = {.q = q};
	struct selection_key key = unfiltered(s, q->groups);
	*out = (struct scan_result){.epoch = s->state.epoch};
	int rc = filter_numbers(s, q, &key, e);
	if (rc == E_OK)
		rc = selection_of(s, &key, &c.selected, e);
	for (size_t i = 0; rc == E_OK && i < s->ix.words; i++)
		out->drivers |= (c.selected[i] & s->driver[i]) != 0;
	if (rc == E_OK)
		rc = read_cached(s, &c, e);
	if (rc == E_OK)
		rc = read_needed(s, &c, e);
	if (rc == E_OK)
		rc = page_new(s, &c, out, e);
	if (rc == E_OK)
		rc = list_changed(s, &c, out, e);
	return rc == E_OK ? list_gone(s, &c, out, e) : rc;
}

/* ================= single answers ================= */

int scan_deployed(struct scan *s, const struct client_groups *g, const int32_t *ids, size_t n, bool *out,
	struct err *e)
{
	ASSERT(s->bound);
	struct selection_key key = unfiltered(s, g);
	const uint64_t *bits;
	int rc = selection_of(s, &key, &bits, e);
	for (size_t i = 0; rc == E_OK && i < n; i++)
		out[i] = known(s, ids[i]) && bit_test(bits, (uint32_t)ids[i]);
	return rc;
}

/* The selected one of an update's revisions. */
static int32_t chosen_of(const struct scan *s, uint32_t update, const uint64_t *selected)
{
	uint32_t at, end;
	for (index_list(&s->ix, ARRAY_BYUPDATE_AT, update, &at, &end); at < end; at++) {
		uint32_t id = view_u32(&s->ix.v[ARRAY_BYUPDATE], at);
		if (bit_test(selected, id))
			return (int32_t)id;
	}
	return 0;
}

int scan_judge(struct scan *s, const struct client_groups *g, const int32_t *installed, size_t n, int32_t revision,
	struct scan_verdict *out, struct err *e)
{
	ASSERT(s->bound);
	const struct scan_request q = {.groups = g, .pass = PASS_SOFTWARE, .installed = installed, .ninstalled = n};
	struct selection_key key = unfiltered(s, g);
	struct call c = {.q = &q};
	*out = (struct scan_verdict){0};
	if (!known(s, revision))
		return E_OK;
	uint32_t id = (uint32_t)revision;
	struct index_row r = index_row(&s->ix, id);
	int rc = selection_of(s, &key, &c.selected, e);
	if (rc == E_OK)
		rc = read_cached(s, &c, e);
	if (rc == E_OK)
		rc = satisfied(s, &c, e);
	if (rc != E_OK)
		return rc;
	out->alive = view_bit(&s->ix.v[ARRAY_ALIVE], id);
	out->selected = bit_test(c.selected, id);
	out->satisfied = bit_test(c.needed, id);
	out->driver = bit_test(s->driver, id);
	out->root = (r.flags & ROW_ROOT) != 0;
	out->offered = out->selected && out->satisfied && !out->driver;
	out->chosen = r.update_no ? chosen_of(s, r.update_no, c.selected) : 0;
	return E_OK;
}

bool scan_is_leaf(struct scan *s, int32_t revision)
{
	ASSERT(s->bound);
	return !known(s, revision) || !bit_test(s->nonleaf, (uint32_t)revision);
}

/* Between groups of equal distance (A15): higher wins. */
static const int action_rank[ACT__N] = {
	[ACT_INSTALL] = 5,
	[ACT_OPTIONAL_INSTALL] = 4,
	[ACT_UNINSTALL] = 3,
	[ACT_PREDEPLOYMENT_CHECK] = 2,
	[ACT_BLOCK] = 1,
};

static bool wins(const struct deployment *a, const struct deployment *b)
{
	if (action_rank[a->action] != action_rank[b->action])
		return action_rank[a->action] > action_rank[b->action];
	tick_t x = a->deadline ? a->deadline : INT64_MAX, y = b->deadline ? b->deadline : INT64_MAX;
	return x < y; /* the same: the group named first, of the lower number */
}

/* The deployment that holds for the client; E_NOTFOUND if there is no explicit one. */
static int explicit_of(struct scan *s, const struct client_groups *g, uint32_t id, struct deployment *best,
	struct err *e)
{
	bool found = false;
	for (unsigned i = 0; i < g->n; i++) {
		struct group_view *v;
		struct deployment d;
		if (found && g->distance[i] != g->distance[i - 1])
			break;
		int rc = group_view(s, g->no[i], &v, e);
		if (rc != E_OK)
			return rc;
		if (!view_bit(&v->active, id))
			continue;
		rc = deployment_get(s->t, g->no[i], (int32_t)id, &d);
		if (rc != E_OK && rc != E_NOTFOUND)
			return err_set(e, rc, "deployment of %u for group %u", id, g->no[i]);
		/* removed already, to be shown by the next publish */
		if (rc == E_NOTFOUND || d.dead)
			continue;
		if (!found || wins(&d, best))
			*best = d;
		found = true;
	}
	return found ? E_OK : E_NOTFOUND;
}

static const char *implied_word(const struct scan *s, const struct index_row *r)
{
	if (r->flags & ROW_MEMBER)
		return "Bundle";
	if (row_type(r) == TYPE_CATEGORY || row_type(r) == TYPE_DETECTOID || s->scope == SCOPE_APPROVED)
		return "Evaluate";
	return action_names[ACT_PREDEPLOYMENT_CHECK];
}

int scan_effective(struct scan *s, const struct client_groups *g, int32_t revision, struct effective *out,
	struct err *e)
{
	ASSERT(s->bound);
	struct index_row r = index_row(&s->ix, known(s, revision) ? (uint32_t)revision : 0);
	*out = (struct effective){.implied = true};
	if (r.update_no == 0)
		return err_set(e, E_NOTFOUND, "no revision %d", (int)revision);
	int rc = explicit_of(s, g, (uint32_t)revision, &out->d, e);
	if (rc == E_OK) {
		bool check = out->d.waiting != 0 || out->d.action == ACT_BLOCK;
		out->implied = false;
		out->id = out->d.id;
		out->action = action_names[check ? ACT_PREDEPLOYMENT_CHECK : out->d.action];
		out->changed = out->d.changed;
		return E_OK;
	}
	if (rc != E_NOTFOUND)
		return rc;
	out->id = r.implied;
	out->action = implied_word(s, &r);
	out->changed = r.day * TICKS_PER_DAY;
	return E_OK;
}

enum category_type scan_category(struct scan *s, const struct guid *id)
{
	ASSERT(s->bound);
	uint32_t no;
	if (update_find(s->t, id, &no) != E_OK)
		return CAT_NONE;
	uint32_t highest = index_highest(&s->ix, no);
	struct index_row r = index_row(&s->ix, highest);
	if (highest == 0 || row_type(&r) != TYPE_CATEGORY)
		return CAT_NONE;
	return row_category(&r) == CAT_NONE ? CAT_OTHER : row_category(&r);
}
