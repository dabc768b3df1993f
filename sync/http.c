/* http.c -- jobs on a libcurl multi handle: queued, running, done.
 *
 * A job waits here, not in libcurl, until one of upstream.connections is free: its time-outs begin when it does.  The rate is one
 * account that bytes of all jobs are paid from; who finds it empty pauses (libcurl's own limit is of one transfer, and lets the
 * first second's bytes pass at once).  An eventfd that http_cancel() writes to ends every wait. */
#include "sync/http.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <curl/curl.h>

#include "common/arena.h"
#include "common/http_hint.h"
#include "common/microsoft.h"
#include "common/text.h"
#include "sync/credential.h"
#include "sync/decode.h"

#define USER_AGENT "wsus-sync/1.0"
#define CONNECTIONS_MAX 16       /* of setting upstream.connections */
#define CONNECT_SECONDS 30       /* or upstream.timeout, if that is less */
#define RECEIVE_BUFFER (128 << 10)
#define HEADERS_MAX (256 << 10)  /* of one job, those of interim answers included */
#define STEP_MS 1000             /* libcurl's own timers wake it earlier */

struct running {
	struct http *h;
	struct http_job *j;
	CURL *curl;
	struct curl_slist *headers;
	struct decoder *decoder;
	char words[CURL_ERROR_SIZE];
	char coding[40], range[80];
	uint64_t plain; /* bytes decoded */
	size_t header_bytes;
	bool begun, paused;
	int rc;         /* ours, which libcurl only knows as "write error" */
};

struct queue {
	struct http_job *first, **last;
};

struct http {
	CURLM *multi;
	struct running running[CONNECTIONS_MAX];
	unsigned limit, busy;
	CURL *idle[CONNECTIONS_MAX]; /* they keep TLS sessions */
	unsigned nidle;
	struct queue waiting, done;
	struct buf ca; /* PEM, empty: the system's alone */
	struct login login, proxy_login;
	char *base, *proxy, *pin, *certificate, *key;
	long timeout;
	uint64_t rate, received;
	double account; /* bytes that may come now; below zero: too many came */
	int64_t paid;   /* when it was filled last */
	bool looking;
	struct http_look look;
};

/* ---- cancel ---- */

static volatile sig_atomic_t cancelled;
static int wake_fd = -1;

void http_cancel(void)
{
	int saved = errno;
	cancelled = 1;
	if (wake_fd >= 0)
		(void)!write(wake_fd, &(uint64_t){1}, sizeof(uint64_t));
	errno = saved;
}

bool http_cancelled(void)
{
	return cancelled != 0;
}

/* Never read, so that it stays readable; one for the process. */
static void open_wake(void)
{
	if (wake_fd < 0)
		wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

int http_sleep(unsigned milliseconds)
{
	struct pollfd p = {.fd = wake_fd, .events = POLLIN};
	int64_t end = time_monotonic_ms() + milliseconds;
	open_wake();
	p.fd = wake_fd;
	for (int64_t left; !cancelled && (left = end - time_monotonic_ms()) > 0;)
		poll(&p, 1, (int)MIN(left, (int64_t)60000));
	return cancelled ? E_CANCELLED : E_OK;
}

/* ---- queues ---- */

static void queue_add(struct queue *q, struct http_job *j)
{
	if (!q->first)
		q->last = &q->first;
	j->next = NULL;
	*q->last = j;
	q->last = &j->next;
}

/* Takes j out, NULL: the first; NULL if it is not there. */
static struct http_job *queue_take(struct queue *q, const struct http_job *j)
{
	for (struct http_job **at = &q->first; *at; at = &(*at)->next) {
		struct http_job *found = *at;
		if (j && found != j)
			continue;
		*at = found->next;
		if (q->last == &found->next)
			q->last = at;
		found->next = NULL;
		return found;
	}
	return NULL;
}

/* ---- the answer's head ---- */

static void take_value(struct slice value, char *to, size_t room)
{
	value = text_trim(value);
	snprintf(to, room, "%.*s", (int)MIN(value.n, room - 1), value.p ? value.p : "");
}

static void take_retry(struct slice value, int64_t *out)
{
	int64_t n; /* the form with a date is not used by servers that are busy */
	if (text_i64(text_trim(value), &n) && n >= 0)
		*out = n;
}

static void forget_head(struct running *r)
{
	r->coding[0] = r->range[0] = r->j->type[0] = r->j->etag[0] = '\0';
	r->j->retry_after = -1;
}

/* Of each answer, interim ones and those that ask for a login included; the last counts. */
static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
	struct running *r = arg;
	struct slice value = {p, size * n}, name;
	r->header_bytes += value.n;
	if (r->header_bytes > HEADERS_MAX) {
		r->rc = err_set(&r->j->err, E_LIMIT, "%s: headers of more than %d bytes", r->j->url, HEADERS_MAX);
		return 0;
	}
	if (text_starts(value, SL("HTTP/")))
		forget_head(r);
	name = text_cut(&value, ':');
	if (text_ieq(name, SL("content-encoding")))
		take_value(value, r->coding, sizeof(r->coding));
	else if (text_ieq(name, SL("content-range")))
		take_value(value, r->range, sizeof(r->range));
	else if (text_ieq(name, SL("content-type")))
		take_value(value, r->j->type, sizeof(r->j->type));
	else if (text_ieq(name, SL("etag")))
		take_value(value, r->j->etag, sizeof(r->j->etag));
	else if (text_ieq(name, SL("retry-after")))
		take_retry(value, &r->j->retry_after);
	return size * n;
}

