/* download.h -- one file on its way: a GET into its part (store/content.h), and with the last byte into its place.
 *
 * Nothing is believed of what comes: addresses are judged before they are asked, an answer of another size or from another place
 * of the file than was asked for is refused, and the name appears once both digests agree (WSUSSS-DSS-CONTENT-11). */
#ifndef SYNC_DOWNLOAD_H
#define SYNC_DOWNLOAD_H

#include "store/content.h"
#include "sync/http.h"

enum download_from { FROM_PARENT, FROM_VENDOR };
enum download_result {
	DOWNLOAD_PLACED,
	DOWNLOAD_MISSING, /* the server says that it has no such file: 404, 410 */
	DOWNLOAD_AGAIN,   /* what may pass: connections, 5xx, 429, an answer that was cut; the part stays */
	DOWNLOAD_WRONG,   /* other bytes than the metadata says: nothing of them is kept */
	DOWNLOAD_REFUSED, /* it will not do better the next time: 401, 403, a redirect, TLS */
};

#define DOWNLOAD_URL 2048 /* of a vendor's address: 200 are usual */
struct download {
	struct http_job job;
	struct content_part *part;
	char url[DOWNLOAD_URL];
	uint64_t size, before; /* of the file; what was there when it began */
	uint32_t item;         /* the caller's */
	int64_t began;         /* the caller's */
	bool noted;            /* the caller's */
	uint64_t gained;       /* bytes that came and stay */
	bool answered;         /* something came of it: the server is there, and well */
	bool wrong;            /* what came cannot be of this file */
	bool local;            /* what failed is of this machine */
};

/* Where the parent has it (MS-WSUSSS 2.1; facts 9): BASE/Content/XX/<40 HEX>.<extension of its name>. */
bool download_parent_url(struct slice base, const struct file *f, char out[DOWNLOAD_URL]);
/* The vendor's address as metadata has it: http or https, a host, no user or password, nothing that is not printable ASCII. */
bool download_vendor_url(struct slice url, char out[DOWNLOAD_URL]);

/* Opens the part and starts the GET for the rest; d->url is set.  *whole: nothing was left to be asked for, and nothing is under
 * way: go on with download_finish().  Failures are of this machine. */
int download_start(struct download *d, struct http *h, const char *dir, const struct file *f, enum download_from from, bool *whole,
	struct err *e) MUST_CHECK;
/* After http_wait() gave d->job back; ends it.  why: words unless it was placed.  Anything but E_OK is a failure of this machine (a full
 * disk), which the next file would meet, too; E_CANCELLED. */
int download_finish(struct download *d, enum download_result *out, struct err *why) MUST_CHECK;
/* Ends it however far it is; what came stays. */
void download_close(struct download *d);

#endif
