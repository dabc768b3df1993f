/* main_serversync.c -- bin/wsus-serversync. */
#include "cgi/dispatch.h"

int main(int argc, char **argv)
{
	return service_main(argc, argv, &serversync_service);
}
