/* log_read.c -- TIME LEVEL PROGRAM[PID] TEXT, and of a request's text the members.  See log_read.h. */
#include "common/log_read.h"

#include "common/text.h"

enum member { MEMBER_TEXT, MEMBER_SIGNED, MEMBER_COUNT, MEMBER_SECONDS, MEMBER_FAULT };

#define AT(m) offsetof(struct log_entry, m)
static const struct {
	struct slice name;
	enum member kind;
	uint16_t at;
} members[] = {
	{{"id", 2}, MEMBER_TEXT, AT(id)},         {{"peer", 4}, MEMBER_TEXT, AT(peer)},     {{"op", 2}, MEMBER_TEXT, AT(op)},
	{{"rc", 2}, MEMBER_SIGNED, AT(rc)},       {{"status", 6}, MEMBER_SIGNED, AT(status)}, {{"in", 2}, MEMBER_COUNT, AT(in)},
	{{"out", 3}, MEMBER_COUNT, AT(out)},      {{"us", 2}, MEMBER_COUNT, AT(usec)},      {{"rt", 2}, MEMBER_SECONDS, AT(usec)},
	{{"client", 6}, MEMBER_TEXT, AT(client)}, {{"name", 4}, MEMBER_TEXT, AT(name)},     {{"fault", 5}, MEMBER_FAULT, 0},
	{{"events", 6}, MEMBER_TEXT, AT(events)}, {{"why", 3}, MEMBER_TEXT, AT(why)},       {{"do", 2}, MEMBER_TEXT, AT(remedy)},     {{"more", 4}, MEMBER_COUNT, AT(more)},
	{{"request", 7}, MEMBER_TEXT, AT(http)},
};

/* "12.345", as nginx gives a duration: milliseconds are all it knows. */
static bool read_seconds(struct slice v, uint64_t *usec)
{
	uint64_t whole, part;
	struct slice rest = v, head = text_cut(&rest, '.');
	if (!text_u64(head, &whole) || rest.n != 3 || !text_u64(rest, &part) || whole > UINT32_MAX)
		return false;
	*usec = whole * 1000000 + part * 1000;
	return true;
}

/* nginx writes "-" and "" where there is nothing. */
static bool is_absent(struct slice v)
{
	return v.n == 0 || slice_eq(v, SL("-"));
}

static bool take_fault(struct log_entry *l, struct slice v)
{
	if (is_absent(v))
		return true;
	l->fault_id = v;
	l->fault = text_cut(&l->fault_id, ':');
	return l->fault.n > 0 && l->fault_id.n > 0;
}

/* A member that this version does not know is passed over: a newer one may have written it. */
static bool take_member(struct log_entry *l, struct slice name, struct slice v)
{
	for (size_t i = 0; i < COUNTOF(members); i++) {
		void *to = (char *)l + members[i].at;
		if (!slice_eq(members[i].name, name))
			continue;
		switch (members[i].kind) {
		case MEMBER_TEXT:
			*(struct slice *)to = is_absent(v) ? SL0 : v;
			return true;
		case MEMBER_SIGNED:
			return text_i64(v, to);
		case MEMBER_COUNT:
			return text_u64(v, to);
		case MEMBER_SECONDS:
			return read_seconds(v, to);
		case MEMBER_FAULT:
			return take_fault(l, v);
		}
	}
	return name.n > 0;
}

/* Cuts name=value or name="value", and the blank behind it. */
static bool cut_member(struct slice *rest, struct slice *name, struct slice *v)
{
	size_t n = 0;
	while (n < rest->n && rest->p[n] >= 'a' && rest->p[n] <= 'z')
		n++;
	if (n == 0 || n >= rest->n || rest->p[n] != '=')
		return false;
	*name = (struct slice){rest->p, n};
	struct slice s = {rest->p + n + 1, rest->n - n - 1};
	bool quoted = s.n > 0 && s.p[0] == '"';
	if (quoted)
		s = (struct slice){s.p + 1, s.n - 1};
	const char *end = memchr(s.p, quoted ? '"' : ' ', s.n);
	if (quoted && !end)
		return false;
	*v = (struct slice){s.p, end ? (size_t)(end - s.p) : s.n};
	*rest = (struct slice){s.p + v->n, s.n - v->n};
	if (quoted)
		*rest = (struct slice){rest->p + 1, rest->n - 1};
	if (rest->n == 0)
		return true;
	if (rest->p[0] != ' ' || rest->n == 1)
		return false;
	*rest = (struct slice){rest->p + 1, rest->n - 1};
	return true;
}

static bool read_members(struct slice rest, struct log_entry *l)
{
	struct slice name, v;
	do
		if (!cut_member(&rest, &name, &v) || !take_member(l, name, v))
			return false;
	while (rest.n > 0);
	return true;
}

bool log_read_time(struct slice line, tick_t *out)
{
	/* 2026-11-22T03:59:49Z, with a fraction or an offset or both */
	const char *end = line.n ? memchr(line.p, ' ', MIN(line.n, 36u)) : NULL;
	return end && text_time((struct slice){line.p, (size_t)(end - line.p)}, out);
}

/* PROGRAM[PID] */
static bool read_program(struct slice word, struct slice *program)
{
	uint64_t pid;
	struct slice rest = word;
	*program = text_cut(&rest, '[');
	if (rest.n < 2 || rest.p[rest.n - 1] != ']')
		return false;
	return program->n > 0 && text_u64((struct slice){rest.p, rest.n - 1}, &pid);
}

bool log_read(struct slice line, struct log_entry *out)
{
	if (line.n > 0 && line.p[line.n - 1] == '\n')
		line.n--;
	*out = (struct log_entry){0};
	if (!log_read_time(line, &out->at))
		return false;
	struct slice rest = line;
	text_cut(&rest, ' ');
	out->level = text_cut(&rest, ' ');
	struct slice program = rest.p ? text_cut(&rest, ' ') : SL0;
	if (!rest.p || !read_program(program, &out->program))
		return false;
	out->text = rest;
	if (!text_starts(rest, SL("req ")))
		return true;
	out->request = true;
	return read_members((struct slice){rest.p + 4, rest.n - 4}, out);
}

void log_plain(struct buf *b, struct slice value)
{
	for (size_t i = 0; i < value.n; i++) {
		uint8_t byte;
		struct slice left = {value.p + i, value.n - i};
		if (left.n >= 4 && left.p[0] == '\\' && left.p[1] == 'x' && text_hex((struct slice){left.p + 2, 2}, &byte, 1)) {
			buf_char(b, (char)byte);
			i += 3;
		} else {
			buf_char(b, value.p[i]);
		}
	}
}

bool log_is_ok(const struct log_entry *l)
{
	return l->rc == 0 && l->status < 400;
}
