/* err.c -- one table for every result: words, wire code, whose fault it is. */
#include "common/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

static const struct {
	const char *name;
	const char *fault; /* NULL: a plain SOAP fault, so that no wrong recovery starts (SOAPFAULT-21) */
	bool ours;
} table[] = {
	[E_OK] = {"done", "InternalServerError", true},
	[E_NOTFOUND] = {"no such record", "InvalidParameters", false},
	[E_EXISTS] = {"exists already", "InvalidParameters", false},
	[E_AMBIGUOUS] = {"ambiguous name", "InvalidParameters", false},
	[E_FORM] = {"malformed input", NULL, false},
	[E_LIMIT] = {"over a limit", NULL, false},
	[E_USAGE] = {"wrong usage", "InternalServerError", true},
	[E_NOMEM] = {"out of memory", "ServerBusy", true},
	[E_IO] = {"input or output failed", "InternalServerError", true},
	[E_FULL] = {"no space left", "InternalServerError", true},
	[E_BUSY] = {"busy", "ServerBusy", true},
	[E_VERSION] = {"made by another version", "InternalServerError", true},
	[E_CORRUPT] = {"the store contradicts itself", "InternalServerError", true},
	[E_REFUSED] = {"refused", "InternalServerError", true},
	[E_INVALID_COOKIE] = {"invalid cookie", "InvalidCookie", false},
	[E_SERVER_CHANGED] = {"cookie of another server or generation", "ServerChanged", false},
	[E_COOKIE_EXPIRED] = {"cookie expired", "CookieExpired", false},
	[E_CONFIG_CHANGED] = {"configuration changed", "ConfigChanged", false},
	[E_REGISTRATION_REQUIRED] = {"registration required", "RegistrationRequired", false},
	[E_INVALID_PARAMETERS] = {"invalid parameters", "InvalidParameters", false},
	[E_INVALID_AUTH_COOKIE] = {"invalid authorization cookie", "InvalidAuthorizationCookie", false},
	[E_FILE_LOCATION_CHANGED] = {"file locations changed", "FileLocationChanged", false},
	[E_SERVER_BUSY] = {"server busy", "ServerBusy", true},
	[E_UNKNOWN_OPERATION] = {"unknown operation", NULL, false},
};
static_assert(COUNTOF(table) == E__MAX, "table and enum errcode end together");

void assert_failed(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, what);
	abort();
}

static void PRINTF(3, 0) set_text(struct err *e, enum errcode code, const char *fmt, va_list ap)
{
	if (!e)
		return;
	e->code = code;
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
}

int err_set(struct err *e, enum errcode code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	set_text(e, code, fmt, ap);
	va_end(ap);
	return (int)code;
}

int err_at(struct err *e, int rc, const char *fmt, ...)
{
	if (!e || rc == E_OK)
		return rc;
	if ((int)e->code != rc)
		err_set(e, (enum errcode)rc, "%s", err_name(rc));
	char place[300], what[sizeof(e->text)];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(place, sizeof(place), fmt, ap);
	va_end(ap);
	memcpy(what, e->text, sizeof(what));
	int n = snprintf(e->text, sizeof(e->text), "%s", place);
	snprintf(e->text + n, sizeof(e->text) - (size_t)n, "%s", what);
	return rc;
}

int err_errno(struct err *e, const char *fmt, ...)
{
	int no = errno;
	enum errcode code = no == ENOSPC || no == EDQUOT ? E_FULL : no == ENOMEM ? E_NOMEM : E_IO;
	char what[256];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	return err_set(e, code, "%s: %s", what, strerror(no));
}

const char *err_name(int code)
{
	return code >= 0 && code < E__MAX ? table[code].name : "unknown result";
}

const char *err_fault(int code)
{
	return code >= 0 && code < E__MAX ? table[code].fault : "InternalServerError";
}

bool err_is_ours(int code)
{
	return code < 0 || code >= E__MAX || table[code].ours;
}
