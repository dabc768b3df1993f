/* site.h -- where a server has its things: the store, the content files, the configuration file that is for them.
 *
 * One order for every program: what the command line says, WSUS_STORE, `store` of the configuration file, ./var/store of a clone,
 * the default. */
#ifndef COMMON_SITE_H
#define COMMON_SITE_H

#include "common/conf.h"

struct site {
	const char *store;   /* has catalog/ and fleet/ */
	const char *found;   /* who named it: "--store", "WSUS_STORE", "FILE:LINE", "./var/store", "the default" */
	const char *content; /* of the configuration file, else beside the store */
	struct conf conf;    /* the configuration file if it is for this store; else without text */
};
/* given: the value of --store, NULL: none.  The directories need not exist.  All words lie in a. */
int site_find(struct site *out, const char *given, struct arena *a, struct err *e) MUST_CHECK;
/* The file of WSUS_CONF, which has to be there, else that of an installed server, which may be absent (no text). */
int site_conf(struct conf *out, struct arena *a, struct err *e) MUST_CHECK;
/* Is it the store of an installed server: the one that the configuration file is for, or that in the default place?
 * Such a server has its things where the file or its defaults say, any other (of scripts/run.sh) beside its store. */
bool site_is_installed(const char *store, const struct conf *conf);
/* DIR/name for a store DIR/store, in words that people would choose; NULL without memory. */
const char *site_beside(const char *store, const char *name, struct arena *a);
/* The same file or directory, whatever the paths are? */
bool site_same(const char *x, const char *y);

#endif
