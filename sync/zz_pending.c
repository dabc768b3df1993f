/* zz_pending.c -- until its owners have landed: every function here is weak, and goes with the commit that brings the real one. */
#include "sync/cab.h"
#include "sync/sync.h"
#define WEAK __attribute__((weak))
#define NOT_YET return err_set(e, E_REFUSED, "%s: not there yet", __func__)
const char *const call_names[CALL__N] WEAK = {"?"};
WEAK int http_open(struct http **out, const struct settings *set, struct err *e) { (void)out; (void)set; NOT_YET; }
WEAK void http_close(struct http **h) { (void)h; }
WEAK int http_start(struct http *h, struct http_job *j, struct err *e) { (void)h; (void)j; NOT_YET; }
WEAK int http_wait(struct http *h, int ms, struct http_job **out, struct err *e) { (void)h; (void)ms; (void)out; NOT_YET; }
WEAK void http_cancel(void) {}
WEAK bool http_cancelled(void) { return false; }
WEAK int http_sleep(unsigned ms) { (void)ms; return E_OK; }
WEAK int http_do(struct http *h, struct http_job *j, struct err *e) { (void)h; (void)j; NOT_YET; }
WEAK uint64_t http_received(const struct http *h) { (void)h; return 0; }
WEAK void http_set_rate(struct http *h, uint64_t r) { (void)h; (void)r; }
WEAK void http_look_at_last(const struct http *h, struct http_look *out) { (void)h; (void)out; }
WEAK int caller_open(struct caller **out, struct http *h, const struct settings *set, const char *dir, struct err *e) { (void)out; (void)h; (void)set; (void)dir; NOT_YET; }
WEAK void caller_close(struct caller **c) { (void)c; }
WEAK int caller_set_service(struct caller *c, struct slice u, struct err *e) { (void)c; (void)u; NOT_YET; }
WEAK int call(struct caller *c, enum call_op op, const void *request, void *response, struct arena *a, struct err *e) { (void)c; (void)op; (void)request; (void)response; (void)a; NOT_YET; }
WEAK int call_update_start(struct caller *c, struct update_call *u, struct err *e) { (void)c; (void)u; NOT_YET; }
WEAK int call_update_wait(struct caller *c, struct update_call **out, struct err *e) { (void)c; (void)out; NOT_YET; }
WEAK void call_update_done(struct caller *c, struct update_call *u) { (void)c; (void)u; }
WEAK int phase_authorize(struct run *r, struct err *e) { (void)r; NOT_YET; }
WEAK int phase_configure(struct run *r, struct err *e) { (void)r; NOT_YET; }
WEAK int phase_categories(struct run *r, struct err *e) { (void)r; NOT_YET; }
WEAK int phase_updates(struct run *r, struct err *e) { (void)r; NOT_YET; }
WEAK int updates_filter(struct run *r, struct ServerSyncFilter *out, struct arena *a, struct err *e) { (void)r; (void)out; (void)a; NOT_YET; }
WEAK int documents_fetch(struct run *r, const struct UpdateIdentity *ids, size_t n, bool optional, struct err *e) { (void)r; (void)ids; (void)n; (void)optional; NOT_YET; }
WEAK int job_content(const struct job_options *o) { (void)o; return EXIT_FAILED; }
WEAK int job_check(const struct job_options *o) { (void)o; return EXIT_FAILED; }
WEAK int job_count(const struct job_options *o) { (void)o; return EXIT_FAILED; }
