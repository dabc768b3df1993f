/* cmd_health.c -- is the server well (for monitoring), and how does it stand (for people)? */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/text.h"
#include "ctl/health.h"
#include "ctl/manifest.h"
#include "ctl/place.h"

#define COMMAND_SECONDS 60 /* a mail or a message to a chat; the next check must not wait for ever */
#define DAY (86400 * TICKS_PER_SECOND)

/* ---- places ---- */

/* Beside the store is where scripts/run.sh has them, in a directory that says so; the other is for an installed server. */
static const char *there(struct ctl *c, const char *name, const char *installed)
{
	const char *path = place_beside(c, name), *mark = place_beside(c, "VERSION");
	if (path && mark && access(mark, F_OK) == 0 && access(path, F_OK) == 0)
		return path;
	return place_is_installed(c) && access(installed, F_OK) == 0 ? installed : NULL;
}

/* Where computers are told to go; the name of this machine where neither file nor certificate says. */
static int public_url(struct ctl *c, const char **out)
{
	char host[256] = "localhost";
	*out = ctl_option(c, "url");
	if (*out && !conf_is_url(slice_of(*out)))
		return err_set(&c->err, E_USAGE, "--url is http[s]://HOST[:PORT], with nothing behind it, not \"%s\"", *out);
	int rc = *out ? E_OK : place_url(c, out);
	if (rc != E_NOTFOUND)
		return rc;
	if (gethostname(host, sizeof(host) - 1) != 0)
		snprintf(host, sizeof(host), "localhost");
	return place_make_url(c, slice_of(host), out);
}

static int tls_files(struct ctl *c, struct health_places *p)
{
	int rc = place_tls(c, &p->tls);
	if (rc != E_OK)
		return rc;
	const char *ca = ctl_path(c, p->tls, "ca.crt");
	p->crt = ctl_path(c, p->tls, "server.crt");
	p->next = ctl_path(c, p->tls, "ca-next.crt");
	p->ca = ctl_option(c, "ca");
	if (!p->ca && ca && (access(ca, F_OK) == 0 || errno == EACCES))
		p->ca = ca;
	return ca && p->crt && p->next ? E_OK : E_NOMEM;
}

static int places_of(struct ctl *c, struct health_places *p)
{
	*p = (struct health_places){
		.store = c->store_dir,
		.content = c->content_dir,
		.run = there(c, "run", "/run/wsus-fcgi"),
		.log = there(c, "log", "/var/log/wsus-fcgi"),
		.jobs = there(c, "jobs", "/var/lib/wsus-fcgi/jobs"),
	};
	struct slice backups;
	int rc = conf_get(&c->conf, "backup.to", &backups, NULL, &c->err);
	if (rc == E_OK && !(p->backups = arena_copy(&c->arena, backups).p))
		rc = err_set(&c->err, E_NOMEM, "out of memory");
	if (rc == E_OK)
		rc = tls_files(c, p);
	return rc == E_OK ? public_url(c, &p->url) : rc;
}

/* ---- telling ---- */

#define COMMAND_WORDS 16 /* of the command line; five more tell what happened */

struct command_line {
	const char *word[COMMAND_WORDS + 6];
	unsigned n;
};

/* It runs with our rights: nobody else may be able to write it. */
static int check_program(const char *path, struct err *e)
{
	struct stat st;
	if (path[0] != '/')
		return err_set(e, E_USAGE, "the command to tell by begins with an absolute path, not %s", path);
	if (stat(path, &st) != 0)
		return err_errno(e, "%s", path);
	if (!S_ISREG(st.st_mode) || access(path, X_OK) != 0)
		return err_set(e, E_REFUSED, "%s is no program", path);
	if ((st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & 022))
		return err_set(e, E_REFUSED, "%s may be written by others: `chown root` and `chmod go-w` it", path);
	return E_OK;
}

/* The file names a program that runs with our rights: it counts only if nobody else could have written it. */
static int configured_command(struct ctl *c, struct slice *out)
{
	unsigned at;
	int rc = conf_get(&c->conf, "notify.command", out, &at, &c->err);
	if (rc == E_OK && out->n && !c->conf.trusted)
		return err_set(&c->err, E_REFUSED, "%s:%u: notify.command is not obeyed, as others may write this file: `chown root` and "
			"`chmod go-w` it", c->conf.file, at);
	return rc;
}

