/* main_client.c -- bin/wsus-client. */
#include "cgi/dispatch.h"

int main(int argc, char **argv)
{
	return service_main(argc, argv, &client_service);
}
