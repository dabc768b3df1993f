/* m_scan.c -- scan and publish against the model: random histories on a real store (history.h).
 *
 * While the catalog changes, clients of every age scan it with the caches that earlier answers gave them.  Checked are
 * each answer (exactly where it is defined) and, the point of it all, that a client that applied it sees of every
 * revision it keeps what a fresh client would be told. */
#define MODEL_NAME "m_scan"
#include "test/model/history.h"

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

static struct client client[CLIENTS];
static struct scan *scanner;
static struct {
	uint64_t scans, fresh, changed, excess, gone, parked;
} did;

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
	OK(scan_effective(scanner, &a->g, id, &f, &err));
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
	OK(scan_run(scanner, &q, &d, &err));
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
	OK(scan_deployed(scanner, &a->g, ids, n, out, &err));
	for (size_t i = 0; i < n; i++)
		CHECK(out[i] == (ids[i] > 0 && ids[i] <= h.m.top && a->deployed.in[ids[i]]), "deployed: %d", ids[i]);
	for (int id = 1; id <= h.m.top; id++) {
		if (!m_visible(&h.m, id))
			continue;
		struct m_view want = m_effective(&h.m, &a->g, id), is = told_view(a, id, scan_is_leaf(scanner, id));
		CHECK(m_view_same(&want, &is), "effective of %d: %s %u, not %s %u", id, is.action, is.id, want.action, want.id);
	}
	for (int u = 0; u < h.m.updates; u++) {
		int id = m_highest(&h.m, u);
		enum category_type want = id && h.m.rev[id].type == TYPE_CATEGORY ? h.m.rev[id].category : CAT_NONE;
		CHECK(scan_category(scanner, &h.m.update[u].guid) == want, "category of update %d", u);
	}
}

static bool call(struct ask *a)
{
	struct scan_result r;
	begin(TXN_READ);
	struct settings set = h.set;
	OK(scan_bind(scanner, h.t, &set, &err));
	prepare(a);
	OK(scan_run(scanner, &a->q, &r, &err));
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

static void opened(void)
{
	scanner = scan_new();
	CHECK(scanner != NULL, "memory");
}

static void closing(void)
{
	scan_free(&scanner);
}

static void begun(void)
{
	memset(client, 0, sizeof(client));
	for (int i = 0; i < CLIENTS; i++) {
		struct slice name = client_name(i);
		memcpy(client[i].name, name.p, name.n);
	}
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
				scan(&client[c]);
	}
}

int main(int argc, char **argv)
{
	static const struct history_hooks hooks = {opened, closing, begun, live};
	int rc = histories(argc, argv, &hooks);
	printf("%llu histories, %llu publishes, %llu scans: %llu new, %llu gone, %llu parked, %llu changed, "
	       "of them %llu told without need; %llu audits\n",
		(unsigned long long)ran.histories, (unsigned long long)ran.publishes, (unsigned long long)did.scans,
		(unsigned long long)did.fresh, (unsigned long long)did.gone, (unsigned long long)did.parked,
		(unsigned long long)did.changed, (unsigned long long)did.excess, (unsigned long long)ran.audits);
	return rc;
}
