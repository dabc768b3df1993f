/* m_fact.c -- facts of updates and their counters against the rules: random histories on a real store (history.h).
 *
 * While the catalog and the policy change, after each publish what is kept is compared with what the rows say, computed here
 * update by update in the most obvious way. */
#define MODEL_NAME "m_fact"
#define HISTORIES 1500
#include "store/fact.h"
#include "store/parent.h"
#include "test/model/history.h"

static bool mandatory[M_REVISIONS];
static struct {
	uint64_t compared, seen[16];
} did;

/* ================= the rules once more ================= */

struct wanted_files {
	bool failed, missing; /* one could not be fetched; one is not here that content.download = all wants */
};

static int judge_file(const struct revision_file *rf, void *arg)
{
	struct wanted_files *w = arg;
	struct file f;
	struct fetch fetch;
	OK(file_get(h.t, &rf->digest, &f, &err));
	bool failed = fetch_get(h.t, &rf->digest, &fetch) == E_OK && fetch.state == FETCH_FAILED;
	if (f.stored || h.set.content_store == CONTENT_MICROSOFT)
		return E_OK;
	w->failed |= failed;
	w->missing |= h.set.content_download == DOWNLOAD_ALL && (!f.express || h.set.content_express);
	return E_OK;
}

static void judge_below(int id, bool *been, struct wanted_files *w)
{
	if (been[id])
		return;
	been[id] = true;
	OK(revision_files_each(h.t, id, judge_file, w, &err));
	for (int i = 0; i < h.m.rev[id].members; i++)
		for (int other = 1; other <= h.m.top; other++)
			if (h.m.rev[other].there && h.m.rev[other].update == h.m.rev[id].member[i].update &&
				h.m.rev[other].number == h.m.rev[id].member[i].number)
				judge_below(other, been, w);
}

static bool names_classification(int id)
{
	static const char *const serious[] = {"e6cf1350-c01b-414d-a61f-263d14d133b4", "0fa1201d-4330-4fa8-8ae9-b877473b6441"};
	const struct m_revision *r = &h.m.rev[id];
	for (int c = 0; c < r->clauses; c++)
		for (int i = 0; i < r->clause[c].n; i++)
			for (size_t s = 0; s < COUNTOF(serious); s++) {
				struct guid g;
				CHECK(text_guid(slice_of(serious[s]), &g), "a guid");
				if (guid_cmp(&g, &h.m.update[r->clause[c].alternative[i]].guid) == 0)
					return true;
			}
	return false;
}

static bool counts(int id, int update)
{
	return m_visible(&h.m, id) && h.m.rev[id].update == update && h.m.rev[id].type <= TYPE_DRIVER;
}

static uint32_t facts_of(int update)
{
	uint32_t facts = 0;
	int top = 0;
	bool live = false, been[M_REVISIONS] = {false}, can_be_approved = false;
	struct wanted_files w = {false, false};
	for (int id = 1; id <= h.m.top; id++)
		if (counts(id, update) && (top == 0 || h.m.rev[id].number > h.m.rev[top].number))
			top = id;
	for (int id = 1; id <= h.m.top; id++) {
		if (!counts(id, update))
			continue;
		can_be_approved |= h.m.rev[id].explicit;
		judge_below(id, been, &w);
		for (uint32_t g = 1; g <= h.group_top; g++) {
			struct deployment d;
			if (!h.m.dep[g][id].alive)
				continue;
			OK(deployment_get(h.t, g, id, &d));
			live = true;
			bool install = d.action == ACT_INSTALL || d.action == ACT_OPTIONAL_INSTALL;
			facts |= install ? FACT_INSTALL | FACT_APPROVED : 0;
			facts |= install && id != top ? FACT_STALE : 0;
			facts |= d.action == ACT_UNINSTALL ? FACT_APPROVED : 0;
			facts |= d.waiting & WAIT_FILES ? FACT_NEEDS_FILES : 0;
		}
	}
	if (!can_be_approved)
		return 0;
	facts |= h.m.update[update].declined ? FACT_DECLINED : 0;
	facts |= h.m.rev[top].expired && !live ? FACT_EXPIRED : 0;
	facts |= mandatory[top] ? FACT_INFRASTRUCTURE : 0;
	facts |= names_classification(top) ? FACT_CRITICAL : 0;
	facts |= w.failed ? FACT_SERVER_ERROR : 0;
	facts |= w.missing ? FACT_NEEDS_FILES : 0;
	return facts | FACT_UPDATE;
}

static void count(uint32_t n[SERVER_COUNT__N], uint32_t f)
{
	bool shown = !(f & FACT_DECLINED);
	n[COUNT_UPDATES] += (f & FACT_UPDATE) != 0;
	n[COUNT_DECLINED] += !shown;
	n[COUNT_APPROVED] += shown && f & FACT_APPROVED;
	n[COUNT_NOT_APPROVED] += f && shown && !(f & FACT_APPROVED);
	n[COUNT_STALE_APPROVALS] += shown && f & FACT_STALE;
	n[COUNT_EXPIRED] += (f & FACT_EXPIRED) != 0;
	n[COUNT_CRITICAL_NOT_APPROVED] += shown && f & FACT_CRITICAL && !(f & FACT_INSTALL);
	n[COUNT_INFRASTRUCTURE_NOT_APPROVED] += shown && f & FACT_INFRASTRUCTURE && !(f & FACT_INSTALL);
	n[COUNT_SERVER_ERRORS] += (f & FACT_SERVER_ERROR) != 0;
	n[COUNT_NEEDING_FILES] += (f & FACT_NEEDS_FILES) != 0;
	n[COUNT_UP_TO_DATE] += f && shown; /* nothing reports here */
}

