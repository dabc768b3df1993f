/* stranger.h -- inside store/ only: what computer.c does about ids that anybody may make up. */
#ifndef STORE_STRANGER_H
#define STORE_STRANGER_H

#include "store/store.h"

/* Counts a computer that is new now; E_SERVER_BUSY once the hour has as many as client.new-per-hour lets in. */
int newcomer_count(struct txn *t, tick_t now, struct err *e) MUST_CHECK;

#endif
