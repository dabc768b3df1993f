/* cmd_cleanup.c -- what nobody needs any more is removed, of files and of records: `wsusctl cleanup`.
 *
 * First the disk is looked at, then the catalog decides, in one write transaction, which of what is there goes, and forgets that it
 * is here; only when that is committed are files removed.  A kill between leaves files that the catalog does not count on, and the
 * next run finds them.  With --dry-run the same decisions are made in a transaction that is dropped.
 *
 * The content job stands still meanwhile (its lock), so that no file comes while it is decided what is of use. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/job.h"
#include "common/text.h"
#include "ctl/cmd.h"
#include "ctl/content.h"
#include "store/content_names.h"
#include "store/downstream.h"
#include "store/need.h"
#include "store/parent.h"

#define DAY (86400 * TICKS_PER_SECOND)
/* What came a moment ago may be of work that has yet to say so. */
#define AGE_LOOSE DAY
/* An administrator may want to look at it, a slow link may go on with it, a downstream server fetch what it has asked for. */
#define AGE_KEPT (30 * DAY)
#define PARTS ".partial"
#define HEX (2 * sizeof(struct sha1))

enum kind { KIND_FILE, KIND_PART, KIND_ASIDE, KIND__N };
static const char *const kind_names[KIND__N] = {"file", "part", "bad file"};

struct found {
	struct sha1 digest;
	enum kind kind;
	bool in_catalog;  /* a row is to be withdrawn first */
	bool spare;       /* only removed to make room */
	uint64_t size;
	tick_t at;        /* since when it is there, resp. when a byte came last */
	const char *why;  /* it goes; NULL: it stays */
};
struct cleanup {
	struct ctl *c;
	bool dry, at_once;
	struct settings set;
	struct needs held, missing;
	bool downstream;      /* servers that may be about to fetch what is here */
	struct found *v;
	size_t n, cap;
	uint64_t kept;        /* bytes of content files that stay */
	uint64_t removed[KIND__N], bytes[KIND__N];
	uint32_t history, fetches;
	struct wanted_totals marks;
	bool folder[256];     /* in which something was removed */
	bool busy;            /* files are being fetched */
};

/* ---- what is on the disk ---- */

static int keep(struct cleanup *u, const struct found *f)
{
	struct found *more = ARENA_MORE(&u->c->arena, u->v, u->n, &u->cap);
	if (!more)
		return err_set(&u->c->err, E_NOMEM, "out of memory for the list of files");
	u->v = more;
	u->v[u->n++] = *f;
	return E_OK;
}

static tick_t at(const struct timespec *t)
{
	return (tick_t)t->tv_sec * TICKS_PER_SECOND + t->tv_nsec / (1000000000 / TICKS_PER_SECOND);
}

/* NAME of 40 digits, in KIND's way of naming; others are none of ours. */
static bool read_name(const char *name, enum kind kind, struct sha1 *out)
{
	size_t n = strlen(name);
	bool aside = n == HEX + 4 && strcmp(name + HEX, ".bad") == 0;
	return (kind == KIND_ASIDE ? aside : n == HEX) && text_hex((struct slice){name, HEX}, out->b, sizeof(out->b));
}

/* A file's own time is the vendor's: when it came here is the time of its last change otherwise. */
static int look_at(struct cleanup *u, int dir, const char *name, bool part)
{
	struct found f = {0};
	struct stat st;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
		return E_OK;
	f.size = (uint64_t)st.st_size;
	f.kind = part ? KIND_PART : KIND_FILE;
	f.at = part ? at(&st.st_mtim) : at(&st.st_ctim);
	if (read_name(name, f.kind, &f.digest))
		return keep(u, &f);
	f.kind = KIND_ASIDE;
	return !part && read_name(name, KIND_ASIDE, &f.digest) ? keep(u, &f) : E_OK;
}

static int look_into(struct cleanup *u, const char *folder, bool part)
{
	char path[CONTENT_PATH];
	int rc = E_OK;
	if (snprintf(path, sizeof(path), "%s/%s", u->c->content_dir, folder) >= (int)sizeof(path))
		return err_set(&u->c->err, E_LIMIT, "%s: the path is too long", u->c->content_dir);
	DIR *d = opendir(path);
	if (!d)
		return errno == ENOENT ? E_OK : err_errno(&u->c->err, "%s", path);
	for (const struct dirent *f; rc == E_OK && (f = readdir(d)) != NULL;)
		rc = look_at(u, dirfd(d), f->d_name, part);
	closedir(d);
	return rc;
}

