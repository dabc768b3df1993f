/* cmd_choice.c -- what is wanted of the server above: products, classifications, languages.
 *
 * The tree of products is that of the category documents which are here: company, family, product.  Choosing something above
 * chooses all below it.  What a choice would bring is asked of the server above by `wsus-sync count`: the number of
 * updates is that of its list, the size of their files is estimated from a few of their documents, and says so. */
#include <stdlib.h>

#include "common/text.h"
#include "ctl/cmd.h"
#include "ctl/tool.h"
#include "store/parent.h"
#include "store/sync.h"

/* ================= the tree ================= */

#define NOTHING SIZE_MAX
#define MAX_DEPTH 16

struct node {
	struct guid id;
	uint32_t update_no;
	int32_t revision, number;
	enum category_type type;
	struct slice title;
	struct choice choice;
	size_t parent;  /* NOTHING: none */
	bool shown;     /* of this list */
	bool included;  /* something above it is wanted */
	bool printed;
};

struct tree {
	struct ctl *c;
	enum choice_kind kind;
	struct settings set;
	struct node *v;
	size_t n, cap;
	unsigned wanted, others; /* choices of this kind that are made, and of the other one */
	struct choice all;       /* what everything was counted to be, if that was asked */
};

static const char *const type_words[] = {[CAT_NONE] = "other", [CAT_COMPANY] = "company", [CAT_PRODUCT_FAMILY] = "family",
	[CAT_PRODUCT] = "product", [CAT_CLASSIFICATION] = "classification", [CAT_OTHER] = "other"};

static int no_memory(struct ctl *c)
{
	return err_set(&c->err, E_NOMEM, "out of memory");
}

static bool is_of_kind(const struct tree *t, const struct revision *r)
{
	return r->type == TYPE_CATEGORY && r->flags & REV_PUBLISHED && !(r->flags & REV_REMOVED) &&
	       (r->category_type == CAT_CLASSIFICATION) == (t->kind == CHOICE_CLASSIFICATION);
}

static struct node *node_of(struct tree *t, uint32_t update_no)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->v[i].update_no == update_no)
			return &t->v[i];
	return NULL;
}

static int add_node(const struct revision *r, void *arg)
{
	struct tree *t = arg;
	if (!is_of_kind(t, r))
		return E_OK;
	struct node *old = node_of(t, r->update_no);
	if (old && old->number > r->number)
		return E_OK;
	if (!old) {
		struct node *v = ARENA_MORE(&t->c->arena, t->v, t->n, &t->cap);
		if (!v)
			return no_memory(t->c);
		t->v = v;
		old = &t->v[t->n++];
	}
	*old = (struct node){.id = r->update, .update_no = r->update_no, .revision = r->id, .number = r->number, .type = r->category_type,
		.title = arena_copy(&t->c->arena, r->title), .parent = NOTHING};
	return old->title.p ? E_OK : no_memory(t->c);
}

static int by_title(const void *pa, const void *pb)
{
	const struct node *a = pa, *b = pb;
	int d = text_icmp(a->title, b->title);
	return d ? d : memcmp(&a->id, &b->id, sizeof(a->id));
}

static bool stands_below(const struct tree *t, size_t above, size_t i)
{
	for (unsigned depth = 0; i != NOTHING && depth < MAX_DEPTH; depth++, i = t->v[i].parent)
		if (i == above)
			return true;
	return false;
}

/* The first category that its prerequisites name and that is here, and not one of those below it. */
static int find_parent(struct tree *t, size_t i)
{
	struct relations r;
	int rc = relations_get(t->c->txn, t->v[i].revision, &r, &t->c->err);
	for (size_t k = 0; rc == E_OK && k < r.nprereq && t->v[i].parent == NOTHING; k++) {
		struct node *p = node_of(t, r.prereq[k].update_no);
		if (p && !stands_below(t, i, (size_t)(p - t->v)))
			t->v[i].parent = (size_t)(p - t->v);
	}
	return rc;
}

static int count_choice(const struct choice *k, void *arg)
{
	struct tree *t = arg;
	if (k->wanted && k->kind == t->kind)
		t->wanted++;
	else if (k->wanted)
		t->others++;
	return E_OK;
}

