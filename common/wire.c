/* wire.c -- one table by kind: how a field is read and written.  Nothing else walks messages. */
#include "common/wire.h"

#include "common/arena.h"
#include "common/limits.h"
#include "common/text.h"
#include "common/xml.h"

#define XSI "http://www.w3.org/2001/XMLSchema-instance"

/* Longest text of a number, a GUID, a time, with white space around it. */
#define SCALAR_TEXT 256
/* White space that base64 of a given size may hold on top. */
#define BASE64_SPACE 1024

struct reader {
	struct xml *x;
	struct arena *a;
	struct err *e;
	struct buf text; /* of the element being read */
};

/* ---- reading: errors ---- */

static int xml_fault(struct reader *r)
{
	return xml_failed(r->x, r->e);
}

static int no_memory(struct reader *r)
{
	return err_set(r->e, E_NOMEM, "no memory for the request");
}

static int invalid(struct reader *r, struct slice name)
{
	return err_set(r->e, E_INVALID_PARAMETERS, "%.*s", SLF(name));
}

/* Names the field on the way up. */
static int within(struct reader *r, int rc, struct slice name)
{
	return rc == E_INVALID_PARAMETERS ? err_at(r->e, rc, "%.*s.", SLF(name)) : rc;
}

/* ---- reading: texts ---- */

/* Reads the text of the element just opened, up to and including its close, into r->text. */
static int read_text(struct reader *r, struct slice name, size_t max)
{
	buf_reset(&r->text);
	int rc = xml_read_text(r->x, &r->text);
	if (r->text.rc == E_NOMEM)
		return no_memory(r);
	if (r->text.rc == E_LIMIT || r->text.n > max)
		return invalid(r, name);
	return rc == E_OK ? E_OK : xml_fault(r);
}

static bool keep_text(struct reader *r, struct slice *out)
{
	*out = arena_copy(r->a, buf_bytes(&r->text));
	return out->p != NULL;
}

static bool parse_bool(struct reader *r, void *to)
{
	return text_bool(buf_bytes(&r->text), to);
}

static bool parse_int(struct reader *r, void *to)
{
	return text_i32(buf_bytes(&r->text), to);
}

static bool parse_short(struct reader *r, void *to)
{
	int32_t v;
	bool ok = text_i32(buf_bytes(&r->text), &v) && v >= INT16_MIN && v <= INT16_MAX;
	if (ok)
		*(int32_t *)to = v;
	return ok;
}

static bool parse_ubyte(struct reader *r, void *to)
{
	int32_t v;
	bool ok = text_i32(buf_bytes(&r->text), &v) && v >= 0 && v <= UINT8_MAX;
	if (ok)
		*(int32_t *)to = v;
	return ok;
}

static bool parse_long(struct reader *r, void *to)
{
	return text_i64(buf_bytes(&r->text), to);
}

static bool parse_time(struct reader *r, void *to)
{
	return text_time(buf_bytes(&r->text), to);
}

static bool parse_guid(struct reader *r, void *to)
{
	return text_guid(buf_bytes(&r->text), to);
}

static bool parse_base64(struct reader *r, void *to)
{
	return text_base64(buf_bytes(&r->text), r->a, to);
}

static bool parse_string(struct reader *r, void *to)
{
	return keep_text(r, to);
}

/* How one value is read, be it a field or a list's item. */
struct scalar {
	bool (*parse)(struct reader *r, void *to);
	size_t size; /* of the C value */
};
static const struct scalar scalars[W__MAX] = {
	[W_BOOL] = {parse_bool, sizeof(bool)},
	[W_INT] = {parse_int, sizeof(int32_t)},
	[W_SHORT] = {parse_short, sizeof(int32_t)},
	[W_UBYTE] = {parse_ubyte, sizeof(int32_t)},
	[W_LONG] = {parse_long, sizeof(int64_t)},
	[W_TIME] = {parse_time, sizeof(tick_t)},
	[W_STR] = {parse_string, sizeof(struct slice)},
	[W_GUID] = {parse_guid, sizeof(struct guid)},
	[W_B64] = {parse_base64, sizeof(struct slice)},
};

