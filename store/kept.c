/* kept.c -- policy that outlives its store: as lines of text, read from what may be damaged and laid over a new store.
 *
 *	setting NAME VALUE
 *	group NO PARENT NAME
 *	assign COMPUTER NO...
 *	eula GUID ADMIN
 *	decline GUID ADMIN
 *	downstream GUID STATE NAME|- ADMIN
 *	choice product|classification GUID
 *	approval GUID NUMBER GROUP ACTION PRIORITY ASSIGNED DEADLINE GOLIVE ADMIN
 *
 * A decline holds from now on, whatever is imported.  An approval needs a revision: it waits in meta, and the publish that
 * shows its revision, or any later one, makes it. */
#include <inttypes.h>
#include <stdarg.h>

#include "common/text.h"
#include "store/downstream.h"
#include "store/env.h"
#include "store/parent.h"
#include "store/publish.h"

#define KEPT "kept.approval." /* a key in meta: this, guid, u32 RevisionNumber, u32 GroupNo */
enum { KEPT_KEY = sizeof(KEPT) - 1 + 16 + 4 + 4 };

/* ================= to lines ================= */

struct writing {
	struct txn *t;
	void (*line)(const char *text, void *arg);
	void *arg;
	struct err *e;
};

static void PRINTF(2, 3) put_line(struct writing *w, const char *fmt, ...)
{
	char text[2048];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n < sizeof(text) && !strchr(text, '\n'))
		w->line(text, w->arg);
}

static int write_setting(struct slice key, struct slice value, void *arg)
{
	if (value.n > 1)
		put_line(arg, "setting %.*s %.*s", SLF(key), (int)value.n - 1, value.p + 1);
	return E_OK;
}

static int write_group(const struct group *g, void *arg)
{
	if (!g->builtin)
		put_line(arg, "group %u %u %.*s", (unsigned)g->no, (unsigned)g->parent, SLF(g->name));
	return E_OK;
}

static int write_assignment(struct slice key, struct slice value, void *arg)
{
	char numbers[LIMIT_CLIENT_GROUPS * 12] = "";
	size_t n = 0;
	for (size_t at = 1; at + 4 <= value.n && n + 12 < sizeof(numbers); at += 4)
		n += (size_t)snprintf(numbers + n, sizeof(numbers) - n, " %u", (unsigned)get_be32(value.p + at));
	put_line(arg, "assign %.*s%s", SLF(key), numbers);
	return E_OK;
}

static int write_eula(struct slice key, struct slice value, void *arg)
{
	char id[GUID_TEXT + 1];
	struct guid g;
	struct rec r = rec_of(value, 1);
	rec_u64(&r);
	struct slice by = rec_str(&r);
	if (key.n != sizeof(g.b) || rec_end(&r) != E_OK)
		return E_OK;
	memcpy(g.b, key.p, sizeof(g.b));
	guid_text(&g, id);
	put_line(arg, "eula %s %.*s", id, SLF(by));
	return E_OK;
}

static int write_decline(struct slice key, struct slice value, void *arg)
{
	struct writing *w = arg;
	struct update u;
	char id[GUID_TEXT + 1];
	(void)value;
	if (key.n != 4 || update_get(w->t, get_be32(key.p), &u, NULL) != E_OK || !u.declined)
		return E_OK;
	guid_text(&u.id, id);
	put_line(w, "decline %s %.*s", id, SLF(u.declined_by));
	return E_OK;
}

static int write_downstream(const struct downstream *d, void *arg)
{
	char id[GUID_TEXT + 1];
	if (d->state == DOWNSTREAM_PENDING)
		return E_OK;
	guid_text(&d->id, id);
	bool one_word = d->name.n > 0 && !memchr(d->name.p, ' ', d->name.n);
	put_line(arg, "downstream %s %s %.*s %.*s", id, downstream_state_names[d->state], SLF(one_word ? d->name : SL("-")), SLF(d->admin));
	return E_OK;
}

static int write_choice(const struct choice *c, void *arg)
{
	char id[GUID_TEXT + 1];
	guid_text(&c->id, id);
	if (c->wanted)
		put_line(arg, "choice %s %s", choice_kind_names[c->kind], id);
	return E_OK;
}

static void write_approval_of(struct writing *w, const struct guid *update, int32_t number, const struct approval *a)
{
	char id[GUID_TEXT + 1];
	guid_text(update, id);
	put_line(w, "approval %s %d %u %d %d %d %" PRId64 " %" PRId64 " %.*s", id, (int)number, (unsigned)a->group, (int)a->action,
		(int)a->priority, a->assigned, (int64_t)a->deadline, (int64_t)a->go_live, SLF(a->admin));
}

