/* fact.c -- what policy makes of each update, see fact.h.
 *
 *  array  ARRAY_FACT, UpdateNo / BLOCK  -> uint16 of BLOCK updates
 *  meta   "facts"                       -> v1 | how many updates have what, in the order of counted[]
 *
 * A block is a row that shares its page, so that one approval writes no more than that page and the record of the counters.
 * publish() calls for what it touched; what changes facts without touching what clients see leaves a note (PENDING_FACT) and
 * takes part in the next publish, at the latest that of the minute. */
#include "store/fact.h"


#include "common/text.h"
#include "store/index.h"
#include "store/parent.h"
#include "store/publish.h"
#include "store/report_parts.h"

const char *const server_count_names[SERVER_COUNT__N] = {
	[COUNT_UPDATES] = "UpdateCount",
	[COUNT_DECLINED] = "DeclinedUpdateCount",
	[COUNT_APPROVED] = "ApprovedUpdateCount",
	[COUNT_NOT_APPROVED] = "NotApprovedUpdateCount",
	[COUNT_STALE_APPROVALS] = "UpdatesWithStaleUpdateApprovalsCount",
	[COUNT_EXPIRED] = "ExpiredUpdateCount",
	[COUNT_CRITICAL_NOT_APPROVED] = "CriticalOrSecurityUpdatesNotApprovedForInstallCount",
	[COUNT_INFRASTRUCTURE_NOT_APPROVED] = "WsusInfrastructureUpdatesNotApprovedForInstallCount",
	[COUNT_CLIENT_ERRORS] = "UpdatesWithClientErrorsCount",
	[COUNT_SERVER_ERRORS] = "UpdatesWithServerErrorsCount",
	[COUNT_NEEDING_FILES] = "UpdatesNeedingFilesCount",
	[COUNT_NEEDED] = "UpdatesNeededByComputersCount",
	[COUNT_UP_TO_DATE] = "UpdatesUpToDateCount",
	[COUNT_CUSTOM_GROUPS] = "CustomComputerTargetGroupCount",
	[COUNT_COMPUTERS] = "ComputerTargetCount",
	[COUNT_COMPUTERS_NEEDING] = "ComputerTargetsNeedingUpdatesCount",
	[COUNT_COMPUTERS_FAILED] = "ComputerTargetsWithUpdateErrorsCount",
	[COUNT_COMPUTERS_UP_TO_DATE] = "ComputersUpToDateCount",
};

/* ================= what is kept ================= */

#define BLOCK 1000u /* 2,000 bytes: two rows in a page */

/* An update counts where it has all of `is` and nothing of `not`. */
static const struct {
	enum server_count count;
	uint32_t is, not;
} counted[] = {
	{COUNT_UPDATES, FACT_UPDATE, 0},
	{COUNT_DECLINED, FACT_DECLINED, 0},
	{COUNT_APPROVED, FACT_APPROVED, FACT_DECLINED},
	{COUNT_NOT_APPROVED, FACT_UPDATE, FACT_DECLINED | FACT_APPROVED},
	{COUNT_STALE_APPROVALS, FACT_STALE, FACT_DECLINED},
	{COUNT_EXPIRED, FACT_EXPIRED, 0},
	{COUNT_CRITICAL_NOT_APPROVED, FACT_CRITICAL, FACT_DECLINED | FACT_INSTALL},
	{COUNT_INFRASTRUCTURE_NOT_APPROVED, FACT_INFRASTRUCTURE, FACT_DECLINED | FACT_INSTALL},
	{COUNT_SERVER_ERRORS, FACT_SERVER_ERROR, 0},
	{COUNT_NEEDING_FILES, FACT_NEEDS_FILES, 0},
};

struct counters {
	uint32_t n[COUNTOF(counted)];
};

static void count(struct counters *c, uint32_t facts, uint32_t by)
{
	for (size_t i = 0; i < COUNTOF(counted); i++)
		if ((facts & counted[i].is) == counted[i].is && !(facts & counted[i].not))
			c->n[i] += by;
}

#define FACTS SL("facts")

