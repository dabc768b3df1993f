/* t_xml.c -- the scanner: what it hands out, what it refuses and where, and that a stream gives the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/arena.h"
#include "common/limits.h"
#include "common/text.h"
#include "test/unit/corpus.h"
#include "test/unit/xmldump.h"

struct fixture {
	struct xml *x;
	struct err e;
	struct buf in, a, b;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	f->x = xml_new();
	buf_init(&f->in, 64 << 20);
	buf_init(&f->a, 64 << 20);
	buf_init(&f->b, 64 << 20);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	xml_free(&f->x);
	assert_null(f->x);
	buf_free(&f->in);
	buf_free(&f->a);
	buf_free(&f->b);
	free(f);
	return 0;
}

static int scan(struct fixture *f, struct slice in, const struct xml_limits *lim)
{
	buf_reset(&f->a);
	f->e = (struct err){.code = E_OK};
	xml_init(f->x, in, lim, &f->e);
	return xml_dump(&f->a, f->x);
}

static int scan_stream(struct fixture *f, struct slice in, size_t step, const struct xml_limits *lim)
{
	struct drip d = {in, step};
	buf_reset(&f->b);
	f->e = (struct err){.code = E_OK};
	xml_init_stream(f->x, drip_refill, &d, lim, &f->e);
	return xml_dump(&f->b, f->x);
}

static void assert_tokens(struct fixture *f, const char *in, const char *want)
{
	scan(f, slice_of(in), &xml_message_limits);
	buf_char(&f->a, 0);
	if (strcmp(f->a.p, want) != 0)
		fail_msg("%s\ngot:%s\nwant:%s\nerror: %s", in, f->a.p, want, f->e.text);
}

static void tokens_come_with_namespaces_and_attributes_in_order(void **state)
{
	struct fixture *f = *state;
	assert_tokens(f,
		"<?xml version=\"1.0\" encoding=\"UTF-8\" standalone='yes'?>\n<a xmlns='urn:d' xmlns:p=\"urn:p\" k='1' p:k='2'>"
		"t<p:b/><!-- c -->&lt;<c xmlns='' x = \"'&quot;\" /></a>\n<?pi x?>\n",
		"\nOPEN  a {urn:d} at 56 depth 1\n  decl  xmlns {http://www.w3.org/2000/xmlns/} = urn:d"
		"\n  decl xmlns p {http://www.w3.org/2000/xmlns/} = urn:p\n  attr  k {} = 1\n  attr p k {urn:p} = 2"
		"\nTEXT t\nOPEN p b {urn:p} at 104 depth 2 empty\nCLOSE b {urn:p} depth 1\nTEXT <"
		"\nOPEN  c {} at 124 depth 2 empty\n  decl  xmlns {http://www.w3.org/2000/xmlns/} = "
		"\n  attr  x {} = '&quot;\nCLOSE c {} depth 1\nCLOSE a {urn:d} depth 0\nend 0");
	assert_tokens(f, "\xEF\xBB\xBF<?xml version='1.1'?><r xml:lang='en'><![CDATA[a]]b<&>]]>]]<![CDATA[]]></r>",
		"\nOPEN  r {} at 24 depth 1\n  attr xml lang {http://www.w3.org/XML/1998/namespace} = en"
		"\nTEXT a]]b<&>]]\nCLOSE r {} depth 0\nend 0");
}

static void declarations_end_with_their_element(void **state)
{
	assert_tokens(*state, "<p:a xmlns:p='1'><p:b xmlns:p='2' xmlns='d'><c/></p:b><p:d/><e/></p:a>",
		"\nOPEN p a {1} at 0 depth 1\n  decl xmlns p {http://www.w3.org/2000/xmlns/} = 1"
		"\nOPEN p b {2} at 17 depth 2\n  decl xmlns p {http://www.w3.org/2000/xmlns/} = 2"
		"\n  decl  xmlns {http://www.w3.org/2000/xmlns/} = d\nOPEN  c {d} at 44 depth 3 empty\nCLOSE c {d} depth 2"
		"\nCLOSE b {2} depth 1\nOPEN p d {1} at 54 depth 2 empty\nCLOSE d {1} depth 1"
		"\nOPEN  e {} at 60 depth 2 empty\nCLOSE e {} depth 1\nCLOSE a {1} depth 0\nend 0");
}

static void names_may_be_of_any_script(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(
		scan(f, SL("<\xC3\xA9l\xC3\xA8ve _x.-1='' \xE4\xB8\xAD\xE6\x96\x87=''/>"), &xml_message_limits),
		E_OK);
	assert_int_equal(scan(f, SL("<a\xC2\xB7/>"), &xml_message_limits), E_OK);
	assert_int_equal(scan(f, SL("<\xC2\xB7/>"), &xml_message_limits), E_FORM);
	assert_int_equal(scan(f, SL("<a\xC3\x97/>"), &xml_message_limits), E_FORM);
	assert_int_equal(scan(f, SL("<\xF0\x90\x80\x80/>"), &xml_message_limits), E_OK);
}

static const struct {
	struct slice in;
	const char *says;
} hostile[] = {
#define H(in, says) {{in, sizeof(in) - 1}, says}
	/* nothing, or not the whole */
	H("", "byte 0: empty input"),
	H(" \n", "byte 2: no root element"),
	H("<!-- x -->", "no root element"),
	H("<", "ends inside a tag"),
	H("<a", "ends inside a tag"),
	H("<a>", "ends inside an element"),
	H("<a><b>x</b>", "ends inside an element"),
	H("<a>x", "byte 4: the input ends inside an element"),
	H("<a", "ends"),
	H("<a b", "ends"),
	H("<a b=", "ends"),
	H("<a b='", "ends"),
	H("<a b='c", "ends"),
	H("<a/", "ends"),
	H("<a></a", "ends inside a tag"),
	H("<a></", "ends"),
	H("<!", "ends"),
	H("<!-", "ends"),
	H("<!-- ", "a comment"),
	H("<!-- -", "a comment"),
	H("<!-- --", "a comment"),
	H("<?x", "ends"),
	H("<?x ", "a processing instruction"),
	H("<?x ?", "a processing instruction"),
	H("<a><![CDATA[x]]", "CDATA"),
	H("<a><![CDA", "ends"),
	H("<a>&am", "ends"),
	H("<a>x\xC3", "byte 4: no character of XML"),
	/* bytes that are no characters */
	H("<a>x\x80y</a>", "byte 4: no character of XML in UTF-8"),
	H("<a>\xC0\x80</a>", "byte 3: no"),
	H("<a>\xED\xA0\x80</a>", "no character"),
	H("<a>\xF8\x88\x80\x80\x80</a>", "no character"),
	H("<a>\xE9t\xE9</a>", "no character"),
	H("<a>\0</a>", "byte 3: control character 0x00"),
	H("<a>\x01</a>", "control character 0x01"),
	H("<a b='\x0B'/>", "control character 0x0b"),
	H("<a>\xEF\xBF\xBF</a>", "no"),
	H("<a/>\0", "byte 4: control character"),
	H("<\x01/>", "control character"),
	H("<a>\xF4\x90\x80\x80</a>", "no character"),
	H("\xFF\xFE<\0a\0/\0>\0", "byte 0: this is UTF-16"),
	H("\xFE\xFF\0<\0a\0/\0>", "byte 0: this is UTF-16"),
	H("<\0a\0/\0>\0", "control character 0x00"),
	/* document types: no bombs, no files */
	H("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "byte 0: a document type declaration is refused"),
	H("<a><!DOCTYPE b></a>", "document type"),
	H("<a>&b;</a>", "no reference"),
	H("<!doctype a><a/>", "unknown markup"),
	H("<a><!ELEMENT x></a>", "unknown markup"),
	/* outside the root */
	H("x<a/>", "byte 0: text outside the root"),
	H("<a/>x", "byte 4: text outside"),
	H("<a/>&#32;", "text outside"),
	H("<a/><b/>", "byte 4: a second root"),
	H("<a></a><b/>", "second root"),
	H("</a>", "without its element"),
	H("<a/></a>", "without its element"),
	H("<![CDATA[x]]><a/>", "CDATA outside"),
	H("<a/><![CDATA[]]>", "CDATA outside"),
	H(" <?xml version='1.0'?><a/>", "byte 1: an XML declaration that is not"),
	H("<a/>\xEF\xBB\xBF", "text outside"),
	H("<a><?xml version='1.0'?></a>", "not at the begin"),
	H("<?XML version='1.0'?><a/>", "not at the begin"),
	/* tags */
	H("<a></b>", "byte 3: </b> closes <a>"),
	H("<a></a b>", "unexpected character in a close"),
	H("<a></ab>", "</ab> closes"),
	H("<ab></a>", "</a> closes <ab>"),
	H("<a></a></a>", "without its"),
	H("<p:a xmlns:p='x'></a>", "</a> closes <p:a>"),
	H("<a></ a>", "a name is missing"),
	H("< a/>", "a name is missing"),
	H("<1a/>", "a name is missing"),
	H("<-a/>", "a name"),
	H("<a:b/>", "byte 1: the prefix a is not declared"),
	H("<a b:c=''/>", "the prefix b is not"),
	H("<a:b:c/>", "second colon"),
	H("<:a/>", "a name is missing"),
	H("<a:/>", "a name is missing"),
	H("<a:1 xmlns:a='x'/>", "a name is missing"),
	H("<a / >", "byte 3: a name is missing"),
	H("<a/ >", "byte 2: "),
	H("<a<b/>", "unexpected"),
	H("<a,b/>", "unexpected"),
	/* attributes */
	H("<a b=c/>", "has no quotes"),
	H("<a b/>", "has no value"),
	H("<a b c=''/>", "has no value"),
	H("<a b='<'/>", "< inside"),
	H("<a b='&x;'/>", "no reference"),
	H("<a b='&'/>", "no reference"),
	H("<a b='' b=''/>", "byte 8: an attribute is repeated"),
	H("<a b=''c=''/>", "unexpected character in a tag"),
	H("<a ='x'/>", "a name is missing"),
	H("<a 1=''/>", "a name"),
	H("<a xmlns:p='u' xmlns:q='u' p:b='' q:b=''/>", "repeated"),
	H("<a xmlns='u' xmlns='u'/>", "repeated"),
	H("<a xmlns:p='u' xmlns:p='v'/>", "repeated"),
	/* namespaces */
	H("<a xmlns:p=''/>", "cannot be undeclared"),
	H("<a xmlns:xmlns='u'/>", "xmlns cannot be"),
	H("<xmlns:a/>", "not declared"),
	H("<a xmlns:xml='u'/>", "belong together"),
	H("<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>", "belong together"),
	H("<a xmlns='http://www.w3.org/2000/xmlns/'/>", "xmlns cannot be"),
	H("<a><b xmlns:p='u'/><p:c/></a>", "not declared"),
	/* text, references, comments, instructions */
	H("<a>]]></a>", "byte 3: ]]> in text"),
	H("<a>x]]]>y</a>", "]]> in text"),
	H("<a>&</a>", "no reference"),
	H("<a>&amp</a>", "no"),
	H("<a>&#xD800;</a>", "no reference"),
	H("<a>&#x110000;</a>", "no"),
	H("<a>&#99999999999;</a>", "no"),
	H("<a>&#0;</a>", "no"),
	H("<a>&#1;</a>", "no"),
	H("<a>&#;</a>", "no"),
	H("<a>&;</a>", "no"),
	H("<a><!-- -- --></a>", "byte 8: -- inside"),
	H("<a><!-- ---></a>", "-- inside a comment"),
	H("<a><!---></a>", "ends inside a comment"),
	H("<a><!x></a>", "unknown markup"),
	H("<a><![cdata[x]]></a>", "unknown markup"),
	H("<a><?1?></a>", "a name is missing"),
	H("<a><?" "?></a>", "a name"), /* in two, or it were a trigraph */
	H("<a><?x:y ?></a>", "unexpected"),
	H("<a><? x?></a>", "a name"),
	/* declarations */
	H("<?xml?><a/>", "malformed XML decl"),
	H("<?xml encoding='UTF-8'?><a/>", "malformed"),
	H("<?xml version='2.0'?><a/>", "not 1.x"),
	H("<?xml version='1.'?><a/>", "not 1.x"),
	H("<?xml version='1.0' encoding='utf-16'?><a/>", "encoding is not UTF-8"),
	H("<?xml version='1.0' encoding='ISO-8859-1'?><a/>", "encoding is not"),
	H("<?xml version='1.0' x='y'?><a/>", "malformed"),
	H("<?xml version='1.0' standalone='no' encoding='UTF-8'?><a/>", "malformed"),
	H("<?xml version='1.0'encoding='UTF-8'?><a/>", "malf"),
	H("<?xml version='1.0' standalone='maybe'?><a/>", "neither yes nor no"),
	H("<?xml version='1.0' version='1.0'?><a/>", "malf"),
#undef H
};

