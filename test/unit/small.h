/* small.h -- a store in a temporary directory with a write transaction, and revisions in a line each. */
#ifndef TEST_UNIT_SMALL_H
#define TEST_UNIT_SMALL_H

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/text.h"
#include "store/db.h"
#include "store/index.h"
#include "store/publish.h"
#include "store/scan.h"

struct small {
	char dir[256];
	struct store *store;
	struct txn *t;
	struct scan *scan;
	struct settings set;
	struct err e;
	tick_t now;
};
static struct small S;

static inline void small_ok(int rc, const char *what, int line)
{
	if (rc != E_OK)
		fail_msg("line %d: %s: %s (%s)", line, what, err_name(rc), S.e.text);
}
#define OK(call) small_ok((call), #call, __LINE__)

static inline int small_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static inline int small_open(void **state)
{
	const char *tmp = getenv("TMPDIR");
	(void)state;
	S = (struct small){.now = time_now()};
	snprintf(S.dir, sizeof(S.dir), "%s/small.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(S.dir))
		return -1;
	OK(store_create(S.dir, &S.e));
	OK(store_open(&S.store, S.dir, STORE_ADMIN, &S.e));
	OK(txn_begin(S.store, TXN_CATALOG, &S.t, &S.e));
	OK(settings_get(S.t, &S.set, &S.e));
	S.scan = scan_new();
	return S.scan ? 0 : -1;
}

static inline int small_close(void **state)
{
	(void)state;
	scan_free(&S.scan);
	txn_end(&S.t);
	store_close(&S.store);
	nftw(S.dir, small_remove, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

static inline struct guid small_guid(uint32_t update)
{
	struct guid g = {{0x5a}};
	put_be32(g.b + 12, update);
	return g;
}

static inline uint32_t small_no(uint32_t update)
{
	struct guid g = small_guid(update);
	uint32_t no;
	OK(update_number(S.t, &g, &no, &S.e));
	return no;
}

/* Updates are named by small numbers of the test's choice; a clause starts where `clause` changes. */
struct spec {
	uint32_t update;
	int32_t number;
	enum update_type type;
	enum category_type category;
	unsigned flags;
	uint32_t bytes; /* of the core fragment */
	struct relation prereq[70], bundle[4];
};
#define NEEDS(u, c) {.update_no = (u), .clause = (c)}
#define IN(u, c) {.update_no = (u), .clause = (c), .is_category = true}
#define HAS(u, n) {.update_no = (u), .number = (n)}

static inline size_t small_numbers(struct relation *r, size_t most)
{
	size_t n = 0;
	for (; n < most && r[n].update_no; n++)
		r[n].update_no = small_no(r[n].update_no);
	return n;
}

static inline void small_core(int32_t id, uint32_t bytes)
{
	static const char x[8192];
	assert_true(bytes <= sizeof(x));
	OK(fragment_put(S.t, id, FRAG_CORE, SL(""), SL(""), 0, false, bytes, (struct slice){x, bytes}, &S.e));
}

/* Stages a revision; its RevisionID. */
static inline int32_t stage(struct spec s)
{
	uint32_t id;
	struct relations rel = {.prereq = s.prereq, .bundle = s.bundle};
	struct revision v = {.update = small_guid(s.update), .update_no = small_no(s.update), .number = s.number,
		.type = s.type, .category_type = s.category, .title = SL("t"), .kb = SL(""), .severity = SL(""),
		.language = SL("en")};
	rel.nprereq = small_numbers(s.prereq, COUNTOF(s.prereq));
	rel.nbundle = small_numbers(s.bundle, COUNTOF(s.bundle));
	v.flags = s.flags | (rel.nbundle ? REV_BUNDLE : 0);
	OK(counter_next(S.t, COUNT_REVISION, &id, &S.e));
	OK(counter_next(S.t, COUNT_DEPLOYMENT, &v.deployment_id, &S.e));
	v.id = (int32_t)id;
	OK(relations_put(S.t, v.id, &rel, &S.e));
	small_core(v.id, s.bytes ? s.bytes : 100);
	OK(revision_put(S.t, &v, &S.e));
	return v.id;
}
/* A root: explicitly deployable. */
static inline int32_t stage_root(struct spec s)
{
	s.number = s.number ? s.number : 1;
	s.flags |= REV_EXPLICIT;
	return stage(s);
}

static inline int32_t stage_category(struct spec s)
{
	s.number = s.number ? s.number : 1;
	s.type = TYPE_CATEGORY;
	s.category = s.category ? s.category : CAT_PRODUCT;
	return stage(s);
}
#define STAGE(...) stage_root((struct spec){__VA_ARGS__})
#define CATEGORY(...) stage_category((struct spec){.update = __VA_ARGS__})

static inline struct publish_report show(void)
{
	struct publish_report p;
	OK(publish(S.t, S.now, &p, &S.e));
	return p;
}

static inline void deploy(int32_t revision, uint32_t group, enum action action, tick_t deadline)
{
	struct approval a = {.revision = revision, .group = group, .action = action, .deadline = deadline,
		.admin = SL("test")};
	OK(approve(S.t, &a, &S.e));
}

static inline struct client_groups all_computers(void)
{
	return (struct client_groups){.no = {GROUP_ALL_COMPUTERS}, .n = 1, .hash = 1};
}

/* The index is what a fresh one would be. */
static inline unsigned audit_findings(void)
{
	struct auditor to = {.n = 0};
	OK(index_audit(S.t, &to, &S.e));
	return to.n;
}

#endif
