/* store.c -- the two LMDB environments: making, opening, transactions, growth, stale readers.
 *
 * A transaction takes at most one writer's lock, and takes it before its snapshot of the other environment:
 * nobody can wait in a circle, and nobody pins old pages while waiting.  Files have explicit modes, whatever
 * the umask: services belong to the group of the store's directory, read catalog/data.mdb and write only the
 * lock files and fleet/. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/text.h"
#include "store/env.h"
#include "store/publish.h"
#include "store/report_parts.h"

#define READERS 1024 /* slots: workers of all services and the tools */

const struct db_info db_table[DB__N] = {
	[DB_META] = {"meta", 0, false, 1},
	[DB_SETTING] = {"setting", 0, false, 1},
	[DB_UPDATE] = {"update", 0, false, 1},
	[DB_UPDATE_ID] = {"update_id", 0, true, 1},
	[DB_IDENTITY] = {"identity", 0, true, 1},
	[DB_REVISION] = {"revision", 0, false, 1},
	[DB_RELATION] = {"relation", 0, false, 1},
	[DB_FRAGMENT] = {"fragment", 0, false, 1},
	[DB_FILE] = {"file", 0, true, 1},
	[DB_REV_FILE] = {"rev_file", 0, false, 1},
	[DB_FILE_REV] = {"file_rev", MDB_DUPSORT, true, 1},
	[DB_EULA] = {"eula", 0, true, 1},
	[DB_GROUP] = {"group", 0, false, 1},
	[DB_GROUP_NAME] = {"group_name", 0, true, 1},
	[DB_ASSIGN] = {"assign", 0, true, 1},
	[DB_DEPLOY] = {"deploy", 0, false, 1},
	[DB_DEPLOY_REV] = {"deploy_rev", 0, false, 1},
	[DB_PENDING] = {"pending", 0, false, 1},
	[DB_WAITING] = {"waiting", 0, false, 1},
	[DB_LOG] = {"log", 0, false, 1},
	[DB_ARRAY] = {"array", 0, false, 1},
	[DB_AUDIT] = {"audit", 0, false, 1},
	[DB_ADMITTED] = {"admitted", 0, true, 3},
	[DB_CHOICE] = {"choice", 0, true, 4},
	[DB_HISTORY] = {"history", 0, false, 4},
	[DB_FETCH] = {"fetch", 0, true, 4},
	[DB_MIRROR] = {"mirror", 0, true, 4},
	[DB_FMETA] = {"fmeta", 0, false, 1},
	[DB_COMPUTER] = {"computer", 0, true, 1},
	[DB_SEEN] = {"seen", 0, true, 1},
	[DB_DOWNSTREAM] = {"downstream", 0, true, 3},
	[DB_WANTED] = {"wanted", 0, true, 3},
	[DB_STANDING] = {"standing", 0, true, 5},
	[DB_STATUS] = {"status", 0, true, 5},
	[DB_COHORT] = {"cohort", 0, false, 5},
	[DB_COHORT_OF] = {"cohort_of", 0, false, 5},
	[DB_TALLY] = {"tally", 0, false, 5},
	[DB_OS] = {"os", 0, false, 5},
	[DB_OS_OF] = {"os_of", 0, true, 5},
	[DB_ACTIVITY] = {"activity", 0, true, 5},
	[DB_SCANNED] = {"scanned", 0, true, 5},
	[DB_DEVICE] = {"device", 0, true, 5},
	[DB_FACE] = {"face", 0, true, 5},
#define SEGMENT(hex, n) [DB_EVENT + (n)] = {"event_" hex, 0, true, 5}
	SEGMENT("0", 0), SEGMENT("1", 1), SEGMENT("2", 2), SEGMENT("3", 3), SEGMENT("4", 4), SEGMENT("5", 5), SEGMENT("6", 6), SEGMENT("7", 7),
	SEGMENT("8", 8), SEGMENT("9", 9), SEGMENT("a", 10), SEGMENT("b", 11), SEGMENT("c", 12), SEGMENT("d", 13), SEGMENT("e", 14),
	SEGMENT("f", 15),
#undef SEGMENT
};
static_assert(COUNTOF(db_table) == DB__N, "db_table and enum db end together");

#define GIB ((size_t)1 << 30)
const struct env_info env_table[ENV__N] = {
	[CATALOG] = {"catalog", "WSUS_CATALOG_MAP_MB", 64 * GIB, 02750, 0640, 0660, DB_META, DB__CATALOG},
	[FLEET] = {"fleet", "WSUS_FLEET_MAP_MB", 16 * GIB, 02770, 0660, 0660, DB__CATALOG, DB__N},
};

