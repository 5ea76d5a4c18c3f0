/*
 * What kind of file a descriptor is, remembered by its number until it is closed. Only a guide to the
 * cheapest way: whoever uses it bears a wrong answer, for somebody may have closed it unseen.
 */
#ifndef ML_INTERPOSE_KIND_H
#define ML_INTERPOSE_KIND_H

#include "interpose/foreign.h"

enum ml_kind {
    ML_KIND_UNKNOWN,
    ML_KIND_SOCKET,
    ML_KIND_DISK,   /* regular files, directories, block devices: poll() calls them ready always */
    ML_KIND_STREAM, /* pipes, terminals, eventfds and the like */
    ML_KINDS_MASK = 7,
    ML_KIND_NONBLOCK = 8 /* added: calls on it did not block when last seen */
};

/* Asks the kernel. */
enum ml_kind ml_kind_find(struct ml_foreign *f, int fd);

static inline enum ml_kind ml_kind_of(struct ml_foreign *f, int fd)
{
    enum ml_kind kind =
        (unsigned)fd < ML_KINDS ? (enum ml_kind)(f->kinds[fd] & ML_KINDS_MASK) : ML_KIND_UNKNOWN;
    return ml_likely(kind != ML_KIND_UNKNOWN) ? kind : ml_kind_find(f, fd);
}

/* Whether calls on the descriptor can be left to libc, as they do not block. Somebody may have changed that. */
static inline bool ml_kind_is_nonblocking(const struct ml_foreign *f, int fd)
{
    return (unsigned)fd < ML_KINDS && (f->kinds[fd] & ML_KIND_NONBLOCK) != 0;
}

static inline void ml_kind_note_nonblocking(struct ml_foreign *f, int fd)
{
    if ((unsigned)fd < ML_KINDS)
        f->kinds[fd] |= ML_KIND_NONBLOCK;
}

static inline void ml_kinds_forget_nonblocking(struct ml_foreign *f)
{
    for (unsigned i = 0; i < ML_KINDS; i++)
        f->kinds[i] &= ML_KINDS_MASK;
}

/* The number stands for something else from now on. */
static inline void ml_kind_forget(struct ml_foreign *f, int fd)
{
    if ((unsigned)fd < ML_KINDS)
        f->kinds[fd] = ML_KIND_UNKNOWN, f->credits[fd] = 0;
}

#endif