static int read_choices(struct tree *t)
{
	for (size_t i = 0; i < t->n; i++) {
		int rc = choice_get(t->c->txn, t->kind, &t->v[i].id, &t->v[i].choice);
		if (rc == E_NOTFOUND)
			t->v[i].choice = (struct choice){.kind = t->kind, .id = t->v[i].id};
		else if (rc != E_OK)
			return err_set(&t->c->err, (enum errcode)rc, "a choice cannot be read; run `wsusctl store audit`");
	}
	for (size_t i = 0; i < t->n; i++)
		for (size_t p = t->v[i].parent; p != NOTHING; p = t->v[p].parent)
			t->v[i].included |= t->v[p].choice.wanted;
	t->wanted = t->others = 0;
	return choice_each(t->c->txn, 0, count_choice, t, &t->c->err);
}

/* In a transaction that reads; what is kept of it lies in the arena. */
static int read_tree(struct tree *t, struct ctl *c, enum choice_kind kind)
{
	*t = (struct tree){.c = c, .kind = kind};
	int rc = settings_get(c->txn, &t->set, &c->err);
	if (rc == E_OK)
		rc = revision_each(c->txn, 1, 0, add_node, t, &c->err);
	if (rc == E_OK && t->n)
		qsort(t->v, t->n, sizeof(*t->v), by_title);
	for (size_t i = 0; rc == E_OK && i < t->n; i++)
		rc = find_parent(t, i);
	return rc == E_OK ? read_choices(t) : rc;
}

static const char *noun(const struct tree *t)
{
	return choice_kind_names[t->kind];
}

static bool is_replica(const struct tree *t)
{
	return t->set.upstream_url.n && t->set.upstream_mode == UPSTREAM_REPLICA;
}

static int none_known(const struct tree *t)
{
	const char *what = t->set.upstream_url.n ? "`wsusctl sync run` brings their list, and until something is chosen no more than that"
		: "`wsusctl upstream set` names a server that has them";
	return err_set(&t->c->err, E_NOTFOUND, "no %s is known yet: %s", noun(t), what);
}

/* ================= names ================= */

static struct slice id_text(struct ctl *c, const struct guid *id)
{
	char text[GUID_TEXT + 1];
	guid_text(id, text);
	return arena_copy(&c->arena, slice_of(text));
}

static bool contains(struct slice s, struct slice part)
{
	for (size_t i = 0; part.n <= s.n && i <= s.n - part.n; i++)
		if (text_ieq((struct slice){s.p + i, part.n}, part))
			return true;
	return false;
}

static bool fits_whole(const struct node *k, struct slice name)
{
	return text_ieq(k->title, name);
}

static bool fits_part(const struct node *k, struct slice name)
{
	return contains(k->title, name);
}

static unsigned find_fits(struct tree *t, struct slice name, bool (*fits)(const struct node *, struct slice), size_t *found, struct buf *list)
{
	unsigned n = 0;
	for (size_t i = 0; i < t->n; i++) {
		if (!fits(&t->v[i], name))
			continue;
		*found = i;
		n++;
		buf_printf(list, "  %.*s  %-14s ", SLF(id_text(t->c, &t->v[i].id)), type_words[t->v[i].type]);
		text_safe_add(list, t->v[i].title);
		buf_char(list, '\n');
	}
	return n;
}

/* By id; by its title; by a part of it that names one. */
static int name_node(struct tree *t, const char *name, size_t *out)
{
	static bool (*const ways[])(const struct node *, struct slice) = {fits_whole, fits_part};
	struct ctl *c = t->c;
	struct guid id;
	if (text_guid(slice_of(name), &id)) {
		for (size_t i = 0; i < t->n; i++)
			if (memcmp(&t->v[i].id, &id, sizeof(id)) == 0) {
				*out = i;
				return E_OK;
			}
		return err_set(&c->err, E_NOTFOUND, "%s is no %s that is known here; `wsusctl %s list` shows them", name, noun(t), noun(t));
	}
	for (unsigned w = 0; w < COUNTOF(ways); w++) {
		struct buf list;
		buf_init(&list, 1 << 20);
		unsigned n = find_fits(t, slice_of(name), ways[w], out, &list);
		int rc = name_found(c, E_OK, n, &list, t->kind == CHOICE_PRODUCT ? "products" : "classifications", name);
		if (rc != E_NOTFOUND)
			return rc;
	}
	return err_set(&c->err, E_NOTFOUND, "no %s is called \"%s\"; `wsusctl %s list --all` shows them", noun(t), name, noun(t));
}

/* ================= counting ================= */

