/* copier.c -- see copier.h. */
#include "store/copier.h"

#include <stdarg.h>

#include "common/limits.h"
#include "common/text.h"

/* A slice in a static table. */
#define N(lit) {(lit), sizeof(lit) - 1}

#define NS_MSI_PATCH SL("http://www.microsoft.com/msi/patch_applicability.xsd")

int refuse_token(const struct xml *x, struct err *e, enum errcode code, const char *fmt, ...)
{
	char why[320];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	return err_set(e, code, "byte %zu: %s", xml_offset(x), why);
}

void copier_init(struct copier *c, struct xml *x)
{
	*c = (struct copier){.x = x};
	buf_init(&c->white, LIMIT_DOC_WHITE);
	buf_init(&c->cdata, PACKER_PORTION);
}

void copier_free(struct copier *c)
{
	buf_free(&c->white);
	buf_free(&c->cdata);
}

/* Between two tags: a new run of text begins. */
static void new_text(struct copier *c)
{
	buf_reset(&c->white);
	c->in_text = false;
	c->brackets = 0;
}

void copier_reset(struct copier *c)
{
	new_text(c);
	c->out = NULL;
	c->tag_open = c->leaf = false;
}

void copier_direct(struct copier *c, struct packer *out)
{
	c->out = out;
	c->dotted = out && out->type == FRAG_CORE;
	c->tag_open = false;
}

static int failed(const struct buf *b, struct err *e)
{
	return err_set(e, (enum errcode)b->rc, "copying a fragment: %s", err_name(b->rc));
}

/* ================= tags ================= */

static void write_name(struct copier *c, struct slice rename)
{
	static const struct {
		struct slice ns, prefix;
	} dotted[] = {
		{N("http://schemas.microsoft.com/msus/2002/12/BaseApplicabilityRules"), N("b.")},
		{N("http://schemas.microsoft.com/msus/2002/12/MsiApplicabilityRules"), N("m.")},
		{N("http://schemas.microsoft.com/msus/2002/12/UpdateHandlers/WindowsDriver"), N("d.")},
	};
	struct buf *b = packer_text(c->out);
	struct slice ns = xml_ns(c->x);
	for (size_t i = 0; i < COUNTOF(dotted) && c->dotted; i++)
		if (slice_eq(ns, dotted[i].ns))
			buf_slice(b, dotted[i].prefix);
	buf_slice(b, rename.p ? rename : xml_name(c->x));
}

void copier_attr(struct buf *to, struct slice name, struct slice raw)
{
	buf_char(to, ' ');
	buf_slice(to, name);
	buf_str(to, "=\"");
	for (const char *q; (q = memchr(raw.p, '"', raw.n));) { /* it was quoted by ' in the source */
		size_t n = (size_t)(q - raw.p);
		xml_escape_add(to, (struct slice){raw.p, n});
		buf_str(to, "&amp;quot;");
		raw = (struct slice){q + 1, raw.n - n - 1};
	}
	xml_escape_add(to, raw);
	buf_char(to, '"');
}

/* Clients hand a MsiPatch element to the MSI parser, which insists on its namespace.  Ours: the declaration is
 * written also where the source has it further out or for a prefix. */
static bool keeps_xmlns(const struct copier *c)
{
	return slice_eq(xml_name(c->x), SL("MsiPatch")) && slice_eq(xml_ns(c->x), NS_MSI_PATCH);
}

/* Attributes lose their prefix: two must not become the same.  No client could read such a fragment. */
static int check_collision(struct copier *c, const struct xml_attr *a, unsigned i, struct err *e)
{
	for (unsigned k = 0; k < xml_nattr(c->x); k++) {
		const struct xml_attr *o = xml_attr(c->x, k);
		if (k != i && !o->is_xmlns && slice_eq(o->name, a->name))
			return refuse_token(c->x, e, E_FORM, "two attributes %.*s that differ by prefix only",
				(int)MIN(a->name.n, (size_t)64), a->name.p);
	}
	return E_OK;
}

