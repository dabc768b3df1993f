/* b_load.c -- an HTTP/1.1 load generator that counts for each connection, so that none can starve unseen.
 *
 *   b_load [-c CONNECTIONS] [-s SECONDS] [-a ANSWERS] [-n WALKS] [-m BYTES] [-q] [-e] [-C COOKIES] ADDRESS:PORT DIR|NNN.req...
 *
 * Each connection is kept and sends the recorded requests in order, again and again; the next one leaves when the
 * answer to the last is complete.  NNN.req is sent as it is, or with -q with ?NNN behind its path, which is how
 * b_floor knows what to answer.  Beside it, NNN.body is the recorded body: an answer must have status 200 and its
 * length, give or take TOLERANCE (a sealed cookie packs a little differently each time), and with -C a tenth besides:
 * other computers have other DeploymentIDs, and a page may end one update sooner.
 *
 * -n ends a connection after so many walks through its requests, -s all of them after so many seconds; with -a not
 * before each connection has had so many answers, so that a slow server has as many to show as a quick one, but
 * after MAX_SECONDS at the latest.  A request that has no answer at the end counts with the time it has waited.
 *
 * -C: a file with a cookie in each line.  Each walk takes the next one and sends it in place of the recorded
 * EncryptedData: many computers out of the walk of one.
 *
 * -e: events that never happened before.  Each EventInstanceID is another one each time, and each clientTime and TimeAtTarget,
 * which must have milliseconds, is now; an answer must be true.
 *
 * -m sets the largest segment: with that of a loopback a socket takes a whole page at once, with that of an Ethernet
 * (1448) it does not.
 *
 * One JSON object is printed; the exit status is 1 if any answer was wrong. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/limits.h"
#include "common/text.h"
#include "test/bench/spread.h"

#define MAX_CONNECTIONS 4000
#define MAX_REQUESTS 1000
#define MAX_SECONDS 3600
#define MAX_COOKIES 10000
#define MAX_HEAD 8192
#define TOLERANCE 1024

struct recorded {
	struct buf bytes;     /* of the request */
	uint64_t body;        /* bytes of the answer's body */
	char first[8];        /* of it, unless it is packed: then its length is all that holds */
	bool check_first;
	size_t cookie;        /* where its cookie begins; 0 = it has none */
	uint32_t *stamp;      /* where an id or a time begins, that -e makes anew; the former first */
	size_t ids, stamps;
};

struct connection {
	int fd;
	size_t at, walks;     /* the request that runs; how often the last one was answered */
	char **own;           /* of each request, with -e: as this connection sends it now */
	size_t cookie;        /* that it sends */
	size_t sent;
	char head[MAX_HEAD];
	size_t head_n;
	bool in_body, closing, done;
	uint64_t want, got;   /* of the body */
	char first[8];
	bool is_true;         /* the answer has the word */
	uint64_t began, longest, served;
};

static struct recorded *request;
static size_t requests;
static struct connection *conn;
static size_t connections = 16, walks, least;
static struct slice cookie[MAX_COOKIES]; /* all of one length */
static size_t cookies, next_cookie;
static double seconds = 5;
static bool numbered, fresh;
static int segment; /* 0: the kernel's */
static struct sockaddr_in peer;
static int ep;
static uint64_t errors, bytes, reconnects;
static char why[200]; /* the first error */

static struct spread spread; /* of the times of all answers */

static void take_time(struct connection *c, uint64_t now)
{
	uint64_t us = now - c->began;
	c->longest = MAX(c->longest, us);
	spread_add(&spread, us);
}

/* ---- connections ---- */
_Noreturn static void quit(const char *what, const char *which)
{
	fprintf(stderr, "b_load: %s%s%s\n", what, which[0] ? ": " : "", which);
	exit(2);
}

static void open_connection(struct connection *c)
{
	int on = 1;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		quit("socket", strerror(errno));
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (segment && setsockopt(c->fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof(segment)) < 0)
		quit("TCP_MAXSEG", strerror(errno));
	if (connect(c->fd, (struct sockaddr *)&peer, sizeof(peer)) < 0 && errno != EINPROGRESS)
		quit("connect", strerror(errno));
	struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
	if (epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &ev) < 0)
		quit("epoll_ctl", strerror(errno));
}

