/*
 * Writes the content of a file to a stream: by the kernel where the transport can (sendfile(2)),
 * through a buffer where it cannot. Knows no file names and no stdio.
 */
#ifndef ML_IO_SEND_FILE_H
#define ML_IO_SEND_FILE_H

#include "io/stream.h"

/*
 * Writes at most `count` bytes of `file` from `offset` on, contiguous in the stream; fewer if the
 * file ends before. The descriptor is the caller's, and its file must have offsets; its own offset
 * is neither used nor moved. What is not in memory is read by a worker. *sent: bytes the stream
 * took. 0, errors of ml_stream_write(), and errors of pread(), errors of ml_offload().
 */
int ml_stream_send_file(struct ml_stream *s, int file, off_t offset, uint64_t count,
                        uint64_t *sent);

#endif
