/* anchor.h -- how far a downstream server is, as the text that it sends back: `nnnn,yyyy-MM-dd hh:mm:ss.sss`, the product's
 * form (WSUSSS-CONFIGDATA-17).  nnnn is a point (an epoch, or the count of configurations); the time is when the generation
 * began that counts it, so that an anchor of another server or of before a restore is known for that. */
#ifndef COMMON_ANCHOR_H
#define COMMON_ANCHOR_H

#include "common/base.h"

#define ANCHOR_MAX 40 /* bytes with the NUL: 34 are used */
struct anchor {
	uint32_t point; /* 0 to 2147483647; the product begins with 1, ours with 0 as long as nothing was published */
	tick_t began;   /* whole milliseconds */
};
/* Returns the length. */
size_t anchor_text(const struct anchor *a, char to[ANCHOR_MAX]);
/* false unless it is of that form in every byte, and a time of the calendar. */
bool anchor_read(struct slice s, struct anchor *out);

#endif
