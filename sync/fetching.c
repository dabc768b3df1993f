/* fetching.c -- inside the content job: a round works through its list of items, up to upstream.connections at a time.
 *
 *   a slot is free: the next item that is due, or was not tried -> download.c -> outcome.c
 *
 * Questions to the parent are gathered: they wait until there are many, or there is no other work. */
#include <stdlib.h>

#include "sync/fetching.h"

#define FLUSH_MS 10000
#define NOTE_MS 2000           /* a file that takes longer is noted as being fetched */

/* ================= slots ================= */

static struct download *claim(struct job *j, uint32_t i)
{
	struct download *d = calloc(1, sizeof(*d));
	for (unsigned k = 0; d && k < SLOTS; k++) {
		if (j->slot[k])
			continue;
		j->slot[k] = d;
		d->item = i;
		d->began = time_monotonic_ms();
		if (j->busy++ == 0)
			j->busy_since = d->began;
		return d;
	}
	free(d);
	return NULL;
}

static void release(struct job *j, struct download *d)
{
	for (unsigned i = 0; i < SLOTS; i++)
		if (j->slot[i] == d)
			j->slot[i] = NULL;
	free(d);
	if (--j->busy == 0)
		j->busy_ms += time_monotonic_ms() - j->busy_since;
}

static int finish(struct job *j, struct download *d, struct err *e)
{
	int rc = outcome_of(j, d, e);
	release(j, d);
	return rc;
}

void fetching_stop(struct job *j)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		struct download *d = j->slot[i];
		if (!d)
			continue;
		http_stop(j->r.http, &d->job);
		download_close(d);
		release(j, d);
	}
}

/* ---- one that begins ---- */

/* Its record and address by value.  E_NOTFOUND: it is not needed any more. */
static int address(struct job *j, uint32_t i, struct file *f, char url[DOWNLOAD_URL], bool *has, struct err *e)
{
	const struct settings *set = &j->r.set;
	struct txn *t = NULL;
	int rc = item_file(j, i, &t, f, e);
	if (rc == E_OK && f->stored)
		rc = E_NOTFOUND;
	if (rc == E_OK && j->v[i].from == FROM_VENDOR)
		*has = download_vendor_url(f->mu_url, url);
	else if (rc == E_OK)
		*has = download_parent_url(set->upstream_content_url.n ? set->upstream_content_url : set->upstream_url, f, url);
	f->name = f->mu_url = f->key = SL0;
	txn_end(&t);
	return rc;
}

static int start_download(struct job *j, uint32_t i, const struct file *f, const char *url, struct err *e)
{
	struct download *d = claim(j, i);
	bool whole;
	if (!d)
		return err_set(e, E_NOMEM, "out of memory");
	memcpy(d->url, url, strlen(url) + 1);
	int rc = download_start(d, j->r.http, j->r.content, f, (enum download_from)j->v[i].from, &whole, e);
	if (rc != E_OK)
		release(j, d);
	return rc == E_OK && whole ? finish(j, d, e) : rc;
}

static int start(struct job *j, uint32_t i, struct err *e)
{
	struct file f;
	char url[DOWNLOAD_URL];
	struct err why = {0};
	bool has = false;
	int rc = address(j, i, &f, url, &has, e);
	if (rc == E_NOTFOUND) {
		j->done += j->v[i].need.size;
		return E_OK;
	}
	if (rc == E_OK && content_look(j->r.content, &f, &why) == E_OK) { /* placed by a run that was killed before it said so */
		content_part_drop(j->r.content, &f.digest);
		j->found++;
		return outcome_stored(j, i, e);
	}
	if (rc == E_OK && !has) {
		err_set(&why, E_NOTFOUND, "the server above has no content, and the vendor's address of the file is not known or none that is "
			"asked; `wsusctl content add` brings it, `wsusctl content url` says where it is");
		return outcome_failed(j, i, &why, e);
	}
	return rc == E_OK ? start_download(j, i, &f, url, e) : rc;
}

/* The next to try now; NONE.  One whose server has a pause keeps its place. */
static uint32_t pick(struct job *j)
{
	int64_t now = time_monotonic_ms();
	struct queue *q = queue_first_due(j);
	if (q && j->v[q->first].due <= now && j->source[j->v[q->first].from].until <= now)
		return queue_take(j, q);
	return j->fresh < j->n && j->source[j->v[j->fresh].from].until <= now ? j->fresh++ : NONE;
}

