/* cmd_content.c -- the files that updates are made of. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/text.h"
#include "ctl/cmd.h"
#include "ctl/content.h"
#include "store/content_names.h"
#include "ctl/walk.h"
#include "store/downstream.h"

/* ---- what downstream servers want ---- */

/* A mark that stays is swept the next time: no reason for a command that did its work to fail. */
void content_sweep_wanted(struct ctl *c)
{
	struct err e = {0};
	if (content_unwant(c->store, &e) != E_OK)
		ctl_warn(c, "files that downstream servers wanted stay marked: %s", e.text);
}

static const struct column wanted_columns[] = {
	{"name", "FILE", CELL_TEXT, FIT_CUT},    {"bytes", "SIZE", CELL_BYTES, FIT_WHOLE}, {"server", "WANTED BY", CELL_TEXT, FIT_CUT},
	{"since", "SINCE", CELL_TIME, FIT_WHOLE}, {"times", "ASKED", CELL_NUMBER, FIT_DROP}, {"sha1", "SHA1", CELL_TEXT, FIT_DROP},
	{"url", "VENDOR'S ADDRESS", CELL_TEXT, FIT_DROP},
};

static struct slice server_name(struct ctl *c, const struct guid *id)
{
	struct downstream d;
	struct err unused;
	char text[GUID_TEXT + 1];
	if (downstream_get(c->txn, id, &d, &unused) == E_OK && d.name.n)
		return d.name;
	guid_text(id, text);
	return arena_copy(&c->arena, slice_of(text));
}

static int list_wanted(const struct wanted *w, void *arg)
{
	struct ctl *c = arg;
	struct file f;
	char hex[2 * sizeof(w->digest.b) + 1];
	int rc = file_get(c->txn, &w->digest, &f, &c->err);
	if (rc != E_OK)
		return rc;
	hex_text(w->digest.b, sizeof(w->digest.b), true, hex);
	out_text(&c->out, f.name.n ? f.name : SL0);
	out_number(&c->out, (int64_t)f.size);
	out_text(&c->out, server_name(c, &w->by));
	out_number(&c->out, w->at);
	out_number(&c->out, w->times);
	out_text(&c->out, arena_copy(&c->arena, slice_of(hex)));
	out_text(&c->out, f.mu_url.n ? f.mu_url : SL0);
	return E_OK;
}

static int run_wanted(struct ctl *c)
{
	struct wanted_totals w;
	int rc = wanted_total(c->txn, &w, &c->err);
	if (rc != E_OK)
		return rc;
	if (w.files == 0 && !c->json) {
		ctl_say(c, "no downstream server waits for a file");
		return E_OK;
	}
	out_list_begin(&c->out, wanted_columns, COUNTOF(wanted_columns));
	rc = wanted_each(c->txn, list_wanted, c, &c->err);
	if (rc == E_OK)
		out_list_end(&c->out);
	return rc;
}

/* ---- names ---- */

/* Files are found by digest without them: what fails is told, and what a command did stays done. */
void content_mend_names(struct ctl *c, const bool folder[256], struct name_report *out)
{
	struct err e = {0};
	struct stat st;
	*out = (struct name_report){0};
	if (stat(c->content_dir, &st) != 0)
		return;
	if (content_names_mend(c->content_dir, c->store, folder, out, &e) != E_OK)
		ctl_warn(c, "downstream servers that ask for files by name will not find all of them; `wsusctl content verify` tries again: %s",
			e.text);
}

/* ---- add ---- */

struct adding {
	struct content_marks marks;
	bool folder[256]; /* in which there are files of this run */
	uint64_t added, known, unknown, bad, bytes;
};

/* What the catalog says of these digests, by value: the transaction ends here. */
static int look_up(struct ctl *c, const struct sha1 *digest, struct file *f)
{
	struct txn *t;
	int rc = txn_begin(c->store, TXN_READ, &t, &c->err);
	if (rc == E_OK)
		rc = file_get(t, digest, f, NULL);
	txn_end(&t);
	f->name = f->mu_url = SL0;
	return rc;
}

static int place(struct ctl *c, const char *path, const struct digests *d, const struct file *f, struct adding *a)
{
	struct err e = {0};
	int rc = content_check(d, f, &e);
	a->folder[d->sha1.b[sizeof(d->sha1.b) - 1]] = true;
	if (rc == E_OK)
		rc = content_place(c->content_dir, path, f, &e);
	if (rc == E_EXISTS) {
		a->known++;
		return E_OK;
	}
	if (rc == E_CORRUPT) {
		a->bad++;
		ctl_complain(c, "%s: %s", path, e.text);
		return E_OK;
	}
	if (rc != E_OK) {
		c->err = e;
		return rc;
	}
	a->added++;
	a->bytes += f->size;
	return content_mark(&a->marks, f, &c->err);
}

