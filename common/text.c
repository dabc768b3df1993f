/* text.c -- one reader and one writer per kind of text value. */
#include "common/text.h"

#include <limits.h>
#include <endian.h>
#include <time.h>

#include "common/arena.h"

/* ---- ASCII ---- */

char text_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

int text_icmp(struct slice a, struct slice b)
{
	for (size_t i = 0; i < MIN(a.n, b.n); i++) {
		int d = (unsigned char)text_lower(a.p[i]) - (unsigned char)text_lower(b.p[i]);
		if (d != 0)
			return d;
	}
	return (a.n > b.n) - (a.n < b.n);
}

bool text_ieq(struct slice a, struct slice b)
{
	return a.n == b.n && text_icmp(a, b) == 0;
}

void text_lower_to(char *to, struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		to[i] = text_lower(s.p[i]);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

struct slice text_trim(struct slice s)
{
	while (s.n && is_space(s.p[s.n - 1]))
		s.n--;
	while (s.n && is_space(*s.p)) {
		s.p++;
		s.n--;
	}
	return s;
}

bool text_file_name(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f || s.p[i] == '/' || s.p[i] == '\\')
			return false;
	return s.n > 0 && s.n <= NAME_MAX && s.p[0] != '.';
}

bool text_starts(struct slice s, struct slice prefix)
{
	return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

struct slice text_cut(struct slice *s, char c)
{
	const char *at = s->n ? memchr(s->p, c, s->n) : NULL;
	struct slice head = *s;
	if (!at) {
		*s = SL0;
		return head;
	}
	head.n = (size_t)(at - s->p);
	s->p += head.n + 1;
	s->n -= head.n + 1;
	return head;
}

struct slice text_word(struct slice *s)
{
	*s = text_trim(*s);
	size_t n = 0;
	while (n < s->n && s->p[n] != ' ' && s->p[n] != '\t')
		n++;
	struct slice w = {n ? s->p : NULL, n};
	*s = (struct slice){s->p + n, s->n - n};
	return w;
}

/* ---- numbers ---- */

/* Digits only, at least one. */
static bool digits(struct slice s, uint64_t *out)
{
	uint64_t v = 0;
	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned d = (unsigned char)s.p[i] - (unsigned)'0';
		if (d > 9 || v > (UINT64_MAX - d) / 10)
			return false;
		v = v * 10 + d;
	}
	*out = v;
	return true;
}

static struct slice take_sign(struct slice s, bool *minus)
{
	*minus = s.n && *s.p == '-';
	if (s.n && (*s.p == '-' || *s.p == '+'))
		return (struct slice){s.p + 1, s.n - 1};
	return s;
}

bool text_i64(struct slice s, int64_t *out)
{
	bool minus;
	uint64_t v;
	if (!digits(take_sign(text_trim(s), &minus), &v) || v > (uint64_t)INT64_MAX + minus)
		return false;
	*out = minus ? (int64_t)(0 - v) : (int64_t)v;
	return true;
}

bool text_u64(struct slice s, uint64_t *out)
{
	bool minus;
	uint64_t v;
	if (!digits(take_sign(text_trim(s), &minus), &v) || (minus && v != 0))
		return false;
	*out = v;
	return true;
}

bool text_i32(struct slice s, int32_t *out)
{
	int64_t v;
	if (!text_i64(s, &v) || v < INT32_MIN || v > INT32_MAX)
		return false;
	*out = (int32_t)v;
	return true;
}

bool text_bool(struct slice s, bool *out)
{
	s = text_trim(s);
	*out = slice_eq(s, SL("true")) || slice_eq(s, SL("1"));
	return *out || slice_eq(s, SL("false")) || slice_eq(s, SL("0"));
}

bool text_version(struct slice s, uint32_t *major, uint32_t *minor)
{
	uint64_t a, b;
	struct slice rest = text_trim(s), head = text_cut(&rest, '.');
	if (!digits(head, &a) || !digits(rest, &b) || a > UINT32_MAX || b > UINT32_MAX)
		return false;
	*major = (uint32_t)a;
	*minor = (uint32_t)b;
	return true;
}

