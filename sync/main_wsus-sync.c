/* main_wsus-sync.c -- the jobs of a downstream server: from the command line to one of them.  wsus-sync(8). */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/site.h"
#include "sync/sync.h"

#define ARENA_MAX ((size_t)16 << 20)

enum flag { F_STORE, F_CONTENT, F_CONF, F_JSON, F_LOG, F_QUIET, F_SCHEDULED, F_CATEGORIES, F_NO_CONTENT, F_RETRY, F_SET, F_HELP, F__N };
#define BIT(f) (1u << (f))
#define EVERYWHERE (BIT(F_STORE) | BIT(F_CONTENT) | BIT(F_CONF) | BIT(F_JSON) | BIT(F_LOG) | BIT(F_QUIET) | BIT(F_HELP))

static const struct {
	const char *name, *arg, *help;
} flags[F__N] = {
	[F_STORE] = {"store", "DIR", "the store (default: $WSUS_STORE, that of wsus.conf, ./var/store, the installed one)"},
	[F_CONTENT] = {"content", "DIR", "the content directory (default: that of wsus.conf, else beside the store)"},
	[F_CONF] = {"conf", "FILE", "the configuration file (default: $WSUS_CONF, " CONF_FILE ")"},
	[F_JSON] = {"json", NULL, "an object a line for programs: begin and result of phases, progress, notes, the end"},
	[F_LOG] = {"log", NULL, "a line with its time for each phase, for a log"},
	[F_QUIET] = {"quiet", NULL, "say nothing but why it failed"},
	[F_SCHEDULED] = {"scheduled", NULL, "only what is due (a run: by the setting sync.schedule); if that is nothing, say nothing"},
	[F_CATEGORIES] = {"categories", NULL, "only which products and classifications there are"},
	[F_NO_CONTENT] = {"no-content", NULL, "do not begin to fetch files when it is done"},
	[F_RETRY] = {"retry", NULL, "try at once what failed and would wait"},
	[F_SET] = {"set", "NAME=VALUE", "as if this setting had this value; may be repeated"},
	[F_HELP] = {"help", NULL, "explain this command"},
};

static const struct verb {
	const char *name;
	int (*job)(const struct job_options *o);
	unsigned flags;
	const char *args, *summary, *more;
} verbs[] = {
	{"run", job_sync, BIT(F_SCHEDULED) | BIT(F_CATEGORIES) | BIT(F_NO_CONTENT), NULL,
		"synchronize with the upstream server",
		"A run that ended early, however it ended, is taken up where it stopped.  `wsusctl sync status` shows\n"
		"      one under way and the last one, `wsusctl sync history` those before."},
	{"content", job_content, BIT(F_SCHEDULED) | BIT(F_RETRY), NULL,
		"fetch the files that approved updates need",
		"A transfer that was cut goes on where it stopped.  `wsusctl content status` shows what is missing."},
	{"check", job_check, BIT(F_SET), NULL,
		"try to reach the upstream server: name, certificate, proxy, login, configuration; keep nothing", NULL},
	{"count", job_count, 0, "[product=ID|classification=ID...]",
		"ask the upstream server how many updates choices would bring, and how large they are",
		"Only the numbers are kept.  `wsusctl product list` shows them."},
};

static void print_usage(FILE *to)
{
	fputs("usage: wsus-sync COMMAND [ARGUMENT...] [--OPTION...]\n\n", to);
	for (size_t i = 0; i < COUNTOF(verbs); i++)
		fprintf(to, "  %-8s %s\n", verbs[i].name, verbs[i].summary);
	fputs("\n`wsus-sync COMMAND --help` explains a command, wsus-sync(8) all of them.\n"
	      "Exit status: 0 done (or not due), 1 failed, 2 wrong usage, 4 cancelled, 75 it runs already\n",
		to);
}

static void print_help(const struct verb *v)
{
	printf("  wsus-sync %s%s%s\n      %s\n", v->name, v->args ? " " : "", v->args ? v->args : "", v->summary);
	for (unsigned f = 0; f < F__N; f++) {
		char left[48];
		snprintf(left, sizeof(left), "--%s%s%s", flags[f].name, flags[f].arg ? " " : "", flags[f].arg ? flags[f].arg : "");
		if ((v->flags | EVERYWHERE) & BIT(f))
			printf("      %-16s %s\n", left, flags[f].help);
	}
	if (v->more)
		printf("      %s\n", v->more);
}

struct line {
	const struct verb *verb;
	unsigned given; /* BIT(flag) */
	const char *value[F__N];
	const char **args, **set;
	unsigned nargs, nset;
};

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < COUNTOF(verbs); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

/* --name, --name=value or --name value at argv[*i]. */
static int take_flag(struct line *l, int argc, char **argv, int *i, struct err *e)
{
	const char *name = argv[*i] + 2, *eq = strchr(name, '=');
	size_t n = eq ? (size_t)(eq - name) : strlen(name);
	unsigned f = 0;
	while (f < F__N && (strlen(flags[f].name) != n || memcmp(flags[f].name, name, n) != 0))
		f++;
	if (f == F__N || !((l->verb->flags | EVERYWHERE) & BIT(f)))
		return err_set(e, E_USAGE, "wsus-sync %s has no option --%.*s", l->verb->name, (int)n, name);
	if (!flags[f].arg == !eq || (flags[f].arg && !eq && *i + 1 < argc)) {
		l->given |= BIT(f);
		l->value[f] = !flags[f].arg ? "" : eq ? eq + 1 : argv[++*i];
		if (f == F_SET)
			l->set[l->nset++] = l->value[f];
		return E_OK;
	}
	return flags[f].arg ? err_set(e, E_USAGE, "--%s needs a value: %s", flags[f].name, flags[f].arg)
			    : err_set(e, E_USAGE, "--%s takes no value", flags[f].name);
}

