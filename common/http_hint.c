/* http_hint.c -- see http_hint.h. */
#include "common/http_hint.h"

#include "common/base.h"

static const struct {
	long verdict;
	const char *text;
} hints[] = {
	{9, "the server's certificate is not valid yet: are both clocks right?"},
	{10, "the server's certificate has expired and every client refuses it: renew it on the server (tls.sh --renew)"},
	{26, "the server's certificate is not for servers: its extended key usage must have serverAuth"},
	{66, "the key of the server's certificate is too short: RSA from 2048 bits, or ECDSA"},
	{67, "the key of an authority of the server's certificate is too short: RSA from 2048 bits, or ECDSA"},
	{68, "the server's certificate is signed with less than SHA-256, which Windows refuses: have a new one made"},
	/* Not one of OpenSSL's verdicts: libcurl's own, who compares the name. */
	{1, "the server's certificate is for another name: use one that is in it, or a certificate with this name (tls.sh)"},
};

const char *certificate_hint(long verdict)
{
	for (size_t i = 0; i < COUNTOF(hints); i++)
		if (hints[i].verdict == verdict)
			return hints[i].text;
	return NULL;
}
