/* schedule.h -- when to synchronize: the setting sync.schedule (WSUSSS-TIMERS-02). */
#ifndef STORE_SCHEDULE_H
#define STORE_SCHEDULE_H

#include "common/base.h"

enum schedule_kind { SCHEDULE_OFF, SCHEDULE_EVERY, SCHEDULE_DAILY };
struct schedule {
	enum schedule_kind kind;
	unsigned hours;        /* every */
	unsigned hour, minute; /* daily, in local time */
};
/* "off", "every 6h", "daily 03:00"; false if it is none of them. */
bool schedule_read(struct slice v, struct schedule *out);
/* The first time later than `last` (0: never ran) at which it is due, 0 for off.  Computers of one vendor's clock would all come at
 * once: `spread`, of the server's id, moves it by up to 15 minutes, always the same. */
tick_t schedule_next(const struct schedule *s, tick_t last, uint32_t spread);

#endif