static int counters_get(struct txn *t, struct counters *c, struct err *e)
{
	struct slice v;
	*c = (struct counters){{0}};
	int rc = db_get(t, DB_META, FACTS, &v);
	if (rc == E_NOTFOUND)
		return E_OK;
	struct rec r = rec_of(rc == E_OK ? v : SL0, 1);
	for (size_t i = 0; i < COUNTOF(c->n); i++)
		c->n[i] = rec_u32(&r);
	return rec_end(&r) == E_OK ? E_OK : err_set(e, E_CORRUPT, "the counters of updates cannot be read");
}

static int counters_put(struct txn *t, const struct counters *c, struct err *e)
{
	struct buf b;
	rec_begin(&b, 1, LIMIT_RECORD);
	for (size_t i = 0; i < COUNTOF(c->n); i++)
		rec_put_u32(&b, c->n[i]);
	return db_put_rec(t, DB_META, FACTS, &b, e);
}

struct block {
	uint32_t no;
	uint16_t v[BLOCK];
};

static int block_get(struct txn *t, uint32_t no, struct block *b)
{
	struct slice c;
	*b = (struct block){.no = no};
	int rc = array_chunk(t, ARRAY_FACT, no, 0, &c);
	if (rc == E_NOTFOUND)
		return E_OK;
	if (rc == E_OK && c.n != sizeof(b->v))
		rc = E_CORRUPT;
	if (rc == E_OK)
		memcpy(b->v, c.p, sizeof(b->v));
	return rc;
}

int fact_get(struct txn *t, uint32_t update_no, uint32_t *facts)
{
	struct slice c;
	uint16_t v;
	*facts = 0;
	if (update_no == 0 || update_no > counter_last(t, COUNT_UPDATE))
		return E_NOTFOUND;
	int rc = array_chunk(t, ARRAY_FACT, update_no / BLOCK, 0, &c);
	if (rc != E_OK)
		return rc == E_NOTFOUND ? E_OK : rc;
	if (c.n != BLOCK * sizeof(v))
		return E_CORRUPT;
	memcpy(&v, c.p + update_no % BLOCK * sizeof(v), sizeof(v));
	*facts = v;
	return E_OK;
}

static int unreadable(struct err *e)
{
	return err_set(e, E_CORRUPT, "the facts of updates cannot be read");
}

int fact_each(struct txn *t, int (*fn)(uint32_t update_no, uint32_t facts, void *), void *arg, struct err *e)
{
	struct block b;
	uint32_t last = counter_last(t, COUNT_UPDATE);
	int rc = E_OK;
	for (uint32_t no = 0; rc == E_OK && no <= last / BLOCK; no++) {
		if (block_get(t, no, &b) != E_OK)
			return unreadable(e);
		for (uint32_t i = 0; rc == E_OK && i < BLOCK; i++)
			if (b.v[i])
				rc = fn(no * BLOCK + i, b.v[i], arg);
	}
	return rc;
}

/* ================= one update from its rows ================= */

#define FACT_MEMORY ((size_t)64 << 20)
#define READ_BATCH 256 /* updates read before the transaction's arena is emptied of what reading left in it */

struct look {
	struct txn *t;
	struct err *e;
	struct arena arena, lent;
	uint32_t serious[2];   /* UpdateNos of the classifications, 0: nobody named it yet */
	bool files;            /* can files say anything at all? */
	bool all, express;     /* content.download, content.express */
	uint64_t *seen;        /* by RevisionID, of queue */
	int32_t *queue, last;  /* revisions of the update and of all bundles below them */
	size_t n;
	uint32_t facts;
	bool top, live;        /* at its highest revision; it has a deployment */
};

/* Critical Updates, Security Updates. */
static const char *const serious_ids[] = {"e6cf1350-c01b-414d-a61f-263d14d133b4", "0fa1201d-4330-4fa8-8ae9-b877473b6441"};

