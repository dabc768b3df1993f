/* tally.c -- how many computers of a cohort have an update in which status.
 *
 * A row has the counts of 64 updates: v1 | which of them have any, be64 | for each of those five counts be32.  Rows without a
 * count are not kept. */
#include <stdlib.h>

#include "store/env.h"
#include "store/tally.h"

#define SUMS_MEMORY ((size_t)256 << 20)
#define SLOTS_FIRST 64u

/* ================= sums in memory ================= */

void tally_sums_init(struct tally_sums *s, size_t cap)
{
	*s = (struct tally_sums){.n = 0};
	arena_init(&s->arena, cap);
}

void tally_sums_free(struct tally_sums *s)
{
	arena_free(&s->arena);
}

static void sums_empty(struct tally_sums *s)
{
	arena_reset(&s->arena);
	s->slot = NULL;
	s->slots = s->n = 0;
	s->last = NULL;
}

static size_t slot_of(const struct tally_sums *s, uint32_t cohort, uint32_t chunk)
{
	uint64_t h = ((uint64_t)cohort << 32 | chunk) * UINT64_C(0x9E3779B97F4A7C15); /* Fibonacci hashing */
	size_t at = (size_t)(h >> 32) & (s->slots - 1);
	while (s->slot[at] && (s->slot[at]->cohort != cohort || s->slot[at]->chunk != chunk))
		at = (at + 1) & (s->slots - 1);
	return at;
}

static bool sums_grow(struct tally_sums *s)
{
	struct tally_sums wider = {.slots = s->slots ? s->slots * 2 : SLOTS_FIRST};
	wider.slot = ARENA_ARRAY(&s->arena, struct tally_block *, wider.slots);
	if (!wider.slot)
		return false;
	for (size_t i = 0; i < s->slots; i++)
		if (s->slot[i])
			wider.slot[slot_of(&wider, s->slot[i]->cohort, s->slot[i]->chunk)] = s->slot[i];
	s->slot = wider.slot;
	s->slots = wider.slots;
	return true;
}

static struct tally_block *sums_at(struct tally_sums *s, uint32_t cohort, uint32_t chunk)
{
	if (s->last && s->last->cohort == cohort && s->last->chunk == chunk)
		return s->last;
	if (s->n * 2 >= s->slots && !sums_grow(s))
		return NULL;
	struct tally_block **at = &s->slot[slot_of(s, cohort, chunk)];
	if (!*at) {
		*at = ARENA_NEW(&s->arena, struct tally_block);
		if (!*at)
			return NULL;
		(*at)->cohort = cohort;
		(*at)->chunk = chunk;
		s->n++;
	}
	return s->last = *at;
}

bool tally_sums_add(struct tally_sums *s, uint32_t cohort, uint32_t update_no, unsigned status, int32_t by)
{
	if (status < TALLY_FIRST || status >= STATUS__N)
		return true;
	struct tally_block *b = sums_at(s, cohort, update_no / TALLY_CHUNK);
	if (b)
		b->by[update_no % TALLY_CHUNK][status - TALLY_FIRST] += by;
	return b != NULL;
}

const struct tally_block *tally_sums_find(const struct tally_sums *s, uint32_t cohort, uint32_t chunk)
{
	return s->slots ? s->slot[slot_of(s, cohort, chunk)] : NULL;
}

/* ================= rows ================= */

int tally_decode(struct slice value, struct tally_counts *out)
{
	struct rec r = rec_of(value, 1);
	uint64_t has = rec_u64(&r);
	*out = (struct tally_counts){0};
	bool empty = has == 0;
	for (unsigned i = 0; i < TALLY_CHUNK; i++) {
		uint32_t any = 0;
		if (!(has >> i & 1))
			continue;
		for (unsigned k = 0; k < TALLY_KEPT; k++)
			any |= out->by[i][k] = rec_u32(&r);
		empty = empty || any == 0;
	}
	return empty ? E_CORRUPT : rec_end(&r);
}

static int chunk_get(struct txn *t, uint32_t cohort, uint32_t chunk, struct tally_counts *out, struct err *e)
{
	struct key k = key_u32_u32(cohort, chunk);
	struct slice v;
	*out = (struct tally_counts){0};
	int rc = db_get(t, DB_TALLY, key_bytes(&k), &v);
	if (rc == E_OK)
		rc = tally_decode(v, out);
	if (rc == E_OK || rc == E_NOTFOUND)
		return E_OK;
	return err_set(e, (enum errcode)rc, "the counts of updates %u to %u cannot be read", (unsigned)(chunk * TALLY_CHUNK),
		(unsigned)(chunk * TALLY_CHUNK + TALLY_CHUNK - 1));
}

