/* store_fixture.h -- a store in a temporary directory and small revisions in it, for tests of store/. */
#ifndef TEST_UNIT_STORE_FIXTURE_H
#define TEST_UNIT_STORE_FIXTURE_H

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/arena.h"
#include "common/text.h"
#include "store/db.h"
#include "store/publish.h"

#define ADMIN SL("tester")
#define FIXTURE_NOW ((tick_t)INT64_C(17911152000000000))

/* Fails the test with the error's words. */
#define OK(call) fx_ok((call), &fx_err, #call, __LINE__)
#define IS(code, call) assert_int_equal((code), (call))

static struct err fx_err;

static inline void fx_ok(int rc, const struct err *e, const char *what, int line)
{
	if (rc != E_OK)
		fail_msg("line %d: %s: %s (%s)", line, what, err_name(rc), e->text);
}

/* ---- directories ---- */

static inline int fx_remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static inline void fx_remove(const char *dir)
{
	nftw(dir, fx_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void fx_dir(char to[256])
{
	const char *tmp = getenv("TMPDIR");
	snprintf(to, 256, "%s/wsus-store.XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(to));
}

/* ---- a store ---- */

struct fixture {
	char dir[256];
	struct store *store;
	struct txn *t;
};

static inline void fx_open(struct fixture *f, enum store_role role)
{
	OK(store_open(&f->store, f->dir, role, &fx_err));
}

static inline int fx_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	fx_dir(f->dir);
	OK(store_create(f->dir, &fx_err));
	fx_open(f, STORE_ADMIN);
	*state = f;
	return 0;
}

static inline int fx_teardown(void **state)
{
	struct fixture *f = *state;
	alloc_fail_at = 0;
	store_close(&f->store);
	fx_remove(f->dir);
	free(f);
	return 0;
}

static inline struct txn *fx_begin(struct fixture *f, enum txn_mode mode)
{
	OK(txn_begin(f->store, mode, &f->t, &fx_err));
	return f->t;
}

static inline void fx_commit(struct fixture *f)
{
	OK(txn_commit(&f->t, &fx_err));
}

/* Publishes and commits. */
static inline struct publish_report fx_publish(struct fixture *f)
{
	struct publish_report r;
	OK(publish(f->t, FIXTURE_NOW, &r, &fx_err));
	fx_commit(f);
	return r;
}

/* ---- identities ---- */

static inline struct guid fx_guid(unsigned n)
{
	struct guid g = {{0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x47, 0x88, 0x99, 0xAA}};
	put_be32(g.b + 12, n);
	return g;
}

static inline struct sha1 fx_sha1(unsigned n)
{
	struct sha1 d = {{0}};
	for (unsigned i = 0; i < sizeof(d.b); i++)
		d.b[i] = (uint8_t)(n * 37 + i * 11 + 1);
	put_be32(d.b, n * 2654435769u);
	return d;
}

/* ---- a revision ---- */

struct fx_revision {
	unsigned update; /* fx_guid() */
	int32_t number;  /* 0: 1 */
	unsigned eula;   /* fx_guid(), 0: none */
	unsigned files[4]; /* fx_sha1(), up to the first 0; each 1,000 times its number bytes long */
	struct fx_member {
		unsigned update;
		int32_t number;
	} members[4];
	unsigned prereq[4];
};

static inline void fx_fragments(struct txn *t, int32_t id)
{
	OK(fragment_put(t, id, FRAG_CORE, SL(""), SL(""), 0, false, 4, SL("core"), &fx_err));
	OK(fragment_put(t, id, FRAG_EXTENDED, SL(""), SL(""), 0, false, 8, SL("extended"), &fx_err));
	OK(fragment_put(t, id, FRAG_LOCALIZED, SL("en"), SL(""), 0, false, 7, SL("english"), &fx_err));
}

static inline void fx_files(struct txn *t, int32_t id, const struct fx_revision *r)
{
	for (unsigned i = 0; i < COUNTOF(r->files) && r->files[i]; i++) {
		struct revision_file rf = {.digest = fx_sha1(r->files[i]), .name = SL("a.cab"), .locale = SL(""), .geo = SL("")};
		struct file f = {.digest = rf.digest, .size = r->files[i] * 1000u, .name = SL("a.cab"), .mu_url = SL("")};
		OK(revision_file_put(t, id, (uint16_t)i, &rf, &f, &fx_err));
	}
}

static inline void fx_relations(struct txn *t, int32_t id, const struct fx_revision *r)
{
	struct relation prereq[4], bundle[4];
	struct relations v = {.prereq = prereq, .bundle = bundle};
	for (; v.nprereq < 4 && r->prereq[v.nprereq]; v.nprereq++) {
		struct guid g = fx_guid(r->prereq[v.nprereq]);
		prereq[v.nprereq] = (struct relation){.clause = (uint16_t)v.nprereq};
		OK(update_number(t, &g, &prereq[v.nprereq].update_no, &fx_err));
	}
	for (; v.nbundle < 4 && r->members[v.nbundle].update; v.nbundle++) {
		struct guid g = fx_guid(r->members[v.nbundle].update);
		int32_t number = r->members[v.nbundle].number;
		bundle[v.nbundle] = (struct relation){.number = number ? number : 1, .clause = (uint16_t)v.nbundle};
		OK(update_number(t, &g, &bundle[v.nbundle].update_no, &fx_err));
	}
	OK(relations_put(t, id, &v, &fx_err));
}

/* Stages it and returns its RevisionID. */
static inline int32_t fx_stage(struct txn *t, struct fx_revision r)
{
	uint32_t id;
	struct revision v = {.update = fx_guid(r.update), .number = r.number ? r.number : 1, .flags = REV_EXPLICIT,
		.title = SL("A title"), .kb = SL(""), .severity = SL(""), .language = SL("en"),
		.imported = FIXTURE_NOW};
	OK(counter_next(t, COUNT_REVISION, &id, &fx_err));
	OK(counter_next(t, COUNT_DEPLOYMENT, &v.deployment_id, &fx_err));
	OK(update_number(t, &v.update, &v.update_no, &fx_err));
	v.id = (int32_t)id;
	if (r.eula)
		v.eula = fx_guid(r.eula);
	if (r.members[0].update)
		v.flags |= REV_BUNDLE;
	fx_relations(t, v.id, &r);
	fx_fragments(t, v.id);
	fx_files(t, v.id, &r);
	OK(revision_put(t, &v, &fx_err));
	return v.id;
}

static inline uint32_t fx_update_no(struct txn *t, unsigned update)
{
	struct guid g = fx_guid(update);
	uint32_t no = 0;
	OK(update_find(t, &g, &no));
	return no;
}

/* ---- the audit ---- */

struct fx_findings {
	unsigned n;
	char text[4096];
};

static inline void fx_found(const char *text, void *arg)
{
	struct fx_findings *f = arg;
	size_t at = strlen(f->text);
	f->n++;
	snprintf(f->text + at, sizeof(f->text) - at, "%s\n", text);
}

static inline struct fx_findings fx_audit(struct txn *t)
{
	struct fx_findings f = {.n = 0};
	unsigned n;
	OK(store_audit(t, fx_found, &f, &n, &fx_err));
	assert_int_equal(n, f.n);
	return f;
}

static inline void fx_assert_sound(struct txn *t)
{
	struct fx_findings f = fx_audit(t);
	if (f.n)
		fail_msg("the audit found:\n%s", f.text);
}

#endif
