/*
 * A byte stream over a non-blocking socket: reads that wait for as much as they were asked for,
 * writes that wait until the kernel has all. One reader at a time; writers take turns, first come
 * first served. Knows nothing of how it was connected (io/tcp.h).
 *
 * Cost: a read that finds data is one recv() into a block that all streams share, and no
 * allocation; an idle stream holds no buffer. After a read that did not fill its block the next one
 * waits before it tries. A write is one send() or sendmsg() per piece that the kernel takes.
 */
#ifndef ML_IO_STREAM_H
#define ML_IO_STREAM_H

#include "base/buffer.h"
#include "hub/fd.h"
#include "io/io.h"

#include <sys/uio.h>

struct ml_stream {
    struct ml_fd fd;
    struct ml_io *io;
    struct ml_buffer in;    /* received and not yet consumed */
    size_t held;            /* bytes at its front that ml_stream_hold() keeps from further reads */
    struct ml_link writers; /* tasks that wait for their turn */
    struct ml_task *writer; /* the one whose turn it is */
    ml_time read_timeout;   /* spans; 0: never wait; ML_FOREVER: no limit */
    ml_time write_timeout;
    bool is_reading;   /* a task is between begin and end of a read */
    bool borrows;      /* in.memory is the shared block */
    bool is_drained;   /* the last recv() took all there was: wait before the next */
    bool at_end;       /* the peer has ended */
    bool write_broken; /* a write stopped in its middle: what follows would be garbage */
};

/* Bytes at the front of a stream's input: `data` to be used, `taken` to be consumed after. Valid
 * until the next call that may wait. */
struct ml_piece_of_input {
    const char *data;
    size_t size;
    size_t taken;
};

/* A closed stream. */
void ml_stream_init(struct ml_stream *s, struct ml_io *io);

/* Takes over a connected, non-blocking socket. */
void ml_stream_open(struct ml_stream *s, int fd);

/* Closes; all that wait in it get -ML_ECLOSED. Idempotent; never waits. */
void ml_stream_close(struct ml_stream *s);

/*
 * Reads. Each finds its piece of the input, waiting for more if need be, and consumes nothing: call
 * ml_stream_consume(s, piece.taken) once the bytes are safe. 0; 1: the end of the stream, cleanly;
 * -ML_EEOF: the end in the middle; -EMSGSIZE: `max` bytes are there without an end; -EBUSY: another
 * task is reading; -ML_ECLOSED, -ETIMEDOUT, -ECANCELED, -ENOMEM, -ECONNRESET and what else recv()
 * says. Whatever the failure, the bytes received so far stay.
 */

/* Whatever is there, at least one byte and at most `max`. */
int ml_stream_read_some(struct ml_stream *s, size_t max, struct ml_piece_of_input *piece);

/* `size` bytes. With `partial`, the end of the stream makes it fewer, but not none. */
int ml_stream_read_exactly(struct ml_stream *s, size_t size, bool partial,
                           struct ml_piece_of_input *piece);

/* Up to and including `delimiter` (`length` bytes, at least 1), or, with `partial`, up to the end of
 * the stream. At most `max` bytes, the delimiter included. */
int ml_stream_read_until(struct ml_stream *s, const char *delimiter, size_t length, size_t max,
                         bool partial, struct ml_piece_of_input *piece);

/* All up to the end of the stream, at most `max`; never returns 1. */
int ml_stream_read_all(struct ml_stream *s, size_t max, struct ml_piece_of_input *piece);

void ml_stream_consume(struct ml_stream *s, size_t size);

/* Lets the next reads begin `size` bytes further, without consuming: several reads may become one
 * that fails or succeeds as a whole. ml_stream_consume(s, 0) then takes all that is held,
 * ml_stream_unhold() gives it back. */
void ml_stream_hold(struct ml_stream *s, size_t size);
void ml_stream_unhold(struct ml_stream *s);

/*
 * Writes all of `count` pieces, contiguous in the stream. The array is used up. *sent: bytes the
 * kernel took. 0; -EPIPE: the peer is gone, or an earlier write stopped in its middle; -ML_ECLOSED,
 * -ETIMEDOUT, -ECANCELED, -ECONNRESET and what else send() says.
 */
int ml_stream_write(struct ml_stream *s, struct iovec *pieces, int count, size_t *sent);

/* Ends the output once earlier writers are done: the peer reads the end. Errors as for a write. */
int ml_stream_shutdown_write(struct ml_stream *s);

#endif