/* n == 0: nobody is to be told. */
static int notify_command(struct ctl *c, struct command_line *l)
{
	const char *given = ctl_option(c, "command");
	struct slice line = given ? slice_of(given) : SL0;
	int rc = given ? E_OK : configured_command(c, &line);
	*l = (struct command_line){.n = 0};
	if (rc != E_OK)
		return rc;
	for (struct slice w = text_word(&line); w.p; w = text_word(&line)) {
		if (l->n == COMMAND_WORDS)
			return err_set(&c->err, E_LIMIT, "the command to tell by has more than %d words", COMMAND_WORDS);
		l->word[l->n] = arena_copy(&c->arena, w).p;
		if (!l->word[l->n++])
			return err_set(&c->err, E_NOMEM, "out of memory");
	}
	return l->n ? check_program(l->word[0], &c->err) : E_OK;
}

static void set_environment(const struct transition *t)
{
	char since[TIME_TEXT + 1] = "";
	if (t->since)
		time_text(t->since, since);
	const struct {
		const char *name, *value;
	} v[] = {
		{"WSUS_EVENT", t->event}, {"WSUS_CHECK", t->check}, {"WSUS_LEVEL", level_names[t->level]},
		{"WSUS_BEFORE", level_names[t->before]}, {"WSUS_CAUSE", t->cause}, {"WSUS_REMEDY", t->remedy},
		{"WSUS_SINCE", since},
	};
	for (unsigned i = 0; i < COUNTOF(v); i++)
		setenv(v[i].name, v[i].value, 1);
}

static int tell(const struct transition *t, void *arg, struct err *e)
{
	struct command_line l = *(const struct command_line *)arg;
	const char *const more[] = {t->event, t->check, level_names[t->level], t->cause, t->remedy};
	int status = 0;
	memcpy(l.word + l.n, more, sizeof(more));
	set_environment(t);
	int rc = health_run(l.word, COMMAND_SECONDS, NULL, &status, e);
	if (rc == E_OK && status != 0)
		rc = err_set(e, E_IO, "%s ended with status %d; the next run tries again", l.word[0], status);
	return rc;
}

/* One at a time: two would tell the same twice. */
static int lock_state(struct ctl *c, const char *path, int *fd)
{
	struct slice lock = arena_printf(&c->arena, "%s.lock", path);
	*fd = lock.p ? open(lock.p, O_RDWR | O_CREAT | O_CLOEXEC, 0640) : -1;
	if (*fd < 0)
		return err_errno(&c->err, "%s.lock", path);
	return flock(*fd, LOCK_EX) == 0 ? E_OK : err_errno(&c->err, "%s.lock", path);
}

/* Where nobody is told, levels are not noted either: whoever names a command hears of all that is wrong. */
static int note_and_tell(struct ctl *c, const char *path, const struct growth *now, const struct command_line *l,
	const struct finding *v, unsigned n)
{
	struct health_state s;
	int fd, told = E_OK, rc = lock_state(c, path, &fd);
	if (rc == E_OK)
		rc = health_state_load(&s, path, &c->err); /* again: another may have told meanwhile */
	if (rc == E_OK) {
		if (now)
			health_state_grow(&s, now);
		if (l->n)
			told = health_notify(&s, v, n, c->now, tell, (void *)(uintptr_t)l, &c->err);
		rc = health_state_save(&s, path, told == E_OK ? &c->err : NULL);
	}
	if (fd >= 0)
		close(fd);
	return rc == E_OK ? told : rc;
}

/* One more finding: what went wrong with telling makes the others no less true. */
static void notify(struct ctl *c, const char *path, const struct growth *now, struct finding *v, unsigned *n, enum level *worst)
{
	struct finding *mine = &v[*n];
	struct command_line l;
	*mine = (struct finding){.check = "notify"};
	int rc = notify_command(c, &l);
	if (rc == E_OK)
		rc = note_and_tell(c, path, now, &l, v, *n);
	if (rc != E_OK) {
		mine->level = LEVEL_UNKNOWN;
		snprintf(mine->what, sizeof(mine->what), "not everything was told or noted: %.350s", c->err.text);
		snprintf(mine->remedy, sizeof(mine->remedy), "mend that; the next run tells what this one could not");
	} else if (l.n) {
		snprintf(mine->what, sizeof(mine->what), "%.300s is run when a check goes to another level", l.word[0]);
	} else {
		snprintf(mine->what, sizeof(mine->what), "nobody is told: notify.command is not set in %.300s", c->conf.file);
	}
	c->err = (struct err){0};
	*worst = level_worse(*worst, mine->level);
	(*n)++;
}

