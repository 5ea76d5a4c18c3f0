/* TCP: connecting a stream, listening, accepting. Host names are io/dns.h's business. */
#ifndef ML_IO_TCP_H
#define ML_IO_TCP_H

#include "io/address.h"
#include "io/stream.h"

struct ml_tcp_options {
    bool delay;             /* leave Nagle's algorithm on */
    bool keepalive;         /* SO_KEEPALIVE */
    bool reuseport;         /* of a listener */
    int backlog;            /* of a listener; 0: as many as the system allows */
    struct ml_address bind; /* local address of a connection; size 0: the system's choice */
};

/* Connects a closed stream. 0; -ETIMEDOUT, -ECANCELED; what socket() and connect() say. On failure
 * the stream is closed again. */
int ml_tcp_connect(struct ml_stream *s, const struct ml_address *address,
                   const struct ml_tcp_options *options, ml_time deadline);

struct ml_listener {
    struct ml_fd fd;
    struct ml_io *io;
    struct ml_tcp_options options; /* for the streams it accepts, too */
};

/* A closed one. */
void ml_listener_init(struct ml_listener *listener, struct ml_io *io);

/* Binds and listens. 0 or a negated errno. Never waits. */
int ml_listener_open(struct ml_listener *listener, const struct ml_address *address,
                     const struct ml_tcp_options *options);

/*
 * Waits for a connection and opens the closed stream `s` on it. While the process is out of
 * descriptors it tries again every 50 ms, without spinning; connections that ended in the backlog
 * are passed over. 0; -ML_ECLOSED, -EBUSY: another task accepts; -ETIMEDOUT, -ECANCELED.
 */
int ml_listener_accept(struct ml_listener *listener, struct ml_stream *s, ml_time deadline);

/* Idempotent; the task in accept gets -ML_ECLOSED. */
void ml_listener_close(struct ml_listener *listener);

#endif
