/* wsusctl.c -- from the command line to a command row, and from its result to words and exit status. */
#include <errno.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/text.h"
#include "ctl/cmd.h"
#include "ctl/completion.h"
#include "ctl/place.h"
#include "store/report.h"

enum { DONE, FAILED, USAGE, UNKNOWN };

#define ARENA_MAX ((size_t)4 << 30)
#define WORDS_MAX ((size_t)1 << 20)

static const struct command *const tables[] = {
	update_commands, policy_commands, group_commands, computer_commands, event_commands, explain_commands, report_commands,
	downstream_commands, client_commands, config_commands,
	admission_commands, content_commands, store_commands, backup_commands, health_commands,
	sync_commands, log_commands, upstream_commands, choice_commands, trim_commands, cleanup_commands,
};

static const struct option_row everywhere[] = {
	{"store", "DIR", "the store (default: $WSUS_STORE, that of wsus.conf, ./var/store, /var/lib/wsus-fcgi/store)"},
	{"json", NULL, "print JSON for programs"},
	{"admin", "NAME", "who does this, for the records (default: who is logged in)"},
	{"help", NULL, "explain this command"},
	{0},
};

const struct option_row csv_options[] = {OPTION_CSV, {0}};

/* ---- words for people ---- */

/* File names, titles and names come from outside: what a terminal would obey is shown, not sent. */
static void PRINTF(2, 0) words(FILE *to, const char *fmt, va_list ap)
{
	char *text;
	struct buf safe;
	if (vasprintf(&text, fmt, ap) < 0)
		return;
	buf_init(&safe, WORDS_MAX);
	text_safe_add(&safe, slice_of(text));
	fprintf(to, "%.*s", SLF(buf_bytes(&safe)));
	buf_free(&safe);
	free(text);
}

void ctl_say(struct ctl *c, const char *fmt, ...)
{
	va_list ap;
	if (c->json)
		return;
	ctl_progress_end(c);
	va_start(ap, fmt);
	words(stdout, fmt, ap);
	va_end(ap);
	putchar('\n');
}

static void PRINTF(1, 0) wrong_words(const char *fmt, va_list ap)
{
	fflush(stdout);
	fputs("wsusctl: ", stderr);
	words(stderr, fmt, ap);
	fputc('\n', stderr);
}

static void PRINTF(1, 2) say_wrong(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	wrong_words(fmt, ap);
	va_end(ap);
}

void ctl_complain(struct ctl *c, const char *fmt, ...)
{
	va_list ap;
	ctl_progress_end(c);
	va_start(ap, fmt);
	wrong_words(fmt, ap);
	va_end(ap);
	c->failed = true;
}

void ctl_warn(struct ctl *c, const char *fmt, ...)
{
	va_list ap;
	ctl_progress_end(c);
	va_start(ap, fmt);
	wrong_words(fmt, ap);
	va_end(ap);
}

bool ctl_shows_progress(const struct ctl *c)
{
	return !c->json && isatty(STDERR_FILENO);
}

void ctl_progress(struct ctl *c, const char *fmt, ...)
{
	va_list ap;
	tick_t now = time_now();
	if (!ctl_shows_progress(c) || now - c->progressed < TICKS_PER_SECOND / 10)
		return;
	c->progressed = now;
	c->progress_open = true;
	fputs("\r\033[K", stderr);
	va_start(ap, fmt);
	words(stderr, fmt, ap);
	va_end(ap);
	fflush(stderr);
}

void ctl_progress_end(struct ctl *c)
{
	if (!c->progress_open)
		return;
	c->progress_open = false;
	fputs("\r\033[K", stderr);
	fflush(stderr);
}

/* ---- help ---- */

static const char *gap(const char *z)
{
	return z && z[0] ? " " : "";
}

static void print_synopsis(const struct command *k)
{
	printf("%s%s%s%s%s", k->noun, gap(k->verb), k->verb ? k->verb : "", gap(k->args), k->args ? k->args : "");
}

