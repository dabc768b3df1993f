/* report_take.c -- a batch of events comes: which of them count, in which order, and what is written in the end.
 *
 * All is read before anything of the computer's records is written, and a failure in between spoils the transaction. */
#include <stdlib.h>

#include "store/report_apply.h"

#define SKEW_IGNORED (60 * TICKS_PER_SECOND) /* a batch may be that long on its way */

/* REPORT-38.  0: the client did not say what time it has. */
static tick_t skew_of(const struct report *r)
{
	return r->client_time != 0 ? r->client_time - r->now : 0;
}

static tick_t server_time(const struct report *r, tick_t at)
{
	tick_t skew = skew_of(r);
	if (skew > SKEW_IGNORED || skew < -SKEW_IGNORED)
		at -= skew;
	return MAX(MIN(at, r->now), 1);
}

/* ================= which events count ================= */

static int by_time(const void *a, const void *b)
{
	const struct batch_event *x = a, *y = b;
	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return (x->position > y->position) - (x->position < y->position);
}

/* Keeps an event; what it does, if it is new and does anything, goes to the batch. */
static int take_event(struct batch *b, const struct report *r, size_t i, struct report_outcome *out)
{
	struct report_event v = r->event[i];
	bool repeated = false;
	v.at = server_time(r, v.at);
	v.position = (uint32_t)i;
	int rc = event_keep(b->t, b->key, &v, r->now, &repeated, b->e);
	if (rc != E_OK)
		return rc;
	out->repeated += repeated;
	out->kept += !repeated;
	const struct event_info *info = repeated || v.name_space != 1 ? NULL : event_find(v.id);
	if (info)
		b->event[b->nevents++] = (struct batch_event){.event = &r->event[i], .info = info, .at = v.at, .position = i};
	return E_OK;
}

static int take_events(struct batch *b, const struct report *r, struct report_outcome *out)
{
	int rc = E_OK;
	b->event = ARENA_ARRAY(txn_arena(b->t), struct batch_event, r->n);
	if (!b->event)
		return err_set(b->e, E_NOMEM, "a batch of events");
	for (size_t i = 0; rc == E_OK && i < r->n; i++) {
		if (r->event[i].foreign)
			out->foreign++;
		else
			rc = take_event(b, r, i, out);
	}
	if (rc == E_OK && b->nevents)
		qsort(b->event, b->nevents, sizeof(*b->event), by_time);
	return rc;
}

/* ================= the standing ================= */

/* What is borrowed ends with the next write. */
static int keep_texts(struct batch *b)
{
	struct standing *s = &b->was;
	struct slice *texts[] = {&s->client_version, &s->bios_name, &s->bios_date, &s->machine.brand, &s->machine.model, &s->machine.bios,
		&s->machine.architecture};
	for (size_t i = 0; i < COUNTOF(texts); i++) {
		*texts[i] = arena_copy(txn_arena(b->t), *texts[i]);
		if (!texts[i]->p)
			return err_set(b->e, E_NOMEM, "a standing");
	}
	b->is = b->was;
	return E_OK;
}

static int read_standing(struct batch *b)
{
	int rc = standing_follow(b->t, b->key, b->e);
	if (rc != E_OK)
		return rc;
	rc = standing_get(b->t, b->key, &b->was);
	if (rc != E_OK)
		return err_set(b->e, (enum errcode)rc, "how computer %.*s stands: %s", SLF(b->key), err_name(rc));
	return keep_texts(b);
}

static void set_text(struct slice *to, struct slice from)
{
	if (from.n)
		*to = from;
}

static void note_tag(struct standing *s, struct slice misc)
{
	struct slice tag, value;
	if (!event_tag_split(misc, &tag, &value) || tag.n != 1)
		return;
	if (*tag.p == 'G')
		set_text(&s->client_version, value);
	if (*tag.p == 'K')
		set_text(&s->bios_name, value);
	if (*tag.p == 'L')
		set_text(&s->bios_date, value);
}

