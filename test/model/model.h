/* model.h -- the definitions of store/scan.h once more: plain arrays, recursion, no index and no bitmap.
 *
 * Written from the definitions and MS-WUSP 3.1.5.7, shares no code with store/.  Truth about policy (what is
 * deployed, declined, waiting) is read back from the rows by the test; everything that follows from it is
 * computed here, in the most obvious way. */
#ifndef TEST_MODEL_H
#define TEST_MODEL_H

#include "store/scan.h"

#define M_UPDATES 64
#define M_REVISIONS 256 /* RevisionIDs below this */
#define M_GROUPS 24     /* GroupNos below this */
#define M_CLAUSES 5
#define M_ALTERNATIVES 4
#define M_MEMBERS 5

struct m_clause {
	int alternative[M_ALTERNATIVES], n; /* updates */
	bool category;
};

struct m_member {
	int update, number;
};

struct m_revision {
	bool there, published, removed;
	int update, number;
	bool explicit, expired;
	enum update_type type;
	enum category_type category;
	struct m_clause clause[M_CLAUSES];
	int clauses;
	struct m_member member[M_MEMBERS];
	int members;
	uint32_t plain, implied;
	bool held;
};

struct m_update {
	struct guid guid;
	uint32_t no;
	bool declined;
	enum update_type type;
	enum category_type category;
};

struct m_deployment {
	bool alive;
	uint32_t id;
	enum action action;
	tick_t deadline;
	bool waiting;
};

struct model {
	struct m_update update[M_UPDATES];
	int updates;
	struct m_revision rev[M_REVISIONS]; /* by RevisionID */
	int top;                            /* highest RevisionID */
	struct m_deployment dep[M_GROUPS][M_REVISIONS];
	enum scan_scope scope;
};

/* ---- what is there ---- */

static bool m_visible(const struct model *m, int id)
{
	return id > 0 && id <= m->top && m->rev[id].there && m->rev[id].published && !m->rev[id].removed;
}

static int m_exact(const struct model *m, int update, int number)
{
	for (int id = 1; id <= m->top; id++)
		if (m_visible(m, id) && m->rev[id].update == update && m->rev[id].number == number)
			return id;
	return 0;
}

/* Held: a member is not there, or is held itself; nothing else is. */
static void m_hold(struct model *m)
{
	for (int id = 1; id <= m->top; id++)
		m->rev[id].held = false;
	for (bool more = true; more;) {
		more = false;
		for (int id = 1; id <= m->top; id++) {
			struct m_revision *r = &m->rev[id];
			for (int i = 0; i < r->members && !r->held; i++) {
				int member = m_exact(m, r->member[i].update, r->member[i].number);
				if (member == 0 || m->rev[member].held)
					r->held = more = true;
			}
		}
	}
}

static bool m_alive(const struct model *m, int id)
{
	return m_visible(m, id) && !m->rev[id].held && !m->update[m->rev[id].update].declined;
}

static int m_highest(const struct model *m, int update)
{
	int best = 0;
	for (int id = 1; id <= m->top; id++)
		if (m_alive(m, id) && m->rev[id].update == update &&
			(best == 0 || m->rev[id].number > m->rev[best].number))
			best = id;
	return best;
}

static bool m_leaf(const struct model *m, int id)
{
	for (int other = 1; other <= m->top; other++)
		for (int c = 0; m_visible(m, other) && c < m->rev[other].clauses; c++)
			for (int i = 0; i < m->rev[other].clause[c].n; i++)
				if (m->rev[other].clause[c].alternative[i] == m->rev[id].update)
					return false;
	return true;
}

static bool m_member_of_alive(const struct model *m, int id)
{
	for (int b = 1; b <= m->top; b++)
		for (int i = 0; m_alive(m, b) && i < m->rev[b].members; i++)
			if (m_exact(m, m->rev[b].member[i].update, m->rev[b].member[i].number) == id)
				return true;
	return false;
}

/* ---- deployments ---- */

static int m_rank(enum action a)
{
	switch (a) {
	case ACT_INSTALL:
		return 1;
	case ACT_OPTIONAL_INSTALL:
		return 2;
	case ACT_UNINSTALL:
		return 3;
	case ACT_PREDEPLOYMENT_CHECK:
		return 4;
	default:
		return 5;
	}
}