static void hostile_input_is_refused_with_place_and_reason(void **state)
{
	struct fixture *f = *state;
	for (size_t i = 0; i < COUNTOF(hostile); i++) {
		int rc = scan(f, hostile[i].in, &xml_message_limits);
		if (rc != E_FORM || !strstr(f->e.text, hostile[i].says) || strncmp(f->e.text, "byte ", 5) != 0)
			fail_msg("%.*s: rc %d: %s", SLF(hostile[i].in), rc, f->e.text);
		assert_int_equal(xml_next(f->x), XML_BAD);
		assert_int_equal(xml_failed(f->x, NULL), E_FORM);
	}
}

/* ---- limits ---- */

static void repeat(struct buf *b, const char *z, size_t n)
{
	while (n-- > 0)
		buf_str(b, z);
}

static int scan_in(struct fixture *f)
{
	return scan(f, buf_bytes(&f->in), &xml_message_limits);
}

static void each_limit_holds_exactly(void **state)
{
	struct fixture *f = *state;
	for (size_t over = 0; over < 2; over++) {
		int want = over ? E_LIMIT : E_OK;
		buf_reset(&f->in);
		repeat(&f->in, "<a>", LIMIT_DEPTH + over);
		repeat(&f->in, "</a>", LIMIT_DEPTH + over);
		assert_int_equal(scan_in(f), want);

		buf_reset(&f->in);
		buf_str(&f->in, "<a");
		for (size_t i = 0; i < LIMIT_ATTRIBUTES + over; i++)
			buf_printf(&f->in, " a%zu=''", i);
		buf_str(&f->in, "/>");
		assert_int_equal(scan_in(f), want);

		buf_reset(&f->in);
		buf_str(&f->in, "<a b='");
		repeat(&f->in, "x", LIMIT_TAG - 9 + over);
		buf_str(&f->in, "'/>");
		assert_int_equal(scan_in(f), want);
		assert_int_equal(scan_stream(f, buf_bytes(&f->in), 4096, &xml_message_limits), want);

		buf_reset(&f->in);
		buf_str(&f->in, "<a>");
		repeat(&f->in, "<b/>", LIMIT_ELEMENTS - 1 + over);
		buf_str(&f->in, "</a>");
		assert_int_equal(scan_in(f), want);

		buf_reset(&f->in);
		buf_str(&f->in, "<a>");
		repeat(&f->in, "x", LIMIT_BODY - 7 + over);
		buf_str(&f->in, "</a>");
		assert_int_equal(scan_in(f), want);
		assert_int_equal(scan_stream(f, buf_bytes(&f->in), 65536, &xml_message_limits), want);
	}
}

