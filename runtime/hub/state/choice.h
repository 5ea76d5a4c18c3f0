/*
 * Waits for several things at once: a waiter in the queue of each; the first that is granted ends
 * the wait. The records belong to the task, which closes them however it ends.
 */
#ifndef ML_HUB_STATE_CHOICE_H
#define ML_HUB_STATE_CHOICE_H

#include "hub/state/hub.h"

struct ml_choice {
    uint32_t count;
    struct ml_waiter waiters[]; /* their index counts from 1 */
};

/* Opens a choice of `count` things for the running task, which has none. The caller puts each
 * waiter into a queue and sets its value. NULL: no memory. */
struct ml_choice *ml_choice_open(struct ml_hub *hub, uint32_t count);

/* Takes all waiters of the task out of their queues. Harmless without a choice. */
void ml_choice_close(struct ml_task *task);

#endif
