/* revision.c -- updates, revisions and their identities, relations, fragments.
 *
 * An update is a row from the moment anybody names its guid (prerequisites name updates that we may never
 * hold); `known` tells whether a revision of it is held. */
#include <stdlib.h>

#include "common/buf.h"
#include "store/db.h"
#include "store/langpack.h"

const char *const update_type_names[TYPE__N] = {
	[TYPE_SOFTWARE] = "Software",
	[TYPE_DRIVER] = "Driver",
	[TYPE_CATEGORY] = "Category",
	[TYPE_DETECTOID] = "Detectoid",
};

/* ================= updates ================= */

#define UPDATE_DECLINED 1u
#define UPDATE_KNOWN 2u
#define UPDATE_RECORD 1024 /* bytes, the name of the one who declined included */

static int update_decode(uint32_t no, struct slice value, struct update *out)
{
	struct rec r = rec_of(value, 1);
	*out = (struct update){.no = no};
	rec_bytes(&r, &out->id, sizeof(out->id));
	uint8_t flags = rec_u8(&r);
	out->declined = flags & UPDATE_DECLINED;
	out->known = flags & UPDATE_KNOWN;
	out->declined_at = (tick_t)rec_u64(&r);
	out->declined_by = rec_str(&r);
	return rec_end(&r);
}

int update_put(struct txn *t, const struct update *u, struct err *e)
{
	struct buf b;
	rec_begin(&b, 1, UPDATE_RECORD);
	buf_add(&b, &u->id, sizeof(u->id));
	buf_char(&b, (char)((u->declined ? UPDATE_DECLINED : 0) | (u->known ? UPDATE_KNOWN : 0)));
	rec_put_u64(&b, (uint64_t)u->declined_at);
	rec_put_str(&b, u->declined_by);
	struct key k = key_u32(u->no);
	return db_put_rec(t, DB_UPDATE, key_bytes(&k), &b, e);
}

int update_get(struct txn *t, uint32_t no, struct update *out, struct err *e)
{
	struct key k = key_u32(no);
	struct slice v;
	int rc = db_get(t, DB_UPDATE, key_bytes(&k), &v);
	if (rc != E_OK)
		return err_set(e, (enum errcode)rc, "no update has the number %u", (unsigned)no);
	rc = update_decode(no, v, out);
	return rc == E_OK ? rc : err_set(e, E_CORRUPT, "the record of update %u cannot be read", (unsigned)no);
}

int update_find(struct txn *t, const struct guid *id, uint32_t *no)
{
	struct key k = key_guid(id);
	struct slice v;
	int rc = db_get(t, DB_UPDATE_ID, key_bytes(&k), &v);
	if (rc == E_OK && v.n != 4)
		rc = E_CORRUPT;
	if (rc == E_OK)
		*no = get_be32(v.p);
	return rc;
}

int update_number(struct txn *t, const struct guid *id, uint32_t *no, struct err *e)
{
	int rc = update_find(t, id, no);
	if (rc != E_NOTFOUND)
		return rc == E_OK ? rc : err_set(e, (enum errcode)rc, "the number of an update cannot be read");
	struct update u = {.id = *id};
	rc = counter_next(t, COUNT_UPDATE, &u.no, e);
	if (rc == E_OK)
		rc = update_put(t, &u, e);
	if (rc != E_OK)
		return rc;
	struct key k = key_guid(id), v = key_u32(u.no);
	*no = u.no;
	return db_put(t, DB_UPDATE_ID, key_bytes(&k), key_bytes(&v), e);
}

static int update_set_known(struct txn *t, uint32_t no, bool known, struct err *e)
{
	struct update u;
	int rc = update_get(t, no, &u, e);
	if (rc != E_OK || u.known == known)
		return rc;
	u.known = known;
	return update_put(t, &u, e);
}

/* ================= revisions ================= */

/* What lists show.  Full texts are in the fragments; these are cut so that a record stays below 2,000 bytes
 * and thus inside its leaf page. */
#define TITLE_KEPT 1000
#define KB_KEPT 400
#define WORD_KEPT 64
#define REVISION_RECORD 2000

