/* update_status.c -- the status of each update on a computer: one record (fleet/).
 *
 *	v1 | n be32, times be16, failures be16
 *	n times      UpdateNo << 4 | hidden << 3 | status, be32     ascending: one is found without a look at the others
 *	n times      index of its time, be16                        most of them are of one and the same scan
 *	times times  tick be64
 *	failures     UpdateNo be32, tick be64, HRESULT be32, event id be16     ascending
 *
 * Rows have a status from NOT_APPLICABLE on: that nothing is known of any update follows from the computer's standing. */
#include "store/update_status.h"

#include <stdlib.h>

enum { HEADER = 1 + 4 + 2 + 2, ROW = 4, WHEN = 2, TIME = 8, FAILURE = 4 + 8 + 4 + 2 };
#define STATUS_BYTES (HEADER + LIMIT_STATUS_ROWS * (ROW + WHEN + TIME) + LIMIT_FAILURES * FAILURE)
#define HIDDEN 8u

struct view { /* of a record, as it lies in the map */
	uint32_t n;
	unsigned times, failures;
	const char *row, *when, *time, *failure;
};

/* ================= reading ================= */

static int view_of(struct slice v, struct view *out)
{
	struct rec r = rec_of(v, 1);
	*out = (struct view){.n = rec_u32(&r), .times = rec_u16(&r), .failures = rec_u16(&r)};
	if (out->n > LIMIT_STATUS_ROWS || out->failures > LIMIT_FAILURES ||
		rec_left(&r) != out->n * (size_t)(ROW + WHEN) + out->times * (size_t)TIME + out->failures * (size_t)FAILURE || r.bad)
		return E_CORRUPT;
	out->row = v.p + HEADER;
	out->when = out->row + out->n * (size_t)ROW;
	out->time = out->when + out->n * (size_t)WHEN;
	out->failure = out->time + out->times * (size_t)TIME;
	return E_OK;
}

/* E_NOTFOUND: the computer has none. */
static int view_get(struct txn *t, struct slice key, struct view *out)
{
	struct slice v;
	*out = (struct view){0};
	int rc = db_get(t, DB_STATUS, key, &v);
	return rc == E_OK ? view_of(v, out) : rc;
}

static uint32_t number_at(const struct view *v, uint32_t i)
{
	return get_be32(v->row + i * (size_t)ROW) >> 4;
}

static uint32_t failure_of(const struct view *v, unsigned i)
{
	return get_be32(v->failure + i * (size_t)FAILURE);
}

/* Without its failure. */
static int row_at(const struct view *v, uint32_t i, struct status_row *out)
{
	uint32_t bits = get_be32(v->row + i * (size_t)ROW);
	unsigned when = get_be16(v->when + i * (size_t)WHEN), status = bits & 7;
	if (when >= v->times || status == STATUS_UNKNOWN || status >= STATUS__N)
		return E_CORRUPT;
	*out = (struct status_row){.update_no = bits >> 4, .status = status, .hidden = bits & HIDDEN};
	out->at = (tick_t)get_be64(v->time + when * (size_t)TIME);
	return E_OK;
}

static void failure_at(const struct view *v, unsigned i, struct status_row *out)
{
	const char *p = v->failure + i * (size_t)FAILURE;
	out->failed_at = (tick_t)get_be64(p + 4);
	out->hresult = (int32_t)get_be32(p + 12);
	out->event = (int16_t)get_be16(p + 16);
}

/* Walks the rows; the failures, in the same order, beside them. */
struct walk {
	struct view v;
	uint32_t i;
	unsigned failure;
};

static int walk_next(struct walk *w, struct status_row *out)
{
	int rc = row_at(&w->v, w->i++, out);
	while (rc == E_OK && w->failure < w->v.failures && failure_of(&w->v, w->failure) < out->update_no)
		w->failure++;
	if (rc == E_OK && w->failure < w->v.failures && failure_of(&w->v, w->failure) == out->update_no)
		failure_at(&w->v, w->failure, out);
	return rc;
}

/* A computer that sent no list told nothing of what is not applicable: it may be hidden all the same. */
static bool sent_list(struct txn *t, struct slice key)
{
	struct standing s;
	return standing_get(t, key, &s) == E_OK && s.status_at != 0;
}

