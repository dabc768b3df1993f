/* report_apply.c -- what events do to the state of a computer: rules WUSP-REPORT-26 to -38.
 *
 * A list costs its own length and that of the one before it, however many rows the computer has: what is NOT_APPLICABLE already is not
 * looked at.  So a batch of ten thousand lists costs what its bytes cost. */
#include <stdlib.h>

#include "store/publish.h"
#include "store/report_apply.h"

/* ================= what the events name ================= */

/* An update that others only name has a number, but nothing that could be said of it: it counts as unknown (REPORT-15). */
static int find_update(struct batch *b, const struct guid *id, uint32_t *no)
{
	struct update u = {0};
	*no = 0;
	int rc = update_find(b->t, id, no);
	if (rc == E_OK)
		rc = update_get(b->t, *no, &u, b->e);
	if (rc == E_NOTFOUND || (rc == E_OK && (!u.known || *no > UPDATE_NO_MAX))) {
		b->unknown_updates++;
		*no = 0;
		return E_OK;
	}
	return rc == E_OK ? rc : err_set(b->e, (enum errcode)rc, "the number of an update cannot be read");
}

static int mention(struct batch *b, const struct guid *id, uint8_t status)
{
	uint32_t no;
	int rc = find_update(b, id, &no);
	if (rc != E_OK || no == 0)
		return rc;
	struct mention *v = ARENA_MORE(txn_arena(b->t), b->mention, b->nmentions, &b->cap);
	if (!v)
		return err_set(b->e, E_NOMEM, "a list of updates");
	b->mention = v;
	b->mention[b->nmentions++] = (struct mention){no, status};
	return E_OK;
}

/* A string of MiscData, if it is a list. */
static int read_list(struct batch *b, struct slice misc)
{
	struct slice tag, list;
	struct guid id;
	size_t bad = 0;
	int rc = E_OK;
	if (!event_tag_split(misc, &tag, &list) || tag.n != 1)
		return E_OK;
	const struct event_tag *v = event_tag_find(*tag.p);
	while (rc == E_OK && v && v->status && event_next_guid(&list, &id, &bad))
		rc = mention(b, &id, v->status);
	return rc;
}

/* A list that is older than the last one says nothing. */
static int read_lists(struct batch *b, struct batch_event *v)
{
	int rc = E_OK;
	v->lists = v->at >= b->was.status_at;
	v->from = b->nmentions;
	for (size_t i = 0; rc == E_OK && v->lists && i < v->event->nmisc; i++)
		rc = read_list(b, v->event->misc[i]);
	v->n = b->nmentions - v->from;
	return rc;
}

#define OF_UPDATE (EVENT_COUNT_GOOD | EVENT_COUNT_BAD | EVENT_HIDE | EVENT_UNHIDE)

static int resolve(struct batch *b, struct batch_event *v)
{
	if (v->info->does & EVENT_LISTS)
		return read_lists(b, v);
	if ((v->info->status == 0 && !(v->info->does & OF_UPDATE)) || guid_is_zero(&v->event->update))
		return E_OK;
	return find_update(b, &v->event->update, &v->update_no);
}

