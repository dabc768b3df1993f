/* world.c -- plans the sample world: which revisions there are and how they refer to each other.
 *
 * A cycle is one month in which each recipe is cooked once; for a year the same recipe stays with the same
 * line, so that its tops supersede one another, then it moves on to another line. */
#include <stdlib.h>

#include "common/text.h"
#include "test/catalog/catalog.h"

static const struct recipe recipes[] = {
	{KIND_TOP, CLASS_SECURITY, HANDLER_CBS, "Critical", 2, 3, 0},
	{KIND_TOP, CLASS_DEFINITION, HANDLER_COMMAND, NULL, 3, 2, 0},
	{KIND_TOP, CLASS_UPDATE, HANDLER_CBS, NULL, 0, 2, 0},
	{KIND_DRIVER, CLASS_DRIVER, HANDLER_NONE, NULL, 0, 0, 0},
	{KIND_TOP, CLASS_CRITICAL, HANDLER_MSI, NULL, 1, 3, 0},
	{KIND_TOP, CLASS_ROLLUP, HANDLER_CBS, NULL, 2, 4, WITH_DEEP_REVISION},
	{KIND_TOP, CLASS_UPDATE, HANDLER_COMMAND, NULL, 0, 0, 0},
	{KIND_TOP, CLASS_FEATURE, HANDLER_MSI, NULL, 1, 2, WITH_EULA},
	{KIND_TOP, CLASS_SECURITY, HANDLER_CBS, "Important", 2, 2, WITH_EXPRESS},
	{KIND_TOP, CLASS_SECURITY, HANDLER_MSI, "Moderate", 3, 2, 0},
	{KIND_TOP, CLASS_TOOL, HANDLER_COMMAND, NULL, 0, 0, WITH_EXPIRED},
	{KIND_TOP, CLASS_DEFINITION, HANDLER_COMMAND, NULL, 4, 3, 0},
	{KIND_TOP, CLASS_SECURITY, HANDLER_CBS, "Low", 2, 2, WITH_TOP_REVISIONS},
	{KIND_TOP, CLASS_SERVICE, HANDLER_CBS, NULL, 1, 2, WITH_EULA},
	{KIND_DRIVER, CLASS_DRIVER, HANDLER_NONE, NULL, 0, 0, WITH_PRINTER},
	{KIND_TOP, CLASS_UPDATE, HANDLER_COMMAND, NULL, 0, 3, WITH_TOP_REVISIONS | WITH_EXPIRED},
	{KIND_TOP, CLASS_UPGRADE, HANDLER_CBS, NULL, 1, 4, WITH_EULA | WITH_SWAP},
	{KIND_TOP, CLASS_CRITICAL, HANDLER_CBS, NULL, 2, 2, WITH_TWO_PRODUCTS},
	{KIND_TOP, CLASS_SECURITY, HANDLER_MSI, "Important", 3, 2, WITH_EXPRESS},
	{KIND_DRIVER, CLASS_DRIVER, HANDLER_NONE, NULL, 0, 0, WITH_TOP_REVISIONS},
};
static const struct recipe single = {KIND_TOP, CLASS_UPDATE, HANDLER_COMMAND, NULL, 0, 0, 0};

/* Every node comes from here: a new update unless `of` names an earlier revision of the same one. */
static uint32_t add(struct world *w, enum kind kind, uint32_t of)
{
	ASSERT(w->n < w->cap);
	uint32_t i = w->n++;
	struct node *n = &w->node[i];
	if (of != NO_NODE) {
		*n = w->node[of];
		n->revision++;
		return i;
	}
	struct rng r = rng_for(w->seed, FOR_UPDATE_ID, w->updates);
	*n = (struct node){.id = rng_guid(&r), .update = w->updates++, .kind = (uint8_t)kind, .revision = 200,
		.parent = NO_NODE, .second = NO_NODE, .line = NO_NODE, .previous = NO_NODE};
	return i;
}

static uint32_t add_below(struct world *w, enum kind kind, uint32_t parent, uint32_t name)
{
	uint32_t i = add(w, kind, NO_NODE);
	struct node *n = &w->node[i];
	n->parent = parent;
	n->name = name;
	n->revision = (int32_t)(100 + name % 3); /* revision numbers of categories and detectoids vary */
	n->upper = kind != KIND_DETECTOID && name % 4 == 1;
	n->depth = (uint16_t)(parent == NO_NODE ? 1 : w->node[parent].depth + 1);
	return i;
}