/* ---- events ---- */

#define ID_TEXT 36
#define STAMP_TEXT 24 /* 2026-10-04T15:20:47.680Z */

static size_t find_tags(struct recorded *r, const char *tag, size_t width)
{
	size_t found = 0;
	const char *p = r->bytes.p, *end = p + r->bytes.n;
	while ((p = memmem(p, (size_t)(end - p), tag, strlen(tag))) != NULL) {
		uint32_t *v = realloc(r->stamp, (r->stamps + 1) * sizeof(*v));
		p += strlen(tag);
		if (!v || (size_t)(end - p) < width || p[width] != '<')
			quit("-e: out of memory, or a value of another width in", tag);
		r->stamp = v;
		r->stamp[r->stamps++] = (uint32_t)(p - r->bytes.p);
		found++;
	}
	return found;
}

static void find_stamps(struct recorded *r)
{
	r->ids = find_tags(r, "<EventInstanceID>", ID_TEXT);
	(void)find_tags(r, "<TimeAtTarget>", STAMP_TEXT);
	(void)find_tags(r, "<clientTime>", STAMP_TEXT);
}

/* Ids count on from where this process began, so that no two processes have the same. */
static void make_fresh(struct connection *c)
{
	static uint64_t serial;
	const struct recorded *r = &request[c->at];
	struct timespec now;
	struct tm tm;
	char text[ID_TEXT + 1], at[64];
	if (!c->own[c->at] && !(c->own[c->at] = malloc(r->bytes.n)))
		quit("out of memory", "");
	memcpy(c->own[c->at], r->bytes.p, r->bytes.n);
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	snprintf(at, sizeof(at), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
		tm.tm_sec, (int)(now.tv_nsec / 1000000));
	if (serial == 0)
		serial = (uint64_t)now.tv_sec << 24;
	for (size_t i = 0; i < r->stamps; i++) {
		snprintf(text, sizeof(text), "b10ad000-%04x-4%03x-8000-%012jx", (unsigned)(getpid() & 0xffff), (unsigned)(serial >> 48 & 0xfff),
			(uintmax_t)(serial & 0xffffffffffff));
		memcpy(c->own[c->at] + r->stamp[i], i < r->ids ? text : at, i < r->ids ? ID_TEXT : STAMP_TEXT);
		serial++;
	}
}

static void begin(struct connection *c)
{
	if (fresh)
		make_fresh(c);
	c->sent = c->head_n = 0;
	c->in_body = c->closing = c->is_true = false;
	c->want = c->got = 0;
	c->began = now_us();
}

static void again(struct connection *c)
{
	close(c->fd);
	open_connection(c);
	reconnects++;
}

static void failed(struct connection *c, const char *what)
{
	if (errors++ == 0)
		snprintf(why, sizeof(why), "request %zu: %s", c->at, what);
}

static void take_cookie(struct connection *c)
{
	if (cookies)
		c->cookie = next_cookie++ % cookies;
}

/* The answer is complete, or will never be: the next request. */
static void next(struct connection *c, bool reopen)
{
	if (++c->at == requests) {
		c->at = 0;
		c->walks++;
		take_cookie(c);
	}
	if (walks && c->walks >= walks) {
		c->done = true;
		close(c->fd);
		return;
	}
	if (reopen)
		again(c);
	begin(c);
}

/* ---- an answer ---- */
static struct slice header(const struct connection *c, struct slice name)
{
	struct slice rest = {c->head, c->head_n};
	while (rest.p && rest.n > 0) {
		struct slice line = text_cut(&rest, '\n'), key = text_cut(&line, ':');
		if (line.p && text_ieq(key, name))
			return text_trim(line);
	}
	return SL0;
}

