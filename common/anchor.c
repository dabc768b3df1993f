/* anchor.c -- a point and the time of its generation, as text and back. */
#include "common/anchor.h"

#include "common/text.h"

#define TICKS_PER_MS (TICKS_PER_SECOND / 1000)
#define DAY_MS (INT64_C(86400) * 1000)
#define TIME_PART 23 /* yyyy-MM-dd hh:mm:ss.sss */

size_t anchor_text(const struct anchor *a, char to[ANCHOR_MAX])
{
	char date[DATE_TEXT + 1];
	date_text(a->began, date);
	int64_t ms = a->began / TICKS_PER_MS % DAY_MS;
	unsigned of_day = (unsigned)(ms < 0 ? ms + DAY_MS : ms); /* before 1970 */
	int n = snprintf(to, ANCHOR_MAX, "%u,%s %02u:%02u:%02u.%03u", (unsigned)a->point, date, of_day / 3600000, of_day / 60000 % 60,
		of_day / 1000 % 60, of_day % 1000);
	ASSERT(n > 0 && n < ANCHOR_MAX);
	return (size_t)n;
}

/* What is read must be written so again: no leading zero, no blank, no other form of a time gets through. */
bool anchor_read(struct slice s, struct anchor *out)
{
	char again[ANCHOR_MAX], time[TIME_PART + 1];
	struct slice rest = s, digits = text_cut(&rest, ',');
	int32_t point;
	if (!rest.p || rest.n != TIME_PART || !text_i32(digits, &point) || point < 0)
		return false;
	memcpy(time, rest.p, TIME_PART);
	time[DATE_TEXT] = 'T';
	time[TIME_PART] = 'Z';
	out->point = (uint32_t)point;
	return text_time((struct slice){time, sizeof(time)}, &out->began) &&
		slice_eq((struct slice){again, anchor_text(out, again)}, s);
}
