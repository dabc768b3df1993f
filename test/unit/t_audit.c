/* t_audit.c -- the audit finds every contradiction between rows; the record of changes; figures. */
#include "test/unit/store_fixture.h"

/* ---- a store with something of everything ---- */

static int32_t member, bundle, fresh;
static uint32_t lab;

static void fill(struct fixture *f)
{
	struct txn *t = fx_begin(f, TXN_CATALOG);
	struct sha1 stored = fx_sha1(1);
	struct guid eula = fx_guid(77);
	member = fx_stage(t, (struct fx_revision){.update = 1, .files = {1, 2}, .prereq = {50}});
	bundle = fx_stage(t, (struct fx_revision){.update = 2, .eula = 77, .members = {{1, 1}}});
	OK(file_set_stored(t, &stored, true, &fx_err));
	OK(group_create(t, SL("Lab"), 0, &lab, &fx_err));
	OK(assign_set(t, SL("pc"), &lab, 1, &fx_err));
	OK(eula_accept(t, &eula, ADMIN, &fx_err));
	OK(setting_set(t, SL("scan.scope"), SL("approved"), &fx_err));
	struct approval a = {.revision = bundle, .group = lab, .admin = ADMIN};
	OK(approve(t, &a, &fx_err));
	a = (struct approval){.revision = member, .group = lab, .action = ACT_UNINSTALL, .admin = ADMIN};
	OK(approve(t, &a, &fx_err));
	a.group = GROUP_UNASSIGNED;
	OK(approve(t, &a, &fx_err));
	OK(unapprove(t, fx_update_no(t, 1), GROUP_UNASSIGNED, ADMIN, &fx_err));
	OK(audit_note(t, ADMIN, "made all this"));
	fx_publish(f);
	t = fx_begin(f, TXN_CATALOG);
	fresh = fx_stage(t, (struct fx_revision){.update = 3});
	fx_commit(f);
	t = fx_begin(f, TXN_FLEET);
	struct computer c = {.id = SL("pc"), .dns_name = SL("pc"), .requested_groups = SL(""), .address = SL(""),
		.last_seen = 5};
	struct seen s = {SL("pc"), 9, 2, 0};
	OK(computer_contact(t, &c, &fx_err));
	OK(computers_seen(t, &s, 1, &fx_err));
	fx_commit(f);
}

static int setup(void **state)
{
	fx_setup(state);
	fill(*state);
	return 0;
}

static void a_store_in_use_is_sound(void **state)
{
	struct fixture *f = *state;
	fx_assert_sound(fx_begin(f, TXN_READ));
	txn_end(&f->t);
}

/* ---- damage ---- */

static struct txn *t;

static void put(enum db db, struct key k, struct slice v)
{
	OK(db_put(t, db, key_bytes(&k), v, &fx_err));
}

static void del(enum db db, struct key k)
{
	struct slice v;
	OK(db_get(t, db, key_bytes(&k), &v));
	OK(db_del(t, db, key_bytes(&k), &fx_err));
}

static struct revision rev(int32_t id)
{
	struct revision r;
	OK(revision_get(t, id, &r, &fx_err));
	r.title = SL("T");
	r.kb = r.severity = r.language = SL("");
	return r;
}

static struct deployment dep(uint32_t group, int32_t id)
{
	struct deployment d;
	OK(deployment_get(t, group, id, &d));
	d.admin = SL("x");
	return d;
}

static struct key fragment_key(int32_t id, int type, uint16_t chunk)
{
	struct key k = key_u32((uint32_t)id);
	k.b[4] = (uint8_t)type;
	put_be16(k.b + 7, chunk);
	k.n = 9;
	return k;
}

static void chunk(int32_t id, int type, uint16_t n, bool packed, uint32_t plain, struct slice bytes)
{
	char v[64] = {1, packed};
	put_be32(v + 4, plain);
	memcpy(v + 8, bytes.p, bytes.n);
	put(DB_FRAGMENT, fragment_key(id, type, n), (struct slice){v, 8 + bytes.n});
}

