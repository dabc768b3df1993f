/* m_report.c -- what reports make of computers against the rules: random histories of batches on a real store.
 *
 * Several computers, their clocks off by nothing, minutes and years, report lists and single events, some of them again, some late,
 * and move between groups in between; some are deleted and come back.  The model has every status of every update and all that is
 * counted in plain arrays, and does what the rules REPORT-09 to -39 say, in the most obvious way.  Compared are all statuses, the
 * standings and the counts of each set of groups, after each batch.
 *
 *   m_report [--histories N] [--seed S]     S: the first history's number; a failure prints its own
 *
 * A history lives in one write transaction that is thrown away; every 50th commits each batch. */
#include <ftw.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/text.h"
#include "store/publish.h"
#include "store/report_parts.h"

#define UPDATES 12   /* the last two are not in the catalog */
#define KNOWN 10
#define COMPUTERS 5
#define GROUPS 3
#define EVENTS 12    /* of a batch */
#define SENT 400     /* of a computer in a history */
#define COMMITS_EVERY 50
#define MINUTE (60 * TICKS_PER_SECOND)
#define SHOWN ((tick_t)INT64_C(17911152000000000))

struct row {
	bool there, hidden;
	int status, hresult, event;
	tick_t at, failed_at;
};
struct pc {
	char id[32];
	unsigned life; /* how often it was deleted */
	bool there;
	unsigned groups; /* a bit each */
	struct row row[UPDATES + 1];
	struct standing s; /* count, cohort, os and texts unused */
	int version;       /* of G, 0: none */
	bool sent[SENT];
	tick_t off;        /* its clock's */
};
struct said {
	int id, update, hresult, name_space, instance, version;
	bool foreign;
	tick_t at;               /* as it is sent */
	bool in[STATUS__N][UPDATES + 1];
	tick_t when;             /* in the server's time */
	bool done;
};

static struct {
	uint64_t seed, rng;
	struct store *store;
	struct txn *t;
	bool commits;
	uint32_t no[UPDATES + 1]; /* UpdateNos, 0: unknown */
	uint32_t group[GROUPS];
	struct pc pc[COMPUTERS];
	tick_t now;
	char dir[256];
} h;
static struct {
	uint64_t histories, batches, events, repeated, late, lists, moves, counts;
} did;
static struct err err;

/* ================= helpers ================= */

static void PRINTF(2, 3) fail(int line, const char *fmt, ...)
{
	va_list ap;
	fprintf(stderr, "m_report.c:%d: history %llu: ", line, (unsigned long long)h.seed);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nagain: m_report --seed %llu --histories 1\n", (unsigned long long)h.seed);
	exit(1);
}
#define CHECK(x, ...) ((x) ? (void)0 : fail(__LINE__, __VA_ARGS__))

static void ok(int rc, const char *what)
{
	if (rc != E_OK)
		fail(__LINE__, "%s: %s (%s)", what, err_name(rc), err.text);
}
#define OK(call) ok((call), #call)

