/* report_audit.c -- the counts against what they count: all statuses of all computers, added up again.
 *
 * Statuses are added up in memory, for some cohorts at a time where there are many. */
#include <stdlib.h>

#include "store/env.h"
#include "store/tally.h"
#include "store/update_status.h"

#define AUDIT_MEMORY ((size_t)1 << 30)
#define PASS_BLOCKS ((size_t)512 << 20) /* of sums in memory at once, at the most */

struct counted {
	struct cohort is, sum;
};
struct counted_os {
	uint32_t no, is, sum;
};
struct report_check {
	struct txn *t;
	struct auditor *to;
	struct err *e;
	struct arena arena;
	struct settings set;
	bool behind; /* policy has gone on: who is where may differ for a while */
	struct counted *cohort; /* by number; the first is COHORT_ALL */
	size_t ncohorts, cohort_cap;
	struct counted_os *os; /* by number */
	size_t nos, os_cap;
	uint32_t updates; /* highest UpdateNo */
	struct tally_sums sums;
	unsigned pass, passes;
};

/* ================= rows ================= */

static bool computer_is_there(struct report_check *a, struct slice key)
{
	struct slice v;
	return db_get(a->t, DB_COMPUTER, key, &v) == E_OK;
}

static int check_standing(struct slice key, struct slice value, void *arg)
{
	struct report_check *a = arg;
	if (!standing_row_good(key, value))
		audit_say(a->to, "how computer %.*s stands cannot be read", SLF(key));
	else if (!computer_is_there(a, key))
		audit_say(a->to, "there is a standing of computer %.*s, which is not there", SLF(key));
	return E_OK;
}

static int check_status(struct slice key, struct slice value, void *arg)
{
	struct report_check *a = arg;
	if (!status_row_good(key, value))
		audit_say(a->to, "the statuses of computer %.*s cannot be read", SLF(key));
	else if (!computer_is_there(a, key))
		audit_say(a->to, "there are statuses of computer %.*s, which is not there", SLF(key));
	return E_OK;
}

static int check_tally(struct slice key, struct slice value, void *arg)
{
	struct report_check *a = arg;
	struct tally_counts counts;
	struct slice v;
	struct slice cohort = {key.p, 4};
	if (key.n != 8 || tally_decode(value, &counts) != E_OK)
		audit_say(a->to, "a row of the counts of updates cannot be read");
	else if (db_get(a->t, DB_COHORT, cohort, &v) != E_OK)
		audit_say(a->to, "there are counts of updates of cohort %u, which is not there", (unsigned)get_be32(key.p));
	return E_OK;
}

static int check_cohort(struct slice key, struct slice value, void *arg)
{
	struct report_check *a = arg;
	struct cohort c;
	if (key.n != 4 || cohort_decode(get_be32(key.p), value, &c) != E_OK) {
		audit_say(a->to, "the counts of a cohort cannot be read");
		return E_OK;
	}
	struct counted *v = ARENA_MORE(&a->arena, a->cohort, a->ncohorts, &a->cohort_cap);
	if (!v)
		return E_NOMEM;
	a->cohort = v;
	a->cohort[a->ncohorts++] = (struct counted){.is = c, .sum = {.no = c.no}};
	uint8_t groups[4 * LIMIT_CLIENT_GROUPS];
	struct slice named, by = {(const char *)groups, (size_t)4 * c.ngroups};
	for (unsigned i = 0; i < c.ngroups; i++)
		put_be32(groups + (size_t)4 * i, c.group[i]);
	if (c.no != COHORT_ALL && (c.ngroups == 0 || db_get(a->t, DB_COHORT_OF, by, &named) != E_OK || !slice_eq(named, key)))
		audit_say(a->to, "the groups of cohort %u do not lead to it", (unsigned)c.no);
	return E_OK;
}

static int check_cohort_of(struct slice key, struct slice value, void *arg)
{
	struct report_check *a = arg;
	struct cohort c;
	bool same = value.n == 4 && cohort_get(a->t, get_be32(value.p), &c) == E_OK && key.n == (size_t)4 * c.ngroups;
	for (unsigned i = 0; same && i < c.ngroups; i++)
		same = get_be32(key.p + (size_t)4 * i) == c.group[i];
	if (!same)
		audit_say(a->to, "a set of groups leads to a cohort that is not its own");
	return E_OK;
}