static int look_at_disk(struct cleanup *u)
{
	int rc = look_into(u, PARTS, true);
	for (unsigned i = 0; rc == E_OK && i < 256; i++) {
		char folder[3];
		snprintf(folder, sizeof(folder), "%02X", i);
		rc = look_into(u, folder, false);
	}
	return rc;
}

/* ---- what the catalog says to it ---- */

static int by_digest(const void *x, const void *y)
{
	const struct needed *a = x, *b = y;
	return memcmp(&a->digest, &b->digest, sizeof(a->digest));
}

static bool is_needed(const struct needs *of, const struct sha1 *digest)
{
	struct needed key = {.digest = *digest};
	return of->n && bsearch(&key, of->v, of->n, sizeof(key), by_digest);
}

/* Has it been there for so long? */
static bool is_older(const struct cleanup *u, const struct found *f, tick_t age)
{
	return u->at_once || u->c->now - f->at >= age;
}

static int note_downstream(const struct downstream *d, void *arg)
{
	struct cleanup *u = arg;
	u->downstream |= d->state == DOWNSTREAM_APPROVED;
	return E_OK;
}

static int ask_needs(struct cleanup *u, struct txn *t)
{
	struct ctl *c = u->c;
	int rc = settings_get(t, &u->set, &c->err);
	if (rc == E_OK)
		rc = needs_get(t, &c->arena, &u->missing, &c->err);
	if (rc == E_OK)
		rc = needs_held(t, &c->arena, &u->held, &c->err);
	if (rc == E_OK && !store_trouble(c->store, STORE_FLEET))
		rc = downstream_each(t, note_downstream, u, &c->err);
	if (u->missing.n)
		qsort(u->missing.v, u->missing.n, sizeof(*u->missing.v), by_digest);
	if (u->held.n)
		qsort(u->held.v, u->held.n, sizeof(*u->held.v), by_digest);
	return rc;
}

static void judge_file(struct cleanup *u, struct txn *t, struct found *f)
{
	struct file row;
	bool loose = is_older(u, f, AGE_LOOSE);
	f->in_catalog = file_get(t, &f->digest, &row, NULL) == E_OK;
	bool named = f->in_catalog && file_is_named(t, &f->digest);
	if (!named && loose)
		f->why = "no update names it";
	else if (named && !row.stored && loose && !is_needed(&u->missing, &f->digest))
		f->why = "it is not known to be complete, and nobody needs it";
	else if (named && row.stored && !row.eula && !is_needed(&u->held, &f->digest))
		f->spare = !u->downstream || is_older(u, f, AGE_KEPT);
	if (!f->why)
		u->kept += f->size;
}

static void judge_part(struct cleanup *u, struct found *f)
{
	if (!is_needed(&u->missing, &f->digest))
		f->why = "nobody waits for this file any more";
	else if (u->c->now - f->at >= AGE_KEPT)
		f->why = "no byte came for 30 days";
}

static int oldest_first(const void *x, const void *y)
{
	const struct found *a = x, *b = y;
	return a->at != b->at ? (a->at > b->at) - (a->at < b->at) : memcmp(&a->digest, &b->digest, sizeof(a->digest));
}

/* Until all together are no more than content.quota. */
static void make_room(struct cleanup *u)
{
	uint64_t quota = (uint64_t)u->set.content_quota * 1000000;
	for (size_t i = 0; quota && i < u->n && u->kept > quota; i++) {
		if (!u->v[i].spare)
			continue;
		u->v[i].why = "content.quota is exceeded, and nobody needs it";
		u->kept -= u->v[i].size;
	}
}

static void judge(struct cleanup *u, struct txn *t)
{
	if (u->n)
		qsort(u->v, u->n, sizeof(*u->v), oldest_first);
	for (size_t i = 0; i < u->n; i++) {
		struct found *f = &u->v[i];
		if (f->kind == KIND_FILE)
			judge_file(u, t, f);
		else if (f->kind == KIND_PART)
			judge_part(u, f);
		else if (is_older(u, f, AGE_KEPT))
			f->why = "put aside as damaged more than 30 days ago";
	}
	make_room(u);
}

/* ---- records ---- */

struct fetches {
	struct cleanup *u;
	struct txn *t;
	struct sha1 *v;
	size_t n, cap;
};

static int collect_fetch(const struct fetch *f, void *arg)
{
	struct fetches *w = arg;
	struct file row;
	if (file_get(w->t, &f->digest, &row, NULL) == E_OK && !row.stored)
		return E_OK;
	struct sha1 *more = ARENA_MORE(&w->u->c->arena, w->v, w->n, &w->cap);
	if (!more)
		return err_set(&w->u->c->err, E_NOMEM, "out of memory for the files that were fetched");
	w->v = more;
	w->v[w->n++] = f->digest;
	return E_OK;
}

