/* storm.h -- thousands of computers in one process: what b_storm.c, storm_http.c and storm_talk.c share.
 *
 * A struct computer is what a Windows Update Agent remembers between two visits: its cookie, and each revision it
 * knows with the action and leaf that it was told last.  A struct visit is a computer that talks just now, on a
 * connection of its own; it follows a walk, a list of operations, and is the only one that needs buffers. */
#ifndef TEST_BENCH_STORM_H
#define TEST_BENCH_STORM_H

#include <netinet/in.h>

#include "common/arena.h"
#include "common/buf.h"
#include "common/err.h"
#include "test/bench/spread.h"

#define MAX_PROFILES 64
#define MAX_GROUPS 16
#define MAX_WANTED 50       /* MaxExtendedUpdatesPerRequest of the product */
#define MAX_SYNCS 200       /* calls of one scan, after which native clients give up */
#define NO_ANSWER 120000000 /* us after which a request counts as never answered */

enum op { OP_CONFIG, OP_AUTH, OP_COOKIE, OP_REGISTER, OP_SYNC, OP_DRIVERS, OP_EXTENDED, OP_LOCATIONS,
	OP_CONTENT, OP_BAD, OP__MAX };

/* What a computer has: of all updates that are prerequisites this share counts as installed.  The choice is that
 * of wsus-probe --installed SHARE --seed SEED, so that wsus-probe can say what the right set is. */
struct profile {
	unsigned share, weight;
	uint64_t seed;
};

struct held {
	int32_t id;
	uint8_t action;   /* into action_name[] */
	bool leaf, takes; /* takes: counts as installed unless it is a leaf */
	bool parked;      /* cached, but out of scope as the last answer had it */
};

struct computer {
	uint32_t number;
	uint8_t profile, group;
	bool known, busy, failed;
	uint32_t n, cap;
	struct held *v;   /* by id, ascending */
	char *cookie;     /* <Expiration> and <EncryptedData> as the server wrote them */
	uint64_t cookie_at;
};

enum breaking { BREAK_NOT, BREAK_ASKING, BREAK_ANSWERED }; /* off while it sends, or at the answer's first bytes */

struct visit {
	int fd;
	struct computer *c;
	const enum op *walk;
	struct buf out, in;
	size_t sent, head;       /* head: bytes of the answer's head once it is whole */
	uint64_t want;           /* bytes of its body */
	int status;
	bool packed, closing, again, served;
	enum breaking breaking;
	unsigned bad, syncs;     /* which of the bad requests; calls of this scan */
	uint64_t began, longest;
	char *auth, *last_change, *digests, *url;
	int32_t wanted[MAX_WANTED];
	size_t nwanted;
};

/* What happened since the last reset_counts(). */
struct counts {
	struct spread of[OP__MAX], longest; /* longest: of each visit its longest wait */
	uint64_t calls, errors, sent, received, plain, visits, broken, late_us;
	char why[300];
};

extern struct counts counts;
extern struct profile profile[MAX_PROFILES];
extern const char *group[MAX_GROUPS];
extern struct sockaddr_in peer;
extern char peer_name[64];
extern uint64_t base_seed;
extern long drop_change; /* test only: the nth change that arrives is not taken in */

_Noreturn void quit(const char *what, const char *which);

/* ---- storm_http.c ---- */
/* The next event that needs work, at most so many ms away; calls visit_over() for each visit that ended. */
void http_start(void);
void http_turn(int ms);
void visit_open(struct visit *v);
void visit_close(struct visit *v);
/* Counts an error and ends the visit. */
void visit_fail(struct visit *v, const char *what);
void visit_over(struct visit *v); /* b_storm.c */
void visit_check(struct visit *v, uint64_t now);

/* ---- storm_unpack.c ---- */
/* An Xpress stream; adds its plain size to *plain_bytes.  Fragments met before are cut short. */
int storm_unpack(struct slice stream, struct buf *out, uint64_t *plain_bytes) MUST_CHECK;

/* ---- storm_talk.c ---- */
extern const enum op walk_fresh[], walk_scan[], walk_day[], walk_content[], walk_bad[];
extern const char *op_name(enum op op);
/* Puts the request of the walk's present step into v->out; false at the walk's end. */
bool talk_ask(struct visit *v);
/* The body of an answer with status 200 (or of a bad request), unpacked; NULL, or what is wrong with it.  Moves on
 * to the walk's next step. */
const char *talk_take(struct visit *v, struct slice plain);
/* As if all that is offered were new. */
void talk_want_offered(struct visit *v);
/* The set as text: a line for each revision, as a state file of wsus-probe has it. */
void computer_print(const struct computer *c, struct buf *out);
void computer_forget(struct computer *c);

#endif