static void d_counter_revision(void) { OK(db_put(t, DB_META, SL("count.revision"), SL("\1\0\0\0\1"), &fx_err)); }
static void d_counter_update(void) { OK(db_put(t, DB_META, SL("count.update"), SL("\1\0\0\0\1"), &fx_err)); }
static void d_counter_group(void) { OK(db_put(t, DB_META, SL("count.group"), SL("\1\0\0\0\3"), &fx_err)); }
static void d_counter_deployment(void) { OK(db_put(t, DB_META, SL("count.deployment"), SL("\1\0\0\0\1"), &fx_err)); }
static void d_state(void) { OK(db_put(t, DB_META, SL("state"), SL("\1short"), &fx_err)); }
static void d_identity_gone(void) { struct guid g = fx_guid(1); del(DB_IDENTITY, key_identity(&g, 1)); }
static void d_identity_wrong(void) { struct guid g = fx_guid(9); put(DB_IDENTITY, key_identity(&g, 1), SL("\0\0\0\1")); }
static void d_identity_nowhere(void) { struct guid g = fx_guid(9); put(DB_IDENTITY, key_identity(&g, 1), SL("\0\0\0\7")); }
static void d_revision_garbage(void) { put(DB_REVISION, key_u32((uint32_t)member), SL("\1rubbish")); }
static void d_revision_gone(void) { del(DB_REVISION, key_u32((uint32_t)member)); }
static void d_revision_update(void) { struct revision r = rev(member); r.update_no = 99; struct guid g = r.update;
	struct key k = key_identity(&g, 1); (void)k; r.flags |= REV_REMOVED; OK(revision_put(t, &r, &fx_err)); }
static void d_implied_id(void) { struct revision r = rev(member); r.deployment_id = rev(bundle).deployment_id;
	OK(revision_put(t, &r, &fx_err)); }
static void d_update_gone(void) { del(DB_UPDATE, key_u32(fx_update_no(t, 50))); }
static void d_update_id_gone(void) { struct guid g = fx_guid(50); del(DB_UPDATE_ID, key_guid(&g)); }
static void d_update_id_wrong(void) { struct guid g = fx_guid(60); put(DB_UPDATE_ID, key_guid(&g), SL("\0\0\0\1")); }
static void d_update_known(void) { struct update u; OK(update_get(t, fx_update_no(t, 50), &u, &fx_err)); u.known = true;
	u.declined_by = SL(""); OK(update_put(t, &u, &fx_err)); }
static void d_update_unknown(void) { struct update u; OK(update_get(t, fx_update_no(t, 1), &u, &fx_err)); u.known = false;
	u.declined_by = SL(""); OK(update_put(t, &u, &fx_err)); }
static void d_declined(void) { struct update u; OK(update_get(t, fx_update_no(t, 1), &u, &fx_err)); u.declined = true;
	u.declined_by = SL(""); OK(update_put(t, &u, &fx_err)); }
static void d_relation_target(void) { const struct relation p = {99, 0, 0, false};
	const struct relations r = {&p, NULL, NULL, 1, 0, 0}; OK(relations_put(t, member, &r, &fx_err)); }
static void d_relation_garbage(void) { put(DB_RELATION, key_u32((uint32_t)member), SL("\1\0\0\0\7")); }
static void d_relation_gone(void) { del(DB_RELATION, key_u32((uint32_t)member)); }
static void d_relation_alone(void) { put(DB_RELATION, key_u32(99), SL("\1\0\0\0\0\0\0\0\0\0\0\0\0")); }
static void d_core_gone(void) { del(DB_FRAGMENT, fragment_key(member, FRAG_CORE, 0)); }
static void d_extended_gone(void) { del(DB_FRAGMENT, fragment_key(member, FRAG_EXTENDED, 0)); }
static void d_localized_gone(void) { struct key k = key_u32((uint32_t)member); k.b[4] = FRAG_LOCALIZED; k.n = 5;
	OK(db_del_prefix(t, DB_FRAGMENT, key_bytes(&k), NULL, &fx_err)); }