/* ================= results of LMDB ================= */

static const struct {
	int mdb;
	enum errcode code;
	const char *words;
} results[] = {
	{MDB_NOTFOUND, E_NOTFOUND, "no such record"},
	{MDB_KEYEXIST, E_EXISTS, "the record exists already"},
	{MDB_BAD_VALSIZE, E_LIMIT, "a key is empty or too long"},
	{MDB_TXN_FULL, E_LIMIT, "too many changes in one transaction"},
	{MDB_READERS_FULL, E_BUSY, "all reader slots are taken; stop some processes"},
	{MDB_MAP_RESIZED, E_BUSY, "another process enlarged the map; try again"},
	{MDB_VERSION_MISMATCH, E_VERSION, "written by another version of LMDB"},
	{MDB_INVALID, E_DAMAGED, "not an LMDB file"},
	{MDB_CORRUPTED, E_DAMAGED, "a page is damaged"},
	{MDB_PAGE_NOTFOUND, E_DAMAGED, "a page is missing"},
	{MDB_CURSOR_FULL, E_DAMAGED, "its pages lead in a circle"},
	{MDB_INCOMPATIBLE, E_DAMAGED, "a database is of another kind"},
	{MDB_BAD_DBI, E_DAMAGED, "a database is missing"},
	{EIO, E_DAMAGED, "the disk cannot be read"},
	{MDB_PANIC, E_IO, "an earlier write to the disk failed; restart the process"},
	{MDB_BAD_TXN, E_IO, "the transaction failed before"},
};

static int damaged(struct env *v, const char *words, struct err *e)
{
	err_set(&v->trouble, E_DAMAGED, "%s/data.mdb: %s; " STORE_MENDS, v->path, words);
	return err_set(e, E_DAMAGED, "%s", v->trouble.text);
}

int env_error(struct env *v, int rc, struct err *e)
{
	const struct env_info *k = &env_table[v->kind];
	MDB_envinfo info = {0};
	if (!v->mdb && v->trouble.code != E_OK)
		return err_set(e, E_DAMAGED, "%s", v->trouble.text);
	if (rc == MDB_MAP_FULL) {
		mdb_env_info(v->mdb, &info);
		return err_set(e, E_FULL, "%s/: its map of %zu MB is full; set the variable %s to more, for all processes",
			k->name, info.me_mapsize >> 20, k->variable);
	}
	for (size_t i = 0; i < COUNTOF(results); i++)
		if (results[i].mdb == rc)
			return results[i].code == E_DAMAGED ? damaged(v, results[i].words, e)
							    : err_set(e, results[i].code, "%s/: %s", k->name, results[i].words);
	if (rc == ENOSPC || rc == EDQUOT)
		return err_set(e, E_FULL, "%s/: no space left on the disk that holds %s; nothing was changed, free some",
			k->name, v->path);
	if (rc == ENOMEM)
		return err_set(e, E_NOMEM, "%s/: out of memory", k->name);
	if (rc == EACCES || rc == EPERM)
		return err_set(e, E_IO, "%s: %s for user %u; any command of wsusctl, as root, mends the modes of its files", v->path,
			mdb_strerror(rc), (unsigned)geteuid());
	return err_set(e, E_IO, "%s: %s", v->path, mdb_strerror(rc));
}

/* ================= environments ================= */

static size_t map_size(const struct env_info *k)
{
	const char *v = getenv(k->variable);
	uint64_t mb;
	if (v && text_u64(slice_of(v), &mb) && mb > 0 && mb <= SIZE_MAX >> 20)
		return (size_t)mb << 20;
	return k->map;
}

static char *path_join(const char *dir, const char *name)
{
	char *p = NULL;
	return asprintf(&p, "%s/%s", dir, name) < 0 ? NULL : p;
}

/* mdb_env_open() applies the umask; a service's access must not hang on the administrator's. */
static int fix_mode(const struct env *v, const char *file, unsigned mode, struct err *e)
{
	char path[PATH_MAX];
	struct stat st;
	snprintf(path, sizeof(path), "%s/%s", v->path, file);
	if (stat(path, &st) != 0)
		return err_errno(e, "%s", path);
	if ((st.st_mode & 07777) == mode || (st.st_uid != geteuid() && geteuid() != 0))
		return E_OK;
	return chmod(path, mode) == 0 ? E_OK : err_errno(e, "%s", path);
}

static int fix_modes(const struct env *v, struct err *e)
{
	const struct env_info *k = &env_table[v->kind];
	int rc = fix_mode(v, "lock.mdb", k->lock_mode, e);
	return rc != E_OK ? rc : fix_mode(v, "data.mdb", k->data_mode, e);
}

