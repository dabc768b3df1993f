/* content.c -- the job that fetches content files (MS-WSUSSS 3.2.4.4), at most one at a time.
 *
 *   lock -> rounds: plan (what is needed, due, and fits) -> work through it -> names and marks mended
 *
 * A round works through a list of items, up to upstream.connections at a time.  An item that has to wait stands in the queue of its
 * delay: all of a queue wait equally long, so the first is due first.  What ends without a file leaves a row that says why and when it
 * is tried again; what is placed is written and published in groups.  Nothing else is kept: a killed run leaves parts, which
 * the next goes on with, and files in place whose mark the next one makes.
 *
 * A file comes from the parent; if that has none it is asked to fetch it, and asked again for a while.  What it cannot provide comes from the
 * vendor's address, if there is one (WSUSSS-DSS-CONTENT-10); where the parent has none at all, at once (-06). */
#include "sync/content.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "common/job.h"
#include "common/text.h"
#include "store/content_names.h"
#include "store/need.h"
#include "sync/confine.h"
#include "sync/download.h"

#define MB 1000000u
#define SLOTS 16               /* of setting upstream.connections */
#define NONE UINT32_MAX
#define DELAY_MS 2000          /* before the second try; doubles */
#define LEVELS 6               /* 2 s ... 64 s */
#define TRIES 5                /* in one run, of what may pass: half a minute, and the time that they take */
#define ASKED_TRIES 8          /* of what the parent fetches: four minutes; longer while there is other work */
#define QUIET_AFTER 4          /* tries that came to nothing, one after the other: the server gets a pause, each twice as long, */
#define PAUSES 7               /* and is not there after so many: some four minutes */
#define PROGRESS 1000000u      /* bytes: a try that brought so much was none in vain */
#define FLUSH_MS 10000
#define NOTE_MS 2000           /* a file that takes longer is noted as being fetched */
#define AGAIN_FIRST (15 * 60 * TICKS_PER_SECOND)      /* between runs: 15 min, doubled to a day */
#define AGAIN_MOST (24 * 3600 * TICKS_PER_SECOND)
#define ASKED_MOST_WAIT (6 * 3600 * TICKS_PER_SECOND)
#define PLAN_MEMORY ((size_t)4 << 30) /* 80 bytes a file that is needed */
#define CHANGES 128            /* rows that wait to be written */
#define NAMES_DUE CONTENT_PARTIAL "/names-due"

struct item {
	struct needed need;
	int64_t due;  /* milliseconds of the monotonic clock */
	uint32_t next; /* in its queue */
	uint8_t tries, level;
	uint8_t from; /* enum download_from */
	bool asked;
};

struct queue {
	uint32_t first, last;
	uint32_t n;
};

struct change {
	struct sha1 digest;
	enum fetch_state state;
	bool failed; /* one more attempt that did */
	char why[300];
};

struct job {
	struct run r;
	const struct job_options *o;
	bool direct;           /* the parent has no content: the vendor's addresses alone */
	bool retry;            /* what is not due, too */
	/* ---- the round ---- */
	struct arena plan;
	struct item *v;
	uint32_t n, fresh;     /* v[fresh] is the next that was not tried */
	struct queue wait[LEVELS], ask;
	int64_t ask_since;
	struct ask_spent spent;
	struct download *slot[SLOTS];
	unsigned busy, limit;
	struct source {
		unsigned silent, pauses;
		int64_t until; /* it has a pause */
		bool dead;
	} source[2];           /* by enum download_from */
	uint64_t total, done, left_out, left_out_bytes;
	/* ---- all of them ---- */
	struct content_marks marks;
	bool folder[256], touched;
	struct change change[CHANGES];
	unsigned nchange;
	int64_t flushed, base;
	uint64_t placed, placed_bytes, found, failed, asked, wrong, received;
	int64_t busy_ms, busy_since;
	struct err first, last; /* what failed first, and what went wrong last, for the last line */
	char room[400];        /* why not all of it fits */
	bool warned;           /* of that */
};

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ================= queues ================= */

static void queue_add(struct job *j, struct queue *q, uint32_t i)
{
	j->v[i].next = NONE;
	if (q->n++ == 0)
		q->first = i;
	else
		j->v[q->last].next = i;
	q->last = i;
}

