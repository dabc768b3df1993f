/* content.h -- the resolver: which file a download path means, when nginx did not find it as written.
 *
 * nginx serves /Content/XX/HEX[.ext] in upper case by itself; other letter cases, a folder without its
 * leading zero, a missing folder come here.  So does /Content/XX/NAME, the file's name in the metadata, which
 * is how downstream servers ask (MS-WSUSSS 2.1): NAMES/XX/<name in lower case> is a symbolic link whose text is
 * the 40 hex digits; it is read as a text and never followed.  So do misses below /SelfUpdate, whose clients expect a server
 * that does not care for letter case.  The answer names an internal location; the file itself never passes
 * through here. */
#ifndef CGI_CONTENT_H
#define CGI_CONTENT_H

#include "common/base.h"
#include "common/serve.h"

#define CONTENT_TARGET 1024

struct content_places {
	int selfupdate;    /* directory below which /SelfUpdate is looked up, -1: there is none */
	const char *names; /* the directory NAMES, NULL: there is none; it may come later, with the first file */
};

/* path: decoded, as SCRIPT_NAME has it.  Writes the internal location's path, with a NUL; false: no such file
 * can exist. */
bool content_resolve(struct slice path, const struct content_places *in, char to[CONTENT_TARGET]);

/* Answers one request; headers are written to `headers`. */
void content_answer(const struct request *req, const struct content_places *in, char headers[CONTENT_TARGET + 64],
	struct answer *out);

/* The whole program: options -U SELFUPDATEDIR, -N NAMESDIR, -J JOBSDIR (status.h) and those of serve_main(). */
int content_main(int argc, char **argv);

#endif
