/* cmd_trim.c -- declining what a first synchronization brought and nobody wants, and taking that back. */
#include "common/text.h"
#include "ctl/cmd.h"
#include "store/replica.h"
#include "store/trim.h"

/* Those of the command line, else of the setting; with --undo every one. */
static int read_words(struct ctl *c, bool undo, unsigned *out)
{
	struct settings set;
	*out = undo ? TRIM_EVERY : 0;
	int rc = settings_get(c->txn, &set, &c->err);
	if (rc == E_OK && !undo && c->npos == 0 && trim_read(set.sync_trim, out) && *out == 0)
		return err_set(&c->err, E_USAGE, "say what: words of expired superseded preview x86 x64 arm64 itanium, or put them into the "
			"setting sync.trim");
	if (rc == E_OK && c->npos)
		*out = 0;
	for (unsigned i = 0; rc == E_OK && i < c->npos; i++) {
		unsigned word;
		if (!trim_read(slice_of(c->pos[i]), &word) || word == 0)
			return err_set(&c->err, E_USAGE, "\"%s\" is none of expired superseded preview x86 x64 arm64 itanium", c->pos[i]);
		*out |= word;
	}
	return rc;
}

static const struct column columns[] = {
	{"word", "WORD", CELL_TEXT, FIT_WHOLE},
	{"updates", "UPDATES", CELL_NUMBER, FIT_WHOLE},
	{"examples", "FOR EXAMPLE", CELL_TEXT, FIT_CUT},
};

/* Titles; as one text with JSON, too: they serve to see what a word means. */
static struct slice examples(struct ctl *c, const struct trim_report *r, unsigned word)
{
	struct slice all = SL0;
	for (unsigned i = 0; i < TRIM_EXAMPLES && r->example[word][i]; i++) {
		struct revision v;
		if (revision_get(c->txn, r->example[word][i], &v, NULL) != E_OK)
			continue;
		all = all.p ? arena_printf(&c->arena, "%.*s; %.*s", SLF(all), SLF(v.title)) : arena_copy(&c->arena, v.title);
	}
	return all;
}

static void show(struct ctl *c, unsigned words, const struct trim_report *r)
{
	out_list_begin(&c->out, columns, COUNTOF(columns));
	for (unsigned i = 0; i < TRIM_WORDS; i++) {
		if (!(words & 1u << i))
			continue;
		out_str(&c->out, trim_words[i]);
		out_number(&c->out, r->trimmed[i]);
		out_text(&c->out, examples(c, r, i));
	}
	out_list_end(&c->out);
}

static void say(struct ctl *c, const struct trim_report *r, bool undo, bool dry)
{
	unsigned n = 0;
	for (unsigned i = 0; i < TRIM_WORDS; i++)
		n += r->trimmed[i];
	if (undo)
		ctl_say(c, "%u update%s %s", n, n == 1 ? "" : "s", dry ? "would be offered again" : "offered again");
	else
		ctl_say(c, "%u of %u updates %s%s", n, r->updates, dry ? "would be declined" : "declined",
			n && !dry ? "; `wsusctl trim --undo` takes it back" : "");
	if (r->needed)
		ctl_say(c, "%u more stay, as something that is offered contains or requires them", r->needed);
}

static int note(struct ctl *c, unsigned words, bool undo, const struct trim_report *r)
{
	char text[128] = "";
	unsigned n = 0;
	for (unsigned i = 0; i < TRIM_WORDS; i++) {
		size_t at = strlen(text);
		n += r->trimmed[i];
		if (words & 1u << i)
			snprintf(text + at, sizeof(text) - at, " %s", trim_words[i]);
	}
	return audit_note(c->txn, c->admin, "trim%s%s: %u updates", undo ? " --undo" : "", text, n);
}

static int run_trim(struct ctl *c)
{
	bool undo = ctl_option(c, "undo"), dry = ctl_option(c, "dry-run");
	struct trim_report r;
	unsigned words;
	int rc = txn_begin(c->store, dry ? TXN_READ : TXN_CATALOG, &c->txn, &c->err);
	if (rc == E_OK)
		rc = read_words(c, undo, &words);
	if (rc == E_OK)
		rc = (undo ? trim_undo : trim_apply)(c->txn, words, dry, &r, &c->err);
	if (rc == E_OK && !dry)
		rc = note(c, words, undo, &r);
	if (rc == E_OK && !dry)
		rc = publish(c->txn, c->now, &c->published, &c->err);
	if (rc == E_OK && !dry)
		rc = txn_commit(&c->txn, &c->err);
	txn_end(&c->txn);
	if (rc == E_OK)
		rc = txn_begin(c->store, TXN_READ, &c->txn, &c->err);
	if (rc == E_OK)
		show(c, words, &r);
	if (rc == E_OK)
		out_flush(&c->out);
	if (rc == E_OK)
		say(c, &r, undo, dry);
	return rc;
}

static const struct option_row trim_options[] = {
	{"dry-run", NULL, "only count, and show examples"},
	{"undo", NULL, "offer again what was declined so, for these words or all"},
	{0},
};

const struct command trim_commands[] = {
	{"trim", NULL, "[WORD...]", "decline updates that nobody needs: expired, superseded, preview, x86, x64, arm64, itanium", 0, TRIM_WORDS, NEED_STORE,
		trim_options, run_trim, NULL,
		"Without words those of sync.trim. Approved updates, and what something offered contains or requires, stay."},
	{0},
};
