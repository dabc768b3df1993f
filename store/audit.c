/* audit.c -- looking after the store: the record of administrative changes, figures, invariants, copies. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/text.h"
#include "common/wusp_info.h"
#include "common/xpress.h"
#include "store/env.h"
#include "store/fact.h"
#include "store/index.h"
#include "store/langpack.h"
#include "store/report_parts.h"
#include "store/sync.h"
#include "store/update_status.h"

/* ================= the record of administrative changes ================= */

#define NOTE_BYTES 1000
#define NOTE_RECORD (8 << 10) /* each byte of a name or text may become \xNN */

static struct key note_key(tick_t at, uint32_t n)
{
	struct key k = {.n = 12};
	put_be64(k.b, (uint64_t)at);
	put_be32(k.b + 8, n);
	return k;
}

static int note_put(struct txn *t, struct slice admin, struct slice text, struct err *e)
{
	struct buf who, what, b;
	struct slice taken;
	tick_t now = time_now();
	uint32_t n = 0;
	struct key k = note_key(now, n);
	while (db_get(t, DB_AUDIT, key_bytes(&k), &taken) == E_OK)
		k = note_key(now, ++n);
	buf_init(&who, NOTE_RECORD);
	buf_init(&what, NOTE_RECORD);
	text_safe_add(&who, (struct slice){admin.p ? admin.p : "", MIN(admin.n, (size_t)255)});
	text_safe_add(&what, text);
	rec_begin(&b, 1, NOTE_RECORD);
	rec_put_str(&b, buf_bytes(&who));
	rec_put_str(&b, buf_bytes(&what));
	b.rc = who.rc != E_OK ? who.rc : what.rc != E_OK ? what.rc : b.rc;
	buf_free(&who);
	buf_free(&what);
	return db_put_rec(t, DB_AUDIT, key_bytes(&k), &b, e);
}

int audit_note(struct txn *t, struct slice admin, const char *fmt, ...)
{
	char text[NOTE_BYTES + 1];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return note_put(t, admin, (struct slice){text, n < 0 ? 0 : MIN((size_t)n, sizeof(text) - 1)}, NULL);
}

struct each_note {
	int (*fn)(tick_t, struct slice, struct slice, void *);
	void *arg;
	struct err *e;
};

static int each_note_row(struct slice key, struct slice value, void *arg)
{
	struct each_note *w = arg;
	struct rec r = rec_of(value, 1);
	struct slice admin = rec_str(&r), text = rec_str(&r);
	if (key.n != 12 || rec_end(&r) != E_OK)
		return err_set(w->e, E_CORRUPT, "a row of the audit log cannot be read");
	return w->fn((tick_t)get_be64(key.p), admin, text, w->arg);
}

int audit_each(struct txn *t, int (*fn)(tick_t, struct slice admin, struct slice text, void *), void *arg,
	struct err *e)
{
	struct each_note w = {fn, arg, e};
	return db_each(t, DB_AUDIT, SL(""), each_note_row, &w, e);
}

/* ================= figures ================= */

static int table_figures(struct txn *t, enum db db, struct table_stat *out)
{
	MDB_stat st;
	int rc = mdb_stat(t->mdb[env_of(db)], t->store->dbi[db], &st);
	if (rc != 0)
		return rc;
	uint64_t page = st.ms_psize;
	*out = (struct table_stat){db_table[db].name, st.ms_entries, page * st.ms_leaf_pages, page * st.ms_overflow_pages,
		page * st.ms_branch_pages};
	return 0;
}

int store_tables(struct txn *t, void (*fn)(const struct table_stat *, void *), void *arg, struct err *e)
{
	for (enum db db = 0; db < DB__N; db++) {
		struct table_stat s;
		if (!t->mdb[env_of(db)] || t->store->dbi[db] == DBI_NONE)
			continue;
		int rc = table_figures(t, db, &s);
		if (rc != 0)
			return env_error(&t->store->env[env_of(db)], rc, e);
		fn(&s, arg);
	}
	return E_OK;
}

static uint64_t pages_used(struct txn *t, unsigned kind)
{
	uint64_t bytes = 0;
	for (enum db db = env_table[kind].first; db < env_table[kind].end; db++) {
		struct table_stat s;
		if (t->store->dbi[db] != DBI_NONE && table_figures(t, db, &s) == 0)
			bytes += s.shared + s.own + s.inner;
	}
	return bytes;
}

static void env_figures(struct txn *t, unsigned kind, uint64_t *bytes, uint64_t *used, uint64_t *map)
{
	const struct env *v = &t->store->env[kind];
	char path[PATH_MAX];
	struct stat st;
	MDB_envinfo info;
	snprintf(path, sizeof(path), "%s/data.mdb", v->path);
	*bytes = stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
	*used = pages_used(t, kind);
	*map = mdb_env_info(v->mdb, &info) == 0 ? info.me_mapsize : 0;
}

static int count_revision(const struct revision *v, void *arg)
{
	struct store_stat *s = arg;
	if (v->flags & REV_REMOVED)
		return E_OK;
	s->revisions++;
	s->published += (v->flags & REV_PUBLISHED) != 0;
	s->doc_bytes += v->doc_bytes;
	return E_OK;
}

struct count_updates {
	struct txn *t;
	struct store_stat *s;
	struct err *e;
};

static int count_update(struct slice key, struct slice value, void *arg)
{
	(void)value;
	struct count_updates *w = arg;
	struct update u;
	int rc = update_get(w->t, key.n == 4 ? get_be32(key.p) : 0, &u, w->e);
	if (rc == E_OK) {
		w->s->updates += u.known;
		w->s->declined += u.declined;
	}
	return rc;
}

static int count_file(const struct file *f, void *arg)
{
	struct store_stat *s = arg;
	s->files++;
	s->files_stored += f->stored;
	return E_OK;
}

static int count_deployment(const struct deployment *d, void *arg)
{
	struct store_stat *s = arg;
	s->deployments += !d->dead;
	return E_OK;
}

