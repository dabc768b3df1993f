/* f_health.c -- whatever stands in the file of the last `health --notify`, what is taken from it can be written and comes back. */
#include "common/buf.h"
#include "ctl/health.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_same(const struct health_state *a, const struct health_state *b)
{
	ASSERT(a->n == b->n && a->ngrowth == b->ngrowth);
	for (unsigned i = 0; i < a->n; i++) {
		ASSERT(strcmp(a->was[i].check, b->was[i].check) == 0);
		ASSERT(a->was[i].level == b->was[i].level && a->was[i].since == b->was[i].since);
	}
	for (unsigned i = 0; i < a->ngrowth; i++) {
		const struct growth *x = &a->growth[i], *y = &b->growth[i];
		ASSERT(x->at == y->at && x->disk == y->disk && x->catalog == y->catalog && x->fleet == y->fleet);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct health_state first, again;
	struct buf b;
	health_state_read(&first, (struct slice){(const char *)data, size});
	ASSERT(first.n <= HEALTH_CHECKS_MAX && first.ngrowth <= HEALTH_POINTS);
	buf_init(&b, (size_t)1 << 20);
	health_state_add(&b, &first);
	ASSERT(b.rc == E_OK);
	health_state_read(&again, buf_bytes(&b));
	expect_same(&first, &again);
	buf_free(&b);
	return 0;
}
