/* place.h -- where the store and its content are, and which configuration file is for them. */
#ifndef CTL_PLACE_H
#define CTL_PLACE_H

#include "ctl/cmd.h"

/* The file of WSUS_CONF, which has to be there, else that of an installed server, which may be absent (no text). */
int place_conf(struct ctl *c, struct conf *out) MUST_CHECK;
/* Settles c->store_dir, store_found, content_dir and conf.  Store: --store, WSUS_STORE, `store` of the configuration file,
 * ./var/store of a clone, the default.  The directory need not exist. */
int places_find(struct ctl *c) MUST_CHECK;
/* Is it the store of an installed server: the one that the configuration file is for, or that in the default place?
 * Such a server has its things where the file or its defaults say, any other (of scripts/run.sh) beside its store. */
bool place_is_installed(const struct ctl *c);
/* DIR/name for a store DIR/store, in words that people would choose; NULL without memory. */
const char *place_beside(struct ctl *c, const char *name);
/* The directory of the setting `name` of an installed server, else place_beside(). */
int place_dir(struct ctl *c, const char *name, const char *beside, const char **out) MUST_CHECK;
/* The directory of the certificate. */
int place_tls(struct ctl *c, const char **out) MUST_CHECK;
/* The address under which computers reach the server: the setting url, else made of https.port and the first of names,
 * else of the certificate's (its first with a domain, else its first but localhost).  E_NOTFOUND: none of them says. */
int place_url(struct ctl *c, const char **out) MUST_CHECK;
/* https, this host, the setting https.port; of an instance of scripts/run.sh what its nginx listens on. */
int place_make_url(struct ctl *c, struct slice host, const char **out) MUST_CHECK;
/* The same file or directory, whatever the paths are? */
bool place_same(const char *a, const char *b);
/* All of a file with certificates, in a.  E_NOTFOUND; E_IO; E_FORM: it is too large for that. */
int place_read_pem(const char *path, struct arena *a, struct slice *out, struct err *e) MUST_CHECK;

#endif