/* ================= comparing ================= */

static uint32_t custom_groups(void)
{
	uint32_t n = 0;
	for (uint32_t g = GROUP_DOWNSTREAM + 1; g <= h.group_top; g++) {
		struct group v;
		n += group_get(h.t, g, &v, NULL) == E_OK;
	}
	return n;
}

/* holds: WSUSSS-DSS-ROLLUP-08 WSUSSS-DSS-ROLLUP-09 WSUSSS-DSS-ROLLUP-10 WSUSSS-DSS-ROLLUP-11 WSUSSS-DSS-ROLLUP-12
 * WSUSSS-DSS-ROLLUP-13 WSUSSS-DSS-ROLLUP-14 WSUSSS-DSS-ROLLUP-15 WSUSSS-DSS-ROLLUP-16 WSUSSS-DSS-ROLLUP-18 */
static void compare(void)
{
	uint32_t is[SERVER_COUNT__N], ought[SERVER_COUNT__N] = {0}, kept;
	struct auditor audit = {.found = found};
	begin(TXN_READ);
	for (int u = 0; u < h.m.updates; u++) {
		uint32_t f = facts_of(u);
		if (h.m.update[u].no == 0)
			continue;
		OK(fact_get(h.t, h.m.update[u].no, &kept));
		CHECK(kept == f, "update %d: its facts are %#x, not %#x", u, kept, f);
		count(ought, f);
		for (unsigned b = 0; b < 16; b++)
			did.seen[b] += f >> b & 1;
	}
	ought[COUNT_CUSTOM_GROUPS] = custom_groups();
	OK(server_counts(h.t, is, &err));
	for (int c = 0; c < SERVER_COUNT__N; c++)
		CHECK(is[c] == ought[c], "%s is %u, not %u", server_count_names[c], is[c], ought[c]);
	OK(fact_audit(h.t, &audit, &err));
	CHECK(audit.n == 0, "the audit says otherwise");
	did.compared++;
	end(false);
}

/* ================= histories ================= */

static void set_one(const char *name, const char *a, const char *b)
{
	OK(setting_set(h.t, slice_of(name), slice_of(chance(50) ? a : b), &err));
}

static void fetch_one(void)
{
	struct fetch f = {.digest = file_digest(rnd(FILES)), .state = (enum fetch_state)(FETCH_LOADING + rnd(3)), .tries = 1, .at = h.now,
		.next = h.now, .why = SL("because")};
	struct file there;
	if (file_get(h.t, &f.digest, &there, NULL) != E_OK)
		return;
	if (chance(25))
		OK(fetch_del(h.t, &f.digest, &err));
	else
		OK(fetch_put(h.t, &f, &err));
}

/* As import makes it: before anybody sees it. */
static void make_mandatory(void)
{
	int id = random_revision();
	struct revision v;
	if (id == 0 || h.m.rev[id].published)
		return;
	OK(revision_get(h.t, id, &v, &err));
	v.flags |= REV_INFRASTRUCTURE;
	OK(revision_put(h.t, &v, &err));
	mandatory[id] = true;
}

static void own(void)
{
	switch (rnd(8)) {
	case 0:
		set_one("content.download", "all", "approved");
		break;
	case 1:
		set_one("content.express", "true", "false");
		break;
	case 2:
		if (chance(30))
			set_one("content.store", "local", "microsoft");
		break;
	case 3:
		make_mandatory();
		break;
	default:
		fetch_one();
	}
}

static void begun(void)
{
	memset(mandatory, 0, sizeof(mandatory));
}

/* The two classifications are among the categories. */
static void name_categories(void)
{
	static const char *const ids[] = {"e6cf1350-c01b-414d-a61f-263d14d133b4", "0fa1201d-4330-4fa8-8ae9-b877473b6441"};
	size_t n = 0;
	for (int u = 0; u < h.m.updates && n < COUNTOF(ids); u++)
		if (h.m.update[u].type == TYPE_CATEGORY)
			CHECK(text_guid(slice_of(ids[n++]), &h.m.update[u].guid), "a guid");
}

static void live(void)
{
	int steps = 5 + rnd(20);
	for (int i = 6 + rnd(M_UPDATES - 6); i > 0; i--)
		add_update();
	name_categories();
	for (int i = 0; i < steps; i++) {
		change_and_publish(i == 0 ? 10 + rnd(30) : 1 + rnd(8));
		compare();
	}
}

int main(int argc, char **argv)
{
	static const struct history_hooks hooks = {NULL, NULL, begun, live};
	own_change = own;
	int rc = histories(argc, argv, &hooks);
	printf("%llu histories, %llu publishes, %llu times compared; facts seen:", (unsigned long long)ran.histories,
		(unsigned long long)ran.publishes, (unsigned long long)did.compared);
	for (unsigned b = 0; b < 10; b++)
		printf(" %llu", (unsigned long long)did.seen[b]);
	printf("; %llu audits\n", (unsigned long long)ran.audits);
	return rc;
}
