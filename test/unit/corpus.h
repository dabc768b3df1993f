/* corpus.h -- recorded traffic and specifications for tests: whole files, looked for beside the project.
 *
 * WSUS_CORPUS and WSUS_SPEC say where they are; without them tests skip, loudly. */
#ifndef TEST_UNIT_CORPUS_H
#define TEST_UNIT_CORPUS_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base.h"
#include "common/buf.h"

static inline const char *corpus_dir(void)
{
	const char *dir = getenv("WSUS_CORPUS");
	return dir ? dir : "../shared/corpus";
}

static inline const char *spec_dir(void)
{
	const char *dir = getenv("WSUS_SPEC");
	return dir ? dir : "../shared/spec";
}

/* Reads dir/name whole; false if it cannot be opened. */
static inline bool read_whole(struct buf *b, const char *dir, const char *name)
{
	char path[1024];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *f = fopen(path, "rb");
	buf_reset(b);
	if (!f)
		return false;
	for (size_t n = 1; n && buf_room(b, 65536);) {
		n = fread(b->p + b->n, 1, 65536, f);
		b->n += n;
	}
	fclose(f);
	return b->rc == 0;
}

#define SKIP_WITHOUT(dir) \
	do { \
		if (access((dir), R_OK) != 0) { \
			print_message("SKIPPED: %s: %s is not there\n", __func__, (dir)); \
			skip(); \
		} \
	} while (0)

#endif
