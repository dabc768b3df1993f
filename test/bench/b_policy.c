/* b_policy.c -- approvals by the ten thousand: what `wsusctl approve` does, in one transaction and one publish.
 *
 *	b_policy STORE <LINES
 *
 * A line is "+ UPDATEID GROUP" (approve for installation) or "- UPDATEID GROUP"; a group that there is not is made.
 * Prints how many lines and how many milliseconds. */
#include "common/text.h"
#include "store/publish.h"
#include "store/store.h"
#include "test/bench/begin.h"

#define ADMIN SL("bench")

static struct store *store;
static struct txn *t;

static uint32_t group_of(struct slice name)
{
	uint32_t no;
	if (group_find(t, name, &no) != E_OK)
		OK(group_create(t, name, GROUP_ALL_COMPUTERS, &no, &err));
	return no;
}

static void do_line(struct slice line)
{
	struct guid update;
	struct revision r;
	int32_t id;
	struct slice rest = line, sign = text_cut(&rest, ' '), what = text_cut(&rest, ' ');
	ok(text_guid(what, &update) ? E_OK : E_FORM, "a line begins \"+ UPDATEID \" or \"- UPDATEID \"");
	OK(revision_find(t, &update, 0, &id));
	OK(revision_get(t, id, &r, &err));
	struct approval a = {.revision = id, .group = group_of(rest), .action = ACT_INSTALL, .assigned = true, .admin = ADMIN};
	if (sign.n == 1 && sign.p[0] == '+')
		OK(approve(t, &a, &err));
	else
		OK(unapprove(t, r.update_no, a.group, ADMIN, &err));
}

int main(int argc, char **argv)
{
	char line[400];
	unsigned long lines = 0;
	struct publish_report p;
	double from = now_us();
	if (argc != 2) {
		fputs("usage: b_policy STORE <LINES\n", stderr);
		return 2;
	}
	OK(store_open(&store, argv[1], STORE_ADMIN, &err));
	OK(txn_begin(store, TXN_CATALOG, &t, &err));
	for (; fgets(line, sizeof(line), stdin); lines++)
		do_line(text_trim(slice_of(line)));
	OK(publish(t, time_now(), &p, &err));
	OK(txn_commit(&t, &err));
	store_close(&store);
	printf("%lu %.3f\n", lines, (now_us() - from) / 1e3);
	return 0;
}
