/* sync_data.c -- what a downstream server takes over: lists of revisions, their documents, the keys of their files, and
 * what is asked about drivers.  MS-WSUSSS 3.1.4.5 to 3.1.4.8, 3.1.4.18. */
#include <stdlib.h>

#include "cgi/sync.h"
#include "common/text.h"

/* ================= GetRevisionIdList, 3.1.4.5 ================= */

SHARED_CHECK(GetRevisionIdList)
{
	return in->filter ? E_OK : call_bad(c, "filter"); /* WSUSSS-REVLIST-05 */
}

/* An entry of Languages with Delta false asks for all of it anew.  Which of our documents have that language nobody keeps,
 * so that it is all of everything: WSUSSS-REVLIST-22, A-08. */
static bool wants_all_again(const struct ServerSyncFilter *f)
{
	for (size_t i = 0; i < f->Languages.n; i++)
		if (!f->Languages.v[i].Delta)
			return true;
	return false;
}

static const struct sync_choice *choices(struct call *c, const struct IdAndDelta *v, size_t n)
{
	struct sync_choice *to = ARENA_ARRAY(c->a, struct sync_choice, n);
	for (size_t i = 0; to && i < n; i++)
		to[i] = (struct sync_choice){v[i].Id, v[i].Delta};
	return to;
}

/* DssProtocolVersion and Get63LanguageOnly say nothing here (WSUSSS-REVLIST-06, A-08), and in a list of the configuration
 * no choice does (WSUSSS-REVLIST-16). */
static int take_sync_filter(struct call *c, const struct ServerSyncFilter *f, struct sync_filter *to)
{
	uint32_t point;
	int rc = call_anchor(c, f->Anchor, "filter", c->state.epoch, &point);
	if (rc != E_OK)
		return rc;
	*to = (struct sync_filter){.config = f->GetConfig, .after = wants_all_again(f) ? 0 : point};
	if (f->GetConfig)
		return E_OK;
	to->ncategory = f->Categories.n;
	to->nclassification = f->Classifications.n;
	to->category = choices(c, f->Categories.v, to->ncategory);
	to->classification = choices(c, f->Classifications.v, to->nclassification);
	return to->category && to->classification ? E_OK : call_fail(c, E_NOMEM, "no memory for the filter");
}

static int list_revisions(struct call *c, const struct sync_filter *f, struct RevisionIdList *to)
{
	struct sync *s;
	int32_t *ids;
	size_t n;
	int rc = sync_open(c->txn, c->a, &s, &c->err);
	if (rc == E_OK)
		rc = sync_list(s, f, &ids, &n, &c->err);
	if (rc != E_OK)
		return rc;
	struct UpdateIdentity *v = ARENA_ARRAY(c->a, struct UpdateIdentity, n);
	if (!v)
		return call_fail(c, E_NOMEM, "no memory for %zu identities", n);
	for (size_t i = 0; i < n; i++)
		sync_identity(s, ids[i], &v[i].UpdateID, &v[i].RevisionNumber);
	to->NewRevisions.v = v;
	to->NewRevisions.n = n;
	return E_OK;
}

/* All of it in one answer, whatever its size (WSUSSS-REVLIST-27). */
SHARED_HANDLER(GetRevisionIdList)
{
	struct sync_filter f;
	struct RevisionIdList *r = ARENA_NEW(c->a, struct RevisionIdList);
	if (!r)
		return call_fail(c, E_NOMEM, "no memory for the list");
	int rc = take_sync_filter(c, in->filter, &f);
	if (rc == E_OK)
		rc = list_revisions(c, &f, r);
	if (rc != E_OK)
		return rc;
	r->Anchor = call_new_anchor(c, c->state.epoch);
	if (!f.config)
		worker_saw(c->w, &c->client, DOWNSTREAM_LISTED);
	out->GetRevisionIdListResult = r;
	return r->Anchor.p ? E_OK : call_fail(c, E_NOMEM, "no memory for the anchor");
}

/* ================= GetUpdateData, 3.1.4.6 ================= */

/* An empty list is none of the faults: WSUSSS-UPDATEDATA-04, -05. */
static int check_identities(struct call *c, const struct UpdateIdentity *v, size_t n)
{
	return v && n <= LIMIT_SYNC_UPDATES ? E_OK : call_bad(c, "updateIds");
}

