/* channel.c -- requests by libfcgi, answers by our own records.
 *
 * libfcgi copies what it sends through a buffer of 8 KB, a write for each.  An answer larger than that leaves
 * as STDOUT records of up to 65,528 bytes straight from where it lies, many in one writev; libfcgi then adds
 * the end of the request. */
#include "common/channel.h"

#include <errno.h>
#include <fcgiapp.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/serve.h"

enum {
	HEAD_TIMEOUT = 3, /* seconds; nginx sends the parameters at once */
	BODY_TIMEOUT = 15,
	SEND_TIMEOUT = 60,
	SMALL = 8000,   /* fits libfcgi's buffer with the end of the request: one write in all */
	RECORD = 65528, /* the largest multiple of 8 that a record holds */
	RECORD_HEADER = 8,
	BATCH = 512, /* iovecs of one writev, below IOV_MAX */
	FCGI_STDOUT_RECORD = 6,
};

struct channel {
	bool cgi;
	char **envp;
	FCGX_Request fcgi;
};

static int make(struct channel **out, struct err *e)
{
	*out = calloc(1, sizeof(**out));
	return *out ? E_OK : err_set(e, E_NOMEM, "no memory for a channel");
}

int channel_open(struct channel **out, struct err *e)
{
	int rc = make(out, e);
	if (rc != E_OK)
		return rc;
	/* No socket: libfcgi never accepts, see channel_accept(). */
	if (FCGX_Init() == 0 && FCGX_InitRequest(&(*out)->fcgi, -1, FCGI_FAIL_ACCEPT_ON_INTR) == 0)
		return E_OK;
	channel_close(out);
	return err_set(e, E_IO, "libfcgi does not start");
}

int channel_open_cgi(struct channel **out, struct err *e)
{
	int rc = make(out, e);
	if (rc != E_OK)
		return rc;
	(*out)->cgi = true;
	(*out)->envp = environ;
	return E_OK;
}

void channel_close(struct channel **c)
{
	free(*c);
	*c = NULL;
}

static void set_timeout(int fd, int option, time_t seconds)
{
	struct timeval t = {.tv_sec = seconds};
	setsockopt(fd, SOL_SOCKET, option, &t, sizeof(t));
}

/* libfcgi's own accept would wait without bound for a peer that begins and then goes silent.  It takes a
 * connection that it believes to be kept from the last request as it is; if that turns out bad, it closes it
 * and fails, having no socket to accept another from. */
bool channel_accept(struct channel *c, int listen_fd)
{
	int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return false;
	set_timeout(fd, SO_RCVTIMEO, HEAD_TIMEOUT);
	/* The send buffer stays the kernel's 208 KB: a page of 425 KB then waits 2.8 times for nginx, with 1 MB once, but under
	 * 256 connections so much lies in sockets that the rate is 0.68 times. */
	set_timeout(fd, SO_SNDTIMEO, SEND_TIMEOUT);
	c->fcgi.ipcFd = fd;
	c->fcgi.keepConnection = 1;
	if (FCGX_Accept_r(&c->fcgi) != 0)
		return false;
	set_timeout(fd, SO_RCVTIMEO, BODY_TIMEOUT);
	/* One request a connection, whatever the peer wants: a kept one would pin this worker. */
	c->fcgi.keepConnection = 0;
	c->envp = c->fcgi.envp;
	return true;
}

struct slice channel_param(const struct channel *c, const char *name)
{
	return slice_of(FCGX_GetParam(name, c->envp));
}

