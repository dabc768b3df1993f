/* content_status.c -- what is here, what is to be fetched, and how far that is. */
#include <sys/statvfs.h>

#include "common/job.h"
#include "common/text.h"
#include "ctl/cmd.h"
#include "ctl/content.h"
#include "store/downstream.h"
#include "store/need.h"
#include "store/parent.h"

#define MB 1000000u
#define SHOWN 20 /* of what could not be fetched, for people; --json has all */

struct totals {
	struct ctl *c;
	struct settings set;
	uint64_t files, stored, bytes, stored_bytes;
	uint64_t waiting, missing_files, missing_bytes;
	struct wanted_totals wanted;
	struct needs needs;
	uint64_t state[FETCH_FAILED + 1]; /* of what is needed */
	uint64_t free;
	bool has_free;
};

static int count_file(const struct file *f, void *arg)
{
	struct totals *t = arg;
	t->files++;
	t->bytes += f->size;
	t->stored += f->stored;
	t->stored_bytes += f->stored ? f->size : 0;
	return E_OK;
}

static int count_waiting(const struct deployment *d, void *arg)
{
	struct totals *t = arg;
	if (d->dead || !(d->waiting & WAIT_FILES))
		return E_OK;
	t->waiting++;
	t->missing_files += d->missing_files;
	t->missing_bytes += d->missing_bytes;
	return E_OK;
}

static void count_states(struct totals *t)
{
	struct fetch f;
	for (size_t i = 0; i < t->needs.n; i++)
		if (fetch_get(t->c->txn, &t->needs.v[i].digest, &f) == E_OK)
			t->state[f.state]++;
}

/* Of the content directory's file system, or of where it will be made. */
static void ask_disk(struct totals *t)
{
	struct statvfs v;
	t->has_free = statvfs(t->c->content_dir, &v) == 0 || statvfs(t->c->store_dir, &v) == 0;
	t->free = t->has_free ? (uint64_t)v.f_bavail * v.f_frsize : 0;
}

static int gather(struct totals *t)
{
	struct ctl *c = t->c;
	int rc = settings_get(c->txn, &t->set, &c->err);
	if (rc == E_OK)
		rc = file_each(c->txn, count_file, t, &c->err);
	if (rc == E_OK && !store_trouble(c->store, STORE_FLEET))
		rc = wanted_total(c->txn, &t->wanted, &c->err);
	if (rc == E_OK)
		rc = deployment_each_of_group(c->txn, 0, count_waiting, t, &c->err);
	if (rc == E_OK)
		rc = needs_get(c->txn, &c->arena, &t->needs, &c->err);
	if (rc != E_OK)
		return rc;
	count_states(t);
	ask_disk(t);
	return E_OK;
}

/* ---- a job that runs ---- */

static void show_job(struct ctl *c)
{
	static const struct {
		const char *in, *key, *title;
		enum cell kind;
	} rows[] = {
		{"done", "job_bytes", "Fetched so far", CELL_BYTES}, {"total", "job_total", "Of", CELL_BYTES},
		{"rate", "job_rate", "Bytes per second", CELL_BYTES}, {"left", "job_seconds_left", "Seconds left", CELL_NUMBER},
	};
	struct job_holder who = {0};
	struct slice text = SL0, v;
	struct err unused = {0};
	if (job_who(c->store_dir, JOB_CONTENT, &who, &unused) != E_OK || who.pid == 0)
		return;
	out_field_number(&c->out, "job_pid", "Being fetched by process", CELL_NUMBER, who.pid);
	out_field_number(&c->out, "job_since", "Since", CELL_TIME, who.began);
	if (job_status_read(c->store_dir, JOB_CONTENT, &c->arena, &text, &unused) != E_OK)
		return;
	for (size_t i = 0; i < COUNTOF(rows); i++) {
		uint64_t n;
		if (job_status_value(text, rows[i].in, &v) && text_u64(text_cut(&v, '.'), &n) && n <= INT64_MAX)
			out_field_number(&c->out, rows[i].key, rows[i].title, rows[i].kind, (int64_t)n);
	}
}

/* ---- what could not be fetched ---- */

static const char *const state_words[] = {
	[FETCH_LOADING] = "is being fetched", [FETCH_ASKED] = "the server above fetches it", [FETCH_FAILED] = "failed"};
static const struct column trouble_columns[] = {
	{"name", "FILE", CELL_TEXT, FIT_CUT},       {"bytes", "SIZE", CELL_BYTES, FIT_WHOLE}, {"state", "STATE", CELL_TEXT, FIT_WHOLE},
	{"tries", "FAILURES", CELL_NUMBER, FIT_DROP}, {"next", "AGAIN", CELL_TIME, FIT_WHOLE},  {"sha1", "SHA1", CELL_TEXT, FIT_DROP},
	{"why", "WHY", CELL_TEXT, FIT_BELOW},
};

