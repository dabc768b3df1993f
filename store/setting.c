/* setting.c -- the settings: one table loads, checks, prints and documents them.
 *
 * A setting that was never set has no row.  Read transactions of one catalog snapshot share one reading.
 * To add a setting: a member in struct settings, a row in SETTINGS. */
#include <ctype.h>

#include "common/text.h"
#include "store/env.h"
#include "store/language.h"
#include "store/parent.h"
#include "store/publish.h"
#include "store/schedule.h"
#include "store/trim.h"

enum kind { KIND_WORD, KIND_TEXT, KIND_NUMBER, KIND_BOOL };

/* ---- what a text may be ---- */

static bool plain(struct slice v)
{
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] <= ' ' || v.p[i] == 0x7F || strchr("<>\"'`\\{}|^", v.p[i]))
			return false;
	return true;
}

/* http or https, host, optional port; a path would be cut off by clients that know no better. */
static bool is_base_url(struct slice v)
{
	if (v.n == 0)
		return true;
	if (text_starts(v, SL("http://")))
		v = (struct slice){v.p + 7, v.n - 7};
	else if (text_starts(v, SL("https://")))
		v = (struct slice){v.p + 8, v.n - 8};
	else
		return false;
	return v.n > 0 && plain(v) && v.p[0] != ':' && !memchr(v.p, '/', v.n) && !memchr(v.p, '?', v.n) &&
	       !memchr(v.p, '#', v.n) && !memchr(v.p, '@', v.n);
}

static bool is_unc(struct slice v)
{
	return v.n == 0 || (v.n > 3 && text_starts(v, SL("\\\\")) && text_utf8_bad(v) == v.n &&
			    !memchr(v.p, '\n', v.n) && !memchr(v.p, '\r', v.n) && !memchr(v.p, '<', v.n));
}

static bool is_host(struct slice v)
{
	for (size_t i = 0; i < v.n; i++) {
		char c = text_lower(v.p[i]);
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-'))
			return false;
	}
	return v.n == 0 || (v.p[0] != '.' && v.p[0] != '-');
}

static bool is_file(struct slice v)
{
	return v.n == 0 || (v.p[0] == '/' && plain(v));
}

static bool is_fingerprint(struct slice v)
{
	for (size_t i = 0; i < v.n; i++)
		if (!isxdigit((unsigned char)v.p[i]))
			return false;
	return v.n == 0 || v.n == 64;
}

static bool is_pin(struct slice v)
{
	return v.n == 0 || (text_starts(v, SL("sha256//")) && v.n == 52 && plain(v));
}

/* off, every Nh, daily HH:MM */
static bool is_schedule(struct slice v)
{
	struct schedule s;
	return schedule_read(v, &s);
}

static bool is_trim(struct slice v)
{
	unsigned words;
	return trim_read(v, &words);
}

static bool is_languages(struct slice v)
{
	bool on[SYNC_LANGUAGES];
	return languages_read(v, on);
}

/* Ascending, each once, in the table's spelling. */
static struct slice sort_languages(struct slice v, char *to)
{
	bool on[SYNC_LANGUAGES];
	return languages_read(v, on) ? (struct slice){to, languages_write(on, to, LANGUAGES_TEXT)} : v;
}

/* ================= the table ================= */

#define CHANGES_CONFIG 1u  /* of a GetConfig answer (CONFIG-07) */
#define CHANGES_SCANS 2u   /* what scans answer, for everybody */
#define CHANGES_URLS 4u    /* where files are */
#define CHANGES_WAITING 8u /* what deployments wait for */
#define CHANGES_SYNC 16u   /* what GetConfigData answers (WSUSSS-ADM-07) */
#define CHANGES_POLICY 32u /* who makes policy: what was mirrored may have been changed in between */
#define CHANGES_LIST 64u   /* of what the server above is asked for lists */
#define CHANGES_FACTS 128u /* which files are needed */
#define CHANGES_GROUPS 256u /* in which groups computers are */

struct row {
	enum kind kind;
	size_t offset;
	const char *const *words;   /* KIND_WORD, in the enum's order, ended by NULL */
	bool (*fits)(struct slice); /* KIND_TEXT */
	struct slice (*form)(struct slice, char *to); /* the one in which a fitting KIND_TEXT is kept; NULL: as it is */
	int32_t low, high;          /* KIND_NUMBER; KIND_TEXT: high = bytes */
};

