/*
 * The transport of streams over the end of a pipe, or over the master of a pseudo-terminal. Knows
 * nothing of the process at the other end.
 *
 * A pipe carries bytes one way: a stream over its reading end has ended its output from the
 * beginning, one over its writing end is at its end. The descriptor of a pipe is closed as soon as
 * nothing can pass any more, though the stream stays open.
 */
#ifndef ML_IO_PIPE_H
#define ML_IO_PIPE_H

#include "io/stream.h"

enum ml_pipe_end { ML_PIPE_READS, ML_PIPE_WRITES };

/* Opens a closed stream on a non-blocking descriptor, which becomes its own. */
void ml_pipe_open(struct ml_stream *s, int fd, enum ml_pipe_end end);

/* The same for the master of a pseudo-terminal: reads and writes. EIO, with which the kernel says
 * that no process has the terminal open any more, is the end of the input. */
void ml_pty_open(struct ml_stream *s, int fd);

/* Whether the stream is one of those. */
bool ml_stream_is_pipe(const struct ml_stream *s);
bool ml_stream_is_pty(const struct ml_stream *s);

#endif