static struct slice cut(struct slice s, size_t max)
{
	if (s.n <= max)
		return s;
	while (max > 0 && ((unsigned char)s.p[max] & 0xC0) == 0x80)
		max--; /* not inside a UTF-8 sequence */
	return (struct slice){s.p, max};
}

static int revision_decode(int32_t id, struct slice value, struct revision *out)
{
	struct rec r = rec_of(value, 1);
	*out = (struct revision){.id = id};
	out->update_no = rec_u32(&r);
	rec_bytes(&r, &out->update, sizeof(out->update));
	out->number = (int32_t)rec_u32(&r);
	uint8_t type = rec_u8(&r), category = rec_u8(&r);
	out->flags = rec_u32(&r);
	out->deployment_id = rec_u32(&r);
	out->imported = (tick_t)rec_u64(&r);
	out->created = (tick_t)rec_u64(&r);
	out->published = (tick_t)rec_u64(&r);
	out->doc_bytes = rec_u64(&r);
	rec_bytes(&r, &out->doc_digest, sizeof(out->doc_digest));
	rec_bytes(&r, &out->eula, sizeof(out->eula));
	out->max_download = rec_u64(&r);
	out->title = rec_str(&r);
	out->kb = rec_str(&r);
	out->severity = rec_str(&r);
	out->language = rec_str(&r);
	if (type >= TYPE__N || category > CAT_OTHER)
		return E_CORRUPT;
	out->type = (enum update_type)type;
	out->category_type = (enum category_type)category;
	return rec_end(&r);
}

static void revision_encode(struct buf *b, const struct revision *v)
{
	rec_begin(b, 1, REVISION_RECORD);
	rec_put_u32(b, v->update_no);
	buf_add(b, &v->update, sizeof(v->update));
	rec_put_u32(b, (uint32_t)v->number);
	buf_char(b, (char)v->type);
	buf_char(b, (char)v->category_type);
	rec_put_u32(b, v->flags);
	rec_put_u32(b, v->deployment_id);
	rec_put_u64(b, (uint64_t)v->imported);
	rec_put_u64(b, (uint64_t)v->created);
	rec_put_u64(b, (uint64_t)v->published);
	rec_put_u64(b, v->doc_bytes);
	buf_add(b, &v->doc_digest, sizeof(v->doc_digest));
	buf_add(b, &v->eula, sizeof(v->eula));
	rec_put_u64(b, v->max_download);
	rec_put_str(b, cut(v->title, TITLE_KEPT));
	rec_put_str(b, cut(v->kb, KB_KEPT));
	rec_put_str(b, cut(v->severity, WORD_KEPT));
	rec_put_str(b, cut(v->language, WORD_KEPT));
}

int revision_rewrite(struct txn *t, const struct revision *v, struct err *e)
{
	struct buf b;
	struct key id = key_u32((uint32_t)v->id);
	revision_encode(&b, v);
	return db_put_rec(t, DB_REVISION, key_bytes(&id), &b, e);
}

int revision_put(struct txn *t, const struct revision *v, struct err *e)
{
	struct key id = key_u32((uint32_t)v->id), name = key_identity(&v->update, v->number);
	int rc = revision_rewrite(t, v, e);
	if (rc == E_OK)
		rc = db_put(t, DB_IDENTITY, key_bytes(&name), key_bytes(&id), e);
	if (rc == E_OK && !(v->flags & REV_REMOVED))
		rc = update_set_known(t, v->update_no, true, e);
	return rc;
}

int revision_get(struct txn *t, int32_t id, struct revision *out, struct err *e)
{
	struct key k = key_u32((uint32_t)id);
	struct slice v;
	int rc = db_get(t, DB_REVISION, key_bytes(&k), &v);
	if (rc != E_OK)
		return err_set(e, (enum errcode)rc, "no revision has the id %d", (int)id);
	rc = revision_decode(id, v, out);
	return rc == E_OK ? rc : err_set(e, E_CORRUPT, "the record of revision %d cannot be read", (int)id);
}

