/* cookie.c -- the layouts inside our cookies.
 *
 * Integers are big-endian.  A client's two end with the client id: its length in one byte, then its letters; nothing
 * may follow.  A layout never changes under its version.
 *
 *	authorization cookie, version 1         cookie, version 1
 *	 0  u8    version                        0  u8    version
 *	 1  guid  server                         1  guid  server
 *	17  u32   generation                    17  u32   generation
 *	21  i64   issued                        21  i64   expires
 *	29  u8    length of the client id       29  i64   last_change
 *	30        client id                     37  u32   major
 *	                                        41  u32   minor
 *	                                        45  u64   groups
 *	                                        53  u32   point, software
 *	                                        57  u32   point, driver
 *	                                        61  u32   point, printer
 *	                                        65  u32   parked
 *	                                        69  u32   file_locations
 *	                                        73  u32   flags
 *	                                        77  u64   installed
 *	                                        85  u8    length of the client id
 *	                                        86        client id
 *
 *	a downstream server's                   a downstream server's cookie, version 1
 *	authorization cookie, version 1
 *	 0  u8    version                        0  u8    version
 *	 1  guid  server                         1  guid  server
 *	17  u32   generation                    17  u32   generation
 *	21  i64   expires                       21  i64   expires
 *	29  u32   group                         29  u32   major
 *	33  guid  dss                           33  u32   minor
 *	                                        37  u32   group
 *	                                        41  guid  dss
 */
#include "common/cookie.h"

/* A field: where it lies in the struct and its width, 16 for a guid, 8 or 4 for an integer. */
struct field {
	uint16_t at, width;
};
#define FIELD(T, m) {offsetof(struct T, m), sizeof(((struct T *)0)->m)}

struct layout {
	uint8_t version;
	enum seal_purpose purpose;
	uint16_t client; /* offset of the client id; 0: there is none */
	const struct field *field;
	size_t nfield;
	size_t fixed; /* bytes before the client id's letters, or all */
};

static const struct field auth_fields[] = {
	FIELD(auth_cookie, server),
	FIELD(auth_cookie, generation),
	FIELD(auth_cookie, issued),
};
static const struct field fields[] = {
	FIELD(cookie, server),
	FIELD(cookie, generation),
	FIELD(cookie, expires),
	FIELD(cookie, last_change),
	FIELD(cookie, major),
	FIELD(cookie, minor),
	FIELD(cookie, groups),
	FIELD(cookie, point[PASS_SOFTWARE]),
	FIELD(cookie, point[PASS_DRIVER]),
	FIELD(cookie, point[PASS_PRINTER]),
	FIELD(cookie, parked),
	FIELD(cookie, file_locations),
	FIELD(cookie, flags),
	FIELD(cookie, installed),
};
static_assert(PASS__N == 3, "a point per pass");

static const struct field dss_auth_fields[] = {
	FIELD(dss_auth_cookie, server),
	FIELD(dss_auth_cookie, generation),
	FIELD(dss_auth_cookie, expires),
	FIELD(dss_auth_cookie, group),
	FIELD(dss_auth_cookie, dss),
};
static const struct field dss_fields[] = {
	FIELD(dss_cookie, server),
	FIELD(dss_cookie, generation),
	FIELD(dss_cookie, expires),
	FIELD(dss_cookie, major),
	FIELD(dss_cookie, minor),
	FIELD(dss_cookie, group),
	FIELD(dss_cookie, dss),
};

enum { AUTH_FIXED = 30, FIXED = 86, DSS_AUTH_FIXED = 49, DSS_FIXED = 57 };
static const struct layout auth_layout = {
	1, SEAL_CLIENT_AUTH, offsetof(struct auth_cookie, client), auth_fields, COUNTOF(auth_fields), AUTH_FIXED};
static const struct layout layout = {
	1, SEAL_CLIENT, offsetof(struct cookie, client), fields, COUNTOF(fields), FIXED};
static const struct layout dss_auth_layout = {
	1, SEAL_DSS_AUTH, 0, dss_auth_fields, COUNTOF(dss_auth_fields), DSS_AUTH_FIXED};
static const struct layout dss_layout = {1, SEAL_DSS, 0, dss_fields, COUNTOF(dss_fields), DSS_FIXED};
static_assert(FIXED + LIMIT_CLIENT_ID + SEAL_OVERHEAD <= COOKIE_MAX, "the largest cookie fits");