/* "bytes 100-199/1000"; the total may be "*". */
static bool read_range(struct slice s, uint64_t *at, int64_t *total)
{
	uint64_t last;
	if (!text_starts(s, SL("bytes ")))
		return false;
	s = (struct slice){s.p + 6, s.n - 6};
	struct slice range = text_cut(&s, '/'), first = text_cut(&range, '-');
	if (!s.p || !range.p || !text_u64(first, at) || !text_u64(range, &last) || last < *at)
		return false;
	if (!text_i64(s, total))
		*total = -1;
	return true;
}

/* ---- the answer's body ---- */

static bool is_success(int status)
{
	return status >= 200 && status <= 299;
}

static int begin_body(struct running *r)
{
	struct http_job *j = r->j;
	curl_off_t length = -1;
	uint64_t at = 0;
	int64_t total;
	if (!is_success(j->status) || !j->begin)
		return E_OK;
	curl_easy_getinfo(r->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	total = r->coding[0] ? -1 : length;
	if (j->status == 206 && !read_range(slice_of(r->range), &at, &total))
		return err_set(&j->err, E_FORM, "%s: an answer of a part without a usable Content-Range", j->url);
	return j->begin(j, j->status, at, total, &j->err);
}

static int take_bytes(void *arg, struct slice bytes, struct err *e)
{
	struct running *r = arg;
	struct http_job *j = r->j;
	if (bytes.n > j->max - r->plain)
		return err_set(e, E_LIMIT, "%s: the answer has more than %ju bytes", j->url, (uintmax_t)j->max);
	r->plain += bytes.n;
	if (!j->take)
		return j->to ? spool_add(j->to, bytes.p, bytes.n, e) : E_OK;
	return is_success(j->status) ? j->take(j, bytes, e) : E_OK;
}

/* Once, when the head is complete. */
static int begin(struct running *r)
{
	long status = 0;
	struct slice coding = slice_of(r->coding);
	r->begun = true;
	curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, &status);
	r->j->status = (int)status;
	if (!r->j->packed && !text_ieq(coding, SL("identity")) && coding.n)
		return err_set(&r->j->err, E_FORM, "%s: Content-Encoding \"%s\" was not asked for", r->j->url, r->coding);
	int rc = decoder_new(&r->decoder, coding, take_bytes, r, &r->j->err);
	return rc == E_OK ? begin_body(r) : rc;
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
	struct running *r = arg;
	if (r->h->rate && r->h->account <= 0) {
		r->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	r->h->account -= (double)(size * n);
	if (r->rc == E_OK && !r->begun)
		r->rc = begin(r);
	if (r->rc == E_OK)
		r->rc = decoder_add(r->decoder, (struct slice){p, size * n}, &r->j->err);
	return r->rc == E_OK ? size * n : 0;
}

/* ---- words ---- */

/* A server that wants a certificate says so by closing, with TLS 1.3 after the handshake. */
#define BROKE "the connection broke; a server that wants a certificate (upstream.certificate) may end it so"

static const struct {
	CURLcode code;
	bool passing;
	const char *text;
} failures[] = {
	{CURLE_COULDNT_RESOLVE_HOST, true, "is the name in upstream.url right, and does DNS or /etc/hosts know it?"},
	{CURLE_COULDNT_RESOLVE_PROXY, true, "is the name in upstream.proxy right, and does DNS or /etc/hosts know it?"},
	{CURLE_COULDNT_CONNECT, true, "is the server running, and is this its port? A firewall between may be closed"},
	{CURLE_OPERATION_TIMEDOUT, true, "no byte in time (upstream.timeout): look at the server's load, and at firewalls between"},
	{CURLE_GOT_NOTHING, true, "the server closed the connection: is this an https port asked with http?"},
	{CURLE_PARTIAL_FILE, true, "the connection broke before the answer was complete"},
	{CURLE_RECV_ERROR, true, BROKE},
	{CURLE_SEND_ERROR, true, BROKE},
	{CURLE_PEER_FAILED_VERIFICATION, false,
		"nobody trusted here has signed the server's certificate: name its authority's file with upstream.ca"},
	{CURLE_SSL_CACERT_BADFILE, false, "the file of upstream.ca cannot be read as PEM certificates"},
	{CURLE_SSL_PINNEDPUBKEYNOTMATCH, false,
		"the server's key is not that of upstream.pin: ask its administrator whether it changed; if not, somebody sits between"},
	{CURLE_SSL_CERTPROBLEM, false, "look at the files of upstream.certificate and upstream.key: PEM, and do they belong together?"},
	{CURLE_SSL_CONNECT_ERROR, false,
		"the TLS handshake failed: does this port speak TLS (8530 is usually plain http, 8531 https), and does the server want a "
		"certificate (upstream.certificate)?"},
	{CURLE_PROXY, false, "the proxy (upstream.proxy) failed"},
	{CURLE_WEIRD_SERVER_REPLY, false, "that is no HTTP: is this the server's port?"},
	{CURLE_UNSUPPORTED_PROTOCOL, false, "the address must begin with http:// or https://"},
	{CURLE_URL_MALFORMAT, false, "the address makes no sense"},
};

static long connect_status(struct running *r)
{
	long status = 0;
	curl_easy_getinfo(r->curl, CURLINFO_HTTP_CONNECTCODE, &status);
	return status;
}

static const char *words_of_proxy(struct running *r, CURLcode code)
{
	long status = connect_status(r);
	if (status == 407)
		return r->h->proxy_login.user ? "the proxy refuses the login in the file of upstream.proxy-login"
					      : "the proxy wants a login: name its file with upstream.proxy-login";
	if (code == CURLE_COULDNT_CONNECT && r->h->proxy[0])
		return "is the proxy of upstream.proxy running, and is this its port?";
	return status >= 400 ? "the proxy (upstream.proxy) refuses to connect to that server: ask who runs it" : NULL;
}

static const char *words_of_verdict(struct running *r)
{
	long verdict = 0;
	curl_easy_getinfo(r->curl, CURLINFO_SSL_VERIFYRESULT, &verdict);
	return certificate_hint(verdict);
}

static int transport_failed(struct running *r, CURLcode code)
{
	const char *hint = words_of_proxy(r, code), *text = "see the words before";
	struct http_job *j = r->j;
	if (!hint && code == CURLE_PEER_FAILED_VERIFICATION)
		hint = words_of_verdict(r);
	for (size_t i = 0; i < COUNTOF(failures); i++)
		if (failures[i].code == code) {
			text = failures[i].text;
			j->passing = failures[i].passing && !(connect_status(r) >= 400 && connect_status(r) < 500);
		}
	return err_set(&j->err, code == CURLE_OUT_OF_MEMORY ? E_NOMEM : E_IO, "%s: %s; %s", j->url,
		r->words[0] ? r->words : curl_easy_strerror(code), hint ? hint : text);
}

/* ---- what a connection shows ---- */

static struct slice certificate_field(const struct curl_slist *l, const char *name)
{
	size_t n = strlen(name);
	for (; l; l = l->next)
		if (strncmp(l->data, name, n) == 0 && l->data[n] == ':')
			return slice_of(l->data + n + 1);
	return SL0;
}

static void keep_chain(CURL *c, struct http_look *to)
{
	struct curl_certinfo *info = NULL;
	if (curl_easy_getinfo(c, CURLINFO_CERTINFO, &info) != CURLE_OK || !info || info->num_of_certs == 0)
		return;
	to->certificates = (unsigned)MIN(info->num_of_certs, HTTP_CHAIN);
	for (unsigned i = 0; i < to->certificates; i++) {
		struct http_certificate *k = &to->chain[i];
		const struct curl_slist *l = info->certinfo[i];
		take_value(certificate_field(l, "Subject"), k->subject, sizeof(k->subject));
		take_value(certificate_field(l, "Issuer"), k->issuer, sizeof(k->issuer));
		take_value(certificate_field(l, "Expire date"), k->end, sizeof(k->end));
		if (!credential_print(certificate_field(l, "Cert"), k->print, k->pin))
			k->print[0] = k->pin[0] = '\0';
	}
}

static double span(CURL *c, CURLINFO from, CURLINFO to)
{
	curl_off_t a = 0, b = 0;
	if (from != CURLINFO_NONE)
		curl_easy_getinfo(c, from, &a);
	curl_easy_getinfo(c, to, &b);
	return b > a ? (double)(b - a) / 1000 : 0;
}

static const struct {
	CURLcode code;
	enum http_stage stage;
} stages[] = {
	{CURLE_COULDNT_RESOLVE_HOST, HTTP_NAME},
	{CURLE_URL_MALFORMAT, HTTP_NAME},
	{CURLE_COULDNT_RESOLVE_PROXY, HTTP_PROXY},
	{CURLE_PROXY, HTTP_PROXY},
	{CURLE_COULDNT_CONNECT, HTTP_CONNECTION},
	{CURLE_PEER_FAILED_VERIFICATION, HTTP_CERTIFICATE},
	{CURLE_SSL_CACERT_BADFILE, HTTP_CERTIFICATE},
	{CURLE_SSL_PINNEDPUBKEYNOTMATCH, HTTP_CERTIFICATE},
	{CURLE_SSL_CERTPROBLEM, HTTP_CERTIFICATE},
	{CURLE_SSL_CONNECT_ERROR, HTTP_CERTIFICATE},
};

static curl_off_t moment(CURL *c, CURLINFO which)
{
	curl_off_t t = 0;
	curl_easy_getinfo(c, which, &t);
	return t;
}

/* A time-out can be anywhere. */
static enum http_stage stage_reached(CURL *c, bool tls)
{
	if (moment(c, CURLINFO_NAMELOOKUP_TIME_T) == 0)
		return HTTP_NAME;
	if (moment(c, CURLINFO_CONNECT_TIME_T) == 0)
		return HTTP_CONNECTION;
	return tls && moment(c, CURLINFO_APPCONNECT_TIME_T) == 0 ? HTTP_CERTIFICATE : HTTP_ANSWER;
}

static enum http_stage stage_of(struct running *r, CURLcode code)
{
	long status = 0;
	curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, &status);
	if (connect_status(r) >= 400 || status == 407 || (code == CURLE_COULDNT_CONNECT && r->h->proxy[0]))
		return HTTP_PROXY;
	for (size_t i = 0; i < COUNTOF(stages); i++)
		if (stages[i].code == code)
			return stages[i].stage;
	if (code == CURLE_OPERATION_TIMEDOUT)
		return stage_reached(r->curl, strncmp(r->j->url, "https:", 6) == 0);
	return status == 401 ? HTTP_LOGIN : HTTP_ANSWER;
}

