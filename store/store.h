/* store.h -- the model: what the server knows, as verbs and records.  The only header of store/ that cgi/
 * and ctl/ need besides scan.h, import.h and publish.h; only store/ includes lmdb.h.
 *
 * Two LMDB environments below one directory: catalog/ (revisions, fragments, files, groups, assignments,
 * deployments, settings: written by wsusctl and the jobs) and fleet/ (what computers tell us:
 * written by web services).  A struct txn is a snapshot of both.
 *
 * Borrowing: every slice and pointer handed out points into the map or the transaction's arena and is valid
 * until txn_end().  Nothing here prints; errors come back as codes with a text in the struct err.
 *
 * Numbers for life: RevisionID, UpdateNo, GroupNo, DeploymentID are dense, start at 1, and are never reused.
 *
 * Staging and publishing: import stages rows; publish() (publish.h) makes them visible under a new epoch. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "common/arena.h"
#include "common/base.h"
#include "common/err.h"
#include "common/limits.h"
#include "common/rope.h"

/* ================= environments and transactions ================= */

struct store;
struct txn;
#define STORE_MENDS \
	"`wsusctl store audit` says more, `wsusctl restore` brings a backup back, `wsusctl store reset` begins anew"
enum store_part { STORE_CATALOG, STORE_FLEET, STORE__PARTS };

enum store_role {
	STORE_SERVICE, /* reads catalog, writes fleet */
	STORE_ADMIN,   /* writes both; runs pending migrations and cleans what a killed import left */
	STORE_READER,  /* reads both, also of an older format, and changes no file: to look at a copy */
	STORE_RESCUE,  /* the same of a store that may be damaged: either part may be left out */
};

/* Makes catalog/ and fleet/ below dir (which must exist), a fresh ServerID, generation 1, the built-in
 * groups, default settings.  E_EXISTS if there is a store already. */
int store_create(const char *dir, struct err *e) MUST_CHECK;
/* Opens in this process (once; never across fork).  E_NOTFOUND: no store there; E_VERSION: newer format. */
int store_open(struct store **out, const char *dir, enum store_role role, struct err *e) MUST_CHECK;
void store_close(struct store **s);
const char *store_dir(const struct store *s);

/* ---- damage ----
 * Either part of a store may be damaged.  Without catalog/ there is no store; where fleet/ cannot be used, services and
 * wsusctl open what is left: what needs it fails with E_DAMAGED.  A reader of copies (STORE_READER) wants all. */
extern const char *const store_part_names[STORE__PARTS]; /* "catalog", "fleet" */
/* store_open() that does not touch the parts for which skip[] has words (NULL: none). */
int store_open_but(struct store **out, const char *dir, enum store_role role, const char *const skip[STORE__PARTS],
	struct err *e) MUST_CHECK;
/* Why a part cannot be used, NULL: it can.  fleet/ may have been left out; a page of either may have turned out to be
 * damaged since. */
const char *store_trouble(const struct store *s, enum store_part part);
bool store_has(const struct store *s, enum store_part part); /* is it open, damaged or not? */
/* Have the names of its files other files by now (a restore, a deleted lock.mdb)?  Then it should be opened again. */
bool store_moved(const struct store *s);
/* Reads every page of a part; E_DAMAGED names the database. */
int store_read_all(struct store *s, enum store_part part, struct err *e) MUST_CHECK;
/* Tells one data.mdb from a later one, and from itself once it was written to: 0 if there is none. */
uint64_t store_file_mark(const char *dir, enum store_part part);
/* Files are mapped: a page that cannot be read, or leads nowhere, comes as SIGBUS, SIGSEGV or an assertion of LMDB.  fn is
 * then called with the part and what is wrong; it must not return, so it leaves by siglongjmp() or _exit().  Signals
 * for other memory keep their meaning. */
