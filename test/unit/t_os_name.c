/* t_os_name.c -- every row of the protocol's table of operating systems finds its name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/os_name.h"
#include "common/text.h"
#include "test/unit/corpus.h"

static void assert_name(const struct ComputerInfo *i, const char *want)
{
	struct slice got = os_name(i);
	if (!slice_eq(got, slice_of(want)))
		fail_msg("\"%.*s\" instead of \"%s\"", SLF(got), want);
}

/* ---- the table as the catalogue of rules has it (Appendix E) ---- */

enum { NAME, MAJOR, MINOR, SUITE, OLD_TYPE, NEW_TYPE, METRICS, CPU, COLUMNS };

static bool split(struct slice line, struct slice cell[COLUMNS])
{
	if (!text_starts(line, SL("| ")))
		return false;
	text_cut(&line, '|');
	for (int i = 0; i < COLUMNS; i++)
		cell[i] = line.p ? text_trim(text_cut(&line, '|')) : SL0;
	return cell[CPU].n > 0 && cell[MAJOR].n > 0 && cell[MAJOR].p[0] >= '0' && cell[MAJOR].p[0] <= '9';
}

/* "-" is a value that no row names; "& 0x80" and "> 1" are the smallest that fit. */
static int number(struct slice s, int any)
{
	char text[32];
	snprintf(text, sizeof(text), "%.*s", SLF(s));
	if (strcmp(text, "-") == 0)
		return any;
	if (text[0] == '&')
		return (int)strtol(text + 1, NULL, 0);
	return text[0] == '>' ? (int)strtol(text + 1, NULL, 0) + 1 : (int)strtol(text, NULL, 0);
}

static struct ComputerInfo computer_of(const struct slice cell[COLUMNS])
{
	struct ComputerInfo i = {
		.OSMajorVersion = number(cell[MAJOR], 0),
		.OSMinorVersion = number(cell[MINOR], 0),
		.SuiteMask = (int16_t)number(cell[SUITE], 0),
		.OldProductType = (uint8_t)number(cell[OLD_TYPE], 0),
		.NewProductType = number(cell[NEW_TYPE], 0x7FFF),
		.SystemMetrics = number(cell[METRICS], 0),
		.ProcessorArchitecture = slice_eq(cell[CPU], SL("-")) ? SL("mips") : cell[CPU],
	};
	return i;
}

/* holds: WUSP-REGISTER-14 */
static void every_row_of_the_table_finds_its_name(void **state)
{
	struct buf b;
	unsigned rows = 0;
	(void)state;
	SKIP_WITHOUT(spec_dir());
	buf_init(&b, (size_t)1 << 20);
	assert_true(read_whole(&b, spec_dir(), "wusp-rules.md"));
	char *from = memmem(b.p, b.n, "\n# Appendix E", 13), *to = memmem(b.p, b.n, "\n# Appendix F", 13);
	assert_true(from && to && from < to);
	for (struct slice text = {from, (size_t)(to - from)}; text.n > 0;) {
		struct slice cell[COLUMNS];
		char name[128];
		if (!split(text_cut(&text, '\n'), cell) || number(cell[MAJOR], 0) >= 10)
			continue;
		struct ComputerInfo i = computer_of(cell);
		snprintf(name, sizeof(name), "%.*s", SLF(cell[NAME]));
		assert_name(&i, name);
		rows++;
	}
	assert_int_equal(rows, 103);
	buf_free(&b);
}

/* ---- what the table leaves open ---- */

/* holds: WUSP-REGISTER-14 */
static void from_version_10_on_the_computer_knows_best(void **state)
{
	(void)state;
	struct ComputerInfo i = {.OSMajorVersion = 10, .OldProductType = 1, .OSDescription = SL("Windows 11 Pro")};
	assert_name(&i, "Windows 11 Pro");
	i.OSDescription = SL("");
	assert_name(&i, "Windows 10");
	i.OldProductType = 3;
	assert_name(&i, "Windows Server 2019");
	i.OldProductType = 0;
	assert_name(&i, "Windows Server 2019");
}

/* holds: WUSP-REGISTER-14 */
static void below_it_the_table_does(void **state)
{
	(void)state;
	struct ComputerInfo i = {.OSMajorVersion = 6, .OSMinorVersion = 3, .OSDescription = SL("words")};
	i.OldProductType = 1;
	assert_name(&i, "Windows 8.1");
	i.OldProductType = 2;
	assert_name(&i, "Windows Server 2012 R2");
}

/* holds: WUSP-REGISTER-14 */
static void rows_are_tried_from_the_top_and_texts_in_any_case(void **state)
{
	(void)state;
	struct ComputerInfo i = {.OSMajorVersion = 5, .OSMinorVersion = 2, .SuiteMask = 0x482};
	i.SystemMetrics = 89;
	i.ProcessorArchitecture = SL("an Amd64 processor");
	assert_name(&i, "Windows Server 2003 R2 Web Edition operating system");
	i.SuiteMask = 0x82;
	assert_name(&i, "Windows Server 2003 R2 Datacenter x64 Edition operating system");
	i.SuiteMask = 0x02;
	assert_name(&i, "Windows Server 2003 R2 Enterprise x64 Edition operating system");
	i.SuiteMask = -0x8000; /* the mask is signed on the wire */
	assert_name(&i, "Windows Server 2003 R2 Standard Edition");
}

static void an_unknown_system_has_its_own_words_or_none(void **state)
{
	(void)state;
	struct ComputerInfo i = {.OSMajorVersion = 4, .OSDescription = SL("Something else")};
	assert_name(&i, "Something else");
	i.OSDescription = SL0;
	assert_name(&i, "");
	i = (struct ComputerInfo){0};
	assert_name(&i, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_of_the_table_finds_its_name),
		cmocka_unit_test(from_version_10_on_the_computer_knows_best),
		cmocka_unit_test(below_it_the_table_does),
		cmocka_unit_test(rows_are_tried_from_the_top_and_texts_in_any_case),
		cmocka_unit_test(an_unknown_system_has_its_own_words_or_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
