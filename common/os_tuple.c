/* os_tuple.c -- nine numbers and two texts to bytes and back. */
#include "common/os_tuple.h"

#define TUPLE_VERSION 1

static const size_t numbers[] = {
	offsetof(struct os_fields, major),            offsetof(struct os_fields, minor),
	offsetof(struct os_fields, build),            offsetof(struct os_fields, sp_major),
	offsetof(struct os_fields, sp_minor),         offsetof(struct os_fields, suite),
	offsetof(struct os_fields, old_product_type), offsetof(struct os_fields, new_product_type),
	offsetof(struct os_fields, system_metrics),
};
static const size_t texts[] = {offsetof(struct os_fields, locale), offsetof(struct os_fields, architecture)};
static_assert(OS_TUPLE == 1 + COUNTOF(numbers) * 4 + COUNTOF(texts) * (2 + LIMIT_STRING), "OS_TUPLE has room for all");

struct os_fields os_of_info(const struct ComputerInfo *i)
{
	return (struct os_fields){
		.major = i->OSMajorVersion, .minor = i->OSMinorVersion, .build = i->OSBuildNumber,
		.sp_major = i->OSServicePackMajorNumber, .sp_minor = i->OSServicePackMinorNumber,
		.locale = i->OSLocale, .architecture = i->ProcessorArchitecture,
		.suite = i->SuiteMask, .old_product_type = i->OldProductType, .new_product_type = i->NewProductType,
		.system_metrics = i->SystemMetrics,
	};
}

void os_tuple_pack(struct buf *b, const struct os_fields *in)
{
	uint8_t raw[4];
	buf_char(b, TUPLE_VERSION);
	for (size_t i = 0; i < COUNTOF(numbers); i++) {
		put_be32(raw, (uint32_t) * (const int32_t *)((const char *)in + numbers[i]));
		buf_add(b, raw, 4);
	}
	for (size_t i = 0; i < COUNTOF(texts); i++) {
		const struct slice *s = (const struct slice *)((const char *)in + texts[i]);
		size_t n = MIN(s->n, (size_t)LIMIT_STRING);
		put_be16(raw, (uint16_t)n);
		buf_add(b, raw, 2);
		buf_slice(b, (struct slice){s->p, n});
	}
}

static bool take(struct slice *s, size_t n, const char **p)
{
	*p = s->p;
	if (s->n < n)
		return false;
	*s = (struct slice){s->p + n, s->n - n};
	return true;
}

int os_tuple_unpack(struct slice s, struct os_fields *out)
{
	const char *p;
	*out = (struct os_fields){.locale = SL(""), .architecture = SL("")};
	if (!take(&s, 1, &p) || *p != TUPLE_VERSION)
		return E_CORRUPT;
	for (size_t i = 0; i < COUNTOF(numbers); i++) {
		if (!take(&s, 4, &p))
			return E_CORRUPT;
		*(int32_t *)((char *)out + numbers[i]) = (int32_t)get_be32(p);
	}
	for (size_t i = 0; i < COUNTOF(texts); i++) {
		if (!take(&s, 2, &p))
			return E_CORRUPT;
		size_t n = get_be16(p);
		if (!take(&s, n, &p))
			return E_CORRUPT;
		*(struct slice *)((char *)out + texts[i]) = (struct slice){p, n};
	}
	return s.n == 0 ? E_OK : E_CORRUPT;
}
