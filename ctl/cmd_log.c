/* cmd_log.c -- who asked for what, and how it ended: the lines of services and of nginx. */
#include <stdlib.h>
#include <unistd.h>

#include "common/text.h"
#include "ctl/cmd.h"
#include "ctl/log_follow.h"

#define LAST_USUAL 200    /* some screens */
#define LAST_MOST 100000  /* they are held in memory, 100 MB */
#define ARENA_FOLLOW ((size_t)1 << 30)

/* ---- what a line is shown as ---- */

static const struct column people[] = {
	{"time", "TIME", CELL_TEXT, FIT_WHOLE},        {"service", "SERVICE", CELL_TEXT, FIT_DROP},
	{"computer", "COMPUTER", CELL_TEXT, FIT_CUT},  {"address", "ADDRESS", CELL_TEXT, FIT_WHOLE},
	{"operation", "OPERATION", CELL_TEXT, FIT_CUT}, {"result", "RESULT", CELL_TEXT, FIT_WHOLE},
	{"in", "IN", CELL_BYTES, FIT_DROP},            {"out", "OUT", CELL_BYTES, FIT_DROP},
	{"ms", "MS", CELL_TEXT, FIT_DROP},             {"why", "WHY -> WHAT TO DO", CELL_TEXT, FIT_BELOW},
};

static const struct column programs[] = {
	{"time", "", CELL_TIME, FIT_WHOLE},        {"service", "", CELL_TEXT, FIT_WHOLE},  {"client", "", CELL_TEXT, FIT_WHOLE},
	{"name", "", CELL_TEXT, FIT_WHOLE},        {"address", "", CELL_TEXT, FIT_WHOLE},  {"operation", "", CELL_TEXT, FIT_WHOLE},
	{"result", "", CELL_TEXT, FIT_WHOLE},      {"status", "", CELL_NUMBER, FIT_WHOLE}, {"in", "", CELL_NUMBER, FIT_WHOLE},
	{"out", "", CELL_NUMBER, FIT_WHOLE},       {"microseconds", "", CELL_NUMBER, FIT_WHOLE},
	{"events", "", CELL_TEXT, FIT_WHOLE},      {"fault_id", "", CELL_TEXT, FIT_WHOLE}, {"why", "", CELL_TEXT, FIT_WHOLE},
	{"remedy", "", CELL_TEXT, FIT_WHOLE},      {"more", "", CELL_NUMBER, FIT_WHOLE},   {"request", "", CELL_TEXT, FIT_WHOLE},
	{"message", "", CELL_TEXT, FIT_WHOLE},
};

static struct slice plain(struct ctl *c, struct slice value)
{
	struct buf b;
	if (!value.p || !memchr(value.p, '\\', value.n))
		return value;
	buf_init(&b, LOG_LINE_MAX);
	log_plain(&b, value);
	struct slice s = arena_copy(c->out.a, buf_bytes(&b));
	buf_free(&b);
	return s;
}

static struct slice service_of(const struct log_entry *l)
{
	struct slice s = l->program;
	return text_starts(s, SL("wsus-")) ? (struct slice){s.p + 5, s.n - 5} : s;
}

static struct slice result_of(struct ctl *c, const struct log_entry *l)
{
	if (!l->request)
		return l->level;
	if (log_is_ok(l))
		return SL("ok");
	if (l->fault.p && !slice_eq(l->fault, SL("plain")))
		return l->fault;
	return arena_printf(c->out.a, "HTTP %d", (int)l->status);
}

/* "POST /ClientWebService/client.asmx HTTP/1.1" without the last word. */
static struct slice operation_of(struct ctl *c, const struct log_entry *l)
{
	if (l->op.p || !l->http.p)
		return plain(c, l->op);
	struct slice s = l->http;
	const char *end = memrchr(s.p, ' ', s.n);
	return plain(c, end && text_starts((struct slice){end, (size_t)(s.p + s.n - end)}, SL(" HTTP/"))
				? (struct slice){s.p, (size_t)(end - s.p)} : s);
}

/* What came of a batch of events stands there, too. */
static struct slice why_of(struct ctl *c, const struct log_entry *l)
{
	struct buf b;
	if (!l->request)
		return plain(c, l->text);
	buf_init(&b, LOG_LINE_MAX);
	log_plain(&b, l->events);
	if (l->events.p && l->why.p)
		buf_printf(&b, "; ");
	log_plain(&b, l->why);
	if (l->remedy.p)
		buf_printf(&b, " -> %.*s", SLF(l->remedy));
	if (l->more)
		buf_printf(&b, " (and %llu more)", (unsigned long long)l->more);
	if (l->fault_id.p)
		buf_printf(&b, " [%.*s]", SLF(l->fault_id));
	struct slice s = b.n ? arena_copy(c->out.a, buf_bytes(&b)) : SL0;
	buf_free(&b);
	return s;
}