typedef void store_damage_fn(enum store_part part, const char *what);
void store_on_damage(store_damage_fn *fn);
/* The database that store_read_all() is at, NULL: none; for fn. */
const char *store_reading(void);
/* The file DIR/damaged: what an audit found, so that services stop using that data.mdb (and no later one). */
int store_note_damage(const char *dir, enum store_part part, const char *what, struct err *e) MUST_CHECK;
void store_forget_damage(const char *dir);
bool store_noted(const struct store *s); /* is there such a note about a part that is open? */

enum txn_mode {
	TXN_READ,    /* snapshot of both */
	TXN_FLEET,   /* catalog snapshot, fleet writable */
	TXN_CATALOG, /* catalog writable, fleet snapshot */
};
/* Read transactions are cheap (renewed handles); write transactions wait for the one writer of their
 * environment.  A store has one transaction at a time. */
int txn_begin(struct store *s, enum txn_mode mode, struct txn **out, struct err *e) MUST_CHECK;
int txn_commit(struct txn **t, struct err *e) MUST_CHECK;
void txn_end(struct txn **t); /* aborts a writer, releases a reader; NULL is fine */
struct arena *txn_arena(struct txn *t);
/* Changes with every commit to the catalog: equal values mean the same catalog snapshot. */
uint64_t txn_catalog_version(const struct txn *t);
uint64_t txn_fleet_version(const struct txn *t); /* the same of fleet/, for a transaction that reads or writes it */

/* ================= server identity and settings ================= */

struct server_state {
	struct guid server_id;
	uint32_t generation;     /* restore, reset and adoption raise it: old cookies get ServerChanged */
	uint32_t epoch;          /* of the last publish */
	uint32_t log_floor;      /* change log is complete for points >= this */
	uint32_t revisions;      /* highest RevisionID given out */
	uint32_t updates;        /* highest UpdateNo */
	uint32_t file_locations; /* version of all file URLs */
	tick_t last_change;      /* of what GetConfig answers (CONFIG-05) */
	tick_t created;
};
int server_state_get(struct txn *t, struct server_state *out, struct err *e) MUST_CHECK;
/* A new generation: skips id counters ahead (restore, adoption).  Needs TXN_CATALOG. */
int server_new_generation(struct txn *t, struct err *e) MUST_CHECK;
/* How far a store has counted: what the one that takes its place must go beyond, or a computer could take a new
 * number for one that it knows. */
struct server_marks {
	struct guid server_id;
	uint32_t generation, count[4];
};
int server_marks_get(struct txn *t, struct server_marks *out, struct err *e) MUST_CHECK;
/* Lifts generation and counters to at least those of past, then makes a new generation. */
int server_new_generation_after(struct txn *t, const struct server_marks *past, struct err *e) MUST_CHECK;
/* A new, empty store becomes this server. */
int server_take_id(struct txn *t, const struct guid *id, struct err *e) MUST_CHECK;
/* The file DIR/identity: ServerID and generation once more, for when catalog/ cannot be read. */
int server_identity_write(const char *dir, const struct server_marks *m, struct err *e) MUST_CHECK;
bool server_identity_read(const char *dir, struct server_marks *out);
/* A process that has the store below dir open (the first found), 0: none.  By the locks that LMDB holds on
 * lock.mdb, so that it works for a damaged store, too; never call it while this process has it open. */
long store_user(const char *dir);
long store_part_user(const char *dir, enum store_part part);

enum scan_scope { SCOPE_ALL, SCOPE_APPROVED };
enum targeting { TARGETING_SERVER, TARGETING_CLIENT };
enum content_store { CONTENT_LOCAL, CONTENT_MICROSOFT };
enum downstream_admission { DOWNSTREAM_APPROVAL, DOWNSTREAM_OPEN };
enum xpress_setting { XPRESS_MIXED, XPRESS_STREAM, XPRESS_OFF };

