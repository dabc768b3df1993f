/* content.h -- content files on disk: one file per SHA-1, content/XX/<40 HEX>, XX its last two digits.
 *
 * A file appears atomically (temporary name, fsync, rename) after both digests and the size agree with the
 * metadata; its mtime is the metadata's Modified, so that validators stay the same on every server. */
#ifndef STORE_CONTENT_H
#define STORE_CONTENT_H

#include "common/err.h"
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

#endif
