/* main_wsusctl.c -- the management tool. */
#include "ctl/cmd.h"

int main(int argc, char **argv)
{
	return wsusctl(argc, argv);
}