/* All settings, typed; one table in store/setting.c loads, checks, prints and documents them. */
enum upstream_mode { UPSTREAM_AUTONOMOUS, UPSTREAM_REPLICA };
enum upstream_kind { UPSTREAM_SERVER, UPSTREAM_MICROSOFT };
enum upstream_soap { UPSTREAM_SOAP11, UPSTREAM_SOAP12 };
enum sync_filter_setting { SYNC_CHOSEN, SYNC_ALL };
enum content_download { DOWNLOAD_APPROVED, DOWNLOAD_ALL };

struct settings {
	enum scan_scope scan_scope;          /* scan.scope = all */
	enum targeting targeting;            /* targeting = server */
	enum content_store content_store;    /* content.store = local */
	enum xpress_setting xpress;          /* xpress = mixed */
	enum downstream_admission downstream_admission; /* downstream.admission = approval */
	struct slice content_url;            /* content.url = "" : scheme://host:port of the client's request */
	struct slice package_share;          /* client.package-share: PackageServerShare, UNC */
	struct slice languages;              /* sync.languages = all */
	struct slice server_name;            /* server.name: host name when a request names none */
	int32_t max_extended;                /* client.max-extended = 50 */
	int32_t cookie_minutes;              /* client.cookie-minutes = 60 */
	int32_t page_updates;                /* scan.page-updates = 200 */
	int32_t page_bytes;                  /* scan.page-bytes = 2097152 */
	int32_t new_per_hour;                /* client.new-per-hour = 5000 */
	/* The server above this one. */
	struct slice upstream_url;           /* upstream.url = "": none */
	enum upstream_kind upstream_kind;    /* upstream.kind = server */
	enum upstream_mode upstream_mode;    /* upstream.mode = autonomous */
	enum upstream_soap upstream_soap;    /* upstream.soap = 1.1 */
	struct slice upstream_ca;            /* upstream.ca = "": the system's authorities */
	struct slice upstream_ca_print;      /* upstream.ca-fingerprint: SHA-256 of the certificate that upstream.ca must hold */
	struct slice upstream_pin;           /* upstream.pin: SHA-256 of the server's public key, base64 */
	struct slice upstream_certificate, upstream_key; /* upstream.certificate, upstream.key: PEM files */
	struct slice upstream_login;         /* upstream.login: file with USER:PASSWORD */
	struct slice upstream_proxy, upstream_proxy_login;
	struct slice upstream_content_url;   /* upstream.content-url = "": upstream.url */
	int32_t upstream_timeout;            /* upstream.timeout = 120 s without a byte */
	int32_t upstream_rate;               /* upstream.rate = 0 KB/s: no limit */
	int32_t upstream_connections;        /* upstream.connections = 4 */
	enum sync_filter_setting sync_filter; /* sync.filter = chosen */
	struct slice sync_schedule;          /* sync.schedule = daily 03:00 */
	struct slice sync_trim;              /* sync.trim = "": words expired superseded preview x86 arm64 ... */
	int32_t history_days;                /* sync.history-days = 90 */
	enum content_download content_download; /* content.download = approved: LazySync */
	bool content_express;                /* content.express = false: ServerHostsPsfFiles */
	int32_t content_quota;               /* content.quota = 0 MB: no limit */
	int32_t content_spare;               /* content.spare = 1024 MB that are left free */
	int32_t event_days;                  /* report.event-days = 30 */
	int32_t stale_days;                  /* report.stale-days = 30 */
	bool registration_required;          /* client.registration = true */
	bool file_location_fault;            /* client.file-location-fault = false */
};
int settings_get(struct txn *t, struct settings *out, struct err *e) MUST_CHECK;
/* A copy whose texts lie in a, each with a NUL behind it. */
int settings_copy(const struct settings *from, struct arena *a, struct settings *to, struct err *e) MUST_CHECK;

