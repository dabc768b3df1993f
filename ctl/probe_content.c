/* probe_content.c -- what a client asks for once it knows what it is offered: extended information, file
 * locations, and the files by ranges, each against its size and digests. */
#include "ctl/probe.h"

#include <stdlib.h>

#include "common/digest.h"
#include "common/text.h"
#include "common/wusp.h"

#define SAMPLE 20   /* updates asked for when nothing is offered */
#define NESTING 16  /* bundles in bundles; three deep is the deepest seen */

/* ---- which updates ---- */
struct wanted {
	int32_t *id;
	size_t n, max;
	bool *seen; /* by place in the cache */
};

static void want(const struct probe *p, struct wanted *w, const struct probe_update *u, unsigned depth)
{
	size_t at = (size_t)(u - p->state.cache.v);
	if (w->n == w->max || w->seen[at])
		return;
	w->seen[at] = p->state.cache.v[at].asked = true;
	w->id[w->n++] = u->id;
	for (uint32_t k = 0; k < u->members && depth < NESTING; k++) {
		const struct probe_update *m =
			probe_cache_by_identity(&p->state.cache, &u->member[k].update, u->member[k].revision);
		if (m)
			want(p, w, m, depth + 1);
	}
}

static bool is_offered(const struct probe_update *u)
{
	return u->action == PROBE_INSTALL || u->action == PROBE_OPTIONAL;
}

static void want_all(const struct probe *p, struct wanted *w)
{
	const struct probe_cache *c = &p->state.cache;
	for (size_t i = 0; i < c->n; i++)
		if (is_offered(&c->v[i]))
			want(p, w, &c->v[i], 0);
	size_t before = w->n;
	for (size_t i = 0; before == 0 && i < c->n && w->n < SAMPLE; i++)
		if (c->v[i].action == PROBE_PRE_DEPLOYMENT)
			want(p, w, &c->v[i], 0);
}

/* ---- files ---- */
static struct probe_file *find_file(const struct probe *p, const uint8_t *sha1)
{
	for (size_t i = 0; i < p->files; i++)
		if (memcmp(p->file[i].sha1.b, sha1, sizeof(p->file[i].sha1.b)) == 0)
			return &p->file[i];
	return NULL;
}

static int keep_file(struct probe *p, const struct probe_file *f, struct err *e)
{
	const struct probe_file *old = find_file(p, f->sha1.b);
	if (old && old->size != f->size)
		probe_problem(p, "file %s: two sizes for one digest, %ju and %ju", f->name, (uintmax_t)old->size,
			(uintmax_t)f->size);
	if (old)
		return E_OK;
	if (p->files == p->file_cap) {
		size_t cap = p->file_cap ? p->file_cap * 2 : 64;
		struct probe_file *v = realloc(p->file, cap * sizeof(*v));
		if (!v)
			return err_set(e, E_NOMEM, "out of memory");
		p->file = v;
		p->file_cap = cap;
	}
	p->file[p->files++] = *f;
	return E_OK;
}

static int keep_files(struct probe *p, int32_t id, struct slice xml, struct err *e)
{
	struct probe_file *v;
	size_t n;
	int rc = probe_files_read(xml, &v, &n, &p->arena, e);
	if (rc == E_FORM || rc == E_LIMIT) {
		probe_problem(p, "revision %d: its Extended fragment: %s", id, e->text);
		return E_OK;
	}
	for (size_t i = 0; rc == E_OK && i < n; i++) {
		v[i].owner = id;
		rc = keep_file(p, &v[i], e);
	}
	return rc;
}

static int keep_location(struct probe *p, const struct FileLocation *l, struct err *e)
{
	struct probe_file *f = l->FileDigest.n == 20 ? find_file(p, (const uint8_t *)l->FileDigest.p) : NULL;
	if (!f || l->Url.n == 0) /* EULA files have locations too */
		return E_OK;
	free(f->url);
	f->url = probe_strdup(l->Url);
	return f->url ? E_OK : err_set(e, E_NOMEM, "out of memory");
}

/* ---- GetExtendedUpdateInfo ---- */
struct batch {
	const int32_t *id; /* ascending */
	size_t n;
};

static int compare_ids(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
	return (x > y) - (x < y);
}

/* What came for each update of the batch. */
struct got {
	unsigned extended, localized;
};

static struct got *got_for(const struct batch *b, struct got *got, int32_t id)
{
	const int32_t *at = bsearch(&id, b->id, b->n, sizeof(*b->id), compare_ids);
	return at ? &got[at - b->id] : NULL;
}

