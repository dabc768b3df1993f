/* random.c -- splitmix64 and what is derived from it. */
#include <math.h>

#include "test/catalog/catalog.h"

uint64_t rng_next(struct rng *r)
{
	uint64_t z = r->s += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

struct rng rng_for(uint64_t seed, enum purpose what, uint64_t number)
{
	struct rng r = {seed};
	r.s = rng_next(&r) ^ (uint64_t)what << 56;
	r.s = rng_next(&r) + number;
	r.s = rng_next(&r);
	return r;
}

uint32_t rng_below(struct rng *r, uint32_t n)
{
	return (uint32_t)((rng_next(r) >> 32) * n >> 32);
}

static double unit(struct rng *r)
{
	return ((double)(rng_next(r) >> 11) + 0.5) * 0x1p-53;
}

double rng_lognormal(struct rng *r, double mu, double sigma, double min, double max)
{
	double radius = sqrt(-2 * log(unit(r)));
	double v = exp(mu + sigma * radius * cos(2 * 3.14159265358979323846 * unit(r)));
	return v < min ? min : v > max ? max : v;
}

struct guid rng_guid(struct rng *r)
{
	struct guid g;
	put_be64(g.b, rng_next(r));
	put_be64(g.b + 8, rng_next(r));
	g.b[6] = (uint8_t)(0x40 | (g.b[6] & 0x0f));
	g.b[8] = (uint8_t)(0x80 | (g.b[8] & 0x3f));
	return g;
}