static int add_file(struct ctl *c, const char *path, uint64_t size, void *arg)
{
	struct adding *a = arg;
	struct digests d;
	struct file f = {0};
	struct err e = {0};
	ctl_progress(c, "%llu files here, reading %s (%llu MB)", (unsigned long long)a->added, path,
		(unsigned long long)size / 1000000);
	if (content_digest(path, &d, &e) != E_OK) {
		a->bad++;
		ctl_complain(c, "%s", e.text);
		return E_OK;
	}
	int rc = look_up(c, &d.sha1, &f);
	if (rc == E_NOTFOUND) {
		a->unknown++;
		return E_OK;
	}
	return rc == E_OK ? place(c, path, &d, &f, a) : rc;
}

static int run_add(struct ctl *c)
{
	struct adding a = {.marks = {.store = c->store, .stored = true}};
	int rc = E_OK;
	content_sweep(c->content_dir);
	for (unsigned i = 0; rc == E_OK && i < c->npos; i++)
		rc = walk_files(c, c->pos[i], NULL, add_file, &a);
	struct err first = c->err;
	int marked = content_mark_rest(&a.marks, &c->err);
	if (rc != E_OK)
		c->err = first;
	if (rc == E_OK)
		rc = marked;
	if (rc != E_OK)
		return rc;
	struct name_report names;
	content_mend_names(c, a.folder, &names);
	content_sweep_wanted(c);
	out_object_begin(&c->out);
	out_field_number(&c->out, "added", "Added", CELL_NUMBER, a.added);
	out_field_number(&c->out, "bytes", "Bytes", CELL_BYTES, a.bytes);
	out_field_number(&c->out, "known", "Here already", CELL_NUMBER, a.known);
	out_field_number(&c->out, "unknown", "Not named by any update", CELL_NUMBER, a.unknown);
	out_field_number(&c->out, "bad", "Refused", CELL_NUMBER, a.bad);
	out_object_end(&c->out);
	return E_OK;
}

/* ---- verify ---- */

struct verifying {
	struct ctl *c;
	struct file *v;
	size_t n, cap;
	uint64_t bytes;
};

static int collect(const struct file *f, void *arg)
{
	struct verifying *v = arg;
	if (!f->stored)
		return E_OK;
	struct file *more = ARENA_MORE(&v->c->arena, v->v, v->n, &v->cap);
	if (!more)
		return err_set(&v->c->err, E_NOMEM, "out of memory");
	v->v = more;
	v->v[v->n] = *f;
	v->v[v->n++].name = SL0;
	return E_OK;
}

/* A bad file is moved aside, not deleted: somebody may want to know what happened to it. */
static int withdraw(struct ctl *c, const char *path, const struct file *f, const char *why, struct content_marks *bad)
{
	char aside[CONTENT_PATH + 8];
	snprintf(aside, sizeof(aside), "%s.bad", path);
	if (rename(path, aside) != 0 && errno != ENOENT)
		return err_errno(&c->err, "%s", path);
	ctl_complain(c, "%s: %s; withdrawn, approvals wait for it again", path, why);
	return content_mark(bad, f, &c->err);
}

static int verify_one(struct ctl *c, const struct file *f, struct content_marks *bad)
{
	char path[CONTENT_PATH];
	struct digests d;
	struct err e = {0};
	if (!content_path(c->content_dir, &f->digest, path))
		return err_set(&c->err, E_LIMIT, "%s: the path is too long", c->content_dir);
	ctl_progress(c, "reading %s", path);
	int rc = content_digest(path, &d, &e);
	if (rc == E_OK)
		rc = content_check(&d, f, &e);
	return rc == E_OK ? rc : withdraw(c, path, f, e.text, bad);
}

static int gather_stored(struct ctl *c, struct verifying *v)
{
	struct txn *t;
	int rc = txn_begin(c->store, TXN_READ, &t, &c->err);
	if (rc == E_OK)
		rc = file_each(t, collect, v, &c->err);
	txn_end(&t);
	return rc;
}

static int run_verify(struct ctl *c)
{
	struct verifying v = {.c = c};
	struct content_marks bad = {.store = c->store, .stored = false};
	uint64_t nbad = 0;
	int rc = gather_stored(c, &v);
	for (size_t i = 0; rc == E_OK && i < v.n; i++) {
		bool before = c->failed;
		c->failed = false;
		rc = verify_one(c, &v.v[i], &bad);
		nbad += c->failed;
		c->failed |= before;
		v.bytes += v.v[i].size;
	}
	if (rc == E_OK)
		rc = content_mark_rest(&bad, &c->err);
	if (rc != E_OK)
		return rc;
	struct name_report names;
	content_mend_names(c, NULL, &names);
	content_sweep_wanted(c);
	out_object_begin(&c->out);
	out_field_number(&c->out, "checked", "Checked", CELL_NUMBER, v.n);
	out_field_number(&c->out, "bytes", "Bytes", CELL_BYTES, v.bytes);
	out_field_number(&c->out, "bad", "Bad, withdrawn", CELL_NUMBER, nbad);
	out_field_number(&c->out, "names_made", "Names made", CELL_NUMBER, (int64_t)names.made);
	out_field_number(&c->out, "names_removed", "Names removed", CELL_NUMBER, (int64_t)names.removed);
	out_field_number(&c->out, "names_ambiguous", "Names that several files have", CELL_NUMBER, (int64_t)names.ambiguous);
	out_object_end(&c->out);
	return E_OK;
}

