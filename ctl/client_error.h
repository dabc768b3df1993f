/* client_error.h -- the error codes that Windows computers show, and what they mean with this server.
 *
 * doc/CLIENT-ERRORS.md holds the same entries; a test compares them. */
#ifndef CTL_CLIENT_ERROR_H
#define CTL_CLIENT_ERROR_H

#include "common/base.h"

struct client_error {
	uint32_t code;
	const char *name;  /* as Windows' headers call it */
	const char *means; /* in general */
	const char *cause; /* the usual one with this server */
	const char *todo;
	const char *shows; /* the command or log line on the server that shows it */
};

extern const struct client_error client_errors[]; /* by code, ended by name == NULL */

/* 0x80244019, 80244019 or as a signed number, -2145107943, as event logs and scripts have it. */
bool client_error_code(struct slice text, uint32_t *code);
const struct client_error *client_error_find(uint32_t code); /* NULL: not in the table */

#endif
