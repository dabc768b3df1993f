/* place.h -- where the store and its content are, and which configuration file is for them. */
#ifndef CTL_PLACE_H
#define CTL_PLACE_H

#include "ctl/cmd.h"

/* The file of WSUS_CONF, which has to be there, else that of an installed server, which may be absent (no text). */
int place_conf(struct ctl *c, struct conf *out) MUST_CHECK;
/* Settles c->store_dir, store_found, content_dir and conf.  Store: --store, WSUS_STORE, `store` of the configuration file,
 * ./var/store of a clone, the default.  The directory need not exist. */
int places_find(struct ctl *c) MUST_CHECK;

#endif