static int look_begin(struct look *l, struct txn *t, struct err *e)
{
	struct settings set;
	uint64_t fetches;
	*l = (struct look){.t = t, .e = e, .last = (int32_t)counter_last(t, COUNT_REVISION), .lent = *txn_arena(t)};
	arena_init(txn_arena(t), l->lent.cap);
	arena_init(&l->arena, FACT_MEMORY);
	for (size_t i = 0; i < COUNTOF(serious_ids); i++) {
		struct guid id;
		if (!text_guid(slice_of(serious_ids[i]), &id) || update_find(t, &id, &l->serious[i]) != E_OK)
			l->serious[i] = 0;
	}
	int rc = settings_get(t, &set, e);
	if (rc == E_OK)
		rc = db_count(t, DB_FETCH, &fetches, e);
	if (rc != E_OK || set.content_store == CONTENT_MICROSOFT)
		return rc;
	l->all = set.content_download == DOWNLOAD_ALL;
	l->express = set.content_express;
	l->files = l->all || fetches > 0;
	if (!l->files)
		return rc;
	l->seen = ARENA_ARRAY(&l->arena, uint64_t, bit_words((size_t)l->last + 1));
	l->queue = ARENA_ARRAY(&l->arena, int32_t, (size_t)l->last + 1);
	return l->arena.failed ? err_set(e, E_NOMEM, "out of memory for the facts of updates") : rc;
}

static void look_end(struct look *l)
{
	arena_free(&l->arena);
	arena_free(txn_arena(l->t));
	*txn_arena(l->t) = l->lent;
}

/* ---- its files ---- */

static void enter(struct look *l, int32_t id)
{
	if (!l->files || id < 1 || id > l->last || bit_test(l->seen, (uint32_t)id))
		return;
	bit_set(l->seen, (uint32_t)id);
	l->queue[l->n++] = id;
}

static int enter_member(const struct relation *m, void *arg)
{
	struct look *l = arg;
	int32_t id;
	if (member_find(l->t, m, &id) == E_OK)
		enter(l, id);
	return E_OK;
}

static int look_at_file(const struct revision_file *rf, void *arg)
{
	struct look *l = arg;
	struct fetch fetch;
	struct file f;
	bool failed = fetch_get(l->t, &rf->digest, &fetch) == E_OK && fetch.state == FETCH_FAILED;
	if (!failed && !l->all)
		return E_OK;
	int rc = file_get(l->t, &rf->digest, &f, l->e);
	if (rc != E_OK || f.stored)
		return rc;
	if (failed)
		l->facts |= FACT_SERVER_ERROR;
	if (l->all && (!f.express || l->express))
		l->facts |= FACT_NEEDS_FILES;
	return E_OK;
}

static int look_at_files(struct look *l)
{
	int rc = E_OK;
	for (size_t i = 0; rc == E_OK && i < l->n; i++) {
		rc = revision_files_each(l->t, l->queue[i], look_at_file, l, l->e);
		if (rc == E_OK)
			rc = members_each(l->t, l->queue[i], enter_member, l, l->e);
	}
	for (size_t i = 0; i < l->n; i++)
		l->seen[(uint32_t)l->queue[i] >> 6] = 0;
	l->n = 0;
	return rc;
}

/* ---- its revisions and deployments ---- */

/* One that waits is an approval as well: the administrator has decided. */
static int look_at_deployment(const struct deployment *d, void *arg)
{
	struct look *l = arg;
	if (d->dead)
		return E_OK;
	l->live = true;
	if (d->action == ACT_INSTALL || d->action == ACT_OPTIONAL_INSTALL)
		l->facts |= FACT_INSTALL | FACT_APPROVED | (l->top ? 0 : FACT_STALE);
	if (d->action == ACT_UNINSTALL)
		l->facts |= FACT_APPROVED;
	if (d->waiting & WAIT_FILES)
		l->facts |= FACT_NEEDS_FILES;
	return E_OK;
}

static int look_at_category(const struct relation *r, void *arg)
{
	struct look *l = arg;
	if (r->update_no == l->serious[0] || r->update_no == l->serious[1])
		l->facts |= FACT_CRITICAL;
	return E_OK;
}

static int look_at_revision(struct look *l, int32_t id)
{
	struct revision v;
	int rc = revision_get(l->t, id, &v, l->e);
	if (rc != E_OK || !(v.flags & REV_PUBLISHED) || v.type > TYPE_DRIVER)
		return rc;
	if (v.flags & REV_EXPLICIT)
		l->facts |= FACT_UPDATE;
	if (l->top && v.flags & REV_EXPIRED)
		l->facts |= FACT_EXPIRED;
	if (l->top && v.flags & REV_INFRASTRUCTURE)
		l->facts |= FACT_INFRASTRUCTURE;
	if (l->top)
		rc = relations_each(l->t, id, LIST_PREREQ, look_at_category, l, l->e);
	if (rc == E_OK)
		rc = deployment_each(l->t, id, look_at_deployment, l, l->e);
	enter(l, id);
	l->top = false;
	return rc;
}