static bool m_better(const struct m_deployment *a, uint32_t ga, const struct m_deployment *b, uint32_t gb)
{
	if (m_rank(a->action) != m_rank(b->action))
		return m_rank(a->action) < m_rank(b->action);
	if (a->deadline != b->deadline)
		return b->deadline == 0 || (a->deadline != 0 && a->deadline < b->deadline);
	return ga < gb;
}

/* The explicit deployment that holds for a client with these groups, or NULL. */
static const struct m_deployment *m_explicit(const struct model *m, const struct client_groups *g, int id)
{
	const struct m_deployment *best = NULL;
	unsigned where = 0;
	for (unsigned i = 0; i < g->n; i++) {
		const struct m_deployment *d = &m->dep[g->no[i]][id];
		if (!d->alive)
			continue;
		if (!best || g->distance[i] < g->distance[where] ||
			(g->distance[i] == g->distance[where] && m_better(d, g->no[i], best, g->no[where]))) {
			best = d;
			where = i;
		}
	}
	return best;
}

struct m_view { /* what a client sees of a revision beside its metadata */
	uint32_t id;
	const char *action;
	tick_t deadline;
	bool implied, leaf;
};

static inline struct m_view m_effective(const struct model *m, const struct client_groups *g, int id)
{
	const struct m_deployment *d = m_explicit(m, g, id);
	const struct m_revision *r = &m->rev[id];
	struct m_view v = {.leaf = m_leaf(m, id), .implied = !d};
	if (d) {
		v.id = d->id;
		v.deadline = d->deadline;
		v.action = d->waiting || d->action == ACT_BLOCK ? "PreDeploymentCheck" :
			d->action == ACT_INSTALL ? "Install" :
			d->action == ACT_UNINSTALL ? "Uninstall" :
			d->action == ACT_OPTIONAL_INSTALL ? "OptionalInstall" : "PreDeploymentCheck";
		return v;
	}
	v.id = r->implied;
	if (m_member_of_alive(m, id))
		v.action = "Bundle";
	else if (r->type == TYPE_CATEGORY || r->type == TYPE_DETECTOID)
		v.action = "Evaluate";
	else
		v.action = m->scope == SCOPE_ALL ? "PreDeploymentCheck" : "Evaluate";
	return v;
}

static inline bool m_view_same(const struct m_view *a, const struct m_view *b)
{
	return a->id == b->id && strcmp(a->action, b->action) == 0 && a->deadline == b->deadline && a->leaf == b->leaf;
}

/* ---- categories ---- */

#define M_FILTER 4
struct m_filter {
	int update[M_FILTER]; /* -1: a guid that nobody knows */
	int n;
};

static bool m_names_below(const struct model *m, int id, const struct m_filter *f, bool *seen);

/* Is the category listed, or below a listed one? */
static bool m_category_below(const struct model *m, int update, const struct m_filter *f, bool *seen)
{
	for (int i = 0; i < f->n; i++)
		if (f->update[i] == update)
			return true;
	if (seen[update])
		return false;
	seen[update] = true;
	int id = m_highest(m, update);
	return id != 0 && m->rev[id].type == TYPE_CATEGORY && m_names_below(m, id, f, seen);
}

static bool m_names_below(const struct model *m, int id, const struct m_filter *f, bool *seen)
{
	const struct m_revision *r = &m->rev[id];
	for (int c = 0; c < r->clauses; c++)
		for (int i = 0; r->clause[c].category && i < r->clause[c].n; i++)
			if (m_category_below(m, r->clause[c].alternative[i], f, seen))
				return true;
	return false;
}

static bool m_related(const struct model *m, int id, const struct m_filter *f)
{
	bool seen[M_UPDATES] = {false};
	return f->n == 0 || m_names_below(m, id, f, seen);
}

/* ---- selection ---- */

struct m_selection {
	bool in[M_REVISIONS];
	bool taken[M_UPDATES];
	int order[M_REVISIONS], n, next;
};

