/* log.c -- lines to stderr, each in one write, so that lines of several workers do not mix.
 *
 * The buffers are made at log_init(): a line can be written when memory has run out. */
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/text.h"

enum {
	TEXT_MAX = 4096,          /* of a line before escaping; more is cut and marked */
	VALUE_MAX = 300,          /* of one of the values of a request's line, before escaping */
	VALUES = 8,
	REQUEST_SIZE = VALUES * 4 * VALUE_MAX + 512,
	LINE_SIZE = 4 * MAX(TEXT_MAX, REQUEST_SIZE) + 256, /* each byte may become \xNN */
};

static struct {
	const char *program;
	enum log_level max;
	struct buf line, request;
	const char *file; /* that stderr is; NULL: whatever it was */
	dev_t device;
	ino_t inode;
	time_t looked; /* when it last was that of the name */
} state = {.program = "wsus", .max = LOG_NOTICE, .line = {.max = LINE_SIZE}, .request = {.max = REQUEST_SIZE}};

static const char *const levels[] = {
	[LOG_ERROR] = "error", [LOG_WARN] = "warn", [LOG_NOTICE] = "notice", [LOG_DEBUG] = "debug"};

void log_init(const char *program, enum log_level max)
{
	state.program = program;
	state.max = max;
	buf_reset(&state.line);
	buf_reset(&state.request);
	(void)buf_room(&state.line, LINE_SIZE);
	(void)buf_room(&state.request, REQUEST_SIZE);
}

static int open_file(const char *path, struct err *e)
{
	struct stat st;
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
	int rc = fd < 0 || fstat(fd, &st) != 0 || dup2(fd, STDERR_FILENO) < 0 ? err_errno(e, "%s", path) : E_OK;
	if (fd >= 0)
		close(fd);
	if (rc != E_OK)
		return rc;
	state.device = st.st_dev;
	state.inode = st.st_ino;
	return E_OK;
}

int log_to_file(const char *path, struct err *e)
{
	int rc = open_file(path, e);
	state.file = rc == E_OK ? path : NULL;
	return rc;
}

/* A look a second: one for each line would be a third of what the line costs. */
static void follow_file(time_t now)
{
	struct stat st;
	if (!state.file || state.looked == now)
		return;
	state.looked = now;
	if (stat(state.file, &st) != 0 || st.st_dev != state.device || st.st_ino != state.inode)
		(void)open_file(state.file, NULL);
}

static void add_head(struct buf *b, enum log_level level, struct timespec now)
{
	struct tm tm = {0};
	gmtime_r(&now.tv_sec, &tm);
	buf_printf(b, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ %s %s[%d] ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
		tm.tm_hour, tm.tm_min, tm.tm_sec, now.tv_nsec / 1000000, levels[level], state.program, (int)getpid());
}

static void write_line(enum log_level level, struct slice text, bool cut)
{
	struct buf *b = &state.line;
	struct timespec now = {0};
	clock_gettime(CLOCK_REALTIME, &now);
	follow_file(now.tv_sec);
	buf_reset(b);
	add_head(b, level, now);
	text_safe_add(b, text);
	buf_str(b, cut ? "...\n" : "\n");
	/* Nothing can be done about a log that cannot be written; a service goes on. */
	if (b->rc == E_OK && write(STDERR_FILENO, b->p, b->n) < 0)
		errno = 0;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	int kept = errno;
	char text[TEXT_MAX];
	va_list ap;
	if (level > state.max)
		return;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n >= 0)
		write_line(level, (struct slice){text, MIN((size_t)n, sizeof(text) - 1)}, (size_t)n >= sizeof(text));
	errno = kept;
}

/* What could end a value or look like an escape. */
static bool must_escape(uint8_t c, bool quoted)
{
	return c < 0x20 || c == 0x7f || c == '"' || c == '\\' || (c == ' ' && !quoted);
}

/* Goes as \xNN, so that the line can be taken apart again; spaces stay inside quotes. */
static void add_value(struct buf *b, struct slice s, bool quoted)
{
	static const char digits[] = "0123456789abcdef";
	if (s.n > VALUE_MAX)
		s.n = VALUE_MAX;
	for (size_t i = 0, from = 0; i <= s.n; i++) {
		uint8_t c = i < s.n ? (uint8_t)s.p[i] : 0;
		if (i < s.n && !must_escape(c, quoted))
			continue;
		buf_add(b, s.p + from, i - from);
		if (i < s.n)
			buf_add(b, (char[]){'\\', 'x', digits[c >> 4], digits[c & 15]}, 4);
		from = i + 1;
	}
}

static void add_pair(struct buf *b, const char *name, struct slice s)
{
	buf_printf(b, " %s=", name);
	add_value(b, s, false);
}

/* The values that may be absent, in the order of the line. */
static const struct {
	const char *name;
	uint16_t at;
	bool quoted;
} optional[] = {
	{"client", offsetof(struct log_request, client), false}, {"name", offsetof(struct log_request, name), false},
	{"events", offsetof(struct log_request, events), true},
	{"fault", offsetof(struct log_request, fault), false},   {"why", offsetof(struct log_request, why), true},
	{"do", offsetof(struct log_request, remedy), true},
};
static_assert(COUNTOF(optional) + 2 == VALUES, "peer, op and the optional ones");

static void add_optional(struct buf *b, const struct log_request *r)
{
	for (size_t i = 0; i < COUNTOF(optional); i++) {
		const struct slice *v = (const void *)((const char *)r + optional[i].at);
		if (!v->p)
			continue;
		buf_printf(b, optional[i].quoted ? " %s=\"" : " %s=", optional[i].name);
		add_value(b, *v, optional[i].quoted);
		if (optional[i].quoted)
			buf_char(b, '"');
	}
}

void log_request(const struct log_request *r)
{
	int kept = errno;
	struct buf *b = &state.request;
	if (LOG_NOTICE > state.max)
		return;
	buf_reset(b);
	buf_printf(b, "req id=%016" PRIx64, r->id);
	add_pair(b, "peer", r->peer);
	add_pair(b, "op", r->op);
	buf_printf(b, " rc=%d status=%d in=%" PRIu64 " out=%" PRIu64 " us=%" PRIu64, r->rc, r->status, r->in, r->out,
		r->usec);
	add_optional(b, r);
	if (r->more)
		buf_printf(b, " more=%" PRIu64, r->more);
	if (b->rc == E_OK)
		write_line(LOG_NOTICE, buf_bytes(b), false);
	errno = kept;
}