/* A category, a detectoid, and what only bundles bring are none of the updates that are counted, though the Revision Table has
 * them: nobody can approve them, so they would stand among those not approved for ever. */
static int look_at(struct look *l, uint32_t no, uint16_t *facts)
{
	struct update u;
	int32_t *ids;
	size_t n;
	*facts = 0;
	int rc = update_get(l->t, no, &u, NULL);
	if (rc == E_NOTFOUND || (rc == E_OK && !u.known))
		return E_OK;
	l->facts = u.declined ? FACT_DECLINED : 0;
	l->top = true;
	l->live = false;
	if (rc == E_OK)
		rc = revisions_of(l->t, no, &ids, &n, l->e); /* the highest first */
	else
		rc = unreadable(l->e);
	for (size_t i = 0; rc == E_OK && i < n; i++)
		rc = look_at_revision(l, ids[i]);
	if (rc == E_OK)
		rc = look_at_files(l);
	if (l->live)
		l->facts &= ~FACT_EXPIRED;
	if (l->facts & FACT_UPDATE)
		*facts = (uint16_t)l->facts;
	return rc;
}

/* ================= keeping them ================= */

struct keeper {
	struct look look;
	struct counters counters;
	uint64_t *update;   /* whose facts are to be looked at: by UpdateNo */
	uint32_t updates;   /* UpdateNos below this */
	bool counters_changed;
	unsigned read;
};

static int mark_deployed(struct keeper *k, const struct fact_change *c)
{
	struct revision v;
	int rc = E_OK;
	for (size_t i = 0; rc == E_OK && i < c->ndeployed; i++) {
		rc = revision_get(k->look.t, (int32_t)c->deployed[i], &v, k->look.e);
		if (rc == E_OK && v.update_no < k->updates)
			bit_set(k->update, v.update_no);
		if (rc == E_NOTFOUND)
			rc = E_OK; /* a touch names it, and nothing else */
	}
	return rc;
}

static bool has_changed_member(const struct index *ix, const struct index_row *r, const uint64_t *changed)
{
	uint32_t n = view_u32(&ix->v[ARRAY_BUNDLE], r->bundle);
	for (uint32_t i = 1; i <= n; i++) {
		uint32_t id = view_u32(&ix->v[ARRAY_BUNDLE], r->bundle + i);
		if (id < ix->rows && bit_test(changed, id))
			return true;
	}
	return false;
}

/* Bundles above what changed change, too: a pass, and one more for each level. */
static void mark_bundles(const struct index *ix, uint64_t *changed)
{
	for (bool more = true; more;) {
		more = false;
		for (uint32_t id = 1; id < ix->rows; id++) {
			struct index_row r = index_row(ix, id);
			if (r.bundle && !bit_test(changed, id) && has_changed_member(ix, &r, changed)) {
				bit_set(changed, id);
				more = true;
			}
		}
	}
}

static int mark_changed(struct keeper *k, const struct fact_change *c)
{
	struct look *l = &k->look;
	struct index ix;
	if (c->nchanged == 0)
		return E_OK;
	int rc = index_load(l->t, &l->arena, &ix, l->e);
	uint64_t *changed = rc == E_OK ? ARENA_ARRAY(&l->arena, uint64_t, ix.words) : NULL;
	if (!changed)
		return rc == E_OK ? err_set(l->e, E_NOMEM, "out of memory for the facts of updates") : rc;
	for (size_t i = 0; i < c->nchanged; i++)
		if (c->changed[i] < ix.rows)
			bit_set(changed, c->changed[i]);
	mark_bundles(&ix, changed);
	for (uint32_t id = 1; id < ix.rows; id++)
		if (bit_test(changed, id)) {
			uint32_t no = index_row(&ix, id).update_no;
			if (no < k->updates)
				bit_set(k->update, no);
		}
	return E_OK;
}

