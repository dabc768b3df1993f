/* policy.c -- a replica takes over the policy of its parent: MS-WSUSSS 3.2.4.3.
 *
 * The answer is of the interval from the last deployment anchor to the anchor of the list of updates, so that all that its
 * deployments name is on that list, or is older: then it is fetched first.  One transaction applies it, shows what was
 * fetched, and moves the anchor (WSUSSS-DSS-DEPLOY-03). */
#include "sync/sync.h"

#include "common/text.h"
#include "common/wsusss.h"
#include "store/replica.h"

#define ANSWER_MEMORY ((size_t)48 << 20) /* 100,000 deployments with the names of who made them take 20 MB */

static int ask(struct run *r, struct arena *a, const struct ServerSyncDeploymentResult **out, struct err *e)
{
	struct Cookie cookie;
	struct GetDeploymentsResponse answer = {0};
	int rc = run_cookie(r, &cookie, e);
	if (rc != E_OK)
		return rc;
	struct GetDeployments request = {.cookie = &cookie, .syncAnchor = r->parent.sync_anchor};
	if (r->parent.deployment_anchor.n)
		request.deploymentAnchor = r->parent.deployment_anchor;
	rc = call(r->caller, CALL_GET_DEPLOYMENTS, &request, &answer, a, e);
	if (rc == E_NOMEM)
		return err_set(e, rc, "the deployments of %.*s take more than %zu MB of memory", SLF(r->parent.url), ANSWER_MEMORY >> 20);
	if (rc != E_OK)
		return rc;
	*out = answer.GetDeploymentsResult;
	if (!*out || (*out)->Anchor.n == 0)
		return err_set(e, E_FORM, "%.*s answered GetDeployments without deployments or without an anchor", SLF(r->parent.url));
	return E_OK;
}

/* What deployments name and lists did not bring: a revision that is not the highest of its update (WSUSSS-DSS-META-26). */
static int fetch_missing(struct run *r, const struct ServerSyncDeploymentResult *p, struct arena *a, struct err *e)
{
	struct UpdateIdentity *ids;
	size_t n = 0;
	struct txn *t;
	int rc = txn_begin(r->store, TXN_READ, &t, e);
	if (rc == E_OK)
		rc = replica_lacks(t, p, a, &ids, &n, e);
	txn_end(&t);
	if (rc != E_OK || n == 0)
		return rc;
	r->log.related += (uint32_t)n;
	return documents_fetch(r, ids, n, true, e);
}

/* What was decided here, by people, ends with the first synchronization of a replica: they are to read that. */
static int tell_local(struct run *r, struct txn *t, struct err *e)
{
	struct replica_local was;
	int rc = replica_local(t, &was, e);
	if (rc == E_OK && was.groups + was.approvals + was.declines > 0)
		report_warn(r->report, "this server is a replica from now on: its %u groups, %u approvals and %u declines give way to those of "
			"%.*s", was.groups, was.approvals, was.declines, SLF(r->parent.url));
	return rc;
}

/* Whoever changed it meanwhile is not to find policy of a server that is no longer above this one. */
static int still_wanted(struct run *r, struct txn *t, struct err *e)
{
	struct settings set;
	int rc = settings_get(t, &set, e);
	if (rc == E_OK && (set.upstream_mode != UPSTREAM_REPLICA || !slice_eq(set.upstream_url, r->parent.url)))
		rc = err_set(e, E_BUSY, "upstream.url or upstream.mode was changed while the synchronization ran");
	return rc;
}

static int commit_policy(struct run *r, struct txn **t, const struct ServerSyncDeploymentResult *p, struct replica_report *out,
	struct err *e)
{
	struct parent parent = r->parent;
	struct publish_report shown;
	tick_t now = time_now();
	bool full = parent.deployment_anchor.n == 0;
	int rc = still_wanted(r, *t, e);
	if (rc == E_OK && full)
		rc = tell_local(r, *t, e);
	if (rc == E_OK)
		rc = replica_apply(*t, p, full, now, out, e);
	if (rc == E_OK)
		rc = publish_held(*t, now, &shown, e);
	parent.deployment_anchor = run_keep(r, p->Anchor);
	if (rc == E_OK && !parent.deployment_anchor.p)
		rc = err_set(e, E_NOMEM, "out of memory");
	if (rc == E_OK)
		rc = parent_put(*t, &parent, e);
	if (rc == E_OK)
		rc = txn_commit(t, e);
	if (rc == E_OK)
		r->parent = parent;
	return rc;
}

static int take_over(struct run *r, const struct ServerSyncDeploymentResult *p, struct err *e)
{
	struct replica_report done = {0};
	struct txn *t;
	int rc = txn_begin(r->store, TXN_CATALOG, &t, e);
	if (rc == E_OK)
		rc = commit_policy(r, &t, p, &done, e);
	txn_end(&t);
	if (rc != E_OK)
		return rc;
	r->log.groups += done.groups;
	r->log.deployments += done.deployments;
	r->log.ended_deployments += done.ended;
	r->log.hidden += done.hidden;
	r->log.eulas += done.eulas;
	if (done.lacking)
		report_note(r->report, "%u approvals are of revisions that %.*s did not send: they wait for them", done.lacking, SLF(r->parent.url));
	if (done.skipped)
		report_note(r->report, "%u approvals were left out: their group does not exist at %.*s any more, or their action is unknown here",
			done.skipped, SLF(r->parent.url));
	report_result(r->report, "%u groups, %u approvals, %u ended, %u declines, %u licences changed", done.groups, done.deployments, done.ended,
		done.hidden, done.eulas);
	return E_OK;
}

int phase_deployments(struct run *r, struct err *e)
{
	const struct ServerSyncDeploymentResult *p = NULL;
	struct arena a;
	if (r->set.upstream_mode != UPSTREAM_REPLICA) /* WSUSSS-DSS-DEPLOY-01 */
		return E_OK;
	if (r->parent.sync_anchor.n == 0)
		return err_set(e, E_REFUSED, "no list of updates was taken from %.*s yet", SLF(r->parent.url));
	arena_init(&a, ANSWER_MEMORY);
	int rc = ask(r, &a, &p, e);
	if (rc == E_OK)
		rc = fetch_missing(r, p, &a, e);
	if (rc == E_OK)
		rc = take_over(r, p, e);
	arena_free(&a);
	return rc;
}
