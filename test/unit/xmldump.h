/* xmldump.h -- a scanner's tokens as text, the same however the input came: texts that touch are joined. */
#ifndef TEST_UNIT_XMLDUMP_H
#define TEST_UNIT_XMLDUMP_H

#include "common/buf.h"
#include "common/xml.h"

static inline void dump_slice(struct buf *b, const char *before, struct slice s)
{
	buf_str(b, before);
	buf_slice(b, s);
}

static inline void dump_open(struct buf *b, const struct xml *x)
{
	dump_slice(b, "\nOPEN ", xml_prefix(x));
	dump_slice(b, " ", xml_name(x));
	dump_slice(b, " {", xml_ns(x));
	buf_printf(b, "} at %zu depth %u%s", xml_offset(x), xml_depth(x), xml_is_empty(x) ? " empty" : "");
	for (unsigned i = 0; i < xml_nattr(x); i++) {
		const struct xml_attr *a = xml_attr(x, i);
		dump_slice(b, a->is_xmlns ? "\n  decl " : "\n  attr ", a->prefix);
		dump_slice(b, " ", a->name);
		dump_slice(b, " {", a->ns);
		dump_slice(b, "} = ", a->raw);
	}
}

/* Reads everything; ends with the result. */
static inline int xml_dump(struct buf *b, struct xml *x)
{
	enum xml_tok t, before = XML_END;
	while ((t = xml_next(x)) > XML_END) {
		if (t == XML_OPEN)
			dump_open(b, x);
		if (t == XML_CLOSE) {
			dump_slice(b, "\nCLOSE ", xml_name(x));
			dump_slice(b, " {", xml_ns(x));
			buf_printf(b, "} depth %u", xml_depth(x));
		}
		if (t == XML_TEXT && before != XML_TEXT)
			buf_str(b, "\nTEXT ");
		if (t == XML_TEXT && xml_text_refs(x))
			xml_resolve_refs(b, xml_text(x));
		else if (t == XML_TEXT)
			buf_slice(b, xml_text(x));
		before = t;
	}
	buf_printf(b, "\nend %d", xml_rc(x));
	return xml_rc(x);
}

/* A source that gives at most `step` bytes a call. */
struct drip {
	struct slice left;
	size_t step;
};

static inline ptrdiff_t drip_refill(void *arg, char *to, size_t n, struct err *e)
{
	struct drip *d = arg;
	(void)e;
	n = MIN(MIN(n, d->step), d->left.n);
	memcpy(to, d->left.p, n);
	d->left.p += n;
	d->left.n -= n;
	return (ptrdiff_t)n;
}

#endif
