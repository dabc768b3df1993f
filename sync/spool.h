/* spool.h -- bytes on their way: in memory up to SPOOL_MEMORY, then in a file without a name.
 *
 * An answer of the parent may be 100 MB, and several are on their way at a time: memory stays bounded whatever they are. */
#ifndef SYNC_SPOOL_H
#define SYNC_SPOOL_H

#include "common/xml.h"

#define SPOOL_MEMORY ((size_t)1 << 20)
struct spool;

/* dir: where the file is made if it is needed (the store's directory); kept by reference.  max: E_LIMIT beyond. */
int spool_new(struct spool **out, const char *dir, uint64_t max, struct err *e) MUST_CHECK;
void spool_free(struct spool **s);
void spool_reset(struct spool *s); /* empty again; keeps the memory, not the file */
int spool_add(struct spool *s, const void *p, size_t n, struct err *e) MUST_CHECK; /* E_LIMIT, E_FULL, E_IO, E_NOMEM */
uint64_t spool_size(const struct spool *s);
/* Up to n bytes from offset `at`; 0 at the end, -1 with e. */
ptrdiff_t spool_read(struct spool *s, uint64_t at, char *to, size_t n, struct err *e) MUST_CHECK;

/* For xml_init_stream() and import_document(): spool_refill with a struct spool_reader. */
struct spool_reader {
	struct spool *s;
	uint64_t at, end;
};
ptrdiff_t spool_refill(void *reader, char *to, size_t n, struct err *e);

#endif