struct each_revision {
	int32_t to;
	int (*fn)(const struct revision *, void *);
	void *arg;
	struct err *e;
};

static int each_revision_row(struct slice key, struct slice value, void *arg)
{
	struct each_revision *w = arg;
	struct revision v;
	int32_t id = key.n == 4 ? (int32_t)get_be32(key.p) : 0;
	if (w->to != 0 && id > w->to)
		return -1;
	if (revision_decode(id, value, &v) != E_OK)
		return err_set(w->e, E_CORRUPT, "the record of revision %d cannot be read", (int)id);
	return w->fn(&v, w->arg);
}

int revision_each(struct txn *t, int32_t from, int32_t to, int (*fn)(const struct revision *, void *), void *arg,
	struct err *e)
{
	struct each_revision w = {to, fn, arg, e};
	struct key k = key_u32((uint32_t)from);
	int rc = db_each_from(t, DB_REVISION, key_bytes(&k), each_revision_row, &w, e);
	return rc == -1 ? E_OK : rc;
}

/* ---- identities ---- */

struct ids {
	struct txn *t;
	int32_t *v;
	size_t n, cap;
};

static bool is_tombstone(struct txn *t, int32_t id)
{
	struct revision v;
	return revision_get(t, id, &v, NULL) != E_OK || v.flags & REV_REMOVED;
}

static int add_id(struct slice key, struct slice value, void *arg)
{
	struct ids *w = arg;
	if (value.n != 4 || key.n != 20)
		return E_CORRUPT;
	int32_t id = (int32_t)get_be32(value.p);
	if (is_tombstone(w->t, id))
		return E_OK;
	int32_t *v = ARENA_MORE(txn_arena(w->t), w->v, w->n, &w->cap);
	if (!v)
		return E_NOMEM;
	w->v = v;
	w->v[w->n++] = id;
	return E_OK;
}

static int revisions_by_guid(struct txn *t, const struct guid *update, struct ids *w)
{
	struct key k = key_guid(update);
	*w = (struct ids){.t = t};
	return db_each(t, DB_IDENTITY, key_bytes(&k), add_id, w, NULL);
}

int revisions_of(struct txn *t, uint32_t update_no, int32_t **ids, size_t *n, struct err *e)
{
	struct update u;
	struct ids w;
	*ids = NULL;
	*n = 0;
	int rc = update_get(t, update_no, &u, e);
	if (rc != E_OK)
		return rc;
	rc = revisions_by_guid(t, &u.id, &w);
	if (rc != E_OK)
		return err_set(e, (enum errcode)rc, "the revisions of update %u: %s", (unsigned)update_no, err_name(rc));
	for (size_t i = 0; i < w.n / 2; i++) {
		int32_t low = w.v[i];
		w.v[i] = w.v[w.n - 1 - i];
		w.v[w.n - 1 - i] = low;
	}
	*ids = w.v;
	*n = w.n;
	return E_OK;
}

static bool is_held(struct txn *t, int32_t id)
{
	struct revision v;
	return revision_get(t, id, &v, NULL) == E_OK && v.flags & REV_HELD;
}

/* Whoever names an update means one that can be seen: held ones only if there are no others. */
static int find_highest(struct txn *t, const struct guid *update, int32_t *id)
{
	struct ids w;
	int rc = revisions_by_guid(t, update, &w);
	if (rc == E_OK && w.n == 0)
		rc = E_NOTFOUND;
	if (rc != E_OK)
		return rc;
	size_t i = w.n - 1;
	while (i > 0 && is_held(t, w.v[i]))
		i--;
	*id = is_held(t, w.v[i]) ? w.v[w.n - 1] : w.v[i];
	return E_OK;
}

int revision_find(struct txn *t, const struct guid *update, int32_t number, int32_t *id)
{
	if (number == 0)
		return find_highest(t, update, id);
	struct key k = key_identity(update, number);
	struct slice v;
	int rc = db_get(t, DB_IDENTITY, key_bytes(&k), &v);
	if (rc == E_OK && v.n != 4)
		rc = E_CORRUPT;
	if (rc == E_OK)
		*id = (int32_t)get_be32(v.p);
	return rc;
}