static uint32_t queue_take(struct job *j, struct queue *q)
{
	uint32_t i = q->first;
	q->first = j->v[i].next;
	q->n--;
	return i;
}

static void later(struct job *j, uint32_t i, unsigned level)
{
	struct item *it = &j->v[i];
	it->level = (uint8_t)MIN(level, LEVELS - 1u);
	it->due = now_ms() + (j->base << it->level);
	queue_add(j, &j->wait[it->level], i);
}

static uint32_t waiting(const struct job *j)
{
	uint32_t n = j->ask.n;
	for (unsigned i = 0; i < LEVELS; i++)
		n += j->wait[i].n;
	return n;
}

/* The queue whose head is due first; NULL: all are empty. */
static struct queue *first_due(struct job *j)
{
	struct queue *best = NULL;
	for (unsigned i = 0; i < LEVELS; i++)
		if (j->wait[i].n && (!best || j->v[j->wait[i].first].due < j->v[best->first].due))
			best = &j->wait[i];
	return best;
}

/* ================= what is kept of it ================= */

static tick_t next_attempt(const struct change *c, const struct fetch *row, tick_t now)
{
	tick_t wait = AGAIN_FIRST, most = c->state == FETCH_ASKED ? ASKED_MOST_WAIT : AGAIN_MOST;
	for (uint32_t i = 1; i < row->tries && wait < most; i++)
		wait *= 2;
	return now + MIN(wait, most);
}

static int write_change(struct txn *t, const struct change *c, tick_t now, struct err *e)
{
	struct fetch row;
	struct file f;
	int rc = file_get(t, &c->digest, &f, NULL);
	if (rc == E_NOTFOUND || (rc == E_OK && f.stored))
		return fetch_del(t, &c->digest, e);
	if (fetch_get(t, &c->digest, &row) != E_OK)
		row = (struct fetch){.digest = c->digest};
	row.tries += c->failed;
	row.state = c->state;
	row.at = now;
	row.next = c->state == FETCH_LOADING ? now : next_attempt(c, &row, now);
	if (c->state != FETCH_LOADING)
		row.why = slice_of(c->why);
	return fetch_put(t, &row, e);
}

static int write_changes(struct job *j, struct err *e)
{
	struct txn *t;
	if (j->nchange == 0)
		return E_OK;
	int rc = txn_begin(j->r.store, TXN_CATALOG, &t, e);
	for (unsigned i = 0; rc == E_OK && i < j->nchange; i++)
		rc = write_change(t, &j->change[i], time_now(), e);
	if (rc == E_OK)
		rc = txn_commit(&t, e);
	txn_end(&t);
	j->nchange = 0;
	return rc;
}

static int flush(struct job *j, struct err *e)
{
	int rc = content_mark_rest(&j->marks, e);
	j->flushed = now_ms();
	return rc == E_OK ? write_changes(j, e) : rc;
}

static int note(struct job *j, const struct sha1 *digest, enum fetch_state state, bool failed, const char *why, struct err *e)
{
	struct change *c = &j->change[j->nchange++];
	*c = (struct change){.digest = *digest, .state = state, .failed = failed};
	snprintf(c->why, sizeof(c->why), "%s", why);
	return j->nchange == CHANGES ? write_changes(j, e) : E_OK;
}

/* ================= what becomes of an item ================= */

static int fail(struct job *j, uint32_t i, const struct err *why, struct err *e)
{
	struct item *it = &j->v[i];
	j->failed++;
	if (!j->first.text[0])
		j->first = *why;
	j->done += it->need.size; /* nothing more comes of it in this round */
	return note(j, &it->need.digest, FETCH_FAILED, true, why->text, e);
}

static int file_of(struct job *j, uint32_t i, struct txn **t, struct file *f, struct err *e)
{
	int rc = txn_begin(j->r.store, TXN_READ, t, e);
	return rc == E_OK ? file_get(*t, &j->v[i].need.digest, f, e) : rc;
}

