/* m_sync.c -- what downstream servers are told against the model: random histories on a real store (history.h).
 *
 * While the catalog and the policy change, downstream servers with several choices of categories ask for lists and
 * deployments, now and then.  Checked are each answer, exactly, and that a server that only ever took what is new holds
 * everything that a server would be told that asks for the first time. */
#define MODEL_NAME "m_sync"
#define HISTORIES 1500
#include "store/sync.h"
#include "test/model/history.h"

#define SERVERS 5
#define CHOICES 3

struct server {
	bool config;
	int category[CHOICES], classification[CHOICES], ncategory, nclassification; /* updates, -1: a guid that nobody knows */
	uint32_t point;
	bool has[M_REVISIONS];
	/* of a replica */
	uint32_t deployed_to;
	struct told {
		bool there;
		uint32_t group;
		int32_t revision;
		enum action action;
		tick_t deadline;
	} told[4096]; /* by DeploymentID */
};

static struct server server[SERVERS];
static uint32_t since[M_REVISIONS]; /* the model's LISTED */
static uint32_t cut;                /* the last epoch in which a category was removed: nobody removes them yet */
static bool file_changed[M_REVISIONS];
static struct {
	uint64_t lists, listed, news, deployments, dead, walks;
} did;

/* ================= the definitions once more ================= */

static bool shown(int id)
{
	return m_visible(&h.m, id) && !h.m.rev[id].held;
}

static bool highest_shown(int id)
{
	for (int o = 1; o <= h.m.top; o++)
		if (shown(o) && h.m.rev[o].update == h.m.rev[id].update && h.m.rev[o].number > h.m.rev[id].number)
			return false;
	return true;
}

static bool member_of(int id, int bundle)
{
	const struct m_revision *b = &h.m.rev[bundle];
	for (int i = 0; i < b->members; i++)
		if (m_exact(&h.m, b->member[i].update, b->member[i].number) == id)
			return true;
	return false;
}

static bool is_config(int id)
{
	return h.m.rev[id].type == TYPE_CATEGORY || h.m.rev[id].type == TYPE_DETECTOID;
}

static bool is_listed(int id)
{
	if (!shown(id))
		return false;
	if (is_config(id) || highest_shown(id))
		return true;
	for (int b = 1; b <= h.m.top; b++)
		if (shown(b) && member_of(id, b))
			return true;
	for (uint32_t g = 1; g <= h.group_top; g++)
		if (h.m.dep[g][id].alive)
			return true;
	return false;
}

/* holds: WSUSSS-POPULATE-05 */
static void note_publish(void)
{
	for (int id = 1; id <= h.m.top; id++) {
		bool is = is_listed(id);
		if (!is && since[id] != 0 && h.m.rev[id].type == TYPE_CATEGORY)
			cut = h.epoch;
		if (!is)
			since[id] = 0;
		else if (since[id] == 0 || (file_changed[id] && h.m.rev[id].type != TYPE_CATEGORY))
			since[id] = h.epoch;
		file_changed[id] = false;
	}
}

/* ---- categories ---- */

struct choice {
	int v[CHOICES], n; /* updates */
	uint32_t until;    /* with categories as they were then */
	bool seen[M_UPDATES];
};

static bool chosen_below(struct choice *c, int update);

static bool names_chosen(struct choice *c, int id)
{
	const struct m_revision *r = &h.m.rev[id];
	for (int k = 0; k < r->clauses; k++)
		for (int i = 0; r->clause[k].category && i < r->clause[k].n; i++)
			if (chosen_below(c, r->clause[k].alternative[i]))
				return true;
	return false;
}

static bool chosen_below(struct choice *c, int update)
{
	int best = 0;
	for (int i = 0; i < c->n; i++)
		if (c->v[i] == update)
			return true;
	if (c->seen[update])
		return false;
	c->seen[update] = true;
	for (int id = 1; id <= h.m.top; id++) {
		const struct m_revision *r = &h.m.rev[id];
		if (r->update == update && r->type == TYPE_CATEGORY && since[id] && since[id] <= c->until &&
			(best == 0 || r->number > h.m.rev[best].number))
			best = id;
	}
	return best && names_chosen(c, best);
}

