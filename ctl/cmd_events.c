/* cmd_events.c -- what a computer reported, event by event: `wsusctl computer events`. */
#include "common/event.h"
#include "common/text.h"
#include "ctl/client_error.h"
#include "ctl/cmd.h"
#include "store/report.h"

enum { LAST_USUAL = 200, LAST_MOST = 100000 };
#define TEXT_MAX ((size_t)64 << 10)

/* People see the first few, programs all. */
static const struct column columns[] = {
	{"at", "WHEN", CELL_TIME, FIT_WHOLE},
	{"what", "WHAT", CELL_TEXT, FIT_CUT},
	{"kb", "KB", CELL_TEXT, FIT_WHOLE},
	{"title", "UPDATE", CELL_TEXT, FIT_CUT},
	{"hresult", "HRESULT", CELL_TEXT, FIT_WHOLE},
	{"result", "RESULT", CELL_TEXT, FIT_CUT},
	{"event", "", CELL_NUMBER, FIT_WHOLE},
	{"name", "", CELL_TEXT, FIT_WHOLE},
	{"group", "", CELL_TEXT, FIT_WHOLE},
	{"namespace", "", CELL_NUMBER, FIT_WHOLE},
	{"source", "", CELL_NUMBER, FIT_WHOLE},
	{"source_name", "", CELL_TEXT, FIT_WHOLE},
	{"instance", "", CELL_TEXT, FIT_WHOLE},
	{"received", "", CELL_TIME, FIT_WHOLE},
	{"update", "", CELL_TEXT, FIT_WHOLE},
	{"revision", "", CELL_NUMBER, FIT_WHOLE},
	{"application", "", CELL_TEXT, FIT_WHOLE},
	{"device", "", CELL_TEXT, FIT_WHOLE},
	{"strings", "", CELL_TEXT, FIT_WHOLE},
	{"misc", "", CELL_TEXT, FIT_WHOLE},
};
enum { FOR_PEOPLE = 6 };

static const struct event_info *known(const struct event *v)
{
	return v->name_space == 1 ? event_find(v->id) : NULL;
}

static struct slice what(struct ctl *c, const struct event *v)
{
	const struct event_info *info = known(v);
	if (info)
		return event_text(&c->arena, info, v->strings, v->nstrings);
	return v->name_space == 1 ? arena_printf(&c->arena, "event %d", v->id)
				  : arena_printf(&c->arena, "event %d of namespace %d", v->id, (int)v->name_space);
}

/* The revision that it names, or another of the update; empty texts: the server holds none. */
static struct revision revision_of(struct ctl *c, const struct event *v)
{
	struct revision r;
	int32_t id;
	if (guid_is_zero(&v->update))
		return (struct revision){0};
	if (revision_find(c->txn, &v->update, v->revision, &id) != E_OK && revision_find(c->txn, &v->update, 0, &id) != E_OK)
		return (struct revision){0};
	return revision_get(c->txn, id, &r, NULL) == E_OK ? r : (struct revision){0};
}

static struct slice guid_cell(struct ctl *c, const struct guid *g)
{
	char text[GUID_TEXT + 1];
	guid_text(g, text);
	return guid_is_zero(g) ? SL0 : arena_copy(&c->arena, slice_of(text));
}

static struct slice some(struct slice s)
{
	return s.n ? s : SL0;
}

/* With the tag's name, where it has one. */
static void add_misc(struct buf *b, struct slice s)
{
	struct slice tag, value;
	const struct event_tag *t = event_tag_split(s, &tag, &value) && tag.n == 1 ? event_tag_find(tag.p[0]) : NULL;
	if (!t) {
		buf_slice(b, s);
		return;
	}
	buf_printf(b, "%s=", t->name);
	buf_slice(b, value);
}

static void add_string(struct buf *b, struct slice s)
{
	buf_slice(b, s);
}

