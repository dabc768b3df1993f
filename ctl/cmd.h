/* cmd.h -- the command table of wsusctl and what every command gets.
 *
 * One row per command: noun, verb, arguments, options, summary, what it needs of the store, and its
 * function.  Parsing, help, opening the store, the transaction and the exit status follow from the row.
 * Exit status: 0 done, 1 failed, 2 wrong usage. */
#ifndef CTL_CMD_H
#define CTL_CMD_H

#include "common/arena.h"
#include "common/conf.h"
#include "common/err.h"
#include "ctl/out.h"
#include "store/publish.h"
#include "store/store.h"

struct option_row {
	const char *name; /* without -- */
	const char *arg;  /* what its value is, NULL: a flag; "[=DAYS]": it may have one, behind = */
	const char *help;
};

/* Of commands that print a list; csv_options is that alone. */
#define OPTION_CSV {"csv", NULL, "print CSV for spreadsheets"}
extern const struct option_row csv_options[];

enum need {
	NEED_NOTHING, /* works without a store */
	NEED_PLACE,   /* the directories only: the store is not opened */
	NEED_READ,    /* one read transaction for the whole command, in ctl->txn */
	NEED_WRITE,   /* one TXN_CATALOG in ctl->txn: published and committed after run() */
	NEED_CHECK,   /* the directories only; a monitoring plug-in: what keeps it from its work is status 3 */
	NEED_STORE,   /* the store is open, the command handles its own transactions */
};

struct ctl;
struct command {
	const char *noun, *verb; /* verb NULL: the noun stands alone ("approve") */
	const char *args;        /* positional arguments, for help */
	const char *summary;
	unsigned min, max;
	enum need need;
	const struct option_row *options; /* ended by name == NULL; NULL: none */
	int (*run)(struct ctl *c);
	/* after publish and commit of NEED_WRITE, with a fresh read transaction: says what came of it */
	int (*report)(struct ctl *c);
	const char *more; /* a paragraph for help, may be NULL */
};

#define CTL_VALUES 64
struct ctl {
	const struct command *cmd;
	const char **pos;
	unsigned npos;
	struct {
		const char *name, *value;
	} opt[CTL_VALUES];
	unsigned nopt;
	bool json;               /* for programs: JSON, or CSV where out says so */
	const char *store_dir;   /* has catalog/ and fleet/ */
	const char *store_found; /* who named it: "--store", "WSUS_STORE", "FILE:LINE", "./var/store", "the default" */
	const char *content_dir; /* of the configuration file, else beside the store */
	struct conf conf;        /* the configuration file if it is for this store; else without text */
	struct slice admin;      /* who: --admin, SUDO_USER, LOGNAME, USER or the uid */
	struct store *store;
	struct txn *txn;
	struct publish_report published;
	struct arena arena;
	struct out out;
	struct err err;
	struct slice candidates; /* lines to stand below the error: what an ambiguous name may mean */
	tick_t now;
	int status;       /* exit status if all went well: of a monitoring plug-in */
	bool failed;      /* a part of the work failed and was reported: exit status 1 in the end */
	void *state;      /* what run() hands to report() */
	tick_t progressed;
	bool progress_open;
};

/* The tables of the parts, each ended by noun == NULL. */
extern const struct command update_commands[], policy_commands[], group_commands[], computer_commands[],
	client_commands[], config_commands[], content_commands[], store_commands[],
	backup_commands[], health_commands[], log_commands[], admission_commands[], downstream_commands[],
	upstream_commands[], choice_commands[], trim_commands[], sync_commands[], cleanup_commands[], report_commands[], event_commands[],
	explain_commands[];

/* The value of an option (the last given), NULL if absent; flags give "". */
const char *ctl_option(const struct ctl *c, const char *name);
/* The nth value (0 = first) of a repeatable option, NULL past the last. */
const char *ctl_option_nth(const struct ctl *c, const char *name, unsigned n);
/* What is printed with these is made safe for terminals: control characters of names and titles are shown.
 *
 * A line for people: on standard output as text, nowhere with --json. */
void ctl_say(struct ctl *c, const char *fmt, ...) PRINTF(2, 3);
/* A line about something that failed while the rest goes on: on standard error; sets failed. */
void ctl_complain(struct ctl *c, const char *fmt, ...) PRINTF(2, 3);
/* The same of something that is none of this command's work. */
void ctl_warn(struct ctl *c, const char *fmt, ...) PRINTF(2, 3);
/* Progress on a terminal's standard error: overwrites its own line, at most 10 times a second. */
void ctl_progress(struct ctl *c, const char *fmt, ...) PRINTF(2, 3);
void ctl_progress_end(struct ctl *c);
/* Is there somebody to see it?  Else what only serves progress need not be found out. */
bool ctl_shows_progress(const struct ctl *c);
/* A line in the record of changes, in a transaction of its own: for commands that handle theirs themselves. */
int ctl_note(struct ctl *c, const char *fmt, ...) PRINTF(2, 3);
/* For commands that need it only sometimes, after places_find(); closed in the end. */
int ctl_open_store(struct ctl *c);
/* What a page that cannot be read does, see store_on_damage(); without: words and the end. */
void ctl_on_damage(store_damage_fn *fn);
int wsusctl(int argc, char **argv);

/* ---- names to numbers (name.c) ---- */
/* ID: GUID, GUID:REVISION, a KB number with or without KB, or a part of a title that names one update. */
int name_revision(struct ctl *c, const char *id, struct revision *out);
int name_group(struct ctl *c, const char *name, uint32_t *out);
/* A computer by id or by its unique name (full, or first label); the id lies in the arena. */
int name_computer(struct ctl *c, const char *name, struct slice *out);
/* The end of such a search, whose result is rc: n fit, and list, which is freed, has them for people.  E_AMBIGUOUS with words;
 * E_NOTFOUND, whose words are the caller's. */
int name_found(struct ctl *c, int rc, unsigned n, struct buf *list, const char *many, const char *name);
/* 2026-12-24, 2026-12-24T18:00[:00][Z], or from now: +30m +12h +7d +2w. */
int name_time(struct ctl *c, const char *text, tick_t *out);
/* The same two, or ago: 30m 12h 7d 2w. */
int name_past(struct ctl *c, const char *text, tick_t *out);

#endif