int env_mkdir(const char *dir, const struct env *v, struct err *e)
{
	struct stat above, st;
	if (stat(dir, &above) != 0)
		return err_errno(e, "%s", dir);
	if (mkdir(v->path, 0750) != 0 && errno != EEXIST)
		return err_errno(e, "%s", v->path);
	if (stat(v->path, &st) != 0)
		return err_errno(e, "%s", v->path);
	/* Fails only for one who is not of that group; then no service of that group was meant. */
	if (st.st_gid != above.st_gid && chown(v->path, (uid_t)-1, above.st_gid) != 0)
		errno = 0;
	if (chmod(v->path, env_table[v->kind].dir_mode) != 0)
		return err_errno(e, "%s", v->path);
	return E_OK;
}

static int env_open(struct env *v, unsigned flags, struct err *e)
{
	const struct env_info *k = &env_table[v->kind];
	int rc = mdb_env_create(&v->mdb);
	if (rc == 0)
		rc = mdb_env_set_maxreaders(v->mdb, READERS);
	if (rc == 0)
		rc = mdb_env_set_maxdbs(v->mdb, DB__N);
	if (rc == 0)
		rc = mdb_env_set_mapsize(v->mdb, map_size(k));
	if (rc == 0)
		rc = mdb_env_open(v->mdb, v->path, flags | MDB_NOTLS, k->lock_mode);
	MDB_stat st = {0};
	if (rc == 0)
		rc = mdb_env_stat(v->mdb, &st);
	v->page = st.ms_psize;
	if (rc == 0)
		env_catch(v);
	if (rc == ENOENT)
		return err_set(e, E_NOTFOUND, "%s: no store there; make one with `wsusctl store create`", v->path);
	return rc == 0 ? E_OK : env_error(v, rc, e);
}

static int no_database(const struct env *v, enum db db, struct err *e)
{
	return err_set(e, E_CORRUPT, "%s: holds no database `%s`: not a finished store", v->path, db_table[db].name);
}

/* All databases of an environment in one transaction, which must end in a commit for the handles to stay.  Those that came
 * with a later format may be missing: format_check() knows better. */
static int env_open_dbs(struct store *s, struct env *v, MDB_txn *m, unsigned flags, struct err *e)
{
	const struct env_info *k = &env_table[v->kind];
	for (enum db db = k->first; db < k->end; db++) {
		int rc = mdb_dbi_open(m, db_table[db].name, db_table[db].flags | flags, &s->dbi[db]);
		if (rc == MDB_NOTFOUND && db_table[db].since > 1)
			s->dbi[db] = DBI_NONE;
		else if (rc == MDB_NOTFOUND)
			return no_database(v, db, e);
		else if (rc != 0)
			return env_error(v, rc, e);
	}
	return E_OK;
}

static int env_attach(struct store *s, struct env *v, bool create, struct err *e)
{
	MDB_txn *m = NULL;
	int rc = mdb_txn_begin(v->mdb, NULL, create ? 0 : MDB_RDONLY, &m);
	if (rc != 0)
		return env_error(v, rc, e);
	rc = env_open_dbs(s, v, m, create ? MDB_CREATE : 0, e);
	if (rc != E_OK) {
		mdb_txn_abort(m);
		return rc;
	}
	rc = mdb_txn_commit(m);
	return rc == 0 ? E_OK : env_error(v, rc, e);
}

static void env_close(struct env *v)
{
	if (v->reader)
		mdb_txn_abort(v->reader);
	if (v->mdb)
		mdb_env_close(v->mdb);
	v->reader = NULL;
	v->mdb = NULL;
}

/* ================= transactions ================= */

/* What may be cured while no transaction of ours is open: a map that another process enlarged, and reader
 * slots of processes that died. */
static bool env_heal(struct env *v, int rc)
{
	int dead = 0;
	if (rc == MDB_MAP_RESIZED)
		return mdb_env_set_mapsize(v->mdb, 0) == 0;
	if (rc == MDB_READERS_FULL)
		return mdb_reader_check(v->mdb, &dead) == 0 && dead > 0;
	return false;
}

static int env_begin_once(struct env *v, bool write, MDB_txn **out)
{
	if (write)
		return mdb_txn_begin(v->mdb, NULL, 0, out);
	int rc = v->reader ? mdb_txn_renew(v->reader) : mdb_txn_begin(v->mdb, NULL, MDB_RDONLY, &v->reader);
	*out = rc == 0 ? v->reader : NULL;
	return rc;
}

