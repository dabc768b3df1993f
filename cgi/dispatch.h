/* dispatch.h -- one request of a web service: bytes in, bytes out.
 *
 * A service is a table of operations.  A row says everything that is done around its handler: the messages,
 * whether the request carries a cookie, which gates it must pass, whether it reads the scan index, whether it
 * may write.  To add an operation: write its block, add its row.
 *
 *	CHECK(GetThing) { ... }               -- parameters; may refuse with E_INVALID_PARAMETERS
 *	HANDLER(GetThing) { ... }             -- in a read transaction; fills *out
 *	STORE(GetThing) { ... }               -- only if the handler set c->wants_store: in a fleet transaction
 *	static const struct op thing_ops[] = {OP_FULL(GetThing, OP_COOKIE)};
 *
 * Checks come in one order for all (COOKIE-27, A10): readable, cookie, parameters, configuration, registration,
 * file locations.
 * service_answer() is pure on (request, store): FastCGI, CGI, the case runner and the fuzz target share it.
 *
 * Memory: what a handler makes lies in c->a (the request's arena) or in the transaction; both live until
 * worker_sent().  A handler that sets wants_store leaves nothing in *out that lies in the transaction: its
 * read transaction ends before the write begins. */
#ifndef CGI_DISPATCH_H
#define CGI_DISPATCH_H

#include "cgi/burst.h"
#include "cgi/keeper.h"
#include "common/cookie.h"
#include "common/rope.h"
#include "common/serve.h"
#include "common/soap.h"
#include "common/wire.h"
#include "common/wusp.h"
#include "common/xml.h"
#include "store/scan.h"
#include "store/store.h"

/* Last-contact times wait until they are written together (design 4: batched). */
#define SEEN_BATCH 256
struct seen_row {
	struct client_id id;
	tick_t at;
	uint32_t major, minor;
	unsigned did; /* of downstream servers: DOWNSTREAM_* */
};

struct op;
struct call;
struct service {
	const char *name;     /* for logs */
	const char *ns;       /* of its operations, unless their row has another; answers use it too */
	const char *paths[3]; /* of its .asmx, the first one's being the service's own: for faultactor */
	const char *cache_control; /* of answers; that of faults is "private", as a real server's */
	enum soap_dialect dialect;
	size_t body;          /* bytes of a request's body, of its message as well; 0: LIMIT_BODY */
	const struct op *op;
	size_t nops;
	/* What OP_COOKIE asks of a cookie: sets c->client and what the handlers need.  NULL for no such operation. */
	int (*check_cookie)(struct call *c, const struct Cookie *in);
	/* Writes who was here, in a fleet transaction; NULL: computers_seen(). */
	int (*write_seen)(struct txn *t, const struct seen_row *v, size_t n, struct err *e);
};

/* What one worker process holds. */
struct worker {
	const struct service *service;
	struct store *store; /* NULL: cannot be used now; only where there is a keeper */
	struct keeper *keeper; /* opens and closes the store, NULL: the caller does */
	struct sealer *sealer;
	bool spoilt;         /* damage was met in the midst of a request: nothing of this process may be relied on */
	struct scan *scan;
	struct xml *xml;
	tick_t (*now)(void); /* tests freeze it */
	/* of the request under way, until worker_sent() */
	struct txn *txn;
	struct rope rope;
	struct buf packed;
	struct iovec single;
	char headers[256];
	/* not yet written */
	struct seen_row seen[SEEN_BATCH];
	size_t nseen;
	struct burst burst;
};

/* Opens the key, and the store if it can be opened; *out is freed by worker_close().  Call it in the process that
 * serves; the keeper is from before its fork. */
int worker_open(struct worker **out, const struct service *s, struct keeper *keeper, const char *key_file,
	struct err *e) MUST_CHECK;
/* The same around a store and a sealer that are open; they stay the caller's. */
int worker_new(struct worker **out, const struct service *s, struct store *store, struct sealer *sealer,
	struct err *e) MUST_CHECK;
void worker_close(struct worker **w);

/* Answers one request; never fails.  worker_sent() must follow once the reply has left: it gives back what the
 * reply lies in, above ARENA_KEEP to the kernel. */
void service_answer(struct worker *w, const struct request *req, struct answer *out);
void worker_sent(struct worker *w);
/* Writes the waiting last-contact times; between requests. */
void worker_flush(struct worker *w);
/* Notes that a computer, or a downstream server, was here. */
void worker_seen(struct worker *w, const struct client_id *id, uint32_t major, uint32_t minor);
void worker_saw(struct worker *w, const struct client_id *id, unsigned did); /* what else it did; after worker_seen() */

