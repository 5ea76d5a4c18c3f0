/*
 * Queues of tasks that wait for a gift: the task that has something to give grants it to the first,
 * before that one runs. Knows no wait: hub/wait/ puts tasks in.
 */
#ifndef ML_HUB_STATE_WAITERS_H
#define ML_HUB_STATE_WAITERS_H

#include "hub/state/hub.h"

/* The task of a waiter. */
static inline struct ml_task *ml_waiter_task(const struct ml_hub *hub,
                                             const struct ml_waiter *waiter)
{
    return ml_slots_task(&hub->slots, waiter->slot);
}

/* The first of a queue that still waits, NULL: nobody does. Takes out those before it that were
 * granted something else. */
struct ml_waiter *ml_first_waiter(struct ml_hub *hub, struct ml_link *queue);

/* Gives what it waits for to somebody who stands in a queue and wakes him. Never switches. */
void ml_waiter_grant(struct ml_hub *hub, struct ml_waiter *waiter);

/* Grants nothing to all of a queue: their value becomes ML_WAITER_CLOSED. */
void ml_turn_all_away(struct ml_hub *hub, struct ml_link *queue);

/* Wakes the first of a queue. False: it is empty. */
bool ml_wake_first(struct ml_hub *hub, struct ml_link *queue);

/* Wakes all of them. */
void ml_wake_all(struct ml_hub *hub, struct ml_link *queue);

#endif
