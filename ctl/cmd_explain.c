/* cmd_explain.c -- why a computer gets an update, or does not.
 *
 * What the scan answers is asked of the scan (scan_judge, scan_effective), for the groups of the computer and what it last called
 * installed; the reasons beside it are read from the rows that lead there.  The sentence on top follows from the two. */
#include <stdarg.h>
#include <stdlib.h>

#include "common/text.h"
#include "ctl/computer_filter.h"
#include "ctl/report_data.h"
#include "store/scan.h"

enum holds { HOLDS_YES, HOLDS_NO, HOLDS_NOTE }; /* speaks for it, against it, is worth knowing */
static const char *const holds_words[] = {"yes", "no", "note"};

struct explain {
	struct ctl *c;
	struct computer_filter f;
	struct listed_computer l;
	struct revision r;   /* of which the answer is */
	struct update u;
	struct scan *scan;
	struct scan_verdict v;
	struct effective eff;
	struct last_scan last;
	bool scanned;        /* a software pass of it ended */
	struct status_row status;
	struct slice name;   /* of the computer */
	/* found on the way */
	struct slice missing; /* the first prerequisite that it has not */
	struct slice parent;  /* the bundle by which it comes, */
	bool parent_gets;     /* and is that approved? */
	struct slice newer;   /* what supersedes it there: it is installed, or approved and needed */
	bool newer_installed;
	bool named_revision;  /* the administrator asked for one revision */
};

static const struct column reason_columns[] = {
	{"check", "ABOUT", CELL_TEXT, FIT_WHOLE},
	{"holds", "FOR IT", CELL_TEXT, FIT_WHOLE},
	{"reason", "WHY", CELL_TEXT, FIT_WHOLE},
};

static void PRINTF(4, 5) reason(struct explain *x, const char *check, enum holds h, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	out_str(&x->c->out, check);
	out_str(&x->c->out, holds_words[h]);
	out_text(&x->c->out, arena_copy(&x->c->arena, slice_of(text)));
}

static struct slice copy(struct explain *x, struct slice s)
{
	return arena_copy(&x->c->arena, s);
}

/* ================= what is asked ================= */

static int find_revision(struct explain *x)
{
	struct ctl *c = x->c;
	struct guid g;
	struct slice rest = slice_of(c->pos[1]), head = text_cut(&rest, ':');
	x->named_revision = rest.p && text_guid(head, &g);
	int rc = name_revision(c, c->pos[1], &x->r);
	if (rc == E_OK)
		rc = update_get(c->txn, x->r.update_no, &x->u, &c->err);
	return rc;
}

static int find_computer(struct explain *x)
{
	struct ctl *c = x->c;
	struct computer k;
	struct slice id;
	int rc = name_computer(c, c->pos[0], &id);
	if (rc == E_OK)
		rc = computer_get(c->txn, id, &k);
	if (rc == E_OK)
		rc = computer_filter_read(c, &x->f);
	if (rc == E_OK)
		rc = computer_listed(c, &x->f, &k, &x->l);
	if (rc == E_OK)
		rc = last_scan_get(c->txn, id, &x->last, &c->err);
	x->scanned = rc == E_OK;
	x->name = k.dns_name.n ? k.dns_name : k.id;
	return rc == E_NOTFOUND && x->l.k.id.p ? E_OK : rc;
}

/* Of the revision that was named, else of the one that the scan takes, or the highest. */
static int judge(struct explain *x)
{
	struct ctl *c = x->c;
	int rc = scan_judge(x->scan, &x->l.groups, x->last.installed, x->last.ninstalled, x->r.id, &x->v, &c->err);
	if (rc == E_OK && !x->named_revision && x->v.chosen && x->v.chosen != x->r.id) {
		rc = revision_get(c->txn, x->v.chosen, &x->r, &c->err);
		if (rc == E_OK)
			rc = scan_judge(x->scan, &x->l.groups, x->last.installed, x->last.ninstalled, x->r.id, &x->v, &c->err);
	}
	if (rc != E_OK || !(x->r.flags & REV_PUBLISHED))
		return rc;
	return scan_effective(x->scan, &x->l.groups, x->r.id, &x->eff, &c->err);
}

static int find_status(struct explain *x)
{
	int rc = status_get(x->c->txn, x->l.k.id, x->r.update_no, &x->status);
	return rc == E_OK || rc == E_NOTFOUND ? E_OK :
		err_set(&x->c->err, (enum errcode)rc, "what computer %.*s reported cannot be read", SLF(x->l.k.id));
}