/* Widths of structs and bytes agree but for the order of an integer's bytes. */
static void put(uint8_t *to, const void *from, size_t width)
{
	uint32_t v4;
	uint64_t v8;
	switch (width) {
	case 4:
		memcpy(&v4, from, 4);
		put_be32(to, v4);
		break;
	case 8:
		memcpy(&v8, from, 8);
		put_be64(to, v8);
		break;
	default:
		memcpy(to, from, width);
	}
}

static void get(void *to, const uint8_t *from, size_t width)
{
	uint32_t v4;
	uint64_t v8;
	switch (width) {
	case 4:
		v4 = get_be32(from);
		memcpy(to, &v4, 4);
		break;
	case 8:
		v8 = get_be64(from);
		memcpy(to, &v8, 8);
		break;
	default:
		memcpy(to, from, width);
	}
}

static size_t seal_struct(struct sealer *s, const struct layout *l, tick_t now, const void *c, char to[COOKIE_MAX])
{
	uint8_t plain[FIXED + LIMIT_CLIENT_ID], *p = plain;
	const struct client_id *client = (const void *)((const char *)c + l->client);
	*p++ = l->version;
	for (size_t i = 0; i < l->nfield; p += l->field[i++].width)
		put(p, (const char *)c + l->field[i].at, l->field[i].width);
	if (l->client) {
		*p++ = client->n;
		memcpy(p, client->s, client->n);
	}
	size_t n = l->fixed + (l->client ? client->n : 0);
	return seal(s, l->purpose, now, plain, n, to) == E_OK ? n + SEAL_OVERHEAD : 0;
}

static int open_struct(struct sealer *s, const struct layout *l, struct slice sealed, void *out)
{
	uint8_t plain[LIMIT_COOKIE];
	size_t n;
	int rc = unseal(s, l->purpose, sealed, plain, &n);
	if (rc != E_OK)
		return rc;
	if (n < l->fixed || plain[0] != l->version || n != l->fixed + (l->client ? plain[l->fixed - 1] : 0u))
		return E_FORM;
	const uint8_t *p = plain + 1;
	for (size_t i = 0; i < l->nfield; p += l->field[i++].width)
		get((char *)out + l->field[i].at, p, l->field[i].width);
	if (!l->client)
		return E_OK;
	struct client_id *client = (void *)((char *)out + l->client);
	client->n = *p;
	memcpy(client->s, p + 1, client->n);
	return E_OK;
}

size_t auth_cookie_seal(struct sealer *s, tick_t now, const struct auth_cookie *c, char to[COOKIE_MAX])
{
	return seal_struct(s, &auth_layout, now, c, to);
}

int auth_cookie_open(struct sealer *s, struct slice sealed, struct auth_cookie *out)
{
	*out = (struct auth_cookie){0};
	int rc = open_struct(s, &auth_layout, sealed, out);
	return rc == E_FORM ? E_INVALID_AUTH_COOKIE : rc;
}

size_t cookie_seal(struct sealer *s, tick_t now, const struct cookie *c, char to[COOKIE_MAX])
{
	return seal_struct(s, &layout, now, c, to);
}

int cookie_open(struct sealer *s, struct slice sealed, struct cookie *out)
{
	*out = (struct cookie){0};
	int rc = open_struct(s, &layout, sealed, out);
	return rc == E_FORM ? E_INVALID_COOKIE : rc;
}

size_t dss_auth_cookie_seal(struct sealer *s, tick_t now, const struct dss_auth_cookie *c, char to[COOKIE_MAX])
{
	return seal_struct(s, &dss_auth_layout, now, c, to);
}

int dss_auth_cookie_open(struct sealer *s, struct slice sealed, struct dss_auth_cookie *out)
{
	*out = (struct dss_auth_cookie){0};
	int rc = open_struct(s, &dss_auth_layout, sealed, out);
	return rc == E_FORM ? E_INVALID_AUTH_COOKIE : rc;
}

size_t dss_cookie_seal(struct sealer *s, tick_t now, const struct dss_cookie *c, char to[COOKIE_MAX])
{
	return seal_struct(s, &dss_layout, now, c, to);
}

int dss_cookie_open(struct sealer *s, struct slice sealed, struct dss_cookie *out)
{
	*out = (struct dss_cookie){0};
	int rc = open_struct(s, &dss_layout, sealed, out);
	return rc == E_FORM ? E_INVALID_COOKIE : rc;
}
