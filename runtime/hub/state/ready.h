/*
 * The queue of tasks that can run, in order. Knows neither why a task is ready nor how the hub
 * switches to it.
 */
#ifndef ML_HUB_STATE_READY_H
#define ML_HUB_STATE_READY_H

#include "base/check.h"
#include "hub/state/hub.h"

#include <stddef.h>

/* Puts a task, which stands in no queue, at the end of those that were not preempted. */
static inline void ml_ready_push(struct ml_hub *hub, struct ml_task *task)
{
    ml_list_insert(hub->ready.rest, &task->waiter.link);
    hub->ready.count++;
}

/* Puts a task that is preempted at the end. It runs when all others have, or after a while. */
void ml_ready_push_preempted(struct ml_hub *hub, struct ml_task *task);

/* The first of the preempted tasks, if there is one, is one of the others from now on. */
void ml_ready_promote(struct ml_hub *hub);

/* What ml_ready_expect_poll() does. */
void ml_ready_let_woken_first(struct ml_hub *hub);

/* To be called before each poll. If a task was preempted, those that the poll wakes come before
 * those that have not begun: ten of these that compute would keep them for ten slices. */
static inline void ml_ready_expect_poll(struct ml_hub *hub)
{
    if (ml_unlikely(hub->ready.gave_way))
        ml_ready_let_woken_first(hub);
}

/* To be called after each poll: promotes one when others have come first for some polls. */
static inline void ml_ready_note_poll(struct ml_hub *hub)
{
    enum { MOST = 10 };
    if (ml_unlikely(hub->ready.mark != NULL))
        hub->ready.rest = hub->ready.mark;
    hub->ready.mark = NULL;
    bool is_passed_over = hub->ready.rest != &hub->ready.queue;
    if (ml_unlikely(is_passed_over) && ++hub->ready.passed_over >= MOST)
        ml_ready_promote(hub);
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
    if (ml_unlikely(hub->ready.rest == &task->waiter.link))
        hub->ready.rest = task->waiter.link.next;
    if (ml_unlikely(hub->ready.mark == &task->waiter.link))
        hub->ready.mark = task->waiter.link.next;
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

/* What ml_ready_pop() does when all tasks of the queue were preempted, or there is none. */
struct ml_task *ml_ready_pop_preempted(struct ml_hub *hub);

/* Takes out the first task, or a random one, and has the processor prefetch what those after it
 * will touch; NULL: the queue is empty. */
static inline struct ml_task *ml_ready_pop(struct ml_hub *hub)
{
    if (hub->ready.queue.next == hub->ready.rest)
        return ml_ready_pop_preempted(hub);
    if (ml_unlikely(hub->ready.shuffle_state != 0))
        ml_ready_shuffle(hub);
    struct ml_task *task = ml_container_of(hub->ready.queue.next, struct ml_task, waiter.link);
    ml_list_remove(&task->waiter.link);
    hub->ready.count--;
    return hub->ready.count > 2 ? ml_ready_prefetch(hub, task) : task;
}

#endif
