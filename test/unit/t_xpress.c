/* t_xpress.c -- the Xpress coder against the vectors, the rules and itself. */
#include "common/xpress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/arena.h"
#include "common/err.h"
#include "common/limits.h"
#include "test/unit/corpus.h"

static uint32_t le32(const char *p)
{
	const uint8_t *b = (const uint8_t *)p;
	return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static char *random_text(size_t n, unsigned alphabet, unsigned seed)
{
	char *p = malloc(n + !n);
	assert_non_null(p);
	for (size_t i = 0; i < n; i++) {
		seed = seed * 1103515245u + 12345u;
		p[i] = (char)((seed >> 16) % alphabet);
	}
	return p;
}

/* One element of an encoded block, as a plain reading of the specification sees it. */
struct element {
	bool match;
	size_t distance, length;
	size_t extra; /* bytes behind the match word */
};

struct reading {
	struct element v[XPRESS_BLOCK];
	size_t n;
	size_t masks;
	uint32_t last_mask;
	unsigned end_bit; /* 31 = the highest */
};

/* An independent, slow decoder: fails the test at the first thing that the rules do not allow. */
static void read_block(const char *from, size_t n, struct slice plain, struct reading *out)
{
	const uint8_t *p = (const uint8_t *)from;
	size_t at = 0, done = 0, nibble = SIZE_MAX;
	unsigned left = 0;
	out->n = out->masks = 0;
	for (;;) {
		if (left == 0) {
			assert_true(at + 4 <= n);
			out->last_mask = le32(from + at);
			out->masks++;
			at += 4;
			left = 32;
		}
		left--;
		struct element e = {.match = out->last_mask >> left & 1, .length = 1};
		if (!e.match) {
			assert_true(at < n && done < plain.n);
			assert_int_equal(p[at], (uint8_t)plain.p[done]);
			at++;
		} else if (at == n) {
			break;
		} else {
			unsigned word = p[at] | p[at + 1] << 8;
			size_t start = at += 2;
			e.distance = (word >> 3) + 1;
			e.length = (word & 7) + 3;
			if ((word & 7) == 7) {
				unsigned half = nibble == SIZE_MAX ? p[at] & 15 : p[nibble] >> 4;
				nibble = nibble == SIZE_MAX ? at++ : SIZE_MAX;
				e.length = 10 + half;
				if (half == 15) {
					unsigned byte = p[at++];
					e.length = 25 + byte;
					if (byte == 255) {
						e.length = 3u + (p[at] | (unsigned)p[at + 1] << 8);
						at += 2;
					}
				}
			}
			e.extra = at - start;
			assert_true(at <= n && e.distance <= done && done + e.length <= plain.n);
			for (size_t i = 0; i < e.length; i++)
				assert_int_equal(plain.p[done + i], plain.p[done + i - e.distance]);
		}
		done += e.length;
		out->v[out->n++] = e;
	}
	assert_int_equal(done, plain.n);
	out->end_bit = left;
}

static size_t (*const encoders[])(const char *, size_t, char *) = {xpress_encode, xpress_encode_kept, xpress_encode_sent};

/* Encodes, reads slowly, decodes. */
static size_t encode_by(size_t encoder, struct slice s, char *to, struct reading *r)
{
	static char back[XPRESS_BLOCK];
	size_t n = encoders[encoder](s.p, s.n, to);
	assert_true(n <= XPRESS_WORST(s.n));
	read_block(to, n, s, r);
	assert_true(xpress_unpack_block(to, n, back, s.n));
	assert_memory_equal(back, s.p, s.n);
	return n;
}

static size_t encode(struct slice s, char *to, struct reading *r)
{
	return encode_by(0, s, to, r);
}

static char coded[XPRESS_WORST(XPRESS_BLOCK)];
static struct reading reading;

struct vector {
	const char *unit; /* repeated `times` */
	size_t n, times;
	const char *hex;
	bool brief; /* its matches are shorter than the fast matcher looks for */
};

#define A_TO_Z "abcdefghijklmnopqrstuvwxyz"
#define TO_1E "\0\1\2\3\4\5\6\7\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e"
#define HEX_1E "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e"
static const struct vector vectors[] = {
	{"ABCABCDEF", 9, 1, "ffffff11414243" "1000444546", true},
	{A_TO_Z, 26, 1, "3f0000006162636465666768696a6b6c6d6e6f707172737475767778797a", false},
	{"abc", 3, 100, "ffffff1f61626317000fff2601", false},
	{"ABCABCDEFG", 10, 1, "ffffff10414243100044454647", true},
	{"AABCBBABC", 9, 1, "ffffff034141424342422000", true},
	{TO_1E, 31, 1, "01000000" HEX_1E, false},
	{TO_1E "\x1f", 32, 1, "00000000" HEX_1E "1fffffffff", false},
	{"ab", 2, 13, "ffffff3f61620f000e", false},
	{"a", 1, 26, "ffffff7f6107000f00", false},
	{"a", 1, 280, "ffffff7f6107000ffe", false},
	{"a", 1, 281, "ffffff7f6107000fff1501", false},
	{"a", 1, 282, "ffffff7f6107000fff1601", false},
	{"xxxxxxxxxxxxxyyyyyyyyyyyyyyyyyyyyyzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", 65, 1,
		"ffffff57780700a2790700" "7a07000f05", false},
};

static size_t from_hex(const char *hex, char *to)
{
	size_t n = 0;
	for (; hex[0]; hex += 2, n++) {
		char two[3] = {hex[0], hex[1], 0};
		to[n] = (char)strtoul(two, NULL, 16);
	}
	return n;
}

static size_t repeat(const struct vector *v, char *to)
{
	for (size_t i = 0; i < v->times; i++)
		memcpy(to + i * v->n, v->unit, v->n);
	return v->n * v->times;
}

/* holds: WUSP-XPRESS-09 WUSP-XPRESS-12 WUSP-XPRESS-23 */
static void vectors_are_made_and_read_byte_for_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNTOF(vectors); i++) {
		char plain[512], want[512], back[512];
		size_t n = repeat(&vectors[i], plain), size = from_hex(vectors[i].hex, want);
		size_t made = encode((struct slice){plain, n}, coded, &reading);
		if (!vectors[i].brief) {
			assert_int_equal(made, size);
			assert_memory_equal(coded, want, size);
		}
		assert_true(xpress_unpack_block(want, size, back, n));
		assert_memory_equal(back, plain, n);
	}
	/* The rule's own example: 0x0018 is distance 4, length 3. */
	static const char four[] = "\xff\xff\xff\x0f" "wxyz" "\x18";
	char back[7];
	assert_true(xpress_unpack_block(four, 10, back, 7));
	assert_memory_equal(back, "wxyzwxy", 7);
}