/* ================= relations ================= */

/* v1 | three counts | prereq: UpdateNo, clause, IsCategory | bundle: UpdateNo, number, clause | superseded: UpdateNo */
enum { PREREQ_SIZE = 7, BUNDLE_SIZE = 10, SUPERSEDED_SIZE = 4 };

static struct rec relation_counts(struct slice value, struct relations *n)
{
	struct rec r = rec_of(value, 1);
	*n = (struct relations){.nprereq = rec_u32(&r)};
	n->nbundle = rec_u32(&r);
	n->nsuperseded = rec_u32(&r);
	if (rec_left(&r) != n->nprereq * PREREQ_SIZE + n->nbundle * BUNDLE_SIZE + n->nsuperseded * SUPERSEDED_SIZE)
		r.bad = true; /* counts are below 2^32: the sum cannot overflow 64 bits */
	return r;
}

static struct relation prereq_decode(struct rec *r)
{
	struct relation v = {.update_no = rec_u32(r)};
	v.clause = rec_u16(r);
	v.is_category = rec_u8(r) != 0;
	return v;
}

static struct relation member_decode(struct rec *r)
{
	struct relation v = {.update_no = rec_u32(r)};
	v.number = (int32_t)rec_u32(r);
	v.clause = rec_u16(r);
	return v;
}

static struct relation superseded_decode(struct rec *r)
{
	return (struct relation){.update_no = rec_u32(r)};
}

static const struct relation *decode_list(struct rec *r, size_t n, struct arena *a, struct relation (*one)(struct rec *))
{
	struct relation *v = ARENA_ARRAY(a, struct relation, n);
	for (size_t i = 0; v && i < n; i++)
		v[i] = one(r);
	return v;
}

static int relation_row(struct txn *t, int32_t id, struct slice *v, struct err *e)
{
	struct key k = key_u32((uint32_t)id);
	int rc = db_get(t, DB_RELATION, key_bytes(&k), v);
	return rc == E_OK ? rc : err_set(e, (enum errcode)rc, "the relations of revision %d: %s", (int)id, err_name(rc));
}

int relations_get(struct txn *t, int32_t id, struct relations *out, struct err *e)
{
	struct slice v;
	*out = (struct relations){0};
	int rc = relation_row(t, id, &v, e);
	if (rc != E_OK)
		return rc;
	struct relations n;
	struct rec r = relation_counts(v, &n);
	if (r.bad)
		return err_set(e, E_CORRUPT, "the relations of revision %d cannot be read", (int)id);
	struct arena *a = txn_arena(t);
	n.prereq = decode_list(&r, n.nprereq, a, prereq_decode);
	n.bundle = decode_list(&r, n.nbundle, a, member_decode);
	n.superseded = decode_list(&r, n.nsuperseded, a, superseded_decode);
	if (!n.prereq || !n.bundle || !n.superseded)
		return err_set(e, E_NOMEM, "out of memory for the relations of revision %d", (int)id);
	*out = n;
	return E_OK;
}

int relations_put(struct txn *t, int32_t id, const struct relations *v, struct err *e)
{
	struct buf b;
	rec_begin(&b, 1, LIMIT_RECORD);
	rec_put_u32(&b, (uint32_t)v->nprereq);
	rec_put_u32(&b, (uint32_t)v->nbundle);
	rec_put_u32(&b, (uint32_t)v->nsuperseded);
	for (size_t i = 0; i < v->nprereq; i++) {
		rec_put_u32(&b, v->prereq[i].update_no);
		rec_put_u16(&b, v->prereq[i].clause);
		buf_char(&b, v->prereq[i].is_category);
	}
	for (size_t i = 0; i < v->nbundle; i++) {
		rec_put_u32(&b, v->bundle[i].update_no);
		rec_put_u32(&b, (uint32_t)v->bundle[i].number);
		rec_put_u16(&b, v->bundle[i].clause);
	}
	for (size_t i = 0; i < v->nsuperseded; i++)
		rec_put_u32(&b, v->superseded[i].update_no);
	struct key k = key_u32((uint32_t)id);
	return db_put_rec(t, DB_RELATION, key_bytes(&k), &b, e);
}

