/* group.c -- target groups, server-side assignments, and the groups of a computer.
 *
 * The tree is small (LIMIT_GROUPS) and is loaded whole for administrative changes; a request walks from the
 * computer's own groups to the root and reads only those rows.  Names fold ASCII letters only. */
#include "common/buf.h"
#include "common/text.h"
#include "store/db.h"
#include "store/publish.h"
#include "store/replica.h"
#include "store/report_parts.h"

#define GROUP_RECORD 512

/* ================= rows ================= */

static int group_decode(uint32_t no, struct slice value, struct group *out)
{
	struct rec r = rec_of(value, 1);
	*out = (struct group){.no = no};
	rec_bytes(&r, &out->id, sizeof(out->id));
	out->name = rec_str(&r);
	out->parent = rec_u32(&r);
	out->builtin = rec_u8(&r) != 0;
	out->moved_epoch = rec_u32(&r);
	out->created = (tick_t)rec_u64(&r);
	return rec_end(&r);
}

struct name_key {
	char b[LIMIT_GROUP_NAME];
	struct slice s;
};

static bool name_key(struct name_key *k, struct slice name)
{
	if (name.n == 0 || name.n > sizeof(k->b))
		return false;
	text_lower_to(k->b, name);
	k->s = (struct slice){k->b, name.n};
	return true;
}

int group_put(struct txn *t, const struct group *g, struct err *e)
{
	struct buf b;
	struct name_key name;
	struct key k = key_u32(g->no);
	if (!name_key(&name, g->name))
		return txn_fail(t, err_set(e, E_LIMIT, "a group's name has 1 to %d bytes", LIMIT_GROUP_NAME), e);
	rec_begin(&b, 1, GROUP_RECORD);
	buf_add(&b, &g->id, sizeof(g->id));
	rec_put_str(&b, g->name);
	rec_put_u32(&b, g->parent);
	buf_char(&b, g->builtin);
	rec_put_u32(&b, g->moved_epoch);
	rec_put_u64(&b, (uint64_t)g->created);
	int rc = db_put_rec(t, DB_GROUP, key_bytes(&k), &b, e);
	struct slice old;
	if (rc != E_OK || (db_get(t, DB_GROUP_NAME, name.s, &old) == E_OK && slice_eq(old, key_bytes(&k))))
		return rc;
	rc = db_put(t, DB_GROUP_NAME, name.s, key_bytes(&k), e);
	return rc == E_OK ? membership_names_changed(t, e) : rc;
}

int group_get(struct txn *t, uint32_t no, struct group *out, struct err *e)
{
	struct key k = key_u32(no);
	struct slice v;
	int rc = db_get(t, DB_GROUP, key_bytes(&k), &v);
	if (rc != E_OK)
		return err_set(e, (enum errcode)rc, "no group has the number %u", (unsigned)no);
	rc = group_decode(no, v, out);
	return rc == E_OK ? rc : err_set(e, E_CORRUPT, "the record of group %u cannot be read", (unsigned)no);
}

int group_find(struct txn *t, struct slice name, uint32_t *no)
{
	struct name_key k;
	struct slice v;
	if (!name_key(&k, name))
		return E_NOTFOUND;
	int rc = db_get(t, DB_GROUP_NAME, k.s, &v);
	if (rc == E_OK && v.n != 4)
		rc = E_CORRUPT;
	if (rc == E_OK)
		*no = get_be32(v.p);
	return rc;
}

struct each_group {
	int (*fn)(const struct group *, void *);
	void *arg;
	struct err *e;
};

static int each_group_row(struct slice key, struct slice value, void *arg)
{
	struct each_group *w = arg;
	struct group g;
	if (key.n != 4 || group_decode(get_be32(key.p), value, &g) != E_OK)
		return err_set(w->e, E_CORRUPT, "the record of a group cannot be read");
	return w->fn(&g, w->arg);
}

int group_each(struct txn *t, int (*fn)(const struct group *, void *), void *arg, struct err *e)
{
	struct each_group w = {fn, arg, e};
	return db_each(t, DB_GROUP, SL(""), each_group_row, &w, e);
}

