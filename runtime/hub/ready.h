/*
 * The queue of tasks that can run, in order. Knows neither what made one ready nor how it is switched to.
 */
#ifndef ML_HUB_READY_H
#define ML_HUB_READY_H

#include "hub/hub.h"

/* Puts a task, which stands in no queue, at the end. */
static inline void ml_ready_push(struct ml_hub *hub, struct ml_task *task)
{
    ml_list_insert(&hub->ready, &task->waiter.link);
    hub->ready_count++;
}

/* The same, in front of all others. */
static inline void ml_ready_push_first(struct ml_hub *hub, struct ml_task *task)
{
    ml_list_insert(hub->ready.next, &task->waiter.link);
    hub->ready_count++;
}

/* Takes out a task that stands in it. */
static inline void ml_ready_remove(struct ml_hub *hub, struct ml_task *task)
{
    ml_list_remove(&task->waiter.link);
    hub->ready_count--;
}

/* Takes out the first, or a random one (hub/simulation.h), and has the processor fetch what those after it
 * will touch; NULL: it is empty. */
struct ml_task *ml_ready_pop(struct ml_hub *hub);

#endif