/* "~1.2 GB", "1.2 GB" where all documents were read, absent where none was. */
static struct slice files_text(struct ctl *c, const struct choice *k)
{
	if (!k->counted || (k->updates && !k->sampled))
		return SL0;
	struct slice size = bytes_text(&c->arena, k->bytes);
	return k->sampled >= k->updates ? size : arena_printf(&c->arena, "~%.*s", SLF(size));
}

#define ASKED_AT_ONCE 60
#define WATCHED_AT_ONCE 4 /* if somebody sees how far it is */

static int ask_count(struct tree *t, const char **args, size_t *n)
{
	struct ctl *c = t->c;
	int status = 0;
	args[(*n)++] = "--quiet";
	args[*n] = NULL;
	*n = 0;
	int rc = tool_sync(c, "count", args, &status);
	if (rc == E_OK && status != 0)
		rc = err_set(&c->err, E_REFUSED, "the server above could not be asked%s", strcmp(c->cmd->verb, "list") == 0 ? ""
			: ": nothing was chosen; --no-count chooses without");
	return rc;
}

/* Asks for the nodes that are shown, or for everything; with no transaction open. */
static int count_shown(struct tree *t, bool all)
{
	struct ctl *c = t->c;
	const char *args[ASKED_AT_ONCE + 2];
	size_t n = 0;
	int rc = E_OK;
	if (all)
		args[n++] = "all";
	for (size_t i = 0; rc == E_OK && i < t->n; i++) {
		if (!t->v[i].shown)
			continue;
		args[n] = arena_printf(&c->arena, "%s=%.*s", noun(t), SLF(id_text(c, &t->v[i].id))).p;
		if (!args[n++])
			return no_memory(c);
		ctl_progress(c, "asking the server above: %.*s", SLF(t->v[i].title));
		if (n == (ctl_shows_progress(c) ? WATCHED_AT_ONCE : ASKED_AT_ONCE))
			rc = ask_count(t, args, &n);
	}
	return rc == E_OK && n ? ask_count(t, args, &n) : rc;
}

/* ================= list ================= */

static const struct column text_columns[] = {
	{"title", "NAME", CELL_TEXT, FIT_CUT},
	{"selected", "SELECTED", CELL_TEXT, FIT_WHOLE},
	{"updates", "UPDATES", CELL_NUMBER, FIT_WHOLE},
	{"files", "FILES", CELL_TEXT, FIT_WHOLE},
	{"counted", "COUNTED", CELL_TIME, FIT_DROP},
	{"id", "ID", CELL_TEXT, FIT_DROP},
};

static const struct column json_columns[] = {
	{"id", "", CELL_TEXT, FIT_WHOLE},
	{"title", "", CELL_TEXT, FIT_WHOLE},
	{"type", "", CELL_TEXT, FIT_WHOLE},
	{"parent", "", CELL_TEXT, FIT_WHOLE},
	{"selected", "", CELL_BOOL, FIT_WHOLE},
	{"included", "", CELL_BOOL, FIT_WHOLE},
	{"covered", "", CELL_BOOL, FIT_WHOLE},
	{"updates", "", CELL_NUMBER, FIT_WHOLE},
	{"file_bytes", "", CELL_NUMBER, FIT_WHOLE},
	{"estimated", "", CELL_BOOL, FIT_WHOLE},
	{"samples", "", CELL_NUMBER, FIT_WHOLE},
	{"counted", "", CELL_TIME, FIT_WHOLE},
};

static void number_or_nothing(struct out *o, bool known, int64_t v)
{
	if (known)
		out_number(o, v);
	else
		out_text(o, SL0);
}

static void json_row(struct tree *t, const struct node *k)
{
	struct out *o = &t->c->out;
	const struct choice *h = &k->choice;
	out_text(o, guid_is_zero(&k->id) ? SL0 : id_text(t->c, &k->id));
	out_text(o, k->title);
	out_str(o, type_words[k->type]);
	out_text(o, k->parent == NOTHING ? SL0 : id_text(t->c, &t->v[k->parent].id));
	out_number(o, h->wanted);
	out_number(o, k->included);
	out_number(o, h->covered);
	number_or_nothing(o, h->counted, h->updates);
	number_or_nothing(o, files_text(t->c, h).p, (int64_t)h->bytes);
	number_or_nothing(o, h->counted, h->sampled < h->updates);
	number_or_nothing(o, h->counted, h->sampled);
	out_number(o, h->counted);
}

static void print_everything(struct tree *t)
{
	struct node k = {.title = SL("everything"), .type = CAT_OTHER, .parent = NOTHING, .choice = t->all};
	k.choice.wanted = t->set.sync_filter == SYNC_ALL;
	out_list_begin(&t->c->out, json_columns, COUNTOF(json_columns));
	json_row(t, &k);
	out_list_end(&t->c->out);
}