static const struct {
	uint32_t no, parent;
	const char *name;
	struct guid id;
} builtin[] = {
	{GROUP_ALL_COMPUTERS, 0, "All Computers",
		{{0xA0, 0xA0, 0x87, 0x46, 0x4D, 0xBE, 0x4A, 0x37, 0x9A, 0xDF, 0x9E, 0x76, 0x52, 0xC0, 0xB4, 0x21}}},
	{GROUP_UNASSIGNED, GROUP_ALL_COMPUTERS, "Unassigned Computers",
		{{0xB7, 0x3C, 0xA6, 0xED, 0x57, 0x27, 0x47, 0xF3, 0x84, 0xDE, 0x01, 0x5E, 0x03, 0xF6, 0xA8, 0x8A}}},
	{GROUP_DOWNSTREAM, 0, "Downstream Servers",
		{{0xD3, 0x74, 0xF4, 0x2A, 0x9B, 0xE2, 0x41, 0x63, 0xA0, 0xFA, 0x3C, 0x86, 0xA4, 0x01, 0xB7, 0xA7}}},
};

int groups_create_builtin(struct txn *t, struct err *e)
{
	int rc = E_OK;
	for (size_t i = 0; rc == E_OK && i < COUNTOF(builtin); i++) {
		struct group g = {.id = builtin[i].id, .name = slice_of(builtin[i].name), .parent = builtin[i].parent,
			.builtin = true, .created = time_now()};
		rc = counter_next(t, COUNT_GROUP, &g.no, e);
		ASSERT(rc != E_OK || g.no == builtin[i].no);
		if (rc == E_OK)
			rc = group_put(t, &g, e);
	}
	return rc;
}

/* ================= the set of a computer's groups ================= */

/* More groups than this a computer cannot ask for, parents included, nor by more names: what comes later in its list
 * is not looked at. */
#define NODES 128

struct node {
	uint32_t no, moved;
	unsigned distance;
};
struct nodes {
	struct node v[NODES];
	unsigned n;
};

/* false: it is there already, at this distance or nearer (so are its parents), or there is no room. */
static bool node_add(struct nodes *s, uint32_t no, unsigned distance, uint32_t moved)
{
	unsigned i = 0;
	while (i < s->n && s->v[i].no != no)
		i++;
	if (i == NODES || (i < s->n && s->v[i].distance <= distance))
		return false;
	s->v[i] = (struct node){no, moved, distance};
	s->n = MAX(s->n, i + 1);
	return true;
}

/* Looks a group up: in the store, or in a tree that is not yet written. */
typedef bool lookup_fn(void *arg, uint32_t no, uint32_t *parent, uint32_t *moved);

static void nodes_climb(struct nodes *s, uint32_t no, lookup_fn *lookup, void *arg)
{
	uint32_t parent, moved;
	for (unsigned distance = 0; no != 0 && lookup(arg, no, &parent, &moved); distance++, no = parent)
		if (!node_add(s, no, distance, moved))
			break;
}

static bool nearer(const struct node *a, const struct node *b)
{
	bool root = a->no == GROUP_ALL_COMPUTERS, other_root = b->no == GROUP_ALL_COMPUTERS;
	if (root != other_root)
		return other_root;
	return a->distance != b->distance ? a->distance < b->distance : a->no < b->no;
}

static void nodes_sort(struct nodes *s)
{
	for (unsigned i = 1; i < s->n; i++) {
		struct node x = s->v[i];
		unsigned at = i;
		for (; at > 0 && nearer(&x, &s->v[at - 1]); at--)
			s->v[at] = s->v[at - 1];
		s->v[at] = x;
	}
}

static uint64_t groups_hash(const struct client_groups *g)
{
	uint64_t h = UINT64_C(0xCBF29CE484222325); /* FNV-1a, 64 bits */
	for (unsigned i = 0; i < g->n; i++) {
		uint8_t b[5];
		put_be32(b, g->no[i]);
		b[4] = g->distance[i];
		for (unsigned at = 0; at < sizeof(b); at++)
			h = (h ^ b[at]) * UINT64_C(0x100000001B3);
	}
	return h;
}