/* The parent has not got it, or nothing good: from the vendor, or not at all. */
static int turn_to_vendor(struct job *j, uint32_t i, const struct err *why, struct err *e)
{
	struct item *it = &j->v[i];
	struct txn *t = NULL;
	struct file f;
	char url[DOWNLOAD_URL];
	int rc = it->from == FROM_PARENT && !j->source[FROM_VENDOR].dead ? file_of(j, i, &t, &f, e) : E_NOTFOUND;
	bool has = rc == E_OK && download_vendor_url(f.mu_url, url);
	txn_end(&t);
	if (rc != E_OK && rc != E_NOTFOUND)
		return rc;
	if (!has)
		return fail(j, i, why, e);
	it->from = FROM_VENDOR;
	it->tries = 0;
	later(j, i, 0);
	return E_OK;
}

static bool other_work(const struct job *j)
{
	return j->fresh < j->n || j->busy > 0;
}

/* Asked for, and still not there: for a while that is what is to be expected (WSUSSS-DSS-CONTENT-08). */
static int wait_for_parent(struct job *j, uint32_t i, const struct err *why, struct err *e)
{
	struct item *it = &j->v[i];
	it->tries += it->tries < UINT8_MAX;
	if (it->tries < ASKED_TRIES || j->fresh < j->n || j->busy > 1) { /* one of the busy is this */
		later(j, i, it->tries);
		return E_OK;
	}
	struct txn *t = NULL;
	struct file f;
	char url[DOWNLOAD_URL];
	int rc = file_of(j, i, &t, &f, e);
	bool has = rc == E_OK && download_vendor_url(f.mu_url, url);
	txn_end(&t);
	if (has)
		return turn_to_vendor(j, i, why, e);
	j->asked++;
	j->done += it->need.size;
	return note(j, &it->need.digest, FETCH_ASKED, true, "the server above was asked to fetch it and has not got it yet", e);
}

static int missing(struct job *j, uint32_t i, const struct err *why, struct err *e)
{
	struct item *it = &j->v[i];
	if (it->from == FROM_VENDOR)
		return fail(j, i, why, e);
	if (it->asked)
		return wait_for_parent(j, i, why, e);
	if (j->ask.n == 0)
		j->ask_since = now_ms();
	queue_add(j, &j->ask, i);
	return E_OK;
}

static int again(struct job *j, uint32_t i, const struct err *why, struct err *e)
{
	struct item *it = &j->v[i];
	j->last = *why;
	it->tries += it->tries < UINT8_MAX;
	if (it->tries >= TRIES + (it->asked ? ASKED_TRIES : 0))
		return fail(j, i, why, e);
	later(j, i, it->tries - 1u);
	return E_OK;
}

static int stored(struct job *j, uint32_t i, struct err *e)
{
	const struct needed *n = &j->v[i].need;
	const struct file f = {.digest = n->digest, .size = n->size};
	j->folder[n->digest.b[sizeof(n->digest.b) - 1]] = j->touched = true;
	j->done += n->size;
	return content_mark(&j->marks, &f, e);
}

/* ---- a download that ended ---- */

static void count_silence(struct job *j, const struct download *d, enum download_result result)
{
	struct source *s = &j->source[j->v[d->item].from];
	int64_t now = now_ms();
	if (d->answered || result == DOWNLOAD_PLACED) {
		*s = (struct source){0};
		return;
	}
	if (++s->silent < QUIET_AFTER || now < s->until)
		return;
	s->until = now + (j->base << MIN(s->pauses, LEVELS - 1u));
	s->dead = s->pauses++ >= PAUSES;
}

static int judge(struct job *j, struct download *d, struct err *e)
{
	enum download_result result;
	struct err why;
	uint32_t i = d->item;
	uint64_t before = d->before;
	int rc = download_finish(d, &result, &why);
	if (rc != E_OK) {
		*e = why;
		return rc;
	}
	count_silence(j, d, result);
	switch (result) {
	case DOWNLOAD_PLACED:
		j->placed++;
		j->placed_bytes += d->size - MIN(before, d->size);
		return stored(j, i, e);
	case DOWNLOAD_MISSING:
		return missing(j, i, &why, e);
	case DOWNLOAD_AGAIN:
		if (d->gained >= PROGRESS)
			j->v[i].tries = 0;
		return again(j, i, &why, e);
	case DOWNLOAD_WRONG:
		j->wrong++; /* a server error: WSUSSS-DSS-CONTENT-11 */
		report_warn(j->r.report, "discarded: %s", why.text);
		return turn_to_vendor(j, i, &why, e);
	case DOWNLOAD_REFUSED:
		return turn_to_vendor(j, i, &why, e);
	}
	return E_OK;
}

