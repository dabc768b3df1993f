/* xml.h -- the one reader of XML: a bounded pull scanner that vets every byte.
 *
 * It accepts well-formed XML 1.0 in UTF-8 (BOM allowed) with namespaces, five entities, numeric references,
 * CDATA, comments, PIs and an XML declaration; it refuses a DTD, UTF-16, invalid characters, undeclared
 * prefixes, duplicate attributes, text outside the root, and whatever exceeds its limits, with the byte
 * offset of the fault.  There is no tree: memory is constant, whatever the input's size.
 *
 * Two sources: a slice in memory (xml_init), or a refill function over a window (xml_init_stream).  Slices
 * handed out are valid until the next xml_next() only.
 *
 *	xml_init(&x, body, &xml_message_limits, &err);
 *	while ((tok = xml_next(&x)) > XML_END) ...
 *
 * Long text is handed out in pieces when streaming; the pieces concatenate to the text, and neither a
 * reference nor a UTF-8 character is ever cut. */
#ifndef COMMON_XML_H
#define COMMON_XML_H

#include "common/base.h"
#include "common/buf.h"
#include "common/err.h"

enum xml_tok {
	XML_BAD = -1, /* refused; err says what and where; stays so */
	XML_END = 0,  /* the root was closed and only white space, comments, PIs followed */
	XML_OPEN,     /* ns, name, prefix, attr[0..nattr) */
	XML_CLOSE,    /* ns, name; also follows an empty element's XML_OPEN */
	XML_TEXT,     /* text, raw: text_refs says whether it holds & references; CDATA comes with refs == false */
};

struct xml_limits {
	size_t bytes;     /* of the whole input */
	unsigned depth;   /* of elements */
	size_t tag;       /* bytes of one start tag */
	unsigned attrs;   /* attributes of one tag, declarations included */
	unsigned namespaces; /* declarations in scope, those that repeat what holds not counted */
	unsigned elements;
};
extern const struct xml_limits xml_message_limits, xml_document_limits;

struct xml_attr {
	struct slice ns;     /* empty for unprefixed attributes */
	struct slice prefix; /* as written, may be empty */
	struct slice name;   /* local name */
	struct slice raw;    /* the value as written between its quotes; references not resolved */
	bool is_xmlns;       /* a namespace declaration (kept in order, for copying) */
};

struct xml; /* the scanner; about 64 KB, allocate with xml_new() */

struct xml *xml_new(void); /* NULL: out of memory.  One may be reused for any number of inputs. */
void xml_free(struct xml **x);

void xml_init(struct xml *x, struct slice input, const struct xml_limits *lim, struct err *e);
/* refill: reads up to n bytes to `to`, returns the count, 0 at the end, -1 on error (sets e itself). */
typedef ptrdiff_t xml_refill_fn(void *arg, char *to, size_t n, struct err *e);
void xml_init_stream(struct xml *x, xml_refill_fn *refill, void *arg, const struct xml_limits *lim,
	struct err *e);

enum xml_tok xml_next(struct xml *x) MUST_CHECK;

/* ---- about the token just read ---- */
struct slice xml_ns(const struct xml *x);     /* namespace URI of the element, empty if none */
struct slice xml_name(const struct xml *x);   /* local name */
struct slice xml_prefix(const struct xml *x); /* as written */
bool xml_is_empty(const struct xml *x);       /* written as <a/>, only after XML_OPEN */
unsigned xml_nattr(const struct xml *x);
const struct xml_attr *xml_attr(const struct xml *x, unsigned i);
struct slice xml_text(const struct xml *x); /* raw */
bool xml_text_refs(const struct xml *x);
bool xml_text_is_cdata(const struct xml *x);
unsigned xml_depth(const struct xml *x);  /* 1 = root element is open; after XML_CLOSE the closed one is out */
size_t xml_offset(const struct xml *x);   /* of the token's first byte in the input */
/* The attribute by namespace and local name, NULL if there is none. */
const struct xml_attr *xml_find_attr(const struct xml *x, struct slice ns, struct slice name);

/* Appends raw, which this scanner handed out, with its references resolved.  Line ends stay as written. */
void xml_resolve_refs(struct buf *b, struct slice raw);

/* ---- helpers on top ---- */
/* After XML_OPEN: skips to behind this element's close. */
int xml_skip(struct xml *x) MUST_CHECK;
/* After XML_OPEN of an element with text only (child elements refused with E_FORM): appends the resolved
 * text (comments dropped, CDATA joined) and consumes the close. */
int xml_read_text(struct xml *x, struct buf *out) MUST_CHECK;
/* The scanner's result after XML_BAD; E_OK otherwise. */
int xml_rc(const struct xml *x);
/* The same, and copies what the scanner said to e. */
int xml_failed(const struct xml *x, struct err *e);
/* For long lists of numbers: after the XML_CLOSE of a list's item, reads the siblings that follow as long as
 * they are spelled like it, without attributes, and hold up to nine digits and nothing else; white space
 * between them is skipped.  Returns how many of them out got; xml_next() goes on behind them. */
size_t xml_ints(struct xml *x, int32_t *out, size_t max);
/* At most so many siblings like the item just closed can follow in what is there of the input. */
size_t xml_ints_most(const struct xml *x);

#endif
