/* cab.h -- the document inside XmlUpdateBlobCompressed: a cabinet with one member, LZX, MSZIP or stored, by libmspack.
 *
 * The cabinet lies in a spool, so does what comes out: UTF-8, made of the member's UTF-16LE (facts 6).  Nothing is written
 * to a named file; more than max bytes is E_LIMIT; a cabinet of several members, folders or parts is E_FORM. */
#ifndef SYNC_CAB_H
#define SYNC_CAB_H

#include "sync/spool.h"

int cab_unpack(struct spool *cabinet, struct spool *to, uint64_t max, struct err *e) MUST_CHECK;

#endif
