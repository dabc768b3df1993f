/* stranger.c -- anybody may make up ids: how many computers may be new in an hour.
 *
 * A row in fmeta, which a program that does not know it leaves alone: no format of its own.
 *  newcomers      -> v1 | hour since 1970 be32, how many be32 */
#include "common/buf.h"
#include "store/db.h"
#include "store/stranger.h"

#define HOUR (3600 * TICKS_PER_SECOND)

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
