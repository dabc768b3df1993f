/* xml.c -- the scanner.
 *
 * The input is a window of vetted bytes [tok, end): UTF-8 and XML characters are checked when bytes come in,
 * so the scanner itself looks at structure only.  A markup token is scanned by functions without side
 * effects on the scanner's state; when the window ends inside it, more bytes are fetched and it is scanned
 * again.  Each fetch at least doubles what is there of the token, so that this stays linear.
 *
 * Cursor functions return the place behind what they read, or NULL: either x->rc is set, or bytes are
 * missing. */
#include "common/xml.h"

#include <stdarg.h>
#include <stdlib.h>

#include "common/arena.h"
#include "common/limits.h"
#include "common/text.h"

const struct xml_limits xml_message_limits = {
	.bytes = LIMIT_BODY,
	.depth = LIMIT_DEPTH,
	.tag = LIMIT_TAG,
	.attrs = LIMIT_ATTRIBUTES,
	.namespaces = LIMIT_NAMESPACES,
	.elements = LIMIT_ELEMENTS,
};
const struct xml_limits xml_document_limits = {
	.bytes = LIMIT_DOC,
	.depth = LIMIT_DOC_DEPTH,
	.tag = LIMIT_DOC_TAG,
	.attrs = LIMIT_DOC_ATTRIBUTES,
	.namespaces = LIMIT_DOC_NAMESPACES,
	.elements = UINT32_MAX, /* bounded by the bytes */
};

#define MAX_DEPTH LIMIT_DOC_DEPTH
#define MAX_ATTRS LIMIT_DOC_ATTRIBUTES
#define MAX_NS LIMIT_DOC_NAMESPACES
#define NS_BYTES (16 << 10)     /* their prefixes and URIs */
#define NAME_BYTES (24 << 10)   /* names of open elements, when streaming */
#define WINDOW ((size_t)256 << 10) /* plus the largest tag */
#define LONGEST_REF 64          /* as text_ref() has it */

#define XML_NS "http://www.w3.org/XML/1998/namespace"
#define XMLNS_NS "http://www.w3.org/2000/xmlns/"

struct ns {
	struct slice prefix, uri; /* in ns_bytes */
};

/* An open element, and what its close restores. */
struct elem {
	struct slice qname;
	size_t colon; /* bytes of prefix and colon in qname */
	struct slice ns;
	struct slice outer_dflt;
	unsigned nns;
	size_t ns_used, names_used;
};

struct xml {
	/* the window: [base, raw) is held, [base, end) vetted; base stands at offset base_at of the input */
	const char *base, *tok, *p, *end, *raw;
	size_t base_at;
	bool eof, bad; /* bad: at `end` stands a byte that is no XML character */
	char *window;
	size_t window_size;
	xml_refill_fn *refill;
	void *arg;

	struct xml_limits lim;
	struct err *err, own;
	int rc;

	/* the token */
	struct slice qname, ns, text;
	size_t colon;
	bool empty, refs, cdata;
	bool close_next;  /* an empty element was handed out as XML_OPEN */
	bool in_cdata;    /* in the middle of a CDATA section */
	bool began, done; /* something was met; the root was closed */
	unsigned nattr, depth, nns, elements;
	size_t ns_used, names_used;
	struct slice dflt; /* the default namespace in scope */

	struct xml_attr attr[MAX_ATTRS];
	struct elem elem[MAX_DEPTH];
	struct ns scope[MAX_NS];
	char ns_bytes[NS_BYTES];
	char names[NAME_BYTES];
};

/* What a scanning step returns besides a token. */
enum { AGAIN = XML_TEXT + 1, NEED };

/* ---- character classes ---- */

enum { C_START = 1, C_NAME = 2, C_SPACE = 4, C_TEXT = 8, C_DQUOT = 16, C_SQUOT = 32 };
#define L (C_START | C_NAME)
#define N C_NAME
#define VALUE (C_DQUOT | C_SQUOT)
/* C_TEXT: a byte that text scanning must look at; C_DQUOT, C_SQUOT: likewise inside such quotes. */
static const uint8_t class[256] = {
	['\t'] = C_SPACE, ['\n'] = C_SPACE, ['\r'] = C_SPACE, [' '] = C_SPACE,
	['<'] = C_TEXT | VALUE, ['&'] = C_TEXT | VALUE, ['>'] = C_TEXT,
	['"'] = C_DQUOT, ['\''] = C_SQUOT,
	['-'] = N, ['.'] = N, ['_'] = L,
	['0'] = N, N, N, N, N, N, N, N, N, N,
	['A'] = L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L,
	['a'] = L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L,
};
#undef L
#undef N
#undef VALUE

static bool is(char c, int what)
{
	return (class[(unsigned char)c] & what) != 0;
}

static const char *skip_to(const char *p, const char *end, int what)
{
	while (p < end && !is(*p, what))
		p++;
	return p;
}

static const char *skip_space(const char *p, const char *end)
{
	while (p < end && is(*p, C_SPACE))
		p++;
	return p;
}

/* ---- faults ---- */

