/* call.c -- a table of operations, and one way to call them; the parallel way is the same with a list of what is under way. */
#include "sync/call.h"

#include <stdlib.h>
#include <sys/uio.h>
#include <time.h>

#include "common/limits.h"
#include "common/seal.h"
#include "common/soap.h"
#include "common/text.h"
#include "sync/answer.h"

#define SYNC_PATH "/ServerSyncWebService/ServerSyncWebService.asmx"
#define URL_ROOM 2048
#define RETRY_AFTER_MAX 600 /* seconds */
/* Tests do not wait: this many milliseconds before every further attempt. */
#define DELAY_VARIABLE "WSUS_SYNC_DELAY_MS"

/* ---- the operations ---- */

static const struct row {
	const char *ns;
	const struct wtype *in, *out;
	bool auth; /* of the service at ServiceUrl */
} rows[CALL__N] = {
	[CALL_GET_AUTH_CONFIG] = {WSUSSS_NS_SYNC, &GetAuthConfig_wire, &GetAuthConfigResponse_wire, false},
	[CALL_GET_AUTHORIZATION_COOKIE] = {WSUSSS_NS_AUTH, &DssGetAuthorizationCookie_wire, &GetAuthorizationCookieResponse_wire, true},
	[CALL_GET_COOKIE] = {WSUSSS_NS_SYNC, &DssGetCookie_wire, &GetCookieResponse_wire, false},
	[CALL_GET_CONFIG_DATA] = {WSUSSS_NS_SYNC, &GetConfigData_wire, &GetConfigDataResponse_wire, false},
	[CALL_GET_REVISION_ID_LIST] = {WSUSSS_NS_SYNC, &GetRevisionIdList_wire, &GetRevisionIdListResponse_wire, false},
	[CALL_GET_UPDATE_DATA] = {WSUSSS_NS_SYNC, &GetUpdateData_wire, &GetUpdateDataResponse_wire, false},
	[CALL_GET_UPDATE_DECRYPTION_DATA] = {WSUSSS_NS_SYNC, &GetUpdateDecryptionData_wire, &GetUpdateDecryptionDataResponse_wire, false},
	[CALL_GET_RELATED_REVISIONS] = {WSUSSS_NS_SYNC, &GetRelatedRevisionsForUpdates_wire, &GetRelatedRevisionsForUpdatesResponse_wire, false},
	[CALL_GET_DEPLOYMENTS] = {WSUSSS_NS_SYNC, &GetDeployments_wire, &GetDeploymentsResponse_wire, false},
	[CALL_DOWNLOAD_FILES] = {WSUSSS_NS_SYNC, &DownloadFiles_wire, &DownloadFilesResponse_wire, false},
};
const char *const call_names[CALL__N] = {
	[CALL_GET_AUTH_CONFIG] = "GetAuthConfig",
	[CALL_GET_AUTHORIZATION_COOKIE] = "GetAuthorizationCookie",
	[CALL_GET_COOKIE] = "GetCookie",
	[CALL_GET_CONFIG_DATA] = "GetConfigData",
	[CALL_GET_REVISION_ID_LIST] = "GetRevisionIdList",
	[CALL_GET_UPDATE_DATA] = "GetUpdateData",
	[CALL_GET_UPDATE_DECRYPTION_DATA] = "GetUpdateDecryptionData",
	[CALL_GET_RELATED_REVISIONS] = "GetRelatedRevisionsForUpdates",
	[CALL_GET_DEPLOYMENTS] = "GetDeployments",
	[CALL_DOWNLOAD_FILES] = "DownloadFiles",
};

/* One call, from its first attempt to its last. */
struct attempt {
	struct caller *c;
	enum call_op op;
	struct buf body;
	char type[320], action[256];
	struct spool *spool;
	struct http_job job;
	unsigned tries;
	/* of parallel ones */
	struct update_call *u;
	int64_t due; /* 0: under way */
	struct attempt *next;
};

struct caller {
	struct http *http;
	enum soap_version soap;
	const char *dir;
	char base[512], url[URL_ROOM], auth_url[URL_ROOM];
	bool auth_is_ours;
	char expiration[64];
	unsigned tries;
	int delay; /* milliseconds; -1: as call.h says */
	void (*on_wait)(void *arg, const char *text);
	void *arg;
	struct attempt *parallel;
};

/* ---- open and close ---- */

static int delay_of_test(void)
{
	const char *text = getenv(DELAY_VARIABLE);
	int32_t n;
	return text && text_i32(slice_of(text), &n) && n >= 0 ? n : -1;
}

