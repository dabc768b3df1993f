/* conf.h -- the configuration file: lines `name = value`, and the table of the settings that only it knows.
 *
 * A line is blank, a comment (# before all else) or `name = value`; white space around both is no part of them, the
 * value goes to the end of its line and stands without quotes.  The store's own settings (store/setting.c) may stand in
 * the same file: this layer does not know their names, so whoever wants every name judged asks both tables.
 * A file is at most LIMIT_CONF bytes and is kept whole; lines are slices of it, nothing is allocated for one.
 * To add a setting: a row in conf.c, and its entry in doc/wsus.conf.5; `make etc/wsus.conf` writes the shipped file. */
#ifndef COMMON_CONF_H
#define COMMON_CONF_H

#include "common/arena.h"
#include "common/base.h"
#include "common/err.h"

#define CONF_FILE "/etc/wsus-fcgi/wsus.conf"

struct conf {
	const char *file;  /* as it is named in messages */
	struct slice text; /* absent: there is no file, every setting has its default */
	bool trusted;      /* root or who runs this owns it, and nobody else may write it: it may name commands */
};

struct conf_line {
	unsigned no;        /* 1 = the first; 0 = before it */
	size_t next;        /* where the line behind it begins */
	struct slice name;  /* what stands before "=" */
	struct slice value; /* may be empty */
	const char *wrong;  /* what the line is instead of `name = value`, with the remedy; NULL: nothing */
};

/* Reads a file into a; name and bytes live as long as a.  E_NOTFOUND, E_IO, E_LIMIT, E_NOMEM, E_FORM (no regular file). */
int conf_load(struct conf *out, const char *file, struct arena *a, struct err *e) MUST_CHECK;

/* The next line that is neither blank nor a comment; false behind the last:
 * for (struct conf_line l = {0}; conf_next(f, &l);) */
bool conf_next(const struct conf *f, struct conf_line *l) MUST_CHECK;
/* The first line with this name. */
bool conf_find(const struct conf *f, struct slice name, struct conf_line *out) MUST_CHECK;

/* ---- the table ---- */

struct conf_info {
	const char *name, *values, *dflt, *unit, *why; /* as in setting_table() of the store */
};
/* Ended by name == NULL. */
const struct conf_info *conf_table(void);
/* Judges a value: E_NOTFOUND for a name that the table has not, E_FORM with what is allowed. */
int conf_check(struct slice name, struct slice value, struct err *e) MUST_CHECK;
/* The value in force, the default if the file does not set it.  *at: its line, 0 for the default; may be NULL.
 * E_NOTFOUND for a name that the table has not; E_FORM, with file and line, for a value that is not allowed. */
int conf_get(const struct conf *f, const char *name, struct slice *out, unsigned *at, struct err *e) MUST_CHECK;

/* http or https, a host name or address (IPv6 in brackets), perhaps a port, and nothing behind: no blank, quote or
 * other character that means something to a form it is written in. */
bool conf_is_url(struct slice url);

#endif
