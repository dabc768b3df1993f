/* message_fixture.h -- what a test of messages reads with and writes into. */
#ifndef TEST_UNIT_MESSAGE_FIXTURE_H
#define TEST_UNIT_MESSAGE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/limits.h"
#include "common/xml.h"
#include "test/unit/ropetext.h"

struct fixture {
	struct xml *x;
	struct arena a;
	struct rope r;
	struct err e;
	struct buf file;
};

static inline int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	f->x = xml_new();
	assert_non_null(f->x);
	arena_init(&f->a, LIMIT_REQUEST_MEMORY);
	rope_init(&f->r);
	buf_init(&f->file, (size_t)16 << 20);
	*state = f;
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;
	xml_free(&f->x);
	arena_free(&f->a);
	rope_free(&f->r);
	buf_free(&f->file);
	free(f);
	return 0;
}

#endif