int status_each(struct txn *t, struct slice computer, int (*fn)(const struct status_row *, void *), void *arg, struct err *e)
{
	struct computer_key k;
	struct walk w = {.i = 0};
	if (!computer_key(&k, computer))
		return E_OK;
	int rc = view_get(t, k.s, &w.v);
	if (rc == E_NOTFOUND)
		return E_OK;
	enum update_status unlisted = sent_list(t, k.s) ? STATUS_NOT_APPLICABLE : STATUS_UNKNOWN;
	while (rc == E_OK && w.i < w.v.n) {
		struct status_row row;
		rc = walk_next(&w, &row);
		if (rc != E_OK)
			break;
		if (row.status == STATUS_NOT_APPLICABLE)
			row.status = unlisted;
		int stop = fn(&row, arg);
		if (stop != 0)
			return stop;
	}
	return rc == E_OK ? rc : err_set(e, (enum errcode)rc, "the statuses of computer %.*s: %s", SLF(k.s), err_name(rc));
}

static bool find_row(const struct view *v, uint32_t no, uint32_t *at)
{
	uint32_t low = 0, high = v->n;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (number_at(v, middle) < no)
			low = middle + 1;
		else
			high = middle;
	}
	*at = low;
	return low < v->n && number_at(v, low) == no;
}

static void find_failure(const struct view *v, struct status_row *out)
{
	for (unsigned i = 0; i < v->failures; i++)
		if (failure_of(v, i) == out->update_no)
			failure_at(v, i, out);
}

int status_get(struct txn *t, struct slice computer, uint32_t update_no, struct status_row *out)
{
	struct computer_key k;
	struct view v;
	uint32_t at;
	*out = (struct status_row){.update_no = update_no};
	if (!computer_key(&k, computer))
		return E_OK;
	int rc = view_get(t, k.s, &v);
	if (rc == E_OK && find_row(&v, update_no, &at)) {
		rc = row_at(&v, at, out);
		find_failure(&v, out);
	}
	if (rc == E_NOTFOUND)
		rc = E_OK;
	if (rc == E_OK && out->status <= STATUS_NOT_APPLICABLE)
		out->status = sent_list(t, k.s) ? STATUS_NOT_APPLICABLE : STATUS_UNKNOWN;
	return rc;
}

/* ================= counts ================= */

int status_count(struct txn *t, struct slice key, uint32_t cohort, bool add, struct err *e)
{
	struct view v;
	int rc = view_get(t, key, &v);
	if (rc != E_OK)
		return rc == E_NOTFOUND ? E_OK : err_set(e, (enum errcode)rc, "the statuses of computer %.*s: %s", SLF(key), err_name(rc));
	struct tally_change *c = alloc_should_fail() ? NULL : calloc(v.n + 1, sizeof(*c));
	size_t n = 0;
	if (!c)
		return err_set(e, E_NOMEM, "statuses");
	for (uint32_t i = 0; i < v.n; i++) {
		uint8_t status = get_be32(v.row + i * (size_t)ROW) & 7;
		if (status >= STATUS_NEEDED)
			c[n++] = (struct tally_change){number_at(&v, i), add ? STATUS_NOT_APPLICABLE : status, add ? status : STATUS_NOT_APPLICABLE};
	}
	rc = n ? tally_apply(t, cohort, c, n, e) : E_OK;
	free(c);
	return rc;
}

int status_forget(struct txn *t, struct slice key, struct err *e)
{
	return db_del(t, DB_STATUS, key, e);
}

int status_figures(struct txn *t, struct slice key, uint32_t count[STATUS__N], uint32_t *hidden, uint32_t *highest)
{
	struct view v;
	memset(count, 0, STATUS__N * sizeof(*count));
	*hidden = *highest = 0;
	int rc = view_get(t, key, &v);
	for (uint32_t i = 0; rc == E_OK && i < v.n; i++) {
		struct status_row row;
		rc = row_at(&v, i, &row);
		count[rc == E_OK ? row.status : 0]++;
		*hidden += rc == E_OK && row.hidden;
		*highest = MAX(*highest, number_at(&v, i));
	}
	return rc == E_NOTFOUND ? E_OK : rc;
}

