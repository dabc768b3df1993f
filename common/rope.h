/* rope.h -- a reply under construction: our own glue between bytes that lie ready in the store.
 *
 * Glue (tags, numbers) is written into a buffer of the rope; fragments are spliced by reference, either
 * plain or as finished Xpress blocks, and must stay valid until the reply is sent (the transaction stays
 * open as long).  At the end rope_render() makes the iovec for one of three codings; glue and small plain
 * pieces between finished blocks are packed together, so that small fragments share a block, or stored as they are if
 * all of it is short (XPRESS_RUN_MIN). */
#ifndef COMMON_ROPE_H
#define COMMON_ROPE_H

#include "common/base.h"
#include "common/buf.h"

struct arena;
struct iovec;

/* One stored run of bytes.  packed: Xpress blocks with headers, `plain` bytes when decoded. */
struct piece {
	struct slice bytes;
	uint32_t plain;
	bool packed;
};

/* A fragment: its pieces in order; n == 0 is the absent fragment. */
struct frag {
	const struct piece *v;
	size_t n;
};

enum coding {
	CODING_PLAIN,
	CODING_XPRESS_MIXED,  /* finished blocks pass through, the rest is in blocks of up to 65,535 */
	CODING_XPRESS_STREAM, /* everything re-cut at 16,352, as the product does */
};

struct rope_seg;
struct rope {
	struct buf glue;
	struct rope_seg *seg;
	size_t nseg, seg_cap;
	size_t glue_mark; /* glue up to here belongs to a segment already */
	uint64_t plain;   /* bytes of the whole reply when decoded, glue since the mark excluded */
	int rc;           /* sticky: E_OK, E_NOMEM, E_LIMIT, E_CORRUPT */
};

void rope_init(struct rope *r);
void rope_free(struct rope *r);
void rope_reset(struct rope *r); /* keeps memory below ARENA_KEEP */

/* The buffer to write glue into. */
static inline struct buf *rope_buf(struct rope *r)
{
	return &r->glue;
}
void rope_splice(struct rope *r, const struct frag *f);
uint64_t rope_plain_size(const struct rope *r);

/* Renders into iov (allocated in a) with the packed blocks in `packed`, both valid until either is reset.
 * *total is the number of bytes on the wire. */
int rope_render(struct rope *r, enum coding coding, struct arena *a, struct buf *packed, struct iovec **iov,
	size_t *niov, uint64_t *total) MUST_CHECK;

#endif
