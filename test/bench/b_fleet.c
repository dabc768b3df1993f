/* b_fleet.c -- a store full of computers that have reported: what a server knows after a month, in minutes.
 *
 *   b_fleet [-n COMPUTERS] [-f FIRST] [-u UPDATES] [-m NEEDED] [-g GROUPS] STORE
 *
 * Each computer comes, registers with one of ten systems, stands in one of the groups, and reports as natives do: 147, and 156
 * with NEEDED of the first UPDATES that can be approved, the others installed; it goes through report_take(), so that counts are
 * what the server would have.  One of 50 has failed an installation, one of 40 cannot synchronize, one of 30 never reported, one
 * of 20 has not come for two months, one of 25 waits for a restart.  The same numbers make the same fleet; -f makes a part of it.
 *
 * The catalog must be there.  Groups are made, and client.new-per-hour is set to its most. */
#include <getopt.h>

#include "common/text.h"
#include "common/wusp_info.h"
#include "store/fact.h"
#include "store/publish.h"
#include "store/report_parts.h"
#include "test/bench/begin.h"

#define BATCH 200        /* computers in a transaction */
#define ASSIGN_BATCH 1000 /* each looks at all groups */
#define MINUTE (60 * TICKS_PER_SECOND)
#define DAY (1440 * MINUTE)

static struct store *store;
static struct txn *t;
static uint64_t computers = 1000, first = 1, updates = 2500, needed = 2000, groups = 200;
static tick_t now;

static struct guid *pool;   /* updates, */
static char *names;         /* in upper case with a ';' behind each, all of them twice: any run of them is one piece */
static uint64_t pooled;
static uint32_t group_no[10000];

/* ---- the catalog ---- */

static int pool_one(uint32_t no, uint32_t facts, void *arg)
{
	struct update u;
	(void)arg;
	if ((facts & (FACT_UPDATE | FACT_DECLINED)) != FACT_UPDATE)
		return E_OK;
	OK(update_get(t, no, &u, &err));
	pool[pooled++] = u.id;
	return pooled == updates ? -1 : E_OK;
}

static void name_updates(void)
{
	char text[GUID_TEXT + 1];
	for (uint64_t i = 0; i < 2 * pooled; i++) {
		guid_text(&pool[i % pooled], text);
		for (size_t c = 0; c < GUID_TEXT; c++)
			names[i * (GUID_TEXT + 1) + c] = (char)(text[c] >= 'a' ? text[c] - 32 : text[c]);
		names[i * (GUID_TEXT + 1) + GUID_TEXT] = ';';
	}
}

static void take_pool(void)
{
	pool = calloc(updates, sizeof(*pool));
	names = malloc(2 * updates * (GUID_TEXT + 1));
	ok(pool && names ? E_OK : E_NOMEM, "updates");
	OK(txn_begin(store, TXN_READ, &t, &err));
	int rc = fact_each(t, pool_one, NULL, &err);
	ok(rc == -1 ? E_OK : rc, "fact_each");
	txn_end(&t);
	ok(pooled ? E_OK : E_NOTFOUND, "the catalog has no update that can be approved");
	needed = MIN(needed, pooled);
	name_updates();
}

static void make_groups(void)
{
	char name[32];
	OK(txn_begin(store, TXN_CATALOG, &t, &err));
	OK(setting_set(t, SL("client.new-per-hour"), SL("10000000"), &err));
	for (uint64_t i = 0; i < groups; i++) {
		snprintf(name, sizeof(name), "fleet %03d", (int)i + 1);
		if (group_find(t, slice_of(name), &group_no[i]) != E_OK)
			OK(group_create(t, slice_of(name), 0, &group_no[i], &err));
	}
	struct publish_report p;
	OK(publish(t, now, &p, &err));
	OK(txn_commit(&t, &err));
}

/* ---- one computer ---- */

/* Ids are as far apart as those that machines make up. */
static struct slice id_of(uint64_t n, char text[GUID_TEXT + 1])
{
	struct guid g;
	for (int half = 0; half < 2; half++) {
		uint64_t z = (n * 2 + (uint64_t)half) * 0x9e3779b97f4a7c15u;
		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
		z = (z ^ z >> 27) * 0x94d049bb133111ebu;
		z ^= z >> 31;
		memcpy(g.b + 8 * half, &z, sizeof(z));
	}
	guid_text(&g, text);
	return (struct slice){text, GUID_TEXT};
}

