/* conf.c -- the configuration file: its lines, and the one table of server settings. */
#include "common/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/limits.h"
#include "common/network.h"
#include "common/text.h"

/* ================= the table ================= */

enum kind { KIND_PATH, KIND_NUMBER, KIND_BOOL, KIND_ADDRESSES, KIND_NETWORKS, KIND_WORD, KIND_NAMES, KIND_URL, KIND_COMMAND };

struct row {
	enum kind kind;
	bool may_be_empty;
	int32_t low, high; /* KIND_NUMBER */
	const char *words; /* KIND_WORD: one of these, with | between them */
};

#define PATH .kind = KIND_PATH
#define NUMBER(lo, hi) .kind = KIND_NUMBER, .low = (lo), .high = (hi)
#define BOOL .kind = KIND_BOOL
#define ADDRESSES .kind = KIND_ADDRESSES
#define NETWORKS .kind = KIND_NETWORKS, .may_be_empty = true
#define WORD(list) .kind = KIND_WORD, .words = (list)
#define NAMES .kind = KIND_NAMES, .may_be_empty = true
#define URL .kind = KIND_URL
#define COMMAND .kind = KIND_COMMAND
#define OR_EMPTY .may_be_empty = true

#define ADMISSIONS "open|networks|token"
#define ANY_PATH "an absolute path without blanks or quotes"

/* RFC 1918 and 4193, loopback, and the addresses of a link alone. */
#define PRIVATE_NETWORKS \
	"127.0.0.0/8 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 169.254.0.0/16 ::1 fc00::/7 fe80::/10"