static void text_row(struct tree *t, const struct node *k, unsigned depth)
{
	struct out *o = &t->c->out;
	const struct choice *h = &k->choice;
	out_text(o, arena_printf(&t->c->arena, "%*s%.*s", (int)(2 * depth), "", SLF(k->title)));
	out_str(o, h->wanted ? "yes" : k->included ? "above" : "no");
	number_or_nothing(o, h->counted, h->updates);
	out_text(o, files_text(t->c, h));
	out_number(o, h->counted);
	out_text(o, id_text(t->c, &k->id));
}

/* What is not shown itself stands there without figures, if something below it is. */
static void print_below(struct tree *t, size_t parent, unsigned depth)
{
	for (size_t i = 0; i < t->n && depth < MAX_DEPTH; i++) {
		struct node *k = &t->v[i];
		if (k->parent != parent || k->printed)
			continue;
		k->printed = true;
		bool any = false;
		for (size_t j = 0; j < t->n && !any; j++)
			any = t->v[j].shown && stands_below(t, i, j);
		if (!any)
			continue;
		if (!t->c->json)
			text_row(t, k, depth);
		else if (k->shown)
			json_row(t, k);
		print_below(t, i, depth + 1);
	}
}

static void print_tree(struct tree *t)
{
	out_list_begin(&t->c->out, t->c->json ? json_columns : text_columns, t->c->json ? COUNTOF(json_columns) : COUNTOF(text_columns));
	print_below(t, NOTHING, 0);
	out_list_end(&t->c->out);
}

static void choose_rows(struct tree *t)
{
	struct ctl *c = t->c;
	bool all = ctl_option(c, "all"), selected = ctl_option(c, "selected");
	for (size_t i = 0; i < t->n; i++) {
		struct node *k = &t->v[i];
		bool usual = k->type != CAT_OTHER && k->type != CAT_NONE;
		k->shown = (all || usual || k->choice.wanted) && (!selected || k->choice.wanted || k->included) &&
			   (c->npos == 0 || contains(k->title, slice_of(c->pos[0])));
	}
}

static void say_filter(const struct tree *t)
{
	struct ctl *c = t->c;
	if (is_replica(t))
		ctl_say(c, "this server is a replica: it takes all that the server above has");
	else if (t->set.sync_filter == SYNC_ALL)
		ctl_say(c, "sync.filter is all: everything is asked for, whatever is selected");
	else if (t->wanted + t->others == 0)
		ctl_say(c, "nothing is selected: synchronizations bring the lists of products and classifications, and no updates");
	else if (t->wanted == 0)
		ctl_say(c, "no %s is selected, so updates of all of them are asked for", noun(t));
}

static int list(struct ctl *c, enum choice_kind kind)
{
	struct tree t;
	int rc = txn_begin(c->store, TXN_READ, &c->txn, &c->err);
	if (rc == E_OK)
		rc = read_tree(&t, c, kind);
	if (rc == E_OK && t.n == 0 && !c->json)
		rc = none_known(&t);
	if (rc != E_OK)
		return rc;
	choose_rows(&t);
	if (ctl_option(c, "count")) {
		txn_end(&c->txn);
		rc = count_shown(&t, false);
		if (rc == E_OK)
			rc = txn_begin(c->store, TXN_READ, &c->txn, &c->err);
		if (rc == E_OK)
			rc = read_choices(&t);
	}
	if (rc != E_OK)
		return rc;
	print_tree(&t);
	out_flush(&c->out);
	say_filter(&t);
	return E_OK;
}

static int run_product_list(struct ctl *c)
{
	return list(c, CHOICE_PRODUCT);
}

static int run_classification_list(struct ctl *c)
{
	return list(c, CHOICE_CLASSIFICATION);
}

/* ================= select, deselect ================= */

static const struct guid everything; /* what sync.filter = all brings is counted under no id */

static int name_all(struct tree *t)
{
	struct ctl *c = t->c;
	for (unsigned i = 0; i < c->npos; i++) {
		size_t at = 0;
		int rc = name_node(t, c->pos[i], &at);
		if (rc != E_OK)
			return rc;
		t->v[at].shown = true;
	}
	return E_OK;
}

static unsigned below(const struct tree *t, size_t above)
{
	unsigned n = 0;
	for (size_t i = 0; i < t->n; i++)
		n += i != above && stands_below(t, above, i);
	return n;
}