struct setting_info {
	const char *name, *values, *dflt, *unit, *why; /* for people; values: "all|approved", "1..1000" */
	bool client_config; /* a change advances LastChange: it alters a GetConfig answer (CONFIG-07) */
	bool rescan;        /* a change alters what scans answer: raises the log floor */
};
/* The table, ended by name == NULL. */
const struct setting_info *setting_table(void);
/* The value in force as text (the default if never set); E_NOTFOUND for an unknown name. */
int setting_get(struct txn *t, struct slice name, struct slice *out, struct err *e) MUST_CHECK;
/* Judges a value without a store: E_NOTFOUND, or E_FORM with the allowed values. */
int setting_check(struct slice name, struct slice value, struct err *e) MUST_CHECK;
/* The same, when set: is the value in force this one, in whatever form?  The value must be allowed. */
int setting_holds(struct txn *t, struct slice name, struct slice value, bool *out, struct err *e) MUST_CHECK;
/* Puts "NAME=VALUE" into settings in memory, whose texts are the argument's: what would be if it were set. */
int settings_override(struct settings *s, const char *text, struct err *e) MUST_CHECK;
/* Checks and stores; the text of an error names the allowed values.  Needs TXN_CATALOG; publish() after. */
int setting_set(struct txn *t, struct slice name, struct slice value, struct err *e) MUST_CHECK;

/* ================= updates and revisions ================= */

enum update_type { TYPE_SOFTWARE, TYPE_DRIVER, TYPE_CATEGORY, TYPE_DETECTOID, TYPE__N };
extern const char *const update_type_names[TYPE__N]; /* "Software" ... */
enum category_type { CAT_NONE, CAT_COMPANY, CAT_PRODUCT_FAMILY, CAT_PRODUCT, CAT_CLASSIFICATION, CAT_OTHER };

#define REV_EXPLICIT 1u   /* ExplicitlyDeployable="true" */
#define REV_EXPIRED 2u    /* PublicationState="Expired" */
#define REV_PUBLISHED 4u  /* visible; absent: staged */
#define REV_BUNDLE 8u     /* has BundledUpdates */
#define REV_REMOVED 16u   /* tombstone: identity and id are kept, everything else is gone */
#define REV_OSUPGRADE 32u
#define REV_SECURE_URL 64u  /* SecuredFragment FileURL: its files are IsSecure */
#define REV_SECURE_KEY 128u /* SecuredFragment FileDecryption: keys of its files are asked for */
#define REV_INFRASTRUCTURE 512u /* IsMandatory: computers need it to go on working with their server */
#define REV_HELD 256u       /* staged by a synchronization that has not ended: publish() leaves it, publish_held() shows it */

struct revision {
	int32_t id;
	uint32_t update_no;
	struct guid update;      /* UpdateID */
	int32_t number;          /* RevisionNumber */
	enum update_type type;
	enum category_type category_type;
	uint32_t flags;
	uint32_t deployment_id;  /* of its implied deployment, same for all groups */
	tick_t imported, created /* CreationDate */, published /* when the publish that showed it ran */;
	uint64_t doc_bytes;      /* of the original document, UTF-8 */
	struct sha256 doc_digest;
	struct guid eula;        /* zero if none */
	struct slice title;      /* of the default language, resolved text */
	struct slice kb;         /* "5046613", empty if none; several joined by a space */
	struct slice severity;   /* MsrcSeverity, empty if none */
	struct slice language;   /* DefaultPropertiesLanguage */
	uint64_t max_download;
};
int revision_get(struct txn *t, int32_t id, struct revision *out, struct err *e) MUST_CHECK;
/* number 0 = the highest there is (published or staged; held ones only if all are); an exact number finds tombstones, too. */
int revision_find(struct txn *t, const struct guid *update, int32_t number, int32_t *id) MUST_CHECK;
/* Calls fn for each revision in ascending id, from..to inclusive (to 0 = all), until it returns non-zero. */
int revision_each(struct txn *t, int32_t from, int32_t to, int (*fn)(const struct revision *, void *),
	void *arg, struct err *e) MUST_CHECK;
/* Ids of all revisions of an update but its tombstones, highest RevisionNumber first, in the txn's arena. */
int revisions_of(struct txn *t, uint32_t update_no, int32_t **ids, size_t *n, struct err *e) MUST_CHECK;

