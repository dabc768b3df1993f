/* health_facts.c -- gathers what the checks judge: a scan by wsus-probe, sockets, store, disk, logs. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/text.h"
#include "ctl/health_cert.h"
#include "ctl/health_store.h"
#include "ctl/json.h"
#include "ctl/log_merge.h"
#include "ctl/place.h"

#define PROBE_SECONDS "20"      /* one request; a page of a large scan takes 0.1 s */
#define SCAN_SECONDS 60         /* all of them, waits for a busy server included */
#define PROBE_OUTPUT ((size_t)1 << 20)
#define SOCKET_MS 5000          /* a worker is busy for 10 to 100 ms; all of them that long is an overload */
#define LOG_LINES 20000         /* an hour of 1,000 computers several times over */

/* ---- the scan ---- */

/* It stands beside us, as make and the package put it. */
static bool probe_path(char to[4096])
{
	ssize_t n = readlink("/proc/self/exe", to, 4000);
	if (n <= 0)
		return false;
	to[n] = '\0';
	char *base = strrchr(to, '/');
	if (!base)
		return false;
	snprintf(base + 1, 64, "wsus-probe");
	return access(to, X_OK) == 0;
}

/* The host of a URL of ours, without the brackets of IPv6. */
static void host_of(const char *url, char *to, size_t room)
{
	struct slice rest = slice_of(url);
	const char *colons = memmem(rest.p, rest.n, "://", 3);
	if (colons)
		rest = (struct slice){colons + 3, (size_t)(rest.p + rest.n - colons - 3)};
	bool v6 = text_starts(rest, SL("["));
	if (v6)
		rest = (struct slice){rest.p + 1, rest.n - 1};
	struct slice host = text_cut(&rest, v6 ? ']' : ':');
	snprintf(to, room, "%.*s", SLF(host));
}

/* A reload that nginx did not make leaves the old certificate in use.  One for other names than this address is what a
 * proxy before us is for. */
static void look_for_unserved(struct health_facts *f, const struct health_places *p, struct slice chain, struct arena *a)
{
	struct slice file;
	char host[300];
	host_of(p->url, host, sizeof(host));
	if (chain.n && p->crt && place_read_pem(p->crt, a, &file, NULL) == E_OK && health_cert_is_unserved(file, chain, host))
		snprintf(f->unserved, sizeof(f->unserved), "%s", p->crt);
}

static void take_result(struct health_facts *f, const struct health_places *p, struct slice json, struct arena *a)
{
	struct slice error = json_string(json_member(json, "error"), a);
	struct slice problem = json_string(json_first(json_member(json, "problems")), a);
	struct slice total = json_member(json, "total"), chain = json_string(json_member(json, "certificates"), a);
	f->scan.held = slice_eq(json_member(json, "ok"), SL("true"));
	struct slice words = error.n ? error : problem.n ? problem : SL("it did not hold");
	if (f->scan.held)
		snprintf(f->scan.words, sizeof(f->scan.words), "%.*s calls in %.*s ms", SLF(json_member(total, "calls")),
			SLF(json_member(total, "ms")));
	else
		snprintf(f->scan.words, sizeof(f->scan.words), "%.*s", SLF(words));
	struct slice ms = json_member(total, "ms");
	if (!text_i64(json_member(total, "calls"), &f->scan.calls) || !text_i64(text_cut(&ms, '.'), &f->scan.ms))
		f->scan.calls = f->scan.ms = 0;
	health_cert_read(&f->server, chain);
	look_for_unserved(f, p, chain, a);
}

/* False, with what is known, if the file of the authority cannot be read: the server is not to blame for what follows. */
static bool can_trust(struct health_facts *f, const char *ca)
{
	if (!ca || access(ca, R_OK) == 0)
		return true;
	f->scan.known = errno == EACCES ? FORBIDDEN : FAILED_TO_KNOW;
	snprintf(f->scan.words, sizeof(f->scan.words), "%.300s: %s", ca, strerror(errno));
	return false;
}