struct m_select {
	const struct model *m;
	const struct client_groups *g;
	const struct m_filter *f;
	struct m_selection *s;
};

static void m_visit(const struct m_select *x, int id)
{
	const struct model *m = x->m;
	const struct m_deployment *d = id ? m_explicit(m, x->g, id) : NULL;
	if (id == 0 || !m_alive(m, id) || x->s->taken[m->rev[id].update] || (d && d->action == ACT_BLOCK))
		return;
	x->s->taken[m->rev[id].update] = true;
	x->s->in[id] = true;
	x->s->order[x->s->n++] = id;
	for (int i = 0; i < m->rev[id].members; i++)
		m_visit(x, m_exact(m, m->rev[id].member[i].update, m->rev[id].member[i].number));
}

static void m_prerequisites(const struct m_select *x)
{
	while (x->s->next < x->s->n) {
		const struct m_revision *r = &x->m->rev[x->s->order[x->s->next++]];
		for (int c = 0; c < r->clauses; c++)
			for (int i = 0; i < r->clause[c].n; i++)
				m_visit(x, m_highest(x->m, r->clause[c].alternative[i]));
	}
}

/* The deployed revision of this distance that comes after `after`: higher number, then higher id first. */
static int m_next_deployed(const struct m_select *x, unsigned distance, const bool *done)
{
	const struct model *m = x->m;
	int best = 0;
	for (int id = 1; id <= m->top; id++)
		for (unsigned i = 0; i < x->g->n; i++) {
			const struct m_deployment *d = &m->dep[x->g->no[i]][id];
			if (x->g->distance[i] != distance || !d->alive || d->action == ACT_BLOCK || done[id] || !m->rev[id].there)
				continue;
			if (best == 0 || m->rev[id].number > m->rev[best].number ||
				(m->rev[id].number == m->rev[best].number && id > best))
				best = id;
		}
	return best;
}

static void m_deployed(const struct m_select *x)
{
	for (unsigned distance = 0; distance < 256; distance++) {
		bool done[M_REVISIONS] = {false};
		for (int id; (id = m_next_deployed(x, distance, done)) != 0; done[id] = true)
			if (m_related(x->m, id, x->f))
				m_visit(x, id);
	}
}

static bool m_listed(const struct m_select *x, int id)
{
	for (int i = 0; i < x->f->n; i++)
		if (x->f->update[i] == x->m->rev[id].update)
			return x->m->rev[id].type == TYPE_CATEGORY && m_highest(x->m, x->m->rev[id].update) == id;
	return false;
}

static bool m_other_root(const struct m_select *x, int id)
{
	const struct model *m = x->m;
	if (m->scope != SCOPE_ALL || !m_alive(m, id) || m->rev[id].expired || !m->rev[id].explicit)
		return false;
	for (int o = 1; o <= m->top; o++)
		if (m->rev[o].update == m->rev[id].update && m->rev[o].number > m->rev[id].number && m_alive(m, o) &&
			!m->rev[o].expired && m->rev[o].explicit)
			return false;
	return m_related(m, id, x->f);
}

static inline void m_selection(const struct model *m, const struct client_groups *g, const struct m_filter *f,
	struct m_selection *s)
{
	struct m_select x = {m, g, f, s};
	memset(s, 0, sizeof(*s));
	m_deployed(&x);
	m_prerequisites(&x);
	for (int id = 1; id <= m->top; id++)
		if (m_alive(m, id) && (m_listed(&x, id) || m_other_root(&x, id)))
			m_visit(&x, id);
	m_prerequisites(&x);
}

/* ---- what a client needs ---- */

static inline bool m_satisfied(const struct model *m, int id, const int32_t *installed, size_t n)
{
	for (int c = 0; c < m->rev[id].clauses; c++) {
		bool met = false;
		for (int i = 0; i < m->rev[id].clause[c].n; i++)
			for (size_t k = 0; k < n; k++)
				met |= installed[k] > 0 && installed[k] <= m->top && m->rev[installed[k]].published &&
					m->rev[installed[k]].update == m->rev[id].clause[c].alternative[i];
		if (!met)
			return false;
	}
	return true;
}

#endif
