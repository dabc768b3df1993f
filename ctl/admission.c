/* admission.c -- who may come: the tokens, and what nginx must know of the settings clients.*. */
#include "ctl/admission.h"

#include <errno.h>
#include <inttypes.h>

#include "common/seal.h"
#include "common/text.h"
#include "ctl/health.h"

/* ================= tokens ================= */

#define TOKENS_TEXT 1024 /* two lines of 60 bytes */

static bool take_token(struct slice line, struct token *out)
{
	char raw[TOKEN_BYTES];
	struct slice text = text_cut(&line, ' ');
	uint64_t seconds;
	if (!text_hex(text, raw, sizeof(raw)) || !text_u64(line, &seconds) || seconds > INT64_MAX / TICKS_PER_SECOND)
		return false;
	hex_text(raw, sizeof(raw), false, out->text);
	out->since = (tick_t)seconds * TICKS_PER_SECOND;
	return true;
}

static int take_tokens(struct slice rest, const char *file, struct tokens *out, struct err *e)
{
	for (unsigned no = 1; rest.n > 0; no++) {
		struct slice line = text_cut(&rest, '\n');
		if (line.n == 0)
			continue;
		if (out->n == TOKENS_MAX || !take_token(line, &out->v[out->n]))
			return err_set(e, E_FORM, "%s:%u: this is no token, or one too many; remove the file and make a token "
				"with `wsusctl client token --new`", file, no);
		out->n++;
	}
	return E_OK;
}

int tokens_load(const char *file, struct tokens *out, struct err *e)
{
	char text[TOKENS_TEXT];
	*out = (struct tokens){0};
	FILE *f = fopen(file, "re");
	if (!f)
		return errno == ENOENT ? E_OK : err_errno(e, "%s", file);
	size_t n = fread(text, 1, sizeof(text), f);
	int rc = ferror(f) ? err_errno(e, "%s", file) : E_OK;
	fclose(f);
	return rc == E_OK ? take_tokens((struct slice){text, n}, file, out, e) : rc;
}

int tokens_save(const char *file, const struct tokens *t, struct err *e)
{
	struct buf b;
	buf_init(&b, TOKENS_TEXT);
	for (unsigned i = 0; i < t->n; i++)
		buf_printf(&b, "%s %" PRId64 "\n", t->v[i].text, t->v[i].since / TICKS_PER_SECOND);
	int rc = b.rc == E_OK ? health_replace(file, buf_bytes(&b), 0600, e) : err_set(e, (enum errcode)b.rc, "out of memory");
	buf_free(&b);
	return rc;
}

int tokens_add(struct tokens *t, tick_t now, struct err *e)
{
	char raw[TOKEN_BYTES];
	if (random_bytes(raw, sizeof(raw)) != E_OK)
		return err_set(e, E_IO, "no random numbers are to be had");
	memmove(t->v + 1, t->v, (TOKENS_MAX - 1) * sizeof(t->v[0]));
	t->n = MIN(t->n + 1, (unsigned)TOKENS_MAX);
	hex_text(raw, sizeof(raw), false, t->v[0].text);
	t->v[0].since = now;
	return E_OK;
}

/* ================= for nginx ================= */

int admission_of(const struct conf *f, enum admission *out, struct err *e)
{
	struct slice v;
	int rc = conf_get(f, "clients.admission", &v, NULL, e);
	*out = slice_eq(v, SL("open")) ? ADMIT_OPEN : slice_eq(v, SL("token")) ? ADMIT_TOKEN : ADMIT_NETWORKS;
	return rc;
}

/* For those who are not admitted by what they come with: the machine itself is no stranger (its checks scan through the
 * public address), and some paths are judged by others.  With a token files stay open: their addresses, which computers
 * hand on to download services of the system, carry none. */
static void strangers(struct buf *b, const char *word, bool files_open)
{
	buf_str(b, "map \"$remote_addr $server_addr\" $wsus_stranger_here {\n"
		   "\t\"~^(\\S+) \\1$\" \"\";\n"
		   "\tdefault $wsus_stranger_there;\n}\n"
		   "map \"$wsus_shows_status $uri\" $wsus_stranger_there {\n"
		   "\t\"~^1 /(?:health|metrics)$\" \"\";\n");
	if (files_open)
		buf_str(b, "\t\"~*^[01] /content/\" \"\";\n");
	buf_printf(b, "\tdefault %s;\n}\n", word);
}

