/* probe.h -- wsus-probe: a client that walks the update protocol against any server and checks its answers.
 *
 * One struct probe is one run: the walk (probe_main.c) makes calls (probe_call.c) over HTTP (probe_http.c),
 * keeps what the server told it in a cache (probe_cache.c), checks fragments (probe_core.c), and notes what
 * did not hold as problems.  The cache and cookie can be kept between runs (probe_state.c). */
#ifndef CTL_PROBE_H
#define CTL_PROBE_H

#include "common/arena.h"
#include "common/base.h"
#include "common/buf.h"
#include "common/err.h"

struct Cookie;
struct frag;

#define PROBE_VERSION "1.0"
#define PROBE_RANGE (1 << 20)    /* bytes of one range request: what native clients fetch at a time */
#define PROBE_REFRESH 200        /* identities in one RefreshCache, as native clients send */
#define PROBE_LOCATIONS 100      /* digests in one GetFileLocations */
#define PROBE_PROBLEMS 40        /* kept as text; all are counted */
#define PROBE_CERTIFICATES ((size_t)256 << 10) /* PEM of a chain: a handful of 2 KB */
#define PROBE_CACHE_MAX 2000000  /* updates; more is no catalog */

/* ---- what the server told us (probe_cache.c) ---- */
enum probe_action { /* of MS-WUSP 2.2.2.2.4, in the order of probe_action_name[] */
	PROBE_NO_ACTION,
	PROBE_INSTALL,
	PROBE_UNINSTALL,
	PROBE_PRE_DEPLOYMENT,
	PROBE_BLOCK,
	PROBE_EVALUATE,
	PROBE_BUNDLE,
	PROBE_OPTIONAL,
	PROBE_ACTION__MAX
};
extern const char *const probe_action_name[PROBE_ACTION__MAX];
/* PROBE_ACTION__MAX if the text is none of them. */
enum probe_action probe_action_of(struct slice text);

struct probe_ref {
	struct guid update;
	int32_t revision; /* 0 for prerequisites */
	uint32_t clause;
};
struct probe_update {
	int32_t id; /* the server's RevisionID */
	struct guid update;
	int32_t revision;
	uint8_t action; /* enum probe_action */
	bool leaf, driver;
	bool installed; /* we tell the server so */
	bool fresh;     /* met in this run */
	bool gone;      /* out of scope: dropped by probe_cache_sweep() */
	bool asked;     /* its extended information was asked for in this run */
	bool done;      /* its installation was reported as done */
	struct probe_ref *member; /* of a bundle; owned by the cache */
	uint32_t members;
};
struct probe_cache {
	struct probe_update *v;
	size_t n, cap;
	uint32_t *by_id, *by_update; /* open addressing, index + 1 into v; mask + 1 places each */
	size_t mask;
};
void probe_cache_free(struct probe_cache *c);
/* Appends a copy; takes over member.  NULL: no memory or the cache is full. */
struct probe_update *probe_cache_add(struct probe_cache *c, const struct probe_update *u);
struct probe_update *probe_cache_by_id(const struct probe_cache *c, int32_t id);
struct probe_update *probe_cache_by_identity(const struct probe_cache *c, const struct guid *update, int32_t revision);
/* Is any revision of it said to be installed? */
bool probe_cache_installed(const struct probe_cache *c, const struct guid *update);
/* The first revision of it from *at on (start with 0); NULL at the end. */
struct probe_update *probe_cache_next(const struct probe_cache *c, const struct guid *update, size_t *at);
/* Drops what is marked gone and indexes anew, which is also due after ids were changed. */
int probe_cache_sweep(struct probe_cache *c);

/* ---- Core and Extended fragments (probe_core.c) ---- */
struct probe_core {
	struct guid update;
	int32_t revision;
	bool driver, explicitly; /* UpdateType Driver; ExplicitlyDeployable */
	struct probe_ref *prereq, *member; /* clauses numbered from 0 in each list */
	size_t prereqs, members;
};
/* text: the fragment's siblings without a root.  Lists lie in a. */
int probe_core_read(struct slice text, struct probe_core *out, struct arena *a, struct err *e) MUST_CHECK;
/* The first clause that nothing installed satisfies, as an index into prereq; core->prereqs if all hold. */
size_t probe_core_unmet(const struct probe_core *core, const struct probe_cache *c);

