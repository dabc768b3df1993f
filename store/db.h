/* db.h -- inside store/ only: databases, keys, raw access, staged rows, arrays of the scan index.
 *
 * Keys are fixed-width and big-endian, so that LMDB's order is the numbers' order; each value begins with a
 * version byte; encoder and decoder of a record stand in one file.  All functions return enum errcode.
 *
 *  catalog/
 *  meta        name                          -> server state, counters, format version, config (one record each)
 *  setting     name                          -> v1 | text
 *  update      UpdateNo be32                 -> v1 | guid, flags, declined at, by
 *  update_id   guid[16]                      -> UpdateNo be32                 (never removed)
 *  identity    guid[16] number be32          -> RevisionID be32               (never removed: tombstones)
 *  revision    RevisionID be32               -> v1 | struct revision          (below 2,000 bytes)
 *  relation    RevisionID be32               -> v1 | prereq, bundle, superseded
 *  fragment    RevisionID be32, type u8, locale, 0, geo, 0, chunk be16
 *                                            -> v1 | packed u8, all be16, plain be32 | bytes   (<= LIMIT_CHUNK)
 *              behind a row with all > 0     -> bytes: the rest of a chunk of `all` bytes, up to where they are complete
 *              localized, locale empty       -> the same, bytes: the short ones of all languages but en, langpack.h
 *  file        sha1[20]                      -> v2 | struct file              (v1 of before: without the key)
 *  rev_file    RevisionID be32, n be16       -> v1 | sha1, kind, name, locale, geo
 *  file_rev    sha1[20]                      -> RevisionID be32               (DUPSORT)
 *  eula        guid[16]                      -> v1 | accepted at, by
 *  group       GroupNo be32                  -> v1 | struct group
 *  group_name  lower-case name               -> GroupNo be32
 *  assign      computer id                   -> v1 | GroupNo be32 ...
 *  deploy      GroupNo be32 RevisionID be32  -> v1 | struct deployment
 *  deploy_rev  RevisionID be32 GroupNo be32  -> (empty)
 *  pending     kind u8 (PENDING_*), group be32, RevisionID be32 -> (empty)    changes not yet published
 *  waiting     GroupNo be32 RevisionID be32  -> (empty)           deployments with WAIT_* set
 *  log         epoch be32, group be32, RevisionID be32 -> (empty) what changed for whom (group 0: all)
 *  array       array u8, sub be32, chunk be16 -> bytes            the scan index, see index.h
 *  audit       tick be64, n be32             -> v1 | admin, text
 *  admitted    ServerID[16]                  -> v1 | which downstream servers may come, downstream.c
 *  choice      kind u8, UpdateID[16]         -> v1 | products and classifications that are wanted, parent.c
 *  history     began be64                    -> v1 | what came of each synchronization
 *  fetch       sha1[20]                      -> v1 | what came of attempts to fetch a file
 *  mirror      kind u8 (MIRROR_*), ...       -> v1 | of a replica: which deployment is which of the server above, replica.c
 *
 *  fleet/
 *  fmeta       name                          -> format version; "newcomers", see stranger.c
 *  computer    lower-case id                 -> v1 | struct computer
 *  seen        lower-case id                 -> v1 | last seen, major, minor
 *  downstream  ServerID[16]                  -> v1 | struct downstream, what it said of itself
 *  wanted      sha1[20]                      -> v1 | who asked for the file, when, how often
 *  standing    lower-case id                 -> v1 | struct standing, status.c
 *  status      lower-case id                 -> v1 | the status of all its updates, status.c
 *  cohort      no be32                       -> v1 | struct cohort, tally.c (0: the server)
 *  cohort_of   GroupNo be32 ...              -> no be32
 *  tally       cohort be32, chunk be32       -> v1 | counts of the updates of the chunk
 *  os          no be32                       -> v1 | its tuple, computers
 *  os_of       digest of the tuple           -> no be32
 *  activity    ServerID[16] os be32 UpdateID[16] number be32 -> v1 | successes, failures
 *  scanned     lower-case id                 -> v1 | installed prerequisites of the last scan, scanned.c
 *  device      lower-case id, 0, chunk be16  -> v1 | hardware ids
 *  face        lower-case id                 -> v1 | names and BIOS data under which it came
 *  event_0 ... mark of the id[16], EventInstanceID[16] -> v1 | an event; a ring of databases, event.c */