static bool any_of(const uint32_t by[TALLY_KEPT])
{
	uint32_t any = 0;
	for (unsigned k = 0; k < TALLY_KEPT; k++)
		any |= by[k];
	return any != 0;
}

static int chunk_put(struct txn *t, uint32_t cohort, uint32_t chunk, const struct tally_counts *c, struct err *e)
{
	struct key k = key_u32_u32(cohort, chunk);
	struct buf b;
	uint64_t has = 0;
	for (unsigned i = 0; i < TALLY_CHUNK; i++)
		has |= (uint64_t)any_of(c->by[i]) << i;
	if (!has)
		return db_del(t, DB_TALLY, key_bytes(&k), e);
	rec_begin(&b, 1, LIMIT_RECORD);
	rec_put_u64(&b, has);
	for (unsigned i = 0; i < TALLY_CHUNK; i++)
		for (unsigned at = 0; has >> i & 1 && at < TALLY_KEPT; at++)
			rec_put_u32(&b, c->by[i][at]);
	return db_put_rec(t, DB_TALLY, key_bytes(&k), &b, e);
}

/* ================= sums are written ================= */

/* The counts of an update, and whether the cohort has it needed or failed anywhere. */
static int add_update(struct txn *t, struct cohort *c, uint32_t by[TALLY_KEPT], const int32_t change[TALLY_KEPT], struct err *e)
{
	bool needed = tally_needed(by), failed = tally_failed(by);
	int rc = E_OK;
	for (unsigned k = 0; rc == E_OK && k < TALLY_KEPT; k++)
		rc = count_add(t, &by[k], change[k], e);
	if (rc == E_OK)
		rc = count_add(t, &c->updates_needed, (int)tally_needed(by) - (int)needed, e);
	return rc == E_OK ? count_add(t, &c->updates_failed, (int)tally_failed(by) - (int)failed, e) : rc;
}

static bool changes_any(const int32_t by[TALLY_KEPT])
{
	for (unsigned k = 0; k < TALLY_KEPT; k++)
		if (by[k] != 0)
			return true;
	return false;
}

static int write_block(struct txn *t, struct cohort *c, const struct tally_block *b, struct err *e)
{
	struct tally_counts counts;
	bool read = false;
	int rc = E_OK;
	for (unsigned i = 0; rc == E_OK && i < TALLY_CHUNK; i++) {
		if (!changes_any(b->by[i]))
			continue;
		if (!read)
			rc = chunk_get(t, b->cohort, b->chunk, &counts, e);
		read = true;
		if (rc == E_OK)
			rc = add_update(t, c, counts.by[i], b->by[i], e);
	}
	return rc == E_OK && read ? chunk_put(t, b->cohort, b->chunk, &counts, e) : rc;
}

/* n blocks of one cohort. */
static int write_cohort(struct txn *t, struct tally_block *const *b, size_t n, struct err *e)
{
	struct cohort c, was;
	int rc = cohort_get(t, b[0]->cohort, &c);
	if (rc == E_NOTFOUND)
		return E_OK;
	if (rc != E_OK)
		return err_set(e, (enum errcode)rc, "the counts of cohort %u cannot be read", (unsigned)b[0]->cohort);
	was = c;
	for (size_t i = 0; rc == E_OK && i < n; i++)
		rc = write_block(t, &c, b[i], e);
	bool same = was.updates_needed == c.updates_needed && was.updates_failed == c.updates_failed;
	return rc == E_OK && !same ? cohort_put(t, &c, e) : rc;
}

static int by_key(const void *x, const void *y)
{
	const struct tally_block *a = *(struct tally_block *const *)x, *b = *(struct tally_block *const *)y;
	return a->cohort != b->cohort ? (a->cohort < b->cohort ? -1 : 1) : (a->chunk > b->chunk) - (a->chunk < b->chunk);
}

int tally_sums_write(struct txn *t, struct tally_sums *s, struct err *e)
{
	size_t n = 0, from = 0;
	int rc = E_OK;
	for (size_t i = 0; i < s->slots; i++)
		if (s->slot[i])
			s->slot[n++] = s->slot[i];
	if (n)
		qsort(s->slot, n, sizeof(struct tally_block *), by_key);
	for (size_t i = 1; rc == E_OK && i <= n; i++) {
		if (i < n && s->slot[i]->cohort == s->slot[from]->cohort)
			continue;
		rc = write_cohort(t, s->slot + from, i - from, e);
		from = i;
	}
	sums_empty(s);
	return rc == E_OK ? rc : txn_fail(t, rc, e);
}

