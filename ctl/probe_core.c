/* probe_core.c -- reads Core and Extended fragments as a client has to: siblings without a root.
 *
 * A fragment is handed to the scanner in three parts, so that nothing is copied: "<r>", itself, "</r>". */
#include "common/limits.h"
#include "common/text.h"
#include "common/xml.h"
#include "ctl/probe.h"

struct parts {
	struct slice part[3];
	unsigned at;
};

static ptrdiff_t refill(void *arg, char *to, size_t n, struct err *e)
{
	struct parts *p = arg;
	(void)e;
	while (p->at < COUNTOF(p->part) && p->part[p->at].n == 0)
		p->at++;
	if (p->at == COUNTOF(p->part))
		return 0;
	struct slice *s = &p->part[p->at];
	size_t take = MIN(n, s->n);
	memcpy(to, s->p, take);
	s->p += take;
	s->n -= take;
	return (ptrdiff_t)take;
}

/* Grows in the arena by doubling; what is left behind dies with the answer. */
struct refs {
	struct probe_ref *v;
	size_t n, cap;
	uint32_t clauses;
};

static bool refs_add(struct refs *r, const struct probe_ref *ref, struct arena *a)
{
	struct probe_ref *v = ARENA_MORE(a, r->v, r->n, &r->cap);
	if (!v)
		return false;
	r->v = v;
	r->v[r->n++] = *ref;
	return true;
}

struct reader {
	struct xml *x;
	struct arena *a;
	struct err *e;
	struct probe_core *core;
	struct refs prereq, member;
	struct refs *list; /* the one we are inside of */
	bool in_clause;
	struct probe_file *file;
	size_t files, file_cap;
};

static bool named(const struct reader *r, unsigned depth, const char *name)
{
	return xml_depth(r->x) == depth && slice_eq(xml_name(r->x), slice_of(name));
}

static struct slice value(const struct reader *r, const char *name)
{
	const struct xml_attr *at = xml_find_attr(r->x, SL(""), slice_of(name));
	return at ? at->raw : SL0;
}

static int read_identity(struct reader *r, struct probe_ref *out)
{
	struct slice revision = value(r, "RevisionNumber");
	*out = (struct probe_ref){.revision = 0};
	if (!text_guid(value(r, "UpdateID"), &out->update))
		return err_set(r->e, E_FORM, "an UpdateIdentity without a proper UpdateID");
	if (revision.p && !text_i32(revision, &out->revision))
		return err_set(r->e, E_FORM, "RevisionNumber \"%.*s\" is no number", SLF(revision));
	return E_OK;
}

static int read_reference(struct reader *r)
{
	struct probe_ref ref;
	int rc = read_identity(r, &ref);
	if (rc != E_OK)
		return rc;
	if (!r->in_clause)
		r->list->clauses++;
	ref.clause = r->list->clauses - 1;
	return refs_add(r->list, &ref, r->a) ? E_OK : err_set(r->e, E_NOMEM, "out of memory");
}

static int read_own(struct reader *r)
{
	struct probe_ref own;
	int rc = read_identity(r, &own);
	r->core->update = own.update;
	r->core->revision = own.revision;
	return rc;
}

static void read_properties(struct reader *r)
{
	bool yes = false;
	r->core->driver = slice_eq(value(r, "UpdateType"), SL("Driver"));
	r->core->explicitly = text_bool(value(r, "ExplicitlyDeployable"), &yes) && yes;
}

/* Depths: r 1; UpdateIdentity, Properties, Relationships 2; its lists 3; identities 4, or 5 in a clause. */
static int core_open(struct reader *r)
{
	unsigned depth = xml_depth(r->x);
	if (named(r, 2, "UpdateIdentity"))
		return read_own(r);
	if (named(r, 2, "Properties"))
		read_properties(r);
	else if (depth == 3)
		r->list = named(r, 3, "Prerequisites") ? &r->prereq : named(r, 3, "BundledUpdates") ? &r->member : NULL;
	else if (r->list && depth == 4 && (r->in_clause = named(r, 4, "AtLeastOne")))
		r->list->clauses++;
	else if (r->list && (named(r, 4, "UpdateIdentity") || (r->in_clause && named(r, 5, "UpdateIdentity"))))
		return read_reference(r);
	return E_OK;
}