int caller_open(struct caller **out, struct http *h, const struct settings *set, const char *dir, struct err *e)
{
	*out = NULL;
	if (set->upstream_url.n == 0)
		return err_set(e, E_REFUSED, "no server above is set (upstream.url): wsusctl upstream set http://SERVER:8530");
	struct caller *c = alloc_should_fail() ? NULL : calloc(1, sizeof(*c));
	if (!c)
		return err_set(e, E_NOMEM, "no memory for calls");
	c->http = h;
	c->dir = dir;
	c->soap = set->upstream_soap == UPSTREAM_SOAP12 ? SOAP_12 : SOAP_11;
	c->tries = CALL_TRIES;
	c->delay = delay_of_test();
	snprintf(c->base, sizeof(c->base), "%.*s", SLF(set->upstream_url));
	snprintf(c->url, sizeof(c->url), "%s" SYNC_PATH, c->base);
	*out = c;
	return E_OK;
}

static void attempt_free(struct attempt *t)
{
	if (t->job.running || t->job.next)
		http_stop(t->c->http, &t->job);
	spool_free(&t->spool);
	buf_free(&t->body);
}

void caller_close(struct caller **c)
{
	if (!*c)
		return;
	while ((*c)->parallel)
		call_update_done(*c, (*c)->parallel->u);
	free(*c);
	*c = NULL;
}

void caller_set_tries(struct caller *c, unsigned tries)
{
	c->tries = MAX(tries, 1u);
}

void caller_on_wait(struct caller *c, void (*fn)(void *arg, const char *text), void *arg)
{
	c->on_wait = fn;
	c->arg = arg;
}

/* ---- where to ---- */

static bool is_plain(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f || s.p[i] == '@')
			return false;
	return s.n > 0;
}

/* The login and the client certificate are for the server of upstream.url, whoever names another. */
int caller_set_service(struct caller *c, struct slice url, struct err *e)
{
	struct slice base = slice_of(c->base);
	bool absolute = text_starts(url, SL("http://")) || text_starts(url, SL("https://"));
	if (!is_plain(url) || url.n > 1024 || (!absolute && memmem(url.p, url.n, "://", 3)))
		return err_set(e, E_FORM, "ServiceUrl \"%.*s\" is no address", (int)MIN(url.n, 100), url.p ? url.p : "");
	if (absolute)
		snprintf(c->auth_url, sizeof(c->auth_url), "%.*s", SLF(url));
	else
		snprintf(c->auth_url, sizeof(c->auth_url), "%s%s%.*s", c->base, url.p[0] == '/' ? "" : "/", SLF(url));
	c->auth_is_ours = !absolute || (text_starts(url, base) && (url.n == base.n || url.p[base.n] == '/'));
	return E_OK;
}

static const char *url_of(const struct caller *c, enum call_op op)
{
	return rows[op].auth ? c->auth_url : c->url;
}

/* ---- the request ---- */

struct slice caller_expiration(const struct caller *c)
{
	return slice_of(c->expiration);
}

int caller_set_expiration(struct caller *c, struct slice text, struct err *e)
{
	tick_t t;
	text = text_trim(text);
	if (text.n >= sizeof(c->expiration) || !text_time(text, &t))
		return err_set(e, E_FORM, "\"%.*s\" is no time", (int)MIN(text.n, 40), text.p ? text.p : "");
	snprintf(c->expiration, sizeof(c->expiration), "%.*s", SLF(text));
	return E_OK;
}

/* A cookie's time is written in one form, and goes out in the server's: the same moment, so nothing else is meant. */
static void add_message(const struct caller *c, struct slice message, struct buf *to)
{
	char ours[TIME_TEXT + 1], mark[TIME_TEXT + 20];
	tick_t t;
	size_t n = 0;
	if (text_time(slice_of(c->expiration), &t)) {
		time_text(t, ours);
		n = (size_t)snprintf(mark, sizeof(mark), "<Expiration>%s<", ours);
	}
	for (const char *at; n && (at = memmem(message.p, message.n, mark, n)); message.p = at + n - 1) {
		buf_add(to, message.p, (size_t)(at - message.p));
		buf_printf(to, "<Expiration>%s", c->expiration);
		message.n -= (size_t)(at - message.p) + n - 1;
	}
	buf_slice(to, message);
}

static int encode(struct attempt *t, const void *request, struct err *e)
{
	const struct row *row = &rows[t->op];
	struct rope r;
	rope_init(&r);
	soap_write(&r, t->c->soap, SOAP_ASMX, slice_of(row->ns), call_names[t->op], row->in, request);
	if (r.rc == E_OK && r.nseg == 0) /* nothing of a request lies in the store */
		add_message(t->c, buf_bytes(rope_buf(&r)), &t->body);
	int rc = r.rc != E_OK ? r.rc : rope_buf(&r)->rc != E_OK ? rope_buf(&r)->rc : t->body.rc;
	rope_free(&r);
	return rc == E_OK ? E_OK : err_set(e, (enum errcode)rc, "%s: the request: %s", call_names[t->op], err_name(rc));
}

