/* computer.c -- what computers tell us: contact, registration, last-contact times (fleet/).
 *
 * Times that change with every contact have rows of their own (seen), so that a computer's row is written
 * only when something about it changed. */
#include "common/buf.h"
#include "common/text.h"
#include "common/wusp_info.h"
#include "store/report_parts.h"
#include "store/scanned.h"
#include "store/stranger.h"

#define COMPUTER_RECORD (64 << 10) /* 26 members of ComputerInfo at LIMIT_STRING, names, address */

bool computer_key(struct computer_key *k, struct slice id)
{
	if (id.n == 0 || id.n > sizeof(k->b))
		return false;
	text_lower_to(k->b, id);
	k->s = (struct slice){k->b, id.n};
	return true;
}

bool computer_is_health(struct slice id)
{
	return text_ieq(id, SL(COMPUTER_HEALTH_ID));
}

/* ================= rows ================= */

static int computer_decode(struct slice id, struct slice value, struct computer *out)
{
	struct rec r = rec_of(value, 1);
	*out = (struct computer){.id = id};
	out->dns_name = rec_str(&r);
	out->requested_groups = rec_str(&r);
	out->address = rec_str(&r);
	out->first_seen = (tick_t)rec_u64(&r);
	out->last_seen = (tick_t)rec_u64(&r);
	out->major = rec_u32(&r);
	out->minor = rec_u32(&r);
	out->registered = rec_u8(&r) != 0;
	out->info = rec_str(&r);
	return rec_end(&r);
}

/* Anybody may make up ids and claim long names for them: a row that is new or grows needs room. */
static int computer_put(struct txn *t, struct slice key, const struct computer *c, struct err *e)
{
	struct buf b;
	struct slice old;
	bool fresh = db_get(t, DB_COMPUTER, key, &old) != E_OK;
	int rc = fresh ? newcomer_count(t, c->first_seen, e) : E_OK;
	if (rc != E_OK)
		return rc;
	rec_begin(&b, 1, COMPUTER_RECORD);
	rec_put_str(&b, c->dns_name);
	rec_put_str(&b, c->requested_groups);
	rec_put_str(&b, c->address);
	rec_put_u64(&b, (uint64_t)c->first_seen);
	rec_put_u64(&b, (uint64_t)c->last_seen);
	rec_put_u32(&b, c->major);
	rec_put_u32(&b, c->minor);
	buf_char(&b, c->registered);
	rec_put_str(&b, c->info);
	if ((fresh || b.n > old.n) && !txn_fleet_has_room(t)) {
		buf_free(&b);
		return err_set(e, E_FULL, "half of fleet/ is full: nothing new is noted; `wsusctl computer delete` those that are "
			"no more, or set WSUS_FLEET_MAP_MB to more");
	}
	return db_put_rec(t, DB_COMPUTER, key, &b, e);
}

static int seen_get(struct txn *t, struct slice key, struct seen *out)
{
	struct slice v;
	*out = (struct seen){.id = key};
	int rc = db_get(t, DB_SEEN, key, &v);
	if (rc != E_OK)
		return rc;
	struct rec r = rec_of(v, 1);
	out->at = (tick_t)rec_u64(&r);
	out->major = rec_u32(&r);
	out->minor = rec_u32(&r);
	return rec_end(&r);
}

static int computer_read(struct txn *t, struct slice key, struct slice value, struct computer *out)
{
	struct seen s;
	int rc = computer_decode(key, value, out);
	if (rc != E_OK)
		return rc;
	rc = seen_get(t, key, &s);
	if (rc == E_NOTFOUND)
		return E_OK;
	out->last_seen = MAX(out->last_seen, s.at);
	if (s.major != 0) {
		out->major = s.major;
		out->minor = s.minor;
	}
	return rc;
}

/* The row without what is in seen; E_NOTFOUND leaves an empty one. */
static int row_get(struct txn *t, const struct computer_key *k, struct computer *out)
{
	struct slice v;
	*out = (struct computer){.id = k->s, .dns_name = SL(""), .requested_groups = SL(""), .address = SL(""),
		.info = SL("")};
	int rc = db_get(t, DB_COMPUTER, k->s, &v);
	return rc == E_OK ? computer_decode(k->s, v, out) : rc;
}