static int count_events(struct txn *t, struct store_stat *s, struct err *e)
{
	struct event_segment *v;
	size_t n;
	int rc = t->mdb[FLEET] ? event_segments(t, &v, &n, e) : E_NOTFOUND;
	for (size_t i = 0; rc == E_OK && i < n; i++) {
		s->events_since = s->events == 0 && v[i].events > 0 ? v[i].from : s->events_since;
		s->events += v[i].events;
		s->event_bytes += v[i].bytes;
	}
	return rc == E_NOTFOUND || rc == E_CORRUPT ? E_OK : rc; /* a ring that cannot be read begins anew; the audit tells */
}

int store_stat(struct txn *t, struct store_stat *out, struct err *e)
{
	uint64_t groups = 0, computers = 0;
	struct count_updates updates = {t, out, e};
	*out = (struct store_stat){0};
	env_figures(t, CATALOG, &out->catalog_bytes, &out->catalog_used, &out->catalog_map);
	env_figures(t, FLEET, &out->fleet_bytes, &out->fleet_used, &out->fleet_map);
	int rc = server_state_get(t, &out->state, e);
	if (rc == E_OK)
		rc = revision_each(t, 1, 0, count_revision, out, e);
	if (rc == E_OK)
		rc = db_each(t, DB_UPDATE, SL(""), count_update, &updates, e);
	if (rc == E_OK)
		rc = file_each(t, count_file, out, e);
	if (rc == E_OK)
		rc = deployment_each_of_group(t, 0, count_deployment, out, e);
	if (rc == E_OK)
		rc = db_count(t, DB_GROUP, &groups, e);
	if (rc == E_OK && t->mdb[FLEET])
		rc = db_count(t, DB_COMPUTER, &computers, e);
	out->groups = (uint32_t)groups;
	out->computers = (uint32_t)computers;
	return rc == E_OK ? count_events(t, out, e) : rc;
}

/* ================= copies ================= */

static int sync_path(const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int rc = fd >= 0 && fsync(fd) == 0 ? E_OK : err_errno(e, "%s", path);
	if (fd >= 0)
		close(fd);
	return rc;
}

/* A file of an explicit mode that did not exist. */
static int create_file(const char *path, unsigned mode, int *fd, struct err *e)
{
	*fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (*fd < 0)
		return errno == EEXIST ? err_set(e, E_EXISTS, "%s exists already", path) : err_errno(e, "%s", path);
	return fchmod(*fd, mode) == 0 ? E_OK : err_errno(e, "%s", path);
}

static int copy_data(const struct env *v, const char *path, struct err *e)
{
	int fd, rc = create_file(path, env_table[v->kind].data_mode, &fd, e);
	if (fd < 0)
		return rc;
	if (rc == E_OK) {
		int mdb = mdb_env_copyfd2(v->mdb, fd, MDB_CP_COMPACT);
		rc = mdb == 0 ? E_OK : err_set(e, mdb == ENOSPC || mdb == EDQUOT ? E_FULL : E_IO, "%s: %s", path,
						mdb_strerror(mdb));
	}
	if (rc == E_OK && fsync(fd) != 0)
		rc = err_errno(e, "%s", path);
	close(fd);
	if (rc != E_OK)
		unlink(path);
	return rc;
}

/* An empty lock file of the right mode: a service could not make it in a folder that it only reads. */
int env_copy(const struct env *v, const char *dir, struct err *e)
{
	const struct env_info *k = &env_table[v->kind];
	char data[PATH_MAX], lock[PATH_MAX];
	struct env to = {.kind = v->kind};
	if (asprintf(&to.path, "%s/%s", dir, k->name) < 0)
		return err_set(e, E_NOMEM, "out of memory");
	snprintf(data, sizeof(data), "%s/data.mdb", to.path);
	snprintf(lock, sizeof(lock), "%s/lock.mdb", to.path);
	int fd = -1, rc = env_mkdir(dir, &to, e);
	if (rc == E_OK)
		rc = copy_data(v, data, e);
	if (rc == E_OK)
		rc = create_file(lock, k->lock_mode, &fd, e);
	if (rc == E_OK)
		rc = sync_path(to.path, e);
	if (fd >= 0)
		close(fd);
	free(to.path);
	return rc;
}

int store_copy(struct store *s, const char *dir, struct err *e)
{
	ASSERT(!s->busy);
	if (!s->env[FLEET].mdb)
		return err_set(e, E_DAMAGED, "%s", s->env[FLEET].trouble.text);
	int rc = env_copy(&s->env[FLEET], dir, e);
	return rc == E_OK ? env_copy(&s->env[CATALOG], dir, e) : rc;
}

/* ================= invariants ================= */

#define AUDIT_MEMORY ((size_t)1 << 30)

struct audit {
	struct txn *t;
	struct auditor *to;
	struct err *e;
	struct arena arena;
	struct server_state state;
	uint32_t last[COUNT__N];
	uint8_t *deployment_ids; /* by DeploymentID: given out to somebody */
	uint8_t *update_held;    /* by UpdateNo: has a revision */
	uint64_t file_pairs;     /* distinct (revision, file) */
	/* of the walk in progress */
	struct { /* fragments: the chunk before */
		char key[256];
		size_t n, bytes;
		uint32_t chunk;
		bool any;
	} before;
	struct { /* a chunk that lies in several rows, as one: what has been seen of it */
		char value[FRAGMENT_HEADER + UINT16_MAX];
		size_t n, missing;
	} chunk;
	struct sha1 *digests; /* files of one revision */
	size_t ndigests, cap;
	int32_t of_revision;
	uint32_t *live; /* updates with a live deployment in one group */
	size_t nlive, live_cap;
	uint32_t of_group;
};

void audit_say(struct auditor *to, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	to->n++;
	if (to->found)
		to->found(text, to->arg);
}

static bool live_revision(struct audit *a, int32_t id)
{
	struct revision v;
	return revision_get(a->t, id, &v, NULL) == E_OK && !(v.flags & REV_REMOVED);
}

static void check_id(struct audit *a, enum counter c, uint32_t id, const char *what)
{
	if (id == 0 || id > a->last[c])
		audit_say(a->to, "%s %u was never given out: the counter stands at %u", what, (unsigned)id, (unsigned)a->last[c]);
}

