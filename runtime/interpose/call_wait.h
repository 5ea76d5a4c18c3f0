/*
 * The waits of a call in a task: for a descriptor, a time, a worker. Knows no single call.
 *
 * Each function returns ML_PLAINLY if the task may not wait: the caller then makes the call as libc
 * makes it.
 */
#ifndef ML_INTERPOSE_CALL_WAIT_H
#define ML_INTERPOSE_CALL_WAIT_H

#include "hub/on/offload.h"
#include "interpose/state.h"

/*
 * Waits until `fd` may be ready for `events` (POLLIN, POLLOUT).
 *
 * - 0: look;
 * - -EINTR: a signal's handler has run;
 * - -EBADF: the descriptor was closed meanwhile, or its number stands for another file now;
 * - ML_PLAINLY: the task may not wait, or `fd` is a file on a disk, which is always ready;
 * - -ETIMEDOUT, -ECANCELED, -ENOMEM.
 */
int ml_call_wait_fd(struct ml_libc_calls *calls, struct ml_libc_call entry, int fd, short events,
                    ml_time deadline);

/* Waits until `deadline`. -ETIMEDOUT then; other results as ml_call_wait_fd(). */
int ml_call_wait_time(struct ml_libc_calls *calls, struct ml_libc_call entry, ml_time deadline);

/* For events that the kernel does not report: polls with back-off. Waits for *pause, which begins
 * as ML_FIRST_PAUSE. 0: look; other results as ml_call_wait_fd(). */
#define ML_FIRST_PAUSE ML_MILLISECOND
int ml_call_wait_pause(struct ml_libc_calls *calls, struct ml_libc_call entry, ml_time *pause);

/* Waits for a worker to run `job`, or runs it on this thread if the task may not wait: never
 * returns ML_PLAINLY. Results as ml_offload(). After 0, errno is as the job left it, as if the task
 * had made the calls. */
int ml_call_wait_job(struct ml_libc_calls *calls, struct ml_libc_call entry, struct ml_job *job);

#endif
