/* confine.c -- no_new_privs, capabilities, Landlock.  Each for itself and for what is started from here. */
#include "sync/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "store/content.h"

#ifndef LANDLOCK_ACCESS_FS_TRUNCATE /* of Linux 6.2 */
#define LANDLOCK_ACCESS_FS_TRUNCATE (UINT64_C(1) << 14)
#endif
#ifndef LANDLOCK_ACCESS_FS_REFER /* of Linux 5.19 */
#define LANDLOCK_ACCESS_FS_REFER (UINT64_C(1) << 13)
#endif

/* ---- capabilities ----
 * What is in the store and content directories has owners: root's are readers of them as services made them, and gives them on. */
static const unsigned kept[] = {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID};

static void drop_capabilities(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};
	uint32_t keep = 0;
	for (size_t i = 0; i < COUNTOF(kept); i++)
		keep |= UINT32_C(1) << kept[i];
	static_assert(CAP_FSETID < 32, "all in the first word");
	for (unsigned c = 0; prctl(PR_CAPBSET_READ, c, 0, 0, 0) >= 0; c++)
		if (c >= 32 || !(keep >> c & 1))
			prctl(PR_CAPBSET_DROP, c, 0, 0, 0); /* fails without CAP_SETPCAP: then there is little to drop */
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capget, &head, data) != 0)
		return;
	for (size_t i = 0; i < COUNTOF(data); i++) {
		uint32_t mask = i == 0 ? keep : 0;
		data[i].permitted &= mask;
		data[i].effective &= mask;
		data[i].inheritable = 0;
	}
	if (syscall(SYS_capset, &head, data) != 0)
		errno = 0;
}

/* ---- Landlock ---- */

#define FILE_RIGHTS (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE)
#define FOLDER_RIGHTS (LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | \
	LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | \
	LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER)

static bool allow(int rules, const char *path, uint64_t rights)
{
	struct landlock_path_beneath_attr a = {.allowed_access = rights, .parent_fd = open(path, O_PATH | O_CLOEXEC)};
	if (a.parent_fd < 0)
		return false;
	bool ok = syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &a, 0) == 0;
	close(a.parent_fd);
	return ok;
}

/* Either environment may be a link to another disk. */
static bool allow_store(int rules, const char *store, uint64_t rights)
{
	static const char *const below[] = {"", "/catalog", "/fleet"};
	char path[PATH_MAX];
	bool ok = true;
	for (size_t i = 0; ok && i < COUNTOF(below); i++) {
		int n = snprintf(path, sizeof(path), "%s%s", store, below[i]);
		ok = n > 0 && n < PATH_MAX && allow(rules, path, rights);
	}
	return ok;
}

/* Without the second version no file may move to another directory, which is how content files appear. */
static const char *confine_writing(const char *store, const char *content)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (version < 2)
		return "this kernel has no Landlock of version 2 or later";
	uint64_t rights = (FILE_RIGHTS | FOLDER_RIGHTS) & ~(version < 3 ? LANDLOCK_ACCESS_FS_TRUNCATE : 0);
	struct landlock_ruleset_attr a = {.handled_access_fs = rights};
	int rules = (int)syscall(SYS_landlock_create_ruleset, &a, sizeof(a), 0);
	if (rules < 0)
		return "Landlock makes no set of rules";
	const char *why = NULL;
	if (!allow_store(rules, store, rights) || (content && !allow(rules, content, rights)))
		why = "the store or the content directory cannot be named to Landlock";
	allow(rules, "/dev/null", rights & FILE_RIGHTS); /* for what is started without a terminal */
	if (!why && syscall(SYS_landlock_restrict_self, rules, 0) != 0)
		why = "Landlock refuses the rules";
	close(rules);
	return why;
}

bool confine(const char *store, const char *content, const char **why)
{
	struct rlimit none = {0, 0};
	*why = NULL;
	setrlimit(RLIMIT_CORE, &none);
	if (content && content_make_folder(AT_FDCWD, content) != 0 && errno != EEXIST)
		content = NULL;
	drop_capabilities();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		*why = "no_new_privs is refused";
	else
		*why = confine_writing(store, content);
	return !*why;
}
