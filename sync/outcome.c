/* outcome.c -- inside the content job: what becomes of an item.
 *
 * It has to wait: then it stands in the queue of its delay; all of a queue wait equally long, so the first is due first.  Or it
 * ends: what is placed is marked and published in groups, and what ends without a file leaves a row that says why and when it is
 * tried again; rows are written in groups, too.
 *
 * A file comes from the parent; if that has none it is asked to fetch it, and asked again for a while.  What it cannot provide
 * comes from the vendor's address, if there is one (WSUSSS-DSS-CONTENT-10). */
#include "common/text.h"
#include "sync/fetching.h"

#define TRIES 5                /* in one run, of what may pass: half a minute, and the time that they take */
#define ASKED_TRIES 8          /* of what the parent fetches: four minutes; longer while there is other work */
#define QUIET_AFTER 4          /* tries that came to nothing, one after the other: the server gets a pause, each twice as long, */
#define PAUSES 7               /* and is not there after so many: some four minutes */
#define PROGRESS 1000000u      /* bytes: a try that brought so much was none in vain */
#define AGAIN_FIRST (15 * 60 * TICKS_PER_SECOND)      /* between runs: 15 min, doubled to a day */
#define AGAIN_MOST (24 * 3600 * TICKS_PER_SECOND)
#define ASKED_MOST_WAIT (6 * 3600 * TICKS_PER_SECOND)

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

uint32_t queue_take(struct job *j, struct queue *q)
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
	it->due = time_monotonic_ms() + (j->base << it->level);
	queue_add(j, &j->wait[it->level], i);
}

uint32_t queue_waiting(const struct job *j)
{
	uint32_t n = j->ask.n;
	for (unsigned i = 0; i < LEVELS; i++)
		n += j->wait[i].n;
	return n;
}

/* The queue whose head is due first; NULL: all are empty. */
struct queue *queue_first_due(struct job *j)
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

int rows_flush(struct job *j, struct err *e)
{
	int rc = content_mark_rest(&j->marks, e);
	j->flushed = time_monotonic_ms();
	return rc == E_OK ? write_changes(j, e) : rc;
}

int rows_note(struct job *j, const struct sha1 *digest, enum fetch_state state, bool failed, const char *why, struct err *e)
{
	struct change *c = &j->change[j->nchange++];
	*c = (struct change){.digest = *digest, .state = state, .failed = failed};
	snprintf(c->why, sizeof(c->why), "%s", why);
	return j->nchange == CHANGES ? write_changes(j, e) : E_OK;
}

/* ================= what becomes of an item ================= */

int outcome_failed(struct job *j, uint32_t i, const struct err *why, struct err *e)
{
	struct item *it = &j->v[i];
	j->failed++;
	if (!j->first.text[0])
		j->first = *why;
	j->done += it->need.size; /* nothing more comes of it in this round */
	return rows_note(j, &it->need.digest, FETCH_FAILED, true, why->text, e);
}

int item_file(struct job *j, uint32_t i, struct txn **t, struct file *f, struct err *e)
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
	int rc = it->from == FROM_PARENT && !j->source[FROM_VENDOR].dead ? item_file(j, i, &t, &f, e) : E_NOTFOUND;
	bool has = rc == E_OK && download_vendor_url(f.mu_url, url);
	txn_end(&t);
	if (rc != E_OK && rc != E_NOTFOUND)
		return rc;
	if (!has)
		return outcome_failed(j, i, why, e);
	it->from = FROM_VENDOR;
	it->tries = 0;
	later(j, i, 0);
	return E_OK;
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
	int rc = item_file(j, i, &t, &f, e);
	bool has = rc == E_OK && download_vendor_url(f.mu_url, url);
	txn_end(&t);
	if (has)
		return turn_to_vendor(j, i, why, e);
	j->asked++;
	j->done += it->need.size;
	return rows_note(j, &it->need.digest, FETCH_ASKED, true, "the server above was asked to fetch it and has not got it yet", e);
}

static int missing(struct job *j, uint32_t i, const struct err *why, struct err *e)
{
	struct item *it = &j->v[i];
	if (it->from == FROM_VENDOR)
		return outcome_failed(j, i, why, e);
	if (it->asked)
		return wait_for_parent(j, i, why, e);
	if (j->ask.n == 0)
		j->ask_since = time_monotonic_ms();
	queue_add(j, &j->ask, i);
	return E_OK;
}

static int again(struct job *j, uint32_t i, const struct err *why, struct err *e)
{
	struct item *it = &j->v[i];
	j->last = *why;
	it->tries += it->tries < UINT8_MAX;
	if (it->tries >= TRIES + (it->asked ? ASKED_TRIES : 0))
		return outcome_failed(j, i, why, e);
	later(j, i, it->tries - 1u);
	return E_OK;
}

int outcome_stored(struct job *j, uint32_t i, struct err *e)
{
	const struct needed *n = &j->v[i].need;
	const struct file f = {.digest = n->digest, .size = n->size};
	j->folder[n->digest.b[sizeof(n->digest.b) - 1]] = j->touched = true;
	j->done += n->size;
	return content_mark(&j->marks, &f, e);
}

/* ---- the parent was asked ---- */

int outcome_asked(struct job *j, uint32_t i, enum asked what, struct err *why, struct err *e)
{
	struct item *it = &j->v[i];
	if (what == ASKED_ACCEPTED) {
		it->asked = true;
		it->tries = 0;
		later(j, i, 0);
		return rows_note(j, &it->need.digest, FETCH_ASKED, false, "the server above was asked to fetch it", e);
	}
	if (what == ASKED_UNKNOWN)
		err_set(why, E_FILE_DIGESTS_MISSING, "the server above does not have it and says that it knows no such file: it may have "
			"dropped the update; synchronize, or decline the update here, too");
	return turn_to_vendor(j, i, why, e);
}

/* ---- a download that ended ---- */

static void count_silence(struct job *j, const struct download *d, enum download_result result)
{
	struct source *s = &j->source[j->v[d->item].from];
	int64_t now = time_monotonic_ms();
	if (d->answered || result == DOWNLOAD_PLACED) {
		*s = (struct source){0};
		return;
	}
	if (++s->silent < QUIET_AFTER || now < s->until)
		return;
	s->until = now + (j->base << MIN(s->pauses, LEVELS - 1u));
	s->dead = s->pauses++ >= PAUSES;
}

int outcome_of(struct job *j, struct download *d, struct err *e)
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
		return outcome_stored(j, i, e);
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
