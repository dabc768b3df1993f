/* health.h -- is the server well?  Facts are gathered first (health_facts.c), then judged by one table of checks
 * (health.c), which asks neither clock nor disk; what was found last time lies in a small file (health_state.c).
 *
 * Levels and exit statuses are those of monitoring plug-ins.  A check that does not apply here says so and is OK. */
#ifndef CTL_HEALTH_H
#define CTL_HEALTH_H

#include <sys/types.h>

#include "common/arena.h"
#include "common/err.h"
#include "store/downstream.h"

enum level { LEVEL_OK, LEVEL_WARNING, LEVEL_CRITICAL, LEVEL_UNKNOWN, LEVEL__N };
extern const char *const level_names[LEVEL__N];
/* The worse of two: critical, unknown, warning, OK. */
enum level level_worse(enum level a, enum level b);

/* ---- thresholds ---- */
enum health_limit {
	LIM_DISK_WARN,
	LIM_DISK_CRITICAL,
	LIM_DAYS_WARN,
	LIM_DAYS_CRITICAL,
	LIM_MAP_WARN,
	LIM_MAP_CRITICAL,
	LIM_CERT_WARN,
	LIM_CERT_CRITICAL,
	LIM_CA_WARN,
	LIM_CA_CRITICAL,
	LIM_SILENT_WARN,
	LIM_TROUBLED_WARN,
	LIM_TICK_WARN,
	LIM_TICK_CRITICAL,
	LIM_FAULTS_WARN,
	LIM_FAULTS_CRITICAL,
	LIM_BACKUP_WARN,
	LIM_BACKUP_CRITICAL,
	LIM_SYNC_WARN,
	LIM_SYNC_CRITICAL,
	LIM__N
};
struct limit_info {
	const char *name;
	int64_t value;
	const char *unit, *why;
};
extern const struct limit_info health_limits[LIM__N];
/* "NAME=NUMBER" into v, which holds LIM__N values. */
int health_limit_set(int64_t *v, const char *text, struct err *e) MUST_CHECK;

/* ---- facts ---- */
#define HEALTH_WORDS 400
#define HEALTH_POINTS 60 /* one a day: two months say how fast something grows */
#define HEALTH_SERVICES 5
#define HEALTH_JOBS 7
#define HEALTH_CODES 12 /* kinds of faults: the protocol has eight that clients are told */
#define HEALTH_SLICE 500 /* revisions read at each run: 10 to 20 ms, and all of 100,000 in a day at one run in 5 min */

enum known { NOT_KNOWN, KNOWN, FAILED_TO_KNOW, FORBIDDEN }; /* not applicable or not there; there; it went wrong; to who asks */

struct growth { /* what was taken at a moment */
	tick_t at;
	uint64_t disk, catalog, fleet;
};
struct cert_facts {
	enum known known;
	tick_t ends;
	bool weak; /* signed with less than SHA-256 */
	char words[HEALTH_WORDS];
};
struct sync_facts { /* with the server above; plain bytes, too */
	bool wanted;          /* upstream.url is set */
	tick_t period;        /* of sync.schedule, 0: off */
	tick_t since;         /* the oldest run that is known began then, 0: none */
	tick_t last, good;    /* the newest that ended, and that ended well: when */
	tick_t took;          /* the newest: how long */
	bool failed;          /* the newest */
	uint32_t failures;    /* one after the other, of the newest ones */
	uint32_t documents;   /* of the last that ended well */
	char server[HEALTH_WORDS / 2], why[HEALTH_WORDS / 2], remedy[HEALTH_WORDS / 2];
	uint64_t needed_files, needed_bytes; /* not here yet */
	uint32_t failed_files;
	char file_why[HEALTH_WORDS / 2]; /* of one of them */
	uint64_t stored_bytes;           /* content files that are here */
	uint64_t quota, spare;           /* bytes; quota 0: none */
};
struct store_facts { /* plain bytes: they come through a pipe */
	enum known known; /* NOT_KNOWN: there is no store */
	char words[HEALTH_WORDS];
	uint32_t checked, bad; /* revisions of the slice */
	struct store_stat stat;
	unsigned hour, day, week, month; /* computers that came */
	tick_t newest;
	unsigned stale;     /* that did not for report.stale-days */
	unsigned troubled;  /* of those of the week: their last scan failed, or they come and have ceased to report */
	unsigned unscanned; /* of these, the former */
	struct {
		uint32_t reported, needing, failed, up_to_date, pending, sync_failed; /* computers */
		uint32_t updates_needed, updates_failed;
	} counts;
	unsigned downstream_approved, downstream_pending; /* downstream servers */
	struct wanted_totals wanted;
	unsigned overdue; /* approvals whose go-live time has passed */
	tick_t overdue_since;
	struct sync_facts sync;
};
struct job_facts {
	const char *name;
	enum known known;        /* KNOWN: it is to run here */
	tick_t since;            /* from when on */
	tick_t started, ended, succeeded; /* 0: never */
	bool failed;             /* the last time */
	bool running;            /* and some may take days */
	char words[HEALTH_WORDS];
};
struct disk_facts {
	enum known known;
	uint64_t total, free;
};
struct health_facts {
	tick_t now;
	int64_t limit[LIM__N];
	struct {
		enum known known;
		bool held;
		int64_t calls, ms; /* of one that held */
		char url[HEALTH_WORDS], words[HEALTH_WORDS];
		const char *ca; /* as in the places */
	} scan;
	struct cert_facts server, authority, successor; /* successor NOT_KNOWN: none is made */
	const char *tls;             /* their directory */
	char unserved[HEALTH_WORDS]; /* file of a certificate for this address, another than the one served; empty: none */
	struct {
		const char *name;
		enum known known;
		bool answers;
		tick_t took; /* until it did */
		char words[HEALTH_WORDS];
	} service[HEALTH_SERVICES];
	struct store_facts store;
	struct disk_facts disk, content_disk; /* of the store; of content files */
	struct {
		enum known known;
		uint64_t requests, faults; /* of the last hour; faults: those of the server's own making */
		char last[HEALTH_WORDS];
		struct fault_count {
			char code[32];
			uint64_t n;
		} code[HEALTH_CODES]; /* what answers said, the client's own faults too */
		unsigned ncode;
	} log;
	tick_t up; /* since the machine started */
	struct job_facts job[HEALTH_JOBS];
	struct {
		enum known known; /* NOT_KNOWN: none is made each night */
		const char *dir;
		tick_t newest; /* 0: none is there */
		unsigned n;
		char words[HEALTH_WORDS];
	} backup;
	struct growth growth[HEALTH_POINTS];
	unsigned ngrowth;
};