static uint32_t between(uint32_t v, uint32_t lo, uint32_t hi)
{
	return v < lo ? lo : v > hi ? hi : v;
}

static void plan_classes(struct world *w)
{
	for (unsigned c = 0; c < CLASS__MAX; c++) {
		uint32_t i = w->class_node[c] = add_below(w, KIND_CLASSIFICATION, NO_NODE, c);
		bool ok = text_guid(slice_of(class_guid[c]), &w->node[i].id);
		ASSERT(ok);
	}
}

/* The last product is the drivers', below a company of its own; it gets no lines. */
static uint32_t plan_products(struct world *w, uint32_t products, uint32_t families)
{
	uint32_t company = add_below(w, KIND_COMPANY, NO_NODE, 0), partner = add_below(w, KIND_COMPANY, NO_NODE, 1);
	uint32_t family = w->n;
	for (uint32_t f = 0; f < families; f++)
		add_below(w, KIND_FAMILY, company, f);
	uint32_t own = add_below(w, KIND_FAMILY, partner, families);
	uint32_t first = w->n;
	for (uint32_t p = 0; p < products; p++)
		add_below(w, KIND_PRODUCT, family + p % families, p);
	w->driver_product = add_below(w, KIND_PRODUCT, own, PRODUCT_WORDS - 1);
	return first;
}

/* system > version > edition > architecture; returns the first of `versions` x 2 x ARCHES ones at depth 4. */
static uint32_t plan_systems(struct world *w, uint32_t versions)
{
	uint32_t system = add_below(w, KIND_DETECTOID, NO_NODE, 0), version = w->n;
	for (uint32_t v = 0; v < versions; v++)
		add_below(w, KIND_DETECTOID, system, v);
	uint32_t edition = w->n;
	for (uint32_t e = 0; e < versions * 2; e++)
		add_below(w, KIND_DETECTOID, version + e / 2, e);
	uint32_t arch = w->n;
	for (uint32_t a = 0; a < versions * 2 * ARCHES; a++) {
		uint32_t i = add_below(w, KIND_DETECTOID, edition + a / ARCHES, a);
		w->node[i].arch = (uint8_t)(a % ARCHES);
	}
	return arch;
}

static void plan_lines(struct world *w, uint32_t product, uint32_t products, uint32_t system, uint32_t versions)
{
	for (uint32_t l = 0; l < w->lines; l++) {
		struct line *line = &w->line[l];
		uint32_t choice = l < products ? 0 : 1 + l % 2;
		line->product = product + l % products;
		line->arch = (uint8_t)choice;
		uint32_t on = system + (l * 5 % (versions * 2)) * ARCHES + choice;
		line->detectoid = add_below(w, KIND_DETECTOID, on, l);
		w->node[line->detectoid].arch = line->arch;
		w->node[line->detectoid].line = l;
		for (unsigned c = 0; c < CLASS__MAX; c++)
			line->last[c] = NO_NODE;
	}
}

/* ---- one month of one line ---- */
struct cook {
	struct world *w;
	const struct recipe *recipe;
	uint32_t line, month, kb;
};

static uint32_t cook_node(struct cook *c, enum kind kind, uint32_t name)
{
	uint32_t i = add(c->w, kind, NO_NODE);
	struct node *n = &c->w->node[i];
	n->class = (uint8_t)c->recipe->class;
	n->recipe = c->recipe;
	n->line = c->line;
	n->month = c->month;
	n->kb = c->kb;
	n->name = name;
	n->arch = c->w->line[c->line].arch;
	return i;
}

static void adopt(struct world *w, uint32_t bundle, const uint32_t *child, uint32_t n)
{
	w->node[bundle].member = w->members;
	w->node[bundle].members = n;
	for (uint32_t k = 0; k < n; k++)
		w->member[w->members++] = child[k];
}

static void cook_leaves(struct cook *c, uint32_t bundle, uint32_t first_name)
{
	uint32_t child[16];
	ASSERT(c->recipe->leaves <= COUNTOF(child));
	for (uint32_t k = 0; k < c->recipe->leaves; k++)
		child[k] = cook_node(c, KIND_LEAF, first_name + k);
	adopt(c->w, bundle, child, c->recipe->leaves);
}

