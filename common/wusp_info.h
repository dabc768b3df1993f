/* wusp_info.h -- what a computer told RegisterComputer, as the bytes that the store keeps.
 *
 * Version byte, then a row per field that was present: field number, and the value (text: be16 length and
 * bytes; everything else: be64).  Field numbers are positions in MS-WUSP's ComputerInfo, which only grows at
 * its end.  Equal infos give equal bytes, so that a registration that changes nothing is seen as such. */
#ifndef COMMON_WUSP_INFO_H
#define COMMON_WUSP_INFO_H

#include "common/buf.h"
#include "common/wusp.h"

void computer_info_pack(struct buf *b, const struct ComputerInfo *in);
/* Texts of *out point into s.  E_VERSION for a newer version byte, E_CORRUPT for anything cut or unknown. */
int computer_info_unpack(struct slice s, struct ComputerInfo *out) MUST_CHECK;

#endif
