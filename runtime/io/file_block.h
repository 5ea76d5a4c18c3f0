/*
 * Pieces of files that are sent: read at once if the kernel has them in memory, else by a worker,
 * so that a slow disk holds up one task only. Knows no streams.
 */
#ifndef ML_IO_FILE_BLOCK_H
#define ML_IO_FILE_BLOCK_H

#include "hub/on/offload.h"

#include <sys/types.h>

/* Bytes that a worker has read. Lies on the heap: the task may be gone before the disk answers. */
struct ml_file_block {
    struct ml_job job;
    int file; /* a descriptor of its own: the caller may close the other one */
    off_t offset;
    size_t room;
    ssize_t size;   /* bytes, 0 at the end of the file; or an error of pread() */
    bool is_memory; /* the file is in memory always (tmpfs), though the kernel promises nothing */
    char data[];
};

/* Reads what is in memory. Bytes, fewer if the rest is not there; 0 at the end of the file;
 * -EAGAIN: a worker must read; or an error of preadv2(). Never waits. */
ssize_t ml_file_peek(int file, void *buffer, size_t size, off_t offset);

/* Whether these bytes are in memory, as far as their first and last one tell. 0; -EAGAIN; or an
 * error. */
int ml_file_probe(int file, size_t size, off_t offset);

/* Has a worker read at most `size` bytes while the running task waits: a block, which the caller
 * frees, in *block. 0; errors of ml_offload(); -EMFILE and the like. */
int ml_file_block_read(struct ml_hub *hub, int file, size_t size, off_t offset,
                       struct ml_file_block **block);

void ml_file_block_free(struct ml_file_block *block);

#endif