static void say_count(struct ctl *c, const char *what, const struct choice *k)
{
	struct slice files = files_text(c, k);
	if (files.n && files.p[0] == '~')
		files = (struct slice){files.p + 1, files.n - 1};
	if (!k->counted)
		ctl_say(c, "%s: not counted", what);
	else if (k->updates == 0)
		ctl_say(c, "%s: the server above has no updates of it", what);
	else if (!files.p)
		ctl_say(c, "%s: adds %u update%s (exact)", what, k->updates, k->updates == 1 ? "" : "s");
	else if (k->sampled >= k->updates)
		ctl_say(c, "%s: adds %u update%s (exact) and %.*s of files", what, k->updates, k->updates == 1 ? "" : "s", SLF(files));
	else
		ctl_say(c, "%s: adds %u updates (exact) and about %.*s of files (estimate from %u samples)", what, k->updates, SLF(files), k->sampled);
}

static void say_node(struct tree *t, size_t i)
{
	const struct node *k = &t->v[i];
	unsigned n = below(t, i);
	struct slice what = n ? arena_printf(&t->c->arena, "%.*s (and the %u below it)", SLF(k->title), n) : k->title;
	say_count(t->c, what.p ? what.p : "?", &k->choice);
	if (k->included)
		ctl_say(t->c, "  it comes already: something above it is selected");
}

/* Counts what is shown, or everything, and reads the counts. */
static int count_before(struct tree *t, bool all)
{
	struct ctl *c = t->c;
	int rc = ctl_option(c, "no-count") ? E_OK : count_shown(t, all);
	if (rc == E_OK)
		rc = txn_begin(c->store, TXN_READ, &c->txn, &c->err);
	if (rc == E_OK)
		rc = read_choices(t);
	if (rc == E_OK && all && choice_get(c->txn, CHOICE_PRODUCT, &everything, &t->all) == E_OK)
		say_count(c, "everything", &t->all);
	txn_end(&c->txn);
	return rc;
}

static int put_choices(struct tree *t, bool wanted)
{
	struct ctl *c = t->c;
	int rc = E_OK;
	for (size_t i = 0; rc == E_OK && i < t->n; i++) {
		struct choice k = {.kind = t->kind, .id = t->v[i].id};
		if (!t->v[i].shown)
			continue;
		rc = choice_get(c->txn, t->kind, &k.id, &k);
		if (rc != E_OK && rc != E_NOTFOUND)
			return err_set(&c->err, (enum errcode)rc, "a choice cannot be read; run `wsusctl store audit`");
		k.kind = t->kind;
		k.id = t->v[i].id;
		k.wanted = wanted;
		rc = choice_put(c->txn, &k, &c->err);
		if (rc == E_OK)
			rc = audit_note(c->txn, c->admin, "%s %s %.*s \"%.*s\"", noun(t), c->cmd->verb, SLF(id_text(c, &k.id)), SLF(t->v[i].title));
	}
	return rc;
}

static int put_filter(struct tree *t, const char *value)
{
	struct ctl *c = t->c;
	struct conf_line l;
	bool holds;
	int rc = setting_holds(c->txn, SL("sync.filter"), slice_of(value), &holds, &c->err);
	if (rc != E_OK || holds)
		return rc;
	if (conf_find(&c->conf, SL("sync.filter"), &l))
		return err_set(&c->err, E_REFUSED, "sync.filter is set in %s:%u; change it there, then `wsusctl config apply`", c->conf.file, l.no);
	rc = setting_set(c->txn, SL("sync.filter"), slice_of(value), &c->err);
	return rc == E_OK ? audit_note(c->txn, c->admin, "%s %s --all: sync.filter = %s", noun(t), c->cmd->verb, value) : rc;
}

static int store_choices(struct tree *t, bool wanted, const char *filter)
{
	struct ctl *c = t->c;
	int rc = txn_begin(c->store, TXN_CATALOG, &c->txn, &c->err);
	if (rc == E_OK)
		rc = put_choices(t, wanted);
	if (rc == E_OK && filter)
		rc = put_filter(t, filter);
	if (rc == E_OK)
		rc = publish(c->txn, c->now, &c->published, &c->err);
	if (rc == E_OK)
		rc = txn_commit(&c->txn, &c->err);
	txn_end(&c->txn);
	if (rc == E_OK)
		rc = txn_begin(c->store, TXN_READ, &c->txn, &c->err);
	if (rc == E_OK)
		rc = settings_get(c->txn, &t->set, &c->err);
	return rc == E_OK ? read_choices(t) : rc;
}