static void check_deployment_id(struct audit *a, uint32_t id, const char *whose, int32_t revision)
{
	check_id(a, COUNT_DEPLOYMENT, id, "deployment");
	if (id == 0 || id > a->last[COUNT_DEPLOYMENT])
		return;
	if (a->deployment_ids[id])
		audit_say(a->to, "deployment id %u is used twice, by the %s deployment of revision %d too", (unsigned)id, whose,
			(int)revision);
	a->deployment_ids[id] = 1;
}

/* ---- revisions, identities, updates ---- */

static void check_fragment_there(struct audit *a, int32_t id, enum fragment_type type, const char *name)
{
	struct fragment_key *k;
	size_t n;
	struct err why = {.code = E_OK};
	if (fragment_keys(a->t, id, type, &k, &n, &why) != E_OK)
		audit_say(a->to, "revision %d: %s", (int)id, why.text);
	else if (n == 0)
		audit_say(a->to, "revision %d has no %s fragment", (int)id, name);
}

static void check_targets(struct audit *a, int32_t id, const struct relation *v, size_t n, const char *what)
{
	for (size_t i = 0; i < n; i++) {
		struct update u;
		if (update_get(a->t, v[i].update_no, &u, NULL) != E_OK)
			audit_say(a->to, "revision %d: its %s names the unknown update number %u", (int)id, what,
				(unsigned)v[i].update_no);
	}
}

static void check_relations(struct audit *a, int32_t id)
{
	struct relations r;
	struct err why = {.code = E_OK};
	if (relations_get(a->t, id, &r, &why) != E_OK) {
		audit_say(a->to, "%s", why.text);
		return;
	}
	check_targets(a, id, r.prereq, r.nprereq, "prerequisite");
	check_targets(a, id, r.bundle, r.nbundle, "bundle");
	check_targets(a, id, r.superseded, r.nsuperseded, "list of superseded updates");
}

static void check_content(struct audit *a, int32_t id)
{
	check_relations(a, id);
	check_fragment_there(a, id, FRAG_CORE, "core");
	check_fragment_there(a, id, FRAG_EXTENDED, "extended");
	check_fragment_there(a, id, FRAG_LOCALIZED, "localized");
	arena_reset(txn_arena(a->t));
}

static void check_update_of(struct audit *a, const struct revision *v)
{
	struct update u;
	if (update_get(a->t, v->update_no, &u, NULL) != E_OK)
		audit_say(a->to, "revision %d belongs to the unknown update number %u", (int)v->id, (unsigned)v->update_no);
	else if (guid_cmp(&u.id, &v->update) != 0)
		audit_say(a->to, "revision %d and its update number %u have different ids", (int)v->id, (unsigned)v->update_no);
	if (v->update_no <= a->last[COUNT_UPDATE] && !(v->flags & REV_REMOVED))
		a->update_held[v->update_no] = 1;
}

static int audit_revision(struct slice key, struct slice value, void *arg)
{
	(void)value;
	struct audit *a = arg;
	struct revision v;
	int32_t id = key.n == 4 ? (int32_t)get_be32(key.p) : 0, named = 0;
	check_id(a, COUNT_REVISION, (uint32_t)id, "revision");
	if (revision_get(a->t, id, &v, NULL) != E_OK) {
		audit_say(a->to, "the record of revision %d cannot be read", (int)id);
		return E_OK;
	}
	if (revision_find(a->t, &v.update, v.number, &named) != E_OK || named != id)
		audit_say(a->to, "the identity of revision %d does not lead to it", (int)id);
	check_update_of(a, &v);
	check_deployment_id(a, v.deployment_id, "implied", id);
	if (!(v.flags & REV_REMOVED))
		check_content(a, id);
	return E_OK;
}

static int audit_identity(struct slice key, struct slice value, void *arg)
{
	struct audit *a = arg;
	struct revision v;
	int32_t id = value.n == 4 ? (int32_t)get_be32(value.p) : 0;
	if (key.n != 20 || revision_get(a->t, id, &v, NULL) != E_OK)
		audit_say(a->to, "an identity leads to revision %d, which is not there", (int)id);
	else if (memcmp(key.p, v.update.b, 16) != 0 || (int32_t)get_be32(key.p + 16) != v.number)
		audit_say(a->to, "an identity leads to revision %d, which has another", (int)id);
	return E_OK;
}

static int audit_update(struct slice key, struct slice value, void *arg)
{
	(void)value;
	struct audit *a = arg;
	struct update u;
	uint32_t no = key.n == 4 ? get_be32(key.p) : 0, named = 0;
	check_id(a, COUNT_UPDATE, no, "update number");
	if (update_get(a->t, no, &u, NULL) != E_OK) {
		audit_say(a->to, "the record of update %u cannot be read", (unsigned)no);
		return E_OK;
	}
	if (update_find(a->t, &u.id, &named) != E_OK || named != no)
		audit_say(a->to, "the id of update %u does not lead to it", (unsigned)no);
	if (no <= a->last[COUNT_UPDATE] && a->update_held[no] != (uint8_t)u.known)
		audit_say(a->to, "update %u is marked as %s", (unsigned)no, u.known ? "held, but has no revision" :
			"not held, but has a revision");
	return E_OK;
}

static int audit_update_id(struct slice key, struct slice value, void *arg)
{
	struct audit *a = arg;
	struct update u;
	uint32_t no = value.n == 4 ? get_be32(value.p) : 0;
	if (key.n != 16 || update_get(a->t, no, &u, NULL) != E_OK || memcmp(u.id.b, key.p, 16) != 0)
		audit_say(a->to, "an update's id leads to number %u, which is not it", (unsigned)no);
	return E_OK;
}

static int audit_relation(struct slice key, struct slice value, void *arg)
{
	(void)value;
	struct audit *a = arg;
	int32_t id = key.n == 4 ? (int32_t)get_be32(key.p) : 0;
	check_id(a, COUNT_REVISION, (uint32_t)id, "relations of revision");
	if (!live_revision(a, id))
		audit_say(a->to, "there are relations of revision %d, which is not there", (int)id);
	return E_OK;
}

/* ---- fragments ---- */

static bool same_fragment(const struct audit *a, struct slice key)
{
	return a->before.any && a->before.n == key.n && memcmp(a->before.key, key.p, key.n - 2) == 0;
}

