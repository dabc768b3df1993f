/* content.c -- the job that fetches content files (MS-WSUSSS 3.2.4.4), at most one at a time.
 *
 *   lock -> rounds: plan.c (what is needed, due, and fits) -> fetching.c (work through it) -> names and marks mended
 *
 * Nothing is kept but rows of what ended without a file (outcome.c): a killed run leaves parts, which the next goes on with, and
 * files in place whose mark the next one makes.
 *
 * Where the parent has no content at all, files come from the vendor's addresses (WSUSSS-DSS-CONTENT-06). */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/job.h"
#include "common/text.h"
#include "store/content_names.h"
#include "sync/confine.h"
#include "sync/fetching.h"

#define DELAY_MS 2000          /* before the second try; doubles */
#define PLAN_MEMORY ((size_t)4 << 30) /* 80 bytes a file that is needed */
#define NAMES_DUE CONTENT_PARTIAL "/names-due"

/* ================= rounds ================= */

static bool all_dead(const struct job *j)
{
	return j->source[j->direct ? FROM_VENDOR : FROM_PARENT].dead;
}

/* Approvals and wishes come while it works: it ends when a look finds nothing more that is due and fits. */
static int rounds(struct job *j, struct err *e)
{
	int rc = plan_round(j, e);
	if (j->n > 0 || !j->o->scheduled)
		report_phase(j->r.report, "content");
	while (rc == E_OK && j->n > 0 && !all_dead(j)) {
		rc = fetching_work(j, e);
		fetching_stop(j);
		struct err unused;
		int kept = rows_flush(j, rc == E_OK ? e : &unused);
		if (rc == E_OK)
			rc = kept;
		j->retry = false;
		if (rc == E_OK)
			rc = plan_round(j, e);
	}
	return rc;
}

/* ---- names of downstream servers: what a killed run placed has none yet, so its folder is not known ---- */

