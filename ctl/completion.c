/* completion.c -- the rows of wsusctl as two arrays of words, and the bash function that looks into them. */
#include "ctl/completion.h"

#include <stdio.h>
#include <string.h>

static const char function[] =
	"_wsusctl()\n"
	"{\n"
	"\tlocal word=${COMP_WORDS[COMP_CWORD]} noun= verb= i\n"
	"\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	"\t\tcase ${COMP_WORDS[i]} in\n"
	"\t\t--store | --admin) ((i++)) ;;\n"
	"\t\t-*) ;;\n"
	"\t\t*)\n"
	"\t\t\tif [[ -z $noun ]]; then noun=${COMP_WORDS[i]}; elif [[ -z $verb ]]; then verb=${COMP_WORDS[i]}; fi\n"
	"\t\t\t;;\n"
	"\t\tesac\n"
	"\tdone\n"
	"\tlocal options=${_wsusctl_options[$noun $verb]-${_wsusctl_options[$noun ]-}} words=\n"
	"\tif [[ $word == -* ]]; then\n"
	"\t\twords=\"$options $_wsusctl_everywhere\"\n"
	"\telif [[ -z $noun ]]; then\n"
	"\t\twords=\"${!_wsusctl_verbs[*]} help\"\n"
	"\telif [[ -z $verb ]]; then\n"
	"\t\twords=${_wsusctl_verbs[$noun]-}\n"
	"\tfi\n"
	"\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
	"}\n"
	"complete -o default -F _wsusctl wsusctl\n";

static void print_options(const struct option_row *o)
{
	const char *between = "";
	for (; o && o->name; o++, between = " ")
		printf("%s--%s", between, o->name);
}

static const char *verb_of(const struct command *k)
{
	return k->verb ? k->verb : "";
}

/* The verbs of a noun stand together in its table, but a noun may have rows in two tables. */
static void print_verbs(const struct command *const *tables, size_t n, const char *noun)
{
	printf("\t[%s]=\"", noun);
	for (size_t t = 0; t < n; t++)
		for (const struct command *k = tables[t]; k->noun; k++)
			if (k->verb && strcmp(k->noun, noun) == 0)
				printf("%s ", k->verb);
	puts("help\"");
}

static bool is_first(const struct command *const *tables, const struct command *row)
{
	for (size_t t = 0;; t++)
		for (const struct command *k = tables[t]; k->noun; k++)
			if (k == row || strcmp(k->noun, row->noun) == 0)
				return k == row;
}

void completion_print(const struct command *const *tables, size_t n, const struct option_row *everywhere)
{
	puts("# bash completion for wsusctl, made by `wsusctl help --completion`.\ndeclare -gA _wsusctl_verbs=(");
	for (size_t t = 0; t < n; t++)
		for (const struct command *k = tables[t]; k->noun; k++)
			if (is_first(tables, k))
				print_verbs(tables, n, k->noun);
	puts(")\ndeclare -gA _wsusctl_options=(");
	for (size_t t = 0; t < n; t++) {
		for (const struct command *k = tables[t]; k->noun; k++) {
			printf("\t[\"%s %s\"]=\"", k->noun, verb_of(k));
			print_options(k->options);
			puts("\"");
		}
	}
	fputs(")\n_wsusctl_everywhere=\"", stdout);
	print_options(everywhere);
	puts("\"");
	fputs(function, stdout);
}