/* ================= the reasons ================= */

static struct slice date(struct explain *x, tick_t t)
{
	return when_text(&x->c->arena, t);
}

static struct slice group_name(struct explain *x, uint32_t no)
{
	struct group g;
	return group_get(x->c->txn, no, &g, NULL) == E_OK ? copy(x, g.name) : arena_printf(&x->c->arena, "group %u", (unsigned)no);
}

/* The title of an update's highest revision. */
static struct slice title_of(struct explain *x, uint32_t update_no)
{
	struct update u;
	struct revision r;
	int32_t id;
	if (update_get(x->c->txn, update_no, &u, NULL) != E_OK)
		return SL("an unknown update");
	if (revision_find(x->c->txn, &u.id, 0, &id) == E_OK && revision_get(x->c->txn, id, &r, NULL) == E_OK)
		return copy(x, r.title);
	char text[GUID_TEXT + 1];
	guid_text(&u.id, text);
	return arena_printf(&x->c->arena, "%s (not here)", text);
}

static int about_update(struct explain *x)
{
	const char *held = x->r.flags & REV_HELD ? ": a synchronization that has not ended holds it back" : "";
	if (!(x->r.flags & REV_PUBLISHED))
		reason(x, "update", HOLDS_NO, "revision %d is staged and not published%s", (int)x->r.number, held);
	else if (!x->v.alive && !x->u.declined)
		reason(x, "update", HOLDS_NO, "revision %d is published %.*s, but a part of this bundle is not here", (int)x->r.number,
			SLF(date(x, x->r.published)));
	else
		reason(x, "update", x->v.driver ? HOLDS_NO : HOLDS_YES, "%s, revision %d, published %.*s%s", update_type_names[x->r.type],
			(int)x->r.number, SLF(date(x, x->r.published)), x->v.driver ? "; drivers are not offered" : "");
	return E_OK;
}

static bool in_groups(const struct explain *x, uint32_t no)
{
	for (unsigned i = 0; i < x->l.groups.n; i++)
		if (x->l.groups.no[i] == no)
			return true;
	return false;
}

static const char *const short_actions[ACT__N] = {"install", "uninstall", "detection only", "block", "optional installation"};

static int other_approval(const struct deployment *d, void *arg)
{
	struct explain *x = arg;
	if (d->dead || (!x->eff.implied && d->group == x->eff.d.group && d->revision == x->r.id))
		return E_OK;
	struct slice group = group_name(x, d->group);
	const char *why = !in_groups(x, d->group) ? "the computer is not in it" :
		d->revision != x->r.id ? "for another revision" : "a nearer group's holds";
	reason(x, "approval", HOLDS_NOTE, "%s for %.*s: %s", short_actions[d->action], SLF(group), why);
	return E_OK;
}

static bool installs(enum action a)
{
	return a == ACT_INSTALL || a == ACT_UNINSTALL || a == ACT_OPTIONAL_INSTALL;
}

static void explicit_approval(struct explain *x)
{
	const struct deployment *d = &x->eff.d;
	struct slice group = group_name(x, d->group);
	bool holds = installs(d->action) && !d->waiting;
	reason(x, "approval", holds ? HOLDS_YES : HOLDS_NO, "%s for %.*s, by %.*s, since %.*s%s%.*s", short_actions[d->action], SLF(group),
		SLF(d->admin), SLF(date(x, d->changed)), d->deadline ? ", deadline " : "", SLF(d->deadline ? date(x, d->deadline) : SL("")));
	if (d->waiting & WAIT_FILES)
		reason(x, "approval", HOLDS_NO, "waits for %u files (%.*s)", (unsigned)d->missing_files,
			SLF(bytes_text(&x->c->arena, d->missing_bytes)));
	if (d->waiting & WAIT_EULA)
		reason(x, "approval", HOLDS_NO, "waits until its licence terms are accepted");
	if (d->waiting & WAIT_GOLIVE)
		reason(x, "approval", HOLDS_NO, "begins %.*s", SLF(date(x, d->go_live)));
}

