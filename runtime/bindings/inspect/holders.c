#include "bindings/inspect/holders.h"

#include "bindings/lib/require.h"
#include "bindings/task/group_object.h"
#include "hub/on/sync_primitives.h"
#include "hub/wait/wait.h"
#include "interpose/held_locks.h"

static bool is_waiting(const struct ml_task *task)
{
    return task->state == ML_TASK_WAITING && task->waits_for != NULL;
}

struct ml_task *ml_holder_of(struct ml_lua *lua, const struct ml_task *task)
{
    struct ml_task *holder = NULL;
    if (!is_waiting(task) || task->waits_for->target != ML_TARGET_TASK)
        return NULL;
    if (task->waits_for == &ml_join_kind)
        holder = ml_container_of(task->queue, struct ml_task, joiners);
    else if (task->waits_for == &ml_mutex_kind)
        holder = ml_container_of(task->queue, struct ml_mutex, waiters)->owner;
    else if (task->waits_for == &ml_lock_kind)
        holder = lua->libc_calls != NULL ? ml_lock_holder(lua->libc_calls, task->waits_on) : NULL;
    else if (task->waits_for == &ml_module_kind)
        holder = ml_module_loader(task);
    return holder != task ? holder : NULL;
}

struct ml_group *ml_awaited_group(const struct ml_task *task)
{
    bool waits = is_waiting(task) && task->waits_for == &ml_group_kind;
    return waits ? ml_container_of(task->queue, struct ml_group, joiners) : NULL;
}
