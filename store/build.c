/* build.c -- computing the scan index.
 *
 * What a revision says never changes, so that rows, clause sets and bundles of the old index are carried over
 * and only staged revisions are read (and, when something was declined or removed, the flags of all).  What
 * follows from all of them together (alive, leaf, lists by update and clause set, BASE) is made anew: a few
 * passes over the rows, tens of milliseconds at 100,000. */
#include <stdlib.h>

#include "store/index.h"

struct list {
	uint32_t *v;
	size_t n, cap;
};

struct builder {
	struct txn *t;
	struct arena *a;
	struct err *e;
	tick_t now;
	struct index_row *row;
	uint32_t rows, updates;
	struct list cset, cset_at, bundle, category;
	uint32_t *slot; /* hash of the clause sets: number + 1 */
	size_t nslots;
	uint64_t *alive, *nonleaf, *driver;
	uint32_t *highest_at, *highest; /* BYUPDATE */
	struct index ix;
};

/* Revisions read before the transaction's arena is emptied of what reading left in it. */
#define READ_BATCH 256

static bool list_add(struct arena *a, struct list *l, uint32_t x)
{
	uint32_t *v = ARENA_MORE(a, l->v, l->n, &l->cap);
	if (!v)
		return false;
	l->v = v;
	l->v[l->n++] = x;
	return true;
}

static bool add(struct builder *b, struct list *l, uint32_t x)
{
	return list_add(b->a, l, x);
}

static bool carry(struct builder *b, struct list *l, const struct view *v)
{
	bool ok = true;
	for (size_t i = 0; ok && i < v->bytes / sizeof(uint32_t); i++)
		ok = add(b, l, view_u32(v, i));
	return ok;
}

static int no_memory(struct builder *b)
{
	return err_set(b->e, E_NOMEM, "scan index");
}

static bool visible(const struct index_row *r)
{
	return r->update_no != 0 && !(r->flags & ROW_REMOVED);
}

static void flag(struct index_row *r, unsigned f, bool on)
{
	r->flags = (uint16_t)(on ? r->flags | f : r->flags & ~f);
}

/* ================= clause sets ================= */

static uint32_t words_hash(const uint32_t *v, size_t n)
{
	uint64_t h = 0x9e3779b97f4a7c15u ^ n;
	for (size_t i = 0; i < n; i++) {
		h = (h ^ v[i]) * 0xff51afd7ed558ccdu;
		h ^= h >> 32;
	}
	return (uint32_t)h;
}

static uint32_t csets(const struct builder *b)
{
	return (uint32_t)b->cset_at.n - 1;
}

static size_t cset_slot(const struct builder *b, const uint32_t *v, size_t n)
{
	size_t i = words_hash(v, n) & (b->nslots - 1);
	for (; b->slot[i] != 0; i = (i + 1) & (b->nslots - 1)) {
		const uint32_t *at = &b->cset_at.v[b->slot[i] - 1];
		if (at[1] - at[0] == n && memcmp(b->cset.v + at[0], v, n * sizeof(*v)) == 0)
			break;
	}
	return i;
}

static void slots_fill(struct builder *b)
{
	for (uint32_t c = 0; c < csets(b); c++) {
		const uint32_t *at = &b->cset_at.v[c];
		b->slot[cset_slot(b, b->cset.v + at[0], at[1] - at[0])] = c + 1;
	}
}

static bool slots_make(struct builder *b, size_t most)
{
	for (b->nslots = 1024; b->nslots < most * 2; b->nslots *= 2)
		;
	b->slot = ARENA_ARRAY(b->a, uint32_t, b->nslots);
	if (b->slot)
		slots_fill(b);
	return b->slot != NULL;
}

/* The number of the clause set that stands from `from` to the end of CSET, which is cut off again if the
 * set was there already. */