static int take_fragment(struct probe *p, const struct batch *b, struct got *got, const struct UpdateData *u,
	struct err *e)
{
	struct slice xml;
	struct got *g = got_for(b, got, u->ID);
	int rc = probe_fragment(p, &u->Xml, &xml, e);
	if (rc != E_OK && rc != E_FORM)
		return rc;
	if (rc == E_FORM || !g) {
		probe_problem(p, "revision %d: %s", u->ID, g ? e->text : "its fragments were not asked for");
		return E_OK;
	}
	bool localized = text_starts(xml, SL("<LocalizedProperties"));
	g->localized += localized;
	g->extended += !localized;
	return localized ? E_OK : keep_files(p, u->ID, xml, e);
}

static int take_extended(struct probe *p, const struct batch *b, const struct ExtendedUpdateInfo *x, struct err *e)
{
	struct got *got = ARENA_ARRAY(&p->arena, struct got, b->n);
	int rc = got ? E_OK : err_set(e, E_NOMEM, "out of memory");
	for (size_t k = 0; rc == E_OK && k < x->Updates.n; k++)
		rc = take_fragment(p, b, got, &x->Updates.v[k], e);
	for (size_t k = 0; rc == E_OK && k < x->FileLocations.n; k++)
		rc = keep_location(p, &x->FileLocations.v[k], e);
	for (size_t i = 0; rc == E_OK && i < b->n; i++)
		if (got[i].extended != 1 || got[i].localized == 0)
			probe_problem(p, "revision %d: %u Extended and %u LocalizedProperties fragments", b->id[i], got[i].extended,
				got[i].localized);
	probe_items(p, STEP_EXTENDED, x->Updates.n);
	return rc;
}

static int extended_batch(struct probe *p, void *arg, struct err *e)
{
	const struct batch *b = arg;
	struct slice types[] = {SL("Extended"), SL("LocalizedProperties")}, locales[] = {SL("en-US"), SL("en")};
	struct GetExtendedUpdateInfo in = {.cookie = probe_cookie(p), .GeoId = SL("USA")};
	struct GetExtendedUpdateInfoResponse out;
	in.revisionIDs = (struct wints){(int32_t *)(uintptr_t)b->id, b->n};
	in.infoTypes = (struct wstrs){types, COUNTOF(types)};
	in.locales = (struct wstrs){locales, COUNTOF(locales)};
	int rc = probe_call(p, PROBE_EXTENDED, &in, &out, e);
	if (rc == E_OK && !out.GetExtendedUpdateInfoResult)
		rc = err_set(e, E_FORM, "GetExtendedUpdateInfo: an answer without its result");
	if (rc == E_OK)
		rc = take_extended(p, b, out.GetExtendedUpdateInfoResult, e);
	probe_call_end(p);
	return rc;
}

int probe_extended(struct probe *p, struct err *e)
{
	struct wanted w = {.max = p->o->extended};
	size_t step = p->state.per_request > 0 ? (size_t)p->state.per_request : LIMIT_EXTENDED_DEFAULT;
	w.id = calloc(w.max + 1, sizeof(*w.id));
	w.seen = calloc(p->state.cache.n + 1, sizeof(*w.seen));
	int rc = w.id && w.seen ? E_OK : err_set(e, E_NOMEM, "out of memory");
	if (rc == E_OK)
		want_all(p, &w);
	qsort(w.id, w.n, sizeof(*w.id), compare_ids);
	for (size_t i = 0; rc == E_OK && i < w.n; i += step) {
		struct batch b = {w.id + i, MIN(w.n - i, step)};
		rc = probe_with_recovery(p, extended_batch, &b, e);
	}
	free(w.id);
	free(w.seen);
	return rc;
}

/* ---- GetFileLocations ---- */
static int take_locations(struct probe *p, const struct GetFileLocations *in, const struct GetFileLocationsResults *r,
	struct err *e)
{
	int rc = r->NewCookie ? probe_cookie_keep(p, r->NewCookie, e) : E_OK;
	for (size_t i = 0; rc == E_OK && i < in->fileDigests.n; i++) {
		size_t k = 0;
		while (k < r->FileLocations.n && !slice_eq(r->FileLocations.v[k].FileDigest, in->fileDigests.v[i]))
			k++;
		struct probe_file *f = find_file(p, (const uint8_t *)in->fileDigests.v[i].p);
		if (k == r->FileLocations.n)
			probe_problem(p, "file %s: GetFileLocations gives no location", f ? f->name : "?");
		else
			rc = keep_location(p, &r->FileLocations.v[k], e);
	}
	probe_items(p, STEP_LOCATIONS, r->FileLocations.n);
	return rc;
}