static int about_approval(struct explain *x)
{
	int32_t *ids;
	size_t n;
	if (!(x->r.flags & REV_PUBLISHED))
		reason(x, "approval", HOLDS_NO, "nothing can be said before it is published");
	else if (!x->eff.implied)
		explicit_approval(x);
	else
		reason(x, "approval", strcmp(x->eff.action, "Bundle") == 0 ? HOLDS_YES : HOLDS_NO, "none for its groups; what it gets without is %s",
			x->eff.action);
	int rc = revisions_of(x->c->txn, x->r.update_no, &ids, &n, &x->c->err);
	for (size_t i = 0; rc == E_OK && i < n; i++)
		rc = deployment_each(x->c->txn, ids[i], other_approval, x, &x->c->err);
	return rc;
}

static int about_group(struct explain *x)
{
	struct slice names;
	int rc = computer_group_names(x->c, &x->l.groups, &names);
	const char *how = x->f.settings.targeting == TARGETING_CLIENT ? "as the computer asks (targeting is client)" :
		"as assigned here (targeting is server)";
	if (rc == E_OK)
		reason(x, "group", HOLDS_NOTE, "%.*s and All Computers, %s", SLF(names), how);
	return rc;
}

/* ---- scope: how it comes into the selection; and what supersedes it: one walk over all revisions ---- */

struct membership {
	uint32_t update_no; /* the part, */
	int32_t number;
	int32_t bundle;     /* RevisionID of what it is a part of */
};

struct search {
	struct explain *x;
	bool *selected; /* by RevisionID - 1 */
	size_t nselected;
	const struct revision *at;
	struct membership *member; /* parts of selected bundles */
	size_t nmember, member_cap;
	int32_t needer;         /* a selected revision that has it as a prerequisite */
	struct revision *newer; /* highest revisions of what supersedes it */
	size_t nnewer, cap;
};

static int look_at_member(const struct relation *m, void *arg)
{
	struct search *w = arg;
	struct ctl *c = w->x->c;
	struct membership *v = ARENA_MORE(&c->arena, w->member, w->nmember, &w->member_cap);
	if (!v)
		return err_set(&c->err, E_NOMEM, "out of memory");
	w->member = v;
	v[w->nmember++] = (struct membership){m->update_no, m->number, w->at->id};
	return E_OK;
}

static int look_at_prerequisite(const struct relation *p, void *arg)
{
	struct search *w = arg;
	if (p->update_no == w->x->r.update_no)
		w->needer = w->at->id;
	return E_OK;
}

/* Only what the highest revision of an update supersedes counts. */
static int look_at_superseded(const struct relation *s, void *arg)
{
	struct search *w = arg;
	struct ctl *c = w->x->c;
	int32_t highest;
	if (s->update_no != w->x->r.update_no || revision_find(c->txn, &w->at->update, 0, &highest) != E_OK || highest != w->at->id)
		return E_OK;
	struct revision *v = ARENA_MORE(&c->arena, w->newer, w->nnewer, &w->cap);
	if (!v)
		return err_set(&c->err, E_NOMEM, "out of memory");
	w->newer = v;
	v[w->nnewer++] = *w->at;
	return E_OK;
}

static int look_at(const struct revision *r, void *arg)
{
	struct search *w = arg;
	struct explain *x = w->x;
	bool selected = (size_t)r->id <= w->nselected && w->selected[r->id - 1];
	if (!(r->flags & REV_PUBLISHED) || r->update_no == x->r.update_no)
		return E_OK;
	w->at = r;
	int rc = selected ? relations_each(x->c->txn, r->id, LIST_BUNDLE, look_at_member, w, &x->c->err) : E_OK;
	if (rc == E_OK && selected && !w->needer)
		rc = relations_each(x->c->txn, r->id, LIST_PREREQ, look_at_prerequisite, w, &x->c->err);
	return rc == E_OK ? relations_each(x->c->txn, r->id, LIST_SUPERSEDED, look_at_superseded, w, &x->c->err) : rc;
}

/* What is selected for the computer, of all there is: asked once. */
static int find_selected(struct explain *x, struct search *w)
{
	struct ctl *c = x->c;
	struct server_state state;
	int rc = server_state_get(c->txn, &state, &c->err);
	if (rc != E_OK)
		return rc;
	int32_t *id = ARENA_ARRAY(&c->arena, int32_t, state.revisions);
	w->selected = ARENA_ARRAY(&c->arena, bool, state.revisions);
	w->nselected = state.revisions;
	if (!id || !w->selected)
		return err_set(&c->err, E_NOMEM, "out of memory");
	for (size_t i = 0; i < w->nselected; i++)
		id[i] = (int32_t)(i + 1);
	return scan_deployed(x->scan, &x->l.groups, id, w->nselected, w->selected, &c->err);
}