/* One request on its way. */
struct call {
	struct worker *w;
	const struct request *req;
	const struct op *op; /* NULL until found */
	struct arena *a;
	struct txn *txn;
	enum soap_version version;
	tick_t now;
	struct server_state state;
	struct settings set;
	struct client_id client; /* whom the log line names, */
	char name[256];          /* and by which name */
	struct cookie cookie;    /* OP_COOKIE: genuine, of this server, not expired */
	struct dss_cookie dss;   /* the same of a downstream server */
	struct client_groups groups; /* OP_SCAN with OP_COOKIE */
	bool wants_store;
	bool rings;              /* what STORE() wrote is something to fetch: content_bell_ring() once it is committed */
	int late;                /* call_fault_after() */
	struct slice message;    /* of the fault, if it is longer than an error's text; in c->a */
	char remedy[320];        /* for the log, if it says more than err_remedy() */
	bool spared; /* OP_SPARE: err says why nothing was written */
	char events[160];        /* for the log: what came of a batch of them */
	struct err err;
	struct burst_row *held; /* there were enough lines like the one that this would have */
};
/* Sets the text for the log (and, for E_INVALID_PARAMETERS, the fault's Message) and returns rc. */
int call_fail(struct call *c, int rc, const char *fmt, ...) PRINTF(3, 4);
/* The answer is this fault, but what STORE() writes stays: c->err and c->message say why.  Returns E_OK, for the handler. */
int call_fault_after(struct call *c, int rc);
static inline int call_bad(struct call *c, const char *parameter)
{
	return call_fail(c, E_INVALID_PARAMETERS, "%s", parameter);
}
/* Does the client speak at least this version (TRANSPORT-41)?  Needs a cookie. */
bool call_client_at_least(const struct call *c, uint32_t major, uint32_t minor);
/* "http://host:port" as this client reaches us: content.url, else the request's own words if they are
 * harmless, else the configured name.  p == NULL: out of memory. */
struct slice call_base_url(struct call *c);
/* The host of the above without its port. */
struct slice call_host(struct call *c);
/* Who is calling, as a cookie of ours says: sets c->client, and c->name as the computer's row has it.  Needs c->txn. */
void call_client(struct call *c, const struct client_id *id);
/* Seals *k as the cookie of an answer; NULL after call_fail() if that failed. */
struct Cookie *call_cookie(struct call *c, const struct cookie *k);
/* n sealed bytes, 0 for a failure, as the cookie of an answer. */
struct Cookie *call_sealed(struct call *c, const char *sealed, size_t n, tick_t expires);
/* check_cookie of the services for computers: COOKIE-20 to -23, A9. */
int call_check_client(struct call *c, const struct Cookie *in);

#define OP_COOKIE 1u     /* in->cookie must be genuine, of this server and generation, and not expired */
#define OP_CONFIG 2u     /* ... and know the present configuration (COOKIE-24) */
#define OP_REGISTERED 4u /* ... and its computer be registered, if that is required (COOKIE-26) */
#define OP_SCAN 8u       /* reads the scan index: c->w->scan is bound, c->groups known if there is a cookie */
#define OP_LOCATIONS 16u /* cookie must know the present file locations, if the setting asks for that (A28) */
#define OP_SPARE 32u     /* when there is no room for what it would write, it is answered all the same */
#define OP_KEEPS 64u     /* the answer says that it is written: never without, where others do without a damaged fleet/ */

struct op {
	const char *ns; /* NULL: the service's.  The name is that of the request's message */
	unsigned flags;
	const struct wtype *in, *out;
	int (*check)(struct call *c, const void *in);
	int (*run)(struct call *c, const void *in, void *out);
	int (*store)(struct call *c, const void *in);
};

/* Typed bodies behind the untyped rows.  SHARED_: the row stands in another file, which sees them by OP_DECLARE(). */
#define CHECK(M) CHECK_AS(static, M)
#define HANDLER(M) HANDLER_AS(M, M##Response)
#define HANDLER_AS(M, R) HANDLER_OF(static, M, R)
#define STORE(M) STORE_AS(static, M)
#define SHARED_CHECK(M) CHECK_AS(extern, M)
#define SHARED_HANDLER(M) HANDLER_OF(extern, M, M##Response)
#define SHARED_STORE(M) STORE_AS(extern, M)
#define OP_DECLARE(M) \
	int M##_check(struct call *c, const void *in); \
	int M##_run(struct call *c, const void *in, void *out); \
	int M##_store(struct call *c, const void *in);
#define CHECK_AS(linkage, M) \
	static int M##_check_typed(struct call *c, const struct M *in); \
	linkage int M##_check(struct call *c, const void *in) \
	{ \
		return M##_check_typed(c, in); \
	} \
	static int M##_check_typed(struct call *c, const struct M *in)
#define HANDLER_OF(linkage, M, R) \
	static int M##_run_typed(struct call *c, const struct M *in, struct R *out); \
	linkage int M##_run(struct call *c, const void *in, void *out) \
	{ \
		return M##_run_typed(c, in, out); \
	} \
	static int M##_run_typed(struct call *c, const struct M *in, struct R *out)
#define STORE_AS(linkage, M) \
	static int M##_store_typed(struct call *c, const struct M *in); \
	linkage int M##_store(struct call *c, const void *in) \
	{ \
		return M##_store_typed(c, in); \
	} \
	static int M##_store_typed(struct call *c, const struct M *in)
#define OP(M, flags) OP_AS(M, M##Response, NULL, flags, M##_check, NULL)
#define OP_FULL(M, flags) OP_AS(M, M##Response, NULL, flags, M##_check, M##_store)
#define OP_BARE(M, flags) OP_AS(M, M##Response, NULL, flags, NULL, NULL) /* no parameters that could be wrong */
/* With another answer than MResponse, or in another namespace than the service's. */
#define OP_AS(M, R, ns, flags, check, store) {(ns), (flags), &M##_wire, &R##_wire, (check), M##_run, (store)}
static inline const char *op_ns(const struct service *s, const struct op *op)
{
	return op->ns ? op->ns : s->ns;
}

/* The whole program of a service: options -S STOREDIR -K KEYFILE and those of serve_main(). */
int service_main(int argc, char **argv, const struct service *s);

extern const struct service auth_service, client_service, reporting_service, serversync_service;

#endif
