/* Lua's C API on threads, as C libraries use it: require "threads" in c_threads_spec.lua. */
#include <lauxlib.h>
#include <lua.h>

/* status(thread) -> lua_status() */
static int threads_status(lua_State *L)
{
    lua_pushinteger(L, lua_status(lua_tothread(L, 1)));
    return 1;
}

/* is_yieldable([thread]) -> lua_isyieldable() */
static int threads_is_yieldable(lua_State *L)
{
    lua_pushboolean(L, lua_isyieldable(lua_isnone(L, 1) ? L : lua_tothread(L, 1)));
    return 1;
}

/* reset(thread) -> lua_resetthread(), what it left on the thread */
static int threads_reset(lua_State *L)
{
    lua_State *thread = lua_tothread(L, 1);
    lua_pushinteger(L, lua_resetthread(thread));
    int count = lua_gettop(thread);
    lua_xmove(thread, L, count);
    return 1 + count;
}

/* resume(thread, ...) -> lua_resume(), results or an error */
static int threads_resume(lua_State *L)
{
    lua_State *thread = lua_tothread(L, 1);
    int count = lua_gettop(L) - 1, results = -1;
    lua_checkstack(thread, count);
    lua_xmove(L, thread, count);
    int status = lua_resume(thread, L, count, &results);
    results = status <= LUA_YIELD ? results : 1;
    luaL_checkstack(L, results + 1, NULL);
    lua_pushinteger(L, status);
    lua_xmove(thread, L, results);
    return 1 + results;
}

/* litter(thread): leaves a value on it */
static int threads_litter(lua_State *L)
{
    lua_pushliteral(lua_tothread(L, 1), "litter");
    return 0;
}

/* yield(...): lua_yield(), and what that is resumed with */
static int threads_yield(lua_State *L)
{
    return lua_yield(L, lua_gettop(L));
}

static int come_back(lua_State *L, int status, lua_KContext context)
{
    lua_pushinteger(L, status);
    lua_pushinteger(L, (lua_Integer)context);
    return lua_gettop(L);
}

/* yieldk(...): the same with a continuation, which returns the status and 42 besides */
static int threads_yieldk(lua_State *L)
{
    return lua_yieldk(L, lua_gettop(L), 42, come_back);
}

/* call_on(thread, function): calls it there if that is free, else on a thread of its own */
static int threads_call_on(lua_State *L)
{
    lua_State *thread = lua_tothread(L, 1);
    if (lua_status(thread) != LUA_OK)
        thread = lua_newthread(L);
    lua_pushvalue(L, 2);
    lua_xmove(L, thread, 1);
    lua_call(thread, 0, 0);
    return 0;
}

int luaopen_threads(lua_State *L);

__attribute__((visibility("default"))) int luaopen_threads(lua_State *L)
{
    static const luaL_Reg functions[] = {{"status", threads_status},
                                         {"is_yieldable", threads_is_yieldable},
                                         {"reset", threads_reset},
                                         {"resume", threads_resume},
                                         {"litter", threads_litter},
                                         {"yield", threads_yield},
                                         {"yieldk", threads_yieldk},
                                         {"call_on", threads_call_on},
                                         {NULL, NULL}};
    luaL_checkversion(L);
    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
    return 1;
}
