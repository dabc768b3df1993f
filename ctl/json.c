/* json.c -- see json.h. */
#include "ctl/json.h"

#include "common/text.h"

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The length of the string at s with its quotes; 0: it has no end. */
static size_t string_length(struct slice s)
{
	for (size_t i = 1; i < s.n; i++) {
		if (s.p[i] == '\\')
			i++;
		else if (s.p[i] == '"')
			return i + 1;
	}
	return 0;
}

/* The length of the value at s, up to the comma or bracket that ends it; brackets are counted, not matched. */
static size_t value_length(struct slice s)
{
	size_t depth = 0, i = 0;
	while (i < s.n) {
		char c = s.p[i];
		if (c == '"') {
			size_t n = string_length((struct slice){s.p + i, s.n - i});
			if (n == 0)
				return s.n;
			i += n;
			continue;
		}
		if (depth == 0 && (c == ',' || c == '}' || c == ']'))
			return i;
		depth += c == '{' || c == '[';
		depth -= c == '}' || c == ']';
		i++;
	}
	return i;
}

static struct slice skip(struct slice s, size_t n)
{
	return (struct slice){s.p + n, s.n - n};
}

static struct slice skip_to(struct slice s, const char *also)
{
	while (s.n > 0 && (is_space(s.p[0]) || strchr(also, s.p[0])))
		s = skip(s, 1);
	return s;
}

struct slice json_member(struct slice text, const char *key)
{
	struct slice s = text_trim(text);
	if (s.n == 0 || s.p[0] != '{')
		return SL0;
	s = skip_to(skip(s, 1), ",");
	while (s.n > 0 && s.p[0] == '"') {
		size_t n = string_length(s);
		if (n < 2)
			return SL0;
		struct slice name = {s.p + 1, n - 2};
		s = skip_to(skip(s, n), ":");
		n = value_length(s);
		if (slice_eq(name, slice_of(key)))
			return text_trim((struct slice){s.p, n});
		s = skip_to(skip(s, n), ",");
	}
	return SL0;
}

struct slice json_first(struct slice array)
{
	struct slice s = text_trim(array);
	if (s.n < 2 || s.p[0] != '[')
		return SL0;
	s = skip_to(skip(s, 1), "");
	size_t n = value_length(s);
	return n > 0 ? text_trim((struct slice){s.p, n}) : SL0;
}

/* The character behind a backslash; *i stands on it and moves over what belongs to it. */
static char unescaped(struct slice s, size_t *i)
{
	static const char from[] = "nrtbf", to[] = "\n\r\t\b\f";
	const char *at = strchr(from, s.p[*i]);
	uint8_t code[2];
	if (at && *at)
		return to[at - from];
	if (s.p[*i] != 'u')
		return s.p[*i];
	bool ok = *i + 4 < s.n && text_hex((struct slice){s.p + *i + 1, 4}, code, 2);
	*i += ok ? 4 : 0;
	return ok && code[0] == 0 && code[1] < 0x80 ? (char)code[1] : '?';
}

struct slice json_string(struct slice value, struct arena *a)
{
	if (value.n < 2 || value.p[0] != '"' || string_length(value) != value.n)
		return SL0;
	struct slice s = {value.p + 1, value.n - 2};
	char *to = ARENA_ARRAY(a, char, s.n + 1);
	size_t n = 0;
	for (size_t i = 0; to && i < s.n; i++) {
		if (s.p[i] == '\\' && i + 1 < s.n) {
			i++;
			to[n++] = unescaped(s, &i);
		} else {
			to[n++] = s.p[i];
		}
	}
	return to ? (struct slice){to, n} : SL0;
}