static void namespaces_in_scope_are_bounded(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const struct xml_limits *limits;
		unsigned most;
	} kinds[] = {{&xml_message_limits, LIMIT_NAMESPACES}, {&xml_document_limits, LIMIT_DOC_NAMESPACES}};
	for (size_t k = 0; k < 2 * COUNTOF(kinds); k++) {
		unsigned n = kinds[k / 2].most - 1 + k % 2; /* and the q of all */
		buf_reset(&f->in);
		for (unsigned i = 0; i < n; i++)
			/* a prefix declared again as it is does not count */
			buf_printf(&f->in, "<a xmlns:q='u' xmlns:p%u='u'>", i);
		repeat(&f->in, "</a>", n);
		assert_int_equal(scan(f, buf_bytes(&f->in), kinds[k / 2].limits), k % 2 ? E_LIMIT : E_OK);
	}
	buf_reset(&f->in);
	buf_str(&f->in, "<a xmlns='");
	repeat(&f->in, "u", 20000);
	buf_str(&f->in, "'/>");
	assert_int_equal(scan(f, buf_bytes(&f->in), &xml_document_limits), E_LIMIT);
}

static void deep_and_wide_input_costs_no_stack(void **state)
{
	struct fixture *f = *state;
	buf_reset(&f->in);
	repeat(&f->in, "<a>", 1000000);
	assert_int_equal(scan_in(f), E_LIMIT);
	buf_reset(&f->in);
	buf_str(&f->in, "<a ");
	for (size_t i = 0; i < 64000; i++)
		buf_printf(&f->in, "a%zu='' ", i);
	assert_int_equal(scan_in(f), E_LIMIT);
	buf_reset(&f->in);
	buf_char(&f->in, '<');
	repeat(&f->in, "a", 1 << 20);
	assert_int_equal(scan_in(f), E_LIMIT);
}