static int fail(struct xml *x, int code, const char *at, const char *fmt, ...) PRINTF(4, 5);
static int fail(struct xml *x, int code, const char *at, const char *fmt, ...)
{
	char what[256];
	va_list ap;
	if (x->rc != E_OK)
		return XML_BAD;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	x->rc = err_set(&x->own, (enum errcode)code, "byte %zu: %s", x->base_at + (size_t)(at - x->base), what);
	if (x->err)
		*x->err = x->own;
	return XML_BAD;
}

static const char *fail_at(struct xml *x, const char *at, const char *what)
{
	fail(x, E_FORM, at, "%s", what);
	return NULL;
}

/* The byte at x->end is not vetted: say why. */
static void fail_byte(struct xml *x)
{
	const uint8_t *b = (const uint8_t *)x->end;
	size_t n = (size_t)(x->raw - x->end);
	bool first = x->base_at == 0 && x->end == x->base;
	if (first && n > 1 && ((b[0] == 0xFF && b[1] == 0xFE) || (b[0] == 0xFE && b[1] == 0xFF)))
		fail(x, E_FORM, x->end, "this is UTF-16; only UTF-8 is read");
	else if (b[0] < 0x20)
		fail(x, E_FORM, x->end, "control character 0x%02x", b[0]);
	else
		fail(x, E_FORM, x->end, "no character of XML in UTF-8");
}

/* ---- the window ---- */

/* Vets what came in.  Up to three last bytes may be the begin of a character and wait for the next call. */
static void vet(struct xml *x)
{
	size_t n = (size_t)(x->raw - x->end), good = text_utf8_bad((struct slice){x->end, n});
	x->end += good;
	x->bad = good < n && (x->eof || n - good >= 4);
}

/* Drops what stands before the token. */
static void compact(struct xml *x)
{
	size_t drop = (size_t)(x->tok - x->base);
	if (drop == 0)
		return;
	memmove(x->window, x->tok, (size_t)(x->raw - x->tok));
	x->base_at += drop;
	x->tok -= drop;
	x->p -= drop;
	x->end -= drop;
	x->raw -= drop;
}

static bool fetch(struct xml *x)
{
	size_t held = (size_t)(x->raw - x->base), room = x->window_size - held;
	struct err e = {.code = E_OK};
	ptrdiff_t n = x->refill(x->arg, x->window + held, room, &e);
	ASSERT(n <= (ptrdiff_t)room);
	if (n < 0) {
		x->rc = e.code == E_OK ? E_IO : (int)e.code;
		x->own = e;
		if (x->err)
			*x->err = e;
		return false;
	}
	x->raw += n;
	x->eof = n == 0;
	if (x->base_at + held + (size_t)n > x->lim.bytes)
		fail(x, E_LIMIT, x->raw, "more than %zu bytes", x->lim.bytes);
	return x->rc == E_OK;
}

/* Makes more bytes of the token at x->tok visible, at least as many as there are.  False: the input ended,
 * x->rc is set, or the window is full. */
static bool more(struct xml *x)
{
	if (x->rc == E_OK && x->bad)
		fail_byte(x);
	if (x->rc != E_OK || x->eof)
		return false;
	compact(x);
	size_t have = (size_t)(x->end - x->tok), before = have;
	do {
		if ((size_t)(x->raw - x->base) == x->window_size)
			break;
		if (!fetch(x))
			return false;
		vet(x);
		have = (size_t)(x->end - x->tok);
	} while (!x->eof && !x->bad && have < before * 2 + 1);
	if (have == before && x->bad)
		fail_byte(x);
	return have > before;
}

static int ends_inside(struct xml *x, const char *what)
{
	if (x->rc == E_OK)
		fail(x, E_FORM, x->raw, "the input ends inside %s", what);
	return XML_BAD;
}

/* ---- names ---- */

/* Characters beyond ASCII in names: code ranges of NameStartChar and, behind them, those of NameChar. */
static const struct {
	uint32_t from, to;
} name_ranges[] = {
	{0xC0, 0xD6}, {0xD8, 0xF6}, {0xF8, 0x2FF}, {0x370, 0x37D}, {0x37F, 0x1FFF}, {0x200C, 0x200D},
	{0x2070, 0x218F}, {0x2C00, 0x2FEF}, {0x3001, 0xD7FF}, {0xF900, 0xFDCF}, {0xFDF0, 0xFFFD},
	{0x10000, 0xEFFFF}, {0xB7, 0xB7}, {0x300, 0x36F}, {0x203F, 0x2040},
};
#define START_RANGES 12

/* Bytes of the name character at p (vetted, beyond ASCII), 0 if it is none. */
static size_t wide_name(const char *p, bool first)
{
	const uint8_t *b = (const uint8_t *)p;
	size_t n = b[0] < 0xE0 ? 2 : b[0] < 0xF0 ? 3 : 4;
	uint32_t c = b[0] & (0xFFu >> (n + 1));
	for (size_t i = 1; i < n; i++)
		c = c << 6 | (b[i] & 0x3F);
	for (size_t i = 0; i < (first ? START_RANGES : COUNTOF(name_ranges)); i++)
		if (c >= name_ranges[i].from && c <= name_ranges[i].to)
			return n;
	return 0;
}

