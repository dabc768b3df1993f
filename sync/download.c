/* download.c -- see download.h. */
#include "sync/download.h"

#include <stdlib.h>

#include "common/text.h"

/* ================= addresses ================= */

bool download_parent_url(struct slice base, const struct file *f, char out[DOWNLOAD_URL])
{
	char hex[2 * sizeof(f->digest.b) + 1];
	struct slice ext = content_extension(f->name);
	while (base.n && base.p[base.n - 1] == '/')
		base.n--;
	hex_text(f->digest.b, sizeof(f->digest.b), true, hex);
	int n = snprintf(out, DOWNLOAD_URL, "%.*s/Content/%s/%s%s%.*s", SLF(base), hex + 38, hex, ext.n ? "." : "", SLF(ext));
	return base.n && n > 0 && n < DOWNLOAD_URL;
}

static bool is_plain(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~' || strchr("<>\"\\^`{|}", s.p[i]))
			return false;
	return true;
}

bool download_vendor_url(struct slice url, char out[DOWNLOAD_URL])
{
	struct slice scheme = {url.p, MIN(url.n, (size_t)8)}, s = url;
	size_t skip = text_ieq(scheme, SL("https://")) ? 8 : 7;
	scheme.n = MIN(url.n, skip);
	if (skip == 7 && !text_ieq(scheme, SL("http://")))
		return false;
	if (url.n >= DOWNLOAD_URL || !is_plain(url))
		return false;
	s = (struct slice){url.p + skip, url.n - skip};
	size_t host = 0;
	while (host < s.n && !strchr("/?#", s.p[host]))
		if (s.p[host++] == '@')
			return false;
	if (host == 0 || s.p[0] == ':')
		return false;
	snprintf(out, DOWNLOAD_URL, "%.*s", SLF(url));
	return true;
}

/* ================= an answer ================= */

/* Before its first byte: is it of this file, and does it go on where our part ends? */
static int begin(struct http_job *j, int status, uint64_t at, int64_t total, struct err *e)
{
	struct download *d = j->arg;
	d->answered = true;
	d->wrong = true; /* until all of it fits */
	if (status != 200 && status != 206)
		return err_set(e, E_FORM, "%s: an answer with status %d", j->url, status);
	if (total >= 0 && (uint64_t)total != d->size)
		return err_set(e, E_CORRUPT, "%s: a file of %lld bytes; the metadata says %llu", j->url, (long long)total,
			(unsigned long long)d->size);
	if (status == 206 && at != content_part_have(d->part))
		return err_set(e, E_CORRUPT, "%s: bytes from %llu on; asked for were those from %llu on", j->url, (unsigned long long)at,
			(unsigned long long)content_part_have(d->part));
	d->wrong = false;
	if (status == 206 || content_part_have(d->part) == 0)
		return E_OK;
	int rc = content_part_restart(d->part, e); /* no ranges there: all of it comes */
	d->before = 0;
	d->local = rc != E_OK;
	return rc;
}

static int take(struct http_job *j, struct slice bytes, struct err *e)
{
	struct download *d = j->arg;
	int rc = content_part_add(d->part, bytes, e);
	d->wrong |= rc == E_CORRUPT;
	d->local |= rc != E_OK && rc != E_CORRUPT;
	return rc;
}

int download_start(struct download *d, struct http *h, const char *dir, const struct file *f, enum download_from from, bool *whole,
	struct err *e)
{
	int rc = content_part_open(&d->part, dir, f, e);
	if (rc != E_OK)
		return rc;
	d->size = f->size;
	d->before = content_part_have(d->part);
	d->answered = d->wrong = d->local = d->noted = false;
	d->job = (struct http_job){.url = d->url, .ours = from == FROM_PARENT, .from = d->before, .begin = begin, .take = take, .arg = d,
		.max = f->size + 1, .retry_after = -1};
	*whole = d->before == d->size;
	if (*whole)
		return E_OK;
	rc = http_start(h, &d->job, e);
	if (rc != E_OK)
		content_part_close(&d->part);
	return rc;
}

