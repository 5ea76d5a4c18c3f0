/*
 * The transport of streams over a non-blocking socket. Knows nothing of how it was connected (io/tcp.h,
 * io/unix.h).
 */
#ifndef ML_IO_SOCKET_H
#define ML_IO_SOCKET_H

#include "io/stream.h"

extern const struct ml_transport ml_socket_transport;

/* Opens a closed stream on a connected socket, which becomes its own. */
void ml_socket_open(struct ml_stream *s, int fd);

/* socket() with SOCK_NONBLOCK and SOCK_CLOEXEC: the descriptor, or a negated errno. */
int ml_socket_new(int family, int type);

/* Sets a boolean option; what the kernel does not know is left. */
void ml_socket_set_flag(int fd, int level, int name, bool on);

#endif
