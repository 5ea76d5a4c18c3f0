/*
 * Connects a stream to one of several addresses, after RFC 8305 ("Happy Eyeballs"): attempts begin
 * one after the other and run at the same time, and the first that succeeds wins. Knows no host
 * names (io/dns.h).
 */
#ifndef ML_IO_DIAL_H
#define ML_IO_DIAL_H

#include "io/dns.h"
#include "io/socket.h"

/*
 * Connects a closed stream. The addresses are tried in their order, the families by turns; the next
 * one when the last attempt has failed or is 250 ms old. A socket that turns out to be its own peer
 * counts as refused; a server in the Unix domain whose backlog is full is tried again. Waits only
 * if no connect() succeeds at once. The addresses are taken over, or left to the caller: release
 * them in any case. rest: more addresses of the same port may come from there (ml_resolve_some());
 * closed here; NULL: no more.
 *
 * - 0;
 * - -ETIMEDOUT, -ECANCELED, -ENOMEM: the stream is closed again;
 * - all have failed: the error of socket() or connect() for the first, or for the first that says
 *   more than that there is no route. The stream is closed again.
 */
int ml_dial(struct ml_stream *s, struct ml_addresses *addresses, struct ml_lookup *rest,
            const struct ml_socket_options *options, ml_time deadline);

#endif
