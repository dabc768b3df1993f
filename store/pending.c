/* pending.c -- notes for the next publish: what the verbs of store/ changed that clients can see. */
#include "store/db.h"
#include "store/publish.h"

static int note(struct txn *t, enum pending kind, uint32_t group, int32_t revision, struct err *e)
{
	struct key k = key_pending((uint8_t)kind, group, revision);
	return db_put(t, DB_PENDING, key_bytes(&k), SL(""), e);
}

int publish_touch(struct txn *t, uint32_t group, int32_t revision, struct err *e)
{
	return note(t, PENDING_TOUCH, group, revision, e);
}

int publish_dirty(struct txn *t, struct err *e)
{
	return note(t, PENDING_DIRTY, 0, 0, e);
}

int publish_touch_all(struct txn *t, struct err *e)
{
	return note(t, PENDING_TOUCH_ALL, 0, 0, e);
}

int publish_fact(struct txn *t, int32_t revision, struct err *e)
{
	return note(t, PENDING_FACT, 0, revision, e);
}

int publish_file(struct txn *t, int32_t revision, struct err *e)
{
	return note(t, PENDING_FILE, 0, revision, e);
}