static int walk(struct reader *r, struct slice text, int (*open)(struct reader *r))
{
	struct parts parts = {.part = {SL("<r>"), text, SL("</r>")}};
	enum xml_tok tok;
	r->x = xml_new();
	if (!r->x)
		return err_set(r->e, E_NOMEM, "out of memory");
	xml_init_stream(r->x, refill, &parts, &xml_document_limits, r->e);
	int rc = E_OK;
	while (rc == E_OK && (tok = xml_next(r->x)) != XML_END) {
		if (tok == XML_BAD)
			rc = xml_rc(r->x);
		else if (tok == XML_OPEN)
			rc = open(r);
	}
	xml_free(&r->x);
	return rc;
}

int probe_core_read(struct slice text, struct probe_core *out, struct arena *a, struct err *e)
{
	struct reader r = {.a = a, .e = e, .core = out};
	*out = (struct probe_core){0};
	int rc = walk(&r, text, core_open);
	if (rc == E_OK && guid_is_zero(&out->update))
		rc = err_set(e, E_FORM, "no UpdateIdentity in the fragment");
	out->prereq = r.prereq.v;
	out->prereqs = r.prereq.n;
	out->member = r.member.v;
	out->members = r.member.n;
	return rc;
}

size_t probe_core_unmet(const struct probe_core *core, const struct probe_cache *c)
{
	for (size_t i = 0; i < core->prereqs;) {
		size_t first = i;
		bool met = false;
		for (; i < core->prereqs && core->prereq[i].clause == core->prereq[first].clause; i++)
			met = met || probe_cache_installed(c, &core->prereq[i].update);
		if (!met)
			return first;
	}
	return core->prereqs;
}

/* ---- files ---- */
static bool files_room(struct reader *r)
{
	struct probe_file *v = ARENA_MORE(r->a, r->file, r->files, &r->file_cap);
	if (!v)
		return false;
	r->file = v;
	return true;
}

static int read_file(struct reader *r)
{
	struct slice name = value(r, "FileName");
	if (!files_room(r))
		return err_set(r->e, E_NOMEM, "out of memory");
	struct probe_file *f = &r->file[r->files++];
	*f = (struct probe_file){.size = 0};
	snprintf(f->name, sizeof(f->name), "%.*s", SLF(name));
	if (!text_base64_fixed(value(r, "Digest"), f->sha1.b, sizeof(f->sha1.b)))
		return err_set(r->e, E_FORM, "file %s has no proper SHA-1 Digest", f->name);
	if (!text_u64(value(r, "Size"), &f->size))
		return err_set(r->e, E_FORM, "file %s has no proper Size", f->name);
	return E_OK;
}

static int read_additional(struct reader *r)
{
	struct probe_file *f = &r->file[r->files - 1];
	struct buf text;
	if (!slice_eq(value(r, "Algorithm"), SL("SHA256")))
		return E_OK;
	buf_init(&text, 256);
	int rc = xml_read_text(r->x, &text);
	f->has_sha256 = rc == E_OK && text_base64_fixed(buf_bytes(&text), f->sha256.b, sizeof(f->sha256.b));
	if (rc == E_OK && !f->has_sha256)
		rc = err_set(r->e, E_FORM, "file %s has no proper SHA-256 digest", f->name);
	buf_free(&text);
	return rc;
}

static int files_open(struct reader *r)
{
	if (named(r, 3, "File"))
		return read_file(r);
	if (r->files > 0 && named(r, 4, "AdditionalDigest"))
		return read_additional(r);
	return E_OK;
}

int probe_files_read(struct slice text, struct probe_file **out, size_t *n, struct arena *a, struct err *e)
{
	struct reader r = {.a = a, .e = e};
	int rc = walk(&r, text, files_open);
	*out = r.file;
	*n = r.files;
	return rc;
}