static void d_chunk_gap(void) { chunk(member, FRAG_CORE, 2, false, 1, SL("x")); }
static void d_chunk_short(void) { chunk(member, FRAG_CORE, 1, false, 1, SL("x")); }
static void d_chunk_size(void) { chunk(member, FRAG_CORE, 0, false, 7, SL("four")); }
static void d_chunk_packed(void) { chunk(member, FRAG_CORE, 0, true, 9, SL("\x04\0\0\0\x04\0\0\0four")); }
static void d_languages_size(void) { chunk(member, FRAG_LOCALIZED, 0, true, 5, SL("\0\5\x82" "de\0\4\4\0\0\0\4\0\0\0four")); }
static void d_languages_torn(void) { chunk(member, FRAG_LOCALIZED, 0, true, 4, SL("\0\5\x82" "de\0\4\4\0\0\0\4\0\0\0fou")); }
static void rows(uint16_t all, uint32_t plain, struct slice first, struct slice second)
{
	char v[64] = {1};
	put_be16(v + 2, all);
	put_be32(v + 4, plain);
	memcpy(v + 8, first.p, first.n);
	put(DB_FRAGMENT, fragment_key(member, FRAG_ORIGINAL, 0), (struct slice){v, 8 + first.n});
	if (second.n)
		put(DB_FRAGMENT, fragment_key(member, FRAG_ORIGINAL, 1), second);
}
static void d_rows_torn(void) { rows(9, 9, SL("torn"), SL("")); }
static void d_rows_short(void) { rows(9, 9, SL("torn"), SL("off")); }
static void d_rows_long(void) { rows(9, 9, SL("torn"), SL("and more")); }
static void d_rows_size(void) { rows(9, 8, SL("torn"), SL("apart")); }
static void d_rows_one(void) { rows(4, 4, SL("torn"), SL("")); }
static void d_fragment_alone(void) { chunk(99, FRAG_CORE, 0, false, 1, SL("x")); }
static void d_fragment_type(void) { chunk(member, 77, 0, false, 1, SL("x")); }
static void d_file_gone(void) { struct sha1 d = fx_sha1(1); del(DB_FILE, key_sha1(&d)); }
static void d_file_alone(void) { struct file f = {.digest = fx_sha1(9), .name = SL(""), .mu_url = SL("")};
	OK(file_put(t, &f, &fx_err)); }
static void d_file_garbage(void) { struct sha1 d = fx_sha1(1); put(DB_FILE, key_sha1(&d), SL("\1x")); }
static void d_file_rev_gone(void) { struct sha1 d = fx_sha1(1); struct key k = key_sha1(&d), v = key_u32((uint32_t)member);
	OK(db_del_dup(t, DB_FILE_REV, key_bytes(&k), key_bytes(&v), &fx_err)); }
static void d_file_rev_more(void) { struct sha1 d = fx_sha1(1); put(DB_FILE_REV, key_sha1(&d), SL("\0\0\0\2")); }
static void d_rev_file_garbage(void) { struct key k = key_u32((uint32_t)member); k.n = 6; put(DB_REV_FILE, k, SL("\1x")); }
static void d_group_builtin(void) { del(DB_GROUP, key_u32(GROUP_DOWNSTREAM)); }
static void d_group_parent(void) { struct group g; OK(group_get(t, lab, &g, &fx_err)); g.name = SL("Lab"); g.parent = 9;
	OK(group_put(t, &g, &fx_err)); }
static void d_group_circle(void) { struct group g; OK(group_get(t, lab, &g, &fx_err)); g.name = SL("Lab"); g.parent = lab;
	OK(group_put(t, &g, &fx_err)); }
static void d_group_root(void) { struct group g; OK(group_get(t, lab, &g, &fx_err)); g.name = SL("Lab"); g.parent = 0;
	OK(group_put(t, &g, &fx_err)); }