int relations_each(struct txn *t, int32_t id, enum relation_which which, int (*fn)(const struct relation *, void *), void *arg,
	struct err *e)
{
	static struct relation (*const decode[])(struct rec *) = {prereq_decode, member_decode, superseded_decode};
	struct slice v;
	struct relations n;
	int rc = relation_row(t, id, &v, e);
	if (rc != E_OK)
		return rc == E_NOTFOUND ? E_OK : rc;
	struct rec r = relation_counts(v, &n);
	if (r.bad)
		return err_set(e, E_CORRUPT, "the relations of revision %d cannot be read", (int)id);
	const size_t count[] = {n.nprereq, n.nbundle, n.nsuperseded}, skip[] = {0, n.nprereq * PREREQ_SIZE, n.nbundle * BUNDLE_SIZE};
	for (unsigned i = 0; i <= (unsigned)which; i++)
		r.p += skip[i];
	for (size_t i = 0; rc == E_OK && i < count[which]; i++) {
		struct relation m = decode[which](&r);
		rc = fn(&m, arg);
	}
	return rc;
}

int members_each(struct txn *t, int32_t id, int (*fn)(const struct relation *, void *), void *arg, struct err *e)
{
	return relations_each(t, id, LIST_BUNDLE, fn, arg, e);
}

int member_find(struct txn *t, const struct relation *m, int32_t *id)
{
	struct update u;
	int rc = update_get(t, m->update_no, &u, NULL);
	return rc == E_OK ? revision_find(t, &u.id, m->number, id) : rc;
}

/* ================= fragments ================= */

static_assert(FRAGMENT_FULL <= UINT16_MAX, "a chunk in several rows has a size of 16 bits");

struct fragment_name { /* the key of a fragment without its chunk */
	char b[4 + 1 + 2 * (LIMIT_LOCALE + 1) + 2];
	size_t n;
};

static bool locale_fits(struct slice s)
{
	return s.n <= LIMIT_LOCALE && (s.n == 0 || !memchr(s.p, 0, s.n));
}

static bool fragment_name(struct fragment_name *k, int32_t id, enum fragment_type type, struct slice locale,
	struct slice geo)
{
	if (!locale_fits(locale) || !locale_fits(geo))
		return false;
	put_be32(k->b, (uint32_t)id);
	k->b[4] = (char)type;
	k->n = 5;
	const struct slice part[] = {locale, geo};
	for (size_t i = 0; i < COUNTOF(part); i++) {
		if (part[i].n)
			memcpy(k->b + k->n, part[i].p, part[i].n);
		k->n += part[i].n;
		k->b[k->n++] = 0;
	}
	return true;
}

static int row_get(struct txn *t, struct fragment_name *k, uint16_t row, struct slice *v)
{
	put_be16(k->b + k->n, row);
	return db_get(t, DB_FRAGMENT, (struct slice){k->b, k->n + 2}, v);
}

/* Puts a chunk of n bytes whose first are in row `row` together, in the transaction's memory. */
static int chunk_join(struct txn *t, struct fragment_name *k, uint16_t row, size_t n, struct slice *bytes)
{
	struct slice v;
	size_t have = bytes->n;
	if (have == 0 || have >= n)
		return E_CORRUPT;
	char *to = arena_alloc(txn_arena(t), n, 1);
	if (!to)
		return E_NOMEM;
	memcpy(to, bytes->p, have);
	for (; have < n; have += v.n) {
		int rc = row_get(t, k, ++row, &v);
		if (rc != E_OK)
			return rc == E_NOTFOUND ? E_CORRUPT : rc;
		if (v.n == 0 || v.n > n - have)
			return E_CORRUPT;
		memcpy(to + have, v.p, v.n);
	}
	*bytes = (struct slice){to, n};
	return E_OK;
}

