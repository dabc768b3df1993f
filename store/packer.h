/* packer.h -- cuts the text of one fragment into the chunks that the store keeps.
 *
 * Text goes in as it stands on the wire (escaped once), in any portions; the chunks that come out depend on
 * the text alone, never on the portions.  Extended, localized and EULA fragments stay plain and are cut where
 * neither a UTF-8 character nor an entity is split; the original is packed in Xpress blocks of 65,535 plain
 * bytes; a core fragment is packed likewise from XPRESS_PACK_MIN bytes on and plain below.  A chunk holds
 * whole blocks and never exceeds LIMIT_CHUNK.  Memory: one chunk and one portion. */
#ifndef STORE_PACKER_H
#define STORE_PACKER_H

#include "common/buf.h"
#include "common/err.h"
#include "store/store.h"

struct chunk {
	enum fragment_type type;
	uint16_t n;         /* 0, 1, ... within its fragment */
	bool packed;        /* whole Xpress blocks with headers */
	uint32_t plain;     /* bytes when decoded */
	struct slice bytes; /* valid during the call only */
};
typedef int chunk_fn(void *arg, const struct chunk *c, struct err *e);

struct packer {
	enum fragment_type type;
	uint32_t n;            /* chunks that left */
	struct buf text;       /* not yet packed, or not yet a full plain chunk */
	struct buf blocks;     /* finished blocks of the chunk under way ... */
	uint32_t blocks_plain; /* ... and their plain size */
	bool discard;          /* nobody wants the chunks: text is dropped */
	chunk_fn *emit;
	void *arg;
};

void packer_init(struct packer *p, chunk_fn *emit, void *arg);
void packer_free(struct packer *p);
/* Begins a fragment; what an abandoned one left is dropped. */
void packer_start(struct packer *p, enum fragment_type type);

/* Where to append text; at most PACKER_PORTION bytes between two calls of packer_drain(). */
#define PACKER_PORTION ((size_t)4 << 20)
static inline struct buf *packer_text(struct packer *p)
{
	return &p->text;
}
/* Lets full chunks go. */
int packer_drain(struct packer *p, struct err *e) MUST_CHECK;
/* Lets the rest go: the fragment is complete. */
int packer_finish(struct packer *p, struct err *e) MUST_CHECK;

#endif