static int show_one(struct ctl *c, const struct needed *n, const struct fetch *v)
{
	struct file f;
	char hex[2 * sizeof(n->digest.b) + 1];
	int rc = file_get(c->txn, &n->digest, &f, &c->err);
	if (rc != E_OK)
		return rc;
	hex_text(n->digest.b, sizeof(n->digest.b), true, hex);
	out_text(&c->out, f.name.n ? f.name : SL0);
	out_number(&c->out, (int64_t)n->size);
	out_str(&c->out, state_words[v->state]);
	out_number(&c->out, v->tries);
	out_number(&c->out, v->next);
	out_text(&c->out, arena_copy(&c->arena, slice_of(hex)));
	out_text(&c->out, v->why.n ? v->why : SL0);
	return E_OK;
}

static int show_trouble(struct ctl *c, const struct totals *t)
{
	uint64_t shown = 0, all = t->state[FETCH_ASKED] + t->state[FETCH_FAILED];
	int rc = E_OK;
	if (all == 0 && !c->json)
		return E_OK;
	out_sub_begin(&c->out, "trouble", "Not fetched yet", trouble_columns, COUNTOF(trouble_columns));
	for (size_t i = 0; rc == E_OK && i < t->needs.n && (c->json || shown < SHOWN); i++) {
		struct fetch v;
		if (fetch_get(c->txn, &t->needs.v[i].digest, &v) != E_OK || v.state == FETCH_LOADING)
			continue;
		rc = show_one(c, &t->needs.v[i], &v);
		shown++;
	}
	out_sub_end(&c->out);
	if (shown < all)
		ctl_say(c, "the first %d of %llu are listed; --json lists all", SHOWN, (unsigned long long)all);
	return rc;
}

/* ---- all of it ---- */

static void show_here(struct ctl *c, const struct totals *t)
{
	out_field_number(&c->out, "files", "Files named by updates", CELL_NUMBER, (int64_t)t->files);
	out_field_number(&c->out, "bytes", "Their size", CELL_BYTES, (int64_t)t->bytes);
	out_field_number(&c->out, "stored", "Here and verified", CELL_NUMBER, (int64_t)t->stored);
	out_field_number(&c->out, "stored_bytes", "Their size", CELL_BYTES, (int64_t)t->stored_bytes);
	out_field_number(&c->out, "waiting_approvals", "Approvals that wait for files", CELL_NUMBER, (int64_t)t->waiting);
	out_field_number(&c->out, "missing_files", "Files they wait for", CELL_NUMBER, (int64_t)t->missing_files);
	out_field_number(&c->out, "missing_bytes", "Their size", CELL_BYTES, (int64_t)t->missing_bytes);
	out_field_number(&c->out, "wanted_files", "Files that downstream servers want", CELL_NUMBER, (int64_t)t->wanted.files);
	out_field_number(&c->out, "wanted_bytes", "Their size", CELL_BYTES, (int64_t)t->wanted.bytes);
}

static void show_needed(struct ctl *c, const struct totals *t)
{
	out_field_number(&c->out, "needed_files", "Files to be fetched", CELL_NUMBER, (int64_t)t->needs.n);
	out_field_number(&c->out, "needed_bytes", "Their size", CELL_BYTES, (int64_t)t->needs.bytes);
	out_field_number(&c->out, "asked", "Asked of the server above", CELL_NUMBER, (int64_t)t->state[FETCH_ASKED]);
	out_field_number(&c->out, "failed", "Failed", CELL_NUMBER, (int64_t)t->state[FETCH_FAILED]);
	if (t->has_free)
		out_field_number(&c->out, "disk_free", "Free on the disk", CELL_BYTES, (int64_t)t->free);
	out_field_number(&c->out, "spare", "Of that stays free", CELL_BYTES, (int64_t)t->set.content_spare * MB);
	if (t->set.content_quota > 0)
		out_field_number(&c->out, "quota", "Quota", CELL_BYTES, (int64_t)t->set.content_quota * MB);
}

int content_run_status(struct ctl *c)
{
	struct totals t = {.c = c};
	int rc = gather(&t);
	if (rc != E_OK)
		return rc;
	out_object_begin(&c->out);
	show_here(c, &t);
	show_needed(c, &t);
	show_job(c);
	rc = show_trouble(c, &t);
	if (rc == E_OK)
		out_object_end(&c->out);
	return rc;
}
