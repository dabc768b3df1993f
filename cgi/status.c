/* status.c -- /health and /metrics.  See status.h. */
#include "cgi/status.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/limits.h"
#include "common/text.h"

#define PLAIN "text/plain; charset=utf-8"

static const struct page {
	const char *path, *file, *type;
	bool has_level; /* its first line is that of a monitoring plug-in */
} pages[] = {
	{"/health", "health.txt", PLAIN, true},
	{"/metrics", "metrics.prom", "text/plain; version=0.0.4; charset=utf-8", false},
};

static const struct page *find(struct slice path)
{
	for (unsigned i = 0; i < COUNTOF(pages); i++)
		if (slice_eq(path, slice_of(pages[i].path)))
			return &pages[i];
	return NULL;
}

bool status_is_for(struct slice path)
{
	return find(path) != NULL;
}

static void reply(int status, const char *type, struct slice text, struct status_reply *room, struct answer *out)
{
	int n = snprintf(room->headers, sizeof(room->headers), "Content-Type: %s\r\nCache-Control: no-store\r\n", type);
	room->iov = (struct iovec){.iov_base = (void *)(uintptr_t)text.p, .iov_len = text.n};
	*out = (struct answer){.status = status, .headers = {room->headers, (size_t)n}, .iov = &room->iov, .niov = text.n > 0,
		.length = text.n};
}

/* As the job would say it; whoever only looks at the first line sees UNKNOWN. */
static void refuse(struct slice why, struct status_reply *room, struct answer *out)
{
	reply(503, PLAIN, why.p ? why : SL("WSUS UNKNOWN - out of memory\n"), room, out);
}

/* The whole file, at most LIMIT_STATUS; absent without memory. */
static struct slice read_all(int fd, struct arena *a)
{
	char *to = arena_alloc(a, 1, LIMIT_STATUS);
	size_t n = 0;
	ssize_t got;
	while (to && n < LIMIT_STATUS && (got = read(fd, to + n, LIMIT_STATUS - n)) != 0) {
		if (got > 0)
			n += (size_t)got;
		else if (errno != EINTR)
			return SL0;
	}
	return (struct slice){to, n};
}

/* 0 also for a clock that was set back. */
static int64_t age_of(int fd, tick_t now)
{
	struct stat st;
	int64_t at = now / TICKS_PER_SECOND;
	return fstat(fd, &st) == 0 && st.st_mtime < at ? at - st.st_mtime : 0;
}

static bool is_well(struct slice text)
{
	return text_starts(text, SL("WSUS OK")) || text_starts(text, SL("WSUS WARNING"));
}

static void show(const struct page *p, int fd, const struct request *req, tick_t now, struct status_reply *room, struct answer *out)
{
	int64_t age = age_of(fd, now);
	if (age > LIMIT_STATUS_AGE) {
		refuse(arena_printf(req->a, "WSUS UNKNOWN - stale: the server was looked at %" PRId64 " minutes ago for the last time; the "
			"job that does it every five minutes has stopped: see wsus-health(8)\n", age / 60), room, out);
		return;
	}
	struct slice text = read_all(fd, req->a);
	if (!text.p)
		refuse(SL0, room, out);
	else
		reply(p->has_level && !is_well(text) ? 503 : 200, p->type, text, room, out);
}

void status_answer(const struct request *req, const char *dir, tick_t now, struct status_reply *room, struct answer *out)
{
	const struct page *p = find(req->path);
	if (!text_ieq(req->method, SL("GET")) && !text_ieq(req->method, SL("HEAD"))) {
		reply(405, PLAIN, SL("GET only\n"), room, out);
		return;
	}
	if (!p || !dir) {
		reply(404, PLAIN, SL("not found\n"), room, out);
		return;
	}
	struct slice path = arena_printf(req->a, "%s/%s", dir, p->file);
	int fd = path.p ? open(path.p, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
	if (fd < 0) {
		refuse(arena_printf(req->a, "WSUS UNKNOWN - the server was not looked at yet (%s); the job that does it every five minutes "
			"is described in wsus-health(8)\n", strerror(errno)), room, out);
		return;
	}
	show(p, fd, req, now, room, out);
	close(fd);
}