struct update {
	uint32_t no;
	struct guid id;
	bool declined;
	bool known; /* at least one revision is held; false: only named by others so far */
	tick_t declined_at;
	struct slice declined_by;
};
int update_get(struct txn *t, uint32_t no, struct update *out, struct err *e) MUST_CHECK;
int update_find(struct txn *t, const struct guid *id, uint32_t *no) MUST_CHECK;

/* The clauses of one relation; identities are UpdateNos (0 never occurs). */
struct relation {
	uint32_t update_no;
	int32_t number;   /* RevisionNumber of a bundled member, 0 otherwise */
	uint16_t clause;  /* equal: alternatives of one AtLeastOne */
	bool is_category; /* IsCategory of the clause */
};
struct relations {
	const struct relation *prereq, *bundle, *superseded; /* document order, in the txn's arena */
	size_t nprereq, nbundle, nsuperseded;
};
int relations_get(struct txn *t, int32_t id, struct relations *out, struct err *e) MUST_CHECK;
/* One relation of a revision without an arena; fn returns non-zero to stop. */
enum relation_which { LIST_PREREQ, LIST_BUNDLE, LIST_SUPERSEDED };
int relations_each(struct txn *t, int32_t id, enum relation_which which, int (*fn)(const struct relation *, void *), void *arg,
	struct err *e) MUST_CHECK;

enum fragment_type { FRAG_CORE = 1, FRAG_EXTENDED, FRAG_LOCALIZED, FRAG_EULA, FRAG_ORIGINAL, FRAG__N };
/* Bytes as they go on the wire: escaped once.  locale lower case, empty unless LOCALIZED or EULA; geo empty
 * unless EULA.  The pieces lie in the map, but those of languages other than en, unpacked, in the arena.
 * E_NOTFOUND. */
int fragment_get(struct txn *t, int32_t id, enum fragment_type type, struct slice locale, struct slice geo,
	struct frag *out, struct err *e) MUST_CHECK;
/* Locales present for a type, ascending, in the arena; geo set for EULAs. */
struct fragment_key {
	struct slice locale, geo;
};
int fragment_keys(struct txn *t, int32_t id, enum fragment_type type, struct fragment_key **out, size_t *n,
	struct err *e) MUST_CHECK;

/* ---- files ---- */
struct file {
	struct sha1 digest;
	struct sha256 sha256;
	bool has_sha256;
	bool stored;             /* verified on our disk */
	bool eula;               /* some revision names it as an EULA file */
	uint64_t size;
	bool express;            /* PatchingType Express */
	bool encrypted;          /* IsEncrypted */
	tick_t modified;
	struct slice name;       /* FileName as first seen; its extension goes into the URL */
	struct slice mu_url;     /* original URL, empty if none is known */
	struct slice key;        /* DecryptionKey, empty if none is known */
};
int file_get(struct txn *t, const struct sha1 *digest, struct file *out, struct err *e) MUST_CHECK;
/* Digests a revision names (content and EULA files), document order, in the arena. */
struct revision_file {
	struct sha1 digest;
	struct slice name;
	bool eula;
	struct slice locale, geo; /* EULA files */
};
int revision_files(struct txn *t, int32_t id, struct revision_file **out, size_t *n, struct err *e) MUST_CHECK;
/* Each name that a revision gives to a file: all rows of revision_files(), of all revisions. */
int file_names_each(struct txn *t, int (*fn)(const struct revision_file *, void *), void *arg, struct err *e) MUST_CHECK;
/* Each file of the catalog in digest order. */
int file_each(struct txn *t, int (*fn)(const struct file *, void *), void *arg, struct err *e) MUST_CHECK;
/* Marks a file as verified on disk or as gone.  Deployments that wait for it take effect with the next
 * publish(), those that need it wait again.  Needs TXN_CATALOG. */