static int parse(struct reader *r, struct slice name, enum wkind kind, void *to)
{
	if (scalars[kind].parse(r, to))
		return E_OK;
	return r->a->failed ? no_memory(r) : invalid(r, name);
}

static int read_scalar(struct reader *r, const struct wfield *f, void *to)
{
	int rc = read_text(r, f->name, SCALAR_TEXT);
	return rc == E_OK ? parse(r, f->name, f->kind, to) : rc;
}

static int read_string(struct reader *r, const struct wfield *f, void *to)
{
	int rc = read_text(r, f->name, f->max);
	return rc == E_OK ? parse(r, f->name, W_STR, to) : rc;
}

static int read_base64(struct reader *r, const struct wfield *f, void *to)
{
	struct slice *out = to, got;
	int rc = read_text(r, f->name, (size_t)f->max * 2 + BASE64_SPACE);
	if (rc == E_OK)
		rc = parse(r, f->name, W_B64, &got);
	if (rc == E_OK && got.n > f->max)
		rc = invalid(r, f->name);
	if (rc == E_OK)
		*out = got;
	return rc;
}

/* A fragment keeps its references, so that it can be written as it came; CDATA is brought to that form. */
static int read_frag(struct reader *r, const struct wfield *f, void *to)
{
	struct frag *out = to;
	enum xml_tok t;
	buf_reset(&r->text);
	while ((t = xml_next(r->x)) == XML_TEXT)
		if (xml_text_is_cdata(r->x))
			xml_escape_add(&r->text, xml_text(r->x));
		else
			buf_slice(&r->text, xml_text(r->x));
	if (t == XML_BAD)
		return xml_fault(r);
	if (t == XML_OPEN || r->text.rc == E_LIMIT || r->text.n > f->max)
		return invalid(r, f->name);
	struct piece *p = ARENA_NEW(r->a, struct piece);
	if (!p || r->text.rc != E_OK || !keep_text(r, &p->bytes))
		return no_memory(r);
	p->plain = (uint32_t)p->bytes.n;
	*out = (struct frag){p, 1};
	return E_OK;
}

/* ---- reading: messages and lists ---- */

static int read_message(struct reader *r, const struct wtype *t, void *out);

static int read_sub(struct reader *r, const struct wfield *f, void *to)
{
	void *m = arena_alloc(r->a, 1, f->sub->size);
	if (!m)
		return no_memory(r);
	int rc = read_message(r, f->sub, m);
	if (rc == E_OK)
		memcpy(to, &m, sizeof(m));
	return within(r, rc, f->name);
}

/* xsi:nil counts as absent, TRANSPORT-19; other attributes say nothing to us, TRANSPORT-20. */
static bool is_nil(const struct xml *x)
{
	bool nil = false;
	const struct xml_attr *a = xml_nattr(x) ? xml_find_attr(x, SL(XSI), SL("nil")) : NULL;
	return a && text_bool(a->raw, &nil) && nil;
}

/* A list under construction; all list structs of wire.h have the shape of wlist. */
struct growing {
	char *v;
	size_t n, cap, size;
};

static bool grow(struct reader *r, struct growing *g)
{
	char *v = arena_more(r->a, g->v, g->n, &g->cap, g->size);
	if (!v)
		return false;
	g->v = v;
	return true;
}

/* Reads the item just opened into the list's next place. */
typedef int read_item(struct reader *r, const struct wfield *f, void *to);

static int item_message(struct reader *r, const struct wfield *f, void *to)
{
	return within(r, read_message(r, f->sub, to), f->name);
}

static int item_string(struct reader *r, const struct wfield *f, void *to)
{
	/* bounded by the request's size, the list as a whole by the request's memory */
	int rc = read_text(r, f->name, SIZE_MAX);
	return rc == E_OK ? parse(r, f->name, W_STR, to) : rc;
}

