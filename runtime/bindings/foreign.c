#include "bindings/foreign.h"

#include "bindings/blocking.h"
#include "bindings/cancellation.h"
#include "bindings/lua_task.h"
#include "hub/scope.h"
#include "interpose/inside.h"

static lua_State *running_thread(const struct ml_hub *hub)
{
    return ml_thread_of(hub->current->strand);
}

/* Needs a place on the stack. */
static const void *function_of(lua_State *L, lua_Debug *frame)
{
    lua_getinfo(L, "f", frame);
    const void *function = lua_topointer(L, -1);
    lua_pop(L, 1);
    return function;
}

/* A frame is used again by what is called next at its level, such as what closes a variable. */
static bool is_cancelled_call(lua_State *L, lua_Debug *frame)
{
    const struct ml_lua *lua = ml_lua_of(L);
    return frame->i_ci == lua->cancelled_frame && function_of(L, frame) == lua->cancelled_function;
}

/* How many calls above it the cancelled one is running still; -1: it has been left. */
static int depth_of_cancelled_call(lua_State *L)
{
    lua_Debug frame;
    int depth = 0;
    while (lua_getstack(L, depth, &frame) && !is_cancelled_call(L, &frame))
        depth++;
    return lua_getstack(L, depth, &frame) ? depth : -1;
}

/*
 * A function returns on a thread on which a call was cancelled. Raises once it is the one that made the call.
 * Until then it is a callback of that one's; or that one raised an error of its own, closing variables run
 * undisturbed, and who catches the error raises the cancellation instead.
 */
static void on_return(lua_State *L, lua_Debug *event)
{
    (void)event;
    struct ml_hub *hub = &ml_lua_of(L)->hub;
    int depth = depth_of_cancelled_call(L);
    if (depth > 0)
        return;
    lua_sethook(L, NULL, 0, 0);
    if (hub->foreign != NULL)
        hub->foreign->refused.task = 0;
    if (depth == 0 && hub->current != NULL && ml_cancel_point(hub) == -ECANCELED)
        ml_cancellation_raise(L);
}

/* A hook of the script's own stays: there the next call that waits raises. */
void ml_foreign_raise_on_return(lua_State *L)
{
    struct ml_lua *lua = ml_lua_of(L);
    lua_Debug frame;
    ml_cancellation_note(L);
    ml_lua_task_of(lua->hub.current)->owes_cancellation = true;
    bool is_free = lua_gethook(L) == NULL || lua_gethook(L) == on_return;
    if (!is_free || !lua_getstack(L, 0, &frame) || !lua_checkstack(L, 1))
        return;
    lua->cancelled_frame = frame.i_ci;
    lua->cancelled_function = function_of(L, &frame);
    lua_sethook(L, on_return, LUA_MASKRET, 0);
}

void ml_foreign_caught(lua_State *L, const void *frame)
{
    struct ml_hub *hub = &ml_lua_of(L)->hub;
    if (hub->current != NULL && hub->foreign != NULL && hub->foreign->inside_count > 0)
        ml_inside_unwind(hub->foreign, frame);
}

static bool may_wait(struct ml_hub *hub)
{
    return ml_blocking_try(running_thread(hub));
}

static void has_waited(struct ml_hub *hub, int error)
{
    lua_State *L = running_thread(hub);
    ml_blocking_finish(L);
    if (error == -ECANCELED)
        ml_foreign_raise_on_return(L);
}

static void tell(struct ml_hub *hub, const char *text)
{
    lua_warning(ml_lua_of(running_thread(hub))->aside, text, 0);
}

void ml_foreign_connect(struct ml_foreign *f)
{
    f->may_wait = may_wait;
    f->has_waited = has_waited;
    f->told = tell;
}