int file_set_stored(struct txn *t, const struct sha1 *digest, bool stored, struct err *e) MUST_CHECK;
/* Does a revision name it?  A file that was here when the last one went is kept. */
bool file_is_named(struct txn *t, const struct sha1 *digest);
/* These are here no more, or are about to go: as file_set_stored(), of many at the cost of one; those that no revision names are
 * forgotten.  Needs TXN_CATALOG. */
int files_withdraw(struct txn *t, const struct sha1 *digest, size_t n, struct err *e) MUST_CHECK;
/* The vendor's address, which clients get with content.store = microsoft.  Needs TXN_CATALOG. */
int file_set_url(struct txn *t, const struct sha1 *digest, struct slice url, struct err *e) MUST_CHECK;
/* Its DecryptionKey, at most LIMIT_STRING bytes.  Needs TXN_CATALOG.  Either is a change of the revisions that name the file:
 * downstream servers are told of them anew. */
int file_set_key(struct txn *t, const struct sha1 *digest, struct slice key, struct err *e) MUST_CHECK;

/* ================= groups, assignments, deployments ================= */

#define GROUP_ALL_COMPUTERS 1
#define GROUP_UNASSIGNED 2
#define GROUP_DOWNSTREAM 3

struct group {
	uint32_t no;
	struct guid id;
	struct slice name;
	uint32_t parent;      /* 0: none */
	bool builtin;
	uint32_t moved_epoch; /* last epoch in which its place in the tree changed */
	tick_t created;
};
int group_get(struct txn *t, uint32_t no, struct group *out, struct err *e) MUST_CHECK;
int group_find(struct txn *t, struct slice name, uint32_t *no) MUST_CHECK; /* case-insensitive */
int group_each(struct txn *t, int (*fn)(const struct group *, void *), void *arg, struct err *e) MUST_CHECK;
/* parent 0: All Computers.  Groups stand under All Computers or under groups made by group_create(). */
int group_create(struct txn *t, struct slice name, uint32_t parent, uint32_t *no, struct err *e) MUST_CHECK;
int group_move(struct txn *t, uint32_t no, uint32_t parent, struct err *e) MUST_CHECK;
/* Its deployments become tombstones, its assignments fall away, its children move to its parent. */
int group_delete(struct txn *t, uint32_t no, struct err *e) MUST_CHECK;

/* Server-side targeting: exactly these groups; n == 0 removes the assignment. */
int assign_set(struct txn *t, struct slice computer, const uint32_t *groups, size_t n, struct err *e)
	MUST_CHECK;
int assign_get(struct txn *t, struct slice computer, uint32_t **groups, size_t *n, struct err *e) MUST_CHECK;

enum action { ACT_INSTALL, ACT_UNINSTALL, ACT_PREDEPLOYMENT_CHECK, ACT_BLOCK, ACT_OPTIONAL_INSTALL, ACT__N };
extern const char *const action_names[ACT__N]; /* the wire's words */
enum priority { PRIO_NORMAL, PRIO_HIGH, PRIO_LOW };

#define WAIT_FILES 1u
#define WAIT_EULA 2u
#define WAIT_GOLIVE 4u

struct deployment {
	uint32_t id;       /* kept through removal and renewal */
	uint32_t group;
	int32_t revision;
	enum action action;
	enum priority priority;
	bool assigned;     /* IsAssigned */
	bool dead;         /* tombstone */
	uint32_t waiting;  /* WAIT_*: goes out as PreDeploymentCheck while non-zero */
	uint32_t missing_files;
	uint64_t missing_bytes;
	tick_t deadline;   /* 0: none */
	tick_t go_live;    /* 0: at once */
	tick_t changed;    /* LastChangeTime */
	uint32_t epoch;    /* of the publish that made the last change visible */
	struct slice admin;
};
int deployment_get(struct txn *t, uint32_t group, int32_t revision, struct deployment *out) MUST_CHECK;
/* All deployments of a revision / of a group, tombstones included. */
int deployment_each(struct txn *t, int32_t revision, int (*fn)(const struct deployment *, void *), void *arg,
	struct err *e) MUST_CHECK;
