/*
 * The input of a stream: the buffer between the transport and the reads (io/stream.h), which one
 * read at a time fills. Knows neither how much a read wants nor where it finds its end.
 */
#ifndef ML_IO_INPUT_H
#define ML_IO_INPUT_H

#include "io/stream_state.h"

/* What a read may look at: the input behind what is held. */
static inline size_t ml_input_size(const struct ml_stream *s)
{
    return ml_buffer_size(&s->in) - s->held;
}

static inline const char *ml_input_data(const struct ml_stream *s)
{
    return ml_buffer_data(&s->in) + s->held;
}

/* At the begin of a read, which is an operation of the task's slice. Other tasks may run, and close
 * the stream or read. 0; -ML_ECLOSED; -EBUSY: another task is reading; -ECANCELED. */
int ml_input_begin(struct ml_stream *s);

/* At the end of a read that has begun. Returns `result`, the read's. */
int ml_input_end(struct ml_stream *s, int result);

/* Appends what the transport has next, and waits for it; `want`: as many bytes are missing. 0; 1:
 * the end of the stream; or an error of reads. Between begin and end of a read. */
int ml_input_fill(struct ml_stream *s, size_t want, ml_time deadline);

/* Before the task may be switched away: input that lies in the shared block moves to memory of its
 * own; an empty buffer gives its memory back. 0 or -ENOMEM. */
int ml_input_settle(struct ml_stream *s);

/* Drops the input with its memory. */
void ml_input_release(struct ml_stream *s);

#endif