#ifndef STORE_DB_H
#define STORE_DB_H

#include <lmdb.h>

#include "common/buf.h"
#include "store/store.h"

enum db {
	DB_META,
	DB_SETTING,
	DB_UPDATE,
	DB_UPDATE_ID,
	DB_IDENTITY,
	DB_REVISION,
	DB_RELATION,
	DB_FRAGMENT,
	DB_FILE,
	DB_REV_FILE,
	DB_FILE_REV,
	DB_EULA,
	DB_GROUP,
	DB_GROUP_NAME,
	DB_ASSIGN,
	DB_DEPLOY,
	DB_DEPLOY_REV,
	DB_PENDING,
	DB_WAITING,
	DB_LOG,
	DB_ARRAY,
	DB_AUDIT,
	DB_ADMITTED,
	DB_CHOICE,
	DB_HISTORY,
	DB_FETCH,
	DB_MIRROR,
	DB__CATALOG, /* first of fleet/ */
	DB_FMETA = DB__CATALOG,
	DB_COMPUTER,
	DB_SEEN,
	DB_DOWNSTREAM,
	DB_WANTED,
	DB_STANDING,
	DB_STATUS,
	DB_COHORT,
	DB_COHORT_OF,
	DB_TALLY,
	DB_OS,
	DB_OS_OF,
	DB_ACTIVITY,
	DB_SCANNED,
	DB_DEVICE,
	DB_FACE,
	DB_EVENT, /* the first of EVENT_SEGMENTS */
	DB_EVENT_LAST = DB_EVENT + 15,
	DB__N
};

/* ---- raw access; MDB results become codes here and nowhere else ---- */
int db_get(struct txn *t, enum db db, struct slice key, struct slice *value) MUST_CHECK; /* E_NOTFOUND */
int db_put(struct txn *t, enum db db, struct slice key, struct slice value, struct err *e) MUST_CHECK;
/* Room for n bytes to fill in place before the next call on t. */
int db_reserve(struct txn *t, enum db db, struct slice key, size_t n, void **to, struct err *e) MUST_CHECK;
int db_append(struct txn *t, enum db db, struct slice key, struct slice value, struct err *e) MUST_CHECK;
int db_del(struct txn *t, enum db db, struct slice key, struct err *e) MUST_CHECK; /* missing: E_OK */
/* All rows of a database at once: cheap, however many there are. */
int db_empty(struct txn *t, enum db db, struct err *e) MUST_CHECK;
int db_del_dup(struct txn *t, enum db db, struct slice key, struct slice value, struct err *e) MUST_CHECK;
/* All rows whose key starts with prefix, ascending; fn returns non-zero to stop (that becomes the result).
 * fn must not write to the database that is walked. */
typedef int db_row_fn(struct slice key, struct slice value, void *arg);
int db_each(struct txn *t, enum db db, struct slice prefix, db_row_fn *fn, void *arg, struct err *e) MUST_CHECK;
/* From the first key >= from. */
int db_each_from(struct txn *t, enum db db, struct slice from, db_row_fn *fn, void *arg, struct err *e)
	MUST_CHECK;
/* Is this pair there?  For databases that hold several values of a key. */
bool db_has_pair(struct txn *t, enum db db, struct slice key, struct slice value);
/* How large the next part of a value of n bytes should be that is cut into rows, so that nothing of a page is lost:
 * whole pages where it fills some (a value that is too large for half a page gets pages of its own, in LMDB), else
 * what is left on the page onto which rows are being appended, else the most that shares one.  1 to n. */
size_t db_fit(const struct txn *t, enum db db, size_t key, size_t n);
/* The last key of a database. */
int db_last(struct txn *t, enum db db, struct slice *key) MUST_CHECK; /* E_NOTFOUND */
/* Removes all rows below a prefix; *n counts them (may be NULL). */
int db_del_prefix(struct txn *t, enum db db, struct slice prefix, uint64_t *n, struct err *e) MUST_CHECK;
int db_count(struct txn *t, enum db db, uint64_t *n, struct err *e) MUST_CHECK;
/* Of its pages. */
size_t db_bytes(const struct txn *t, enum db db);
bool txn_writes_catalog(const struct txn *t);
struct store *txn_store(struct txn *t);
/* Bytes written in this transaction so far: what LIMIT_DIRTY bounds. */
size_t txn_dirty(const struct txn *t);
/* Is there room for more in fleet/?  Not once its databases take half of the map. */
bool txn_fleet_has_room(const struct txn *t);
size_t txn_fleet_map(const struct txn *t); /* bytes that fleet/ may grow to */
/* Spoils the transaction, so that half a change is never committed; returns code.  A verb calls it when it
 * fails after its first write; failed db_put() and the like do so themselves. */
