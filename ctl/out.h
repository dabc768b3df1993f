/* out.h -- what wsusctl prints: the same rows as a table for people, or as JSON or CSV for programs.
 *
 * A list is a sequence of rows under columns; an object is a sequence of named fields, which may be followed
 * by sub-lists.  As text, a table's columns fit the terminal, as each column's `fit` says, when standard
 * output is a terminal that is too narrow; in a file or pipe everything stands in full.
 * As JSON, every column is a member, absent texts are null, times are ISO 8601, byte counts plain numbers.
 * As CSV (RFC 4180), the names of the members are the first line and nothing else is different, but that absent is
 * empty, that control characters are shown as in tables, and that ' stands before what a spreadsheet would run.  Of an
 * object with sub-lists it is the rows of its main list, without one a row of its fields. */
#ifndef CTL_OUT_H
#define CTL_OUT_H

#include "common/arena.h"
#include "common/base.h"
#include "common/buf.h"
#include "common/text.h"

enum cell {
	CELL_TEXT,
	CELL_NUMBER,
	CELL_BYTES, /* "312 MB" for people */
	CELL_TIME,  /* 0 = never */
	CELL_BOOL,  /* yes or no for people */
};

enum fit {
	FIT_WHOLE, /* stays */
	FIT_CUT,   /* is cut with an ellipsis */
	FIT_DROP,  /* is left out, the last one first, while a cut column would have less than 24 characters */
	FIT_BELOW, /* the last column: goes below its row, indented and broken between words */
};

struct column {
	const char *key;   /* JSON member, lower_case */
	const char *title; /* heading */
	enum cell kind;
	enum fit fit;
};

enum out_form { OUT_TEXT, OUT_JSON, OUT_CSV };

struct out_row;
struct out {
	enum out_form form;
	unsigned width; /* of the terminal; 0: not a terminal, nothing is cut */
	struct arena *a;
	struct buf b;
	/* the open list */
	const struct column *col;
	unsigned ncol, at;
	struct out_row *first, *last;
	/* the open object */
	enum cell field_kind;
	bool fields; /* JSON: a member was written already */
	const char *main; /* CSV: the sub-list that is written */
	bool skipped;     /* CSV: the open one is not */
	struct slice *label, *value;
	size_t nfield, field_cap;
};

void out_init(struct out *o, enum out_form form, struct arena *a);
/* Writes what is gathered to standard output; false if that failed. */
bool out_flush(struct out *o);
void out_free(struct out *o);

/* ---- lists: begin, then cells in column order (rows end by themselves), then end ---- */
void out_list_begin(struct out *o, const struct column *col, unsigned ncol);
void out_list_end(struct out *o);
/* As out_list_end, for rows that come one after the other: each is a line, an object with JSON, without head or brackets. */
void out_lines_end(struct out *o);

/* ---- objects: begin, fields, sub-lists (named), end ---- */
void out_object_begin(struct out *o);
void out_object_main(struct out *o, const char *key); /* before its sub-lists: which one CSV is */
void out_object_end(struct out *o);
void out_sub_begin(struct out *o, const char *key, const char *title, const struct column *col, unsigned ncol);
void out_sub_end(struct out *o);
/* Names the next value as a field of the object. */
void out_field(struct out *o, const char *key, const char *title, enum cell kind);

/* ---- values: cells of the open list, or the field just named ---- */
void out_text(struct out *o, struct slice s); /* absent = null, shown as "-" */
void out_str(struct out *o, const char *z);
void out_number(struct out *o, int64_t v); /* CELL_NUMBER, CELL_BYTES, CELL_TIME, CELL_BOOL */
void out_counted(struct out *o, bool known, int64_t v); /* null, shown as "-", where it is not known */

/* ---- a field with its value ---- */
void out_field_text(struct out *o, const char *key, const char *title, struct slice s); /* empty counts as absent */
void out_field_number(struct out *o, const char *key, const char *title, enum cell kind, int64_t v);

struct slice when_text(struct arena *a, tick_t t); /* 2026-11-21 20:15, UTC; "never" for 0 */

#endif
