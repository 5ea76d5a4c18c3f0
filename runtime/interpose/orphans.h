/* Children of this process that nobody waits for any more: none is left a zombie. */
#ifndef ML_INTERPOSE_ORPHANS_H
#define ML_INTERPOSE_ORPHANS_H

#include "interpose/state.h"

/* Sees to it that the child leaves no zombie once it has ended. calls: whose loop is told of that;
 * NULL: it is looked for when the next command begins or ends. */
void ml_orphan_leave(struct ml_libc_calls *calls, pid_t pid);

/* Takes leave of those that have ended and that no loop is told of. */
void ml_orphans_sweep(void);

/* The loop of `calls` is about to end. */
void ml_orphans_release(struct ml_libc_calls *calls);

#endif
