/* index.c -- the scan index where it lies: loading its arrays, and noting deployments in their bitmaps. */
#include "store/index.h"

static const enum array arrays[] = {
	ARRAY_ROW, ARRAY_BASE, ARRAY_NONLEAF, ARRAY_DRIVER, ARRAY_ALIVE,
	ARRAY_CSET, ARRAY_CSET_AT, ARRAY_INV, ARRAY_INV_AT, ARRAY_MEMBERS, ARRAY_MEMBERS_AT,
	ARRAY_BUNDLE, ARRAY_BYUPDATE, ARRAY_BYUPDATE_AT, ARRAY_CATEGORY,
};

static int count_chunks(struct txn *t, enum array array, uint32_t sub, size_t *n, size_t *bytes)
{
	struct slice c;
	int rc = E_OK;
	*n = *bytes = 0;
	while (*n <= UINT16_MAX && (rc = array_chunk(t, array, sub, (uint16_t)*n, &c)) == E_OK) {
		if (*bytes % LIMIT_CHUNK != 0)
			return E_CORRUPT; /* only the last one is shorter */
		++*n;
		*bytes += c.n;
	}
	return rc == E_NOTFOUND ? E_OK : rc;
}

int view_load(struct txn *t, enum array array, uint32_t sub, struct arena *a, struct view *out, struct err *e)
{
	size_t n, bytes;
	int rc = count_chunks(t, array, sub, &n, &bytes);
	if (rc != E_OK)
		return err_set(e, (enum errcode)rc, "scan index: array %d of %u", (int)array, sub);
	const char **chunk = ARENA_ARRAY(a, const char *, n);
	if (!chunk)
		return err_set(e, E_NOMEM, "scan index");
	for (size_t i = 0; i < n; i++) {
		struct slice c;
		rc = array_chunk(t, array, sub, (uint16_t)i, &c);
		if (rc != E_OK)
			return err_set(e, (enum errcode)rc, "scan index: array %d of %u", (int)array, sub);
		chunk[i] = c.p;
	}
	*out = (struct view){chunk, bytes};
	return E_OK;
}

bool view_of(struct view *v, const void *p, size_t bytes, struct arena *a)
{
	size_t n = (bytes + LIMIT_CHUNK - 1) / LIMIT_CHUNK;
	const char **chunk = ARENA_ARRAY(a, const char *, n);
	for (size_t i = 0; chunk && i < n; i++)
		chunk[i] = (const char *)p + i * LIMIT_CHUNK;
	*v = (struct view){chunk, chunk ? bytes : 0};
	return chunk != NULL;
}

static uint32_t entries(const struct index *ix, enum array at)
{
	size_t n = ix->v[at].bytes / sizeof(uint32_t);
	return n ? (uint32_t)(n - 1) : 0;
}

void index_sizes(struct index *ix)
{
	ix->rows = (uint32_t)(ix->v[ARRAY_ROW].bytes / sizeof(struct index_row));
	ix->updates = entries(ix, ARRAY_BYUPDATE_AT);
	ix->csets = entries(ix, ARRAY_CSET_AT);
	ix->words = bit_words(ix->rows);
}

int index_load(struct txn *t, struct arena *a, struct index *out, struct err *e)
{
	*out = (struct index){0};
	for (size_t i = 0; i < COUNTOF(arrays); i++) {
		int rc = view_load(t, arrays[i], 0, a, &out->v[arrays[i]], e);
		if (rc != E_OK)
			return rc;
	}
	index_sizes(out);
	if (entries(out, ARRAY_INV_AT) != out->updates || entries(out, ARRAY_MEMBERS_AT) != out->csets)
		return err_set(e, E_CORRUPT, "scan index: its arrays do not fit each other");
	return E_OK;
}

/* array_put() wants one piece of memory, and moves pages of the map that a view may show. */
static int put_view(struct txn *t, enum array array, const struct view *v, struct err *e)
{
	return array_put(t, array, 0, v->bytes ? v->chunk[0] : "", v->bytes, NULL, e);
}

int index_store(struct txn *t, const struct index *ix, struct err *e)
{
	int rc = E_OK;
	for (size_t i = 0; rc == E_OK && i < COUNTOF(arrays); i++)
		rc = put_view(t, arrays[i], &ix->v[arrays[i]], e);
	return rc;
}

/* ================= explicit deployments ================= */

struct bitmap {
	uint64_t *w;
	size_t words;
};

static int bitmap_load(struct txn *t, uint32_t sub, size_t words, struct arena *a, struct bitmap *out, struct err *e)
{
	struct view v;
	int rc = view_load(t, ARRAY_EXPLICIT, sub, a, &v, e);
	if (rc != E_OK)
		return rc;
	out->words = MAX(words, v.bytes / sizeof(uint64_t));
	out->w = ARENA_ARRAY(a, uint64_t, out->words);
	for (size_t i = 0; out->w && i < out->words; i++)
		out->w[i] = view_word(&v, i);
	return out->w ? E_OK : err_set(e, E_NOMEM, "scan index");
}

static void bitmap_put(struct bitmap *b, uint32_t i, bool on)
{
	uint64_t bit = UINT64_C(1) << (i & 63);
	b->w[i >> 6] = on ? b->w[i >> 6] | bit : b->w[i >> 6] & ~bit;
}

int index_deployments(struct txn *t, uint32_t group, const int32_t *revisions, size_t n, struct arena *a,
	struct err *e)
{
	struct bitmap active, block;
	size_t words = bit_words((size_t)counter_last(t, COUNT_REVISION) + 1);
	int rc = bitmap_load(t, group, words, a, &active, e);
	if (rc == E_OK)
		rc = bitmap_load(t, group | EXPLICIT_BLOCK, words, a, &block, e);
	for (size_t i = 0; rc == E_OK && i < n; i++) {
		struct deployment d;
		int got = deployment_get(t, group, revisions[i], &d);
		if (got != E_OK && got != E_NOTFOUND)
			return err_set(e, (enum errcode)got, "deployment of %d for group %u", (int)revisions[i], group);
		if ((size_t)(uint32_t)revisions[i] >> 6 >= words)
			continue;
		bool on = got == E_OK && !d.dead;
		bitmap_put(&active, (uint32_t)revisions[i], on);
		bitmap_put(&block, (uint32_t)revisions[i], on && d.action == ACT_BLOCK);
	}
	if (rc == E_OK)
		rc = array_put(t, ARRAY_EXPLICIT, group, active.w, active.words * sizeof(uint64_t), NULL, e);
	if (rc == E_OK)
		rc = array_put(t, ARRAY_EXPLICIT, group | EXPLICIT_BLOCK, block.w, block.words * sizeof(uint64_t), NULL, e);
	return rc;
}
