#include "bindings/inspect/stop.h"

#include "bindings/core/blocking.h"
#include "bindings/core/cancellation.h"
#include "bindings/core/lua_strand.h"
#include "hub/state/ready.h"
#include "hub/wait/wait.h"

#include <lauxlib.h>

/* Key in the registry of the table with the client's functions: hit, stopped, passed. */
static const char client_key;

static const struct ml_wait_kind stop_kind = {
    .text = "the debugger", .external = true, .is_lasting = true};

/* How often a stopped task whose cancellation is held back looks for the end of the program. */
#define LOOK_INTERVAL (100 * ML_MILLISECOND)

void ml_stop_open(lua_State *L)
{
    lua_rawsetp(L, LUA_REGISTRYINDEX, &client_key);
}

void ml_stop_end(struct ml_task *task)
{
    if (task->state == ML_TASK_WAITING && task->waits_for == &stop_kind)
        ml_task_wake(task, ML_WAKE_EVENT);
}

/* ---- the client's functions ---- */

/* A call of one of them: its arguments are the task's id, the thread, and what `push` pushes. */
struct call {
    const char *name;
    uint64_t task, number;
    const struct ml_stop *stop;
};

/* Stack: a struct call as light userdata, the thread, perhaps an error -> the function's result. */
static int call_client(lua_State *L)
{
    const struct call *call = lua_touserdata(L, 1);
    luaL_checkstack(L, 16, NULL);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &client_key);
    lua_getfield(L, -1, call->name);
    lua_pushinteger(L, (lua_Integer)call->task);
    lua_pushvalue(L, 2);
    lua_pushinteger(L, (lua_Integer)call->number);
    lua_pushstring(L, call->stop != NULL ? call->stop->reason : NULL);
    lua_newtable(L);
    for (int i = 0; call->stop != NULL && i < call->stop->count; i++) {
        lua_pushinteger(L, call->stop->hits[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_pushvalue(L, 3);
    lua_call(L, 6, 1);
    return 1;
}

/* Calls a function of the client's on its own thread, where no wait is possible. Returns its result
 * as a boolean; `otherwise` when it cannot be called, or fails. */
static bool ask(struct ml_debugger *debugger, lua_State *L, struct call *call, bool otherwise)
{
    struct ml_hub *hub = &debugger->lua->hub;
    lua_State *own = debugger->L;
    int top = lua_gettop(own);
    bool has_error = call->stop != NULL && call->stop->has_error;
    if (hub->current == NULL || !lua_checkstack(own, 8) || !lua_checkstack(L, 4))
        return otherwise;
    struct ml_scope *scope = ml_scope_open(hub, ML_SCOPE_NO_SWITCH, ML_FOREVER);
    if (scope == NULL)
        return otherwise;
    call->task = hub->current->id;
    lua_pushcfunction(own, call_client);
    lua_pushlightuserdata(own, call);
    if (has_error)
        lua_pushvalue(L, -1);
    lua_pushthread(L);
    lua_xmove(L, own, 1);
    if (has_error)
        lua_xmove(L, own, 1);
    bool is_good = lua_pcall(own, 2 + has_error, 1, 0) == LUA_OK;
    bool result = is_good ? lua_toboolean(own, -1) : otherwise;
    lua_settop(own, top);
    ml_scope_close(hub, scope);
    return result;
}

bool ml_stop_is_wanted(struct ml_debugger *debugger, lua_State *L, int id)
{
    struct call call = {.name = "hit", .number = (uint64_t)id};
    return ask(debugger, L, &call, true);
}

/* ---- the wait ---- */

/* As ml_blocking_begin(), which raises. */
static bool may_wait(lua_State *L)
{
    struct ml_lua *lua = ml_lua_of(L);
    const struct ml_task *task = lua->hub.current;
    if (task == NULL || L == lua->main || L == lua->aside)
        return false;
    struct ml_strand *strand = ml_strand_of(L);
    bool is_elsewhere = strand != task->strand && ml_strand_state(strand) != ML_STRAND_UNBOUND;
    return !is_elsewhere && ml_blocking_try(L);
}

/* The program ends: nothing is held back any more. */
static bool is_over(const struct ml_lua *lua)
{
    const struct ml_lua_task *main = lua->tasks.main;
    return lua->is_unwinding || (main != NULL && main->task.was_cancelled);
}

/* A cancellation, or a deadline, does not end a stop. The task gets it at its next wait. */
static void hold(struct ml_debugger *debugger, const struct ml_flow *flow)
{
    struct ml_hub *hub = &debugger->lua->hub;
    struct ml_scope *shield =
        debugger->freezes ? ml_scope_open(hub, ML_SCOPE_SHIELD, ML_FOREVER) : NULL;
    int error = 0;
    while (error == 0 && !flow->is_released) {
        ml_time deadline =
            shield != NULL ? ml_time_after(ml_hub_now(hub), LOOK_INTERVAL) : ML_FOREVER;
        error = ml_wait(hub, &stop_kind, 0, NULL, deadline);
        if (error != 0 && is_over(debugger->lua))
            break;
        if (error == -ECANCELED && shield == NULL)
            shield = ml_scope_open(hub, ML_SCOPE_SHIELD, ML_FOREVER);
        if ((error == -ECANCELED || error == -ETIMEDOUT) && shield != NULL)
            error = 0;
    }
    if (shield != NULL)
        ml_scope_close(hub, shield);
}

static void hold_task(struct ml_debugger *debugger, struct ml_flow *flow, lua_State *L)
{
    struct ml_hub *hub = &debugger->lua->hub;
    bool freezes = debugger->freezes;
    ml_time begin = ml_hub_now(hub);
    hold(debugger, flow);
    ml_blocking_finish(L);
    if (freezes)
        ml_scope_postpone(hub->current, ml_hub_now(hub) - begin);
}

/* All tasks stop: the thread serves the client until it lets this one go on. */
static void hold_thread(struct ml_debugger *debugger, const struct ml_flow *flow)
{
    bool goes_on = true;
    debugger->is_serving = true;
    while (goes_on && !flow->is_released && !is_over(debugger->lua) && debugger->serve != NULL)
        goes_on = debugger->serve(debugger->L);
    debugger->is_serving = false;
}

void ml_stop_here(struct ml_debugger *debugger, lua_State *L, const struct ml_stop *stop)
{
    struct ml_task *task = debugger->lua->hub.current;
    struct ml_flow *flow = ml_flow_obtain(&debugger->flows, task);
    bool waits = flow != NULL && may_wait(L);
    bool stops = waits || (flow != NULL && debugger->serve != NULL && !debugger->is_serving);
    struct call call = {.name = stops ? "stopped" : "passed", .stop = stop};
    call.number = ++debugger->last_stop;
    if (stops) {
        ml_flow_aim(&debugger->flows, flow, ML_AIM_NONE);
        flow->stop = call.number;
        flow->stopped_on = L;
        flow->is_released = false;
    }
    ask(debugger, L, &call, false);
    if (waits)
        hold_task(debugger, flow, L);
    else if (stops)
        hold_thread(debugger, flow);
    if (stops) {
        flow->stop = 0;
        flow->stopped_on = NULL;
        if (flow->aim == ML_AIM_NONE && !flow->is_own)
            ml_flow_drop(&debugger->flows, task);
    }
}

/* ---- errors ---- */

/* The error on top of `thread`, on which its frames stand, was raised by code of the running task.
 */
static void on_error(struct ml_lua *lua, lua_State *thread, bool is_caught)
{
    struct ml_debugger *debugger = lua->debugger;
    struct ml_stop stop = {.reason = "exception", .has_error = true};
    const struct ml_flow *flow = ml_flow_find(&debugger->flows, lua->hub.current);
    bool is_wanted = is_caught ? debugger->stops_at_raised
                               : debugger->stops_at_uncaught || debugger->stops_at_raised;
    if (lua->hub.current == NULL || !is_wanted || ml_is_cancellation(thread, -1) ||
        lua->report.is_composed || (flow != NULL && flow->is_own) || thread == debugger->L ||
        debugger->is_serving)
        return;
    ml_stop_here(debugger, thread, &stop);
}

void ml_stop_install(struct ml_debugger *debugger)
{
    bool is_needed = debugger->stops_at_uncaught || debugger->stops_at_raised;
    debugger->lua->task_hooks.failed = is_needed ? on_error : NULL;
    debugger->lua->task_hooks.raised = debugger->stops_at_raised ? on_error : NULL;
}
