/* env.h -- what a store and a transaction are made of: for store.c, db.c and the few that look behind the
 * verbs (setting.c caches, audit.c counts pages and copies). */
#ifndef STORE_ENV_H
#define STORE_ENV_H

#include "store/db.h"

enum { CATALOG = STORE_CATALOG, FLEET = STORE_FLEET, ENV__N = STORE__PARTS };

struct env {
	MDB_env *mdb; /* NULL: fleet/ cannot be used, trouble says why */
	MDB_txn *reader; /* kept between read transactions: reset, then renewed */
	unsigned kind;
	char *path;
	size_t page; /* bytes */
	ino_t data, lock; /* the files that were opened: another may have their names by now */
	struct err trouble; /* why it was not opened, or what turned out to be damaged; E_OK: nothing */
};

struct txn {
	struct store *store;
	enum txn_mode mode;
	MDB_txn *mdb[ENV__N];
	struct err failed;           /* the first write that failed: commit then refuses */
	bool policy_free;            /* on a replica, too, see txn_policy_free() */
	uint64_t bytes[DB__N];       /* written so far, for txn_dirty() */
	uint64_t rows[DB__N];
	struct tally_sums *sums;     /* where tally_apply() adds up, see tally_gather() */
	size_t left[DB__N];          /* on the page onto which rows are being appended, see db_fit() */
};

struct store {
	char *dir;
	enum store_role role;
	struct env env[ENV__N];
	MDB_dbi dbi[DB__N];
	struct txn txn; /* the only one there is */
	bool busy;
	struct arena arena; /* of the transaction */
	int import_fd;      /* holds the import lock, -1: not held */

	/* the settings of one catalog snapshot, see setting.c */
	struct settings settings;
	struct buf settings_text;
	uint64_t settings_version; /* 0: none */
};

struct db_info {
	const char *name;
	unsigned flags;
	bool scattered; /* keys are digests: each row written dirties a page of its own */
	uint32_t since; /* the format that it came with; a store of an older one that is only read does without */
};
#define DBI_NONE ((MDB_dbi)0) /* of a database that is not there: reads find it empty.  LMDB has 0 for itself */
extern const struct db_info db_table[DB__N];
struct env_info {
	const char *name, *variable; /* folder; environment variable with the map's size in MB */
	size_t map;
	unsigned dir_mode, data_mode, lock_mode;
	enum db first, end;
};
extern const struct env_info env_table[ENV__N];

static inline unsigned env_of(enum db db)
{
	return db < DB__CATALOG ? CATALOG : FLEET;
}

/* Makes DIR/catalog or DIR/fleet, with the group of DIR. */
int env_mkdir(const char *dir, const struct env *v, struct err *e) MUST_CHECK;
/* A compact copy of the environment, in a directory of its name below dir; E_EXISTS: one is there. */
int env_copy(const struct env *v, const char *dir, struct err *e) MUST_CHECK;
/* The one place where results of LMDB become ours, with words for people.  Damage is noted in v->trouble. */
int env_error(struct env *v, int mdb_result, struct err *e);
/* E_DAMAGED if the file ends before pages that are in use. */
int env_whole(struct env *v, struct err *e) MUST_CHECK;
/* E_DAMAGED if an audit found this very file damaged, see store_note_damage(). */
int env_noted(const char *dir, const struct env *v, struct err *e) MUST_CHECK;
/* LMDB's own assertions, which would end the process, become damage of the environment. */
void env_catch(struct env *v);

#endif