/* What a dead server has is left for the next run. */
static int start_some(struct job *j, struct err *e)
{
	int rc = E_OK;
	while (rc == E_OK && j->busy < j->limit && !http_cancelled()) {
		uint32_t i = pick(j);
		if (i == NONE)
			break;
		if (!j->source[j->v[i].from].dead)
			rc = start(j, i, e);
	}
	return rc;
}

/* ---- the parent is asked ---- */

static int ask(struct job *j, struct err *e)
{
	uint32_t item[ASK_MOST];
	struct sha1 digest[ASK_MOST] = {0};
	enum asked what[ASK_MOST];
	struct err why = {0};
	size_t n = 0;
	while (j->ask.n && n < ASK_MOST) {
		item[n] = queue_take(j, &j->ask);
		digest[n] = j->v[item[n]].need.digest;
		n++;
	}
	int rc = ask_parent(&j->r, digest, n, what, &j->spent, &why);
	if (rc != E_OK) {
		*e = why;
		return rc;
	}
	for (size_t i = 0; rc == E_OK && i < n; i++) {
		struct err words = why;
		rc = outcome_asked(j, item[i], what[i], &words, e);
	}
	return rc;
}

static bool other_work(const struct job *j)
{
	return j->fresh < j->n || j->busy > 0;
}

static bool ask_is_due(const struct job *j)
{
	if (j->ask.n == 0)
		return false;
	return j->ask.n >= ASK_MOST || !other_work(j) || time_monotonic_ms() - j->ask_since >= j->base;
}

/* ================= the loop ================= */

/* A file that is on its way for a while is noted as such (WSUSSS-DSS-CONTENT-13). */
static int note_slow(struct job *j, int64_t now, struct err *e)
{
	int rc = E_OK;
	for (unsigned i = 0; rc == E_OK && i < SLOTS; i++) {
		struct download *d = j->slot[i];
		if (!d || d->noted || now - d->began < NOTE_MS)
			continue;
		d->noted = true;
		rc = rows_note(j, &j->v[d->item].need.digest, FETCH_LOADING, false, "", e);
	}
	return rc;
}

static void show(struct job *j)
{
	uint64_t done = j->done;
	for (unsigned i = 0; i < SLOTS; i++)
		if (j->slot[i] && j->slot[i]->part)
			done += content_part_have(j->slot[i]->part);
	report_progress(j->r.report, UNIT_BYTES, MIN(done, j->total), j->total, http_received(j->r.http));
}

static int keep_up(struct job *j, struct err *e)
{
	int64_t now = time_monotonic_ms();
	int rc = note_slow(j, now, e);
	show(j);
	if (rc == E_OK && now - j->flushed >= FLUSH_MS)
		rc = rows_flush(j, e);
	return rc;
}

/* How long to wait at most: until something is due, or has to be shown. */
static int patience(struct job *j)
{
	struct queue *q = queue_first_due(j);
	int64_t wait = 500;
	if (q && j->busy < j->limit)
		wait = MIN(wait, MAX(j->v[q->first].due, j->source[j->v[q->first].from].until) - time_monotonic_ms());
	if (j->ask.n)
		wait = MIN(wait, j->ask_since + j->base - time_monotonic_ms());
	return (int)MAX(wait, 1);
}

static int wait_for_one(struct job *j, struct err *e)
{
	struct http_job *done = NULL;
	if (j->busy == 0) {
		int rc = http_sleep((unsigned)patience(j));
		return rc == E_CANCELLED ? err_set(e, rc, "%s", REPORT_CANCELLED) : rc;
	}
	int rc = http_wait(j->r.http, patience(j), &done, e);
	if (rc == E_BUSY)
		return E_OK;
	return rc == E_OK && done ? finish(j, done->arg, e) : rc;
}

/* What is left waits for a server that does not answer. */
static bool nothing_to_wait_for(const struct job *j)
{
	return j->busy == 0 && j->fresh == j->n && queue_waiting(j) == 0;
}

int fetching_work(struct job *j, struct err *e)
{
	int rc = E_OK;
	while (rc == E_OK) {
		rc = start_some(j, e);
		if (rc == E_OK && ask_is_due(j))
			rc = ask(j, e);
		if (rc != E_OK || nothing_to_wait_for(j))
			break;
		rc = wait_for_one(j, e);
		if (rc == E_OK)
			rc = keep_up(j, e);
	}
	return rc;
}
