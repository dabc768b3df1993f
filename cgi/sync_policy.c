/* sync_policy.c -- what a replica takes over from us: groups, deployments, what is hidden and accepted; and the files that a
 * downstream server wants.  MS-WSUSSS 3.1.4.10, 3.1.4.11. */
#include "cgi/sync.h"
#include "common/text.h"

/* ================= GetDeployments, 3.1.4.10 ================= */

/* The interval (after, until] (WSUSSS-DEPLOYMENTS-06, -07, -11). */
static int take_interval(struct call *c, const struct GetDeployments *in, uint32_t *after, uint32_t *until)
{
	int rc = call_anchor(c, in->deploymentAnchor, "deploymentAnchor", c->state.epoch, after);
	if (rc == E_OK && in->syncAnchor.n == 0)
		rc = call_bad(c, "syncAnchor");
	return rc == E_OK ? call_anchor(c, in->syncAnchor, "syncAnchor", c->state.epoch, until) : rc;
}

/* All groups at each call, the parent of those at the top being zero (WSUSSS-DEPLOYMENTS-08 to -10). */
struct groups {
	struct call *c;
	struct ServerSyncTargetGroup *v;
	size_t n, cap;
};

static int add_group(const struct group *g, void *arg)
{
	struct groups *x = arg;
	struct ServerSyncTargetGroup *v = ARENA_MORE(x->c->a, x->v, x->n, &x->cap);
	struct group parent = {.id = {{0}}};
	int rc = g->parent ? group_get(x->c->txn, g->parent, &parent, &x->c->err) : E_OK;
	if (!v)
		return call_fail(x->c, E_NOMEM, "no memory for groups");
	if (rc != E_OK)
		return rc == E_NOTFOUND ? call_fail(x->c, E_CORRUPT, "group %u has no parent", g->no) : rc;
	x->v = v;
	x->v[x->n++] = (struct ServerSyncTargetGroup){
		.TargetGroupID = g->id,
		.ParentGroupId = parent.id,
		.Name = g->name,
		.IsBuiltin = g->builtin,
	};
	return E_OK;
}

static int list_groups(struct call *c, struct ServerSyncDeploymentResult *to)
{
	struct groups x = {.c = c};
	int rc = group_each(c->txn, add_group, &x, &c->err);
	to->Groups.v = x.v;
	to->Groups.n = x.n;
	return rc;
}

/* Our words as the protocol's numbers (WSUSSS-DEPLOYMENTS-20).  An installation that is only offered is one that is not
 * assigned. */
static const int32_t action_numbers[ACT__N] = {
	[ACT_INSTALL] = 0,
	[ACT_UNINSTALL] = 1,
	[ACT_PREDEPLOYMENT_CHECK] = 2,
	[ACT_BLOCK] = 3,
	[ACT_OPTIONAL_INSTALL] = 0,
};
static const int32_t priority_numbers[] = {[PRIO_LOW] = 1, [PRIO_NORMAL] = 2, [PRIO_HIGH] = 3};

/* What an administrator said; whether we wait for files, a licence or the time is ours alone, a replica finds out for
 * itself.  An approval that is good at once went live when it was made. */
static struct ServerSyncDeployment deployment_row(const struct sync_deployment *s)
{
	const struct deployment *d = &s->d;
	return (struct ServerSyncDeployment){
		.UpdateId = s->update,
		.RevisionNumber = s->number,
		.Action = action_numbers[d->action],
		.AdminName = d->admin.p ? d->admin : SL(""),
		.Deadline = d->deadline ? d->deadline : TICK_MAX_YEAR9999,
		.IsAssigned = d->assigned && d->action != ACT_OPTIONAL_INSTALL,
		.GoLiveTime = d->go_live ? d->go_live : d->changed,
		.DeploymentGuid = s->guid,
		.TargetGroupId = s->group,
		.DownloadPriority = priority_numbers[d->priority],
	};
}

static int list_deployments(struct call *c, uint32_t after, uint32_t until, struct ServerSyncDeploymentResult *to)
{
	struct sync_deployments d;
	int rc = sync_deployments(c->txn, after, until, c->a, &d, &c->err);
	if (rc != E_OK)
		return rc;
	struct ServerSyncDeployment *v = ARENA_ARRAY(c->a, struct ServerSyncDeployment, d.nlive);
	if (!v)
		return call_fail(c, E_NOMEM, "no memory for %zu deployments", d.nlive);
	for (size_t i = 0; i < d.nlive; i++)
		v[i] = deployment_row(&d.live[i]);
	to->Deployments.v = v;
	to->Deployments.n = d.nlive;
	to->DeadDeployments = (struct wguids){d.dead, d.ndead};
	return E_OK;
}

/* Complete at each call, whatever the anchors (WSUSSS-DEPLOYMENTS-15, -16). */
static int list_flags(struct call *c, struct ServerSyncDeploymentResult *to)
{
	int rc = sync_hidden(c->txn, c->a, &to->HiddenUpdates.v, &to->HiddenUpdates.n, &c->err);
	if (rc == E_OK)
		rc = sync_eulas(c->txn, c->a, &to->AcceptedEulas.v, &to->AcceptedEulas.n, &c->err);
	return rc;
}

