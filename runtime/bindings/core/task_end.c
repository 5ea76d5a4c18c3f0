#include "bindings/core/task_end.h"

#include "base/hostile.h"
#include "bindings/core/cancellation.h"
#include "bindings/core/hooks.h"
#include "bindings/core/job.h"
#include "bindings/core/lua_runtime.h"
#include "bindings/core/lua_spawn.h"
#include "bindings/core/report.h"
#include "bindings/core/task_attribute.h"
#include "bindings/core/task_view.h"
#include "bindings/core/thread_pool.h"
#include "hub/state/trace.h"

#include <lauxlib.h>

/* ---- errors ---- */

/* Whether the error on top of the thread is the task's own cancellation on its way out. */
static bool is_own_cancellation(const struct ml_lua_task *task)
{
    return task->task.was_cancelled && task->task.told != 0 && ml_is_cancellation(task->L, -1);
}

void ml_lua_task_keep(struct ml_lua *lua, struct ml_lua_task *task)
{
    lua_State *aside = lua->aside;
    ml_lua_push_task(aside, task);
    lua_insert(aside, -2);
    lua_setiuservalue(aside, -2, ML_TASK_RESULTS);
    lua_pop(aside, 1);
}

/* The same with the value on top of the task's thread. */
static void keep_value(struct ml_lua *lua, struct ml_lua_task *task)
{
    lua_xmove(task->L, lua->aside, 1);
    ml_lua_task_keep(lua, task);
}

/* The hostile build takes a joiner out of the queue for a moment. */
static bool is_joined(const struct ml_task *task)
{
    return !ml_list_is_empty(&task->joiners) || (ML_IS_HOSTILE && task->is_joined);
}

static int push_cancellation(lua_State *L)
{
    ml_cancellation_push(L);
    return 1;
}

/* Reports the error on top of the task's thread, unless another task gets it. */
static void report(struct ml_lua *lua, struct ml_lua_task *task)
{
    if (!task->is_quiet && !is_joined(&task->task))
        ml_report_failure(lua, task);
}

/* Closes the variables of the task's thread. `owed`: its error is what a C library made of a
 * cancellation; unless a closing variable puts its own error there, the cancellation replaces it.
 */
static void close_variables(struct ml_lua_task *task, bool owed)
{
    lua_State *L = task->L;
    const void *error = lua_topointer(L, -1);
    if (lua_status(L) != LUA_OK)
        lua_resetthread(L);
    if (owed && lua_topointer(L, -1) == error) {
        lua_pop(L, 1);
        lua_pushcfunction(L, push_cancellation);
        lua_pcall(L, 0, 1, 0);
    }
}

/* The error on top of the thread was not caught. Closes the pending variables: they may wait, and
 * may replace the error. */
static void fail(struct ml_lua *lua, struct ml_lua_task *task)
{
    bool owed = task->task.was_cancelled && task->owes_cancellation;
    bool cancelled = owed || is_own_cancellation(task);
    task->outcome = cancelled ? ML_OUTCOME_CANCELLED : ML_OUTCOME_FAILED;
    /* Under a limit its variables are closed already: vm/budget.c. */
    bool is_kept = task->has_traceback;
    if (!cancelled && !is_kept) {
        ml_report_keep_traceback(lua, task, 0);
        report(lua, task);
    }
    close_variables(task, owed);
    /* A closing variable's own error takes the place of the first error or of the cancellation, and
     * must not be lost. */
    bool is_replaced =
        cancelled ? !ml_is_cancellation(task->L, -1) : ml_report_first_is_replaced(lua, task);
    if (is_replaced) {
        task->outcome = ML_OUTCOME_FAILED;
        ml_report_keep_closing(lua, task);
        report(lua, task);
    } else if (!cancelled && is_kept) {
        report(lua, task);
    }
    keep_value(lua, task);
}

/* ---- results ---- */

static int pack(lua_State *L)
{
    int count = lua_gettop(L);
    lua_createtable(L, count, 0);
    lua_insert(L, 1);
    for (int i = count; i > 0; i--)
        lua_rawseti(L, 1, i);
    return 1;
}

/* Keeps the `count` results on the thread in the Task. LUA_OK, or an error: no room. */
static int keep_results(struct ml_lua *lua, struct ml_lua_task *task, int count)
{
    lua_State *L = task->L;
    int status = LUA_OK;
    if (count > 1) {
        lua_pushcfunction(L, pack);
        lua_insert(L, 1);
        status = lua_pcall(L, count, 1, 0);
    }
    if (status == LUA_OK && count > 0)
        keep_value(lua, task);
    return status;
}

/* A thread serves again if its function ended well, the script has no reference to it, and no hook
 * is on it. */
static bool serves_again(const struct ml_lua_task *task)
{
    return task->outcome == ML_OUTCOME_DONE && task->run == ML_RUN_FUNCTION &&
           !task->thread_is_known && ml_hooks_are_plain(task->L);
}

/* ---- functions to be called at the end ---- */

