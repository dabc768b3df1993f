/* err.c -- one table for every result: words, wire code, whose fault it is. */
#include "common/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#define BY_ITSELF "nothing: the computer does what is wanted by itself"
#define TWO_SERVERS "nothing: the computer gets a new one; if this repeats itself, two servers answer under one name"
#define NOT_FROM_WINDOWS "nothing: no Windows computer sends this; a scanner, or another program"

static const struct {
	const char *name;
	const char *fault; /* NULL: a plain SOAP fault, so that no wrong recovery starts (SOAPFAULT-21) */
	bool ours;
	const char *remedy; /* of a request that ended so */
} table[] = {
	[E_OK] = {"done", "InternalServerError", true, NULL},
	[E_NOTFOUND] = {"no such record", "InvalidParameters", false, NOT_FROM_WINDOWS},
	[E_EXISTS] = {"exists already", "InvalidParameters", false, NOT_FROM_WINDOWS},
	[E_AMBIGUOUS] = {"ambiguous name", "InvalidParameters", false, NOT_FROM_WINDOWS},
	[E_FORM] = {"malformed input", NULL, false, NOT_FROM_WINDOWS},
	[E_LIMIT] = {"over a limit", NULL, false, NOT_FROM_WINDOWS},
	[E_USAGE] = {"wrong usage", "InternalServerError", true, "compare how the service is started with its manual"},
	[E_NOMEM] = {"out of memory", "ServerBusy", true, "give the machine more memory, or the service fewer workers; the computer comes back by itself"},
	[E_IO] = {"input or output failed", "InternalServerError", true, "look at the disk, and at what the service says besides requests; restart it"},
	[E_FULL] = {"no space left", "ServerBusy", true, "make room on the disk of the store; `wsusctl computer delete` removes computers that are gone"},
	[E_BUSY] = {"busy", "ServerBusy", true, BY_ITSELF},
	[E_VERSION] = {"made by another version", "ServerBusy", true, "restart the services: the store was made by another version"},
	[E_CORRUPT] = {"the store contradicts itself", "InternalServerError", true, "wsusctl store audit; `wsusctl restore` brings a backup back"},
	[E_DAMAGED] = {"a file of the store cannot be used", "ServerBusy", true, "`wsusctl store audit`; `wsusctl restore` or `wsusctl store reset` mends it"},
	[E_CANCELLED] = {"cancelled", "InternalServerError", true, "begin it again"},
	[E_REFUSED] = {"refused", "InternalServerError", true, "look at what the service says besides requests"},
	[E_INVALID_COOKIE] = {"invalid cookie", "InvalidCookie", false, TWO_SERVERS},
	[E_SERVER_CHANGED] = {"cookie of another server or generation", "ServerChanged", false, "nothing: the computer renumbers its cache; if that repeats itself, two servers answer under one name"},
	[E_COOKIE_EXPIRED] = {"cookie expired", "CookieExpired", false, BY_ITSELF},
	[E_CONFIG_CHANGED] = {"configuration changed", "ConfigChanged", false, BY_ITSELF},
	[E_REGISTRATION_REQUIRED] = {"registration required", "RegistrationRequired", false, "nothing: the computer registers; if this repeats itself, look for its RegisterComputer"},
	[E_INVALID_PARAMETERS] = {"invalid parameters", "InvalidParameters", false, "nothing, if it is no Windows computer; else this is a fault of the server: report it"},
	[E_INVALID_AUTH_COOKIE] = {"invalid authorization cookie", "InvalidAuthorizationCookie", false, TWO_SERVERS},
	[E_FILE_LOCATION_CHANGED] = {"file locations changed", "FileLocationChanged", false, BY_ITSELF},
	[E_SERVER_BUSY] = {"server busy", "ServerBusy", true, BY_ITSELF},
	[E_INCOMPATIBLE_VERSION] = {"incompatible protocol version", "IncompatibleProtocolVersion", false, "nothing: no server of this protocol has that version"},
	[E_FILE_DIGESTS_MISSING] = {"files that no revision names", "FileDigestsMissing", false, "nothing: the downstream server begins anew; if that repeats itself, its store is of another parent"},
	[E_NOT_ADMITTED] = {"downstream server not approved", "InvalidParameters", false, "wsusctl downstream list"},
	[E_UNKNOWN_OPERATION] = {"unknown operation", NULL, false, NOT_FROM_WINDOWS},
	[E_NOT_UNDERSTOOD] = {"SOAP header not understood", NULL, false, NOT_FROM_WINDOWS},
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

const char *err_remedy(int code)
{
	return code >= 0 && code < E__MAX ? table[code].remedy : "look at what the service says besides requests";
}

const char *err_fault(int code)
{
	return code >= 0 && code < E__MAX ? table[code].fault : "InternalServerError";
}

bool err_is_ours(int code)
{
	return code < 0 || code >= E__MAX || table[code].ours;
}

bool err_is_message(int code)
{
	return code == E_INVALID_PARAMETERS || code == E_FILE_DIGESTS_MISSING || code == E_NOT_ADMITTED;
}
