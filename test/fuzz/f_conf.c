/* f_conf.c -- whatever a configuration file holds, its lines lie in it, in order, and the table judges their values. */
#include "common/conf.h"
#include "common/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool lies_in(struct slice s, struct slice whole)
{
	return s.n == 0 || (s.p >= whole.p && s.p + s.n <= whole.p + whole.n);
}

static void check_line(const struct conf *f, const struct conf_line *l, const struct conf_line *before)
{
	struct err e;
	ASSERT(l->no > before->no && l->next > before->next && l->next <= f->text.n);
	if (l->wrong)
		return;
	ASSERT(l->name.n && l->value.p && l->name.n + l->value.n < LIMIT_CONF_LINE);
	ASSERT(lies_in(l->name, f->text) && lies_in(l->value, f->text));
	ASSERT(!memchr(l->name.p, '\n', l->name.n) && !memchr(l->value.p, '\n', l->value.n));
	int rc = conf_check(l->name, l->value, &e);
	ASSERT(rc == E_OK || rc == E_FORM || rc == E_NOTFOUND);
}

static void check_values(const struct conf *f)
{
	for (const struct conf_info *i = conf_table(); i->name; i++) {
		struct slice v;
		struct err e;
		unsigned at;
		int rc = conf_get(f, i->name, &v, &at, &e);
		ASSERT(rc == conf_check(slice_of(i->name), v, &e));
		ASSERT(at ? lies_in(v, f->text) : slice_eq(v, slice_of(i->dflt)));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf f = {.file = "f", .text = {(const char *)data, size}};
	struct conf_line before = {0};
	for (struct conf_line l = {0}; conf_next(&f, &l); before = l)
		check_line(&f, &l, &before);
	check_values(&f);
	return 0;
}
