/* log_filter.c -- is this line of a log wanted?  See log_source.h. */
#include "common/text.h"
#include "ctl/log_source.h"

/* Workers take the time and then write, clocks are set: a line this much older ends nothing yet. */
#define DISORDER (60 * TICKS_PER_SECOND)

static bool contains(struct slice line, struct slice part)
{
	return part.n == 0 || memmem(line.p, line.n, part.p, part.n) != NULL;
}

static bool is_named(struct slice name, struct slice wanted)
{
	struct slice rest = name;
	return name.p && (text_ieq(name, wanted) || text_ieq(text_cut(&rest, '.'), wanted));
}

static bool is_of(const struct log_filter *f, const struct log_entry *l)
{
	if (!f->client.p && !f->name.p)
		return true;
	return (f->client.p && text_ieq(l->client, f->client)) || (f->name.p && is_named(l->name, f->name));
}

static bool has_fault(const struct log_filter *f, const struct log_entry *l)
{
	struct slice want = f->fault_id, have = l->fault_id;
	if (!want.p)
		return true;
	return want.n >= LOG_FAULT_PREFIX && have.n >= LOG_FAULT_PREFIX &&
	       text_ieq((struct slice){want.p, LOG_FAULT_PREFIX}, (struct slice){have.p, LOG_FAULT_PREFIX});
}

static bool is_wanted(const struct log_filter *f, const struct log_entry *l)
{
	if ((f->since && l->at < f->since) || (f->until && l->at >= f->until))
		return false;
	if (!l->request)
		return f->messages;
	return is_of(f, l) && (!f->address.p || text_ieq(l->peer, f->address)) && has_fault(f, l) && (!f->faults || !log_is_ok(l));
}

enum log_verdict log_judge(const struct log_filter *f, struct slice line, struct log_entry *out)
{
	tick_t at;
	if (f->since && log_read_time(line, &at) && at < f->since - DISORDER)
		return LOG_TOO_OLD;
	/* Most lines of a large log are found out here, before they are taken apart. */
	if (!contains(line, f->address) || (f->fault_id.n >= 8 && !contains(line, (struct slice){f->fault_id.p, 8})))
		return LOG_PASS;
	if (f->client.p && !f->name.p && !contains(line, f->client))
		return LOG_PASS;
	return log_read(line, out) && is_wanted(f, out) ? LOG_WANTED : LOG_PASS;
}
