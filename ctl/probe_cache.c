/* probe_cache.c -- the updates a server told us about, found by its number and by their own identity. */
#include "ctl/probe.h"

#include <stdlib.h>

#include "common/text.h"

const char *const probe_action_name[PROBE_ACTION__MAX] = {
	[PROBE_NO_ACTION] = "none",
	[PROBE_INSTALL] = "Install",
	[PROBE_UNINSTALL] = "Uninstall",
	[PROBE_PRE_DEPLOYMENT] = "PreDeploymentCheck",
	[PROBE_BLOCK] = "Block",
	[PROBE_EVALUATE] = "Evaluate",
	[PROBE_BUNDLE] = "Bundle",
	[PROBE_OPTIONAL] = "OptionalInstall",
};

enum probe_action probe_action_of(struct slice text)
{
	for (unsigned a = 0; a < PROBE_ACTION__MAX; a++)
		if (slice_eq(text, slice_of(probe_action_name[a])))
			return (enum probe_action)a;
	return PROBE_ACTION__MAX;
}

static size_t hash_id(int32_t id)
{
	return (uint32_t)id * UINT32_C(2654435761);
}

static size_t hash_guid(const struct guid *g)
{
	return get_be32(g->b) ^ get_be32(g->b + 4) * UINT32_C(2654435761) ^ get_be32(g->b + 12);
}

static void place(uint32_t *table, size_t mask, size_t hash, size_t index)
{
	size_t at = hash & mask;
	while (table[at] != 0)
		at = (at + 1) & mask;
	table[at] = (uint32_t)index + 1;
}

static void place_both(struct probe_cache *c, size_t i)
{
	place(c->by_id, c->mask, hash_id(c->v[i].id), i);
	place(c->by_update, c->mask, hash_guid(&c->v[i].update), i);
}

/* Tables at most half full, so that chains stay short. */
static int index_anew(struct probe_cache *c, size_t room)
{
	size_t places = 64;
	while (places < room * 2)
		places *= 2;
	uint32_t *by_id = calloc(places, sizeof(*by_id)), *by_update = calloc(places, sizeof(*by_update));
	if (!by_id || !by_update) {
		free(by_id);
		free(by_update);
		return E_NOMEM;
	}
	free(c->by_id);
	free(c->by_update);
	c->by_id = by_id;
	c->by_update = by_update;
	c->mask = places - 1;
	for (size_t i = 0; i < c->n; i++)
		place_both(c, i);
	return E_OK;
}

static int grow(struct probe_cache *c)
{
	size_t cap = c->cap ? c->cap * 2 : 64;
	struct probe_update *v = cap > PROBE_CACHE_MAX ? NULL : realloc(c->v, cap * sizeof(*v));
	if (!v)
		return E_NOMEM;
	c->v = v;
	c->cap = cap;
	return index_anew(c, cap);
}

struct probe_update *probe_cache_add(struct probe_cache *c, const struct probe_update *u)
{
	if (c->n == c->cap && grow(c) != E_OK)
		return NULL;
	c->v[c->n] = *u;
	place_both(c, c->n);
	return &c->v[c->n++];
}

struct probe_update *probe_cache_by_id(const struct probe_cache *c, int32_t id)
{
	if (c->n == 0)
		return NULL;
	for (size_t at = hash_id(id) & c->mask; c->by_id[at] != 0; at = (at + 1) & c->mask)
		if (c->v[c->by_id[at] - 1].id == id)
			return &c->v[c->by_id[at] - 1];
	return NULL;
}

struct probe_update *probe_cache_next(const struct probe_cache *c, const struct guid *update, size_t *at)
{
	if (c->n == 0)
		return NULL;
	for (;;) {
		uint32_t i = c->by_update[(hash_guid(update) + (*at)++) & c->mask];
		if (i == 0)
			return NULL;
		if (guid_cmp(&c->v[i - 1].update, update) == 0)
			return &c->v[i - 1];
	}
}

struct probe_update *probe_cache_by_identity(const struct probe_cache *c, const struct guid *update, int32_t revision)
{
	size_t at = 0;
	for (struct probe_update *u; (u = probe_cache_next(c, update, &at)) != NULL;)
		if (u->revision == revision)
			return u;
	return NULL;
}

bool probe_cache_installed(const struct probe_cache *c, const struct guid *update)
{
	size_t at = 0;
	for (struct probe_update *u; (u = probe_cache_next(c, update, &at)) != NULL;)
		if (u->installed)
			return true;
	return false;
}

int probe_cache_sweep(struct probe_cache *c)
{
	size_t kept = 0;
	for (size_t i = 0; i < c->n; i++) {
		if (c->v[i].gone)
			free(c->v[i].member);
		else
			c->v[kept++] = c->v[i];
	}
	c->n = kept;
	return index_anew(c, c->cap);
}

void probe_cache_free(struct probe_cache *c)
{
	for (size_t i = 0; i < c->n; i++)
		free(c->v[i].member);
	free(c->v);
	free(c->by_id);
	free(c->by_update);
	*c = (struct probe_cache){0};
}