/* Every length from 8 on, which the fast matcher is sure to find: which bytes a length takes, where nibbles go, that nothing follows the long form.
 * Two equal runs make a first and a second long match in a row. */
/* holds: WUSP-XPRESS-10 WUSP-XPRESS-16 WUSP-XPRESS-17 WUSP-XPRESS-18 WUSP-XPRESS-19 WUSP-XPRESS-20 WUSP-XPRESS-21 */
static void lengths_take_their_form(void **state)
{
	(void)state;
	static char plain[XPRESS_BLOCK];
	for (size_t length = 8; 2 * length + 2 <= XPRESS_BLOCK; length = length < 700 ? length + 1 : length * 5 / 4) {
		memset(plain, 'a', length + 1);
		memset(plain + length + 1, 'b', length + 1);
		encode((struct slice){plain, 2 * length + 2}, coded, &reading);
		assert_int_equal(reading.n, 4);
		for (size_t i = 1; i < 4; i += 2) {
			size_t nibble = length >= 10 && i == 1, more = length < 25 ? 0 : length < 280 ? 1 : 3;
			assert_true(reading.v[i].match);
			assert_int_equal(reading.v[i].distance, 1);
			assert_int_equal(reading.v[i].length, length);
			assert_int_equal(reading.v[i].extra, nibble + more);
		}
	}
	memset(plain, 'a', XPRESS_BLOCK);
	assert_int_equal(encode((struct slice){plain, XPRESS_BLOCK}, coded, &reading), 11);
	assert_int_equal(reading.v[1].length, XPRESS_BLOCK - 1);
	/* A 16-bit length of 0 is length 3 and takes no more bytes. */
	static const char zero[] = "\xff\xff\xff\x5f" "a" "\x07\0" "\x0f" "\xff" "\0\0" "b";
	char back[5];
	assert_true(xpress_unpack_block(zero, 12, back, 5));
	assert_memory_equal(back, "aaaab", 5);
}

