/* plan.c -- inside the content job: the list of a round, which is what is needed (store/need.c), due, and fits.
 *
 * It fits if content.spare stays free on the disk, and content.quota is not exceeded; what does not is counted and said once. */
#include <sys/statvfs.h>

#include "common/text.h"
#include "sync/fetching.h"

#define MB 1000000u

struct room {
	uint64_t bytes;   /* that may still come */
	const char *what; /* by which setting */
	uint64_t of;
};

static int add_stored(const struct file *f, void *arg)
{
	uint64_t *sum = arg;
	*sum += f->stored ? f->size : 0;
	return E_OK;
}

/* By the disk, or by the quota if that is less. */
static int find_room(struct job *j, struct txn *t, struct room *out, struct err *e)
{
	const struct settings *set = &j->r.set;
	struct statvfs v;
	uint64_t spare = (uint64_t)set->content_spare * MB, quota = (uint64_t)set->content_quota * MB, here = 0;
	if (statvfs(j->r.content, &v) != 0)
		return err_errno(e, "%s", j->r.content);
	uint64_t avail = (uint64_t)v.f_bavail * v.f_frsize;
	*out = (struct room){avail > spare ? avail - spare : 0, "content.spare", avail};
	int rc = quota ? file_each(t, add_stored, &here, e) : E_OK;
	if (quota && (quota > here ? quota - here : 0) < out->bytes)
		*out = (struct room){quota > here ? quota - here : 0, "content.quota", quota};
	return rc;
}

static bool is_due(const struct job *j, struct txn *t, const struct needed *n, tick_t now)
{
	struct fetch row;
	return j->retry || fetch_get(t, &n->digest, &row) != E_OK || row.state == FETCH_LOADING || row.next <= now;
}

static void add_item(struct job *j, const struct needed *n)
{
	j->v[j->n++] = (struct item){.need = *n, .from = j->direct ? FROM_VENDOR : FROM_PARENT};
	j->total += n->size;
}

/* Those that are due and fit, in their order: what is approved and small goes first. */
static void choose(struct job *j, struct txn *t, const struct needs *needs, struct room room)
{
	tick_t now = time_now();
	for (size_t i = 0; i < needs->n; i++) {
		const struct needed *n = &needs->v[i];
		if (!is_due(j, t, n, now))
			continue;
		uint64_t rest = n->size - MIN(content_part_size(j->r.content, &n->digest), n->size);
		if (rest > room.bytes) {
			j->left_out++;
			j->left_out_bytes += rest;
			continue;
		}
		room.bytes -= rest;
		add_item(j, n);
	}
}

static void say_room(struct job *j, const struct room *room)
{
	char lack[SIZE_TEXT + 1], of[SIZE_TEXT + 1];
	if (j->left_out == 0)
		return;
	size_text(j->left_out_bytes, lack);
	size_text(room->of, of);
	bool quota = strcmp(room->what, "content.quota") == 0;
	snprintf(j->room, sizeof(j->room), quota ? "%llu file%s, %s, beyond content.quota (%s): raise it with `wsusctl config set "
		"content.quota MB`, or decline updates that nobody needs and remove their files"
		: "%llu file%s, %s, too much for the disk (%s are free, of which content.spare stays free): enlarge the disk of the content "
		"directory, or decline updates that nobody needs and remove their files", (unsigned long long)j->left_out, j->left_out == 1 ? "" : "s", lack, of);
	if (!j->warned)
		report_warn(j->r.report, "%s", j->room);
	j->warned = true;
}

/* Parts of files that nobody needs any more. */
struct sweep {
	struct job *j;
	const struct needs *needs;
};

static int sweep_one(const struct sha1 *digest, uint64_t size, void *arg)
{
	struct sweep *s = arg;
	(void)size;
	for (size_t i = 0; i < s->needs->n; i++)
		if (memcmp(&s->needs->v[i].digest, digest, sizeof(*digest)) == 0)
			return E_OK;
	content_part_drop(s->j->r.content, digest);
	return E_OK;
}

static int make_plan(struct job *j, struct txn *t, struct err *e)
{
	struct needs needs;
	struct room room = {.what = ""};
	struct sweep sweep = {j, &needs};
	int rc = needs_get(t, &j->plan, &needs, e);
	if (rc == E_OK && needs.n >= NONE)
		rc = err_set(e, E_LIMIT, "more than four billion files are needed");
	if (rc == E_OK)
		rc = content_parts_each(j->r.content, sweep_one, &sweep, e);
	if (rc == E_OK)
		rc = find_room(j, t, &room, e);
	if (rc == E_OK && !(j->v = ARENA_ARRAY(&j->plan, struct item, needs.n)))
		rc = err_set(e, E_NOMEM, "out of memory for the list of %zu files", needs.n);
	if (rc != E_OK)
		return rc;
	choose(j, t, &needs, room);
	say_room(j, &room);
	return E_OK;
}

int plan_round(struct job *j, struct err *e)
{
	struct txn *t;
	arena_reset(&j->plan);
	j->n = j->fresh = 0;
	j->total = j->done = j->left_out = j->left_out_bytes = 0;
	j->room[0] = '\0';
	int rc = txn_begin(j->r.store, TXN_READ, &t, e);
	if (rc == E_OK)
		rc = make_plan(j, t, e);
	txn_end(&t);
	return rc;
}