static const char *const scope_words[] = {"all", "approved", NULL};
static const char *const targeting_words[] = {"server", "client", NULL};
static const char *const content_words[] = {"local", "microsoft", NULL};
static const char *const downstream_words[] = {"approval", "open", NULL};
static const char *const xpress_words[] = {"mixed", "stream", "off", NULL};
static const char *const kind_words[] = {"server", "microsoft", NULL};
static const char *const mode_words[] = {"autonomous", "replica", NULL};
static const char *const soap_words[] = {"1.1", "1.2", NULL};
static const char *const filter_words[] = {"chosen", "all", NULL};
static const char *const download_words[] = {"approved", "all", NULL};

/* A member of another type than the row's does not compile. */
#define AT(m, type) (offsetof(struct settings, m) + 0 * sizeof(&((struct settings *)0)->m == (type *)0))
#define WORD(m, type, list) .kind = KIND_WORD, .offset = AT(m, enum type), .words = (list)
#define TEXT(m, check, bytes) .kind = KIND_TEXT, .offset = AT(m, struct slice), .fits = (check), .high = (bytes)
#define LIST(m, check, sort, bytes) TEXT(m, check, bytes), .form = (sort)
#define NUMBER(m, lo, hi) .kind = KIND_NUMBER, .offset = AT(m, int32_t), .low = (lo), .high = (hi)
#define BOOL(m) .kind = KIND_BOOL, .offset = AT(m, bool)

/* scan.page-*: a fresh scan of 5,000 revisions by 16 connections takes 28 calls with 200 updates and 2 MB, 109 with 30 and
 * 67 with 512 KB, and is done 0.54 and 0.67 times as often; with 400 or 1,000 updates, or 4 MB, it takes 26 or 27 and is
 * no faster (0.9 to 1.1), and p99 of a page is 1.2 times as long with 4 MB.
 * name, allowed values, default, unit, what it is for, what a change changes, how it is kept */
