/* storm_unpack.c -- Xpress for b_storm, which shares the cores with the server it measures.
 *
 * A large core fragment comes as a block of its own, the same bytes for every computer.  The first time a block is
 * unpacked and read as all else; when the same bytes come again, only its beginning, which has the UpdateID, takes
 * its place in the text.  Without this half of the machine is busy with reading what it has read before. */
#include <stdlib.h>

#include "common/limits.h"
#include "common/text.h"
#include "common/xpress.h"
#include "test/bench/storm.h"

#define PLACES (1 << 17) /* at most half of them are used: 65,536 fragments */
#define BEGINNING SL("&lt;UpdateIdentity ")

static struct known {
	uint64_t hash;
	char *bytes; /* packed, then the text that stands for it */
	uint32_t n, plain, text;
} *known;
static size_t known_n;

static uint64_t hash_of(struct slice s)
{
	uint64_t h = s.n, word;
	for (; s.n >= 8; s.p += 8, s.n -= 8) {
		memcpy(&word, s.p, 8);
		h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= h >> 29;
	}
	for (; s.n > 0; s.p++, s.n--)
		h = (h ^ (uint8_t)*s.p) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 32;
}

static struct known *place(struct slice packed, uint32_t plain, uint64_t hash)
{
	size_t at = hash & (PLACES - 1);
	while (known[at].bytes && (known[at].hash != hash || known[at].n != packed.n || known[at].plain != plain ||
		memcmp(known[at].bytes, packed.p, packed.n) != 0))
		at = (at + 1) & (PLACES - 1);
	return &known[at];
}

/* A whole fragment and nothing else: escaped text from its first tag to the end of its last. */
static bool is_fragment(struct slice text)
{
	return text.n >= XPRESS_PACK_MIN && text_starts(text, BEGINNING) && !memchr(text.p, '<', text.n) &&
		memcmp(text.p + text.n - 4, "&gt;", 4) == 0;
}

static void remember(struct known *k, struct slice packed, struct slice text, uint64_t hash)
{
	const char *end = memmem(text.p, text.n, "&gt;", 4);
	size_t n = (size_t)(end - text.p) + 4;
	if (known_n == PLACES / 2 || !(k->bytes = malloc(packed.n + n)))
		return;
	known_n++;
	memcpy(k->bytes, packed.p, packed.n);
	memcpy(k->bytes + packed.n, text.p, n);
	k->hash = hash;
	k->n = (uint32_t)packed.n;
	k->plain = (uint32_t)text.n;
	k->text = (uint32_t)n;
}

static int take_block(struct slice packed, uint32_t plain, struct buf *out)
{
	uint64_t hash = hash_of(packed);
	struct known *k = place(packed, plain, hash);
	if (k->bytes) {
		buf_add(out, k->bytes + k->n, k->text);
		return out->rc;
	}
	char *to = buf_room(out, plain);
	if (!to || !xpress_unpack_block(packed.p, packed.n, to, plain))
		return to ? E_FORM : out->rc;
	out->n += plain;
	if (is_fragment((struct slice){to, plain}))
		remember(k, packed, (struct slice){to, plain}, hash);
	return E_OK;
}

static uint32_t le32(const char *p)
{
	const uint8_t *b = (const uint8_t *)p;
	return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

int storm_unpack(struct slice stream, struct buf *out, uint64_t *plain_bytes)
{
	if (!known && !(known = calloc(PLACES, sizeof(*known))))
		return E_NOMEM;
	while (stream.n >= XPRESS_HEADER) {
		uint32_t plain = le32(stream.p), n = le32(stream.p + 4);
		struct slice packed = {stream.p + XPRESS_HEADER, n};
		if (plain == 0 || plain > XPRESS_BLOCK || n == 0 || n > stream.n - XPRESS_HEADER)
			return E_FORM;
		int rc = E_OK;
		if (n == plain)
			buf_slice(out, packed);
		else
			rc = take_block(packed, plain, out);
		if (rc != E_OK || out->rc != E_OK)
			return rc != E_OK ? rc : out->rc;
		*plain_bytes += plain;
		stream = (struct slice){packed.p + n, stream.n - XPRESS_HEADER - n};
	}
	return stream.n == 0 ? E_OK : E_FORM;
}