static struct slice joined(struct ctl *c, const struct slice *v, size_t n, void (*add)(struct buf *, struct slice))
{
	struct buf b;
	buf_init(&b, TEXT_MAX);
	for (size_t i = 0; i < n; i++) {
		buf_str(&b, i ? "; " : "");
		add(&b, v[i]);
	}
	struct slice s = arena_copy(&c->arena, buf_bytes(&b));
	buf_free(&b);
	return some(s);
}

static void put_result(struct ctl *c, int32_t hresult)
{
	const struct client_error *k = client_error_find((uint32_t)hresult);
	out_text(&c->out, hresult ? arena_printf(&c->arena, "0x%08X", (unsigned)hresult) : SL0);
	out_text(&c->out, hresult && k ? slice_of(k->means) : SL0);
}

static void put_rest(struct ctl *c, const struct event *v)
{
	const struct event_info *info = known(v);
	const char *source = event_source_name(v->source);
	out_number(&c->out, v->id);
	out_text(&c->out, info ? slice_of(info->name) : SL0);
	out_text(&c->out, info ? slice_of(event_group_names[info->group]) : SL0);
	out_number(&c->out, v->name_space);
	out_number(&c->out, v->source);
	out_text(&c->out, source ? slice_of(source) : SL0);
	out_text(&c->out, guid_cell(c, &v->instance));
	out_number(&c->out, v->received);
	out_text(&c->out, guid_cell(c, &v->update));
	out_number(&c->out, v->revision);
	out_text(&c->out, some(v->app));
	out_text(&c->out, some(v->device));
	out_text(&c->out, joined(c, v->strings, v->nstrings, add_string));
	out_text(&c->out, joined(c, v->misc, v->nmisc, add_misc));
}

static void put_event(struct ctl *c, const struct event *v)
{
	struct revision r = revision_of(c, v);
	out_number(&c->out, v->at);
	out_text(&c->out, some(what(c, v)));
	out_text(&c->out, some(r.kb));
	out_text(&c->out, some(r.title));
	put_result(c, v->hresult);
	if (c->json)
		put_rest(c, v);
}

static int take_options(struct ctl *c, tick_t *since, int32_t *last)
{
	const char *text = ctl_option(c, "since"), *n = ctl_option(c, "last");
	*since = INT64_MIN;
	*last = text ? LAST_MOST : LAST_USUAL;
	if (n && (!text_i32(slice_of(n), last) || *last < 1 || *last > LAST_MOST))
		return err_set(&c->err, E_USAGE, "--last wants a number from 1 to %d, not %s", LAST_MOST, n);
	return text ? name_past(c, text, since) : E_OK;
}

static int run_events(struct ctl *c)
{
	struct slice id;
	struct event *v;
	size_t n = 0;
	tick_t since;
	int32_t last;
	int rc = take_options(c, &since, &last);
	if (rc == E_OK)
		rc = name_computer(c, c->pos[0], &id);
	if (rc == E_OK)
		rc = events_of(c->txn, id, (size_t)last, &v, &n, &c->err);
	if (rc != E_OK)
		return rc;
	out_list_begin(&c->out, columns, c->json ? COUNTOF(columns) : FOR_PEOPLE);
	for (size_t i = 0; i < n && v[i].at >= since; i++)
		put_event(c, &v[i]);
	out_list_end(&c->out);
	if (n == LAST_USUAL && last == LAST_USUAL && !ctl_option(c, "last") && !c->json && out_flush(&c->out))
		ctl_say(c, "These are the newest %zu; --last N or --since TIME shows more.", n);
	return E_OK;
}

static const struct option_row events_options[] = {
	{"since", "TIME", "from then on: 1h, 30m, 7d (ago), 2026-11-22, 2026-11-22T18:00 (UTC)"},
	{"last", "N", "at most the newest N (200; with --since 100000)"},
	OPTION_CSV,
	{0},
};

const struct command event_commands[] = {
	{"computer", "events", "COMPUTER", "what a computer reported, the newest first", 1, 1, NEED_READ, events_options, run_events, NULL,
		"Kept for report.event-days.  With --json and --csv all that is kept of each."},
	{0},
};
