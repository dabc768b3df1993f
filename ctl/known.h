/* known.h -- the settings that may stand in the configuration file: the server's own and those of the store. */
#ifndef CTL_KNOWN_H
#define CTL_KNOWN_H

#include "common/base.h"
#include "common/buf.h"
#include "common/conf.h"

struct known {
	struct conf_info info;
	bool in_store; /* a line in the file is carried there by `wsusctl config apply` */
};

/* The nth of both tables, the server's first; false past the last. */
bool known_nth(unsigned n, struct known *out) MUST_CHECK;
bool known_find(struct slice name, struct known *out) MUST_CHECK;
/* Judges a value by the table of its name: E_FORM says what is allowed. */
int known_check(const struct known *k, struct slice value, struct err *e) MUST_CHECK;
/* The name that was perhaps meant: at most two letters differ; NULL if there is none. */
const char *known_near(struct slice name);
/* The whole file, each setting commented out at its default. */
void known_template(struct buf *b);

#endif
