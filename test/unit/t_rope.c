/* t_rope.c -- whatever a rope is made of, every coding of it decodes to the same bytes. */
#include "common/rope.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/uio.h>

#include <cmocka.h>

#include "common/arena.h"
#include "common/err.h"
#include "common/limits.h"
#include "common/xpress.h"

struct made {
	struct rope r;
	struct arena a;
	struct buf packed, wire, back, want;
	struct buf store; /* memory of the pieces; reserved at once so that it does not move */
	struct iovec *iov;
	size_t niov;
	uint64_t total;
};

static void made_init(struct made *m)
{
	rope_init(&m->r);
	arena_init(&m->a, LIMIT_REQUEST_MEMORY);
	struct buf *all[] = {&m->packed, &m->wire, &m->back, &m->want, &m->store};
	for (size_t i = 0; i < COUNTOF(all); i++)
		buf_init(all[i], LIMIT_REPLY);
	assert_non_null(buf_room(&m->store, 4 << 20));
}

static void made_free(struct made *m)
{
	rope_free(&m->r);
	arena_free(&m->a);
	buf_free(&m->packed);
	buf_free(&m->wire);
	buf_free(&m->back);
	buf_free(&m->want);
	buf_free(&m->store);
}

static void glue(struct made *m, const char *z)
{
	buf_str(rope_buf(&m->r), z);
	buf_str(&m->want, z);
}

static struct piece stored(struct made *m, struct slice text, bool packed)
{
	size_t at = m->store.n;
	if (packed)
		xpress_add(&m->store, text, XPRESS_BLOCK);
	else
		buf_slice(&m->store, text);
	assert_true(m->store.rc == E_OK && m->store.n <= 4 << 20);
	return (struct piece){{m->store.p + at, m->store.n - at}, (uint32_t)text.n, packed};
}

static void splice(struct made *m, struct slice text, bool packed)
{
	struct piece p = stored(m, text, packed);
	rope_splice(&m->r, &(struct frag){&p, 1});
	buf_slice(&m->want, text);
}

static void render(struct made *m, enum coding coding)
{
	m->packed.n = 0;
	assert_int_equal(rope_render(&m->r, coding, &m->a, &m->packed, &m->iov, &m->niov, &m->total), E_OK);
	buf_reset(&m->wire);
	for (size_t i = 0; i < m->niov; i++) {
		assert_true(m->iov[i].iov_len > 0);
		buf_add(&m->wire, m->iov[i].iov_base, m->iov[i].iov_len);
	}
	assert_int_equal(m->wire.n, m->total);
}

/* All three codings, each after the other on the same rope. */
static void check(struct made *m)
{
	assert_int_equal(rope_plain_size(&m->r), m->want.n);
	render(m, CODING_PLAIN);
	assert_true(slice_eq(buf_bytes(&m->wire), buf_bytes(&m->want)));
	for (enum coding c = CODING_XPRESS_MIXED; c <= CODING_XPRESS_STREAM; c++) {
		render(m, c);
		buf_reset(&m->back);
		assert_int_equal(xpress_unpack(buf_bytes(&m->wire), &m->back), E_OK);
		assert_true(slice_eq(buf_bytes(&m->back), buf_bytes(&m->want)));
	}
	assert_int_equal(rope_plain_size(&m->r), m->want.n);
}