static const char *login_asked(CURL *c)
{
	long asked = 0;
	curl_easy_getinfo(c, CURLINFO_HTTPAUTH_AVAIL, &asked);
	return asked & CURLAUTH_DIGEST ? "digest" : asked & CURLAUTH_NTLM ? "ntlm" : asked & CURLAUTH_BASIC ? "basic" : asked ? "other" : "";
}

/* Of a new connection: a kept one shows nothing of itself. */
static void look(struct running *r, CURLcode code)
{
	struct http_look *to = &r->h->look;
	const char *address = NULL;
	long connects = 0;
	if (!r->h->looking || !r->j->ours)
		return;
	to->stage = stage_of(r, code);
	to->answer_ms = span(r->curl, CURLINFO_PRETRANSFER_TIME_T, CURLINFO_STARTTRANSFER_TIME_T);
	if (login_asked(r->curl)[0])
		snprintf(to->asked, sizeof(to->asked), "%s", login_asked(r->curl));
	curl_easy_getinfo(r->curl, CURLINFO_NUM_CONNECTS, &connects);
	curl_easy_getinfo(r->curl, CURLINFO_PRIMARY_IP, &address);
	if (connects == 0)
		return;
	snprintf(to->address, sizeof(to->address), "%s", address ? address : "");
	to->name_ms = span(r->curl, CURLINFO_NONE, CURLINFO_NAMELOOKUP_TIME_T);
	to->connect_ms = span(r->curl, CURLINFO_NAMELOOKUP_TIME_T, CURLINFO_CONNECT_TIME_T);
	to->tls_ms = span(r->curl, CURLINFO_CONNECT_TIME_T, CURLINFO_APPCONNECT_TIME_T);
	keep_chain(r->curl, to);
}