static const char *ncname(struct xml *x, const char *p, const char *end)
{
	const char *q = p;
	if (q == end)
		return NULL;
	if (is(*q, C_START) || ((unsigned char)*q >= 0x80 && wide_name(q, true)))
		for (size_t n = (unsigned char)*q < 0x80 ? 1 : wide_name(q, true); n;) {
			q += n;
			while (q < end && is(*q, C_NAME))
				q++;
			n = q < end && (unsigned char)*q >= 0x80 ? wide_name(q, false) : 0;
		}
	if (q == p)
		return fail_at(x, p, "a name is missing here");
	return q < end ? q : NULL;
}

/* A name with or without prefix; *colon: bytes of the prefix and its colon. */
static const char *qname(struct xml *x, const char *p, const char *end, size_t *colon)
{
	const char *q = ncname(x, p, end);
	*colon = 0;
	if (!q || *q != ':')
		return q;
	*colon = (size_t)(q - p) + 1;
	q = ncname(x, q + 1, end);
	return q && *q == ':' ? fail_at(x, q, "a second colon in a name") : q;
}

static struct slice prefix_of(struct slice q, size_t colon)
{
	return (struct slice){q.p, colon ? colon - 1 : 0};
}

static struct slice local_of(struct slice q, size_t colon)
{
	return (struct slice){q.p + colon, q.n - colon};
}

/* ---- namespaces ---- */

static struct slice resolve(const struct xml *x, struct slice prefix)
{
	if (prefix.n == 0)
		return x->dflt;
	for (unsigned i = x->nns; i-- > 0;)
		if (slice_eq(x->scope[i].prefix, prefix))
			return x->scope[i].uri;
	if (slice_eq(prefix, SL("xml")))
		return SL(XML_NS);
	return SL0;
}

/* Copies into ns_bytes; NULL when they are full. */
static char *ns_keep(struct xml *x, struct slice s)
{
	if (s.n > NS_BYTES - x->ns_used)
		return NULL;
	char *to = x->ns_bytes + x->ns_used;
	if (s.n)
		memcpy(to, s.p, s.n);
	x->ns_used += s.n;
	return to;
}

static bool ns_keep_value(struct xml *x, struct slice raw, struct slice *out)
{
	/* references only shrink, so the raw length bounds the value */
	struct buf b = {.p = x->ns_bytes + x->ns_used, .cap = NS_BYTES - x->ns_used, .max = NS_BYTES - x->ns_used};
	xml_resolve_refs(&b, raw);
	*out = buf_bytes(&b);
	x->ns_used += b.n;
	return b.rc == E_OK;
}

static const char *ns_fault(struct slice prefix, struct slice uri)
{
	if (slice_eq(prefix, SL("xml")) != slice_eq(uri, SL(XML_NS)))
		return "the prefix xml and its namespace belong together";
	if (slice_eq(prefix, SL("xmlns")) || slice_eq(uri, SL(XMLNS_NS)))
		return "xmlns cannot be declared";
	if (prefix.n && uri.n == 0)
		return "a prefix cannot be undeclared";
	return NULL;
}

static bool declare(struct xml *x, const struct xml_attr *a)
{
	struct slice prefix = a->prefix.n ? a->name : SL(""), uri;
	size_t mark = x->ns_used;
	if (!ns_keep_value(x, a->raw, &uri))
		return fail(x, E_LIMIT, a->raw.p, "namespace names are too long"), false;
	const char *fault = ns_fault(prefix, uri);
	if (fault)
		return fail_at(x, a->name.p, fault), false;
	struct slice now = resolve(x, prefix);
	if (now.p && slice_eq(now, uri)) { /* declared again as it is: costs nothing */
		x->ns_used = mark;
		return true;
	}
	char *kept = ns_keep(x, prefix);
	if (!kept || x->nns == x->lim.namespaces)
		return fail(x, E_LIMIT, a->name.p, "more than %u namespaces in scope", x->lim.namespaces), false;
	x->scope[x->nns++] = (struct ns){{kept, prefix.n}, uri};
	if (prefix.n == 0)
		x->dflt = uri;
	return true;
}

static bool lookup(struct xml *x, struct slice prefix, struct slice *uri)
{
	*uri = resolve(x, prefix);
	if (prefix.n && !uri->p)
		return fail(x, E_FORM, prefix.p, "the prefix %.*s is not declared", (int)MIN(prefix.n, (size_t)64),
			       prefix.p), false;
	return true;
}

/* ---- attributes ---- */

static bool is_xmlns(struct slice q, size_t colon)
{
	return colon == 6 ? memcmp(q.p, "xmlns:", 6) == 0 : colon == 0 && slice_eq(q, SL("xmlns"));
}

/* Behind the reference at p. */
static const char *reference(struct xml *x, const char *p, const char *end)
{
	uint32_t code;
	size_t n = text_ref((struct slice){p, (size_t)(end - p)}, &code);
	if (n)
		return p + n;
	const char *q = p + 1;
	while (q < end && (is(*q, C_NAME) || *q == '#'))
		q++;
	if (q == end && q - p < LONGEST_REF)
		return NULL;
	return fail_at(x, p, "no reference to a character");
}