struct probe_file {
	struct sha1 sha1;
	struct sha256 sha256;
	bool has_sha256, done;
	int32_t owner;  /* the first update that named it */
	uint64_t size;
	char name[256];
	char *url; /* owned by whoever keeps the file */
};
/* The File elements of an Extended fragment. */
int probe_files_read(struct slice text, struct probe_file **out, size_t *n, struct arena *a, struct err *e) MUST_CHECK;

/* ---- between runs (probe_state.c) ---- */
struct probe_state {
	char *url, *client, *plugin;     /* malloc'ed; NULL: unknown */
	char *last_change;               /* of the configuration, as the server wrote it */
	char *expiration, *cookie;       /* as the server wrote them: time and base64 */
	int32_t per_request;             /* MaxExtendedUpdatesPerRequest */
	struct probe_cache cache;
};
void probe_state_free(struct probe_state *s);
/* E_NOTFOUND: no such file.  E_FORM: not ours or damaged, E_VERSION: of a newer program. */
int probe_state_load(struct probe_state *s, const char *path, struct err *e) MUST_CHECK;
/* Replaces the file at once; the old one stays whole if that fails. */
int probe_state_save(const struct probe_state *s, const char *path, struct err *e) MUST_CHECK;

/* ---- HTTP (probe_http.c) ---- */
struct probe_http;
struct probe_http_options {
	const char *ca;  /* PEM file of authorities, or NULL */
	bool insecure, plain, verbose;
	long timeout; /* seconds for one request */
};
struct probe_reply {
	int status;
	uint64_t wire;          /* bytes of the body as they came */
	struct buf body;        /* decoded */
	char coding[16];        /* Content-Encoding, "" for none */
	char range[64];         /* Content-Range */
};
int probe_http_open(struct probe_http **out, const struct probe_http_options *o, struct err *e) MUST_CHECK;
void probe_http_close(struct probe_http **h);
/* The certificates that the server showed, its own first, in PEM, empty for plain HTTP. */
struct slice probe_http_certificates(const struct probe_http *h);
/* E_OK whatever the status; E_IO with a hint what to look at when there was no answer.  An empty action
 * sends no SOAPAction: SOAP 1.2 has it in the type. */
int probe_http_post(struct probe_http *h, const char *url, const char *type, const char *action, struct slice body,
	struct probe_reply *r, struct err *e) MUST_CHECK;
/* A range of a content file, both ends included. */
int probe_http_range(struct probe_http *h, const char *url, uint64_t first, uint64_t last, struct probe_reply *r,
	struct err *e) MUST_CHECK;
/* What to look at when the server answered with this status; never NULL. */
const char *probe_http_hint(int status);

/* ---- one run ---- */
enum probe_step {
	STEP_CONFIG,
	STEP_AUTH,
	STEP_COOKIE,
	STEP_REGISTER,
	STEP_REFRESH,
	STEP_CATEGORIES,
	STEP_SOFTWARE,
	STEP_DRIVERS,
	STEP_EXTENDED,
	STEP_LOCATIONS,
	STEP_DOWNLOAD,
	STEP_REPORT,
	STEP__MAX
};
struct probe_count {
	uint64_t calls, items, sent, wire, plain, usec;
};
enum probe_result { PROBE_RESULT_OK, PROBE_RESULT_FAILED, PROBE_RESULT_REBOOT, PROBE_RESULT_PENDING, PROBE_RESULT__MAX };
/* PROBE_RESULT__MAX if the name is none of --install-result. */
enum probe_result probe_result_of(const char *name);
struct probe_options {
	const char *url, *group, *name, *state, *ca;
	const char *client; /* NULL: a new id, or the state's */
	struct guid filter;
	bool has_filter, download, report, plain, soap12, insecure, json, verbose;
	bool brief; /* one page of software and no more */
	bool install; /* report how installations ended: */
	enum probe_result result;
	unsigned installed, max_calls, extended, timeout;
	uint64_t seed;
};
struct probe {
	const struct probe_options *o;
	struct probe_http *http;
	struct probe_state state;
	struct probe_count count[STEP__MAX];
	struct arena arena;      /* of one call: request and answer */
	struct probe_reply reply;
	struct buf text;         /* of one fragment */
	char *auth_url;          /* absolute */
	char *auth_cookie;       /* base64 */
	bool registration;       /* the server wants RegisterComputer */
	bool moved;              /* the state is of another URL */
	bool stale;              /* the cache's numbers are of another server or generation */
	unsigned recoveries, scan_calls;
	bool was_differential;
	/* what the scan said */
	uint64_t got_new, got_changed, got_gone, got_drivers, installed, offered;
	struct probe_file *file; /* of the offered updates */
	size_t files, file_cap;
	uint64_t downloaded;
	uint64_t problems;
	char *problem[PROBE_PROBLEMS];
	struct err err;          /* why the walk ended early, if it did */
};
/* Notes something that did not hold; the walk goes on. */
void probe_problem(struct probe *p, const char *fmt, ...) PRINTF(2, 3);
/* The whole walk; E_OK if it reached its end (problems are counted apart), else p->err says why not. */
int probe_walk(struct probe *p) MUST_CHECK;
/* The table or the JSON object on standard output. */
int probe_print(const struct probe *p, int rc) MUST_CHECK;
extern const char *const probe_step_name[STEP__MAX];
/* The program behind main(). */
int probe_main(int argc, char **argv);

