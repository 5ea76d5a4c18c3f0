/*
 * The transport of streams in the Unix domain: a socket (io/socket.h) over which open descriptors
 * can be passed to another process, and that knows who is at its other end.
 *
 * A descriptor travels with a byte of the stream. It is kept while the input up to that byte, and
 * what was sent in one piece with it, is read; a read that needs more than that closes it, unasked
 * for. At most ML_DESCRIPTORS_MAX at a time are kept, the kernel closes the others.
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

/* Who connected, or listened, at the other end. 0 or a negated errno. Never waits. */
int ml_local_socket_credentials(const struct ml_stream *s, struct ucred *credentials);

/*
 * Passes a descriptor along with the first of `size` bytes; without any (data NULL) with a mark
 * that ml_local_socket_await_descriptor() takes out of the input again. *sent: bytes the kernel
 * took. Waits and fails as ml_stream_write(); -EBADF.
 */
int ml_local_socket_send_descriptor(struct ml_stream *s, int fd, const char *data, size_t size,
                                    size_t *sent);

/*
 * Waits until a descriptor has come; what came before it and with it is input as usual, and stays.
 * 0: the next ml_local_socket_take_descriptor() gives it to the caller; 1: the stream has ended;
 * -EMSGSIZE: 64 KiB of input are there, and no descriptor; errors of reads.
 */
int ml_local_socket_await_descriptor(struct ml_stream *s, ml_time deadline);

/* The one that has come; still the stream's. */
int ml_local_socket_descriptor(const struct ml_stream *s);

/* Hands it over to the caller; -ML_ECLOSED: the stream was closed meanwhile. */
int ml_local_socket_take_descriptor(struct ml_stream *s);

#endif
