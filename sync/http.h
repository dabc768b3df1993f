/* http.h -- HTTP to the parent and to the addresses that it names, by libcurl: the only file that includes <curl/curl.h> is http.c.
 *
 * Connections are kept; settings upstream.* say certificate authority, pin, client certificate, logins, proxy, time-outs and
 * rate; what the environment says of proxies does not count.  Redirects are not followed.  Up to upstream.connections requests run at
 * a time; all in one thread, from http_wait().  SIGPIPE is ignored from http_open() on. */
#ifndef SYNC_HTTP_H
#define SYNC_HTTP_H

#include "common/err.h"
#include "store/store.h"
#include "sync/spool.h"

struct http;
/* The settings' texts are copied.  E_FORM, E_IO: a file that they name makes no sense; words name setting and remedy. */
int http_open(struct http **out, const struct settings *set, struct err *e) MUST_CHECK;
void http_close(struct http **h); /* ends what is under way */

struct http_job {
	/* ---- the request; kept by reference until it is done ---- */
	const char *url;        /* absolute */
	bool post;              /* else GET */
	const char *headers[4]; /* "SOAPAction: ..." ; ended by NULL */
	struct slice body;
	bool packed;            /* ask for xpress and gzip; what comes is unpacked */
	bool ours;              /* goes to upstream.url: its login, client certificate and pin are used */
	uint64_t from;          /* Range: bytes=from-, 0: none */
	/* Called once before the first byte of a 2xx answer: total = bytes that the whole file has, -1 unknown; at: where the bytes that
	 * follow begin (0 although `from` was asked for: no ranges there).  May be NULL.  Non-zero ends the job with it. */
	int (*begin)(struct http_job *j, int status, uint64_t at, int64_t total, struct err *e);
	/* The bytes of a 2xx answer, decoded; non-zero ends the job with it.  NULL: into `to`, those of any other answer, too. */
	int (*take)(struct http_job *j, struct slice bytes, struct err *e);
	struct spool *to;
	void *arg;              /* the caller's */
	uint64_t max;           /* bytes decoded; E_LIMIT beyond */
	/* ---- what came of it ---- */
	int rc;                 /* E_OK: an answer came whole, whatever its status; E_IO: none, err says why and what to look at;
	                         * E_FORM: not in the coding that it says; E_LIMIT; E_CANCELLED; what begin, take or the spool said */
	bool passing;           /* E_IO that may pass by itself: refused or broken connections, time-outs */
	int status;
	struct err err;
	char type[80];          /* Content-Type */
	char etag[128];
	int64_t retry_after;    /* seconds, -1: not said */
	uint64_t wire;          /* bytes received for it */
	void *running;          /* http.c's */
	struct http_job *next;  /* http.c's */
};
/* Queues it. */
int http_start(struct http *h, struct http_job *j, struct err *e) MUST_CHECK;
/* Takes it out again, however far it is. */
void http_stop(struct http *h, struct http_job *j);
/* The next job that is done, *out NULL: none is under way.  Waits up to milliseconds (-1: as long as it takes), then E_BUSY.
 * E_CANCELLED as soon as http_cancel() was called, which a signal's handler may do; no job is under way then. */
int http_wait(struct http *h, int milliseconds, struct http_job **out, struct err *e) MUST_CHECK;
void http_cancel(void);
bool http_cancelled(void);
/* Sleeps; E_CANCELLED. */
int http_sleep(unsigned milliseconds) MUST_CHECK;
/* start and wait for one, whose result is returned; others go on meanwhile, and are http_wait()'s later. */
int http_do(struct http *h, struct http_job *j, struct err *e) MUST_CHECK;
uint64_t http_received(const struct http *h); /* bytes so far, all jobs */
void http_set_rate(struct http *h, uint64_t bytes_per_second); /* of all together; 0: no limit */

#define HTTP_CHAIN 8 /* certificates that are kept of a chain: three are usual */
/* How far a job came. */
enum http_stage { HTTP_NAME, HTTP_PROXY, HTTP_CONNECTION, HTTP_CERTIFICATE, HTTP_LOGIN, HTTP_ANSWER, HTTP__STAGES };
/* What a connection to the parent showed, for `upstream check`: asked for before the first job. */
struct http_look {
	enum http_stage stage; /* that failed; HTTP_ANSWER: none did, or something in the answer itself */
	char address[64];      /* connected to, which is the proxy if there is one */
	char tls[64];          /* "TLSv1.3"; empty: plain */
	struct http_certificate {
		char subject[256], issuer[256], end[64], print[65], pin[64]; /* SHA-256 in upper case; of its key, as upstream.pin wants it */
	} chain[HTTP_CHAIN];   /* as it was shown, the server's own first */
	unsigned certificates;
	char asked[32];        /* how it wanted a login: "basic", "digest", "ntlm"; empty: not at all */
	double name_ms, connect_ms, tls_ms, answer_ms;
};
void http_look_closely(struct http *h);
void http_look_at_last(const struct http *h, struct http_look *out);
/* What a server shows whose certificate was refused: nothing is verified, and nothing is asked for. */
void http_look_at_refused(struct http *h, const char *url, struct http_look *out);

#endif
