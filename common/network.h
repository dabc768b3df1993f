/* network.h -- IPv4 and IPv6 addresses and networks as text ("192.0.2.7", "192.0.2.0/24", "2001:db8::/32").
 *
 * An address alone is the network that has nothing else.  IPv4 and IPv6 never match each other: our sockets are of one
 * kind each, so that an IPv4 client is known by its IPv4 address. */
#ifndef COMMON_NETWORK_H
#define COMMON_NETWORK_H

#include "common/base.h"

struct network {
	int family;        /* AF_INET or AF_INET6 */
	uint8_t bytes[16]; /* the first 4 of AF_INET; bits behind the prefix are zero */
	unsigned prefix;   /* leading bits that count: 0..32 or 0..128 */
};

/* false on anything else, a prefix with a sign or leading zero included; bits behind the prefix are cleared. */
bool network_parse(struct slice s, struct network *out) MUST_CHECK;
/* Has n every address of inner? */
bool network_has(const struct network *n, const struct network *inner) MUST_CHECK;
/* Has any network of a list (blanks between them) every address of inner?  What is no network is passed over. */
bool network_list_has(struct slice list, const struct network *inner) MUST_CHECK;

#endif
