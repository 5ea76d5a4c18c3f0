/*
 * Sockets of TLS connections that were closed here while the peer may still send messages that are
 * not read: session tickets, its own end. If input arrives at a closed socket, or was unread, the
 * kernel resets the connection, and drops what it has not yet sent. So such a socket lives on until
 * the peer has received all, and its input is dropped. Knows no TLS.
 */
#ifndef ML_IO_LINGER_H
#define ML_IO_LINGER_H

#include "io/io.h"

/* Takes over a socket over TCP to which nothing is written any more. Closes it once the peer has
 * acknowledged all or has ended, or sends much, or some seconds have passed. Never waits. */
void ml_linger(struct ml_io *io, int fd);

/* Whether the descriptor is such a socket's. */
bool ml_linger_has(const struct ml_io *io, int fd);

/* Closes all. Blocks the thread for a second at most, for those whose peers have not received all
 * yet. */
void ml_linger_release(struct ml_io *io);

#endif
