/* main_wsus-sync.c -- until its owner has landed. */
#include "sync/sync.h"

int main(void)
{
	return job_sync(&(struct job_options){0});
}
