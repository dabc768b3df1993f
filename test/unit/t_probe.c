/* t_probe.c -- wsus-probe's own parts: fragments and prerequisites, the cache, the state file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/text.h"
#include "ctl/probe.h"

#define A "aaaaaaaa-0000-4000-8000-000000000001"
#define B "bbbbbbbb-0000-4000-8000-000000000002"
#define C "cccccccc-0000-4000-8000-000000000003"
#define ID(g) "<UpdateIdentity UpdateID=\"" g "\" />"

static struct guid guid_of(const char *text)
{
	struct guid g;
	assert_true(text_guid(slice_of(text), &g));
	return g;
}

static struct probe_update update_of(int32_t id, const char *guid, int32_t revision)
{
	return (struct probe_update){.id = id, .update = guid_of(guid), .revision = revision, .action = PROBE_EVALUATE};
}

static void add(struct probe_cache *c, int32_t id, const char *guid, bool installed)
{
	struct probe_update u = update_of(id, guid, 1);
	u.installed = installed;
	assert_non_null(probe_cache_add(c, &u));
}

/* ---- fragments ---- */
static const char core_text[] =
	"<UpdateIdentity UpdateID=\"AAAAAAAA-0000-4000-8000-000000000001\" RevisionNumber=\"203\" />"
	"<Properties UpdateType=\"Driver\" ExplicitlyDeployable=\"true\" />"
	"<Relationships><SupersededUpdates>" ID(C) "</SupersededUpdates><Prerequisites>" ID(B)
	"<AtLeastOne IsCategory=\"true\">" ID(A) ID(C) "</AtLeastOne>" ID(C) "</Prerequisites>"
	"<BundledUpdates><AtLeastOne><UpdateIdentity UpdateID=\"" B "\" RevisionNumber=\"7\" /></AtLeastOne></BundledUpdates>"
	"</Relationships><ApplicabilityRules><IsInstalled><b.RegSz Data=\"&quot;x&quot; &amp; y\" /></IsInstalled></ApplicabilityRules>";

static void a_core_fragment_is_read_without_a_root(void **state)
{
	struct arena a;
	struct probe_core core;
	struct guid own = guid_of(A), member = guid_of(B);
	(void)state;
	arena_init(&a, 1 << 20);
	assert_int_equal(probe_core_read(slice_of(core_text), &core, &a, NULL), E_OK);
	assert_int_equal(guid_cmp(&core.update, &own), 0);
	assert_int_equal(core.revision, 203);
	assert_true(core.driver);
	assert_true(core.explicitly);
	assert_int_equal(core.prereqs, 4);
	const uint32_t clause[] = {0, 1, 1, 2};
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(core.prereq[i].clause, clause[i]);
	assert_int_equal(core.members, 1);
	assert_int_equal(guid_cmp(&core.member[0].update, &member), 0);
	assert_int_equal(core.member[0].revision, 7);
	arena_free(&a);
}

static void broken_core_fragments_are_refused(void **state)
{
	static const char *const bad[] = {"", "<Properties UpdateType=\"Software\" />", "<UpdateIdentity UpdateID=\"x\" />",
		"<UpdateIdentity UpdateID=\"" A "\" RevisionNumber=\"one\" />", "<UpdateIdentity UpdateID=\"" A "\" ",
		ID(A) "</r><r>"};
	(void)state;
	for (size_t i = 0; i < COUNTOF(bad); i++) {
		struct arena a;
		struct probe_core core;
		struct err e = {0};
		arena_init(&a, 1 << 20);
		assert_int_equal(probe_core_read(slice_of(bad[i]), &core, &a, &e), E_FORM);
		assert_true(e.text[0]);
		arena_free(&a);
	}
}

static size_t unmet_with(const char *first, const char *second)
{
	struct arena a;
	struct probe_core core;
	struct probe_cache c = {0};
	arena_init(&a, 1 << 20);
	assert_int_equal(probe_core_read(slice_of(core_text), &core, &a, NULL), E_OK);
	add(&c, 1, A, false); /* cached is not installed */
	if (first)
		add(&c, 2, first, true);
	if (second)
		add(&c, 3, second, true);
	size_t unmet = probe_core_unmet(&core, &c);
	probe_cache_free(&c);
	arena_free(&a);
	return unmet;
}

