/*
 * What kind of file a descriptor is, remembered by its number until it is seen to be closed. Only a
 * guide to the cheapest way: system calls made with syscall(), libc itself, other threads and
 * io_uring close numbers unseen. Where bytes, an error or blocking depend on the kind, the kernel
 * is asked anew (ml_fd_kind_find).
 */
#ifndef ML_INTERPOSE_FD_KIND_H
#define ML_INTERPOSE_FD_KIND_H

#include "interpose/state.h"

#include <sys/stat.h>

enum ml_fd_kind {
    ML_FD_KIND_UNKNOWN,
    ML_FD_KIND_SOCKET,
    ML_FD_KIND_DISK, /* regular files, directories, block devices: poll() calls them ready always */
    ML_FD_KIND_STREAM /* pipes, terminals, eventfds and the like */
};

/* Files whose calls never wait for anybody: poll() calls them ready always. */
static inline bool ml_mode_is_disk(mode_t mode)
{
    return S_ISREG(mode) || S_ISDIR(mode) || S_ISBLK(mode);
}

/* Asks the kernel, and remembers the answer. Leaves errno alone. */
enum ml_fd_kind ml_fd_kind_find(struct ml_libc_calls *calls, int fd);

static inline enum ml_fd_kind ml_fd_kind_of(struct ml_libc_calls *calls, int fd)
{
    enum ml_fd_kind kind =
        (unsigned)fd < ML_FD_KINDS ? (enum ml_fd_kind)calls->fd_kinds[fd] : ML_FD_KIND_UNKNOWN;
    return ml_likely(kind != ML_FD_KIND_UNKNOWN) ? kind : ml_fd_kind_find(calls, fd);
}

/* Whether it is a file on a disk, whose writes never wait: asked where it is believed to be one. */
static inline bool ml_fd_kind_is_disk(struct ml_libc_calls *calls, int fd)
{
    return ml_fd_kind_of(calls, fd) == ML_FD_KIND_DISK &&
           ml_fd_kind_find(calls, fd) == ML_FD_KIND_DISK;
}

/* The number stands for something else from now on. */
static inline void ml_fd_kind_forget(struct ml_libc_calls *calls, int fd)
{
    if ((unsigned)fd < ML_FD_KINDS)
        calls->fd_kinds[fd] = ML_FD_KIND_UNKNOWN;
}

#endif
