/* langpack.c -- see langpack.h. */
#include "store/langpack.h"

#include <endian.h>

#include "common/err.h"
#include "common/xpress.h"

#define BEGINS_BLOCK 0x80
#define ENTRY_MAX ((size_t)1 + LIMIT_LOCALE + 2)
#define DIRECTORY_MAX (LIMIT_DOC_LANGUAGES * ENTRY_MAX)
/* Two blocks that follow each other have more than LANGPACK_BLOCK between them. */
#define BLOCKS_MAX (LANGPACK_PLAIN + XPRESS_HEADER * (2 * LANGPACK_PLAIN / LANGPACK_BLOCK + 1))
static_assert(LIMIT_LOCALE < BEGINS_BLOCK, "a locale's length leaves a bit free");
static_assert(DIRECTORY_MAX <= UINT16_MAX && LANGPACK_BLOCK <= UINT16_MAX, "sizes have 16 bits");
static_assert(2 + DIRECTORY_MAX + BLOCKS_MAX <= LIMIT_CHUNK, "a value is one chunk");

/* ================= writing ================= */

void langpack_init(struct langpack *p)
{
	*p = (struct langpack){0};
	buf_init(&p->directory, DIRECTORY_MAX);
	buf_init(&p->blocks, BLOCKS_MAX + XPRESS_WORST(LANGPACK_BLOCK)); /* the coder may want room beyond its result */
	buf_init(&p->open, LANGPACK_BLOCK);
	buf_init(&p->value, LIMIT_CHUNK);
}

void langpack_free(struct langpack *p)
{
	buf_free(&p->directory);
	buf_free(&p->blocks);
	buf_free(&p->open);
	buf_free(&p->value);
}

void langpack_reset(struct langpack *p)
{
	buf_reset(&p->directory);
	buf_reset(&p->blocks);
	buf_reset(&p->open);
	buf_reset(&p->value);
	p->plain = 0;
}

static void close_block(struct langpack *p)
{
	xpress_add_kept(&p->blocks, buf_bytes(&p->open), LANGPACK_BLOCK);
	p->open.n = 0; /* its rc stays: langpack_end() asks */
}

static void put_u16(struct buf *b, size_t v)
{
	char to[2];
	put_be16(to, (uint16_t)v);
	buf_add(b, to, sizeof(to));
}

bool langpack_add(struct langpack *p, struct slice locale, struct slice text)
{
	if (text.n == 0 || text.n > LANGPACK_BLOCK || p->plain + text.n > LANGPACK_PLAIN ||
		p->directory.n + ENTRY_MAX > DIRECTORY_MAX || locale.n > LIMIT_LOCALE)
		return false;
	if (p->open.n + text.n > LANGPACK_BLOCK)
		close_block(p);
	buf_char(&p->directory, (char)(locale.n | (p->open.n == 0 ? BEGINS_BLOCK : 0)));
	buf_slice(&p->directory, locale);
	put_u16(&p->directory, text.n);
	buf_slice(&p->open, text);
	p->plain += (uint32_t)text.n;
	return true;
}

int langpack_end(struct langpack *p, struct slice *value)
{
	close_block(p);
	put_u16(&p->value, p->directory.n);
	buf_slice(&p->value, buf_bytes(&p->directory));
	buf_slice(&p->value, buf_bytes(&p->blocks));
	*value = buf_bytes(&p->value);
	const struct buf *parts[] = {&p->directory, &p->blocks, &p->open, &p->value};
	for (size_t i = 0; i < COUNTOF(parts); i++)
		if (parts[i]->rc != E_OK)
			return parts[i]->rc;
	return E_OK;
}

/* ================= reading ================= */

struct reader {
	const char *p, *directory_end; /* the blocks begin there ... */
	const char *block, *end;       /* ... and go on here */
	struct language at;
};

static bool begin(struct reader *r, struct slice value)
{
	size_t n = value.n >= 2 ? get_be16(value.p) : SIZE_MAX;
	if (value.n < 2 || n > value.n - 2)
		return false;
	*r = (struct reader){.p = value.p + 2, .directory_end = value.p + 2 + n, .end = value.p + value.n};
	r->block = r->directory_end;
	return true;
}

/* Has the block at hand been used up? */
static bool at_block_end(const struct reader *r)
{
	return r->at.at + r->at.n == r->at.block_plain;
}

static bool next_block(struct reader *r)
{
	uint32_t size[2];
	if (!at_block_end(r) || (size_t)(r->end - r->block) < XPRESS_HEADER)
		return false;
	memcpy(size, r->block, sizeof(size));
	r->at.block_plain = le32toh(size[0]);
	r->at.packed = (struct slice){r->block + XPRESS_HEADER, le32toh(size[1])};
	if (r->at.block_plain > LANGPACK_BLOCK || r->at.packed.n > (size_t)(r->end - r->at.packed.p))
		return false;
	r->block = r->at.packed.p + r->at.packed.n;
	r->at.at = r->at.n = 0;
	return true;
}

static bool next(struct reader *r)
{
	uint8_t head = (uint8_t)*r->p++;
	size_t n = head & (BEGINS_BLOCK - 1);
	if ((size_t)(r->directory_end - r->p) < n + 2 || ((head & BEGINS_BLOCK) && !next_block(r)))
		return false;
	r->at.locale = (struct slice){r->p, n};
	r->at.at += r->at.n;
	r->at.n = get_be16(r->p + n);
	r->p += n + 2;
	return r->at.at + r->at.n <= r->at.block_plain;
}

int langpack_each(struct slice value, language_fn *fn, void *arg)
{
	struct reader r;
	if (!begin(&r, value))
		return E_CORRUPT;
	while (r.p < r.directory_end) {
		if (!next(&r))
			return E_CORRUPT;
		int rc = fn(&r.at, arg);
		if (rc != E_OK)
			return rc;
	}
	return at_block_end(&r) && r.block == r.end ? E_OK : E_CORRUPT;
}

struct wanted {
	struct slice locale;
	struct arena *a;
	struct slice *text;
};
#define FOUND (-1)

static int find(const struct language *l, void *arg)
{
	struct wanted *w = arg;
	char plain[LANGPACK_BLOCK];
	const char *block = l->packed.p;
	if (!slice_eq(l->locale, w->locale))
		return E_OK;
	if (l->packed.n != l->block_plain) {
		if (!xpress_unpack_block(l->packed.p, l->packed.n, plain, l->block_plain))
			return E_CORRUPT;
		block = plain;
	}
	*w->text = arena_copy(w->a, (struct slice){block + l->at, l->n});
	return w->text->p ? FOUND : E_NOMEM;
}

int langpack_find(struct slice value, struct slice locale, struct arena *a, struct slice *text)
{
	struct wanted w = {locale, a, text};
	int rc = langpack_each(value, find, &w);
	return rc == E_OK ? E_NOTFOUND : rc == FOUND ? E_OK : rc;
}
