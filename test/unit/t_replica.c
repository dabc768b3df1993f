/* t_replica.c -- a replica's policy is that of its parent: answers of GetDeployments, as this server writes them, taken over
 * by another store; random histories, and what no server of ours would say. */
#include "store/replica.h"

#include "cgi/sync.h"
#include "common/seal.h"
#include "common/xml.h"
#include "store/env.h"
#include "store/parent.h"
#include "test/unit/ropetext.h"
#include "test/unit/store_fixture.h"

#define UPDATES 10
#define MEMORY ((size_t)64 << 20)

/* ---- servers ---- */

struct server {
	struct fixture f;
	struct worker *w;
	struct slice deployed; /* the anchor of the last answer that it took */
	char anchor[64];
	bool has[UPDATES + 1][4]; /* update, number */
};

static struct sealer *sealer;
static struct arena arena;
static struct xml *xml;

static void server_open(struct server *s, const char *parent)
{
	*s = (struct server){.deployed = SL0};
	fx_dir(s->f.dir);
	OK(store_create(s->f.dir, &fx_err));
	fx_open(&s->f, STORE_ADMIN);
	OK(worker_new(&s->w, &serversync_service, s->f.store, sealer, &fx_err));
	if (!parent)
		return;
	fx_begin(&s->f, TXN_CATALOG);
	OK(setting_set(s->f.t, SL("upstream.url"), slice_of(parent), &fx_err));
	OK(setting_set(s->f.t, SL("upstream.mode"), SL("replica"), &fx_err));
	fx_commit(&s->f);
}

static void server_close(struct server *s)
{
	worker_close(&s->w);
	store_close(&s->f.store);
	fx_remove(s->f.dir);
}

static int begin(void **state)
{
	static const uint8_t secret[SEAL_MASTER] = {7};
	(void)state;
	OK(seal_open_secret(&sealer, secret, &fx_err));
	arena_init(&arena, MEMORY);
	xml = xml_new();
	return xml ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	seal_close(&sealer);
	arena_free(&arena);
	xml_free(&xml);
	return 0;
}

/* ---- an answer of one, as another reads it ---- */

static struct slice wire_text(const struct GetDeploymentsResponse *r)
{
	struct rope rope;
	rope_init(&rope);
	wire_write_element(&rope, SL("GetDeploymentsResponse"), SL(""), &GetDeploymentsResponse_wire, r, SL(" />"));
	struct slice text = rope_text(&rope, &arena);
	rope_free(&rope);
	return text;
}

static const struct ServerSyncDeploymentResult *wire_back(struct slice text)
{
	struct GetDeploymentsResponse out;
	xml_init(xml, text, &xml_message_limits, &fx_err);
	assert_int_equal(xml_next(xml), XML_OPEN);
	OK(wire_read(xml, &GetDeploymentsResponse_wire, &out, &arena, &fx_err));
	assert_non_null(out.GetDeploymentsResult);
	return out.GetDeploymentsResult;
}

/* The anchor of a list that ended at an epoch, 0: at the present one. */
static struct slice list_anchor(struct server *s, uint32_t epoch)
{
	struct call c = {.w = s->w, .a = &arena};
	OK(server_state_get(fx_begin(&s->f, TXN_READ), &c.state, &fx_err));
	struct slice text = call_new_anchor(&c, epoch ? epoch : c.state.epoch);
	txn_end(&s->f.t);
	return text;
}

static const struct ServerSyncDeploymentResult *ask(struct server *s, struct slice deployed, struct slice listed)
{
	struct call c = {.w = s->w, .a = &arena, .now = time_now()};
	struct GetDeployments in = {.deploymentAnchor = deployed, .syncAnchor = listed};
	struct GetDeploymentsResponse out = {0};
	c.txn = fx_begin(&s->f, TXN_READ);
	OK(server_state_get(c.txn, &c.state, &fx_err));
	fx_ok(GetDeployments_run(&c, &in, &out), &c.err, "GetDeployments", __LINE__);
	struct slice text = wire_text(&out);
	txn_end(&s->f.t);
	return wire_back(text);
}

static struct replica_report take(struct server *s, const struct ServerSyncDeploymentResult *p, bool full)
{
	struct replica_report r;
	struct publish_report shown;
	tick_t now = time_now();
	fx_begin(&s->f, TXN_CATALOG);
	OK(replica_apply(s->f.t, p, full, now, &r, &fx_err));
	OK(publish(s->f.t, now, &shown, &fx_err));
	fx_commit(&s->f);
	return r;
}

static void remember(struct server *s, struct slice anchor)
{
	assert_true(anchor.n > 0 && anchor.n < sizeof(s->anchor));
	memcpy(s->anchor, anchor.p, anchor.n);
	s->deployed = (struct slice){s->anchor, anchor.n};
}

/* One synchronization of policy; epoch 0: with the list of now. */
static struct replica_report replicate(struct server *from, struct server *to, uint32_t epoch)
{
	const struct ServerSyncDeploymentResult *p = ask(from, to->deployed, list_anchor(from, epoch));
	struct replica_report r = take(to, p, to->deployed.n == 0);
	remember(to, p->Anchor);
	return r;
}

static void assert_nothing(struct replica_report r)
{
	assert_int_equal(r.groups, 0);
	assert_int_equal(r.deployments, 0);
	assert_int_equal(r.ended, 0);
	assert_int_equal(r.hidden, 0);
	assert_int_equal(r.eulas, 0);
}

static uint32_t epoch_of(struct server *s)
{
	struct server_state st;
	OK(server_state_get(fx_begin(&s->f, TXN_READ), &st, &fx_err));
	txn_end(&s->f.t);
	return st.epoch;
}

/* ---- policy as text ---- */

struct lines {
	struct txn *t;
	const struct server *seen_by; /* only what this one has */
	char *v[4000];
	size_t n;
};