static int check_os(struct slice key, struct slice value, void *arg)
{
	(void)value;
	struct report_check *a = arg;
	struct os_info os;
	struct os_fields fields;
	if (key.n != 4 || os_get(a->t, get_be32(key.p), &os) != E_OK || os_fields(os.tuple, &fields) != E_OK) {
		audit_say(a->to, "the record of an operating system cannot be read");
		return E_OK;
	}
	struct counted_os *v = ARENA_MORE(&a->arena, a->os, a->nos, &a->os_cap);
	if (!v)
		return E_NOMEM;
	a->os = v;
	a->os[a->nos++] = (struct counted_os){os.no, os.computers, 0};
	return E_OK;
}

static int check_os_of(struct slice key, struct slice value, void *arg)
{
	struct report_check *a = arg;
	struct os_info os;
	if (key.n != sizeof(struct sha256) || value.n != 4 || os_get(a->t, get_be32(value.p), &os) != E_OK)
		audit_say(a->to, "a digest leads to an operating system that is not there");
	return E_OK;
}

static int check_activity(struct slice key, struct slice value, void *arg)
{
	struct report_check *a = arg;
	struct os_info os;
	struct rec r = rec_of(value, 1);
	rec_u64(&r);
	if (key.n != 40 || rec_end(&r) != E_OK)
		audit_say(a->to, "counted installations of an update cannot be read");
	else if (get_be32(key.p + 16) != 0 && os_get(a->t, get_be32(key.p + 16), &os) != E_OK)
		audit_say(a->to, "installations are counted for operating system %u, which is not there", (unsigned)get_be32(key.p + 16));
	return E_OK;
}

/* ================= computers ================= */

