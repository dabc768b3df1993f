/* b_scan.c -- what a page of SyncUpdates costs in the store, against the size of the catalog.
 *
 *   make build/test/b_scan && build/test/b_scan [REVISIONS ...]      (5000 and 100000 if none are given)
 *
 * The catalog is synthetic: 4 percent categories and detectoids in chains, 60 products; each software update
 * names a product, a classification and one or two detectoids; one in twelve is a bundle of two hidden members.
 * A client has a tenth of the products (then all of them), and 60 approvals for its group. */
#include <ftw.h>
#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/text.h"
#include "store/db.h"
#include "store/publish.h"
#include "store/scan.h"
#include "test/bench/begin.h"

#define BASICS 200 /* categories and detectoids: the first ones */
#define PRODUCTS 60
#define BATCH 500
#define ROUNDS 300

static struct store *store;
static struct txn *t;

static struct guid guid_of(uint32_t n)
{
	struct guid g = {{0xbe}};
	put_be32(g.b + 12, n);
	return g;
}

static struct relation names(uint32_t update_no, uint16_t clause, bool category)
{
	return (struct relation){.update_no = update_no, .clause = clause, .is_category = category};
}

/* Prerequisites of the nth update: basics form chains, the rest names product, classification, detectoids. */
static size_t prerequisites(uint32_t n, struct relation *p)
{
	if (n <= BASICS) {
		p[0] = names(n - PRODUCTS, 0, n <= PRODUCTS * 2);
		return n > PRODUCTS ? 1 : 0;
	}
	p[0] = names(1 + n % PRODUCTS, 0, true);
	p[1] = names(PRODUCTS + 1 + n % 8, 1, true);
	p[2] = names(BASICS - 1 - n / 7 % 60, 2, false);
	p[3] = names(BASICS - 1 - n / 11 % 60, 2, false);
	return n % 3 ? 4 : 2;
}

static void make_revision(uint32_t n)
{
	static char core[1400];
	struct relation p[4], member[2];
	struct relations rel = {.prereq = p, .bundle = member};
	struct revision v = {.update = guid_of(n), .number = 100, .title = SL("An update of some length of title"),
		.kb = SL("5000000"), .severity = SL(""), .language = SL("en")};
	uint32_t id;
	bool hidden = n > BASICS && (n % 12 == 1 || n % 12 == 2), bundle = n > BASICS + 12 && n % 12 == 3;
	v.type = n > BASICS ? TYPE_SOFTWARE : n <= PRODUCTS + 20 ? TYPE_CATEGORY : TYPE_DETECTOID;
	v.category_type = v.type == TYPE_CATEGORY ? CAT_PRODUCT : CAT_NONE;
	v.flags = (n > BASICS && !hidden ? REV_EXPLICIT : 0) | (bundle ? REV_BUNDLE : 0);
	OK(counter_next(t, COUNT_REVISION, &id, &err));
	OK(counter_next(t, COUNT_DEPLOYMENT, &v.deployment_id, &err));
	OK(update_number(t, &v.update, &v.update_no, &err));
	v.id = (int32_t)id;
	rel.nprereq = prerequisites(n, p);
	member[0] = (struct relation){.update_no = n - 1, .number = 100};
	member[1] = (struct relation){.update_no = n - 2, .number = 100};
	rel.nbundle = bundle ? 2 : 0;
	OK(relations_put(t, v.id, &rel, &err));
	OK(fragment_put(t, v.id, FRAG_CORE, SL(""), SL(""), 0, false, sizeof(core), (struct slice){core, sizeof(core)},
		&err));
	OK(revision_put(t, &v, &err));
}

static void timed_publish(const char *what)
{
	struct publish_report p;
	double from = now_us();
	OK(publish(t, time_now(), &p, &err));
	double made = now_us();
	OK(txn_commit(&t, &err));
	printf("  %-32s %9.1f ms, commit %8.1f ms, %u shown, %u log rows\n", what, (made - from) / 1e3,
		(now_us() - made) / 1e3, p.shown, p.changed);
}

static void make_catalog(uint32_t revisions)
{
	for (uint32_t n = 1; n <= revisions;) {
		OK(txn_begin(store, TXN_CATALOG, &t, &err));
		for (uint32_t i = 0; i < BATCH && n <= revisions; i++)
			make_revision(n++);
		OK(txn_commit(&t, &err));
	}
	OK(txn_begin(store, TXN_CATALOG, &t, &err));
	timed_publish("publish of the catalog");
	OK(txn_begin(store, TXN_CATALOG, &t, &err));
	make_revision(revisions + 1);
	timed_publish("publish of one more");
	OK(txn_begin(store, TXN_CATALOG, &t, &err));
	OK(update_decline(t, revisions, true, SL("bench"), &err));
	timed_publish("publish of a decline");
	OK(txn_begin(store, TXN_CATALOG, &t, &err));
	for (uint32_t n = BASICS + 1; n < BASICS + 600; n += 10) {
		struct approval a = {.revision = (int32_t)n, .group = GROUP_ALL_COMPUTERS, .admin = SL("bench")};
		OK(approve(t, &a, &err));
	}
	timed_publish("publish of 60 approvals");
}

struct client {
	int32_t *installed, *other;
	size_t ni, no;
	uint32_t point;
};

static struct scan_request request(const struct client *c, const struct client_groups *g)
{
	return (struct scan_request){.groups = g, .installed = c->installed, .ninstalled = c->ni, .other = c->other,
		.nother = c->no, .point = c->point};
}

