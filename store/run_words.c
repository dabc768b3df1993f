/* run_words.c -- what a synchronization changed, in words. */
#include "store/parent.h"

struct count {
	uint32_t n;
	const char *one, *many;
};

void sync_run_words(const struct sync_run *r, char out[SYNC_RUN_WORDS])
{
	const struct count counts[] = {
		{r->added, "new revision", "new revisions"},
		{r->groups, "group changed", "groups changed"},
		{r->deployments, "approval changed", "approvals changed"},
		{r->ended_deployments, "approval ended", "approvals ended"},
		{r->hidden, "update declined or no longer", "updates declined or no longer"},
		{r->eulas, "licence accepted", "licences accepted"},
		{r->different, "kept as it was though the server has it otherwise", "kept as they were though the server has them otherwise"},
		{r->refused, "document refused", "documents refused"},
	};
	size_t at = 0;
	out[0] = '\0';
	for (size_t i = 0; i < COUNTOF(counts); i++)
		if (counts[i].n && at < SYNC_RUN_WORDS)
			at += (size_t)snprintf(out + at, SYNC_RUN_WORDS - at, "%s%u %s", at ? ", " : "", (unsigned)counts[i].n,
				counts[i].n == 1 ? counts[i].one : counts[i].many);
	if (at == 0)
		snprintf(out, SYNC_RUN_WORDS, "nothing new");
}