#define SETTINGS(X) \
	X("scan.scope", "all|approved", "all", "", \
		"which updates scans offer: all that are not declined, or the approved ones and what they need", \
		CHANGES_SCANS, WORD(scan_scope, scan_scope, scope_words)) \
	X("targeting", "server|client", "server", "", \
		"who puts computers into groups: the administrator, or the names that a computer sends", \
		CHANGES_GROUPS, WORD(targeting, targeting, targeting_words)) \
	X("content.store", "local|microsoft", "local", "", \
		"where computers download files: from this server, or from the vendor's addresses", \
		CHANGES_URLS | CHANGES_WAITING | CHANGES_SYNC | CHANGES_FACTS, WORD(content_store, content_store, content_words)) \
	X("content.url", "http[s]://HOST[:PORT] or empty", "", "", \
		"base address of downloads; empty: that of the computer's request", \
		CHANGES_URLS, TEXT(content_url, is_base_url, 512)) \
	X("downstream.admission", "approval|open", "approval", "", \
		"which servers may synchronize from this one: those that were approved, or all that are not blocked", \
		0, WORD(downstream_admission, downstream_admission, downstream_words)) \
	X("xpress", "mixed|stream|off", "mixed", "", \
		"how answers are packed for computers that ask for it: stored blocks pass through, or all is cut anew", \
		0, WORD(xpress, xpress_setting, xpress_words)) \
	X("client.package-share", "\\\\SERVER\\SHARE or empty", "", "", \
		"share from which computers repair installed packages", \
		CHANGES_CONFIG, TEXT(package_share, is_unc, 512)) \
	X("client.max-extended", "1..1000", "50", "updates", \
		"how many updates a computer may ask details of in one call", \
		CHANGES_CONFIG, NUMBER(max_extended, 1, 1000)) \
	X("client.cookie-minutes", "5..1440", "60", "minutes", \
		"how long a cookie is good before the computer authorizes anew", \
		0, NUMBER(cookie_minutes, 5, 1440)) \
	X("client.new-per-hour", "1..10000000", "5000", "computers", \
		"how many computers may be new in an hour before new ones are told ServerBusy; known ones are always served, and " \
		"nobody who makes up ids fills the disk or the list, and a roll-out to thousands passes", \
		0, NUMBER(new_per_hour, 1, 10000000)) \
	X("client.registration", "true|false", "true", "", \
		"whether computers must register: tell their hardware and system", \
		CHANGES_CONFIG, BOOL(registration_required)) \
	X("client.file-location-fault", "true|false", "false", "", \
		"whether computers are made to ask anew for addresses of files when these have changed", \
		0, BOOL(file_location_fault)) \
	X("scan.page-updates", "10..5000", "200", "updates", \
		"at most so many new updates in one answer of a scan, unless much more is left", \
		0, NUMBER(page_updates, 10, 5000)) \
	X("scan.page-bytes", "65536..67108864", "2097152", "bytes", \
		"at most so many bytes in one answer of a scan, unless much more is left", \
		0, NUMBER(page_bytes, 65536, 67108864)) \
	X("server.name", "host name or empty", "", "", \
		"host name in addresses when a request names none", \
		0, TEXT(server_name, is_host, 253)) \
	X("sync.languages", "all, or short names with commas between: en,de,pt-br", "all", "", \
		"languages that downstream servers are told this server has", \
		CHANGES_SYNC, LIST(languages, is_languages, sort_languages, 512)) \
	X("upstream.url", "http[s]://HOST[:PORT] or empty", "", "", \
		"the server above this one, with which it synchronizes; empty: none. `wsusctl upstream set` looks before it sets", \
		CHANGES_POLICY, TEXT(upstream_url, is_base_url, 512)) \
	X("upstream.kind", "server|microsoft", "server", "", \
		"what that is: a server as this one or of Windows, or Microsoft's own, which has rules of its own", \
		0, WORD(upstream_kind, upstream_kind, kind_words)) \
	X("upstream.mode", "autonomous|replica", "autonomous", "", \
		"whether groups and approvals are made here, or mirrored from the server above", \
		CHANGES_POLICY | CHANGES_LIST, WORD(upstream_mode, upstream_mode, mode_words)) \
	X("upstream.soap", "1.1|1.2", "1.1", "", \
		"the version of SOAP that is spoken with it", 0, WORD(upstream_soap, upstream_soap, soap_words)) \
	X("upstream.ca", "an absolute path, or empty", "", "", \
		"PEM file of the authorities that its certificate is judged by; empty: the system's", \
		0, TEXT(upstream_ca, is_file, 512)) \
	X("upstream.ca-fingerprint", "64 hexadecimal digits, or empty", "", "", \
		"SHA-256 of the one certificate that upstream.ca must hold; empty: any", \
		0, TEXT(upstream_ca_print, is_fingerprint, 64)) \
	X("upstream.pin", "sha256//BASE64, or empty", "", "", \
		"SHA-256 of the public key that it must have, whoever signed its certificate; empty: any", \
		0, TEXT(upstream_pin, is_pin, 128)) \
	X("upstream.certificate", "an absolute path, or empty", "", "", \
		"PEM file of the certificate that is shown to it; empty: none", 0, TEXT(upstream_certificate, is_file, 512)) \
	X("upstream.key", "an absolute path, or empty", "", "", \
		"PEM file of that certificate's key", 0, TEXT(upstream_key, is_file, 512)) \
	X("upstream.login", "an absolute path, or empty", "", "", \
		"file with one line USER:PASSWORD, if it wants a login", 0, TEXT(upstream_login, is_file, 512)) \
	X("upstream.proxy", "http[s]://HOST[:PORT] or empty", "", "", \
		"proxy on the way to it and to the vendor; empty: none, whatever the environment says", \
		0, TEXT(upstream_proxy, is_base_url, 512)) \
	X("upstream.proxy-login", "an absolute path, or empty", "", "", \
		"file with one line USER:PASSWORD, if the proxy wants a login", 0, TEXT(upstream_proxy_login, is_file, 512)) \
	X("upstream.content-url", "http[s]://HOST[:PORT] or empty", "", "", \
		"where its files are, if not at upstream.url: plain http spares TLS, as files are verified by digest", \
		0, TEXT(upstream_content_url, is_base_url, 512)) \
	X("upstream.timeout", "5..3600", "120", "seconds", \
		"how long to wait for the next byte; a list of all updates takes a server a while", 0, NUMBER(upstream_timeout, 5, 3600)) \
	X("upstream.rate", "0..10000000", "0", "KB/s", \
		"at most so much is received from it; 0: no limit", 0, NUMBER(upstream_rate, 0, 10000000)) \
	X("upstream.connections", "1..16", "4", "connections", \
		"requests under way at a time; four took a ninth of the time of one with Microsoft's server", \
		0, NUMBER(upstream_connections, 1, 16)) \
	X("sync.filter", "chosen|all", "chosen", "", \
		"which updates are asked for: of the products and classifications that were selected, or all; a replica takes all", \
		CHANGES_LIST, WORD(sync_filter, sync_filter_setting, filter_words)) \
	X("sync.schedule", "off, every Nh (1..24), or daily HH:MM", "daily 03:00", "", \
		"when to synchronize, in the machine's time zone", 0, TEXT(sync_schedule, is_schedule, 32)) \
	X("sync.trim", "words of: expired superseded preview x86 x64 arm64 itanium, or empty", "", "", \
		"what the first synchronization declines of what it brings; `wsusctl trim --undo` takes it back", \
		0, TEXT(sync_trim, is_trim, 128)) \
	X("sync.history-days", "15..3650", "90", "days", \
		"how long it is known what came of each synchronization", 0, NUMBER(history_days, 15, 3650)) \
	X("content.download", "approved|all", "approved", "", \
		"which files are fetched from the server above: those of approved updates, or all", \
		CHANGES_SYNC | CHANGES_FACTS, WORD(content_download, content_download, download_words)) \
	X("content.express", "true|false", "false", "", \
		"whether express files are fetched, too: computers download less with them, this server several times as much", \
		CHANGES_WAITING | CHANGES_SYNC | CHANGES_FACTS, BOOL(content_express)) \
	X("content.quota", "0..1000000000", "0", "MB", \
		"at most so much is fetched into the content directory; 0: as much as the disk has", 0, NUMBER(content_quota, 0, 1000000000)) \
	X("content.spare", "0..1000000000", "1024", "MB", \
		"so much of the disk is left free", 0, NUMBER(content_spare, 0, 1000000000)) \
	X("report.event-days", "1..400", "30", "days", \
		"how long the events that computers report are kept; what follows from them stays", 0, NUMBER(event_days, 1, 400)) \
	X("report.stale-days", "1..3650", "30", "days", \
		"a computer that was silent for longer counts as stale in reports", 0, NUMBER(stale_days, 1, 3650))

