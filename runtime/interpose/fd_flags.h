/* The flags of a descriptor, read and set without a change of errno. */
#ifndef ML_INTERPOSE_FD_FLAGS_H
#define ML_INTERPOSE_FD_FLAGS_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>

/* -1: the descriptor is not open. */
static inline int ml_fd_flags_get(int fd)
{
    int saved = errno;
    int flags = fcntl(fd, F_GETFL);
    errno = saved;
    return flags;
}

static inline void ml_fd_flags_set(int fd, int flags)
{
    int saved = errno;
    fcntl(fd, F_SETFL, flags);
    errno = saved;
}

/* Whether calls on a descriptor with these flags fail instead of waiting; true also if it is not
 * open. */
static inline bool ml_fd_flags_never_wait(int flags)
{
    return flags < 0 || (flags & O_NONBLOCK) != 0;
}

#endif
