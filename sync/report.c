/* report.c -- what a job tells: on a terminal, in a log, as JSON, and in the status file.
 *
 * Names come from the network: what a terminal would obey is shown, not sent (text_safe_add), JSON is escaped.  Nobody is told more
 * than ten times a second, and the status file is written twice a second at most, however often a phase calls. */
#include "sync/report.h"

#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/job.h"
#include "common/text.h"

#define WORDS_MAX 1000
#define LINE_MAX_BYTES ((size_t)64 << 10)
#define SHOW_EVERY (TICKS_PER_SECOND / 10)
#define EVENT_EVERY TICKS_PER_SECOND
#define STATUS_EVERY (TICKS_PER_SECOND / 2)

#define SAMPLES 16

const char REPORT_CANCELLED[] = "it was cancelled";

static const struct {
	const char *one, *many;
} units[] = {
	[UNIT_DOCUMENTS] = {"document", "documents"},
	[UNIT_IDS] = {"id", "ids"},
	[UNIT_FILES] = {"file", "files"},
	[UNIT_BYTES] = {"byte", "bytes"},
	[UNIT_DEPLOYMENTS] = {"deployment", "deployments"},
};

struct report {
	enum report_form form;
	char job[16], phase[48], result[WORDS_MAX];
	char *dir;
	tick_t opened, began; /* the phase */
	/* ---- progress of the phase ---- */
	enum report_unit unit;
	uint64_t done, total, bytes;
	struct {
		tick_t at;
		uint64_t done;
	} sample[SAMPLES]; /* a second apart, the oldest is overwritten: answers bring a hundred documents at a time */
	unsigned samples;
	double rate; /* units a second, since the oldest sample */
	tick_t shown, written;
	bool measuring; /* the first progress of the phase was seen */
	/* ---- */
	bool line_open, status_failed;
};

int report_open(struct report **out, enum report_form form, const char *job, const char *dir, struct err *e)
{
	struct report *r = calloc(1, sizeof(*r));
	*out = r;
	if (!r || !(r->dir = strdup(dir))) {
		free(r);
		*out = NULL;
		return err_set(e, E_NOMEM, "out of memory");
	}
	r->form = form;
	r->opened = r->began = time_now();
	snprintf(r->job, sizeof(r->job), "%s", job);
	return E_OK;
}

/* ================= one line ================= */

static void line_close(struct report *r)
{
	if (r->line_open)
		fputs("\r\033[K", stderr);
	r->line_open = false;
}

static void print_safe(FILE *to, const char *text)
{
	struct buf b;
	buf_init(&b, LINE_MAX_BYTES);
	text_safe_add(&b, slice_of(text));
	fprintf(to, "%.*s", SLF(buf_bytes(&b)));
	buf_free(&b);
}

/* A line of the log: its time, the job, the words. */
static void log_words(struct report *r, const char *place, const char *words)
{
	char when[TIME_TEXT + 1];
	time_text(time_now(), when);
	printf("%.19sZ %s: ", when, r->job);
	if (place[0])
		printf("%s: ", place);
	print_safe(stdout, words);
	putchar('\n');
	fflush(stdout);
}

/* ---- JSON: an object a line ---- */

static void member(struct buf *b, const char *name, const char *value)
{
	buf_printf(b, ", \"%s\": ", name);
	if (value)
		json_string_add(b, slice_of(value));
	else
		buf_str(b, "null");
}

static void event_begin(struct report *r, struct buf *b, const char *event)
{
	char when[TIME_TEXT + 1];
	time_text(time_now(), when);
	buf_init(b, LINE_MAX_BYTES);
	buf_printf(b, "{\"event\": \"%s\", \"job\": \"%s\", \"time\": \"%s\"", event, r->job, when);
	if (r->phase[0])
		member(b, "phase", r->phase);
}

static void event_end(struct buf *b)
{
	buf_str(b, "}\n");
	if (b->rc == E_OK)
		fwrite(b->p, 1, b->n, stdout);
	fflush(stdout);
	buf_free(b);
}

static double seconds(tick_t span)
{
	return (double)span / (double)TICKS_PER_SECOND;
}

/* ================= progress ================= */

/* Of what is left, at the rate of the last seconds; -1: cannot be said. */
static int64_t seconds_left(const struct report *r)
{
	if (r->total <= r->done || r->rate <= 0)
		return -1;
	double left = (double)(r->total - r->done) / r->rate;
	return left > 1e9 ? -1 : (int64_t)(left + 0.5);
}

static void take_sample(struct report *r, tick_t now)
{
	r->sample[r->samples % SAMPLES].at = now;
	r->sample[r->samples++ % SAMPLES].done = r->done;
}

static void measure(struct report *r, tick_t now)
{
	unsigned oldest = r->samples > SAMPLES ? r->samples % SAMPLES : 0, last = (r->samples + SAMPLES - 1) % SAMPLES;
	double span = seconds(now - r->sample[oldest].at);
	if (span >= 0.2 && r->done >= r->sample[oldest].done)
		r->rate = (double)(r->done - r->sample[oldest].done) / span;
	if (now - r->sample[last].at >= TICKS_PER_SECOND)
		take_sample(r, now);
}

