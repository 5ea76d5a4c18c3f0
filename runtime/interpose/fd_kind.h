/*
 * The kind of file behind a descriptor, remembered by its number until the room sees a close. This
 * is only a hint for the cheapest way to try: syscall(), libc itself, other threads and io_uring
 * close numbers unseen. Where bytes, an error or blocking depend on the kind, ml_fd_kind_find()
 * asks the kernel again.
 */
#ifndef ML_INTERPOSE_FD_KIND_H
#define ML_INTERPOSE_FD_KIND_H

#include "interpose/state.h"

#include <sys/stat.h>

enum ml_fd_kind {
    ML_FD_KIND_UNKNOWN,
    ML_FD_KIND_SOCKET,
    ML_FD_KIND_DISK,   /* regular files, directories, block devices: poll() always reports them
                          ready */
    ML_FD_KIND_FAR,    /* the same, and its disk may have to ask a server: FUSE, NFS, or unknown */
    ML_FD_KIND_STREAM, /* pipes, terminals, eventfds and the like */
};

static inline bool ml_fd_kind_has_disk(enum ml_fd_kind kind)
{
    return kind == ML_FD_KIND_DISK || kind == ML_FD_KIND_FAR;
}

/* Files whose calls wait for no peer: poll() always reports them ready. */
static inline bool ml_mode_is_disk(mode_t mode)
{
    return S_ISREG(mode) || S_ISDIR(mode) || S_ISBLK(mode);
}

/* The type and the disk of the file, as the kernel has them in memory: 0, or -1. errno stays as it
 * was. */
int ml_fd_kind_look(int fd, struct statx *status);

/* Asks the kernel, and remembers the answer. errno stays as it was. */
enum ml_fd_kind ml_fd_kind_find(struct ml_libc_calls *calls, int fd);

static inline enum ml_fd_kind ml_fd_kind_of(struct ml_libc_calls *calls, int fd)
{
    enum ml_fd_kind kind =
        (unsigned)fd < ML_FD_KINDS ? (enum ml_fd_kind)calls->fd_kinds[fd] : ML_FD_KIND_UNKNOWN;
    return ml_likely(kind != ML_FD_KIND_UNKNOWN) ? kind : ml_fd_kind_find(calls, fd);
}

/* The kind, for which the kernel is asked if the remembered kind is a disk. */
static inline enum ml_fd_kind ml_fd_kind_check(struct ml_libc_calls *calls, int fd)
{
    enum ml_fd_kind kind = ml_fd_kind_of(calls, fd);
    return ml_fd_kind_has_disk(kind) ? ml_fd_kind_find(calls, fd) : kind;
}

/* The number stands for another file from now on. */
static inline void ml_fd_kind_forget(struct ml_libc_calls *calls, int fd)
{
    if ((unsigned)fd < ML_FD_KINDS)
        calls->fd_kinds[fd] = ML_FD_KIND_UNKNOWN;
    if (calls->blind_fd == fd)
        calls->blind_fd = -1;
}

#endif