static void d_group_name(void) { OK(db_put(t, DB_GROUP_NAME, SL("other"), SL("\0\0\0\4"), &fx_err)); }
static void d_group_unnamed(void) { OK(db_del(t, DB_GROUP_NAME, SL("lab"), &fx_err)); }
static void d_assign_group(void) { OK(db_put(t, DB_ASSIGN, SL("pc"), SL("\1\0\0\0\x63"), &fx_err)); }
static void d_assign_key(void) { OK(db_put(t, DB_ASSIGN, SL("PC"), SL("\1\0\0\0\4"), &fx_err)); }
static void d_assign_garbage(void) { OK(db_put(t, DB_ASSIGN, SL("pc"), SL("\1\0\0"), &fx_err)); }
static void d_deploy_garbage(void) { put(DB_DEPLOY, key_u32_u32(lab, (uint32_t)member), SL("\1x")); }
static void d_deploy_rev(void) { del(DB_DEPLOY_REV, key_u32_u32((uint32_t)member, lab)); }
static void d_deploy_rev_alone(void) { put(DB_DEPLOY_REV, key_u32_u32(1, 9), SL("")); }
static void d_deploy_nowhere(void) { struct deployment d = dep(lab, member); d.revision = 99; OK(deployment_put(t, &d, &fx_err)); }
static void d_deploy_group(void) { struct deployment d = dep(GROUP_UNASSIGNED, member); d.group = 9; d.dead = false;
	OK(deployment_put(t, &d, &fx_err)); }
static void d_deploy_id(void) { struct deployment d = dep(lab, member); d.id = dep(lab, bundle).id;
	OK(deployment_put(t, &d, &fx_err)); }
static void d_deploy_twice(void) { struct revision r = rev(member); uint32_t id; OK(counter_next(t, COUNT_REVISION, &id, &fx_err));
	r.id = (int32_t)id; r.number = 2; OK(counter_next(t, COUNT_DEPLOYMENT, &r.deployment_id, &fx_err));
	const struct relations none = {0}; OK(relations_put(t, r.id, &none, &fx_err)); fx_fragments(t, r.id);
	OK(revision_put(t, &r, &fx_err)); struct deployment d = dep(lab, member); d.revision = r.id;
	OK(counter_next(t, COUNT_DEPLOYMENT, &d.id, &fx_err)); OK(deployment_put(t, &d, &fx_err)); }
static void d_waiting_gone(void) { del(DB_WAITING, key_u32_u32(lab, (uint32_t)bundle)); }
static void d_waiting_more(void) { put(DB_WAITING, key_u32_u32(lab, (uint32_t)member), SL("")); }
static void d_waiting_alone(void) { put(DB_WAITING, key_u32_u32(9, 9), SL("")); }
static void d_pending_kind(void) { put(DB_PENDING, key_pending(9, 1, 1), SL("")); }
static void d_pending_revision(void) { put(DB_PENDING, key_pending(PENDING_TOUCH, 1, 99), SL("")); }
static void d_log_epoch(void) { put(DB_LOG, key_log(1000, 0, member), SL("")); }
static void d_log_revision(void) { put(DB_LOG, key_log(1, 0, 99), SL("")); }
static void d_log_key(void) { put(DB_LOG, key_u32(1), SL("")); }
static void d_setting_name(void) { OK(db_put(t, DB_SETTING, SL("no.such"), SL("\1x"), &fx_err)); }
static void d_config(void) { OK(db_put(t, DB_META, SL("config"), SL("\1\0\0\0\2"), &fx_err)); }
static void d_setting_value(void) { OK(db_put(t, DB_SETTING, SL("scan.scope"), SL("\1some"), &fx_err)); }
static void d_eula(void) { struct guid g = fx_guid(77); put(DB_EULA, key_guid(&g), SL("\1x")); }
static void d_note(void) { OK(db_put(t, DB_AUDIT, SL("123456789012"), SL("\1x"), &fx_err)); }
static void d_listed(void) { const uint32_t v[] = {0, 0, 1}; OK(array_put(t, ARRAY_LISTED, 0, v, sizeof(v), NULL, &fx_err)); }
static void d_listed_epoch(void) { const uint32_t v[] = {0, 7, 1}; OK(array_put(t, ARRAY_LISTED, 0, v, sizeof(v), NULL, &fx_err)); }
static void d_update_guid(void) { struct slice v; struct guid g[4]; OK(array_chunk(t, ARRAY_UPDATE_ID, 0, 0, &v));
	assert_int_equal(v.n, sizeof(g)); memcpy(g, v.p, v.n); g[1] = g[2];
	OK(array_put(t, ARRAY_UPDATE_ID, 0, g, sizeof(g), NULL, &fx_err)); }