int txn_fail(struct txn *t, int code, const struct err *e);

/* ---- records: put together and taken apart ---- */
struct rec { /* a reader: sticky, bounds-checked */
	const uint8_t *p, *end;
	bool bad;
};
struct rec rec_of(struct slice value, uint8_t version); /* bad if the version byte is another */
uint8_t rec_u8(struct rec *r);
uint16_t rec_u16(struct rec *r);
uint32_t rec_u32(struct rec *r);
uint64_t rec_u64(struct rec *r);
uint64_t rec_number(struct rec *r); /* seven bits a byte, the lowest first: short where it is small */
void rec_bytes(struct rec *r, void *to, size_t n);
struct slice rec_str(struct rec *r); /* be32 length, bytes; borrowed */
size_t rec_left(const struct rec *r);
int rec_end(const struct rec *r) MUST_CHECK; /* E_CORRUPT if it was cut short or bytes are left */
/* writers append to a buf: buf_char for u8 */
void rec_put_u16(struct buf *b, uint16_t v);
void rec_put_u32(struct buf *b, uint32_t v);
void rec_put_u64(struct buf *b, uint64_t v);
void rec_put_number(struct buf *b, uint64_t v);
void rec_put_str(struct buf *b, struct slice s);
/* db_put() of what b holds, E_NOMEM or E_LIMIT if b failed; frees b.  A record: version byte, fields. */
int db_put_rec(struct txn *t, enum db db, struct slice key, struct buf *b, struct err *e) MUST_CHECK;
/* b becomes a record of at most max bytes that begins with its version. */
void rec_begin(struct buf *b, uint8_t version, size_t max);
#define LIMIT_RECORD ((size_t)512 << 10) /* 10,000 prerequisites, members and superseded updates */

/* ---- keys ---- */
struct key { /* fixed-width keys are built here */
	uint8_t b[48];
	size_t n;
};
static inline struct slice key_bytes(const struct key *k)
{
	return (struct slice){(const char *)k->b, k->n};
}
struct computer_key { /* lower case, 1 to LIMIT_CLIENT_ID bytes */
	char b[LIMIT_CLIENT_ID];
	struct slice s;
};
bool computer_key(struct computer_key *k, struct slice id);
struct key key_u32(uint32_t a);
struct key key_u32_u32(uint32_t a, uint32_t b);
struct key key_pending(uint8_t kind, uint32_t group, int32_t revision);
struct key key_log(uint32_t epoch, uint32_t group, int32_t revision);
struct key key_guid(const struct guid *g);
struct key key_identity(const struct guid *g, int32_t number);
struct key key_sha1(const struct sha1 *d);

/* A random guid (version 4). */
int guid_make(struct guid *out, struct err *e) MUST_CHECK;

/* ---- counters in meta ---- */
enum counter { COUNT_REVISION, COUNT_UPDATE, COUNT_GROUP, COUNT_DEPLOYMENT, COUNT__N };
int counter_next(struct txn *t, enum counter c, uint32_t *out, struct err *e) MUST_CHECK;
uint32_t counter_last(struct txn *t, enum counter c);
/* Kinds of rows in DB_PENDING.  The publish_touch ... functions of pending.c write them; publish() reads and clears. */
enum pending {
	PENDING_TOUCH = 1, /* group, revision */
	PENDING_DIRTY,
	PENDING_TOUCH_ALL,
	PENDING_FILE, /* 0, revision: downstream servers are to ask anew about its files */
	PENDING_READY, /* 0, 0: publish_ready() was here */
	PENDING_FACT, /* 0, revision: its update's facts are to be looked at again; 0, 0: those of all */
};
int server_state_put(struct txn *t, const struct server_state *s, struct err *e) MUST_CHECK;
/* What a store of format 2 lacks: the arrays, and what its documents say that was not kept. */
int original_migrate(struct txn *t, struct err *e) MUST_CHECK;
int sync_migrate(struct txn *t, struct err *e) MUST_CHECK;

