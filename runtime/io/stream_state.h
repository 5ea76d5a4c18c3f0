/*
 * The state of a stream, for the files that work on it: io/stream.c (reads, writes, the end),
 * io/input.c (the buffer between transport and reads), and the transports.
 */
#ifndef ML_IO_STREAM_STATE_H
#define ML_IO_STREAM_STATE_H

#include "base/buffer.h"
#include "base/error.h"
#include "hub/on/fd.h"
#include "hub/wait/slice.h"
#include "io/io.h"

#include <netinet/in.h>
#include <sys/uio.h>

struct ml_stream;
struct ml_tls;

/* Carries the bytes of a stream. No function raises, and only `wait` and `shutdown` may wait. */
struct ml_transport {
    /* Bytes received, at most `room`; 0: the end of the input; -EAGAIN: none yet, wait; or an
     * error. */
    ssize_t (*receive)(struct ml_stream *s, char *memory, size_t room);
    /* Bytes taken, of all pieces in order; -EAGAIN: none can be now, wait; or an error. */
    ssize_t (*transmit)(struct ml_stream *s, const struct iovec *pieces, int count);
    /* Parks until it is worth while to repeat the last receive() (ML_FD_READ) or transmit()
     * (ML_FD_WRITE): 0, or an error of ml_fd_wait(). */
    int (*wait)(struct ml_stream *s, enum ml_fd_event event, const struct ml_wait_kind *kind,
                ml_time deadline);
    /* The same for a wait for several things: the running task is woken, or `waiter` granted, when
     * wait() would return. *again becomes the time to look again, if that comes before. 0, or an
     * error. Never waits. */
    int (*watch)(struct ml_stream *s, enum ml_fd_event event, struct ml_waiter *waiter,
                 ml_time *again);
    /* Ends the output. 0 or an error. */
    int (*shutdown)(struct ml_stream *s, ml_time deadline);
    /* Frees everything; tasks that wait get -ML_ECLOSED. Never waits. */
    void (*close)(struct ml_stream *s);
    /* Transmits at most `size` bytes of a file from *offset on, which moves on. Their number; 0:
     * the file ends there; -EINVAL: impossible for this file; or as transmit(). NULL: the transport
     * cannot, and the bytes are read and transmitted. */
    ssize_t (*send_file)(struct ml_stream *s, int file, off_t *offset, size_t size);
};

/* Somebody who is told that the peer of a stream has left: io/departure.h. */
struct ml_departure {
    /* Called on the hub: may wake and cancel tasks; never waits, frees nothing. */
    void (*left)(struct ml_departure *departure);
    void (*stop)(struct ml_departure *departure);
    struct ml_stream *stream; /* NULL: it is not watched */
};

struct ml_stream {
    const struct ml_transport *transport; /* NULL: closed */
    void *layer;                          /* of the transport at the bottom */
    struct ml_tls *tls;                   /* over it; NULL: no TLS */
    struct ml_fd fd;                      /* the socket below; closed: there is none */
    struct ml_io *io;
    const char *name;       /* what messages call it; NULL: nothing */
    struct ml_buffer in;    /* received and not yet consumed */
    size_t held;            /* bytes at its front that ml_stream_hold() keeps from further reads */
    struct ml_link writers; /* tasks that wait for their turn */
    struct ml_task *writer; /* the task that has the turn */
    struct ml_departure *departure; /* told when the peer leaves; NULL: nobody */
    ml_time read_timeout;           /* spans; 0: never wait; ML_FOREVER: no limit */
    ml_time write_timeout;
    bool is_patient; /* the latter limits each wait for room, not a whole write */
    /* The peer of a stream from a listener, an address of either family; 0: unknown. The kernel
     * forgets it at a reset. */
    struct sockaddr_in6 accepted_from;
    int found_error;   /* an error that ml_stream_look() met, for the next read; 0: none */
    size_t limit;      /* bytes that a read may gather if the caller gives no limit; 0: each kind
                          has its own */
    uint64_t file;     /* the number of a file that is sent now, as ml_recent_part() takes it; 0: it
                          is not known whether it was sent before */
    int lost;          /* the error that broke the connection, once one direction got it; 0: none */
    bool is_accepted;  /* a listener made it, not a connect */
    bool is_counted;   /* in io->balance, as an open one */
    bool is_reading;   /* a task is between begin and end of a read */
    bool borrows;      /* in.memory is the shared block */
    bool is_drained;   /* the last recv() took all: the next read waits first */
    bool at_end;       /* the peer has ended */
    bool has_ended;    /* the output has ended */
    bool is_torn;      /* the transport has part of a record whose bytes are not counted yet */
    bool write_broken; /* a write stopped in its middle: what follows would be garbage */
    bool more_follows; /* a small part is written now: the kernel may keep it back for the rest */
};

static inline bool ml_stream_is_open(const struct ml_stream *s)
{
    return s->transport != NULL;
}

/* To be called after anything that may have waited: `error`, or -ML_ECLOSED if another task closed
 * the stream. */
static inline int ml_stream_after_wait(const struct ml_stream *s, int error)
{
    return error == 0 && !ml_stream_is_open(s) ? -ML_ECLOSED : error;
}

/* At the begin of an operation: a cancel point, and the end of the slice if that is over and the
 * operation may wait. */
static inline int ml_stream_enter(const struct ml_stream *s, ml_time deadline)
{
    return deadline != ML_NEVER_WAIT ? ml_slice_point(s->io->hub) : ml_cancel_point(s->io->hub);
}

/* In the middle of a long operation: lets others run if the task's slice is over. 0; -ECANCELED;
 * -ML_ECLOSED: one of them closed the stream. */
static inline int ml_stream_share(const struct ml_stream *s, ml_time deadline)
{
    bool must_share = deadline != ML_NEVER_WAIT && ml_slice_is_over(s->io->hub);
    return must_share ? ml_stream_after_wait(s, ml_slice_end(s->io->hub)) : 0;
}

#endif