static int choosing_begin(struct tree *t, struct ctl *c, enum choice_kind kind)
{
	bool all = ctl_option(c, "all");
	if (all == (c->npos > 0))
		return err_set(&c->err, E_USAGE, "name what is to be %sed, or give --all", c->cmd->verb);
	int rc = txn_begin(c->store, TXN_READ, &c->txn, &c->err);
	if (rc == E_OK)
		rc = read_tree(t, c, kind);
	if (rc == E_OK && is_replica(t))
		rc = err_set(&c->err, E_REFUSED, "this server is a replica of %.*s and takes all that it has; to choose, `wsusctl upstream set` with "
			"--mode autonomous first", SLF(t->set.upstream_url));
	if (rc == E_OK && t->n == 0 && !all)
		rc = none_known(t);
	if (rc == E_OK)
		rc = name_all(t);
	txn_end(&c->txn);
	return rc;
}

static void say_next(const struct tree *t, bool all)
{
	if (all) {
		ctl_say(t->c, "the next synchronization brings everything that is not here (sync.filter = all)");
		return;
	}
	if (t->set.sync_filter != SYNC_ALL && t->wanted && t->others == 0)
		ctl_say(t->c, "no %s is selected, so all of them are asked for; `wsusctl %s list` shows them",
			choice_kind_names[t->kind == CHOICE_PRODUCT ? CHOICE_CLASSIFICATION : CHOICE_PRODUCT],
			t->kind == CHOICE_PRODUCT ? "classification" : "product");
	if (t->set.sync_filter == SYNC_ALL && t->wanted)
		ctl_say(t->c, "sync.filter is all: this changes nothing before `wsusctl %s deselect --all` or `wsusctl config set sync.filter chosen`", noun(t));
	ctl_say(t->c, "the next synchronization brings it");
}

static int choose(struct ctl *c, enum choice_kind kind)
{
	struct tree t;
	bool all = ctl_option(c, "all"), dry = ctl_option(c, "dry-run");
	int rc = choosing_begin(&t, c, kind);
	if (rc == E_OK)
		rc = count_before(&t, all);
	if (rc != E_OK)
		return rc;
	for (size_t i = 0; i < t.n && !c->json; i++)
		if (t.v[i].shown)
			say_node(&t, i);
	if (!dry)
		rc = store_choices(&t, true, all ? "all" : NULL);
	if (rc == E_OK && c->json && all)
		print_everything(&t);
	else if (rc == E_OK && c->json)
		print_tree(&t);
	else if (rc == E_OK && dry)
		ctl_say(c, "nothing was changed");
	else if (rc == E_OK)
		say_next(&t, all);
	return rc;
}

static int run_product_select(struct ctl *c)
{
	return choose(c, CHOICE_PRODUCT);
}

static int run_classification_select(struct ctl *c)
{
	return choose(c, CHOICE_CLASSIFICATION);
}

/* What was named and still comes by something above it. */
static void say_kept(struct tree *t)
{
	for (size_t i = 0; i < t->n; i++) {
		size_t p = t->v[i].parent;
		while (p != NOTHING && !t->v[p].choice.wanted)
			p = t->v[p].parent;
		if (t->v[i].shown && p != NOTHING)
			ctl_say(t->c, "%.*s still comes with %.*s, which is selected", SLF(t->v[i].title), SLF(t->v[p].title));
	}
}

static int drop(struct ctl *c, enum choice_kind kind)
{
	struct tree t;
	bool all = ctl_option(c, "all"), dry = ctl_option(c, "dry-run");
	unsigned n = 0;
	int rc = choosing_begin(&t, c, kind);
	if (rc != E_OK)
		return rc;
	for (size_t i = 0; i < t.n; i++) {
		t.v[i].shown |= all && t.v[i].choice.wanted;
		n += t.v[i].shown && t.v[i].choice.wanted;
		if (t.v[i].shown && !t.v[i].choice.wanted)
			ctl_say(c, "%.*s was not selected", SLF(t.v[i].title));
		else if (t.v[i].shown)
			ctl_say(c, "%.*s: what is here of it stays, new updates of it come no more", SLF(t.v[i].title));
	}
	if (!dry)
		rc = store_choices(&t, false, all ? "chosen" : NULL);
	if (rc != E_OK)
		return rc;
	if (c->json) {
		print_tree(&t);
		return E_OK;
	}
	if (dry)
		ctl_say(c, "nothing was changed");
	else
		say_kept(&t);
	if (!dry && n)
		say_filter(&t);
	return E_OK;
}

