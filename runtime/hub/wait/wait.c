#include "hub/wait/wait.h"

#include "base/check.h"
#include "base/hostile.h"
#include "hub/state/deadlines.h"
#include "hub/state/ready.h"
#include "hub/state/scope.h"
#include "hub/switch/switch.h"

#include <errno.h>
#include <stddef.h>

static const struct ml_wait_kind sleep_kind = {.text = "the clock", .external = true};
const struct ml_wait_kind ml_join_kind = {.text = "the end of task", .target = ML_TARGET_TASK};

/* The error for a wait that no event ended. */
static __attribute__((noinline)) int failure(struct ml_task *task, ml_time deadline)
{
    if (task->wake == ML_WAKE_CANCEL)
        return -ECANCELED;
    if (deadline < ml_scope_deadline(task))
        return -ETIMEDOUT;
    ml_scope_expire(task, ml_scope_deadline(task));
    return -ECANCELED;
}

/* Parks the running task until it is woken; the deadline is armed, if there is one. */
static inline int park(struct ml_hub *hub, struct ml_task *task, ml_time deadline)
{
    task->waits_externally = task->waits_for->external || task->deadline != ML_FOREVER;
    hub->waits.external += task->waits_externally;
    task->computed = 0;
    ml_hub_park(hub);
    ml_hub_end_wait(hub, task);
    return ml_likely(task->wake == ML_WAKE_EVENT) ? 0 : failure(task, deadline);
}

/* The checks before parking. 0, or the reason not to park. */
static inline int prepare(struct ml_hub *hub, const struct ml_wait_kind *kind, uint32_t on,
                          ml_time deadline)
{
    struct ml_task *task = hub->current;
    if (deadline == ML_NEVER_WAIT)
        return -ETIMEDOUT;
    task->waits_for = kind;
    task->waits_on = on;
    task->deadline = ml_time_earlier(deadline, ml_scope_deadline(task));
    int error = ml_cancel_point(hub);
    task->wake = ML_WAKE_NONE;
    if (error == 0 && task->deadline != ML_FOREVER)
        error = ml_deadline_arm(hub, task);
    if (error != 0)
        return error == -ETIMEDOUT ? failure(task, deadline) : error;
    task->granted = 0;
    task->state = ML_TASK_WAITING;
    return 0;
}

int ml_wait(struct ml_hub *hub, const struct ml_wait_kind *kind, uint32_t on, struct ml_link *queue,
            ml_time deadline)
{
    int error = prepare(hub, kind, on, deadline);
    if (error != 0)
        return error;
    struct ml_task *task = hub->current;
    task->queue = queue;
    if (queue != NULL)
        ml_list_insert(queue, &task->waiter.link);
    if (ML_IS_HOSTILE && (hub->waits.spurious = !hub->waits.spurious))
        ml_task_wake(task, ML_WAKE_EVENT);
    return park(hub, task, deadline);
}

int ml_wait_granted(struct ml_hub *hub, const struct ml_wait_kind *kind, uint32_t on,
                    struct ml_link *queue, uint16_t value, ml_time deadline)
{
    int error = prepare(hub, kind, on, deadline);
    if (error != 0)
        return error;
    struct ml_task *task = hub->current;
    task->waiter.value = value;
    task->queue = queue;
    if (queue != NULL)
        ml_list_insert(queue, &task->waiter.link);
    return park(hub, task, deadline);
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
        error = ml_wait(hub, &ml_join_kind, (uint32_t)task->id, &task->joiners, deadline);
    if (error != 0)
        task->is_joined = !ml_list_is_empty(&task->joiners);
    return error;
}
