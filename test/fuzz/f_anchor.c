/* f_anchor.c -- what is read as an anchor is written so again, in every byte; the input as a point and a time comes back. */
#include "common/anchor.h"

#include <stdlib.h>

#include "common/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void as_text(struct slice s)
{
	struct anchor a, again;
	char text[ANCHOR_MAX];
	if (!anchor_read(s, &a))
		return;
	ASSERT(a.point <= INT32_MAX);
	size_t n = anchor_text(&a, text);
	ASSERT(n == s.n && memcmp(text, s.p, n) == 0);
	ASSERT(anchor_read((struct slice){text, n}, &again) && again.point == a.point && again.began == a.began);
}

/* Any point and any whole millisecond of the calendar. */
static void as_values(const uint8_t *data)
{
	const tick_t ms = TICKS_PER_SECOND / 1000, first = -INT64_C(62135596800) * TICKS_PER_SECOND;
	uint64_t range = (uint64_t)(TICK_MAX_YEAR9999 - first) / (uint64_t)ms + 1;
	struct anchor a = {1 + get_be32(data) % INT32_MAX, first + (tick_t)(get_be64(data + 4) % range) * ms}, again;
	char text[ANCHOR_MAX];
	size_t n = anchor_text(&a, text);
	ASSERT(anchor_read((struct slice){text, n}, &again) && again.point == a.point && again.began == a.began);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	as_text((struct slice){(const char *)data, size});
	if (size >= 12)
		as_values(data);
	return 0;
}
