/* sync.c -- see sync.h: lists of revisions, read from the scan index alone. */
#include "store/sync.h"

#include <stdlib.h>

#include "store/index.h"

/* What a choice says of an update, a clause set or a revision: it is in a chosen category, in one of which all is wanted
 * and not just what is new, and the same of classifications. */
#define IN_CATEGORY 1u
#define ALL_OF_CATEGORY 2u
#define IN_CLASSIFICATION 4u
#define ALL_OF_CLASSIFICATION 8u
/* What follows for a revision, from its own clauses or from a listed bundle that has it (WSUSSS-REVLIST-17, -21). */
#define WANTED 1u
#define WANTED_OLD 2u
#define TOLD 4u   /* belonged to the choice at the point already */
#define TAKEN 8u
#define QUEUED 16u /* while marks spread */

struct sync {
	struct txn *t;
	struct arena *a;
	struct index ix;
	struct view listed, update_id;
};

static int no_memory(struct err *e)
{
	return err_set(e, E_NOMEM, "out of memory for a list of revisions");
}

int sync_open(struct txn *t, struct arena *a, struct sync **out, struct err *e)
{
	struct sync *s = *out = ARENA_ARRAY(a, struct sync, 1);
	if (!s)
		return no_memory(e);
	*s = (struct sync){.t = t, .a = a};
	int rc = index_load(t, a, &s->ix, e);
	if (rc == E_OK)
		rc = view_load(t, ARRAY_LISTED, 0, a, &s->listed, e);
	if (rc == E_OK)
		rc = view_load(t, ARRAY_UPDATE_ID, 0, a, &s->update_id, e);
	if (rc == E_OK && (s->listed.bytes > s->ix.rows * sizeof(uint32_t) ||
			s->update_id.bytes != s->ix.updates * sizeof(struct guid)))
		rc = err_set(e, E_CORRUPT, "scan index: its arrays do not fit each other");
	return rc;
}

static uint32_t listed(const struct sync *s, uint32_t id)
{
	return id < s->listed.bytes / sizeof(uint32_t) ? view_u32(&s->listed, id) : 0;
}

static void guid_at(const struct sync *s, uint32_t update_no, struct guid *out)
{
	*out = (struct guid){{0}};
	if (update_no < s->update_id.bytes / sizeof(*out))
		memcpy(out, view_at(&s->update_id, update_no * sizeof(*out)), sizeof(*out));
}

void sync_identity(const struct sync *s, int32_t id, struct guid *update, int32_t *number)
{
	struct index_row r = index_row(&s->ix, (uint32_t)id);
	*number = r.number;
	guid_at(s, r.update_no, update);
}

int sync_find(struct txn *t, const struct guid *update, int32_t number, int32_t *id)
{
	struct key k = key_identity(update, number);
	struct revision r;
	struct slice v;
	int rc = db_get(t, DB_IDENTITY, key_bytes(&k), &v);
	if (rc == E_OK && v.n != 4)
		rc = E_CORRUPT;
	if (rc == E_OK)
		rc = revision_get(t, *id = (int32_t)get_be32(v.p), &r, NULL);
	if (rc == E_OK && (r.flags & (REV_PUBLISHED | REV_REMOVED)) != REV_PUBLISHED)
		rc = E_NOTFOUND;
	return rc;
}

/* ================= lists without a choice ================= */

static bool of_config(const char *row)
{
	enum update_type type = (enum update_type)(row_flags(row) >> ROW_TYPE_AT & 3u);
	return type == TYPE_CATEGORY || type == TYPE_DETECTOID;
}

static uint32_t end_of(const struct sync *s)
{
	return (uint32_t)(s->listed.bytes / sizeof(uint32_t));
}

static int list_all(struct sync *s, const struct sync_filter *f, int32_t **ids, size_t *n, struct err *e)
{
	int32_t *v = *ids = ARENA_ARRAY(s->a, int32_t, end_of(s));
	if (!v)
		return no_memory(e);
	for (uint32_t id = 1; id < end_of(s); id++)
		if (view_u32(&s->listed, id) > f->after && of_config(row_at(&s->ix, id)) == f->config)
			v[(*n)++] = (int32_t)id;
	arena_trim(s->a, v, end_of(s) * sizeof(*v), *n * sizeof(*v));
	return E_OK;
}

