/* schedule.c -- sync.schedule: words to times. */
#include "store/schedule.h"

#include <time.h>

#include "common/text.h"

static bool two_digits(struct slice *v, unsigned most, unsigned *out)
{
	unsigned n = 0, digits = 0;
	for (; v->n && v->p[0] >= '0' && v->p[0] <= '9' && digits < 2; digits++) {
		n = n * 10 + (unsigned)(v->p[0] - '0');
		v->p++;
		v->n--;
	}
	*out = n;
	return digits > 0 && n <= most;
}

static bool word(struct slice *v, const char *w)
{
	size_t n = strlen(w);
	if (v->n < n || memcmp(v->p, w, n) != 0)
		return false;
	v->p += n;
	v->n -= n;
	return true;
}

bool schedule_read(struct slice v, struct schedule *out)
{
	*out = (struct schedule){0};
	if (slice_eq(v, SL("off")))
		return true;
	if (word(&v, "every ")) {
		out->kind = SCHEDULE_EVERY;
		return two_digits(&v, 24, &out->hours) && out->hours > 0 && slice_eq(v, SL("h"));
	}
	out->kind = SCHEDULE_DAILY;
	return word(&v, "daily ") && v.n == 5 && two_digits(&v, 23, &out->hour) && word(&v, ":") && v.n == 2 &&
		two_digits(&v, 59, &out->minute) && v.n == 0;
}