static void release(struct job *j, struct download *d)
{
	for (unsigned i = 0; i < SLOTS; i++)
		if (j->slot[i] == d)
			j->slot[i] = NULL;
	free(d);
	if (--j->busy == 0)
		j->busy_ms += now_ms() - j->busy_since;
}

static int finish(struct job *j, struct download *d, struct err *e)
{
	int rc = judge(j, d, e);
	release(j, d);
	return rc;
}

/* ---- one that begins ---- */

static struct download *claim(struct job *j, uint32_t i)
{
	struct download *d = calloc(1, sizeof(*d));
	for (unsigned k = 0; d && k < SLOTS; k++) {
		if (j->slot[k])
			continue;
		j->slot[k] = d;
		d->item = i;
		d->began = now_ms();
		if (j->busy++ == 0)
			j->busy_since = d->began;
		return d;
	}
	free(d);
	return NULL;
}

/* Its record and address by value.  E_NOTFOUND: it is not needed any more. */
static int address(struct job *j, uint32_t i, struct file *f, char url[DOWNLOAD_URL], bool *has, struct err *e)
{
	const struct settings *set = &j->r.set;
	struct txn *t = NULL;
	int rc = file_of(j, i, &t, f, e);
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
		return stored(j, i, e);
	}
	if (rc == E_OK && !has) {
		err_set(&why, E_NOTFOUND, "the server above has no content, and the vendor's address of the file is not known or none that is "
			"asked; `wsusctl content add` brings it, `wsusctl content url` says where it is");
		return fail(j, i, &why, e);
	}
	return rc == E_OK ? start_download(j, i, &f, url, e) : rc;
}

/* The next to try now; NONE.  One whose server has a pause keeps its place. */
static uint32_t pick(struct job *j)
{
	int64_t now = now_ms();
	struct queue *q = first_due(j);
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

static int asked_one(struct job *j, uint32_t i, enum asked what, struct err *why, struct err *e)
{
	struct item *it = &j->v[i];
	if (what == ASKED_ACCEPTED) {
		it->asked = true;
		it->tries = 0;
		later(j, i, 0);
		return note(j, &it->need.digest, FETCH_ASKED, false, "the server above was asked to fetch it", e);
	}
	if (what == ASKED_UNKNOWN)
		err_set(why, E_FILE_DIGESTS_MISSING, "the server above does not have it and says that it knows no such file: it may have "
			"dropped the update; synchronize, or decline the update here, too");
	return turn_to_vendor(j, i, why, e);
}

static int ask(struct job *j, struct err *e)
{
	uint32_t item[ASK_MOST];
	struct sha1 digest[ASK_MOST];
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
		rc = asked_one(j, item[i], what[i], &words, e);
	}
	return rc;
}

static bool ask_is_due(const struct job *j)
{
	if (j->ask.n == 0)
		return false;
	return j->ask.n >= ASK_MOST || !other_work(j) || now_ms() - j->ask_since >= j->base;
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
		rc = note(j, &j->v[d->item].need.digest, FETCH_LOADING, false, "", e);
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
	int64_t now = now_ms();
	int rc = note_slow(j, now, e);
	show(j);
	if (rc == E_OK && now - j->flushed >= FLUSH_MS)
		rc = flush(j, e);
	return rc;
}

/* How long to wait at most: until something is due, or has to be shown. */
static int patience(struct job *j)
{
	struct queue *q = first_due(j);
	int64_t wait = 500;
	if (q && j->busy < j->limit)
		wait = MIN(wait, MAX(j->v[q->first].due, j->source[j->v[q->first].from].until) - now_ms());
	if (j->ask.n)
		wait = MIN(wait, j->ask_since + j->base - now_ms());
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
	return j->busy == 0 && j->fresh == j->n && waiting(j) == 0;
}

static int work(struct job *j, struct err *e)
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

static void close_slots(struct job *j)
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

/* ================= what is to be done ================= */

struct room {
	uint64_t bytes;   /* that may still come */
	const char *what; /* by which setting */
	uint64_t of;
};

static int add_stored(const struct file *f, void *arg)
{
	uint64_t *sum = arg;
	*sum += f->stored ? f->size : 0;
	return E_OK;
}