static void PRINTF(2, 3) line(struct lines *l, const char *fmt, ...)
{
	char text[600];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	assert_true(l->n < COUNTOF(l->v));
	l->v[l->n++] = strdup(text);
}

static const char *guid_of(const struct guid *g, char to[GUID_TEXT + 1])
{
	guid_text(g, to);
	return to;
}

static int group_line(const struct group *g, void *arg)
{
	struct lines *l = arg;
	struct group up = {.id = {{0}}};
	char a[GUID_TEXT + 1], b[GUID_TEXT + 1];
	if (g->parent)
		OK(group_get(l->t, g->parent, &up, &fx_err));
	line(l, "group %s \"%.*s\" under %s%s", guid_of(&g->id, a), SLF(g->name), guid_of(&up.id, b), g->builtin ? ", built in" : "");
	return E_OK;
}

static unsigned update_of(const struct guid *g)
{
	return get_be32(g->b + 12);
}

static int deployment_line(const struct deployment *d, void *arg)
{
	struct lines *l = arg;
	struct revision r;
	struct group g;
	char a[GUID_TEXT + 1];
	if (d->dead)
		return E_OK;
	OK(revision_get(l->t, d->revision, &r, &fx_err));
	OK(group_get(l->t, d->group, &g, &fx_err));
	if (!l->seen_by->has[update_of(&r.update)][r.number])
		return E_OK;
	line(l, "update %u.%d for %s: %s%s priority %d until %lld from %lld by %.*s", update_of(&r.update), (int)r.number, guid_of(&g.id, a),
		action_names[d->action], d->assigned ? "" : ", not assigned", (int)d->priority, (long long)d->deadline,
		(long long)(d->go_live ? d->go_live : d->changed), SLF(d->admin));
	return E_OK;
}

static int text_order(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *policy_of(struct server *s, const struct server *seen_by)
{
	static struct lines l;
	static char text[400000];
	l = (struct lines){.seen_by = seen_by};
	l.t = fx_begin(&s->f, TXN_READ);
	OK(group_each(l.t, group_line, &l, &fx_err));
	OK(deployment_each_of_group(l.t, 0, deployment_line, &l, &fx_err));
	for (unsigned n = 1; n <= UPDATES; n++) {
		struct guid id = fx_guid(n), eula = fx_guid(100 + n);
		struct update u;
		uint32_t no;
		bool here = seen_by->has[n][1] || seen_by->has[n][2] || seen_by->has[n][3];
		if (here && update_find(l.t, &id, &no) == E_OK) {
			OK(update_get(l.t, no, &u, &fx_err));
			if (u.declined)
				line(&l, "update %u is declined", n);
		}
		if (eula_accepted(l.t, &eula))
			line(&l, "licence %u is accepted", n);
	}
	txn_end(&s->f.t);
	qsort(l.v, l.n, sizeof(*l.v), text_order);
	size_t at = 0;
	text[0] = '\0';
	for (size_t i = 0; i < l.n; i++) {
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s\n", l.v[i]);
		free(l.v[i]);
	}
	return strdup(text);
}

static void assert_same_policy(struct server *a, struct server *b, const char *when)
{
	char *of_a = policy_of(a, b), *of_b = policy_of(b, b);
	if (strcmp(of_a, of_b) != 0)
		fail_msg("%s\n---- parent:\n%s---- replica:\n%s", when, of_a, of_b);
	free(of_a);
	free(of_b);
}

static void assert_sound(struct server *s)
{
	fx_assert_sound(fx_begin(&s->f, TXN_READ));
	txn_end(&s->f.t);
}

/* ---- what happens at the parent ---- */

static unsigned seed;

static unsigned dice(unsigned n)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 16) % n;
}

static void stage(struct server *s, unsigned update, int32_t number)
{
	struct fx_revision r = {.update = update, .number = number, .files = {update}};
	if (update % 3 == 0)
		r.eula = 100 + update;
	fx_stage(s->f.t, r);
	s->has[update][number] = true;
}

static int32_t revision_of(struct server *s, unsigned update, int32_t number)
{
	struct guid id = fx_guid(update);
	int32_t revision = 0;
	OK(revision_find(s->f.t, &id, number, &revision));
	return revision;
}

struct pick {
	uint32_t no[LIMIT_GROUPS];
	size_t n;
	bool own; /* but those that are built in */
};

static int pick_group(const struct group *g, void *arg)
{
	struct pick *p = arg;
	if (!p->own || !g->builtin)
		p->no[p->n++] = g->no;
	return E_OK;
}

static uint32_t some_group(struct server *s, bool own)
{
	struct pick p = {.n = 0, .own = own};
	OK(group_each(s->f.t, pick_group, &p, &fx_err));
	return p.n ? p.no[dice((unsigned)p.n)] : 0;
}

static void change_groups(struct server *s)
{
	char name[64];
	uint32_t no = some_group(s, true), up = dice(2) ? some_group(s, true) : 0;
	static unsigned made;
	switch (no ? dice(4) : 0) {
	case 0:
	case 1:
		snprintf(name, sizeof(name), "ring %u", made++);
		if (group_create(s->f.t, slice_of(name), up, &no, &fx_err) != E_OK)
			return;
		break;
	case 2:
		if (group_move(s->f.t, no, up, &fx_err) != E_OK)
			return; /* below itself, or too deep */
		break;
	default:
		OK(group_delete(s->f.t, no, &fx_err));
	}
}

