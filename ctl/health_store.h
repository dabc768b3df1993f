/* health_store.h -- the facts of a store, for ctl/health.h. */
#ifndef CTL_HEALTH_STORE_H
#define CTL_HEALTH_STORE_H

#include "ctl/health.h"

/* Opens the store in a child and looks.  Call it with no store open. */
void health_store_look(struct store_facts *f, const char *dir, tick_t now);

#endif