static int run_product_deselect(struct ctl *c)
{
	return drop(c, CHOICE_PRODUCT);
}

static int run_classification_deselect(struct ctl *c)
{
	return drop(c, CHOICE_CLASSIFICATION);
}

/* ================= languages ================= */

static const struct column language_columns[] = {
	{"language", "CODE", CELL_TEXT, FIT_WHOLE},
	{"name", "LANGUAGE", CELL_TEXT, FIT_CUT},
	{"selected", "SELECTED", CELL_BOOL, FIT_WHOLE},
	{"above", "ABOVE", CELL_BOOL, FIT_WHOLE},
	{"id", "LCID", CELL_NUMBER, FIT_DROP},
};

struct tongues {
	struct ctl *c;
	struct sync_language v[SYNC_LANGUAGES]; /* [0] is all */
	struct parent parent;
	bool met;
};

static int read_languages(struct tongues *w, struct ctl *c)
{
	struct settings set;
	uint32_t point;
	*w = (struct tongues){.c = c};
	int rc = settings_get(c->txn, &set, &c->err);
	if (rc == E_OK)
		rc = sync_config(c->txn, w->v, &point, &c->err);
	if (rc != E_OK)
		return rc;
	struct err unused;
	rc = parent_get(c->txn, &set, &w->parent, &unused);
	w->met = rc == E_OK && w->parent.nlanguages > 0;
	return rc == E_OK || rc == E_NOTFOUND ? E_OK : err_set(&c->err, (enum errcode)rc, "%s", unused.text);
}

/* -1: the server above never told. */
static int has_above(const struct tongues *w, int32_t id)
{
	bool all = false, has = false;
	for (size_t i = 0; w->met && i < w->parent.nlanguages; i++) {
		all |= w->parent.language[i].id == 0 && w->parent.language[i].enabled;
		has |= w->parent.language[i].id == id && w->parent.language[i].enabled;
	}
	return w->met ? all || has : -1;
}

static void print_languages(struct tongues *w)
{
	struct out *o = &w->c->out;
	out_list_begin(o, language_columns, COUNTOF(language_columns));
	for (int i = 0; i < SYNC_LANGUAGES; i++) {
		int above = has_above(w, w->v[i].id);
		out_str(o, w->v[i].code);
		out_str(o, i ? w->v[i].name : "all of them");
		out_number(o, w->v[i].enabled);
		number_or_nothing(o, above >= 0, above);
		out_number(o, w->v[i].id);
	}
	out_list_end(o);
}

static int run_language_list(struct ctl *c)
{
	struct tongues w;
	int rc = read_languages(&w, c);
	if (rc == E_OK)
		print_languages(&w);
	return rc;
}

static int find_language(const struct tongues *w, const char *code)
{
	for (int i = 0; i < SYNC_LANGUAGES; i++)
		if (text_ieq(slice_of(code), slice_of(w->v[i].code)))
			return i;
	err_set(&w->c->err, E_USAGE, "no language \"%s\"; `wsusctl language list` shows their short names", code);
	return -1;
}

/* While all are on, the first select is the choice itself: "all and German" says nothing. */
static int turn(struct tongues *w, bool on)
{
	struct ctl *c = w->c;
	bool all = w->v[0].enabled;
	for (int i = 1; i < SYNC_LANGUAGES && all && on; i++)
		w->v[i].enabled = false;
	w->v[0].enabled = false;
	for (unsigned k = 0; k < c->npos; k++) {
		int i = find_language(w, c->pos[k]);
		if (i < 0)
			return c->err.code;
		if (i == 0 && !on)
			return err_set(&c->err, E_USAGE, "without any language nothing would be left; select those that are wanted");
		w->v[i].enabled = on;
	}
	return E_OK;
}

