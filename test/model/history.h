/* history.h -- random histories on a real store, with the model that knows what they did to it: for the tests of test/model.
 *
 * A history makes a small catalog and changes it: revisions, late members and prerequisites, approvals, blocks, declines,
 * groups, files, EULAs, times, the scope.  Truth about policy is read back from the rows.
 *
 *   NAME [--histories N] [--seed S]     S: the first history's number; a failure prints its own
 *
 * Most histories live in one write transaction that is thrown away (no disk, many of them); every 50th commits
 * and reads through snapshots, so that the caches between publishes are used.  Define MODEL_NAME first, and HISTORIES if 3000 are too many. */
#ifndef TEST_HISTORY_H
#define TEST_HISTORY_H

#include <ftw.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/db.h"
#include "store/index.h"
#include "common/text.h"
#include "store/publish.h"
#include "test/model/model.h"

#define CLIENTS 4
#define FILES 6
#define EULAS 3
#ifndef HISTORIES
#define HISTORIES 3000
#endif
#define COMMITS_EVERY 50

static struct {
	uint64_t seed, rng;
	struct store *store;
	struct txn *t;
	bool commits;
	struct model m;
	uint32_t group_top;
	tick_t now;
	struct settings set;
	uint32_t epoch; /* of the last publish */
	char dir[256];
} h;
static void (*own_change)(void); /* of the program, among the others; may be NULL */

static struct {
	uint64_t histories, publishes, audits;
} ran;

/* ================= helpers ================= */

static void PRINTF(3, 4) fail(const char *file, int line, const char *fmt, ...)
{
	va_list ap;
	fprintf(stderr, "%s:%d: history %llu: ", file, line, (unsigned long long)h.seed);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nagain: %s --seed %llu --histories 1\n", MODEL_NAME, (unsigned long long)h.seed);
	exit(1);
}
#define CHECK(x, ...)                                                                                              \
	do {                                                                                                       \
		if (!(x))                                                                                          \
			fail(__FILE__, __LINE__, __VA_ARGS__);                                                     \
	} while (0)

static struct err err;
static void ok(int rc, const char *what)
{
	if (rc != E_OK)
		fail(__FILE__, __LINE__, "%s: %s (%s)", what, err_name(rc), err.text);
}
#define OK(call) ok((call), #call)