int computer_get(struct txn *t, struct slice id, struct computer *out)
{
	struct computer_key k;
	struct slice v, stored;
	if (!computer_key(&k, id))
		return E_NOTFOUND;
	int rc = db_get(t, DB_COMPUTER, k.s, &v);
	if (rc == E_OK)
		rc = computer_read(t, k.s, v, out);
	if (rc != E_OK)
		return rc;
	stored = arena_copy(txn_arena(t), k.s); /* k dies here */
	out->id = stored;
	return stored.p ? E_OK : E_NOMEM;
}

struct each_computer {
	struct txn *t;
	int (*fn)(const struct computer *, void *);
	void *arg;
	struct err *e;
};

static int each_computer_row(struct slice key, struct slice value, void *arg)
{
	struct each_computer *w = arg;
	struct computer c;
	if (computer_read(w->t, key, value, &c) != E_OK)
		return err_set(w->e, E_CORRUPT, "the record of computer %.*s cannot be read", SLF(key));
	return w->fn(&c, w->arg);
}

int computer_each(struct txn *t, int (*fn)(const struct computer *, void *), void *arg, struct err *e)
{
	struct each_computer w = {t, fn, arg, e};
	return db_each(t, DB_COMPUTER, SL(""), each_computer_row, &w, e);
}

/* ================= the face it shows ================= */

#define BIOS_TEXT ((size_t)6 * LIMIT_STRING)

/* What a registration says of the machine, as one text; empty if it says nothing.  *b is the caller's to free. */
static struct slice bios_of(struct buf *b, struct slice packed)
{
	struct ComputerInfo i;
	char date[DATE_TEXT + 1] = "";
	buf_init(b, BIOS_TEXT);
	if (packed.n == 0 || computer_info_unpack(packed, &i) != E_OK)
		return SL("");
	if (WIRE_HAS(&i, ComputerInfo, BiosReleaseDate))
		date_text(i.BiosReleaseDate, date);
	const struct slice part[] = {i.ComputerManufacturer, i.ComputerModel, i.BiosName, i.BiosVersion, slice_of(date)};
	for (unsigned k = 0; k < COUNTOF(part); k++) {
		struct slice word = text_trim(part[k].p ? part[k] : SL(""));
		buf_str(b, b->n && word.n ? ", " : "");
		buf_slice(b, word);
	}
	return buf_bytes(b);
}

static int note_face(struct txn *t, const struct computer *c, tick_t at, struct err *e)
{
	struct buf b;
	struct slice bios = bios_of(&b, c->info);
	int rc = face_note(t, c->id, c->dns_name, bios, c->address, at, e);
	buf_free(&b);
	return rc;
}

/* Before a row changes: what it was is noted where none is yet, so that the first change of a computer is seen. */
static int note_first_face(struct txn *t, const struct computer *was, struct err *e)
{
	struct slice row;
	return was->first_seen && db_get(t, DB_FACE, was->id, &row) == E_NOTFOUND ? note_face(t, was, was->last_seen, e) : E_OK;
}

/* What is borrowed ends with the first write. */
static int keep_row(struct txn *t, struct computer *c, struct err *e)
{
	struct slice *v[] = {&c->dns_name, &c->requested_groups, &c->address, &c->info};
	for (unsigned i = 0; i < COUNTOF(v); i++) {
		*v[i] = arena_copy(txn_arena(t), *v[i]);
		if (!v[i]->p)
			return err_set(e, E_NOMEM, "out of memory");
	}
	return E_OK;
}

/* ================= contact ================= */

static int find_row(struct txn *t, struct slice id, struct computer_key *k, struct computer *out, struct err *e)
{
	if (!computer_key(k, id))
		return err_set(e, E_LIMIT, "a computer's id has 1 to %d bytes", LIMIT_CLIENT_ID);
	int rc = row_get(t, k, out);
	if (rc == E_OK || rc == E_NOTFOUND)
		return E_OK;
	return err_set(e, (enum errcode)rc, "the record of computer %.*s cannot be read", SLF(k->s));
}

static bool same_contact(const struct computer *old, const struct computer *c)
{
	return slice_eq(old->dns_name, c->dns_name) && slice_eq(old->requested_groups, c->requested_groups) &&
	       slice_eq(old->address, c->address);
}

bool computer_contact_differs(struct txn *t, const struct computer *c)
{
	struct computer_key k;
	struct computer old;
	if (computer_is_health(c->id))
		return false;
	return !computer_key(&k, c->id) || row_get(t, &k, &old) != E_OK || !same_contact(&old, c);
}