/* libcurl tells the version of TLS in its remarks alone. */
static int on_remark(CURL *c, curl_infotype type, char *p, size_t n, void *arg)
{
	struct http *h = arg;
	struct slice text = {p, n};
	(void)c;
	if (type != CURLINFO_TEXT || !text_starts(text, SL("SSL connection using ")))
		return 0;
	text = (struct slice){p + 21, n - 21};
	take_value(text_word(&text), h->look.tls, sizeof(h->look.tls));
	return 0;
}

void http_look_closely(struct http *h)
{
	h->looking = true;
}

void http_look_at_last(const struct http *h, struct http_look *out)
{
	*out = h->look;
}

/* ---- one job ---- */

static bool add_header(struct curl_slist **list, const char *text)
{
	struct curl_slist *more = curl_slist_append(*list, text);
	*list = more ? more : *list;
	return more != NULL;
}

static bool set_headers(struct running *r)
{
	char range[80];
	bool ok = add_header(&r->headers, "Expect:"); /* its answer is one more thing to wait for */
	for (size_t i = 0; ok && i < COUNTOF(r->j->headers) && r->j->headers[i]; i++)
		ok = add_header(&r->headers, r->j->headers[i]);
	if (ok && r->j->packed)
		ok = add_header(&r->headers, "Accept-Encoding: xpress, gzip");
	snprintf(range, sizeof(range), "Range: bytes=%ju-", (uintmax_t)r->j->from);
	return ok && (r->j->from == 0 || add_header(&r->headers, range));
}