static int put_languages(struct tongues *w)
{
	struct ctl *c = w->c;
	struct conf_line l;
	struct buf b;
	buf_init(&b, 1 << 10);
	for (int i = 1; i < SYNC_LANGUAGES && !w->v[0].enabled; i++)
		if (w->v[i].enabled)
			buf_printf(&b, "%s%s", b.n ? "," : "", w->v[i].code);
	struct slice text = arena_copy(&c->arena, w->v[0].enabled ? SL("all") : buf_bytes(&b));
	buf_free(&b);
	if (text.n == 0)
		return err_set(&c->err, text.p ? E_USAGE : E_NOMEM, "%s", text.p ? "that would be the last one: without any language nothing would be left" : "out of memory");
	if (conf_find(&c->conf, SL("sync.languages"), &l))
		return err_set(&c->err, E_REFUSED, "sync.languages is set in %s:%u; change it there, then `wsusctl config apply`", c->conf.file, l.no);
	int rc = setting_set(c->txn, SL("sync.languages"), text, &c->err);
	return rc == E_OK ? audit_note(c->txn, c->admin, "language %s: sync.languages = %.*s", c->cmd->verb, SLF(text)) : rc;
}

static int set_languages(struct ctl *c, bool on)
{
	struct tongues w;
	int rc = read_languages(&w, c);
	if (rc == E_OK)
		rc = turn(&w, on);
	return rc == E_OK ? put_languages(&w) : rc;
}

static int run_language_select(struct ctl *c)
{
	return set_languages(c, true);
}

static int run_language_deselect(struct ctl *c)
{
	return set_languages(c, false);
}

static int report_languages(struct ctl *c)
{
	struct tongues w;
	struct slice text;
	if (c->json)
		return run_language_list(c);
	int rc = read_languages(&w, c);
	if (rc == E_OK)
		rc = setting_get(c->txn, SL("sync.languages"), &text, &c->err);
	if (rc != E_OK)
		return rc;
	ctl_say(c, "languages: %.*s.  The server above is told, and so are servers below this one; of an update that is taken all of its texts "
		"are kept", SLF(text));
	for (int i = 1; i < SYNC_LANGUAGES && !w.v[0].enabled; i++)
		if (w.v[i].enabled && has_above(&w, w.v[i].id) == 0)
			ctl_say(c, "%s (%s) is not enabled at the server above: nothing comes in it until it is", w.v[i].name, w.v[i].code);
	return E_OK;
}

/* ================= the tables ================= */

static const struct option_row list_options[] = {
	{"all", NULL, "what is neither company, family nor product, too"},
	{"selected", NULL, "only what is selected, itself or by something above it"},
	{"count", NULL, "ask the server above what each would bring"},
	OPTION_CSV,
	{0},
};
static const struct option_row select_options[] = {
	{"all", NULL, "everything: sync.filter = all"},
	{"dry-run", NULL, "only show what it would bring"},
	{"no-count", NULL, "do not ask the server above"},
	{0},
};
static const struct option_row deselect_options[] = {
	{"all", NULL, "all that is selected, and sync.filter = chosen"},
	{"dry-run", NULL, "only show what it means"},
	{0},
};
static const char shown_first[] = "What it would bring is counted first, at the server above: the number of updates is exact, the size of their files "
	"is estimated from some of them, and marked so.";
static const char stays[] = "What is here stays; new updates of it come no more.";

const struct command choice_commands[] = {
	{"product", "list", "[PART]", "list products, what is selected, and what each would bring", 0, 1, NEED_STORE, list_options, run_product_list,
		NULL, "The figures are of the last count; ~ marks an estimate."},
	{"product", "select", "ID|TITLE...", "ask the server above for updates of a product, or of all below a family or company", 0, 1000, NEED_STORE,
		select_options, run_product_select, NULL, shown_first},
	{"product", "deselect", "ID|TITLE...", "ask for a product no more", 0, 1000, NEED_STORE, deselect_options, run_product_deselect, NULL, stays},
	{"classification", "list", "[PART]", "list classifications, what is selected, and what each would bring", 0, 1, NEED_STORE, list_options,
		run_classification_list, NULL, NULL},
	{"classification", "select", "ID|TITLE...", "ask the server above for updates of a classification", 0, 1000, NEED_STORE, select_options,
		run_classification_select, NULL, shown_first},
	{"classification", "deselect", "ID|TITLE...", "ask for a classification no more", 0, 1000, NEED_STORE, deselect_options,
		run_classification_deselect, NULL, stays},
	{"language", "list", "", "list languages: what is selected, and what the server above has", 0, 0, NEED_READ, csv_options, run_language_list, NULL, NULL},
	{"language", "select", "CODE...", "have a language; all: every one", 1, SYNC_LANGUAGES, NEED_WRITE, NULL, run_language_select, report_languages,
		"While all are selected, what is named takes their place."},
	{"language", "deselect", "CODE...", "have a language no more", 1, SYNC_LANGUAGES, NEED_WRITE, NULL, run_language_deselect, report_languages, NULL},
	{0},
};
