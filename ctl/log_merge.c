/* log_merge.c -- the newest of what the sources have, again and again.  See log_merge.h. */
#include "ctl/log_merge.h"

#include <stdlib.h>

/* The name for --service, and that of its file. */
static const struct {
	const char *service, *base;
	bool unit; /* of systemd, says things to the journal */
} table[] = {{"auth", "auth", true}, {"client", "client", true}, {"content", "content", true},
	{"reporting", "reporting", true}, {"serversync", "serversync", true}, {"nginx", "access", false}};

const char *const log_services[] = {"auth", "client", "content", "reporting", "serversync", "nginx", NULL};
static_assert(COUNTOF(log_services) == COUNTOF(table) + 1, "a name for each");

static size_t find(const char *service)
{
	size_t i = 0;
	while (i < COUNTOF(table) && strcmp(table[i].service, service) != 0)
		i++;
	return i;
}

const char *log_service_base(const char *service)
{
	size_t i = find(service);
	return i < COUNTOF(table) ? table[i].base : NULL;
}

bool log_service_unit(const char *service)
{
	size_t i = find(service);
	return i < COUNTOF(table) && table[i].unit;
}

struct head {
	struct log_source *source;
	struct slice line; /* its next, absent: none is left */
	struct log_entry entry;
};

struct log_merge {
	struct head head[COUNTOF(table)];
	size_t n, last; /* last: whose line was given out */
};

static int advance(struct head *h, struct err *e)
{
	int rc = log_source_next(h->source, &h->line, &h->entry, e);
	if (rc != E_OK)
		h->line = SL0;
	return rc == E_NOTFOUND ? E_OK : rc;
}

static int add(struct log_merge *m, struct log_source *s, struct err *e)
{
	m->head[m->n].source = s;
	return advance(&m->head[m->n++], e);
}

static int open_files(struct log_merge *m, const struct log_places *p, const struct log_filter *f, bool *units, struct err *e)
{
	struct log_source *s;
	*units = false;
	for (size_t i = 0; i < COUNTOF(table); i++) {
		if (p->service && strcmp(p->service, table[i].service) != 0)
			continue;
		int rc = log_source_files(&s, p->dir, table[i].base, f, p->keep, e);
		if (rc == E_NOTFOUND)
			continue;
		if (rc == E_OK)
			rc = add(m, s, e);
		if (rc != E_OK)
			return rc;
		*units = *units || table[i].unit;
	}
	return E_OK;
}

static int open_journal(struct log_merge *m, const struct log_places *p, const struct log_filter *f, struct err *e)
{
	struct log_source *s;
	int rc = log_source_journal(&s, p->service, f, e);
	return rc == E_OK ? add(m, s, e) : rc;
}

int log_merge_open(struct log_merge **out, const struct log_places *p, const struct log_filter *f, struct err *e)
{
	bool units = false;
	struct log_merge *m = calloc(1, sizeof(*m));
	*out = m;
	if (!m)
		return err_set(e, E_NOMEM, "out of memory");
	m->last = SIZE_MAX;
	int rc = open_files(m, p, f, &units, e);
	if (rc == E_OK && !units && (!p->service || log_service_unit(p->service)))
		rc = open_journal(m, p, f, e);
	if (rc == E_OK && m->n == 0)
		rc = err_set(e, E_NOTFOUND, "%s: there is no log of %s; name the directory with --dir", p->dir, p->service ? p->service : "ours");
	if (rc != E_OK)
		log_merge_close(out);
	return rc;
}

int log_merge_next(struct log_merge *m, struct slice *line, struct log_entry *entry, struct err *e)
{
	struct head *best = NULL;
	int rc = m->last < m->n ? advance(&m->head[m->last], e) : E_OK;
	if (rc != E_OK)
		return rc;
	for (size_t i = 0; i < m->n; i++)
		if (m->head[i].line.p && (!best || m->head[i].entry.at > best->entry.at))
			best = &m->head[i];
	if (!best)
		return E_NOTFOUND;
	m->last = (size_t)(best - m->head);
	*line = best->line;
	*entry = best->entry;
	return E_OK;
}

void log_merge_close(struct log_merge **mp)
{
	struct log_merge *m = *mp;
	for (size_t i = 0; m && i < m->n; i++)
		log_source_close(&m->head[i].source);
	free(m);
	*mp = NULL;
}
