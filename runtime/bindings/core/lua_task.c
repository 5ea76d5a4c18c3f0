#include "bindings/core/lua_task.h"

#include "base/check.h"
#include "base/error.h"
#include "base/hostile.h"
#include "bindings/core/attribute.h"
#include "bindings/core/blocking.h"
#include "bindings/core/cancellation.h"
#include "bindings/core/lua_spawn.h"
#include "bindings/core/report.h"
#include "bindings/core/thread_pool.h"
#include "bindings/coroutine/greenlet.h"
#include "bindings/sync/sync.h"
#include "bindings/task/group_members.h"
#include "hub/state/scope.h"
#include "hub/switch/switch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Key in the registry: the error of a task for which there was no memory. */
static const char starved_key;

void ml_lua_task_open(lua_State *L)
{
    lua_pushliteral(L, "not enough memory");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &starved_key);
}

/* ---- errors ---- */

/* Whether the error on top of the thread is the task's own cancellation on its way out. */
static bool is_own_cancellation(const struct ml_lua_task *task)
{
    return task->task.was_cancelled && task->task.told != 0 && ml_is_cancellation(task->L, -1);
}

/* Moves the value on top of the state aside into the Task. */
static void keep_top(struct ml_lua *lua, struct ml_lua_task *task)
{
    lua_State *aside = lua->aside;
    ml_lua_push_task(aside, task);
    lua_insert(aside, -2);
    lua_setiuservalue(aside, -2, ML_TASK_RESULTS);
    lua_pop(aside, 1);
}

/* The same with that on top of the task's thread. */
static void keep_value(struct ml_lua *lua, struct ml_lua_task *task)
{
    lua_xmove(task->L, lua->aside, 1);
    keep_top(lua, task);
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

/* The error on top of the task's thread is told, unless somebody else gets it. */
static void report(struct ml_lua *lua, struct ml_lua_task *task)
{
    if (!task->is_quiet && !is_joined(&task->task))
        ml_report_failure(lua, task);
}

/* Closes the variables of the task's thread. `owed`: its error is what a C library made of a
 * cancellation; unless a closing variable puts its own in that place, it gives way to the
 * cancellation. */
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

/* The error on top of the thread was caught by nobody. Closes the pending variables: they may wait,
 * and may replace the error. */
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
    /* A closing variable's own error takes the place of the first or of the cancellation, and is
     * not to be lost. */
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

/* ---- the body ---- */

static int pack(lua_State *L)
{
    int count = lua_gettop(L);
    lua_createtable(L, count, 0);
    lua_insert(L, 1);
    for (int i = count; i > 0; i--)
        lua_rawseti(L, 1, i);
    return 1;
}

/* Keeps the `count` results on the thread in the Task. LUA_OK, or the error of having no room. */
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

static void on_refused_yield(lua_State *L, lua_Debug *event)
{
    (void)event;
    ml_hooks_disarm(L, ML_HOOK_YIELD);
    luaL_error(L, "attempt to yield from outside a coroutine");
}

const struct ml_hook_kind ml_refused_yield = {
    .events = LUA_MASKCOUNT, .count = 1, .on_event = on_refused_yield};

/* (Refusing a yield there and then takes a C function under the task's own, lua_call()ing it: 256
 * bytes more for each task asleep.) */
static inline int resume_to_the_end(lua_State *L, int *results)
{
    int status = lua_resume(L, NULL, lua_gettop(L) - 1, results);
    while (ml_unlikely(status == LUA_YIELD)) {
        lua_pop(L, *results);
        ml_hooks_arm(L, ML_HOOK_YIELD); /* without memory: the call that yielded returns */
        status = lua_resume(L, NULL, 0, results);
    }
    return status;
}

int ml_resume_to_the_end(lua_State *L)
{
    int results;
    return resume_to_the_end(L, &results);
}

/* A thread serves again if its function ended well, nobody can still hold it, and no hook is on
 * it. */
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

/* They run on the state aside, where nobody may wait. */
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
        ml_report_call(lua, "an on_exit function of", handle, 1);
        lua_settop(aside, handle + 1);
    }
    lua_settop(aside, top);
}

