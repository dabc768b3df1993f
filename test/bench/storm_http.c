/* storm_http.c -- the connections of b_storm: one request at a time, each answer timed from its first byte asked. */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/limits.h"
#include "common/text.h"
#include "test/bench/storm.h"

#define PART (64 << 10)
#define KEEP (128 << 10) /* of a buffer between two answers */

struct counts counts;
struct sockaddr_in peer;
char peer_name[64];
static int ep = -1;
static struct buf plain;

_Noreturn void quit(const char *what, const char *which)
{
	fprintf(stderr, "b_storm: %s%s%s\n", what, which[0] ? ": " : "", which);
	exit(2);
}

void http_start(void)
{
	ep = epoll_create1(EPOLL_CLOEXEC);
	if (ep < 0)
		quit("epoll_create1", strerror(errno));
	buf_init(&plain, LIMIT_REPLY);
}

static void connect_to_peer(struct visit *v)
{
	int on = 1;
	v->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (v->fd < 0)
		quit("socket", strerror(errno));
	setsockopt(v->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(v->fd, (struct sockaddr *)&peer, sizeof(peer)) < 0 && errno != EINPROGRESS)
		quit("connect", strerror(errno));
	struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = v};
	if (epoll_ctl(ep, EPOLL_CTL_ADD, v->fd, &ev) < 0)
		quit("epoll_ctl", strerror(errno));
	v->served = false;
}

static void empty(struct buf *b)
{
	if (b->cap > KEEP)
		buf_free(b);
	buf_reset(b);
}

static void begin(struct visit *v)
{
	v->sent = v->head = 0;
	v->want = 0;
	v->status = 0;
	empty(&v->in);
	v->began = now_us();
}

void visit_open(struct visit *v)
{
	buf_init(&v->out, LIMIT_BODY);
	buf_init(&v->in, LIMIT_REPLY);
	v->longest = 0;
	v->syncs = 0;
	connect_to_peer(v);
	if (talk_ask(v))
		begin(v);
}

void visit_close(struct visit *v)
{
	close(v->fd);
	v->fd = -1;
	buf_free(&v->out);
	buf_free(&v->in);
	free(v->auth);
	free(v->last_change);
	free(v->digests);
	free(v->url);
	v->auth = v->last_change = v->digests = v->url = NULL;
	v->nwanted = 0;
	spread_add(&counts.longest, v->longest);
	counts.visits++;
	visit_over(v);
}

void visit_fail(struct visit *v, const char *what)
{
	if (counts.errors++ == 0) {
		struct slice body = {v->in.p ? v->in.p + v->head : "", v->head ? MIN(v->in.n - v->head, 120) : 0};
		struct buf safe;
		buf_init(&safe, 1024);
		text_safe_add(&safe, v->packed ? SL("") : body);
		snprintf(counts.why, sizeof(counts.why), "computer %u, %s, status %d: %s %.*s", v->c->number,
			op_name(*v->walk), v->status, what, SLF(buf_bytes(&safe)));
		buf_free(&safe);
	}
	v->c->failed = true;
	v->longest = MAX(v->longest, now_us() - v->began);
	visit_close(v);
}

void visit_check(struct visit *v, uint64_t now)
{
	if (v->fd >= 0 && now > v->began + NO_ANSWER)
		visit_fail(v, "no answer");
}

/* ---- an answer ---- */
static struct slice header(struct slice head, struct slice name)
{
	while (head.p && head.n > 0) {
		struct slice line = text_cut(&head, '\n'), key = text_cut(&line, ':');
		if (line.p && text_ieq(key, name))
			return text_trim(line);
	}
	return SL0;
}

