/* ping.c -- Ping, which each service of the server-server protocol has: MS-WSUSSS 6.1 to 6.3 (WSUSSS-PING-02, -03).
 *
 * That the store could be read is all that it says.  Paths, database and machine are nobody's business. */
#include "cgi/sync.h"
#include "common/text.h"

SHARED_HANDLER(Ping)
{
	(void)in;
	struct MonitoredServicesResponse *m = ARENA_NEW(c->a, struct MonitoredServicesResponse);
	if (!m)
		return call_fail(c, E_NOMEM, "no memory for the answer");
	m->SuccessFlag = true;
	m->ServicesTime = c->now;
	m->ServicesName = slice_of(c->w->service->name);
	m->IsHttps = text_ieq(c->req->scheme, SL("https"));
	m->ConfigFileLastModifiedTime = c->state.last_change;
	m->ConfigFileNextExpirationTime = TICK_MAX_YEAR9999;
	out->PingResult = m;
	return E_OK;
}