static int env_begin(struct env *v, bool write, MDB_txn **out, struct err *e)
{
	int rc = env_begin_once(v, write, out);
	if (rc != 0 && env_heal(v, rc))
		rc = env_begin_once(v, write, out);
	return rc == 0 ? E_OK : env_error(v, rc, e);
}

static bool writes(const struct txn *t, unsigned kind)
{
	return t->mode == (kind == CATALOG ? TXN_CATALOG : TXN_FLEET);
}

/* A transaction does without a part that cannot be used, unless it is to write there. */
static int begin_part(struct txn *t, unsigned kind, struct err *e)
{
	struct env *v = &t->store->env[kind];
	if (v->mdb)
		return env_begin(v, writes(t, kind), &t->mdb[kind], e);
	return writes(t, kind) ? err_set(e, E_DAMAGED, "%s", v->trouble.text) : E_OK;
}

int txn_begin(struct store *s, enum txn_mode mode, struct txn **out, struct err *e)
{
	ASSERT(!s->busy);
	*out = NULL;
	if (mode == TXN_CATALOG && s->role != STORE_ADMIN)
		return err_set(e, E_REFUSED, "a service only reads catalog/");
	ASSERT(mode == TXN_READ || s->role < STORE_READER);
	struct txn *t = &s->txn;
	*t = (struct txn){.store = s, .mode = mode};
	unsigned first = mode == TXN_FLEET ? FLEET : CATALOG;
	int rc = begin_part(t, first, e);
	if (rc == E_OK)
		rc = begin_part(t, !first, e);
	s->busy = true;
	*out = t;
	if (rc != E_OK)
		txn_end(out);
	return rc;
}

static void release(struct txn *t, unsigned kind)
{
	if (!t->mdb[kind])
		return;
	if (writes(t, kind))
		mdb_txn_abort(t->mdb[kind]);
	else
		mdb_txn_reset(t->mdb[kind]);
	t->mdb[kind] = NULL;
}

void txn_end(struct txn **t)
{
	if (!*t)
		return;
	struct store *s = (*t)->store;
	release(*t, CATALOG);
	release(*t, FLEET);
	arena_reset(&s->arena);
	s->busy = false;
	*t = NULL;
}

static int commit(struct txn *t, unsigned kind, struct err *e)
{
	if (t->failed.code != E_OK)
		return err_set(e, t->failed.code, "nothing was changed: %s", t->failed.text);
	int rc = mdb_txn_commit(t->mdb[kind]);
	t->mdb[kind] = NULL;
	return rc == 0 ? E_OK : env_error(&t->store->env[kind], rc, e);
}

int txn_commit(struct txn **t, struct err *e)
{
	int rc = E_OK;
	if ((*t)->mode != TXN_READ)
		rc = commit(*t, (*t)->mode == TXN_CATALOG ? CATALOG : FLEET, e);
	txn_end(t);
	return rc;
}

int txn_fail(struct txn *t, int code, const struct err *e)
{
	if (t->failed.code == E_OK)
		err_set(&t->failed, (enum errcode)code, "%s", e ? e->text : err_name(code));
	return code;
}

bool txn_policy_free(struct txn *t, bool is_free)
{
	bool was = t->policy_free;
	t->policy_free = is_free;
	return was;
}

struct arena *txn_arena(struct txn *t)
{
	return &t->store->arena;
}

uint64_t txn_catalog_version(const struct txn *t)
{
	return mdb_txn_id(t->mdb[CATALOG]);
}

uint64_t txn_fleet_version(const struct txn *t)
{
	return t->mdb[FLEET] ? mdb_txn_id(t->mdb[FLEET]) : 0;
}

bool txn_writes_catalog(const struct txn *t)
{
	return t->mode == TXN_CATALOG;
}

struct store *txn_store(struct txn *t)
{
	return t->store;
}

/* Each scattered row dirties a page of its own, but never more pages than its database has. */
size_t txn_dirty(const struct txn *t)
{
	size_t sum = 0;
	for (enum db db = 0; db < DB__N; db++) {
		MDB_stat st;
		sum += t->bytes[db];
		if (!db_table[db].scattered || t->rows[db] == 0)
			continue;
		if (mdb_stat(t->mdb[env_of(db)], t->store->dbi[db], &st) == 0)
			sum += MIN(t->rows[db], st.ms_leaf_pages) * st.ms_psize;
	}
	return sum;
}

size_t txn_fleet_map(const struct txn *t)
{
	MDB_envinfo info = {0};
	return mdb_env_info(t->store->env[FLEET].mdb, &info) == 0 ? info.me_mapsize : 0;
}

