/* limits.h -- every limit of the project with its reason.  A limit that nginx repeats is checked against
 * nginx/ by scripts/lint.sh.  Sizes are bytes unless the name says otherwise. */
#ifndef COMMON_LIMITS_H
#define COMMON_LIMITS_H

/* ---- a request ---- */
/* Native driver passes send about 50 KB; 100,000 cached ids are 1.8 MB.  Equals nginx client_max_body_size. */
#define LIMIT_BODY ((size_t)8 << 20)
/* Of the reporting service, whose clients collect events while they have no server: 10,000 of a native client's, 1.7 KB each,
 * are 17 MB, and what is refused for its size would come again and again.  Equals nginx client_max_body_size there. */
#define LIMIT_BODY_REPORT ((size_t)24 << 20)
/* A worker keeps the memory of a body up to this for its next one, until it has nothing to do: the 90,000 ids of a
 * computer that knows a catalog of 100,000 revisions are 1.4 MB, 350 pages to be faulted in for each request. */
#define LIMIT_BODY_KEPT ((size_t)2 << 20)
/* A request's decoded form: id lists shrink, texts stay, 40,000 devices would not fit. */
#define LIMIT_REQUEST_MEMORY ((size_t)64 << 20)
/* A page aims at 2 MB or a 30th of what is missing; extended information of 50 updates has no other bound.  Equals
 * nginx fastcgi_max_temp_file_size: a slow client then holds neither a worker nor its snapshot. */
#define LIMIT_REPLY ((size_t)256 << 20)

/* ---- XML, as messages ---- */
#define LIMIT_DEPTH 64         /* a SOAP message of ours is 12 deep */
#define LIMIT_TAG (8 << 10)    /* bytes of one start tag */
#define LIMIT_ATTRIBUTES 64    /* in one tag, namespace declarations included */
#define LIMIT_NAMESPACES 32    /* in scope: each name walks them; toolkits declare a handful */
#define LIMIT_ELEMENTS 1000000 /* in one message: a list of 500,000 ids is the largest sane one */
/* ---- an answer of the server above ---- */
/* One document of LIMIT_DOC, escaped or as base64, and what stands around it.  It lies in a file. */
#define LIMIT_ANSWER ((size_t)512 << 20)
#define LIMIT_ANSWER_ELEMENTS 4000000     /* 500,000 identities are 1.5 million */
#define LIMIT_FAULT ((size_t)256 << 10)   /* a page of words in place of a fault; a fault has 700 bytes */
/* ---- XML, as update documents ---- */
#define LIMIT_DOC ((size_t)256 << 20)     /* the largest seen is 47 MB */
#define LIMIT_DOC_DEPTH 256               /* nested And/Or/Not; 40 is the deepest seen */
#define LIMIT_DOC_TAG (256 << 10)         /* detectoids carry long attribute values */
#define LIMIT_DOC_ATTRIBUTES 128
#define LIMIT_DOC_NAMESPACES 128          /* seven were seen */
#define LIMIT_DOC_PREREQUISITES 10000     /* identities in one document, per relation */
#define LIMIT_DOC_CLAUSES 64              /* clauses of one revision: one machine word in the scan index */
#define LIMIT_DOC_FILES 20000             /* UUP updates list several thousand */
#define LIMIT_DOC_LANGUAGES 256           /* 35 is usual */
#define LIMIT_DOC_TEXT ((size_t)64 << 10)  /* of a text that is looked into: titles, digests */
#define LIMIT_DOC_WHITE ((size_t)64 << 10) /* white space in one run: it is kept until it proves not to be text */
#define LIMIT_LOCALE 64                   /* "sr-latn-rs" and the like: part of keys */
#define LIMIT_REGION 16                   /* GeoId: ISO 3166 has three letters; part of keys */
#define LIMIT_SEVERITY 64                 /* "Important" */

/* ---- lists and texts of requests; over it: InvalidParameters with the parameter's path ---- */
#define LIMIT_IDS 200000          /* ids in one list of SyncUpdates; natives sent 4,937 */
#define LIMIT_GLOBAL_IDS 20000    /* RefreshCache: clients send 200 a call */
#define LIMIT_EVENTS 20000        /* of a batch: more than fit into LIMIT_BODY_REPORT as native clients write them */
/* ReplacementStrings or MiscData of one event: natives sent 31.  How long one is, is left to LIMIT_BODY_REPORT: a computer with
 * 100,000 updates in a list of a status event has a string of 3.7 MB. */
