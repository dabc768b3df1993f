/* report_html.c -- how the page looks; cmd_report_html.c gathers what is on it. */
#include "ctl/report_html.h"

#include "common/text.h"
#include "ctl/out.h"

/* ---- words ---- */

static const char head[] =
	"<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
	"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"referrer\" content=\"no-referrer\">\n";

static const char style[] =
	"<style>\n"
	":root{--back:#f4f5f7;--card:#fff;--text:#1c2430;--dim:#5b6675;--line:#dde1e7;--good:#2e8b57;--need:#e0a020;--bad:#c8402f;"
	"--none:#a3acb8;--wait:#4a7fc1}\n"
	"@media(prefers-color-scheme:dark){:root{--back:#14181f;--card:#1d232d;--text:#e6eaf0;--dim:#9aa5b4;--line:#323b48;--good:#4cb37b;"
	"--need:#e8b64a;--bad:#e2695a;--none:#6b7583;--wait:#78a6e0}}\n"
	"*{box-sizing:border-box}body{margin:0;background:var(--back);color:var(--text);font:15px/1.45 system-ui,\"Segoe UI\",sans-serif}\n"
	"main{max-width:1080px;margin:0 auto;padding:24px 20px 48px}h1{font-size:26px;margin:0}h2{font-size:17px;margin:0 0 12px}\n"
	".dim,caption{color:var(--dim)}.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(140px,1fr));gap:12px;margin:20px 0}\n"
	"section,.card{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:16px 18px}section{margin:0 0 16px}\n"
	".card b{display:block;font-size:28px;line-height:1.1}.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(380px,1fr));gap:16px}\n"
	".ring{display:flex;gap:24px;align-items:center}.ring svg{width:170px;height:170px;flex:none}.ring ul{list-style:none;margin:0;padding:0}\n"
	".key{display:inline-block;width:11px;height:11px;border-radius:3px;margin-right:8px}\n"
	"table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:5px 10px 5px 0;vertical-align:top;overflow-wrap:break-word}\n"
	"tr+tr>*,thead+tbody tr:first-child>*{border-top:1px solid var(--line)}thead th{color:var(--dim);font-weight:600}tbody th{font-weight:400;overflow-wrap:anywhere}\n"
	".n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums;width:1%;padding-right:12px}.bar{width:28%;min-width:90px}\n"
	".bar svg{display:block;width:100%;height:14px;border-radius:3px;margin-top:4px}text{fill:var(--text);font-weight:700}\n"
	".good{fill:var(--good);stroke:var(--good);background:var(--good)}.need{fill:var(--need);stroke:var(--need);background:var(--need)}\n"
	".bad{fill:var(--bad);stroke:var(--bad);background:var(--bad)}.none{fill:var(--none);stroke:var(--none);background:var(--none)}\n"
	".wait{fill:var(--wait);stroke:var(--wait);background:var(--wait)}.arc{fill:none;stroke-width:5}.bar rect{stroke:none}\n"
	"@media print{body{background:#fff}section,.card{break-inside:avoid}}@media(max-width:520px){.two{display:block}.ring{flex-wrap:wrap}}\n"
	"</style>\n";

/* Text of others: escaped, and isolated from the direction in which the text around it runs. */
static void foreign(struct buf *b, struct slice s)
{
	buf_str(b, "<bdi>");
	xml_escape_add(b, s.n ? s : SL("not known"));
	buf_str(b, "</bdi>");
}

static void number(struct buf *b, uint64_t n)
{
	char text[32];
	int len = snprintf(text, sizeof(text), "%ju", (uintmax_t)n);
	for (int i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			buf_str(b, "&#8239;");
		buf_char(b, text[i]);
	}
}

/* ---- parts of charts ---- */

struct part {
	const char *class, *word;
	uint64_t n;
};
enum { STATE_PARTS = 4 };

static void state_parts(struct part out[STATE_PARTS], const struct page_state *s)
{
	const struct part v[STATE_PARTS] = {
		{"good", "up to date", s->good},
		{"need", "need updates", s->needing},
		{"bad", "with failed updates", s->failed},
		{"none", "sent no status yet", s->silent},
	};
	memcpy(out, v, sizeof(v));
}

