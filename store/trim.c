/* trim.c -- what a first synchronization declines again.
 *
 * All is read and judged before the first row is written, in arrays by UpdateNo and one pass over the superseded lists.
 *
 * Superseded, without recursion: an update is covered if one that supersedes it stays or is covered itself.  Updates that
 * nobody supersedes are settled first, then those all of whose superseders are settled.  What is left then are cycles, and
 * what hangs below them: of these only what something settled covers, and whatever that covers, is superseded. */
#include "store/trim.h"

#include "common/text.h"
#include "store/index.h"
#include "store/replica.h"

const char *const trim_words[TRIM_WORDS] = {"expired", "superseded", "preview", "x86", "x64", "arm64", "itanium"};

static bool add_word(struct slice w, unsigned *words)
{
	for (unsigned i = 0; i < TRIM_WORDS; i++)
		if (slice_eq(w, slice_of(trim_words[i]))) {
			*words |= 1u << i;
			return true;
		}
	return w.n == 0;
}

bool trim_read(struct slice v, unsigned *words)
{
	*words = 0;
	while (v.n > 0)
		if (!add_word(text_cut(&v, ' '), words))
			return false;
	return true;
}

/* ================= what a title says ================= */

static bool is_letter(char c)
{
	char l = text_lower(c);
	return (l >= 'a' && l <= 'z') || (l >= '0' && l <= '9');
}

/* As a word of its own: "x64" is not in "fix64". */
static bool has_word(struct slice title, struct slice word)
{
	for (size_t i = 0; word.n <= title.n && i <= title.n - word.n; i++) {
		if (!text_ieq((struct slice){title.p + i, word.n}, word))
			continue;
		bool before = i > 0 && is_letter(title.p[i - 1]);
		bool behind = i + word.n < title.n && is_letter(title.p[i + word.n]);
		if (!before && !behind)
			return true;
	}
	return false;
}

static const struct {
	unsigned word;
	const char *text;
} signs[] = {
	{TRIM_PREVIEW, "preview"}, {TRIM_X86, "x86"}, {TRIM_X86, "32-bit"}, {TRIM_X64, "x64"}, {TRIM_X64, "amd64"}, {TRIM_ARM64, "arm64"},
	{TRIM_ITANIUM, "itanium"}, {TRIM_ITANIUM, "ia64"}, {TRIM_X64, "64-bit"},
};
#define ARCHITECTURES (TRIM_X86 | TRIM_X64 | TRIM_ARM64 | TRIM_ITANIUM)

/* "64-bit" is x64, unless something says of which kind: "for Itanium-based 64-bit systems". */
static unsigned title_says(struct slice title)
{
	unsigned says = 0;
	for (size_t i = 0; i < COUNTOF(signs); i++) {
		bool vague = i == COUNTOF(signs) - 1;
		if (!(vague && says & (TRIM_ARM64 | TRIM_ITANIUM)) && has_word(title, slice_of(signs[i].text)))
			says |= signs[i].word;
	}
	return says;
}

/* ================= all updates ================= */

#define TRIM_MEMORY ((size_t)512 << 20)

#define IS_ROOT 1u     /* can be approved, is not declined */
#define IS_EXPIRED 2u
#define IS_APPROVED 4u /* some revision is */
#define PASSES_ON 8u   /* what it supersedes is superseded if it is */
#define COVERED 16u
#define SETTLED 32u
#define NEEDED 64u

struct trim {
	struct txn *t;
	struct arena a;
	struct index ix;
	uint32_t updates;   /* UpdateNos below this */
	uint32_t *top;      /* by UpdateNo: the highest revision that is shown */
	uint8_t *is, *says; /* IS_ROOT ..., TRIM_* */
	uint32_t *count;    /* how many that pass on supersede it, and are not settled */
	uint32_t *from;     /* UpdateNo -> its place in superseded */
	uint32_t *superseded; /* UpdateNos */
	uint32_t *queue, queued;
	uint64_t *walked;   /* RevisionIDs */
	uint32_t no;        /* whose list is being read */
	unsigned words;
	struct err *e;
};

static int no_memory(struct err *e)
{
	return err_set(e, E_NOMEM, "out of memory for the updates to be declined");
}

