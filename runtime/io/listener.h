/* Listens for connections and accepts them, over TCP and in the Unix domain. */
#ifndef ML_IO_LISTENER_H
#define ML_IO_LISTENER_H

#include "io/local.h"
#include "io/socket.h"

/* The pause between two tries of accept while the process has no descriptor left. */
#define ML_LISTENER_PAUSE (50 * ML_MILLISECOND)

struct ml_listener {
    struct ml_fd fd;
    struct ml_io *io;
    struct ml_socket_options options; /* for the streams it accepts, too */
    struct ml_local_path path;        /* to be removed at the end */
    sa_family_t family;
    bool is_shared; /* with other processes: after each connection the next one is waited for, so
                       that a busy process leaves connections to others */
    bool is_spread; /* over processes by io->balance */
    bool has_taken; /* a connection, since it was last waited for */
    void (*on_close)(struct ml_listener *listener); /* NULL: nothing. Before the descriptor goes */
};

/* A closed one. */
void ml_listener_init(struct ml_listener *listener, struct ml_io *io);

/* Binds and listens; for paths see ml_local_bind(). 0 or a negated errno. Never waits. */
int ml_listener_open(struct ml_listener *listener, const struct ml_address *address,
                     const struct ml_socket_options *options);

/* Takes over a socket that listens already. 0; -EINVAL: it is no listening stream socket;
 * -ENOTSOCK, -EBADF: it is no socket. Never waits. */
int ml_listener_adopt(struct ml_listener *listener, int fd,
                      const struct ml_socket_options *options);

/*
 * Waits for a connection and opens the closed stream `s` on it. While the process is out of
 * descriptors it tries again every 50 ms. Connections that ended in the backlog are skipped. Under
 * a flood others run in between (hub/wait/slice.h). 0; -ML_ECLOSED; -EBUSY: another task accepts;
 * -ETIMEDOUT, -ECANCELED.
 */
int ml_listener_accept(struct ml_listener *listener, struct ml_stream *s, ml_time deadline);

/* The same without waiting. -EAGAIN: there is no connection, ml_fd_watch() the listener; -ENOBUFS:
 * the process is out of descriptors or the like, try again after ML_LISTENER_PAUSE. */
int ml_listener_try(struct ml_listener *listener, struct ml_stream *s);

/* Closes; the task in accept gets -ML_ECLOSED. Idempotent. */
void ml_listener_close(struct ml_listener *listener);

#endif