void download_close(struct download *d)
{
	content_part_close(&d->part);
}

/* ================= what came of it ================= */

static int place(struct download *d, enum download_result *out, struct err *why)
{
	int rc = err_at(why, content_part_place(d->part, why), "%s: ", d->url);
	*out = rc == E_CORRUPT ? DOWNLOAD_WRONG : DOWNLOAD_PLACED;
	return rc == E_CORRUPT ? E_OK : rc;
}

static const struct {
	int status;
	enum download_result result;
	const char *words;
} statuses[] = {
	{404, DOWNLOAD_MISSING, "it has no such file"},
	{410, DOWNLOAD_MISSING, "it has no such file any more"},
	{401, DOWNLOAD_REFUSED, "it wants a login: name its file with upstream.login"},
	{403, DOWNLOAD_REFUSED, "it refuses: are this server's address and login admitted there?"},
	{407, DOWNLOAD_REFUSED, "the proxy wants a login: name its file with upstream.proxy-login"},
	{408, DOWNLOAD_AGAIN, "it waited too long"},
	{416, DOWNLOAD_AGAIN, "it has no such part of the file; it is asked for all of it"},
	{421, DOWNLOAD_AGAIN, "the connection leads to another server"},
	{425, DOWNLOAD_AGAIN, "it is not ready"},
	{429, DOWNLOAD_AGAIN, "it is asked too often"},
};

static void judge_status(const struct download *d, enum download_result *out, struct err *why)
{
	int status = d->job.status;
	for (size_t i = 0; i < COUNTOF(statuses); i++) {
		if (statuses[i].status != status)
			continue;
		*out = statuses[i].result;
		err_set(why, E_REFUSED, "%s: status %d: %s", d->url, status, statuses[i].words);
		return;
	}
	*out = status >= 500 ? DOWNLOAD_AGAIN : DOWNLOAD_REFUSED;
	err_set(why, E_REFUSED, "%s: status %d%s", d->url, status,
		status >= 500 ? ": the server has a trouble of its own" : status >= 300 && status < 400 ? ": redirects are not followed" : "");
}

/* All of an answer that we took came, or its connection ended before. */
static int judge_bytes(struct download *d, enum download_result *out, struct err *why)
{
	if (content_part_have(d->part) == d->size)
		return place(d, out, why);
	*out = DOWNLOAD_AGAIN;
	err_set(why, E_IO, "%s: the connection broke after %llu of %llu bytes", d->url, (unsigned long long)content_part_have(d->part),
		(unsigned long long)d->size);
	return E_OK;
}

static int judge_failed(struct download *d, enum download_result *out, struct err *why)
{
	*why = d->job.err;
	if (d->local || d->job.rc == E_NOMEM || d->job.rc == E_CANCELLED)
		return d->job.rc;
	if (d->wrong || d->job.rc == E_LIMIT || d->job.rc == E_FORM)
		*out = DOWNLOAD_WRONG;
	else
		*out = d->job.passing ? DOWNLOAD_AGAIN : DOWNLOAD_REFUSED;
	return *out == DOWNLOAD_WRONG ? content_part_restart(d->part, why) : E_OK;
}

static int judge(struct download *d, enum download_result *out, struct err *why)
{
	int status = d->job.status;
	if (content_part_have(d->part) == d->size && !d->wrong && !d->local)
		return place(d, out, why);
	if (d->job.rc != E_OK)
		return judge_failed(d, out, why);
	if (status >= 200 && status <= 299)
		return judge_bytes(d, out, why);
	judge_status(d, out, why);
	d->answered = *out != DOWNLOAD_AGAIN || status == 416;
	return status == 416 ? content_part_restart(d->part, why) : E_OK;
}

int download_finish(struct download *d, enum download_result *out, struct err *why)
{
	*why = (struct err){0};
	uint64_t have = content_part_have(d->part);
	d->gained = have > d->before ? have - d->before : 0;
	int rc = judge(d, out, why);
	download_close(d);
	return rc;
}