/* All Computers stands last and farther than all others: an approval for any other group wins over its own. */
static void nodes_finish(struct nodes *s, struct client_groups *out)
{
	nodes_sort(s);
	unsigned n = MIN(s->n, LIMIT_CLIENT_GROUPS);
	*out = (struct client_groups){.n = n};
	for (unsigned i = 0; i < n; i++) {
		bool last = i + 1 == n;
		const struct node *v = &s->v[last ? s->n - 1 : i];
		unsigned distance = last && n > 1 ? out->distance[i - 1] + 1u : v->distance;
		out->no[i] = v->no;
		out->distance[i] = (uint8_t)MIN(distance, UINT8_MAX);
		out->moved_epoch = MAX(out->moved_epoch, v->moved);
	}
	out->hash = groups_hash(out);
}

static bool lookup_row(void *arg, uint32_t no, uint32_t *parent, uint32_t *moved)
{
	struct group g;
	if (group_get(arg, no, &g, NULL) != E_OK)
		return false;
	*parent = g.parent;
	*moved = g.moved_epoch;
	return true;
}

/* The groups that a computer is directly in, as they are named: maybe several times, maybe gone. */
typedef void direct_fn(void *arg, uint32_t no);

/* What cannot be read is an error: a computer must not get what is meant for those without a group. */
static int each_assigned(struct txn *t, struct slice computer, direct_fn *fn, void *arg, struct err *e)
{
	uint32_t *no;
	size_t n;
	int rc = assign_get(t, computer, &no, &n, e);
	for (size_t i = 0; rc == E_OK && i < n; i++)
		fn(arg, no[i]);
	return rc;
}

static int each_requested(struct txn *t, struct slice computer, direct_fn *fn, void *arg, struct err *e)
{
	struct computer c;
	int rc = computer_get(t, computer, &c);
	if (rc == E_NOTFOUND)
		return E_OK;
	if (rc != E_OK)
		return err_set(e, (enum errcode)rc, "the record of computer %.*s cannot be read", SLF(computer));
	struct slice rest = c.requested_groups;
	for (unsigned i = 0; i < NODES && rest.n > 0; i++) {
		uint32_t no;
		struct slice name = text_trim(text_cut(&rest, ';'));
		rc = group_find(t, name, &no);
		if (rc == E_OK && no != GROUP_DOWNSTREAM)
			fn(arg, no);
		if (rc != E_OK && rc != E_NOTFOUND)
			return err_set(e, (enum errcode)rc, "the group %.*s cannot be read", SLF(name));
	}
	return E_OK;
}

static int each_direct(struct txn *t, const struct settings *set, struct slice computer, direct_fn *fn, void *arg, struct err *e)
{
	return set->targeting == TARGETING_CLIENT ? each_requested(t, computer, fn, arg, e) : each_assigned(t, computer, fn, arg, e);
}

struct climbing {
	struct txn *t;
	struct nodes nodes;
};

static void climb(void *arg, uint32_t no)
{
	struct climbing *w = arg;
	nodes_climb(&w->nodes, no, lookup_row, w->t);
}

int client_groups_get(struct txn *t, const struct settings *set, struct slice computer, struct client_groups *out,
	struct err *e)
{
	struct climbing w = {.t = t};
	int rc = each_direct(t, set, computer, climb, &w, e);
	if (rc != E_OK)
		return rc;
	if (w.nodes.n == 0)
		climb(&w, GROUP_UNASSIGNED);
	climb(&w, GROUP_ALL_COMPUTERS);
	if (w.nodes.n == 0)
		return err_set(e, E_CORRUPT, "the store has lost its built-in groups");
	nodes_finish(&w.nodes, out);
	return E_OK;
}

/* ---- directly ---- */

/* Ascending, each once. */
static void add_sorted(uint32_t *v, size_t *n, uint32_t no)
{
	size_t at = 0;
	while (at < *n && v[at] < no)
		at++;
	if (at < *n && v[at] == no)
		return;
	memmove(v + at + 1, v + at, (*n - at) * sizeof(*v));
	v[at] = no;
	++*n;
}

struct direct {
	struct txn *t;
	uint32_t v[NODES];
	size_t n;
};