SHARED_CHECK(GetUpdateData)
{
	return check_identities(c, in->updateIds.v, in->updateIds.n);
}

/* A real server answers none of them if it lacks one (facts 6): the peer is to learn that its list is of another time. */
static int unknown_identity(struct call *c, const struct UpdateIdentity *u)
{
	char id[GUID_TEXT + 1];
	guid_text(&u->UpdateID, id);
	snprintf(c->remedy, sizeof(c->remedy),
		"nothing, if it was purged meanwhile: the downstream server's next synchronization lists what there is");
	return call_fail(c, E_REFUSED, "no revision %s:%d", id, u->RevisionNumber);
}

/* Exactly that revision, of whatever kind (WSUSSS-UPDATEDATA-06). */
static int find_revision(struct call *c, const struct UpdateIdentity *u, int32_t *id)
{
	int rc = sync_find(c->txn, &u->UpdateID, u->RevisionNumber, id);
	return rc == E_OK || rc == E_NOTFOUND ? rc : call_fail(c, rc, "identity: %s", err_name(rc));
}

/* The revisions asked for, in that order, as often as they are named. */
static int find_revisions(struct call *c, const struct UpdateIdentity *v, size_t n, int32_t *ids)
{
	for (size_t i = 0; i < n; i++) {
		int rc = find_revision(c, &v[i], &ids[i]);
		if (rc != E_OK)
			return rc == E_NOTFOUND ? unknown_identity(c, &v[i]) : rc;
	}
	return E_OK;
}

/* One answer under construction. */
struct update_data {
	struct call *c;
	uint64_t bytes;      /* of documents, as a peer without xpress gets them */
	struct sha1 *digest; /* of the files of its items */
	size_t ndigest, digest_cap;
};

/* Bytes on the wire of a peer that takes no xpress. */
static uint64_t plain_bytes(const struct frag *f)
{
	uint64_t n = 0;
	for (size_t i = 0; i < f->n; i++)
		n += f->v[i].plain;
	return n;
}

static int add_digest(struct update_data *x, const struct sha1 *d)
{
	struct sha1 *v = ARENA_MORE(x->c->a, x->digest, x->ndigest, &x->digest_cap);
	if (!v)
		return call_fail(x->c, E_NOMEM, "no memory for digests");
	x->digest = v;
	x->digest[x->ndigest++] = *d;
	return E_OK;
}

/* FileDigestList has what /Update/Files/File names, the files that MS-WSUSSS 3.1.1.1 means; a peer lays it beside those
 * elements.  Licences are files of other elements and are left out of it, but their addresses are not: a peer that keeps
 * content fetches them, too, and learns nowhere else from where. */
static int add_files(struct update_data *x, int32_t id, struct wstrs *list)
{
	struct revision_file *f;
	size_t n;
	int rc = revision_files(x->c->txn, id, &f, &n, &x->c->err);
	struct slice *v = rc == E_OK && n > 0 ? ARENA_ARRAY(x->c->a, struct slice, n) : NULL;
	if (rc != E_OK || n == 0)
		return rc;
	if (!v)
		return call_fail(x->c, E_NOMEM, "no memory for %zu files", n);
	for (size_t i = 0; rc == E_OK && i < n; i++) {
		if (!f[i].eula)
			v[list->n++] = (struct slice){(const char *)f[i].digest.b, sizeof(f[i].digest.b)};
		rc = add_digest(x, &f[i].digest);
	}
	list->v = list->n > 0 ? v : NULL; /* absent if there is none: WSUSSS-UPDATEDATA-16 */
	return rc;
}

/* The document goes as it lies in the store, escaped and packed: WSUSSS-UPDATEDATA-11, -22. */
static int fill_update(struct update_data *x, int32_t id, const struct UpdateIdentity *as, struct ServerSyncUpdateData *to)
{
	int rc = fragment_get(x->c->txn, id, FRAG_ORIGINAL, SL0, SL0, &to->XmlUpdateBlob, &x->c->err);
	if (rc != E_OK)
		return rc == E_NOTFOUND ? call_fail(x->c, E_CORRUPT, "revision %d has no document", id) : rc;
	to->Id = (struct UpdateIdentity *)(uintptr_t)as;
	x->bytes += plain_bytes(&to->XmlUpdateBlob);
	return E_OK;
}

