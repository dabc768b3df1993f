/* f_updates.c -- a hostile answer of GetUpdateData is refused, or its documents leave as the same bytes however they are read. */
#include "sync/updates.h"

#include "common/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sum {
	uint64_t hash;
	size_t step, documents, files;
};

static void mix(struct sum *s, const void *p, size_t n)
{
	const uint8_t *b = p;
	for (size_t i = 0; i < n; i++)
		s->hash = (s->hash ^ b[i]) * UINT64_C(0x100000001b3);
}

static int on_document(void *arg, const struct UpdateIdentity *id, xml_refill_fn *refill, void *from, struct err *e)
{
	struct sum *s = arg;
	char piece[256];
	ptrdiff_t n;
	(void)e;
	struct err why = {.code = E_OK};
	mix(s, &id->UpdateID, sizeof(id->UpdateID));
	while ((n = refill(from, piece, MIN(s->step, sizeof(piece)), &why)) > 0) {
		ASSERT((size_t)n <= s->step);
		mix(s, piece, (size_t)n);
	}
	ASSERT(n == 0 || (why.code != E_OK && why.text[0]));
	ASSERT(++s->documents <= LIMIT_SYNC_REQUEST);
	return E_OK;
}

static int on_file(void *arg, const struct sha1 *digest, struct slice url, struct slice key, struct err *e)
{
	struct sum *s = arg;
	(void)e;
	ASSERT(url.n || key.n);
	ASSERT(key.n <= LIMIT_STRING);
	mix(s, digest, sizeof(*digest));
	mix(s, url.p, url.n);
	mix(s, key.p, key.n);
	s->files++;
	return E_OK;
}

static struct updates *reader;

static int read_answer(struct spool *in, size_t step, struct sum *out)
{
	const struct updates_sink sink = {on_document, on_file, out};
	struct err e = {.code = E_OK};
	*out = (struct sum){.step = step};
	int rc = updates_read(reader, in, &sink, &e);
	ASSERT(rc == E_OK || rc == E_FORM || rc == E_LIMIT);
	ASSERT(rc == E_OK || e.text[0]);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct spool *in;
	struct err e;
	struct sum one, other;
	if (size > (size_t)1 << 20)
		return 0;
	if (!reader)
		ASSERT(updates_new(&reader, "/tmp", &e) == E_OK);
	ASSERT(spool_new(&in, "/tmp", (uint64_t)1 << 20, &e) == E_OK);
	ASSERT(spool_add(in, data, size, &e) == E_OK);
	int rc = read_answer(in, 256, &one);
	ASSERT(read_answer(in, 7, &other) == rc);
	ASSERT(one.hash == other.hash && one.documents == other.documents && one.files == other.files);
	spool_free(&in);
	return 0;
}