/* Half, so that rows that exist can still change, and pages be copied for that. */
bool txn_fleet_has_room(const struct txn *t)
{
	size_t used = 0;
	for (enum db db = env_table[FLEET].first; db < env_table[FLEET].end; db++)
		used += db_bytes(t, db);
	return used < txn_fleet_map(t) / 2;
}

/* ================= format and migrations ================= */

static int catalog_for_reports(struct txn *t, struct err *e)
{
	int rc = fact_migrate(t, e);
	return rc == E_OK ? shown_migrate(t, e) : rc;
}

/* A step takes the store from format `from` to from + 1 inside one TXN_CATALOG or TXN_FLEET. */
static const struct migration {
	uint32_t from;
	const char *name;
	int (*catalog)(struct txn *, struct err *);
	int (*fleet)(struct txn *, struct err *);
} migrations[] = {
	{1, "originals in several rows", NULL, NULL}, /* those in one are none the worse */
	{2, "what downstream servers are told", sync_migrate, NULL},
	{3, "the server above this one", NULL, NULL}, /* databases that begin empty */
	{4, "what computers report", catalog_for_reports, scanned_migrate},
};

static enum db meta_of(unsigned kind)
{
	return kind == CATALOG ? DB_META : DB_FMETA;
}

static int format_get(struct txn *t, unsigned kind, uint32_t *out)
{
	struct slice v;
	int rc = db_get(t, meta_of(kind), SL("format"), &v);
	if (rc != E_OK)
		return rc;
	struct rec r = rec_of(v, 1);
	*out = rec_u32(&r);
	return rec_end(&r);
}

static int format_put(struct txn *t, unsigned kind, uint32_t format, struct err *e)
{
	char v[5] = {1};
	put_be32(v + 1, format);
	return db_put(t, meta_of(kind), SL("format"), (struct slice){v, sizeof(v)}, e);
}

/* The databases that came with a format. */
static int make_dbs(struct txn *t, unsigned kind, uint32_t format, struct err *e)
{
	struct store *s = t->store;
	int rc = 0;
	for (enum db db = env_table[kind].first; rc == 0 && db < env_table[kind].end; db++)
		if (db_table[db].since == format)
			rc = mdb_dbi_open(t->mdb[kind], db_table[db].name, db_table[db].flags | MDB_CREATE, &s->dbi[db]);
	return rc == 0 ? E_OK : env_error(&s->env[kind], rc, e);
}

static int migrate_step(struct store *s, unsigned kind, const struct migration *m, struct err *e)
{
	int (*run)(struct txn *, struct err *) = kind == CATALOG ? m->catalog : m->fleet;
	struct txn *t;
	int rc = txn_begin(s, kind == CATALOG ? TXN_CATALOG : TXN_FLEET, &t, e);
	if (rc == E_OK)
		rc = make_dbs(t, kind, m->from + 1, e);
	if (rc == E_OK && run)
		rc = run(t, e);
	if (rc == E_OK)
		rc = format_put(t, kind, m->from + 1, e);
	if (rc == E_OK)
		rc = txn_commit(&t, e);
	txn_end(&t);
	return err_at(e, rc, "migration `%s`: ", m->name);
}

/* Older programs refuse what a step leaves: the copy is the way back to them.  One of a try that did not end is replaced. */
static int keep_copy(struct store *s, unsigned kind, uint32_t format, struct err *e)
{
	char dir[PATH_MAX], file[PATH_MAX + 64];
	int n = snprintf(dir, sizeof(dir), "%s/before-format-%u", s->dir, (unsigned)format + 1);
	if (n < 0 || (size_t)n >= sizeof(dir))
		return err_set(e, E_LIMIT, "%s: the path is too long", s->dir);
	if (mkdir(dir, 0700) != 0 && errno != EEXIST)
		return err_errno(e, "%s", dir);
	static const char *const files[] = {"data.mdb", "lock.mdb"};
	for (size_t i = 0; i < COUNTOF(files); i++) {
		snprintf(file, sizeof(file), "%s/%s/%s", dir, env_table[kind].name, files[i]);
		if (unlink(file) != 0 && errno != ENOENT)
			return err_errno(e, "%s", file);
	}
	return err_at(e, env_copy(&s->env[kind], dir, e), "a copy of the store before its format changes: ");
}

static int format_read(struct store *s, unsigned kind, uint32_t *format, struct err *e)
{
	struct txn *t;
	int rc = txn_begin(s, TXN_READ, &t, e);
	if (rc != E_OK)
		return rc;
	rc = format_get(t, kind, format);
	txn_end(&t);
	if (rc == E_NOTFOUND)
		return err_set(e, E_NOTFOUND, "%s: the store was never finished; make it with `wsusctl store create`",
			s->env[kind].path);
	return rc == E_OK ? rc : err_set(e, rc, "%s: its format record cannot be read", s->env[kind].path);
}

