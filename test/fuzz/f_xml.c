/* f_xml.c -- a stream of any step gives what memory gives; offsets grow; accepted input is balanced. */
#include <stdlib.h>

#include "test/unit/xmldump.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Small limits, so that inputs of a fuzzer's size meet them. */
static const struct xml_limits small = {.bytes = 4096, .depth = 6, .tag = 200, .attrs = 5, .namespaces = 4, .elements = 40};

static void check_shape(struct xml *x, struct slice in)
{
	unsigned depth = 0;
	size_t at = 0;
	enum xml_tok t;
	xml_init(x, in, &small, NULL);
	while ((t = xml_next(x)) > XML_END) {
		depth += t == XML_OPEN;
		depth -= t == XML_CLOSE;
		ASSERT(xml_depth(x) == depth && depth <= small.depth);
		ASSERT(xml_offset(x) >= at && xml_offset(x) < in.n);
		ASSERT(xml_nattr(x) <= small.attrs);
		at = xml_offset(x);
	}
	ASSERT((t == XML_END) == (xml_rc(x) == 0) && (t != XML_END || depth == 0));
}

static void check_stream(struct xml *x, struct slice in, size_t step)
{
	struct buf a, b;
	struct drip d = {in, step};
	struct err e, f;
	buf_init(&a, 1 << 20);
	buf_init(&b, 1 << 20);
	xml_init(x, in, &small, &e);
	int rc = xml_dump(&a, x);
	xml_init_stream(x, drip_refill, &d, &small, &f);
	int again = xml_dump(&b, x);
	/* a stream is refused for its size before the end is seen, memory at once */
	if (in.n <= small.bytes) {
		ASSERT(rc == again && (rc == 0 || strcmp(e.text, f.text) == 0));
		ASSERT(rc != 0 || slice_eq(buf_bytes(&a), buf_bytes(&b)));
	} else {
		ASSERT(rc != 0 && again != 0);
	}
	buf_free(&a);
	buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = {(const char *)data, size};
	struct xml *x = xml_new();
	if (!x)
		return 0;
	check_shape(x, in);
	check_stream(x, in, 1);
	check_stream(x, in, 2 + size % 7);
	xml_free(&x);
	return 0;
}