static int keeper_begin(struct keeper *k, struct txn *t, struct err *e)
{
	int rc = look_begin(&k->look, t, e);
	if (rc == E_OK)
		rc = counters_get(t, &k->counters, e);
	k->updates = counter_last(t, COUNT_UPDATE) + 1;
	k->update = ARENA_ARRAY(&k->look.arena, uint64_t, bit_words(k->updates));
	if (rc == E_OK && !k->update)
		rc = err_set(e, E_NOMEM, "out of memory for the facts of updates");
	return rc;
}

static int keep_one(struct keeper *k, uint32_t no, uint16_t *at)
{
	uint16_t is;
	int rc = look_at(&k->look, no, &is);
	if (++k->read % READ_BATCH == 0)
		arena_reset(txn_arena(k->look.t));
	if (rc != E_OK || is == *at)
		return rc;
	count(&k->counters, *at, UINT32_MAX); /* one less */
	count(&k->counters, is, 1);
	k->counters_changed = true;
	*at = is;
	return E_OK;
}

static bool any_of(const struct keeper *k, uint32_t from, uint32_t end)
{
	while (from < end && !bit_test(k->update, from))
		from++;
	return from < end;
}

static int keep_block(struct keeper *k, uint32_t no)
{
	struct block b;
	uint32_t from = no * BLOCK, end = MIN(from + BLOCK, k->updates);
	if (!any_of(k, from, end))
		return E_OK;
	int rc = block_get(k->look.t, no, &b) == E_OK ? E_OK : unreadable(k->look.e);
	for (uint32_t i = from; rc == E_OK && i < end; i++)
		if (i != 0 && bit_test(k->update, i))
			rc = keep_one(k, i, &b.v[i - from]);
	return rc == E_OK ? array_put(k->look.t, ARRAY_FACT, no, b.v, sizeof(b.v), NULL, k->look.e) : rc;
}

int fact_publish(struct txn *t, const struct fact_change *c, struct err *e)
{
	struct keeper k = {.read = 0};
	int rc = keeper_begin(&k, t, e);
	if (rc == E_OK && c->all)
		memset(k.update, 0xff, bit_words(k.updates) * sizeof(*k.update));
	if (rc == E_OK && !c->all)
		rc = mark_deployed(&k, c);
	if (rc == E_OK && !c->all)
		rc = mark_changed(&k, c);
	for (uint32_t no = 0; rc == E_OK && no <= k.updates / BLOCK; no++)
		rc = keep_block(&k, no);
	if (rc == E_OK && k.counters_changed)
		rc = counters_put(t, &k.counters, e);
	look_end(&k.look);
	return rc;
}

int fact_migrate(struct txn *t, struct err *e)
{
	return fact_publish(t, &(struct fact_change){.all = true}, e);
}

/* ---- notes ---- */

struct noting {
	struct txn *t;
	struct err *e;
};

static int note_revision(struct slice key, struct slice value, void *arg)
{
	struct noting *n = arg;
	(void)key;
	return value.n == 4 ? publish_fact(n->t, (int32_t)get_be32(value.p), n->e) : E_CORRUPT;
}

int fact_file(struct txn *t, const struct sha1 *digest, struct err *e)
{
	struct key k = key_sha1(digest);
	struct noting n = {t, e};
	return db_each(t, DB_FILE_REV, key_bytes(&k), note_revision, &n, e);
}

/* Approvals see for themselves whether their files are here. */
int fact_file_stored(struct txn *t, const struct sha1 *digest, struct err *e)
{
	struct settings set;
	struct fetch fetch;
	int rc = settings_get(t, &set, e);
	bool matters = set.content_download == DOWNLOAD_ALL || fetch_get(t, digest, &fetch) == E_OK;
	return rc == E_OK && matters ? fact_file(t, digest, e) : rc;
}

/* ================= the counters of the server ================= */

struct crossing {
	struct txn *t;
	struct block block;
	bool loaded;
	uint32_t *out;
};

