/* probe_main.c -- wsus-probe: options, the walk from its beginning to its end, exit status. */
#include "ctl/probe.h"

#include <getopt.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/limits.h"
#include "common/text.h"

static const char usage[] =
	"usage: wsus-probe URL [options]\n"
	"Walks the client protocol of an update server as a Windows computer does, checks every answer, prints\n"
	"calls, bytes and milliseconds.  URL is like http://server:8530.\n"
	"  --group NAME       ask to be in this computer group\n"
	"  --client-id ID     be this computer (default: the state's, or a new one)\n"
	"  --name DNS         its DNS name (default: this host's, with probe- before it)\n"
	"  --state FILE       keep cookie and cache: the next run is a differential scan\n"
	"  --installed SHARE  call this share of non-leaf updates installed, in percent (default 100)\n"
	"  --download         fetch the files of offered updates by ranges, check their digests\n"
	"  --report           send events as a computer does after a scan\n"
	"  --install-result R and then that all is installed: ok, failed, reboot, pending (implies --report)\n"
	"  --filter GUID      scan this category only\n"
	"  --plain            do not ask for xpress\n"
	"  --soap12           speak SOAP 1.2\n"
	"  --ca FILE          trust the authorities in this PEM file\n"
	"  --insecure         do not check the server's certificate\n"
	"  --max-calls N      calls of one scan before it counts as endless (default 200)\n"
	"  --brief            end after the first call of the scan: is anybody there?\n"
	"  --timeout N        seconds for one request (default 300)\n"
	"  --extended N       updates to ask extended information for (default 500)\n"
	"  --seed N           of the choices that --installed and a new id make\n"
	"  --json             print one JSON object\n"
	"  -v                 say every call on standard error\n"
	"Exit status: 0 all of it held, 1 not, 2 wrong usage.\n";

enum { O_GROUP = 256, O_CLIENT, O_NAME, O_STATE, O_INSTALLED, O_DOWNLOAD, O_REPORT, O_FILTER, O_PLAIN, O_SOAP12, O_CA,
	O_INSECURE, O_RESULT, O_CALLS, O_EXTENDED, O_SEED, O_JSON, O_BRIEF, O_TIMEOUT, O_HELP };
static const struct option known[] = {{"group", 1, NULL, O_GROUP}, {"client-id", 1, NULL, O_CLIENT},
	{"name", 1, NULL, O_NAME}, {"state", 1, NULL, O_STATE}, {"installed", 1, NULL, O_INSTALLED},
	{"download", 0, NULL, O_DOWNLOAD}, {"report", 0, NULL, O_REPORT}, {"filter", 1, NULL, O_FILTER},
	{"plain", 0, NULL, O_PLAIN}, {"soap12", 0, NULL, O_SOAP12}, {"ca", 1, NULL, O_CA}, {"insecure", 0, NULL, O_INSECURE},
	{"install-result", 1, NULL, O_RESULT}, {"max-calls", 1, NULL, O_CALLS}, {"extended", 1, NULL, O_EXTENDED}, {"seed", 1, NULL, O_SEED},
	{"json", 0, NULL, O_JSON}, {"brief", 0, NULL, O_BRIEF}, {"timeout", 1, NULL, O_TIMEOUT}, {"help", 0, NULL, O_HELP}, {NULL, 0, NULL, 0}};

static bool number(const char *text, uint64_t lo, uint64_t hi, unsigned *out)
{
	uint64_t n;
	struct slice s = slice_of(text);
	if (s.n > 1 && s.p[s.n - 1] == '%')
		s.n--;
	bool ok = text_u64(s, &n) && n >= lo && n <= hi;
	*out = ok ? (unsigned)n : 0;
	return ok;
}

static bool take_result(struct probe_options *o, const char *name)
{
	o->result = probe_result_of(name);
	return o->install = o->report = o->result < PROBE_RESULT__MAX;
}

static bool take_option(struct probe_options *o, int c)
{
	switch (c) {
	case O_GROUP: o->group = optarg; return true;
	case O_CLIENT: o->client = optarg; return strlen(optarg) > 0 && strlen(optarg) <= LIMIT_CLIENT_ID;
	case O_NAME: o->name = optarg; return true;
	case O_STATE: o->state = optarg; return true;
	case O_INSTALLED: return number(optarg, 0, 100, &o->installed);
	case O_DOWNLOAD: return o->download = true;
	case O_REPORT: return o->report = true;
	case O_RESULT: return take_result(o, optarg);
	case O_FILTER: return o->has_filter = text_guid(slice_of(optarg), &o->filter);
	case O_PLAIN: return o->plain = true;
	case O_SOAP12: return o->soap12 = true;
	case O_CA: o->ca = optarg; return true;
	case O_INSECURE: return o->insecure = true;
	case O_CALLS: return number(optarg, 1, 1000000, &o->max_calls);
	case O_EXTENDED: return number(optarg, 0, 1000000, &o->extended);
	case O_SEED: return text_u64(slice_of(optarg), &o->seed);
	case O_BRIEF: return o->brief = true;
	case O_TIMEOUT: return number(optarg, 1, 86400, &o->timeout);
	case O_JSON: return o->json = true;
	case 'v': return o->verbose = true;
	default: return false;
	}
}

/* The URL without its last slashes; 1500 leaves room for the longest path in any buffer. */
static bool take_url(struct probe_options *o, char *url)
{
	size_t n = strlen(url);
	while (n > 0 && url[n - 1] == '/')
		url[--n] = '\0';
	o->url = url;
	return n < 1500 && (text_starts(slice_of(url), SL("http://")) || text_starts(slice_of(url), SL("https://")));
}