static void scan(struct health_facts *f, const struct health_places *p, struct arena *a)
{
	char program[4096];
	const char *const argv[] = {program, p->url, "--brief", "--json", "--client-id", COMPUTER_HEALTH_ID, "--name",
		"wsusctl-health", "--timeout", PROBE_SECONDS, p->ca ? "--ca" : NULL, p->ca, NULL};
	struct buf out;
	struct err e = {0};
	int status;
	f->scan.known = FAILED_TO_KNOW;
	snprintf(f->scan.url, sizeof(f->scan.url), "%s", p->url);
	snprintf(f->scan.words, sizeof(f->scan.words), "wsus-probe is not there");
	f->scan.ca = p->ca;
	if (!probe_path(program) || !can_trust(f, p->ca))
		return;
	buf_init(&out, PROBE_OUTPUT);
	int rc = health_run(argv, SCAN_SECONDS, &out, &status, &e);
	f->scan.known = rc == E_OK && status != 127 && status != 2 ? KNOWN : FAILED_TO_KNOW;
	if (rc == E_OK && status < 2 && json_member(buf_bytes(&out), "ok").n)
		take_result(f, p, buf_bytes(&out), a);
	else
		snprintf(f->scan.words, sizeof(f->scan.words), "wsus-probe ended with status %d%s", status,
			status == 137 ? ": no answer in time" : "");
	buf_free(&out);
}

/* ---- certificates ---- */

static void authority(struct health_facts *f, const char *path, const char *next, struct arena *a)
{
	struct slice pem;
	if (next && place_read_pem(next, a, &pem, NULL) == E_OK)
		health_cert_read(&f->successor, pem);
	if (!path) {
		snprintf(f->authority.words, sizeof(f->authority.words), "none of ours: the system's are used");
		return;
	}
	f->authority.known = FAILED_TO_KNOW;
	snprintf(f->authority.words, sizeof(f->authority.words), "%s cannot be read as a certificate", path);
	if (access(path, R_OK) != 0 && errno == EACCES) {
		f->authority.known = FORBIDDEN;
		snprintf(f->authority.words, sizeof(f->authority.words), "%.300s: %s", path, strerror(errno));
	} else if (place_read_pem(path, a, &pem, NULL) == E_OK) {
		health_cert_read(&f->authority, pem);
	}
}

/* What the handshake showed counts; the file is for when there was none. */
static void server_certificate(struct health_facts *f, const struct health_places *p, struct arena *a)
{
	struct slice pem;
	if (f->server.known == KNOWN)
		return;
	bool plain = p->url && text_starts(slice_of(p->url), SL("http://"));
	snprintf(f->server.words, sizeof(f->server.words), "%s", plain ? "none: the URL is plain HTTP" : "not seen: see scan");
	if (!plain && p->crt && place_read_pem(p->crt, a, &pem, NULL) == E_OK)
		health_cert_read(&f->server, pem);
}

/* ---- services ---- */

/* The smallest request: whatever a worker says to a HEAD of nothing, it is there.  (FCGI_GET_VALUES would need none, but
 * libfcgi waits for more behind it.) */
static bool ask_worker(int fd)
{
	static const unsigned char request[] = {1, 1, 0, 1, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, /* BEGIN_REQUEST, responder */
		1, 4, 0, 1, 0, 20, 0, 0, 14, 4, 'R', 'E', 'Q', 'U', 'E', 'S', 'T', '_', 'M', 'E', 'T', 'H', 'O', 'D', 'H', 'E', 'A',
		'D',                                              /* PARAMS */
		1, 4, 0, 1, 0, 0, 0, 0, 1, 5, 0, 1, 0, 0, 0, 0}; /* the ends of PARAMS and STDIN */
	unsigned char head[8];
	struct pollfd p = {.fd = fd, .events = POLLIN};
	return send(fd, request, sizeof(request), MSG_NOSIGNAL) == (ssize_t)sizeof(request) && poll(&p, 1, SOCKET_MS) == 1 &&
	       recv(fd, head, sizeof(head), 0) == (ssize_t)sizeof(head) && head[0] == 1 && head[1] == 6; /* STDOUT */
}

/* errno: why it could not be reached; 0: it was. */
static bool answers(const char *path, char *words)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok = snprintf(to.sun_path, sizeof(to.sun_path), "%s", path) < (int)sizeof(to.sun_path) && fd >= 0 &&
		connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0;
	int why = ok ? 0 : errno;
	if (!ok)
		snprintf(words, HEALTH_WORDS, "%.300s: %s", path, strerror(why));
	else if (!(ok = ask_worker(fd)))
		snprintf(words, HEALTH_WORDS, "%.300s: connected, but no worker answers", path);
	if (fd >= 0)
		close(fd);
	errno = why;
	return ok;
}

