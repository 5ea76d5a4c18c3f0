/*
 * Waiting for several things at once: a waiter in the queue of each, the first of which to be
 * granted ends the wait. The records belong to the task, which closes them whatever ends it.
 */
#ifndef ML_HUB_STATE_CHOICE_H
#define ML_HUB_STATE_CHOICE_H

#include "hub/state/hub.h"

struct ml_choice {
    uint32_t count;
    struct ml_waiter waiters[]; /* their index counts from 1 */
};

/* Opens a choice of `count` things for the running task, which has none: each waiter is to be put
 * into a queue, its value set. NULL: no memory. */
struct ml_choice *ml_choice_open(struct ml_hub *hub, uint32_t count);

/* Takes all waiters of the task out of their queues. Harmless without a choice. */
void ml_choice_close(struct ml_task *task);

#endif
