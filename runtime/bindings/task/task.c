/*** @submodule moonlet.task */
/* The module moonlet.task: tasks, time limits and cancellation for scripts. */
#include "bindings/task/task.h"

#include "base/error.h"
#include "bindings/core/blocking.h"
#include "bindings/core/cancellation.h"
#include "bindings/core/failure.h"
#include "bindings/core/lua_spawn.h"
#include "bindings/core/lua_task.h"
#include "bindings/core/report.h"
#include "bindings/core/story.h"
#include "bindings/core/task_attribute.h"
#include "bindings/core/task_end.h"
#include "bindings/core/task_result.h"
#include "bindings/core/task_view.h"
#include "bindings/core/time_limit.h"
#include "bindings/core/traceback.h"
#include "bindings/task/group.h"
#include "bindings/task/task_options.h"
#include "hub/state/scope.h"
#include "hub/state/trace.h"
#include "hub/switch/switch.h"
#include "hub/wait/wait.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/***
Starts a task that calls fn(...). It is queued, and runs when the caller waits. Never waits.
@function spawn
@tparam[opt] table opts
@tparam[opt] string opts.name
@tparam[opt=false] boolean opts.daemon the program does not wait for it
@tparam[opt=false] boolean opts.quiet its error is not reported: a later join gets it
@tparam[opt] string opts.stack "private": a C stack of its own
@tparam[opt] boolean|number opts.preempt it lets others run when it has computed for so many
milliseconds (true: as many as `--preempt` says, or 10); false: only where it waits. Not inherited
@tparam function fn anything that can be called
@param ... its arguments
@treturn Task or nil, message, code when there is no room for a stack of its own; other want of
memory is an error
*/
static int task_spawn(lua_State *L)
{
    struct ml_lua_spawn options = ml_check_spawn(L, 1);
    int error = ml_lua_spawn(L, &options, lua_gettop(L) - 1);
    return error == 0 ? 1 : ml_push_failure(L, error);
}

/***
Waits.
@function sleep
@tparam number s seconds
*/
static int task_sleep(lua_State *L)
{
    ml_blocking_attend(L);
    ml_time deadline = ml_time_after(ml_hub_now(&ml_lua_of(L)->hub), ml_check_span(L, 1));
    struct ml_lua *lua = ml_blocking_begin(L);
    ml_blocking_end(L, ml_sleep_until(&lua->hub, deadline));
    return 0;
}

/***
Waits until task.now() has reached t. For a time that has passed it does as sleep(0): others run,
and a cancellation is raised.
@function sleep_until
@tparam number t seconds
*/
static int task_sleep_until(lua_State *L)
{
    ml_blocking_attend(L);
    ml_time deadline = ml_check_span(L, 1);
    if (deadline == ML_NEVER_WAIT)
        deadline++;
    struct ml_lua *lua = ml_blocking_begin(L);
    ml_blocking_end(L, ml_sleep_until(&lua->hub, deadline));
    return 0;
}

/***
Lets every task that can run do so before the caller goes on. A cancellation point.
@function yield
*/
static int task_yield(lua_State *L)
{
    ml_blocking_attend(L);
    struct ml_lua *lua = ml_blocking_begin(L);
    ml_blocking_end(L, ml_yield(&lua->hub));
    return 0;
}

/***
Returns the time, as sleep_until() takes it.
@function now
@treturn number seconds of the monotonic clock
*/
static int task_now(lua_State *L)
{
    lua_pushnumber(L, ml_time_to_seconds(ml_hub_now(&ml_lua_of(L)->hub)));
    return 1;
}

/***
Returns the running task.
@function current
@treturn Task the caller's own
*/
static int task_current(lua_State *L)
{
    struct ml_task *current = ml_lua_of(L)->hub.current;
    if (current == NULL)
        return luaL_error(L, "no task is running");
    ml_lua_push_task(L, ml_lua_task_of(current));
    return 1;
}