static void change_approval(struct server *s)
{
	static const tick_t times[] = {0, 0, FIXTURE_NOW + 12345, TICK_MAX_YEAR9999 - 1 - 86400 * TICKS_PER_SECOND * 3};
	unsigned update = 1 + dice(UPDATES);
	int32_t number = 1 + (int32_t)dice(3);
	uint32_t group = some_group(s, false);
	if (!s->has[update][number])
		return;
	uint32_t no = fx_update_no(s->f.t, update);
	if (dice(4) == 0) {
		int rc = unapprove(s->f.t, no, group, ADMIN, &fx_err);
		assert_true(rc == E_OK || rc == E_NOTFOUND);
		return;
	}
	struct approval a = {.revision = revision_of(s, update, number), .group = group, .action = (enum action)dice(ACT__N),
		.priority = (enum priority)dice(3), .deadline = times[dice(4)], .go_live = times[dice(4)], .admin = dice(2) ? ADMIN : SL("DOMAIN\\other")};
	a.assigned = a.action != ACT_OPTIONAL_INSTALL;
	int rc = approve(s->f.t, &a, &fx_err);
	assert_true(rc == E_OK || rc == E_REFUSED);
}

static void change_something(struct server *s)
{
	unsigned update = 1 + dice(UPDATES);
	struct guid id = fx_guid(update), eula = fx_guid(100 + update);
	uint32_t no;
	switch (dice(8)) {
	case 0:
	case 1:
		change_groups(s);
		break;
	case 2:
		if (update_find(s->f.t, &id, &no) == E_OK)
			OK(update_decline(s->f.t, no, dice(2), ADMIN, &fx_err));
		break;
	case 3:
		if (dice(4) == 0)
			OK(eula_accept(s->f.t, &eula, ADMIN, &fx_err));
		break;
	case 4: {
		struct sha1 d = fx_sha1(update);
		struct file f;
		if (file_get(s->f.t, &d, &f, &fx_err) == E_OK)
			OK(file_set_stored(s->f.t, &d, !f.stored, &fx_err));
		break;
	}
	default:
		change_approval(s);
	}
}

static void publish_now(struct server *s)
{
	struct publish_report r;
	OK(publish(s->f.t, time_now(), &r, &fx_err));
	fx_commit(&s->f);
}

/* The replica gets what the parent has, in an order of its own, now and then less. */
static void bring(struct server *from, struct server *to, bool all)
{
	fx_begin(&to->f, TXN_CATALOG);
	unsigned first = dice(UPDATES);
	for (unsigned i = 0; i < UPDATES; i++)
		for (int32_t number = 3; number > 0; number--) {
			unsigned update = 1 + (first + i) % UPDATES;
			if (from->has[update][number] && !to->has[update][number] && (all || dice(3)))
				stage(to, update, number);
		}
	publish_now(to);
}

static void change(struct server *s, unsigned times)
{
	fx_begin(&s->f, TXN_CATALOG);
	unsigned update = 1 + dice(UPDATES);
	int32_t number = 1 + (int32_t)dice(3);
	if (!s->has[update][number] && dice(2))
		stage(s, update, number);
	for (unsigned i = 0; i < times; i++)
		change_something(s);
	publish_now(s);
}

/* ---- histories ---- */

static void assign_some(struct server *s)
{
	fx_begin(&s->f, TXN_CATALOG);
	uint32_t groups[] = {some_group(s, true)};
	if (groups[0])
		OK(assign_set(s->f.t, SL("a-computer"), groups, 1, &fx_err));
	fx_commit(&s->f);
}

static void history(unsigned number)
{
	struct server parent, child, grandchild;
	char when[64];
	seed = number;
	server_open(&parent, NULL);
	server_open(&child, "http://parent.example.net:8530");
	server_open(&grandchild, "http://child.example.net:8530");
	for (unsigned step = 0; step < 40; step++) {
		snprintf(when, sizeof(when), "history %u, step %u", number, step);
		change(&parent, 1 + dice(6));
		uint32_t listed = epoch_of(&parent);
		bool late = dice(4) == 0;
		bring(&parent, &child, dice(3) > 0);
		if (late)
			change(&parent, 1 + dice(4));
		if (dice(10) == 0)
			child.deployed = SL0;
		struct slice before = child.deployed.n ? arena_copy(&arena, child.deployed) : SL0;
		replicate(&parent, &child, late ? listed : 0);
		if (!late)
			assert_same_policy(&parent, &child, when);
		if (dice(3) == 0) { /* an answer that is taken again says nothing new */
			uint32_t epoch = epoch_of(&child);
			const struct ServerSyncDeploymentResult *p = ask(&parent, before, list_anchor(&parent, late ? listed : 0));
			assert_nothing(take(&child, p, before.n == 0));
			assert_int_equal(epoch_of(&child), epoch);
		}
		if (dice(5) == 0)
			assign_some(&child);
		if (dice(3) == 0) { /* a replica is a parent as any other is */
			bring(&child, &grandchild, true);
			if (dice(10) == 0)
				grandchild.deployed = SL0;
			replicate(&child, &grandchild, 0);
			assert_same_policy(&child, &grandchild, when);
		}
		if (step % 10 == 9) {
			assert_sound(&child);
			assert_sound(&grandchild);
		}
		arena_reset(&arena);
	}
	server_close(&parent);
	server_close(&child);
	server_close(&grandchild);
}

/* holds: WSUSSS-DSS-DEPLOY-04 WSUSSS-DSS-DEPLOY-05 WSUSSS-DSS-DEPLOY-06 WSUSSS-DSS-DEPLOY-07 WSUSSS-DSS-DEPLOY-08
 * WSUSSS-DSS-DEPLOY-09 WSUSSS-DSS-DEPLOY-10 WSUSSS-DSS-DEPLOY-11 WSUSSS-DSS-DEPLOY-12 WSUSSS-DSS-DEPLOY-14 WSUSSS-ADM-01
 * WSUSSS-ADM-10 WSUSSS-DEPLOYMENTS-20 WSUSSS-DEPLOYMENTS-21 */
static void whatever_happens_at_the_parent_the_replica_has_its_policy(void **state)
{
	const char *more = getenv("REPLICA_HISTORIES");
	uint64_t n;
	(void)state;
	if (!more || !text_u64(slice_of(more), &n))
		n = 6;
	for (unsigned i = 1; i <= n; i++)
		history(i);
}

/* ---- what no server of ours would say ---- */

