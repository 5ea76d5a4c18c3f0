#include "bindings/core/libc_call.h"

#include "bindings/core/blocking.h"
#include "bindings/core/cancellation.h"
#include "bindings/core/hooks.h"
#include "bindings/core/lua_task.h"
#include "hub/wait/slice.h"
#include "interpose/no_wait.h"

#include <limits.h>

static lua_State *running_thread(const struct ml_hub *hub)
{
    return ml_thread_of(hub->current->strand);
}

/* Pushes one value for a moment. */
static const void *function_of(lua_State *L, lua_Debug *frame)
{
    lua_getinfo(L, "f", frame);
    const void *function = lua_topointer(L, -1);
    lua_pop(L, 1);
    return function;
}

/* Lua reuses a frame for the next call at its level, such as that of a closing variable. */
static bool is_call(lua_State *L, lua_Debug *frame, struct ml_lua_call call)
{
    return frame->i_ci == call.frame && function_of(L, frame) == call.function;
}

/* How many calls above it that call is still running; -1: it has ended, or there are `most`. (Lua
 * counts the calls anew for each level that is asked for.) */
static int depth_of(lua_State *L, struct ml_lua_call call, int most)
{
    lua_Debug frame;
    int depth = 0;
    while (depth < most && lua_getstack(L, depth, &frame) && !is_call(L, &frame, call))
        depth++;
    return depth < most && lua_getstack(L, depth, &frame) ? depth : -1;
}

/*
 * A function returns on a thread on which a call was cancelled. Raises if it is the one that made
 * the call. Until then it may be a callback of that one. If that one raises an error of its own
 * instead, closing variables run undisturbed, and the protected call that catches the error raises
 * the cancellation.
 */
static void on_cancelled_return(lua_State *L, lua_Debug *event)
{
    (void)event;
    struct ml_hub *hub = &ml_lua_of(L)->hub;
    int depth = depth_of(L, ml_hooks_find(L)->cancelled, INT_MAX);
    if (depth > 0)
        return;
    ml_hooks_disarm(L, ML_HOOK_CANCELLED);
    if (hub->libc_calls != NULL)
        ml_libc_call_forget_refusals(hub->libc_calls);
    if (depth == 0 && hub->current != NULL && ml_cancel_point(hub) == -ECANCELED)
        ml_cancellation_raise(L);
}

/* A function returns on a thread whose task has used up its slice in a C function: others run if it
 * is that one. (If there are too many calls above that one, they run at the end of the next slice.)
 */
static void on_slow_return(lua_State *L, lua_Debug *event)
{
    (void)event;
    enum { MOST = 32 };
    struct ml_lua *lua = ml_lua_of(L);
    int depth = depth_of(L, ml_hooks_find(L)->slow, MOST);
    if (depth > 0)
        return;
    ml_hooks_disarm(L, ML_HOOK_SLICE);
    if (depth < 0 || lua->hub.current == NULL || !ml_blocking_try(L))
        return;
    int error = ml_slice_end(&lua->hub);
    ml_blocking_finish(L);
    if (error == -ECANCELED)
        ml_cancellation_raise(L);
}

/* Finds the C function that runs on L, and arms the reason in L's record, which is returned. NULL:
 * no C function of Lua's runs, or no memory. */
static struct ml_hooked *watch_return(lua_State *L, enum ml_hook_reason reason,
                                      struct ml_lua_call *call)
{
    lua_Debug frame;
    if (!lua_getstack(L, 0, &frame) || !lua_checkstack(L, 1))
        return NULL;
    *call = (struct ml_lua_call){frame.i_ci, function_of(L, &frame)};
    return ml_hooks_arm(L, reason);
}

/* Without a record the next call that waits raises. */
void ml_libc_call_raise_on_return(lua_State *L)
{
    struct ml_lua_call call;
    ml_cancellation_note(L);
    ml_lua_task_of(ml_lua_of(L)->hub.current)->owes_cancellation = true;
    struct ml_hooked *hooked = watch_return(L, ML_HOOK_CANCELLED, &call);
    if (hooked != NULL)
        hooked->cancelled = call;
}

void ml_libc_call_finish(lua_State *L, int error)
{
    ml_blocking_finish(L);
    if (ml_unlikely(error == -ECANCELED))
        ml_libc_call_raise_on_return(L);
}

static void slice_is_over(struct ml_hub *hub)
{
    lua_State *L = running_thread(hub);
    struct ml_lua_call call;
    struct ml_hooked *hooked = watch_return(L, ML_HOOK_SLICE, &call);
    if (hooked != NULL)
        hooked->slow = call;
}

void ml_libc_calls_caught(lua_State *L, const void *frame)
{
    struct ml_hub *hub = &ml_lua_of(L)->hub;
    if (hub->current != NULL && hub->libc_calls != NULL && hub->libc_calls->no_wait.count > 0)
        ml_no_wait_unwind(hub->libc_calls, frame);
}

static bool is_finalizing(struct ml_hub *hub)
{
    return ml_is_in_finalizer(running_thread(hub));
}

static bool may_wait(struct ml_hub *hub)
{
    return ml_blocking_try(running_thread(hub));
}

static void has_waited(struct ml_hub *hub, int error)
{
    ml_libc_call_finish(running_thread(hub), error);
}

static void tell(struct ml_hub *hub, const char *text)
{
    lua_warning(ml_lua_of(running_thread(hub))->aside, text, 0);
}

static bool is_ending(struct ml_hub *hub)
{
    return ml_unlikely(ml_lua_of(running_thread(hub))->exit.is_asked) &&
           ml_cancel_point(hub) == -ECANCELED;
}

static void leave_c(struct ml_hub *hub)
{
    ml_cancellation_raise(running_thread(hub));
}

void ml_libc_calls_connect(struct ml_lua *lua, struct ml_libc_calls *calls)
{
    static const struct ml_hook_kind cancelled = {.events = LUA_MASKRET,
                                                  .on_event = on_cancelled_return};
    static const struct ml_hook_kind slow = {.events = LUA_MASKRET, .on_event = on_slow_return};
    ml_hooks_install(lua, ML_HOOK_CANCELLED, &cancelled);
    ml_hooks_install(lua, ML_HOOK_SLICE, &slow);
    calls->owner.is_finalizing = is_finalizing;
    calls->owner.may_wait = may_wait;
    calls->owner.has_waited = has_waited;
    calls->owner.told = tell;
    calls->owner.slice_is_over = slice_is_over;
    calls->owner.is_ending = is_ending;
    calls->owner.leave_c = leave_c;
}
