/* main_wsus-probe.c -- the diagnostic client. */
#include "ctl/probe.h"

int main(int argc, char **argv)
{
	return probe_main(argc, argv);
}
