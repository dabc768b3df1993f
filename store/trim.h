/* trim.h -- what a first synchronization declines again, so that nobody has to: the setting sync.trim and `wsusctl trim`.
 *
 * A trimmed update is declined by the administrator "trim:WORD", which is how it is found again: undo undeclines those and
 * no others.  Approved updates are never trimmed, categories and detectoids neither. */
#ifndef STORE_TRIM_H
#define STORE_TRIM_H

#include "store/store.h"

#define TRIM_EXPIRED 1u    /* PublicationState Expired */
#define TRIM_SUPERSEDED 2u /* by an update that is published, not expired, not declined and not trimmed itself */
#define TRIM_PREVIEW 4u    /* the title says so */
#define TRIM_X86 8u        /* for another architecture than those of the site: the title says so */
#define TRIM_X64 16u
#define TRIM_ARM64 32u
#define TRIM_ITANIUM 64u
#define TRIM_WORDS 7
#define TRIM_EVERY ((1u << TRIM_WORDS) - 1)
extern const char *const trim_words[TRIM_WORDS]; /* "expired" ... */
/* Words with blanks between; false for one that is none. */
bool trim_read(struct slice v, unsigned *words);

#define TRIM_EXAMPLES 3
struct trim_report {
	uint32_t updates;             /* that were looked at: what can be approved and is not declined */
	uint32_t trimmed[TRIM_WORDS]; /* by the first word that fits, in the order above */
	uint32_t needed;              /* would have been, but something that stays contains or requires them */
	int32_t example[TRIM_WORDS][TRIM_EXAMPLES]; /* RevisionIDs of the first ones */
};
/* Declines (needs TXN_CATALOG; publish() after) or, with dry, only counts.  What was published so far is judged; of each
 * update its highest revision.
 *
 * Superseded: a chain leads to an update that stays, over updates that are superseded themselves; neither an expired one nor
 * one that an administrator declined passes it on.  Updates that supersede each other stay.  What an approved update or one
 * that stays contains, or requires, stays, too: without it that would not be offered.
 * Architectures: all that the title names must be among the words.  E_REFUSED on a replica. */
int trim_apply(struct txn *t, unsigned words, bool dry, struct trim_report *out, struct err *e) MUST_CHECK;
/* Undeclines what trim_apply() declined, for these words. */
int trim_undo(struct txn *t, unsigned words, bool dry, struct trim_report *out, struct err *e) MUST_CHECK;

#endif