void ml_lua_task_add_exit(lua_State *L, struct ml_lua_task *task)
{
    if (!task->has_exits) {
        lua_newtable(L);
        ml_attribute_set(L, ML_ATTRIBUTE_EXITS, 1);
        task->has_exits = true;
    }
    ml_attribute_get(L, ML_ATTRIBUTE_EXITS, 1);
    lua_pushvalue(L, 2);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

/* Stack: how deep calls are to have room. */
static int nest(lua_State *L)
{
    lua_Integer depth = lua_tointeger(L, 1);
    luaL_checkstack(L, 2 * LUA_MINSTACK, NULL);
    if (depth > 0) {
        lua_pushcfunction(L, nest);
        lua_pushinteger(L, depth - 1);
        lua_call(L, 1, 0);
    }
    return 0;
}

/* The collector takes back what calls need on a state that is seldom used. A function that was
 * never called for want of that would be lost, so it is asked for twice. */
static void make_room(lua_State *aside)
{
    enum { DEPTH = 4, TRIES = 2 };
    int status = LUA_ERRMEM;
    for (int i = 0; i < TRIES && status != LUA_OK; i++) {
        lua_pushcfunction(aside, nest);
        lua_pushinteger(aside, DEPTH);
        status = lua_pcall(aside, 1, 0, 0);
        lua_pop(aside, status != LUA_OK);
    }
}

/* They run on the state aside, where no wait is allowed. */
static __attribute__((noinline)) void call_exits(struct ml_lua *lua, struct ml_lua_task *task)
{
    lua_State *aside = lua->aside;
    int top = lua_gettop(aside);
    task->has_exits = false;
    ml_lua_push_task(aside, task);
    int handle = lua_gettop(aside);
    ml_attribute_get(aside, ML_ATTRIBUTE_EXITS, handle);
    lua_pushnil(aside);
    ml_attribute_set(aside, ML_ATTRIBUTE_EXITS, handle);
    for (int i = 1; lua_rawgeti(aside, handle + 1, i) != LUA_TNIL; i++) {
        lua_pushvalue(aside, handle);
        make_room(aside);
        ml_report_call(lua, "an on_exit function of", handle, 1);
        lua_settop(aside, handle + 1);
    }
    lua_settop(aside, top);
}

/* Calls the functions that others want called at the end of a task, on the state aside. */
static void call_others(struct ml_lua *lua, struct ml_lua_task *task)
{
    if (task->is_member)
        lua->task_hooks.member->end(lua, task);
    if (ml_unlikely(task->task.was_cancelled))
        ml_children_end_task(&lua->children, task->task.id);
    if (ml_unlikely(task->has_exits))
        call_exits(lua, task);
    /* Also mutexes that these functions locked. */
    if (ml_unlikely(task->task.held > 0))
        lua->task_hooks.release_mutexes(lua, &task->task);
}

/* A Task without results drops its reference to the thread. */
static void let_go_of_thread(lua_State *aside, struct ml_lua_task *task)
{
    ml_lua_push_task(aside, task);
    lua_pushnil(aside);
    lua_setiuservalue(aside, -2, ML_TASK_THREAD);
    lua_pop(aside, 1);
}

/* The trace gets the name of the task, which nobody can look up when the trace is taken. */
static __attribute__((noinline)) void tell_trace(struct ml_lua *lua, struct ml_lua_task *task)
{
    enum { MOST = 56 };
    uint32_t slot = task->task.waiter.slot;
    size_t size = 0;
    const char *name = NULL;
    ml_trace_add(
        lua->hub.trace,
        (struct ml_trace_record){.event = ML_TRACE_NAME, .task = slot, .more = task->source_line});
    ml_lua_push_tasks(lua->aside);
    lua_rawgeti(lua->aside, -1, (lua_Integer)slot + 1);
    if (task->is_named && ml_lua_push_task_name(lua->aside, lua_gettop(lua->aside)) != NULL)
        name = lua_tolstring(lua->aside, -1, &size);
    if (name != NULL)
        ml_trace_add_text(lua->hub.trace, name, size, MOST);
}

/*
 * The task computes no more: its handle keeps the outcome, its thread goes its own way. The
 * functions that are called here may collect garbage, and the task's strand lies in front of its
 * thread. A thread that the pool does not keep stands on the state aside meanwhile, since its place
 * in the Task may be taken by results.
 */
void ml_lua_task_detach(struct ml_lua *lua, struct ml_lua_task *task, int results)
{
    struct ml_pool_thread thread = {.L = task->L, .index = task->pool_index};
    lua_State *aside = lua->aside;
    int top = lua_gettop(aside);
    if (ml_unlikely(lua->hub.trace != NULL))
        tell_trace(lua, task);
    if (thread.index == 0) {
        lua_pushthread(thread.L);
        lua_xmove(thread.L, aside, 1);
    }
    if (ml_unlikely(task->task.held > 0))
        lua->task_hooks.release_mutexes(lua, &task->task);
    task->result_count = results;
    lua->tasks.outcomes[task->outcome]++;
    if (task == lua->tasks.main)
        lua->tasks.main = NULL; /* another Task may come to lie at its address */
    call_others(lua, task);
    if (ml_unlikely(lua->greenlets.dropped > 0))
        lua->task_hooks.greenlet->orphan(lua, task);
    if (thread.index == 0 && results == 0 && task->outcome != ML_OUTCOME_FAILED)
        let_go_of_thread(aside, task);
    ml_lua_unanchor(aside, task->task.waiter.slot);
    ml_thread_give_back(lua, thread, serves_again(task));
    task->L = task->parked_on = NULL;
    lua_settop(aside, top);
}

/* Handles the end of the function. */
void ml_lua_task_conclude(struct ml_lua_task *task, int status, int results)
{
    struct ml_lua *lua = task->task.hub->owner;
    if (status == LUA_OK)
        status = keep_results(lua, task, results);
    if (ml_unlikely(status != LUA_OK && lua->task_hooks.failed != NULL))
        lua->task_hooks.failed(lua, task->L, false);
    task->outcome = ML_OUTCOME_DONE;
    if (status != LUA_OK) {
        ml_job_drop_unbegun(task->L);
        fail(lua, task);
    }
    lua_settop(task->L, 0);
    ml_lua_task_detach(lua, task, status == LUA_OK ? results : 0);
}
