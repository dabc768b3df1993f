/* zz_pending.c -- stands in for what is being written; gone when all of it is there. */
#include "common/event.h"

__attribute__((weak)) const struct event_info *event_find(int id)
{
	(void)id;
	return NULL;
}

__attribute__((weak)) const char *event_source_name(int source)
{
	(void)source;
	return NULL;
}

__attribute__((weak)) struct slice event_text(struct arena *a, const struct event_info *info, const struct slice *strings, size_t n)
{
	(void)a;
	(void)info;
	(void)strings;
	(void)n;
	return SL("");
}

__attribute__((weak)) const struct event_tag *event_tag_find(char tag)
{
	(void)tag;
	return NULL;
}

__attribute__((weak)) bool event_tag_split(struct slice s, struct slice *tag, struct slice *value)
{
	(void)s;
	(void)tag;
	(void)value;
	return false;
}

__attribute__((weak)) bool event_next_guid(struct slice *list, struct guid *out, size_t *bad)
{
	(void)list;
	(void)out;
	(void)bad;
	return false;
}

__attribute__((weak)) bool event_status_stronger(uint8_t a, uint8_t b)
{
	(void)a;
	(void)b;
	return false;
}