static bool cset_close(struct builder *b, size_t from, uint32_t *number)
{
	size_t n = b->cset.n - from, slot = cset_slot(b, b->cset.v + from, n);
	if (b->slot[slot] != 0) {
		*number = b->slot[slot] - 1;
		b->cset.n = from;
		return true;
	}
	*number = csets(b);
	b->slot[slot] = *number + 1;
	return add(b, &b->cset_at, (uint32_t)b->cset.n);
}

/* Appends the prerequisites as a clause set: a clause ends where the next relation is of another one. */
static int cset_of(struct builder *b, const struct relations *r, uint32_t *number)
{
	size_t from = b->cset.n, head = 0;
	bool ok = add(b, &b->cset, 0);
	for (size_t i = 0; ok && i < r->nprereq; i++) {
		const struct relation *p = &r->prereq[i];
		if (i == 0 || p->clause != p[-1].clause) {
			head = b->cset.n;
			b->cset.v[from]++;
			ok = add(b, &b->cset, 0);
		}
		ok = ok && add(b, &b->cset, p->update_no);
		if (ok) {
			b->cset.v[head]++;
			b->cset.v[head] |= p->is_category ? CSET_CATEGORY : 0;
		}
		b->updates = MAX(b->updates, p->update_no + 1);
	}
	if (!ok)
		return no_memory(b);
	if (b->cset.v[from] > LIMIT_DOC_CLAUSES)
		return err_set(b->e, E_CORRUPT, "more than %d clauses", LIMIT_DOC_CLAUSES);
	return cset_close(b, from, number) ? E_OK : no_memory(b);
}

/* ================= bundles ================= */

/* The RevisionID of a member's identity, 0 if it is not here. */
static uint32_t member_id(struct builder *b, const struct relation *m)
{
	int32_t id;
	return member_find(b->t, m, &id) == E_OK ? (uint32_t)id : 0;
}

static int bundle_of(struct builder *b, const struct relations *r, uint32_t *at)
{
	*at = 0;
	if (r->nbundle == 0)
		return E_OK;
	*at = (uint32_t)b->bundle.n;
	bool ok = add(b, &b->bundle, (uint32_t)r->nbundle);
	for (size_t i = 0; ok && i < r->nbundle; i++)
		ok = add(b, &b->bundle, member_id(b, &r->bundle[i]));
	return ok ? E_OK : no_memory(b);
}

/* Members that came since. */
static int bundle_again(struct builder *b, uint32_t id)
{
	uint32_t *v = b->bundle.v + b->row[id].bundle;
	struct relations r;
	bool missing = false;
	for (uint32_t i = 1; i <= v[0]; i++)
		missing |= v[i] == 0;
	if (!missing)
		return E_OK;
	int rc = relations_get(b->t, (int32_t)id, &r, b->e);
	for (uint32_t i = 0; rc == E_OK && i < v[0] && i < r.nbundle; i++)
		v[i + 1] = member_id(b, &r.bundle[i]);
	return rc;
}

static const uint32_t *members(const struct builder *b, uint32_t id, uint32_t *n)
{
	uint32_t at = b->row[id].bundle;
	*n = at ? b->bundle.v[at] : 0;
	return b->bundle.v + at + 1;
}

static bool member_missing(const struct builder *b, uint32_t id)
{
	uint32_t n;
	const uint32_t *m = members(b, id, &n);
	for (uint32_t i = 0; i < n; i++)
		if (m[i] == 0 || m[i] >= b->rows || !visible(&b->row[m[i]]) || (b->row[m[i]].flags & ROW_HELD))
			return true;
	return false;
}

/* The least set: bundles that hold only each other are not held.  Passes go up and down in turn, so that a
 * chain of nested bundles takes two, whichever end came first. */
static void hold_bundles(struct builder *b)
{
	for (uint32_t id = 1; id < b->rows; id++)
		flag(&b->row[id], ROW_HELD | ROW_MEMBER | ROW_ROOT | ROW_LISTED, false);
	for (bool more = true, up = true; more; up = !up) {
		more = false;
		for (uint32_t i = 1; i < b->rows; i++) {
			uint32_t id = up ? i : b->rows - i;
			struct index_row *r = &b->row[id];
			if (r->bundle && !(r->flags & ROW_HELD) && member_missing(b, id)) {
				flag(r, ROW_HELD, true);
				more = true;
			}
		}
	}
}