static void services(struct health_facts *f, const char *run)
{
	static const char *const names[HEALTH_SERVICES] = {"auth", "client", "content", "reporting", "serversync"};
	for (unsigned i = 0; i < HEALTH_SERVICES; i++) {
		char path[4096];
		f->service[i].name = names[i];
		if (!run)
			continue;
		snprintf(path, sizeof(path), "%s/%s.sock", run, names[i]);
		tick_t begun = time_now();
		f->service[i].answers = answers(path, f->service[i].words);
		f->service[i].took = time_now() - begun;
		f->service[i].known = !f->service[i].answers && errno == EACCES ? FORBIDDEN : KNOWN;
	}
}

/* ---- logs ---- */

static bool is_word(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (text_lower(s.p[i]) < 'a' || text_lower(s.p[i]) > 'z')
			return false;
	return s.n > 0;
}

/* A kind for which there is no room is not counted by itself. */
static void count_fault(struct health_facts *f, struct slice code, uint64_t n)
{
	unsigned i = 0;
	if (code.n >= sizeof(f->log.code[0].code) || !is_word(code))
		return;
	while (i < f->log.ncode && !slice_eq(code, slice_of(f->log.code[i].code)))
		i++;
	if (i == HEALTH_CODES)
		return;
	if (i == f->log.ncode) {
		memcpy(f->log.code[i].code, code.p, code.n);
		f->log.ncode++;
	}
	f->log.code[i].n += n;
}

/* A status of 500 with a fault that is the client's is no failure of ours; nginx's lines are about what no service did. */
static void take_line(struct health_facts *f, const struct log_entry *l)
{
	if (slice_eq(l->program, SL("nginx")))
		return;
	f->log.requests += 1 + l->more;
	count_fault(f, l->fault, 1 + l->more);
	if (l->rc == E_OK || l->rc < 0 || l->rc >= E__MAX || !err_is_ours((int)l->rc))
		return;
	f->log.faults += 1 + l->more;
	if (f->log.last[0]) /* the newest comes first */
		return;
	struct slice why = l->fault.p ? l->fault : SL("failure");
	snprintf(f->log.last, sizeof(f->log.last), "%.*s%s%.*s of %.*s", SLF(why), l->fault_id.p ? ":" : "", SLF(l->fault_id), SLF(l->op));
}

static int read_log(struct health_facts *f, const char *dir, struct err *e)
{
	const struct log_filter filter = {.since = f->now - 3600 * TICKS_PER_SECOND};
	const struct log_places places = {.dir = dir ? dir : "/var/log/wsus-fcgi", .keep = LOG_LINES};
	struct log_merge *m;
	struct log_entry l;
	struct slice line;
	unsigned n = 0;
	int rc = log_merge_open(&m, &places, &filter, e);
	while (rc == E_OK && n++ < LOG_LINES && (rc = log_merge_next(m, &line, &l, e)) == E_OK)
		take_line(f, &l);
	log_merge_close(&m);
	return rc == E_NOTFOUND && n > 0 ? E_OK : rc;
}

static void logs(struct health_facts *f, const char *dir)
{
	struct err e = {0};
	int rc = read_log(f, dir, &e);
	f->log.known = rc == E_OK ? KNOWN : rc == E_NOTFOUND ? NOT_KNOWN : FAILED_TO_KNOW;
	if (rc != E_OK)
		snprintf(f->log.last, sizeof(f->log.last), "%.*s", (int)sizeof(f->log.last) - 1, e.text);
}

/* ---- all of it ---- */

static void disk(struct disk_facts *d, const char *dir)
{
	struct statvfs v;
	if (!dir || statvfs(dir, &v) != 0)
		return;
	d->known = KNOWN;
	d->free = (uint64_t)v.f_bavail * v.f_frsize;
	d->total = d->free + (uint64_t)(v.f_blocks - v.f_bfree) * v.f_frsize;
}

void health_gather_quick(struct health_facts *f, const struct health_places *p, struct arena *a)
{
	f->tls = p->tls;
	server_certificate(f, p, a);
	authority(f, p->ca, p->next, a);
	services(f, p->run);
	disk(&f->disk, p->store);
	disk(&f->content_disk, p->content);
}

void health_gather(struct health_facts *f, const struct health_places *p, struct arena *a)
{
	health_store_look(&f->store, p->store, f->now);
	scan(f, p, a);
	health_gather_quick(f, p, a);
	logs(f, p->log);
	health_jobs_look(f, p);
}
