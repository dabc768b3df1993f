/* credential.c -- see credential.h.  Files are read once, when a job begins: what is verified is what is used. */
#include "sync/credential.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/arena.h"
#include "common/digest.h"
#include "common/text.h"

#define PEM_BEGIN "-----BEGIN "
#define CERTIFICATE_BEGIN "-----BEGIN CERTIFICATE-----"
#define CERTIFICATE_END "-----END CERTIFICATE-----"
#define PATH_ROOM 4096

/* ---- files ---- */

static int read_all(int fd, struct buf *out)
{
	for (;;) {
		char *to = buf_room(out, 4096);
		ssize_t n = to ? read(fd, to, 4096) : 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (!to || n <= 0)
			return n < 0 ? E_IO : out->rc;
		out->n += (size_t)n;
	}
}

static int refuse_others(const char *setting, const char *path, int fd, struct err *e)
{
	struct stat st;
	if (fstat(fd, &st) != 0)
		return err_errno(e, "%s: %s", setting, path);
	if (st.st_mode & S_IRWXO)
		return err_set(e, E_REFUSED, "%s: %s is a secret that every user of this machine can read: chmod o= %s", setting, path, path);
	return E_OK;
}

/* Reads the file; out NULL: only whether that would do. */
static int read_file(const char *setting, struct slice name, bool secret, struct buf *out, struct err *e)
{
	char path[PATH_ROOM];
	snprintf(path, sizeof(path), "%.*s", SLF(name));
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return err_errno(e, "%s: %s cannot be read (it must be readable for the user that the services run as)", setting, path);
	int rc = secret ? refuse_others(setting, path, fd, e) : E_OK;
	int got = rc == E_OK && out ? read_all(fd, out) : E_OK;
	if (got == E_IO)
		rc = err_errno(e, "%s: %s", setting, path);
	else if (got != E_OK)
		rc = err_set(e, (enum errcode)got, "%s: %s is larger than any sane one", setting, path);
	close(fd);
	return rc;
}

/* ---- authorities ---- */

static struct slice find(struct slice s, const char *what)
{
	const char *p = s.n ? memmem(s.p, s.n, what, strlen(what)) : NULL;
	return p ? (struct slice){p, s.n - (size_t)(p - s.p)} : SL0;
}

/* One element of DER: its content, and *whole with its head; *s becomes what follows.  false: it is cut. */
static bool der_next(struct slice *s, struct slice *content, struct slice *whole)
{
	const uint8_t *p = (const uint8_t *)s->p;
	size_t head = 2, n;
	if (s->n < 2)
		return false;
	n = p[1];
	if (n >= 0x80) {
		size_t digits = n & 0x7f;
		if (digits == 0 || digits > 3 || s->n < 2 + digits)
			return false;
		for (n = 0; head < 2 + digits; head++)
			n = n << 8 | p[head];
	}
	if (n > s->n - head)
		return false;
	*content = (struct slice){s->p + head, n};
	*whole = (struct slice){s->p, head + n};
	*s = (struct slice){s->p + head + n, s->n - head - n};
	return true;
}

/* Certificate: SEQUENCE of { version [0]?, serial, algorithm, issuer, validity, subject, subjectPublicKeyInfo ... }, RFC 5280 4.1. */
static bool public_key(struct slice der, struct slice *key)
{
	struct slice certificate, fields, whole, content;
	if (!der_next(&der, &certificate, &whole) || !der_next(&certificate, &fields, &whole))
		return false;
	unsigned skip = fields.n && (uint8_t)fields.p[0] == 0xa0 ? 6 : 5;
	for (unsigned i = 0; i < skip; i++)
		if (!der_next(&fields, &content, &whole))
			return false;
	return der_next(&fields, &content, key);
}

static bool sum_of(struct slice bytes, struct sha256 *sum)
{
	struct digest *d = digest_new(DIGEST_SHA256);
	if (!d)
		return false;
	digest_start(d);
	digest_add(d, bytes);
	bool ok = digest_end(d, sum);
	digest_free(&d);
	return ok;
}

