/*
 * Queues of tasks that wait for a grant: a task that releases something gives it to the first
 * waiter, before that one runs. Knows no wait: hub/wait/ puts tasks in.
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

/* The first waiter of a queue that still waits; NULL: there is none. Takes out those before it that
 * were granted something else. */
struct ml_waiter *ml_first_waiter(struct ml_hub *hub, struct ml_link *queue);

/* Gives a waiter in a queue what it waits for, and wakes its task. Never switches. */
void ml_waiter_grant(struct ml_hub *hub, struct ml_waiter *waiter);

/* Grants nothing to all waiters of a queue: their value becomes ML_WAITER_CLOSED. */
void ml_turn_all_away(struct ml_hub *hub, struct ml_link *queue);

/* Wakes the first of a queue. False: it is empty. */
bool ml_wake_first(struct ml_hub *hub, struct ml_link *queue);

/* Wakes all of them. */
void ml_wake_all(struct ml_hub *hub, struct ml_link *queue);

#endif
