/* standing.c -- how a computer stands: one record of what its reports say of it as a whole (fleet/). */
#include "store/update_status.h"

#define STANDING_TEXT ((size_t)255) /* of a name or version: they come from anybody */
#define STANDING_RECORD (8 << 10)

const char *const update_status_names[STATUS__N] = {"unknown", "not-applicable", "needed", "downloaded", "installed", "failed",
	"pending-reboot"};

static const struct standing nothing = {.client_version = {"", 0}, .bios_name = {"", 0}, .bios_date = {"", 0},
	.machine = {.brand = {"", 0}, .model = {"", 0}, .bios = {"", 0}, .architecture = {"", 0}}};

/* ================= the record ================= */

/* The fields of one kind, in the order of the record. */
#define TIMES(s) {&(s)->sync_at, &(s)->sync_good_at, &(s)->reported_at, &(s)->status_at, &(s)->rebooted_at, &(s)->reboot_since, \
	&(s)->inventory_at, &(s)->effective_at, &(s)->skew}
#define NUMBERS(s) {&(s)->hidden, &(s)->good, &(s)->bad, &(s)->cohort, &(s)->os}
#define TEXTS(s) {&(s)->client_version, &(s)->bios_name, &(s)->bios_date, &(s)->machine.brand, &(s)->machine.model, &(s)->machine.bios, \
	&(s)->machine.architecture}

static int standing_decode(struct slice value, struct standing *out)
{
	struct rec r = rec_of(value, 1);
	*out = nothing;
	tick_t *times[] = TIMES(out);
	uint32_t *numbers[] = NUMBERS(out);
	struct slice *texts[] = TEXTS(out);
	uint8_t result = rec_u8(&r);
	out->sync_event = (int16_t)rec_u16(&r);
	out->sync_hresult = (int32_t)rec_u32(&r);
	for (size_t i = 0; i < COUNTOF(times); i++)
		*times[i] = (tick_t)rec_u64(&r);
	for (size_t i = 0; i < COUNTOF(numbers); i++)
		*numbers[i] = rec_u32(&r);
	for (size_t i = 0; i < STATUS__N; i++)
		out->count[i] = rec_u32(&r);
	for (size_t i = 0; i < COUNTOF(texts); i++)
		*texts[i] = rec_str(&r);
	for (size_t i = 0; i < COUNTOF(out->machine.os); i++)
		out->machine.os[i] = (int32_t)rec_u32(&r);
	out->machine.locale = (int32_t)rec_u32(&r);
	out->sync_result = result;
	return result > SYNC_FAILED ? E_CORRUPT : rec_end(&r);
}

/* Not inside a character. */
static struct slice cut(struct slice s)
{
	size_t n = MIN(s.n, STANDING_TEXT);
	while (n > 0 && n < s.n && ((unsigned char)s.p[n] & 0xC0) == 0x80)
		n--;
	return (struct slice){s.p ? s.p : "", n};
}

static void standing_encode(struct buf *b, const struct standing *s)
{
	const tick_t *const times[] = TIMES(s);
	const uint32_t *const numbers[] = NUMBERS(s);
	const struct slice *const texts[] = TEXTS(s);
	rec_begin(b, 1, STANDING_RECORD);
	buf_char(b, (char)s->sync_result);
	rec_put_u16(b, (uint16_t)s->sync_event);
	rec_put_u32(b, (uint32_t)s->sync_hresult);
	for (size_t i = 0; i < COUNTOF(times); i++)
		rec_put_u64(b, (uint64_t)*times[i]);
	for (size_t i = 0; i < COUNTOF(numbers); i++)
		rec_put_u32(b, *numbers[i]);
	for (size_t i = 0; i < STATUS__N; i++)
		rec_put_u32(b, s->count[i]);
	for (size_t i = 0; i < COUNTOF(texts); i++)
		rec_put_str(b, cut(*texts[i]));
	for (size_t i = 0; i < COUNTOF(s->machine.os); i++)
		rec_put_u32(b, (uint32_t)s->machine.os[i]);
	rec_put_u32(b, (uint32_t)s->machine.locale);
}

int standing_put(struct txn *t, struct slice key, const struct standing *s, struct err *e)
{
	struct buf b;
	struct slice old = SL("");
	standing_encode(&b, s);
	(void)!db_get(t, DB_STANDING, key, &old);
	if (b.n > old.n && !txn_fleet_has_room(t)) {
		buf_free(&b);
		return txn_fail(t, err_set(e, E_FULL, "half of fleet/ is full: how computer %.*s stands is not noted", SLF(key)), e);
	}
	return db_put_rec(t, DB_STANDING, key, &b, e);
}

bool standing_row_good(struct slice key, struct slice value)
{
	struct computer_key k;
	struct standing s;
	return computer_key(&k, key) && slice_eq(k.s, key) && standing_decode(value, &s) == E_OK;
}

/* ================= reading ================= */

static int read_row(struct txn *t, struct slice key, struct standing *out)
{
	struct slice v;
	*out = nothing;
	int rc = db_get(t, DB_STANDING, key, &v);
	if (rc == E_NOTFOUND)
		return E_OK;
	return rc == E_OK ? standing_decode(v, out) : rc;
}

int standing_get(struct txn *t, struct slice computer, struct standing *out)
{
	struct computer_key k;
	struct slice v;
	*out = nothing;
	if (!computer_key(&k, computer))
		return E_NOTFOUND;
	int rc = db_get(t, DB_COMPUTER, k.s, &v);
	return rc == E_OK ? read_row(t, k.s, out) : rc;
}

struct each_standing {
	struct txn *t;
	int (*fn)(const struct computer *, const struct standing *, void *);
	void *arg;
	struct err *e;
};

static int each_computer(const struct computer *c, void *arg)
{
	struct each_standing *w = arg;
	struct standing s;
	if (read_row(w->t, c->id, &s) != E_OK)
		return err_set(w->e, E_CORRUPT, "how computer %.*s stands cannot be read", SLF(c->id));
	return w->fn(c, &s, w->arg);
}

int standing_each(struct txn *t, int (*fn)(const struct computer *, const struct standing *, void *), void *arg, struct err *e)
{
	struct each_standing w = {t, fn, arg, e};
	return computer_each(t, each_computer, &w, e);
}

int report_inventory(struct txn *t, struct slice computer, tick_t at, struct err *e)
{
	struct computer_key k;
	struct standing s;
	if (!computer_key(&k, computer))
		return err_set(e, E_NOTFOUND, "no computer has the id %.*s", SLF(computer));
	int rc = standing_get(t, computer, &s);
	if (rc != E_OK)
		return err_set(e, (enum errcode)rc, "how computer %.*s stands: %s", SLF(k.s), err_name(rc));
	s.inventory_at = MAX(s.inventory_at, at);
	return standing_put(t, k.s, &s, e); /* encoded before the row that it was read from goes */
}
