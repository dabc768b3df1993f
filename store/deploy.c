/* deploy.c -- approvals: explicit deployments per (update, group), what they wait for, declining, EULAs.
 *
 * A row is never removed: a tombstone keeps the DeploymentID for the next approval of the same revision in
 * the same group, because clients keep the id for years. */
#include "common/buf.h"
#include "common/text.h"
#include "store/db.h"
#include "store/publish.h"
#include "store/replica.h"

const char *const action_names[ACT__N] = {
	[ACT_INSTALL] = "Install",
	[ACT_UNINSTALL] = "Uninstall",
	[ACT_PREDEPLOYMENT_CHECK] = "PreDeploymentCheck",
	[ACT_BLOCK] = "Block",
	[ACT_OPTIONAL_INSTALL] = "OptionalInstall",
};

#define ADMIN_KEPT 255
#define DEPLOYMENT_RECORD 512

static struct slice admin_kept(struct slice admin)
{
	return (struct slice){admin.p ? admin.p : "", MIN(admin.n, ADMIN_KEPT)};
}

/* ================= rows ================= */

static int deployment_decode(uint32_t group, int32_t revision, struct slice value, struct deployment *out)
{
	struct rec r = rec_of(value, 1);
	*out = (struct deployment){.group = group, .revision = revision};
	out->id = rec_u32(&r);
	uint8_t action = rec_u8(&r), priority = rec_u8(&r);
	out->assigned = rec_u8(&r) != 0;
	out->dead = rec_u8(&r) != 0;
	out->waiting = rec_u8(&r);
	out->missing_files = rec_u32(&r);
	out->missing_bytes = rec_u64(&r);
	out->deadline = (tick_t)rec_u64(&r);
	out->go_live = (tick_t)rec_u64(&r);
	out->changed = (tick_t)rec_u64(&r);
	out->epoch = rec_u32(&r);
	out->admin = rec_str(&r);
	if (action >= ACT__N || priority > PRIO_LOW)
		return E_CORRUPT;
	out->action = (enum action)action;
	out->priority = (enum priority)priority;
	return rec_end(&r);
}

static int deployment_write(struct txn *t, const struct deployment *d, struct err *e)
{
	struct buf b;
	rec_begin(&b, 1, DEPLOYMENT_RECORD);
	rec_put_u32(&b, d->id);
	buf_char(&b, (char)d->action);
	buf_char(&b, (char)d->priority);
	buf_char(&b, d->assigned);
	buf_char(&b, d->dead);
	buf_char(&b, (char)d->waiting);
	rec_put_u32(&b, d->missing_files);
	rec_put_u64(&b, d->missing_bytes);
	rec_put_u64(&b, (uint64_t)d->deadline);
	rec_put_u64(&b, (uint64_t)d->go_live);
	rec_put_u64(&b, (uint64_t)d->changed);
	rec_put_u32(&b, d->epoch);
	rec_put_str(&b, admin_kept(d->admin));
	struct key k = key_u32_u32(d->group, (uint32_t)d->revision);
	return db_put_rec(t, DB_DEPLOY, key_bytes(&k), &b, e);
}

int deployment_put(struct txn *t, const struct deployment *d, struct err *e)
{
	struct key k = key_u32_u32(d->group, (uint32_t)d->revision);
	struct key reverse = key_u32_u32((uint32_t)d->revision, d->group);
	int rc = deployment_write(t, d, e);
	if (rc == E_OK)
		rc = db_put(t, DB_DEPLOY_REV, key_bytes(&reverse), SL(""), e);
	if (rc == E_OK && d->waiting && !d->dead)
		return db_put(t, DB_WAITING, key_bytes(&k), SL(""), e);
	return rc == E_OK ? db_del(t, DB_WAITING, key_bytes(&k), e) : rc;
}

int deployment_get(struct txn *t, uint32_t group, int32_t revision, struct deployment *out)
{
	struct key k = key_u32_u32(group, (uint32_t)revision);
	struct slice v;
	int rc = db_get(t, DB_DEPLOY, key_bytes(&k), &v);
	return rc == E_OK ? deployment_decode(group, revision, v, out) : rc;
}

struct each_deployment {
	struct txn *t;
	int (*fn)(const struct deployment *, void *);
	void *arg;
	struct err *e;
};

static int unreadable(struct err *e)
{
	return err_set(e, E_CORRUPT, "the record of a deployment cannot be read");
}

