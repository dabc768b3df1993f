/* out.c -- tables, JSON and CSV from the same calls. */
#include "ctl/out.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/err.h"
#include "common/text.h"

#define OUT_MAX ((size_t)1 << 30)

struct out_row {
	struct out_row *next;
	struct slice cell[];
};

static unsigned terminal_width(void)
{
	struct winsize ws;
	if (!isatty(STDOUT_FILENO))
		return 0;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col >= 20)
		return ws.ws_col;
	return 80;
}

void out_init(struct out *o, enum out_form form, struct arena *a)
{
	*o = (struct out){.form = form, .a = a, .width = form == OUT_TEXT ? terminal_width() : 0};
	buf_init(&o->b, OUT_MAX);
}

bool out_flush(struct out *o)
{
	errno = o->b.rc == E_OK ? 0 : ENOMEM;
	bool ok = o->b.rc == E_OK && (o->b.n == 0 || fwrite(o->b.p, 1, o->b.n, stdout) == o->b.n);
	ok = ok && fflush(stdout) == 0 && !ferror(stdout);
	buf_reset(&o->b);
	return ok;
}

void out_free(struct out *o)
{
	buf_free(&o->b);
}

/* ---- values as text ---- */

struct slice when_text(struct arena *a, tick_t t)
{
	char text[TIME_TEXT + 1];
	if (t == 0)
		return SL("never");
	time_text(t, text);
	return arena_printf(a, "%.10s %.5s", text, text + 11);
}

static struct slice number_for_people(struct out *o, enum cell kind, int64_t v)
{
	switch (kind) {
	case CELL_BYTES:
		return bytes_text(o->a, (uint64_t)v);
	case CELL_TIME:
		return when_text(o->a, v);
	case CELL_BOOL:
		return v ? SL("yes") : SL("no");
	default:
		return arena_printf(o->a, "%lld", (long long)v);
	}
}

static struct slice number_for_programs(struct out *o, enum cell kind, int64_t v)
{
	char text[TIME_TEXT + 1];
	const char *quote = o->form == OUT_JSON ? "\"" : "";
	if (kind == CELL_BOOL)
		return v ? SL("true") : SL("false");
	if (kind == CELL_TIME) {
		if (v == 0)
			return o->form == OUT_JSON ? SL("null") : SL("");
		time_text(v, text);
		return arena_printf(o->a, "%s%s%s", quote, text, quote);
	}
	return arena_printf(o->a, "%lld", (long long)v);
}

static struct slice rendered(struct out *o, struct slice s, void (*add)(struct buf *, struct slice))
{
	struct buf b;
	buf_init(&b, OUT_MAX);
	add(&b, s);
	struct slice r = arena_copy(o->a, buf_bytes(&b));
	buf_free(&b);
	return r;
}

/* What a spreadsheet would take for a formula; blanks in front of it do not hide it from all of them. */
static bool is_formula(struct slice s)
{
	size_t i = 0;
	while (i < s.n && s.p[i] == ' ')
		i++;
	return i < s.n && strchr("=+-@", s.p[i]) != NULL;
}

/* RFC 4180; a row is a line, as control characters are shown like in tables. */
static void csv_text_add(struct buf *b, struct slice s)
{
	struct buf safe;
	buf_init(&safe, OUT_MAX);
	text_safe_add(&safe, s);
	struct slice v = buf_bytes(&safe);
	bool quoted = v.n && (memchr(v.p, ',', v.n) || memchr(v.p, '"', v.n) || v.p[0] == ' ' || v.p[v.n - 1] == ' ');
	buf_str(b, quoted ? "\"" : "");
	buf_str(b, is_formula(v) ? "'" : "");
	while (v.p) {
		buf_slice(b, text_cut(&v, '"'));
		buf_str(b, v.p ? "\"\"" : "");
	}
	buf_str(b, quoted ? "\"" : "");
	b->rc = b->rc == E_OK ? safe.rc : b->rc;
	buf_free(&safe);
}

static const struct {
	struct slice absent;
	void (*add)(struct buf *, struct slice);
} texts[] = {
	[OUT_TEXT] = {{"-", 1}, text_safe_add},
	[OUT_JSON] = {{"null", 4}, json_string_add},
	[OUT_CSV] = {{"", 0}, csv_text_add},
};

/* ---- placing values ---- */

