/* known.c -- both tables of settings as one, and the configuration file that shows them. */
#include "ctl/known.h"

#include <ctype.h>

#include "store/store.h"

bool known_nth(unsigned n, struct known *out)
{
	const struct conf_info *mine = conf_table();
	for (; mine->name; mine++)
		if (n-- == 0) {
			*out = (struct known){*mine, false};
			return true;
		}
	for (const struct setting_info *s = setting_table(); s->name; s++)
		if (n-- == 0) {
			*out = (struct known){{s->name, s->values, s->dflt, s->unit, s->why}, true};
			return true;
		}
	return false;
}

bool known_find(struct slice name, struct known *out)
{
	for (unsigned i = 0; known_nth(i, out); i++)
		if (slice_eq(name, slice_of(out->info.name)))
			return true;
	return false;
}

int known_check(const struct known *k, struct slice value, struct err *e)
{
	return (k->in_store ? setting_check : conf_check)(slice_of(k->info.name), value, e);
}

/* ---- a name that was misspelt ---- */

#define NAME_MAX_COMPARED 40u /* the longest name has 26 letters */

/* How many letters have to be put in, left out or changed to make b of a; both at most NAME_MAX_COMPARED long. */
static unsigned distance(struct slice a, struct slice b)
{
	unsigned row[NAME_MAX_COMPARED + 1];
	for (unsigned j = 0; j <= b.n; j++)
		row[j] = j;
	for (unsigned i = 1; i <= a.n; i++) {
		unsigned diagonal = row[0];
		row[0] = i;
		for (unsigned j = 1; j <= b.n; j++) {
			unsigned change = diagonal + (a.p[i - 1] != b.p[j - 1]);
			diagonal = row[j];
			row[j] = MIN(change, MIN(row[j], row[j - 1]) + 1);
		}
	}
	return row[b.n];
}

const char *known_near(struct slice name)
{
	struct known k;
	const char *best = NULL;
	unsigned least = 3;
	for (unsigned i = 0; name.n > 3 && name.n <= NAME_MAX_COMPARED && known_nth(i, &k); i++) {
		unsigned d = distance(name, slice_of(k.info.name));
		if (d < least) {
			least = d;
			best = k.info.name;
		}
	}
	return best;
}

/* ---- the file ---- */

#define COMMENT_WIDTH 100

/* As lines of a comment, broken between words. */
static void put_comment(struct buf *b, const char *text)
{
	size_t column = 0;
	while (*text) {
		size_t n = strcspn(text, " ");
		if (column && column + 1 + n > COMMENT_WIDTH)
			column = 0;
		buf_str(b, column ? " " : b->n && b->p[b->n - 1] != '\n' ? "\n# " : "# ");
		buf_add(b, text, n);
		column += (column ? 1 : 2) + n;
		text += n + (text[n] == ' ');
	}
	buf_char(b, '\n');
}

static void put_setting(struct buf *b, const struct conf_info *s)
{
	char line[512];
	snprintf(line, sizeof(line), "%c%s.", toupper((unsigned char)s->why[0]), s->why + 1);
	put_comment(b, line);
	snprintf(line, sizeof(line), "Allowed: %s%s%s; default: %s", s->values, s->unit[0] ? "; unit: " : "", s->unit,
		s->dflt[0] ? s->dflt : "empty");
	put_comment(b, line);
	buf_printf(b, "#%s =%s%s\n\n", s->name, s->dflt[0] ? " " : "", s->dflt);
}

static void put_settings(struct buf *b, bool in_store)
{
	struct known k;
	for (unsigned i = 0; known_nth(i, &k); i++)
		if (k.in_store == in_store)
			put_setting(b, &k.info);
}

void known_template(struct buf *b)
{
	buf_str(b, "# wsus.conf -- the configuration of wsus-fcgi; wsus.conf(5) explains it.\n#\n");
	put_comment(b, "One setting a line: NAME = VALUE, the value without quotes; a comment has lines of its own. Every setting "
		       "stands here, commented out at its default. After a change run `wsus-setup`: it says what is not "
		       "understood, or puts all of it in force and says what changed.");
	buf_str(b, "\n# ---- the server ----\n\n");
	put_settings(b, false);
	buf_str(b, "# ---- what the store holds ----\n");
	put_comment(b, "`wsus-setup`, or `wsusctl config apply` for these alone, carries the lines into the store, and `wsusctl config set` refuses a name that "
		       "stands here. A line that is taken away leaves the value that was applied last.");
	buf_char(b, '\n');
	put_settings(b, true);
	b->n -= b->n > 0; /* the last empty line */
}
