/* update_doc.h -- update documents for tests: a source that hands out memory in small portions, small
 * documents by parts, and a sink that joins the chunks of every fragment. */
#ifndef TEST_UNIT_UPDATE_DOC_H
#define TEST_UNIT_UPDATE_DOC_H

#include <stdlib.h>

#include "common/text.h"
#include "common/xpress.h"
#include "store/document.h"

/* ---- a source ---- */

struct mem_source {
	struct slice left;
	size_t step; /* bytes at a time, 0: as many as asked for */
};

static inline ptrdiff_t mem_refill(void *arg, char *to, size_t n, struct err *e)
{
	struct mem_source *m = arg;
	(void)e;
	size_t k = MIN(MIN(n, m->left.n), m->step ? m->step : n);
	if (k)
		memcpy(to, m->left.p, k);
	m->left.p += k;
	m->left.n -= k;
	return (ptrdiff_t)k;
}

/* ---- documents ---- */

#define NS_UPD "http://schemas.microsoft.com/msus/2002/12/Update"
#define NS_BAR "http://schemas.microsoft.com/msus/2002/12/BaseApplicabilityRules"
#define NS_LAR "http://schemas.microsoft.com/msus/2002/12/LogicalApplicabilityRules"
#define NS_MAR "http://schemas.microsoft.com/msus/2002/12/MsiApplicabilityRules"
#define NS_DRV "http://schemas.microsoft.com/msus/2002/12/UpdateHandlers/WindowsDriver"
#define NS_CBS "http://schemas.microsoft.com/msus/2002/12/UpdateHandlers/Cbs"
#define NS_MSP "http://www.microsoft.com/msi/patch_applicability.xsd"
#define ID_A "11111111-aaaa-4bbb-8ccc-000000000001"
#define ID_B "22222222-aaaa-4bbb-8ccc-000000000002"
#define ID_C "33333333-aaaa-4bbb-8ccc-000000000003"
#define ID_D "44444444-aaaa-4bbb-8ccc-000000000004"
#define DIGEST_1 "AQIDBAUGBwgJCgsMDQ4PEBESExQ="                  /* bytes 1 .. 20 */
#define DIGEST_256 "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=" /* bytes 1 .. 32 */

#define IDENTITY(id, n) "<UpdateIdentity UpdateID=\"" id "\" RevisionNumber=\"" n "\" />"
#define PROPERTIES(attrs, children) "<Properties " attrs ">" children "</Properties>"
#define SOFTWARE PROPERTIES("UpdateType=\"Software\" DefaultPropertiesLanguage=\"en\"", "")
#define LOCALIZED(lang, title) \
	"<LocalizedProperties><Language>" lang "</Language><Title>" title "</Title></LocalizedProperties>"
#define COLLECTION(s) "<LocalizedPropertiesCollection>" s "</LocalizedPropertiesCollection>"
#define ENGLISH COLLECTION(LOCALIZED("en", "T"))
#define UPDATE(s) "<Update xmlns=\"" NS_UPD "\">" s "</Update>"
/* Everything that must be there, and one more section. */
#define PLAIN(more) UPDATE(IDENTITY(ID_A, "7") SOFTWARE ENGLISH more)

/* ---- a sink ---- */

struct got_fragment {
	enum fragment_type type;
	char locale[96], geo[24];
	unsigned chunks;
	bool packed;
	struct buf wire, text; /* escaped once; unescaped */
};

#define GOT_MAX 600
struct got {
	struct got_fragment v[GOT_MAX];
	size_t n, chunk_max;
	bool refuse_identity;
	struct document_facts facts;
};

static inline struct got *got_new(void)
{
	return calloc(1, sizeof(struct got));
}

static inline void got_free(struct got *g)
{
	for (size_t i = 0; i < g->n; i++) {
		buf_free(&g->v[i].wire);
		buf_free(&g->v[i].text);
	}
	free(g);
}

static inline struct got_fragment *got_find(struct got *g, enum fragment_type type, const char *locale,
	const char *geo)
{
	for (size_t i = 0; i < g->n; i++)
		if (g->v[i].type == type && !strcmp(g->v[i].locale, locale) && !strcmp(g->v[i].geo, geo))
			return &g->v[i];
	return NULL;
}

static inline int got_chunk(void *arg, const struct chunk *c, struct slice locale, struct slice geo, struct err *e)
{
	struct got *g = arg;
	char l[96], r[24];
	snprintf(l, sizeof(l), "%.*s", SLF(locale));
	snprintf(r, sizeof(r), "%.*s", SLF(geo));
	struct got_fragment *f = got_find(g, c->type, l, r);
	if (!f) {
		ASSERT(g->n < GOT_MAX);
		f = &g->v[g->n++];
		*f = (struct got_fragment){.type = c->type, .packed = c->packed};
		memcpy(f->locale, l, sizeof(l));
		memcpy(f->geo, r, sizeof(r));
		buf_init(&f->wire, (size_t)1 << 30);
		buf_init(&f->text, (size_t)1 << 30);
	}
	ASSERT(c->n == f->chunks && c->packed == f->packed && c->bytes.n <= LIMIT_CHUNK && c->bytes.n > 0);
	f->chunks++;
	g->chunk_max = MAX(g->chunk_max, c->bytes.n);
	size_t before = f->wire.n;
	if (!c->packed)
		buf_slice(&f->wire, c->bytes);
	else if (xpress_unpack(c->bytes, &f->wire) != E_OK)
		return err_set(e, f->wire.rc == E_NOMEM ? E_NOMEM : E_CORRUPT, "a chunk that does not decode");
	ASSERT(f->wire.rc != E_OK || f->wire.n - before == c->plain);
	return f->wire.rc;
}

static inline int got_identity(void *arg, const struct guid *id, int32_t number, bool *wanted, struct err *e)
{
	struct got *g = arg;
	(void)id;
	(void)number;
	(void)e;
	*wanted = !g->refuse_identity;
	return E_OK;
}

/* Reads a document from memory; on success the fragments' texts are unescaped. */
static inline int got_read(struct got *g, struct document *d, struct slice doc, size_t step, struct err *e)
{
	struct mem_source m = {doc, step};
	struct document_sink sink = {got_identity, got_chunk, g};
	int rc = document_read(d, mem_refill, &m, &sink, &g->facts, e);
	for (size_t i = 0; i < g->n && rc == E_OK; i++) {
		ASSERT(xml_unescape_add(&g->v[i].text, buf_bytes(&g->v[i].wire)));
		rc = g->v[i].text.rc;
	}
	return rc;
}

#endif
