/* main_reporting.c -- bin/wsus-reporting. */
#include "cgi/dispatch.h"

int main(int argc, char **argv)
{
	return service_main(argc, argv, &reporting_service);
}
