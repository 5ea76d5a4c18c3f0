/*
 * Connecting a stream to one of several addresses, after RFC 8305 ("Happy Eyeballs"): attempts
 * begin one after the other and run at the same time, the first that succeeds wins. Host names are
 * io/dns.h's business.
 */
#ifndef ML_IO_DIAL_H
#define ML_IO_DIAL_H

#include "io/dns.h"
#include "io/socket.h"

/*
 * Connects a closed stream. The addresses are tried in their order, the families by turns; the next
 * one when the last attempt has failed or is 250 ms old. A socket that turns out to be its own peer
 * counts as refused; a server in the Unix domain whose backlog is full is waited for. 0;
 * -ETIMEDOUT, -ECANCELED, -ENOMEM; or, when all have failed, what socket() or connect() said of the
 * first, or of the first that says more than that there is no way to it. On failure the stream is
 * closed again. The addresses are taken over, or left to the caller: release them in any case.
 * rest: from where more addresses of the same port may come (ml_resolve_some()), closed here; NULL:
 * from nowhere. Waits only if no connect() succeeds at once.
 */
int ml_dial(struct ml_stream *s, struct ml_addresses *addresses, struct ml_lookup *rest,
            const struct ml_socket_options *options, ml_time deadline);

#endif