static void help_all(void)
{
	fputs("usage: wsusctl [--store DIR] COMMAND [ARGUMENT...] [--OPTION...]\n\n", stdout);
	for (unsigned t = 0; t < COUNTOF(tables); t++) {
		for (const struct command *k = tables[t]; k->noun; k++) {
			char left[80];
			snprintf(left, sizeof(left), "%s%s%s", k->noun, gap(k->verb), k->verb ? k->verb : "");
			printf("  %-24s %s\n", left, k->summary);
		}
	}
	fputs("\n`wsusctl NOUN help` explains the commands of a noun, `--help` behind a command that command.\n"
	      "ID is an UpdateID with an optional :REVISION, a KB number, or a part of a title that names one update.\n",
		stdout);
}

static void help_options(const struct option_row *o)
{
	for (; o && o->name; o++) {
		char left[64];
		snprintf(left, sizeof(left), "--%s%s%s", o->name, o->arg && o->arg[0] == '[' ? "" : gap(o->arg), o->arg ? o->arg : "");
		printf("      %-24s %s\n", left, o->help);
	}
}

static void help_command(const struct command *k)
{
	fputs("  wsusctl ", stdout);
	print_synopsis(k);
	printf("\n      %s\n", k->summary);
	help_options(k->options);
	if (k->more)
		printf("      %s\n", k->more);
	putchar('\n');
}

static const struct command *find_command(const char *noun, const char *verb, unsigned *words);

/* The commands of a noun, or the one with this verb; alone: the one without a verb, if there is one. */
static bool help_noun(const char *noun, const char *verb, bool alone)
{
	bool found = false;
	unsigned words;
	const struct command *only = verb || alone ? find_command(noun, verb, &words) : NULL;
	for (unsigned t = 0; t < COUNTOF(tables); t++) {
		for (const struct command *k = tables[t]; k->noun; k++) {
			if (strcmp(k->noun, noun) != 0 || (only ? k != only : verb != NULL))
				continue;
			help_command(k);
			found = true;
		}
	}
	if (found) {
		fputs("  everywhere:\n", stdout);
		help_options(everywhere);
	}
	return found;
}

/* ---- the command line ---- */

static const struct option_row *find_option(const struct option_row *o, const char *name, size_t n)
{
	for (; o && o->name; o++)
		if (strlen(o->name) == n && memcmp(o->name, name, n) == 0)
			return o;
	return NULL;
}

static int unknown_option(struct ctl *c, const char *word)
{
	const struct command *k = c->cmd;
	int n = (int)strcspn(word, "=");
	if (!k)
		return err_set(&c->err, E_USAGE, "unknown option %.*s; options of a command stand behind it", n, word);
	return err_set(&c->err, E_USAGE, "%s%s%s has no option %.*s; `wsusctl %s%s%s --help` lists what it has", k->noun,
		gap(k->verb), k->verb ? k->verb : "", n, word, k->noun, gap(k->verb), k->verb ? k->verb : "");
}

/* Takes --name, --name=value or --name value at argv[*i]. */
static int take_option(struct ctl *c, int argc, char **argv, int *i)
{
	const char *name = argv[*i] + 2, *eq = strchr(name, '=');
	size_t n = eq ? (size_t)(eq - name) : strlen(name);
	const struct option_row *o = find_option(everywhere, name, n);
	if (!o && c->cmd)
		o = find_option(c->cmd->options, name, n);
	if (!o)
		return unknown_option(c, argv[*i]);
	if (c->nopt == CTL_VALUES)
		return err_set(&c->err, E_USAGE, "more than %d options", CTL_VALUES);
	const char *value = eq ? eq + 1 : "";
	if (o->arg && !eq && o->arg[0] != '[') {
		if (*i + 1 == argc)
			return err_set(&c->err, E_USAGE, "--%s needs a value: %s", o->name, o->arg);
		value = argv[++*i];
	} else if (!o->arg && eq) {
		return err_set(&c->err, E_USAGE, "--%s takes no value", o->name);
	}
	c->opt[c->nopt].name = o->name;
	c->opt[c->nopt++].value = value;
	return E_OK;
}

const char *ctl_option_nth(const struct ctl *c, const char *name, unsigned n)
{
	for (unsigned i = 0; i < c->nopt; i++)
		if (strcmp(c->opt[i].name, name) == 0 && n-- == 0)
			return c->opt[i].value;
	return NULL;
}

const char *ctl_option(const struct ctl *c, const char *name)
{
	const char *last = NULL;
	for (unsigned i = 0; i < c->nopt; i++)
		if (strcmp(c->opt[i].name, name) == 0)
			last = c->opt[i].value;
	return last;
}

