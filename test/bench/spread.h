/* spread.h -- how times are spread: counts in 64 steps an octave, so that a percentile is right within 1.6 %. */
#ifndef TEST_BENCH_SPREAD_H
#define TEST_BENCH_SPREAD_H

#include <time.h>

#include "common/base.h"

#define SPREAD_STEPS 64

struct spread {
	uint64_t step[64 * SPREAD_STEPS], n, most;
};

static inline uint64_t now_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static inline size_t spread_step(uint64_t us)
{
	if (us < SPREAD_STEPS)
		return (size_t)us;
	unsigned octave = 63 - (unsigned)__builtin_clzll(us) - 6;
	return (octave + 1) * SPREAD_STEPS + (size_t)(us >> octave) - SPREAD_STEPS;
}

static inline uint64_t spread_us(size_t step)
{
	return step < SPREAD_STEPS ? step
		: (uint64_t)(step % SPREAD_STEPS + SPREAD_STEPS) << (step / SPREAD_STEPS - 1);
}

static inline void spread_add(struct spread *s, uint64_t us)
{
	s->step[spread_step(us)]++;
	s->n++;
	s->most = MAX(s->most, us);
}

/* What this part of all times does not exceed. */
static inline uint64_t spread_share(const struct spread *s, double part)
{
	uint64_t seen = 0, wanted = (uint64_t)((double)s->n * part);
	for (size_t i = 0; i < COUNTOF(s->step); i++)
		if ((seen += s->step[i]) > wanted)
			return MIN(spread_us(i), s->most);
	return s->most;
}

#endif
