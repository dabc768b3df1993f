/* cabinet.h -- cabinets for tests, [MS-CAB]: of one member, with the forms of each packing that need no packer. */
#ifndef TEST_UNIT_CABINET_H
#define TEST_UNIT_CABINET_H

#include "common/buf.h"

enum cab_kind { CAB_STORED = 0, CAB_MSZIP = 1, CAB_QUANTUM = 0x1472, CAB_LZX = 0x1503 };
#define CAB_FRAME ((size_t)32768)

static inline void cab_u16(struct buf *b, unsigned v)
{
	buf_char(b, (char)v);
	buf_char(b, (char)(v >> 8));
}

static inline void cab_u32(struct buf *b, uint32_t v)
{
	cab_u16(b, v & 0xFFFF);
	cab_u16(b, v >> 16);
}

/* One block as it stands behind its CFDATA header.  MSZIP: a stored block of deflate.  LZX: one uncompressed block that holds the
 * whole member begins with the first frame: no E8 translation, type 3, its size, then R0 to R2. */
static inline void cab_block(struct buf *b, enum cab_kind kind, struct slice piece, size_t all, bool first)
{
	if (kind == CAB_MSZIP) {
		buf_str(b, "CK");
		buf_char(b, 1);
		cab_u16(b, (unsigned)piece.n);
		cab_u16(b, ~(unsigned)piece.n & 0xFFFF);
	}
	if (kind == CAB_LZX && first) {
		uint32_t bits = 3u << 28 | (uint32_t)all << 4;
		cab_u16(b, bits >> 16);
		cab_u16(b, bits & 0xFFFF);
		for (int i = 0; i < 3; i++)
			cab_u32(b, 1);
	}
	buf_slice(b, piece);
	if (kind == CAB_LZX && piece.n % 2)
		buf_char(b, 0);
}

static inline void cab_make(struct buf *b, enum cab_kind kind, struct slice member)
{
	size_t blocks = (member.n + CAB_FRAME - 1) / CAB_FRAME;
	struct buf data;
	buf_init(&data, (size_t)1 << 30);
	for (size_t i = 0; i < blocks; i++) {
		struct slice piece = {member.p + i * CAB_FRAME, MIN(member.n - i * CAB_FRAME, CAB_FRAME)};
		struct buf one;
		buf_init(&one, CAB_FRAME + 64);
		cab_block(&one, kind, piece, member.n, i == 0);
		cab_u32(&data, 0); /* a checksum of zero is none */
		cab_u16(&data, (unsigned)one.n);
		cab_u16(&data, (unsigned)piece.n);
		buf_slice(&data, buf_bytes(&one));
		buf_free(&one);
	}
	buf_reset(b);
	buf_str(b, "MSCF");
	cab_u32(b, 0);
	cab_u32(b, (uint32_t)(65 + data.n));
	cab_u32(b, 0);
	cab_u32(b, 44);
	cab_u32(b, 0);
	buf_char(b, 3);
	buf_char(b, 1);
	cab_u16(b, 1); /* folders, files, flags, set, number in it */
	cab_u16(b, 1);
	for (int i = 0; i < 3; i++)
		cab_u16(b, 0);
	cab_u32(b, 65);
	cab_u16(b, (unsigned)blocks);
	cab_u16(b, (unsigned)kind);
	cab_u32(b, (uint32_t)member.n);
	cab_u32(b, 0);
	for (int i = 0; i < 4; i++)
		cab_u16(b, 0);
	buf_add(b, "blob", 5);
	buf_slice(b, buf_bytes(&data));
	buf_free(&data);
}

/* ASCII as UTF-16LE. */
static inline void cab_wide(struct buf *b, struct slice ascii)
{
	for (size_t i = 0; i < ascii.n; i++)
		cab_u16(b, (unsigned char)ascii.p[i]);
}

#endif