static int chunk_get(struct txn *t, struct fragment_name *k, uint16_t chunk, struct piece *out, size_t *bytes)
{
	struct slice v;
	int rc = row_get(t, k, chunk, &v);
	if (rc != E_OK)
		return rc;
	if (v.n < FRAGMENT_HEADER || v.p[0] != 1)
		return E_CORRUPT;
	out->packed = v.p[1] != 0;
	out->plain = get_be32(v.p + 4);
	out->bytes = (struct slice){v.p + FRAGMENT_HEADER, v.n - FRAGMENT_HEADER};
	if (get_be16(v.p + 2))
		rc = chunk_join(t, k, chunk, get_be16(v.p + 2), &out->bytes);
	*bytes = out->bytes.n;
	if (rc != E_OK)
		return rc;
	return out->packed || out->plain == out->bytes.n ? E_OK : E_CORRUPT;
}

/* The row of the languages that share one: chunk 0 of the localized fragment of no locale. */
static int langpack_row(struct txn *t, int32_t id, struct slice *out)
{
	struct fragment_name k;
	struct piece row;
	size_t bytes;
	int rc = fragment_name(&k, id, FRAG_LOCALIZED, SL(""), SL("")) ? chunk_get(t, &k, 0, &row, &bytes) : E_NOTFOUND;
	*out = rc == E_OK ? row.bytes : SL0;
	return rc;
}

static int language_get(struct txn *t, int32_t id, struct slice locale, struct piece *out)
{
	struct slice row, text;
	int rc = langpack_row(t, id, &row);
	if (rc == E_OK)
		rc = langpack_find(row, locale, txn_arena(t), &text);
	if (rc == E_OK)
		*out = (struct piece){.bytes = text, .plain = (uint32_t)text.n};
	return rc;
}

static bool grow(struct arena *a, struct piece **v, size_t n, size_t *cap)
{
	if (n < *cap)
		return true;
	size_t more = *cap ? *cap * 4 : 1;
	struct piece *p = ARENA_ARRAY(a, struct piece, more);
	if (p && n)
		memcpy(p, *v, n * sizeof(*p));
	*v = p;
	*cap = more;
	return p != NULL;
}

int fragment_get(struct txn *t, int32_t id, enum fragment_type type, struct slice locale, struct slice geo,
	struct frag *out, struct err *e)
{
	struct fragment_name k;
	struct piece *v = NULL, one;
	size_t n = 0, cap = 0, bytes = FRAGMENT_FULL;
	*out = (struct frag){0};
	if (!fragment_name(&k, id, type, locale, geo) || (type == FRAG_LOCALIZED && locale.n == 0))
		return err_set(e, E_NOTFOUND, "revision %d has no such fragment", (int)id);
	int rc = E_OK;
	while (bytes >= FRAGMENT_FULL && n <= UINT16_MAX) {
		rc = chunk_get(t, &k, (uint16_t)n, &one, &bytes);
		if (rc == E_NOTFOUND && n == 0 && type == FRAG_LOCALIZED) {
			rc = language_get(t, id, locale, &one);
			bytes = 0;
		}
		if (rc != E_OK)
			break;
		if (!grow(txn_arena(t), &v, n, &cap))
			return err_set(e, E_NOMEM, "out of memory for a fragment of revision %d", (int)id);
		v[n++] = one;
	}
	if (rc != E_OK && (rc != E_NOTFOUND || n == 0))
		return err_set(e, (enum errcode)rc, "fragment %d of revision %d: %s", (int)type, (int)id, err_name(rc));
	*out = (struct frag){v, n};
	return E_OK;
}

static int fragment_follows(struct txn *t, struct fragment_name *k, uint16_t chunk, struct err *e)
{
	struct piece before;
	size_t bytes;
	if (chunk == 0)
		return E_OK;
	int rc = chunk_get(t, k, (uint16_t)(chunk - 1), &before, &bytes);
	if (rc == E_OK && bytes >= FRAGMENT_FULL)
		return E_OK;
	return txn_fail(t, err_set(e, E_LIMIT, "chunk %u of a fragment follows a missing or a short one", chunk), e);
}