static const char *read_head(struct visit *v)
{
	const char *end = v->in.n > 0 ? memmem(v->in.p, v->in.n, "\r\n\r\n", 4) : NULL;
	int32_t status;
	if (!end)
		return v->in.n < 16384 ? NULL : "a head too long";
	struct slice head = {v->in.p, (size_t)(end - v->in.p)};
	if (!text_starts(head, SL("HTTP/1.1 ")) || !text_i32((struct slice){head.p + 9, 3}, &status))
		return "no HTTP/1.1";
	v->status = status;
	v->closing = text_ieq(header(head, SL("Connection")), SL("close"));
	v->packed = slice_eq(header(head, SL("Content-Encoding")), SL("xpress"));
	v->head = head.n + 4;
	return text_u64(header(head, SL("Content-Length")), &v->want) ? NULL : "no Content-Length";
}

static const char *take_answer(struct visit *v, enum op op)
{
	struct slice body = {v->in.p + v->head, (size_t)v->want};
	if (op != OP_BAD && v->status != (op == OP_CONTENT ? 206 : 200))
		return "another status than asked for";
	if (v->packed) {
		buf_reset(&plain);
		if (storm_unpack(body, &plain, &counts.plain) != E_OK)
			return "bad xpress";
		body = buf_bytes(&plain);
	} else
		counts.plain += body.n;
	return talk_take(v, body);
}

static void complete(struct visit *v)
{
	uint64_t us = now_us() - v->began;
	enum op op = *v->walk;
	spread_add(&counts.of[op], us);
	v->longest = MAX(v->longest, us);
	counts.calls++;
	counts.received += v->in.n;
	counts.sent += v->out.n;
	v->served = true;
	bool closing = v->closing;
	const char *bad = take_answer(v, op);
	if (bad) {
		visit_fail(v, bad);
		return;
	}
	if (!talk_ask(v)) {
		visit_close(v);
		return;
	}
	if (closing) {
		close(v->fd);
		connect_to_peer(v);
	}
	begin(v);
}

/* ---- moving bytes ---- */
static bool may_wait(void)
{
	return errno == EAGAIN || errno == EINTR || errno == ENOTCONN;
}

static bool send_some(struct visit *v)
{
	size_t n = v->breaking == BREAK_ASKING ? v->out.n / 2 : v->out.n;
	while (v->sent < n) {
		ssize_t done = send(v->fd, v->out.p + v->sent, n - v->sent, MSG_NOSIGNAL);
		if (done < 0)
			return may_wait();
		v->sent += (size_t)done;
	}
	return true;
}

/* A kept connection that the server closed before it answered anything is no error: HTTP lets it. */
static void lost(struct visit *v)
{
	if (v->in.n > 0 || !v->served) {
		visit_fail(v, "the connection broke");
		return;
	}
	close(v->fd);
	connect_to_peer(v);
	v->sent = 0;
}

static bool breaks_off(const struct visit *v)
{
	return (v->breaking == BREAK_ASKING && v->sent >= v->out.n / 2) || (v->breaking == BREAK_ANSWERED && v->in.n > 0);
}

static void break_off(struct visit *v)
{
	counts.broken++;
	visit_close(v);
}

/* false: nothing more to do before the next event. */
static bool step(struct visit *v)
{
	bool alive = send_some(v);
	if (alive && breaks_off(v)) {
		break_off(v);
		return false;
	}
	char *room = buf_room(&v->in, PART);
	ssize_t n = alive && room ? recv(v->fd, room, PART, 0) : 0;
	if (n < 0 && may_wait())
		return false;
	if (n <= 0) {
		lost(v);
		return v->fd >= 0;
	}
	v->in.n += (size_t)n;
	const char *bad = v->head ? NULL : read_head(v);
	if (!bad && v->head && v->in.n > v->head + v->want)
		bad = "more bytes than Content-Length";
	if (bad)
		visit_fail(v, bad);
	else if (v->breaking == BREAK_ANSWERED)
		break_off(v);
	else if (v->head && v->in.n == v->head + v->want)
		complete(v);
	return v->fd >= 0;
}

void http_turn(int ms)
{
	struct epoll_event ev[256];
	int n = epoll_wait(ep, ev, (int)COUNTOF(ev), ms);
	for (int i = 0; i < n; i++) {
		struct visit *v = ev[i].data.ptr;
		while (v->fd >= 0 && step(v))
			;
	}
}
