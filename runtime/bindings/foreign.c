#include "bindings/foreign.h"

#include "bindings/blocking.h"
#include "bindings/cancellation.h"
#include "bindings/lua_task.h"
#include "hub/scope.h"

static lua_State *running_thread(const struct ml_hub *hub)
{
    return ml_thread_of(hub->current->strand);
}

/* The first thing that happens on the thread once the C function has returned. */
static void on_return(lua_State *L, lua_Debug *event)
{
    (void)event;
    struct ml_hub *hub = &ml_lua_of(L)->hub;
    lua_sethook(L, NULL, 0, 0);
    if (hub->current != NULL && ml_cancel_point(hub) == -ECANCELED)
        ml_cancellation_raise(L);
}

/* A hook of the script's own stays: there the next call that waits raises. */
void ml_foreign_raise_on_return(lua_State *L)
{
    if (lua_gethook(L) == NULL)
        lua_sethook(L, on_return, LUA_MASKRET | LUA_MASKCOUNT, 1);
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