static void note_machine(struct standing *s, const struct report_event *v)
{
	static const struct reported_machine none;
	struct reported_machine *m = &s->machine;
	for (size_t i = 0; i < v->nmisc; i++)
		note_tag(s, v->misc[i]);
	set_text(&m->brand, v->machine.brand);
	set_text(&m->model, v->machine.model);
	set_text(&m->bios, v->machine.bios);
	set_text(&m->architecture, v->machine.architecture);
	if (memcmp(v->machine.os, none.os, sizeof(none.os)) != 0)
		memcpy(m->os, v->machine.os, sizeof(m->os));
	if (v->machine.locale)
		m->locale = v->machine.locale;
}

/* The latest event says last what the machine is; it may leave out parts. */
static void note_batch(struct batch *b, const struct report *r)
{
	for (size_t i = 0; i < b->nevents; i++)
		note_machine(&b->is, b->event[i].event);
	b->is.reported_at = MAX(b->is.reported_at, r->now);
	b->is.skew = skew_of(r);
}

/* ================= writing ================= */

static int write_tallies(struct batch *b)
{
	size_t n = 0;
	struct tally_change *v = ARENA_ARRAY(txn_arena(b->t), struct tally_change, b->nitems);
	if (!v)
		return err_set(b->e, E_NOMEM, "counts");
	for (size_t i = 0; i < b->nitems; i++)
		if (b->item[i].was != b->item[i].row.status)
			v[n++] = (struct tally_change){b->item[i].row.update_no, b->item[i].was, (uint8_t)b->item[i].row.status};
	return n && b->is.cohort ? tally_apply(b->t, b->is.cohort, v, n, b->e) : E_OK;
}

static int write_statuses(struct batch *b)
{
	if (!b->changed)
		return E_OK;
	int rc = status_store(b->t, b->key, b->item, b->nitems, b->e);
	if (rc != E_OK)
		return rc;
	status_sum(b->item, b->nitems, b->is.count, &b->is.hidden);
	return write_tallies(b);
}

static bool same_state(const struct standing *a, const struct standing *b)
{
	return a->sync_at == b->sync_at && a->sync_event == b->sync_event && a->sync_hresult == b->sync_hresult && a->status_at == b->status_at &&
	       a->rebooted_at == b->rebooted_at && a->reboot_since == b->reboot_since && a->effective_at == b->effective_at && a->good == b->good &&
	       a->bad == b->bad;
}

static int write_all(struct batch *b, struct report_outcome *out)
{
	int rc = write_statuses(b);
	if (rc == E_OK && b->is.cohort)
		rc = cohort_change(b->t, &b->was, &b->is, b->e);
	if (rc == E_OK)
		rc = standing_put(b->t, b->key, &b->is, b->e);
	out->changed = b->changed || !same_state(&b->was, &b->is);
	out->unknown_updates = b->unknown_updates;
	return rc;
}

int report_take(struct txn *t, const struct report *r, struct report_outcome *out, struct err *e)
{
	struct computer_key k;
	struct slice row;
	*out = (struct report_outcome){0};
	int rc = computer_key(&k, r->computer) ? db_get(t, DB_COMPUTER, k.s, &row) : E_NOTFOUND;
	if (rc != E_OK)
		return err_set(e, (enum errcode)rc, "computer %.*s: %s", SLF(r->computer), err_name(rc));
	struct batch b = {.t = t, .key = k.s, .e = e};
	rc = take_events(&b, r, out);
	if (rc == E_OK)
		rc = read_standing(&b);
	if (rc == E_OK)
		rc = batch_resolve(&b);
	if (rc == E_OK)
		rc = batch_apply(&b);
	if (rc == E_OK) {
		note_batch(&b, r);
		rc = write_all(&b, out);
	}
	if (rc == E_NOTFOUND) /* not the computer */
		rc = err_set(e, E_CORRUPT, "what is kept of computer %.*s names what is not there", SLF(k.s));
	return rc == E_OK ? rc : txn_fail(t, rc, e);
}