static void note_direct(void *arg, uint32_t no)
{
	struct direct *w = arg;
	struct group g;
	if (w->n < NODES && group_get(w->t, no, &g, NULL) == E_OK)
		add_sorted(w->v, &w->n, no);
}

int direct_groups_get(struct txn *t, const struct settings *s, struct slice computer, uint32_t group[LIMIT_CLIENT_GROUPS], unsigned *n,
	struct err *e)
{
	struct direct w = {.t = t};
	int rc = each_direct(t, s, computer, note_direct, &w, e);
	if (rc == E_OK && w.n == 0)
		note_direct(&w, GROUP_UNASSIGNED);
	*n = (unsigned)MIN(w.n, (size_t)LIMIT_CLIENT_GROUPS);
	if (rc == E_OK && *n == 0)
		return err_set(e, E_CORRUPT, "the store has lost its built-in groups");
	memcpy(group, w.v, *n * sizeof(*group));
	return rc;
}

/* ================= the tree ================= */

struct tree {
	struct group *v; /* by number */
	size_t n;
	struct txn *t;
};

static int tree_add(const struct group *g, void *arg)
{
	struct tree *w = arg;
	w->v[w->n] = *g;
	w->v[w->n].name = arena_copy(txn_arena(w->t), g->name); /* rows are rewritten while the tree lives */
	return w->v[w->n++].name.p ? E_OK : E_NOMEM;
}

static int tree_load(struct txn *t, struct tree *out, struct err *e)
{
	uint64_t n;
	*out = (struct tree){.t = t};
	int rc = db_count(t, DB_GROUP, &n, e);
	if (rc != E_OK)
		return rc;
	out->v = ARENA_ARRAY(txn_arena(t), struct group, n);
	rc = out->v ? group_each(t, tree_add, out, e) : E_NOMEM;
	return rc == E_NOMEM ? err_set(e, E_NOMEM, "out of memory for the groups") : rc;
}