static void remember(struct audit *a, struct slice key, size_t bytes)
{
	a->before.n = key.n;
	a->before.any = key.n <= sizeof(a->before.key);
	if (a->before.any)
		memcpy(a->before.key, key.p, key.n);
	a->before.chunk = get_be16(key.p + key.n - 2);
	a->before.bytes = bytes;
}

static void check_chunk(struct audit *a, struct slice key, struct slice value, int32_t id)
{
	uint32_t chunk = get_be16(key.p + key.n - 2);
	bool same = same_fragment(a, key);
	if (chunk != (same ? a->before.chunk + 1 : 0))
		audit_say(a->to, "revision %d: a fragment has no chunk before chunk %u", (int)id, (unsigned)chunk);
	if (same && a->before.bytes < FRAGMENT_FULL)
		audit_say(a->to, "revision %d: a short chunk of a fragment is not its last", (int)id);
	remember(a, key, value.n - FRAGMENT_HEADER);
}

static int add_plain(const struct language *l, void *arg)
{
	uint64_t *plain = arg;
	*plain += l->n;
	return E_OK;
}

/* The row that languages share; its blocks are looked at by their headers, like those of other fragments. */
static bool is_langpack(struct slice key)
{
	return key.p[4] == FRAG_LOCALIZED && key.p[5] == 0;
}

static bool plain_size(struct slice key, struct slice value, uint64_t *plain)
{
	struct slice bytes = {value.p + FRAGMENT_HEADER, value.n - FRAGMENT_HEADER};
	*plain = 0;
	if (is_langpack(key))
		return langpack_each(bytes, add_plain, plain) == E_OK;
	*plain = bytes.n;
	return value.p[1] == 0 || xpress_plain_size(bytes, plain);
}

static void check_plain(struct audit *a, struct slice key, struct slice value)
{
	uint64_t plain;
	if (!plain_size(key, value, &plain) || plain != get_be32(value.p + 4))
		audit_say(a->to, "revision %d: a chunk of fragment type %d does not have the size it claims", (int)get_be32(key.p), key.p[4]);
}

/* The first row of a chunk that says how many bytes it has with those that follow. */
static void begin_chunk(struct audit *a, struct slice key, struct slice value, size_t all)
{
	if (value.n - FRAGMENT_HEADER >= all) {
		audit_say(a->to, "revision %d: a chunk of a fragment is in one row and says that it is in several", (int)get_be32(key.p));
		return;
	}
	memcpy(a->chunk.value, value.p, value.n);
	a->chunk.n = value.n;
	a->chunk.missing = all - (value.n - FRAGMENT_HEADER);
}

static int chunk_ends(struct audit *a)
{
	if (a->chunk.missing)
		audit_say(a->to, "revision %d: the last %zu bytes of a chunk of a fragment are missing", (int)get_be32(a->before.key),
			a->chunk.missing);
	a->chunk.missing = 0;
	return E_OK;
}

/* Is the row the next of the chunk that has begun? */
static bool continues_chunk(struct audit *a, struct slice key, struct slice value)
{
	bool next = a->chunk.missing && same_fragment(a, key) && get_be16(key.p + key.n - 2) == a->before.chunk + 1;
	if (!next || value.n == 0 || value.n > a->chunk.missing) {
		chunk_ends(a);
		return false;
	}
	memcpy(a->chunk.value + a->chunk.n, value.p, value.n);
	a->chunk.n += value.n;
	a->chunk.missing -= value.n;
	remember(a, key, a->chunk.n - FRAGMENT_HEADER);
	if (!a->chunk.missing)
		check_plain(a, key, (struct slice){a->chunk.value, a->chunk.n});
	return true;
}

static int audit_fragment(struct slice key, struct slice value, void *arg)
{
	struct audit *a = arg;
	if (key.n >= 9 && continues_chunk(a, key, value))
		return E_OK;
	if (key.n < 9 || value.n < FRAGMENT_HEADER || value.p[0] != 1) {
		audit_say(a->to, "a chunk of a fragment cannot be read");
		return E_OK;
	}
	int32_t id = (int32_t)get_be32(key.p);
	int type = key.p[4];
	check_id(a, COUNT_REVISION, (uint32_t)id, "fragment of revision");
	if (type < FRAG_CORE || type >= FRAG__N)
		audit_say(a->to, "revision %d has a fragment of the unknown type %d", (int)id, type);
	if (!live_revision(a, id))
		audit_say(a->to, "there is a fragment of revision %d, which is not there", (int)id);
	check_chunk(a, key, value, id);
	if (get_be16(value.p + 2))
		begin_chunk(a, key, value, get_be16(value.p + 2));
	else
		check_plain(a, key, value);
	return E_OK;
}

/* ---- files ---- */

static int by_digest(const void *x, const void *y)
{
	return memcmp(x, y, sizeof(struct sha1));
}

static void count_pairs(struct audit *a)
{
	if (a->ndigests > 1)
		qsort(a->digests, a->ndigests, sizeof(*a->digests), by_digest);
	for (size_t i = 0; i < a->ndigests; i++)
		if (i == 0 || by_digest(&a->digests[i - 1], &a->digests[i]) != 0)
			a->file_pairs++;
	a->ndigests = 0;
}

static int audit_named(const struct revision_file *rf, void *arg)
{
	struct audit *a = arg;
	struct file f;
	struct key digest = key_sha1(&rf->digest), id = key_u32((uint32_t)a->of_revision);
	if (file_get(a->t, &rf->digest, &f, NULL) != E_OK)
		audit_say(a->to, "revision %d names a file that is not there", (int)a->of_revision);
	if (!db_has_pair(a->t, DB_FILE_REV, key_bytes(&digest), key_bytes(&id)))
		audit_say(a->to, "a file of revision %d does not lead back to it", (int)a->of_revision);
	struct sha1 *v = ARENA_MORE(&a->arena, a->digests, a->ndigests, &a->cap);
	if (!v)
		return E_NOMEM;
	a->digests = v;
	a->digests[a->ndigests++] = rf->digest;
	return E_OK;
}