/* The row for these words; *words says how many of them it uses. */
static const struct command *find_command(const char *noun, const char *verb, unsigned *words)
{
	for (unsigned t = 0; t < COUNTOF(tables); t++) {
		for (const struct command *k = tables[t]; k->noun; k++) {
			if (strcmp(k->noun, noun) != 0 || (k->verb && (!verb || strcmp(k->verb, verb) != 0)))
				continue;
			*words = k->verb ? 2 : 1;
			return k;
		}
	}
	return NULL;
}

static bool is_noun(const char *noun)
{
	for (unsigned t = 0; t < COUNTOF(tables); t++)
		for (const struct command *k = tables[t]; k->noun; k++)
			if (strcmp(k->noun, noun) == 0)
				return true;
	return false;
}

/* Leading options, then noun and verb, then the rest in any order; -- ends the options. */
static int parse(struct ctl *c, int argc, char **argv)
{
	bool only_words = false;
	const char *noun = NULL;
	c->pos = ARENA_ARRAY(&c->arena, const char *, (size_t)argc + 1);
	if (!c->pos)
		return err_set(&c->err, E_NOMEM, "out of memory");
	for (int i = 1; i < argc; i++) {
		unsigned words;
		if (!only_words && strcmp(argv[i], "--") == 0) {
			only_words = true;
		} else if (!only_words && strncmp(argv[i], "--", 2) == 0) {
			int rc = take_option(c, argc, argv, &i);
			if (rc != E_OK)
				return rc;
		} else if (!only_words && argv[i][0] == '-' && argv[i][1]) {
			return unknown_option(c, argv[i]);
		} else if (c->cmd) {
			c->pos[c->npos++] = argv[i];
		} else {
			noun = argv[i];
			c->cmd = find_command(noun, i + 1 < argc ? argv[i + 1] : NULL, &words);
			if (!c->cmd && is_noun(noun) && i + 1 == argc)
				return err_set(&c->err, E_USAGE, "%s what?  `wsusctl %s help` lists its commands", noun, noun);
			if (!c->cmd)
				return err_set(&c->err, E_USAGE, "no command \"%s%s%s\"; try `wsusctl %s%shelp`", noun,
					i + 1 < argc ? " " : "", i + 1 < argc ? argv[i + 1] : "", is_noun(noun) ? noun : "",
					is_noun(noun) ? " " : "");
			i += (int)words - 1;
		}
	}
	return c->cmd ? E_OK : err_set(&c->err, E_USAGE, "no command given; try `wsusctl help`");
}

static int check_arguments(struct ctl *c)
{
	if (c->npos >= c->cmd->min && c->npos <= c->cmd->max)
		return E_OK;
	return err_set(&c->err, E_USAGE, "%s arguments; the form is: wsusctl %s%s%s%s%s",
		c->npos < c->cmd->min ? "too few" : "too many", c->cmd->noun, gap(c->cmd->verb),
		c->cmd->verb ? c->cmd->verb : "", gap(c->cmd->args), c->cmd->args ? c->cmd->args : "");
}

/* ---- the store, and who changes it ---- */

static struct slice who(struct ctl *c)
{
	static const char *const names[] = {"SUDO_USER", "LOGNAME", "USER"};
	const char *name = ctl_option(c, "admin");
	for (unsigned i = 0; !name && i < COUNTOF(names); i++)
		name = getenv(names[i]);
	if (name && name[0])
		return slice_of(name);
	const struct passwd *pw = getpwuid(getuid());
	return pw ? arena_copy(&c->arena, slice_of(pw->pw_name)) : arena_printf(&c->arena, "uid %u", (unsigned)getuid());
}

/* The store is mapped: what cannot be read comes as a signal. */
static void die_of_damage(enum store_part part, const char *what)
{
	dprintf(STDERR_FILENO, "wsusctl: %s/data.mdb: %s; " STORE_MENDS "\n", store_part_names[part], what);
	_exit(FAILED);
}

static store_damage_fn *on_damage = die_of_damage;
static sigjmp_buf opening;

void ctl_on_damage(store_damage_fn *fn)
{
	on_damage = fn;
	store_on_damage(fn);
}

