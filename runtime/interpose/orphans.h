/* Children of this process that no task waits for any more: none stays a zombie. */
#ifndef ML_INTERPOSE_ORPHANS_H
#define ML_INTERPOSE_ORPHANS_H

#include "interpose/state.h"

/* Takes over the child: waits for it once it has ended. calls: whose loop reports the end; NULL:
 * the module looks when the next command begins or ends. */
void ml_orphan_leave(struct ml_libc_calls *calls, pid_t pid);

/* Waits for those children that have ended and that no loop watches. */
void ml_orphans_sweep(void);

/* The loop of `calls` is about to be closed. */
void ml_orphans_release(struct ml_libc_calls *calls);

#endif
