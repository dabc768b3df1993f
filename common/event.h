/* event.h -- what computers report: the event ids of MS-WUSP 2.2.2.3.1, what each does to the state of a computer (rules
 * WUSP-REPORT-26 to -37), the tags of MiscData, and an event in words.
 *
 * Nothing here knows the store; names and tags are facts of the specification, the sentences are ours. */
#ifndef COMMON_EVENT_H
#define COMMON_EVENT_H

#include "common/arena.h"
#include "common/base.h"

enum event_group { EVENT_DETECTION, EVENT_STATUS, EVENT_DOWNLOAD, EVENT_INSTALL, EVENT_COMMIT, EVENT_REVERT, EVENT_HIDING, EVENT_MISC,
	EVENT_GROUP__N };
extern const char *const event_group_names[EVENT_GROUP__N]; /* "detection" ... */

/* What an event does; several may hold.  An id without any is only kept. */
#define EVENT_SYNC_GOOD 1u       /* REPORT-30: LastSyncResult, LastSyncTime */
#define EVENT_SYNC_BAD 2u        /* ... with Win32HResult */
#define EVENT_LISTS 4u           /* REPORT-26: the lists of its tags are the state of the computer */
#define EVENT_COUNT_GOOD 8u      /* REPORT-32: InstallSuccessCount */
#define EVENT_COUNT_BAD 16u      /* REPORT-33, -35: InstallFailureCount */
#define EVENT_REBOOT_PENDING 32u /* REPORT-37: the computer waits for a restart */
#define EVENT_REBOOTED 64u       /* ... has had it */
#define EVENT_HIDE 128u          /* REPORT-36 */
#define EVENT_UNHIDE 256u
#define EVENT_UNLESS_DONE 512u   /* REPORT-31: its status is not set where it is installed (4, 6) already */

struct event_info {
	int16_t id;
	const char *name;       /* AGENT_DETECTION_FINISHED */
	enum event_group group;
	uint16_t does;          /* EVENT_* */
	uint8_t status;         /* that the update gets, 2 to 6 of MS-WSUSSS 3.1.1; 0: none */
	const char *text;       /* with %1, %2 ... for ReplacementStrings; what stands in {} is left out where there are none */
};
#define EVENT_IDS 62
extern const struct event_info event_table[EVENT_IDS]; /* ascending by id */
const struct event_info *event_find(int id); /* NULL: not in the table (REPORT-16) */
const char *event_source_name(int source);   /* "agent" of 101 ...; NULL: unknown */

/* The event in words: REPORT-24, -25, A36 (%n is string n, or the last one if there are fewer; no string at all: left out with
 * the words around kept readable).  In the arena; p == NULL: no memory. */
struct slice event_text(struct arena *a, const struct event_info *info, const struct slice *strings, size_t n);

/* A string of MiscData is tag=value, split at the first '='; REPORT-21.  The table knows the one-character tags of the
 * specification; others are for those that send them (REPORT-22). */
struct event_tag {
	char tag;
	uint8_t status;    /* of the tags with a list of update GUIDs: U 2, h 3, V 4, g 5, W 6; else 0 */
	bool machine;      /* the same in all events of a computer: A, G, J, K, L, c */
	const char *name;  /* "ByteCount" */
};
const struct event_tag *event_tag_find(char tag); /* NULL: unknown */
/* false: no '=' in it, or nothing before it. */
bool event_tag_split(struct slice s, struct slice *tag, struct slice *value);
/* The next GUID of a list joined by ';' (REPORT-23): *list advances; false at its end.  What is no GUID is skipped and counted
 * in *bad. */
bool event_next_guid(struct slice *list, struct guid *out, size_t *bad);
/* Of a GUID in several lists: 6, 4, 5, 3, 2 (REPORT-27).  Is a stronger than b? */
bool event_status_stronger(uint8_t a, uint8_t b);

#endif