/* ---- streams ---- */

static const size_t steps[] = {1, 2, 3, 7, 4096};

static void assert_same_streamed(struct fixture *f, struct slice in, const struct xml_limits *lim)
{
	char said[512];
	int rc = scan(f, in, lim);
	memcpy(said, f->e.text, sizeof(said));
	for (size_t i = 0; i < COUNTOF(steps); i++) {
		int again = scan_stream(f, in, steps[i], lim);
		if (again != rc || strcmp(said, f->e.text) != 0)
			fail_msg("%.*s by %zu: rc %d, %d: %s; %s", SLF(in), steps[i], rc, again, said, f->e.text);
		/* up to a fault, text may have been handed out in the stream or not */
		if (rc == E_OK && !slice_eq(buf_bytes(&f->a), buf_bytes(&f->b)))
			fail_msg("%.*s by %zu: other tokens", (int)MIN(in.n, (size_t)200), in.p, steps[i]);
	}
}

static void hostile_input_is_refused_the_same_when_streamed(void **state)
{
	for (size_t i = 0; i < COUNTOF(hostile); i++)
		assert_same_streamed(*state, hostile[i].in, &xml_message_limits);
}

static const char *const seeds = "test/fuzz/seed/xml";

static void seeds_give_the_same_tokens_when_streamed(void **state)
{
	struct fixture *f = *state;
	size_t n = 0;
	DIR *d = opendir(seeds);
	assert_non_null(d);
	for (struct dirent *de; (de = readdir(d)) != NULL;) {
		if (*de->d_name == '.')
			continue;
		assert_true(read_whole(&f->in, seeds, de->d_name));
		assert_same_streamed(f, buf_bytes(&f->in), &xml_document_limits);
		n++;
	}
	closedir(d);
	assert_true(n >= 10);
}

