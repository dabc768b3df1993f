/* cmd_backup.c -- copies of store, keys, certificates and configuration, and bringing them back.
 *
 * A backup is made in a work folder beside its place, locked by its maker; it is opened, audited and read again
 * before it gets its name by one rename.  A store is brought back through STORE/incomplete: fleet/ is put in its
 * place first, catalog/ last, since nobody takes a directory without catalog/ for a store.  What a killed maker
 * left is removed by the next one. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/text.h"
#include "ctl/content.h"
#include "ctl/manifest.h"
#include "ctl/place.h"
#include "ctl/walk.h"

#define SPARE ((uint64_t)1 << 20) /* for folders, keys, certificates, configuration and the manifest beside the store */
#define BOTH (1u << STORE_CATALOG | 1u << STORE_FLEET)

/* ---- places ---- */

static bool exists(const char *path)
{
	struct stat st;
	return lstat(path, &st) == 0;
}

static bool exists_in(struct ctl *c, const char *dir, const char *name)
{
	const char *path = ctl_path(c, dir, name);
	return path && exists(path);
}

static int sync_dir(struct ctl *c, const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd >= 0 && fsync(fd) == 0 ? E_OK : err_errno(&c->err, "%s", path);
	if (fd >= 0)
		close(fd);
	return rc;
}

/* The directory that a path lies in. */
static const char *parent_of(struct ctl *c, const char *path)
{
	size_t n = strlen(path);
	while (n > 1 && path[n - 1] == '/')
		n--;
	while (n && path[n - 1] != '/')
		n--;
	while (n > 1 && path[n - 1] == '/')
		n--;
	return n ? arena_printf(&c->arena, "%.*s", (int)n, path).p : ".";
}

/* What is kept beside the store: folder of the backup, and where its files belong. */
struct beside {
	const char *name, *place; /* place NULL: this server has none */
	const char *path;         /* what of it is meant: place, or one file in it */
};
enum { KEYS, CONFIGURATION, TLS, BESIDE__N };

static const char *last_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

/* By the configuration file; a store that it is not for has none, and its certificate where its keys are. */
static int find_beside(struct ctl *c, struct beside out[BESIDE__N])
{
	const char *keys, *tls, *etc = parent_of(c, c->conf.file);
	const char *file = etc ? ctl_path(c, etc, last_of(c->conf.file)) : NULL;
	int rc = place_dir(c, "keys", "keys", &keys);
	if (rc == E_OK)
		rc = place_tls(c, &tls);
	if (rc != E_OK)
		return rc;
	out[KEYS] = (struct beside){"keys", keys, keys};
	out[CONFIGURATION] = (struct beside){"etc", place_is_installed(c) ? etc : NULL, file};
	out[TLS] = (struct beside){"tls", site_same(tls, keys) ? NULL : tls, tls};
	return file ? E_OK : E_NOMEM;
}

static int check_space(struct ctl *c, const char *where, uint64_t need)
{
	struct statvfs vfs;
	if (statvfs(where, &vfs) != 0)
		return err_errno(&c->err, "%s", where);
	uint64_t have = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	if (have >= need + SPARE)
		return E_OK;
	return err_set(&c->err, E_FULL, "%s: no space: %.*s are free on this disk, %.*s are needed; nothing was written", where,
		SLF(bytes_text(&c->arena, have)), SLF(bytes_text(&c->arena, need + SPARE)));
}

/* ---- the work folder ---- */

struct making {
	const char *dir; /* into which the parts or the whole go */
	const char *work;
	int lock;
	bool owned; /* the lock is ours, and so is what lies in work */
};

