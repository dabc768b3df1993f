/* os_tuple.h -- the operating system of a computer as MS-WSUSSS counts it (3.1.1, Client Computer Activity Summary Table; 3.1.4.14.3.5):
 * ten OS fields of ComputerInfo and ProcessorArchitecture, packed so that equal ones give equal bytes. */
#ifndef COMMON_OS_TUPLE_H
#define COMMON_OS_TUPLE_H

#include "common/buf.h"
#include "common/wusp.h"

struct os_fields { /* DownstreamServerRollupClientSummary's, of ComputerInfo */
	int32_t major, minor, build, sp_major, sp_minor;
	struct slice locale, architecture;
	int32_t suite, old_product_type, new_product_type, system_metrics;
};
/* Of a registration; what it did not say is 0 or empty. */
struct os_fields os_of_info(const struct ComputerInfo *i);
/* At most OS_TUPLE bytes; texts that are longer than LIMIT_STRING are cut. */
#define OS_TUPLE ((size_t)1 + 9 * 4 + 2 * (2 + LIMIT_STRING))
void os_tuple_pack(struct buf *b, const struct os_fields *in);
/* Texts of *out point into s.  E_CORRUPT: none of ours. */
int os_tuple_unpack(struct slice s, struct os_fields *out) MUST_CHECK;

#endif
