/* updates.c -- the walker of GetUpdateData answers. */
#include "sync/updates.h"

#include <stdlib.h>

#include "common/arena.h"
#include "common/limits.h"
#include "common/text.h"
#include "sync/cab.h"

#define URL_MAX 2048 /* longer ones are left out: those of the vendor have 150 bytes */

/* Documents may stand in the answer as elements; how large it may be, its spool says. */
static const struct xml_limits limits = {
	.bytes = SIZE_MAX / 2,
	.depth = LIMIT_DOC_DEPTH,
	.tag = LIMIT_DOC_TAG,
	.attrs = LIMIT_DOC_ATTRIBUTES,
	.namespaces = LIMIT_DOC_NAMESPACES,
	.elements = UINT32_MAX,
};

/* What an answer says of one update so far. */
struct seen {
	struct UpdateIdentity id;
	bool has_id, empty /* there was a blob without anything in it */, gone /* its document has left */;
};

struct base64 {
	uint32_t bits;
	unsigned n;   /* characters of a quad in bits */
	unsigned pad; /* '=' met */
	bool bad;
};

struct updates {
	struct xml *x;
	const char *dir;
	struct spool *answer, *cabinet, *plain;
	const struct updates_sink *sink;
	struct err *e;
	struct buf text;  /* of an element that is read whole */
	struct buf piece; /* of text with references */
	struct seen *seen;
	size_t n; /* updates met in this pass */
	bool files_only, documents_done;
	bool late_documents, late_files;

	/* ---- the text of a blob ---- */
	struct slice left;
	bool ended;     /* the blob's element was closed */
	struct err why; /* it cannot be read further */
	struct base64 b64;

	/* ---- an item of fileUrls ---- */
	struct sha1 digest;
	bool has_digest;
	struct buf url, key;
};

int updates_new(struct updates **out, const char *dir, struct err *e)
{
	struct updates *u = *out = alloc_should_fail() ? NULL : calloc(1, sizeof(*u));
	if (!u)
		return err_set(e, E_NOMEM, "an answer: %s", err_name(E_NOMEM));
	u->dir = dir;
	buf_init(&u->text, LIMIT_DOC_TEXT);
	buf_init(&u->piece, (size_t)1 << 20);
	buf_init(&u->url, LIMIT_DOC_TEXT);
	buf_init(&u->key, LIMIT_DOC_TEXT);
	u->x = xml_new();
	u->seen = alloc_should_fail() ? NULL : calloc(LIMIT_SYNC_REQUEST, sizeof(*u->seen));
	int rc = u->x && u->seen ? E_OK : err_set(e, E_NOMEM, "an answer: %s", err_name(E_NOMEM));
	if (rc == E_OK)
		rc = spool_new(&u->cabinet, dir, LIMIT_DOC, e);
	if (rc == E_OK)
		rc = spool_new(&u->plain, dir, LIMIT_DOC, e);
	if (rc != E_OK)
		updates_free(out);
	return rc;
}

void updates_free(struct updates **pu)
{
	struct updates *u = *pu;
	if (!u)
		return;
	xml_free(&u->x);
	spool_free(&u->cabinet);
	spool_free(&u->plain);
	buf_free(&u->text);
	buf_free(&u->piece);
	buf_free(&u->url);
	buf_free(&u->key);
	free(u->seen);
	free(u);
	*pu = NULL;
}

/* ================= elements ================= */

struct child {
	const char *name;
	int (*fn)(struct updates *u); /* reads behind the element's close */
};

static int scan_failed(struct updates *u)
{
	int rc = xml_failed(u->x, u->e);
	return rc != E_OK ? rc : err_set(u->e, E_FORM, "byte %zu: the answer ends too early", xml_offset(u->x));
}

static int skip(struct updates *u)
{
	return xml_skip(u->x) == E_OK ? E_OK : scan_failed(u);
}

static int child(struct updates *u, const struct child *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (slice_eq(xml_name(u->x), slice_of(rows[i].name)))
			return rows[i].fn(u);
	return skip(u);
}

/* After XML_OPEN: calls for each child element what its row says, and skips what has none. */
static int children(struct updates *u, const struct child *rows, size_t n)
{
	int rc = E_OK;
	while (rc == E_OK)
		switch (xml_next(u->x)) {
		case XML_OPEN:
			rc = child(u, rows, n);
			break;
		case XML_CLOSE:
			return E_OK;
		case XML_TEXT:
			break;
		case XML_END:
		case XML_BAD:
		default:
			return scan_failed(u);
		}
	return rc;
}
#define CHILDREN(u, rows) children((u), (rows), COUNTOF(rows))

