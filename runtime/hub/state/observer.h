/*
 * Observers of a hub: each is told what happens to its tasks, for accounts, metrics and traces.
 * Knows nothing of what they keep. While there is none, an event costs the test of a pointer.
 */
#ifndef ML_HUB_STATE_OBSERVER_H
#define ML_HUB_STATE_OBSERVER_H

#include "base/check.h"
#include "hub/state/hub.h"

#include <stddef.h>

enum ml_task_event {
    ML_TASK_SPAWNED, /* it stands in the ready queue for the first time */
    ML_TASK_RESUMED, /* its code runs from now on */
    ML_TASK_PAUSED,  /* it lets the next task run: its state is ready, or waiting for
                        task->waits_for */
    ML_TASK_WOKEN,   /* its wait is over, by task->wake; hub->current woke it, or an event if that
                        is NULL */
    ML_TASK_FINISHED /* it has ended: nothing is told of it any more */
};

/* Embedded by the observer, which keeps it until it is removed. */
struct ml_observer {
    struct ml_observer *next;
    /* Runs on the stack of the task that acts, or the hub's. May neither switch, nor raise, nor
     * spawn, nor wake a task. It may remove itself. */
    void (*on_event)(struct ml_observer *observer, struct ml_task *task, enum ml_task_event event);
};

void ml_observer_add(struct ml_hub *hub, struct ml_observer *observer);

/* Harmless for one that was not added. */
void ml_observer_remove(struct ml_hub *hub, struct ml_observer *observer);

/* Use ml_observe(). */
void ml_observers_tell(struct ml_hub *hub, struct ml_task *task, enum ml_task_event event);

static inline void ml_observe(struct ml_hub *hub, struct ml_task *task, enum ml_task_event event)
{
    if (ml_unlikely(hub->observers != NULL))
        ml_observers_tell(hub, task, event);
}

#endif