/* ================= reading rows ================= */

static int read_core(struct builder *b, uint32_t id, struct index_row *r)
{
	struct frag f;
	int rc = fragment_get(b->t, (int32_t)id, FRAG_CORE, SL(""), SL(""), &f, b->e);
	if (rc == E_NOTFOUND)
		return E_OK; /* an empty one */
	for (size_t i = 0; rc == E_OK && i < f.n; i++) {
		r->plain += f.v[i].plain;
		r->packed += (uint32_t)f.v[i].bytes.n;
	}
	return rc;
}

static unsigned flags_of(const struct revision *v, bool declined)
{
	return (v->flags & REV_EXPLICIT ? ROW_EXPLICIT : 0) | (v->flags & REV_EXPIRED ? ROW_EXPIRED : 0) |
		(declined ? ROW_DECLINED : 0) | (unsigned)v->type << ROW_TYPE_AT |
		(unsigned)v->category_type << ROW_CATEGORY_AT;
}

static uint16_t day_of(tick_t t)
{
	return t <= 0 ? 0 : (uint16_t)MIN(t / TICKS_PER_DAY, UINT16_MAX);
}

static int read_row(struct builder *b, uint32_t id)
{
	struct revision v;
	struct relations rel;
	struct update u;
	struct index_row r = {0};
	int rc = revision_get(b->t, (int32_t)id, &v, b->e);
	if (rc == E_OK)
		rc = relations_get(b->t, (int32_t)id, &rel, b->e);
	if (rc == E_OK)
		rc = update_get(b->t, v.update_no, &u, b->e);
	if (rc == E_OK)
		rc = cset_of(b, &rel, &r.cset);
	if (rc == E_OK)
		rc = bundle_of(b, &rel, &r.bundle);
	if (rc == E_OK)
		rc = read_core(b, id, &r);
	if (rc != E_OK) {
		err_at(b->e, rc, "revision %u: ", id);
		return rc;
	}
	r.update_no = v.update_no;
	r.number = v.number;
	r.implied = v.deployment_id;
	r.flags = (uint16_t)flags_of(&v, u.declined);
	r.day = day_of(v.flags & REV_PUBLISHED ? v.published : b->now);
	b->row[id] = r;
	b->updates = MAX(b->updates, v.update_no + 1);
	return E_OK;
}

/* Declined and removed, anew for every row. */
static int reread_flags(struct builder *b, uint32_t id)
{
	struct index_row *r = &b->row[id];
	struct revision v;
	struct update u;
	if (r->update_no == 0)
		return E_OK;
	int rc = update_get(b->t, r->update_no, &u, b->e), got = revision_get(b->t, (int32_t)id, &v, b->e);
	if (rc == E_OK && got != E_NOTFOUND)
		rc = got;
	if (rc != E_OK) {
		err_at(b->e, rc, "revision %u: ", id);
		return rc;
	}
	flag(r, ROW_DECLINED, u.declined);
	flag(r, ROW_REMOVED, got == E_NOTFOUND || (v.flags & REV_REMOVED));
	return E_OK;
}

static int read_rows(struct builder *b, const uint32_t *staged, size_t n, bool dirty)
{
	int rc = E_OK;
	for (uint32_t id = 1; dirty && rc == E_OK && id < b->rows; id++) {
		rc = reread_flags(b, id);
		if (id % READ_BATCH == 0)
			arena_reset(txn_arena(b->t));
	}
	for (size_t i = 0; rc == E_OK && i < n; i++) {
		rc = read_row(b, staged[i]);
		if (i % READ_BATCH == 0)
			arena_reset(txn_arena(b->t));
	}
	for (uint32_t id = 1; rc == E_OK && id < b->rows; id++)
		if (b->row[id].bundle)
			rc = bundle_again(b, id);
	return rc;
}

