/*
 * Cancel scopes: a deadline and a cancelled flag over everything a task does between open and
 * close. They nest; every wait inside looks at all of them, each time anew. Outside all of them the
 * task as a whole can be cancelled. Knows nothing of how a cancellation is told to the program.
 */
#ifndef ML_HUB_SCOPE_H
#define ML_HUB_SCOPE_H

#include "hub/hub.h"

/* Opens a scope inside those of the running task. NULL: no memory. Close it in reverse order. */
struct ml_scope *ml_scope_open(struct ml_hub *hub, ml_time deadline);

/* What ml_scope_close() tells of the scope that it closed. */
struct ml_scope_end {
    bool expired; /* its own deadline cut it short */
};

/* Closes the innermost scope of the running task, which must be `scope`. */
struct ml_scope_end ml_scope_close(struct ml_hub *hub, struct ml_scope *scope);

/* The nearest deadline of a task's open scopes. */
static inline ml_time ml_scope_deadline(const struct ml_task *task)
{
    return ml_likely(task->scope == NULL) ? ML_FOREVER : task->scope->nearest_deadline;
}

/* The rest of ml_cancel_point(): a scope is cancelled or has a deadline. */
int ml_cancel_point_look(struct ml_task *task);

/* 0, or -ECANCELED when a scope in force is cancelled or its deadline has passed. Does not wait. */
static inline int ml_cancel_point(struct ml_hub *hub)
{
    struct ml_task *task = hub->current;
    if (ml_likely(!task->cancelled && task->scope == NULL))
        return 0;
    return ml_cancel_point_look(task);
}

/* Marks the open scopes of a task whose deadline is not after `now` as cancelled. */
void ml_scope_expire(struct ml_task *task, ml_time now);

/* Cancels the whole task: its wait, if it is in one, ends now; each later one ends at once. Never
 * waits; harmless on a task that has ended. */
void ml_task_cancel(struct ml_task *task);

/* Gives back every open scope: the task ends. */
void ml_scope_close_all(struct ml_task *task);

#endif