/* Rows of an answer, with the groups that are built in. */
struct told {
	struct ServerSyncDeploymentResult r;
	struct ServerSyncTargetGroup groups[12];
	struct ServerSyncDeployment deployments[8];
	struct guid dead[4], hidden[4], eulas[4];
};

static struct guid builtin_id(struct server *s, uint32_t no)
{
	struct group g;
	OK(group_get(fx_begin(&s->f, TXN_READ), no, &g, &fx_err));
	txn_end(&s->f.t);
	return g.id;
}

static void say_group(struct told *x, struct guid id, const char *name, struct guid up)
{
	x->groups[x->r.Groups.n++] = (struct ServerSyncTargetGroup){.TargetGroupID = id, .Name = slice_of(name), .ParentGroupId = up};
}

static struct told *tell(struct server *s)
{
	struct told *x = ARENA_NEW(&arena, struct told);
	x->r.Anchor = SL("1,2026-11-22 10:00:00.000");
	x->r.Groups.v = x->groups;
	x->r.Deployments.v = x->deployments;
	x->r.DeadDeployments.v = x->dead;
	x->r.HiddenUpdates.v = x->hidden;
	x->r.AcceptedEulas.v = x->eulas;
	struct guid all = builtin_id(s, GROUP_ALL_COMPUTERS), none = {{0}};
	say_group(x, all, "Alle Computer", none);
	say_group(x, builtin_id(s, GROUP_UNASSIGNED), "Nicht zugewiesene Computer", all);
	say_group(x, builtin_id(s, GROUP_DOWNSTREAM), "Replikatserver", none);
	return x;
}

static void say_deployment(struct told *x, unsigned guid, unsigned update, int32_t number, struct guid group)
{
	x->deployments[x->r.Deployments.n++] = (struct ServerSyncDeployment){.UpdateId = fx_guid(update), .RevisionNumber = number,
		.AdminName = SL("WUS Server"), .Deadline = TICK_MAX_YEAR9999, .IsAssigned = true, .GoLiveTime = FIXTURE_NOW,
		.DeploymentGuid = fx_guid(guid), .TargetGroupId = group, .DownloadPriority = 2};
}

static void open_replica(struct server *s)
{
	server_open(s, "http://parent.example.net:8530");
	fx_begin(&s->f, TXN_CATALOG);
	for (unsigned update = 1; update <= 2; update++)
		for (int32_t number = 1; number <= 2; number++)
			stage(s, update, number);
	publish_now(s);
}

static struct deployment deployed(struct server *s, unsigned update, int32_t number, uint32_t group)
{
	struct deployment d = {.dead = true};
	fx_begin(&s->f, TXN_READ);
	if (deployment_get(s->f.t, group, revision_of(s, update, number), &d) != E_OK)
		d = (struct deployment){.dead = true};
	txn_end(&s->f.t);
	return d;
}

static void expect_refusal(struct server *s, const struct told *x, const char *words)
{
	struct replica_report r;
	fx_begin(&s->f, TXN_CATALOG);
	int rc = replica_apply(s->f.t, &x->r, true, FIXTURE_NOW, &r, &fx_err);
	assert_true(rc == E_REFUSED || rc == E_LIMIT);
	if (!strstr(fx_err.text, words))
		fail_msg("\"%s\" does not say \"%s\"", fx_err.text, words);
	assert_int_not_equal(txn_commit(&s->f.t, &fx_err), E_OK);
}

static void groups_that_cannot_be_are_refused_in_words_and_nothing_is_changed(void **state)
{
	struct server s;
	(void)state;
	open_replica(&s);
	struct guid all = builtin_id(&s, GROUP_ALL_COMPUTERS), unassigned = builtin_id(&s, GROUP_UNASSIGNED);
	struct told *x = tell(&s);
	say_group(x, fx_guid(1), "one", fx_guid(2));
	expect_refusal(&s, x, "group \"one\" that cannot be mirrored: it stands under one that did not come");
	say_group(x, fx_guid(2), "two", fx_guid(1));
	expect_refusal(&s, x, "in a circle");
	x = tell(&s);
	say_group(x, fx_guid(1), "one", all);
	say_group(x, fx_guid(2), "ONE", all);
	expect_refusal(&s, x, "another one has its name");
	x = tell(&s);
	say_group(x, fx_guid(1), "one", all);
	say_group(x, fx_guid(1), "two", all);
	expect_refusal(&s, x, "same id");
	x = tell(&s);
	say_group(x, fx_guid(1), "one", unassigned);
	expect_refusal(&s, x, "nothing stands under Unassigned Computers");
	x = tell(&s);
	say_group(x, fx_guid(1), "all computers", all);
	expect_refusal(&s, x, "built in has its name");
	x = tell(&s);
	say_group(x, fx_guid(1), "a;b", all);
	expect_refusal(&s, x, "no ';'");
	x = tell(&s);
	x->r.Groups.n = 0;
	expect_refusal(&s, x, "no groups at all");
	x = tell(&s);
	x->r.Groups.v = ARENA_ARRAY(&arena, struct ServerSyncTargetGroup, LIMIT_GROUPS + 1);
	for (unsigned i = 0; i <= LIMIT_GROUPS; i++) {
		struct slice name = arena_printf(&arena, "group %u", i);
		x->r.Groups.v[x->r.Groups.n++ - 3] = (struct ServerSyncTargetGroup){.TargetGroupID = fx_guid(1000 + i), .Name = name};
	}
	x->r.Groups.n = LIMIT_GROUPS + 1;
	expect_refusal(&s, x, "1001 groups, 1000 are the most here");
	assert_sound(&s);
	server_close(&s);
}

static uint32_t group_no(struct server *s, const char *name)
{
	uint32_t no = 0;
	if (group_find(fx_begin(&s->f, TXN_READ), slice_of(name), &no) != E_OK)
		no = 0;
	txn_end(&s->f.t);
	return no;
}