/* group 0: of all groups. */
int deployment_each_of_group(struct txn *t, uint32_t group, int (*fn)(const struct deployment *, void *),
	void *arg, struct err *e) MUST_CHECK;

struct approval {
	int32_t revision;
	uint32_t group;
	enum action action;
	enum priority priority;
	bool assigned;
	tick_t deadline, go_live;
	struct slice admin;
};
/* One explicit deployment per update and group: approving another revision moves it.  E_REFUSED for a
 * declined update.  Changing nothing changes nothing.  publish() makes it visible. */
int approve(struct txn *t, const struct approval *a, struct err *e) MUST_CHECK;
/* E_NOTFOUND if there is none. */
int unapprove(struct txn *t, uint32_t update_no, uint32_t group, struct slice admin, struct err *e) MUST_CHECK;
/* All revisions, those to come too; removes the approvals, undeclining does not bring them back. */
int update_decline(struct txn *t, uint32_t update_no, bool declined, struct slice admin, struct err *e)
	MUST_CHECK;
int eula_accept(struct txn *t, const struct guid *eula, struct slice admin, struct err *e) MUST_CHECK;
bool eula_accepted(struct txn *t, const struct guid *eula);

/* Append-only record of administrative changes: who, when, what (one line of text; more than 1,000 bytes are
 * cut).  The callers of the verbs above note what they did. */
int audit_note(struct txn *t, struct slice admin, const char *fmt, ...) PRINTF(3, 4);
int audit_each(struct txn *t, int (*fn)(tick_t, struct slice admin, struct slice text, void *), void *arg,
	struct err *e) MUST_CHECK;

/* Policy that outlives its store, as lines of text (store/kept.c tells their form). */
enum policy { POLICY_SETTINGS, POLICY_GROUPS, POLICY_ASSIGNMENTS, POLICY_EULAS, POLICY_DECLINES, POLICY_DOWNSTREAMS, POLICY_CHOICES,
	POLICY_APPROVALS, POLICY__N };
const char *policy_name(enum policy kind); /* "settings" ... */
/* Calls line() for each of a kind, as far as it can be read. */
int policy_lines(struct txn *t, enum policy kind, void (*line)(const char *, void *), void *arg, struct err *e) MUST_CHECK;
/* Lays such lines over a new store; count[] says how many of each kind were taken.  Approvals wait until a publish finds
 * their revision.  A line that makes no sense is left out. */
int policy_lay(struct txn *t, struct slice lines, unsigned count[POLICY__N], struct err *e) MUST_CHECK;
/* Makes the approvals that wait and whose revision is here; publish() calls it. */
int policy_make_ready(struct txn *t, struct err *e) MUST_CHECK;

/* ================= computers (fleet) ================= */

struct computer {
	struct slice id; /* lower case */
	struct slice dns_name, requested_groups /* as sent */, address;
	tick_t first_seen, last_seen;
	uint32_t major, minor; /* protocol version of the last GetCookie */
	bool registered;
	struct slice info; /* ComputerInfo as common/wusp_info.h packs it */
};
int computer_get(struct txn *t, struct slice id, struct computer *out) MUST_CHECK;
int computer_each(struct txn *t, int (*fn)(const struct computer *, void *), void *arg, struct err *e) MUST_CHECK;
/* The id under which `wsusctl health` makes its scans: it passes for registered and is noted nowhere, so that a server
 * that watches itself has no computer that is none.  Anybody may use it and gets what any unknown computer gets. */
#define COMPUTER_HEALTH_ID "77737573-0000-4000-8000-6865616c7468"
bool computer_is_health(struct slice id);
/* GetAuthorizationCookie: makes or updates the row, unless nothing but times differs.  Needs TXN_FLEET only if it
 * would change (computer_contact_differs).  E_FULL: the row is new or grows, and half of fleet/ is taken; those
 * that are there can still be written, whatever ids anybody makes up. */