/* What became of attempts for files that are here by now, or that no update names any more. */
static int drop_fetches(struct cleanup *u, struct txn *t)
{
	struct fetches w = {.u = u, .t = t};
	int rc = fetch_each(t, collect_fetch, &w, &u->c->err);
	for (size_t i = 0; rc == E_OK && !u->dry && i < w.n; i++)
		rc = fetch_del(t, &w.v[i], &u->c->err);
	u->fetches = (uint32_t)w.n;
	return rc;
}

struct old_runs {
	tick_t before;
	uint32_t n;
};

static int count_old(const struct sync_run *r, void *arg)
{
	struct old_runs *o = arg;
	o->n += r->began < o->before;
	return E_OK;
}

static int drop_history(struct cleanup *u, struct txn *t)
{
	struct old_runs o = {.before = u->c->now - (tick_t)u->set.history_days * DAY};
	if (!u->dry)
		return sync_run_prune(t, o.before, &u->history, &u->c->err);
	int rc = sync_run_each(t, count_old, &o, &u->c->err);
	u->history = o.n;
	return rc;
}

/* ---- the transaction, and the files behind it ---- */

static int withdraw(struct cleanup *u, struct txn *t)
{
	struct ctl *c = u->c;
	struct sha1 *gone = ARENA_ARRAY(&c->arena, struct sha1, u->n + 1);
	size_t n = 0;
	if (!gone)
		return err_set(&c->err, E_NOMEM, "out of memory for the list of files");
	for (size_t i = 0; i < u->n; i++)
		if (u->v[i].kind == KIND_FILE && u->v[i].why && u->v[i].in_catalog)
			gone[n++] = u->v[i].digest;
	return u->dry || n == 0 ? E_OK : files_withdraw(t, gone, n, &c->err);
}

static int decide(struct cleanup *u)
{
	struct ctl *c = u->c;
	struct txn *t;
	int rc = txn_begin(c->store, u->dry ? TXN_READ : TXN_CATALOG, &t, &c->err);
	if (rc == E_OK)
		rc = ask_needs(u, t);
	if (rc == E_OK) {
		judge(u, t);
		rc = withdraw(u, t);
	}
	if (rc == E_OK)
		rc = drop_fetches(u, t);
	if (rc == E_OK)
		rc = drop_history(u, t);
	if (rc == E_OK && !store_trouble(c->store, STORE_FLEET))
		rc = wanted_total(t, &u->marks, &c->err);
	if (rc == E_OK && !u->dry)
		rc = publish(t, c->now, &c->published, &c->err);
	if (rc == E_OK && !u->dry)
		rc = txn_commit(&t, &c->err);
	txn_end(&t);
	return rc;
}

static const struct column columns[] = {
	{"kind", "WHAT", CELL_TEXT, FIT_WHOLE}, {"sha1", "FILE", CELL_TEXT, FIT_WHOLE},
	{"bytes", "SIZE", CELL_BYTES, FIT_WHOLE}, {"since", "SINCE", CELL_TIME, FIT_DROP}, {"why", "WHY", CELL_TEXT, FIT_BELOW},
};

static bool path_of(const struct cleanup *u, const struct found *f, char out[CONTENT_PATH + 8])
{
	char hex[HEX + 1];
	hex_text(f->digest.b, sizeof(f->digest.b), true, hex);
	int n = f->kind == KIND_PART
		? snprintf(out, CONTENT_PATH + 8, "%s/" PARTS "/%s", u->c->content_dir, hex)
		: snprintf(out, CONTENT_PATH + 8, "%s/%s/%s%s", u->c->content_dir, hex + HEX - 2, hex, f->kind == KIND_ASIDE ? ".bad" : "");
	return n > 0 && n < CONTENT_PATH + 8;
}

static void remove_one(struct cleanup *u, const struct found *f)
{
	char path[CONTENT_PATH + 8];
	if (!u->dry && (!path_of(u, f, path) || (unlink(path) != 0 && errno != ENOENT))) {
		ctl_complain(u->c, "%s: %s; it is not counted on any more, and the next cleanup tries again", path, strerror(errno));
		return;
	}
	u->removed[f->kind]++;
	u->bytes[f->kind] += f->size;
	u->folder[f->digest.b[sizeof(f->digest.b) - 1]] |= f->kind == KIND_FILE;
}

static void remove_all(struct cleanup *u)
{
	for (size_t i = 0; i < u->n; i++)
		if (u->v[i].why)
			remove_one(u, &u->v[i]);
	struct name_report names;
	if (!u->dry && u->removed[KIND_FILE])
		content_mend_names(u->c, u->folder, &names);
}

/* ---- what is said ---- */

