/* place.h -- where the things of the server that a command is for are. */
#ifndef CTL_PLACE_H
#define CTL_PLACE_H

#include "common/site.h"
#include "ctl/cmd.h"

/* As in common/site.h: the configuration file, */
int place_conf(struct ctl *c, struct conf *out) MUST_CHECK;
/* what settles c->store_dir, store_found, content_dir and conf, */
int places_find(struct ctl *c) MUST_CHECK;
/* is it an installed server, */
bool place_is_installed(const struct ctl *c);
/* and what lies beside its store. */
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
/* All of a file with certificates, in a.  E_NOTFOUND; E_IO; E_FORM: it is too large for that. */
int place_read_pem(const char *path, struct arena *a, struct slice *out, struct err *e) MUST_CHECK;

#endif
