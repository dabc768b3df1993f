/* trim.c -- what a first synchronization declines again. */
#include "store/trim.h"

#include "common/text.h"

static const char *const trim_words[] = {"expired", "superseded", "preview", "x86", "x64", "arm64", "itanium"};

static bool add_word(struct slice w, unsigned *words)
{
	for (unsigned i = 0; i < COUNTOF(trim_words); i++)
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