static bool rows_good(const struct view *v)
{
	struct status_row row;
	for (uint32_t i = 0; i < v->n; i++)
		if (row_at(v, i, &row) != E_OK || row.update_no == 0 || (i && number_at(v, i - 1) >= row.update_no))
			return false;
	return true;
}

static bool failures_good(const struct view *v)
{
	uint32_t at;
	for (unsigned i = 0; i < v->failures; i++)
		if ((i && failure_of(v, i - 1) >= failure_of(v, i)) || !find_row(v, failure_of(v, i), &at))
			return false;
	return true;
}

bool status_row_good(struct slice key, struct slice value)
{
	struct computer_key k;
	struct view v;
	return computer_key(&k, key) && slice_eq(k.s, key) && view_of(value, &v) == E_OK && rows_good(&v) && failures_good(&v);
}

/* ================= a batch begins: rows to work on ================= */

int status_load(struct txn *t, struct slice key, const uint32_t *no, size_t n, struct status_item **out, size_t *nout, struct err *e)
{
	struct walk w = {.i = 0};
	int rc = view_get(t, key, &w.v);
	if (rc != E_OK && rc != E_NOTFOUND)
		return err_set(e, (enum errcode)rc, "the statuses of computer %.*s: %s", SLF(key), err_name(rc));
	struct status_item *v = ARENA_ARRAY(txn_arena(t), struct status_item, w.v.n + n);
	size_t made = 0, named = 0;
	if (!v)
		return err_set(e, E_NOMEM, "statuses");
	while (w.i < w.v.n || named < n) {
		struct status_item *x = &v[made++];
		if (w.i == w.v.n || (named < n && no[named] < number_at(&w.v, w.i))) {
			x->row.update_no = no[named++];
			continue;
		}
		if (walk_next(&w, &x->row) != E_OK)
			return err_set(e, E_CORRUPT, "the statuses of computer %.*s cannot be read", SLF(key));
		x->was = (uint8_t)x->row.status;
		named += named < n && no[named] == x->row.update_no;
	}
	*out = v;
	*nout = made;
	return E_OK;
}

void status_sum(const struct status_item *v, size_t n, uint32_t count[STATUS__N], uint32_t *hidden)
{
	memset(count, 0, STATUS__N * sizeof(*count));
	*hidden = 0;
	for (size_t i = 0; i < n; i++) {
		count[v[i].row.status]++;
		*hidden += v[i].row.hidden;
	}
	count[STATUS_UNKNOWN] = 0;
}

/* ================= a batch ends: what is kept ================= */

/* What says least goes first, and of what says the same the updates that came first. */
static void drop_rows(struct status_item *v, size_t n)
{
	static const uint8_t order[] = {STATUS_NOT_APPLICABLE, STATUS_NEEDED, STATUS_DOWNLOADED, STATUS_FAILED, STATUS_INSTALLED,
		STATUS_PENDING_REBOOT};
	uint32_t count[STATUS__N], hidden, all = 0;
	status_sum(v, n, count, &hidden);
	for (size_t k = 0; k < COUNTOF(order); k++)
		all += count[order[k]];
	for (size_t k = 0; all > LIMIT_STATUS_ROWS && k < COUNTOF(order); k++)
		for (size_t i = 0; all > LIMIT_STATUS_ROWS && i < n; i++)
			if (v[i].row.status == order[k]) {
				v[i].row = (struct status_row){.update_no = v[i].row.update_no};
				all--;
			}
}

static int by_failure(const void *a, const void *b)
{
	const struct status_row *x = *(struct status_row *const *)a, *y = *(struct status_row *const *)b;
	if (x->failed_at != y->failed_at)
		return x->failed_at < y->failed_at ? 1 : -1;
	return (x->update_no > y->update_no) - (x->update_no < y->update_no);
}

/* The latest stay. */
static int drop_failures(struct arena *a, struct status_item *v, size_t n)
{
	struct status_row **failed = NULL;
	size_t k = 0, cap = 0;
	for (size_t i = 0; i < n; i++) {
		if (v[i].row.failed_at == 0)
			continue;
		failed = ARENA_MORE(a, failed, k, &cap);
		if (!failed)
			return E_NOMEM;
		failed[k++] = &v[i].row;
	}
	if (k > LIMIT_FAILURES)
		qsort(failed, k, sizeof(struct status_row *), by_failure);
	for (size_t i = LIMIT_FAILURES; i < k; i++) {
		failed[i]->failed_at = 0;
		failed[i]->hresult = 0;
		failed[i]->event = 0;
	}
	return E_OK;
}