/* name, allowed values, default, unit, what it is for and why the default is what it is, how it is judged */
#define SETTINGS(X) \
	X("store", ANY_PATH, "/var/lib/wsus-fcgi/store", "", \
		"the store: updates, approvals, computers. On a local disk: it is mapped into memory, which network file " \
		"systems do not keep in step", PATH) \
	X("content", ANY_PATH, "/var/lib/wsus-fcgi/content", "", \
		"the files that computers download, named by their digest. May be a disk of its own: catalogs are small, " \
		"their files are not", PATH) \
	X("selfupdate", ANY_PATH, "/var/lib/wsus-fcgi/selfupdate", "", \
		"the agent's own update files, below /SelfUpdate; empty unless you put files there", PATH) \
	X("keys", ANY_PATH, "/var/lib/wsus-fcgi/keys", "", \
		"the secret that seals cookies. Apart from the store, so that a copy of the store lets nobody write cookies", PATH) \
	X("tls", ANY_PATH, "/etc/wsus-fcgi/tls", "", \
		"the certificate: server.crt and server.key, and ca.crt and ca.key where the authority is our own", PATH) \
	X("listen", "IPv4 and IPv6 addresses", "0.0.0.0 ::", "", \
		"the addresses to listen on, with blanks between them; by default all of the machine, as computers of a network " \
		"are to reach it", ADDRESSES) \
	X("http.port", "1..65535", "8530", "", \
		"the plain port. It has the files to download, which computers verify by digest; 8530 is the product's", \
		NUMBER(1, 65535)) \
	X("https.port", "1..65535", "8531", "", \
		"the TLS port, which has everything; 8531 is the product's", NUMBER(1, 65535)) \
	X("downstream.port", "1..65535 or empty", "", "", \
		"a TLS port for downstream servers that show a certificate; empty: none, and they use the others. With it these do not " \
		"answer downstream servers any more, and clients.admission does not hold there: the certificate does", \
		NUMBER(1, 65535), OR_EMPTY) \
	X("downstream.client-ca", ANY_PATH ", or empty", "", "", \
		"the certificates, in PEM, of those who sign certificates of downstream servers for downstream.port; empty: an authority " \
		"that is made for that, downstream-ca.crt beside the server's certificate", PATH, OR_EMPTY) \
	X("plain-http", "true|false", "false", "", \
		"whether the plain port has the web services, too, on other addresses than loopback: what computers say and hear " \
		"there can be read and changed on the way", BOOL) \
	X("names", "host names and addresses, or empty", "", "", \
		"more names for the certificate than those of the machine, with blanks between them: those in the addresses that " \
		"computers are given", NAMES) \
	X("url", "http[s]://HOST[:PORT] or empty", "", "", \
		"the address under which computers reach this server; empty: https, the first of names, else of the " \
		"certificate's, and https.port. A proxy or a port that is forwarded makes another one", URL, OR_EMPTY) \
	X("workers", "1..1024 or empty", "", "processes", \
		"worker processes of each service; empty: four for each processor, at least eight, as some wait for the disk", \
		NUMBER(1, 1024), OR_EMPTY) \
	X("notify.command", "an absolute path with arguments, without quotes, or empty", "", "", \
		"the program that `wsusctl health --notify` runs once when something goes wrong and once when it is well again. " \
		"No shell reads the line. Obeyed only if nobody but root or who runs it may write this file and the program", \
		COMMAND, OR_EMPTY) \
	X("status.allow", "IPv4 and IPv6 networks, or empty", "", "", \
		"whom /health and /metrics are shown on the TLS port, with blanks between networks; the machine itself always, " \
		"others never, as they tell what is wrong with the server", NETWORKS) \
	X("backup.to", ANY_PATH ", or empty", "/var/backups/wsus-fcgi", "", \
		"where the nightly backup of store, keys and configuration goes; empty: none is made. By default where Debian keeps " \
		"what is copied away; a disk of its own outlives that of the store", PATH, OR_EMPTY) \
	X("backup.keep", "1..1000", "7", "backups", \
		"how many of them are kept: a week, in which most mistakes are noticed", NUMBER(1, 1000)) \
	X("clients.admission", ADMISSIONS, "networks", "", \
		"who may use this server: everybody; those of clients.networks; or those with the token of `wsusctl client token` in " \
		"the address that they are given. A server that the Internet reaches gives nothing to strangers by default", \
		WORD(ADMISSIONS)) \
	X("clients.networks", "IPv4 and IPv6 addresses and networks (192.0.2.0/24)", PRIVATE_NETWORKS, "", \
		"who may come, with blanks between them; by default loopback, link-local addresses and those of private networks. The machine " \
		"itself always may", NETWORKS) \
	X("clients.rate", "1..100000", "500", "requests a second", \
		"what one address may ask of the web services, an IPv6 network of 64 bits counting as one; more waits for up to two " \
		"seconds, and still more is told ServerBusy. A computer that scans asks 10 to 50 times a second; an office behind " \
		"one address is slowed at most", NUMBER(1, 100000)) \
	X("clients.rate-registrations", "1..100000", "1200", "a minute", \
		"how often one address may begin anew or register before it is told ServerBusy; 2,000 at once are let through. An " \
		"office of 500 computers that boots needs 1,000", NUMBER(1, 100000)) \
	X("clients.rate-reports", "1..100000", "3000", "a minute", \
		"how many batches of reports one address may send before it is told ServerBusy; 3,000 at once are let through. A " \
		"computer sends three after a scan", NUMBER(1, 100000))

#define AS_INFO(name, values, dflt, unit, why, ...) {name, values, dflt, unit, why},
#define AS_ROW(name, values, dflt, unit, why, ...) {__VA_ARGS__},

static const struct conf_info infos[] = {SETTINGS(AS_INFO){NULL, NULL, NULL, NULL, NULL}};
static const struct row rows[] = {SETTINGS(AS_ROW)};

const struct conf_info *conf_table(void)
{
	return infos;
}

/* ================= what a value may be ================= */

/* What the shell or nginx would take for more than a letter is refused: scripts put paths into their files. */
static bool is_plain(struct slice w)
{
	for (size_t i = 0; i < w.n; i++)
		if (strchr(" \t\"'`\\$;{}#&|<>()*?!", w.p[i]))
			return false;
	return true;
}

static bool is_path(struct slice v)
{
	return v.n > 0 && v.p[0] == '/' && is_plain(v);
}

static bool is_network(struct slice w)
{
	struct network n;
	return network_parse(w, &n);
}

static bool is_address(struct slice w)
{
	return is_network(w) && !memchr(w.p, '/', w.n);
}