static void list(struct cleanup *u)
{
	struct ctl *c = u->c;
	out_sub_begin(&c->out, "files", u->dry ? "Would be removed" : "Removed", columns, COUNTOF(columns));
	for (size_t i = 0; i < u->n; i++) {
		char hex[HEX + 1];
		const struct found *f = &u->v[i];
		if (!f->why)
			continue;
		hex_text(f->digest.b, sizeof(f->digest.b), true, hex);
		out_str(&c->out, kind_names[f->kind]);
		out_text(&c->out, arena_copy(&c->arena, slice_of(hex)));
		out_number(&c->out, (int64_t)f->size);
		out_number(&c->out, f->at);
		out_str(&c->out, f->why);
	}
	out_sub_end(&c->out);
}

static uint64_t all_removed(const struct cleanup *u)
{
	uint64_t n = u->history + u->fetches + u->marks.stale;
	for (unsigned k = 0; k < KIND__N; k++)
		n += u->removed[k];
	return n;
}

static void report(struct cleanup *u)
{
	struct ctl *c = u->c;
	bool quiet = ctl_option(c, "quiet") != NULL;
	if (quiet && all_removed(u) == 0)
		return;
	out_object_begin(&c->out);
	out_field_number(&c->out, "removed_files", "Files", CELL_NUMBER, (int64_t)u->removed[KIND_FILE]);
	out_field_number(&c->out, "removed_bytes", "Their size", CELL_BYTES, (int64_t)u->bytes[KIND_FILE]);
	out_field_number(&c->out, "removed_parts", "Parts of files", CELL_NUMBER, (int64_t)u->removed[KIND_PART]);
	out_field_number(&c->out, "removed_bad", "Files that were put aside", CELL_NUMBER, (int64_t)u->removed[KIND_ASIDE]);
	out_field_number(&c->out, "history", "Old synchronizations", CELL_NUMBER, u->history);
	out_field_number(&c->out, "fetches", "Records of transfers", CELL_NUMBER, u->fetches);
	out_field_number(&c->out, "marks", "Marks of wanted files", CELL_NUMBER, (int64_t)u->marks.stale);
	out_field_number(&c->out, "kept_bytes", "Content files that stay", CELL_BYTES, (int64_t)u->kept);
	if (!quiet)
		list(u);
	out_object_end(&c->out);
	if (u->busy)
		ctl_say(c, "files are being fetched: about files nothing was done");
	uint64_t quota = (uint64_t)u->set.content_quota * 1000000;
	if (quota && u->kept > quota && !u->busy)
		ctl_warn(c, "what is needed is more than content.quota: set it to more, or unapprove or decline what nobody wants");
}

static int clean(struct cleanup *u)
{
	struct ctl *c = u->c;
	int rc = E_OK;
	if (!u->busy)
		rc = look_at_disk(u);
	if (rc == E_OK)
		rc = decide(u);
	if (rc != E_OK)
		return rc;
	remove_all(u);
	if (!u->dry) {
		content_sweep(c->content_dir);
		content_sweep_wanted(c);
	}
	if (!u->dry && u->removed[KIND_FILE])
		rc = ctl_note(c, "cleanup: %ju files of %ju bytes removed", (uintmax_t)u->removed[KIND_FILE], (uintmax_t)u->bytes[KIND_FILE]);
	if (rc == E_OK)
		report(u);
	return rc;
}

static int run_cleanup(struct ctl *c)
{
	struct cleanup u = {.c = c, .dry = ctl_option(c, "dry-run") != NULL, .at_once = ctl_option(c, "at-once") != NULL};
	struct job_lock lock = {.fd = -1};
	int rc = job_lock(&lock, c->store_dir, JOB_CONTENT, &c->err);
	u.busy = rc == E_BUSY;
	if (rc != E_OK && rc != E_BUSY)
		return rc;
	c->err = (struct err){0};
	rc = clean(&u);
	job_unlock(&lock);
	return rc;
}

static const struct option_row cleanup_options[] = {
	{"dry-run", NULL, "only list what would be removed, and why"},
	{"at-once", NULL, "what came a short while ago, too: an unnamed file stays for a day, a spare or bad one for 30 else"},
	{"quiet", NULL, "no list, and nothing if there is nothing to remove"},
	{0},
};

const struct command cleanup_commands[] = {
	{"cleanup", NULL, "", "remove files and records that nobody needs any more", 0, 0, NEED_STORE, cleanup_options, run_cleanup,
		NULL, "Files that an approval or a downstream server needs are never removed; others only if no update names them, or to\n"
		"      come down to content.quota.  scripts/wsus-cleanup.sh does it each night."},
	{0},
};