static void set_transport(struct running *r)
{
	const struct http *h = r->h;
	CURL *c = r->curl;
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_USERAGENT, USER_AGENT);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, MIN((long)CONNECT_SECONDS, h->timeout));
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, h->timeout);
	curl_easy_setopt(c, CURLOPT_BUFFERSIZE, (long)RECEIVE_BUFFER);
	curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(c, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	curl_easy_setopt(c, CURLOPT_PROXY, h->proxy); /* empty: none, whatever the environment says */
	curl_easy_setopt(c, CURLOPT_NOPROXY, "");
	curl_easy_setopt(c, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	if (h->proxy_login.user) {
		curl_easy_setopt(c, CURLOPT_PROXYAUTH, (long)(CURLAUTH_BASIC | CURLAUTH_DIGEST | CURLAUTH_NTLM));
		curl_easy_setopt(c, CURLOPT_PROXYUSERNAME, h->proxy_login.user);
		curl_easy_setopt(c, CURLOPT_PROXYPASSWORD, h->proxy_login.password);
	}
}

/* The parent is judged by upstream.ca alone; any other server by the system's authorities, too. */
static void set_trust(struct running *r)
{
	const struct http *h = r->h;
	struct curl_blob ca = {h->ca.p, h->ca.n, CURL_BLOB_NOCOPY};
	if (h->ca.n)
		curl_easy_setopt(r->curl, CURLOPT_CAINFO_BLOB, &ca);
	if (h->ca.n && r->j->ours)
		curl_easy_setopt(r->curl, CURLOPT_CAPATH, NULL);
}

/* NTLM and Digest do not send the password; Negotiate would want a ticket, and is left out. */
static void set_identity(struct running *r)
{
	const struct http *h = r->h;
	CURL *c = r->curl;
	if (!r->j->ours)
		return;
	if (h->login.user) {
		curl_easy_setopt(c, CURLOPT_HTTPAUTH, (long)(CURLAUTH_BASIC | CURLAUTH_DIGEST | CURLAUTH_NTLM));
		curl_easy_setopt(c, CURLOPT_USERNAME, h->login.user);
		curl_easy_setopt(c, CURLOPT_PASSWORD, h->login.password);
	}
	if (h->pin[0])
		curl_easy_setopt(c, CURLOPT_PINNEDPUBLICKEY, h->pin);
	if (h->certificate[0]) {
		curl_easy_setopt(c, CURLOPT_SSLCERT, h->certificate);
		curl_easy_setopt(c, CURLOPT_SSLKEY, h->key[0] ? h->key : h->certificate);
	}
	if (h->looking) {
		curl_easy_setopt(c, CURLOPT_CERTINFO, 1L);
		curl_easy_setopt(c, CURLOPT_VERBOSE, 1L);
		curl_easy_setopt(c, CURLOPT_DEBUGFUNCTION, on_remark);
		curl_easy_setopt(c, CURLOPT_DEBUGDATA, r->h);
	}
}

static void set_request(struct running *r)
{
	CURL *c = r->curl;
	const struct http_job *j = r->j;
	curl_easy_setopt(c, CURLOPT_URL, j->url);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, r->headers);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, r->words);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, r);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, r);
	curl_easy_setopt(c, CURLOPT_PRIVATE, r);
	if (j->post) {
		curl_easy_setopt(c, CURLOPT_POST, 1L);
		curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)j->body.n);
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, j->body.p ? j->body.p : "");
	}
}

