/* manifest.h -- what a backup says about itself: its file `manifest`, see wsus-store(5).
 *
 * A directory without it is no backup: it is written last, and taken away first. */
#ifndef CTL_MANIFEST_H
#define CTL_MANIFEST_H

#include "ctl/cmd.h"

#define MANIFEST "manifest"
#define MANIFEST_FORMAT 1u
/* strftime() and strptime(): the name of one of several, so that their order is the order of time. */
#define BACKUP_NAME "wsus-%Y%m%dT%H%M%SZ"
#define BACKUP_NAME_LENGTH 21

struct manifest_file {
	struct sha256 digest;
	uint64_t size;
	unsigned mode;
	const char *user; /* its owner by name, which outlives a machine; the number where there is none */
	const char *path;         /* below the backup; never leads out of it */
};

struct manifest {
	struct guid server;
	uint32_t generation;
	tick_t made;
	struct manifest_file *file;
	unsigned n;
	uint64_t bytes;
};

/* Digests every file below dir and writes the manifest, synchronized.  made, server and generation are the
 * caller's; the rest of *m is filled, in ctl's arena. */
int manifest_write(struct ctl *c, struct manifest *m, const char *dir) MUST_CHECK;
/* E_NOTFOUND: not a backup; E_VERSION: of a newer program; E_CORRUPT: damaged.  All in words. */
int manifest_read(struct ctl *c, struct manifest *m, const char *dir) MUST_CHECK;
/* Are all files there, with size and digest?  E_CORRUPT names the first that is not. */
int manifest_check(struct ctl *c, const struct manifest *m, const char *dir) MUST_CHECK;
/* dir/path in ctl's arena, NULL without memory. */
const char *ctl_path(struct ctl *c, const char *dir, const char *path);

#endif