#define AS_INFO(name, values, dflt, unit, why, changes, ...) \
	{name, values, dflt, unit, why, ((changes) & CHANGES_CONFIG) != 0, ((changes) & CHANGES_SCANS) != 0},
#define AS_ROW(name, values, dflt, unit, why, changes, ...) {__VA_ARGS__},
#define AS_CHANGES(name, values, dflt, unit, why, changes, ...) changes,

static const struct setting_info infos[] = {SETTINGS(AS_INFO){NULL, NULL, NULL, NULL, NULL, false, false}};
static const struct row rows[] = {SETTINGS(AS_ROW)};
static const unsigned change_of[] = {SETTINGS(AS_CHANGES)};

#define TEXT_BYTES ((size_t)16 << 10) /* all texts together: fifteen of at most 512 and a few short ones */
#define KEPT_BYTES 512 /* of one */

const struct setting_info *setting_table(void)
{
	return infos;
}

/* ================= texts to values ================= */

static bool set_word(const struct row *r, struct slice v, void *to)
{
	for (int i = 0; r->words[i]; i++)
		if (text_ieq(v, slice_of(r->words[i]))) {
			memcpy(to, &i, sizeof(i)); /* the enums have no negative value: they are unsigned int */
			return true;
		}
	return false;
}

static bool set_number(const struct row *r, struct slice v, int32_t *to)
{
	return text_i32(v, to) && *to >= r->low && *to <= r->high;
}

static bool set_value(const struct row *r, struct slice v, struct settings *out)
{
	void *to = (char *)out + r->offset;
	switch (r->kind) {
	case KIND_WORD:
		return set_word(r, v, to);
	case KIND_NUMBER:
		return set_number(r, v, to);
	case KIND_BOOL:
		return text_bool(v, to);
	case KIND_TEXT:
		*(struct slice *)to = v;
		return v.n <= (size_t)r->high && text_utf8_bad(v) == v.n && r->fits(v);
	}
	return false;
}
static_assert(sizeof(enum scan_scope) == sizeof(int) && sizeof(enum xpress_setting) == sizeof(int) &&
		      sizeof(enum downstream_admission) == sizeof(int),
	"set_word() writes an int");

static int find(struct slice name)
{
	for (size_t i = 0; i < COUNTOF(rows); i++)
		if (slice_eq(name, slice_of(infos[i].name)))
			return (int)i;
	return -1;
}

