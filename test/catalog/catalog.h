/* catalog.h -- the sample world that make-catalog writes down.
 *
 * A world is planned first (world.c): an array of nodes, one per revision, with references by index.  Then
 * each node is written as a full update document (document.c), in any order, because all random choices of
 * a document come from a generator seeded by (seed, purpose, number) and not from a shared stream.
 *
 *	companies > families > products      categories, each a prerequisite of the next
 *	classifications                      categories with their well-known ids
 *	system > version > edition > architecture > product     detectoids, five deep
 *	line = product x architecture        one month after the other, each superseding its predecessors
 *	top > hidden > leaf                  one recipe (world.c) per month of a line
 */
#ifndef TEST_CATALOG_H
#define TEST_CATALOG_H

#include "common/base.h"
#include "common/buf.h"

/* ---- random.c: splitmix64, the same on every machine ---- */
struct rng {
	uint64_t s;
};
enum purpose { FOR_UPDATE_ID, FOR_RULES, FOR_FILE, FOR_PACKAGE, FOR_DRIVER, FOR_EULA, FOR_SIZE, FOR_PATCH };
struct rng rng_for(uint64_t seed, enum purpose what, uint64_t number);
uint64_t rng_next(struct rng *r);
uint32_t rng_below(struct rng *r, uint32_t n);
/* exp(mu + sigma * z), z normal, cut to [min, max]. */
double rng_lognormal(struct rng *r, double mu, double sigma, double min, double max);
struct guid rng_guid(struct rng *r); /* version 4 */

/* ---- world.c ---- */
enum kind {
	KIND_COMPANY,
	KIND_FAMILY,
	KIND_PRODUCT,
	KIND_CLASSIFICATION,
	KIND_DETECTOID,
	KIND_TOP,    /* ExplicitlyDeployable; a bundle, or with files of its own */
	KIND_HIDDEN, /* a bundle inside a bundle */
	KIND_LEAF,
	KIND_DRIVER,
	KIND__MAX
};
enum handler { HANDLER_NONE, HANDLER_COMMAND, HANDLER_CBS, HANDLER_MSI, HANDLER__MAX };
enum class {
	CLASS_SECURITY,
	CLASS_CRITICAL,
	CLASS_UPDATE,
	CLASS_ROLLUP,
	CLASS_DEFINITION,
	CLASS_DRIVER,
	CLASS_FEATURE,
	CLASS_SERVICE,
	CLASS_TOOL,
	CLASS_UPGRADE,
	CLASS__MAX
};
enum {
	WITH_EULA = 1,           /* an EulaID, EulaFiles, two of them for one country only */
	WITH_EXPRESS = 2,        /* express and self-contained files side by side */
	WITH_EXPIRED = 4,        /* the last revision is withdrawn */
	WITH_TWO_PRODUCTS = 8,   /* one clause of two products */
	WITH_DEEP_REVISION = 16, /* leaf, hidden bundle and top come again as revision 201 */
	WITH_TOP_REVISIONS = 32, /* the top comes again as 201 and 202 */
	WITH_SWAP = 64,          /* OSUpgrade */
	WITH_PRINTER = 128,      /* a printer driver */
};
struct recipe {
	enum kind kind; /* KIND_TOP or KIND_DRIVER */
	enum class class;
	enum handler handler;
	const char *severity; /* MsrcSeverity, or NULL */
	unsigned hidden, leaves, flags; /* hidden bundles, leaves in each; hidden 0: leaves right below the top */
};

#define NO_NODE UINT32_MAX
struct node {
	struct guid id;
	uint32_t update; /* number of the update: the same for all its revisions */
	int32_t revision;
	uint8_t kind, class, arch, upper; /* upper: its UpdateID is written in upper case */
	bool expired, big;
	uint16_t depth; /* of a detectoid, 1 to 5 */
	uint32_t parent; /* category or detectoid: its prerequisite */
	uint32_t second; /* a second product, or NO_NODE */
	uint32_t line, month, kb;
	uint32_t member, members; /* bundle: range of world.member */
	uint32_t previous;        /* top: the top that it supersedes */
	uint32_t name;            /* number within its kind, for titles */
	const struct recipe *recipe;
};
struct line {
	uint32_t product, detectoid;
	uint32_t last[CLASS__MAX]; /* the newest top of each classification */
	uint8_t arch;
};
struct world {
	uint64_t seed;
	unsigned languages;
	struct node *node;
	uint32_t n, cap;
	uint32_t *member;
	uint32_t members;
	struct line *line;
	uint32_t lines;
	uint32_t class_node[CLASS__MAX];
	uint32_t driver_product;
	uint32_t updates; /* distinct ones so far */
};
#define REVISIONS_MIN 300 /* below it not every recipe would occur */
/* Plans exactly `revisions` nodes; false when out of memory. */
bool world_make(struct world *w, uint64_t seed, unsigned languages, uint32_t revisions);
void world_free(struct world *w);
/* One more update, once, whose document may be made as large as one likes. */
uint32_t world_add_big(struct world *w);

/* ---- content.c ---- */
struct file {
	uint64_t number;       /* decides its bytes */
	char name[80];
	const char *patching;  /* PatchingType, or NULL */
	uint32_t size;
	struct sha1 sha1;
	struct sha256 sha256;
};
#define FILE_MAX 12288 /* bytes of one content file */
/* Fills size and digests of the file whose number and name are set; bytes has room for FILE_MAX. */
bool file_make(const struct world *w, struct file *f, uint8_t *bytes);
/* The j-th file of a node; false if there is none. */
bool node_file(const struct world *w, const struct node *n, unsigned j, struct file *f);
/* The EULA file of a node in a language, for a country ("" is the rest of the world). */
void eula_file(const struct world *w, const struct node *n, unsigned lang, unsigned geo, struct file *f);
#define GEO_IDS 3
extern const char *const geo_id[GEO_IDS];
/* Called for each file of a document, as it is written. */
typedef bool file_fn(void *arg, const struct file *f, const uint8_t *bytes);

/* ---- document.c ---- */
/* Appends the document of node i; a big node's becomes about `big` bytes.  false: no memory, or fn failed. */
bool document_write(const struct world *w, uint32_t i, size_t big, struct buf *b, file_fn *fn, void *arg);

/* ---- words.c ---- */
struct language {
	const char *code, *before, *after; /* title: before + name + after */
	const char *text;                  /* the description's sentences */
};
#define LANGUAGES 35
extern const struct language language[LANGUAGES]; /* English first, then by code */
extern const char *const product_word[], *const family_word[], *const arch_word[];
#define PRODUCT_WORDS 24
#define FAMILY_WORDS 12
enum { ARCHES = 3 };
extern const char *const class_word[CLASS__MAX];
extern const char *const class_guid[CLASS__MAX];

#endif
