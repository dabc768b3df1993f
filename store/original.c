/* original.c -- reads stored originals again, for what an older program did not keep of them: Express and encrypted files,
 * secured fragments.
 *
 * Few documents say any of that: each original is unpacked and searched for the words, and only one that has one is read
 * as a document once more.  Memory is bounded whatever the documents are: a block, and a reader. */
#include <stdlib.h>

#include "common/xpress.h"
#include "store/db.h"
#include "store/document.h"

#define BLOCK_MAX 65535 /* plain bytes of a packed block */
#define CARRY 15        /* the longest word but one byte; a reference is shorter */
static_assert(sizeof("SecuredFragment") - 1 <= CARRY + 1, "a word that is cut by the end of a block is found");

/* An original from its beginning, block after block. */
struct original {
	struct frag f;
	size_t piece;
	struct slice left;  /* of that piece */
	struct buf escaped; /* CARRY bytes at most of before, then a block */
	struct buf plain;   /* what was resolved and not yet handed out */
	size_t given;
};

static void rewind_to_start(struct original *o)
{
	o->piece = 0;
	o->left = o->f.n ? o->f.v[0].bytes : SL("");
	o->given = 0;
	buf_reset(&o->escaped);
	buf_reset(&o->plain);
}

/* Header and bytes of the packed block at p, of n bytes that are left there; 0: no block. */
static size_t block_size(const char *p, size_t n)
{
	const unsigned char *b = (const unsigned char *)p;
	if (n < XPRESS_HEADER || b[6] != 0 || b[7] != 0)
		return 0;
	size_t size = XPRESS_HEADER + (b[4] | (size_t)b[5] << 8); /* the packed size is the second number */
	return size <= n ? size : 0;
}

/* Appends the next block to `escaped`; E_NOTFOUND behind the last. */
static int next_block(struct original *o)
{
	while (o->left.n == 0) {
		if (++o->piece >= o->f.n)
			return E_NOTFOUND;
		o->left = o->f.v[o->piece].bytes;
	}
	size_t n = MIN(o->left.n, (size_t)BLOCK_MAX);
	if (!o->f.v[o->piece].packed) {
		buf_slice(&o->escaped, (struct slice){o->left.p, n});
	} else {
		n = block_size(o->left.p, o->left.n);
		int rc = n ? xpress_unpack((struct slice){o->left.p, n}, &o->escaped) : E_CORRUPT;
		if (rc != E_OK)
			return rc == E_NOMEM ? rc : E_CORRUPT;
	}
	o->left = (struct slice){o->left.p + n, o->left.n - n};
	return o->escaped.rc;
}

static void keep_tail(struct buf *b, size_t n)
{
	memmove(b->p, b->p + b->n - n, n);
	b->n = n;
}

static int says_more(struct original *o, bool *out)
{
	static const char *const words[] = {"SecuredFragment", "IsEncrypted", "Express"};
	int rc;
	*out = false;
	rewind_to_start(o);
	while (!*out && (rc = next_block(o)) == E_OK) {
		for (size_t i = 0; i < COUNTOF(words); i++)
			*out |= memmem(o->escaped.p, o->escaped.n, words[i], strlen(words[i])) != NULL;
		keep_tail(&o->escaped, MIN(o->escaped.n, (size_t)CARRY));
	}
	return *out || rc == E_NOTFOUND ? E_OK : rc;
}

/* Bytes of the next block whose references are resolved; one that is cut waits for what follows. */
static int next_plain(struct original *o)
{
	int rc = next_block(o);
	struct slice s = buf_bytes(&o->escaped);
	if (rc != E_OK && (rc != E_NOTFOUND || s.n == 0))
		return rc;
	const char *amp = rc == E_OK ? memrchr(s.p, '&', s.n) : NULL;
	size_t tail = amp && !memchr(amp, ';', (size_t)(s.p + s.n - amp)) ? (size_t)(s.p + s.n - amp) : 0;
	if (tail > CARRY)
		return E_CORRUPT;
	buf_reset(&o->plain);
	o->given = 0;
	xml_resolve_refs(&o->plain, (struct slice){s.p, s.n - tail});
	keep_tail(&o->escaped, tail);
	return o->plain.rc;
}

