/* serve.h -- the life of a FastCGI service: socket, workers, signals; and the same service as plain CGI.
 *
 * Parent: opens SOCKET (option -s; mode 0660, backlog 1024) or inherits it on fd 0 (systemd, spawn-fcgi),
 * forks workers (-w N, default max(8, 4 x cores)), replaces those that die (back-off after fast deaths),
 * SIGTERM/SIGINT: stop after the running requests; SIGHUP: replace the workers one by one.
 * Both: drop to -u USER[:GROUP] if started as root and verify that root cannot come back.
 * Worker: start(), then one request at a time.
 * Called with fd 0 that is no socket but REQUEST_METHOD in the environment, it answers that one request on
 * stdout as CGI and exits; of the options above only -C counts then.
 *
 * Readiness: each of the first workers writes one byte to the fd of -R when its start() is done; the end of
 * that pipe without a byte means that none came up.  -C DIR is entered before anything else and before the
 * drop, so that all paths, the socket's too, are relative to it.  -l FILE: the log, see log_to_file().
 *
 * The body is read into the worker's memory (LIMIT_BODY, unless the service has another limit); replies leave as FastCGI STDOUT records of up to
 * 65,528 bytes by writev, with a send time-out. */
#ifndef COMMON_SERVE_H
#define COMMON_SERVE_H

#include <sys/uio.h>

#include "common/arena.h"
#include "common/base.h"
#include "common/err.h"

struct request {
	struct slice method;       /* REQUEST_METHOD */
	struct slice path;         /* SCRIPT_NAME or DOCUMENT_URI */
	struct slice query;
	struct slice content_type; /* CONTENT_TYPE */
	struct slice soap_action;  /* HTTP_SOAPACTION, as sent */
	struct slice accept_encoding;
	struct slice host;         /* HTTP_HOST */
	struct slice scheme;       /* REQUEST_SCHEME or HTTPS=on */
	struct slice server_name, server_port;
	struct slice peer;         /* REMOTE_ADDR */
	struct slice body;
	bool body_too_large;       /* body is cut: answer with the defined fault */
	bool body_short;           /* fewer bytes than CONTENT_LENGTH came */
	uint64_t id;               /* counts up per worker, pid in the high half */
	struct arena *a;           /* reset after the reply is sent */
};

struct answer {
	int status;                /* HTTP */
	struct slice headers;      /* complete lines "Name: value\r\n", without Status and Content-Length */
	struct iovec *iov;
	size_t niov;
	uint64_t length;           /* sum of iov */
	bool no_body;              /* X-Accel-Redirect and the like: no Content-Length */
	bool last;                 /* the worker is spoilt: it ends without stop(), and another takes its place at once */
};

struct serve_ops {
	const char *name;          /* "wsus-client" */
	const char *usage;         /* extra options, for -h; NULL = none */
	const char *options;       /* getopt string of them, "" = none; each is given to option() */
	size_t body;               /* bytes of a request's body; 0: LIMIT_BODY */
	int (*option)(int c, const char *arg, struct err *e);
	int (*start)(void **worker, struct err *e);            /* in each worker, after the drop */
	void (*handle)(void *worker, const struct request *, struct answer *); /* never fails: answers */
	void (*sent)(void *worker, bool ok);                   /* reply is out (or lost): release what it borrowed */
	void (*idle)(void *worker);                            /* between requests, at least every 5 s when idle */
	void (*stop)(void **worker);                           /* after a start() that succeeded */
};

/* With this status a worker ends that is to be replaced at once, without a word. */
#define SERVE_AGAIN 75

/* The whole program; returns its exit status. */
int serve_main(int argc, char **argv, const struct serve_ops *ops);

#endif