/* Behind the value's closing quote; *raw is what stands between. */
static const char *quoted(struct xml *x, const char *p, const char *end, struct slice *raw)
{
	if (p == end)
		return NULL;
	char quote = *p++;
	if (quote != '"' && quote != '\'')
		return fail_at(x, p - 1, "an attribute's value has no quotes");
	const char *from = p;
	while ((p = skip_to(p, end, quote == '"' ? C_DQUOT : C_SQUOT)) < end && *p == '&')
		if (!(p = reference(x, p, end)))
			return NULL;
	if (p == end)
		return NULL;
	if (*p == '<')
		return fail_at(x, p, "< inside an attribute's value");
	*raw = (struct slice){from, (size_t)(p - from)};
	return p + 1;
}

static const char *attribute(struct xml *x, const char *p, const char *end, struct xml_attr *a)
{
	size_t colon;
	const char *q = qname(x, p, end, &colon);
	if (!q)
		return NULL;
	struct slice name = {p, (size_t)(q - p)};
	q = skip_space(q, end);
	if (q == end)
		return NULL;
	if (*q != '=')
		return fail_at(x, q, "an attribute has no value");
	a->prefix = prefix_of(name, colon);
	a->name = local_of(name, colon);
	a->is_xmlns = is_xmlns(name, colon);
	return quoted(x, skip_space(q + 1, end), end, &a->raw);
}

/* From behind the element's name to behind '>'. */
static const char *attributes(struct xml *x, const char *p, const char *end)
{
	x->nattr = 0;
	for (;;) {
		const char *q = skip_space(p, end);
		if (q == end || (*q == '/' && q + 1 == end))
			return NULL;
		x->empty = *q == '/' && q[1] == '>';
		if (*q == '>' || x->empty)
			return q + 1 + x->empty;
		if (q == p)
			return fail_at(x, p, "unexpected character in a tag");
		if (x->nattr == x->lim.attrs) {
			fail(x, E_LIMIT, q, "more than %u attributes in a tag", x->lim.attrs);
			return NULL;
		}
		p = attribute(x, q, end, &x->attr[x->nattr]);
		if (!p)
			return NULL;
		x->nattr++;
	}
}

/* One bit of 64 by the name: attributes that differ here need no comparison. */
static uint64_t name_bit(struct slice s)
{
	unsigned h = (unsigned char)s.p[0] * 7u + (unsigned char)s.p[s.n - 1] * 13u + (unsigned char)s.p[s.n / 2];
	return UINT64_C(1) << ((h + s.n * 29u) & 63);
}

static bool is_repeated(const struct xml *x, unsigned n)
{
	const struct xml_attr *a = &x->attr[n];
	for (unsigned i = 0; i < n; i++)
		if (slice_eq(x->attr[i].name, a->name) && slice_eq(x->attr[i].ns, a->ns))
			return true;
	return false;
}

static bool declare_all(struct xml *x)
{
	for (unsigned i = 0; i < x->nattr; i++)
		if (x->attr[i].is_xmlns && !declare(x, &x->attr[i]))
			return false;
	return true;
}

/* Declarations first: they hold for the names before them, too. */
static bool resolve_attributes(struct xml *x)
{
	uint64_t seen = 0;
	if (!declare_all(x))
		return false;
	for (unsigned i = 0; i < x->nattr; i++) {
		struct xml_attr *a = &x->attr[i];
		a->ns = SL("");
		if (a->is_xmlns)
			a->ns = SL(XMLNS_NS);
		else if (a->prefix.n && !lookup(x, a->prefix, &a->ns))
			return false;
		uint64_t bit = name_bit(a->name);
		if ((seen & bit) && is_repeated(x, i))
			return fail_at(x, a->name.p, "an attribute is repeated"), false;
		seen |= bit;
	}
	return true;
}

/* ---- elements ---- */

/* The name as the element's close will need it: in memory the input holds it, a window does not. */
static bool keep_name(struct xml *x, struct elem *el)
{
	if (!x->refill)
		return true;
	if (el->qname.n > NAME_BYTES - x->names_used)
		return fail(x, E_LIMIT, x->tok, "names of open elements are too long"), false;
	el->qname.p = memcpy(x->names + x->names_used, el->qname.p, el->qname.n);
	x->names_used += el->qname.n;
	return true;
}

static int push(struct xml *x, const char *p)
{
	if (x->depth == x->lim.depth)
		return fail(x, E_LIMIT, x->tok, "elements are nested deeper than %u", x->lim.depth);
	if (x->elements++ == x->lim.elements)
		return fail(x, E_LIMIT, x->tok, "more than %u elements", x->lim.elements);
	struct elem *el = &x->elem[x->depth];
	*el = (struct elem){x->qname, x->colon, SL0, x->dflt, x->nns, x->ns_used, x->names_used};
	if ((x->nattr && !resolve_attributes(x)) || !lookup(x, prefix_of(x->qname, x->colon), &x->ns) ||
		!keep_name(x, el))
		return XML_BAD;
	el->ns = x->ns;
	x->depth++;
	x->p = p;
	x->close_next = x->empty;
	return XML_OPEN;
}

static int pop(struct xml *x)
{
	const struct elem *el = &x->elem[--x->depth];
	x->qname = el->qname;
	x->colon = el->colon;
	x->ns = el->ns;
	x->dflt = el->outer_dflt;
	x->nns = el->nns;
	x->ns_used = el->ns_used;
	x->names_used = el->names_used;
	x->done = x->depth == 0;
	x->nattr = 0;
	x->empty = false;
	return XML_CLOSE;
}

