/* t_network.c -- addresses and networks: what is read, and which holds which. */
#include "common/network.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>

#include <cmocka.h>

static struct network of(const char *text)
{
	struct network n;
	if (!network_parse(slice_of(text), &n))
		fail_msg("\"%s\" is no network", text);
	return n;
}

static void addresses_and_prefixes_are_read(void **state)
{
	(void)state;
	struct network n = of("192.0.2.129/25");
	assert_int_equal(n.family, AF_INET);
	assert_int_equal(n.prefix, 25);
	assert_memory_equal(n.bytes, "\xC0\x00\x02\x80\0\0\0\0", 8); /* host bits are cleared */
	n = of("192.0.2.129");
	assert_int_equal(n.prefix, 32);
	n = of("2001:db8:ffff::1/36");
	assert_int_equal(n.family, AF_INET6);
	assert_int_equal(n.prefix, 36);
	assert_memory_equal(n.bytes, "\x20\x01\x0d\xb8\xf0\0\0\0\0\0\0\0\0\0\0\0", 16);
	assert_int_equal(of("::1").prefix, 128);
	assert_int_equal(of("0.0.0.0/0").prefix, 0);
	assert_int_equal(of("::/0").prefix, 0);
}

static void anything_else_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "/", "/8", "10", "10.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/08", "10.0.0.0/+8",
		"10.0.0.0/-1", "10.0.0.0/8/8", "10.0.0.0/255.0.0.0", "10.0.0.0/ 8", " 10.0.0.0", "10.0.0.256", "::/129", "::1/0128",
		"fe80::1%eth0", "[::1]", "example.net", "10.0.0.0/8;", "10.0.0.1 10.0.0.2", "0x7f.0.0.1",
		"1111:2222:3333:4444:5555:6666:7777:8888:9999", "10.0.0.0/99999999999999999999"};
	struct network n;
	for (size_t i = 0; i < COUNTOF(bad); i++)
		if (network_parse(slice_of(bad[i]), &n))
			fail_msg("\"%s\" was taken", bad[i]);
	assert_false(network_parse(SL("10.0.0.1\0x"), &n));
	assert_false(network_parse(SL0, &n));
}

static void a_network_has_what_lies_in_it(void **state)
{
	(void)state;
	static const struct {
		const char *outer, *inner;
		bool has;
	} all[] = {
		{"10.0.0.0/8", "10.255.255.255", true}, {"10.0.0.0/8", "11.0.0.0", false}, {"10.0.0.0/8", "10.1.0.0/16", true},
		{"10.1.0.0/16", "10.0.0.0/8", false}, {"10.1.2.3/8", "10.9.9.9", true}, {"10.0.0.1", "10.0.0.1", true},
		{"10.0.0.1", "10.0.0.2", false}, {"172.16.0.0/12", "172.31.255.255", true}, {"172.16.0.0/12", "172.32.0.0", false},
		{"0.0.0.0/0", "203.0.113.9", true}, {"::/0", "203.0.113.9", false}, {"0.0.0.0/0", "::1", false},
		{"fc00::/7", "fdff::1", true}, {"fc00::/7", "fe00::1", false}, {"2001:db8::/33", "2001:db8:7fff::", true},
		{"2001:db8::/33", "2001:db8:8000::", false},
	};
	for (size_t i = 0; i < COUNTOF(all); i++) {
		struct network outer = of(all[i].outer), inner = of(all[i].inner);
		if (network_has(&outer, &inner) != all[i].has)
			fail_msg("%s has %s: not %d", all[i].outer, all[i].inner, all[i].has);
	}
}

static void a_list_has_what_one_of_its_networks_has(void **state)
{
	(void)state;
	struct network n = of("192.168.7.9");
	assert_true(network_list_has(SL("10.0.0.0/8 192.168.0.0/16"), &n));
	assert_true(network_list_has(SL("\t192.168.7.9"), &n));
	assert_true(network_list_has(SL("nonsense  192.168.0.0/16 "), &n));
	assert_false(network_list_has(SL("10.0.0.0/8 ::/0"), &n));
	assert_false(network_list_has(SL(""), &n));
	assert_false(network_list_has(SL0, &n));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_and_prefixes_are_read),
		cmocka_unit_test(anything_else_is_refused),
		cmocka_unit_test(a_network_has_what_lies_in_it),
		cmocka_unit_test(a_list_has_what_one_of_its_networks_has),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