static int audit_rev_file(struct slice key, struct slice value, void *arg)
{
	(void)value;
	struct audit *a = arg;
	int32_t id = key.n == 6 ? (int32_t)get_be32(key.p) : 0;
	if (id == a->of_revision)
		return E_OK; /* the first row of a revision stands for all */
	a->of_revision = id;
	check_id(a, COUNT_REVISION, (uint32_t)id, "files of revision");
	if (!live_revision(a, id))
		audit_say(a->to, "there are files of revision %d, which is not there", (int)id);
	struct err why = {.code = E_OK};
	int rc = revision_files_each(a->t, id, audit_named, a, &why);
	if (rc == E_CORRUPT)
		audit_say(a->to, "revision %d: %s", (int)id, why.text);
	count_pairs(a);
	return rc == E_NOMEM ? rc : E_OK;
}

static int audit_file_rev(struct slice key, struct slice value, void *arg)
{
	struct audit *a = arg;
	struct sha1 digest;
	struct file f;
	int32_t id = value.n == 4 ? (int32_t)get_be32(value.p) : 0;
	if (key.n != sizeof(digest) || !live_revision(a, id)) {
		audit_say(a->to, "a file leads to revision %d, which is not there", (int)id);
		return E_OK;
	}
	memcpy(&digest, key.p, sizeof(digest));
	if (file_get(a->t, &digest, &f, NULL) != E_OK)
		audit_say(a->to, "a file that is not there leads to revision %d", (int)id);
	return E_OK;
}

static int audit_file(struct slice key, struct slice value, void *arg)
{
	(void)value;
	struct audit *a = arg;
	struct sha1 digest;
	struct file f;
	struct slice some;
	char hex[2 * sizeof(digest) + 1] = "";
	if (key.n == sizeof(digest)) {
		memcpy(&digest, key.p, sizeof(digest));
		hex_text(key.p, key.n, true, hex);
	}
	if (key.n != sizeof(digest) || file_get(a->t, &digest, &f, NULL) != E_OK)
		audit_say(a->to, "the record of file %s cannot be read", hex);
	else if (!f.stored && db_get(a->t, DB_FILE_REV, key, &some) != E_OK)
		audit_say(a->to, "file %s belongs to no revision", hex);
	return E_OK;
}

static int audit_file_pairs(struct audit *a)
{
	uint64_t n;
	int rc = db_count(a->t, DB_FILE_REV, &n, a->e);
	if (rc == E_OK && n != a->file_pairs)
		audit_say(a->to, "revisions name %llu files, files lead to %llu revisions", (unsigned long long)a->file_pairs,
			(unsigned long long)n);
	return rc;
}

/* ---- groups and assignments ---- */

static int audit_group(struct slice key, struct slice value, void *arg)
{
	(void)value;
	struct audit *a = arg;
	struct group g, above;
	uint32_t no = key.n == 4 ? get_be32(key.p) : 0, named = 0;
	check_id(a, COUNT_GROUP, no, "group");
	if (group_get(a->t, no, &g, NULL) != E_OK) {
		audit_say(a->to, "the record of group %u cannot be read", (unsigned)no);
		return E_OK;
	}
	if (group_find(a->t, g.name, &named) != E_OK || named != no)
		audit_say(a->to, "the name of group %u does not lead to it", (unsigned)no);
	if (g.builtin != (no <= GROUP_DOWNSTREAM))
		audit_say(a->to, "group %u is%s built in", (unsigned)no, g.builtin ? "" : " not");
	if ((g.parent == 0) != (no == GROUP_ALL_COMPUTERS || no == GROUP_DOWNSTREAM))
		audit_say(a->to, "group %u stands at a wrong place", (unsigned)no);
	unsigned depth = 1;
	for (above = g; above.parent != 0 && depth <= LIMIT_CLIENT_GROUPS; depth++)
		if (group_get(a->t, above.parent, &above, NULL) != E_OK) {
			audit_say(a->to, "group %u stands under a group that is not there", (unsigned)no);
			return E_OK;
		}
	if (depth > LIMIT_CLIENT_GROUPS)
		audit_say(a->to, "group %u is nested too deep, or below itself", (unsigned)no);
	return E_OK;
}

static int audit_group_name(struct slice key, struct slice value, void *arg)
{
	struct audit *a = arg;
	struct group g;
	uint32_t no = value.n == 4 ? get_be32(value.p) : 0;
	if (group_get(a->t, no, &g, NULL) != E_OK || !text_ieq(g.name, key))
		audit_say(a->to, "the name \"%.*s\" leads to group %u, which is not it", SLF(key), (unsigned)no);
	return E_OK;
}

static int audit_builtin(struct audit *a)
{
	for (uint32_t no = 1; no <= GROUP_DOWNSTREAM; no++) {
		struct group g;
		if (group_get(a->t, no, &g, NULL) != E_OK)
			audit_say(a->to, "the built-in group %u is missing", (unsigned)no);
	}
	return E_OK;
}

static int audit_assign(struct slice key, struct slice value, void *arg)
{
	(void)value;
	struct audit *a = arg;
	struct computer_key k;
	uint32_t *v;
	size_t n;
	if (!computer_key(&k, key) || !slice_eq(k.s, key))
		audit_say(a->to, "an assignment is kept under \"%.*s\", which is no computer's id", SLF(key));
	else if (assign_get(a->t, key, &v, &n, NULL) != E_OK)
		audit_say(a->to, "the assignment of %.*s cannot be read", SLF(key));
	else
		for (size_t i = 0; i < n; i++) {
			struct group g;
			if (group_get(a->t, v[i], &g, NULL) != E_OK)
				audit_say(a->to, "computer %.*s is assigned to group %u, which is not there", SLF(key), (unsigned)v[i]);
		}
	arena_reset(txn_arena(a->t));
	return E_OK;
}

/* ---- deployments ---- */

static int by_number(const void *x, const void *y)
{
	const uint32_t *a = x, *b = y;
	return *a < *b ? -1 : *a > *b;
}

static void check_one_per_update(struct audit *a)
{
	if (a->nlive > 1)
		qsort(a->live, a->nlive, sizeof(*a->live), by_number);
	for (size_t i = 1; i < a->nlive; i++)
		if (a->live[i] == a->live[i - 1])
			audit_say(a->to, "update %u has several approvals for group %u", (unsigned)a->live[i], (unsigned)a->of_group);
	a->nlive = 0;
}