static int format_check(struct store *s, unsigned kind, struct err *e)
{
	uint32_t format;
	int rc = format_read(s, kind, &format, e);
	if (rc == E_OK && format > STORE_FORMAT)
		return err_set(e, E_VERSION, "%s: its format is %u, this program knows up to %u; use the newer program, or "
				"`wsusctl restore` a backup that this one made",
			s->env[kind].path, (unsigned)format, STORE_FORMAT);
	for (enum db db = env_table[kind].first; rc == E_OK && db < env_table[kind].end; db++)
		if (s->dbi[db] == DBI_NONE && db_table[db].since <= format)
			rc = no_database(&s->env[kind], db, e);
	if (rc != E_OK || s->role >= STORE_READER)
		return rc;
	if (format < STORE_FORMAT && s->role != STORE_ADMIN)
		return err_set(e, E_VERSION, "%s: its format is %u, this program needs %u; run any wsusctl command once",
			s->env[kind].path, (unsigned)format, STORE_FORMAT);
	if (format < STORE_FORMAT)
		rc = keep_copy(s, kind, format, e);
	for (size_t i = 0; rc == E_OK && format < STORE_FORMAT; i++) {
		if (i == COUNTOF(migrations) || !migrations[i].name)
			return err_set(e, E_VERSION, "%s: no step leads from its format %u to %u",
				s->env[kind].path, (unsigned)format, STORE_FORMAT);
		if (migrations[i].from == format)
			rc = migrate_step(s, kind, &migrations[i], e), format++;
	}
	return rc;
}

/* ================= beside the environments ================= */

int server_identity_write(const char *dir, const struct server_marks *m, struct err *e)
{
	char path[PATH_MAX], made[PATH_MAX], id[GUID_TEXT + 1];
	snprintf(path, sizeof(path), "%s/identity", dir);
	snprintf(made, sizeof(made), "%s/identity.new", dir);
	guid_text(&m->server_id, id);
	int fd = open(made, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_errno(e, "%s", made);
	bool good = dprintf(fd, "%s %u\n", id, (unsigned)m->generation) > 0 && fsync(fd) == 0;
	good = close(fd) == 0 && good && rename(made, path) == 0;
	return good ? E_OK : err_errno(e, "%s", path);
}

bool server_identity_read(const char *dir, struct server_marks *out)
{
	char path[PATH_MAX], text[64];
	uint64_t generation;
	snprintf(path, sizeof(path), "%s/identity", dir);
	*out = (struct server_marks){0};
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text)) : -1;
	if (fd >= 0)
		close(fd);
	struct slice line = {text, n > 0 ? (size_t)n : 0}, id = text_cut(&line, ' ');
	if (!text_guid(id, &out->server_id) || !text_u64(line, &generation) || generation > INT32_MAX)
		return false;
	out->generation = (uint32_t)generation;
	return true;
}

/* Whoever has an environment open holds a shared lock on the first byte of its lock.mdb. */
long store_part_user(const char *dir, enum store_part part)
{
	char path[PATH_MAX];
	long pid = 0;
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
	snprintf(path, sizeof(path), "%s/%s/lock.mdb", dir, env_table[part].name);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0 && fcntl(fd, F_GETLK, &l) == 0 && l.l_type != F_UNLCK)
		pid = l.l_pid > 0 ? (long)l.l_pid : -1; /* of another container */
	if (fd >= 0)
		close(fd);
	return pid;
}

long store_user(const char *dir)
{
	long pid = 0;
	for (enum store_part part = 0; part < STORE__PARTS && pid == 0; part++)
		pid = store_part_user(dir, part);
	return pid;
}

/* ================= making, opening, closing ================= */

static int store_alloc(struct store **out, const char *dir, enum store_role role, struct err *e)
{
	*out = NULL;
	struct store *s = calloc(1, sizeof(*s));
	if (!s)
		return err_set(e, E_NOMEM, "out of memory");
	s->role = role;
	s->import_fd = -1;
	s->dir = strdup(dir);
	arena_init(&s->arena, LIMIT_REQUEST_MEMORY);
	buf_init(&s->settings_text, 64 << 10);
	bool ok = s->dir != NULL;
	for (unsigned k = 0; k < ENV__N; k++) {
		s->env[k].kind = k;
		s->env[k].path = path_join(dir, env_table[k].name);
		ok = ok && s->env[k].path;
	}
	if (!ok)
		store_close(&s);
	*out = s;
	return ok ? E_OK : err_set(e, E_NOMEM, "out of memory");
}

