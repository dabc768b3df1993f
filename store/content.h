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

/* The same of a file that somebody else put under its name, or whom a killed run left there: E_OK if it is whole, E_NOTFOUND if it
 * is not there, E_CORRUPT. */
int content_look(const char *dir, const struct file *f, struct err *e) MUST_CHECK;

/* Removes the temporary files of runs that were killed. */
void content_sweep(const char *dir);

/* The extension of a file's name, which stands behind its digest in URLs: at most 16 letters and digits, else empty. */
struct slice content_extension(struct slice name);

/* ---- a file on its way ----
 * DIR/.partial/<40 HEX>, mode 0600: what came of it stays whatever happens, and who opens it again goes on behind it.  One
 * process at a time (job lock "content").  Its digests are computed as it comes; of what was there, once, when it is opened. */
#define CONTENT_PARTIAL ".partial"
struct content_part;
/* A part that is longer than the file begins anew. */
int content_part_open(struct content_part **out, const char *dir, const struct file *f, struct err *e) MUST_CHECK;
uint64_t content_part_have(const struct content_part *p);
int content_part_restart(struct content_part *p, struct err *e) MUST_CHECK; /* empty again */
int content_part_add(struct content_part *p, struct slice bytes, struct err *e) MUST_CHECK; /* E_CORRUPT beyond the file's size */
/* Gives it its name if it is what the metadata says; E_CORRUPT: it is not, and is empty again. */
int content_part_place(struct content_part *p, struct err *e) MUST_CHECK;
void content_part_close(struct content_part **p); /* what is there stays */
/* How much is there of a file on its way, without opening it. */
uint64_t content_part_size(const char *dir, const struct sha1 *digest);
void content_part_drop(const char *dir, const struct sha1 *digest);
/* Calls fn for each. */
int content_parts_each(const char *dir, int (*fn)(const struct sha1 *digest, uint64_t size, void *arg), void *arg, struct err *e)
	MUST_CHECK;

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

/* The speed at which the last job fetched that fetched enough to tell: for estimates.  STORE/content.rate. */
void content_rate_note(const char *store_dir, uint64_t bytes_per_second, uint64_t bytes);
uint64_t content_rate_last(const char *store_dir); /* bytes per second, 0: not known */

/* ---- the bell ----
 * STORE/fleet/content.bell is written to by the service when a downstream server asks for files: what fetches them watches it.
 * It rings once a request, so whoever is woken looks for more before it ends. */
#define CONTENT_BELL "fleet/content.bell"
bool content_bell_path(const char *store_dir, char out[CONTENT_PATH]);
void content_bell_ring(const char *store_dir); /* what fails, a timer makes good */

#endif