static struct group group_row(struct server *s, uint32_t no)
{
	struct group g;
	OK(group_get(fx_begin(&s->f, TXN_READ), no, &g, &fx_err));
	txn_end(&s->f.t);
	return g;
}

/* holds: WSUSSS-DEPLOYMENTS-24 */
static void groups_change_names_and_places_in_one_answer_in_any_order(void **state)
{
	struct server s;
	(void)state;
	open_replica(&s);
	struct guid all = builtin_id(&s, GROUP_ALL_COMPUTERS), none = {{0}};
	struct told *x = tell(&s);
	say_group(x, fx_guid(3), "inner", fx_guid(2)); /* children first */
	say_group(x, fx_guid(2), "two", fx_guid(1));
	say_group(x, fx_guid(1), "one", none); /* as a published example has it: WSUSSS-DEPLOYMENTS-24 */
	assert_int_equal(take(&s, &x->r, true).groups, 3);
	uint32_t one = group_no(&s, "one"), two = group_no(&s, "two"), inner = group_no(&s, "inner");
	assert_int_equal(group_row(&s, inner).parent, two);
	assert_int_equal(group_row(&s, two).parent, one);
	assert_int_equal(group_row(&s, one).parent, GROUP_ALL_COMPUTERS);
	assert_true(slice_eq(group_row(&s, GROUP_ALL_COMPUTERS).name, SL("All Computers"))); /* its name is ours */
	uint32_t epoch = epoch_of(&s);
	x = tell(&s);
	say_group(x, fx_guid(1), "two", fx_guid(2)); /* what was below is above, and names are exchanged */
	say_group(x, fx_guid(2), "one", all);
	say_group(x, fx_guid(3), "inner", fx_guid(1));
	assert_int_equal(take(&s, &x->r, true).groups, 3);
	assert_int_equal(group_no(&s, "one"), two);
	assert_int_equal(group_no(&s, "two"), one);
	assert_int_equal(group_row(&s, one).parent, two);
	assert_int_equal(group_row(&s, two).parent, GROUP_ALL_COMPUTERS);
	assert_int_equal(group_row(&s, inner).parent, one);
	assert_int_equal(group_row(&s, inner).moved_epoch, epoch + 1); /* its computers must be told everything anew */
	assert_int_equal(epoch_of(&s), epoch + 1);
	assert_nothing(take(&s, &x->r, true));
	x = tell(&s);
	say_group(x, fx_guid(9), "ONE", all); /* another group with a name that became free */
	assert_int_equal(take(&s, &x->r, true).groups, 4);
	assert_true(group_no(&s, "one") > inner);
	assert_sound(&s);
	server_close(&s);
}

static void a_group_that_only_gets_another_name_keeps_all_else(void **state)
{
	struct server s;
	(void)state;
	open_replica(&s);
	struct guid all = builtin_id(&s, GROUP_ALL_COMPUTERS);
	struct told *x = tell(&s);
	say_group(x, fx_guid(1), "one", all);
	say_deployment(x, 51, 1, 1, fx_guid(1));
	take(&s, &x->r, true);
	uint32_t no = group_no(&s, "one");
	x->groups[3].Name = SL("Eins");
	assert_int_equal(take(&s, &x->r, true).groups, 1);
	assert_int_equal(group_no(&s, "eins"), no);
	assert_int_equal(group_no(&s, "one"), 0);
	assert_false(deployed(&s, 1, 1, no).dead);
	x = tell(&s);
	say_group(x, fx_guid(2), "one", all);
	struct replica_report r = take(&s, &x->r, false);
	assert_int_equal(r.groups, 2);
	assert_true(deployed(&s, 1, 1, no).dead);
	uint64_t rows;
	OK(db_count(fx_begin(&s.f, TXN_READ), DB_MIRROR, &rows, &fx_err));
	assert_int_equal(rows, 0);
	txn_end(&s.f.t);
	assert_sound(&s);
	server_close(&s);
}

static void whatever_changes_of_a_deployment_is_a_change(void **state)
{
	struct server s;
	(void)state;
	open_replica(&s);
	struct guid all = builtin_id(&s, GROUP_ALL_COMPUTERS);
	struct told *x = tell(&s);
	say_deployment(x, 51, 1, 1, all);
	take(&s, &x->r, true);
	struct ServerSyncDeployment *d = &x->deployments[0];
	for (int i = 0; i < 6; i++) {
		uint32_t epoch = epoch_of(&s);
		d->Deadline = i == 0 ? FIXTURE_NOW : d->Deadline;
		d->AdminName = i == 1 ? SL("other") : d->AdminName;
		d->GoLiveTime += i == 2;
		d->Action = i == 3 ? 1 : d->Action;
		d->IsAssigned = i == 4 ? false : d->IsAssigned;
		d->DownloadPriority = i == 5 ? 3 : d->DownloadPriority;
		assert_int_equal(take(&s, &x->r, i % 2).deployments, 1);
		assert_int_equal(epoch_of(&s), epoch + 1); /* our own replicas hear of it */
		assert_nothing(take(&s, &x->r, i % 2));
	}
	server_close(&s);
}

static void several_revisions_of_an_update_are_mirrored_as_they_are(void **state)
{
	struct server s;
	(void)state;
	open_replica(&s);
	struct guid all = builtin_id(&s, GROUP_ALL_COMPUTERS);
	struct told *x = tell(&s);
	say_deployment(x, 51, 1, 1, all);
	say_deployment(x, 52, 1, 2, all);
	assert_int_equal(take(&s, &x->r, true).deployments, 2);
	assert_true(!deployed(&s, 1, 1, GROUP_ALL_COMPUTERS).dead && !deployed(&s, 1, 2, GROUP_ALL_COMPUTERS).dead);
	assert_sound(&s);
	assert_nothing(take(&s, &x->r, true));
	/* autonomous again, one approval is for one revision */
	fx_begin(&s.f, TXN_CATALOG);
	OK(setting_set(s.f.t, SL("upstream.mode"), SL("autonomous"), &fx_err));
	OK(unapprove(s.f.t, fx_update_no(s.f.t, 1), GROUP_ALL_COMPUTERS, ADMIN, &fx_err));
	IS(E_NOTFOUND, unapprove(s.f.t, fx_update_no(s.f.t, 1), GROUP_ALL_COMPUTERS, ADMIN, &fx_err));
	publish_now(&s);
	assert_sound(&s);
	server_close(&s);
}

