/* index.h -- inside store/ only: the scan index, arrays and bitmaps over RevisionID.
 *
 * publish() builds it, scan.c reads it where it lies in the map.  The arrays (enum array):
 *
 *  ROW          RevisionID -> struct index_row; row 0 and revisions never shown are zero
 *  ALIVE, NONLEAF, DRIVER   bitmaps; BASE: the selection of a client without groups at scope all
 *  CSET         the distinct prerequisites, in document order: number of clauses, then per clause
 *               its length (CSET_CATEGORY set if it is one of categories) and its UpdateNos
 *  CSET_AT      clause set -> its place in CSET; set 0 is the empty one
 *  INV, INV_AT  UpdateNo -> the clauses that name it, as clause set << 6 | clause
 *  MEMBERS, _AT clause set -> alive revisions that have it, ascending
 *  BUNDLE       per bundle, at its row's `bundle`: number of members, then their RevisionIDs in document
 *               order, 0 for one that the catalog does not hold
 *  BYUPDATE, _AT UpdateNo -> its alive revisions, highest RevisionNumber first
 *  CATEGORY     per alive category: UpdateNo, number of parents, their UpdateNos
 *  EXPLICIT     per group: bitmap of explicit deployments that are not dead; under group | EXPLICIT_BLOCK
 *               those of them that are Block
 *
 *  LISTED       RevisionID -> epoch in which downstream servers were first to be told of it, or told anew; 0: they are not
 *  UPDATE_ID    UpdateNo -> its guid
 *
 * An AT array has one entry more than things, so that entry i + 1 ends thing i.  All numbers are native
 * uint32_t or uint64_t and may lie unaligned in the map: the accessors copy. */
#ifndef STORE_INDEX_H
#define STORE_INDEX_H

#include "store/db.h"

#define EXPLICIT_BLOCK 0x80000000u
#define CSET_CATEGORY 0x80000000u
#define CLAUSE_BITS 6 /* LIMIT_DOC_CLAUSES fit */

#define ROW_EXPLICIT 1u  /* ExplicitlyDeployable */
#define ROW_EXPIRED 2u
#define ROW_REMOVED 4u
#define ROW_DECLINED 8u  /* its update is */
#define ROW_HELD 16u     /* a bundle that lacks a member */
#define ROW_MEMBER 32u   /* of an alive bundle */
#define ROW_ROOT 64u     /* the highest alive, non-expired, explicitly deployable revision of its update */
#define ROW_LISTED 128u  /* downstream servers are told of it, whatever deployments name, see listed.c */
#define ROW_TYPE_AT 8    /* enum update_type, two bits */
#define ROW_CATEGORY_AT 10 /* enum category_type, three bits */

struct index_row {
	uint32_t update_no; /* 0: never shown */
	int32_t number;     /* RevisionNumber */
	uint32_t cset;
	uint32_t bundle;    /* place in BUNDLE, 0 if none */
	uint32_t implied;   /* DeploymentID of the implied deployment */
	uint32_t plain, packed; /* core fragment */
	uint16_t flags;
	uint16_t day;       /* since 1970, when it was published */
};
static_assert(sizeof(struct index_row) == 32, "rows do not straddle chunks, and do not grow unseen");
#define TICKS_PER_DAY (TICKS_PER_SECOND * 86400)

static inline enum update_type row_type(const struct index_row *r)
{
	return (enum update_type)(r->flags >> ROW_TYPE_AT & 3u);
}

static inline enum category_type row_category(const struct index_row *r)
{
	return (enum category_type)(r->flags >> ROW_CATEGORY_AT & 7u);
}

/* Published, not removed, and no bundle that lacks a member: downstream servers may be told of it. */
static inline bool row_may_be_listed(const struct index_row *r)
{
	return r->update_no != 0 && !(r->flags & (ROW_REMOVED | ROW_HELD));
}

/* An array as its chunks lie in the map (or in memory, while it is built). */
struct view {
	const char **chunk; /* each LIMIT_CHUNK long, but for the last */
	size_t bytes;
};