static void recorded_messages_give_the_same_tokens_when_streamed(void **state)
{
	struct fixture *f = *state;
	static const char *const pattern[] = {"native/scan", "native/flow", "serversync"};
	SKIP_WITHOUT(corpus_dir());
	for (size_t i = 0; i < 60; i++) {
		char path[64];
		snprintf(path, sizeof(path), "%s/%06zu/%s.body", pattern[i % 3], i / 3 + 1, i % 2 ? "response" : "request");
		if (!read_whole(&f->in, corpus_dir(), path))
			continue;
		assert_int_equal(scan_in(f), E_OK);
		assert_same_streamed(f, buf_bytes(&f->in), &xml_message_limits);
	}
}

/* The end of the window meets every byte of what stands there, in text and in CDATA. */
static void text_longer_than_the_window_comes_in_whole_pieces(void **state)
{
	struct fixture *f = *state;
	static const char *const around[] = {"]]&amp;\xC3\xA9\xE2\x82\xAC&#x1F600;]&gt;\xF0\x9F\x98\x80]] > ",
		"]]\xC3\xA9]>\xF0\x9F\x98\x80&<x>]]] "};
	for (size_t pad = 0; pad < 40; pad++)
		for (int cdata = 0; cdata < 2; cdata++) {
			buf_reset(&f->in);
			buf_str(&f->in, cdata ? "<a><![CDATA[" : "<a>");
			repeat(&f->in, "x", pad);
			repeat(&f->in, around[cdata], 8000);
			buf_str(&f->in, cdata ? "]]></a>" : "</a>");
			struct slice in = buf_bytes(&f->in);
			assert_int_equal(scan(f, in, &xml_message_limits), E_OK);
			assert_int_equal(scan_stream(f, in, 65536, &xml_message_limits), E_OK);
			assert_true(slice_eq(buf_bytes(&f->a), buf_bytes(&f->b)));
		}
}

