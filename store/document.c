/* document.c -- see document.h.
 *
 * The scanner's tokens meet one table of rules: (where we are, local name) -> what to do.  Names are matched
 * by local name at their place, whatever the prefix (WUSP-POPULATE-01, WSUSSS-POPULATE-02); only the root's
 * namespace is checked.  A rule may begin a fragment; copier.c then copies all elements below into it. */
#include "store/document.h"

#include <stdlib.h>

#include "common/digest.h"
#include "common/limits.h"
#include "common/text.h"
#include "store/copier.h"

/* A slice in a static table. */
#define N(lit) {(lit), sizeof(lit) - 1}
#define N0 {NULL, 0}

#define NS_UPDATE SL("http://schemas.microsoft.com/msus/2002/12/Update")

/* File names, titles and locales: 20,000 names of LIMIT_STRING bytes and some. */
#define FACTS_MAX ((size_t)24 << 20)
/* What is kept of texts that only people read. */
#define TITLE_MAX 512
#define KB_MAX 256

/* Places whose children mean something to us. */
enum place {
	AT_NONE, AT_TOP, AT_UPDATE, AT_PROPERTIES, AT_COLLECTION, AT_LOCALIZED, AT_EULA, AT_RELATIONSHIPS,
	AT_PREREQ, AT_PREREQ_CLAUSE, AT_BUNDLE, AT_BUNDLE_CLAUSE, AT_SUPERSEDED, AT_RULES, AT_METADATA, AT_FILES,
	AT_FILE, AT_HANDLER,
};

/* Sections of a document in the order in which the schema has them. */
enum section { NO_SECTION, S_IDENTITY, S_PROPERTIES, S_LOCALIZED, S_RELATIONSHIPS, S_RULES, S_FILES, S_HANDLER };

struct document;
struct rule {
	enum place in;
	struct slice name;
	enum place place; /* of its children */
	enum section section;
	enum fragment_type begins; /* the fragment that this element and all below go into; 0: as its parent */
	bool text;                 /* collect its text for close() */
	struct slice rename;       /* name in the fragment, if another */
	int (*open)(struct document *d);
	int (*close)(struct document *d);
};

struct fragment_name { /* of a localized or EULA fragment of this document */
	enum fragment_type type;
	struct slice locale, geo;
};

struct relation_list {
	struct buf rows; /* struct document_relation */
	unsigned clauses;
	bool is_category;    /* of the clause that is open */
	size_t clause_start; /* its first row */
};

struct document {
	struct xml *x;
	struct digest *digest;
	struct packer core, extended, part /* localized or EULA, one after the other */, original;
	struct buf text, scratch;
	struct copier copy;
	struct buf files; /* struct document_file */
	struct relation_list rel[REL__N];
	struct arena facts; /* names, titles, locales */

	/* ---- of the document being read ---- */
	const struct document_sink *sink;
	xml_refill_fn *refill;
	void *refill_arg;
	struct err *e;
	struct revision rev;
	const struct rule *level[LIMIT_DOC_DEPTH + 1]; /* of the open elements; NULL: nothing that we know */
	enum section section;
	unsigned bom;         /* bytes of a byte order mark seen so far; 3: seen or none */
	bool wanted;
	size_t identity_at;
	unsigned out_depth;   /* of the element that began the fragment being copied */
	unsigned collecting;  /* depth of the element whose text goes to `text` */
	struct fragment_name part_name;
	struct fragment_name name[2 * LIMIT_DOC_LANGUAGES];
	size_t nname, nlocalized, neula;
	struct slice part_title;
	int title_rank;       /* 0 none, 1 any language, 2 English, 3 the default language */
	bool sha256;          /* the AdditionalDigest being read is a SHA256 */
	bool driver_metadata;
};

/* ================= refusing ================= */

#define refuse(d, code, ...) refuse_token((d)->x, (d)->e, (code), __VA_ARGS__)

static int no_memory(struct document *d)
{
	return err_set(d->e, E_NOMEM, "reading an update document: %s", err_name(E_NOMEM));
}

/* The name of the element at hand, for messages. */
static struct slice here(const struct document *d)
{
	struct slice s = xml_name(d->x);
	s.n = MIN(s.n, (size_t)64);
	return s;
}

/* ================= attributes as values ================= */

static bool read_guid(struct slice s, void *out) { return text_guid(s, out); }
static bool read_bool(struct slice s, void *out) { return text_bool(s, out); }
static bool read_u64(struct slice s, void *out) { return text_u64(s, out); }
static bool read_time(struct slice s, void *out) { return text_time(s, out); }
static bool read_sha1(struct slice s, void *out) { return text_base64_fixed(s, out, sizeof(struct sha1)); }
static bool read_number(struct slice s, void *out)
{
	int32_t v;
	if (!text_i32(s, &v) || v < 0)
		return false;
	*(int32_t *)out = v;
	return true;
}

