/* Children of this process that no task waits for any more: none stays a zombie. */
#ifndef ML_SYSTEM_PROCESS_ORPHANS_H
#define ML_SYSTEM_PROCESS_ORPHANS_H

#include "hub/state/hub.h"

#include <sys/types.h>

struct ml_orphan;

/* The orphans whose end a hub's loop reports. */
struct ml_orphans {
    struct ml_hub *hub;
    struct ml_orphan *first;
};

/* Takes over the child: waits for it once it has ended. orphans: of the loop that reports the end;
 * NULL: the module looks when the next command begins or ends. */
void ml_orphan_leave(struct ml_orphans *orphans, pid_t pid);

/* Waits for those children that have ended and that no loop watches. */
void ml_orphans_sweep(void);

/* The loop of these orphans is about to be closed. */
void ml_orphans_release(struct ml_orphans *orphans);

#endif
