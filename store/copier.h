/* copier.h -- copies elements from the scanner into a fragment, in the form in which fragments go on the wire.
 *
 * How a copy differs from its source (as seen at a real server; "ours" where nobody has seen it):
 *   - declarations vanish, prefixes of elements and attributes too; in the core, elements of three namespaces
 *     get b. m. d. (WUSP-POPULATE-24, -25).  Values are never touched: xsi:type="cat:Category" becomes
 *     type="cat:Category".  A MsiPatch element keeps the declaration of its namespace;
 *   - an element without content is written <X />;
 *   - ours: white space between elements, comments and PIs are dropped; CDATA becomes escaped text; values are
 *     quoted by double quotes, a double quote inside becomes &quot;.
 * Everything is written as it stands inside <Xml>, escaped once: a tag's own < is &lt;, and a reference of the
 * source, &amp;, is &amp;amp; (WUSP-POPULATE-37).
 *
 * Each token of the document is shown to the copier, also while nothing is copied. */
#ifndef STORE_COPIER_H
#define STORE_COPIER_H

#include "common/xml.h"
#include "store/packer.h"

struct copier {
	struct xml *x;
	struct packer *out;  /* NULL: nothing is copied */
	bool dotted;         /* b. m. d. */
	bool tag_open;       /* a start tag still lacks its > */
	bool leaf;           /* no element was opened or closed since the last start tag */
	bool in_text;        /* the current text holds more than white space */
	unsigned brackets;   /* ] at the end of the current text: a > behind two would not be well-formed */
	struct buf white;    /* white space that may turn out to be text */
	struct buf cdata;
};

void copier_init(struct copier *c, struct xml *x);
void copier_free(struct copier *c);
void copier_reset(struct copier *c);

/* The element at hand is the next to go to out.  NULL ends copying. */
void copier_direct(struct copier *c, struct packer *out);

/* After XML_OPEN, XML_TEXT, XML_CLOSE.  rename: written instead of the name, if present; leaves: attributes
 * that are left out, NULL for none. */
typedef bool leaves_fn(struct slice name, struct slice raw);
int copier_open(struct copier *c, struct slice rename, leaves_fn *leaves, struct err *e) MUST_CHECK;
int copier_text(struct copier *c, struct err *e) MUST_CHECK;
int copier_close(struct copier *c, struct slice rename, struct err *e) MUST_CHECK;

/* ` name="raw"` */
void copier_attr(struct buf *to, struct slice name, struct slice raw);

/* Sets "byte N: ..." with the offset of the token at hand. */
int refuse_token(const struct xml *x, struct err *e, enum errcode code, const char *fmt, ...) PRINTF(4, 5);

#endif