static int by_time(const void *a, const void *b)
{
	const tick_t *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

/* The different times, ascending.  Rows beside each other mostly have the same one. */
static tick_t *times_of(struct arena *a, const struct status_item *v, size_t n, size_t *ntimes)
{
	tick_t *times = ARENA_ARRAY(a, tick_t, n);
	size_t k = 0, kept = 0;
	for (size_t i = 0; times && i < n; i++)
		if (v[i].row.status != STATUS_UNKNOWN && (k == 0 || times[k - 1] != v[i].row.at))
			times[k++] = v[i].row.at;
	if (k)
		qsort(times, k, sizeof(*times), by_time);
	for (size_t i = 0; i < k; i++)
		if (kept == 0 || times[kept - 1] != times[i])
			times[kept++] = times[i];
	*ntimes = kept;
	return times;
}

static void put_rows(struct buf *b, const struct status_item *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (v[i].row.status != STATUS_UNKNOWN)
			rec_put_u32(b, v[i].row.update_no << 4 | (v[i].row.hidden ? HIDDEN : 0) | (uint32_t)v[i].row.status);
}

static void put_times(struct buf *b, const struct status_item *v, size_t n, const tick_t *times, size_t ntimes)
{
	const tick_t *at = times;
	for (size_t i = 0; i < n; i++) {
		if (v[i].row.status == STATUS_UNKNOWN)
			continue;
		if (*at != v[i].row.at)
			at = bsearch(&v[i].row.at, times, ntimes, sizeof(*times), by_time);
		rec_put_u16(b, (uint16_t)(at - times));
	}
	for (size_t i = 0; i < ntimes; i++)
		rec_put_u64(b, (uint64_t)times[i]);
}

static void put_failures(struct buf *b, const struct status_item *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct status_row *r = &v[i].row;
		if (r->status == STATUS_UNKNOWN || r->failed_at == 0)
			continue;
		rec_put_u32(b, r->update_no);
		rec_put_u64(b, (uint64_t)r->failed_at);
		rec_put_u32(b, (uint32_t)r->hresult);
		rec_put_u16(b, (uint16_t)r->event);
	}
}

static void encode(struct buf *b, const struct status_item *v, size_t n, const tick_t *times, size_t ntimes)
{
	uint32_t rows = 0, failures = 0;
	for (size_t i = 0; i < n; i++) {
		rows += v[i].row.status != STATUS_UNKNOWN;
		failures += v[i].row.status != STATUS_UNKNOWN && v[i].row.failed_at != 0;
	}
	rec_begin(b, 1, STATUS_BYTES);
	rec_put_u32(b, rows);
	rec_put_u16(b, (uint16_t)ntimes);
	rec_put_u16(b, (uint16_t)failures);
	put_rows(b, v, n);
	put_times(b, v, n, times, ntimes);
	put_failures(b, v, n);
}

int status_store(struct txn *t, struct slice key, struct status_item *v, size_t n, struct err *e)
{
	struct buf b;
	struct slice old = SL("");
	size_t ntimes;
	drop_rows(v, n);
	int rc = drop_failures(txn_arena(t), v, n);
	tick_t *times = times_of(txn_arena(t), v, n, &ntimes);
	if (rc != E_OK || !times)
		return txn_fail(t, err_set(e, E_NOMEM, "statuses"), e);
	encode(&b, v, n, times, ntimes);
	(void)!db_get(t, DB_STATUS, key, &old);
	if (b.n > old.n && !txn_fleet_has_room(t)) {
		buf_free(&b);
		return txn_fail(t, err_set(e, E_FULL, "half of fleet/ is full: what computer %.*s reports is not taken; `wsusctl computer delete` "
			"those that are no more, or set WSUS_FLEET_MAP_MB to more", SLF(key)), e);
	}
	return db_put_rec(t, DB_STATUS, key, &b, e);
}
