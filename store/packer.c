/* packer.c -- see packer.h. */
#include "store/packer.h"

#include "common/limits.h"
#include "common/xpress.h"

/* A block that did not shrink; a chunk is let go while one more still fits. */
#define BLOCK_MAX (XPRESS_HEADER + XPRESS_BLOCK)
static_assert(BLOCK_MAX <= LIMIT_CHUNK, "a chunk holds at least one block");

void packer_init(struct packer *p, chunk_fn *emit, void *arg)
{
	*p = (struct packer){.emit = emit, .arg = arg};
	buf_init(&p->text, LIMIT_CHUNK + PACKER_PORTION);
	buf_init(&p->blocks, LIMIT_CHUNK + BLOCK_MAX); /* the coder may want room beyond its result */
}

void packer_free(struct packer *p)
{
	buf_free(&p->text);
	buf_free(&p->blocks);
}

void packer_start(struct packer *p, enum fragment_type type)
{
	p->type = type;
	p->n = 0;
	p->blocks_plain = 0;
	buf_reset(&p->text);
	buf_reset(&p->blocks);
}

static bool packs(const struct packer *p)
{
	return p->type == FRAG_CORE || p->type == FRAG_ORIGINAL;
}

static int emit(struct packer *p, bool packed, uint32_t plain, struct slice bytes, struct err *e)
{
	if (p->n > UINT16_MAX)
		return err_set(e, E_LIMIT, "a fragment of more than %u chunks", UINT16_MAX + 1u);
	struct chunk c = {.type = p->type, .n = (uint16_t)p->n++, .packed = packed, .plain = plain, .bytes = bytes};
	return p->emit(p->arg, &c, e);
}

static int emit_blocks(struct packer *p, struct err *e)
{
	int rc = emit(p, true, p->blocks_plain, buf_bytes(&p->blocks), e);
	buf_reset(&p->blocks);
	p->blocks_plain = 0;
	return rc;
}

static int add_block(struct packer *p, struct slice s, struct err *e)
{
	if (p->type == FRAG_ORIGINAL)
		xpress_add_kept(&p->blocks, s, XPRESS_BLOCK);
	else
		xpress_add_sent(&p->blocks, s, XPRESS_BLOCK);
	if (p->blocks.rc != E_OK)
		return err_set(e, p->blocks.rc, "packing a fragment: %s", err_name(p->blocks.rc));
	p->blocks_plain += (uint32_t)s.n;
	return p->blocks.n + BLOCK_MAX > LIMIT_CHUNK ? emit_blocks(p, e) : E_OK;
}

/* The largest cut <= at that splits nothing.  The text is escaped, so entities are at most 5 bytes long. */
static size_t safe_cut(const char *s, size_t at)
{
	for (size_t back = 1; back < 5; back++) {
		if (s[at - back] == ';')
			break;
		if (s[at - back] == '&')
			return at - back;
	}
	while (((unsigned char)s[at] & 0xC0) == 0x80)
		at--;
	return at;
}

static int drain_plain(struct packer *p, size_t *used, struct err *e)
{
	while (p->text.n - *used > LIMIT_CHUNK) {
		const char *s = p->text.p + *used;
		size_t n = safe_cut(s, LIMIT_CHUNK);
		*used += n;
		int rc = emit(p, false, (uint32_t)n, (struct slice){s, n}, e);
		if (rc != E_OK)
			return rc;
	}
	return E_OK;
}

static int drain_blocks(struct packer *p, size_t *used, struct err *e)
{
	while (p->text.n - *used >= XPRESS_BLOCK) {
		struct slice s = {p->text.p + *used, XPRESS_BLOCK};
		*used += s.n;
		int rc = add_block(p, s, e);
		if (rc != E_OK)
			return rc;
	}
	return E_OK;
}

static int text_rc(const struct packer *p, struct err *e)
{
	if (p->text.rc == E_OK)
		return E_OK;
	return err_set(e, p->text.rc, "a fragment's text: %s", err_name(p->text.rc));
}

int packer_drain(struct packer *p, struct err *e)
{
	if (text_rc(p, e) != E_OK)
		return p->text.rc;
	if (p->discard) {
		p->text.n = 0;
		return E_OK;
	}
	size_t used = 0;
	int rc = packs(p) ? drain_blocks(p, &used, e) : drain_plain(p, &used, e);
	if (used) {
		memmove(p->text.p, p->text.p + used, p->text.n - used);
		p->text.n -= used;
	}
	return rc;
}

int packer_finish(struct packer *p, struct err *e)
{
	int rc = packer_drain(p, e);
	if (rc != E_OK || p->discard)
		return rc;
	struct slice rest = buf_bytes(&p->text);
	bool first = p->n == 0 && p->blocks.n == 0;
	if (!packs(p) || (p->type == FRAG_CORE && first && rest.n < XPRESS_PACK_MIN)) {
		rc = rest.n ? emit(p, false, (uint32_t)rest.n, rest, e) : E_OK;
	} else {
		rc = rest.n ? add_block(p, rest, e) : E_OK;
		if (rc == E_OK && p->blocks.n)
			rc = emit_blocks(p, e);
	}
	p->text.n = 0;
	return rc;
}