/* Tags meet the end of the window at every byte. */
static void tags_across_the_window_are_whole(void **state)
{
	struct fixture *f = *state;
	for (size_t pad = 0; pad < 60; pad++) {
		buf_reset(&f->in);
		buf_str(&f->in, "<r>");
		repeat(&f->in, " ", pad);
		repeat(&f->in, "<a xmlns:p='urn:x' b=\"&lt;\" ><p:c/>t<!-- x --><?y z?></a>\n", 5000);
		buf_str(&f->in, "</r>");
		struct slice in = buf_bytes(&f->in);
		assert_int_equal(scan(f, in, &xml_document_limits), E_OK);
		assert_int_equal(scan_stream(f, in, 100000, &xml_message_limits), E_OK);
		assert_true(slice_eq(buf_bytes(&f->a), buf_bytes(&f->b)));
	}
}

static ptrdiff_t broken_refill(void *arg, char *to, size_t n, struct err *e)
{
	(void)arg;
	(void)to;
	(void)n;
	err_set(e, E_IO, "the disk is gone");
	return -1;
}

static void a_broken_source_says_so_itself(void **state)
{
	struct fixture *f = *state;
	struct err again;
	xml_init_stream(f->x, broken_refill, NULL, &xml_message_limits, &f->e);
	assert_int_equal(xml_next(f->x), XML_BAD);
	assert_int_equal(xml_rc(f->x), E_IO);
	assert_string_equal(f->e.text, "the disk is gone");
	assert_int_equal(xml_failed(f->x, &again), E_IO);
	assert_string_equal(again.text, "the disk is gone");
}

/* A window that cannot be had is said at the first token, and costs nothing later. */
static void missing_memory_is_reported(void **state)
{
	struct fixture *f = *state;
	struct drip d = {SL("<a/>"), 4};
	alloc_fail_at = 1;
	assert_null(xml_new());
	alloc_fail_at = 1;
	xml_init_stream(f->x, drip_refill, &d, &xml_message_limits, &f->e);
	assert_int_equal(xml_next(f->x), XML_BAD);
	assert_int_equal(xml_rc(f->x), E_NOMEM);
	xml_init_stream(f->x, drip_refill, &d, &xml_message_limits, &f->e);
	assert_int_equal(xml_next(f->x), XML_OPEN);
}

/* ---- helpers on top ---- */