static uint64_t rnd64(void)
{
	uint64_t z = h.rng += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static int rnd(int n)
{
	return (int)(rnd64() % (uint64_t)n);
}

static bool chance(int percent)
{
	return rnd(100) < percent;
}

static struct guid update_guid(int update)
{
	struct guid g = {{0x77, 1}};
	put_be32(g.b + 12, (uint32_t)update);
	return g;
}

static void begin(void)
{
	if (!h.t)
		OK(txn_begin(h.store, TXN_FLEET, &h.t, &err));
}

static void end(void)
{
	if (h.commits)
		OK(txn_commit(&h.t, &err));
}

/* ================= the rules once more ================= */

static int status_of(int id)
{
	switch (id) {
	case 222: case 542:
		return 2;
	case 162: case 164:
		return 3;
	case 183: case 190: case 197:
		return 4;
	case 161: case 182: case 187: case 192: case 195: case 198: case 200: case 203: case 204: case 221: case 225: case 522: case 525:
	case 541: case 545:
		return 5;
	case 184: case 191: case 199:
		return 6;
	default:
		return 0;
	}
}

static bool counts_bad(int id)
{
	return status_of(id) == 5 && id != 161 && id != 221 && id != 225 && id != 541 && id != 545;
}

static bool is_list(int id)
{
	return id == 153 || id == 156;
}

static bool in_table(int id)
{
	static const int range[][2] = {{141, 141}, {145, 150}, {153, 154}, {156, 158}, {161, 170}, {181, 204}, {221, 225}, {521, 525}, {541, 546}};
	for (size_t i = 0; i < COUNTOF(range); i++)
		if (id >= range[i][0] && id <= range[i][1])
			return true;
	return false;
}

static int strongest(const struct said *v, int update)
{
	static const int order[] = {6, 4, 5, 3, 2};
	for (size_t i = 0; i < COUNTOF(order); i++)
		if (v->in[order[i]][update])
			return order[i];
	return 0;
}

static void apply_list(struct pc *p, const struct said *v)
{
	if (v->when < p->s.status_at)
		return;
	did.lists++;
	for (int u = 1; u <= KNOWN; u++) {
		struct row *r = &p->row[u];
		int want = strongest(v, u);
		if (want == 0 && (!r->there || r->status == 1))
			continue;
		if (want == 0)
			want = 1;
		if (r->there && (r->at > v->when || r->status == want))
			continue;
		r->there = true;
		r->status = want;
		r->at = v->when;
	}
	p->s.status_at = v->when;
	if (v->when >= SHOWN)
		p->s.effective_at = SHOWN;
}

static void apply_update(struct pc *p, const struct said *v)
{
	struct row *r = &p->row[v->update];
	int status = status_of(v->id);
	bool late = v->when < p->s.status_at || (r->there && v->when < r->at);
	if ((v->id == 162 || v->id == 164) && r->there && (r->status == 4 || r->status == 6))
		status = 0;
	did.late += late;
	if (status && !late && !(r->there && r->status == status)) {
		r->there = true;
		r->status = status;
		r->at = v->when;
	}
	bool known = (status_of(v->id) == 5 && v->when >= r->failed_at) || v->id == 185;
	if (known && !r->there) {
		r->there = true;
		r->status = 1;
	}
	if (status_of(v->id) == 5 && v->when >= r->failed_at) {
		r->failed_at = v->when;
		r->hresult = v->hresult;
		r->event = v->id;
	}
	if (v->id == 185 || v->id == 196)
		r->hidden = v->id == 185;
}

static void apply_computer(struct pc *p, const struct said *v)
{
	struct standing *s = &p->s;
	bool good = v->id == 147;
	if (good)
		s->sync_good_at = MAX(s->sync_good_at, v->when);
	if ((good || v->id == 148 || v->id == 157 || v->id == 158) && v->when >= s->sync_at) {
		s->sync_at = v->when;
		s->sync_result = good ? 1 : 2;
		s->sync_event = (int16_t)v->id;
		s->sync_hresult = v->hresult;
	}
	if (v->id == 202) {
		s->rebooted_at = MAX(s->rebooted_at, v->when);
		if (s->reboot_since <= v->when)
			s->reboot_since = 0;
	}
	bool waits = v->id == 193 || v->id == 194 || v->id == 224 || v->id == 544 || status_of(v->id) == 6;
	if (waits && v->when >= s->rebooted_at)
		s->reboot_since = s->reboot_since ? MIN(s->reboot_since, v->when) : v->when;
	s->good += status_of(v->id) == 4 || status_of(v->id) == 6;
	s->bad += counts_bad(v->id);
}

static void apply(struct pc *p, const struct said *v)
{
	if (is_list(v->id))
		apply_list(p, v);
	apply_computer(p, v);
	if (v->update >= 1 && v->update <= KNOWN)
		apply_update(p, v);
	if (v->version && in_table(v->id))
		p->version = v->version;
}

/* The earliest that was not applied yet. */
static struct said *earliest(struct said *v, int n)
{
	struct said *best = NULL;
	for (int i = 0; i < n; i++)
		if (!v[i].done && (!best || v[i].when < best->when))
			best = &v[i];
	return best;
}

static void apply_batch(struct pc *p, struct said *v, int n, tick_t client_time, struct report_outcome *o)
{
	*o = (struct report_outcome){0};
	tick_t off = client_time ? client_time - h.now : 0;
	for (int i = 0; i < n; i++) {
		bool again = !v[i].foreign && p->sent[v[i].instance];
		o->foreign += v[i].foreign;
		o->repeated += again;
		o->kept += !v[i].foreign && !again;
		v[i].done = v[i].foreign || again || v[i].name_space != 1;
		if (!v[i].foreign)
			p->sent[v[i].instance] = true;
		v[i].when = v[i].at - (off > MINUTE || off < -MINUTE ? off : 0);
		v[i].when = v[i].when > h.now ? h.now : v[i].when < 1 ? 1 : v[i].when;
	}
	for (struct said *x = earliest(v, n); x; x = earliest(v, n)) {
		apply(p, x);
		x->done = true;
	}
	p->s.reported_at = MAX(p->s.reported_at, h.now);
	p->s.skew = off;
}

/* ================= the store against it ================= */

struct found {
	const struct pc *p;
	bool seen[UPDATES + 1];
};

static void same_row(const struct pc *p, int u, const struct status_row *r)
{
	const struct row *m = &p->row[u];
	int want = m->there && m->status != 1 ? m->status : p->s.status_at ? 1 : 0;
	CHECK((int)r->status == want, "%s, update %d: %s, not %s", p->id, u, update_status_names[r->status], update_status_names[want]);
	CHECK(r->at == (m->there ? m->at : 0), "%s, update %d: since %lld, not %lld", p->id, u, (long long)r->at, (long long)m->at);
	CHECK(r->hidden == m->hidden, "%s, update %d: hidden", p->id, u);
	CHECK(r->failed_at == m->failed_at && r->hresult == m->hresult && r->event == m->event, "%s, update %d: its failure", p->id, u);
}

static int find_row(const struct status_row *r, void *arg)
{
	struct found *w = arg;
	for (int u = 1; u <= KNOWN; u++)
		if (h.no[u] == r->update_no) {
			CHECK(w->p->row[u].there && !w->seen[u], "%s has a row of update %d", w->p->id, u);
			w->seen[u] = true;
			same_row(w->p, u, r);
			return 0;
		}
	CHECK(false, "%s has a row of no update", w->p->id);
	return 0;
}

static void check_rows(const struct pc *p)
{
	struct found w = {.p = p};
	OK(status_each(h.t, slice_of(p->id), find_row, &w, &err));
	for (int u = 1; u <= KNOWN; u++) {
		struct status_row r;
		CHECK(w.seen[u] == p->row[u].there, "%s has no row of update %d", p->id, u);
		OK(status_get(h.t, slice_of(p->id), h.no[u], &r));
		same_row(p, u, &r);
	}
}

static void check_standing(const struct pc *p)
{
	struct standing s;
	const struct standing *m = &p->s;
	uint32_t count[STATUS__N] = {0}, hidden = 0;
	char version[16] = "";
	OK(standing_get(h.t, slice_of(p->id), &s));
	for (int u = 1; u <= KNOWN; u++) {
		count[p->row[u].there ? p->row[u].status : 0]++;
		hidden += p->row[u].hidden;
	}
	count[0] = 0;
	CHECK(memcmp(count, s.count, sizeof(count)) == 0 && hidden == s.hidden, "%s: the sums", p->id);
	CHECK(s.sync_result == m->sync_result && s.sync_at == m->sync_at && s.sync_good_at == m->sync_good_at && s.sync_event == m->sync_event &&
		      s.sync_hresult == m->sync_hresult,
		"%s: the last synchronization", p->id);
	CHECK(s.reported_at == m->reported_at && s.status_at == m->status_at && s.effective_at == m->effective_at && s.skew == m->skew,
		"%s: its times", p->id);
	CHECK(s.rebooted_at == m->rebooted_at && s.reboot_since == m->reboot_since, "%s: its restarts", p->id);
	CHECK(s.good == m->good && s.bad == m->bad, "%s: its installations", p->id);
	if (p->version)
		snprintf(version, sizeof(version), "%d", p->version);
	CHECK(slice_eq(s.client_version, slice_of(version)), "%s: its version", p->id);
}

/* ---- counts ---- */

static bool has(const struct pc *p, int low, int high)
{
	for (int u = 1; u <= KNOWN; u++)
		if (p->row[u].there && p->row[u].status >= low && p->row[u].status <= high)
			return true;
	return false;
}

static void add_computer(struct cohort *c, const struct pc *p)
{
	bool needing = has(p, 2, 3), failed = has(p, 5, 5);
	c->computers++;
	c->reported += p->s.status_at != 0;
	c->needing += needing;
	c->failed += failed;
	c->up_to_date += p->s.status_at != 0 && !needing && !failed;
	c->pending += p->s.reboot_since != 0;
	c->sync_failed += p->s.sync_result == SYNC_FAILED;
}

/* Of the computers in exactly these groups; -1: of all. */
static void check_counts_of(uint32_t cohort, int groups)
{
	struct cohort want = {.no = cohort}, c;
	struct tally sum[UPDATES + 1] = {{{0}}}, t;
	for (int i = 0; i < COMPUTERS; i++) {
		const struct pc *p = &h.pc[i];
		if (!p->there || (groups >= 0 && (int)p->groups != groups))
			continue;
		add_computer(&want, p);
		for (int u = 1; u <= KNOWN; u++)
			sum[u].by[p->row[u].there ? p->row[u].status : 0]++;
	}
	OK(cohort_get(h.t, cohort, &c));
	for (int u = 1; u <= KNOWN; u++) {
		want.updates_needed += sum[u].by[2] + sum[u].by[3] + sum[u].by[5] != 0;
		want.updates_failed += sum[u].by[5] != 0;
		OK(tally_get(h.t, cohort, h.no[u], &t));
		CHECK(memcmp(t.by + 2, sum[u].by + 2, sizeof(t.by) - 2 * sizeof(t.by[0])) == 0, "the counts of update %d, groups %d", u, groups);
	}
	CHECK(c.computers == want.computers && c.reported == want.reported && c.needing == want.needing && c.failed == want.failed &&
		      c.up_to_date == want.up_to_date && c.pending == want.pending && c.sync_failed == want.sync_failed,
		"the computers of groups %d", groups);
	CHECK(c.updates_needed == want.updates_needed && c.updates_failed == want.updates_failed, "the updates of groups %d", groups);
	did.counts++;
}

static void check_counts(void)
{
	if (h.pc[0].there || h.pc[1].there)
		check_counts_of(COHORT_ALL, -1);
	for (int i = 0; i < COMPUTERS; i++) {
		struct standing s;
		if (!h.pc[i].there)
			continue;
		OK(standing_get(h.t, slice_of(h.pc[i].id), &s));
		check_counts_of(s.cohort, (int)h.pc[i].groups);
	}
}

/* ================= a batch ================= */

static int random_id(void)
{
	static const int common[] = {147, 148, 156, 156, 156, 161, 162, 182, 183, 184, 185, 196, 202, 193};
	return chance(60) ? common[rnd((int)COUNTOF(common))] : chance(95) ? 141 + rnd(90) : chance(50) ? 520 + rnd(30) : rnd(65536) - 32768;
}

static void random_lists(struct said *v)
{
	int most = rnd(4) * 3;
	for (int i = rnd(most + 1); i > 0; i--)
		v->in[2 + rnd(5)][1 + rnd(UPDATES)] = true;
}

static struct said random_event(const struct pc *p)
{
	struct said v = {.id = random_id(), .name_space = chance(97) ? 1 : rnd(3), .foreign = chance(2), .hresult = chance(30) ? -rnd(9) : 0,
		.instance = rnd(SENT), .version = chance(20) ? 1 + rnd(9) : 0};
	v.update = is_list(v.id) ? 0 : chance(85) ? 1 + rnd(UPDATES) : 0;
	tick_t ago = chance(60) ? rnd(5) : chance(70) ? rnd(60) : chance(50) ? -rnd(100) : rnd(100000000);
	v.at = h.now - ago * MINUTE + p->off;
	if (is_list(v.id))
		random_lists(&v);
	return v;
}

static void add_guid(struct buf *b, int update)
{
	char id[GUID_TEXT + 1];
	struct guid g = update_guid(update);
	guid_text(&g, id);
	buf_printf(b, "%s;", id);
}

/* The strings of MiscData: in any order, a list in one string or two, with other things between. */
static size_t misc_of(const struct said *v, struct buf b[EVENTS], struct slice *misc)
{
	static const char tag[STATUS__N] = {[2] = 'U', [3] = 'h', [4] = 'V', [5] = 'g', [6] = 'W'};
	size_t n = 0;
	for (int k = 0, from = rnd(5); k < 5; k++) {
		int status = 2 + (k + from) % 5, half = chance(20) ? rnd(UPDATES) : UPDATES;
		for (int part = 0; part < 2; part++) {
			size_t before = b[n].n;
			for (int u = 1; u <= UPDATES; u++)
				if (v->in[status][u] && (u > half) == part) {
					if (b[n].n == before)
						buf_printf(&b[n], "%c=%s", tag[status], chance(5) ? ";no guid;" : "");
					add_guid(&b[n], u);
				}
			n += b[n].n != before;
		}
	}
	for (size_t i = 0; i < n; i++)
		misc[i] = buf_bytes(&b[i]);
	if (v->version) {
		buf_printf(&b[n], "G=%d", v->version);
		misc[n] = buf_bytes(&b[n]);
		n++;
	}
	return n;
}

static struct report_event event_of(const struct pc *p, const struct said *v, const struct slice *misc, size_t n)
{
	struct report_event e = {.at = v->at, .name_space = v->name_space, .id = (int16_t)v->id, .source = 101, .hresult = v->hresult,
		.app = SL(""), .device = SL(""), .misc = misc, .nmisc = n, .foreign = v->foreign, .revision = 1};
	put_be32(e.instance.b, p->life + 1);
	put_be32(e.instance.b + 12, (uint32_t)v->instance);
	if (v->update)
		e.update = update_guid(v->update);
	return e;
}

static void report(struct pc *p)
{
	static struct buf b[EVENTS][EVENTS];
	static struct slice misc[EVENTS][EVENTS];
	struct said said[EVENTS];
	struct report_event event[EVENTS];
	struct report_outcome out, want;
	int n = rnd(EVENTS + 1);
	tick_t client_time = p->off == 0 && chance(20) ? 0 : h.now + p->off;
	for (int i = 0; i < n; i++) {
		said[i] = random_event(p);
		for (int k = 0; k < EVENTS; k++)
			buf_init(&b[i][k], 1 << 16);
		event[i] = event_of(p, &said[i], misc[i], misc_of(&said[i], b[i], misc[i]));
	}
	struct report r = {.computer = slice_of(p->id), .client_time = client_time, .now = h.now, .event = event, .n = (size_t)n};
	begin();
	OK(report_take(h.t, &r, &out, &err));
	apply_batch(p, said, n, client_time, &want);
	CHECK(out.kept == want.kept && out.repeated == want.repeated && out.foreign == want.foreign, "%s: %u kept, %u repeated, %u foreign", p->id,
		(unsigned)out.kept, (unsigned)out.repeated, (unsigned)out.foreign);
	check_rows(p);
	check_standing(p);
	check_counts();
	end();
	for (int i = 0; i < n; i++)
		for (int k = 0; k < EVENTS; k++)
			buf_free(&b[i][k]);
	did.batches++;
	did.events += (uint64_t)n;
	did.repeated += out.repeated;
}

/* ================= histories ================= */

static void come(struct pc *p, int i)
{
	static const char *const names[] = {"", "A", "B", "A;B", "C", "A;C", "B;C", "A;B;C"};
	if (!p->there) {
		unsigned life = p->life + 1;
		*p = (struct pc){.life = life, .there = true};
		static const tick_t off[] = {0, 0, 50 * TICKS_PER_SECOND, -90 * TICKS_PER_SECOND, 5000000 * MINUTE, -9000000 * MINUTE};
		snprintf(p->id, sizeof(p->id), "pc-%d", i);
		p->off = off[rnd((int)COUNTOF(off))];
	}
	p->groups = (unsigned)rnd(8);
	struct computer c = {.id = slice_of(p->id), .dns_name = SL("pc"), .requested_groups = slice_of(names[p->groups]), .address = SL("192.0.2.1"),
		.last_seen = h.now};
	begin();
	OK(computer_contact(h.t, &c, &err));
	end();
	did.moves++;
}

static void leave(struct pc *p)
{
	begin();
	OK(computer_delete(h.t, slice_of(p->id), &err));
	end();
	p->there = false;
}

static void inventory(struct pc *p)
{
	struct standing s;
	begin();
	OK(report_inventory(h.t, slice_of(p->id), h.now, &err));
	OK(standing_get(h.t, slice_of(p->id), &s));
	CHECK(s.inventory_at == h.now, "the inventory of %s", p->id);
	end();
}

static void live(void)
{
	for (int steps = 10 + rnd(30); steps > 0; steps--) {
		int i = rnd(COMPUTERS);
		h.now += rnd(3) * MINUTE;
		if (!h.pc[i].there || chance(8))
			come(&h.pc[i], i);
		else if (chance(4))
			leave(&h.pc[i]);
		else if (chance(4))
			inventory(&h.pc[i]);
		else
			report(&h.pc[i]);
	}
	for (int i = 0; h.commits && i < COMPUTERS; i++)
		if (h.pc[i].there)
			leave(&h.pc[i]);
	txn_end(&h.t);
}

static void found(const char *text, void *arg)
{
	(void)arg;
	CHECK(false, "the audit found: %s", text);
}

static void history(uint64_t seed)
{
	unsigned lives[COMPUTERS];
	for (int i = 0; i < COMPUTERS; i++) /* events of those that are gone are kept: each life has ids of its own */
		lives[i] = h.pc[i].life;
	memset(h.pc, 0, sizeof(h.pc));
	for (int i = 0; i < COMPUTERS; i++)
		h.pc[i].life = lives[i];
	h.seed = h.rng = seed;
	h.now = SHOWN + (tick_t)rnd(1000) * MINUTE;
	h.commits = seed % COMMITS_EVERY == 0;
	live();
	did.histories++;
	if (h.commits) {
		unsigned n;
		OK(txn_begin(h.store, TXN_READ, &h.t, &err));
		OK(store_audit(h.t, found, NULL, &n, &err));
		txn_end(&h.t);
	}
}

static void fill(void)
{
	static const char *const names[GROUPS] = {"A", "B", "C"};
	struct publish_report p;
	OK(txn_begin(h.store, TXN_CATALOG, &h.t, &err));
	OK(setting_set(h.t, SL("targeting"), SL("client"), &err));
	for (int i = 0; i < GROUPS; i++)
		OK(group_create(h.t, slice_of(names[i]), 0, &h.group[i], &err));
	for (int u = 1; u <= KNOWN; u++) {
		uint32_t id;
		struct revision v = {.update = update_guid(u), .number = 1, .flags = REV_EXPLICIT, .title = SL("t"), .kb = SL(""), .severity = SL(""),
			.language = SL("en")};
		OK(counter_next(h.t, COUNT_REVISION, &id, &err));
		OK(counter_next(h.t, COUNT_DEPLOYMENT, &v.deployment_id, &err));
		OK(update_number(h.t, &v.update, &v.update_no, &err));
		h.no[u] = v.update_no;
		v.id = (int32_t)id;
		OK(relations_put(h.t, v.id, &(struct relations){.nprereq = 0}, &err));
		OK(fragment_put(h.t, v.id, FRAG_CORE, SL(""), SL(""), 0, false, 4, SL("core"), &err));
		OK(fragment_put(h.t, v.id, FRAG_EXTENDED, SL(""), SL(""), 0, false, 8, SL("extended"), &err));
		OK(fragment_put(h.t, v.id, FRAG_LOCALIZED, SL("en"), SL(""), 0, false, 7, SL("english"), &err));
		OK(revision_put(h.t, &v, &err));
	}
	OK(publish(h.t, SHOWN, &p, &err));
	OK(txn_commit(&h.t, &err));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

int main(int argc, char **argv)
{
	uint64_t histories = 1500, seed = 1;
	const char *tmp = getenv("TMPDIR");
	for (int i = 1; i + 1 < argc; i += 2) {
		uint64_t *to = strcmp(argv[i], "--histories") == 0 ? &histories : strcmp(argv[i], "--seed") == 0 ? &seed : NULL;
		if (!to || !text_u64(slice_of(argv[i + 1]), to))
			return 2;
	}
	snprintf(h.dir, sizeof(h.dir), "%s/m_report.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(h.dir))
		return 2;
	OK(store_create(h.dir, &err));
	OK(store_open(&h.store, h.dir, STORE_ADMIN, &err));
	fill();
	for (uint64_t i = 0; i < histories; i++)
		history(seed + i);
	store_close(&h.store);
	nftw(h.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	printf("%llu histories, %llu batches with %llu events, %llu of them repeated, %llu late; %llu lists, %llu contacts, %llu comparisons of counts\n",
		(unsigned long long)did.histories, (unsigned long long)did.batches, (unsigned long long)did.events,
		(unsigned long long)did.repeated, (unsigned long long)did.late, (unsigned long long)did.lists, (unsigned long long)did.moves,
		(unsigned long long)did.counts);
	return 0;
}
