/*
 * The input of a stream: the buffer between the transport and the reads (io/stream.h), filled by
 * one read at a time. Knows neither how much a read wants nor where it ends.
 */
#ifndef ML_IO_INPUT_H
#define ML_IO_INPUT_H

#include "io/stream_state.h"

/* The input that a read may use: what lies behind the held bytes. */
static inline size_t ml_input_size(const struct ml_stream *s)
{
    return ml_buffer_size(&s->in) - s->held;
}

static inline const char *ml_input_data(const struct ml_stream *s)
{
    return ml_buffer_data(&s->in) + s->held;
}

/* Begins a read, which is an operation of the task's slice. Other tasks may run, and close the
 * stream or read. 0; -ML_ECLOSED; -EBUSY: another task is reading; -ECANCELED. */
int ml_input_begin(struct ml_stream *s);

/* Ends a read that has begun. Returns `result`, the read's. */
int ml_input_end(struct ml_stream *s, int result);

/* Appends the next input of the transport, and waits for it. Between begin and end of a read.
 * `want`: how many bytes are missing. 0; 1: the end of the stream; or an error of reads. */
int ml_input_fill(struct ml_stream *s, size_t want, ml_time deadline);

/* To be called before the task may be switched away: moves input from the shared block to memory of
 * its own, and gives back the memory of an empty buffer. 0 or -ENOMEM. */
int ml_input_settle(struct ml_stream *s);

/* Drops the input with its memory. */
void ml_input_release(struct ml_stream *s);

#endif
