/*
 * The transport of streams in the Unix domain: a socket (io/socket.h) that passes open descriptors
 * to another process, and knows the identity of its peer.
 *
 * A descriptor travels with a byte of the stream. It is kept while the input up to that byte, and
 * the bytes sent in one piece with it, are read. A read that needs more than that closes it. At
 * most ML_DESCRIPTORS_MAX at a time are kept; the kernel closes the others.
 */
#ifndef ML_IO_LOCAL_SOCKET_H
#define ML_IO_LOCAL_SOCKET_H

#include "io/local.h"
#include "io/stream.h"

enum { ML_DESCRIPTORS_MAX = 16 };

/* Opens a closed stream on a connected Unix-domain socket, which becomes its own. 0 or -ENOMEM: it
 * is closed. */
int ml_local_socket_open(struct ml_stream *s, int fd);

/* The same for a socket of any family, with the transport that fits. */
int ml_socket_open_family(struct ml_stream *s, int fd, int family);

/* Whether the stream is one of these. */
bool ml_stream_is_local(const struct ml_stream *s);

/* The path to which its socket was bound: removed when it is closed. */
struct ml_local_path *ml_local_socket_path(struct ml_stream *s);

/* The identity of the process that connected, or listened, at the other end. 0 or a negated errno.
 * Never waits. */
int ml_local_socket_credentials(const struct ml_stream *s, struct ucred *credentials);

/*
 * Passes a descriptor along with the first of `size` bytes; without any (data NULL) with a mark
 * that ml_local_socket_await_descriptor() takes out of the input again. *sent: bytes the kernel
 * took. Waits and fails as ml_stream_write(); -EBADF.
 */
int ml_local_socket_send_descriptor(struct ml_stream *s, int fd, const char *data, size_t size,
                                    size_t *sent);

/*
 * Waits until a descriptor has come. Bytes that came before it and with it stay as usual input.
 *
 * - 0: the next ml_local_socket_take_descriptor() gives it to the caller;
 * - 1: the stream has ended;
 * - -EMSGSIZE: 64 KiB of input are there, and no descriptor;
 * - errors of reads.
 */
int ml_local_socket_await_descriptor(struct ml_stream *s, ml_time deadline);

/* The descriptor that has come; the stream keeps it. */
int ml_local_socket_descriptor(const struct ml_stream *s);

/* Hands the descriptor over to the caller; -ML_ECLOSED: the stream was closed meanwhile. */
int ml_local_socket_take_descriptor(struct ml_stream *s);

#endif