static void d_update_guids(void) { const struct guid g[2] = {fx_guid(0), fx_guid(1)};
	OK(array_put(t, ARRAY_UPDATE_ID, 0, g, sizeof(g), NULL, &fx_err)); }
static void d_index(void) { const char one = 1; OK(array_put(t, ARRAY_ALIVE, 0, &one, 1, NULL, &fx_err)); }
static void d_computer(void) { OK(db_put(t, DB_COMPUTER, SL("pc"), SL("\1x"), &fx_err)); }
static void d_computer_key(void) { OK(db_put(t, DB_COMPUTER, SL("PC"), SL("\1x"), &fx_err)); }
static void d_seen(void) { OK(db_put(t, DB_SEEN, SL("pc"), SL("\1x"), &fx_err)); }
static void d_seen_alone(void) { OK(db_put(t, DB_SEEN, SL("other"), SL("\1aaaaaaaabbbbcccc"), &fx_err)); }

static const struct {
	void (*damage)(void);
	const char *says;
	enum txn_mode mode;
} damages[] = {
	{d_counter_revision, "revision 2 was never given out", TXN_CATALOG},
	{d_counter_update, "update number 2 was never given out", TXN_CATALOG},
	{d_counter_group, "group 4 was never given out", TXN_CATALOG},
	{d_counter_deployment, "deployment 2 was never given out", TXN_CATALOG},
	{d_state, "state record", TXN_CATALOG},
	{d_identity_gone, "identity of revision 1 does not lead", TXN_CATALOG},
	{d_identity_wrong, "which has another", TXN_CATALOG},
	{d_identity_nowhere, "leads to revision 7, which is not there", TXN_CATALOG},
	{d_revision_garbage, "record of revision 1 cannot be read", TXN_CATALOG},
	{d_revision_gone, "revision 1, which is not there", TXN_CATALOG},
	{d_revision_update, "unknown update number 99", TXN_CATALOG},
	{d_implied_id, "is used twice", TXN_CATALOG},
	{d_update_gone, "unknown update number", TXN_CATALOG},
	{d_update_id_gone, "does not lead to it", TXN_CATALOG},
	{d_update_id_wrong, "which is not it", TXN_CATALOG},
	{d_update_known, "has no revision", TXN_CATALOG},
	{d_update_unknown, "but has a revision", TXN_CATALOG},
	{d_declined, "its update is declined", TXN_CATALOG},
	{d_relation_target, "unknown update number 99", TXN_CATALOG},
	{d_relation_garbage, "relations of revision 1 cannot be read", TXN_CATALOG},
	{d_relation_gone, "relations of revision 1", TXN_CATALOG},
	{d_relation_alone, "relations of revision 99, which is not there", TXN_CATALOG},
	{d_core_gone, "no core fragment", TXN_CATALOG},
	{d_extended_gone, "no extended fragment", TXN_CATALOG},
	{d_localized_gone, "no localized fragment", TXN_CATALOG},
	{d_chunk_gap, "no chunk before chunk 2", TXN_CATALOG},
	{d_chunk_short, "short chunk", TXN_CATALOG},
	{d_chunk_size, "size it claims", TXN_CATALOG},
	{d_chunk_packed, "size it claims", TXN_CATALOG},
	{d_languages_size, "size it claims", TXN_CATALOG},
	{d_languages_torn, "size it claims", TXN_CATALOG},
	{d_rows_torn, "last 5 bytes of a chunk of a fragment are missing", TXN_CATALOG},
	{d_rows_short, "last 2 bytes of a chunk of a fragment are missing", TXN_CATALOG},
	{d_rows_long, "last 5 bytes of a chunk of a fragment are missing", TXN_CATALOG},
	{d_rows_size, "size it claims", TXN_CATALOG},
	{d_rows_one, "is in one row and says", TXN_CATALOG},
	{d_fragment_alone, "fragment of revision 99, which is not there", TXN_CATALOG},
	{d_fragment_type, "unknown type 77", TXN_CATALOG},
	{d_file_gone, "names a file that is not there", TXN_CATALOG},
	{d_file_alone, "belongs to no revision", TXN_CATALOG},
	{d_file_garbage, "names a file that is not there", TXN_CATALOG},
	{d_file_rev_gone, "does not lead back", TXN_CATALOG},
	{d_file_rev_more, "files lead to 3 revisions", TXN_CATALOG},
	{d_rev_file_garbage, "files cannot be read", TXN_CATALOG},
	{d_group_builtin, "built-in group 3 is missing", TXN_CATALOG},
	{d_group_parent, "under a group that is not there", TXN_CATALOG},
	{d_group_circle, "below itself", TXN_CATALOG},
	{d_group_root, "wrong place", TXN_CATALOG},
	{d_group_name, "which is not it", TXN_CATALOG},
	{d_group_unnamed, "name of group 4 does not lead", TXN_CATALOG},
	{d_assign_group, "group 99, which is not there", TXN_CATALOG},
	{d_assign_key, "no computer's id", TXN_CATALOG},
	{d_assign_garbage, "assignment of pc cannot be read", TXN_CATALOG},
	{d_deploy_garbage, "record of a deployment", TXN_CATALOG},
	{d_deploy_rev, "does not lead to its deployment", TXN_CATALOG},
	{d_deploy_rev_alone, "list by revision", TXN_CATALOG},
	{d_deploy_nowhere, "deployment of revision 99, which is not there", TXN_CATALOG},
	{d_deploy_group, "group 9, which is not there", TXN_CATALOG},
	{d_deploy_id, "is used twice", TXN_CATALOG},
	{d_deploy_twice, "several approvals", TXN_CATALOG},
	{d_waiting_gone, "disagree", TXN_CATALOG},
	{d_waiting_more, "disagree", TXN_CATALOG},
	{d_waiting_alone, "list of waiting ones", TXN_CATALOG},
	{d_pending_kind, "note for the next publish", TXN_CATALOG},
	{d_pending_revision, "revision 99", TXN_CATALOG},
	{d_log_epoch, "epoch 1000", TXN_CATALOG},
	{d_log_revision, "revision 99", TXN_CATALOG},
	{d_log_key, "change log", TXN_CATALOG},
	{d_setting_name, "no.such", TXN_CATALOG},
	{d_setting_value, "scan.scope cannot be read", TXN_CATALOG},
	{d_config, "configuration's changes cannot be read", TXN_CATALOG},
	{d_listed, "downstream servers are not told of revision 1", TXN_CATALOG},
	{d_listed_epoch, "revision 1 is listed since epoch 7, the server stands at 1", TXN_CATALOG},
	{d_update_guid, "guid of update 1 is not its own", TXN_CATALOG},
	{d_update_guids, "not as many guids as updates", TXN_CATALOG},
	{d_eula, "EULA", TXN_CATALOG},
	{d_note, "record of administrative changes", TXN_CATALOG},
	{d_index, "", TXN_CATALOG},
	{d_computer, "record of computer pc", TXN_FLEET},
	{d_computer_key, "no computer's id", TXN_FLEET},
	{d_seen, "last contact of computer pc", TXN_FLEET},
	{d_seen_alone, "computer other, which is not there", TXN_FLEET},
};

