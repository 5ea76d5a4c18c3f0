#include "hub/scope.h"

#include "base/check.h"

#include <errno.h>
#include <stdlib.h>

struct ml_scope *ml_scope_open(struct ml_hub *hub, ml_time deadline)
{
    struct ml_task *task = hub->current;
    struct ml_scope *scope = hub->free_scopes;
    if (scope != NULL)
        hub->free_scopes = scope->outer;
    else if ((scope = malloc(sizeof *scope)) == NULL)
        return NULL;
    *scope = (struct ml_scope){
        .outer = task->scope,
        .deadline = deadline,
        .nearest_deadline = ml_time_earlier(deadline, ml_scope_deadline(task)),
    };
    task->scope = scope;
    return scope;
}

static bool any_expired(const struct ml_scope *scope)
{
    while (scope != NULL && !scope->expired)
        scope = scope->outer;
    return scope != NULL;
}

static void close_innermost(struct ml_task *task)
{
    struct ml_scope *scope = task->scope;
    task->scope = scope->outer;
    task->cancelled = task->was_cancelled || any_expired(task->scope);
    scope->outer = task->hub->free_scopes;
    task->hub->free_scopes = scope;
}

struct ml_scope_end ml_scope_close(struct ml_hub *hub, struct ml_scope *scope)
{
    ML_CHECK(hub->current->scope == scope);
    struct ml_scope_end end = {.expired = scope->expired};
    close_innermost(hub->current);
    return end;
}

void ml_scope_close_all(struct ml_task *task)
{
    while (task->scope != NULL)
        close_innermost(task);
}

void ml_scope_expire(struct ml_task *task, ml_time now)
{
    for (struct ml_scope *scope = task->scope; scope != NULL; scope = scope->outer) {
        if (scope->deadline > now)
            continue;
        scope->expired = true;
        task->cancelled = true;
    }
}

int ml_cancel_point_look(struct ml_task *task)
{
    ml_time deadline = ml_scope_deadline(task);
    if (!task->cancelled && deadline != ML_FOREVER) {
        ml_time now = ml_clock_now();
        if (deadline <= now)
            ml_scope_expire(task, now);
    }
    return task->cancelled ? -ECANCELED : 0;
}

void ml_task_cancel(struct ml_task *task)
{
    if (task->state == ML_TASK_ENDED)
        return;
    task->was_cancelled = task->cancelled = true;
    ml_task_wake(task, ML_WAKE_CANCEL);
}
