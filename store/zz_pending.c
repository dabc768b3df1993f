/* zz_pending.c -- stands in for what is being written; gone when all of it is there. */
#include "store/fact.h"
#include "store/report_parts.h"
#include "store/scanned.h"

__attribute__((weak)) const char *const identity_flag_names[] = {"", "renamed", "cloned"};

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
