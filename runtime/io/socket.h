/*
 * The transport of streams over a non-blocking socket. Knows nothing of how it was connected
 * (io/dial.h, io/listener.h).
 */
#ifndef ML_IO_SOCKET_H
#define ML_IO_SOCKET_H

#include "io/address.h"
#include "io/stream.h"

struct ml_socket_options {
    bool delay;             /* leave Nagle's algorithm on */
    bool keepalive;         /* SO_KEEPALIVE */
    bool reuseport;         /* of a listener */
    int backlog;            /* of a listener; 0: as many as the system allows */
    struct ml_address bind; /* local address of a connection; size 0: the system's choice */
};

extern const struct ml_transport ml_socket_transport;

/* Opens a closed stream on a connected socket, which becomes its own. */
void ml_socket_open(struct ml_stream *s, int fd);

/* The result for a system call on the stream's socket that failed with `error`, an errno. An error
 * that breaks the connection is noted: the kernel reports it once, to whichever direction asks
 * first. */
int ml_socket_fail(struct ml_stream *s, int error);

/* The error that has broken the connection and was not reported yet, which is noted: 0 or a negated
 * errno. */
int ml_socket_take_error(struct ml_stream *s);

/* The peer's address. That of a stream from a listener is known from the start, and stays when the
 * peer has left or the stream is closed. 0 or a negated errno; -ENOTCONN: there is none. */
int ml_socket_peer(const struct ml_stream *s, struct ml_address *address);

/* Whether input has come that was not read: close() would reset the connection. */
bool ml_socket_has_unread(int fd);

/* Makes close() reset the connection. */
void ml_socket_reset_on_close(int fd);

/* socket() with SOCK_NONBLOCK and SOCK_CLOEXEC: the descriptor, or a negated errno. */
int ml_socket_new(int family, int type);

/* Sets the options that concern a stream over TCP; does nothing on other sockets. */
void ml_socket_set_options(int fd, sa_family_t family, const struct ml_socket_options *options);

/* Probes for a peer that has been silent. */
struct ml_keepalive {
    bool is_on;
    int idle;     /* seconds of silence before the first probe; 0: left as it is, as the next two */
    int interval; /* seconds between probes */
    int count;    /* probes without an answer before the connection counts as dead */
};

/* For a socket over TCP: 0 or a negated errno. */
int ml_socket_set_nodelay(int fd, bool on);
int ml_socket_set_keepalive(int fd, const struct ml_keepalive *keepalive);

/* An integer option of the level SOL_SOCKET; `otherwise` if it cannot be read. */
int ml_socket_option(int fd, int name, int otherwise);

/* Sets a boolean option; one that the kernel does not know is ignored. */
void ml_socket_set_flag(int fd, int level, int name, bool on);

#endif
