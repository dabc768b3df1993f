/* admission.h -- who may come: the tokens, and what nginx must know of the settings clients.*.
 *
 * A token is the first part of a computer's address of this server, https://HOST:8531/TOKEN.  Two are good at a time, so
 * that a new one can reach computers before the old one ends.  They lie in a file of their own beside the master secret:
 * wsus.conf may be read by everybody.
 * The file: a line for each, "TOKEN SINCE", SINCE in seconds since 1970, the newest first. */
#ifndef CTL_ADMISSION_H
#define CTL_ADMISSION_H

#include "common/buf.h"
#include "common/conf.h"
#include "common/err.h"

#define TOKENS_FILE "client-tokens" /* in the directory of the setting keys */
#define TOKEN_BYTES 16              /* random */
#define TOKEN_TEXT 32               /* as lower-case hex: nginx compares without regard to case */
#define TOKENS_MAX 2

struct token {
	char text[TOKEN_TEXT + 1];
	tick_t since;
};
struct tokens {
	struct token v[TOKENS_MAX]; /* the newest first */
	unsigned n;
};

/* A file that is not there has no token.  E_FORM names the line that is none, E_IO. */
int tokens_load(const char *file, struct tokens *out, struct err *e) MUST_CHECK;
/* Replaces the file at once; only its owner may read it. */
int tokens_save(const char *file, const struct tokens *t, struct err *e) MUST_CHECK;
/* A new one before the others, of which the newest stays good. */
int tokens_add(struct tokens *t, tick_t now, struct err *e) MUST_CHECK;

/* What stands in nginx's http block: who is a stranger ($wsus_stranger is empty, "network" or "token"), and the zones
 * of the limits.  Settings are judged first: nothing of a value can mean something else to nginx.  E_FORM, with file and
 * line; E_NOTFOUND: the setting wants a token and there is none; E_NOMEM. */
int admission_http(const struct conf *f, const struct tokens *t, struct buf *to, struct err *e) MUST_CHECK;
/* What stands in each of our servers. */
int admission_server(const struct conf *f, struct buf *to, struct err *e) MUST_CHECK;
enum admission { ADMIT_OPEN, ADMIT_NETWORKS, ADMIT_TOKEN };
int admission_of(const struct conf *f, enum admission *out, struct err *e) MUST_CHECK;

struct ctl;
/* The tokens of the server that a command is for, after places_find(). */
int admission_tokens(struct ctl *c, struct tokens *out) MUST_CHECK;

#endif