static void make_headers(struct attempt *t)
{
	const char *ns = rows[t->op].ns, *name = call_names[t->op];
	t->job.headers[0] = t->type;
	if (t->c->soap == SOAP_12) {
		snprintf(t->type, sizeof(t->type), "Content-Type: %s; action=\"%s/%s\"", soap_content_type(SOAP_12), ns, name);
		return;
	}
	snprintf(t->type, sizeof(t->type), "Content-Type: %s", soap_content_type(SOAP_11));
	snprintf(t->action, sizeof(t->action), "SOAPAction: \"%s/%s\"", ns, name);
	t->job.headers[1] = t->action;
}

/* t->spool is set even on failure, or NULL. */
static int prepare(struct attempt *t, struct caller *c, enum call_op op, const void *request, struct err *e)
{
	*t = (struct attempt){.c = c, .op = op};
	buf_init(&t->body, LIMIT_BODY);
	if (rows[op].auth && !c->auth_url[0])
		return err_set(e, E_REFUSED, "%s: the server has not said yet where that is", call_names[op]);
	int rc = encode(t, request, e);
	if (rc == E_OK)
		rc = spool_new(&t->spool, c->dir, LIMIT_ANSWER, e);
	make_headers(t);
	t->job.url = url_of(c, op);
	t->job.post = true;
	t->job.body = buf_bytes(&t->body);
	t->job.packed = true;
	t->job.ours = !rows[op].auth || c->auth_is_ours;
	t->job.to = t->spool;
	t->job.max = LIMIT_ANSWER;
	t->job.arg = t;
	return rc;
}

/* ---- the answer ---- */

/* Of an attempt that is over; *again: another may end better. */
static int take_answer(struct attempt *t, void *response, struct arena *a, bool *again, struct err *e)
{
	struct answer w = {.status = t->job.status, .bytes = t->spool, .ns = slice_of(rows[t->op].ns), .name = call_names[t->op]};
	*again = t->job.passing;
	if (t->job.rc != E_OK)
		return err_at(e, err_set(e, (enum errcode)t->job.rc, "%s", t->job.err.text), "%s: ", call_names[t->op]);
	int rc = answer_read(&w, response ? rows[t->op].out : NULL, response, a, e);
	*again = w.passing;
	return err_at(e, rc, "%s: %s: ", call_names[t->op], t->job.url);
}

/* Growing and jittered, so that servers which were turned away together do not come back together. */
static unsigned delay_before(const struct attempt *t)
{
	uint32_t chance = 0;
	if (t->c->delay >= 0)
		return (unsigned)t->c->delay;
	if (t->job.retry_after >= 0 && t->job.retry_after < RETRY_AFTER_MAX)
		return (unsigned)t->job.retry_after * 1000;
	if (random_bytes(&chance, sizeof(chance)) != E_OK)
		chance = UINT32_MAX / 2;
	uint64_t delay = MIN((uint64_t)CALL_DELAY << MIN(t->tries - 1, 16u), (uint64_t)CALL_DELAY_MAX);
	return (unsigned)(delay / 2 + (delay * chance >> 32));
}

static void say_again(const struct attempt *t, unsigned delay, const struct err *e)
{
	char text[700];
	if (!t->c->on_wait)
		return;
	snprintf(text, sizeof(text), "%s; again in %.1f s (%u of %u)", e->text, delay / 1000.0, t->tries + 1, t->c->tries);
	t->c->on_wait(t->c->arg, text);
}

static int gave_up(const struct attempt *t, int rc, struct err *e)
{
	return t->tries > 1 ? err_at(e, rc, "tried %u times: ", t->tries) : rc;
}

/* ---- one at a time ---- */

static int try_once(struct attempt *t, void *response, struct arena *a, bool *again, struct err *e)
{
	*again = false;
	spool_reset(t->spool);
	t->tries++;
	int rc = http_do(t->c->http, &t->job, e);
	if (rc == E_CANCELLED)
		return rc;
	rc = take_answer(t, response, a, again, e);
	if (rc == E_OK && t->op == CALL_GET_COOKIE)
		rc = caller_set_expiration(t->c, answer_text(t->spool, SL("Expiration"), a), e);
	return rc;
}

static int try_until(struct attempt *t, void *response, struct arena *a, struct err *e)
{
	for (;;) {
		bool again;
		int rc = try_once(t, response, a, &again, e);
		if (!again)
			return rc;
		if (t->tries >= t->c->tries)
			return gave_up(t, rc, e);
		unsigned delay = delay_before(t);
		say_again(t, delay, e);
		if (http_sleep(delay) != E_OK)
			return err_set(e, E_CANCELLED, "cancelled");
	}
}