enum kind { K_GUID, K_BOOL, K_U64, K_TIME, K_SHA1, K_NUMBER };
static const struct {
	const char *what;
	bool (*read)(struct slice s, void *out);
} kinds[] = {
	[K_GUID] = {"a GUID", read_guid},
	[K_BOOL] = {"true or false", read_bool},
	[K_U64] = {"a size", read_u64},
	[K_TIME] = {"a date", read_time},
	[K_SHA1] = {"the base64 of a SHA-1", read_sha1},
	[K_NUMBER] = {"a number from 0 to 2147483647", read_number},
};

/* The value with its references resolved, absent if there is no such attribute; valid until the next call. */
static struct slice attr_text(struct document *d, const char *name)
{
	const struct xml_attr *a = xml_find_attr(d->x, SL(""), slice_of(name));
	if (!a)
		return SL0;
	if (!memchr(a->raw.p, '&', a->raw.n))
		return a->raw;
	d->scratch.n = 0; /* its rc stays: on_open() asks */
	xml_resolve_refs(&d->scratch, a->raw);
	return buf_bytes(&d->scratch);
}

static int no_attr(struct document *d, const char *name)
{
	struct slice el = here(d);
	return refuse(d, E_FORM, "%.*s has no %s", SLF(el), name);
}

/* Leaves *out as it is if the attribute is absent. */
static int attr_may(struct document *d, const char *name, enum kind k, void *out)
{
	struct slice s = attr_text(d, name);
	if (!s.p || kinds[k].read(s, out))
		return E_OK;
	struct slice el = here(d);
	return refuse(d, E_FORM, "%.*s: %s \"%.*s\" is not %s", SLF(el), name, (int)MIN(s.n, (size_t)80), s.p,
		kinds[k].what);
}

static int attr_must(struct document *d, const char *name, enum kind k, void *out)
{
	if (!xml_find_attr(d->x, SL(""), slice_of(name)))
		return no_attr(d, name);
	return attr_may(d, name, k, out);
}

static int keep(struct document *d, struct slice s, struct slice *out)
{
	*out = arena_copy(&d->facts, s);
	return out->p ? E_OK : no_memory(d);
}

/* The value in the facts' memory; absent: empty. */
static int attr_string(struct document *d, const char *name, size_t max, struct slice *out)
{
	struct slice s = attr_text(d, name), el = here(d);
	if (s.n > max)
		return refuse(d, E_LIMIT, "%.*s: %s is longer than %zu bytes", SLF(el), name, max);
	return keep(d, s.p ? s : SL(""), out);
}

/* ================= fragments ================= */

/* In the extended fragment Properties loses what the core or nobody gets (WUSP-POPULATE-28).  PerUser at its
 * default appears in no fragment of a real server; another value does, by the text of the rule. */
static bool leaves_extended(struct slice name, struct slice raw)
{
	static const struct {
		struct slice name, only; /* only: dropped with this value, else always */
	} gone[] = {
		{N("UpdateType"), N0}, {N("ExplicitlyDeployable"), N0}, {N("AutoSelectOnWebSites"), N0},
		{N("EulaID"), N0}, {N("PublicationState"), N0}, {N("PublisherID"), N0},
		{N("CreationDate"), N0}, {N("IsPublic"), N0}, {N("LegacyName"), N0},
		{N("DetectoidType"), N0}, {N("OSUpgrade"), N0}, {N("PerUser"), N("false")},
	};
	for (size_t i = 0; i < COUNTOF(gone); i++)
		if (slice_eq(name, gone[i].name))
			return !gone[i].only.p || slice_eq(raw, gone[i].only);
	return false;
}

static int emit_chunk(void *arg, const struct chunk *c, struct err *e)
{
	struct document *d = arg;
	bool named = c->type == FRAG_LOCALIZED || c->type == FRAG_EULA;
	if (c->type == FRAG_LOCALIZED && !d->part_name.locale.p)
		return refuse(d, E_LIMIT, "LocalizedProperties: no Language in its first %zu bytes", LIMIT_CHUNK);
	struct slice none = SL("");
	return d->sink->chunk(d->sink->arg, c, named ? d->part_name.locale : none, named ? d->part_name.geo : none, e);
}

static struct packer *packer_of(struct document *d, enum fragment_type type)
{
	switch (type) {
	case FRAG_CORE: return &d->core;
	case FRAG_EXTENDED: return &d->extended;
	default: return &d->part;
	}
}

static void begin_fragment(struct document *d, enum fragment_type type)
{
	struct packer *out = packer_of(d, type);
	if (out == &d->part) {
		packer_start(out, type);
		d->part_name = (struct fragment_name){.type = type, .geo = SL("")};
		d->part_title = SL0;
	}
	copier_direct(&d->copy, out);
	d->out_depth = xml_depth(d->x);
}

/* Gives the localized or EULA fragment under way its key. */
static int name_fragment(struct document *d)
{
	struct fragment_name *f = &d->part_name;
	for (size_t i = 0; i < d->nname; i++) {
		struct fragment_name *o = &d->name[i];
		if (o->type == f->type && slice_eq(o->locale, f->locale) && slice_eq(o->geo, f->geo))
			return refuse(d, E_FORM, "language %.*s twice", SLF(f->locale));
	}
	size_t *n = f->type == FRAG_EULA ? &d->neula : &d->nlocalized;
	if (++*n > LIMIT_DOC_LANGUAGES)
		return refuse(d, E_LIMIT, "more than %d languages", LIMIT_DOC_LANGUAGES);
	d->name[d->nname++] = *f;
	return E_OK;
}