/***
Lists the tasks.
@function list
@treturn {Task,...} all that have not ended, in the order of their slots
*/
static int task_list(lua_State *L)
{
    struct ml_hub *hub = &ml_lua_of(L)->hub;
    lua_createtable(L, (int)hub->tasks.alive, 0);
    struct ml_task *task;
    lua_Integer count = 0;
    for (uint32_t slot = 0; (task = ml_hub_next_task(hub, &slot)) != NULL;) {
        ml_lua_push_task(L, ml_lua_task_of(task));
        lua_rawseti(L, -2, ++count);
    }
    return 1;
}

/***
Returns a table for values of the calling task, which starts as a shallow copy of its spawner's.
@function locals
@treturn table the same one each time
*/
static int task_locals(lua_State *L)
{
    task_current(L);
    struct ml_lua_task *task = ml_check_task(L, -1);
    if (!task->has_locals) {
        lua_newtable(L);
        ml_attribute_set(L, ML_ATTRIBUTE_LOCALS, -2);
        task->has_locals = true;
    }
    ml_attribute_get(L, ML_ATTRIBUTE_LOCALS, -1);
    return 1;
}

/***
Sets a function for the errors of tasks that no task joins: from now on fn(task, err, traceback) is
called, and the error is not printed. fn may not wait; if it fails, its error and the task's are
printed.
@function on_error
@tparam ?function fn nil: errors are printed
@return the previous function, or nil
*/
static int task_on_error(lua_State *L)
{
    luaL_checkany(L, 1);
    if (!lua_isnil(L, 1))
        ml_check_callable(L, 1);
    lua_settop(L, 1);
    ml_report_set_handler(L);
    return 1;
}

int ml_call_in_scope(lua_State *L, enum ml_scope_kind kind, ml_time deadline)
{
    ml_check_callable(L, 2);
    struct ml_hub *hub = &ml_lua_of(L)->hub;
    if (hub->current == NULL)
        return luaL_error(L, "no task is running");
    intptr_t count = ml_cancellation_count(L);
    struct ml_scope *scope = ml_scope_open(hub, kind, deadline);
    if (scope == NULL)
        return luaL_error(L, "not enough memory");
    lua_pushcfunction(L, ml_story_handler);
    lua_replace(L, 1);
    int status = lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 1);
    struct ml_scope_end end = ml_scope_close(hub, scope);
    if (status == LUA_OK)
        return lua_gettop(L) - 1;
    bool is_cancellation = ml_cancellation_is_raised(L, count);
    ml_cancellation_rethrow(L, count);
    if (end.expired && is_cancellation) {
        if (ml_unlikely(hub->trace != NULL))
            ml_trace_tell(hub->trace, ML_TRACE_DEADLINE, NULL);
        return ml_push_failure(L, -ML_EDEADLINE);
    }
    return lua_error(L);
}

/***
Calls fn(...) and cancels it after s seconds, in any call that it waits in.
@function timeout
@tparam ?number s nil: no limit
@tparam function fn
@param ... its arguments
@return fn's results; or nil, "deadline passed", "EDEADLINE" if this limit ended it. Other errors,
and cancellations from outside, are raised.
*/
static int task_timeout(lua_State *L)
{
    return ml_call_in_scope(L, ML_SCOPE_PLAIN, ml_check_deadline(L, 1));
}

/***
As timeout(); meanwhile cancellations and deadlines from outside are not in force, afterwards they
are again. For clean-up that has to wait.
@function shield
@tparam ?number s nil: no limit
@tparam function fn
@param ... its arguments
@return as timeout()
*/
static int task_shield(lua_State *L)
{
    return ml_call_in_scope(L, ML_SCOPE_SHIELD, ml_check_deadline(L, 1));
}

/***
Calls fn(...), in which no other task may run: a call that would wait is an error.
@function no_switch
@tparam function fn
@param ... its arguments
@return fn's results
*/
static int task_no_switch(lua_State *L)
{
    ml_check_callable(L, 1);
    lua_pushnil(L);
    lua_insert(L, 1);
    return ml_call_in_scope(L, ML_SCOPE_NO_SWITCH, ML_FOREVER);
}

