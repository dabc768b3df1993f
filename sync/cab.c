/* cab.c -- a cabinet in a spool, by libmspack's reader with files of our own under it.
 *
 * What is no document of one member is refused before libmspack sees it, so that its lists stay at one entry each; what it
 * unpacks is counted and turned to UTF-8 as it comes. */
#include "sync/cab.h"

#include <mspack.h>
#include <stdlib.h>

#include "common/arena.h"

#define CAB_HEADER 36
#define CAB_PREVIOUS_OR_NEXT 3u /* flags: part of a set */
#define PIECE ((size_t)16 << 10)

enum text_form { FORM_UNKNOWN, FORM_UTF8, FORM_UTF16 };

struct unpack {
	struct mspack_system sys; /* first: libmspack hands it back */
	struct spool *cabinet, *to;
	uint64_t max, made; /* bytes of UTF-8 */
	struct err *e;
	int rc; /* of what we did; libmspack's own codes say less */
	enum text_form form;
	uint8_t head[2];   /* of a text whose form is not known yet, of a unit in UTF-16 */
	size_t nhead;
	uint32_t high;     /* surrogate whose other half is still to come */
	char piece[PIECE]; /* of UTF-8 */
	size_t n;
};

/* One of the two "files" that libmspack opens. */
struct handle {
	struct unpack *u;
	bool writes;
	off_t at;
};
#define HANDLE(file) ((struct handle *)(void *)(file))

/* ================= UTF-16LE to UTF-8 ================= */

static int flush(struct unpack *u)
{
	if (u->rc == E_OK && u->n > u->max - u->made)
		u->rc = err_set(u->e, E_LIMIT, "the document in the cabinet has more than %llu bytes", (unsigned long long)u->max);
	if (u->rc == E_OK)
		u->rc = spool_add(u->to, u->piece, u->n, u->e);
	u->made += u->n;
	u->n = 0;
	return u->rc;
}

static void put_character(struct unpack *u, uint32_t c)
{
	char *p = u->piece + u->n;
	if (c < 0x80) {
		*p++ = (char)c;
	} else if (c < 0x800) {
		*p++ = (char)(0xC0 | c >> 6);
		*p++ = (char)(0x80 | (c & 0x3F));
	} else if (c < 0x10000) {
		*p++ = (char)(0xE0 | c >> 12);
		*p++ = (char)(0x80 | (c >> 6 & 0x3F));
		*p++ = (char)(0x80 | (c & 0x3F));
	} else {
		*p++ = (char)(0xF0 | c >> 18);
		*p++ = (char)(0x80 | (c >> 12 & 0x3F));
		*p++ = (char)(0x80 | (c >> 6 & 0x3F));
		*p++ = (char)(0x80 | (c & 0x3F));
	}
	u->n = (size_t)(p - u->piece);
}

static int lone(struct unpack *u)
{
	return u->rc = err_set(u->e, E_FORM, "the document in the cabinet is not UTF-16: half a character behind byte %llu of it",
		(unsigned long long)(u->made + u->n));
}

static int put_unit(struct unpack *u, uint32_t unit)
{
	bool low = unit >= 0xDC00 && unit <= 0xDFFF;
	if ((u->high != 0) != low)
		return lone(u);
	if (unit >= 0xD800 && unit <= 0xDBFF) {
		u->high = unit;
		return E_OK;
	}
	put_character(u, low ? 0x10000 + ((u->high - 0xD800) << 10) + (unit - 0xDC00) : unit);
	u->high = 0;
	return u->n > PIECE - 4 ? flush(u) : E_OK;
}

static int put_utf16(struct unpack *u, const uint8_t *p, size_t n)
{
	int rc = E_OK;
	for (size_t i = 0; rc == E_OK && i < n; i++) {
		u->head[u->nhead++] = p[i];
		if (u->nhead == 2) {
			u->nhead = 0;
			rc = put_unit(u, (uint32_t)u->head[0] | (uint32_t)u->head[1] << 8);
		}
	}
	return rc;
}

static int put_utf8(struct unpack *u, const uint8_t *p, size_t n)
{
	int rc = flush(u);
	for (size_t k; rc == E_OK && n > 0; p += k, n -= k) {
		k = MIN(n, PIECE);
		memcpy(u->piece, p, k);
		u->n = k;
		rc = flush(u);
	}
	return rc;
}