/* Locales are keys: compared in lower case (WUSP-POPULATE-30, -31). */
static int keep_locale(struct document *d, struct slice s, struct slice *out)
{
	s = text_trim(s);
	bool good = s.n > 0 && s.n <= LIMIT_LOCALE;
	for (size_t i = 0; i < s.n && good; i++) {
		char c = text_lower(s.p[i]);
		good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
	}
	if (!good)
		return refuse(d, E_FORM, "\"%.*s\" is not a language", (int)MIN(s.n, (size_t)80), s.n ? s.p : "");
	char low[LIMIT_LOCALE];
	text_lower_to(low, s);
	return keep(d, (struct slice){low, s.n}, out);
}

/* ================= what single elements say ================= */

static int open_update(struct document *d)
{
	if (slice_eq(xml_ns(d->x), NS_UPDATE))
		return E_OK;
	return refuse(d, E_FORM, "the root is not {%.*s}Update", SLF(NS_UPDATE));
}

static int close_update(struct document *d)
{
	if (d->section < S_IDENTITY)
		return refuse(d, E_FORM, "no UpdateIdentity");
	if (!d->nlocalized) /* WUSP-POPULATE-30: at least one */
		return refuse(d, E_FORM, "no LocalizedProperties");
	if (d->rev.type == TYPE_DRIVER && !d->driver_metadata) /* WUSP-POPULATE-42 */
		return refuse(d, E_FORM, "a driver without WindowsDriverMetaData");
	return E_OK;
}

static int open_identity(struct document *d)
{
	d->identity_at = xml_offset(d->x);
	int rc = attr_must(d, "UpdateID", K_GUID, &d->rev.update);
	if (rc == E_OK)
		rc = attr_must(d, "RevisionNumber", K_NUMBER, &d->rev.number);
	if (rc == E_OK)
		rc = d->sink->identity(d->sink->arg, &d->rev.update, d->rev.number, &d->wanted, d->e);
	d->core.discard = d->extended.discard = d->part.discard = d->original.discard = !d->wanted;
	return rc;
}

static int read_type(struct document *d)
{
	struct slice s = attr_text(d, "UpdateType");
	if (!s.p)
		return no_attr(d, "UpdateType");
	for (int t = 0; t < TYPE__N; t++)
		if (slice_eq(s, slice_of(update_type_names[t]))) {
			d->rev.type = (enum update_type)t;
			return E_OK;
		}
	return refuse(d, E_FORM, "Properties: UpdateType \"%.*s\" is not Software, Driver, Category or Detectoid",
		(int)MIN(s.n, (size_t)80), s.p);
}

/* The core's Properties: no children, these attributes in this order, which is that of the rule
 * (WUSP-POPULATE-22) and the one seen at a real server for the first three.  The value at its default is
 * left out (seen for ExplicitlyDeployable); EulaID has none. */
static const struct {
	const char *name;
	struct slice dflt;
	unsigned flag; /* of the revision, if the value is another */
} core_properties[] = {
	{"UpdateType", N0, 0},
	{"ExplicitlyDeployable", N("false"), REV_EXPLICIT},
	{"AutoSelectOnWebSites", N("false"), 0},
	{"OSUpgrade", N("none"), REV_OSUPGRADE},
	{"EulaID", N0, 0},
};

static void write_core_properties(struct document *d)
{
	struct buf *b = packer_text(&d->core);
	buf_str(b, "&lt;Properties");
	for (size_t i = 0; i < COUNTOF(core_properties); i++) {
		struct slice name = slice_of(core_properties[i].name);
		const struct xml_attr *a = xml_find_attr(d->x, SL(""), name);
		if (!a || (core_properties[i].dflt.p && slice_eq(a->raw, core_properties[i].dflt)))
			continue;
		copier_attr(b, name, a->raw);
		d->rev.flags |= core_properties[i].flag;
	}
	buf_str(b, " /&gt;");
}

static int read_properties(struct document *d)
{
	bool explicit = false, select = false;
	int rc = read_type(d);
	if (rc == E_OK)
		rc = attr_may(d, "ExplicitlyDeployable", K_BOOL, &explicit);
	if (rc == E_OK)
		rc = attr_may(d, "AutoSelectOnWebSites", K_BOOL, &select);
	if (rc == E_OK)
		rc = attr_may(d, "CreationDate", K_TIME, &d->rev.created);
	if (rc == E_OK)
		rc = attr_may(d, "MaxDownloadSize", K_U64, &d->rev.max_download);
	if (rc == E_OK)
		rc = attr_may(d, "EulaID", K_GUID, &d->rev.eula);
	if (rc == E_OK)
		rc = attr_string(d, "MsrcSeverity", LIMIT_SEVERITY, &d->rev.severity);
	struct slice language = attr_text(d, "DefaultPropertiesLanguage");
	if (rc == E_OK)
		rc = keep_locale(d, language.p ? language : SL("en"), &d->rev.language);
	if (!explicit)
		d->rev.flags &= ~REV_EXPLICIT;
	return rc;
}