static int write_approval(const struct deployment *d, void *arg)
{
	struct writing *w = arg;
	struct revision v;
	struct approval a = {d->revision, d->group, d->action, d->priority, d->assigned, d->deadline, d->go_live, d->admin};
	if (!d->dead && revision_get(w->t, d->revision, &v, NULL) == E_OK)
		write_approval_of(w, &v.update, v.number, &a);
	return E_OK;
}

/* ================= approvals that wait for their documents ================= */

static bool kept_read(struct slice key, struct slice value, struct guid *update, int32_t *number, struct approval *a)
{
	struct rec r = rec_of(value, 1);
	*a = (struct approval){.action = rec_u8(&r), .priority = rec_u8(&r), .assigned = rec_u8(&r) != 0};
	a->deadline = (tick_t)rec_u64(&r);
	a->go_live = (tick_t)rec_u64(&r);
	a->admin = rec_str(&r);
	if (key.n != KEPT_KEY || rec_end(&r) != E_OK || a->action >= ACT__N)
		return false;
	const char *p = key.p + sizeof(KEPT) - 1;
	memcpy(update->b, p, sizeof(update->b));
	*number = (int32_t)get_be32(p + 16);
	a->group = get_be32(p + 20);
	return true;
}

static int write_kept(struct slice key, struct slice value, void *arg)
{
	struct guid update;
	int32_t number;
	struct approval a;
	if (kept_read(key, value, &update, &number, &a))
		write_approval_of(arg, &update, number, &a);
	return E_OK;
}

static int kept_put(struct txn *t, const struct guid *update, int32_t number, const struct approval *a, struct err *e)
{
	char key[KEPT_KEY];
	struct buf b;
	memcpy(key, KEPT, sizeof(KEPT) - 1);
	memcpy(key + sizeof(KEPT) - 1, update->b, 16);
	put_be32(key + sizeof(KEPT) - 1 + 16, (uint32_t)number);
	put_be32(key + sizeof(KEPT) - 1 + 20, a->group);
	rec_begin(&b, 1, LIMIT_RECORD);
	buf_char(&b, (char)a->action);
	buf_char(&b, (char)a->priority);
	buf_char(&b, a->assigned);
	rec_put_u64(&b, (uint64_t)a->deadline);
	rec_put_u64(&b, (uint64_t)a->go_live);
	rec_put_str(&b, a->admin);
	return db_put_rec(t, DB_META, (struct slice){key, sizeof(key)}, &b, e);
}

struct ready {
	struct txn *t;
	bool found;
	char key[KEPT_KEY];
	struct approval a;
	char admin[256];
};

/* The first whose revision is here.  Keys and values move with the next write. */
static int find_ready(struct slice key, struct slice value, void *arg)
{
	struct ready *w = arg;
	struct guid update;
	int32_t number;
	if (!kept_read(key, value, &update, &number, &w->a) || revision_find(w->t, &update, number, &w->a.revision) != E_OK)
		return E_OK;
	memcpy(w->key, key.p, sizeof(w->key));
	w->a.admin.n = MIN(w->a.admin.n, sizeof(w->admin));
	memcpy(w->admin, w->a.admin.p, w->a.admin.n);
	w->a.admin.p = w->admin;
	w->found = true;
	return E_EXISTS;
}

static int make_ready(struct txn *t, struct err *e)
{
	for (;;) {
		struct ready w = {.t = t};
		struct revision v;
		struct group g;
		int rc = db_each(t, DB_META, SL(KEPT), find_ready, &w, e);
		if (!w.found)
			return rc;
		rc = db_del(t, DB_META, (struct slice){w.key, sizeof(w.key)}, e);
		if (rc != E_OK)
			return rc;
		struct update u;
		/* declined, or its group deleted since: then it is no longer wanted */
		if (revision_get(t, w.a.revision, &v, NULL) != E_OK || (v.flags & REV_REMOVED) ||
			update_get(t, v.update_no, &u, NULL) != E_OK || u.declined || group_get(t, w.a.group, &g, NULL) != E_OK)
			continue;
		rc = approve(t, &w.a, e);
		if (rc != E_OK && rc != E_REFUSED)
			return rc;
	}
}

int policy_make_ready(struct txn *t, struct err *e)
{
	bool was = txn_policy_free(t, true);
	int rc = make_ready(t, e);
	txn_policy_free(t, was);
	return rc;
}

int policy_drop_waiting(struct txn *t, struct err *e)
{
	return db_del_prefix(t, DB_META, SL(KEPT), NULL, e);
}

/* ================= of a kind ================= */

