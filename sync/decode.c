/* decode.c -- a table of codings: how each begins, goes on and ends. */
#include "sync/decode.h"

#include <stdlib.h>

#include <zlib.h>

#include "common/arena.h"
#include "common/limits.h"
#include "common/text.h"
#include "common/xpress.h"

#define GZIP_OUT ((size_t)64 << 10)
#define GZIP_WINDOW (15 + 16) /* of zlib: the largest window, in gzip's frame */

struct coding_row;
struct decoder {
	const struct coding_row *row;
	decoded_fn *fn;
	void *arg;
	/* xpress: the block that comes, header included */
	size_t n;
	/* gzip */
	z_stream z;
	bool begun; /* a member is under way */
	char in[XPRESS_HEADER + XPRESS_BLOCK];
	char out[XPRESS_BLOCK > GZIP_OUT ? XPRESS_BLOCK : GZIP_OUT];
};

static int give(struct decoder *d, const char *p, size_t n, struct err *e)
{
	return n ? d->fn(d->arg, (struct slice){p, n}, e) : E_OK;
}

/* ---- as it is ---- */

static int identity_add(struct decoder *d, struct slice bytes, struct err *e)
{
	return give(d, bytes.p, bytes.n, e);
}

static int identity_end(struct decoder *d, struct err *e)
{
	(void)d;
	(void)e;
	return E_OK;
}

/* ---- xpress: blocks of two sizes and bytes; a header may come in pieces, too ---- */

static uint32_t le32(const char *from)
{
	const uint8_t *b = (const uint8_t *)from;
	return (uint32_t)b[3] << 24 | (uint32_t)b[2] << 16 | (uint32_t)b[1] << 8 | b[0];
}

static int malformed(struct err *e)
{
	return err_set(e, E_FORM, "the answer is not well-formed xpress");
}

/* Bytes that the block needs as far as is known: its header first. */
static int block_size(const struct decoder *d, size_t *out, struct err *e)
{
	*out = XPRESS_HEADER;
	if (d->n < XPRESS_HEADER)
		return E_OK;
	uint32_t plain = le32(d->in), packed = le32(d->in + 4);
	if (plain == 0 || plain > XPRESS_BLOCK || packed == 0 || packed > XPRESS_BLOCK)
		return malformed(e);
	*out += packed;
	return E_OK;
}

static int unpack_block(struct decoder *d, struct err *e)
{
	uint32_t plain = le32(d->in), packed = le32(d->in + 4);
	d->n = 0;
	if (plain == packed)
		return give(d, d->in + XPRESS_HEADER, plain, e);
	if (!xpress_unpack_block(d->in + XPRESS_HEADER, packed, d->out, plain))
		return malformed(e);
	return give(d, d->out, plain, e);
}

static int xpress_add_bytes(struct decoder *d, struct slice bytes, struct err *e)
{
	size_t need = 0;
	int rc = block_size(d, &need, e);
	while (rc == E_OK && bytes.n > 0) {
		size_t part = MIN(bytes.n, need - d->n);
		memcpy(d->in + d->n, bytes.p, part);
		d->n += part;
		bytes.p += part;
		bytes.n -= part;
		rc = block_size(d, &need, e);
		if (rc == E_OK && d->n == need && d->n > XPRESS_HEADER) {
			rc = unpack_block(d, e);
			need = XPRESS_HEADER;
		}
	}
	return rc;
}

static int xpress_end(struct decoder *d, struct err *e)
{
	return d->n == 0 ? E_OK : err_set(e, E_IO, "the answer ends in the middle of an xpress block");
}

/* ---- gzip: members one after the other ---- */

static int gzip_chunk(struct decoder *d, struct err *e)
{
	d->z.next_out = (Bytef *)d->out;
	d->z.avail_out = GZIP_OUT;
	d->begun = true;
	int result = inflate(&d->z, Z_NO_FLUSH);
	int rc = give(d, d->out, GZIP_OUT - d->z.avail_out, e);
	if (rc != E_OK)
		return rc;
	if (result == Z_STREAM_END) {
		d->begun = false;
		return inflateReset(&d->z) == Z_OK ? E_OK : err_set(e, E_NOMEM, "no memory to unpack an answer");
	}
	/* Z_BUF_ERROR: it wants more input */
	if (result != Z_OK && result != Z_BUF_ERROR)
		return result == Z_MEM_ERROR ? err_set(e, E_NOMEM, "no memory to unpack an answer")
					     : err_set(e, E_FORM, "the answer is not well-formed gzip");
	return E_OK;
}

static int gzip_add(struct decoder *d, struct slice bytes, struct err *e)
{
	int rc = E_OK;
	while (rc == E_OK && bytes.n > 0) {
		uInt part = (uInt)MIN(bytes.n, (size_t)1 << 20);
		d->z.next_in = (Bytef *)(uintptr_t)bytes.p;
		d->z.avail_in = part;
		bytes.p += part;
		bytes.n -= part;
		do
			rc = gzip_chunk(d, e);
		while (rc == E_OK && (d->z.avail_in > 0 || (d->begun && d->z.avail_out == 0)));
	}
	return rc;
}

static int gzip_end(struct decoder *d, struct err *e)
{
	return !d->begun ? E_OK : err_set(e, E_IO, "the answer ends in the middle of its gzip stream");
}

/* ---- all ---- */

static const struct coding_row {
	struct slice name;
	int (*add)(struct decoder *d, struct slice bytes, struct err *e);
	int (*end)(struct decoder *d, struct err *e);
	bool zlib;
} rows[] = {
	{{"", 0}, identity_add, identity_end, false},
	{{"identity", 8}, identity_add, identity_end, false},
	{{"xpress", 6}, xpress_add_bytes, xpress_end, false},
	{{"gzip", 4}, gzip_add, gzip_end, true},
	{{"x-gzip", 6}, gzip_add, gzip_end, true},
};

static const struct coding_row *find_row(struct slice coding)
{
	for (size_t i = 0; i < COUNTOF(rows); i++)
		if (text_ieq(coding, rows[i].name))
			return &rows[i];
	return NULL;
}

int decoder_new(struct decoder **out, struct slice coding, decoded_fn *fn, void *arg, struct err *e)
{
	const struct coding_row *row = find_row(text_trim(coding));
	*out = NULL;
	if (!row)
		return err_set(e, E_FORM, "Content-Encoding \"%.*s\" was not asked for", (int)MIN(coding.n, 40), coding.p);
	struct decoder *d = alloc_should_fail() ? NULL : malloc(sizeof(*d));
	if (!d)
		return err_set(e, E_NOMEM, "no memory to unpack an answer");
	d->row = row;
	d->fn = fn;
	d->arg = arg;
	d->n = 0;
	d->begun = false;
	d->z = (z_stream){0};
	if (row->zlib && inflateInit2(&d->z, GZIP_WINDOW) != Z_OK) {
		free(d);
		return err_set(e, E_NOMEM, "no memory to unpack an answer");
	}
	*out = d;
	return E_OK;
}

void decoder_free(struct decoder **d)
{
	if (!*d)
		return;
	if ((*d)->row->zlib)
		inflateEnd(&(*d)->z);
	free(*d);
	*d = NULL;
}

int decoder_add(struct decoder *d, struct slice bytes, struct err *e)
{
	return d->row->add(d, bytes, e);
}

int decoder_end(struct decoder *d, struct err *e)
{
	return d->row->end(d, e);
}