static void every_clause_needs_one_of_its_updates(void **state)
{
	(void)state;
	assert_int_equal(unmet_with(NULL, NULL), 0);
	assert_int_equal(unmet_with(B, NULL), 1);
	assert_int_equal(unmet_with(B, A), 3);
	assert_int_equal(unmet_with(C, NULL), 0);
	assert_int_equal(unmet_with(B, C), 4);
}

static void files_come_with_both_digests(void **state)
{
	struct arena a;
	struct probe_file *f;
	size_t n;
	(void)state;
	arena_init(&a, 1 << 20);
	assert_int_equal(probe_files_read(SL("<ExtendedProperties DefaultPropertiesLanguage=\"en\" /><Files>"
		"<File Digest=\"AAECAwQFBgcICQoLDA0ODxAREhM=\" DigestAlgorithm=\"SHA1\" FileName=\"a &amp; b.cab\" Size=\"5000000000\">"
		"<AdditionalDigest Algorithm=\"SHA256\">AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=</AdditionalDigest></File>"
		"<File Digest=\"ExITAwQFBgcICQoLDA0ODxAREhM=\" FileName=\"c\" Size=\"0\" /></Files>"), &f, &n, &a, NULL), E_OK);
	assert_int_equal(n, 2);
	assert_int_equal(f[0].size, 5000000000);
	assert_true(f[0].has_sha256);
	for (uint8_t i = 0; i < 20; i++)
		assert_int_equal(f[0].sha1.b[i], i);
	for (uint8_t i = 0; i < 32; i++)
		assert_int_equal(f[0].sha256.b[i], i);
	assert_false(f[1].has_sha256);
	assert_int_equal(probe_files_read(SL("<Files><File Digest=\"AAEC\" FileName=\"short\" Size=\"1\" /></Files>"), &f, &n, &a,
		NULL), E_FORM);
	arena_free(&a);
}

/* ---- the cache ---- */
static void updates_are_found_after_growth_and_sweep(void **state)
{
	struct probe_cache c = {0};
	struct probe_update u = update_of(0, A, 0);
	(void)state;
	for (int32_t i = 1; i <= 5000; i++) {
		u.id = i;
		u.revision = i / 2; /* two numbers for each identity of pairs of guids */
		put_be32(u.update.b, (uint32_t)(i % 2));
		assert_non_null(probe_cache_add(&c, &u));
	}
	for (size_t i = 0; i < c.n; i++)
		c.v[i].gone = c.v[i].id % 3 == 0;
	assert_int_equal(probe_cache_sweep(&c), E_OK);
	assert_int_equal(c.n, 5000 - 1666);
	assert_null(probe_cache_by_id(&c, 3));
	assert_int_equal(probe_cache_by_id(&c, 4999)->revision, 2499);
	put_be32(u.update.b, 1);
	assert_int_equal(probe_cache_by_identity(&c, &u.update, 2)->id, 5);
	assert_null(probe_cache_by_identity(&c, &u.update, 3000));
	probe_cache_free(&c);
}

/* ---- the state file ---- */
static char dir[3000], path[3100];

static int make_dir(void **state)
{
	const char *tmp = getenv("TMPDIR");
	(void)state;
	snprintf(dir, sizeof(dir), "%s/t_probe.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/state", dir);
	return 0;
}

static int drop_dir(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

static void make_state(struct probe_state *s)
{
	*s = (struct probe_state){.per_request = 50};
	s->url = probe_strdup(SL("http://server:8530"));
	s->client = probe_strdup(SL(C));
	s->cookie = probe_strdup(SL("AAECAwQ="));
	s->expiration = probe_strdup(SL("2026-10-04T16:03:35.9967236Z"));
	struct probe_update u = update_of(7, A, 200);
	u.leaf = true;
	u.action = PROBE_INSTALL;
	u.member = calloc(2, sizeof(*u.member));
	assert_non_null(u.member);
	u.members = 2;
	u.member[0] = (struct probe_ref){guid_of(B), 201, 0};
	u.member[1] = (struct probe_ref){guid_of(C), 202, 1};
	assert_non_null(probe_cache_add(&s->cache, &u));
	add(&s->cache, 9, B, true);
}

static void write_text(const char *text, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, n), (ssize_t)n);
	close(fd);
}

