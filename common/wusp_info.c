/* wusp_info.c -- ComputerInfo to bytes and back, along its wire rows. */
#include "common/wusp_info.h"

#define INFO_VERSION 1

static void pack_number(struct buf *b, uint64_t v)
{
	uint8_t raw[8];
	put_be64(raw, v);
	buf_add(b, raw, sizeof(raw));
}

static void pack_text(struct buf *b, struct slice s)
{
	uint8_t raw[2];
	put_be16(raw, (uint16_t)s.n);
	buf_add(b, raw, sizeof(raw));
	buf_slice(b, s);
}

static void pack_field(struct buf *b, enum wkind kind, const void *at)
{
	switch (kind) {
	case W_STR: pack_text(b, *(const struct slice *)at); break;
	case W_TIME: pack_number(b, (uint64_t) * (const tick_t *)at); break;
	case W_BOOL: pack_number(b, *(const bool *)at); break;
	case W_LONG: pack_number(b, (uint64_t) * (const int64_t *)at); break;
	default: pack_number(b, (uint64_t)(int64_t) * (const int32_t *)at); break;
	}
}

void computer_info_pack(struct buf *b, const struct ComputerInfo *in)
{
	const struct wtype *t = &ComputerInfo_wire;
	buf_char(b, INFO_VERSION);
	for (unsigned i = 0; i < t->n; i++) {
		if (!(in->has >> i & 1))
			continue;
		buf_char(b, (char)i);
		pack_field(b, t->field[i].kind, (const char *)in + t->field[i].offset);
	}
}

static bool take(struct slice *s, size_t n, const char **p)
{
	if (s->n < n)
		return false;
	*p = s->p;
	*s = (struct slice){s->p + n, s->n - n};
	return true;
}

static bool unpack_text(struct slice *s, struct slice *to)
{
	const char *p;
	if (!take(s, 2, &p))
		return false;
	size_t n = get_be16(p);
	if (!take(s, n, &p))
		return false;
	*to = (struct slice){p, n};
	return true;
}

static bool unpack_field(struct slice *s, enum wkind kind, void *at)
{
	const char *p;
	if (kind == W_STR)
		return unpack_text(s, at);
	if (!take(s, 8, &p))
		return false;
	uint64_t v = get_be64(p);
	switch (kind) {
	case W_TIME: *(tick_t *)at = (tick_t)v; break;
	case W_BOOL: *(bool *)at = v != 0; break;
	case W_LONG: *(int64_t *)at = (int64_t)v; break;
	default: *(int32_t *)at = (int32_t)v; break;
	}
	return true;
}

int computer_info_unpack(struct slice s, struct ComputerInfo *out)
{
	const struct wtype *t = &ComputerInfo_wire;
	const char *p;
	*out = (struct ComputerInfo){0};
	if (!take(&s, 1, &p))
		return E_CORRUPT;
	if (*p != INFO_VERSION)
		return E_VERSION;
	while (take(&s, 1, &p)) {
		unsigned i = (unsigned char)*p;
		if (i >= t->n || !unpack_field(&s, t->field[i].kind, (char *)out + t->field[i].offset))
			return E_CORRUPT;
		out->has |= UINT64_C(1) << i;
	}
	return E_OK;
}
