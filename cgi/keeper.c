/* keeper.c -- see keeper.h. */
#include "cgi/keeper.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/log.h"
#include "common/serve.h"
#include "common/text.h"

#define AGAIN_MS 2000       /* a store that did not open: a look costs two system calls */
#define AGAIN_DEEP_MS 60000 /* one with a page that could not be read: a look reads all of it */

/* What the workers of a service know together.  Words may be torn by two who write them at once; nothing hangs on them. */
struct notice {
	atomic_bool stopped, deep; /* deep: found by reading, so only reading all of it shows that it is gone */
	atomic_llong again;        /* ms, monotonic: who looks next sets it on */
	atomic_ullong mark;        /* the file that it was, store_file_mark() */
	atomic_uint said;          /* a digest of what the log was told last, 0: nothing */
	char words[400];
};

struct keeper {
	const char *dir;
	struct notice *board; /* shared, one for each part */
	struct store *store;
	bool guarded;
	sigjmp_buf guard;
};

static struct keeper *the_keeper; /* of this process, for the signal */

struct keeper *keeper_new(const char *dir)
{
	struct keeper *k = calloc(1, sizeof(*k));
	void *board = mmap(NULL, STORE__PARTS * sizeof(*k->board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!k || board == MAP_FAILED) {
		free(k);
		return NULL;
	}
	k->dir = dir;
	k->board = board;
	return k;
}

void keeper_close(struct keeper *k)
{
	if (k)
		store_close(&k->store);
}

static unsigned digest(const char *z)
{
	unsigned h = 1;
	while (*z)
		h = h * 31 + (unsigned char)*z++;
	return h ? h : 1;
}

/* One line for each thing that is found, whoever of the workers finds it. */
static void stop(struct keeper *k, enum store_part part, bool deep, const char *words)
{
	struct notice *n = &k->board[part];
	char text[sizeof(n->words)];
	snprintf(text, sizeof(text), "%s", words); /* may be the board's own */
	memcpy(n->words, text, sizeof(text));
	atomic_store(&n->mark, store_file_mark(k->dir, part));
	atomic_store(&n->again, time_monotonic_ms() + (deep ? AGAIN_DEEP_MS : AGAIN_MS));
	atomic_store(&n->deep, deep);
	atomic_store(&n->stopped, true);
	if (atomic_exchange(&n->said, digest(text)) != digest(text))
		log_line(LOG_ERROR, "%s/ is stopped, %s: %s", store_part_names[part],
			part == STORE_CATALOG ? "clients get ServerBusy" : "who needs it gets ServerBusy", text);
}

static void go_on(struct keeper *k, enum store_part part)
{
	struct notice *n = &k->board[part];
	if (atomic_exchange(&n->stopped, false))
		log_line(LOG_NOTICE, "%s/ is in use again", store_part_names[part]);
	atomic_store(&n->deep, false);
	atomic_store(&n->said, 0);
}

/* Has its file changed, or is it time to look? */
static bool is_due(struct keeper *k, enum store_part part)
{
	struct notice *n = &k->board[part];
	return time_monotonic_ms() >= atomic_load(&n->again) || store_file_mark(k->dir, part) != atomic_load(&n->mark);
}

/* The same, for one of the workers: the others learn what it found. */
static bool my_turn(struct keeper *k, enum store_part part)
{
	struct notice *n = &k->board[part];
	long long due = atomic_load(&n->again);
	if (!is_due(k, part))
		return false;
	atomic_store(&n->mark, store_file_mark(k->dir, part));
	return atomic_compare_exchange_strong(&n->again, &due, time_monotonic_ms() + (atomic_load(&n->deep) ? AGAIN_DEEP_MS : AGAIN_MS));
}

/* Does what the board says fit the store that is open? */
static bool fits(const struct keeper *k)
{
	return k->store && !atomic_load(&k->board[STORE_CATALOG].stopped) &&
	       atomic_load(&k->board[STORE_FLEET].stopped) == !store_has(k->store, STORE_FLEET);
}

/* A part that was stopped for what reading it showed is read as a whole before it is used again. */
static bool part_is_good(struct keeper *k, enum store_part part)
{
	struct err e = {E_OK, ""};
	if (store_trouble(k->store, part)) {
		stop(k, part, atomic_load(&k->board[part].deep), store_trouble(k->store, part));
		return false;
	}
	if (!atomic_load(&k->board[part].deep) || store_read_all(k->store, part, &e) == E_OK)
		return true;
	stop(k, part, true, e.text);
	return false;
}

/* Opens what the board does not keep closed, and what is looked at anew. */
static void open_again(struct keeper *k)
{
	struct err e = {E_OK, ""};
	const char *skip[STORE__PARTS] = {0};
	for (enum store_part part = 0; part < STORE__PARTS; part++)
		if (atomic_load(&k->board[part].stopped) && !my_turn(k, part))
			skip[part] = k->board[part].words;
	if (skip[STORE_CATALOG])
		return;
	if (store_open_but(&k->store, k->dir, STORE_SERVICE, skip, &e) != E_OK) {
		stop(k, STORE_CATALOG, atomic_load(&k->board[STORE_CATALOG].deep), e.text);
		return;
	}
	if (!part_is_good(k, STORE_CATALOG)) {
		store_close(&k->store);
		return;
	}
	go_on(k, STORE_CATALOG);
	if (!skip[STORE_FLEET] && part_is_good(k, STORE_FLEET))
		go_on(k, STORE_FLEET);
}

/* Is there anything that only a system call tells? */
static bool changed(struct keeper *k)
{
	return k->store && (store_moved(k->store) || store_noted(k->store) ||
				   (!store_has(k->store, STORE_FLEET) && is_due(k, STORE_FLEET)));
}

struct store *keeper_store(struct keeper *k, bool idle, bool *other, struct err *e)
{
	*other = false;
	if (!fits(k) || (idle && changed(k))) {
		*other = true;
		store_close(&k->store);
		open_again(k);
		if (k->store && !fits(k)) /* fleet/ was found damaged on the way */
			store_close(&k->store);
	}
	if (!k->store)
		err_set(e, E_DAMAGED, "%s", k->board[STORE_CATALOG].words);
	return k->store;
}

void keeper_look(struct keeper *k)
{
	if (!k->store)
		return;
	for (enum store_part part = 0; part < STORE__PARTS; part++)
		if (store_trouble(k->store, part) && !atomic_load(&k->board[part].stopped))
			stop(k, part, true, store_trouble(k->store, part));
}

/* In a signal's handler, or below an assertion of LMDB: in either case in the midst of reading the map, never of
 * allocating or of writing to the log. */
static void on_damage(enum store_part part, const char *what)
{
	struct keeper *k = the_keeper;
	char words[sizeof(k->board->words)];
	snprintf(words, sizeof(words), "%s/%s/data.mdb: %s; " STORE_MENDS, k->dir, store_part_names[part], what);
	stop(k, part, true, words);
	if (k->guarded)
		siglongjmp(k->guard, 1);
	_exit(SERVE_AGAIN);
}

void keeper_begin(struct keeper *k)
{
	the_keeper = k;
	store_on_damage(on_damage);
}

sigjmp_buf *keeper_guard(struct keeper *k)
{
	k->guarded = true;
	return &k->guard;
}

void keeper_unguard(struct keeper *k)
{
	k->guarded = false;
}
