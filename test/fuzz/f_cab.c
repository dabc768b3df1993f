/* f_cab.c -- a hostile cabinet is refused, or gives at most as many bytes as were allowed; the same again, the same comes out. */
#include "sync/cab.h"

#include "common/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MOST ((uint64_t)1 << 20)

static int unpack(struct spool *cabinet, uint64_t max, uint64_t *made)
{
	struct spool *to;
	struct err e = {.code = E_OK};
	ASSERT(spool_new(&to, "/tmp", MOST, &e) == E_OK);
	int rc = cab_unpack(cabinet, to, max, &e);
	*made = spool_size(to);
	ASSERT(*made <= max);
	ASSERT(rc == E_OK || (e.code == (enum errcode)rc && e.text[0]));
	ASSERT(rc == E_OK || rc == E_FORM || rc == E_LIMIT);
	spool_free(&to);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct spool *in;
	struct err e;
	uint64_t made, again;
	if (size > MOST)
		return 0;
	ASSERT(spool_new(&in, "/tmp", MOST, &e) == E_OK);
	ASSERT(spool_add(in, data, size, &e) == E_OK);
	if (unpack(in, MOST, &made) == E_OK && made > 0) {
		ASSERT(unpack(in, made, &again) == E_OK && again == made);
		ASSERT(unpack(in, made - 1, &again) == E_LIMIT);
	}
	spool_free(&in);
	return 0;
}