static void skipping_and_reading_text_consume_the_close(void **state)
{
	struct fixture *f = *state;
	struct buf b;
	buf_init(&b, 100);
	xml_init(f->x, SL("<r><a><b><a/></b>x</a><c>1<!-- -->&amp;<![CDATA[<&]]>2</c><d/><e><f/></e></r>"),
		&xml_message_limits, &f->e);
	assert_int_equal(xml_next(f->x), XML_OPEN);
	assert_int_equal(xml_next(f->x), XML_OPEN);
	assert_int_equal(xml_skip(f->x), E_OK);
	assert_int_equal(xml_next(f->x), XML_OPEN);
	assert_true(slice_eq(xml_name(f->x), SL("c")));
	assert_int_equal(xml_read_text(f->x, &b), E_OK);
	assert_true(slice_eq(buf_bytes(&b), SL("1&<&2")));
	assert_int_equal(xml_next(f->x), XML_OPEN);
	assert_int_equal(xml_skip(f->x), E_OK);
	assert_int_equal(xml_next(f->x), XML_OPEN);
	assert_int_equal(xml_read_text(f->x, &b), E_FORM);
	assert_non_null(strstr(f->e.text, "<f> where only text"));
	buf_free(&b);
}

static void attributes_are_found_by_namespace(void **state)
{
	struct fixture *f = *state;
	xml_init(f->x, SL("<r xmlns:p='urn:p&amp;' p:k='v' k='w'/>"), &xml_message_limits, &f->e);
	assert_int_equal(xml_next(f->x), XML_OPEN);
	assert_true(slice_eq(xml_find_attr(f->x, SL("urn:p&"), SL("k"))->raw, SL("v")));
	assert_true(slice_eq(xml_find_attr(f->x, SL(""), SL("k"))->raw, SL("w")));
	assert_null(xml_find_attr(f->x, SL("urn:x"), SL("k")));
	assert_int_equal(xml_next(f->x), XML_CLOSE);
	assert_int_equal(xml_next(f->x), XML_END);
	assert_int_equal(xml_next(f->x), XML_END);
}

/* Runs of numbers are what xml_next() would have read, and stop before anything that is not plain. */
static void runs_of_numbers_stop_before_anything_else(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *in;
		int n, last;
	} t[] = {
		{"<i>2</i><i>999999999</i>", 2, 999999999}, {" <i>2</i>\n\t<i>3</i> ", 2, 3}, {"<i>2</i><i>1234567890</i>", 1, 2},
		{"<i>2</i><i>-3</i>", 1, 2}, {"<i>2</i><i></i>", 1, 2}, {"<i>2</i><i/>", 1, 2}, {"<i>2</i><i> 3</i>", 1, 2},
		{"<i>2</i><i a='b'>3</i>", 1, 2}, {"<i>2</i><j>3</j>", 1, 2}, {"<i>2</i><i>3<!-- --></i>", 1, 2},
		{"<i>2</i>x<i>3</i>", 1, 2}, {"<i>007</i>", 1, 7}, {"<ii>1</ii>", 0, 0}, {"<i>2</i ><i>3</i>", 0, 0},
	};
	int32_t out[8];
	for (size_t k = 0; k < COUNTOF(t); k++) {
		buf_reset(&f->in);
		buf_printf(&f->in, "<r><i>1</i>%s%*s</r>", t[k].in, 400, "");
		xml_init(f->x, buf_bytes(&f->in), &xml_message_limits, &f->e);
		for (int i = 0; i < 4; i++)
			assert_int_not_equal(xml_next(f->x), XML_BAD);
		size_t n = xml_ints(f->x, out, COUNTOF(out));
		assert_int_equal(n, t[k].n);
		if (n)
			assert_int_equal(out[n - 1], t[k].last);
		while (xml_next(f->x) > XML_END)
			;
		assert_int_equal(xml_rc(f->x), E_OK);
	}
}