struct question {
	const struct server *s;
	uint32_t after;
	bool delta[2][CHOICES];
};

static bool in_one_of(const int *v, const bool *delta, int n, int id, bool without_delta, uint32_t until)
{
	struct choice c = {.until = until};
	for (int i = 0; i < n; i++)
		if (!without_delta || !delta[i])
			c.v[c.n++] = v[i];
	return names_chosen(&c, id);
}

static bool belongs(const struct question *q, int id, uint32_t until)
{
	return in_one_of(q->s->category, q->delta[0], q->s->ncategory, id, false, until) &&
		in_one_of(q->s->classification, q->delta[1], q->s->nclassification, id, false, until);
}

static bool is_wanted_again(const struct question *q, int id)
{
	return in_one_of(q->s->category, q->delta[0], q->s->ncategory, id, true, UINT32_MAX) ||
		in_one_of(q->s->classification, q->delta[1], q->s->nclassification, id, true, UINT32_MAX);
}

/* Members have what a listed bundle has, at any depth. */
static void flow_down(bool *mark)
{
	for (bool more = true; more;) {
		more = false;
		for (int b = 1; b <= h.m.top; b++)
			for (int id = 1; mark[b] && since[b] && id <= h.m.top; id++)
				if (!mark[id] && since[id] && member_of(id, b))
					mark[id] = more = true;
	}
}

/* holds: WSUSSS-REVLIST-11 WSUSSS-REVLIST-12 WSUSSS-REVLIST-14 WSUSSS-REVLIST-15 WSUSSS-REVLIST-16 WSUSSS-REVLIST-17
 * WSUSSS-REVLIST-19 WSUSSS-REVLIST-20 */
static void expected(const struct question *q, bool *in)
{
	bool wanted[M_REVISIONS] = {false}, old[M_REVISIONS] = {false}, told[M_REVISIONS] = {false};
	bool all = q->s->config || (q->s->ncategory == 0 && q->s->nclassification == 0);
	memset(in, 0, M_REVISIONS * sizeof(*in));
	for (int id = 1; id <= h.m.top; id++) {
		wanted[id] = since[id] && (all || belongs(q, id, UINT32_MAX));
		old[id] = since[id] && !all && belongs(q, id, UINT32_MAX) && is_wanted_again(q, id);
		told[id] = since[id] && since[id] <= q->after && (all || belongs(q, id, q->after));
	}
	if (!all) {
		flow_down(wanted);
		flow_down(old);
		flow_down(told);
	}
	for (int id = 1; id <= h.m.top; id++)
		in[id] = old[id] || (wanted[id] && (since[id] > q->after || !told[id]));
	if (!all)
		flow_down(in);
	for (int id = 1; id <= h.m.top; id++)
		in[id] = in[id] && is_config(id) == q->s->config;
}

/* ================= asking ================= */

static size_t fill(struct sync_choice *to, const int *v, const bool *delta, int n)
{
	for (int i = 0; i < n; i++)
		to[i] = (struct sync_choice){v[i] < 0 ? guid_random() : h.m.update[v[i]].guid, delta[i]};
	return (size_t)n;
}

static void ask(const struct question *q, int32_t **ids, size_t *n)
{
	struct sync *s;
	struct sync_choice cat[CHOICES], cls[CHOICES];
	struct sync_filter f = {.config = q->s->config, .after = q->after, .category = cat, .classification = cls};
	f.ncategory = fill(cat, q->s->category, q->delta[0], q->s->ncategory);
	f.nclassification = fill(cls, q->s->classification, q->delta[1], q->s->nclassification);
	OK(sync_open(h.t, txn_arena(h.t), &s, &err));
	OK(sync_list(s, &f, ids, n, &err));
	for (size_t i = 0; i < *n; i++) {
		int32_t id = (*ids)[i], number, found_id;
		struct guid g;
		CHECK(id > 0 && id <= h.m.top && (i == 0 || id > (*ids)[i - 1]), "%d at %zu of a list", id, i);
		sync_identity(s, id, &g, &number);
		CHECK(number == h.m.rev[id].number && guid_cmp(&g, &h.m.update[h.m.rev[id].update].guid) == 0, "identity of %d", id);
		OK(sync_find(h.t, &g, number, &found_id));
		CHECK(found_id == id, "%d is found as %d", id, found_id);
	}
}

