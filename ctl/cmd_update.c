/* cmd_update.c -- update documents in, updates shown. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/text.h"
#include "common/xpress.h"
#include "ctl/cmd.h"
#include "ctl/content.h"
#include "store/content_names.h"
#include "ctl/policy.h"
#include "ctl/walk.h"
#include "store/import.h"

/* ---- import ---- */

struct batch {
	struct import *import;
	uint64_t total; /* documents there are; 0: nobody wants to know */
	uint64_t files, added, known, refused, bytes;
};

/* "1200 of 5000 documents (24 %), 812 a second, 3 refused" */
static void show_progress(struct ctl *c, const struct batch *b)
{
	double seconds = (double)(time_now() - c->now) / (double)TICKS_PER_SECOND;
	if (b->total == 0)
		return;
	ctl_progress(c, "%llu of %llu documents (%u %%), %.0f a second, %llu refused", (unsigned long long)b->files,
		(unsigned long long)b->total, (unsigned)(b->files * 100 / MAX(b->files, b->total)),
		seconds > 0 ? (double)b->files / seconds : 0.0, (unsigned long long)b->refused);
}

static ptrdiff_t read_more(void *arg, char *to, size_t n, struct err *e)
{
	ssize_t got;
	do
		got = read(*(int *)arg, to, n);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		err_errno(e, "reading failed");
	return got;
}

static void tell(struct ctl *c, struct batch *b, const char *path, const struct import_report *r)
{
	switch (r->outcome) {
	case IMPORT_NEW:
		b->added++;
		b->bytes += r->bytes;
		break;
	case IMPORT_KNOWN:
		b->known++;
		break;
	case IMPORT_DIFFERENT:
	case IMPORT_REFUSED:
		b->refused++;
		ctl_complain(c, "%s: refused: %s", path, c->err.text);
		c->err = (struct err){0};
		break;
	}
}

static int import_file(struct ctl *c, const char *path, uint64_t size, void *arg)
{
	struct batch *b = arg;
	struct import_report r;
	(void)size;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		ctl_complain(c, "%s: %s", path, strerror(errno));
		b->refused++;
		return E_OK;
	}
	int rc = import_document(b->import, read_more, &fd, &r, &c->err);
	close(fd);
	if (rc != E_OK)
		return err_at(&c->err, rc, "%s: ", path);
	b->files++;
	tell(c, b, path, &r);
	show_progress(c, b);
	return E_OK;
}

static void import_summary(struct ctl *c, const struct batch *b)
{
	struct out *o = &c->out;
	double seconds = (double)(time_now() - c->now) / (double)TICKS_PER_SECOND;
	out_object_begin(o);
	out_field_number(o, "new", "New", CELL_NUMBER, b->added);
	out_field_number(o, "known", "Known already", CELL_NUMBER, b->known);
	out_field_number(o, "refused", "Refused", CELL_NUMBER, b->refused);
	out_field_number(o, "bytes", "Document text", CELL_BYTES, b->bytes);
	out_field_number(o, "milliseconds", "Milliseconds", CELL_NUMBER, (int64_t)(seconds * 1000));
	out_object_end(o);
}

static int run_import(struct ctl *c)
{
	struct batch b = {0};
	int rc = import_begin(&b.import, c->store, c->now, &c->err);
	if (rc != E_OK)
		return rc;
	for (unsigned i = 0; ctl_shows_progress(c) && i < c->npos; i++)
		b.total += walk_count(c->pos[i], ".xml");
	for (unsigned i = 0; rc == E_OK && i < c->npos; i++)
		rc = walk_files(c, c->pos[i], ".xml", import_file, &b);
	struct err ending = {0};
	int ended = import_end(&b.import, rc != E_OK, rc == E_OK ? &c->err : &ending);
	if (rc == E_OK)
		rc = ended;
	if (rc != E_OK)
		return rc;
	if (b.files == 0 && !c->failed)
		ctl_complain(c, "there is nothing to import: no file named, and no *.xml below the directories");
	import_summary(c, &b);
	struct name_report names;
	if (b.added)
		content_mend_names(c, NULL, &names); /* files that are here may have got other names */
	return b.added ? ctl_note(c, "update import: %llu new", (unsigned long long)b.added) : E_OK;
}