static void every_damage_is_found(void **state)
{
	struct fixture *f = *state;
	for (size_t i = 0; i < COUNTOF(damages); i++) {
		t = fx_begin(f, damages[i].mode);
		damages[i].damage();
		struct fx_findings found = fx_audit(t);
		if (found.n == 0 || !strstr(found.text, damages[i].says))
			fail_msg("damage %zu (\"%s\"): found %u:\n%s", i, damages[i].says, found.n, found.text);
		txn_end(&f->t);
	}
	fx_assert_sound(fx_begin(f, TXN_READ));
	txn_end(&f->t);
}

/* ---- the record of changes ---- */

static int note(tick_t at, struct slice admin, struct slice text, void *arg)
{
	struct buf *b = arg;
	assert_true(at > 0);
	buf_slice(b, admin);
	buf_char(b, ':');
	buf_slice(b, text);
	buf_char(b, '|');
	return E_OK;
}

static void the_record_of_changes_only_grows_and_is_one_line_each(void **state)
{
	struct fixture *f = *state;
	struct buf b;
	char longest[5000];
	buf_init(&b, 10000);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = 0;
	struct txn *w = fx_begin(f, TXN_CATALOG);
	OK(audit_note(w, SL("eve\nroot"), "a\nb %d", 7));
	OK(audit_note(w, SL("eve"), "%s", longest));
	OK(audit_each(w, note, &b, &fx_err));
	fx_commit(f);
	assert_true(text_starts(buf_bytes(&b), SL("tester:made all this|eve\\x0Aroot:a\\x0Ab 7|eve:xxx")) ||
		text_starts(buf_bytes(&b), SL("tester:made all this|eve\\x0aroot:a\\x0ab 7|eve:xxx")));
	assert_in_range(b.n, 1000, 1100);
	buf_free(&b);
}