/* holds: WUSP-XPRESS-11 WUSP-XPRESS-13 WUSP-XPRESS-14 WUSP-XPRESS-15 */
static void masks_follow_each_other_and_end_in_ones(void **state)
{
	(void)state;
	char plain[256];
	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = (char)i;
	for (size_t n = 1; n <= sizeof(plain); n++) {
		size_t size = encode((struct slice){plain, n}, coded, &reading);
		assert_int_equal(reading.n, n);
		assert_int_equal(reading.masks, n / 32 + 1);
		assert_int_equal(size, n + 4 * reading.masks);
		assert_int_equal(reading.end_bit, 31 - n % 32);
		assert_int_equal(reading.last_mask, UINT32_MAX >> n % 32);
	}
}

/* holds: WUSP-XPRESS-08 WUSP-XPRESS-09 */
static void matches_are_three_bytes_or_more_within_the_window(void **state)
{
	(void)state;
	static char plain[XPRESS_BLOCK];
	for (size_t k = 0; k < 3 * 20; k++) {
		size_t gap = 8180 + k / 3; /* the same 16 bytes at distance gap */
		memset(plain, '-', gap);
		memset(plain, 0xfe, 8);
		memcpy(plain + 1, "0123456789", 10);
		memcpy(plain + gap, plain, 16);
		encode_by(k % 3, (struct slice){plain, gap + 16}, coded, &reading);
		bool far = false;
		for (size_t i = 0; i < reading.n; i++) {
			if (!reading.v[i].match)
				continue;
			assert_true(reading.v[i].length >= 3);
			assert_true(reading.v[i].distance <= 8192);
			far |= reading.v[i].distance == gap;
		}
		assert_int_equal(far, gap <= 8192);
	}
}

/* holds: WUSP-XPRESS-01 WUSP-XPRESS-02 WUSP-XPRESS-03 WUSP-XPRESS-04 WUSP-XPRESS-05 WUSP-XPRESS-06 WUSP-XPRESS-07 */
static void streams_are_blocks_of_their_own_without_gaps(void **state)
{
	(void)state;
	char *text[] = {random_text(200000, 2, 1), random_text(200000, 256, 2)}; /* shrinks; does not */
	for (size_t t = 0; t < 2; t++) {
		struct buf out;
		buf_init(&out, 1 << 20);
		xpress_add(&out, (struct slice){text[t], 200000}, XPRESS_BLOCK);
		assert_int_equal(out.rc, E_OK);
		size_t at = 0, done = 0;
		for (; done < 200000; ) {
			size_t plain = le32(out.p + at), packed = le32(out.p + at + 4);
			assert_int_equal(plain, MIN((size_t)XPRESS_BLOCK, 200000 - done));
			assert_true(packed <= XPRESS_BLOCK && at + 8 + packed <= out.n);
			if (t == 1) {
				assert_int_equal(packed, plain); /* raw */
				assert_memory_equal(out.p + at + 8, text[t] + done, plain);
			} else {
				assert_true(packed < plain);
				/* fails if a match reaches before the block */
				read_block(out.p + at + 8, packed, (struct slice){text[t] + done, plain}, &reading);
			}
			at += 8 + packed;
			done += plain;
		}
		assert_int_equal(at, out.n);
		buf_free(&out);
		free(text[t]);
	}
}

/* holds: WUSP-XPRESS-22 */
static void nothing_makes_no_block(void **state)
{
	(void)state;
	struct buf out;
	buf_init(&out, 100);
	xpress_add(&out, SL(""), XPRESS_BLOCK);
	xpress_add(&out, SL0, XPRESS_STREAM_BLOCK);
	assert_int_equal(out.n, 0);
	assert_int_equal(xpress_unpack(SL(""), &out), E_OK);
	assert_int_equal(out.n, 0);
	buf_free(&out);
}

static void small_blocks_are_packed_only_where_that_saves(void **state)
{
	(void)state;
	char to[64];
	assert_int_equal(xpress_pack_block("abcdefgh", 8, to, sizeof(to)), 0);
	assert_int_equal(xpress_pack_block("ABCABCDEF", 9, to, sizeof(to)), 0); /* 12 encoded */
	assert_int_equal(xpress_pack_block("aaaaaaaaaaaaaaaaaaaa", 20, to, sizeof(to)), 8);
	assert_int_equal(xpress_pack_block("aaaaaaaaaaaaaaaaaaaa", 20, to, 8), 8);
	assert_int_equal(xpress_pack_block("aaaaaaaaaaaaaaaaaaaa", 20, to, 7), 0);
	/* "abcdef" twice: 4 + 6 + 2 is what it was, one more of them saves it */
	assert_int_equal(xpress_pack_block("abcdefabcdef", 12, to, sizeof(to)), 0);
	assert_int_equal(xpress_pack_block("aaaaaaaaa", 9, to, sizeof(to)), 7);
}