/***
As pcall, but returns a cancellation, too; the task, or scope, stays cancelled. Waits if fn does.
@function pcall
@tparam function fn
@param ... its arguments
@return true and fn's results; or false and the error value
*/
static int task_pcall(lua_State *L)
{
    luaL_checkany(L, 1);
    bool ok = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0) == LUA_OK;
    lua_pushboolean(L, ok);
    lua_insert(L, 1);
    return lua_gettop(L);
}

/***
Returns how long the calling task has.
@function remaining
@treturn number seconds until the nearest deadline in force, math.huge without one
*/
static int task_remaining(lua_State *L)
{
    struct ml_task *current = ml_lua_of(L)->hub.current;
    ml_time deadline = current != NULL ? ml_scope_deadline(current) : ML_FOREVER;
    lua_Number seconds = deadline == ML_FOREVER
                             ? (lua_Number)HUGE_VAL
                             : ml_time_to_seconds(deadline - ml_hub_now(current->hub));
    lua_pushnumber(L, seconds > 0 ? seconds : 0);
    return 1;
}

/***
Returns whether an error is a cancellation.
@function is_cancellation
@param err an error value
@treturn boolean
*/
static int task_is_cancellation(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_pushboolean(L, ml_is_cancellation(L, 1));
    return 1;
}

/* ---- methods of a Task ---- */

/***
A task. It prints as its name and state.
@object Task
@tfield integer id unique in its program
@tfield string name shown in reports: the one given to spawn(), or the line of its function
*/

/***
Waits for the end of the task.
@function Task:join
@tparam[opt] number timeout seconds
@return true and the results of its function; or nil, its error value, "EFAILED"; or nil, message,
"ECANCELED" or "ETIMEDOUT"
*/
static int task_join(lua_State *L)
{
    struct ml_lua_task *task = ml_check_task(L, 1);
    ml_time deadline = ml_check_deadline(L, 2);
    struct ml_hub *hub = &ml_lua_of(L)->hub;
    lua_settop(L, 1);
    if (task->outcome != ML_OUTCOME_NONE && deadline == ML_NEVER_WAIT)
        return ml_lua_task_push_end(L, 1);
    if (hub->current == &task->task)
        return luaL_error(L, "a task cannot join itself");
    ml_blocking_begin(L);
    int error = ml_cancel_point_until(hub, deadline);
    if (error == 0 && task->outcome == ML_OUTCOME_NONE)
        error = ml_join(hub, &task->task, deadline);
    error = ml_blocking_end(L, error);
    if (error != 0)
        return ml_push_failure(L, error);
    return ml_lua_task_push_end(L, 1);
}

/***
Asks the task to end: the call it waits in, and each later one, raises. Returns at once; harmless on
a task that has ended. The function of a task that has not run yet is never called.
@function Task:cancel
@param[opt] reason shown by the cancellation
*/
static int task_cancel(lua_State *L)
{
    struct ml_lua_task *task = ml_check_task(L, 1);
    if (!lua_isnoneornil(L, 2))
        ml_cancellation_set_reason(L, 1, 2);
    ml_task_cancel(&task->task);
    return 0;
}

static const char *status_of(const struct ml_lua_task *task)
{
    static const char *const states[] = {[ML_TASK_NEW] = "ready",
                                         [ML_TASK_READY] = "ready",
                                         [ML_TASK_RUNNING] = "running",
                                         [ML_TASK_WAITING] = "waiting"};
    static const char *const outcomes[] = {[ML_OUTCOME_DONE] = "done",
                                           [ML_OUTCOME_FAILED] = "failed",
                                           [ML_OUTCOME_CANCELLED] = "cancelled"};
    bool has_ended = task->outcome != ML_OUTCOME_NONE;
    return has_ended ? outcomes[task->outcome] : states[task->task.state];
}

