/* damage.c -- files that cannot be read: found at open, by reading all, or as a signal in the middle of a read.
 *
 * LMDB trusts its file.  What a cut file, a bad disk or a page of other bytes does to who reads the map is SIGBUS,
 * SIGSEGV or an assertion; each is led to one function of the program.  Whose memory it was says the kernel's list
 * of maps, read in the handler: LMDB tells nobody where its map is, and moves it when another process enlarges it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/text.h"
#include "store/env.h"

const char *const store_part_names[STORE__PARTS] = {[STORE_CATALOG] = "catalog", [STORE_FLEET] = "fleet"};

const char *store_trouble(const struct store *s, enum store_part part)
{
	const struct env *v = &s->env[part];
	return v->trouble.code != E_OK ? v->trouble.text : NULL;
}

bool store_has(const struct store *s, enum store_part part)
{
	return s->env[part].mdb != NULL;
}

/* ================= found at open ================= */

/* Every page from `from` on that no database uses any more, counted: those behind the end of the file may be missing,
 * as LMDB does not write a page that was taken and given back in one transaction. */
static int free_pages_from(struct env *v, size_t from, size_t *n)
{
	MDB_txn *t;
	MDB_cursor *c;
	MDB_val key, list;
	*n = 0;
	int rc = mdb_txn_begin(v->mdb, NULL, MDB_RDONLY, &t);
	if (rc != 0)
		return rc;
	rc = mdb_cursor_open(t, 0, &c); /* the free list: rows of a count and page numbers */
	if (rc == 0) {
		while ((rc = mdb_cursor_get(c, &key, &list, MDB_NEXT)) == 0)
			for (size_t i = 1; i < list.mv_size / sizeof(size_t); i++) {
				size_t page;
				memcpy(&page, (const char *)list.mv_data + i * sizeof(page), sizeof(page));
				*n += page >= from;
			}
		mdb_cursor_close(c);
	}
	mdb_txn_abort(t);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

int env_whole(struct env *v, struct err *e)
{
	MDB_envinfo info;
	struct stat st;
	int fd, rc = mdb_env_info(v->mdb, &info); /* before the size: the file only grows */
	if (rc == 0)
		rc = mdb_env_get_fd(v->mdb, &fd);
	if (rc != 0)
		return env_error(v, rc, e);
	if (fstat(fd, &st) != 0)
		return err_errno(e, "%s", v->path);
	size_t there = (size_t)st.st_size / v->page, spare = 0;
	if (info.me_last_pgno < there)
		return E_OK;
	rc = free_pages_from(v, there, &spare);
	if (rc != 0)
		return env_error(v, rc, e);
	if (info.me_last_pgno + 1 - there <= spare)
		return E_OK;
	return err_set(e, E_DAMAGED, "%s/data.mdb: cut short, %zu of its %zu pages are there; " STORE_MENDS, v->path, there,
		info.me_last_pgno + 1);
}

bool store_moved(const struct store *s)
{
	for (unsigned k = 0; k < ENV__N; k++) {
		const struct env *v = &s->env[k];
		char path[PATH_MAX];
		struct stat data, lock;
		snprintf(path, sizeof(path), "%s/data.mdb", v->path);
		bool there = stat(path, &data) == 0;
		snprintf(path, sizeof(path), "%s/lock.mdb", v->path);
		there = there && stat(path, &lock) == 0;
		if (v->mdb && (!there || data.st_ino != v->data || lock.st_ino != v->lock))
			return true;
	}
	return false;
}

uint64_t store_file_mark(const char *dir, enum store_part part)
{
	char path[PATH_MAX];
	struct stat st;
	snprintf(path, sizeof(path), "%s/%s/data.mdb", dir, store_part_names[part]);
	if (stat(path, &st) != 0)
		return 0;
	const uint64_t facts[] = {st.st_dev, st.st_ino, (uint64_t)st.st_size, (uint64_t)st.st_mtim.tv_sec,
		(uint64_t)st.st_mtim.tv_nsec, (uint64_t)st.st_ctim.tv_sec, (uint64_t)st.st_ctim.tv_nsec};
	uint64_t mark = 1;
	for (size_t i = 0; i < COUNTOF(facts); i++)
		mark = (mark ^ facts[i]) * 0x9E3779B97F4A7C15u + (mark >> 29);
	return mark ? mark : 1;
}

/* ================= found by reading all ================= */

static const char *volatile reading; /* the database that store_read_all() is at, for words */

static unsigned char touch(const void *p, size_t n, size_t page)
{
	const volatile unsigned char *b = p;
	unsigned char sum = 0;
	for (size_t at = 0; at < n; at += page)
		sum ^= b[at];
	return n ? sum ^ b[n - 1] : sum;
}

static int read_database(struct txn *t, enum db db)
{
	MDB_cursor *c;
	MDB_val key, value;
	MDB_stat st;
	uint64_t rows = 0;
	MDB_txn *m = t->mdb[env_of(db)];
	if (t->store->dbi[db] == DBI_NONE)
		return 0;
	int rc = mdb_stat(m, t->store->dbi[db], &st);
	if (rc == 0)
		rc = mdb_cursor_open(m, t->store->dbi[db], &c);
	if (rc != 0)
		return rc;
	while ((rc = mdb_cursor_get(c, &key, &value, MDB_NEXT)) == 0 && rows <= st.ms_entries) {
		touch(key.mv_data, key.mv_size, st.ms_psize);
		touch(value.mv_data, value.mv_size, st.ms_psize);
		rows++;
	}
	mdb_cursor_close(c);
	return rc != MDB_NOTFOUND && rc != 0 ? rc : rows == st.ms_entries ? 0 : MDB_CORRUPTED;
}

int store_read_all(struct store *s, enum store_part part, struct err *e)
{
	struct env *v = &s->env[part];
	struct txn *t;
	int rc = txn_begin(s, TXN_READ, &t, e);
	if (rc == E_OK && !v->mdb)
		rc = err_set(e, E_DAMAGED, "%s", v->trouble.text);
	size_t spare;
	int list = rc == E_OK ? free_pages_from(v, 0, &spare) : 0;
	if (list != 0)
		rc = env_error(v, list, e);
	for (enum db db = env_table[part].first; rc == E_OK && db < env_table[part].end; db++) {
		struct err why = {E_OK, ""};
		reading = db_table[db].name;
		int mdb = read_database(t, db);
		if (mdb != 0) {
			rc = env_error(v, mdb, &why);
			err_set(e, (enum errcode)rc, "database `%s` of %s", db_table[db].name, why.text);
		}
	}
	reading = NULL;
	txn_end(&t);
	return rc;
}

/* ================= found in the middle ================= */

static store_damage_fn *on_damage;

/* Of the map that holds an address: does its file's name end with this part's? */
static bool names_part(const char *line, size_t n, enum store_part *part)
{
	static const char *const ends[STORE__PARTS] = {"/catalog/data.mdb", "/fleet/data.mdb"};
	for (unsigned k = 0; k < STORE__PARTS; k++) {
		size_t len = strlen(ends[k]);
		for (size_t i = 0; i + len <= n; i++)
			if (memcmp(line + i, ends[k], len) == 0) {
				*part = (enum store_part)k;
				return true;
			}
	}
	return false;
}

static uintptr_t hex_number(const char **p, const char *end)
{
	uintptr_t v = 0;
	for (; *p < end; ++*p) {
		char ch = **p;
		if (ch >= '0' && ch <= '9')
			v = v << 4 | (uintptr_t)(ch - '0');
		else if (ch >= 'a' && ch <= 'f')
			v = v << 4 | (uintptr_t)(ch - 'a' + 10);
		else
			break;
	}
	return v;
}

/* A line of the list: "from-to rights offset device inode   path". */
static bool line_holds(const char *line, size_t n, uintptr_t at, enum store_part *part)
{
	const char *p = line, *end = line + n;
	uintptr_t from = hex_number(&p, end);
	if (p < end)
		p++;
	uintptr_t to = hex_number(&p, end);
	return from <= at && at < to && names_part(p, (size_t)(end - p), part);
}

/* Only calls that may stand in a signal's handler. */
static bool whose(uintptr_t at, enum store_part *part)
{
	static char text[PATH_MAX + 4096];
	size_t n = 0;
	bool found = false;
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	ssize_t got;
	while (fd >= 0 && !found && (got = read(fd, text + n, sizeof(text) - n)) > 0) {
		char *line = text, *stop;
		n += (size_t)got;
		while (!found && (stop = memchr(line, '\n', n - (size_t)(line - text)))) {
			found = line_holds(line, (size_t)(stop - line), at, part);
			line = stop + 1;
		}
		n -= (size_t)(line - text);
		memmove(text, line, n);
	}
	if (fd >= 0)
		close(fd);
	return found;
}

static void on_signal(int number, siginfo_t *info, void *context)
{
	enum store_part part;
	(void)context;
	if (on_damage && whose((uintptr_t)info->si_addr, &part))
		on_damage(part, number == SIGBUS ? "cut short, or the disk cannot be read" : "a page leads out of the file");
	signal(number, SIG_DFL); /* comes again at once, and ends us as it should */
}

void store_on_damage(store_damage_fn *fn)
{
	struct sigaction how = {.sa_flags = SA_SIGINFO | SA_NODEFER};
	how.sa_sigaction = on_signal;
	sigemptyset(&how.sa_mask);
	on_damage = fn;
	sigaction(SIGBUS, &how, NULL);
	sigaction(SIGSEGV, &how, NULL);
}

const char *store_reading(void)
{
	return reading;
}

static void on_assert(MDB_env *env, const char *what)
{
	const struct env *v = mdb_env_get_userctx(env);
	if (on_damage)
		on_damage((enum store_part)v->kind, what);
}

void env_catch(struct env *v)
{
	if (mdb_env_set_userctx(v->mdb, v) == 0)
		(void)mdb_env_set_assert(v->mdb, on_assert);
}

/* ================= found by an audit: the file DIR/damaged ================= */

/* Lines of part, device, inode, words. */
static bool noted_line(struct slice line, const struct env *v, struct slice *words)
{
	char path[PATH_MAX];
	struct stat st;
	uint64_t dev, ino;
	struct slice name = text_cut(&line, ' '), a = text_cut(&line, ' '), b = text_cut(&line, ' ');
	snprintf(path, sizeof(path), "%s/data.mdb", v->path);
	*words = line;
	return slice_eq(name, slice_of(store_part_names[v->kind])) && text_u64(a, &dev) && text_u64(b, &ino) &&
	       stat(path, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

int env_noted(const char *dir, const struct env *v, struct err *e)
{
	char path[PATH_MAX], text[2048];
	snprintf(path, sizeof(path), "%s/damaged", dir);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return E_OK;
	ssize_t n = read(fd, text, sizeof(text));
	close(fd);
	struct slice rest = {text, n > 0 ? (size_t)n : 0}, words;
	while (rest.n > 0)
		if (noted_line(text_cut(&rest, '\n'), v, &words))
			return err_set(e, E_DAMAGED, "%.*s", SLF(words));
	return E_OK;
}

bool store_noted(const struct store *s)
{
	for (unsigned k = 0; k < ENV__N; k++)
		if (s->env[k].mdb && env_noted(s->dir, &s->env[k], NULL) != E_OK)
			return true;
	return false;
}

int store_note_damage(const char *dir, enum store_part part, const char *what, struct err *e)
{
	char path[PATH_MAX], data[PATH_MAX];
	struct stat st;
	snprintf(path, sizeof(path), "%s/damaged", dir);
	snprintf(data, sizeof(data), "%s/%s/data.mdb", dir, store_part_names[part]);
	if (stat(data, &st) != 0)
		return err_errno(e, "%s", data);
	*strrchr(data, '/') = 0;
	const struct env v = {.kind = part, .path = data};
	if (env_noted(dir, &v, NULL) != E_OK)
		return E_OK;
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_errno(e, "%s", path);
	bool good = dprintf(fd, "%s %" PRIu64 " %" PRIu64 " %s\n", store_part_names[part], (uint64_t)st.st_dev,
		(uint64_t)st.st_ino, what) > 0 && fchmod(fd, 0644) == 0;
	good = close(fd) == 0 && good;
	return good ? E_OK : err_errno(e, "%s", path);
}

void store_forget_damage(const char *dir)
{
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/damaged", dir);
	if (unlink(path) != 0)
		errno = 0;
}
