/* wsusctl.c -- from the command line to a command row, and from its result to words and exit status. */
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/text.h"
#include "ctl/cmd.h"

enum { DONE, FAILED, USAGE };

#define ARENA_MAX ((size_t)4 << 30)

static const struct command *const tables[] = {
	update_commands, policy_commands, group_commands, computer_commands, config_commands, content_commands,
	store_commands,
};

static const struct option_row everywhere[] = {
	{"store", "DIR", "the store (default: $WSUS_STORE, ./var/store, /var/lib/wsus-fcgi/store)"},
	{"json", NULL, "print JSON for programs"},
	{"admin", "NAME", "who does this, for the records (default: who is logged in)"},
	{"help", NULL, "explain this command"},
	{0},
};

/* ---- words for people ---- */

void ctl_say(struct ctl *c, const char *fmt, ...)
{
	va_list ap;
	if (c->json)
		return;
	ctl_progress_end(c);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

void ctl_complain(struct ctl *c, const char *fmt, ...)
{
	va_list ap;
	ctl_progress_end(c);
	fflush(stdout);
	fputs("wsusctl: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	c->failed = true;
}

void ctl_progress(struct ctl *c, const char *fmt, ...)
{
	va_list ap;
	tick_t now = time_now();
	if (c->json || !isatty(STDERR_FILENO) || now - c->progressed < TICKS_PER_SECOND / 10)
		return;
	c->progressed = now;
	c->progress_open = true;
	fputs("\r\033[K", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
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
			printf("  %-20s %s\n", left, k->summary);
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
		snprintf(left, sizeof(left), "--%s%s%s", o->name, gap(o->arg), o->arg ? o->arg : "");
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

static bool help_noun(const char *noun)
{
	bool found = false;
	for (unsigned t = 0; t < COUNTOF(tables); t++) {
		for (const struct command *k = tables[t]; k->noun; k++) {
			if (strcmp(k->noun, noun) != 0)
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

/* Takes --name, --name=value or --name value at argv[*i]. */
static int take_option(struct ctl *c, int argc, char **argv, int *i)
{
	const char *name = argv[*i] + 2, *eq = strchr(name, '=');
	size_t n = eq ? (size_t)(eq - name) : strlen(name);
	const struct option_row *o = find_option(everywhere, name, n);
	if (!o && c->cmd)
		o = find_option(c->cmd->options, name, n);
	if (!o)
		return err_set(&c->err, E_USAGE, "no option --%.*s here", (int)n, name);
	if (c->nopt == CTL_VALUES)
		return err_set(&c->err, E_USAGE, "more than %d options", CTL_VALUES);
	const char *value = eq ? eq + 1 : "";
	if (o->arg && !eq) {
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
		} else if (c->cmd) {
			c->pos[c->npos++] = argv[i];
		} else {
			noun = argv[i];
			c->cmd = find_command(noun, i + 1 < argc ? argv[i + 1] : NULL, &words);
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

/* ---- the places ---- */

static bool is_directory(const char *path)
{
	struct stat st;
	return path && stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Accepts the state directory too: DIR/store is meant where DIR has no catalog of its own. */
static int settle_store(struct ctl *c, const char *dir)
{
	struct slice inner = arena_printf(&c->arena, "%s/store", dir);
	struct slice catalog = arena_printf(&c->arena, "%s/catalog", dir);
	if (!inner.p || !catalog.p)
		return err_set(&c->err, E_NOMEM, "out of memory");
	c->store_dir = !is_directory(catalog.p) && is_directory(inner.p) ? inner.p : dir;
	struct slice content = arena_printf(&c->arena, "%s/../content", c->store_dir);
	c->content_dir = content.p;
	return content.p ? E_OK : err_set(&c->err, E_NOMEM, "out of memory");
}

static int find_places(struct ctl *c)
{
	const char *dir = ctl_option(c, "store");
	if (!dir)
		dir = getenv("WSUS_STORE");
	if (!dir || !dir[0])
		dir = is_directory("var/store/catalog") ? "var/store" : "/var/lib/wsus-fcgi/store";
	return settle_store(c, dir);
}

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

static int open_store(struct ctl *c)
{
	int rc = store_open(&c->store, c->store_dir, STORE_ADMIN, &c->err);
	if (rc == E_NOTFOUND)
		return err_set(&c->err, rc, "%s: no store here; give its place with --store DIR, or make one: wsusctl store create",
			c->store_dir);
	return rc;
}

/* ---- running it ---- */

static const struct {
	bool store, commit;
	enum txn_mode mode;
} needs[] = {
	[NEED_NOTHING] = {false, false, TXN_READ},
	[NEED_PLACE] = {false, false, TXN_READ},
	[NEED_READ] = {true, false, TXN_READ},
	[NEED_WRITE] = {true, true, TXN_CATALOG},
	[NEED_FLEET] = {true, true, TXN_FLEET},
	[NEED_STORE] = {true, false, TXN_READ},
};
static_assert(COUNTOF(needs) == NEED_STORE + 1, "needs and enum need end together");

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

static int run(struct ctl *c)
{
	enum need need = c->cmd->need;
	int rc = needs[need].store ? open_store(c) : E_OK;
	if (rc == E_OK && needs[need].store && need != NEED_STORE)
		rc = txn_begin(c->store, needs[need].mode, &c->txn, &c->err);
	if (rc == E_OK)
		rc = c->cmd->run(c);
	if (rc == E_OK && needs[need].commit)
		rc = commit(c);
	if (rc == E_OK && c->cmd->report)
		rc = report(c);
	txn_end(&c->txn);
	return rc;
}

static int finish(struct ctl *c, int rc)
{
	ctl_progress_end(c);
	if (!out_flush(&c->out) && rc == E_OK)
		rc = err_set(&c->err, E_IO, "writing the answer to standard output failed");
	if (rc != E_OK) {
		fflush(stdout);
		fprintf(stderr, "wsusctl: %s\n", c->err.text[0] ? c->err.text : err_name(rc));
	}
	store_close(&c->store);
	out_free(&c->out);
	arena_free(&c->arena);
	return rc == E_USAGE ? USAGE : rc != E_OK || c->failed ? FAILED : DONE;
}

/* help, NOUN help, --help: answered before anything else is looked at. */
static bool wants_help(int argc, char **argv)
{
	if (argc < 2 || strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		if (argc < 3 || !help_noun(argv[2]))
			help_all();
		return true;
	}
	bool last = strcmp(argv[argc - 1], "--help") == 0 || (argc == 3 && strcmp(argv[2], "help") == 0);
	return last && help_noun(argv[1]);
}

int wsusctl(int argc, char **argv)
{
	struct ctl c = {.now = time_now()};
	if (wants_help(argc, argv))
		return argc < 2 ? USAGE : DONE;
	arena_init(&c.arena, ARENA_MAX);
	int rc = parse(&c, argc, argv);
	c.json = rc == E_OK && ctl_option(&c, "json");
	out_init(&c.out, c.json, &c.arena);
	c.admin = who(&c);
	if (rc == E_OK)
		rc = check_arguments(&c);
	if (rc == E_OK && c.cmd->need != NEED_NOTHING)
		rc = find_places(&c);
	return finish(&c, rc == E_OK ? run(&c) : rc);
}
