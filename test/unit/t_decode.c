/* t_decode.c -- answers that are packed come out as they went in, wherever they are cut; what is cut off or no such coding is an
 * error, and who takes the bytes can end a bomb.
 *
 * Of rules WSUSSS-TRANSPORT-22 and -24; test_upstream has the markers. */
#include "sync/decode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <zlib.h>

#include "common/arena.h"
#include "common/buf.h"
#include "common/xpress.h"

#define ROOM ((size_t)8 << 20)

static int take(void *arg, struct slice bytes, struct err *e)
{
	struct buf *b = arg;
	buf_slice(b, bytes);
	return b->rc == E_OK ? E_OK : err_set(e, E_LIMIT, "too much");
}

static void make_plain(struct buf *b, size_t n)
{
	static const char *const words[] = {"<UpdateIdentity>", "<UpdateID>", "0123456789abcdef", "</UpdateID>", "\r\n", "zzzzzzzzzzzzzzzzzzzzzzzzz"};
	unsigned seed = (unsigned)n;
	buf_init(b, ROOM);
	while (b->n < n) {
		seed = seed * 1103515245 + 12345;
		buf_str(b, words[(seed >> 16) % COUNTOF(words)]);
		buf_printf(b, "%u", seed >> 20);
	}
	b->n = n;
}

static void pack_gzip(struct buf *to, struct slice s)
{
	z_stream z = {0};
	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	uLong bound = deflateBound(&z, s.n);
	char *room = buf_room(to, bound);
	z.next_in = (Bytef *)(uintptr_t)s.p;
	z.avail_in = (uInt)s.n;
	z.next_out = (Bytef *)room;
	z.avail_out = (uInt)bound;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	to->n += z.total_out;
	deflateEnd(&z);
}

static void pack_gzip_twice(struct buf *to, struct slice s)
{
	pack_gzip(to, (struct slice){s.p, s.n / 3});
	pack_gzip(to, (struct slice){s.p + s.n / 3, s.n - s.n / 3});
}

static void pack_xpress(struct buf *to, struct slice s)
{
	xpress_add(to, s, 65535);
}

static void pack_xpress_small(struct buf *to, struct slice s)
{
	xpress_add(to, s, 100);
}

static void pack_stored(struct buf *to, struct slice s)
{
	for (size_t n; s.n; s = (struct slice){s.p + n, s.n - n}) {
		n = MIN(s.n, (size_t)65535);
		xpress_add_stored(to, (struct slice){s.p, n});
	}
}

static void pack_not(struct buf *to, struct slice s)
{
	buf_slice(to, s);
}

static const struct {
	const char *coding;
	void (*pack)(struct buf *to, struct slice s);
	bool whole; /* every cut is seen */
} ways[] = {
	{"", pack_not, false},
	{"identity", pack_not, false},
	{"xpress", pack_xpress, false},
	{"XPress", pack_xpress_small, false},
	{" xpress ", pack_stored, false},
	{"gzip", pack_gzip, true},
	{"x-gzip", pack_gzip_twice, false},
};

/* In pieces of `piece` bytes behind a first one. */
static int run(const char *coding, struct slice packed, size_t first, size_t piece, struct buf *out, struct err *e)
{
	struct decoder *d;
	int rc = decoder_new(&d, slice_of(coding), take, out, e);
	if (rc != E_OK)
		return rc;
	for (size_t n = first; rc == E_OK && packed.n; n = piece) {
		n = MIN(n, packed.n);
		rc = decoder_add(d, (struct slice){packed.p, n}, e);
		packed = (struct slice){packed.p + n, packed.n - n};
	}
	if (rc == E_OK)
		rc = decoder_end(d, e);
	decoder_free(&d);
	assert_null(d);
	return rc;
}

static void assert_comes_out(const char *coding, struct slice packed, struct slice plain, size_t first, size_t piece)
{
	struct buf out;
	struct err e;
	buf_init(&out, ROOM);
	assert_int_equal(run(coding, packed, first, piece, &out, &e), E_OK);
	assert_int_equal(out.n, plain.n);
	assert_memory_equal(out.p ? out.p : "", plain.p, plain.n);
	buf_free(&out);
}

static void any_size(void **state)
{
	static const size_t sizes[] = {1, 7, 100, 4096, 65535, 65536, 200000, 1500000};
	static const size_t pieces[] = {1460, 16384, ROOM};
	(void)state;
	for (size_t i = 0; i < COUNTOF(sizes); i++)
		for (size_t w = 0; w < COUNTOF(ways); w++) {
			struct buf plain, packed;
			make_plain(&plain, sizes[i]);
			buf_init(&packed, ROOM);
			ways[w].pack(&packed, buf_bytes(&plain));
			for (size_t k = 0; k < COUNTOF(pieces); k++)
				assert_comes_out(ways[w].coding, buf_bytes(&packed), buf_bytes(&plain), pieces[k], pieces[k]);
			buf_free(&plain);
			buf_free(&packed);
		}
}