static inline const char *view_at(const struct view *v, size_t byte)
{
	ASSERT(byte < v->bytes);
	return v->chunk[byte / LIMIT_CHUNK] + byte % LIMIT_CHUNK;
}

static inline uint32_t view_u32(const struct view *v, size_t i)
{
	uint32_t x;
	memcpy(&x, view_at(v, i * sizeof(x)), sizeof(x));
	return x;
}

/* Numbers from .. end - 1 as far as they lie in one piece: *n of them, at least one, unaligned. */
static inline const char *view_run(const struct view *v, uint32_t from, uint32_t end, uint32_t *n)
{
	size_t byte = (size_t)from * sizeof(uint32_t), last = (size_t)end * sizeof(uint32_t);
	ASSERT(from < end && last <= v->bytes);
	*n = (uint32_t)(MIN(last - byte, LIMIT_CHUNK - byte % LIMIT_CHUNK) / sizeof(uint32_t));
	return view_at(v, byte);
}

/* Word i of a bitmap; 0 past its end. */
static inline uint64_t view_word(const struct view *v, size_t i)
{
	uint64_t x;
	if (i >= v->bytes / sizeof(x))
		return 0;
	memcpy(&x, view_at(v, i * sizeof(x)), sizeof(x));
	return x;
}

static inline bool view_bit(const struct view *v, uint32_t i)
{
	return view_word(v, i >> 6) >> (i & 63) & 1u;
}

static inline bool bit_test(const uint64_t *w, uint32_t i)
{
	return w[i >> 6] >> (i & 63) & 1u;
}

static inline void bit_set(uint64_t *w, uint32_t i)
{
	w[i >> 6] |= UINT64_C(1) << (i & 63);
}

static inline size_t bit_words(size_t bits)
{
	return (bits + 63) >> 6;
}

struct index {
	struct view v[ARRAY__N]; /* all but EXPLICIT, LISTED and UPDATE_ID */
	uint32_t rows;    /* RevisionIDs below this have a row */
	uint32_t updates; /* UpdateNos below this are known to the index */
	uint32_t csets;
	size_t words;     /* of a bitmap over RevisionID */
};

static inline struct index_row index_row(const struct index *ix, uint32_t id)
{
	struct index_row r;
	if (id >= ix->rows)
		return (struct index_row){0};
	memcpy(&r, view_at(&ix->v[ARRAY_ROW], id * sizeof(r)), sizeof(r));
	return r;
}

/* A row that is there where it lies, for those who look at few of its members: a walk meets rows in any order. */
static inline const char *row_at(const struct index *ix, uint32_t id)
{
	return view_at(&ix->v[ARRAY_ROW], id * sizeof(struct index_row));
}

static inline uint32_t get_u32(const char *p)
{
	uint32_t x;
	memcpy(&x, p, sizeof(x));
	return x;
}
#define ROW_U32(row, member) get_u32((row) + offsetof(struct index_row, member))

static inline uint16_t row_flags(const char *row)
{
	uint16_t x;
	memcpy(&x, row + offsetof(struct index_row, flags), sizeof(x));
	return x;
}

/* A list in an array with its AT array: elements *from .. *end - 1. */
static inline void index_list(const struct index *ix, enum array at, uint32_t thing, uint32_t *from, uint32_t *end)
{
	*from = view_u32(&ix->v[at], thing);
	*end = view_u32(&ix->v[at], (size_t)thing + 1);
}

/* The highest alive revision of an update, 0 if none. */
uint32_t index_highest(const struct index *ix, uint32_t update_no);
/* The index of the transaction's snapshot; chunk tables in a. */
int index_load(struct txn *t, struct arena *a, struct index *out, struct err *e) MUST_CHECK;
/* One array of a group (ARRAY_EXPLICIT). */
int view_load(struct txn *t, enum array array, uint32_t sub, struct arena *a, struct view *out, struct err *e)
	MUST_CHECK;
