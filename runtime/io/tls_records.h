/* Data through TLS, in records: the `receive` and `transmit` of its transport. Never waits. */
#ifndef ML_IO_TLS_RECORDS_H
#define ML_IO_TLS_RECORDS_H

#include "io/tls_state.h"

/* As `receive` and `transmit` of struct ml_transport. */
ssize_t ml_tls_receive(struct ml_stream *s, char *memory, size_t room);
ssize_t ml_tls_transmit(struct ml_stream *s, const struct iovec *pieces, int count);

/* Keeps a client's session for the next connection, once; to be called when data have come, since a
 * server's tickets come with the first data. */
void ml_tls_keep_session(struct ml_tls *tls);

#endif