/* Of a host name, each label at most 63 bytes, 253 in all (RFC 1123). */
static bool is_host(struct slice w)
{
	size_t label = 0;
	for (size_t i = 0; i < w.n; i++) {
		char c = text_lower(w.p[i]);
		bool inner = label > 0 && (c == '-' || (c == '.' && w.p[i - 1] != '-'));
		if (!inner && !((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')))
			return false;
		label = c == '.' ? 0 : label + 1;
		if (label > 63)
			return false;
	}
	return w.n > 0 && w.n <= 253 && w.p[w.n - 1] != '.' && w.p[w.n - 1] != '-';
}

static bool is_host_or_address(struct slice w)
{
	return is_host(w) || is_address(w);
}

static bool all_words(struct slice v, bool (*fits)(struct slice))
{
	for (struct slice w = text_word(&v); w.p; w = text_word(&v))
		if (!fits(w))
			return false;
	return true;
}

/* Words that a shell would read as they stand: whoever writes quotes expects one, and there is none. */
static bool is_command(struct slice v)
{
	return v.p[0] == '/' && all_words(v, is_plain);
}

/* *rest: what stands behind the host. */
static bool takes_host(struct slice v, struct slice *rest)
{
	if (v.n && v.p[0] == '[') {
		struct slice inner = text_cut(&v, ']');
		*rest = v;
		return v.p && memchr(inner.p, ':', inner.n) && is_address((struct slice){inner.p + 1, inner.n - 1});
	}
	size_t n = 0;
	while (n < v.n && v.p[n] != ':')
		n++;
	*rest = (struct slice){v.p + n, v.n - n};
	return is_host((struct slice){v.p, n});
}

static bool is_port(struct slice d)
{
	unsigned v = 0;
	for (size_t i = 0; i < d.n; i++) {
		if (d.p[i] < '0' || d.p[i] > '9' || v > 65535)
			return false;
		v = v * 10 + (unsigned)(d.p[i] - '0');
	}
	return v >= 1 && v <= 65535;
}

bool conf_is_url(struct slice v)
{
	size_t scheme = text_starts(v, SL("https://")) ? 8 : text_starts(v, SL("http://")) ? 7 : 0;
	struct slice rest;
	if (!scheme || !takes_host((struct slice){v.p + scheme, v.n - scheme}, &rest))
		return false;
	return rest.n == 0 || (rest.p[0] == ':' && is_port((struct slice){rest.p + 1, rest.n - 1}));
}

static bool is_word_of(struct slice list, struct slice v)
{
	while (list.p)
		if (slice_eq(text_cut(&list, '|'), v))
			return true;
	return false;
}

static bool fits(const struct row *r, struct slice v)
{
	int32_t n;
	bool b;
	if (v.n == 0)
		return r->may_be_empty;
	switch (r->kind) {
	case KIND_PATH:
		return is_path(v);
	case KIND_NUMBER:
		return text_i32(v, &n) && n >= r->low && n <= r->high;
	case KIND_BOOL:
		return text_bool(v, &b);
	case KIND_ADDRESSES:
		return all_words(v, is_address);
	case KIND_NETWORKS:
		return all_words(v, is_network);
	case KIND_WORD:
		return is_word_of(slice_of(r->words), v);
	case KIND_NAMES:
		return all_words(v, is_host_or_address);
	case KIND_URL:
		return conf_is_url(v);
	case KIND_COMMAND:
		return is_command(v);
	}
	return false;
}

static int find_row(struct slice name)
{
	for (size_t i = 0; i < COUNTOF(rows); i++)
		if (slice_eq(name, slice_of(infos[i].name)))
			return (int)i;
	return -1;
}

int conf_check(struct slice name, struct slice value, struct err *e)
{
	int i = find_row(name);
	if (i < 0)
		return err_set(e, E_NOTFOUND, "there is no setting \"%.*s\"", (int)MIN(name.n, 64u), name.p);
	if (fits(&rows[i], value))
		return E_OK;
	return err_set(e, E_FORM, "%s takes %s, not \"%.*s\"", infos[i].name, infos[i].values, (int)MIN(value.n, 128u),
		value.p ? value.p : "");
}

int conf_get(const struct conf *f, const char *name, struct slice *out, unsigned *at, struct err *e)
{
	struct conf_line l = {0};
	int i = find_row(slice_of(name));
	if (i < 0)
		return err_set(e, E_NOTFOUND, "there is no setting \"%s\"", name);
	bool set = conf_find(f, slice_of(name), &l);
	if (at)
		*at = l.no;
	*out = set ? l.value : slice_of(infos[i].dflt);
	return set ? err_at(e, conf_check(l.name, l.value, e), "%s:%u: ", f->file, l.no) : E_OK;
}

/* ================= lines ================= */

static bool is_name(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || ((c == '.' || c == '-') && i > 0)))
			return false;
	}
	return s.n > 0;
}

