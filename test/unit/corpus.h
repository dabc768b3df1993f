/* corpus.h -- files of the recorded corpus for tests; a test that lacks them says so and is skipped. */
#ifndef TEST_UNIT_CORPUS_H
#define TEST_UNIT_CORPUS_H

#include <stdio.h>
#include <stdlib.h>

#include "common/buf.h"

/* Reads ${WSUS_CORPUS:-../shared/corpus}/name into out; false, with a word on stderr, if it is not there. */
static inline bool corpus_read(struct buf *out, const char *name)
{
	const char *dir = getenv("WSUS_CORPUS");
	char path[1024];
	snprintf(path, sizeof(path), "%s/%s", dir ? dir : "../shared/corpus", name);
	FILE *f = fopen(path, "rb");
	if (!f) {
		fprintf(stderr, "SKIP: no corpus file %s\n", path);
		return false;
	}
	char part[8192];
	for (size_t n; (n = fread(part, 1, sizeof(part), f)) > 0;)
		buf_add(out, part, n);
	fclose(f);
	return out->rc == 0;
}

#endif
