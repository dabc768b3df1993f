/* f_json.c -- whatever wsus-probe is said to have printed, what is taken out of it lies in it; what we write comes back. */
#include "common/buf.h"
#include "common/err.h"
#include "common/text.h"
#include "ctl/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_value(struct slice v, struct slice whole, struct arena *a)
{
	if (!v.p)
		return;
	ASSERT(v.p >= whole.p && v.p + v.n <= whole.p + whole.n);
	struct slice text = json_string(v, a), first = json_first(v);
	ASSERT(!text.p || text.n + 2 <= v.n);
	ASSERT(!first.p || (first.p > v.p && first.p + first.n <= v.p + v.n));
	check_value(first, v, a);
}

/* ASCII without NUL: what is beyond comes back as a question mark, or not at all. */
static bool comes_back(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)(s.p[i] - 1) >= 0x7F)
			return false;
	return true;
}

static void check_written(struct slice s, struct arena *a)
{
	struct buf b;
	buf_init(&b, 8 * s.n + 64);
	buf_str(&b, "{\"a\":[{\"k\":1}],\"k\":");
	json_string_add(&b, s);
	buf_char(&b, '}');
	struct slice back = json_string(json_member(buf_bytes(&b), "k"), a);
	ASSERT(b.rc == E_OK && back.p);
	ASSERT(!comes_back(s) || slice_eq(back, s));
	buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const keys[] = {"ok", "error", "problems", "certificates", "total", "", "k"};
	struct slice text = {(const char *)data, size};
	struct arena a;
	arena_init(&a, (size_t)64 << 20);
	for (size_t i = 0; i < COUNTOF(keys); i++)
		check_value(json_member(text, keys[i]), text, &a);
	check_value(json_first(text), text, &a);
	check_written(text, &a);
	arena_free(&a);
	return 0;
}
