/* parent.h -- the server above this one: what it said of itself, how far we are with it, what is asked of it, and what came
 * of each synchronization.  Parent USS, its state, and Synchronization History of MS-WSUSSS 3.1.1; files to be fetched, 3.2.4.4.
 *
 * Which server that is, and how it is reached, are settings (upstream.*): policy.  What stands here is learned, and lies in
 * catalog/, too: an anchor is committed in the transaction that publishes what it covers (WSUSSS-DSS-META-14).  All writers
 * need TXN_CATALOG; slices read are valid until txn_end(). */
#ifndef STORE_PARENT_H
#define STORE_PARENT_H

#include "store/store.h"

/* ---- its state: NULL on a new installation (WSUSSS-ADM-03) ---- */

struct parent_language {
	int32_t id;         /* LCID */
	struct slice code;  /* ShortLanguage */
	bool enabled;
};
struct parent {
	struct slice url;          /* upstream.url of whom this was learned: under another one all of it counts for nothing */
	struct slice service_url;  /* ServiceUrl of DssTargeting, as given */
	struct slice expiration;   /* of Last Cookie: as written, to be sent back so, */
	tick_t expires;            /* and as a time */
	struct slice cookie;       /* its EncryptedData, decoded; empty: none */
	struct slice config_anchor;     /* of GetConfigData */
	struct slice category_anchor;   /* of GetRevisionIdList with GetConfig, */
	struct slice sync_anchor;       /* and without: Last Sync Anchor */
	struct slice deployment_anchor; /* of GetDeployments */
	struct slice version;      /* ProtocolVersion; empty: older than 1.3 (WSUSSS-VERSION-05) */
	bool catalog_only, lazy, hosts_psf;
	int32_t max_updates;       /* MaxNumberOfUpdatesPerRequest */
	int32_t max_decryption;    /* MaxUpdatesPerRequestInGetUpdateDecryptionData, 0: it has no such operation */
	const struct parent_language *language;
	size_t nlanguages;
	tick_t met;                /* when GetConfigData last succeeded */
};
/* E_NOTFOUND: NULL, or learned of another upstream.url than set names. */
int parent_get(struct txn *t, const struct settings *set, struct parent *out, struct err *e) MUST_CHECK;
int parent_put(struct txn *t, const struct parent *p, struct err *e) MUST_CHECK;
/* Back to NULL: choices are no more covered nor counted, and what a synchronization staged and never finished is forgotten with its
 * marks.  `upstream set` of another server, and `upstream none`. */
int parent_forget(struct txn *t, struct err *e) MUST_CHECK;
/* Policy may have been made here since the last GetDeployments: the next one asks for all of it.  setting_set() calls it when
 * upstream.url or upstream.mode changes. */
int parent_policy_lost(struct txn *t, struct err *e) MUST_CHECK;
/* What is asked for is no more what sync_anchor is about: an anchor of chosen products says nothing of all the others.  The next
 * list is a complete one; what is here is not fetched again.  setting_set() calls it when sync.filter or upstream.mode changes. */
int parent_list_lost(struct txn *t, struct err *e) MUST_CHECK;

/* ---- what is wanted of it: products and classifications ---- */

enum choice_kind { CHOICE_PRODUCT = 1, CHOICE_CLASSIFICATION };
extern const char *const choice_kind_names[]; /* [CHOICE_PRODUCT] = "product" ... */
/* What a category is to a filter; 0: neither, or no category that is here. */
enum choice_kind choice_kind_of(const struct revision *v);
struct choice {
	enum choice_kind kind;
	struct guid id;      /* UpdateID of the category */
	bool wanted;         /* policy */
	bool covered;        /* sync_anchor is of a list that it was part of: Delta (WSUSSS-DSS-META-12) */
	/* What the parent has of it, with all that is wanted of the other kind, as last asked; since 0: never. */
	tick_t counted;
	uint32_t updates;    /* exact: of the parent's list */
	uint64_t bytes;      /* of their files: what `sampled` documents said, times updates / sampled */
	uint32_t sampled;
};
int choice_get(struct txn *t, enum choice_kind kind, const struct guid *id, struct choice *out) MUST_CHECK; /* E_NOTFOUND */
/* kind 0: both, products first; by id. */
int choice_each(struct txn *t, enum choice_kind kind, int (*fn)(const struct choice *, void *), void *arg, struct err *e) MUST_CHECK;
/* Writes the row; one that says nothing (not wanted, not covered, not counted) is removed. */
int choice_put(struct txn *t, const struct choice *c, struct err *e) MUST_CHECK;
/* All wanted ones are covered by the new sync_anchor and no others are. */
int choices_cover(struct txn *t, struct err *e) MUST_CHECK;