/* The row's text, or the default. */
static int text_of(struct txn *t, size_t i, struct slice *out)
{
	struct slice v;
	*out = slice_of(infos[i].dflt);
	int rc = db_get(t, DB_SETTING, slice_of(infos[i].name), &v);
	if (rc == E_NOTFOUND)
		return E_OK;
	if (rc == E_OK && (v.n == 0 || v.p[0] != 1))
		rc = E_CORRUPT;
	if (rc == E_OK)
		*out = (struct slice){v.p + 1, v.n - 1};
	return rc;
}

static int load(struct txn *t, struct settings *out, struct err *e)
{
	*out = (struct settings){0};
	for (size_t i = 0; i < COUNTOF(rows); i++) {
		struct slice v;
		int rc = text_of(t, i, &v);
		if (rc == E_OK && !set_value(&rows[i], v, out))
			rc = E_CORRUPT;
		if (rc != E_OK)
			return err_set(e, (enum errcode)rc, "the setting %s cannot be read", infos[i].name);
	}
	return E_OK;
}

/* ================= one reading for all read transactions of a snapshot ================= */

static int keep(struct store *s, struct settings *out, struct err *e)
{
	struct buf *b = &s->settings_text;
	s->settings_version = 0;
	buf_reset(b);
	if (!buf_room(b, TEXT_BYTES))
		return err_set(e, E_NOMEM, "out of memory for the settings");
	for (size_t i = 0; i < COUNTOF(rows); i++) {
		if (rows[i].kind != KIND_TEXT)
			continue;
		struct slice *v = (struct slice *)((char *)out + rows[i].offset);
		size_t at = b->n;
		ASSERT(v->n <= TEXT_BYTES - at);
		buf_slice(b, *v);
		v->p = b->p + at;
	}
	s->settings = *out;
	return E_OK;
}

int settings_get(struct txn *t, struct settings *out, struct err *e)
{
	struct store *s = txn_store(t);
	uint64_t version = txn_catalog_version(t);
	if (txn_writes_catalog(t))
		return load(t, out, e); /* the version of a writer is not a snapshot's yet */
	if (version != 0 && version == s->settings_version) {
		*out = s->settings;
		return E_OK;
	}
	int rc = load(t, out, e);
	if (rc == E_OK)
		rc = keep(s, out, e);
	if (rc == E_OK)
		s->settings_version = version;
	return rc;
}

int settings_copy(const struct settings *from, struct arena *a, struct settings *to, struct err *e)
{
	*to = *from;
	for (size_t i = 0; i < COUNTOF(rows); i++) {
		if (rows[i].kind != KIND_TEXT)
			continue;
		struct slice *v = (struct slice *)((char *)to + rows[i].offset);
		*v = arena_copy(a, *v);
		if (!v->p)
			return err_set(e, E_NOMEM, "out of memory for the settings");
	}
	return E_OK;
}

/* ================= reading and changing one ================= */

int setting_get(struct txn *t, struct slice name, struct slice *out, struct err *e)
{
	int i = find(name);
	if (i < 0)
		return err_set(e, E_NOTFOUND, "there is no setting \"%.*s\"", SLF(name));
	int rc = text_of(t, (size_t)i, out);
	return rc == E_OK ? rc : err_set(e, (enum errcode)rc, "the setting %s cannot be read", infos[i].name);
}

/* "TRUE", " 07" and the like are kept in one form; the bytes may lie in kept. */
static struct slice canonical(const struct row *r, const struct settings *set, struct slice v, char kept[KEPT_BYTES])
{
	const char *at = (const char *)set + r->offset;
	int word;
	int32_t n;
	switch (r->kind) {
	case KIND_WORD:
		memcpy(&word, at, sizeof(word));
		return slice_of(r->words[word]);
	case KIND_BOOL:
		return *(const bool *)at ? SL("true") : SL("false");
	case KIND_NUMBER:
		memcpy(&n, at, sizeof(n));
		return (struct slice){kept, (size_t)snprintf(kept, KEPT_BYTES, "%d", (int)n)};
	case KIND_TEXT:
		break;
	}
	return r->form ? r->form(v, kept) : v;
}
static_assert(LANGUAGES_TEXT <= KEPT_BYTES, "all of them fit");

