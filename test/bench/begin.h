/* begin.h -- how the benchmark programs that work on a store begin: an error ends them, and time is in microseconds. */
#ifndef BENCH_BEGIN_H
#define BENCH_BEGIN_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/base.h"
#include "common/err.h"

static struct err err;

static inline void ok(int rc, const char *what)
{
	if (rc == E_OK)
		return;
	fprintf(stderr, "%s: %s: %s %s\n", program_invocation_short_name, what, err_name(rc), err.text);
	exit(1);
}
#define OK(x) ok((x), #x)

static inline double now_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

#endif