static ptrdiff_t refill(void *arg, char *to, size_t n, struct err *e)
{
	struct original *o = arg;
	while (o->given == o->plain.n) {
		int rc = next_plain(o);
		if (rc == E_NOTFOUND)
			return 0;
		if (rc != E_OK) {
			err_set(e, (enum errcode)rc, "an original cannot be unpacked");
			return -1;
		}
	}
	n = MIN(n, o->plain.n - o->given);
	memcpy(to, o->plain.p + o->given, n);
	o->given += n;
	return (ptrdiff_t)n;
}

/* ================= what it says ================= */

static int not_wanted(void *arg, const struct guid *update, int32_t number, bool *wanted, struct err *e)
{
	(void)arg, (void)update, (void)number, (void)e;
	*wanted = false;
	return E_OK;
}

static int no_chunk(void *arg, const struct chunk *c, struct slice locale, struct slice geo, struct err *e)
{
	(void)arg, (void)c, (void)locale, (void)geo, (void)e;
	return E_OK;
}

static int keep_facts(struct txn *t, int32_t id, const struct document_facts *f, struct err *e)
{
	unsigned more = f->rev.flags & (REV_SECURE_URL | REV_SECURE_KEY);
	struct revision r;
	int rc = revision_get(t, id, &r, e);
	if (rc == E_OK && (r.flags & more) != more) {
		r.flags |= more;
		rc = revision_put(t, &r, e);
	}
	for (size_t i = 0; rc == E_OK && i < f->nfiles; i++)
		if (f->files[i].file.express || f->files[i].file.encrypted)
			rc = file_complete(t, &f->files[i].file, e);
	return rc;
}

/* A document that today would be refused, or that cannot be unpacked, stays as it is: what it lacks is of no use to
 * computers, and the audit speaks of damage. */
static int learn(struct txn *t, int32_t id, struct original *o, struct document *d, struct err *e)
{
	static const struct document_sink sink = {not_wanted, no_chunk, NULL};
	struct document_facts facts;
	struct err why;
	bool more;
	int rc = fragment_get(t, id, FRAG_ORIGINAL, SL(""), SL(""), &o->f, &why);
	if (rc == E_OK)
		rc = says_more(o, &more);
	if (rc != E_OK || !more)
		return rc == E_NOMEM ? err_set(e, E_NOMEM, "out of memory for an original") : E_OK;
	rewind_to_start(o);
	rc = document_read(d, refill, o, &sink, &facts, &why);
	if (rc == E_NOMEM)
		return err_set(e, E_NOMEM, "%s", why.text);
	return rc == E_OK ? keep_facts(t, id, &facts, e) : E_OK;
}

int original_migrate(struct txn *t, struct err *e)
{
	struct original o = {.piece = 0};
	struct document *d = document_new();
	struct arena keep = *txn_arena(t); /* what reading leaves there must not add up */
	int rc = d ? E_OK : err_set(e, E_NOMEM, "out of memory for a document");
	buf_init(&o.escaped, BLOCK_MAX + CARRY);
	buf_init(&o.plain, BLOCK_MAX + CARRY);
	arena_init(txn_arena(t), keep.cap);
	for (uint32_t id = 1, last = counter_last(t, COUNT_REVISION); rc == E_OK && id <= last; id++) {
		struct revision r;
		if (revision_get(t, (int32_t)id, &r, NULL) == E_OK && !(r.flags & REV_REMOVED))
			rc = learn(t, (int32_t)id, &o, d, e);
		arena_reset(txn_arena(t));
	}
	arena_free(txn_arena(t));
	*txn_arena(t) = keep;
	buf_free(&o.escaped);
	buf_free(&o.plain);
	document_free(&d);
	return rc;
}