static bool read_head(struct connection *c)
{
	struct slice head = {c->head, c->head_n};
	if (!text_starts(head, SL("HTTP/1.1 200 "))) {
		failed(c, "not status 200");
		return false;
	}
	c->in_body = true;
	c->closing = text_ieq(header(c, SL("Connection")), SL("close"));
	if (!text_u64(header(c, SL("Content-Length")), &c->want)) {
		failed(c, "no Content-Length");
		return false;
	}
	const struct recorded *r = &request[c->at];
	uint64_t slack = TOLERANCE + (cookies ? r->body / 10 : 0);
	if (c->want + slack < r->body || c->want > r->body + slack)
		failed(c, "another length than recorded");
	return true;
}

static bool take_body(struct connection *c, const char *p, size_t n)
{
	if (c->got < sizeof(c->first))
		memcpy(c->first + c->got, p, MIN(n, sizeof(c->first) - (size_t)c->got));
	c->got += n;
	c->is_true |= fresh && memmem(p, n, ">true<", 6) != NULL;
	if (c->got > c->want)
		failed(c, "more bytes than Content-Length");
	return c->got <= c->want;
}

/* Takes n bytes in; false after failed(): the connection is of no use any more. */
static bool take(struct connection *c, const char *p, size_t n)
{
	if (c->in_body)
		return take_body(c, p, n);
	size_t room = MIN(n, sizeof(c->head) - c->head_n), had = c->head_n;
	memcpy(c->head + had, p, room);
	c->head_n += room;
	const char *end = memmem(c->head, c->head_n, "\r\n\r\n", 4);
	if (!end && c->head_n == sizeof(c->head))
		failed(c, "a head too long");
	if (!end)
		return c->head_n < sizeof(c->head);
	c->head_n = (size_t)(end - c->head) + 4;
	if (!read_head(c))
		return false;
	size_t used = c->head_n - had;
	return n == used || take(c, p + used, n - used);
}

static void complete(struct connection *c)
{
	const struct recorded *r = &request[c->at];
	take_time(c, now_us());
	if (fresh && !c->is_true)
		failed(c, "not true");
	c->served++;
	bytes += c->head_n + c->got;
	if (r->check_first && memcmp(c->first, r->first, MIN(sizeof(c->first), (size_t)c->got)) != 0)
		failed(c, "other bytes than recorded");
	next(c, c->closing);
}

/* ---- moving bytes ---- */

/* What is to be sent next, up to where another cookie begins or ends. */
static struct slice unsent(const struct connection *c)
{
	const struct recorded *r = &request[c->at];
	const char *p = fresh ? c->own[c->at] : r->bytes.p;
	size_t at = cookies ? r->cookie : 0, end = at ? at + cookie[0].n : 0;
	if (c->sent >= end)
		return (struct slice){p + c->sent, r->bytes.n - c->sent};
	if (c->sent >= at)
		return (struct slice){cookie[c->cookie].p + (c->sent - at), end - c->sent};
	return (struct slice){p + c->sent, at - c->sent};
}

static bool send_some(struct connection *c)
{
	size_t all = request[c->at].bytes.n;
	while (c->sent < all) {
		struct slice s = unsent(c);
		ssize_t n = send(c->fd, s.p, s.n, MSG_NOSIGNAL | (c->sent + s.n < all ? MSG_MORE : 0));
		if (n < 0)
			return errno == EAGAIN || errno == EINTR || errno == ENOTCONN;
		c->sent += (size_t)n;
	}
	return true;
}

/* A kept connection that the server closed before it answered anything is no error: HTTP lets it. */
static void lost(struct connection *c)
{
	if (c->head_n == 0 && c->served > 0) {
		again(c);
		c->sent = 0;
		return;
	}
	failed(c, "the connection broke");
	next(c, true);
}

static void run(struct connection *c)
{
	static char part[256 << 10];
	while (!c->done) {
		ssize_t n = send_some(c) ? recv(c->fd, part, sizeof(part), 0) : 0;
		if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOTCONN))
			return;
		if (n <= 0) {
			lost(c);
			return;
		}
		if (!take(c, part, (size_t)n)) {
			next(c, true);
			return;
		}
		if (c->in_body && c->got == c->want)
			complete(c);
	}
}

static bool any_left(void)
{
	for (size_t i = 0; i < connections; i++)
		if (!conn[i].done)
			return true;
	return false;
}