static int write_attrs(struct copier *c, leaves_fn *leaves, struct err *e)
{
	struct buf *b = packer_text(c->out);
	if (keeps_xmlns(c))
		copier_attr(b, SL("xmlns"), NS_MSI_PATCH);
	for (unsigned i = 0; i < xml_nattr(c->x); i++) {
		const struct xml_attr *a = xml_attr(c->x, i);
		if (a->is_xmlns || (leaves && leaves(a->name, a->raw)))
			continue;
		int rc = a->prefix.n ? check_collision(c, a, i, e) : E_OK;
		if (rc != E_OK)
			return rc;
		copier_attr(b, a->name, a->raw);
		rc = packer_drain(c->out, e);
		if (rc != E_OK)
			return rc;
	}
	return E_OK;
}

/* Something follows inside the element whose start tag is still open. */
static void end_tag(struct copier *c)
{
	if (c->tag_open)
		buf_str(packer_text(c->out), "&gt;");
	c->tag_open = false;
}

int copier_open(struct copier *c, struct slice rename, leaves_fn *leaves, struct err *e)
{
	new_text(c);
	c->leaf = true;
	if (!c->out)
		return E_OK;
	end_tag(c);
	buf_str(packer_text(c->out), "&lt;");
	write_name(c, rename);
	c->tag_open = true;
	int rc = write_attrs(c, leaves, e);
	return rc == E_OK ? packer_drain(c->out, e) : rc;
}

/* ================= text ================= */

static bool is_white(struct slice s)
{
	return text_trim(s).n == 0;
}

/* A comment that is dropped, or the end of a CDATA section, may bring ]] and > together. */
static int write_text(struct copier *c, struct slice s, struct err *e)
{
	struct buf *b = packer_text(c->out);
	size_t lead = 0, trail = 0;
	end_tag(c);
	while (lead < s.n && s.p[lead] == ']')
		lead++;
	while (trail < s.n && s.p[s.n - 1 - trail] == ']')
		trail++;
	unsigned before = trail == s.n ? c->brackets : 0;
	if (c->brackets && lead < s.n && c->brackets + lead >= 2 && s.p[lead] == '>') {
		buf_add(b, s.p, lead);
		buf_str(b, "&amp;gt;");
		s = (struct slice){s.p + lead + 1, s.n - lead - 1};
	}
	xml_escape_add(b, s);
	c->brackets = before + (unsigned)MIN(trail, (size_t)2);
	return packer_drain(c->out, e);
}

/* The text stays or goes with what follows: the end of a leaf, or a tag. */
static int hold_white(struct copier *c, struct slice s, struct err *e)
{
	buf_slice(&c->white, s);
	if (c->white.rc == E_LIMIT)
		return refuse_token(c->x, e, E_LIMIT, "more than %zu bytes of white space", LIMIT_DOC_WHITE);
	return c->white.rc == E_OK ? E_OK : failed(&c->white, e);
}

static int write_white(struct copier *c, struct err *e)
{
	int rc = c->white.n ? write_text(c, buf_bytes(&c->white), e) : E_OK;
	buf_reset(&c->white);
	return rc;
}

int copier_text(struct copier *c, struct err *e)
{
	struct slice s = xml_text(c->x);
	if (!c->out)
		return E_OK;
	if (!c->in_text && is_white(s))
		return hold_white(c, s, e);
	int rc = write_white(c, e);
	c->in_text = true;
	if (rc != E_OK || !xml_text_is_cdata(c->x))
		return rc == E_OK ? write_text(c, s, e) : rc;
	buf_reset(&c->cdata);
	xml_escape_add(&c->cdata, s);
	return c->cdata.rc == E_OK ? write_text(c, buf_bytes(&c->cdata), e) : failed(&c->cdata, e);
}

int copier_close(struct copier *c, struct slice rename, struct err *e)
{
	int rc = c->out && c->leaf ? write_white(c, e) : E_OK;
	new_text(c);
	c->leaf = false;
	if (!c->out || rc != E_OK)
		return rc;
	struct buf *b = packer_text(c->out);
	if (c->tag_open) {
		buf_str(b, " /&gt;");
		c->tag_open = false;
	} else {
		buf_str(b, "&lt;/");
		write_name(c, rename);
		buf_str(b, "&gt;");
	}
	return packer_drain(c->out, e);
}