/* ================= what follows from the rows ================= */

static bool bitmaps(struct builder *b)
{
	size_t words = bit_words(b->rows);
	b->alive = ARENA_ARRAY(b->a, uint64_t, words);
	b->nonleaf = ARENA_ARRAY(b->a, uint64_t, words);
	b->driver = ARENA_ARRAY(b->a, uint64_t, words);
	return !b->a->failed;
}

static void mark_alive(struct builder *b)
{
	for (uint32_t id = 1; id < b->rows; id++) {
		const struct index_row *r = &b->row[id];
		if (!visible(r) || (r->flags & (ROW_DECLINED | ROW_HELD)))
			continue;
		bit_set(b->alive, id);
		if (row_type(r) == TYPE_DRIVER)
			bit_set(b->driver, id);
	}
	for (uint32_t id = 1; id < b->rows; id++) {
		uint32_t n;
		const uint32_t *m = members(b, id, &n);
		for (uint32_t i = 0; bit_test(b->alive, id) && i < n; i++)
			flag(&b->row[m[i]], ROW_MEMBER, true);
	}
}

typedef bool clause_fn(struct builder *b, uint32_t cset, uint32_t clause, bool category, uint32_t update, void *arg);

/* Calls fn for each update that a clause set names, until it returns false. */
static bool each_named(struct builder *b, uint32_t cset, clause_fn *fn, void *arg)
{
	const uint32_t *v = b->cset.v + b->cset_at.v[cset];
	uint32_t clauses = *v++;
	bool ok = true;
	for (uint32_t c = 0; ok && c < clauses; c++) {
		uint32_t head = *v++;
		for (uint32_t n = head & ~CSET_CATEGORY; ok && n > 0; n--)
			ok = fn(b, cset, c, (head & CSET_CATEGORY) != 0, *v++, arg);
	}
	return ok;
}

static bool mark_named(struct builder *b, uint32_t cset, uint32_t clause, bool category, uint32_t update, void *arg)
{
	(void)b, (void)cset, (void)clause, (void)category;
	bit_set(arg, update);
	return true;
}

/* A leaf is what no revision on the server, whatever became of its update, names as prerequisite. */
static bool mark_nonleaf(struct builder *b)
{
	uint64_t *used = ARENA_ARRAY(b->a, uint64_t, bit_words(csets(b)));
	uint64_t *named = ARENA_ARRAY(b->a, uint64_t, bit_words(b->updates));
	if (!used || !named)
		return false;
	for (uint32_t id = 1; id < b->rows; id++)
		if (visible(&b->row[id]))
			bit_set(used, b->row[id].cset);
	for (uint32_t c = 0; c < csets(b); c++)
		if (bit_test(used, c))
			each_named(b, c, mark_named, named);
	for (uint32_t id = 1; id < b->rows; id++)
		if (bit_test(named, b->row[id].update_no))
			bit_set(b->nonleaf, id);
	return true;
}

/* ---- what downstream servers are told of (WSUSSS-REVLIST-11 to -13, -24): declined or not, expired or not ---- */

static bool of_config(const struct index_row *r)
{
	return row_type(r) == TYPE_CATEGORY || row_type(r) == TYPE_DETECTOID;
}

/* Every revision of a category or detectoid, the highest one of an update, and members of bundles. */
static bool mark_listed(struct builder *b)
{
	uint32_t *best = ARENA_ARRAY(b->a, uint32_t, b->updates);
	if (!best)
		return false;
	for (uint32_t id = 1; id < b->rows; id++) {
		struct index_row *r = &b->row[id];
		if (!row_may_be_listed(r))
			continue;
		uint32_t n, *top = &best[r->update_no];
		const uint32_t *m = members(b, id, &n);
		for (uint32_t i = 0; i < n; i++)
			flag(&b->row[m[i]], ROW_LISTED, true);
		if (of_config(r))
			flag(r, ROW_LISTED, true);
		else if (*top == 0 || r->number > b->row[*top].number)
			*top = id;
	}
	for (uint32_t u = 1; u < b->updates; u++)
		if (best[u] != 0)
			flag(&b->row[best[u]], ROW_LISTED, true);
	return true;
}

