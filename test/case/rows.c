/* rows.c -- the rows of fleet/ that come of reports, in words. */
#include "test/case/rows.h"

#include <stdlib.h>

#include "common/text.h"

struct show {
	struct txn *t;
	struct arena *a;
	struct buf *to;
	struct slice computer;
	struct slice cohort;
	struct err *e;
	int rc;
};

/* ---- words ---- */

/* @NOW@ for what the store itself timed by the machine's clock, which a case does not set: a registration. */
static void put_time(struct buf *to, const char *before, tick_t at)
{
	char text[TIME_TEXT + 1];
	if (at > time_now() - 3600 * TICKS_PER_SECOND && at <= time_now()) {
		buf_printf(to, "%s@NOW@", before);
		return;
	}
	time_text(at, text);
	buf_printf(to, "%s%s", before, text);
}

static void put_quoted(struct buf *to, struct slice s)
{
	buf_char(to, '"');
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ')
			buf_printf(to, "\\x%02x", (unsigned)s.p[i]);
		else
			buf_char(to, s.p[i]);
	buf_char(to, '"');
}

static void put_list(struct buf *to, const char *name, const struct slice *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		buf_printf(to, "%s", i ? "|" : name);
		put_quoted(to, v[i]);
	}
}

static void put_count(struct buf *to, const char *name, uint32_t n)
{
	if (n)
		buf_printf(to, " %s=%u", name, (unsigned)n);
}

static void put_hresult(struct buf *to, int32_t hresult)
{
	if (hresult)
		buf_printf(to, " hresult=0x%08x", (unsigned)hresult);
}

static void put_guid(struct buf *to, const struct guid *g)
{
	char text[GUID_TEXT + 1];
	guid_text(g, text);
	buf_str(to, text);
}

static void put_update(struct show *s, uint32_t no)
{
	struct update u;
	if (update_get(s->t, no, &u, s->e) == E_OK)
		put_guid(s->to, &u.id);
	else
		buf_printf(s->to, "(update %u)", (unsigned)no);
}

/* ---- order: that of the text, whatever numbers updates and cohorts got ---- */

static int by_text(const void *a, const void *b)
{
	const struct slice *x = a, *y = b;
	int d = memcmp(x->p, y->p, MIN(x->n, y->n));
	return d ? d : (x->n > y->n) - (x->n < y->n);
}

/* Sorts the lines that were added since from. */
static int sort_lines(struct show *s, size_t from)
{
	struct slice all = arena_copy(s->a, (struct slice){s->to->p + from, s->to->n - from});
	size_t n = 0;
	for (size_t i = 0; i < all.n; i++)
		n += all.p[i] == '\n';
	struct slice *line = ARENA_ARRAY(s->a, struct slice, n);
	if (!line || !all.p)
		return E_NOMEM;
	for (size_t i = 0; i < n; i++)
		line[i] = text_cut(&all, '\n');
	qsort(line, n, sizeof(*line), by_text);
	s->to->n = from;
	for (size_t i = 0; i < n; i++)
		buf_printf(s->to, "%.*s\n", SLF(line[i]));
	return E_OK;
}

/* ---- a computer ---- */

static void begin(struct show *s, const char *what)
{
	buf_printf(s->to, "standing %.*s %s ", SLF(s->computer), what);
}

static void show_times(struct show *s, const struct standing *st)
{
	const struct {
		const char *name;
		tick_t at;
	} times[] = {
		{"sync-good", st->sync_good_at}, {"reported", st->reported_at},         {"status", st->status_at},
		{"rebooted", st->rebooted_at},   {"reboot-since", st->reboot_since},    {"inventory", st->inventory_at},
	};
	for (size_t i = 0; i < COUNTOF(times); i++)
		if (times[i].at) {
			begin(s, times[i].name);
			put_time(s->to, "", times[i].at);
			buf_char(s->to, '\n');
		}
}

static void show_sync(struct show *s, const struct standing *st)
{
	if (st->sync_result == SYNC_NEVER && st->sync_at == 0)
		return;
	begin(s, "sync");
	buf_printf(s->to, "%s %d", st->sync_result == SYNC_SUCCEEDED ? "succeeded" : "failed", st->sync_event);
	put_time(s->to, " at=", st->sync_at);
	put_hresult(s->to, st->sync_hresult);
	buf_char(s->to, '\n');
}