static int check_live(struct audit *a, const struct deployment *d)
{
	struct revision v;
	struct update u;
	struct group g;
	if (group_get(a->t, d->group, &g, NULL) != E_OK)
		audit_say(a->to, "revision %d is approved for group %u, which is not there", (int)d->revision, (unsigned)d->group);
	if (revision_get(a->t, d->revision, &v, NULL) != E_OK || v.flags & REV_REMOVED)
		return E_OK; /* told by the caller */
	if (update_get(a->t, v.update_no, &u, NULL) == E_OK && u.declined)
		audit_say(a->to, "revision %d is approved for group %u, but its update is declined", (int)d->revision,
			(unsigned)d->group);
	if (mirror_has(a->t, d->group, d->revision))
		return E_OK; /* another server may allow what this one does not */
	uint32_t *live = ARENA_MORE(&a->arena, a->live, a->nlive, &a->live_cap);
	if (!live)
		return E_NOMEM;
	a->live = live;
	a->live[a->nlive++] = v.update_no;
	return E_OK;
}

static int audit_deploy(struct slice key, struct slice value, void *arg)
{
	(void)value;
	struct audit *a = arg;
	struct deployment d;
	struct slice row;
	if (key.n != 8 || deployment_get(a->t, get_be32(key.p), (int32_t)get_be32(key.p + 4), &d) != E_OK) {
		audit_say(a->to, "the record of a deployment cannot be read");
		return E_OK;
	}
	if (d.group != a->of_group)
		check_one_per_update(a);
	a->of_group = d.group;
	check_deployment_id(a, d.id, "explicit", d.revision);
	struct key reverse = key_u32_u32((uint32_t)d.revision, d.group);
	if (db_get(a->t, DB_DEPLOY_REV, key_bytes(&reverse), &row) != E_OK)
		audit_say(a->to, "revision %d does not lead to its deployment for group %u", (int)d.revision, (unsigned)d.group);
	if ((db_get(a->t, DB_WAITING, key, &row) == E_OK) != (d.waiting != 0 && !d.dead))
		audit_say(a->to, "the deployment of revision %d for group %u and the list of waiting ones disagree", (int)d.revision,
			(unsigned)d.group);
	struct revision v;
	if (revision_get(a->t, d.revision, &v, NULL) != E_OK || (!d.dead && v.flags & REV_REMOVED))
		audit_say(a->to, "there is a deployment of revision %d, which is not there", (int)d.revision);
	return d.dead ? E_OK : check_live(a, &d);
}

static int audit_last_group(struct audit *a)
{
	check_one_per_update(a);
	return E_OK;
}

static int check_deployment_named(struct audit *a, struct slice key, uint32_t group, int32_t revision, const char *list)
{
	struct deployment d;
	if (key.n != 8 || deployment_get(a->t, group, revision, &d) != E_OK)
		audit_say(a->to, "%s names a deployment of revision %d for group %u, which is not there", list, (int)revision,
			(unsigned)group);
	return E_OK;
}

static int audit_deploy_rev(struct slice key, struct slice value, void *arg)
{
	(void)value;
	bool fits = key.n == 8;
	return check_deployment_named(arg, key, fits ? get_be32(key.p + 4) : 0, fits ? (int32_t)get_be32(key.p) : 0,
		"the list by revision");
}

static int audit_waiting(struct slice key, struct slice value, void *arg)
{
	(void)value;
	bool fits = key.n == 8;
	return check_deployment_named(arg, key, fits ? get_be32(key.p) : 0, fits ? (int32_t)get_be32(key.p + 4) : 0,
		"the list of waiting ones");
}

/* ---- notes, settings, log, computers ---- */

static void check_mentioned(struct audit *a, uint32_t id, const char *where)
{
	struct revision v;
	if (id != 0 && revision_get(a->t, (int32_t)id, &v, NULL) != E_OK)
		audit_say(a->to, "%s names revision %u, which is not there", where, (unsigned)id);
}

static int audit_pending(struct slice key, struct slice value, void *arg)
{
	(void)value;
	struct audit *a = arg;
	if (key.n != 9 || key.p[0] < PENDING_TOUCH || key.p[0] > PENDING_FACT)
		audit_say(a->to, "a note for the next publish cannot be read");
	else
		check_mentioned(a, get_be32(key.p + 5), "a note for the next publish");
	return E_OK;
}

static int audit_log(struct slice key, struct slice value, void *arg)
{
	(void)value;
	struct audit *a = arg;
	if (key.n != 12) {
		audit_say(a->to, "a row of the change log cannot be read");
		return E_OK;
	}
	if (get_be32(key.p) > a->state.epoch)
		audit_say(a->to, "the change log knows epoch %u, the server stands at %u", (unsigned)get_be32(key.p),
			(unsigned)a->state.epoch);
	check_mentioned(a, get_be32(key.p + 8), "the change log");
	return E_OK;
}

static int audit_setting(struct slice key, struct slice value, void *arg)
{
	(void)value;
	struct audit *a = arg;
	struct slice text;
	if (setting_get(a->t, key, &text, NULL) != E_OK)
		audit_say(a->to, "the setting \"%.*s\" is unknown or cannot be read", SLF(key));
	return E_OK;
}

static int audit_settings(struct audit *a)
{
	struct settings set;
	struct sync_language languages[SYNC_LANGUAGES];
	uint32_t point;
	struct err why = {.code = E_OK};
	if (settings_get(a->t, &set, &why) != E_OK || sync_config(a->t, languages, &point, &why) != E_OK)
		audit_say(a->to, "%s", why.text);
	return E_OK;
}

static int audit_eula(struct slice key, struct slice value, void *arg)
{
	struct audit *a = arg;
	struct rec r = rec_of(value, 1);
	rec_u64(&r);
	rec_str(&r);
	if (key.n != 16 || rec_end(&r) != E_OK)
		audit_say(a->to, "the acceptance of a EULA cannot be read");
	return E_OK;
}

static int audit_audit(struct slice key, struct slice value, void *arg)
{
	struct audit *a = arg;
	struct rec r = rec_of(value, 1);
	rec_str(&r);
	rec_str(&r);
	if (key.n != 12 || rec_end(&r) != E_OK)
		audit_say(a->to, "a row of the record of administrative changes cannot be read");
	return E_OK;
}

