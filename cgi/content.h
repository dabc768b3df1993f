/* content.h -- the resolver: which file a download path means, when nginx did not find it as written.
 *
 * nginx serves /Content/XX/HEX[.ext] in upper case by itself; other letter cases, a folder without its
 * leading zero, a missing folder come here.  So do misses below /SelfUpdate, whose clients expect a server
 * that does not care for letter case.  The answer names an internal location; the file itself never passes
 * through here. */
#ifndef CGI_CONTENT_H
#define CGI_CONTENT_H

#include "common/base.h"
#include "common/serve.h"

#define CONTENT_TARGET 1024

/* path: decoded, as SCRIPT_NAME has it.  Writes the internal location's path, with a NUL; false: no such file
 * can exist.  selfupdate: directory below which /SelfUpdate is looked up, -1: there is none. */
bool content_resolve(struct slice path, int selfupdate, char to[CONTENT_TARGET]);

/* Answers one request; headers are written to `headers`. */
void content_answer(const struct request *req, int selfupdate, char headers[CONTENT_TARGET + 64],
	struct answer *out);

/* The whole program: options -U SELFUPDATEDIR, -J JOBSDIR (status.h) and those of serve_main(). */
int content_main(int argc, char **argv);

#endif