static int by_networks(const struct conf *f, struct buf *b, struct err *e)
{
	struct slice list;
	int rc = conf_get(f, "clients.networks", &list, NULL, e);
	if (rc != E_OK)
		return rc;
	buf_str(b, "geo $wsus_network {\n\tdefault 0;\n");
	for (struct slice w = text_word(&list); w.p; w = text_word(&list))
		buf_printf(b, "\t%.*s 1;\n", SLF(w));
	buf_str(b, "}\nmap $wsus_network $wsus_stranger {\n\t1 \"\";\n\tdefault $wsus_stranger_here;\n}\n");
	strangers(b, "network", false);
	return E_OK;
}

static int by_token(const struct tokens *t, struct buf *b, struct err *e)
{
	if (t->n == 0)
		return err_set(e, E_NOTFOUND, "clients.admission is token, and there is none; `wsusctl client token --new` makes one");
	buf_str(b, "map $wsus_token $wsus_stranger {\n\tdefault $wsus_stranger_here;\n");
	for (unsigned i = 0; i < t->n; i++)
		buf_printf(b, "\t%s \"\";\n", t->v[i].text);
	buf_str(b, "}\n");
	strangers(b, "token", true);
	return E_OK;
}

static const struct {
	const char *setting, *key, *zone, *unit;
	unsigned megabytes; /* 128 bytes an address: 8,000 a megabyte; a full zone forgets those that were quiet longest */
} limits[] = {
	{"clients.rate", "$wsus_peer", "wsus_rate", "r/s", 8},
	{"clients.rate-registrations", "$wsus_newcomer", "wsus_registrations", "r/m", 4},
	{"clients.rate-reports", "$wsus_peer", "wsus_reports", "r/m", 4},
};

static int zones(const struct conf *f, struct buf *b, struct err *e)
{
	for (unsigned i = 0; i < COUNTOF(limits); i++) {
		struct slice v;
		int32_t n;
		int rc = conf_get(f, limits[i].setting, &v, NULL, e);
		if (rc == E_OK && !text_i32(v, &n))
			rc = err_set(e, E_FORM, "%s is no number", limits[i].setting);
		if (rc != E_OK)
			return rc;
		buf_printf(b, "limit_req_zone %s zone=%s:%um rate=%d%s;\n", limits[i].key, limits[i].zone,
			limits[i].megabytes, (int)n, limits[i].unit);
	}
	return E_OK;
}

int admission_http(const struct conf *f, const struct tokens *t, struct buf *to, struct err *e)
{
	enum admission how;
	int rc = admission_of(f, &how, e);
	if (rc != E_OK)
		return rc;
	buf_str(to, "# Rendered from the settings clients.*: change them, then render this anew.\n");
	if (how == ADMIT_OPEN)
		buf_str(to, "map 1 $wsus_stranger {\n\tdefault \"\";\n}\n");
	else
		rc = how == ADMIT_TOKEN ? by_token(t, to, e) : by_networks(f, to, e);
	if (rc == E_OK)
		rc = zones(f, to, e);
	return rc == E_OK && to->rc != E_OK ? err_set(e, (enum errcode)to->rc, "out of memory") : rc;
}

/* nginx's error log has the line of the request as it came, which nothing can take out of it. */
int admission_server(const struct conf *f, struct buf *to, struct err *e)
{
	enum admission how;
	int rc = admission_of(f, &how, e);
	if (rc != E_OK)
		return rc;
	buf_str(to, "# Rendered from the settings clients.*: change them, then render this anew.\n");
	if (how == ADMIT_TOKEN)
		buf_str(to, "# An error's line has the address that was asked for, and that the token; access.log says what was refused.\n"
			    "error_log /dev/null emerg;\n");
	return to->rc == E_OK ? E_OK : err_set(e, (enum errcode)to->rc, "out of memory");
}