static int each_of_revision(struct slice key, struct slice value, void *arg)
{
	(void)value;
	struct each_deployment *w = arg;
	struct deployment d;
	if (key.n != 8 || deployment_get(w->t, get_be32(key.p + 4), (int32_t)get_be32(key.p), &d) != E_OK)
		return unreadable(w->e);
	return w->fn(&d, w->arg);
}

int deployment_each(struct txn *t, int32_t revision, int (*fn)(const struct deployment *, void *), void *arg,
	struct err *e)
{
	struct each_deployment w = {t, fn, arg, e};
	struct key k = key_u32((uint32_t)revision);
	return db_each(t, DB_DEPLOY_REV, key_bytes(&k), each_of_revision, &w, e);
}

static int each_of_group(struct slice key, struct slice value, void *arg)
{
	struct each_deployment *w = arg;
	struct deployment d;
	if (key.n != 8 || deployment_decode(get_be32(key.p), (int32_t)get_be32(key.p + 4), value, &d) != E_OK)
		return unreadable(w->e);
	return w->fn(&d, w->arg);
}

int deployment_each_of_group(struct txn *t, uint32_t group, int (*fn)(const struct deployment *, void *), void *arg,
	struct err *e)
{
	struct each_deployment w = {t, fn, arg, e};
	struct key k = key_u32(group);
	return db_each(t, DB_DEPLOY, group ? key_bytes(&k) : SL(""), each_of_group, &w, e);
}

/* ---- lists of rows that are about to be written ---- */

struct deployments {
	struct arena *a;
	struct deployment *v;
	size_t n, cap;
};

static int add_live(const struct deployment *d, void *arg)
{
	struct deployments *w = arg;
	if (d->dead)
		return E_OK;
	struct deployment *v = ARENA_MORE(w->a, w->v, w->n, &w->cap);
	if (!v)
		return E_NOMEM;
	w->v = v;
	w->v[w->n] = *d;
	w->v[w->n].admin = arena_copy(w->a, d->admin);
	return w->v[w->n++].admin.p ? E_OK : E_NOMEM;
}

/* ================= what a deployment waits for ================= */

/* A set of short keys of one width, open addressing; lives in an arena. */
struct set {
	struct arena *a;
	uint8_t *key, *used;
	size_t width, n, cap;
};

static size_t slot_of(const struct set *s, const uint8_t *key)
{
	uint32_t h;
	memcpy(&h, key, sizeof(h)); /* digests are spread already; ids are by the multiplication */
	size_t at = (size_t)(h * 2654435769u) & (s->cap - 1);
	while (s->used[at] && memcmp(s->key + at * s->width, key, s->width) != 0)
		at = (at + 1) & (s->cap - 1);
	return at;
}

static bool set_room(struct set *s)
{
	if (s->n * 2 < s->cap)
		return true;
	struct set old = *s;
	s->cap = old.cap ? old.cap * 4 : 64;
	s->key = ARENA_ARRAY(s->a, uint8_t, s->cap * s->width);
	s->used = ARENA_ARRAY(s->a, uint8_t, s->cap);
	if (!s->key || !s->used)
		return false;
	for (size_t i = 0; i < old.cap; i++) {
		if (!old.used[i])
			continue;
		size_t at = slot_of(s, old.key + i * s->width);
		memcpy(s->key + at * s->width, old.key + i * s->width, s->width);
		s->used[at] = 1;
	}
	return true;
}

/* *fresh: it was not in the set. */
static int set_add(struct set *s, const void *key, bool *fresh)
{
	if (!set_room(s))
		return E_NOMEM;
	size_t at = slot_of(s, key);
	*fresh = !s->used[at];
	if (*fresh) {
		memcpy(s->key + at * s->width, key, s->width);
		s->used[at] = 1;
		s->n++;
	}
	return E_OK;
}

#define JUDGE_MEMORY ((size_t)64 << 20)
#define JUDGE_REVISIONS 4096 /* of a bundle, all levels; a larger one never gets ready */

struct judge {
	struct txn *t;
	struct deployment *d;
	bool microsoft; /* clients fetch content there, if the file has a URL */
	bool express;   /* files of that kind are fetched (WSUSSS-DSS-CONTENT-03) */
	struct arena arena;
	struct set seen, files;
	int32_t *queue; /* every revision of the bundle, once */
	size_t n;
	struct err *e;
};