static size_t add_amount(char *to, size_t n, enum report_unit unit, uint64_t done, uint64_t total)
{
	char a[SIZE_TEXT + 1], b[SIZE_TEXT + 1];
	const char *name = (total ? total : done) == 1 ? units[unit].one : units[unit].many;
	size_text(done, a);
	size_text(total, b);
	if (unit == UNIT_BYTES)
		return (size_t)(total ? snprintf(to, n, "%s of %s", a, b) : snprintf(to, n, "%s", a));
	return (size_t)(total ? snprintf(to, n, "%llu of %llu %s", (unsigned long long)done, (unsigned long long)total, name)
			      : snprintf(to, n, "%llu %s", (unsigned long long)done, name));
}

static size_t add_speed(const struct report *r, char *to, size_t n)
{
	char size[SIZE_TEXT + 1];
	size_t at = 0;
	if (r->unit == UNIT_BYTES) {
		size_text((uint64_t)r->rate, size);
		return (size_t)snprintf(to, n, ", %s/s", size);
	}
	if (r->rate > 0)
		at = (size_t)snprintf(to, n, r->rate < 10 ? ", %.1f/s" : ", %.0f/s", r->rate);
	size_text(r->bytes, size);
	return r->bytes ? at + (size_t)snprintf(to + at, n - at, ", %s received", size) : at;
}

static void describe(const struct report *r, char *to, size_t n)
{
	char span[SPAN_TEXT + 1];
	int64_t left = seconds_left(r);
	size_t at = (size_t)snprintf(to, n, "%s: ", r->phase);
	at += add_amount(to + at, n - at, r->unit, r->done, r->total);
	if (r->total)
		at += (size_t)snprintf(to + at, n - at, ", %u %%", (unsigned)((double)r->done / (double)r->total * 100));
	at += add_speed(r, to + at, n - at);
	span_text(left * TICKS_PER_SECOND, span);
	if (left >= 0)
		snprintf(to + at, n - at, ", %s left", span);
}

static int terminal_width(void)
{
	struct winsize ws;
	return ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col >= 20 ? ws.ws_col : 80;
}

static void show_progress(struct report *r)
{
	char text[400];
	if (!isatty(STDERR_FILENO))
		return;
	describe(r, text, sizeof(text));
	fprintf(stderr, "\r\033[K%.*s", terminal_width() - 1, text);
	fflush(stderr);
	r->line_open = true;
}

static void event_progress(struct report *r)
{
	struct buf b;
	int64_t left = seconds_left(r);
	event_begin(r, &b, "progress");
	member(&b, "unit", units[r->unit].many);
	buf_printf(&b, ", \"done\": %llu, \"total\": ", (unsigned long long)r->done);
	buf_printf(&b, r->total ? "%llu" : "null", (unsigned long long)r->total);
	buf_printf(&b, ", \"bytes\": %llu, \"rate\": %.1f, \"seconds_left\": ", (unsigned long long)r->bytes, r->rate);
	buf_printf(&b, left >= 0 ? "%lld" : "null", (long long)left);
	event_end(&b);
}

static void write_status(struct report *r, tick_t now)
{
	struct buf b;
	struct err e;
	buf_init(&b, 4096);
	buf_printf(&b, "phase %s\nphase_began %lld\nbegan %lld\nupdated %lld\n", r->phase, (long long)r->began, (long long)r->opened,
		(long long)now);
	if (r->measuring)
		buf_printf(&b, "unit %s\ndone %llu\ntotal %llu\nbytes %llu\nrate %.1f\nleft %lld\n", units[r->unit].many,
			(unsigned long long)r->done, (unsigned long long)r->total, (unsigned long long)r->bytes, r->rate,
			(long long)seconds_left(r));
	r->written = now;
	int rc = b.rc == E_OK ? job_status_write(r->dir, r->job, buf_bytes(&b), &e) : E_OK;
	if (rc != E_OK && !r->status_failed) { /* the job does not depend on it */
		r->status_failed = true;
		report_warn(r, "its progress cannot be shown by `wsusctl %s status`: %s", r->job, e.text);
	}
	buf_free(&b);
}

void report_progress(struct report *r, enum report_unit unit, uint64_t done, uint64_t total, uint64_t bytes)
{
	tick_t now = time_now();
	bool first = !r->measuring, last = total && done == total, anew = first || r->unit != unit || done < r->done;
	r->measuring = true;
	r->unit = unit;
	r->done = done;
	r->total = total;
	r->bytes = bytes;
	if (anew) { /* what was there before counts for no rate */
		r->samples = 0;
		r->rate = 0;
		take_sample(r, now);
	}
	measure(r, now);
	bool json = r->form == REPORT_JSON;
	if (first || last || now - r->shown >= (json ? EVENT_EVERY : SHOW_EVERY)) {
		r->shown = now;
		if (json)
			event_progress(r);
		else if (r->form == REPORT_TERMINAL)
			show_progress(r);
	}
	if (first || now - r->written >= STATUS_EVERY)
		write_status(r, now);
}