/* Functions that others want called at the end of a task run for it, on the state aside. */
static void call_others(struct ml_lua *lua, struct ml_lua_task *task)
{
    if (task->is_member)
        ml_group_remove(lua, (struct ml_member *)task);
    if (ml_unlikely(task->has_exits))
        call_exits(lua, task);
    /* Also those that these functions locked. */
    if (ml_unlikely(task->task.held > 0))
        ml_sync_release_all(lua, &task->task);
}

/* A Task that keeps no results lets go of the thread that it kept so far. */
static void let_go_of_thread(lua_State *aside, struct ml_lua_task *task)
{
    ml_lua_push_task(aside, task);
    lua_pushnil(aside);
    lua_setiuservalue(aside, -2, ML_TASK_THREAD);
    lua_pop(aside, 1);
}

/*
 * The task computes no more: its handle keeps the outcome, its thread goes its own way. The
 * functions that are called here may collect, and the task's strand lies in front of its thread:
 * one that the pool does not keep stands on the state aside meanwhile, for its place in the Task
 * may be taken by results.
 */
static __attribute__((noinline)) void detach(struct ml_lua *lua, struct ml_lua_task *task,
                                             int results)
{
    struct ml_pool_thread thread = {.L = task->L, .index = task->pool_index};
    lua_State *aside = lua->aside;
    int top = lua_gettop(aside);
    if (thread.index == 0) {
        lua_pushthread(thread.L);
        lua_xmove(thread.L, aside, 1);
    }
    if (ml_unlikely(task->task.held > 0))
        ml_sync_release_all(lua, &task->task);
    task->result_count = results;
    if (task == lua->main_task)
        lua->main_task = NULL; /* another may come to lie at its address */
    call_others(lua, task);
    if (ml_unlikely(lua->dropped_greenlets > 0))
        ml_greenlet_orphan(lua, task);
    if (thread.index == 0 && results == 0 && task->outcome != ML_OUTCOME_FAILED)
        let_go_of_thread(aside, task);
    ml_lua_unanchor(aside, task->task.waiter.slot);
    ml_thread_give_back(lua, thread, serves_again(task));
    task->L = task->parked_on = NULL;
    lua_settop(aside, top);
}

/* What follows the function's end. */
static __attribute__((noinline)) void conclude(struct ml_lua_task *task, int status, int results)
{
    struct ml_lua *lua = task->task.hub->owner;
    if (status == LUA_OK)
        status = keep_results(lua, task, results);
    task->outcome = ML_OUTCOME_DONE;
    if (status != LUA_OK)
        fail(lua, task);
    lua_settop(task->L, 0);
    detach(lua, task, status == LUA_OK ? results : 0);
}

/*
 * Notes where the chain of the running task begins, which is about to be abandoned: its strands
 * stay linked. A task may be abandoned once more while those of another time are being closed:
 * their turn comes after the new ones'.
 *
 * Each thread of the chain stands on the stack of the next, which resumed it: that keeps it alive
 * until it is closed.
 */
static void note_chain(struct ml_lua_task *task)
{
    struct ml_strand *strand = task->task.strand, *innermost = strand;
    for (; strand->resumer != NULL; strand = strand->resumer) {
        *ml_lua_mark(ml_thread_of(strand)) &= ~(uintptr_t)ML_MARK_PARKED;
        if (strand->resumer->resumer == NULL && task->abandoned != NULL) {
            strand->resumer = task->abandoned;
            break;
        }
    }
    *ml_lua_mark(task->L) &= ~(uintptr_t)ML_MARK_PARKED;
    if (innermost != ml_strand_of(task->L) || task->abandoned == NULL)
        task->abandoned = innermost;
}

/* Takes apart the chain of the task that was abandoned; `closes` the variables that its threads
 * have pending. Closing variables may wait, and what they wait in may be abandoned, too: then this
 * begins anew with the same thread. */
static void take_apart(struct ml_lua_task *task, bool closes)
{
    struct ml_strand *strand;
    while ((strand = task->abandoned) != NULL) {
        lua_State *thread = ml_thread_of(strand);
        if (closes) {
            if (lua_resetthread(thread) != LUA_OK)
                ml_report_closing(task->task.hub->owner, task, thread);
            lua_settop(thread, 0);
        }
        task->abandoned = strand->resumer;
        strand->resumer = NULL;
    }
}

/* The Task keeps no value. Without any the thread of one that failed would be taken for its error.
 */
static void keep_nothing(struct ml_lua *lua, struct ml_lua_task *task)
{
    lua_pushnil(task->L);
    keep_value(lua, task);
}