static int judge_enter(struct judge *j, int32_t id)
{
	bool fresh;
	int rc = set_add(&j->seen, &id, &fresh);
	if (rc == E_OK && fresh && j->n == JUDGE_REVISIONS)
		j->d->waiting |= WAIT_FILES;
	else if (rc == E_OK && fresh)
		j->queue[j->n++] = id;
	return rc;
}

static int judge_member(const struct relation *m, void *arg)
{
	struct judge *j = arg;
	int32_t id;
	if (member_find(j->t, m, &id) == E_OK)
		return judge_enter(j, id);
	if (!j->microsoft)
		j->d->waiting |= WAIT_FILES; /* it may bring files when it comes */
	return E_OK;
}

/* EULA files hold nothing back: an administrator accepts, clients do not show them (POPULATE-34).  With
 * content at the vendor's no file does: it was there before the metadata came.  An express file that is never fetched is
 * one that computers do without. */
static int judge_file(const struct revision_file *rf, void *arg)
{
	struct judge *j = arg;
	struct file f = {0};
	bool fresh = false;
	int rc = rf->eula || j->microsoft ? E_OK : set_add(&j->files, &rf->digest, &fresh);
	if (rc != E_OK || !fresh)
		return rc;
	if (file_get(j->t, &rf->digest, &f, NULL) == E_OK && (f.stored || (f.express && !j->express)))
		return E_OK;
	j->d->waiting |= WAIT_FILES;
	j->d->missing_files++;
	j->d->missing_bytes += f.size;
	return E_OK;
}

static int judge_revision(struct judge *j, int32_t id)
{
	struct revision v;
	int rc = revision_get(j->t, id, &v, j->e);
	if (rc != E_OK)
		return rc;
	if (!guid_is_zero(&v.eula) && !eula_accepted(j->t, &v.eula))
		j->d->waiting |= WAIT_EULA;
	rc = revision_files_each(j->t, id, judge_file, j, j->e);
	return rc == E_OK ? members_each(j->t, id, judge_member, j, j->e) : rc;
}

static int judge_bundle(struct judge *j)
{
	j->queue = ARENA_ARRAY(&j->arena, int32_t, JUDGE_REVISIONS);
	int rc = j->queue ? judge_enter(j, j->d->revision) : E_NOMEM;
	for (size_t i = 0; rc == E_OK && i < j->n; i++)
		rc = judge_revision(j, j->queue[i]);
	return rc == E_NOMEM ? err_set(j->e, E_NOMEM, "out of memory for the files of a bundle") : rc;
}

int deployment_judge(struct txn *t, struct deployment *d, tick_t now, struct err *e)
{
	struct settings set;
	int rc = settings_get(t, &set, e);
	d->waiting = 0;
	d->missing_files = 0;
	d->missing_bytes = 0;
	if (rc != E_OK || d->dead)
		return rc;
	if (d->go_live > now)
		d->waiting |= WAIT_GOLIVE;
	if (d->action != ACT_INSTALL && d->action != ACT_OPTIONAL_INSTALL)
		return E_OK;
	struct judge j = {.t = t, .d = d, .microsoft = set.content_store == CONTENT_MICROSOFT, .express = set.content_express,
		.e = e};
	arena_init(&j.arena, JUDGE_MEMORY);
	j.seen = (struct set){.a = &j.arena, .width = sizeof(int32_t)};
	j.files = (struct set){.a = &j.arena, .width = sizeof(struct sha1)};
	rc = judge_bundle(&j);
	arena_free(&j.arena);
	return rc;
}

/* ================= approving ================= */

/* LastChangeTime differs after every change, whatever the clock does (ADM-14). */
static tick_t later_than(tick_t before, tick_t now)
{
	return now > before ? now : before + 1;
}

int deployment_end(struct txn *t, struct deployment *d, tick_t now, struct err *e)
{
	d->dead = true;
	d->waiting = 0;
	d->missing_files = 0;
	d->missing_bytes = 0;
	d->changed = later_than(d->changed, now);
	int rc = deployment_put(t, d, e);
	return rc == E_OK ? publish_touch(t, d->group, d->revision, e) : rc;
}

static int end_all(struct txn *t, const struct deployments *w, struct slice admin, struct err *e)
{
	int rc = E_OK;
	tick_t now = time_now();
	for (size_t i = 0; rc == E_OK && i < w->n; i++) {
		if (admin.p)
			w->v[i].admin = admin;
		rc = deployment_end(t, &w->v[i], now, e);
	}
	return rc;
}