static uint32_t cook_top(struct cook *c)
{
	uint32_t top = cook_node(c, c->recipe->kind, 0), child[16];
	ASSERT(c->recipe->hidden <= COUNTOF(child));
	for (uint32_t k = 0; k < c->recipe->hidden; k++) {
		child[k] = cook_node(c, KIND_HIDDEN, k);
		cook_leaves(c, child[k], k * c->recipe->leaves);
	}
	if (c->recipe->hidden > 0)
		adopt(c->w, top, child, c->recipe->hidden);
	else if (c->recipe->leaves > 0)
		cook_leaves(c, top, 0);
	return top;
}

/* The same bundle once more, its last member replaced. */
static uint32_t revise_bundle(struct world *w, uint32_t bundle, uint32_t last)
{
	uint32_t again = add(w, 0, bundle), child[16], n = w->node[bundle].members;
	ASSERT(n > 0 && n <= COUNTOF(child));
	memcpy(child, &w->member[w->node[bundle].member], n * sizeof(child[0]));
	child[n - 1] = last;
	adopt(w, again, child, n);
	return again;
}

static uint32_t last_member(const struct world *w, uint32_t bundle)
{
	const struct node *n = &w->node[bundle];
	return w->member[n->member + n->members - 1];
}

static uint32_t cook_revisions(struct cook *c, uint32_t top)
{
	struct world *w = c->w;
	if (c->recipe->flags & WITH_TOP_REVISIONS)
		top = add(w, 0, add(w, 0, top));
	if (c->recipe->flags & WITH_DEEP_REVISION) {
		uint32_t hidden = last_member(w, top), leaf = last_member(w, hidden);
		top = revise_bundle(w, top, revise_bundle(w, hidden, add(w, 0, leaf)));
	}
	w->node[top].expired = (c->recipe->flags & WITH_EXPIRED) != 0;
	return top;
}

static void cook(struct cook *c)
{
	struct world *w = c->w;
	struct line *line = &w->line[c->line];
	uint32_t top = cook_top(c);
	w->node[top].previous = line->last[c->recipe->class];
	if (c->recipe->flags & WITH_TWO_PRODUCTS)
		w->node[top].second = w->line[(c->line + 1) % w->lines].product;
	line->last[c->recipe->class] = cook_revisions(c, top);
}

static uint32_t recipe_size(const struct recipe *r)
{
	uint32_t n = 1 + r->hidden + (r->hidden > 0 ? r->hidden : 1) * r->leaves;
	return n + (r->flags & WITH_TOP_REVISIONS ? 2 : 0) + (r->flags & WITH_DEEP_REVISION ? 3 : 0);
}

/* Cooks until exactly `until` nodes are there; what is left over at the end becomes single updates. */
static void plan_updates(struct world *w, uint32_t until)
{
	for (uint32_t g = 0; w->n < until; g++) {
		uint32_t cycle = g / COUNTOF(recipes), row = g % COUNTOF(recipes), year = cycle / 12;
		struct cook c = {w, &recipes[row], (row + year * 20) % w->lines, 0, 5000000 + g};
		c.month = cycle % 12 + 12 * (year * 20 / w->lines);
		if (recipe_size(c.recipe) > until - w->n)
			c.recipe = &single;
		cook(&c);
	}
}

bool world_make(struct world *w, uint64_t seed, unsigned languages, uint32_t revisions)
{
	ASSERT(revisions >= REVISIONS_MIN);
	uint32_t products = between(revisions / 64, 7, 149), families = between(products / 5, 2, 24);
	uint32_t versions = between(products / 5, 3, 12);
	*w = (struct world){.seed = seed, .languages = languages, .cap = revisions + 1, .lines = products * 2};
	w->node = calloc(w->cap, sizeof(*w->node));
	w->member = calloc((size_t)w->cap * 2, sizeof(*w->member));
	w->line = calloc(w->lines, sizeof(*w->line));
	if (!w->node || !w->member || !w->line)
		return false;
	plan_classes(w);
	uint32_t first = plan_products(w, products, families);
	plan_lines(w, first, products, plan_systems(w, versions), versions);
	plan_updates(w, revisions);
	return true;
}

uint32_t world_add_big(struct world *w)
{
	struct cook c = {w, &single, 0, 6, 4999999};
	uint32_t i = cook_top(&c);
	w->node[i].big = true;
	return i;
}

void world_free(struct world *w)
{
	free(w->node);
	free(w->member);
	free(w->line);
	*w = (struct world){0};
}