/* ---- hexadecimal, GUIDs ---- */

/* 0x80 marks what is no digit, so that several lookups are checked by one OR. */
#define NO 0x80
#define NO4 NO, NO, NO, NO
#define NO16 NO4, NO4, NO4, NO4
static const uint8_t hex_value[256] = {
	NO16, NO16, NO16,
	0, 1, 2, 3, 4, 5, 6, 7, 8, 9, NO, NO, NO4,
	NO, 10, 11, 12, 13, 14, 15, NO, NO4, NO4, NO16,
	NO, 10, 11, 12, 13, 14, 15, NO, NO4, NO4, NO16,
	NO16, NO16, NO16, NO16, NO16, NO16, NO16, NO16,
};

static unsigned hex_run(const char *p, uint8_t *to, size_t n)
{
	unsigned bad = 0;
	for (size_t i = 0; i < n; i++) {
		unsigned h = hex_value[(unsigned char)p[2 * i]], l = hex_value[(unsigned char)p[2 * i + 1]];
		bad |= h | l;
		to[i] = (uint8_t)(h << 4 | (l & 15));
	}
	return bad & NO;
}

bool text_hex(struct slice s, void *out, size_t n)
{
	s = text_trim(s);
	return s.n == 2 * n && hex_run(s.p, out, n) == 0;
}

bool text_guid(struct slice s, struct guid *out)
{
	s = text_trim(s);
	if (s.n != GUID_TEXT || s.p[8] != '-' || s.p[13] != '-' || s.p[18] != '-' || s.p[23] != '-')
		return false;
	struct guid g;
	unsigned bad = hex_run(s.p, g.b, 4) | hex_run(s.p + 9, g.b + 4, 2) | hex_run(s.p + 14, g.b + 6, 2);
	bad |= hex_run(s.p + 19, g.b + 8, 2) | hex_run(s.p + 24, g.b + 10, 6);
	if (bad == 0)
		*out = g;
	return bad == 0;
}

/* Both digits of each byte: a list of a whole catalog writes a hundred thousand guids. */
#define LOWER(h) h "0" h "1" h "2" h "3" h "4" h "5" h "6" h "7" h "8" h "9" h "a" h "b" h "c" h "d" h "e" h "f"
#define UPPER(h) h "0" h "1" h "2" h "3" h "4" h "5" h "6" h "7" h "8" h "9" h "A" h "B" h "C" h "D" h "E" h "F"
#define DIGITS(row) row("0") row("1") row("2") row("3") row("4") row("5") row("6") row("7") row("8") row("9")
static const char lower_hex[] = DIGITS(LOWER) LOWER("a") LOWER("b") LOWER("c") LOWER("d") LOWER("e") LOWER("f");
static const char upper_hex[] = DIGITS(UPPER) UPPER("A") UPPER("B") UPPER("C") UPPER("D") UPPER("E") UPPER("F");
static_assert(sizeof(lower_hex) == 513 && sizeof(upper_hex) == 513, "two digits of each byte");

static char *hex_put(char *to, const uint8_t *p, size_t n, const char *digits)
{
	for (size_t i = 0; i < n; i++, to += 2)
		memcpy(to, digits + 2 * p[i], 2);
	return to;
}

void hex_text(const void *p, size_t n, bool upper, char *out)
{
	*hex_put(out, p, n, upper ? upper_hex : lower_hex) = 0;
}

void guid_text(const struct guid *g, char out[GUID_TEXT + 1])
{
	static const uint8_t at[] = {0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34};
	static_assert(COUNTOF(at) == sizeof(g->b), "a place of each byte");
	for (size_t i = 0; i < COUNTOF(at); i++)
		memcpy(out + at[i], lower_hex + 2 * g->b[i], 2);
	out[8] = out[13] = out[18] = out[23] = '-';
	out[GUID_TEXT] = 0;
}

/* ---- base64 ---- */

static const char base64_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const uint8_t base64_value[256] = {
	NO16, NO16,
	NO4, NO4, NO, NO, NO, 62, NO, NO, NO, 63,
	52, 53, 54, 55, 56, 57, 58, 59, 60, 61, NO, NO, NO4,
	NO, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
	15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, NO, NO4,
	NO, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
	41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, NO, NO4,
	NO16, NO16, NO16, NO16, NO16, NO16, NO16, NO16,
};

