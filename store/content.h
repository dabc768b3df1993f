/* content.h -- content files on disk: one file per SHA-1, content/XX/<40 HEX>, XX its last two digits.
 *
 * A file appears atomically (temporary name, fsync, rename) after both digests and the size agree with the
 * metadata; its mtime is the metadata's Modified, so that validators stay the same on every server. */
#ifndef STORE_CONTENT_H
#define STORE_CONTENT_H

#include "common/err.h"
#include "store/publish.h"
#include "store/store.h"

struct digests {
	struct sha1 sha1;
	struct sha256 sha256;
	uint64_t size;
};

#define CONTENT_PATH 4096
/* DIR/XX/HEX; false if it does not fit. */
bool content_path(const char *dir, const struct sha1 *digest, char out[CONTENT_PATH]);

/* A directory that the web server and its services may enter, whatever the umask; 0 if it is there, -1 with errno. */
int content_make_folder(int at, const char *name);

/* Reads the whole file once. */
int content_digest(const char *path, struct digests *out, struct err *e);
/* E_OK if the bytes are what the metadata says; E_CORRUPT with the difference in words. */
int content_check(const struct digests *have, const struct file *want, struct err *e);
/* Copies path into the content directory under its digest, verifying what is written. E_EXISTS: it was
 * there already with the right size. */
int content_place(const char *dir, const char *path, const struct file *f, struct err *e);

/* Removes the temporary files of runs that were killed. */
void content_sweep(const char *dir);

/* ---- what is here, in groups: an interrupted run keeps what it has done ---- */

#define CONTENT_GROUP 256
#define CONTENT_GROUP_BYTES ((uint64_t)1 << 30)
struct content_marks {
	struct store *store;
	bool stored;  /* or gone */
	struct sha1 digest[CONTENT_GROUP];
	unsigned n;
	uint64_t bytes;
	tick_t since; /* when the first of the group came */
	struct publish_report published; /* the last time */
};
/* Notes that the file is here, or gone.  A full group is written and published: approvals whose files are all there take
 * effect.  No transaction may be open. */
int content_mark(struct content_marks *m, const struct file *f, struct err *e) MUST_CHECK;
int content_mark_rest(struct content_marks *m, struct err *e) MUST_CHECK; /* those that are noted and not written */
/* Drops the marks of files that downstream servers wanted and that are here by now; no transaction may be open. */
int content_unwant(struct store *s, struct err *e) MUST_CHECK;

/* ---- the bell ----
 * STORE/fleet/content.bell is written to by the service when a downstream server asks for files: what fetches them watches it.
 * It rings once a request, so whoever is woken looks for more before it ends. */
#define CONTENT_BELL "fleet/content.bell"
bool content_bell_path(const char *store_dir, char out[CONTENT_PATH]);
void content_bell_ring(const char *store_dir); /* what fails, a timer makes good */

#endif