/* ---- list ---- */

static const struct column list_columns[] = {
	{"id", "UPDATE", CELL_TEXT, FIT_WHOLE},     {"revision", "REV", CELL_NUMBER, FIT_WHOLE},
	{"kb", "KB", CELL_TEXT, FIT_WHOLE},         {"type", "TYPE", CELL_TEXT, FIT_DROP},
	{"state", "STATE", CELL_TEXT, FIT_WHOLE},   {"approvals", "APPROVED", CELL_NUMBER, FIT_WHOLE},
	{"created", "CREATED", CELL_TIME, FIT_DROP}, {"title", "TITLE", CELL_TEXT, FIT_CUT},
};

struct list_filter {
	struct ctl *c;
	const char *type;
	bool all, approved, declined;
	struct slice part;
};

static int count_live(const struct deployment *d, void *arg)
{
	*(int64_t *)arg += !d->dead;
	return E_OK;
}

static const char *update_state(struct ctl *c, const struct revision *r, bool declined)
{
	(void)c;
	return declined ? "declined" : r->flags & REV_EXPIRED ? "expired" : r->flags & REV_PUBLISHED ? "offered" : "staged";
}

static bool is_highest(struct ctl *c, const struct revision *r)
{
	int32_t id;
	return revision_find(c->txn, &r->update, 0, &id) == E_OK && id == r->id;
}

static bool title_has(struct slice title, struct slice part)
{
	if (!part.p)
		return true;
	for (size_t i = 0; part.n <= title.n && i <= title.n - part.n; i++)
		if (text_ieq((struct slice){title.p + i, part.n}, part))
			return true;
	return false;
}

static bool wanted(const struct list_filter *f, const struct revision *r, const struct update *u, int64_t approvals)
{
	if (r->flags & REV_REMOVED || (f->approved && !approvals) || (f->declined && !u->declined))
		return false;
	if (f->type && !text_ieq(slice_of(f->type), slice_of(update_type_names[r->type])))
		return false;
	if (!title_has(r->title, f->part))
		return false;
	/* what an administrator decides about, unless asked for more */
	return f->all || f->type || r->flags & REV_EXPLICIT || approvals;
}

static int list_one(const struct revision *r, void *arg)
{
	struct list_filter *f = arg;
	struct ctl *c = f->c;
	struct update u;
	int64_t approvals = 0;
	int rc = update_get(c->txn, r->update_no, &u, &c->err);
	if (rc == E_OK)
		rc = deployment_each(c->txn, r->id, count_live, &approvals, &c->err);
	if (rc != E_OK)
		return rc;
	if (!wanted(f, r, &u, approvals) || (!f->all && !approvals && !is_highest(c, r)))
		return E_OK;
	char id[GUID_TEXT + 1];
	guid_text(&r->update, id);
	out_text(&c->out, arena_copy(&c->arena, slice_of(id)));
	out_number(&c->out, r->number);
	out_text(&c->out, r->kb.n ? r->kb : SL0);
	out_str(&c->out, update_type_names[r->type]);
	out_str(&c->out, update_state(c, r, u.declined));
	out_number(&c->out, approvals);
	out_number(&c->out, r->created);
	out_text(&c->out, r->title);
	return E_OK;
}

static bool is_type(const char *word)
{
	for (unsigned i = 0; i < TYPE__N; i++)
		if (text_ieq(slice_of(word), slice_of(update_type_names[i])))
			return true;
	return false;
}

static int run_list(struct ctl *c)
{
	struct list_filter f = {.c = c, .type = ctl_option(c, "type"), .all = ctl_option(c, "all") != NULL};
	f.approved = ctl_option(c, "approved") != NULL;
	f.declined = ctl_option(c, "declined") != NULL;
	f.part = c->npos ? slice_of(c->pos[0]) : SL0;
	if (f.type && !is_type(f.type))
		return err_set(&c->err, E_USAGE, "--type %s: one of software, driver, category or detectoid", f.type);
	out_list_begin(&c->out, list_columns, COUNTOF(list_columns));
	int rc = revision_each(c->txn, 1, 0, list_one, &f, &c->err);
	if (rc == E_OK)
		out_list_end(&c->out);
	return rc;
}