static int trim_init(struct trim *w, struct txn *t, unsigned words, struct err *e)
{
	*w = (struct trim){.t = t, .words = words, .e = e};
	arena_init(&w->a, TRIM_MEMORY);
	int rc = index_load(t, &w->a, &w->ix, e);
	if (rc != E_OK)
		return rc;
	w->updates = w->ix.updates;
	w->top = ARENA_ARRAY(&w->a, uint32_t, w->updates);
	w->is = ARENA_ARRAY(&w->a, uint8_t, w->updates);
	w->says = ARENA_ARRAY(&w->a, uint8_t, w->updates);
	w->count = ARENA_ARRAY(&w->a, uint32_t, w->updates);
	w->from = ARENA_ARRAY(&w->a, uint32_t, (size_t)w->updates + 1);
	w->queue = ARENA_ARRAY(&w->a, uint32_t, MAX(w->ix.rows, w->updates));
	w->walked = ARENA_ARRAY(&w->a, uint64_t, w->ix.words);
	return w->a.failed ? no_memory(e) : E_OK;
}

static void find_tops(struct trim *w)
{
	for (uint32_t id = 1; id < w->ix.rows; id++) {
		struct index_row r = index_row(&w->ix, id);
		if (!row_may_be_listed(&r) || r.update_no >= w->updates)
			continue;
		uint32_t *top = &w->top[r.update_no];
		if (*top == 0 || index_row(&w->ix, *top).number < r.number)
			*top = id;
	}
}

static bool by_trim(struct slice admin, unsigned words)
{
	unsigned word;
	if (!text_starts(admin, SL("trim:")))
		return false;
	struct slice name = {admin.p + 5, admin.n - 5};
	return name.n && trim_read(name, &word) && word & words;
}

/* What was declined as superseded before still passes on: else a second run would see less than the first. */
static int look_at(struct trim *w, uint32_t no)
{
	struct index_row r = index_row(&w->ix, w->top[no]);
	struct revision v;
	struct update u;
	if (!(r.flags & ROW_EXPLICIT) || row_type(&r) > TYPE_DRIVER)
		return E_OK;
	int rc = update_get(w->t, no, &u, w->e);
	if (rc == E_OK)
		rc = revision_get(w->t, (int32_t)w->top[no], &v, w->e);
	if (rc != E_OK)
		return rc;
	w->says[no] = (uint8_t)title_says(v.title);
	unsigned is = r.flags & ROW_EXPIRED ? IS_EXPIRED : 0;
	if (!u.declined)
		is |= IS_ROOT;
	if (!(is & IS_EXPIRED) && (!u.declined || by_trim(u.declined_by, TRIM_SUPERSEDED)))
		is |= PASSES_ON;
	w->is[no] |= (uint8_t)is;
	return E_OK;
}

static int look_at_all(struct trim *w)
{
	int rc = E_OK;
	find_tops(w);
	for (uint32_t no = 1; rc == E_OK && no < w->updates; no++)
		if (w->top[no])
			rc = look_at(w, no);
	return rc;
}

static int note_approved(const struct deployment *d, void *arg)
{
	struct trim *w = arg;
	uint32_t id = (uint32_t)d->revision;
	if (d->dead || id >= w->ix.rows)
		return E_OK;
	uint32_t no = index_row(&w->ix, id).update_no;
	if (no != 0 && no < w->updates)
		w->is[no] |= IS_APPROVED;
	if (!bit_test(w->walked, id)) {
		bit_set(w->walked, id);
		w->queue[w->queued++] = id; /* for walk() */
	}
	return E_OK;
}

/* ---- the first word that fits, 0: it stays ---- */

static unsigned word_of(const struct trim *w, uint32_t no)
{
	unsigned fits = 0, named = w->says[no] & ARCHITECTURES;
	if ((w->is[no] & (IS_ROOT | IS_APPROVED | NEEDED)) != IS_ROOT)
		return 0;
	if (w->is[no] & IS_EXPIRED)
		fits |= TRIM_EXPIRED;
	if (w->is[no] & COVERED)
		fits |= TRIM_SUPERSEDED;
	fits |= w->says[no] & TRIM_PREVIEW;
	if ((named & ~w->words) == 0)
		fits |= named;
	fits &= w->words;
	return fits & -fits;
}

static bool stays(const struct trim *w, uint32_t no)
{
	return w->is[no] & IS_ROOT && word_of(w, no) == 0;
}

/* ================= superseded ================= */

static bool can_be_superseded(const struct trim *w, const struct relation *r)
{
	return r->update_no < w->updates && r->update_no != w->no && w->is[r->update_no] & (IS_ROOT | PASSES_ON);
}

static int count_superseded(const struct relation *r, void *arg)
{
	struct trim *w = arg;
	if (can_be_superseded(w, r)) {
		w->from[w->no + 1]++;
		w->count[r->update_no]++;
	}
	return E_OK;
}

