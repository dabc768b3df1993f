/* probe_scan.c -- SyncUpdates: the staged software scan and the driver pass, with every answer checked.
 *
 * An update may come once all its prerequisite clauses hold under what we called installed in that very
 * request; so a page is checked against the cache first and taken into it afterwards (SYNC-29, -30). */
#include "ctl/probe.h"

#include <stdlib.h>

#include "common/text.h"
#include "common/wusp.h"

struct pass {
	bool drivers, more, again; /* more: another call is due; again: not the first call of the pass */
};

/* ---- the request ---- */
typedef bool pick_fn(const struct probe_update *u);

static bool pick_installed(const struct probe_update *u)
{
	return u->installed && !u->leaf && !u->driver;
}

static bool pick_other(const struct probe_update *u)
{
	return !u->driver && !pick_installed(u);
}

static bool pick_driver(const struct probe_update *u)
{
	return u->driver;
}

static int by_value(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
	return (x > y) - (x < y);
}

/* Ascending; an empty list is not sent, as native clients do. */
static bool collect(struct probe *p, pick_fn *pick, struct wints *out)
{
	const struct probe_cache *c = &p->state.cache;
	size_t n = 0;
	for (size_t i = 0; i < c->n; i++)
		n += pick(&c->v[i]);
	*out = (struct wints){NULL, n};
	if (n == 0)
		return true;
	out->v = ARENA_ARRAY(&p->arena, int32_t, n);
	if (!out->v)
		return false;
	n = 0;
	for (size_t i = 0; i < c->n; i++)
		if (pick(&c->v[i]))
			out->v[n++] = c->v[i].id;
	qsort(out->v, n, sizeof(*out->v), by_value);
	return true;
}

/* Devices that the sample catalog has drivers for, and two of virtual machines.  One has an old driver. */
#define SAMPLE_DEVICES 40
static const char *const device_id[] = {"USBPRINT\\HarbourLaser0003", "PCI\\VEN_1AF4&DEV_1000", "PCI\\VEN_8086&DEV_100E"};

static bool add_device(struct probe *p, struct Device *d, unsigned k)
{
	d->HardwareIDs.v = ARENA_ARRAY(&p->arena, struct slice, 1);
	d->installedDriver = ARENA_NEW(&p->arena, struct InstalledDriver);
	if (!d->HardwareIDs.v || !d->installedDriver)
		return false;
	d->HardwareIDs.n = 1;
	d->HardwareIDs.v[0] = k < COUNTOF(device_id) ? slice_of(device_id[k])
		: arena_printf(&p->arena, "PCI\\VEN_1D0F&DEV_%04X", k - (unsigned)COUNTOF(device_id));
	d->installedDriver->DriverRank = -1;
	if (k == COUNTOF(device_id)) {
		d->installedDriver->MatchingID = d->HardwareIDs.v[0];
		d->installedDriver->DriverVerVersion = INT64_C(1) << 48;
		d->installedDriver->Class = SL("Net");
		d->installedDriver->DriverRank = 0x00ff0000;
	}
	bool ok = text_time(k == COUNTOF(device_id) ? SL("2006-06-21T00:00:00Z") : SL("0001-01-01T00:00:00Z"),
		&d->installedDriver->DriverVerDate);
	return ok && d->HardwareIDs.v[0].p;
}

static bool add_devices(struct probe *p, struct SyncUpdateParameters *s)
{
	size_t n = COUNTOF(device_id) + SAMPLE_DEVICES;
	s->SystemSpec.v = ARENA_ARRAY(&p->arena, struct Device, n);
	s->SystemSpec.n = n;
	for (size_t k = 0; s->SystemSpec.v && k < n; k++)
		if (!add_device(p, &s->SystemSpec.v[k], (unsigned)k))
			return false;
	s->FeatureScoreMatchingKey = SL("AMD64.10.0");
	return s->SystemSpec.v != NULL;
}

static bool add_filter(struct probe *p, struct SyncUpdateParameters *s)
{
	if (!p->o->has_filter)
		return true;
	s->FilterCategoryIds.v = ARENA_NEW(&p->arena, struct CategoryIdentifier);
	s->FilterCategoryIds.n = 1;
	if (s->FilterCategoryIds.v)
		WIRE_SET(&s->FilterCategoryIds.v[0], CategoryIdentifier, Id, p->o->filter);
	return s->FilterCategoryIds.v != NULL;
}