static uint64_t sum_of(const struct part *v, size_t n)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += v[i].n;
	return sum;
}

/* What a chart shows, for those who hear the page. */
static void label(struct buf *b, const struct part *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_printf(b, "%s%ju %s", i ? ", " : "", (uintmax_t)v[i].n, v[i].word);
}

/* A bar whose whole width is `whole`. */
static void bar(struct buf *b, const struct part *v, size_t n, uint64_t whole)
{
	uint64_t at = 0;
	buf_str(b, "<td class=\"bar\"><svg viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"");
	label(b, v, n);
	buf_str(b, "\">");
	for (size_t i = 0; i < n; i++) {
		uint64_t from = whole ? at * 1000 / whole : 0, to = whole ? (at + v[i].n) * 1000 / whole : 0;
		to = v[i].n && to == from ? from + 1 : to; /* one of many is to be seen, too */
		if (v[i].n)
			buf_printf(b, "<rect class=\"%s\" x=\"%ju\" y=\"0\" width=\"%ju\" height=\"10\"><title>%ju %s</title></rect>", v[i].class,
				(uintmax_t)from, (uintmax_t)(to - from), (uintmax_t)v[i].n, v[i].word);
		at += v[i].n;
	}
	buf_str(b, "</svg></td>");
}

/* An arc begins at the top: a circle of circumference 100 begins its strokes a quarter later. */
static void arcs(struct buf *b, const struct part *v, size_t n, uint64_t whole)
{
	double at = 0;
	for (size_t i = 0; i < n; i++) {
		double share = whole ? 100.0 * (double)v[i].n / (double)whole : 0;
		if (share > 0)
			buf_printf(b, "<circle class=\"arc %s\" cx=\"21\" cy=\"21\" r=\"15.9155\" stroke-dasharray=\"%.2f %.2f\" "
				"stroke-dashoffset=\"%.2f\"/>", v[i].class, share, 100 - share, 25 - at);
		at += share;
	}
}

static void ring(struct buf *b, const struct part *v, size_t n)
{
	uint64_t whole = sum_of(v, n);
	buf_str(b, "<div class=\"ring\"><svg viewBox=\"0 0 42 42\" role=\"img\" aria-label=\"");
	label(b, v, n);
	buf_str(b, "\">");
	arcs(b, v, n, whole);
	buf_printf(b, "<text x=\"21\" y=\"23.6\" text-anchor=\"middle\" font-size=\"7\">%ju%%</text></svg><ul>",
		(uintmax_t)(whole ? v[0].n * 100 / whole : 0));
	for (size_t i = 0; i < n; i++) {
		buf_printf(b, "<li><span class=\"key %s\"></span>", v[i].class);
		number(b, v[i].n);
		buf_printf(b, " %s</li>", v[i].word);
	}
	buf_str(b, "</ul></div>\n");
}

/* ---- parts of the page ---- */

static void section(struct buf *b, const char *title)
{
	buf_printf(b, "<section><h2>%s</h2>\n", title);
}

static void section_end(struct buf *b)
{
	buf_str(b, "</section>\n");
}

static void heads(struct buf *b, const char *const *v, size_t n)
{
	buf_str(b, "<table><thead><tr>");
	for (size_t i = 0; i < n; i++) {
		bool is_number = v[i][0] == '#';
		buf_printf(b, "<th scope=\"col\"%s>%s</th>", is_number ? " class=\"n\"" : "", v[i] + is_number);
	}
	buf_str(b, "</tr></thead><tbody>\n");
}

static void row_head(struct buf *b, struct slice s)
{
	buf_str(b, "<tr><th scope=\"row\">");
	foreign(b, s);
	buf_str(b, "</th>");
}

static void cell(struct buf *b, struct slice s)
{
	buf_str(b, "<td>");
	if (s.n)
		foreign(b, s);
	buf_str(b, "</td>");
}

static void cell_number(struct buf *b, uint64_t n)
{
	buf_str(b, "<td class=\"n\">");
	number(b, n);
	buf_str(b, "</td>");
}

static void table_end(struct buf *b, size_t left, const char *what, const char *command)
{
	buf_str(b, "</tbody></table>\n");
	if (left == 0)
		return;
	buf_str(b, "<p class=\"dim\">and ");
	number(b, left);
	buf_printf(b, " more %s: <code>%s</code></p>\n", what, command);
}

static void top(struct buf *b, struct arena *a, const struct page *p)
{
	char id[GUID_TEXT + 1];
	const struct summary *s = &p->summary;
	guid_text(&s->server.server_id, id);
	buf_str(b, "<h1>Updates on ");
	if (s->settings.server_name.n)
		foreign(b, s->settings.server_name);
	else
		buf_str(b, "this server's computers");
	buf_str(b, "</h1>\n<p class=\"dim\">");
	buf_slice(b, when_text(a, s->at));
	buf_printf(b, " UTC, as last reported &middot; server %s</p>\n", id);
	if (s->behind)
		buf_str(b, "<p>Computers changed groups a moment ago; the figures of groups do not have all of it yet.</p>\n");
}

static void cards(struct buf *b, const struct page *p)
{
	const struct summary *s = &p->summary;
	const struct {
		uint64_t n;
		const char *words;
	} v[] = {
		{s->all.computers, "computers"},
		{s->count[COUNT_NEEDED], "updates needed somewhere"},
		{s->count[COUNT_CLIENT_ERRORS], "updates that failed somewhere"},
		{s->all.pending, "computers wait for a restart"},
		{s->all.sync_failed, "computers whose last scan failed"},
		{s->stale, "computers silent for long"},
	};
	buf_str(b, "<div class=\"cards\">");
	for (size_t i = 0; i < COUNTOF(v); i++) {
		buf_str(b, "<div class=\"card\"><b>");
		number(b, v[i].n);
		buf_printf(b, "</b><span class=\"dim\">%s</span></div>", v[i].words);
	}
	buf_str(b, "</div>\n");
}

static void rings(struct buf *b, const struct page *p)
{
	struct part state[STATE_PARTS];
	const struct part age[] = {
		{"good", "within a day", p->age[AGE_DAY]},
		{"wait", "within a week", p->age[AGE_WEEK]},
		{"need", "within 30 days", p->age[AGE_MONTH]},
		{"none", "longer ago", p->age[AGE_OLDER]},
	};
	state_parts(state, &p->state);
	buf_str(b, "<div class=\"two\">");
	section(b, "Computers");
	ring(b, state, COUNTOF(state));
	section_end(b);
	section(b, "Last contact");
	ring(b, age, COUNTOF(age));
	section_end(b);
	buf_str(b, "</div>\n");
}

static void update_rows(struct buf *b, const struct update_rows *rows, uint64_t whole)
{
	for (size_t i = 0; i < rows->n; i++) {
		const struct update_row *u = &rows->v[i];
		const struct part v[] = {
			{"good", "have it", u->count.by[STATUS_INSTALLED]},
			{"wait", "wait for a restart", u->count.by[STATUS_PENDING_REBOOT]},
			{"need", "need it", (uint64_t)u->count.by[STATUS_NEEDED] + u->count.by[STATUS_DOWNLOADED]},
			{"bad", "failed", u->count.by[STATUS_FAILED]},
		};
		row_head(b, u->title);
		cell(b, u->kb);
		cell(b, u->severity.n ? u->severity : u->classification);
		buf_printf(b, "<td>%s</td>", u->approved ? "yes" : "no");
		bar(b, v, COUNTOF(v), whole);
		cell_number(b, v[2].n);
		cell_number(b, v[3].n);
		buf_str(b, "</tr>\n");
	}
}

static void updates(struct buf *b, const char *title, const struct update_rows *rows, uint64_t whole, const char *command)
{
	static const char *const names[] = {"Update", "KB", "Kind", "Approved", "Of all computers", "#Needed", "#Failed"};
	section(b, title);
	if (rows->n == 0) {
		buf_str(b, "<p class=\"dim\">None.</p>");
	} else {
		heads(b, names, COUNTOF(names));
		update_rows(b, rows, whole);
		table_end(b, rows->fit - rows->n, "updates", command);
	}
	section_end(b);
}

static void groups(struct buf *b, const struct page *p)
{
	static const char *const names[] = {"Group", "Computers of it and of the groups below", "#Computers", "#Need updates", "#Failed"};
	section(b, "Groups");
	heads(b, names, COUNTOF(names));
	for (size_t i = 0; i < p->ngroups; i++) {
		const struct page_group *g = &p->group[i];
		struct part v[STATE_PARTS];
		state_parts(v, &g->state);
		buf_printf(b, "<tr><th scope=\"row\" style=\"padding-left:%uem\">", MIN(g->depth, 8u));
		foreign(b, g->name);
		buf_str(b, "</th>");
		bar(b, v, COUNTOF(v), g->computers);
		cell_number(b, g->computers);
		cell_number(b, g->state.needing);
		cell_number(b, g->state.failed);
		buf_str(b, "</tr>\n");
	}
	table_end(b, p->groups_left, "groups", "wsusctl report group NAME");
	section_end(b);
}

static void named(struct buf *b, const char *title, const char *head_word, const struct named_count *v, size_t n)
{
	const char *const names[] = {head_word, "", "#Computers"};
	size_t shown = MIN(n, 12u);
	section(b, title);
	heads(b, names, COUNTOF(names));
	for (size_t i = 0; i < shown; i++) {
		const struct part part = {"wait", "computers", v[i].n};
		row_head(b, v[i].name);
		bar(b, &part, 1, v[0].n);
		cell_number(b, v[i].n);
		buf_str(b, "</tr>\n");
	}
	table_end(b, n - shown, "of them", "wsusctl report summary --limit 0");
	section_end(b);
}

static void trouble(struct buf *b, struct arena *a, const struct page *p)
{
	static const char *const names[] = {"Computer", "System", "Groups", "Last contact", "Last scan", "#Needed", "#Failed"};
	section(b, "Computers with failures");
	if (p->trouble.n == 0) {
		buf_str(b, "<p class=\"dim\">None.</p>");
		section_end(b);
		return;
	}
	heads(b, names, COUNTOF(names));
	for (size_t i = 0; i < p->trouble.n; i++) {
		const struct computer_row *r = &p->trouble.v[i];
		row_head(b, r->name.n ? r->name : r->id);
		cell(b, r->system);
		cell(b, r->groups);
		cell(b, when_text(a, r->last_seen));
		cell(b, sync_text(a, r->sync_result, r->sync_hresult));
		cell_number(b, (uint64_t)r->count[STATUS_NEEDED] + r->count[STATUS_DOWNLOADED]);
		cell_number(b, r->count[STATUS_FAILED]);
		buf_str(b, "</tr>\n");
	}
	table_end(b, p->trouble_left, "computers", "wsusctl report computers --sort failed");
	section_end(b);
}

static void counts(struct buf *b, const struct summary *s)
{
	static const char *const names[] = {"Updates and computers", "#Number"};
	section(b, "All counts");
	heads(b, names, COUNTOF(names));
	for (unsigned i = 0; i < SERVER_COUNT__N; i++) {
		bool below = count_names[i].title[0] == ' ';
		buf_printf(b, "<tr><th scope=\"row\"%s>", below ? " style=\"padding-left:1.5em\"" : "");
		xml_escape_add(b, text_trim(slice_of(count_names[i].title)));
		buf_str(b, "</th>");
		cell_number(b, s->count[i]);
		buf_str(b, "</tr>\n");
	}
	table_end(b, 0, "", "");
	section_end(b);
}

void page_write(struct buf *b, struct arena *a, const struct page *p)
{
	const struct summary *s = &p->summary;
	buf_str(b, head);
	buf_str(b, "<title>Updates, ");
	buf_slice(b, when_text(a, s->at));
	buf_str(b, "</title>\n");
	buf_str(b, style);
	buf_str(b, "</head>\n<body>\n<main>\n");
	top(b, a, p);
	cards(b, p);
	rings(b, p);
	updates(b, "Most needed updates", &p->needed, s->all.computers, "wsusctl report updates --needed");
	updates(b, "Updates that failed", &p->failed, s->all.computers, "wsusctl report updates --failed");
	groups(b, p);
	buf_str(b, "<div class=\"two\">");
	named(b, "Operating systems", "System", s->system, s->nsystem);
	if (s->nerror)
		named(b, "Why scans failed", "Error", s->error, s->nerror);
	buf_str(b, "</div>\n");
	trouble(b, a, p);
	counts(b, s);
	buf_str(b, "</main>\n</body>\n</html>\n");
}