static int audit_computer(struct slice key, struct slice value, void *arg)
{
	(void)value;
	struct audit *a = arg;
	struct computer_key k;
	struct computer c;
	struct ComputerInfo info;
	if (!computer_key(&k, key) || !slice_eq(k.s, key))
		audit_say(a->to, "a computer is kept under \"%.*s\", which is no computer's id", SLF(key));
	else if (computer_get(a->t, key, &c) != E_OK)
		audit_say(a->to, "the record of computer %.*s cannot be read", SLF(key));
	else if (c.registered && computer_info_unpack(c.info, &info) != E_OK)
		audit_say(a->to, "the registration of computer %.*s cannot be read", SLF(key));
	arena_reset(txn_arena(a->t));
	return E_OK;
}

static int audit_seen(struct slice key, struct slice value, void *arg)
{
	struct audit *a = arg;
	struct slice row;
	struct rec r = rec_of(value, 1);
	rec_u64(&r);
	rec_u64(&r);
	if (rec_end(&r) != E_OK)
		audit_say(a->to, "the last contact of computer %.*s cannot be read", SLF(key));
	if (db_get(a->t, DB_COMPUTER, key, &row) != E_OK)
		audit_say(a->to, "there is a last contact of computer %.*s, which is not there", SLF(key));
	return E_OK;
}

static int check_scanned(struct audit *a, enum db db, struct slice key, struct slice value, const char *what)
{
	if (!scanned_row_good(a->t, db, key, value))
		audit_say(a->to, "%s of computer %.*s cannot be read, or the computer is not there", what, (int)strnlen(key.p, key.n), key.p);
	arena_reset(txn_arena(a->t));
	return E_OK;
}

static int audit_scanned(struct slice key, struct slice value, void *arg)
{
	return check_scanned(arg, DB_SCANNED, key, value, "the last scan");
}

static int audit_device(struct slice key, struct slice value, void *arg)
{
	return check_scanned(arg, DB_DEVICE, key, value, "the hardware ids");
}

static int audit_face(struct slice key, struct slice value, void *arg)
{
	return check_scanned(arg, DB_FACE, key, value, "the names");
}

/* What a standing sums up, if it is counted: one that was counted by the numbers of another catalog is not yet. */
static void check_sums(struct audit *a, struct slice key, const struct standing *s)
{
	uint32_t count[STATUS__N], hidden, highest;
	struct key cohort = key_u32(s->cohort);
	struct slice v;
	if (status_figures(a->t, key, count, &hidden, &highest) != E_OK)
		return; /* the walk of those says so */
	if (s->cohort != 0 && db_get(a->t, DB_COHORT, key_bytes(&cohort), &v) != E_OK)
		return;
	if (memcmp(count, s->count, sizeof(count)) != 0 || hidden != s->hidden)
		audit_say(a->to, "the standing of computer %.*s does not say how many of its updates have which status", SLF(key));
}

static int audit_standing(struct slice key, struct slice value, void *arg)
{
	struct audit *a = arg;
	struct standing s;
	if (!standing_row_good(key, value))
		audit_say(a->to, "the standing of computer %.*s cannot be read", SLF(key));
	else if (standing_get(a->t, key, &s) != E_OK)
		audit_say(a->to, "there is a standing of computer %.*s, which is not there", SLF(key));
	else
		check_sums(a, key, &s);
	return E_OK;
}

static int audit_status(struct slice key, struct slice value, void *arg)
{
	struct audit *a = arg;
	struct slice row;
	uint32_t count[STATUS__N], hidden, highest;
	if (!status_row_good(key, value))
		audit_say(a->to, "the statuses of computer %.*s cannot be read", SLF(key));
	else if (db_get(a->t, DB_STANDING, key, &row) != E_OK)
		audit_say(a->to, "there are statuses of computer %.*s, which has no standing", SLF(key));
	else if (status_figures(a->t, key, count, &hidden, &highest) == E_OK && highest > a->last[COUNT_UPDATE])
		audit_say(a->to, "computer %.*s has a status of update %u, which was never given out", SLF(key), (unsigned)highest);
	return E_OK;
}

static void check_downstream_row(struct audit *a, enum db db, struct slice key, struct slice value, const char *what)
{
	char hex[41] = "";
	hex_text(key.p, MIN(key.n, sizeof(hex) / 2), false, hex);
	if (!downstream_row_good(db, key, value))
		audit_say(a->to, "%s %s cannot be read", what, hex);
}

static int audit_admitted(struct slice key, struct slice value, void *arg)
{
	check_downstream_row(arg, DB_ADMITTED, key, value, "the decision about downstream server");
	return E_OK;
}

static int audit_downstream(struct slice key, struct slice value, void *arg)
{
	check_downstream_row(arg, DB_DOWNSTREAM, key, value, "the record of downstream server");
	return E_OK;
}

static int audit_choice(struct slice key, struct slice value, void *arg)
{
	struct audit *a = arg;
	struct guid id = {{0}};
	struct revision r;
	int32_t revision;
	char text[GUID_TEXT + 1];
	if (!parent_row_good(DB_CHOICE, key, value)) {
		audit_say(a->to, "the record of a choice cannot be read");
		return E_OK;
	}
	memcpy(id.b, key.p + 1, sizeof(id.b));
	guid_text(&id, text);
	/* the zero id is no choice: it has the count of everything.  One that is not here (yet) is no fault: choices outlive a store */
	if (revision_find(a->t, &id, 0, &revision) == E_OK && revision_get(a->t, revision, &r, NULL) == E_OK &&
		 r.type != TYPE_CATEGORY && !(r.flags & REV_REMOVED))
		audit_say(a->to, "the choice %s is no category", text);
	return E_OK;
}

static int audit_history(struct slice key, struct slice value, void *arg)
{
	struct audit *a = arg;
	if (!parent_row_good(DB_HISTORY, key, value))
		audit_say(a->to, "a row of the history of synchronizations cannot be read");
	return E_OK;
}

static int audit_fetch(struct slice key, struct slice value, void *arg)
{
	struct audit *a = arg;
	if (!parent_row_good(DB_FETCH, key, value))
		audit_say(a->to, "the record of a file to be fetched cannot be read");
	return E_OK;
}