static int open_properties(struct document *d)
{
	write_core_properties(d);
	int rc = packer_drain(&d->core, d->e);
	if (rc == E_OK)
		rc = read_properties(d);
	struct slice state = attr_text(d, "PublicationState");
	if (state.p && slice_eq(state, SL("Expired"))) /* WSUSSS-POPULATE-13 */
		d->rev.flags |= REV_EXPIRED;
	struct slice mandatory = attr_text(d, "IsMandatory");
	if (text_ieq(mandatory, SL("true")) || slice_eq(mandatory, SL("1"))) /* WSUSSS-POPULATE-12 */
		d->rev.flags |= REV_INFRASTRUCTURE;
	return rc;
}

static int close_kb(struct document *d)
{
	struct slice kb = text_trim(buf_bytes(&d->text));
	size_t n = d->rev.kb.n + (d->rev.kb.n > 0) + kb.n;
	if (n > KB_MAX || !kb.n) /* for people only: what is too much is left out */
		return E_OK;
	d->rev.kb = arena_printf(&d->facts, "%.*s%s%.*s", SLF(d->rev.kb), d->rev.kb.n ? " " : "", SLF(kb));
	return d->rev.kb.p ? E_OK : no_memory(d);
}

/* FragmentType: the text of SecuredFragment, or its attribute of that name; nobody has shown a real one. */
static void secure(struct document *d, struct slice type)
{
	type = text_trim(type);
	if (text_ieq(type, SL("FileURL")))
		d->rev.flags |= REV_SECURE_URL;
	else if (text_ieq(type, SL("FileDecryption")))
		d->rev.flags |= REV_SECURE_KEY;
}

static int open_secured(struct document *d)
{
	secure(d, attr_text(d, "FragmentType"));
	return E_OK;
}

static int close_secured(struct document *d)
{
	secure(d, buf_bytes(&d->text));
	return E_OK;
}

static int close_severity(struct document *d)
{
	struct slice s = text_trim(buf_bytes(&d->text));
	return s.n <= LIMIT_SEVERITY && !d->rev.severity.n ? keep(d, s, &d->rev.severity) : E_OK;
}

static int close_language(struct document *d)
{
	if (d->part_name.locale.p)
		return refuse(d, E_FORM, "LocalizedProperties: a second Language");
	int rc = keep_locale(d, buf_bytes(&d->text), &d->part_name.locale);
	return rc == E_OK ? name_fragment(d) : rc;
}

static int close_title(struct document *d)
{
	struct slice s = text_trim(buf_bytes(&d->text));
	if (s.n > TITLE_MAX) {
		s.n = TITLE_MAX;
		while (s.n && ((unsigned char)s.p[s.n] & 0xC0) == 0x80)
			s.n--;
	}
	return d->part_title.p ? E_OK : keep(d, s, &d->part_title);
}

static int close_localized(struct document *d)
{
	struct slice locale = d->part_name.locale;
	if (!locale.p)
		return refuse(d, E_FORM, "LocalizedProperties has no Language");
	int rank = slice_eq(locale, d->rev.language) ? 3 : slice_eq(locale, SL("en")) ? 2 : 1;
	if (d->part_title.p && rank > d->title_rank) {
		d->rev.title = d->part_title;
		d->title_rank = rank;
	}
	return E_OK;
}

/* ---- files ---- */

static int read_file(struct document *d, struct document_file *f)
{
	struct slice algorithm = attr_text(d, "DigestAlgorithm");
	if (algorithm.p && !slice_eq(algorithm, SL("SHA1"))) /* names on the wire are SHA-1 digests */
		return refuse(d, E_FORM, "DigestAlgorithm \"%.*s\" is not SHA1", (int)MIN(algorithm.n, (size_t)80),
			algorithm.p);
	int rc = attr_must(d, "Digest", K_SHA1, &f->file.digest);
	if (rc == E_OK)
		rc = attr_string(d, "FileName", LIMIT_STRING, &f->file.name);
	if (rc == E_OK && !f->file.name.n)
		rc = no_attr(d, "FileName");
	if (rc == E_OK)
		rc = attr_must(d, "Size", K_U64, &f->file.size);
	if (rc == E_OK)
		rc = attr_may(d, "Modified", K_TIME, &f->file.modified);
	return rc;
}

/* For downstream servers (WSUSSS-ADM-22); nothing of it is a reason to refuse a document. */
static void read_kind(struct document *d, struct file *f)
{
	f->express = text_ieq(text_trim(attr_text(d, "PatchingType")), SL("Express"));
	if (!text_bool(attr_text(d, "IsEncrypted"), &f->encrypted))
		f->encrypted = false;
}

static int add_file(struct document *d, struct document_file *f)
{
	int rc = read_file(d, f);
	if (rc != E_OK)
		return rc;
	if (d->files.n / sizeof(*f) >= LIMIT_DOC_FILES)
		return refuse(d, E_LIMIT, "more than %d files", LIMIT_DOC_FILES);
	read_kind(d, &f->file);
	f->file.mu_url = f->file.key = SL("");
	buf_add(&d->files, f, sizeof(*f));
	return d->files.rc == E_OK ? E_OK : no_memory(d);
}