/* The text of an element that holds nothing else. */
static int text_of(struct updates *u, struct buf *to)
{
	buf_reset(to);
	int rc = xml_read_text(u->x, to);
	if (xml_rc(u->x) != E_OK)
		return scan_failed(u);
	return rc == E_OK ? rc : err_set(u->e, (enum errcode)rc, "byte %zu: %s", xml_offset(u->x), err_name(rc));
}

/* ================= Id ================= */

static struct seen *this_update(struct updates *u)
{
	return &u->seen[u->n - 1];
}

static int update_id(struct updates *u)
{
	int rc = text_of(u, &u->text);
	if (rc == E_OK && !text_guid(buf_bytes(&u->text), &this_update(u)->id.UpdateID))
		rc = err_set(u->e, E_FORM, "byte %zu: UpdateID is no id", xml_offset(u->x));
	return rc;
}

static int revision_number(struct updates *u)
{
	int rc = text_of(u, &u->text);
	if (rc == E_OK && !text_i32(buf_bytes(&u->text), &this_update(u)->id.RevisionNumber))
		rc = err_set(u->e, E_FORM, "byte %zu: RevisionNumber is no number", xml_offset(u->x));
	return rc;
}

static int identity(struct updates *u)
{
	static const struct child rows[] = {{"UpdateID", update_id}, {"RevisionNumber", revision_number}};
	int rc = CHILDREN(u, rows);
	this_update(u)->has_id = rc == E_OK && !guid_is_zero(&this_update(u)->id.UpdateID);
	return rc;
}

/* ================= the text of a blob ================= */

static bool is_white(struct slice s)
{
	return text_trim(s).n == 0;
}

/* The text token just read, its references resolved. */
static int take_text(struct updates *u)
{
	u->left = xml_text(u->x);
	if (!xml_text_refs(u->x))
		return E_OK;
	buf_reset(&u->piece);
	xml_resolve_refs(&u->piece, u->left);
	u->left = buf_bytes(&u->piece);
	return u->piece.rc == E_OK ? E_OK : err_set(u->e, (enum errcode)u->piece.rc, "an answer: %s", err_name(u->piece.rc));
}

static int next_text(struct updates *u)
{
	switch (xml_next(u->x)) {
	case XML_TEXT:
		return take_text(u);
	case XML_CLOSE:
		u->ended = true;
		return E_OK;
	case XML_OPEN:
		return err_set(u->e, E_FORM, "byte %zu: an element in the midst of a document's text", xml_offset(u->x));
	case XML_END:
	case XML_BAD:
	default:
		return scan_failed(u);
	}
}

/* The next text of the blob, or its end; a failure stays. */
static int more_text(struct updates *u)
{
	if (u->why.code == E_OK) {
		int rc = next_text(u);
		if (rc == E_OK)
			return E_OK;
		u->why = *u->e;
	}
	*u->e = u->why;
	return (int)u->why.code;
}

static ptrdiff_t text_refill(void *from, char *to, size_t n, struct err *e)
{
	struct updates *u = from;
	while (u->left.n == 0 && !u->ended)
		if (more_text(u) != E_OK) {
			if (e)
				*e = u->why;
			return -1;
		}
	n = MIN(n, u->left.n);
	if (n)
		memcpy(to, u->left.p, n);
	u->left.p += n;
	u->left.n -= n;
	return (ptrdiff_t)n;
}

/* Whatever the sink left. */
static int drain(struct updates *u)
{
	int rc = E_OK;
	u->left = SL("");
	while (rc == E_OK && !u->ended)
		rc = more_text(u);
	return rc;
}

static int hand_out(struct updates *u, xml_refill_fn *refill, void *from)
{
	struct seen *s = this_update(u);
	s->gone = true;
	return u->sink->document(u->sink->arg, &s->id, refill, from, u->e);
}

/* ---- as elements, WSUSSS-UPDATEDATA-11: the bytes themselves, from where the element begins to where the next thing does ---- */

static int blob_tree(struct updates *u)
{
	struct spool_reader r = {u->answer, xml_offset(u->x), 0};
	int rc = skip(u);
	if (rc != E_OK)
		return rc;
	enum xml_tok tok = xml_next(u->x);
	if (tok != XML_TEXT && tok != XML_CLOSE)
		return tok == XML_OPEN ? err_set(u->e, E_FORM, "byte %zu: a second document", xml_offset(u->x)) : scan_failed(u);
	u->ended = tok == XML_CLOSE;
	r.end = xml_offset(u->x);
	rc = hand_out(u, spool_refill, &r);
	return rc == E_OK ? drain(u) : rc;
}

static int blob_plain(struct updates *u)
{
	int rc = hand_out(u, text_refill, u);
	return rc == E_OK ? drain(u) : rc;
}

/* ---- in a cabinet ---- */