/* ---- lists: counted, then filled from behind ---- */

static uint32_t *sums(struct builder *b, uint32_t *at, size_t n)
{
	for (size_t i = 1; i <= n; i++)
		at[i] += at[i - 1];
	return ARENA_ARRAY(b->a, uint32_t, at[n]);
}

static bool owned(struct builder *b, enum array array, const void *p, size_t bytes)
{
	return view_of(&b->ix.v[array], p, bytes, b->a);
}

static bool put_list(struct builder *b, enum array at_array, const uint32_t *at, size_t n, enum array array,
	const uint32_t *v)
{
	return owned(b, at_array, at, (n + 1) * sizeof(*at)) && owned(b, array, v, at[n] * sizeof(*v));
}

/* Is x to stand before y among the revisions of an update? */
static bool higher(const struct builder *b, uint32_t x, uint32_t y)
{
	int32_t nx = b->row[x].number, ny = b->row[y].number;
	return nx != ny ? nx > ny : x > y;
}

static bool list_byupdate(struct builder *b)
{
	uint32_t *at = ARENA_ARRAY(b->a, uint32_t, (size_t)b->updates + 1);
	uint32_t *fill = ARENA_ARRAY(b->a, uint32_t, b->updates);
	for (uint32_t id = 1; at && id < b->rows; id++)
		at[b->row[id].update_no + 1] += bit_test(b->alive, id);
	uint32_t *v = at && fill ? sums(b, at, b->updates) : NULL;
	if (!v)
		return false;
	/* descending ids: almost in order already */
	for (uint32_t id = b->rows; id-- > 1;) {
		uint32_t u = b->row[id].update_no, i;
		if (!bit_test(b->alive, id))
			continue;
		for (i = at[u] + fill[u]++; i > at[u] && higher(b, id, v[i - 1]); i--)
			v[i] = v[i - 1];
		v[i] = id;
	}
	b->highest_at = at;
	b->highest = v;
	return put_list(b, ARRAY_BYUPDATE_AT, at, b->updates, ARRAY_BYUPDATE, v);
}

static void mark_roots(struct builder *b)
{
	for (uint32_t u = 1; u < b->updates; u++)
		for (uint32_t i = b->highest_at[u]; i < b->highest_at[u + 1]; i++) {
			struct index_row *r = &b->row[b->highest[i]];
			if ((r->flags & (ROW_EXPLICIT | ROW_EXPIRED)) != ROW_EXPLICIT)
				continue;
			flag(r, ROW_ROOT, true);
			break;
		}
}

static bool list_members(struct builder *b)
{
	uint32_t n = csets(b);
	uint32_t *at = ARENA_ARRAY(b->a, uint32_t, (size_t)n + 1);
	uint32_t *fill = ARENA_ARRAY(b->a, uint32_t, n);
	for (uint32_t id = 1; at && id < b->rows; id++)
		at[b->row[id].cset + 1] += bit_test(b->alive, id);
	uint32_t *v = at && fill ? sums(b, at, n) : NULL;
	for (uint32_t id = 1; v && id < b->rows; id++)
		if (bit_test(b->alive, id)) {
			uint32_t c = b->row[id].cset;
			v[at[c] + fill[c]++] = id;
		}
	return v && put_list(b, ARRAY_MEMBERS_AT, at, n, ARRAY_MEMBERS, v);
}

struct inv {
	uint32_t *at, *fill, *v;
};

static bool inv_count(struct builder *b, uint32_t cset, uint32_t clause, bool category, uint32_t update, void *arg)
{
	struct inv *i = arg;
	(void)b, (void)cset, (void)clause, (void)category;
	i->at[update + 1]++;
	return true;
}

