/* selcache.h -- inside store/ only: the selections that a worker has made, kept small.
 *
 * A selection is nearly BASE, or (scope approved, filters) nearly empty: what is kept are the words in which it differs
 * from the nearer of the two, so that a worker has room for every set of groups at any size of the catalog.  Selections
 * with a filter have a part of their own: a client may name any categories, and must not push out what others share. */
#ifndef STORE_SELCACHE_H
#define STORE_SELCACHE_H

#include "store/store.h"

struct selection_key {
	struct client_groups groups;
	enum scan_scope scope;
	bool filtered;
	const uint32_t *filter; /* UpdateNos, ascending */
	size_t nfilter;
};

struct selection; /* as it is kept */
struct selcache {
	struct selcache_part {
		struct selection *v[LIMIT_SELECTIONS];
		uint64_t hash[LIMIT_SELECTIONS]; /* of their keys */
		size_t n, bytes;
	} part[2]; /* without and with a filter */
	uint64_t clock;
};

void selcache_drop(struct selcache *c);
/* E_NOTFOUND: not kept.  *bits is base itself, or lies in a. */
int selcache_get(struct selcache *c, const struct selection_key *key, const uint64_t *base, size_t words,
	struct arena *a, const uint64_t **bits) MUST_CHECK;
/* Keeps a selection, in place of those not used for longest.  Without memory it is not kept, nothing else. */
void selcache_add(struct selcache *c, const struct selection_key *key, const uint64_t *bits, const uint64_t *base,
	size_t words);

#endif