static void (*const adds[])(struct buf *, struct slice, size_t) = {xpress_add, xpress_add_kept, xpress_add_sent};

static void round_trip_by(size_t add, struct slice s, size_t block)
{
	struct buf packed, back;
	uint64_t size;
	buf_init(&packed, 1 << 22);
	buf_init(&back, s.n);
	adds[add](&packed, s, block);
	assert_int_equal(packed.rc, E_OK);
	assert_true(packed.n <= s.n + XPRESS_HEADER * (s.n / block + 1));
	assert_true(xpress_plain_size(buf_bytes(&packed), &size));
	assert_int_equal(size, s.n);
	assert_int_equal(xpress_unpack(buf_bytes(&packed), &back), E_OK);
	assert_true(slice_eq(buf_bytes(&back), s));
	buf_free(&packed);
	buf_free(&back);
}

static void round_trip(struct slice s, size_t block)
{
	for (size_t add = 0; add < COUNTOF(adds); add++)
		round_trip_by(add, s, block);
}

static void any_text_of_any_size_comes_back(void **state)
{
	(void)state;
	static const unsigned alphabets[] = {1, 2, 3, 5, 16, 64, 256};
	for (size_t a = 0; a < COUNTOF(alphabets); a++) {
		char *text = random_text(140000, alphabets[a], (unsigned)a + 3);
		for (size_t n = 0; n < 400; n++) {
			round_trip((struct slice){text, n}, XPRESS_BLOCK);
			for (size_t i = 0; i < COUNTOF(encoders); i++)
				encode_by(i, (struct slice){text, n}, coded, &reading);
		}
		for (size_t n = 400; n <= 140000; n = n * 3 / 2) {
			round_trip((struct slice){text, n}, XPRESS_BLOCK);
			round_trip((struct slice){text, n}, XPRESS_STREAM_BLOCK);
			round_trip((struct slice){text, MIN(n, (size_t)2000)}, 1 + n % 50);
		}
		for (size_t i = 0; i < COUNTOF(encoders); i++)
			encode_by(i, (struct slice){text, XPRESS_BLOCK}, coded, &reading);
		free(text);
	}
}

static void the_same_text_gives_the_same_bytes(void **state)
{
	(void)state;
	char *text = random_text(XPRESS_BLOCK, 6, 99), *noise = random_text(XPRESS_BLOCK, 6, 5);
	static char again[XPRESS_WORST(XPRESS_BLOCK)];
	for (size_t i = 0; i < COUNTOF(encoders); i++) {
		size_t n = encoders[i](text, 30000, coded);
		encoders[i](noise, XPRESS_BLOCK, again);
		assert_int_equal(encoders[i](text, 30000, again), n);
		assert_memory_equal(coded, again, n);
	}
	free(text);
	free(noise);
}

static void recorded_answers_shrink_and_come_back(void **state)
{
	(void)state;
	struct buf text;
	SKIP_WITHOUT(corpus_dir());
	buf_init(&text, 1 << 20);
	assert_true(read_whole(&text, corpus_dir(), "native/flow/000015/response.body"));
	round_trip(buf_bytes(&text), XPRESS_STREAM_BLOCK);
	encode(buf_bytes(&text), coded, &reading);
	struct buf packed, kept, sent;
	buf_init(&packed, 1 << 20);
	xpress_add(&packed, buf_bytes(&text), XPRESS_BLOCK);
	assert_true(packed.n * 4 < text.n);
	buf_init(&kept, 1 << 20);
	buf_init(&sent, 1 << 20);
	xpress_add_kept(&kept, buf_bytes(&text), XPRESS_BLOCK);
	xpress_add_sent(&sent, buf_bytes(&text), XPRESS_BLOCK);
	assert_true(kept.n < packed.n && sent.n < kept.n);
	buf_free(&kept);
	buf_free(&sent);
	buf_free(&packed);
	buf_free(&text);
}

