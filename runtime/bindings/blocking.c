#include "bindings/blocking.h"

#include "base/error.h"
#include "bindings/cancellation.h"
#include "bindings/lua_task.h"

/* A collector that runs a finalizer answers every question with -1: parking there would leave it
 * switched off for everybody. */
static bool is_in_finalizer(lua_State *L)
{
    return lua_gc(L, LUA_GCCOUNT) < 0;
}

/* Explains why L may not wait; returns only if it may. */
static void refuse(lua_State *L, struct ml_lua *lua)
{
    if (lua->hub.current == NULL)
        luaL_error(L, "cannot wait here: no task is running");
    if (is_in_finalizer(L))
        luaL_error(L, "cannot wait inside a finalizer (__gc)");
    if (L == lua->main)
        luaL_error(L, "cannot wait in a callback on the main Lua state");
    if (lua->is_reporting)
        luaL_error(L, "cannot wait while an error is being reported");
    uintptr_t mark = *ml_lua_mark(L);
    struct ml_task *parked = (struct ml_task *)(mark & ~(uintptr_t)1);
    if ((mark & 1) && parked != lua->hub.current)
        luaL_error(L, "cannot wait here: task #%d is waiting on this Lua thread", (int)parked->id);
}

/* New threads copy the main state's mark, and reports are composed on a state that all share. */
static bool is_reserved(const lua_State *L, const struct ml_lua *lua)
{
    return L == lua->main || lua->is_reporting;
}

struct ml_blocking ml_blocking_begin(lua_State *L)
{
    struct ml_lua *lua = ml_lua_of(L);
    uintptr_t mark = *ml_lua_mark(L);
    struct ml_task *task = lua->hub.current;
    if (ml_unlikely(task == NULL || (mark & 1) || is_reserved(L, lua) || is_in_finalizer(L)))
        refuse(L, lua);
    ml_lua_task_of(task)->parked_on = L;
    *ml_lua_mark(L) = (uintptr_t)task | 1;
    return (struct ml_blocking){.lua = lua, .mark = mark};
}

int ml_blocking_end(lua_State *L, struct ml_blocking blocking, int error)
{
    *ml_lua_mark(L) = blocking.mark;
    if (ml_unlikely(error == -ECANCELED))
        ml_cancellation_raise(L);
    if (ml_unlikely(error == -ENOMEM))
        luaL_error(L, "not enough memory");
    return error;
}

ml_time ml_check_span(lua_State *L, int index)
{
    lua_Number seconds = luaL_checknumber(L, index);
    luaL_argcheck(L, seconds == seconds, index, "seconds expected, got not-a-number");
    return ml_time_from_seconds(seconds);
}

ml_time ml_check_deadline(lua_State *L, int index)
{
    if (lua_isnoneornil(L, index))
        return ML_FOREVER;
    ml_time span = ml_check_span(L, index);
    return span > 0 ? ml_time_after(ml_clock_now(), span) : ML_NEVER_WAIT;
}

int ml_push_failure(lua_State *L, int error)
{
    luaL_pushfail(L);
    lua_pushstring(L, ml_error_text(error));
    lua_pushstring(L, ml_error_name(error));
    return 3;
}

static int failure_tostring(lua_State *L)
{
    lua_getfield(L, 1, "message");
    return 1;
}

int ml_raise_failure(lua_State *L)
{
    lua_createtable(L, 0, 2);
    lua_insert(L, -3);
    lua_setfield(L, -3, "code");
    lua_setfield(L, -2, "message");
    if (luaL_newmetatable(L, "moonlet.failure")) {
        lua_pushcfunction(L, failure_tostring);
        lua_setfield(L, -2, "__tostring");
    }
    lua_setmetatable(L, -2);
    return lua_error(L);
}