static int row_put(struct txn *t, struct fragment_name *k, uint16_t row, size_t n, char **to, struct err *e)
{
	void *p;
	put_be16(k->b + k->n, row);
	int rc = db_reserve(t, DB_FRAGMENT, (struct slice){k->b, k->n + 2}, n, &p, e);
	*to = p;
	return rc;
}

/* What a chunk's first row, of n bytes, did not take. */
static int rest_put(struct txn *t, struct fragment_name *k, uint16_t row, struct slice rest, struct err *e)
{
	int rc = E_OK;
	while (rc == E_OK && rest.n) {
		char *to;
		size_t n = db_fit(t, DB_FRAGMENT, k->n + 2, rest.n);
		rc = row_put(t, k, ++row, n, &to, e);
		if (rc == E_OK)
			memcpy(to, rest.p, n);
		rest = (struct slice){rest.p + n, rest.n - n};
	}
	return rc;
}

int fragment_put(struct txn *t, int32_t id, enum fragment_type type, struct slice locale, struct slice geo,
	uint16_t chunk, bool packed, uint32_t plain, struct slice bytes, struct err *e)
{
	struct fragment_name k;
	size_t n = FRAGMENT_HEADER + bytes.n;
	char *p;
	if (!fragment_name(&k, id, type, locale, geo) || bytes.n > LIMIT_CHUNK)
		return txn_fail(t, err_set(e, E_LIMIT, "a fragment's locale or a chunk of it is too long"), e);
	int rc = fragment_follows(t, &k, chunk, e);
	if (rc != E_OK)
		return rc;
	if (type == FRAG_ORIGINAL && bytes.n < FRAGMENT_FULL)
		n = db_fit(t, DB_FRAGMENT, k.n + 2, n);
	rc = row_put(t, &k, chunk, n, &p, e);
	if (rc != E_OK)
		return rc;
	n -= FRAGMENT_HEADER;
	p[0] = 1;
	p[1] = packed;
	put_be16(p + 2, n < bytes.n ? (uint16_t)bytes.n : 0);
	put_be32(p + 4, plain);
	if (n)
		memcpy(p + FRAGMENT_HEADER, bytes.p, n);
	return rest_put(t, &k, chunk, (struct slice){bytes.p + n, bytes.n - n}, e);
}

struct keys {
	struct arena *a;
	struct fragment_key *v;
	size_t n, cap;
};

static int add_one_key(struct keys *w, struct slice locale, struct slice geo)
{
	struct fragment_key *v = ARENA_MORE(w->a, w->v, w->n, &w->cap);
	if (!v)
		return E_NOMEM;
	w->v = v;
	w->v[w->n++] = (struct fragment_key){locale, geo};
	return E_OK;
}

static int add_language(const struct language *l, void *arg)
{
	return add_one_key(arg, l->locale, SL(""));
}

static int add_key(struct slice key, struct slice value, void *arg)
{
	struct keys *w = arg;
	const char *p = key.p + 5, *end = key.p + key.n;
	const char *locale_end = key.n >= 9 ? memchr(p, 0, (size_t)(end - p)) : NULL;
	const char *geo_end = locale_end ? memchr(locale_end + 1, 0, (size_t)(end - locale_end - 1)) : NULL;
	if (key.n < 9 || !locale_end || !geo_end || end - geo_end != 3)
		return E_CORRUPT;
	if (get_be16(geo_end + 1) != 0)
		return E_OK;
	if (p == locale_end && key.p[4] == FRAG_LOCALIZED)
		return value.n < FRAGMENT_HEADER ? E_CORRUPT : langpack_each((struct slice){value.p + FRAGMENT_HEADER,
			value.n - FRAGMENT_HEADER}, add_language, w);
	return add_one_key(w, (struct slice){p, (size_t)(locale_end - p)},
		(struct slice){locale_end + 1, (size_t)(geo_end - locale_end - 1)});
}

static int by_locale(const void *pa, const void *pb)
{
	const struct fragment_key *a = pa, *b = pb;
	int d = slice_cmp(a->locale, b->locale);
	return d ? d : slice_cmp(a->geo, b->geo);
}

