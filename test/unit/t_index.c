/* t_index.c -- the scan index: what it shares, where it is cut, and that the audit sees damage. */
#include "test/unit/small.h"

static struct index load(void)
{
	struct index ix;
	OK(index_load(S.t, txn_arena(S.t), &ix, &S.e));
	return ix;
}

static size_t fresh(const int32_t *installed, size_t n)
{
	struct client_groups g = all_computers();
	struct scan_request q = {.groups = &g, .installed = installed, .ninstalled = n};
	struct scan_result r;
	OK(scan_bind(S.scan, S.t, &S.set, &S.e));
	OK(scan_run(S.scan, &q, &r, &S.e));
	return r.nfresh + r.remaining;
}

static void equal_prerequisites_share_a_clause_set(void **state)
{
	(void)state;
	CATEGORY(1);
	CATEGORY(2);
	STAGE(.update = 3, .prereq = {IN(1, 0), IN(2, 1)});
	STAGE(.update = 4, .prereq = {IN(1, 0), IN(2, 1)});
	show();
	STAGE(.update = 5, .prereq = {IN(1, 0), IN(2, 1)}); /* in a later publish, too */
	STAGE(.update = 6, .prereq = {IN(1, 0), IN(2, 0)}); /* alternatives are something else */
	STAGE(.update = 7, .prereq = {IN(1, 0), NEEDS(2, 1)});
	show();
	struct index ix = load();
	assert_int_equal(ix.csets, 4); /* with the empty one */
	assert_int_equal(index_row(&ix, 3).cset, index_row(&ix, 5).cset);
	assert_int_equal(audit_findings(), 0);
}

/* LIMIT_DOC_CLAUSES is a machine word: the last clause counts like the first. */
static void sixty_four_clauses_are_all_needed(void **state)
{
	(void)state;
	struct spec s = {.update = 100, .number = 1, .flags = REV_EXPLICIT};
	int32_t id[64];
	for (uint16_t c = 0; c < 64; c++) {
		id[c] = CATEGORY(c + 1u);
		s.prereq[c] = (struct relation){.update_no = c + 1u, .clause = c};
	}
	stage(s);
	show();
	assert_int_equal(fresh(id, 64), 1);
	assert_int_equal(fresh(id, 63), 1); /* only the category that is not installed */
	assert_int_equal(fresh(id + 1, 63), 1);
	struct client_groups g = all_computers();
	struct scan_request q = {.groups = &g, .installed = id, .ninstalled = 64};
	struct scan_result r;
	OK(scan_run(S.scan, &q, &r, &S.e));
	assert_int_equal(r.fresh[0].revision, 65);
}

static void more_clauses_are_refused_by_name(void **state)
{
	(void)state;
	struct spec s = {.update = 100, .number = 1, .flags = REV_EXPLICIT};
	struct publish_report p;
	for (uint16_t c = 0; c < 65; c++)
		s.prereq[c] = (struct relation){.update_no = c + 1u, .clause = c};
	stage(s);
	assert_int_equal(publish(S.t, S.now, &p, &S.e), E_CORRUPT);
	assert_non_null(strstr(S.e.text, "revision 1"));
}

/* Rows, lists and bitmaps go on in the next value. */
static void arrays_go_over_many_chunks(void **state)
{
	(void)state;
	enum { MANY = 3 * (int)(LIMIT_CHUNK / sizeof(struct index_row)) + 5 };
	int32_t category = CATEGORY(1, .bytes = 1);
	for (uint32_t n = 2; n <= MANY; n++)
		stage((struct spec){.update = n, .number = 1, .bytes = 1, .flags = REV_EXPLICIT, .prereq = {IN(1, 0)}});
	show();
	struct index ix = load();
	assert_int_equal(ix.rows, MANY + 1);
	assert_true(ix.v[ARRAY_ROW].bytes > 3 * LIMIT_CHUNK);
	for (uint32_t id = 1; id <= MANY; id++)
		assert_int_equal(index_row(&ix, id).update_no, small_no(id));
	assert_int_equal(fresh(&category, 1), MANY - 1);
	assert_int_equal(audit_findings(), 0);
}

