/* Calls of a script's functions by the host, and the end of all tasks of a runtime. */
#include "moonlet.h"

#include "base/error.h"
#include "bindings/core/task_result.h"
#include "hub/state/scope.h"
#include "vm/host_task.h"
#include "vm/runtimes.h"

#include <errno.h>

/* No task can run, and no event from outside, nor time, can change that. */
static bool is_stuck(const struct ml_hub *hub)
{
    return hub->waits.external == 0 && hub->switcher.handoff == NULL &&
           ml_list_is_empty(&hub->ready.queue);
}

static bool has_ended(const struct moonlet_task *handle)
{
    return ml_host_task(handle)->task.state == ML_TASK_ENDED;
}

/* ---- waiting for the task of a call ---- */

struct wait {
    struct moonlet *m;
    const struct moonlet_task *handle;
};

static bool is_over(void *context)
{
    const struct wait *wait = context;
    return has_ended(wait->handle) || is_stuck(&wait->m->lua.hub);
}

/* Runs tasks, from outside of them, until the given one ends. 0: it has; or an error. */
static int run_to_its_end(struct moonlet *m, const struct moonlet_task *handle, double limit)
{
    struct wait wait = {m, handle};
    int result = moonlet_run_until(m, is_over, &wait, limit);
    if (has_ended(handle))
        return 0;
    return result < 0 ? result : -EDEADLK;
}

/* Waits for its end, and cancels it if the wait ends otherwise. */
static int await(struct moonlet *m, struct moonlet_task *handle, bool is_in_task, double limit)
{
    int error = is_in_task ? moonlet_join(handle, limit, NULL) : run_to_its_end(m, handle, limit);
    if (has_ended(handle) && error != -ECANCELED)
        return 0;
    if (!has_ended(handle))
        moonlet_cancel(handle);
    return error;
}

/* ---- results ---- */

/* Stack: a Task that has ended -> the results of its function, or its error. */
static int take_end(lua_State *L)
{
    const struct ml_lua_task *task = lua_touserdata(L, 1);
    if (task->outcome == ML_OUTCOME_DONE)
        return ml_lua_task_push_end(L, 1) - 1;
    ml_lua_task_push_value(L, 1);
    return 1;
}

/* Moves the `count` values on top of `from` to L as `wanted` values (negative: as they are); the
 * number or -ENOMEM. */
static int hand_over(lua_State *from, lua_State *L, int count, int wanted)
{
    wanted = wanted >= 0 ? wanted : count;
    if (!lua_checkstack(from, wanted + 1) || (from != L && !lua_checkstack(L, wanted + 1))) {
        lua_pop(from, count);
        return -ENOMEM;
    }
    lua_settop(from, lua_gettop(from) - count + wanted);
    if (from != L)
        lua_xmove(from, L, wanted);
    return wanted;
}

/* Pushes the outcome of the call on L; the number of results, or an error. */
static int push_end(struct moonlet *m, lua_State *L, const struct moonlet_task *handle, int wanted)
{
    lua_State *aside = m->lua.aside;
    enum ml_outcome outcome = ml_host_task(handle)->outcome;
    if (outcome == ML_OUTCOME_CANCELLED)
        return -ECANCELED;
    if (!lua_checkstack(aside, 2))
        return -ENOMEM;
    int top = lua_gettop(aside);
    lua_pushcfunction(aside, take_end);
    ml_host_task_push(aside, handle);
    if (lua_pcall(aside, 1, LUA_MULTRET, 0) != LUA_OK) {
        lua_settop(aside, top);
        return -ENOMEM;
    }
    bool has_failed = outcome == ML_OUTCOME_FAILED;
    int count = hand_over(aside, L, lua_gettop(aside) - top, has_failed ? 1 : wanted);
    return has_failed && count > 0 ? -ML_EFAILED : count;
}

int moonlet_call(struct moonlet *m, lua_State *L, const char *name, int arguments, int results,
                 double limit)
{
    bool is_in_task = ml_runtime_check_task(m) == 0;
    int error = is_in_task ? 0 : ml_runtime_check_idle(m);
    struct moonlet_task *handle = NULL;
    if (error == 0)
        error = ml_host_spawn_lua(m, L, name, arguments, true, &handle);
    if (error != 0)
        return error;
    error = await(m, handle, is_in_task, limit);
    if (error == 0)
        error = push_end(m, L, handle, results);
    moonlet_release(handle);
    return error;
}

/* ---- the end of all tasks ---- */

/* Runs the tasks that are left, daemons included. Returns how many have not ended, or an error. */
static int run_out(struct moonlet *m, double limit)
{
    struct ml_hub *hub = &m->lua.hub;
    bool is_bounded = limit >= 0;
    double end = is_bounded ? ml_time_to_seconds(ml_clock_now()) + limit : 0, left = limit;
    int result = 0;
    while (result >= 0 && hub->tasks.alive > 0 && !is_stuck(hub) && (left > 0 || !is_bounded)) {
        result = moonlet_step(m, left, left);
        left = is_bounded ? end - ml_time_to_seconds(ml_clock_now()) : left;
    }
    return result >= 0 ? (int)hub->tasks.alive : result;
}

int moonlet_cancel_all(struct moonlet *m, double limit)
{
    int error = limit == 0 ? ml_runtime_check(m) : ml_runtime_check_idle(m);
    if (error != 0)
        return error;
    struct ml_hub *hub = &m->lua.hub;
    struct ml_task *task;
    for (uint32_t slot = 0; (task = ml_hub_next_task(hub, &slot)) != NULL;)
        ml_task_cancel(task);
    ml_runtime_touched(m);
    return limit == 0 ? (int)hub->tasks.alive : run_out(m, limit);
}