/* A view of plain memory. */
bool view_of(struct view *v, const void *p, size_t bytes, struct arena *a);

/* ---- selection: the walk that scan.h defines ---- */
struct open_bundle {
	uint32_t next, end; /* its members that are still to be visited, in BUNDLE */
};
struct walk {
	const struct index *ix;
	uint64_t *selected;      /* by RevisionID */
	const uint64_t *blocked; /* never picked; may be NULL */
	const uint64_t *related; /* by clause set: roots must have one of these; NULL: no filter */
	/* inside */
	uint64_t *taken;         /* UpdateNos that have their revision */
	uint64_t *met;           /* clause sets of what was picked */
	uint32_t *cset;          /* the same in the order of picking; the prerequisites of those below `entered` are in */
	uint32_t csets, entered;
	struct open_bundle *open; /* a stack */
	uint32_t opened;
};
/* Allocates what a walk needs in a, selected included. */
bool walk_init(struct walk *w, const struct index *ix, struct arena *a);
/* Picks a revision and its bundle members, if their updates have none yet. */
void walk_visit(struct walk *w, uint32_t id);
/* Enters the prerequisites of everything picked so far. */
void walk_prerequisites(struct walk *w);
/* Step 3: the other roots in ascending order, and the revisions in extra (ascending) in their places. */
void walk_roots(struct walk *w, bool roots, const uint32_t *extra, size_t nextra);

/* ---- building, for publish() ---- */
enum held { HELD_NONE, HELD_CONFIG /* categories and detectoids */, HELD_ALL };
/* Does it count as staged, although it may be held? */
static inline bool held_counts(enum held held, const struct revision *r)
{
	return !(r->flags & REV_HELD) || held == HELD_ALL ||
		(held == HELD_CONFIG && (r->type == TYPE_CATEGORY || r->type == TYPE_DETECTOID));
}
/* Revisions that are staged: exist, not removed, not in the index; held: with these of those that are held.  In a, ascending. */
int index_staged(struct txn *t, const struct index *ix, enum held held, struct arena *a, uint32_t **ids, size_t *n,
	struct err *e) MUST_CHECK;
struct index_change {
	uint32_t *id; /* revisions shown before that changed for all computers: alive, leaf, implied action */
	size_t n;
	uint32_t held; /* bundles that lack a member */
};
/* Computes in a what the index becomes when the staged revisions are shown.  old: what it was (an empty one:
 * all is read from the rows); dirty: what is declined and removed is read again. */
int index_make(struct txn *t, const struct index *old, const uint32_t *staged, size_t nstaged, bool dirty,
	tick_t now, struct arena *a, struct index *out, struct index_change *change, struct err *e) MUST_CHECK;
/* Writes the chunks that differ; views of the map are stale afterwards. */
int index_store(struct txn *t, const struct index *ix, struct err *e) MUST_CHECK;
/* Fills in rows, updates ... from the views. */
void index_sizes(struct index *ix);
/* Sets the bits of these deployments of a group as their rows say. */
int index_deployments(struct txn *t, uint32_t group, const int32_t *revisions, size_t n, struct arena *a,
	struct err *e) MUST_CHECK;
/* ---- what downstream servers are told of: LISTED and UPDATE_ID, listed.c ---- */
struct listed_change {
	const struct index *old, *made;  /* made: NULL if the index stays as it was */
	const uint32_t *deployed, *file; /* revisions with a deployment that changed, with a file of which more is known now */
	size_t ndeployed, nfile;
	uint32_t epoch;
};
/* Writes both; to be called before index_store(), which spoils the views of the old index. */
int listed_publish(struct txn *t, const struct listed_change *c, struct arena *a, struct err *e) MUST_CHECK;
/* Is it to be in LISTED? */
int listed_is(struct txn *t, const struct index_row *r, uint32_t id, bool *out, struct err *e) MUST_CHECK;

/* Compares the index with one made anew from the rows (store_audit calls it). */
int index_audit(struct txn *t, struct auditor *to, struct err *e) MUST_CHECK;

#endif