static void show_counts(struct show *s, const struct standing *st)
{
	buf_printf(s->to, "standing %.*s counts", SLF(s->computer));
	for (size_t i = 0; i < STATUS__N; i++)
		put_count(s->to, update_status_names[i], st->count[i]);
	put_count(s->to, "hidden", st->hidden);
	put_count(s->to, "good", st->good);
	put_count(s->to, "bad", st->bad);
	buf_char(s->to, '\n');
}

static void show_machine(struct show *s, const struct standing *st)
{
	const struct reported_machine *m = &st->machine;
	if (st->skew)
		buf_printf(s->to, "standing %.*s skew %jd\n", SLF(s->computer), (intmax_t)st->skew);
	if (st->client_version.n)
		buf_printf(s->to, "standing %.*s client %.*s\n", SLF(s->computer), SLF(st->client_version));
	if (st->bios_name.n || st->bios_date.n)
		buf_printf(s->to, "standing %.*s bios %.*s %.*s\n", SLF(s->computer), SLF(st->bios_name), SLF(st->bios_date));
	if (!m->brand.n && !m->model.n && !m->architecture.n)
		return;
	buf_printf(s->to, "standing %.*s machine %.*s|%.*s|%.*s|%.*s ", SLF(s->computer), SLF(m->brand), SLF(m->model), SLF(m->bios),
		SLF(m->architecture));
	for (size_t i = 0; i < COUNTOF(m->os); i++)
		buf_printf(s->to, "%s%d", i ? "." : "", m->os[i]);
	buf_printf(s->to, " %d\n", m->locale);
}

static int show_status(const struct status_row *r, void *arg)
{
	struct show *s = arg;
	buf_printf(s->to, "status %.*s ", SLF(s->computer));
	put_update(s, r->update_no);
	buf_printf(s->to, " %s", update_status_names[r->status]);
	put_time(s->to, " at=", r->at);
	if (r->hidden)
		buf_str(s->to, " hidden");
	if (r->failed_at) {
		put_time(s->to, " failed=", r->failed_at);
		buf_printf(s->to, " event=%d", r->event);
		put_hresult(s->to, r->hresult);
	}
	buf_char(s->to, '\n');
	return 0;
}

static void show_event(struct show *s, const struct event *ev)
{
	static const struct guid none;
	struct buf *to = s->to;
	buf_printf(to, "event %.*s %d source=%d", SLF(s->computer), ev->id, ev->source);
	put_time(to, " at=", ev->at);
	put_time(to, " received=", ev->received);
	if (ev->name_space != 1)
		buf_printf(to, " namespace=%d", ev->name_space);
	if (memcmp(&ev->update, &none, sizeof(none)) != 0 || ev->revision) {
		buf_str(to, " update=");
		put_guid(to, &ev->update);
		buf_printf(to, ":%d", ev->revision);
	}
	put_hresult(to, ev->hresult);
	put_list(to, " app=", &ev->app, ev->app.n > 0);
	put_list(to, " device=", &ev->device, ev->device.n > 0);
	put_list(to, " strings=", ev->strings, ev->nstrings);
	put_list(to, " misc=", ev->misc, ev->nmisc);
	buf_char(to, '\n');
}

static int newest_first(const void *a, const void *b)
{
	const struct event *x = a, *y = b;
	return x->at != y->at ? (x->at < y->at) - (x->at > y->at) : memcmp(&x->instance, &y->instance, sizeof(x->instance));
}

static int show_events(struct show *s)
{
	struct event *v = NULL;
	size_t n = 0;
	int rc = events_of(s->t, s->computer, 0, &v, &n, s->e);
	if (rc != E_OK || n == 0)
		return rc;
	qsort(v, n, sizeof(*v), newest_first);
	buf_printf(s->to, "events %.*s %zu\n", SLF(s->computer), n);
	for (size_t i = 0; i < n; i++)
		show_event(s, &v[i]);
	return E_OK;
}