static void put_people(struct ctl *c, const struct log_entry *l)
{
	char at[TIME_TEXT + 1];
	struct slice name = l->name.p ? l->name : l->client;
	time_text(l->at, at);
	out_text(&c->out, arena_printf(c->out.a, "%.10s %.8s", at, at + 11));
	out_text(&c->out, service_of(l));
	out_text(&c->out, plain(c, name));
	out_text(&c->out, plain(c, l->peer));
	out_text(&c->out, operation_of(c, l));
	out_text(&c->out, result_of(c, l));
	out_text(&c->out, l->request ? bytes_text(c->out.a, l->in) : SL0);
	out_text(&c->out, l->request ? bytes_text(c->out.a, l->out) : SL0);
	out_text(&c->out, l->request ? arena_printf(c->out.a, "%.1f", (double)l->usec / 1000) : SL0);
	out_text(&c->out, why_of(c, l));
}

static void put_programs(struct ctl *c, const struct log_entry *l)
{
	out_number(&c->out, l->at);
	out_text(&c->out, service_of(l));
	out_text(&c->out, plain(c, l->client));
	out_text(&c->out, plain(c, l->name));
	out_text(&c->out, plain(c, l->peer));
	out_text(&c->out, operation_of(c, l));
	out_text(&c->out, result_of(c, l));
	out_number(&c->out, l->status);
	out_number(&c->out, (int64_t)l->in);
	out_number(&c->out, (int64_t)l->out);
	out_number(&c->out, (int64_t)l->usec);
	out_text(&c->out, plain(c, l->events));
	out_text(&c->out, l->fault_id);
	out_text(&c->out, plain(c, l->why));
	out_text(&c->out, plain(c, l->remedy));
	out_number(&c->out, (int64_t)l->more);
	out_text(&c->out, l->id);
	out_text(&c->out, l->request ? SL0 : plain(c, l->text));
}

static void begin(struct ctl *c)
{
	out_list_begin(&c->out, c->json ? programs : people, c->json ? COUNTOF(programs) : COUNTOF(people));
}

static void put(struct ctl *c, struct slice line)
{
	struct log_entry l;
	if (log_read(line, &l))
		(c->json ? put_programs : put_people)(c, &l);
}

/* ---- what is wanted ---- */

static int take_lower(struct ctl *c, const char *z, struct slice *out)
{
	char *to = arena_alloc(&c->arena, strlen(z) + 1, 1);
	if (!to)
		return err_set(&c->err, E_NOMEM, "out of memory");
	text_lower_to(to, slice_of(z));
	*out = (struct slice){to, strlen(z)};
	return E_OK;
}

/* As the store knows it; else, for computers that it does not know (they were refused) or who may not read it, as lines
 * name it. */
static int take_computer(struct ctl *c, const char *name, struct log_filter *f)
{
	int rc = ctl_open_store(c);
	if (rc == E_OK)
		rc = txn_begin(c->store, TXN_READ, &c->txn, &c->err);
	if (rc == E_OK)
		rc = name_computer(c, name, &f->client);
	if (rc == E_OK || rc == E_AMBIGUOUS || rc == E_NOMEM)
		return rc;
	c->err = (struct err){0};
	f->name = slice_of(name);
	return take_lower(c, name, &f->client);
}

static int take_times(struct ctl *c, struct log_filter *f)
{
	const char *since = ctl_option(c, "since"), *until = ctl_option(c, "until");
	int rc = since ? name_past(c, since, &f->since) : E_OK;
	return rc == E_OK && until ? name_past(c, until, &f->until) : rc;
}

static int take_id(struct ctl *c, const char *id, struct log_filter *f)
{
	struct guid g;
	if (!text_guid(slice_of(id), &g))
		return err_set(&c->err, E_USAGE, "%s is no ID of a fault: 32 hexadecimal digits as in 0123abcd-0123-abcd-0123-0123456789ab", id);
	return take_lower(c, id, &f->fault_id);
}

static int take_filter(struct ctl *c, struct log_filter *f)
{
	const char *id = ctl_option(c, "id"), *address = ctl_option(c, "address");
	*f = (struct log_filter){.faults = ctl_option(c, "faults"), .messages = ctl_option(c, "messages")};
	int rc = take_times(c, f);
	if (rc == E_OK && id)
		rc = take_id(c, id, f);
	if (rc == E_OK && address)
		rc = take_lower(c, address, &f->address);
	if (rc == E_OK && c->npos > 0)
		rc = take_computer(c, c->pos[0], f);
	return rc;
}

/* Where scripts/run.sh has them, beside the store, or where an installed server has. */
static const char *log_dir(struct ctl *c)
{
	const char *dir = ctl_option(c, "dir");
	if (dir)
		return dir;
	dir = arena_printf(&c->arena, "%s/../log", c->store_dir).p;
	return dir && access(dir, F_OK) == 0 ? dir : "/var/log/wsus-fcgi";
}