/* ---- staged rows, for import.c ---- */
/* The UpdateNo of a guid, made if new. */
int update_number(struct txn *t, const struct guid *id, uint32_t *no, struct err *e) MUST_CHECK;
int update_put(struct txn *t, const struct update *u, struct err *e) MUST_CHECK;
int revision_put(struct txn *t, const struct revision *r, struct err *e) MUST_CHECK; /* and its identity row */
int revision_rewrite(struct txn *t, const struct revision *r, struct err *e) MUST_CHECK; /* its record alone */
int relations_put(struct txn *t, int32_t id, const struct relations *r, struct err *e) MUST_CHECK;
/* relations_each() of its bundle members. */
int members_each(struct txn *t, int32_t id, int (*fn)(const struct relation *member, void *), void *arg,
	struct err *e) MUST_CHECK;
/* The RevisionID of a member, E_NOTFOUND while the catalog does not hold it. */
int member_find(struct txn *t, const struct relation *member, int32_t *id) MUST_CHECK;
/* One chunk of a fragment, ascending from 0, at most LIMIT_CHUNK bytes; packed: whole Xpress blocks with
 * headers.  Every chunk but the last has at least FRAGMENT_FULL bytes (so a reader knows a short chunk for
 * the last one and asks for no further): E_LIMIT otherwise.  A last chunk of the original below that is cut into
 * several rows: as one each would lose half a page, a fifth of the store. */
#define FRAGMENT_FULL ((size_t)32 << 10)
#define FRAGMENT_HEADER 8 /* of a chunk in its first row: version, packed, be16 all its bytes if they lie in several rows, plain size */
int fragment_put(struct txn *t, int32_t id, enum fragment_type type, struct slice locale, struct slice geo,
	uint16_t chunk, bool packed, uint32_t plain, struct slice bytes, struct err *e) MUST_CHECK;
/* Names the file by a revision; makes or completes the file row (never un-stores it). */
int revision_file_put(struct txn *t, int32_t id, uint16_t n, const struct revision_file *rf,
	const struct file *f, struct err *e) MUST_CHECK;
int file_put(struct txn *t, const struct file *f, struct err *e) MUST_CHECK;
/* Makes the file's row, or adds what it did not say yet. */
int file_complete(struct txn *t, const struct file *f, struct err *e) MUST_CHECK;
/* The files of a revision in document order without an arena. */
int revision_files_each(struct txn *t, int32_t id, int (*fn)(const struct revision_file *, void *), void *arg,
	struct err *e) MUST_CHECK;
/* Drops the files' rows of a revision, see revision_wipe(). */
int revision_files_wipe(struct txn *t, int32_t id, struct err *e) MUST_CHECK;
/* Drops every row of a RevisionID that was never published: what a refused document left.  Files that only
 * it named and that are not stored go too. */
int revision_wipe(struct txn *t, int32_t id, struct err *e) MUST_CHECK;
/* One import at a time, across processes; a killed one lets go.  E_BUSY.  import_begin() takes the lock and
 * then calls revisions_sweep(); store_open(STORE_ADMIN) sweeps too if nobody holds it. */
int store_import_lock(struct store *s, struct err *e) MUST_CHECK;
void store_import_unlock(struct store *s);
/* Wipes the RevisionIDs given out that never became a revision (an import was killed in their middle). */
int revisions_sweep(struct txn *t, struct err *e) MUST_CHECK;
int revisions_unfinished(struct txn *t, bool *any, struct err *e) MUST_CHECK;

/* Writes the row with its deploy_rev and waiting rows (waiting: there iff d->waiting and not dead). */
int deployment_put(struct txn *t, const struct deployment *d, struct err *e) MUST_CHECK;
/* Recomputes waiting, missing_files and missing_bytes of *d from files, EULA and clock; writes nothing.
 * approve() and publish() call it.  Only Install and OptionalInstall wait for files and EULAs: of the
 * revision and of all bundle members below it. */