static bool all_have(size_t n)
{
	for (size_t i = 0; i < connections; i++)
		if (conn[i].served < n)
			return false;
	return true;
}

static bool goes_on(uint64_t from)
{
	double passed = (double)(now_us() - from) / 1e6;
	if (walks && !any_left())
		return false;
	return passed < seconds || (passed < MAX_SECONDS && !all_have(least));
}

static void load_all(uint64_t from)
{
	struct epoll_event ev[256];
	while (goes_on(from)) {
		int n = epoll_wait(ep, ev, (int)COUNTOF(ev), 50);
		for (int i = 0; i < n; i++)
			run(ev[i].data.ptr);
	}
	for (size_t i = 0; i < connections; i++) {
		struct connection *c = &conn[i];
		if (!c->done)
			c->longest = MAX(c->longest, now_us() - c->began);
	}
}

/* ---- what was recorded ---- */
static void read_file(const char *path, struct buf *to)
{
	char part[16384];
	FILE *f = fopen(path, "rb");
	if (!f)
		quit("cannot open", path);
	buf_init(to, LIMIT_REPLY);
	for (size_t n; (n = fread(part, 1, sizeof(part), f)) > 0;)
		buf_add(to, part, n);
	if (ferror(f) || to->rc != E_OK)
		quit("cannot read", path);
	fclose(f);
}

/* "POST /path HTTP/1.1" becomes "POST /path?7 HTTP/1.1". */
static void add_number(struct buf *b, unsigned long number)
{
	struct buf out;
	struct slice rest = buf_bytes(b), line = text_cut(&rest, '\n'), method = text_cut(&line, ' '),
		path = text_cut(&line, ' ');
	buf_init(&out, LIMIT_REPLY);
	buf_printf(&out, "%.*s %.*s?%lu %.*s\n", SLF(method), SLF(path), number, SLF(line));
	buf_slice(&out, rest);
	buf_free(b);
	*b = out;
	if (b->rc != E_OK)
		quit("out of memory", "");
}

static void find_cookie(struct recorded *r, const char *path)
{
	static const char tag[] = "<EncryptedData>";
	const char *at = memmem(r->bytes.p, r->bytes.n, tag, sizeof(tag) - 1);
	if (!at)
		return;
	at += sizeof(tag) - 1;
	const char *end = memchr(at, '<', r->bytes.n - (size_t)(at - r->bytes.p));
	if (!end || (size_t)(end - at) != cookie[0].n)
		quit("the cookies of -C have another length than that of", path);
	r->cookie = (size_t)(at - r->bytes.p);
}

static void read_cookies(const char *path)
{
	static struct buf text;
	read_file(path, &text);
	struct slice rest = buf_bytes(&text);
	while (rest.n > 0 && cookies < MAX_COOKIES) {
		cookie[cookies] = text_cut(&rest, '\n');
		if (cookie[cookies].n == 0 || cookie[cookies].n != cookie[0].n)
			quit("not one cookie of the same length a line", path);
		cookies++;
	}
}

static void add_request(const char *path)
{
	struct recorded *r = &request[requests++];
	char name[4096];
	struct buf body;
	size_t n = strlen(path);
	if (n < 4 || strcmp(path + n - 4, ".req") != 0 || requests > MAX_REQUESTS)
		quit("no NNN.req, or too many", path);
	read_file(path, &r->bytes);
	if (numbered)
		add_number(&r->bytes, strtoul(path + n - MIN(n, 7), NULL, 10));
	if (cookies)
		find_cookie(r, path);
	if (fresh)
		find_stamps(r);
	snprintf(name, sizeof(name), "%.*s.body", (int)(n - 4), path);
	read_file(name, &body);
	r->body = body.n;
	r->check_first = body.n > 0 && body.p[0] == '<';
	memcpy(r->first, buf_bytes(&body).p, MIN(sizeof(r->first), body.n));
	buf_free(&body);
}

static void add_all(const char *path)
{
	struct stat st;
	char name[4096];
	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
		add_request(path);
		return;
	}
	for (unsigned i = 0; i < MAX_REQUESTS; i++) {
		snprintf(name, sizeof(name), "%s/%03u.req", path, i);
		if (access(name, R_OK) < 0)
			return;
		add_request(name);
	}
}