/* ---- judging ---- */
struct finding {
	const char *check;
	enum level level;
	char what[HEALTH_WORDS], remedy[HEALTH_WORDS]; /* remedy empty if OK */
};
#define HEALTH_CHECKS_MAX 20
/* All checks in the table's order; returns their number, which leaves room for two, *worst the level of all. */
unsigned health_judge(const struct health_facts *f, struct finding out[HEALTH_CHECKS_MAX], enum level *worst);

/* ---- what was found last time (health_state.c) ---- */
struct health_state {
	struct {
		char check[32];
		enum level level;
		tick_t since;
	} was[HEALTH_CHECKS_MAX];
	unsigned n;
	struct growth growth[HEALTH_POINTS];
	unsigned ngrowth;
};
/* The text of such a file; what makes no sense in it is left out.  health_state_add() writes it. */
void health_state_read(struct health_state *s, struct slice text);
struct buf;
void health_state_add(struct buf *b, const struct health_state *s);
/* A file that is not there, or is none of ours, is an empty state; E_IO if it cannot be read. */
int health_state_load(struct health_state *s, const char *path, struct err *e) MUST_CHECK;
/* Replaces the file at once. */
int health_state_save(const struct health_state *s, const char *path, struct err *e) MUST_CHECK;
/* A file as it was or as it shall be, never a part of it. */
int health_replace(const char *path, struct slice text, mode_t mode, struct err *e) MUST_CHECK;
/* Adds a point unless the last is less than 20 hours old; the oldest goes when there is no room. */
void health_state_grow(struct health_state *s, const struct growth *g);

/* Is called once for each check whose level is another than last time.  E_OK: told. */
struct transition {
	const char *check, *event; /* "entered" what is not OK, "left" it */
	enum level level, before;
	tick_t since; /* when `before` began */
	const char *cause, *remedy;
};
typedef int health_tell(const struct transition *t, void *arg, struct err *e);
/* Tells what changed and notes it; what could not be told is not noted, so that the next run tells it.  Returns the
 * first error. */
int health_notify(struct health_state *s, const struct finding *v, unsigned n, tick_t now, health_tell *tell, void *arg,
	struct err *e) MUST_CHECK;

/* ---- for Prometheus (health_metrics.c) ---- */
/* Text exposition format 0.0.4; what is not known is left out. */
void health_metrics_add(struct buf *b, const struct health_facts *f, const struct finding *v, unsigned n);

/* ---- gathering (health_facts.c) ---- */
struct health_places {
	const char *store; /* directory of the store */
	const char *content; /* directory of content files; need not be there */
	const char *url;   /* the public one */
	const char *tls;   /* directory of certificates */
	const char *ca;    /* PEM, NULL: the system's store */
	const char *next;  /* PEM of the next authority; need not be there */
	const char *crt;   /* the server's own; need not be there */
	const char *run, *log; /* directories of sockets and logs, NULL: none found */
	const char *jobs;      /* what scripts/job.sh leaves, NULL: none found */
	const char *backups;   /* backup.to, empty: switched off, NULL: not known */
};
void health_gather(struct health_facts *f, const struct health_places *p, struct arena *a);
/* Jobs and backups alone (health_jobs.c). */
void health_jobs_look(struct health_facts *f, const struct health_places *p);
/* Without scan, store and logs: what is there at once. */
void health_gather_quick(struct health_facts *f, const struct health_places *p, struct arena *a);
/* Runs a program without a shell for at most that many seconds; its standard output goes to out (may be NULL: it
 * goes where ours goes).  *status: its exit status, 128 and more if a signal or we ended it. */
int health_run(const char *const *argv, unsigned seconds, struct buf *out, int *status, struct err *e) MUST_CHECK;

#endif