/* The frames of its last run are gone; what they left open is closed here, unless the task is to
 * run nothing more. */
static __attribute__((noinline)) void close_abandoned(struct ml_lua_task *task)
{
    static const enum ml_outcome outcomes[] = {[ML_RUN_CLOSING] = ML_OUTCOME_DONE,
                                               [ML_RUN_UNPROTECTED] = ML_OUTCOME_FAILED,
                                               [ML_RUN_OVERRUN] = ML_OUTCOME_CANCELLED};
    struct ml_lua *lua = task->task.hub->owner;
    take_apart(task, task->run != ML_RUN_OVERRUN);
    task->outcome = outcomes[task->run];
    if (task->outcome == ML_OUTCOME_FAILED)
        keep_nothing(lua, task);
    detach(lua, task, 0);
}

static __attribute__((noinline)) void end_before_the_start(struct ml_lua_task *task)
{
    task->outcome = ML_OUTCOME_CANCELLED;
    detach(task->task.hub->owner, task, 0);
}

/* Of all that runs here only this frame stays on the stack of a task that waits. */
void ml_lua_task_body(struct ml_task *base)
{
    struct ml_lua_task *task = ml_lua_task_of(base);
    if (ml_unlikely(task->run != ML_RUN_FUNCTION)) {
        close_abandoned(task);
    } else if (ml_unlikely(base->was_cancelled)) {
        end_before_the_start(task);
    } else {
        int results = 0;
        int status = resume_to_the_end(task->L, &results);
        conclude(task, status, results);
    }
}

void ml_lua_task_prefetch(const struct ml_task *base)
{
    enum { CACHE_LINE = 64, STATE_SIZE = 208 };
    const char *state = (const char *)ml_thread_of(base->strand);
    for (size_t offset = 0; offset < STATE_SIZE; offset += CACHE_LINE)
        __builtin_prefetch(state + offset);
}

/* On its thread, and those that it resumed, calls stand that nobody returns to: their stacks are
 * left as they are. */
static void drop(struct ml_lua_task *task)
{
    struct ml_hub *hub = task->task.hub;
    task->thread_is_known = true;
    ml_greenlet_abandon(task);
    detach(hub->owner, task, 0);
    ml_task_drop(hub, &task->task);
}

void ml_lua_task_drop(struct ml_lua_task *task)
{
    if (task->task.state !=
        ML_TASK_RUNNING) /* else it may have gone on since it was parked there */
        *ml_lua_mark(task->parked_on) &= ~(uintptr_t)ML_MARK_PARKED;
    task->outcome = ML_OUTCOME_CANCELLED;
    task->has_exits = false;
    drop(task);
}

void ml_lua_task_starve(struct ml_task *base)
{
    struct ml_lua_task *task = ml_lua_task_of(base);
    struct ml_lua *lua = base->hub->owner;
    char text[192];
    snprintf(text, sizeof text,
             "task #%llu, spawned at %s, failed: not enough memory to go on: its variables are "
             "not closed",
             (unsigned long long)base->id,
             ml_source_line_text(&lua->source_lines, task->source_line));
    lua->has_reported = true;
    lua->report(lua, text);
    task->outcome = ML_OUTCOME_FAILED;
    lua_rawgetp(lua->aside, LUA_REGISTRYINDEX, &starved_key);
    keep_top(lua, task);
    drop(task);
}

_Noreturn void ml_lua_task_restart(struct ml_lua *lua, enum ml_task_run run)
{
    struct ml_lua_task *task = ml_lua_task_of(lua->hub.current);
    task->run = run;
    note_chain(task);
    ml_greenlet_abandon(task);
    if (lua->is_reporting) { /* what was called on the task's behalf is abandoned with it */
        lua->is_reporting = false;
        lua_resetthread(lua->aside);
        lua_settop(lua->aside, 0);
    }
    ml_task_restart(&lua->hub);
}

/* ---- what others see ---- */

struct ml_lua_task *ml_check_task(lua_State *L, int index)
{
    return luaL_checkudata(L, index, ML_TASK_TYPE);
}

void ml_lua_push_task(lua_State *L, struct ml_lua_task *task)
{
    ml_lua_push_tasks(L);
    lua_rawgeti(L, -1, (lua_Integer)task->task.waiter.slot + 1);
    lua_remove(L, -2);
}