/* By the disk, or by the quota if that is less. */
static int find_room(struct job *j, struct txn *t, struct room *out, struct err *e)
{
	const struct settings *set = &j->r.set;
	struct statvfs v;
	uint64_t spare = (uint64_t)set->content_spare * MB, quota = (uint64_t)set->content_quota * MB, here = 0;
	if (statvfs(j->r.content, &v) != 0)
		return err_errno(e, "%s", j->r.content);
	uint64_t avail = (uint64_t)v.f_bavail * v.f_frsize;
	*out = (struct room){avail > spare ? avail - spare : 0, "content.spare", avail};
	int rc = quota ? file_each(t, add_stored, &here, e) : E_OK;
	if (quota && (quota > here ? quota - here : 0) < out->bytes)
		*out = (struct room){quota > here ? quota - here : 0, "content.quota", quota};
	return rc;
}

static bool is_due(const struct job *j, struct txn *t, const struct needed *n, tick_t now)
{
	struct fetch row;
	return j->retry || fetch_get(t, &n->digest, &row) != E_OK || row.state == FETCH_LOADING || row.next <= now;
}

static void add_item(struct job *j, const struct needed *n)
{
	j->v[j->n++] = (struct item){.need = *n, .from = j->direct ? FROM_VENDOR : FROM_PARENT};
	j->total += n->size;
}

/* Those that are due and fit, in their order: what is approved and small goes first. */
static void choose(struct job *j, struct txn *t, const struct needs *needs, struct room room)
{
	tick_t now = time_now();
	for (size_t i = 0; i < needs->n; i++) {
		const struct needed *n = &needs->v[i];
		if (!is_due(j, t, n, now))
			continue;
		uint64_t rest = n->size - MIN(content_part_size(j->r.content, &n->digest), n->size);
		if (rest > room.bytes) {
			j->left_out++;
			j->left_out_bytes += rest;
			continue;
		}
		room.bytes -= rest;
		add_item(j, n);
	}
}

static void say_room(struct job *j, const struct room *room)
{
	char lack[SIZE_TEXT + 1], of[SIZE_TEXT + 1];
	if (j->left_out == 0)
		return;
	size_text(j->left_out_bytes, lack);
	size_text(room->of, of);
	bool quota = strcmp(room->what, "content.quota") == 0;
	snprintf(j->room, sizeof(j->room), quota ? "%llu file%s, %s, beyond content.quota (%s): raise it with `wsusctl config set "
		"content.quota MB`, or decline updates that nobody needs and remove their files"
		: "%llu file%s, %s, too much for the disk (%s are free, of which content.spare stays free): enlarge the disk of the content "
		"directory, or decline updates that nobody needs and remove their files", (unsigned long long)j->left_out, j->left_out == 1 ? "" : "s", lack, of);
	if (!j->warned)
		report_warn(j->r.report, "%s", j->room);
	j->warned = true;
}

/* Parts of files that nobody needs any more. */
struct sweep {
	struct job *j;
	const struct needs *needs;
};

static int sweep_one(const struct sha1 *digest, uint64_t size, void *arg)
{
	struct sweep *s = arg;
	(void)size;
	for (size_t i = 0; i < s->needs->n; i++)
		if (memcmp(&s->needs->v[i].digest, digest, sizeof(*digest)) == 0)
			return E_OK;
	content_part_drop(s->j->r.content, digest);
	return E_OK;
}

static int make_plan(struct job *j, struct txn *t, struct err *e)
{
	struct needs needs;
	struct room room = {.what = ""};
	struct sweep sweep = {j, &needs};
	int rc = needs_get(t, &j->plan, &needs, e);
	if (rc == E_OK && needs.n >= NONE)
		rc = err_set(e, E_LIMIT, "more than four billion files are needed");
	if (rc == E_OK)
		rc = content_parts_each(j->r.content, sweep_one, &sweep, e);
	if (rc == E_OK)
		rc = find_room(j, t, &room, e);
	if (rc == E_OK && !(j->v = ARENA_ARRAY(&j->plan, struct item, needs.n)))
		rc = err_set(e, E_NOMEM, "out of memory for the list of %zu files", needs.n);
	if (rc != E_OK)
		return rc;
	choose(j, t, &needs, room);
	say_room(j, &room);
	return E_OK;
}

