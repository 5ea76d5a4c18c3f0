/*
 * Sockets of TLS connections that were closed here while the peer may still send what nobody reads:
 * session tickets, its own end. Of input that comes to a closed socket, or was unread, the kernel
 * makes a reset, and drops what it has not yet sent. So such a socket lives on until the peer has
 * all, and what comes is dropped. Knows no TLS.
 */
#ifndef ML_IO_LINGER_H
#define ML_IO_LINGER_H

#include "io/io.h"

/* Takes over a socket over TCP on which nothing is written any more. It is closed once the peer has
 * acknowledged all or has ended, or sends much, or some seconds have passed. Never waits. */
void ml_linger(struct ml_io *io, int fd);

/* Whether the descriptor is such a socket's. */
bool ml_linger_has(const struct ml_io *io, int fd);

/* Closes all, after a second at most for those whose peers do not have all yet: this the thread
 * waits for. */
void ml_linger_release(struct ml_io *io);

#endif
