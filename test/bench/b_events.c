/* b_events.c -- events in the store: what it costs to keep them as they become many, and to drop the oldest.
 *
 *	make build/test/b_events && build/test/b_events DIR [EVENTS COMPUTERS BATCH]
 *
 * DIR, which must not be there, becomes a store; batches of one computer each are committed, the clock goes on so that EVENTS fill
 * 30 days, and then the days until the first segment goes.  One figure a line: name, value, unit. */
#include <sys/stat.h>

#include "common/text.h"
#include "store/db.h"
#include "store/report_parts.h"
#include "test/bench/begin.h"

#define DAY (86400 * TICKS_PER_SECOND)
#define N(lit) {(lit), sizeof(lit) - 1}
#define TENTH(n) MAX((n) / 10, (size_t)1)

static struct store *store;
static size_t events = 1000000, computers = 100000, batch = 5;
static tick_t first = INT64_C(17911152000000000);
static uint64_t seed = 1;
static size_t last; /* the computer that reported last */

static uint64_t random64(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	return seed ^= seed << 17;
}

static struct slice computer_of(size_t n, char text[GUID_TEXT + 1])
{
	struct guid g = {{0}};
	put_be64(g.b, (n + 1) * UINT64_C(0x9E3779B97F4A7C15));
	put_be64(g.b + 8, n);
	guid_text(&g, text);
	return slice_of(text);
}

/* What a computer says of an installation. */
static struct report_event event_at(tick_t at)
{
	static const struct slice strings[] = {N("2026-11 Cumulative Update for Windows 11 Version 23H2 for x64-based Systems (KB5030219)")};
	static const struct slice misc[] = {N("A=0"), N("G=10.0.22621.1"), N("J=417"), N("K=American Megatrends Inc."), N("Q=1"),
		N("B=419430400")};
	struct report_event r = {.at = at - TICKS_PER_SECOND, .name_space = 1, .id = 183, .source = 101, .revision = 200,
		.app = SL("UpdateOrchestrator"), .strings = strings, .nstrings = 1, .misc = misc, .nmisc = COUNTOF(misc)};
	put_be64(r.instance.b, random64());
	put_be64(r.instance.b + 8, random64());
	put_be64(r.update.b, random64() % 2000);
	return r;
}

static void keep_batch(tick_t now)
{
	char text[GUID_TEXT + 1];
	struct txn *t;
	bool repeated;
	last = random64() % computers;
	struct slice computer = computer_of(last, text);
	OK(txn_begin(store, TXN_FLEET, &t, &err));
	for (size_t i = 0; i < batch; i++) {
		struct report_event r = event_at(now);
		OK(event_keep(t, computer, &r, now, &repeated, &err));
	}
	OK(txn_commit(&t, &err));
}

static void show(const char *name, double value, const char *unit)
{
	printf("%s\t%.3f\t%s\n", name, value, unit);
	fflush(stdout);
}

static int by_size(const void *a, const void *b)
{
	double x, y;
	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

/* A tenth of the batches at a time, each of which is measured. */
static void fill(unsigned tenth, size_t n)
{
	char name[64];
	double *us = calloc(n, sizeof(*us)), began = now_us();
	if (!us)
		exit(1);
	for (size_t i = 0; i < n; i++) {
		double at = now_us();
		keep_batch(first + (tick_t)((double)(30 * DAY) * ((double)tenth + (double)i / (double)n) / 10));
		us[i] = now_us() - at;
	}
	double all = now_us() - began;
	qsort(us, n, sizeof(*us), by_size);
	snprintf(name, sizeof(name), "tenth %u", tenth + 1);
	show(name, (double)(n * batch) * 1e6 / all, "events/s");
	show("  batch, median", us[n / 2] / 1e3, "ms");
	show("  batch, 99 of 100", us[n * 99 / 100] / 1e3, "ms");
	show("  batch, longest", us[n - 1] / 1e3, "ms");
	free(us);
}

static void show_figures(void)
{
	struct txn *t;
	struct event_segment *v;
	size_t n;
	double bytes = 0, kept = 0;
	OK(txn_begin(store, TXN_READ, &t, &err));
	OK(event_segments(t, &v, &n, &err));
	for (size_t i = 0; i < n; i++) {
		bytes += (double)v[i].bytes;
		kept += (double)v[i].events;
	}
	show("segments", (double)n, "");
	show("events kept", kept, "");
	show("bytes of an event", bytes / MAX(kept, 1), "");
	show("events take", bytes / 1e6, "MB");
	txn_end(&t);
}

static void show_reading(void)
{
	char text[GUID_TEXT + 1];
	struct txn *t;
	struct event *v;
	size_t n;
	double began = now_us();
	OK(txn_begin(store, TXN_READ, &t, &err));
	OK(events_of(t, computer_of(last, text), 0, &v, &n, &err));
	show("events of a computer", (double)n, "");
	show("  read in", (now_us() - began) / 1e3, "ms");
	txn_end(&t);
}

/* The day on which the oldest segment, the first with all of its events, must go. */
static void show_dropping(void)
{
	double began = now_us();
	OK(events_tend(store, first + 33 * DAY, &err));
	show("oldest segment dropped in", (now_us() - began) / 1e3, "ms");
	began = now_us();
	for (unsigned i = 0; i < 100; i++)
		keep_batch(first + 33 * DAY + i);
	show("batch after that, mean", (now_us() - began) / 1e5, "ms");
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: b_events DIR [EVENTS COMPUTERS BATCH]\n");
		return 2;
	}
	events = argc > 2 ? strtoul(argv[2], NULL, 10) : events;
	computers = argc > 3 ? strtoul(argv[3], NULL, 10) : computers;
	batch = argc > 4 ? strtoul(argv[4], NULL, 10) : batch;
	if (mkdir(argv[1], 0755) != 0) {
		perror(argv[1]);
		return 1;
	}
	OK(store_create(argv[1], &err));
	OK(store_open(&store, argv[1], STORE_ADMIN, &err));
	for (unsigned tenth = 0; tenth < 10; tenth++)
		fill(tenth, TENTH(events / batch));
	show_figures();
	show_reading();
	show_dropping();
	show_figures();
	store_close(&store);
	return 0;
}