static int look_at_bundle(struct explain *x, const struct revision *r)
{
	struct effective eff;
	int rc = scan_effective(x->scan, &x->l.groups, r->id, &eff, &x->c->err);
	x->parent = copy(x, r->title);
	x->parent_gets = rc == E_OK && !eff.implied && installs(eff.d.action) && !eff.d.waiting;
	return rc;
}

/* The bundle that is approved; else an outermost one, which is to be approved.  A part may be in several, and these be parts. */
static int find_parent(struct explain *x, const struct search *w)
{
	bool *seen = ARENA_ARRAY(&x->c->arena, bool, w->nselected);
	int32_t *way = ARENA_ARRAY(&x->c->arena, int32_t, w->nselected);
	struct revision r = x->r;
	size_t n = 0;
	int rc = seen && way ? E_OK : err_set(&x->c->err, E_NOMEM, "out of memory");
	for (size_t at = 0; rc == E_OK && !x->parent_gets; at++) {
		for (size_t i = 0; i < w->nmember; i++) {
			const struct membership *m = &w->member[i];
			if (m->update_no != r.update_no || m->number != r.number || seen[m->bundle - 1])
				continue;
			seen[m->bundle - 1] = true;
			way[n++] = m->bundle;
		}
		if (at == n)
			break;
		rc = revision_get(x->c->txn, way[at], &r, &x->c->err);
		if (rc == E_OK)
			rc = look_at_bundle(x, &r);
	}
	return rc;
}

static int about_scope(struct explain *x, const struct search *w)
{
	const char *all = x->f.settings.scan_scope == SCOPE_ALL ? "all" : "approved";
	struct revision r;
	if (!x->v.selected) {
		reason(x, "scope", HOLDS_NO, "scan.scope is %s: it is neither approved for the computer%s nor a part or a prerequisite of what is", all,
			x->f.settings.scan_scope == SCOPE_ALL ? ", nor deployable by itself," : "");
		return E_OK;
	}
	if (x->parent.p)
		reason(x, "scope", HOLDS_YES, "scan.scope is %s: it comes as a part of the bundle \"%.*s\", which %s", all, SLF(x->parent),
			x->parent_gets ? "is approved for the computer" : "is not approved for the computer");
	else if (!x->eff.implied)
		reason(x, "scope", HOLDS_YES, "scan.scope is %s: it is approved for the computer", all);
	else if (x->v.root)
		reason(x, "scope", HOLDS_YES, "scan.scope is %s: computers look whether they need it, approved or not", all);
	else if (w->needer && revision_get(x->c->txn, w->needer, &r, NULL) == E_OK)
		reason(x, "scope", HOLDS_YES, "scan.scope is %s: it comes as a prerequisite of \"%.*s\", among others", all, SLF(r.title));
	else
		reason(x, "scope", HOLDS_YES, "scan.scope is %s", all);
	return E_OK;
}

/* ---- prerequisites ---- */

static int cmp_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

/* UpdateNos of what it called installed, ascending. */
static int installed_updates(struct explain *x, uint32_t **out, size_t *n)
{
	uint32_t *v = ARENA_ARRAY(&x->c->arena, uint32_t, x->last.ninstalled);
	*n = 0;
	*out = v;
	if (!v)
		return err_set(&x->c->err, E_NOMEM, "out of memory");
	for (size_t i = 0; i < x->last.ninstalled; i++) {
		struct revision r;
		if (revision_get(x->c->txn, x->last.installed[i], &r, NULL) == E_OK)
			v[(*n)++] = r.update_no;
	}
	qsort(v, *n, sizeof(*v), cmp_u32);
	return E_OK;
}

/* The clause that begins at v: its length; *by: the alternative that is installed, NULL: none. */
static size_t read_clause(const struct relation *v, size_t n, const uint32_t *has, size_t nhas, const struct relation **by)
{
	size_t len = 0;
	*by = NULL;
	for (; len < n && v[len].clause == v[0].clause; len++)
		if (!*by && bsearch(&v[len].update_no, has, nhas, sizeof(*has), cmp_u32))
			*by = &v[len];
	return len;
}

static struct slice clause_text(struct explain *x, const struct relation *v, size_t n)
{
	struct slice first = title_of(x, v[0].update_no);
	if (n == 1)
		return arena_printf(&x->c->arena, "\"%.*s\"", SLF(first));
	struct slice second = title_of(x, v[1].update_no);
	return arena_printf(&x->c->arena, "\"%.*s\" or \"%.*s\"%s", SLF(first), SLF(second), n > 2 ? " or others" : "");
}