static struct group *tree_find(const struct tree *w, uint32_t no)
{
	size_t low = 0, high = w->n;
	while (low < high) {
		size_t mid = (low + high) / 2;
		if (w->v[mid].no == no)
			return &w->v[mid];
		if (w->v[mid].no < no)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

static bool lookup_tree(void *arg, uint32_t no, uint32_t *parent, uint32_t *moved)
{
	const struct group *g = tree_find(arg, no);
	*parent = g ? g->parent : 0;
	*moved = 0;
	return g != NULL;
}

/* Is `no` at or below `top`? */
static bool tree_below(const struct tree *w, uint32_t no, uint32_t top)
{
	for (size_t steps = 0; no != 0 && steps <= w->n; steps++) {
		const struct group *g = tree_find(w, no);
		if (no == top)
			return true;
		no = g ? g->parent : 0;
	}
	return false;
}

static unsigned tree_depth(const struct tree *w, uint32_t no)
{
	unsigned depth = 0;
	for (; no != 0 && depth <= w->n; depth++) {
		const struct group *g = tree_find(w, no);
		no = g ? g->parent : 0;
	}
	return depth;
}

static int refuse_depth(const struct tree *w, struct err *e)
{
	for (size_t i = 0; i < w->n; i++)
		if (tree_depth(w, w->v[i].no) > LIMIT_CLIENT_GROUPS)
			return err_set(e, E_LIMIT, "group \"%.*s\" would be nested more than %d deep",
				SLF(w->v[i].name), LIMIT_CLIENT_GROUPS);
	return E_OK;
}

/* ================= assignments ================= */

static struct rec assign_row(struct slice value, size_t *n)
{
	struct rec r = rec_of(value, 1);
	*n = rec_left(&r) / 4;
	if (rec_left(&r) % 4 != 0 || *n > LIMIT_CLIENT_GROUPS)
		r.bad = true;
	return r;
}

int assign_get(struct txn *t, struct slice computer, uint32_t **groups, size_t *n, struct err *e)
{
	struct computer_key k;
	struct slice v;
	*groups = NULL;
	*n = 0;
	if (!computer_key(&k, computer))
		return E_OK;
	int rc = db_get(t, DB_ASSIGN, k.s, &v);
	if (rc != E_OK)
		return rc == E_NOTFOUND ? E_OK : err_set(e, (enum errcode)rc, "an assignment cannot be read");
	size_t count;
	struct rec r = assign_row(v, &count);
	if (r.bad)
		return err_set(e, E_CORRUPT, "the assignment of %.*s cannot be read", SLF(computer));
	uint32_t *list = ARENA_ARRAY(txn_arena(t), uint32_t, count);
	if (!list)
		return err_set(e, E_NOMEM, "out of memory for an assignment");
	for (size_t i = 0; i < count; i++)
		list[i] = rec_u32(&r);
	*groups = list;
	*n = count;
	return E_OK;
}

static int assign_check(struct tree *w, struct slice computer, const uint32_t *v, size_t n, struct err *e)
{
	struct nodes s = {.n = 0};
	for (size_t i = 0; i < n; i++) {
		if (v[i] == GROUP_DOWNSTREAM)
			return err_set(e, E_REFUSED, "Downstream Servers holds servers, not computers");
		if (!tree_find(w, v[i]))
			return err_set(e, E_NOTFOUND, "no group has the number %u", (unsigned)v[i]);
		nodes_climb(&s, v[i], lookup_tree, w);
	}
	nodes_climb(&s, GROUP_ALL_COMPUTERS, lookup_tree, w);
	if (s.n > LIMIT_CLIENT_GROUPS)
		return err_set(e, E_LIMIT, "computer %.*s would be in more than %d groups, their parents included",
			SLF(computer), LIMIT_CLIENT_GROUPS);
	return E_OK;
}

static int assign_put(struct txn *t, struct slice key, const uint32_t *v, size_t n, bool *changed, struct err *e)
{
	struct buf b;
	struct slice old;
	bool there = db_get(t, DB_ASSIGN, key, &old) == E_OK;
	*changed = there || n > 0;
	if (n == 0)
		return there ? db_del(t, DB_ASSIGN, key, e) : E_OK;
	rec_begin(&b, 1, GROUP_RECORD);
	for (size_t i = 0; i < n; i++)
		rec_put_u32(&b, v[i]);
	if (b.rc == E_OK && there && slice_eq(old, buf_bytes(&b))) {
		buf_free(&b);
		*changed = false;
		return E_OK;
	}
	return db_put_rec(t, DB_ASSIGN, key, &b, e);
}

int assign_set(struct txn *t, struct slice computer, const uint32_t *groups, size_t n, struct err *e)
{
	struct computer_key k;
	struct tree w;
	uint32_t v[LIMIT_CLIENT_GROUPS];
	size_t count = 0;
	if (!computer_key(&k, computer))
		return err_set(e, E_LIMIT, "a computer's id has 1 to %d bytes", LIMIT_CLIENT_ID);
	if (n > LIMIT_CLIENT_GROUPS)
		return err_set(e, E_LIMIT, "a computer can be in at most %d groups", LIMIT_CLIENT_GROUPS);
	for (size_t i = 0; i < n; i++)
		add_sorted(v, &count, groups[i]);
	int rc = tree_load(t, &w, e);
	if (rc == E_OK)
		rc = assign_check(&w, computer, v, count, e);
	bool changed = false;
	if (rc == E_OK)
		rc = assign_put(t, k.s, v, count, &changed, e);
	return rc == E_OK && changed ? membership_changed_of(t, k.s, e) : rc;
}

/* ---- all assignments, when the tree changes ---- */

struct assignments {
	struct txn *t;
	struct tree *tree;
	uint32_t gone; /* a group to take out of all of them, 0: none */
	struct slice *computer;
	size_t n, cap;
	struct err *e;
};

static int check_assignment(struct slice key, struct slice value, void *arg)
{
	struct assignments *w = arg;
	uint32_t v[LIMIT_CLIENT_GROUPS];
	size_t n;
	struct rec r = assign_row(value, &n);
	if (r.bad)
		return err_set(w->e, E_CORRUPT, "the assignment of %.*s cannot be read", SLF(key));
	for (size_t i = 0; i < n; i++)
		v[i] = rec_u32(&r);
	return assign_check(w->tree, key, v, n, w->e);
}

static int find_assignment(struct slice key, struct slice value, void *arg)
{
	struct assignments *w = arg;
	size_t n;
	bool hit = false;
	struct rec r = assign_row(value, &n);
	for (size_t i = 0; i < n; i++)
		hit = rec_u32(&r) == w->gone || hit;
	if (!hit)
		return E_OK;
	struct arena *a = txn_arena(w->t);
	struct slice *v = ARENA_MORE(a, w->computer, w->n, &w->cap);
	if (!v)
		return E_NOMEM;
	w->computer = v;
	w->computer[w->n] = arena_copy(a, key);
	return w->computer[w->n++].p ? E_OK : E_NOMEM;
}

static int assignments_drop(struct txn *t, uint32_t group, struct err *e)
{
	struct assignments w = {.t = t, .gone = group, .e = e};
	int rc = db_each(t, DB_ASSIGN, SL(""), find_assignment, &w, e);
	if (rc == E_NOMEM)
		return err_set(e, E_NOMEM, "out of memory for the assignments");
	for (size_t i = 0; rc == E_OK && i < w.n; i++) {
		uint32_t *v;
		size_t n, kept = 0;
		rc = assign_get(t, w.computer[i], &v, &n, e);
		for (size_t at = 0; rc == E_OK && at < n; at++)
			if (v[at] != group)
				v[kept++] = v[at];
		bool changed;
		if (rc == E_OK)
			rc = assign_put(t, w.computer[i], v, kept, &changed, e);
	}
	return rc == E_OK && w.n > 0 ? membership_changed(t, e) : rc;
}

/* ================= creating, moving, deleting ================= */

int group_check_name(struct slice name, struct err *e)
{
	if (name.n == 0 || name.n > LIMIT_GROUP_NAME)
		return err_set(e, E_LIMIT, "a group's name has 1 to %d bytes", LIMIT_GROUP_NAME);
	if (text_utf8_bad(name) != name.n)
		return err_set(e, E_FORM, "a group's name is UTF-8 without control characters");
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];
		bool c1 = c == 0xC2 && (unsigned char)name.p[i + 1] < 0xA0; /* U+0080 to U+009F */
		if (c < 0x20 || c == 0x7F || c1)
			return err_set(e, E_FORM, "a group's name is UTF-8 without control characters");
		if (c == ';')
			return err_set(e, E_FORM, "a group's name has no ';': clients separate names with it");
	}
	if (text_trim(name).n != name.n)
		return err_set(e, E_FORM, "a group's name neither begins nor ends with a blank");
	return E_OK;
}

