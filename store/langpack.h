/* langpack.h -- the short localized fragments of a revision in one value: most say the same in another language
 * and are asked for by nobody, yet as rows of their own they took a third of the catalog.
 *
 * Value: be16 bytes of the directory | directory | Xpress blocks with headers.
 * Directory: for each language, ascending: u8 bytes of its locale, +128 if it begins a block | locale | be16 plain
 * bytes.  The fragments stand whole in the blocks in that order; so one language costs one block's unpacking. */
#ifndef STORE_LANGPACK_H
#define STORE_LANGPACK_H

#include "common/arena.h"
#include "common/buf.h"
#include "common/limits.h"

#define LANGPACK_BLOCK ((size_t)8 << 10)   /* plain bytes of a block */
#define LANGPACK_PLAIN ((size_t)192 << 10) /* of all: however badly it packs, the value is no larger than LIMIT_CHUNK */

/* ---- writing ---- */
struct langpack {
	struct buf directory, blocks, open /* block, still plain */, value;
	uint32_t plain;
};
void langpack_init(struct langpack *p);
void langpack_free(struct langpack *p);
void langpack_reset(struct langpack *p);
/* Locales ascending.  False: it is too long, or the value is full; it needs a row of its own. */
bool langpack_add(struct langpack *p, struct slice locale, struct slice text);
/* The value, which lives until the next langpack_reset(). */
int langpack_end(struct langpack *p, struct slice *value) MUST_CHECK;

/* ---- reading ---- */
struct language {
	struct slice locale;
	struct slice packed; /* the block without its header ... */
	size_t block_plain;  /* ... and its size when unpacked; equal: it is stored raw */
	size_t at, n;        /* the fragment in the unpacked block */
};
typedef int language_fn(const struct language *l, void *arg);
/* Every language without unpacking anything; fn returns non-zero to stop (that becomes the result).  E_CORRUPT
 * if directory and blocks do not belong together. */
int langpack_each(struct slice value, language_fn *fn, void *arg) MUST_CHECK;
/* The text of one language, unpacked into a.  E_NOTFOUND, E_CORRUPT, E_NOMEM. */
int langpack_find(struct slice value, struct slice locale, struct arena *a, struct slice *text) MUST_CHECK;

#endif