/* Whole groups of four without white space or padding, as far as they go; returns the groups done. */
static size_t base64_groups(struct slice s, uint8_t *to, size_t room)
{
	const uint8_t *p = (const uint8_t *)s.p, *v = base64_value;
	size_t i, n = MIN(s.n / 4, room / 3);
	for (i = 0; i < n; i++, p += 4, to += 3) {
		unsigned a = v[p[0]], b = v[p[1]], c = v[p[2]], d = v[p[3]];
		if ((a | b | c | d) & NO)
			break;
		to[0] = (uint8_t)(a << 2 | b >> 4);
		to[1] = (uint8_t)(b << 4 | c >> 2);
		to[2] = (uint8_t)(c << 6 | d);
	}
	return i;
}

/* The next four characters that are no white space; false when none is left. */
static bool base64_quad(struct slice *s, char q[4], size_t *got)
{
	for (*got = 0; s->n && *got < 4; s->p++, s->n--)
		if (!is_space(*s->p))
			q[(*got)++] = *s->p;
	return *got != 0;
}

/* One group with padding, or one that white space had broken: its bytes, 0 if it is malformed. */
static size_t base64_group(const char q[4], uint8_t to[3])
{
	char t[4] = {q[0], q[1], q[2], q[3]};
	size_t n = t[3] != '=' ? 3 : t[2] != '=' ? 2 : 1;
	if (n < 3)
		t[3] = 'A';
	if (n < 2)
		t[2] = 'A';
	return base64_groups((struct slice){t, 4}, to, 3) == 1 ? n : 0;
}

/* Decodes into room bytes; *n is what they became. */
static bool base64_decode(struct slice s, uint8_t *to, size_t room, size_t *n)
{
	char q[4];
	uint8_t three[3];
	size_t got, k;
	for (*n = 0;;) {
		size_t done = base64_groups(s, to + *n, room - *n);
		s.p += done * 4;
		s.n -= done * 4;
		*n += done * 3;
		if (!base64_quad(&s, q, &got))
			return true;
		if (got != 4 || (k = base64_group(q, three)) == 0 || k > room - *n)
			return false;
		memcpy(to + *n, three, k);
		*n += k;
		if (k != 3) /* padded: nothing may follow */
			return text_trim(s).n == 0;
	}
}

bool text_base64(struct slice s, struct arena *a, struct slice *out)
{
	size_t room = s.n / 4 * 3, n;
	uint8_t *to = arena_alloc(a, room, 1);
	if (!to || !base64_decode(s, to, room, &n))
		return false;
	*out = (struct slice){(char *)to, n};
	return true;
}

bool text_base64_fixed(struct slice s, void *out, size_t n)
{
	size_t got;
	return base64_decode(s, out, n, &got) && got == n;
}

static void base64_put(char *to, const uint8_t *p, size_t n)
{
	uint32_t v = (uint32_t)p[0] << 16 | (n > 1 ? (uint32_t)p[1] << 8 : 0) | (n > 2 ? p[2] : 0);
	to[0] = base64_alphabet[v >> 18];
	to[1] = base64_alphabet[v >> 12 & 63];
	to[2] = n > 1 ? base64_alphabet[v >> 6 & 63] : '=';
	to[3] = n > 2 ? base64_alphabet[v & 63] : '=';
}

void base64_add(struct buf *b, struct slice bytes)
{
	size_t groups = bytes.n / 3 + (bytes.n % 3 != 0);
	char *to = groups == 0 || groups > SIZE_MAX / 4 ? NULL : buf_room(b, groups * 4);
	if (!to)
		return;
	for (size_t i = 0; i < bytes.n; i += 3, to += 4)
		base64_put(to, (const uint8_t *)bytes.p + i, MIN(bytes.n - i, (size_t)3));
	b->n += groups * 4;
}

/* ---- xs:dateTime ---- */

#define TICK_MIN_YEAR1 (INT64_C(-62135596800) * TICKS_PER_SECOND)
#define DAY INT64_C(86400)