/* Markup is scanned in [tok, tag_end); meeting tag_end before x->end means the tag is over its limit. */
static const char *tag_end(const struct xml *x)
{
	return (size_t)(x->end - x->tok) > x->lim.tag ? x->tok + x->lim.tag : x->end;
}

static int lacks(const struct xml *x)
{
	return x->rc != E_OK ? XML_BAD : NEED;
}

static int open_tag(struct xml *x)
{
	const char *end = tag_end(x), *p = qname(x, x->tok + 1, end, &x->colon);
	if (!p)
		return lacks(x);
	x->qname = (struct slice){x->tok + 1, (size_t)(p - x->tok) - 1};
	p = attributes(x, p, end);
	if (!p)
		return lacks(x);
	if (x->done)
		return fail(x, E_FORM, x->tok, "a second root element");
	return push(x, p);
}

static int wrong_close(struct xml *x, struct slice open)
{
	size_t colon;
	const char *from = x->tok + 2, *p = qname(x, from, tag_end(x), &colon);
	if (!p)
		return lacks(x);
	return fail(x, E_FORM, x->tok, "</%.*s> closes <%.*s>", (int)MIN((size_t)(p - from), (size_t)64), from,
		(int)MIN(open.n, (size_t)64), open.p);
}

static int close_tag(struct xml *x)
{
	if (x->depth == 0)
		return fail(x, E_FORM, x->tok, "a close tag without its element");
	struct slice open = x->elem[x->depth - 1].qname;
	const char *p = x->tok + 2, *end = tag_end(x);
	if ((size_t)(end - p) <= open.n)
		return memcmp(p, open.p, (size_t)(end - p)) == 0 ? NEED : wrong_close(x, open);
	if (memcmp(p, open.p, open.n) != 0)
		return wrong_close(x, open);
	p += open.n;
	if (*p != '>') {
		const char *q = skip_space(p, end);
		if (q == end)
			return NEED;
		if (q == p)
			return wrong_close(x, open);
		if (*q != '>')
			return fail(x, E_FORM, q, "unexpected character in a close tag");
		p = q;
	}
	x->p = p + 1;
	return pop(x);
}

/* ---- comments, processing instructions, the declaration ---- */

/* Moves the token's begin to p, so that what lies before is dropped, and asks for more. */
static bool more_from(struct xml *x, const char *p, const char *inside)
{
	x->tok = x->p = p;
	if (more(x))
		return true;
	ends_inside(x, inside);
	return false;
}

static int comment(struct xml *x)
{
	const char *p = x->tok + 4;
	for (;;) {
		const char *dash = memchr(p, '-', (size_t)(x->end - p));
		p = dash ? dash : x->end;
		if (x->end - p < 3) {
			if (!more_from(x, p, "a comment"))
				return XML_BAD;
			p = x->tok;
		} else if (p[1] != '-') {
			p++;
		} else if (p[2] != '>') {
			return fail(x, E_FORM, p, "-- inside a comment");
		} else {
			x->p = p + 3;
			return AGAIN;
		}
	}
}

static int rest_of_pi(struct xml *x, const char *p)
{
	for (;;) {
		const char *mark = memchr(p, '?', (size_t)(x->end - p));
		p = mark ? mark : x->end;
		if (x->end - p < 2) {
			if (!more_from(x, p, "a processing instruction"))
				return XML_BAD;
			p = x->tok;
		} else if (p[1] == '>') {
			x->p = p + 2;
			return AGAIN;
		} else {
			p++;
		}
	}
}

