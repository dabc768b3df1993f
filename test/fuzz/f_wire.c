/* f_wire.c -- every message of wusp.h and wsusss.h: what is read and written reads and writes the same again. */
#include <stdlib.h>

#include "common/arena.h"
#include "common/wsusss.h"
#include "common/xml.h"
#include "test/unit/ropetext.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct wtype *const types[] = {
#define ROW(NS, Req, Rsp) &Req##_wire, &Rsp##_wire,
	WUSP_OPERATIONS(ROW)
	WSUSSS_OPERATIONS(ROW)
	WSUSSS_DRIVER_OPERATIONS(ROW)
#undef ROW
};

/* Reads in as a message and writes it to out; false if it is refused. */
static bool pass(struct xml *x, struct slice in, const struct wtype *t, struct buf *out)
{
	struct arena a;
	struct rope r;
	struct err e;
	arena_init(&a, 64 << 20);
	rope_init(&r);
	void *m = arena_alloc(&a, 1, t->size);
	xml_init(x, in, &xml_message_limits, &e);
	bool good = m && xml_next(x) == XML_OPEN;
	int rc = good ? wire_read(x, t, m, &a, &e) : E_FORM;
	ASSERT(rc == E_OK || rc == E_FORM || rc == E_LIMIT || rc == E_INVALID_PARAMETERS || rc == E_NOMEM);
	ASSERT(rc != E_INVALID_PARAMETERS || e.text[0]);
	if (rc == E_OK) {
		wire_write_element(&r, SL("m"), SL(""), t, m, SL("/>"));
		buf_slice(out, rope_text(&r, &a));
		ASSERT(out->rc == E_OK);
	}
	rope_free(&r);
	arena_free(&a);
	return rc == E_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	const struct wtype *t = types[data[0] % COUNTOF(types)];
	struct slice in = {(const char *)data + 1, size - 1};
	struct xml *x = xml_new();
	struct buf one, two;
	buf_init(&one, 64 << 20);
	buf_init(&two, 64 << 20);
	if (x && pass(x, in, t, &one)) {
		ASSERT(pass(x, buf_bytes(&one), t, &two));
		ASSERT(slice_eq(buf_bytes(&one), buf_bytes(&two)));
	}
	buf_free(&one);
	buf_free(&two);
	xml_free(&x);
	return 0;
}