/***
Returns the state of the task.
@function Task:status
@treturn string "ready", "running", "waiting", "done", "failed" or "cancelled"
*/
static int task_status(lua_State *L)
{
    lua_pushstring(L, status_of(ml_check_task(L, 1)));
    return 1;
}

/***
Returns a traceback of the task.
@function Task:traceback
@treturn string its present calls; once it has ended only its name or, if it failed, the calls in
which it did
*/
static int task_traceback(lua_State *L)
{
    struct ml_lua_task *task = ml_check_task(L, 1);
    ml_lua_push_task_text(L, 1);
    if (task->has_traceback) {
        lua_pushliteral(L, "\n");
        ml_attribute_get(L, ML_ATTRIBUTE_TRACEBACK, 1);
        lua_concat(L, 3);
    } else if (task->task.state != ML_TASK_ENDED)
        ml_lua_push_traceback(L, task, lua_tostring(L, -1));
    return 1;
}

/***
Registers fn(task) to be called when the task ends; calls it now if the task has ended. fn may not
wait; its error is reported. It is not called for a task that is dropped because it did not end in
time at the end of the program.
@function Task:on_exit
@tparam function(Task) fn
*/
static int task_on_exit(lua_State *L)
{
    struct ml_lua_task *task = ml_check_task(L, 1);
    ml_check_callable(L, 2);
    lua_settop(L, 2);
    if (task->outcome == ML_OUTCOME_NONE) {
        ml_lua_task_add_exit(L, task);
        return 0;
    }
    lua_State *aside = ml_lua_of(L)->aside;
    lua_pushvalue(L, 1); /* the Task, fn, the Task */
    lua_xmove(L, aside, 3);
    ml_report_call(ml_lua_of(L), "an on_exit function of", -3, 1);
    lua_pop(aside, 1);
    return 0;
}

static int task_tostring(lua_State *L)
{
    struct ml_lua_task *task = ml_check_task(L, 1);
    ml_lua_push_task_text(L, 1);
    lua_pushfstring(L, " (%s)", status_of(task));
    lua_concat(L, 2);
    return 1;
}

/* Methods, and the constant facts `id` and `name`. Upvalue: the table of methods. */
static int task_index(lua_State *L)
{
    struct ml_lua_task *task = ml_check_task(L, 1);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
        return 1;
    const char *key = lua_tostring(L, 2);
    if (key != NULL && strcmp(key, "id") == 0)
        lua_pushinteger(L, (lua_Integer)task->task.id);
    else if (key != NULL && strcmp(key, "name") == 0)
        ml_lua_push_task_name(L, 1);
    return 1;
}

static const luaL_Reg functions[] = {{"spawn", task_spawn},
                                     {"sleep", task_sleep},
                                     {"sleep_until", task_sleep_until},
                                     {"yield", task_yield},
                                     {"now", task_now},
                                     {"current", task_current},
                                     {"list", task_list},
                                     {"locals", task_locals},
                                     {"on_error", task_on_error},
                                     {"report", ml_task_report},
                                     {"timeout", task_timeout},
                                     {"shield", task_shield},
                                     {"no_switch", task_no_switch},
                                     {"pcall", task_pcall},
                                     {"group", ml_task_group},
                                     {"remaining", task_remaining},
                                     {"is_cancellation", task_is_cancellation},
                                     {"noting", ml_story_noting},
                                     {"story", ml_story_get},
                                     {NULL, NULL}};

static const luaL_Reg methods[] = {{"join", task_join},           {"on_exit", task_on_exit},
                                   {"cancel", task_cancel},       {"status", task_status},
                                   {"traceback", task_traceback}, {NULL, NULL}};

void ml_open_task_type(lua_State *L)
{
    ml_lua_push_task_type(L);
    luaL_newlib(L, methods);
    lua_pushcclosure(L, task_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, task_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pop(L, 1);
}

int ml_open_task(lua_State *L)
{
    ml_open_group_type(L);
    luaL_newlib(L, functions);
    return 1;
}
