/* schedule.h -- when to synchronize: the setting sync.schedule (WSUSSS-TIMERS-02). */
#ifndef STORE_SCHEDULE_H
#define STORE_SCHEDULE_H

#include "store/store.h"

enum schedule_kind { SCHEDULE_OFF, SCHEDULE_EVERY, SCHEDULE_DAILY };
struct schedule {
	enum schedule_kind kind;
	unsigned hours;        /* every */
	unsigned hour, minute; /* daily, in local time */
};
/* "off", "every 6h", "daily 03:00"; false if it is none of them. */
bool schedule_read(struct slice v, struct schedule *out);
/* The first time later than `last` (0: never ran) at which it is due, 0 for off.  Computers of one image would all come at once:
 * `spread`, of the server's id, moves it by up to 15 minutes, always the same.  "every 6h" means 6 hours after the last began, or up
 * to 15 minutes less: so it does not drift, however late whoever looks at the clock looks.  "daily 03:00" is
 * once on each day, also on one without that time, or with two of them, as clocks are put forward or back. */
tick_t schedule_next(const struct schedule *s, tick_t last, uint32_t spread);

/* When the next synchronization is due by sync.schedule and history, in *next; 0: never, as there is no upstream server or the
 * schedule is off.  A failed run is tried again after 30 minutes, the next after an hour, and so on, but never later than the
 * schedule says (WSUSSS-TIMERS-06). */
int schedule_due(struct txn *t, const struct settings *set, tick_t *next, struct err *e) MUST_CHECK;

#endif
