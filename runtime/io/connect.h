/* Connecting a stream to an address. Host names are io/dns.h's business. */
#ifndef ML_IO_CONNECT_H
#define ML_IO_CONNECT_H

#include "io/socket.h"

/* Connects a closed stream. 0; -ETIMEDOUT, -ECANCELED; what socket() and connect() say. On failure
 * the stream is closed again. */
int ml_connect(struct ml_stream *s, const struct ml_address *address,
               const struct ml_socket_options *options, ml_time deadline);

#endif