static void one_that_died_does_not_take_along_another_at_its_place(void **state)
{
	struct server s;
	(void)state;
	open_replica(&s);
	struct guid all = builtin_id(&s, GROUP_ALL_COMPUTERS), unassigned = builtin_id(&s, GROUP_UNASSIGNED);
	struct told *x = tell(&s);
	say_deployment(x, 51, 1, 1, all);
	take(&s, &x->r, true);
	x = tell(&s);
	say_deployment(x, 52, 1, 1, all);
	assert_nothing(take(&s, &x->r, false));
	x = tell(&s);
	x->dead[x->r.DeadDeployments.n++] = fx_guid(51);
	x->dead[x->r.DeadDeployments.n++] = fx_guid(77); /* unknown */
	assert_nothing(take(&s, &x->r, false));
	assert_false(deployed(&s, 1, 1, GROUP_ALL_COMPUTERS).dead);
	x = tell(&s);
	say_deployment(x, 52, 1, 1, unassigned); /* the same one elsewhere */
	struct replica_report r = take(&s, &x->r, false);
	assert_true(r.deployments == 1 && r.ended == 1);
	assert_true(deployed(&s, 1, 1, GROUP_ALL_COMPUTERS).dead);
	x = tell(&s);
	x->dead[x->r.DeadDeployments.n++] = fx_guid(52);
	say_deployment(x, 53, 1, 1, unassigned); /* died and came anew in one answer: first one, then the other */
	take(&s, &x->r, false);
	assert_false(deployed(&s, 1, 1, GROUP_UNASSIGNED).dead);
	assert_sound(&s);
	server_close(&s);
}

static void what_cannot_be_is_left_out_and_what_lacks_its_revision_waits(void **state)
{
	struct server s;
	struct UpdateIdentity *lacks;
	size_t n;
	(void)state;
	open_replica(&s);
	struct guid all = builtin_id(&s, GROUP_ALL_COMPUTERS);
	struct told *x = tell(&s);
	say_deployment(x, 51, 1, 1, fx_guid(999));
	say_deployment(x, 52, 1, 1, all);
	x->deployments[1].Action = 4;
	say_deployment(x, 53, 1, 2, all);
	x->deployments[2].DownloadPriority = 0;
	say_deployment(x, 54, 2, 3, all); /* not here yet */
	say_deployment(x, 55, 2, 3, all);
	say_deployment(x, 56, 7, 1, all);
	OK(replica_lacks(fx_begin(&s.f, TXN_READ), &x->r, &arena, &lacks, &n, &fx_err));
	txn_end(&s.f.t);
	assert_int_equal(n, 2);
	assert_true(update_of(&lacks[0].UpdateID) == 2 && lacks[0].RevisionNumber == 3 && update_of(&lacks[1].UpdateID) == 7);
	struct replica_report r = take(&s, &x->r, true);
	assert_int_equal(r.skipped, 3);
	assert_int_equal(r.lacking, 3);
	assert_int_equal(r.deployments, 0);
	assert_sound(&s);
	fx_begin(&s.f, TXN_CATALOG);
	stage(&s, 2, 3);
	stage(&s, 7, 1);
	publish_now(&s);
	x = tell(&s);
	x->dead[x->r.DeadDeployments.n++] = fx_guid(56); /* it died before its revision came */
	r = take(&s, &x->r, false);
	assert_int_equal(r.lacking, 0);
	assert_false(deployed(&s, 2, 3, GROUP_ALL_COMPUTERS).dead);
	assert_true(deployed(&s, 7, 1, GROUP_ALL_COMPUTERS).dead);
	assert_nothing(take(&s, &tell(&s)->r, false));
	assert_sound(&s);
	server_close(&s);
}

/* The numbers of the wire are ours, and back; times that mean none do. */
static void each_action_and_priority_is_the_one_that_was_written(void **state)
{
	struct server s;
	(void)state;
	open_replica(&s);
	struct guid all = builtin_id(&s, GROUP_ALL_COMPUTERS);
	static const struct {
		int32_t action;
		bool assigned;
		enum action is;
	} table[] = {{0, true, ACT_INSTALL}, {0, false, ACT_OPTIONAL_INSTALL}, {1, true, ACT_UNINSTALL}, {2, true, ACT_PREDEPLOYMENT_CHECK},
		{2, false, ACT_PREDEPLOYMENT_CHECK}, {3, true, ACT_BLOCK}};
	static const enum priority priorities[] = {PRIO_LOW, PRIO_NORMAL, PRIO_HIGH};
	for (size_t i = 0; i < COUNTOF(table); i++) {
		struct told *x = tell(&s);
		say_deployment(x, 51, 1, 1, all);
		x->deployments[0].Action = table[i].action;
		x->deployments[0].IsAssigned = table[i].assigned;
		x->deployments[0].DownloadPriority = (uint8_t)(1 + i % 3);
		x->deployments[0].Deadline = i % 2 ? TICK_MAX_YEAR9999 - 3600 * TICKS_PER_SECOND : FIXTURE_NOW;
		x->deployments[0].GoLiveTime = i % 2 ? -5 : FIXTURE_NOW + 1;
		assert_int_equal(take(&s, &x->r, false).deployments, 1);
		struct deployment d = deployed(&s, 1, 1, GROUP_ALL_COMPUTERS);
		assert_int_equal(d.action, table[i].is);
		assert_int_equal(d.assigned, table[i].assigned);
		assert_int_equal(d.priority, priorities[i % 3]);
		assert_int_equal(d.deadline, i % 2 ? 0 : FIXTURE_NOW);
		assert_int_equal(d.go_live, i % 2 ? 0 : FIXTURE_NOW + 1);
	}
	server_close(&s);
}