/* ---- what is said ---- */

/* Control bytes of what others wrote (a fault's words, a certificate's) never reach a terminal or a program. */
static void make_safe(char *text, size_t room)
{
	struct buf b;
	buf_init(&b, HEALTH_WORDS * 4);
	text_safe_add(&b, slice_of(text));
	snprintf(text, room, "%.*s", SLF(buf_bytes(&b)));
	buf_free(&b);
}

static const struct column finding_columns[] = {
	{"check", "CHECK", CELL_TEXT, FIT_WHOLE},
	{"level", "LEVEL", CELL_TEXT, FIT_WHOLE},
	{"what", "WHAT", CELL_TEXT, FIT_WHOLE},
	{"remedy", "REMEDY", CELL_TEXT, FIT_WHOLE},
};

static void say_json(struct ctl *c, const struct finding *v, unsigned n, enum level worst)
{
	out_object_begin(&c->out);
	out_field_text(&c->out, "level", "Level", slice_of(level_names[worst]));
	out_field_number(&c->out, "status", "Status", CELL_NUMBER, worst);
	out_sub_begin(&c->out, "checks", "Checks", finding_columns, COUNTOF(finding_columns));
	for (unsigned i = 0; i < n; i++) {
		out_str(&c->out, v[i].check);
		out_str(&c->out, level_names[v[i].level]);
		out_str(&c->out, v[i].what);
		out_text(&c->out, v[i].remedy[0] ? slice_of(v[i].remedy) : SL0);
	}
	out_sub_end(&c->out);
	out_object_end(&c->out);
}

/* The first line as monitoring wants it: all that is wrong, the worst first. */
static void say_first(struct ctl *c, const struct finding *v, unsigned n, enum level worst)
{
	struct buf b;
	unsigned wrong = 0;
	buf_init(&b, (size_t)16 << 10);
	for (enum level l = LEVEL__N; l-- > LEVEL_WARNING;)
		for (unsigned i = 0; i < n; i++)
			if (v[i].level == l)
				buf_printf(&b, "%s%s: %s", wrong++ ? "; " : "", v[i].check, v[i].what);
	if (wrong == 0)
		buf_printf(&b, "%u checks", n);
	ctl_say(c, "WSUS %s - %.*s", level_names[worst], SLF(buf_bytes(&b)));
	buf_free(&b);
}

static void say(struct ctl *c, const struct finding *v, unsigned n, enum level worst)
{
	if (c->json) {
		say_json(c, v, n, worst);
		return;
	}
	say_first(c, v, n, worst);
	for (unsigned i = 0; i < n; i++)
		ctl_say(c, "%-8s %s: %s%s%s", level_names[v[i].level], v[i].check, v[i].what, v[i].remedy[0] ? " -> " : "",
			v[i].remedy);
}

/* Others read it: a web server, a collector.  A file that cannot be written is one more finding. */
static void write_metrics(struct ctl *c, const struct health_facts *f, struct finding *v, unsigned *n, enum level *worst)
{
	const char *path = ctl_option(c, "metrics");
	struct buf b;
	if (!path)
		return;
	buf_init(&b, (size_t)64 << 10);
	health_metrics_add(&b, f, v, *n);
	int rc = b.rc == E_OK ? health_replace(path, buf_bytes(&b), 0644, &c->err) : err_set(&c->err, E_NOMEM, "out of memory");
	buf_free(&b);
	if (rc == E_OK)
		return;
	struct finding *mine = &v[(*n)++];
	*mine = (struct finding){.check = "metrics", .level = LEVEL_UNKNOWN};
	snprintf(mine->what, sizeof(mine->what), "not written: %.350s", c->err.text);
	snprintf(mine->remedy, sizeof(mine->remedy), "--metrics FILE has to be in a directory that you may write to");
	c->err = (struct err){0};
	*worst = level_worse(*worst, LEVEL_UNKNOWN);
}

/* ---- health ---- */

