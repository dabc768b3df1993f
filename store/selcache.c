/* selcache.c -- selections as their difference from BASE or from nothing. */
#include "store/selcache.h"

#include <stdlib.h>

#include "common/arena.h"

struct change { /* of one word */
	uint64_t bits;
	uint32_t at;
};

struct selection {
	uint64_t used; /* by the clock */
	struct selection_key key;
	bool on_base;  /* what is changed: BASE, or nothing */
	size_t n, bytes;
	struct change change[]; /* behind them the filter */
};

static uint64_t key_hash(const struct selection_key *k)
{
	uint64_t h = k->groups.hash ^ (uint64_t)k->scope;
	for (size_t i = 0; i < k->nfilter; i++)
		h = (h ^ k->filter[i]) * UINT64_C(0x9e3779b97f4a7c15);
	return h;
}

static bool key_same(const struct selection_key *a, const struct selection_key *b)
{
	return a->filtered == b->filtered && a->nfilter == b->nfilter && a->scope == b->scope &&
		a->groups.n == b->groups.n &&
		memcmp(a->groups.no, b->groups.no, a->groups.n * sizeof(a->groups.no[0])) == 0 &&
		memcmp(a->groups.distance, b->groups.distance, a->groups.n) == 0 &&
		(a->nfilter == 0 || memcmp(a->filter, b->filter, a->nfilter * sizeof(*a->filter)) == 0);
}

static void drop(struct selcache_part *p, size_t i)
{
	p->bytes -= p->v[i]->bytes;
	free(p->v[i]);
	p->n--;
	p->v[i] = p->v[p->n];
	p->hash[i] = p->hash[p->n];
}

void selcache_drop(struct selcache *c)
{
	for (size_t k = 0; k < COUNTOF(c->part); k++)
		while (c->part[k].n > 0)
			drop(&c->part[k], c->part[k].n - 1);
}

int selcache_get(struct selcache *c, const struct selection_key *key, const uint64_t *base, size_t words,
	struct arena *a, const uint64_t **bits)
{
	struct selcache_part *p = &c->part[key->filtered];
	uint64_t hash = key_hash(key);
	size_t i = 0;
	while (i < p->n && (p->hash[i] != hash || !key_same(&p->v[i]->key, key)))
		i++;
	if (i == p->n)
		return E_NOTFOUND;
	struct selection *s = p->v[i];
	s->used = ++c->clock;
	*bits = base;
	if (s->on_base && s->n == 0)
		return E_OK;
	uint64_t *w = ARENA_ARRAY(a, uint64_t, words);
	if (!w)
		return E_NOMEM;
	if (s->on_base && words > 0)
		memcpy(w, base, words * sizeof(*w));
	for (size_t k = 0; k < s->n; k++)
		w[s->change[k].at] ^= s->change[k].bits;
	*bits = w;
	return E_OK;
}

/* Words that differ from those of `from`; NULL: from zero. */
static size_t count_changes(const uint64_t *bits, const uint64_t *from, size_t words)
{
	size_t n = 0;
	for (size_t i = 0; i < words; i++)
		n += bits[i] != (from ? from[i] : 0);
	return n;
}

static struct selection *make(const struct selection_key *key, const uint64_t *bits, const uint64_t *base, size_t words)
{
	size_t far = count_changes(bits, NULL, words), near = count_changes(bits, base, words), n = MIN(far, near), k = 0;
	size_t bytes = sizeof(struct selection) + n * sizeof(struct change) + key->nfilter * sizeof(*key->filter);
	struct selection *s = alloc_should_fail() ? NULL : malloc(bytes);
	if (!s)
		return NULL;
	*s = (struct selection){.key = *key, .on_base = near <= far, .n = n, .bytes = bytes};
	for (size_t i = 0; i < words; i++) {
		uint64_t x = bits[i] ^ (s->on_base ? base[i] : 0);
		if (x)
			s->change[k++] = (struct change){x, (uint32_t)i};
	}
	uint32_t *filter = (uint32_t *)(void *)(s->change + n);
	if (key->nfilter)
		memcpy(filter, key->filter, key->nfilter * sizeof(*filter));
	s->key.filter = filter;
	return s;
}

static void drop_oldest(struct selcache_part *p)
{
	size_t oldest = 0;
	for (size_t i = 1; i < p->n; i++)
		if (p->v[i]->used < p->v[oldest]->used)
			oldest = i;
	drop(p, oldest);
}

void selcache_add(struct selcache *c, const struct selection_key *key, const uint64_t *bits, const uint64_t *base,
	size_t words)
{
	struct selcache_part *p = &c->part[key->filtered];
	struct selection *s = make(key, bits, base, words);
	if (!s)
		return;
	while (p->n > 0 && (p->n == LIMIT_SELECTIONS || s->bytes > LIMIT_SELECTION_BYTES - MIN(p->bytes, LIMIT_SELECTION_BYTES)))
		drop_oldest(p);
	s->used = ++c->clock;
	p->bytes += s->bytes;
	p->hash[p->n] = key_hash(key);
	p->v[p->n++] = s;
}
