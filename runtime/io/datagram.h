/*
 * Datagrams, over UDP and in the Unix domain: one message per call, with the address it came from
 * or goes to. One receiver at a time; senders wait for room in turn.
 *
 * Cost: a receive that finds a datagram is one recvfrom() into a block that is shared with the
 * streams, a send one sendto(); neither allocates. Where datagrams come one at a time, as in a
 * ping-pong, a receive waits before it tries.
 */
#ifndef ML_IO_DATAGRAM_H
#define ML_IO_DATAGRAM_H

#include "hub/on/fd.h"
#include "io/io.h"
#include "io/local.h"

struct ml_datagram {
    struct ml_fd fd;
    struct ml_io *io;
    struct ml_link
        senders; /* tasks that wait for room behind the one that waits for the descriptor */
    struct ml_local_path path; /* to be removed at the end */
    char *block;               /* borrowed: holds the datagram received last, until it is dropped */
    size_t max;                /* bytes taken of a datagram, at most ML_IO_READ_SIZE */
    sa_family_t family;
    bool is_receiving;                       /* a task is in ml_datagram_receive() */
    bool is_sparse;                          /* at the last check, datagrams came one at a time */
    uint32_t streak;                         /* datagrams received since the last wait */
    uint32_t unlooked;                       /* datagrams since that check */
    void (*on_close)(struct ml_datagram *d); /* NULL: nothing. Before the descriptor goes */
};

/* A datagram received. `data` is valid until ml_datagram_drop() and the next call that may wait. */
struct ml_message {
    const char *data;
    size_t size;
    bool is_truncated;      /* it was longer than the socket's `max`: the rest is lost */
    struct ml_address from; /* size 0: the sender has no name */
};

/* Options: integers, or truth values. */
enum ml_datagram_option {
    ML_DATAGRAM_BROADCAST, /* sending to a broadcast address is allowed */
    ML_DATAGRAM_REUSE,     /* SO_REUSEADDR, before it is bound */
    ML_DATAGRAM_REUSEPORT, /* SO_REUSEPORT, before it is bound */
    ML_DATAGRAM_TTL,
    ML_DATAGRAM_MULTICAST_TTL,
    ML_DATAGRAM_MULTICAST_LOOP, /* own multicasts are received on this machine, too */
    ML_DATAGRAM_RECEIVE_BUFFER, /* bytes */
    ML_DATAGRAM_SEND_BUFFER,
};

/* A network interface, as scripts name it. */
struct ml_interface {
    unsigned index;         /* 0: by its address, or the system's choice */
    struct in_addr address; /* of IPv4 */
};

/* A closed one. */
void ml_datagram_init(struct ml_datagram *d, struct ml_io *io);

/* Opens a closed one with a socket of AF_INET, AF_INET6 or AF_UNIX, not bound. 0 or a negated
 * errno. */
int ml_datagram_open(struct ml_datagram *d, int family);

/* Opens a closed one on a datagram socket from elsewhere, which becomes its own. */
void ml_datagram_adopt(struct ml_datagram *d, int fd);

static inline bool ml_datagram_is_open(const struct ml_datagram *d)
{
    return ml_fd_is_open(&d->fd);
}

/* These never wait: 0, -ML_ECLOSED or the kernel's error. */

/* See ml_local_bind() for paths. An address of the Unix domain without a path: the kernel chooses a
 * name. */
int ml_datagram_bind(struct ml_datagram *d, const struct ml_address *address);

/* From now on sends go there by default, and only datagrams from there are received. */
int ml_datagram_connect(struct ml_datagram *d, const struct ml_address *address);

/* -EOPNOTSUPP: sockets of this family do not have the option. */
int ml_datagram_set(struct ml_datagram *d, enum ml_datagram_option option, int value);

/* Sets the interface by which multicasts leave. */
int ml_datagram_set_interface(struct ml_datagram *d, const struct ml_interface *interface);

/* Joins (or, with `join` false, leaves) a multicast group. -EINVAL: not an address of this family.
 */
int ml_datagram_membership(struct ml_datagram *d, const struct ml_address *group,
                           const struct ml_interface *interface, bool join);

/* Finds an interface by name ("eth0"), number ("2") or IPv4 address. 0 or -ENODEV. */
int ml_interface_find(struct ml_interface *interface, const char *text);

/*
 * Sends one datagram, to `to` or, if that is NULL, to the address it is connected to. Waits while
 * there is no room for it. 0; -EMSGSIZE: it is too long; -ML_ECLOSED, -ETIMEDOUT, -ECANCELED, and
 * errors of sendto(), such as -ECONNREFUSED for an earlier one.
 */
int ml_datagram_send(struct ml_datagram *d, const char *data, size_t size,
                     const struct ml_address *to, ml_time deadline);

/*
 * Waits for the next datagram. If they come faster than the task takes them, others run in between.
 *
 * - 0, and the caller must call ml_datagram_drop();
 * - -EBUSY: another task is receiving;
 * - -ML_ECLOSED, -ETIMEDOUT, -ECANCELED, -ENOMEM, and errors of recvfrom().
 */
int ml_datagram_receive(struct ml_datagram *d, struct ml_message *message, ml_time deadline);

/* Gives up the datagram received last. Harmless without one. */
void ml_datagram_drop(struct ml_datagram *d);

/* Closes; all tasks that wait in it get -ML_ECLOSED. Idempotent; never waits. */
void ml_datagram_close(struct ml_datagram *d);

#endif