static int item_base64(struct reader *r, const struct wfield *f, void *to)
{
	int rc = read_text(r, f->name, SIZE_MAX);
	return rc == E_OK ? parse(r, f->name, W_B64, to) : rc;
}

static int item_int(struct reader *r, const struct wfield *f, void *to)
{
	int rc = read_text(r, f->name, SCALAR_TEXT);
	return rc == E_OK ? parse(r, f->name, W_INT, to) : rc;
}

static int item_guid(struct reader *r, const struct wfield *f, void *to)
{
	int rc = read_text(r, f->name, SCALAR_TEXT);
	return rc == E_OK ? parse(r, f->name, W_GUID, to) : rc;
}

static const struct {
	read_item *read;
	size_t size; /* 0: the sub-message's */
} items[W__MAX] = {
	[W_LIST] = {item_message, 0},
	[W_INTS] = {item_int, sizeof(int32_t)},
	[W_STRS] = {item_string, sizeof(struct slice)},
	[W_GUIDS] = {item_guid, sizeof(struct guid)},
	[W_B64S] = {item_base64, sizeof(struct slice)},
};

static int add_item(struct reader *r, const struct wfield *f, struct growing *g)
{
	if (g->n == f->max)
		return invalid(r, f->name);
	if (g->n == g->cap && !grow(r, g))
		return no_memory(r);
	int rc = items[f->kind].read(r, f, g->v + g->n * g->size);
	if (rc == E_OK)
		g->n++;
	return rc;
}

/* Room for all numbers that can follow, at once: a list that grows as it is read is copied and cleared several times
 * over.  What can follow shrinks as items are read, so that this happens once. */
static bool reserve(struct reader *r, struct growing *g, size_t room)
{
	if (room <= g->cap)
		return true;
	char *v = arena_alloc(r->a, room, g->size);
	if (!v)
		return false;
	memcpy(v, g->v, g->n * g->size);
	g->v = v;
	g->cap = room;
	return true;
}

/* Numbers that follow one like it come in runs, straight from the scanner. */
static int add_run(struct reader *r, const struct wfield *f, struct growing *g)
{
	if (!reserve(r, g, MIN(g->n + xml_ints_most(r->x), (size_t)f->max)))
		return no_memory(r);
	g->n += xml_ints(r->x, (int32_t *)(void *)g->v + g->n, MIN(g->cap, (size_t)f->max) - g->n);
	return E_OK;
}

static int read_item_or_skip(struct reader *r, const struct wfield *f, struct growing *g)
{
	if (is_nil(r->x) || !slice_eq(xml_name(r->x), slice_of(f->item)))
		return xml_skip(r->x) == E_OK ? E_OK : xml_fault(r);
	int rc = add_item(r, f, g);
	return rc == E_OK && f->kind == W_INTS ? add_run(r, f, g) : rc;
}

static int read_list(struct reader *r, const struct wfield *f, void *to)
{
	struct growing g = {.size = items[f->kind].size ? items[f->kind].size : f->sub->size};
	enum xml_tok t;
	while ((t = xml_next(r->x)) != XML_CLOSE) {
		if (t <= XML_END)
			return xml_fault(r);
		int rc = t == XML_OPEN ? read_item_or_skip(r, f, &g) : E_OK;
		if (rc != E_OK)
			return rc;
	}
	if (!g.v && !grow(r, &g))
		return no_memory(r);
	if (f->kind == W_INTS) /* reading numbers allocates nothing else */
		arena_trim(r->a, g.v, g.cap * g.size, g.n * g.size);
	struct wlist l = {g.v, g.n};
	memcpy(to, &l, sizeof(l));
	return E_OK;
}
static_assert(sizeof(struct wlist) == sizeof(struct wints) && sizeof(struct wlist) == sizeof(struct wstrs) &&
		      sizeof(struct wlist) == sizeof(struct wguids) &&
		      offsetof(struct wlist, n) == offsetof(struct wints, n),
	"lists have one shape");