static int parse(struct line *l, int argc, char **argv, struct arena *a, struct err *e)
{
	int rc = E_OK;
	l->args = ARENA_ARRAY(a, const char *, (size_t)argc);
	l->set = ARENA_ARRAY(a, const char *, (size_t)argc);
	if (!l->args || !l->set)
		return err_set(e, E_NOMEM, "out of memory");
	for (int i = 2; i < argc && rc == E_OK; i++) {
		if (strcmp(argv[i], "-h") == 0)
			l->given |= BIT(F_HELP);
		else if (strncmp(argv[i], "--", 2) == 0)
			rc = take_flag(l, argc, argv, &i, e);
		else if (argv[i][0] == '-' || !l->verb->args)
			rc = err_set(e, E_USAGE, "wsus-sync %s does not know what to do with %s", l->verb->name, argv[i]);
		else
			l->args[l->nargs++] = argv[i];
	}
	unsigned forms = l->given & (BIT(F_JSON) | BIT(F_LOG) | BIT(F_QUIET));
	if (rc == E_OK && (forms & (forms - 1)))
		rc = err_set(e, E_USAGE, "one of --json, --log and --quiet is wanted");
	return rc;
}

/* What is under way ends at the next safe point.  Ctrl-C once more ends it at once: nothing is ever half done. */
static void stop(int signal_no)
{
	(void)signal_no;
	http_cancel();
}

static void heed_signals(void)
{
	struct sigaction a = {.sa_handler = stop}, was;
	sigaction(SIGTERM, &a, NULL);
	if (sigaction(SIGHUP, NULL, &was) == 0 && was.sa_handler != SIG_IGN) /* nohup */
		sigaction(SIGHUP, &a, NULL);
	a.sa_flags = (int)SA_RESETHAND;
	sigaction(SIGINT, &a, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static int find_places(const struct line *l, struct site *s, struct arena *a, struct err *e)
{
	if (l->value[F_CONF] && setenv("WSUS_CONF", l->value[F_CONF], 1) != 0)
		return err_set(e, E_NOMEM, "out of memory");
	int rc = site_find(s, l->value[F_STORE], a, e);
	if (rc == E_OK && l->value[F_CONTENT])
		s->content = l->value[F_CONTENT];
	return rc;
}

static int start(const struct line *l, struct arena *a, struct err *e, int *status)
{
	struct site s;
	int rc = find_places(l, &s, a, e);
	if (rc != E_OK)
		return rc;
	struct job_options o = {
		.store_dir = s.store,
		.content_dir = s.content,
		.form = l->given & BIT(F_JSON) ? REPORT_JSON : l->given & BIT(F_LOG) ? REPORT_LOG
			: l->given & BIT(F_QUIET) ? REPORT_QUIET : REPORT_TERMINAL,
		.scheduled = l->given & BIT(F_SCHEDULED),
		.categories_only = l->given & BIT(F_CATEGORIES),
		.no_content = l->given & BIT(F_NO_CONTENT),
		.retry = l->given & BIT(F_RETRY),
		.args = l->args,
		.nargs = l->nargs,
		.set = l->set,
		.nset = l->nset,
	};
	heed_signals();
	*status = l->verb->job(&o);
	return E_OK;
}

static int command(int argc, char **argv, struct arena *a, struct err *e, int *status)
{
	struct line l = {.verb = find_verb(argv[1])};
	if (!l.verb)
		return err_set(e, E_USAGE, "there is no command %s; `wsus-sync help` lists what there is", argv[1]);
	int rc = parse(&l, argc, argv, a, e);
	if (rc != E_OK)
		return rc;
	if (!(l.given & BIT(F_HELP)))
		return start(&l, a, e, status);
	print_help(l.verb);
	return E_OK;
}

static bool asks_for_help(int argc, char **argv)
{
	static const char *const words[] = {"help", "--help", "-h"};
	for (size_t i = 0; argc > 1 && i < COUNTOF(words); i++)
		if (strcmp(argv[1], words[i]) == 0)
			return true;
	return argc < 2;
}

int main(int argc, char **argv)
{
	struct arena a;
	struct err e = {0};
	int status = EXIT_DONE;
	if (asks_for_help(argc, argv)) {
		const struct verb *v = argc > 2 ? find_verb(argv[2]) : NULL;
		if (v)
			print_help(v);
		else
			print_usage(argc < 2 ? stderr : stdout);
		return argc < 2 ? EXIT_USAGE : EXIT_DONE;
	}
	arena_init(&a, ARENA_MAX);
	int rc = command(argc, argv, &a, &e, &status);
	if (rc != E_OK)
		fprintf(stderr, "wsus-sync: %s\n", e.text);
	arena_free(&a);
	if (rc != E_OK)
		return rc == E_USAGE ? EXIT_USAGE : EXIT_FAILED;
	return fflush(stdout) == 0 && !ferror(stdout) ? status : EXIT_FAILED;
}