/* Under what may a group stand? */
static int check_parent(const struct tree *w, uint32_t parent, struct err *e)
{
	if (!tree_find(w, parent))
		return err_set(e, E_NOTFOUND, "no group has the number %u", (unsigned)parent);
	if (parent == GROUP_UNASSIGNED || parent == GROUP_DOWNSTREAM)
		return err_set(e, E_REFUSED, "no group can stand under \"%.*s\"", SLF(tree_find(w, parent)->name));
	return E_OK;
}

int group_create(struct txn *t, struct slice name, uint32_t parent, uint32_t *no, struct err *e)
{
	struct tree w;
	struct group g = {.name = name, .parent = parent ? parent : GROUP_ALL_COMPUTERS, .created = time_now()};
	int rc = policy_is_local(t, "to create groups", e);
	if (rc == E_OK)
		rc = group_check_name(name, e);
	if (rc == E_OK && group_find(t, name, &g.no) == E_OK)
		rc = err_set(e, E_EXISTS, "there is a group \"%.*s\" already", SLF(name));
	if (rc == E_OK)
		rc = tree_load(t, &w, e);
	if (rc == E_OK && w.n >= LIMIT_GROUPS)
		rc = err_set(e, E_LIMIT, "a server has at most %d groups", LIMIT_GROUPS);
	if (rc == E_OK)
		rc = check_parent(&w, g.parent, e);
	if (rc == E_OK && tree_depth(&w, g.parent) >= LIMIT_CLIENT_GROUPS)
		rc = err_set(e, E_LIMIT, "groups are nested at most %d deep", LIMIT_CLIENT_GROUPS);
	if (rc == E_OK)
		rc = guid_make(&g.id, e);
	if (rc == E_OK)
		rc = counter_next(t, COUNT_GROUP, &g.no, e);
	if (rc == E_OK)
		rc = group_put(t, &g, e);
	*no = rc == E_OK ? g.no : 0;
	return rc;
}