static bool names_mark(struct job *j, bool make)
{
	char path[CONTENT_PATH];
	if (snprintf(path, sizeof(path), "%s/" NAMES_DUE, j->r.content) >= (int)sizeof(path))
		return false;
	if (!make)
		return unlink(path) == 0;
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void mend_names(struct job *j, bool all)
{
	struct name_report names;
	struct err e = {0};
	if ((j->touched || all) && content_names_mend(j->r.content, j->r.store, all ? NULL : j->folder, &names, &e) != E_OK)
		report_warn(j->r.report, "downstream servers that ask for files by name will not find all of them; `wsusctl content verify` "
			"tries again: %s", e.text);
	if (content_unwant(j->r.store, &e) != E_OK)
		report_warn(j->r.report, "files that downstream servers wanted stay marked: %s", e.text);
	names_mark(j, false);
}

static int make_folders(struct job *j, struct err *e)
{
	char path[CONTENT_PATH];
	snprintf(path, sizeof(path), "%s/" CONTENT_PARTIAL, j->r.content);
	if (content_make_folder(AT_FDCWD, j->r.content) != 0)
		return err_errno(e, "%s", j->r.content);
	return mkdir(path, 0700) == 0 || errno == EEXIST ? E_OK : err_errno(e, "%s", path);
}

static int64_t base_delay(void)
{
	const char *text = getenv("WSUS_SYNC_DELAY_MS");
	uint64_t n;
	return text && text_u64(slice_of(text), &n) && n > 0 && n < DELAY_MS ? (int64_t)n : DELAY_MS;
}

static int fetch_all(struct job *j, struct err *e)
{
	int rc = make_folders(j, e);
	if (rc != E_OK)
		return rc;
	bool left = !names_mark(j, true);
	j->direct = j->r.parent.catalog_only || j->r.set.upstream_kind == UPSTREAM_MICROSOFT;
	j->limit = (unsigned)MIN(MAX(j->r.set.upstream_connections, 1), SLOTS);
	j->base = base_delay();
	j->flushed = time_monotonic_ms();
	j->marks = (struct content_marks){.store = j->r.store, .stored = true};
	j->retry = j->o->retry;
	content_sweep(j->r.content);
	rc = rounds(j, e);
	j->received = http_received(j->r.http);
	if (j->busy_ms > 0)
		content_rate_note(store_dir(j->r.store), j->received * 1000 / (uint64_t)j->busy_ms, j->received);
	mend_names(j, left);
	return rc;
}

/* ================= its end ================= */

static const char *count_text(char *to, size_t n, const struct job *j)
{
	char size[SIZE_TEXT + 1];
	size_text(j->placed_bytes, size);
	int at = snprintf(to, n, "%llu file%s fetched, %s", (unsigned long long)j->placed, j->placed == 1 ? "" : "s", size);
	if (j->found)
		at += snprintf(to + at, n - (size_t)at, ", %llu were here", (unsigned long long)j->found);
	if (j->asked)
		at += snprintf(to + at, n - (size_t)at, ", %llu asked of the server above", (unsigned long long)j->asked);
	if (j->failed)
		snprintf(to + at, n - (size_t)at, ", %llu failed", (unsigned long long)j->failed);
	return to;
}

/* A timer comes every few minutes: a log that says so each time hides the rest. */
static bool says_nothing(const struct job *j, int rc)
{
	return j->o->scheduled && rc == E_OK && j->placed + j->found + j->asked + j->failed == 0 && !j->room[0] && !all_dead(j);
}

static int end(struct job *j, int rc, const struct err *e)
{
	if (says_nothing(j, rc))
		return EXIT_DONE;
	char words[300], why[700];
	struct report *to = j->r.report;
	const char *summary = count_text(words, sizeof(words), j);
	if (rc == E_CANCELLED) {
		report_end(to, REPORT_CANCELLED, "run it again when you like: it goes on where it stopped", summary);
		return EXIT_CANCELLED;
	}
	if (rc != E_OK) {
		report_end(to, e->text, rc == E_FULL ? "make room on the disk of the content directory; the next run goes on where it stopped"
			: "`wsusctl content status` shows what is missing; the next run goes on where it stopped", summary);
		return EXIT_FAILED;
	}
	if (all_dead(j) || j->failed) {
		snprintf(why, sizeof(why), "%s%s", all_dead(j) ? "the server does not answer: "
			: "not all files could be fetched; the first: ", all_dead(j) ? j->last.text : j->first.text);
		report_end(to, why, "`wsusctl content status` lists them and when they are tried again; `wsusctl content fetch --retry` "
			"tries at once", summary);
		return EXIT_FAILED;
	}
	report_end(to, j->room[0] ? j->room : NULL, j->room[0] ? "`wsusctl content status` shows how much is needed" : NULL, summary);
	return j->room[0] ? EXIT_FAILED : EXIT_DONE;
}

static int nothing_above(struct job *j)
{
	if (j->o->scheduled)
		return EXIT_DONE;
	report_end(j->r.report, NULL, NULL, "nothing: there is no server above; `wsusctl upstream set URL` names it, `wsusctl content add` "
		"brings files by hand");
	return EXIT_DONE;
}

static int run_locked(struct job *j, struct err *e)
{
	int rc = run_connect(&j->r, e);
	arena_init(&j->plan, PLAN_MEMORY);
	if (rc == E_OK)
		rc = fetch_all(j, e);
	fetching_stop(j);
	arena_free(&j->plan);
	return end(j, http_cancelled() && rc != E_OK ? E_CANCELLED : rc, e);
}

static int run_job(struct job *j, struct err *e)
{
	struct job_lock lock;
	const char *unconfined;
	if (j->r.set.upstream_url.n == 0)
		return nothing_above(j);
	if (j->r.set.content_store == CONTENT_MICROSOFT) { /* WSUSSS-DSS-CONTENT-01 */
		if (!j->o->scheduled)
			report_end(j->r.report, NULL, NULL, "nothing: with content.store = microsoft no file is fetched");
		return EXIT_DONE;
	}
	int rc = job_lock(&lock, store_dir(j->r.store), JOB_CONTENT, e);
	if (rc == E_BUSY) {
		report_end(j->r.report, e->text, "nothing: whoever fetches looks for more before it ends", NULL);
		return EXIT_RUNS_ALREADY;
	}
	if (rc != E_OK)
		return end(j, rc, e);
	confine(store_dir(j->r.store), j->r.content, &unconfined);
	rc = run_locked(j, e);
	job_unlock(&lock);
	return rc;
}

int job_content(const struct job_options *o)
{
	struct job *j = calloc(1, sizeof(*j));
	struct err e = {0};
	int rc = E_NOMEM, status = EXIT_FAILED;
	if (j) {
		j->o = o;
		rc = run_open(&j->r, o, JOB_CONTENT, &e);
		j->r.visits = true;
	}
	if (rc == E_OK)
		status = run_job(j, &e);
	else if (j && j->r.report)
		report_end(j->r.report, e.text, rc == E_DAMAGED || rc == E_CORRUPT ? STORE_MENDS : NULL, NULL);
	else
		fprintf(stderr, "wsus-sync: %s\n", j ? e.text : "out of memory");
	if (j)
		run_close(&j->r);
	free(j);
	return status;
}