static int open_file(struct document *d)
{
	struct document_file f = {.locale = SL(""), .geo = SL("")};
	return add_file(d, &f);
}

static int open_eula(struct document *d)
{
	struct document_file f = {.file.eula = true};
	struct slice language = attr_text(d, "Language");
	if (!language.p)
		return no_attr(d, "Language");
	int rc = keep_locale(d, language, &f.locale);
	if (rc == E_OK)
		rc = attr_string(d, "GeoId", LIMIT_REGION, &f.geo);
	if (rc != E_OK)
		return rc;
	char *geo = (char *)(uintptr_t)f.geo.p; /* ours: fresh from the arena */
	for (size_t i = 0; i < f.geo.n; i++) {
		if (!memchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-", geo[i], 63))
			return refuse(d, E_FORM, "EulaFile: GeoId \"%.*s\" is not a region", SLF(f.geo));
		if (geo[i] >= 'a' && geo[i] <= 'z')
			geo[i] = (char)(geo[i] - 'a' + 'A');
	}
	d->part_name = (struct fragment_name){FRAG_EULA, f.locale, f.geo};
	rc = name_fragment(d);
	return rc == E_OK ? add_file(d, &f) : rc;
}

static int open_additional(struct document *d)
{
	struct slice a = attr_text(d, "Algorithm");
	d->sha256 = a.p && slice_eq(a, SL("SHA256"));
	return E_OK;
}

static int close_additional(struct document *d)
{
	if (!d->sha256) /* other algorithms stay in the fragment, nobody here checks them */
		return E_OK;
	struct document_file *f = (struct document_file *)(void *)(d->files.p + d->files.n) - 1;
	f->file.has_sha256 = text_base64_fixed(buf_bytes(&d->text), f->file.sha256.b, sizeof(f->file.sha256.b));
	return f->file.has_sha256 ? E_OK : refuse(d, E_FORM, "AdditionalDigest is not the base64 of a SHA-256");
}

/* ---- relations ---- */

static const char *const relation_names[REL__N] = {"prerequisites", "bundled updates", "superseded updates"};

static int add_relation(struct document *d, enum relation_kind k, bool own_clause)
{
	struct relation_list *l = &d->rel[k];
	struct document_relation r = {.is_category = !own_clause && l->is_category};
	int rc = attr_must(d, "UpdateID", K_GUID, &r.update);
	if (rc == E_OK && k == REL_BUNDLE)
		rc = attr_must(d, "RevisionNumber", K_NUMBER, &r.number);
	if (rc != E_OK)
		return rc;
	if (k == REL_BUNDLE && guid_cmp(&r.update, &d->rev.update) == 0)
		return refuse(d, E_FORM, "the update bundles itself");
	if (l->rows.n / sizeof(r) >= LIMIT_DOC_PREREQUISITES)
		return refuse(d, E_LIMIT, "more than %d %s", LIMIT_DOC_PREREQUISITES, relation_names[k]);
	l->clauses += own_clause;
	r.clause = (uint16_t)(l->clauses - 1);
	buf_add(&l->rows, &r, sizeof(r));
	if (k == REL_PREREQ && l->clauses > LIMIT_DOC_CLAUSES)
		return refuse(d, E_LIMIT, "more than %d clauses of prerequisites", LIMIT_DOC_CLAUSES);
	return l->rows.rc == E_OK ? E_OK : no_memory(d);
}

static int open_clause(struct document *d, enum relation_kind k)
{
	struct relation_list *l = &d->rel[k];
	if (l->clauses >= LIMIT_DOC_PREREQUISITES)
		return refuse(d, E_LIMIT, "more than %d %s", LIMIT_DOC_PREREQUISITES, relation_names[k]);
	l->clauses++;
	l->clause_start = l->rows.n;
	l->is_category = false;
	return attr_may(d, "IsCategory", K_BOOL, &l->is_category); /* WUSP-POPULATE-15: absent is false */
}

/* Without an alternative it could never be met. */
static int close_clause(struct document *d, enum relation_kind k)
{
	return d->rel[k].rows.n > d->rel[k].clause_start ? E_OK : refuse(d, E_FORM, "AtLeastOne names no update");
}

static int open_prereq(struct document *d) { return add_relation(d, REL_PREREQ, true); }
static int open_prereq_clause(struct document *d) { return open_clause(d, REL_PREREQ); }
static int open_prereq_in(struct document *d) { return add_relation(d, REL_PREREQ, false); }
static int close_prereq_clause(struct document *d) { return close_clause(d, REL_PREREQ); }
static int open_bundled(struct document *d) { return add_relation(d, REL_BUNDLE, true); }
static int open_bundle_clause(struct document *d) { return open_clause(d, REL_BUNDLE); }
static int open_bundled_in(struct document *d) { return add_relation(d, REL_BUNDLE, false); }
static int close_bundle_clause(struct document *d) { return close_clause(d, REL_BUNDLE); }
static int open_superseded(struct document *d) { return add_relation(d, REL_SUPERSEDED, true); }

/* ---- the rest ---- */

static int open_driver_metadata(struct document *d)
{
	d->driver_metadata = true;
	return E_OK;
}

static int open_category(struct document *d)
{
	static const struct {
		struct slice name;
		enum category_type type;
	} types[] = {
		{N("Company"), CAT_COMPANY},
		{N("ProductFamily"), CAT_PRODUCT_FAMILY},
		{N("Product"), CAT_PRODUCT},
		{N("UpdateClassification"), CAT_CLASSIFICATION},
	};
	struct slice s = attr_text(d, "CategoryType");
	if (!s.p || d->rev.type != TYPE_CATEGORY)
		return E_OK;
	d->rev.category_type = CAT_OTHER;
	for (size_t i = 0; i < COUNTOF(types); i++)
		if (slice_eq(s, types[i].name))
			d->rev.category_type = types[i].type;
	return E_OK;
}

/* ================= the table ================= */

static const struct rule rules[] = {
	{.in = AT_TOP, .name = N("Update"), .place = AT_UPDATE, .open = open_update, .close = close_update},

	{.in = AT_UPDATE, .name = N("UpdateIdentity"), .section = S_IDENTITY, .begins = FRAG_CORE,
		.open = open_identity},
	{.in = AT_UPDATE, .name = N("Properties"), .place = AT_PROPERTIES, .section = S_PROPERTIES,
		.begins = FRAG_EXTENDED, .open = open_properties,
		.rename = N("ExtendedProperties")}, /* WUSP-POPULATE-29 */
	{.in = AT_UPDATE, .name = N("LocalizedPropertiesCollection"), .place = AT_COLLECTION, .section = S_LOCALIZED},
	{.in = AT_UPDATE, .name = N("Relationships"), .place = AT_RELATIONSHIPS, .section = S_RELATIONSHIPS,
		.begins = FRAG_CORE},
	{.in = AT_UPDATE, .name = N("ApplicabilityRules"), .place = AT_RULES, .section = S_RULES,
		.begins = FRAG_CORE},
	{.in = AT_UPDATE, .name = N("Files"), .place = AT_FILES, .section = S_FILES, .begins = FRAG_EXTENDED},
	{.in = AT_UPDATE, .name = N("HandlerSpecificData"), .place = AT_HANDLER, .section = S_HANDLER,
		.begins = FRAG_EXTENDED},

	{.in = AT_PROPERTIES, .name = N("KBArticleID"), .text = true, .close = close_kb},
	{.in = AT_PROPERTIES, .name = N("MsrcSeverity"), .text = true, .close = close_severity},
	{.in = AT_PROPERTIES, .name = N("SecuredFragment"), .text = true, .open = open_secured,
		.close = close_secured},

	{.in = AT_COLLECTION, .name = N("LocalizedProperties"), .place = AT_LOCALIZED, .begins = FRAG_LOCALIZED,
		.close = close_localized},
	{.in = AT_COLLECTION, .name = N("EulaFile"), .place = AT_EULA, .begins = FRAG_EULA, .open = open_eula},
	{.in = AT_LOCALIZED, .name = N("Language"), .text = true, .close = close_language},
	{.in = AT_LOCALIZED, .name = N("Title"), .text = true, .close = close_title},
	{.in = AT_EULA, .name = N("AdditionalDigest"), .text = true, .open = open_additional,
		.close = close_additional},

	{.in = AT_RELATIONSHIPS, .name = N("Prerequisites"), .place = AT_PREREQ},
	{.in = AT_RELATIONSHIPS, .name = N("BundledUpdates"), .place = AT_BUNDLE},
	{.in = AT_RELATIONSHIPS, .name = N("SupersededUpdates"), .place = AT_SUPERSEDED},
	{.in = AT_PREREQ, .name = N("UpdateIdentity"), .open = open_prereq},
	{.in = AT_PREREQ, .name = N("AtLeastOne"), .place = AT_PREREQ_CLAUSE, .open = open_prereq_clause,
		.close = close_prereq_clause},
	{.in = AT_PREREQ_CLAUSE, .name = N("UpdateIdentity"), .open = open_prereq_in},
	{.in = AT_BUNDLE, .name = N("UpdateIdentity"),
		.open = open_bundled}, /* WUSP-POPULATE-18: a clause of its own */
	{.in = AT_BUNDLE, .name = N("AtLeastOne"), .place = AT_BUNDLE_CLAUSE, .open = open_bundle_clause,
		.close = close_bundle_clause},
	{.in = AT_BUNDLE_CLAUSE, .name = N("UpdateIdentity"), .open = open_bundled_in},
	{.in = AT_SUPERSEDED, .name = N("UpdateIdentity"), .open = open_superseded},

	{.in = AT_RULES, .name = N("Metadata"), .place = AT_METADATA},
	{.in = AT_METADATA, .name = N("WindowsDriverMetaData"), .open = open_driver_metadata},

	{.in = AT_FILES, .name = N("File"), .place = AT_FILE, .open = open_file},
	{.in = AT_FILE, .name = N("AdditionalDigest"), .text = true, .open = open_additional,
		.close = close_additional},

	{.in = AT_HANDLER, .name = N("CategoryInformation"), .open = open_category},
};

static const struct rule *rule_find(enum place in, struct slice name)
{
	if (in == AT_NONE)
		return NULL;
	for (size_t i = 0; i < COUNTOF(rules); i++)
		if (rules[i].in == in && slice_eq(rules[i].name, name))
			return &rules[i];
	return NULL;
}

static enum place place_of(const struct document *d, unsigned depth)
{
	if (depth == 0)
		return AT_TOP;
	return d->level[depth] ? d->level[depth]->place : AT_NONE;
}

/* ================= tokens ================= */

static struct slice rename_of(const struct rule *r)
{
	return r ? r->rename : SL0;
}

/* Sections come once each, in the schema's order: fragments are written while reading. */
static int enter_section(struct document *d, const struct rule *r)
{
	if (r->section == d->section)
		return refuse(d, E_FORM, "a second %.*s", SLF(r->name));
	if (r->section < d->section)
		return refuse(d, E_FORM, "%.*s is out of order", SLF(r->name));
	if (r->section > S_IDENTITY && d->section < S_IDENTITY)
		return refuse(d, E_FORM, "no UpdateIdentity before %.*s", SLF(r->name));
	if (r->section > S_PROPERTIES && d->section < S_PROPERTIES)
		return refuse(d, E_FORM, "no Properties before %.*s", SLF(r->name));
	d->section = r->section;
	return E_OK;
}

static int on_open(struct document *d)
{
	unsigned depth = xml_depth(d->x);
	ASSERT(depth >= 1 && depth <= LIMIT_DOC_DEPTH);
	const struct rule *r = rule_find(place_of(d, depth - 1), xml_name(d->x));
	if (depth == 1 && !r)
		return refuse(d, E_FORM, "the root is not {%.*s}Update", SLF(NS_UPDATE));
	d->level[depth] = r;
	int rc = r && r->section ? enter_section(d, r) : E_OK;
	if (rc == E_OK && r && r->begins)
		begin_fragment(d, r->begins);
	if (rc == E_OK && r && r->open)
		rc = r->open(d);
	if (d->scratch.rc != E_OK) /* then a value was cut short and what was said about it is wrong */
		rc = no_memory(d);
	if (rc == E_OK)
		rc = copier_open(&d->copy, rename_of(r), r && r->place == AT_PROPERTIES ? leaves_extended : NULL, d->e);
	if (r && r->text) {
		buf_reset(&d->text);
		d->collecting = depth;
	}
	return rc;
}

static int leave_fragment(struct document *d)
{
	bool part = d->copy.out == &d->part;
	copier_direct(&d->copy, NULL);
	ASSERT(!part || d->part_name.locale.p);
	return part ? packer_finish(&d->part, d->e) : E_OK;
}

/* The text that close() is about to look into is complete. */
static int end_collecting(struct document *d, unsigned depth)
{
	if (d->collecting != depth)
		return E_OK;
	d->collecting = 0;
	if (d->text.rc == E_OK)
		return E_OK;
	return d->text.rc == E_NOMEM
		       ? no_memory(d)
		       : refuse(d, E_LIMIT, "%.*s is longer than %zu bytes", SLF(d->level[depth]->name), LIMIT_DOC_TEXT);
}

static int on_close(struct document *d)
{
	unsigned depth = xml_depth(d->x) + 1; /* the element is closed already */
	const struct rule *r = d->level[depth];
	int rc = end_collecting(d, depth);
	if (rc == E_OK && r && r->close)
		rc = r->close(d);
	if (rc == E_OK)
		rc = copier_close(&d->copy, rename_of(r), d->e);
	if (rc == E_OK && d->copy.out && d->out_depth == depth)
		rc = leave_fragment(d);
	return rc;
}

static int on_text(struct document *d)
{
	if (d->collecting && xml_text_refs(d->x))
		xml_resolve_refs(&d->text, xml_text(d->x));
	else if (d->collecting)
		buf_slice(&d->text, xml_text(d->x));
	return copier_text(&d->copy, d->e);
}

/* ================= the bytes ================= */

/* Between the source and the scanner: counts, digests, and keeps the original, all without the byte order
 * mark, which is no part of the document. */
static int original(struct document *d, struct slice s, struct err *e)
{
	static const char mark[] = "\xEF\xBB\xBF";
	while (s.n && d->bom < 3) {
		if (*s.p != mark[d->bom]) {
			d->bom = 3;
			break;
		}
		d->bom++;
		s = (struct slice){s.p + 1, s.n - 1};
	}
	d->rev.doc_bytes += s.n;
	digest_add(d->digest, s);
	while (s.n) {
		struct slice part = {s.p, MIN(s.n, PACKER_PORTION / 8)};
		xml_escape_add(packer_text(&d->original), part);
		int rc = packer_drain(&d->original, e);
		if (rc != E_OK)
			return rc;
		s = (struct slice){s.p + part.n, s.n - part.n};
	}
	return E_OK;
}

static ptrdiff_t tee(void *arg, char *to, size_t n, struct err *e)
{
	struct document *d = arg;
	ptrdiff_t got = d->refill(d->refill_arg, to, n, e);
	if (got <= 0)
		return got;
	return original(d, (struct slice){to, (size_t)got}, e) == E_OK ? got : -1;
}

/* ================= one document ================= */

static void reset(struct document *d)
{
	for (int k = 0; k < REL__N; k++) {
		buf_reset(&d->rel[k].rows);
		d->rel[k].clauses = 0;
	}
	buf_reset(&d->files);
	buf_reset(&d->text);
	buf_reset(&d->scratch);
	copier_reset(&d->copy);
	arena_reset(&d->facts);
	d->core.discard = d->extended.discard = d->part.discard = d->original.discard = false;
	packer_start(&d->core, FRAG_CORE);
	packer_start(&d->extended, FRAG_EXTENDED);
	packer_start(&d->original, FRAG_ORIGINAL);
	struct slice none = SL("");
	d->rev = (struct revision){.title = none, .kb = none, .severity = none, .language = none};
	d->section = NO_SECTION;
	d->bom = 0;
	d->wanted = true;
	d->sha256 = d->driver_metadata = false;
	d->collecting = 0;
	d->nname = d->nlocalized = d->neula = 0;
	d->title_rank = 0;
}

static int read_tokens(struct document *d)
{
	static int (*const on[])(struct document *) = {
		[XML_OPEN] = on_open,
		[XML_CLOSE] = on_close,
		[XML_TEXT] = on_text,
	};
	enum xml_tok tok;
	while ((tok = xml_next(d->x)) > XML_END) {
		int rc = on[tok](d);
		if (rc != E_OK)
			return rc;
	}
	return tok == XML_END ? E_OK : xml_rc(d->x);
}

static int finish(struct document *d, struct document_facts *out)
{
	int rc = packer_finish(&d->core, d->e);
	if (rc == E_OK)
		rc = packer_finish(&d->extended, d->e);
	if (rc == E_OK)
		rc = packer_finish(&d->original, d->e);
	if (rc == E_OK && !digest_end(d->digest, d->rev.doc_digest.b))
		rc = err_set(d->e, E_IO, "SHA-256 failed");
	if (rc != E_OK)
		return rc;
	if (d->rel[REL_BUNDLE].rows.n)
		d->rev.flags |= REV_BUNDLE;
	*out = (struct document_facts){.rev = d->rev};
	for (int k = 0; k < REL__N; k++)
		out->rel[k] = (struct document_relations){(const void *)d->rel[k].rows.p,
			d->rel[k].rows.n / sizeof(struct document_relation)};
	out->files = (const void *)d->files.p;
	out->identity_at = d->identity_at;
	out->nfiles = d->files.n / sizeof(struct document_file);
	return E_OK;
}

int document_read(struct document *d, xml_refill_fn *refill, void *arg, const struct document_sink *sink,
	struct document_facts *out, struct err *e)
{
	struct err own;
	d->e = e ? e : &own;
	d->sink = sink;
	d->refill = refill;
	d->refill_arg = arg;
	reset(d);
	digest_start(d->digest);
	xml_init_stream(d->x, tee, d, &xml_document_limits, d->e);
	int rc = read_tokens(d);
	return rc == E_OK ? finish(d, out) : rc;
}

struct document *document_new(void)
{
	struct document *d = alloc_should_fail() ? NULL : calloc(1, sizeof(*d));
	if (!d)
		return NULL;
	struct packer *packers[] = {&d->core, &d->extended, &d->part, &d->original};
	for (size_t i = 0; i < COUNTOF(packers); i++)
		packer_init(packers[i], emit_chunk, d);
	buf_init(&d->text, LIMIT_DOC_TEXT);
	buf_init(&d->scratch, PACKER_PORTION);
	buf_init(&d->files, LIMIT_DOC_FILES * sizeof(struct document_file));
	for (int k = 0; k < REL__N; k++)
		buf_init(&d->rel[k].rows, LIMIT_DOC_PREREQUISITES * sizeof(struct document_relation));
	arena_init(&d->facts, FACTS_MAX);
	d->digest = digest_new(DIGEST_SHA256);
	d->x = xml_new();
	copier_init(&d->copy, d->x);
	if (!d->x || !d->digest)
		document_free(&d);
	return d;
}

void document_free(struct document **pd)
{
	struct document *d = *pd;
	if (!d)
		return;
	struct packer *packers[] = {&d->core, &d->extended, &d->part, &d->original};
	for (size_t i = 0; i < COUNTOF(packers); i++)
		packer_free(packers[i]);
	struct buf *bufs[] = {&d->text, &d->scratch, &d->files, &d->rel[REL_PREREQ].rows,
		&d->rel[REL_BUNDLE].rows, &d->rel[REL_SUPERSEDED].rows};
	for (size_t i = 0; i < COUNTOF(bufs); i++)
		buf_free(bufs[i]);
	copier_free(&d->copy);
	arena_free(&d->facts);
	digest_free(&d->digest);
	xml_free(&d->x);
	free(d);
	*pd = NULL;
}
