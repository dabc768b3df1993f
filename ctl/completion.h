/* completion.h -- bash completion for wsusctl, written from the same rows that parse its command line.
 *
 * What is printed is a script to be read by bash: nouns, verbs of a noun, options of a command; where a word may be a
 * path, bash's own completion of file names.  It asks no store, so it is made once, by `make install`. */
#ifndef CTL_COMPLETION_H
#define CTL_COMPLETION_H

#include <stddef.h>

#include "ctl/cmd.h"

/* tables: n tables of rows, each ended by noun == NULL; everywhere: options of every command. */
void completion_print(const struct command *const *tables, size_t n, const struct option_row *everywhere);

#endif
