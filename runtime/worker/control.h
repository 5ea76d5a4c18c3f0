/*
 * The control channel between the master and one worker: messages over a SOCK_SEQPACKET socket,
 * each with a type, the number of a request, a payload and descriptors. Knows neither what the
 * messages say nor how the owner waits.
 *
 * Both sides are of one program, but not always of one version: a head of another version is an
 * error, and a message of an unknown type is skipped by its receiver. Integers stand in the order
 * of the machine.
 */
#ifndef ML_WORKER_CONTROL_H
#define ML_WORKER_CONTROL_H

#include "base/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The types. "request": of a worker, the master replies to it; "word": of a worker, without a
 * reply; "notice": of the master.
 *
 * - HELLO    notice: struct ml_control_place; the first message, there before the worker begins
 * - READY    word: it serves
 * - BEAT     word, at regular times: struct ml_control_beat
 * - DRAIN    notice: struct ml_control_drain: stop serving and end
 * - LISTEN   request: struct ml_control_listen -> uint64_t number of the shared socket, the name
 *            that the service manager gave it, or nothing, and its descriptor
 * - UNLISTEN word: uint64_t number of a shared socket that the worker has closed
 * - RELOAD   request: nothing -> when the reload has ended; the text of the reason if it failed
 * - STOP     request: nothing -> nothing, at once
 * - STATUS   request: nothing -> a text, JSON; in parts of ML_CONTROL_PAYLOAD at most
 * - STORE    request: struct ml_control_store -> uint64_t size, and the descriptor of the memory
 * - PEER     request: struct ml_control_peer -> the same, filled in, and one end of a connection;
 *            notice to the other worker: the same for the one that asked, and the other end
 * - GONE     notice: struct ml_control_peer, of a worker that has ended
 * - JOINED   notice: the same, of a worker that is ready and from now on the one of its slot
 * - TICKETS  notice: struct ml_ticket_secrets: they have changed
 * - FIGURES  request: nothing -> struct ml_control_figures, and a file in memory with a line of
 *            text of each worker's metrics; notice: uint64_t number: they are wanted; word: the
 *            number, and a file with the line; number 0: unasked, before the worker ends
 * - RETIRED  word: struct ml_control_figures, and a file with one line in place of these bytes
 */
#define ML_CONTROL_TYPES(X)                                                                        \
    X(HELLO)                                                                                       \
    X(READY)                                                                                       \
    X(BEAT)                                                                                        \
    X(DRAIN)                                                                                       \
    X(LISTEN)                                                                                      \
    X(UNLISTEN)                                                                                    \
    X(RELOAD)                                                                                      \
    X(STOP)                                                                                        \
    X(STATUS)                                                                                      \
    X(STORE)                                                                                       \
    X(PEER)                                                                                        \
    X(GONE)                                                                                        \
    X(JOINED)                                                                                      \
    X(TICKETS)                                                                                     \
    X(FIGURES)                                                                                     \
    X(RETIRED)

enum ml_control_type {
#define X(name) ML_CONTROL_##name,
    ML_CONTROL_TYPES(X)
#undef X
        ML_CONTROL_TYPE_COUNT
};

/* Its name in lower case letters of the list, for reports; "?" for a number that is none. */
const char *ml_control_type_name(unsigned type);

enum {
    ML_CONTROL_VERSION = 1,
    ML_CONTROL_PAYLOAD = 16 * 1024, /* bytes of a payload at most */
    ML_CONTROL_FDS = 4              /* descriptors of a message at most */
};

/* ---- messages ---- */

struct ml_control_head {
    uint8_t version;
    uint8_t type;
    uint8_t is_reply;
    uint8_t has_more; /* the reply goes on in another message of the same number */
    int32_t error;    /* of a reply: 0 or a negated errno; the payload is then a text, or empty */
    uint64_t request; /* its number; 0 in words and notices */
};

/* A message that came. */
struct ml_control_message {
    struct ml_control_head head;
    size_t size; /* of the payload */
    unsigned fd_count;
    int fds[ML_CONTROL_FDS]; /* close-on-exec; the receiver's, see ml_control_take_fd() */
    _Alignas(8) char payload[ML_CONTROL_PAYLOAD + 1]; /* a zero byte follows */
};

/* Hands a descriptor of the message over to the caller; -1: there is no such one. */
int ml_control_take_fd(struct ml_control_message *message, unsigned index);

/* Closes the descriptors that were not taken. */
void ml_control_release(struct ml_control_message *message);

/* Copies the payload into a struct of `size` bytes. False: it is shorter than that. */
bool ml_control_read(const struct ml_control_message *message, void *into, size_t size);

/* ---- the channel ---- */

/* One end. What the socket does not take is kept until ml_control_flush(). */
struct ml_control {
    int fd; /* non-blocking, close-on-exec; -1: closed */
    struct ml_link outbox;
    unsigned waiting; /* messages in the outbox */
};

/* More messages than that wait for no peer: it reads nothing any more. */
enum { ML_CONTROL_OUTBOX = 1024 };

/* A new pair of sockets, both non-blocking and close-on-exec. 0 or a negated errno. */
int ml_control_pair(int fds[2]);

/* Takes over an end. */
void ml_control_open(struct ml_control *control, int fd);

/* Closes it, and drops what was not sent. Idempotent. */
void ml_control_close(struct ml_control *control);

/*
 * Sends a message, or keeps it; the descriptors stay the caller's. Never waits. 0; -ENOMEM;
 * -ENOBUFS: too many messages wait; -EMSGSIZE; -EMFILE: a descriptor could not be kept; -EPIPE,
 * -ECONNRESET or the like: the peer is gone.
 */
int ml_control_send(struct ml_control *control, const struct ml_control_head *head,
                    const void *payload, size_t size, const int *fds, unsigned fd_count);

/* Sends what waits, as far as the socket takes it. 0 (see `waiting`) or an error of the peer. */
int ml_control_flush(struct ml_control *control);

/* Receives the next message. 1; 0: the peer is gone; -EAGAIN: there is none now; -EPROTO: it is
 * none of this version; or another negated errno. Never waits. */
int ml_control_receive(struct ml_control *control, struct ml_control_message *message);

#endif