/* ---- options and result ---- */
static void set_peer(char *text)
{
	char *port = strrchr(text, ':');
	uint64_t n = 0;
	if (!port || !text_u64(slice_of(port + 1), &n) || n == 0 || n > 65535)
		quit("no ADDRESS:PORT", text);
	*port = '\0';
	peer.sin_family = AF_INET;
	peer.sin_port = htons((uint16_t)n);
	if (inet_pton(AF_INET, text, &peer.sin_addr) != 1)
		quit("no IPv4 address", text);
}

static bool options(int argc, char **argv)
{
	uint64_t n;
	for (int c; (c = getopt(argc, argv, "c:s:a:n:m:qeC:")) != -1;) {
		if (c == 'q')
			numbered = true;
		else if (c == 'e')
			fresh = true;
		else if (c == 's')
			seconds = strtod(optarg, NULL);
		else if (c == 'C')
			read_cookies(optarg);
		else if (c == '?' || !text_u64(slice_of(optarg), &n))
			return false;
		else if (c == 'm')
			segment = (int)MIN(n, (uint64_t)65535);
		else
			*(c == 'c' ? &connections : c == 'a' ? &least : &walks) = (size_t)n;
	}
	return seconds > 0 && seconds <= MAX_SECONDS && connections > 0 && connections <= MAX_CONNECTIONS && optind + 2 <= argc;
}

static void print(double took)
{
	uint64_t fewest = UINT64_MAX, most = 0, longest = 0;
	for (size_t i = 0; i < connections; i++) {
		fewest = MIN(fewest, conn[i].served);
		most = MAX(most, conn[i].served);
		longest = MAX(longest, conn[i].longest);
	}
	printf("{\"connections\":%zu,\"requests_recorded\":%zu,\"seconds\":%.3f,\"requests\":%ju,\"rate\":%.1f,"
		"\"walks_per_second\":%.3f,\"bytes\":%ju,\"p50_us\":%ju,\"p99_us\":%ju,\"max_us\":%ju,"
		"\"least_served\":%ju,\"most_served\":%ju,\"longest_wait_us\":%ju,\"reconnects\":%ju,\"errors\":%ju",
		connections, requests, took, (uintmax_t)spread.n, (double)spread.n / took,
		(double)spread.n / took / (double)requests, (uintmax_t)bytes, (uintmax_t)spread_share(&spread, 0.5), (uintmax_t)spread_share(&spread, 0.99),
		(uintmax_t)spread.most, (uintmax_t)fewest, (uintmax_t)most, (uintmax_t)longest, (uintmax_t)reconnects,
		(uintmax_t)errors);
	if (errors)
		printf(",\"first_error\":\"%s\"", why);
	printf("}\n");
}

int main(int argc, char **argv)
{
	if (!options(argc, argv))
		quit("usage: b_load [-c CONNECTIONS] [-s SECONDS] [-a ANSWERS] [-n WALKS] [-m BYTES] [-q] [-e] [-C COOKIES] ADDRESS:PORT "
		"DIR|NNN.req...", "");
	set_peer(argv[optind++]);
	request = calloc(MAX_REQUESTS + 1, sizeof(*request));
	conn = calloc(connections, sizeof(*conn));
	ep = epoll_create1(EPOLL_CLOEXEC);
	if (!request || !conn || ep < 0)
		quit("cannot start", strerror(errno));
	for (; optind < argc; optind++)
		add_all(argv[optind]);
	if (requests == 0)
		quit("nothing to send", "");
	uint64_t from = now_us();
	for (size_t i = 0; i < connections; i++) {
		/* as computers that began at different times: all parts of a long walk are asked for from the start */
		conn[i].at = walks ? 0 : i < requests ? i * requests / MIN(connections, requests) : i % requests;
		take_cookie(&conn[i]);
		if (fresh && !(conn[i].own = calloc(requests, sizeof(char *))))
			quit("out of memory", "");
		open_connection(&conn[i]);
		begin(&conn[i]);
	}
	load_all(from);
	print((double)(now_us() - from) / 1e6);
	return errors ? 1 : 0;
}