static void clear_job(struct http_job *j)
{
	j->rc = E_OK;
	j->passing = false;
	j->status = 0;
	j->err.code = E_OK;
	j->err.text[0] = j->type[0] = j->etag[0] = '\0';
	j->retry_after = -1;
	j->wire = 0;
}

static void finish(struct running *r, int rc)
{
	struct http *h = r->h;
	struct http_job *j = r->j;
	if (r->curl && h->nidle < COUNTOF(h->idle)) {
		curl_easy_reset(r->curl);
		h->idle[h->nidle++] = r->curl;
	}
	curl_slist_free_all(r->headers);
	decoder_free(&r->decoder);
	j->rc = rc;
	j->running = NULL;
	memset(r, 0, sizeof(*r));
	h->busy--;
	queue_add(&h->done, j);
}

static void run(struct http *h, struct http_job *j)
{
	struct running *r = h->running;
	while (r->j)
		r++;
	*r = (struct running){.h = h, .j = j, .curl = h->nidle ? h->idle[--h->nidle] : curl_easy_init()};
	j->running = r;
	h->busy++;
	if (!r->curl || !set_headers(r)) {
		finish(r, err_set(&j->err, E_NOMEM, "no memory for a request"));
		return;
	}
	set_transport(r);
	set_trust(r);
	set_identity(r);
	set_request(r);
	if (curl_multi_add_handle(h->multi, r->curl) != CURLM_OK)
		finish(r, err_set(&j->err, E_NOMEM, "no memory for a request"));
}

/* The answer is complete as far as libcurl knows; is it, as far as its coding says? */
static int end_body(struct running *r)
{
	int rc = r->begun ? E_OK : begin(r);
	if (rc == E_OK)
		rc = decoder_end(r->decoder, &r->j->err);
	r->j->passing = rc == E_IO;
	return rc;
}

static void ended(struct running *r, CURLcode code)
{
	curl_off_t wire = 0;
	int rc = r->rc;
	curl_easy_getinfo(r->curl, CURLINFO_SIZE_DOWNLOAD_T, &wire);
	r->j->wire = (uint64_t)wire;
	r->h->received += (uint64_t)wire;
	look(r, code);
	if (rc == E_OK)
		rc = code == CURLE_OK ? end_body(r) : transport_failed(r, code);
	curl_multi_remove_handle(r->h->multi, r->curl);
	finish(r, rc);
}

/* ---- all jobs ---- */

#define ACCOUNT_MS 250 /* of the rate are kept at most: what nobody used is not made up for */

static void fill_account(struct http *h)
{
	int64_t now = time_monotonic_ms();
	double most = (double)h->rate * ACCOUNT_MS / 1000;
	h->account = MIN(h->account + (double)h->rate * (double)(now - h->paid) / 1000, most);
	h->paid = now;
	for (unsigned i = 0; i < h->limit && (h->account > 0 || h->rate == 0); i++) {
		struct running *r = &h->running[i];
		if (!r->paused)
			continue;
		r->paused = false;
		curl_easy_pause(r->curl, CURLPAUSE_CONT); /* hands out at once what it kept */
	}
}

/* Until somebody may go on. */
static int64_t until_paid(const struct http *h)
{
	bool any = false;
	for (unsigned i = 0; i < h->limit; i++)
		any |= h->running[i].paused;
	return any && h->rate ? (int64_t)(-h->account * 1000 / (double)h->rate) + 1 : STEP_MS;
}

static void step(struct http *h)
{
	CURLMsg *m;
	int left;
	fill_account(h);
	while (h->waiting.first && h->busy < h->limit)
		run(h, queue_take(&h->waiting, NULL));
	curl_multi_perform(h->multi, &left);
	while ((m = curl_multi_info_read(h->multi, &left)))
		if (m->msg == CURLMSG_DONE) {
			struct running *r = NULL;
			CURLcode code = m->data.result;
			curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&r);
			ended(r, code);
		}
}