/* A document begins with '<', perhaps behind a byte order mark: its first two bytes tell. */
static int put_first(struct unpack *u)
{
	const uint8_t a = u->head[0], b = u->head[1];
	u->nhead = 0;
	if (a == 0xFE && b == 0xFF)
		return u->rc = err_set(u->e, E_FORM, "the document in the cabinet is UTF-16 in the wrong byte order");
	u->form = (a == 0xFF && b == 0xFE) || b == 0 ? FORM_UTF16 : FORM_UTF8;
	if (a == 0xFF && b == 0xFE)
		return E_OK;
	return u->form == FORM_UTF16 ? put_unit(u, a) : put_utf8(u, (const uint8_t[]){a, b}, 2);
}

static int put_bytes(struct unpack *u, const uint8_t *p, size_t n)
{
	int rc = E_OK;
	for (; n > 0 && u->form == FORM_UNKNOWN && rc == E_OK; p++, n--) {
		u->head[u->nhead++] = *p;
		if (u->nhead == 2)
			rc = put_first(u);
	}
	if (rc != E_OK || n == 0)
		return rc;
	return u->form == FORM_UTF16 ? put_utf16(u, p, n) : put_utf8(u, p, n);
}

static int put_end(struct unpack *u)
{
	if (u->nhead != 0 || u->high != 0)
		return lone(u);
	return flush(u);
}

/* ================= files as libmspack sees them ================= */

static struct mspack_file *file_open(struct mspack_system *self, const char *name, int mode)
{
	(void)name;
	if (mode != MSPACK_SYS_OPEN_READ && mode != MSPACK_SYS_OPEN_WRITE)
		return NULL;
	struct handle *h = alloc_should_fail() ? NULL : calloc(1, sizeof(*h));
	if (!h)
		return NULL;
	h->u = (struct unpack *)(void *)self;
	h->writes = mode == MSPACK_SYS_OPEN_WRITE;
	return (struct mspack_file *)(void *)h;
}

static void file_close(struct mspack_file *file)
{
	free(HANDLE(file));
}

/* libmspack takes less than it asked for as the end. */
static int file_read(struct mspack_file *file, void *to, int bytes)
{
	struct handle *h = HANDLE(file);
	int got = 0;
	if (h->writes || bytes < 0 || h->u->rc != E_OK)
		return -1;
	for (ptrdiff_t n = 1; n > 0 && got < bytes; got += (int)n) {
		n = spool_read(h->u->cabinet, (uint64_t)h->at, (char *)to + got, (size_t)(bytes - got), h->u->e);
		if (n < 0) {
			h->u->rc = E_IO;
			return -1;
		}
		h->at += n;
	}
	return got;
}

static int file_write(struct mspack_file *file, void *from, int bytes)
{
	struct handle *h = HANDLE(file);
	if (!h->writes || bytes < 0 || h->u->rc != E_OK || put_bytes(h->u, from, (size_t)bytes) != E_OK)
		return -1;
	h->at += bytes;
	return bytes;
}

static int file_seek(struct mspack_file *file, off_t offset, int mode)
{
	struct handle *h = HANDLE(file);
	off_t size = (off_t)spool_size(h->u->cabinet);
	off_t from = mode == MSPACK_SYS_SEEK_START ? 0 : mode == MSPACK_SYS_SEEK_CUR ? h->at : size;
	if (h->writes || offset < -from || offset > size - from)
		return -1;
	h->at = from + offset;
	return 0;
}

static off_t file_tell(struct mspack_file *file)
{
	return HANDLE(file)->at;
}

static void no_message(struct mspack_file *file, const char *format, ...)
{
	(void)file;
	(void)format;
}

static void *memory(struct mspack_system *self, size_t bytes)
{
	(void)self;
	return alloc_should_fail() ? NULL : malloc(bytes);
}

static void copy(void *from, void *to, size_t bytes)
{
	memcpy(to, from, bytes);
}

static const struct mspack_system spools = {
	.open = file_open,
	.close = file_close,
	.read = file_read,
	.write = file_write,
	.seek = file_seek,
	.tell = file_tell,
	.message = no_message,
	.alloc = memory,
	.free = free,
	.copy = copy,
};

/* ================= the cabinet ================= */