/* As many as go into one answer, the first in any case; a peer asks again for the others: WSUSSS-UPDATEDATA-23, A-13. */
static int fill_updates(struct update_data *x, const int32_t *ids, const struct UpdateIdentity *as, size_t n,
	struct ServerUpdateData *to)
{
	struct ServerSyncUpdateData *v = ARENA_ARRAY(x->c->a, struct ServerSyncUpdateData, n);
	if (!v)
		return call_fail(x->c, E_NOMEM, "no memory for %zu updates", n);
	to->updates.v = v;
	for (size_t i = 0; i < n; i++) {
		int rc = fill_update(x, ids[i], &as[i], &v[i]);
		if (rc == E_OK && i > 0 && x->bytes > LIMIT_SYNC_BYTES)
			return E_OK;
		if (rc == E_OK)
			rc = add_files(x, ids[i], &v[i].FileDigestList);
		if (rc != E_OK)
			return rc;
		to->updates.n = i + 1;
	}
	return E_OK;
}

static int by_digest(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct sha1));
}

/* MUUrl only if there is one; UssUrl stands there empty, as real servers have it (facts 6). */
static int fill_url(struct call *c, const struct sha1 *d, struct ServerSyncUrlData *to)
{
	struct file f;
	int rc = file_get(c->txn, d, &f, &c->err);
	if (rc != E_OK)
		return rc == E_NOTFOUND ? call_fail(c, E_CORRUPT, "a revision names a file that has no row") : rc;
	to->FileDigest = (struct slice){(const char *)d->b, sizeof(d->b)};
	to->MUUrl = f.mu_url.n > 0 ? f.mu_url : SL0;
	to->UssUrl = SL("");
	return E_OK;
}

/* Each file once, however many of the revisions name it: a peer keeps addresses by digest. */
static int fill_urls(struct update_data *x, struct ServerUpdateData *to)
{
	struct ServerSyncUrlData *v = ARENA_ARRAY(x->c->a, struct ServerSyncUrlData, x->ndigest);
	int rc = v ? E_OK : call_fail(x->c, E_NOMEM, "no memory for %zu addresses", x->ndigest);
	if (x->ndigest > 0)
		qsort(x->digest, x->ndigest, sizeof(*x->digest), by_digest);
	to->fileUrls.v = v;
	for (size_t i = 0; rc == E_OK && i < x->ndigest; i++)
		if (i == 0 || by_digest(&x->digest[i - 1], &x->digest[i]) != 0)
			rc = fill_url(x->c, &x->digest[i], &v[to->fileUrls.n++]);
	return rc;
}

SHARED_HANDLER(GetUpdateData)
{
	const struct UpdateIdentity *as = in->updateIds.v;
	struct update_data x = {.c = c};
	struct ServerUpdateData *r = ARENA_NEW(c->a, struct ServerUpdateData);
	int32_t *ids = ARENA_ARRAY(c->a, int32_t, in->updateIds.n);
	if (!r || !ids)
		return call_fail(c, E_NOMEM, "no memory for update data");
	int rc = find_revisions(c, as, in->updateIds.n, ids);
	if (rc == E_OK)
		rc = fill_updates(&x, ids, as, in->updateIds.n, r);
	if (rc == E_OK)
		rc = fill_urls(&x, r);
	out->GetUpdateDataResult = r;
	return rc;
}

/* ================= GetUpdateDecryptionData, 3.1.4.18 ================= */

SHARED_CHECK(GetUpdateDecryptionData)
{
	return check_identities(c, in->updateIds.v, in->updateIds.n);
}

static int fill_key(struct call *c, const struct sha1 *d, struct ServerSyncFileDecryption *to)
{
	struct file f;
	int rc = file_get(c->txn, d, &f, &c->err);
	if (rc != E_OK)
		return rc == E_NOTFOUND ? call_fail(c, E_CORRUPT, "a revision names a file that has no row") : rc;
	to->FileDigest = (struct slice){(const char *)d->b, sizeof(d->b)};
	to->DecryptionKey = f.key.n > 0 ? f.key : SL0; /* WSUSSS-DECRYPTION-07 */
	return E_OK;
}