static int plan(struct job *j, struct err *e)
{
	struct txn *t;
	arena_reset(&j->plan);
	j->n = j->fresh = 0;
	j->total = j->done = j->left_out = j->left_out_bytes = 0;
	j->room[0] = '\0';
	int rc = txn_begin(j->r.store, TXN_READ, &t, e);
	if (rc == E_OK)
		rc = make_plan(j, t, e);
	txn_end(&t);
	return rc;
}

/* ================= rounds ================= */

static bool all_dead(const struct job *j)
{
	return j->source[j->direct ? FROM_VENDOR : FROM_PARENT].dead;
}

/* Approvals and wishes come while it works: it ends when a look finds nothing more that is due and fits. */
static int rounds(struct job *j, struct err *e)
{
	int rc = plan(j, e);
	if (j->n > 0 || !j->o->scheduled)
		report_phase(j->r.report, "content");
	while (rc == E_OK && j->n > 0 && !all_dead(j)) {
		rc = work(j, e);
		close_slots(j);
		struct err unused;
		int kept = flush(j, rc == E_OK ? e : &unused);
		if (rc == E_OK)
			rc = kept;
		j->retry = false;
		if (rc == E_OK)
			rc = plan(j, e);
	}
	return rc;
}

/* ---- names of downstream servers: what a killed run placed has none yet, so its folder is not known ---- */