struct tables {
	uint64_t bytes, revisions, own;
	unsigned n;
};

static void add_table(const struct table_stat *s, void *arg)
{
	struct tables *w = arg;
	w->n++;
	w->bytes += s->shared + s->own + s->inner;
	w->own += s->own;
	if (strcmp(s->name, "revision") == 0)
		w->revisions = s->rows;
}

static void tables_add_up_to_what_is_in_use(void **state)
{
	struct fixture *f = *state;
	static const char large[LIMIT_CHUNK - 8];
	struct store_stat s;
	struct tables before = {0}, after = {0};
	struct txn *w = fx_begin(f, TXN_CATALOG);
	OK(store_tables(w, add_table, &before, &fx_err));
	OK(store_stat(w, &s, &fx_err));
	assert_int_equal(before.n, DB__N);
	assert_int_equal(before.revisions, 3);
	assert_int_equal(before.bytes, s.catalog_used + s.fleet_used);
	OK(db_put(w, DB_SETTING, SL("large"), (struct slice){large, sizeof(large)}, &fx_err));
	OK(store_tables(w, add_table, &after, &fx_err));
	assert_in_range(after.own - before.own, sizeof(large), sizeof(large) + sizeof(large) / 2);
	txn_end(&f->t);
}

static void figures_count_what_is_there(void **state)
{
	struct fixture *f = *state;
	struct store_stat s;
	OK(store_stat(fx_begin(f, TXN_READ), &s, &fx_err));
	assert_true(s.revisions == 3 && s.published == 2 && s.updates == 3 && s.declined == 0);
	assert_true(s.files == 2 && s.files_stored == 1 && s.groups == 4 && s.deployments == 2 && s.computers == 1);
	assert_true(s.catalog_bytes > 0 && s.catalog_used > 0 && s.catalog_used <= s.catalog_bytes);
	assert_true(s.catalog_map >= s.catalog_bytes && s.fleet_map >= s.fleet_bytes && s.fleet_bytes > 0);
	assert_int_equal(s.state.epoch, 1);
	txn_end(&f->t);
}

/* ---- allocation failures ---- */

