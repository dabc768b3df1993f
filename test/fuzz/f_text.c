/* f_text.c -- what a text reader accepts, its writer writes so that it reads the same again. */
#include <stdlib.h>

#include "common/arena.h"
#include "common/err.h"
#include "common/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_time(struct slice s)
{
	tick_t t, again;
	char z[TIME_TEXT + 1];
	if (!text_time(s, &t))
		return;
	size_t n = time_text(t, z);
	ASSERT(n <= TIME_TEXT && text_time((struct slice){z, n}, &again) && again == t);
}

static void check_guid(struct slice s)
{
	struct guid g, again;
	char z[GUID_TEXT + 1];
	if (!text_guid(s, &g))
		return;
	guid_text(&g, z);
	ASSERT(text_guid(slice_of(z), &again) && guid_cmp(&g, &again) == 0);
}

static void check_base64(struct slice s, struct arena *a, struct buf *b)
{
	struct slice bytes, again;
	if (!text_base64(s, a, &bytes))
		return;
	buf_reset(b);
	base64_add(b, bytes);
	ASSERT(b->rc == E_OK && text_base64(buf_bytes(b), a, &again) && slice_eq(bytes, again));
}

static void check_escape(struct slice s, struct buf *b, struct buf *c)
{
	buf_reset(b);
	buf_reset(c);
	xml_escape_add(b, s);
	ASSERT(xml_unescape_add(c, buf_bytes(b)) && slice_eq(buf_bytes(c), s));
	buf_reset(c);
	(void)xml_unescape_add(c, s);
	ASSERT(c->n <= s.n);
}

/* The fast way over plain bytes finds the same place as a walk by character. */
static void check_utf8(struct slice s, struct buf *b)
{
	size_t i = 0;
	for (size_t n = 1; i < s.n && n; i += n)
		n = text_utf8_char((struct slice){s.p + i, s.n - i});
	ASSERT(text_utf8_bad(s) == i);
	buf_reset(b);
	text_safe_add(b, s);
	ASSERT(text_utf8_bad(buf_bytes(b)) == b->n);
	buf_reset(b);
	json_string_add(b, s);
	ASSERT(text_utf8_bad(buf_bytes(b)) == b->n && b->n >= 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice s = {(const char *)data, size};
	struct arena a;
	struct buf b, c;
	int64_t i;
	int32_t w;
	uint32_t major, minor;
	arena_init(&a, 16 << 20);
	buf_init(&b, 64 << 20);
	buf_init(&c, 64 << 20);
	if (text_i32(s, &w))
		ASSERT(text_i64(s, &i) && i == w);
	(void)text_version(s, &major, &minor);
	check_time(s);
	check_guid(s);
	check_base64(s, &a, &b);
	check_escape(s, &b, &c);
	check_utf8(s, &b);
	arena_free(&a);
	buf_free(&b);
	buf_free(&c);
	return 0;
}
