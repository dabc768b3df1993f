/* scanned.h -- what scans and registrations say of a computer beyond its row: fleet/, written only where it differs.
 *
 * Installed prerequisites are those of the last complete software pass (for `wsusctl explain`), hardware ids those of the driver pass
 * (MS-WUSP 2.2.2.2.4 SystemSpec; drivers need them), faces the names and BIOS data under which the id came. */
#ifndef STORE_SCANNED_H
#define STORE_SCANNED_H

#include "store/store.h"

struct last_scan {
	tick_t at;               /* when it last differed from the one before; contact times are in struct computer */
	const int32_t *installed; /* InstalledNonLeafUpdateIDs: RevisionIDs, ascending; in the arena */
	size_t ninstalled;
};
bool last_scan_differs(struct txn *t, struct slice computer, const int32_t *installed, size_t n);
int last_scan_put(struct txn *t, struct slice computer, tick_t at, const int32_t *installed, size_t n, struct err *e) MUST_CHECK;
int last_scan_get(struct txn *t, struct slice computer, struct last_scan *out, struct err *e) MUST_CHECK; /* E_NOTFOUND: none yet */

#define LIMIT_DEVICES_RECORD ((size_t)200 << 10) /* bytes of one computer's hardware ids; natives have 20 KB */
struct device {
	const struct slice *id; /* hardware ids, then compatible ids, most specific first */
	size_t n, compatible_from;
};
struct devices {
	tick_t at;
	const struct device *v; /* in the arena */
	size_t n;
};
bool devices_differ(struct txn *t, struct slice computer, const struct devices *d);
int devices_put(struct txn *t, struct slice computer, const struct devices *d, struct err *e) MUST_CHECK;
int devices_get(struct txn *t, struct slice computer, struct devices *out, struct err *e) MUST_CHECK;

/* ---- renamed, cloned, duplicate ----
 * A face is name and BIOS data (serial-like texts of the registration: manufacturer, model, BIOS name, version, date).  A face that
 * comes back after another was there in between is an alternation: two machines with one SusClientId.  A new face that stays is a
 * renamed, or a re-used, computer.  An address alone is never a sign. */
enum identity_flag { IDENTITY_PLAIN, IDENTITY_RENAMED, IDENTITY_CLONED };
extern const char *const identity_flag_names[]; /* "", "renamed", "cloned" */
struct face {
	struct slice name, bios, address;
	tick_t first, last;
	uint32_t returns; /* how often it came back after another */
};
#define FACES 4 /* the latest; natives that are one machine have one or two */
struct faces {
	struct face v[FACES]; /* latest first */
	unsigned n;
	uint32_t alternations;
	tick_t alternated_at;
	enum identity_flag flag;
};
/* Notes the face under which a computer came, in TXN_FLEET, if it is another than the last; computer.c calls it. */
int face_note(struct txn *t, struct slice computer, struct slice name, struct slice bios, struct slice address, tick_t now, struct err *e)
	MUST_CHECK;
int faces_get(struct txn *t, struct slice computer, struct faces *out) MUST_CHECK; /* E_NOTFOUND: always the same */
/* All rows of this header that a computer has go with it. */
int scanned_forget(struct txn *t, struct slice computer, struct err *e) MUST_CHECK;

#endif