static bool is_version(struct slice s)
{
	if (s.n < 3 || memcmp(s.p, "1.", 2) != 0)
		return false;
	for (size_t i = 2; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return true;
}

static bool is_encoding(struct slice s)
{
	return text_ieq(s, SL("UTF-8")) || text_ieq(s, SL("US-ASCII"));
}

static bool is_standalone(struct slice s)
{
	return slice_eq(s, SL("yes")) || slice_eq(s, SL("no"));
}

static const struct {
	struct slice name;
	bool (*valid)(struct slice value);
	const char *fault;
} declaration_part[] = {
	{{"version", 7}, is_version, "the XML declaration's version is not 1.x"},
	{{"encoding", 8}, is_encoding, "the XML declaration's encoding is not UTF-8"},
	{{"standalone", 10}, is_standalone, "the XML declaration's standalone is neither yes nor no"},
};

/* <?xml version="1.0" encoding="utf-8"?>: parts in this order, the first required. */
static int declaration(struct xml *x, const char *p, const char *end)
{
	size_t part = 0;
	for (;;) {
		const char *q = skip_space(p, end);
		if (end - q < 2)
			return NEED;
		if (q[0] == '?' && q[1] == '>' && part > 0) {
			x->p = q + 2;
			return AGAIN;
		}
		struct xml_attr a;
		if (q == p)
			return fail(x, E_FORM, p, "malformed XML declaration");
		p = attribute(x, q, end, &a);
		if (!p)
			return lacks(x);
		if (part > 0)
			while (part < COUNTOF(declaration_part) && !slice_eq(declaration_part[part].name, a.name))
				part++;
		if (part == COUNTOF(declaration_part) || a.prefix.n || !slice_eq(declaration_part[part].name, a.name))
			return fail(x, E_FORM, q, "malformed XML declaration");
		if (!declaration_part[part].valid(a.raw))
			return fail(x, E_FORM, q, "%s", declaration_part[part].fault);
		part++;
	}
}

static int instruction(struct xml *x)
{
	const char *from = x->tok + 2, *end = tag_end(x), *p = ncname(x, from, end);
	if (!p || (*p == '?' && p + 1 == end))
		return lacks(x);
	struct slice target = {from, (size_t)(p - from)};
	if (!is(*p, C_SPACE) && !(p[0] == '?' && p[1] == '>'))
		return fail(x, E_FORM, p, "unexpected character in a processing instruction");
	if (!text_ieq(target, SL("xml")))
		return rest_of_pi(x, p);
	if (x->began || !slice_eq(target, SL("xml")))
		return fail(x, E_FORM, x->tok, "an XML declaration that is not at the begin");
	return declaration(x, p, end);
}

/* ---- <! ---- */

/* Compares as far as bytes are there: 1 equal, 0 different, -1 equal but incomplete. */
static int begins(const struct xml *x, struct slice what)
{
	size_t n = MIN((size_t)(x->end - x->tok), what.n);
	return memcmp(x->tok, what.p, n) != 0 ? 0 : n == what.n ? 1 : -1;
}

static int begin_cdata(struct xml *x)
{
	if (x->depth == 0)
		return fail(x, E_FORM, x->tok, "CDATA outside the root");
	x->p = x->tok + 9;
	x->in_cdata = true;
	return AGAIN;
}

static int doctype(struct xml *x)
{
	return fail(x, E_FORM, x->tok, "a document type declaration is refused");
}

static int bang(struct xml *x)
{
	static const struct {
		struct slice begin;
		int (*scan)(struct xml *x);
	} kind[] = {
		{{"<!--", 4}, comment},
		{{"<![CDATA[", 9}, begin_cdata},
		{{"<!DOCTYPE", 9}, doctype},
	};
	for (size_t i = 0; i < COUNTOF(kind); i++) {
		int is_it = begins(x, kind[i].begin);
		if (is_it)
			return is_it > 0 ? kind[i].scan(x) : NEED;
	}
	return fail(x, E_FORM, x->tok, "unknown markup after <!");
}

/* ---- tokens ---- */

static int markup_once(struct xml *x)
{
	if (x->end - x->tok < 2)
		return NEED;
	switch (x->tok[1]) {
	case '/':
		return close_tag(x);
	case '?':
		return instruction(x);
	case '!':
		return bang(x);
	default:
		return open_tag(x);
	}
}

static int markup(struct xml *x)
{
	for (;;) {
		int t = markup_once(x);
		if (t != NEED) {
			x->began = true;
			return t;
		}
		if ((size_t)(x->end - x->tok) >= x->lim.tag)
			return fail(x, E_LIMIT, x->tok, "a tag is longer than %zu bytes", x->lim.tag);
		if (!more(x))
			return ends_inside(x, "a tag");
	}
}

static bool window_full(const struct xml *x)
{
	return x->refill && x->rc == E_OK && !x->eof && !x->bad;
}

/* Hands out [tok, p) and goes on at `next`. */
static int hand_out(struct xml *x, const char *p, const char *next)
{
	x->text = (struct slice){x->tok, (size_t)(p - x->tok)};
	x->p = next;
	return x->text.n ? XML_TEXT : AGAIN;
}

static int cdata(struct xml *x)
{
	const char *p = x->tok;
	x->refs = false;
	x->cdata = true;
	for (;;) {
		const char *b = memchr(p, ']', (size_t)(x->end - p));
		p = b ? b : x->end;
		if (x->end - p < 3) {
			size_t done = (size_t)(p - x->tok);
			bool got = more(x);
			p = x->tok + done;
			if (!got)
				return window_full(x) ? hand_out(x, p, p) : ends_inside(x, "CDATA");
		} else if (p[1] == ']' && p[2] == '>') {
			x->in_cdata = false;
			return hand_out(x, p, p + 3);
		} else {
			p++;
		}
	}
}

/* The window is full in the middle of text: hand out what cannot be the begin of "]]>". */
static int piece(struct xml *x, const char *p)
{
	for (int i = 0; i < 2 && p > x->tok && p[-1] == ']'; i++)
		p--;
	return hand_out(x, p, p);
}

static int text(struct xml *x)
{
	const char *p = x->tok;
	x->refs = x->cdata = false;
	for (;;) {
		p = skip_to(p, x->end, C_TEXT);
		if (p < x->end && *p == '<')
			return hand_out(x, p, p);
		if (p < x->end && *p == '>') {
			if (p - x->tok >= 2 && p[-1] == ']' && p[-2] == ']')
				return fail(x, E_FORM, p - 2, "]]> in text");
			p++;
			continue;
		}
		const char *q = p < x->end ? reference(x, p, x->end) : NULL;
		if (q) {
			x->refs = true;
			p = q;
			continue;
		}
		if (x->rc != E_OK)
			return XML_BAD;
		size_t done = (size_t)(p - x->tok);
		bool got = more(x);
		p = x->tok + done;
		if (!got)
			return window_full(x) ? piece(x, p) : ends_inside(x, "an element");
	}
}

static int content(struct xml *x)
{
	x->tok = x->p;
	if (x->p == x->end && !more(x))
		return ends_inside(x, "an element");
	return x->in_cdata ? cdata(x) : *x->tok == '<' ? markup(x) : text(x);
}

static int outside(struct xml *x)
{
	static const char bom[] = "\xEF\xBB\xBF";
	x->tok = x->p;
	if (x->p == x->end && !more(x)) {
		if (x->rc != E_OK)
			return XML_BAD;
		return x->done ? XML_END : fail(x, E_FORM, x->end, x->began ? "no root element" : "empty input");
	}
	if (*x->tok == '<')
		return markup(x);
	if (x->base_at == 0 && x->tok == x->base && x->end - x->tok >= 3 && memcmp(x->tok, bom, 3) == 0) {
		x->p += 3;
		return AGAIN;
	}
	x->p = skip_space(x->tok, x->end);
	x->began = true;
	return x->p > x->tok ? AGAIN : fail(x, E_FORM, x->tok, "text outside the root");
}

enum xml_tok xml_next(struct xml *x)
{
	if (x->rc != E_OK)
		return XML_BAD;
	if (x->close_next) {
		x->close_next = false;
		return (enum xml_tok)pop(x);
	}
	int t;
	do
		t = x->depth ? content(x) : outside(x);
	while (t == AGAIN);
	return (enum xml_tok)t;
}

/* ---- life ---- */

struct xml *xml_new(void)
{
	struct xml *x = alloc_should_fail() ? NULL : malloc(sizeof(*x));
	if (x) {
		x->window = NULL;
		x->window_size = 0;
		xml_init(x, SL(""), &xml_message_limits, NULL);
	}
	return x;
}

void xml_free(struct xml **x)
{
	if (*x)
		free((*x)->window);
	free(*x);
	*x = NULL;
}

/* The arrays keep what they hold: their counters say that it is nothing. */
static void reset(struct xml *x, const struct xml_limits *lim, struct err *e)
{
	ASSERT(lim->depth <= MAX_DEPTH && lim->attrs <= MAX_ATTRS);
	x->lim = *lim;
	x->err = e;
	x->own = (struct err){.code = E_OK};
	x->rc = E_OK;
	x->base_at = 0;
	x->eof = x->bad = false;
	x->empty = x->refs = x->cdata = x->close_next = x->in_cdata = x->began = x->done = false;
	x->nattr = x->depth = x->nns = x->elements = 0;
	x->ns_used = x->names_used = x->colon = 0;
	x->dflt = x->qname = x->ns = x->text = SL("");
}

void xml_init(struct xml *x, struct slice input, const struct xml_limits *lim, struct err *e)
{
	reset(x, lim, e);
	x->refill = NULL;
	x->eof = true;
	x->base = x->tok = x->p = x->end = x->raw = input.p ? input.p : "";
	if (input.n > lim->bytes) {
		fail(x, E_LIMIT, x->base + lim->bytes, "more than %zu bytes", lim->bytes);
		return;
	}
	x->raw += input.n;
	vet(x);
}

void xml_init_stream(struct xml *x, xml_refill_fn *refill, void *arg, const struct xml_limits *lim,
	struct err *e)
{
	reset(x, lim, e);
	x->refill = refill;
	x->arg = arg;
	size_t size = WINDOW + lim->tag;
	if (x->window_size < size) {
		free(x->window);
		x->window = alloc_should_fail() ? NULL : malloc(size);
		x->window_size = x->window ? size : 0;
	}
	x->base = x->tok = x->p = x->end = x->raw = x->window ? x->window : "";
	if (!x->window)
		fail(x, E_NOMEM, x->base, "no memory for the window");
}

/* ---- about the token ---- */

struct slice xml_ns(const struct xml *x)
{
	return x->ns;
}

struct slice xml_name(const struct xml *x)
{
	return local_of(x->qname, x->colon);
}

struct slice xml_prefix(const struct xml *x)
{
	return prefix_of(x->qname, x->colon);
}

bool xml_is_empty(const struct xml *x)
{
	return x->empty;
}

unsigned xml_nattr(const struct xml *x)
{
	return x->nattr;
}

const struct xml_attr *xml_attr(const struct xml *x, unsigned i)
{
	ASSERT(i < x->nattr);
	return &x->attr[i];
}

struct slice xml_text(const struct xml *x)
{
	return x->text;
}

bool xml_text_refs(const struct xml *x)
{
	return x->refs;
}

bool xml_text_is_cdata(const struct xml *x)
{
	return x->cdata;
}

unsigned xml_depth(const struct xml *x)
{
	return x->depth;
}

size_t xml_offset(const struct xml *x)
{
	return x->base_at + (size_t)(x->tok - x->base);
}

const struct xml_attr *xml_find_attr(const struct xml *x, struct slice ns, struct slice name)
{
	for (unsigned i = 0; i < x->nattr; i++)
		if (slice_eq(x->attr[i].name, name) && slice_eq(x->attr[i].ns, ns))
			return &x->attr[i];
	return NULL;
}

int xml_rc(const struct xml *x)
{
	return x->rc;
}

int xml_failed(const struct xml *x, struct err *e)
{
	if (e)
		*e = x->own;
	return x->rc;
}

/* ---- helpers on top ---- */

void xml_resolve_refs(struct buf *b, struct slice raw)
{
	bool known = xml_unescape_add(b, raw);
	ASSERT(known); /* the scanner let no other reference through */
}

int xml_skip(struct xml *x)
{
	unsigned depth = x->depth;
	while (x->depth >= depth)
		if (xml_next(x) <= XML_END)
			return x->rc;
	return E_OK;
}

int xml_read_text(struct xml *x, struct buf *out)
{
	for (;;)
		switch (xml_next(x)) {
		case XML_TEXT:
			if (x->refs)
				xml_resolve_refs(out, x->text);
			else
				buf_slice(out, x->text);
			if (out->rc != E_OK)
				return out->rc;
			break;
		case XML_CLOSE:
			return E_OK;
		case XML_OPEN:
			fail(x, E_FORM, x->tok, "<%.*s> where only text may stand", (int)MIN(x->qname.n, (size_t)64),
				x->qname.p);
			return x->rc;
		case XML_END:
		case XML_BAD:
		default:
			return x->rc;
		}
}

/* ---- long lists of numbers ---- */

#define ONES (~UINT64_C(0) / 0xFF)         /* a one in each byte */
#define HALVES (~UINT64_C(0) / 0xFFFFFFFF) /* in each half */

/* A tag to look for: its first eight bytes as a masked word, since most tags are shorter. */
struct pattern {
	char bytes[72];
	size_t n;
	uint64_t word, mask;
};

static void set_pattern(struct pattern *t, const char *before, struct slice name)
{
	size_t n = strlen(before);
	memset(t, 0, sizeof(*t));
	memcpy(t->bytes, before, n);
	memcpy(t->bytes + n, name.p, name.n);
	t->bytes[n + name.n] = '>';
	t->n = n + name.n + 1;
	char ones[8] = {0};
	memset(ones, 0xFF, MIN(t->n, sizeof(ones)));
	memcpy(&t->mask, ones, sizeof(ones));
	memcpy(&t->word, t->bytes, sizeof(t->word));
}

/* p has at least sizeof(t->bytes) bytes. */
static inline bool stands(const char *p, const struct pattern *t)
{
	uint64_t w;
	memcpy(&w, p, sizeof(w));
	return ((w ^ t->word) & t->mask) == 0 && (t->n <= sizeof(w) || memcmp(p + 8, t->bytes + 8, t->n - 8) == 0);
}

/* Up to eight digits at p as a number, all at once; *n: how many there are.  p has eight bytes. */
static inline int32_t digits8(const char *p, size_t *n)
{
	uint64_t w;
	memcpy(&w, p, sizeof(w));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	w = __builtin_bswap64(w);
#endif
	w ^= ONES * '0';
	/* 0x80 in each byte over 9; what carries out of such a byte changes bytes behind it only */
	uint64_t other = ((w + ONES * 0x76) | w) & ONES * 0x80;
	*n = other ? (size_t)__builtin_ctzll(other) / 8 : 8;
	if (*n == 0)
		return 0;
	/* the last digit to the top, zeros before the first; then pairs, fours, eights */
	w <<= 64 - *n * 8;
	w = w * 10 + (w >> 8);
	uint64_t outer = (w & HALVES * 0xFF) * (UINT64_C(1000000) << 32 | 100);
	uint64_t inner = (w >> 16 & HALVES * 0xFF) * (UINT64_C(10000) << 32 | 1);
	return (int32_t)((outer + inner) >> 32);
}

/* One to nine digits; *n: how many there are. */
static inline int32_t digits(const char *p, size_t *n)
{
	int32_t v = digits8(p, n);
	if (*n == 8 && (unsigned char)(p[8] - '0') < 10)
		v = v * 10 + (p[(*n)++] - '0');
	return v;
}

size_t xml_ints_most(const struct xml *x)
{
	return x->end > x->p ? (size_t)(x->end - x->p) / (2 * x->qname.n + sizeof("<>0</>") - 1) : 0;
}

size_t xml_ints(struct xml *x, int32_t *out, size_t max)
{
	struct pattern open, close;
	size_t n = 0, count = MIN(max, (size_t)(x->lim.elements - x->elements));
	if (x->rc != E_OK || x->close_next || x->depth == 0 || x->qname.n > 64)
		return 0;
	set_pattern(&open, "<", x->qname);
	set_pattern(&close, "</", x->qname);
	const char *p = x->p, *end = x->end;
	for (; n < count; n++) {
		const char *q = skip_space(p, end);
		size_t length;
		/* room for both tags and more digits than an int32 has */
		if ((size_t)(end - q) < 3 * sizeof(open.bytes) || !stands(q, &open))
			break;
		q += open.n;
		int32_t v = digits(q, &length);
		if (length == 0 || !stands(q + length, &close))
			break;
		out[n] = v;
		p = q + length + close.n;
	}
	x->p = p;
	x->elements += (unsigned)n;
	return n;
}