static int about_prerequisites(struct explain *x)
{
	struct relations rel;
	uint32_t *has;
	size_t nhas;
	int rc = relations_get(x->c->txn, x->r.id, &rel, &x->c->err);
	if (rc == E_OK)
		rc = installed_updates(x, &has, &nhas);
	if (rc != E_OK)
		return rc;
	if (rel.nprereq == 0)
		reason(x, "prerequisite", HOLDS_YES, "it has none");
	for (size_t i = 0, n; i < rel.nprereq; i += n) {
		const struct relation *by;
		n = read_clause(rel.prereq + i, rel.nprereq - i, has, nhas, &by);
		struct slice text = by ? title_of(x, by->update_no) : clause_text(x, rel.prereq + i, n);
		if (by)
			reason(x, "prerequisite", HOLDS_YES, "\"%.*s\" is installed", SLF(text));
		else if (!x->scanned)
			reason(x, "prerequisite", HOLDS_NOTE, "%.*s: not known before a scan of the computer ended", SLF(text));
		else
			reason(x, "prerequisite", HOLDS_NO, "%.*s is not installed, as of its scan of %.*s", SLF(text), SLF(date(x, x->last.at)));
		if (!by && !x->missing.p)
			x->missing = text;
	}
	return E_OK;
}

/* ---- files, licence, decline, expiry ---- */

struct file_count {
	unsigned n, here;
	uint64_t lacking;
};

static int count_files(struct explain *x, int32_t id, struct file_count *f)
{
	struct revision_file *v;
	size_t n = 0;
	int rc = revision_files(x->c->txn, id, &v, &n, &x->c->err);
	for (size_t i = 0; rc == E_OK && i < n; i++) {
		struct file file;
		rc = file_get(x->c->txn, &v[i].digest, &file, &x->c->err);
		f->n++;
		f->here += rc == E_OK && file.stored;
		f->lacking += rc == E_OK && !file.stored ? file.size : 0;
	}
	return rc;
}

/* Of the update itself and of the parts of a bundle. */
static int about_files(struct explain *x)
{
	struct file_count f = {0};
	struct relations rel;
	int rc = relations_get(x->c->txn, x->r.id, &rel, &x->c->err);
	if (rc == E_OK)
		rc = count_files(x, x->r.id, &f);
	for (size_t i = 0; rc == E_OK && i < rel.nbundle; i++) {
		struct update u;
		int32_t id;
		rc = update_get(x->c->txn, rel.bundle[i].update_no, &u, &x->c->err);
		if (rc == E_OK && revision_find(x->c->txn, &u.id, rel.bundle[i].number, &id) == E_OK)
			rc = count_files(x, id, &f);
	}
	if (rc != E_OK)
		return rc;
	if (f.n == 0)
		reason(x, "files", HOLDS_YES, "it has none");
	else if (x->f.settings.content_store == CONTENT_MICROSOFT)
		reason(x, "files", HOLDS_YES, "%u, which computers get from the vendor (content.store)", f.n);
	else if (f.here == f.n)
		reason(x, "files", HOLDS_YES, "all %u are here", f.n);
	else
		reason(x, "files", !x->eff.implied && (x->eff.d.waiting & WAIT_FILES) ? HOLDS_NO : HOLDS_NOTE, "%u of %u are here, %.*s are missing",
			f.here, f.n, SLF(bytes_text(&x->c->arena, f.lacking)));
	return E_OK;
}

static int about_policy(struct explain *x)
{
	if (guid_is_zero(&x->r.eula))
		reason(x, "licence", HOLDS_YES, "it has no licence terms");
	else if (eula_accepted(x->c->txn, &x->r.eula))
		reason(x, "licence", HOLDS_YES, "its licence terms are accepted");
	else
		reason(x, "licence", HOLDS_NO, "its licence terms are not accepted");
	if (x->u.declined)
		reason(x, "decline", HOLDS_NO, "declined by %.*s, %.*s", SLF(x->u.declined_by), SLF(date(x, x->u.declined_at)));
	else
		reason(x, "decline", HOLDS_YES, "it is not declined");
	if (x->r.flags & REV_EXPIRED)
		reason(x, "expiry", x->eff.implied ? HOLDS_NO : HOLDS_NOTE, "its publisher withdrew it");
	return E_OK;
}

