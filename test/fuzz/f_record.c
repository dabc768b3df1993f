/* f_record.c -- random bytes as the value of each kind of record: decoders refuse or read, never crash, and
 * hand out nothing that lies outside the value.  First byte: which database; the rest: the value. */
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/arena.h"
#include "common/wusp_info.h"
#include "store/db.h"
#include "store/downstream.h"
#include "store/parent.h"
#include "store/replica.h"
#include "store/report_parts.h"
#include "store/scanned.h"
#include "store/update_status.h"

static struct store *store;
static char dir[256];

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static void finish(void)
{
	store_close(&store);
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void start(void)
{
	const char *tmp = getenv("TMPDIR");
	snprintf(dir, sizeof(dir), "%s/f_record.XXXXXX", tmp ? tmp : "/tmp");
	ASSERT(mkdtemp(dir));
	ASSERT(store_create(dir, NULL) == E_OK);
	ASSERT(store_open(&store, dir, STORE_ADMIN, NULL) == E_OK);
	atexit(finish);
}

static const struct guid guid = {{1, 2, 3}};
static const struct sha1 sha1 = {{4, 5, 6}};
static const char *from, *end; /* of the value under test */

/* Reads every byte that was handed out, so that the sanitizer sees a slice that is too long. */
static void touch(struct slice s)
{
	static volatile char sink;
	for (size_t i = 0; i < s.n; i++)
		sink = s.p[i];
	(void)sink;
}

static void inside(struct slice s)
{
	ASSERT(s.n <= (size_t)(end - from));
	touch(s);
}

static void try_revision(struct txn *t)
{
	struct revision v;
	if (revision_get(t, 1, &v, NULL) != E_OK)
		return;
	ASSERT(v.type < TYPE__N && v.category_type <= CAT_OTHER);
	inside(v.title);
	inside(v.kb);
	inside(v.severity);
	inside(v.language);
}

static void try_update(struct txn *t)
{
	struct update v;
	if (update_get(t, 1, &v, NULL) == E_OK)
		inside(v.declined_by);
}

static void try_relation(struct txn *t)
{
	struct relations v;
	if (relations_get(t, 1, &v, NULL) == E_OK)
		ASSERT(v.nprereq * 7 + v.nbundle * 10 + v.nsuperseded * 4 + 13 == (size_t)(end - from));
}

static void try_fragment(struct txn *t)
{
	struct frag v;
	if (fragment_get(t, 1, FRAG_CORE, SL(""), SL(""), &v, NULL) == E_OK)
		for (size_t i = 0; i < v.n; i++)
			inside(v.v[i].bytes);
	struct fragment_key *k;
	size_t n;
	if (fragment_keys(t, 1, FRAG_LOCALIZED, &k, &n, NULL) != E_OK)
		return;
	for (size_t i = 0; i < n; i++)
		if (fragment_get(t, 1, FRAG_LOCALIZED, k[i].locale, SL(""), &v, NULL) == E_OK)
			ASSERT(v.n == 1 && v.v[0].plain == v.v[0].bytes.n && !v.v[0].packed);
}

static void try_file(struct txn *t)
{
	struct file v;
	if (file_get(t, &sha1, &v, NULL) == E_OK) {
		inside(v.name);
		inside(v.mu_url);
	}
}

static void try_rev_file(struct txn *t)
{
	struct revision_file *v;
	size_t n;
	if (revision_files(t, 1, &v, &n, NULL) == E_OK)
		for (size_t i = 0; i < n; i++)
			inside(v[i].name);
}

static void try_group(struct txn *t)
{
	struct group v;
	uint32_t no;
	if (group_get(t, 4, &v, NULL) == E_OK) {
		inside(v.name);
		(void)!group_move(t, 4, GROUP_ALL_COMPUTERS, NULL);
	}
	(void)!group_create(t, SL("new"), 0, &no, NULL); /* loads the whole tree */
}

static void try_assign(struct txn *t)
{
	uint32_t *v;
	size_t n;
	struct settings set = {.targeting = TARGETING_SERVER};
	struct client_groups g;
	int rc = assign_get(t, SL("pc"), &v, &n, NULL);
	ASSERT(client_groups_get(t, &set, SL("pc"), &g, NULL) == rc); /* what cannot be read is not a computer without group */
	if (rc != E_OK)
		return;
	ASSERT(n <= LIMIT_CLIENT_GROUPS);
	ASSERT(g.n >= 1 && g.n <= LIMIT_CLIENT_GROUPS && g.no[g.n - 1] == GROUP_ALL_COMPUTERS);
}

static void try_deploy(struct txn *t)
{
	struct deployment v;
	if (deployment_get(t, 1, 1, &v) == E_OK) {
		ASSERT(v.action < ACT__N && v.priority <= PRIO_LOW);
		inside(v.admin);
	}
}

static void try_setting(struct txn *t)
{
	struct settings s;
	if (settings_get(t, &s, NULL) == E_OK)
		inside(s.content_url);
}

static void try_state(struct txn *t)
{
	struct server_state s;
	(void)!server_state_get(t, &s, NULL);
}

static int note(tick_t at, struct slice admin, struct slice text, void *arg)
{
	(void)at;
	(void)arg;
	inside(admin);
	inside(text);
	return E_OK;
}

static void try_audit(struct txn *t)
{
	(void)!audit_each(t, note, NULL, NULL);
}

static void try_computer(struct txn *t)
{
	struct computer c;
	struct ComputerInfo info;
	struct settings set = {.targeting = TARGETING_CLIENT};
	struct client_groups g;
	if (computer_get(t, SL("pc"), &c) != E_OK)
		return;
	inside(c.dns_name);
	inside(c.requested_groups);
	inside(c.address);
	inside(c.info);
	if (computer_info_unpack(c.info, &info) == E_OK)
		inside(info.DnsName);
	ASSERT(client_groups_get(t, &set, SL("pc"), &g, NULL) == E_OK && g.n <= LIMIT_CLIENT_GROUPS);
}

/* A batch for the computer whose record it is: a list, and a failure of an update that nobody knows. */
static int try_report(struct txn *t, uint8_t batch)
{
	struct computer c = {.id = SL("pc"), .dns_name = SL(""), .requested_groups = SL(""), .address = SL(""), .last_seen = 1};
	struct slice misc[] = {SL("U=01020300-0000-0000-0000-000000000000")};
	struct report_event v[] = {{.instance = {{batch}}, .at = 5, .name_space = 1, .id = 156, .misc = misc, .nmisc = 1},
		{.instance = {{batch, 1}}, .at = INT64_MAX, .name_space = 1, .id = 182, .update = guid}};
	struct report r = {.computer = SL("pc"), .now = 10, .client_time = 10, .event = v, .n = COUNTOF(v)};
	struct report_outcome out;
	int rc = computer_contact(t, &c, NULL);
	return rc == E_OK ? report_take(t, &r, &out, NULL) : rc;
}

static void try_standing(struct txn *t)
{
	struct standing s;
	struct slice value = {from, (size_t)(end - from)};
	bool good = standing_row_good(SL("pc"), value);
	int rc = try_report(t, 1);
	ASSERT(good ? rc == E_OK || rc == E_NOTFOUND : rc == E_CORRUPT); /* it may name a system that is not there */
	ASSERT(db_put(t, DB_STANDING, SL("pc"), value, NULL) == E_OK && standing_get(t, SL("pc"), &s) == (good ? E_OK : E_CORRUPT));
	if (!good)
		return;
	ASSERT(s.sync_result <= SYNC_FAILED);
	inside(s.client_version);
	inside(s.machine.architecture);
}

static int one_status(const struct status_row *r, void *arg)
{
	uint32_t *sum = arg;
	ASSERT(r->status < STATUS__N && r->update_no <= UPDATE_NO_MAX);
	*sum += 1;
	return 0;
}

static void try_status(struct txn *t)
{
	struct slice value = {from, (size_t)(end - from)};
	struct status_row r;
	uint32_t rows = 0, count[STATUS__N], hidden, highest, after = 0;
	bool good = status_row_good(SL("pc"), value);
	(void)!try_report(t, 1); /* by now fleet/ belongs to this catalog */
	ASSERT(db_put(t, DB_STATUS, SL("pc"), value, NULL) == E_OK);
	int rc = status_each(t, SL("pc"), one_status, &rows, NULL);
	ASSERT(!good || rc == E_OK);
	ASSERT(status_get(t, SL("pc"), 3, &r) == E_OK || !good);
	ASSERT(status_figures(t, SL("pc"), count, &hidden, &highest) == rc);
	ASSERT(try_report(t, 2) == rc);
	if (good) /* what is no more listed stays as a row */
		ASSERT(status_each(t, SL("pc"), one_status, &after, NULL) == E_OK && after == rows);
}

static int one_downstream(const struct downstream *d, void *arg)
{
	(void)arg;
	inside(d->name);
	inside(d->address);
	inside(d->version);
	inside(d->admin);
	ASSERT(d->state <= DOWNSTREAM_BLOCKED);
	return 0;
}

static void try_downstream(struct txn *t)
{
	struct downstream d;
	struct settings set = {.downstream_admission = DOWNSTREAM_APPROVAL};
	int rc = downstream_get(t, &guid, &d, NULL);
	ASSERT(downstream_each(t, one_downstream, NULL, NULL) == rc);
	enum downstream_state state = downstream_state(t, &guid, &set);
	ASSERT(state == (rc == E_OK ? d.state : DOWNSTREAM_PENDING)); /* what cannot be read admits nobody */
	if (!txn_writes_catalog(t))
		(void)!downstreams_seen(t, &(struct downstream_seen){guid, INT64_MAX, 1, 20, DOWNSTREAM_LISTED}, 1, NULL);
}

static int one_wanted(const struct wanted *v, void *arg)
{
	(void)v;
	(void)arg;
	return 0;
}

static void try_wanted(struct txn *t)
{
	struct wanted_totals all;
	uint64_t dropped;
	int rc = wanted_each(t, one_wanted, NULL, NULL);
	ASSERT(wanted_total(t, &all, NULL) == rc && wanted_sweep(t, &dropped, NULL) == rc);
	ASSERT(rc != E_OK || (all.files == 0 && dropped == all.stale)); /* no revision names it */
}

static void try_parent(struct txn *t)
{
	struct settings set = {.upstream_url = SL("http://p")};
	struct parent p;
	int rc = parent_get(t, &set, &p, NULL);
	ASSERT(parent_row_readable(t) == (rc == E_OK || rc == E_NOTFOUND));
	if (rc == E_OK) {
		inside(p.cookie);
		inside(p.deployment_anchor);
		for (size_t i = 0; i < p.nlanguages; i++)
			inside(p.language[i].code);
	}
	ASSERT(parent_policy_lost(t, NULL) == E_OK);
}

static int one_choice(const struct choice *c, void *arg)
{
	(void)arg;
	ASSERT(c->kind == CHOICE_PRODUCT || c->kind == CHOICE_CLASSIFICATION);
	return 0;
}

static void try_choice(struct txn *t)
{
	ASSERT(choices_cover(t, NULL) == choice_each(t, 0, one_choice, NULL, NULL));
}

static int one_run(const struct sync_run *r, void *arg)
{
	(void)arg;
	ASSERT(r->result < RUN__RESULTS && r->phase < SYNC__PHASES);
	inside(r->server);
	inside(r->why);
	inside(r->remedy);
	return 0;
}

static void try_history(struct txn *t)
{
	(void)!sync_run_each(t, one_run, NULL, NULL);
}

static int one_fetch(const struct fetch *f, void *arg)
{
	(void)arg;
	ASSERT(f->state >= FETCH_LOADING && f->state <= FETCH_FAILED);
	inside(f->why);
	return 0;
}

static void try_fetch(struct txn *t)
{
	(void)!fetch_each(t, one_fetch, NULL, NULL);
}

/* The parent says nothing new: what waits for its revision is looked at. */
static void try_mirror(struct txn *t)
{
	static const struct ServerSyncTargetGroup all = {.TargetGroupID = {{0xA0, 0xA0, 0x87, 0x46, 0x4D, 0xBE, 0x4A, 0x37, 0x9A, 0xDF, 0x9E, 0x76,
		0x52, 0xC0, 0xB4, 0x21}}};
	struct ServerSyncTargetGroup groups[] = {all};
	struct guid dead[] = {guid};
	struct ServerSyncDeploymentResult p = {.Groups = {groups, 1}, .DeadDeployments = {dead, 1}};
	struct replica_report r;
	(void)!replica_apply(t, &p, false, 0, &r, NULL);
}

/* The computer is there, so that what hangs on it is read, and by the audit, too. */
static void make_computer(struct txn *t)
{
	struct computer c = {.id = SL("pc"), .dns_name = SL("a"), .requested_groups = SL(""), .address = SL("")};
	ASSERT(computer_contact(t, &c, NULL) == E_OK);
}

static void try_scanned(struct txn *t)
{
	static const int32_t one = 1;
	struct last_scan s;
	make_computer(t);
	if (last_scan_get(t, SL("pc"), &s, NULL) == E_OK)
		touch((struct slice){(const char *)s.installed, s.ninstalled * sizeof(*s.installed)});
	ASSERT(last_scan_put(t, SL("pc"), 1, &one, 1, NULL) == E_OK);
	ASSERT(last_scan_get(t, SL("pc"), &s, NULL) == E_OK && s.ninstalled == 1 && s.installed[0] == 1);
}

static void try_device(struct txn *t)
{
	struct devices d, none = {.at = 1};
	make_computer(t);
	if (devices_get(t, SL("pc"), &d, NULL) == E_OK)
		for (size_t i = 0; i < d.n; i++)
			for (size_t k = 0; k < d.v[i].n; k++)
				touch(d.v[i].id[k]);
	ASSERT(devices_put(t, SL("pc"), &none, NULL) == E_OK);
	ASSERT(devices_get(t, SL("pc"), &d, NULL) == E_OK && d.n == 0);
}

static void try_face(struct txn *t)
{
	struct faces v;
	if (faces_get(t, SL("pc"), &v) == E_OK)
		for (unsigned i = 0; i < v.n; i++) {
			inside(v.v[i].name);
			inside(v.v[i].bios);
			inside(v.v[i].address);
		}
	make_computer(t);
	ASSERT(face_note(t, SL("pc"), SL("b"), SL("x"), SL(""), 1, NULL) == E_OK);
	(void)!faces_get(t, SL("pc"), &v);
}

static const char event_key[32] = {1, 2, 3, [16] = 7};
#define EVENT_COMPUTER SL("01020300-0000-0000-0000-000000000000")

static void try_event(struct txn *t)
{
	struct event *v;
	size_t n;
	ASSERT(db_put(t, DB_FMETA, SL("segments"), (struct slice){"\1\0\0\0\0\0\0\0\0\0\0\0\0", 13}, NULL) == E_OK);
	int rc = events_of(t, EVENT_COMPUTER, 0, &v, &n, NULL);
	ASSERT(event_row_good((struct slice){event_key, sizeof(event_key)}, (struct slice){from, (size_t)(end - from)}) == (rc == E_OK));
	for (size_t i = 0; i < n; i++) {
		inside(v[i].app);
		inside(v[i].device);
		for (size_t k = 0; k < v[i].nstrings; k++)
			inside(v[i].strings[k]);
		for (size_t k = 0; k < v[i].nmisc; k++)
			inside(v[i].misc[k]);
	}
}

/* Whatever the row says, the next event is kept. */
static void try_segments(struct txn *t)
{
	struct report_event r = {.instance = guid, .id = 156};
	struct event *v;
	struct event_segment *g;
	size_t n;
	bool repeated;
	(void)!event_segments(t, &g, &n, NULL);
	ASSERT(event_keep(t, EVENT_COMPUTER, &r, 1, &repeated, NULL) == E_OK && !repeated);
	ASSERT(event_keep(t, EVENT_COMPUTER, &r, INT64_C(1) << 60, &repeated, NULL) == E_OK);
	ASSERT(event_segments(t, &g, &n, NULL) == E_OK && n > 0 && n <= EVENT_SEGMENTS);
	ASSERT(events_of(t, EVENT_COMPUTER, 1, &v, &n, NULL) == E_OK && n == 1);
}

static const char fragment_key[] = {0, 0, 0, 1, FRAG_CORE, 0, 0, 0, 0};

static const char choice_key[1 + sizeof(guid.b)] = {CHOICE_PRODUCT, 1, 2, 3};
static const char mirror_key[1 + sizeof(guid.b)] = {1, 1, 2, 3};  /* a deployment, */
static const char lacking_key[1 + sizeof(guid.b)] = {3, 1, 2, 3}; /* and one whose revision is not here */

/* Seeds name them by position: what is new comes last. */
static const struct target {
	enum db db;
	struct slice key;
	void (*try)(struct txn *);
} targets[] = {
	{DB_REVISION, {"\0\0\0\1", 4}, try_revision},
	{DB_UPDATE, {"\0\0\0\1", 4}, try_update},
	{DB_RELATION, {"\0\0\0\1", 4}, try_relation},
	{DB_FRAGMENT, {fragment_key, sizeof(fragment_key)}, try_fragment},
	{DB_FILE, {(const char *)sha1.b, sizeof(sha1.b)}, try_file},
	{DB_REV_FILE, {"\0\0\0\1\0\0", 6}, try_rev_file},
	{DB_GROUP, {"\0\0\0\4", 4}, try_group},
	{DB_ASSIGN, {"pc", 2}, try_assign},
	{DB_DEPLOY, {"\0\0\0\1\0\0\0\1", 8}, try_deploy},
	{DB_SETTING, {"content.url", 11}, try_setting},
	{DB_META, {"state", 5}, try_state},
	{DB_AUDIT, {"123456789012", 12}, try_audit},
	{DB_EULA, {(const char *)guid.b, sizeof(guid.b)}, try_state},
	{DB_COMPUTER, {"pc", 2}, try_computer},
	{DB_DOWNSTREAM, {(const char *)guid.b, sizeof(guid.b)}, try_downstream},
	{DB_ADMITTED, {(const char *)guid.b, sizeof(guid.b)}, try_downstream},
	{DB_WANTED, {(const char *)sha1.b, sizeof(sha1.b)}, try_wanted},
	{DB_META, {"parent", 6}, try_parent},
	{DB_CHOICE, {choice_key, sizeof(choice_key)}, try_choice},
	{DB_HISTORY, {"12345678", 8}, try_history},
	{DB_FETCH, {(const char *)sha1.b, sizeof(sha1.b)}, try_fetch},
	{DB_MIRROR, {mirror_key, sizeof(mirror_key)}, try_mirror},
	{DB_MIRROR, {lacking_key, sizeof(lacking_key)}, try_mirror},
	{DB_STANDING, {"pc", 2}, try_standing},
	{DB_STATUS, {"pc", 2}, try_status},
	{DB_SCANNED, {"pc", 2}, try_scanned},
	{DB_DEVICE, {"pc\0\0\0", 5}, try_device},
	{DB_FACE, {"pc", 2}, try_face},
	{DB_EVENT, {event_key, sizeof(event_key)}, try_event},
	{DB_FMETA, {"segments", 8}, try_segments},
};

static void ignore(const char *text, void *arg)
{
	(void)arg;
	ASSERT(strlen(text) > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (!store)
		start();
	if (n == 0 || n > (64 << 10))
		return 0;
	const struct target *x = &targets[data[0] % COUNTOF(targets)];
	struct slice value = {(const char *)data + 1, n - 1};
	struct txn *t;
	unsigned found;
	from = value.p;
	end = value.p + value.n;
	ASSERT(txn_begin(store, x->db < DB__CATALOG ? TXN_CATALOG : TXN_FLEET, &t, NULL) == E_OK);
	ASSERT(db_put(t, x->db, x->key, value, NULL) == E_OK);
	x->try(t);
	int rc = store_audit(t, ignore, NULL, &found, NULL);
	ASSERT(rc == E_OK || rc == E_CORRUPT || rc == E_NOMEM);
	txn_end(&t);
	return 0;
}
