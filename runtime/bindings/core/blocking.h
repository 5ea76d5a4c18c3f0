/*
 * The frame around every call that may park its task. Before the call it raises where waiting is
 * forbidden; after it, it raises a cancellation. Between the two nothing may raise.
 */
#ifndef ML_BINDINGS_CORE_BLOCKING_H
#define ML_BINDINGS_CORE_BLOCKING_H

#include "bindings/core/lua_runtime.h"
#include "bindings/core/lua_task.h"
#include "hub/state/scope.h"
#include "hub/state/strand.h"

#include <errno.h>

/* Raises "no task is running". */
_Noreturn void ml_raise_no_task(lua_State *L);

/*
 * Raises if the running task may not leave off in a call on L: inside a finalizer, on the main
 * state, on the thread of a task that waits there, on a suspended thread. what: "wait" or the like,
 * for the message.
 */
void ml_check_may_leave(lua_State *L, const char *what);

/*
 * Begins a call that may park the running task on L. Raises if there is no task, inside a finalizer
 * or task.no_switch, and if L is suspended or another task's. Returns the runtime.
 */
struct ml_lua *ml_blocking_begin(lua_State *L);

/* The same for a call of the transaction in which the task is (ML_SCOPE_TRANSACTION). */
struct ml_lua *ml_blocking_begin_transacting(lua_State *L);

/*
 * Ends it. error: the result of the call, 0 or a negated error. Raises the cancellation for
 * -ECANCELED, and an error for -ENOMEM and -ECHILD; returns anything else. A failure counts against
 * the task's slice: others may run before this returns.
 */
int ml_blocking_end(lua_State *L, int error);

/* A call has failed without a wait: counts it against the task's slice, so that a task which takes
 * no notice and goes on calling lets others run. Raises nothing. ml_blocking_end() does it, too. */
void ml_blocking_share(lua_State *L);

/* The same two for a call that waits until `deadline`. With ML_NEVER_WAIT it parks no task, and is
 * allowed everywhere. */
static inline void ml_blocking_begin_until(lua_State *L, ml_time deadline)
{
    if (deadline != ML_NEVER_WAIT)
        ml_blocking_begin(L);
}

static inline int ml_blocking_end_until(lua_State *L, ml_time deadline, int error)
{
    return deadline != ML_NEVER_WAIT ? ml_blocking_end(L, error) : error;
}

/* Whether a finalizer runs: then the collector answers every question with -1. A task that parked
 * there would leave the collector off for all. */
static inline bool ml_is_in_finalizer(lua_State *L)
{
    return lua_gc(L, LUA_GCCOUNT) < 0;
}

/* The task counts as parked on L. */
static inline void ml_blocking_mark(lua_State *L, struct ml_task *task)
{
    ml_lua_task_of(task)->parked_on = L;
    *ml_lua_mark(L) |= ML_MARK_PARKED;
}

/* The one check of all three frames around a wait (this one, vm/runtimes.h for a task of C, and
 * bindings/core/libc_call.c for C libraries): whether the running task may be parked on L, the
 * thread of its strand. True: it counts as parked there until ml_blocking_finish(). */
static inline bool ml_blocking_try(lua_State *L)
{
    if (ml_unlikely(ml_is_in_finalizer(L)))
        return false;
    struct ml_lua *lua = ml_lua_of(L);
    struct ml_task *task = lua->hub.current;
    if (ml_unlikely(lua->report.is_composed || (*ml_lua_mark(L) & ML_MARK_PARKED) ||
                    (task->scope != NULL && task->scope->forbids_switch) ||
                    !ml_strand_holds(task->strand, __builtin_frame_address(0))))
        return false;
    ml_blocking_mark(L, task);
    return true;
}

/* Begins a call as ml_blocking_begin() does where that raises nothing, on the thread of the running
 * strand. False: nothing was begun. */
static inline bool ml_blocking_begin_quietly(lua_State *L)
{
    const struct ml_task *task = ml_lua_of(L)->hub.current;
    return ml_likely(task != NULL && task->strand == ml_strand_of(L)) && ml_blocking_try(L);
}

static inline void ml_blocking_finish(lua_State *L)
{
    *ml_lua_mark(L) &= ~(uintptr_t)ML_MARK_PARKED;
}

/* In a call that may leave its task anyway, before it has examined anything: ends greenlets of the
 * task that are out of reach. Runs their code, may wait, raises the task's cancellation. */
static inline void ml_blocking_attend(lua_State *L)
{
    const struct ml_lua *lua = ml_lua_of(L);
    if (ml_unlikely(lua->greenlets.dropped > 0))
        lua->task_hooks.greenlet->kill_dropped(L);
}

/*
 * Begins a call that waits only if it must, before it finds out whether it must. Raises without a
 * task, and raises the cancellation unless `deadline` is ML_NEVER_WAIT. Returns the hub, which has
 * a current task.
 */
static inline struct ml_hub *ml_blocking_enter(lua_State *L, ml_time deadline)
{
    struct ml_hub *hub = &ml_lua_of(L)->hub;
    if (ml_unlikely(hub->current == NULL))
        ml_raise_no_task(L);
    int error = ml_cancel_point_until(hub, deadline);
    if (ml_unlikely(error != 0))
        ml_blocking_end(L, error);
    return hub;
}

#endif