/* 0 to 63, 64: white space, 65: '=', 66: none of base64 */
static uint8_t base64_class(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (uint8_t)(c - 'A');
	if (c >= 'a' && c <= 'z')
		return (uint8_t)(c - 'a' + 26);
	if (c >= '0' && c <= '9')
		return (uint8_t)(c - '0' + 52);
	return c == '+' ? 62 : c == '/' ? 63 : c == '=' ? 65 : c == ' ' || c == '\n' || c == '\r' || c == '\t' ? 64 : 66;
}

/* One character; the bytes of a quad that it ends go to out: how many. */
static size_t base64_put(struct base64 *b, uint8_t class, char out[3])
{
	if (class == 64)
		return 0;
	if (class == 66 || (b->pad && class != 65) || (class == 65 && b->n < 2)) {
		b->bad = true;
		return 0;
	}
	b->pad += class == 65;
	b->bits = b->bits << 6 | (class == 65 ? 0 : class);
	if (++b->n < 4)
		return 0;
	out[0] = (char)(b->bits >> 16);
	out[1] = (char)(b->bits >> 8);
	out[2] = (char)b->bits;
	b->n = 0;
	b->bits = 0;
	b->bad |= b->pad > 2;
	return b->bad ? 0 : 3 - b->pad;
}

static int decode(struct updates *u, struct slice s)
{
	static uint8_t class[256];
	char out[8 << 10];
	size_t n = 0;
	int rc = E_OK;
	if (class[0] == 0) /* 'A' alone has that class */
		for (int c = 0; c < 256; c++)
			class[c] = base64_class((char)c);
	for (size_t i = 0; rc == E_OK && i < s.n && !u->b64.bad; i++) {
		n += base64_put(&u->b64, class[(uint8_t)s.p[i]], out + n);
		if (n > sizeof(out) - 3 || i + 1 == s.n) {
			rc = spool_add(u->cabinet, out, n, u->e);
			n = 0;
		}
	}
	return rc;
}

/* A document that cannot be read: what is wrong with its blob. */
static ptrdiff_t refill_failed(void *from, char *to, size_t n, struct err *e)
{
	(void)to;
	(void)n;
	if (e)
		*e = *(struct err *)from;
	return -1;
}

static int unpack(struct updates *u, struct err *why)
{
	if (u->b64.bad || u->b64.n != 0)
		return err_set(why, E_FORM, "XmlUpdateBlobCompressed is not base64");
	return cab_unpack(u->cabinet, u->plain, LIMIT_DOC, why);
}

static int blob_packed(struct updates *u)
{
	struct err why = {.code = E_OK};
	spool_reset(u->cabinet);
	spool_reset(u->plain);
	u->b64 = (struct base64){0};
	int rc = decode(u, u->left);
	while (rc == E_OK && !u->ended) {
		rc = more_text(u);
		if (rc == E_OK && !u->ended)
			rc = decode(u, u->left);
	}
	if (rc != E_OK)
		return rc;
	rc = unpack(u, &why);
	if (rc == E_FORM || rc == E_LIMIT)
		return hand_out(u, refill_failed, &why);
	if (rc != E_OK)
		return err_set(u->e, (enum errcode)rc, "%s", why.text);
	struct spool_reader r = {u->plain, 0, spool_size(u->plain)};
	return hand_out(u, spool_refill, &r);
}

/* ---- which of them ---- */

/* Reads up to where something begins; *tree: an element. */
static int blob_begin(struct updates *u, bool *tree)
{
	u->left = SL("");
	u->ended = *tree = false;
	u->why.code = E_OK;
	while (!u->ended && is_white(u->left)) {
		enum xml_tok tok = xml_next(u->x);
		*tree = tok == XML_OPEN;
		if (*tree)
			return E_OK;
		u->ended = tok == XML_CLOSE;
		int rc = tok == XML_TEXT ? take_text(u) : u->ended ? E_OK : scan_failed(u);
		if (rc != E_OK)
			return rc;
	}
	return E_OK;
}

static int blob(struct updates *u, int (*text)(struct updates *u), bool tree_may_be)
{
	struct seen *s = this_update(u);
	bool tree;
	if (s->gone)
		return skip(u);
	if (!s->has_id) {
		u->late_documents = true;
		return skip(u);
	}
	int rc = blob_begin(u, &tree);
	s->empty |= u->ended;
	if (rc != E_OK || u->ended)
		return rc;
	if (!tree)
		return text(u);
	return tree_may_be ? blob_tree(u) : err_set(u->e, E_FORM, "byte %zu: an element where base64 should be", xml_offset(u->x));
}

static int xml_update_blob(struct updates *u)
{
	return blob(u, blob_plain, true);
}

static int xml_update_blob_compressed(struct updates *u)
{
	return blob(u, blob_packed, false);
}

/* ================= fileUrls ================= */