/* A row that changes rewrites its own chunk. */
static void a_decline_rewrites_one_chunk_of_the_rows(void **state)
{
	(void)state;
	enum { MANY = 3 * (int)(LIMIT_CHUNK / sizeof(struct index_row)) };
	for (uint32_t n = 1; n <= MANY; n++)
		stage((struct spec){.update = n, .number = 1, .bytes = 1, .flags = REV_EXPLICIT});
	show();
	OK(txn_commit(&S.t, &S.e));
	OK(txn_begin(S.store, TXN_CATALOG, &S.t, &S.e));
	struct index before = load();
	OK(update_decline(S.t, small_no(5), true, SL("test"), &S.e));
	show();
	struct index after = load();
	assert_ptr_not_equal(before.v[ARRAY_ROW].chunk[0], after.v[ARRAY_ROW].chunk[0]);
	assert_ptr_equal(before.v[ARRAY_ROW].chunk[1], after.v[ARRAY_ROW].chunk[1]);
	assert_ptr_equal(before.v[ARRAY_ROW].chunk[2], after.v[ARRAY_ROW].chunk[2]);
}

static void flip(enum array a, uint32_t sub, size_t at)
{
	struct slice old;
	struct buf b;
	assert_int_equal(array_chunk(S.t, a, sub, 0, &old), E_OK);
	buf_init(&b, LIMIT_CHUNK);
	buf_slice(&b, old);
	assert_true(at < b.n);
	b.p[at] ^= 4;
	OK(array_put(S.t, a, sub, b.p, b.n, NULL, &S.e));
	buf_free(&b);
}

/* One bit anywhere is found, and found again to be right when it is put back. */
static void the_audit_sees_damage(void **state)
{
	(void)state;
	static const struct {
		enum array a;
		uint32_t sub;
		size_t at;
	} spots[] = {
		{ARRAY_ROW, 0, sizeof(struct index_row) * 2 + offsetof(struct index_row, flags)},
		{ARRAY_ROW, 0, sizeof(struct index_row) * 2 + offsetof(struct index_row, number)},
		{ARRAY_ROW, 0, sizeof(struct index_row) * 2 + offsetof(struct index_row, implied)},
		{ARRAY_BASE, 0, 0},
		{ARRAY_ALIVE, 0, 0},
		{ARRAY_NONLEAF, 0, 0},
		{ARRAY_DRIVER, 0, 0},
		{ARRAY_INV, 0, 0},
		{ARRAY_EXPLICIT, GROUP_ALL_COMPUTERS, 0},
		{ARRAY_EXPLICIT, GROUP_ALL_COMPUTERS | EXPLICIT_BLOCK, 0},
	};
	CATEGORY(1);
	int32_t update = STAGE(.update = 2, .prereq = {IN(1, 0)});
	STAGE(.update = 3, .type = TYPE_DRIVER, .prereq = {IN(1, 0)});
	STAGE(.update = 4, .bundle = {HAS(2, 1)});
	deploy(update, GROUP_ALL_COMPUTERS, ACT_INSTALL, 0);
	show();
	assert_int_equal(audit_findings(), 0);
	for (size_t i = 0; i < COUNTOF(spots); i++) {
		flip(spots[i].a, spots[i].sub, spots[i].at);
		assert_true(audit_findings() > 0);
		flip(spots[i].a, spots[i].sub, spots[i].at);
		assert_int_equal(audit_findings(), 0);
	}
}

/* Out of memory while building: an error; the next try, with memory, is as if nothing had been. */
static void a_build_without_memory_is_an_error(void **state)
{
	(void)state;
	struct publish_report p;
	int rc = E_NOMEM;
	OK(txn_commit(&S.t, &S.e));
	for (long n = 1; rc != E_OK && n < 2000; n += 1 + n / 20) {
		OK(txn_begin(S.store, TXN_CATALOG, &S.t, &S.e));
		CATEGORY(1);
		STAGE(.update = 2, .prereq = {IN(1, 0)}, .bundle = {HAS(1, 1)});
		arena_free(txn_arena(S.t));
		alloc_fail_at = n;
		rc = publish(S.t, S.now, &p, &S.e);
		alloc_fail_at = 0;
		if (rc == E_OK)
			break;
		assert_int_equal(rc, E_NOMEM);
		txn_end(&S.t);
	}
	assert_int_equal(rc, E_OK);
	assert_int_equal(p.shown, 2);
	assert_int_equal(audit_findings(), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, small_open, small_close)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(equal_prerequisites_share_a_clause_set),
		T(sixty_four_clauses_are_all_needed),
		T(more_clauses_are_refused_by_name),
		T(arrays_go_over_many_chunks),
		T(a_decline_rewrites_one_chunk_of_the_rows),
		T(the_audit_sees_damage),
		T(a_build_without_memory_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