static bool make_request(struct probe *p, const struct pass *pass, struct SyncUpdates *in)
{
	struct SyncUpdateParameters *s = in->parameters = ARENA_NEW(&p->arena, struct SyncUpdateParameters);
	in->cookie = probe_cookie(p);
	if (!s || !(s->ComputerSpec = ARENA_NEW(&p->arena, struct ComputerHardwareSpecification)))
		return false;
	s->SkipSoftwareSync = pass->drivers;
	WIRE_SET(s, SyncUpdateParameters, NeedTwoGroupOutOfScopeUpdates, true);
	bool ok = collect(p, pick_installed, &s->InstalledNonLeafUpdateIDs) && add_filter(p, s);
	if (!pass->drivers)
		return ok && collect(p, pick_other, &s->OtherCachedUpdateIDs);
	/* natives never send CachedDriverIDs; a further page needs them, or the first would come again */
	return ok && add_devices(p, s) && (!pass->again || collect(p, pick_driver, &s->CachedDriverIDs));
}

/* ---- checks of one update ---- */
static const struct {
	unsigned field;
	const char *name;
} deployment_field[] = {
	{Deployment__ID, "ID"},
	{Deployment__Action, "Action"},
	{Deployment__IsAssigned, "IsAssigned"},
	{Deployment__LastChangeTime, "LastChangeTime"},
	{Deployment__AutoSelect, "AutoSelect"},
	{Deployment__AutoDownload, "AutoDownload"},
	{Deployment__SupersedenceBehavior, "SupersedenceBehavior"},
};

/* PROBE_NO_ACTION if there is no proper one. */
static enum probe_action check_deployment(struct probe *p, int32_t id, const struct Deployment *d)
{
	if (!d) {
		probe_problem(p, "revision %d has no Deployment", id);
		return PROBE_NO_ACTION;
	}
	for (size_t i = 0; i < COUNTOF(deployment_field); i++)
		if (!(d->has >> deployment_field[i].field & 1))
			probe_problem(p, "revision %d: its Deployment has no %s", id, deployment_field[i].name);
	enum probe_action a = probe_action_of(d->Action);
	if (a == PROBE_ACTION__MAX)
		probe_problem(p, "revision %d: unknown Action \"%.*s\"", id, (int)MIN(d->Action.n, 60), d->Action.p ? d->Action.p : "");
	return a == PROBE_ACTION__MAX ? PROBE_NO_ACTION : a;
}

static void check_prerequisites(struct probe *p, int32_t id, const struct probe_core *core)
{
	const struct probe_cache *c = &p->state.cache;
	size_t unmet = probe_core_unmet(core, c);
	if (unmet < core->prereqs) {
		char text[GUID_TEXT + 1];
		guid_text(&core->prereq[unmet].update, text);
		probe_problem(p, "revision %d came although nothing of its prerequisite clause %u (%s ...) is installed", id,
			core->prereq[unmet].clause, text);
	}
	for (size_t i = 0; i < core->prereqs; i++) {
		size_t at = 0;
		for (struct probe_update *u; (u = probe_cache_next(c, &core->prereq[i].update, &at)) != NULL;)
			if (u->leaf)
				probe_problem(p, "revision %d is said to be a leaf, but is a prerequisite of %d", u->id, id);
	}
}

static void check_unique(struct probe *p, int32_t id, const struct probe_core *core)
{
	if (probe_cache_by_id(&p->state.cache, id))
		probe_problem(p, "revision %d was sent although it is cached", id);
	else if (probe_cache_by_identity(&p->state.cache, &core->update, core->revision))
		probe_problem(p, "revision %d: its update is cached under another number", id);
	if (id <= 0)
		probe_problem(p, "revision number %d is not positive", id);
}

/* ---- taking in ---- */
static bool keep_members(struct probe_update *u, const struct probe_core *core)
{
	if (core->members == 0)
		return true;
	u->member = calloc(core->members, sizeof(*u->member));
	u->members = (uint32_t)core->members;
	if (u->member)
		memcpy(u->member, core->member, core->members * sizeof(*u->member));
	return u->member != NULL;
}

