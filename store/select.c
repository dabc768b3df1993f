/* select.c -- selection of one revision per update, top-down, as scan.h defines it.
 *
 * Nothing recurses: the picks themselves carry the way back from a member to its bundle, so that a bundle
 * nested ten thousand deep costs no stack, and a cyclic one ends because an update is picked once. */
#include "store/index.h"

#define NO_PARENT UINT32_MAX

bool walk_init(struct walk *w, const struct index *ix, struct arena *a)
{
	uint32_t most = MIN(ix->rows, ix->updates); /* one pick per update */
	*w = (struct walk){
		.ix = ix,
		.selected = ARENA_ARRAY(a, uint64_t, ix->words),
		.taken = ARENA_ARRAY(a, uint64_t, bit_words(ix->updates)),
		.done = ARENA_ARRAY(a, uint64_t, bit_words(ix->csets)),
		.pick = ARENA_ARRAY(a, struct pick, most),
	};
	return !a->failed;
}

uint32_t index_highest(const struct index *ix, uint32_t update_no)
{
	uint32_t at, end;
	if (update_no >= ix->updates)
		return 0;
	index_list(ix, ARRAY_BYUPDATE_AT, update_no, &at, &end);
	return at == end ? 0 : view_u32(&ix->v[ARRAY_BYUPDATE], at);
}

static bool pick(struct walk *w, uint32_t id, uint32_t parent)
{
	const struct index *ix = w->ix;
	if (id == 0 || !view_bit(&ix->v[ARRAY_ALIVE], id) || (w->blocked && bit_test(w->blocked, id)))
		return false;
	uint32_t update = index_row(ix, id).update_no;
	if (bit_test(w->taken, update))
		return false;
	bit_set(w->taken, update);
	bit_set(w->selected, id);
	w->pick[w->picked++] = (struct pick){.id = id, .parent = parent};
	return true;
}

/* The next member of a bundle, 0 behind the last. */
static uint32_t next_member(const struct index *ix, struct pick *p, bool *more)
{
	uint32_t at = index_row(ix, p->id).bundle;
	*more = at != 0 && p->next < view_u32(&ix->v[ARRAY_BUNDLE], at);
	return *more ? view_u32(&ix->v[ARRAY_BUNDLE], (size_t)at + 1 + p->next++) : 0;
}

void walk_visit(struct walk *w, uint32_t id)
{
	uint32_t at = w->picked;
	if (!pick(w, id, NO_PARENT))
		return;
	while (at != NO_PARENT) {
		bool more;
		uint32_t member = next_member(w->ix, &w->pick[at], &more), child = w->picked;
		if (!more)
			at = w->pick[at].parent;
		else if (pick(w, member, at))
			at = child;
	}
}

static void enter_clauses(struct walk *w, uint32_t cset)
{
	const struct view *v = &w->ix->v[ARRAY_CSET];
	size_t at = view_u32(&w->ix->v[ARRAY_CSET_AT], cset);
	for (uint32_t clauses = view_u32(v, at++); clauses > 0; clauses--)
		for (uint32_t n = view_u32(v, at++) & ~CSET_CATEGORY; n > 0; n--) {
			uint32_t update = view_u32(v, at++);
			if (!bit_test(w->taken, update))
				walk_visit(w, index_highest(w->ix, update));
		}
}

void walk_prerequisites(struct walk *w)
{
	while (w->entered < w->picked) {
		/* what a clause set names is taken, or cannot be, once it was entered */
		uint32_t cset = index_row(w->ix, w->pick[w->entered++].id).cset;
		if (bit_test(w->done, cset))
			continue;
		bit_set(w->done, cset);
		enter_clauses(w, cset);
	}
}

static bool is_root(const struct walk *w, uint32_t id)
{
	struct index_row r = index_row(w->ix, id);
	return (r.flags & ROW_ROOT) && (!w->related || bit_test(w->related, r.cset));
}

void walk_roots(struct walk *w, bool roots, const uint32_t *extra, size_t nextra)
{
	for (uint32_t id = 1; id < w->ix->rows; id++) {
		bool named = nextra > 0 && *extra == id;
		if (named) {
			extra++;
			nextra--;
		}
		if (named || (roots && is_root(w, id)))
			walk_visit(w, id);
	}
}