static int (*const field_readers[])(struct reader *r, const struct wfield *f, void *to) = {
	[W_BOOL] = read_scalar,
	[W_INT] = read_scalar,
	[W_SHORT] = read_scalar,
	[W_UBYTE] = read_scalar,
	[W_LONG] = read_scalar,
	[W_TIME] = read_scalar,
	[W_STR] = read_string,
	[W_GUID] = read_scalar,
	[W_B64] = read_base64,
	[W_MSG] = read_sub,
	[W_LIST] = read_list,
	[W_INTS] = read_list,
	[W_STRS] = read_list,
	[W_GUIDS] = read_list,
	[W_B64S] = read_list,
	[W_FRAG] = read_frag,
};
static_assert(COUNTOF(field_readers) == W__MAX, "a reader for each kind");

/* The field by name; peers mostly send schema order, so the search begins behind the last one found. */
static const struct wfield *find_field(const struct wtype *t, struct slice name, unsigned *hint)
{
	for (unsigned k = 0; k < t->n; k++) {
		unsigned i = *hint + k < t->n ? *hint + k : *hint + k - t->n;
		if (slice_eq(t->field[i].name, name)) {
			*hint = i + 1 < t->n ? i + 1 : 0;
			return &t->field[i];
		}
	}
	for (unsigned i = 0; i < t->n; i++)
		if (t->field[i].kind == W_INT && slice_eq(slice_of(t->field[i].item), name))
			return &t->field[i];
	return NULL;
}

static int read_field(struct reader *r, const struct wtype *t, char *out, unsigned *hint)
{
	const struct wfield *f = find_field(t, xml_name(r->x), hint);
	if (!f || is_nil(r->x))
		return xml_skip(r->x) == E_OK ? E_OK : xml_fault(r);
	int rc = field_readers[f->kind](r, f, out + f->offset);
	if (rc != E_OK)
		return rc;
	uint64_t has;
	memcpy(&has, out, sizeof(has));
	has |= UINT64_C(1) << (f - t->field);
	memcpy(out, &has, sizeof(has));
	return E_OK;
}

static int read_message(struct reader *r, const struct wtype *t, void *out)
{
	unsigned hint = 0;
	enum xml_tok tok;
	memset(out, 0, t->size);
	while ((tok = xml_next(r->x)) != XML_CLOSE) {
		if (tok <= XML_END)
			return xml_fault(r);
		int rc = tok == XML_OPEN ? read_field(r, t, out, &hint) : E_OK;
		if (rc != E_OK)
			return rc;
	}
	return E_OK;
}

int wire_read(struct xml *x, const struct wtype *t, void *out, struct arena *a, struct err *e)
{
	struct reader r = {.x = x, .a = a, .e = e};
	buf_init(&r.text, LIMIT_DOC);
	int rc = read_message(&r, t, out);
	buf_free(&r.text);
	return rc;
}

/* ---- writing ---- */

struct writer {
	struct rope *r;
	struct buf *b;
	struct slice empty;
};

/* "<Name>": n bytes, of which a '<' is the first, in WIRE_TAG + 1 that may be read. */
struct tag {
	const char *p;
	size_t n;
};

static struct tag tag_of(const struct wfield *f)
{
	return (struct tag){f->name.p - 1, f->name.n + 2};
}

/* Tags of a list's items; `room` holds the text. */
static struct tag item_tag(const struct wfield *f, char room[WIRE_TAG + 1])
{
	size_t n = strlen(f->item);
	ASSERT(n + 2 <= WIRE_TAG);
	room[0] = '<';
	memcpy(room + 1, f->item, n);
	room[n + 1] = '>';
	return (struct tag){room, n + 2};
}

static inline char *put_open(char *to, struct tag t)
{
	memcpy(to, t.p, WIRE_TAG);
	if (t.n > WIRE_TAG)
		memcpy(to + WIRE_TAG, t.p + WIRE_TAG, WIRE_TAG);
	return to + t.n;
}

