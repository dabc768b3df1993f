/* content_fetch.c -- fetching begins: by hand, and behind an approval whose files are not here. */
#include "common/job.h"
#include "common/text.h"
#include "ctl/cmd.h"
#include "ctl/content.h"
#include "ctl/tool.h"
#include "store/need.h"

/* ================= by hand ================= */

static int fetch_detached(struct ctl *c, const char *const *args)
{
	long pid;
	int rc = tool_detach(c, "content", JOB_CONTENT, args, &pid);
	if (rc != E_OK)
		return rc;
	ctl_say(c, pid ? "begun as process %ld; `wsusctl content status` shows how far it is"
		       : "it ended at once: there was nothing to fetch, or nobody to fetch from; `wsusctl content status` shows what is needed", pid);
	if (!c->json)
		return E_OK;
	out_object_begin(&c->out);
	out_field_number(&c->out, "pid", "process", CELL_NUMBER, pid);
	out_object_end(&c->out);
	return E_OK;
}

int content_run_fetch(struct ctl *c)
{
	const char *const args[] = {ctl_option(c, "retry") ? "--retry" : NULL, NULL};
	return ctl_option(c, "detach") ? fetch_detached(c, args) : tool_exec(c, "content", args);
}

/* ================= behind an approval ================= */

static int add_missing(const struct deployment *d, void *arg)
{
	uint32_t *missing = arg;
	if (!d->dead && d->waiting & WAIT_FILES)
		*missing = MAX(*missing, d->missing_files);
	return E_OK;
}

static int count_missing(struct ctl *c, uint32_t update_no, uint32_t *missing)
{
	int32_t *ids;
	size_t n;
	int rc = revisions_of(c->txn, update_no, &ids, &n, &c->err);
	for (size_t i = 0; rc == E_OK && i < n; i++)
		rc = deployment_each(c->txn, ids[i], add_missing, missing, &c->err);
	return rc;
}

/* "12 files, 312 MB", and how long that takes at the speed of the last time. */
static void tell_needed(struct ctl *c, const struct needs *n, const char *state)
{
	char span[SPAN_TEXT + 1] = "";
	uint64_t rate = content_rate_last(c->store_dir);
	if (rate)
		span_text((tick_t)(n->bytes / rate + 1) * TICKS_PER_SECOND, span);
	ctl_say(c, "%zu file%s, %.*s, to be fetched%s%s: %s", n->n, n->n == 1 ? "" : "s", SLF(bytes_text(&c->arena, n->bytes)),
		rate ? ", about " : "", span, state);
}

/* The approval stands whether or not that works. */
static void start(struct ctl *c, const struct needs *n)
{
	struct err before = c->err;
	long pid = 0;
	int rc = tool_detach(c, "content", JOB_CONTENT, NULL, &pid);
	tell_needed(c, n, rc == E_OK || rc == E_BUSY ? "it is under way; `wsusctl content status` shows how far it is"
						     : "`wsusctl content fetch` fetches them");
	if (rc != E_OK && rc != E_BUSY)
		ctl_warn(c, "fetching could not be begun: %s", c->err.text);
	c->err = before;
}

int content_begin(struct ctl *c, uint32_t update_no)
{
	struct settings set;
	struct needs needs;
	uint32_t missing = 0;
	int rc = settings_get(c->txn, &set, &c->err);
	if (rc != E_OK || set.upstream_url.n == 0)
		return rc;
	rc = count_missing(c, update_no, &missing);
	if (rc == E_OK && missing)
		rc = needs_get(c->txn, &c->arena, &needs, &c->err);
	if (rc != E_OK || !missing || needs.n == 0)
		return rc;
	if (ctl_option(c, "no-content"))
		tell_needed(c, &needs, "`wsusctl content fetch` fetches them");
	else
		start(c, &needs);
	return E_OK;
}