static int locations_from(struct probe *p, void *arg, struct err *e)
{
	size_t first = *(const size_t *)arg, n = MIN(p->files - first, (size_t)PROBE_LOCATIONS);
	struct GetFileLocations in = {.cookie = probe_cookie(p)};
	struct GetFileLocationsResponse out;
	in.fileDigests.v = ARENA_ARRAY(&p->arena, struct slice, n);
	in.fileDigests.n = n;
	if (!in.fileDigests.v)
		return err_set(e, E_NOMEM, "out of memory");
	for (size_t i = 0; i < n; i++)
		in.fileDigests.v[i] = (struct slice){(const char *)p->file[first + i].sha1.b, 20};
	int rc = probe_call(p, PROBE_FILE_LOCATIONS, &in, &out, e);
	if (rc == E_OK && !out.GetFileLocationsResult)
		rc = err_set(e, E_FORM, "GetFileLocations: an answer without its result");
	if (rc == E_OK)
		rc = take_locations(p, &in, out.GetFileLocationsResult, e);
	probe_call_end(p);
	return rc;
}

int probe_locations(struct probe *p, struct err *e)
{
	int rc = E_OK;
	for (size_t first = 0; rc == E_OK && first < p->files; first += PROBE_LOCATIONS)
		rc = probe_with_recovery(p, locations_from, &first, e);
	return rc;
}

/* ---- the files themselves ---- */
struct digests {
	struct digest *sha1, *sha256;
};

static bool digests_start(struct digests *d)
{
	*d = (struct digests){digest_new(DIGEST_SHA1), digest_new(DIGEST_SHA256)};
	if (!d->sha1 || !d->sha256)
		return false;
	digest_start(d->sha1);
	digest_start(d->sha256);
	return true;
}

/* false: the range is not as asked for, and the file is given up. */
static bool check_range(struct probe *p, const struct probe_file *f, uint64_t first, uint64_t last)
{
	char want[64];
	const struct probe_reply *r = &p->reply;
	snprintf(want, sizeof(want), "bytes %ju-%ju/%ju", (uintmax_t)first, (uintmax_t)last, (uintmax_t)f->size);
	if (r->status != 206)
		probe_problem(p, "file %s: HTTP %d instead of 206 for %s; %s", f->url, r->status, want,
			probe_http_hint(r->status));
	else if (strcmp(r->range, want) != 0)
		probe_problem(p, "file %s: Content-Range is \"%s\", not \"%s\"", f->url, r->range, want);
	else if (r->body.n != last - first + 1)
		probe_problem(p, "file %s: %zu bytes for %s", f->url, r->body.n, want);
	else
		return true;
	return false;
}

static int fetch(struct probe *p, const struct probe_file *f, struct digests *d, bool *whole, struct err *e)
{
	*whole = true;
	for (uint64_t at = 0; *whole && at < f->size; at += PROBE_RANGE) {
		uint64_t last = MIN(f->size, at + PROBE_RANGE) - 1, start = probe_usec();
		int rc = probe_http_range(p->http, f->url, at, last, &p->reply, e);
		if (rc != E_OK)
			return rc;
		struct probe_count *c = &p->count[STEP_DOWNLOAD];
		c->calls++;
		c->wire += p->reply.wire;
		c->plain += p->reply.body.n;
		c->usec += probe_usec() - start;
		*whole = check_range(p, f, at, last);
		digest_add(d->sha1, buf_bytes(&p->reply.body));
		digest_add(d->sha256, buf_bytes(&p->reply.body));
	}
	return E_OK;
}

static void check_digests(struct probe *p, struct probe_file *f, struct digests *d)
{
	uint8_t sha1[20], sha256[32];
	f->done = digest_end(d->sha1, sha1) && digest_end(d->sha256, sha256);
	if (memcmp(sha1, f->sha1.b, sizeof(sha1)) != 0)
		probe_problem(p, "file %s: its SHA-1 is not the metadata's", f->url);
	else if (f->has_sha256 && memcmp(sha256, f->sha256.b, sizeof(sha256)) != 0)
		probe_problem(p, "file %s: its SHA-256 is not the metadata's", f->url);
	else if (f->done) {
		p->downloaded++;
		probe_items(p, STEP_DOWNLOAD, 1);
	}
}

static int download_one(struct probe *p, struct probe_file *f, struct err *e)
{
	struct digests d;
	bool whole = false;
	int rc = digests_start(&d) ? fetch(p, f, &d, &whole, e) : err_set(e, E_NOMEM, "out of memory");
	if (rc == E_OK && whole)
		check_digests(p, f, &d);
	digest_free(&d.sha1);
	digest_free(&d.sha256);
	return rc;
}

int probe_download(struct probe *p, struct err *e)
{
	int rc = E_OK;
	for (size_t i = 0; rc == E_OK && i < p->files; i++) {
		if (p->file[i].url)
			rc = download_one(p, &p->file[i], e);
		else
			probe_problem(p, "file %s has no location", p->file[i].name);
	}
	return err_at(e, rc, "download: ");
}
