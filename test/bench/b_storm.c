/* b_storm.c -- thousands of computers that talk to a server as native clients do, each with a memory of its own.
 *
 *   b_storm [-c CONNECTIONS] [-n COMPUTERS] [-s SEED] -p SHARE:SEED:WEIGHT... -g GROUP... [-x N] ADDRESS:PORT
 *
 * It is told what to do by lines on standard input, and answers each with one line, a JSON object:
 *   fresh              every computer's first contact: handshake, scan, drivers, extended information, locations
 *                      of what is offered, and one more scan
 *   scan               every computer's differential scan with the cookie it has
 *   day                what a computer does once in a detection interval: a handshake with the old cookie, a
 *                      scan, the driver pass, and what belongs to new offers
 *   soak SECONDS RATE  a mix of all of it, and of what clients do wrong, so many beginnings a second
 *   sets DIRECTORY     writes each distinct set that a profile's computers in a group hold: DIRECTORY/PROFILE-GROUP-N
 * What comes later builds on what the computers remember from before.
 *
 * -p: computers of this profile (storm.h), WEIGHT of all weights; -g: a group that computers ask for, or several with
 * semicolons between them, or "".  -x: for tests of the test: the Nth change is forgotten.  The exit status is 1 after
 * an error of any kind. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/limits.h"
#include "common/text.h"
#include "test/bench/storm.h"

#define MAX_COMPUTERS 1000000
#define MAX_CONNECTIONS 900      /* nginx lets an address have 1,000 */
#define COOKIE_LIFE 3000000000   /* us: a cookie is good for an hour, and a scan takes its time */
#define MAX_SETS 256             /* distinct ones that are written */

static struct computer *computer;
static struct visit *visit;
static size_t computers = 100, connections = 16, profiles, groups, active;
static uint64_t *free_visit;
static size_t free_visits;
static bool any_error;

/* ---- visits ---- */
void visit_over(struct visit *v)
{
	v->c->known = v->c->known || !v->c->failed;
	v->c->busy = false;
	active--;
	free_visit[free_visits++] = (uint64_t)(v - visit);
}

static struct visit *start(struct computer *c, const enum op *walk, enum breaking breaking, unsigned bad)
{
	struct visit *v = &visit[free_visit[--free_visits]];
	active++;
	c->busy = true;
	c->failed = false;
	v->c = c;
	v->walk = walk;
	v->breaking = breaking;
	v->bad = bad;
	return v;
}

static void check_all(void)
{
	static uint64_t last;
	uint64_t now = now_us();
	if (now < last + 1000000)
		return;
	last = now;
	for (size_t i = 0; i < connections; i++)
		visit_check(&visit[i], now);
}

static void run_all(const enum op *walk)
{
	size_t next = 0;
	while (next < computers || active > 0) {
		while (next < computers && free_visits > 0)
			visit_open(start(&computer[next++], walk, BREAK_NOT, 0));
		http_turn(200);
		check_all();
	}
}

/* ---- a mixed load at a steady rate ---- */
static uint64_t dice(void)
{
	static uint64_t state = 88172645463325252ULL;
	state ^= state << 13;
	state ^= state >> 7;
	return state ^= state << 17;
}

static struct computer *idle_computer(void)
{
	for (unsigned tries = 0; tries < 1000; tries++) {
		struct computer *c = &computer[dice() % computers];
		if (!c->busy)
			return c;
	}
	return NULL;
}

/* In percent; a computer with an expired cookie, or none, does what it must. */
static const struct {
	unsigned share;
	const enum op *walk;
	enum breaking breaking;
} mixture[] = {
	{5, walk_fresh, BREAK_NOT},   {60, walk_scan, BREAK_NOT},     {15, walk_day, BREAK_NOT},
	{10, walk_content, BREAK_NOT}, {4, walk_bad, BREAK_NOT},      {3, walk_scan, BREAK_ASKING},
	{3, walk_scan, BREAK_ANSWERED},
};

static void start_any(void)
{
	size_t k = 0;
	uint64_t at = dice() % 100;
	struct computer *c = idle_computer();
	if (!c)
		return;
	while (at >= mixture[k].share)
		at -= mixture[k++].share;
	const enum op *walk = mixture[k].walk;
	if (walk == walk_fresh)
		computer_forget(c);
	else if (walk != walk_bad && !c->known)
		walk = walk_fresh;
	else if (walk != walk_bad && now_us() > c->cookie_at + COOKIE_LIFE)
		walk = walk_day;
	struct visit *v = start(c, walk, walk == mixture[k].walk ? mixture[k].breaking : BREAK_NOT, (unsigned)(dice() >> 32));
	if (walk == walk_content)
		talk_want_offered(v);
	visit_open(v);
}

