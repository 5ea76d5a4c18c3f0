/*
 * A byte stream: reads that wait for as much as they ask for, writes that wait until the transport
 * has all. One reader at a time; writers take turns, first come first served. A transport carries
 * the bytes: a socket (io/socket.h), TLS over another one (io/tls.h), memory (io/memory.h).
 *
 * Cost over a socket: a read that finds data is one recv() into a block that all streams share, and
 * no allocation; an idle stream holds no buffer. A write is one send() or sendmsg() per piece that
 * the kernel takes; few bytes in several pieces are copied into one, which costs less.
 */
#ifndef ML_IO_STREAM_H
#define ML_IO_STREAM_H

#include "io/stream_state.h"

/* Bytes at the front of a stream's input: `data` to be used, `taken` to be consumed after. Valid
 * until the next call that may wait. */
struct ml_piece_of_input {
    const char *data;
    size_t size;
    size_t taken;
};

/* A closed stream. */
void ml_stream_init(struct ml_stream *s, struct ml_io *io);

/* Opens a closed stream on a transport, which is connected. */
void ml_stream_open(struct ml_stream *s, const struct ml_transport *transport);

/* Whether there is input that a read would take without asking the transport. */
static inline bool ml_stream_has_input(const struct ml_stream *s)
{
    return ml_buffer_size(&s->in) > 0;
}

/* Closes; all tasks that wait in it get -ML_ECLOSED. Idempotent; never waits. */
void ml_stream_close(struct ml_stream *s);

/*
 * Reads. Each finds its piece of the input, waiting for more if need be, and consumes nothing: call
 * ml_stream_consume(s, piece.taken) once the bytes are safe. After a failure the bytes received so
 * far stay.
 *
 * - 0;
 * - 1: the end of the stream, cleanly;
 * - -ML_EEOF: the end in the middle;
 * - -EMSGSIZE: `max` bytes are there without an end;
 * - -EBUSY: another task is reading;
 * - -ML_ECLOSED, -ETIMEDOUT, -ECANCELED, -ENOMEM, -ECONNRESET, and other errors of recv().
 */

/* The bytes that are there, at least one and at most `max`. */
int ml_stream_read_some(struct ml_stream *s, size_t max, struct ml_piece_of_input *piece);

/* `size` bytes. With `partial` fewer at the end of the stream, but not none. To peek, consume none
 * of them. */
int ml_stream_read_exactly(struct ml_stream *s, size_t size, bool partial,
                           struct ml_piece_of_input *piece);

/* Up to and including `delimiter` (`length` bytes, at least 1), or, with `partial`, up to the end
 * of the stream. At most `max` bytes, the delimiter included. */
int ml_stream_read_until(struct ml_stream *s, const char *delimiter, size_t length, size_t max,
                         bool partial, struct ml_piece_of_input *piece);

/* All up to the end of the stream, at most `max`; never returns 1. */
int ml_stream_read_all(struct ml_stream *s, size_t max, struct ml_piece_of_input *piece);

void ml_stream_consume(struct ml_stream *s, size_t size);

/* Waits until there is more input than now. 0; 1: the end; or an error of reads. */
int ml_stream_receive_more(struct ml_stream *s, ml_time deadline);

/* Checks whether a read would find something, and never waits. 0: it would, perhaps an error or the
 * end; -EAGAIN: it would wait; -EBUSY: another task is reading. */
int ml_stream_look(struct ml_stream *s);

/* To be called after ml_stream_look() returned -EAGAIN: see `watch` of the transport.
 * ml_stream_unwatch() ends it. */
int ml_stream_watch(struct ml_stream *s, struct ml_waiter *waiter, ml_time *again);
void ml_stream_unwatch(struct ml_stream *s);

/* Lets the next reads begin `size` bytes further, without consuming: several reads may become one
 * that fails or succeeds as a whole. ml_stream_consume(s, 0) then takes all that is held,
 * ml_stream_unhold() gives it back. */
void ml_stream_hold(struct ml_stream *s, size_t size);
void ml_stream_unhold(struct ml_stream *s);

/*
 * Writes all of `count` pieces, contiguous in the stream. The array is used up. *sent: bytes the
 * kernel took.
 *
 * - 0;
 * - -EPIPE: the peer is gone, or an earlier write stopped in its middle;
 * - -ML_ECLOSED, -ETIMEDOUT, -ECANCELED, -ECONNRESET, and other errors of send().
 */
int ml_stream_write(struct ml_stream *s, struct iovec *pieces, int count, size_t *sent);

/* Ends the output once earlier writers are done: the peer reads the end. 0, also if it was ended
 * before; errors as for a write. */
int ml_stream_shutdown_write(struct ml_stream *s);

/* Whether a write can begin; for code that writes without ml_stream_write(), in its turn. 0;
 * -EPIPE: the output has ended, or a write stopped in its middle; or the error that broke the
 * connection. */
int ml_stream_may_write(const struct ml_stream *s);

/* The turn to write, for code that writes without ml_stream_write(): waits for it, with the errors
 * of a write; hands it on. */
int ml_stream_take_turn(struct ml_stream *s, ml_time deadline);
void ml_stream_pass_turn(struct ml_stream *s);

/* The deadline of a read, or a write, that begins now. */
ml_time ml_stream_read_deadline(const struct ml_stream *s);
ml_time ml_stream_write_deadline(const struct ml_stream *s);

/* In the middle of a long write: lets others run if the task's slice is over (hub/wait/slice.h). 0;
 * -ECANCELED; -ML_ECLOSED: one of them closed the stream. */
int ml_stream_share_write(struct ml_stream *s, ml_time deadline);

/* After transmit() failed with `error` in a turn: 0 to try again, when there may be room. */
int ml_stream_await_room(struct ml_stream *s, int error, ml_time deadline);

/*
 * Ends the output, reads and drops the input up to the end of the stream, and closes. So the peer
 * gets all that was written; closing with input unread could cut it off. The stream is closed in
 * any case but -EBUSY, a cancellation on entry, and -ML_ETLS: then it still has the text of the
 * error, and the caller closes it.
 *
 * - 0: the peer has ended, too;
 * - -EMSGSIZE: more than `max` bytes came;
 * - errors of reads and writes.
 */
int ml_stream_finish(struct ml_stream *s, size_t max, ml_time deadline);

#endif
