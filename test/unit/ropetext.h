/* ropetext.h -- what a rope holds, plain and in one piece, in the arena. */
#ifndef TEST_UNIT_ROPETEXT_H
#define TEST_UNIT_ROPETEXT_H

#include <sys/uio.h>

#include "common/arena.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/rope.h"

static inline struct slice rope_text(struct rope *r, struct arena *a)
{
	struct iovec *iov;
	struct buf packed;
	size_t niov, n = 0;
	uint64_t total;
	buf_init(&packed, 1 << 20);
	ASSERT(rope_render(r, CODING_PLAIN, a, &packed, &iov, &niov, &total) == E_OK);
	char *all = arena_alloc(a, total + 1, 1);
	ASSERT(all);
	for (size_t i = 0; i < niov; n += iov[i++].iov_len)
		memcpy(all + n, iov[i].iov_base, iov[i].iov_len);
	buf_free(&packed);
	ASSERT(n == total);
	return (struct slice){all, n};
}

#endif