static int file_digest(struct updates *u)
{
	int rc = text_of(u, &u->text);
	u->has_digest = rc == E_OK && text_base64_fixed(buf_bytes(&u->text), &u->digest, sizeof(u->digest));
	return rc;
}

static int mu_url(struct updates *u)
{
	return text_of(u, &u->url);
}

/* The key, decoded. */
static int decryption_key(struct updates *u)
{
	struct arena a;
	struct slice v;
	int rc = text_of(u, &u->text);
	arena_init(&a, LIMIT_DOC_TEXT * 2);
	buf_reset(&u->key);
	if (rc == E_OK && text_base64(buf_bytes(&u->text), &a, &v))
		buf_slice(&u->key, v);
	arena_free(&a);
	return rc;
}

static bool is_address(struct slice s)
{
	return s.n <= URL_MAX && (text_starts(s, SL("http://")) || text_starts(s, SL("https://")));
}

static int file_url(struct updates *u)
{
	static const struct child rows[] = {{"FileDigest", file_digest}, {"MUUrl", mu_url}, {"DecryptionKey", decryption_key}};
	u->has_digest = false;
	buf_reset(&u->url);
	buf_reset(&u->key);
	int rc = CHILDREN(u, rows);
	if (rc != E_OK || !u->has_digest)
		return rc;
	struct slice url = text_trim(buf_bytes(&u->url)), key = buf_bytes(&u->key);
	url = is_address(url) ? url : SL("");
	key = key.n <= LIMIT_STRING ? key : SL("");
	return url.n || key.n ? u->sink->file(u->sink->arg, &u->digest, url, key, u->e) : E_OK;
}

static int file_urls(struct updates *u)
{
	static const struct child rows[] = {{"ServerSyncUrlData", file_url}};
	if (!u->files_only && (!u->documents_done || u->late_documents)) {
		u->late_files = true;
		return skip(u);
	}
	return CHILDREN(u, rows);
}

/* ================= the whole ================= */

/* It came, and is nothing: to ask for it again would bring that again. */
static int empty_document(struct updates *u)
{
	const struct seen *s = this_update(u);
	struct err why;
	err_set(&why, E_FORM, "the document is empty");
	return s->has_id && s->empty && !s->gone ? hand_out(u, refill_failed, &why) : E_OK;
}

static int update(struct updates *u)
{
	static const struct child rows[] = {
		{"Id", identity},
		{"XmlUpdateBlob", xml_update_blob},
		{"XmlUpdateBlobCompressed", xml_update_blob_compressed},
	};
	if (u->n == LIMIT_SYNC_REQUEST)
		return err_set(u->e, E_LIMIT, "the answer has more than %d updates", LIMIT_SYNC_REQUEST);
	u->n++;
	int rc = CHILDREN(u, rows);
	return rc == E_OK ? empty_document(u) : rc;
}

static int updates(struct updates *u)
{
	static const struct child rows[] = {{"ServerSyncUpdateData", update}};
	int rc = u->files_only ? skip(u) : CHILDREN(u, rows);
	u->documents_done = true;
	return rc;
}

static int result(struct updates *u)
{
	static const struct child rows[] = {{"updates", updates}, {"fileUrls", file_urls}};
	return CHILDREN(u, rows);
}

static int response(struct updates *u)
{
	static const struct child rows[] = {{"GetUpdateDataResult", result}};
	return CHILDREN(u, rows);
}

static int body(struct updates *u)
{
	static const struct child rows[] = {{"GetUpdateDataResponse", response}};
	return CHILDREN(u, rows);
}

static int pass(struct updates *u)
{
	static const struct child rows[] = {{"Body", body}};
	struct spool_reader r = {u->answer, 0, spool_size(u->answer)};
	u->n = 0;
	u->documents_done = false;
	xml_init_stream(u->x, spool_refill, &r, &limits, u->e);
	int rc = xml_next(u->x) == XML_OPEN ? CHILDREN(u, rows) : scan_failed(u);
	if (rc == E_OK && xml_next(u->x) != XML_END)
		rc = scan_failed(u);
	return rc;
}

int updates_read(struct updates *u, struct spool *answer, const struct updates_sink *sink, struct err *e)
{
	struct err own = {.code = E_OK};
	u->answer = answer;
	u->sink = sink;
	u->e = e ? e : &own;
	u->files_only = u->late_documents = u->late_files = false;
	memset(u->seen, 0, LIMIT_SYNC_REQUEST * sizeof(*u->seen));
	int rc = pass(u);
	if (rc == E_OK && u->late_documents)
		rc = pass(u);
	u->files_only = u->late_files;
	if (rc == E_OK && u->files_only)
		rc = pass(u);
	if (rc == E_OK && u->n == 0 && !u->documents_done)
		rc = err_set(u->e, E_FORM, "the answer holds no GetUpdateDataResult with updates");
	return rc;
}
