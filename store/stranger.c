/* stranger.c -- anybody may make up ids and names: how many computers may be new in an hour, and ids that come from elsewhere.
 *
 * Rows in fmeta, which a program that does not know them leaves alone: no format of its own.
 *  newcomers      -> v1 | hour since 1970 be32, how many be32
 *  elsewhere/ID   -> v1 | struct elsewhere */
#include "common/buf.h"
#include "store/db.h"
#include "store/stranger.h"

#define HOUR (3600 * TICKS_PER_SECOND)
#define ELSEWHERE "elsewhere/"
#define ELSEWHERE_RECORD (4 << 10) /* a name of 255 bytes and an address */

/* ================= new ones ================= */

static uint32_t newcomers(struct txn *t, uint32_t hour)
{
	struct slice v;
	if (db_get(t, DB_FMETA, SL("newcomers"), &v) != E_OK)
		return 0;
	struct rec r = rec_of(v, 1);
	uint32_t of = rec_u32(&r), n = rec_u32(&r);
	return rec_end(&r) == E_OK && of == hour ? n : 0; /* a clock that was set back begins anew */
}

static int check_newcomers(struct txn *t, uint32_t n, struct err *e)
{
	struct settings set;
	int rc = settings_get(t, &set, e);
	if (rc != E_OK || n < (uint32_t)set.new_per_hour)
		return rc;
	return err_set(e, E_SERVER_BUSY, "%d computers are new in this hour, as many as client.new-per-hour lets in: raise it if they "
		"are yours; known ones are served", (int)set.new_per_hour);
}

int newcomer_count(struct txn *t, tick_t now, struct err *e)
{
	uint32_t hour = (uint32_t)(now / HOUR), n = newcomers(t, hour);
	int rc = check_newcomers(t, n, e);
	if (rc != E_OK)
		return rc;
	char v[9] = {1};
	put_be32(v + 1, hour);
	put_be32(v + 5, n + 1);
	return db_put(t, DB_FMETA, SL("newcomers"), (struct slice){v, sizeof(v)}, e);
}

int computer_may_begin(struct txn *t, struct slice id, tick_t now, struct err *e)
{
	struct computer_key k;
	struct slice row;
	if (computer_key(&k, id) && db_get(t, DB_COMPUTER, k.s, &row) == E_OK)
		return E_OK;
	return check_newcomers(t, newcomers(t, (uint32_t)(now / HOUR)), e);
}

/* ================= from elsewhere ================= */

struct where_key {
	char b[sizeof(ELSEWHERE) + LIMIT_CLIENT_ID];
	struct slice s;
};

static bool where_key(struct where_key *k, struct slice id)
{
	struct computer_key c;
	if (!computer_key(&c, id))
		return false;
	int n = snprintf(k->b, sizeof(k->b), ELSEWHERE "%.*s", SLF(c.s));
	k->s = (struct slice){k->b, (size_t)n};
	return true;
}

int computer_elsewhere(struct txn *t, struct slice id, struct elsewhere *out)
{
	struct where_key k;
	struct slice v;
	*out = (struct elsewhere){0};
	if (!where_key(&k, id))
		return E_NOTFOUND;
	int rc = db_get(t, DB_FMETA, k.s, &v);
	if (rc != E_OK)
		return rc;
	struct rec r = rec_of(v, 1);
	out->dns_name = rec_str(&r);
	out->address = rec_str(&r);
	out->at = (tick_t)rec_u64(&r);
	out->times = rec_u32(&r);
	out->returns = rec_u32(&r);
	return rec_end(&r);
}

/* A computer that roams has another address, one that is renamed another name; both at once may still be one computer, but
 * not again and again, and not back and forth. */
int elsewhere_note(struct txn *t, const struct computer *was, const struct computer *is, struct err *e)
{
	struct where_key k;
	struct elsewhere v;
	struct buf b;
	if (was->address.n == 0 || is->address.n == 0 || slice_eq(was->address, is->address) || slice_eq(was->dns_name, is->dns_name))
		return E_OK;
	int rc = computer_elsewhere(t, is->id, &v);
	if (rc != E_OK && rc != E_NOTFOUND)
		return err_set(e, (enum errcode)rc, "where else computer %.*s came from cannot be read", SLF(is->id));
	if (!where_key(&k, is->id) || (rc == E_NOTFOUND && !txn_fleet_has_room(t)))
		return E_OK;
	v.returns += slice_eq(v.dns_name, is->dns_name);
	rec_begin(&b, 1, ELSEWHERE_RECORD);
	rec_put_str(&b, was->dns_name);
	rec_put_str(&b, was->address);
	rec_put_u64(&b, (uint64_t)is->last_seen);
	rec_put_u32(&b, v.times + 1);
	rec_put_u32(&b, v.returns);
	return db_put_rec(t, DB_FMETA, k.s, &b, e);
}

int elsewhere_forget(struct txn *t, struct slice id, struct err *e)
{
	struct where_key k;
	return where_key(&k, id) ? db_del(t, DB_FMETA, k.s, e) : E_OK;
}
