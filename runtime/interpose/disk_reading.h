/*
 * Disks: which of them ask a server, and how files are read: what the kernel has in memory at once,
 * everything else by a worker. A worker is given the descriptor's number and no duplicate: closing
 * that would give up all POSIX locks that the process has on the file (fcntl(2)), and on FUSE and
 * NFS ask the server.
 */
#ifndef ML_INTERPOSE_DISK_READING_H
#define ML_INTERPOSE_DISK_READING_H

#include "interpose/state.h"

struct ml_file_call;

/* Whether the file is on a disk that asks no server, so that writes end in the page cache. May
 * wait, once for each disk that is not known. */
bool ml_disk_is_near(struct ml_libc_calls *calls, struct ml_libc_call entry, int fd);

/* Takes what is in memory, from the file's place on. Bytes, which may be few; 0 at the end;
 * -EAGAIN: a worker must read; -EOPNOTSUPP: the disk does not know. Then read(2) is the way if the
 * disk is near, as it has all in memory (tmpfs, /proc), else a worker; or another error. */
ssize_t ml_disk_peek(int fd, void *memory, size_t room);

/*
 * Has a worker read at most `most` bytes from the file's place on, which stays. The call, which has
 * them, or its error, and is the caller's; or NULL: *error is
 *
 * - -ESPIPE: the file has no places: read(2) is the way;
 * - -EBADF: the number stands for another file by now;
 * - -ECANCELED, -ENOMEM and other errors of ml_call_wait_job().
 */
struct ml_file_call *ml_disk_fetch(struct ml_libc_calls *calls, struct ml_libc_call entry, int fd,
                                   size_t most, int *error);

/* Moves the file's place behind what was taken of a fetched call. */
void ml_disk_advance(int fd, const struct ml_file_call *call, size_t size);

/* As read(2) of a file on a disk: at least one byte unless at the end. */
ssize_t ml_disk_read(struct ml_libc_calls *calls, struct ml_libc_call entry, int fd, void *memory,
                     size_t room);

#endif