/* ---- show ---- */

static const struct {
	const char *word;
	enum fragment_type type;
	bool locale;
} fragment_words[] = {
	{"core", FRAG_CORE, false},    {"extended", FRAG_EXTENDED, false}, {"localized", FRAG_LOCALIZED, true},
	{"eula", FRAG_EULA, true},     {"original", FRAG_ORIGINAL, false},
};

static int print_piece(struct ctl *c, const struct piece *p, struct buf *plain)
{
	struct slice bytes = p->bytes;
	buf_reset(plain);
	if (p->packed) {
		if (xpress_unpack(p->bytes, plain) != E_OK)
			return err_set(&c->err, E_CORRUPT, "a stored fragment does not unpack; run `wsusctl store audit`");
		bytes = buf_bytes(plain);
	}
	if (!xml_unescape_add(&c->out.b, bytes))
		return err_set(&c->err, E_CORRUPT, "a stored fragment is not escaped as it should be; run `wsusctl store audit`");
	if (!out_flush(&c->out))
		return err_set(&c->err, E_IO, "writing to standard output failed");
	return E_OK;
}

static int print_fragment(struct ctl *c, const struct revision *r, enum fragment_type type, struct slice locale,
	struct slice geo)
{
	struct frag f;
	int rc = fragment_get(c->txn, r->id, type, locale, geo, &f, &c->err);
	if (rc == E_NOTFOUND)
		return err_set(&c->err, rc, "this revision has no such fragment; `wsusctl update show %s` lists its languages",
			c->pos[0]);
	struct buf plain;
	buf_init(&plain, LIMIT_DOC);
	for (size_t i = 0; rc == E_OK && i < f.n; i++)
		rc = print_piece(c, &f.v[i], &plain);
	buf_free(&plain);
	return rc;
}

/* core, extended, original, localized:LANG, eula:LANG, eula:LANG:GEO */
static int show_fragment(struct ctl *c, const struct revision *r, const char *what)
{
	struct slice rest = slice_of(what), word = text_cut(&rest, ':'), locale = text_cut(&rest, ':');
	struct slice lower = arena_copy(&c->arena, locale);
	if (!lower.p)
		return err_set(&c->err, E_NOMEM, "out of memory");
	text_lower_to((char *)(uintptr_t)lower.p, locale);
	for (unsigned i = 0; i < COUNTOF(fragment_words); i++) {
		if (!slice_eq(word, slice_of(fragment_words[i].word)) || fragment_words[i].locale != (locale.p != NULL))
			continue;
		return print_fragment(c, r, fragment_words[i].type, lower, rest.p ? rest : SL(""));
	}
	return err_set(&c->err, E_USAGE, "--fragment %s: one of core, extended, original, localized:LANG, eula:LANG[:GEO]",
		what);
}

static struct slice guid_field_text(struct ctl *c, const struct guid *g)
{
	char text[GUID_TEXT + 1];
	guid_text(g, text);
	return guid_is_zero(g) ? SL0 : arena_copy(&c->arena, slice_of(text));
}