static int by_number(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

/* UpdateNos of all that is named, ascending, each once. */
static uint32_t *numbers(struct batch *b, size_t *n)
{
	uint32_t *v = ARENA_ARRAY(txn_arena(b->t), uint32_t, b->nmentions + b->nevents);
	size_t all = 0, kept = 0;
	for (size_t i = 0; v && i < b->nmentions; i++)
		v[all++] = b->mention[i].update_no;
	for (size_t i = 0; v && i < b->nevents; i++)
		if (b->event[i].update_no)
			v[all++] = b->event[i].update_no;
	if (all)
		qsort(v, all, sizeof(*v), by_number);
	for (size_t i = 0; i < all; i++)
		if (kept == 0 || v[kept - 1] != v[i])
			v[kept++] = v[i];
	*n = kept;
	return v;
}

static int load(struct batch *b)
{
	size_t n;
	uint32_t *no = numbers(b, &n);
	int rc = no ? status_load(b->t, b->key, no, n, &b->item, &b->nitems, b->e) : err_set(b->e, E_NOMEM, "statuses");
	if (rc != E_OK)
		return rc;
	b->active = ARENA_ARRAY(txn_arena(b->t), uint32_t, b->nitems);
	b->next = ARENA_ARRAY(txn_arena(b->t), uint32_t, b->nitems);
	if (!b->active || !b->next)
		return err_set(b->e, E_NOMEM, "statuses");
	for (size_t i = 0; i < b->nitems; i++)
		if (b->item[i].row.status >= STATUS_NEEDED)
			b->active[b->nactive++] = (uint32_t)i;
	return E_OK;
}

int batch_resolve(struct batch *b)
{
	bool any = false;
	int rc = E_OK;
	for (size_t i = 0; rc == E_OK && i < b->nevents; i++) {
		rc = resolve(b, &b->event[i]);
		any = any || b->event[i].lists || b->event[i].update_no;
	}
	return rc == E_OK && any ? load(b) : rc;
}

/* ================= one update ================= */

static uint32_t item_of(const struct batch *b, uint32_t no)
{
	size_t low = 0, high = b->nitems;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (b->item[middle].row.update_no <= no)
			low = middle;
		else
			high = middle;
	}
	return (uint32_t)low;
}

/* REPORT-38: what is known of a later time stays, and a list says it of all updates. */
static bool is_late(const struct batch *b, const struct status_item *x, tick_t at)
{
	return at < b->is.status_at || at < x->row.at;
}

static void set_status(struct batch *b, struct status_item *x, uint8_t status, tick_t at)
{
	if (x->row.status == status || is_late(b, x, at))
		return;
	x->row.status = status;
	x->row.at = at;
	b->changed = true;
}

/* A row of which no status is known, but something else: it has no time. */
static void keep(struct batch *b, struct status_item *x)
{
	if (x->row.status == STATUS_UNKNOWN)
		x->row.status = STATUS_NOT_APPLICABLE;
	b->changed = true;
}

static void note_failure(struct batch *b, struct status_item *x, const struct batch_event *v)
{
	if (v->at < x->row.failed_at)
		return;
	x->row.failed_at = v->at;
	x->row.hresult = v->event->hresult;
	x->row.event = v->info->id;
	keep(b, x);
}

static void hide(struct batch *b, struct status_item *x, bool hidden)
{
	if (x->row.hidden == hidden)
		return;
	x->row.hidden = hidden;
	keep(b, x);
}

static void apply_to_update(struct batch *b, const struct batch_event *v)
{
	uint32_t i = item_of(b, v->update_no);
	struct status_item *x = &b->item[i];
	bool was_active = x->row.status >= STATUS_NEEDED;
	bool done = x->row.status == STATUS_INSTALLED || x->row.status == STATUS_PENDING_REBOOT;
	if (v->info->status && !(done && v->info->does & EVENT_UNLESS_DONE))
		set_status(b, x, v->info->status, v->at);
	if (v->info->status == STATUS_FAILED)
		note_failure(b, x, v);
	if (v->info->does & (EVENT_HIDE | EVENT_UNHIDE))
		hide(b, x, v->info->does & EVENT_HIDE);
	if (!was_active && x->row.status >= STATUS_NEEDED)
		b->active[b->nactive++] = i;
}

static int count_installation(struct batch *b, const struct batch_event *v)
{
	uint32_t good = v->info->does & EVENT_COUNT_GOOD ? 1 : 0, bad = v->info->does & EVENT_COUNT_BAD ? 1 : 0;
	b->is.good += good;
	b->is.bad += bad;
	if (v->update_no == 0 || good + bad == 0)
		return E_OK;
	return activity_add(b->t, b->is.os, &v->event->update, v->event->revision, good, bad, b->e);
}