static int settings_out(struct writing *w)
{
	return db_each(w->t, DB_SETTING, SL(""), write_setting, w, w->e);
}

static int groups_out(struct writing *w)
{
	return group_each(w->t, write_group, w, w->e);
}

static int assignments_out(struct writing *w)
{
	return db_each(w->t, DB_ASSIGN, SL(""), write_assignment, w, w->e);
}

static int eulas_out(struct writing *w)
{
	return db_each(w->t, DB_EULA, SL(""), write_eula, w, w->e);
}

static int declines_out(struct writing *w)
{
	return db_each(w->t, DB_UPDATE, SL(""), write_decline, w, w->e);
}

/* Of catalog/ alone: the other may be damaged. */
static int downstreams_out(struct writing *w)
{
	return downstream_each_decided(w->t, write_downstream, w, w->e);
}

static int choices_out(struct writing *w)
{
	return choice_each(w->t, 0, write_choice, w, w->e);
}

static int approvals_out(struct writing *w)
{
	int rc = db_each(w->t, DB_META, SL(KEPT), write_kept, w, w->e);
	return rc == E_OK ? deployment_each_of_group(w->t, 0, write_approval, w, w->e) : rc;
}

static const struct {
	const char *name;
	int (*out)(struct writing *);
} kinds[POLICY__N] = {
	[POLICY_SETTINGS] = {"settings", settings_out},       [POLICY_GROUPS] = {"groups", groups_out},
	[POLICY_ASSIGNMENTS] = {"assignments", assignments_out}, [POLICY_EULAS] = {"accepted licences", eulas_out},
	[POLICY_DECLINES] = {"declines", declines_out},       [POLICY_DOWNSTREAMS] = {"downstream servers", downstreams_out},
	[POLICY_CHOICES] = {"choices", choices_out},          [POLICY_APPROVALS] = {"approvals", approvals_out},
};

const char *policy_name(enum policy kind)
{
	return kinds[kind].name;
}

int policy_lines(struct txn *t, enum policy kind, void (*line)(const char *, void *), void *arg, struct err *e)
{
	struct writing w = {t, line, arg, e};
	return kinds[kind].out(&w);
}

/* ================= from lines ================= */

struct laying {
	struct txn *t;
	struct err *e;
	struct slice line[LIMIT_GROUPS]; /* groups whose parent is not there yet */
	size_t waiting;
	uint32_t old[LIMIT_GROUPS], now[LIMIT_GROUPS];
	size_t ngroups;
};

static uint32_t group_now(const struct laying *w, uint64_t old)
{
	if (old <= GROUP_DOWNSTREAM)
		return (uint32_t)old;
	for (size_t i = 0; i < w->ngroups; i++)
		if (w->old[i] == old)
			return w->now[i];
	return 0;
}

static bool cut_number(struct slice *s, uint64_t *out)
{
	return text_u64(text_cut(s, ' '), out);
}

static int lay_group(struct laying *w, struct slice s)
{
	struct slice whole = s;
	uint64_t no, parent;
	if (!cut_number(&s, &no) || !cut_number(&s, &parent) || w->ngroups == LIMIT_GROUPS)
		return E_FORM;
	uint32_t above = group_now(w, parent);
	if (above == 0 && w->waiting < LIMIT_GROUPS) {
		w->line[w->waiting++] = whole;
		return E_OK;
	}
	w->old[w->ngroups] = (uint32_t)no;
	int rc = group_create(w->t, s, above, &w->now[w->ngroups], w->e);
	w->ngroups += rc == E_OK;
	return rc;
}

/* Those that wait, until no more of them finds its parent; who lost it stands at the top. */
static int lay_waiting(struct laying *w)
{
	int rc = E_OK;
	for (size_t before = SIZE_MAX; rc == E_OK && w->waiting && w->waiting != before;) {
		size_t n = before = w->waiting;
		w->waiting = 0;
		for (size_t i = 0; rc == E_OK && i < n; i++)
			rc = lay_group(w, w->line[i]);
	}
	for (size_t i = 0; rc == E_OK && i < w->waiting; i++) {
		uint64_t no, parent;
		struct slice s = w->line[i];
		if (!cut_number(&s, &no) || !cut_number(&s, &parent))
			continue;
		w->old[w->ngroups] = (uint32_t)no;
		rc = group_create(w->t, s, 0, &w->now[w->ngroups], w->e);
		w->ngroups += rc == E_OK;
	}
	w->waiting = 0;
	return rc;
}

static int lay_setting(struct laying *w, struct slice s)
{
	struct slice name = text_cut(&s, ' ');
	return setting_set(w->t, name, s, w->e);
}