static void assign(uint64_t from, uint64_t end)
{
	char id[GUID_TEXT + 1];
	OK(txn_begin(store, TXN_CATALOG, &t, &err));
	for (uint64_t n = from; n < end; n++) {
		OK(assign_set(t, id_of(n, id), &group_no[n % groups], 1, &err));
		arena_reset(txn_arena(t));
	}
	struct publish_report p;
	OK(publish(t, now, &p, &err));
	OK(txn_commit(&t, &err));
}

static const struct {
	int major, minor, build, product;
	const char *description;
} systems[] = {
	{10, 0, 26200, 1, "Windows 11 Enterprise"}, {10, 0, 26100, 1, "Windows 11 Enterprise"}, {10, 0, 22631, 1, "Windows 11 Pro"},
	{10, 0, 19045, 1, "Windows 10 Enterprise"}, {10, 0, 17763, 1, "Windows 10 Enterprise LTSC"}, {10, 0, 26100, 3, "Windows Server 2025"},
	{10, 0, 20348, 3, "Windows Server 2022"}, {10, 0, 17763, 3, "Windows Server 2019"}, {10, 0, 14393, 3, "Windows Server 2016"},
	{6, 3, 9600, 3, "Windows Server 2012 R2"},
};

static void enter(uint64_t n, struct slice id, tick_t at)
{
	char name[32], address[32];
	size_t os = n % COUNTOF(systems);
	snprintf(name, sizeof(name), "pc%06d.example.test", (int)n);
	snprintf(address, sizeof(address), "10.%d.%d.%d", (int)(n >> 16 & 255), (int)(n >> 8 & 255), (int)(n & 255));
	struct computer c = {.id = id, .dns_name = slice_of(name), .requested_groups = SL(""), .address = slice_of(address),
		.first_seen = at, .last_seen = at, .major = 1, .minor = 8};
	struct ComputerInfo info = {.has = UINT64_MAX, .DnsName = c.dns_name, .OSMajorVersion = systems[os].major,
		.OSMinorVersion = systems[os].minor, .OSBuildNumber = systems[os].build, .OSLocale = SL("en-US"),
		.ComputerManufacturer = SL("Example"), .ComputerModel = SL("Bench 1"), .BiosVersion = SL("1.0"), .BiosName = SL("Bench BIOS"),
		.BiosReleaseDate = 16725225600000000, .ProcessorArchitecture = SL("AMD64"), .NewProductType = systems[os].product,
		.OSDescription = slice_of(systems[os].description), .OEM = SL(""), .DeviceType = SL(""), .FirmwareVersion = SL(""),
		.MobileOperator = SL("")};
	struct buf b;
	buf_init(&b, 64 << 10);
	computer_info_pack(&b, &info);
	OK(b.rc);
	OK(computer_contact(t, &c, &err));
	OK(computer_register(t, id, buf_bytes(&b), &err));
	buf_free(&b);
}

struct batch {
	struct report_event event[5];
	size_t n;
	struct slice strings[2], lists[2];
};

static struct report_event *event(struct batch *b, uint64_t n, int id, int source, tick_t at)
{
	struct report_event *v = &b->event[b->n++];
	*v = (struct report_event){.at = at, .name_space = 1, .id = (int16_t)id, .source = (int16_t)source, .app = SL("bench"),
		.device = SL(""), .machine = {.brand = SL("Example"), .model = SL("Bench 1"), .bios = SL("1.0"),
		.architecture = SL("Amd64Compatible"), .os = {10, 0, 26200, 65792}, .locale = 1033}};
	put_be64(v->instance.b, n);
	put_be64(v->instance.b + 8, b->n);
	return v;
}

/* LETTER=...: `count` updates of the pool from `from` on, round and round; in the transaction's memory. */
static struct slice listed(char letter, uint64_t from, uint64_t count)
{
	size_t bytes = (size_t)(count * (GUID_TEXT + 1));
	char *p = arena_alloc(txn_arena(t), bytes + 2, 1);
	ok(p ? E_OK : E_NOMEM, "a list");
	p[0] = letter;
	p[1] = '=';
	memcpy(p + 2, names + from % pooled * (GUID_TEXT + 1), bytes);
	return (struct slice){p, count ? bytes + 1 : 2};
}