static int take_places(struct ctl *c, struct log_places *p)
{
	const char *last = ctl_option(c, "last");
	int32_t n = ctl_option(c, "since") || ctl_option(c, "id") ? LAST_MOST : LAST_USUAL;
	*p = (struct log_places){.dir = log_dir(c), .service = ctl_option(c, "service")};
	if (p->service && !log_service_base(p->service))
		return err_set(&c->err, E_USAGE, "--service is auth, client, content, reporting, serversync or nginx, not %s", p->service);
	if (last && (!text_i32(slice_of(last), &n) || n < 1 || n > LAST_MOST))
		return err_set(&c->err, E_USAGE, "--last wants a number from 1 to %d, not %s", LAST_MOST, last);
	p->keep = (size_t)n;
	return E_OK;
}

/* ---- the verb ---- */

static int gather(struct ctl *c, struct log_merge *m, struct slice *kept, size_t cap, size_t *n)
{
	struct log_entry entry;
	struct slice line;
	int rc = E_OK;
	for (*n = 0; *n < cap && (rc = log_merge_next(m, &line, &entry, &c->err)) == E_OK; (*n)++) {
		kept[*n] = arena_copy(&c->arena, line);
		if (!kept[*n].p)
			return err_set(&c->err, E_NOMEM, "out of memory");
	}
	return rc == E_NOTFOUND ? E_OK : rc;
}

static void show(struct ctl *c, const struct slice *kept, size_t n)
{
	begin(c);
	for (size_t i = n; i-- > 0;)
		put(c, kept[i]);
	out_list_end(&c->out);
}

static int show_new(const struct slice *line, size_t n, void *arg)
{
	struct ctl *c = arg;
	begin(c);
	for (size_t i = 0; i < n; i++)
		put(c, line[i]);
	out_lines_end(&c->out);
	arena_reset(c->out.a);
	return out_flush(&c->out) ? E_OK : err_set(&c->err, E_IO, "standard output takes no more");
}

static int follow(struct ctl *c, const struct log_places *p, const struct log_filter *f)
{
	struct arena *usual = c->out.a, lines;
	if (ctl_option(c, "last") || f->since || f->until || f->fault_id.p)
		return err_set(&c->err, E_USAGE, "--follow shows what comes from now on: leave out --last, --since, --until and --id");
	arena_init(&lines, ARENA_FOLLOW);
	c->out.a = &lines;
	int rc = log_follow(p, f, show_new, c, &c->err);
	c->out.a = usual;
	arena_free(&lines);
	return rc;
}

static int list(struct ctl *c, const struct log_places *p, const struct log_filter *f)
{
	struct log_merge *m = NULL;
	size_t n = 0;
	struct slice *kept = ARENA_ARRAY(&c->arena, struct slice, p->keep);
	if (!kept)
		return err_set(&c->err, E_NOMEM, "out of memory");
	int rc = log_merge_open(&m, p, f, &c->err);
	if (rc == E_OK)
		rc = gather(c, m, kept, p->keep, &n);
	log_merge_close(&m);
	if (rc != E_OK)
		return rc;
	if (n == 0 && f->fault_id.p)
		return err_set(&c->err, E_NOTFOUND,
			"no line has this ID; it may be older than the logs that are kept, or of another server");
	show(c, kept, n);
	if (n == LAST_USUAL && !ctl_option(c, "last") && !c->json && out_flush(&c->out))
		ctl_say(c, "These are the newest %zu; --last N or --since TIME shows more.", n);
	return E_OK;
}

static int run_log(struct ctl *c)
{
	struct log_filter f;
	struct log_places p;
	int rc = take_places(c, &p);
	if (rc == E_OK)
		rc = take_filter(c, &f);
	if (rc != E_OK)
		return rc;
	return ctl_option(c, "follow") ? follow(c, &p, &f) : list(c, &p, &f);
}

static const struct option_row log_options[] = {
	{"since", "TIME", "from then on: 1h, 30m, 7d (ago), 2026-11-22, 2026-11-22T18:00 (UTC)"},
	{"until", "TIME", "before then"},
	{"last", "N", "at most the newest N lines (200; with --since or --id 100000)"},
	{"faults", NULL, "only what did not end well"},
	{"id", "ID", "the line of a fault whose ID a computer's log shows"},
	{"address", "ADDRESS", "of this computer or network gateway: downloads, too"},
	{"service", "NAME", "auth, client, content, reporting, serversync or nginx"},
	{"follow", NULL, "what comes from now on, until it is interrupted"},
	{"messages", NULL, "what services say besides requests, too"},
	{"dir", "DIR", "where the files are (beside the store, else /var/log/wsus-fcgi)"},
	{0},
};

const struct command log_commands[] = {
	{"log", NULL, "[COMPUTER]", "who asked for what and how it ended, refusals with the reason and what to do", 0, 1, NEED_PLACE,
		log_options, run_log, NULL, "COMPUTER is an id or a name, as the store or the log has it."},
	{0},
};
