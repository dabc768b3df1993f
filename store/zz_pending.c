/* zz_pending.c -- until its owners have landed: every function here is weak, and goes with the commit that brings the real one. */
#include "store/import.h"
#include "store/publish.h"
#include "store/replica.h"
#include "store/schedule.h"
#define WEAK __attribute__((weak))
#define NOT_YET return err_set(e, E_REFUSED, "%s: not there yet", __func__)
WEAK int policy_is_local(struct txn *t, const char *to_do, struct err *e) { (void)t; (void)to_do; (void)e; return E_OK; }
WEAK int replica_apply(struct txn *t, const struct ServerSyncDeploymentResult *p, bool full, tick_t now, struct replica_report *out, struct err *e) { (void)t; (void)p; (void)full; (void)now; (void)out; NOT_YET; }
WEAK int replica_lacks(struct txn *t, const struct ServerSyncDeploymentResult *p, struct arena *a, struct UpdateIdentity **out, size_t *n, struct err *e) { (void)t; (void)p; (void)a; (void)out; (void)n; NOT_YET; }
WEAK tick_t schedule_next(const struct schedule *s, tick_t last, uint32_t spread) { (void)s; (void)last; (void)spread; return 0; }