static void a_state_comes_back_as_it_was(void **state)
{
	struct probe_state s, t;
	(void)state;
	make_state(&s);
	assert_int_equal(probe_state_save(&s, path, NULL), E_OK);
	assert_int_equal(probe_state_load(&t, path, NULL), E_OK);
	assert_string_equal(t.url, s.url);
	assert_string_equal(t.client, s.client);
	assert_string_equal(t.cookie, s.cookie);
	assert_string_equal(t.expiration, s.expiration);
	assert_null(t.last_change);
	assert_int_equal(t.per_request, 50);
	assert_int_equal(t.cache.n, 2);
	const struct probe_update *u = probe_cache_by_id(&t.cache, 7);
	assert_true(u->leaf && !u->installed && !u->driver);
	assert_int_equal(u->action, PROBE_INSTALL);
	assert_int_equal(u->members, 2);
	assert_int_equal(u->member[1].revision, 202);
	assert_int_equal(u->member[1].clause, 1);
	assert_true(probe_cache_by_id(&t.cache, 9)->installed);
	probe_state_free(&s);
	probe_state_free(&t);
}

/* Every cut and every changed digit of the version is noticed; nothing is half loaded. */
static void damaged_states_are_refused(void **state)
{
	struct probe_state s, t;
	char text[4096];
	(void)state;
	make_state(&s);
	assert_int_equal(probe_state_save(&s, path, NULL), E_OK);
	probe_state_free(&s);
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text));
	close(fd);
	assert_true(n > 100);
	for (size_t cut = 0; cut + 1 < (size_t)n; cut++) {
		struct err e = {0};
		write_text(text, cut);
		assert_int_equal(probe_state_load(&t, path, &e), E_FORM);
		assert_non_null(strstr(e.text, path));
		assert_null(t.url);
	}
}

static void foreign_newer_and_missing_states_are_told_apart(void **state)
{
	struct probe_state t;
	struct err e = {0};
	(void)state;
	write_text("#!/bin/sh\necho\n", 15);
	assert_int_equal(probe_state_load(&t, path, &e), E_FORM);
	assert_non_null(strstr(e.text, "not a state file"));
	write_text("wsus-probe-state 2\nend 0\n", 25);
	assert_int_equal(probe_state_load(&t, path, &e), E_VERSION);
	unlink(path);
	assert_int_equal(probe_state_load(&t, path, &e), E_NOTFOUND);
}

static void a_state_that_cannot_be_written_says_so(void **state)
{
	struct probe_state s;
	struct err e = {0};
	(void)state;
	make_state(&s);
	assert_int_not_equal(probe_state_save(&s, "/tmp/no/such/folder/state", &e), E_OK);
	assert_true(e.text[0]);
	probe_state_free(&s);
}

/* ---- tables ---- */
static void tables_have_no_holes(void **state)
{
	(void)state;
	for (unsigned a = 0; a < PROBE_ACTION__MAX; a++)
		assert_int_equal(probe_action_of(slice_of(probe_action_name[a])), a);
	for (unsigned s = 0; s < STEP__MAX; s++)
		assert_non_null(probe_step_name[s]);
	assert_int_equal(probe_action_of(SL("Instal")), PROBE_ACTION__MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_core_fragment_is_read_without_a_root),
		cmocka_unit_test(broken_core_fragments_are_refused),
		cmocka_unit_test(every_clause_needs_one_of_its_updates),
		cmocka_unit_test(files_come_with_both_digests),
		cmocka_unit_test(updates_are_found_after_growth_and_sweep),
		cmocka_unit_test(a_state_comes_back_as_it_was),
		cmocka_unit_test(damaged_states_are_refused),
		cmocka_unit_test(foreign_newer_and_missing_states_are_told_apart),
		cmocka_unit_test(a_state_that_cannot_be_written_says_so),
		cmocka_unit_test(tables_have_no_holes),
	};
	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