/* ---- url ---- */

/* http or https and printable ASCII without what would need escaping in an XML text or a URL. */
static bool is_address(struct slice s)
{
	if (!(text_starts(s, SL("http://")) || text_starts(s, SL("https://"))) || s.n < 12 || s.n > LIMIT_STRING)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~' || strchr("<>\"\\^`{|}", s.p[i]))
			return false;
	return true;
}

static int name_file(struct ctl *c, const char *digest, struct sha1 *out)
{
	if (text_hex(slice_of(digest), out->b, sizeof(out->b)))
		return E_OK;
	return err_set(&c->err, E_USAGE, "%s: a file is named by the 40 digits of its SHA-1; `wsusctl update show` has them", digest);
}

static int run_url(struct ctl *c)
{
	struct slice url = slice_of(c->pos[1]);
	struct sha1 sha1;
	int rc = name_file(c, c->pos[0], &sha1);
	if (rc == E_OK && !is_address(url))
		return err_set(&c->err, E_USAGE, "%s: an address is http://... or https://...", c->pos[1]);
	if (rc == E_OK)
		rc = file_set_url(c->txn, &sha1, url, &c->err);
	if (rc == E_NOTFOUND)
		return err_set(&c->err, rc, "no update names the file %s", c->pos[0]);
	return rc == E_OK ? audit_note(c->txn, c->admin, "content url %s %s", c->pos[0], c->pos[1]) : rc;
}

/* ---- key ---- */

/* The record of changes tells that there is one, not which: whoever may read it need not have it. */
static int run_key(struct ctl *c)
{
	struct sha1 sha1;
	struct slice key;
	int rc = name_file(c, c->pos[0], &sha1);
	if (rc == E_OK && (!text_base64(slice_of(c->pos[1]), &c->arena, &key) || key.n == 0 || key.n > LIMIT_STRING))
		return err_set(&c->err, E_USAGE, "a decryption key is 1 to %d bytes in base64", LIMIT_STRING);
	if (rc == E_OK)
		rc = file_set_key(c->txn, &sha1, key, &c->err);
	if (rc == E_NOTFOUND)
		return err_set(&c->err, rc, "no update names the file %s", c->pos[0]);
	return rc == E_OK ? audit_note(c->txn, c->admin, "content key %s", c->pos[0]) : rc;
}

static const struct option_row fetch_options[] = {
	{"retry", NULL, "what failed and would be tried again later, too"},
	{"detach", NULL, "begin it in the background and return"},
	{0},
};

const struct command content_commands[] = {
	{"content", "add", "PATH...", "add content files (files, or everything below directories)", 1, 1000000,
		NEED_STORE, NULL, run_add, NULL,
		"Each file is matched by its digest to the updates that name it, verified by SHA-1 and SHA-256, and copied; "
		"names do not matter."},
	{"content", "status", "", "how much content is here, what is to be fetched, and how far that is", 0, 0, NEED_READ, NULL,
		content_run_status, NULL,
		"What could not be fetched is listed with the reason and when it is tried again; `content fetch --retry` tries at once."},
	{"content", "fetch", "", "fetch the files that are needed from the server above", 0, 0, NEED_PLACE, fetch_options,
		content_run_fetch, NULL,
		"What was cut goes on where it stopped. It begins by itself behind an approval and a synchronization, and when a downstream "
		"server asks for files. Exit status 75: somebody fetches already; 4: it was stopped."},
	{"content", "url", "SHA1 URL", "say where the vendor has a file, for content.store = microsoft", 2, 2, NEED_WRITE,
		NULL, run_url, NULL,
		"Computers are sent there then, and approvals wait for no file.  A file whose address is not known is announced at "
		"this server's."},
	{"content", "wanted", "", "list the files that downstream servers asked for and that are not here", 0, 0, NEED_READ, csv_options,
		run_wanted, NULL, "`content add` brings them; the vendor's address stands with each if it is known."},
	{"content", "key", "SHA1 BASE64", "keep the decryption key of an encrypted file, for downstream servers", 2, 2, NEED_WRITE, NULL,
		run_key, NULL, "Without it such a server cannot use the file."},
	{"content", "verify", "", "read every content file again and withdraw what is damaged", 0, 0, NEED_STORE, NULL,
		run_verify, NULL, NULL},
	{0},
};