/* ================= phases ================= */

void report_phase_end(struct report *r)
{
	char span[SPAN_TEXT + 1], line[WORDS_MAX + 100];
	struct buf b;
	if (!r->phase[0])
		return;
	line_close(r);
	span_text(time_now() - r->began, span);
	snprintf(line, sizeof(line), "%s (%s)", r->result[0] ? r->result : "done", span);
	if (r->form == REPORT_TERMINAL) {
		printf("%-14s ", r->phase);
		print_safe(stdout, line);
		putchar('\n');
		fflush(stdout);
	} else if (r->form == REPORT_LOG) {
		log_words(r, r->phase, line);
	} else if (r->form == REPORT_JSON) {
		event_begin(r, &b, "result");
		member(&b, "text", r->result[0] ? r->result : NULL);
		buf_printf(&b, ", \"seconds\": %.3f", seconds(time_now() - r->began));
		event_end(&b);
	}
	r->phase[0] = '\0';
}

void report_phase(struct report *r, const char *phase)
{
	struct buf b;
	report_phase_end(r);
	snprintf(r->phase, sizeof(r->phase), "%s", phase);
	r->result[0] = '\0';
	r->measuring = false;
	r->done = r->total = r->bytes = 0;
	r->rate = 0;
	r->began = time_now();
	if (r->form == REPORT_JSON) {
		event_begin(r, &b, "phase");
		event_end(&b);
	} else if (r->form == REPORT_TERMINAL && isatty(STDERR_FILENO)) {
		fprintf(stderr, "\r\033[K%s ...", r->phase);
		fflush(stderr);
		r->line_open = true;
	}
	write_status(r, r->began);
}

void report_result(struct report *r, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(r->result, sizeof(r->result), fmt, ap);
	va_end(ap);
}

static void PRINTF(3, 0) say(struct report *r, const char *kind, const char *fmt, va_list ap)
{
	char words[WORDS_MAX], line[WORDS_MAX + 40];
	struct buf b;
	vsnprintf(words, sizeof(words), fmt, ap);
	snprintf(line, sizeof(line), "%s: %s", kind, words);
	line_close(r);
	if (r->form == REPORT_TERMINAL) {
		print_safe(stdout, line);
		putchar('\n');
		fflush(stdout);
	} else if (r->form == REPORT_LOG) {
		log_words(r, r->phase, line);
	} else if (r->form == REPORT_JSON) {
		event_begin(r, &b, kind);
		member(&b, "text", words);
		event_end(&b);
	}
}

void report_note(struct report *r, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	say(r, "note", fmt, ap);
	va_end(ap);
}

void report_warn(struct report *r, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	say(r, "warning", fmt, ap);
	va_end(ap);
}

/* ================= the end ================= */

static void end_event(struct report *r, const char *why, const char *remedy, const char *summary)
{
	struct buf b;
	event_begin(r, &b, "end");
	member(&b, "result", !why ? "done" : why == REPORT_CANCELLED ? "cancelled" : "failed");
	member(&b, "why", why);
	member(&b, "remedy", remedy);
	member(&b, "summary", summary);
	buf_printf(&b, ", \"seconds\": %.3f", seconds(time_now() - r->opened));
	event_end(&b);
}

/* What failed is told even where nothing else is. */
static void end_words(struct report *r, const char *why, const char *remedy)
{
	fprintf(stderr, "wsus-sync: ");
	if (r->phase[0])
		fprintf(stderr, "%s: ", r->phase);
	print_safe(stderr, why);
	fputc('\n', stderr);
	if (!remedy)
		return;
	fprintf(stderr, "wsus-sync: what to do: ");
	print_safe(stderr, remedy);
	fputc('\n', stderr);
}

static void end_log(struct report *r, const char *why, const char *remedy, const char *summary)
{
	char line[2 * WORDS_MAX + 100];
	if (why)
		snprintf(line, sizeof(line), "%s: %s%s%s", why == REPORT_CANCELLED ? "cancelled" : "failed", why, remedy ? "; do: " : "",
			remedy ? remedy : "");
	else
		snprintf(line, sizeof(line), "%s", summary ? summary : "done");
	log_words(r, why ? r->phase : "", line);
}

void report_end(struct report *r, const char *why, const char *remedy, const char *summary)
{
	line_close(r);
	if (!why)
		report_phase_end(r);
	if (r->form == REPORT_JSON) {
		end_event(r, why, remedy, summary);
	} else if (r->form == REPORT_LOG) {
		end_log(r, why, remedy, summary);
	} else if (why) {
		end_words(r, why, remedy);
	} else if (r->form == REPORT_TERMINAL && summary) {
		print_safe(stdout, summary);
		putchar('\n');
	}
	fflush(stdout);
	r->phase[0] = '\0';
}

void report_close(struct report **r)
{
	if (!*r)
		return;
	line_close(*r);
	if ((*r)->written) /* else that of whoever runs */
		job_status_remove((*r)->dir, (*r)->job);
	free((*r)->dir);
	free(*r);
	*r = NULL;
}