static uint32_t le32(const char *p)
{
	const uint8_t *b = (const uint8_t *)p;
	return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

/* Plain sizes of the blocks of a wire. */
static size_t blocks(struct slice wire, size_t *v, size_t max)
{
	size_t n = 0;
	for (; wire.n > 0 && n < max; n++) {
		size_t whole = XPRESS_HEADER + le32(wire.p + 4);
		assert_true(whole <= wire.n);
		v[n] = le32(wire.p);
		wire = (struct slice){wire.p + whole, wire.n - whole};
	}
	return n;
}

static char text[300000];

static void make_text(void)
{
	static const char *const words[] = {"<UpdateIdentity ", "RevisionNumber=", "&quot;", "/>", "Prerequisites", "7", "x"};
	unsigned seed = 11;
	for (size_t i = 0; i < sizeof(text);) {
		seed = seed * 1103515245u + 12345u;
		const char *w = words[(seed >> 16) % COUNTOF(words)];
		size_t n = MIN(strlen(w), sizeof(text) - i);
		memcpy(text + i, w, n);
		i += n;
	}
}

/* holds: WUSP-XPRESS-22 */
static void an_empty_rope_is_no_bytes(void **state)
{
	(void)state;
	struct made m;
	made_init(&m);
	for (enum coding c = CODING_PLAIN; c <= CODING_XPRESS_STREAM; c++) {
		render(&m, c);
		assert_int_equal(m.total, 0);
	}
	splice(&m, SL(""), false);
	rope_splice(&m.r, &(struct frag){NULL, 0});
	check(&m);
	assert_int_equal(m.total, 0);
	made_free(&m);
}

static void glue_and_small_pieces_share_a_block(void **state)
{
	(void)state;
	struct made m;
	size_t size[8];
	made_init(&m);
	for (int i = 0; i < 100; i++) {
		glue(&m, "<UpdateInfo><ID>");
		splice(&m, (struct slice){text + i * 50, 53}, false);
		glue(&m, "</ID></UpdateInfo>");
	}
	check(&m);
	render(&m, CODING_XPRESS_MIXED);
	assert_int_equal(blocks(buf_bytes(&m.wire), size, 8), 1);
	assert_int_equal(size[0], m.want.n);
	assert_int_equal(m.niov, 1);
	made_free(&m);
}

static void finished_pieces_pass_through_untouched(void **state)
{
	(void)state;
	struct made m;
	size_t size[8];
	made_init(&m);
	glue(&m, "<a>");
	struct piece p = stored(&m, (struct slice){text, 5000}, true);
	rope_splice(&m.r, &(struct frag){&p, 1});
	buf_add(&m.want, text, 5000);
	glue(&m, "</a>");
	check(&m);
	render(&m, CODING_XPRESS_MIXED);
	assert_int_equal(m.niov, 3);
	assert_ptr_equal(m.iov[1].iov_base, p.bytes.p);
	assert_int_equal(m.iov[1].iov_len, p.bytes.n);
	assert_int_equal(blocks(buf_bytes(&m.wire), size, 8), 3);
	assert_int_equal(size[0], 3);
	assert_int_equal(size[1], 5000);
	assert_int_equal(size[2], 4);
	made_free(&m);
}

static void only_a_run_that_is_worth_it_is_packed(void **state)
{
	(void)state;
	for (size_t n = XPRESS_RUN_MIN - 1; n <= XPRESS_RUN_MIN; n++) {
		struct made m;
		made_init(&m);
		splice(&m, (struct slice){text, 5000}, true);
		splice(&m, (struct slice){text, 100}, false);
		splice(&m, (struct slice){text, n - 100}, false);
		splice(&m, (struct slice){text, 5000}, true);
		check(&m);
		render(&m, CODING_XPRESS_MIXED);
		assert_int_equal(m.niov, 3);
		const char *run = m.iov[1].iov_base;
		assert_int_equal(le32(run), n);
		assert_int_equal(le32(run + 4), m.iov[1].iov_len - XPRESS_HEADER);
		assert_int_equal(le32(run + 4) == n, n < XPRESS_RUN_MIN);
		made_free(&m);
	}
}

static void plain_pieces_are_not_copied(void **state)
{
	(void)state;
	struct made m;
	made_init(&m);
	glue(&m, "<a>");
	struct piece p = {{text, 100000}, 100000, false};
	rope_splice(&m.r, &(struct frag){&p, 1});
	buf_add(&m.want, text, 100000);
	check(&m);
	render(&m, CODING_PLAIN);
	assert_int_equal(m.niov, 2);
	assert_ptr_equal(m.iov[1].iov_base, text);
	made_free(&m);
}

/* holds: WUSP-XPRESS-01 WUSP-XPRESS-02 */
static void blocks_are_cut_at_their_size(void **state)
{
	(void)state;
	struct made m;
	size_t size[64];
	made_init(&m);
	splice(&m, (struct slice){text, 70000}, true);
	splice(&m, (struct slice){text, 200000}, false);
	glue(&m, "</x>");
	check(&m);

	static const size_t mixed[] = {65535, 4465, 65535, 65535, 65535, 3399};
	render(&m, CODING_XPRESS_MIXED);
	assert_int_equal(blocks(buf_bytes(&m.wire), size, 64), COUNTOF(mixed));
	assert_memory_equal(size, mixed, sizeof(mixed));

	render(&m, CODING_XPRESS_STREAM);
	size_t n = blocks(buf_bytes(&m.wire), size, 64);
	assert_int_equal(n, 270004 / 16352 + 1);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(size[i], i + 1 < n ? 16352 : 270004 % 16352);
	made_free(&m);
}

static void mixtures_of_many_pieces_decode_the_same(void **state)
{
	(void)state;
	unsigned seed = 1;
	for (int round = 0; round < 40; round++) {
		struct made m;
		made_init(&m);
		for (int i = 0; i < 20 * round; i++) {
			seed = seed * 1103515245u + 12345u;
			size_t n = (seed >> 8) % (i % 7 ? 900 : 20000), at = (seed >> 4) % 200000;
			if (m.store.n > 3 << 20)
				n = 1;
			if (i % 3 == 0)
				glue(&m, "<Xml>glue&lt;</Xml>");
			splice(&m, (struct slice){text + at, n}, n > 0 && seed >> 28 < 6);
		}
		glue(&m, round % 2 ? "</end>" : "");
		check(&m);
		made_free(&m);
	}
}

static void a_reply_of_100_megabytes_is_rendered(void **state)
{
	(void)state;
	struct rope r;
	struct arena a;
	struct buf packed, piece;
	struct iovec *iov;
	size_t niov;
	uint64_t total, plain = 0, sum;
	rope_init(&r);
	arena_init(&a, LIMIT_REQUEST_MEMORY);
	buf_init(&packed, LIMIT_REPLY);
	buf_init(&piece, LIMIT_REPLY);
	xpress_add(&piece, (struct slice){text, sizeof(text)}, XPRESS_BLOCK);
	struct piece v[] = {{buf_bytes(&piece), sizeof(text), true}, {{text, 3000}, 3000, false}};
	while (rope_plain_size(&r) < 100 << 20) {
		rope_splice(&r, &(struct frag){v, 2});
		buf_str(rope_buf(&r), "<glue/>");
	}
	uint64_t want = rope_plain_size(&r);
	for (enum coding c = CODING_PLAIN; c <= CODING_XPRESS_MIXED; c++) {
		packed.n = 0;
		assert_int_equal(rope_render(&r, c, &a, &packed, &iov, &niov, &total), E_OK);
		plain = sum = 0;
		for (size_t i = 0; i < niov; i++) {
			uint64_t n = iov[i].iov_len;
			sum += n;
			if (c != CODING_PLAIN)
				assert_true(xpress_plain_size((struct slice){iov[i].iov_base, n}, &n));
			plain += n;
		}
		assert_int_equal(plain, want);
		assert_int_equal(sum, total);
	}
	rope_free(&r);
	arena_free(&a);
	buf_free(&packed);
	buf_free(&piece);
}

static void a_piece_that_lies_about_its_size_is_corrupt(void **state)
{
	(void)state;
	struct made m;
	made_init(&m);
	struct piece p = stored(&m, (struct slice){text, 5000}, true);
	p.plain = 4999;
	rope_splice(&m.r, &(struct frag){&p, 1});
	glue(&m, "more");
	assert_int_equal(rope_render(&m.r, CODING_PLAIN, &m.a, &m.packed, &m.iov, &m.niov, &m.total), E_CORRUPT);
	rope_reset(&m.r);
	p.plain = 5000;
	p.bytes.n--;
	rope_splice(&m.r, &(struct frag){&p, 1});
	assert_int_equal(m.r.rc, E_CORRUPT);

	/* Headers are right, the payload is not: found where it is decoded. */
	rope_reset(&m.r);
	p.bytes.n++;
	memset(m.store.p + XPRESS_HEADER, 0xff, 8);
	rope_splice(&m.r, &(struct frag){&p, 1});
	assert_int_equal(rope_render(&m.r, CODING_XPRESS_STREAM, &m.a, &m.packed, &m.iov, &m.niov, &m.total), E_CORRUPT);
	made_free(&m);
}

static void replies_over_the_limit_are_refused(void **state)
{
	(void)state;
	struct rope r;
	struct piece p = {{text, sizeof(text)}, sizeof(text), false};
	rope_init(&r);
	for (size_t n = 0; n <= LIMIT_REPLY; n += sizeof(text))
		rope_splice(&r, &(struct frag){&p, 1});
	assert_int_equal(r.rc, E_LIMIT);
	rope_reset(&r);
	assert_int_equal(r.rc, E_OK);
	assert_int_equal(rope_plain_size(&r), 0);
	rope_free(&r);
}

static void failing_allocations_are_reported(void **state)
{
	(void)state;
	int rc = E_NOMEM;
	for (long nth = 1; rc != E_OK; nth++) {
		struct made m;
		made_init(&m);
		alloc_fail_at = nth;
		struct piece plain = {{text, 9000}, 9000, false};
		for (int i = 0; i < 70; i++) {
			buf_str(rope_buf(&m.r), "<glue>");
			rope_splice(&m.r, &(struct frag){&plain, 1});
		}
		rc = rope_render(&m.r, CODING_XPRESS_MIXED, &m.a, &m.packed, &m.iov, &m.niov, &m.total);
		bool reached = alloc_fail_at == 0;
		alloc_fail_at = 0;
		assert_int_equal(rc, reached ? E_NOMEM : E_OK);
		made_free(&m);
	}
}

int main(void)
{
	make_text();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_rope_is_no_bytes),
		cmocka_unit_test(glue_and_small_pieces_share_a_block),
		cmocka_unit_test(finished_pieces_pass_through_untouched),
		cmocka_unit_test(only_a_run_that_is_worth_it_is_packed),
		cmocka_unit_test(plain_pieces_are_not_copied),
		cmocka_unit_test(blocks_are_cut_at_their_size),
		cmocka_unit_test(mixtures_of_many_pieces_decode_the_same),
		cmocka_unit_test(a_reply_of_100_megabytes_is_rendered),
		cmocka_unit_test(a_piece_that_lies_about_its_size_is_corrupt),
		cmocka_unit_test(replies_over_the_limit_are_refused),
		cmocka_unit_test(failing_allocations_are_reported),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
