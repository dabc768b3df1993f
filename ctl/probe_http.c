/* probe_http.c -- one kept connection to the server under test, by libcurl.
 *
 * Sends the headers of a native client under a name of our own, asks for xpress as it does, and decodes
 * that.  Never follows a redirect: native clients do not. */
#include "ctl/probe.h"

#include <stdlib.h>

#include <curl/curl.h>

#include "common/http_hint.h"
#include "common/limits.h"
#include "common/text.h"
#include "common/xpress.h"

struct probe_http {
	CURL *curl;
	struct probe_http_options o;
	struct buf raw;
	struct buf certificates;
	char words[CURL_ERROR_SIZE];
	struct probe_reply *reply; /* of the running request */
};

/* ---- what to look at ---- */
static const struct {
	int code;
	const char *text;
} curl_hint[] = {
	{CURLE_COULDNT_CONNECT, "is the service running, and is this its port?"},
	{CURLE_COULDNT_RESOLVE_HOST, "is the host's name right, and does DNS or /etc/hosts know it?"},
	{CURLE_OPERATION_TIMEDOUT, "no answer in time: look at the server's log and load"},
	{CURLE_PEER_FAILED_VERIFICATION,
		"the server's certificate is not trusted here: give its authority with --ca FILE (or --insecure to look no further)"},
	{CURLE_SSL_CACERT_BADFILE, "the file given with --ca cannot be read as PEM certificates"},
	{CURLE_SSL_CONNECT_ERROR, "the TLS handshake failed: does this port speak TLS? (8530 is usually plain http, 8531 https)"},
	{CURLE_GOT_NOTHING, "the server closed the connection: is this an https port asked with http?"},
	{CURLE_RECV_ERROR, "the connection broke: look at the server's error log"},
	{CURLE_SEND_ERROR, "the connection broke: look at the server's error log"},
	{CURLE_WRITE_ERROR, "the answer is larger than any sane one"},
	{CURLE_URL_MALFORMAT, "the URL makes no sense; it should look like http://server:8530"},
	{CURLE_UNSUPPORTED_PROTOCOL, "the URL must begin with http:// or https://"},
};
static const struct {
	int status;
	const char *text;
} status_hint[] = {
	{301, "the server redirects; native clients do not follow: use the address it names"},
	{302, "the server redirects; native clients do not follow: use the address it names"},
	{400, "the server did not accept the request's form"},
	{401, "the server wants authentication, which clients do not have: open this path"},
	{403, "the server refuses this path: look at its access rules"},
	{404, "nothing at this path: is this an update server, and is the path right?"},
	{405, "the path is there but takes no POST: is the service behind it configured?"},
	{413, "the request is too large for the front server: raise its body limit"},
	{416, "the file is shorter than its metadata says"},
	{500, "the service failed: look at its log"},
	{502, "the front server does not reach the service: is it running?"},
	{503, "the service is overloaded or stopped"},
	{504, "the service did not answer the front server in time"},
};

static const char *hint_of_curl(CURL *curl, CURLcode code)
{
	long verdict = 0;
	curl_easy_getinfo(curl, CURLINFO_SSL_VERIFYRESULT, &verdict);
	if (code == CURLE_PEER_FAILED_VERIFICATION && certificate_hint(verdict))
		return certificate_hint(verdict);
	for (size_t i = 0; i < COUNTOF(curl_hint); i++)
		if (curl_hint[i].code == (int)code)
			return curl_hint[i].text;
	return "see the words before";
}

const char *probe_http_hint(int status)
{
	for (size_t i = 0; i < COUNTOF(status_hint); i++)
		if (status_hint[i].status == status)
			return status_hint[i].text;
	return "an unexpected status";
}

/* ---- one request ---- */
static size_t take_body(char *p, size_t size, size_t n, void *arg)
{
	struct probe_http *h = arg;
	buf_add(&h->raw, p, size * n);
	return h->raw.rc == E_OK ? size * n : 0;
}

static void take_value(struct slice value, char *to, size_t room)
{
	value = text_trim(value);
	snprintf(to, room, "%.*s", (int)MIN(value.n, room - 1), value.p ? value.p : "");
}

static size_t take_header(char *p, size_t size, size_t n, void *arg)
{
	struct probe_http *h = arg;
	struct slice value = {p, size * n}, name = text_cut(&value, ':');
	if (text_ieq(name, SL("content-encoding")))
		take_value(value, h->reply->coding, sizeof(h->reply->coding));
	else if (text_ieq(name, SL("content-range")))
		take_value(value, h->reply->range, sizeof(h->reply->range));
	return size * n;
}

static int decode(struct probe_http *h, struct probe_reply *r, struct err *e)
{
	struct slice coding = slice_of(r->coding);
	r->wire = h->raw.n;
	if (coding.n == 0 || text_ieq(coding, SL("identity"))) {
		buf_slice(&r->body, buf_bytes(&h->raw));
		return r->body.rc;
	}
	if (!text_ieq(coding, SL("xpress")) || h->o.plain)
		return err_set(e, E_FORM, "Content-Encoding \"%s\" was not asked for", r->coding);
	int rc = xpress_unpack(buf_bytes(&h->raw), &r->body);
	return rc == E_OK ? rc : err_set(e, E_FORM, "the answer is not well-formed xpress");
}

/* Those of the first connection: a request over a kept one brings none. */
static void keep_certificates(struct probe_http *h, CURL *curl)
{
	struct curl_certinfo *info = NULL;
	if (h->certificates.n > 0 || curl_easy_getinfo(curl, CURLINFO_CERTINFO, &info) != CURLE_OK || !info)
		return;
	for (int i = 0; i < info->num_of_certs; i++)
		for (struct curl_slist *l = info->certinfo[i]; l; l = l->next)
			if (text_starts(slice_of(l->data), SL("Cert:")))
				buf_str(&h->certificates, l->data + sizeof("Cert:") - 1);
}