/* Days from 1970-01-01, proleptic Gregorian; years begin in March so that the leap day comes last. */
static int64_t days_of(int64_t y, int64_t m, int64_t d)
{
	int64_t c = m > 2 ? y : y - 1;
	int64_t doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
	return 365 * c + c / 4 - c / 100 + c / 400 + doy - 719468;
}

struct date {
	int y, m, d;
};

static struct date date_of(int64_t days)
{
	int64_t z = days + 719468, era = z / 146097, doe = z % 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
	int m = (int)(mp < 10 ? mp + 3 : mp - 9);
	return (struct date){(int)(yoe + era * 400) + (m <= 2), m, (int)(doy - (153 * mp + 2) / 5) + 1};
}

/* Takes n digits and what must follow them (0: nothing). */
static bool take(struct slice *s, size_t n, char after, int64_t *out)
{
	uint64_t v;
	size_t all = n + (after != 0);
	if (s->n < all || !digits((struct slice){s->p, n}, &v) || (after && s->p[n] != after))
		return false;
	*out = (int64_t)v;
	s->p += all;
	s->n -= all;
	return true;
}

static bool take_date(struct slice *s, int64_t *days)
{
	static const uint8_t last[] = {0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int64_t y, m, d;
	if (!take(s, 4, '-', &y) || !take(s, 2, '-', &m) || !take(s, 2, 'T', &d) || y < 1 || m < 1 || m > 12 ||
		d < 1 || d > last[m])
		return false;
	if (m == 2 && d == 29 && (y % 4 != 0 || (y % 100 == 0 && y % 400 != 0)))
		return false;
	*days = days_of(y, m, d);
	return true;
}

static bool take_fraction(struct slice *s, int64_t *ticks)
{
	*ticks = 0;
	if (s->n == 0 || *s->p != '.')
		return true;
	size_t i = 1;
	for (int64_t unit = TICKS_PER_SECOND / 10; i < s->n && s->p[i] >= '0' && s->p[i] <= '9'; i++, unit /= 10)
		*ticks += (s->p[i] - '0') * unit;
	s->p += i;
	s->n -= i;
	return i > 1;
}

static bool take_zone(struct slice s, int64_t *seconds)
{
	int64_t h, m;
	*seconds = 0;
	if (s.n == 0 || slice_eq(s, SL("Z")))
		return true;
	bool minus = *s.p == '-';
	if (!minus && *s.p != '+')
		return false;
	s.p++;
	s.n--;
	if (!take(&s, 2, ':', &h) || !take(&s, 2, 0, &m) || s.n != 0 || m > 59 || h * 60 + m > 14 * 60)
		return false;
	*seconds = (h * 60 + m) * (minus ? -60 : 60);
	return true;
}

static tick_t clamp(tick_t t)
{
	return MAX(MIN(t, TICK_MAX_YEAR9999), TICK_MIN_YEAR1);
}

bool text_time(struct slice s, tick_t *out)
{
	int64_t days, h, m, sec, ticks, zone;
	s = text_trim(s);
	if (!take_date(&s, &days) || !take(&s, 2, ':', &h) || !take(&s, 2, ':', &m) || !take(&s, 2, 0, &sec) ||
		h > 23 || m > 59 || sec > 59)
		return false;
	if (!take_fraction(&s, &ticks) || !take_zone(s, &zone))
		return false;
	*out = clamp((days * DAY + h * 3600 + m * 60 + sec - zone) * TICKS_PER_SECOND + ticks);
	return true;
}

static char *put_digits(char *to, int64_t v, int n)
{
	for (int i = n - 1; i >= 0; i--, v /= 10)
		to[i] = (char)('0' + v % 10);
	return to + n;
}

/* Splits into days and ticks of the day, both right for times before 1970. */
static int64_t split_day(tick_t t, int64_t *rest)
{
	int64_t since = clamp(t) - TICK_MIN_YEAR1, day = DAY * TICKS_PER_SECOND;
	*rest = since % day;
	return since / day + TICK_MIN_YEAR1 / day;
}

static char *put_date(char *to, int64_t days)
{
	struct date d = date_of(days);
	to = put_digits(to, d.y, 4);
	*to++ = '-';
	to = put_digits(to, d.m, 2);
	*to++ = '-';
	return put_digits(to, d.d, 2);
}

size_t time_text(tick_t t, char out[TIME_TEXT + 1])
{
	int64_t rest, days = split_day(t, &rest), sec = rest / TICKS_PER_SECOND, frac = rest % TICKS_PER_SECOND;
	char *to = put_date(out, days);
	*to++ = 'T';
	to = put_digits(to, sec / 3600, 2);
	*to++ = ':';
	to = put_digits(to, sec / 60 % 60, 2);
	*to++ = ':';
	to = put_digits(to, sec % 60, 2);
	if (frac) {
		*to++ = '.';
		to = put_digits(to, frac, 7);
		while (to[-1] == '0')
			to--;
	}
	*to++ = 'Z';
	*to = 0;
	return (size_t)(to - out);
}

void date_text(tick_t t, char out[DATE_TEXT + 1])
{
	int64_t rest;
	*put_date(out, split_day(t, &rest)) = 0;
}

tick_t time_now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (tick_t)ts.tv_sec * TICKS_PER_SECOND + ts.tv_nsec / 100;
}

