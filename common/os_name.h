/* os_name.h -- what to call a computer's operating system, from the numbers it registered with.
 *
 * MS-WUSP 2.2.2.2.3 and its product note 13; REGISTER-14. */
#ifndef COMMON_OS_NAME_H
#define COMMON_OS_NAME_H

#include "common/wusp.h"

/* A constant, or the computer's own OSDescription; empty if neither says anything. */
struct slice os_name(const struct ComputerInfo *i);

#endif
