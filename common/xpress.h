/* xpress.h -- the plain LZ77 Xpress coding of MS-WUSP 2.1.1 and MS-XCA 2.3, 2.4.
 *
 * A stream is blocks { int32le plain size, int32le packed size, bytes }, each packed on its own; a block
 * whose sizes are equal is stored raw.  Distances reach back at most 8,192 bytes. */
#ifndef COMMON_XPRESS_H
#define COMMON_XPRESS_H

#include "common/base.h"
#include "common/buf.h"

#define XPRESS_HEADER 8

/* Encodes n <= 65,535 bytes into to, which has room for XPRESS_WORST(n), and returns the size, larger than n
 * for what does not shrink.  Output always decodes to its input.  Made for packing while a client waits: fast, with
 * matches of mostly 6 bytes and more. */
#define XPRESS_WORST(n) ((n) + 4 * ((n) / 32 + 1))
size_t xpress_encode(const char *from, size_t n, char *to);
/* The same for what is stored: to be kept and hardly read, and, in more time, to be sent often. */
size_t xpress_encode_kept(const char *from, size_t n, char *to);
size_t xpress_encode_sent(const char *from, size_t n, char *to);

/* Packs n <= 65,535 bytes into to, which has room for `room` bytes; 0 if it does not fit or does not shrink
 * below n (then store raw). */
size_t xpress_pack_block(const char *from, size_t n, char *to, size_t room);

/* Decodes one block payload into exactly plain bytes; false on any inconsistency. Never reads or writes
 * outside the two ranges. */
bool xpress_unpack_block(const char *from, size_t n, char *to, size_t plain);

/* Appends `s`, at most 65,535 bytes, as one block that is not packed.  Empty s: no block. */
void xpress_add_stored(struct buf *out, struct slice s);

/* Appends `s` as blocks of at most `block` plain bytes (1..65535), headers included.  Empty s: no block.  Needs room
 * for XPRESS_WORST of the last one, though less may be added. */
void xpress_add(struct buf *out, struct slice s, size_t block);

/* The same with xpress_encode_kept() and xpress_encode_sent(). */
void xpress_add_kept(struct buf *out, struct slice s, size_t block);
void xpress_add_sent(struct buf *out, struct slice s, size_t block);

/* Decodes a whole stream of blocks, appending to out (whose max bounds the result). E_FORM if malformed. */
int xpress_unpack(struct slice stream, struct buf *out) MUST_CHECK;

/* Plain size of a whole stream by its headers only; false if they are inconsistent. */
bool xpress_plain_size(struct slice stream, uint64_t *out);

#endif