/* Read eight digits at a time: numbers of each length, with a digit of each value in each place. */
static void runs_hold_numbers_of_one_to_nine_digits(void **state)
{
	struct fixture *f = *state;
	int32_t want[9 * 10 * 9], out[9 * 10 * 9 + 1];
	size_t n = 0;
	buf_reset(&f->in);
	buf_str(&f->in, "<r><i>0</i>");
	for (int length = 1, top = 1; length <= 9; length++, top *= 10)
		for (int digit = 0; digit <= 9; digit++)
			for (int place = 1; place <= top; place *= 10) {
				want[n] = place == top ? digit * place : (9 - digit) * top + digit * place;
				buf_printf(&f->in, "<i>%0*d</i>", length, (int)want[n++]);
				if (place == 100000000)
					break;
			}
	buf_printf(&f->in, "%*s</r>", 400, "");
	xml_init(f->x, buf_bytes(&f->in), &xml_message_limits, &f->e);
	for (int i = 0; i < 4; i++)
		assert_int_not_equal(xml_next(f->x), XML_BAD);
	assert_true(xml_ints_most(f->x) >= n);
	assert_int_equal(xml_ints(f->x, out, COUNTOF(out)), n);
	assert_memory_equal(out, want, n * sizeof(want[0]));
	assert_int_equal(xml_next(f->x), XML_TEXT);
}

static void runs_of_numbers_count_as_elements(void **state)
{
	struct fixture *f = *state;
	struct xml_limits few = xml_message_limits;
	int32_t out[200];
	few.elements = 60;
	buf_reset(&f->in);
	buf_str(&f->in, "<r>");
	repeat(&f->in, "<i>5</i>", 100);
	buf_str(&f->in, "</r>");
	xml_init(f->x, buf_bytes(&f->in), &few, &f->e);
	for (int i = 0; i < 4; i++)
		assert_int_not_equal(xml_next(f->x), XML_BAD);
	assert_int_equal(xml_ints(f->x, out, COUNTOF(out)), 58);
	assert_int_equal(xml_next(f->x), XML_BAD);
	assert_int_equal(xml_rc(f->x), E_LIMIT);
}

static void update_documents_are_read_in_memory_and_as_streams(void **state)
{
	struct fixture *f = *state;
	size_t n = 0;
	char dir[512];
	SKIP_WITHOUT(corpus_dir());
	snprintf(dir, sizeof(dir), "%s/updates", corpus_dir());
	DIR *d = opendir(dir);
	assert_non_null(d);
	for (struct dirent *de; (de = readdir(d)) != NULL;) {
		if (!strstr(de->d_name, ".xml") || !read_whole(&f->in, dir, de->d_name))
			continue;
		struct slice in = buf_bytes(&f->in);
		assert_int_equal(scan(f, in, &xml_document_limits), E_OK);
		assert_int_equal(scan_stream(f, in, 4096, &xml_document_limits), E_OK);
		assert_true(slice_eq(buf_bytes(&f->a), buf_bytes(&f->b)));
		n++;
	}
	closedir(d);
	assert_true(n > 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(tokens_come_with_namespaces_and_attributes_in_order),
		T(declarations_end_with_their_element),
		T(names_may_be_of_any_script),
		T(hostile_input_is_refused_with_place_and_reason),
		T(each_limit_holds_exactly),
		T(namespaces_in_scope_are_bounded),
		T(deep_and_wide_input_costs_no_stack),
		T(hostile_input_is_refused_the_same_when_streamed),
		T(seeds_give_the_same_tokens_when_streamed),
		T(recorded_messages_give_the_same_tokens_when_streamed),
		T(text_longer_than_the_window_comes_in_whole_pieces),
		T(tags_across_the_window_are_whole),
		T(a_broken_source_says_so_itself),
		T(missing_memory_is_reported),
		T(skipping_and_reading_text_consume_the_close),
		T(attributes_are_found_by_namespace),
		T(runs_of_numbers_stop_before_anything_else),
		T(runs_hold_numbers_of_one_to_nine_digits),
		T(runs_of_numbers_count_as_elements),
		T(update_documents_are_read_in_memory_and_as_streams),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