int deployments_end_of_group(struct txn *t, uint32_t group, struct err *e)
{
	struct deployments w = {.a = txn_arena(t)};
	int rc = deployment_each_of_group(t, group, add_live, &w, e);
	if (rc == E_NOMEM)
		return err_set(e, E_NOMEM, "out of memory for the approvals of a group");
	return rc == E_OK ? end_all(t, &w, SL0, e) : rc;
}

static int check_approval(struct txn *t, const struct approval *a, struct revision *v, struct err *e)
{
	struct update u;
	struct group g;
	char id[GUID_TEXT + 1];
	int rc = revision_get(t, a->revision, v, e);
	if (rc == E_OK)
		rc = update_get(t, v->update_no, &u, e);
	if (rc == E_OK)
		rc = group_get(t, a->group, &g, e);
	if (rc != E_OK)
		return rc;
	guid_text(&v->update, id);
	if (v->flags & REV_REMOVED)
		return err_set(e, E_REFUSED, "revision %d of update %s was removed; import it again", (int)v->number, id);
	if (u.declined)
		return err_set(e, E_REFUSED, "update %s is declined; to approve it, first: wsusctl undecline %s", id, id);
	if (a->action >= ACT__N || a->priority > PRIO_LOW)
		return err_set(e, E_FORM, "no such action or priority");
	if (a->deadline < 0 || a->deadline > TICK_MAX_YEAR9999 || a->go_live < 0 || a->go_live > TICK_MAX_YEAR9999)
		return err_set(e, E_FORM, "a deadline or go-live time lies between 1970 and 9999");
	return E_OK;
}

static bool same_approval(const struct deployment *d, const struct approval *a)
{
	return !d->dead && d->action == a->action && d->priority == a->priority && d->assigned == a->assigned &&
	       d->deadline == a->deadline && d->go_live == a->go_live;
}

/* The live deployment of an update in a group but that of one revision (0: none is left out), if there is one. */
static int find_live(struct txn *t, uint32_t update_no, uint32_t group, int32_t but, struct deployment *out, struct err *e)
{
	int32_t *ids;
	size_t n;
	int rc = revisions_of(t, update_no, &ids, &n, e);
	if (rc != E_OK)
		return rc;
	for (size_t i = 0; i < n; i++) {
		rc = deployment_get(t, group, ids[i], out);
		if (rc != E_OK && rc != E_NOTFOUND)
			return unreadable(e);
		if (rc == E_OK && !out->dead && ids[i] != but)
			return E_OK;
	}
	return err_set(e, E_NOTFOUND, "the update is not approved for this group");
}

static int end_other(struct txn *t, const struct revision *v, uint32_t group, tick_t now, struct err *e)
{
	struct deployment d;
	int rc = E_OK;
	while (rc == E_OK) { /* one, but where a replica was and had several from the server above */
		rc = find_live(t, v->update_no, group, v->id, &d, e);
		if (rc == E_OK)
			rc = deployment_end(t, &d, now, e);
	}
	return rc == E_NOTFOUND ? E_OK : rc;
}

static int approve_write(struct txn *t, const struct approval *a, const struct revision *v, struct deployment *d,
	struct err *e)
{
	tick_t now = time_now();
	int rc = end_other(t, v, a->group, now, e);
	if (rc == E_OK && d->id == 0)
		rc = counter_next(t, COUNT_DEPLOYMENT, &d->id, e);
	d->action = a->action;
	d->priority = a->priority;
	d->assigned = a->assigned;
	d->dead = false;
	d->deadline = a->deadline;
	d->go_live = a->go_live;
	d->changed = later_than(d->changed, now);
	d->admin = admin_kept(a->admin);
	if (rc == E_OK)
		rc = deployment_judge(t, d, now, e);
	if (rc == E_OK)
		rc = deployment_put(t, d, e);
	if (rc == E_OK)
		rc = publish_touch(t, d->group, d->revision, e);
	return rc;
}

int approve(struct txn *t, const struct approval *a, struct err *e)
{
	struct revision v;
	struct deployment d;
	int rc = policy_is_local(t, "to approve", e);
	if (rc == E_OK)
		rc = check_approval(t, a, &v, e);
	if (rc != E_OK)
		return rc;
	rc = deployment_get(t, a->group, a->revision, &d);
	if (rc == E_OK && same_approval(&d, a))
		return E_OK;
	if (rc == E_NOTFOUND)
		d = (struct deployment){.group = a->group, .revision = a->revision};
	else if (rc != E_OK)
		return unreadable(e);
	rc = approve_write(t, a, &v, &d, e);
	return rc == E_OK ? rc : txn_fail(t, rc, e);
}