static bool names_mark(struct job *j, bool make)
{
	char path[CONTENT_PATH];
	if (snprintf(path, sizeof(path), "%s/" NAMES_DUE, j->r.content) >= (int)sizeof(path))
		return false;
	if (!make)
		return unlink(path) == 0;
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void mend_names(struct job *j, bool all)
{
	struct name_report names;
	struct err e = {0};
	if ((j->touched || all) && content_names_mend(j->r.content, j->r.store, all ? NULL : j->folder, &names, &e) != E_OK)
		report_warn(j->r.report, "downstream servers that ask for files by name will not find all of them; `wsusctl content verify` "
			"tries again: %s", e.text);
	if (content_unwant(j->r.store, &e) != E_OK)
		report_warn(j->r.report, "files that downstream servers wanted stay marked: %s", e.text);
	names_mark(j, false);
}

static int make_folders(struct job *j, struct err *e)
{
	char path[CONTENT_PATH];
	snprintf(path, sizeof(path), "%s/" CONTENT_PARTIAL, j->r.content);
	if (content_make_folder(AT_FDCWD, j->r.content) != 0)
		return err_errno(e, "%s", j->r.content);
	return mkdir(path, 0700) == 0 || errno == EEXIST ? E_OK : err_errno(e, "%s", path);
}

static int64_t base_delay(void)
{
	const char *text = getenv("WSUS_SYNC_DELAY_MS");
	uint64_t n;
	return text && text_u64(slice_of(text), &n) && n > 0 && n < DELAY_MS ? (int64_t)n : DELAY_MS;
}

static int fetch_all(struct job *j, struct err *e)
{
	int rc = make_folders(j, e);
	if (rc != E_OK)
		return rc;
	bool left = !names_mark(j, true);
	j->direct = j->r.parent.catalog_only || j->r.set.upstream_kind == UPSTREAM_MICROSOFT;
	j->limit = (unsigned)MIN(MAX(j->r.set.upstream_connections, 1), SLOTS);
	j->base = base_delay();
	j->flushed = now_ms();
	j->marks = (struct content_marks){.store = j->r.store, .stored = true};
	j->retry = j->o->retry;
	content_sweep(j->r.content);
	rc = rounds(j, e);
	j->received = http_received(j->r.http);
	if (j->busy_ms > 0)
		content_rate_note(store_dir(j->r.store), j->received * 1000 / (uint64_t)j->busy_ms, j->received);
	mend_names(j, left);
	return rc;
}

/* ================= its end ================= */

static const char *count_text(char *to, size_t n, const struct job *j)
{
	char size[SIZE_TEXT + 1];
	size_text(j->placed_bytes, size);
	int at = snprintf(to, n, "%llu file%s fetched, %s", (unsigned long long)j->placed, j->placed == 1 ? "" : "s", size);
	if (j->found)
		at += snprintf(to + at, n - (size_t)at, ", %llu were here", (unsigned long long)j->found);
	if (j->asked)
		at += snprintf(to + at, n - (size_t)at, ", %llu asked of the server above", (unsigned long long)j->asked);
	if (j->failed)
		snprintf(to + at, n - (size_t)at, ", %llu failed", (unsigned long long)j->failed);
	return to;
}

/* A timer comes every few minutes: a log that says so each time hides the rest. */
static bool says_nothing(const struct job *j, int rc)
{
	return j->o->scheduled && rc == E_OK && j->placed + j->found + j->asked + j->failed == 0 && !j->room[0] && !all_dead(j);
}

static int end(struct job *j, int rc, const struct err *e)
{
	if (says_nothing(j, rc))
		return EXIT_DONE;
	char words[300], why[700];
	struct report *to = j->r.report;
	const char *summary = count_text(words, sizeof(words), j);
	if (rc == E_CANCELLED) {
		report_end(to, REPORT_CANCELLED, "run it again when you like: it goes on where it stopped", summary);
		return EXIT_CANCELLED;
	}
	if (rc != E_OK) {
		report_end(to, e->text, rc == E_FULL ? "make room on the disk of the content directory; the next run goes on where it stopped"
			: "`wsusctl content status` shows what is missing; the next run goes on where it stopped", summary);
		return EXIT_FAILED;
	}
	if (all_dead(j) || j->failed) {
		snprintf(why, sizeof(why), "%s%s", all_dead(j) ? "the server does not answer: "
			: "not all files could be fetched; the first: ", all_dead(j) ? j->last.text : j->first.text);
		report_end(to, why, "`wsusctl content status` lists them and when they are tried again; `wsusctl content fetch --retry` "
			"tries at once", summary);
		return EXIT_FAILED;
	}
	report_end(to, j->room[0] ? j->room : NULL, j->room[0] ? "`wsusctl content status` shows how much is needed" : NULL, summary);
	return j->room[0] ? EXIT_FAILED : EXIT_DONE;
}

static int nothing_above(struct job *j)
{
	if (j->o->scheduled)
		return EXIT_DONE;
	report_end(j->r.report, NULL, NULL, "nothing: there is no server above; `wsusctl upstream set URL` names it, `wsusctl content add` "
		"brings files by hand");
	return EXIT_DONE;
}

static int run_locked(struct job *j, struct err *e)
{
	int rc = run_connect(&j->r, e);
	arena_init(&j->plan, PLAN_MEMORY);
	if (rc == E_OK)
		rc = fetch_all(j, e);
	close_slots(j);
	arena_free(&j->plan);
	return end(j, http_cancelled() && rc != E_OK ? E_CANCELLED : rc, e);
}

static int run_job(struct job *j, struct err *e)
{
	struct job_lock lock;
	const char *unconfined;
	if (j->r.set.upstream_url.n == 0)
		return nothing_above(j);
	if (j->r.set.content_store == CONTENT_MICROSOFT) { /* WSUSSS-DSS-CONTENT-01 */
		if (!j->o->scheduled)
			report_end(j->r.report, NULL, NULL, "nothing: with content.store = microsoft no file is fetched");
		return EXIT_DONE;
	}
	int rc = job_lock(&lock, store_dir(j->r.store), JOB_CONTENT, e);
	if (rc == E_BUSY) {
		report_end(j->r.report, e->text, "nothing: whoever fetches looks for more before it ends", NULL);
		return EXIT_RUNS_ALREADY;
	}
	if (rc != E_OK)
		return end(j, rc, e);
	confine(store_dir(j->r.store), j->r.content, &unconfined);
	rc = run_locked(j, e);
	job_unlock(&lock);
	return rc;
}

int job_content(const struct job_options *o)
{
	struct job *j = calloc(1, sizeof(*j));
	struct err e = {0};
	int rc = E_NOMEM, status = EXIT_FAILED;
	if (j) {
		j->o = o;
		rc = run_open(&j->r, o, JOB_CONTENT, &e);
		j->r.visits = true;
	}
	if (rc == E_OK)
		status = run_job(j, &e);
	else if (j && j->r.report)
		report_end(j->r.report, e.text, rc == E_DAMAGED || rc == E_CORRUPT ? STORE_MENDS : NULL, NULL);
	else
		fprintf(stderr, "wsus-sync: %s\n", j ? e.text : "out of memory");
	if (j)
		run_close(&j->r);
	free(j);
	return status;
}
