/* burst.c -- a small table of what was refused of late.  See burst.h. */
#include "cgi/burst.h"

#define WINDOW (BURST_SECONDS * TICKS_PER_SECOND)

static uint64_t mix(uint64_t h, const void *p, size_t n)
{
	const uint8_t *b = p;
	for (size_t i = 0; i < n; i++)
		h = (h ^ b[i]) * UINT64_C(1099511628211);
	return h;
}

static uint64_t key_of(const struct log_request *r)
{
	const struct slice part[] = {r->peer, r->op, r->client, r->why};
	uint64_t h = mix(UINT64_C(14695981039346656037), &r->rc, sizeof(r->rc));
	for (size_t i = 0; i < COUNTOF(part); i++) {
		h = mix(h, part[i].p ? part[i].p : "", part[i].n);
		h = mix(h, "", 1);
	}
	return h | 1;
}

static void tell(struct burst_row *row)
{
	if (row->waits)
		log_request(&row->last);
	row->key = 0;
	row->waits = false;
}

static struct burst_row *find(struct burst *b, uint64_t key)
{
	for (size_t i = 0; i < BURST_ROWS; i++)
		if (b->row[i].key == key)
			return &b->row[i];
	return NULL;
}

static struct burst_row *make_room(struct burst *b)
{
	struct burst_row *oldest = &b->row[0];
	for (size_t i = 0; i < BURST_ROWS; i++) {
		if (b->row[i].key == 0)
			return &b->row[i];
		if (b->row[i].since < oldest->since)
			oldest = &b->row[i];
	}
	tell(oldest);
	return oldest;
}

/* A clock that was set back ends a burst, too. */
static bool has_ended(const struct burst_row *row, tick_t now)
{
	return now < row->since || now - row->since >= WINDOW;
}

struct burst_row *burst_count(struct burst *b, const struct log_request *r, tick_t now, struct guid *id)
{
	uint64_t key = key_of(r);
	struct burst_row *row = find(b, key);
	if (row && has_ended(row, now)) {
		tell(row);
		row = NULL;
	}
	if (!row) {
		row = make_room(b);
		row->key = key;
		row->since = now;
		row->n = 0;
		if (id)
			memcpy(row->prefix, id->b, sizeof(row->prefix));
	}
	if (++row->n <= BURST_LINES)
		return NULL;
	if (id)
		memcpy(id->b, row->prefix, sizeof(row->prefix));
	return row;
}

void burst_keep(struct burst_row *row, const struct log_request *r)
{
	size_t at = 0;
	row->last = *r;
	struct slice *const part[] = {&row->last.peer, &row->last.op, &row->last.client, &row->last.name, &row->last.fault, &row->last.why};
	for (size_t i = 0; i < COUNTOF(part); i++) {
		size_t n = MIN(part[i]->n, sizeof(row->text) - at);
		if (!part[i]->p)
			continue;
		memcpy(row->text + at, part[i]->p, n);
		*part[i] = (struct slice){row->text + at, n};
		at += n;
	}
	row->last.more = row->n - BURST_LINES - 1;
	row->waits = true;
}

void burst_tell(struct burst *b, tick_t now)
{
	for (size_t i = 0; i < BURST_ROWS; i++)
		if (b->row[i].key != 0 && (now == INT64_MAX || has_ended(&b->row[i], now)))
			tell(&b->row[i]);
}