static bool inv_fill(struct builder *b, uint32_t cset, uint32_t clause, bool category, uint32_t update, void *arg)
{
	struct inv *i = arg;
	(void)b, (void)category;
	i->v[i->at[update] + i->fill[update]++] = cset << CLAUSE_BITS | clause;
	return true;
}

static bool list_inv(struct builder *b)
{
	struct inv i = {
		.at = ARENA_ARRAY(b->a, uint32_t, (size_t)b->updates + 1),
		.fill = ARENA_ARRAY(b->a, uint32_t, b->updates),
	};
	for (uint32_t c = 0; i.at && c < csets(b); c++)
		each_named(b, c, inv_count, &i);
	i.v = i.at && i.fill ? sums(b, i.at, b->updates) : NULL;
	for (uint32_t c = 0; i.v && c < csets(b); c++)
		each_named(b, c, inv_fill, &i);
	return i.v && put_list(b, ARRAY_INV_AT, i.at, b->updates, ARRAY_INV, i.v);
}

static bool add_parent(struct builder *b, uint32_t cset, uint32_t clause, bool category, uint32_t update, void *arg)
{
	(void)cset, (void)clause, (void)arg;
	return !category || add(b, &b->category, update);
}

static bool list_categories(struct builder *b)
{
	bool ok = true;
	for (uint32_t u = 1; ok && u < b->updates; u++) {
		bool none = b->highest_at[u] == b->highest_at[u + 1];
		const struct index_row *r = &b->row[none ? 0 : b->highest[b->highest_at[u]]];
		if (none || row_type(r) != TYPE_CATEGORY)
			continue;
		ok = add(b, &b->category, u) && add(b, &b->category, 0);
		size_t count = b->category.n;
		ok = ok && each_named(b, r->cset, add_parent, NULL);
		if (ok)
			b->category.v[count - 1] = (uint32_t)(b->category.n - count);
	}
	return ok && owned(b, ARRAY_CATEGORY, b->category.v, b->category.n * sizeof(uint32_t));
}

static bool views(struct builder *b)
{
	size_t bytes = bit_words(b->rows) * sizeof(uint64_t);
	return owned(b, ARRAY_ROW, b->row, b->rows * sizeof(*b->row)) && owned(b, ARRAY_ALIVE, b->alive, bytes) &&
		owned(b, ARRAY_NONLEAF, b->nonleaf, bytes) && owned(b, ARRAY_DRIVER, b->driver, bytes) &&
		owned(b, ARRAY_CSET, b->cset.v, b->cset.n * sizeof(uint32_t)) &&
		owned(b, ARRAY_CSET_AT, b->cset_at.v, b->cset_at.n * sizeof(uint32_t)) &&
		owned(b, ARRAY_BUNDLE, b->bundle.v, b->bundle.n * sizeof(uint32_t));
}

/* BASE: nobody's groups, scope all. */
static bool base(struct builder *b)
{
	struct walk w;
	if (!walk_init(&w, &b->ix, b->a))
		return false;
	walk_roots(&w, true, NULL, 0);
	walk_prerequisites(&w);
	return owned(b, ARRAY_BASE, w.selected, b->ix.words * sizeof(uint64_t));
}

static int derive(struct builder *b)
{
	hold_bundles(b);
	if (!bitmaps(b))
		return no_memory(b);
	mark_alive(b);
	if (!mark_nonleaf(b) || !mark_listed(b) || !list_byupdate(b))
		return no_memory(b);
	mark_roots(b);
	if (!list_members(b) || !list_inv(b) || !list_categories(b) || !views(b))
		return no_memory(b);
	index_sizes(&b->ix);
	return base(b) ? E_OK : no_memory(b);
}

/* ================= the whole ================= */

