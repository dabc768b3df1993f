/* zz_pending.c -- stands in for what is being written; gone when all of it is there. */
#include "store/fact.h"
#include "store/report_parts.h"
#include "store/scanned.h"

__attribute__((weak)) const char *const identity_flag_names[] = {"", "renamed", "cloned"};

__attribute__((weak)) int cohort_get(struct txn *t, uint32_t no, struct cohort *out)
{
	(void)t;
	(void)no;
	(void)out;
	return E_NOTFOUND;
}

__attribute__((weak)) int cohort_each(struct txn *t, int (*fn)(const struct cohort *, void *), void *arg, struct err *e)
{
	(void)t;
	(void)fn;
	(void)arg;
	(void)e;
	return E_OK;
}

__attribute__((weak)) int tally_get(struct txn *t, uint32_t cohort, uint32_t update_no, struct tally *out)
{
	(void)t;
	(void)cohort;
	(void)update_no;
	(void)out;
	return E_NOTFOUND;
}

__attribute__((weak)) int tally_each(struct txn *t, uint32_t cohort, int (*fn)(uint32_t update_no, const struct tally *, void *), void *arg, struct err *e)
{
	(void)t;
	(void)cohort;
	(void)fn;
	(void)arg;
	(void)e;
	return E_OK;
}

__attribute__((weak)) int group_cohorts(struct txn *t, uint32_t group, struct cohort **out, size_t *n, struct err *e)
{
	(void)t;
	(void)group;
	(void)out;
	(void)n;
	(void)e;
	return E_OK;
}

__attribute__((weak)) bool membership_behind(struct txn *t)
{
	(void)t;
	return false;
}

__attribute__((weak)) int membership_follow(struct txn *t, uint32_t most, bool *more, struct err *e)
{
	(void)t;
	(void)most;
	(void)more;
	(void)e;
	return E_OK;
}

__attribute__((weak)) int os_get(struct txn *t, uint32_t no, struct os_info *out)
{
	(void)t;
	(void)no;
	(void)out;
	return E_NOTFOUND;
}

__attribute__((weak)) int os_each(struct txn *t, int (*fn)(const struct os_info *, void *), void *arg, struct err *e)
{
	(void)t;
	(void)fn;
	(void)arg;
	(void)e;
	return E_OK;
}

__attribute__((weak)) int os_fields(struct slice tuple, struct os_fields *out)
{
	(void)tuple;
	(void)out;
	return E_NOTFOUND;
}

__attribute__((weak)) int activity_each(struct txn *t, int (*fn)(const struct activity *, void *), void *arg, struct err *e)
{
	(void)t;
	(void)fn;
	(void)arg;
	(void)e;
	return E_OK;
}

__attribute__((weak)) int report_audit(struct txn *t, void (*found)(const char *text, void *), void *arg, unsigned *n, struct err *e)
{
	(void)t;
	(void)found;
	(void)arg;
	(void)n;
	(void)e;
	return E_OK;
}

__attribute__((weak)) int events_of(struct txn *t, struct slice computer, size_t most, struct event **out, size_t *n, struct err *e)
{
	(void)t;
	(void)computer;
	(void)most;
	(void)out;
	(void)n;
	(void)e;
	return E_OK;
}

__attribute__((weak)) int event_segments(struct txn *t, struct event_segment **out, size_t *n, struct err *e)
{
	(void)t;
	(void)out;
	(void)n;
	(void)e;
	return E_OK;
}

__attribute__((weak)) int event_keep(struct txn *t, struct slice computer, const struct report_event *r, tick_t now, bool *repeated, struct err *e)
{
	(void)t;
	(void)computer;
	(void)r;
	(void)now;
	(void)repeated;
	(void)e;
	return E_OK;
}

__attribute__((weak)) int events_expire(struct txn *t, tick_t now, struct err *e)
{
	(void)t;
	(void)now;
	(void)e;
	return E_OK;
}

__attribute__((weak)) int cohort_number(struct txn *t, const uint32_t *group, unsigned n, uint32_t *no, struct err *e)
{
	(void)t;
	(void)group;
	(void)n;
	(void)no;
	(void)e;
	return E_OK;
}

__attribute__((weak)) int tally_apply(struct txn *t, uint32_t cohort, const struct tally_change *v, size_t n, struct err *e)
{
	(void)t;
	(void)cohort;
	(void)v;
	(void)n;
	(void)e;
	return E_OK;
}

__attribute__((weak)) int cohort_change(struct txn *t, const struct standing *was, const struct standing *is, struct err *e)
{
	(void)t;
	(void)was;
	(void)is;
	(void)e;
	return E_OK;
}