int computer_contact(struct txn *t, const struct computer *c, struct err *e)
{
	struct computer_key k;
	struct computer v;
	int rc = find_row(t, c->id, &k, &v, e);
	if (rc != E_OK || (v.first_seen != 0 && same_contact(&v, c)))
		return rc;
	rc = keep_row(t, &v, e);
	if (rc == E_OK)
		rc = note_first_face(t, &v, e);
	if (rc != E_OK)
		return rc;
	v.dns_name = c->dns_name;
	v.requested_groups = c->requested_groups;
	v.address = c->address;
	v.last_seen = MAX(v.last_seen, c->last_seen);
	v.first_seen = v.first_seen ? v.first_seen : MAX(c->last_seen, 1);
	if (c->major != 0) {
		v.major = c->major;
		v.minor = c->minor;
	}
	rc = computer_put(t, k.s, &v, e);
	if (rc == E_OK)
		rc = standing_follow(t, k.s, e);
	if (rc != E_OK)
		return rc;
	rc = face_note(t, k.s, c->dns_name, SL(""), c->address, c->last_seen, e);
	return rc == E_OK ? rc : txn_fail(t, rc, e);
}

static int seen_put(struct txn *t, const struct seen *s, struct err *e)
{
	struct computer_key k;
	struct slice row;
	struct seen old;
	if (!computer_key(&k, s->id) || db_get(t, DB_COMPUTER, k.s, &row) != E_OK)
		return E_OK;
	struct seen v = *s;
	if (seen_get(t, k.s, &old) == E_OK) {
		v.at = MAX(v.at, old.at);
		v.major = s->major ? s->major : old.major;
		v.minor = s->major ? s->minor : old.minor;
		if (v.at == old.at && v.major == old.major && v.minor == old.minor)
			return E_OK;
	}
	char b[17] = {1};
	put_be64(b + 1, (uint64_t)v.at);
	put_be32(b + 9, v.major);
	put_be32(b + 13, v.minor);
	return db_put(t, DB_SEEN, k.s, (struct slice){b, sizeof(b)}, e);
}

int computers_seen(struct txn *t, const struct seen *v, size_t n, struct err *e)
{
	int rc = E_OK;
	for (size_t i = 0; rc == E_OK && i < n; i++)
		rc = seen_put(t, &v[i], e);
	return rc;
}

int computer_delete(struct txn *t, struct slice id, struct err *e)
{
	struct computer_key k;
	struct slice v;
	if (!computer_key(&k, id) || db_get(t, DB_COMPUTER, k.s, &v) != E_OK)
		return err_set(e, E_NOTFOUND, "no computer has the id %.*s", SLF(id));
	int rc = standing_forget(t, k.s, e);
	if (rc == E_OK)
		rc = db_del(t, DB_COMPUTER, k.s, e);
	if (rc == E_OK)
		rc = db_del(t, DB_SEEN, k.s, e);
	if (rc == E_OK)
		rc = scanned_forget(t, k.s, e);
	return rc == E_OK ? rc : txn_fail(t, rc, e);
}

/* ================= registration ================= */

bool computer_registration_differs(struct txn *t, struct slice id, struct slice info)
{
	struct computer_key k;
	struct computer v;
	if (computer_is_health(id))
		return false;
	return !computer_key(&k, id) || row_get(t, &k, &v) != E_OK || !v.registered || !slice_eq(v.info, info);
}

int computer_register(struct txn *t, struct slice id, struct slice info, struct err *e)
{
	struct computer_key k;
	struct computer v;
	int rc = find_row(t, id, &k, &v, e);
	if (rc != E_OK || (v.registered && slice_eq(v.info, info)))
		return rc;
	rc = keep_row(t, &v, e);
	if (rc == E_OK)
		rc = note_first_face(t, &v, e);
	if (rc != E_OK)
		return txn_fail(t, rc, e);
	v.registered = true;
	v.info = info;
	v.first_seen = v.first_seen ? v.first_seen : time_now();
	v.last_seen = MAX(v.last_seen, v.first_seen);
	rc = computer_put(t, k.s, &v, e);
	if (rc == E_OK)
		rc = standing_registered(t, k.s, info, time_now(), e);
	if (rc == E_OK)
		rc = note_face(t, &v, time_now(), e);
	return rc == E_OK ? rc : txn_fail(t, rc, e);
}
