/* b_floor.c -- the floor of every figure: a FastCGI program that takes the request as our services do and sends
 * recorded bytes.
 *
 *   b_floor -s SOCKET [options of every service] -d DIR
 *
 * DIR holds NNN.head (header lines as in struct answer) and NNN.body, from 000 on, as test/bench/bench.py records
 * them.  The query of a request is the number of its reply: the path, and so the way through nginx, stays the
 * service's own. */
#include <stdlib.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/limits.h"
#include "common/serve.h"
#include "common/text.h"

#define REPLIES 1000

struct reply {
	struct buf head, body;
	struct iovec iov;
};

static struct reply reply[REPLIES];
static size_t replies;
static bool given; /* a directory, which may be empty: a service that nothing is asked of */

/* E_NOTFOUND if there is no such file. */
static int load(const char *directory, size_t number, const char *kind, struct buf *to, struct err *e)
{
	char path[4096], part[16384];
	snprintf(path, sizeof(path), "%s/%03zu.%s", directory, number, kind);
	FILE *f = fopen(path, "rb");
	if (!f)
		return err_set(e, E_NOTFOUND, "cannot open %s", path);
	buf_init(to, LIMIT_REPLY);
	for (size_t n; (n = fread(part, 1, sizeof(part), f)) > 0;)
		buf_add(to, part, n);
	int rc = ferror(f) ? err_set(e, E_IO, "cannot read %s", path) : to->rc;
	fclose(f);
	return rc;
}

/* In the parent: the workers share what it loads, until the end of all of them. */
static int option(int c, const char *directory, struct err *e)
{
	int rc = E_OK;
	(void)c;
	if (access(directory, X_OK) < 0)
		return err_errno(e, "cannot read %s", directory);
	given = true;
	while (rc == E_OK && replies < REPLIES) {
		struct reply *r = &reply[replies];
		rc = load(directory, replies, "head", &r->head, e);
		if (rc == E_OK)
			rc = load(directory, replies, "body", &r->body, e);
		if (rc == E_NOTFOUND)
			return E_OK;
		r->iov = (struct iovec){r->body.p, r->body.n};
		replies++;
	}
	return rc;
}

static int start(void **worker, struct err *e)
{
	*worker = NULL;
	return given ? E_OK : err_set(e, E_USAGE, "-d DIR is missing");
}

static void handle(void *worker, const struct request *q, struct answer *a)
{
	uint64_t n;
	(void)worker;
	if (!text_u64(q->query, &n) || n >= replies || q->body_short || q->body_too_large) {
		*a = (struct answer){.status = 404, .headers = SL("Content-Type: text/plain\r\n")};
		return;
	}
	const struct reply *r = &reply[n];
	*a = (struct answer){.status = 200, .headers = buf_bytes(&r->head), .iov = (struct iovec *)&r->iov, .niov = 1, .length = r->body.n};
}

int main(int argc, char **argv)
{
	static const struct serve_ops ops = {
		.name = "b_floor",
		.usage = "  -d DIR         recorded replies\n",
		.options = "d:",
		.option = option,
		.start = start,
		.handle = handle,
	};
	return serve_main(argc, argv, &ops);
}