static inline char *put_close(char *to, struct tag t)
{
	to[0] = '<';
	to[1] = '/';
	memcpy(to + 2, t.p + 1, WIRE_TAG);
	if (t.n > WIRE_TAG)
		memcpy(to + 2 + WIRE_TAG, t.p + 1 + WIRE_TAG, WIRE_TAG);
	return to + t.n + 1;
}
/* What put_open() and put_close() may write, whatever the name. */
#define OPEN_ROOM (2 * WIRE_TAG)
#define CLOSE_ROOM (2 * WIRE_TAG + 2)

/* Where an element's content begins: if nothing came since, its tag becomes an empty one. */
struct mark {
	size_t glue;
	uint64_t plain;
};

static struct mark begin(struct writer *w)
{
	return (struct mark){w->b->n, w->r->plain};
}

/* True if it is done: the element has no content. */
static bool end_empty(struct writer *w, struct mark m)
{
	if (w->b->rc != E_OK)
		return true;
	if (m.glue != w->b->n || m.plain != w->r->plain)
		return false;
	w->b->n--;
	buf_slice(w->b, w->empty);
	return true;
}

static struct mark open_element(struct writer *w, struct tag t)
{
	char *p = buf_room(w->b, OPEN_ROOM);
	if (p)
		w->b->n = (size_t)(put_open(p, t) - w->b->p);
	return begin(w);
}

static void end_element(struct writer *w, struct tag t, struct mark m)
{
	char *p = end_empty(w, m) ? NULL : buf_room(w->b, CLOSE_ROOM);
	if (p)
		w->b->n = (size_t)(put_close(p, t) - w->b->p);
}

/* ---- writing: values of bounded length ---- */

static char *put_bool(char *to, const void *v)
{
	bool yes = *(const bool *)v;
	memcpy(to, yes ? "true\0" : "false", 5);
	return to + (yes ? 4 : 5);
}

static char *put_number(char *to, int64_t v)
{
	char t[20];
	size_t i = sizeof(t);
	uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
	do
		t[--i] = (char)('0' + u % 10);
	while ((u /= 10) != 0);
	if (v < 0)
		t[--i] = '-';
	memcpy(to, t + i, sizeof(t) - i);
	return to + sizeof(t) - i;
}

static char *put_int(char *to, const void *v)
{
	return put_number(to, *(const int32_t *)v);
}

static char *put_int64(char *to, const void *v)
{
	return put_number(to, *(const int64_t *)v);
}

/* "Never" has no zone: it is no moment, and one that is counted over to another zone would leave the calendar
 * (WSUSSS-TRANSPORT-32). */
static char *put_time(char *to, const void *v)
{
	tick_t t = *(const tick_t *)v;
	return to + time_text(t, to) - (t == TICK_MAX_YEAR9999);
}

static char *put_guid(char *to, const void *v)
{
	guid_text(v, to);
	return to + GUID_TEXT;
}
#define VALUE_ROOM (GUID_TEXT + 1)
static_assert(VALUE_ROOM >= TIME_TEXT + 1 && VALUE_ROOM >= 20, "the longest is a GUID, with its NUL");

/* ---- writing: values of any length ---- */

static void write_string(struct buf *b, const void *v)
{
	xml_escape_add(b, *(const struct slice *)v);
}

static void write_base64(struct buf *b, const void *v)
{
	base64_add(b, *(const struct slice *)v);
}

/* How one value is written, be it a field or a list's item; kinds of lists stand for their items. */
static const struct {
	char *(*put)(char *to, const void *v);         /* at most VALUE_ROOM bytes; or NULL and ... */
	void (*write)(struct buf *b, const void *v);
	size_t size;
} writers[W__MAX] = {
	[W_BOOL] = {put_bool, NULL, sizeof(bool)},
	[W_INT] = {put_int, NULL, sizeof(int32_t)},
	[W_SHORT] = {put_int, NULL, sizeof(int32_t)},
	[W_UBYTE] = {put_int, NULL, sizeof(int32_t)},
	[W_LONG] = {put_int64, NULL, sizeof(int64_t)},
	[W_TIME] = {put_time, NULL, sizeof(tick_t)},
	[W_STR] = {NULL, write_string, sizeof(struct slice)},
	[W_GUID] = {put_guid, NULL, sizeof(struct guid)},
	[W_B64] = {NULL, write_base64, sizeof(struct slice)},
	[W_INTS] = {put_int, NULL, sizeof(int32_t)},
	[W_STRS] = {NULL, write_string, sizeof(struct slice)},
	[W_GUIDS] = {put_guid, NULL, sizeof(struct guid)},
	[W_B64S] = {NULL, write_base64, sizeof(struct slice)},
};

