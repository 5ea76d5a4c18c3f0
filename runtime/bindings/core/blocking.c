#include "bindings/core/blocking.h"

#include "bindings/core/cancellation.h"
#include "hub/wait/slice.h"

_Noreturn void ml_raise_no_task(lua_State *L)
{
    luaL_error(L, "no task is running");
    __builtin_unreachable();
}

/* The task that is parked in a call on L. */
static struct ml_lua_task *parked_task(struct ml_lua *lua, lua_State *L)
{
    struct ml_task *task;
    uint32_t slot = 0;
    while ((task = ml_hub_next_task(&lua->hub, &slot)) != NULL)
        if (ml_lua_task_of(task)->parked_on == L)
            return ml_lua_task_of(task);
    return NULL;
}

/* Whether L is suspended, or in use by another task. */
static bool is_elsewhere(lua_State *L, const struct ml_task *task)
{
    struct ml_strand *wanted = ml_strand_of(L);
    const struct ml_strand *strand = task->strand;
    if (ml_strand_state(wanted) == ML_STRAND_UNBOUND)
        return false;
    while (strand != NULL && strand != wanted)
        strand = strand->resumer;
    return strand == NULL;
}

/* Raises because a task waits in a call on L, or a greenlet of the running one left off there. */
static void refuse_parked(lua_State *L, struct ml_lua *lua, const char *what)
{
    const struct ml_lua_task *other = parked_task(lua, L);
    if (other == NULL || &other->task == lua->hub.current)
        luaL_error(L, "cannot %s here: a greenlet is suspended on this Lua thread", what);
    else
        luaL_error(L, "cannot %s here: task #%d is waiting on this Lua thread", what,
                   (int)other->task.id);
}

void ml_check_may_leave(lua_State *L, const char *what)
{
    struct ml_lua *lua = ml_lua_of(L);
    if (ml_is_in_finalizer(L))
        luaL_error(L, "cannot %s inside a finalizer (__gc)", what);
    if (L == lua->main)
        luaL_error(L, "cannot %s in a callback on the main Lua state", what);
    if (*ml_lua_mark(L) & ML_MARK_PARKED)
        refuse_parked(L, lua, what);
    if (is_elsewhere(L, lua->hub.current))
        luaL_error(L, "cannot %s here: this Lua thread is suspended or in use by another task",
                   what);
    if (!ml_strand_holds(lua->hub.current->strand, __builtin_frame_address(0)))
        luaL_error(L, "cannot %s here: a C library has called on a stack of its own", what);
}

static const char *forbidding_reason(const struct ml_scope *scope)
{
    while (scope->kind < ML_SCOPE_NO_SWITCH)
        scope = scope->outer;
    return scope->kind == ML_SCOPE_NO_SWITCH
               ? "cannot wait inside task.no_switch"
               : "cannot wait inside a transaction, but for a call of the transaction itself: no "
                 "other task can write meanwhile";
}

/* Raises with the reason why L may not wait; returns only if it may. */
static __attribute__((noinline)) void refuse(lua_State *L, struct ml_lua *lua)
{
    struct ml_task *task = lua->hub.current;
    if (task == NULL)
        luaL_error(L, "cannot wait here: no task is running");
    if (lua->report.is_composed)
        luaL_error(L, "cannot wait while the end of a task is being told");
    ml_check_may_leave(L, "wait");
    if (task->scope != NULL && task->scope->forbids_switch)
        luaL_error(L, "%s", forbidding_reason(task->scope));
}

static bool is_in_transaction(const struct ml_task *task)
{
    const struct ml_scope *scope = task != NULL ? task->scope : NULL;
    while (scope != NULL && scope->kind < ML_SCOPE_NO_SWITCH)
        scope = scope->outer;
    return scope != NULL && scope->kind == ML_SCOPE_TRANSACTION;
}

struct ml_lua *ml_blocking_begin_transacting(lua_State *L)
{
    struct ml_lua *lua = ml_lua_of(L);
    if (!is_in_transaction(lua->hub.current))
        return ml_blocking_begin(L);
    struct ml_scope *scope = lua->hub.current->scope;
    scope->forbids_switch = false;
    bool may_wait = ml_blocking_begin_quietly(L);
    scope->forbids_switch = true;
    return may_wait ? lua : ml_blocking_begin(L);
}

/* On another thread than the running strand's, such as a coroutine of stock Lua, or in a place that
 * forbids it. */
static __attribute__((noinline)) void begin_elsewhere(lua_State *L, struct ml_lua *lua)
{
    refuse(L, lua);
    ml_blocking_mark(L, lua->hub.current);
}

struct ml_lua *ml_blocking_begin(lua_State *L)
{
    struct ml_lua *lua = ml_lua_of(L);
    if (ml_unlikely(!ml_blocking_begin_quietly(L)))
        begin_elsewhere(L, lua);
    return lua;
}

void ml_blocking_share(lua_State *L)
{
    if (ml_lua_of(L)->hub.current != NULL && ml_blocking_try(L)) {
        ml_slice_refused(&ml_lua_of(L)->hub);
        ml_blocking_finish(L);
    }
}

static __attribute__((noinline)) int end_failed(lua_State *L, int error)
{
    if (error != -EAGAIN)
        ml_blocking_share(L);
    if (error == -ECANCELED)
        ml_cancellation_raise(L);
    if (error == -ENOMEM)
        luaL_error(L, "not enough memory");
    if (error == -ECHILD)
        luaL_error(L, "cannot wait in a process that was forked by a task");
    return error;
}

int ml_blocking_end(lua_State *L, int error)
{
    ml_blocking_finish(L);
    return ml_likely(error >= 0) ? error : end_failed(L, error);
}
