/* A call, on its own thread. */
#include "bindings/core/cancellation.h"
#include "bindings/core/lua_task.h"
#include "bindings/core/story.h"
#include "bindings/core/traceback.h"
#include "bindings/thread/outcome.h"
#include "bindings/thread/runtimes.h"
#include "bindings/thread/settings.h"

#include <lauxlib.h>
#include <string.h>

int ml_thread_keep_error(lua_State *L)
{
    lua_settop(L, 1);
    if (ml_is_cancellation(L, 1))
        return 1;
    lua_createtable(L, 2, 0);
    lua_pushvalue(L, 1);
    lua_rawseti(L, 2, 1);
    ml_lua_push_task(L, ml_lua_task_of(ml_lua_of(L)->hub.current));
    luaL_traceback(L, L, NULL, 1);
    ml_story_complete(L, 3, 1);
    lua_rawseti(L, 2, 2);
    lua_settop(L, 2);
    return 1;
}

/* Stack: "module.function" at 1, arguments -> the function, arguments. Raises. */
static void find_function(lua_State *L)
{
    const char *name = lua_tostring(L, 1), *dot = strrchr(name, '.');
    lua_pushlstring(L, name, (size_t)(dot - name));
    lua_pushstring(L, dot + 1);
    ml_push_member(L);
    lua_replace(L, 1);
}

int ml_thread_carry_out(lua_State *L, struct ml_thread_call *call)
{
    lua_settop(L, 0);
    int count = ml_unpack(L, call->task);
    ml_parcel_release(call->task);
    call->task = NULL;
    if (lua_type(L, 1) == LUA_TSTRING)
        find_function(L);
    lua_call(L, count - 1, LUA_MULTRET);
    return lua_gettop(L);
}

/* The call as the script sees it. */
static int run(lua_State *L)
{
    struct ml_thread_call *call = lua_touserdata(L, 1);
    lua_settop(L, 0);
    ml_settings_apply(L, call->settings);
    return ml_thread_carry_out(L, call);
}

int ml_thread_main(lua_State *L)
{
    struct ml_thread_call *call = ml_lua_of(L)->os_threads.call;
    lua_settop(L, 0);
    lua_pushcfunction(L, ml_thread_keep_error);
    lua_pushcfunction(L, run);
    lua_pushlightuserdata(L, call);
    int status = lua_pcall(L, 1, LUA_MULTRET, 1);
    /* A program that is being unwound has its outcome already. */
    if (call->outcome == NULL)
        call->outcome = status == LUA_OK ? ml_outcome_of_results(L, 2) : ml_outcome_of_error(L);
    return 0;
}
