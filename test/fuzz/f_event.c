/* f_event.c -- strings of MiscData and ReplacementStrings as anybody may send them: what splits them stays inside, what goes
 * through a list ends, and an event in words is no longer than its parts.
 *
 * First byte: which event; then strings, each ended by a NUL. */
#include "common/event.h"
#include "common/text.h"

#define STRINGS 16

static struct arena arena;

/* Reads every byte, so that the sanitizer sees a slice that is too long. */
static void touch(struct slice s)
{
	static volatile char sink;
	for (size_t i = 0; i < s.n; i++)
		sink = s.p[i];
	(void)sink;
}

static void try_list(struct slice list)
{
	struct guid g;
	size_t bad = 0, good = 0, whole = list.n;
	while (event_next_guid(&list, &g, &bad))
		good++;
	ASSERT(list.n == 0 && good * 36 + bad <= whole);
}

static void try_tag(struct slice s)
{
	struct slice tag, value;
	if (!event_tag_split(s, &tag, &value))
		return;
	ASSERT(tag.n > 0 && tag.n + 1 + value.n == s.n && tag.p == s.p && !memchr(tag.p, '=', tag.n));
	touch(value);
	const struct event_tag *t = event_tag_find(tag.p[0]);
	ASSERT(!t || t->tag == tag.p[0]);
	try_list(value);
}

static void try_text(const struct event_info *info, const struct slice *v, size_t n)
{
	size_t longest = 0;
	for (size_t i = 0; i < n; i++)
		longest = MAX(longest, v[i].n);
	struct slice s = event_text(&arena, info, v, n);
	ASSERT(s.p && s.n <= strlen(info->text) + 3 * longest);
	touch(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice v[STRINGS], rest = {(const char *)data + 1, n - 1};
	size_t count = 0;
	if (n == 0)
		return 0;
	arena_init(&arena, (size_t)16 << 20);
	while (rest.p && count < STRINGS)
		v[count++] = text_cut(&rest, 0);
	for (size_t i = 0; i < count; i++)
		try_tag(v[i]);
	for (size_t i = 0; i <= count; i++)
		try_text(&event_table[data[0] % EVENT_IDS], v, i);
	(void)event_find((int)(data[0] << 2));
	arena_free(&arena);
	return 0;
}
