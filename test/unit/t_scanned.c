/* t_scanned.c -- installed prerequisites and hardware ids that scans tell: kept as told, written only where they differ. */
#include "store/report_parts.h"
#include "store/scanned.h"
#include "test/unit/store_fixture.h"

static void computer(struct fixture *f, const char *id)
{
	struct computer c = {.id = slice_of(id), .dns_name = SL("pc.example"), .requested_groups = SL(""), .address = SL(""), .last_seen = 1};
	OK(computer_contact(fx_begin(f, TXN_FLEET), &c, &fx_err));
	fx_commit(f);
}

static void put(struct fixture *f, const int32_t *v, size_t n, tick_t at)
{
	OK(last_scan_put(fx_begin(f, TXN_FLEET), SL("PC"), at, v, n, &fx_err));
	fx_commit(f);
}

static void assert_scan(struct fixture *f, const int32_t *v, size_t n, tick_t at)
{
	struct last_scan s;
	OK(last_scan_get(fx_begin(f, TXN_READ), SL("pC"), &s, &fx_err));
	assert_true(s.at == at && s.ninstalled == n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(s.installed[i], v[i]);
	assert_false(last_scan_differs(f->t, SL("pc"), v, n));
	fx_assert_sound(f->t);
	txn_end(&f->t);
}

static void installed_ids_are_kept_as_told(void **state)
{
	static const int32_t all[] = {INT32_MIN, -1, 0, 1, 127, 128, 129, 16384, 2000000, INT32_MAX};
	struct fixture *f = *state;
	struct last_scan s;
	computer(f, "pc");
	IS(E_NOTFOUND, last_scan_get(fx_begin(f, TXN_READ), SL("pc"), &s, &fx_err));
	assert_true(last_scan_differs(f->t, SL("pc"), NULL, 0));
	txn_end(&f->t);
	put(f, NULL, 0, 5);
	assert_scan(f, NULL, 0, 5);
	put(f, all + 2, 8, 6);
	assert_scan(f, all + 2, 8, 6);
	put(f, all + 3, 2, 7);
	assert_scan(f, all + 3, 2, 7);
	put(f, all, 2, 8); /* hostile, and still what it said */
	assert_scan(f, all, 2, 8);
}

static void the_same_scan_writes_nothing(void **state)
{
	static const int32_t v[] = {3, 70, 900};
	struct fixture *f = *state;
	computer(f, "pc");
	put(f, v, 3, 5);
	OK(last_scan_put(fx_begin(f, TXN_FLEET), SL("pc"), 9, v, 3, &fx_err));
	assert_int_equal(txn_dirty(f->t), 0);
	txn_end(&f->t);
	assert_scan(f, v, 3, 5);
	for (size_t n = 0; n < 3; n++)
		assert_true(last_scan_differs(fx_begin(f, TXN_READ), SL("pc"), v, n)), txn_end(&f->t);
}

/* 1 installed; the same and a byte behind it; cut short; a list without end. */
static void a_row_that_cannot_be_read_is_written_anew(void **state)
{
	static const struct {
		char b[16];
		size_t n;
	} rows[] = {
		{"\1\0\0\0\0\0\0\0\5\0\0\0\1\1\0", 15},
		{"\1\0\0\0\0\0\0\0\5\0\0\0\1", 13},
		{"\1\0\0\0\0\0\0\0\5\0\0\0\1\x81", 14},
	};
	static const int32_t one = 1;
	struct fixture *f = *state;
	struct last_scan s;
	computer(f, "pc");
	for (size_t i = 0; i < COUNTOF(rows); i++) {
		OK(db_put(fx_begin(f, TXN_FLEET), DB_SCANNED, SL("pc"), (struct slice){rows[i].b, rows[i].n}, &fx_err));
		fx_commit(f);
		IS(E_CORRUPT, last_scan_get(fx_begin(f, TXN_READ), SL("pc"), &s, &fx_err));
		assert_true(last_scan_differs(f->t, SL("pc"), &one, 1));
		txn_end(&f->t);
		put(f, &one, 1, 6);
		assert_scan(f, &one, 1, 6);
	}
}

static void who_has_no_row_leaves_none(void **state)
{
	static const int32_t v[] = {3};
	struct fixture *f = *state;
	struct devices d = {.at = 1};
	fx_begin(f, TXN_FLEET);
	assert_false(last_scan_differs(f->t, SL("nobody"), v, 1));
	OK(last_scan_put(f->t, SL("nobody"), 1, v, 1, &fx_err));
	assert_false(devices_differ(f->t, SL("nobody"), &d));
	OK(devices_put(f->t, SL("nobody"), &d, &fx_err));
	assert_int_equal(txn_dirty(f->t), 0);
	txn_end(&f->t);
}

/* ---- devices ---- */

static void put_devices(struct fixture *f, const char *id, const struct devices *d)
{
	OK(devices_put(fx_begin(f, TXN_FLEET), slice_of(id), d, &fx_err));
	fx_commit(f);
}

static void assert_devices(struct fixture *f, const char *id, const struct devices *d)
{
	struct devices is;
	OK(devices_get(fx_begin(f, TXN_READ), slice_of(id), &is, &fx_err));
	assert_true(is.at == d->at && is.n == d->n);
	for (size_t i = 0; i < d->n; i++) {
		assert_true(is.v[i].n == d->v[i].n && is.v[i].compatible_from == d->v[i].compatible_from);
		for (size_t k = 0; k < d->v[i].n; k++)
			assert_true(slice_eq(is.v[i].id[k], d->v[i].id[k]));
	}
	assert_false(devices_differ(f->t, slice_of(id), d));
	fx_assert_sound(f->t);
	txn_end(&f->t);
}

static const struct slice usb[] = {{"USB\\VID_046D&PID_C52B", 21}, {"USB\\Class_03", 12}};
static const struct slice pci[] = {{"PCI\\VEN_8086", 12}};

static void hardware_ids_are_kept_as_told(void **state)
{
	const struct device v[] = {{usb, 2, 1}, {pci, 1, 1}, {NULL, 0, 0}};
	struct devices d = {5, v, 3}, none = {6, NULL, 0}, is;
	struct fixture *f = *state;
	computer(f, "pc");
	computer(f, "pc2"); /* whose key begins with the other's */
	IS(E_NOTFOUND, devices_get(fx_begin(f, TXN_READ), SL("pc"), &is, &fx_err));
	txn_end(&f->t);
	put_devices(f, "PC", &d);
	put_devices(f, "pc2", &none);
	assert_devices(f, "pc", &d);
	assert_devices(f, "pc2", &none);
	OK(devices_put(fx_begin(f, TXN_FLEET), SL("pc"), &(struct devices){9, v, 3}, &fx_err));
	assert_int_equal(txn_dirty(f->t), 0);
	assert_true(devices_differ(f->t, SL("pc"), &none));
	txn_end(&f->t);
	OK(computer_delete(fx_begin(f, TXN_FLEET), SL("pc"), &fx_err));
	fx_commit(f);
	IS(E_NOTFOUND, devices_get(fx_begin(f, TXN_READ), SL("pc"), &is, &fx_err));
	txn_end(&f->t);
	assert_devices(f, "pc2", &none);
}

/* n devices of 60 ids that nothing packs well. */
static struct devices many(struct fixture *f, size_t n)
{
	struct device *v = ARENA_ARRAY(txn_arena(f->t), struct device, n);
	uint32_t x = 1;
	for (size_t i = 0; i < n; i++) {
		struct slice *id = ARENA_ARRAY(txn_arena(f->t), struct slice, 60);
		for (unsigned k = 0; k < 60; k++) {
			char *p = ARENA_ARRAY(txn_arena(f->t), char, 30);
			for (unsigned m = 0; m < 30; m++)
				p[m] = (char)(33 + ((x = x * 1664525 + 1013904223) >> 24) % 90);
			id[k] = (struct slice){p, 30};
		}
		v[i] = (struct device){id, 60, 30};
	}
	return (struct devices){7, v, n};
}

static void many_ids_lie_in_several_rows_and_too_many_are_not_kept(void **state)
{
	struct fixture *f = *state;
	struct devices d, is;
	uint64_t rows;
	computer(f, "pc");
	fx_begin(f, TXN_FLEET);
	d = many(f, 100);
	OK(devices_put(f->t, SL("pc"), &d, &fx_err));
	OK(db_count(f->t, DB_DEVICE, &rows, &fx_err));
	assert_true(rows >= 3);
	OK(devices_get(f->t, SL("pc"), &is, &fx_err));
	assert_true(is.n == 100 && slice_eq(is.v[99].id[59], d.v[99].id[59]));
	fx_assert_sound(f->t);
	d = many(f, 200);
	assert_false(devices_differ(f->t, SL("pc"), &d));
	d.n = 1;
	OK(devices_put(f->t, SL("pc"), &d, &fx_err));
	OK(db_count(f->t, DB_DEVICE, &rows, &fx_err));
	assert_int_equal(rows, 1);
	OK(devices_get(f->t, SL("pc"), &is, &fx_err));
	assert_true(is.n == 1 && slice_eq(is.v[0].id[0], d.v[0].id[0]));
	txn_end(&f->t);
}

/* ---- a full fleet/ ---- */

static void where_there_is_no_room_nothing_differs(void **state)
{
	static const int32_t v[] = {3, 4, 5};
	struct fixture *f = *state;
	const struct device one = {usb, 2, 1};
	struct devices d = {5, &one, 1};
	char junk[4096] = "\1";
	computer(f, "pc");
	put(f, v, 2, 5);
	store_close(&f->store);
	setenv("WSUS_FLEET_MAP_MB", "1", 1);
	fx_open(f, STORE_ADMIN);
	fx_begin(f, TXN_FLEET);
	for (uint32_t i = 0; txn_fleet_has_room(f->t); i++) {
		struct key k = key_u32(i);
		OK(db_put(f->t, DB_FMETA, key_bytes(&k), (struct slice){junk, sizeof(junk)}, &fx_err));
	}
	assert_false(last_scan_differs(f->t, SL("pc"), v, 3));
	assert_true(last_scan_differs(f->t, SL("pc"), v, 1)); /* shorter */
	OK(last_scan_put(f->t, SL("pc"), 6, v, 1, &fx_err));
	assert_false(devices_differ(f->t, SL("pc"), &d));
	txn_end(&f->t);
	unsetenv("WSUS_FLEET_MAP_MB");
}

#define T(test) cmocka_unit_test_setup_teardown(test, fx_setup, fx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(installed_ids_are_kept_as_told),
		T(the_same_scan_writes_nothing),
		T(a_row_that_cannot_be_read_is_written_anew),
		T(who_has_no_row_leaves_none),
		T(hardware_ids_are_kept_as_told),
		T(many_ids_lie_in_several_rows_and_too_many_are_not_kept),
		T(where_there_is_no_room_nothing_differs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