/* ================= lists ================= */

/* What is named, each once, with the strongest of its lists: into b->next. */
static size_t gather(struct batch *b, const struct batch_event *v, uint32_t stamp)
{
	size_t n = 0;
	for (size_t k = v->from; k < v->from + v->n; k++) {
		const struct mention *m = &b->mention[k];
		uint32_t i = item_of(b, m->update_no);
		struct status_item *x = &b->item[i];
		if (x->stamp != stamp)
			b->next[n++] = i;
		if (x->stamp != stamp || event_status_stronger(m->status, x->wanted))
			x->wanted = m->status;
		x->stamp = stamp;
	}
	return n;
}

/* The time when the newest update was made available that the computer may have looked at. */
static void note_detection(struct batch *b, tick_t at)
{
	tick_t shown = updates_shown(b->t);
	if (shown != 0 && at >= shown)
		b->is.effective_at = MAX(b->is.effective_at, shown);
}

/* Sets its status, and lets it be the nth of those that are active then, if it is. */
static bool list_item(struct batch *b, size_t nth, uint32_t i, uint8_t status, tick_t at)
{
	set_status(b, &b->item[i], status, at);
	if (b->item[i].row.status < STATUS_NEEDED)
		return false;
	b->next[nth] = i;
	return true;
}

/* REPORT-26, -28: what is in no list is not applicable any more. */
static void apply_lists(struct batch *b, const struct batch_event *v, uint32_t stamp)
{
	size_t named = gather(b, v, stamp), n = 0;
	for (size_t k = 0; k < named; k++)
		n += list_item(b, n, b->next[k], b->item[b->next[k]].wanted, v->at);
	for (size_t k = 0; k < b->nactive; k++)
		if (b->item[b->active[k]].stamp != stamp)
			n += list_item(b, n, b->active[k], STATUS_NOT_APPLICABLE, v->at);
	uint32_t *active = b->active;
	b->active = b->next;
	b->next = active;
	b->nactive = n;
	b->is.status_at = v->at;
	note_detection(b, v->at);
}

/* ================= the computer ================= */

static void note_sync(struct batch *b, const struct batch_event *v)
{
	bool good = v->info->does & EVENT_SYNC_GOOD;
	if (good)
		b->is.sync_good_at = MAX(b->is.sync_good_at, v->at);
	if (v->at < b->is.sync_at)
		return;
	b->is.sync_at = v->at;
	b->is.sync_result = good ? SYNC_SUCCEEDED : SYNC_FAILED;
	b->is.sync_hresult = v->event->hresult;
	b->is.sync_event = v->info->id;
}

/* A restart ends what waited for it before; what began to wait before the last restart does not wait. */
static void note_reboot(struct batch *b, const struct batch_event *v)
{
	struct standing *s = &b->is;
	if (v->info->does & EVENT_REBOOTED) {
		s->rebooted_at = MAX(s->rebooted_at, v->at);
		if (s->reboot_since <= v->at)
			s->reboot_since = 0;
	}
	if (v->info->does & EVENT_REBOOT_PENDING && v->at >= s->rebooted_at && (s->reboot_since == 0 || v->at < s->reboot_since))
		s->reboot_since = v->at;
}

static int apply(struct batch *b, const struct batch_event *v, uint32_t stamp)
{
	if (v->lists)
		apply_lists(b, v, stamp);
	if (v->info->does & (EVENT_SYNC_GOOD | EVENT_SYNC_BAD))
		note_sync(b, v);
	note_reboot(b, v);
	if (v->update_no)
		apply_to_update(b, v);
	return count_installation(b, v);
}

int batch_apply(struct batch *b)
{
	int rc = E_OK;
	for (size_t i = 0; rc == E_OK && i < b->nevents; i++)
		rc = apply(b, &b->event[i], (uint32_t)i + 1);
	return rc;
}
