/* t_burst.c -- the same refusal again and again, by a clock that the test sets; lines are read back from a pipe. */
#include "cgi/burst.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/log_read.h"
#include "common/text.h"

#define SECOND TICKS_PER_SECOND

static struct burst burst;
static char said[1 << 16];
static struct log_entry entry[64];

/* What tell() wrote, taken apart; the number of lines. */
static size_t told(tick_t now)
{
	int wire[2], kept = dup(STDERR_FILENO);
	assert_int_equal(pipe(wire), 0);
	dup2(wire[1], STDERR_FILENO);
	burst_tell(&burst, now);
	dup2(kept, STDERR_FILENO);
	close(kept);
	close(wire[1]);
	ssize_t n = read(wire[0], said, sizeof(said));
	close(wire[0]);
	struct slice rest = {said, n > 0 ? (size_t)n : 0};
	size_t lines = 0;
	while (rest.n > 0)
		assert_true(log_read(text_cut(&rest, '\n'), &entry[lines++]));
	return lines;
}

/* true: has a line.  *id comes back with the half of the burst. */
static bool has_line(struct log_request r, tick_t now, struct guid *id)
{
	char fault[64] = "InvalidCookie:";
	struct burst_row *row = burst_count(&burst, &r, now, id);
	if (!row)
		return true;
	guid_text(id, fault + strlen(fault));
	r.fault = slice_of(fault);
	burst_keep(row, &r);
	return false;
}

static int setup(void **state)
{
	(void)state;
	memset(&burst, 0, sizeof(burst));
	return 0;
}

static const struct log_request refusal = {.peer = {"192.0.2.7", 9}, .op = {"SyncUpdates", 11}, .client = {"pc", 2},
	.name = {"pc.example.net", 14}, .why = {"no cookie", 9}, .remedy = {"wait", 4}, .rc = 14, .status = 500, .out = 402};

static void some_have_lines_the_others_one(void **state)
{
	struct guid id, first = {{1, 2, 3, 4, 5, 6, 7, 8}};
	char text[GUID_TEXT + 1];
	(void)state;
	for (unsigned i = 0; i < 422; i++) {
		id = (struct guid){{(uint8_t)(i + 1), 2, 3, 4, 5, 6, 7, 8, (uint8_t)(i >> 8), (uint8_t)i}};
		assert_int_equal(has_line(refusal, 100 * SECOND + i, &id), i < BURST_LINES);
		assert_int_equal(memcmp(id.b, first.b, 8) == 0, i % 256 == 0 || i >= BURST_LINES);
		assert_true(id.b[8] == i >> 8 && id.b[9] == (uint8_t)i);
	}
	assert_int_equal(told(159 * SECOND), 0);
	assert_int_equal(told(160 * SECOND), 1);
	guid_text(&id, text);
	const struct log_entry *l = &entry[0];
	assert_true(l->request && l->more == 411 && l->rc == 14 && l->status == 500 && l->out == 402);
	assert_true(slice_eq(l->fault_id, slice_of(text)) && slice_eq(l->op, refusal.op) && slice_eq(l->peer, refusal.peer));
	assert_true(slice_eq(l->client, refusal.client) && slice_eq(l->name, refusal.name) && slice_eq(l->why, refusal.why));
	assert_int_equal(told(INT64_MAX), 0);
	assert_true(has_line(refusal, 161 * SECOND, &id));
}

static void others_are_others(void **state)
{
	struct log_request r[] = {refusal, refusal, refusal, refusal, refusal, refusal};
	struct guid id = {{1}};
	(void)state;
	r[1].peer = SL("192.0.2.8");
	r[2].op = SL("GetCookie");
	r[3].client = SL("pc1");
	r[4].rc = 15;
	r[5].why = SL("no cookies");
	for (unsigned n = 0; n < BURST_LINES; n++)
		for (size_t i = 0; i < COUNTOF(r); i++)
			assert_true(has_line(r[i], SECOND, &id));
	for (size_t i = 0; i < COUNTOF(r); i++)
		assert_false(has_line(r[i], SECOND, &id));
	assert_int_equal(told(INT64_MAX), COUNTOF(r));
}

static void the_oldest_gives_way(void **state)
{
	char peer[16];
	struct guid id = {{1}};
	struct log_request r = refusal;
	(void)state;
	for (unsigned i = 0; i <= BURST_ROWS; i++) {
		r.peer = (struct slice){peer, (size_t)snprintf(peer, sizeof(peer), "10.0.0.%u", i)};
		for (unsigned n = 0; n < BURST_LINES && i < BURST_ROWS; n++)
			has_line(r, i, &id);
		if (i < BURST_ROWS)
			assert_int_equal(has_line(r, i, &id), false);
	}
	assert_true(has_line(r, BURST_ROWS, &id)); /* this wrote that of the first */
	assert_int_equal(told(INT64_MAX), BURST_ROWS - 1);
}

static void a_clock_set_back_and_long_words_do_no_harm(void **state)
{
	static char big[4096];
	struct guid id = {{1}};
	struct log_request r = refusal;
	(void)state;
	memset(big, 'x', sizeof(big));
	r.why = (struct slice){big, sizeof(big)};
	for (unsigned n = 0; n <= BURST_LINES; n++)
		has_line(r, 1000 * SECOND, &id);
	assert_true(has_line(r, SECOND, &id));
	for (unsigned n = 0; n < BURST_LINES; n++)
		has_line(r, SECOND, &id);
	assert_int_equal(told(INT64_MAX), 1);
	assert_int_equal(entry[0].why.n, 300);
}

int main(void)
{
	log_init("t_burst", LOG_NOTICE);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(some_have_lines_the_others_one, setup),
		cmocka_unit_test_setup(others_are_others, setup),
		cmocka_unit_test_setup(the_oldest_gives_way, setup),
		cmocka_unit_test_setup(a_clock_set_back_and_long_words_do_no_harm, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
