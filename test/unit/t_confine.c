/* t_confine.c -- what a job gives up: writing elsewhere, capabilities, privileges that come back. */
#include "sync/confine.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "test/unit/store_fixture.h"

static char dir[256];

static const char *below(const char *name)
{
	static char path[4][300];
	static unsigned n;
	char *to = path[n++ % 4];
	snprintf(to, sizeof(path[0]), "%s/%s", dir, name);
	return to;
}

static bool writes(const char *path, int flags)
{
	int fd = open(path, O_WRONLY | flags, 0600);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

enum { ALL_WELL, NOT_CONFINED, PRIVILEGES, INSIDE, MOVES, NULL_DEVICE, READS, OUTSIDE, CHANGES, MAKES, REMOVES };

static int in_child(void)
{
	const char *why;
	bool confined = confine(below("store"), below("content"), &why);
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 || prctl(PR_CAPBSET_READ, 21 /* CAP_SYS_ADMIN */, 0, 0, 0) > 0)
		return PRIVILEGES;
	if (!writes(below("store/a"), O_CREAT) || !writes(below("store/catalog/a"), O_CREAT) || !writes(below("fleet/a"), O_CREAT) ||
		!writes(below("content/a"), O_CREAT) || unlink(below("content/a")) != 0)
		return INSIDE;
	if (mkdir(below("content/AA"), 0755) != 0 || !writes(below("content/b"), O_CREAT) ||
		rename(below("content/b"), below("content/AA/b")) != 0)
		return MOVES;
	if (!writes("/dev/null", 0))
		return NULL_DEVICE;
	if (access("/etc/passwd", R_OK) != 0 || open(below("other"), O_RDONLY) < 0)
		return READS;
	if (!confined)
		return NOT_CONFINED;
	if (writes(below("new"), O_CREAT) || writes(below("other"), 0))
		return OUTSIDE;
	if (truncate(below("other"), 0) == 0)
		return CHANGES;
	if (mkdir(below("folder"), 0755) == 0 || symlink("x", below("link")) == 0 || rename(below("store/a"), below("a")) == 0)
		return MAKES;
	return unlink(below("other")) == 0 ? REMOVES : ALL_WELL;
}

/* fleet is a link to another place, as on another disk; content is made. */
static void nothing_is_written_elsewhere(void **state)
{
	(void)state;
	int how;
	assert_int_equal(mkdir(below("store"), 0755) | mkdir(below("store/catalog"), 0755) | mkdir(below("fleet"), 0755), 0);
	assert_int_equal(symlink("../fleet", below("store/fleet")), 0);
	assert_true(writes(below("other"), O_CREAT));
	pid_t pid = fork();
	if (pid == 0)
		_exit(in_child());
	assert_int_equal(waitpid(pid, &how, 0), pid);
	assert_true(WIFEXITED(how));
	if (WEXITSTATUS(how) == NOT_CONFINED)
		skip(); /* no Landlock here */
	assert_int_equal(WEXITSTATUS(how), ALL_WELL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_is_written_elsewhere)};
	fx_dir(dir);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	fx_remove(dir);
	return failed;
}
