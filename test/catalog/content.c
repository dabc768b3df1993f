/* content.c -- the bytes of content and EULA files, their names and digests.
 *
 * A file's bytes depend on the seed and its number only, so a second revision has the same files, and the
 * bootstrap file that a line's command-line updates share is one file under one digest. */
#include "common/digest.h"
#include "test/catalog/catalog.h"

#define NUMBER_SHARED (UINT64_C(1) << 40)
#define NUMBER_EULA (UINT64_C(2) << 40)
#define BIG_FILES 2000

const char *const geo_id[GEO_IDS] = {"", "USA", "DEU"};

static bool digest(enum digest_kind kind, const uint8_t *p, size_t n, uint8_t *out)
{
	struct digest *d = digest_new(kind);
	if (!d)
		return false;
	digest_start(d);
	digest_add(d, (struct slice){(const char *)p, n});
	bool good = digest_end(d, out);
	digest_free(&d);
	return good;
}

bool file_make(const struct world *w, struct file *f, uint8_t *bytes)
{
	struct rng r = rng_for(w->seed, FOR_FILE, f->number);
	f->size = (uint32_t)rng_lognormal(&r, 8.0, 0.5, 600, FILE_MAX);
	for (uint32_t k = 0; k < f->size; k += 8) {
		uint8_t word[8];
		put_be64(word, rng_next(&r));
		memcpy(bytes + k, word, MIN(f->size - k, 8));
	}
	return digest(DIGEST_SHA1, bytes, f->size, f->sha1.b) &&
		digest(DIGEST_SHA256, bytes, f->size, f->sha256.b);
}

struct suffix {
	const char *ext, *patching;
};
static struct suffix suffix_of(const struct node *n, unsigned j)
{
	static const char *const plain[HANDLER__MAX] = {
		[HANDLER_NONE] = "cab", [HANDLER_COMMAND] = "exe", [HANDLER_CBS] = "cab", [HANDLER_MSI] = "msp"};
	static const struct suffix express[] = {{"cab", "SelfContained"}, {"psf", "Express"}, {"cab", "Express"}};
	if (n->recipe->flags & WITH_EXPRESS)
		return express[j % COUNTOF(express)];
	return (struct suffix){plain[n->recipe->handler], NULL};
}

static unsigned file_count(const struct world *w, const struct node *n)
{
	if (n->big)
		return BIG_FILES;
	if (n->members > 0 || !n->recipe)
		return 0;
	struct rng r = rng_for(w->seed, FOR_PACKAGE, n->update);
	return n->recipe->flags & WITH_EXPRESS ? 3 + rng_below(&r, 2) : 1 + rng_below(&r, 3);
}

bool node_file(const struct world *w, const struct node *n, unsigned j, struct file *f)
{
	if (j >= file_count(w, n))
		return false;
	const char *arch = arch_word[n->arch];
	if (j == 1 && n->recipe->handler == HANDLER_COMMAND) {
		*f = (struct file){.number = NUMBER_SHARED | n->line};
		snprintf(f->name, sizeof(f->name), "bootstrap-%u-%s.exe", n->line, arch);
		return true;
	}
	struct suffix s = suffix_of(n, j);
	*f = (struct file){.number = (uint64_t)n->update << 12 | j, .patching = s.patching};
	snprintf(f->name, sizeof(f->name), "harbour-kb%u-%s-%x-%u.%s", n->kb, arch, n->update, j, s.ext);
	return true;
}

void eula_file(const struct world *w, const struct node *n, unsigned lang, unsigned geo, struct file *f)
{
	(void)w;
	*f = (struct file){.number = NUMBER_EULA | (uint64_t)n->line << 12 | lang << 4 | geo};
	snprintf(f->name, sizeof(f->name), "eula-%u-%s%s.txt", n->line, language[lang].code, geo_id[geo]);
}
