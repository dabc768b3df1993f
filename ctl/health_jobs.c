/* health_jobs.c -- what the jobs left of their last runs (scripts/job.sh), and the backups that are there. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/text.h"
#include "ctl/health.h"
#include "ctl/manifest.h"

#define LAST_MAX 2048 /* five lines, of which the words have at most 1,000 bytes */

static const char *const names[] = {"tick", "health", "backup", "certificate", "sync", "fetch", "cleanup"};
static_assert(COUNTOF(names) == HEALTH_JOBS, "a place for each job");

static bool path_of(char to[4096], const char *dir, const char *name, const char *suffix)
{
	return snprintf(to, 4096, "%s/%s%s", dir, name, suffix) < 4096;
}

static tick_t ticks(time_t seconds)
{
	return (tick_t)seconds * TICKS_PER_SECOND;
}

static tick_t time_in(struct slice v)
{
	int64_t n;
	return text_i64(v, &n) && n > 0 && n < INT32_MAX * INT64_C(100) ? ticks((time_t)n) : 0;
}

static void take_line(struct job_facts *j, struct slice line)
{
	struct slice key = text_cut(&line, ' ');
	if (slice_eq(key, SL("started")))
		j->started = time_in(line);
	else if (slice_eq(key, SL("ended")))
		j->ended = time_in(line);
	else if (slice_eq(key, SL("succeeded")))
		j->succeeded = time_in(line);
	else if (slice_eq(key, SL("status")))
		j->failed = !slice_eq(line, SL("0"));
	else if (slice_eq(key, SL("said")))
		snprintf(j->words, sizeof(j->words), "%.*s", (int)MIN(line.n, sizeof(j->words) - 1), line.p ? line.p : "");
}

static void last_run(struct job_facts *j, const char *path)
{
	char text[LAST_MAX];
	FILE *file = fopen(path, "re");
	if (!file)
		return;
	struct slice rest = {text, fread(text, 1, sizeof(text), file)};
	fclose(file);
	while (rest.p)
		take_line(j, text_cut(&rest, '\n'));
}

/* Does somebody hold the lock?  Only of jobs that may take hours is it asked: one that begins at this very moment would find
 * it taken and wait for its next time, which is soon. */
static bool is_running(const struct job_facts *j, const char *path)
{
	if (strcmp(j->name, "sync") != 0 && strcmp(j->name, "fetch") != 0)
		return false;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool held = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
	if (fd >= 0)
		close(fd);
	return held;
}

static void job(struct job_facts *j, const char *dir)
{
	char path[4096];
	struct stat st;
	if (!path_of(path, dir, j->name, ".since") || stat(path, &st) != 0)
		return;
	j->known = KNOWN;
	j->since = ticks(st.st_mtime);
	if (path_of(path, dir, j->name, ".last"))
		last_run(j, path);
	j->running = path_of(path, dir, j->name, ".lock") && is_running(j, path);
}

/* When the backup of this name was made; 0: it is none. */
static tick_t made(const char *dir, const char *name)
{
	char path[4096];
	struct tm tm = {0};
	const char *end = strptime(name, BACKUP_NAME, &tm);
	if (!end || *end || !path_of(path, dir, name, "/" MANIFEST) || access(path, F_OK) != 0)
		return 0;
	return ticks(timegm(&tm));
}

static void backups(struct health_facts *f, const char *dir)
{
	DIR *d = opendir(dir);
	f->backup.dir = dir;
	f->backup.known = KNOWN;
	if (!d && errno != ENOENT) {
		f->backup.known = FAILED_TO_KNOW;
		snprintf(f->backup.words, sizeof(f->backup.words), "%.300s: %s", dir, strerror(errno));
	}
	for (struct dirent *e; d && (e = readdir(d));) {
		tick_t t = made(dir, e->d_name);
		f->backup.n += t != 0;
		f->backup.newest = MAX(f->backup.newest, t);
	}
	if (d)
		closedir(d);
}

void health_jobs_look(struct health_facts *f, const struct health_places *p)
{
	struct timespec up = {0};
	clock_gettime(CLOCK_BOOTTIME, &up);
	f->up = (tick_t)up.tv_sec * TICKS_PER_SECOND;
	for (unsigned i = 0; i < HEALTH_JOBS; i++) {
		f->job[i] = (struct job_facts){.name = names[i]};
		if (p->jobs)
			job(&f->job[i], p->jobs);
		if (strcmp(names[i], "backup") == 0 && f->job[i].known == KNOWN && p->backups && p->backups[0])
			backups(f, p->backups);
	}
}