#define LIMIT_EVENT_STRINGS 500
#define LIMIT_DEVICES 2000        /* natives sent 75 */
#define LIMIT_DEVICE_IDS 500      /* hardware and compatible ids of one device */
#define LIMIT_FILTER 200          /* FilterCategoryIds */
#define LIMIT_REQUESTED_CATEGORIES 199 /* from 200 on the product answers InvalidParameters (CATSCAN-04) */
#define LIMIT_DIGESTS 20000       /* GetFileLocations */
#define LIMIT_LOCALES 100
#define LIMIT_INFO_TYPES 32
#define LIMIT_SYNC_FILTER 5000     /* products and classifications of a catalog: 700 were seen; a downstream server names what it chose */
#define LIMIT_SYNC_IDS 500000      /* a list of a whole catalog: 24,509 identities were seen, 100,000 is what we design for */
#define LIMIT_SYNC_REQUEST 1000    /* identities or digests of one request; what is published is 100 */
#define LIMIT_SYNC_UPDATES 100     /* MaxNumberOfUpdatesPerRequest and the decryption limit: what a real server publishes */
/* What a GetDriverIdList and a GetDriverSetData may name, as every server but Microsoft Update publishes it. */
#define LIMIT_SYNC_COMPUTER_IDS 0
#define LIMIT_SYNC_HARDWARE_IDS 0
#define LIMIT_SYNC_DRIVER_SETS 0
#define LIMIT_SYNC_DIGESTS 100     /* DownloadFiles, MS-WSUSSS 3.1.4.11 */
#define LIMIT_SYNC_BYTES ((size_t)2000000) /* of documents in one GetUpdateData answer, the product's: what is over it is asked for again */
#define LIMIT_DOWNSTREAM_PENDING 1000 /* rows of downstream servers that nobody approved: anybody may make up ids */
#define LIMIT_SERVER_NAME 255     /* a downstream server's name: of DNS; its address, and who decided about it */
#define LIMIT_STRING 1024         /* a name, a version, a model */
#define LIMIT_ATTRIBUTES_TEXT (16 << 10) /* deviceAttributes is about 1.5 KB */
#define LIMIT_COOKIE (8 << 10)    /* decoded: ours have 300 bytes, other servers' were seen with 432, and whose are longer is not known */
#define LIMIT_CLIENT_ID 255       /* ClientIdString, MS-WUSP 1.1 */

/* ---- the model ---- */
#define LIMIT_GROUPS 1000         /* a server's groups */
#define LIMIT_CLIENT_GROUPS 16    /* a client's groups with all their parents */
#define LIMIT_GROUP_NAME 255
#define LIMIT_EXTENDED_DEFAULT 50 /* MaxExtendedUpdatesPerRequest unless configured; what the product publishes */

/* ---- a scan ---- */
/* Selections that a worker keeps (store/selcache.h), without a filter and as many with one: one for each group, and some
 * for computers in several. */
#define LIMIT_SELECTIONS 1024
/* Of each of the two.  200 group sets with selections of their own took 33 KB at 100,000 revisions with 1,000 approvals,
 * 144 KB with 20,000; one that is not there costs a walk over all revisions, 6 to 10 ms. */
#define LIMIT_SELECTION_BYTES ((size_t)2 << 20)
/* Rows of other groups in the change log after which a scan looks for the next one of its own: a step is 20 to 70 ns, a
 * search half a microsecond. */
#define LOG_FOREIGN_ROWS 16

/* ---- values in the store ---- */
#define LIMIT_CHUNK ((size_t)256 << 10) /* a value; larger ones are cut into chunks */
#define LIMIT_DIRTY ((size_t)8 << 20)   /* dirty bytes after which a batch commits: LMDB holds them in the heap */
#define LIMIT_BATCH_DOCS 500

/* ---- a backup ---- */
#define LIMIT_BACKUP_FILES 1000            /* two of the store; keys and configuration have some ten */
#define LIMIT_MANIFEST ((size_t)1 << 20)   /* 1,000 lines of 1 KB at most: a path of 4 KB is none of ours */
#define LIMIT_BACKUP_KEEP 1000             /* nightly for nearly three years */

/* ---- /health and /metrics ---- */
#define LIMIT_STATUS ((size_t)64 << 10) /* 16 findings of 800 bytes, 80 numbers of 150 bytes with their help */
#define LIMIT_STATUS_AGE 900            /* seconds: three periods of the job, so that one late run is no alarm */

/* ---- the configuration file ---- */
#define LIMIT_CONF ((size_t)64 << 10) /* the shipped one, every setting with its comment, has 5 KB */
#define LIMIT_CONF_LINE 4096          /* a path (PATH_MAX); the longest value of a store setting has 512 bytes */

/* ---- Xpress, MS-WUSP 2.1.1 ---- */
#define XPRESS_BLOCK 65535        /* the largest block, plain */
#define XPRESS_STREAM_BLOCK 16352 /* what the product cuts at; used by xpress = stream */
#define XPRESS_PACK_MIN 2000      /* a core fragment from this size on is a block of its own */
/* A run of glue below this size is not packed: that between two finished blocks has 310 bytes and would have 200.  A scan
 * of 5,000 revisions grows by 1.7 %, a page costs 0.9 of what it did.  At 2,000 small fragments between finished blocks
 * would be left unpacked too, and a scan grow by 4.9 %. */
#define XPRESS_RUN_MIN 512

#endif