/* libcurl keeps nothing of a certificate that it refuses: a connection of its own, over which nothing is sent, shows which
 * one that was. */
static void look_at_refused(struct probe_http *h, const char *url)
{
	CURL *c = curl_easy_init();
	if (!c)
		return;
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_CONNECT_ONLY, 1L);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_TIMEOUT, h->o.timeout);
	curl_easy_setopt(c, CURLOPT_CERTINFO, 1L);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 0L);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L);
	if (curl_easy_perform(c) == CURLE_OK)
		keep_certificates(h, c);
	curl_easy_cleanup(c);
}

static int perform(struct probe_http *h, const char *url, struct curl_slist *headers, struct probe_reply *r,
	struct err *e)
{
	long status = 0;
	buf_reset(&h->raw);
	buf_reset(&r->body);
	r->status = 0;
	r->coding[0] = r->range[0] = h->words[0] = '\0';
	h->reply = r;
	curl_easy_setopt(h->curl, CURLOPT_URL, url);
	curl_easy_setopt(h->curl, CURLOPT_HTTPHEADER, headers);
	CURLcode code = curl_easy_perform(h->curl);
	curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &status);
	r->status = (int)status;
	keep_certificates(h, h->curl);
	if (code == CURLE_PEER_FAILED_VERIFICATION)
		look_at_refused(h, url);
	if (code != CURLE_OK)
		return err_set(e, E_IO, "%s: %s; %s", url, h->words[0] ? h->words : curl_easy_strerror(code),
			hint_of_curl(h->curl, code));
	int rc = decode(h, r, e);
	return err_at(e, rc, "%s: ", url);
}

static bool add_header(struct curl_slist **list, const char *text)
{
	struct curl_slist *more = curl_slist_append(*list, text);
	*list = more ? more : *list;
	return more != NULL;
}

static bool post_headers(struct probe_http *h, const char *type, const char *action, struct curl_slist **list)
{
	char line[512];
	bool ok = add_header(list, "Cache-Control: no-cache") && add_header(list, "Connection: Keep-Alive") &&
		add_header(list, "Pragma: no-cache");
	snprintf(line, sizeof(line), "Content-Type: %s", type);
	ok = ok && add_header(list, line);
	if (!h->o.plain)
		ok = ok && add_header(list, "Accept-Encoding: xpress");
	snprintf(line, sizeof(line), "SOAPAction: \"%s\"", action);
	return ok && (!action[0] || add_header(list, line)) && add_header(list, "Accept:") && add_header(list, "Expect:");
}

int probe_http_post(struct probe_http *h, const char *url, const char *type, const char *action, struct slice body,
	struct probe_reply *r, struct err *e)
{
	struct curl_slist *list = NULL;
	int rc = err_set(e, E_NOMEM, "out of memory");
	if (post_headers(h, type, action, &list)) {
		curl_easy_setopt(h->curl, CURLOPT_POST, 1L);
		curl_easy_setopt(h->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
		curl_easy_setopt(h->curl, CURLOPT_POSTFIELDS, body.p);
		rc = perform(h, url, list, r, e);
	}
	curl_slist_free_all(list);
	return rc;
}

int probe_http_range(struct probe_http *h, const char *url, uint64_t first, uint64_t last, struct probe_reply *r,
	struct err *e)
{
	struct curl_slist *list = NULL;
	char line[80];
	int rc = err_set(e, E_NOMEM, "out of memory");
	snprintf(line, sizeof(line), "Range: bytes=%ju-%ju", (uintmax_t)first, (uintmax_t)last);
	if (add_header(&list, line)) {
		curl_easy_setopt(h->curl, CURLOPT_HTTPGET, 1L);
		rc = perform(h, url, list, r, e);
	}
	curl_slist_free_all(list);
	return rc;
}

struct slice probe_http_certificates(const struct probe_http *h)
{
	return h->certificates.rc == E_OK ? buf_bytes(&h->certificates) : SL("");
}

/* ---- open and close ---- */
static void set_options(struct probe_http *h)
{
	CURL *c = h->curl;
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, h->words);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, h);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, h);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "wsus-probe/" PROBE_VERSION);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, 15L);
	curl_easy_setopt(c, CURLOPT_TIMEOUT, h->o.timeout);
	curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_CERTINFO, 1L);
	curl_easy_setopt(c, CURLOPT_VERBOSE, h->o.verbose ? 1L : 0L);
	if (h->o.ca)
		curl_easy_setopt(c, CURLOPT_CAINFO, h->o.ca);
	if (h->o.insecure) {
		curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L);
	}
}

int probe_http_open(struct probe_http **out, const struct probe_http_options *o, struct err *e)
{
	struct probe_http *h = calloc(1, sizeof(*h));
	*out = NULL;
	if (!h || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || !(h->curl = curl_easy_init())) {
		free(h);
		return err_set(e, E_NOMEM, "libcurl cannot start");
	}
	h->o = *o;
	buf_init(&h->raw, LIMIT_REPLY);
	buf_init(&h->certificates, PROBE_CERTIFICATES);
	set_options(h);
	*out = h;
	return E_OK;
}

void probe_http_close(struct probe_http **h)
{
	if (!*h)
		return;
	curl_easy_cleanup((*h)->curl);
	buf_free(&(*h)->raw);
	buf_free(&(*h)->certificates);
	free(*h);
	*h = NULL;
	curl_global_cleanup();
}
