/*
 * What a call waits for in a task: a descriptor, a time, a worker. Knows no single call.
 *
 * Each of these returns ML_PLAINLY if the task may not wait: the caller makes the call as libc
 * makes it.
 */
#ifndef ML_INTERPOSE_CALL_WAIT_H
#define ML_INTERPOSE_CALL_WAIT_H

#include "hub/on/offload.h"
#include "interpose/state.h"

/* Waits until `fd` may be ready for `events` (POLLIN, POLLOUT). 0: look; -EINTR: a signal's handler
 * has run; -EBADF: it was closed meanwhile, or its number stands for another file now; -ETIMEDOUT,
 * -ECANCELED, -ENOMEM; ML_PLAINLY, also for a file on a disk, which is ready always. */
int ml_call_wait_fd(struct ml_libc_calls *calls, struct ml_libc_call entry, int fd, short events,
                    ml_time deadline);

/* Waits until `deadline`: -ETIMEDOUT then; else as above. */
int ml_call_wait_time(struct ml_libc_calls *calls, struct ml_libc_call entry, ml_time deadline);

/* For events that the kernel does not report: looks after pauses that grow. Waits for *pause, which
 * begins as ML_FIRST_PAUSE. 0: look; else as above. */
#define ML_FIRST_PAUSE ML_MILLISECOND
int ml_call_wait_pause(struct ml_libc_calls *calls, struct ml_libc_call entry, ml_time *pause);

/* Waits for a worker to run `job`, or runs it on this thread if the task may not wait: never
 * ML_PLAINLY. As ml_offload(); after 0 errno is what the job left, as if the task had made its
 * calls. */
int ml_call_wait_job(struct ml_libc_calls *calls, struct ml_libc_call entry, struct ml_job *job);

#endif
