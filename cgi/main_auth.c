/* main_auth.c -- bin/wsus-auth. */
#include "cgi/dispatch.h"

int main(int argc, char **argv)
{
	return service_main(argc, argv, &auth_service);
}