static void soak(double seconds, double rate)
{
	uint64_t from = now_us(), done = 0;
	while (now_us() < from + (uint64_t)(seconds * 1e6)) {
		uint64_t due = (uint64_t)((double)(now_us() - from) * rate / 1e6);
		for (; done < due && free_visits > 0; done++)
			start_any();
		counts.late_us = MAX(counts.late_us, done < due ? (uint64_t)((double)(due - done) * 1e6 / rate) : 0);
		http_turn(5);
		check_all();
	}
	while (active > 0) {
		http_turn(200);
		check_all();
	}
}

/* ---- results ---- */
static void print_spread(const char *name, const struct spread *s)
{
	printf("\"%s\":{\"calls\":%ju,\"p50_us\":%ju,\"p99_us\":%ju,\"max_us\":%ju}", name, (uintmax_t)s->n,
		(uintmax_t)spread_share(s, 0.5), (uintmax_t)spread_share(s, 0.99), (uintmax_t)s->most);
}

static double cpu_seconds(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void print_phase(const char *name, double took, double cpu)
{
	size_t held = 0, parked = 0;
	for (size_t i = 0; i < computers; i++) {
		held += computer[i].n;
		for (uint32_t k = 0; k < computer[i].n; k++)
			parked += computer[i].v[k].parked;
	}
	printf("{\"phase\":\"%s\",\"seconds\":%.3f,\"cpu_seconds\":%.3f,\"computers\":%zu,\"connections\":%zu,\"visits\":%ju,"
		"\"calls\":%ju,\"sent\":%ju,\"received\":%ju,\"plain\":%ju,\"held\":%zu,\"parked\":%zu,\"broken\":%ju,\"late_us\":%ju,\"errors\":%ju,"
		"\"first_error\":", name, took, cpu, computers, connections, (uintmax_t)counts.visits, (uintmax_t)counts.calls,
		(uintmax_t)counts.sent, (uintmax_t)counts.received, (uintmax_t)counts.plain, held, parked, (uintmax_t)counts.broken,
		(uintmax_t)counts.late_us, (uintmax_t)counts.errors);
	struct buf text;
	buf_init(&text, 4096);
	json_string_add(&text, slice_of(counts.why));
	printf("%.*s,\"operations\":{", SLF(buf_bytes(&text)));
	buf_free(&text);
	bool any = false;
	for (unsigned op = 0; op < OP__MAX; op++) {
		if (counts.of[op].n == 0)
			continue;
		printf("%s", any ? "," : "");
		any = true;
		print_spread(op_name(op), &counts.of[op]);
	}
	printf("},");
	print_spread("longest_wait", &counts.longest);
	printf("}\n");
	fflush(stdout);
}

/* ---- sets ---- */
struct distinct {
	const struct computer *first;
	size_t computers;
};

/* The next one that is in scope, from *at on. */
static const struct held *next_held(const struct computer *c, uint32_t *at)
{
	while (*at < c->n && c->v[*at].parked)
		++*at;
	return *at < c->n ? &c->v[(*at)++] : NULL;
}

static bool same_set(const struct computer *a, const struct computer *b)
{
	uint32_t i = 0, k = 0;
	if (a->profile != b->profile || a->group != b->group)
		return false;
	for (;;) {
		const struct held *x = next_held(a, &i), *y = next_held(b, &k);
		if (!x || !y)
			return x == y;
		if (x->id != y->id || x->action != y->action || x->leaf != y->leaf || x->takes != y->takes)
			return false;
	}
}

static void write_set(const char *dir, const struct computer *c, size_t number)
{
	char path[4096];
	struct buf b;
	buf_init(&b, LIMIT_REPLY);
	computer_print(c, &b);
	snprintf(path, sizeof(path), "%s/%u-%u-%zu", dir, c->profile, c->group, number);
	FILE *f = fopen(path, "w");
	if (!f || fwrite(buf_bytes(&b).p, 1, b.n, f) != b.n || fclose(f) != 0)
		quit("cannot write", path);
	buf_free(&b);
}

static void sets(const char *dir)
{
	static struct distinct d[MAX_SETS];
	size_t n = 0, others = 0;
	memset(d, 0, sizeof(d));
	for (size_t i = 0; i < computers; i++) {
		size_t k = 0;
		while (k < n && !same_set(d[k].first, &computer[i]))
			k++;
		others += k == MAX_SETS;
		if (k == n && k < MAX_SETS)
			write_set(dir, d[n++].first = &computer[i], k);
		if (k < MAX_SETS)
			d[k].computers++;
	}
	printf("{\"phase\":\"sets\",\"others\":%zu,\"sets\":[", others);
	for (size_t k = 0; k < n; k++)
		printf("%s{\"profile\":%u,\"group\":%u,\"file\":\"%u-%u-%zu\",\"computers\":%zu,\"first\":%u,\"revisions\":%u}", k ? "," : "",
			d[k].first->profile, d[k].first->group, d[k].first->profile, d[k].first->group, k, d[k].computers,
			d[k].first->number, d[k].first->n);
	printf("]}\n");
	fflush(stdout);
}

/* ---- commands ---- */
static bool run_phase(struct slice word, double seconds, double rate)
{
	static const struct {
		const char *word;
		const enum op *walk;
	} phases[] = {{"fresh", walk_fresh}, {"scan", walk_scan}, {"day", walk_day}};
	for (size_t i = 0; i < COUNTOF(phases); i++)
		if (slice_eq(word, slice_of(phases[i].word))) {
			run_all(phases[i].walk);
			return true;
		}
	if (!slice_eq(word, SL("soak")) || !(seconds > 0) || !(rate > 0))
		return false;
	soak(seconds, rate);
	return true;
}

static void command(char *line)
{
	double a = 0, b = 0, from = (double)now_us() / 1e6, cpu = cpu_seconds();
	line[strcspn(line, "\n")] = '\0';
	struct slice rest = slice_of(line), word = text_cut(&rest, ' ');
	if (slice_eq(word, SL("sets")) && rest.p) {
		sets(rest.p);
		return;
	}
	if (rest.p) {
		char *end = NULL;
		a = strtod(rest.p, &end);
		b = strtod(end, NULL);
	}
	memset(&counts, 0, sizeof(counts));
	if (!run_phase(word, a, b))
		quit("no such command", line);
	line[word.n] = '\0';
	print_phase(line, (double)now_us() / 1e6 - from, cpu_seconds() - cpu);
	any_error = any_error || counts.errors > 0;
}

/* ---- options ---- */
static void set_peer(char *text)
{
	uint64_t n = 0;
	snprintf(peer_name, sizeof(peer_name), "%s", text);
	char *port = strrchr(text, ':');
	if (!port || !text_u64(slice_of(port + 1), &n) || n == 0 || n > 65535)
		quit("no ADDRESS:PORT", text);
	*port = '\0';
	peer.sin_family = AF_INET;
	peer.sin_port = htons((uint16_t)n);
	if (inet_pton(AF_INET, text, &peer.sin_addr) != 1)
		quit("no IPv4 address", text);
}

static bool add_profile(const char *text)
{
	struct slice rest = slice_of(text), share = text_cut(&rest, ':'), seed = text_cut(&rest, ':');
	uint64_t s, w;
	struct profile *p = &profile[profiles++];
	bool ok = profiles <= MAX_PROFILES && rest.p && text_u64(share, &s) && s <= 100 && text_u64(seed, &p->seed) &&
		text_u64(rest, &w) && w > 0 && w < 1000;
	if (ok) {
		p->share = (unsigned)s;
		p->weight = (unsigned)w;
	}
	return ok;
}

static bool set_option(int c)
{
	uint64_t n = 0;
	if (c == 'p')
		return profiles < MAX_PROFILES && add_profile(optarg);
	if (c == 'g') {
		group[groups] = optarg;
		return groups++ < MAX_GROUPS - 1;
	}
	if (c == '?' || !text_u64(slice_of(optarg), &n))
		return false;
	switch (c) {
	case 'c': connections = (size_t)n; break;
	case 'n': computers = (size_t)n; break;
	case 's': base_seed = n; break;
	default: drop_change = (long)n; break;
	}
	return true;
}

static bool options(int argc, char **argv)
{
	for (int c; (c = getopt(argc, argv, "c:n:s:p:g:x:")) != -1;)
		if (!set_option(c))
			return false;
	return connections > 0 && connections <= MAX_CONNECTIONS && computers > 0 && computers <= MAX_COMPUTERS && profiles > 0 &&
		groups > 0 && optind + 1 == argc;
}

/* Profiles in the order of their weights, so that any stretch of computers has its share of each; groups across. */
static void make_computers(void)
{
	unsigned total = 0;
	for (size_t i = 0; i < profiles; i++)
		total += profile[i].weight;
	for (size_t i = 0; i < computers; i++) {
		unsigned at = (unsigned)(i * 2654435761u % total), k = 0;
		while (at >= profile[k].weight)
			at -= profile[k++].weight;
		computer[i] = (struct computer){.number = (uint32_t)i, .profile = (uint8_t)k, .group = (uint8_t)(i / total % groups)};
	}
}

int main(int argc, char **argv)
{
	char line[4096];
	if (!options(argc, argv))
		quit("usage: b_storm [-c CONNECTIONS] [-n COMPUTERS] [-s SEED] -p SHARE:SEED:WEIGHT... -g GROUP... [-x N] "
			"ADDRESS:PORT", "");
	set_peer(argv[optind]);
	computer = calloc(computers, sizeof(*computer));
	visit = calloc(connections, sizeof(*visit));
	free_visit = calloc(connections, sizeof(*free_visit));
	if (!computer || !visit || !free_visit)
		quit("out of memory", "");
	for (size_t i = 0; i < connections; i++) {
		visit[i].fd = -1;
		free_visit[free_visits++] = connections - 1 - i;
	}
	make_computers();
	http_start();
	while (fgets(line, sizeof(line), stdin))
		command(line);
	for (size_t i = 0; i < computers; i++)
		computer_forget(&computer[i]);
	return any_error ? 1 : 0;
}