static void check_list(const struct question *q, const int32_t *ids, size_t n)
{
	bool in[M_REVISIONS];
	size_t at = 0;
	expected(q, in);
	for (int id = 1; id <= h.m.top; id++) {
		bool is = at < n && ids[at] == id;
		CHECK(is == in[id], "%d is %s the list since %u (listed since %u)", id, is ? "in" : "not in", q->after, since[id]);
		at += is;
	}
	CHECK(at == n, "%zu more in a list", n - at);
	did.lists++;
	did.listed += n;
	did.news += q->after > 0;
}

/* Now and then one list is wanted whole again, as after a choice was widened. */
static void widen(struct server *s, struct question *q)
{
	int *n[] = {&s->ncategory, &s->nclassification}, *v[] = {s->category, s->classification};
	for (int k = 0; k < 2; k++)
		for (int i = 0; i < CHOICES; i++)
			q->delta[k][i] = !chance(10);
	if (s->config || *n[0] == 0 || *n[1] == 0 || !chance(10))
		return;
	int k = rnd(2);
	if (*n[k] == CHOICES)
		return;
	v[k][*n[k]] = random_update_of(TYPE_CATEGORY);
	q->delta[k][(*n[k])++] = false;
}

/* holds: WSUSSS-REVLIST-13 WSUSSS-REVLIST-24 WSUSSS-REVLIST-25 WSUSSS-ADM-27 WSUSSS-ADM-28 */
static void synchronize(struct server *s)
{
	struct question q = {.s = s}, first = {.s = s};
	bool in[M_REVISIONS];
	int32_t *ids;
	size_t n;
	begin(TXN_READ);
	widen(s, &q);
	q.after = cut > s->point ? 0 : s->point;
	ask(&q, &ids, &n);
	check_list(&q, ids, n);
	for (size_t i = 0; i < n; i++)
		s->has[ids[i]] = true;
	s->point = h.epoch;
	expected(&first, in);
	for (int id = 1; id <= h.m.top; id++)
		CHECK(!in[id] || s->has[id], "%d was never told, since %u, listed since %u", id, q.after, since[id]);
	end(false);
}

/* ================= deployments ================= */

static struct guid deployment_guid(uint32_t id)
{
	struct server_state st;
	OK(server_state_get(h.t, &st, &err));
	for (int i = 0; i < 4; i++)
		st.server_id.b[15 - i] ^= (uint8_t)(id >> 8 * i);
	return st.server_id;
}

static bool among(const struct guid *v, size_t n, const struct guid *g)
{
	for (size_t i = 0; i < n; i++)
		if (guid_cmp(&v[i], g) == 0)
			return true;
	return false;
}

static void check_live(const struct sync_deployment *l, const struct deployment *d)
{
	struct group g;
	struct guid id = deployment_guid(d->id);
	OK(group_get(h.t, d->group, &g, &err));
	CHECK(l->d.group == d->group && l->d.revision == d->revision, "deployment %u stands at the wrong place", d->id);
	CHECK(guid_cmp(&l->guid, &id) == 0 && guid_cmp(&l->group, &g.id) == 0, "guids of deployment %u", d->id);
	CHECK(l->number == h.m.rev[d->revision].number, "revision of deployment %u", d->id);
	CHECK(guid_cmp(&l->update, &h.m.update[h.m.rev[d->revision].update].guid) == 0, "update of deployment %u", d->id);
	CHECK(l->d.action == d->action && l->d.deadline == d->deadline && l->d.go_live == d->go_live, "deployment %u", d->id);
}

