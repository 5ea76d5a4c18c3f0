#include "hub/wait.h"

#include "base/check.h"
#include "base/hostile.h"
#include "hub/scope.h"

#include <errno.h>
#include <stddef.h>

static const struct ml_wait_kind sleep_kind = {.text = "the clock", .external = true};
static const struct ml_wait_kind join_kind = {.text = "the end of task"};

/* Sees to it that an entry of the timer heap is due at or before the task's deadline. */
static __attribute__((noinline)) int arm(struct ml_hub *hub, struct ml_task *task)
{
    ml_time at = task->deadline;
    if (task->timer_at <= at)
        return 0;
    ml_hub_forget_timer(hub, task);
    uint32_t generation = ++hub->timer_generation;
    struct ml_timer_entry entry = {.at = at, .slot = task->slot, .generation = generation};
    if (ml_timers_add(&hub->timers, entry) != 0)
        return -ENOMEM;
    task->timer_at = at;
    task->timer_generation = generation;
    return 0;
}

/* Why a wait ended that no event ended. */
static __attribute__((noinline)) int failure(struct ml_task *task, ml_time deadline)
{
    if (task->wake == ML_WAKE_CANCEL)
        return -ECANCELED;
    if (deadline < ml_scope_deadline(task))
        return -ETIMEDOUT;
    ml_scope_expire(task, ml_scope_deadline(task));
    return -ECANCELED;
}

int ml_wait(struct ml_hub *hub, const struct ml_wait_kind *kind, uint32_t on, struct ml_link *queue,
            ml_time deadline)
{
    struct ml_task *task = hub->current;
    if (deadline == ML_NEVER_WAIT)
        return -ETIMEDOUT;
    task->waits_for = kind;
    task->waits_on = on;
    task->deadline = ml_time_earlier(deadline, ml_scope_deadline(task));
    int error = ml_cancel_point(hub);
    if (error == 0 && task->deadline != ML_FOREVER)
        error = arm(hub, task);
    if (error != 0)
        return error;
    task->wake = ML_WAKE_NONE;
    task->state = ML_TASK_WAITING;
    if (queue != NULL)
        ml_list_insert(queue, &task->link);
    if (ML_IS_HOSTILE && (hub->spurious = !hub->spurious))
        ml_task_wake(task, ML_WAKE_EVENT);
    task->waits_externally = task->waits_for->external || task->deadline != ML_FOREVER;
    hub->external += task->waits_externally;
    ml_hub_park(hub);
    hub->external -= task->waits_externally;
    task->waits_externally = false;
    return ml_likely(task->wake == ML_WAKE_EVENT) ? 0 : failure(task, deadline);
}

bool ml_wake_first(struct ml_link *queue)
{
    if (ml_list_is_empty(queue))
        return false;
    ml_task_wake(ml_container_of(queue->next, struct ml_task, link), ML_WAKE_EVENT);
    return true;
}

void ml_wake_all(struct ml_link *queue)
{
    while (ml_wake_first(queue))
        ;
}

int ml_sleep_until(struct ml_hub *hub, ml_time deadline)
{
    int error = 0;
    while (error == 0)
        error = ml_wait(hub, &sleep_kind, 0, NULL, deadline);
    return error == -ETIMEDOUT ? 0 : error;
}

int ml_join(struct ml_hub *hub, struct ml_task *task, ml_time deadline)
{
    int error = 0;
    task->is_joined = true;
    while (error == 0 && task->state != ML_TASK_ENDED)
        error = ml_wait(hub, &join_kind, (uint32_t)task->id, &task->joiners, deadline);
    if (error != 0)
        task->is_joined = !ml_list_is_empty(&task->joiners);
    return error;
}