static size_t read_stdin(char *to, size_t n)
{
	size_t done = 0;
	while (done < n) {
		ssize_t got = read(STDIN_FILENO, to + done, n - done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		done += (size_t)got;
	}
	return done;
}

size_t channel_read(struct channel *c, char *to, size_t n)
{
	if (c->cgi)
		return read_stdin(to, n);
	int got = FCGX_GetStr(to, (int)MIN(n, (size_t)INT32_MAX), c->fcgi.in);
	return got > 0 ? (size_t)got : 0;
}

/* ---- answers ---- */

struct sender {
	int fd;
	bool records; /* FastCGI records, or bare bytes */
	bool ok;
	uint16_t id;
	uint64_t rest; /* bytes that are in no record yet */
	size_t open;   /* bytes missing in the current record */
	size_t n, heads;
	struct iovec v[BATCH];
	uint8_t head[BATCH][RECORD_HEADER];
};

static void skip(struct iovec **v, size_t *n, size_t done)
{
	while (*n > 0 && done >= (*v)->iov_len) {
		done -= (*v)->iov_len;
		(*v)++;
		(*n)--;
	}
	if (done > 0) {
		(*v)->iov_base = (char *)(*v)->iov_base + done;
		(*v)->iov_len -= done;
	}
}

static void flush(struct sender *s)
{
	struct iovec *v = s->v;
	size_t n = s->n;
	while (n > 0 && s->ok) {
		ssize_t done = writev(s->fd, v, (int)n);
		if (done >= 0)
			skip(&v, &n, (size_t)done);
		else
			s->ok = errno == EINTR;
	}
	s->n = s->heads = 0;
}

static void push(struct sender *s, const void *p, size_t n)
{
	s->v[s->n++] = (struct iovec){(void *)(uintptr_t)p, n};
}

/* Version 1, no padding (FastCGI 3.3). */
static void begin_record(struct sender *s)
{
	uint8_t *h = s->head[s->heads++];
	s->open = (size_t)MIN(s->rest, (uint64_t)RECORD);
	s->rest -= s->open;
	memset(h, 0, RECORD_HEADER);
	h[0] = 1;
	h[1] = FCGI_STDOUT_RECORD;
	put_be16(h + 2, s->id);
	put_be16(h + 4, (uint16_t)s->open);
	push(s, h, RECORD_HEADER);
}

static void send_bytes(struct sender *s, const char *p, size_t n)
{
	while (n > 0 && s->ok) {
		if (s->n + 2 > BATCH)
			flush(s);
		if (s->records && s->open == 0)
			begin_record(s);
		size_t part = s->records ? MIN(n, s->open) : n;
		push(s, p, part);
		s->open -= s->records ? part : 0;
		p += part;
		n -= part;
	}
}

static const char *reason(int status)
{
	static const struct {
		int status;
		const char *words;
	} table[] = {
		{200, "OK"}, {302, "Found"}, {400, "Bad Request"}, {403, "Forbidden"}, {404, "Not Found"},
		{405, "Method Not Allowed"}, {413, "Content Too Large"}, {415, "Unsupported Media Type"},
		{500, "Internal Server Error"}, {503, "Service Unavailable"},
	};
	for (size_t i = 0; i < COUNTOF(table); i++)
		if (table[i].status == status)
			return table[i].words;
	return "Status";
}

static bool put_small(struct channel *c, const struct slice *head, size_t nhead, const struct answer *a)
{
	for (size_t i = 0; i < nhead; i++)
		FCGX_PutStr(head[i].p, (int)head[i].n, c->fcgi.out);
	for (size_t i = 0; i < a->niov; i++)
		FCGX_PutStr(a->iov[i].iov_base, (int)a->iov[i].iov_len, c->fcgi.out);
	return FCGX_GetError(c->fcgi.out) == 0;
}

static bool put_large(struct channel *c, const struct slice *head, size_t nhead, const struct answer *a, uint64_t total)
{
	struct sender s;
	s.fd = c->cgi ? STDOUT_FILENO : c->fcgi.ipcFd;
	s.records = !c->cgi;
	s.ok = true;
	s.id = (uint16_t)c->fcgi.requestId;
	s.rest = total;
	s.open = s.n = s.heads = 0;
	for (size_t i = 0; i < nhead; i++)
		send_bytes(&s, head[i].p, head[i].n);
	for (size_t i = 0; i < a->niov; i++)
		send_bytes(&s, a->iov[i].iov_base, a->iov[i].iov_len);
	flush(&s);
	/* A cut record must not be followed by another, nor libfcgi wait for the peer once more. */
	if (!s.ok && !c->cgi)
		shutdown(s.fd, SHUT_RDWR);
	return s.ok;
}

bool channel_send(struct channel *c, const struct answer *a)
{
	char first[64], last[64] = "\r\n";
	snprintf(first, sizeof(first), "Status: %d %s\r\n", a->status, reason(a->status));
	if (!a->no_body)
		snprintf(last, sizeof(last), "Content-Length: %" PRIu64 "\r\n\r\n", a->length);
	struct slice head[] = {slice_of(first), a->headers, slice_of(last)};
	uint64_t total = head[0].n + head[1].n + head[2].n;
	for (size_t i = 0; i < a->niov; i++)
		total += a->iov[i].iov_len;
	if (!c->cgi && total <= SMALL)
		return put_small(c, head, COUNTOF(head), a);
	return put_large(c, head, COUNTOF(head), a, total);
}

void channel_finish(struct channel *c)
{
	if (!c->cgi)
		FCGX_Finish_r(&c->fcgi);
	c->envp = c->cgi ? environ : NULL;
}
