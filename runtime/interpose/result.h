/* Results in the form of libc's calls: -1 and errno. */
#ifndef ML_INTERPOSE_RESULT_H
#define ML_INTERPOSE_RESULT_H

#include <errno.h>
#include <stddef.h>
#include <sys/types.h>

/* Sets errno to the positive value of `error`. Returns -1. */
static inline int ml_fail(int error)
{
    errno = -error;
    return -1;
}

/* The result of a call that ended with `result` after `done` bytes or messages: after a failure
 * these, without an error. */
static inline ssize_t ml_part(ssize_t result, size_t done, int saved_errno)
{
    if (result >= 0 || done == 0)
        return result;
    errno = saved_errno;
    return (ssize_t)done;
}

#endif