static bool has_control(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' && s.p[i] != '\t')
			return true;
	return false;
}

/* What is wrong with a line, and what to do; NULL if nothing is.  The name's and value's meaning is not looked at. */
static const char *judge(struct slice line, const struct conf_line *l)
{
	if (line.n > LIMIT_CONF_LINE)
		return "the line is longer than 4,096 bytes; shorten it";
	if (has_control(line) || text_utf8_bad(line) != line.n)
		return "a control character, or bytes that are not UTF-8; write the line anew";
	if (!memchr(line.p, '=', line.n))
		return "there is no \"=\"; write NAME = VALUE, or # before a comment";
	if (!is_name(l->name))
		return "no name stands before \"=\": it has letters a to z, digits, dots and hyphens; write NAME = VALUE";
	return NULL;
}

static struct slice take_line(const struct conf *f, struct conf_line *l)
{
	struct slice rest = {f->text.p + l->next, f->text.n - l->next};
	const char *end = memchr(rest.p, '\n', rest.n);
	size_t n = end ? (size_t)(end - rest.p) : rest.n;
	l->next += n + (end != NULL);
	l->no++;
	return text_trim((struct slice){rest.p, n});
}

/* An editor of Windows puts a mark before the first line. */
static struct slice without_mark(struct slice line)
{
	return text_starts(line, SL("\xEF\xBB\xBF")) ? text_trim((struct slice){line.p + 3, line.n - 3}) : line;
}

bool conf_next(const struct conf *f, struct conf_line *l)
{
	while (l->next < f->text.n) {
		struct slice line = take_line(f, l);
		if (l->no == 1)
			line = without_mark(line);
		if (line.n == 0 || line.p[0] == '#')
			continue;
		struct slice rest = line;
		l->name = text_trim(text_cut(&rest, '='));
		l->value = rest.p ? text_trim(rest) : SL("");
		l->wrong = judge(line, l);
		return true;
	}
	return false;
}

bool conf_find(const struct conf *f, struct slice name, struct conf_line *out)
{
	for (struct conf_line l = {0}; conf_next(f, &l);)
		if (!l.wrong && slice_eq(l.name, name)) {
			*out = l;
			return true;
		}
	return false;
}

/* ================= the file ================= */

static int read_all(int fd, char *to, size_t room, size_t *n)
{
	ssize_t got;
	*n = 0;
	while (*n < room && (got = read(fd, to + *n, room - *n)) != 0) {
		if (got > 0)
			*n += (size_t)got;
		else if (errno != EINTR)
			return E_IO;
	}
	return E_OK;
}

static bool is_trusted(const struct stat *st)
{
	return (st->st_uid == 0 || st->st_uid == geteuid()) && (st->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static int take_file(struct conf *out, int fd, struct arena *a, struct err *e)
{
	struct stat st;
	size_t n;
	char *to = arena_alloc(a, 1, LIMIT_CONF + 1);
	out->file = arena_copy(a, slice_of(out->file)).p;
	if (!to || !out->file)
		return err_set(e, E_NOMEM, "out of memory");
	if (fstat(fd, &st) != 0)
		return err_errno(e, "%s", out->file);
	if (!S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode)) /* /dev/null: no file is meant */
		return err_set(e, E_FORM, "%s is no file", out->file);
	if (read_all(fd, to, LIMIT_CONF + 1, &n) != E_OK)
		return err_errno(e, "%s", out->file);
	if (n > LIMIT_CONF)
		return err_set(e, E_LIMIT, "%s is larger than %zu bytes: it is no configuration", out->file, (size_t)LIMIT_CONF);
	out->text = (struct slice){to, n};
	out->trusted = is_trusted(&st);
	return E_OK;
}

int conf_load(struct conf *out, const char *file, struct arena *a, struct err *e)
{
	*out = (struct conf){.file = file};
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return err_set(e, E_NOTFOUND, "%s: there is no such file", file);
	if (fd < 0)
		return err_errno(e, "%s", file);
	int rc = take_file(out, fd, a, e);
	close(fd);
	return rc;
}
