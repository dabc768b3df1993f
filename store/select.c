/* select.c -- selection of one revision per update, top-down, as scan.h defines it.
 *
 * Nothing recurses: bundles that are being entered lie on a stack as large as there are updates, so that a bundle
 * nested ten thousand deep is nothing special, and a cyclic one ends because an update is picked once. */
#include "store/index.h"

bool walk_init(struct walk *w, const struct index *ix, struct arena *a)
{
	*w = (struct walk){
		.ix = ix,
		.selected = ARENA_ARRAY(a, uint64_t, ix->words),
		.taken = ARENA_ARRAY(a, uint64_t, bit_words(ix->updates)),
		.met = ARENA_ARRAY(a, uint64_t, bit_words(ix->csets)),
		.cset = ARENA_ARRAY(a, uint32_t, ix->csets),
		.open = ARENA_ARRAY(a, struct open_bundle, MIN(ix->rows, ix->updates)),
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

/* *bundle: where its members stand, 0 if it has none. */
static bool pick(struct walk *w, uint32_t id, uint32_t *bundle)
{
	const struct index *ix = w->ix;
	if (id == 0 || !view_bit(&ix->v[ARRAY_ALIVE], id) || (w->blocked && bit_test(w->blocked, id)))
		return false;
	const char *row = row_at(ix, id);
	uint32_t update = ROW_U32(row, update_no), cset = ROW_U32(row, cset);
	if (bit_test(w->taken, update))
		return false;
	bit_set(w->taken, update);
	bit_set(w->selected, id);
	if (!bit_test(w->met, cset)) {
		bit_set(w->met, cset);
		w->cset[w->csets++] = cset;
	}
	*bundle = ROW_U32(row, bundle);
	return true;
}

/* Members lie anywhere in the catalog: their rows are asked for together instead of one after the other. */
static void push(struct walk *w, uint32_t bundle)
{
	const struct view *v = &w->ix->v[ARRAY_BUNDLE];
	uint32_t n = view_u32(v, bundle);
	for (uint32_t i = 1; i <= MIN(n, 8u); i++) {
		uint32_t member = view_u32(v, (size_t)bundle + i);
		if (member < w->ix->rows)
			__builtin_prefetch(row_at(w->ix, member));
	}
	w->open[w->opened++] = (struct open_bundle){bundle + 1, bundle + 1 + n};
}

void walk_visit(struct walk *w, uint32_t id)
{
	uint32_t bundle;
	if (pick(w, id, &bundle) && bundle != 0)
		push(w, bundle);
	while (w->opened > 0) {
		struct open_bundle *b = &w->open[w->opened - 1];
		if (b->next == b->end)
			w->opened--;
		else if (pick(w, view_u32(&w->ix->v[ARRAY_BUNDLE], b->next++), &bundle) && bundle != 0)
			push(w, bundle);
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
	/* what a clause set names is taken, or cannot be, once it was entered */
	while (w->entered < w->csets)
		enter_clauses(w, w->cset[w->entered++]);
}

static bool is_root(const struct walk *w, uint32_t id)
{
	const char *row = row_at(w->ix, id);
	return (row_flags(row) & ROW_ROOT) && (!w->related || bit_test(w->related, ROW_U32(row, cset)));
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