static const char *const mspack_words[] = {
	[MSPACK_ERR_READ] = "it ends too early",
	[MSPACK_ERR_SEEK] = "it ends too early",
	[MSPACK_ERR_SIGNATURE] = "it is none",
	[MSPACK_ERR_DATAFORMAT] = "it makes no sense",
	[MSPACK_ERR_CHECKSUM] = "its checksum is wrong",
	[MSPACK_ERR_DECRUNCH] = "it cannot be unpacked",
};

static int failed(const struct unpack *u, int code)
{
	if (u->rc != E_OK)
		return u->rc;
	if (code == MSPACK_ERR_NOMEMORY || code == MSPACK_ERR_OPEN)
		return err_set(u->e, E_NOMEM, "a cabinet: %s", err_name(E_NOMEM));
	const char *words = (size_t)code < COUNTOF(mspack_words) ? mspack_words[code] : NULL;
	return err_set(u->e, E_FORM, "the cabinet cannot be read: %s", words ? words : "libmspack refuses it");
}

static unsigned le16(const uint8_t *p)
{
	return (unsigned)p[0] | (unsigned)p[1] << 8;
}

/* One folder with one file, and no part of a set (WSUSSS-UPDATEDATA-13). */
static int vet_header(struct spool *cabinet, struct err *e)
{
	uint8_t h[CAB_HEADER];
	ptrdiff_t n = spool_read(cabinet, 0, (char *)h, sizeof(h), e);
	if (n < 0)
		return E_IO;
	if (n < CAB_HEADER || memcmp(h, "MSCF", 4) != 0)
		return err_set(e, E_FORM, "what should be a cabinet is none");
	unsigned folders = le16(h + 26), files = le16(h + 28);
	if (folders != 1 || files != 1 || le16(h + 30) & CAB_PREVIOUS_OR_NEXT)
		return err_set(e, E_FORM, "the cabinet has %u folders and %u members; one of each was expected", folders, files);
	return E_OK;
}

/* LZX has windows of 32 KB to 2 MB; libmspack takes another one for a lack of memory. */
static bool packing_is_usual(int type)
{
	int kind = MSCABD_COMP_METHOD(type), window = MSCABD_COMP_LEVEL(type) & 31;
	return kind == MSCAB_COMP_NONE || kind == MSCAB_COMP_MSZIP || (kind == MSCAB_COMP_LZX && window >= 15 && window <= 21);
}

static int vet_member(struct unpack *u, const struct mscabd_cabinet *cab)
{
	const struct mscabd_file *f = cab->files;
	if (!f || f->next || !f->folder || f->offset != 0)
		return err_set(u->e, E_FORM, "the cabinet does not hold one document");
	if (!packing_is_usual(f->folder->comp_type))
		return err_set(u->e, E_FORM, "the cabinet is packed in a way (%#x) that no upstream server uses",
			(unsigned)f->folder->comp_type);
	if (f->length / 2 > u->max)
		return err_set(u->e, E_LIMIT, "the document in the cabinet has %u bytes", f->length);
	return E_OK;
}

static int unpack(struct unpack *u, struct mscab_decompressor *d)
{
	struct mscabd_cabinet *cab = d->open(d, "cabinet");
	if (!cab)
		return failed(u, d->last_error(d));
	int rc = vet_member(u, cab);
	if (rc == E_OK) {
		int code = d->extract(d, cab->files, "document");
		rc = code == MSPACK_ERR_OK ? put_end(u) : failed(u, code);
	}
	d->close(d, cab);
	return rc;
}

int cab_unpack(struct spool *cabinet, struct spool *to, uint64_t max, struct err *e)
{
	int rc = vet_header(cabinet, e);
	if (rc != E_OK)
		return rc;
	struct unpack *u = alloc_should_fail() ? NULL : calloc(1, sizeof(*u));
	if (u)
		*u = (struct unpack){.sys = spools, .cabinet = cabinet, .to = to, .max = max, .e = e};
	struct mscab_decompressor *d = u ? mspack_create_cab_decompressor(&u->sys) : NULL;
	rc = d ? unpack(u, d) : err_set(e, E_NOMEM, "a cabinet: %s", err_name(E_NOMEM));
	if (d)
		mspack_destroy_cab_decompressor(d);
	free(u);
	return rc;
}