/* partly: WSUSSS-DEPLOYMENTS-22 (that scans obey what waits is t_publish) */
static void a_replica_judges_for_itself_what_its_deployments_wait_for(void **state)
{
	struct server s;
	(void)state;
	server_open(&s, "http://parent.example.net:8530");
	fx_begin(&s.f, TXN_CATALOG);
	stage(&s, 3, 1); /* with a licence and a file */
	publish_now(&s);
	struct guid all = builtin_id(&s, GROUP_ALL_COMPUTERS);
	struct told *x = tell(&s);
	say_deployment(x, 51, 3, 1, all);
	x->deployments[0].GoLiveTime = time_now() + 3600 * TICKS_PER_SECOND;
	take(&s, &x->r, true);
	assert_int_equal(deployed(&s, 3, 1, GROUP_ALL_COMPUTERS).waiting, WAIT_FILES | WAIT_EULA | WAIT_GOLIVE);
	x = tell(&s);
	x->eulas[x->r.AcceptedEulas.n++] = fx_guid(103);
	say_deployment(x, 51, 3, 1, all);
	x->deployments[0].GoLiveTime = time_now() - 1;
	assert_int_equal(take(&s, &x->r, false).eulas, 1);
	assert_int_equal(deployed(&s, 3, 1, GROUP_ALL_COMPUTERS).waiting, WAIT_FILES);
	assert_nothing(take(&s, &tell(&s)->r, false)); /* a licence that is accepted stays so */
	assert_int_equal(deployed(&s, 3, 1, GROUP_ALL_COMPUTERS).waiting, WAIT_FILES);
	server_close(&s);
}

static void declined_updates_are_those_of_the_list_and_have_no_approvals(void **state)
{
	struct server s;
	struct update u;
	(void)state;
	open_replica(&s);
	struct guid all = builtin_id(&s, GROUP_ALL_COMPUTERS);
	struct told *x = tell(&s);
	x->hidden[x->r.HiddenUpdates.n++] = fx_guid(88); /* not here */
	x->hidden[x->r.HiddenUpdates.n++] = fx_guid(1);
	x->hidden[x->r.HiddenUpdates.n++] = fx_guid(1);
	say_deployment(x, 51, 1, 1, all); /* as another kind of server may leave it */
	say_deployment(x, 52, 2, 1, all);
	struct replica_report r = take(&s, &x->r, true);
	assert_true(r.hidden == 1 && r.deployments == 1 && r.lacking == 0);
	fx_begin(&s.f, TXN_READ);
	OK(update_get(s.f.t, fx_update_no(s.f.t, 1), &u, &fx_err));
	assert_true(u.declined && slice_eq(u.declined_by, SL("http://parent.example.net:8530")));
	txn_end(&s.f.t);
	assert_nothing(take(&s, &x->r, true));
	assert_true(deployed(&s, 1, 1, GROUP_ALL_COMPUTERS).dead);
	assert_int_equal(take(&s, &tell(&s)->r, false).hidden, 1);
	fx_begin(&s.f, TXN_READ);
	OK(update_get(s.f.t, fx_update_no(s.f.t, 1), &u, &fx_err));
	assert_false(u.declined);
	txn_end(&s.f.t);
	assert_sound(&s);
	server_close(&s);
}

/* ---- policy of its own ---- */

static void make_policy(struct server *s)
{
	uint32_t no;
	fx_begin(&s->f, TXN_CATALOG);
	OK(group_create(s->f.t, SL("own"), 0, &no, &fx_err));
	struct approval a = {.revision = revision_of(s, 1, 1), .group = no, .assigned = true, .admin = ADMIN};
	OK(approve(s->f.t, &a, &fx_err));
	a = (struct approval){.revision = revision_of(s, 1, 1), .group = GROUP_ALL_COMPUTERS, .assigned = true, .admin = ADMIN};
	OK(approve(s->f.t, &a, &fx_err));
	OK(update_decline(s->f.t, fx_update_no(s->f.t, 2), true, ADMIN, &fx_err));
	OK(assign_set(s->f.t, SL("a-computer"), &no, 1, &fx_err));
	publish_now(s);
}

static void mode(struct server *s, const char *word)
{
	fx_begin(&s->f, TXN_CATALOG);
	OK(setting_set(s->f.t, SL("upstream.mode"), slice_of(word), &fx_err));
	fx_commit(&s->f);
}

static struct replica_local local_of(struct server *s)
{
	struct replica_local l;
	OK(replica_local(fx_begin(&s->f, TXN_READ), &l, &fx_err));
	txn_end(&s->f.t);
	return l;
}

static void a_full_answer_ends_what_was_made_here(void **state)
{
	struct server s;
	uint32_t *groups;
	size_t n;
	(void)state;
	open_replica(&s);
	mode(&s, "autonomous");
	make_policy(&s);
	mode(&s, "replica");
	struct replica_local l = local_of(&s);
	assert_true(l.groups == 1 && l.approvals == 2 && l.declines == 1);
	struct guid all = builtin_id(&s, GROUP_ALL_COMPUTERS);
	struct told *x = tell(&s);
	say_deployment(x, 51, 1, 2, all);
	struct replica_report r = take(&s, &x->r, true);
	assert_true(r.groups == 1 && r.deployments == 1 && r.ended == 1 && r.hidden == 1);
	assert_int_equal(group_no(&s, "own"), 0);
	assert_true(deployed(&s, 1, 1, GROUP_ALL_COMPUTERS).dead && !deployed(&s, 1, 2, GROUP_ALL_COMPUTERS).dead);
	OK(assign_get(fx_begin(&s.f, TXN_READ), SL("a-computer"), &groups, &n, &fx_err));
	assert_int_equal(n, 0);
	txn_end(&s.f.t);
	l = local_of(&s);
	assert_true(l.groups + l.approvals + l.declines == 0);
	assert_sound(&s);
	server_close(&s);
}

