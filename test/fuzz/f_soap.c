/* f_soap.c -- envelopes and faults: what is opened has a name, and a fault we write reads back as it was. */
#include <stdlib.h>

#include "common/arena.h"
#include "common/soap.h"
#include "common/text.h"
#include "common/xml.h"
#include "test/unit/ropetext.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_open(struct slice in, struct arena *a)
{
	struct xml *x = xml_new();
	struct soap_in op;
	struct err e;
	if (!x)
		return;
	xml_init(x, in, &xml_message_limits, &e);
	int rc = soap_open(x, &op, a, &e);
	if (rc == E_OK) {
		ASSERT(op.name.n && op.ns.p && xml_depth(x) == 3);
		if (xml_skip(x) == E_OK && soap_close(x, &e) == E_OK)
			ASSERT(xml_next(x) == XML_END);
	} else {
		ASSERT(rc == (int)e.code && e.text[0]);
	}
	xml_free(&x);
}

static void check_fault(struct slice in, struct arena *a, enum soap_version v, enum soap_dialect d)
{
	struct slice code, message;
	struct rope r;
	struct err e;
	if (text_utf8_bad(in) != in.n || in.n > 30000)
		return;
	rope_init(&r);
	struct soap_fault f = {.code = "InvalidCookie", .message = in, .method = in, .actor = in};
	soap_write_fault(&r, v, d, &f);
	ASSERT(soap_read_fault(rope_text(&r, a), a, &code, &message, &e) == E_OK);
	ASSERT(slice_eq(code, SL("InvalidCookie")));
	struct slice sent = text_trim(in);
	ASSERT(slice_eq(message, sent.n ? sent : SL("Fault occurred")));
	rope_free(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = {(const char *)data, size}, code, message;
	struct arena a;
	struct err e;
	arena_init(&a, 64 << 20);
	check_open(in, &a);
	(void)!soap_read_fault(in, &a, &code, &message, &e);
	check_fault(in, &a, size % 2 ? SOAP_11 : SOAP_12, size % 3 ? SOAP_CLIENT : SOAP_ASMX);
	arena_free(&a);
	return 0;
}
