/* make-catalog.c -- writes the sample catalog: update documents in the form of real ones, and their content.
 *
 * usage: make-catalog [--seed N] [--revisions N] [--languages N] [--content] [--big-document MB] [--out DIR]
 *
 * Below DIR (default: sample) come updates/XX/GUID-rN.xml, XX being the first two digits of the GUID, and
 * with --content content/NAME.  The same options give the same bytes, on every machine.  What the world is
 * like stands in README.md beside this file. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/limits.h"
#include "common/text.h"
#include "test/catalog/catalog.h"

struct options {
	uint64_t seed, revisions, languages, big;
	bool content;
	const char *out;
};

static bool fail(const char *what)
{
	fprintf(stderr, "make-catalog: %s: %s\n", what, strerror(errno));
	return false;
}

static bool make_dir(const char *path)
{
	return mkdir(path, 0777) == 0 || errno == EEXIST || fail(path);
}

/* DIR with what leads to it. */
static bool make_dirs(const char *path)
{
	char part[4096];
	for (const char *p = path; (p = strchr(p + 1, '/')) != NULL;) {
		snprintf(part, sizeof(part), "%.*s", (int)(p - path), path);
		if (!make_dir(part))
			return false;
	}
	return make_dir(path);
}

static bool write_all(int fd, const void *p, size_t n)
{
	for (const char *from = p; n > 0;) {
		ssize_t done = write(fd, from, n);
		if (done < 0 && errno != EINTR)
			return false;
		from += done > 0 ? done : 0;
		n -= done > 0 ? (size_t)done : 0;
	}
	return true;
}

static bool write_file(const char *path, const void *p, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	bool ok = fd >= 0 && write_all(fd, p, n);
	if (fd >= 0)
		ok = close(fd) == 0 && ok;
	return ok || fail(path);
}

/* Many updates share a file; whoever comes first writes it. */
static bool write_content(void *arg, const struct file *f, const uint8_t *bytes)
{
	const struct options *o = arg;
	char path[4096];
	struct stat st;
	snprintf(path, sizeof(path), "%s/content/%s", o->out, f->name);
	if (f->number >> 40 && stat(path, &st) == 0 && st.st_size == (off_t)f->size)
		return true;
	return write_file(path, bytes, f->size);
}

static bool write_document(const struct options *o, const struct world *w, uint32_t i, struct buf *b)
{
	char path[4096], id[GUID_TEXT + 1];
	guid_text(&w->node[i].id, id);
	buf_reset(b);
	if (!document_write(w, i, (size_t)o->big << 20, b, o->content ? write_content : NULL, (void *)(uintptr_t)o)) {
		fprintf(stderr, "make-catalog: %s: cannot be made\n", id);
		return false;
	}
	snprintf(path, sizeof(path), "%s/updates/%.2s/%s-r%d.xml", o->out, id, id, w->node[i].revision);
	return write_file(path, b->p, b->n);
}

static bool make_tree(const struct options *o)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/content", o->out);
	if (!make_dirs(o->out) || (o->content && !make_dir(path)))
		return false;
	snprintf(path, sizeof(path), "%s/updates", o->out);
	if (!make_dir(path))
		return false;
	for (unsigned x = 0; x < 256; x++) {
		snprintf(path, sizeof(path), "%s/updates/%02x", o->out, x);
		if (!make_dir(path))
			return false;
	}
	return true;
}

static bool write_world(const struct options *o, struct world *w)
{
	struct buf b;
	uint64_t bytes = 0;
	bool ok = make_tree(o);
	buf_init(&b, LIMIT_DOC);
	if (o->big > 0)
		world_add_big(w);
	for (uint32_t i = 0; ok && i < w->n; i++) {
		ok = write_document(o, w, i, &b);
		bytes += b.n;
	}
	buf_free(&b);
	if (ok)
		printf("%u revisions of %u updates, %ju bytes, below %s\n", w->n, w->updates, (uintmax_t)bytes, o->out);
	return ok;
}

static bool number(const char *text, uint64_t lo, uint64_t hi, uint64_t *out)
{
	return text_u64(slice_of(text), out) && *out >= lo && *out <= hi;
}

static bool options_read(struct options *o, int argc, char **argv)
{
	static const struct option known[] = {{"seed", 1, NULL, 's'}, {"revisions", 1, NULL, 'r'},
		{"languages", 1, NULL, 'l'}, {"content", 0, NULL, 'c'}, {"big-document", 1, NULL, 'b'},
		{"out", 1, NULL, 'o'}, {NULL, 0, NULL, 0}};
	bool ok = true;
	for (int c; ok && (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
		if (c == 's')
			ok = number(optarg, 0, UINT64_MAX, &o->seed);
		else if (c == 'r')
			ok = number(optarg, REVISIONS_MIN, 5000000, &o->revisions);
		else if (c == 'l')
			ok = number(optarg, 1, LANGUAGES, &o->languages);
		else if (c == 'b')
			ok = number(optarg, 1, (LIMIT_DOC >> 20) - 1, &o->big);
		else if (c == 'o')
			o->out = optarg;
		else
			ok = c == 'c' && (o->content = true);
	}
	return ok && optind == argc && strlen(o->out) > 0 && strlen(o->out) < 4000;
}

int main(int argc, char **argv)
{
	struct options o = {.seed = 1, .revisions = 500, .languages = LANGUAGES, .out = "sample"};
	if (!options_read(&o, argc, argv)) {
		fprintf(stderr, "usage: make-catalog [--seed N] [--revisions N (%d or more)] [--languages 1..%d] [--content]\n"
			"                    [--big-document MB] [--out DIR]\n", REVISIONS_MIN, LANGUAGES);
		return 2;
	}
	struct world w;
	bool ok = world_make(&w, o.seed, (unsigned)o.languages, (uint32_t)o.revisions);
	if (!ok)
		fail("planning");
	ok = ok && write_world(&o, &w);
	world_free(&w);
	return ok ? 0 : 1;
}