/* Neighbours lie in the same block. */
static int cross(uint32_t no, const struct tally *y, void *arg)
{
	struct crossing *c = arg;
	if (!c->loaded || c->block.no != no / BLOCK) {
		if (block_get(c->t, no / BLOCK, &c->block) != E_OK)
			return E_CORRUPT;
		c->loaded = true;
	}
	if ((c->block.v[no % BLOCK] & (FACT_UPDATE | FACT_DECLINED)) != FACT_UPDATE)
		return E_OK;
	c->out[COUNT_CLIENT_ERRORS] += y->by[STATUS_FAILED] > 0;
	c->out[COUNT_NEEDED] += y->by[STATUS_NEEDED] > 0 || y->by[STATUS_DOWNLOADED] > 0 || y->by[STATUS_FAILED] > 0;
	return E_OK;
}

static int count_custom(const struct group *g, void *arg)
{
	*(uint32_t *)arg += !g->builtin;
	return E_OK;
}

static int count_computers(struct txn *t, uint32_t *out, struct err *e)
{
	struct crossing c = {.t = t, .out = out};
	struct cohort all;
	int rc = cohort_get(t, COHORT_ALL, &all);
	if (rc == E_NOTFOUND)
		return E_OK;
	if (rc != E_OK)
		return err_set(e, (enum errcode)rc, "the counts of computers: %s", err_name(rc));
	out[COUNT_COMPUTERS] = all.computers;
	out[COUNT_COMPUTERS_NEEDING] = all.needing;
	out[COUNT_COMPUTERS_FAILED] = all.failed;
	out[COUNT_COMPUTERS_UP_TO_DATE] = all.up_to_date;
	return tally_each(t, COHORT_ALL, cross, &c, e);
}

int server_counts(struct txn *t, uint32_t out[SERVER_COUNT__N], struct err *e)
{
	struct counters c;
	memset(out, 0, SERVER_COUNT__N * sizeof(*out));
	int rc = counters_get(t, &c, e);
	for (size_t i = 0; rc == E_OK && i < COUNTOF(counted); i++)
		out[counted[i].count] = c.n[i];
	if (rc == E_OK)
		rc = group_each(t, count_custom, &out[COUNT_CUSTOM_GROUPS], e);
	if (rc == E_OK)
		rc = count_computers(t, out, e);
	/* up to date is what no computer misses, WSUSSS-DSS-ROLLUP-20 */
	out[COUNT_UP_TO_DATE] = out[COUNT_APPROVED] + out[COUNT_NOT_APPROVED] - out[COUNT_NEEDED];
	return rc;
}

/* ================= the audit ================= */

struct audit {
	struct keeper k;
	struct counters kept;
	struct auditor *to;
};

static int audit_block(struct audit *a, uint32_t no)
{
	struct block b;
	struct look *l = &a->k.look;
	uint32_t from = no * BLOCK, end = MIN(from + BLOCK, a->k.updates);
	int rc = E_OK;
	if (block_get(l->t, no, &b) != E_OK)
		audit_say(a->to, "the facts of updates %u to %u cannot be read", from, end - 1);
	for (uint32_t i = from; rc == E_OK && i < end; i++) {
		uint16_t was = b.v[i - from];
		rc = i == 0 ? E_OK : keep_one(&a->k, i, &b.v[i - from]);
		if (was != b.v[i - from])
			audit_say(a->to, "update %u: its facts are %#x, not %#x", i, was, b.v[i - from]);
	}
	for (uint32_t i = from; i < end; i++)
		count(&a->kept, b.v[i - from], 1);
	return rc;
}

static int audit_facts(struct audit *a)
{
	struct counters was;
	int rc = counters_get(a->k.look.t, &was, a->k.look.e);
	for (uint32_t no = 0; rc == E_OK && no <= a->k.updates / BLOCK; no++)
		rc = audit_block(a, no);
	for (size_t i = 0; rc == E_OK && i < COUNTOF(counted); i++)
		if (was.n[i] != a->kept.n[i])
			audit_say(a->to, "%s is %u, not %u", server_count_names[counted[i].count], was.n[i], a->kept.n[i]);
	return rc;
}

int fact_audit(struct txn *t, struct auditor *to, struct err *e)
{
	struct audit a = {.to = to};
	uint64_t pending;
	/* what waits for a publish is rightly not counted */
	int rc = db_count(t, DB_PENDING, &pending, e);
	if (rc != E_OK || pending > 0)
		return rc;
	rc = keeper_begin(&a.k, t, e);
	if (rc == E_OK)
		rc = audit_facts(&a);
	look_end(&a.k.look);
	return rc;
}