static int lay_assignment(struct laying *w, struct slice s)
{
	uint32_t groups[LIMIT_CLIENT_GROUPS];
	size_t n = 0;
	struct slice computer = text_cut(&s, ' ');
	for (uint64_t old; s.n > 0 && n < LIMIT_CLIENT_GROUPS && cut_number(&s, &old);)
		if (group_now(w, old))
			groups[n++] = group_now(w, old);
	return n ? assign_set(w->t, computer, groups, n, w->e) : E_OK;
}

static int lay_eula(struct laying *w, struct slice s)
{
	struct guid g;
	return text_guid(text_cut(&s, ' '), &g) ? eula_accept(w->t, &g, s, w->e) : E_FORM;
}

static int lay_decline(struct laying *w, struct slice s)
{
	struct guid g;
	uint32_t no;
	if (!text_guid(text_cut(&s, ' '), &g))
		return E_FORM;
	int rc = update_number(w->t, &g, &no, w->e);
	return rc == E_OK ? update_decline(w->t, no, true, s, w->e) : rc;
}

static int lay_downstream(struct laying *w, struct slice s)
{
	struct guid g;
	bool good = text_guid(text_cut(&s, ' '), &g);
	struct slice word = text_cut(&s, ' '), name = text_cut(&s, ' ');
	for (enum downstream_state i = DOWNSTREAM_APPROVED; good && i <= DOWNSTREAM_BLOCKED; i++)
		if (slice_eq(word, slice_of(downstream_state_names[i])))
			return downstream_decide(w->t, &g, slice_eq(name, SL("-")) ? SL("") : name, i, s, w->e);
	return E_FORM;
}

static int lay_choice(struct laying *w, struct slice s)
{
	struct slice word = text_cut(&s, ' ');
	struct choice c = {.wanted = true};
	for (enum choice_kind i = CHOICE_PRODUCT; i <= CHOICE_CLASSIFICATION; i++)
		if (slice_eq(word, slice_of(choice_kind_names[i])))
			c.kind = i;
	return c.kind && text_guid(s, &c.id) && !guid_is_zero(&c.id) ? choice_put(w->t, &c, w->e) : E_FORM;
}

static int lay_approval(struct laying *w, struct slice s)
{
	struct guid g;
	uint64_t v[7];
	bool good = text_guid(text_cut(&s, ' '), &g);
	for (size_t i = 0; good && i < COUNTOF(v); i++)
		good = cut_number(&s, &v[i]);
	if (!good || v[0] > INT32_MAX || v[2] >= ACT__N || v[3] > PRIO_LOW)
		return E_FORM;
	struct approval a = {.group = group_now(w, v[1]), .action = (enum action)v[2], .priority = (enum priority)v[3],
		.assigned = v[4] != 0, .deadline = (tick_t)v[5], .go_live = (tick_t)v[6], .admin = s};
	return a.group ? kept_put(w->t, &g, (int32_t)v[0], &a, w->e) : E_OK;
}

static const struct {
	const char *word;
	int (*lay)(struct laying *, struct slice);
} words[POLICY__N] = {
	[POLICY_SETTINGS] = {"setting", lay_setting},   [POLICY_GROUPS] = {"group", lay_group},
	[POLICY_ASSIGNMENTS] = {"assign", lay_assignment}, [POLICY_EULAS] = {"eula", lay_eula},
	[POLICY_DECLINES] = {"decline", lay_decline},   [POLICY_DOWNSTREAMS] = {"downstream", lay_downstream},
	[POLICY_CHOICES] = {"choice", lay_choice},      [POLICY_APPROVALS] = {"approval", lay_approval},
};

int policy_lay(struct txn *t, struct slice lines, unsigned count[POLICY__N], struct err *e)
{
	struct laying w = {.t = t, .e = e};
	int rc = E_OK;
	bool was = txn_policy_free(t, true);
	memset(count, 0, POLICY__N * sizeof(*count));
	for (enum policy kind = 0; rc == E_OK && kind < POLICY__N; kind++) {
		for (struct slice rest = lines; rc == E_OK && rest.n > 0;) {
			struct slice line = text_cut(&rest, '\n');
			if (!slice_eq(text_cut(&line, ' '), slice_of(words[kind].word)))
				continue;
			rc = words[kind].lay(&w, line);
			count[kind] += rc == E_OK;
			rc = rc == E_FORM || rc == E_NOTFOUND ? E_OK : rc; /* a line that came from a damaged page */
		}
		if (rc == E_OK && kind == POLICY_GROUPS)
			rc = lay_waiting(&w);
	}
	txn_policy_free(t, was);
	return rc;
}