/* ---- what came of each run: Synchronization History (WSUSSS-ADM-08) ---- */

enum run_result { RUN_RUNNING, RUN_DONE, RUN_FAILED, RUN_CANCELLED, RUN_INTERRUPTED /* killed: noted by the next */, RUN__RESULTS };
extern const char *const run_result_names[RUN__RESULTS];
enum sync_phase { SYNC_AUTHORIZATION, SYNC_CONFIGURATION, SYNC_CATEGORIES, SYNC_UPDATES, SYNC_DEPLOYMENTS, SYNC__PHASES };
extern const char *const sync_phase_names[SYNC__PHASES]; /* "authorization" ... */
struct sync_run {
	tick_t began, ended;  /* began is the key */
	enum run_result result;
	enum sync_phase phase; /* it ended in */
	bool scheduled, replica, categories_only;
	uint32_t listed;      /* identities that the parent listed */
	uint32_t fetched;     /* documents that were asked for and came */
	uint32_t added, known, different, refused; /* of these; different: here with other bytes, kept (design 6) */
	uint32_t related;     /* fetched though not listed: WSUSSS-DSS-META-26 */
	uint32_t groups, deployments, ended_deployments, hidden, eulas; /* that changed, of a replica */
	uint32_t restarts;    /* by faults */
	uint64_t received;    /* bytes on the wire */
	struct slice server;  /* upstream.url */
	struct slice why, remedy; /* of a failure, for people; each at most 500 bytes */
};
int sync_run_put(struct txn *t, const struct sync_run *r, struct err *e) MUST_CHECK;
/* "312 new revisions, 2 groups", "nothing new": what it changed here, for people. */
#define SYNC_RUN_WORDS 400
void sync_run_words(const struct sync_run *r, char out[SYNC_RUN_WORDS]);
/* Newest first; fn returns non-zero to stop. */
int sync_run_each(struct txn *t, int (*fn)(const struct sync_run *, void *), void *arg, struct err *e) MUST_CHECK;
/* Drops those that began before. */
int sync_run_prune(struct txn *t, tick_t before, uint32_t *dropped, struct err *e) MUST_CHECK;

/* ---- files to be fetched (WSUSSS-DSS-CONTENT-13) ----
 * Whether a file is needed follows from deployments, settings and wanted marks (sync/need.c); a row says only what came of
 * attempts. */
enum fetch_state { FETCH_LOADING = 1, FETCH_ASKED /* DownloadFiles was sent: the parent fetches it */, FETCH_FAILED };
struct fetch {
	struct sha1 digest;
	enum fetch_state state;
	uint32_t tries;    /* attempts that failed */
	tick_t at, next;   /* of the last attempt; not before */
	struct slice why;  /* the last failure, at most 300 bytes */
};
int fetch_get(struct txn *t, const struct sha1 *digest, struct fetch *out) MUST_CHECK; /* E_NOTFOUND */
int fetch_each(struct txn *t, int (*fn)(const struct fetch *, void *), void *arg, struct err *e) MUST_CHECK;
int fetch_put(struct txn *t, const struct fetch *f, struct err *e) MUST_CHECK;
int fetch_del(struct txn *t, const struct sha1 *digest, struct err *e) MUST_CHECK;

#endif