static int apply_changes(struct txn *t, unsigned changes, struct err *e)
{
	struct server_state st;
	int rc = server_state_get(t, &st, e);
	if (rc != E_OK)
		return rc;
	if (changes & CHANGES_CONFIG)
		st.last_change = MAX(time_now(), st.last_change + 1);
	if (changes & CHANGES_URLS)
		st.file_locations++;
	if (changes & (CHANGES_CONFIG | CHANGES_URLS))
		rc = server_state_put(t, &st, e);
	if (rc == E_OK && changes & CHANGES_SCANS)
		rc = publish_touch_all(t, e);
	if (rc == E_OK && changes & CHANGES_WAITING)
		rc = deployments_rejudge(t, e);
	if (rc == E_OK && changes & CHANGES_FACTS)
		rc = publish_fact(t, 0, e);
	if (rc == E_OK && changes & CHANGES_POLICY)
		rc = parent_policy_lost(t, e);
	if (rc == E_OK && changes & CHANGES_LIST)
		rc = parent_list_lost(t, e);
	if (rc == E_OK && changes & CHANGES_GROUPS)
		rc = membership_changed(t, e);
	return rc;
}

/* Before the new value is put: the old one is still in force. */
static int tell_downstream(struct txn *t, size_t i, struct slice text, struct err *e)
{
	struct settings set;
	bool was[SYNC_LANGUAGES], is[SYNC_LANGUAGES];
	int rc = settings_get(t, &set, e);
	if (rc != E_OK)
		return rc;
	bool languages = rows[i].offset == offsetof(struct settings, languages);
	if (!languages_read(set.languages, was) || !languages_read(languages ? text : set.languages, is))
		return err_set(e, E_CORRUPT, "the setting sync.languages cannot be read");
	return languages_changed(t, was, is, e);
}

static int setting_put(struct txn *t, size_t i, struct slice text, struct err *e)
{
	char v[1 + KEPT_BYTES];
	ASSERT(text.n < sizeof(v));
	v[0] = 1;
	if (text.n)
		memcpy(v + 1, text.p, text.n);
	int rc = change_of[i] & CHANGES_SYNC ? tell_downstream(t, i, text, e) : E_OK;
	if (rc == E_OK)
		rc = db_put(t, DB_SETTING, slice_of(infos[i].name), (struct slice){v, 1 + text.n}, e);
	if (rc == E_OK)
		rc = apply_changes(t, change_of[i], e);
	return rc == E_OK ? rc : txn_fail(t, rc, e);
}

/* The row of a name and the kept form of a value; its bytes may lie in kept. */
static int judge(struct slice name, struct slice *value, char kept[KEPT_BYTES], int *row, struct err *e)
{
	struct settings set = {0};
	int i = *row = find(name);
	if (i < 0)
		return err_set(e, E_NOTFOUND, "there is no setting \"%.*s\"", SLF(name));
	*value = text_trim(*value);
	if (!set_value(&rows[i], *value, &set))
		return err_set(e, E_FORM, "%s takes %s%s%s, not \"%.*s\"", infos[i].name, infos[i].values,
			infos[i].unit[0] ? " " : "", infos[i].unit, SLF(*value));
	*value = canonical(&rows[i], &set, *value, kept);
	return E_OK;
}

int setting_check(struct slice name, struct slice value, struct err *e)
{
	char kept[KEPT_BYTES];
	int i;
	return judge(name, &value, kept, &i, e);
}

int setting_holds(struct txn *t, struct slice name, struct slice value, bool *out, struct err *e)
{
	struct slice now;
	char kept[KEPT_BYTES];
	int i, rc = judge(name, &value, kept, &i, e);
	if (rc == E_OK)
		rc = setting_get(t, name, &now, e);
	*out = rc == E_OK && slice_eq(now, value);
	return rc;
}

int setting_set(struct txn *t, struct slice name, struct slice value, struct err *e)
{
	struct slice now;
	char kept[KEPT_BYTES];
	int i, rc = judge(name, &value, kept, &i, e);
	if (rc != E_OK)
		return rc;
	if (text_of(t, (size_t)i, &now) == E_OK && slice_eq(now, value))
		return E_OK;
	return setting_put(t, (size_t)i, value, e);
}

int settings_override(struct settings *s, const char *text, struct err *e)
{
	struct slice value = slice_of(text), name = text_cut(&value, '=');
	int i = value.p ? find(name) : -1;
	if (i < 0)
		return err_set(e, E_USAGE, "%.100s: what would be set is written SETTING=VALUE, with a setting of the store", text);
	value = text_trim(value);
	return set_value(&rows[i], value, s) ? E_OK : err_set(e, E_FORM, "%s takes %s%s%s, not \"%.*s\"", infos[i].name, infos[i].values,
		infos[i].unit[0] ? " " : "", infos[i].unit, SLF(value));
}
