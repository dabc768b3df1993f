/* serversync.c -- ServerSync: downstream servers learn here what is published.  MS-WSUSSS 3.1. */
#include "cgi/dispatch.h"
#include "common/wsusss.h"

const struct service serversync_service = {
	.name = "serversync",
	.ns = WSUSSS_NS_SYNC,
	.paths = {"/ServerSyncWebService/ServerSyncWebService.asmx"},
	.cache_control = "private, max-age=0",
	.dialect = SOAP_ASMX,
};