static void show_head(struct ctl *c, const struct revision *r, const struct update *u)
{
	out_field_text(&c->out, "title", "Title", r->title);
	out_field_text(&c->out, "id", "Update", guid_field_text(c, &r->update));
	out_field_number(&c->out, "revision", "Revision", CELL_NUMBER, r->number);
	out_field_number(&c->out, "revision_id", "RevisionID", CELL_NUMBER, r->id);
	out_field_text(&c->out, "type", "Type", slice_of(update_type_names[r->type]));
	out_field_text(&c->out, "kb", "KB", r->kb);
	out_field_text(&c->out, "severity", "Severity", r->severity);
	out_field_text(&c->out, "state", "State", slice_of(update_state(c, r, u->declined)));
	out_field_number(&c->out, "explicitly_deployable", "Can be approved", CELL_BOOL, (r->flags & REV_EXPLICIT) != 0);
	out_field_text(&c->out, "language", "Language", r->language);
	out_field_number(&c->out, "created", "Created", CELL_TIME, r->created);
	out_field_number(&c->out, "imported", "Imported", CELL_TIME, r->imported);
	out_field_number(&c->out, "published", "Published", CELL_TIME, r->published);
	out_field_number(&c->out, "max_download", "Download", CELL_BYTES, r->max_download);
	out_field_number(&c->out, "document_bytes", "Document", CELL_BYTES, r->doc_bytes);
	if (u->declined) {
		out_field_number(&c->out, "declined", "Declined", CELL_TIME, u->declined_at);
		out_field_text(&c->out, "declined_by", "Declined by", u->declined_by);
	}
	if (guid_is_zero(&r->eula))
		return;
	out_field_text(&c->out, "eula", "EULA", guid_field_text(c, &r->eula));
	out_field_number(&c->out, "eula_accepted", "EULA accepted", CELL_BOOL, eula_accepted(c->txn, &r->eula));
}

static const struct column file_columns[] = {
	{"name", "FILE", CELL_TEXT, FIT_CUT},     {"size", "SIZE", CELL_BYTES, FIT_WHOLE},
	{"stored", "HERE", CELL_BOOL, FIT_WHOLE},  {"eula", "EULA", CELL_BOOL, FIT_WHOLE},
	{"sha1", "SHA-1", CELL_TEXT, FIT_DROP},
};

static int show_files(struct ctl *c, const struct revision *r)
{
	struct revision_file *v;
	size_t n;
	int rc = revision_files(c->txn, r->id, &v, &n, &c->err);
	if (rc != E_OK)
		return rc;
	out_sub_begin(&c->out, "files", "Files", file_columns, COUNTOF(file_columns));
	for (size_t i = 0; i < n; i++) {
		struct file f;
		char hex[2 * sizeof(f.digest.b) + 1];
		rc = file_get(c->txn, &v[i].digest, &f, &c->err);
		if (rc != E_OK)
			return rc;
		hex_text(f.digest.b, sizeof(f.digest.b), true, hex);
		out_text(&c->out, v[i].name);
		out_number(&c->out, (int64_t)f.size);
		out_number(&c->out, f.stored);
		out_number(&c->out, v[i].eula);
		out_text(&c->out, arena_copy(&c->arena, slice_of(hex)));
	}
	out_sub_end(&c->out);
	return E_OK;
}

static const struct column relation_columns[] = {
	{"relation", "RELATION", CELL_TEXT, FIT_WHOLE}, {"clause", "CLAUSE", CELL_NUMBER, FIT_DROP},
	{"category", "CATEGORY", CELL_BOOL, FIT_DROP}, {"update", "UPDATE", CELL_TEXT, FIT_WHOLE},
	{"revision", "REV", CELL_NUMBER, FIT_WHOLE},    {"title", "TITLE", CELL_TEXT, FIT_CUT},
};

static struct slice title_of(struct ctl *c, const struct guid *g, int32_t number)
{
	struct revision r;
	int32_t id;
	if (revision_find(c->txn, g, number, &id) != E_OK || revision_get(c->txn, id, &r, NULL) != E_OK)
		return SL("(not here)");
	return r.title;
}

static int relation_rows(struct ctl *c, const char *word, const struct relation *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct update u;
		int rc = update_get(c->txn, v[i].update_no, &u, &c->err);
		if (rc != E_OK)
			return rc;
		out_str(&c->out, word);
		out_number(&c->out, v[i].clause);
		out_number(&c->out, v[i].is_category);
		out_text(&c->out, guid_field_text(c, &u.id));
		out_number(&c->out, v[i].number);
		out_text(&c->out, title_of(c, &u.id, v[i].number));
	}
	return E_OK;
}