static bool options_read(struct probe_options *o, int argc, char **argv)
{
	for (int c; (c = getopt_long(argc, argv, "v", known, NULL)) != -1;)
		if (!take_option(o, c))
			return false;
	if (optind + 1 == argc && !take_url(o, argv[optind]))
		fprintf(stderr, "wsus-probe: %s: a URL begins with http:// or https://\n", argv[optind]);
	else
		return optind + 1 == argc;
	return false;
}

/* ---- who we are ---- */
static char *new_client(uint64_t seed)
{
	struct guid g;
	char text[GUID_TEXT + 1];
	if (getrandom(g.b, sizeof(g.b), 0) != (ssize_t)sizeof(g.b))
		return NULL;
	if (seed != 0) {
		put_be64(g.b, seed * UINT64_C(0x9e3779b97f4a7c15));
		put_be64(g.b + 8, (seed ^ seed >> 31) * UINT64_C(0xbf58476d1ce4e5b9));
	}
	g.b[6] = (uint8_t)(0x40 | (g.b[6] & 0x0f));
	g.b[8] = (uint8_t)(0x80 | (g.b[8] & 0x3f));
	guid_text(&g, text);
	return probe_strdup(slice_of(text));
}

static int choose_client(struct probe *p, struct err *e)
{
	struct probe_state *s = &p->state;
	if (p->o->client && s->client && strcmp(p->o->client, s->client) != 0)
		return err_set(e, E_USAGE, "%s is the state of %s; give another --state FILE for --client-id %s", p->o->state,
			s->client, p->o->client);
	if (!s->client)
		s->client = p->o->client ? probe_strdup(slice_of(p->o->client)) : new_client(p->o->seed);
	p->moved = s->url && strcmp(s->url, p->o->url) != 0;
	free(s->url);
	s->url = probe_strdup(slice_of(p->o->url));
	return s->client && s->url ? E_OK : err_set(e, E_NOMEM, "out of memory");
}

/* ---- the walk ---- */
typedef int walk_fn(struct probe *p, struct err *e);

static int resume_with_recovery(struct probe *p, void *arg, struct err *e)
{
	(void)arg;
	return probe_resume(p, e);
}

static int start(struct probe *p, struct err *e)
{
	return probe_with_recovery(p, resume_with_recovery, NULL, e);
}

static int save(struct probe *p, struct err *e)
{
	return p->o->state ? probe_state_save(&p->state, p->o->state, e) : E_OK;
}

int probe_walk(struct probe *p)
{
	static walk_fn *const part[] = {start, probe_software, probe_drivers, save, probe_extended, probe_locations};
	size_t parts = p->o->brief ? 2 : COUNTOF(part);
	int rc = E_OK;
	for (size_t i = 0; rc == E_OK && i < parts; i++)
		rc = part[i](p, &p->err);
	if (rc == E_OK && p->o->download)
		rc = probe_download(p, &p->err);
	if (rc == E_OK && p->o->report)
		rc = probe_report(p, &p->err);
	return rc == E_OK ? save(p, &p->err) : rc;
}

static int probe_open(struct probe *p, const struct probe_options *o, struct err *e)
{
	struct probe_http_options h = {o->ca, o->insecure, o->plain, o->verbose && getenv("WSUS_PROBE_HTTP"), o->timeout};
	*p = (struct probe){.o = o};
	arena_init(&p->arena, (size_t)1 << 30);
	buf_init(&p->reply.body, LIMIT_REPLY);
	buf_init(&p->text, LIMIT_REPLY);
	int rc = o->state ? probe_state_load(&p->state, o->state, e) : E_OK;
	if (rc == E_NOTFOUND)
		rc = E_OK;
	if (rc == E_OK)
		rc = choose_client(p, e);
	return rc == E_OK ? probe_http_open(&p->http, &h, e) : rc;
}

static void probe_close(struct probe *p)
{
	probe_http_close(&p->http);
	probe_state_free(&p->state);
	arena_free(&p->arena);
	buf_free(&p->reply.body);
	buf_free(&p->text);
	free(p->auth_url);
	free(p->auth_cookie);
	for (size_t i = 0; i < p->files; i++)
		free(p->file[i].url);
	free(p->file);
	for (size_t k = 0; k < PROBE_PROBLEMS; k++)
		free(p->problem[k]);
}

static int run(const struct probe_options *o)
{
	struct probe p;
	int rc = probe_open(&p, o, &p.err), printed = E_OK;
	bool opened = rc == E_OK;
	if (opened)
		rc = probe_walk(&p);
	if (opened || o->json)
		printed = probe_print(&p, rc);
	else
		fprintf(stderr, "wsus-probe: %s\n", p.err.text);
	int status = rc == E_USAGE ? 2 : rc == E_OK && printed == E_OK && p.problems == 0 ? 0 : 1;
	probe_close(&p);
	return status;
}

int probe_main(int argc, char **argv)
{
	char host[200] = "localhost", name[256];
	struct probe_options o = {.installed = 100, .max_calls = 200, .extended = 500, .timeout = 300};
	if (gethostname(host, sizeof(host)) == 0)
		host[sizeof(host) - 1] = '\0';
	snprintf(name, sizeof(name), "probe-%s", host);
	o.name = name;
	if (!options_read(&o, argc, argv)) {
		fputs(usage, stderr);
		return 2;
	}
	return run(&o);
}