int deployment_judge(struct txn *t, struct deployment *d, tick_t now, struct err *e) MUST_CHECK;
/* Finds deployments in effect that must wait now: a file has gone, content.store changed. */
int deployments_rejudge(struct txn *t, struct err *e) MUST_CHECK;
/* Makes a tombstone of a live one. */
int deployment_end(struct txn *t, struct deployment *d, tick_t now, struct err *e) MUST_CHECK;
/* Makes tombstones of all deployments of a group. */
int deployments_end_of_group(struct txn *t, uint32_t group, struct err *e) MUST_CHECK;
int groups_create_builtin(struct txn *t, struct err *e) MUST_CHECK;
int group_put(struct txn *t, const struct group *g, struct err *e) MUST_CHECK;
int group_check_name(struct slice name, struct err *e) MUST_CHECK;
/* Its row goes, its deployments end, its assignments fall away; what stands under it is the caller's. */
int group_remove(struct txn *t, const struct group *g, struct err *e) MUST_CHECK;
/* The row of a name goes, before another group gets the name. */
int group_name_del(struct txn *t, struct slice name, struct err *e) MUST_CHECK;
/* Is this deployment the server's above, as this replica mirrors it? */
bool mirror_has(struct txn *t, uint32_t group, int32_t revision);
bool mirror_row_good(struct slice key, struct slice value);
/* The approvals that wait for their revision (policy_lay()) are forgotten. */
int policy_drop_waiting(struct txn *t, struct err *e) MUST_CHECK;
/* is_free: policy_is_local() lets everything pass, as the server itself does it; returns how it was. */
bool txn_policy_free(struct txn *t, bool is_free);

/* Policy moves computers between groups, so that their counts have to follow (report.h, cohort.c).  Of anybody; of this computer (lower-case id); of those that ask for a group by its
 * name, if they may. */
int membership_changed(struct txn *t, struct err *e) MUST_CHECK;
int membership_changed_of(struct txn *t, struct slice computer, struct err *e) MUST_CHECK;
int membership_names_changed(struct txn *t, struct err *e) MUST_CHECK;

/* Can a row of DB_DOWNSTREAM, DB_ADMITTED or DB_WANTED be read? */
bool downstream_row_good(enum db db, struct slice key, struct slice value);
/* The same of DB_CHOICE, DB_HISTORY, DB_FETCH; and is what is known of the server above this one readable? */
bool parent_row_good(enum db db, struct slice key, struct slice value);
bool parent_row_readable(struct txn *t);

/* ---- arrays of the scan index: values of fixed-size items in chunks of at most LIMIT_CHUNK ---- */
enum array {
	ARRAY_ROW = 1, /* struct index_row by RevisionID */
	ARRAY_BASE,    /* bitmaps over RevisionID ... */
	ARRAY_NONLEAF,
	ARRAY_DRIVER,
	ARRAY_ALIVE,
	ARRAY_CSET, ARRAY_CSET_AT, ARRAY_INV, ARRAY_INV_AT, ARRAY_MEMBERS, ARRAY_MEMBERS_AT,
	ARRAY_BUNDLE, ARRAY_BUNDLE_AT, ARRAY_BYUPDATE, ARRAY_BYUPDATE_AT, ARRAY_CATEGORY,
	ARRAY_EXPLICIT, /* sub = GroupNo: bitmap of active explicit deployments */
	ARRAY_LISTED,    /* uint32 by RevisionID ... */
	ARRAY_UPDATE_ID, /* struct guid by UpdateNo */
	ARRAY_FACT,      /* sub = UpdateNo / 1000: uint16 by the rest: FACT_* of fact.h */
	ARRAY__N
};
/* Rewrites an array; chunks whose bytes are the same are left alone, surplus ones removed.
 * *changed counts rewritten chunks (may be NULL). */
int array_put(struct txn *t, enum array a, uint32_t sub, const void *p, size_t bytes, unsigned *changed,
	struct err *e) MUST_CHECK;
/* Chunk `chunk` as it lies in the map; E_NOTFOUND past the end.  All chunks but the last have LIMIT_CHUNK
 * bytes.  Not aligned: a small chunk lies in the middle of a page; memcpy what you read. */
int array_chunk(struct txn *t, enum array a, uint32_t sub, uint16_t chunk, struct slice *out) MUST_CHECK;

#endif