static int put_superseded(const struct relation *r, void *arg)
{
	struct trim *w = arg;
	if (can_be_superseded(w, r))
		w->superseded[w->from[w->no]++] = r->update_no;
	return E_OK;
}

static int read_superseded(struct trim *w, int (*fn)(const struct relation *, void *))
{
	int rc = E_OK;
	for (w->no = 1; rc == E_OK && w->no < w->updates; w->no++)
		if (w->is[w->no] & PASSES_ON)
			rc = relations_each(w->t, (int32_t)w->top[w->no], LIST_SUPERSEDED, fn, w, w->e);
	return rc;
}

/* The lists, one behind the other: those of no are from[no] .. from[no + 1] - 1. */
static int gather_superseded(struct trim *w)
{
	int rc = read_superseded(w, count_superseded);
	for (uint32_t i = 0; i < w->updates; i++)
		w->from[i + 1] += w->from[i];
	w->superseded = ARENA_ARRAY(&w->a, uint32_t, w->from[w->updates]);
	if (rc == E_OK && !w->superseded)
		rc = no_memory(w->e);
	if (rc == E_OK)
		rc = read_superseded(w, put_superseded);
	for (uint32_t i = w->updates; rc == E_OK && i > 0; i--) /* each was moved to its end, where the next one begins */
		w->from[i] = w->from[i - 1];
	w->from[0] = 0;
	return rc;
}

/* Whatever it supersedes is covered, if it stays or is covered itself. */
static void settle(struct trim *w, uint32_t no)
{
	bool covers = w->is[no] & PASSES_ON && (w->is[no] & COVERED || stays(w, no));
	for (uint32_t i = w->from[no]; i < w->from[no + 1]; i++) {
		uint32_t other = w->superseded[i];
		if (covers)
			w->is[other] |= COVERED;
		if (--w->count[other] == 0)
			w->queue[w->queued++] = other;
	}
	w->is[no] |= SETTLED;
}

static void cover_below(struct trim *w, uint32_t no)
{
	for (uint32_t i = w->from[no]; i < w->from[no + 1]; i++) {
		uint32_t other = w->superseded[i];
		if (!(w->is[other] & (SETTLED | COVERED)))
			w->queue[w->queued++] = other;
		w->is[other] |= COVERED;
	}
	w->is[no] |= SETTLED;
}

static int find_superseded(struct trim *w)
{
	int rc = w->words & TRIM_SUPERSEDED ? gather_superseded(w) : E_OK;
	if (rc != E_OK || !(w->words & TRIM_SUPERSEDED))
		return rc;
	w->queued = 0;
	for (uint32_t no = 1; no < w->updates; no++)
		if (w->count[no] == 0)
			w->queue[w->queued++] = no;
	for (uint32_t at = 0; at < w->queued; at++)
		settle(w, w->queue[at]);
	w->queued = 0;
	for (uint32_t no = 1; no < w->updates; no++)
		if ((w->is[no] & (SETTLED | COVERED)) == COVERED)
			w->queue[w->queued++] = no;
	for (uint32_t at = 0; at < w->queued; at++)
		cover_below(w, w->queue[at]);
	return E_OK;
}

/* ================= what something that stays needs ================= */

static void enter(struct trim *w, uint32_t id)
{
	if (id == 0 || id >= w->ix.rows || bit_test(w->walked, id))
		return;
	bit_set(w->walked, id);
	w->queue[w->queued++] = id;
}

static void need(struct trim *w, uint32_t no)
{
	if (no < w->updates)
		w->is[no] |= NEEDED;
}

static int need_member(const struct relation *r, void *arg)
{
	struct trim *w = arg;
	int32_t id;
	need(w, r->update_no);
	int rc = member_find(w->t, r, &id);
	if (rc == E_OK)
		enter(w, (uint32_t)id);
	return rc == E_NOTFOUND ? E_OK : rc;
}

static int need_prerequisite(const struct relation *r, void *arg)
{
	struct trim *w = arg;
	if (r->is_category)
		return E_OK;
	need(w, r->update_no);
	if (r->update_no < w->updates)
		enter(w, w->top[r->update_no]);
	return E_OK;
}