static int about_newer(struct explain *x, const struct search *w)
{
	int rc = E_OK;
	for (size_t i = 0; rc == E_OK && i < w->nnewer; i++) {
		const struct revision *r = &w->newer[i];
		struct effective eff = {.implied = true};
		struct status_row row = {.status = STATUS_UNKNOWN};
		struct update u;
		rc = update_get(x->c->txn, r->update_no, &u, &x->c->err);
		if (rc == E_OK)
			rc = scan_effective(x->scan, &x->l.groups, r->id, &eff, &x->c->err);
		(void)!status_get(x->c->txn, x->l.k.id, r->update_no, &row);
		bool approved = !u.declined && !eff.implied && installs(eff.d.action) && !eff.d.waiting;
		if (!x->newer.p && (row.status == STATUS_INSTALLED || (approved && status_is_open(row.status)))) {
			x->newer = copy(x, r->title);
			x->newer_installed = row.status == STATUS_INSTALLED;
		}
		if (rc == E_OK)
			reason(x, "supersedence", HOLDS_NOTE, "superseded by \"%.*s\", which is %s here; on the computer: %s", SLF(r->title),
				u.declined ? "declined" : approved ? "approved" : "not approved", update_status_names[row.status]);
	}
	if (rc == E_OK && w->nnewer == 0)
		reason(x, "supersedence", HOLDS_YES, "nothing here supersedes it");
	return rc;
}

static int about_revision(struct explain *x)
{
	struct revision r;
	if (x->v.chosen == 0 || x->v.chosen == x->r.id)
		return E_OK;
	int rc = revision_get(x->c->txn, x->v.chosen, &r, &x->c->err);
	if (rc == E_OK)
		reason(x, "revision", HOLDS_NO, "the computer is offered revision %d of it, and never two", (int)r.number);
	return rc;
}

/* ---- the computer ---- */

static int about_scan(struct explain *x)
{
	const struct standing *s = &x->l.s;
	tick_t contact = MAX(x->l.k.last_seen, s->sync_good_at); /* the first is written now and then */
	reason(x, "scan", x->scanned ? HOLDS_YES : HOLDS_NO, "last contact %.*s; %s", SLF(date(x, contact)),
		x->scanned ? "it ended a scan for software" : "no scan for software ended yet");
	if (s->sync_result != SYNC_NEVER)
		reason(x, "scan", s->sync_result == SYNC_FAILED ? HOLDS_NO : HOLDS_YES, "as it reported %.*s: %.*s", SLF(date(x, s->sync_at)),
			SLF(sync_text(&x->c->arena, s->sync_result, s->sync_hresult)));
	if (!x->eff.implied && x->eff.changed > contact)
		reason(x, "scan", HOLDS_NOTE, "the approval changed after its last contact: it learns of it with its next scan");
	return E_OK;
}

static int about_status(struct explain *x)
{
	const struct status_row *r = &x->status;
	if (r->at)
		reason(x, "status", r->status == STATUS_FAILED ? HOLDS_NO : HOLDS_NOTE, "%s since %.*s%s", update_status_names[r->status],
			SLF(date(x, r->at)), r->hidden ? "; hidden by its user" : "");
	else
		reason(x, "status", HOLDS_NOTE, "%s", x->l.s.status_at ? "its reports do not list it: not applicable" : "it never reported its updates");
	if (r->failed_at)
		reason(x, "error", HOLDS_NO, "last failure %.*s: %.*s", SLF(date(x, r->failed_at)), SLF(error_text(&x->c->arena, r->hresult)));
	return E_OK;
}

static int reasons(struct explain *x, const struct search *w)
{
	int rc = about_update(x);
	if (rc == E_OK)
		rc = about_approval(x);
	if (rc == E_OK)
		rc = about_group(x);
	if (rc == E_OK)
		rc = about_scope(x, w);
	if (rc == E_OK)
		rc = about_prerequisites(x);
	if (rc == E_OK)
		rc = about_files(x);
	if (rc == E_OK)
		rc = about_policy(x);
	if (rc == E_OK)
		rc = about_newer(x, w);
	if (rc == E_OK)
		rc = about_revision(x);
	if (rc == E_OK)
		rc = about_scan(x);
	return rc == E_OK ? about_status(x) : rc;
}

/* ================= the verdict ================= */

