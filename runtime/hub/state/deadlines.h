/*
 * The deadlines of waiting tasks as entries of the timer heap (hub/state/timers.h): each task has
 * at most one in force, due at or before its deadline. Knows no scopes, no poll, and no other end
 * of a wait.
 */
#ifndef ML_HUB_STATE_DEADLINES_H
#define ML_HUB_STATE_DEADLINES_H

#include "hub/state/hub.h"

/*
 * Ensures that an entry of the timer heap is due at or before task->deadline, which is not
 * ML_FOREVER. Never waits.
 *
 * - 0;
 * - -ENOMEM: the task has no entry now;
 * - -ETIMEDOUT: an earlier wait had the same deadline, which came when the task had just been woken
 *   by something else. If it waited on, and was woken for nothing again and again just before the
 *   hub looks for deadlines that have come, it would outlast its deadline for ever.
 */
int ml_deadline_arm(struct ml_hub *hub, struct ml_task *task);

/* Abandons a task's entry in the timer heap, if it has one; a later sweep removes it. */
void ml_deadline_forget(struct ml_hub *hub, struct ml_task *task);

/* Wakes all tasks whose deadline is not after `now`, in the order of their deadlines. Never
 * switches. */
void ml_deadlines_wake_due(struct ml_hub *hub, ml_time now);

/* No deadline comes before this time, which may be that of a wait that has ended; ML_FOREVER: there
 * is none. */
static inline ml_time ml_deadlines_nearest(const struct ml_hub *hub)
{
    const struct ml_timer_entry *first = ml_timers_first(&hub->deadlines.timers);
    return first != NULL ? first->at : ML_FOREVER;
}

#endif