static void drop(struct http_job *j)
{
	j->rc = err_set(&j->err, E_CANCELLED, "cancelled");
}

static void drop_all(struct http *h)
{
	for (unsigned i = 0; i < h->limit; i++)
		if (h->running[i].j) {
			curl_multi_remove_handle(h->multi, h->running[i].curl);
			finish(&h->running[i], E_CANCELLED);
		}
	for (struct http_job *j; (j = queue_take(&h->waiting, NULL));)
		drop(j);
	for (struct http_job *j; (j = queue_take(&h->done, NULL));)
		drop(j);
}

static int stopped(struct http *h, struct err *e)
{
	drop_all(h);
	return err_set(e, E_CANCELLED, "cancelled");
}

int http_start(struct http *h, struct http_job *j, struct err *e)
{
	if (cancelled)
		return stopped(h, e);
	clear_job(j);
	queue_add(&h->waiting, j);
	return E_OK;
}

void http_stop(struct http *h, struct http_job *j)
{
	if (j->running) {
		curl_multi_remove_handle(h->multi, ((struct running *)j->running)->curl);
		finish(j->running, E_CANCELLED);
	}
	if (queue_take(&h->waiting, j) || queue_take(&h->done, j))
		drop(j);
}

/* Until a job is done, or that one. */
static int wait_for(struct http *h, int milliseconds, const struct http_job *one, struct http_job **out, struct err *e)
{
	struct curl_waitfd wake = {.fd = wake_fd, .events = CURL_WAIT_POLLIN};
	int64_t end = time_monotonic_ms() + milliseconds;
	*out = NULL;
	for (;;) {
		if (cancelled)
			return stopped(h, e);
		step(h);
		if ((*out = queue_take(&h->done, one)))
			return E_OK;
		if (h->busy == 0 && !h->waiting.first)
			return E_OK;
		int64_t left = milliseconds < 0 ? STEP_MS : end - time_monotonic_ms();
		if (left <= 0)
			return err_set(e, E_BUSY, "no request is done yet");
		left = MIN(left, MIN((int64_t)STEP_MS, until_paid(h)));
		curl_multi_poll(h->multi, &wake, wake_fd >= 0, (int)left, NULL);
	}
}

int http_wait(struct http *h, int milliseconds, struct http_job **out, struct err *e)
{
	return wait_for(h, milliseconds, NULL, out, e);
}

int http_do(struct http *h, struct http_job *j, struct err *e)
{
	struct http_job *done;
	int rc = http_start(h, j, e);
	if (rc == E_OK)
		rc = wait_for(h, -1, j, &done, e);
	if (rc == E_OK && j->rc != E_OK)
		rc = err_set(e, (enum errcode)j->rc, "%s", j->err.text);
	return rc;
}

uint64_t http_received(const struct http *h)
{
	uint64_t n = h->received;
	for (unsigned i = 0; i < h->limit; i++) {
		curl_off_t wire = 0;
		if (h->running[i].j)
			curl_easy_getinfo(h->running[i].curl, CURLINFO_SIZE_DOWNLOAD_T, &wire);
		n += (uint64_t)wire;
	}
	return n;
}

void http_set_rate(struct http *h, uint64_t bytes_per_second)
{
	h->rate = bytes_per_second;
	h->account = 0;
	h->paid = time_monotonic_ms();
}

void http_look_at_refused(struct http *h, const char *url, struct http_look *out)
{
	struct http_job j = {.url = url, .ours = false};
	struct running r = {.h = h, .j = &j, .curl = curl_easy_init()};
	*out = h->look;
	if (!r.curl)
		return;
	set_transport(&r);
	curl_easy_setopt(r.curl, CURLOPT_URL, url);
	curl_easy_setopt(r.curl, CURLOPT_CONNECT_ONLY, 1L);
	curl_easy_setopt(r.curl, CURLOPT_TIMEOUT, MIN((long)CONNECT_SECONDS, h->timeout));
	curl_easy_setopt(r.curl, CURLOPT_CERTINFO, 1L);
	curl_easy_setopt(r.curl, CURLOPT_SSL_VERIFYPEER, 0L);
	curl_easy_setopt(r.curl, CURLOPT_SSL_VERIFYHOST, 0L);
	if (curl_easy_perform(r.curl) == CURLE_OK)
		keep_chain(r.curl, out);
	curl_easy_cleanup(r.curl);
}