static int take_limits(struct ctl *c, int64_t *v)
{
	const char *text;
	int rc = E_OK;
	for (unsigned i = 0; i < LIM__N; i++)
		v[i] = health_limits[i].value;
	for (unsigned i = 0; rc == E_OK && (text = ctl_option_nth(c, "limit", i)) != NULL; i++)
		rc = health_limit_set(v, text, &c->err);
	return rc;
}

/* The points noted so far and the present one: the forecast is between the ends. */
static void take_growth(struct health_facts *f, const char *path, struct growth *now)
{
	struct health_state s;
	*now = (struct growth){f->now, f->disk.total - f->disk.free, f->store.stat.catalog_used, f->store.stat.fleet_used};
	if (health_state_load(&s, path, NULL) != E_OK)
		return;
	f->ngrowth = MIN(s.ngrowth, HEALTH_POINTS - 1u);
	memcpy(f->growth, s.growth + (s.ngrowth - f->ngrowth), f->ngrowth * sizeof(f->growth[0]));
	f->growth[f->ngrowth++] = *now;
}

/* Among what the jobs leave, where there are jobs. */
static const char *state_file(struct ctl *c, const char *jobs)
{
	const char *path = ctl_option(c, "state");
	if (path)
		return path;
	return jobs ? ctl_path(c, jobs, "health.state") : place_beside(c, "health.state");
}

static int run_health(struct ctl *c)
{
	struct finding v[HEALTH_CHECKS_MAX];
	struct health_facts *f = ARENA_NEW(&c->arena, struct health_facts);
	struct health_places p;
	struct growth now;
	enum level worst;
	if (!f)
		return err_set(&c->err, E_NOMEM, "out of memory");
	f->now = c->now;
	int rc = take_limits(c, f->limit);
	if (rc == E_OK)
		rc = places_of(c, &p);
	const char *path = rc == E_OK ? state_file(c, p.jobs) : NULL;
	if (rc == E_OK && !path)
		rc = err_set(&c->err, E_NOMEM, "out of memory");
	if (rc != E_OK)
		return rc;
	health_gather(f, &p, &c->arena);
	take_growth(f, path, &now);
	unsigned n = health_judge(f, v, &worst);
	for (unsigned i = 0; i < n; i++)
		make_safe(v[i].what, sizeof(v[i].what));
	bool known = f->store.known == KNOWN && f->disk.known == KNOWN;
	if (ctl_option(c, "notify"))
		notify(c, path, known ? &now : NULL, v, &n, &worst);
	write_metrics(c, f, v, &n, &worst);
	say(c, v, n, worst);
	c->status = (int)worst;
	return rc;
}

/* ---- status ---- */

struct last_change {
	tick_t at;
	struct slice text;
};

static int keep_last(tick_t at, struct slice admin, struct slice text, void *arg)
{
	struct last_change *l = arg;
	(void)admin;
	*l = (struct last_change){at, text};
	return E_OK;
}

struct contacts {
	tick_t now, newest;
	int64_t day, week, month;
};

static int count_contact(const struct computer *k, void *arg)
{
	struct contacts *n = arg;
	tick_t age = n->now - k->last_seen;
	n->day += age < DAY;
	n->week += age < 7 * DAY;
	n->month += age < 30 * DAY;
	n->newest = MAX(n->newest, k->last_seen);
	return E_OK;
}

static void show_numbers(struct ctl *c, const struct store_stat *s, const struct contacts *k)
{
	const struct {
		const char *key, *title;
		enum cell kind;
		int64_t v;
	} rows[] = {
		{"updates", "Updates", CELL_NUMBER, s->updates},
		{"revisions", "Revisions", CELL_NUMBER, s->revisions},
		{"declined", "Updates declined", CELL_NUMBER, s->declined},
		{"deployments", "Approvals", CELL_NUMBER, s->deployments},
		{"groups", "Groups", CELL_NUMBER, s->groups},
		{"computers", "Computers", CELL_NUMBER, s->computers},
		{"computers_day", "  seen in a day", CELL_NUMBER, k->day},
		{"computers_week", "  in a week", CELL_NUMBER, k->week},
		{"computers_month", "  in a month", CELL_NUMBER, k->month},
		{"last_contact", "  the last", CELL_TIME, k->newest},
		{"files", "Files named", CELL_NUMBER, s->files},
		{"files_stored", "Files here", CELL_NUMBER, s->files_stored},
		{"catalog_used", "Catalog in use", CELL_BYTES, (int64_t)s->catalog_used},
		{"fleet_used", "Fleet in use", CELL_BYTES, (int64_t)s->fleet_used},
	};
	for (unsigned i = 0; i < COUNTOF(rows); i++)
		out_field_number(&c->out, rows[i].key, rows[i].title, rows[i].kind, rows[i].v);
}