bool computer_contact_differs(struct txn *t, const struct computer *c);
/* May a computer with this id begin?  E_SERVER_BUSY: it is new, and so are as many in this hour as client.new-per-hour lets
 * in; whoever writes the row judges and counts it again. */
int computer_may_begin(struct txn *t, struct slice id, tick_t now, struct err *e) MUST_CHECK;
int computer_contact(struct txn *t, const struct computer *c, struct err *e) MUST_CHECK;
bool computer_registration_differs(struct txn *t, struct slice id, struct slice info);
int computer_register(struct txn *t, struct slice id, struct slice info, struct err *e) MUST_CHECK;
/* What the computer told us; its assignment is policy and stays (assign_set with no group removes it). */
int computer_delete(struct txn *t, struct slice id, struct err *e) MUST_CHECK;
/* Batched last-contact times: one write for many; unknown computers are skipped. */
struct seen {
	struct slice id;
	tick_t at;
	uint32_t major, minor;
};
int computers_seen(struct txn *t, const struct seen *v, size_t n, struct err *e) MUST_CHECK;

/* The groups of a computer with all their parents, nearest first (distance, then GroupNo), at most
 * LIMIT_CLIENT_GROUPS, by targeting mode: assignment, or the names the client asked for (split at ';');
 * unknown names are ignored; none left: Unassigned Computers.  All Computers is always the last.
 * *hash identifies the set. */
struct client_groups {
	uint32_t no[LIMIT_CLIENT_GROUPS];
	uint8_t distance[LIMIT_CLIENT_GROUPS];
	unsigned n;
	uint32_t moved_epoch; /* the latest of the groups' moved_epochs */
	uint64_t hash;
};
int client_groups_get(struct txn *t, const struct settings *s, struct slice computer, struct client_groups *out,
	struct err *e) MUST_CHECK;

/* ================= looking after it ================= */

struct store_stat {
	uint64_t catalog_bytes, fleet_bytes; /* files on disk */
	uint64_t catalog_used, fleet_used;   /* pages in use */
	uint64_t catalog_map, fleet_map;     /* caps */
	uint32_t revisions, published, updates, declined, files, files_stored, groups, deployments, computers;
	uint64_t doc_bytes;
	uint64_t events, event_bytes;        /* that are kept; bytes of their pages */
	tick_t events_since;                 /* of the oldest segment that has any; 0: none is kept */
	struct server_state state;
};
int store_stat(struct txn *t, struct store_stat *out, struct err *e) MUST_CHECK;
struct table_stat { /* a database, in bytes of the pages that it takes */
	const char *name;
	uint64_t rows;
	uint64_t shared; /* by several rows each */
	uint64_t own;    /* of rows too large for half a page */
	uint64_t inner;  /* that lead to the others */
};
int store_tables(struct txn *t, void (*fn)(const struct table_stat *, void *), void *arg, struct err *e) MUST_CHECK;
/* What an audit finds, for people: found(), which may be NULL, gets the words of each; n counts. */
struct auditor {
	void (*found)(const char *text, void *);
	void *arg;
	unsigned n;
};
void audit_say(struct auditor *to, const char *fmt, ...) PRINTF(2, 3);
/* Checks the invariants across databases; calls found() for each violation; returns their number in *n. */
int store_audit(struct txn *t, void (*found)(const char *text, void *), void *arg, unsigned *n, struct err *e)
	MUST_CHECK;
/* Of the records; a change needs a row in migrations[] of store.c.  A store of an older one is taken to it by whoever opens
 * it as STORE_ADMIN, and stays as it was in before-format-N beside the environments. */
#define STORE_FORMAT 5u
/* A consistent copy of both environments into dir/catalog and dir/fleet (compacting). */
int store_copy(struct store *s, const char *dir, struct err *e) MUST_CHECK;
/* Clears reader slots of dead processes; called at start and whenever a service is idle. */
void store_tidy(struct store *s);

#endif