/* ================= categories and classifications ================= */

struct choice {
	struct sync *s;
	const struct sync_filter *f;
	uint8_t *update; /* by UpdateNo */
	uint8_t *mark;   /* by RevisionID: WANTED ... */
	uint32_t *queue; /* bundles whose members are to be marked */
	uint32_t queued;
	uint32_t *category; /* the highest revision of each category that is listed since `until` or before */
	size_t ncategory;
	uint32_t until;
	uint8_t *now, *then; /* by clause set; then: as of the point, NULL if no category changed since */
};

static int choose(struct choice *c, const struct sync_choice *v, size_t n, uint8_t in, uint8_t all, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t no;
		int rc = update_find(c->s->t, &v[i].id, &no);
		if (rc != E_OK && rc != E_NOTFOUND)
			return err_set(e, (enum errcode)rc, "the number of an update cannot be read");
		if (rc == E_OK && no < c->s->ix.updates)
			c->update[no] |= v[i].delta ? in : in | all;
	}
	return E_OK;
}

/* All that the IsCategory clauses of a clause set name, together (WSUSSS-POPULATE-07). */
static uint8_t of_cset(const struct choice *c, uint32_t cset)
{
	const struct index *ix = &c->s->ix;
	const struct view *v = &ix->v[ARRAY_CSET];
	uint8_t bits = 0;
	size_t at = view_u32(&ix->v[ARRAY_CSET_AT], cset);
	for (uint32_t clauses = view_u32(v, at++); clauses > 0; clauses--) {
		uint32_t head = view_u32(v, at++), n = head & ~CSET_CATEGORY;
		for (uint32_t i = 0; head & CSET_CATEGORY && i < n; i++)
			bits |= c->update[view_u32(v, at + i)];
		at += n;
	}
	return bits;
}

/* ---- what stands below what, now or at a point ---- */

static bool is_category(const struct sync *s, uint32_t id)
{
	return (row_flags(row_at(&s->ix, id)) >> ROW_TYPE_AT & 3u) == TYPE_CATEGORY;
}

static int by_update(const void *pa, const void *pb, void *arg)
{
	const struct index *ix = arg;
	struct index_row a = index_row(ix, *(const uint32_t *)pa), b = index_row(ix, *(const uint32_t *)pb);
	if (a.update_no != b.update_no)
		return a.update_no < b.update_no ? -1 : 1;
	return (a.number < b.number) - (a.number > b.number);
}

/* The index's own array leaves out declined ones. */
static bool find_categories(struct choice *c)
{
	struct sync *s = c->s;
	size_t cap = 0, kept = 0;
	c->category = NULL;
	c->ncategory = 0;
	for (uint32_t id = 1; id < end_of(s); id++) {
		if (!is_category(s, id) || listed(s, id) == 0 || listed(s, id) > c->until)
			continue;
		uint32_t *v = ARENA_MORE(s->a, c->category, c->ncategory, &cap);
		if (!v)
			return false;
		c->category = v;
		c->category[c->ncategory++] = id;
	}
	if (c->ncategory)
		qsort_r(c->category, c->ncategory, sizeof(*c->category), by_update, &s->ix);
	for (size_t i = 0; i < c->ncategory; i++)
		if (kept == 0 || index_row(&s->ix, c->category[i]).update_no != index_row(&s->ix, c->category[kept - 1]).update_no)
			c->category[kept++] = c->category[i];
	c->ncategory = kept;
	return true;
}

/* Who chooses a category has chosen those below it.  Ends: marks are only added. */
static void choose_below(struct choice *c)
{
	for (bool more = true; more;) {
		more = false;
		for (size_t i = 0; i < c->ncategory; i++) {
			struct index_row r = index_row(&c->s->ix, c->category[i]);
			uint8_t *to = &c->update[r.update_no], bits = of_cset(c, r.cset);
			more |= (bits & ~*to) != 0;
			*to |= bits;
		}
	}
}

