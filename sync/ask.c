/* ask.c -- DownloadFiles: the parent is to fetch what it lacks (MS-WSUSSS 3.1.4.11, 3.2.4.4 step 3).
 *
 * An unknown digest faults the whole call, with a list of such digests in words that only some servers write: the batch is halved until
 * each of them stands alone.  Before, all is authorized anew, once (WSUSSS-DOWNLOADFILES-14). */
#include "sync/content.h"

struct asking {
	struct run *r;
	const struct sha1 *digest;
	enum asked *out;
	struct ask_spent *spent;
	struct err *why;
};

static int call_once(struct asking *w, size_t from, size_t n)
{
	struct arena a;
	struct slice digests[ASK_MOST];
	struct DownloadFilesResponse answer = {0};
	struct Cookie cookie;
	for (size_t i = 0; i < n; i++)
		digests[i] = (struct slice){(const char *)w->digest[from + i].b, sizeof(w->digest[from + i].b)};
	struct DownloadFiles request = {.cookie = &cookie, .fileDigestList = {digests, n}};
	arena_init(&a, LIMIT_REQUEST_MEMORY);
	int rc = run_cookie(w->r, &cookie, w->why);
	if (rc == E_OK)
		rc = call(w->r->caller, CALL_DOWNLOAD_FILES, &request, &answer, &a, w->why);
	arena_free(&a);
	return rc;
}

/* Is it worth another try with a new cookie? */
static bool renews(struct asking *w, int rc)
{
	bool cookie = rc == E_INVALID_COOKIE || rc == E_INVALID_AUTH_COOKIE || rc == E_SERVER_CHANGED;
	if (!(cookie && w->spent->restarts < RESTARTS) && !(rc == E_FILE_DIGESTS_MISSING && !w->spent->renewed))
		return false;
	w->spent->restarts += cookie;
	w->spent->renewed |= rc == E_FILE_DIGESTS_MISSING;
	w->r->parent.cookie = w->r->parent.expiration = SL0;
	w->r->parent.expires = 0;
	return true;
}

static int ask_range(struct asking *w, size_t from, size_t n)
{
	int rc;
	do
		rc = call_once(w, from, n);
	while (renews(w, rc));
	if (rc == E_CANCELLED || rc == E_NOMEM)
		return rc;
	if (rc == E_FILE_DIGESTS_MISSING && n > 1) {
		rc = ask_range(w, from, n / 2);
		return rc == E_OK ? ask_range(w, from + n / 2, n - n / 2) : rc;
	}
	for (size_t i = 0; i < n; i++)
		w->out[from + i] = rc == E_OK ? ASKED_ACCEPTED : rc == E_FILE_DIGESTS_MISSING ? ASKED_UNKNOWN : ASKED_FAILED;
	return E_OK;
}

int ask_parent(struct run *r, const struct sha1 *v, size_t n, enum asked *out, struct ask_spent *spent, struct err *why)
{
	struct asking w = {.r = r, .digest = v, .out = out, .spent = spent, .why = why};
	ASSERT(n > 0 && n <= ASK_MOST);
	return ask_range(&w, 0, n);
}
