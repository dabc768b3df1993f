/* fcgi_client.h -- the web server's side of FastCGI, as much as tests need of it. */
#ifndef TEST_UNIT_FCGI_CLIENT_H
#define TEST_UNIT_FCGI_CLIENT_H

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base.h"
#include "common/buf.h"

enum { FC_BEGIN = 1, FC_END = 3, FC_PARAMS = 4, FC_STDIN = 5, FC_STDOUT = 6 };

struct fc_reply {
	struct buf out;      /* everything from STDOUT */
	size_t records, largest;
	bool ended;          /* END_REQUEST came */
};

static inline int fc_connect(const char *path)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ASSERT(strlen(path) < sizeof(at.sun_path));
	memcpy(at.sun_path, path, strlen(path));
	if (fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof(at)) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static inline bool fc_write(int fd, const void *p, size_t n)
{
	for (const char *c = p; n > 0;) {
		ssize_t done = send(fd, c, n, MSG_NOSIGNAL);
		if (done <= 0)
			return false;
		c += done;
		n -= (size_t)done;
	}
	return true;
}

static inline bool fc_record(int fd, uint8_t type, const void *p, size_t n)
{
	uint8_t head[8] = {1, type, 0, 1};
	put_be16(head + 4, (uint16_t)n);
	return fc_write(fd, head, sizeof(head)) && fc_write(fd, p, n);
}

static inline bool fc_begin(int fd, bool keep)
{
	const uint8_t body[8] = {0, 1, keep};
	return fc_record(fd, FC_BEGIN, body, sizeof(body));
}

/* "NAME=value" strings up to NULL. */
static inline bool fc_params(int fd, const char *const *pairs)
{
	struct buf b;
	buf_init(&b, 65535);
	for (; *pairs; pairs++) {
		const char *eq = strchr(*pairs, '=');
		uint8_t size[8];
		put_be32(size, (uint32_t)(eq - *pairs) | UINT32_C(1) << 31);
		put_be32(size + 4, (uint32_t)strlen(eq + 1) | UINT32_C(1) << 31);
		buf_add(&b, size, sizeof(size));
		buf_add(&b, *pairs, (size_t)(eq - *pairs));
		buf_str(&b, eq + 1);
	}
	bool ok = fc_record(fd, FC_PARAMS, b.p, b.n) && fc_record(fd, FC_PARAMS, "", 0);
	buf_free(&b);
	return ok;
}

static inline bool fc_stdin(int fd, struct slice body)
{
	while (body.n > 0) {
		size_t n = MIN(body.n, (size_t)65528);
		if (!fc_record(fd, FC_STDIN, body.p, n))
			return false;
		body.p += n;
		body.n -= n;
	}
	return fc_record(fd, FC_STDIN, "", 0);
}

static inline bool fc_read(int fd, void *to, size_t n)
{
	for (char *c = to; n > 0;) {
		ssize_t got = recv(fd, c, n, 0);
		if (got <= 0)
			return false;
		c += got;
		n -= (size_t)got;
	}
	return true;
}

/* Everything up to END_REQUEST, or to the end of the connection. */
static inline void fc_receive(int fd, struct fc_reply *r)
{
	uint8_t head[8];
	*r = (struct fc_reply){0};
	buf_init(&r->out, SIZE_MAX / 2);
	while (!r->ended && fc_read(fd, head, sizeof(head))) {
		size_t n = get_be16(head + 4);
		char *to = buf_room(&r->out, n + head[6]);
		ASSERT(to && head[0] == 1);
		if (!fc_read(fd, to, n + head[6]))
			break;
		r->ended = head[1] == FC_END;
		if (head[1] != FC_STDOUT || n == 0)
			continue;
		r->out.n += n;
		r->records++;
		r->largest = MAX(r->largest, n);
	}
}

static inline struct slice fc_body(const struct fc_reply *r)
{
	const char *end = r->out.n ? memmem(r->out.p, r->out.n, "\r\n\r\n", 4) : NULL;
	return end ? (struct slice){end + 4, r->out.n - (size_t)(end + 4 - r->out.p)} : SL0;
}

static inline bool fc_has(const struct fc_reply *r, const char *words)
{
	return r->out.n && memmem(r->out.p, r->out.n, words, strlen(words)) != NULL;
}

#endif