int64_t time_monotonic_ms(void)
{
	struct timespec ts = {0};
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- sizes and durations ---- */

void size_text(uint64_t bytes, char out[SIZE_TEXT + 1])
{
	static const char *const unit[] = {"B", "KB", "MB", "GB", "TB", "PB", "EB"};
	unsigned u = 0;
	uint64_t whole = bytes, rest = 0;
	while (whole >= 1000) {
		rest = whole % 1000;
		whole /= 1000;
		u++;
	}
	if (u > 1 && whole < 10)
		snprintf(out, SIZE_TEXT + 1, "%u.%u %s", (unsigned)whole, (unsigned)rest / 100, unit[u]);
	else
		snprintf(out, SIZE_TEXT + 1, "%u %s", (unsigned)whole, unit[u]);
}

struct slice bytes_text(struct arena *a, uint64_t bytes)
{
	char text[SIZE_TEXT + 1];
	size_text(bytes, text);
	return arena_copy(a, slice_of(text));
}

void span_text(tick_t span, char out[SPAN_TEXT + 1])
{
	static const struct {
		int64_t s;
		const char *name;
	} unit[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
	int64_t s = MAX(span, 0) / TICKS_PER_SECOND;
	unsigned u = 0;
	while (u < 3 && s < unit[u].s)
		u++;
	if (s < 10 && span > 0)
		snprintf(out, SPAN_TEXT + 1, "%.1f s", (double)span / (double)TICKS_PER_SECOND);
	else if (u == 3 || s % unit[u].s / unit[u + 1].s == 0)
		snprintf(out, SPAN_TEXT + 1, "%lld %s", (long long)(s / unit[u].s), unit[u].name);
	else
		snprintf(out, SPAN_TEXT + 1, "%lld %s %lld %s", (long long)(s / unit[u].s), unit[u].name,
			(long long)(s % unit[u].s / unit[u + 1].s), unit[u + 1].name);
}

/* ---- UTF-8 ---- */

static bool follows(const uint8_t *p, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xC0) != 0x80)
			return false;
	return true;
}

size_t text_utf8_char(struct slice s)
{
	const uint8_t *p = (const uint8_t *)s.p;
	if (p[0] < 0x80)
		return p[0] >= 0x20 || p[0] == '\t' || p[0] == '\n' || p[0] == '\r' ? 1 : 0;
	size_t n = p[0] < 0xC2 ? 0 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : p[0] < 0xF5 ? 4 : 0;
	if (n == 0 || s.n < n || !follows(p, n))
		return 0;
	unsigned two = (unsigned)p[0] << 8 | p[1];
	bool overlong = (two & 0xFFE0) == 0xE080 || (two & 0xFFF0) == 0xF080, beyond = two >= 0xF490;
	bool surrogate = (two & 0xFFE0) == 0xEDA0, fffe = n == 3 && two == 0xEFBF && p[2] >= 0xBE;
	return overlong || beyond || surrogate || fffe ? 0 : n;
}