static void cut_anywhere(void **state)
{
	(void)state;
	for (size_t w = 0; w < COUNTOF(ways); w++) {
		struct buf plain, packed;
		make_plain(&plain, 700);
		buf_init(&packed, ROOM);
		ways[w].pack(&packed, buf_bytes(&plain));
		for (size_t at = 1; at < packed.n; at++) {
			assert_comes_out(ways[w].coding, buf_bytes(&packed), buf_bytes(&plain), at, packed.n);
			assert_comes_out(ways[w].coding, buf_bytes(&packed), buf_bytes(&plain), at, 1);
		}
		buf_free(&plain);
		buf_free(&packed);
	}
}

/* Of xpress a cut between two blocks cannot be seen: the length of the answer or the XML tells. */
static void ends_early(void **state)
{
	(void)state;
	for (size_t w = 2; w < COUNTOF(ways); w++) {
		struct buf plain, packed, out;
		struct err e = {0};
		make_plain(&plain, 5000);
		buf_init(&packed, ROOM);
		buf_init(&out, ROOM);
		ways[w].pack(&packed, buf_bytes(&plain));
		unsigned unseen = 0;
		for (size_t at = 1; at < packed.n; at++) {
			buf_reset(&out);
			int rc = run(ways[w].coding, (struct slice){packed.p, at}, at, at, &out, &e);
			unseen += rc == E_OK;
			assert_true(rc == E_OK || rc == E_IO);
			assert_true(out.n < plain.n || rc == E_IO); /* gzip's own sum may be what is missing */
			if (rc == E_IO)
				assert_non_null(strstr(e.text, "ends in the middle"));
		}
		assert_int_equal(unseen, ways[w].whole ? 0 : w == 6 ? 1 : (plain.n - 1) / (w == 3 ? 100 : 65535));
		buf_free(&plain);
		buf_free(&packed);
		buf_free(&out);
	}
}

static void no_such_coding(void **state)
{
	static const struct {
		const char *coding;
		struct slice bytes;
	} wrong[] = {
		{"xpress", {"\0\0\0\0\1\0\0\0x", 9}},         /* an empty block */
		{"xpress", {"\1\0\0\0\0\0\0\0x", 9}},         /* of nothing */
		{"xpress", {"\0\0\1\0\1\0\0\0x", 9}},         /* 65,536 bytes */
		{"xpress", {"\1\0\0\0\377\377\377\377x", 9}},
		{"xpress", {"\5\0\0\0\4\0\0\0\0\0\0\0", 12}}, /* that does not unpack to its size */
		{"gzip", {"<?xml version", 13}},
		{"gzip", {"\037\213\010\0\0\0\0\0\0\003\377\377\377\377", 14}},
	};
	struct buf out;
	(void)state;
	buf_init(&out, ROOM);
	for (size_t i = 0; i < COUNTOF(wrong); i++)
		for (size_t piece = 1; piece < 20; piece += 18) {
			struct err e = {0};
			assert_int_equal(run(wrong[i].coding, wrong[i].bytes, piece, piece, &out, &e), E_FORM);
			assert_non_null(strstr(e.text, "not well-formed"));
		}
	struct decoder *d;
	struct err e;
	assert_int_equal(decoder_new(&d, SL("br"), take, &out, &e), E_FORM);
	assert_string_equal(e.text, "Content-Encoding \"br\" was not asked for");
	assert_null(d);
	buf_free(&out);
}

/* 100 MB of one letter are 100 KB of gzip: memory is that of the decoder, and who counts ends it. */
static int count(void *arg, struct slice bytes, struct err *e)
{
	size_t *n = arg;
	*n += bytes.n;
	return *n <= 1000000 ? E_OK : err_set(e, E_LIMIT, "enough");
}

static void a_bomb(void **state)
{
	struct buf packed;
	size_t n = 0;
	char *plain = malloc(ROOM);
	struct decoder *d;
	struct err e = {0};
	(void)state;
	memset(plain, 'x', ROOM);
	buf_init(&packed, 2 * ROOM);
	pack_gzip(&packed, (struct slice){plain, ROOM});
	assert_true(packed.n < 20000);
	assert_int_equal(decoder_new(&d, SL("gzip"), count, &n, &e), E_OK);
	assert_int_equal(decoder_add(d, buf_bytes(&packed), &e), E_LIMIT);
	assert_string_equal(e.text, "enough");
	assert_true(n <= 1000000 + 65536);
	decoder_free(&d);
	buf_free(&packed);
	free(plain);
}

static void no_memory(void **state)
{
	struct decoder *d;
	struct err e;
	size_t n = 0;
	(void)state;
	alloc_fail_at = 1;
	assert_int_equal(decoder_new(&d, SL("gzip"), count, &n, &e), E_NOMEM);
	assert_null(d);
	alloc_fail_at = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_size),
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(ends_early),
		cmocka_unit_test(no_such_coding),
		cmocka_unit_test(a_bomb),
		cmocka_unit_test(no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