/* ---- open and close ---- */

static char *keep(struct slice s)
{
	return alloc_should_fail() ? NULL : strndup(s.p ? s.p : "", s.n);
}

static int check_microsoft(const struct settings *set, struct err *e)
{
	if (set->upstream_kind != UPSTREAM_MICROSOFT)
		return E_OK;
	if (!text_starts(set->upstream_url, SL("https://")))
		return err_set(e, E_REFUSED, "upstream.url: with upstream.kind = microsoft it must begin with https://; wsusctl upstream set microsoft");
	if (set->upstream_ca.n == 0)
		return err_set(e, E_REFUSED, "upstream.ca: Microsoft's own servers are judged by \"" MICROSOFT_CA_NAME "\", which this system does "
			"not have: " MICROSOFT_CA_COMMAND(MICROSOFT_CA_FILE) " and name that file with upstream.ca, " MICROSOFT_CA_PRINT
			" with upstream.ca-fingerprint");
	return E_OK;
}

static int take_files(struct http *h, const struct settings *set, struct err *e)
{
	int rc = check_microsoft(set, e);
	if (rc == E_OK && set->upstream_ca_print.n && set->upstream_ca.n == 0)
		rc = err_set(e, E_REFUSED, "upstream.ca-fingerprint says what upstream.ca must hold, which names no file");
	if (rc == E_OK && set->upstream_ca.n)
		rc = credential_ca(set->upstream_ca, set->upstream_ca_print, &h->ca, e);
	if (rc == E_OK && set->upstream_login.n)
		rc = credential_login("upstream.login", set->upstream_login, &h->login, e);
	if (rc == E_OK && set->upstream_proxy_login.n)
		rc = credential_login("upstream.proxy-login", set->upstream_proxy_login, &h->proxy_login, e);
	if (rc == E_OK && set->upstream_key.n && set->upstream_certificate.n == 0)
		rc = err_set(e, E_REFUSED, "upstream.key is of no use without upstream.certificate");
	if (rc == E_OK && set->upstream_certificate.n)
		rc = credential_key(set->upstream_key.n ? "upstream.key" : "upstream.certificate",
			set->upstream_key.n ? set->upstream_key : set->upstream_certificate, e);
	return rc;
}

static int take_settings(struct http *h, const struct settings *set, struct err *e)
{
	h->base = keep(set->upstream_url);
	h->proxy = keep(set->upstream_proxy);
	h->pin = keep(set->upstream_pin);
	h->certificate = keep(set->upstream_certificate);
	h->key = keep(set->upstream_key);
	h->timeout = set->upstream_timeout > 0 ? set->upstream_timeout : 120;
	http_set_rate(h, (uint64_t)MAX(set->upstream_rate, 0) * 1000);
	h->limit = (unsigned)MIN(MAX(set->upstream_connections, 1), CONNECTIONS_MAX);
	h->multi = curl_multi_init();
	if (!h->base || !h->proxy || !h->pin || !h->certificate || !h->key || !h->multi)
		return err_set(e, E_NOMEM, "libcurl cannot start");
	curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_MAX);
	return take_files(h, set, e);
}

int http_open(struct http **out, const struct settings *set, struct err *e)
{
	*out = NULL;
	open_wake();
	signal(SIGPIPE, SIG_IGN); /* libcurl does not when it is to leave signals alone; OpenSSL writes to closed connections */
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_set(e, E_NOMEM, "libcurl cannot start");
	struct http *h = calloc(1, sizeof(*h));
	if (!h) {
		curl_global_cleanup();
		return err_set(e, E_NOMEM, "libcurl cannot start");
	}
	buf_init(&h->ca, CREDENTIAL_FILE);
	int rc = take_settings(h, set, e);
	if (rc != E_OK)
		http_close(&h);
	*out = h;
	return rc;
}

void http_close(struct http **h)
{
	struct http *p = *h;
	if (!p)
		return;
	drop_all(p);
	while (p->nidle > 0)
		curl_easy_cleanup(p->idle[--p->nidle]);
	if (p->multi)
		curl_multi_cleanup(p->multi);
	buf_free(&p->ca);
	credential_login_free(&p->login);
	credential_login_free(&p->proxy_login);
	free(p->base);
	free(p->proxy);
	free(p->pin);
	free(p->certificate);
	free(p->key);
	free(p);
	*h = NULL;
	curl_global_cleanup();
}
