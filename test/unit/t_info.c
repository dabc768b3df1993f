/* t_info.c -- a computer's registration as stored bytes: everything comes back, equal is equal, damage is seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/wusp_info.h"

static struct ComputerInfo sample(void)
{
	struct ComputerInfo i = {0};
	WIRE_SET(&i, ComputerInfo, DnsName, SL("pc.example.com"));
	WIRE_SET(&i, ComputerInfo, OSMajorVersion, 10);
	WIRE_SET(&i, ComputerInfo, OSBuildNumber, 26200);
	WIRE_SET(&i, ComputerInfo, ComputerModel, SL(""));
	WIRE_SET(&i, ComputerInfo, BiosReleaseDate, -5);
	WIRE_SET(&i, ComputerInfo, SuiteMask, -256);
	WIRE_SET(&i, ComputerInfo, OldProductType, 255);
	WIRE_SET(&i, ComputerInfo, OSDescription, SL("Windows 10 Pro"));
	return i;
}

/* holds: WUSP-REGISTER-05 WUSP-REGISTER-11 */
static void what_was_registered_comes_back(void **state)
{
	struct buf b;
	struct ComputerInfo in = sample(), out;
	(void)state;
	buf_init(&b, 4096);
	computer_info_pack(&b, &in);
	assert_int_equal(b.rc, E_OK);
	assert_int_equal(computer_info_unpack(buf_bytes(&b), &out), E_OK);
	assert_true(out.has == in.has);
	assert_true(slice_eq(out.DnsName, in.DnsName));
	assert_true(slice_eq(out.OSDescription, in.OSDescription));
	assert_true(out.ComputerModel.p && out.ComputerModel.n == 0);
	assert_int_equal(out.OSMajorVersion, 10);
	assert_int_equal(out.OSBuildNumber, 26200);
	assert_int_equal(out.BiosReleaseDate, -5);
	assert_int_equal(out.SuiteMask, -256);
	assert_int_equal(out.OldProductType, 255);
	assert_null(out.OEM.p);
	buf_free(&b);
}

static void equal_registrations_are_equal_bytes(void **state)
{
	struct buf a, b;
	struct ComputerInfo x = sample(), y = sample();
	(void)state;
	buf_init(&a, 4096);
	buf_init(&b, 4096);
	y.OSMinorVersion = 77; /* not present: does not count */
	computer_info_pack(&a, &x);
	computer_info_pack(&b, &y);
	assert_true(slice_eq(buf_bytes(&a), buf_bytes(&b)));
	WIRE_SET(&y, ComputerInfo, OSMinorVersion, 0);
	buf_reset(&b);
	computer_info_pack(&b, &y);
	assert_false(slice_eq(buf_bytes(&a), buf_bytes(&b)));
	buf_free(&a);
	buf_free(&b);
}

/* Cut anywhere inside a field, it is refused; between two fields it is a shorter registration. */
static void damage_is_seen(void **state)
{
	struct buf b;
	struct ComputerInfo in = sample(), out;
	unsigned whole = 0;
	(void)state;
	buf_init(&b, 4096);
	computer_info_pack(&b, &in);
	for (size_t n = 0; n < b.n; n++)
		whole += computer_info_unpack((struct slice){b.p, n}, &out) == E_OK;
	assert_int_equal(whole, 8);
	b.p[1] = 63;
	assert_int_equal(computer_info_unpack(buf_bytes(&b), &out), E_CORRUPT);
	b.p[0] = 2;
	assert_int_equal(computer_info_unpack(buf_bytes(&b), &out), E_VERSION);
	assert_int_equal(computer_info_unpack(SL(""), &out), E_CORRUPT);
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_registered_comes_back),
		cmocka_unit_test(equal_registrations_are_equal_bytes),
		cmocka_unit_test(damage_is_seen),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