/* A list without an item is written, too (WSUSSS-DEPLOYMENTS-17). */
static int show_empty_lists(struct call *c, struct ServerSyncDeploymentResult *to)
{
	struct wguids *const lists[] = {&to->DeadDeployments, &to->HiddenUpdates, &to->AcceptedEulas};
	for (size_t i = 0; i < COUNTOF(lists); i++)
		if (!lists[i]->v && !(lists[i]->v = ARENA_ARRAY(c->a, struct guid, 0)))
			return call_fail(c, E_NOMEM, "no memory for empty lists");
	return E_OK;
}

/* The Anchor of the answer is the end of the interval, not now: what changed behind it is for the next call
 * (WSUSSS-DEPLOYMENTS-18, A-22). */
SHARED_HANDLER(GetDeployments)
{
	uint32_t after, until;
	struct ServerSyncDeploymentResult *r = ARENA_NEW(c->a, struct ServerSyncDeploymentResult);
	if (!r)
		return call_fail(c, E_NOMEM, "no memory for deployments");
	int rc = take_interval(c, in, &after, &until);
	if (rc == E_OK)
		rc = list_groups(c, r);
	if (rc == E_OK)
		rc = list_deployments(c, after, until, r);
	if (rc == E_OK)
		rc = list_flags(c, r);
	if (rc == E_OK)
		rc = show_empty_lists(c, r);
	if (rc != E_OK)
		return rc;
	r->Anchor = call_new_anchor(c, MAX(after, until));
	worker_saw(c->w, &c->client, DOWNSTREAM_REPLICATED);
	out->GetDeploymentsResult = r;
	return r->Anchor.p ? E_OK : call_fail(c, E_NOMEM, "no memory for the anchor");
}

/* ================= DownloadFiles, 3.1.4.11 ================= */

/* Bytes of the longest thing that passes for a digest, SHA-512: unknown ones go back in the fault. */
#define DIGEST_MOST 64

SHARED_CHECK(DownloadFiles)
{
	if (!in->fileDigestList.v || in->fileDigestList.n > LIMIT_SYNC_DIGESTS)
		return call_bad(c, "fileDigestList");
	for (size_t i = 0; i < in->fileDigestList.n; i++)
		if (in->fileDigestList.v[i].n > DIGEST_MOST)
			return call_bad(c, "fileDigestList");
	return E_OK;
}

/* What is asked for: E_NOTFOUND for a digest of nothing here, else *want says whether the file is still to come.  Where
 * content stays at Microsoft nothing is fetched, as it would be of no use to anybody. */
static int judge_digest(struct call *c, struct slice digest, struct sha1 *d, bool *want)
{
	struct file f;
	if (digest.n != sizeof(d->b))
		return E_NOTFOUND;
	memcpy(d->b, digest.p, sizeof(d->b));
	int rc = file_get(c->txn, d, &f, &c->err);
	*want = rc == E_OK && !f.stored && c->set.content_store == CONTENT_LOCAL;
	return rc;
}

/* The unknown ones as they came, joined by '|' (WSUSSS-DOWNLOADFILES-06, -07). */
static int miss(struct call *c, struct buf *missing, size_t n)
{
	if (missing->rc == E_OK)
		c->message = arena_copy(c->a, buf_bytes(missing));
	if (missing->rc != E_OK || !c->message.p)
		return call_fail(c, E_NOMEM, "no memory for what is missing");
	return call_fail(c, E_FILE_DIGESTS_MISSING, "%zu of the digests are of no file here", n);
}

SHARED_HANDLER(DownloadFiles)
{
	struct buf missing;
	size_t nmissing = 0;
	int rc = E_OK;
	(void)out;
	buf_init(&missing, LIMIT_SYNC_DIGESTS * (DIGEST_MOST * 2));
	for (size_t i = 0; rc == E_OK && i < in->fileDigestList.n; i++) {
		struct sha1 d;
		bool want = false;
		rc = judge_digest(c, in->fileDigestList.v[i], &d, &want);
		c->wants_store |= want;
		if (rc != E_NOTFOUND)
			continue;
		if (nmissing++)
			buf_char(&missing, '|');
		base64_add(&missing, in->fileDigestList.v[i]);
		rc = E_OK;
	}
	if (rc == E_OK && nmissing)
		rc = miss(c, &missing, nmissing);
	buf_free(&missing);
	/* the known ones are started all the same: A-25 */
	return rc == E_FILE_DIGESTS_MISSING && c->wants_store ? call_fault_after(c, rc) : rc;
}

/* They are fetched later (WSUSSS-DOWNLOADFILES-11), and until then the mark stays (WSUSSS-DOWNLOADFILES-13). */
SHARED_STORE(DownloadFiles)
{
	for (size_t i = 0; i < in->fileDigestList.n; i++) {
		struct sha1 d;
		bool want = false;
		int rc = judge_digest(c, in->fileDigestList.v[i], &d, &want);
		if (rc == E_OK && want)
			rc = wanted_add(c->txn, &d, &c->dss.dss, c->now, &c->err);
		c->rings |= want;
		if (rc != E_OK && rc != E_NOTFOUND)
			return rc;
	}
	return E_OK;
}