static int take_update(struct probe *p, const struct pass *pass, const struct UpdateInfo *info, struct err *e)
{
	struct probe_core core;
	struct slice text;
	int rc = probe_fragment(p, &info->Xml, &text, e);
	if (rc == E_OK)
		rc = probe_core_read(text, &core, &p->arena, e);
	if (rc == E_FORM || rc == E_LIMIT) {
		probe_problem(p, "revision %d: its Core fragment: %s", info->ID, e->text);
		return E_OK;
	}
	if (rc != E_OK)
		return rc;
	struct probe_update u = {.id = info->ID, .update = core.update, .revision = core.revision, .leaf = info->IsLeaf,
		.driver = core.driver, .fresh = true};
	u.action = (uint8_t)check_deployment(p, info->ID, info->Deployment);
	check_prerequisites(p, info->ID, &core);
	if (core.driver != pass->drivers)
		probe_problem(p, "revision %d is %s driver in the %s pass", info->ID, core.driver ? "a" : "no",
			pass->drivers ? "driver" : "software");
	check_unique(p, info->ID, &core);
	if (probe_cache_by_id(&p->state.cache, info->ID))
		return E_OK;
	if (!keep_members(&u, &core) || !probe_cache_add(&p->state.cache, &u)) {
		free(u.member);
		return err_set(e, E_NOMEM, "out of memory, or more than %d updates", PROBE_CACHE_MAX);
	}
	return E_OK;
}

static int take_changed(struct probe *p, const struct SyncInfo *s)
{
	for (size_t i = 0; i < s->ChangedUpdates.n; i++) {
		const struct UpdateInfo *info = &s->ChangedUpdates.v[i];
		struct probe_update *u = probe_cache_by_id(&p->state.cache, info->ID);
		enum probe_action a = check_deployment(p, info->ID, info->Deployment);
		if (!u) {
			probe_problem(p, "revision %d is said to have changed, but is not cached", info->ID);
			continue;
		}
		u->leaf = info->IsLeaf;
		u->installed = u->installed && !u->leaf;
		u->action = (uint8_t)a;
	}
	return E_OK;
}

static int take_gone(struct probe *p, const struct SyncInfo *s, struct err *e)
{
	for (size_t i = 0; i < s->OutOfScopeRevisionIDs.n; i++) {
		struct probe_update *u = probe_cache_by_id(&p->state.cache, s->OutOfScopeRevisionIDs.v[i]);
		if (u)
			u->gone = true;
		else
			probe_problem(p, "revision %d is said to be out of scope, but is not cached", s->OutOfScopeRevisionIDs.v[i]);
	}
	if (s->OutOfScopeRevisionIDs.n == 0)
		return E_OK;
	return probe_cache_sweep(&p->state.cache) == E_OK ? E_OK : err_set(e, E_NOMEM, "out of memory");
}