struct verdict {
	const char *code;
	const char *todo; /* NULL: nothing */
	struct slice text;
};

/* Is the update offered with an action that changes the computer? */
static bool gets_it(const struct explain *x)
{
	if (!x->v.offered)
		return false;
	return x->eff.implied ? strcmp(x->eff.action, "Bundle") == 0 && x->parent_gets : installs(x->eff.d.action) && !x->eff.d.waiting;
}

static bool is_block(const struct explain *x)
{
	return !x->eff.implied && x->eff.d.action == ACT_BLOCK;
}

static struct verdict not_offered(struct explain *x)
{
	struct arena *a = &x->c->arena;
	if (!(x->r.flags & REV_PUBLISHED))
		return (struct verdict){"unpublished", "wait for the synchronization or import to end", SL("it is not published yet")};
	if (x->u.declined)
		return (struct verdict){"declined", "take that back with `wsusctl undecline`, then approve it", SL("it is declined")};
	if (x->v.chosen && x->v.chosen != x->r.id)
		return (struct verdict){"other-revision", "ask without the revision", SL("another revision of it is offered")};
	if (is_block(x))
		return (struct verdict){"blocked", "take the block back with `wsusctl unapprove`",
			arena_printf(a, "it is blocked for %.*s", SLF(group_name(x, x->eff.d.group)))};
	if (!x->v.alive)
		return (struct verdict){"incomplete", "synchronize, or import what is missing", SL("a part of it is not here")};
	if (!x->v.selected)
		return (struct verdict){x->r.flags & REV_EXPIRED ? "expired" : "unapproved", "approve it for a group of the computer",
			x->r.flags & REV_EXPIRED ? SL("it has expired and is not approved for it") : SL("it is not approved for it")};
	if (x->v.driver)
		return (struct verdict){"driver", NULL, SL("drivers are not offered yet")};
	if (!x->scanned)
		return (struct verdict){"not-scanned", "let it scan: `usoclient StartInteractiveScan`, or `wuauclt /detectnow`",
			SL("no scan of the computer ended yet, so that its prerequisites are not known")};
	return (struct verdict){"prerequisite", "nothing, if the computer is not of the kind; else install what is missing first",
		arena_printf(a, "it lacks the prerequisite %.*s", SLF(x->missing))};
}

static struct verdict only_looked_at(struct explain *x)
{
	static const struct {
		uint32_t bit;
		const char *code, *todo, *text;
	} waits[] = {
		{WAIT_FILES, "waits-files", "`wsusctl content status` tells what is missing", "its approval waits for files"},
		{WAIT_EULA, "waits-licence", "accept them with `wsusctl eula accept`", "its approval waits for its licence terms to be accepted"},
		{WAIT_GOLIVE, "waits-begin", NULL, "its approval has not begun"},
	};
	for (unsigned i = 0; !x->eff.implied && i < COUNTOF(waits); i++)
		if (x->eff.d.waiting & waits[i].bit)
			return (struct verdict){waits[i].code, waits[i].todo, slice_of(waits[i].text)};
	if (!x->eff.implied)
		return (struct verdict){"detection", "approve it for installation", SL("it is approved for detection only")};
	if (x->r.type == TYPE_CATEGORY || x->r.type == TYPE_DETECTOID)
		return (struct verdict){"no-update", NULL, SL("it is none that can be installed: computers evaluate it for others")};
	if (x->parent.p)
		return (struct verdict){"bundle-unapproved", "approve the bundle",
			arena_printf(&x->c->arena, "it is a part of \"%.*s\", which is not approved for it", SLF(x->parent))};
	return (struct verdict){"unapproved", "approve it for a group of the computer",
		SL("it is not approved for it: the computer only looks whether it needs it")};
}

static struct slice how_it_comes(struct explain *x)
{
	struct arena *a = &x->c->arena;
	if (x->eff.implied)
		return arena_printf(a, "as a part of \"%.*s\"", SLF(x->parent));
	return arena_printf(a, "%s is approved for %.*s", short_actions[x->eff.d.action], SLF(group_name(x, x->eff.d.group)));
}