static void tell_lists(struct batch *b, uint64_t n, tick_t at)
{
	struct report_event *v = event(b, n, 147, 101, at);
	b->strings[0] = SL("12");
	v->strings = b->strings;
	v->nstrings = 1;
	v = event(b, n, 156, 101, at + TICKS_PER_SECOND);
	b->lists[0] = listed('U', n * 37, needed);
	b->lists[1] = listed('V', n * 37 + needed, pooled - needed);
	v->misc = b->lists;
	v->nmisc = pooled > needed ? 2 : 1;
}

static void report(uint64_t n, struct slice id, tick_t at)
{
	struct batch b = {.n = 0};
	struct report_outcome out;
	tell_lists(&b, n, at);
	if (n % 40 == 7)
		event(&b, n, 148, 101, at + 2 * TICKS_PER_SECOND)->hresult = (int32_t)0x80244022u;
	if (n % 50 == 3) {
		struct report_event *v = event(&b, n, 182, 101, at + 3 * TICKS_PER_SECOND);
		v->update = pool[n * 37 % pooled];
		v->revision = 1;
		v->hresult = (int32_t)0x80070643u;
	}
	if (n % 25 == 11) {
		struct report_event *v = event(&b, n, 184, 101, at + 3 * TICKS_PER_SECOND);
		v->update = pool[(n * 37 + 1) % pooled];
		v->revision = 1;
	}
	struct report r = {.computer = id, .client_time = at + MINUTE, .now = at + MINUTE, .event = b.event, .n = b.n};
	OK(report_take(t, &r, &out, &err));
}

static void make(uint64_t n)
{
	char text[GUID_TEXT + 1];
	struct slice id = id_of(n, text);
	tick_t at = now - (n % 20 == 9 ? 60 * DAY : 0) - (tick_t)(n % 1440) * MINUTE - 10 * MINUTE;
	enter(n, id, at);
	if (n % 30 != 13)
		report(n, id, at);
	arena_reset(txn_arena(t));
}

/* The counts of groups know of all assignments. */
static void follow(void)
{
	for (bool more = true; more;) {
		OK(txn_begin(store, TXN_FLEET, &t, &err));
		OK(membership_follow(t, 10000, &more, &err));
		OK(txn_commit(&t, &err));
	}
}

/* ---- all of them ---- */

static void fill(void)
{
	uint64_t end = first + computers;
	double began = now_us();
	for (uint64_t n = first; n < end; n += ASSIGN_BATCH)
		assign(n, MIN(n + ASSIGN_BATCH, end));
	for (uint64_t n = first; n < end; n += BATCH) {
		OK(txn_begin(store, TXN_FLEET, &t, &err));
		for (uint64_t i = n; i < MIN(n + BATCH, end); i++)
			make(i);
		OK(txn_commit(&t, &err));
		if ((n - first) / BATCH % 50 == 49)
			fprintf(stderr, "%llu computers, %.0f s\n", (unsigned long long)(n - first + BATCH), (now_us() - began) / 1e6);
	}
	follow();
	printf("{\"computers\": %llu, \"updates\": %llu, \"needed\": %llu, \"groups\": %llu, \"seconds\": %.3f}\n",
		(unsigned long long)computers, (unsigned long long)pooled, (unsigned long long)needed, (unsigned long long)groups,
		(now_us() - began) / 1e6);
}

static void usage(void)
{
	fputs("usage: b_fleet [-n COMPUTERS] [-f FIRST] [-u UPDATES] [-m NEEDED] [-g GROUPS] STORE\n", stderr);
	exit(2);
}

int main(int argc, char **argv)
{
	static const struct {
		char letter;
		uint64_t *to, most;
	} options[] = {{'n', &computers, 1000000}, {'f', &first, 1000000000}, {'u', &updates, 35000}, {'m', &needed, 35000},
		{'g', &groups, COUNTOF(group_no)}};
	for (int c; (c = getopt(argc, argv, "n:f:u:m:g:")) != -1;) {
		size_t i = 0;
		while (i < COUNTOF(options) && options[i].letter != c)
			i++;
		if (i == COUNTOF(options) || !text_u64(slice_of(optarg), options[i].to) || *options[i].to == 0 || *options[i].to > options[i].most)
			usage();
	}
	if (argc - optind != 1)
		usage();
	now = time_now();
	OK(store_open(&store, argv[optind], STORE_ADMIN, &err));
	take_pool();
	make_groups();
	fill();
	store_close(&store);
	free(pool);
	free(names);
	return 0;
}
