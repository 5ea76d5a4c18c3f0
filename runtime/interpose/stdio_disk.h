/*
 * Files of stdio that are on disks: libc would wait for the disk inside of itself. So their buffers
 * are filled here, where a worker can do it, and their place is moved here. Knows no single call.
 */
#ifndef ML_INTERPOSE_STDIO_DISK_H
#define ML_INTERPOSE_STDIO_DISK_H

#include "interpose/state.h"

/* Whether the file is as libc makes it: no wide characters, no memory map, no byte pushed back. */
bool ml_stdio_is_usual(const FILE *file);

/* Gives the file a buffer, if it has none. libc would ask the disk for the best size of one. */
void ml_stdio_give_buffer(FILE *file, bool is_far);

/* Fills the empty buffer of a usual file that only this task uses. Bytes; 0 at the end; -1 with
 * errno set; -ESPIPE: libc can do it without a wait. */
ssize_t ml_stdio_fill(struct ml_libc_calls *calls, struct ml_libc_call entry, FILE *file, int fd);

/* Reads past the empty buffer. Results as above. */
ssize_t ml_stdio_read_past(struct ml_libc_calls *calls, struct ml_libc_call entry, FILE *file,
                           int fd, char *memory, size_t room);

#endif