static int audit_mirror(struct slice key, struct slice value, void *arg)
{
	struct audit *a = arg;
	if (!mirror_row_good(key, value))
		audit_say(a->to, "the record of a mirrored deployment cannot be read");
	return E_OK;
}

static int audit_parent(struct audit *a)
{
	if (!parent_row_readable(a->t))
		audit_say(a->to, "what is known of the server above this one cannot be read");
	return E_OK;
}

/* A file that the catalog does not know (any more) is no fault: catalog/ and fleet/ commit apart, and the next sweep drops
 * the mark. */
static int audit_wanted(struct slice key, struct slice value, void *arg)
{
	check_downstream_row(arg, DB_WANTED, key, value, "the mark of wanted file");
	return E_OK;
}

static int audit_event(struct slice key, struct slice value, void *arg)
{
	struct audit *a = arg;
	char hex[65] = "";
	hex_text(key.p, MIN(key.n, sizeof(hex) / 2), false, hex);
	if (!event_row_good(key, value))
		audit_say(a->to, "event %s cannot be read", hex);
	return E_OK;
}

static int audit_ring(struct audit *a)
{
	if (!event_ring_good(a->t))
		audit_say(a->to, "the row of the segments of events cannot be read, or events lie outside of them");
	return E_OK;
}

/* ---- all of it, in an order in which a check finds what it needs ---- */

static const struct {
	enum db db;
	db_row_fn *row;             /* for each row */
	int (*after)(struct audit *); /* once behind the rows */
} checks[] = {
	{DB_REVISION, audit_revision, NULL},
	{DB_IDENTITY, audit_identity, NULL},
	{DB_UPDATE, audit_update, NULL},
	{DB_UPDATE_ID, audit_update_id, NULL},
	{DB_RELATION, audit_relation, NULL},
	{DB_FRAGMENT, audit_fragment, chunk_ends},
	{DB_REV_FILE, audit_rev_file, NULL},
	{DB_FILE_REV, audit_file_rev, audit_file_pairs},
	{DB_FILE, audit_file, NULL},
	{DB_GROUP, audit_group, audit_builtin},
	{DB_GROUP_NAME, audit_group_name, NULL},
	{DB_ASSIGN, audit_assign, NULL},
	{DB_DEPLOY, audit_deploy, audit_last_group},
	{DB_DEPLOY_REV, audit_deploy_rev, NULL},
	{DB_WAITING, audit_waiting, NULL},
	{DB_PENDING, audit_pending, NULL},
	{DB_LOG, audit_log, NULL},
	{DB_SETTING, audit_setting, audit_settings},
	{DB_EULA, audit_eula, NULL},
	{DB_AUDIT, audit_audit, NULL},
	{DB_ADMITTED, audit_admitted, NULL},
	{DB_CHOICE, audit_choice, NULL},
	{DB_HISTORY, audit_history, audit_parent},
	{DB_FETCH, audit_fetch, NULL},
	{DB_MIRROR, audit_mirror, NULL},
	{DB_COMPUTER, audit_computer, NULL},
	{DB_SEEN, audit_seen, NULL},
	{DB_SCANNED, audit_scanned, NULL},
	{DB_DEVICE, audit_device, NULL},
	{DB_FACE, audit_face, NULL},
	{DB_STANDING, audit_standing, NULL},
	{DB_STATUS, audit_status, NULL},
	{DB_DOWNSTREAM, audit_downstream, NULL},
	{DB_WANTED, audit_wanted, NULL},
#define SEGMENT(n) {DB_EVENT + (n), audit_event, NULL}
	SEGMENT(0), SEGMENT(1), SEGMENT(2), SEGMENT(3), SEGMENT(4), SEGMENT(5), SEGMENT(6), SEGMENT(7), SEGMENT(8), SEGMENT(9), SEGMENT(10),
	SEGMENT(11), SEGMENT(12), SEGMENT(13), SEGMENT(14),
#undef SEGMENT
	{DB_EVENT_LAST, audit_event, audit_ring},
};

static int audit_begin(struct audit *a)
{
	for (enum counter c = 0; c < COUNT__N; c++)
		a->last[c] = counter_last(a->t, c);
	a->deployment_ids = ARENA_ARRAY(&a->arena, uint8_t, (size_t)a->last[COUNT_DEPLOYMENT] + 1);
	a->update_held = ARENA_ARRAY(&a->arena, uint8_t, (size_t)a->last[COUNT_UPDATE] + 1);
	if (!a->deployment_ids || !a->update_held)
		return E_NOMEM;
	struct err why = {.code = E_OK};
	if (server_state_get(a->t, &a->state, &why) != E_OK)
		audit_say(a->to, "%s", why.text);
	return E_OK;
}

static int audit_index(struct audit *a)
{
	int rc = index_audit(a->t, a->to, a->e);
	return rc == E_OK ? fact_audit(a->t, a->to, a->e) : rc;
}

int store_audit(struct txn *t, void (*found)(const char *text, void *), void *arg, unsigned *n, struct err *e)
{
	struct auditor to = {.found = found, .arg = arg};
	struct audit a = {.t = t, .to = &to, .e = e};
	struct arena lent = *txn_arena(t); /* the walks empty the transaction's arena as they go: not the caller's */
	arena_init(txn_arena(t), LIMIT_REQUEST_MEMORY);
	arena_init(&a.arena, AUDIT_MEMORY);
	int rc = audit_begin(&a);
	for (size_t i = 0; rc == E_OK && i < COUNTOF(checks); i++) {
		if (!t->mdb[env_of(checks[i].db)])
			continue;
		rc = db_each(t, checks[i].db, SL(""), checks[i].row, &a, e);
		if (rc == E_OK && checks[i].after)
			rc = checks[i].after(&a);
	}
	/* a damaged catalog has no index to compare with: its rows come first */
	if (rc == E_OK && to.n == 0)
		rc = audit_index(&a);
	if (rc == E_OK && to.n == 0)
		rc = report_audit(t, &to, e);
	arena_free(&a.arena);
	arena_free(txn_arena(t));
	*txn_arena(t) = lent;
	*n = to.n;
	return rc == E_NOMEM ? err_set(e, E_NOMEM, "out of memory for the audit") : rc;
}