/* ---- one call (probe_call.c) ---- */
enum probe_op {
	PROBE_GET_CONFIG,
	PROBE_GET_AUTH,
	PROBE_GET_COOKIE,
	PROBE_REGISTER,
	PROBE_START_CATEGORY,
	PROBE_REFRESH_CACHE,
	PROBE_SYNC,
	PROBE_SYNC_DRIVERS,
	PROBE_EXTENDED,
	PROBE_FILE_LOCATIONS,
	PROBE_REPORT_EVENTS,
	PROBE_OP__MAX
};
/* Sends in, reads the answer into out (both of the operation's types); both live in p->arena until
 * probe_call_end().  A fault becomes its errcode, its words in e.  ServerBusy is waited for a few times. */
int probe_call(struct probe *p, enum probe_op op, const void *in, void *out, struct err *e) MUST_CHECK;
void probe_call_end(struct probe *p);
/* The cookie as a message in p->arena; NULL: none, or no memory. */
struct Cookie *probe_cookie(struct probe *p);
/* Keeps a cookie that the server sent. */
int probe_cookie_keep(struct probe *p, const struct Cookie *c, struct err *e);
/* A fragment of an answer with its references resolved; valid until the next one. */
int probe_fragment(struct probe *p, const struct frag *f, struct slice *out, struct err *e) MUST_CHECK;
/* Adds to the items of the operation's step. */
void probe_items(struct probe *p, enum probe_step step, uint64_t n);
uint64_t probe_usec(void);
/* ---- the walk's parts ---- */
/* GetConfig, authorization, GetCookie, and RegisterComputer if asked for (probe_handshake.c). */
int probe_handshake(struct probe *p, struct err *e) MUST_CHECK;
/* Only what the cookie at hand does not spare us. */
int probe_resume(struct probe *p, struct err *e) MUST_CHECK;
/* Runs part; after a fault with a recovery (MS-WUSP 2.2.2.4) does that and runs part again. */
typedef int probe_part(struct probe *p, void *arg, struct err *e);
int probe_with_recovery(struct probe *p, probe_part *part, void *arg, struct err *e) MUST_CHECK;
int probe_refresh(struct probe *p, struct err *e) MUST_CHECK;
int probe_software(struct probe *p, struct err *e) MUST_CHECK;  /* probe_scan.c */
int probe_drivers(struct probe *p, struct err *e) MUST_CHECK;
int probe_extended(struct probe *p, struct err *e) MUST_CHECK;  /* probe_content.c */
int probe_locations(struct probe *p, struct err *e) MUST_CHECK;
int probe_download(struct probe *p, struct err *e) MUST_CHECK;
int probe_report(struct probe *p, struct err *e) MUST_CHECK;    /* probe_report.c */

/* A text made with malloc, NULL when out of memory. */
char *probe_strdup(struct slice s);

#endif
