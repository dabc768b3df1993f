/* main_content.c -- bin/wsus-content. */
#include "cgi/content.h"

int main(int argc, char **argv)
{
	return content_main(argc, argv);
}