/* All files of a revision, with a key or not; licences are never encrypted and no content files (add_files()). */
static int fill_keys(struct call *c, int32_t id, struct ServerSyncUpdateFileDecryption *to)
{
	struct revision_file *f;
	size_t n;
	int rc = revision_files(c->txn, id, &f, &n, &c->err);
	if (rc != E_OK)
		return rc;
	struct ServerSyncFileDecryption *v = ARENA_ARRAY(c->a, struct ServerSyncFileDecryption, n);
	if (!v)
		return call_fail(c, E_NOMEM, "no memory for %zu keys", n);
	to->FileDecryptionData.v = v;
	for (size_t i = 0; rc == E_OK && i < n; i++)
		if (!f[i].eula)
			rc = fill_key(c, &f[i].digest, &v[to->FileDecryptionData.n++]);
	return rc;
}

/* Revisions that are not here or have no file say nothing (WSUSSS-DECRYPTION-06). */
SHARED_HANDLER(GetUpdateDecryptionData)
{
	struct ServerDecryptionData *r = ARENA_NEW(c->a, struct ServerDecryptionData);
	struct ServerSyncUpdateFileDecryption *v = ARENA_ARRAY(c->a, struct ServerSyncUpdateFileDecryption, in->updateIds.n);
	if (!r || !v)
		return call_fail(c, E_NOMEM, "no memory for decryption data");
	size_t n = 0;
	for (size_t i = 0; i < in->updateIds.n; i++) {
		int32_t id;
		struct UpdateIdentity *u = &in->updateIds.v[i];
		int rc = find_revision(c, u, &id);
		if (rc == E_NOTFOUND)
			continue;
		v[n] = (struct ServerSyncUpdateFileDecryption){.UpdateId = u};
		if (rc == E_OK)
			rc = fill_keys(c, id, &v[n]);
		if (rc != E_OK)
			return rc;
		n += v[n].FileDecryptionData.n > 0;
	}
	r->UpdateFileDecryptionData.v = v;
	r->UpdateFileDecryptionData.n = n;
	out->GetUpdateDecryptionDataResult = r;
	return E_OK;
}

/* ================= GetDriverIdList, 3.1.4.7, and GetDriverSetData, 3.1.4.8 =================
 *
 * Only Microsoft Update sorts drivers by hardware.  Other servers list them with the software, publish 0 for each of the
 * three limits and are asked for no driver: what remains are the answers to requests without an id, and the faults of all
 * others. */

SHARED_CHECK(GetDriverIdList)
{
	uint32_t point;
	if (!in->filter)
		return call_bad(c, "filter");
	int rc = call_anchor(c, in->filter->Anchor, "filter", c->state.epoch, &point);
	if (rc == E_OK && in->filter->ComputerIds.n > LIMIT_SYNC_COMPUTER_IDS)
		rc = call_bad(c, "filter.ComputerIds");
	if (rc == E_OK && in->filter->PnpHardwareIds.n > LIMIT_SYNC_HARDWARE_IDS)
		rc = call_bad(c, "filter.PnpHardwareIds");
	return rc;
}

SHARED_HANDLER(GetDriverIdList)
{
	struct DriverSetAndRevisionIdList *r = ARENA_NEW(c->a, struct DriverSetAndRevisionIdList);
	if (!r)
		return call_fail(c, E_NOMEM, "no memory for the list");
	r->NewRevisions.v = arena_alloc(c->a, 0, 1);
	r->NewDriverSets.v = arena_alloc(c->a, 0, 1);
	r->RemovedDriverSets.v = arena_alloc(c->a, 0, 1);
	r->Anchor = call_new_anchor(c, c->state.epoch);
	out->GetDriverIdListResult = r;
	(void)in;
	return c->a->failed ? call_fail(c, E_NOMEM, "no memory for the list") : E_OK;
}

SHARED_CHECK(GetDriverSetData)
{
	return in->driverSets.v && in->driverSets.n <= LIMIT_SYNC_DRIVER_SETS ? E_OK : call_bad(c, "driverSets");
}

SHARED_HANDLER(GetDriverSetData)
{
	struct ServerDriverSetData *r = ARENA_NEW(c->a, struct ServerDriverSetData);
	struct ServerSyncDriverSetData *none = arena_alloc(c->a, 0, 1);
	if (!r || !none)
		return call_fail(c, E_NOMEM, "no memory for the answer");
	r->DriverSets.v = none;
	out->GetDriverSetDataResult = r;
	(void)in;
	return E_OK;
}