static void add_cell(struct out *o, struct slice s)
{
	if (o->at == 0) {
		struct out_row *row = arena_alloc(o->a, 1, sizeof(*row) + o->ncol * sizeof(row->cell[0]));
		if (!row) {
			o->b.rc = E_NOMEM;
			return;
		}
		*(o->last ? &o->last->next : &o->first) = row;
		o->last = row;
	}
	o->last->cell[o->at] = s;
	o->at = (o->at + 1) % o->ncol;
}

static void add_value(struct out *o, struct slice s)
{
	if (o->col)
		add_cell(o, s);
	else if (o->form == OUT_JSON)
		buf_slice(&o->b, s);
	else if (o->nfield > 0)
		o->value[o->nfield - 1] = s;
}

void out_text(struct out *o, struct slice s)
{
	add_value(o, s.p ? rendered(o, s, texts[o->form].add) : texts[o->form].absent);
}

void out_str(struct out *o, const char *z)
{
	out_text(o, slice_of(z));
}

void out_number(struct out *o, int64_t v)
{
	enum cell kind = o->col ? o->col[o->at].kind : o->field_kind;
	add_value(o, o->form == OUT_TEXT ? number_for_people(o, kind, v) : number_for_programs(o, kind, v));
}

void out_counted(struct out *o, bool known, int64_t v)
{
	if (known)
		out_number(o, v);
	else
		out_text(o, SL0);
}

void out_field_text(struct out *o, const char *key, const char *title, struct slice s)
{
	out_field(o, key, title, CELL_TEXT);
	out_text(o, s.n ? s : SL0);
}

void out_field_number(struct out *o, const char *key, const char *title, enum cell kind, int64_t v)
{
	out_field(o, key, title, kind);
	out_number(o, v);
}

/* ---- tables ---- */

/* Columns on a screen: code points, which is right for all but wide East Asian characters. */
static size_t display_width(struct slice s)
{
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++)
		n += (s.p[i] & 0xC0) != 0x80;
	return n;
}

static struct slice cut_to(struct slice s, size_t width)
{
	size_t n = 0, i = 0;
	for (; i < s.n && n < width; n++) {
		i++;
		while (i < s.n && (s.p[i] & 0xC0) == 0x80)
			i++;
	}
	return (struct slice){s.p, i};
}

static void put_spaces(struct out *o, size_t n)
{
	static const char blanks[] = "                                ";
	for (size_t k; n; n -= k) {
		k = MIN(n, sizeof(blanks) - 1);
		buf_add(&o->b, blanks, k);
	}
}

#define HIDDEN SIZE_MAX /* as a width: the column is not in the rows */
#define CUT_WANTS 24
#define CUT_LEAST 8
#define BELOW_INDENT 4

static void put_cell(struct out *o, struct slice s, size_t width, enum cell kind, bool last)
{
	bool right = kind == CELL_NUMBER || kind == CELL_BYTES;
	size_t have = display_width(s);
	if (have > width) {
		buf_slice(&o->b, cut_to(s, width - 1));
		buf_str(&o->b, "\xE2\x80\xA6");
		have = width;
	} else {
		put_spaces(o, right ? width - have : 0);
		buf_slice(&o->b, s);
	}
	if (!last)
		put_spaces(o, right ? 2 : width - have + 2);
}

static void measure(const struct out *o, size_t *width)
{
	for (unsigned c = 0; c < o->ncol; c++)
		width[c] = display_width(slice_of(o->col[c].title));
	for (const struct out_row *r = o->first; r; r = r->next) /* each once: a list may be larger than the cache */
		for (unsigned c = 0; c < o->ncol; c++)
			width[c] = MAX(width[c], display_width(r->cell[c]));
}

/* What the rows take if columns that can be cut are cut to `cut` characters where they are wider. */
static size_t total_width(const struct out *o, const size_t *width, size_t cut)
{
	size_t total = 0;
	for (unsigned c = 0; c < o->ncol; c++)
		if (width[c] != HIDDEN)
			total += 2 + (o->col[c].fit == FIT_CUT ? MIN(width[c], cut) : width[c]);
	return total ? total - 2 : 0;
}