static void show_services(struct ctl *c, const struct health_facts *f)
{
	struct buf b;
	buf_init(&b, 4096);
	for (unsigned i = 0; i < HEALTH_SERVICES; i++)
		if (f->service[i].known == KNOWN)
			buf_printf(&b, "%s%s %s", b.n ? ", " : "", f->service[i].name, f->service[i].answers ? "answers" : "does not answer");
	out_field_text(&c->out, "services", "Services", b.n ? arena_copy(&c->arena, buf_bytes(&b)) : SL("no sockets here"));
	buf_free(&b);
}

static void show_machine(struct ctl *c, const struct health_facts *f)
{
	show_services(c, f);
	out_field_number(&c->out, "disk_free", "Disk free", CELL_BYTES, (int64_t)f->disk.free);
	out_field_number(&c->out, "certificate_ends", "Certificate ends", CELL_TIME, f->server.known == KNOWN ? f->server.ends : 0);
	out_field_number(&c->out, "authority_ends", "Authority ends", CELL_TIME,
		f->authority.known == KNOWN ? f->authority.ends : 0);
}

static void show_store(struct ctl *c, const struct store_stat *s)
{
	char id[GUID_TEXT + 1];
	guid_text(&s->state.server_id, id);
	out_field_text(&c->out, "server_id", "ServerID", arena_copy(&c->arena, slice_of(id)));
	out_field_number(&c->out, "generation", "Generation", CELL_NUMBER, s->state.generation);
	out_field_text(&c->out, "store", "Store", slice_of(c->store_dir));
	out_field_text(&c->out, "store_found", "  found by", slice_of(c->store_found));
}

static int run_status(struct ctl *c)
{
	struct store_stat s;
	struct health_facts *f = ARENA_NEW(&c->arena, struct health_facts);
	struct health_places p;
	struct contacts k = {.now = c->now};
	struct last_change l = {0, SL0};
	if (!f)
		return err_set(&c->err, E_NOMEM, "out of memory");
	int rc = places_of(c, &p);
	if (rc != E_OK)
		return rc;
	p.url = NULL;
	health_gather_quick(f, &p, &c->arena);
	rc = store_stat(c->txn, &s, &c->err);
	if (rc == E_OK)
		rc = computer_each(c->txn, count_contact, &k, &c->err);
	if (rc == E_OK)
		rc = audit_each(c->txn, keep_last, &l, &c->err);
	if (rc != E_OK)
		return rc;
	out_object_begin(&c->out);
	show_store(c, &s);
	show_numbers(c, &s, &k);
	show_machine(c, f);
	out_field_number(&c->out, "changed", "Last change", CELL_TIME, l.at);
	out_field_text(&c->out, "change", "  was", l.text);
	out_object_end(&c->out);
	return E_OK;
}

static const struct option_row health_options[] = {
	{"url", "URL", "where computers are told to go (default: url of wsus.conf, else made of the certificate's name)"},
	{"ca", "FILE", "the authority that computers trust (default: ours, else the system's)"},
	{"limit", "NAME=N", "another threshold; may be repeated"},
	{"notify", NULL, "run the command for what changed since the last time, note levels and growth"},
	{"command", "COMMAND", "what --notify runs, with EVENT CHECK LEVEL CAUSE REMEDY (default: notify.command of wsus.conf)"},
	{"metrics", "FILE", "write the numbers for Prometheus there too"},
	{"state", "FILE", "where that is noted (default: health.state in jobs/ beside the store)"},
	{0},
};

const struct command health_commands[] = {
	{"health", NULL, "", "is the server well? for monitoring: exit status 0 OK, 1 warning, 2 critical, 3 unknown", 0, 0,
		NEED_CHECK, health_options, run_health, NULL, "Every line that is not OK ends with its remedy."},
	{"status", NULL, "", "one screen: store, updates, computers, services, certificate, last change", 0, 0, NEED_READ, NULL,
		run_status, NULL, NULL},
	{0},
};