static void make_pin(struct slice der, char pin[CREDENTIAL_PIN])
{
	struct slice key;
	struct sha256 sum;
	struct buf b;
	buf_init(&b, CREDENTIAL_PIN);
	pin[0] = '\0';
	if (!public_key(der, &key) || !sum_of(key, &sum))
		return;
	buf_str(&b, "sha256//");
	base64_add(&b, (struct slice){(const char *)sum.b, sizeof(sum.b)});
	if (b.rc == E_OK)
		snprintf(pin, CREDENTIAL_PIN, "%.*s", SLF(buf_bytes(&b)));
	buf_free(&b);
}

bool credential_print(struct slice pem, char out[65], char pin[CREDENTIAL_PIN])
{
	struct slice begin = find(pem, CERTIFICATE_BEGIN), end = find(begin, CERTIFICATE_END), der;
	struct sha256 sum;
	struct arena a;
	arena_init(&a, CREDENTIAL_FILE);
	size_t head = sizeof(CERTIFICATE_BEGIN) - 1;
	bool ok = end.p && text_base64((struct slice){begin.p + head, (size_t)(end.p - begin.p) - head}, &a, &der) && der.n &&
		sum_of(der, &sum);
	if (ok) {
		hex_text(sum.b, sizeof(sum.b), true, out);
		make_pin(der, pin);
	}
	arena_free(&a);
	return ok;
}

static unsigned count(struct slice s, const char *what)
{
	unsigned n = 0;
	for (s = find(s, what); s.p; s = find((struct slice){s.p + 1, s.n - 1}, what))
		n++;
	return n;
}

static int check_print(struct slice path, struct slice print, struct slice pem, struct err *e)
{
	char have[65] = "", pin[CREDENTIAL_PIN];
	if (count(pem, PEM_BEGIN) != 1 || !credential_print(pem, have, pin))
		return err_set(e, E_REFUSED, "upstream.ca: %.*s must hold exactly one certificate, that of upstream.ca-fingerprint", SLF(path));
	if (!text_ieq(slice_of(have), print))
		return err_set(e, E_REFUSED, "upstream.ca: the certificate in %.*s has SHA-256 %s, not that of upstream.ca-fingerprint: "
			"fetch it again, and trust no other", SLF(path), have);
	return E_OK;
}

int credential_ca(struct slice path, struct slice print, struct buf *out, struct err *e)
{
	int rc = read_file("upstream.ca", path, false, out, e);
	if (rc != E_OK)
		return rc;
	if (!find(buf_bytes(out), CERTIFICATE_BEGIN).p)
		return err_set(e, E_FORM, "upstream.ca: no certificate in PEM form in %.*s (a DER file: openssl x509 -inform der -in FILE -out FILE.pem)",
			SLF(path));
	return print.n ? check_print(path, print, buf_bytes(out), e) : E_OK;
}

/* ---- secrets ---- */

int credential_key(const char *setting, struct slice path, struct err *e)
{
	return read_file(setting, path, true, NULL, e);
}

static char *copy(struct slice s)
{
	return alloc_should_fail() ? NULL : strndup(s.p, s.n);
}

int credential_login(const char *setting, struct slice path, struct login *out, struct err *e)
{
	struct buf text;
	buf_init(&text, 64 << 10);
	int rc = read_file(setting, path, true, &text, e);
	struct slice rest = buf_bytes(&text), password = text_cut(&rest, '\n');
	if (password.n && password.p[password.n - 1] == '\r')
		password.n--;
	struct slice user = text_cut(&password, ':');
	if (rc == E_OK && (user.n == 0 || !password.p || memchr(user.p, 0, user.n) || memchr(password.p, 0, password.n)))
		rc = err_set(e, E_FORM, "%s: the first line of %.*s must be USER:PASSWORD", setting, SLF(path));
	if (rc == E_OK) {
		out->user = copy(user);
		out->password = copy(password);
		rc = out->user && out->password ? E_OK : err_set(e, E_NOMEM, "no memory for a login");
	}
	if (text.p)
		explicit_bzero(text.p, text.cap);
	buf_free(&text);
	return rc;
}

static void forget(char **secret)
{
	if (*secret)
		explicit_bzero(*secret, strlen(*secret));
	free(*secret);
	*secret = NULL;
}

void credential_login_free(struct login *l)
{
	forget(&l->user);
	forget(&l->password);
}