int unapprove(struct txn *t, uint32_t update_no, uint32_t group, struct slice admin, struct err *e)
{
	struct deployment d;
	int rc = policy_is_local(t, "to take approvals back", e);
	if (rc == E_OK)
		rc = find_live(t, update_no, group, 0, &d, e);
	if (rc != E_OK)
		return rc;
	while (rc == E_OK) {
		d.admin = admin_kept(admin);
		rc = deployment_end(t, &d, time_now(), e);
		if (rc == E_OK)
			rc = find_live(t, update_no, group, 0, &d, e);
	}
	return rc == E_NOTFOUND ? E_OK : txn_fail(t, rc, e);
}

/* ---- when files may have gone ---- */

static int add_effective(const struct deployment *d, void *arg)
{
	return d->waiting ? E_OK : add_live(d, arg);
}

/* publish() judges what waits; this finds what does not wait any more and should. */
int deployments_rejudge(struct txn *t, struct err *e)
{
	struct deployments w = {.a = txn_arena(t)};
	tick_t now = time_now();
	int rc = deployment_each_of_group(t, 0, add_effective, &w, e);
	if (rc == E_NOMEM)
		return err_set(e, E_NOMEM, "out of memory for the deployments");
	for (size_t i = 0; rc == E_OK && i < w.n; i++) {
		struct deployment *d = &w.v[i];
		rc = deployment_judge(t, d, now, e);
		if (rc != E_OK || d->waiting == 0)
			continue;
		d->changed = later_than(d->changed, now);
		rc = deployment_put(t, d, e);
		if (rc == E_OK)
			rc = publish_touch(t, d->group, d->revision, e);
	}
	return rc;
}

/* ================= declining ================= */

static int end_of_update(struct txn *t, uint32_t update_no, struct slice admin, struct err *e)
{
	struct deployments w = {.a = txn_arena(t)};
	int32_t *ids;
	size_t n;
	int rc = revisions_of(t, update_no, &ids, &n, e);
	for (size_t i = 0; rc == E_OK && i < n; i++)
		rc = deployment_each(t, ids[i], add_live, &w, e);
	if (rc == E_NOMEM)
		return err_set(e, E_NOMEM, "out of memory for the approvals of an update");
	return rc == E_OK ? end_all(t, &w, admin, e) : rc;
}

static int decline_write(struct txn *t, struct update *u, struct err *e)
{
	int rc = update_put(t, u, e);
	if (rc == E_OK && u->declined)
		rc = end_of_update(t, u->no, u->declined_by, e);
	return rc == E_OK ? publish_dirty(t, e) : rc;
}

int update_decline(struct txn *t, uint32_t update_no, bool declined, struct slice admin, struct err *e)
{
	struct update u;
	int rc = policy_is_local(t, declined ? "to decline" : "to take declines back", e);
	if (rc == E_OK)
		rc = update_get(t, update_no, &u, e);
	if (rc != E_OK || u.declined == declined)
		return rc;
	u.declined = declined;
	u.declined_at = time_now();
	u.declined_by = admin_kept(admin);
	rc = decline_write(t, &u, e);
	return rc == E_OK ? rc : txn_fail(t, rc, e);
}

/* ================= EULAs ================= */

bool eula_accepted(struct txn *t, const struct guid *eula)
{
	struct key k = key_guid(eula);
	struct slice v;
	return db_get(t, DB_EULA, key_bytes(&k), &v) == E_OK;
}

int eula_accept(struct txn *t, const struct guid *eula, struct slice admin, struct err *e)
{
	struct buf b;
	struct key k = key_guid(eula);
	if (guid_is_zero(eula))
		return err_set(e, E_FORM, "the update has no EULA");
	int rc = policy_is_local(t, "to accept licences", e);
	if (rc != E_OK || eula_accepted(t, eula))
		return rc;
	rec_begin(&b, 1, DEPLOYMENT_RECORD);
	rec_put_u64(&b, (uint64_t)time_now());
	rec_put_str(&b, admin_kept(admin));
	return db_put_rec(t, DB_EULA, key_bytes(&k), &b, e);
}