/* From what is in the queue; an alternative is needed like what all computers must have. */
static int walk(struct trim *w)
{
	int rc = E_OK;
	for (uint32_t at = 0; rc == E_OK && at < w->queued; at++) {
		int32_t id = (int32_t)w->queue[at];
		rc = relations_each(w->t, id, LIST_BUNDLE, need_member, w, w->e);
		if (rc == E_OK)
			rc = relations_each(w->t, id, LIST_PREREQ, need_prerequisite, w, w->e);
	}
	return rc;
}

static int find_needed(struct trim *w)
{
	memset(w->walked, 0, w->ix.words * sizeof(*w->walked));
	w->queued = 0;
	int rc = deployment_each_of_group(w->t, 0, note_approved, w, w->e);
	for (uint32_t no = 1; rc == E_OK && no < w->updates; no++)
		if (stays(w, no) && !(w->is[no] & IS_EXPIRED))
			enter(w, w->top[no]);
	return rc == E_OK ? walk(w) : rc;
}

/* ================= the verbs ================= */

static unsigned word_at(unsigned word)
{
	unsigned i = 0;
	while (word >> (i + 1))
		i++;
	return i;
}

static void count_one(const struct trim *w, uint32_t no, unsigned at, struct trim_report *out)
{
	if (out->trimmed[at] < TRIM_EXAMPLES)
		out->example[at][out->trimmed[at]] = (int32_t)w->top[no];
	out->trimmed[at]++;
}

/* word_of() as it was before anything was needed. */
static unsigned word_but_for_need(struct trim *w, uint32_t no)
{
	uint8_t was = w->is[no];
	w->is[no] &= (uint8_t)~NEEDED;
	unsigned word = word_of(w, no);
	w->is[no] = was;
	return word;
}

static int decline_one(struct trim *w, uint32_t no, bool dry, struct trim_report *out)
{
	char by[32];
	unsigned word = word_of(w, no);
	out->updates += (w->is[no] & IS_ROOT) != 0;
	if (word == 0) {
		out->needed += word_but_for_need(w, no) != 0;
		return E_OK;
	}
	unsigned at = word_at(word);
	count_one(w, no, at, out);
	snprintf(by, sizeof(by), "trim:%s", trim_words[at]);
	return dry ? E_OK : update_decline(w->t, no, true, slice_of(by), w->e);
}

static int apply(struct trim *w, bool dry, struct trim_report *out)
{
	int rc = look_at_all(w);
	if (rc == E_OK)
		rc = deployment_each_of_group(w->t, 0, note_approved, w, w->e);
	if (rc == E_OK)
		rc = find_superseded(w);
	if (rc == E_OK)
		rc = find_needed(w);
	for (uint32_t no = 1; rc == E_OK && no < w->updates; no++)
		rc = decline_one(w, no, dry, out);
	return rc;
}

static int undo_one(struct trim *w, uint32_t no, bool dry, struct trim_report *out)
{
	struct update u;
	char by[32];
	unsigned word;
	int rc = update_get(w->t, no, &u, w->e);
	if (rc != E_OK || !u.declined || !by_trim(u.declined_by, w->words))
		return rc;
	snprintf(by, sizeof(by), "%.*s", SLF(u.declined_by));
	if (!trim_read(slice_of(by + strlen("trim:")), &word))
		return E_OK;
	out->updates++;
	if (no < w->updates)
		count_one(w, no, word_at(word), out);
	return dry ? E_OK : update_decline(w->t, no, false, slice_of(by), w->e);
}

static int undo(struct trim *w, bool dry, struct trim_report *out)
{
	int rc = E_OK;
	find_tops(w);
	for (uint32_t no = 1; rc == E_OK && no <= counter_last(w->t, COUNT_UPDATE); no++)
		rc = undo_one(w, no, dry, out);
	return rc;
}

static int with_words(struct txn *t, unsigned words, bool dry, int (*verb)(struct trim *, bool, struct trim_report *),
	struct trim_report *out, struct err *e)
{
	struct trim w;
	*out = (struct trim_report){0};
	int rc = policy_is_local(t, "to decline updates", e);
	if (rc != E_OK)
		return rc;
	rc = trim_init(&w, t, words, e);
	if (rc == E_OK)
		rc = verb(&w, dry, out);
	arena_free(&w.a);
	return rc == E_OK || dry ? rc : txn_fail(t, rc, e);
}

int trim_apply(struct txn *t, unsigned words, bool dry, struct trim_report *out, struct err *e)
{
	return with_words(t, words, dry, apply, out, e);
}

int trim_undo(struct txn *t, unsigned words, bool dry, struct trim_report *out, struct err *e)
{
	return with_words(t, words, dry, undo, out, e);
}
