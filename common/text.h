/* text.h -- values as text: integers, GUIDs, base64, hex, xs:dateTime, XML escaping, UTF-8.
 *
 * Readers take a slice (white space around the value allowed where XML Schema collapses it) and return
 * false on anything else.  Writers append to a struct buf (sticky) or fill a fixed array with a NUL. */
#ifndef COMMON_TEXT_H
#define COMMON_TEXT_H

#include "common/base.h"
#include "common/buf.h"

struct arena;

/* ---- ASCII ---- */
char text_lower(char c);
bool text_ieq(struct slice a, struct slice b); /* equal without regard to ASCII case */
int text_icmp(struct slice a, struct slice b);
void text_lower_to(char *to, struct slice s); /* writes s.n bytes */
struct slice text_trim(struct slice s);
/* May it be one component of a path, which no rule of a file system means otherwise?  1 to 255 bytes, no separator, no control
 * character, no dot in front: the names of content files, where links are made and where they are looked up. */
bool text_file_name(struct slice s);
bool text_starts(struct slice s, struct slice prefix);
/* Cuts *s at the first c: returns what stands before, *s becomes what follows (absent at the end). */
struct slice text_cut(struct slice *s, char c);
/* The next word of *s, with blanks or tabs between words; absent behind the last. */
struct slice text_word(struct slice *s);

/* ---- numbers, booleans ---- */
bool text_i64(struct slice s, int64_t *out);
bool text_u64(struct slice s, uint64_t *out);
bool text_i32(struct slice s, int32_t *out);
bool text_bool(struct slice s, bool *out); /* true false 1 0 */
/* "2.90" -> major 2, minor 90: two integers, never a decimal (TRANSPORT-41). */
bool text_version(struct slice s, uint32_t *major, uint32_t *minor);

/* ---- identifiers ---- */
bool text_guid(struct slice s, struct guid *out); /* 8-4-4-4-12, any case, no braces (TRANSPORT-16) */
#define GUID_TEXT 36
void guid_text(const struct guid *g, char out[GUID_TEXT + 1]); /* lower case */
bool text_hex(struct slice s, void *out, size_t n);            /* exactly 2n digits */
void hex_text(const void *p, size_t n, bool upper, char *out); /* 2n characters and a NUL */

/* ---- base64 ---- */
/* White space anywhere is skipped (TRANSPORT-25); missing padding is refused.  The result lies in a. */
bool text_base64(struct slice s, struct arena *a, struct slice *out);
bool text_base64_fixed(struct slice s, void *out, size_t n); /* exactly n bytes when decoded */
void base64_add(struct buf *b, struct slice bytes);

/* ---- xs:dateTime, TRANSPORT-23, -24 ---- */
/* 0 to 7 fraction digits (more are cut), Z, an offset, or no zone (UTC); years 0001 to 9999.  What an offset
 * moves out of these years becomes the first or last moment: peers send DateTime.MinValue with a zone. */
bool text_time(struct slice s, tick_t *out);
#define TIME_TEXT 28
/* As .NET writes it: trailing zeros of the fraction trimmed, Z. */
size_t time_text(tick_t t, char out[TIME_TEXT + 1]);
#define DATE_TEXT 10
void date_text(tick_t t, char out[DATE_TEXT + 1]); /* yyyy-mm-dd */
tick_t time_now(void);
/* Milliseconds of a clock that nobody sets: for spans. */
int64_t time_monotonic_ms(void);
#define TICK_MAX_YEAR9999 INT64_C(2534023007999999999) /* 9999-12-31T23:59:59.9999999Z, "never" */

/* ---- sizes and durations, for people ---- */

#define SIZE_TEXT 15
/* "312 MB", "1.4 GB"; decimal units, as download sizes are given. */
void size_text(uint64_t bytes, char out[SIZE_TEXT + 1]);
struct slice bytes_text(struct arena *a, uint64_t bytes); /* the same */
#define SPAN_TEXT 31
/* "0.4 s", "12 s", "4 min 10 s", "2 h 5 min", "3 d 4 h". */
void span_text(tick_t span, char out[SPAN_TEXT + 1]);

/* ---- UTF-8 and XML ---- */
/* Offset of the first byte that is not part of a valid UTF-8 XML character (no C0 but TAB LF CR, no
 * surrogates, no U+FFFE/FFFF), or s.n. */
size_t text_utf8_bad(struct slice s);
/* Length of the UTF-8 character at s if it is complete and an XML character, else 0; s.n > 0. */
size_t text_utf8_char(struct slice s);
/* The reference at the start of s ("&amp;", "&#x41;"): its length, and the character; 0 if it is none of the
 * five entities nor a numeric one of an XML character. */
size_t text_ref(struct slice s, uint32_t *code);
/* Escapes & < > and carriage returns (quotes stay raw, as real servers do in text).  Once, never twice. */
void xml_escape_add(struct buf *b, struct slice s);
/* The reverse: resolves the five entities and numeric references.  false on a bare & or unknown name. */
bool xml_unescape_add(struct buf *b, struct slice s);
/* For terminals and logs: control bytes and invalid UTF-8 as \xNN. */
void text_safe_add(struct buf *b, struct slice s);
/* Appends a JSON string with its quotes; invalid UTF-8 becomes U+FFFD. */
void json_string_add(struct buf *b, struct slice s);

#endif