/* The same share for the same update in every run with the same seed. */
static bool call_installed(const struct probe *p, const struct probe_update *u)
{
	uint64_t h = get_be64(u->update.b) ^ get_be64(u->update.b + 8) ^ p->o->seed * UINT64_C(0x9e3779b97f4a7c15);
	h = (h ^ h >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
	return !u->leaf && !u->driver && (h >> 33) % 100 < p->o->installed;
}

/* Marks what came from `first` on; true if the server can now offer more. */
static bool install_new(struct probe *p, size_t first)
{
	bool any = false;
	for (size_t i = first; i < p->state.cache.n; i++) {
		p->state.cache.v[i].installed = call_installed(p, &p->state.cache.v[i]);
		any = any || p->state.cache.v[i].installed;
	}
	return any;
}

static int take_page(struct probe *p, struct pass *pass, const struct SyncInfo *s, struct err *e)
{
	int rc = take_changed(p, s);
	if (rc == E_OK)
		rc = take_gone(p, s, e);
	size_t first = p->state.cache.n;
	for (size_t i = 0; rc == E_OK && i < s->NewUpdates.n; i++)
		rc = take_update(p, pass, &s->NewUpdates.v[i], e);
	if (rc == E_OK)
		rc = probe_cookie_keep(p, s->NewCookie, e);
	pass->more = install_new(p, first) || s->Truncated;
	if (s->Truncated && s->NewUpdates.n == 0) {
		probe_problem(p, "an answer is Truncated, but brings nothing: a client would ask for ever");
		pass->more = false;
	}
	p->got_changed += s->ChangedUpdates.n;
	p->got_gone += s->OutOfScopeRevisionIDs.n;
	*(pass->drivers ? &p->got_drivers : &p->got_new) += s->NewUpdates.n;
	probe_items(p, pass->drivers ? STEP_DRIVERS : STEP_SOFTWARE, s->NewUpdates.n);
	return rc;
}

/* ---- the passes ---- */
static int sync_page(struct probe *p, void *arg, struct err *e)
{
	struct pass *pass = arg;
	struct SyncUpdates in = {0};
	struct SyncUpdatesResponse out;
	int rc = err_set(e, E_NOMEM, "out of memory");
	if (make_request(p, pass, &in))
		rc = probe_call(p, pass->drivers ? PROBE_SYNC_DRIVERS : PROBE_SYNC, &in, &out, e);
	if (rc == E_OK && !out.SyncUpdatesResult)
		rc = err_set(e, E_FORM, "SyncUpdates: an answer without SyncUpdatesResult");
	if (rc == E_OK)
		rc = take_page(p, pass, out.SyncUpdatesResult, e);
	probe_call_end(p);
	return rc;
}

static int run_pass(struct probe *p, struct pass *pass, struct err *e)
{
	int rc = E_OK;
	for (pass->more = true; rc == E_OK && pass->more && !(p->o->brief && pass->again); pass->again = true) {
		if (p->scan_calls == p->o->max_calls)
			return err_set(e, E_LIMIT, "SyncUpdates: not at its end after %u calls; native clients give up at 200",
				p->scan_calls);
		p->scan_calls++;
		rc = probe_with_recovery(p, sync_page, pass, e);
	}
	return rc;
}

static void count_known(struct probe *p)
{
	for (size_t i = 0; i < p->state.cache.n; i++) {
		const struct probe_update *u = &p->state.cache.v[i];
		p->installed += u->installed;
		p->offered += u->action == PROBE_INSTALL || u->action == PROBE_OPTIONAL;
	}
}

static int start_category(struct probe *p, struct err *e)
{
	struct CategoryRelationship r = {0};
	struct StartCategoryScan in = {0};
	struct StartCategoryScanResponse out;
	WIRE_SET(&r, CategoryRelationship, IndexOfAndGroup, 0);
	WIRE_SET(&r, CategoryRelationship, CategoryId, p->o->filter);
	in.requestedCategories.v = &r;
	in.requestedCategories.n = 1;
	int rc = probe_call(p, PROBE_START_CATEGORY, &in, &out, e);
	if (rc == E_OK)
		probe_items(p, STEP_CATEGORIES, out.preferredCategoryIds.n);
	/* a classification alone is known, but never preferred (CATSCAN-10) */
	if (rc == E_OK && out.requestedCategoryIdsInError.n > 0)
		probe_problem(p, "StartCategoryScan: the server does not know the category of --filter");
	probe_call_end(p);
	return rc;
}

int probe_software(struct probe *p, struct err *e)
{
	struct pass pass = {.drivers = false};
	p->was_differential = p->state.cache.n > 0;
	int rc = p->o->has_filter ? start_category(p, e) : E_OK;
	if (rc == E_OK)
		rc = run_pass(p, &pass, e);
	return rc;
}

/* Drivers of an earlier run are forgotten first: the request does not name them, so they come again. */
int probe_drivers(struct probe *p, struct err *e)
{
	struct pass pass = {.drivers = true};
	for (size_t i = 0; i < p->state.cache.n; i++)
		p->state.cache.v[i].gone = p->state.cache.v[i].driver;
	if (probe_cache_sweep(&p->state.cache) != E_OK)
		return err_set(e, E_NOMEM, "out of memory");
	int rc = run_pass(p, &pass, e);
	count_known(p);
	return rc;
}
