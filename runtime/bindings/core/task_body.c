#include "bindings/core/task_body.h"

#include "base/check.h"
#include "bindings/core/hooks.h"
#include "bindings/core/job.h"
#include "bindings/core/lua_runtime.h"
#include "bindings/core/lua_strand.h"
#include "bindings/core/report.h"
#include "bindings/core/task_end.h"
#include "hub/switch/switch.h"

#include <lauxlib.h>
#include <stdio.h>

/* Key in the registry: the error of a task for which there was no memory. */
static const char starved_key;

void ml_task_body_open(lua_State *L)
{
    lua_pushliteral(L, "not enough memory");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &starved_key);
}

/* ---- entering the function ---- */

static void on_refused_yield(lua_State *L, lua_Debug *event)
{
    (void)event;
    ml_hooks_disarm(L, ML_HOOK_YIELD);
    luaL_error(L, "attempt to yield from outside a coroutine");
}

const struct ml_hook_kind ml_refused_yield = {
    .events = LUA_MASKCOUNT, .count = 1, .on_event = on_refused_yield};

/* (To refuse a yield at once, a C function would have to stand under the task's own and lua_call()
 * it: 256 bytes more for each task asleep.) */
static inline int resume_to_the_end(lua_State *L, int *results)
{
    int status = lua_resume(L, NULL, lua_gettop(L) - 1, results);
    while (ml_unlikely(status == LUA_YIELD)) {
        lua_pop(L, *results);
        ml_hooks_arm(L, ML_HOOK_YIELD); /* without memory the call that yielded returns */
        status = lua_resume(L, NULL, 0, results);
    }
    return status;
}

int ml_resume_to_the_end(lua_State *L)
{
    int results;
    return resume_to_the_end(L, &results);
}

/* ---- an abandoned chain ---- */

/*
 * Notes where the chain of the running task begins, which is about to be abandoned: its strands
 * stay linked. A task may be abandoned once more while the strands of an earlier time are being
 * closed: those follow the new ones.
 *
 * Each thread of the chain stands on the stack of the next, which resumed it and so keeps it alive
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
 * have pending. Closing variables may wait, and may be abandoned in that wait, too: then this
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

/* The Task keeps nil. Without a value the thread of a failed task would be taken for its error. */
static void keep_nothing(struct ml_lua *lua, struct ml_lua_task *task)
{
    lua_pushnil(lua->aside);
    ml_lua_task_keep(lua, task);
}

/* The frames of its last run are gone. Closes the variables that they left open, unless the task is
 * to run nothing more. */
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
    ml_lua_task_detach(lua, task, 0);
}

static __attribute__((noinline)) void end_before_the_start(struct ml_lua_task *task)
{
    task->outcome = ML_OUTCOME_CANCELLED;
    ml_job_drop_unbegun(task->L);
    ml_lua_task_detach(task->task.hub->owner, task, 0);
}

/* Of all functions here only this one's frame stays on the stack of a task that waits. */
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
        ml_lua_task_conclude(task, status, results);
    }
}

void ml_lua_task_prefetch(const struct ml_task *base)
{
    enum { CACHE_LINE = 64, STATE_SIZE = 208 };
    const char *state = (const char *)ml_thread_of(base->strand);
    for (size_t offset = 0; offset < STATE_SIZE; offset += CACHE_LINE)
        __builtin_prefetch(state + offset);
}

static void abandon_greenlet(struct ml_lua *lua, struct ml_lua_task *task)
{
    if (lua->task_hooks.greenlet != NULL)
        lua->task_hooks.greenlet->abandon(task);
}

/* On its thread, and those that it resumed, calls stand that will never return: their stacks are
 * left as they are. */
static void drop(struct ml_lua_task *task)
{
    struct ml_hub *hub = task->task.hub;
    struct ml_lua *lua = hub->owner;
    task->thread_is_known = true;
    abandon_greenlet(lua, task);
    ml_lua_task_detach(lua, task, 0);
    ml_task_drop(hub, &task->task);
}

void ml_lua_task_drop(struct ml_lua_task *task)
{
    if (task->task.state !=
        ML_TASK_RUNNING) /* a running one may have gone on since it was parked there */
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
    lua->report.was_told = true;
    lua->report.tell(lua, text);
    task->outcome = ML_OUTCOME_FAILED;
    ml_job_drop_unbegun(task->L);
    lua_rawgetp(lua->aside, LUA_REGISTRYINDEX, &starved_key);
    ml_lua_task_keep(lua, task);
    drop(task);
}

_Noreturn void ml_lua_task_restart(struct ml_lua *lua, enum ml_task_run run)
{
    struct ml_lua_task *task = ml_lua_task_of(lua->hub.current);
    task->run = run;
    note_chain(task);
    abandon_greenlet(lua, task);
    if (lua->report.is_composed) { /* the call on the task's behalf is abandoned with it */
        lua->report.is_composed = false;
        lua_resetthread(lua->aside);
        lua_settop(lua->aside, 0);
    }
    ml_task_restart(&lua->hub);
}