static int show_computer(const struct computer *c, const struct standing *st, void *arg)
{
	struct show *s = arg;
	s->computer = c->id;
	show_sync(s, st);
	show_times(s, st);
	show_machine(s, st);
	show_counts(s, st);
	size_t from = s->to->n;
	s->rc = status_each(s->t, c->id, show_status, s, s->e);
	if (s->rc == E_OK && s->to->n > from)
		s->rc = sort_lines(s, from);
	if (s->rc == E_OK)
		s->rc = show_events(s);
	return s->rc != E_OK;
}

/* ---- counts ---- */

static int show_tally(uint32_t update_no, const struct tally *v, void *arg)
{
	struct show *s = arg;
	buf_printf(s->to, "tally %.*s ", SLF(s->cohort));
	put_update(s, update_no);
	for (size_t i = STATUS_NEEDED; i < STATUS__N; i++)
		put_count(s->to, update_status_names[i], v->by[i]);
	buf_char(s->to, '\n');
	return 0;
}

static int show_cohort(const struct cohort *c, void *arg)
{
	struct show *s = arg;
	const struct {
		const char *name;
		uint32_t n;
	} counts[] = {
		{"computers", c->computers},   {"reported", c->reported}, {"needing", c->needing},
		{"failed", c->failed},         {"up-to-date", c->up_to_date}, {"pending", c->pending},
		{"sync-failed", c->sync_failed}, {"updates-needed", c->updates_needed}, {"updates-failed", c->updates_failed},
	};
	if (c->computers == 0 && c->no != COHORT_ALL)
		return 0; /* all have left it */
	buf_printf(s->to, "cohort %.*s", SLF(s->cohort));
	for (size_t i = 0; i < COUNTOF(counts); i++)
		put_count(s->to, counts[i].name, counts[i].n);
	buf_char(s->to, '\n');
	s->rc = tally_each(s->t, c->no, show_tally, s, s->e);
	return s->rc != E_OK;
}

/* Named by its groups, so that numbers do not matter. */
static int show_groups(const struct cohort *c, void *arg)
{
	struct show *s = arg;
	struct buf name;
	buf_init(&name, LIMIT_STRING * LIMIT_CLIENT_GROUPS);
	for (unsigned i = 0; i < c->ngroups; i++) {
		struct group g;
		s->rc = group_get(s->t, c->group[i], &g, s->e);
		if (s->rc == E_OK)
			put_list(&name, i ? "+" : "", &g.name, 1);
	}
	s->cohort = arena_copy(s->a, buf_bytes(&name));
	buf_free(&name);
	return s->rc != E_OK || show_cohort(c, s);
}

static int show_activity(const struct activity *v, void *arg)
{
	struct show *s = arg;
	struct os_info os;
	struct os_fields f;
	buf_str(s->to, "activity ");
	put_guid(s->to, &v->update);
	buf_printf(s->to, ":%d", v->revision);
	if (v->os && os_get(s->t, v->os, &os) == E_OK && os_fields(os.tuple, &f) == E_OK)
		buf_printf(s->to, " os=%d.%d.%d", f.major, f.minor, f.build);
	put_count(s->to, "good", v->good);
	put_count(s->to, "bad", v->bad);
	buf_char(s->to, '\n');
	return 0;
}

int rows_show(struct txn *t, struct arena *a, struct buf *to, struct err *e)
{
	struct show s = {.t = t, .a = a, .to = to, .cohort = SL("all"), .e = e};
	struct cohort all;
	int rc = standing_each(t, show_computer, &s, e);
	if (rc == E_OK)
		rc = s.rc;
	size_t from = to->n;
	if (rc == E_OK && cohort_get(t, COHORT_ALL, &all) == E_OK)
		show_cohort(&all, &s);
	if (rc == E_OK)
		rc = cohort_each(t, show_groups, &s, e);
	if (rc == E_OK)
		rc = s.rc;
	if (rc == E_OK)
		rc = activity_each(t, show_activity, &s, e);
	return rc == E_OK && to->n > from ? sort_lines(&s, from) : rc;
}