/* The folder for the work with the group of the directory it is in, which the store takes from it. */
static int lock_work(struct ctl *c, struct making *m)
{
	struct stat st;
	if (mkdir(m->work, 0700) != 0 && errno != EEXIST)
		return err_errno(&c->err, "%s", m->work);
	m->lock = open(m->work, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (m->lock < 0)
		return err_errno(&c->err, "%s", m->work);
	if (flock(m->lock, LOCK_EX | LOCK_NB) != 0)
		return err_set(&c->err, E_BUSY, "%s: somebody is at it already", m->work);
	m->owned = true;
	/* fails only for one who is not of that group; then no service of that group was meant */
	if (stat(m->dir, &st) == 0 && fchown(m->lock, (uid_t)-1, st.st_gid) != 0)
		errno = 0;
	return E_OK;
}

static int remove_parts(struct ctl *c, const char *dir)
{
	static const char *const parts[] = {MANIFEST, "fleet", "catalog", "keys", "etc", "tls", "identity"};
	int rc = E_OK;
	for (unsigned i = 0; rc == E_OK && i < COUNTOF(parts); i++) {
		const char *path = ctl_path(c, dir, parts[i]);
		rc = path ? walk_remove(path, &c->err) : E_NOMEM;
	}
	/* What a backup of an older format was before it was brought to ours. */
	for (unsigned n = 2; rc == E_OK && n <= STORE_FORMAT; n++) {
		struct slice name = arena_printf(&c->arena, "before-format-%u", n);
		const char *path = name.p ? ctl_path(c, dir, name.p) : NULL;
		rc = path ? walk_remove(path, &c->err) : E_NOMEM;
	}
	return rc;
}

static int making_begin(struct ctl *c, struct making *m, const char *dir, const char *work, unsigned mode)
{
	*m = (struct making){.dir = dir, .work = work, .lock = -1};
	if (!work)
		return E_NOMEM;
	if (mkdir(dir, mode) != 0 && errno != EEXIST)
		return err_errno(&c->err, "%s", dir);
	return lock_work(c, m);
}

/* Removes what is left of the work; keeps the first failure. */
static int making_end(struct ctl *c, struct making *m, int rc)
{
	if (m->lock < 0)
		return rc;
	struct err first = c->err;
	if (m->owned)
		(void)remove_parts(c, m->work);
	c->err = first;
	if (m->owned && rmdir(m->work) != 0)
		errno = 0; /* it has its name, or somebody put something there */
	close(m->lock);
	m->lock = -1;
	return rc;
}

/* ---- copying files ---- */

struct copying {
	const char *from, *to;
};

static int copy_bytes(struct ctl *c, int from, int to, const char *path)
{
	char piece[16 << 10];
	ssize_t n;
	while ((n = read(from, piece, sizeof(piece))) > 0) {
		errno = ENOSPC; /* for a write that is cut short */
		if (write(to, piece, (size_t)n) != n)
			return err_errno(&c->err, "%s", path);
	}
	return n == 0 && fsync(to) == 0 ? E_OK : err_errno(&c->err, "%s", path);
}

static int make_parents(struct ctl *c, const char *path)
{
	char part[PATH_MAX];
	snprintf(part, sizeof(part), "%s", path);
	for (char *p = strchr(part + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = 0;
		if (mkdir(part, 0755) != 0 && errno != EEXIST)
			return err_errno(&c->err, "%s", part);
		*p = '/';
	}
	return E_OK;
}

static int copy_file(struct ctl *c, const char *from, const char *to)
{
	struct stat st;
	int in = open(from, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (in < 0 || fstat(in, &st) != 0) {
		int rc = err_errno(&c->err, "%s", from);
		if (in >= 0)
			close(in);
		return rc;
	}
	int out = -1, rc = make_parents(c, to);
	if (rc == E_OK && (out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) < 0)
		rc = err_errno(&c->err, "%s", to);
	if (rc == E_OK)
		rc = copy_bytes(c, in, out, to);
	if (rc == E_OK && (fchown(out, st.st_uid, st.st_gid) != 0 || fchmod(out, st.st_mode & 07777) != 0) && errno != EPERM)
		rc = err_errno(&c->err, "%s", to);
	close(in);
	if (out >= 0)
		close(out);
	return rc;
}

static int copy_one(struct ctl *c, const char *path, uint64_t size, void *arg)
{
	const struct copying *t = arg;
	const char *to = ctl_path(c, t->to, path + strlen(t->from) + 1);
	(void)size;
	return to ? copy_file(c, path, to) : E_NOMEM;
}

static bool is_there(const struct beside *b)
{
	return b->place && exists(b->path);
}

/* A secret that could not be read makes the backup fail: it would be one that cannot be brought back. */
static int copy_beside(struct ctl *c, const struct beside *b, const char *work)
{
	struct copying t = {.from = b->place, .to = ctl_path(c, work, b->name)};
	if (!is_there(b))
		return E_OK;
	int rc = t.to ? walk_with_links(c, b->path, copy_one, &t) : E_NOMEM;
	if (rc == E_OK && c->failed)
		rc = err_set(&c->err, E_IO, "%s: not all of it can be read; run this as root", b->path);
	return rc;
}

/* ---- what a copy must hold ---- */

struct findings {
	char first[256];
};

static void note_first(const char *text, void *arg)
{
	struct findings *f = arg;
	if (!f->first[0])
		snprintf(f->first, sizeof(f->first), "%s", text);
}

static int audit_open(struct ctl *c, struct store *s, struct manifest *m)
{
	struct findings found = {{0}};
	struct server_state st;
	struct txn *t;
	unsigned n = 0;
	int rc = txn_begin(s, TXN_READ, &t, &c->err);
	if (rc == E_OK)
		rc = store_audit(t, note_first, &found, &n, &c->err);
	if (rc == E_OK && n)
		rc = err_set(&c->err, E_CORRUPT, "the copy contradicts itself (%u times): %s; `wsusctl store audit` says more", n,
			found.first);
	if (rc == E_OK)
		rc = server_state_get(t, &st, &c->err);
	if (rc == E_OK) {
		m->server = st.server_id;
		m->generation = st.generation;
	}
	txn_end(&t);
	return rc;
}

/* Opens the store in dir and checks all of it; fills server and generation of *m. */
static int audit_dir(struct ctl *c, const char *dir, struct manifest *m)
{
	struct store *s;
	ctl_progress(c, "checking %s", dir);
	int rc = store_open(&s, dir, STORE_READER, &c->err);
	if (rc == E_OK)
		rc = audit_open(c, s, m);
	store_close(&s);
	return rc;
}

/* ---- several backups in one directory ---- */

static const char *name_of_now(struct ctl *c, const char *dir)
{
	char name[40];
	struct tm tm;
	time_t now = (time_t)(c->now / TICKS_PER_SECOND);
	gmtime_r(&now, &tm);
	strftime(name, sizeof(name), BACKUP_NAME, &tm);
	return ctl_path(c, dir, name);
}

static int is_backup_name(const struct dirent *d)
{
	return strlen(d->d_name) == BACKUP_NAME_LENGTH && strncmp(d->d_name, "wsus-", 5) == 0 && d->d_name[BACKUP_NAME_LENGTH - 1] == 'Z';
}

struct kept {
	struct dirent **entry;
	int n; /* oldest first */
};

static int kept_open(struct ctl *c, struct kept *k, const char *dir)
{
	k->n = scandir(dir, &k->entry, is_backup_name, alphasort);
	return k->n >= 0 ? E_OK : err_errno(&c->err, "%s", dir);
}

static void kept_close(struct kept *k)
{
	for (int i = 0; i < k->n; i++)
		free(k->entry[i]);
	free(k->entry);
}

/* The manifest goes first: what is half removed is no backup any more. */
static int remove_backup(struct ctl *c, const char *path)
{
	const char *manifest = ctl_path(c, path, MANIFEST);
	if (!manifest)
		return E_NOMEM;
	if (unlink(manifest) != 0 && errno != ENOENT)
		return err_errno(&c->err, "%s", manifest);
	return walk_remove(path, &c->err);
}

/* Removes all but the newest `keep` of this server, and what an earlier removal left.  What belongs to another
 * server, or cannot be read, is somebody else's matter. */
static int prune(struct ctl *c, const char *dir, const struct manifest *mine, unsigned keep)
{
	struct kept k;
	unsigned seen = 0;
	int rc = kept_open(c, &k, dir);
	for (int i = k.n - 1; rc == E_OK && i >= 0; i--) {
		struct manifest m;
		const char *path = ctl_path(c, dir, k.entry[i]->d_name);
		int read = path ? manifest_read(c, &m, path) : E_NOMEM;
		bool is_mine = read == E_OK && guid_cmp(&m.server, &mine->server) == 0;
		if (read == E_NOTFOUND || (is_mine && seen++ >= keep))
			rc = remove_backup(c, path);
	}
	if (k.n >= 0)
		kept_close(&k);
	return rc;
}

/* PATH itself, or the newest of the backups in it. */
static int pick(struct ctl *c, const char *path, const char **out)
{
	struct kept k;
	*out = path;
	if (exists_in(c, path, MANIFEST))
		return E_OK;
	if (!exists(path))
		return err_set(&c->err, E_NOTFOUND, "%s: nothing is there; name a backup, or a directory of backups", path);
	int rc = kept_open(c, &k, path);
	if (rc != E_OK)
		return rc;
	bool found = false;
	for (int i = k.n - 1; !found && i >= 0; i--) {
		*out = ctl_path(c, path, k.entry[i]->d_name);
		found = *out && exists_in(c, *out, MANIFEST);
	}
	kept_close(&k);
	if (found)
		return E_OK;
	return err_set(&c->err, E_NOTFOUND, "%s: not a backup: it has no file `" MANIFEST "`, and no backups are in it", path);
}

/* ---- backup ---- */

/* What lies beside the store is little. */
static int needed_bytes(struct ctl *c, uint64_t *out)
{
	struct store_stat s;
	int rc = txn_begin(c->store, TXN_READ, &c->txn, &c->err);
	if (rc == E_OK)
		rc = store_stat(c->txn, &s, &c->err);
	txn_end(&c->txn);
	*out = rc == E_OK ? s.catalog_used + s.fleet_used : 0;
	return rc;
}

static int fill_backup(struct ctl *c, const char *work, struct manifest *m)
{
	struct beside beside[BESIDE__N];
	uint64_t need;
	int rc = find_beside(c, beside);
	if (rc == E_OK)
		rc = needed_bytes(c, &need);
	if (rc == E_OK)
		rc = check_space(c, work, need);
	ctl_progress(c, "copying the store to %s", work);
	if (rc == E_OK)
		rc = store_copy(c->store, work, &c->err);
	for (unsigned i = 0; rc == E_OK && i < BESIDE__N; i++)
		rc = copy_beside(c, &beside[i], work);
	if (rc == E_OK)
		rc = audit_dir(c, work, m);
	if (rc == E_OK)
		rc = manifest_write(c, m, work);
	struct manifest again;
	if (rc == E_OK)
		rc = manifest_read(c, &again, work);
	return rc == E_OK ? manifest_check(c, &again, work) : rc;
}

static int give_name(struct ctl *c, const char *work, const char *target)
{
	int rc = sync_dir(c, work);
	if (rc == E_OK && rename(work, target) != 0)
		rc = err_errno(&c->err, "%s", target);
	return rc == E_OK ? sync_dir(c, parent_of(c, target)) : rc;
}

/* An empty directory may be named: the rename takes its place. */
static int expect_free(struct ctl *c, const char *target)
{
	if (!exists(target))
		return E_OK;
	struct dirent **entry = NULL;
	int n = scandir(target, &entry, NULL, NULL);
	for (int i = 0; i < n; i++)
		free(entry[i]);
	free(entry);
	return n == 2 ? E_OK : err_set(&c->err, E_EXISTS, "%s: holds something already; name another directory, "
		"or keep several in it with --keep N", target);
}

static int read_keep(struct ctl *c, unsigned *keep)
{
	const char *text = ctl_option(c, "keep");
	uint64_t n = 0;
	if (text && (!text_u64(slice_of(text), &n) || n < 1 || n > LIMIT_BACKUP_KEEP))
		return err_set(&c->err, E_USAGE, "--keep %s: a number from 1 to %d is needed", text, LIMIT_BACKUP_KEEP);
	*keep = (unsigned)n;
	return E_OK;
}

static int make_backup(struct ctl *c, const char *target, const char *work, struct manifest *m)
{
	struct making k;
	const char *dir = parent_of(c, work);
	if (!target || !work || !dir)
		return E_NOMEM;
	int rc = expect_free(c, target);
	if (rc == E_OK)
		rc = making_begin(c, &k, dir, work, 0700);
	else
		return rc;
	if (rc == E_OK)
		rc = remove_parts(c, work);
	if (rc == E_OK)
		rc = fill_backup(c, work, m);
	if (rc == E_OK)
		rc = give_name(c, work, target);
	return making_end(c, &k, rc);
}

static void report_backup(struct ctl *c, const char *path, const struct manifest *m)
{
	if (!c->json) {
		ctl_say(c, "%s: verified, %u files, %.*s; `wsusctl restore %s` brings it back", path, m->n,
			SLF(bytes_text(&c->arena, m->bytes)), path);
		return;
	}
	out_object_begin(&c->out);
	out_field_text(&c->out, "path", "Backup", slice_of(path));
	out_field_number(&c->out, "made", "Made", CELL_TIME, m->made);
	out_field_number(&c->out, "files", "Files", CELL_NUMBER, m->n);
	out_field_number(&c->out, "bytes", "Size", CELL_BYTES, (int64_t)m->bytes);
	out_object_end(&c->out);
}

static int run_backup(struct ctl *c)
{
	struct manifest m = {.made = c->now};
	const char *dir = c->pos[0];
	unsigned keep = 0;
	int rc = read_keep(c, &keep);
	if (rc != E_OK)
		return rc;
	size_t n = strlen(dir);
	if (n == 0)
		return err_set(&c->err, E_USAGE, "name a directory for the backup");
	while (n > 1 && dir[n - 1] == '/')
		n--;
	dir = arena_printf(&c->arena, "%.*s", (int)n, dir).p;
	const char *target = keep ? name_of_now(c, dir) : dir;
	struct slice beside = arena_printf(&c->arena, keep ? "%s/incomplete" : "%s.incomplete", dir);
	rc = make_backup(c, target, beside.p, &m);
	if (rc == E_OK && keep)
		rc = prune(c, dir, &m, keep);
	if (rc != E_OK)
		return rc;
	report_backup(c, target, &m);
	return ctl_note(c, "backup %s", target);
}

static const struct column backup_columns[] = {
	{"path", "BACKUP", CELL_TEXT, FIT_WHOLE},     {"made", "MADE", CELL_TIME, FIT_WHOLE},
	{"server", "SERVER", CELL_TEXT, FIT_DROP},    {"generation", "GENERATION", CELL_NUMBER, FIT_DROP},
	{"files", "FILES", CELL_NUMBER, FIT_WHOLE},   {"bytes", "SIZE", CELL_BYTES, FIT_WHOLE},
};

static void backup_row(struct ctl *c, const char *path)
{
	struct manifest m;
	char id[GUID_TEXT + 1];
	if (manifest_read(c, &m, path) != E_OK) {
		ctl_complain(c, "%s", c->err.text);
		return;
	}
	guid_text(&m.server, id);
	out_str(&c->out, path);
	out_number(&c->out, m.made);
	out_str(&c->out, id);
	out_number(&c->out, m.generation);
	out_number(&c->out, m.n);
	out_number(&c->out, (int64_t)m.bytes);
}

static int run_list(struct ctl *c)
{
	struct kept k;
	int rc = kept_open(c, &k, c->pos[0]);
	if (rc != E_OK)
		return rc;
	out_list_begin(&c->out, backup_columns, COUNTOF(backup_columns));
	if (exists_in(c, c->pos[0], MANIFEST))
		backup_row(c, c->pos[0]);
	for (int i = 0; i < k.n; i++) {
		const char *path = ctl_path(c, c->pos[0], k.entry[i]->d_name);
		if (path)
			backup_row(c, path);
	}
	out_list_end(&c->out);
	kept_close(&k);
	return E_OK;
}

/* Bytes first: what is not as it was written is not opened. */
static int verify(struct ctl *c, const char *path, struct manifest *m)
{
	struct manifest now;
	int rc = manifest_read(c, m, path);
	if (rc == E_OK)
		rc = manifest_check(c, m, path);
	return rc == E_OK ? audit_dir(c, path, &now) : rc;
}

static int run_verify(struct ctl *c)
{
	struct manifest m;
	const char *path;
	int rc = pick(c, c->pos[0], &path);
	if (rc == E_OK)
		rc = verify(c, path, &m);
	if (rc == E_OK)
		report_backup(c, path, &m);
	return rc;
}

/* ---- restore ---- */

static int move_part(struct ctl *c, const char *from, const char *to, const char *name)
{
	const char *a = ctl_path(c, from, name), *b = ctl_path(c, to, name);
	if (!a || !b)
		return E_NOMEM;
	return rename(a, b) == 0 ? E_OK : err_errno(&c->err, "%s", b);
}

/* A lone fleet/ beside incomplete/catalog was put there by one who was killed between the two moves. */
static int clear_unfinished(struct ctl *c, const struct making *m)
{
	int rc = E_OK;
	if (exists_in(c, m->work, "catalog") && !exists_in(c, m->work, "fleet") && exists_in(c, m->dir, "fleet") &&
		!exists_in(c, m->dir, "catalog"))
		rc = move_part(c, m->dir, m->work, "fleet");
	return rc == E_OK ? remove_parts(c, m->work) : rc;
}

static int put_in_place(struct ctl *c, const struct making *m)
{
	int rc = move_part(c, m->work, m->dir, "fleet");
	if (rc == E_OK)
		rc = sync_dir(c, m->dir);
	if (rc == E_OK)
		rc = move_part(c, m->work, m->dir, "catalog");
	return rc == E_OK ? sync_dir(c, m->dir) : rc;
}

static int copy_from(struct ctl *c, const char *from, const char *to)
{
	struct store *copy;
	int rc = store_open(&copy, from, STORE_READER, &c->err);
	if (rc != E_OK)
		return err_at(&c->err, rc, "%s: ", from);
	ctl_progress(c, "copying %s", from);
	rc = store_copy(copy, to, &c->err);
	store_close(&copy);
	return rc;
}

/* Services that learn of damage let go of the file within 5 s, and then look for a better one now and then, for a moment. */
static long user_of(struct ctl *c, unsigned parts)
{
	const struct timespec pause = {.tv_nsec = 100000000};
	long pid = 0;
	for (unsigned i = 0; i == 0 || (i < 80 && exists_in(c, c->store_dir, "damaged")); i++) {
		pid = 0;
		for (enum store_part part = 0; part < STORE__PARTS && pid == 0; part++)
			if (parts & 1u << part)
				pid = store_part_user(c->store_dir, part);
		if (pid == 0)
			break;
		nanosleep(&pause, NULL);
	}
	return pid;
}

/* Somebody who has the store open would go on with the old one, and write into it. */
static int expect_unused(struct ctl *c, unsigned parts)
{
	long pid = user_of(c, parts);
	char path[64], name[64] = "";
	if (pid == 0)
		return E_OK;
	snprintf(path, sizeof(path), "/proc/%ld/comm", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, name, sizeof(name) - 1) : 0;
	if (fd >= 0)
		close(fd);
	name[n > 0 ? n - 1 : 0] = 0;
	return err_set(&c->err, E_BUSY, "%s: in use by process %ld (%s); stop the services (systemctl stop wsus-fcgi.target, or "
		"scripts/run.sh --stop), then try again", c->store_dir, pid, name);
}

static int read_marks(const char *dir, struct server_marks *out)
{
	struct store *s;
	struct txn *t = NULL;
	int rc = store_open(&s, dir, STORE_RESCUE, NULL);
	if (rc == E_OK)
		rc = txn_begin(s, TXN_READ, &t, NULL);
	if (rc == E_OK)
		rc = server_marks_get(t, out, NULL);
	txn_end(&t);
	store_close(&s);
	return rc;
}

/* How far the store that is there has counted.  It may be damaged in any way, and who reads it may die of
 * that: a child does.  False: cannot be read; then the file beside it says what it knows. */
static bool past_marks(struct ctl *c, const char *dir, struct server_marks *out)
{
	struct server_marks noted;
	int ends[2], status;
	bool known = server_identity_read(dir, &noted);
	*out = noted;
	if (pipe(ends) != 0)
		return known;
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		signal(SIGSEGV, SIG_DFL);
		signal(SIGABRT, SIG_DFL);
		int null = open("/dev/null", O_WRONLY);
		bool good = null >= 0 && dup2(null, STDERR_FILENO) >= 0 && read_marks(dir, out) == E_OK;
		_exit(good && write(ends[1], out, sizeof(*out)) == (ssize_t)sizeof(*out) ? 0 : 1);
	}
	close(ends[1]);
	bool read_it = child > 0 && read(ends[0], out, sizeof(*out)) == (ssize_t)sizeof(*out);
	close(ends[0]);
	if (child > 0 && waitpid(child, &status, 0) < 0)
		errno = 0;
	if (!read_it)
		*out = noted;
	else if (known && noted.generation > out->generation)
		out->generation = noted.generation;
	(void)c;
	return read_it || known;
}

/* Before the copy is in its place, so that no service ever opens it as the old one: clients renumber, old
 * cookies get ServerChanged.  id: the server that it becomes, NULL: the one that it is. */
static int renew_generation(struct ctl *c, const char *dir, const struct server_marks *past, const struct guid *id,
	struct server_marks *now, const char *note)
{
	int rc = store_open(&c->store, dir, STORE_ADMIN, &c->err);
	if (rc == E_OK)
		rc = txn_begin(c->store, TXN_CATALOG, &c->txn, &c->err);
	if (rc == E_OK && id)
		rc = server_take_id(c->txn, id, &c->err);
	if (rc == E_OK)
		rc = server_new_generation_after(c->txn, past, &c->err);
	if (rc == E_OK)
		rc = server_marks_get(c->txn, now, &c->err);
	if (rc == E_OK)
		rc = audit_note(c->txn, c->admin, "%s", note);
	if (rc == E_OK)
		rc = publish(c->txn, c->now, &c->published, &c->err);
	if (rc == E_OK)
		rc = txn_commit(&c->txn, &c->err);
	txn_end(&c->txn);
	store_close(&c->store);
	return rc;
}

/* What is there goes to STORE/replaced, catalog/ first: from then on there is no store until the new one is
 * whole.  A lone fleet/ belongs to the catalog/ that is there already, if it was cut short between the two. */
static int put_aside(struct ctl *c, const struct making *m)
{
	const char *aside = ctl_path(c, m->dir, "replaced");
	bool catalog = exists_in(c, m->dir, "catalog"), fleet = exists_in(c, m->dir, "fleet");
	if (!aside)
		return E_NOMEM;
	int rc = catalog || (fleet && exists_in(c, aside, "fleet")) ? walk_remove(aside, &c->err) : E_OK;
	if (rc == E_OK && (catalog || fleet) && mkdir(aside, 0700) != 0 && errno != EEXIST)
		rc = err_errno(&c->err, "%s", aside);
	if (rc == E_OK && catalog)
		rc = move_part(c, m->dir, aside, "catalog");
	if (rc == E_OK && fleet)
		rc = move_part(c, m->dir, aside, "fleet");
	return rc == E_OK ? sync_dir(c, m->dir) : rc;
}

/* The last steps: the new store lies whole and checked in the work folder. */
static int replace_store(struct ctl *c, const struct making *m, const struct server_marks *now)
{
	struct manifest is;
	int rc = audit_dir(c, m->work, &is);
	if (rc == E_OK)
		rc = expect_unused(c, BOTH);
	if (rc == E_OK)
		rc = server_identity_write(m->dir, now, &c->err);
	if (rc == E_OK)
		rc = put_aside(c, m);
	return rc == E_OK ? put_in_place(c, m) : rc;
}

static void report_restore(struct ctl *c, const char *from, const struct server_marks *now)
{
	bool aside = exists_in(c, c->store_dir, "replaced");
	if (c->json) {
		out_object_begin(&c->out);
		out_field_text(&c->out, "store", "Store", slice_of(c->store_dir));
		out_field_number(&c->out, "generation", "Generation", CELL_NUMBER, now->generation);
		out_field_text(&c->out, "path", "Backup", slice_of(from));
		out_field_text(&c->out, "replaced", "Replaced", aside ? arena_printf(&c->arena, "%s/replaced", c->store_dir) : SL0);
		out_object_end(&c->out);
		return;
	}
	ctl_say(c, "%s: restored as a new generation; start the services (systemctl start wsus-fcgi.target), clients renumber by themselves", c->store_dir);
	if (aside)
		ctl_say(c, "what was there is in %s/replaced; remove it when you are sure", c->store_dir);
}

/* Hours since it was made: two restores of one backup differ, even where nothing else is left to count by. */
static void beyond_backup(struct ctl *c, const struct manifest *what, struct server_marks *past)
{
	int64_t hours = (c->now - what->made) / (3600 * TICKS_PER_SECOND);
	uint32_t least = what->generation + (uint32_t)(hours > 0 ? MIN(hours, (int64_t)1 << 20) : 0);
	past->generation = MAX(past->generation, least);
}

static int restore_into(struct ctl *c, const struct making *m, const char *from, const struct manifest *what,
	struct server_marks *now)
{
	struct server_marks past;
	struct slice note = arena_printf(&c->arena, "restore %s", from);
	int rc = clear_unfinished(c, m);
	if (rc == E_OK)
		rc = check_space(c, m->work, what->bytes);
	if (rc == E_OK)
		rc = copy_from(c, from, m->work);
	(void)past_marks(c, m->dir, &past);
	beyond_backup(c, what, &past);
	if (rc == E_OK)
		rc = renew_generation(c, m->work, &past, NULL, now, note.p ? note.p : "restore");
	return rc == E_OK ? replace_store(c, m, now) : rc;
}

/* The owner by name: numbers are of another machine. */
static int bring_back(struct ctl *c, const struct manifest_file *f, const char *source, const char *to)
{
	const struct passwd *pw = getpwnam(f->user);
	int rc = copy_file(c, source, to);
	if (rc != E_OK)
		return rc;
	ctl_say(c, "%s: brought back", to);
	if (!pw)
		ctl_say(c, "%s: its owner, %s, is not known here; `chown` it to the user of the services if they are to read it", to, f->user);
	/* fails for one who is not root: then it is his */
	if (lchown(to, pw ? pw->pw_uid : geteuid(), (gid_t)-1) != 0)
		errno = 0;
	return E_OK;
}

/* Keys and configuration that are there may be newer than the backup, as a certificate is: only what is missing
 * comes back, and what differs is said. */
static int restore_file(struct ctl *c, const struct manifest_file *f, const char *from, const char *place)
{
	struct digests d;
	const char *source = ctl_path(c, from, f->path), *name = strchr(f->path, '/') + 1;
	const char *to = ctl_path(c, place, name);
	if (!source || !to)
		return E_NOMEM;
	if (!exists(to))
		return bring_back(c, f, source, to);
	if (content_digest(to, &d, NULL) == E_OK && memcmp(d.sha256.b, f->digest.b, sizeof(d.sha256.b)) != 0)
		ctl_say(c, "%s: stays as it is; the backup has another one, %s", to, source);
	return E_OK;
}

/* Is this file of the backup one of that part? */
static bool belongs(const struct beside *b, const char *path)
{
	size_t n = strlen(b->name);
	if (!b->place || strncmp(path, b->name, n) != 0 || path[n] != '/')
		return false;
	return b->path == b->place || strcmp(path + n + 1, last_of(b->path)) == 0;
}

static int restore_part(struct ctl *c, const char *from, const struct manifest *what, const struct beside *b)
{
	int rc = E_OK;
	for (unsigned i = 0; rc == E_OK && i < what->n; i++)
		if (belongs(b, what->file[i].path))
			rc = restore_file(c, &what->file[i], from, b->place);
	return rc;
}

static int restore_beside(struct ctl *c, const char *from, const struct manifest *what)
{
	struct beside beside[BESIDE__N];
	int rc = find_beside(c, beside);
	for (unsigned k = 0; rc == E_OK && k < BESIDE__N; k++)
		rc = restore_part(c, from, what, &beside[k]);
	return rc;
}

/* Before all else where it is missing: it says where the rest belongs. */
static int restore_configuration(struct ctl *c, const char *from, const struct manifest *what)
{
	struct beside beside[BESIDE__N];
	if (c->conf.text.p || !place_is_installed(c))
		return E_OK;
	int rc = find_beside(c, beside);
	if (rc == E_OK)
		rc = restore_part(c, from, what, &beside[CONFIGURATION]);
	return rc == E_OK ? places_find(c) : rc;
}

static int run_restore(struct ctl *c)
{
	struct making m;
	struct server_marks now;
	struct manifest what;
	const char *from;
	int rc = expect_unused(c, BOTH);
	if (rc == E_OK)
		rc = pick(c, c->pos[0], &from);
	if (rc == E_OK)
		rc = verify(c, from, &what);
	if (rc == E_OK)
		rc = restore_configuration(c, from, &what);
	if (rc == E_OK)
		rc = expect_unused(c, BOTH);
	if (rc != E_OK)
		return rc;
	rc = make_parents(c, c->store_dir);
	if (rc != E_OK)
		return rc;
	rc = making_begin(c, &m, c->store_dir, ctl_path(c, c->store_dir, "incomplete"), 0755);
	if (rc == E_OK)
		rc = restore_into(c, &m, from, &what, &now);
	rc = making_end(c, &m, rc);
	if (rc == E_OK)
		rc = restore_beside(c, from, &what);
	if (rc != E_OK)
		return rc;
	report_restore(c, from, &now);
	return E_OK;
}

/* ---- reset ---- */

/* Runs fn in a child, whose end by a bad page is nobody else's; what it writes to the fd comes back.  True: it said
 * that all was well. */
static bool in_child(struct ctl *c, bool (*fn)(struct ctl *, unsigned, int), unsigned what, struct buf *out)
{
	int ends[2], status = -1;
	char piece[4096];
	ssize_t n;
	if (pipe(ends) != 0)
		return false;
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		store_on_damage(NULL);
		int null = open("/dev/null", O_WRONLY);
		_exit(null >= 0 && dup2(null, STDERR_FILENO) >= 0 && fn(c, what, ends[1]) ? 0 : 1);
	}
	close(ends[1]);
	while (child > 0 && (n = read(ends[0], piece, sizeof(piece))) > 0)
		buf_add(out, piece, (size_t)n);
	close(ends[0]);
	return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0 && out->rc == E_OK;
}

/* Every page, and that it is one of ours. */
static bool part_is_sound(struct ctl *c, unsigned part, int fd)
{
	struct store *s;
	struct err e;
	(void)fd;
	const char *skip[STORE__PARTS] = {0};
	skip[!part] = "not looked at";
	return store_open_but(&s, c->store_dir, STORE_RESCUE, skip, &e) == E_OK && store_read_all(s, (enum store_part)part, &e) == E_OK;
}

/* What is damaged; if nothing is, all of it. */
static unsigned parts_to_reset(struct ctl *c)
{
	struct buf none;
	unsigned bad = 0;
	buf_init(&none, 1);
	for (unsigned part = 0; part < STORE__PARTS; part++)
		if (!in_child(c, part_is_sound, part, &none))
			bad |= 1u << part;
	for (unsigned part = 0; part < STORE__PARTS; part++)
		if ((bad & 1u << part) && store_file_mark(c->store_dir, (enum store_part)part) &&
			store_note_damage(c->store_dir, (enum store_part)part, "found damaged by `wsusctl store reset`", NULL) != E_OK)
			errno = 0; /* then who uses it is named below */
	buf_free(&none);
	return bad ? bad : BOTH;
}

static void send_line(const char *line, void *arg)
{
	const int *fd = arg;
	if (dprintf(*fd, "%s\n", line) < 0)
		_exit(1);
}

static bool send_policy(struct ctl *c, unsigned kind, int fd)
{
	static const char *const skip[STORE__PARTS] = {[STORE_FLEET] = "not needed"};
	struct store *s;
	struct txn *t;
	struct err e;
	return store_open_but(&s, c->store_dir, STORE_RESCUE, skip, &e) == E_OK && txn_begin(s, TXN_READ, &t, &e) == E_OK &&
	       policy_lines(t, (enum policy)kind, send_line, &fd, &e) == E_OK;
}

#define POLICY_MAX ((size_t)256 << 20)

/* Each kind by a child of its own: where one meets a bad page, the others go on. */
static int save_policy(struct ctl *c, struct buf *lines)
{
	buf_init(lines, POLICY_MAX);
	for (unsigned kind = 0; kind < POLICY__N; kind++)
		if (!in_child(c, send_policy, kind, lines))
			ctl_warn(c, "not all %s can be read; what can is kept", policy_name((enum policy)kind));
	return lines->rc == E_OK ? E_OK : err_set(&c->err, E_NOMEM, "out of memory for the policy");
}

static int lay_policy(struct ctl *c, const char *dir, struct slice lines, unsigned count[POLICY__N])
{
	int rc = store_open(&c->store, dir, STORE_ADMIN, &c->err);
	if (rc == E_OK)
		rc = txn_begin(c->store, TXN_CATALOG, &c->txn, &c->err);
	if (rc == E_OK)
		rc = policy_lay(c->txn, lines, count, &c->err);
	if (rc == E_OK)
		rc = publish(c->txn, c->now, &c->published, &c->err);
	if (rc == E_OK)
		rc = txn_commit(&c->txn, &c->err);
	txn_end(&c->txn);
	store_close(&c->store);
	return rc;
}

/* A new store in the work folder, as this server in a new generation. */
static int make_anew(struct ctl *c, const struct making *m, struct server_marks *now)
{
	struct server_marks past;
	int rc = store_create(m->work, &c->err);
	bool known = past_marks(c, m->dir, &past);
	if (rc == E_OK && !known)
		ctl_warn(c, "neither catalog/ nor the file `identity` says which server this was: it becomes a new one");
	if (rc == E_OK)
		rc = renew_generation(c, m->work, &past, known ? &past.server_id : NULL, now, "store reset");
	return rc;
}

/* Moves the parts of `what` into a folder that is kept until somebody removes it, then the new ones into their place. */
static int exchange(struct ctl *c, const struct making *m, unsigned what, const char **aside)
{
	static const enum store_part in[] = {STORE_FLEET, STORE_CATALOG};
	char name[40];
	struct tm tm;
	time_t now = (time_t)(c->now / TICKS_PER_SECOND);
	gmtime_r(&now, &tm);
	strftime(name, sizeof(name), "before-reset-%Y%m%dT%H%M%SZ", &tm);
	*aside = ctl_path(c, m->dir, name);
	if (!*aside)
		return E_NOMEM;
	int rc = mkdir(*aside, 0700) == 0 ? E_OK : err_errno(&c->err, "%s", *aside);
	for (enum store_part part = 0; rc == E_OK && part < STORE__PARTS; part++)
		if ((what & 1u << part) && exists_in(c, m->dir, store_part_names[part]))
			rc = move_part(c, m->dir, *aside, store_part_names[part]);
	for (unsigned i = 0; rc == E_OK && i < COUNTOF(in); i++)
		if (what & 1u << in[i])
			rc = move_part(c, m->work, m->dir, store_part_names[in[i]]);
	return rc == E_OK ? sync_dir(c, m->dir) : rc;
}

struct resetting {
	unsigned what; /* parts */
	struct buf lines;
	unsigned count[POLICY__N];
	const char *aside;
};

static int reset_in(struct ctl *c, const struct making *m, struct resetting *r)
{
	struct server_marks now;
	bool catalog = r->what & 1u << STORE_CATALOG;
	int rc = clear_unfinished(c, m);
	if (rc == E_OK && catalog && ctl_option(c, "keep-policy"))
		rc = save_policy(c, &r->lines);
	if (rc == E_OK)
		rc = make_anew(c, m, &now);
	if (rc == E_OK && r->lines.n)
		rc = lay_policy(c, m->work, buf_bytes(&r->lines), r->count);
	if (rc == E_OK)
		rc = expect_unused(c, r->what);
	if (rc == E_OK && catalog)
		rc = server_identity_write(m->dir, &now, &c->err);
	return rc == E_OK ? exchange(c, m, r->what, &r->aside) : rc;
}

static void report_reset(struct ctl *c, const struct resetting *r)
{
	bool catalog = r->what & 1u << STORE_CATALOG, fleet = r->what & 1u << STORE_FLEET;
	const char *parts = catalog && fleet ? "catalog/ and fleet/" : catalog ? "catalog/" : "fleet/";
	if (c->json) {
		out_object_begin(&c->out);
		out_field_text(&c->out, "emptied", "Emptied", slice_of(parts));
		out_field_text(&c->out, "aside", "What was there", slice_of(r->aside));
		for (unsigned kind = 0; kind < POLICY__N; kind++)
			out_field_number(&c->out, policy_name((enum policy)kind), policy_name((enum policy)kind), CELL_NUMBER, r->count[kind]);
		out_object_end(&c->out);
		return;
	}
	ctl_say(c, "%s: %s emptied; what was there is in %s, remove it when you are sure", c->store_dir, parts, r->aside);
	for (unsigned kind = 0; kind < POLICY__N; kind++)
		if (r->count[kind])
			ctl_say(c, "kept: %u %s", r->count[kind], policy_name((enum policy)kind));
	if (catalog)
		ctl_say(c, "next: `wsusctl update import` the documents again%s, then `wsusctl content add %s`; clients renumber by themselves",
			r->count[POLICY_APPROVALS] ? ", approvals hold as soon as theirs are here" : "", c->content_dir);
	else
		ctl_say(c, "computers are noted again as they come");
}

static int run_reset(struct ctl *c)
{
	struct making m;
	struct resetting r = {0};
	if (!exists_in(c, c->store_dir, "catalog") && !exists_in(c, c->store_dir, "fleet"))
		return err_set(&c->err, E_NOTFOUND, "%s: no store here; make one: wsusctl store create", c->store_dir);
	r.what = parts_to_reset(c);
	int rc = expect_unused(c, r.what);
	if (rc == E_OK)
		rc = making_begin(c, &m, c->store_dir, ctl_path(c, c->store_dir, "incomplete"), 0755);
	else
		return rc;
	if (rc == E_OK)
		rc = reset_in(c, &m, &r);
	rc = making_end(c, &m, rc);
	buf_free(&r.lines);
	if (rc == E_OK)
		store_forget_damage(c->store_dir);
	if (rc == E_OK)
		report_reset(c, &r);
	return rc;
}

static const struct option_row reset_options[] = {
	{"keep-policy", NULL, "keep what can be read of settings, groups, assignments, licences, declines and approvals"},
	{0},
};

static const struct option_row backup_options[] = {
	{"keep", "N", "DIR is for several: make a new one in it, then remove all but the newest N"},
	{0},
};

const struct command backup_commands[] = {
	{"backup", "list", "DIR", "the backups in a directory", 1, 1, NEED_NOTHING, csv_options, run_list, NULL, NULL},
	{"backup", "verify", "PATH", "read a backup, or the newest in a directory, and check all of it", 1, 1, NEED_NOTHING,
		NULL, run_verify, NULL, NULL},
	{"backup", NULL, "DIR", "copy store, keys, certificates and configuration while the server runs, and verify the copy", 1, 1, NEED_STORE,
		backup_options, run_backup, NULL,
		"Content files are not part of it: they are verified by digest and can be added again.  It holds secrets."},
	{"restore", NULL, "PATH", "bring a backup, or the newest in a directory, back as a new generation", 1, 1, NEED_PLACE,
		NULL, run_restore, NULL, NULL},
	{"store", "reset", "", "empty what is damaged of the store, all of it if nothing is; the same server, a new generation", 0, 0,
		NEED_PLACE, reset_options, run_reset, NULL,
		"What was there is moved aside and kept.  Services need not be stopped for a part that they have stopped using."},
	{0},
};