__attribute__((weak)) int activity_add(struct txn *t, uint32_t os, const struct guid *update, int32_t revision, uint32_t good, uint32_t bad, struct err *e)
{
	(void)t;
	(void)os;
	(void)update;
	(void)revision;
	(void)good;
	(void)bad;
	(void)e;
	return E_OK;
}

__attribute__((weak)) int os_number(struct txn *t, struct slice info, uint32_t *no, struct err *e)
{
	(void)t;
	(void)info;
	(void)no;
	(void)e;
	return E_OK;
}

__attribute__((weak)) int os_count(struct txn *t, uint32_t no, int by, struct err *e)
{
	(void)t;
	(void)no;
	(void)by;
	(void)e;
	return E_OK;
}

__attribute__((weak)) int standing_follow(struct txn *t, struct slice computer, struct err *e)
{
	(void)t;
	(void)computer;
	(void)e;
	return E_OK;
}

__attribute__((weak)) int standing_registered(struct txn *t, struct slice computer, struct slice info, tick_t now, struct err *e)
{
	(void)t;
	(void)computer;
	(void)info;
	(void)now;
	(void)e;
	return E_OK;
}

__attribute__((weak)) int standing_forget(struct txn *t, struct slice computer, struct err *e)
{
	(void)t;
	(void)computer;
	(void)e;
	return E_OK;
}

__attribute__((weak)) int direct_groups_get(struct txn *t, const struct settings *s, struct slice computer, uint32_t group[LIMIT_CLIENT_GROUPS], unsigned *n, struct err *e)
{
	(void)t;
	(void)s;
	(void)computer;
	(void)group;
	(void)n;
	(void)e;
	return E_OK;
}

__attribute__((weak)) int membership_changed(struct txn *t, struct err *e)
{
	(void)t;
	(void)e;
	return E_OK;
}

__attribute__((weak)) int report_migrate_fleet(struct txn *t, struct err *e)
{
	(void)t;
	(void)e;
	return E_OK;
}

__attribute__((weak)) bool report_row_good(enum db db, struct slice key, struct slice value)
{
	(void)db;
	(void)key;
	(void)value;
	return false;
}

__attribute__((weak)) bool last_scan_differs(struct txn *t, struct slice computer, const int32_t *installed, size_t n)
{
	(void)t;
	(void)computer;
	(void)installed;
	(void)n;
	return false;
}

__attribute__((weak)) int last_scan_put(struct txn *t, struct slice computer, tick_t at, const int32_t *installed, size_t n, struct err *e)
{
	(void)t;
	(void)computer;
	(void)at;
	(void)installed;
	(void)n;
	(void)e;
	return E_OK;
}

__attribute__((weak)) int last_scan_get(struct txn *t, struct slice computer, struct last_scan *out, struct err *e)
{
	(void)t;
	(void)computer;
	(void)out;
	(void)e;
	return E_NOTFOUND;
}

__attribute__((weak)) bool devices_differ(struct txn *t, struct slice computer, const struct devices *d)
{
	(void)t;
	(void)computer;
	(void)d;
	return false;
}

__attribute__((weak)) int devices_put(struct txn *t, struct slice computer, const struct devices *d, struct err *e)
{
	(void)t;
	(void)computer;
	(void)d;
	(void)e;
	return E_OK;
}

__attribute__((weak)) int devices_get(struct txn *t, struct slice computer, struct devices *out, struct err *e)
{
	(void)t;
	(void)computer;
	(void)out;
	(void)e;
	return E_NOTFOUND;
}

__attribute__((weak)) int face_note(struct txn *t, struct slice computer, struct slice name, struct slice bios, struct slice address, tick_t now, struct err *e)
{
	(void)t;
	(void)computer;
	(void)name;
	(void)bios;
	(void)address;
	(void)now;
	(void)e;
	return E_OK;
}

__attribute__((weak)) int faces_get(struct txn *t, struct slice computer, struct faces *out)
{
	(void)t;
	(void)computer;
	(void)out;
	return E_NOTFOUND;
}

__attribute__((weak)) int scanned_forget(struct txn *t, struct slice computer, struct err *e)
{
	(void)t;
	(void)computer;
	(void)e;
	return E_OK;
}

__attribute__((weak)) bool scanned_row_good(enum db db, struct slice key, struct slice value)
{
	(void)db;
	(void)key;
	(void)value;
	return false;
}


__attribute__((weak)) const char *const update_status_names[STATUS__N] = {"unknown", "not-applicable", "needed", "downloaded", "installed",
	"failed", "pending-reboot"};
