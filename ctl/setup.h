/* setup.h -- what a Windows computer must be told to use this server: one table of registry values, four ways to write it.
 *
 * Values and types are those of the policies of WindowsUpdate.admx.  Nothing here reads a file or the store; what comes
 * from outside (address, group, certificate) is quoted for the form it is written in, and no form can be broken out of. */
#ifndef CTL_SETUP_H
#define CTL_SETUP_H

#include "common/buf.h"
#include "common/err.h"
#include "ctl/out.h"

#define SETUP_HOURS_DEFAULT 22 /* what Windows does without the policy: 100,000 computers are 1.3 scans a second */
#define SETUP_HOURS_MAX 22     /* the policy's own limits: 1 to 22 */

#define SETUP_AUTHORITIES 3

struct setup {
	struct slice url;   /* conf_is_url(), and a token behind it if computers need one */
	struct slice group; /* a group's name, UTF-8 without control characters */
	unsigned hours;
	bool undo;             /* write what takes everything back; url, group and hours are not looked at */
	bool token;            /* url has one */
	bool networks;         /* the server refuses whoever is not in clients.networks */
	bool server_targeting; /* the server puts computers into groups: TargetGroup is ignored */
	struct setup_authority {
		const char *file;   /* what it is called for people */
		struct slice der;
		uint8_t thumbprint[20]; /* SHA-1 */
	} authority[SETUP_AUTHORITIES]; /* to trust: ours, its successor, and to be forgotten the one before */
	unsigned authorities;
};

/* Takes the one authority certificate out of a PEM file's bytes as one more to trust; der lies in the arena.  `file`, a
 * literal, is its name for people.  E_FORM says what the file holds instead: a private key, a chain, a certificate that is
 * no authority. */
int setup_add_authority(struct setup *s, const char *file, struct slice pem, struct arena *a, struct err *e) MUST_CHECK;

/* The format of this name, NULL if there is none: it appends the whole file.  reg is UTF-16LE with BOM and CRLF, as
 * regedit writes it: the one form in which names beyond ASCII are read alike by every Windows.  ps1 is ASCII alone, for
 * Windows PowerShell takes a script without BOM for the computer's own code page. */
typedef void setup_format(const struct setup *s, struct buf *b);
setup_format *setup_format_named(const char *name);
#define SETUP_FORMATS "reg, ps1, gpo or text"

/* The values as a list: key, name, type, value. */
void setup_list(const struct setup *s, struct out *o);

#endif