static void leave_fleet_out(enum store_part part, const char *what)
{
	if (part != STORE_FLEET)
		on_damage(part, what);
	siglongjmp(opening, 1);
}

/* What the damage left of the first attempt is of fleet/ alone, and is not touched again. */
static int open_store(struct ctl *c)
{
	static const char *const skip[STORE__PARTS] = {
		[STORE_FLEET] = "fleet/data.mdb: cut short, or the disk cannot be read; " STORE_MENDS,
	};
	int rc;
	if (sigsetjmp(opening, 1) == 0) {
		store_on_damage(leave_fleet_out);
		rc = store_open(&c->store, c->store_dir, STORE_ADMIN, &c->err);
	} else {
		rc = store_open_but(&c->store, c->store_dir, STORE_ADMIN, skip, &c->err);
	}
	store_on_damage(on_damage);
	return rc;
}

int ctl_open_store(struct ctl *c)
{
	int rc = open_store(c);
	bool by_conf = c->conf.text.p && strchr(c->store_found, ':');
	if (rc == E_NOTFOUND)
		return err_set(&c->err, rc,
			"%s: no store here%s%s%s; give its place with --store DIR, or make one: wsusctl store create",
			c->store_dir, by_conf ? ", where " : "", by_conf ? c->store_found : "", by_conf ? " says it is" : "");
	if (rc == E_OK && store_trouble(c->store, STORE_FLEET))
		ctl_warn(c, "going on without what computers told: %s", store_trouble(c->store, STORE_FLEET));
	return rc;
}

/* ---- running it ---- */

static const struct {
	bool store, commit;
	enum txn_mode mode;
} needs[] = {
	[NEED_NOTHING] = {false, false, TXN_READ},
	[NEED_PLACE] = {false, false, TXN_READ},
	[NEED_CHECK] = {false, false, TXN_READ},
	[NEED_READ] = {true, false, TXN_READ},
	[NEED_WRITE] = {true, true, TXN_CATALOG},
	[NEED_STORE] = {true, false, TXN_READ},
};
static_assert(COUNTOF(needs) == NEED_STORE + 1, "needs and enum need end together");

int ctl_note(struct ctl *c, const char *fmt, ...)
{
	struct txn *t;
	char text[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	int rc = txn_begin(c->store, TXN_CATALOG, &t, &c->err);
	if (rc == E_OK)
		rc = audit_note(t, c->admin, "%s", text);
	if (rc == E_OK)
		rc = txn_commit(&t, &c->err);
	txn_end(&t);
	return rc;
}

static int commit(struct ctl *c)
{
	int rc = E_OK;
	if (c->cmd->need == NEED_WRITE)
		rc = publish(c->txn, c->now, &c->published, &c->err);
	return rc == E_OK ? txn_commit(&c->txn, &c->err) : rc;
}

static int report(struct ctl *c)
{
	int rc = txn_begin(c->store, TXN_READ, &c->txn, &c->err);
	return rc == E_OK ? c->cmd->report(c) : rc;
}

/* Counts of groups follow what the command changed; where they cannot now, the job of every minute comes back to it. */
static void follow(struct ctl *c)
{
	struct err why = {.code = E_OK};
	if (!c->txn && c->store && membership_catch_up(c->store, &why) != E_OK)
		ctl_warn(c, "all is done, but counts of computers by group will only follow later: %s", why.text);
}

static int run(struct ctl *c)
{
	enum need need = c->cmd->need;
	store_on_damage(on_damage);
	int rc = needs[need].store ? ctl_open_store(c) : E_OK;
	if (rc == E_OK && needs[need].store && need != NEED_STORE)
		rc = txn_begin(c->store, needs[need].mode, &c->txn, &c->err);
	if (rc == E_OK)
		rc = c->cmd->run(c);
	if (rc == E_OK && needs[need].commit)
		rc = commit(c);
	if (rc == E_OK && (needs[need].commit || need == NEED_STORE))
		follow(c);
	if (rc == E_OK && c->cmd->report)
		rc = report(c);
	txn_end(&c->txn);
	return rc;
}

static int output_failed(struct ctl *c)
{
	bool changed = needs[c->cmd->need].commit || c->cmd->need == NEED_STORE || c->cmd->need == NEED_PLACE;
	return err_set(&c->err, E_IO, "%sthe answer could not be written to standard output: %s",
		changed ? "all was done, but " : "", strerror(errno));
}

static int finish(struct ctl *c, int rc)
{
	ctl_progress_end(c);
	if (!out_flush(&c->out) && rc == E_OK)
		rc = output_failed(c);
	bool plugin = c->cmd && c->cmd->need == NEED_CHECK;
	if (rc != E_OK && plugin)
		printf("WSUS UNKNOWN - nothing could be checked: %s\n", c->err.text); /* monitoring reads standard output */
	if (rc != E_OK)
		say_wrong("%s", c->err.text[0] ? c->err.text : err_name(rc));
	if (rc != E_OK && c->candidates.p)
		fprintf(stderr, "%.*s", SLF(c->candidates));
	store_close(&c->store);
	out_free(&c->out);
	arena_free(&c->arena);
	if (plugin)
		return rc == E_OK ? c->status : UNKNOWN;
	return rc == E_USAGE ? USAGE : rc != E_OK || c->failed ? FAILED : DONE;
}

/* ---- help: answered before anything else is looked at ---- */

/* The first n words that are neither options nor the values of those that stand everywhere; missing: NULL. */
static void first_words(int argc, char **argv, const char **word, unsigned n)
{
	unsigned at = 0;
	for (int i = 1; i < argc && at < n; i++) {
		bool is_option = strncmp(argv[i], "--", 2) == 0;
		const struct option_row *o = is_option ? find_option(everywhere, argv[i] + 2, strlen(argv[i] + 2)) : NULL;
		if (o && o->arg)
			i++;
		else if (!is_option)
			word[at++] = argv[i];
	}
	while (at < n)
		word[at++] = NULL;
}

static bool asks_for_help(int argc, char **argv, const char *const *word)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	if (!word[0])
		return argc < 2;
	return strcmp(word[0], "help") == 0 || (word[1] && !word[2] && strcmp(word[1], "help") == 0);
}