void store_close(struct store **out)
{
	struct store *s = *out;
	if (!s)
		return;
	struct txn *t = s->busy ? &s->txn : NULL;
	txn_end(&t);
	store_import_unlock(s);
	for (unsigned k = 0; k < ENV__N; k++) {
		env_close(&s->env[k]);
		free(s->env[k].path);
	}
	arena_free(&s->arena);
	buf_free(&s->settings_text);
	free(s->dir);
	free(s);
	*out = NULL;
}

const char *store_dir(const struct store *s)
{
	return s->dir;
}

static int fill_fleet(struct store *s, struct err *e)
{
	struct txn *t;
	int rc = txn_begin(s, TXN_FLEET, &t, e);
	if (rc == E_OK)
		rc = format_put(t, FLEET, STORE_FORMAT, e);
	if (rc == E_OK)
		rc = txn_commit(&t, e);
	txn_end(&t);
	return rc;
}

static int fresh_state(struct txn *t, struct err *e)
{
	struct server_state st = {.generation = 1, .file_locations = 1, .created = time_now()};
	st.last_change = st.created;
	int rc = guid_make(&st.server_id, e);
	return rc == E_OK ? server_state_put(t, &st, e) : rc;
}

/* The format record of catalog/ is what makes it a store: this transaction is the last one. */
static int fill_catalog(struct store *s, struct err *e)
{
	struct txn *t;
	uint32_t format;
	int rc = txn_begin(s, TXN_CATALOG, &t, e);
	if (rc != E_OK)
		return rc;
	if (format_get(t, CATALOG, &format) == E_OK)
		rc = err_set(e, E_EXISTS, "%s: there is a store already", s->env[CATALOG].path);
	if (rc == E_OK)
		rc = format_put(t, CATALOG, STORE_FORMAT, e);
	if (rc == E_OK)
		rc = fresh_state(t, e);
	if (rc == E_OK)
		rc = groups_create_builtin(t, e);
	if (rc == E_OK)
		rc = txn_commit(&t, e);
	txn_end(&t);
	return rc;
}

int store_create(const char *dir, struct err *e)
{
	struct store *s;
	int rc = store_alloc(&s, dir, STORE_ADMIN, e);
	for (unsigned k = 0; rc == E_OK && k < ENV__N; k++) {
		struct env *v = &s->env[k];
		rc = env_mkdir(dir, v, e);
		if (rc == E_OK)
			rc = env_open(v, 0, e);
		if (rc == E_OK)
			rc = env_attach(s, v, true, e);
		if (rc == E_OK)
			rc = fix_modes(v, e);
	}
	if (rc == E_OK)
		rc = fill_fleet(s, e);
	if (rc == E_OK)
		rc = fill_catalog(s, e);
	store_close(&s);
	return rc;
}

static int note_files(struct env *v, struct err *e)
{
	char path[PATH_MAX];
	struct stat st;
	int fd;
	if (mdb_env_get_fd(v->mdb, &fd) != 0 || fstat(fd, &st) != 0)
		return err_errno(e, "%s", v->path);
	v->data = st.st_ino;
	snprintf(path, sizeof(path), "%s/lock.mdb", v->path);
	v->lock = stat(path, &st) == 0 ? st.st_ino : 0;
	return E_OK;
}

/* LMDB would take an empty file for one to begin with. */
static int expect_file(const struct env *v, struct err *e)
{
	char data[PATH_MAX];
	struct stat st;
	snprintf(data, sizeof(data), "%s/data.mdb", v->path);
	bool there = stat(data, &st) == 0;
	if (there && st.st_size == 0)
		return err_set(e, E_CORRUPT, "%s: empty; " STORE_MENDS, data);
	if (there || errno != ENOENT)
		return E_OK;
	if (v->kind == CATALOG)
		return err_set(e, E_NOTFOUND, "%s: no store there; make one with `wsusctl store create`", v->path);
	return err_set(e, E_NOTFOUND, "%s: missing; `wsusctl restore` brings a backup back, `wsusctl store reset fleet` begins anew",
		v->path);
}

static int open_env(struct store *s, unsigned kind, struct err *e)
{
	struct env *v = &s->env[kind];
	bool reads = s->role >= STORE_READER || (s->role == STORE_SERVICE && kind == CATALOG);
	int rc = expect_file(v, e);
	if (rc == E_OK && s->role == STORE_SERVICE)
		rc = env_noted(s->dir, v, e);
	if (rc == E_OK)
		rc = env_open(v, reads ? MDB_RDONLY : 0, e);
	if (rc == E_OK)
		rc = env_whole(v, e);
	if (rc == E_OK)
		rc = env_attach(s, v, false, e);
	if (rc == E_OK)
		rc = note_files(v, e);
	if (rc == E_OK && s->role == STORE_ADMIN)
		rc = fix_modes(v, e);
	return rc;
}