struct outcome {
	const char *what;
	int rc;
	struct err e;
};

/* holds: WSUSSS-ADM-26 */
static void a_replica_makes_no_policy_of_its_own_and_says_where_to(void **state)
{
	struct server s;
	struct guid eula = fx_guid(103);
	(void)state;
	open_replica(&s);
	mode(&s, "autonomous");
	make_policy(&s);
	uint32_t own = group_no(&s, "own"), no;
	mode(&s, "replica");
	fx_begin(&s.f, TXN_CATALOG);
	struct approval a = {.revision = revision_of(&s, 1, 1), .group = GROUP_UNASSIGNED, .admin = ADMIN};
	struct outcome v[] = {{.what = "approve"}, {.what = "take approvals back"}, {.what = "decline"}, {.what = "take declines back"},
		{.what = "accept licences"}, {.what = "create groups"}, {.what = "move groups"}, {.what = "delete groups"}};
	v[0].rc = approve(s.f.t, &a, &v[0].e);
	v[1].rc = unapprove(s.f.t, fx_update_no(s.f.t, 1), own, ADMIN, &v[1].e);
	v[2].rc = update_decline(s.f.t, fx_update_no(s.f.t, 1), true, ADMIN, &v[2].e);
	v[3].rc = update_decline(s.f.t, fx_update_no(s.f.t, 2), false, ADMIN, &v[3].e);
	v[4].rc = eula_accept(s.f.t, &eula, ADMIN, &v[4].e);
	v[5].rc = group_create(s.f.t, SL("other"), 0, &no, &v[5].e);
	v[6].rc = group_move(s.f.t, own, 0, &v[6].e);
	v[7].rc = group_delete(s.f.t, own, &v[7].e);
	for (size_t i = 0; i < COUNTOF(v); i++) {
		char words[128];
		snprintf(words, sizeof(words), "replica of http://parent.example.net:8530: to %s, do it there", v[i].what);
		assert_int_equal(v[i].rc, E_REFUSED);
		assert_non_null(strstr(v[i].e.text, words));
	}
	OK(assign_set(s.f.t, SL("a-computer"), &(uint32_t){GROUP_UNASSIGNED}, 1, &fx_err)); /* computers stay ours */
	OK(setting_set(s.f.t, SL("upstream.url"), SL(""), &fx_err)); /* a replica of nobody is none */
	OK(group_delete(s.f.t, own, &fx_err));
	fx_commit(&s.f);
	server_close(&s);
}

struct text {
	char v[4000];
};

static void keep_line(const char *text, void *arg)
{
	struct text *x = arg;
	size_t n = strlen(x->v);
	snprintf(x->v + n, sizeof(x->v) - n, "%s\n", text);
}

/* What a reset keeps is laid over a replica, too; approvals that wait for their revision end with the parent's list. */
static void kept_policy_passes_and_gives_way(void **state)
{
	struct server s;
	struct text kept = {""};
	unsigned count[POLICY__N];
	(void)state;
	open_replica(&s);
	mode(&s, "autonomous");
	make_policy(&s);
	mode(&s, "replica");
	fx_begin(&s.f, TXN_READ);
	for (enum policy kind = 0; kind < POLICY__N; kind++)
		OK(policy_lines(s.f.t, kind, keep_line, &kept, &fx_err));
	txn_end(&s.f.t);
	server_close(&s);
	server_open(&s, NULL);
	fx_begin(&s.f, TXN_CATALOG);
	OK(policy_lay(s.f.t, slice_of(kept.v), count, &fx_err));
	assert_true(count[POLICY_GROUPS] == 1 && count[POLICY_APPROVALS] == 2 && count[POLICY_DECLINES] == 1);
	IS(E_REFUSED, policy_is_local(s.f.t, "to approve", &fx_err));
	stage(&s, 1, 1);
	publish_now(&s);
	assert_false(deployed(&s, 1, 1, GROUP_ALL_COMPUTERS).dead); /* clients keep what they had until the parent answers */
	fx_begin(&s.f, TXN_CATALOG);
	OK(policy_lay(s.f.t, SL("approval 11223344-5566-4788-99aa-000000000002 1 1 0 0 1 0 0 tester\n"), count, &fx_err));
	fx_commit(&s.f);
	assert_int_equal(take(&s, &tell(&s)->r, true).ended, 1);
	fx_begin(&s.f, TXN_CATALOG);
	stage(&s, 2, 1);
	publish_now(&s);
	assert_true(deployed(&s, 2, 1, GROUP_ALL_COMPUTERS).dead);
	assert_sound(&s);
	server_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
		TEST(whatever_happens_at_the_parent_the_replica_has_its_policy),
		TEST(groups_that_cannot_be_are_refused_in_words_and_nothing_is_changed),
		TEST(groups_change_names_and_places_in_one_answer_in_any_order),
		TEST(a_group_that_only_gets_another_name_keeps_all_else),
		TEST(whatever_changes_of_a_deployment_is_a_change),
		TEST(several_revisions_of_an_update_are_mirrored_as_they_are),
		TEST(one_that_died_does_not_take_along_another_at_its_place),
		TEST(what_cannot_be_is_left_out_and_what_lacks_its_revision_waits),
		TEST(each_action_and_priority_is_the_one_that_was_written),
		TEST(a_replica_judges_for_itself_what_its_deployments_wait_for),
		TEST(declined_updates_are_those_of_the_list_and_have_no_approvals),
		TEST(a_full_answer_ends_what_was_made_here),
		TEST(a_replica_makes_no_policy_of_its_own_and_says_where_to),
		TEST(kept_policy_passes_and_gives_way),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
