/* f_xpress.c -- what is packed comes back; what is hostile is refused within its bounds.
 *
 * The input is taken three ways: as a text to pack, as a stream to unpack, as one block of any plain size. */
#include "common/xpress.h"

#include <stdlib.h>

#include "common/err.h"
#include "common/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef void add_fn(struct buf *out, struct slice s, size_t block);

static void round_trip(struct slice s, size_t block, add_fn *add)
{
	struct buf packed, back;
	uint64_t plain;
	buf_init(&packed, SIZE_MAX / 2);
	buf_init(&back, s.n);
	add(&packed, s, block);
	ASSERT(packed.n <= s.n + XPRESS_HEADER * (s.n / block + 1));
	ASSERT(xpress_plain_size(buf_bytes(&packed), &plain) && plain == s.n);
	ASSERT(xpress_unpack(buf_bytes(&packed), &back) == E_OK);
	ASSERT(slice_eq(buf_bytes(&back), s));
	buf_free(&packed);
	buf_free(&back);
}

/* Also without the way out that storing raw is. */
static void encode(struct slice s, size_t (*coder)(const char *, size_t, char *))
{
	char *to = malloc(XPRESS_WORST(s.n)), *back = malloc(s.n + 1);
	ASSERT(to && back);
	size_t n = coder(s.p, s.n, to);
	ASSERT(n <= XPRESS_WORST(s.n));
	ASSERT(xpress_unpack_block(to, n, back, s.n) && memcmp(back, s.p, s.n) == 0);
	free(to);
	free(back);
}

/* A stream that is accepted decodes to what its headers say, and its text packs again. */
static void unpack(struct slice s)
{
	struct buf out;
	uint64_t plain;
	buf_init(&out, 1 << 20);
	if (xpress_unpack(s, &out) == E_OK) {
		ASSERT(xpress_plain_size(s, &plain) && plain == out.n);
		round_trip(buf_bytes(&out), XPRESS_BLOCK, xpress_add);
	}
	buf_free(&out);
}

static void unpack_block(struct slice s)
{
	if (s.n < 2)
		return;
	size_t plain = get_be16(s.p);
	char *to = malloc(plain + !plain);
	ASSERT(to);
	(void)xpress_unpack_block(s.p + 2, s.n - 2, to, plain);
	free(to);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice s = {(const char *)data, size};
	if (size == 0)
		return 0;
	round_trip(s, 1 + data[0] * 257u % XPRESS_BLOCK, xpress_add);
	round_trip(s, 1 + data[0] * 257u % XPRESS_BLOCK, xpress_add_kept);
	round_trip(s, 1 + data[0] * 257u % XPRESS_BLOCK, xpress_add_sent);
	if (size <= XPRESS_BLOCK) {
		encode(s, xpress_encode);
		encode(s, xpress_encode_kept);
		encode(s, xpress_encode_sent);
	}
	unpack(s);
	unpack_block(s);
	return 0;
}
