/* m_scan.c -- scan and publish against the model: random histories on a real store.
 *
 * A history makes a small catalog, changes it (revisions, late members and prerequisites, approvals, blocks,
 * declines, groups, files, EULAs, times, the scope) and lets clients of every age scan it with the caches that
 * earlier answers gave them.  Checked are each answer (exactly where it is defined) and, the point of it all,
 * that a client that applied it sees of every revision it keeps what a fresh client would be told.
 *
 *   m_scan [--histories N] [--seed S]     S: the first history's number; a failure prints its own
 *
 * Most histories live in one write transaction that is thrown away (no disk, many of them); every 50th commits
 * and reads through snapshots, so that the caches between publishes are used. */
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
#define HISTORIES 3000
#define COMMITS_EVERY 50

struct client {
	char name[16];
	bool has[M_REVISIONS];
	struct m_view view[M_REVISIONS];
	bool installed[M_UPDATES];
	/* as a cookie would hold it */
	uint32_t point, parked;
	bool any_parked;
	uint64_t groups;
};

static struct {
	uint64_t seed, rng;
	struct store *store;
	struct txn *t;
	struct scan *scan;
	bool commits;
	struct model m;
	struct client client[CLIENTS];
	uint32_t group_top;
	tick_t now;
	struct settings set;
	char dir[256];
	uint32_t plain[M_REVISIONS];
} h;

static struct {
	uint64_t histories, publishes, scans, fresh, changed, excess, gone, parked, audits;
} did;

/* ================= helpers ================= */

