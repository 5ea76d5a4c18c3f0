/*
 * The queue of tasks that can run, in order. Knows neither why a task is ready nor how the hub
 * switches to it.
 */
#ifndef ML_HUB_STATE_READY_H
#define ML_HUB_STATE_READY_H

#include "base/check.h"
#include "hub/state/hub.h"

#include <stddef.h>

/* Puts a task, which stands in no queue, at the end. */
static inline void ml_ready_push(struct ml_hub *hub, struct ml_task *task)
{
    ml_list_insert(&hub->ready.queue, &task->waiter.link);
    hub->ready.count++;
}

/* The same, in front of all others. */
static inline void ml_ready_push_first(struct ml_hub *hub, struct ml_task *task)
{
    ml_list_insert(hub->ready.queue.next, &task->waiter.link);
    hub->ready.count++;
}

/* Takes out a task that stands in the queue. */
static inline void ml_ready_remove(struct ml_hub *hub, struct ml_task *task)
{
    ml_list_remove(&task->waiter.link);
    hub->ready.count--;
}

/* Wakes a task that waits; harmless on any other. Never switches. */
void ml_task_wake(struct ml_task *task, enum ml_wake reason);

/* From now on the next task to run is chosen at random among the ready ones (the first 64); seed 0:
 * in order again. */
void ml_ready_set_shuffle(struct ml_hub *hub, uint64_t seed);

/* Brings a random one of the ready tasks to the front. */
void ml_ready_shuffle(struct ml_hub *hub);

/* Has the processor prefetch what the first tasks of the queue will touch. Returns `task`. */
struct ml_task *ml_ready_prefetch(const struct ml_hub *hub, struct ml_task *task);

/* Takes out the first task, or a random one, and has the processor prefetch what those after it
 * will touch; NULL: the queue is empty. */
static inline struct ml_task *ml_ready_pop(struct ml_hub *hub)
{
    if (ml_list_is_empty(&hub->ready.queue))
        return NULL;
    if (ml_unlikely(hub->ready.shuffle_state != 0))
        ml_ready_shuffle(hub);
    struct ml_task *task = ml_container_of(hub->ready.queue.next, struct ml_task, waiter.link);
    ml_ready_remove(hub, task);
    return hub->ready.count > 2 ? ml_ready_prefetch(hub, task) : task;
}

#endif