static int show_relations(struct ctl *c, const struct revision *r)
{
	struct relations v;
	int rc = relations_get(c->txn, r->id, &v, &c->err);
	if (rc != E_OK)
		return rc;
	out_sub_begin(&c->out, "relations", "Relations", relation_columns, COUNTOF(relation_columns));
	rc = relation_rows(c, "needs", v.prereq, v.nprereq);
	if (rc == E_OK)
		rc = relation_rows(c, "contains", v.bundle, v.nbundle);
	if (rc == E_OK)
		rc = relation_rows(c, "supersedes", v.superseded, v.nsuperseded);
	if (rc == E_OK)
		out_sub_end(&c->out);
	return rc;
}

static const struct column language_columns[] = {{"language", "LANGUAGE", CELL_TEXT, FIT_WHOLE},
	{"geo", "REGION", CELL_TEXT, FIT_WHOLE}, {"kind", "KIND", CELL_TEXT, FIT_WHOLE}};

static int language_rows(struct ctl *c, const struct revision *r, enum fragment_type type, const char *kind)
{
	struct fragment_key *v;
	size_t n;
	int rc = fragment_keys(c->txn, r->id, type, &v, &n, &c->err);
	for (size_t i = 0; rc == E_OK && i < n; i++) {
		out_text(&c->out, v[i].locale);
		out_text(&c->out, v[i].geo.n ? v[i].geo : SL0);
		out_str(&c->out, kind);
	}
	return rc;
}

static int show_languages(struct ctl *c, const struct revision *r)
{
	out_sub_begin(&c->out, "languages", "Languages", language_columns, COUNTOF(language_columns));
	int rc = language_rows(c, r, FRAG_LOCALIZED, "text");
	if (rc == E_OK)
		rc = language_rows(c, r, FRAG_EULA, "eula");
	if (rc == E_OK)
		out_sub_end(&c->out);
	return rc;
}

static int show_approvals(struct ctl *c, const struct revision *r)
{
	out_sub_begin(&c->out, "approvals", "Approvals", approval_columns, APPROVAL_COLUMNS);
	int rc = approvals_of(c, r->update_no);
	if (rc == E_OK)
		out_sub_end(&c->out);
	return rc;
}

static int run_show(struct ctl *c)
{
	static int (*const parts[])(struct ctl *, const struct revision *) = {show_approvals, show_files, show_relations,
		show_languages};
	struct revision r;
	struct update u;
	const char *what = ctl_option(c, "fragment");
	int rc = name_revision(c, c->pos[0], &r);
	if (rc == E_OK && what)
		return show_fragment(c, &r, what);
	if (rc == E_OK)
		rc = update_get(c->txn, r.update_no, &u, &c->err);
	if (rc != E_OK)
		return rc;
	out_object_begin(&c->out);
	show_head(c, &r, &u);
	for (unsigned i = 0; rc == E_OK && i < COUNTOF(parts); i++)
		rc = parts[i](c, &r);
	out_object_end(&c->out);
	return rc;
}

static const struct option_row list_options[] = {
	{"all", NULL, "every revision of every type, not only what can be approved"},
	{"type", "TYPE", "software, driver, category or detectoid"},
	{"approved", NULL, "only what is approved for some group"},
	{"declined", NULL, "only what is declined"},
	OPTION_CSV,
	{0},
};
static const struct option_row show_options[] = {
	{"fragment", "WHAT", "print the bytes of core, extended, original, localized:LANG or eula:LANG[:GEO], nothing else"},
	{0},
};

const struct command update_commands[] = {
	{"update", "import", "PATH...", "load update documents (files, or every *.xml below directories)", 1, 1000000,
		NEED_STORE, NULL, run_import, NULL,
		"A bad document is refused with file, position and reason; the others are loaded. Again is harmless."},
	{"update", "list", "[TITLE-PART]", "list updates and for how many groups each is approved", 0, 1, NEED_READ, list_options, run_list, NULL, NULL},
	{"update", "show", "ID", "show everything about an update", 1, 1, NEED_READ, show_options, run_show, NULL, NULL},
	{0},
};