/* holds: WSUSSS-DEPLOYMENTS-11 WSUSSS-DEPLOYMENTS-12 WSUSSS-DEPLOYMENTS-13 WSUSSS-DEPLOYMENTS-14 WSUSSS-DEPLOYMENTS-23 */
static void check_window(const struct sync_deployments *o, uint32_t after, uint32_t until)
{
	size_t live = 0, dead = 0;
	for (uint32_t g = 1; g <= h.group_top; g++)
		for (int id = 1; id <= h.m.top; id++) {
			struct deployment d;
			if (deployment_get(h.t, g, id, &d) != E_OK || d.epoch <= after || d.epoch > until)
				continue;
			struct guid guid = deployment_guid(d.id);
			if (d.dead) {
				CHECK(after == 0 || among(o->dead, o->ndead, &guid), "the end of deployment %u is not told", d.id);
				dead += after != 0;
				continue;
			}
			CHECK(live < o->nlive, "deployment %u is not told", d.id);
			check_live(&o->live[live++], &d);
		}
	CHECK(live == o->nlive && dead == o->ndead, "%zu and %zu deployments, not %zu and %zu", o->nlive, o->ndead, live, dead);
	did.deployments += live;
	did.dead += dead;
}

static void take(struct server *s, const struct sync_deployments *o)
{
	for (size_t i = 0; i < o->nlive; i++) {
		const struct deployment *d = &o->live[i].d;
		CHECK(d->id < COUNTOF(s->told), "too many deployments");
		s->told[d->id] = (struct told){true, d->group, d->revision, d->action, d->deadline};
	}
	for (uint32_t id = 1; o->ndead && id < COUNTOF(s->told); id++) {
		struct guid g = deployment_guid(id);
		if (s->told[id].there && among(o->dead, o->ndead, &g))
			s->told[id].there = false;
	}
}

/* A replica that took everything has what is in effect, and nothing else. */
static void check_replica(const struct server *s)
{
	size_t told = 0, live = 0;
	for (uint32_t id = 1; id < COUNTOF(s->told); id++)
		told += s->told[id].there;
	for (uint32_t g = 1; g <= h.group_top; g++)
		for (int id = 1; id <= h.m.top; id++) {
			const struct m_deployment *d = &h.m.dep[g][id];
			if (!d->alive)
				continue;
			const struct told *t = &s->told[d->id];
			CHECK(t->there && t->group == g && t->revision == id && t->action == d->action && t->deadline == d->deadline,
				"a replica lacks deployment %u", d->id);
			live++;
		}
	CHECK(told == live, "a replica has %zu deployments of %zu", told, live);
}

static void replicate(struct server *s)
{
	struct sync_deployments o;
	struct server_state st;
	begin(TXN_READ);
	uint32_t until = chance(70) ? h.epoch : s->deployed_to + (uint32_t)rnd((int)(h.epoch - s->deployed_to) + 1);
	OK(server_state_get(h.t, &st, &err));
	OK(sync_deployments(h.t, s->deployed_to, until, txn_arena(h.t), &o, &err));
	check_window(&o, s->deployed_to, until);
	did.walks += s->deployed_to < st.log_floor;
	take(s, &o);
	s->deployed_to = until;
	if (until == h.epoch)
		check_replica(s);
	end(false);
}

/* ---- hidden updates and EULAs ---- */

static bool update_shown(int update)
{
	for (int id = 1; id <= h.m.top; id++)
		if (m_visible(&h.m, id) && h.m.rev[id].update == update)
			return true;
	return false;
}

