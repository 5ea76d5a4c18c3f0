/*
 * The one loop of calls that block until a descriptor is ready, unless its own flags forbid that:
 * attempts, and waits in between. Knows no single call.
 */
#ifndef ML_INTERPOSE_RETRY_H
#define ML_INTERPOSE_RETRY_H

#include "interpose/state.h"

/*
 * One attempt at a call on a descriptor.
 *
 * - flags: MSG_DONTWAIT: must not block, and returns -1 with EAGAIN instead; 0: may block;
 * - call: the caller's data, kept across the attempts.
 */
typedef ssize_t ml_attempt(void *call, int flags);

/* Tries until the call does not block, within SO_RCVTIMEO or SO_SNDTIMEO. Returns the result of the
 * last attempt, or -1 with errno set. Without an error errno stays as it was. */
ssize_t ml_retry(struct ml_libc_calls *calls, int fd, short events, ml_attempt *attempt,
                 void *call);

/* How long a read of a terminal waits before it returns what there is (termios(3), MIN == 0).
 * ML_FOREVER: any other descriptor. */
ml_time ml_retry_patience(int fd);

/* The time at which a call must give up: by its socket's SO_RCVTIMEO (POLLIN) or SO_SNDTIMEO
 * (POLLOUT), or by its terminal. */
ml_time ml_retry_deadline(const struct ml_libc_calls *calls, int fd, short events);

/* Whether the running task's last call found nothing to read in `fd`: then it need not look again.
 * Forgets that. */
static inline bool ml_retry_take_dry(struct ml_libc_calls *calls, int fd)
{
    bool is = fd >= 0 && calls->dry.fd == fd && calls->dry.task == calls->hub->current->id;
    calls->dry.task = 0;
    return is;
}

/* The number stands for another file from now on. */
static inline void ml_retry_forget_dry(struct ml_libc_calls *calls, int fd)
{
    if (calls->dry.fd == fd)
        calls->dry.task = 0;
}

#endif