/* Hides columns of this kind, the last first, until the rest fits with `cut` characters for those to be cut. */
static void hide(const struct out *o, size_t *width, enum fit fit, size_t cut)
{
	for (unsigned c = o->ncol; c-- > 0 && total_width(o, width, cut) > o->width;)
		if (o->col[c].fit == fit)
			width[c] = HIDDEN;
}

/* Takes what is too much from the widest column that can be cut, again and again. */
static void cut_columns(const struct out *o, size_t *width)
{
	while (total_width(o, width, SIZE_MAX) > o->width) {
		unsigned widest = o->ncol;
		for (unsigned c = 0; c < o->ncol; c++)
			if (o->col[c].fit == FIT_CUT && width[c] != HIDDEN && width[c] > CUT_LEAST &&
				(widest == o->ncol || width[c] > width[widest]))
				widest = c;
		if (widest == o->ncol)
			return;
		width[widest]--;
	}
}

static void fit(const struct out *o, size_t *width)
{
	if (!o->width)
		return;
	hide(o, width, FIT_BELOW, SIZE_MAX);
	hide(o, width, FIT_DROP, CUT_WANTS);
	cut_columns(o, width);
}

/* As many words of *s as fit into width, and *s becomes the rest. */
static struct slice take_line(struct slice *s, size_t width)
{
	struct slice line = cut_to(*s, width);
	if (line.n < s->n && s->p[line.n] != ' ') {
		size_t n = line.n;
		while (n && line.p[n - 1] != ' ')
			n--;
		line.n = n ? n : line.n;
	}
	*s = (struct slice){s->p + line.n, s->n - line.n};
	while (s->n && s->p[0] == ' ')
		*s = (struct slice){s->p + 1, s->n - 1};
	while (line.n && line.p[line.n - 1] == ' ')
		line.n--;
	return line;
}

static void put_row(struct out *o, const struct slice *cell, const size_t *width)
{
	unsigned last = 0;
	for (unsigned c = 0; c < o->ncol; c++)
		last = width[c] != HIDDEN ? c : last;
	for (unsigned c = 0; c < o->ncol; c++)
		if (width[c] != HIDDEN)
			put_cell(o, cell[c], width[c], o->col[c].kind, c == last);
	buf_char(&o->b, '\n');
}

static void put_below(struct out *o, const struct slice *cell, const size_t *width)
{
	for (unsigned c = 0; c < o->ncol; c++) {
		struct slice rest = cell[c];
		if (o->col[c].fit != FIT_BELOW || width[c] != HIDDEN)
			continue;
		while (rest.n) {
			put_spaces(o, BELOW_INDENT);
			buf_slice(&o->b, take_line(&rest, o->width - BELOW_INDENT));
			buf_char(&o->b, '\n');
		}
	}
}

static void print_table(struct out *o)
{
	size_t *width = ARENA_ARRAY(o->a, size_t, o->ncol);
	struct slice *title = ARENA_ARRAY(o->a, struct slice, o->ncol);
	if (!width || !title) {
		o->b.rc = E_NOMEM;
		return;
	}
	for (unsigned c = 0; c < o->ncol; c++)
		title[c] = slice_of(o->col[c].title);
	measure(o, width);
	fit(o, width);
	put_row(o, title, width);
	for (const struct out_row *r = o->first; r; r = r->next) {
		put_row(o, r->cell, width);
		put_below(o, r->cell, width);
	}
}

static void put_row_json(struct out *o, const struct out_row *r)
{
	for (unsigned c = 0; c < o->ncol; c++) {
		buf_printf(&o->b, "%s\"%s\": ", c ? ", " : "{", o->col[c].key);
		buf_slice(&o->b, r->cell[c]);
	}
	buf_char(&o->b, '}');
}

static void print_rows_json(struct out *o)
{
	buf_char(&o->b, '[');
	for (const struct out_row *r = o->first; r; r = r->next) {
		buf_str(&o->b, r == o->first ? "\n" : ",\n");
		put_row_json(o, r);
	}
	buf_str(&o->b, o->first ? "\n]" : "]");
}

static void put_csv(struct out *o, const struct slice *cell, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		buf_str(&o->b, i ? "," : "");
		buf_slice(&o->b, cell[i]);
	}
	buf_str(&o->b, "\r\n");
}