/* What the choice says of each clause set, with categories as they were at `until`. */
static int evaluate(struct choice *c, uint32_t until, uint8_t **out, struct err *e)
{
	const struct index *ix = &c->s->ix;
	const struct sync_filter *f = c->f;
	c->until = until;
	c->update = ARENA_ARRAY(c->s->a, uint8_t, ix->updates);
	*out = ARENA_ARRAY(c->s->a, uint8_t, ix->csets);
	if (!c->update || !*out || !find_categories(c))
		return no_memory(e);
	int rc = choose(c, f->category, f->ncategory, IN_CATEGORY, ALL_OF_CATEGORY, e);
	if (rc == E_OK)
		rc = choose(c, f->classification, f->nclassification, IN_CLASSIFICATION, ALL_OF_CLASSIFICATION, e);
	if (rc != E_OK)
		return rc;
	choose_below(c);
	for (uint32_t i = 0; i < ix->csets; i++)
		(*out)[i] = of_cset(c, i);
	return E_OK;
}

/* A category that is new, or got other parents, makes revisions belong to a choice that did not before; they did not
 * change, and the peer was not told of them. */
static bool categories_changed(const struct choice *c)
{
	for (size_t i = 0; i < c->ncategory; i++)
		if (listed(c->s, c->category[i]) > c->f->after)
			return true;
	return false;
}

/* ---- marks of revisions ---- */

/* One entry without Delta is enough for what is old: a peer that chose another product asks for all of that alone, and for what
 * is new of its classifications (WSUSSS-DSS-META-12).  To want it of both lists, as WSUSSS-REVLIST-21 reads, would keep the
 * product's back catalogue from it for ever. */
static uint8_t wanted(uint8_t bits)
{
	bool in = (bits & IN_CATEGORY) && (bits & IN_CLASSIFICATION);
	bool all = in && bits & (ALL_OF_CATEGORY | ALL_OF_CLASSIFICATION);
	return (uint8_t)((in ? WANTED : 0) | (all ? WANTED_OLD : 0));
}

static void enqueue(struct choice *c, uint32_t id)
{
	if (c->mark[id] & QUEUED || ROW_U32(row_at(&c->s->ix, id), bundle) == 0)
		return;
	c->mark[id] |= QUEUED;
	c->queue[c->queued++] = id;
}

/* Members have these marks of the listed bundles that have them, at any depth. */
static void spread(struct choice *c, uint8_t which)
{
	const struct view *v = &c->s->ix.v[ARRAY_BUNDLE];
	while (c->queued > 0) {
		uint32_t id = c->queue[--c->queued], at = ROW_U32(row_at(&c->s->ix, id), bundle);
		uint8_t marks = c->mark[id] & which;
		c->mark[id] &= (uint8_t)~QUEUED;
		for (uint32_t n = view_u32(v, at++); n > 0; n--) {
			uint32_t m = view_u32(v, at++);
			if (m == 0 || m >= c->s->ix.rows || (marks & ~c->mark[m]) == 0 || listed(c->s, m) == 0)
				continue;
			c->mark[m] |= marks;
			enqueue(c, m);
		}
	}
}

static void mark_wanted(struct choice *c)
{
	for (uint32_t id = 1; id < end_of(c->s); id++) {
		uint32_t since = listed(c->s, id), cset = since ? ROW_U32(row_at(&c->s->ix, id), cset) : 0;
		if (since == 0)
			continue;
		c->mark[id] |= wanted(c->now[cset]);
		if (c->then && since <= c->f->after && wanted(c->then[cset]) & WANTED)
			c->mark[id] |= TOLD;
		if (c->mark[id] & (WANTED | WANTED_OLD | TOLD))
			enqueue(c, id);
	}
	spread(c, WANTED | WANTED_OLD | TOLD);
}

/* New to the peer: the revision, or that it belongs to what the peer chose. */
static bool is_news(const struct choice *c, uint32_t id)
{
	return listed(c->s, id) > c->f->after || (c->then && !(c->mark[id] & TOLD));
}

static void mark_taken(struct choice *c)
{
	for (uint32_t id = 1; id < end_of(c->s); id++) {
		uint8_t m = c->mark[id];
		if (!(m & WANTED_OLD) && !(m & WANTED && is_news(c, id)))
			continue;
		c->mark[id] |= TAKEN;
		enqueue(c, id);
	}
	spread(c, TAKEN);
}