/* `wsusctl help --completion`, for `make install`: not among the options, as nobody else needs it. */
static bool wants_completion(int argc, char **argv, const char *const *word)
{
	return argc == 3 && word[0] && strcmp(word[0], "help") == 0 && strcmp(argv[2], "--completion") == 0;
}

static int help(const char *noun, const char *verb, bool alone, bool completion)
{
	if (completion) {
		completion_print(tables, COUNTOF(tables), everywhere);
	} else if (!noun) {
		help_all();
	} else if (!help_noun(noun, verb, alone)) {
		say_wrong("no command \"%s%s%s\"; try `wsusctl help`", noun, gap(verb), verb ? verb : "");
		return USAGE;
	}
	if (fflush(stdout) == 0 && !ferror(stdout))
		return DONE;
	say_wrong("the help could not be written to standard output: %s", strerror(errno));
	return FAILED;
}

static enum out_form form_of(const struct ctl *c)
{
	return ctl_option(c, "json") ? OUT_JSON : ctl_option(c, "csv") ? OUT_CSV : OUT_TEXT;
}

int wsusctl(int argc, char **argv)
{
	const char *word[3];
	first_words(argc, argv, word, COUNTOF(word));
	if (asks_for_help(argc, argv, word)) {
		bool first = word[0] && strcmp(word[0], "help") == 0, second = word[1] && strcmp(word[1], "help") == 0;
		int status = help(first ? word[1] : word[0], first ? word[2] : second ? NULL : word[1], !second,
			wants_completion(argc, argv, word));
		return argc < 2 && status == DONE ? USAGE : status;
	}
	struct ctl c = {.now = time_now()};
	arena_init(&c.arena, ARENA_MAX);
	int rc = parse(&c, argc, argv);
	out_init(&c.out, rc == E_OK ? form_of(&c) : OUT_TEXT, &c.arena);
	c.json = c.out.form != OUT_TEXT;
	if (rc == E_OK && ctl_option(&c, "csv") && ctl_option(&c, "json"))
		rc = err_set(&c.err, E_USAGE, "--json or --csv, not both");
	c.admin = who(&c);
	if (rc == E_OK)
		rc = check_arguments(&c);
	if (rc == E_OK && c.cmd->need != NEED_NOTHING)
		rc = places_find(&c);
	return finish(&c, rc == E_OK ? run(&c) : rc);
}