static void write_fields(struct writer *w, const struct wtype *t, const char *in);

/* One element of the kind: a field that is no list, or an item of one. */
static void write_element(struct writer *w, struct tag t, enum wkind kind, const struct wtype *sub, const void *v)
{
	if (writers[kind].put) {
		char *p = buf_room(w->b, OPEN_ROOM + VALUE_ROOM + CLOSE_ROOM);
		if (p)
			w->b->n = (size_t)(put_close(writers[kind].put(put_open(p, t), v), t) - w->b->p);
		return;
	}
	struct mark m = open_element(w, t);
	if (sub)
		write_fields(w, sub, v);
	else if (kind == W_FRAG)
		rope_splice(w->r, v);
	else
		writers[kind].write(w->b, v);
	end_element(w, t, m);
}

static void write_list(struct writer *w, const struct wfield *f, const void *v)
{
	struct wlist l;
	char text[WIRE_TAG + 1] = "";
	struct tag item = item_tag(f, text);
	size_t size = f->sub ? f->sub->size : writers[f->kind].size;
	memcpy(&l, v, sizeof(l));
	struct mark m = open_element(w, tag_of(f));
	for (size_t i = 0; i < l.n; i++)
		write_element(w, item, f->kind, f->sub, (const char *)l.v + i * size);
	end_element(w, tag_of(f), m);
}

static bool is_list(enum wkind kind)
{
	return kind == W_LIST || kind == W_INTS || kind == W_STRS || kind == W_GUIDS || kind == W_B64S;
}

/* What says that a field is there: a pointer for texts, messages and lists, a count for fragments, a bit of
 * `has` for the rest. */
static bool is_there(const struct wtype *t, const struct wfield *f, const char *in)
{
	uint64_t has;
	const void *p;
	if (f->kind == W_FRAG)
		return ((const struct frag *)(const void *)(in + f->offset))->n != 0;
	if (f->kind == W_STR || f->kind == W_B64 || f->kind == W_MSG || is_list(f->kind)) {
		memcpy(&p, in + f->offset, sizeof(p));
		return p != NULL;
	}
	memcpy(&has, in, sizeof(has));
	return f->always || (has >> (f - t->field) & 1);
}

static void write_field(struct writer *w, const struct wtype *t, const struct wfield *f, const char *in)
{
	const void *v = in + f->offset, *sub;
	if (!is_there(t, f, in)) {
		if (f->always && (f->kind == W_STR || f->kind == W_B64))
			end_element(w, tag_of(f), open_element(w, tag_of(f)));
		return;
	}
	if (is_list(f->kind)) {
		write_list(w, f, v);
		return;
	}
	memcpy(&sub, v, f->kind == W_MSG ? sizeof(sub) : 0);
	write_element(w, tag_of(f), f->kind, f->sub, f->kind == W_MSG ? sub : v);
}

static void write_fields(struct writer *w, const struct wtype *t, const char *in)
{
	for (unsigned i = 0; i < t->n; i++)
		write_field(w, t, &t->field[i], in);
}

void wire_write_element(struct rope *r, struct slice name, struct slice attributes, const struct wtype *t,
	const void *in, struct slice empty)
{
	struct writer w = {r, rope_buf(r), empty};
	buf_char(w.b, '<');
	buf_slice(w.b, name);
	buf_slice(w.b, attributes);
	buf_char(w.b, '>');
	struct mark m = begin(&w);
	write_fields(&w, t, in);
	if (end_empty(&w, m))
		return;
	buf_str(w.b, "</");
	buf_slice(w.b, name);
	buf_char(w.b, '>');
}