void tally_gather(struct txn *t, struct tally_sums *s)
{
	t->sums = s;
}

static bool sums_change(struct tally_sums *s, uint32_t cohort, const struct tally_change *v, size_t n)
{
	bool good = true;
	for (size_t i = 0; good && i < n; i++)
		if (v[i].from != v[i].to)
			good = tally_sums_add(s, cohort, v[i].update_no, v[i].from, -1) &&
			       tally_sums_add(s, cohort, v[i].update_no, v[i].to, 1);
	return good;
}

int tally_apply(struct txn *t, uint32_t cohort, const struct tally_change *v, size_t n, struct err *e)
{
	struct tally_sums own;
	struct tally_sums *s = t->sums ? t->sums : &own;
	if (n == 0 || cohort == COHORT_ALL || !cohort_is_there(t, cohort))
		return E_OK; /* one that is in no cohort is not counted */
	if (!t->sums)
		tally_sums_init(&own, SUMS_MEMORY);
	int rc = E_OK;
	if (!sums_change(s, cohort, v, n) || !sums_change(s, COHORT_ALL, v, n))
		rc = txn_fail(t, err_set(e, E_NOMEM, "out of memory for the counts of %zu updates", n), e);
	if (rc == E_OK && !t->sums)
		rc = tally_sums_write(t, &own, e);
	if (!t->sums)
		tally_sums_free(&own);
	return rc;
}

/* ================= asked ================= */

/* What is not kept follows: a computer that sent a list and has the update in no other status does not need it. */
static struct tally complete(const struct cohort *c, const uint32_t by[TALLY_KEPT])
{
	struct tally out = {{0}};
	uint32_t listed = 0;
	for (unsigned k = 0; k < TALLY_KEPT; k++)
		listed += out.by[TALLY_FIRST + k] = by[k];
	out.by[STATUS_NOT_APPLICABLE] = c->reported - MIN(c->reported, listed);
	uint32_t known = listed + out.by[STATUS_NOT_APPLICABLE];
	out.by[STATUS_UNKNOWN] = c->computers - MIN(c->computers, known);
	return out;
}

int tally_get(struct txn *t, uint32_t cohort, uint32_t update_no, struct tally *out)
{
	struct tally_counts counts;
	struct cohort c;
	*out = (struct tally){{0}};
	int rc = cohort_get(t, cohort, &c);
	if (rc != E_OK)
		return rc == E_NOTFOUND ? E_OK : rc;
	rc = chunk_get(t, cohort, update_no / TALLY_CHUNK, &counts, NULL);
	if (rc == E_OK)
		*out = complete(&c, counts.by[update_no % TALLY_CHUNK]);
	return rc;
}

struct each_tally {
	struct cohort cohort;
	int (*fn)(uint32_t, const struct tally *, void *);
	void *arg;
	struct err *e;
};

static int each_chunk(struct slice key, struct slice value, void *arg)
{
	struct each_tally *w = arg;
	struct tally_counts counts;
	if (key.n != 8 || tally_decode(value, &counts) != E_OK)
		return err_set(w->e, E_CORRUPT, "a row of the counts of cohort %u cannot be read", (unsigned)w->cohort.no);
	uint32_t first = get_be32(key.p + 4) * TALLY_CHUNK;
	int rc = E_OK;
	for (unsigned i = 0; rc == E_OK && i < TALLY_CHUNK; i++) {
		if (!any_of(counts.by[i]))
			continue;
		struct tally c = complete(&w->cohort, counts.by[i]);
		rc = w->fn(first + i, &c, w->arg);
	}
	return rc;
}

int tally_each(struct txn *t, uint32_t cohort, int (*fn)(uint32_t update_no, const struct tally *, void *), void *arg, struct err *e)
{
	struct each_tally w = {.fn = fn, .arg = arg, .e = e};
	struct key k = key_u32(cohort);
	int rc = cohort_get(t, cohort, &w.cohort);
	if (rc == E_NOTFOUND)
		return E_OK;
	if (rc != E_OK)
		return err_set(e, (enum errcode)rc, "the counts of cohort %u cannot be read", (unsigned)cohort);
	return db_each(t, DB_TALLY, key_bytes(&k), each_chunk, &w, e);
}
