/* health_run.c -- another program as a child: no shell, bounded in time and in what it may say. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/text.h"
#include "ctl/health.h"

/* It may have children of its own: a process group of its own lets all of them end together. */
static void become(const char *const *argv, int to)
{
	int null = open("/dev/null", O_RDWR);
	setpgid(0, 0);
	dup2(null, STDIN_FILENO);
	if (to >= 0) {
		dup2(to, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
	}
	execv(argv[0], (char *const *)argv);
	_exit(127);
}

static int left_ms(tick_t end)
{
	tick_t left = end - time_now();
	return left > 0 ? (int)(left / (TICKS_PER_SECOND / 1000)) + 1 : 0;
}

/* Until the end of its output or of its time; true if it ended by itself. */
static bool collect(int fd, tick_t end, struct buf *out)
{
	char piece[8192];
	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int ms = left_ms(end), got = ms > 0 ? poll(&p, 1, ms) : 0;
		if (got == 0)
			return false;
		ssize_t n = got < 0 ? -1 : read(fd, piece, sizeof(piece));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return true;
		buf_add(out, piece, (size_t)n); /* what is too much is noticed by the reader, not by the child */
	}
}

static int await(pid_t pid, tick_t end, bool in_time)
{
	int st = 0;
	while (in_time && left_ms(end) > 0) {
		if (waitpid(pid, &st, WNOHANG) == pid)
			return WIFEXITED(st) ? WEXITSTATUS(st) : 128 + WTERMSIG(st);
		poll(NULL, 0, 5);
	}
	kill(-pid, SIGKILL);
	while (waitpid(pid, &st, 0) < 0 && errno == EINTR)
		;
	return 128 + SIGKILL;
}

int health_run(const char *const *argv, unsigned seconds, struct buf *out, int *status, struct err *e)
{
	int fd[2] = {-1, -1};
	tick_t end = time_now() + (tick_t)seconds * TICKS_PER_SECOND;
	if (out && pipe2(fd, O_CLOEXEC) != 0)
		return err_errno(e, "a pipe");
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0)
		become(argv, fd[1]);
	int rc = pid < 0 ? err_errno(e, "%s", argv[0]) : E_OK;
	if (rc == E_OK)
		setpgid(pid, pid); /* as the child does: whoever comes first */
	if (out)
		close(fd[1]);
	if (rc == E_OK)
		*status = await(pid, end, out ? collect(fd[0], end, out) : true);
	if (out)
		close(fd[0]);
	return rc;
}
