/* authorize.h -- the steps of authorization one by one, for who wants to see each. */
#ifndef SYNC_AUTHORIZE_H
#define SYNC_AUTHORIZE_H

#include "sync/sync.h"

#define AUTHORIZE_MEMORY ((size_t)16 << 20) /* answers of some KB, a list of 39 languages */
#define AUTHORIZE_STEPS 3
extern const struct authorize_step {
	enum call_op op;
	/* *cookie is what the second brings and the third wants; it lies in a. */
	int (*run)(struct run *r, struct arena *a, struct AuthorizationCookie **cookie, struct err *e);
} authorize_steps[AUTHORIZE_STEPS];

#endif