/* holds: WSUSSS-DEPLOYMENTS-15 WSUSSS-DEPLOYMENTS-16 WSUSSS-ADM-24 */
static void check_lists_of_guids(void)
{
	struct guid *v;
	size_t n, hidden = 0, accepted = 0;
	begin(TXN_READ);
	OK(sync_hidden(h.t, txn_arena(h.t), &v, &n, &err));
	for (int u = 0; u < h.m.updates; u++) {
		bool is = h.m.update[u].declined && update_shown(u);
		CHECK(among(v, n, &h.m.update[u].guid) == is, "update %d is %shidden", u, is ? "not " : "");
		hidden += is;
	}
	CHECK(n == hidden, "%zu hidden updates, not %zu", n, hidden);
	for (size_t i = 1; i < n; i++)
		CHECK(guid_cmp(&v[i - 1], &v[i]) < 0, "hidden updates are not ascending");
	OK(sync_eulas(h.t, txn_arena(h.t), &v, &n, &err));
	for (int i = 0; i < EULAS; i++) {
		struct guid g = eula_id(i);
		CHECK(among(v, n, &g) == eula_accepted(h.t, &g), "EULA %d", i);
		accepted += eula_accepted(h.t, &g);
	}
	CHECK(n == accepted, "%zu EULAs, not %zu", n, accepted);
	end(false);
}

/* ================= histories ================= */

static int name_changed(const struct revision_file *rf, void *arg)
{
	bool *changed = ((void **)arg)[1];
	*changed |= memcmp(&rf->digest, ((void **)arg)[0], sizeof(rf->digest)) == 0;
	return 0;
}

/* More becomes known of a file: an address, or a key. */
static void learn_of_file(void)
{
	char text[24];
	struct sha1 d = file_digest(rnd(FILES));
	struct file f;
	if (file_get(h.t, &d, &f, NULL) != E_OK)
		return;
	bool url = chance(50);
	snprintf(text, sizeof(text), "http://example/%d", rnd(3));
	struct slice v = slice_of(text);
	bool same = slice_eq(url ? f.mu_url : f.key, v);
	OK(url ? file_set_url(h.t, &d, v, &err) : file_set_key(h.t, &d, v, &err));
	for (int id = 1; !same && id <= h.m.top; id++) {
		void *arg[] = {&d, &file_changed[id]};
		if (h.m.rev[id].there)
			OK(revision_files_each(h.t, id, name_changed, arg, &err));
	}
}

static void begun(void)
{
	memset(since, 0, sizeof(since));
	memset(file_changed, 0, sizeof(file_changed));
	memset(server, 0, sizeof(server));
	cut = 0;
}

static void choose(struct server *s)
{
	*s = (struct server){.config = chance(20)};
	if (chance(25))
		return;
	s->ncategory = rnd(CHOICES + 1);
	s->nclassification = rnd(CHOICES + 1);
	for (int i = 0; i < CHOICES; i++) {
		s->category[i] = chance(90) ? random_update_of(TYPE_CATEGORY) : -1;
		s->classification[i] = chance(90) ? random_update_of(TYPE_CATEGORY) : -1;
	}
}

static void live(void)
{
	int steps = 5 + rnd(25);
	for (int i = 6 + rnd(M_UPDATES - 6); i > 0; i--)
		add_update();
	for (int i = 0; i < SERVERS; i++)
		choose(&server[i]);
	for (int i = 0; i < steps; i++) {
		uint32_t was = h.epoch;
		change_and_publish(i == 0 ? 10 + rnd(30) : 1 + rnd(8));
		note_publish();
		CHECK(h.epoch >= was, "the epoch went back");
		for (int s = 0; s < SERVERS; s++) {
			if (chance(40))
				synchronize(&server[s]);
			if (chance(30))
				replicate(&server[s]);
		}
		if (chance(30))
			check_lists_of_guids();
	}
}

int main(int argc, char **argv)
{
	static const struct history_hooks hooks = {NULL, NULL, begun, live};
	own_change = learn_of_file;
	int rc = histories(argc, argv, &hooks);
	printf("%llu histories, %llu publishes, %llu lists, %llu of them of news, with %llu revisions; %llu deployments told, %llu "
	       "ended, %llu times without the log; %llu audits\n",
		(unsigned long long)ran.histories, (unsigned long long)ran.publishes, (unsigned long long)did.lists,
		(unsigned long long)did.news, (unsigned long long)did.listed, (unsigned long long)did.deployments,
		(unsigned long long)did.dead, (unsigned long long)did.walks, (unsigned long long)ran.audits);
	return rc;
}