/* The place of `top` and of all below it changes with the next epoch: that is when their computers must be
 * told everything anew. */
static int mark_moved(struct txn *t, const struct tree *w, uint32_t top, struct err *e)
{
	struct server_state st;
	int rc = server_state_get(t, &st, e);
	for (size_t i = 0; rc == E_OK && i < w->n; i++) {
		if (!tree_below(w, w->v[i].no, top))
			continue;
		w->v[i].moved_epoch = st.epoch + 1;
		rc = group_put(t, &w->v[i], e);
	}
	return rc == E_OK ? publish_dirty(t, e) : rc;
}

static int check_move(struct txn *t, struct tree *w, struct group *g, uint32_t parent, struct err *e)
{
	struct assignments all = {.t = t, .tree = w, .e = e};
	if (tree_below(w, parent, g->no))
		return err_set(e, E_REFUSED, "a group cannot stand below itself");
	g->parent = parent;
	int rc = refuse_depth(w, e);
	return rc == E_OK ? db_each(t, DB_ASSIGN, SL(""), check_assignment, &all, e) : rc;
}

int group_move(struct txn *t, uint32_t no, uint32_t parent, struct err *e)
{
	struct tree w;
	int rc = policy_is_local(t, "to move groups", e);
	if (rc == E_OK)
		rc = tree_load(t, &w, e);
	if (rc != E_OK)
		return rc;
	struct group *g = tree_find(&w, no);
	parent = parent ? parent : GROUP_ALL_COMPUTERS;
	if (!g)
		return err_set(e, E_NOTFOUND, "no group has the number %u", (unsigned)no);
	if (g->builtin)
		return err_set(e, E_REFUSED, "\"%.*s\" is built in: it cannot be moved", SLF(g->name));
	rc = check_parent(&w, parent, e);
	if (rc != E_OK || g->parent == parent)
		return rc;
	rc = check_move(t, &w, g, parent, e);
	return rc == E_OK ? mark_moved(t, &w, no, e) : rc;
}

static int lift_children(struct txn *t, struct tree *w, const struct group *gone, struct err *e)
{
	int rc = E_OK;
	for (size_t i = 0; rc == E_OK && i < w->n; i++) {
		if (w->v[i].parent != gone->no)
			continue;
		w->v[i].parent = gone->parent;
		rc = mark_moved(t, w, w->v[i].no, e);
	}
	return rc;
}

int group_name_del(struct txn *t, struct slice name, struct err *e)
{
	struct name_key k;
	int rc = name_key(&k, name) ? db_del(t, DB_GROUP_NAME, k.s, e) : E_OK;
	return rc == E_OK ? membership_names_changed(t, e) : rc;
}

int group_remove(struct txn *t, const struct group *g, struct err *e)
{
	struct key k = key_u32(g->no);
	int rc = deployments_end_of_group(t, g->no, e);
	if (rc == E_OK)
		rc = assignments_drop(t, g->no, e);
	if (rc == E_OK)
		rc = db_del(t, DB_GROUP, key_bytes(&k), e);
	return rc == E_OK ? group_name_del(t, g->name, e) : rc;
}

int group_delete(struct txn *t, uint32_t no, struct err *e)
{
	struct tree w;
	int rc = policy_is_local(t, "to delete groups", e);
	if (rc == E_OK)
		rc = tree_load(t, &w, e);
	if (rc != E_OK)
		return rc;
	struct group *g = tree_find(&w, no);
	if (!g)
		return err_set(e, E_NOTFOUND, "no group has the number %u", (unsigned)no);
	if (g->builtin)
		return err_set(e, E_REFUSED, "\"%.*s\" is built in: it cannot be deleted", SLF(g->name));
	rc = lift_children(t, &w, g, e);
	if (rc == E_OK)
		rc = group_remove(t, g, e);
	return rc == E_OK ? rc : txn_fail(t, rc, e);
}
