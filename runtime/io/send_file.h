/*
 * The content of a file, written to a stream: by the kernel where the transport can (sendfile(2)),
 * through a buffer where it cannot. Knows no file names and no stdio.
 */
#ifndef ML_IO_SEND_FILE_H
#define ML_IO_SEND_FILE_H

#include "io/stream.h"

/*
 * Writes at most `count` bytes of `file` from `offset` on, contiguous in the stream; fewer if the
 * file ends before. The descriptor is the caller's, and must be of something that has offsets; its
 * own is neither used nor moved. *sent: bytes the stream took. 0, errors of ml_stream_write(), and
 * what pread() says. Reading the file blocks the thread, as files do.
 */
int ml_stream_send_file(struct ml_stream *s, int file, off_t offset, uint64_t count,
                        uint64_t *sent);

#endif