static uint64_t rnd64(void)
{
	uint64_t z = h.rng += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static int rnd(int n) /* 0 .. n - 1 */
{
	return (int)(rnd64() % (uint64_t)n);
}

static bool chance(int percent)
{
	return rnd(100) < percent;
}

static struct guid guid_random(void)
{
	struct guid g;
	for (size_t i = 0; i < sizeof(g.b); i++)
		g.b[i] = (uint8_t)rnd(256);
	return g;
}

/* Files and EULAs are the same few in all histories. */
static struct sha1 file_digest(int n)
{
	struct sha1 d = {{(uint8_t)(n + 1)}};
	return d;
}

static struct guid eula_id(int n)
{
	struct guid g = {{0xee, (uint8_t)(n + 1)}};
	return g;
}

/* ================= changing the store ================= */

static void add_update(void)
{
	struct m_update *u = &h.m.update[h.m.updates];
	static const int weight[] = {60, 6, 20, 14};
	int x = rnd(100), type = 0;
	if (h.m.updates == M_UPDATES)
		return;
	for (; x >= weight[type]; type++)
		x -= weight[type];
	*u = (struct m_update){.guid = guid_random(), .type = (enum update_type)type};
	u->category = u->type == TYPE_CATEGORY ? (enum category_type)(CAT_COMPANY + rnd(4)) : CAT_NONE;
	h.m.updates++;
}

static uint32_t number_of(int update)
{
	struct m_update *u = &h.m.update[update];
	if (u->no == 0)
		OK(update_number(h.t, &u->guid, &u->no, &err));
	return u->no;
}

static int random_update_of(enum update_type type)
{
	for (int i = 0; i < 8; i++) {
		int u = rnd(h.m.updates);
		if (h.m.update[u].type == type)
			return u;
	}
	return rnd(h.m.updates);
}

/* Prerequisites point anywhere, forward and to themselves included; categories mostly in their own clauses. */
static void random_clauses(struct m_revision *r)
{
	r->clauses = chance(25) ? 0 : rnd(M_CLAUSES);
	for (int c = 0; c < r->clauses; c++) {
		struct m_clause *k = &r->clause[c];
		k->category = chance(50);
		k->n = 1 + (chance(40) ? rnd(M_ALTERNATIVES) : 0);
		for (int i = 0; i < k->n; i++) {
			k->alternative[i] = random_update_of(k->category ? TYPE_CATEGORY : TYPE_DETECTOID);
			/* mostly downwards, so that many can be met */
			if (chance(80) && r->update > 0 && k->alternative[i] >= r->update)
				k->alternative[i] = rnd(r->update);
		}
	}
}

static int next_number(int update)
{
	int n = 99 + rnd(4);
	for (int id = 1; id <= h.m.top; id++)
		if (h.m.rev[id].there && h.m.rev[id].update == update)
			n = MAX(n, h.m.rev[id].number);
	return n + 1 + rnd(2);
}

static bool number_free(int update, int number)
{
	for (int id = 1; id <= h.m.top; id++)
		if (h.m.rev[id].there && h.m.rev[id].update == update && h.m.rev[id].number == number)
			return false;
	return true;
}

/* Members are revisions that are here, or that may come. */
static void random_members(struct m_revision *r)
{
	r->members = r->type == TYPE_SOFTWARE && chance(30) ? 1 + rnd(M_MEMBERS) : 0;
	for (int i = 0; i < r->members; i++) {
		int id = 1 + rnd(MAX(h.m.top, 1));
		r->member[i] = (struct m_member){rnd(h.m.updates), 100 + rnd(3)};
		if (chance(80) && h.m.rev[id].there)
			r->member[i] = (struct m_member){h.m.rev[id].update, h.m.rev[id].number};
	}
}

static void put_relations(int id, const struct m_revision *r)
{
	struct relation prereq[M_CLAUSES * M_ALTERNATIVES] = {{0}}, bundle[M_MEMBERS] = {{0}};
	struct relations rel = {.prereq = prereq, .bundle = bundle};
	for (int c = 0; c < r->clauses; c++)
		for (int i = 0; i < r->clause[c].n; i++)
			prereq[rel.nprereq++] = (struct relation){.update_no = number_of(r->clause[c].alternative[i]),
				.clause = (uint16_t)c, .is_category = r->clause[c].category};
	for (int i = 0; i < r->members; i++)
		bundle[rel.nbundle++] = (struct relation){.update_no = number_of(r->member[i].update),
			.number = r->member[i].number};
	OK(relations_put(h.t, id, &rel, &err));
}

static void put_file(int id)
{
	int n = rnd(FILES);
	struct file f = {.digest = file_digest(n), .size = 1000, .name = SL("f.cab")};
	struct revision_file rf = {.digest = f.digest, .name = f.name, .locale = SL(""), .geo = SL("")};
	OK(revision_file_put(h.t, id, 0, &rf, &f, &err));
}

static void put_core(int id, uint32_t plain)
{
	static char bytes[4096];
	memset(bytes, 'x', sizeof(bytes));
	OK(fragment_put(h.t, id, FRAG_CORE, SL(""), SL(""), 0, false, plain, (struct slice){bytes, plain}, &err));
}

static void put_revision(int id, struct m_revision *r)
{
	struct revision v = {.id = id, .number = r->number, .type = r->type, .category_type = r->category,
		.update = h.m.update[r->update].guid, .update_no = number_of(r->update),
		.title = SL("t"), .kb = SL(""), .severity = SL(""), .language = SL("en")};
	v.flags = (r->explicit ? REV_EXPLICIT : 0) | (r->expired ? REV_EXPIRED : 0) | (r->members ? REV_BUNDLE : 0);
	if (chance(10))
		v.eula = eula_id(rnd(EULAS));
	OK(counter_next(h.t, COUNT_DEPLOYMENT, &v.deployment_id, &err));
	r->implied = v.deployment_id;
	put_relations(id, r);
	put_core(id, r->plain);
	if (chance(25))
		put_file(id);
	OK(revision_put(h.t, &v, &err));
}

static void add_revision(void)
{
	uint32_t id;
	struct m_revision r = {.there = true, .update = rnd(h.m.updates)};
	if (h.m.top + 3 >= M_REVISIONS)
		return;
	OK(counter_next(h.t, COUNT_REVISION, &id, &err));
	if (chance(5)) /* a refused document leaves a hole */
		OK(counter_next(h.t, COUNT_REVISION, &id, &err));
	const struct m_update *u = &h.m.update[r.update];
	r.number = next_number(r.update);
	if (chance(15) && number_free(r.update, 100)) /* an older one comes late */
		r.number = 100;
	r.type = u->type;
	r.category = u->category;
	r.explicit = r.type == TYPE_SOFTWARE || r.type == TYPE_DRIVER ? chance(75) : chance(10);
	r.expired = chance(8);
	r.plain = 10 + (uint32_t)rnd(2000);
	random_clauses(&r);
	random_members(&r);
	put_revision((int)id, &r);
	h.m.rev[id] = r;
	h.m.top = (int)id;
}

static int random_revision(void)
{
	int id = 1 + rnd(MAX(h.m.top, 1));
	return h.m.rev[id].there && !h.m.rev[id].removed ? id : 0;
}

static uint32_t random_group(void)
{
	struct group g;
	uint32_t no = 1 + (uint32_t)rnd((int)h.group_top);
	return group_get(h.t, no, &g, NULL) == E_OK ? no : GROUP_ALL_COMPUTERS;
}

static void do_approve(void)
{
	struct approval a = {.revision = random_revision(), .group = random_group(), .admin = SL("test")};
	a.action = chance(10) ? ACT_BLOCK : (enum action)rnd(ACT__N);
	a.deadline = chance(40) ? h.now + rnd(100) * TICKS_PER_SECOND : 0;
	a.go_live = chance(20) ? h.now + rnd(100) * TICKS_PER_SECOND : 0;
	int rc = a.revision ? approve(h.t, &a, &err) : E_OK;
	CHECK(rc == E_OK || rc == E_REFUSED, "approve: %s", err.text);
}

static void do_unapprove(void)
{
	int rc = unapprove(h.t, number_of(rnd(h.m.updates)), random_group(), SL("test"), &err);
	CHECK(rc == E_OK || rc == E_NOTFOUND, "unapprove: %s", err.text);
}

static void do_decline(void)
{
	OK(update_decline(h.t, number_of(rnd(h.m.updates)), chance(50), SL("test"), &err));
}

static void do_group(void)
{
	char name[16];
	int rc = E_OK, what = rnd(4);
	uint32_t no = random_group(), parent = random_group();
	if (what <= 1 && h.group_top + 2 < M_GROUPS) {
		snprintf(name, sizeof(name), "g%d", rnd(1000000));
		rc = group_create(h.t, slice_of(name), parent, &no, &err);
		if (rc == E_OK)
			h.group_top = no;
	} else if (what == 2) {
		rc = group_move(h.t, no, parent, &err);
	} else if (no > GROUP_DOWNSTREAM) {
		rc = group_delete(h.t, no, &err);
	}
	CHECK(rc == E_OK || rc == E_REFUSED || rc == E_EXISTS || rc == E_LIMIT || rc == E_NOTFOUND, "group: %s", err.text);
}

static struct slice client_name(int client)
{
	static char name[16];
	snprintf(name, sizeof(name), "pc%d", client);
	return slice_of(name);
}

static void do_assign(void)
{
	uint32_t g[3] = {random_group(), random_group(), random_group()};
	int rc = assign_set(h.t, client_name(rnd(CLIENTS)), g, (size_t)rnd(4), &err);
	CHECK(rc == E_OK || rc == E_REFUSED || rc == E_FORM || rc == E_EXISTS, "assign: %s", err.text);
}

static void do_file(void)
{
	struct sha1 d = file_digest(rnd(FILES));
	int rc = file_set_stored(h.t, &d, chance(70), &err);
	CHECK(rc == E_OK || rc == E_NOTFOUND, "file: %s", err.text);
}

static void do_eula(void)
{
	struct guid g = eula_id(rnd(EULAS));
	OK(eula_accept(h.t, &g, SL("test"), &err));
}

static void do_scope(void)
{
	struct slice v = chance(50) ? SL("all") : SL("approved");
	OK(setting_set(h.t, SL("scan.scope"), v, &err));
}

static void do_remove(void)
{
	int id = random_revision();
	struct revision v;
	if (id == 0 || !h.m.rev[id].published)
		return;
	OK(revision_get(h.t, id, &v, &err));
	v.flags |= REV_REMOVED;
	OK(revision_put(h.t, &v, &err));
	OK(publish_dirty(h.t, &err));
	h.m.rev[id].removed = true;
}

static const struct {
	void (*fn)(void);
	int weight;
} changes[] = {
	{add_revision, 34}, {add_update, 6}, {do_approve, 26}, {do_unapprove, 6}, {do_decline, 6}, {do_group, 5},
	{do_assign, 3}, {do_file, 6}, {do_eula, 2}, {do_scope, 2}, {do_remove, 1},
};

static void change(void)
{
	int total = 0, x;
	if (own_change && chance(8)) {
		own_change();
		return;
	}
	for (size_t i = 0; i < COUNTOF(changes); i++)
		total += changes[i].weight;
	x = rnd(total);
	for (size_t i = 0; i < COUNTOF(changes); i++) {
		if (x < changes[i].weight) {
			changes[i].fn();
			return;
		}
		x -= changes[i].weight;
	}
}

/* ================= the truth, read back ================= */

static void read_deployment(uint32_t group, int id)
{
	struct deployment d;
	struct m_deployment *to = &h.m.dep[group][id];
	*to = (struct m_deployment){0};
	int rc = deployment_get(h.t, group, id, &d);
	if (rc == E_NOTFOUND || (rc == E_OK && d.dead))
		return;
	ok(rc, "deployment_get");
	*to = (struct m_deployment){true, d.id, d.action, d.deadline, d.waiting != 0};
	CHECK(d.go_live <= h.now || d.waiting, "deployment %u is live too early", d.id);
}

static void read_truth(void)
{
	OK(settings_get(h.t, &h.set, &err));
	h.m.scope = h.set.scan_scope;
	for (int i = 0; i < h.m.updates; i++) {
		struct update u = {0};
		if (h.m.update[i].no)
			OK(update_get(h.t, h.m.update[i].no, &u, &err));
		h.m.update[i].declined = u.declined;
	}
	for (uint32_t g = 1; g <= h.group_top; g++)
		for (int id = 1; id <= h.m.top; id++)
			read_deployment(g, id);
	m_hold(&h.m);
}

static void begin(enum txn_mode mode)
{
	if (h.commits)
		OK(txn_begin(h.store, mode, &h.t, &err));
	else
		arena_reset(txn_arena(h.t));
}

static void end(bool commit)
{
	if (!h.commits)
		return;
	if (commit)
		OK(txn_commit(&h.t, &err));
	else
		txn_end(&h.t);
}

static void found(const char *text, void *arg)
{
	(void)arg;
	fprintf(stderr, "%s\n", text);
}

static void check_publish(const struct publish_report *p, uint32_t staged)
{
	uint32_t held = 0;
	struct auditor audit = {.found = found};
	for (int id = 1; id <= h.m.top; id++)
		held += m_visible(&h.m, id) && h.m.rev[id].held;
	CHECK(p->shown == staged, "%u shown, %u were staged", p->shown, staged);
	if (staged)
		CHECK(p->held == held, "%u held, not %u", p->held, held);
	if (!chance(20))
		return;
	OK(index_audit(h.t, &audit, &err));
	CHECK(audit.n == 0, "the index is not what the rows say");
	ran.audits++;
}

/* Some changes and their publish, as one command of an administrator. */
static void change_and_publish(int n)
{
	struct publish_report p, again;
	uint32_t staged = 0;
	begin(TXN_CATALOG);
	for (int i = 0; i < n; i++)
		change();
	h.now += rnd(40) * TICKS_PER_SECOND;
	OK(publish(h.t, h.now, &p, &err));
	h.epoch = p.epoch;
	OK(publish(h.t, h.now, &again, &err));
	CHECK(again.epoch == p.epoch && again.changed == 0, "a second publish found something to do");
	for (int id = 1; id <= h.m.top; id++) {
		staged += h.m.rev[id].there && !h.m.rev[id].published;
		h.m.rev[id].published |= h.m.rev[id].there;
	}
	read_truth();
	check_publish(&p, staged);
	end(true);
	ran.publishes++;
}

/* ================= histories ================= */

struct history_hooks {
	void (*opened)(void); /* a store was opened; may be NULL, as may be the next */
	void (*closing)(void);
	void (*begun)(void);  /* a history begins; h is fresh */
	void (*live)(void);
};

static void start(uint64_t seed)
{
	struct store *s = h.store;
	struct txn *t = h.t;
	char dir[sizeof(h.dir)];
	memcpy(dir, h.dir, sizeof(dir));
	memset(&h, 0, sizeof(h));
	memcpy(h.dir, dir, sizeof(dir));
	h.store = s;
	h.t = t;
	h.seed = seed;
	h.rng = seed * 0x2545f4914f6cdd1du + 1;
	h.group_top = GROUP_DOWNSTREAM;
	h.now = time_now();
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void store_new(const struct history_hooks *k)
{
	const char *tmp = getenv("TMPDIR");
	snprintf(h.dir, sizeof(h.dir), "%s/" MODEL_NAME ".XXXXXX", tmp ? tmp : "/tmp");
	CHECK(mkdtemp(h.dir) != NULL, "%s: cannot be made", h.dir);
	OK(store_create(h.dir, &err));
	OK(store_open(&h.store, h.dir, STORE_ADMIN, &err));
	if (k->opened)
		k->opened();
}

static void store_drop(const struct history_hooks *k)
{
	if (k->closing)
		k->closing();
	store_close(&h.store);
	nftw(h.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void history(uint64_t seed, const struct history_hooks *k)
{
	start(seed);
	h.commits = seed % COMMITS_EVERY == 0;
	if (h.commits)
		store_new(k); /* a fresh one: what is committed stays */
	else
		OK(txn_begin(h.store, TXN_CATALOG, &h.t, &err));
	k->begun();
	k->live();
	ran.histories++;
	if (h.commits)
		store_drop(k);
	else
		txn_end(&h.t);
}

static int histories(int argc, char **argv, const struct history_hooks *k)
{
	uint64_t first = 1, n = HISTORIES;
	for (int i = 1; i + 1 < argc; i += 2) {
		bool seed = strcmp(argv[i], "--seed") == 0;
		if (!text_u64(slice_of(argv[i + 1]), seed ? &first : &n))
			return 2;
	}
	for (uint64_t s = first; s < first + n; s++)
		if (s % COMMITS_EVERY == 0)
			history(s, k);
	h.store = NULL;
	store_new(k);
	for (uint64_t s = first; s < first + n; s++)
		if (s % COMMITS_EVERY != 0)
			history(s, k);
	store_drop(k);
	return 0;
}

#endif
