/* channel.h -- one request in, one answer out, over FastCGI or plain CGI.
 *
 * serve.c alone uses it.  Slices of parameters are valid until channel_finish().  Every wait for the peer is
 * bounded: 3 s until its parameters are here, 15 s between two pieces of a body, 60 s for it to take more of
 * the answer; then the request is dropped and the worker is free again. */
#ifndef COMMON_CHANNEL_H
#define COMMON_CHANNEL_H

#include "common/base.h"
#include "common/err.h"

struct answer;
struct channel;

/* For FastCGI: requests come from channel_accept().  E_NOMEM, E_IO. */
int channel_open(struct channel **out, struct err *e) MUST_CHECK;
/* For CGI: the one request is that of the environment and stdin. */
int channel_open_cgi(struct channel **out, struct err *e) MUST_CHECK;
void channel_close(struct channel **c);

/* Takes the next connection of a non-blocking listening socket and reads its parameters; false if there is
 * none, or if it does not speak FastCGI in time. */
bool channel_accept(struct channel *c, int listen_fd) MUST_CHECK;
/* Absent if the peer did not send it. */
struct slice channel_param(const struct channel *c, const char *name);
/* Up to n bytes of the body; fewer only at its end or when the peer went away. */
size_t channel_read(struct channel *c, char *to, size_t n);
/* The whole answer with its head; false if the peer did not take all of it. */
bool channel_send(struct channel *c, const struct answer *a) MUST_CHECK;
void channel_finish(struct channel *c);

#endif
