/* f_answer.c -- an answer of the server above, from the bytes on the wire to the message or fault: cut wherever, it reads the same.
 *
 * First byte: the coding and HTTP's status; second: the operation; third: where the bytes are cut; then what comes. */
#include <stdlib.h>

#include "common/wsusss.h"
#include "sync/answer.h"
#include "sync/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MOST ((uint64_t)4 << 20) /* decoded */

static const struct {
	const char *ns;
	const struct wtype *in, *out;
} ops[] = {
#define ROW(NS, Req, Rsp) {NS, &Req##_wire, &Rsp##_wire},
	WSUSSS_OPERATIONS(ROW)
#undef ROW
};
static const char *const codings[] = {"", "xpress", "gzip", "identity"};
static const int statuses[] = {200, 500, 503, 404};

static int take(void *arg, struct slice bytes, struct err *e)
{
	return spool_add(arg, bytes.p, bytes.n, e);
}

static int unpack(const char *coding, struct slice in, size_t piece, struct spool *to)
{
	struct decoder *d;
	struct err e = {0};
	int rc = decoder_new(&d, slice_of(coding), take, to, &e);
	while (rc == E_OK && in.n) {
		size_t n = MIN(piece, in.n);
		rc = decoder_add(d, (struct slice){in.p, n}, &e);
		in = (struct slice){in.p + n, in.n - n};
	}
	if (rc == E_OK)
		rc = decoder_end(d, &e);
	ASSERT(rc == E_OK || (rc == (int)e.code && e.text[0]));
	ASSERT(rc == E_OK || rc == E_IO || rc == E_FORM || rc == E_LIMIT || rc == E_NOMEM);
	decoder_free(&d);
	return rc;
}

static bool same(struct spool *a, struct spool *b)
{
	char one[4096], two[4096];
	if (spool_size(a) != spool_size(b))
		return false;
	for (uint64_t at = 0; at < spool_size(a);) {
		ptrdiff_t n = spool_read(a, at, one, sizeof(one), NULL);
		if (n <= 0 || spool_read(b, at, two, (size_t)n, NULL) != n || memcmp(one, two, (size_t)n) != 0)
			return false;
		at += (uint64_t)n;
	}
	return true;
}

static void read_answer(struct spool *bytes, uint8_t how, uint8_t op)
{
	struct answer w = {.status = statuses[how >> 2 & 3], .bytes = bytes};
	struct err e = {0};
	struct arena a;
	const struct wtype *t = ops[op % COUNTOF(ops)].out;
	arena_init(&a, 64 << 20);
	w.ns = slice_of(ops[op % COUNTOF(ops)].ns);
	w.name = ops[op % COUNTOF(ops)].in->name;
	void *out = arena_alloc(&a, 1, t->size);
	int rc = answer_read(&w, how & 0x80 ? NULL : t, out, &a, &e);
	ASSERT(rc == E_OK || (rc == (int)e.code && e.text[0]));
	ASSERT(rc != E_IO || w.passing);
	ASSERT(rc == E_OK ? w.status == 200 && !w.passing : true);
	answer_text(bytes, SL("Expiration"), &a);
	arena_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct spool *one, *two;
	if (size < 3)
		return 0;
	struct slice in = {(const char *)data + 3, size - 3};
	const char *coding = codings[data[0] & 3];
	if (spool_new(&one, "/tmp", MOST, NULL) != E_OK || spool_new(&two, "/tmp", MOST, NULL) != E_OK)
		return 0;
	int rc = unpack(coding, in, in.n + 1, one);
	ASSERT(unpack(coding, in, (size_t)data[2] + 1, two) == rc);
	ASSERT(rc != E_OK || same(one, two));
	if (rc == E_OK)
		read_answer(one, data[0], data[1]);
	spool_free(&one);
	spool_free(&two);
	return 0;
}
