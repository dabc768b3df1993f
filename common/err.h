/* err.h -- the few results a function of ours can have, and where their words stand.
 *
 * A function returns enum errcode (as int), E_OK being 0.  The text is set where it is known, in the
 * caller's struct err; each layer above may add *where* with err_at(), never repeat *what*.  A NULL
 * struct err is allowed everywhere: the code alone is then reported. */
#ifndef COMMON_ERR_H
#define COMMON_ERR_H

#include "common/base.h"

enum errcode {
	E_OK,
	/* outcomes a caller expects and handles */
	E_NOTFOUND, /* no such record */
	E_EXISTS,   /* a record with this key is there already */
	E_AMBIGUOUS, /* several records fit the name */
	/* input */
	E_FORM,  /* malformed: not XML, not UTF-8, not a number ... */
	E_LIMIT, /* well-formed, but over one of common/limits.h */
	E_USAGE, /* the command line makes no sense */
	/* the world */
	E_NOMEM,   /* allocation failed */
	E_IO,      /* a file or socket did not do as asked */
	E_FULL,    /* disk or map is full */
	E_BUSY,    /* somebody else is at it; try again */
	E_VERSION, /* written by a newer program */
	E_CORRUPT, /* the store contradicts itself */
	E_DAMAGED, /* a file of the store cannot be read or used */
	E_CANCELLED, /* somebody said stop */
	E_REFUSED, /* forbidden in this state; the text names the remedy */
	/* the protocol's own ErrorCodes, MS-WUSP 2.2.2.4 */
	E_INVALID_COOKIE,
	E_SERVER_CHANGED,
	E_COOKIE_EXPIRED,
	E_CONFIG_CHANGED,
	E_REGISTRATION_REQUIRED,
	E_INVALID_PARAMETERS, /* text = the parameter's path, sent as Message */
	E_INVALID_AUTH_COOKIE,
	E_FILE_LOCATION_CHANGED,
	E_SERVER_BUSY,
	/* and of MS-WSUSSS 2.2.9.3 */
	E_INCOMPATIBLE_VERSION,
	E_FILE_DIGESTS_MISSING, /* text = the digests, sent as Message */
	E_NOT_ADMITTED,         /* a downstream server that nobody approved; text = Message */
	E_UNKNOWN_OPERATION, /* a plain fault without ErrorCode */
	E_NOT_UNDERSTOOD,    /* the same: a SOAP header with mustUnderstand */
	E__MAX
};

struct err {
	enum errcode code;
	char text[512];
};

/* Sets code and text (printf style, cut at the size of text) and returns the code. */
int err_set(struct err *e, enum errcode code, const char *fmt, ...) PRINTF(3, 4);

/* Prefixes the text with a place ("file.xml: ") and returns rc; E_OK passes through.  A result for which nobody
 * below had words gets its name. */
int err_at(struct err *e, int rc, const char *fmt, ...) PRINTF(3, 4);

/* As err_set, with ": " and strerror(errno) behind; ENOSPC and EDQUOT become E_FULL, ENOMEM E_NOMEM. */
int err_errno(struct err *e, const char *fmt, ...) PRINTF(2, 3);

/* A short phrase for people ("no such record"); never NULL. */
const char *err_name(int code);

/* What whoever runs the server does about a request that ended so, for the log; NULL for E_OK. */
const char *err_remedy(int code);

/* The protocol's ErrorCode for this result ("InvalidCookie"), or NULL for a plain SOAP fault. */
const char *err_fault(int code);

/* Does the fault's Message say why?  Of the others it is empty, as a real server's is. */
bool err_is_message(int code);

/* true if the fault is the server's own failure (faultcode Server), false if the client's. */
bool err_is_ours(int code);

#endif
