/* f_document.c -- any bytes as an update document.
 *
 * Invariants: a refusal names the byte; of what is accepted every fragment, unescaped and wrapped in a root,
 * is well-formed, the original is the input; the store takes it, knows it when it comes again, and the
 * fragments do not depend on the portions in which the bytes arrive. */
#include <ftw.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/import.h"
#include "test/unit/update_doc.h"

static char dir[256];
static struct store *store;
static struct document *doc;

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static void clean_up(void)
{
	store_close(&store);
	document_free(&doc);
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void set_up(void)
{
	const char *tmp = getenv("TMPDIR");
	struct err e;
	snprintf(dir, sizeof(dir), "%s/f_document.XXXXXX", tmp ? tmp : "/tmp");
	doc = document_new();
	ASSERT(doc && mkdtemp(dir) && store_create(dir, &e) == E_OK);
	ASSERT(store_open(&store, dir, STORE_ADMIN, &e) == E_OK);
	atexit(clean_up);
}

static void check_well_formed(struct slice fragment)
{
	struct buf b;
	struct err e;
	struct xml *x = xml_new();
	buf_init(&b, (size_t)64 << 20);
	buf_str(&b, "<root>");
	buf_slice(&b, fragment);
	buf_str(&b, "</root>");
	ASSERT(x && b.rc == E_OK);
	xml_init(x, buf_bytes(&b), &xml_document_limits, &e);
	enum xml_tok tok;
	while ((tok = xml_next(x)) > XML_END)
		ASSERT(tok != XML_TEXT || xml_depth(x) > 1); /* nothing stands between the elements of a fragment */
	ASSERT(tok == XML_END);
	xml_free(&x);
	buf_free(&b);
}

static void check_fragments(struct got *g, struct slice input)
{
	if (text_starts(input, SL("\xEF\xBB\xBF")))
		input = (struct slice){input.p + 3, input.n - 3};
	ASSERT(got_find(g, FRAG_CORE, "", "") && got_find(g, FRAG_EXTENDED, "", ""));
	for (size_t i = 0; i < g->n; i++) {
		struct slice text = buf_bytes(&g->v[i].text);
		if (g->v[i].type == FRAG_ORIGINAL)
			ASSERT(slice_eq(text, input));
		else
			check_well_formed(text);
	}
}

static void check_portions(struct got *g, struct slice input)
{
	struct got *other = got_new();
	struct err e;
	ASSERT(other && got_read(other, doc, input, 1, &e) == E_OK && other->n == g->n);
	for (size_t i = 0; i < g->n; i++) {
		struct got_fragment *o = got_find(other, g->v[i].type, g->v[i].locale, g->v[i].geo);
		ASSERT(o && slice_eq(buf_bytes(&o->wire), buf_bytes(&g->v[i].wire)));
	}
	got_free(other);
}

/* Twice into one batch that is then given up, so that the store does not grow. */
static void check_import(struct slice input)
{
	struct import *i;
	struct import_report r;
	struct err e;
	ASSERT(import_begin(&i, store, 0, &e) == E_OK);
	for (unsigned n = 0; n < 2; n++) {
		struct mem_source m = {input, 0};
		ASSERT(import_document(i, mem_refill, &m, &r, &e) == E_OK);
		ASSERT(r.outcome == (n ? IMPORT_KNOWN : IMPORT_NEW));
	}
	ASSERT(import_end(&i, true, &e) == E_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice input = {(const char *)data, n};
	struct err e = {.code = E_OK};
	if (!store)
		set_up();
	struct got *g = got_new();
	ASSERT(g);
	int rc = got_read(g, doc, n ? input : SL(""), 0, &e);
	if (rc == E_OK) {
		check_fragments(g, input);
		check_portions(g, input);
		check_import(input);
	} else {
		ASSERT((rc == E_FORM || rc == E_LIMIT) && strncmp(e.text, "byte ", 5) == 0);
	}
	got_free(g);
	return 0;
}