int fragment_keys(struct txn *t, int32_t id, enum fragment_type type, struct fragment_key **out, size_t *n,
	struct err *e)
{
	struct keys w = {.a = txn_arena(t)};
	char prefix[5];
	put_be32(prefix, (uint32_t)id);
	prefix[4] = (char)type;
	int rc = db_each(t, DB_FRAGMENT, (struct slice){prefix, sizeof(prefix)}, add_key, &w, NULL);
	if (w.n > 1) /* those that share a row came first */
		qsort(w.v, w.n, sizeof(*w.v), by_locale);
	*out = w.v;
	*n = w.n;
	return rc == E_OK ? rc
			  : err_set(e, (enum errcode)rc, "the fragments of revision %d: %s", (int)id, err_name(rc));
}

/* ================= taking back ================= */

static int identity_wipe(struct txn *t, int32_t id, struct err *e)
{
	struct revision v;
	struct ids left;
	int rc = revision_get(t, id, &v, NULL);
	if (rc == E_NOTFOUND)
		return E_OK;
	if (rc != E_OK)
		return err_set(e, (enum errcode)rc, "the record of revision %d cannot be read", (int)id);
	if (v.flags & (REV_PUBLISHED | REV_REMOVED))
		return err_set(e, E_REFUSED, "revision %d is published", (int)id);
	struct key k = key_u32((uint32_t)id), name = key_identity(&v.update, v.number);
	rc = db_del(t, DB_IDENTITY, key_bytes(&name), e);
	if (rc == E_OK)
		rc = db_del(t, DB_REVISION, key_bytes(&k), e);
	if (rc == E_OK)
		rc = revisions_by_guid(t, &v.update, &left);
	if (rc == E_OK && left.n == 0)
		rc = update_set_known(t, v.update_no, false, e);
	return rc;
}

int revision_wipe(struct txn *t, int32_t id, struct err *e)
{
	struct key k = key_u32((uint32_t)id);
	int rc = identity_wipe(t, id, e);
	if (rc == E_OK)
		rc = db_del(t, DB_RELATION, key_bytes(&k), e);
	if (rc == E_OK)
		rc = db_del_prefix(t, DB_FRAGMENT, key_bytes(&k), NULL, e);
	if (rc == E_OK)
		rc = revision_files_wipe(t, id, e);
	return rc;
}

/* An import takes its RevisionIDs one after the other, and everybody sweeps before taking the next: rows
 * without a revision can only stand behind the last revision. */
static int first_id(struct slice key, struct slice value, void *arg)
{
	(void)value;
	int32_t *id = arg;
	*id = key.n >= 4 ? (int32_t)get_be32(key.p) : 0;
	return *id > 0 ? -1 : E_CORRUPT;
}

static int unfinished_id(struct txn *t, int32_t *id, struct err *e)
{
	static const enum db dbs[] = {DB_FRAGMENT, DB_RELATION, DB_REV_FILE};
	struct slice last;
	uint32_t from = 1;
	if (db_last(t, DB_REVISION, &last) == E_OK && last.n == 4)
		from = get_be32(last.p) + 1;
	struct key k = key_u32(from);
	*id = 0;
	for (size_t i = 0; i < COUNTOF(dbs) && *id == 0; i++) {
		int rc = db_each_from(t, dbs[i], key_bytes(&k), first_id, id, e);
		if (rc != E_OK && rc != -1)
			return err_set(e, (enum errcode)rc, "rows without a revision: %s", err_name(rc));
	}
	return E_OK;
}

int revisions_unfinished(struct txn *t, bool *any, struct err *e)
{
	int32_t id;
	int rc = unfinished_id(t, &id, e);
	*any = rc == E_OK && id != 0;
	return rc;
}

int revisions_sweep(struct txn *t, struct err *e)
{
	int32_t id;
	int rc = unfinished_id(t, &id, e);
	while (rc == E_OK && id != 0) {
		rc = revision_wipe(t, id, e);
		if (rc == E_OK)
			rc = unfinished_id(t, &id, e);
	}
	return rc;
}