static void damaged_blocks_are_refused_or_stay_inside(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t n, plain;
		const char *why;
	} bad[] = {
		{"", 0, 1, "no mask"},
		{"\0\0\0", 3, 1, "cut mask"},
		{"\xff\xff\xff\xff", 4, 1, "ends before the bytes came"},
		{"\xff\xff\xff\x7f" "a", 5, 2, "one literal for two"},
		{"\xff\xff\xff\x7f" "a", 5, 0, "one literal for none"},
		{"\0\0\0\0" "a", 5, 1, "no end mark"},
		{"\xff\xff\xff\xff" "\0\0", 6, 3, "match before the start"},
		{"\xff\xff\xff\x7f" "a" "\x08\0", 7, 4, "distance 2 after one byte"},
		{"\xff\xff\xff\x7f" "a" "\0", 6, 4, "half a match word"},
		{"\xff\xff\xff\x7f" "a" "\0\0", 7, 3, "match over the end"},
		{"\xff\xff\xff\x7f" "a" "\7\0", 7, 11, "no nibble"},
		{"\xff\xff\xff\x7f" "a" "\7\0" "\x0f", 8, 26, "no length byte"},
		{"\xff\xff\xff\x7f" "a" "\7\0" "\x0f\xff\0", 10, 4, "half a length word"},
		{"\xff\xff\xff\x7f" "a" "\7\0" "\x0f\xff\xff\xff", 11, 300, "longer than the block"},
	};
	/* once with zeros behind, which would complete what is cut, and once with nothing that may be touched */
	for (size_t i = 0; i < 2 * COUNTOF(bad); i++) {
		size_t n = bad[i / 2].n, plain = bad[i / 2].plain;
		char *in = calloc(1, n + (i % 2 ? 0 : 4)), *out = malloc(plain);
		assert_true(in && out);
		memcpy(in, bad[i / 2].bytes, n);
		if (xpress_unpack_block(in, n, out, plain))
			fail_msg("accepted: %s", bad[i / 2].why);
		free(in);
		free(out);
	}
}

static void damaged_headers_are_refused(void **state)
{
	(void)state;
	const struct {
		struct slice s;
		const char *why;
	} bad[] = {
		{SL("\1\0\0\0\1\0\0"), "seven bytes"},
		{SL("\1\0\0\0\1\0\0\0"), "no payload"},
		{SL("\0\0\0\0\1\0\0\0a"), "plain size 0"},
		{SL("\1\0\0\0\0\0\0\0"), "packed size 0"},
		{SL("\1\0\0\0\2\0\0\0a"), "packed beyond the end"},
		{SL("\0\0\1\0\1\0\0\0a"), "65,536"},
		{SL("\xff\xff\xff\xff\1\0\0\0a"), "negative"},
		{SL("\1\0\0\0\xff\xff\xff\xff" "a"), "negative packed"},
		{SL("\1\0\0\0\1\0\0\0ab"), "one byte behind"},
	};
	for (size_t i = 0; i < COUNTOF(bad); i++) {
		struct buf out;
		uint64_t size;
		buf_init(&out, 1 << 20);
		if (xpress_unpack(bad[i].s, &out) != E_FORM || xpress_plain_size(bad[i].s, &size))
			fail_msg("accepted: %s", bad[i].why);
		buf_free(&out);
	}
}

static void the_result_is_bounded_by_its_buffer(void **state)
{
	(void)state;
	char *text = random_text(100000, 1, 1);
	struct buf packed, out;
	buf_init(&packed, 1 << 20);
	xpress_add(&packed, (struct slice){text, 100000}, XPRESS_BLOCK);
	buf_init(&out, 99999);
	assert_int_equal(xpress_unpack(buf_bytes(&packed), &out), E_LIMIT);
	buf_free(&out);
	buf_init(&out, 100000);
	alloc_fail_at = 1;
	assert_int_equal(xpress_unpack(buf_bytes(&packed), &out), E_NOMEM);
	alloc_fail_at = 0;
	buf_free(&out);
	buf_free(&packed);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors_are_made_and_read_byte_for_byte),
		cmocka_unit_test(lengths_take_their_form),
		cmocka_unit_test(masks_follow_each_other_and_end_in_ones),
		cmocka_unit_test(matches_are_three_bytes_or_more_within_the_window),
		cmocka_unit_test(streams_are_blocks_of_their_own_without_gaps),
		cmocka_unit_test(nothing_makes_no_block),
		cmocka_unit_test(small_blocks_are_packed_only_where_that_saves),
		cmocka_unit_test(any_text_of_any_size_comes_back),
		cmocka_unit_test(the_same_text_gives_the_same_bytes),
		cmocka_unit_test(recorded_answers_shrink_and_come_back),
		cmocka_unit_test(damaged_blocks_are_refused_or_stay_inside),
		cmocka_unit_test(damaged_headers_are_refused),
		cmocka_unit_test(the_result_is_bounded_by_its_buffer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
