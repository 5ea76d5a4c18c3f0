/* Opens and closes all that a runtime keeps for the calls of C libraries. */
#ifndef ML_INTERPOSE_LIBC_CALLS_H
#define ML_INTERPOSE_LIBC_CALLS_H

#include "interpose/state.h"

/* NULL: no memory. The calls of the hub's tasks are answered once hub->libc_calls is set to it. */
struct ml_libc_calls *ml_libc_calls_open(struct ml_hub *hub);

/* Call when no task is alive any more. NULL is allowed. */
void ml_libc_calls_close(struct ml_libc_calls *calls);

/* A signal has ended a poll of the hub on this thread: ends those calls that a signal ends. If the
 * owner of the hub has taken the signal for itself (ml_hub_notify()), for instance to cancel all
 * tasks, they go on. */
void ml_libc_calls_interrupted(void);

#endif
