/* network.c -- addresses and networks: what is one, and which holds which. */
#include "common/network.h"

#include <arpa/inet.h>

#include "common/text.h"

static unsigned bits_of(int family)
{
	return family == AF_INET ? 32 : 128;
}

static bool take_address(struct slice s, struct network *out)
{
	char z[INET6_ADDRSTRLEN];
	if (s.n == 0 || s.n >= sizeof(z) || memchr(s.p, 0, s.n))
		return false;
	memcpy(z, s.p, s.n);
	z[s.n] = 0;
	out->family = memchr(z, ':', s.n) ? AF_INET6 : AF_INET;
	return inet_pton(out->family, z, out->bytes) == 1;
}

/* As nginx reads it: one to three digits, none in vain. */
static bool take_prefix(struct slice s, struct network *out)
{
	unsigned n = 0;
	if (s.n == 0 || s.n > 3 || (s.p[0] == '0' && s.n > 1))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		n = n * 10 + (unsigned)(s.p[i] - '0');
	}
	out->prefix = n;
	return n <= bits_of(out->family);
}

static void clear_host(struct network *n)
{
	for (unsigned bit = n->prefix; bit < 128; bit++)
		n->bytes[bit / 8] &= (uint8_t)~(0x80u >> bit % 8);
}

bool network_parse(struct slice s, struct network *out)
{
	*out = (struct network){0};
	struct slice address = text_cut(&s, '/');
	if (!take_address(address, out))
		return false;
	out->prefix = bits_of(out->family);
	if (s.p && !take_prefix(s, out))
		return false;
	clear_host(out);
	return true;
}

bool network_has(const struct network *n, const struct network *inner)
{
	if (n->family != inner->family || n->prefix > inner->prefix)
		return false;
	struct network cut = *inner;
	cut.prefix = n->prefix;
	clear_host(&cut);
	return memcmp(cut.bytes, n->bytes, sizeof(cut.bytes)) == 0;
}

bool network_list_has(struct slice list, const struct network *inner)
{
	struct network n;
	for (struct slice w = text_word(&list); w.p; w = text_word(&list))
		if (network_parse(w, &n) && network_has(&n, inner))
			return true;
	return false;
}
