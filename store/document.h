/* document.h -- one full update document, read once from front to back: what it says, and its fragments.
 *
 * MS-WUSP 3.1.1.1; rules POPULATE of both protocols.  No store is needed: fragments leave as chunks through a
 * sink while the document is still being read, facts stand in memory at its end.  A document that is refused
 * (E_FORM, E_LIMIT; the text begins with the byte offset) may have let chunks go already: the sink drops them.
 *
 * Memory is bounded whatever the document's size: about 1.5 MB of buffers, and the lists, which
 * common/limits.h bounds.  A reader may be used for any number of documents, one after the other. */
#ifndef STORE_DOCUMENT_H
#define STORE_DOCUMENT_H

#include "common/xml.h"
#include "store/packer.h"
#include "store/store.h"

/* One identity of a relation, as the document names it. */
struct document_relation {
	struct guid update;
	int32_t number;   /* of bundled members, 0 otherwise */
	uint16_t clause;  /* equal: alternatives of one AtLeastOne; counts from 0 per relation */
	bool is_category; /* IsCategory of the clause */
};
enum relation_kind { REL_PREREQ, REL_BUNDLE, REL_SUPERSEDED, REL__N };

struct document_relations {
	const struct document_relation *v;
	size_t n;
};

/* A content file or EULA file, in document order. */
struct document_file {
	struct file file;          /* digest, sha256, size, modified, name, eula */
	struct slice locale, geo;  /* EULA files: lower-case locale, upper-case region, empty for the rest of the world */
};

struct document_facts {
	struct revision rev; /* all but id, update_no, deployment_id, imported, published */
	struct document_relations rel[REL__N];
	const struct document_file *files;
	size_t nfiles;
	size_t identity_at; /* byte of UpdateIdentity */
};

struct document_sink {
	/* Called once, as soon as the identity has been read.  *wanted = false: no chunk from here on. */
	int (*identity)(void *arg, const struct guid *update, int32_t number, bool *wanted, struct err *e);
	/* locale: lower case, of localized and EULA fragments; geo: upper case, of EULA fragments; else empty. */
	int (*chunk)(void *arg, const struct chunk *c, struct slice locale, struct slice geo, struct err *e);
	void *arg;
};

struct document;

struct document *document_new(void); /* NULL: out of memory */
void document_free(struct document **d);

/* E_OK: *out is valid until the next call.  E_FORM and E_LIMIT: the document cannot be held.  Other codes
 * come from refill or sink, or say that memory ran out. */
int document_read(struct document *d, xml_refill_fn *refill, void *arg, const struct document_sink *sink,
	struct document_facts *out, struct err *e) MUST_CHECK;

#endif