int call(struct caller *c, enum call_op op, const void *request, void *response, struct arena *a, struct err *e)
{
	struct attempt t;
	struct err mine = {0};
	int rc = prepare(&t, c, op, request, &mine);
	if (rc == E_OK)
		rc = try_until(&t, response, a, &mine);
	attempt_free(&t);
	return rc == E_OK ? E_OK : err_set(e, (enum errcode)rc, "%s", mine.text);
}

/* ---- several GetUpdateData at a time ---- */

static int start_attempt(struct attempt *t, struct err *e)
{
	spool_reset(t->spool);
	t->due = 0;
	t->tries++;
	return http_start(t->c->http, &t->job, e);
}

int call_update_start(struct caller *c, struct update_call *u, struct err *e)
{
	struct attempt *t = alloc_should_fail() ? NULL : malloc(sizeof(*t));
	u->running = NULL;
	u->answer = NULL;
	u->rc = E_OK;
	if (!t)
		return err_set(e, E_NOMEM, "no memory for a call");
	int rc = prepare(t, c, CALL_GET_UPDATE_DATA, u->request, e);
	if (rc == E_OK)
		rc = start_attempt(t, e);
	if (rc != E_OK) {
		attempt_free(t);
		free(t);
		return rc;
	}
	t->u = u;
	t->next = c->parallel;
	c->parallel = t;
	u->running = t;
	return E_OK;
}

void call_update_done(struct caller *c, struct update_call *u)
{
	struct attempt *t = u->running;
	if (!t)
		return;
	for (struct attempt **at = &c->parallel; *at; at = &(*at)->next)
		if (*at == t) {
			*at = t->next;
			break;
		}
	http_stop(c->http, &t->job);
	attempt_free(t);
	free(t);
	u->running = NULL;
	u->answer = NULL;
}

static bool is_done(const struct attempt *t)
{
	return t->u->answer || t->u->rc != E_OK;
}

/* Starts what is due; the time of the next that will be, 0: none waits.  *open: how many are not done. */
static int start_due(struct caller *c, int64_t *next, unsigned *open, struct err *e)
{
	int rc = E_OK;
	*next = 0;
	*open = 0;
	for (struct attempt *t = c->parallel; t && rc == E_OK; t = t->next) {
		if (is_done(t))
			continue;
		++*open;
		if (t->due && t->due <= time_monotonic_ms())
			rc = start_attempt(t, e);
		else if (t->due && (*next == 0 || t->due < *next))
			*next = t->due;
	}
	return rc;
}

static struct attempt *attempt_of(struct caller *c, const struct http_job *j)
{
	struct attempt *t = c->parallel;
	while (t && &t->job != j)
		t = t->next;
	return t;
}

/* false: it is tried again. */
static bool take_parallel(struct attempt *t)
{
	struct update_call *u = t->u;
	struct arena a;
	bool again;
	arena_init(&a, 4 * LIMIT_FAULT);
	int rc = take_answer(t, NULL, &a, &again, &u->err);
	arena_free(&a);
	if (again && t->tries < t->c->tries) {
		unsigned delay = delay_before(t);
		say_again(t, delay, &u->err);
		t->due = time_monotonic_ms() + MAX(delay, 1u);
		return false;
	}
	u->rc = again ? gave_up(t, rc, &u->err) : rc;
	u->answer = u->rc == E_OK ? t->spool : NULL;
	return true;
}

static int wait_due(struct caller *c, int64_t next, struct http_job **job, struct err *e)
{
	int64_t left = next ? MAX(next - time_monotonic_ms(), 0) : -1;
	int rc = http_wait(c->http, (int)MIN(left, (int64_t)60000), job, e);
	if (rc == E_BUSY)
		return E_OK;
	if (rc == E_OK && !*job && next) /* all wait for their time */
		rc = http_sleep((unsigned)MIN(left, (int64_t)60000)) == E_OK ? E_OK : err_set(e, E_CANCELLED, "cancelled");
	return rc;
}

int call_update_wait(struct caller *c, struct update_call **out, struct err *e)
{
	*out = NULL;
	for (;;) {
		struct http_job *job = NULL;
		struct attempt *t;
		int64_t next;
		unsigned open;
		int rc = start_due(c, &next, &open, e);
		if (rc != E_OK || open == 0)
			return rc;
		rc = wait_due(c, next, &job, e);
		if (rc != E_OK)
			return rc;
		t = job ? attempt_of(c, job) : NULL;
		if (t && take_parallel(t)) {
			*out = t->u;
			return E_OK;
		}
	}
}