static int start(struct builder *b, const struct index *old, const uint32_t *staged, size_t n)
{
	b->rows = MAX(old->rows, n ? staged[n - 1] + 1 : 1);
	b->updates = MAX(MAX(old->updates, counter_last(b->t, COUNT_UPDATE) + 1), 1);
	b->row = ARENA_ARRAY(b->a, struct index_row, b->rows);
	if (!b->row || !carry(b, &b->cset, &old->v[ARRAY_CSET]) || !carry(b, &b->cset_at, &old->v[ARRAY_CSET_AT]) ||
		!carry(b, &b->bundle, &old->v[ARRAY_BUNDLE]))
		return no_memory(b);
	for (uint32_t id = 0; id < old->rows; id++)
		b->row[id] = index_row(old, id);
	/* nothing has place 0 of BUNDLE, and clause set 0 has no clause */
	if (b->bundle.n == 0 && !add(b, &b->bundle, 0))
		return no_memory(b);
	if (b->cset_at.n == 0 && !(add(b, &b->cset_at, 0) && add(b, &b->cset, 0) && add(b, &b->cset_at, 1)))
		return no_memory(b);
	return slots_make(b, csets(b) + n) ? E_OK : no_memory(b);
}

static int compare(struct builder *b, const struct index *old, struct index_change *out)
{
	*out = (struct index_change){.id = ARENA_ARRAY(b->a, uint32_t, old->rows)};
	if (!out->id)
		return no_memory(b);
	for (uint32_t id = 1; id < b->rows; id++) {
		struct index_row was = index_row(old, id);
		bool differs = view_bit(&old->v[ARRAY_ALIVE], id) != bit_test(b->alive, id) ||
			view_bit(&old->v[ARRAY_NONLEAF], id) != bit_test(b->nonleaf, id) ||
			((was.flags ^ b->row[id].flags) & ROW_MEMBER);
		if (was.update_no != 0 && differs)
			out->id[out->n++] = id;
		out->held += visible(&b->row[id]) && (b->row[id].flags & ROW_HELD);
	}
	return E_OK;
}

int index_make(struct txn *t, const struct index *old, const uint32_t *staged, size_t nstaged, bool dirty,
	tick_t now, struct arena *a, struct index *out, struct index_change *change, struct err *e)
{
	struct builder b = {.t = t, .a = a, .e = e, .now = now};
	/* what reading rows leaves in the transaction's arena must not add up */
	struct arena keep = *txn_arena(t);
	arena_init(txn_arena(t), keep.cap);
	int rc = start(&b, old, staged, nstaged);
	if (rc == E_OK)
		rc = read_rows(&b, staged, nstaged, dirty);
	if (rc == E_OK)
		rc = derive(&b);
	if (rc == E_OK)
		rc = compare(&b, old, change);
	arena_free(txn_arena(t));
	*txn_arena(t) = keep;
	*out = b.ix;
	return rc;
}

/* ---- what is staged ---- */

struct staged {
	struct arena *a;
	struct list ids;
	enum held held;
};

static int staged_row(const struct revision *r, void *arg)
{
	struct staged *s = arg;
	if (r->flags & REV_REMOVED || !held_counts(s->held, r))
		return E_OK;
	return list_add(s->a, &s->ids, (uint32_t)r->id) ? E_OK : E_NOMEM;
}

int index_staged(struct txn *t, const struct index *ix, enum held held, struct arena *a, uint32_t **ids, size_t *n,
	struct err *e)
{
	struct staged s = {.a = a, .held = held};
	int rc = E_OK;
	for (uint32_t id = 1, end; rc == E_OK && id <= ix->rows; id = end) {
		struct index_row r = index_row(ix, id);
		end = id + 1;
		if (id < ix->rows && visible(&r))
			continue;
		/* a run of ids that are not in the index; the last one is open */
		for (; end < ix->rows && (r = index_row(ix, end), !visible(&r)); end++)
			;
		rc = revision_each(t, (int32_t)id, end < ix->rows ? (int32_t)end - 1 : 0, staged_row, &s, e);
		if (end >= ix->rows)
			break;
	}
	if (ix->rows == 0)
		rc = revision_each(t, 1, 0, staged_row, &s, e);
	*ids = s.ids.v;
	*n = s.ids.n;
	return rc == E_NOMEM ? err_set(e, E_NOMEM, "scan index") : rc;
}