/* A tenth of the products is installed: six of them, and every other basic. */
static void sort_in(struct client *c, const struct scan_result *r, bool everything)
{
	for (size_t i = 0; i < r->nfresh; i++) {
		int32_t id = r->fresh[i].revision;
		bool product = id <= PRODUCTS;
		if (!r->fresh[i].leaf && (everything || !product || id % 10 == 1))
			c->installed[c->ni++] = id;
		else
			c->other[c->no++] = id;
	}
	c->point = r->epoch;
}

static double bind_and_run(struct scan *s, const struct client *c, struct scan_result *r, struct client_groups *g)
{
	struct settings set;
	double from = now_us();
	OK(settings_get(t, &set, &err));
	OK(client_groups_get(t, &set, SL("pc"), g, &err));
	OK(scan_bind(s, t, &set, &err));
	struct scan_request q = request(c, g);
	OK(scan_run(s, &q, r, &err));
	return now_us() - from;
}

static int by_value(const void *a, const void *b)
{
	double x, y;
	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

static void one_more_page(struct scan *s, const struct client *c, const char *what)
{
	double us[ROUNDS];
	struct scan_result r = {0};
	struct client_groups g;
	for (size_t i = 0; i < ROUNDS; i++) {
		OK(txn_begin(store, TXN_READ, &t, &err));
		us[i] = bind_and_run(s, c, &r, &g);
		txn_end(&t);
	}
	qsort(us, ROUNDS, sizeof(us[0]), by_value);
	printf("  %-32s %9.1f us median, %8.1f us p99, %zu new of %zu, %zu cached\n", what, us[ROUNDS / 2],
		us[ROUNDS * 99 / 100], r.nfresh, r.nfresh + r.remaining, c->ni + c->no);
}

static void filtered(struct scan *s, const struct client *c)
{
	struct settings set;
	struct client_groups g;
	struct scan_result r;
	struct guid product = guid_of(7);
	OK(txn_begin(store, TXN_READ, &t, &err));
	OK(settings_get(t, &set, &err));
	OK(client_groups_get(t, &set, SL("pc"), &g, &err));
	OK(scan_bind(s, t, &set, &err));
	struct scan_request q = request(c, &g);
	q.filter = &product;
	q.nfilter = 1;
	double from = now_us();
	OK(scan_run(s, &q, &r, &err));
	printf("  %-32s %9.1f us (once per filter)\n", "a filter not seen before", now_us() - from);
	txn_end(&t);
}

/* A whole fresh scan. */
static void fresh_scan(struct scan *s, struct client *c, bool everything)
{
	struct scan_result r;
	struct client_groups g;
	size_t pages = 0;
	double total = 0;
	c->ni = c->no = c->point = 0;
	do {
		OK(txn_begin(store, TXN_READ, &t, &err));
		total += bind_and_run(s, c, &r, &g);
		sort_in(c, &r, everything);
		txn_end(&t);
		if (++pages == 10)
			one_more_page(s, c, "the tenth page");
	} while (r.nfresh > 0);
	printf("  %-32s %9.1f us a page, %zu pages\n", everything ? "a fresh scan that takes all" : "a fresh scan",
		total / (double)pages, pages);
	one_more_page(s, c, "nothing new");
}

/* A log as full as it gets, seen from its end and from its beginning. */
static void full_log(struct scan *s, struct client *c)
{
	uint32_t old = c->point;
	for (int i = 0; i < 9; i++) {
		struct publish_report p;
		OK(txn_begin(store, TXN_CATALOG, &t, &err));
		for (int32_t id = 1; id <= 20000; id++)
			OK(publish_touch(t, GROUP_DOWNSTREAM, id, &err));
		OK(publish(t, time_now(), &p, &err));
		OK(txn_commit(&t, &err));
		c->point = p.epoch - 1;
	}
	one_more_page(s, c, "20,000 log rows since");
	c->point = old;
	one_more_page(s, c, "180,000 log rows since");
}

static void measure(uint32_t revisions)
{
	struct scan *s = scan_new();
	struct client c = {.installed = calloc(revisions + 2, sizeof(int32_t)), .other = calloc(revisions + 2, sizeof(int32_t))};
	if (!s || !c.installed || !c.other)
		exit(1);
	size_t before = mallinfo2().uordblks;
	one_more_page(s, &c, "first page, nothing installed");
	fresh_scan(s, &c, false);
	filtered(s, &c);
	full_log(s, &c);
	fresh_scan(s, &c, true);
	printf("  %-32s %9.1f KB\n", "heap of a worker for it", (double)(mallinfo2().uordblks - before) / 1024);
	free(c.installed);
	free(c.other);
	scan_free(&s);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void bench(uint32_t revisions)
{
	char dir[256];
	const char *tmp = getenv("TMPDIR");
	snprintf(dir, sizeof(dir), "%s/b_scan.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(dir))
		exit(1);
	OK(store_create(dir, &err));
	OK(store_open(&store, dir, STORE_ADMIN, &err));
	printf("%u revisions\n", revisions);
	make_catalog(revisions);
	measure(revisions);
	store_close(&store);
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int main(int argc, char **argv)
{
	uint64_t n;
	if (argc == 1) {
		bench(5000);
		bench(100000);
	}
	for (int i = 1; i < argc; i++)
		if (text_u64(slice_of(argv[i]), &n) && n >= 1000 && n <= 1000000)
			bench((uint32_t)n);
	return 0;
}