static int taken(const struct choice *c, int32_t **ids, size_t *n, struct err *e)
{
	struct sync *s = c->s;
	size_t all = 0;
	for (uint32_t id = 1; id < end_of(s); id++)
		all += (c->mark[id] & TAKEN) != 0;
	int32_t *v = *ids = ARENA_ARRAY(s->a, int32_t, all);
	if (!v)
		return no_memory(e);
	for (uint32_t id = 1; id < end_of(s); id++)
		if (c->mark[id] & TAKEN && !of_config(row_at(&s->ix, id)))
			v[(*n)++] = (int32_t)id;
	return E_OK;
}

static int list_chosen(struct sync *s, const struct sync_filter *f, int32_t **ids, size_t *n, struct err *e)
{
	const struct index *ix = &s->ix;
	struct choice c = {.s = s,
		.f = f,
		.mark = ARENA_ARRAY(s->a, uint8_t, ix->rows),
		.queue = ARENA_ARRAY(s->a, uint32_t, ix->v[ARRAY_BUNDLE].bytes / sizeof(uint32_t)), /* of each bundle a count */
	};
	if (!c.mark || !c.queue)
		return no_memory(e);
	int rc = evaluate(&c, UINT32_MAX, &c.now, e);
	if (rc == E_OK && f->after > 0 && categories_changed(&c))
		rc = evaluate(&c, f->after, &c.then, e);
	if (rc != E_OK)
		return rc;
	mark_wanted(&c);
	mark_taken(&c);
	return taken(&c, ids, n, e);
}

int sync_list(struct sync *s, const struct sync_filter *f, int32_t **ids, size_t *n, struct err *e)
{
	*ids = NULL;
	*n = 0;
	if (f->config || (f->ncategory == 0 && f->nclassification == 0))
		return list_all(s, f, ids, n, e);
	if (f->ncategory == 0 || f->nclassification == 0)
		return E_OK;
	return list_chosen(s, f, ids, n, e);
}

/* ================= declined updates and EULAs ================= */

static int guid_order(const void *a, const void *b)
{
	return guid_cmp(a, b);
}

int sync_hidden(struct txn *t, struct arena *a, struct guid **out, size_t *n, struct err *e)
{
	struct sync *s;
	int rc = sync_open(t, a, &s, e);
	*n = 0;
	if (rc != E_OK)
		return rc;
	uint64_t *seen = ARENA_ARRAY(a, uint64_t, bit_words(s->ix.updates));
	size_t cap = 0;
	*out = NULL;
	if (!seen)
		return no_memory(e);
	for (uint32_t id = 1; id < s->ix.rows; id++) {
		struct index_row r = index_row(&s->ix, id);
		if ((r.flags & (ROW_DECLINED | ROW_REMOVED)) != ROW_DECLINED || bit_test(seen, r.update_no))
			continue;
		struct guid *v = ARENA_MORE(a, *out, *n, &cap);
		if (!v)
			return no_memory(e);
		bit_set(seen, r.update_no);
		*out = v;
		guid_at(s, r.update_no, &v[(*n)++]);
	}
	if (*n)
		qsort(*out, *n, sizeof(**out), guid_order);
	return E_OK;
}

struct guids {
	struct arena *a;
	struct guid *v;
	size_t n, cap;
};

static int add_eula(struct slice key, struct slice value, void *arg)
{
	struct guids *l = arg;
	struct guid *v;
	(void)value;
	if (key.n != sizeof(*v))
		return E_CORRUPT;
	if (!(v = ARENA_MORE(l->a, l->v, l->n, &l->cap)))
		return E_NOMEM;
	l->v = v;
	memcpy(&l->v[l->n++], key.p, sizeof(*v));
	return E_OK;
}

int sync_eulas(struct txn *t, struct arena *a, struct guid **out, size_t *n, struct err *e)
{
	struct guids l = {.a = a};
	int rc = db_each(t, DB_EULA, SL(""), add_eula, &l, e);
	*out = l.v;
	*n = l.n;
	if (rc == E_NOMEM)
		return no_memory(e);
	return rc == E_CORRUPT ? err_set(e, E_CORRUPT, "the acceptance of a EULA cannot be read") : rc;
}