/* 16 bytes of a text as signed numbers: those beyond ASCII are negative. */
typedef int8_t bytes16 __attribute__((vector_size(16)));

static inline bytes16 load16(const char *p)
{
	bytes16 v;
	memcpy(&v, p, sizeof(v));
	return v;
}

static inline bool none(bytes16 v)
{
	uint64_t w[2];
	memcpy(w, &v, sizeof(w));
	return (w[0] | w[1]) == 0;
}

/* Bytes that are not in 0x20..0x7F. */
static inline bytes16 not_plain(const char *p)
{
	return load16(p) < 0x20;
}

static inline bool plain64(const char *p)
{
	return none((not_plain(p) | not_plain(p + 16)) | (not_plain(p + 32) | not_plain(p + 48)));
}

/* text_utf8_char() for the scripts that texts are mostly in, without its exceptions. */
static inline size_t utf8_step(const uint8_t *p, size_t left)
{
	if (p[0] >= 0x20 && p[0] < 0x80)
		return 1;
	if (left >= 3 && (p[1] & 0xC0) == 0x80) {
		if (p[0] >= 0xC2 && p[0] < 0xE0)
			return 2;
		if (p[0] > 0xE0 && p[0] < 0xED && (p[2] & 0xC0) == 0x80)
			return 3;
	}
	return text_utf8_char((struct slice){(const char *)p, left});
}

size_t text_utf8_bad(struct slice s)
{
	size_t i = 0;
	while (i < s.n) {
		while (s.n - i >= 64 && plain64(s.p + i))
			i += 64;
		while (s.n - i >= 16 && none(not_plain(s.p + i)))
			i += 16;
		size_t stop = MIN(s.n, i + 16);
		while (i < stop) {
			size_t n = utf8_step((const uint8_t *)s.p + i, s.n - i);
			if (n == 0)
				return i;
			i += n;
		}
	}
	return s.n;
}

static void utf8_add(struct buf *b, uint32_t c)
{
	char t[4];
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const uint8_t lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
	for (size_t i = n; i-- > 1; c >>= 6)
		t[i] = (char)(0x80 | (c & 0x3F));
	t[0] = (char)(lead[n] | c);
	buf_add(b, t, n);
}

/* ---- references and escaping ---- */

static bool is_xml_char(uint32_t c)
{
	return c >= 0x20 ? c <= 0xD7FF || (c >= 0xE000 && c <= 0xFFFD) || (c >= 0x10000 && c <= 0x10FFFF)
			 : c == '\t' || c == '\n' || c == '\r';
}

/* The number between "&#" and ";". */
static bool ref_number(struct slice s, uint32_t *code)
{
	bool hex = s.n && *s.p == 'x';
	uint32_t v = 0, base = hex ? 16 : 10;
	if (s.n == hex)
		return false;
	for (size_t i = hex; i < s.n; i++) {
		uint32_t d = hex_value[(unsigned char)s.p[i]];
		if (d >= base || v > 0x10FFFF)
			return false;
		v = v * base + d;
	}
	*code = v;
	return is_xml_char(v);
}

size_t text_ref(struct slice s, uint32_t *code)
{
	static const struct {
		struct slice name;
		uint32_t code;
	} entity[] = {
		{{"amp", 3}, '&'}, {{"lt", 2}, '<'}, {{"gt", 2}, '>'}, {{"quot", 4}, '"'}, {{"apos", 4}, '\''},
	};
	/* bounded, so that a long text of bare & costs no more than its length; leading zeros may be many */
	const char *semi = s.n > 2 ? memchr(s.p, ';', MIN(s.n, (size_t)64)) : NULL;
	if (!semi || *s.p != '&')
		return 0;
	struct slice name = {s.p + 1, (size_t)(semi - s.p) - 1};
	if (*name.p == '#')
		return ref_number((struct slice){name.p + 1, name.n - 1}, code) ? name.n + 2 : 0;
	for (size_t i = 0; i < COUNTOF(entity); i++)
		if (slice_eq(name, entity[i].name)) {
			*code = entity[i].code;
			return name.n + 2;
		}
	return 0;
}