static struct verdict it_gets(struct explain *x)
{
	struct arena *a = &x->c->arena;
	struct slice how = how_it_comes(x);
	enum update_status s = x->status.status;
	if (s == STATUS_INSTALLED)
		return (struct verdict){"installed", NULL, arena_printf(a, "%.*s, and it is installed", SLF(how))};
	if (s == STATUS_FAILED)
		return (struct verdict){"failed", "`wsusctl report computer` shows what it did",
			arena_printf(a, "%.*s, but its installation failed: %.*s", SLF(how), SLF(error_text(a, x->status.hresult)))};
	if (s == STATUS_PENDING_REBOOT)
		return (struct verdict){"restart", "restart the computer", arena_printf(a, "%.*s, and it waits for a restart", SLF(how))};
	if (s != STATUS_NOT_APPLICABLE || x->l.s.status_at < x->eff.changed)
		return (struct verdict){"gets", NULL, how}; /* it has not looked since */
	if (x->newer.p)
		return (struct verdict){"superseded", NULL, arena_printf(a, "%.*s, but it %s \"%.*s\", which supersedes it", SLF(how),
			x->newer_installed ? "has" : "needs", SLF(x->newer))};
	return (struct verdict){"not-applicable", NULL, arena_printf(a, "%.*s, but it found that it does not need it", SLF(how))};
}

static struct verdict verdict_of(struct explain *x)
{
	return !x->v.offered ? not_offered(x) : gets_it(x) ? it_gets(x) : only_looked_at(x);
}

static void put_head(struct explain *x, const struct verdict *v, struct slice sentence)
{
	char id[GUID_TEXT + 1];
	struct out *o = &x->c->out;
	guid_text(&x->r.update, id);
	out_field_text(o, "verdict", "Verdict", sentence);
	out_field_text(o, "code", "Code", slice_of(v->code));
	out_field_text(o, "todo", "To do", v->todo ? slice_of(v->todo) : SL0);
	out_field_number(o, "gets", "Gets it", CELL_BOOL, gets_it(x));
	out_field_number(o, "offered", "Offered", CELL_BOOL, x->v.offered);
	out_field_text(o, "action", "Action", x->v.offered ? slice_of(x->eff.action) : SL0);
	out_field_text(o, "computer", "Computer", x->l.k.id);
	out_field_text(o, "name", "Name", x->name);
	out_field_text(o, "update", "Update", copy(x, slice_of(id)));
	out_field_number(o, "revision", "Revision", CELL_NUMBER, x->r.number);
	out_field_number(o, "revision_id", "RevisionID", CELL_NUMBER, x->r.id);
	out_field_text(o, "title", "Title", x->r.title);
}

/* The reasons find out what the sentence on top needs, so that they are written first and printed below it. */
static int explain(struct explain *x)
{
	struct ctl *c = x->c;
	struct search w = {.x = x};
	int rc = find_selected(x, &w);
	if (rc == E_OK)
		rc = revision_each(c->txn, 1, 0, look_at, &w, &c->err);
	if (rc == E_OK)
		rc = find_parent(x, &w);
	if (rc != E_OK)
		return rc;
	out_object_begin(&c->out);
	out_sub_begin(&c->out, "reasons", "Reasons", reason_columns, COUNTOF(reason_columns));
	rc = reasons(x, &w);
	out_sub_end(&c->out);
	if (rc != E_OK)
		return rc;
	struct verdict v = verdict_of(x);
	struct slice sentence = arena_printf(&c->arena, "%.*s %s: %.*s", SLF(x->name), gets_it(x) ? "gets it" : "does not get it", SLF(v.text));
	ctl_say(c, "%.*s", SLF(sentence));
	if (v.todo)
		ctl_say(c, "To do: %s", v.todo);
	if (c->json)
		put_head(x, &v, sentence);
	out_object_end(&c->out);
	return E_OK;
}

static int run_explain(struct ctl *c)
{
	struct explain x = {.c = c, .scan = scan_new()};
	if (!x.scan)
		return err_set(&c->err, E_NOMEM, "out of memory");
	int rc = find_computer(&x);
	if (rc == E_OK)
		rc = find_revision(&x);
	if (rc == E_OK)
		rc = scan_bind(x.scan, c->txn, &x.f.settings, &c->err);
	if (rc == E_OK)
		rc = judge(&x);
	if (rc == E_OK)
		rc = find_status(&x);
	if (rc == E_OK)
		rc = explain(&x);
	scan_free(&x.scan);
	return rc;
}

const struct command explain_commands[] = {
	{"explain", NULL, "COMPUTER UPDATE", "why a computer gets an update, or does not", 2, 2, NEED_READ, NULL, run_explain, NULL,
		"The first line is what a scan of the computer answers, with what it last called installed; below it every reason, in order."},
	{0},
};
