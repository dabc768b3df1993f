/* f_log.c -- whatever a log holds, what is read from a line lies in it; and whatever a computer says, its line is one line
 * that is read back as it was said. */
#include "common/log_read.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool lies_in(struct slice s, struct slice whole)
{
	return !s.p || s.n == 0 || (s.p >= whole.p && s.p + s.n <= whole.p + whole.n);
}

static void check_line(struct slice line)
{
	struct log_entry l;
	if (!log_read(line, &l))
		return;
	const struct slice v[] = {l.level, l.program, l.text, l.id, l.peer, l.op, l.client, l.name, l.why, l.remedy, l.http, l.fault, l.fault_id};
	for (size_t i = 0; i < COUNTOF(v); i++)
		ASSERT(lies_in(v[i], line));
	ASSERT(l.request || (!l.id.p && !l.client.p && !l.fault_id.p && l.rc == 0));
}

/* What `value` is once it was written and read: itself, cut to 300 bytes; nothing and "-" are absent. */
static void check_value(struct slice value, struct slice got)
{
	struct buf b;
	struct slice want = {value.p, MIN(value.n, 300u)};
	if (want.n == 0 || slice_eq(want, SL("-"))) {
		ASSERT(!got.p);
		return;
	}
	buf_init(&b, 4096);
	log_plain(&b, got);
	ASSERT(slice_eq(buf_bytes(&b), want));
	buf_free(&b);
}

static void check_written(struct slice said)
{
	static char line[1 << 17];
	int wire[2], kept = dup(STDERR_FILENO);
	struct log_request r = {.id = 1, .peer = said, .op = said, .client = said, .name = said, .fault = SL("A:b"), .why = said, .remedy = said,
		.rc = 3, .status = 500};
	struct log_entry l;
	if (pipe(wire) != 0 || fcntl(wire[1], F_SETPIPE_SZ, (int)sizeof(line)) < 0)
		abort();
	dup2(wire[1], STDERR_FILENO);
	log_request(&r);
	dup2(kept, STDERR_FILENO);
	close(kept);
	close(wire[1]);
	ssize_t n = read(wire[0], line, sizeof(line));
	close(wire[0]);
	ASSERT(n > 0 && memchr(line, '\n', (size_t)n) == line + n - 1);
	ASSERT(log_read((struct slice){line, (size_t)n}, &l) && l.request && l.rc == 3 && l.status == 500);
	const struct slice got[] = {l.peer, l.op, l.client, l.name, l.why, l.remedy};
	for (size_t i = 0; i < COUNTOF(got); i++)
		check_value(said, got[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice s = {(const char *)data, size};
	check_line(s);
	if (size <= 1000)
		check_written(s);
	return 0;
}
