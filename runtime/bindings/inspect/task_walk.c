#include "bindings/inspect/task_walk.h"

#include "bindings/core/blocking.h"
#include "hub/switch/switch.h"

struct ml_task_walk ml_task_walk(lua_State *L, ml_time slice)
{
    return (struct ml_task_walk){.L = L,
                                 .last_id = ml_lua_of(L)->hub.tasks.last_id,
                                 .slice = slice,
                                 .slice_end = ml_clock_now() + slice};
}

bool ml_task_walk_rest(struct ml_task_walk *walk)
{
    struct ml_hub *hub = &ml_lua_of(walk->L)->hub;
    if (ml_likely(ml_clock_now() < walk->slice_end))
        return false;
    bool rests = !hub->life.is_forked && ml_blocking_begin_quietly(walk->L);
    if (rests) {
        ml_pass(hub);
        ml_blocking_finish(walk->L);
    }
    walk->slice_end = ml_clock_now() + walk->slice;
    return rests;
}

struct ml_lua_task *ml_task_walk_next(struct ml_task_walk *walk)
{
    struct ml_task *task;
    ml_task_walk_rest(walk);
    do
        task = ml_hub_next_task(&ml_lua_of(walk->L)->hub, &walk->slot);
    while (task != NULL && task->id > walk->last_id);
    return task != NULL ? ml_lua_task_of(task) : NULL;
}
