/* report_apply.h -- inside store/ only: a batch on its way from events that were kept to the state of a computer. */
#ifndef STORE_REPORT_APPLY_H
#define STORE_REPORT_APPLY_H

#include "common/event.h"
#include "store/update_status.h"

/* A GUID of a list. */
struct mention {
	uint32_t update_no;
	uint8_t status;
};

/* An event that has not been there before, and may have an effect. */
struct batch_event {
	const struct report_event *event;
	const struct event_info *info;
	tick_t at;          /* in the server's time */
	size_t position;
	uint32_t update_no; /* 0: none that the catalog knows */
	bool lists;         /* its lists count, and are `mentions` from here on */
	size_t from, n;
};

struct batch {
	struct txn *t;
	struct slice key;  /* of the computer */
	struct batch_event *event; /* in the order in which they are applied */
	size_t nevents;
	struct mention *mention;
	size_t nmentions, cap;
	struct standing was, is;
	/* of all updates that the record has or the batch names, ascending; active are those that are NEEDED or more */
	struct status_item *item;
	size_t nitems;
	uint32_t *active, *next;
	size_t nactive;
	bool changed;      /* an item is not what it was */
	uint32_t unknown_updates;
	struct err *e;
};

/* Looks up what the events name, and reads the record if they may change it. */
int batch_resolve(struct batch *b) MUST_CHECK;
/* Applies the events to items and standing, in order; notes installations. */
int batch_apply(struct batch *b) MUST_CHECK;

#endif