/* What an import that was killed left behind; while another one runs, its unfinished rows are its own. */
static int sweep(struct store *s, struct err *e)
{
	int rc = store_import_lock(s, e);
	if (rc != E_OK)
		return rc == E_BUSY ? E_OK : rc;
	struct txn *t;
	bool any = false;
	rc = txn_begin(s, TXN_READ, &t, e);
	if (rc == E_OK)
		rc = revisions_unfinished(t, &any, e);
	txn_end(&t);
	if (rc == E_OK && any) {
		rc = txn_begin(s, TXN_CATALOG, &t, e);
		if (rc == E_OK)
			rc = revisions_sweep(t, e);
		if (rc == E_OK)
			rc = txn_commit(&t, e);
		txn_end(&t);
	}
	store_import_unlock(s);
	return rc;
}

/* Stores made before there was the file get it, too.  Who may not write there is not the one to do it. */
static void note_identity(struct store *s)
{
	struct server_marks m;
	struct txn *t;
	if (server_identity_read(s->dir, &m) || txn_begin(s, TXN_READ, &t, NULL) != E_OK)
		return;
	if (server_marks_get(t, &m, NULL) == E_OK && server_identity_write(s->dir, &m, NULL) != E_OK)
		errno = 0;
	txn_end(&t);
}

static int open_part(struct store *s, unsigned kind, const char *skip, struct err *e)
{
	int rc = skip ? err_set(e, E_DAMAGED, "%s", skip) : open_env(s, kind, e);
	if (rc == E_OK)
		rc = format_check(s, kind, e);
	if (rc != E_OK)
		env_close(&s->env[kind]);
	return rc;
}

/* fleet/ first: who meets damage in the midst of that has nothing else open, and can leave it out.  Without it there is
 * still a store, but not a copy worth the name; of a newer program it is as a whole. */
static int open_parts(struct store *s, const char *const skip[STORE__PARTS], struct err *e)
{
	struct err why = {E_OK, ""};
	int fleet = open_part(s, FLEET, skip ? skip[FLEET] : NULL, &why);
	if (s->role == STORE_RESCUE && skip && skip[CATALOG])
		return fleet == E_OK ? E_OK : err_set(e, (enum errcode)fleet, "%s", why.text);
	int rc = open_part(s, CATALOG, skip ? skip[CATALOG] : NULL, e);
	if (rc != E_OK || fleet == E_OK)
		return rc;
	if (s->role == STORE_READER || fleet == E_VERSION)
		return err_set(e, (enum errcode)fleet, "%s", why.text);
	err_set(&s->env[FLEET].trouble, E_DAMAGED, "%s", why.text);
	return E_OK;
}

int store_open_but(struct store **out, const char *dir, enum store_role role, const char *const skip[STORE__PARTS],
	struct err *e)
{
	struct store *s;
	int rc = store_alloc(&s, dir, role, e);
	if (rc == E_OK)
		rc = open_parts(s, skip, e);
	if (rc == E_OK)
		store_tidy(s);
	if (rc == E_OK && role == STORE_ADMIN)
		rc = sweep(s, e);
	if (rc == E_OK && role == STORE_ADMIN)
		note_identity(s);
	if (rc == E_OK && role == STORE_ADMIN)
		rc = membership_adopt(s, e);
	if (rc != E_OK)
		store_close(&s);
	*out = s;
	return rc;
}

int store_open(struct store **out, const char *dir, enum store_role role, struct err *e)
{
	return store_open_but(out, dir, role, NULL, e);
}

void store_tidy(struct store *s)
{
	for (unsigned k = 0; k < ENV__N; k++) {
		int dead;
		if (s->env[k].mdb)
			mdb_reader_check(s->env[k].mdb, &dead);
	}
}

/* ================= the import lock ================= */

int store_import_lock(struct store *s, struct err *e)
{
	ASSERT(s->import_fd < 0);
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/import.lock", s->env[CATALOG].path);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (fd < 0)
		return err_errno(e, "%s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		int rc = errno == EWOULDBLOCK ? err_set(e, E_BUSY, "another import is running; try again when it is done")
					      : err_errno(e, "%s", path);
		close(fd);
		return rc;
	}
	s->import_fd = fd;
	return E_OK;
}

void store_import_unlock(struct store *s)
{
	if (s->import_fd >= 0)
		close(s->import_fd);
	s->import_fd = -1;
}