static void PRINTF(3, 4) fail(const char *file, int line, const char *fmt, ...)
{
	va_list ap;
	fprintf(stderr, "%s:%d: history %llu: ", file, line, (unsigned long long)h.seed);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nagain: m_scan --seed %llu --histories 1\n", (unsigned long long)h.seed);
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

static void do_assign(void)
{
	uint32_t g[3] = {random_group(), random_group(), random_group()};
	const struct client *c = &h.client[rnd(CLIENTS)];
	int rc = assign_set(h.t, slice_of(c->name), g, (size_t)rnd(4), &err);
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
	unsigned n;
	for (int id = 1; id <= h.m.top; id++)
		held += m_visible(&h.m, id) && h.m.rev[id].held;
	CHECK(p->shown == staged, "%u shown, %u were staged", p->shown, staged);
	if (staged)
		CHECK(p->held == held, "%u held, not %u", p->held, held);
	if (!chance(20))
		return;
	OK(index_audit(h.t, found, NULL, &n, &err));
	CHECK(n == 0, "the index is not what the rows say");
	did.audits++;
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
	OK(publish(h.t, h.now, &again, &err));
	CHECK(again.epoch == p.epoch && again.changed == 0, "a second publish found something to do");
	for (int id = 1; id <= h.m.top; id++) {
		staged += h.m.rev[id].there && !h.m.rev[id].published;
		h.m.rev[id].published |= h.m.rev[id].there;
	}
	read_truth();
	check_publish(&p, staged);
	end(true);
	did.publishes++;
}

/* ================= clients ================= */

struct ask {
	struct client *c;
	struct client_groups g;
	struct m_filter filter;
	struct guid guid[M_FILTER];
	bool two_groups;
	int32_t installed[M_REVISIONS * 2], other[M_REVISIONS * 2];
	size_t ninstalled, nother;
	struct scan_request q;
	struct m_selection selected, deployed;
	bool needed[M_REVISIONS], cached[M_REVISIONS];
};

static void random_filter(struct ask *a)
{
	a->filter.n = chance(30) ? 1 + rnd(M_FILTER) : 0;
	for (int i = 0; i < a->filter.n; i++) {
		int u = chance(90) ? random_update_of(TYPE_CATEGORY) : -1;
		a->filter.update[i] = u;
		a->guid[i] = u < 0 ? guid_random() : h.m.update[u].guid;
	}
}

/* The lists a client sends: what it has, twice now and then, and ids that nobody gave it. */
static void lists(struct ask *a)
{
	static const int32_t junk[] = {0, -1, -7, M_REVISIONS, M_REVISIONS + 9, INT32_MAX, INT32_MIN};
	a->ninstalled = a->nother = 0;
	memset(a->cached, 0, sizeof(a->cached));
	for (int id = 1; id <= h.m.top; id++) {
		if (!a->c->has[id])
			continue;
		a->cached[id] = true;
		bool in = a->c->installed[h.m.rev[id].update] && (!a->c->view[id].leaf || chance(20));
		if (in)
			a->installed[a->ninstalled++] = id;
		if (!in || chance(3))
			a->other[a->nother++] = id;
	}
	for (int i = rnd(3); i > 0; i--)
		a->installed[a->ninstalled++] = junk[rnd(COUNTOF(junk))];
	for (int i = rnd(3); i > 0; i--)
		a->other[a->nother++] = junk[rnd(COUNTOF(junk))];
}

/* What the cookie says, as the design has it: another set of groups, or a never used one, tells everything;
 * parked ids were not told about what happened since they were parked. */
static uint32_t point_of(const struct ask *a)
{
	const struct client *c = a->c;
	if (c->groups != a->g.hash)
		return 0;
	return c->any_parked ? MIN(c->parked, c->point) : c->point;
}

static void prepare(struct ask *a)
{
	OK(client_groups_get(h.t, &h.set, slice_of(a->c->name), &a->g, &err));
	lists(a);
	a->q = (struct scan_request){.groups = &a->g, .pass = PASS_SOFTWARE, .installed = a->installed,
		.ninstalled = a->ninstalled, .other = a->other, .nother = a->nother, .filter = a->guid,
		.nfilter = (size_t)a->filter.n, .point = point_of(a), .two_groups = a->two_groups};
	struct m_filter none = {.n = 0};
	m_selection(&h.m, &a->g, &a->filter, &a->selected);
	m_selection(&h.m, &a->g, &none, &a->deployed);
	for (int id = 1; id <= h.m.top; id++)
		a->needed[id] = a->selected.in[id] && h.m.rev[id].type != TYPE_DRIVER &&
			m_satisfied(&h.m, id, a->installed, a->ninstalled);
}

/* ---- NewUpdates ---- */

/* holds: WUSP-SYNC-29 WUSP-SYNC-30 WUSP-SYNC-35 WUSP-SYNC-36 WUSP-SYNC-43 WUSP-SYNC-60 WUSP-SYNC-75 WUSP-SYNC-77 */
static void check_page(const struct ask *a, const struct scan_result *r)
{
	size_t n = 0, at = 0;
	uint64_t bytes = 0, used = 0;
	for (int id = 1; id <= h.m.top; id++)
		if (a->needed[id] && !a->cached[id]) {
			n++;
			bytes += h.m.rev[id].plain;
		}
	size_t most = MAX((size_t)h.set.page_updates, n / 50);
	bytes = MAX((uint64_t)h.set.page_bytes, bytes / 30);
	for (int leaves = 0; leaves < 2; leaves++)
		for (int id = 1; id <= h.m.top; id++) {
			if (!a->needed[id] || a->cached[id] || m_leaf(&h.m, id) != (leaves == 1))
				continue;
			used += h.m.rev[id].plain;
			if (at > 0 && (at == most || used > bytes))
				goto full;
			CHECK(at < r->nfresh, "page of %zu ends before %d", r->nfresh, id);
			CHECK(r->fresh[at].revision == id, "new: %d, not %d", r->fresh[at].revision, id);
			CHECK(r->fresh[at].leaf == (leaves == 1), "leaf of new %d", id);
			CHECK(r->fresh[at].plain == h.m.rev[id].plain, "size of %d", id);
			at++;
		}
full:
	CHECK(at == r->nfresh, "page holds %zu, not %zu", r->nfresh, at);
	CHECK(r->remaining == n - at && r->truncated == (n > at), "%zu remain, not %zu", r->remaining, n - at);
}

/* ---- the other lists ---- */

static void check_ascending(const int32_t *v, size_t n)
{
	for (size_t i = 1; i < n; i++)
		CHECK(v[i - 1] < v[i], "ids are not ascending");
}

static bool is_in(const int32_t *v, size_t n, int32_t id)
{
	for (size_t i = 0; i < n; i++)
		if (v[i] == id)
			return true;
	return false;
}

/* holds: WUSP-SYNC-44 WUSP-SYNC-45 WUSP-SYNC-52 WUSP-SYNC-54 WUSP-SYNC-55 WUSP-SYNC-56 WUSP-SYNC-78 */
static void check_gone(const struct ask *a, const struct scan_result *r)
{
	size_t gone = 0, parked = 0;
	check_ascending(r->gone, r->ngone);
	check_ascending(r->parked, r->nparked);
	for (int id = 1; id <= h.m.top; id++) {
		bool out = a->cached[id] && !a->needed[id], park = out && a->two_groups && a->deployed.in[id];
		CHECK(is_in(r->gone, r->ngone, id) == (out && !park), "gone: %d", id);
		CHECK(is_in(r->parked, r->nparked, id) == park, "parked: %d", id);
		gone += out && !park;
		parked += park;
	}
	int32_t all[M_REVISIONS * 4];
	size_t n = 0, unknown = 0;
	for (size_t i = 0; i < a->ninstalled + a->nother; i++) {
		int32_t id = i < a->ninstalled ? a->installed[i] : a->other[i - a->ninstalled];
		if (id > 0 && id <= h.m.top)
			continue;
		CHECK(is_in(r->gone, r->ngone, id), "unknown %d is not gone", id);
		if (!is_in(all, n, id))
			unknown++;
		all[n++] = id;
	}
	CHECK(r->ngone == gone + unknown && r->nparked == parked, "%zu gone, %zu parked", r->ngone, r->nparked);
	did.gone += gone;
	did.parked += parked;
}

/* holds: WUSP-SYNC-46 WUSP-SYNC-47 WUSP-SYNC-48 WUSP-SYNC-49 WUSP-POPULATE-20 */
static void check_changed(const struct ask *a, const struct scan_result *r)
{
	bool told[M_REVISIONS] = {false};
	for (size_t i = 0; i < r->nchanged; i++) {
		int id = r->changed[i].revision;
		CHECK(i == 0 || r->changed[i - 1].revision < id, "changed ids are not ascending");
		CHECK(id > 0 && id <= h.m.top && a->needed[id] && a->cached[id], "changed: %d is not kept", id);
		CHECK(r->changed[i].leaf == m_leaf(&h.m, id), "leaf of changed %d", id);
		told[id] = true;
	}
	for (int id = 1; id <= h.m.top; id++) {
		if (!a->needed[id] || !a->cached[id])
			continue;
		struct m_view now = m_effective(&h.m, &a->g, id);
		bool differs = !m_view_same(&now, &a->c->view[id]);
		CHECK(told[id] || !differs, "%d changed from %s %u to %s %u (leaf %d to %d) since %u and was not told", id,
			a->c->view[id].action, a->c->view[id].id, now.action, now.id, a->c->view[id].leaf, now.leaf, a->q.point);
		CHECK(!a->q.point || a->q.point <= r->epoch, "point");
		did.changed += told[id];
		did.excess += told[id] && !differs;
	}
}

/* ---- applying it ---- */

static struct m_view told_view(struct ask *a, int id, bool leaf)
{
	struct effective f;
	OK(scan_effective(h.scan, &a->g, id, &f, &err));
	return (struct m_view){f.id, f.action, f.implied ? 0 : f.d.deadline, f.implied, leaf};
}

static void apply(struct ask *a, const struct scan_result *r)
{
	struct client *c = a->c;
	for (size_t i = 0; i < r->ngone; i++)
		if (r->gone[i] > 0 && r->gone[i] < M_REVISIONS)
			c->has[r->gone[i]] = false;
	for (size_t i = 0; i < r->nfresh; i++) {
		int id = r->fresh[i].revision;
		c->has[id] = true;
		c->view[id] = told_view(a, id, r->fresh[i].leaf);
	}
	for (size_t i = 0; i < r->nchanged; i++)
		c->view[r->changed[i].revision] = told_view(a, r->changed[i].revision, r->changed[i].leaf);
	did.fresh += r->nfresh;
}

/* The proof: of everything kept, the client knows what a fresh client would be told. */
/* holds: WUSP-SYNC-20 WUSP-SYNC-38 */
static void check_client(const struct ask *a)
{
	for (int id = 1; id <= h.m.top; id++) {
		if (!a->c->has[id] || !a->needed[id])
			continue;
		struct m_view now = m_effective(&h.m, &a->g, id);
		CHECK(m_view_same(&now, &a->c->view[id]) && now.implied == a->c->view[id].implied,
			"the client has %s %u for %d, and should have %s %u", a->c->view[id].action, a->c->view[id].id, id,
			now.action, now.id);
		CHECK(strcmp(now.action, "Block") != 0, "Block goes out for %d", id);
	}
}

/* As cgi/client.c does it: other groups end what was known, in every pass; a filtered pass looks at a part only
 * and moves no point, unless the client had nothing that could lie outside. */
static void keep_cookie(const struct ask *a, const struct scan_result *r)
{
	struct client *c = a->c;
	if (c->groups != a->g.hash) {
		c->point = 0;
		c->any_parked = false;
		c->groups = a->g.hash;
	}
	bool fresh = c->point == 0 && !c->any_parked && a->ninstalled + a->nother == 0;
	if (a->filter.n == 0 || fresh)
		c->point = r->epoch;
	if (a->filter.n > 0)
		return;
	c->any_parked = r->nparked > 0;
	c->parked = a->q.point;
}

/* holds: WUSP-SYNC-33 WUSP-SYNC-42 WUSP-SYNC-85 */
static void check_drivers(struct ask *a, const struct scan_result *r)
{
	bool drivers = false;
	for (int id = 1; id <= h.m.top; id++)
		drivers |= a->selected.in[id] && h.m.rev[id].type == TYPE_DRIVER;
	CHECK(r->drivers == drivers, "drivers");
	/* the driver pass knows its own list only, and offers nothing */
	struct scan_request q = a->q;
	struct scan_result d;
	if (!chance(10))
		return;
	q.pass = PASS_DRIVER;
	OK(scan_run(h.scan, &q, &d, &err));
	CHECK(d.nfresh == 0 && d.nchanged == 0 && d.remaining == 0 && d.drivers == drivers, "driver pass");
	for (size_t i = 0; i < a->nother; i++)
		CHECK(is_in(d.gone, d.ngone, a->other[i]) || is_in(d.parked, d.nparked, a->other[i]), "driver pass keeps");
	for (int id = 1; id <= h.m.top; id++)
		CHECK(is_in(a->other, a->nother, id) ||
			(!is_in(d.gone, d.ngone, id) && !is_in(d.parked, d.nparked, id)), "driver pass forgets %d", id);
}

/* Answers about single revisions. */
/* holds: WUSP-REFRESH-05 WUSP-REFRESH-07 WUSP-CATSCAN-07 */
static void check_single(struct ask *a)
{
	int32_t ids[M_REVISIONS];
	bool out[M_REVISIONS];
	size_t n = 0;
	for (int id = -1; id <= h.m.top + 2; id++)
		ids[n++] = id;
	OK(scan_deployed(h.scan, &a->g, ids, n, out, &err));
	for (size_t i = 0; i < n; i++)
		CHECK(out[i] == (ids[i] > 0 && ids[i] <= h.m.top && a->deployed.in[ids[i]]), "deployed: %d", ids[i]);
	for (int id = 1; id <= h.m.top; id++) {
		if (!m_visible(&h.m, id))
			continue;
		struct m_view want = m_effective(&h.m, &a->g, id), is = told_view(a, id, scan_is_leaf(h.scan, id));
		CHECK(m_view_same(&want, &is), "effective of %d: %s %u, not %s %u", id, is.action, is.id, want.action, want.id);
	}
	for (int u = 0; u < h.m.updates; u++) {
		int id = m_highest(&h.m, u);
		enum category_type want = id && h.m.rev[id].type == TYPE_CATEGORY ? h.m.rev[id].category : CAT_NONE;
		CHECK(scan_category(h.scan, &h.m.update[u].guid) == want, "category of update %d", u);
	}
}

static bool call(struct ask *a)
{
	struct scan_result r;
	begin(TXN_READ);
	struct settings set = h.set;
	OK(scan_bind(h.scan, h.t, &set, &err));
	prepare(a);
	OK(scan_run(h.scan, &a->q, &r, &err));
	check_page(a, &r);
	check_gone(a, &r);
	check_changed(a, &r);
	check_drivers(a, &r);
	apply(a, &r);
	check_client(a);
	if (chance(10))
		check_single(a);
	keep_cookie(a, &r);
	end(false);
	did.scans++;
	return r.truncated;
}

/* What the client evaluates between calls. */
static void install(struct client *c)
{
	for (int u = 0; u < h.m.updates; u++)
		if (chance(30))
			c->installed[u] = chance(h.m.update[u].type == TYPE_SOFTWARE ? 40 : 75);
}

static void scan(struct client *c)
{
	static struct ask a;
	bool more = true;
	a.c = c;
	h.set.page_updates = chance(30) ? 200 : 1 + rnd(6);
	h.set.page_bytes = chance(50) ? 1 << 20 : 1 + rnd(6000);
	a.two_groups = chance(60);
	random_filter(&a);
	for (int i = 0; more || chance(40); i++) {
		int32_t updates = h.set.page_updates, bytes = h.set.page_bytes;
		if (chance(10)) {
			change_and_publish(1 + rnd(2));
			h.set.page_updates = updates;
			h.set.page_bytes = bytes;
		}
		more = call(&a);
		if (!more)
			install(c);
		CHECK(i < 400, "a scan does not end");
	}
}

/* ================= histories ================= */

static void start(uint64_t seed)
{
	struct store *s = h.store;
	struct txn *t = h.t;
	struct scan *keep = h.scan;
	char dir[sizeof(h.dir)];
	memcpy(dir, h.dir, sizeof(dir));
	memset(&h, 0, sizeof(h));
	memcpy(h.dir, dir, sizeof(dir));
	h.store = s;
	h.t = t;
	h.scan = keep;
	h.seed = seed;
	h.rng = seed * 0x2545f4914f6cdd1du + 1;
	h.group_top = GROUP_DOWNSTREAM;
	h.now = time_now();
	for (int i = 0; i < CLIENTS; i++)
		snprintf(h.client[i].name, sizeof(h.client[i].name), "pc%d", i);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void store_new(void)
{
	const char *tmp = getenv("TMPDIR");
	snprintf(h.dir, sizeof(h.dir), "%s/m_scan.XXXXXX", tmp ? tmp : "/tmp");
	CHECK(mkdtemp(h.dir) != NULL, "%s: cannot be made", h.dir);
	OK(store_create(h.dir, &err));
	OK(store_open(&h.store, h.dir, STORE_ADMIN, &err));
	h.scan = scan_new();
	CHECK(h.scan != NULL, "memory");
}

static void store_drop(void)
{
	scan_free(&h.scan);
	store_close(&h.store);
	nftw(h.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void live(void)
{
	int steps = 5 + rnd(25);
	for (int i = 6 + rnd(M_UPDATES - 6); i > 0; i--)
		add_update();
	for (int i = 0; i < steps; i++) {
		change_and_publish(i == 0 ? 10 + rnd(30) : 1 + rnd(8));
		for (int c = 0; c < CLIENTS; c++)
			if (chance(30))
				scan(&h.client[c]);
	}
	did.histories++;
}

static void history(uint64_t seed)
{
	start(seed);
	h.commits = seed % COMMITS_EVERY == 0;
	if (h.commits)
		store_new(); /* a fresh one: what is committed stays */
	else
		OK(txn_begin(h.store, TXN_CATALOG, &h.t, &err));
	live();
	if (h.commits)
		store_drop();
	else
		txn_end(&h.t);
}

int main(int argc, char **argv)
{
	uint64_t first = 1, n = HISTORIES;
	for (int i = 1; i + 1 < argc; i += 2) {
		bool seed = strcmp(argv[i], "--seed") == 0;
		if (!text_u64(slice_of(argv[i + 1]), seed ? &first : &n))
			return 2;
	}
	for (uint64_t s = first; s < first + n; s++)
		if (s % COMMITS_EVERY == 0)
			history(s);
	h.store = NULL;
	store_new();
	for (uint64_t s = first; s < first + n; s++)
		if (s % COMMITS_EVERY != 0)
			history(s);
	store_drop();
	printf("%llu histories, %llu publishes, %llu scans: %llu new, %llu gone, %llu parked, %llu changed, "
	       "of them %llu told without need; %llu audits\n",
		(unsigned long long)did.histories, (unsigned long long)did.publishes, (unsigned long long)did.scans,
		(unsigned long long)did.fresh, (unsigned long long)did.gone, (unsigned long long)did.parked,
		(unsigned long long)did.changed, (unsigned long long)did.excess, (unsigned long long)did.audits);
	return 0;
}