/* A mixed script of administrative changes in one transaction. */
static int script(struct txn *w, struct err *e)
{
	uint32_t hall, other;
	struct guid eula = fx_guid(88);
	struct sha1 digest = fx_sha1(1);
	struct publish_report r;
	int rc = group_create(w, SL("Hall"), lab, &hall, e);
	if (rc == E_OK)
		rc = group_create(w, SL("Other"), 0, &other, e);
	if (rc == E_OK)
		rc = assign_set(w, SL("pc2"), &hall, 1, e);
	if (rc == E_OK)
		rc = group_move(w, hall, other, e);
	struct approval a = {.revision = fresh, .group = hall, .assigned = true, .admin = ADMIN};
	if (rc == E_OK)
		rc = approve(w, &a, e);
	if (rc == E_OK)
		rc = unapprove(w, fx_update_no(w, 1), lab, ADMIN, e);
	if (rc == E_OK)
		rc = update_decline(w, fx_update_no(w, 2), true, ADMIN, e);
	if (rc == E_OK)
		rc = eula_accept(w, &eula, ADMIN, e);
	if (rc == E_OK)
		rc = file_set_stored(w, &digest, false, e);
	if (rc == E_OK)
		rc = setting_set(w, SL("client.max-extended"), SL("77"), e);
	if (rc == E_OK)
		rc = group_delete(w, lab, e);
	if (rc == E_OK)
		rc = audit_note(w, ADMIN, "script");
	return rc == E_OK ? publish(w, FIXTURE_NOW, &r, e) : rc;
}

static struct server_state state_now(struct fixture *f)
{
	struct server_state st;
	OK(server_state_get(fx_begin(f, TXN_READ), &st, &fx_err));
	txn_end(&f->t);
	return st;
}

/* Whatever allocation fails: the change is not there at all, or complete; a verb that failed spoils its
 * transaction or changed nothing, so that even a caller who commits all the same writes no half change. */
static void a_failed_allocation_leaves_all_or_nothing(void **state)
{
	struct fixture *f = *state;
	struct server_state before = state_now(f), after;
	bool done = false;
	long n = 0;
	while (!done) {
		struct err e = {.code = E_OK};
		fx_begin(f, TXN_CATALOG);
		alloc_fail_at = ++n;
		int rc = script(f->t, &e);
		if (rc == E_OK)
			rc = txn_commit(&f->t, &e);
		done = alloc_fail_at > 0; /* the script needs fewer allocations */
		alloc_fail_at = 0;
		txn_end(&f->t);
		after = state_now(f);
		if (rc == E_OK)
			break;
		assert_int_equal(rc, E_NOMEM);
		assert_int_equal(after.epoch, before.epoch);
		assert_true(after.last_change == before.last_change);
		fx_assert_sound(fx_begin(f, TXN_READ));
		txn_end(&f->t);
	}
	assert_true(n > 5);
	assert_int_equal(after.epoch, before.epoch + 1);
	fx_assert_sound(fx_begin(f, TXN_READ));
	txn_end(&f->t);
}

static void a_failed_verb_commits_nothing_half(void **state)
{
	struct fixture *f = *state;
	for (long n = 1; n < 200; n++) {
		struct err e;
		fx_begin(f, TXN_CATALOG);
		alloc_fail_at = n;
		int rc = script(f->t, &e);
		alloc_fail_at = 0;
		if (rc == E_OK)
			break;
		/* as a careless caller would: what was complete before the failure may stay, nothing else */
		if (txn_commit(&f->t, &e) == E_OK) {
			struct fx_findings found = fx_audit(fx_begin(f, TXN_READ));
			if (found.n)
				fail_msg("allocation %ld: committed what is not sound:\n%s", n, found.text);
			txn_end(&f->t);
			fx_teardown(state);
			setup(state);
			f = *state;
		}
	}
	txn_end(&f->t);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, fx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_store_in_use_is_sound),
		T(every_damage_is_found),
		T(the_record_of_changes_only_grows_and_is_one_line_each),
		T(figures_count_what_is_there),
		T(tables_add_up_to_what_is_in_use),
		T(a_failed_allocation_leaves_all_or_nothing),
		T(a_failed_verb_commits_nothing_half),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