static struct counted *find_cohort(const struct report_check *a, uint32_t no)
{
	size_t low = 0, high = a->ncohorts;
	while (low < high) {
		size_t mid = (low + high) / 2;
		if (a->cohort[mid].is.no == no)
			return &a->cohort[mid];
		if (a->cohort[mid].is.no < no)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

static void count_os(struct report_check *a, const struct computer *c, uint32_t no)
{
	for (size_t i = 0; i < a->nos; i++)
		if (a->os[i].no == no) {
			a->os[i].sum++;
			return;
		}
	if (no != 0)
		audit_say(a->to, "computer %.*s has operating system %u, which is not there", SLF(c->id), (unsigned)no);
}

static void check_place(struct report_check *a, const struct computer *c, const struct cohort *of)
{
	uint32_t group[LIMIT_CLIENT_GROUPS];
	unsigned n = 0;
	if (a->behind || direct_groups_get(a->t, &a->set, c->id, group, &n, NULL) != E_OK)
		return;
	if (n != of->ngroups || memcmp(group, of->group, n * sizeof(*group)) != 0)
		audit_say(a->to, "computer %.*s is counted in other groups than it is in", SLF(c->id));
}

static void check_figures(struct report_check *a, const struct computer *c, const struct standing *s)
{
	uint32_t count[STATUS__N], hidden, highest;
	if (status_figures(a->t, c->id, count, &hidden, &highest) != E_OK)
		return; /* told with the rows */
	if (memcmp(count + TALLY_FIRST, s->count + TALLY_FIRST, TALLY_KEPT * sizeof(*count)) != 0 || hidden != s->hidden)
		audit_say(a->to, "computer %.*s has other updates than its standing counts", SLF(c->id));
	if (highest > a->updates)
		audit_say(a->to, "computer %.*s has a status of update %u, which is not there", SLF(c->id), (unsigned)highest);
}

static const struct {
	size_t at;
	const char *what;
} figures[] = {
	{offsetof(struct cohort, computers), "computers"},
	{offsetof(struct cohort, reported), "computers that reported"},
	{offsetof(struct cohort, needing), "computers that need updates"},
	{offsetof(struct cohort, failed), "computers with failures"},
	{offsetof(struct cohort, up_to_date), "computers that are up to date"},
	{offsetof(struct cohort, pending), "computers that wait for a restart"},
	{offsetof(struct cohort, sync_failed), "computers that could not synchronize"},
	{offsetof(struct cohort, updates_needed), "updates that are needed"},
	{offsetof(struct cohort, updates_failed), "updates that failed"},
};

static uint32_t *figure(struct cohort *c, size_t i)
{
	return (uint32_t *)((char *)c + figures[i].at);
}

static void add_to(struct counted *to, struct cohort *one)
{
	for (size_t i = 0; to && i < COUNTOF(figures); i++)
		*figure(&to->sum, i) += *figure(one, i);
}

static int check_computer(const struct computer *c, const struct standing *s, void *arg)
{
	struct report_check *a = arg;
	struct counted *of = s->cohort ? find_cohort(a, s->cohort) : NULL;
	struct cohort one = cohort_of_one(s);
	if (of) {
		add_to(of, &one);
		add_to(find_cohort(a, COHORT_ALL), &one);
		count_os(a, c, s->os);
		check_place(a, c, &of->is);
		check_figures(a, c, s);
	} else if (!a->behind) {
		audit_say(a->to, "computer %.*s is not counted", SLF(c->id));
	}
	arena_reset(txn_arena(a->t));
	return E_OK;
}

/* ================= updates ================= */

struct adding {
	struct report_check *a;
	uint32_t cohort;
	bool all, good;
};

static int add_status(const struct status_row *r, void *arg)
{
	struct adding *w = arg;
	struct tally_sums *s = &w->a->sums;
	w->good = tally_sums_add(s, w->cohort, r->update_no, r->status, 1);
	return w->good ? 0 : 1;
}

static int add_status_to_all(const struct status_row *r, void *arg)
{
	struct adding *w = arg;
	w->good = tally_sums_add(&w->a->sums, COHORT_ALL, r->update_no, r->status, 1);
	return w->good ? 0 : 1;
}

static int add_statuses(const struct computer *c, const struct standing *s, void *arg)
{
	struct report_check *a = arg;
	struct adding w = {.a = a, .cohort = s->cohort, .good = true};
	struct counted *of = s->cohort ? find_cohort(a, s->cohort) : NULL;
	if (!of)
		return E_OK;
	int rc = E_OK;
	if ((size_t)(of - a->cohort) % a->passes == a->pass)
		rc = status_each(a->t, c->id, add_status, &w, NULL);
	if (w.good && a->pass == 0)
		rc = status_each(a->t, c->id, add_status_to_all, &w, NULL);
	(void)rc; /* a row that cannot be read is told with the rows */
	arena_reset(txn_arena(a->t));
	return w.good ? E_OK : E_NOMEM;
}

static void compare_block(struct report_check *a, uint32_t cohort, uint32_t chunk, const struct tally_counts *is)
{
	const struct tally_block *b = tally_sums_find(&a->sums, cohort, chunk);
	for (unsigned i = 0; i < TALLY_CHUNK; i++)
		for (unsigned k = 0; k < TALLY_KEPT; k++) {
			uint32_t sum = b ? (uint32_t)b->by[i][k] : 0;
			if (sum == is->by[i][k])
				continue;
			audit_say(a->to, "cohort %u counts %u computers that have update %u %s, there are %u", (unsigned)cohort, (unsigned)is->by[i][k],
				(unsigned)(chunk * TALLY_CHUNK + i), update_status_names[TALLY_FIRST + k], (unsigned)sum);
			return; /* one of a row tells enough */
		}
}

static bool of_this_pass(struct report_check *a, uint32_t cohort)
{
	struct counted *c = find_cohort(a, cohort);
	return c && (cohort == COHORT_ALL ? a->pass == 0 : (size_t)(c - a->cohort) % a->passes == a->pass);
}

static int compare_row(struct slice key, struct slice value, void *arg)
{
	struct report_check *a = arg;
	struct tally_counts counts;
	if (key.n == 8 && tally_decode(value, &counts) == E_OK && of_this_pass(a, get_be32(key.p)))
		compare_block(a, get_be32(key.p), get_be32(key.p + 4), &counts);
	return E_OK;
}

/* What nobody wrote down; and how many updates have what. */
static void compare_sums(struct report_check *a)
{
	static const struct tally_counts none;
	for (size_t i = 0; i < a->sums.slots; i++) {
		const struct tally_block *b = a->sums.slot[i];
		struct slice v;
		if (!b)
			continue;
		struct key k = key_u32_u32(b->cohort, b->chunk);
		struct counted *c = find_cohort(a, b->cohort);
		if (db_get(a->t, DB_TALLY, key_bytes(&k), &v) == E_NOTFOUND)
			compare_block(a, b->cohort, b->chunk, &none);
		for (unsigned at = 0; c && at < TALLY_CHUNK; at++) {
			c->sum.updates_needed += tally_needed((const uint32_t *)b->by[at]);
			c->sum.updates_failed += tally_failed((const uint32_t *)b->by[at]);
		}
	}
}

static int check_updates(struct report_check *a)
{
	uint64_t chunks = a->updates / TALLY_CHUNK + 1;
	size_t room = PASS_BLOCKS / sizeof(struct tally_block) / chunks;
	int rc = E_OK;
	a->passes = (unsigned)(a->ncohorts / MAX(room, 1) + 1);
	for (a->pass = 0; rc == E_OK && a->pass < a->passes; a->pass++) {
		tally_sums_init(&a->sums, PASS_BLOCKS * 2); /* and the table that leads to them */
		rc = standing_each(a->t, add_statuses, a, a->e);
		if (rc == E_OK)
			rc = db_each(a->t, DB_TALLY, SL(""), compare_row, a, a->e);
		if (rc == E_OK)
			compare_sums(a);
		tally_sums_free(&a->sums);
	}
	return rc;
}

/* ================= all of it ================= */

static void compare_figures(struct report_check *a)
{
	for (size_t c = 0; c < a->ncohorts; c++)
		for (size_t i = 0; i < COUNTOF(figures); i++)
			if (*figure(&a->cohort[c].is, i) != *figure(&a->cohort[c].sum, i))
				audit_say(a->to, "cohort %u counts %u %s, there are %u", (unsigned)a->cohort[c].is.no, (unsigned)*figure(&a->cohort[c].is, i),
					figures[i].what, (unsigned)*figure(&a->cohort[c].sum, i));
	for (size_t i = 0; i < a->nos; i++)
		if (a->os[i].is != a->os[i].sum)
			audit_say(a->to, "operating system %u counts %u computers, there are %u", (unsigned)a->os[i].no, (unsigned)a->os[i].is,
				(unsigned)a->os[i].sum);
}

static int check_all(struct report_check *a)
{
	static const struct {
		enum db db;
		db_row_fn *row;
	} rows[] = {
		{DB_STANDING, check_standing}, {DB_STATUS, check_status},       {DB_COHORT, check_cohort}, {DB_COHORT_OF, check_cohort_of},
		{DB_TALLY, check_tally},       {DB_OS, check_os},               {DB_OS_OF, check_os_of},   {DB_ACTIVITY, check_activity},
	};
	int rc = settings_get(a->t, &a->set, a->e);
	for (size_t i = 0; rc == E_OK && i < COUNTOF(rows); i++)
		rc = db_each(a->t, rows[i].db, SL(""), rows[i].row, a, a->e);
	if (rc == E_OK && a->ncohorts > 0 && a->cohort[0].is.no != COHORT_ALL)
		audit_say(a->to, "nothing is counted for the server as a whole");
	if (rc != E_OK || a->to->n > 0)
		return rc; /* what cannot be read cannot be added up */
	rc = standing_each(a->t, check_computer, a, a->e);
	if (rc == E_OK)
		rc = check_updates(a);
	if (rc == E_OK)
		compare_figures(a);
	return rc;
}

int report_audit(struct txn *t, struct auditor *to, struct err *e)
{
	struct report_check a = {.t = t, .to = to, .e = e, .behind = membership_behind(t),
		.updates = counter_last(t, COUNT_UPDATE)};
	if (!t->mdb[CATALOG] || !t->mdb[FLEET])
		return E_OK;
	struct arena lent = *txn_arena(t); /* emptied after each computer: not the caller's */
	arena_init(txn_arena(t), LIMIT_REQUEST_MEMORY);
	arena_init(&a.arena, AUDIT_MEMORY);
	int rc = check_all(&a);
	arena_free(&a.arena);
	arena_free(txn_arena(t));
	*txn_arena(t) = lent;
	return rc == E_NOMEM ? err_set(e, E_NOMEM, "out of memory for the audit of reports") : rc;
}