/* What each byte becomes inside XML text; none: itself.  A reader makes a line feed of a carriage return that stands there
 * as it is. */
static const struct slice xml_escape[256] = {
	['&'] = {"&amp;", 5}, ['<'] = {"&lt;", 4}, ['>'] = {"&gt;", 4}, ['\r'] = {"&#13;", 5}};

/* How many bytes there are before the first that is escaped.  Documents are escaped as a whole when they are
 * imported: so eight at a time.  '<' and '>' differ in one bit, 2; the lowest byte that becomes 0 is the first. */
static size_t xml_plain(struct slice s)
{
	static const uint64_t ones = UINT64_C(0x0101010101010101), high = ones << 7;
	size_t n = 0;
	for (; s.n - n >= 8; n += 8) {
		uint64_t v;
		memcpy(&v, s.p + n, sizeof(v));
		v = le64toh(v);
		uint64_t amp = v ^ ones * '&', angle = (v | ones * 2) ^ ones * '>', cr = v ^ ones * '\r';
		uint64_t found = (((amp - ones) & ~amp) | ((angle - ones) & ~angle) | ((cr - ones) & ~cr)) & high;
		if (found)
			return n + (size_t)__builtin_ctzll(found) / 8;
	}
	while (n < s.n && xml_escape[(unsigned char)s.p[n]].n == 0)
		n++;
	return n;
}

void xml_escape_add(struct buf *b, struct slice s)
{
	while (s.n > 0) {
		size_t n = xml_plain(s);
		buf_add(b, s.p, n);
		if (n == s.n)
			return;
		buf_slice(b, xml_escape[(unsigned char)s.p[n]]);
		s.p += n + 1;
		s.n -= n + 1;
	}
}

bool xml_unescape_add(struct buf *b, struct slice s)
{
	while (s.n) {
		const char *amp = memchr(s.p, '&', s.n);
		size_t n = amp ? (size_t)(amp - s.p) : s.n;
		buf_add(b, s.p, n);
		s.p += n;
		s.n -= n;
		if (!amp)
			return true;
		uint32_t code;
		if ((n = text_ref(s, &code)) == 0)
			return false;
		utf8_add(b, code);
		s.p += n;
		s.n -= n;
	}
	return true;
}

/* The bytes at the start that are printable ASCII: nearly all there are. */
static size_t plain_run(struct slice s)
{
	size_t n = 0;
	while (n < s.n && s.p[n] >= 0x20 && s.p[n] < 0x7F)
		n++;
	return n;
}

void text_safe_add(struct buf *b, struct slice s)
{
	for (size_t i = 0, n; i < s.n; i += n) {
		struct slice left = {s.p + i, s.n - i};
		unsigned char c = (unsigned char)left.p[0];
		n = plain_run(left);
		if (n == 0)
			n = text_utf8_char(left);
		/* U+0080..U+009F are control characters too: terminals obey them */
		bool c1 = n == 2 && c == 0xC2 && (unsigned char)left.p[1] < 0xA0;
		if (n && c >= 0x20 && c != 0x7F && !c1) {
			buf_add(b, left.p, n);
			continue;
		}
		n = 1;
		buf_printf(b, "\\x%02x", c);
	}
}

static const char *const json_escape[256] = {
	['"'] = "\\\"", ['\\'] = "\\\\", ['\n'] = "\\n", ['\r'] = "\\r", ['\t'] = "\\t",
};

void json_string_add(struct buf *b, struct slice s)
{
	buf_char(b, '"');
	for (size_t i = 0, n; i < s.n; i += n) {
		unsigned char c = (unsigned char)s.p[i];
		n = text_utf8_char((struct slice){s.p + i, s.n - i});
		if (json_escape[c])
			buf_str(b, json_escape[c]);
		else if (n)
			buf_add(b, s.p + i, n);
		else if (c < 0x20)
			buf_printf(b, "\\u%04x", c);
		else
			buf_str(b, "\xEF\xBF\xBD");
		n += !n;
	}
	buf_char(b, '"');
}
