/* cmd_report.h -- what the files of `wsusctl report` share. */
#ifndef CTL_CMD_REPORT_H
#define CTL_CMD_REPORT_H

#include "ctl/cmd.h"
#include "ctl/report_data.h"

/* The value of --limit, or another option of that kind; usual if it is not given. */
int report_number(struct ctl *c, const char *option, size_t usual, size_t *out);
/* The row of a word; what: "--sort", for the error. */
int report_word(struct ctl *c, const char *option, const char *const *words, unsigned n, unsigned usual, unsigned *out);
/* Computers changed groups a moment ago: says so where counts of groups are shown. */
void report_behind(struct ctl *c);
/* Names of the groups of a computer, as lists show them. */
int report_groups(struct ctl *c, const struct settings *s, struct slice computer, struct slice *out);
struct slice report_guid(struct ctl *c, const struct guid *g);
/* "Computers", or with its limit: "Computers (20 of 5321; --limit 0 has all)". */
const char *report_title(struct ctl *c, const char *title, const char *option, size_t n, size_t fit);

/* A list of updates with their counts. */
#define REPORT_UPDATE_COLUMNS 16
extern const struct column report_update_columns[REPORT_UPDATE_COLUMNS];
void report_update_rows(struct ctl *c, const struct update_rows *rows);
/* The counts of a struct tally as columns and as cells. */
#define REPORT_TALLY_COLUMNS \
	{"needed", "NEEDED", CELL_NUMBER, FIT_WHOLE}, {"downloaded", "LOADED", CELL_NUMBER, FIT_DROP}, \
	{"installed", "DONE", CELL_NUMBER, FIT_WHOLE}, {"failed", "FAILED", CELL_NUMBER, FIT_WHOLE}, \
	{"pending_restart", "RESTART", CELL_NUMBER, FIT_DROP}, {"not_applicable", "N/A", CELL_NUMBER, FIT_DROP}, \
	{"unknown", "UNKNOWN", CELL_NUMBER, FIT_DROP}
void report_tally_cells(struct ctl *c, const struct tally *t);
void report_tally_fields(struct ctl *c, const struct tally *t);

int report_computer(struct ctl *c); /* cmd_report_computer.c */
int report_update(struct ctl *c);   /* cmd_report_update.c */
int report_html(struct ctl *c);     /* cmd_report_html.c */
extern const struct option_row report_computer_options[], report_update_options[];

#endif