static void print_rows_csv(struct out *o)
{
	for (unsigned c = 0; c < o->ncol; c++)
		buf_printf(&o->b, "%s%s", c ? "," : "", o->col[c].key);
	buf_str(&o->b, "\r\n");
	for (const struct out_row *r = o->first; r; r = r->next)
		put_csv(o, r->cell, o->ncol);
}

void out_list_begin(struct out *o, const struct column *col, unsigned ncol)
{
	o->col = col;
	o->ncol = ncol;
	o->at = 0;
	o->first = o->last = NULL;
}

static void close_list(struct out *o)
{
	ASSERT(o->at == 0);
	if (o->form == OUT_JSON)
		print_rows_json(o);
	else if (o->form == OUT_CSV)
		print_rows_csv(o);
	else if (o->first)
		print_table(o);
	else
		buf_str(&o->b, "none\n");
	o->col = NULL;
}

void out_list_end(struct out *o)
{
	close_list(o);
	if (o->form == OUT_JSON)
		buf_char(&o->b, '\n');
}

static void put_line(struct out *o, const struct out_row *r)
{
	for (unsigned c = 0; c < o->ncol; c++) {
		buf_str(&o->b, c ? "  " : "");
		buf_slice(&o->b, r->cell[c]);
	}
}

void out_lines_end(struct out *o)
{
	ASSERT(o->at == 0);
	for (const struct out_row *r = o->first; r; r = r->next) {
		if (o->form == OUT_JSON)
			put_row_json(o, r);
		else
			put_line(o, r);
		buf_char(&o->b, '\n');
	}
	o->col = NULL;
}

/* ---- objects ---- */

void out_object_begin(struct out *o)
{
	o->fields = false;
	o->nfield = 0;
	o->main = NULL;
	if (o->form == OUT_JSON)
		buf_char(&o->b, '{');
}

void out_object_main(struct out *o, const char *key)
{
	o->main = key;
}

static void flush_fields(struct out *o)
{
	size_t width = 0;
	for (size_t i = 0; i < o->nfield; i++)
		width = MAX(width, o->label[i].n);
	for (size_t i = 0; i < o->nfield; i++) {
		buf_printf(&o->b, "%-*.*s  ", (int)width, SLF(o->label[i]));
		buf_slice(&o->b, o->value[i]);
		buf_char(&o->b, '\n');
	}
	o->nfield = 0;
}

static void json_member(struct out *o, const char *key)
{
	buf_printf(&o->b, "%s\n\"%s\": ", o->fields ? "," : "", key);
	o->fields = true;
}

void out_object_end(struct out *o)
{
	if (o->form == OUT_JSON)
		buf_str(&o->b, "\n}\n");
	else if (o->form == OUT_TEXT)
		flush_fields(o);
	else if (!o->main) {
		put_csv(o, o->label, o->nfield);
		put_csv(o, o->value, o->nfield);
	}
}

static bool field_room(struct out *o)
{
	if (o->nfield < o->field_cap)
		return true;
	size_t cap = o->field_cap ? o->field_cap * 2 : 32;
	struct slice *label = ARENA_ARRAY(o->a, struct slice, cap), *value = ARENA_ARRAY(o->a, struct slice, cap);
	if (!label || !value) {
		o->b.rc = E_NOMEM;
		return false;
	}
	for (size_t i = 0; i < o->nfield; i++) {
		label[i] = o->label[i];
		value[i] = o->value[i];
	}
	o->label = label;
	o->value = value;
	o->field_cap = cap;
	return true;
}

void out_field(struct out *o, const char *key, const char *title, enum cell kind)
{
	o->field_kind = kind;
	if (o->form == OUT_JSON) {
		json_member(o, key);
	} else if (field_room(o)) {
		o->label[o->nfield] = slice_of(o->form == OUT_CSV ? key : title);
		o->value[o->nfield++] = SL0;
	}
}

void out_sub_begin(struct out *o, const char *key, const char *title, const struct column *col, unsigned ncol)
{
	if (o->form == OUT_JSON) {
		json_member(o, key);
	} else if (o->form == OUT_TEXT) {
		flush_fields(o);
		buf_printf(&o->b, "\n%s\n", title);
	}
	o->skipped = o->form == OUT_CSV && !(o->main && strcmp(key, o->main) == 0);
	out_list_begin(o, col, ncol);
}

void out_sub_end(struct out *o)
{
	if (o->skipped)
		o->col = NULL;
	else
		close_list(o);
}
